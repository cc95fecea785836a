"""What both clients do about the ledger: their conversations are in `ledger_calls`."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

from fendan import ledger_calls
from fendan.channel import Exchange, Following
from fendan.engine.events import EventKind
from fendan.ledger import USUAL_EVENTS
from fendan.model import EventPage

__all__ = ["AioLedgerClient", "LedgerClient"]

T = TypeVar("T")


class LedgerClient(ABC):
    """The ledger, for threads."""

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    @abstractmethod
    def _follow(self, stream: Following[T]) -> Iterator[T]:
        """What a stream says, over broken connections."""

    def events(
        self,
        from_sequence: int = 1,
        *,
        limit: int = USUAL_EVENTS,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        order_ids: Iterable[str] | None = None,
        kinds: Iterable[EventKind] | None = None,
        timeout_s: float | None = None,
    ) -> EventPage:
        """A page of the ledger; go on from its `next_sequence`."""
        exchange = ledger_calls.events(from_sequence, limit, store_ids, regions, order_ids, kinds)
        return self._do(exchange, timeout_s)

    def tail(
        self,
        from_sequence: int = 1,
        *,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        order_ids: Iterable[str] | None = None,
        kinds: Iterable[EventKind] | None = None,
    ) -> Iterator[EventPage]:
        """The ledger from an event on, and then each event as it comes, without end.

        After a broken connection it goes on by itself, without a gap and without a repetition.
        Whoever keeps `next_sequence` with what they made of a page can begin there another day. A
        page without events says that many were passed over.
        """
        tail = ledger_calls.Tail(from_sequence, store_ids, regions, order_ids, kinds)
        return self._follow(tail)


class AioLedgerClient(ABC):
    """The ledger, for asyncio."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    @abstractmethod
    def _follow(self, stream: Following[T]) -> AsyncIterator[T]:
        """What a stream says, over broken connections."""

    async def events(
        self,
        from_sequence: int = 1,
        *,
        limit: int = USUAL_EVENTS,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        order_ids: Iterable[str] | None = None,
        kinds: Iterable[EventKind] | None = None,
        timeout_s: float | None = None,
    ) -> EventPage:
        """A page of the ledger; go on from its `next_sequence`."""
        exchange = ledger_calls.events(from_sequence, limit, store_ids, regions, order_ids, kinds)
        return await self._do(exchange, timeout_s)

    def tail(
        self,
        from_sequence: int = 1,
        *,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
        order_ids: Iterable[str] | None = None,
        kinds: Iterable[EventKind] | None = None,
    ) -> AsyncIterator[EventPage]:
        """The ledger from an event on, and then each event as it comes, without end.

        After a broken connection it goes on by itself, without a gap and without a repetition.
        Whoever keeps `next_sequence` with what they made of a page can begin there another day. A
        page without events says that many were passed over.
        """
        tail = ledger_calls.Tail(from_sequence, store_ids, regions, order_ids, kinds)
        return self._follow(tail)
