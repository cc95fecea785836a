"""What the journal in a folder holds, for people and exports; a server may be writing it meanwhile.

Nothing is claimed and nothing is changed.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fendan import state
from fendan.core import Core
from fendan.disk import Disk
from fendan.engine.events import EventKind
from fendan.engine.frames import HEADER_BYTES
from fendan.engine.geo import Datum
from fendan.engine.history import Event, Reading, Wanted
from fendan.errors import Fault, FendanError, refuse
from fendan.filelog import FileLog
from fendan.ledger import LAST_SEQUENCE, NAMING, Names, readings
from fendan.log import Frame, Log
from fendan.segments import Segment, segments_in
from fendan.snapshots import SnapshotFile, load, snapshots_in

__all__ = [
    "EpochLook",
    "JournalLook",
    "SegmentLook",
    "first_since",
    "last_frame",
    "look",
    "names_of",
    "segments_of",
    "settle",
]


@dataclass(slots=True)
class SegmentLook:
    """One file of frames."""

    segment: Segment
    frames: int = 0
    events: int = 0
    bytes: int = 0


@dataclass(slots=True)
class EpochLook:
    """What one owner of the folder has written."""

    epoch: int
    first: Frame
    last: Frame
    events: int = 0


@dataclass(slots=True)
class JournalLook:
    """What was found, up to the `problem`, if there is one.

    `kinds`: how many events of each number of an EventKind. `decisions`: orders that were routed.
    `routing_bytes` and `routed`: of the frames that have nothing but such orders.
    """

    segments: list[SegmentLook]
    snapshots: list[SnapshotFile] = field(default_factory=list)
    damaged_snapshots: list[str] = field(default_factory=list)
    epochs: list[EpochLook] = field(default_factory=list)
    kinds: dict[EventKind, int] = field(default_factory=dict)
    bytes: int = 0
    decisions: int = 0
    routed: int = 0
    routing_bytes: int = 0
    problem: FendanError | None = None

    @property
    def first(self) -> Frame | None:
        """The first frame."""
        return self.epochs[0].first if self.epochs else None

    @property
    def last(self) -> Frame | None:
        """The last frame."""
        return self.epochs[-1].last if self.epochs else None


def look(folder: Path, advance: Callable[[int], None] = lambda _: None) -> JournalLook:
    """Read all of it; what is wrong is in the result's `problem`. Raises FileFormatError.

    `advance` is told how many bytes were read.
    """
    found = JournalLook([SegmentLook(segment) for segment in segments_of(folder)])
    _look_at_snapshots(folder, found)
    counts = np.zeros(256, dtype=np.int64)
    try:
        first = found.segments[0].segment.first_sequence
        for frame, reading in readings(FileLog(folder).read(first), first):
            advance(_look_at(frame, reading, found, counts))
    except FendanError as error:
        found.problem = error
    found.kinds = {kind: int(counts[kind]) for kind in EventKind if counts[kind]}
    return found


def _look_at(frame: Frame, reading: Reading, found: JournalLook, counts: NDArray[np.int64]) -> int:
    size = -(-(HEADER_BYTES + len(frame.body)) // 8) * 8
    last = found.last
    if last is None or frame.epoch > last.epoch:
        found.epochs.append(EpochLook(frame.epoch, frame, frame))
    elif frame.epoch < last.epoch or frame.time_ns < last.time_ns:
        hint = f"it is of epoch {frame.epoch}, and of an earlier epoch or time than the one before"
        refuse(Fault.CORRUPT, "frame", frame.sequence, hint=hint)
    decisions = reading.count(counts)
    starts = [one.segment.first_sequence for one in found.segments]
    segment = found.segments[bisect_right(starts, frame.sequence) - 1]
    for part in (segment, found.epochs[-1]):
        part.events += frame.count
    segment.frames += 1
    segment.bytes += size
    found.epochs[-1].last = frame
    found.bytes += size
    found.decisions += decisions
    if decisions == frame.count:
        found.routed += decisions
        found.routing_bytes += size
    return size


def _look_at_snapshots(folder: Path, found: JournalLook) -> None:
    disk = Disk()
    for snapshot in snapshots_in(disk, folder):
        if load(disk, snapshot) is not None:
            found.snapshots.append(snapshot)
    good = {snapshot.path.name for snapshot in found.snapshots}
    found.damaged_snapshots = [
        path.name for path in sorted(folder.glob("snapshot-*.snap")) if path.name not in good
    ]


def segments_of(folder: Path) -> list[Segment]:
    """The segments of a folder; at least one. Raises FileFormatError where there is none."""
    if not folder.is_dir():
        refuse(Fault.BAD_FILE, "folder", folder, hint="there is no such folder")
    segments, _ = segments_in(Disk(), folder)
    if not segments:
        refuse(Fault.BAD_FILE, "folder", folder, hint="there is no journal in it")
    return segments


def settle(folder: Path) -> None:
    """Make durable what was written so far, whoever wrote it: only that may be told of."""
    disk = Disk()
    for segment in segments_of(folder)[-2:]:  # those before them were synced
        handle = disk.open(segment.path)
        try:
            disk.sync(handle)
        finally:
            disk.close(handle)


def last_frame(log: Log, oldest_sequence: int) -> Frame | None:
    """The last frame that is there; None where there is none yet."""
    last = None
    for last in log.read(oldest_sequence):  # noqa: B007
        pass
    return last


def first_since(log: Log, oldest_sequence: int, time_ns: int) -> int:
    """The number of the first event of that time or later; or the one after the last."""
    after = oldest_sequence
    for frame in log.read(oldest_sequence):
        if frame.time_ns >= time_ns:
            return frame.sequence
        after = frame.sequence + frame.count
    return after


def names_of(log: Log, oldest_sequence: int) -> tuple[Names, int]:
    """What codes stand for at the end of the log, and the number of its last event.

    `oldest_sequence`: of the first event that the log still has. A snapshot names what was before.
    """
    core, last_sequence = Core(Datum.WGS84, 0), 0
    if oldest_sequence > 1 and (snapshot := log.latest_snapshot()) is not None:
        last_sequence = state.restore(core, snapshot.data).sequence
    names = Names(
        list(core._network.store_ids), list(core._network.regions), list(core._stock.skus)
    )
    code_of = dict(core._network.code_of)
    wanted = Wanted([*NAMING, EventKind.SKUS_NAMED])
    for frame, reading in readings(log.read(last_sequence + 1), last_sequence + 1):
        for event in reading.take(frame.count, frame.count, LAST_SEQUENCE, wanted):
            _note(event, names, code_of)
        last_sequence = reading.end - 1
    return names, last_sequence


def _note(event: Event, names: Names, code_of: dict[str, int]) -> None:
    """Follow one event that names something."""
    texts = [text.decode() for text in event.texts]
    if event.kind is EventKind.SKUS_NAMED:
        names.skus.extend(texts)
        return
    store_id, region = texts
    if event.kind is EventKind.STORE_UPDATED:
        names.regions[code_of[store_id]] = region
        return
    code_of[store_id] = len(names.store_ids)
    names.store_ids.append(store_id)
    names.regions.append(region)
