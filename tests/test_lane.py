"""The lane takes work in turn, up to a bound, and leaves nobody waiting in vain."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from fendan import Engine
from fendan.errors import (
    BusyError,
    Fault,
    InternalError,
    JournalError,
    TimedOutError,
    UnavailableError,
    refuse,
)
from fendan.server.app import Server
from fendan.server.config import Config
from fendan.server.lane import MOST_JOBS_PER_TURN, Lane
from fendan.v1 import network_service_pb2, network_service_pb2_grpc

PATIENCE_S = 30.0


class Readings:
    """A gauge that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

        self.syncs = 0

    def queue(self, requests: int, bytes: int) -> None:
        self.seen.append((requests, bytes))

    def synced(self, seconds: float) -> None:
        assert seconds >= 0
        self.syncs += 1


class FakeJournal:
    """A journal whose disk does nothing until it is let, or that fails."""

    def __init__(self) -> None:
        self.done = 0
        self.durable = 0
        self.waited: list[int] = []
        self.fails = False
        self._deferring: set[int] = set()
        self._disk = threading.Condition()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferring.add(threading.get_ident())
        try:
            yield
        finally:
            self._deferring.remove(threading.get_ident())

    def write(self, result: Any = None) -> Any:
        """A command, such as the engine's."""
        assert threading.get_ident() in self._deferring, "it would have waited for the disk"
        self.done += 1
        return result

    def durable_mark(self) -> int:
        return self.done

    def wait_durable(self, mark: int) -> None:
        with self._disk:
            self.waited.append(mark)
            self._disk.notify_all()
            assert self._disk.wait_for(lambda: self.fails or self.durable >= mark, PATIENCE_S)
        if self.fails:
            refuse(Fault.JOURNAL, "journal", hint="Input/output error")

    def until_waited(self, times: int) -> None:
        with self._disk:
            assert self._disk.wait_for(lambda: len(self.waited) >= times, PATIENCE_S)

    def sync(self, mark: int) -> None:
        with self._disk:
            self.durable = mark
            self._disk.notify_all()

    def fail(self) -> None:
        with self._disk:
            self.fails = True
            self._disk.notify_all()


def on_a_loop(scene: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        await asyncio.wait_for(scene(), PATIENCE_S)

    asyncio.run(play())


@contextmanager
def held_up(lane: Lane) -> Iterator[None]:
    """While the lane's thread is busy with a long piece of work."""
    began, end = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert end.wait(PATIENCE_S)

    lane.submit(work)
    assert began.wait(PATIENCE_S)
    try:
        yield
    finally:
        end.set()


# -- WORK --------------------------------------------------------------------------------------


def test_work_is_done_off_the_event_loop_in_the_order_in_which_it_came() -> None:
    async def scene() -> None:
        lane = Lane(10_000, 1_000)
        done: list[int] = []
        threads: set[int] = set()

        def work(number: int) -> int:
            threads.add(threading.get_ident())
            done.append(number)
            return number * number

        futures = [lane.submit(lambda n=number: work(n)) for number in range(3_000)]
        assert await asyncio.gather(*futures) == [number * number for number in range(3_000)]
        assert done == list(range(3_000))
        assert len(threads) == 1
        assert threading.get_ident() not in threads
        await lane.close()

    on_a_loop(scene)


def test_what_the_work_raises_is_raised_where_it_was_asked_for() -> None:
    async def scene() -> None:
        lane = Lane(10, 1_000)
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 / 0)
        assert await lane.run(lambda: "still at work") == "still at work"
        await lane.close()

    on_a_loop(scene)


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), StopIteration(7)])
def test_not_even_an_exit_in_the_work_ends_the_lane(end: BaseException) -> None:
    async def scene() -> None:
        lane = Lane(10, 1_000)

        def leave() -> None:
            raise end

        leaving, after = lane.submit(leave), lane.submit(lambda: "done")
        with pytest.raises(InternalError) as refused:
            await leaving
        assert refused.value.__cause__ is end
        assert await after == "done"
        await lane.close()

    on_a_loop(scene)


def test_a_flood_is_handed_back_a_turn_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        lane = Lane(10_000, 1_000)
        loop = asyncio.get_running_loop()
        calls = 0
        really = loop.call_soon_threadsafe

        def counted(*arguments: object) -> object:
            nonlocal calls
            calls += 1
            return really(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        with held_up(lane):
            futures = [lane.submit(lambda: None) for _ in range(10 * MOST_JOBS_PER_TURN)]
        await asyncio.gather(*futures)
        assert calls == 1 + 10
        monkeypatch.undo()
        await lane.close()

    on_a_loop(scene)


# -- BOUNDS ------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 7])
def test_a_full_queue_refuses_at_once_and_does_nothing(most: int) -> None:
    async def scene() -> None:
        lane = Lane(most, 1_000)
        done: list[str] = []
        with held_up(lane):
            accepted = [lane.submit(lambda: done.append("accepted")) for _ in range(most - 1)]
            for _ in range(3):
                with pytest.raises(BusyError):
                    lane.submit(lambda: done.append("refused"))
            assert len(lane) == most
        await asyncio.gather(*accepted)
        await lane.close()
        assert done == ["accepted"] * (most - 1)
        assert len(lane) == 0

    on_a_loop(scene)


def test_the_queue_is_bounded_in_bytes_too_but_never_too_small_for_one() -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)
        assert await lane.run(lambda: "large", size_bytes=5_000) == "large"
        with held_up(lane):
            accepted = [lane.submit(lambda: None, size_bytes=400) for _ in range(2)]
            with pytest.raises(BusyError):
                lane.submit(lambda: None, size_bytes=400)
            accepted.append(lane.submit(lambda: None, size_bytes=200))
        await asyncio.gather(*accepted)
        assert await lane.run(lambda: "room again", size_bytes=1_000) == "room again"
        await lane.close()

    on_a_loop(scene)


def test_the_gauge_follows_the_queue_and_ends_at_nothing() -> None:
    async def scene() -> None:
        gauge = Readings()
        lane = Lane(100, 1_000, gauge)
        with held_up(lane):
            waiting = lane.submit(lambda: None, size_bytes=300)
            assert gauge.seen[-1] == (2, 300)
        await waiting
        assert gauge.seen[-1] == (0, 0)
        await lane.close()

    on_a_loop(scene)


# -- GIVING UP ---------------------------------------------------------------------------------


def test_work_that_was_cancelled_while_it_waited_is_never_begun() -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)
        done: list[str] = []
        with held_up(lane):
            waiting = asyncio.create_task(lane.run(lambda: done.append("cancelled")))
            other = lane.submit(lambda: done.append("other"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await other
        assert done == ["other"]
        assert len(lane) == 0
        await lane.close()

    on_a_loop(scene)


def test_work_whose_deadline_has_passed_is_never_begun() -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)
        done: list[str] = []
        with held_up(lane):
            late = lane.submit(lambda: done.append("late"), deadline=time.monotonic())
            timely = lane.submit(
                lambda: done.append("timely"), deadline=time.monotonic() + PATIENCE_S
            )
        with pytest.raises(TimedOutError):
            await late
        await timely
        assert done == ["timely"]
        await lane.close()

    on_a_loop(scene)


# -- THE JOURNAL -------------------------------------------------------------------------------


async def until(what: Callable[[], bool]) -> None:
    while not what():
        await asyncio.sleep(0.001)


def test_nobody_hears_of_a_result_before_it_is_on_disk() -> None:
    async def scene() -> None:
        journal, gauge = FakeJournal(), Readings()
        lane = Lane(100, 1_000, gauge, journaled=journal)
        routed = lane.submit(lambda: journal.write("routed"))
        await asyncio.to_thread(journal.until_waited, 1)
        assert journal.done == 1
        assert (routed.done(), len(lane), gauge.syncs) == (False, 1, 0)
        journal.sync(1)
        assert await routed == "routed"
        assert (len(lane), gauge.syncs) == (0, 1)
        await lane.close()

    on_a_loop(scene)


def test_a_reading_too_waits_for_what_it_may_have_seen() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        lane = Lane(100, 1_000, journaled=journal)
        lane.submit(journal.write)
        await asyncio.to_thread(journal.until_waited, 1)
        reading = lane.submit(lambda: journal.done)
        await asyncio.sleep(0.01)
        assert not reading.done()
        journal.sync(1)
        assert await reading == 1
        await lane.close()

    on_a_loop(scene)


def test_the_next_turns_are_done_while_the_last_one_syncs_and_then_wait_together() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        lane = Lane(100, 1_000, journaled=journal)
        futures = [lane.submit(lambda: journal.write("first"))]
        await asyncio.to_thread(journal.until_waited, 1)
        for turn in range(2, 6):
            futures.append(lane.submit(lambda n=turn: journal.write(n)))
            await until(lambda n=turn: journal.done == n)  # type: ignore[misc]
        assert journal.waited == [1]
        journal.sync(1)
        assert await futures[0] == "first"
        await asyncio.to_thread(journal.until_waited, 2)
        assert journal.waited == [1, 5]
        assert not any(future.done() for future in futures[1:])
        journal.sync(5)
        assert await asyncio.gather(*futures[1:]) == [2, 3, 4, 5]
        await lane.close()

    on_a_loop(scene)


def test_the_bound_holds_for_what_is_done_and_not_on_disk() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        lane = Lane(2, 1_000, journaled=journal)
        futures = [lane.submit(journal.write) for _ in range(2)]
        await until(lambda: journal.done == 2)
        with pytest.raises(BusyError):
            lane.submit(journal.write)
        journal.sync(2)
        await asyncio.gather(*futures)
        await lane.close()

    on_a_loop(scene)


def test_a_journaled_lane_drains_to_the_disk_and_leaves_no_thread() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        lane = Lane(100, 1_000, journaled=journal)
        accepted = lane.submit(lambda: journal.write("done"))
        closing = asyncio.create_task(lane.close())
        await asyncio.to_thread(journal.until_waited, 1)
        assert not closing.done()
        journal.sync(1)
        await closing
        assert accepted.result() == "done"
        await lane.close()
        names = [thread.name for thread in threading.enumerate()]
        assert not {"fendan-lane", "fendan-sync"} & set(names)

    on_a_loop(scene)


def test_when_the_disk_fails_nobody_is_told_of_a_success_any_more() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        crashes: list[Exception] = []
        lane = Lane(100, 1_000, on_crash=crashes.append, journaled=journal)
        first = lane.submit(journal.write)
        await asyncio.to_thread(journal.until_waited, 1)
        refused, left = lane.submit(lambda: 1 / 0), lane.submit(journal.write)
        later = lane.submit(journal.write)
        await until(lambda: journal.done == 3)
        left.cancel()
        journal.fail()
        for future in (first, later):
            with pytest.raises(JournalError, match="Input/output error"):
                await future
        with pytest.raises(ZeroDivisionError):
            await refused
        assert left.cancelled()
        with pytest.raises(JournalError, match="about to stop"):
            lane.submit(journal.write)
        assert [type(crash) for crash in crashes] == [JournalError]
        assert len(lane) == 0
        await lane.close()

    on_a_loop(scene)


def test_what_waits_for_its_turn_when_the_disk_fails_is_told_too() -> None:
    async def scene() -> None:
        journal = FakeJournal()
        lane = Lane(100, 1_000, journaled=journal)
        first = lane.submit(journal.write)
        await asyncio.to_thread(journal.until_waited, 1)
        with held_up(lane):
            waiting = [lane.submit(journal.write) for _ in range(3)]
            journal.fail()
            for future in (first, *waiting):
                with pytest.raises(JournalError):
                    await future
        await lane.close()

    on_a_loop(scene)


def test_if_the_thread_fails_while_the_disk_syncs_all_of_it_counts_as_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> None:
        journal, gauge = FakeJournal(), Readings()
        lane = Lane(100, 1_000, gauge, journaled=journal)
        first = lane.submit(journal.write, size_bytes=100)
        await asyncio.to_thread(journal.until_waited, 1)

        def out_of_memory() -> None:
            raise MemoryError

        monkeypatch.setattr(lane, "_turn", out_of_memory)
        waiting = lane.submit(lambda: None)
        second = lane.submit(lambda: None)
        for future in (waiting, second, first):
            with pytest.raises(MemoryError):
                await future
        journal.sync(9)
        await lane.close()
        assert gauge.seen[-1] == (0, 0)

    on_a_loop(scene)


# -- THE END -----------------------------------------------------------------------------------


def test_a_drained_lane_finishes_what_it_accepted_and_accepts_no_more() -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)
        with held_up(lane):
            accepted = [lane.submit(lambda: "done") for _ in range(5)]
            draining = asyncio.create_task(lane.drain())
            await asyncio.sleep(0)
            with pytest.raises(UnavailableError):
                lane.submit(lambda: "too late")
            assert not draining.done()
        await draining
        assert [future.result() for future in accepted] == ["done"] * 5
        await lane.close()

    on_a_loop(scene)


def test_closing_twice_is_closing_once_and_leaves_no_thread() -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)
        await lane.close()
        await lane.close()
        with pytest.raises(UnavailableError):
            await lane.run(lambda: None)
        assert "fendan-lane" not in [thread.name for thread in threading.enumerate()]

    on_a_loop(scene)


def test_if_the_thread_itself_fails_everyone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        lane = Lane(100, 1_000)

        def out_of_memory() -> None:
            raise MemoryError

        with held_up(lane):
            monkeypatch.setattr(lane, "_turn", out_of_memory)
            waiting = [lane.submit(lambda: None) for _ in range(3)]
        for future in waiting:
            with pytest.raises(MemoryError):
                await future
        with pytest.raises(InternalError):
            lane.submit(lambda: None)
        await lane.close()

    on_a_loop(scene)


def test_a_server_whose_lane_has_crashed_ends_so_that_another_can_take_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(_lane: Lane) -> None:
        raise MemoryError("no room for a list")

    async def scene() -> None:
        server = await Server.start(Config.load(None, {"listen": "127.0.0.1:0"}), Engine())
        monkeypatch.setattr(Lane, "_turn", crash)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = network_service_pb2_grpc.NetworkServiceStub(channel)
            await stub.ListStores(network_service_pb2.ListStoresRequest())
        await server.wait()
        await server.stop()

    on_a_loop(scene)
