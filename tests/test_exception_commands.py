"""`fendan exceptions`, of a server that runs and of a folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clock import StoppedClock
from fendan import Engine
from fendan.cli import app
from fendan.server.config import Config
from fendan.server.metrics import Metrics
from fendan.server.process import load
from serving import serving
from test_exception_service import a_desk, order

COLUMNS = {"COLUMNS": "160"}


def said(*words: object, status: int = 0) -> str:
    outcome = CliRunner().invoke(app, ["exceptions", *map(str, words)], env=COLUMNS)
    assert outcome.exit_code == status, outcome.output
    return outcome.output


def test_the_queue_of_a_server_is_listed_shown_and_seen_to() -> None:
    with serving(a_desk()) as served:
        where = ("--server", served.address)
        listed = said("list", *where)
        assert "5 of 5 exceptions" in listed
        assert "PRICE_ZERO" in said("list", "--kind", "held", *where)
        shown = said("show", "H", *where)
        assert "STALE" in shown and "1 x tea" in shown
        assert "{壶" in said("show", "P", *where)
        assert "does not have all" in said("assign", "C", "S1", *where, status=2)
        served.engine.set_stock([("S2", "tea", 9)])  # enough for all, who may be sooner
        assert "H is ASSIGNED at S2" in said("approve", "H", *where)
        assert "P is cancelled" in said("cancel", "P", *where)


def test_the_queue_of_a_folder_is_seen_to_and_stays_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Engine.open(folder, clock=StoppedClock()) as engine:
        engine.add_stores(status.store for status in a_desk().stores())
        engine.set_stock([("S1", "tea", 0)])
        engine.keep_exceptions()
        engine.route_batch([order("A"), order("B"), order("C")])
        engine.set_stock([("S1", "tea", 2)])
    assert "A is ASSIGNED at S1" in said("retry", "A", "--data", folder)
    assert "B is ASSIGNED at S1" in said("assign", "B", "S1", "--data", folder)
    listed = said("list", "--data", folder)
    assert "1 of 1 exceptions" in listed and "NO_STOCK" in listed


def test_the_queue_is_exported_to_a_file(tmp_path: Path) -> None:
    with serving(a_desk()) as served:
        where = ("--server", served.address)
        said("export", tmp_path / "queue.csv", "--reason", "NO_STOCK", *where)
        said("export", tmp_path / "queue.jsonl", *where)
    head, *rows = (tmp_path / "queue.csv").read_text("utf-8").splitlines()
    assert head.startswith("order_id,kind,reason")
    assert [row.split(",")[0] for row in rows] == ["A", "B", "C"]
    lines = (tmp_path / "queue.jsonl").read_text("utf-8").splitlines()
    entries = {entry["id"]: entry for entry in map(json.loads, lines)}
    assert entries["P"]["raw"] == "{壶"
    assert entries["A"]["order"]["lines"] == [["tea", 1, 990]]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("list",), "either --server or --data"),
        (("list", "--server", "127.0.0.1:1", "--data", "here"), "either --server or --data"),
        (("list", "--kind", "helt", "--server", "127.0.0.1:1"), "did you mean held?"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(words: tuple[str, ...], hint: str) -> None:
    assert hint in said(*words, status=2)


def test_prometheus_is_told_of_kinds_reasons_and_ages() -> None:
    metrics, clock = Metrics(), StoppedClock()
    metrics.of_engine(a_desk(clock))
    clock.pass_s(60)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"fendan_{name}", labels)

    assert value("exceptions", kind="waiting") == 3
    assert value("exceptions_by_reason", reason="PRICE_ZERO") == 1
    assert value("oldest_exception_seconds", kind="waiting") == 60.0


def test_a_server_keeps_the_queue_of_its_folder_if_it_is_to(tmp_path: Path) -> None:
    settings = {"exceptions.keep": True, "exceptions.most_attempts": 7}
    with load(Config.load(None, settings), tmp_path / "data") as engine:
        assert engine.keeps_exceptions
        assert engine.retry_policy.most_attempts == 7
    with load(Config.load(None, {}), tmp_path / "other") as engine:
        assert not engine.keeps_exceptions
