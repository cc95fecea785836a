"""Events as objects, for those who read the ledger."""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.events cimport (
    EVENT_KEY, EVENT_SETTINGS, EVENT_SKUS_NAMED, EVENT_STORE_ADDED, EVENT_STORE_PAUSED,
    EVENT_STORE_REMOVED, EVENT_STORE_UPDATED, EVENT_VERSION, HAS_MOVED, LAST_ORDER_EVENT,
    LAST_STOCK_EVENT, Lines, OrderEvent, StockRow, moved, read_byte, read_code, read_fixed,
    read_order_event, read_stock_row, read_text,
)
from fendan.engine.fields cimport Reader, fail, read_varint, reader_of
from fendan.engine.names cimport Span
from fendan.engine.network cimport NO_STORE
from fendan.engine.stock cimport Quantity

from typing import NamedTuple

from fendan.engine.events import EventKind
from fendan.engine.fault import Fault
from fendan.errors import refuse


class Move(NamedTuple):
    """What one event did to one pair: counts before and after. `sku` is a code."""

    sku: int
    quantity: int
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    amount: int


class Event(NamedTuple):
    """One event with codes for names; `store` is -1 and texts are "" where it has none."""

    sequence: int
    time_ns: int
    kind: EventKind
    order_id: str
    store: int
    reason: int
    attempts: int
    distance_m: float
    due_ns: int
    lat: float
    lng: float
    moves: tuple
    texts: tuple


def read(body, int64_t sequence, int64_t time_ns, int64_t count):
    """The events of a frame's body, as a list of Event; the first has number `sequence`.

    Raises CorruptJournalError for bytes that are no `count` events.
    """
    cdef const uint8_t[::1] data = body
    cdef Span span
    cdef Lines lines = Lines()
    cdef list found = []
    span.text, span.size = b"", data.shape[0]
    if span.size:
        span.text = <const char*>&data[0]
    cdef Reader reader = reader_of(span)
    while reader.at < reader.end and len(found) < count:
        event = _read_one(&reader, lines, sequence + len(found), time_ns)
        if event is None:
            break
        found.append(event)
    if reader.wrong != NULL or reader.at != reader.end or len(found) != count:
        wrong = reader.wrong.decode() if reader.wrong != NULL else f"not {count} events"
        refuse(Fault.CORRUPT, "journal", sequence + len(found), hint=f"no such event: {wrong}")
    return found


cdef _read_one(Reader* reader, Lines lines, int64_t sequence, int64_t time_ns):
    """One event; None where the bytes are none, see Reader.wrong."""
    cdef uint8_t kind = reader.at[0]
    if kind <= LAST_ORDER_EVENT:
        return _read_order(reader, lines, sequence, time_ns)
    if kind <= LAST_STOCK_EVENT:
        return _read_stock(reader, sequence, time_ns)
    return read_other(reader, sequence, time_ns)


cdef _read_order(Reader* reader, Lines lines, int64_t sequence, int64_t time_ns):
    cdef OrderEvent event
    cdef Quantity before, after
    cdef int64_t line
    cdef list moves = []
    if not read_order_event(reader, &event, lines.skus, lines.quantities, lines.amounts,
                            lines.before):
        return None
    for line in range(event.basket.line_count):
        before.net = before.reserved = 0
        after = before
        if event.flags & HAS_MOVED:
            before = event.before[line]
            after = moved(event.kind, before, event.basket.quantities[line])
        moves.append(Move(
            event.basket.skus[line], event.basket.quantities[line],
            before.net + before.reserved, after.net + after.reserved,
            before.reserved, after.reserved,
            event.basket.amounts[line] if event.basket.amounts != NULL else 0,
        ))
    return Event(
        sequence, time_ns, EventKind(event.kind), event.id.text[:event.id.size].decode(),
        event.store, event.reason, event.attempts, event.distance_m, event.due_ns, event.lat,
        event.lng, tuple(moves), (),
    )


cdef _read_stock(Reader* reader, int64_t sequence, int64_t time_ns):
    cdef uint8_t kind
    cdef int32_t store, rows
    cdef StockRow row
    cdef list moves = []
    if not (read_byte(reader, &kind) and read_code(reader, &store) and read_code(reader, &rows)):
        return None
    while len(moves) < rows:
        if not read_stock_row(reader, &row):
            return None
        moves.append(Move(
            row.sku, row.after - row.before, row.before, row.after, row.reserved, row.reserved, 0
        ))
    return Event(
        sequence, time_ns, EventKind(kind), "", store, 0, 0, NAN, 0, NAN, NAN, tuple(moves), ()
    )


cdef object read_other(Reader* reader, int64_t sequence, int64_t time_ns):
    """Events of stores, and those inside: their texts and numbers."""
    cdef uint8_t kind
    cdef int32_t count = 1, store = NO_STORE
    cdef uint64_t number = 0
    cdef double lat = NAN, lng = NAN
    cdef list texts = []
    cdef Span text
    if not read_byte(reader, &kind):
        return None
    if EVENT_STORE_PAUSED <= kind <= EVENT_STORE_REMOVED or kind == EVENT_VERSION:
        if not read_code(reader, &store):
            return None
        if kind == EVENT_VERSION and not read_varint(reader, &number):
            return None
        count = 0
    elif kind == EVENT_STORE_ADDED or kind == EVENT_STORE_UPDATED:
        count = 2
    elif kind == EVENT_KEY:
        count = 3
    elif kind == EVENT_SKUS_NAMED:
        if not read_code(reader, &count):
            return None
    elif kind != EVENT_SETTINGS:
        fail(reader, b"an event of no kind that is known")
        return None
    while len(texts) < count:
        if not read_text(reader, &text):
            return None
        texts.append(text.text[:text.size])
    if kind == EVENT_STORE_ADDED or kind == EVENT_STORE_UPDATED:
        if not (read_fixed(reader, &lat) and read_fixed(reader, &lng)):
            return None
    if kind == EVENT_VERSION:
        texts.append(number)
    return Event(
        sequence, time_ns, EventKind(kind), "", store, 0, 0, NAN, 0, lat, lng, (), tuple(texts)
    )
