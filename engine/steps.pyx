"""One step in the life of an order: its event, made, applied and written down.

What an event does is told by `effect` alone; here it gets what it needs to be an event.
"""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fendan.engine.effect cimport apply_order_event
from fendan.engine.events cimport (
    EVENT_RETURNED, EVENT_SHIPPED, HAS_AMOUNTS, HAS_MOVED, Lines, OrderEvent, most_order_bytes,
    put_order_event,
)
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport Record, Table, basket_at, holds, id_at, record_at
from fendan.engine.shelves cimport Quantity, Shelves, quantity

from fendan.engine.fault import Fault
from fendan.errors import refuse


cdef void begin_event(OrderEvent* event, const Table* table, int64_t number,
                      uint8_t kind) noexcept nogil:
    cdef const Record* record = record_at(table, number)
    memset(event, 0, sizeof(OrderEvent))
    event.id = id_at(table, number)
    event.lat = event.lng = event.distance_m = NAN
    event.kind = kind
    event.store = record.current.store
    event.attempts = record.attempts


cdef void add_lines(OrderEvent* event, const Table* table, int64_t number) noexcept nogil:
    event.basket = basket_at(table, number)
    if event.basket.amounts != NULL:
        event.flags |= HAS_AMOUNTS


cdef void add_counts(OrderEvent* event, const Shelves* shelves, int32_t ordinal,
                     Quantity* before) noexcept nogil:
    cdef int64_t line
    for line in range(event.basket.line_count):
        before[line] = quantity(shelves, event.basket.skus[line], ordinal)[0]
    event.before = before
    event.flags |= HAS_MOVED


cdef int make_room(Orders orders, list numbers, int64_t events, int64_t rows) except -1:
    cdef const Table* table = &orders.records.table
    cdef int64_t number, size = 0
    if orders.events is None:
        return 0
    for number in numbers:
        size += events * most_order_bytes(
            id_at(table, number).size, record_at(table, number).line_count
        )
    orders.events.make_room(rows, size, rows)
    return 0


cdef int happen(Orders orders, int64_t number, const OrderEvent* event, int64_t now_ns) except -1:
    apply_order_event(orders, number, event, now_ns)
    if orders.events is not None:
        if not put_order_event(&orders.events.buffer, event):
            refuse(Fault.BREACH, "order_id", event.id.text[:event.id.size].decode(),
                   hint="its store cannot have had such counts")
    return 0


cdef int take_step(Orders orders, Lines lines, int64_t number, uint8_t kind, int64_t now_ns,
                   bint to_stock, uint8_t reason) except -1:
    cdef const Table* table = &orders.records.table
    cdef const Record* record = record_at(table, number)
    cdef bint ends_hold = holds(record) and kind >= EVENT_SHIPPED
    cdef OrderEvent event
    begin_event(&event, table, number, kind)
    event.reason = reason
    if ends_hold or kind == EVENT_RETURNED:
        add_lines(&event, table, number)
    if ends_hold or to_stock:
        add_counts(&event, &orders.stock.shelves,
                   orders.stock.network.layout.leaves.ordinal_of[record.current.store],
                   lines.before)
    return happen(orders, number, &event, now_ns)
