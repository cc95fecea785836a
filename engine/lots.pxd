"""Stock with sell-by days: how many of each day, and how many of those are held for orders."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    MOST_LOTS = 64              # of one pair: two months of a daily delivery
    NO_DAY = -2147483648        # before all days


# So many pieces with one last day on which they may be sold.
cdef struct Lot:
    int32_t day                 # since 1970-01-01
    int32_t on_hand
    int32_t reserved


# The lots of one (store, SKU) pair.
cdef struct LotPair:
    uint64_t key                # see `key_of`; 0: an empty slot
    Lot* lots                   # [lot_count]
    int64_t lot_count           # 0: the pair has had lots, but has none now


# All pairs that have lots; owned by a Lots, drawn in lots.pyx.
cdef struct LotTable:
    LotPair* slots              # [mask + 1]
    uint64_t mask
    int64_t used                # slots that are not empty
    int64_t lot_count           # of all pairs


# -- ONE PAIR ----------------------------------------------------------------------------------
cdef LotPair* pair_of(const LotTable* table, int32_t store, int32_t sku) noexcept nogil
cdef int64_t reserve(LotPair* pair, int32_t from_day, int64_t quantity) noexcept nogil

# -- QUERIES -----------------------------------------------------------------------------------
cdef bint has_lots(const LotTable* table, int32_t store, int32_t sku) noexcept nogil
cdef int64_t total(const LotTable* table, int32_t store, int32_t sku) noexcept nogil
cdef int64_t free_from(const LotTable* table, int32_t store, int32_t sku,
                       int32_t from_day) noexcept nogil
cdef int32_t first_day(const LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                       int32_t quantity) noexcept nogil

# -- COMMANDS ----------------------------------------------------------------------------------
cdef void hold(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
               int32_t quantity) noexcept nogil
cdef void release(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                  int32_t quantity) noexcept nogil
cdef void ship(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
               int32_t quantity) noexcept nogil
cdef void put_back(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                   int32_t quantity) noexcept nogil
cdef void correct(LotTable* table, int32_t store, int32_t sku, int32_t on_hand) noexcept nogil


@cython.final
cdef class Lots:
    cdef LotTable table

    cdef LotPair* _slot(self, int32_t store, int32_t sku) except NULL
