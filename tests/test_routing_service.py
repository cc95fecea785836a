"""Orders come in over gRPC, and get what the engine itself would have told them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given, settings

from fendan import Engine, UnknownOrderError
from fendan.engine import wire
from fendan.messages import decision_message
from fendan.v1 import order_pb2, routing_service_pb2_grpc
from fendan.v1.routing_service_pb2 import (
    BatchRouteRequest,
    NearestRequest,
    RouteRequest,
    StreamRouteRequest,
    StreamRouteResponse,
)
from serving import (
    PATIENCE_S,
    Served,
    a_chain,
    connected,
    held_up,
    serving,
    until,
    waiting,
)
from strategies import Scene, scenes

pytestmark = pytest.mark.usefixtures("each_door")
at_the_grpcio_port = pytest.mark.parametrize("each_door", ["grpcio"], indirect=True)
at_the_native_door = pytest.mark.parametrize("each_door", ["native"], indirect=True)

ROUTE = "/fendan.v1.RoutingService/Route"


@contextmanager
def routing(served: Served) -> Iterator[routing_service_pb2_grpc.RoutingServiceStub]:
    with connected(served) as channel:
        yield routing_service_pb2_grpc.RoutingServiceStub(channel)


def an_order(
    name: str, quantity: int = 1, sku: str = "tea", lat: float = 31.2, amount: int = 0
) -> order_pb2.Order:
    lines = [order_pb2.OrderLine(sku=sku, quantity=quantity, amount=amount)]
    return order_pb2.Order(id=name, lat=lat, lng=121.4, lines=lines)


def a_message(number: int, *orders: order_pb2.Order) -> StreamRouteRequest:
    return StreamRouteRequest(correlation_id=number, orders=orders or [an_order(f"{number}")])


def is_known(engine: Engine, order_id: str) -> bool:
    try:
        engine.decision(order_id)
    except UnknownOrderError:
        return False
    return True


def count(served: Served, code: str, method: str = ROUTE) -> float:
    """How many calls have ended so."""
    labels = {"method": method, "code": code}
    return served.server.metrics.registry.get_sample_value("fendan_requests_total", labels) or 0.0


# -- ANSWERS -----------------------------------------------------------------------------------


def test_an_order_gets_the_nearest_store_and_its_stock() -> None:
    with serving() as served, routing(served) as stub:
        decision = stub.Route(RouteRequest(order=an_order("first", 3))).decision
        assert decision.order_id == "first"
        assert decision.status == order_pb2.DECISION_STATUS_ASSIGNED
        assert decision.store_id == "S1"
        assert served.engine.available("S1", "tea") == 7


def test_a_retried_order_gets_its_first_answer_and_no_more_stock() -> None:
    with serving() as served, routing(served) as stub:
        answers = [stub.Route(RouteRequest(order=an_order("again", 3))) for _ in range(3)]
        assert answers == [answers[0]] * 3
        assert served.engine.available("S1", "tea") == 7


def test_an_order_that_no_store_can_fill_is_an_answer_and_not_an_error() -> None:
    with serving() as served, routing(served) as stub:
        decision = stub.Route(RouteRequest(order=an_order("greedy", 11))).decision
        assert decision.status == order_pb2.DECISION_STATUS_UNASSIGNED
        assert decision.reason == order_pb2.DECISION_REASON_NO_STOCK
        assert decision.store_id == ""


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    with serving() as served, routing(served) as stub:
        orders = [an_order(f"{number}", 4) for number in range(5)]
        tried = stub.BatchRoute(BatchRouteRequest(orders=orders, dry_run=True))
        assert not is_known(served.engine, "0")
        assert served.engine.available("S1", "tea") == 10
        assert stub.BatchRoute(BatchRouteRequest(orders=orders)) == tried
        assert served.engine.available("S1", "tea") == 2


def test_a_policy_of_the_request_wins_over_the_servers() -> None:
    with serving() as served, routing(served) as stub:
        policy = order_pb2.RoutePolicy(radius_m=100.0)
        far = RouteRequest(order=an_order("far", lat=31.3), policy=policy)
        reason = stub.Route(far).decision.reason
        assert reason == order_pb2.DECISION_REASON_NO_STORE_IN_RADIUS


def test_an_empty_batch_gets_an_empty_answer() -> None:
    with serving() as served, routing(served) as stub:
        assert len(stub.BatchRoute(BatchRouteRequest()).decisions) == 0


def test_nearest_looks_and_reserves_nothing() -> None:
    with serving() as served, routing(served) as stub:
        lines = [order_pb2.OrderLine(sku="tea", quantity=2)]
        found = stub.Nearest(NearestRequest(lat=31.2, lng=121.43, lines=lines, limit=2)).stores
        assert [near.store_id for near in found] == ["S3", "S2"]
        expected = served.engine.nearest(31.2, 121.43, lines=[("tea", 2)], limit=2)
        assert [near.distance_m for near in found] == [near.distance_m for near in expected]
        assert served.engine.available("S3", "tea") == 10
        assert len(stub.Nearest(NearestRequest(lat=31.2, lng=121.4)).stores) == 3


def twins(scene: Scene) -> tuple[Engine, Engine]:
    engines = Engine(policy=scene.policy), Engine(policy=scene.policy)
    for engine in engines:
        engine.add_stores(scene.stores)
        engine.set_stock(scene.rows)
    return engines


@given(scene=scenes())
@settings(max_examples=25)
def test_the_service_answers_as_the_engine_does(scene: Scene) -> None:
    """One by one, in a batch, and in a stream, over the same chain."""
    behind, engine = twins(scene)
    expected = [decision_message(decision) for decision in engine.route_batch(scene.orders)]
    request = wire.write_request(scene.orders)
    with serving(behind) as served, routing(served) as stub:
        batch = BatchRouteRequest.FromString(request)
        batch.dry_run = True
        assert list(stub.BatchRoute(batch).decisions) == expected
        messages = [
            StreamRouteRequest(orders=[order], correlation_id=number)
            for number, order in enumerate(batch.orders)
        ]
        answers = list(stub.StreamRoute(iter(messages)))
        assert [decision for answer in answers for decision in answer.decisions] == expected
        assert [answer.correlation_id for answer in answers] == list(range(len(messages)))
        singly = [stub.Route(RouteRequest(order=order)).decision for order in batch.orders]
        assert singly == expected


# -- REFUSALS ----------------------------------------------------------------------------------


def details_of(error: grpc.RpcError) -> dict[type[Any], Any]:
    """The google.rpc details of an error, by type."""
    status = rpc_status.from_call(error)
    assert status is not None
    found: dict[type[Any], Any] = {}
    for kind in (
        error_details_pb2.BadRequest,
        error_details_pb2.ErrorInfo,
        error_details_pb2.RetryInfo,
    ):
        for detail in status.details:
            message = kind()
            if detail.Unpack(message):
                found[kind] = message
    return found


def assert_refused(error: grpc.RpcError, status: str, code: str, field: str) -> None:
    assert error.code().name == status  # type: ignore[attr-defined]
    details = details_of(error)
    info = details[error_details_pb2.ErrorInfo]
    assert (info.reason, info.domain) == (code, "fendan")
    if field:
        violations = details[error_details_pb2.BadRequest].field_violations
        assert [violation.field for violation in violations] == [field]


TWICE = BatchRouteRequest(orders=[an_order("twice", 1), an_order("twice", 2)])
TWO_PRICES = BatchRouteRequest(orders=[an_order("o", amount=990), an_order("o")])
BAD_POLICY = RouteRequest(order=an_order("o"), policy=order_pb2.RoutePolicy(radius_m=-1))


@pytest.mark.parametrize(
    ("method", "request_", "status", "code", "field"),
    [
        ("Route", RouteRequest(), "INVALID_ARGUMENT", "MISSING", "order"),
        ("Route", RouteRequest(order=an_order("")), "INVALID_ARGUMENT", "BAD_ID", "order.id"),
        (
            "Route",
            RouteRequest(order=an_order("o", sku="gold")),
            "NOT_FOUND",
            "UNKNOWN_SKU",
            "order.lines[0].sku",
        ),
        ("Route", BAD_POLICY, "INVALID_ARGUMENT", "OUT_OF_RANGE", "policy.radius_m"),
        (
            "BatchRoute",
            BatchRouteRequest(orders=[an_order("fine"), an_order("o", 0)]),
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "orders[1].lines[0].quantity",
        ),
        ("BatchRoute", TWICE, "ALREADY_EXISTS", "ORDER_CONFLICT", "orders[1].id"),
        ("BatchRoute", TWO_PRICES, "ALREADY_EXISTS", "ORDER_CONFLICT", "orders[1].id"),
        (
            "Route",
            RouteRequest(order=an_order("o", amount=-1)),
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "order.lines[0].amount",
        ),
        (
            "Nearest",
            NearestRequest(lat=91, lng=0),
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "lat",
        ),
        (
            "Nearest",
            NearestRequest(lat=31, lng=121, limit=1_001),
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "limit",
        ),
        (
            "Nearest",
            NearestRequest(lat=31, lng=121, datum=9),  # type: ignore[arg-type]
            "INVALID_ARGUMENT",
            "OUT_OF_RANGE",
            "datum",
        ),
        (
            "Nearest",
            NearestRequest(lat=31, lng=121, lines=[order_pb2.OrderLine(sku="gold", quantity=1)]),
            "NOT_FOUND",
            "UNKNOWN_SKU",
            "lines[0].sku",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(
    method: str, request_: Any, status: str, code: str, field: str
) -> None:
    with serving() as served, routing(served) as stub:
        with pytest.raises(grpc.RpcError) as refused:
            getattr(stub, method)(request_)
        assert_refused(refused.value, status, code, field)
        assert served.engine.available("S1", "tea") == 10
        assert not is_known(served.engine, "fine")


@pytest.mark.parametrize("method", ["Route", "BatchRoute", "Nearest"])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"\x0a" * 1000, b"\x0b" * 500])
def test_bytes_that_are_no_message_are_refused(method: str, data: bytes) -> None:
    with serving() as served, connected(served) as channel:
        call = channel.unary_unary(f"/fendan.v1.RoutingService/{method}")
        with pytest.raises(grpc.RpcError) as refused:
            call(data)
        assert_refused(refused.value, "INVALID_ARGUMENT", "BAD_MESSAGE", "")


def test_more_orders_than_allowed_are_refused_whole() -> None:
    with serving(limits__orders_per_request=2) as served, routing(served) as stub:
        orders = [an_order(f"{number}") for number in range(3)]
        with pytest.raises(grpc.RpcError) as refused:
            stub.BatchRoute(BatchRouteRequest(orders=orders))
        assert_refused(refused.value, "INVALID_ARGUMENT", "TOO_MANY", "orders")
        assert not is_known(served.engine, "0")
        assert len(stub.BatchRoute(BatchRouteRequest(orders=orders[:2])).decisions) == 2


def test_a_message_beyond_the_limit_is_refused_and_the_connection_lives_on() -> None:
    with serving(limits__message_bytes=1024) as served, routing(served) as stub:
        orders = [an_order(f"{number}") for number in range(100)]
        with pytest.raises(grpc.RpcError) as refused:
            stub.BatchRoute(BatchRouteRequest(orders=orders))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert stub.Route(RouteRequest(order=an_order("small"))).decision.store_id == "S1"


def test_what_fails_inside_is_logged_and_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = a_chain()

    def fail(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    for way in ("route_plain", "route_request"):
        monkeypatch.setattr(engine, way, fail)
    with serving(engine) as served, routing(served) as stub:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Route(RouteRequest(order=an_order("unlucky")))
        assert_refused(refused.value, "INTERNAL", "INTERNAL", "")
        assert "secret" not in f"{refused.value}"
        messages = iter([a_message(1)])
        with pytest.raises(grpc.RpcError) as ended:
            list(stub.StreamRoute(messages))
        assert ended.value.code() is grpc.StatusCode.INTERNAL  # type: ignore[attr-defined]
    assert "the secret of the house" in capsys.readouterr().err


# -- BEING WATCHED -----------------------------------------------------------------------------


def test_orders_are_counted_by_outcome_and_requests_timed_by_stage() -> None:
    with serving() as served, routing(served) as stub:
        stub.BatchRoute(BatchRouteRequest(orders=[an_order("a"), an_order("b", 99)]))
        stub.BatchRoute(BatchRouteRequest(orders=[an_order("c")], dry_run=True))
        read = served.server.metrics.registry.get_sample_value
        assigned = {"status": "assigned", "reason": "none"}
        unassigned = {"status": "unassigned", "reason": "no_stock"}
        assert read("fendan_orders_total", assigned) == 1
        assert read("fendan_orders_total", unassigned) == 1
        for stage in ("queue", "decode", "search", "reply"):
            assert read("fendan_stage_seconds_count", {"stage": stage}) == 2
        until(lambda: count(served, "OK", "/fendan.v1.RoutingService/BatchRoute") == 2)


@pytest.mark.parametrize(
    ("which", "told"), [("none", []), ("unassigned", ["b"]), ("all", ["a", "b"])]
)
def test_the_log_tells_of_the_orders_it_is_asked_to(
    which: str, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"log__orders": which, "log__level": "info", "log__format": "json"}
    with serving(**settings) as served, routing(served) as stub:
        stub.BatchRoute(BatchRouteRequest(orders=[an_order("a"), an_order("b", 99)]))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["order_id"] for line in lines if line["event"] == "order"] == told


# -- WAITING -----------------------------------------------------------------------------------


def test_an_order_whose_deadline_has_passed_is_not_routed() -> None:
    with serving() as served, routing(served) as stub:
        stub.Route(RouteRequest(order=an_order("in time")))
        with held_up(served):
            # Time enough to reach the server of a busy machine: one that does not is no test.
            late = stub.Route.future(RouteRequest(order=an_order("late")), timeout=3.0)
            until(lambda: waiting(served) == 2)
            assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            until(lambda: count(served, "DEADLINE_EXCEEDED") == 1)
        until(lambda: waiting(served) == 0)
        assert not is_known(served.engine, "late")


def test_an_order_whose_call_was_cancelled_while_it_waited_is_not_routed() -> None:
    with serving() as served, routing(served) as stub:
        with held_up(served):
            call = stub.Route.future(RouteRequest(order=an_order("gone")))
            other = stub.Route.future(RouteRequest(order=an_order("patient")))
            until(lambda: waiting(served) == 3)
            call.cancel()
            until(lambda: count(served, "CANCELLED") == 1)
        assert other.result(PATIENCE_S).decision.store_id == "S1"
        assert not is_known(served.engine, "gone")


@pytest.mark.parametrize("most", [1, 2, 5])
def test_beyond_the_queue_orders_are_refused_with_nothing_half_done(most: int) -> None:
    with serving(limits__queue_requests=most) as served, routing(served) as stub:
        with held_up(served):
            accepted = []
            for number in range(most - 1):
                request = RouteRequest(order=an_order(f"accepted {number}"))
                accepted.append(stub.Route.future(request))
            until(lambda: waiting(served) == most)
            for number in range(3):
                with pytest.raises(grpc.RpcError) as refused:
                    stub.Route(RouteRequest(order=an_order(f"refused {number}")))
                assert_refused(refused.value, "RESOURCE_EXHAUSTED", "BUSY", "")
                retry = details_of(refused.value)[error_details_pb2.RetryInfo]
                assert retry.retry_delay.ToNanoseconds() > 0
        for call in accepted:
            assert call.result(PATIENCE_S).decision.store_id == "S1"
        assert not any(is_known(served.engine, f"refused {number}") for number in range(3))
        assert stub.Route(RouteRequest(order=an_order("refused 0"))).decision.store_id == "S1"


# -- STREAMS -----------------------------------------------------------------------------------


class Conversation:
    """A stream whose messages are sent one by one."""

    def __init__(self, stub: routing_service_pb2_grpc.RoutingServiceStub) -> None:
        self._messages: SimpleQueue[StreamRouteRequest | None] = SimpleQueue()
        self.answers = stub.StreamRoute(iter(self._messages.get, None))

    def say(self, *messages: StreamRouteRequest) -> None:
        for message in messages:
            self._messages.put(message)

    def end(self) -> None:
        self._messages.put(None)

    def hear(self) -> StreamRouteResponse:
        answer: StreamRouteResponse = next(self.answers)
        return answer


def test_a_stream_answers_in_order_each_with_its_own_number() -> None:
    with serving() as served, routing(served) as stub:
        messages = [a_message(number * 7) for number in range(500)]
        answers = list(stub.StreamRoute(iter(messages)))
        assert [answer.correlation_id for answer in answers] == [n * 7 for n in range(500)]
        assert [answer.decisions[0].order_id for answer in answers] == [
            f"{number * 7}" for number in range(500)
        ]


def test_a_refused_message_is_answered_in_its_place_and_the_stream_goes_on() -> None:
    with serving() as served, routing(served) as stub:
        messages = [
            a_message(1),
            a_message(2, an_order("fine"), an_order("bad", sku="gold")),
            a_message(3),
        ]
        first, refused, last = stub.StreamRoute(iter(messages))
        assert first.decisions[0].store_id == last.decisions[0].store_id == "S1"
        assert refused.correlation_id == 2
        assert not refused.decisions
        assert refused.refusal.status == grpc.StatusCode.NOT_FOUND.value[0]
        assert refused.refusal.code == "UNKNOWN_SKU"
        assert refused.refusal.field == "orders[1].lines[0].sku"
        assert refused.refusal.retry_after_ms == 0
        assert not is_known(served.engine, "fine")


@at_the_grpcio_port
def test_a_busy_server_refuses_messages_and_says_when_to_come_again() -> None:
    with serving(limits__queue_requests=2) as served, routing(served) as stub:
        talk = Conversation(stub)
        with held_up(served):
            talk.say(a_message(1))
            until(lambda: waiting(served) == 2)
            talk.say(a_message(2))
            # The second is refused at once, but heard after the answer to the first.
            with connected(served) as channel:
                other = routing_service_pb2_grpc.RoutingServiceStub(channel)
                with pytest.raises(grpc.RpcError):
                    other.Route(RouteRequest(order=an_order("also too many")))
            until(lambda: reads(served) == 2)
        assert talk.hear().decisions[0].store_id == "S1"
        refused = talk.hear()
        assert refused.correlation_id == 2
        assert refused.refusal.status == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert refused.refusal.retry_after_ms > 0
        talk.say(a_message(3))
        assert talk.hear().decisions[0].store_id == "S1"
        assert not is_known(served.engine, "2")
        talk.end()
        assert list(talk.answers) == []


@at_the_native_door
def test_a_busy_door_refuses_calls_and_lets_the_messages_of_streams_wait() -> None:
    with serving(limits__queue_requests=2) as served, routing(served) as stub:
        talk = Conversation(stub)
        with held_up(served):
            talk.say(*[a_message(number) for number in range(5)])
            until(lambda: waiting(served) == 2)
            with pytest.raises(grpc.RpcError) as refused:
                stub.Route(RouteRequest(order=an_order("too many")))
            assert_refused(refused.value, "RESOURCE_EXHAUSTED", "BUSY", "")
        assert [talk.hear().correlation_id for _ in range(5)] == list(range(5))
        assert stub.Route(RouteRequest(order=an_order("too many"))).decision.store_id == "S1"
        talk.end()
        assert list(talk.answers) == []


def reads(served: Served) -> int:
    """How many messages of the one stream are read and not answered."""
    (stream,) = served.server._routing._streams
    return stream._messages


def test_a_message_that_cannot_be_read_ends_its_stream_after_the_answers_before_it() -> None:
    with serving() as served, connected(served) as channel:
        call = channel.stream_stream("/fendan.v1.RoutingService/StreamRoute")
        answers = call(iter([a_message(1).SerializeToString(), b"\xff", b"never read"]))
        assert StreamRouteResponse.FromString(next(answers)).correlation_id == 1
        with pytest.raises(grpc.RpcError) as ended:
            next(answers)
        assert_refused(ended.value, "INVALID_ARGUMENT", "BAD_MESSAGE", "")


def test_a_client_that_does_not_read_its_answers_is_not_read_from_either() -> None:
    """What it has sent waits in its own buffers; when it reads, it gets every answer, in order."""
    orders = [an_order(f"{number}") for number in range(200)]
    messages = [
        StreamRouteRequest(correlation_id=number, orders=orders, dry_run=True)
        for number in range(3_000)
    ]
    with serving() as served, routing(served) as stub:
        talk = Conversation(stub)
        talk.say(*messages)
        talk.end()
        until(lambda: reads_at_rest(served))
        assert sum(1 for _ in talk.answers) == len(messages)


def reads_at_rest(served: Served) -> bool:
    """Whether the server waits for the client, and not for the engine."""
    if served.server.door is not None:
        # What was answered and is not sent yet, and what was read and not answered.
        stats = served.server.door.stats()
        return waiting(served) == 0 and stats.held_bytes > 64 * 1024
    (stream,) = served.server._routing._streams or {None}
    return stream is not None and stream._messages == 64 and waiting(served) == 0


def test_a_client_that_leaves_a_stream_leaves_nothing_behind() -> None:
    with serving() as served, routing(served) as stub:
        talk = Conversation(stub)
        with held_up(served):
            talk.say(*[a_message(number) for number in range(10)])
            until(lambda: waiting(served) == 11)
            talk.answers.cancel()
            until(lambda: open_streams(served) == 0)
            talk.end()
        until(lambda: waiting(served) == 0)
        assert not any(is_known(served.engine, f"{number}") for number in range(10))
        assert stub.Route(RouteRequest(order=an_order("next"))).decision.store_id == "S1"


def open_streams(served: Served) -> int:
    """How many there are; at the native door, beside the call that holds it up."""
    if served.server.door is not None:
        return served.server.door.stats().streams - 1
    return len(served.server._routing._streams)


# -- THE END -----------------------------------------------------------------------------------


def test_a_drained_server_answers_what_it_has_read_and_then_says_so() -> None:
    with serving() as served, routing(served) as stub:
        talk = Conversation(stub)
        with held_up(served):
            talk.say(*[a_message(number) for number in range(5)])
            single = stub.Route.future(RouteRequest(order=an_order("single")))
            until(lambda: waiting(served) == 7)
            draining = threading.Thread(target=lambda: served.do(served.server.drain))
            draining.start()
            until(lambda: served.server._calls._draining)
        assert [talk.hear().correlation_id for _ in range(5)] == list(range(5))
        with pytest.raises(grpc.RpcError) as ended:
            talk.hear()
        assert_refused(ended.value, "UNAVAILABLE", "UNAVAILABLE", "")
        assert single.result(PATIENCE_S).decision.store_id == "S1"
        draining.join()
        with pytest.raises(grpc.RpcError) as refused:
            stub.Route(RouteRequest(order=an_order("too late")))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert not is_known(served.engine, "too late")
        talk.end()


def test_under_load_every_order_that_a_draining_server_routes_is_answered() -> None:
    """Over streams and single calls: what the engine knows and what clients were told agree."""
    sent: list[str] = []
    told: list[str] = []
    ends: list[str] = []

    def orders(client: int) -> Iterator[order_pb2.Order]:
        for number in range(1_000_000):
            sent.append(f"{client}-{number}")
            yield an_order(f"{client}-{number}")

    def stream(client: int, stub: routing_service_pb2_grpc.RoutingServiceStub) -> None:
        for answer in stub.StreamRoute(a_message(1, order) for order in orders(client)):
            told.extend(decision.order_id for decision in answer.decisions)

    def calls(client: int, stub: routing_service_pb2_grpc.RoutingServiceStub) -> None:
        for order in orders(client):
            told.append(stub.Route(RouteRequest(order=order)).decision.order_id)

    def load(client: int) -> None:
        with routing(served) as stub:
            try:
                (stream if client % 2 else calls)(client, stub)
            except grpc.RpcError as error:
                ends.append(error.code().name)  # type: ignore[attr-defined]

    with serving() as served:
        clients = [threading.Thread(target=load, args=(client,)) for client in range(6)]
        for client in clients:
            client.start()
        until(lambda: len(told) > 300)
        served.do(served.server.drain)
        for client in clients:
            client.join(PATIENCE_S)
        assert ends == ["UNAVAILABLE"] * len(clients)
        assert len(told) == len(set(told))
        assert {order for order in sent if is_known(served.engine, order)} == set(told)
