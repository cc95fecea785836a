"""Engines that survive: opened from a folder, closed, looked after by snapshots."""

import json
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fendan.core import Core
from fendan.engine.audit import audit
from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.errors import BreachError, Fault, FendanError, refuse
from fendan.journal import Durability, Journal
from fendan.log import Claim, Log
from fendan.recovery import Recovery, recover, settings_text
from fendan.snapshotting import Snapshots

__all__ = ["DurableFace", "JournalStats"]


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

    def _begin(
        self,
        log: Log,
        claim: Claim,
        durability: Durability,
        datum: Datum | None,
        remembered_orders: int | None,
    ) -> tuple[Journal, Recovery]:
        """Recover, in an engine that is new, what the log tells of; and go on writing it."""
        self.recovery = recovery = recover(self, log)
        journal = Journal(log, claim.epoch, claim.last_sequence, durability)
        self._journal, self._orders.events = journal, journal.events
        self._settle(recovery.last_sequence > 0, datum, remembered_orders)
        return journal, recovery

    def _settle(self, is_known: bool, datum: Datum | None, remembered_orders: int | None) -> None:
        """Hold the settings against the folder's, and write down those that are new."""
        if is_known and datum not in (None, self._datum):
            hint = f"the folder's is {self._datum.value}"
            refuse(Fault.OUT_OF_RANGE, "datum", datum, hint=hint)
        wanted = self._orders.remembered if remembered_orders is None else remembered_orders
        if is_known and wanted == self._orders.remembered:
            return
        with self._command():
            self._orders.remembered = wanted
            self._writer().begin(0, 256).texts(EventKind.SETTINGS, [settings_text(self).encode()])

    def close(self) -> None:
        """Write what there is, and let go of the folder. Closing twice is closing once.

        An engine that is closed accepts nothing more. In memory there is nothing to close.
        """
        with suppress(FendanError):  # closed before, or broken
            self._before_close()
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

    def check(self) -> None:
        """Hold every count against every order, as `fendan check` does for a folder.

        Looks at all of it at once: some milliseconds for a million pairs. Raises BreachError where
        a promise is broken; an engine with a journal then accepts nothing more.
        """
        with self._command():
            found = audit(self._orders, self._journal is not None)
            if found.problem is not None:
                refuse(Fault.BREACH, "engine", hint=found.problem)

    def _dump(self, folder: Path, error: BreachError) -> None:
        """Leave behind what is known when a promise was broken, for whoever looks into it."""
        stats = self.journal_stats()
        known = {
            "error": error.message,
            "where": "".join(traceback.format_exception(error)),
            "time_ns": self._last_ns,
            "journal": None if stats is None else asdict(stats),
            "stores": len(self._network.store_ids),
            "skus": len(self._stock.skus),
            "orders": len(self._orders),
            "audit": audit(self._orders)._asdict(),
        }
        path = folder / f"breach-{self._last_ns}.json"
        with suppress(OSError):
            path.write_text(json.dumps(known, indent=2), encoding="utf-8")

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
