"""A store that will not have an order: who gets it next, and what that says of its stock."""

from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    InvalidInputError,
    OrderState,
    OrderStatus,
    Policy,
    Reason,
    RejectReason,
    UnknownSkuError,
    WrongStateError,
    WrongStoreError,
    WrongTypeError,
)
from street import WAYS, a_street, go_on, level, levels, order

S = OrderState
MOST = 2**31 - 1


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    return a_street(clock)


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
        missing: Any = [*["tea", "milk"][:row], sku]
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


# -- UNDER A POLICY ------------------------------------------------------------------------------


def test_who_has_rejected_an_order_is_no_reason_to_say_that_somebody_has_it_all(
    engine: Engine,
) -> None:
    """It is not that the store would be too late: it will not have the order."""
    engine.activate_policy(engine.draft_policy(""))
    engine.set_stock([("middle", "tea", 0), ("west", "tea", 0)])
    assert engine.route(order()).store_id == "east"
    status = engine.reject_order("1", "east")
    assert (status.state, status.reason) == (S.REJECTED, Reason.NO_STOCK)
