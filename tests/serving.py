"""Servers for tests: one in a thread of this process, around an engine that the test can see.

    with serving(engine, limits__queue_requests=1) as served:
        channel = grpc.insecure_channel(served.address)

Keywords are settings, with two underscores for the dot of a key path.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fendan import Engine, Store
from fendan.server import logs
from fendan.server.app import Server
from fendan.server.config import Config

__all__ = ["Served", "a_chain", "serving"]

Result = TypeVar("Result")

# Far beyond what anything here takes: a test that hangs is to fail, not to wait.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Served:
    """A running server: its `address`, the `engine` behind it, and a way onto its event loop."""

    address: str
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


@contextmanager
def serving(engine: Engine | None = None, **settings: Any) -> Iterator[Served]:
    """Serve `engine`, or else `a_chain()`, at a free port of loopback; drain at the end."""
    overrides: dict[str, object] = {"listen": "127.0.0.1:0", "drain_s": 5.0, "log.level": "warning"}
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
        served = Served(f"127.0.0.1:{server.port}", engine, server, loop)
        try:
            yield served
        finally:
            served.do(server.drain)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
