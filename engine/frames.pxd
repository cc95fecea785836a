"""Frames of the journal: sealed here, and found again."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    FRAME_HEADER_BYTES = 40
    MAX_UNSYNCED = 0xFFFFFFFF   # so many, or more


# The first bytes of a frame, little endian as every processor that we build for.
cdef struct FrameHeader:
    uint32_t length             # of the body, in bytes; never 0
    uint32_t crc                # of all that follows, to the end of the body
    uint64_t sequence           # of its first event, from 1
    int64_t time_ns
    uint32_t count              # of its events
    uint32_t unsynced           # events before it that may be in no disk yet, when it is written
    uint32_t epoch
    uint32_t reserved           # 0


cdef inline int64_t frame_bytes(int64_t body_bytes) noexcept nogil:
    """What a frame takes up: header and body, padded to a multiple of eight."""
    return (FRAME_HEADER_BYTES + body_bytes + 7) & ~<int64_t>7


cdef void seal(void* frame, const FrameHeader* header) noexcept nogil
