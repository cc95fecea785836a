"""`fendan report`: what an engine has to tell of its days: a server's, or a folder's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from fendan.core import Core
from fendan.documents import texts_of
from fendan.engine.geo import Datum
from fendan.engine.orders import REMEMBERED
from fendan.errors import Fault, refuse
from fendan.exception_face import HOUR
from fendan.exception_figures import DayFigures, Figures, check_utc_offset
from fendan.exception_report import ExceptionReport, day_table, reason_table, report_of
from fendan.filelog import FileLog
from fendan.journal_look import segments_of
from fendan.recovery import recover
from fendan.report import show
from fendan.terminal import new_file, plain_errors, progress_bars, step

__all__ = ["report_app"]

report_app = typer.Typer(no_args_is_help=True, help="What became of orders, day by day.")

MOST_DAYS = 92  # as long as counts are kept


@report_app.callback()
def _report() -> None:
    """Keep `exceptions` a command of its own, however many there are."""


@report_app.command()
def exceptions(
    *,
    server: Annotated[
        str | None, typer.Option(help="Where a server is, such as 127.0.0.1:50051.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="FENDAN_TOKEN", help="What the server asks for.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Else, where an engine keeps its journal.")
    ] = None,
    day: Annotated[
        str, typer.Option(help="The last day, 2026-12-01; else the newest, of a server today.")
    ] = "",
    days: Annotated[int, typer.Option(help="How many days, up to 92.")] = 1,
    utc_offset: Annotated[int, typer.Option(help="Hours east of UTC, where days begin.")] = 8,
    picture: Annotated[Path | None, typer.Option(help="Also draw it: a .png file.")] = None,
) -> None:
    """How many orders nobody had to touch, and what stopped the others. Beside a server, too."""
    with plain_errors():
        if not 1 <= days <= MOST_DAYS:
            refuse(Fault.OUT_OF_RANGE, "--days", days, hint=f"must be from 1 to {MOST_DAYS}")
        check_utc_offset(utc_offset)
        with _told(server, token, data, utc_offset) as (of_day, newest):
            report = report_of([of_day(one) for one in _days(day, newest, days)])
        show(day_table(report, str(server or data)))
        if report.stuck:
            show(reason_table(report))
        if picture is not None:
            _draw(picture, report)


def _days(text: str, newest: date, count: int) -> list[date]:
    """So many days, the last of which a text says."""
    try:
        last = date.fromisoformat(text) if text else newest
        return [last - timedelta(days=back) for back in reversed(range(count))]
    except (ValueError, OverflowError):  # the latter before the first day of all
        refuse(Fault.OUT_OF_RANGE, "--day", text, hint="must be a day such as 2026-12-01")


@contextmanager
def _told(
    server: str | None, token: str | None, data: Path | None, utc_offset_h: int
) -> Iterator[tuple[Callable[[date], DayFigures], date]]:
    """The figures of each day, as a server or a folder tells them, and the newest day."""
    if (server is None) == (data is None):
        refuse(Fault.MISSING, "--server", hint="give either --server or --data")
    if data is not None:
        figures, newest = _figures(data, utc_offset_h)
        yield lambda one: figures.of_day(one, utc_offset_h), newest
        return
    try:
        from fendan.client import Client
    except ImportError as missing:
        refuse(Fault.MISSING, "package", "grpc", hint=str(missing))

    assert server is not None
    today = (datetime.now(UTC) + timedelta(hours=utc_offset_h)).date()
    with Client(server, token=token) as client:
        yield lambda one: client.exception_figures(str(one), utc_offset_h=utc_offset_h), today


def _figures(data: Path, utc_offset_h: int) -> tuple[Figures, date]:
    """The counts that a folder keeps, and the day of the newest."""
    segments_of(data)
    core = Core(Datum.WGS84, REMEMBERED)
    with progress_bars() as progress, step(progress, f"Reading {data}"):
        recover(core, FileLog(data))
    texts = texts_of(core._documents, HOUR)
    if not texts:
        hint = "its engine keeps no exception queue, or has had no order since: keep_exceptions"
        refuse(Fault.MISSING, "--data", hint=hint)
    newest = datetime.fromisoformat(max(texts) + ":00").replace(tzinfo=UTC)
    return Figures(texts), (newest + timedelta(hours=utc_offset_h)).date()


def _draw(path: Path, report: ExceptionReport) -> None:
    try:
        from fendan.exception_picture import draw_exceptions
    except ModuleNotFoundError as error:
        hint = "the picture needs it: pip install 'fendan[demo]'"
        refuse(Fault.MISSING, "package", error.name, hint=hint)
    with new_file(path, (".png",)) as part:
        draw_exceptions(part, report)
