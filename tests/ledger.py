"""The slow twin's books: its stores, what they have on hand and reserved, and who updated it.

Stock is two dictionaries from (store, SKU) to a count. A store is an object, so that one that was
removed and another that took its id are never taken for each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fendan import (
    Datum,
    Decision,
    Order,
    OrderState,
    Reason,
    Shortfall,
    StaleStock,
    StockLevel,
    StockUpdate,
    Store,
    StoreStatus,
    convert,
)
from fendan.errors import Fault, refuse
from larder import Larder

MOST = 2**31 - 1
MOST_VERSION = 2**63 - 1

Basket = dict[str, int]
Place = tuple[float, float]
Row = tuple[str, str, int]


@dataclass(eq=False)
class Shop:
    """A store as it stands now."""

    id: str
    place: Place
    region: str
    paused: bool = False
    version: int = 0


@dataclass
class Known:
    """What an order id stands for, what it was told first, and where the order is now.

    `days`: from which each SKU's batches are held.
    """

    place: Place
    basket: Basket
    amounts: dict[str, int]
    decision: Decision | None = None
    state: OrderState = OrderState.UNASSIGNED
    shop: Shop | None = None
    metres: float | None = None
    reason: Reason = Reason.NONE
    attempts: int = 0
    due_ns: int | None = None
    rejections: list[tuple[Shop, int]] = field(default_factory=list)
    days: dict[str, int] = field(default_factory=dict)
    back_in_stock: bool = False

    @property
    def held(self) -> bool:
        """Whether its shop holds stock for it."""
        return self.state in (OrderState.ASSIGNED, OrderState.ACCEPTED, OrderState.PICKED)


@dataclass
class Ledger(Larder):
    """Stores and stock, with the methods of `fendan.Engine`; of ways to bring stock, only rows."""

    datum: Datum = Datum.WGS84
    shops: dict[str, Shop] = field(default_factory=dict)
    store_ids: list[str] = field(default_factory=list)
    answers: dict[str, tuple[object, StockUpdate]] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)

    # -- STORES --------------------------------------------------------------------------------

    def add_stores(self, stores: Iterable[Store]) -> None:
        for store, place in self._checked_stores(list(stores), known=False):
            self.shops[store.id] = Shop(store.id, place, store.region)
            self.store_ids.append(store.id)

    def update_stores(self, stores: Iterable[Store]) -> None:
        for store, place in self._checked_stores(list(stores), known=True):
            self.shops[store.id].place = place
            self.shops[store.id].region = store.region

    def pause_stores(self, store_ids: Iterable[str]) -> None:
        for shop in self._shops(store_ids, "store_ids"):
            shop.paused = True

    def resume_stores(self, store_ids: Iterable[str]) -> None:
        for shop in self._shops(store_ids, "store_ids"):
            shop.paused = False

    def remove_stores(self, store_ids: Iterable[str]) -> list[Shortfall]:
        shops = self._shops(store_ids, "store_ids")
        for row, shop in enumerate(shops):
            if shop in shops[:row]:
                refuse(Fault.DUPLICATE_STORE, "store_ids", shop.id, row=row)
        shortfalls = []
        for shop in shops:
            for sku in self.skus:
                if (shop, sku) in self.on_hand:
                    self._set(shop, sku, 0)
                    shortfalls += self._shortfalls([(shop, sku)])
            self.supplies = {row: n for row, n in self.supplies.items() if row[0] is not shop}
            del self.shops[shop.id]
        return shortfalls

    def stores(self) -> list[StoreStatus]:
        return [
            StoreStatus(
                store=Store(id=shop.id, lat=shop.place[0], lng=shop.place[1], region=shop.region),
                paused=shop.paused,
            )
            for shop in self.shops.values()
        ]

    def region_of(self, store_id: str) -> str:
        return self._shop(store_id).region

    # -- STOCK ---------------------------------------------------------------------------------

    def set_stock(
        self,
        rows: Iterable[Row],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate:
        rows = list(rows)
        # As the engine reads them: all quantities' types, then stores, SKUs and ranges.
        self._check_counts("quantities", [quantity for _, _, quantity in rows])
        self._shops([store for store, _, _ in rows], "stores")
        for row, (_, sku, _) in enumerate(rows):
            if not is_usable_id(sku):
                refuse(Fault.BAD_ID, "skus", sku, row=row)
        for row, (_, _, quantity) in enumerate(rows):
            if quantity < 0:
                refuse(Fault.OUT_OF_RANGE, "quantities", quantity, row=row)
        return self._update("set", rows, versions or {}, key)

    def adjust_stock(
        self,
        rows: Iterable[Row],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate:
        rows = list(rows)
        self._check_counts("deltas", [delta for _, _, delta in rows])
        self._shops([store for store, _, _ in rows], "stores")
        self._check_skus([sku for _, sku, _ in rows])
        return self._update("adjust", rows, versions or {}, key)

    def set_lots(self, store_id: str, sku: str, lots: Mapping[str, int]) -> list[Shortfall]:
        super().set_lots(store_id, sku, lots)
        return self._shortfalls([(self.shops[store_id], sku)])

    def stock(self, store_id: str, skus: Iterable[str] | None = None) -> list[StockLevel]:
        shop = self._shop(store_id)
        if skus is None:
            names = [sku for sku in self.skus if (shop, sku) in self.on_hand]
        else:
            names = list(skus)
            self._check_skus(names)
        return [
            StockLevel(
                store_id=store_id,
                sku=sku,
                on_hand=self.on_hand.get((shop, sku), 0),
                reserved=self.reserved[shop, sku],
                sellable=self._sellable(shop, sku),
            )
            for sku in names
        ]

    def stock_version(self, store_id: str) -> int:
        return self._shop(store_id).version

    def available(self, store_id: str, sku: str) -> int:
        shop = self._shop(store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        return self._sellable(shop, sku)

    def picture(self) -> dict[tuple[str, str], int]:
        """What a watcher of everything must see: all pairs that can be sold now."""
        return {
            (shop.id, sku): self._sellable(shop, sku)
            for shop in self.shops.values()
            for sku in self.skus
            if not shop.paused and self._sellable(shop, sku) > 0
        }

    # -- INSIDE --------------------------------------------------------------------------------

    def _update(
        self, method: str, rows: list[Row], versions: Mapping[str, int], key: str | None
    ) -> StockUpdate:
        versioned = self._checked_versions(versions)
        named = [(self.shops[store], sku, count) for store, sku, count in rows]
        if key is not None and not is_usable_id(key):
            refuse(Fault.BAD_ID, "key", key)
        content = (method, named, versioned)
        if key in self.answers:
            first, answer = self.answers[key]
            if first != content:
                refuse(Fault.KEY_CONFLICT, "key", key)
            return answer
        answer = self._applied(method, named, versioned)
        if key is not None:
            self.answers[key] = content, answer
        return answer

    def _applied(
        self, method: str, rows: list[tuple[Shop, str, int]], versions: dict[Shop, int]
    ) -> StockUpdate:
        name = "deltas" if method == "adjust" else "quantities"
        for row, (_, sku, count) in enumerate(rows):
            if not -MOST - 1 <= count * self._profile(sku).pieces_per_unit <= MOST:
                refuse(Fault.OVERFLOW, name, count, row=row)
        stale = {shop: version for shop, version in versions.items() if version < shop.version}
        after = dict(self.on_hand)
        changes = []
        for row, (shop, sku, units) in enumerate(rows):
            if shop in stale:
                continue
            count = units * self._profile(sku).pieces_per_unit
            before = after.get((shop, sku), 0) if method == "adjust" else 0
            if not 0 <= before + count <= MOST:
                refuse(Fault.OUT_OF_RANGE, "deltas", count, row=row)
            after[shop, sku] = before + count
            changes.append((shop, sku, before + count))
        for shop, sku, count in changes:
            self._set(shop, sku, count)
        self.skus.update(dict.fromkeys(sku for _, sku, _ in rows))
        update = StockUpdate(
            shortfalls=tuple(
                self._shortfalls([(shop, sku) for shop, sku, _ in rows if shop not in stale])
            ),
            stale=tuple(
                StaleStock(store_id=shop.id, version=version, last_version=shop.version)
                for shop, version in stale.items()
            ),
        )
        for shop, version in versions.items():
            shop.version = max(shop.version, version)
        return update

    def _shortfalls(self, pairs: Iterable[tuple[Shop, str]]) -> list[Shortfall]:
        """Of each pair once, where more is reserved than there is."""
        return [
            Shortfall(
                store_id=shop.id,
                sku=sku,
                on_hand=self.on_hand[shop, sku],
                reserved=self.reserved[shop, sku],
                order_ids=tuple(
                    name
                    for name, known in self.known.items()
                    if known.held and known.shop is shop and sku in known.basket
                ),
            )
            for shop, sku in dict.fromkeys(pairs)
            if self._net(shop, sku) < 0
        ]

    # -- CHECKS --------------------------------------------------------------------------------

    def _shop(self, store_id: object) -> Shop:
        if not isinstance(store_id, str) or store_id not in self.shops:
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        return self.shops[store_id]

    def _shops(self, store_ids: Iterable[str], name: str) -> list[Shop]:
        shops = []
        for row, store_id in enumerate(store_ids):
            if not is_usable_id(store_id):
                refuse(Fault.BAD_ID, name, store_id, row=row)
            if store_id not in self.shops:
                refuse(Fault.UNKNOWN_STORE, name, store_id, row=row)
            shops.append(self.shops[store_id])
        return shops

    def _check_skus(self, skus: list[str]) -> None:
        for row, sku in enumerate(skus):
            if not is_usable_id(sku):
                refuse(Fault.BAD_ID, "skus", sku, row=row)
            if sku not in self.skus:
                refuse(Fault.UNKNOWN_SKU, "skus", sku, row=row)

    def _check_counts(self, name: str, counts: list[int]) -> None:
        for row, count in enumerate(counts):
            if not isinstance(count, int):
                fault = Fault.MISSING if count is None else Fault.WRONG_TYPE
                refuse(fault, name, count, row=row)
            if not -MOST - 1 <= count <= MOST:
                refuse(Fault.OVERFLOW, name, count, row=row)

    def _checked_versions(self, versions: Mapping[str, int]) -> dict[Shop, int]:
        for store_id, version in versions.items():
            if store_id not in self.shops:
                refuse(Fault.UNKNOWN_STORE, "versions", store_id)
            name = f"versions[{store_id!r}]"
            if not isinstance(version, int):
                refuse(Fault.WRONG_TYPE, name, version)
            if not 1 <= version <= MOST_VERSION:
                refuse(Fault.OUT_OF_RANGE, name, version)
        return {self.shops[store_id]: version for store_id, version in versions.items()}

    def _checked_stores(self, stores: list[Store], *, known: bool) -> list[tuple[Store, Place]]:
        """Each store with its place: all of them known, or none."""
        checked: list[tuple[Store, Place]] = []
        for row, store in enumerate(stores):
            name = f"stores[{row}].id"
            if not is_usable_id(store.id):
                refuse(Fault.BAD_ID, name, store.id, row=row)
            if known and store.id not in self.shops:
                refuse(Fault.UNKNOWN_STORE, name, store.id, row=row)
            twice = any(store.id == other.id for other, _ in checked)
            if twice or (not known and store.id in self.shops):
                refuse(Fault.DUPLICATE_STORE, name, store.id, row=row)
            if store.region != "" and not is_usable_id(store.region):
                refuse(Fault.BAD_ID, f"stores[{row}].region", store.region, row=row)
            checked.append((store, self._place(store, f"stores[{row}].", row)))
        return checked

    def _place(self, thing: Store | Order, prefix: str, row: int | None) -> Place:
        for name, value, limit in (("lat", thing.lat, 90), ("lng", thing.lng, 180)):
            if not isinstance(value, (int, float)):
                refuse(Fault.WRONG_TYPE, prefix + name, value, row=row)
            if not -limit <= value <= limit:
                refuse(Fault.OUT_OF_RANGE, prefix + name, value, row=row)
        if thing.datum is None or thing.datum is self.datum:
            return float(thing.lat), float(thing.lng)
        return convert(thing.lat, thing.lng, thing.datum, self.datum)


def is_usable_id(name: object) -> bool:
    """1 to 255 bytes of UTF-8 without NUL and U+001F."""
    if not isinstance(name, str):
        return False
    try:
        return 1 <= len(name.encode()) <= 255 and not {"\0", "\x1f"} & set(name)
    except UnicodeEncodeError:
        return False
