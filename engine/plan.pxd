"""Where an order is, which leaves are near it, and what to fetch before it is searched for."""
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint64_t

from fendan.engine.batch cimport Columns
from fendan.engine.geo cimport Place, Sketch
from fendan.engine.network cimport Leaves
from fendan.engine.shelves cimport Basket, Quantity, Shelves, lowest_bit

cdef enum:
    NUMBER = 63                 # the bits of a key that say which; see near.h
    NOT_FOUND = -1              # an ordinal


# How near boxes are, see near.h.
cdef struct Keys:
    int32_t branches[64]        # the first 64
    int32_t leaves[64]          # of the nearest branch


# What a search can know before it looks at stock.
cdef struct Plan:
    Place place
    Sketch sketch
    int32_t branch              # the nearest one
    int32_t leaf                # the nearest one in it
    int32_t least               # its key
    Keys* keys                  # whoever made the plan keeps them as long as somebody asks


cdef inline int64_t end_of(int64_t first, int64_t together, int64_t count) noexcept nogil:
    """The end of so many orders that go through a stage together; before the first there are none."""
    return min(first + together, count) if first >= 0 else first


cdef inline int32_t groups_of(int32_t count) noexcept nogil:
    return (count + 63) // 64


cdef inline size_t boxes_in_use(int32_t count, int32_t group) noexcept nogil:
    """How many of a group's 64 boxes to look at: a few, half of them or all."""
    cdef int32_t rest = count - group * 64
    return 64 if rest > 32 else 32 if rest > 16 else 16


cdef inline uint64_t real_boxes(int32_t count, int32_t group) noexcept nogil:
    """bit = 1: there is such a box in the group, as at least one is, and not just room for one."""
    return ~(<uint64_t>0) >> (64 - min(count - group * 64, 64))


cdef inline int32_t least_waiting(const int32_t* keys, uint64_t waiting) noexcept nogil:
    """The smallest key among the boxes whose bits are set; there is at least one."""
    cdef int32_t least = INT32_MAX
    cdef int box
    while waiting:
        box = lowest_bit(waiting)
        waiting &= waiting - 1
        if keys[box] < least:
            least = keys[box]
    return least


cdef void make_plan(Plan* plan, Keys* keys, const Leaves* leaves, double lat,
                    double lng) noexcept nogil

# Its parts, for who makes many plans: what each waits for, others have had time to compute.
cdef void find_branch(Plan* plan, Keys* keys, const Leaves* leaves) noexcept nogil
cdef void find_leaf(Plan* plan, const Leaves* leaves) noexcept nogil

# The keys once more, where they were not kept.
cdef void make_keys(Plan* plan, Keys* keys, const Leaves* leaves) noexcept nogil

# Fill in the keys of 64 branches, or of a branch's leaves, as far as they are in use; the least.
cdef int32_t branch_keys_of(const Leaves* leaves, int32_t group, const Plan* plan,
                            int32_t* keys) noexcept nogil
cdef int32_t leaf_keys_of(const Leaves* leaves, int32_t branch, const Plan* plan,
                          int32_t* keys) noexcept nogil

# What each stage of a batch fetches for the next one.
cdef void prefetch_shelves(const Shelves* shelves, const Columns* orders,
                           int64_t order) noexcept nogil
cdef void prefetch_words(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                         const Basket* basket) noexcept nogil
# And what taking them from the store found will ask for: `pairs`, of the first FEW_LINES lines.
cdef void prefetch_found(const Leaves* leaves, const Shelves* shelves, int32_t ordinal,
                         const Basket* basket, Quantity** pairs) noexcept nogil
