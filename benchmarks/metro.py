"""The numbers of the README: `python benchmarks/metro.py [--smoke] [--json FILE]`.

One thread, no pinning. Contestants take turns (see contest.py), repetitions are reported as
medians with the fastest and the slowest, and the decisions are hashed: two runs that print the
same hash did the same work. `--smoke` runs all of it in tiny sizes, where the targets mean nothing.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

import command
from contest import EngineArrays, EngineObjects, Peer, take_turns
from fendan.workloads.workload import Orders, Workload, joined, metro
from machine import machine
from memory import measured_apart
from peers import MOST_CANDIDATES, AllStores, NearestThenStock, dense_stock
from rows import MILLISECONDS, Row, target, verdict
from workload import add_catalogue, bare_engine, dictionary_columns, engine_for

SEED = 1
ARRAYS, OBJECTS = "route_arrays", "route_batch"
SCIPY, SCAN = "scipy + numpy", "every store, numpy"
TARGET_MS = 5


@dataclass(frozen=True)
class Sizes:
    """How large everything is. The target sizes are the defaults."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000
    growth: int = 10  # times as many stores, and times as many SKUs for the long catalogue
    batches: int = 5  # of so many orders, in a row, in every turn
    turns: int = 5
    loads: int = 3


FULL = Sizes()
SMOKE = Sizes(stores=600, skus=500, skus_per_store=125, orders=500, batches=2, turns=1, loads=1)


@dataclass(frozen=True)
class Agreement:
    """On how many of the orders for which a peer found a store the engine chose the same."""

    peer: str
    orders: int
    found: int
    same: int


@dataclass
class Report:
    """All that a run found."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    decisions: str
    rows: list[Row]
    agreements: list[Agreement]


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    say("memory")
    memory = list(_memory(sizes))
    say("stores, stock and orders")
    workload, batches = _made(sizes, sizes.stores)
    engine = engine_for(workload)
    left = dense_stock(workload)
    arrays = EngineArrays(ARRAYS, engine, workload, batches)
    objects = EngineObjects(OBJECTS, engine, batches)
    scipy = Peer(SCIPY, NearestThenStock(workload, left), batches)
    say("routing, in turns")
    speed = list(_speed(take_turns((arrays, objects, scipy), sizes.turns), sizes))
    say("every store for every order")
    start = time.perf_counter()
    scanned = AllStores(workload, left).route(joined(batches))
    speed.append(Row.routing(SCAN, [time.perf_counter() - start], len(scanned)))
    chosen = arrays.decided.store_codes
    found = {
        OBJECTS: objects.decided.store_codes,
        SCIPY: scipy.decided.store_codes,
        SCAN: scanned,
    }
    agreements = [_agreement(peer, codes, chosen) for peer, codes in found.items()]
    del left, scipy
    say("loading stock")
    loading = list(_loading(workload, sizes))
    say(f"{sizes.growth} times as many stores")
    growth = _growth(arrays, sizes)
    return Report(
        sizes=sizes,
        machine=machine(),
        seed=SEED,
        decisions=arrays.decided.hash,
        rows=[*speed, *growth, *memory, *loading],
        agreements=agreements,
    )


def _made(sizes: Sizes, stores: int) -> tuple[Workload, list[Orders]]:
    """The workload, and the batches of a turn."""
    workload = metro(stores, sizes.skus, sizes.skus_per_store, sizes.orders, SEED)
    batches = [workload.more_orders(sizes.orders, batch=batch) for batch in range(sizes.batches)]
    return workload, batches


# -- THE ROWS ----------------------------------------------------------------------------------


def _speed(seconds: dict[str, list[float]], sizes: Sizes) -> Iterator[Row]:
    middle = {name: median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        at_most = TARGET_MS if name == ARRAYS else None
        yield Row.routing(name, values, sizes.orders, at_most=at_most)
    yield Row(f"{SCIPY} / {ARRAYS}", middle[SCIPY] / middle[ARRAYS], "times", at_least=20)
    yield Row(f"{OBJECTS} / {ARRAYS}", middle[OBJECTS] / middle[ARRAYS], "times", at_most=5)


def _agreement(peer: str, found: Any, chosen: Any) -> Agreement:
    chosen = chosen[: len(found)]
    there = found >= 0
    return Agreement(peer, len(found), int(there.sum()), int((found == chosen)[there].sum()))


def _growth(few: EngineArrays, sizes: Sizes) -> list[Row]:
    stores = sizes.stores * sizes.growth
    workload, batches = _made(sizes, stores)
    many = EngineArrays(f"{ARRAYS}, {stores:,} stores", engine_for(workload), workload, batches)
    seconds = take_turns([few, many], sizes.turns)
    ratio = median(seconds[many.name]) / median(seconds[few.name])
    return [
        Row.routing(many.name, seconds[many.name], sizes.orders),
        Row(f"{stores:,} / {sizes.stores:,} stores, as dense", ratio, "times", at_most=2),
    ]


def _memory(sizes: Sizes) -> Iterator[Row]:
    for skus, most in ((sizes.skus, 12), (sizes.skus * sizes.growth, 24)):
        found = measured_apart(sizes.stores, skus, sizes.skus_per_store)
        yield Row(f"a pair, {skus:,} SKUs", found.counted, "bytes", at_most=most)
        if found.resident is not None:
            yield Row("… as the process grew", found.resident, "bytes")


def _loading(workload: Workload, sizes: Sizes) -> Iterator[Row]:
    """Stock set in one call, in an engine that has the stores and nothing else."""
    stores, skus, quantities = workload.stock_rows
    codes = {"stores": stores, "skus": skus, "quantities": quantities}
    dictionaries = dictionary_columns(workload)
    for kind, columns in (("int codes", codes), ("pyarrow", dictionaries)):
        seconds = []
        for _ in range(sizes.loads):
            engine = bare_engine(workload)
            if columns is codes:
                add_catalogue(engine, workload)
            start = time.perf_counter()
            engine.set_stock(**columns)
            seconds.append(time.perf_counter() - start)
            del engine
            gc.collect()
        name = f"load {len(stores):,} rows, {kind}"
        yield Row.of(name, seconds, "s", at_most=5)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes, the table, and who agreed with whom."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; "
        f"one thread\n{sizes.turns} turns of {sizes.batches} batches of {sizes.orders:,} orders of "
        f"2 lines; {MILLISECONDS} are for 10,000 orders\n"
        f"seed {report.seed}, decisions {report.decisions}"
    )
    table = Table("", "median", "", "from – to", "orders/s", "target", "met")
    for row in report.rows:
        table.add_row(
            row.name,
            f"{row.value:,.2f}",
            row.unit,
            "" if row.low is None else f"{row.low:,.2f} – {row.high:,.2f}",
            f"{1e7 / row.value:,.0f}" if row.unit == MILLISECONDS else "",
            target(row),
            verdict(row, judged=sizes == FULL),
        )
    console.print(table)
    for agreement in report.agreements:
        console.print(
            f"{agreement.peer}: a store for {agreement.found:,} of {agreement.orders:,} orders, "
            f"{agreement.same:,} of them the store that {ARRAYS} chose"
        )
    console.print(
        f"{SCIPY}: cKDTree's {MOST_CANDIDATES} nearest stores, then the stock. Where none of them "
        f"has the goods it gives up; {ARRAYS} fills such an order from farther away, and a later "
        "order may find those goods gone. It checks no input and knows no order ids."
    )


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
