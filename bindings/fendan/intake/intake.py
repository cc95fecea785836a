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
from contextlib import suppress
from functools import cached_property

import numpy as np

from fendan.api import Engine
from fendan.engine.batch import MOST_AMOUNT
from fendan.engine.outcome import Decision
from fendan.engine.router import Status
from fendan.errors import InvalidInputError, UnknownStoreError
from fendan.exception_entry import ExceptionEntry, ExceptionKind
from fendan.intake.adapter import Adapted, Adapter
from fendan.intake.judge import Judged, judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.payload import Broken, RawPayload, checked_payloads
from fendan.intake.plan import IntakePlan
from fendan.intake.received import NOT_SAID, Received
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.intake.rule import Severity
from fendan.model import Line, Order
from fendan.priority import PRIORITY, priority_of
from fendan.retry import RetryPolicy
from fendan.rules import OrderType

__all__ = ["Intake"]

Answer = Decision | InvalidInputError


class Intake:
    """Takes orders in for one engine. Any thread may call; calls take turns.

    `plan`: mappings, rules and goods; without it the built-in ones, and no goods. `on_judged`: is
    told what rules found, such as for metrics. With the first call the engine begins to keep its
    exception queue, by the policy `retry`, unless it does so already.
    """

    def __init__(
        self,
        engine: Engine,
        plan: IntakePlan | None = None,
        *,
        retry: RetryPolicy | None = None,
        on_judged: Callable[[Judged], object] | None = None,
    ) -> None:
        plan = IntakePlan() if plan is None else plan
        self._engine = engine
        self._adapter = Adapter(plan.mappings, engine.datum)
        self._config = plan.config
        self._knowledge = Knowledge(engine, plan.config, plan.items)
        self._retry = retry
        self._on_judged = on_judged
        self._lock = threading.Lock()

    def take(self, payloads: Iterable[RawPayload]) -> list[IntakeResult]:
        """Read, judge and route; one result for each order, by payload.

        Sent again, an order that was routed has its first answer; one that was not is judged anew.
        Never raises for what a payload holds, only for what is no payload (InvalidInputError), and
        where the engine itself fails (JournalError).
        """
        rows = checked_payloads(payloads)
        return self.settle(rows, self.read(rows))

    def read(self, payloads: Sequence[RawPayload]) -> Adapted:
        """The first half of `take`, which needs no engine and changes nothing."""
        return self._adapter.adapt(payloads)

    def settle(self, payloads: Sequence[RawPayload], adapted: Adapted) -> list[IntakeResult]:
        """The other half: `adapted` is what `read` made of the payloads."""
        with self._lock:
            if not self._engine.keeps_exceptions:
                self._engine.keep_exceptions(self._retry)
            batch = _Batch(payloads, adapted.received)
            self._judge(batch)
            self._place(batch)
            self._route(batch)
            results = [batch.result(row) for row in range(len(batch.received))]
            for broken in adapted.broken:
                results.append(batch.broken(broken))
            self._engine.add_exceptions(batch.entries)
        return sorted(results, key=lambda result: result.payload)

    # -- INSIDE --------------------------------------------------------------------------------

    def _judge(self, batch: "_Batch") -> None:
        """What rules say of orders that the engine does not know; others have their answer."""
        batch.is_known = self._engine.knows(batch.received.order_ids)
        rows = np.flatnonzero(~np.array(batch.is_known, dtype=np.bool_))
        asked = batch.received if len(rows) == len(batch.received) else batch.received.part(rows)
        known = self._knowledge.now()
        batch.now_ns = known.now_ns
        judged = judge(asked, known, self._config)
        if self._on_judged is not None:
            self._on_judged(judged)
        for number in np.flatnonzero(judged.worst).tolist():
            batch.found[int(rows[number])] = list(judged.of_order(number))

    def _place(self, batch: "_Batch") -> None:
        """Whoever fetches an order, and says of no place where they are, is where the store is."""
        of = batch.received
        for row in np.flatnonzero(np.isnan(of.lat) | np.isnan(of.lng)).tolist():
            if store_id := of.pickup_store_ids[row]:
                with suppress(UnknownStoreError):
                    batch.lat[row], batch.lng[row] = self._engine.place_of(store_id)

    def _route(self, batch: "_Batch") -> None:
        """Route what no rule stops: what is new by priority, then what came before."""
        seen: set[str] = set()
        fresh: list[int] = []
        again: list[int] = []
        for row, name in enumerate(batch.received.order_ids):
            if batch.worst(row) < Severity.HOLD:
                (again if batch.is_known[row] or name in seen else fresh).append(row)
                seen.add(name)
        for rows in (fresh, again):
            orders = [batch.order(row) for row in rows]
            for row, answer in zip(rows, self._answers(orders), strict=True):
                batch.answers[row] = answer

    def _answers(self, orders: list[Order]) -> Iterator[Answer]:
        """The decision on each order, or why the engine would not have it.

        A batch with an order that cannot be is refused whole, naming the order; so those before it
        are routed, it is left out, and it goes on behind it.
        """
        waiting: list[list[Order] | InvalidInputError] = [orders]
        while waiting:
            batch = waiting.pop()
            if isinstance(batch, InvalidInputError):
                yield batch
                continue
            if not batch:
                continue
            try:
                yield from self._engine.route_batch(batch, allocate=PRIORITY)
            except InvalidInputError as error:
                if error.row is not None:
                    waiting += [batch[error.row + 1 :], error, batch[: error.row]]
                elif len(batch) > 1:
                    half = len(batch) // 2
                    waiting += [batch[half:], batch[:half]]
                else:
                    yield error


class _Batch:
    """The orders of one call, and what has come of each so far."""

    def __init__(self, payloads: Sequence[RawPayload], received: Received) -> None:
        self.payloads = payloads
        self.received = received
        self.lat, self.lng = received.lat.copy(), received.lng.copy()
        self.now_ns = 0
        self.is_known: list[bool] = []
        self.found: dict[int, list[tuple[str, int, Severity]]] = {}
        self.answers: dict[int, Answer] = {}
        self.entries: list[ExceptionEntry] = []

    def worst(self, row: int) -> Severity:
        """The worst that rules found in an order."""
        return max((found[2] for found in self.found.get(row, ())), default=Severity.NONE)

    def order(self, row: int) -> Order:
        """As the engine is to route it."""
        of = self.received
        first, end = of.line_start[row : row + 2].tolist()
        order_type = OrderType(int(of.order_type[row]))
        return Order(
            id=of.order_ids[row],
            lat=float(self.lat[row]),
            lng=float(self.lng[row]),
            lines=[self._line(line) for line in range(first, end)],
            order_type=order_type,
            channel=of.channels[row],
            region=of.regions[row],
            pickup_store_id=of.pickup_store_ids[row],
            group_id=of.group_ids[row],
            buyer_id=of.buyer_ids[row],
            address_id=of.address_ids[row],
            priority=priority_of(int(of.member_tier[row]), order_type),
        )

    @cached_property
    def routed(self) -> dict[str, bool]:
        """The orders that the engine knows by now, and whether a store has them."""
        return {
            answer.order_id: answer.status is not Status.UNASSIGNED
            for answer in self.answers.values()
            if isinstance(answer, Decision)
        }

    def result(self, row: int) -> IntakeResult:
        """What became of an order; an entry is made of what no store has."""
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
        # Where the engine has an order of this id, this one is another, and has a name of its own.
        is_first = answer is None and order.id not in self.routed
        name = order.id if is_first else payload.name(order.id)
        self._keep(name, outcome, codes, payload, order if is_first else None, order.channel)
        return IntakeResult(
            payload=int(self.received.payload[row]),
            order_id=order.id,
            outcome=outcome,
            codes=codes,
            warnings=warnings,
            exception_id=name,
            hint="" if answer is None else _said(answer),
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

    def broken(self, broken: Broken) -> IntakeResult:
        """What became of what could not be read: it is kept as it came."""
        payload = self.payloads[broken.payload]
        name, codes = payload.name(broken.order_id), (broken.code.name,)
        self._keep(name, IntakeOutcome.BROKEN, codes, payload)
        where = f"{broken.field}: " if broken.field else ""
        return IntakeResult(
            payload=broken.payload,
            order_id=broken.order_id,
            outcome=IntakeOutcome.BROKEN,
            codes=codes,
            exception_id=name,
            hint=f"{where}{broken.code.value}" + (f"; {broken.hint}" if broken.hint else ""),
        )

    def _keep(
        self,
        name: str,
        outcome: IntakeOutcome,
        codes: tuple[str, ...],
        payload: RawPayload,
        order: Order | None = None,
        channel: str = "",
    ) -> None:
        """Make an entry for the queue; what came in the future, by its sender's clock, came now."""
        came_ns = payload.received_ns or self.now_ns
        entry = ExceptionEntry(
            id=name,
            kind=ExceptionKind[outcome.name],
            reason=codes[0],
            codes=codes[1:],
            since_ns=came_ns if 0 < came_ns <= self.now_ns else self.now_ns,
            order=order,
            channel=channel,
            priority=0 if order is None else order.priority,
            raw=payload.kept(),
        )
        self.entries.append(entry)

    def _line(self, line: int) -> Line:
        of = self.received
        quantity, amount = int(of.quantity[line]), int(of.line_total[line])
        if amount == NOT_SAID and of.unit_price[line] != NOT_SAID:
            amount = int(of.unit_price[line]) * quantity
        return of.skus[line], quantity, min(max(amount, 0), MOST_AMOUNT)


def _said(error: InvalidInputError) -> str:
    """What the engine said of an order, without its row in a batch that nobody else knows of."""
    said = error.message.replace(f" (row {error.row})", "", 1)
    return said.removeprefix(f"orders[{error.row}].")


def _codes(found: Iterable[tuple[str, int, Severity]], severity: Severity) -> tuple[str, ...]:
    """Each code once, although many lines may have it."""
    return tuple(dict.fromkeys(code for code, _, one in found if one is severity))
