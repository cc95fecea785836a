"""What the orders of a batch were told: as arrays, and as objects.

    verdicts     a row an order                          what a store was chosen, or why none
    grants       a row an order, where a policy was      what was promised
    shipments    by row, of orders that were split       who sends what

An order that was known is told its first decision, with the grant and the shipments of that.
"""
cimport cython
from libc.stdint cimport int64_t

from fendan.engine.network cimport NO_STORE
from fendan.engine.router cimport Verdict
from fendan.engine.shelves cimport Basket
from fendan.engine.shipments cimport (
    Grant, Part, PartList, Shipments, add_part, first_part, lines_of,
)
from fendan.engine.stock cimport Stock

from fendan.engine.router import Reason, Status
from fendan.engine.shipments import Shipment, supply_of
from fendan.rules import StepName

_STATUSES = (None, *Status)     # by their numbers, which is faster than to ask the enum
_REASONS = tuple(Reason)
_STEPS = tuple(StepName)
cdef object NO_STEP = StepName.NONE


# -- AS ARRAYS ---------------------------------------------------------------------------------

@cython.final
cdef class Outcome:
    """One row an order, in the batch's order; see the module. Immutable."""

    def __len__(self):
        return len(self.verdicts)

    def shipments_of(self, int64_t row):
        """The shipments of the order at a row, as a tuple of Shipment; () where it was not split."""
        cdef const PartList* list
        cdef int64_t first, at
        if self.shipments is None:
            return ()
        list = &self.shipments.list
        first = at = first_part(list, row)
        found = []
        while at < list.count and list.parts[at].row == row:
            found.append(self._shipment(at, at - first + 1))
            at += 1
        return tuple(found)

    def _shipment(self, int64_t at, int64_t number):
        cdef const PartList* list = &self.shipments.list
        cdef const Part* part = list.parts + at
        cdef int64_t line
        supply_date = ""
        lines = []
        for line in range(part.first_line, part.first_line + part.line_count):
            sku, date = supply_of(self.stock.skus[list.skus[line]])
            supply_date = max(supply_date, date)
            lines.append((sku, list.quantities[line]))
        return Shipment(
            number=number, store_id=self.stock.network.store_ids[part.store],
            distance_m=part.distance_m, lines=tuple(lines),
            promised_ns=part.promised_ns or None, supply_date=supply_date,
        )


def arranged(Outcome outcome not None, places):
    """The same, where the order that stood in row `places[n]` stands in row n."""
    cdef Shipments moved = None
    cdef const PartList* parts
    cdef Part* part
    cdef Basket lines
    cdef int64_t row, was, at
    if outcome.shipments is not None:
        moved, parts = Shipments(), &outcome.shipments.list
        for row, was in enumerate(places.tolist()):
            at = first_part(parts, was)
            while at < parts.count and parts.parts[at].row == was:
                lines = lines_of(parts, parts.parts + at)
                part = add_part(&moved.list, row, &lines, NULL)
                if part == NULL:
                    raise MemoryError("no room for more shipments")
                part.store, part.distance_m = parts.parts[at].store, parts.parts[at].distance_m
                part.promised_ns = parts.parts[at].promised_ns
                at += 1
    grants = None if outcome.grants is None else outcome.grants[places]
    return make_outcome(outcome.verdicts[places], grants, moved, outcome.stock)


cdef object make_outcome(verdicts, grants, Shipments shipments, Stock stock):
    cdef Outcome outcome = Outcome.__new__(Outcome)
    outcome.verdicts, outcome.grants, outcome.shipments = verdicts, grants, shipments
    outcome.stock = stock
    return outcome


# -- AS OBJECTS --------------------------------------------------------------------------------

@cython.final
cdef class Decision:
    """What one order was told. Immutable.

    `status`: ASSIGNED or UNASSIGNED. `store_id` and `distance_m` (great circle, metres) are None
    where there is no store; `reason` then says why, and is Reason.NONE otherwise.

    Where a policy file was in force: `policy_version` is its version, 0 without one; `step` the
    step of its fallback chain that found the store; `promised_ns` when the customer has the order
    (nanoseconds since 1970, UTC), None where nobody can tell; `merge_group`, from 1, is that of
    orders that go to one buyer together, 0: none. Of an order that was split, `shipments` says who
    sends what, and `store_id` is that of the first.
    """

    def __cinit__(self):
        self.step, self.merge_group, self.shipments = NO_STEP, 0, ()

    def __init__(self, *, str order_id, status, store_id, distance_m, reason, int policy_version=0,
                 step=NO_STEP, promised_ns=None, merge_group=0, tuple shipments=()):
        self.order_id = order_id
        self.status = status
        self.store_id = store_id
        self.distance_m = distance_m
        self.reason = reason
        self.policy_version = policy_version
        self.step = step
        self.promised_ns = promised_ns
        self.merge_group = merge_group
        self.shipments = shipments

    def _fields(self):
        return {
            "order_id": self.order_id,
            "status": self.status,
            "store_id": self.store_id,
            "distance_m": self.distance_m,
            "reason": self.reason,
            "policy_version": self.policy_version,
            "step": self.step,
            "promised_ns": self.promised_ns,
            "merge_group": self.merge_group,
            "shipments": self.shipments,
        }

    def __eq__(self, other):
        if not isinstance(other, Decision):
            return NotImplemented
        return self._fields() == (<Decision>other)._fields()

    def __hash__(self):
        return hash(tuple(self._fields().values()))

    def __repr__(self):
        shown = self._fields()
        if not self.policy_version:  # the rest says nothing then
            shown = dict(list(shown.items())[:5])
        values = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"Decision({values})"

    def __reduce__(self):
        return _decision, tuple(self._fields().items())


def _decision(*fields):
    """Unpickle a Decision."""
    return Decision(**dict(fields))


def decisions(list ids, Outcome outcome not None):
    """The Decision objects of orders with these ids."""
    cdef const Verdict[::1] rows = outcome.verdicts
    cdef const Grant[::1] grants = outcome.grants
    cdef list store_ids = outcome.stock.network.store_ids
    cdef tuple statuses = _STATUSES, reasons = _REASONS, steps = _STEPS
    cdef Decision decision
    cdef Py_ssize_t row
    cdef list result = []
    for row in range(rows.shape[0]):
        decision = Decision.__new__(Decision)
        decision.order_id = ids[row]
        decision.status = statuses[rows[row].status]
        decision.reason = reasons[rows[row].reason]
        if rows[row].store != NO_STORE:
            decision.store_id = store_ids[rows[row].store]
            decision.distance_m = rows[row].distance_m
        if grants is not None:
            decision.policy_version = grants[row].policy_version
            decision.step = steps[grants[row].step]
            decision.promised_ns = grants[row].promised_ns or None
            decision.merge_group = grants[row].merge_group
            if rows[row].shipments:
                decision.shipments = outcome.shipments_of(row)
        result.append(decision)
    return result
