"""What was acknowledged survives: power cuts, killed processes, disks that fail; by simulation.

One seed is one run. A run that fails prints its seed; `Run(seed).go()` shows it again.
"""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from fendan.engine.frames import HEADER_BYTES
from fendan.errors import DiskError
from fendan.filelog import FileLog
from fendan.log import Outcome
from framing import Written, a_row, read_back, written
from simulated_disk import SECTOR_BYTES, SimulatedDisk

FOLDER = Path("/data")
SEGMENT_BYTES = 2048
RUNS, RUNS_A_TEST = 1000, 50
LIVES = 6
CALLS = ["open", "create", "read", "write", "sync", "sync", "sync_folder", "rename"]


class Run:
    """Owners of one log, one after the other, and what each must find of those before it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = SimulatedDisk(seed)
        # Frames of one size leave, where one is lost, a place into which the next fits.
        self.sizes = self.chance.choice([[1, 20, 100, 100, 300, 3000], [100], [700]])
        self.counts = self.chance.choice([1, 4])
        self.kept: list[Written] = []  # acknowledged, or found by an owner
        self.open: list[Written] = []  # appended since, and not acknowledged
        self.snapshot = 0
        self.epoch = 0
        self.acknowledged = 0

    def go(self) -> None:
        for _ in range(LIVES):
            log = FileLog(
                FOLDER,
                self.disk,
                segment_bytes=SEGMENT_BYTES,
                first_segment_bytes=SEGMENT_BYTES // 2,
            )
            if self.chance.random() < 0.6:
                self.disk.fail(
                    self.chance.choice(CALLS), self.chance.randrange(self.chance.choice([4, 16]))
                )
            with suppress(DiskError):
                self.live(log)
            end = self.chance.choice(["crash", "crash", "restart", "close"])
            if end == "close":
                log.close()
            self.disk.restart() if end == "restart" else self.disk.crash()
        log = FileLog(FOLDER, self.disk)
        self.take(log)

    def live(self, log: FileLog) -> None:
        self.take(log)
        for _ in range(self.chance.randrange(1, 25)):
            match self.chance.choice(["append"] * 6 + ["flush", "snapshot", "trim", "read"]):
                case "append":
                    self.append(log)
                case "flush":
                    if log.flush() is Outcome.OK:
                        self.acknowledge()
                case "snapshot":
                    self.put_snapshot(log)
                case "trim":
                    log.trim(self.chance.randrange(1, self.last + 2))
                case "read":
                    self.compare(log)

    def take(self, log: FileLog) -> None:
        """Claim the log, and compare it with what was acknowledged."""
        claim = log.claim("a test")
        assert claim.epoch > self.epoch
        self.epoch = claim.epoch
        missing, self.snapshot = self.compare(log)
        whole = self.kept + self.open
        self.kept = whole[: len(whole) - missing]
        self.open = []
        assert claim.last_sequence == self.last

    def compare(self, log: FileLog) -> tuple[int, int]:
        """Hold the log against what it must have, and may; how many frames it has not, and the
        sequence of its snapshot."""
        snapshot = log.latest_snapshot()
        start = snapshot.sequence if snapshot else 0
        assert start >= self.snapshot
        assert snapshot is None or snapshot.data == b"state %d" % start
        found = list(read_back(log.read(start + 1)))
        must, may = ([f for f in frames if f.last > start] for frames in (self.kept, self.open))
        assert found == (must + may)[: len(found)]
        assert len(found) >= len(must)
        return len(must) + len(may) - len(found), start

    @property
    def last(self) -> int:
        return (self.kept + self.open)[-1].last if self.kept or self.open else 0

    def append(self, log: FileLog) -> Outcome:
        group: list[Written] = []
        following = self.last + 1
        for _ in range(self.chance.choice([1, 1, 2, 5])):
            count = self.chance.randint(1, self.counts)
            body = self.chance.randbytes(self.chance.choice(self.sizes))
            group.append(Written(following, count, following * 10, self.epoch, body))
            following += count
        synced = self.kept[-1].last if self.kept else 0
        durable = self.chance.random() < 0.6
        frames = [frame.frame(synced) for frame in group]
        outcome = log.append(self.epoch, group[0].sequence, frames, durable=durable)
        if outcome is Outcome.FENCED:
            raise AssertionError("nobody else is there")
        self.open += group
        if durable and outcome is Outcome.OK:
            self.acknowledge()
        return outcome

    def acknowledge(self) -> None:
        self.acknowledged += len(self.open)
        self.kept += self.open
        self.open = []

    def put_snapshot(self, log: FileLog) -> Outcome:
        frames = self.kept + self.open
        if not frames:
            return Outcome.OK
        sequence = self.chance.choice(frames).last
        data = b"state %d" % sequence
        outcome = log.put_snapshot(self.epoch, sequence, [data[:3], data[3:]])
        if outcome is Outcome.OK:
            self.acknowledge()
            self.snapshot = max(self.snapshot, sequence)
        return outcome


@pytest.mark.parametrize("first", range(0, RUNS, RUNS_A_TEST))
def test_what_was_acknowledged_survives_every_crash(first: int) -> None:
    acknowledged = 0
    for seed in range(first, first + RUNS_A_TEST):
        run = Run(seed)
        try:
            run.go()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        acknowledged += run.acknowledged
    assert acknowledged > RUNS_A_TEST


def test_zeros_that_a_failed_sync_left_in_memory_only_are_written_again() -> None:
    for seed in range(90):
        disk = SimulatedDisk(seed)
        log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES, first_segment_bytes=SEGMENT_BYTES)
        log.claim("a test")
        a_sector = bytes([seed + 1]) * (SECTOR_BYTES - HEADER_BYTES)
        group = [written(n, body=a_sector).frame(0) for n in (1, 2, 3)]
        log.append(1, 1, group, durable=False)
        disk.crash()  # some frames may be lost, and later ones not
        disk.fail("sync", 1)  # the first is that of the lock file
        with suppress(DiskError):
            log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES)
            log.claim("one who meets a failing disk")
        disk.restart()
        log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES)
        epoch, last = log.claim("one who does not")
        more = written(last + 1, epoch=epoch, body=a_sector)
        assert log.append(epoch, last + 1, [more.frame()]) is Outcome.OK
        disk.crash()
        log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES)
        assert log.claim("the last").last_sequence == last + 1
        assert list(read_back(log.read(last + 1))) == [more]


def test_no_segment_goes_for_a_snapshot_whose_name_is_not_safe() -> None:
    for seed in range(20):
        disk = SimulatedDisk(seed)
        log = FileLog(FOLDER, disk, segment_bytes=512, first_segment_bytes=512)
        log.claim("a test")
        frames = a_row(30)
        for frame in frames:
            log.append(1, frame.sequence, [frame.frame()])
        disk.fail("sync_folder", 0)
        assert log.put_snapshot(1, 30, [b"state"]) is Outcome.UNKNOWN
        disk.fail("sync_folder", seed % 3)
        with suppress(DiskError):
            log.trim(30)
        disk.crash()
        log = FileLog(FOLDER, disk, segment_bytes=SEGMENT_BYTES)
        assert log.claim("the next").last_sequence == 30
        if log.latest_snapshot() is None:
            assert list(read_back(log.read(1))) == frames
