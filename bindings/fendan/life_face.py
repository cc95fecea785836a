"""The engine's face for those who fill orders: the steps of an order's life."""

from collections.abc import Iterable
from numbers import Real
from typing import Any

from fendan import columns
from fendan.core import Clock, Core
from fendan.engine.geo import Datum
from fendan.engine.life import Life, RejectReason
from fendan.engine.orders import Orders
from fendan.engine.records import OrderState
from fendan.engine.router import Reason
from fendan.errors import Fault, refuse
from fendan.model import OrderStatus, Policy, ShipmentStatus
from fendan.updates import Updates

__all__ = ["LifeFace"]

A_YEAR_S = 366 * 86_400
MOST_ATTEMPTS = 100


class LifeFace(Core):
    """Orders accepted, picked, shipped, delivered, returned, rejected, cancelled and expired.

    Every step returns where the order is after it. A step that has happened before changes nothing,
    so that a call can be repeated; any other that does not start where the order is raises
    WrongStateError. Steps may name the store that takes them: WrongStoreError then says that the
    order is not there, or not any more. Raises UnknownOrderError for an id that was never routed.

    An order that was split goes on shipment by shipment: `shipment` says which one takes the step,
    from 1. None: every one for which it makes sense, all or none; where a store is named, of those
    that are there. Raises WrongStateError where it makes sense for none.
    """

    def __init__(
        self, datum: Datum, remembered_orders: int, policy: Policy, clock: Clock | None = None
    ) -> None:
        super().__init__(datum, remembered_orders, clock)
        self._limits = _limits_of(policy)
        self._life = Life(self._orders, *self._limits)

    def _adopt(self, datum: Datum, orders: Orders, updates: Updates) -> None:
        super()._adopt(datum, orders, updates)
        self._life = Life(orders, *self._limits)

    # -- AT THE STORE --------------------------------------------------------------------------

    def accept_order(
        self, order_id: str, *, store_id: str | None = None, shipment: int | None = None
    ) -> OrderStatus:
        """Its store will fill the order, however long that takes: the reservation stays."""
        return self._advance(order_id, OrderState.ACCEPTED, store_id, shipment)

    def pick_order(
        self, order_id: str, *, store_id: str | None = None, shipment: int | None = None
    ) -> OrderStatus:
        """An accepted order has been taken from the shelves; it is still in the store."""
        return self._advance(order_id, OrderState.PICKED, store_id, shipment)

    def ship_order(
        self, order_id: str, *, store_id: str | None = None, shipment: int | None = None
    ) -> OrderStatus:
        """A picked order has left the store: what it took is no longer on hand, nor reserved.

        Where a snapshot has counted it as gone already, on hand stays at zero.
        """
        return self._advance(order_id, OrderState.SHIPPED, store_id, shipment)

    def reject_order(
        self,
        order_id: str,
        store_id: str,
        *,
        reason: RejectReason = RejectReason.OTHER,
        missing_skus: Iterable[str] | None = None,
        shipment: int | None = None,
    ) -> OrderStatus:
        """Its store will not fill the order: give back what it held, and ask the next at once.

        The next is the nearest within the engine's policy that has every line, or what the policy
        file in force says, without the stores that have rejected the order within the policy's
        cool-down. Where there is none, or the order has been to as many stores as the policy
        allows, it is REJECTED with a reason, until it is cancelled.

        For the reasons NOT_ON_SHELF and DAMAGED the store keeps only what it holds for other orders
        of the `missing_skus`, by default of all that the order has; so it sells no more of them
        before it is counted again. A store that no longer has the order, and has rejected it
        before, may say so again. Raises UnknownSkuError for a SKU that the order does not have.
        """
        if not isinstance(reason, RejectReason):
            refuse(Fault.WRONG_TYPE, "reason", reason, hint="must be a fendan.RejectReason")
        missing = [] if missing_skus is None else columns.rows("missing_skus", missing_skus)
        if not isinstance(store_id, str):
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        _check_shipment(shipment)
        with self._command() as command:
            rules = self._rules_at(command.now_ns)
            told = self._life.reject(
                order_id, store_id, reason, missing, command.now_ns, shipment, rules
            )
            self._stepped([order_id], command.now_ns, store_id)
        return _status(order_id, told)

    # -- BEYOND THE STORE ----------------------------------------------------------------------

    def deliver_order(
        self, order_id: str, *, store_id: str | None = None, shipment: int | None = None
    ) -> OrderStatus:
        """A shipped order has reached its customer."""
        return self._advance(order_id, OrderState.DELIVERED, store_id, shipment)

    def return_order(
        self,
        order_id: str,
        *,
        to_stock: bool,
        store_id: str | None = None,
        shipment: int | None = None,
    ) -> OrderStatus:
        """A shipped or delivered order has come back to the store that shipped it.

        `to_stock`: it can be sold again, and counts as on hand; otherwise no count changes. A
        removed store takes nothing to stock: WrongStoreError. More than can be counted raises
        QuantityOverflowError.
        """
        if not isinstance(to_stock, bool):
            refuse(Fault.WRONG_TYPE, "to_stock", to_stock, hint="must be True or False")
        _check_shipment(shipment)
        with self._command() as command:
            told = self._life.give_back(order_id, to_stock, store_id, command.now_ns, shipment)
        return _status(order_id, told)

    def cancel_order(self, order_id: str, *, shipment: int | None = None) -> OrderStatus:
        """Give up an order that has not left its store, and give back what is held for it.

        The id stays spent: the order sent again gets its first decision, and reserves nothing.
        """
        _check_shipment(shipment)
        with self._command() as command:
            told = self._life.cancel(order_id, command.now_ns, shipment)
            self._stepped([order_id], command.now_ns)
        return _status(order_id, told)

    def release(self, order_id: str) -> bool:
        """Give back the stock held for an order; True if there was any, False the second time.

        As `cancel_order`, but nothing happens to an order that holds no stock. Raises
        UnknownOrderError for an id that was never routed.
        """
        with self._command() as command:
            return self._life.release(order_id, command.now_ns)

    def release_batch(self, order_ids: Iterable[str]) -> list[bool]:
        """As `release` for each id in turn; an unknown one refuses all of them."""
        order_ids = columns.rows("order_ids", order_ids)
        with self._command() as command:
            return self._life.release_many(order_ids, command.now_ns)

    def expire_orders(self) -> list[str]:
        """Expire the orders that no store accepted within the policy's time; their ids by age.

        To be called every now and then: until then their stock is held, and they can be accepted.
        """
        with self._command() as command:
            expired = self._life.expire(command.now_ns)
            self._stepped(expired, command.now_ns)
            return expired

    # -- QUERIES -------------------------------------------------------------------------------

    def order(self, order_id: str) -> OrderStatus:
        """Where an order is now. Raises UnknownOrderError."""
        with self._command():
            return _status(order_id, self._life.status(order_id))

    # -- INSIDE --------------------------------------------------------------------------------

    def _stepped(self, order_ids: Iterable[str], now_ns: int, store_id: str = "") -> None:
        """A hook, within the command: these were rejected by a store, cancelled, or expired."""

    def _advance(
        self, order_id: str, state: OrderState, store_id: str | None, shipment: int | None
    ) -> OrderStatus:
        _check_shipment(shipment)
        with self._command() as command:
            told = self._life.advance(order_id, state, store_id, command.now_ns, shipment)
        return _status(order_id, told)


def _check_shipment(shipment: int | None) -> None:
    if shipment is not None and (not isinstance(shipment, int) or shipment < 1):
        refuse(Fault.OUT_OF_RANGE, "shipment", shipment, hint="must be the number of one, from 1")


def _status(
    order_id: str,
    told: tuple[
        OrderState, str | None, float | None, Reason, int, int | None, tuple[tuple[Any, ...], ...]
    ],
) -> OrderStatus:
    state, store_id, distance_m, reason, attempts, reserved_until_ns, shipments = told
    return OrderStatus(
        order_id=str(order_id),
        state=state,
        store_id=store_id,
        distance_m=distance_m,
        reason=reason,
        attempts=attempts,
        reserved_until_ns=reserved_until_ns,
        shipments=tuple(_shipment(*one) for one in shipments) if shipments else (),
    )


def _shipment(
    number: int,
    state: OrderState,
    store_id: str | None,
    distance_m: float | None,
    reason: Reason,
    attempts: int,
    reserved_until_ns: int | None,
    lines: tuple[tuple[str, int], ...],
) -> ShipmentStatus:
    return ShipmentStatus(
        number=number,
        state=state,
        store_id=store_id,
        distance_m=distance_m,
        reason=reason,
        attempts=attempts,
        reserved_until_ns=reserved_until_ns,
        lines=lines,
    )


def _limits_of(policy: Policy) -> tuple[float, int | None, int, int]:
    """A policy that was checked as far as its radius, as Life wants it."""
    _check_seconds("reservation_timeout_s", policy.reservation_timeout_s, least=1e-9)
    _check_seconds("cool_down_s", policy.cool_down_s, least=0)
    most = policy.most_attempts
    if not isinstance(most, int) or not 1 <= most <= MOST_ATTEMPTS:
        hint = f"must be a whole number from 1 to {MOST_ATTEMPTS}"
        refuse(Fault.OUT_OF_RANGE, "policy.most_attempts", most, hint=hint)
    radius_m = float("inf") if policy.radius_m is None else float(policy.radius_m)
    timeout_s = policy.reservation_timeout_s
    timeout_ns = None if timeout_s is None else round(timeout_s * 1e9)
    return radius_m, timeout_ns, most, round(policy.cool_down_s * 1e9)


def _check_seconds(name: str, value: float | None, *, least: float) -> None:
    if value is None and name == "reservation_timeout_s":
        return
    if not isinstance(value, Real):
        refuse(Fault.WRONG_TYPE, f"policy.{name}", value, hint="must be seconds")
    if not least <= value <= A_YEAR_S:
        refuse(Fault.OUT_OF_RANGE, f"policy.{name}", value, hint="must be at most a year")
