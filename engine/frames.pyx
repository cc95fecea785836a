"""Frames: what the journal is made of, one a command of the engine.

    length | crc | sequence | time_ns | count | unsynced | epoch | 0 | body | zeros
    u32      u32   u64        i64       u32     u32        u32     u32        to a multiple of 8

A frame's events are numbered from `sequence`; the next frame goes on with `sequence + count`.
Zeros where a length should be are the end. Anything else that is no frame is either torn, written
when the power went, or damaged. A later frame tells: it says up to which event all had been synced
when it was written (`sequence - 1 - unsynced`), and what was synced cannot be torn.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from fendan.engine.checksum cimport checksum

from enum import IntEnum
from typing import NamedTuple

cdef enum:
    UNSEALED_BYTES = 8          # length and crc, which the crc does not cover
    GOOD = -1

cdef enum StopCode:
    STOP_END = 0
    STOP_ZEROS = 1
    STOP_CUT = 2
    STOP_BAD = 3
    STOP_GAP = 4

HEADER_BYTES = FRAME_HEADER_BYTES


class Stop(IntEnum):
    """Why a scan went no further."""

    END = STOP_END
    """All bytes are read, or all events that were asked for."""
    ZEROS = STOP_ZEROS
    """No more frames were written here."""
    CUT = STOP_CUT
    """The next frame goes on beyond these bytes."""
    BAD = STOP_BAD
    """No frame, and not zeros."""
    GAP = STOP_GAP
    """A whole frame that cannot follow the last one, by its sequence or its epoch."""


class Frame(NamedTuple):
    """The events of one command: `count`, from `sequence` on, as their encoded `body`."""

    sequence: int
    count: int
    time_ns: int
    epoch: int
    body: memoryview


class Place(NamedTuple):
    """A place between two frames."""

    offset: int
    """In bytes."""
    sequence: int
    """Of the next event."""
    epoch: int
    """Of the last frame."""
    crc: int
    """Of the last frame."""
    synced: int
    """The last event that the last frame says was synced before it; 0 where it does not know."""


class Scan(NamedTuple):
    """What a scan found, and where and why it stopped."""

    frames: list
    place: Place
    stop: Stop
    wanted: int
    """The bytes of the next frame, where the stop is CUT."""


class Group(NamedTuple):
    """Frames that were found whole and in order."""

    count: int
    bytes: int
    crc: int


# -- WRITING -----------------------------------------------------------------------------------

cdef void seal(void* frame, const FrameHeader* header) noexcept nogil:
    """Write the header before the body that is there already, and its crc; pad with zeros."""
    cdef uint8_t* start = <uint8_t*>frame
    cdef int64_t end = FRAME_HEADER_BYTES + <int64_t>header.length
    cdef uint32_t crc
    memcpy(start, header, FRAME_HEADER_BYTES)
    memset(start + end, 0, frame_bytes(header.length) - end)
    crc = checksum(start + UNSEALED_BYTES, end - UNSEALED_BYTES, 0)
    memcpy(start + 4, &crc, sizeof(crc))


def finish(
    uint8_t[::1] buffer not None,
    int64_t body_bytes,
    *,
    uint64_t sequence,
    int64_t time_ns,
    uint32_t count,
    uint64_t unsynced,
    uint32_t epoch,
):
    """Make a frame of a buffer whose body starts at byte 40; return how long the frame is.

    The buffer has room for the padding. Nothing is copied. `unsynced` may be too high, never too
    low: a torn frame before this one would be taken for a damaged one.
    """
    cdef FrameHeader header
    cdef int64_t size = frame_bytes(body_bytes)
    if not (0 < body_bytes <= 0xFFFFFFFF and size <= <int64_t>buffer.shape[0]):
        raise ValueError(f"no room for a frame with a body of {body_bytes} bytes")
    if sequence == 0 or count == 0:
        raise ValueError("a frame has at least one event, and the first of all has sequence 1")
    header.length, header.crc = <uint32_t>body_bytes, 0
    header.sequence, header.time_ns, header.count = sequence, time_ns, count
    header.unsynced = <uint32_t>min(unsynced, <uint64_t>MAX_UNSYNCED)
    header.epoch, header.reserved = epoch, 0
    with nogil:
        seal(&buffer[0], &header)
    return size


def group_of(frames, uint64_t sequence, uint32_t epoch):
    """Whole frames of one epoch whose events follow each other from `sequence` on, counted.

    The bodies are not looked at. Raises ValueError for anything else.
    """
    cdef const uint8_t[::1] frame
    cdef FrameHeader header
    cdef uint64_t following = sequence
    cdef int64_t size = 0
    memset(&header, 0, sizeof(header))
    for frame in frames:
        if frame.shape[0] < FRAME_HEADER_BYTES:
            raise ValueError("no frame")
        memcpy(&header, &frame[0], FRAME_HEADER_BYTES)
        if header.length == 0 or frame_bytes(header.length) != frame.shape[0]:
            raise ValueError(f"a frame of {frame.shape[0]} bytes says {header.length}")
        if header.sequence != following or header.count == 0 or header.epoch != epoch:
            raise ValueError(f"frame {header.sequence} cannot be the one at {following}")
        following += header.count
        size += frame.shape[0]
    if size == 0:
        raise ValueError("no frames")
    return Group(following - sequence, size, header.crc)


# -- READING -----------------------------------------------------------------------------------

cdef inline uint64_t synced_before(const FrameHeader* header) noexcept nogil:
    """The last event that is known to be synced when this frame was written."""
    if header.unsynced == MAX_UNSYNCED or header.unsynced >= header.sequence:
        return 0
    return header.sequence - 1 - header.unsynced


cdef int check(
    const uint8_t* data, int64_t size, int64_t room, FrameHeader* found
) noexcept nogil:
    """GOOD where `data` starts with a frame, else why not: no GAP, the frame's place is not looked
    at. The data has `size` bytes, the file `room`, from here on."""
    cdef int64_t place
    if room <= 0:
        return STOP_END
    if room < FRAME_HEADER_BYTES:  # at the end of a segment there may be no room for a header
        for place in range(min(size, room)):
            if data[place]:
                return STOP_BAD
        return STOP_ZEROS if size >= room else STOP_CUT
    if size < FRAME_HEADER_BYTES:
        found.length = 0
        return STOP_CUT
    memcpy(found, data, FRAME_HEADER_BYTES)
    if found.length == 0:
        for place in range(FRAME_HEADER_BYTES):
            if data[place]:
                return STOP_BAD
        return STOP_ZEROS
    if found.count == 0 or found.reserved or frame_bytes(found.length) > room:
        return STOP_BAD
    if frame_bytes(found.length) > size:
        return STOP_CUT
    size = FRAME_HEADER_BYTES + <int64_t>found.length - UNSEALED_BYTES
    return GOOD if checksum(data + UNSEALED_BYTES, size, 0) == found.crc else STOP_BAD


@cython.final
cdef class Reader:
    """Where a scan stands."""

    cdef const uint8_t* data
    cdef int64_t size
    cdef int64_t room
    cdef int64_t at
    cdef uint64_t sequence
    cdef uint64_t last
    cdef uint64_t synced
    cdef uint32_t epoch
    cdef uint32_t crc
    cdef FrameHeader found

    cdef int step(self) noexcept nogil:
        """Check the next frame and go past it; GOOD, or why not."""
        cdef int stop
        if self.sequence > self.last:
            return STOP_END
        stop = check(self.data + self.at, self.size - self.at, self.room - self.at, &self.found)
        if stop != GOOD:
            return stop
        if self.found.sequence != self.sequence or self.found.epoch < self.epoch:
            return STOP_GAP
        self.at += frame_bytes(self.found.length)
        self.sequence += self.found.count
        self.epoch, self.crc = self.found.epoch, self.found.crc
        self.synced = synced_before(&self.found)
        return GOOD

    cdef int skip(self, uint64_t sequence) noexcept nogil:
        """Go past every frame that ends before `sequence`; GOOD where the next does not."""
        cdef FrameHeader following
        cdef int stop
        while True:
            if self.size - self.at >= FRAME_HEADER_BYTES:
                memcpy(&following, self.data + self.at, FRAME_HEADER_BYTES)
                if following.sequence == self.sequence and (
                    sequence < self.sequence + following.count
                ):
                    return GOOD
            stop = self.step()
            if stop != GOOD:
                return stop


def scan(bytes data not None, place not None, int64_t room, uint64_t from_sequence,
         uint64_t to_sequence):
    """Go through the frames of `data`, which is what stands at `place`, and check each.

    Those that hold any of the events `from_sequence` to `to_sequence` are returned; the scan ends
    with the latter. The file has `room` bytes from `place` on, the data maybe less.
    """
    cdef Reader reader = Reader.__new__(Reader)
    cdef list frames = []
    cdef object view = memoryview(data)
    cdef int64_t start = place.offset
    cdef int64_t body
    cdef int stop
    reader.data, reader.size = <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    reader.room, reader.at, reader.last = room, 0, to_sequence
    reader.sequence, reader.epoch, reader.crc = place.sequence, place.epoch, place.crc
    reader.synced = place.synced
    with nogil:
        stop = reader.skip(from_sequence)
    while stop == GOOD:
        body = reader.at + FRAME_HEADER_BYTES
        stop = reader.step()
        if stop == GOOD:
            frames.append(tuple.__new__(Frame, (
                reader.found.sequence, reader.found.count, reader.found.time_ns, reader.epoch,
                view[body:body + reader.found.length],
            )))
    wanted = frame_bytes(reader.found.length) if stop == STOP_CUT else 0
    ended = Place(start + reader.at, reader.sequence, reader.epoch, reader.crc, reader.synced)
    return Scan(frames, ended, Stop(stop), wanted)


def proof_of_damage(bytes data not None, uint64_t sequence):
    """The offset of a good frame by which the event `sequence` had been synced, or -1.

    `data` goes from where the event's frame should be to the end of the file.
    """
    cdef const uint8_t* start = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef int64_t size = PyBytes_GET_SIZE(data)
    cdef int64_t at = 8
    cdef FrameHeader found
    with nogil:
        while at + FRAME_HEADER_BYTES <= size:
            memcpy(&found, start + at, FRAME_HEADER_BYTES)
            if (
                found.sequence > sequence
                and synced_before(&found) >= sequence
                and check(start + at, size - at, size - at, &found) == GOOD
            ):
                break
            at += 8
    return at if at + FRAME_HEADER_BYTES <= size else -1


def end_of(bytes data not None):
    """How many bytes there are up to the last that is not zero."""
    cdef const uint8_t* start = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef int64_t size = PyBytes_GET_SIZE(data)
    cdef uint64_t word
    with nogil:
        while size >= 8:
            memcpy(&word, start + size - 8, 8)
            if word:
                break
            size -= 8
        while size and not start[size - 1]:
            size -= 1
    return size
