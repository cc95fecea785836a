"""A reservation ends when it is due, and not before, whatever the clock does."""

from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    InvalidInputError,
    OrderState,
    Policy,
    UnknownOrderError,
)
from street import PATIENCE, a_street, level, order

S = OrderState
MOST = 2**31 - 1


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    return a_street(clock)


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
