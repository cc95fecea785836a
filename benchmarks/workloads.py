"""Every named workload: `python benchmarks/workloads.py [--smoke] [--json FILE] [NAME ...]`.

One engine, one thread, `route_arrays` with reservation: batches of 10,000 orders in a row, in
several turns with fresh stock (contest.py). The hash of the decisions says that the same was
decided; it is the same on every machine. A workload that would not fit in memory is named as not
run. `--smoke` runs all of them in small, where the numbers mean nothing.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import command
import fendan
from contest import EngineArrays, take_turns
from fendan.workloads.named import NAMED, SEED, Named, made
from machine import machine
from rows import Row
from workload import engine_for, needs_bytes

TURNS = 3
SMALLER = 40  # times, to smoke
GIGABYTE = 1e9


@dataclass(frozen=True)
class Found:
    """What one workload came to. Milliseconds are for 10,000 orders, the median of all batches.

    `by_batch_ms`: of each batch in a turn, where the stock is what those before have left.
    """

    name: str
    size: Named
    decisions: str
    assigned: float
    ms: float
    low_ms: float
    high_ms: float
    by_batch_ms: list[float]
    bytes_a_pair: float
    load_s: float


@dataclass
class Report:
    """All that a run found; `not_run` says of each other workload what it needs."""

    machine: dict[str, str]
    seed: int
    smaller: int
    workloads: list[Found]
    not_run: dict[str, str]
    rows: list[Row]


class Placed(EngineArrays):
    """As EngineArrays, where stores farther than a radius may not serve."""

    radius_m: float | None = None

    def run(self, given: dict[str, Any]) -> fendan.Routed:
        """One call."""
        return self.engine.route_arrays(**given, policy=fendan.Policy(radius_m=self.radius_m))


def free_bytes() -> int | None:
    """Memory that the system could give now; None where it does not say (not Linux)."""
    told = Path("/proc/meminfo")
    if not told.exists():
        return None
    lines = dict(line.split(":", 1) for line in told.read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def too_large(size: Named) -> str:
    """Why a workload does not run here; empty where it does."""
    free, needs = free_bytes(), needs_bytes(size)
    if free is None or needs <= free:
        return ""
    needed, there = needs / GIGABYTE, free / GIGABYTE
    return f"needs about {needed:.0f} GB of memory, {there:.0f} GB are free"


def measured(name: str, size: Named, turns: int) -> Found:
    """Make, load and route one workload."""
    workload, batches = made(size)
    start = time.perf_counter()
    engine = engine_for(workload)
    load_s = time.perf_counter() - start
    arrays = Placed(name, engine, workload, batches)
    arrays.radius_m = size.radius_m
    seconds = np.array(take_turns([arrays], turns)[name]).reshape(turns, size.batches)
    ms = 1e3 * seconds * 10_000 / size.orders
    return Found(
        name=name,
        size=size,
        decisions=arrays.decided.hash,
        assigned=float((arrays.decided.store_codes >= 0).mean()),
        ms=median(ms.ravel().tolist()),
        low_ms=float(ms.min()),
        high_ms=float(ms.max()),
        by_batch_ms=np.median(ms, axis=0).tolist(),
        bytes_a_pair=engine.memory_bytes / engine.pair_count,
        load_s=load_s,
    )


def measure(names: Sequence[str], *, smaller: int, say: Callable[[str], object]) -> Report:
    """Run these workloads; `say` hears which is under way."""
    found, not_run = [], {}
    for name in names:
        size = NAMED[name].smaller(smaller)
        if why := too_large(size):
            not_run[name] = why
            continue
        say(name)
        found.append(measured(name, size, TURNS if smaller == 1 else 1))
        gc.collect()
    rows = [Row(one.name, one.ms, "ms", one.low_ms, one.high_ms) for one in found]
    return Report(machine(), SEED, smaller, found, not_run, rows)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the table."""
    console.print(f"ms are for 10,000 orders, one thread; seed {report.seed}")
    table = Table(
        *(
            "",
            "stores × SKUs",
            "in each",
            "lines",
            "ms",
            "from – to",
            "filled",
            "B/pair",
            "decisions",
        ),
        padding=0,
    )
    for one in report.workloads:
        size = one.size
        table.add_row(
            *(one.name, f"{size.stores:,} × {size.skus:,}", f"{size.skus_per_store:,}"),
            *(str(size.lines), f"{one.ms:,.2f}", f"{one.low_ms:,.2f} – {one.high_ms:,.2f}"),
            *(f"{one.assigned:.1%}", f"{one.bytes_a_pair:.1f}", one.decisions),
        )
    console.print(table)
    command.show_not_run(report.not_run, console)


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run_some(
        arguments,
        __doc__,
        list(NAMED),
        lambda names, smoke, say: measure(names, smaller=SMALLER if smoke else 1, say=say),
        show,
    )


if __name__ == "__main__":
    main()
