"""Servers for tests: one in a thread of this process, around an engine that the test can see.

    with serving(engine, limits__queue_requests=1) as served:
        channel = grpc.insecure_channel(served.address)

Keywords are settings, with two underscores for the dot of a key path. A module of tests that holds
at both doors says `pytestmark = pytest.mark.usefixtures("each_door")`, and calls by `connected`:

    with serving() as served, connected(served) as channel:
        stub = RoutingServiceStub(channel)
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from fendan import Engine, Store
from fendan.server import logs
from fendan.server.app import Server
from fendan.server.config import Config
from fendan.v1 import order_service_pb2

__all__ = [
    "HOT",
    "PATIENCE_S",
    "Served",
    "TwoDoors",
    "a_chain",
    "by_native_door",
    "connected",
    "held_up",
    "is_by_native_door",
    "serving",
    "until",
    "waiting",
]

Result = TypeVar("Result")

# What the native door serves.
HOT = frozenset(
    {
        *(f"/fendan.v1.RoutingService/{name}" for name in ("Route", "BatchRoute", "StreamRoute")),
        *(f"/fendan.v1.InventoryService/{name}" for name in ("SetStock", "AdjustStock")),
        *(
            f"/fendan.v1.OrderService/{method.name}"
            for method in order_service_pb2.DESCRIPTOR.services_by_name["OrderService"].methods
        ),
    }
)

# Far beyond what anything here takes on a busy machine: a test that hangs is to fail, not to wait.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Served:
    """A running server: its `address`, the `engine` behind it, and a way onto its event loop.

    `hot_address`: where hot methods are called; the native door's, if the server has one.
    """

    address: str
    hot_address: str
    engine: Engine
    server: Server
    loop: asyncio.AbstractEventLoop

    def do(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Run a coroutine on the server's event loop, and wait for its result."""

        async def run() -> Result:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE_S)


def a_chain() -> Engine:
    """Three stores in Shanghai, west to east, of two regions, with 10 each of tea and milk."""
    engine = Engine()
    engine.add_stores(
        Store(id=name, lat=31.2, lng=121.4 + east / 100, region=region)
        for east, (name, region) in enumerate([("S1", "puxi"), ("S2", "puxi"), ("S3", "pudong")])
    )
    engine.set_stock((store, sku, 10) for store in ("S1", "S2", "S3") for sku in ("tea", "milk"))
    return engine


_native_doors: list[bool] = []


def is_by_native_door() -> bool:
    """Whether servers are to have a native door, and hot methods to be called there."""
    return bool(_native_doors)


@contextmanager
def by_native_door() -> Iterator[None]:
    """It is so meanwhile."""
    _native_doors.append(True)
    try:
        yield
    finally:
        _native_doors.pop()


@contextmanager
def serving(engine: Engine | None = None, **settings: Any) -> Iterator[Served]:
    """Serve `engine`, or else `a_chain()`, at a free port of loopback; drain at the end."""
    overrides: dict[str, object] = {"listen": "127.0.0.1:0", "drain_s": 5.0, "log.level": "warning"}
    if is_by_native_door():
        overrides["door.listen"] = "0"
    overrides |= {key.replace("__", "."): value for key, value in settings.items()}
    config = Config.load(None, overrides)
    logs.configure(config.log.format, config.log.level)
    engine = a_chain() if engine is None else engine
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="serving")
    thread.start()
    try:
        starting = asyncio.run_coroutine_threadsafe(Server.start(config, engine), loop)
        server = starting.result(PATIENCE_S)
        hot_address = server.door_address or server.address
        served = Served(server.address, hot_address, engine, server, loop)
        try:
            yield served
        finally:
            served.do(server.drain)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# -- AT EITHER DOOR ----------------------------------------------------------------------------


@contextmanager
def connected(served: Served) -> Iterator[grpc.Channel]:
    """A channel that calls hot methods where they are hot, and all others at the other port."""
    everything = grpc.insecure_channel(served.address)
    with TwoDoors(everything, grpc.insecure_channel(served.hot_address)) as channel:
        yield channel


class TwoDoors(grpc.Channel):
    """A channel in two parts: for the hot methods, and for all others."""

    def __init__(self, everything: grpc.Channel, hot: grpc.Channel) -> None:
        self._everything, self._hot = everything, hot

    def _of(self, method: str) -> grpc.Channel:
        return self._hot if method in HOT else self._everything

    def unary_unary(self, method: str, *how: Any, **named: Any) -> Any:
        return self._of(method).unary_unary(method, *how, **named)

    def unary_stream(self, method: str, *how: Any, **named: Any) -> Any:
        return self._of(method).unary_stream(method, *how, **named)

    def stream_unary(self, method: str, *how: Any, **named: Any) -> Any:
        return self._of(method).stream_unary(method, *how, **named)

    def stream_stream(self, method: str, *how: Any, **named: Any) -> Any:
        return self._of(method).stream_stream(method, *how, **named)

    def subscribe(self, *how: Any, **named: Any) -> None:
        raise NotImplementedError

    def unsubscribe(self, *how: Any, **named: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._everything.close()
        self._hot.close()

    def __enter__(self) -> "TwoDoors":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def held_up(served: Served, headers: tuple[tuple[str, str], ...] = ()) -> Iterator[None]:
    """While the engine is busy with something else, so that all who ask must wait.

    `headers`: with a token that may ask for decisions, where one is needed.
    """
    method = "/fendan.v1.OrderService/GetDecision"
    began, end = threading.Event(), threading.Event()

    def hold_up(_who: object, _data: bytes) -> bytes:
        began.set()
        end.wait(PATIENCE_S)
        return b""

    answers = served.server._answers.by_method
    usual, answers[method] = answers[method], hold_up
    with grpc.insecure_channel(served.hot_address) as channel:
        held = channel.unary_unary(method).future(b"", metadata=headers)
        try:
            assert began.wait(PATIENCE_S)
            answers[method] = usual
            yield
        finally:
            end.set()
        assert held.result(PATIENCE_S) == b""


def waiting(served: Served) -> int:
    """How many requests are accepted and not answered, the one that holds all up included."""
    door = served.server.door
    return len(served.server._lane) if door is None else door.stats().queue_requests


def until(what: Callable[[], bool]) -> None:
    """Wait for something that is bound to happen."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)
