"""What happened, as the journal keeps it: decisions, movements and changes of the network."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.fields cimport Reader
from fendan.engine.names cimport Span
from fendan.engine.shelves cimport Basket, Quantity
from fendan.engine.shipments cimport Grant

# The first ten lead an order to the state of the same number (records.StateCode).
cdef enum KindCode:
    EVENT_ASSIGNED = 1
    EVENT_UNASSIGNED = 2
    EVENT_ACCEPTED = 3
    EVENT_PICKED = 4
    EVENT_SHIPPED = 5
    EVENT_DELIVERED = 6
    EVENT_REJECTED = 7
    EVENT_CANCELLED = 8
    EVENT_EXPIRED = 9
    EVENT_RETURNED = 10
    EVENT_SPLIT = 11            # an order is split; its shipments follow, each ASSIGNED
    LAST_ORDER_EVENT = 11
    EVENT_STOCK_SET = 16
    EVENT_STOCK_ADJUSTED = 17
    EVENT_STOCK_CORRECTED = 18
    LAST_STOCK_EVENT = 18
    EVENT_HELD_SET = 19
    EVENT_LOTS_SET = 20
    EVENT_STORE_ADDED = 32
    EVENT_STORE_UPDATED = 33
    EVENT_STORE_PAUSED = 34
    EVENT_STORE_RESUMED = 35
    EVENT_STORE_REMOVED = 36
    EVENT_SKUS_NAMED = 48
    EVENT_VERSION = 49
    EVENT_KEY = 50
    EVENT_SETTINGS = 51
    EVENT_DOCUMENT = 52
    EVENT_THRESHOLDS = 53

# What an order event has, beside what each has.
cdef enum:
    HAS_PLACE = 1               # lat and lng: a first decision
    HAS_DISTANCE = 2
    HAS_DUE = 4
    HAS_MOVED = 8               # each line has its counts before, and the kind says what moved
    HAS_AMOUNTS = 16
    HAS_GRANT = 32              # what was promised: decided under a policy
    ALL_PARTS = 63


# One event of an order, to be written, or as it was read.
cdef struct OrderEvent:
    Span id
    double lat                  # of a first decision (HAS_PLACE)
    double lng
    double distance_m           # HAS_DISTANCE
    int64_t due_ns              # HAS_DUE
    int32_t store               # code, or NO_STORE
    uint8_t kind
    uint8_t flags
    uint8_t reason              # router.ReasonCode, or why a store rejected
    uint8_t attempts            # how many stores the order was assigned to, this one included
    Basket basket               # may have no lines
    const Quantity* before      # [line_count] of the pairs, where they moved (HAS_MOVED)
    Grant grant                 # HAS_GRANT; its due_ns is not in it


# Counts that were set: one row of a stock event.
cdef struct StockRow:
    int32_t sku
    int32_t before              # on hand
    int32_t after
    int32_t reserved


# Growing bytes; what is in `data` up to `size` are `count` whole events.
cdef struct EventBuffer:
    uint8_t* data
    int64_t size
    int64_t capacity
    int64_t count


# How many bytes an order's event takes at most.
cdef inline int64_t most_order_bytes(int64_t id_size, int64_t line_count) noexcept nogil:
    return 152 + id_size + 36 * line_count


# Writing needs room made before: then nothing can fail. Returns whether every count after it is one
# that can be; where not, a promise is broken, and the engine must stop.
cdef bint put_order_event(EventBuffer* buffer, const OrderEvent* event) noexcept nogil

# Reading; False where the bytes are no such event, see Reader.wrong. `lines` has room for as many.
cdef bint read_code(Reader* reader, int32_t* value) noexcept nogil
cdef bint read_byte(Reader* reader, uint8_t* value) noexcept nogil
cdef bint read_fixed(Reader* reader, void* value) noexcept nogil
cdef bint read_text(Reader* reader, Span* text) noexcept nogil
cdef bint read_stock_row(Reader* reader, StockRow* row) noexcept nogil
cdef bint read_order_event(Reader* reader, OrderEvent* event, int32_t* skus, int32_t* quantities,
                           int64_t* amounts, Quantity* before) noexcept nogil


# What moves by an order event with HAS_MOVED: the counts after, of one line.
cdef inline Quantity moved(uint8_t kind, Quantity before, int32_t quantity) noexcept nogil:
    cdef Quantity after = before
    cdef int32_t on_hand
    if kind == EVENT_ASSIGNED:
        after.net -= quantity
        after.reserved += quantity
    elif kind == EVENT_SHIPPED:
        # A snapshot may have counted it as gone already: what is on hand is never below nothing.
        on_hand = max(0, before.net + before.reserved - quantity)
        after.reserved -= quantity
        after.net = on_hand - after.reserved
    elif kind == EVENT_RETURNED:
        after.net += quantity
    else:  # rejected, cancelled, expired: given back
        after.net += quantity
        after.reserved -= quantity
    return after


cdef inline bint can_be(uint8_t kind, Quantity before, int32_t quantity) noexcept nogil:
    """Whether an event may do this: nothing below zero, nothing sold that was not there."""
    cdef Quantity after = moved(kind, before, quantity)
    if kind == EVENT_ASSIGNED and before.net < quantity:
        return False
    return after.reserved >= 0 and <int64_t>after.net + after.reserved >= 0


@cython.final
cdef class Events:
    cdef EventBuffer buffer
    cdef int64_t _spare

    cdef int reserve(self, int64_t size) except -1
    cdef uint8_t* _begin(self, kind, int64_t text_bytes) except NULL
    cdef int _end(self, uint8_t* at) except -1


@cython.final
cdef class Lines:
    cdef int32_t* skus          # [MAX_LINES_PER_ORDER]
    cdef int32_t* quantities
    cdef int64_t* amounts
    cdef Quantity* before
