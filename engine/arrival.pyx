"""Orders that have come to be routed: which are new, and room for what they will be told.

A batch enters the order table before it is routed, holding nothing; so a repeated id is found the
same way whether it came last week or two rows before. What is refused, or was only a dry run,
leaves it again.

    batch     a  b  a  c     `a` is repeated, `c` has been known for long
    fresh     a  b           what is decided on: rows 0 and 1 of the batch
    told      a  b  a  c     from their records, where the first decision of each stands
"""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from fendan.engine.asking cimport Asked
from fendan.engine.batch cimport Batch, Columns, asked_at
from fendan.engine.decided cimport Decided, basket_in
from fendan.engine.names cimport hash_of
from fendan.engine.network cimport MAX_ID_BYTES
from fendan.engine.outcome cimport make_outcome
from fendan.engine.records cimport (
    FLAG_GRANTED, NO_RECORD, NO_ROOM, SUFFIX_BYTES, Record, Table, add_record, basket_at,
    drop_newest, find_record, grant_at, prefetch_slot, record_at,
)
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList, Shipments, first_part
from fendan.engine.splits cimport tell_again, tell_parts
from fendan.engine.shelves cimport Basket, Quantity
from fendan.engine.stock cimport Stock

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.router import VERDICT_DTYPE as _VERDICT_DTYPE
from fendan.engine.shipments import GRANT_DTYPE as _GRANT_DTYPE
from fendan.errors import refuse
from fendan.rules import OrderType

cdef enum:
    CONFLICT = -3               # beside NO_RECORD and NO_ROOM

_QUANTITY_DTYPE = np.dtype([("net", np.int32), ("reserved", np.int32)])


cdef object arrival_of(Stock stock, Table* table, Batch batch):
    cdef Arrival arrival = Arrival.__new__(Arrival)
    arrival._stock, arrival._table = stock, table
    arrival.batch = arrival.fresh = batch
    arrival.count = len(batch)
    arrival.is_named = batch.columns.ids != NULL
    return arrival


cdef object known_arrival(Stock stock, Table* table, int64_t number):
    cdef Arrival arrival = Arrival.__new__(Arrival)
    arrival._stock, arrival._table = stock, table
    arrival.count = 1
    arrival.is_named = arrival.is_promised = True
    arrival._numbers, arrival._verdicts = np.array([number]), np.empty(1, dtype=_VERDICT_DTYPE)
    return arrival


@cython.final
cdef class Arrival:
    """A batch, its records in the order table, and arrays for what is decided and told."""

    cdef int enter(self, bint granted) except -1:
        """Find or add the record of each order, with room for a grant if they are to have one.

        Those that are new are the newest records then, `added` of them.
        """
        if not self.is_named:
            return 0
        cdef int64_t count = self.count, newcomers, row = 0, entered = 0
        cdef int64_t[::1] numbers = np.empty(max(1, count), np.int64)
        cdef int64_t[::1] rows = np.empty(max(1, count), np.int64)
        cdef uint8_t flags = FLAG_GRANTED if granted else 0
        if granted:
            self._check_ids()
        cdef uint32_t* hashes = <uint32_t*>malloc(max(1, count) * sizeof(uint32_t))
        if hashes == NULL:
            raise MemoryError("no room for more orders")
        with nogil:
            newcomers = enter_all(
                self._table, &self.batch.columns, hashes, &numbers[0], &rows[0], &row, &entered,
                flags, &self.is_promised,
            )
            free(hashes)
        self.added = entered
        self._numbers, self._rows = numbers, rows
        self.decided.numbers, self.decided.rows = &numbers[0], &rows[0]
        if newcomers >= 0:
            return 0
        try:
            if newcomers == CONFLICT:
                self._refuse_other(row, numbers[row])
            raise MemoryError("no room for more orders")
        finally:
            self.drop()

    cdef int make_room(self, bint granted, bint counted, int64_t due_ns) except -1:
        """Whatever must be there before anything is decided; `counted`: with counts found."""
        cdef Verdict[::1] verdicts
        cdef Grant[::1] grants
        cdef Quantity[::1] before
        if self.is_named and self.added < self.count:
            self.fresh = self.batch.subset(np.asarray(self._rows)[:self.added])
        cdef int64_t count = len(self.fresh)
        self._verdicts = np.empty(max(1, count), dtype=_VERDICT_DTYPE)
        verdicts = self._verdicts
        self.decided.orders, self.decided.verdicts = &self.fresh.columns, &verdicts[0]
        self.decided.due_ns = due_ns
        if granted:
            self.is_promised = True
            self._grants = np.empty(max(1, count), dtype=_GRANT_DTYPE)
            grants = self._grants
            self.parts = Shipments()
            self.decided.grants, self.decided.parts = &grants[0], &self.parts.list
        if counted:
            self._before = np.empty(
                max(1, self.fresh.columns.offsets[count]), dtype=_QUANTITY_DTYPE
            )
            before = self._before
            self.decided.before = &before[0]
        return 0

    cdef object outcome(self):
        """What each order of the batch is told; what was decided is noted in the records."""
        cdef int64_t count = self.count, row
        cdef Table* table = self._table
        if not self.is_named:
            parts = self.parts if self.parts is not None and len(self.parts) else None
            grants = None if self._grants is None else self._grants[:count]
            return make_outcome(self._verdicts[:count], grants, parts, self._stock)
        cdef const int64_t[::1] numbers = self._numbers
        told = self._verdicts
        if len(told) < count:
            told = np.empty(count, dtype=_VERDICT_DTYPE)
        cdef Verdict[::1] answers = told
        cdef bint is_split = False
        with nogil:
            for row in range(count):
                answers[row] = record_at(table, numbers[row]).verdict
                is_split = is_split or answers[row].shipments > 0
        promised = self._promised() if self.is_promised else None
        parts = self._told() if is_split else None
        return make_outcome(told[:count], promised, parts, self._stock)

    cdef object _promised(self):
        """The grants of all orders; zeros where one was first decided without a policy."""
        cdef const int64_t[::1] numbers = self._numbers
        promised = np.zeros(max(1, self.count), dtype=_GRANT_DTYPE)
        cdef Grant[::1] grants = promised
        cdef const Grant* grant
        cdef int64_t row
        with nogil:
            for row in range(self.count):
                grant = grant_at(self._table, numbers[row])
                if grant != NULL:
                    grants[row] = grant[0]
        return promised[:self.count]

    cdef object _told(self):
        """The shipments of all orders that were split: those just decided, and those of old."""
        cdef const int64_t[::1] numbers = self._numbers
        cdef Shipments told = Shipments()
        cdef PartList* parts = self.decided.parts
        cdef const Record* record
        cdef int64_t row
        cdef bint has_room = True
        with nogil:
            for row in range(self.count):
                record = record_at(self._table, numbers[row])
                if record.verdict.shipments == 0:
                    continue
                if record.state:
                    has_room = tell_again(self._table, numbers[row], row, &told.list)
                else:  # its due_ns is its row among the fresh ones
                    has_room = tell_parts(parts, first_part(parts, record.due_ns),
                                          record.verdict.shipments, row, &told.list)
                if not has_room:
                    break
        if not has_room:
            raise MemoryError("no room for more shipments")
        return told

    cdef void drop(self) noexcept nogil:
        """Leave the order table again."""
        drop_newest(self._table, self.added)
        self.added = 0

    # -- CHECKS --------------------------------------------------------------------------------

    def _check_ids(self):
        """Refuse ids that leave no room for the number of a shipment."""
        cdef int64_t row
        for row in range(self.count):
            if self.batch.columns.ids[row].size > MAX_ID_BYTES - SUFFIX_BYTES:
                named, at = self.batch.name_of(row)
                refuse(Fault.BAD_ID, named, self.batch.id_of(row), row=at,
                       hint=f"at most {MAX_ID_BYTES - SUFFIX_BYTES} bytes where a policy is in "
                            "force, whose orders may be split")

    cdef int _refuse_other(self, int64_t row, int64_t number) except -1:
        """Say what differs between an order and what came first under its id."""
        cdef const Record* first = record_at(self._table, number)
        cdef Basket before = basket_at(self._table, number)
        cdef Basket now = basket_in(&self.batch.columns, row)
        if first.lat != self.batch.columns.lat[row]:
            field, values = "lat", (first.lat, self.batch.columns.lat[row])
        elif first.lng != self.batch.columns.lng[row]:
            field, values = "lng", (first.lng, self.batch.columns.lng[row])
        elif set(self._lines(&before)) != set(self._lines(&now)):
            field, values = "lines", (self._lines(&before), self._lines(&now))
        elif self._amounts(&before) != self._amounts(&now):
            field, values = "amounts", (self._amounts(&before), self._amounts(&now))
        else:
            field, values = self._other_words(row, grant_at(self._table, number))
        named, at = self.batch.name_of(row)
        was = f" was {values[0]!r} and is now {values[1]!r}" if values else " has changed"
        refuse(Fault.ORDER_CONFLICT, named, self.batch.id_of(row), row=at, hint=field + was)

    cdef tuple _other_words(self, int64_t row, const Grant* first):
        """What differs of what an order says beside its place and lines, as far as it is known."""
        cdef const Asked* now = asked_at(&self.batch.columns, row)
        if now.order_type and now.order_type != first.order_type:
            return "order_type", (OrderType(first.order_type), OrderType(now.order_type))
        if now.channel != first.channel:
            return "channel", ()
        return "what it says beside its lines", ()

    cdef list _lines(self, const Basket* basket):
        """A basket as it would be written, in the order of the SKUs' codes."""
        return [
            (self._stock.skus[basket.skus[line]], basket.quantities[line])
            for line in range(basket.line_count)
        ]

    cdef dict _amounts(self, const Basket* basket):
        """What is paid for each SKU, as far as it was said."""
        return {
            self._stock.skus[basket.skus[line]]: amount_at(basket, line)
            for line in range(basket.line_count)
            if amount_at(basket, line)
        }


cdef inline int64_t amount_at(const Basket* basket, int64_t line) noexcept nogil:
    return 0 if basket.amounts == NULL else basket.amounts[line]


cdef int64_t enter_all(Table* table, const Columns* orders, uint32_t* hashes, int64_t* numbers,
                       int64_t* rows, int64_t* at, int64_t* entered, uint8_t flags,
                       bint* promised) noexcept nogil:
    """See Arrival.enter. Returns how many newcomers, or CONFLICT or NO_ROOM `at` a row."""
    cdef Basket basket, before
    cdef const Grant* grant
    cdef int64_t row, number
    entered[0] = 0
    for row in range(orders.count):
        hashes[row] = hash_of(orders.ids[row])
        prefetch_slot(table, hashes[row])
    for row in range(orders.count):
        basket = basket_in(orders, row)
        number = find_record(table, orders.ids[row], hashes[row])
        at[0] = row
        if number == NO_RECORD:
            number = add_record(
                table, orders.ids[row], hashes[row], orders.lat[row], orders.lng[row], &basket,
                flags,
            )
            if number == NO_ROOM:
                return NO_ROOM
            if orders.asked != NULL and flags & FLAG_GRANTED:
                grant_at(table, number).asked_hash = asked_at(orders, row).hash
            rows[entered[0]] = row
            entered[0] += 1
        else:
            numbers[row] = number
            before = basket_at(table, number)
            if (record_at(table, number).lat != orders.lat[row]
                    or record_at(table, number).lng != orders.lng[row]
                    or not same_basket(&before, &basket)):
                return CONFLICT
            grant = grant_at(table, number)
            if grant != NULL:
                promised[0] = True
                if orders.asked != NULL and grant.asked_hash != asked_at(orders, row).hash:
                    return CONFLICT
        numbers[row] = number
    return entered[0]


cdef bint same_basket(const Basket* one, const Basket* other) noexcept nogil:
    """Whether two baskets hold the same, in whatever order."""
    cdef int64_t line, there
    if one.line_count != other.line_count:
        return False
    for line in range(one.line_count):
        there = line  # a retry usually sends its lines in the same order
        if other.skus[there] != one.skus[line]:
            for there in range(other.line_count):
                if other.skus[there] == one.skus[line]:
                    break
        if other.skus[there] != one.skus[line]:
            return False
        if other.quantities[there] != one.quantities[line]:
            return False
        if amount_at(other, there) != amount_at(one, line):
            return False
    return True
