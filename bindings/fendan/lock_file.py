"""The file LOCK of a journal's folder: who owns it, and in which epoch.

    magic | epoch | crc | epoch | crc | who it is, as text
    8       u32     u32   u32     u32

The file is locked while the owner is alive. Its epochs are read back before each write: should the
lock be lost all the same (the file removed, a network disk), the older owner sees it. There are two
so that a write that fails leaves one; the greater counts. A process that was forked from the owner
has the lock's handle too, and is no owner.
"""

import os
import socket
import struct
from pathlib import Path

from fendan.disk import Disk
from fendan.engine.checksum import crc32c
from fendan.errors import Fault, refuse

__all__ = ["NAME", "LockFile", "epoch_of"]

NAME = "LOCK"
MAGIC = b"FENDANlk"
EPOCH = struct.Struct("<I")
MARK = struct.Struct("<II")
MARKS_AT = len(MAGIC)
OWNER_AT = MARKS_AT + 2 * MARK.size
MOST_OWNER_BYTES = 400


class LockFile:
    """The lock that this process holds. Raises FolderInUseError where another does."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.path = folder / NAME
        self._disk = disk
        self._handle = disk.create(self.path, keep=True)
        self._marks = b""
        self._process = os.getpid()
        try:
            if not (disk.lock(self._handle) and disk.has_name(self._handle)):
                self._refuse()
            self._epochs = epochs_in(disk, self._handle, self.path)
        except BaseException:
            disk.close(self._handle)
            raise

    @property
    def epoch(self) -> int:
        """The last that was begun; 0 where none was."""
        return max(self._epochs)

    def _refuse(self) -> None:
        owner = self._disk.read(self._handle, OWNER_AT, MOST_OWNER_BYTES)
        who = owner.rstrip(b"\0\n").decode("utf-8", "replace")
        hint = f"held by {who}" if who else "its owner is just starting"
        refuse(Fault.FOLDER_IN_USE, "folder", self.path.parent, hint=hint)

    def begin(self, epoch: int, owner: str) -> None:
        """Note who owns the folder from now on, in place of the older of the two epochs."""
        self._epochs[self._epochs.index(min(self._epochs))] = epoch
        self._marks = b"".join(mark_of(epoch) for epoch in self._epochs)
        who = f"process {os.getpid()} on {socket.gethostname()} ({owner})".encode()
        text = who[: MOST_OWNER_BYTES - 1] + b"\n"
        data = MAGIC + self._marks + text.ljust(MOST_OWNER_BYTES, b"\0")
        self._disk.write(self._handle, 0, [data])
        self._disk.sync(self._handle)

    def is_ours(self) -> bool:
        """Whether nobody has begun an epoch since, and this is the process that began ours."""
        if not self.is_of_this_process:
            return False
        marks = self._disk.read(self._handle, MARKS_AT, 2 * MARK.size)
        return marks == self._marks and self._disk.has_name(self._handle)

    @property
    def is_of_this_process(self) -> bool:
        """False in one that was forked from the owner."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Give the lock up."""
        if self.is_of_this_process:
            self._disk.unlock(self._handle)  # a fork may have the handle for a long time to come
        self._disk.close(self._handle)


def epoch_of(disk: Disk, folder: Path) -> int:
    """The epoch of a folder's present or last owner."""
    handle = disk.open(folder / NAME)
    try:
        return max(epochs_in(disk, handle, folder / NAME))
    finally:
        disk.close(handle)


def mark_of(epoch: int) -> bytes:
    """An epoch and its crc; of none, zeros."""
    data = EPOCH.pack(epoch)
    return MARK.pack(epoch, crc32c(data) if epoch else 0)


def epochs_in(disk: Disk, handle: int, path: Path) -> list[int]:
    """Both epochs in a lock file, 0 where there is none. Refuses other files."""
    data = disk.read(handle, 0, OWNER_AT)
    if any(data) and not (data.startswith(MAGIC) or MAGIC.startswith(data)):
        hint = "no lock file of a journal; remove it if no process uses the folder"
        refuse(Fault.CORRUPT, "offset", 0, where=str(path), hint=hint)
    marks = [data[at : at + MARK.size] for at in (MARKS_AT, MARKS_AT + MARK.size)]
    epochs = [EPOCH.unpack_from(mark)[0] if len(mark) == MARK.size else 0 for mark in marks]
    return [
        epoch if mark_of(epoch) == mark else 0 for epoch, mark in zip(epochs, marks, strict=True)
    ]
