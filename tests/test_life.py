"""The life of an order: what each step does, that it does it once, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    InvalidInputError,
    OrderState,
    OrderStatus,
    QuantityOverflowError,
    Reason,
    Store,
    UnknownOrderError,
    UnknownStoreError,
    WrongStateError,
    WrongStoreError,
    WrongTypeError,
)
from street import WAYS, a_sold_out_order, a_street, go_on, level, levels, order

S = OrderState
MOST = 2**31 - 1


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    return a_street(clock)


def an_order_that_is(state: OrderState, engine: Engine) -> OrderStatus:
    if state is S.UNASSIGNED:
        a_sold_out_order(engine, "1")
    else:
        engine.route(order())
    status = go_on(engine, *WAYS[state])
    assert status.state is state
    return status


# -- THE WHOLE TABLE -----------------------------------------------------------------------------

# What each step makes of an order in each state; where nothing stands, it is refused.
NEXT: dict[str, dict[OrderState, OrderState]] = {
    "accept": {
        S.ASSIGNED: S.ACCEPTED,
        S.ACCEPTED: S.ACCEPTED,
        S.PICKED: S.PICKED,
        S.SHIPPED: S.SHIPPED,
        S.DELIVERED: S.DELIVERED,
    },
    "pick": {
        S.ACCEPTED: S.PICKED,
        S.PICKED: S.PICKED,
        S.SHIPPED: S.SHIPPED,
        S.DELIVERED: S.DELIVERED,
    },
    "ship": {S.PICKED: S.SHIPPED, S.SHIPPED: S.SHIPPED, S.DELIVERED: S.DELIVERED},
    "deliver": {S.SHIPPED: S.DELIVERED, S.DELIVERED: S.DELIVERED},
    "return": {S.SHIPPED: S.RETURNED, S.DELIVERED: S.RETURNED, S.RETURNED: S.RETURNED},
    "reject": {S.ASSIGNED: S.ASSIGNED, S.ACCEPTED: S.ASSIGNED, S.PICKED: S.ASSIGNED},
    "cancel": {
        S.ASSIGNED: S.CANCELLED,
        S.ACCEPTED: S.CANCELLED,
        S.PICKED: S.CANCELLED,
        S.UNASSIGNED: S.CANCELLED,
        S.REJECTED: S.CANCELLED,
        S.CANCELLED: S.CANCELLED,
    },
}
CALLS: dict[str, Callable[[Engine, str], OrderStatus]] = {
    "accept": lambda engine, _: engine.accept_order("1"),
    "pick": lambda engine, _: engine.pick_order("1"),
    "ship": lambda engine, _: engine.ship_order("1"),
    "deliver": lambda engine, _: engine.deliver_order("1"),
    "return": lambda engine, _: engine.return_order("1", to_stock=True),
    "reject": lambda engine, store: engine.reject_order("1", store),
    "cancel": lambda engine, _: engine.cancel_order("1"),
}


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize("state", OrderState, ids=str)
def test_each_step_leads_where_it_should_or_is_refused_and_names_the_state(
    engine: Engine, state: OrderState, step: str
) -> None:
    before = an_order_that_is(state, engine)
    engine.add_stores([Store(id="fourth", lat=0, lng=0)])
    counts, cursor = levels(engine), engine.cursor()
    store = before.store_id or "fourth"
    if state in NEXT[step]:
        after = CALLS[step](engine, store)
        assert (after.order_id, after.state) == ("1", NEXT[step][state])
        assert after == engine.order("1")
        if NEXT[step][state] is state and step != "reject":
            assert after == before
            assert (levels(engine), engine.cursor()) == (counts, cursor)
        return
    with pytest.raises(WrongStateError, match=f"it is {state}") as refused:
        CALLS[step](engine, store)
    error = refused.value
    assert (error.code, error.field, error.value) == ("WRONG_STATE", "order_id", "1")
    assert error.grpc_status == "FAILED_PRECONDITION"
    assert engine.order("1") == before
    assert (levels(engine), engine.cursor()) == (counts, cursor)


@pytest.mark.parametrize("state", OrderState, ids=str)
def test_stock_is_held_from_assignment_until_the_order_leaves_or_is_given_up(
    engine: Engine, state: OrderState
) -> None:
    an_order_that_is(state, engine)
    held = state in (S.ASSIGNED, S.ACCEPTED, S.PICKED)
    assert (engine.is_held("1"), state.holds_stock) == (held, held)
    assert sum(one.reserved for one in levels(engine)) == (3 if held else 0)
    assert engine.release("1") is held
    assert engine.order("1").state is (S.CANCELLED if held else state)
    assert sum(one.reserved for one in levels(engine)) == 0


@pytest.mark.parametrize("step", CALLS)
def test_an_order_that_was_never_routed_has_no_life(engine: Engine, step: str) -> None:
    engine.route(order("2"))
    with pytest.raises(UnknownOrderError) as refused:
        CALLS[step](engine, "east")
    assert (refused.value.field, refused.value.value) == ("order_id", "1")
    with pytest.raises(UnknownOrderError):
        engine.order("1")


# -- FROM THE SHELF TO THE CUSTOMER --------------------------------------------------------------


def test_an_order_tells_where_it_is(engine: Engine, clock: StoppedClock) -> None:
    told = engine.route(order())
    assert engine.order("1") == OrderStatus(
        order_id="1",
        state=S.ASSIGNED,
        store_id="east",
        distance_m=told.distance_m,
        reason=Reason.NONE,
        attempts=1,
        reserved_until_ns=clock.now_ns() + 900 * 10**9,
    )
    a_sold_out_order(engine, "2")
    assert engine.order("2") == OrderStatus(
        order_id="2",
        state=S.UNASSIGNED,
        store_id=None,
        distance_m=None,
        reason=Reason.NO_STOCK,
        attempts=0,
        reserved_until_ns=None,
    )


def test_accepting_and_picking_move_no_stock(engine: Engine) -> None:
    engine.route(order())
    counts, cursor = levels(engine), engine.cursor()
    go_on(engine, S.ACCEPTED, S.PICKED)
    assert (levels(engine), engine.cursor()) == (counts, cursor)


def test_shipping_takes_the_lines_from_what_is_on_hand(engine: Engine) -> None:
    engine.route(order())
    assert (level(engine, "east"), level(engine, "east", "milk")) == ((5, 2), (4, 1))
    go_on(engine, S.ACCEPTED, S.PICKED, S.SHIPPED)
    assert (level(engine, "east"), level(engine, "east", "milk")) == ((3, 0), (3, 0))
    assert engine.available("east", "tea") == 3
    go_on(engine, S.DELIVERED)
    assert level(engine, "east") == (3, 0)


def test_shipping_what_a_snapshot_counted_as_gone_leaves_zero_and_never_less(
    engine: Engine,
) -> None:
    engine.route_batch([order("1", ("tea", 3)), order("2", ("tea", 2))])
    assert len(engine.set_stock([("east", "tea", 2)]).shortfalls) == 1
    go_on(engine, S.ACCEPTED, S.PICKED, S.SHIPPED)
    assert level(engine, "east") == (0, 2)
    (short,) = engine.set_stock([("east", "tea", 0)]).shortfalls
    assert short.order_ids == ("2",)
    go_on(engine, S.ACCEPTED, S.PICKED, S.SHIPPED, name="2")
    assert level(engine, "east") == (0, 0)


def test_a_shipped_order_is_no_longer_named_in_a_shortfall(engine: Engine) -> None:
    engine.route_batch([order("1", ("tea", 3)), order("2", ("tea", 2))])
    go_on(engine, S.ACCEPTED, S.PICKED, S.SHIPPED)
    (short,) = engine.set_stock([("east", "tea", 1)]).shortfalls
    assert (short.on_hand, short.reserved, short.order_ids) == (1, 2, ("2",))


@pytest.mark.parametrize("way", [WAYS[S.SHIPPED], WAYS[S.DELIVERED]], ids=["lost", "delivered"])
def test_what_comes_back_to_stock_can_be_sold_again(
    engine: Engine, way: tuple[OrderState, ...]
) -> None:
    engine.route(order("1", ("tea", 5)))
    go_on(engine, *way)
    assert engine.route(order("2", ("tea", 1))).store_id == "middle"
    assert engine.return_order("1", to_stock=True).state is S.RETURNED
    assert level(engine, "east") == (5, 0)
    assert engine.route(order("3", ("tea", 5))).store_id == "east"


def test_what_comes_back_broken_is_not_on_hand(engine: Engine) -> None:
    engine.route(order())
    go_on(engine, *WAYS[S.DELIVERED])
    engine.return_order("1", to_stock=False)
    assert level(engine, "east") == (3, 0)


@pytest.mark.parametrize("to_stock", [True, False])
def test_a_return_cannot_be_told_differently_later(engine: Engine, to_stock: bool) -> None:
    engine.route(order())
    go_on(engine, *WAYS[S.SHIPPED])
    told = engine.return_order("1", to_stock=to_stock)
    counts = levels(engine)
    assert engine.return_order("1", to_stock=to_stock) == told
    with pytest.raises(WrongStateError, match="it is RETURNED") as refused:
        engine.return_order("1", to_stock=not to_stock)
    assert refused.value.field == "to_stock"
    assert levels(engine) == counts


def test_a_return_beyond_what_can_be_counted_is_refused_and_changes_nothing(
    engine: Engine,
) -> None:
    engine.route(order("1", ("milk", 1), ("tea", 2)))
    go_on(engine, *WAYS[S.SHIPPED])
    engine.set_stock([("east", "tea", MOST - 1)])
    counts = levels(engine)
    with pytest.raises(QuantityOverflowError) as refused:
        engine.return_order("1", to_stock=True)
    assert (refused.value.field, refused.value.value) == ("to_stock", MOST + 1)
    assert (levels(engine), engine.order("1").state) == (counts, S.SHIPPED)
    engine.adjust_stock([("east", "tea", -1)])
    engine.return_order("1", to_stock=True)
    assert level(engine, "east") == (MOST, 0)


@pytest.mark.parametrize("bad", [None, 1, "yes"])
def test_whether_a_return_goes_to_stock_must_be_said(engine: Engine, bad: Any) -> None:
    engine.route(order())
    go_on(engine, *WAYS[S.SHIPPED])
    with pytest.raises(WrongTypeError):
        engine.return_order("1", to_stock=bad)
    assert engine.order("1").state is S.SHIPPED


# -- WHOSE STEP IT IS ----------------------------------------------------------------------------


def test_a_store_may_name_itself_and_another_may_not_act_for_it(engine: Engine) -> None:
    engine.route(order())
    for step in (engine.accept_order, engine.pick_order, engine.ship_order, engine.deliver_order):
        before = engine.order("1")
        with pytest.raises(WrongStoreError) as refused:
            step("1", store_id="west")
        assert (refused.value.field, refused.value.value) == ("store_id", "west")
        assert refused.value.grpc_status == "FAILED_PRECONDITION"
        assert engine.order("1") == before
        assert step("1", store_id="east") == step("1", store_id="east")
    with pytest.raises(WrongStoreError):
        engine.return_order("1", to_stock=True, store_id="west")
    assert engine.return_order("1", to_stock=True, store_id="east").state is S.RETURNED


@pytest.mark.parametrize("nobody", ["nobody's", "", 7])
def test_a_store_that_nobody_knows_takes_no_step(engine: Engine, nobody: Any) -> None:
    engine.route(order())
    with pytest.raises(UnknownStoreError):
        engine.accept_order("1", store_id=nobody)
    with pytest.raises(UnknownStoreError):
        engine.reject_order("1", nobody)
    assert engine.order("1").state is S.ASSIGNED


def test_a_store_must_be_named_to_reject(engine: Engine) -> None:
    engine.route(order())
    nobody: Any = None
    with pytest.raises(UnknownStoreError):
        engine.reject_order("1", nobody)


# -- CANCELLATION --------------------------------------------------------------------------------


@pytest.mark.parametrize("shipment", [None, 1])
def test_a_cancelled_order_gives_back_once(engine: Engine, shipment: int | None) -> None:
    engine.route(order())
    status = engine.cancel_order("1", shipment=shipment)
    assert (status.state, status.store_id) == (S.CANCELLED, "east")
    assert level(engine, "east") == (5, 0)
    assert engine.cancel_order("1", shipment=shipment) == status
    assert level(engine, "east") == (5, 0)


@pytest.mark.parametrize("shipment", [0, 2, -1, "1", 1.5])
def test_a_shipment_that_the_order_does_not_have_cannot_be_cancelled(
    engine: Engine, shipment: Any
) -> None:
    engine.route(order())
    with pytest.raises(InvalidInputError) as refused:
        engine.cancel_order("1", shipment=shipment)
    error = refused.value
    assert (error.code, error.field, error.value) == ("OUT_OF_RANGE", "shipment", shipment)
    assert engine.is_held("1")


def test_a_released_order_is_cancelled(engine: Engine) -> None:
    engine.route_batch([order("1"), order("2"), order("3", ("tea", 99))])
    go_on(engine, *WAYS[S.SHIPPED], name="2")
    assert engine.release_batch(["1", "2", "3", "1"]) == [True, False, False, False]
    states = [engine.order(name).state for name in ("1", "2", "3")]
    assert states == [S.CANCELLED, S.SHIPPED, S.UNASSIGNED]


# -- STORES THAT ARE REMOVED ---------------------------------------------------------------------


def test_what_a_removed_store_holds_can_be_rejected_or_cancelled(engine: Engine) -> None:
    engine.route_batch([order("1"), order("2", ("tea", 1))])
    engine.remove_stores(["east"])
    assert engine.reject_order("1", "east").store_id == "middle"
    assert engine.reject_order("1", "east").store_id == "middle"
    assert engine.cancel_order("2").state is S.CANCELLED
    assert engine.set_stock([]).shortfalls == ()


def test_a_removed_store_may_ship_what_it_holds_but_takes_nothing_to_stock(
    engine: Engine,
) -> None:
    engine.route(order())
    engine.remove_stores(["east"])
    engine.accept_order("1", store_id="east")
    go_on(engine, S.PICKED, S.SHIPPED)
    with pytest.raises(WrongStoreError, match="it was removed") as refused:
        engine.return_order("1", to_stock=True)
    assert (refused.value.field, refused.value.value) == ("to_stock", "east")
    assert engine.order("1").state is S.SHIPPED
    assert engine.return_order("1", to_stock=False).state is S.RETURNED


def test_a_new_store_under_the_id_of_a_removed_one_has_nothing_to_do_with_its_stock(
    engine: Engine,
) -> None:
    engine.route(order())
    engine.remove_stores(["east"])
    engine.add_stores([Store(id="east", lat=31.23, lng=121.48)])
    engine.set_stock([("east", "tea", 7)])
    go_on(engine, *WAYS[S.SHIPPED])
    with pytest.raises(WrongStoreError):
        engine.return_order("1", to_stock=True)
    assert level(engine, "east") == (7, 0)
