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
from fendan.engine.frames import Frame, Place, group_of
from fendan.errors import Fault, FendanError, refuse
from fendan.lock_file import LockFile, epoch_of
from fendan.log import Claim, Outcome, Snapshot
from fendan.segments import EVERYTHING, Segment, Walk, corrupt, segments_in
from fendan.tail import Tail

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
        self.trouble = ""
        self._lock = threading.RLock()
        self._outcome = Outcome.FENCED  # of every further write; OK while we own the log
        self._epoch = 0
        self._lock_file: LockFile | None = None  # the owner's, and so is the next
        self._tail: Tail | None = None

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
        segments, blank = segments_in(self._disk, self._folder)
        kept = snapshots.snapshots_in(self._disk, self._folder)
        tail = self._tail = Tail(self._disk, self._folder, segments, self._segment_bytes)
        self._check_snapshots(segments, kept, tail.place)
        epochs = [tail.place.epoch, lock_file.epoch, *(snapshot.epoch for snapshot in kept)]
        # An owner whose frames are not there may have failed in this, at any point.
        is_doubtful = lock_file.epoch > tail.place.epoch
        temporary = [n for n in self._disk.list(self._folder) if n.endswith(TEMPORARY)]
        for path in [*blank, *(self._folder / name for name in temporary)]:
            self._disk.remove(path)
        # A change of names that the last owner could not sync is safe before we rely on it.
        self._disk.sync_folder(self._folder)
        self._epoch = 1 + max(epochs)
        lock_file.begin(self._epoch, owner)
        tail.begin(self._first_segment_bytes, is_doubtful=is_doubtful)
        self._outcome = Outcome.OK
        return Claim(self._epoch, tail.place.sequence - 1)

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

    # -- APPENDING -------------------------------------------------------------------------------

    def append(
        self, epoch: int, sequence: int, frames: Sequence[Buffer], *, durable: bool = True
    ) -> Outcome:
        """Append whole frames; see `Log.append`."""
        with self._lock:
            tail = self._tail_for(epoch)
            if tail is None:
                return self._outcome if epoch == self._epoch else Outcome.FENCED
            if sequence != tail.place.sequence:
                raise ValueError(f"the next event is {tail.place.sequence}, not {sequence}")
            group = group_of(frames, sequence, epoch)
            with self._writing():
                tail.write(frames, group, epoch, durable=durable)
            return self._outcome

    def flush(self) -> Outcome:
        """Make all that was appended durable."""
        with self._lock:
            tail = self._tail_for(self._epoch)
            if tail is not None:
                with self._writing():
                    tail.sync()
            return self._outcome

    def _tail_for(self, epoch: int) -> Tail | None:
        """Where to write, if this epoch is still the one that may, and its disk still in order."""
        if self._outcome is not Outcome.OK or epoch != self._epoch or self._lock_file is None:
            return None
        with self._writing():
            if not self._lock_file.is_ours():
                self._outcome = Outcome.FENCED
        return self._tail if self._outcome is Outcome.OK else None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Whatever goes wrong in here, nobody knows what is in the disk afterwards."""
        before, self._outcome = self._outcome, Outcome.UNKNOWN
        try:
            yield
        except OSError as error:
            self.trouble = error.strerror or str(error)
            return
        if self._outcome is Outcome.UNKNOWN:
            self._outcome = before

    # -- READING ---------------------------------------------------------------------------------

    def read(self, from_sequence: int, to_sequence: int | None = None) -> Iterator[Frame]:
        """The frames from one event to another; see `Log.read`."""
        with self._disk_errors():
            tail, wanted = self._tail, EVERYTHING if to_sequence is None else to_sequence
            if tail is not None:
                wanted = min(wanted, tail.place.sequence - 1)
            if wanted < from_sequence:
                return
            segments = self._known_segments()
            first = next((s for s in reversed(segments) if s.first_sequence <= from_sequence), None)
            if first is None:
                hint = f"the oldest event kept is {self.first_sequence()}"
                refuse(Fault.OUT_OF_RANGE, "from_sequence", from_sequence, hint=hint)
            yield from self._read_on(first, from_sequence, wanted, must_reach=tail is not None)

    def _read_on(
        self, segment: Segment, from_sequence: int, to_sequence: int, *, must_reach: bool
    ) -> Iterator[Frame]:
        """The frames of a segment, and of those after it."""
        while True:
            # Another owner may cut what we read beside the present one: only that one has marks.
            marks = self._tail.marks if self._tail is not None else None
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

    def first_sequence(self) -> int:
        """The number of the oldest event that is kept."""
        with self._disk_errors():
            segments = self._known_segments()
            return segments[0].first_sequence if segments else 1

    def _known_segments(self) -> list[Segment]:
        tail = self._tail
        return tail.segments if tail is not None else segments_in(self._disk, self._folder)[0]

    def _segment_after(self, segment: Segment) -> Segment | None:
        first = segment.first_sequence
        return next((s for s in self._known_segments() if s.previous_first == first), None)

    # -- SNAPSHOTS -------------------------------------------------------------------------------

    def put_snapshot(self, epoch: int, sequence: int, parts: Iterable[Buffer]) -> Outcome:
        """Keep a state; see `Log.put_snapshot`."""
        if self._lock_file is None:
            return self._put_for_another(epoch, sequence, parts)
        with self._lock:
            tail = self._tail_for(epoch)
            if tail is None:
                return self._outcome if epoch == self._epoch else Outcome.FENCED
            if sequence >= tail.place.sequence:
                raise ValueError(f"the last event is {tail.place.sequence - 1}, not {sequence}")
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

    def latest_snapshot(self, up_to: int | None = None) -> Snapshot | None:
        """The newest whole snapshot of the state after event `up_to` or before."""
        with self._disk_errors():
            for found in snapshots.snapshots_in(self._disk, self._folder):
                is_wanted = up_to is None or found.sequence <= up_to
                snapshot = snapshots.load(self._disk, found) if is_wanted else None
                if snapshot is not None:
                    return snapshot
            return None

    def trim(self, sequence: int) -> None:
        """Let go of segments; see `Log.trim`."""
        with self._lock, self._disk_errors():
            tail = self._tail_for(self._epoch)
            if tail is None:
                return
            self._disk.sync_folder(self._folder)  # whatever a failed put_snapshot left behind
            kept = snapshots.snapshots_in(self._disk, self._folder)
            sequence = min([sequence, *(1 + snapshot.sequence for snapshot in kept)])
            while kept and len(tail.segments) > 1 and tail.segments[1].first_sequence <= sequence:
                tail.drop_first()

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
        if self._tail is not None:
            is_ours = self._lock_file is not None and self._lock_file.is_of_this_process
            self._tail.close(drop_spare=is_ours)
            self._tail = None
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
