"""Which stores together fill an order: as few as can be, or one after another."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MOST_ITEMS = 64             # one bit of a uint64 each
    EXACT_ITEMS = 16            # up to so many `fewest` is exact
    ITEM_SETS = 1 << 16         # of EXACT_ITEMS
    MOST_SHIPMENTS = 16
    MOST_OFFERS = 1 << 16       # a position takes 16 bits


# What one store could send. Offers stand in the order in which stores are preferred, best first.
cdef struct Offer:
    double distance_m           # finite, 0 to a hundred million
    uint64_t items              # bit i: it can send item i in full


# Room for one search at a time; owned by a Splitter, drawn in split.pyx.
cdef struct Workspace:
    int32_t item_count
    int32_t most_items          # that any one offer has
    int64_t least_amount        # 0: anything goes
    int64_t* amounts            # [ITEM_SETS], what each set is worth
    int64_t* singles            # [ITEM_SETS], the best offer for each set
    int32_t candidate_count
    uint16_t* candidates        # [ITEM_SETS], what the offers have that no other offer beats
    int64_t* sums               # [MOST_SHIPMENTS + 1][1 << item_count]
    uint16_t* parts             # [MOST_SHIPMENTS + 1][1 << item_count]


cdef int32_t fewest(const Offer* offers, int32_t offer_count, int32_t item_count,
                    const int64_t* amounts, int64_t least_amount, int32_t most_shipments,
                    int32_t* assignment, Workspace* work) noexcept nogil
cdef int32_t nearest(const Offer* offers, int32_t offer_count, int32_t item_count,
                     const int64_t* amounts, int64_t least_amount, int32_t most_shipments,
                     int32_t* assignment) noexcept nogil


@cython.final
cdef class Splitter:
    cdef Workspace work
