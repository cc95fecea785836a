"""The slow twin's shelves: what of a count may be sold, by units, safety stock and thresholds.

A pair is off the shelf or it is not; that is kept as a set, and looked at again after each change.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fendan import Held, SkuProfile, Supply
from fendan.errors import Fault, refuse

MOST = 2**31 - 1
PARTS = ("safety", "locked", "display")


@dataclass
class Holding:
    """Counts by shop and SKU, and what keeps them from being sold."""

    skus: dict[str, None] = field(default_factory=dict)
    on_hand: dict[tuple[Any, str], int] = field(default_factory=dict)
    reserved: Counter[tuple[Any, str]] = field(default_factory=Counter)
    held_back: dict[tuple[Any, str], dict[str, int]] = field(default_factory=dict)
    off_shelf: set[tuple[Any, str]] = field(default_factory=set)
    profiles: dict[str, SkuProfile] = field(default_factory=dict)
    supplies: dict[tuple[Any, str, str], int] = field(default_factory=dict)

    # -- COMMANDS ------------------------------------------------------------------------------

    def set_held(self, stores: Sequence[str], skus: Sequence[str], **parts: Sequence[int]) -> None:
        shops = self._shops(stores, "stores")
        for part in PARTS:
            for row, value in enumerate(parts.get(part, ())):
                if value < 0:
                    refuse(Fault.OUT_OF_RANGE, part, value, row=row)
        self.skus.update(dict.fromkeys(skus))
        for part in PARTS:
            for shop, sku, value in zip(shops, skus, parts.get(part, ()), strict=False):
                self._list(shop, sku)
                self.held_back.setdefault((shop, sku), {})[part] = value
                if part == [one for one in PARTS if one in parts][-1]:
                    self._settle(shop, sku)

    def held(self, store_id: str, sku: str) -> Held:
        shop = self._shop(store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        of = self.held_back.get((shop, sku), {})
        return Held(*(of.get(part, 0) for part in PARTS))

    def set_sku_profiles(self, profiles: Mapping[str, SkuProfile]) -> None:
        for sku, profile in profiles.items():
            changed = profile.pieces_per_unit != self._profile(sku).pieces_per_unit
            pairs = [pair for pair in self.on_hand if pair[1] == sku]
            if changed and any(self.on_hand[pair] or self.reserved[pair] for pair in pairs):
                name = f"profiles.{sku}.pieces_per_unit"
                refuse(Fault.OUT_OF_RANGE, name, profile.pieces_per_unit)
        self.skus.update(dict.fromkeys(profiles))
        self.profiles.update(profiles)
        for shop, sku in self.on_hand:
            if sku in profiles:
                self._settle(shop, sku)

    def sku_profile(self, sku: str) -> SkuProfile:
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        return self._profile(sku)

    def set_supply(self, store_id: str, sku: str, date: str, quantity: int) -> list[Any]:
        shop = self._shop(store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        pieces = quantity * self._profile(sku).pieces_per_unit
        if pieces > MOST:
            refuse(Fault.OVERFLOW, "quantity", quantity, row=0)
        self.skus[f"{sku}\x1f{date}"] = None
        self.supplies[shop, sku, date] = pieces
        return []

    def supply(self, sku: str | None = None, store_id: str | None = None) -> list[Supply]:
        if sku is not None and sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        only = None if store_id is None else self._shop(store_id)
        order = list(self.skus)
        rows = sorted(
            (order.index(name), date, shop.id, name, pieces)
            for (shop, name, date), pieces in self.supplies.items()
            if pieces and sku in (None, name) and only in (None, shop)
        )
        return [
            Supply(store_id=shop_id, sku=name, date=date, quantity=pieces, reserved=0)
            for _, date, shop_id, name, pieces in rows
        ]

    def receive_supply(self, store_id: str, sku: str, date: str) -> int:
        shop = self._shop(store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        pieces = self.supplies.get((shop, sku, date), 0)
        after = self.on_hand.get((shop, sku), 0) + pieces
        if after > MOST:
            refuse(Fault.OVERFLOW, "date", after)
        if pieces:
            self.supplies[shop, sku, date] = 0
            self._set(shop, sku, after)
        return pieces

    # -- COUNTS --------------------------------------------------------------------------------

    def _list(self, shop: Any, sku: str) -> None:
        if (shop, sku) not in self.on_hand:
            self.on_hand[shop, sku] = 0
            self._settle(shop, sku)

    def _set(self, shop: Any, sku: str, on_hand: int) -> None:
        """So many are on hand."""
        self._list(shop, sku)
        self._move(shop, sku, on_hand - self.on_hand[shop, sku], 0)

    def _move(self, shop: Any, sku: str, on_hand: int, reserved: int) -> None:
        """On hand and reserved change by so much, at once."""
        if on_hand:
            self.on_hand[shop, sku] += on_hand
        self.reserved[shop, sku] += reserved
        self._settle(shop, sku)

    def _settle(self, shop: Any, sku: str) -> None:
        """Take a pair off the shelf, or put it there, or leave it as it is between the two."""
        profile, free = self._profile(sku), self._free(shop, sku)
        if not profile.off_below:
            self.off_shelf.discard((shop, sku))
        elif free < profile.off_below:
            self.off_shelf.add((shop, sku))
        elif free >= profile.on_from:
            self.off_shelf.discard((shop, sku))

    def _profile(self, sku: str) -> SkuProfile:
        return self.profiles.get(sku, SkuProfile())

    def _net(self, shop: Any, sku: str) -> int:
        return self.on_hand.get((shop, sku), 0) - self.reserved[shop, sku]

    def _free(self, shop: Any, sku: str) -> int:
        return self._net(shop, sku) - sum(self.held_back.get((shop, sku), {}).values())

    def _sellable(self, shop: Any, sku: str) -> int:
        return 0 if (shop, sku) in self.off_shelf else max(0, self._free(shop, sku))

    def _shop(self, store_id: object) -> Any:
        raise NotImplementedError

    def _shops(self, store_ids: Any, name: str) -> list[Any]:
        raise NotImplementedError
