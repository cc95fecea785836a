"""`fendan journal` and `fendan ledger`: a folder looked at, verified, and handed to others."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from fendan import Engine, EventKind, LedgerEvent, Movement, Store
from fendan.cli import app
from fendan.filelog import FileLog
from fendan.journal_look import look, names_of, segments_of
from fendan.ledger import Names
from fendan.ledger_files import iso_time
from keeping import NOON_NS, SECOND_NS, a_kept_chain, all_events, an_order

MOVEMENT = [field.name for field in dataclasses.fields(Movement)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    """A chain that goes on while its folder is looked at."""
    with a_kept_chain(folder) as engine:
        engine.route_batch(
            an_order(f"O{number}", quantity=3, lng=121.4 + number / 200) for number in range(9)
        )
        engine.set_stock([("S1", "tea", 20), ("S1", "milk", 5)], versions={"S1": 7}, key="K")
        engine.pause_stores(["S2"])
        yield engine


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 2, result.output
    return result.output


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def a_damaged_chain(folder: Path) -> None:
    """A bit has turned in the middle of what was synced."""
    with a_kept_chain(folder) as engine:
        for number in range(50):
            engine.route(an_order(f"O{number}", quantity=11))
    path = folder / "log-00000000000000000001.seg"
    data = bytearray(path.read_bytes())
    data[1_000] ^= 4
    path.write_bytes(data)


def as_line(event: LedgerEvent) -> dict[str, Any]:
    """An event as it stands in a file."""
    return {
        "sequence": event.sequence,
        "time": iso_time(event.time_ns),
        "kind": event.kind.name,
        "order_id": event.order_id,
        "store_id": event.store_id,
        "region": event.region or None,
        "reason": event.reason or None,
        "attempts": event.attempts,
        "distance_m": event.distance_m,
        "shipment": event.shipment or None,
        "policy_version": event.policy_version or None,
        "step": event.step.name if event.step else None,
        "promised": None if event.promised_ns is None else iso_time(event.promised_ns),
        "merge_group": event.merge_group or None,
        "order_type": event.order_type.name if event.order_type else None,
        "channel": event.channel or None,
        "movements": [
            {field: getattr(move, field) for field in MOVEMENT} for move in event.movements
        ],
    }


# -- EXPORT ------------------------------------------------------------------------------------


def test_exported_lines_are_the_events_read(engine: Engine, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ledger.jsonl"
    said = done("ledger", "export", folder, "--out", out)
    events = all_events(engine)
    assert lines_of(out) == [as_line(event) for event in events]
    assert f"{len(events)} events" in said


def test_a_parquet_file_has_a_row_for_each_movement(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "ledger.parquet"
    done("ledger", "export", folder, "--out", out)
    expected = []
    for event in all_events(engine):
        line = as_line(event)
        del line["time"]
        movements = line.pop("movements") or [dict.fromkeys(MOVEMENT)]
        for number, movement in enumerate(movements, 1):
            is_there = movement["sku"] is not None
            expected.append(line | movement | {"line": number if is_there else None})
    table = parquet.read_table(out)
    rows = [{name: row[name] for name in expected[0]} for row in table.to_pylist()]
    assert rows == expected
    times = table.column("time").cast("int64").to_pylist()
    assert times == sorted(times)
    assert set(times) == {event.time_ns for event in all_events(engine)}


def test_the_format_may_be_said_instead_of_named(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    done("ledger", "export", folder, "--out", tmp_path / "out.dat", "--format", "jsonl")
    done("ledger", "export", folder, "--out", tmp_path / "out.jsonl")
    assert (tmp_path / "out.dat").read_bytes() == (tmp_path / "out.jsonl").read_bytes()
    assert "--format" in refused("ledger", "export", folder, "--out", tmp_path / "ledger.dat")


def test_a_stretch_by_numbers_takes_both_ends(engine: Engine, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ledger.jsonl"
    done("ledger", "export", folder, "--out", out, "--from", 4, "--to", 12)
    wanted = [event.sequence for event in all_events(engine) if 4 <= event.sequence <= 12]
    assert [line["sequence"] for line in lines_of(out)] == wanted


def test_stretches_by_time_join_without_a_gap_or_an_overlap(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    events = all_events(engine)
    noon = next(event.time_ns for event in events if event.order_id)  # Shanghai's
    middle = iso_time(noon).replace("T04", "T12").replace("Z", "+08:00")
    seen = []
    for bounds in (("--to", middle), ("--from", middle)):
        done("ledger", "export", folder, "--out", tmp_path / "part.jsonl", *bounds)
        seen.append([line["sequence"] for line in lines_of(tmp_path / "part.jsonl")])
    assert seen[0] + seen[1] == [event.sequence for event in events]
    assert seen[0][-1] + 1 <= seen[1][0]
    assert seen[1][0] == next(event.sequence for event in events if event.order_id)


def test_a_stretch_without_events_is_an_empty_file(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    for out in (tmp_path / "none.jsonl", tmp_path / "none.parquet"):
        done("ledger", "export", folder, "--out", out, "--from", "2030-01-01T00:00Z")
        done("ledger", "export", folder, "--out", out, "--from", 1_000_000)
    assert (tmp_path / "none.jsonl").read_bytes() == b""
    assert parquet.read_table(tmp_path / "none.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        (("--from", "0"), "from 1"),
        (("--from", "9" * 5000), "number of an event"),
        (("--from", "yesterday"), "2026-01-31T00:00+08:00"),
        (("--to", "-5"), "2026-01-31T00:00+08:00"),
        (("--to", "2026-01-31"), "of which zone"),
    ],
)
def test_bounds_that_cannot_be_are_refused(
    engine: Engine, folder: Path, tmp_path: Path, bounds: tuple[str, str], says: str
) -> None:
    words = (f"{bounds[0]}={bounds[1]}",)
    said = refused("ledger", "export", folder, "--out", tmp_path / "out.jsonl", *words)
    assert bounds[0] in said
    assert says in said
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_stretch_that_ends_before_it_begins_is_refused(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    words = ("--from", "5", "--to", "4")
    said = refused("ledger", "export", folder, "--out", tmp_path / "out.jsonl", *words)
    assert "--to" in said
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("command", ["ledger", "journal"])
def test_an_export_never_takes_the_place_of_the_journal(
    engine: Engine, folder: Path, command: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for name in [*(path.name for path in before), "ledger.jsonl"]:
        said = refused(command, "export", folder, "--format", "jsonl", "--out", folder / name)
        assert "the journal's own folder" in said
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_that_cannot_be_written_is_named(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    for out in (tmp_path / "nowhere" / "out.jsonl", tmp_path):
        said = refused("ledger", "export", folder, "--format", "jsonl", "--out", out)
        assert said.startswith("--out: cannot be used")
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_what_fails_leaves_the_file_that_was_there(folder: Path, tmp_path: Path) -> None:
    a_damaged_chain(folder)
    out = tmp_path / "ledger.jsonl"
    out.write_text("of yesterday")
    refused("ledger", "export", folder, "--out", out)
    assert out.read_text() == "of yesterday"
    assert {path.name for path in tmp_path.iterdir()} == {"journal", "ledger.jsonl"}


def test_raw_events_are_all_there(engine: Engine, folder: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "raw.jsonl", tmp_path / "raw.parquet"):
        done("journal", "export", folder, "--out", out)
    lines = lines_of(tmp_path / "raw.jsonl")
    last = engine.events().last_sequence
    assert [line["sequence"] for line in lines] == list(range(1, last + 1))
    named = next(line for line in lines if line["kind"] == "SKUS_NAMED")
    assert named["texts"] == ["tea", "milk"]
    assert {line["epoch"] for line in lines} == {1}
    table = parquet.read_table(tmp_path / "raw.parquet")
    assert sorted(set(table.column("sequence").to_pylist())) == list(range(1, last + 1))


# -- LOOKING -----------------------------------------------------------------------------------


def test_names_come_from_the_log_alone(engine: Engine, folder: Path) -> None:
    engine.remove_stores(["S3"])
    engine.add_stores([Store(id="S3", lat=31.2, lng=121.5, region="new")])
    engine.update_stores([Store(id="S1", lat=31.2, lng=121.4, region="jing'an")])
    names, last = names_of(FileLog(folder), 1)
    assert names == Names(
        ["S1", "S2", "S3", "S3"], ["jing'an", "puxi", "pudong", "new"], ["tea", "milk"]
    )
    assert last == engine.events().last_sequence


def test_inspection_counts_what_is_there(engine: Engine, folder: Path) -> None:
    found, events = look(folder), all_events(engine)
    assert found.problem is None
    shown = {kind: count for kind, count in found.kinds.items() if not kind.is_internal}
    assert shown == Counter(event.kind for event in events)
    assert sum(found.kinds.values()) == engine.events().last_sequence
    assert found.decisions == found.routed == 9
    assert 0 < found.routing_bytes < found.bytes < 4_096
    assert found.first is not None
    assert found.first.time_ns > NOON_NS
    assert found.first.time_ns % SECOND_NS == 0


def test_inspection_shows_files_owners_kinds_and_what_an_order_takes(
    engine: Engine, folder: Path
) -> None:
    said = done("journal", "inspect", folder)
    for part in ("log-00000000000000000001.seg", "ASSIGNED", "SKUS_NAMED (inside)", "epoch"):
        assert part in said
    assert "bytes for an order" in said


def test_a_good_journal_is_said_to_be_good(engine: Engine, folder: Path) -> None:
    assert "good" in done("journal", "verify", folder)


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_damage_is_told_with_its_place(folder: Path, command: str) -> None:
    a_damaged_chain(folder)
    said = refused("journal", command, folder)
    assert "log-00000000000000000001.seg" in said
    assert "offset" in said


@pytest.mark.parametrize("command", ["inspect", "verify"])
@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_what_is_no_journal_is_refused(tmp_path: Path, command: str, kind: str) -> None:
    folder = tmp_path / "folder"
    if kind == "empty":
        folder.mkdir()
    if kind == "a file":
        folder.touch()
    assert "journal" in refused("journal", command, folder) or kind != "empty"
    refused("journal", command, folder)
    refused("ledger", "export", folder, "--out", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_looking_changes_nothing(engine: Engine, folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done("journal", "inspect", folder)
    done("journal", "verify", folder)
    done("ledger", "export", folder, "--out", tmp_path / "out.jsonl")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    engine.route(an_order("after all that", sku="milk"))
    assert all_events(engine)[-1].kind is EventKind.ASSIGNED


# -- LOOKING AFTER -----------------------------------------------------------------------------


def test_a_check_says_what_was_looked_at(engine: Engine, folder: Path) -> None:
    said = done("check", folder)
    assert "kept" in said
    assert "broken" not in said


def test_a_broken_promise_is_told_and_ends_with_status_2(folder: Path) -> None:
    a_damaged_chain(folder)
    said = refused("check", folder)
    assert "broken" in said
    assert "log-00000000000000000001.seg" in said


def test_a_snapshot_may_be_taken_beside_the_engine(engine: Engine, folder: Path) -> None:
    last = engine.events().last_sequence
    assert f"event {last}" in done("snapshot", folder)
    assert [snapshot.sequence for snapshot in look(folder).snapshots] == [last]
    done("check", folder)


def test_a_damaged_snapshot_is_told_of(folder: Path) -> None:
    with a_kept_chain(folder):
        done("snapshot", folder)
    (path,) = folder.glob("snapshot-*")
    path.write_bytes(path.read_bytes()[:-1])
    assert path.name in refused("journal", "verify", folder)


def fill(engine: Engine) -> None:
    """Several files of events, two snapshots, and an order."""
    for batch in range(50):
        engine.set_stock(("S1", f"sku-{batch}-{n}", 1) for n in range(2_000))
    engine.snapshot()
    engine.snapshot()
    engine.route(an_order("O1"))


def test_names_from_before_the_oldest_segment_come_from_the_snapshot(
    folder: Path, tmp_path: Path
) -> None:
    with a_kept_chain(folder) as engine:
        fill(engine)
        journal = engine._journal
        assert journal is not None
        journal.log.trim(journal.sequence)
        oldest = segments_of(folder)[0].first_sequence
        assert oldest > 1
        done("ledger", "export", folder, "--out", tmp_path / "out.jsonl")
        events = all_events(engine, first=oldest)
        assert lines_of(tmp_path / "out.jsonl") == [as_line(event) for event in events]
        assert events[-1].order_id == "O1"
        said = refused("ledger", "export", folder, "--out", tmp_path / "a.jsonl", "--from", 1)
        assert "not kept" in said or "oldest" in said


def a_long_chain(folder: Path) -> None:
    """A chain that was filled, which nobody has open."""
    with a_kept_chain(folder) as engine:
        fill(engine)


@pytest.mark.parametrize("before", ["1000000", "2999-01-01T00:00Z"])
def test_what_two_snapshots_make_needless_can_be_let_go(folder: Path, before: str) -> None:
    a_long_chain(folder)
    assert len(segments_of(folder)) > 1
    said = done("journal", "trim", folder, "--before", before)
    oldest = segments_of(folder)[0].first_sequence
    assert oldest > 1
    assert f"{oldest:,}" in said
    done("check", folder)
    with Engine.open(folder) as engine:
        assert engine.order("O1").store_id is not None


@pytest.mark.parametrize("before", ["1", "1970-01-01T00:00Z"])
def test_what_is_to_be_kept_is_not_let_go(folder: Path, before: str) -> None:
    a_long_chain(folder)
    files = [path.name for path in segments_of_paths(folder)]
    assert "0 files fewer" in done("journal", "trim", folder, "--before", before)
    assert [path.name for path in segments_of_paths(folder)] == files


def segments_of_paths(folder: Path) -> list[Path]:
    return [segment.path for segment in segments_of(folder)]


def test_a_folder_in_use_is_not_trimmed(engine: Engine, folder: Path) -> None:
    engine.route(an_order("late"))
    before = [path.name for path in segments_of_paths(folder)]
    refused("journal", "trim", folder, "--before", 1_000)
    assert [path.name for path in segments_of_paths(folder)] == before


@pytest.mark.parametrize("before", ["0", "soon", "2026-01-01"])
def test_a_bound_that_cannot_be_lets_nothing_go(folder: Path, before: str) -> None:
    a_long_chain(folder)
    assert "--before" in refused("journal", "trim", folder, "--before", before)
    assert segments_of(folder)[0].first_sequence == 1
