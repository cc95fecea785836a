"""The order table: what each known id asked for, what it was told, and whether stock is held."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.names cimport Span
from fendan.engine.network cimport MAX_ID_BYTES
from fendan.engine.router cimport Verdict
from fendan.engine.shelves cimport Basket
from fendan.engine.shipments cimport Grant

cdef enum:
    PAGE_ORDERS = 16384         # a power of two
    NO_RECORD = -1
    NO_ROOM = -2
    NO_REJECTION = 0
    NO_PAGE = -1
    SEPARATOR = 0x1f            # between an order's id and the number of its shipment
    SUFFIX_BYTES = 3            # what a shipment's id has beyond its order's, at most

# Where an order is in its life. The first two equal the status that it was told.
cdef enum StateCode:
    STATE_ASSIGNED = 1
    STATE_UNASSIGNED = 2
    STATE_ACCEPTED = 3
    STATE_PICKED = 4
    STATE_SHIPPED = 5
    STATE_DELIVERED = 6
    STATE_REJECTED = 7
    STATE_CANCELLED = 8
    STATE_EXPIRED = 9
    STATE_RETURNED = 10

# What is to be known of an order beside its state.
cdef enum:
    RETURNED_TO_STOCK = 1
    FLAG_PRICED = 2             # its block has amounts
    FLAG_GRANTED = 4            # its block has a Grant: it was decided under a policy
    FLAG_SPLIT = 8              # it has shipments, which hold its stock; it holds none itself
    FLAG_SHIPMENT = 16          # it is one of those
    ALL_FLAGS = 31


# One order. Its block, in the page, is skus int32[line_count], quantities int32[line_count],
# amounts int64[line_count] if it is priced, a Grant if it has one, the id's bytes, and zeros up to
# the next multiple of 8.
cdef struct Record:
    double lat
    double lng
    Verdict verdict             # the first decision: what a retry is told
    Verdict current             # where the order is now; another store after a rejection
    int64_t due_ns              # when the reservation times out, or NEVER_NS
    int64_t block               # where, in the page's blocks
    uint32_t hash               # of the id
    int32_t line_count
    int32_t rejection           # the newest of this order in the page's rejections, from 1
    uint8_t id_size             # MAX_ID_BYTES fits
    uint8_t state               # StateCode
    uint8_t attempts            # how many stores it was assigned to
    uint8_t flags               # RETURNED_TO_STOCK, FLAG_...


# That a store would not have an order.
cdef struct Rejection:
    int64_t time_ns
    int32_t store
    int32_t before              # the same order's rejection before this one, or NO_REJECTION


cdef struct Page:
    Record* records             # [PAGE_ORDERS]
    char* blocks
    int64_t used                # bytes of blocks
    int64_t capacity
    int32_t count
    int32_t held_count          # records that keep the page, see records.pyx
    int64_t due_ns              # no reservation of the page times out before
    Rejection* rejections       # [rejection_count]; number n stands at n - 1
    int32_t rejection_count
    int32_t rejection_capacity


# Owned by a Records, drawn in records.pyx.
cdef struct Table:
    uint64_t* slots             # [mask + 1]
    uint64_t mask
    Page* pages                 # [page_count]
    int32_t page_count
    int32_t* by_age             # [aged_count], numbers of the pages in use, oldest first
    int32_t aged_count
    int64_t count               # records
    int64_t shipment_count      # of those, the ones with FLAG_SHIPMENT
    uint64_t ample              # how many slots are enough for all that is remembered


cdef int64_t find_record(const Table* table, Span id, uint32_t hash) noexcept nogil
cdef void prefetch_slot(const Table* table, uint32_t hash) noexcept nogil
cdef int64_t add_record(Table* table, Span id, uint32_t hash, double lat, double lng,
                        const Basket* basket, uint8_t flags) noexcept nogil
cdef int32_t fresh_page(Table* table) noexcept nogil
cdef bint has_slots(Table* table, int64_t more) noexcept nogil
cdef void drop_newest(Table* table, int64_t count) noexcept nogil
cdef void set_verdict(Table* table, int64_t number, const Verdict* verdict,
                      int64_t due_ns) noexcept nogil
cdef void set_state(Table* table, int64_t number, uint8_t state) noexcept nogil
cdef void set_due(Table* table, int64_t number, int64_t due_ns) noexcept nogil
cdef bint reserve_rejection(Table* table, int64_t number) noexcept nogil
cdef void add_rejection(Table* table, int64_t number, int32_t store, int64_t time_ns) noexcept nogil
cdef void retire(Table* table, int64_t remembered) noexcept nogil

# -- SHIPMENTS: records of their own, whose ids are made of the order's
cdef Span shipment_id(Span order_id, int32_t number, char* room) noexcept nogil
cdef Span order_id_in(Span id) noexcept nogil
cdef int64_t find_shipment(const Table* table, int64_t order, int32_t number) noexcept nogil
cdef int64_t find_order(const Table* table, Span id) noexcept nogil
cdef int64_t order_of(const Table* table, int64_t number) noexcept nogil
cdef int32_t number_in(Span id) noexcept nogil
cdef void tell_shipment(Table* table, int64_t number) noexcept nogil
cdef uint8_t state_of_shipments(const Table* table, int64_t order) noexcept nogil
cdef void pin(Table* table, int64_t number, int64_t order) noexcept nogil


cdef inline bint is_open(const Record* record) noexcept nogil:
    """Whether stock is reserved for the order, or for one of its shipments."""
    return (record.state == STATE_ASSIGNED or record.state == STATE_ACCEPTED
            or record.state == STATE_PICKED)

cdef inline bint holds(const Record* record) noexcept nogil:
    """Whether stock is reserved for the order itself."""
    return is_open(record) and not record.flags & FLAG_SPLIT

cdef inline Page* page_of(const Table* table, int64_t number) noexcept nogil:
    return table.pages + (number // PAGE_ORDERS)

cdef inline Record* record_at(const Table* table, int64_t number) noexcept nogil:
    return page_of(table, number).records + (number & (PAGE_ORDERS - 1))

cdef inline int64_t line_bytes(uint8_t flags) noexcept nogil:
    """How much of a record's block each line takes."""
    return 16 if flags & FLAG_PRICED else 8

cdef inline int64_t lines_bytes(const Record* record) noexcept nogil:
    """How much of its block the lines of a record take."""
    return line_bytes(record.flags) * record.line_count

cdef inline Basket basket_at(const Table* table, int64_t number) noexcept nogil:
    """What the order asked for; good until the next record is added."""
    cdef Basket basket
    cdef const Record* record = record_at(table, number)
    basket.line_count = record.line_count
    basket.skus = <const int32_t*>(page_of(table, number).blocks + record.block)
    basket.quantities = basket.skus + record.line_count
    basket.amounts = NULL
    if record.flags & FLAG_PRICED:
        basket.amounts = <const int64_t*>(basket.quantities + record.line_count)
    return basket

cdef inline const Rejection* rejection_of(const Table* table, int64_t number,
                                          int32_t rejection) noexcept nogil:
    """One of an order's rejections; `rejection` is the record's, or the `before` of another."""
    return page_of(table, number).rejections + (rejection - 1)

cdef inline Span id_at(const Table* table, int64_t number) noexcept nogil:
    """The order's id; good until the next record is added."""
    cdef Span id
    cdef const Record* record = record_at(table, number)
    id.text = page_of(table, number).blocks + record.block + lines_bytes(record)
    if record.flags & FLAG_GRANTED:
        id.text += sizeof(Grant)
    id.size = record.id_size
    return id

cdef inline Grant* grant_at(const Table* table, int64_t number) noexcept nogil:
    """What the order was promised first, or NULL; good until the next record is added."""
    cdef const Record* record = record_at(table, number)
    if not record.flags & FLAG_GRANTED:
        return NULL
    return <Grant*>(page_of(table, number).blocks + record.block + lines_bytes(record))


@cython.final
cdef class Records:
    cdef Table table
