"""A disk that loses whatever it may lose when the power goes, and fails when told to.

What was written is seen at once by everybody, and is safe only when it was synced: names by the
sync of their folder, contents by that of their file. A cut keeps of every write that was not synced
any of its sectors, and of every change of a name all or nothing. One seed, one run.
"""

import errno
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fendan.disk import Buffer, Disk

SECTOR_BYTES = 512


@dataclass
class File:
    """A file: as everybody sees it, as it is safe, and the writes between the two."""

    seen: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    writes: list[tuple[int, bytes]] = field(default_factory=list)
    owner: int = 0  # the handle that locked it


Names = dict[Path, File]
Change = dict[Path, File | None]


def put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


class SimulatedDisk(Disk):
    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.calls: dict[str, int] = {}
        self.fates: dict[tuple[str, int], int] = {}
        self._names: Names = {}
        self._safe_names: Names = {}
        self._changes: list[Change] = []
        self._open: dict[int, File] = {}
        self._last_handle = 2

    def contents(self) -> dict[Path, bytes]:
        """What is in every file."""
        return {path: bytes(file.seen) for path, file in self._names.items()}

    @classmethod
    def of(cls, contents: dict[Path, bytes]) -> "SimulatedDisk":
        """A disk with these files, all of them safe."""
        disk = cls()
        disk._names = {
            path: File(bytearray(data), bytearray(data)) for path, data in contents.items()
        }
        disk._safe_names = dict(disk._names)
        return disk

    # -- WHAT HAPPENS TO IT ----------------------------------------------------------------------

    def fail(self, call: str, after: int, error: int = errno.EIO) -> None:
        """Let one call fail: the next is number 0. What a failed sync lost, no later one brings."""
        self.fates[call, self.calls.get(call, 0) + after] = error

    def restart(self) -> None:
        """The process dies, the machine goes on."""
        for file in self._names.values():
            file.owner = 0
        self._open.clear()
        self.fates.clear()

    def crash(self) -> None:
        """The power goes."""
        for change in self._changes:
            if self.chance.random() < 0.5:
                self._apply(self._safe_names, change)
        self._changes.clear()
        self._names = dict(self._safe_names)
        for file in self._names.values():
            self._keep_some(file)
            file.seen = bytearray(file.safe)
        self.restart()

    def _keep_some(self, file: File) -> None:
        """Of what was not synced, make safe what the disk happened to have written."""
        self.chance.shuffle(file.writes)
        for offset, data in file.writes:
            fate = self.chance.choice(["lost", "torn", "kept"])
            for start in range(-(offset % SECTOR_BYTES), len(data), SECTOR_BYTES):
                if fate == "kept" or (fate == "torn" and self.chance.random() < 0.5):
                    first = max(0, start)
                    put(file.safe, offset + first, data[first : start + SECTOR_BYTES])
        file.writes.clear()

    def _meets(self, call: str) -> bool:
        """Count a call, and raise what was ordered for it."""
        number = self.calls.get(call, 0)
        self.calls[call] = number + 1
        error = self.fates.pop((call, number), 0)
        if error and call != "sync":
            raise OSError(error, "as it was told")
        return bool(error)

    # -- FILES -----------------------------------------------------------------------------------

    def open(self, path: Path, *, write: bool = False) -> int:
        self._meets("open")
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        return self._handle_of(self._names[path])

    def create(self, path: Path, *, keep: bool = False) -> int:
        self._meets("create")
        if not (keep and path in self._names):
            self._change({path: File()})
        return self._handle_of(self._names[path])

    def _handle_of(self, file: File) -> int:
        self._last_handle += 1
        self._open[self._last_handle] = file
        return self._last_handle

    def close(self, handle: int) -> None:
        file = self._open.pop(handle)
        if file.owner == handle:
            file.owner = 0

    def size(self, handle: int) -> int:
        return len(self._open[handle].seen)

    def has_name(self, handle: int) -> bool:
        return any(file is self._open[handle] for file in self._names.values())

    def read(self, handle: int, offset: int, size: int) -> bytes:
        self._meets("read")
        return bytes(self._open[handle].seen[offset : offset + size])

    def write(self, handle: int, offset: int, buffers: Sequence[Buffer]) -> None:
        file, data = self._open[handle], b"".join(buffers)
        try:
            self._meets("write")
        except OSError:
            data = data[: self.chance.randrange(len(data) + 1)]
            self._write(file, offset, data)
            raise
        self._write(file, offset, data)

    def _write(self, file: File, offset: int, data: bytes) -> None:
        if data:
            put(file.seen, offset, data)
            file.writes.append((offset, data))

    def sync(self, handle: int) -> None:
        file = self._open[handle]
        if self._meets("sync"):
            self._keep_some(file)
            raise OSError(errno.EIO, "as it was told")
        for offset, data in file.writes:
            put(file.safe, offset, data)
        file.writes.clear()

    def lock(self, handle: int) -> bool:
        file = self._open[handle]
        if file.owner:
            return False
        file.owner = handle
        return True

    def unlock(self, handle: int) -> None:
        self._open[handle].owner = 0

    # -- FOLDERS ---------------------------------------------------------------------------------

    def make_folder(self, path: Path) -> None:
        self._meets("make_folder")

    def list(self, folder: Path) -> list[str]:
        return sorted(path.name for path in self._names if path.parent == folder)

    def rename(self, path: Path, target: Path) -> None:
        self._meets("rename")
        self._change({target: self._names[path], path: None})

    def remove(self, path: Path) -> None:
        self._meets("remove")
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        self._change({path: None})

    def sync_folder(self, path: Path) -> None:
        self._meets("sync_folder")
        for change in self._changes:
            self._apply(self._safe_names, change)
        self._changes.clear()

    def _change(self, change: Change) -> None:
        self._apply(self._names, change)
        self._changes.append(change)

    def _apply(self, names: Names, change: Change) -> None:
        for path, file in change.items():
            if file is None:
                names.pop(path, None)
            else:
                names[path] = file

    # -- MEANWHILE -------------------------------------------------------------------------------

    def in_background(self, task: Callable[[], None]) -> Callable[[], None]:
        """At once: the order of events must not depend on threads."""
        task()
        return lambda: None
