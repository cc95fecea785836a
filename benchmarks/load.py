"""Orders sent to a server, and how long each answer took.

Requests are bytes before any clock runs. A *closed* loop sends the next one when an answer is
there. The *open* loop sends at instants fixed beforehand, whatever has become of those before, and
latency counts from these instants: when the server, or this process, falls behind, every order
that had to wait for that counts it (no coordinated omission).
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import grpc
import numpy as np

import fendan
from fendan.engine import wire
from fendan.workloads.workload import Workload, order_objects, sku_names

SERVICE = "/fendan.v1.RoutingService"
# Loopback needs no proxy, whatever the environment says. Answers of 10,000 orders are not small.
OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 64 * 1024 * 1024))
TIMEOUT_S = 60.0
# From the moment the streams are there to the first instant, so that all of them are ready.
LEAD_S = 0.1

clock = time.perf_counter


# -- ORDERS ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A request as bytes, and the ids of its orders."""

    data: bytes
    order_ids: list[str]
    correlation_id: int

    @classmethod
    def of(cls, orders: Sequence[fendan.Order], correlation_id: int = 0) -> "Message":
        """Write the orders; as a RouteRequest, too, where it is one."""
        data = wire.write_request(orders, correlation_id=correlation_id)
        return cls(data, [order.id for order in orders], correlation_id)


class Orders:
    """Makes orders that no server has seen: other places, other baskets, other ids."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._skus = sku_names(workload)
        self._fresh = count()

    def objects(self, orders: int) -> list[fendan.Order]:
        """Orders of two lines. Their ids are no longer than those of earlier ones."""
        batch = next(self._fresh)
        made = self._workload.more_orders(orders, batch=batch)
        return order_objects(made, self._skus, prefix=f"{batch:06d}-")

    def singles(self, orders: int) -> list[Message]:
        """Orders in a message each."""
        return [Message.of([order]) for order in self.objects(orders)]

    def messages(self, orders: int, messages: int = 1) -> list[Message]:
        """Orders in so many messages of equal size, more or less."""
        made = self.objects(orders)
        edges = [number * orders // messages for number in range(messages + 1)]
        return [
            Message.of(made[edges[number] : edges[number + 1]], correlation_id=number)
            for number in range(messages)
        ]


@dataclass
class Tally:
    """What became of the orders: none may be lost, and none told something else than a decision."""

    name: str
    orders: int = 0
    answered: int = 0
    assigned: int = 0

    def count(self, sent: Message, answer: bytes) -> None:
        """Look into one answer. Raises RuntimeError where it is none to this message."""
        response = wire.read_response(answer)
        if response.refusal is not None:
            raise RuntimeError(f"{self.name}: refused: {response.refusal}")
        if response.correlation_id != sent.correlation_id:
            raise RuntimeError(f"{self.name}: an answer to another message")
        if [decision.order_id for decision in response.decisions] != sent.order_ids:
            raise RuntimeError(f"{self.name}: decisions on other orders")
        self.decided(len(sent.order_ids), response.decisions)

    def decided(self, orders: int, decisions: Iterable[fendan.Decision]) -> None:
        """Count the decisions on so many orders."""
        statuses = [decision.status for decision in decisions]
        self.orders += orders
        self.answered += len(statuses)
        self.assigned += statuses.count(fendan.Status.ASSIGNED)


# -- LATENCIES ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Latencies:
    """How long orders, or calls, waited: half of them at most p50, all of them at most `most`."""

    p50_ms: float
    p99_ms: float
    most_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float], weights: Sequence[int] | None = None) -> "Latencies":
        """Of single waits, or of messages that weigh as much as they have orders."""
        each = np.asarray(seconds) if weights is None else np.repeat(seconds, weights)
        # Always a wait that somebody had, and the longer one of two.
        p50, p99, most = np.percentile(each, (50, 99, 100), method="higher") * 1e3
        return cls(float(p50), float(p99), float(most))


# -- LOOPS -------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What came back, and how long that took."""

    to: Message
    data: bytes
    seconds: float


def one_by_one(channel: grpc.Channel, message: Message) -> Answer:
    """BatchRoute from a thread that waits for the answer."""
    call: Any = channel.unary_unary(f"{SERVICE}/BatchRoute")
    began = clock()
    data = call(message.data, timeout=TIMEOUT_S)
    return Answer(message, data, clock() - began)


async def closed_loop(
    channel: grpc.aio.Channel, messages: Sequence[Message], in_flight: int
) -> list[Answer]:
    """Route, by so many callers; the answers in the order in which they came."""
    call: Any = channel.unary_unary(f"{SERVICE}/Route")
    waiting = iter(messages)
    answers: list[Answer] = []

    async def caller() -> None:
        for message in waiting:  # each takes the next that nobody has
            began = clock()
            data = await call(message.data, timeout=TIMEOUT_S)
            answers.append(Answer(message, data, clock() - began))

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return answers


class Due(NamedTuple):
    """A message, and when it is to be sent: seconds after the first instant."""

    message: Message
    at_s: float


async def open_loop(
    channel: grpc.aio.Channel, plans: Sequence[Sequence[Due]]
) -> list[list[Answer]]:
    """StreamRoute, one stream a plan; `seconds` run from when a message was due."""
    open_stream: Any = channel.stream_stream(f"{SERVICE}/StreamRoute")
    calls = [open_stream(timeout=TIMEOUT_S) for _ in plans]
    for call in calls:
        await call.wait_for_connection()
    begin = clock() + LEAD_S
    streams = zip(calls, plans, strict=True)
    return await asyncio.gather(*(_stream(call, plan, begin) for call, plan in streams))


async def _stream(call: Any, plan: Sequence[Due], begin: float) -> list[Answer]:
    async def write() -> None:
        for message, at_s in plan:
            await asyncio.sleep(begin + at_s - clock())
            await call.write(message.data)
        await call.done_writing()

    writer = asyncio.create_task(write())
    answers = []
    for message, at_s in plan:
        data = await call.read()
        if data is grpc.aio.EOF:
            raise RuntimeError(f"the stream ended early: {await call.details()}")
        answers.append(Answer(message, data, clock() - begin - at_s))
    await writer
    return answers
