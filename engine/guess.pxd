"""The nearest store by the bitmaps alone, in pieces that a batch takes apart."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.network cimport Leaves
from fendan.engine.plan cimport Plan
from fendan.engine.search cimport FEW_LEAVES
from fendan.engine.shelves cimport Basket, Shelves


# How far orders of a batch may go, as squared chords of sketches.
cdef struct Reach:
    double radius_m             # +inf: none
    float sure                  # up to here a store is within the radius without measuring
    int32_t limit_key           # beyond this no store is; see near.h
    int32_t patience            # how often a second leaf is tried where the nearest has nobody


# A guess under way. Each leaf has one nearest candidate: key << 32 | leaf.
cdef struct Guess:
    int32_t without             # the ordinal of a store that shall not win, or NOT_FOUND
    int64_t nearest             # of all leaves that were looked at
    int64_t second              # and of the others
    uint64_t near               # bit = 1: that leaf of the plan's branch may hold something nearer
    int32_t far[FEW_LEAVES]     # leaves of other branches that may
    int32_t far_count
    bint is_wide                # more leaves may than are looked at unasked


cdef void set_reach(Reach* reach, double radius_m) noexcept nogil

# One after another, each for many orders before the next: what one waits for, others have had time
# to compute or to fetch. Look at the nearest leaf; say which others may hold something nearer, and
# fetch what is read of them; look at those.
cdef void begin_guess(Guess* guess, const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                      const Basket* basket, int32_t without) noexcept nogil
cdef void narrow_guess(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, Reach* reach) noexcept nogil
cdef void prefetch_rest(const Guess* guess, const Shelves* shelves, const Plan* plan,
                        const Basket* basket) noexcept nogil
cdef void look_further(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket) noexcept nogil

# The ordinal of the nearest store whose bits say that it has every line, or NOT_FOUND. Without a
# store: it has been seen not to have them; and where it must be searched for, counts are seen as well.
cdef int32_t end_guess(const Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, const Reach* reach) noexcept nogil

# All of it at once, without that store.
cdef int32_t guess_again(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                         const Plan* plan, const Basket* basket, Reach* reach,
                         int32_t without) noexcept nogil
