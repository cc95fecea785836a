"""The slow twin's perishables: beside the counts of some pairs stands a shelf of their batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from batches import Batch, Shelf
from fendan.errors import Fault, refuse
from fendan.model import Lot
from holding import Holding

# When the customer has it, in days since 1970; and how many days more it must be good then.
Keep = tuple[int, int]

EPOCH = date(1970, 1, 1).toordinal()


def day_in(zone: str, time_ns: int) -> int:
    """The local date at an instant, in days since 1970."""
    return datetime.fromtimestamp(time_ns // 10**9, ZoneInfo(zone)).toordinal() - EPOCH


def date_of(day: int) -> str:
    return date.fromordinal(EPOCH + day).isoformat()


@dataclass
class Larder(Holding):
    """Counts, and of some the batches that they are of."""

    shelves: dict[tuple[Any, str], Shelf] = field(default_factory=dict)

    def now_ns(self) -> int:
        """What time it is."""
        raise NotImplementedError

    # -- COMMANDS ------------------------------------------------------------------------------

    def set_lots(self, store_id: str, sku: str, lots: Mapping[str, int]) -> Sequence[Any]:
        shop, each = self._shop(store_id), self._profile(sku).pieces_per_unit
        self.skus[sku] = None
        batches = [
            Batch(date.fromisoformat(day).toordinal() - EPOCH, count * each)
            for day, count in sorted(lots.items())
        ]
        self._list(shop, sku)
        shelf = self.shelves.pop((shop, sku), None)
        if batches and shelf:
            shelf.replace(batches)
        elif batches:  # nobody knows how long what is held already must be good
            shelf = Shelf(batches, promised=not self.reserved[shop, sku])
            shelf.reserve(0, self.reserved[shop, sku])
        if batches and shelf:
            self.shelves[shop, sku] = shelf
        self._set(shop, sku, sum(batch.on_hand for batch in batches))
        return []

    def lots(self, store_id: str, sku: str) -> list[Lot]:
        shop = self._shop(store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        shelf = self.shelves.get((shop, sku))
        return [
            Lot(date=date_of(day), on_hand=on_hand, reserved=reserved)
            for day, on_hand, reserved in (shelf.rows if shelf else [])
        ]

    # -- WHAT IS GOOD FOR LONG ENOUGH ----------------------------------------------------------

    def today(self) -> int:
        """The day in Shanghai, where nobody says where a store is."""
        return day_in("Asia/Shanghai", self.now_ns())

    def good_day(self, sku: str, keep: Keep | None = None) -> int:
        """The first sell-by day that is late enough; where nothing is promised, for today."""
        day, least = keep or (self.today(), 0)
        return day + max(least, self._profile(sku).least_life_days)

    def _sellable(self, shop: Any, sku: str) -> int:
        free, shelf = super()._sellable(shop, sku), self.shelves.get((shop, sku))
        return min(free, shelf.free_from(self.good_day(sku))) if shelf else free

    # -- BATCHES FOLLOW COUNTS -----------------------------------------------------------------

    def _set(self, shop: Any, sku: str, on_hand: int) -> None:
        super()._set(shop, sku, on_hand)
        if (shop, sku) in self.shelves:
            self.shelves[shop, sku].correct(on_hand)

    def _take(self, shop: Any, sku: str, pieces: int, day: int) -> None:
        """Hold some, of batches from a day on."""
        self._move(shop, sku, 0, pieces)
        if shelf := self.shelves.get((shop, sku)):
            shelf.hold(day, pieces)

    def _let_go(
        self, shop: Any, sku: str, held: tuple[int, int], from_day: int, *, sent: bool = False
    ) -> None:
        """What was held, (from day, pieces), is free again, or has left the shop."""
        pieces = held[1]
        gone = min(pieces, self.on_hand[shop, sku]) if sent else 0
        self._move(shop, sku, -gone, -pieces)
        if shelf := self.shelves.get((shop, sku)):
            if held not in shelf.held:  # before there were lots, or before others
                shelf.held.append(held)
            shelf.release(held, sent=sent, from_day=from_day)

    def _put_back(self, shop: Any, sku: str, pieces: int, from_day: int) -> None:
        """It has come back, and can be sold again."""
        self._move(shop, sku, pieces, 0)
        if shelf := self.shelves.get((shop, sku)):
            shelf.put_back(from_day, pieces)
