"""`check`: every promise about what was kept, held against every event and every count."""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from fendan import state
from fendan.core import Core
from fendan.engine.audit import audit
from fendan.engine.geo import Datum
from fendan.engine.orders import REMEMBERED
from fendan.engine.tally import Tally, totals
from fendan.errors import FendanError
from fendan.filelog import FileLog
from fendan.log import Log
from fendan.recovery import recover

__all__ = ["CheckLine", "Report", "check", "check_log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One promise, how much was looked at, and what breaks it, or None."""

    name: str
    looked_at: int
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found."""

    lines: list[CheckLine]

    @property
    def is_good(self) -> bool:
        """Whether every promise is kept."""
        return all(line.problem is None for line in self.lines)


def check(folder: str | PathLike[str]) -> Report:
    """Check the journal in a folder, which another process may be writing, from end to end."""
    return check_log(FileLog(Path(folder)))


def check_log(log: Log) -> Report:
    """Check a log and its snapshots; a promise that cannot be looked at is one that is broken."""
    lines: list[CheckLine] = []

    def line(name: str, look: Callable[[], int]) -> bool:
        try:
            lines.append(CheckLine(name=name, looked_at=look(), problem=None))
        except (FendanError, _BrokenError) as error:
            lines.append(CheckLine(name=name, looked_at=0, problem=str(error)))
        return lines[-1].problem is None

    replayed = _Replayed(log)
    promises: list[tuple[str, Callable[[], int]]] = [
        ("every frame is whole, in order, of one epoch after another", replayed.frames),
        ("events follow from one another, each order is there once", replayed.replay),
        ("what left and what is there is what came", replayed.conserved),
        ("counts, their bitmaps and the orders agree", replayed.audited),
        ("a snapshot and the events after it give the same state", replayed.compared),
    ]
    for name, look in promises:
        if not line(name, look):
            break
    return Report(lines=lines)


class _BrokenError(Exception):
    """A promise that is not kept."""


def _beginning(log: Log) -> int:
    """The event after which a check begins: 0, or that of a trimmed log's older snapshot."""
    newest = log.latest_snapshot() if log.first_sequence() > 1 else None
    if newest is None:
        return 0
    older = log.latest_snapshot(newest.sequence - 1)
    return newest.sequence if older is None else older.sequence


class _Replayed:
    """A log replayed from its beginning, and what was seen on the way.

    One that was trimmed begins with the older of its snapshots, whose counts are taken for granted.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tally = Tally()
        self._core = Core(Datum.WGS84, REMEMBERED)
        self._begin = _beginning(log)
        self._before = (0, 0)  # on hand and reserved, before the first event
        self._last = self._begin

    def frames(self) -> int:
        """Read every frame; returns how many there are."""
        count, epoch, time_ns = 0, 0, 0
        oldest = self._log.first_sequence()
        last = oldest - 1
        for frame in self._log.read(oldest):
            if frame.sequence != last + 1:
                raise _BrokenError(f"event {last + 1} is missing")
            if frame.epoch < epoch or frame.time_ns < time_ns:
                raise _BrokenError(f"event {frame.sequence} is of an epoch or time before the last")
            if frame.sequence > self._begin:
                self._tally.add(frame.body, frame.sequence, frame.count)
            last = frame.sequence + frame.count - 1
            count, epoch, time_ns = count + 1, frame.epoch, frame.time_ns
        self._last = max(last, self._begin)
        return count

    def replay(self) -> int:
        """Apply every event; returns how many there are."""
        if self._begin:
            first = Core(Datum.WGS84, REMEMBERED)
            recover(first, self._log, to_sequence=self._begin)
            self._before = totals(first._stock)
        return recover(
            self._core, self._log, to_sequence=self._last, snapshot_up_to=self._begin
        ).events

    def conserved(self) -> int:
        """Hold what events changed in all against what there is; returns pieces on hand."""
        changes = self._tally.changes().values()
        on_hand, reserved = self._before
        expected = (
            on_hand + sum(one.on_hand for one in changes),
            reserved + sum(one.reserved for one in changes),
        )
        found = totals(self._core._stock)
        if expected != found:
            what = "on hand and reserved are {} and {}, and by the events {} and {}"
            raise _BrokenError(what.format(*found, *expected))
        return found[0]

    def audited(self) -> int:
        """Look at all counts and all orders; returns how many pairs and orders."""
        found = audit(self._core._orders)
        if found.problem is not None:
            raise _BrokenError(found.problem)
        return found.pairs + found.orders

    def compared(self) -> int:
        """Recover as an engine would; returns how many snapshots that began with."""
        other = Core(Datum.WGS84, REMEMBERED)
        recovery = recover(other, self._log, to_sequence=self._last)
        if state.state_hash(other) != state.state_hash(self._core):
            after = f"the snapshot after event {recovery.snapshot_sequence}"
            raise _BrokenError(f"{after} leads to another state than the events without it")
        return int(recovery.snapshot_sequence > 0)
