"""The groups of a batch: which orders are in the same one, and their lines added up.

    members   group 7: row 0 | group 7: row 4 | group 9: row 1 | group 9: row 2 | ...

sorted once for a batch, so that many groups take no longer than one.
"""
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport qsort

from fendan.engine.batch cimport Columns, asked_at
from fendan.engine.room cimport grow


cdef bint gather(MemberList* list, const Columns* orders) noexcept nogil:
    cdef int64_t row
    if list.capacity < orders.count:
        if not grow(<void**>&list.members, orders.count * sizeof(Member)):
            return False
        list.capacity = orders.count
    list.count = 0
    for row in range(orders.count):
        if asked_at(orders, row).group:
            list.members[list.count].group = asked_at(orders, row).group
            list.members[list.count].row = row
            list.count += 1
    qsort(list.members, list.count, sizeof(Member), compare_members)
    return True


cdef int64_t members_from(const MemberList* list, uint64_t group, int64_t row,
                          const Member** members) noexcept nogil:
    cdef int64_t low = 0, high = list.count, middle
    cdef Member wanted
    wanted.group, wanted.row = group, row
    while low < high:
        middle = (low + high) // 2
        if compare_members(list.members + middle, &wanted) < 0:
            low = middle + 1
        else:
            high = middle
    members[0] = list.members + low
    while high < list.count and list.members[high].group == group:
        high += 1
    return high - low


cdef int compare_members(const void* one, const void* other) noexcept nogil:
    cdef const Member* a = <const Member*>one
    cdef const Member* b = <const Member*>other
    if a.group != b.group:
        return -1 if a.group < b.group else 1
    return (a.row > b.row) - (a.row < b.row)


cdef int64_t add_up(int64_t* lines, int64_t count, int32_t* skus,
                    int32_t* quantities) noexcept nogil:
    cdef int64_t line, wide, to = 0
    qsort(lines, count, sizeof(int64_t), compare_lines)
    for line in range(count):
        skus[to], quantities[to] = <int32_t>(lines[line] >> 32), <int32_t>lines[line]
        if to and skus[to - 1] == skus[to]:
            wide = <int64_t>quantities[to - 1] + quantities[to]
            if wide > INT32_MAX:
                return -1
            quantities[to - 1] = <int32_t>wide
        else:
            to += 1
    return to


cdef int compare_lines(const void* one, const void* other) noexcept nogil:
    cdef int64_t a = (<const int64_t*>one)[0]
    cdef int64_t b = (<const int64_t*>other)[0]
    return (a > b) - (a < b)
