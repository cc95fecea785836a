"""Which orders belong together: those of one buyer to one address, and those of one group.

    slots   (key, time, group, store) by key; open addressing, at most half full
    past    what stood there before this batch, in the order of its changes: a dry run undoes them

A key is a hash of 64 bits: two buyers share one by chance once in some billion years of a large
chain. What is older by MOST_WINDOW_NS than the newest matters to no rule, and goes when the table would grow.
The group's number comes from its key and the time of its first order, so that nothing has to be
counted on.
"""
cimport cython
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free

from fendan.engine.room cimport grow

import numpy as np

cdef enum:
    LEAST_SLOTS = 1024          # powers of two
    LEAST_PAST = 256

# Longer than any window that a rule may have: policy_file refuses more than a day.
cdef int64_t MOST_WINDOW_NS = <int64_t>31 * 86400 * 1000000000

# merges.Merge as numpy sees it.
MERGE_DTYPE = np.dtype(
    [("key", np.uint64), ("time_ns", np.int64), ("group", np.int64), ("store", np.int32),
     ("unused", np.int32)],
    align=True,
)


cdef inline uint64_t mixed(uint64_t value) noexcept nogil:
    """SplitMix64's finisher: every bit of the value moves half of the result's."""
    value = (value ^ (value >> 30)) * <uint64_t>0xbf58476d1ce4e5b9
    value = (value ^ (value >> 27)) * <uint64_t>0x94d049bb133111eb
    return value ^ (value >> 31)


cdef inline uint64_t slot_of(const MergeTable* table, uint64_t key) noexcept nogil:
    """Where the key stands, or would stand."""
    cdef uint64_t place = mixed(key) & table.mask
    while table.slots[place].key != 0 and table.slots[place].key != key:
        place = (place + 1) & table.mask
    return place


cdef const Merge* merge_of(const MergeTable* table, uint64_t key, int64_t now_ns,
                           int64_t window_ns) noexcept nogil:
    cdef const Merge* merge
    if table.slots == NULL:
        return NULL
    merge = table.slots + slot_of(table, key)
    if merge.key == 0 or now_ns - merge.time_ns > window_ns:
        return NULL
    return merge


cdef int64_t note_merge(MergeTable* table, uint64_t key, int64_t now_ns, int64_t group,
                        int32_t store) noexcept nogil:
    cdef Merge* merge = table.slots + slot_of(table, key)
    table.past[table.past_count] = merge[0]
    if merge.key == 0:
        table.count += 1
        table.past[table.past_count].key = key  # to be found again
        table.past[table.past_count].time_ns = INT64_MAX
    table.past_count += 1
    table.newest_ns = max(table.newest_ns, now_ns)
    if group == 0:
        group = <int64_t>(mixed(key + mixed(<uint64_t>now_ns)) >> 1) | 1
    merge.key, merge.time_ns, merge.group, merge.store = key, now_ns, group, store
    return group


cdef inline bint is_young(const MergeTable* table, uint64_t slot) noexcept nogil:
    """Whether something stands there that may still matter. What other batches made room for is no
    part of it: so two engines that lived through the same orders tell of the same rows.
    """
    return (table.slots[slot].key != 0
            and table.newest_ns - table.slots[slot].time_ns <= MOST_WINDOW_NS)


cdef bint begin_merges(MergeTable* table, int64_t count) noexcept nogil:
    cdef int64_t wanted = max(count, LEAST_PAST)
    cdef uint64_t slot_count = LEAST_SLOTS
    forget_past(table)
    if wanted > table.past_capacity:
        if not grow(<void**>&table.past, wanted * sizeof(Merge)):
            return False
        table.past_capacity = wanted
    if table.slots != NULL and 2 * (table.count + count) <= <int64_t>(table.mask + 1):
        return True
    while <int64_t>slot_count < 2 * (table.count + count):
        slot_count *= 2
    return renew(table, slot_count)


cdef bint renew(MergeTable* table, uint64_t slot_count) noexcept nogil:
    """Move what is young enough to so many new slots."""
    cdef MergeTable fresh = table[0]
    cdef uint64_t slot
    fresh.slots = <Merge*>calloc(slot_count, sizeof(Merge))
    if fresh.slots == NULL:
        return False
    fresh.mask, fresh.count = slot_count - 1, 0
    if table.slots != NULL:
        for slot in range(table.mask + 1):
            if is_young(table, slot):
                fresh.slots[slot_of(&fresh, table.slots[slot].key)] = table.slots[slot]
                fresh.count += 1
        free(table.slots)
    table[0] = fresh
    return True


cdef void undo_merges(MergeTable* table) noexcept nogil:
    cdef uint64_t hole, next_place, home
    cdef const Merge* past
    if table.past_count:
        table.newest_ns = table.past_newest_ns
    while table.past_count:
        table.past_count -= 1
        past = table.past + table.past_count
        hole = slot_of(table, past.key)
        if past.time_ns != INT64_MAX:
            table.slots[hole] = past[0]
            continue
        # It was not there: close the gap, so that no search ends too early.
        table.count -= 1
        next_place = (hole + 1) & table.mask
        while table.slots[next_place].key != 0:
            home = mixed(table.slots[next_place].key) & table.mask
            if ((next_place - home) & table.mask) >= ((next_place - hole) & table.mask):
                table.slots[hole] = table.slots[next_place]
                hole = next_place
            next_place = (next_place + 1) & table.mask
        table.slots[hole].key = 0


@cython.final
cdef class Merges:
    """Owns a MergeTable."""

    def __dealloc__(self):
        free(self.table.slots)
        free(self.table.past)

    def __len__(self):
        return self.table.count

    def store_of(self, int64_t group):
        """The code of the store that has a group's orders; -1 where there is none."""
        cdef uint64_t slot
        if self.table.slots != NULL:
            for slot in range(self.table.mask + 1):
                if self.table.slots[slot].key != 0 and self.table.slots[slot].group == group:
                    return self.table.slots[slot].store
        return -1

    def rows(self):
        """All that may still matter, by key: rows of MERGE_DTYPE."""
        cdef Merge[::1] out
        cdef uint64_t slot
        cdef int64_t row = 0
        found = np.zeros(max(1, self.table.count), dtype=MERGE_DTYPE)
        out = found
        if self.table.slots != NULL:
            for slot in range(self.table.mask + 1):
                if is_young(&self.table, slot):
                    # Field by field: what lies between them is not to come along.
                    out[row].key = self.table.slots[slot].key
                    out[row].time_ns = self.table.slots[slot].time_ns
                    out[row].group = self.table.slots[slot].group
                    out[row].store = self.table.slots[slot].store
                    row += 1
        return np.sort(found[:row], order="key")

    @staticmethod
    def restored(const Merge[::1] rows):
        """From what `rows` of another gave."""
        cdef Merges merges = Merges()
        cdef Py_ssize_t row
        if not begin_merges(&merges.table, rows.shape[0]):
            raise MemoryError("no room for merge groups")
        for row in range(rows.shape[0]):
            note_merge(&merges.table, rows[row].key, rows[row].time_ns, rows[row].group,
                       rows[row].store)
        forget_past(&merges.table)
        return merges
