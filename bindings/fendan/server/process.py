"""A server as a process: loads what there is, serves until a signal comes, and ends in order."""

import asyncio
import gc
import signal
from typing import Any

from rich.console import Console

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.model import Policy
from fendan.server.app import Server
from fendan.server.config import Config, Data
from fendan.server.logs import log

__all__ = ["load", "run", "spare_long_lived_objects"]

DEMO_SEED = 1
DEMO_RADIUS_M = 10_000.0

# Exit statuses beside 0: nobody asked for the end; someone asked twice (as shells count signals).
CRASHED = 1
SIGNALLED = 128


def load(data: Data, demo: tuple[int, int] | None = None) -> Engine:
    """The engine that is to be served; with `demo`, a generated chain of so many stores and SKUs.

    Raises InvalidInputError naming the file and line, or what does not go together.
    """
    if demo is not None and data.stores is not None:
        refuse(Fault.RAGGED, "--demo", data.stores.name, hint="it brings stores of its own")
    radius_m = DEMO_RADIUS_M if demo and data.radius_m is None else data.radius_m
    engine = Engine(
        policy=Policy(radius_m=radius_m),
        datum=data.datum,
        remembered_orders=data.remembered_orders,
    )
    console = Console(stderr=True)
    if demo is not None:
        with console.status("Generating stores and stock"):
            _generate(engine, *demo)
    if data.stores is not None:
        with console.status(f"Loading {data.stores.name}"):
            engine.load_stores(data.stores, encoding=data.encoding)
    if data.stock is not None:
        with console.status(f"Loading {data.stock.name}"):
            engine.load_stock(data.stock, encoding=data.encoding)
    return engine


def _generate(engine: Engine, stores: int, skus: int) -> None:
    from fendan.chain import make_chain
    from fendan.demo import load as fill

    fill(make_chain(stores=stores, skus=skus, orders=1, seed=DEMO_SEED), engine)


def spare_long_lived_objects() -> None:
    """Keep the garbage collector from looking through all that was loaded, again and again.

    It would hold up every call for 50 to 150 ms each time.
    """
    gc.collect()
    gc.freeze()


async def run(config: Config, engine: Engine) -> int:
    """Serve until a signal comes; returns the exit status.

    When it is ready it says so on standard output, with the address. The first signal drains, the
    second ends at once. Raises UnavailableError where the address cannot be had.
    """
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    spare_long_lived_objects()
    server = await Server.start(config, engine)
    stores, address = len(engine.stores()), _address(config, server)
    print(f"fendan serves {stores:,} stores on {address}", flush=True)
    ended = asyncio.create_task(server.wait())
    await _first(ended, asyncio.create_task(signals.get()))
    if ended.done():
        log.error("the server ended by itself", error=ended.exception())
        return CRASHED
    log.info("draining", within_s=config.drain_s)
    draining = asyncio.create_task(server.drain())
    again = asyncio.create_task(signals.get())
    await _first(draining, again)
    if draining.done():
        await draining
        return 0
    log.warning("stopped at once; calls were cancelled")
    await server.stop()
    return SIGNALLED + again.result()


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _address(config: Config, server: Server) -> str:
    """Where clients find it, with the port that it got."""
    host, _, _ = config.listen.rpartition(":")
    return f"{host}:{server.port}" if server.port else config.listen
