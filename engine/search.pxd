"""The search: the nearest store that has every line, or the best one under terms, exactly."""
from libc.stdint cimport int32_t, uint64_t

from fendan.engine.network cimport Leaves
from fendan.engine.plan cimport Plan
from fendan.engine.shelves cimport Basket, Shelves
from fendan.engine.terms cimport Bid, Terms

cdef enum:
    FEW_LEAVES = 8              # as many are looked at unasked; of more, those with the lines
    MANY = FEW_LEAVES + 1

# A leaf that is still to be visited, and how near it is; see near.h.
cdef struct LeafAhead:
    int32_t key
    int32_t leaf


# A search under way. Distances are squared chords of sketches; see geo.chord_margin.
cdef struct Search:
    const Leaves* leaves
    const Shelves* shelves
    const Plan* plan
    const Basket* basket
    const uint64_t* allowed     # [leaf_count], bit = 1: the store may be chosen
    int32_t without             # the ordinal of a store that shall not win, or NOT_FOUND
    bint verify                 # False: trust the bitmaps; counts, areas and promises unseen
    Terms* terms                # what the order is routed under, or NULL: the nearest store
    Bid bid                     # under terms: the best so far
    Bid second                  # and the best of those that lost to it; ordinal NOT_FOUND: none
    double radius_m             # +inf: none
    float sure                  # up to here a store is within the radius without measuring
    float limit                 # beyond this no store can win
    int32_t best                # ordinal, or NOT_FOUND
    float best_squared
    LeafAhead rest[FEW_LEAVES]  # where else something better may be
    int32_t rest_count          # MANY: in too many leaves to say


# The ordinal of the nearest allowed store that has every line, or NOT_FOUND; reserves nothing.
cdef int32_t find(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                  const Basket* basket, const uint64_t* allowed, double radius_m,
                  bint verify) noexcept nogil

# As `find` under terms: the best store by their ranking; `best` gets it. `allowed` is the step's, or
# has fewer stores.
cdef int32_t find_under(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, Terms* terms, const uint64_t* allowed,
                        Bid* best) noexcept nogil

# The same in pieces, with time to fetch what the next one reads: `set_search`, perhaps its `terms`,
# `search_nearest`, `note_rest`, `prefetch_rest`, `search_rest`.
cdef void set_search(Search* search, const Leaves* leaves, const Shelves* shelves,
                     const Plan* plan, const Basket* basket, const uint64_t* allowed,
                     double radius_m, bint verify) noexcept nogil
# Who is best without the best that was found, by the bitmaps alone.
cdef void search_second(Search* search) noexcept nogil
cdef void search_nearest(Search* search) noexcept nogil
cdef void note_rest(Search* search) noexcept nogil
cdef void prefetch_rest(const Search* search) noexcept nogil
cdef void search_rest(Search* search) noexcept nogil
