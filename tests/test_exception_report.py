"""What became of each day's orders: counted, printed, drawn."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from clock import StoppedClock
from fendan import Engine, Order, Store
from fendan.cli import app
from fendan.exception_entry import ExceptionEntry, ExceptionKind
from fendan.exception_figures import DayFigures, ExceptionCount
from fendan.exception_report import first_of, report_of
from serving import serving

HERE = {"lat": 31.24, "lng": 121.49}
DAY = DayFigures(
    day="2026-12-01",
    taken=100,
    at_once=80,
    by_retry=10,
    by_hand=4,
    cancelled=1,
    exceptions=(
        ExceptionCount(reason="NO_STOCK", store_id="", channel="jd", count=12),
        ExceptionCount(reason="DAMAGED", store_id="bund", channel="jd", count=5),
        ExceptionCount(reason="DUPLICATE", store_id="", channel="", count=3),
    ),
)


def test_days_are_added_up() -> None:
    report = report_of([DAY, replace(DAY, day="2026-12-02", taken=0, at_once=0, by_retry=0)])
    assert report.whole.day == "2026-12-01 to 2026-12-02"
    assert (report.whole.taken, report.whole.by_hand) == (100, 8)
    assert report.whole.automatic_rate == 0.9
    assert report.by_reason == [("NO_STOCK", 24), ("DAMAGED", 10), ("DUPLICATE", 6)]
    assert report.by_store == [("bund", 10)]
    assert report.by_channel == [("jd", 34), ("(not said)", 6)]
    assert report.stuck == 40


def test_what_is_rare_stands_together() -> None:
    counts = [("a", 5), ("b", 4), ("c", 2), ("d", 1)]
    assert first_of(counts, 4) == counts
    assert first_of(counts, 3) == [("a", 5), ("b", 4), ("others", 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine's: on two days nine orders of ten find a store, and of the last some are held."""
    path = tmp_path_factory.mktemp("engine")
    clock = StoppedClock()
    with Engine.open(path, clock=clock) as engine:
        engine.keep_exceptions()
        engine.add_stores([Store(id="bund", **HERE)])
        engine.set_stock([("bund", "tea", 18), ("bund", "gone", 0)])
        for day in range(2):
            engine.route_batch(
                Order(id=f"{day}-{n}", lines=[("tea" if n else "gone", 1)], channel="京东", **HERE)
                for n in range(10)
            )
            clock.pass_s(24 * 3600)
        clock.pass_s(-24 * 3600)
        held = ExceptionEntry(id="h-1", kind=ExceptionKind.HELD, reason="DUPLICATE")
        channels = ("[/app]", r"$\no$")
        engine.add_exceptions(
            [replace(held, id=f"h-{n}", channel=name) for n, name in enumerate(channels)]
        )
    return path


def test_the_newest_day_is_printed(folder: Path) -> None:
    told = CliRunner().invoke(app, ["report", "exceptions", "--data", str(folder)])
    assert told.exit_code == 0, told.output
    assert "75.0%" in told.output, "nine of twelve"
    for reason in ("NO_STOCK", "DUPLICATE", "京东", "[/app]", r"$\no$"):
        assert reason in told.output


def test_a_server_tells_its_days_itself(folder: Path) -> None:
    with Engine.open(folder, clock=StoppedClock()) as engine, serving(engine) as served:
        told = CliRunner().invoke(
            app, ["report", "exceptions", "--server", served.address, "--day", "2025-06-16"]
        )
    assert told.exit_code == 0, told.output
    assert "75.0%" in told.output, "nine of twelve"


def test_several_days_are_printed_and_drawn(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "week.png"
    options = ["--days", "7", "--picture", str(picture)]
    told = CliRunner().invoke(app, ["report", "exceptions", "--data", str(folder), *options])
    assert told.exit_code == 0, told.output
    assert "81.8%" in told.output, "18 of 22"
    assert imread(picture).shape[:2] == (1000, 1600)


def test_a_day_that_is_none_and_a_folder_without_a_queue_are_refused(
    folder: Path, tmp_path: Path
) -> None:
    def refused(*options: str) -> str:
        told = CliRunner().invoke(app, ["report", "exceptions", *options])
        assert told.exit_code == 2
        return told.stderr

    assert "--server" in refused()
    assert "--server" in refused("--server", "nowhere:1", "--data", str(folder))
    assert "--day" in refused("--data", str(folder), "--day", "yesterday")
    assert "--days" in refused("--data", str(folder), "--days", "93")
    assert "day" in refused("--data", str(folder), "--day", "0001-01-01")
    assert "--day" in refused("--data", str(folder), "--day", "0001-01-02", "--days", "3")
    assert "day" in refused("--data", str(folder), "--day", "9999-12-31", "--utc-offset", "-1")
    assert "utc_offset_h" in refused("--data", str(folder), "--utc-offset", "99999999999")
    Engine.open(tmp_path).close()
    assert "keep_exceptions" in refused("--data", str(tmp_path))
