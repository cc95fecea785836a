"""Damaged files: whatever is done to them, what is read back is an exact prefix, or nothing is."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from fendan.errors import CorruptJournalError, InvalidInputError, NewerFormatError
from fendan.filelog import FileLog
from fendan.log import Outcome
from framing import Written, read_back
from simulated_disk import SECTOR_BYTES, SimulatedDisk

FOLDER = Path("/data")
SEGMENT_BYTES = 4096
FRAMES, GROUP = 60, 3
MUTATIONS, MUTATIONS_A_TEST = 20_000, 1_000
STATES = {20: b"state after 20 " * 40, 40: b"state after 40 " * 40}

Files = dict[Path, bytearray]


class Laid(NamedTuple):
    """A frame, what it says was synced before it, and where it lies."""

    written: Written
    synced: int
    path: Path
    start: int
    end: int


class Log(NamedTuple):
    files: dict[Path, bytes]
    frames: list[Laid]


@cache
def a_log(*, is_trimmed: bool) -> Log:
    """A log that was closed in order: several segments, two snapshots."""
    chance, disk = random.Random(1), SimulatedDisk()
    log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES, first_segment_bytes=SEGMENT_BYTES // 2)
    log.claim("a test")
    frames = [
        Written(n, 1, n, 1, chance.randbytes(chance.choice([8, 60, 130, 700])))
        for n in range(1, FRAMES + 1)
    ]
    laid: list[Laid] = []
    for first in range(0, FRAMES, GROUP):
        group = [frame.frame(first) for frame in frames[first : first + GROUP]]
        assert log.append(1, first + 1, group) is Outcome.OK
        path = max(path for path in disk.contents() if path.suffix == ".seg")
        at = disk.contents()[path].index(group[0])
        for frame, data in zip(frames[first : first + GROUP], group, strict=True):
            laid.append(Laid(frame, first, path, at, at + len(data)))
            at += len(data)
    for sequence, state in STATES.items():
        assert log.put_snapshot(1, sequence, [state]) is Outcome.OK
    if is_trimmed:
        log.trim(FRAMES)
    log.close()
    files = disk.contents()
    return Log(files, [frame for frame in laid if frame.path in files])


# -- WHAT IS DONE TO THEM ------------------------------------------------------------------------


def flip(chance: random.Random, files: Files, path: Path) -> None:
    for _ in range(chance.choice([1, 1, 2, 8])):
        files[path][chance.randrange(len(files[path]))] ^= 1 << chance.randrange(8)


def cut(chance: random.Random, files: Files, path: Path) -> None:
    del files[path][chance.randrange(len(files[path])) :]


def sector(chance: random.Random, data: bytearray) -> slice:
    start = chance.randrange(0, len(data), SECTOR_BYTES)
    return slice(start, min(start + SECTOR_BYTES, len(data)))


def zero(chance: random.Random, files: Files, path: Path) -> None:
    place = sector(chance, files[path])
    files[path][place] = bytes(place.stop - place.start)


def swap(chance: random.Random, files: Files, path: Path) -> None:
    other = chance.choice(sorted(files))
    here, there = sector(chance, files[path]), sector(chance, files[other])
    if here.stop - here.start == there.stop - there.start:
        files[path][here], files[other][there] = files[other][there], files[path][here]


def double(chance: random.Random, files: Files, path: Path) -> None:
    other = chance.choice(sorted(files))
    here, there = sector(chance, files[path]), sector(chance, files[other])
    if here.stop - here.start == there.stop - there.start:
        files[other][there] = files[path][here]


WAYS: list[Callable[[random.Random, Files, Path], None]] = [flip, flip, cut, zero, swap, double]


def damaged(log: Log, chance: random.Random) -> dict[Path, bytes]:
    files = {path: bytearray(data) for path, data in log.files.items()}
    chosen = [path for path in sorted(files) if path.suffix in (".seg", ".snap")]
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        path = chance.choice(chosen)
        if files[path]:
            chance.choice(WAYS)(chance, files, path)
    return {path: bytes(data) for path, data in files.items()}


# -- WHAT IS FOUND -------------------------------------------------------------------------------


def recover(files: dict[Path, bytes]) -> tuple[int, list[Written]] | None:
    """The state's sequence, and the frames after it; None where it was refused."""
    log = FileLog(FOLDER, SimulatedDisk.of(files), segment_bytes=SEGMENT_BYTES)
    try:
        claim = log.claim("a test")
        snapshot = log.latest_snapshot()
        start = snapshot.sequence if snapshot else 0
        found = list(read_back(log.read(start + 1)))
    except (CorruptJournalError, NewerFormatError):
        return None
    except InvalidInputError as error:  # all snapshots of a trimmed log are damaged
        assert "the oldest event kept is" in str(error)
        return None
    assert snapshot is None or snapshot.data == STATES[start]
    assert claim.last_sequence == start + len(found)
    more = Written(claim.last_sequence + 1, 1, 0, claim.epoch, b"and on")
    assert log.append(claim.epoch, more.sequence, [more.frame()]) is Outcome.OK
    assert list(read_back(log.read(start + 1))) == [*found, more]
    return start, found


def check(log: Log, files: dict[Path, bytes]) -> str:
    """Judge what is found in damaged files; say what it was."""
    recovered = recover(files)
    if recovered is None:
        assert files != log.files
        return "refused"
    start, found = recovered
    wanted = [laid for laid in log.frames if laid.written.sequence > start]
    assert found == [laid.written for laid in wanted][: len(found)]
    assert len(found) + start > 0
    lost = wanted[len(found) :]
    if not lost:
        return "whole"

    def is_damaged(laid: Laid) -> bool:
        here = slice(laid.start, laid.end)
        return files[laid.path][here] != log.files[laid.path][here]

    assert is_damaged(lost[0])
    for later in lost[1:]:  # one that knows that the first was synced would have told
        assert later.synced < lost[0].written.sequence or is_damaged(later)
    return "a prefix"


@pytest.mark.parametrize("first", range(0, MUTATIONS, MUTATIONS_A_TEST))
def test_what_is_found_in_damaged_files_is_an_exact_prefix_or_nothing(first: int) -> None:
    outcomes = set()
    for seed in range(first, first + MUTATIONS_A_TEST):
        chance = random.Random(seed)
        log = a_log(is_trimmed=seed % 4 == 0)
        try:
            outcomes.add(check(log, damaged(log, chance)))
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    assert outcomes == {"refused", "whole", "a prefix"}


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_every_frame_lies_where_it_was_laid(is_trimmed: bool) -> None:
    log = a_log(is_trimmed=is_trimmed)
    assert check(log, log.files) == "whole"
    assert len(log.frames) < FRAMES if is_trimmed else len(log.frames) == FRAMES
    assert len({frame.path for frame in log.frames}) > 1
    for laid in log.frames:
        assert bytes(laid.written.frame(laid.synced)) == log.files[laid.path][laid.start : laid.end]
