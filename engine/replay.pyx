"""Recovery: events applied to the state before them, which is thereby the state after them.

Nothing is searched and nothing decided: an event says which store an order went to and what the
counts were. What is found must equal what is written; where it does not, memory or journal is wrong,
and recovery stops rather than guess.

What one command wrote is applied as the command did it: all rows of a stock update at once, all
stores that were added at once. So memory comes out the same to the byte.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from fendan.engine.events cimport (
    EVENT_STOCK_SET, HAS_GRANT, HAS_MOVED, HAS_PLACE, LAST_ORDER_EVENT, LAST_STOCK_EVENT, Lines,
    OrderEvent, StockRow, read_byte, read_code, read_order_event, read_stock_row,
)
from fendan.engine.fields cimport Reader, fail, reader_of
from fendan.engine.history cimport read_other
from fendan.engine.effect cimport apply_order_event
from fendan.engine.names cimport Span, hash_of
from fendan.engine.network cimport Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    FLAG_GRANTED, FLAG_SHIPMENT, NO_RECORD, NO_ROOM, Table, add_record, find_order, find_record,
    retire,
)
from fendan.engine.shelves cimport Quantity, Shelves, quantity

import numpy as np

from fendan.engine.events import EventKind
from fendan.engine.fault import Fault
from fendan.engine.limits import set_held, set_thresholds
from fendan.engine.perishables import set_lots as _set_lots
from fendan.errors import FendanError, refuse

cdef enum:
    LEAST_ROWS = 1024
    MOST_ROWS_KEPT = 1 << 20
    COLUMNS = 5                 # of a stock row: store, SKU, on hand before and after, reserved


@cython.final
cdef class Replay:
    """Applies the events of frames, one frame after another, to the parts of an engine.

    `effects` does what this module leaves to Python: `stores(kind, rows)`, rows of (id, region,
    lat, lng) for stores added or updated, else of codes; `version(store, version)`, `answer(key,
    digest, text)`, `settings(text)`, `document(kind, name, text)`.
    """

    def __init__(self, Orders orders not None, effects):
        self._orders = orders
        self._effects = effects
        self._lines = Lines()
        self._rows = np.empty((LEAST_ROWS, COLUMNS), dtype=np.int32)
        self._row_count = 0
        self._names = []
        self._stores = {}

    def apply(self, body, int64_t sequence, int64_t time_ns, int64_t count, picked=None):
        """Apply the `count` events of a frame's body, the first of which is `sequence`.

        `picked`, bool[n]: only the first n, and of events of orders only those for which it is so.
        They need not find the counts that are written, then: the events between them had changed
        those.

        Raises CorruptJournalError for bytes that are no events, BreachError where they contradict
        the state; then the state is of no use any more.
        """
        cdef const uint8_t[::1] data = body
        cdef Span span
        cdef Reader reader
        cdef int64_t done = 0, most = count
        self._picked = None
        if picked is not None:
            self._picked = np.ascontiguousarray(picked, dtype=bool).view(np.uint8)
            most = min(count, self._picked.shape[0])
        span.text, span.size = b"", data.shape[0]
        if span.size:
            span.text = <const char*>&data[0]
        reader = reader_of(span)
        try:
            while reader.at < reader.end and done < most:
                if not self._apply_one(&reader, time_ns, done):
                    break
                done += 1
            self._apply_rows()
            self._apply_stores()
        except ContradictionError as problem:
            refuse(Fault.BREACH, "journal", sequence + done, hint=str(problem))
        except UnicodeDecodeError as problem:
            hint = f"no such event: a text that is not UTF-8: {problem.reason}"
            refuse(Fault.CORRUPT, "journal", sequence + done, hint=hint)
        if reader.wrong != NULL or (most == count and (reader.at != reader.end or done != count)):
            wrong = reader.wrong.decode() if reader.wrong != NULL else f"not {count} events"
            refuse(Fault.CORRUPT, "journal", sequence + done, hint=f"no such event: {wrong}")
        retire(&self._orders.records.table, self._orders.remembered)

    cdef bint _apply_one(self, Reader* reader, int64_t time_ns, int64_t place) except -1:
        """Apply one event, or keep it for the end of the frame; False where the bytes are none."""
        cdef OrderEvent event
        cdef uint8_t kind = reader.at[0]
        if kind <= LAST_ORDER_EVENT:
            self._apply_rows()
            if not read_order_event(reader, &event, self._lines.skus, self._lines.quantities,
                                    self._lines.amounts, self._lines.before):
                return False
            if self._picked is not None:
                if not self._picked[place]:
                    return True
                self._find_again(&event)
            apply_order_event(self._orders, self._number(&event), &event, time_ns)
            return True
        if EVENT_STOCK_SET <= kind <= LAST_STOCK_EVENT:
            return self._read_rows(reader)
        self._apply_rows()
        return self._apply_other(reader)

    # -- ORDERS ------------------------------------------------------------------------------------

    cdef int64_t _number(self, const OrderEvent* event) except -1:
        """The record of the event's order, which a first decision makes."""
        cdef Table* table = &self._orders.records.table
        cdef uint32_t hash = hash_of(event.id)
        cdef int64_t number = find_record(table, event.id, hash)
        cdef uint8_t flags = FLAG_GRANTED if event.flags & HAS_GRANT else 0
        cdef int64_t line
        if (number == NO_RECORD) != (event.flags & HAS_PLACE != 0):
            known = "not known" if number == NO_RECORD else "known already"
            raise ContradictionError(f"the order {text_of(event.id)!r} is {known}")
        if number != NO_RECORD:
            return number
        for line in range(event.basket.line_count):
            if event.basket.skus[line] >= self._orders.stock.shelves.sku_count:
                raise ContradictionError(f"there is no SKU {event.basket.skus[line]}")
        if find_order(table, event.id) != NO_RECORD:
            flags |= FLAG_SHIPMENT
        number = add_record(table, event.id, hash, event.lat, event.lng, &event.basket, flags)
        if number == NO_ROOM:
            raise MemoryError("no room for more orders")
        return number

    cdef int _find_again(self, const OrderEvent* event) except -1:
        """Take the counts that there are for those that the event found."""
        cdef const Shelves* shelves = &self._orders.stock.shelves
        cdef const Leaves* leaves = &self._orders.stock.network.layout.leaves
        cdef const Quantity* pair
        cdef int64_t line
        if not event.flags & HAS_MOVED or not 0 <= event.store < leaves.store_count:
            return 0
        for line in range(event.basket.line_count):
            if 0 <= event.basket.skus[line] < shelves.sku_count:
                pair = quantity(shelves, event.basket.skus[line], leaves.ordinal_of[event.store])
                if pair != NULL:
                    self._lines.before[line] = pair[0]
        return 0

    # -- STOCK -------------------------------------------------------------------------------------

    cdef bint _read_rows(self, Reader* reader) except -1:
        """Keep the rows of a stock event."""
        cdef uint8_t kind
        cdef int32_t store, count
        cdef StockRow row
        cdef int32_t[:, ::1] rows = self._rows
        cdef int64_t end
        if not (read_byte(reader, &kind) and read_code(reader, &store)
                and read_code(reader, &count)):
            return False
        if count > reader.end - reader.at:
            return fail(reader, b"more rows than bytes")
        end = self._row_count + count
        if end > rows.shape[0]:
            grown = np.empty((max(end, 2 * rows.shape[0]), COLUMNS), dtype=np.int32)
            grown[:self._row_count] = self._rows[:self._row_count]
            self._rows = grown
            rows = grown
        with nogil:
            while self._row_count < end:
                if not read_stock_row(reader, &row):
                    break
                rows[self._row_count, 0], rows[self._row_count, 1] = store, row.sku
                rows[self._row_count, 2], rows[self._row_count, 3] = row.before, row.after
                rows[self._row_count, 4] = row.reserved
                self._row_count += 1
        return self._row_count == end

    cdef int _apply_rows(self) except -1:
        """Set the counts that were kept, as one command."""
        cdef int64_t count = self._row_count
        if not count and not self._names:
            return 0
        rows = self._rows[:count]
        names, self._names, self._row_count = self._names, [], 0
        if count > MOST_ROWS_KEPT:
            self._rows = np.empty((LEAST_ROWS, COLUMNS), dtype=np.int32)
        stores, skus, found, after, reserved = (
            np.ascontiguousarray(rows[:, column]) for column in range(COLUMNS)
        )
        before = np.empty((count, 2), dtype=np.int32)
        try:
            self._orders.stock.set_on_hand(stores, skus, after, names, before)
        except FendanError as error:
            raise ContradictionError(str(error)) from error
        wrong = (before[:, 1] != reserved) | (before.sum(axis=1) != found)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ContradictionError(
                f"store {stores[row]}, SKU {skus[row]}: the counts are not what was found"
            )
        return 0

    # -- STORES, AND WHAT ONLY RECOVERY READS ------------------------------------------------------

    cdef bint _apply_other(self, Reader* reader) except -1:
        event = read_other(reader, 0, 0)
        if event is None:
            return False
        kind, texts = event.kind, event.texts
        if kind in (EventKind.STORE_ADDED, EventKind.STORE_UPDATED):
            row = (texts[0].decode(), texts[1].decode(), event.lat, event.lng)
            self._stores.setdefault(kind, []).append(row)
        elif kind is EventKind.SKUS_NAMED:
            self._names = [name.decode() for name in texts]
        elif kind is EventKind.VERSION:
            self._effects.version(event.store, texts[0])
        elif kind is EventKind.KEY:
            self._effects.answer(texts[0].decode(), texts[1], texts[2])
        elif kind is EventKind.SETTINGS:
            self._effects.settings(texts[0].decode())
        elif kind is EventKind.DOCUMENT:
            self._effects.document(*(text.decode() for text in texts))
        elif kind is EventKind.HELD_SET:
            self._apply_held(event.store, texts[0], np.array(texts[1:], dtype=np.int32))
        elif kind is EventKind.LOTS_SET:
            self._apply_lots(event.store, texts[0], np.array(texts[1:], dtype=np.int32))
        elif kind is EventKind.THRESHOLDS:
            if texts[0] >= self._orders.stock.shelves.sku_count:
                raise ContradictionError(f"there is no SKU {texts[0]}")
            set_thresholds(self._orders.stock, *texts)
        else:
            self._stores.setdefault(kind, []).append(event.store)
        return True

    def _apply_held(self, int32_t store, int part, rows):
        """Set what a store holds back, as one command did."""
        skus, found, after = (np.ascontiguousarray(column) for column in rows.reshape(-1, 3).T)
        before = np.empty_like(after)
        try:
            stores = np.full(len(skus), store, dtype=np.int32)
            set_held(self._orders.stock, part, stores, skus, after, [], before)
        except (FendanError, ValueError) as error:
            raise ContradictionError(str(error)) from error
        if not np.array_equal(before, found):
            raise ContradictionError(f"store {store} does not hold back what was found")

    def _apply_lots(self, int32_t store, int32_t sku, rows):
        """Set the lots of a pair, whose count follows."""
        stock = self._orders.stock
        if not (0 <= store < len(stock.network.store_ids) and sku < len(stock.skus)):
            raise ContradictionError(f"there is no pair of store {store} and SKU {sku}")
        days, on_hand = (np.ascontiguousarray(column) for column in rows.reshape(-1, 2).T)
        try:
            _set_lots(stock, store, sku, days, on_hand)
        except FendanError as error:
            raise ContradictionError(str(error)) from error

    def _apply_stores(self):
        """Stores as one command added, updated, paused, resumed or removed them."""
        stores, self._stores = self._stores, {}
        for kind, rows in stores.items():
            try:
                self._effects.stores(kind, rows)
            except (FendanError, IndexError) as error:
                raise ContradictionError(str(error)) from error


class ContradictionError(Exception):
    """An event that cannot have followed the state it is applied to."""


cdef str text_of(Span text):
    return text.text[:text.size].decode(errors="replace")
