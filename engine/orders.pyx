"""Orders in, decisions out: each id once, each decision remembered.

An order id is the idempotency key. The same id with the same place and basket gets its first
decision again, whatever has happened to stock since, and after a release too; with other content
it is refused, and the error says what differs. See `records` for how long an id is remembered.

A batch enters the order table before it is routed, holding nothing; so a repeated id is found the
same way whether it came last week or two rows before. What is refused, or was only a dry run,
leaves it again.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.stdlib cimport free, malloc

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.changes cimport Ring, note
from fendan.engine.events cimport (
    HAS_AMOUNTS, HAS_DISTANCE, HAS_DUE, HAS_MOVED, HAS_PLACE, EventBuffer, Events, OrderEvent,
    most_order_bytes, put_order_event,
)
from fendan.engine.names cimport Span, hash_of, span_of
from fendan.engine.network cimport NO_STORE, Leaves
from fendan.engine.records cimport (
    NEVER_NS, NO_RECORD, NO_ROOM, PAGE_ORDERS, Record, Records, Table, add_record, basket_at,
    drop_newest, find_record, holds, id_at, prefetch_slot, record_at, retire, set_verdict,
)
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict, route_many
from fendan.engine.shelves cimport Basket, Quantity, Shelves, give_back
from fendan.engine.stock cimport Stock

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.network import is_usable_id
from fendan.engine.router import VERDICT_DTYPE as _VERDICT_DTYPE, Reason, Status
from fendan.errors import refuse

cdef enum:
    CONFLICT = -3               # beside NO_RECORD and NO_ROOM

_QUANTITY_DTYPE = np.dtype([("net", np.int32), ("reserved", np.int32)])

# An id is remembered while its order holds stock, and until there are so many newer ones.
REMEMBERED = 1_000_000


@cython.final
cdef class Decision:
    """What one order was told. Immutable.

    `status`: ASSIGNED or UNASSIGNED. `store_id` and `distance_m` (great circle, metres) are None
    where there is no store; `reason` then says why, and is Reason.NONE otherwise.
    """

    def __init__(self, *, str order_id, status, store_id, distance_m, reason):
        self.order_id = order_id
        self.status = status
        self.store_id = store_id
        self.distance_m = distance_m
        self.reason = reason

    def _fields(self):
        return {
            "order_id": self.order_id,
            "status": self.status,
            "store_id": self.store_id,
            "distance_m": self.distance_m,
            "reason": self.reason,
        }

    def __eq__(self, other):
        if not isinstance(other, Decision):
            return NotImplemented
        return self._fields() == (<Decision>other)._fields()

    def __hash__(self):
        return hash(tuple(self._fields().values()))

    def __repr__(self):
        values = ", ".join(f"{name}={value!r}" for name, value in self._fields().items())
        return f"Decision({values})"

    def __reduce__(self):
        return _decision, tuple(self._fields().values())


def _decision(order_id, status, store_id, distance_m, reason):
    """Unpickle a Decision."""
    return Decision(
        order_id=order_id, status=status, store_id=store_id, distance_m=distance_m, reason=reason
    )


def decisions(Batch batch, verdicts, list store_ids):
    """The Decision objects of a batch of known orders: `verdicts` are rows of VERDICT_DTYPE."""
    return _decisions(batch.ids, verdicts, store_ids)


cdef list _decisions(list ids, verdicts, list store_ids):
    cdef const Verdict[::1] rows = verdicts
    cdef Decision decision
    cdef Py_ssize_t row
    cdef list result = []
    cdef tuple statuses = (None, *Status)
    cdef tuple reasons = tuple(Reason)
    for row in range(rows.shape[0]):
        decision = Decision.__new__(Decision)
        decision.order_id = ids[row]
        decision.status = statuses[rows[row].status]
        decision.reason = reasons[rows[row].reason]
        if rows[row].store != NO_STORE:
            decision.store_id = store_ids[rows[row].store]
            decision.distance_m = rows[row].distance_m
        result.append(decision)
    return result


@cython.final
cdef class Orders:
    """Routes orders over one stock and remembers those that have ids.

    `remembered`: how many orders are remembered at least, beside those that hold stock.
    """

    def __init__(self, Stock stock, int64_t remembered=REMEMBERED):
        self.stock = stock
        self.records = Records(remembered)
        self.remembered = remembered

    def __len__(self):
        return len(self.records)

    # -- COMMANDS ------------------------------------------------------------------------------

    def route(self, Batch batch, double radius_m, *, bint dry_run=False,
              int64_t due_ns=0x7fffffffffffffff):
        """Route a batch as if one after another; returns one row of VERDICT_DTYPE an order.

        Orders seen before, in this batch too, get their first decision. Raises OrderConflictError
        before anything has changed when one comes with other content. A dry run decides the same,
        and leaves everything as it was. `due_ns`: when the reservations time out.
        """
        cdef Py_ssize_t count = len(batch)
        cdef const Leaves* leaves = &self.stock.network.layout.leaves
        cdef Shelves* shelves = &self.stock.shelves
        cdef Table* table = &self.records.table
        cdef Batch fresh = batch
        cdef int64_t row, newcomers = count, broken = -1
        # Whatever can fail for want of memory comes before the first reservation.
        told = np.empty(max(1, count), dtype=_VERDICT_DTYPE)
        cdef Verdict[::1] verdicts = told
        cdef Verdict[::1] answers = told
        cdef int64_t[::1] numbers, rows
        cdef bint named = batch.columns.ids != NULL
        cdef bint written = self.events is not None and not dry_run
        cdef Quantity[::1] before
        cdef Quantity* found = NULL
        if written:
            self.events.reserve(most_bytes(&batch.columns))
            counts = np.empty(max(1, batch.columns.offsets[count]), dtype=_QUANTITY_DTYPE)
            before = counts
            found = &before[0]
        if named:
            numbers, rows = np.empty(max(1, count), np.int64), np.empty(max(1, count), np.int64)
            newcomers = self._enter(batch, numbers, rows)
            if newcomers < count:
                try:
                    fresh = batch.subset(np.asarray(rows)[:newcomers])
                    verdicts = np.empty(max(1, newcomers), dtype=_VERDICT_DTYPE)
                except MemoryError:
                    drop_newest(table, newcomers)
                    raise
        with nogil:
            route_many(leaves, shelves, &fresh.columns, radius_m, &verdicts[0], found)
            if named:
                for row in range(newcomers):
                    record_at(table, numbers[rows[row]]).verdict = verdicts[row]
                for row in range(count):
                    answers[row] = record_at(table, numbers[row]).verdict
            if dry_run:
                undo(leaves, shelves, &fresh.columns, &verdicts[0])
                if named:
                    drop_newest(table, newcomers)
            else:
                note_reserved(&self.stock.changes.ring, &fresh.columns, &verdicts[0])
                if named:
                    for row in range(newcomers):
                        set_verdict(table, numbers[rows[row]], &verdicts[row], due_ns)
                    if written:
                        broken = put_decisions(
                            &self.events.buffer, table, &numbers[0], &rows[0], &fresh.columns,
                            &verdicts[0], found, due_ns,
                        )
                    retire(table, self.remembered)
        if broken >= 0:
            refuse(Fault.BREACH, "order_id", fresh.id_of(broken),
                   hint="its store cannot have had such counts")
        return told[:count]

    # -- QUERIES -------------------------------------------------------------------------------

    def decision(self, order_id):
        """What a known order was told."""
        verdict = np.empty(1, dtype=_VERDICT_DTYPE)
        cdef Verdict[::1] row = verdict
        row[0] = record_at(&self.records.table, self._number(order_id, "order_id")).verdict
        return _decisions([order_id], verdict, self.stock.network.store_ids)[0]

    def is_held(self, order_id):
        """Whether stock is held for a known order."""
        return bool(holds(record_at(&self.records.table, self._number(order_id, "order_id"))))

    def holding(self, pairs):
        """For each (store, SKU) pair of codes, the ids of the orders it is held for, oldest first.

        One pass over the order table, however many pairs there are.
        """
        cdef const Table* table = &self.records.table
        cdef dict found = {pair: [] for pair in pairs}
        cdef set stores = {store for store, _ in found}
        cdef unsigned char[::1] concerned = np.zeros(
            self.stock.network.layout.leaves.store_count + 1, dtype=np.uint8
        )
        cdef int64_t number, row, line
        cdef int32_t age
        cdef const Record* record
        cdef Basket basket
        cdef Span id
        for store in stores:
            concerned[<int32_t>store] = 1
        for age in range(table.aged_count):
            for row in range(table.pages[table.by_age[age]].count):
                number = <int64_t>table.by_age[age] * PAGE_ORDERS + row
                record = record_at(table, number)
                if not holds(record) or not concerned[record.current.store]:
                    continue
                basket = basket_at(table, number)
                for line in range(basket.line_count):
                    holders = found.get((record.current.store, basket.skus[line]))
                    if holders is not None:
                        id = id_at(table, number)
                        holders.append(id.text[:id.size].decode())
        return found

    cdef int64_t _number(self, order_id, field, row=None) except -1:
        """The record of a known order."""
        cdef Span id
        cdef int64_t number = NO_RECORD
        if is_usable_id(order_id):
            span_of(order_id, &id)
            number = find_record(&self.records.table, id, hash_of(id))
        if number == NO_RECORD:
            refuse(Fault.UNKNOWN_ORDER, field, order_id, row=row, hint="it was never routed by id")
        return number

    # -- ENTERING ------------------------------------------------------------------------------

    cdef int64_t _enter(self, Batch batch, int64_t[::1] numbers, int64_t[::1] rows) except -1:
        """Find or add the record of each order; fill in its number, and the newcomers' rows.

        Returns how many newcomers there are: they are the newest records.
        """
        cdef int64_t newcomers, row = 0, entered = 0
        cdef uint32_t* hashes = <uint32_t*>malloc(max(1, len(batch)) * sizeof(uint32_t))
        if hashes == NULL:
            raise MemoryError("no room for more orders")
        with nogil:
            newcomers = enter_all(
                &self.records.table, &batch.columns, hashes, &numbers[0], &rows[0], &row, &entered
            )
            free(hashes)
        if newcomers >= 0:
            return newcomers
        try:
            if newcomers == CONFLICT:
                self._refuse_other(batch, row, numbers[row])
            raise MemoryError("no room for more orders")
        finally:
            drop_newest(&self.records.table, entered)

    def _refuse_other(self, Batch batch, int64_t row, int64_t number):
        """Say what differs between an order and what came first under its id."""
        cdef const Record* first = record_at(&self.records.table, number)
        cdef Basket before = basket_at(&self.records.table, number)
        cdef Basket now = basket_in(&batch.columns, row)
        if first.lat != batch.columns.lat[row]:
            field, values = "lat", (first.lat, batch.columns.lat[row])
        elif first.lng != batch.columns.lng[row]:
            field, values = "lng", (first.lng, batch.columns.lng[row])
        elif set(self._lines(&before)) != set(self._lines(&now)):
            field, values = "lines", (self._lines(&before), self._lines(&now))
        else:
            field, values = "amounts", (self._amounts(&before), self._amounts(&now))
        named, at = batch.name_of(row)
        refuse(Fault.ORDER_CONFLICT, named, batch.id_of(row), row=at,
               hint=f"{field} was {values[0]!r} and is now {values[1]!r}")

    cdef list _lines(self, const Basket* basket):
        """A basket as it would be written, in the order of the SKUs' codes."""
        return [
            (self.stock.skus[basket.skus[line]], basket.quantities[line])
            for line in range(basket.line_count)
        ]

    cdef dict _amounts(self, const Basket* basket):
        """What is paid for each SKU, as far as it was said."""
        return {
            self.stock.skus[basket.skus[line]]: amount_at(basket, line)
            for line in range(basket.line_count)
            if amount_at(basket, line)
        }


cdef inline int64_t amount_at(const Basket* basket, int64_t line) noexcept nogil:
    return 0 if basket.amounts == NULL else basket.amounts[line]


cdef inline Basket basket_in(const Columns* orders, int64_t row) noexcept nogil:
    """One order's lines. It has amounts if one of them has, whatever others of the batch have."""
    cdef Basket basket
    cdef int64_t line
    basket.skus = orders.skus + orders.offsets[row]
    basket.quantities = orders.quantities + orders.offsets[row]
    basket.amounts = NULL
    basket.line_count = orders.offsets[row + 1] - orders.offsets[row]
    for line in range(orders.offsets[row], orders.offsets[row + 1] if orders.amounts else 0):
        if orders.amounts[line]:
            basket.amounts = orders.amounts + orders.offsets[row]
            break
    return basket


cdef int64_t enter_all(Table* table, const Columns* orders, uint32_t* hashes, int64_t* numbers,
                       int64_t* rows, int64_t* at, int64_t* entered) noexcept nogil:
    """See Orders._enter. Returns how many newcomers, or CONFLICT or NO_ROOM `at` a row."""
    cdef Basket basket, before
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
                table, orders.ids[row], hashes[row], orders.lat[row], orders.lng[row], &basket
            )
            if number == NO_ROOM:
                return NO_ROOM
            rows[entered[0]] = row
            entered[0] += 1
        else:
            numbers[row] = number
            before = basket_at(table, number)
            if (record_at(table, number).lat != orders.lat[row]
                    or record_at(table, number).lng != orders.lng[row]
                    or not same_basket(&before, &basket)):
                return CONFLICT
        numbers[row] = number
    return entered[0]


cdef int64_t most_bytes(const Columns* orders) noexcept nogil:
    """How many bytes the events of so many orders take at most."""
    cdef int64_t row, total = most_order_bytes(0, 0) * orders.count
    for row in range(orders.count if orders.ids != NULL else 0):
        total += orders.ids[row].size
    return total + most_order_bytes(0, orders.offsets[orders.count])


cdef int64_t put_decisions(EventBuffer* buffer, const Table* table, const int64_t* numbers,
                           const int64_t* rows, const Columns* orders, const Verdict* verdicts,
                           const Quantity* before, int64_t due_ns) noexcept nogil:
    """Write down what each order of a batch was told first.

    Ids are read from their records, which stand side by side, and not from where the caller has
    them, which may be anywhere. Returns the last row whose counts cannot be, or -1 where all can.
    """
    cdef OrderEvent event
    cdef int64_t row, broken = -1
    for row in range(orders.count):
        event.id = id_at(table, numbers[rows[row]])
        event.lat, event.lng = orders.lat[row], orders.lng[row]
        event.store, event.distance_m = verdicts[row].store, verdicts[row].distance_m
        event.kind, event.reason = verdicts[row].status, verdicts[row].reason
        event.attempts = verdicts[row].status == STATUS_ASSIGNED
        event.due_ns = due_ns
        event.flags = HAS_PLACE
        if event.attempts:
            event.flags |= HAS_DISTANCE | HAS_MOVED
            if due_ns != NEVER_NS:
                event.flags |= HAS_DUE
        event.basket = basket_in(orders, row)
        if event.basket.amounts != NULL:
            event.flags |= HAS_AMOUNTS
        event.before = before + orders.offsets[row]
        if not put_order_event(buffer, &event):
            broken = row
    return broken


cdef void undo(const Leaves* leaves, Shelves* shelves, const Columns* orders,
               const Verdict* verdicts) noexcept nogil:
    """Give back what a batch has just reserved, last things first."""
    cdef Basket basket
    cdef int64_t row
    for row in range(orders.count - 1, -1, -1):
        if verdicts[row].status == STATUS_ASSIGNED:
            basket = basket_in(orders, row)
            give_back(shelves, leaves.ordinal_of[verdicts[row].store], &basket)


cdef void note_reserved(Ring* ring, const Columns* orders, const Verdict* verdicts) noexcept nogil:
    cdef int64_t row, line
    for row in range(orders.count):
        if verdicts[row].status == STATUS_ASSIGNED:
            for line in range(orders.offsets[row], orders.offsets[row + 1]):
                note(ring, verdicts[row].store, orders.skus[line])


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
