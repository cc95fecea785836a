"""`fendan journal`, `ledger`, `check`, `snapshot`: what a folder keeps, looked at and handed on.

All of it but `trim` works beside a server that writes the folder.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Table

from fendan import checking, ledger_files, snapshotting
from fendan.errors import Fault, refuse
from fendan.filelog import FileLog
from fendan.journal_look import (
    JournalLook,
    first_since,
    last_frame,
    look,
    names_of,
    segments_of,
    settle,
)
from fendan.ledger import LAST_SEQUENCE, Names, checked_sequence
from fendan.ledger_files import (
    EventFile,
    Stretch,
    iso_time,
    open_events,
    write_ledger,
    write_raw,
)
from fendan.log import Log
from fendan.report import show
from fendan.terminal import new_file, plain_errors, progress_bars, say, step
from fendan.times import EPOCH

__all__ = ["check", "journal_app", "ledger_app", "snapshot"]

journal_app = typer.Typer(no_args_is_help=True, help="Look at the journal in a folder.")
ledger_app = typer.Typer(no_args_is_help=True, help="Hand the ledger to others.")

MOST_DIGITS = 40  # Python itself refuses thousands of them


Writer: TypeAlias = Callable[[Log, Names, Stretch, EventFile, Callable[[int], None]], int]

Folder = Annotated[Path, typer.Argument(help="Where an engine keeps its journal.")]


class Format(Enum):
    """How events are written."""

    jsonl = "jsonl"
    parquet = "parquet"


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Else what the file's name ends in.")
]
From = Annotated[
    str | None,
    typer.Option("--from", help="The first event's number, or a time like 2026-01-31T00:00+08:00."),
]
To = Annotated[
    str | None,
    typer.Option("--to", help="The last event's number, or the time before which to stop."),
]
Out = Annotated[Path, typer.Option("--out", help="Where the events go.")]


# -- EXPORT ------------------------------------------------------------------------------------


@ledger_app.command("export")
def export_ledger(
    folder: Folder, *, out: Out, format: FormatOption = None, first: From = None, last: To = None
) -> None:
    """Write decisions and movements in order: an event a line, or a row for each movement."""
    with plain_errors():
        _export(folder, out, format, (first, last), ledger_files.LEDGER, write_ledger)


@journal_app.command("export")
def export_journal(
    folder: Folder, *, out: Out, format: FormatOption = None, first: From = None, last: To = None
) -> None:
    """Write all events as they are kept, those that serve recovery alone included."""
    with plain_errors():
        _export(folder, out, format, (first, last), ledger_files.RAW, write_raw)


def _export(
    folder: Path,
    out: Path,
    format: Format | None,
    bounds: tuple[str | None, str | None],
    columns: Mapping[str, str],
    write: Writer,
) -> None:
    """Write the events of a folder that are durable by now."""
    format = _format_of(out) if format is None else format
    from_sequence, from_ns = _bound("--from", bounds[0])
    to_sequence, before_ns = _bound("--to", bounds[1])
    if from_sequence is not None and to_sequence is not None and from_sequence > to_sequence:
        refuse(Fault.OUT_OF_RANGE, "--to", to_sequence, hint=f"before --from {from_sequence:,}")
    oldest = segments_of(folder)[0].first_sequence
    if folder.resolve() in out.resolve().parents:
        refuse(Fault.DISK, "--out", out, hint="it is in the journal's own folder")
    log = FileLog(folder)
    with progress_bars() as progress, new_file(out) as part:
        with step(progress, "Reading names"):
            names, last_sequence = names_of(log, oldest)
        settle(folder)
        stretch = Stretch(
            from_sequence=oldest if from_sequence is None else from_sequence,
            to_sequence=min(last_sequence, to_sequence or last_sequence),
            from_ns=from_ns or 0,
            before_ns=before_ns or LAST_SEQUENCE,
        )
        total = max(0, stretch.to_sequence - stretch.from_sequence + 1)
        task = progress.add_task(f"Writing {out.name}", total=total)
        with open_events(part, format.value, columns) as file:
            count = write(log, names, stretch, file, lambda some: progress.advance(task, some))
    say(f"{count:,} events in {out}")


def _format_of(out: Path) -> Format:
    """What a name ends in."""
    ending = out.suffix.lower().removeprefix(".")
    if ending not in ledger_files.FORMATS:
        hint = "give --format, or let the name end in .jsonl or .parquet"
        refuse(Fault.BAD_FILE, "--out", str(out), hint=hint)
    return Format(ending)


def _bound(option: str, text: str | None) -> tuple[int | None, int | None]:
    """The number of an event, or else a time in nanoseconds since 1970."""
    if text is None:
        return None, None
    if text.isdecimal() and len(text) <= MOST_DIGITS:
        return checked_sequence(int(text), option), None
    hint = "must be the number of an event, from 1, or a time like 2026-01-31T00:00+08:00"
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        refuse(Fault.OUT_OF_RANGE, option, text, hint=hint)
    if time.tzinfo is None:
        hint = "must say of which zone it is, as in 2026-01-31T00:00+08:00 or 2026-01-31T00:00Z"
        refuse(Fault.OUT_OF_RANGE, option, text, hint=hint)
    seconds = (time - EPOCH) // timedelta(microseconds=1)
    return None, seconds * 1_000


# -- LOOKING -----------------------------------------------------------------------------------


@journal_app.command("inspect")
def inspect(folder: Folder) -> None:
    """Show what is in a folder: files, owners, times, and how many events of each kind."""
    with plain_errors():
        found = _look(folder)
        for table in (_segments(found), _snapshots(found), _epochs(found), _kinds(found)):
            if table.row_count:
                show(table)
        show(_summary(folder, found))
        _end(found)


@journal_app.command("verify")
def verify(folder: Folder) -> None:
    """Read every byte of a folder; says what is wrong, and where, with exit status 2."""
    with plain_errors():
        found = _look(folder)
        _end(found)
        events, frames = sum(found.kinds.values()), sum(one.frames for one in found.segments)
        good = f"{events:,} events in {frames:,} frames, {len(found.snapshots)} snapshots"
        typer.echo(f"{folder}: good; {good}")


def _look(folder: Path) -> JournalLook:
    with progress_bars() as progress:
        total = sum(segment.size_bytes for segment in segments_of(folder))
        task = progress.add_task(f"Reading {folder}", total=total)
        return look(folder, lambda size: progress.advance(task, size))


def _end(found: JournalLook) -> None:
    """Say what is wrong, if anything is."""
    for name in found.damaged_snapshots:
        say(f"{name} is damaged; recovery passes it over", style="red")
    if found.problem is not None:
        raise found.problem
    if found.damaged_snapshots:
        raise typer.Exit(2)


# -- LOOKING AFTER -----------------------------------------------------------------------------


def check(folder: Folder) -> None:
    """Hold every promise against every event and count; exit status 2 where one is broken."""
    with plain_errors():
        segments_of(folder)
        with progress_bars() as progress, step(progress, f"Checking {folder}"):
            report = checking.check(folder)
        table = _table(str(folder), "promise", "looked at", "")
        for line in report.lines:
            table.add_row(
                line.name, f"{line.looked_at:,}", "kept" if line.problem is None else "broken"
            )
        show(table)
        for line in report.lines:
            if line.problem is not None:
                say(f"{line.name}: {line.problem}", style="red")
        if not report.is_good:
            raise typer.Exit(2)


def snapshot(folder: Folder) -> None:
    """Write down the state after the last event, so that opening the folder takes less time."""
    with plain_errors():
        last = last_frame(FileLog(folder), segments_of(folder)[0].first_sequence)
        if last is None:
            refuse(Fault.BAD_FILE, "folder", folder, hint="nothing has happened in it yet")
        settle(folder)  # no snapshot may be ahead of the log
        with progress_bars() as progress, step(progress, f"Recovering {folder}"):
            moment = snapshotting.take(folder, last.sequence + last.count - 1, last.epoch)
        typer.echo(f"{folder}: a snapshot of the state after event {moment.sequence:,}")


@journal_app.command("trim")
def trim(
    folder: Folder,
    *,
    before: Annotated[
        str, typer.Option("--before", help="The first event to keep: its number, or a time.")
    ],
) -> None:
    """Let go of old events, whole files of them, as far as the older of two snapshots allows.

    Export what settlement has not read yet: it is gone for good. No server may have the folder.
    """
    with plain_errors():
        sequence, time_ns = _bound("--before", before)
        kept = segments_of(folder)
        log = FileLog(folder)
        if sequence is None:
            sequence = first_since(log, kept[0].first_sequence, time_ns or 0)
        log.claim("fendan journal trim")
        try:
            log.trim(sequence)
        finally:
            log.close()
        left = segments_of(folder)
        freed = len(kept) - len([one for one in kept if one in left])
        oldest = left[0].first_sequence
        typer.echo(f"{folder}: {freed} files fewer; the oldest event kept is {oldest:,}")


# -- TABLES ------------------------------------------------------------------------------------


def _table(title: str, *columns: str) -> Table:
    """A table whose first column is text, and the others numbers."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=not place)
    return table


def _segments(found: JournalLook) -> Table:
    table = _table("segments", "file, by its first event", "events", "frames", "bytes", "of")
    for one in found.segments:
        numbers = (one.events, one.frames, one.bytes)
        cells = (f"{number:,}" for number in (*numbers, one.segment.size_bytes))
        table.add_row(one.segment.path.name, *cells)
    return table


def _snapshots(found: JournalLook) -> Table:
    table = _table("snapshots", "file, by its last event", "epoch", "bytes")
    for one in found.snapshots:
        numbers = (one.epoch, one.size_bytes)
        table.add_row(one.path.name, *(f"{number:,}" for number in numbers))
    return table


def _epochs(found: JournalLook) -> Table:
    table = _table("epochs: one for each time that the folder was opened", "epoch", "events")
    for column in ("first event", "from", "to"):
        table.add_column(column, justify="right")
    for one in found.epochs:
        times = (iso_time(one.first.time_ns), iso_time(one.last.time_ns))
        table.add_row(str(one.epoch), f"{one.events:,}", f"{one.first.sequence:,}", *times)
    return table


def _kinds(found: JournalLook) -> Table:
    table = _table("events", "kind", "events")
    for kind, count in found.kinds.items():
        table.add_row(f"{kind.name} (inside)" if kind.is_internal else kind.name, f"{count:,}")
    return table


def _summary(folder: Path, found: JournalLook) -> Table:
    table = Table(title=str(folder), title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("events", f"{sum(found.kinds.values()):,}")
    table.add_row("bytes", f"{found.bytes:,}")
    if found.first is not None and found.last is not None:
        last = found.last.sequence + found.last.count - 1
        table.add_row("event numbers", f"{found.first.sequence:,} to {last:,}")
        table.add_row("from", iso_time(found.first.time_ns))
        table.add_row("to", iso_time(found.last.time_ns))
    table.add_row("orders routed", f"{found.decisions:,}")
    if found.routed:
        each = found.routing_bytes / found.routed
        table.add_row("bytes for an order, as it was routed", f"{each:,.1f}")
    if found.decisions:
        each = found.bytes / found.decisions
        table.add_row("bytes for an order, with all there is", f"{each:,.1f}")
    return table
