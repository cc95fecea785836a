"""Others who do the whole job: `python benchmarks/rivals.py [--smoke] [--json FILE]`.

The nearest store that has every line in stock, and reserve it: the same orders over the same stock,
in turns (contest.py), each with its decisions beside the engine's. All look as far as it takes,
all reserve in order, so nobody wins by doing less. None but the engine checks its input, and none
knows an order again that is sent a second time. Servers are started here and end with the run;
what is not installed is named as not run.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import command
import postgis_peer
import redis_peer
from compiled import compiler
from contest import EngineArrays, Peer, Routes, take_turns
from fendan.workloads.workload import Orders, Workload, joined, metro
from machine import machine
from peers import HALF_EARTH_M, AngleTree, NearestThenStock, dense_stock, unit_vectors
from plain import PlainLoop
from rows import MILLISECONDS, Row, as_table
from workload import engine_for

SEED = 1
ENGINE = "fendan"


@dataclass(frozen=True)
class Sizes:
    """How large everything is: *metro*."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000
    batches: int = 2  # of so many orders, in a row, in every turn
    turns: int = 3


FULL = Sizes()
SMOKE = Sizes(stores=300, skus=200, skus_per_store=50, orders=200, batches=2, turns=1)


@dataclass(frozen=True)
class Agreement:
    """How a peer's decisions compare with the engine's: of so many orders, as many `same`.

    `found` have a store; of those that chose another than the engine, the store is `farther_m`
    metres farther away on the average (less than nothing: nearer).
    """

    peer: str
    orders: int
    found: int
    same: int
    farther_m: float


@dataclass
class Report:
    """All that a run found; `not_run` says of each peer that is missing what it needs."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    decisions: str
    rows: list[Row]
    agreements: list[Agreement]
    not_run: dict[str, str]


# -- THE PEERS ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rival:
    """How a peer is made, and what it needs, where that is missing."""

    name: str
    missing: Callable[[], str]
    made: Callable[[Workload], AbstractContextManager[Routes]]


@contextmanager
def _scipy(workload: Workload) -> Iterator[Routes]:
    yield NearestThenStock(workload, dense_stock(workload), to_the_end=True)


@contextmanager
def _scikit(workload: Workload) -> Iterator[Routes]:
    tree = AngleTree(workload)
    yield NearestThenStock(workload, dense_stock(workload), tree, to_the_end=True)


@contextmanager
def _plain(workload: Workload) -> Iterator[Routes]:
    with tempfile.TemporaryDirectory() as folder:
        yield PlainLoop(workload, dense_stock(workload), Path(folder))


@contextmanager
def _redis(workload: Workload) -> Iterator[Routes]:
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_peer.serving(Path(folder)) as connection,
    ):
        yield redis_peer.Redis(workload, connection)


@contextmanager
def _postgis(workload: Workload) -> Iterator[Routes]:
    with (
        tempfile.TemporaryDirectory() as folder,
        postgis_peer.serving(Path(folder)) as database,
    ):
        yield postgis_peer.PostGis(workload, database)


def _unless(there: object, needs: str) -> str:
    return "" if there else needs


RIVALS = (
    Rival("nearest, then check, in C", lambda: _unless(compiler(), "a C compiler"), _plain),
    Rival("scipy cKDTree + numpy", lambda: _unless(find_spec("scipy"), "scipy"), _scipy),
    Rival(
        "scikit-learn BallTree + numpy",
        lambda: _unless(find_spec("sklearn"), "scikit-learn"),
        _scikit,
    ),
    Rival(
        "Redis, GEOSEARCH + Lua",
        lambda: _unless(shutil.which(redis_peer.SERVER), "Debian's redis-server"),
        _redis,
    ),
    Rival(
        "PostGIS, KNN + join + update",
        lambda: _unless(postgis_peer.binaries(), "Debian's postgresql and postgis"),
        _postgis,
    ),
)

# -- THE RUN -----------------------------------------------------------------------------------


def measure(sizes: Sizes, say: Callable[[str], object] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    say("stores, stock and orders")
    workload = metro(sizes.stores, sizes.skus, sizes.skus_per_store, sizes.orders, SEED)
    batches = [workload.more_orders(sizes.orders, batch=batch) for batch in range(sizes.batches)]
    ours = EngineArrays(ENGINE, engine_for(workload), workload, batches)
    missing = {rival.name: rival.missing() for rival in RIVALS}
    not_run = {name: f"needs {what}" for name, what in missing.items() if what}
    with ExitStack() as servers:
        peers = []
        for rival in RIVALS:
            if rival.name not in not_run:
                say(f"{rival.name}: loading")
                made = servers.enter_context(rival.made(workload))
                peers.append(Peer(rival.name, made, batches))
        say("routing, in turns")
        seconds = take_turns([ours, *peers], sizes.turns)
    orders = joined(batches)
    return Report(
        sizes=sizes,
        machine=machine(),
        seed=SEED,
        decisions=ours.decided.hash,
        rows=list(_rows(seconds, sizes)),
        agreements=[_agreement(workload, orders, ours, peer) for peer in peers],
        not_run=not_run,
    )


def _rows(seconds: dict[str, list[float]], sizes: Sizes) -> Iterator[Row]:
    for name, values in seconds.items():
        yield Row.routing(name, values, sizes.orders)
    for name, values in seconds.items():
        if name != ENGINE:
            yield Row(f"{name} / {ENGINE}", median(values) / median(seconds[ENGINE]), "times")


def _agreement(workload: Workload, orders: Orders, ours: EngineArrays, peer: Peer) -> Agreement:
    chosen, theirs = ours.decided.store_codes, peer.decided.store_codes
    other = (chosen != theirs) & (chosen >= 0) & (theirs >= 0)
    metres = _metres(workload, orders, theirs) - _metres(workload, orders, chosen)
    return Agreement(
        peer=peer.name,
        orders=len(orders),
        found=int(np.count_nonzero(theirs >= 0)),
        same=int(np.count_nonzero(chosen == theirs)),
        farther_m=float(metres[other].mean()) if other.any() else 0.0,
    )


def _metres(workload: Workload, orders: Orders, stores: NDArray[np.int32]) -> NDArray[np.float64]:
    """How far each order's store is from it; of one without a store, anything."""
    there = unit_vectors(workload.store_lat[stores], workload.store_lng[stores])
    chords = np.linalg.norm(unit_vectors(orders.lat, orders.lng) - there, axis=1)
    return np.asarray(2.0 * HALF_EARTH_M / np.pi * np.arcsin(chords / 2.0))


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes, the table, and who agreed with whom."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; "
        f"{sizes.turns} turns of {sizes.batches} batches of {sizes.orders:,} orders of 2 lines; "
        f"{MILLISECONDS} are for 10,000 orders\nseed {report.seed}, decisions {report.decisions}"
    )
    console.print(as_table(report.rows, judged=sizes == FULL))
    for one in report.agreements:
        console.print(
            f"{one.peer}: a store for {one.found:,} of {one.orders:,} orders; {one.same:,} decided "
            f"as {ENGINE} did" + (f", others {one.farther_m:+.1f} m" if one.farther_m else "")
        )
    command.show_not_run(report.not_run, console)


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
