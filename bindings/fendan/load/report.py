"""What a load found: as JSON for machines, and as a table for people."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.markup import escape
from rich.table import Table

from fendan.load.latencies import PERCENTILES
from fendan.load.run import Run
from fendan.load.step import Step

__all__ = ["HEADINGS", "Report", "cells", "loader", "now"]

# From here on a load that may use one core is what limits the rate.
BUSY_CORES = 0.85


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run, how it was asked for, and on what machine the load ran; of the server's it knows none.

    `asked` are the settings, as words by name. `p99_ms`: the bound of a search for the knee.
    """

    asked: Mapping[str, str]
    loader: Mapping[str, str]
    began: str
    run: Run
    p99_ms: float | None = None

    @property
    def is_good(self) -> bool:
        """Whether all was answered with decisions; of a search, whether there is a knee."""
        if self.run.failure or not self.run.steps:
            return False
        if self.p99_ms is not None:
            return self.run.knee_per_s is not None
        return not any(step.errors for step in self.run.steps)

    def as_json(self) -> str:
        """All of it; the steps in the order in which they were made."""
        value: dict[str, Any] = {
            "asked": dict(self.asked),
            "loader": dict(self.loader),
            "began": self.began,
            "knee_orders_per_s": self.run.knee_per_s,
            "knee_p99_ms": self.p99_ms,
            "failure": self.run.failure,
            "is_good": self.is_good,
            "steps": [step.as_json() for step in self.run.steps],
        }
        return json.dumps(value, indent=1, ensure_ascii=False)

    def verdict(self) -> str:
        """The outcome in a sentence."""
        if self.run.failure:
            return f"It ended early: {self.run.failure}"
        if self.p99_ms is not None:
            bound = f"with p99 within {self.p99_ms:g} ms"
            if self.run.knee_per_s is None:
                return f"No rate that was tried was kept up with {bound}."
            return f"The knee: {self.run.knee_per_s:,.0f} orders/s {bound}, none lost."
        errors = sum(step.error_count for step in self.run.steps)
        if errors:
            return f"{errors:,} messages were not answered with decisions."
        return "Every message was answered with decisions."

    def warnings(self) -> list[str]:
        """What a reader of the numbers has to know."""
        said = {f"{name}: {words}" for step in self.run.steps for name, words in step.said.items()}
        busy = [step for step in self.run.steps if step.load_cores >= BUSY_CORES]
        if busy:
            rates = ", ".join(f"{step.offered_per_s:,.0f}" for step in busy)
            said.add(
                f"At {rates} orders/s the load itself was busy all the time: it may be the limit."
            )
        return sorted(said)

    def table(self) -> Table:
        """A line for each step, by rate; the last of HEADINGS has no room on a terminal."""
        table = Table(*HEADINGS[:-1])
        for column in table.columns:
            column.justify = "right"
        for step in sorted(self.run.steps, key=lambda step: step.offered_per_s):
            table.add_row(*map(escape, cells(step)[:-1]))
        return table


HEADINGS = (
    *("offered/s", "answered/s"),
    *(f"p{percentile:g} ms" for percentile in PERCENTILES),
    *("most ms", "errors", "no store", "load's cores"),
)


def cells(step: Step) -> list[str]:
    """A step's line of a table with these HEADINGS."""
    waits = [step.latencies.percentile_ms(percentile) for percentile in PERCENTILES]
    errors = ", ".join(f"{name} {count:,}" for name, count in step.errors.items())
    return [
        f"{step.offered_per_s:,.0f}",
        f"{step.answered_per_s:,.0f}",
        *(f"{ms:,.2f}" for ms in [*waits, step.latencies.most_ms]),
        errors or "0",
        f"{step.unassigned:,}",
        f"{step.load_cores:.2f}",
    ]


def loader() -> dict[str, str]:
    """The machine on which the load runs."""
    return {
        "fendan": version("fendan"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": platform.processor() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"),
        "python": platform.python_version(),
    }


def now() -> str:
    """This moment, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
