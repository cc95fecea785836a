"""The slow twin's chain: what policies look at beside places and counts, as plain dictionaries."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import shapely  # type: ignore[import-untyped]

import hours_twin
from clock import StoppedClock
from fendan import SkuProfile, StockUpdate, StoreProfile
from ledger import Basket, Ledger, Place, Row, Shop

MILLION = 1_000_000
SUPPLY = "\x1f"
PLAIN_STORE, PLAIN_SKU = StoreProfile(), SkuProfile()

Pair = tuple[Shop, str]


class Chain(Ledger):
    """Stores, stock and profiles, with the methods of `fendan.Engine` that set them.

    What is to arrive is stock of a name of its own, the SKU and the day. `on_sale`: the pairs that
    are on the shelf; only between its thresholds a pair's past decides about it.
    """

    def __init__(self, clock: StoppedClock | None = None) -> None:
        super().__init__()
        self.clock = clock or StoppedClock()
        self.last_ns = 0
        self.store_profiles: dict[str, StoreProfile] = {}
        self.sku_profiles: dict[str, SkuProfile] = {}
        self.held: dict[Pair, dict[str, int]] = {}
        self.shares: dict[tuple[str, str], int] = {}
        self.hidden: dict[str, frozenset[str]] = {}
        self.areas: dict[str, Any] = {}
        self.on_sale: set[Pair] = set()

    # -- PROFILES ------------------------------------------------------------------------------

    def set_store_profiles(self, profiles: Mapping[str, StoreProfile]) -> None:
        self.store_profiles.update(profiles)

    def set_sku_profiles(self, profiles: Mapping[str, SkuProfile]) -> None:
        self.sku_profiles.update(profiles)
        names = [*profiles, *(part for one in profiles.values() for part in one.parts)]
        self.skus.update(dict.fromkeys(names))
        self._see_shelves()

    def set_shares(self, channel: str, shares: Mapping[str, float]) -> None:
        self.shares.update({(channel, name): round(n * MILLION) for name, n in shares.items()})

    def set_hidden_skus(self, channel: str, skus: Iterable[str]) -> None:
        self.hidden[channel] = frozenset(skus)

    def set_areas(self, areas: Mapping[str, Any]) -> None:
        self.areas.update(areas)

    # -- STOCK ---------------------------------------------------------------------------------

    def set_stock(
        self,
        rows: Iterable[Row],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate:
        pieces = [(store, sku, n * self._sku(sku).pieces_per_unit) for store, sku, n in rows]
        update = super().set_stock(pieces, versions=versions, key=key)
        self._see_shelves()
        return update

    def set_held(
        self, stores: Iterable[str], skus: Iterable[str], **parts: Iterable[int]
    ) -> None:
        for name, counts in parts.items():
            for store, sku, count in zip(stores, skus, counts, strict=True):
                self.held.setdefault((self.shops[store], sku), {})[name] = count
                self.on_hand.setdefault((self.shops[store], sku), 0)
                self.skus.setdefault(sku, None)
        self._see_shelves()

    def set_supply(self, store_id: str, sku: str, date: str, quantity: int) -> None:
        pieces = quantity * self._sku(sku).pieces_per_unit
        self.on_hand[self.shops[store_id], sku + SUPPLY + date] = pieces
        self._see_shelves()

    def receive_supply(self, store_id: str, sku: str, date: str) -> int:
        shop, name = self.shops[store_id], sku + SUPPLY + date
        free = max(0, self._net(shop, name))
        if free:
            self.on_hand[shop, name] -= free
            self.on_hand[shop, sku] = self.on_hand.get((shop, sku), 0) + free
            self._see_shelves()
        return free

    # -- WHAT CAN BE SOLD ----------------------------------------------------------------------

    def free(self, shop: Shop, sku: str) -> int:
        """What is left when all that is held back is taken off."""
        return self._net(shop, sku) - sum(self.held.get((shop, sku), {}).values())

    def offered(self, shop: Shop, sku: str, channel: str) -> int:
        """How many pieces a store offers a channel; `sku` may be that of a supply."""
        if sku.partition(SUPPLY)[0] in self.hidden.get(channel, ()):
            return 0
        if (shop, sku) not in self.on_sale:
            return 0
        return self.free(shop, sku) * self.shares.get((channel, shop.id), MILLION) // MILLION

    def days_of(self, sku: str) -> list[str]:
        """The days on which some of a SKU is to arrive anywhere."""
        names = {name for _, name in self.on_hand}
        return sorted(day for own, _, day in (n.partition(SUPPLY) for n in names) if own == sku and day)

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

    def _parts(self, sku: str) -> Counter[str]:
        parts: Counter[str] = Counter()
        for part, count in self._sku(sku).parts.items():
            for inner, each in self._parts(part).items():
                parts[inner] += count * each
        return parts or Counter({sku: 1})

    def _see_shelves(self) -> None:
        for pair in self.on_hand:
            self._see_shelf(pair)

    def _see_shelf(self, pair: Pair) -> None:
        """Take a pair off the shelf, or put it back, as its thresholds want it."""
        free, profile = self.free(*pair), self._sku(pair[1])
        if free < 1 or free < profile.off_below:
            self.on_sale.discard(pair)
        elif free >= profile.on_from:
            self.on_sale.add(pair)

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

    def _sku(self, sku: str) -> SkuProfile:
        return self.sku_profiles.get(sku, PLAIN_SKU)


@lru_cache(maxsize=10_000)
def _told(hours: tuple[tuple[str, str], ...] | None, zone: str, now_ns: int) -> hours_twin.Told:
    return hours_twin.told(None if hours is None else dict(hours), zone, now_ns)
