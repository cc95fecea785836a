"""Choosing a store and reserving there."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.batch cimport Columns
from fendan.engine.network cimport Leaves
from fendan.engine.shelves cimport Basket, Quantity, Shelves

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


# Choose and reserve, for one order or for many in turn. Degrees in range, baskets valid. `before`
# gets the counts that each line found at its store, or is NULL; `allowed` is NULL or as in search.Search.
cdef Verdict route_one(const Leaves* leaves, Shelves* shelves, double lat, double lng,
                       const Basket* basket, double radius_m,
                       const uint64_t* allowed, Quantity* before) noexcept nogil
cdef void route_many(const Leaves* leaves, Shelves* shelves, const Columns* orders,
                     double radius_m, Verdict* verdicts, Quantity* before) noexcept nogil
