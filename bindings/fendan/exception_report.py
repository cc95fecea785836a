"""How many orders went through untouched, and what stopped the others: added up, and as tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fendan.exception_figures import DayFigures

__all__ = [
    "REST",
    "TARGET_RATE",
    "Counts",
    "ExceptionReport",
    "day_table",
    "first_of",
    "reason_table",
    "report_of",
]

# What chains expect: so many orders go through without a person.
TARGET_RATE = 0.92
MOST_ROWS = 15
NOT_SAID = "(not said)"
REST = "others"

Counts = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionReport:
    """Some days, one after the other, and what they come to; counts have the most first.

    `stuck`: orders that were not assigned at once; an order may have been so more than once.
    `by_store`: those that a store would not have.
    """

    days: tuple[DayFigures, ...]
    whole: DayFigures
    by_reason: Counts
    by_store: Counts
    by_channel: Counts

    @property
    def stuck(self) -> int:
        """How many exceptions there were."""
        return sum(count for _, count in self.by_reason)


def report_of(days: Sequence[DayFigures]) -> ExceptionReport:
    """The report of one day or more."""
    reasons, stores, channels = Counter[str](), Counter[str](), Counter[str]()
    for day in days:
        for one in day.exceptions:
            reasons[one.reason] += one.count
            if one.store_id:
                stores[one.store_id] += one.count
            channels[one.channel or NOT_SAID] += one.count
    first, last = days[0].day, days[-1].day
    return ExceptionReport(
        days=tuple(days),
        whole=DayFigures(
            day=first if first == last else f"{first} to {last}",
            taken=sum(day.taken for day in days),
            at_once=sum(day.at_once for day in days),
            by_retry=sum(day.by_retry for day in days),
            by_hand=sum(day.by_hand for day in days),
            cancelled=sum(day.cancelled for day in days),
            exceptions=(),
        ),
        by_reason=_most_first(reasons),
        by_store=_most_first(stores),
        by_channel=_most_first(channels),
    )


def first_of(counts: Counts, most: int = MOST_ROWS) -> Counts:
    """The first rows; what else there is stands in one of its own."""
    if len(counts) <= most:
        return counts
    return [*counts[: most - 1], (REST, sum(count for _, count in counts[most - 1 :]))]


def _most_first(counts: Counter[str]) -> Counts:
    return sorted(counts.items(), key=lambda row: (-row[1], row[0]))


# -- TABLES ------------------------------------------------------------------------------------


def day_table(report: ExceptionReport, title: str) -> Table:
    """A row a day, and all of them together last."""
    table = Table(title=escape(title), title_justify="left")
    table.add_column("day", no_wrap=True)
    for name in ("orders", "automatic", "at once", "by retry", "by hand", "cancelled", "open"):
        table.add_column(name, justify="right")
    for day in report.days:
        table.add_row(day.day, *_cells(day))
    if len(report.days) > 1:
        table.add_section()
        table.add_row("all", *_cells(report.whole), style="bold")
    return table


def reason_table(report: ExceptionReport) -> Table:
    """Why orders were stopped, at which stores, from which channels."""
    table = Table(title=f"{report.stuck:,} exceptions", title_justify="left")
    table.add_column("by", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("orders", justify="right")
    table.add_column("", justify="right")
    groups = {
        "reason": report.by_reason,
        "store": report.by_store,
        "channel": report.by_channel,
    }
    for what, counts in groups.items():
        for row, (name, count) in enumerate(first_of(counts)):
            share = f"{count / report.stuck:.1%}"
            table.add_row("" if row else what, Text(name), f"{count:,}", share)
        table.add_section()
    return table


def _cells(day: DayFigures) -> Iterator[str]:
    waiting = day.taken - day.at_once - day.by_retry - day.by_hand - day.cancelled
    rate = f"{day.automatic_rate:.1%}" if day.taken else "-"
    if day.taken and day.automatic_rate < TARGET_RATE:
        rate = f"[red]{rate}[/]"
    yield f"{day.taken:,}"
    yield rate
    for count in (day.at_once, day.by_retry, day.by_hand, day.cancelled, waiting):
        yield f"{count:,}"
