"""A server as a process: opens what there is, serves until a signal comes, and ends in order."""

import asyncio
import gc
import signal
from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from rich.console import Console

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.model import Policy
from fendan.server.app import Server
from fendan.server.config import Config, Data
from fendan.server.logs import log

__all__ = ["folder_of", "load", "run", "spare_long_lived_objects"]

DEMO_SEED = 1
DEMO_RADIUS_M = 10_000.0

# Exit statuses beside 0: nobody asked for the end; someone asked twice (as shells count signals).
CRASHED = 1
SIGNALLED = 128


def folder_of(data: Data, demo: bool = False) -> Path:
    """Where the journal is kept: as told, or else among the user's data."""
    usual = user_data_path("fendan", appauthor=False) / ("demo" if demo else "data")
    return data.folder or usual


def load(config: Config, folder: Path, demo: tuple[int, int] | None = None) -> Engine:
    """The engine that is to be served, as it was in the folder; to be closed.

    A new folder begins with the files, or, with `demo`, with a generated chain of so many stores
    and SKUs. Raises InvalidInputError naming the file and line, or what does not go together, and
    what `Engine.open` raises.
    """
    config.check_build()
    data = config.data
    if demo is not None and data.stores is not None:
        refuse(Fault.RAGGED, "--demo", data.stores.name, hint="it brings stores of its own")
    console = Console(stderr=True)
    with console.status(f"Opening {folder}"):
        engine = _open(config, folder, DEMO_RADIUS_M if demo else None)
    try:
        if demo is not None:
            with console.status("Generating stores and stock"):
                _generate(engine, *demo)
        _load(engine, data, console)
        if config.exceptions.keep:
            engine.keep_exceptions(config.exceptions.retry)
    except BaseException:
        engine.close()
        raise
    return engine


def _open(config: Config, folder: Path, usual_radius_m: float | None) -> Engine:
    """Open the folder, under the settings; the radius is only the usual one."""
    data, orders = config.data, config.orders
    policy = Policy(
        radius_m=usual_radius_m if data.radius_m is None else data.radius_m,
        reservation_timeout_s=orders.reservation_timeout_s,
        most_attempts=orders.most_attempts,
        cool_down_s=orders.cool_down_s,
    )
    return Engine.open(
        folder,
        durability=data.durability,
        policy=policy,
        # What nobody gave is the folder's.
        datum=data.datum if "datum" in data.model_fields_set else None,
        remembered_orders=(
            data.remembered_orders if "remembered_orders" in data.model_fields_set else None
        ),
        snapshot_bytes=data.snapshot_bytes,
    )


def _load(engine: Engine, data: Data, console: Console) -> None:
    """Read the files. Each is one command, so that a start that was killed left all of it or none.

    What the journal has is newer than any file.
    """
    for file, is_there, load in (
        (data.stores, engine.store_count > 0, engine.load_stores),
        (data.stock, engine.pair_count > 0, engine.load_stock),
    ):
        if file is None:
            continue
        if is_there:
            log.warning("not read: the journal goes on from what it has", file=file.name)
            continue
        with console.status(f"Loading {file.name}"):
            load(file, encoding=data.encoding)


def _generate(engine: Engine, stores: int, skus: int) -> None:
    """Fill a new folder; one that was filled goes on from what it has."""
    from fendan.chain import make_chain
    from fendan.demo import load as fill

    if engine.pair_count == 0:
        fill(make_chain(stores=stores, skus=skus, orders=1, seed=DEMO_SEED), engine)


def spare_long_lived_objects() -> None:
    """Keep the garbage collector from looking through all that was loaded, again and again.

    It would hold up every call for 50 to 150 ms each time.
    """
    gc.collect()
    gc.freeze()


async def run(config: Config, engine: Engine, folder: Path) -> int:
    """Serve, from what is in the folder, until a signal comes; returns the exit status.

    When it is ready it says so on standard output, with the address. The first signal drains, the
    second ends at once. Raises UnavailableError where the address cannot be had.
    """
    signals: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    spare_long_lived_objects()
    server = await Server.start(config, engine)
    _tell_of(engine, folder)
    door = "" if server.door is None else f", hot methods on {server.door_address}, too"
    print(f"fendan serves {len(engine.stores()):,} stores on {server.address}{door}", flush=True)
    ended = asyncio.create_task(server.wait())
    await _first(ended, asyncio.create_task(signals.get()))
    if ended.done():
        log.error("the server ended by itself", error=ended.exception() or server.crash)
        await server.stop()
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


def _tell_of(engine: Engine, folder: Path) -> None:
    """Say what was found there, and how long it took."""
    found = engine.recovery
    if found is None or not found.last_sequence:
        log.info("a new journal", folder=str(folder))
        return
    log.info(
        "recovered",
        folder=str(folder),
        orders=found.orders,
        events=found.events,
        snapshot_sequence=found.snapshot_sequence,
        seconds=round(found.seconds, 3),
    )


async def _first(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
