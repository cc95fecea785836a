"""A log in a folder: `log-….seg` with the frames, `snapshot-….snap` with states, and LOCK.

What is acknowledged is in the disk. After a crash, `claim` keeps all of it and perhaps more: what
was written and not yet synced may be there in part, and goes from the first frame that is not
whole. What it keeps it syncs again, since a failed sync may have left it in memory only.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fendan import snapshots
from fendan.disk import Buffer, Disk
from fendan.engine.frames import Frame, Place, end_of, group_of
from fendan.errors import Fault, FendanError, refuse
from fendan.lock_file import LockFile, epoch_of
from fendan.log import Claim, Outcome, Snapshot
from fendan.segments import (
    EVERYTHING,
    HEADER_BYTES,
    Marks,
    Segment,
    Spare,
    Walk,
    corrupt,
    segments_in,
)

__all__ = ["FIRST_SEGMENT_BYTES", "SEGMENT_BYTES", "FileLog"]

SEGMENT_BYTES = 64 << 20
FIRST_SEGMENT_BYTES = 4 << 20  # a folder that is new is soon ready
TEMPORARY = ".tmp"


class FileLog:
    """A `Log` in a folder. Without a claim it can be read, while another process owns it."""

    def __init__(
        self,
        folder: Path,
        disk: Disk | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        first_segment_bytes: int = FIRST_SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._segment_bytes = segment_bytes
        self._first_segment_bytes = first_segment_bytes
        self._lock = threading.RLock()
        self._outcome = Outcome.FENCED  # of every further write; OK while we own the log
        self._epoch = 0
        # What follows is the owner's: the segment that is written, where, and what was not synced.
        self._lock_file: LockFile | None = None
        self._segments: list[Segment] = []
        self._handle = -1
        self._place = Place(0, 1, 0, 0, 0)
        self._is_synced = True
        self._spare: Spare | None = None
        self._marks = Marks()

    # -- CLAIMING --------------------------------------------------------------------------------

    def claim(self, owner: str) -> Claim:
        """Become the only owner; see `Log.claim`."""
        with self._lock, self._disk_errors():
            if self._lock_file is not None:
                refuse(Fault.FOLDER_IN_USE, "folder", self._folder, hint="claimed already")
            self._disk.make_folder(self._folder)
            self._lock_file = LockFile(self._disk, self._folder)
            try:
                return self._recover(self._lock_file, owner)
            except BaseException:
                self._release()
                raise

    def _recover(self, lock_file: LockFile, owner: str) -> Claim:
        """Look at everything first, and then change what is to be changed."""
        self._marks = Marks()
        segments, blank = segments_in(self._disk, self._folder)
        kept = snapshots.snapshots_in(self._disk, self._folder)
        place = self._end_of(segments)
        self._check_snapshots(segments, kept, place)
        epochs = [place.epoch, lock_file.epoch, *(snapshot.epoch for snapshot in kept)]
        # A rename or removal that the last owner could not sync is synced before anything relies
        # on it.
        temporary = [n for n in self._disk.list(self._folder) if n.endswith(TEMPORARY)]
        for path in [*blank, *(self._folder / name for name in temporary)]:
            self._disk.remove(path)
        self._disk.sync_folder(self._folder)
        self._segments, self._place, self._is_synced = segments, place, True
        self._epoch = 1 + max(epochs)
        lock_file.begin(self._epoch, owner)
        if segments:
            self._handle = self._disk.open(segments[-1].path, write=True)
            # An owner who wrote no frame may have failed here, with zeros in memory only.
            self._settle(segments[-1], torn_to_the_end=lock_file.epoch > place.epoch)
        else:
            self._begin_segment(self._first_segment_bytes)
        self._outcome = Outcome.OK
        return Claim(self._epoch, self._place.sequence - 1)

    def _end_of(self, segments: list[Segment]) -> Place:
        """Where the good frames end; no frame that had been synced is missing."""
        if not segments:
            return Place(0, 1, 0, 0, 0)
        with Walk(self._disk, segments[-1], self._marks) as walk:
            walk.to(EVERYTHING).check_rest()
            return walk.place

    def _check_snapshots(
        self, segments: list[Segment], kept: list[snapshots.SnapshotFile], end: Place
    ) -> None:
        """Raise CorruptJournalError where the frames before or after a snapshot are missing."""
        for snapshot in kept:
            if snapshot.sequence >= end.sequence:
                why = f"it is the state after event {snapshot.sequence}, and the log ends before"
                corrupt(snapshot.path, 0, why)
        first = segments[0].first_sequence if segments else 1
        if first > 1 + max((snapshot.sequence for snapshot in kept), default=0):
            corrupt(segments[0].path, 0, "events before it are missing, and so is a snapshot")

    def _settle(self, segment: Segment, *, torn_to_the_end: bool) -> None:
        """Write again what may be in memory only, and zeros over a torn tail; then sync."""
        synced = self._place.synced
        with Walk(self._disk, segment, self._marks, synced) as walk:
            walk.to(synced)
            start, rest = walk.place.offset, walk.rest()
        whole = self._place.offset - start
        torn = len(rest) - whole if torn_to_the_end else end_of(rest[whole:])
        self._disk.write(self._handle, start, [rest[:whole], bytes(torn)])
        self._disk.sync(self._handle)

    # -- APPENDING -------------------------------------------------------------------------------

    def append(
        self, epoch: int, sequence: int, frames: Sequence[Buffer], *, durable: bool = True
    ) -> Outcome:
        """Append whole frames; see `Log.append`."""
        with self._lock:
            if not self._may_write(epoch):
                return self._outcome_for(epoch)
            if sequence != self._place.sequence:
                raise ValueError(f"the next event is {self._place.sequence}, not {sequence}")
            group = group_of(frames, sequence, epoch)
            with self._writing():
                if self._place.offset + group.bytes > self._segments[-1].size_bytes:
                    self._sync()
                    self._begin_segment(max(self._segment_bytes, HEADER_BYTES + group.bytes))
                self._is_synced = False
                self._disk.write(self._handle, self._place.offset, frames)
                if durable:
                    self._sync()
            if self._outcome is Outcome.OK:
                end = self._place.offset + group.bytes
                self._place = Place(end, sequence + group.count, epoch, group.crc, 0)
                self._marks.add(self._segments[-1], self._place)
                self._prepare_spare()
            return self._outcome

    def flush(self) -> Outcome:
        """Make all that was appended durable."""
        with self._lock:
            if self._may_write(self._epoch):
                with self._writing():
                    self._sync()
            return self._outcome

    def _may_write(self, epoch: int) -> bool:
        """Whether this epoch is still the one that writes, and its disk still in order."""
        if self._outcome is not Outcome.OK or epoch != self._epoch:
            return False
        with self._writing():
            if self._lock_file is None or not self._lock_file.is_ours():
                self._outcome = Outcome.FENCED
        return self._outcome is Outcome.OK

    def _outcome_for(self, epoch: int) -> Outcome:
        return self._outcome if epoch == self._epoch else Outcome.FENCED

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Whatever goes wrong in here, nobody knows what is in the disk afterwards."""
        before, self._outcome = self._outcome, Outcome.UNKNOWN
        try:
            yield
        except OSError:
            return
        if self._outcome is Outcome.UNKNOWN:
            self._outcome = before

    def _sync(self) -> None:
        if not self._is_synced:
            self._disk.sync(self._handle)
            self._is_synced = True

    def _begin_segment(self, size_bytes: int) -> None:
        """Go on in a new segment; all before it is synced."""
        spare, self._spare = self._spare, None
        if spare is not None and (spare.size_bytes < size_bytes or spare.failed()):
            spare.drop()
            spare = None
        spare = spare or Spare(self._disk, self._folder, size_bytes)
        place = self._place
        before = self._segments
        if before and before[-1].first_sequence == place.sequence:
            before = before[:-1]  # it holds nothing, and was too small: the new one has its name
        segment = Segment(
            path=Segment.path_of(self._folder, place.sequence),
            first_sequence=place.sequence,
            previous_first=before[-1].first_sequence if before else 0,
            size_bytes=spare.size_bytes,
            previous_crc=place.crc,
            previous_epoch=place.epoch,
        )
        handle = spare.begin(segment)
        if self._handle >= 0:
            self._disk.close(self._handle)
        self._handle, self._segments, self._place = handle, [*before, segment], segment.start

    def _prepare_spare(self) -> None:
        """Have the next segment made when this one is half full."""
        if self._spare is None and self._place.offset > self._segments[-1].size_bytes // 2:
            self._spare = Spare(self._disk, self._folder, self._segment_bytes)

    # -- READING ---------------------------------------------------------------------------------

    def read(self, from_sequence: int, to_sequence: int | None = None) -> Iterator[Frame]:
        """The frames from one event to another; see `Log.read`."""
        with self._disk_errors():
            is_owner, last = self._lock_file is not None, self._place.sequence - 1
            wanted = EVERYTHING if to_sequence is None else to_sequence
            if is_owner:
                wanted = min(wanted, last)
            if wanted < from_sequence:
                return
            segments = self._known_segments()
            first = next((s for s in reversed(segments) if s.first_sequence <= from_sequence), None)
            if first is None:
                oldest = segments[0].first_sequence if segments else 1
                hint = f"the oldest event kept is {oldest}"
                refuse(Fault.OUT_OF_RANGE, "from_sequence", from_sequence, hint=hint)
            yield from self._read_on(first, from_sequence, wanted, must_reach=is_owner)

    def _read_on(
        self, segment: Segment, from_sequence: int, to_sequence: int, *, must_reach: bool
    ) -> Iterator[Frame]:
        """The frames of a segment, and of those after it."""
        while True:
            # Another owner may cut what we read beside the present one: only that one has marks.
            marks = self._marks if self._lock_file is not None else None
            with Walk(self._disk, segment, marks, from_sequence) as walk:
                yield from walk.frames(from_sequence, to_sequence)
                following = self._segment_after(segment)
                if following is not None and walk.place.sequence < following.first_sequence:
                    # What was written after we came to the end, or it is damaged.
                    yield from walk.frames(from_sequence, to_sequence)
                if walk.place.sequence > to_sequence:
                    return
                if following is None:
                    self._check_end(walk, must_reach=must_reach)
                    return
                self._check_joint(walk, following)
            segment = following

    def _check_end(self, walk: Walk, *, must_reach: bool) -> None:
        """Raise CorruptJournalError where reading ended before what must be there."""
        walk.check_rest()
        if must_reach:
            corrupt(walk.segment.path, walk.place.offset, "the frame there is lost")

    def _check_joint(self, walk: Walk, following: Segment) -> None:
        """Raise CorruptJournalError where a segment does not end as the next one says."""
        place = walk.place
        if place.sequence != following.first_sequence:
            why = f"the frame there is lost, and {following.path.name} goes on after it"
            corrupt(walk.segment.path, place.offset, why)
        if (place.crc, place.epoch) != (following.previous_crc, following.previous_epoch):
            corrupt(following.path, 0, "the segment before it is not the one that was there")

    def _known_segments(self) -> list[Segment]:
        if self._lock_file is not None:
            return self._segments
        return segments_in(self._disk, self._folder)[0]

    def _segment_after(self, segment: Segment) -> Segment | None:
        first = segment.first_sequence
        return next((s for s in self._known_segments() if s.previous_first == first), None)

    # -- SNAPSHOTS -------------------------------------------------------------------------------

    def put_snapshot(self, epoch: int, sequence: int, parts: Iterable[Buffer]) -> Outcome:
        """Keep a state; see `Log.put_snapshot`."""
        if self._lock_file is None:
            return self._put_for_another(epoch, sequence, parts)
        with self._lock:
            if not self._may_write(epoch):
                return self._outcome_for(epoch)
            if sequence >= self._place.sequence:
                raise ValueError(f"the last event is {self._place.sequence - 1}, not {sequence}")
            if self.flush() is not Outcome.OK:  # no snapshot may be ahead of the log
                return self._outcome
        return self._put(epoch, sequence, parts)

    def _put_for_another(self, epoch: int, sequence: int, parts: Iterable[Buffer]) -> Outcome:
        """The same in a process beside the owner's."""
        try:
            if epoch_of(self._disk, self._folder) != epoch:
                return Outcome.FENCED
            for segment in self._known_segments()[-2:]:  # those before them were synced
                handle = self._disk.open(segment.path, write=True)
                try:
                    self._disk.sync(handle)
                finally:
                    self._disk.close(handle)
        except OSError:
            return Outcome.UNKNOWN
        return self._put(epoch, sequence, parts)

    def _put(self, epoch: int, sequence: int, parts: Iterable[Buffer]) -> Outcome:
        try:
            snapshots.write(self._disk, self._folder, sequence, epoch, parts)
            snapshots.prune(self._disk, self._folder)
        except OSError:
            return Outcome.UNKNOWN
        return Outcome.OK

    def latest_snapshot(self) -> Snapshot | None:
        """The newest whole snapshot."""
        with self._disk_errors():
            for found in snapshots.snapshots_in(self._disk, self._folder):
                snapshot = snapshots.load(self._disk, found)
                if snapshot is not None:
                    return snapshot
            return None

    def trim(self, sequence: int) -> None:
        """Let go of segments; see `Log.trim`."""
        with self._lock, self._disk_errors():
            if not self._may_write(self._epoch):
                return
            self._disk.sync_folder(self._folder)  # whatever a failed put_snapshot left behind
            kept = snapshots.snapshots_in(self._disk, self._folder)
            sequence = min([sequence, *(1 + snapshot.sequence for snapshot in kept)])
            while kept and len(self._segments) > 1 and self._segments[1].first_sequence <= sequence:
                gone, *self._segments = self._segments
                self._marks.forget(gone)
                self._disk.remove(gone.path)
                self._disk.sync_folder(self._folder)  # no power cut may leave one before a gap

    # -- THE END ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Flush and give up ownership."""
        with self._lock:
            if self._lock_file is not None:
                self.flush()
                self._release()

    def _release(self) -> None:
        if self._outcome is Outcome.OK:
            self._outcome = Outcome.FENCED
        if self._spare is not None:
            self._spare.drop()
            self._spare = None
        if self._handle >= 0:
            self._disk.close(self._handle)
            self._handle = -1
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Errors of the disk, as ours."""
        try:
            yield
        except FendanError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            refuse(Fault.DISK, "folder", self._folder, hint=f"{where}{error.strerror or error}")
