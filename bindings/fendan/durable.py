"""Engines that survive: opened from a folder, closed, looked after by snapshots."""

import os
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from fendan.core import Clock, Core
from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.filelog import FileLog
from fendan.journal import Durability, Journal
from fendan.log import Log
from fendan.model import Policy
from fendan.recovery import Recovery, recover, settings_text
from fendan.snapshotting import Snapshots

__all__ = ["SNAPSHOT_BYTES", "DurableFace", "JournalStats"]

# So much journal is replayed in a few seconds.
SNAPSHOT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStats:
    """How a journal stands. `failure`: why it accepts nothing more, or ""."""

    last_sequence: int
    durable_sequence: int
    snapshot_sequence: int
    bytes_written: int
    syncs: int
    last_sync_s: float
    failure: str
    snapshot_failure: str


class DurableFace(Core):
    """What an engine with a journal can do, and one in memory refuses."""

    recovery: Recovery | None = None
    """What `open` came back with; None for an engine in memory."""

    _snapshots: Snapshots | None = None

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        durability: str | Durability = Durability.SYNC,
        policy: Policy | None = None,
        datum: Datum | None = None,
        remembered_orders: int | None = None,
        snapshot_bytes: int = SNAPSHOT_BYTES,
        clock: Clock | None = None,
        log: Log | None = None,
    ) -> Self:
        """An engine whose journal is in the folder `path`: as it was, or new where there is none.

        `durability`: "sync" (what was answered survives a power cut), "async" (a killed process;
        a power cut may take the last 20 ms), or "none". `datum` and `remembered_orders` are those
        of the folder unless given; another datum than the folder's is refused. After every
        `snapshot_bytes` of journal a snapshot is taken, in a process of its own; 0: never.
        `log`: where else the journal is than in a folder.

        Raises FolderInUseError, CorruptJournalError (saying where), NewerFormatError, DiskError.
        """
        durability = _durability(durability)
        folder = Path(path) if log is None else None
        log = FileLog(Path(path)) if log is None else log
        epoch, last_sequence = log.claim(f"process {os.getpid()}")
        try:
            engine = cls._recovered(log, policy, datum, remembered_orders, clock)
            journal = Journal(log, epoch, last_sequence, durability)
            engine._journal, engine._orders.events = journal, journal.events
            engine._snapshots = Snapshots(engine, journal, folder, snapshot_bytes)
            engine._snapshots.last_sequence = engine.recovery.snapshot_sequence
            engine._settle(datum, remembered_orders)
        except BaseException:
            log.close()
            raise
        return engine

    @classmethod
    def _recovered(
        cls,
        log: Log,
        policy: Policy | None,
        datum: Datum | None,
        remembered_orders: int | None,
        clock: Clock | None,
    ) -> Self:
        """An engine in the state that the log tells of."""
        arguments = {"policy": policy, "datum": datum, "remembered_orders": remembered_orders}
        given = {name: value for name, value in arguments.items() if value is not None}
        engine = cls(**given, clock=clock)
        engine.recovery = recover(engine, log)
        return engine

    def _settle(self, datum: Datum | None, remembered_orders: int | None) -> None:
        """Hold the settings against the folder's, and write down those that are new."""
        assert self.recovery is not None
        if self.recovery.last_sequence and datum not in (None, self._datum):
            hint = f"the folder's is {self._datum.value}"
            refuse(Fault.OUT_OF_RANGE, "datum", datum, hint=hint)
        wanted = self._orders.remembered if remembered_orders is None else remembered_orders
        if self.recovery.last_sequence and wanted == self._orders.remembered:
            return
        with self._command():
            self._orders.remembered = wanted
            self._writer().begin(0, 256).texts(
                EventKind.SETTINGS, [settings_text(self).encode()]
            )

    def close(self) -> None:
        """Write what there is, and let go of the folder. Closing twice is closing once.

        An engine that is closed accepts nothing more. In memory there is nothing to close.
        """
        if self._snapshots is not None:
            self._snapshots.close()
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def snapshot(self) -> int:
        """Take a snapshot, and return the number of the last event in it.

        It is taken by a process of its own, which recovers from the log as `open` does: this
        engine goes on meanwhile. Raises NoJournalError, DiskError.
        """
        self._writer()
        assert self._snapshots is not None
        return self._snapshots.take()

    def journal_stats(self) -> JournalStats | None:
        """How the journal stands; None for an engine in memory."""
        journal, snapshots = self._journal, self._snapshots
        if journal is None or snapshots is None:
            return None
        return JournalStats(
            last_sequence=journal.sequence,
            durable_sequence=journal.durable_sequence,
            snapshot_sequence=snapshots.last_sequence,
            bytes_written=journal.bytes_written,
            syncs=journal.syncs,
            last_sync_s=journal.last_sync_s,
            failure=journal.failure,
            snapshot_failure=snapshots.failure,
        )

    def _writer(self) -> Journal:
        """The journal. Raises NoJournalError."""
        if self._journal is None:
            hint = "everything is in memory; use Engine.open"
            refuse(Fault.NO_JOURNAL, "engine", hint=hint)
        return self._journal


def _durability(value: str | Durability) -> Durability:
    try:
        return Durability(value)
    except ValueError:
        hint = "must be sync, async or none"
        refuse(Fault.OUT_OF_RANGE, "durability", value, hint=hint)
