"""A slow reader of frames, written from the format's description; what it and the engine read."""

import struct
from typing import Any

from fendan.engine.frames import Place, Stop, proof_of_damage, scan

HEADER = struct.Struct("<IIQqIIII")
MOST_UNSYNCED = 2**32 - 1
EVERYTHING = 2**63 - 1
Found = tuple[list[tuple[int, int, int, int, bytes]], tuple[int, int, int, int, int], Stop]


def table() -> list[int]:
    crcs = list(range(256))
    for _ in range(8):
        crcs = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in crcs]
    return crcs


CRCS = table()


def slow_crc(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ CRCS[(register ^ byte) & 255]
    return register ^ 0xFFFFFFFF


def padded(length: int) -> int:
    return (HEADER.size + length + 7) // 8 * 8


def frame_at(data: bytes, at: int, room: int) -> tuple[int, ...] | Stop:
    """The header of a whole frame there, or why there is none."""
    here = data[at:room][: HEADER.size]
    if at >= room:
        return Stop.END
    if len(here) < HEADER.size:
        return end_without_header(
            any(here), has_room=room - at >= HEADER.size, seen=len(data) >= room
        )
    header = HEADER.unpack(here)
    length, crc, _, _, count, _, _, reserved = header
    if length == 0 or count == 0 or reserved or at + padded(length) > room:
        return Stop.BAD if any(here) else Stop.ZEROS
    if at + padded(length) > len(data):
        return Stop.CUT
    return header if crc == slow_crc(data[at + 8 : at + HEADER.size + length]) else Stop.BAD


def end_without_header(is_written: bool, *, has_room: bool, seen: bool) -> Stop:
    if has_room:
        return Stop.CUT
    if is_written:
        return Stop.BAD
    return Stop.ZEROS if seen else Stop.CUT


def synced_before(sequence: int, unsynced: int) -> int:
    return 0 if unsynced == MOST_UNSYNCED else max(0, sequence - 1 - unsynced)


def slow_scan(data: bytes, place: Place, room: int, start: int, end: int) -> Found:
    """What `scan` returns, but for what it wants."""
    frames = []
    offset, sequence, epoch, crc, synced = place
    at, stop = 0, Stop.END
    while sequence <= end:
        header = frame_at(data, at, room)
        if isinstance(header, Stop):
            stop = header
            break
        if header[2] != sequence or header[6] < epoch:
            stop = Stop.GAP
            break
        length, crc, _, time_ns, count, unsynced, epoch, _ = header
        if sequence + count > start:
            body = data[at + HEADER.size : at + HEADER.size + length]
            frames.append((sequence, count, time_ns, epoch, body))
        at, synced = at + padded(length), synced_before(sequence, unsynced)
        sequence += count
    return frames, (offset + at, sequence, epoch, crc, synced), stop


def slow_proof(data: bytes, sequence: int) -> int:
    """What `proof_of_damage` returns."""
    for at in range(8, len(data) - HEADER.size + 1, 8):
        header = frame_at(data, at, len(data))
        if not isinstance(header, Stop):
            later, unsynced = header[2], header[5]
            if later > sequence and synced_before(later, unsynced) >= sequence:
                return at
    return -1


def our_scan(data: bytes, place: Place, room: int, start: int, end: int) -> Found:
    """What the engine reads."""
    found = scan(data, place, room, start, end)
    frames: list[Any] = [(*frame[:-1], bytes(frame.body)) for frame in found.frames]
    return frames, tuple(found.place), found.stop


def agree_on(data: bytes) -> None:
    """Hold both readers against each other. The first eight bytes say how the rest is read."""
    if len(data) < 8:
        return
    sequence, epoch, more, start, span, cut, _, _ = data[:8]
    frames = data[8:]
    place = Place(64, sequence + 1, epoch, 17, 3)
    end = start + span if span else EVERYTHING
    expected = slow_scan(frames, place, len(frames) + more, start, end)
    assert our_scan(frames, place, len(frames) + more, start, end) == expected
    assert proof_of_damage(frames, sequence) == slow_proof(frames, sequence)

    # What is read in two parts is what is read at once.
    cut = min(8 * cut, len(frames))
    first, second, stop = our_scan(frames[:cut], place, len(frames) + more, start, end)
    if stop is Stop.CUT or (stop is Stop.END and second[1] <= end):
        there = second[0] - place.offset
        rest, final, stop = our_scan(
            frames[there:], Place(*second), len(frames) + more - there, start, end
        )
        assert (first + rest, final, stop) == expected
