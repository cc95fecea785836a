"""Many callers, few messages: the orders of concurrent calls share the messages of one stream.

An order is gathered into a parcel with others of the same policy. The parcel goes to the outbox,
from there as one message to the service, and with its answer every caller gets a decision:

    ask -> gathering -> outbox -> unanswered -> all futures resolved
                          ^           |
                          +-----------+  the stream broke: everything again, safe by the orders' ids
                          +-----------+  refused: the bad order's caller is told, the rest go again

What is done per order is to append it to lists and to resolve its future, nothing else.
"""

import asyncio
import copy
import itertools
import math
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from fendan.calls import as_single
from fendan.channel import Failure, Retries, RpcError, service_error
from fendan.details import error_of_refusal
from fendan.engine import wire
from fendan.engine.outcome import Decision
from fendan.errors import Fault, FendanError
from fendan.model import Order, Policy

__all__ = ["COALESCE_WINDOW_S", "ORDERS_AT_ONCE", "Carrier"]

# How long an order may wait for others while messages are under way.
COALESCE_WINDOW_S = 0.002

# A parcel of so many goes at once: by then a message costs next to nothing per order, and the
# service works on it while the next one fills.
ORDERS_AT_ONCE = 512

# A larger message goes in halves; a single order so large goes by itself, outside the stream: a
# service that finds a message too large ends the stream, and no order may do that to the others.
MOST_MESSAGE_BYTES = 1024 * 1024

# Deadlines that lie closer together than this are looked after together.
EXPIRY_STEP_S = 0.01

Answer: TypeAlias = "asyncio.Future[Decision]"
RouteAlone: TypeAlias = Callable[[Order, Policy | None, bool, float], Awaitable[Decision]]


class Parcel:
    """Orders that travel together, and who waits for them: three lists of equal length."""

    __slots__ = ("answers", "deadlines", "dry_run", "orders", "policy", "tries")

    def __init__(self, policy: Policy | None, dry_run: bool) -> None:
        self.policy = policy
        self.dry_run = dry_run
        self.tries = 0
        self.orders: list[Order] = []
        self.answers: list[Answer] = []
        self.deadlines: list[float] = []

    def some(self, rows: list[int]) -> "Parcel":
        """A parcel of these of its orders."""
        part = Parcel(self.policy, self.dry_run)
        part.orders = [self.orders[row] for row in rows]
        part.answers = [self.answers[row] for row in rows]
        part.deadlines = [self.deadlines[row] for row in rows]
        return part

    def waiting(self) -> list[int]:
        """The rows whose callers still wait; others have given up, or got an error."""
        return [row for row, answer in enumerate(self.answers) if not answer.done()]

    def expire(self, now: float) -> float:
        """Tell those whose time is up; when the next one's will be."""
        earliest = math.inf
        for answer, deadline in zip(self.answers, self.deadlines, strict=True):
            if answer.done():
                continue
            if deadline <= now:
                error = service_error(Fault.TIMED_OUT, "no decision within the timeout")
                answer.set_exception(error)
            else:
                earliest = min(earliest, deadline)
        return earliest

    def fail(self, error: FendanError) -> None:
        """Tell everyone who still waits; each gets an exception of its own to raise."""
        for answer in self.answers:
            if not answer.done():
                answer.set_exception(copy.copy(error))


class Carrier:
    """Carries orders to the service and decisions back; belongs to the loop that runs."""

    def __init__(
        self, *, open_stream: Callable[[], Any], route_alone: RouteAlone, retries: Retries
    ) -> None:
        self._open_stream = open_stream
        self._route_alone = route_alone
        self._retries = retries
        self._loop = asyncio.get_running_loop()
        self._gathering: dict[tuple[float | None, ...], Parcel] = {}
        self._outbox: deque[Parcel] = deque()
        self._filled = asyncio.Event()  # wakes whoever waits for something in the outbox
        self._unanswered: dict[int, Parcel] = {}
        self._live: set[Parcel] = set()  # all that someone may wait for, wherever they are
        self._numbers = itertools.count(1)
        self._tries = 0  # streams that broke in a row without an answer
        self._window: asyncio.Handle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._run())

    def ask(self, order: Order, policy: Policy | None, dry_run: bool, timeout_s: float) -> Answer:
        """Send an order with the next message; its decision, later."""
        if policy is not None:
            wire.write_request([], policy=policy)  # refuses what is none
        deadline = self._loop.time() + timeout_s
        answer: Answer = self._loop.create_future()
        # Dry runs in one message would see each other's orders, and these callers are strangers.
        parcel = self._own_parcel(policy) if dry_run else self._shared_parcel(policy)
        parcel.orders.append(order)
        parcel.answers.append(answer)
        parcel.deadlines.append(deadline)
        if deadline < self._alarm_at:
            self._set_alarm(deadline)
        if len(parcel.orders) == ORDERS_AT_ONCE and not dry_run:
            del self._gathering[_radius(policy)]
            self._post(parcel)
        return answer

    async def close(self) -> None:
        """Give up; whoever still waits is told UNAVAILABLE."""
        for handle in (self._window, self._alarm):
            if handle is not None:
                handle.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for parcel in self._live:
            parcel.fail(service_error(Fault.UNAVAILABLE, "the client is closed"))
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- GATHERING -----------------------------------------------------------------------------

    def _shared_parcel(self, policy: Policy | None) -> Parcel:
        radius = _radius(policy)
        parcel = self._gathering.get(radius)
        if parcel is None:
            parcel = self._gathering[radius] = Parcel(policy, False)
            self._live.add(parcel)
            if self._window is None:
                # At once means after whatever is ready to run now, which may bring more orders.
                self._window = (
                    self._loop.call_soon(self._flush)
                    if self._is_idle()
                    else self._loop.call_later(COALESCE_WINDOW_S, self._flush)
                )
        return parcel

    def _own_parcel(self, policy: Policy | None) -> Parcel:
        parcel = Parcel(policy, True)
        self._post(parcel)
        return parcel

    def _is_idle(self) -> bool:
        return not self._unanswered and not self._outbox

    def _flush(self) -> None:
        """What was gathered goes."""
        if self._window is not None:
            self._window.cancel()
            self._window = None
        parcels = list(self._gathering.values())
        self._gathering.clear()
        for parcel in parcels:
            self._post(parcel)

    def _post(self, parcel: Parcel) -> None:
        self._live.add(parcel)
        self._outbox.append(parcel)
        self._filled.set()

    # -- THE STREAM ----------------------------------------------------------------------------

    async def _run(self) -> None:
        """One stream after another; none while there is nothing to send."""
        while True:
            await self._until_filled()
            failure = await self._converse()
            if self._is_worth_another(failure):
                await asyncio.sleep(self._retries.wait_s(failure, self._tries))
                self._tries += 1

    def _is_worth_another(self, failure: Failure) -> bool:
        """Put what has no answer back into the outbox, if that may help; or tell the callers."""
        waiting = [*self._unanswered.values(), *self._outbox]
        self._unanswered.clear()
        self._outbox.clear()
        if self._tries < self._retries.most and failure.may_pass(repeatable=True):
            self._outbox.extend(waiting)
            return bool(waiting)
        self._tries = 0
        for parcel in waiting:
            self._fail(parcel, failure.error)
        return False

    async def _converse(self) -> Failure:
        """Send and hear on one stream until it ends; why it did."""
        stream = self._open_stream()
        writer = self._loop.create_task(self._write(stream))
        try:
            async for data in stream:
                self._tries = 0
                self._hear(wire.read_response(data))
        except RpcError as problem:
            return Failure.of(problem)
        except FendanError as error:
            return Failure(error)
        except Exception as problem:  # or else everyone would wait for what does not come
            return Failure(service_error(Fault.INTERNAL, f"the client failed: {problem!r}"))
        finally:
            writer.cancel()
            stream.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return Failure(service_error(Fault.UNAVAILABLE, "the service ended the stream"))

    async def _write(self, stream: Any) -> None:
        """Send what is in the outbox, as fast as the service takes it."""
        while True:
            await self._until_filled()
            parcel = self._outbox.popleft()
            number = next(self._numbers)
            data = self._message(parcel, number)
            if data is not None:
                self._unanswered[number] = parcel
                # If this fails the stream is broken, as its reader finds out too.
                await stream.write(data)

    async def _until_filled(self) -> None:
        while not self._outbox:
            self._filled.clear()
            await self._filled.wait()

    def _message(self, parcel: Parcel, number: int) -> bytes | None:
        """A parcel as bytes, to be sent now; None where it goes otherwise, or not at all."""
        waiting = parcel.waiting()
        if len(waiting) < len(parcel.orders):
            self._replace(parcel, [waiting])
            return None
        try:
            data = wire.write_request(
                parcel.orders,
                policy=parcel.policy,
                dry_run=parcel.dry_run,
                correlation_id=number,
            )
        except FendanError as error:
            self._refused(parcel, Failure(error))
            return None
        except Exception as problem:  # no order, in a way nobody thought of; whose, we find out
            if len(waiting) > 1:
                self._replace(parcel, _halves(waiting))
            else:
                self._live.discard(parcel)
                parcel.answers[0].set_exception(problem)
            return None
        if len(data) <= MOST_MESSAGE_BYTES:
            return data
        if len(waiting) == 1:
            self._start(self._go_alone(parcel))
        else:
            self._replace(parcel, _halves(waiting))
        return None

    async def _go_alone(self, parcel: Parcel) -> None:
        left_s = max(EXPIRY_STEP_S, parcel.deadlines[0] - self._loop.time())
        try:
            decision = await self._route_alone(
                parcel.orders[0], parcel.policy, parcel.dry_run, left_s
            )
        except FendanError as error:
            self._fail(parcel, error)
        else:
            self._decided(parcel, [decision])

    # -- ANSWERS -------------------------------------------------------------------------------

    def _hear(self, response: wire.Response) -> None:
        """Resolve the calls of one message."""
        parcel = self._unanswered.get(response.correlation_id)
        if parcel is None:
            raise service_error(Fault.INTERNAL, "an answer to no message")
        refusal = response.refusal
        if refusal is None and len(response.decisions) != len(parcel.orders):
            raise service_error(Fault.INTERNAL, "not as many decisions as orders")
        del self._unanswered[response.correlation_id]
        if refusal is None:
            self._decided(parcel, response.decisions)
        else:
            after_s = refusal.retry_after_ms / 1_000 if refusal.retry_after_ms else None
            self._refused(parcel, Failure(error_of_refusal(refusal), after_s))
        if self._is_idle():
            self._flush()

    def _decided(self, parcel: Parcel, decisions: list[Decision]) -> None:
        self._live.discard(parcel)
        for answer, decision in zip(parcel.answers, decisions, strict=True):
            if not answer.done():
                answer.set_result(decision)

    def _refused(self, parcel: Parcel, failure: Failure) -> None:
        """Nothing of a parcel was done: because of one order, or of all, or just not now."""
        error = failure.error
        place = re.match(r"orders\[(\d+)\]", error.field)
        bad = int(place[1]) if place else -1
        if 0 <= bad < len(parcel.orders):
            if not parcel.answers[bad].done():
                parcel.answers[bad].set_exception(as_single(error, parcel.orders[bad]))
            # In halves, so that many bad orders are found in few rounds.
            rest = [row for row in range(len(parcel.orders)) if row != bad]
            self._replace(parcel, _halves(rest))
        elif failure.may_pass(repeatable=True) and parcel.tries < self._retries.most:
            wait_s = self._retries.wait_s(failure, parcel.tries)
            parcel.tries += 1
            self._loop.call_later(wait_s, self._post, parcel)
        else:
            self._fail(parcel, error)

    def _fail(self, parcel: Parcel, error: FendanError) -> None:
        self._live.discard(parcel)
        parcel.fail(error)

    def _replace(self, parcel: Parcel, parts: list[list[int]]) -> None:
        """Send parts of a parcel, by their rows, in its place."""
        self._live.discard(parcel)
        for rows in parts:
            if rows:
                self._post(parcel.some(rows))

    # -- DEADLINES -----------------------------------------------------------------------------

    def _set_alarm(self, at: float) -> None:
        """Look after deadlines then; one timer for all of them."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        self._alarm_at, self._alarm = math.inf, None
        earliest = min((parcel.expire(now) for parcel in self._live), default=math.inf)
        # A service that takes no messages must not fill our memory with what nobody waits for.
        for parcel in [parcel for parcel in self._outbox if not parcel.waiting()]:
            self._live.discard(parcel)
            self._outbox.remove(parcel)
        if earliest < math.inf:
            self._set_alarm(max(earliest, now + EXPIRY_STEP_S))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)  # or else nothing holds it
        task.add_done_callback(self._tasks.discard)


def _radius(policy: Policy | None) -> tuple[float | None, ...]:
    """What makes policies the same; none at all is not the same as one without a limit."""
    return () if policy is None else (policy.radius_m,)


def _halves(rows: list[int]) -> list[list[int]]:
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]
