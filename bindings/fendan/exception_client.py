"""What both clients do about the exception queue: their conversations are in `exception_calls`."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

from fendan import exception_calls
from fendan.channel import Exchange
from fendan.exception_entry import ExceptionEntry
from fendan.exception_figures import DayFigures
from fendan.exception_queue import ExceptionFilter, ExceptionPage, ExceptionStats
from fendan.model import OrderStatus

__all__ = ["AioExceptionClient", "ExceptionClient"]

T = TypeVar("T")


class ExceptionClient(ABC):
    """Orders that nobody fills yet, for threads."""

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    def exceptions(
        self,
        wanted: ExceptionFilter | None = None,
        *,
        limit: int = 1_000,
        after: str = "",
        timeout_s: float | None = None,
    ) -> ExceptionPage:
        """A page of the queue, by priority and then by age; at most `limit` entries."""
        return self._do(exception_calls.exceptions(wanted, limit, after), timeout_s)

    def export_exceptions(
        self, wanted: ExceptionFilter | None = None, *, timeout_s: float | None = None
    ) -> Iterator[ExceptionEntry]:
        """All entries that are meant, page by page; some may come or leave meanwhile."""
        after, is_last = "", False
        while not is_last:
            page = self.exceptions(wanted, after=after, timeout_s=timeout_s)
            yield from page.entries
            after, is_last = page.after, not page.after

    def exception(self, order_id: str, *, timeout_s: float | None = None) -> ExceptionEntry:
        """The entry of an order."""
        return self._do(exception_calls.exception(order_id), timeout_s)

    def retry_exceptions(
        self, order_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> list[OrderStatus]:
        """Try waiting orders now, whatever they wait for; where each is then."""
        return self._do(exception_calls.retry_exceptions(order_ids), timeout_s)

    def assign_exception(
        self, order_id: str, store_id: str, *, timeout_s: float | None = None
    ) -> OrderStatus:
        """Give an order to a store by hand, whatever rules say; where it is then."""
        return self._do(exception_calls.assign_exception(order_id, store_id), timeout_s)

    def approve_exception(self, order_id: str, *, timeout_s: float | None = None) -> OrderStatus:
        """Have an order that was held, or that a rule rejected, routed after all."""
        return self._do(exception_calls.approve_exception(order_id), timeout_s)

    def cancel_exception(self, order_id: str, *, timeout_s: float | None = None) -> None:
        """Give up an order, and take it out of the queue."""
        return self._do(exception_calls.cancel_exception(order_id), timeout_s)

    def exception_stats(self, *, timeout_s: float | None = None) -> ExceptionStats:
        """How many orders stand in the queue, why, and how long."""
        return self._do(exception_calls.exception_stats(), timeout_s)

    def exception_figures(
        self, day: str, *, utc_offset_h: int = 8, timeout_s: float | None = None
    ) -> DayFigures:
        """What became of the orders that came on a day, of a zone of whole hours."""
        return self._do(exception_calls.exception_figures(day, utc_offset_h), timeout_s)


class AioExceptionClient(ABC):
    """Orders that nobody fills yet, for asyncio."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    async def exceptions(
        self,
        wanted: ExceptionFilter | None = None,
        *,
        limit: int = 1_000,
        after: str = "",
        timeout_s: float | None = None,
    ) -> ExceptionPage:
        """A page of the queue, by priority and then by age; at most `limit` entries."""
        return await self._do(exception_calls.exceptions(wanted, limit, after), timeout_s)

    async def export_exceptions(
        self, wanted: ExceptionFilter | None = None, *, timeout_s: float | None = None
    ) -> AsyncIterator[ExceptionEntry]:
        """All entries that are meant, page by page; some may come or leave meanwhile."""
        after, is_last = "", False
        while not is_last:
            page = await self.exceptions(wanted, after=after, timeout_s=timeout_s)
            for entry in page.entries:
                yield entry
            after, is_last = page.after, not page.after

    async def exception(self, order_id: str, *, timeout_s: float | None = None) -> ExceptionEntry:
        """The entry of an order."""
        return await self._do(exception_calls.exception(order_id), timeout_s)

    async def retry_exceptions(
        self, order_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> list[OrderStatus]:
        """Try waiting orders now, whatever they wait for; where each is then."""
        return await self._do(exception_calls.retry_exceptions(order_ids), timeout_s)

    async def assign_exception(
        self, order_id: str, store_id: str, *, timeout_s: float | None = None
    ) -> OrderStatus:
        """Give an order to a store by hand, whatever rules say; where it is then."""
        return await self._do(exception_calls.assign_exception(order_id, store_id), timeout_s)

    async def approve_exception(
        self, order_id: str, *, timeout_s: float | None = None
    ) -> OrderStatus:
        """Have an order that was held, or that a rule rejected, routed after all."""
        return await self._do(exception_calls.approve_exception(order_id), timeout_s)

    async def cancel_exception(self, order_id: str, *, timeout_s: float | None = None) -> None:
        """Give up an order, and take it out of the queue."""
        return await self._do(exception_calls.cancel_exception(order_id), timeout_s)

    async def exception_stats(self, *, timeout_s: float | None = None) -> ExceptionStats:
        """How many orders stand in the queue, why, and how long."""
        return await self._do(exception_calls.exception_stats(), timeout_s)

    async def exception_figures(
        self, day: str, *, utc_offset_h: int = 8, timeout_s: float | None = None
    ) -> DayFigures:
        """What became of the orders that came on a day, of a zone of whole hours."""
        return await self._do(exception_calls.exception_figures(day, utc_offset_h), timeout_s)
