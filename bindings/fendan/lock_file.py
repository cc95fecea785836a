"""The file LOCK of a journal's folder: who owns it, and in which epoch.

    epoch | crc | who it is, as text
    u32     u32

It is locked while the owner is alive. Its first eight bytes are read back before each write: should
the lock be lost all the same (the file removed, a network disk), the older owner sees it.
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
EPOCH = struct.Struct("<II")
MOST_OWNER_BYTES = 400
SALT = crc32c(b"fendan lock")  # no other file begins like this by chance


class LockFile:
    """The lock that this process holds. Raises FolderInUseError where another does."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self.path = folder / NAME
        self._disk = disk
        self._handle = disk.create(self.path, keep=True)
        self._mark = b""
        try:
            if not (disk.lock(self._handle) and disk.has_name(self._handle)):
                self._refuse()
            self.epoch = epoch_in(disk, self._handle, self.path)
        except BaseException:
            disk.close(self._handle)
            raise

    def _refuse(self) -> None:
        owner = self._disk.read(self._handle, EPOCH.size, MOST_OWNER_BYTES)
        who = owner.rstrip(b"\0\n").decode("utf-8", "replace")
        hint = f"held by {who}" if who else "its owner is just starting"
        refuse(Fault.FOLDER_IN_USE, "folder", self.path.parent, hint=hint)

    def begin(self, epoch: int, owner: str) -> None:
        """Note who owns the folder from now on."""
        who = f"process {os.getpid()} on {socket.gethostname()} ({owner})".encode()
        crc = crc32c(struct.pack("<I", epoch), SALT)
        self._mark = EPOCH.pack(epoch, crc)
        text = who[: MOST_OWNER_BYTES - 1] + b"\n"
        data = self._mark + text.ljust(MOST_OWNER_BYTES, b"\0")
        self._disk.write(self._handle, 0, [data])
        self._disk.sync(self._handle)

    def is_ours(self) -> bool:
        """Whether nobody has begun an epoch since."""
        mark = self._disk.read(self._handle, 0, EPOCH.size)
        return mark == self._mark and self._disk.has_name(self._handle)

    def close(self) -> None:
        """Give the lock up."""
        self._disk.close(self._handle)


def epoch_of(disk: Disk, folder: Path) -> int:
    """The epoch of a folder's present or last owner."""
    handle = disk.open(folder / NAME)
    try:
        return epoch_in(disk, handle, folder / NAME)
    finally:
        disk.close(handle)


def epoch_in(disk: Disk, handle: int, path: Path) -> int:
    """The epoch in a lock file; 0 in an empty one. Raises CorruptJournalError for other files."""
    data = disk.read(handle, 0, EPOCH.size)
    if not any(data):
        return 0
    if len(data) == EPOCH.size:
        epoch, crc = EPOCH.unpack(data)
        if crc == crc32c(data[:4], SALT):
            return int(epoch)
    hint = "it is no lock file; remove it if no process uses the folder"
    refuse(Fault.CORRUPT, "epoch", data, where=str(path), hint=hint)
