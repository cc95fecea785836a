"""The slow twin's chain: what policies look at beside places and counts, as plain dictionaries."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import shapely

import hours_twin
from clock import StoppedClock
from fendan import SkuProfile, StoreProfile
from holding import Holding
from larder import Keep
from ledger import Basket, Ledger, Place, Shop

MILLION = 1_000_000
SUPPLY = "\x1f"
PLAIN_STORE = StoreProfile()


class Chain(Ledger):
    """Stores, stock and profiles, with the methods of `fendan.Engine` that set them.

    What is to arrive is stock of a name of its own: the SKU and the day. Pairs with lots have a
    shelf of them beside their counts.
    """

    def __init__(self, clock: StoppedClock | None = None) -> None:
        super().__init__()
        self.clock = clock or StoppedClock()
        self.last_ns = 0
        self.store_profiles: dict[str, StoreProfile] = {}
        self.shares: dict[tuple[str, str], int] = {}
        self.hidden: dict[str, frozenset[str]] = {}
        self.areas: dict[str, Any] = {}

    # -- COMMANDS ------------------------------------------------------------------------------

    def set_store_profiles(self, profiles: Mapping[str, StoreProfile]) -> None:
        self.store_profiles.update(profiles)

    def set_sku_profiles(self, profiles: Mapping[str, SkuProfile]) -> None:
        self.skus.update(dict.fromkeys(part for one in profiles.values() for part in one.parts))
        super().set_sku_profiles(profiles)

    def set_shares(self, channel: str, shares: Mapping[str, float]) -> None:
        self.shares.update({(channel, name): round(n * MILLION) for name, n in shares.items()})

    def set_hidden_skus(self, channel: str, skus: Iterable[str]) -> None:
        self.hidden[channel] = frozenset(skus)

    def set_areas(self, areas: Mapping[str, Any]) -> None:
        self.areas.update(areas)

    def set_supply(self, store_id: str, sku: str, date: str, quantity: int) -> list[Any]:
        pieces = quantity * self._profile(sku).pieces_per_unit
        self._set(self.shops[store_id], sku + SUPPLY + date, pieces)
        return []

    def receive_supply(self, store_id: str, sku: str, date: str) -> int:
        shop, name = self.shops[store_id], sku + SUPPLY + date
        free = max(0, self._net(shop, name))
        if free:
            self._set(shop, name, self.on_hand[shop, name] - free)
            self._set(shop, sku, self.on_hand.get((shop, sku), 0) + free)
        return free

    def remove_stores(self, store_ids: Iterable[str]) -> list[Any]:
        for store_id in store_ids:
            shop = self.shops.pop(store_id)
            for holder, sku in list(self.on_hand):
                if holder is shop:
                    self._set(shop, sku, 0)
        return []

    # -- WHAT CAN BE SOLD ----------------------------------------------------------------------

    def offered(self, shop: Shop, sku: str, channel: str, keep: Keep | None = None) -> int:
        """What a store offers a channel, good for long enough; `sku` may be that of a supply."""
        if sku.partition(SUPPLY)[0] in self.hidden.get(channel, ()):
            return 0
        free = Holding._sellable(self, shop, sku)
        share = free * self.shares.get((channel, shop.id), MILLION) // MILLION
        shelf = self.shelves.get((shop, sku))
        return min(share, shelf.free_from(self.good_day(sku, keep))) if shelf else share

    def _sellable(self, shop: Shop, sku: str) -> int:
        return self.offered(shop, sku, "")

    def days_of(self, sku: str) -> list[str]:
        """The days on which some of a SKU is to arrive anywhere."""
        names = {name for _, name in self.on_hand}
        return sorted(
            day for own, _, day in (n.partition(SUPPLY) for n in names) if own == sku and day
        )

    def in_parts(self, basket: Basket, amounts: Mapping[str, int]) -> tuple[Basket, Counter[str]]:
        """Bundles as what is in them; what was paid for one goes to its parts by their pieces."""
        pieces: Counter[str] = Counter()
        money: Counter[str] = Counter()
        for sku, quantity in basket.items():
            parts = self._parts(sku)
            total, amount = sum(parts.values()), amounts.get(sku, 0)
            shares = {part: amount * count // total for part, count in parts.items()}
            shares[min(parts)] += amount - sum(shares.values())
            for part, count in parts.items():
                pieces[part] += quantity * count
                money[part] += shares[part]
        return dict(pieces), money

    def bundles_of(self, basket: Iterable[str]) -> frozenset[str]:
        """The bundles among these SKUs, and those in them."""
        found = {sku for sku in basket if self._profile(sku).parts}
        inner = [self.bundles_of(self._profile(sku).parts) for sku in found]
        return frozenset(found.union(*inner))

    def bundles_among(self, pieces: Basket) -> frozenset[str]:
        """All bundles whose parts are among these pieces."""
        return frozenset(
            name
            for name, profile in self.profiles.items()
            if profile.parts
            and all(pieces.get(sku, 0) >= n for sku, n in self._parts(name).items())
        )

    def _parts(self, sku: str) -> Counter[str]:
        parts: Counter[str] = Counter()
        for part, count in self._profile(sku).parts.items():
            for inner, each in self._parts(part).items():
                parts[inner] += count * each
        return parts or Counter({sku: 1})

    # -- STORES AND THE CLOCK ------------------------------------------------------------------

    def now_ns(self) -> int:
        """The clock, except that it never goes back."""
        self.last_ns = max(self.last_ns, self.clock.now_ns())
        return self.last_ns

    def profile(self, shop: Shop) -> StoreProfile:
        return self.store_profiles.get(shop.id, PLAIN_STORE)

    def clock_of(self, shop: Shop) -> hours_twin.Told:
        """What the store's own clock and hours say now."""
        profile = self.profile(shop)
        hours = None if profile.hours is None else tuple(profile.hours.items())
        return _told(hours, profile.time_zone, self.now_ns())

    def covers(self, area: str, place: Place) -> bool:
        return bool(shapely.covers(self.areas[area], shapely.Point(place[1], place[0])))


@lru_cache(maxsize=10_000)
def _told(hours: tuple[tuple[str, str], ...] | None, zone: str, now_ns: int) -> hours_twin.Told:
    return hours_twin.told(None if hours is None else dict(hours), zone, now_ns)
