"""The lane takes work in turn, up to a bound, and leaves nobody waiting in vain."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest

from fendan import Engine
from fendan.errors import BusyError, InternalError, TimedOutError, UnavailableError
from fendan.server.app import Server
from fendan.server.config import Config
from fendan.server.lane import MOST_JOBS_PER_TURN, Lane
from fendan.v1 import network_service_pb2, network_service_pb2_grpc

PATIENCE_S = 30.0


class Readings:
    """A gauge that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def queue(self, requests: int, bytes: int) -> None:
        self.seen.append((requests, bytes))


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
