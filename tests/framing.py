"""Frames for the tests of the log: their bodies say which events they hold."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fendan.engine.frames import HEADER_BYTES, Frame, finish


class Written(NamedTuple):
    """What should be read back of a frame."""

    sequence: int
    count: int
    time_ns: int
    epoch: int
    body: bytes

    @property
    def last(self) -> int:
        return self.sequence + self.count - 1

    def frame(self, synced: int | None = None) -> bytearray:
        """Its bytes, sealed. `synced` is the last event known to be synced, else all before it."""
        buffer = bytearray(HEADER_BYTES) + self.body + bytes(8)
        size = finish(
            buffer,
            len(self.body),
            sequence=self.sequence,
            time_ns=self.time_ns,
            count=self.count,
            unsynced=0 if synced is None else self.sequence - 1 - synced,
            epoch=self.epoch,
        )
        del buffer[size:]
        return buffer


def written(sequence: int, *, count: int = 1, epoch: int = 1, body: bytes = b"") -> Written:
    """One frame; nothing about it is left to chance."""
    return Written(sequence, count, 10 * sequence, epoch, body or b"events from %d on" % sequence)


def a_row(count: int, *, sequence: int = 1, epoch: int = 1) -> list[Written]:
    """Frames of one event each, one after the other."""
    return [written(sequence + place, epoch=epoch) for place in range(count)]


def read_back(frames: Iterable[Frame]) -> Iterator[Written]:
    for frame in frames:
        yield Written(*frame[:-1], bytes(frame.body))
