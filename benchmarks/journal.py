"""What it costs to lose nothing: `python benchmarks/journal.py [--smoke] [--json FILE]`.

The same orders are routed by an engine in memory and by one whose journal is synced, in turns. What
the disk itself takes to sync as many bytes is measured in the same turns, in a file of its own, and
taken off. Then the folder is recovered, with and without a snapshot, and a snapshot is taken while
orders go on being routed. `--smoke` runs all of it in tiny sizes, where the targets mean nothing.
"""

import gc
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

import command
import fendan
from fendan.workloads.workload import Orders, Workload, metro
from machine import machine
from rows import Row, as_table
from workload import fill

SEED = 1
ID_BYTES = 20
PER_CALL = 1_000  # orders, in the calls that are timed while a snapshot is taken


@dataclass(frozen=True)
class Sizes:
    """How large everything is. The target sizes are the defaults."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000  # a batch
    turns: int = 40
    singles: int = 300
    recovered: int = 1_000_000  # orders
    tail: int = 100_000  # of them after the snapshot


FULL = Sizes()
SMOKE = Sizes(
    stores=200, skus=200, skus_per_store=50, orders=200, turns=2, singles=5, recovered=800, tail=200
)


@dataclass
class Report:
    """All that a run found."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    rows: list[Row]


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    folder = Path(tempfile.mkdtemp(prefix="fendan-journal-"))
    rows: list[Row] = []
    try:
        say("stores and stock")
        workload = metro(sizes.stores, sizes.skus, sizes.skus_per_store, sizes.orders, SEED)
        with fendan.Engine.open(folder / "data", snapshot_bytes=0) as engine:
            fill(engine, workload)
            rows += _routing(engine, workload, folder, sizes, say)
            rows += _snapshots(engine, workload, sizes, say)
            _many(engine, workload, sizes, say)
        del engine
        gc.collect()
        rows += _recovery(folder / "data", sizes, say)
    finally:
        shutil.rmtree(folder)
    return Report(sizes=sizes, machine=machine(), seed=SEED, rows=rows)


# -- ROUTING -----------------------------------------------------------------------------------


class Disk:
    """A file of zeros, to see what writing and syncing costs by itself."""

    def __init__(self, path: Path, size: int = 64 << 20) -> None:
        path.write_bytes(bytes(size))
        self._size = size
        self._file = os.open(path, os.O_RDWR)
        os.fsync(self._file)
        self._offset = 0

    def sync_s(self, size: int) -> float:
        """How long the sync of so many bytes takes, without writing them."""
        self._offset = 0 if self._offset + size > self._size else self._offset
        os.pwrite(self._file, os.urandom(size), self._offset)
        self._offset += size
        began_s = time.perf_counter()
        getattr(os, "fdatasync", os.fsync)(self._file)
        return time.perf_counter() - began_s


def _routing(
    engine: fendan.Engine,
    workload: Workload,
    folder: Path,
    sizes: Sizes,
    say: Callable[[str], None],
) -> Iterator[Row]:
    """What a journal adds to a batch, and to a single order."""
    memory = fendan.Engine()
    fill(memory, workload)
    disk = Disk(folder / "zeros")
    say("routing, in turns")
    batches = [workload.more_orders(sizes.orders, batch=batch) for batch in range(5)]
    seconds: dict[str, list[float]] = {"memory": [], "journal": [], "sync": []}
    size = 0
    for turn in range(sizes.turns + 2):
        orders = batches[turn % len(batches)]
        ids = [f"{turn:04}-{row:0{ID_BYTES - 5}}" for row in range(len(orders))]
        warm = turn >= 2
        before = _bytes_written(engine)
        for name, one in (("memory", memory), ("journal", engine)):
            route = partial(one.route_arrays, **_arrays(orders), ids=ids)
            seconds[name] += [_timed(route)] * warm
        size = _bytes_written(engine) - before
        seconds["sync"] += [disk.sync_s(size)] * warm
        for one in (memory, engine):
            one.release_batch(ids)
    yield from _compared(f"route_arrays, {sizes.orders:,} orders", seconds, 1.5)
    yield Row("journal, bytes an order", size / sizes.orders, "bytes", at_most=64)
    say("single orders")
    seconds = {"memory": [], "journal": [], "sync": []}
    for number in range(sizes.singles):
        order = fendan.Order(
            id=f"single-{number:013}",
            lat=float(batches[0].lat[number % sizes.orders]),
            lng=float(batches[0].lng[number % sizes.orders]),
            lines=[(engine.skus[sku], 1) for sku in batches[0].skus[2 * number : 2 * number + 2]],
        )
        seconds["memory"].append(_timed(partial(memory.route, order)))
        seconds["journal"].append(_timed(partial(engine.route, order)))
        seconds["sync"].append(disk.sync_s(104))
    yield from _compared("route, one order", seconds, 0.1)


def _compared(name: str, seconds: dict[str, list[float]], at_most_ms: float) -> Iterator[Row]:
    ms = {who: [1e3 * value for value in values] for who, values in seconds.items()}
    said = {"memory": "in memory", "journal": "with the journal synced", "sync": "the disk's sync"}
    for who, values in ms.items():
        yield Row.of(f"{name}, {said[who]}", values, "ms")
    more = [
        journal - memory - sync
        for journal, memory, sync in zip(ms["journal"], ms["memory"], ms["sync"], strict=True)
    ]
    yield Row.of(f"{name}, the journal's own", more, "ms", at_most=at_most_ms)


def _arrays(orders: Orders) -> dict[str, np.ndarray]:
    return {
        "lat": orders.lat,
        "lng": orders.lng,
        "offsets": orders.offsets,
        "skus": orders.skus,
        "quantities": orders.quantities,
    }


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _bytes_written(engine: fendan.Engine) -> int:
    stats = engine.journal_stats()
    assert stats is not None
    return stats.bytes_written


# -- SNAPSHOTS AND RECOVERY --------------------------------------------------------------------


def _snapshots(
    engine: fendan.Engine, workload: Workload, sizes: Sizes, say: Callable[[str], None]
) -> Iterator[Row]:
    """How long snapshots take, and what routing feels of them."""
    pairs = engine.pair_count
    say("the first snapshot, from the log alone")
    yield Row(f"snapshot of {pairs:,} pairs, from the log alone", _timed(engine.snapshot), "s")
    say("snapshots while orders are routed")
    took_s: list[float] = []
    calls_ms: list[float] = []
    orders = workload.more_orders(max(PER_CALL, sizes.orders), batch=7)
    for turn in range(3):
        thread = threading.Thread(target=lambda: took_s.append(_timed(engine.snapshot)))
        thread.start()
        call = 0
        while thread.is_alive():
            part = orders.head(min(PER_CALL, len(orders)))
            ids = [f"during-{turn}-{call:05}-{row:04}" for row in range(len(part))]
            calls_ms.append(1e3 * _timed(partial(engine.route_arrays, **_arrays(part), ids=ids)))
            engine.release_batch(ids)
            call += 1
        thread.join()
    name = f"snapshot of {pairs:,} pairs, from the one before"
    yield Row.of(name, took_s, "s", at_most=2)
    p99 = float(np.percentile(calls_ms, 99))
    name = f"… route_arrays of {PER_CALL:,} orders meanwhile, p99"
    yield Row(name, p99, "ms", min(calls_ms), max(calls_ms), None, 10)


def _many(
    engine: fendan.Engine, workload: Workload, sizes: Sizes, say: Callable[[str], None]
) -> None:
    """Route the orders that are to be recovered, with a snapshot before the last of them."""
    say(f"{sizes.recovered:,} orders")
    for first in range(0, sizes.recovered, sizes.orders):
        orders = workload.more_orders(sizes.orders, batch=100 + first // sizes.orders)
        ids = [f"many-{first + row:0{ID_BYTES - 5}}" for row in range(len(orders))]
        engine.route_arrays(**_arrays(orders), ids=ids)
        if first + sizes.orders == sizes.recovered - sizes.tail:
            engine.snapshot()


def _recovery(folder: Path, sizes: Sizes, say: Callable[[str], None]) -> Iterator[Row]:
    for how, at_most_s in (("snapshot and tail", 3), ("the log alone", 10)):
        say(f"recovery from {how}")
        if how == "the log alone":
            for path in folder.glob("snapshot-*"):
                path.unlink()
        seconds = []
        for _ in range(3):
            with fendan.Engine.open(folder, snapshot_bytes=0) as engine:
                recovery = engine.recovery
                assert recovery is not None
                assert recovery.orders >= sizes.recovered
                seconds.append(recovery.seconds)
            del engine
            gc.collect()
        name = f"recovery of {sizes.recovered:,} orders from {how}"
        yield Row.of(name, seconds, "s", at_most=at_most_s)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes and the table."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; two "
        f"lines and an id of {ID_BYTES} bytes an order; seed {report.seed}"
    )
    console.print(as_table(report.rows, judged=sizes == FULL))
    console.print(
        "The journal's own: what is left of the difference when the disk's sync of as many bytes, "
        "measured in the same turn, is taken off."
    )


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
