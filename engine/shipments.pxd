"""What an order is promised beside its store, and how it was split."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.larder cimport Keep
from fendan.engine.shelves cimport Basket, Quantity

cdef enum:
    MAX_SHIPMENTS = 16          # of one order

# What of an order forbids to look for another store later.
cdef enum:
    PICKUP_NAMED = 1
    IN_GROUP = 2

# It names a bundle that asks for more than its parts do.
cdef enum:
    OF_BUNDLES = 4


# What a decision under a policy says beside its store. All zero: no policy was asked.
cdef struct Grant:
    int64_t promised_ns         # when the customer has it, 0: nobody can tell
    int64_t merge_group         # from 1; 0: none
    uint64_t merge_key          # what its orders have in common, see merges; 0: none
    uint64_t asked_hash         # of what the order says beside its place and lines
    int64_t due_ns              # when what is reserved times out, or terms.NEVER_NS; not kept
    int32_t policy_version
    int32_t channel             # code in Asking, or NO_NAME
    int32_t region              # code in Asking, or NO_NAME
    int32_t keep_day            # lots must be good on that day at least, since 1970; 0: any day
    uint8_t order_type          # rules.OrderType
    uint8_t step                # rules.StepName
    uint8_t shipment_count      # 1, or how many Parts there are; 0: unassigned
    uint8_t flags               # PICKUP_NAMED, IN_GROUP, OF_BUNDLES
    int32_t least_life_days     # of the rule: what `keep_day` has in it, beside the promised day


# One shipment of a split order, and the lines of it in the arrays of its Shipments.
cdef struct Part:
    int64_t row                 # the order's, in its batch
    int64_t first_line
    int64_t promised_ns         # as in Grant
    int64_t due_ns              # of what waits for supply; 0: as in the order's Grant
    double distance_m
    int32_t line_count
    int32_t store               # code
    int32_t keep_day            # as in Grant


# The shipments of the split orders of a batch, in the order in which they were decided.
cdef struct PartList:
    Part* parts                 # [count]
    int64_t count
    int64_t capacity
    int32_t* skus               # [line_count]
    int32_t* quantities
    int64_t* amounts            # all 0 where the order has none
    Quantity* before            # the counts that each line found at its store
    int64_t line_count
    int64_t line_capacity


# Make room for one more part with so many lines; whether there is any.
cdef bint reserve_part(PartList* list, int64_t line_count) noexcept nogil

# Add a part with its lines, whose `before` may be NULL; NULL where there is no room for it.
cdef Part* add_part(PartList* list, int64_t row, const Basket* lines,
                    const Quantity* before) noexcept nogil

# The first of the parts of a row, in a list by rows; or where it would stand.
cdef int64_t first_part(const PartList* list, int64_t row) noexcept nogil

# What lots must be good for, as it was promised with this day.
cdef inline Keep keep_of(const Grant* grant, int32_t keep_day) noexcept nogil:
    cdef Keep keep
    keep.day = keep_day - grant.least_life_days
    keep.least_life_days = grant.least_life_days
    return keep

# The lines of a part, which has amounts if one of them has.
cdef inline Basket lines_of(const PartList* list, const Part* part) noexcept nogil:
    cdef Basket basket
    cdef int64_t line
    basket.skus = list.skus + part.first_line
    basket.quantities = list.quantities + part.first_line
    basket.amounts = NULL
    basket.line_count = part.line_count
    for line in range(part.first_line, part.first_line + part.line_count):
        if list.amounts[line]:
            basket.amounts = list.amounts + part.first_line
            break
    return basket


@cython.final
cdef class Shipments:
    cdef PartList list
