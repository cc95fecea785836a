"""Calls that nobody waits for, nobody reads, or that are too many: what was routed can be told."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fendan.errors import Fault
from fendan.v1 import routing_service_pb2_grpc
from fendan.v1.routing_service_pb2 import BatchRouteRequest, RouteRequest, StreamRouteRequest
from siege import PATIENCE_S, Besieged, an_order, assert_refused, besieged, unharmed, until

ROUTE = "/fendan.v1.RoutingService/Route"
STREAM = "/fendan.v1.RoutingService/StreamRoute"

# As the server's defaults say.
STREAMS_AT_A_TIME = 1_000


@pytest.fixture(scope="module")
def server(each_door: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("server")) as server:
        yield server


def message(*names: str, dry_run: bool = False) -> StreamRouteRequest:
    return StreamRouteRequest(orders=map(an_order, names), dry_run=dry_run)


@asynccontextmanager
async def one_connection(server: Besieged) -> AsyncIterator[grpc.aio.Channel]:
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.hot_address, own) as channel:
        yield channel


def on_a_loop(scene: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await asyncio.wait_for(scene(), PATIENCE_S)

    asyncio.run(play())


# -- STALLING ----------------------------------------------------------------------------------


def test_streams_on_which_nobody_speaks_cost_next_to_nothing(server: Besieged) -> None:
    async def scene() -> None:
        async with one_connection(server) as channel:
            silent = [channel.stream_stream(STREAM)() for _ in range(STREAMS_AT_A_TIME)]
            await asyncio.gather(*[call.wait_for_connection() for call in silent])
            await asyncio.to_thread(server.assert_serves)
            for call in silent:
                call.cancel()

    with unharmed(server):
        on_a_loop(scene)


def test_clients_that_send_and_never_read_are_held_up_and_nobody_else(server: Besieged) -> None:
    """Of each the server reads so far ahead and no further, however much there is."""
    data = message(*(f"{number}" for number in range(1_000)), dry_run=True).SerializeToString()
    sent = [0]
    leaving = threading.Event()

    def messages() -> Iterator[bytes]:
        while not leaving.is_set():
            sent[0] += 1
            yield data

    def stands_still() -> bool:
        before = sent[0]
        return leaving.wait(0.3) or sent[0] == before

    with unharmed(server), ExitStack() as stack:
        for _ in range(12):
            channel = stack.enter_context(server.channel())
            call = channel.stream_stream(STREAM)(messages())
            stack.callback(call.cancel)
        stack.callback(leaving.set)
        until(lambda: sent[0] > 24)
        until(stands_still)
        assert sent[0] < 12 * 2_000
        server.assert_serves()


# -- LEAVING -----------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [0, 1, 20])
def test_a_client_that_cancels_amid_a_stream_can_look_up_what_became_of_its_orders(
    server: Besieged, heard: int
) -> None:
    names = [[f"{heard} {row} {number}" for number in range(5)] for row in range(100)]
    before = server.reserved()
    with unharmed(server, reserves=True), server.channel() as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        answers = stub.StreamRoute(message(*row) for row in names)
        told = [decision.order_id for _ in range(heard) for decision in next(answers).decisions]
        answers.cancel()
    known = [server.knows(row) for row in names]
    assert all(len(set(row)) == 1 for row in known)  # a message is routed whole or not at all
    assert told == [name for row in names[:heard] for name in row]
    assert all(all(row) for row in known[:heard])
    assert server.reserved() - before == sum(map(sum, known))


@pytest.mark.parametrize("wait_s", [0.0, 0.002, 0.005, 0.02, 0.05])
def test_a_batch_that_is_cancelled_is_routed_whole_or_not_at_all(
    server: Besieged, wait_s: float
) -> None:
    size = 20_000
    request = BatchRouteRequest(orders=[an_order(f"{wait_s} {row}") for row in range(size)])
    before = server.reserved()
    with unharmed(server, reserves=True), server.channel() as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        call = stub.BatchRoute.future(request)
        threading.Event().wait(wait_s)
        call.cancel()
        until(lambda: server.queue() == 0)
        assert server.reserved() - before in (0, size)
        assert len(stub.BatchRoute(request).decisions) == size
    assert server.reserved() - before == size


# -- CROWDS ------------------------------------------------------------------------------------


def test_streams_beyond_the_limit_of_a_connection_wait_and_do_not_fail(server: Besieged) -> None:
    """The first thousand are answered and stay; the other thousand follow as they leave."""
    answered = 0
    data = message("many", dry_run=True).SerializeToString()

    async def talk(channel: grpc.aio.Channel, leaving: asyncio.Event) -> None:
        nonlocal answered
        call = channel.stream_stream(STREAM)()
        await call.write(data)
        assert await call.read() is not grpc.aio.EOF
        answered += 1
        await leaving.wait()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    async def scene() -> None:
        leaving = asyncio.Event()
        async with one_connection(server) as channel:
            talks = [
                asyncio.create_task(talk(channel, leaving)) for _ in range(2 * STREAMS_AT_A_TIME)
            ]
            while answered < STREAMS_AT_A_TIME:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert answered == STREAMS_AT_A_TIME
            await asyncio.to_thread(server.assert_serves)
            leaving.set()
            await asyncio.gather(*talks)
        assert answered == 2 * STREAMS_AT_A_TIME

    with unharmed(server):
        on_a_loop(scene)


def retry_after_s(error: Any) -> float:
    found = rpc_status.from_call(error)
    assert found is not None
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in found.details)
    return float(retry.retry_delay.ToTimedelta().total_seconds())


def test_a_flood_beyond_the_queue_is_refused_in_part_and_what_was_accepted_is_done(
    tmp_path: Path,
) -> None:
    names: list[str] = []
    accepted: set[str] = set()
    busy = BatchRouteRequest(orders=map(an_order, map(str, range(20_000))), dry_run=True)

    async def order(channel: grpc.aio.Channel, name: str) -> None:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        try:
            answer = await stub.Route(RouteRequest(order=an_order(name)))
        except grpc.aio.AioRpcError as error:
            assert_refused(error, "RESOURCE_EXHAUSTED", Fault.BUSY)
            assert retry_after_s(error) > 0
        else:
            assert answer.decision.store_id == "S1"
            accepted.add(name)

    async def scene() -> None:
        async with one_connection(server) as channel:
            stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
            while len(accepted) == len(names):  # waves, until one is too high
                held_up = [stub.BatchRoute(busy) for _ in range(30)]
                wave = [f"flood {len(names) + number}" for number in range(600)]
                names.extend(wave)
                await asyncio.gather(*held_up, *[order(channel, name) for name in wave])
        assert accepted

    async def again() -> None:
        async with one_connection(server) as channel:
            for name in names:
                await order(channel, name)

    with besieged(tmp_path, limits__queue_requests=40) as server:
        with unharmed(server, reserves=True):
            on_a_loop(scene)
            assert server.knows(names) == [name in accepted for name in names]
            assert server.reserved() == len(accepted)
        on_a_loop(again)
        assert accepted == set(names)
        assert server.reserved() == len(names)


def test_a_second_server_on_the_port_says_so_and_the_first_serves_on(server: Besieged) -> None:
    command = [sys.executable, "-m", "fendan.cli", "serve", "--listen", server.address]
    with unharmed(server):
        second = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert second.returncode == 2
        assert "in use" in second.stderr
