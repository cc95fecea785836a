"""One number of a report, what it should be, and how that is printed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

from rich.table import Table

MILLISECONDS = "ms"  # for 10,000 orders, where routing is timed


@dataclass(frozen=True)
class Row:
    """One number, and what it should be. `low` and `high` bound its repetitions."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def of(
        cls, name: str, values: Sequence[float], unit: str, *, at_most: float | None = None
    ) -> Self:
        """The median of repetitions, the least and the most."""
        return cls(name, median(values), unit, min(values), max(values), at_most=at_most)

    @classmethod
    def routing(
        cls, name: str, seconds: Sequence[float], orders: int, *, at_most: float | None = None
    ) -> Self:
        """Milliseconds for 10,000 orders, from the seconds of calls with so many."""
        ms = [1e3 * value * 10_000 / orders for value in seconds]
        return cls.of(name, ms, MILLISECONDS, at_most=at_most)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


def target(row: Row) -> str:
    """What the number should be; empty where nobody said."""
    if row.at_least is not None:
        return f"≥ {row.at_least:g}"
    return "" if row.at_most is None else f"≤ {row.at_most:g}"


def verdict(row: Row, *, judged: bool) -> str:
    """Whether it is that, for rich; in sizes where targets mean nothing, "-"."""
    if row.met is None:
        return ""
    if not judged:
        return "-"
    return "[green]yes[/]" if row.met else "[red]no[/]"


def as_table(rows: Sequence[Row], *, judged: bool) -> Table:
    """The rows for the terminal; `judged` as above."""
    table = Table("", "median", "", "from – to", "target", "met")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.value:,.2f}",
            row.unit,
            "" if row.low is None else f"{row.low:,.2f} – {row.high:,.2f}",
            target(row),
            verdict(row, judged=judged),
        )
    return table


def as_json(report: Any) -> str:
    """A report, a dataclass with `rows`, and whether each of their targets is met."""
    fields = asdict(report)
    for written, row in zip(fields["rows"], report.rows, strict=True):
        written["met"] = row.met
    return json.dumps(fields, indent=2, ensure_ascii=False)
