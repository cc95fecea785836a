"""The search: the nearest store that has every line, or the best one under terms, exactly."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.batch cimport Columns
from fendan.engine.network cimport Leaves
from fendan.engine.plan cimport Plan
from fendan.engine.shelves cimport Basket, Quantity, Shelves
from fendan.engine.terms cimport Bid, Terms

cdef enum StatusCode:
    STATUS_ASSIGNED = 1
    STATUS_UNASSIGNED = 2

cdef enum ReasonCode:
    REASON_NONE = 0
    REASON_NO_STORES = 1
    REASON_NO_STORE_IN_RADIUS = 2
    REASON_NO_STOCK_IN_RADIUS = 3
    REASON_NO_STOCK = 4
    REASON_TOO_MANY_ATTEMPTS = 5
    REASON_NO_STORE_ELIGIBLE = 6
    REASON_CANNOT_BE_PROMISED = 7
    REASON_PICKUP_STORE = 8
    REASON_NO_SUPPLY = 9
    REASON_GROUP_NOT_WHOLE = 10

# What one order was told.
cdef struct Verdict:
    double distance_m           # NaN where there is no store
    int32_t store               # code, or NO_STORE
    uint8_t status              # StatusCode
    uint8_t reason              # ReasonCode
    uint8_t step                # rules.StepName; 0 where no policy was asked
    uint8_t shipments           # how many there are, where more than one: `store` has the first


# A search under way. Distances are squared chords of sketches; see geo.chord_margin.
cdef struct Search:
    const Leaves* leaves
    const Shelves* shelves
    const Plan* plan
    const Basket* basket
    const uint64_t* allowed     # [leaf_count], bit = 1: the store may be chosen
    bint verify                 # False: trust the bitmaps, counts unseen
    Terms* terms                # what the order is routed under, or NULL: the nearest store
    Bid bid                     # under terms: the best so far
    double radius_m             # +inf: none
    float sure                  # up to here a store is within the radius without measuring
    float limit                 # beyond this no store can win
    int32_t best                # ordinal, or NOT_FOUND
    float best_squared


# The ordinal of the nearest allowed store that has every line, or NOT_FOUND; reserves nothing.
cdef int32_t find(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                  const Basket* basket, const uint64_t* allowed, double radius_m,
                  bint verify) noexcept nogil

# As `find` under terms: the best store by their ranking; `best` gets it. `allowed` is the step's, or
# has fewer stores.
cdef int32_t find_under(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, Terms* terms, const uint64_t* allowed, bint verify,
                        Bid* best) noexcept nogil

# Choose and reserve, for one order or for many in turn. Degrees in range, baskets valid. `before`
# gets the counts that each line found at its store, or is NULL; `allowed` is NULL or as in Search.
cdef Verdict route_one(const Leaves* leaves, Shelves* shelves, double lat, double lng,
                       const Basket* basket, double radius_m,
                       const uint64_t* allowed, Quantity* before) noexcept nogil
cdef void route_many(const Leaves* leaves, Shelves* shelves, const Columns* orders,
                     double radius_m, Verdict* verdicts, Quantity* before) noexcept nogil
