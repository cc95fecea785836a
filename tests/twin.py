"""The slow twin: what `fendan.Engine` must answer, written so that it can hardly be wrong.

Every store is asked, in float64, one after another. There are no leaves, no bitmaps, no codes and
no pages here, and nothing is ever forgotten. Tests let the twin and the engine do the same things,
and compare what they return and what they raise.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy

from fendan import Datum, Decision, Nearby, Order, OrderState, Policy, Status
from fendan.errors import Fault, refuse
from fendan.model import Line
from ledger import MOST, Basket, Known, Place, Shop, is_usable_id
from lives import Lives

__all__ = ["Place", "Twin", "haversine_m"]

EARTH_RADIUS_M = 6371008.8
RADIANS_PER_DEGREE = 0.017453292519943295
MOST_LINES = 10_000
MOST_AMOUNT = 10**12

Amounts = dict[str, int]


def haversine_m(a: Place, b: Place) -> float:
    """Great-circle metres, rounded exactly as the engine rounds: the same operations in order."""
    k = RADIANS_PER_DEGREE
    half_lat = math.sin((b[0] - a[0]) * k * 0.5)
    half_lng = math.sin((b[1] - a[1]) * k * 0.5)
    cosines = math.cos(a[0] * k) * math.cos(b[0] * k)
    h = half_lat * half_lat + cosines * half_lng * half_lng
    return 2.0 * EARTH_RADIUS_M * math.asin(math.sqrt(min(h, 1.0)))


def amounts_of(order: Order) -> Amounts:
    """What is paid for each SKU, as far as it was said."""
    amounts: Counter[str] = Counter()
    for sku, _, *said in order.lines:
        amounts[sku] += sum(said)
    return dict(+amounts)


class Twin(Lives):
    """The same methods as `fendan.Engine`."""

    @property
    def places(self) -> dict[str, Place]:
        """Where the stores are, by id."""
        return {shop.id: shop.place for shop in self.shops.values()}

    # -- COMMANDS ------------------------------------------------------------------------------

    def route(
        self, order: Order, *, policy: Policy | None = None, dry_run: bool = False
    ) -> Decision:
        return self._route([order], policy, dry_run, ["order."], [None])[0]

    def route_batch(
        self, orders: Iterable[Order], *, policy: Policy | None = None, dry_run: bool = False
    ) -> list[Decision]:
        orders = list(orders)
        prefixes = [f"orders[{row}]." for row in range(len(orders))]
        return self._route(orders, policy, dry_run, prefixes, range(len(orders)))

    # -- QUERIES -------------------------------------------------------------------------------

    def nearest(
        self,
        lat: float,
        lng: float,
        *,
        lines: Sequence[Line] = (),
        limit: int = 5,
        policy: Policy | None = None,
        datum: Datum | None = None,
    ) -> list[Nearby]:
        wanted = Order(id="-", lat=lat, lng=lng, lines=lines, datum=datum)
        place = self._place(wanted, "", None)
        basket = self._basket(wanted, "", None) if lines else {}
        open_shops = [shop for shop in self.shops.values() if not shop.paused]
        ranked = self._ranked(place, basket, self._radius_m(policy), open_shops)
        return [Nearby(store_id=shop.id, distance_m=metres) for metres, shop in ranked[:limit]]

    def decision(self, order_id: str) -> Decision:
        decision = self._known(order_id, "order_id", None).decision
        assert decision is not None
        return decision

    def is_held(self, order_id: str) -> bool:
        return self._known(order_id, "order_id", None).held

    # -- ROUTING -------------------------------------------------------------------------------

    def _route(
        self,
        orders: Sequence[Order],
        policy: Policy | None,
        dry_run: bool,
        prefixes: Sequence[str],
        rows: Sequence[int | None],
    ) -> list[Decision]:
        radius_m = self._radius_m(policy)
        asked: list[tuple[Place, Basket, Amounts]] = []
        for order, prefix, row in zip(orders, prefixes, rows, strict=True):
            if not is_usable_id(order.id):
                refuse(Fault.BAD_ID, f"{prefix}id", order.id, row=row)
            place = self._place(order, prefix, row)
            asked.append((place, self._basket(order, prefix, row), amounts_of(order)))
        self._refuse_conflicts(orders, asked, prefixes, rows)
        known, reserved, off_shelf = dict(self.known), Counter(self.reserved), set(self.off_shelf)
        shelves = {pair: deepcopy(shelf) for pair, shelf in self.shelves.items()}
        decisions = [
            self._decide(order.id, place, basket, amounts, radius_m)
            for order, (place, basket, amounts) in zip(orders, asked, strict=True)
        ]
        if dry_run:
            self.known, self.reserved, self.off_shelf = known, reserved, off_shelf
            self.shelves = shelves
        return decisions

    def _refuse_conflicts(
        self,
        orders: Sequence[Order],
        asked: Sequence[tuple[Place, Basket, Amounts]],
        prefixes: Sequence[str],
        rows: Sequence[int | None],
    ) -> None:
        first = {
            name: (known.place, known.basket, known.amounts) for name, known in self.known.items()
        }
        for order, content, prefix, row in zip(orders, asked, prefixes, rows, strict=True):
            if first.setdefault(order.id, content) != content:
                refuse(Fault.ORDER_CONFLICT, f"{prefix}id", order.id, row=row)

    def _decide(
        self, order_id: str, place: Place, basket: Basket, amounts: Amounts, radius_m: float
    ) -> Decision:
        if order_id not in self.known:
            known = self.known[order_id] = Known(place, basket, amounts)
            self._assign(known, radius_m)
            known.state = OrderState.ASSIGNED if known.shop else OrderState.UNASSIGNED
            known.decision = Decision(
                order_id=order_id,
                status=Status.ASSIGNED if known.shop else Status.UNASSIGNED,
                store_id=known.shop.id if known.shop else None,
                distance_m=known.metres,
                reason=known.reason,
            )
        return self.decision(order_id)

    def _ranked(
        self, place: Place, basket: Basket, radius_m: float, shops: Iterable[Shop]
    ) -> list[tuple[float, Shop]]:
        found = [
            (metres, shop)
            for shop in shops
            if all(self._sellable(shop, sku) >= quantity for sku, quantity in basket.items())
            and (metres := haversine_m(place, shop.place)) <= radius_m
        ]
        return sorted(found, key=lambda one: (one[0], one[1].id))

    # -- CHECKS --------------------------------------------------------------------------------

    def _basket(self, order: Order, prefix: str, row: int | None) -> Basket:
        """The lines with those of one SKU added up."""
        if not order.lines:
            refuse(Fault.MISSING, f"{prefix}lines", 0, row=row)
        if len(order.lines) > MOST_LINES:
            refuse(Fault.OUT_OF_RANGE, f"{prefix}lines", len(order.lines), row=row)
        basket: Counter[str] = Counter()
        for place, (sku, quantity, *amounts) in enumerate(order.lines):
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
            for amount in amounts:
                self._check_amount(amount, f"{field}.amount", row)
            basket[sku] += quantity
        for total in basket.values():
            if total > MOST:
                refuse(Fault.OVERFLOW, f"{prefix}lines", total, row=row)
        return dict(basket)

    def _check_amount(self, amount: object, field: str, row: int | None) -> None:
        if not isinstance(amount, int):
            refuse(Fault.WRONG_TYPE, field, amount, row=row)
        if not 0 <= amount <= MOST_AMOUNT:
            refuse(Fault.OUT_OF_RANGE, field, amount, row=row)
