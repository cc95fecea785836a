"""A server's two doors give the same answers: the same bytes, statuses, words and details."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from built import HAS_DOOR, NO_DOOR
from clock import StoppedClock
from fendan import Engine, Store
from fendan.errors import Fault, refuse
from fendan.server.access import METHODS
from fendan.server.callers import Scope
from fendan.server.config import Config
from fendan.server.tokens import new_token
from fendan.v1 import inventory_service_pb2, order_pb2, order_service_pb2, routing_service_pb2
from fendan.v1.inventory_service_pb2 import StockAdjustment, StockChange
from fendan.v1.order_service_pb2 import (
    GetOrderRequest,
)
from fendan.v1.routing_service_pb2 import (
    RouteRequest,
    RouteResponse,
)
from serving import HOT, PATIENCE_S, Served, held_up, serving, until, waiting

pytestmark = pytest.mark.skipif(not HAS_DOOR, reason=NO_DOOR)

ROUTING = "/fendan.v1.RoutingService"
ORDERS = "/fendan.v1.OrderService"
INVENTORY = "/fendan.v1.InventoryService"
NOW_NS = 1_750_000_000_000_000_000

STREAM = f"{ROUTING}/StreamRoute"
MODULES = {
    ROUTING: routing_service_pb2,
    ORDERS: order_service_pb2,
    INVENTORY: inventory_service_pb2,
}

Headers = tuple[tuple[str, str], ...]


class Told(NamedTuple):
    """All that a client learns of a call: its answers, and how it ended."""

    answers: list[bytes]
    code: str
    words: str | None
    trailing: list[tuple[str, str | bytes]]


def told(channel: grpc.Channel, method: str, messages: Sequence[bytes], headers: Headers) -> Told:
    """What a door tells. Only streams have other than one message."""
    if method == STREAM:
        call = channel.stream_stream(method)(iter(messages), metadata=headers, timeout=PATIENCE_S)
        return heard(call, call)
    (data,) = messages
    future = channel.unary_unary(method).future(data, metadata=headers, timeout=PATIENCE_S)
    return heard(future, [future])


def heard(call: Any, answers: Iterable[Any]) -> Told:
    """What a call tells; its answers may still be to come."""
    found = []
    with suppress(grpc.RpcError):
        for answer in answers:
            found.append(answer if isinstance(answer, bytes) else answer.result())
    return Told(found, call.code().name, call.details(), list(call.trailing_metadata()))


def a_town() -> Engine:
    """Twenty stores with plenty, and one, S0, with little."""
    engine = Engine(clock=StoppedClock(NOW_NS))
    engine.add_stores(
        Store(id=f"S{n}", lat=31.2, lng=121.4 + n / 100, region="east" if n % 2 else "west")
        for n in range(20)
    )
    engine.set_stock((f"S{n}", sku, 1_000_000) for n in range(1, 20) for sku in ("tea", "milk"))
    engine.set_stock([("S0", "tea", 3)])
    return engine


class Doors:
    """Two servers of the same town; calls go to the grpcio port of one, the door of the other."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        tokens = folder / "tokens.toml"
        of = {Scope.STORE: "S1", Scope.REGION: "east"}
        self.tokens = {
            scope: new_token(tokens, name=scope.value, scope=scope, of=of.get(scope, ""))
            for scope in Scope
        }
        limits = {"limits__message_bytes": 64 * 1024, "limits__orders_per_request": 50}
        self.port, self.door = (
            stack.enter_context(serving(a_town(), tokens=tokens, door__listen="0", **limits))
            for _ in range(2)
        )
        self.channels = [
            stack.enter_context(grpc.insecure_channel(address))
            for address in (self.port.address, self.door.hot_address)
        ]

    def headers(self, scope: Scope) -> Headers:
        return (("authorization", f"Bearer {self.tokens[scope]}"),)

    def both(self, method: str, messages: Sequence[bytes], headers: Headers) -> Told:
        """What both tell."""
        port, door = (told(channel, method, messages, headers) for channel in self.channels)
        assert door == port
        return port


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with ExitStack() as stack:
        yield Doors(tmp_path_factory.mktemp("doors"), stack)


def an_order(name: str, sku: str = "tea", quantity: int = 1, lng: float = 121.4) -> order_pb2.Order:
    lines = [order_pb2.OrderLine(sku=sku, quantity=quantity)]
    return order_pb2.Order(id=name, lat=31.2, lng=lng, lines=lines)


# -- THE SAME ANSWERS --------------------------------------------------------------------------


def test_the_door_has_the_hot_methods_and_no_others(doors: Doors) -> None:
    assert set(doors.door.server._answers.by_method) == HOT
    for method in METHODS:
        data, headers = [b"\xff"], doors.headers(Scope.HEADQUARTERS)
        one = told(doors.channels[1], method, data, headers)
        assert (one.code == "UNIMPLEMENTED") == (method not in HOT), method
        assert method in HOT or doors.door.address in str(one.words)


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("method", sorted(HOT))
def test_what_a_token_may_call_it_may_call_at_both(doors: Doors, method: str, scope: Scope) -> None:
    both = doors.both(method, [b""], doors.headers(scope))
    is_refused = both.code == "PERMISSION_DENIED" and f"scope {scope.value}" in str(both.words)
    assert is_refused == (scope not in METHODS[method])


@pytest.mark.parametrize("method", sorted(HOT))
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("authorization", "Bearer nobody's"),),
        (("authorization", "Basic dXNlcjpwYXNz"),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer a b"),),
        (("authorization", ""),),
        (("authorization", "Bearer nobody's"), ("authorization", "Bearer nobody's")),
    ],
    ids=str,
)
def test_strangers_are_told_the_same(doors: Doors, method: str, headers: Headers) -> None:
    assert doors.both(method, [b""], headers).code == "UNAUTHENTICATED"


def test_who_writes_bearer_otherwise_is_known_at_both(doors: Doors) -> None:
    request = GetOrderRequest(order_id="nobody's").SerializeToString()
    for word in ("bearer", "BEARER", "Bearer"):
        headers = (("authorization", f"{word} {doors.tokens[Scope.HEADQUARTERS]}"),)
        assert doors.both(f"{ORDERS}/GetOrder", [request], headers).code == "NOT_FOUND"


@pytest.mark.parametrize("method", sorted(HOT))
@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x0a\x05abc", b"\x0a\x03abc", b"\x0a" * 999, b"\x0b" * 500, b"\x00"]
)
def test_bytes_that_are_no_message_are_refused_alike(
    doors: Doors, method: str, data: bytes
) -> None:
    both = doors.both(method, [data], doors.headers(Scope.HEADQUARTERS))
    assert both.code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")


def test_a_message_beyond_the_limit_is_the_same_error_to_our_clients(doors: Doors) -> None:
    from fendan.details import error_of

    codes = []
    for channel in doors.channels:
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"{ROUTING}/BatchRoute")(
                b"\x0a" * 70_000, metadata=doors.headers(Scope.HEADQUARTERS)
            )
        codes.append((refused.value.code().name, error_of(refused.value).fault))  # type: ignore[attr-defined]
    assert codes == [("RESOURCE_EXHAUSTED", Fault.TOO_MANY)] * 2


names = st.sampled_from(["A", "B", "C", "", "店" * 90, "x" * 256, "S1"])
lines = st.builds(
    order_pb2.OrderLine,
    sku=st.sampled_from(["tea", "milk", "gold", ""]),
    quantity=st.sampled_from([1, 1, 1, 2, 0, -1, 2**31 - 1]),
)
orders = st.builds(
    order_pb2.Order,
    id=names | st.uuids().map(str),
    lat=st.sampled_from([31.2, 31.2, 31.2, 91.0, float("nan")]),
    lng=st.floats(121.3, 121.7),
    lines=st.lists(lines, min_size=0, max_size=3),
)
policies = st.none() | st.builds(
    order_pb2.RoutePolicy, radius_m=st.sampled_from([0.0, 500.0, -1.0])
)
shipments = st.none() | st.integers(0, 3)
stores = st.sampled_from(["", "S1", "S2", "nowhere"])


numbers = st.integers(0, 2**64 - 1)
changes = st.builds(
    StockChange, sku=st.sampled_from(["tea", ""]), delta=st.sampled_from([1, -1, -(2**31)])
)
adjustments = st.builds(
    StockAdjustment,
    store_id=stores,
    version=st.integers(-1, 9),
    changes=st.lists(changes, max_size=3),
)
keys = st.sampled_from(["", "", "k", "x" * 300])
some_skus = st.lists(st.sampled_from(["tea", "gold"]), max_size=2)
many = {"orders": st.lists(orders, max_size=5), "policy": policies, "dry_run": st.booleans()}
named: dict[str, Any] = {"order_id": names}
step = named | {"store_id": stores, "shipment": shipments}

# What messages of each method hold, good and bad.
FIELDS: dict[str, dict[str, Any]] = {
    "Route": {"order": st.none() | orders, "policy": policies, "dry_run": st.booleans()},
    "BatchRoute": many,
    "StreamRoute": many | {"correlation_id": numbers},
    "SetStock": {"idempotency_key": keys},
    "AdjustStock": {"adjustments": st.lists(adjustments, max_size=3), "idempotency_key": keys},
    "ReleaseOrders": {"order_ids": st.lists(names, max_size=4)},
    "GetOrder": named,
    "GetDecision": named,
    "CancelOrder": named | {"shipment": shipments},
    "RejectOrder": step | {"missing_skus": some_skus, "reason": st.integers(0, 9)},
    **dict.fromkeys(("AcceptOrder", "PickOrder", "ShipOrder", "DeliverOrder"), step),
    "ReturnOrder": step | {"to_stock": st.booleans()},
}


def requests_of(method: str) -> st.SearchStrategy[Message]:
    service, name = method.rsplit("/", 1)
    return st.builds(getattr(MODULES[service], f"{name}Request"), **FIELDS[name])


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[bytes], Scope]:
    """A method, its messages, some of them damaged, and whose call it is."""
    method = draw(st.sampled_from(sorted(HOT)))
    count = draw(st.integers(0, 4)) if method == STREAM else 1
    messages = []
    for _ in range(count):
        data = draw(requests_of(method)).SerializeToString()
        if draw(st.integers(0, 9)) == 0:
            at = draw(st.integers(0, len(data)))
            data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
        messages.append(data)
    return method, messages, draw(st.sampled_from([*Scope, *[Scope.HEADQUARTERS] * 5]))


@given(several=st.lists(calls(), min_size=1, max_size=12))
@settings(max_examples=60)
def test_whatever_is_called_is_answered_alike(
    doors: Doors, several: list[tuple[str, list[bytes], Scope]]
) -> None:
    for method, messages, scope in several:
        doors.both(method, messages, doors.headers(scope))


# -- CALLS TOGETHER ----------------------------------------------------------------------------


def test_calls_that_come_together_are_answered_each_as_if_alone(doors: Doors) -> None:
    """The door routes them as one batch; who is refused is so alone, in words of his own."""
    requests = {}
    for number in range(200):
        order = an_order(f"together {number}", lng=121.45 + number / 1_000)
        if number % 7 == 3:
            order.lines[0].sku = "gold"
        if number % 31 == 5:
            order.lines[0].quantity = -number
        requests[f"{number}"] = RouteRequest(order=order).SerializeToString()
    requests["no order"] = b""
    requests["no message"] = b"\x0a\x03abc"
    requests["dry"] = RouteRequest(order=an_order("dry"), dry_run=True).SerializeToString()
    headers = doors.headers(Scope.INGEST)
    expected = {
        name: told(doors.channels[0], f"{ROUTING}/Route", [data], headers)
        for name, data in requests.items()
    }
    call = doors.channels[1].unary_unary(f"{ROUTING}/Route")
    with doors_held_up(doors):
        futures = {name: call.future(data, metadata=headers) for name, data in requests.items()}
        until(lambda: waiting(doors.door) == len(requests) + 1)
    for name, future in futures.items():
        assert heard(future, [future]) == expected[name], name


def doors_held_up(doors: Doors) -> Any:
    return held_up(doors.door, doors.headers(Scope.HEADQUARTERS))


def test_an_order_sent_twice_at_the_same_time_is_one_order(doors: Doors) -> None:
    request = RouteRequest(order=an_order("at once", quantity=5, lng=121.45)).SerializeToString()
    headers = doors.headers(Scope.INGEST)
    call = doors.channels[1].unary_unary(f"{ROUTING}/Route")
    before = doors.door.engine.available("S5", "tea")
    with doors_held_up(doors):
        futures = [call.future(request, metadata=headers) for _ in range(20)]
        until(lambda: waiting(doors.door) == 21)
    assert len({future.result(PATIENCE_S) for future in futures}) == 1
    assert doors.door.engine.available("S5", "tea") == before - 5


def test_the_last_pieces_go_to_some_of_those_who_come_together(doors: Doors) -> None:
    call = doors.channels[1].unary_unary(
        f"{ROUTING}/Route", response_deserializer=RouteResponse.FromString
    )
    left = doors.door.engine.available("S0", "tea")
    with doors_held_up(doors):
        futures = [
            call.future(
                RouteRequest(order=an_order(f"last {number}")).SerializeToString(),
                metadata=doors.headers(Scope.INGEST),
            )
            for number in range(10)
        ]
        until(lambda: waiting(doors.door) == 11)
    at = [future.result(PATIENCE_S).decision.store_id for future in futures]
    assert sorted(at) == ["S0"] * left + ["S1"] * (10 - left)


# -- BEING WATCHED -----------------------------------------------------------------------------


def count(served: Served, method: str, code: str) -> float:
    read = served.server.metrics.registry.get_sample_value
    return read("fendan_requests_total", {"method": method, "code": code}) or 0.0


def test_calls_at_either_door_are_counted_by_the_same_names() -> None:
    with serving(door__listen="0") as served:
        for address in (served.address, served.hot_address):
            with grpc.insecure_channel(address) as channel:
                call = channel.unary_unary(f"{ROUTING}/Route")
                for number in range(3):
                    order = an_order(f"{address} {number}")
                    call(RouteRequest(order=order).SerializeToString())
                with pytest.raises(grpc.RpcError):
                    call(b"\xff")
        until(lambda: count(served, f"{ROUTING}/Route", "OK") == 6)
        until(lambda: count(served, f"{ROUTING}/Route", "INVALID_ARGUMENT") == 2)
        read = served.server.metrics.registry.get_sample_value
        method = {"method": f"{ROUTING}/Route"}
        until(lambda: read("fendan_request_seconds_count", method) == 8)
        routed = {"status": "assigned", "reason": "none"}
        assert read("fendan_orders_total", routed) == 6


def test_how_the_door_stands_is_told() -> None:
    with serving(door__listen="0") as served:
        read = served.server.metrics.registry.get_sample_value
        assert read("fendan_door_connections") == 0
        with grpc.insecure_channel(served.hot_address) as channel:
            call = channel.unary_unary(f"{ROUTING}/Route")
            with held_up(served):
                future = call.future(RouteRequest(order=an_order("waits")).SerializeToString())
                until(lambda: read("fendan_door_queue_requests") == 2)
                assert read("fendan_door_streams") == 2
                assert read("fendan_door_connections") in (1, 2)  # clients may share one
            assert future.result(PATIENCE_S)
        until(lambda: read("fendan_door_streams") == 0)
        assert read("fendan_door_refused") == read("fendan_door_hung_up") == 0


def test_made_up_methods_make_up_no_metrics_at_the_door() -> None:
    with serving(door__listen="0") as served:
        with grpc.insecure_channel(served.hot_address) as channel:
            for number in range(3):
                with pytest.raises(grpc.RpcError):
                    channel.unary_unary(f"/made.up/Method{number}")(b"")
        until(lambda: count(served, "other", "UNIMPLEMENTED") == 3)


def test_the_log_tells_whose_each_order_is_of_those_that_came_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = tmp_path / "tokens.toml"
    platforms = {
        name: new_token(tokens, name=name, scope=Scope.INGEST) for name in ("meituan", "jd", "dy")
    }
    owner = new_token(tokens, name="owner", scope=Scope.HEADQUARTERS)
    settings = {"log__orders": "all", "log__level": "info", "log__format": "json"}
    with (
        serving(a_town(), tokens=tokens, door__listen="0", **settings) as served,
        grpc.insecure_channel(served.hot_address) as channel,
    ):
        call = channel.unary_unary(f"{ROUTING}/Route")
        with held_up(served, (("authorization", f"Bearer {owner}"),)):
            futures = [
                call.future(
                    RouteRequest(order=an_order(f"{name} {number}")).SerializeToString(),
                    metadata=(("authorization", f"Bearer {token}"),),
                )
                for number in range(5)
                for name, token in platforms.items()
            ]
            until(lambda: waiting(served) == len(futures) + 1)
        for future in futures:
            future.result(PATIENCE_S)
    told_of = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    lines = [line for line in told_of if line["event"] == "order"]
    assert len(lines) == 15
    assert all(line["order_id"].startswith(line["caller"]) for line in lines)


# -- THE END -----------------------------------------------------------------------------------


def test_when_the_journal_fails_nobody_is_told_of_a_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tmp_path / "journal")
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "tea", 100)])

    def fail(_mark: int) -> None:
        refuse(Fault.JOURNAL, "journal", hint="the disk is gone")

    with engine, serving(engine, door__listen="0") as served:
        monkeypatch.setattr(engine, "wait_durable", fail)
        with (
            grpc.insecure_channel(served.hot_address) as hot,
            grpc.insecure_channel(served.address) as channel,
        ):
            watching = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=PATIENCE_S
            )
            assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
            call = hot.unary_unary(f"{ROUTING}/Route")
            futures = [
                call.future(RouteRequest(order=an_order(f"{number}")).SerializeToString())
                for number in range(10)
            ]
            for future in futures:
                assert future.exception(PATIENCE_S).code() is grpc.StatusCode.UNAVAILABLE
            assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
        until(lambda: served.server.crash is not None)
        monkeypatch.undo()


def test_a_server_whose_door_cannot_be_opened_does_not_start() -> None:
    with serving(door__listen="0") as served:
        taken = served.hot_address
        with pytest.raises(Exception, match="in use"), serving(door__listen=taken):
            pass


def test_a_door_is_opened_by_whoever_wants_one(tmp_path: Path) -> None:
    with serving() as served:
        assert served.server.door is None
        assert served.server.door_address is None
    path = tmp_path / "door"
    with serving(door__listen=f"unix:{path}") as served:
        assert served.server.door_address == f"unix:{path}"
        with grpc.insecure_channel(served.hot_address) as channel:
            call = channel.unary_unary(f"{ROUTING}/Route")
            call(RouteRequest(order=an_order("by socket")).SerializeToString())
        assert served.engine.decision("by socket").store_id == "S1"
    assert Config.load(None, {"door.listen": "50052"}).door_address == "127.0.0.1:50052"
