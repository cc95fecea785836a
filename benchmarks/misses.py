"""Misses of named workloads: `python benchmarks/misses.py [--smoke] [--json FILE] [NAME ...]`.

How often, for one order, a branch goes another way than was guessed, and data is not in the first
or in the last cache. callgrind *simulates* both, with caches of the sizes that this processor has
(or else USUAL_CACHES), empty before a first batch that is not counted. It knows no prefetching: a
miss says that data came from further away, not that anybody waited. Where the processor counts for
`perf stat`, its own numbers stand beside; a virtual machine mostly has none, and that is said.

*giant* is left out: it takes valgrind too long to load.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from types import MappingProxyType

from rich.console import Console
from rich.table import Table

import callgrind
import command
import one_batch
from callgrind import CannotCountError
from fendan.workloads.named import NAMED, SEED
from machine import machine
from rows import Row

SMALLER = 40  # times, to smoke
NAMES = [name for name in NAMED if name != "giant"]

SIMULATED, COUNTED = "simulated", "counted"
# What is told of, and the events that make it up: callgrind's, and the one of perf.
EVENTS: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "instructions": (("Ir",), "instructions:u"),
        "mispredicted branches": (("Bcm", "Bim"), "branch-misses:u"),
        "L1 data misses": (("D1mr", "D1mw"), "L1-dcache-load-misses:u"),
        "last-level misses": (("DLmr", "DLmw"), "cache-misses:u"),
    }
)

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
LINE_BYTES = 64
# Bytes and ways of the first and of the last cache, where the system does not say.
USUAL_CACHES = ((32 << 10, 8), (32 << 20, 16))


@dataclass(frozen=True)
class Found:
    """Of one workload: how many of each, by the names of EVENTS, for one order.

    `counted` is empty where the processor does not count for us.
    """

    name: str
    simulated: dict[str, float]
    counted: dict[str, float]


@dataclass
class Report:
    """All that a run found; `not_run` says why there is nothing, or nothing counted."""

    machine: dict[str, str]
    seed: int
    smaller: int
    caches: list[str]
    workloads: list[Found]
    not_run: dict[str, str]
    rows: list[Row]


def measure(names: Sequence[str], *, smaller: int, say: Callable[[str], object]) -> Report:
    """Route a batch of each; `say` hears which is under way."""
    caches, not_run, found = _caches(), {}, []
    try:
        callgrind.check_tools()
        if why := why_not_counted():
            not_run["hardware counters"] = why
        for name in names:
            say(name)
            orders = NAMED[name].smaller(smaller).orders
            counted = {} if why else _counted(name, smaller, orders)
            found.append(Found(name, _simulated(name, smaller, orders, caches), counted))
    except CannotCountError as error:
        not_run.update(dict.fromkeys(names[len(found) :], str(error)))
    rows = [
        Row(f"{one.name}, {how} {what}", value, "an order")
        for one in found
        for how, counts in ((SIMULATED, one.simulated), (COUNTED, one.counted))
        for what, value in counts.items()
    ]
    said = [f"{size >> 10:,} KiB in {ways} ways" for size, ways in caches]
    return Report(machine(), SEED, smaller, said, found, not_run, rows)


# -- SIMULATED ---------------------------------------------------------------------------------


def _simulated(
    name: str, smaller: int, orders: int, caches: tuple[tuple[int, int], ...]
) -> dict[str, float]:
    """By callgrind. Raises CannotCountError where that is not possible."""
    first, last = (f"{size},{ways},{LINE_BYTES}" for size, ways in caches)
    options = ["--cache-sim=yes", "--branch-sim=yes", f"--D1={first}", f"--LL={last}"]
    words = (name, str(smaller), one_batch.CALLGRIND)
    (events,) = callgrind.events_of(one_batch.__file__, *words, options=options).values()
    return {
        what: sum(events[event] for event in parts) / orders for what, (parts, _) in EVENTS.items()
    }


def _caches() -> tuple[tuple[int, int], ...]:
    """Bytes and ways of this processor's first and last cache of data."""
    found = []
    for folder in CACHES.glob("index*"):
        said = {file.name: file.read_text().strip() for file in folder.iterdir() if file.is_file()}
        if said.get("type") != "Instruction" and said.get("ways_of_associativity", "0") != "0":
            size = int(said["size"].removesuffix("K")) << 10
            found.append((int(said["level"]), size, int(said["ways_of_associativity"])))
    if not found:
        return USUAL_CACHES
    return tuple((size, ways) for _, size, ways in (min(found), max(found)))


# -- COUNTED -----------------------------------------------------------------------------------


def why_not_counted() -> str:
    """Why the processor's own counters are of no use here; empty where they are."""
    if which("perf") is None:
        return "there is no perf here"
    events = [event for _, event in EVENTS.values()]
    told = subprocess.run(
        ["perf", "stat", "-x,", "-e", ",".join(events), sys.executable, "-c", ""],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if told.returncode == 0 and read_perf(told.stderr) else "this machine offers none"


def _counted(name: str, smaller: int, orders: int) -> dict[str, float]:
    """By perf, which waits to be told when to begin."""
    with tempfile.TemporaryDirectory() as folder:
        pipes = [str(Path(folder) / name) for name in (one_batch.CONTROL, one_batch.ACKNOWLEDGED)]
        for pipe in pipes:
            os.mkfifo(pipe)
        out = Path(folder) / "counts"
        events = ",".join(event for _, event in EVENTS.values())
        callgrind.run(
            [
                *("perf", "stat", "-x,", "-e", events, "--delay=-1", "-o", str(out)),
                *("--control", f"fifo:{','.join(pipes)}", sys.executable),
                *(one_batch.__file__, name, str(smaller), one_batch.PERF, folder),
            ]
        )
        counts = read_perf(out.read_text(encoding="utf-8"))
    return {what: count / orders for what, count in counts.items()}


def read_perf(text: str) -> dict[str, int]:
    """What `perf stat -x,` wrote, by the names of EVENTS, but for what it could not count."""
    names = {event: what for what, (_, event) in EVENTS.items()}
    fields = (line.split(",") for line in text.splitlines())
    return {
        names[parts[2]]: int(parts[0])
        for parts in fields
        if len(parts) > 2 and parts[2] in names and parts[0].isdigit()
    }


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the table."""
    first, last = report.caches
    console.print(f"for one order; simulated with caches of {first} and {last}; seed {report.seed}")
    table = Table("", "", *EVENTS)
    for column in table.columns[2:]:
        column.justify = "right"
    for one in report.workloads:
        for how, counts in ((SIMULATED, one.simulated), (COUNTED, one.counted)):
            if counts:
                values = (f"{counts[what]:,.1f}" if what in counts else "" for what in EVENTS)
                table.add_row(one.name, how, *values)
    console.print(table)
    command.show_not_run(report.not_run, console)


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run_some(
        arguments,
        __doc__,
        NAMES,
        lambda names, smoke, say: measure(names, smaller=SMALLER if smoke else 1, say=say),
        show,
    )


if __name__ == "__main__":
    main()
