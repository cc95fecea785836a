"""Frames: what is sealed is found again; what is not whole is told from what is damaged."""

import random
import struct

import pytest

from fendan.engine.checksum import crc32c
from fendan.engine.frames import (
    HEADER_BYTES,
    Place,
    Scan,
    Stop,
    end_of,
    finish,
    group_of,
    proof_of_damage,
    scan,
)
from framing import Written, a_row, read_back, written

EVERYTHING = 2**63 - 1
FIELDS = struct.Struct("<IIQqIIII")


def bytes_of(frames: list[Written]) -> bytes:
    return b"".join(frame.frame() for frame in frames)


def scanned(
    data: bytes,
    *,
    room: int | None = None,
    sequence: int = 1,
    epoch: int = 1,
    start: int = 0,
    end: int = EVERYTHING,
) -> Scan:
    place = Place(0, sequence, epoch, 0, 0)
    return scan(data, place, len(data) if room is None else room, start, end)


# -- WRITING -------------------------------------------------------------------------------------


def test_a_frame_is_what_the_format_says() -> None:
    buffer = bytearray(b"\xff" * 64)
    buffer[HEADER_BYTES : HEADER_BYTES + 5] = b"eight"
    size = finish(buffer, 5, sequence=7, time_ns=-1, count=3, unsynced=2, epoch=9)
    rest = FIELDS.pack(5, 0, 7, -1, 3, 2, 9, 0)[8:] + b"eight"
    assert size == 48
    assert bytes(buffer[:48]) == struct.pack("<II", 5, crc32c(rest)) + rest + bytes(3)
    assert bytes(buffer[48:]) == b"\xff" * 16


def test_a_frame_without_events_or_body_or_room_is_refused() -> None:
    for body_bytes, sequence, count in [(0, 1, 1), (9, 1, 1), (-1, 1, 1), (8, 0, 1), (8, 1, 0)]:
        buffer = bytearray(48)
        with pytest.raises(ValueError, match="frame"):
            finish(
                buffer, body_bytes, sequence=sequence, time_ns=0, count=count, unsynced=0, epoch=1
            )
        assert buffer == bytes(48)


def test_a_group_is_counted() -> None:
    frames = [written(5, count=3), written(8, count=2), written(10)]
    data = [frame.frame() for frame in frames]
    group = group_of(data, 5, 1)
    assert (group.count, group.bytes) == (6, sum(map(len, data)))
    assert group.crc == FIELDS.unpack_from(data[-1])[1]


def test_a_group_of_anything_but_whole_frames_in_order_is_refused() -> None:
    first, second = written(1).frame(), written(2).frame()
    for frames, epoch in [
        ([], 1),
        ([second, first], 1),
        ([first, first], 1),
        ([first], 2),
        ([first[:-8]], 1),
        ([first + bytes(8)], 1),
        ([first[:20]], 1),
        ([bytes(48)], 1),
    ]:
        with pytest.raises(ValueError):
            group_of(frames, 1, epoch)


# -- READING -------------------------------------------------------------------------------------


def test_what_was_sealed_is_found_again() -> None:
    chance = random.Random(1)
    frames, sequence = [], 1
    for size in [1, 7, 8, 9, 5000, *(chance.randrange(1, 300) for _ in range(50))]:
        count = chance.randrange(1, 9)
        frames.append(Written(sequence, count, size - 100, 1, chance.randbytes(size)))
        sequence += count
    found = scanned(bytes_of(frames))
    assert list(read_back(found.frames)) == frames
    assert (found.stop, found.place.sequence) == (Stop.END, sequence)


def test_only_frames_that_hold_the_events_asked_for_are_returned() -> None:
    frames = [written(1, count=3), written(4, count=3), written(7, count=3), written(10)]
    data = bytes_of(frames)
    for start in range(12):
        for end in range(start, 12):
            found = scanned(data, start=start, end=end)
            wanted = [frame for frame in frames if frame.last >= start and frame.sequence <= end]
            assert list(read_back(found.frames)) == wanted
            assert found.stop is Stop.END


def test_where_zeros_begin_the_frames_end() -> None:
    found = scanned(bytes_of(a_row(3)) + bytes(100))
    assert (len(found.frames), found.stop) == (3, Stop.ZEROS)
    assert scanned(bytes_of(a_row(3)) + bytes(16)).stop is Stop.ZEROS
    assert scanned(bytes_of(a_row(3)) + bytes(15) + b"x").stop is Stop.BAD
    assert scanned(bytes_of(a_row(3)) + bytes(39) + b"x").stop is Stop.BAD


def test_a_frame_that_goes_on_beyond_the_bytes_says_how_many_it_has() -> None:
    data = bytes_of([written(1), written(2, body=bytes(500))])
    first = len(written(1).frame())
    for size in range(first + HEADER_BYTES, len(data)):
        found = scanned(data[:size], room=len(data))
        assert (found.stop, found.wanted, found.place.offset) == (Stop.CUT, 544, first)
    for size in range(first, first + HEADER_BYTES):
        assert scanned(data[:size], room=len(data)).stop is Stop.CUT
    assert scanned(data[:-8]).stop is Stop.BAD  # nor can it be longer than the file


def test_no_flipped_bit_goes_unnoticed() -> None:
    frames = a_row(3)
    data = bytes_of(frames)
    size = len(frames[0].frame())
    unpadded = HEADER_BYTES + len(frames[0].body)
    padding = {at for n in range(3) for at in range(n * size + unpadded, (n + 1) * size)}
    for at in set(range(len(data))) - padding:
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            found = scanned(bytes(changed))
            assert list(read_back(found.frames)) == frames[: at // size]
            assert found.stop is not Stop.END


def test_a_frame_of_another_place_or_an_older_epoch_is_none_of_ours() -> None:
    data = bytes_of([written(1, epoch=5), written(2, epoch=5)])
    assert scanned(data, epoch=5).stop is Stop.END
    assert scanned(data, epoch=4).stop is Stop.END
    assert scanned(data, epoch=6).stop is Stop.GAP
    assert scanned(data, sequence=2).stop is Stop.GAP
    assert scanned(bytes_of([written(1), written(3)])).stop is Stop.GAP
    assert scanned(bytes_of([written(1, epoch=2), written(2, epoch=1)])).stop is Stop.GAP


# -- TORN OR DAMAGED -----------------------------------------------------------------------------


def test_a_later_frame_proves_damage_where_it_says_that_the_lost_one_was_synced() -> None:
    lost = bytes(48)
    for synced, proves in [(0, False), (1, False), (2, True), (3, True)]:
        late = bytes(written(4).frame(synced))
        assert proof_of_damage(lost + late, 2) == (len(lost) if proves else -1)
    unsure, sure = bytes(written(3).frame(1)), bytes(written(4).frame(2))
    assert proof_of_damage(lost + unsure + sure, 2) == len(lost + unsure)


def test_what_is_no_frame_proves_nothing() -> None:
    late = written(4).frame()
    late[-1 - 8] ^= 1
    assert proof_of_damage(bytes(48) + bytes(late), 2) == -1
    assert proof_of_damage(bytes(written(2).frame()) * 2, 2) == -1
    assert proof_of_damage(b"", 1) == -1
    assert proof_of_damage(random.Random(1).randbytes(10_000), 1) == -1


def test_a_frame_that_does_not_know_what_was_synced_proves_nothing() -> None:
    buffer = bytearray(48)
    buffer[40] = 1
    finish(buffer, 8, sequence=2**40, time_ns=0, count=1, unsynced=2**40 - 1, epoch=1)
    assert proof_of_damage(bytes(48) + bytes(buffer), 2) == -1


def test_the_end_is_after_the_last_byte_that_is_not_zero() -> None:
    for size in range(40):
        for last in range(size):
            assert end_of(bytes(last) + b"x" + bytes(size - last - 1)) == last + 1
        assert end_of(bytes(size)) == 0
