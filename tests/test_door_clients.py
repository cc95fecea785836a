"""The native door is a gRPC server like any other: to clients that know nothing of it."""

import asyncio
import shutil
import ssl
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

import fendan
from built import HAS_DOOR, NO_DOOR
from fendan import Client, Engine, Order, OrderState, Store
from fendan.channel import Retries, Tls
from fendan.errors import (
    InvalidInputError,
    OrderConflictError,
    UnavailableError,
    UnimplementedError,
    UnknownSkuError,
    WrongStateError,
)
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1.routing_service_pb2 import (
    BatchRouteRequest,
    BatchRouteResponse,
    RouteRequest,
    RouteResponse,
    StreamRouteRequest,
    StreamRouteResponse,
)
from node_client import NODE, node
from papers import Papers
from serving import PATIENCE_S, Served, serving, until, waiting
from siege import an_order, in_papers

pytestmark = pytest.mark.skipif(not HAS_DOOR, reason=NO_DOOR)

ROUTE = "/fendan.v1.RoutingService/Route"
STREAM_ROUTE = "/fendan.v1.RoutingService/StreamRoute"

# More than one connection may have open at a time, so that some wait in the client.
MANY = 3_000


def plenty() -> Engine:
    engine = Engine()
    engine.add_stores(Store(id=f"S{n}", lat=31.2, lng=121.4 + n / 100) for n in range(20))
    engine.set_stock((f"S{n}", sku, 1_000_000) for n in range(20) for sku in ("tea", "milk"))
    return engine


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(plenty(), door__listen="0") as served:
        yield served


def a_request(name: str, quantity: int = 1, sku: str = "tea") -> RouteRequest:
    return RouteRequest(order=an_order(name, quantity, sku))


def tea(name: str, quantity: int = 1, sku: str = "tea") -> Order:
    return Order(id=name, lat=31.2, lng=121.4, lines=[(sku, quantity)])


def played(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene, which must not hang."""
    asyncio.run(asyncio.wait_for(scene, PATIENCE_S))


# -- GRPCIO ------------------------------------------------------------------------------------


def test_thousands_of_calls_at_once_are_answered_each_with_its_own_order(served: Served) -> None:
    async def scene() -> None:
        async with grpc.aio.insecure_channel(served.hot_address) as channel:
            route: Any = channel.unary_unary(
                ROUTE, RouteRequest.SerializeToString, RouteResponse.FromString
            )
            names = [f"at once {number}" for number in range(MANY)]
            answers = await asyncio.gather(*[route(a_request(name)) for name in names])
            assert [answer.decision.order_id for answer in answers] == names
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await route(a_request("bad", sku="gold"))
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    played(scene())


def test_a_call_that_is_cancelled_ends_and_its_connection_lives_on(served: Served) -> None:
    with grpc.insecure_channel(served.hot_address) as channel:
        call = channel.stream_stream(STREAM_ROUTE)(iter(()), timeout=PATIENCE_S)
        call.cancel()
        route = channel.unary_unary(ROUTE, RouteRequest.SerializeToString, RouteResponse.FromString)
        assert route(a_request("lives on")).decision.store_id == "S0"


# -- OUR OWN -----------------------------------------------------------------------------------


def test_our_client_calls_the_door_as_it_calls_the_port(served: Served) -> None:
    with Client(served.hot_address) as client:
        assert client.route(tea("ours")).store_id == "S0"
        assert [one.store_id for one in client.route_batch([tea("a"), tea("b")])] == ["S0", "S0"]
        assert client.accept_order("ours").state is OrderState.ACCEPTED
        assert client.order("ours").state is OrderState.ACCEPTED
        assert client.decision("ours") == served.engine.decision("ours")
        assert client.release_batch(["a", "b"]) == [True, True]
        client.adjust_stock([("S3", "milk", 5)])
        assert served.engine.available("S3", "milk") == 1_000_005
        with pytest.raises(UnknownSkuError, match="gold"):
            client.route(tea("bad", sku="gold"))
        with pytest.raises(WrongStateError):
            client.ship_order("ours")
        with pytest.raises(OrderConflictError):
            client.route(tea("ours", 2))
        with pytest.raises(InvalidInputError):
            client.adjust_stock([("S3", "milk", 2_147_483_647)])
        with pytest.raises(UnimplementedError, match=served.address):
            client.stock("S1")


def test_our_client_for_asyncio_sends_a_thousand_orders_at_once(served: Served) -> None:
    async def scene() -> None:
        async with fendan.aio.Client(served.hot_address) as client:
            names = [f"aio {number}" for number in range(1_000)]
            told = await asyncio.gather(*[client.route(tea(name)) for name in names])
            assert [decision.order_id for decision in told] == names
            with pytest.raises(UnknownSkuError):
                await client.route(tea("aio bad", sku="gold"))

    played(scene())


# -- GRPCLIB -----------------------------------------------------------------------------------


def grpclib_route(channel: Channel) -> UnaryUnaryMethod[RouteRequest, RouteResponse]:
    return UnaryUnaryMethod(channel, ROUTE, RouteRequest, RouteResponse)


def at(address: str, context: ssl.SSLContext | None = None) -> Channel:
    host, _, port = address.rpartition(":")
    return Channel("localhost" if context else host, int(port), ssl=context)


def test_grpclib_routes_orders_and_is_told_what_is_wrong(served: Served) -> None:
    async def scene() -> None:
        async with at(served.hot_address) as channel:
            route = grpclib_route(channel)
            names = [f"grpclib {number}" for number in range(200)]
            answers = await asyncio.gather(*[route(a_request(name)) for name in names])
            assert [answer.decision.order_id for answer in answers] == names
            with pytest.raises(GRPCError) as refused:
                await route(a_request("grpclib bad", quantity=0))
            assert refused.value.status is Status.INVALID_ARGUMENT
            assert "order.lines[0].quantity" in str(refused.value.message)

    played(scene())


def test_grpclib_talks_in_a_stream(served: Served) -> None:
    async def scene() -> None:
        async with at(served.hot_address) as channel:
            method = StreamStreamMethod(
                channel, STREAM_ROUTE, StreamRouteRequest, StreamRouteResponse
            )
            async with method.open() as stream:
                for number in range(50):
                    orders = [an_order(f"talk {number}", sku="gold" if number == 7 else "tea")]
                    message = StreamRouteRequest(orders=orders, correlation_id=number)
                    await stream.send_message(message, end=number == 49)
                answers = [answer async for answer in stream]
            assert [answer.correlation_id for answer in answers] == list(range(50))
            assert [answer.refusal.code for answer in answers if not answer.decisions] == [
                "UNKNOWN_SKU"
            ]

    played(scene())


def test_grpclib_that_gives_up_is_not_waited_for(served: Served) -> None:
    async def scene() -> None:
        async with at(served.hot_address) as channel:
            route = grpclib_route(channel)
            with pytest.raises((asyncio.TimeoutError, GRPCError)):
                await route(a_request("too late"), timeout=0.0)
            assert (await route(a_request("in time"))).decision.store_id == "S0"

    played(scene())


# -- NODE --------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.skipif(not (NODE / "node_modules").is_dir(), reason="needs `npm ci` in tests/node")
def test_node_is_told_the_same_at_the_door() -> None:
    with serving(door__listen="0") as one:
        said = node(one.hot_address, "tea")
        assert one.engine.decision("N-1").store_id == "S3"
    with serving() as other:
        assert node(other.address, "tea") == said


# -- TLS AND TOKENS ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


def tls_of(papers: Papers, client_ca: str | None = None) -> dict[str, Any]:
    files = {"certificate": "server.pem", "key": "server.key", "client_ca": client_ca}
    return {f"tls__{key}": papers.folder / name for key, name in files.items() if name is not None}


def test_whoever_trusts_the_authority_calls_the_door_by_tls(papers: Papers) -> None:
    folder = papers.folder
    with serving(plenty(), door__listen="0", **tls_of(papers)) as served:
        with Client(in_papers(served.hot_address), tls=Tls(ca=folder / "ca.pem")) as client:
            assert client.route(tea("by tls")).store_id == "S0"
            assert len(client.route_batch([tea(f"tls {n}") for n in range(5_000)])) == 5_000
        for tls in (Tls(ca=folder / "stranger_ca.pem"), None):
            with (
                Client(in_papers(served.hot_address), tls=tls, retries=Retries(most=0)) as client,
                pytest.raises(UnavailableError),
            ):
                client.route(tea("stranger"), timeout_s=5.0)

        async def scene() -> None:
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            context.set_alpn_protocols(["h2"])
            async with at(served.hot_address, context) as channel:
                answer = await grpclib_route(channel)(a_request("grpclib by tls"))
                assert answer.decision.store_id == "S0"

        played(scene())


def test_with_mutual_tls_whoever_has_no_certificate_stays_outside(papers: Papers) -> None:
    folder = papers.folder
    with serving(plenty(), door__listen="0", **tls_of(papers, "ca.pem")) as served:
        known = Tls(
            ca=folder / "ca.pem", certificate=folder / "client.pem", key=folder / "client.key"
        )
        with Client(in_papers(served.hot_address), tls=known) as client:
            assert client.route(tea("known")).store_id == "S0"
        for name in ("", "expired", "early", "strange"):
            own = {"certificate": folder / f"{name}.pem", "key": folder / f"{name}.key"}
            tls = Tls(ca=folder / "ca.pem", **(own if name else {}))
            with (
                Client(in_papers(served.hot_address), tls=tls, retries=Retries(most=0)) as client,
                pytest.raises(UnavailableError),
            ):
                client.route(tea("unknown"), timeout_s=5.0)


def test_a_token_is_shown_at_the_door_by_any_client(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    token = new_token(tokens, name="meituan", scope=Scope.INGEST)
    with serving(plenty(), tokens=tokens, door__listen="0") as served:
        with Client(served.hot_address, token=token, token_over_plaintext=True) as client:
            assert client.route(tea("ours")).store_id == "S0"

        async def scene() -> None:
            async with at(served.hot_address) as channel:
                route = grpclib_route(channel)
                shown = {"authorization": f"Bearer {token}"}
                answer = await route(a_request("theirs"), metadata=shown)
                assert answer.decision.store_id == "S0"
                with pytest.raises(GRPCError) as refused:
                    await route(a_request("nobody's"))
                assert refused.value.status is Status.UNAUTHENTICATED

        played(scene())


def test_a_long_answer_that_is_on_its_way_when_the_server_drains_arrives_whole() -> None:
    request = BatchRouteRequest(orders=[an_order(f"long {number}") for number in range(30_000)])
    with serving(plenty(), door__listen="0") as served:
        endless = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(served.hot_address, endless) as channel:
            call = channel.unary_unary(
                "/fendan.v1.RoutingService/BatchRoute",
                BatchRouteRequest.SerializeToString,
                BatchRouteResponse.FromString,
            )
            answer = call.future(request, timeout=PATIENCE_S)
            until(lambda: waiting(served) > 0 or answer.done())
            served.do(served.server.drain)
            assert len(answer.result(PATIENCE_S).decisions) == len(request.orders)


def test_a_drained_door_lets_its_clients_go_and_come_back_elsewhere() -> None:
    with serving(plenty(), door__listen="0") as served:

        async def scene() -> None:
            async with at(served.hot_address) as channel:
                route = grpclib_route(channel)
                assert (await route(a_request("before"))).decision.store_id == "S0"
                await asyncio.to_thread(served.do, served.server.drain)
                with pytest.raises((GRPCError, StreamTerminatedError, OSError)):
                    await route(a_request("after"))

        played(scene())
