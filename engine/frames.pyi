from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple, final

HEADER_BYTES: Final[int]

class Stop(IntEnum):
    END = 0
    ZEROS = 1
    CUT = 2
    BAD = 3
    GAP = 4

class Frame(NamedTuple):
    sequence: int
    count: int  # type: ignore[assignment]
    time_ns: int
    epoch: int
    body: memoryview

class Place(NamedTuple):
    offset: int
    sequence: int
    epoch: int
    crc: int
    synced: int

class Scan(NamedTuple):
    frames: list[Frame]
    place: Place
    stop: Stop
    wanted: int

class Group(NamedTuple):
    count: int  # type: ignore[assignment]
    bytes: int
    crc: int

@final
class Reader: ...

def finish(
    buffer: bytearray | memoryview,
    body_bytes: int,
    *,
    sequence: int,
    time_ns: int,
    count: int,
    unsynced: int,
    epoch: int,
) -> int: ...
def group_of(
    frames: Iterable[bytes | bytearray | memoryview], sequence: int, epoch: int
) -> Group: ...
def scan(data: bytes, place: Place, room: int, from_sequence: int, to_sequence: int) -> Scan: ...
def proof_of_damage(data: bytes, sequence: int) -> int: ...
def end_of(data: bytes) -> int: ...
