"""Documents: what is not stock is kept as texts, as safely as stock is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import CorruptJournalError, Engine, FendanError, InvalidInputError
from fendan.checking import check_log
from fendan.documents import MOST_BYTES
from fendan.engine.events import EventKind, Events
from fendan.engine.frames import HEADER_BYTES, finish
from fendan.filelog import FileLog
from fendan.recovery import Recovery
from fendan.state import state_hash
from simulated_disk import SimulatedDisk

FOLDER = Path("/simulated")

# A page, the outline of a district, one that is gone.
SOME = {"1": "a page\n", "浦西": '{"type": "Polygon"}' * 9_000, "old": ""}


class Watching(Engine):
    """An engine that derives something from documents: here, how often it had to, and from what."""

    def __init__(self, **settings: Any) -> None:
        self.told: list[tuple[set[str], int]] = []
        super().__init__(**settings)

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        self.told.append((kinds, len(self._documents)))


def on(disk: SimulatedDisk) -> Watching:
    log = FileLog(FOLDER, disk, segment_bytes=1 << 14, first_segment_bytes=1 << 14)
    return Watching.open(FOLDER, log=log)


def recovery_of(engine: Engine) -> Recovery:
    assert engine.recovery is not None
    return engine.recovery


def write(engine: Engine, kind: str, texts: dict[str, str]) -> None:
    with engine._command():
        engine._write_documents(kind, texts)


def written(engine: Engine) -> dict[tuple[str, str], str]:
    """What the engine keeps after a few pages were written, one of them over and one away."""
    write(engine, "note", {"old": "x", "1": "y"})
    write(engine, "note", SOME)
    write(engine, "area", {"1": "z"})
    return {("note", "1"): SOME["1"], ("note", "浦西"): SOME["浦西"], ("area", "1"): "z"}


def events_of(engine: Engine) -> int:
    stats = engine.journal_stats()
    assert stats is not None
    return stats.last_sequence


# -- KEPT --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["closed", "killed", "power cut", "snapshot", "snapshot + tail"])
def test_documents_are_there_again_whatever_happened(ending: str) -> None:
    disk = SimulatedDisk()
    engine = on(disk)
    if ending == "snapshot + tail":
        write(engine, "note", {"old": "of the snapshot", "浦西": "too"})
        assert engine.snapshot() > 0
    expected = written(engine)
    if ending == "snapshot":
        assert engine.snapshot() > 0
    before = state_hash(engine)
    if ending == "power cut":
        disk.crash()
    elif ending == "closed":
        engine.close()
    else:
        disk.restart()
    again = on(disk)
    assert again._documents == expected
    assert state_hash(again) == before
    assert (recovery_of(again).snapshot_sequence > 0) == ending.startswith("snapshot")
    again.close()
    assert check_log(FileLog(FOLDER, disk)).is_good


def test_the_order_in_which_they_were_written_makes_no_difference_to_the_state() -> None:
    one, other = Engine(), Engine()
    for name in ("1", "2", "3"):
        write(one, "note", {name: name})
    write(other, "note", {"3": "3", "2": "-", "1": "1"})
    assert state_hash(one) != state_hash(other)
    write(other, "note", {"2": "2"})
    assert state_hash(one) == state_hash(other)
    write(one, "note", {"2": ""})
    assert state_hash(one) != state_hash(other)


def test_documents_are_no_business_of_the_ledgers_readers() -> None:
    engine = on(SimulatedDisk())
    written(engine)
    assert engine.events().events == ()


def test_each_changed_document_is_one_event_and_an_equal_one_none() -> None:
    engine = on(SimulatedDisk())
    first = events_of(engine)
    write(engine, "note", {"1": "a", "2": "b", "gone": ""})
    assert events_of(engine) == first + 2
    write(engine, "note", {"1": "a", "2": "c"})
    assert events_of(engine) == first + 3
    write(engine, "note", {"1": "a", "2": "c"})
    assert events_of(engine) == first + 3


def test_who_derives_from_documents_is_told_after_each_change_and_once_after_recovery() -> None:
    disk = SimulatedDisk()
    engine = on(disk)
    assert engine.told == [(set(), 0)]
    written(engine)
    assert engine.told[1:] == [({"note"}, 2), ({"note"}, 2), ({"area"}, 3)]
    write(engine, "note", {"1": SOME["1"]})
    assert len(engine.told) == 4
    engine.snapshot()
    write(engine, "area", {"1": ""})
    disk.restart()
    assert on(disk).told == [({"note"}, 2)]


# -- REFUSED -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ({"1": "x" * (MOST_BYTES + 1)}, "note['1']"),
        ({"1": "茶" * (MOST_BYTES // 3 + 1)}, "note['1']"),
        ({"a": "fine", "1": b"text"}, "note['1']"),
        ({"1": "half \ud83d"}, "note['1']"),
        ({"": "x"}, "note"),
        ({"x" * 300: "x"}, "note"),
    ],
)
def test_what_is_no_document_is_refused_by_name_and_nothing_changes(
    texts: dict[str, Any], field: str
) -> None:
    engine = on(SimulatedDisk())
    before, events = state_hash(engine), events_of(engine)
    with pytest.raises(InvalidInputError) as error:
        write(engine, "note", texts)
    assert error.value.field == field
    assert len(str(error.value)) < 400
    assert (state_hash(engine), events_of(engine)) == (before, events)


def test_a_document_of_the_greatest_size_is_kept() -> None:
    disk = SimulatedDisk()
    write(on(disk), "area", {"1": "x" * MOST_BYTES})
    disk.restart()
    assert len(on(disk)._documents["area", "1"]) == MOST_BYTES


# -- DAMAGE ------------------------------------------------------------------------------------


def a_document() -> bytes:
    events = Events()
    events.texts(EventKind.DOCUMENT, [b"note", "浦西".encode(), b"text"])
    return bytes(events.padded()[: events.size])


def forge(body: bytes) -> SimulatedDisk:
    """A disk on whose log somebody wrote a whole frame with one event that is these bytes."""
    disk = SimulatedDisk()
    on(disk).close()
    log = FileLog(FOLDER, disk)
    epoch, last = log.claim("a test")
    frame = bytearray(-(-(HEADER_BYTES + len(body)) // 8) * 8)
    frame[HEADER_BYTES : HEADER_BYTES + len(body)] = body
    place = {"sequence": last + 1, "time_ns": 2**62, "count": 1, "unsynced": 0, "epoch": epoch}
    finish(frame, len(body), **place)
    log.append(epoch, last + 1, [frame])
    log.close()
    return disk


def test_a_document_event_is_read_as_it_was_written() -> None:
    assert on(forge(a_document()))._documents == {("note", "浦西"): "text"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: body[:1],
        lambda body: body.replace(b"note", b"not\xff"),
        lambda body: body[:-4] + b"te\xff\xff",
        lambda body: body[:-5] + b"\x7ftext",
    ],
)
def test_a_document_event_that_is_damaged_is_refused_as_corruption(
    damage: Callable[[bytes], bytes],
) -> None:
    with pytest.raises(CorruptJournalError, match="no such event"):
        on(forge(damage(a_document())))


@given(st.integers(0, len(a_document()) - 1), st.integers(0, 255))
def test_no_byte_of_an_event_can_do_worse_than_be_refused(at: int, byte: int) -> None:
    body = bytearray(a_document())
    body[at] = byte
    try:
        on(forge(bytes(body)))
    except FendanError as error:
        assert error.code in ("CORRUPT", "BREACH")
