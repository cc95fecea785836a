"""The numbers over gRPC: `python benchmarks/service.py [--smoke] [--json FILE]`.

Client and server are two processes on the same cores of one machine, connected by loopback without
TLS; nothing is pinned. What is measured, and how, is in trials.py and load.py. `--smoke` runs all
of it in tiny sizes, where the targets mean nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

import command
import trials
from load import Tally
from machine import machine
from rows import Row, target, verdict
from served import Chain, Served
from trials import FULL, SEED, SMOKE, Bench, Sizes


@dataclass
class Report:
    """All that a run found."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    rows: list[Row]
    tallies: list[Tally]


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    rows: list[Row] = []
    tallies: list[Tally] = []
    say("a server, with stores and stock")
    with served(sizes, sizes.remembered_orders) as bench:
        for trial in (
            trials.batches,
            trials.streams,
            trials.calls,
            trials.concurrent,
            trials.stock,
        ):
            say(trial.__doc__ or "")
            rows += trial(bench)
        tallies += bench.tallies
    say("another server")
    with served(sizes, sizes.remembered_for_memory) as bench:
        say(trials.memory.__doc__ or "")
        rows += trials.memory(bench)
        tallies += bench.tallies
    where = {**machine(), "grpcio": version("grpcio")}
    return Report(sizes, where, SEED, rows, tallies)


@contextmanager
def served(sizes: Sizes, remembered_orders: int) -> Iterator[Bench]:
    """A server, and all that is needed to send it orders."""
    chain = Chain(sizes.stores, sizes.skus, sizes.skus_per_store, SEED, remembered_orders)
    with Served(chain) as server:
        bench = Bench(server, sizes)
        with bench.client:
            yield bench


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes, the table, and what became of the orders."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; "
        f"client and server on the same cores, without TLS\n"
        f"BatchRoute: {sizes.batches} batches of {sizes.orders:,} orders of 2 lines\n"
        f"StreamRoute: {sizes.orders:,} orders in {sizes.messages} messages over {sizes.streams} "
        f"streams, {sizes.instants} times at fixed instants; latency counts from these\n"
        f"aio.Client: {sizes.rounds} rounds; seed {report.seed}"
    )
    table = Table("", "", "", "target", "met")
    table.columns[1].justify = "right"
    for row in report.rows:
        judged = verdict(row, judged=sizes == FULL)
        table.add_row(row.name, f"{row.value:,.2f}", row.unit, target(row), judged)
    console.print(table)
    for tally in report.tallies:
        console.print(
            f"{tally.name}: {tally.answered:,} of {tally.orders:,} orders answered, "
            f"{tally.assigned:,} assigned"
        )


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
