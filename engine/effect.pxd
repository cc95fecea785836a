"""What an event of an order does to the state."""
from libc.stdint cimport int64_t

from fendan.engine.events cimport OrderEvent
from fendan.engine.orders cimport Orders


# Let an event happen to the order with this number: the counts it moves, their bitmaps, who is told
# of it, and the record. Also where it happened long ago and is read again; so it needs nothing but
# the event and the state, and never searches. Raises MemoryError, and BreachError where the counts
# are not those that the event found; nothing has changed then.
cdef int apply_order_event(Orders orders, int64_t number, const OrderEvent* event,
                           int64_t time_ns) except -1
