"""The end of a log in a folder, where its owner writes."""

from collections.abc import Sequence
from pathlib import Path

from fendan.disk import Buffer, Disk
from fendan.engine.frames import Group, Place, end_of
from fendan.segments import EVERYTHING, HEADER_BYTES, Marks, Segment, Spare, Walk

__all__ = ["Tail"]

NOTHING = Place(offset=0, sequence=1, epoch=0, crc=0, synced=0)


class Tail:
    """Where the last frame ends, and the segments up to there.

    Every method may raise OSError; nobody knows then what is in the disk, and nothing more may be
    written. No segment is begun before all of the last is synced: only the last can be torn.
    """

    def __init__(
        self, disk: Disk, folder: Path, segments: list[Segment], segment_bytes: int
    ) -> None:
        self.segments = segments
        self.marks = Marks()
        self.place = NOTHING
        self._disk = disk
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._handle = -1
        self._is_synced = True
        self._spare: Spare | None = None
        if segments:
            with Walk(disk, segments[-1], self.marks) as walk:
                walk.to(EVERYTHING).check_rest()
                self.place = walk.place

    # -- BEGINNING -------------------------------------------------------------------------------

    def begin(self, first_segment_bytes: int, *, is_doubtful: bool) -> None:
        """Get ready to write: begin the first segment, or make the last one safe as it was found.

        A failed sync may have left it in memory only, so what is not known to be synced is written
        again, and zeros over what is torn; to the end where it `is_doubtful` that the zeros that
        are seen there are in the disk.
        """
        if not self.segments:
            self._begin_segment(first_segment_bytes)
            return
        self._handle = self._disk.open(self.segments[-1].path, write=True)
        synced = self.place.synced
        with Walk(self._disk, self.segments[-1], self.marks, synced) as walk:
            start, rest = walk.to(synced).place.offset, walk.rest()
        whole = self.place.offset - start
        torn = len(rest) - whole if is_doubtful else end_of(rest[whole:])
        self._disk.write(self._handle, start, [rest[:whole], bytes(torn)])
        self._disk.sync(self._handle)

    def _begin_segment(self, size_bytes: int) -> None:
        """Go on in a new segment; all before it is synced."""
        spare, self._spare = self._spare, None
        if spare is not None and (spare.size_bytes < size_bytes or spare.failed()):
            spare.drop()
            spare = None
        spare = spare or Spare(self._disk, self._folder, size_bytes)
        place, before = self.place, self.segments
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
        self._handle, self.segments, self.place = handle, [*before, segment], segment.start

    # -- WRITING ---------------------------------------------------------------------------------

    def write(self, frames: Sequence[Buffer], group: Group, epoch: int, *, durable: bool) -> None:
        """Write the frames of a group; where they are to be durable, sync them."""
        if self.place.offset + group.bytes > self.segments[-1].size_bytes:
            self.sync()
            self._begin_segment(max(self._segment_bytes, HEADER_BYTES + group.bytes))
        segment, place = self.segments[-1], self.place
        self._is_synced = False
        self._disk.write(self._handle, place.offset, frames)
        if durable:
            self.sync()
        end, following = place.offset + group.bytes, place.sequence + group.count
        self.place = Place(end, following, epoch, group.crc, synced=0)
        self.marks.add(segment, self.place)
        if self._spare is None and end > segment.size_bytes // 2:  # soon it is needed
            self._spare = Spare(self._disk, self._folder, self._segment_bytes)

    def sync(self) -> None:
        """Return when all that was written is there for good."""
        if not self._is_synced:
            self._disk.sync(self._handle)
            self._is_synced = True

    def drop_first(self) -> None:
        """Remove the oldest segment."""
        gone, *self.segments = self.segments
        self.marks.forget(gone)
        self._disk.remove(gone.path)
        self._disk.sync_folder(self._folder)  # no power cut may leave one before a gap

    def close(self, *, drop_spare: bool = True) -> None:
        """Let go of all files."""
        if self._spare is not None and drop_spare:
            self._spare.drop()
        if self._handle >= 0:
            self._disk.close(self._handle)
