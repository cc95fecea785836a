"""Lots as routing asks for them: what is good for long enough, and what is held until further notice."""
from libc.stdint cimport int32_t, int64_t

from fendan.engine.lots cimport Lot, LotTable, free_from, has_lots

cdef enum:
    WITHOUT_LOTS = 2147483647   # pieces: what has no lots never expires

cdef extern from *:
    """
    #define FENDAN_NS_PER_DAY 86400000000000LL
    #define FENDAN_OFFSET_NS 28800000000000LL
    """
    const int64_t NS_PER_DAY "FENDAN_NS_PER_DAY"
    const int64_t OFFSET_NS "FENDAN_OFFSET_NS"      # of Asia/Shanghai, where stores are by default


# What an order asks of a lot: that it may be sold so many days beyond a day.
cdef struct Keep:
    int32_t day                 # since 1970-01-01: when the customer has it
    int32_t least_life_days     # of the rule; a SKU may ask for more


# Pieces of a lot that were reserved.
cdef struct Hold:
    Lot* lot
    int32_t pieces
    bint is_first               # of one line's


# What routing needs beside the lots; owned by a Stock.
cdef struct Larder:
    LotTable* lots
    const int32_t* least_lives  # [life_count], days by SKU code; SKUs beyond ask for none
    int32_t life_count
    int32_t today               # the day of the last command
    Hold* holds                 # [hold_count], of the batch under way, in turn
    int64_t hold_count
    int64_t hold_capacity
    bint no_memory              # a hold was not made for want of it


# -- QUERIES -----------------------------------------------------------------------------------

cdef inline int32_t day_of(int64_t time_ns) noexcept nogil:
    """The day of an instant where no policy says in which time zone a store is."""
    return <int32_t>((time_ns + OFFSET_NS) // NS_PER_DAY)

cdef inline int32_t keep_day(Keep keep) noexcept nogil:
    """The first sell-by day that is late enough, whatever the SKU asks for."""
    return keep.day + keep.least_life_days

cdef inline int32_t first_good(const Larder* larder, int32_t sku, Keep keep) noexcept nogil:
    """The first sell-by day that is late enough for a line."""
    cdef int32_t least = keep.least_life_days
    if sku < larder.life_count:
        least = max(least, larder.least_lives[sku])
    return keep.day + least

cdef inline int64_t good_from(const Larder* larder, int32_t store, int32_t sku,
                              int32_t from_day) noexcept nogil:
    """How many free pieces of a pair may be sold on a day still."""
    if not has_lots(larder.lots, store, sku):
        return WITHOUT_LOTS
    return free_from(larder.lots, store, sku, from_day)


# -- COMMANDS ----------------------------------------------------------------------------------

cdef inline void begin_holds(Larder* larder) noexcept nogil:
    """What was held before stays held."""
    larder.hold_count, larder.no_memory = 0, False

# As lots.hold, and it can be undone: what was held last is dropped first, or all is.
cdef void hold_for_now(Larder* larder, int32_t store, int32_t sku, int32_t from_day,
                       int32_t quantity) noexcept nogil
cdef void drop_hold(Larder* larder, int32_t store, int32_t sku) noexcept nogil
