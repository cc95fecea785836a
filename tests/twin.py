"""The slow twin: what `fendan.Engine` must answer, written so that it can hardly be wrong.

Every store is asked, in float64, one after another; stock is two dictionaries. There are no leaves,
no bitmaps and no codes here. Tests let the twin and the engine do the same things, and compare what
they return and what they raise.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fendan import (
    Datum,
    Decision,
    Nearby,
    Order,
    Policy,
    Reason,
    Shortfall,
    Status,
    StockUpdate,
    Store,
    convert,
)
from fendan.errors import Fault, refuse

EARTH_RADIUS_M = 6371008.8
RADIANS_PER_DEGREE = 0.017453292519943295
MOST = 2**31 - 1
MOST_LINES = 10_000

Place = tuple[float, float]


def haversine_m(a: Place, b: Place) -> float:
    """Great-circle metres, rounded exactly as the engine rounds: the same operations in order."""
    k = RADIANS_PER_DEGREE
    half_lat = math.sin((b[0] - a[0]) * k * 0.5)
    half_lng = math.sin((b[1] - a[1]) * k * 0.5)
    cosines = math.cos(a[0] * k) * math.cos(b[0] * k)
    h = half_lat * half_lat + cosines * half_lng * half_lng
    return 2.0 * EARTH_RADIUS_M * math.asin(math.sqrt(min(h, 1.0)))


@dataclass
class Known:
    """What an order id stands for, what it was told, and whether its stock is still held."""

    place: Place
    basket: dict[str, int]
    decision: Decision
    held: bool


class Twin:
    """The same methods as `fendan.Engine`; of ways to bring stock, only rows."""

    def __init__(self, *, policy: Policy | None = None, datum: Datum = Datum.WGS84) -> None:
        self.policy = policy or Policy()
        self.datum = datum
        self.places: dict[str, Place] = {}
        self.skus: dict[str, None] = {}
        self.on_hand: dict[tuple[str, str], int] = {}
        self.reserved: Counter[tuple[str, str]] = Counter()
        self.known: dict[str, Known] = {}

    # -- COMMANDS ------------------------------------------------------------------------------

    def add_stores(self, stores: Iterable[Store]) -> None:
        fresh: dict[str, Place] = {}
        for row, store in enumerate(stores):
            if not is_usable_id(store.id):
                refuse(Fault.BAD_ID, f"stores[{row}].id", store.id, row=row)
            if store.id in fresh or store.id in self.places:
                refuse(Fault.DUPLICATE_STORE, f"stores[{row}].id", store.id, row=row)
            fresh[store.id] = self._place(store, f"stores[{row}].", row)
        self.places.update(fresh)

    def set_stock(self, rows: Iterable[tuple[str, str, int]]) -> StockUpdate:
        rows = list(rows)
        # As the engine reads them: all quantities' types, then stores, SKUs and ranges.
        for row, (_, _, quantity) in enumerate(rows):
            if not isinstance(quantity, int):
                fault = Fault.MISSING if quantity is None else Fault.WRONG_TYPE
                refuse(fault, "quantities", quantity, row=row)
            if not -MOST - 1 <= quantity <= MOST:
                refuse(Fault.OVERFLOW, "quantities", quantity, row=row)
        for row, (store, _, _) in enumerate(rows):
            if not is_usable_id(store):
                refuse(Fault.BAD_ID, "stores", store, row=row)
            if store not in self.places:
                refuse(Fault.UNKNOWN_STORE, "stores", store, row=row)
        for row, (_, sku, _) in enumerate(rows):
            if not is_usable_id(sku):
                refuse(Fault.BAD_ID, "skus", sku, row=row)
        for row, (_, _, quantity) in enumerate(rows):
            if quantity < 0:
                refuse(Fault.OUT_OF_RANGE, "quantities", quantity, row=row)
        for store, sku, quantity in rows:
            self.skus[sku] = None
            self.on_hand[store, sku] = quantity
        touched = dict.fromkeys((store, sku) for store, sku, _ in rows)
        return StockUpdate(
            shortfalls=tuple(
                self._shortfall(store, sku)
                for store, sku in touched
                if self.on_hand[store, sku] < self.reserved[store, sku]
            )
        )

    def route(self, order: Order, *, policy: Policy | None = None) -> Decision:
        return self._route([order], policy, ["order."], [None])[0]

    def route_batch(
        self, orders: Iterable[Order], *, policy: Policy | None = None
    ) -> list[Decision]:
        orders = list(orders)
        prefixes = [f"orders[{row}]." for row in range(len(orders))]
        return self._route(orders, policy, prefixes, range(len(orders)))

    def release(self, order_id: str) -> bool:
        known = self._known(order_id)
        if not known.held:
            return False
        for sku, quantity in known.basket.items():
            self.reserved[str(known.decision.store_id), sku] -= quantity
        known.held = False
        return True

    # -- QUERIES -------------------------------------------------------------------------------

    def available(self, store_id: str, sku: str) -> int:
        if store_id not in self.places:
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        if sku not in self.skus:
            refuse(Fault.UNKNOWN_SKU, "sku", sku)
        return max(0, self.on_hand.get((store_id, sku), 0) - self.reserved[store_id, sku])

    def nearest(
        self,
        lat: float,
        lng: float,
        *,
        lines: Sequence[tuple[str, int]] = (),
        limit: int = 5,
        policy: Policy | None = None,
        datum: Datum | None = None,
    ) -> list[Nearby]:
        wanted = Order(id="-", lat=lat, lng=lng, lines=lines, datum=datum)
        place = self._place(wanted, "", None)
        basket = self._basket(wanted, "", None) if lines else {}
        radius_m = (policy or self.policy).radius_m
        ranked = self._ranked(place, basket, math.inf if radius_m is None else radius_m)
        return [Nearby(store_id=store, distance_m=metres) for metres, store in ranked[:limit]]

    def decision(self, order_id: str) -> Decision:
        return self._known(order_id).decision

    # -- ROUTING -------------------------------------------------------------------------------

    def _route(
        self,
        orders: Sequence[Order],
        policy: Policy | None,
        prefixes: Sequence[str],
        rows: Sequence[int | None],
    ) -> list[Decision]:
        radius_m = (policy or self.policy).radius_m
        asked: list[tuple[Place, dict[str, int]]] = []
        for order, prefix, row in zip(orders, prefixes, rows, strict=True):
            if not is_usable_id(order.id):
                refuse(Fault.BAD_ID, f"{prefix}id", order.id, row=row)
            place = self._place(order, prefix, row)
            asked.append((place, self._basket(order, prefix, row)))
        self._refuse_conflicts(orders, asked, prefixes, rows)
        return [
            self._decide(order.id, place, basket, math.inf if radius_m is None else radius_m)
            for order, (place, basket) in zip(orders, asked, strict=True)
        ]

    def _refuse_conflicts(
        self,
        orders: Sequence[Order],
        asked: Sequence[tuple[Place, dict[str, int]]],
        prefixes: Sequence[str],
        rows: Sequence[int | None],
    ) -> None:
        first = {name: (known.place, known.basket) for name, known in self.known.items()}
        for order, content, prefix, row in zip(orders, asked, prefixes, rows, strict=True):
            if first.setdefault(order.id, content) != content:
                refuse(Fault.ORDER_CONFLICT, f"{prefix}id", order.id, row=row)

    def _decide(
        self, order_id: str, place: Place, basket: dict[str, int], radius_m: float
    ) -> Decision:
        if order_id in self.known:
            return self.known[order_id].decision
        ranked = self._ranked(place, basket, radius_m)
        if ranked:
            metres, store = ranked[0]
            for sku, quantity in basket.items():
                self.reserved[store, sku] += quantity
            decision = Decision(
                order_id=order_id,
                status=Status.ASSIGNED,
                store_id=store,
                distance_m=metres,
                reason=Reason.NONE,
            )
        else:
            decision = Decision(
                order_id=order_id,
                status=Status.UNASSIGNED,
                store_id=None,
                distance_m=None,
                reason=self._reason(place, basket, radius_m),
            )
        self.known[order_id] = Known(place, basket, decision, held=bool(ranked))
        return decision

    def _reason(self, place: Place, basket: dict[str, int], radius_m: float) -> Reason:
        if not self.places:
            return Reason.NO_STORES
        if not self._ranked(place, {}, radius_m):
            return Reason.NO_STORE_IN_RADIUS
        if self._ranked(place, basket, math.inf):
            return Reason.NO_STOCK_IN_RADIUS
        return Reason.NO_STOCK

    def _ranked(
        self, place: Place, basket: dict[str, int], radius_m: float
    ) -> list[tuple[float, str]]:
        """Every store that has the basket, within the radius, nearest first, then by id."""
        return sorted(
            (metres, store)
            for store, there in self.places.items()
            if all(
                self.on_hand.get((store, sku), 0) - self.reserved[store, sku] >= quantity
                for sku, quantity in basket.items()
            )
            and (metres := haversine_m(place, there)) <= radius_m
        )

    # -- CHECKS --------------------------------------------------------------------------------

    def _place(self, thing: Store | Order, prefix: str, row: int | None) -> Place:
        for name, value, limit in (("lat", thing.lat, 90), ("lng", thing.lng, 180)):
            if not isinstance(value, (int, float)):
                refuse(Fault.WRONG_TYPE, prefix + name, value, row=row)
            if not -limit <= value <= limit:
                refuse(Fault.OUT_OF_RANGE, prefix + name, value, row=row)
        if thing.datum is None or thing.datum is self.datum:
            return float(thing.lat), float(thing.lng)
        return convert(thing.lat, thing.lng, thing.datum, self.datum)

    def _basket(self, order: Order, prefix: str, row: int | None) -> dict[str, int]:
        """The lines with those of one SKU added up."""
        if not order.lines:
            refuse(Fault.MISSING, f"{prefix}lines", 0, row=row)
        if len(order.lines) > MOST_LINES:
            refuse(Fault.OUT_OF_RANGE, f"{prefix}lines", len(order.lines), row=row)
        basket: Counter[str] = Counter()
        for place, (sku, quantity) in enumerate(order.lines):
            field = f"{prefix}lines[{place}]"
            if not isinstance(sku, str):
                refuse(Fault.WRONG_TYPE, f"{field}.sku", sku, row=row)
            if sku not in self.skus:
                refuse(Fault.UNKNOWN_SKU, f"{field}.sku", sku, row=row)
            if not isinstance(quantity, int):
                refuse(Fault.WRONG_TYPE, f"{field}.quantity", quantity, row=row)
            if quantity < 1:
                refuse(Fault.OUT_OF_RANGE, f"{field}.quantity", quantity, row=row)
            if quantity > MOST:
                refuse(Fault.OVERFLOW, f"{field}.quantity", quantity, row=row)
            basket[sku] += quantity
        for total in basket.values():
            if total > MOST:
                refuse(Fault.OVERFLOW, f"{prefix}lines", total, row=row)
        return dict(basket)

    def _known(self, order_id: str) -> Known:
        if order_id not in self.known:
            refuse(Fault.UNKNOWN_ORDER, "order_id", order_id)
        return self.known[order_id]

    def _shortfall(self, store: str, sku: str) -> Shortfall:
        return Shortfall(
            store_id=store,
            sku=sku,
            on_hand=self.on_hand[store, sku],
            reserved=self.reserved[store, sku],
            order_ids=tuple(
                name
                for name, known in self.known.items()
                if known.held and known.decision.store_id == store and sku in known.basket
            ),
        )


def is_usable_id(name: object) -> bool:
    """1 to 255 bytes of UTF-8 without NUL."""
    if not isinstance(name, str):
        return False
    try:
        return 1 <= len(name.encode()) <= 255 and "\0" not in name
    except UnicodeEncodeError:
        return False
