"""A log in a folder: what its owner and its readers see, and what it refuses."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from fendan.disk import Disk
from fendan.errors import (
    CorruptJournalError,
    DiskError,
    FendanError,
    FolderInUseError,
    InvalidInputError,
    NewerFormatError,
)
from fendan.filelog import FileLog
from fendan.log import Claim, Outcome
from framing import Written, a_row, read_back, written
from simulated_disk import SimulatedDisk

SEGMENT_BYTES = 4096


def a_log(folder: Path, disk: Disk | None = None) -> FileLog:
    return FileLog(
        folder, disk, segment_bytes=SEGMENT_BYTES, first_segment_bytes=SEGMENT_BYTES // 2
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "data"


@pytest.fixture
def log(folder: Path) -> Iterator[FileLog]:
    """A new log, claimed."""
    log = a_log(folder)
    assert log.claim("a test") == Claim(epoch=1, last_sequence=0)
    yield log
    log.close()


def append(log: FileLog, frames: list[Written], *, durable: bool = True) -> Outcome:
    data = [frame.frame() for frame in frames]
    return log.append(frames[0].epoch, frames[0].sequence, data, durable=durable)


def read(log: FileLog, start: int = 1, end: int | None = None) -> list[Written]:
    return list(read_back(log.read(start, end)))


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("log-*.seg"))


def fill(log: FileLog, count: int, *, each: int = 4) -> list[Written]:
    """So many frames, a few at a time."""
    frames = a_row(count)
    for first in range(0, count, each):
        assert append(log, frames[first : first + each]) is Outcome.OK
    return frames


# -- WRITING AND READING -------------------------------------------------------------------------


def test_what_is_appended_is_read_from_any_event_to_any_other(log: FileLog) -> None:
    frames = [written(1, count=3), written(4), written(5, count=10), written(15)]
    assert append(log, frames[:1]) is Outcome.OK
    assert append(log, frames[1:]) is Outcome.OK
    for start in range(1, 17):
        for end in range(start, 17):
            wanted = [frame for frame in frames if frame.last >= start and frame.sequence <= end]
            assert read(log, start, end) == wanted
    assert read(log) == frames
    assert read(log, 16) == []


def test_a_log_goes_on_over_many_segments_and_owners(folder: Path) -> None:
    frames: list[Written] = []
    for epoch in range(1, 6):
        log = a_log(folder)
        assert log.claim("a test") == Claim(epoch, len(frames))
        more = a_row(97, sequence=len(frames) + 1, epoch=epoch)
        for first in range(0, 97, 5):
            assert append(log, more[first : first + 5]) is Outcome.OK
        frames += more
        assert read(log) == frames
        log.close()
    assert len(segments(folder)) > 5
    assert read(a_log(folder), 400) == frames[399:]


def test_a_group_that_no_segment_has_room_for_gets_one_of_its_own(
    log: FileLog, folder: Path
) -> None:
    sizes = [10, 5 * SEGMENT_BYTES, 10, 3 * SEGMENT_BYTES]
    frames = [written(n, body=bytes([n]) * size) for n, size in enumerate(sizes, start=1)]
    for frame in frames:
        assert append(log, [frame]) is Outcome.OK
    assert read(log) == frames
    log.close()
    again = a_log(folder)
    assert again.claim("a test") == Claim(2, 4)
    assert read(again, 2) == frames[1:]
    again.close()


def test_the_very_first_frame_may_be_larger_than_the_first_segment(
    log: FileLog, folder: Path
) -> None:
    frame = written(1, body=bytes(5 * SEGMENT_BYTES))
    assert append(log, [frame]) is Outcome.OK
    assert read(log) == [frame]
    assert len(segments(folder)) == 1


def test_what_is_not_the_next_frame_is_refused_and_nothing_written(log: FileLog) -> None:
    frames = fill(log, 3)
    for wrong in ([written(5)], [written(3)], [written(4), written(6)], [written(4, epoch=2)]):
        with pytest.raises(ValueError):
            log.append(1, wrong[0].sequence, [frame.frame() for frame in wrong])
    assert read(log) == frames
    assert append(log, [written(4)]) is Outcome.OK


def test_what_was_not_synced_is_seen_at_once_and_flushed_later(log: FileLog, folder: Path) -> None:
    frames = a_row(5)
    assert append(log, frames, durable=False) is Outcome.OK
    assert read(a_log(folder)) == frames
    assert log.flush() is Outcome.OK
    assert log.flush() is Outcome.OK


def test_the_next_segment_is_ready_before_it_is_needed(folder: Path) -> None:
    made: list[threading.Thread] = []

    class Watched(Disk):
        def in_background(self, task):  # type: ignore[no-untyped-def]
            made.append(threading.Thread(target=task))
            made[-1].start()
            return made[-1].join

    log = a_log(folder, Watched())
    log.claim("a test")
    before = len(made)
    sequence = 0
    while len(made) == before:  # to the middle of the first segment
        sequence += 1
        append(log, [written(sequence)])
    made[-1].join()
    assert len(segments(folder)) == 1
    assert (folder / "segment.tmp").stat().st_size == SEGMENT_BYTES
    while len(segments(folder)) == 1:
        sequence += 1
        append(log, [written(sequence)])
    assert not (folder / "segment.tmp").exists()
    assert read(log) == a_row(sequence)
    log.close()


def test_a_reader_beside_the_owner_sees_only_whole_frames_in_order(
    log: FileLog, folder: Path
) -> None:
    count, done = 1000, threading.Event()

    def write() -> None:
        for frame in a_row(count):
            append(log, [frame], durable=False)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reader, seen, expected = a_log(folder), 0, a_row(count)
    while seen < count:
        was_done = done.is_set()
        found = read(reader, seen + 1)
        assert found == expected[seen : seen + len(found)]
        seen += len(found)
        assert seen == count or not was_done
    writer.join()
    assert len(segments(folder)) > 5


# -- OWNING --------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from fendan.filelog import FileLog
log = FileLog(Path(sys.argv[1]))
print(log.claim("the night shift").epoch, flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_has_the_folder(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin and holder.stdout
    assert holder.stdout.readline() == "1\n"
    log = FileLog(folder)
    with pytest.raises(FolderInUseError, match=rf"process {holder.pid} on .*the night shift"):
        log.claim("the day shift")
    assert read(log) == []
    holder.kill()
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    assert log.claim("the day shift") == Claim(2, 0)
    log.close()


def test_within_a_process_too_a_folder_has_one_owner(log: FileLog, folder: Path) -> None:
    for another in (log, a_log(folder)):
        with pytest.raises(FolderInUseError):
            another.claim("another")
    assert append(log, [written(1)]) is Outcome.OK


def test_every_owner_has_a_greater_epoch_even_if_it_never_wrote(folder: Path) -> None:
    epochs = []
    for _ in range(4):
        log = a_log(folder)
        epochs.append(log.claim("a test").epoch)
        log.close()
    (folder / "LOCK").unlink()  # then frames and snapshots say
    log = a_log(folder)
    log.claim("a test")
    assert epochs == [1, 2, 3, 4]
    assert append(log, [written(1)]) is Outcome.OK
    log.close()
    log = a_log(folder)
    assert log.claim("a test").epoch == 2
    log.close()


@pytest.mark.parametrize("way", ["removed", "overwritten"])
def test_an_owner_whose_lock_was_lost_can_write_no_more(
    log: FileLog, folder: Path, way: str
) -> None:
    frames = fill(log, 3)
    lock = folder / "LOCK"
    if way == "removed":
        lock.unlink()
    else:  # as on a network disk that forgot the lock
        copy = lock.read_bytes()
        lock.unlink()
        lock.write_bytes(copy)
        os.link(lock, folder / "other")
        (folder / "other").unlink()
    second = a_log(folder)
    claim = second.claim("another")
    assert claim == Claim(2, 3)
    assert append(log, [written(4)]) is Outcome.FENCED
    assert log.put_snapshot(1, 3, [b"state"]) is Outcome.FENCED
    assert append(log, [written(4)]) is Outcome.FENCED
    assert append(second, [written(4, epoch=2)]) is Outcome.OK
    assert read(second) == [*frames, written(4, epoch=2)]
    assert read(log) == frames
    second.close()


def test_a_fork_of_the_owner_writes_nothing_and_takes_nothing_with_it(
    log: FileLog, folder: Path
) -> None:
    frames = fill(log, 6)  # so much that a spare segment is there
    fork = os.fork()
    if not fork:
        outcome = append(log, [written(7)])
        log.close()
        os._exit(0 if outcome is Outcome.FENCED else 1)
    assert os.waitpid(fork, 0)[1] == 0
    with pytest.raises(FolderInUseError):
        a_log(folder).claim("another")
    more = a_row(9, sequence=7)
    assert all(append(log, [frame]) is Outcome.OK for frame in more)
    assert read(log) == [*frames, *more]


def test_a_fork_that_outlives_the_owner_does_not_keep_the_folder(
    log: FileLog, folder: Path
) -> None:
    fork = os.fork()
    if not fork:
        signal.pause()
    log.close()
    second = a_log(folder)
    assert second.claim("another") == Claim(2, 0)
    second.close()
    os.kill(fork, signal.SIGKILL)
    os.waitpid(fork, 0)


def test_without_a_claim_or_with_an_older_epoch_nothing_is_written(
    log: FileLog, folder: Path
) -> None:
    log.close()
    assert append(log, [written(1)]) is Outcome.FENCED
    log.claim("a test")
    assert append(log, [written(1)]) is Outcome.FENCED
    assert log.put_snapshot(1, 0, [b""]) is Outcome.FENCED
    assert append(log, [written(1, epoch=2)]) is Outcome.OK


# -- SNAPSHOTS -----------------------------------------------------------------------------------


def test_the_newest_snapshot_is_found_and_two_are_kept(log: FileLog, folder: Path) -> None:
    fill(log, 9)
    assert log.latest_snapshot() is None
    for sequence in (2, 5, 9):
        data = b"state after %d" % sequence
        assert log.put_snapshot(1, sequence, [data[:4], memoryview(data)[4:]]) is Outcome.OK
    found = a_log(folder).latest_snapshot()
    assert found is not None
    assert (found.sequence, found.epoch, bytes(found.data)) == (9, 1, b"state after 9")
    assert len(list(folder.glob("snapshot-*"))) == 2


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(log: FileLog, folder: Path) -> None:
    fill(log, 9)
    for sequence in (3, 6):
        log.put_snapshot(1, sequence, [b"state after %d" % sequence])
    _, newest = sorted(folder.glob("snapshot-*"))
    good = newest.read_bytes()
    for at in range(len(good)):
        newest.write_bytes(good[:at] + bytes([good[at] ^ 64]) + good[at + 1 :])
        if 8 <= at < 12:  # the version: one bit makes it a newer one
            with pytest.raises(NewerFormatError):
                log.latest_snapshot()
        else:
            found = log.latest_snapshot()
            assert found is not None
            assert bytes(found.data) == b"state after 3"
    for damaged in (b"", good[:30], good[:-1], good + b"x"):
        newest.write_bytes(damaged)
        found = log.latest_snapshot()
        assert found is not None
        assert found.sequence == 3


def test_a_snapshot_whose_making_fails_leaves_nothing_and_the_log_goes_on(
    log: FileLog, folder: Path
) -> None:
    fill(log, 4)

    def parts() -> Iterator[bytes]:
        yield b"half of "
        raise RuntimeError("the state could not be read")

    with pytest.raises(RuntimeError):
        log.put_snapshot(1, 4, parts())
    with pytest.raises(ValueError, match="the last event is 4"):
        log.put_snapshot(1, 5, [b"ahead"])
    assert log.latest_snapshot() is None
    assert not list(folder.glob("*.tmp"))
    assert append(log, [written(5)]) is Outcome.OK


def test_a_process_beside_the_owner_can_put_a_snapshot(log: FileLog, folder: Path) -> None:
    fill(log, 40)
    beside = a_log(folder)
    assert beside.put_snapshot(1, 40, [b"state after 40"]) is Outcome.OK
    assert beside.put_snapshot(2, 40, [b"by nobody"]) is Outcome.FENCED
    found = log.latest_snapshot()
    assert found is not None
    assert bytes(found.data) == b"state after 40"


def test_only_what_no_snapshot_needs_is_trimmed(log: FileLog, folder: Path) -> None:
    frames = fill(log, 400)
    everything = segments(folder)
    log.trim(400)
    assert segments(folder) == everything
    log.put_snapshot(1, 150, [b"older"])
    log.put_snapshot(1, 300, [b"newer"])
    log.trim(400)
    left = segments(folder)
    assert 0 < len(left) < len(everything)
    assert read(log, 151) == frames[150:]
    with pytest.raises(InvalidInputError, match="the oldest event kept is"):
        read(log, 1)
    log.close()
    again = a_log(folder)
    assert again.claim("a test") == Claim(2, 400)
    assert read(again, 151) == frames[150:]
    again.close()


# -- WHAT IS REFUSED -----------------------------------------------------------------------------


@pytest.fixture
def files(log: FileLog, folder: Path) -> dict[Path, bytes]:
    """The files of a log of 200 frames in several segments, with a snapshot; nobody owns it."""
    fill(log, 200)
    log.put_snapshot(1, 100, [b"state after 100"])
    log.close()
    return {path: path.read_bytes() for path in folder.iterdir()}


def refusal(folder: Path) -> FendanError:
    """Why the folder cannot be claimed; that it was left as it was."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FendanError) as refused:
        a_log(folder).claim("a test")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    return refused.value


def test_a_segment_that_is_missing_or_cut_off_or_foreign_is_named(
    files: dict[Path, bytes], folder: Path
) -> None:
    _, second, *_, last = segments(folder)
    for path, content in [
        (second, None),
        (second, files[second][:-1]),
        (last, files[last][:1000]),
        (last, files[last] + bytes(512)),
        (last, b"minutes of the last meeting\n" * 100),
        (last, files[second]),
        (second, bytes(SEGMENT_BYTES)),
        (second, b""),
    ]:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        error = refusal(folder)
        assert isinstance(error, CorruptJournalError)
        assert "log-" in str(error)
        path.write_bytes(files[path])


def test_the_first_segments_may_be_gone_only_where_a_snapshot_stands_for_them(
    files: dict[Path, bytes], folder: Path
) -> None:
    for path in segments(folder)[:-1]:
        path.unlink()
    assert "events before it are missing" in str(refusal(folder))


def test_a_snapshot_ahead_of_the_log_is_named(files: dict[Path, bytes], folder: Path) -> None:
    for path in segments(folder):
        path.unlink()
    error = refusal(folder)
    assert isinstance(error, CorruptJournalError)
    assert "snapshot-00000000000000000100.snap" in str(error)


def test_a_newer_format_is_said_to_be_one(files: dict[Path, bytes], folder: Path) -> None:
    for path in [segments(folder)[0], segments(folder)[-1], *folder.glob("snapshot-*")]:
        path.write_bytes(files[path][:8] + b"\2\0\0\0" + files[path][12:])
        error = refusal(folder)
        assert isinstance(error, NewerFormatError)
        assert path.name in str(error)
        path.write_bytes(files[path])


def test_a_segment_of_another_history_is_named_when_it_is_read(
    files: dict[Path, bytes], folder: Path, tmp_path: Path
) -> None:
    other = a_log(tmp_path / "other")
    other.claim("a test")
    frames = [written(n, body=b"anything at al %d" % n) for n in range(1, 201)]
    for first in range(0, 200, 4):
        append(other, frames[first : first + 4])
    other.close()
    swapped = next(
        path
        for path, following in pairwise(segments(folder))
        if (tmp_path / "other" / path.name).exists()
        and (tmp_path / "other" / following.name).exists()
    )
    swapped.write_bytes((tmp_path / "other" / swapped.name).read_bytes())
    with pytest.raises(CorruptJournalError, match="not the one that was there"):
        read(a_log(folder))


def test_a_reader_stops_at_what_may_be_unfinished_and_names_what_is_damaged(
    files: dict[Path, bytes], folder: Path
) -> None:
    last = segments(folder)[-1]
    data = files[last]
    end = len(data.rstrip(b"\0"))
    last.write_bytes(data[: end - 1] + b"?" + data[end:])
    assert read(a_log(folder)) == a_row(199)
    last.write_bytes(data[:110] + b"?" + data[111:])
    with pytest.raises(CorruptJournalError, match=rf"{last.name}: offset: damaged: 64;"):
        read(a_log(folder))


def test_a_file_called_lock_that_is_none_of_ours_stays(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "LOCK").write_text("4711\n")
    assert "no lock file of a journal" in str(refusal(folder))


def test_a_segment_that_was_never_begun_is_no_obstacle(
    files: dict[Path, bytes], folder: Path
) -> None:
    for content in (b"", bytes(64), bytes(SEGMENT_BYTES)):
        (folder / "log-00000000000000000201.seg").write_bytes(content)
        (folder / "segment.tmp").write_bytes(b"half")
        log = a_log(folder)
        assert log.claim("a test").last_sequence == 200
        assert not (folder / "segment.tmp").exists()
        assert read(log) == a_row(200)
        log.close()


def test_a_folder_that_cannot_be_written_is_said_to_be_so(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with pytest.raises(DiskError, match="Permission denied"):
        a_log(folder).claim("a test")
    folder.chmod(0o700)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["make_folder", "create", "write", "sync_folder"])
def test_a_disk_that_refuses_is_said_to_do_so_and_may_do_better_later(
    call: str, error: int
) -> None:
    disk = SimulatedDisk()
    disk.fail(call, 0, error)
    log = a_log(Path("/data"), disk)
    with pytest.raises(DiskError, match=r"'/data'; .*as it was told"):
        log.claim("a test")
    claim = log.claim("a test")
    assert claim.last_sequence == 0
    assert append(log, [written(1, epoch=claim.epoch)]) is Outcome.OK


# -- DISKS THAT FAIL -----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["write", "sync", "create", "rename", "sync_folder", "read"])
def test_after_a_failure_nothing_more_is_written_and_all_that_was_acknowledged_is_there(
    call: str, error: int
) -> None:
    for after in range(25):
        disk = SimulatedDisk(seed=after)
        log = a_log(Path("/data"), disk)
        log.claim("a test")
        disk.fail(call, after, error)
        acknowledged = 0
        while append(log, [written(acknowledged + 1)]) is Outcome.OK:
            acknowledged += 1
            if acknowledged == 200:
                break
        calls = dict(disk.calls)
        if acknowledged < 200:
            assert append(log, [written(acknowledged + 1)]) is Outcome.UNKNOWN
            assert log.flush() is Outcome.UNKNOWN
            assert log.put_snapshot(1, acknowledged, [b""]) is Outcome.UNKNOWN
        assert disk.calls == calls
        disk.crash()
        again = a_log(Path("/data"), disk)
        assert again.claim("a test").last_sequence in (acknowledged, acknowledged + 1)
        assert read(again)[:acknowledged] == a_row(acknowledged)


def test_a_disk_that_cannot_be_read_is_said_to_be_so() -> None:
    disk = SimulatedDisk()
    log = a_log(Path("/data"), disk)
    log.claim("a test")
    frames = fill(log, 10)
    disk.fail("read", 0)
    with pytest.raises(DiskError):
        read(log)
    assert read(log) == frames


def test_a_log_whose_only_segment_was_emptied_is_no_new_one(log: FileLog, folder: Path) -> None:
    assert append(log, a_row(3)) is Outcome.OK
    log.close()
    (only,) = folder.glob("log-*.seg")
    only.write_bytes(b"")
    with pytest.raises(CorruptJournalError, match="it is empty, and there is no other"):
        a_log(folder).claim("a test")
