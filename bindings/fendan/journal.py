"""The journal of an engine: what each command did, on disk before anyone is told.

    command   under the engine's lock: change the state, write events, seal them as one frame
    wait      without it: whoever comes first writes and syncs all frames that are there, for all

So a sync is shared by everyone who came while the one before it lasted, and the engine computes on
meanwhile. After the first failure nobody knows what is on disk: the journal is poisoned, nothing is
acknowledged any more, and opening the engine again finds out.
"""

import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, NoReturn

from fendan.engine.events import Events
from fendan.engine.frames import HEADER_BYTES, finish
from fendan.errors import BreachError, Fault, FendanError, refuse
from fendan.log import Log, Outcome

__all__ = ["Durability", "Journal"]

# With "async", what was answered is on its way to the disk for no longer than this.
ASYNC_DELAY_S = 0.02


class Durability(Enum):
    """What is certain when a command returns."""

    SYNC = "sync"
    """It survives a power cut."""
    ASYNC = "async"
    """It survives a killed process; a power cut may take the last 20 milliseconds."""
    NONE = "none"
    """It survives a killed process; a power cut may take what the system has not written yet."""


class _Sealed(NamedTuple):
    """One command's events, to be written; the frame's header is still blank."""

    frame: bytearray
    body_bytes: int
    sequence: int
    events: int
    time_ns: int


class Journal:
    """Writes the events of one engine to one log, which it has claimed."""

    def __init__(self, log: Log, epoch: int, last_sequence: int, durability: Durability) -> None:
        self.log = log
        self.epoch = epoch
        self.durability = durability
        self.events = Events(spare=HEADER_BYTES)
        self.sequence = last_sequence
        """Of the last event that was sealed; under the engine's lock."""
        self.written_sequence = last_sequence
        self.durable_sequence = last_sequence
        """Of the last event that is as safe as it will be."""
        self._synced_sequence = last_sequence  # of the last event that was synced
        self.bytes_written = 0
        self.syncs = 0
        self.last_sync_s = 0.0
        self.on_write: Callable[[], None] | None = None
        """Called after each write, by whoever wrote; to be quick."""
        self.on_breach: Callable[[BreachError], None] | None = None
        """Called when the engine has caught itself breaking a promise, under its lock."""
        self._pending: list[_Sealed] = []
        self._writing = False
        self._closing = False
        self._failure: FendanError | None = None
        self._is_changing = False
        self._turn = threading.Condition()
        self._flusher: threading.Thread | None = None
        if durability is Durability.ASYNC:
            self._flusher = threading.Thread(target=self._flush, name="fendan-flush", daemon=True)
            self._flusher.start()

    @property
    def failure(self) -> str:
        """Why nothing more is accepted, or ""."""
        return "" if self._failure is None else self._failure.message

    # -- UNDER THE ENGINE'S LOCK ---------------------------------------------------------------

    def check(self) -> None:
        """Raise JournalError, or the breach that was found, if nothing more can be accepted."""
        if self._failure is not None:
            self._raise()

    def begin(self, rows: int, text_bytes: int = 0, events: int = 1) -> Events:
        """Make room for what a command will write; from here on it must not fail half way."""
        self.events.make_room(rows, text_bytes, events)
        self._is_changing = True
        return self.events

    def end(self, time_ns: int, error: BaseException | None) -> int:
        """Seal what a command did; returns the number of the last event.

        A command that failed after it had begun to change things has left memory and journal
        apart, and only the journal counts: nothing more is accepted.
        """
        try:
            if error is None:
                return self._seal(time_ns)
            if isinstance(error, BreachError):
                self.poison(error)
                if self.on_breach is not None:
                    self.on_breach(error)
            elif self._is_changing or len(self.events):
                self.poison(hint=f"a command was left half done: {error!r}")
            return self.sequence
        except BaseException as failure:
            self.poison(hint=f"a command was left half done: {failure!r}")
            raise
        finally:
            self._is_changing = False

    def _seal(self, time_ns: int) -> int:
        """Make one frame of the events of a command."""
        events = self.events
        if count := len(events):
            body_bytes = events.size
            sealed = _Sealed(events.padded(), body_bytes, self.sequence + 1, count, time_ns)
            events.clear()
            self.sequence += count
            with self._turn:
                self._pending.append(sealed)
        return self.sequence

    def poison(self, error: FendanError | None = None, hint: str = "") -> FendanError:
        """Accept nothing any more; returns the error that everyone gets from now on."""
        with self._turn:
            if self._failure is None:
                self._failure = error or _failed(hint)
            self._turn.notify_all()
            return self._failure

    # -- WITHOUT IT ----------------------------------------------------------------------------

    def wait(self, sequence: int) -> None:
        """Return when everything up to this event is as safe as `durability` promises.

        Raises JournalError where that cannot be: then nobody knows.
        """
        while True:
            with self._turn:
                while self.written_sequence < sequence and self._writing and not self._failure:
                    self._turn.wait()
                if self.written_sequence >= sequence:
                    return
                if self._failure is not None:
                    self._raise()
                self._writing = True
                pending, self._pending = self._pending, []
            self._write(pending)

    def wait_for_durable(self, sequence: int, timeout_s: float) -> bool:
        """Wait until the event with this number is durable; whether it is, within the timeout."""
        with self._turn:
            self._turn.wait_for(
                lambda: self.durable_sequence >= sequence or self._closing or self._failure,
                timeout_s,
            )
            return self.durable_sequence >= sequence

    def flush(self) -> None:
        """Write and sync what was sealed so far, whatever `durability` is. Raises JournalError."""
        self.wait(self.sequence)
        self._sync()
        self.check()

    def close(self) -> None:
        """Write and sync what there is, and let go of the log. Closing twice is closing once."""
        with self._turn:
            if self._closing:
                return
            self._closing = True
            self._turn.notify_all()
        if self._flusher is not None:
            self._flusher.join()
        try:
            if self._failure is None:
                self.flush()
        finally:
            # In this order: who comes now is told why, and who is writing may still end well.
            self.poison(hint="the engine is closed")
            self.log.close()

    # -- WRITING -------------------------------------------------------------------------------

    def _write(self, pending: Sequence[_Sealed]) -> None:
        """Append these frames for everyone who waits. One thread at a time."""
        outcome = Outcome.UNKNOWN
        began_s = time.perf_counter()
        try:
            for sealed in pending:
                finish(
                    sealed.frame,
                    sealed.body_bytes,
                    sequence=sealed.sequence,
                    time_ns=sealed.time_ns,
                    count=sealed.events,
                    unsynced=sealed.sequence - 1 - self._synced_sequence,
                    epoch=self.epoch,
                )
            outcome = self.log.append(
                self.epoch,
                pending[0].sequence,
                [sealed.frame for sealed in pending],
                durable=self.durability is Durability.SYNC,
            )
        finally:
            self.last_sync_s = time.perf_counter() - began_s
            self._written(pending, outcome)
        if self.on_write is not None:
            self.on_write()

    def _written(self, pending: Sequence[_Sealed], outcome: Outcome) -> None:
        with self._turn:
            self._writing = False
            if outcome is Outcome.OK:
                self.written_sequence = pending[-1].sequence + pending[-1].events - 1
                self.bytes_written += sum(len(sealed.frame) for sealed in pending)
                if self.durability is not Durability.ASYNC:
                    self.durable_sequence = self.written_sequence
                if self.durability is Durability.SYNC:
                    self._synced_sequence = self.written_sequence
                    self.syncs += 1
            elif self._failure is None:
                self._failure = _failed(
                    "another process has taken the folder, or its LOCK was removed"
                    if outcome is Outcome.FENCED
                    else self._disk_error()
                )
            self._turn.notify_all()

    def _flush(self) -> None:
        """Sync again and again what was written, until closed; for "async"."""
        with self._turn:
            while not self._closing and self._failure is None:
                self._turn.wait(ASYNC_DELAY_S)
                if self.durable_sequence < self.written_sequence:
                    self._turn.release()
                    try:
                        self._sync()
                    finally:
                        self._turn.acquire()

    def _sync(self) -> None:
        """Sync what was written so far."""
        with self._turn:
            written = self.written_sequence
        if self.durability is not Durability.SYNC and self.log.flush() is not Outcome.OK:
            self.poison(hint=self._disk_error())
            return
        with self._turn:
            self.durable_sequence = max(self.durable_sequence, written)
            self._synced_sequence = max(self._synced_sequence, written)
            self.syncs += 1
            self._turn.notify_all()

    def _disk_error(self) -> str:
        trouble = self.log.trouble or "nobody knows what is on the disk"
        return f"{trouble}; open the engine again"

    def _raise(self) -> NoReturn:
        failure = self._failure
        assert failure is not None
        refuse(failure.fault, failure.field, failure.value, hint=failure.hint)


def _failed(hint: str) -> FendanError:
    try:
        refuse(Fault.JOURNAL, "journal", hint=hint)
    except FendanError as error:
        return error
