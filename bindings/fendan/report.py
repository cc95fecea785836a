"""What a routed batch comes to, for people: how many orders found a store, how far, how fast."""

import os

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fendan.engine.router import Reason, Status
from fendan.model import Routed

__all__ = ["length", "show", "summary"]

WIDE = 240  # characters: more than any of our tables needs


def summary(routed: Routed, *, title: str, seconds: float) -> Table:
    """A table about routed orders.

    `seconds` is what routing alone took, without reading, loading or writing.
    """
    count = len(routed)
    is_assigned = routed.statuses == Status.ASSIGNED
    assigned = int(np.count_nonzero(is_assigned))
    table = Table(title=escape(title), title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("orders", f"{count:,}")
    table.add_row("assigned", _share(assigned, count))
    table.add_row("unassigned", _share(count - assigned, count))
    for reason in Reason:
        times = int(np.count_nonzero(routed.reasons[~is_assigned] == reason))
        if times:
            table.add_row(f"  {reason.name.lower().replace('_', ' ')}", _share(times, count))
    if assigned:
        median_m, p95_m = np.percentile(routed.distances_m[is_assigned], [50, 95])
        table.add_row("distance, median", length(median_m))
        table.add_row("distance, p95", length(p95_m))
    if count and seconds > 0.0:
        table.add_row("routing only", f"{seconds * 1e3:,.1f} ms")
        table.add_row("orders per second, routing only", f"{count / seconds:,.0f}")
    return table


def show(table: Table, console: Console | None = None) -> None:
    """Print a summary, on standard output unless a console says otherwise.

    Where that is no terminal, which would have a width, nothing is cut to fit one.
    """
    if console is None:
        console = Console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = WIDE
    console.print(table)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def length(metres: float) -> str:
    """Metres, or kilometres, as people read them."""
    return f"{metres:,.0f} m" if metres < 1_000.0 else f"{metres / 1_000.0:,.1f} km"
