"""Which orders belong together: those of one buyer to one address, and those of one group."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t


# The last order of a key.
cdef struct Merge:
    uint64_t key                # 0: an empty slot
    int64_t time_ns             # when it was decided
    int64_t group               # what all orders of the key within the window are called; above 0
    int32_t store               # which had it, or NO_STORE
    int32_t unused              # 0: what is hashed has no gaps, which nobody fills


# Owned by a Merges, drawn in merges.pyx.
cdef struct MergeTable:
    Merge* slots                # [mask + 1]
    uint64_t mask
    int64_t count
    int64_t newest_ns           # the time of the last order of all
    int64_t past_newest_ns      # before this batch
    Merge* past                 # [past_count], what stood there before each change of this batch
    int64_t past_count
    int64_t past_capacity


# The last order of a key, where that is no longer ago than the window; or NULL.
cdef const Merge* merge_of(const MergeTable* table, uint64_t key, int64_t now_ns,
                           int64_t window_ns) noexcept nogil
# Note an order of a key; room was made. The group is a new one where `group` is 0; returns it.
cdef int64_t note_merge(MergeTable* table, uint64_t key, int64_t now_ns, int64_t group,
                        int32_t store) noexcept nogil
# Make room for so many orders of a batch, and begin anew to remember what stood there before.
cdef bint begin_merges(MergeTable* table, int64_t count) noexcept nogil
# What was noted so far stays, whatever is undone later.
cdef inline void forget_past(MergeTable* table) noexcept nogil:
    table.past_count = 0
    table.past_newest_ns = table.newest_ns

# Undo all that was noted since then.
cdef void undo_merges(MergeTable* table) noexcept nogil


@cython.final
cdef class Merges:
    cdef MergeTable table
