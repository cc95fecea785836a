"""The whole way of an order into the engine: read, judged, routed, and kept where it is not filled.

```
 payloads ─► adapter ─► Received ─► judge ─► Engine.route_batch ─► assigned
                │                     │            │
                └─ broken             └─ held,     └─ waiting for stock, refused
                                         rejected
                └───────────── the exception queue ──────────────┘
```

Invariant: each order of each payload has one result, and unless it was assigned stands in the queue
before anyone hears of it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from fendan import columns
from fendan.api import Engine
from fendan.engine.outcome import Decision
from fendan.engine.router import Status
from fendan.errors import Fault, InvalidInputError, refuse
from fendan.intake.adapter import Adapted, Adapter
from fendan.intake.judge import Judged, judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.payload import Broken, RawPayload
from fendan.intake.plan import IntakePlan
from fendan.intake.received import NOT_SAID, Received
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.intake.rule import Severity
from fendan.intake.stuck import Stuck, id_of_payload
from fendan.model import Line, Order
from fendan.rules import OrderType

__all__ = ["Intake"]

# Beside the member tier: who is hungry now comes before whoever can wait.
PRIORITY_OF = {OrderType.INSTANT: 2, OrderType.PICKUP: 1, OrderType.SAME_DAY: 1}
HIGHEST_PRIORITY = 9

MOST_AMOUNT = 1_000_000_000_000  # as in `fendan.Order`

Answer = Decision | InvalidInputError


class Intake:
    """Takes orders in for one engine. Any thread may call; calls take turns.

    `plan`: mappings, rules and goods; without it the built-in ones, and no goods. `keep`: puts what
    is stuck into the exception queue. `on_judged`: is told what rules found, such as for metrics.
    """

    def __init__(
        self,
        engine: Engine,
        plan: IntakePlan | None = None,
        *,
        keep: Callable[[list[Stuck]], object] | None = None,
        on_judged: Callable[[Judged], object] | None = None,
    ) -> None:
        plan = IntakePlan() if plan is None else plan
        self._engine = engine
        self._adapter = Adapter(plan.mappings, engine.datum)
        self._config = plan.config
        self._knowledge = Knowledge(engine, plan.config, plan.items)
        self._keep = keep
        self._on_judged = on_judged
        self._lock = threading.Lock()

    def take(self, payloads: Iterable[RawPayload]) -> list[IntakeResult]:
        """Read, judge and route; one result for each order, by payload.

        Sent again, an order that was routed has its first answer; one that was not is judged anew.
        Never raises for what a payload holds: only where the engine itself fails (JournalError), or
        `payloads` are none.
        """
        rows = columns.rows("payloads", payloads)
        return self.settle(rows, self.read(rows))

    def read(self, payloads: Sequence[RawPayload]) -> Adapted:
        """The first half of `take`, which needs no engine and changes nothing."""
        for row, payload in enumerate(payloads):
            if not isinstance(payload, RawPayload):
                hint = "must be fendan.RawPayload values"
                refuse(Fault.WRONG_TYPE, "payloads", payload, row=row, hint=hint)
        return self._adapter.adapt(payloads)

    def settle(self, payloads: Sequence[RawPayload], adapted: Adapted) -> list[IntakeResult]:
        """The other half: `adapted` is what `read` made of the payloads."""
        with self._lock:
            batch = _Batch(payloads, adapted.received)
            self._judge(batch)
            self._route(batch)
            results = [batch.result(row) for row in range(len(batch.received))]
            stuck = batch.stuck
            for broken in adapted.broken:
                one, result = _broken(broken, payloads[broken.payload])
                stuck.append(one)
                results.append(result)
            if self._keep is not None and stuck:
                self._keep(stuck)
        return sorted(results, key=lambda result: result.payload)

    # -- INSIDE --------------------------------------------------------------------------------

    def _judge(self, batch: "_Batch") -> None:
        """What rules say of orders that the engine does not know; others have their answer."""
        batch.is_known = self._engine.knows(batch.received.order_ids)
        rows = np.flatnonzero(~np.array(batch.is_known, dtype=np.bool_))
        asked = batch.received if len(rows) == len(batch.received) else batch.received.part(rows)
        judged = judge(asked, self._knowledge.now(), self._config)
        if self._on_judged is not None:
            self._on_judged(judged)
        for number in np.flatnonzero(judged.worst).tolist():
            batch.found[int(rows[number])] = list(judged.of_order(number))

    def _route(self, batch: "_Batch") -> None:
        """Route what no rule stops."""
        rows = [row for row in range(len(batch.received)) if batch.worst(row) < Severity.HOLD]
        orders = [batch.order(row) for row in rows]
        for row, answer in zip(rows, self._answers(orders), strict=True):
            batch.answers[row] = answer

    def _answers(self, orders: list[Order]) -> Iterator[Answer]:
        """The decision on each order, or why the engine would not have it.

        A batch with an order that cannot be is refused whole, naming the order; so those before it
        are routed, it is left out, and it goes on behind it.
        """
        waiting = [orders]
        while waiting:
            batch = waiting.pop()
            if not batch:
                continue
            try:
                yield from self._engine.route_batch(batch)
            except InvalidInputError as error:
                if len(batch) == 1:
                    yield error
                    continue
                at = len(batch) // 2 if error.row is None else error.row
                waiting += [batch[at + 1 :], batch[at : at + 1], batch[:at]]


class _Batch:
    """The orders of one call, and what has come of each so far."""

    def __init__(self, payloads: Sequence[RawPayload], received: Received) -> None:
        self.payloads = payloads
        self.received = received
        self.is_known: list[bool] = []
        self.found: dict[int, list[tuple[str, int, Severity]]] = {}
        self.answers: dict[int, Answer] = {}
        self.stuck: list[Stuck] = []

    def worst(self, row: int) -> Severity:
        """The worst that rules found in an order."""
        return max((found[2] for found in self.found.get(row, ())), default=Severity.NONE)

    def order(self, row: int) -> Order:
        """As the engine is to route it."""
        of = self.received
        first, end = of.line_start[row : row + 2].tolist()
        return Order(
            id=of.order_ids[row],
            lat=float(of.lat[row]),
            lng=float(of.lng[row]),
            lines=[self._line(line) for line in range(first, end)],
            order_type=OrderType(int(of.order_type[row])),
            channel=of.channels[row],
            region=of.regions[row],
            pickup_store_id=of.pickup_store_ids[row],
            group_id=of.group_ids[row],
            buyer_id=of.buyer_ids[row],
            address_id=of.address_ids[row],
        )

    def priority(self, row: int) -> int:
        """How soon an order's turn comes where orders wait, 0 to 9."""
        extra = PRIORITY_OF.get(OrderType(int(self.received.order_type[row])), 0)
        return min(HIGHEST_PRIORITY, int(self.received.member_tier[row]) + extra)

    def result(self, row: int) -> IntakeResult:
        """What became of an order; what is stuck is noted."""
        answer = self.answers.get(row)
        found = sorted(self.found.get(row, ()), key=lambda one: -one[2])
        warnings = _codes(found, Severity.WARN)
        if isinstance(answer, Decision):
            return self._decided(row, answer, warnings)
        if answer is not None:
            codes: tuple[str, ...] = (answer.code,)
            outcome = IntakeOutcome.REJECTED
        else:
            codes = _codes(found, Severity.REJECT) + _codes(found, Severity.HOLD)
            is_rejected = self.worst(row) is Severity.REJECT
            outcome = IntakeOutcome.REJECTED if is_rejected else IntakeOutcome.HELD
        payload = self.payloads[int(self.received.payload[row])]
        order = self.order(row)
        stuck = Stuck(
            # What the engine has under this id is another order, or the same that was routed.
            id=order.id if answer is None else id_of_payload(payload, order.id),
            outcome=outcome,
            codes=codes,
            order=order if answer is None else None,
            channel=order.channel,
            priority=self.priority(row),
            raw=payload.kept(),
        )
        self.stuck.append(stuck)
        return _result_of(
            stuck,
            payload=int(self.received.payload[row]),
            order_id=order.id,
            warnings=warnings,
            hint="" if answer is None else answer.message,
        )

    def _decided(self, row: int, decision: Decision, warnings: tuple[str, ...]) -> IntakeResult:
        is_assigned = decision.status is not Status.UNASSIGNED
        return IntakeResult(
            payload=int(self.received.payload[row]),
            order_id=decision.order_id,
            outcome=IntakeOutcome.ASSIGNED if is_assigned else IntakeOutcome.WAITING,
            codes=() if is_assigned else (decision.reason.name,),
            warnings=warnings,
            store_id=decision.store_id,
            distance_m=decision.distance_m,
            exception_id="" if is_assigned else decision.order_id,
        )

    def _line(self, line: int) -> Line:
        of = self.received
        quantity, amount = int(of.quantity[line]), int(of.line_total[line])
        if amount == NOT_SAID and of.unit_price[line] != NOT_SAID:
            amount = int(of.unit_price[line]) * quantity
        return of.skus[line], quantity, min(max(amount, 0), MOST_AMOUNT)


def _codes(found: Iterable[tuple[str, int, Severity]], severity: Severity) -> tuple[str, ...]:
    """Each code once, although many lines may have it."""
    return tuple(dict.fromkeys(code for code, _, one in found if one is severity))


def _broken(broken: Broken, payload: RawPayload) -> tuple[Stuck, IntakeResult]:
    stuck = Stuck(
        id=id_of_payload(payload, broken.order_id),
        outcome=IntakeOutcome.BROKEN,
        codes=(broken.code.name,),
        raw=payload.kept(),
    )
    where = f"{broken.field}: " if broken.field else ""
    hint = f"{where}{broken.code.value}" + (f"; {broken.hint}" if broken.hint else "")
    return stuck, _result_of(
        stuck, payload=broken.payload, order_id=broken.order_id, warnings=(), hint=hint
    )


def _result_of(
    stuck: Stuck, *, payload: int, order_id: str, warnings: tuple[str, ...], hint: str
) -> IntakeResult:
    return IntakeResult(
        payload=payload,
        order_id=order_id,
        outcome=stuck.outcome,
        codes=stuck.codes,
        warnings=warnings,
        exception_id=stuck.id,
        hint=hint,
    )
