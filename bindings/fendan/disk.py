"""The disk, as far as a journal uses one. A test has another, which loses what was not synced."""

import errno
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["SYNC_BYTES", "Buffer", "Disk"]

Buffer = bytes | bytearray | memoryview

# Whoever writes much syncs after so much: a large sync would hold up the journal's small ones.
SYNC_BYTES = 4 << 20

MOST_BUFFERS = 1024  # IOV_MAX everywhere: so many go into one call
# On a Mac a sync reaches the drive, not what it stores on.
FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
sync_data: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class Disk:
    """Files by handle, folders by path. Every method may raise OSError."""

    # -- FILES -----------------------------------------------------------------------------------

    def open(self, path: Path, *, write: bool = False) -> int:
        """A handle to a file that is there."""
        return os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)

    def create(self, path: Path, *, keep: bool = False) -> int:
        """A handle to a new and empty file, or with `keep` to the file that was there."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if keep else os.O_TRUNC)
        return os.open(path, flags, 0o640)

    def close(self, handle: int) -> None:
        """Let go of a file, and of its lock."""
        os.close(handle)

    def size(self, handle: int) -> int:
        """The size of a file in bytes."""
        return os.fstat(handle).st_size

    def has_name(self, handle: int) -> bool:
        """Whether the file is still in a folder: not removed, and nothing renamed over it."""
        return os.fstat(handle).st_nlink > 0

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer only where the file ends."""
        data = os.pread(handle, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]  # a call gives 2 GiB at most
        while data and (read := sum(map(len, parts))) < size:
            data = os.pread(handle, size - read, offset + read)
            parts.append(data)
        return b"".join(parts)

    def write(self, handle: int, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write buffers one after the other, all of them."""
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        first = 0
        while first < len(views):
            some = views[first : first + MOST_BUFFERS]
            written = self._write_some(handle, offset, some)
            if not written and any(map(len, some)):
                raise OSError(errno.EIO, "nothing was written")
            offset += written
            while first < len(views) and written >= len(views[first]):
                written -= len(views[first])
                first += 1
            if written:
                views[first] = views[first][written:]

    def _write_some(self, handle: int, offset: int, views: list[memoryview]) -> int:
        """One call, which may write less than it is given."""
        if hasattr(os, "pwritev"):
            return os.pwritev(handle, views, offset)
        return os.pwrite(handle, views[0], offset)

    def sync(self, handle: int) -> None:
        """Return when what was written to a file is there for good, whatever happens."""
        if FULL_SYNC is None:
            sync_data(handle)
        else:
            fcntl.fcntl(handle, FULL_SYNC)

    def lock(self, handle: int) -> bool:
        """Lock a file against other processes until it is closed; False where it is locked."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self, handle: int) -> None:
        """Let go of a file's lock, whoever else has the handle."""
        fcntl.flock(handle, fcntl.LOCK_UN)

    # -- FOLDERS ---------------------------------------------------------------------------------

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those it is in, where they are not there."""
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            self.sync_folder(path.parent)

    def list(self, folder: Path) -> list[str]:
        """The names of the files in a folder."""
        return sorted(os.listdir(folder))  # noqa: PTH208

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name, in place of the file that had it."""
        path.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Return when the names in a folder are there for good."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    # -- MEANWHILE -------------------------------------------------------------------------------

    def in_background(self, task: Callable[[], None]) -> Callable[[], None]:
        """Do something beside everything else; what is returned waits for it to be done."""
        thread = threading.Thread(target=task, name="fendan-disk", daemon=True)
        thread.start()
        return thread.join
