"""Folders that are opened: what is said of bad ones, and what is found again in good ones."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clock import StoppedClock
from fendan import (
    BreachError,
    CorruptJournalError,
    Datum,
    DiskError,
    Engine,
    FolderInUseError,
    InvalidInputError,
    JournalError,
    NewerFormatError,
    NoJournalError,
    OrderState,
    Status,
    Store,
)
from fendan.checking import check, check_log
from fendan.disk import Disk
from fendan.engine.frames import HEADER_BYTES, finish
from fendan.filelog import FileLog
from fendan.state import state_hash
from keeping import a_kept_chain, all_events, an_order, kept
from simulated_disk import SimulatedDisk

FOLDER = Path("/simulated")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "journal"


def on(disk: Disk, clock: StoppedClock | None = None, **settings: Any) -> Engine:
    """An engine whose journal is on this disk."""
    log = FileLog(FOLDER, disk, segment_bytes=1 << 14, first_segment_bytes=1 << 14)
    return Engine.open(FOLDER, log=log, clock=clock, **settings)


def a_chain_on(disk: Disk, **settings: Any) -> Engine:
    """Three stores with tea and milk, as in `keeping`, on this disk."""
    engine = on(disk, **settings)
    with_stores(engine)
    return engine


def with_stores(engine: Engine) -> None:
    engine.add_stores(Store(id=f"S{n}", lat=31.2, lng=121.39 + n / 100) for n in (1, 2, 3))
    engine.set_stock((f"S{n}", sku, 10) for n in (1, 2, 3) for sku in ("tea", "milk"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.iterdir() if path.name != "LOCK"}


def segment_of(folder: Path) -> Path:
    (segment,) = folder.glob("log-*.seg")
    return segment


# -- ONE OWNER ---------------------------------------------------------------------------------


def test_the_second_engine_is_told_who_has_the_folder(folder: Path) -> None:
    with kept(folder) as engine:
        engine.add_stores([])
        with pytest.raises(FolderInUseError, match=rf"held by process {os.getpid()} on ") as error:
            Engine.open(folder)
        assert str(folder) in str(error.value)
    kept(folder).close()


def test_a_folder_is_free_when_opening_it_failed(folder: Path) -> None:
    kept(folder).close()
    with pytest.raises(InvalidInputError, match="datum"):
        Engine.open(folder, datum=Datum.GCJ02)
    kept(folder).close()


# -- SETTINGS ----------------------------------------------------------------------------------


def test_a_folder_keeps_its_datum_and_refuses_another(folder: Path) -> None:
    Engine.open(folder, datum=Datum.GCJ02).close()
    with Engine.open(folder) as engine:
        assert engine.datum is Datum.GCJ02
    with Engine.open(folder, datum=Datum.GCJ02) as engine:
        assert engine.datum is Datum.GCJ02
    with pytest.raises(InvalidInputError, match="the folder's is GCJ-02") as error:
        Engine.open(folder, datum=Datum.WGS84)
    assert (error.value.field, error.value.value) == ("datum", Datum.WGS84)


def test_how_many_orders_are_remembered_may_change_and_is_kept(folder: Path) -> None:
    """Forgetting is decided by what was asked for then, also when it is replayed."""
    for remembered in (0, 5000, None, 0):
        with Engine.open(folder, remembered_orders=remembered) as engine:
            if not engine.store_count:
                with_stores(engine)
            first = engine.durable_mark()
            for number in range(600):
                engine.route(an_order(f"{first}-{number}"))
                engine.release(f"{first}-{number}")
            counts, state = engine.order_count, state_hash(engine)
        with Engine.open(folder) as engine:
            assert (engine.order_count, state_hash(engine)) == (counts, state)
            if remembered == 0:
                engine.snapshot()
    report = check(folder)
    assert report.is_good, report


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("durability", "perhaps"),
        ("durability", None),
        ("snapshot_bytes", -1),
        ("snapshot_bytes", 1.5),
        ("remembered_orders", -1),
        ("datum", "wgs84"),
    ],
)
def test_settings_that_cannot_be_leave_no_folder_behind(
    folder: Path, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInputError) as error:
        Engine.open(folder, **{field: value})
    assert error.value.field == field
    assert not folder.exists()


# -- BAD FOLDERS -------------------------------------------------------------------------------


@pytest.fixture
def used(folder: Path) -> Path:
    """A folder with a journal of a few hundred commands; nobody has it open."""
    with a_kept_chain(folder) as engine:
        for number in range(200):
            engine.route(an_order(f"O{number}", lng=121.4 + number % 3 / 100))
    return folder


def refusal(folder: Path, kind: type[Exception]) -> str:
    """What the folder is refused with; nothing in it changes, and it stays refused."""
    before = contents(folder)
    said = set()
    for _ in range(2):
        with pytest.raises(kind) as error:
            kept(folder)
        said.add(str(error.value))
    assert contents(folder) == before
    (sentence,) = said
    return sentence


def test_a_bit_that_flipped_in_the_middle_is_refused_with_its_place(used: Path) -> None:
    segment = segment_of(used)
    data = bytearray(segment.read_bytes())
    end = len(bytes(data).rstrip(b"\0"))
    for at in (70, end // 3, end // 2):
        data[at] ^= 4
        segment.write_bytes(data)
        sentence = refusal(used, CorruptJournalError)
        assert segment.name in sentence
        where = int(sentence.partition("damaged: ")[2].partition(";")[0])
        assert where <= at < where + 400
        data[at] ^= 4
    segment.write_bytes(data)
    kept(used).close()


def test_a_segment_that_was_cut_off_is_refused(used: Path) -> None:
    segment = segment_of(used)
    data = segment.read_bytes()
    for size in (10, 1000, len(data) - 1):
        segment.write_bytes(data[:size])
        assert segment.name in refusal(used, CorruptJournalError)


def test_what_stands_in_place_of_a_segment_is_refused(used: Path) -> None:
    segment = segment_of(used)
    size = segment.stat().st_size
    segment.write_bytes((b"minutes of the last meeting\n" * size)[:size])
    assert "no segment of a journal" in refusal(used, CorruptJournalError)


def test_a_stranger_s_file_beside_the_journal_is_left_alone(used: Path) -> None:
    (used / "notes.txt").write_text("call the plumber")
    kept(used).close()
    assert (used / "notes.txt").read_text() == "call the plumber"


def test_a_path_that_is_no_folder_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "journal"):
        with pytest.raises(DiskError, match=r"Not a directory|File exists"):
            Engine.open(path)


def test_a_newer_format_is_refused_as_such(used: Path) -> None:
    segment = segment_of(used)
    data = segment.read_bytes()
    segment.write_bytes(data[:8] + b"\2\0\0\0" + data[12:])
    assert segment.name in refusal(used, NewerFormatError)


def test_what_no_engine_could_have_written_is_refused_as_a_breach(used: Path) -> None:
    """Whole frames, by somebody else: an order routed again, of what is reserved already."""
    log = FileLog(used)
    epoch, last = log.claim("a test")
    (frame,) = log.read(last, last)
    body = bytes(frame.body)
    forged = bytearray(-(-(HEADER_BYTES + len(body)) // 8) * 8)
    forged[HEADER_BYTES : HEADER_BYTES + len(body)] = body
    finish(
        forged,
        len(body),
        sequence=last + 1,
        time_ns=frame.time_ns,
        count=1,
        unsynced=0,
        epoch=epoch,
    )
    log.append(epoch, last + 1, [forged])
    log.close()
    with pytest.raises(BreachError):
        kept(used)
    assert not check(used).is_good


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EMFILE])
@pytest.mark.parametrize("call", ["create", "write", "open"])
def test_a_disk_that_refuses_is_named_and_the_folder_opens_later(call: str, error: int) -> None:
    disk = SimulatedDisk()
    a_chain_on(disk).close()
    disk.fail(call, 0, error)
    with pytest.raises(DiskError, match="/simulated"):
        on(disk)
    with on(disk) as engine:
        assert engine.store_count == 3


def test_a_folder_that_may_only_be_read_is_said_to_be_so(used: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    used.chmod(0o500)
    (used / "LOCK").chmod(0o400)
    with pytest.raises(DiskError, match="Permission denied"):
        kept(used)
    used.chmod(0o700)


# -- BAD DAYS ----------------------------------------------------------------------------------


def test_times_never_go_back_even_when_the_clock_does() -> None:
    """Not even between two lives."""
    disk, clock = SimulatedDisk(), StoppedClock()
    engine = a_chain_on(disk, clock=clock)
    for number in range(4):
        engine.route(an_order(f"O{number}"))
        clock.pass_s(-3600)
        if number == 1:
            engine.close()
            engine = on(disk, clock=clock)
    clock.pass_s(5 * 3600)
    engine.route(an_order("last"))
    times = [event.time_ns for event in all_events(engine)]
    assert times == sorted(times)
    assert times[-1] == clock.ns > times[-2]


def tried(engine: Engine) -> list[Callable[[], object]]:
    """Everything that an engine may be asked to do, or to tell of orders."""
    return [
        lambda: engine.route(an_order("another")),
        lambda: engine.route(an_order("another"), dry_run=True),
        lambda: engine.route_batch([an_order("O0")]),
        lambda: engine.order("O0"),
        lambda: engine.decision("O0"),
        lambda: engine.is_held("O0"),
        lambda: engine.accept_order("O0"),
        lambda: engine.reject_order("O0", "S1"),
        lambda: engine.cancel_order("O0"),
        lambda: engine.release("O0"),
        lambda: engine.release_batch(["O0"]),
        engine.expire_orders,
        lambda: engine.set_stock([("S1", "tea", 1)]),
        lambda: engine.adjust_stock([("S1", "tea", 1)]),
        lambda: engine.pause_stores(["S1"]),
        lambda: engine.remove_stores(["S1"]),
        engine.snapshot,
    ]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["write", "sync"])
def test_on_a_disk_that_failed_nothing_is_promised_and_nothing_promised_is_lost(
    call: str, error: int
) -> None:
    disk = SimulatedDisk(seed=error)
    engine = a_chain_on(disk)
    told = [engine.route(an_order(f"O{number}")) for number in range(5)]
    disk.fail(call, 0, error)
    with pytest.raises(JournalError, match="as it was told; open the engine again"):
        engine.route(an_order("lost"))
    for ask in tried(engine):
        with pytest.raises(JournalError, match="as it was told; open the engine again"):
            ask()
    stats = engine.journal_stats()
    assert stats is not None
    assert "as it was told" in stats.failure
    shown = {event.order_id for event in all_events(engine) if event.order_id}
    assert shown == {f"O{number}" for number in range(5)}
    disk.crash()
    with on(disk) as again:
        assert [again.decision(f"O{number}") for number in range(5)] == told
        assert again.route(an_order("lost")).status is Status.ASSIGNED
    assert check_log(FileLog(FOLDER, disk)).is_good


def test_a_command_that_failed_half_way_was_never_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is ahead of the journal then, and only the journal counts."""

    def fail(_: object) -> None:
        raise MemoryError

    with a_kept_chain(folder) as engine:
        monkeypatch.setattr(engine._updates, "applied", fail)
        with pytest.raises(MemoryError):
            engine.set_stock([("S1", "tea", 3)], versions={"S1": 1})
        for ask in tried(engine):
            with pytest.raises(JournalError, match="a command was left half done: MemoryError"):
                ask()
    with kept(folder) as again:
        assert (again.available("S1", "tea"), again.stock_version("S1")) == (10, 0)
        assert again.route(an_order("O0")).status is Status.ASSIGNED
    assert check(folder).is_good


def test_an_engine_that_is_closed_says_so_and_closes_once(folder: Path) -> None:
    with a_kept_chain(folder) as engine:
        engine.route(an_order("O0"))
        engine.close()
        engine.close()
        for ask in tried(engine):
            with pytest.raises(JournalError, match="the engine is closed"):
                ask()
    engine.close()
    with kept(folder) as again:
        assert again.order("O0").state is OrderState.ASSIGNED


def test_leaving_the_block_closes_even_when_something_went_wrong(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), a_kept_chain(folder) as engine:
        engine.route(an_order("O0"))
        raise ZeroDivisionError
    with kept(folder) as again:
        assert again.order("O0").state is OrderState.ASSIGNED


# -- KILLED ------------------------------------------------------------------------------------

# It says what it was told, and dies amid its work, without a word to the disk.
VICTIM = """
import os, signal, sys
from pathlib import Path
from fendan import Engine
from keeping import an_order
from test_open import with_stores

engine = Engine.open(Path(sys.argv[1]), durability=sys.argv[2])
with_stores(engine)
for number in range(25):
    decision = engine.route(an_order(f"O{number}"))
    print(decision.order_id, decision.store_id, flush=True)
    if number % 3 == 0:
        print("released", engine.release(decision.order_id), flush=True)
os.kill(os.getpid(), signal.SIGKILL) if sys.argv[3] == "SIGKILL" else os._exit(1)
"""


@pytest.mark.parametrize("durability", ["sync", "async", "none"])
@pytest.mark.parametrize("end", ["SIGKILL", "_exit"])
def test_a_process_that_is_killed_takes_nothing_with_it(
    folder: Path, durability: str, end: str
) -> None:
    tests = Path(__file__).parent
    known = os.environ.get("PYTHONPATH", "")
    run = subprocess.run(
        [sys.executable, "-c", VICTIM, str(folder), durability, end],
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{known}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == (-signal.SIGKILL if end == "SIGKILL" else 1), run.stderr
    with Engine.open(folder) as engine:
        told = [line.split() for line in run.stdout.splitlines()]
        routed = [(name, store) for name, store in told if name != "released"]
        assert len(routed) == 25
        assert [(name, engine.decision(name).store_id or "None") for name, _ in routed] == routed
        for number in range(25):
            cancelled = engine.order(f"O{number}").state is OrderState.CANCELLED
            assert cancelled == (number % 3 == 0)
    assert check(folder).is_good


# -- WHAT A JOURNAL DOES, AND MEMORY DOES NOT ----------------------------------------------------


def test_an_engine_in_memory_has_nothing_to_show_or_to_close() -> None:
    with Engine() as engine:
        with_stores(engine)
        for ask in (engine.snapshot, engine.events, lambda: engine.wait_for_event(0, 0.0)):
            with pytest.raises(NoJournalError):
                ask()
        assert engine.journal_stats() is None
        assert engine.recovery is None
    assert engine.route(an_order("O0")).store_id == "S1", "there was nothing to close"


def test_orders_without_ids_are_refused_where_they_are_kept(folder: Path) -> None:
    """Nobody could ever give back what was kept for them. A dry run keeps nothing."""
    with a_kept_chain(folder) as engine:
        arrays: dict[str, Any] = {
            "lat": [31.2],
            "lng": [121.4],
            "offsets": np.array([0, 1]),
            "skus": engine.sku_codes(["tea"]),
            "quantities": np.array([1], dtype=np.int32),
        }
        with pytest.raises(InvalidInputError) as error:
            engine.route_arrays(**arrays)
        assert (error.value.code, error.value.field) == ("MISSING", "ids")
        before = engine.durable_mark()
        assert engine.route_arrays(**arrays, dry_run=True).store_codes.tolist() == [0]
        assert engine.durable_mark() == before
        assert engine.route_arrays(**arrays, ids=["O0"]).store_codes.tolist() == [0]
        assert engine.durable_mark() == before + 1
