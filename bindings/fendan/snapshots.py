"""Snapshots: the state after an event, each in a file of its own, whole or not there.

snapshot-00000000000000000123.snap       the event that it is the state after, in 20 digits

magic | version | crc of the header | sequence | size of the data | epoch | crc | zeros | data
8       u32       u32                 u64        u64                u32     u32   24 bytes
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fendan.disk import SYNC_BYTES, Buffer, Disk
from fendan.engine.checksum import crc32c
from fendan.errors import Fault, refuse
from fendan.log import Snapshot

__all__ = ["KEPT", "SnapshotFile", "load", "prune", "snapshots_in", "write"]

MAGIC = b"FENDANst"
FORMAT = 1
HEADER = struct.Struct("<8sIIQQII24x")
KEPT = 2


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """What the header of a snapshot says; it was held against its crc."""

    path: Path
    sequence: int
    epoch: int
    size_bytes: int
    crc: int

    @staticmethod
    def path_of(folder: Path, sequence: int) -> Path:
        """What the snapshot after that event is called."""
        return folder / f"snapshot-{sequence:020}.snap"

    def header(self) -> bytes:
        """The header, as it is written."""
        numbers = (self.sequence, self.size_bytes, self.epoch, self.crc)
        crc = crc32c(HEADER.pack(MAGIC, FORMAT, 0, *numbers))
        return HEADER.pack(MAGIC, FORMAT, crc, *numbers)


def snapshots_in(disk: Disk, folder: Path) -> list[SnapshotFile]:
    """The snapshots of a folder, the newest first, but for those whose header is damaged.

    Raises NewerFormatError.
    """
    names = [n for n in disk.list(folder) if n[:9] == "snapshot-" and n[-5:] == ".snap"]
    found = [read_header(disk, folder / name) for name in reversed(names)]
    return [snapshot for snapshot in found if snapshot is not None]


def read_header(disk: Disk, path: Path) -> SnapshotFile | None:
    """What a file says it is; None where that is damaged or gone."""
    try:
        handle = disk.open(path)
    except FileNotFoundError:
        return None  # there are newer ones
    try:
        data = disk.read(handle, 0, HEADER.size)
        size = disk.size(handle)
    finally:
        disk.close(handle)
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        return None
    _, version, _, sequence, data_bytes, epoch, crc = HEADER.unpack(data)
    if version > FORMAT:
        refuse(Fault.NEWER_FORMAT, "version", version, where=str(path), hint=f"we read {FORMAT}")
    snapshot = SnapshotFile(path, sequence, epoch, data_bytes, crc)
    is_whole = snapshot.header() == data and size == HEADER.size + data_bytes
    return snapshot if is_whole and path == SnapshotFile.path_of(path.parent, sequence) else None


def load(disk: Disk, snapshot: SnapshotFile) -> Snapshot | None:
    """The state in a snapshot; None where it is damaged."""
    try:
        handle = disk.open(snapshot.path)
    except FileNotFoundError:
        return None  # there are newer ones
    try:
        data = disk.read(handle, HEADER.size, snapshot.size_bytes)
    finally:
        disk.close(handle)
    if len(data) < snapshot.size_bytes or crc32c(data) != snapshot.crc:
        return None
    return Snapshot(snapshot.sequence, snapshot.epoch, memoryview(data))


def write(disk: Disk, folder: Path, sequence: int, epoch: int, parts: Iterable[Buffer]) -> None:
    """Write a snapshot, and return when it is there for good."""
    path = SnapshotFile.path_of(folder, sequence)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    handle = disk.create(temporary)
    try:
        try:
            crc = size = synced = 0
            for part in parts:
                view = memoryview(part).cast("B")
                disk.write(handle, HEADER.size + size, [view])
                crc = crc32c(view, crc)
                size += len(view)
                if size - synced >= SYNC_BYTES:
                    disk.sync(handle)
                    synced = size
            disk.write(handle, 0, [SnapshotFile(path, sequence, epoch, size, crc).header()])
            disk.sync(handle)
        finally:
            disk.close(handle)
        disk.rename(temporary, path)
    except BaseException:
        disk.remove(temporary)
        raise
    disk.sync_folder(folder)


def prune(disk: Disk, folder: Path) -> None:
    """Remove all but the newest ones."""
    for snapshot in snapshots_in(disk, folder)[KEPT:]:
        disk.remove(snapshot.path)
