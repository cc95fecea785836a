"""The order table: what each known id asked for, what it was told, and whether stock is held."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.names cimport Span
from fendan.engine.router cimport Verdict
from fendan.engine.stock cimport Basket

cdef enum:
    PAGE_ORDERS = 16384         # a power of two
    NO_RECORD = -1
    NO_ROOM = -2


# One order. Its block, in the page, is skus[line_count], quantities[line_count], the id's bytes.
cdef struct Record:
    double lat
    double lng
    Verdict verdict
    uint32_t hash               # of the id
    int32_t line_count
    int64_t block               # where, in the page's blocks
    uint8_t id_size             # MAX_ID_BYTES fits
    bint held


cdef struct Page:
    Record* records             # [PAGE_ORDERS]
    char* blocks
    int64_t used                # bytes of blocks
    int64_t capacity
    int32_t count
    int32_t held_count


# Owned by a Records, drawn in records.pyx.
cdef struct Table:
    uint64_t* slots             # [mask + 1]
    uint64_t mask
    Page* pages                 # [page_count]
    int32_t page_count
    int32_t* by_age             # [aged_count], numbers of the pages in use, oldest first
    int32_t aged_count
    int64_t count               # records
    uint64_t ample              # how many slots are enough for all that is remembered


cdef int64_t find_record(const Table* table, Span id, uint32_t hash) noexcept nogil
cdef void prefetch_slot(const Table* table, uint32_t hash) noexcept nogil
cdef int64_t add_record(Table* table, Span id, uint32_t hash, double lat, double lng,
                        const Basket* basket) noexcept nogil
cdef void drop_newest(Table* table, int64_t count) noexcept nogil
cdef void set_verdict(Table* table, int64_t number, const Verdict* verdict) noexcept nogil
cdef void let_go(Table* table, int64_t number) noexcept nogil
cdef void retire(Table* table, int64_t remembered) noexcept nogil


cdef inline Page* page_of(const Table* table, int64_t number) noexcept nogil:
    return table.pages + (number // PAGE_ORDERS)

cdef inline Record* record_at(const Table* table, int64_t number) noexcept nogil:
    return page_of(table, number).records + (number & (PAGE_ORDERS - 1))

cdef inline Basket basket_at(const Table* table, int64_t number) noexcept nogil:
    """What the order asked for; good until the next record is added."""
    cdef Basket basket
    cdef const Record* record = record_at(table, number)
    basket.line_count = record.line_count
    basket.skus = <const int32_t*>(page_of(table, number).blocks + record.block)
    basket.quantities = basket.skus + record.line_count
    return basket

cdef inline Span id_at(const Table* table, int64_t number) noexcept nogil:
    """The order's id; good until the next record is added."""
    cdef Span id
    cdef const Record* record = record_at(table, number)
    id.text = page_of(table, number).blocks + record.block + 8 * <int64_t>record.line_count
    id.size = record.id_size
    return id


@cython.final
cdef class Records:
    cdef Table table
