"""Segments: the files that frames are written into, one after the other.

    log-00000000000000000001.seg       the first event that it holds, in 20 digits

    magic | version | crc | first | previous first | size | previous crc | previous epoch | zeros
    8       u32       u32   u64     u64              u64    u32            u32              16 bytes

A file is made in advance, full of zeros: a sync is then one write to the disk, with nothing to be
noted about where the file lies. It gets its header and its name when it is begun, and only when the
one before it is synced. So whatever has a name is whole, but for the tail of the last.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from fendan.disk import SYNC_BYTES, Disk
from fendan.engine.checksum import crc32c
from fendan.engine.frames import Frame, Place, Stop, proof_of_damage, scan
from fendan.errors import Fault, refuse

__all__ = [
    "EVERYTHING",
    "HEADER_BYTES",
    "Marks",
    "Segment",
    "Spare",
    "Walk",
    "corrupt",
    "segments_in",
]

MAGIC = b"FENDANlg"
FORMAT = 1
HEADER = struct.Struct("<8sIIQQQII16x")
HEADER_BYTES = HEADER.size
EVERYTHING = 2**63 - 1  # beyond every sequence
SPARE = "segment.tmp"
CHUNK_BYTES = 1 << 20
ZEROS = bytes(CHUNK_BYTES)


def corrupt(path: Path, offset: int, why: str) -> NoReturn:
    """Refuse a file, from that offset on."""
    refuse(Fault.CORRUPT, "offset", offset, where=str(path), hint=why)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of frames. `previous_first` is 0 in the first of all."""

    path: Path
    first_sequence: int
    previous_first: int
    size_bytes: int
    previous_crc: int
    previous_epoch: int

    @staticmethod
    def path_of(folder: Path, first_sequence: int) -> Path:
        """What the segment with that first event is called."""
        return folder / f"log-{first_sequence:020}.seg"

    @property
    def start(self) -> Place:
        """Where its first frame stands."""
        return Place(
            HEADER_BYTES, self.first_sequence, self.previous_epoch, self.previous_crc, synced=0
        )

    def header(self) -> bytes:
        """The header, as it is written."""
        numbers = (self.first_sequence, self.previous_first, self.size_bytes)
        previous = (self.previous_crc, self.previous_epoch)
        crc = crc32c(HEADER.pack(MAGIC, FORMAT, 0, *numbers, *previous))
        return HEADER.pack(MAGIC, FORMAT, crc, *numbers, *previous)


# -- FINDING -------------------------------------------------------------------------------------


def segments_in(disk: Disk, folder: Path) -> tuple[list[Segment], list[Path]]:
    """The segments of a folder in order, and files that were to become one and hold nothing.

    Raises CorruptJournalError and NewerFormatError.
    """
    names = [name for name in disk.list(folder) if name[:4] == "log-" and name[-4:] == ".seg"]
    read: dict[Path, Segment | None] = {}
    for name in names:
        with suppress(FileNotFoundError):  # the owner has trimmed it
            read[folder / name] = read_segment(disk, folder / name)
    segments = [segment for segment in read.values() if segment is not None]
    blank = [path for path, segment in read.items() if segment is None]
    if blank and blank[0] != folder / names[-1]:
        corrupt(blank[0], 0, "it is empty, and there are later ones")
    if blank and not segments and size_of(disk, blank[0]) == 0:
        # Zeros it had, and they were synced, before it got its name.
        corrupt(blank[0], 0, "it is empty, and there is no other")
    for segment, following in pairwise(segments):
        if following.previous_first != segment.first_sequence:
            missing = f"the segment with event {following.previous_first} is missing before it"
            corrupt(following.path, 0, missing)
    return segments, blank


def read_segment(disk: Disk, path: Path) -> Segment | None:
    """What a file says it is; None where there is not a byte but zeros."""
    handle = disk.open(path)
    try:
        size = disk.size(handle)
        data = disk.read(handle, 0, HEADER_BYTES)
        if not any(data) and is_blank(disk, handle, size):
            return None
    finally:
        disk.close(handle)
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        corrupt(path, 0, "no segment of a journal")
    _, version, _, first, previous_first, said, previous_crc, previous_epoch = HEADER.unpack(data)
    if version > FORMAT:
        refuse(Fault.NEWER_FORMAT, "version", version, where=str(path), hint=f"we read {FORMAT}")
    segment = Segment(path, first, previous_first, said, previous_crc, previous_epoch)
    if segment.header() != data:
        corrupt(path, 0, "the header is not what was written")
    if path != Segment.path_of(path.parent, first):
        corrupt(path, 0, f"it was written as the segment with event {first}")
    if size != said:
        corrupt(path, min(size, said), f"it has {size} bytes, and had {said}")
    return segment


def size_of(disk: Disk, path: Path) -> int:
    """How many bytes a file has."""
    handle = disk.open(path)
    try:
        return disk.size(handle)
    finally:
        disk.close(handle)


def is_blank(disk: Disk, handle: int, size: int) -> bool:
    """Whether there is nothing but zeros in a file."""
    chunks = (disk.read(handle, at, CHUNK_BYTES) for at in range(0, size, CHUNK_BYTES))
    return not any(chunk.strip(b"\0") for chunk in chunks)


# -- MAKING --------------------------------------------------------------------------------------


class Spare:
    """A file of zeros that will be the next segment; made while the present one is in use."""

    def __init__(self, disk: Disk, folder: Path, size_bytes: int) -> None:
        self.path = folder / SPARE
        self.size_bytes = size_bytes
        self._disk = disk
        self._error: OSError | None = None
        self._wait = disk.in_background(self._try)

    def _try(self) -> None:
        try:
            self._fill()
        except OSError as error:
            self._error = error

    def _fill(self) -> None:
        handle = self._disk.create(self.path)
        try:
            for offset in range(0, self.size_bytes, CHUNK_BYTES):
                zeros = memoryview(ZEROS)[: self.size_bytes - offset]
                self._disk.write(handle, offset, [zeros])
                if (offset + CHUNK_BYTES) % SYNC_BYTES == 0:
                    self._disk.sync(handle)
            self._disk.sync(handle)
        finally:
            self._disk.close(handle)

    def failed(self) -> bool:
        """Whether it could not be made; waits until that is known."""
        self._wait()
        return self._error is not None

    def drop(self) -> None:
        """Remove it; it is not needed. What is left is removed by the next owner."""
        self._wait()
        with suppress(OSError):
            self._disk.remove(self.path)

    def begin(self, segment: Segment) -> int:
        """Make it this segment: header and name, both synced; return its handle.

        Raises what went wrong when it was made.
        """
        self._wait()
        if self._error is not None:
            raise self._error
        handle = self._disk.open(self.path, write=True)
        try:
            self._disk.write(handle, 0, [segment.header()])
            self._disk.sync(handle)
            self._disk.rename(self.path, segment.path)
            self._disk.sync_folder(segment.path.parent)
        except BaseException:
            self._disk.close(handle)
            raise
        return handle


# -- READING -------------------------------------------------------------------------------------


class Marks:
    """Places on the way, about a chunk apart: not every reading starts with a whole segment."""

    def __init__(self) -> None:
        self._places: dict[Path, list[Place]] = {}

    def add(self, segment: Segment, place: Place) -> None:
        """Remember a place, if it is well beyond the last one."""
        places = self._places.setdefault(segment.path, [segment.start])
        if place.offset >= places[-1].offset + CHUNK_BYTES:
            places.append(place)

    def before(self, segment: Segment, sequence: int) -> Place:
        """The last place that is not after an event."""
        places = self._places.get(segment.path, [segment.start])
        return places[max(0, bisect_right(places, sequence, key=attrgetter("sequence")) - 1)]

    def forget(self, segment: Segment) -> None:
        """A segment is gone."""
        self._places.pop(segment.path, None)


class Walk:
    """A way through the frames of one segment, a chunk at a time.

    `place` is where it stands; where there is no good frame, it stands still. With `marks` it
    begins near the event `sequence`, and leaves more of them.
    """

    def __init__(
        self, disk: Disk, segment: Segment, marks: Marks | None = None, sequence: int = 0
    ) -> None:
        self.segment = segment
        self.place = marks.before(segment, sequence) if marks else segment.start
        self._marks = marks
        self._disk = disk
        self._handle = disk.open(segment.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._disk.close(self._handle)

    def to(self, sequence: int = EVERYTHING) -> Self:
        """Go on to an event, or the end."""
        for _ in self.frames(to_sequence=sequence):
            pass
        return self

    def frames(
        self, from_sequence: int = EVERYTHING, to_sequence: int = EVERYTHING
    ) -> Iterator[Frame]:
        """Go on to the end, or the event `to_sequence`; yield the frames that were asked for."""
        wanted = 0
        while True:
            data = self._read(max(wanted, CHUNK_BYTES))
            found = scan(data, self.place, self._room(), from_sequence, to_sequence)
            self.place, wanted = found.place, found.wanted
            if self._marks is not None:
                self._marks.add(self.segment, self.place)
            yield from found.frames
            if found.stop is Stop.GAP:
                corrupt(self.segment.path, self.place.offset, "another frame was written here")
            if found.stop is not Stop.CUT:
                return

    def rest(self) -> bytes:
        """What is there from `place` to the end of the file."""
        return self._read(self._room())

    def check_rest(self) -> None:
        """Raise CorruptJournalError where a frame at `place` must have been synced."""
        rest = self.rest()
        proof = proof_of_damage(rest, self.place.sequence)
        if proof < 0:
            return
        # Maybe it was only late: another process may have written it meanwhile.
        found = scan(self.rest(), self.place, self._room(), EVERYTHING, self.place.sequence)
        if found.place.sequence == self.place.sequence:
            later = self.place.offset + proof
            why = f"the frame there is lost, and one at {later} says that it was synced"
            corrupt(self.segment.path, self.place.offset, why)

    def _room(self) -> int:
        return self.segment.size_bytes - self.place.offset

    def _read(self, size: int) -> bytes:
        size = min(size, self._room())
        data = self._disk.read(self._handle, self.place.offset, size)
        if len(data) < size:
            corrupt(self.segment.path, self.place.offset + len(data), "the file ends there")
        return data
