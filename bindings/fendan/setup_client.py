"""What a chain sets up, over a wire: the engine's own methods, for `fendan.Client` and its twin."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from fendan import setup_calls
from fendan.channel import Exchange
from fendan.columns import Column
from fendan.model import Held, Lot, Shortfall, Supply
from fendan.profiles import SkuProfile, StoreProfile

__all__ = ["AioSetupClient", "SetupClient"]

T = TypeVar("T")


class SetupClient(ABC):
    """Profiles, areas, shares, held stock and supply, for threads."""

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    def set_store_profiles(
        self, profiles: Mapping[str, StoreProfile], *, timeout_s: float | None = None
    ) -> None:
        """Set how stores work; each profile takes the place of the one before."""
        return self._do(setup_calls.set_store_profiles(profiles), timeout_s)

    def store_profile(self, store_id: str, *, timeout_s: float | None = None) -> StoreProfile:
        """How a store works."""
        return self._do(setup_calls.store_profile(store_id), timeout_s)

    def set_sku_profiles(
        self, profiles: Mapping[str, SkuProfile], *, timeout_s: float | None = None
    ) -> None:
        """Set how SKUs are sold; each profile takes the place of the one before."""
        return self._do(setup_calls.set_sku_profiles(profiles), timeout_s)

    def sku_profile(self, sku: str, *, timeout_s: float | None = None) -> SkuProfile:
        """How a SKU is sold."""
        return self._do(setup_calls.sku_profile(sku), timeout_s)

    def set_areas(self, areas: Mapping[str, Any], *, timeout_s: float | None = None) -> None:
        """Draw service areas: shapely polygons, or GeoJSON texts; None takes one away."""
        return self._do(setup_calls.set_areas(areas), timeout_s)

    def areas(self, *, timeout_s: float | None = None) -> dict[str, str]:
        """All service areas by name, as GeoJSON geometries."""
        return self._do(setup_calls.areas(), timeout_s)

    def set_shares(
        self, channel: str, shares: Mapping[str, float], *, timeout_s: float | None = None
    ) -> None:
        """Set what part of these stores' stock a channel is offered, 0 to 1."""
        return self._do(setup_calls.set_shares(channel, shares), timeout_s)

    def share(self, store_id: str, channel: str, *, timeout_s: float | None = None) -> float:
        """What part of a store's stock a channel is offered, 0 to 1."""
        return self._do(setup_calls.share(store_id, channel), timeout_s)

    def set_hidden_skus(
        self, channel: str, skus: Iterable[str], *, timeout_s: float | None = None
    ) -> None:
        """Set which SKUs a channel does not sell at all."""
        return self._do(setup_calls.set_hidden_skus(channel, skus), timeout_s)

    def hidden_skus(self, channel: str, *, timeout_s: float | None = None) -> list[str]:
        """The SKUs that a channel does not sell, in the order of their names."""
        return self._do(setup_calls.hidden_skus(channel), timeout_s)

    def set_held(
        self,
        stores: Column,
        skus: Column,
        *,
        safety: Column = None,
        locked: Column = None,
        display: Column = None,
        timeout_s: float | None = None,
    ) -> None:
        """Set how many pieces of store and SKU pairs are held back; columns of equal length."""
        return self._do(setup_calls.set_held(stores, skus, safety, locked, display), timeout_s)

    def held(self, store_id: str, sku: str, *, timeout_s: float | None = None) -> Held:
        """What a store holds back of a SKU."""
        return self._do(setup_calls.held(store_id, sku), timeout_s)

    def set_lots(
        self, store_id: str, sku: str, lots: Mapping[str, int], *, timeout_s: float | None = None
    ) -> list[Shortfall]:
        """Set how much of a SKU a store has of each sell-by date, in units: all of its lots."""
        return self._do(setup_calls.set_lots(store_id, sku, lots), timeout_s)

    def lots(self, store_id: str, sku: str, *, timeout_s: float | None = None) -> list[Lot]:
        """The lots of a SKU in a store, by date."""
        return self._do(setup_calls.lots(store_id, sku), timeout_s)

    def set_supply(
        self, store_id: str, sku: str, date: str, quantity: int, *, timeout_s: float | None = None
    ) -> list[Shortfall]:
        """Set how much of a SKU is to arrive at a store on a day, in units."""
        return self._do(setup_calls.set_supply(store_id, sku, date, quantity), timeout_s)

    def receive_supply(
        self, store_id: str, sku: str, date: str, *, timeout_s: float | None = None
    ) -> int:
        """The supply of that day has arrived; returns how many pieces became stock."""
        return self._do(setup_calls.receive_supply(store_id, sku, date), timeout_s)

    def supply(
        self, sku: str | None = None, store_id: str | None = None, *, timeout_s: float | None = None
    ) -> list[Supply]:
        """What is to arrive, of one SKU or at one store where they are given."""
        return self._do(setup_calls.supply(sku, store_id), timeout_s)


class AioSetupClient(ABC):
    """Profiles, areas, shares, held stock and supply, for asyncio."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    async def set_store_profiles(
        self, profiles: Mapping[str, StoreProfile], *, timeout_s: float | None = None
    ) -> None:
        """Set how stores work; each profile takes the place of the one before."""
        return await self._do(setup_calls.set_store_profiles(profiles), timeout_s)

    async def store_profile(self, store_id: str, *, timeout_s: float | None = None) -> StoreProfile:
        """How a store works."""
        return await self._do(setup_calls.store_profile(store_id), timeout_s)

    async def set_sku_profiles(
        self, profiles: Mapping[str, SkuProfile], *, timeout_s: float | None = None
    ) -> None:
        """Set how SKUs are sold; each profile takes the place of the one before."""
        return await self._do(setup_calls.set_sku_profiles(profiles), timeout_s)

    async def sku_profile(self, sku: str, *, timeout_s: float | None = None) -> SkuProfile:
        """How a SKU is sold."""
        return await self._do(setup_calls.sku_profile(sku), timeout_s)

    async def set_areas(self, areas: Mapping[str, Any], *, timeout_s: float | None = None) -> None:
        """Draw service areas: shapely polygons, or GeoJSON texts; None takes one away."""
        return await self._do(setup_calls.set_areas(areas), timeout_s)

    async def areas(self, *, timeout_s: float | None = None) -> dict[str, str]:
        """All service areas by name, as GeoJSON geometries."""
        return await self._do(setup_calls.areas(), timeout_s)

    async def set_shares(
        self, channel: str, shares: Mapping[str, float], *, timeout_s: float | None = None
    ) -> None:
        """Set what part of these stores' stock a channel is offered, 0 to 1."""
        return await self._do(setup_calls.set_shares(channel, shares), timeout_s)

    async def share(self, store_id: str, channel: str, *, timeout_s: float | None = None) -> float:
        """What part of a store's stock a channel is offered, 0 to 1."""
        return await self._do(setup_calls.share(store_id, channel), timeout_s)

    async def set_hidden_skus(
        self, channel: str, skus: Iterable[str], *, timeout_s: float | None = None
    ) -> None:
        """Set which SKUs a channel does not sell at all."""
        return await self._do(setup_calls.set_hidden_skus(channel, skus), timeout_s)

    async def hidden_skus(self, channel: str, *, timeout_s: float | None = None) -> list[str]:
        """The SKUs that a channel does not sell, in the order of their names."""
        return await self._do(setup_calls.hidden_skus(channel), timeout_s)

    async def set_held(
        self,
        stores: Column,
        skus: Column,
        *,
        safety: Column = None,
        locked: Column = None,
        display: Column = None,
        timeout_s: float | None = None,
    ) -> None:
        """Set how many pieces of store and SKU pairs are held back; columns of equal length."""
        return await self._do(
            setup_calls.set_held(stores, skus, safety, locked, display), timeout_s
        )

    async def held(self, store_id: str, sku: str, *, timeout_s: float | None = None) -> Held:
        """What a store holds back of a SKU."""
        return await self._do(setup_calls.held(store_id, sku), timeout_s)

    async def set_lots(
        self, store_id: str, sku: str, lots: Mapping[str, int], *, timeout_s: float | None = None
    ) -> list[Shortfall]:
        """Set how much of a SKU a store has of each sell-by date, in units: all of its lots."""
        return await self._do(setup_calls.set_lots(store_id, sku, lots), timeout_s)

    async def lots(self, store_id: str, sku: str, *, timeout_s: float | None = None) -> list[Lot]:
        """The lots of a SKU in a store, by date."""
        return await self._do(setup_calls.lots(store_id, sku), timeout_s)

    async def set_supply(
        self, store_id: str, sku: str, date: str, quantity: int, *, timeout_s: float | None = None
    ) -> list[Shortfall]:
        """Set how much of a SKU is to arrive at a store on a day, in units."""
        return await self._do(setup_calls.set_supply(store_id, sku, date, quantity), timeout_s)

    async def receive_supply(
        self, store_id: str, sku: str, date: str, *, timeout_s: float | None = None
    ) -> int:
        """The supply of that day has arrived; returns how many pieces became stock."""
        return await self._do(setup_calls.receive_supply(store_id, sku, date), timeout_s)

    async def supply(
        self, sku: str | None = None, store_id: str | None = None, *, timeout_s: float | None = None
    ) -> list[Supply]:
        """What is to arrive, of one SKU or at one store where they are given."""
        return await self._do(setup_calls.supply(sku, store_id), timeout_s)
