"""The life of an order: what each step does, that it does it once, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    InvalidInputError,
    Order,
    OrderState,
    OrderStatus,
    Policy,
    QuantityOverflowError,
    Reason,
    RejectReason,
    StockLevel,
    Store,
    UnknownOrderError,
    UnknownSkuError,
    UnknownStoreError,
    WrongStateError,
    WrongStoreError,
    WrongTypeError,
)
from fendan.engine.events import EventKind, Events
from fendan.engine.history import Event, read

MOST = 2**31 - 1
PATIENCE = Policy(reservation_timeout_s=900.0, most_attempts=3, cool_down_s=1800.0)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    """Three shops in one street, with five teas and four milks each; a store has 15 minutes."""
    return a_street(clock, PATIENCE)


def a_street(clock: StoppedClock, policy: Policy) -> Engine:
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


# -- REJECTION -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.ASSIGNED, S.ACCEPTED, S.PICKED], ids=str)
def test_a_rejected_order_goes_to_the_next_store_at_once(
    engine: Engine, clock: StoppedClock, state: OrderState
) -> None:
    first = engine.route(order())
    go_on(engine, *WAYS[state])
    clock.pass_s(60)
    status = engine.reject_order("1", "east", reason=RejectReason.TOO_BUSY)
    assert (status.state, status.store_id, status.attempts) == (S.ASSIGNED, "middle", 2)
    assert status.distance_m is not None
    assert first.distance_m is not None
    assert status.distance_m > first.distance_m
    assert status.reserved_until_ns == clock.now_ns() + 900 * 10**9
    assert (level(engine, "east"), level(engine, "middle")) == ((5, 0), (5, 2))


def test_the_first_decision_stays_what_was_told(engine: Engine) -> None:
    first = engine.route(order())
    engine.reject_order("1", "east")
    assert engine.decision("1") == first
    assert engine.route(order()) == first
    assert engine.order("1").store_id == "middle"
    assert level(engine, "middle") == (5, 2)


def test_a_shortfall_names_the_orders_that_are_there_now(engine: Engine) -> None:
    engine.route(order())
    engine.reject_order("1", "east")
    assert engine.set_stock([("east", "tea", 0)]).shortfalls == ()
    (short,) = engine.set_stock([("middle", "tea", 1)]).shortfalls
    assert (short.reserved, short.order_ids) == (2, ("1",))


def test_a_store_may_say_twice_that_it_will_not(engine: Engine) -> None:
    engine.route(order())
    told = engine.reject_order("1", "east")
    counts, cursor = levels(engine), engine.cursor()
    assert engine.reject_order("1", "east") == told
    assert engine.reject_order("1", "east", reason=RejectReason.NOT_ON_SHELF) == told
    assert (levels(engine), engine.cursor()) == (counts, cursor)


def test_what_a_store_sends_late_does_not_act_on_the_next_one(engine: Engine) -> None:
    engine.route(order())
    engine.accept_order("1", store_id="east")
    told = engine.reject_order("1", "east")
    with pytest.raises(WrongStoreError):
        engine.accept_order("1", store_id="east")
    assert engine.order("1") == told
    engine.accept_order("1", store_id="middle")
    engine.pick_order("1", store_id="middle")
    assert engine.reject_order("1", "east").state is S.PICKED
    engine.ship_order("1", store_id="middle")
    assert engine.reject_order("1", "east").state is S.SHIPPED
    with pytest.raises(WrongStoreError):
        engine.reject_order("1", "west")


def test_an_order_that_all_have_rejected_says_why_it_is_nowhere(engine: Engine) -> None:
    engine.route(order())
    engine.reject_order("1", "east")
    engine.pause_stores(["west"])
    status = engine.reject_order("1", "middle")
    assert status == OrderStatus(
        order_id="1",
        state=S.REJECTED,
        store_id=None,
        distance_m=None,
        reason=Reason.NO_STORES,
        attempts=2,
        reserved_until_ns=None,
    )
    assert engine.reject_order("1", "east") == status
    assert all(one.reserved == 0 for one in levels(engine))
    with pytest.raises(WrongStateError, match="it is REJECTED"):
        engine.reject_order("1", "west")
    with pytest.raises(WrongStateError, match="it is REJECTED"):
        engine.accept_order("1", store_id="west")
    assert engine.cancel_order("1").reason is Reason.NO_STORES


@pytest.mark.parametrize(
    ("radius_m", "teas_elsewhere", "reason"),
    [
        (None, 1, Reason.NO_STOCK),
        (1_500.0, 5, Reason.NO_STORE_IN_RADIUS),
        (2_500.0, 5, Reason.NO_STOCK_IN_RADIUS),
    ],
)
def test_the_next_store_is_searched_under_the_policy_and_its_absence_explained(
    clock: StoppedClock, radius_m: float | None, teas_elsewhere: int, reason: Reason
) -> None:
    engine = a_street(clock, Policy(radius_m=radius_m))
    engine.set_stock([("middle", "tea", 1), ("west", "tea", teas_elsewhere)])
    engine.route(order(), policy=Policy())
    status = engine.reject_order("1", "east")
    assert (status.state, status.reason) == (S.REJECTED, reason)


def test_an_order_is_given_to_no_more_stores_than_the_policy_says(clock: StoppedClock) -> None:
    for most in (1, 2, 3):
        engine = a_street(clock, Policy(most_attempts=most))
        engine.route(order())
        told = [engine.reject_order("1", s) for s in ("east", "middle", "west")[:most]]
        assert [status.state for status in told] == [S.ASSIGNED] * (most - 1) + [S.REJECTED]
        assert told[-1].attempts == most
        assert told[-1].reason is Reason.TOO_MANY_ATTEMPTS


def test_a_store_does_not_get_an_order_back_before_it_has_cooled_down(
    engine: Engine, clock: StoppedClock
) -> None:
    for name, waited_s, then in (("1", 1799.999999999, "west"), ("2", 1800.0, "east")):
        engine.route(order(name))
        engine.reject_order(name, "east")
        clock.pass_s(waited_s)
        assert engine.reject_order(name, "middle").store_id == then
        engine.cancel_order(name)


def test_a_store_that_has_just_rejected_never_gets_the_order_back_at_once(
    clock: StoppedClock,
) -> None:
    engine = a_street(clock, Policy(cool_down_s=0.0, most_attempts=100))
    engine.route(order())
    told = [engine.reject_order("1", store) for store in ("east", "middle", "east", "middle")]
    assert [status.store_id for status in told] == ["middle", "east", "middle", "east"]
    engine.pause_stores(["middle", "west"])
    assert engine.reject_order("1", "east").reason is Reason.NO_STORES


def test_other_orders_still_go_to_a_store_that_rejected_one(engine: Engine) -> None:
    engine.route(order())
    engine.reject_order("1", "east")
    assert engine.route(order("2")).store_id == "east"


def test_rejections_are_remembered_however_many_there_are(clock: StoppedClock) -> None:
    engine = a_street(clock, Policy(cool_down_s=1e6))
    names = [f"{n}" for n in range(300)]
    engine.set_stock((s, "tea", 1_000) for s in ("east", "middle", "west"))
    engine.route_batch([order(name, ("tea", 1)) for name in names])
    for store, then in (("east", "middle"), ("middle", "west")):
        assert {engine.reject_order(name, store).store_id for name in names} == {then}
    assert {engine.reject_order(name, "east").store_id for name in names} == {"west"}
    assert level(engine, "west") == (1_000, 300)
    assert {engine.reject_order(name, "west").state for name in names} == {S.REJECTED}


# -- WHAT A REJECTION SAYS OF STOCK --------------------------------------------------------------


@pytest.mark.parametrize("reason", [RejectReason.NOT_ON_SHELF, RejectReason.DAMAGED], ids=str)
def test_a_store_that_does_not_find_an_orders_goods_sells_no_more_of_them(
    engine: Engine, reason: RejectReason
) -> None:
    engine.route_batch([order("1"), order("other", ("tea", 1))])
    engine.reject_order("1", "east", reason=reason)
    assert (level(engine, "east"), level(engine, "east", "milk")) == ((1, 1), (0, 0))
    assert engine.route(order("2", ("tea", 1))).store_id == "middle"
    assert engine.set_stock([("east", "tea", 1)]).shortfalls == ()


def test_only_what_is_said_to_be_missing_is_corrected(engine: Engine) -> None:
    engine.route(order())
    reason = RejectReason.NOT_ON_SHELF
    engine.reject_order("1", "east", reason=reason, missing_skus=["milk", "milk"])
    assert (level(engine, "east"), level(engine, "east", "milk")) == ((5, 0), (0, 0))


@pytest.mark.parametrize(
    "reason", [RejectReason.OTHER, RejectReason.TOO_BUSY, RejectReason.CLOSED], ids=str
)
def test_a_store_that_has_no_time_keeps_its_counts(engine: Engine, reason: RejectReason) -> None:
    engine.route(order())
    with pytest.raises(InvalidInputError, match=f"where the reason is {reason}"):
        engine.reject_order("1", "east", reason=reason, missing_skus=["tea"])
    assert engine.order("1").store_id == "east"
    engine.reject_order("1", "east", reason=reason)
    assert (level(engine, "east"), level(engine, "east", "milk")) == ((5, 0), (4, 0))


def test_a_correction_never_raises_a_count_that_is_short_already(engine: Engine) -> None:
    engine.route_batch([order("1", ("tea", 1)), order("2", ("tea", 4))])
    engine.set_stock([("east", "tea", 2)])
    engine.reject_order("1", "east", reason=RejectReason.DAMAGED)
    assert level(engine, "east") == (2, 4)


def test_a_sku_that_the_order_does_not_have_cannot_be_missing(engine: Engine) -> None:
    engine.set_stock([("east", "rice", 1)])
    engine.route(order())
    for row, sku in enumerate(("rice", "?", None)):
        missing: Any = ["tea", "milk"][:row] + [sku]
        with pytest.raises(UnknownSkuError) as refused:
            engine.reject_order("1", "east", reason=RejectReason.DAMAGED, missing_skus=missing)
        assert (refused.value.field, refused.value.row) == ("missing_skus", row)
    assert level(engine, "east") == (5, 2)


@pytest.mark.parametrize("bad", [2, "NOT_ON_SHELF", None])
def test_a_reason_that_is_none_is_refused(engine: Engine, bad: Any) -> None:
    engine.route(order())
    with pytest.raises(WrongTypeError, match="RejectReason"):
        engine.reject_order("1", "east", reason=bad)
    assert engine.order("1").state is S.ASSIGNED


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


# -- TIME ----------------------------------------------------------------------------------------


def test_a_reservation_ends_exactly_when_it_is_due(engine: Engine, clock: StoppedClock) -> None:
    engine.route(order())
    clock.ns += 900 * 10**9 - 1
    assert engine.expire_orders() == []
    assert engine.is_held("1")
    clock.ns += 1
    assert engine.expire_orders() == ["1"]
    status = engine.order("1")
    assert (status.state, status.store_id, status.reserved_until_ns) == (S.EXPIRED, "east", None)
    assert level(engine, "east") == (5, 0)
    assert engine.expire_orders() == []


def test_orders_expire_in_the_order_in_which_they_came(engine: Engine, clock: StoppedClock) -> None:
    engine.route_batch([order(name, ("tea", 1)) for name in ("c", "a", "d", "b")])
    engine.accept_order("d")
    clock.pass_s(1)
    engine.route(order("later", ("tea", 1)))
    clock.pass_s(899)
    assert engine.expire_orders() == ["c", "a", "b"]
    clock.pass_s(1)
    assert engine.expire_orders() == ["later"]
    clock.pass_s(1e6)
    assert engine.expire_orders() == []
    assert level(engine, "east") == (5, 1)


def test_an_order_that_is_late_but_not_expired_yet_can_still_be_accepted(
    engine: Engine, clock: StoppedClock
) -> None:
    engine.route(order())
    clock.pass_s(2_000)
    assert engine.accept_order("1").reserved_until_ns is None
    assert engine.expire_orders() == []
    assert engine.is_held("1")


def test_each_store_has_its_own_time(engine: Engine, clock: StoppedClock) -> None:
    engine.route(order())
    clock.pass_s(600)
    engine.reject_order("1", "east")
    clock.pass_s(899)
    assert engine.expire_orders() == []
    clock.pass_s(1)
    assert engine.expire_orders() == ["1"]
    assert engine.order("1").store_id == "middle"
    assert level(engine, "middle") == (5, 0)


def test_without_a_timeout_a_reservation_holds_for_ever(clock: StoppedClock) -> None:
    engine = a_street(clock, Policy())
    engine.route(order())
    assert engine.order("1").reserved_until_ns is None
    clock.pass_s(1e9)
    assert engine.expire_orders() == []


def test_a_clock_that_is_set_back_expires_nothing_early_and_keeps_what_is_due(
    engine: Engine, clock: StoppedClock
) -> None:
    clock.pass_s(-3600)
    engine.route(order())
    clock.pass_s(900)
    due_ns = clock.now_ns()
    clock.pass_s(-7200)
    engine.route(order("2"))
    assert engine.order("2").reserved_until_ns == due_ns
    assert engine.expire_orders() == []
    clock.ns = due_ns
    assert engine.expire_orders() == ["1", "2"]


def test_a_dry_run_and_a_retry_start_no_time(engine: Engine, clock: StoppedClock) -> None:
    first = engine.route(order())
    clock.pass_s(500)
    assert engine.route(order()) == first
    engine.route(order("2"), dry_run=True)
    clock.pass_s(400)
    assert engine.expire_orders() == ["1"]
    with pytest.raises(UnknownOrderError):
        engine.order("2")


def test_thousands_of_reservations_over_many_pages_end_on_time(clock: StoppedClock) -> None:
    engine = a_street(clock, PATIENCE)
    engine.set_stock([("east", "tea", 10**9)])
    tea = engine.sku_codes(["tea"])
    names = [f"{n}" for n in range(40_000)]
    for start in range(0, len(names), 10_000):
        engine.route_arrays(
            lat=[31.23] * 10_000,
            lng=[121.49] * 10_000,
            offsets=range(10_001),
            skus=tea.repeat(10_000),
            quantities=[1] * 10_000,
            ids=names[start : start + 10_000],
        )
        clock.pass_s(100)
    kept = names[::7]
    for name in kept:
        engine.accept_order(name)
    expired: list[str] = []
    clock.pass_s(500)
    for _ in range(4):
        found = engine.expire_orders()
        assert 8_571 <= len(found) <= 8_572
        expired += found
        clock.pass_s(100)
    assert expired == [name for name in names if int(name) % 7]
    assert level(engine, "east") == (10**9, len(kept))


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


# -- THE POLICY ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("reservation_timeout_s", 0),
        ("reservation_timeout_s", -1.0),
        ("reservation_timeout_s", float("nan")),
        ("reservation_timeout_s", 1e9),
        ("reservation_timeout_s", "an hour"),
        ("most_attempts", 0),
        ("most_attempts", 101),
        ("most_attempts", 1.5),
        ("most_attempts", None),
        ("cool_down_s", -0.001),
        ("cool_down_s", float("inf")),
        ("cool_down_s", None),
    ],
)
def test_a_policy_that_cannot_be_is_refused(field: str, bad: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        Engine(policy=Policy(**{field: bad}))
    assert refused.value.field == f"policy.{field}"
    assert refused.value.value is bad


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
    came = {
        sku: sum(one.on_hand for one in levels(engine) if one.sku == sku) for sku in engine.skus
    }
    left = dict.fromkeys(engine.skus, 0)
    for event in events_of(engine, lambda: a_day(engine, clock)):
        for move in event.moves:
            left[engine.skus[move.sku]] += move.on_hand_before - move.on_hand_after
    for sku in engine.skus:
        there = sum(one.on_hand for one in levels(engine) if one.sku == sku)
        assert left[sku] + there == came[sku]


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
