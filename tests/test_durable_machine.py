"""A durable engine lives through the days of its twin, and the power goes, again and again.

Every command was answered before the power went: so after each cut, kill or closing the engine
comes back exactly as it was, and goes on as if nothing had happened, like the twin to which
nothing ever happens.
"""

import random
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from fendan import Engine
from fendan.checking import check_log
from fendan.filelog import FileLog
from fendan.state import state_hash
from life_rules import LifeRules
from simulated_disk import SimulatedDisk
from test_engine_machine import Days
from test_life_machine import Shifts

FOLDER = Path("/simulated")


class Survivor(LifeRules):
    """The engine's journal is on a disk that loses whatever was not synced."""

    def __init__(self) -> None:
        self.disk = SimulatedDisk()
        super().__init__()  # type: ignore[call-arg]  # the days or shifts, which bring the policy

    def a_log(self) -> FileLog:
        """So small that segments come and go."""
        return FileLog(FOLDER, self.disk, segment_bytes=8192, first_segment_bytes=2048)

    def an_engine(self) -> Engine:
        return Engine.open(FOLDER, policy=self.policy, clock=self.clock, log=self.a_log())

    def open_again(self) -> None:
        """What comes back is what was there, to the byte."""
        before, told = state_hash(self.engine), self.engine.durable_mark()
        last_ns, documents = self.engine._last_ns, self.engine._documents
        self.begin(self.an_engine())
        assert self.engine.durable_mark() == told
        assert state_hash(self.engine) == before
        assert self.engine._documents == documents
        for name in self.twin.shops:
            assert self.engine.stock_version(name) == self.twin.stock_version(name)
        # The time of the last event: a later one was seen where nothing happened.
        assert self.engine._last_ns <= last_ns
        self.twin.last_ns = self.engine._last_ns

    @rule(seed=st.integers(0, 2**32))
    def the_power_goes(self, seed: int) -> None:
        self.disk.chance = random.Random(seed)
        self.disk.crash()
        self.open_again()

    @rule()
    def the_process_is_killed(self) -> None:
        self.disk.restart()
        self.open_again()

    @rule()
    def the_engine_is_closed_and_opened(self) -> None:
        self.engine.close()
        self.open_again()

    @rule(name=st.sampled_from("abc"), text=st.text("甲x", max_size=9))
    def a_document_is_written(self, name: str, text: str) -> None:
        with self.engine._command():
            self.engine._write_documents("note", {name: text})

    @rule()
    def a_snapshot_is_taken(self) -> None:
        assert self.engine.snapshot() == self.engine.durable_mark()

    def teardown(self) -> None:
        """Whatever happened: the journal proves to be good from its first event to its last."""
        super().teardown()
        self.engine.close()
        report = check_log(self.a_log())
        assert report.is_good, report


class DurableDays(Survivor, Days):
    """The days of the chain, with power cuts."""


class DurableShifts(Survivor, Shifts):
    """The shifts in a few shops, with power cuts."""


DurableDays.TestCase.settings = settings(
    max_examples=settings().max_examples // 2, stateful_step_count=40
)
DurableShifts.TestCase.settings = settings(max_examples=settings().max_examples)
TestDurableDays = DurableDays.TestCase
TestDurableShifts = DurableShifts.TestCase
