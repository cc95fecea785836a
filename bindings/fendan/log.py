"""The contract of a log: what a journal needs of whatever keeps its frames.

`filelog.FileLog` keeps them in a folder. A log that is replicated to other machines keeps the same
contract; nothing above it knows which.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from fendan.disk import Buffer
from fendan.engine.frames import Frame

__all__ = ["Buffer", "Claim", "Frame", "Log", "Outcome", "Snapshot"]


class Outcome(Enum):
    """What became of something that was to be written."""

    OK = "ok"
    """It is there; where it was to be durable, for good."""
    FENCED = "fenced"
    """Another has claimed the log since. Nothing was written, nor ever will be."""
    UNKNOWN = "unknown"
    """Writing failed and nobody knows what is there. The log takes no more until it is claimed."""


class Claim(NamedTuple):
    """What the owner of a log has."""

    epoch: int
    """Greater than that of every owner before."""
    last_sequence: int
    """Of the last event in the log, which is there for good; 0 where there is none."""


class Snapshot(NamedTuple):
    """The state after the event `sequence`."""

    sequence: int
    epoch: int
    data: memoryview


class Log(Protocol):
    """Events in frames (`engine/frames`), numbered from 1 without a gap, and snapshots.

    Every method but `append` and `flush` may raise CorruptJournalError, NewerFormatError or
    DiskError. Any number of threads may call them.
    """

    trouble: str
    """What went wrong where `append` or `flush` gave UNKNOWN, for people; else ""."""

    def claim(self, owner: str) -> Claim:
        """Become the only owner, with all that was acknowledged; `owner` says who, to others.

        A torn tail is cut. Raises FolderInUseError where there is an owner, and what else is wrong
        before anything has changed.
        """

    def append(
        self, epoch: int, sequence: int, frames: Sequence[Buffer], *, durable: bool = True
    ) -> Outcome:
        """Append whole frames, in order, whose first event is `sequence`.

        `durable=False` returns when other processes could see them. Raises ValueError for what are
        not the next frames.
        """

    def flush(self) -> Outcome:
        """Make all that was appended durable."""

    def read(self, from_sequence: int, to_sequence: int | None = None) -> Iterator[Frame]:
        """The frames that hold the events from one to another (else the last) inclusive.

        The first may begin before and the last end after them. Without a claim it ends with the
        first frame that is not there yet.
        """

    def put_snapshot(self, epoch: int, sequence: int, parts: Iterable[Buffer]) -> Outcome:
        """Keep a state, as it was after the event `sequence`; the two newest are kept.

        UNKNOWN says that it was not kept; the log still takes frames.
        """

    def first_sequence(self) -> int:
        """The number of the oldest event that is still there; of the next, where there is none."""

    def latest_snapshot(self, up_to: int | None = None) -> Snapshot | None:
        """The newest that is whole: a damaged one is passed over, and one beyond `up_to`."""

    def trim(self, sequence: int) -> None:
        """Events before `sequence` may go, but for those after the older of the two snapshots."""

    def close(self) -> None:
        """Flush and give up ownership; harmless where there is none."""
