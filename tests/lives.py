"""The slow twin's part in the life of orders: every step written out, state by state."""

import math
from collections.abc import Iterable

from clock import StoppedClock
from fendan import (
    Datum,
    OrderState,
    OrderStatus,
    Policy,
    Reason,
    RejectReason,
)
from fendan.errors import Fault, refuse
from ledger import MOST, Basket, Known, Ledger, Place, Shop

ASSIGNED, UNASSIGNED = OrderState.ASSIGNED, OrderState.UNASSIGNED
ACCEPTED, PICKED, SHIPPED = OrderState.ACCEPTED, OrderState.PICKED, OrderState.SHIPPED
DELIVERED, RETURNED = OrderState.DELIVERED, OrderState.RETURNED
REJECTED, CANCELLED, EXPIRED = OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED


class Lives(Ledger):
    """The methods of `fendan.Engine` that move orders on."""

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        datum: Datum = Datum.WGS84,
        clock: StoppedClock | None = None,
    ) -> None:
        super().__init__(datum=datum)
        self.policy = policy or Policy()
        self.clock = clock or StoppedClock()
        self.last_ns = 0

    # -- AT THE STORE --------------------------------------------------------------------------

    def accept_order(self, order_id: str, *, store_id: str | None = None) -> OrderStatus:
        known = self._at(order_id, store_id)
        if known.state is ASSIGNED:
            known.state, known.due_ns = ACCEPTED, None
        elif known.state not in (ACCEPTED, PICKED, SHIPPED, DELIVERED):
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        return self.order(order_id)

    def pick_order(self, order_id: str, *, store_id: str | None = None) -> OrderStatus:
        known = self._at(order_id, store_id)
        if known.state is ACCEPTED:
            known.state = PICKED
        elif known.state not in (PICKED, SHIPPED, DELIVERED):
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        return self.order(order_id)

    def ship_order(self, order_id: str, *, store_id: str | None = None) -> OrderStatus:
        known = self._at(order_id, store_id)
        if known.state is PICKED:
            assert known.shop is not None
            for sku, quantity in known.basket.items():
                self._let_go(known.shop, sku, (known.days[sku], quantity), 0, sent=True)
            known.state = SHIPPED
        elif known.state not in (SHIPPED, DELIVERED):
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        return self.order(order_id)

    def reject_order(
        self,
        order_id: str,
        store_id: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        missing_skus: Iterable[str] | None = None,
    ) -> OrderStatus:
        if not isinstance(reason, RejectReason):
            refuse(Fault.WRONG_TYPE, "reason", reason)
        missing = list(missing_skus or ())
        if not isinstance(store_id, str):
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        known = self._known(order_id, "order_id", None)
        is_short = reason in (RejectReason.NOT_ON_SHELF, RejectReason.DAMAGED)
        if missing and not is_short:
            refuse(Fault.OUT_OF_RANGE, "missing_skus", missing)
        for row, sku in enumerate(missing):
            if sku not in known.basket:
                refuse(Fault.UNKNOWN_SKU, "missing_skus", sku, row=row)
        is_there = known.shop is not None and known.shop.id == store_id
        if not is_there and store_id in [shop.id for shop, _ in known.rejections]:
            return self.order(order_id)
        self._at(order_id, store_id)
        if known.shop is None or not known.held:
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        shop = known.shop
        self._given_back(known)
        known.rejections.append((shop, self._now_ns()))
        if is_short:
            for sku in missing or known.basket:
                self._set(shop, sku, min(self.on_hand[shop, sku], self.reserved[shop, sku]))
        self._route_again(known)
        return self.order(order_id)

    def _route_again(self, known: Known) -> None:
        now_ns = self._now_ns()
        cool_down_ns = round(self.policy.cool_down_s * 1e9)
        without = {shop for shop, when_ns in known.rejections if now_ns - when_ns < cool_down_ns}
        without.add(known.rejections[-1][0])
        known.state, known.shop, known.metres, known.due_ns = REJECTED, None, None, None
        if known.attempts == self.policy.most_attempts:
            known.reason = Reason.TOO_MANY_ATTEMPTS
            return
        self._assign(known, self._radius_m(None), without)
        if known.shop is not None:
            known.state = ASSIGNED

    # -- BEYOND THE STORE ----------------------------------------------------------------------

    def deliver_order(self, order_id: str, *, store_id: str | None = None) -> OrderStatus:
        known = self._at(order_id, store_id)
        if known.state is SHIPPED:
            known.state = DELIVERED
        elif known.state is not DELIVERED:
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        return self.order(order_id)

    def return_order(
        self, order_id: str, *, to_stock: bool, store_id: str | None = None
    ) -> OrderStatus:
        if not isinstance(to_stock, bool):
            refuse(Fault.WRONG_TYPE, "to_stock", to_stock)
        known = self._at(order_id, store_id)
        shop = known.shop
        if known.state is RETURNED:
            if to_stock is not known.back_in_stock:
                refuse(Fault.WRONG_STATE, "to_stock", to_stock)
            return self.order(order_id)
        if shop is None or known.state not in (SHIPPED, DELIVERED):
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        if to_stock:
            if shop not in self.shops.values():
                refuse(Fault.WRONG_STORE, "to_stock", shop.id)
            after = {sku: self.on_hand[shop, sku] + n for sku, n in known.basket.items()}
            for on_hand in after.values():
                if on_hand > MOST:
                    refuse(Fault.OVERFLOW, "to_stock", on_hand)
            for sku, quantity in known.basket.items():
                self._put_back(shop, sku, quantity, 0)
        known.state, known.back_in_stock = RETURNED, to_stock
        return self.order(order_id)

    def cancel_order(self, order_id: str, *, shipment: int | None = None) -> OrderStatus:
        if shipment is not None and shipment < 1:
            refuse(Fault.OUT_OF_RANGE, "shipment", shipment)
        known = self._known(order_id, "order_id", None)
        if shipment not in (None, 1):
            refuse(Fault.OUT_OF_RANGE, "shipment", shipment)
        if known.state in (SHIPPED, DELIVERED, RETURNED, EXPIRED):
            refuse(Fault.WRONG_STATE, "order_id", order_id)
        self._given_back(known)
        known.state, known.due_ns = CANCELLED, None
        return self.order(order_id)

    def release(self, order_id: str) -> bool:
        return self._released(self._known(order_id, "order_id", None))

    def release_batch(self, order_ids: Iterable[str]) -> list[bool]:
        known = [self._known(name, "order_ids", row) for row, name in enumerate(order_ids)]
        return [self._released(order) for order in known]

    def expire_orders(self) -> list[str]:
        now_ns = self._now_ns()
        expired = []
        for name, known in self.known.items():
            if known.state is ASSIGNED and known.due_ns is not None and known.due_ns <= now_ns:
                self._given_back(known)
                known.state, known.due_ns = EXPIRED, None
                expired.append(name)
        return expired

    # -- QUERIES -------------------------------------------------------------------------------

    def order(self, order_id: str) -> OrderStatus:
        known = self._known(order_id, "order_id", None)
        return OrderStatus(
            order_id=order_id,
            state=known.state,
            store_id=known.shop.id if known.shop else None,
            distance_m=known.metres,
            reason=known.reason,
            attempts=known.attempts,
            reserved_until_ns=known.due_ns,
        )

    # -- INSIDE --------------------------------------------------------------------------------

    def _assign(self, known: Known, radius_m: float, without: Iterable[Shop] = ()) -> None:
        """Give an order that is nowhere to the nearest store that has it; or say why none."""
        shops = [shop for shop in self.shops.values() if not shop.paused and shop not in without]
        ranked = self._ranked(known.place, known.basket, radius_m, shops)
        if not ranked:
            known.reason = self._reason(known.place, known.basket, radius_m, shops)
            return
        known.metres, known.shop = ranked[0]
        known.reason = Reason.NONE
        known.attempts += 1
        if self.policy.reservation_timeout_s is not None:
            known.due_ns = self._now_ns() + round(self.policy.reservation_timeout_s * 1e9)
        for sku, quantity in known.basket.items():
            known.days[sku] = self.good_day(sku)
            self._take(known.shop, sku, quantity, known.days[sku])

    def _reason(self, place: Place, basket: Basket, radius_m: float, shops: list[Shop]) -> Reason:
        if not shops:
            return Reason.NO_STORES
        if not self._ranked(place, {}, radius_m, shops):
            return Reason.NO_STORE_IN_RADIUS
        if self._ranked(place, basket, math.inf, shops):
            return Reason.NO_STOCK_IN_RADIUS
        return Reason.NO_STOCK

    def _ranked(
        self, place: Place, basket: Basket, radius_m: float, shops: Iterable[Shop]
    ) -> list[tuple[float, Shop]]:
        """The stores that have the basket, within the radius, nearest first, then by id."""
        raise NotImplementedError

    def _given_back(self, known: Known) -> None:
        if known.held and known.shop is not None:
            for sku, quantity in known.basket.items():
                self._let_go(known.shop, sku, (known.days[sku], quantity), 0)

    def _released(self, known: Known) -> bool:
        if not known.held:
            return False
        self._given_back(known)
        known.state, known.due_ns = CANCELLED, None
        return True

    def _now_ns(self) -> int:
        """The clock, except that it never goes back."""
        self.last_ns = max(self.last_ns, self.clock.now_ns())
        return self.last_ns

    def now_ns(self) -> int:
        return self._now_ns()

    def _radius_m(self, policy: Policy | None) -> float:
        radius_m = (policy or self.policy).radius_m
        return math.inf if radius_m is None else radius_m

    # -- CHECKS --------------------------------------------------------------------------------

    def _at(self, order_id: str, store_id: str | None) -> Known:
        """A known order, at its store if one is named."""
        known = self._known(order_id, "order_id", None)
        is_there = known.shop is not None and known.shop.id == store_id
        if store_id is not None and not is_there:
            if not isinstance(store_id, str) or store_id not in self.shops:
                refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
            if known.shop is not None:
                refuse(Fault.WRONG_STORE, "store_id", store_id)
        return known

    def _known(self, order_id: str, field: str, row: int | None) -> Known:
        if order_id not in self.known:
            refuse(Fault.UNKNOWN_ORDER, field, order_id, row=row)
        return self.known[order_id]
