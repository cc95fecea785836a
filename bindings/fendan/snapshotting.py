"""Snapshots of an engine that goes on meanwhile.

Another process recovers from the log, as `Engine.open` does, up to an event that is durable, and
writes down the state it comes to. So the engine is neither stopped nor copied, and every snapshot
has proved that its log can be recovered from.

    python -m fendan.snapshotting FOLDER SEQUENCE EPOCH
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from fendan import snapshots, state
from fendan.core import Core
from fendan.disk import Disk
from fendan.engine.geo import Datum
from fendan.engine.orders import REMEMBERED
from fendan.errors import Fault, FendanError, refuse
from fendan.filelog import FileLog
from fendan.journal import Journal
from fendan.log import Outcome
from fendan.recovery import Recovery, recover
from fendan.state import Moment

__all__ = ["EVERY_BYTES", "Snapshots", "take"]

# So much journal is replayed in a few seconds.
EVERY_BYTES = 256 << 20

# The engine's own threads come first.
NICENESS = 10


class Snapshots:
    """Takes the snapshots of one engine: when asked, and after so many bytes of journal.

    `folder` is None for a log that is not a folder's: then the engine waits while it is written.
    """

    def __init__(
        self,
        core: Core,
        journal: Journal,
        folder: Path | None,
        every_bytes: int,
        recovery: Recovery,
    ) -> None:
        self._core = core
        self._journal = journal
        self._folder = folder
        self._every_bytes = every_bytes
        self._bytes_before = -recovery.bytes  # what was replayed counts
        self._one = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self.last_sequence = recovery.snapshot_sequence
        self.failure = ""
        """Why the last snapshot that was due could not be taken, or ""."""
        if every_bytes and folder is not None:
            journal.on_write = self._look

    def take(self) -> int:
        """Take one now; returns the number of the last event in it. Raises DiskError."""
        with self._one:
            journal = self._journal
            self._bytes_before = journal.bytes_written
            if self._folder is None:
                self.last_sequence = self._take_here()
            else:
                journal.flush()  # no snapshot may be ahead of the log
                self.last_sequence = self._take_beside(self._folder, journal.durable_sequence)
            return self.last_sequence

    def close(self) -> None:
        """Give up what is under way; what it leaves is removed when the folder is next opened."""
        self._closing = True
        if self._child is not None:
            self._child.kill()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        """Begin one if it is time; called after each write, and quick."""
        is_time = self._journal.bytes_written - self._bytes_before >= self._every_bytes
        if is_time and not self._closing and not self._one.locked():
            self._bytes_before = self._journal.bytes_written
            self._thread = threading.Thread(target=self._take_quietly, name="fendan-snapshot")
            self._thread.start()

    def _take_quietly(self) -> None:
        try:
            self.take()
            self.failure = ""
        except FendanError as error:
            self.failure = error.message

    def _take_beside(self, folder: Path, sequence: int) -> int:
        arguments = [str(folder), str(sequence), str(self._journal.epoch)]
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "fendan.snapshotting", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            hint = f"a snapshot could not be begun: {error.strerror or error}"
            refuse(Fault.DISK, "folder", folder, hint=hint)
        if self._closing:  # `close` may have come too early to see it
            self._child.kill()
        _, said = self._child.communicate()
        if self._child.returncode != 0:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            hint = f"a snapshot could not be taken: {last or self._child.returncode}"
            refuse(Fault.DISK, "folder", folder, hint=hint)
        return sequence

    def _take_here(self) -> int:
        core, journal = self._core, self._journal
        with core._command():
            journal.wait(journal.sequence)
            moment = Moment(journal.sequence, core._last_ns)
            parts = state.dump(core, moment)
            if journal.log.put_snapshot(journal.epoch, moment.sequence, parts) is not Outcome.OK:
                refuse(Fault.DISK, "log", hint="a snapshot could not be written")
            return moment.sequence


def take(folder: Path, sequence: int | None, epoch: int) -> Moment:
    """Write a snapshot of the state after an event, or after the last, recovered from the log."""
    core = Core(Datum.WGS84, REMEMBERED)
    recovery = recover(core, FileLog(folder), to_sequence=sequence)
    moment = Moment(recovery.last_sequence, core._last_ns)
    disk = Disk()
    try:
        snapshots.write(disk, folder, moment.sequence, epoch, state.dump(core, moment))
        snapshots.prune(disk, folder)
    except OSError as error:
        refuse(Fault.DISK, "folder", folder, hint=error.strerror or str(error))
    return moment


if __name__ == "__main__":
    os.nice(NICENESS)
    try:
        take(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    except FendanError as error:
        sys.exit(error.message)
