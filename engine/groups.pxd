"""The groups of a batch: which orders are in the same one, and their lines added up."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.batch cimport Columns


# An order of a group.
cdef struct Member:
    uint64_t group              # as in Asked
    int64_t row                 # in its batch


# The orders of a batch that are in groups, by group and then by row.
cdef struct MemberList:
    Member* members             # [count]
    int64_t count               # -1: nobody has asked yet
    int64_t capacity


# Gather those of a batch; False where there is no memory.
cdef bint gather(MemberList* list, const Columns* orders) noexcept nogil
# How many orders of a group there are from a row on, which has one, and where they stand.
cdef int64_t members_from(const MemberList* list, uint64_t group, int64_t row,
                          const Member** members) noexcept nogil

# A line as one number, which sorts by SKU. `add_up` sorts such numbers and writes one line for each
# SKU: how many there are then, -1 where the pieces of one cannot be counted.
cdef inline int64_t line_number(int32_t sku, int32_t quantity) noexcept nogil:
    return <int64_t>sku << 32 | quantity

cdef int64_t add_up(int64_t* lines, int64_t count, int32_t* skus,
                    int32_t* quantities) noexcept nogil
