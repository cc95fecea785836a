"""A real disk whose system calls fail: what was acknowledged is there afterwards."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fendan.filelog import FileLog
from shims import shim_of

TESTS = Path(__file__).parent
SHORT = -1
ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "a short write": SHORT}
CALLS = ["pwritev", "fdatasync", "fsync"]
LATEST = 10
ROOM = 12  # frames that go into a log whose disk has not failed

# One process fails in all ways, each in a folder of its own, and dies with all locks held.
DRIVER = """
import ctypes, json, os, sys
from pathlib import Path
from fendan.errors import DiskError
from fendan.filelog import FileLog
from framing import written

shim = ctypes.CDLL(sys.argv[1])
for folder, call, after, error, room in json.load(sys.stdin):
    left = shim.fail_call(call.encode(), folder.encode(), after, error)
    log = FileLog(Path(folder), segment_bytes=2048, first_segment_bytes=1024)
    acknowledged, outcome = 0, "refused"
    try:
        epoch = log.claim("a test").epoch
        while acknowledged < room:
            frame = written(acknowledged + 1, epoch=epoch, body=bytes([acknowledged]) * 100)
            outcome = log.append(epoch, acknowledged + 1, [frame.frame()]).name
            if outcome != "OK":
                break
            acknowledged += 1
    except DiskError:
        pass  # already the claim failed
    failed = shim.fail_call(b"", b"", -1, 0) < 0
    print(json.dumps([folder, acknowledged, outcome, failed]), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    return shim_of("failing_calls.c", tmp_path_factory.mktemp("shim"))


class Trial(NamedTuple):
    """One log on a disk that failed once."""

    folder: Path
    acknowledged: int
    outcome: str
    has_failed: bool


@pytest.fixture(scope="module")
def trials(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """Every call that may fail, failing in every way, sooner or later."""
    root = tmp_path_factory.mktemp("data")
    orders = [
        (str(root / f"{call}, {name}, {after}"), call, after, error, ROOM)
        for call in CALLS
        for name, error in ERRORS.items()
        for after in range(LATEST)
        if error != SHORT or call == "pwritev"
    ]
    known = os.environ.get("PYTHONPATH", "")
    run = subprocess.run(
        [sys.executable, "-c", DRIVER, str(shim)],
        input=json.dumps(orders),
        env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": f"{TESTS}{os.pathsep}{known}"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) == len(orders)
    return [Trial(Path(folder), *rest) for folder, *rest in lines]


def test_what_was_acknowledged_before_a_call_failed_is_there_afterwards(
    trials: list[Trial],
) -> None:
    for folder, acknowledged, outcome, _ in trials:
        log = FileLog(folder, segment_bytes=2048, first_segment_bytes=1024)
        last = log.claim("a test").last_sequence
        found = [bytes(frame.body) for frame in log.read(1)]
        assert found == [bytes([n]) * 100 for n in range(last)], folder
        assert acknowledged <= last <= acknowledged + (outcome == "UNKNOWN"), folder
        log.close()


def test_a_call_that_failed_is_never_taken_for_done(trials: list[Trial]) -> None:
    for folder, acknowledged, outcome, has_failed in trials:
        is_short = "short" in folder.name
        # What is made ahead is made once more, and a short write goes on where it stopped.
        if not has_failed or is_short or outcome == "OK":
            assert (acknowledged, outcome) == (ROOM, "OK"), folder
        else:
            assert outcome in ("UNKNOWN", "refused"), folder


def test_every_call_failed_at_every_stage(trials: list[Trial]) -> None:
    failed = [trial for trial in trials if trial.has_failed]
    for call in CALLS:
        outcomes = {trial.outcome for trial in failed if trial.folder.name.startswith(call)}
        assert {"refused", "UNKNOWN"} <= outcomes
    short = [trial for trial in failed if "short" in trial.folder.name]
    assert short
    assert {trial.outcome for trial in short} == {"OK"}
