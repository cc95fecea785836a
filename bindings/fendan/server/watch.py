"""Availability as it changes, for any number of watchers at little cost.

One thread waits for the engine to change, and wakes all watchers at once. Another then reads what
changed since the cursor of each; those that stand at the same cursor, which is nearly all, share
one reading. Nothing is queued for a watcher: a slow one is told later, of newer values.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from fendan.api import Engine
from fendan.errors import UnknownStoreError
from fendan.messages import availability_message
from fendan.model import AvailabilityChanges
from fendan.server.pulse import Pulse
from fendan.v1.inventory_service_pb2 import Availability, WatchAvailabilityResponse

__all__ = ["View", "Watch"]

# A message of so many pairs with ids of full length stays below the 4 MiB that clients accept.
MOST_PAIRS_PER_MESSAGE = 5_000

# Whoever watches what seldom changes is sent a cursor now and then, so as to have a young one.
CURSOR_EVERY_S = 10.0

Changes = Mapping[str, list[Availability]]
Result = TypeVar("Result")


@dataclass(slots=True, kw_only=True)
class View:
    """Which pairs one watcher is told of: of which stores and SKUs, None meaning all.

    `is_mine` says of a store that comes up whether it is to join the stores in view; it raises
    UnknownStoreError for one that has closed. A store that is in view stays there: when it closes,
    the watcher must learn that nothing can be sold from it.
    """

    stores: set[str] | None = None
    skus: frozenset[str] | None = None
    is_mine: Callable[[str], bool] | None = None
    _met: set[str] = field(default_factory=set)

    @property
    def is_whole(self) -> bool:
        """Whether every pair is in view."""
        return self.stores is None and self.skus is None

    def meet(self, store_ids: Iterable[str]) -> bool:
        """Take into view those of these stores that are to join it.

        False where one has closed before it was met: nobody knows any more whose it was.
        """
        if self.is_mine is None or self.stores is None:
            return True
        for store_id in set(store_ids) - self.stores:
            try:
                if self.is_mine(store_id):
                    self.stores.add(store_id)
            except UnknownStoreError:
                if store_id not in self._met:
                    return False
            self._met.add(store_id)
        return True

    def of(self, changes: Changes) -> Iterator[Availability]:
        """What of the changes is in view."""
        for store_id in self._stores_of(changes):
            for pair in changes[store_id]:
                if self.skus is None or pair.sku in self.skus:
                    yield pair

    def _stores_of(self, changes: Changes) -> Iterable[str]:
        if self.stores is None:
            return changes
        return sorted(changes.keys() & self.stores)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What changed between two cursors, by store; the same for every watcher.

    `whole`: the messages for those who see all of it, made once for all of them.
    """

    changes: Changes
    whole: list[WatchAvailabilityResponse]
    cursor: str
    reset: bool
    more: bool

    def seen_by(self, view: View, before: str) -> list[WatchAvailabilityResponse]:
        """The messages for a watcher, who stands at the cursor `before`."""
        if view.is_whole:
            return self.whole
        return _messages(list(view.of(self.changes)), before, self.cursor)


class Watch:
    """Follows one engine for all watchers. To be used on the event loop only, and closed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="fendan-watch-read")
        self._readings: dict[str, asyncio.Task[_Reading]] = {}
        self._cursor = ""  # of what was last told of; at first nothing was
        self._pulse = Pulse("fendan-watch-wait", self._wait, self._begin_anew)

    async def follow(
        self, view: View, *, cursor: str = "", changes_only: bool = False
    ) -> AsyncGenerator[WatchAvailabilityResponse, None]:
        """The messages for one watcher, without an end."""
        if changes_only and not cursor:
            cursor = await self._read(self._engine.cursor)
            yield WatchAvailabilityResponse(cursor=cursor)
        reset = False
        told_s = time.monotonic()
        while True:
            if reset or not cursor:
                async for message in self._state(view, reset=reset):
                    cursor = message.cursor
                    yield message
            woken = self._pulse.next()  # before reading: what changes after that will wake us
            reading = await self._since(cursor)
            reset = reading.reset or not await self._meet(view, reading.changes)
            if reset:
                continue
            for message in reading.seen_by(view, cursor):
                told_s = time.monotonic()
                yield message
            if reading.cursor != cursor and time.monotonic() - told_s >= CURSOR_EVERY_S:
                told_s = time.monotonic()
                yield WatchAvailabilityResponse(cursor=reading.cursor)
            cursor = reading.cursor
            if not reading.more:
                await self._pulse.wait_for(woken)

    def close(self) -> None:
        """End the threads. Whoever still watches will hear no more."""
        self._pulse.close()
        self._reader.shutdown(wait=False)

    # -- WAKING --------------------------------------------------------------------------------

    def _wait(self, timeout_s: float) -> bool:
        if not self._engine.wait_for_change(self._cursor, timeout_s):
            return False
        self._cursor = self._engine.cursor()
        return True

    def _begin_anew(self) -> None:
        """Whoever reads from now on must not share a reading that may be older than this waking."""
        self._readings = {}

    # -- READING -------------------------------------------------------------------------------

    async def _since(self, cursor: str) -> _Reading:
        """What changed since the cursor; one reading for all who ask at the same time."""
        task = self._readings.get(cursor)
        if task is None:
            task = asyncio.create_task(self._read(lambda: self._reading(cursor)))
            readings = self._readings
            readings[cursor] = task

            def forget(done: asyncio.Task[_Reading]) -> None:
                del readings[cursor]
                if not done.cancelled():
                    done.exception()  # seen, even where all who asked have left

            task.add_done_callback(forget)
        return await asyncio.shield(task)  # one watcher that leaves must not stop the others

    def _reading(self, cursor: str) -> _Reading:
        since = self._engine.changes(cursor)
        changes = _by_store(since)
        return _Reading(
            changes=changes,
            whole=_messages(list(View().of(changes)), cursor, since.cursor),
            cursor=since.cursor,
            reset=since.reset,
            more=since.cursor != self._engine.cursor(),
        )

    async def _meet(self, view: View, changes: Changes) -> bool:
        """As `View.meet`; off the event loop, where the engine must be asked."""
        return view.is_mine is None or await self._read(lambda: view.meet(changes))

    async def _state(self, view: View, *, reset: bool) -> AsyncIterator[WatchAvailabilityResponse]:
        """All that is in view, in pieces; only the last message has a cursor."""
        pieces = iter(await self._read(lambda: self._pieces(view)))
        while messages := await self._read(lambda: _next_of(pieces)):
            for message in messages:
                message.reset = reset
                reset = False
                yield message

    def _pieces(self, view: View) -> Iterable[AvailabilityChanges]:
        if view.is_mine is not None:
            view.meet(status.store.id for status in self._engine.stores())
        return self._engine.availability(store_ids=view.stores, skus=view.skus)

    async def _read(self, reading: Callable[[], Result]) -> Result:
        """Read of the engine, off the event loop: one reading at a time, since they hold it up."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, self._durable, reading)

    def _durable(self, reading: Callable[[], Result]) -> Result:
        """What was read, once nothing can take it back any more."""
        result = reading()
        self._engine.wait_durable(self._engine.durable_mark())
        return result


def _next_of(pieces: Iterator[AvailabilityChanges]) -> list[WatchAvailabilityResponse]:
    """The messages of the next piece of a full state; none after the last."""
    for piece in pieces:
        pairs = [availability_message(pair) for pair in piece.changes]
        if messages := _messages(pairs, "", piece.cursor):
            return messages
        if piece.cursor:
            return [WatchAvailabilityResponse(cursor=piece.cursor)]
    return []


def _by_store(since: AvailabilityChanges) -> Changes:
    changes: dict[str, list[Availability]] = {}
    for pair in since.changes:
        changes.setdefault(pair.store_id, []).append(availability_message(pair))
    return changes


def _messages(
    pairs: list[Availability], before: str, cursor: str
) -> list[WatchAvailabilityResponse]:
    """The pairs in messages of bearable size; only with the last has all up to `cursor` come."""
    messages = [
        WatchAvailabilityResponse(
            changes=pairs[start : start + MOST_PAIRS_PER_MESSAGE], cursor=before
        )
        for start in range(0, len(pairs), MOST_PAIRS_PER_MESSAGE)
    ]
    if messages:
        messages[-1].cursor = cursor
    return messages
