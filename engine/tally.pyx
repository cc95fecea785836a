"""What came and what left, added up from events alone: conservation, without any state.

    on hand now  = what stock systems set and added, less what shipped, and what came back
    reserved now = what orders took, less what they gave back, and what shipped
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from fendan.engine.events cimport (
    EVENT_STOCK_SET, LAST_ORDER_EVENT, LAST_STOCK_EVENT, Lines, OrderEvent, StockRow, moved,
    read_byte, read_code, read_order_event, read_stock_row,
)
from fendan.engine.fields cimport Reader, reader_of
from fendan.engine.history cimport read_other
from fendan.engine.names cimport Span
from fendan.engine.shelves cimport Quantity
from fendan.engine.stock cimport Stock

from typing import NamedTuple

from fendan.engine.events import EventKind
from fendan.engine.fault import Fault
from fendan.errors import refuse


class Change(NamedTuple):
    """What all events of one kind changed together."""

    events: int
    on_hand: int
    reserved: int


@cython.final
cdef class Tally:
    """Adds up the events of frames."""

    def __init__(self):
        memset(self.on_hand, 0, sizeof(self.on_hand))
        memset(self.reserved, 0, sizeof(self.reserved))
        memset(self.events, 0, sizeof(self.events))
        self._lines = Lines()

    def add(self, body, int64_t sequence, int64_t count):
        """Add the events of a frame. Raises CorruptJournalError for bytes that are none."""
        cdef const uint8_t[::1] data = body
        cdef Span span
        cdef Reader reader
        cdef int64_t done = 0
        cdef uint8_t kind
        span.text, span.size = b"", data.shape[0]
        if span.size:
            span.text = <const char*>&data[0]
        reader = reader_of(span)
        while reader.at < reader.end and done < count:
            kind = reader.at[0]
            if kind <= LAST_ORDER_EVENT:
                good = add_order(self, &reader)
            elif EVENT_STOCK_SET <= kind <= LAST_STOCK_EVENT:
                good = add_stock(self, &reader)
            else:
                good = read_other(&reader, 0, 0) is not None
            if not good:
                break
            self.events[kind] += 1
            done += 1
        if reader.wrong != NULL or reader.at != reader.end or done != count:
            refuse(Fault.CORRUPT, "journal", sequence + done, hint="no such event")

    def changes(self):
        """Of each kind that came, a Change."""
        return {
            kind: Change(self.events[kind], self.on_hand[kind], self.reserved[kind])
            for kind in EventKind
            if self.events[kind]
        }


cdef bint add_order(Tally tally, Reader* reader) noexcept:
    cdef Lines lines = tally._lines
    cdef OrderEvent event
    cdef Quantity before, after
    cdef int64_t line
    if not read_order_event(reader, &event, lines.skus, lines.quantities, lines.amounts,
                            lines.before):
        return False
    for line in range(event.basket.line_count if event.before != NULL else 0):
        before = event.before[line]
        after = moved(event.kind, before, event.basket.quantities[line])
        tally.on_hand[event.kind] += (<int64_t>after.net + after.reserved) - (
            <int64_t>before.net + before.reserved
        )
        tally.reserved[event.kind] += <int64_t>after.reserved - before.reserved
    return True


cdef bint add_stock(Tally tally, Reader* reader) noexcept:
    cdef uint8_t kind
    cdef int32_t store, rows, row
    cdef StockRow counts
    if not (read_byte(reader, &kind) and read_code(reader, &store) and read_code(reader, &rows)):
        return False
    for row in range(rows):
        if not read_stock_row(reader, &counts):
            return False
        tally.on_hand[kind] += <int64_t>counts.after - counts.before
    return True


def totals(Stock stock not None):
    """What is on hand, and what is reserved, of all pairs together."""
    cdef int64_t on_hand = 0, reserved = 0
    cdef const Quantity* pair
    cdef int32_t sku, rank
    for sku in range(stock.shelves.sku_count):
        pair = stock.shelves.shelf[sku].quantities
        for rank in range(stock.shelves.shelf[sku].listed_count):
            on_hand += <int64_t>pair[rank].net + pair[rank].reserved
            reserved += pair[rank].reserved
    return on_hand, reserved
