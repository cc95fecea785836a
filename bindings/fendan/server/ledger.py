"""LedgerService: everything that happened, once and in order, to those whom it concerns."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeAlias, TypeVar, cast

from fendan.api import Engine
from fendan.engine.events import EventKind
from fendan.errors import FendanError, UnknownStoreError
from fendan.ledger import LAST_SEQUENCE, USUAL_EVENTS
from fendan.ledger_messages import ledger_event_message
from fendan.model import EventPage
from fendan.server.access import Caller, Scope, caller
from fendan.server.methods import Context, at_most, indexed, rename
from fendan.server.pulse import Pulse
from fendan.v1 import ledger_service_pb2 as messages
from fendan.v1 import ledger_service_pb2_grpc

__all__ = ["LedgerService"]

# As the proto says.
MOST_NAMES = 10_000
MOST_KINDS = 100

# Who follows the ledger from years ago, and there may be many, holds up others who follow it; but
# nobody who wants a page.
PAGE_READERS = 2
TAIL_READERS = 1

# Whoever follows what seldom happens is told now and then how far they have come.
WORD_EVERY_S = 10.0

# The lists of an EventFilter, as arguments of `Engine.events`.
FILTER_FIELDS = frozenset({"store_ids", "regions", "order_ids", "kinds"})

Pages: TypeAlias = Callable[..., EventPage]
Response = TypeVar("Response", messages.ReadEventsResponse, messages.TailResponse)
Result = TypeVar("Result")


class LedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Hands out one engine's ledger. It is read beside the lane: nobody waits for its readers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pagers = ThreadPoolExecutor(PAGE_READERS, thread_name_prefix="fendan-ledger-page")
        self._tailers = ThreadPoolExecutor(TAIL_READERS, thread_name_prefix="fendan-ledger-tail")
        self._seen = 0
        self._pulse = Pulse("fendan-ledger-wait", self._wait)

    def close(self) -> None:
        """End the threads; by then nobody reads."""
        self._pulse.close()
        self._pagers.shutdown(wait=False)
        self._tailers.shutdown(wait=False)

    async def ReadEvents(  # noqa: N802
        self, request: messages.ReadEventsRequest, context: Context
    ) -> messages.ReadEventsResponse:
        """A page of events, from a given one on."""
        pages = await self._pages(request.filter, caller())
        limit = request.limit or USUAL_EVENTS
        return await self._read(
            lambda: _response(
                messages.ReadEventsResponse, pages(request.from_sequence, limit=limit)
            )
        )

    async def Tail(  # noqa: N802
        self, request: messages.TailRequest, context: Context
    ) -> AsyncIterator[messages.TailResponse]:
        """Events from a given one on, without an end, as fast as the caller reads them."""
        pages = await self._pages(request.filter, caller())
        await self._read(partial(pages, LAST_SEQUENCE, limit=1))  # refuses what cannot be read
        at = told = request.from_sequence
        told_s = time.monotonic()
        while True:
            woken = self._pulse.next()  # before reading: what comes after that will wake us
            message = await self._read(partial(_tail, pages, at), self._tailers)
            at, is_behind = message.next_sequence, message.next_sequence <= message.last_sequence
            is_due = at > told and (is_behind or time.monotonic() - told_s >= WORD_EVERY_S)
            if message.events or is_due:
                yield message
                told, told_s = at, time.monotonic()
            if not is_behind:
                await self._pulse.wait_for(woken)

    # -- INSIDE --------------------------------------------------------------------------------

    async def _pages(self, asked: messages.EventFilter, who: Caller) -> Pages:
        """What reads a page from a sequence on, of what a caller asked for and may see."""
        for field in ("store_ids", "regions", "order_ids"):
            at_most(MOST_NAMES, f"filter.{field}", len(getattr(asked, field)))
        at_most(MOST_KINDS, "filter.kinds", len(asked.kinds))
        if who.scope.is_bound:
            await self._read(lambda: self._check(asked, who))
        stores, regions = list(asked.store_ids) or None, list(asked.regions) or None
        if who.scope is Scope.STORE:
            stores = [who.of]
        elif who.scope is Scope.REGION:
            regions = [who.of]
        return partial(
            self._engine.events,
            store_ids=stores,
            regions=regions,
            order_ids=list(asked.order_ids) or None,
            kinds=cast(list[EventKind], list(asked.kinds)) or None,
        )

    def _check(self, asked: messages.EventFilter, who: Caller) -> None:
        """Raise NotAllowedError where a caller named what is another's."""
        for row, region in enumerate(asked.regions):
            who.check_region(region, f"filter.regions[{row}]")
        for row, store_id in enumerate(asked.store_ids):
            with suppress(UnknownStoreError):  # maybe it was removed: its region will tell
                who.check_store(store_id, self._engine.region_of, f"filter.store_ids[{row}]")

    async def _read(
        self, reading: Callable[[], Result], readers: ThreadPoolExecutor | None = None
    ) -> Result:
        """Read in a thread; errors name the fields of the request."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(readers or self._pagers, reading)
        except FendanError as error:
            if error.field in FILTER_FIELDS:
                rename(error, f"filter.{indexed(error.field, error.row)}", error.row)
            raise

    def _wait(self, timeout_s: float) -> bool:
        """Wait for an event after those that were there when it was last waited for."""
        if not self._engine.wait_for_event(self._seen, timeout_s):
            return False
        self._seen = self._engine.events(LAST_SEQUENCE, limit=1).last_sequence
        return True


def _tail(pages: Pages, at: int) -> messages.TailResponse:
    return _response(messages.TailResponse, pages(at))


def _response(kind: type[Response], page: EventPage) -> Response:
    return kind(
        events=map(ledger_event_message, page.events),
        next_sequence=page.next_sequence,
        last_sequence=page.last_sequence,
    )
