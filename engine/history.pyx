"""Events as objects, for those who read the ledger.

A reader who wants few of them says so with `Wanted`: what is not wanted is passed over in C, many
times as fast as it could be made an object and thrown away.
"""
cimport cython
from libc.math cimport NAN
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.events cimport (
    EVENT_DOCUMENT, EVENT_HELD_SET, EVENT_KEY, EVENT_LOTS_SET, EVENT_SETTINGS, EVENT_SKUS_NAMED,
    EVENT_STOCK_SET, EVENT_STORE_ADDED, EVENT_STORE_PAUSED, EVENT_STORE_REMOVED,
    EVENT_STORE_UPDATED, EVENT_THRESHOLDS, EVENT_VERSION, HAS_GRANT, HAS_MOVED, HAS_PLACE,
    LAST_ORDER_EVENT, LAST_STOCK_EVENT, Lines, OrderEvent, StockRow, moved, read_byte, read_code,
    read_fixed, read_order_event, read_stock_row, read_text,
)
from fendan.engine.fields cimport Reader, fail, read_varint, reader_of
from fendan.engine.names cimport Span
from fendan.engine.network cimport NO_STORE
from fendan.engine.records cimport order_id_in
from fendan.engine.shelves cimport Quantity
from fendan.engine.shipments cimport IN_GROUP

from typing import NamedTuple

import numpy as np

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
    grant: object = None


class Promise(NamedTuple):
    """What an event of a first decision says that was promised; codes and numbers as in a Grant."""

    policy_version: int
    order_type: int
    channel: int
    region: int
    step: int
    promised_ns: int
    merge_group: int
    shipments: int
    in_group: bool = False


def read(body, int64_t sequence, int64_t time_ns, int64_t count):
    """The events of a frame's body, as a list of Event; the first has number `sequence`.

    Raises CorruptJournalError for bytes that are no `count` events.
    """
    return Reading(body, sequence, time_ns, count).take(count, count, INT64_MAX)


# -- WHAT IS WANTED ----------------------------------------------------------------------------

@cython.final
cdef class Wanted:
    """Which events a reader wants; None stands for all.

    `kinds`: EventKinds. `order_ids`: of orders by id. `stores`: bool[n], whether each code is
    wanted; and since a store that was added or updated is named by its id, the `store_ids` and
    `regions` that may stand there.
    """

    cdef uint64_t _kinds        # a bit each
    cdef bint _any_store
    cdef const uint8_t[::1] _stores
    cdef frozenset _order_ids, _store_ids, _regions

    def __init__(self, kinds=None, *, order_ids=None, stores=None, store_ids=None, regions=None):
        self._kinds = ~<uint64_t>0
        if kinds is not None:
            self._kinds = 0
            for kind in kinds:
                self._kinds |= <uint64_t>1 << <int>kind
        self._order_ids = _encoded(order_ids)
        self._any_store = stores is None
        if stores is not None:
            self._stores = np.ascontiguousarray(stores, dtype=bool).view(np.uint8)
        self._store_ids, self._regions = _encoded(store_ids), _encoded(regions)

    cdef inline bint has_kind(self, uint8_t kind) noexcept:
        return kind < 64 and (self._kinds >> kind) & 1

    cdef inline bint has_store(self, int32_t store) noexcept:
        """Whether the store is wanted; NO_STORE is where all are."""
        return self._any_store or (0 <= store < self._stores.shape[0] and self._stores[store])

    cdef bint has_order(self, Span id) except -1:
        """Whether the order, or that of a shipment, is wanted."""
        if self._order_ids is None:
            return True
        id = order_id_in(id)
        return id.text[:id.size] in self._order_ids

    cdef bint has_other(self, event) except -1:
        """Whether an event of a store is wanted, or one inside."""
        if self._order_ids is not None or not self.has_kind(event.kind):
            return False
        if event.kind != EVENT_STORE_ADDED and event.kind != EVENT_STORE_UPDATED:
            return self.has_store(event.store)
        store_id, region = event.texts
        return (self._store_ids is None or store_id in self._store_ids) and (
            self._regions is None or region in self._regions
        )


cdef frozenset _encoded(texts):
    return None if texts is None else frozenset([text.encode() for text in texts])


EVERYTHING = Wanted()
NOTHING = Wanted(())


# -- READING -----------------------------------------------------------------------------------

@cython.final
cdef class Reading:
    """The events of a frame's body, some at a time: `sequence` is the next one's, `end` beyond all.

    Every method raises CorruptJournalError where the bytes are no such events.
    """

    cdef readonly int64_t sequence
    cdef readonly int64_t end
    cdef int64_t _time_ns
    cdef const uint8_t[::1] _body
    cdef Reader _reader
    cdef Lines _lines

    def __init__(self, body, int64_t sequence, int64_t time_ns, int64_t count):
        cdef Span span
        self.sequence, self.end, self._time_ns = sequence, sequence + count, time_ns
        self._body = body
        self._lines = Lines()
        span.text, span.size = b"", self._body.shape[0]
        if span.size:
            span.text = <const char*>&self._body[0]
        self._reader = reader_of(span)

    def skip_to(self, int64_t sequence):
        """Pass over the events before `sequence`."""
        self.take(sequence - self.sequence, 1, 1, NOTHING)

    def take(self, int64_t most_looked_at, int64_t most, int64_t most_moves, wanted=None):
        """The next events that are wanted, as a list of Event.

        Stops after that many events were looked at or were found, or when so many moves were found
        that there are `most_moves` or more.
        """
        cdef Wanted filter = EVERYTHING if wanted is None else wanted
        cdef list found = []
        cdef int64_t last = min(self.end, self.sequence + max(most_looked_at, 0)), moves = 0
        cdef bint is_good = True
        cdef Py_ssize_t before
        while is_good and self.sequence < last and len(found) < most and moves < most_moves:
            before = len(found)
            try:
                is_good = self._read_one(filter, found)
            except ValueError as error:  # such as an id that is not UTF-8
                self._refuse(str(error))
            if len(found) > before:
                moves += len(found[before].moves)
            self.sequence += is_good
        if not is_good:
            self._refuse(self._reader.wrong.decode())
        if (self.sequence == self.end) != (self._reader.at == self._reader.end):
            self._refuse("not as many events as there should be")
        return found

    def count(self, int64_t[::1] kinds):
        """Pass over all events and count them by kind; returns how many were first decisions."""
        cdef int64_t decisions = 0
        if kinds.shape[0] < 256:
            raise ValueError("a kind is a byte")
        while self.sequence < self.end:
            if self._reader.end - self._reader.at >= 2:
                kinds[self._reader.at[0]] += 1
                decisions += is_decision(self._reader)
            self.take(1, 1, 1, NOTHING)
        return decisions

    def _refuse(self, wrong):
        refuse(Fault.CORRUPT, "journal", self.sequence, hint=f"no such event: {wrong}")

    cdef bint _read_one(self, Wanted wanted, list found) except -1:
        """Read one event, and keep it where it is wanted; False where the bytes are none."""
        cdef Reader* reader = &self._reader
        if reader.at == reader.end:
            return fail(reader, b"cut off")
        if reader.at[0] <= LAST_ORDER_EVENT:
            return self._read_order(wanted, found)
        if EVENT_STOCK_SET <= reader.at[0] <= LAST_STOCK_EVENT:
            return self._read_stock(wanted, found)
        return self._read_other(wanted, found)

    cdef bint _read_order(self, Wanted wanted, list found) except -1:
        cdef OrderEvent event
        cdef Lines lines = self._lines
        cdef Quantity before, after
        cdef int64_t line
        cdef list moves = []
        if not read_order_event(&self._reader, &event, lines.skus, lines.quantities, lines.amounts,
                                lines.before):
            return False
        if not (wanted.has_kind(event.kind) and wanted.has_store(event.store)
                and wanted.has_order(event.id)):
            return True
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
        found.append(Event(
            self.sequence, self._time_ns, EventKind(event.kind),
            event.id.text[:event.id.size].decode(), event.store, event.reason, event.attempts,
            event.distance_m, event.due_ns, event.lat, event.lng, tuple(moves), (),
            promise_of(&event),
        ))
        return True

    cdef bint _read_stock(self, Wanted wanted, list found) except -1:
        cdef Reader* reader = &self._reader
        cdef uint8_t kind
        cdef int32_t store, rows, row
        cdef StockRow counts
        cdef list moves = []
        cdef bint is_wanted
        if not (read_byte(reader, &kind) and read_code(reader, &store)
                and read_code(reader, &rows)):
            return False
        is_wanted = (wanted.has_kind(kind) and wanted.has_store(store)
                     and wanted._order_ids is None)
        for row in range(rows):
            if not read_stock_row(reader, &counts):
                return False
            if is_wanted:
                moves.append(Move(
                    counts.sku, counts.after - counts.before, counts.before, counts.after,
                    counts.reserved, counts.reserved, 0,
                ))
        if is_wanted:
            found.append(Event(
                self.sequence, self._time_ns, EventKind(kind), "", store, 0, 0, NAN, 0, NAN, NAN,
                tuple(moves), (),
            ))
        return True

    cdef bint _read_other(self, Wanted wanted, list found) except -1:
        """Events of stores, and those inside."""
        event = read_other(&self._reader, self.sequence, self._time_ns)
        if event is None:
            return False
        if wanted.has_other(event):
            found.append(event)
        return True


cdef bint is_decision(Reader reader) noexcept nogil:
    """Whether the next event is a first decision on an order, and not on a shipment of it."""
    cdef uint8_t kind, flags
    cdef Span id
    return (read_byte(&reader, &kind) and read_byte(&reader, &flags) and kind <= LAST_ORDER_EVENT
            and flags & HAS_PLACE and read_text(&reader, &id) and order_id_in(id).size == id.size)


cdef object promise_of(const OrderEvent* event):
    if not event.flags & HAS_GRANT:
        return None
    return Promise(
        event.grant.policy_version, event.grant.order_type, event.grant.channel,
        event.grant.region, event.grant.step, event.grant.promised_ns, event.grant.merge_group,
        event.grant.shipment_count, bool(event.grant.flags & IN_GROUP),
    )


cdef object read_other(Reader* reader, int64_t sequence, int64_t time_ns):
    """Events of stores, and those inside: their texts and numbers.

    Of HELD_SET the part, then (SKU, before, after) a row; of LOTS_SET the SKU, then (day, on hand)
    a lot; of THRESHOLDS all its numbers.
    """
    cdef uint8_t kind, part
    cdef int32_t count = 1, store = NO_STORE
    cdef uint64_t number = 0
    cdef double lat = NAN, lng = NAN
    cdef list texts = []
    cdef Span text
    if not read_byte(reader, &kind):
        return None
    if kind == EVENT_HELD_SET:
        if not (read_code(reader, &store) and read_byte(reader, &part)
                and read_code(reader, &count) and read_numbers(reader, 3 * <int64_t>count, texts)):
            return None
        texts = [part, *zip(texts[0::3], texts[1::3], texts[2::3])]
        count = 0
    elif kind == EVENT_LOTS_SET:
        if not (read_code(reader, &store) and read_numbers(reader, 1, texts)
                and read_code(reader, &count) and read_numbers(reader, 2 * <int64_t>count, texts)):
            return None
        texts = [texts[0], *zip(texts[1::2], texts[2::2])]
        count = 0
    elif kind == EVENT_THRESHOLDS:
        if not read_numbers(reader, 3, texts):
            return None
        count = 0
    elif EVENT_STORE_PAUSED <= kind <= EVENT_STORE_REMOVED or kind == EVENT_VERSION:
        if not read_code(reader, &store):
            return None
        if kind == EVENT_VERSION and not read_varint(reader, &number):
            return None
        count = 0
    elif kind == EVENT_STORE_ADDED or kind == EVENT_STORE_UPDATED:
        count = 2
    elif kind == EVENT_KEY or kind == EVENT_DOCUMENT:
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


cdef bint read_numbers(Reader* reader, int64_t count, list numbers) except -1:
    """Put so many numbers from 0 that an int32 holds at the end of a list."""
    cdef int32_t number
    cdef int64_t done
    for done in range(count):
        if not read_code(reader, &number):
            return False
        numbers.append(number)
    return True
