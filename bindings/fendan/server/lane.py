"""The lane: work on the engine that comes by grpcio's port, piece by piece, in order of arrival.

An engine takes its callers one after another anyway. Here they wait for it where waiting costs
little and is bounded, off the event loop, so that the loop goes on reading and answering.

Where the engine keeps a journal, nobody hears of a result, not even of a reading, before all that
it rests on is on disk. The work does not wait for that: while one turn is being synced, the next is
done, and what was done in the meantime is synced together.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, Protocol, TypeVar

from fendan.errors import BreachError, Fault, FendanError, JournalError, refuse
from fendan.server import refusals

__all__ = ["Gauge", "Journaled", "Lane", "bearable", "waiting"]

# Results wake the event loop once a turn, not once each. A turn must be long enough to make that
# cheap, and so short that the first result does not wait for much: about a millisecond.
MOST_JOBS_PER_TURN = 256
MOST_BYTES_PER_TURN = 64 * 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


class Gauge(Protocol):
    """Who wants to know how much waits, such as `fendan.server.metrics.Metrics`."""

    def queue(self, requests: int, bytes: int) -> None:
        """So much has been accepted and is not done yet."""

    def synced(self, seconds: float) -> None:
        """So long did finished turns wait for the disk."""


class Journaled(Protocol):
    """Whose work is to be on disk before anyone hears of it: an engine with a journal."""

    def deferred(self) -> AbstractContextManager[object]:
        """In it, calls of this thread do not wait for the disk themselves."""

    def durable_mark(self) -> int:
        """A mark after all that was done so far."""

    def wait_durable(self, mark: int) -> None:
        """Return when all before the mark is on disk; raise when it never will be."""


@dataclass(slots=True, eq=False)
class _Job:
    """A piece of work, who waits for it, and what became of it."""

    work: Callable[[], Any]
    future: asyncio.Future[Any]
    size_bytes: int
    deadline: float | None
    result: Any = None
    error: Exception | None = None

    def begin(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if self.future.done():
            return
        try:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                refusals.late()
            self.result = self.work()
        except BaseException as error:
            self.error = bearable(error)

    def settle(self) -> None:
        """Tell who waits."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Lane:
    """One thread that works through a bounded queue, for one event loop.

    At most `most_requests` pieces of work, of `most_bytes` together, are accepted and not done; but
    one piece always is, however large. With `journaled`, a second thread waits for the disk. To be
    made, used and closed on the event loop. Should the journal fail, or a thread ever end by
    itself, then whoever waits is told so, and `on_crash` is called with the reason.
    """

    def __init__(
        self,
        most_requests: int,
        most_bytes: int,
        gauge: Gauge | None = None,
        on_crash: Callable[[Exception], object] | None = None,
        journaled: Journaled | None = None,
    ) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self._gauge = gauge
        self._on_crash = on_crash
        self._journaled = journaled
        self._loop = asyncio.get_running_loop()
        # What is accepted and not done; kept on the event loop only, so that it needs no lock.
        self._jobs: set[_Job] = set()
        self._bytes = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._draining = False
        self._crash: Exception | None = None
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        # Turns that are done and perhaps not on disk, each with the mark to wait for.
        self._done: SimpleQueue[tuple[list[_Job], int] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name="fendan-lane", daemon=True)]
        if journaled is not None:
            self._threads.append(
                threading.Thread(
                    target=self._sync, args=(journaled,), name="fendan-sync", daemon=True
                )
            )
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """How many pieces of work are accepted and not done."""
        return len(self._jobs)

    # -- ON THE EVENT LOOP ---------------------------------------------------------------------

    def submit(
        self, work: Callable[[], Result], *, size_bytes: int = 0, deadline: float | None = None
    ) -> asyncio.Future[Result]:
        """Have `work` done in its turn; the future gets its result, or what it raised.

        Raises BusyError where the queue is full and UnavailableError where the lane is drained;
        then nothing is queued. If `deadline` (by `time.monotonic`) has passed or the future was
        cancelled before its turn came, the work is not done at all.
        """
        if self._draining or self._crash is not None:
            self._refuse()
        full = len(self._jobs) >= self._most_requests
        if self._jobs and (full or self._bytes + size_bytes > self._most_bytes):
            refusals.busy(len(self._jobs))
        future: asyncio.Future[Result] = self._loop.create_future()
        job = _Job(work, future, size_bytes, deadline)
        self._jobs.add(job)
        self._count(size_bytes)
        self._queue.put(job)
        return future

    async def run(
        self, work: Callable[[], Result], *, size_bytes: int = 0, deadline: float | None = None
    ) -> Result:
        """As `submit`, and wait for the result."""
        return await self.submit(work, size_bytes=size_bytes, deadline=deadline)

    async def drain(self) -> None:
        """Accept no more work, and wait until what was accepted is done."""
        self._draining = True
        await self._empty.wait()

    async def close(self) -> None:
        """Drain, and end the threads. Closing twice is closing once."""
        await self.drain()
        self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _refuse(self) -> NoReturn:
        if isinstance(self._crash, FendanError):
            refuse(self._crash.fault, self._crash.field, hint=refusals.DRAINING_HINT)
        if self._crash is not None:
            refuse(Fault.INTERNAL, "lane", hint="the engine's thread has ended")
        refusals.draining()

    def _count(self, size_bytes: int) -> None:
        self._bytes += size_bytes
        if self._jobs:
            self._empty.clear()
        else:
            self._empty.set()
        if self._gauge is not None:
            self._gauge.queue(len(self._jobs), self._bytes)

    def _hand_back(self, jobs: Collection[_Job]) -> None:
        if self._crash is None:  # afterwards there is no more success
            self._settle(jobs)

    def _settle(self, jobs: Collection[_Job]) -> None:
        self._jobs.difference_update(jobs)
        self._count(-sum(job.size_bytes for job in jobs))
        for job in jobs:
            job.settle()

    def _fail(self, crash: Exception) -> None:
        """A thread has ended as it never should: let nobody wait for it in vain."""
        if self._crash is not None:
            return
        self._crash = crash
        for job in self._jobs:
            job.error = job.error or crash
        self._settle(tuple(self._jobs))
        if self._on_crash is not None:
            self._on_crash(crash)

    # -- IN THE THREADS ------------------------------------------------------------------------

    def _work(self) -> None:
        """Take turns: all that waits, up to a limit; then one word to the event loop."""
        try:
            while jobs := self._turn():
                self._do(jobs)
        except BaseException as error:
            self._crashed(error)
        finally:
            self._done.put(None)

    def _turn(self) -> list[_Job]:
        """The jobs of one turn, at least one; none when the lane closes."""
        jobs: list[_Job] = []
        size_bytes = 0
        for job in waiting(self._queue):
            jobs.append(job)
            size_bytes += job.size_bytes
            if len(jobs) >= MOST_JOBS_PER_TURN or size_bytes >= MOST_BYTES_PER_TURN:
                break
        return jobs

    def _do(self, jobs: list[_Job]) -> None:
        journaled = self._journaled
        with nullcontext() if journaled is None else journaled.deferred():
            for job in jobs:
                job.begin()
        for job in jobs:
            if isinstance(job.error, JournalError | BreachError):
                raise job.error  # from here on the engine accepts nothing
        if journaled is None:
            self._loop.call_soon_threadsafe(self._hand_back, jobs)
        else:
            self._done.put((jobs, journaled.durable_mark()))

    def _sync(self, journaled: Journaled) -> None:
        """Hand turns back when they are on disk; all that are done by then, in one go."""
        try:
            while turns := list(waiting(self._done)):
                began_s = time.perf_counter()
                _, last_mark = turns[-1]
                journaled.wait_durable(last_mark)
                if self._gauge is not None:
                    self._gauge.synced(time.perf_counter() - began_s)
                jobs = [job for jobs, _ in turns for job in jobs]
                self._loop.call_soon_threadsafe(self._hand_back, jobs)
        except BaseException as error:
            self._crashed(error)

    def _crashed(self, error: BaseException) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nobody to tell
            self._loop.call_soon_threadsafe(self._fail, bearable(error))


def waiting(queue: "SimpleQueue[Item | None]") -> Iterator[Item]:
    """What waits in a queue, at least one piece; nothing once its end, a None, has come."""
    item = queue.get()
    while item is not None:
        yield item
        try:
            item = queue.get_nowait()
        except Empty:
            return
    queue.put(None)  # whoever asks again is to find it again


def bearable(error: BaseException) -> Exception:
    """What a future can carry: a StopIteration or a SystemExit would end more than this work."""
    if isinstance(error, FendanError):
        # The frames it came through hold the job that holds it: a circle, request and all, which
        # would stay until the garbage collector comes.
        error.__traceback__ = None
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    internal = refusals.error_of(partial(refuse, Fault.INTERNAL, "work", repr(error)))
    internal.__cause__ = error
    return internal
