"""The order table: what each id asked for, what it was told, and what is still held for it.

An order id is the idempotency key. The same id with the same place and basket gets its first
decision again, whatever has happened to stock since, and after a release too; with other content
it is refused, and the error says what differs.

    _records   one a known order, in the order of arrival; first_line and line_count point into
    _skus, _quantities   the lines of all known orders, one after the other

Invariant: `held` stands exactly where the record's lines are counted in their store's `reserved`.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.network cimport NO_STORE
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict, route_many
from fendan.engine.stock cimport Basket, Stock, give_back

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.router import VERDICT_DTYPE as _VERDICT_DTYPE, Reason, Status, route
from fendan.errors import refuse


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
    """Routes orders over one stock and remembers those that have ids."""

    def __init__(self, Stock stock):
        self.stock = stock
        self._index_of = {}

    def __dealloc__(self):
        free(self._records)
        free(self._skus)
        free(self._quantities)

    def __len__(self):
        return self._count

    # -- COMMANDS ------------------------------------------------------------------------------

    def route(self, Batch batch, double radius_m):
        """Route a batch as if one after another; returns one row of VERDICT_DTYPE an order.

        Orders seen before, in this batch too, get their first decision. Raises OrderConflictError
        before anything has changed when one comes with other content.
        """
        if batch.ids is None:
            return route(self.stock, batch, radius_m)
        cdef int64_t[::1] indexes = np.empty(len(batch), dtype=np.int64)
        cdef dict newcomers = {}
        cdef list first_rows = self._identify(batch, indexes, newcomers)
        cdef Batch fresh = batch
        if len(first_rows) < len(batch):
            fresh = batch.subset(np.array(first_rows, dtype=np.int64))
        # Whatever can fail for want of memory comes before the first reservation.
        told = np.empty(len(batch), dtype=_VERDICT_DTYPE)
        cdef Verdict[::1] out = told
        cdef Verdict[::1] verdicts = np.empty(max(1, len(fresh)), dtype=_VERDICT_DTYPE)
        cdef Py_ssize_t row
        self._reserve(len(fresh), fresh.columns.offsets[fresh.columns.count])
        self._index_of.update(newcomers)
        with nogil:
            route_many(&self.stock.network.layout.leaves, &self.stock.shelves, &fresh.columns,
                       radius_m, &verdicts[0])
            self._record(&fresh.columns, &verdicts[0])
            for row in range(out.shape[0]):
                out[row] = self._records[indexes[row]].verdict
        return told

    def release(self, order_id):
        """Give back the stock held for an order; whether there was any."""
        cdef int64_t index = self._index(order_id)
        cdef Record* record = self._records + index
        cdef Asked asked = self._asked(index)
        if not record.held:
            return False
        give_back(
            &self.stock.shelves,
            self.stock.network.layout.leaves.ordinal_of[record.verdict.store],
            &asked.basket,
        )
        record.held = False
        return True

    # -- QUERIES -------------------------------------------------------------------------------

    def decision(self, order_id):
        """What a known order was told."""
        verdict = np.empty(1, dtype=_VERDICT_DTYPE)
        cdef Verdict[::1] row = verdict
        row[0] = self._records[<int64_t>self._index(order_id)].verdict
        return _decisions([order_id], verdict, self.stock.network.store_ids)[0]

    def holding(self, pairs):
        """For each (store, SKU) pair of codes, the ids of the orders it is held for, oldest first.

        One pass over the order table, however many pairs there are.
        """
        cdef dict found = {pair: [] for pair in pairs}
        cdef unsigned char[::1] concerned = np.zeros(
            self.stock.network.layout.leaves.store_count + 1, dtype=np.uint8
        )
        cdef Basket basket
        cdef int64_t index, line
        cdef list ids
        for store, _ in found:
            concerned[<int32_t>store] = 1
        ids = list(self._index_of)  # entered in the records' order
        for index in range(self._count):
            if not self._records[index].held or not concerned[self._records[index].verdict.store]:
                continue
            basket = self._asked(index).basket
            for line in range(basket.line_count):
                holders = found.get((self._records[index].verdict.store, basket.skus[line]))
                if holders is not None:
                    holders.append(ids[index])
        return found

    def _index(self, order_id):
        """The record of a known order."""
        index = self._index_of.get(order_id) if isinstance(order_id, str) else None
        if index is None:
            refuse(Fault.UNKNOWN_ORDER, "order_id", order_id, hint="it was never routed by id")
        return index

    # -- RECORDS -------------------------------------------------------------------------------

    cdef list _identify(self, Batch batch, int64_t[::1] indexes, dict newcomers):
        """Fill in each order's record and the newcomers' by id; return the rows they stand in."""
        cdef list first_rows = []
        cdef int64_t index
        cdef Py_ssize_t row
        for row in range(indexes.shape[0]):
            name = batch.ids[row]
            seen = self._index_of.get(name)
            if seen is None:
                seen = newcomers.setdefault(name, self._count + len(newcomers))
            index = seen
            indexes[row] = index
            if index < self._count:
                self._check_same(batch, row, self._asked(index), asked_in(&batch.columns, row))
            elif index - self._count == len(first_rows):
                first_rows.append(row)
            else:
                self._check_same(
                    batch, row, asked_in(&batch.columns, first_rows[index - self._count]),
                    asked_in(&batch.columns, row),
                )
        return first_rows

    cdef int _check_same(self, Batch batch, row, Asked first, Asked now) except -1:
        """Refuse an order whose content is not what came first under its id."""
        if first.lat != now.lat:
            field, values = "lat", (first.lat, now.lat)
        elif first.lng != now.lng:
            field, values = "lng", (first.lng, now.lng)
        elif not same_basket(&first.basket, &now.basket):
            field, values = "lines", (self._lines(&first.basket), self._lines(&now.basket))
        else:
            return 0
        named, at = batch.name_of(row)
        refuse(Fault.ORDER_CONFLICT, named, batch.ids[row], row=at,
               hint=f"{field} was {values[0]!r} and is now {values[1]!r}")

    cdef list _lines(self, const Basket* basket):
        """A basket as it would be written, in the order of the SKUs' codes."""
        return [
            (self.stock.skus[basket.skus[line]], basket.quantities[line])
            for line in range(basket.line_count)
        ]

    cdef Asked _asked(self, int64_t index) noexcept nogil:
        cdef Record* record = self._records + index
        cdef Asked asked
        asked.lat, asked.lng = record.lat, record.lng
        asked.basket.skus = self._skus + record.first_line
        asked.basket.quantities = self._quantities + record.first_line
        asked.basket.line_count = record.line_count
        return asked

    cdef int _reserve(self, int64_t orders, int64_t lines) except -1:
        """Make room for more records and lines, so that recording them cannot fail."""
        cdef int64_t capacity
        if self._count + orders > self._capacity:
            capacity = max(self._count + orders, 2 * self._capacity)
            self._records = <Record*>larger(self._records, capacity * sizeof(Record))
            self._capacity = capacity
        if self._line_count + lines > self._line_capacity:
            capacity = max(self._line_count + lines, 2 * self._line_capacity)
            self._skus = <int32_t*>larger(self._skus, capacity * sizeof(int32_t))
            self._quantities = <int32_t*>larger(self._quantities, capacity * sizeof(int32_t))
            self._line_capacity = capacity
        return 0

    cdef void _record(self, const Columns* orders, const Verdict* verdicts) noexcept nogil:
        """Append a routed batch."""
        cdef int64_t lines = orders.offsets[orders.count]
        cdef Record* record
        cdef int64_t row
        for row in range(orders.count):
            record = self._records + self._count + row
            record.lat, record.lng = orders.lat[row], orders.lng[row]
            record.first_line = self._line_count + orders.offsets[row]
            record.line_count = <int32_t>(orders.offsets[row + 1] - orders.offsets[row])
            record.held = verdicts[row].status == STATUS_ASSIGNED
            record.verdict = verdicts[row]
        if lines:
            memcpy(self._skus + self._line_count, orders.skus, lines * sizeof(int32_t))
            memcpy(self._quantities + self._line_count, orders.quantities, lines * sizeof(int32_t))
        self._count += orders.count
        self._line_count += lines


cdef void* larger(void* block, size_t size) except NULL:
    """`block` with room for `size` bytes; as it was where there is no room."""
    cdef void* moved = realloc(block, size)
    if moved == NULL:
        raise MemoryError("no room for more orders")
    return moved


cdef Asked asked_in(const Columns* orders, int64_t row) noexcept nogil:
    cdef Asked asked
    asked.lat, asked.lng = orders.lat[row], orders.lng[row]
    asked.basket.skus = orders.skus + orders.offsets[row]
    asked.basket.quantities = orders.quantities + orders.offsets[row]
    asked.basket.line_count = orders.offsets[row + 1] - orders.offsets[row]
    return asked


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
    return True
