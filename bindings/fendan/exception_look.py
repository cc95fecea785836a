"""The exception queue as people read it."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from fendan.exception_entry import ExceptionEntry
from fendan.ledger_files import iso_time
from fendan.model import OrderStatus

__all__ = ["entry_table", "queue_table", "status_line"]

MINUTES = len("2026-11-22T12:00")  # what a list needs of a time


def queue_table(entries: Iterable[ExceptionEntry], title: str) -> Table:
    """A row for each entry."""
    table = Table(title=title, title_justify="left")
    for column in ("order", "kind", "reason", "channel", "store", "since"):
        # A name that is cut can be neither read nor asked for; one that is folded can.
        table.add_column(column, no_wrap=column == "order", overflow="fold")
    for column in ("priority", "tried"):
        table.add_column(column, justify="right")
    for entry in entries:
        table.add_row(
            Text(entry.id),
            entry.kind.name,
            Text(entry.reason),
            Text(entry.channel),
            Text(entry.store_id),
            iso_time(entry.since_ns)[:MINUTES].replace("T", " "),
            str(entry.priority),
            str(entry.attempts),
        )
    return table


def entry_table(entry: ExceptionEntry) -> Table:
    """All of one entry, a row for each field that says anything."""
    table = Table(title=Text(entry.id), title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    next_ns = entry.next_try_ns
    rows = {
        "kind": entry.kind.name,
        "reason": entry.reason,
        "also found": ", ".join(entry.codes),
        "since": iso_time(entry.since_ns),
        "channel": entry.channel,
        "would not have it": entry.store_id,
        "priority": str(entry.priority),
        "tried again": str(entry.attempts),
        "next try": "" if next_ns is None else iso_time(next_ns),
        "lines": "" if entry.order is None else _lines(entry),
        "goes to": "" if entry.order is None else f"{entry.order.lat}, {entry.order.lng}",
        "came as": entry.raw,
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, Text(text))
    return table


def status_line(status: OrderStatus) -> str:
    """Where an order is, in a line."""
    if status.shipments:
        stores = ", ".join(one.store_id or "no store" for one in status.shipments)
        return f"{status.order_id} is {status.state.name}, in shipments from {stores}"
    if status.store_id is not None:
        return f"{status.order_id} is {status.state.name} at {status.store_id}"
    return f"{status.order_id} is {status.state.name}: {status.reason.name}"


def _lines(entry: ExceptionEntry) -> str:
    assert entry.order is not None
    return "\n".join(f"{quantity} x {sku}" for sku, quantity, *_ in entry.order.lines)
