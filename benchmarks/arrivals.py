"""Orders that come as they really came: `python benchmarks/arrivals.py [--smoke] [--json FILE]`.

Real instants, a day or a year of them, compressed into seconds: their crowds stay, and become a
load. An open loop: an order waits from when it was due, whatever became of those before it. All who
are due are routed in one turn, as at both doors of the service: a stall makes the next one larger.
The stores are *metro*; where ../shared/data is absent, nothing runs and it is said. `fendan load`
replays the same files against a running server.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, csv, parquet
from rich.console import Console
from rich.table import Table

import command
import fendan
from fendan.load.arrivals import Arrivals, Pattern
from fendan.times import NS_PER_S
from fendan.workloads.named import NAMED, SEED, made
from fendan.workloads.workload import Orders, joined
from machine import machine
from rows import Row
from workload import engine_for

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PERCENTILES = (50.0, 99.0, 99.9, 100.0)
MINUTE = 60.0  # to which both files round


@dataclass(frozen=True)
class Sizes:
    """How much is offered, on the average, and for how long."""

    rates_per_s: tuple[int, ...] = (100_000, 300_000, 1_000_000)
    seconds: float = 3.0
    batches: int = 20  # of other orders, before they repeat
    smaller: int = 1


FULL = Sizes()
SMOKE = Sizes(rates_per_s=(2000,), seconds=0.2, smaller=20)


@dataclass(frozen=True)
class Waited:
    """How long orders waited for their decision, from when they were due.

    `busiest_per_s`: offered in the busiest hundredth of the time. `assigned`: the share that
    found a store.
    """

    curve: str
    offered_per_s: int
    busiest_per_s: float
    turns: int
    largest_turn: int
    assigned: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float


@dataclass
class Report:
    """All that a run found; `not_run` says what is not there."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    waits: list[Waited]
    not_run: dict[str, str]
    rows: list[Row]


# -- THE CURVES --------------------------------------------------------------------------------


def lunch_and_dinner(folder: Path) -> NDArray[np.float64]:
    """Seconds of a day: when meals were ordered (Grubhub, ten days on one)."""
    table = csv.read_csv(folder / "grubhub_mdrp_orders.csv.gz")
    return MINUTE * table["placement_time"].to_numpy().astype(np.float64)


def before_christmas(folder: Path) -> NDArray[np.float64]:
    """Seconds: when orders of a web shop came, over its busiest three months (UCI)."""
    columns = ["InvoiceNo", "InvoiceDate"]
    table = parquet.read_table(folder / "uci_online_retail_lines.parquet", columns=columns)
    first = table.group_by("InvoiceNo").aggregate([("InvoiceDate", "min")])["InvoiceDate_min"]
    times = compute.cast(first, pa.int64()).to_numpy().astype(np.float64) / 1e3
    return times[times > times.max() - 90 * 24 * 3600]


CURVES: dict[str, Callable[[Path], NDArray[np.float64]]] = {
    "a day of meals": lunch_and_dinner,
    "a quarter of a web shop": before_christmas,
}


def compressed(instants: NDArray[np.float64], count: int, seconds: float) -> NDArray[np.float64]:
    """So many instants from 0 to `seconds`, which crowd as those given do.

    Within the minute to which the files round, nobody knows: there they are spread at random.
    """
    random = np.random.default_rng(SEED)
    spread = np.sort(instants + MINUTE * random.random(len(instants)))
    return Arrivals(Pattern.REPLAY, instants=spread).due_ns(count, seconds) / NS_PER_S


# -- THE RUN -----------------------------------------------------------------------------------


def measure(sizes: Sizes, say: Callable[[str], object] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    not_run, waits = {}, []
    if SHARED_DATA.is_dir():
        say("stores, stock and orders")
        metro = replace(NAMED["metro"].smaller(sizes.smaller), batches=sizes.batches)
        workload, batches = made(metro)
        orders = joined(batches)
        for name, read in CURVES.items():
            instants = read(SHARED_DATA)
            for rate in sizes.rates_per_s:
                say(f"{name}, {rate:,} a second")
                due_s = compressed(instants, int(rate * sizes.seconds), sizes.seconds)
                # Full shelves for each: what was sold before must not make the search longer.
                waits.append(_replayed(engine_for(workload), orders, name, due_s, rate))
    else:
        not_run = dict.fromkeys(CURVES, "needs ../shared/data")
    rows = [
        Row(f"{one.curve}, {one.offered_per_s:,} orders/s, p99", one.p99_ms, "ms") for one in waits
    ]
    return Report(sizes, machine(), SEED, waits, not_run, rows)


def _replayed(
    engine: fendan.Engine, orders: Orders, curve: str, due_s: NDArray[np.float64], rate: int
) -> Waited:
    """Route each order when it is due, or as soon after as can be; the same ones over and over."""
    done_s, sizes, assigned = np.empty(len(due_s)), [], 0
    first, begin = 0, time.perf_counter()
    while first < len(due_s):
        now_s = time.perf_counter() - begin
        # No more than there are orders: their lines must stand in one piece.
        end = min(int(np.searchsorted(due_s, now_s, side="right")), first + len(orders))
        if end == first:
            continue
        for part in _parts(orders, first, end):
            routed = engine.route_arrays(**vars(part))
            assigned += int(np.count_nonzero(routed.store_codes >= 0))
        done_s[first:end] = time.perf_counter() - begin
        sizes.append(end - first)
        first = end
    waits = np.percentile(1e3 * (done_s - due_s), PERCENTILES).tolist()
    busiest = np.histogram(due_s, bins=100)[0].max() * 100 / due_s[-1]
    return Waited(
        curve, rate, float(busiest), len(sizes), max(sizes), assigned / len(due_s), *waits
    )


def _parts(orders: Orders, first: int, end: int) -> Iterator[Orders]:
    """Orders first to end of those that repeat without end: one piece, or two."""
    start, lines = first % len(orders), orders.lines
    while first < end:
        count = min(end - first, len(orders) - start)
        line = slice(start * lines, (start + count) * lines)
        yield Orders(
            orders.lat[start : start + count],
            orders.lng[start : start + count],
            orders.offsets[: count + 1],
            orders.skus[line],
            orders.quantities[line],
        )
        first, start = first + count, 0


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the table."""
    table = Table("", "offered/s", "busiest/s", "largest turn", "p50 ms", "p99", "p99.9", "most")
    for one in report.waits:
        table.add_row(
            *(one.curve, f"{one.offered_per_s:,}", f"{one.busiest_per_s:,.0f}"),
            f"{one.largest_turn:,}",
            *(f"{ms:,.2f}" for ms in (one.p50_ms, one.p99_ms, one.p999_ms, one.most_ms)),
        )
    console.print(table)
    command.show_not_run(report.not_run, console)


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
