"""One step in the life of an order: its event, made, applied and written down."""
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.events cimport Lines, OrderEvent
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport Table
from fendan.engine.shelves cimport Quantity, Shelves


# An event of an order where it is now, that moves nothing yet; its lines, and their counts as they
# are now, for which `before` has room.
cdef void begin_event(OrderEvent* event, const Table* table, int64_t number,
                      uint8_t kind) noexcept nogil
cdef void add_lines(OrderEvent* event, const Table* table, int64_t number) noexcept nogil
cdef void add_counts(OrderEvent* event, const Shelves* shelves, int32_t ordinal,
                     Quantity* before) noexcept nogil

# Make room for as many events of each record, and for rows of stock events beside.
cdef int make_room(Orders orders, list numbers, int64_t events, int64_t rows) except -1

# Apply an event and write it down. Room was made.
cdef int happen(Orders orders, int64_t number, const OrderEvent* event, int64_t now_ns) except -1

# The event that leads an order on, where it is now, with all that it moves there.
cdef int take_step(Orders orders, Lines lines, int64_t number, uint8_t kind, int64_t now_ns,
                   bint to_stock, uint8_t reason) except -1
