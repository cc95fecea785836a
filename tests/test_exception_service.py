"""ExceptionService and the clients: the same queue at the other end of a wire."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from clock import StoppedClock
from fendan import (
    Datum,
    Engine,
    ExceptionEntry,
    ExceptionFilter,
    ExceptionKind,
    FendanError,
    NotAllowedError,
    Order,
    OrderType,
    RetryPolicy,
    Store,
)
from fendan.aio import Client as AioClient
from fendan.client import Client
from fendan.server.access import METHODS, Caller, check_method
from fendan.server.callers import Scope
from fendan.v1 import exception_service_pb2 as messages
from serving import serving, until


def a_desk(clock: StoppedClock | None = None) -> Engine:
    """Two stores without stock, three orders that wait, one that is held and one that is broken."""
    engine = Engine(clock=clock or StoppedClock())
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4), Store(id="S2", lat=31.2, lng=121.41)])
    engine.set_stock([(store, sku, 0) for store in ("S1", "S2") for sku in ("tea", "milk")])
    engine.keep_exceptions(RetryPolicy(first_wait_s=0.0))
    engine.route_batch([order("A", priority=2), order("B", channel="jd"), order("C")])
    held = ExceptionEntry(
        id="H", kind=ExceptionKind.HELD, reason="PRICE_ZERO", order=order("H"), codes=("STALE",)
    )
    broken = ExceptionEntry(id="P", kind=ExceptionKind.BROKEN, reason="NOT_JSON", raw="{壶")
    engine.add_exceptions([held, broken])
    return engine


def order(name: str, **said: Any) -> Order:
    return Order(
        id=name,
        lat=31.2,
        lng=121.4,
        lines=(("tea", 1, 990),),
        order_type=OrderType.SAME_DAY,
        datum=Datum.WGS84,
        **said,
    )


class Blocking:
    """An asyncio client, waited for."""

    def __init__(self, client: AioClient, runner: asyncio.Runner) -> None:
        self._client, self._runner = client, runner

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            async def run() -> Any:
                made = getattr(self._client, name)(*arguments, **keywords)
                return [one async for one in made] if name.startswith("export") else await made

            return self._runner.run(run())

        return call


@contextmanager
def client() -> Iterator[Any]:
    with serving(a_desk()) as served, Client(served.address) as client:
        yield client


@contextmanager
def aio_client() -> Iterator[Any]:
    with serving(a_desk()) as served, asyncio.Runner() as runner:
        client = Blocking(AioClient(served.address), runner)
        yield client
        client.close()


SCENES: dict[str, Any] = {
    "all": lambda face: [plain(one) for one in face.export_exceptions()],
    "a page": lambda face: ids(face.exceptions(limit=2)),
    "the next": lambda face: ids(face.exceptions(limit=2, after=face.exceptions(limit=2).after)),
    "held ones": lambda face: ids(face.exceptions(ExceptionFilter(kinds=(ExceptionKind.HELD,)))),
    "of a channel": lambda face: ids(face.exceptions(ExceptionFilter(channels=("jd",)))),
    "for a reason": lambda face: ids(face.exceptions(ExceptionFilter(reasons=("NO_STOCK",)))),
    "of no store": lambda face: ids(face.exceptions(ExceptionFilter(store_ids=("S1",)))),
    "before": lambda face: ids(face.exceptions(ExceptionFilter(before_ns=5))),
    "no page": lambda face: face.exceptions(limit=0),
    "nowhere": lambda face: face.exceptions(after="nowhere"),
    "one": lambda face: plain(face.exception("H")),
    "none": lambda face: face.exception("nobody's"),
    "a number": lambda face: face.exception(7),
    "stats": lambda face: face.exception_stats(),
    "retry in vain": lambda face: face.retry_exceptions(["A", "C"]),
    "retry none": lambda face: face.retry_exceptions(["A", "nobody's"]),
    "retry the held": lambda face: face.retry_exceptions(["H"]),
    "retry a str": lambda face: face.retry_exceptions("A"),
    "assign in vain": lambda face: face.assign_exception("A", "S1"),
    "assign to nobody": lambda face: face.assign_exception("A", "S9"),
    "assign to a number": lambda face: face.assign_exception("A", 9),
    "assign the broken": lambda face: face.assign_exception("P", "S1"),
    "stock": lambda face: face.set_stock([("S2", "milk", 9)]),
    "approve": lambda face: face.approve_exception("H").state,
    "approve what waits": lambda face: face.approve_exception("H"),
    "approve the broken": lambda face: face.approve_exception("P"),
    "cancel": lambda face: face.cancel_exception("P"),
    "cancel again": lambda face: face.cancel_exception("P"),
    "cancelled": lambda face: (face.cancel_exception("B"), face.order("B")),
    "figures": lambda face: face.exception_figures("2025-06-15"),
    "figures of another zone": lambda face: face.exception_figures("2025-06-15", utc_offset_h=-8),
    "figures of no day": lambda face: face.exception_figures("yesterday"),
    "figures of no zone": lambda face: face.exception_figures("2025-06-15", utc_offset_h=99),
    "who is left": lambda face: ids(face.exceptions()),
    "by priority": lambda face: face.route_batch(
        [order("X"), order("Y", priority=9)], allocate="priority"
    ),
    "by chance": lambda face: face.route_batch([order("Z")], allocate="chance"),
    "of no priority": lambda face: face.route_batch([order("Z", priority=10)]),
}


def ids(page: Any) -> tuple[list[str], bool]:
    return [entry.id for entry in page.entries], page.after == ""


def plain(entry: ExceptionEntry) -> tuple[Any, ...]:
    """An entry but for what its lines are kept in."""
    order = entry.order
    lines = () if order is None else tuple(map(tuple, order.lines))
    return entry.id, entry.kind, entry.reason, entry.codes, entry.raw, entry.since_ns, lines


def played(face: Any) -> dict[str, object]:
    given: dict[str, object] = {}
    for name, scene in SCENES.items():
        try:
            given[name] = scene(face)
        except FendanError as error:
            given[name] = (type(error), error.code, error.field, error.row)
    return given


@pytest.mark.parametrize("opened", [client, aio_client], ids=["Client", "aio.Client"])
def test_a_client_says_of_the_queue_what_the_engine_says(opened: Any) -> None:
    expected = played(a_desk())
    with opened() as there:
        given = played(there)
    pairs = {name: (expected[name], given[name]) for name in SCENES}
    assert {name: pair for name, pair in pairs.items() if pair[0] != pair[1]} == {}


def test_the_server_tries_who_waits_as_soon_as_stock_comes() -> None:
    with serving(a_desk()) as served, Client(served.address) as client:
        client.set_stock([("S1", "tea", 1)])
        until(lambda: len(client.exceptions().entries) == 4)
        assert client.order("A").store_id == "S1"


def test_an_export_comes_as_a_stream_of_what_is_meant() -> None:
    with serving(a_desk()) as served, grpc.insecure_channel(served.address) as channel:
        export = channel.unary_stream(
            "/fendan.v1.ExceptionService/ExportExceptions",
            request_serializer=messages.ExportExceptionsRequest.SerializeToString,
            response_deserializer=messages.ExportExceptionsResponse.FromString,
        )
        waiting = messages.ExceptionFilter(kinds=[messages.EXCEPTION_KIND_WAITING])
        answers = list(export(messages.ExportExceptionsRequest(filter=waiting)))
    assert [one.order_id for answer in answers for one in answer.entries] == ["A", "B", "C"]


def test_the_desk_of_exceptions_has_a_scope_of_its_own() -> None:
    desk = Caller(name="desk", scope=Scope.EXCEPTIONS)
    of_desk = [name for name in METHODS if "/fendan.v1.ExceptionService/" in name]
    for method in of_desk:
        check_method(desk, method)
    store = Caller(name="shop", scope=Scope.STORE, of="S1")
    for who, method in ((desk, "/fendan.v1.RoutingService/Route"), (store, of_desk[0])):
        with pytest.raises(NotAllowedError):
            check_method(who, method)
