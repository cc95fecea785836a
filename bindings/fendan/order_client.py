"""What both clients do about orders by id: their conversations are in `order_calls`."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from fendan import order_calls
from fendan.channel import Exchange
from fendan.engine.life import RejectReason
from fendan.engine.outcome import Decision
from fendan.model import OrderStatus

__all__ = ["AioOrderClient", "OrderClient"]

T = TypeVar("T")


class OrderClient(ABC):
    """The life of an order, for threads. Steps may be taken twice: the second changes nothing.

    `shipment`: which one of a split order takes the step, from 1; None: all that it makes sense
    for, at the store if one is named.
    """

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    # -- COMMANDS ------------------------------------------------------------------------------

    def accept_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The store takes the order on: from ASSIGNED to ACCEPTED."""
        return self._do(order_calls.accept_order(order_id, store_id, shipment), timeout_s)

    def pick_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order lies ready in the store: from ACCEPTED to PICKED."""
        return self._do(order_calls.pick_order(order_id, store_id, shipment), timeout_s)

    def ship_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order has left the store, and its stock with it: from PICKED to SHIPPED."""
        return self._do(order_calls.ship_order(order_id, store_id, shipment), timeout_s)

    def deliver_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The customer has the order: from SHIPPED to DELIVERED."""
        return self._do(order_calls.deliver_order(order_id, store_id, shipment), timeout_s)

    def return_order(
        self,
        order_id: str,
        *,
        to_stock: bool,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order came back, to be sold again or not: from SHIPPED or DELIVERED to RETURNED."""
        exchange = order_calls.return_order(order_id, to_stock, store_id, shipment)
        return self._do(exchange, timeout_s)

    def reject_order(
        self,
        order_id: str,
        store_id: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        missing_skus: Iterable[str] | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The store cannot fill the order: it goes to another at once, or becomes REJECTED.

        A client with the token of a store or region is not told of a store that is not its own.
        """
        exchange = order_calls.reject_order(order_id, store_id, reason, missing_skus, shipment)
        return self._do(exchange, timeout_s)

    def cancel_order(
        self, order_id: str, *, shipment: int | None = None, timeout_s: float | None = None
    ) -> OrderStatus:
        """Nobody wants the order any more: to CANCELLED, unless it was shipped or expired."""
        return self._do(order_calls.cancel_order(order_id, shipment), timeout_s)

    def release(self, order_id: str, *, timeout_s: float | None = None) -> bool:
        """Give back the stock held for an order; True if there was any.

        False may also mean that this very call did it, at a try whose answer was lost.
        """
        return self._do(order_calls.release(order_id), timeout_s)

    def release_batch(
        self, order_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> list[bool]:
        """As `release`, for up to 100,000 orders: all, or none where an id is unknown."""
        return self._do(order_calls.release_batch(order_ids), timeout_s)

    # -- QUERIES -------------------------------------------------------------------------------

    def order(self, order_id: str, *, timeout_s: float | None = None) -> OrderStatus:
        """Where a known order is now."""
        return self._do(order_calls.order(order_id), timeout_s)

    def decision(self, order_id: str, *, timeout_s: float | None = None) -> Decision:
        """What a known order was told first."""
        return self._do(order_calls.decision(order_id), timeout_s)

    def is_held(self, order_id: str, *, timeout_s: float | None = None) -> bool:
        """Whether stock is held for a known order."""
        return self._do(order_calls.is_held(order_id), timeout_s)


class AioOrderClient(ABC):
    """The life of an order, for asyncio; as OrderClient."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    # -- COMMANDS ------------------------------------------------------------------------------

    async def accept_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The store takes the order on: from ASSIGNED to ACCEPTED."""
        return await self._do(order_calls.accept_order(order_id, store_id, shipment), timeout_s)

    async def pick_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order lies ready in the store: from ACCEPTED to PICKED."""
        return await self._do(order_calls.pick_order(order_id, store_id, shipment), timeout_s)

    async def ship_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order has left the store, and its stock with it: from PICKED to SHIPPED."""
        return await self._do(order_calls.ship_order(order_id, store_id, shipment), timeout_s)

    async def deliver_order(
        self,
        order_id: str,
        *,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The customer has the order: from SHIPPED to DELIVERED."""
        return await self._do(order_calls.deliver_order(order_id, store_id, shipment), timeout_s)

    async def return_order(
        self,
        order_id: str,
        *,
        to_stock: bool,
        store_id: str | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The order came back, to be sold again or not: from SHIPPED or DELIVERED to RETURNED."""
        return await self._do(
            order_calls.return_order(order_id, to_stock, store_id, shipment), timeout_s
        )

    async def reject_order(
        self,
        order_id: str,
        store_id: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        missing_skus: Iterable[str] | None = None,
        shipment: int | None = None,
        timeout_s: float | None = None,
    ) -> OrderStatus:
        """The store cannot fill the order: it goes to another at once, or becomes REJECTED.

        A client with the token of a store or region is not told of a store that is not its own.
        """
        exchange = order_calls.reject_order(order_id, store_id, reason, missing_skus, shipment)
        return await self._do(exchange, timeout_s)

    async def cancel_order(
        self, order_id: str, *, shipment: int | None = None, timeout_s: float | None = None
    ) -> OrderStatus:
        """Nobody wants the order any more: to CANCELLED, unless it was shipped or expired."""
        return await self._do(order_calls.cancel_order(order_id, shipment), timeout_s)

    async def release(self, order_id: str, *, timeout_s: float | None = None) -> bool:
        """Give back the stock held for an order; True if there was any.

        False may also mean that this very call did it, at a try whose answer was lost.
        """
        return await self._do(order_calls.release(order_id), timeout_s)

    async def release_batch(
        self, order_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> list[bool]:
        """As `release`, for up to 100,000 orders: all, or none where an id is unknown."""
        return await self._do(order_calls.release_batch(order_ids), timeout_s)

    # -- QUERIES -------------------------------------------------------------------------------

    async def order(self, order_id: str, *, timeout_s: float | None = None) -> OrderStatus:
        """Where a known order is now."""
        return await self._do(order_calls.order(order_id), timeout_s)

    async def decision(self, order_id: str, *, timeout_s: float | None = None) -> Decision:
        """What a known order was told first."""
        return await self._do(order_calls.decision(order_id), timeout_s)

    async def is_held(self, order_id: str, *, timeout_s: float | None = None) -> bool:
        """Whether stock is held for a known order."""
        return await self._do(order_calls.is_held(order_id), timeout_s)
