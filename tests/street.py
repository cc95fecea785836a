"""Three shops in one street, and the way of an order through them."""

from collections.abc import Callable
from typing import Any

from clock import StoppedClock
from fendan import Engine, Order, OrderState, OrderStatus, Policy, StockLevel, Store

PATIENCE = Policy(reservation_timeout_s=900.0, most_attempts=3, cool_down_s=1800.0)


def a_street(clock: StoppedClock, policy: Policy = PATIENCE) -> Engine:
    """Five teas and four milks in each shop; by this policy a store has 15 minutes."""
    engine = Engine(policy=policy, clock=clock)
    shops = (("east", 121.48), ("middle", 121.47), ("west", 121.46))
    engine.add_stores([Store(id=name, lat=31.23, lng=lng) for name, lng in shops])
    engine.set_stock((s, sku, n) for s, _ in shops for sku, n in (("tea", 5), ("milk", 4)))
    return engine


def order(name: str = "1", *lines: tuple[str, int]) -> Order:
    """From a door next to the east shop."""
    return Order(id=name, lat=31.23, lng=121.49, lines=list(lines) or [("tea", 2), ("milk", 1)])


def level(engine: Engine, store: str, sku: str = "tea") -> tuple[int, int]:
    """On hand, and reserved."""
    (found,) = engine.stock(store, [sku])
    return found.on_hand, found.reserved


def levels(engine: Engine) -> list[StockLevel]:
    return [one for store in ("east", "middle", "west") for one in engine.stock(store)]


def go_on(engine: Engine, *states: OrderState, name: str = "1") -> OrderStatus:
    """Take an order the whole way to a state, step by step."""
    for state in states:
        STEPS[state](engine, name)
    return engine.order(name)


def a_sold_out_order(engine: Engine, name: str) -> None:
    engine.route(order(name, ("tea", 99)))


def expire(engine: Engine, name: str) -> None:
    clock: Any = engine._clock
    clock.pass_s(PATIENCE.reservation_timeout_s)
    assert engine.expire_orders() == [name]


def reject_everywhere(engine: Engine, name: str) -> None:
    for store in ("east", "middle", "west"):
        engine.reject_order(name, store)


S = OrderState
STEPS: dict[OrderState, Callable[[Engine, str], Any]] = {
    S.ACCEPTED: lambda engine, name: engine.accept_order(name),
    S.PICKED: lambda engine, name: engine.pick_order(name),
    S.SHIPPED: lambda engine, name: engine.ship_order(name),
    S.DELIVERED: lambda engine, name: engine.deliver_order(name),
    S.RETURNED: lambda engine, name: engine.return_order(name, to_stock=True),
    S.CANCELLED: lambda engine, name: engine.cancel_order(name),
    S.REJECTED: reject_everywhere,
    S.EXPIRED: expire,
}
# How an order gets into a state.
WAYS: dict[OrderState, tuple[OrderState, ...]] = {
    S.ASSIGNED: (),
    S.UNASSIGNED: (),
    S.ACCEPTED: (S.ACCEPTED,),
    S.PICKED: (S.ACCEPTED, S.PICKED),
    S.SHIPPED: (S.ACCEPTED, S.PICKED, S.SHIPPED),
    S.DELIVERED: (S.ACCEPTED, S.PICKED, S.SHIPPED, S.DELIVERED),
    S.REJECTED: (S.REJECTED,),
    S.CANCELLED: (S.CANCELLED,),
    S.EXPIRED: (S.EXPIRED,),
    S.RETURNED: (S.ACCEPTED, S.PICKED, S.SHIPPED, S.RETURNED),
}
