"""Snapshots of an engine that goes on: when asked, by themselves, and amid the work."""

import time
from pathlib import Path

import pytest

from fendan import DiskError, Engine, Order, Store
from fendan.checking import check

PLACE = {"lat": 31.0, "lng": 121.0}
DEADLINE_S = 60.0


def with_stock(engine: Engine) -> None:
    engine.add_stores([Store(id="A", **PLACE)])
    engine.set_stock([("A", "tea", 1_000_000)])


def route(engine: Engine, first: int, count: int) -> None:
    engine.route_batch(
        [Order(id=f"O{n}", **PLACE, lines=[("tea", 1)]) for n in range(first, first + count)]
    )


def snapshot_sequence(engine: Engine) -> int:
    stats = engine.journal_stats()
    assert stats is not None
    assert stats.snapshot_failure == ""
    return stats.snapshot_sequence


def test_a_snapshot_is_taken_when_asked_and_recovery_begins_with_it(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        with_stock(engine)
        route(engine, 0, 100)
        last = engine.snapshot()
        assert last == snapshot_sequence(engine) == engine.durable_mark()
        route(engine, 100, 10)
    with Engine.open(tmp_path) as engine:
        assert engine.recovery is not None
        assert engine.recovery.snapshot_sequence == last
        assert engine.recovery.events == 10
        assert engine.order_count == 110
    assert check(tmp_path).is_good


def test_so_many_bytes_of_journal_bring_a_snapshot_over_restarts_too(tmp_path: Path) -> None:
    # Each life writes too little for a snapshot, and all together enough.
    for life in range(3):
        with Engine.open(tmp_path, snapshot_bytes=20_000) as engine:
            if life == 0:
                with_stock(engine)
            route(engine, 300 * life, 300)
            deadline_s = time.monotonic() + DEADLINE_S
            while life == 2 and not snapshot_sequence(engine) and time.monotonic() < deadline_s:
                time.sleep(0.02)
            assert (snapshot_sequence(engine) > 0) == (life == 2)
    assert check(tmp_path).is_good


def test_the_two_newest_snapshots_are_kept(tmp_path: Path) -> None:
    with Engine.open(tmp_path) as engine:
        with_stock(engine)
        taken = []
        for turn in range(3):
            route(engine, turn, 1)
            taken.append(engine.snapshot())
    names = sorted(path.name for path in tmp_path.glob("snapshot-*"))
    assert names == [f"snapshot-{sequence:020}.snap" for sequence in taken[1:]]


def test_a_snapshot_that_cannot_be_taken_says_why_and_the_engine_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(tmp_path) as engine:
        with_stock(engine)
        monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))
        with pytest.raises(DiskError, match="a snapshot could not be taken"):
            engine.snapshot()
        monkeypatch.undo()
        route(engine, 0, 1)
        engine.snapshot()
