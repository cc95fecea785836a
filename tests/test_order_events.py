"""What is written down of orders: each step once, with counts that add up."""

from collections import Counter
from collections.abc import Callable

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    OrderState,
    RejectReason,
    WrongStateError,
)
from fendan.engine.events import EventKind, Events
from fendan.engine.history import Event, read
from street import WAYS, a_street, go_on, levels, order

S = OrderState
MOST = 2**31 - 1


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    return a_street(clock)


# -- WHAT IS WRITTEN DOWN ------------------------------------------------------------------------


def a_day(engine: Engine, clock: StoppedClock) -> None:
    """Everything that can happen to orders."""
    engine.route_batch([order(f"{n}", ("tea", 1), ("milk", 1)) for n in range(1, 8)])
    go_on(engine, *WAYS[S.DELIVERED])
    engine.return_order("1", to_stock=True)
    go_on(engine, *WAYS[S.SHIPPED], name="2")
    engine.return_order("2", to_stock=False)
    engine.reject_order("3", "east", reason=RejectReason.NOT_ON_SHELF)
    engine.cancel_order("4")
    engine.accept_order("5")
    for store in ("middle", "west", "east"):
        if engine.order("6").store_id:
            engine.reject_order("6", engine.order("6").store_id or store)
    clock.pass_s(900)
    engine.expire_orders()
    engine.release("5")


def events_of(engine: Engine, act: Callable[[], None]) -> list[Event]:
    """What the engine writes down while something is done."""
    events = engine._orders.events = Events()
    act()
    body = bytes(events.padded())[: events.size]
    return read(body, 1, 0, len(events))


def test_every_step_is_an_event_that_leads_to_its_state(
    engine: Engine, clock: StoppedClock
) -> None:
    happened = events_of(engine, lambda: a_day(engine, clock))
    of_orders = [event for event in happened if event.order_id]
    last = {event.order_id: event for event in of_orders}
    for name, event in last.items():
        status = engine.order(name)
        assert event.attempts == status.attempts
        if status.state is S.REJECTED:
            assert (event.kind, event.reason) == (EventKind.UNASSIGNED, status.reason)
        else:
            assert event.kind == status.state
            assert engine.store_ids[event.store] == status.store_id
    third = [event for event in of_orders if event.order_id == "3"]
    kinds = [EventKind.ASSIGNED, EventKind.REJECTED, EventKind.ASSIGNED, EventKind.EXPIRED]
    assert [event.kind for event in third] == kinds
    assert third[1].reason == RejectReason.NOT_ON_SHELF
    assert [engine.store_ids[event.store] for event in third[:3]] == ["east", "east", "middle"]


def test_counts_before_and_after_chain_up_from_the_first_to_the_last(
    engine: Engine, clock: StoppedClock
) -> None:
    counts = {
        (engine.store_ids.index(one.store_id), engine.skus.index(one.sku)): (one.on_hand, 0)
        for one in levels(engine)
    }
    for event in events_of(engine, lambda: a_day(engine, clock)):
        for move in event.moves:
            if event.kind == EventKind.RETURNED and event.order_id == "2":
                assert (move.quantity, move.on_hand_before, move.on_hand_after) == (1, 0, 0)
                continue
            pair = event.store, move.sku
            assert counts[pair] == (move.on_hand_before, move.reserved_before)
            counts[pair] = move.on_hand_after, move.reserved_after
    for one in levels(engine):
        pair = engine.store_ids.index(one.store_id), engine.skus.index(one.sku)
        assert counts[pair] == (one.on_hand, one.reserved)


def test_what_left_and_what_is_there_is_what_came(engine: Engine, clock: StoppedClock) -> None:
    def there() -> Counter[str]:
        return sum((Counter({one.sku: one.on_hand}) for one in levels(engine)), Counter())

    came, left = there(), Counter[str]()
    for event in events_of(engine, lambda: a_day(engine, clock)):
        for move in event.moves:
            left[engine.skus[move.sku]] += move.on_hand_before - move.on_hand_after
    assert left + there() == came


def test_a_step_that_changes_nothing_or_is_refused_writes_nothing(engine: Engine) -> None:
    engine.route_batch([order("1"), order("2")])
    go_on(engine, *WAYS[S.SHIPPED])
    engine.cancel_order("2")

    def again() -> None:
        go_on(engine, *WAYS[S.SHIPPED])
        engine.cancel_order("2")
        engine.release("1")
        engine.expire_orders()
        for call in (lambda: engine.cancel_order("1"), lambda: engine.ship_order("2")):
            with pytest.raises(WrongStateError):
                call()

    assert events_of(engine, again) == []
