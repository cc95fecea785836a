"""`fendan exceptions`: the orders that nobody fills yet, looked at and seen to.

Of a server that runs (`--server`), or of the folder of an engine that does not (`--data`).
"""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.exception_entry import ExceptionEntry, ExceptionKind, text_of
from fendan.exception_face import ExceptionFace
from fendan.exception_look import entry_table, queue_table, status_line
from fendan.exception_queue import ExceptionFilter
from fendan.journal_look import segments_of
from fendan.ledger_files import iso_time
from fendan.report import show as print_table
from fendan.terminal import new_file, plain_errors
from fendan.toml_file import did_you_mean

if TYPE_CHECKING:
    from fendan.exception_client import ExceptionClient

__all__ = ["exceptions_app"]

exceptions_app = typer.Typer(no_args_is_help=True, help="Orders that nobody fills yet.")

KINDS = {kind.name.lower(): kind for kind in ExceptionKind}
COLUMNS = ("order_id", "kind", "reason", "codes", "since", "channel", "store_id", "priority")

OrderId = Annotated[str, typer.Argument(help="The id of the order.")]
Server = Annotated[str | None, typer.Option(help="Where a server is, such as 127.0.0.1:50051.")]
Token = Annotated[str | None, typer.Option(envvar="FENDAN_TOKEN", help="What the server asks for.")]
Data = Annotated[Path | None, typer.Option(help="Else, where an engine keeps its journal.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="waiting, held, rejected or broken.")
]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Such as NO_STOCK.")]
Channels = Annotated[list[str] | None, typer.Option("--channel", help="Where it came from.")]
Stores = Annotated[list[str] | None, typer.Option("--store", help="That would not have it.")]


# -- LOOKING -----------------------------------------------------------------------------------


@exceptions_app.command("list")
def list_exceptions(
    *,
    kind: Kinds = None,
    reason: Reasons = None,
    channel: Channels = None,
    store: Stores = None,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    server: Server = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """List the queue, the most urgent first. Options that are said again mean either."""
    with plain_errors(), _desk(server, token, data) as desk:
        wanted = _filter(kind, reason, channel, store)
        stats = desk.exception_stats()
        found = list(islice(desk.export_exceptions(wanted), limit))
        print_table(queue_table(found, f"{len(found):,} of {stats.total:,} exceptions"))


@exceptions_app.command()
def show(
    order_id: OrderId, *, server: Server = None, token: Token = None, data: Data = None
) -> None:
    """Show all that is known of one exception, with what came."""
    with plain_errors(), _desk(server, token, data) as desk:
        print_table(entry_table(desk.exception(order_id)))


@exceptions_app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A .csv or .jsonl file, to be written.")],
    *,
    kind: Kinds = None,
    reason: Reasons = None,
    channel: Channels = None,
    store: Stores = None,
    server: Server = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Write the queue into a file; JSON Lines hold all of it, CSV what fits into columns."""
    with plain_errors(), _desk(server, token, data) as desk:
        wanted = _filter(kind, reason, channel, store)
        with new_file(out, (".csv", ".jsonl")) as file:
            write = _write_csv if out.suffix.lower() == ".csv" else _write_lines
            count = write(file, desk.export_exceptions(wanted))
        typer.echo(f"{count:,} exceptions are in {out}")


def _write_csv(path: Path, entries: Iterator[ExceptionEntry]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for entry in entries:
            count += 1
            codes = " ".join(entry.codes)
            since, store = iso_time(entry.since_ns), entry.store_id
            head = (entry.id, entry.kind.name, entry.reason, codes, since)
            rows.writerow((*head, entry.channel, store, entry.priority))
    return count


def _write_lines(path: Path, entries: Iterator[ExceptionEntry]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for entry in entries:
            count += 1
            said = {"id": entry.id, **json.loads(text_of(entry)), "kind": entry.kind.name}
            file.write(json.dumps(said, ensure_ascii=False) + "\n")
    return count


# -- SEEING TO THEM ----------------------------------------------------------------------------


@exceptions_app.command()
def retry(
    order_ids: Annotated[list[str], typer.Argument(help="Orders that wait.")],
    *,
    server: Server = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Try orders again now."""
    with plain_errors(), _desk(server, token, data) as desk:
        for status in desk.retry_exceptions(order_ids):
            typer.echo(status_line(status))


@exceptions_app.command()
def assign(
    order_id: OrderId,
    store_id: Annotated[str, typer.Argument(help="The store that is to have it.")],
    *,
    server: Server = None,
    token: Token = None,
    data: Data = None,
) -> None:
    """Give an order to a store that has all of it, whatever rules say."""
    with plain_errors(), _desk(server, token, data) as desk:
        typer.echo(status_line(desk.assign_exception(order_id, store_id)))


@exceptions_app.command()
def approve(
    order_id: OrderId, *, server: Server = None, token: Token = None, data: Data = None
) -> None:
    """Have an order that is held, or that a rule rejected, routed after all."""
    with plain_errors(), _desk(server, token, data) as desk:
        typer.echo(status_line(desk.approve_exception(order_id)))


@exceptions_app.command()
def cancel(
    order_id: OrderId, *, server: Server = None, token: Token = None, data: Data = None
) -> None:
    """Give up an order, and take it out of the queue."""
    with plain_errors(), _desk(server, token, data) as desk:
        desk.cancel_exception(order_id)
        typer.echo(f"{order_id} is cancelled")


# -- WHOSE QUEUE -------------------------------------------------------------------------------


@contextmanager
def _desk(
    server: str | None, token: str | None, data: Path | None
) -> "Iterator[ExceptionClient | ExceptionFace]":
    """A server's queue, or a folder's, which nobody else may have open meanwhile."""
    if (server is None) == (data is None):
        refuse(Fault.MISSING, "--server", hint="give either --server or --data")
    if server is not None:
        try:
            from fendan.client import Client
        except ImportError as missing:
            refuse(Fault.MISSING, "package", "grpc", hint=str(missing))

        with Client(server, token=token) as client:
            yield client
    else:
        assert data is not None
        segments_of(data)
        with Engine.open(data) as engine:
            yield engine


def _filter(
    kinds: list[str] | None,
    reasons: list[str] | None,
    channels: list[str] | None,
    stores: list[str] | None,
) -> ExceptionFilter:
    for name in kinds or ():
        if name not in KINDS:
            hint = f"must be one of {', '.join(KINDS)}{did_you_mean(name, KINDS)}"
            refuse(Fault.OUT_OF_RANGE, "--kind", name, hint=hint)
    return ExceptionFilter(
        kinds=tuple(KINDS[name] for name in kinds or ()),
        reasons=tuple(reasons or ()),
        channels=tuple(channels or ()),
        store_ids=tuple(stores or ()),
    )
