"""Opening an engine: what cannot be a folder, and a folder that stays where it is."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fendan import DiskError, Engine, FendanError, JournalError, Store
from fendan.disk import Buffer, Disk
from fendan.errors import Fault
from fendan.filelog import FileLog

BUND = Store(id="Bund", lat=31.2401, lng=121.4908)


@pytest.mark.parametrize("path", [None, 5, b"shop", ["shop"], "", "shop\0"], ids=repr)
def test_what_names_no_folder_is_refused_and_nothing_made(
    path: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FendanError) as refusal:
        Engine.open(path)
    assert refusal.value.fault in (Fault.WRONG_TYPE, Fault.OUT_OF_RANGE)
    assert refusal.value.field == "path"
    assert list(tmp_path.iterdir()) == []


def test_an_engine_stays_in_its_folder_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    with Engine.open("shop") as engine:
        monkeypatch.chdir(elsewhere)
        engine.add_stores([BUND])
        assert engine.snapshot() > 0
        assert [event.store_id for event in engine.events().events] == ["Bund"]
    assert list(elsewhere.iterdir()) == []


def test_an_engine_that_is_closed_says_so(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path)
    engine.close()
    with pytest.raises(FendanError, match="has failed; the engine is closed"):
        engine.add_stores([BUND])


def test_a_snapshot_that_cannot_even_begin_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with Engine.open(tmp_path) as engine, pytest.raises(DiskError, match="could not be begun"):
        engine.snapshot()


def test_a_failure_of_the_disk_is_called_by_its_name(tmp_path: Path) -> None:
    class Full(Disk):
        is_full = False

        def write(self, handle: int, offset: int, buffers: Sequence[Buffer]) -> None:
            if self.is_full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(handle, offset, buffers)

    disk = Full()
    with Engine.open(tmp_path, log=FileLog(tmp_path, disk)) as engine:
        disk.is_full = True
        for _ in range(2):
            with pytest.raises(JournalError, match="No space left on device"):
                engine.add_stores([BUND])


def test_who_holds_a_folder_is_named_once(tmp_path: Path) -> None:
    with Engine.open(tmp_path), pytest.raises(FendanError) as refusal:
        Engine.open(tmp_path)
    assert refusal.value.message.count(str(os.getpid())) == 1
