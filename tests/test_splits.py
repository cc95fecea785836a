"""An order that several stores fill together: told once, and lived shipment by shipment."""

import pickle
from pathlib import Path

import pytest

from clock import StoppedClock
from fendan import (
    CorruptJournalError,
    Engine,
    FendanError,
    Order,
    OrderConflictError,
    OrderState,
    Reason,
    RejectReason,
    Status,
    UnknownOrderError,
    WrongStateError,
    WrongStoreError,
)
from fendan.checking import check
from fendan.engine.audit import audit
from fendan.engine.events import EventKind, Events
from fendan.engine.history import read
from fendan.engine.outcome import decisions
from fendan.engine.replay import Replay
from fendan.engine.tally import Tally
from fendan.model import OrderStatus
from fendan.rules import OrderType, StepName
from fendan.state import state_hash
from splitting import PROMISED_NS, VERSION, Share, settle, split
from street import PATIENCE, a_street, level, levels, order

S = OrderState
EAST = Share("east", {"tea": 2}, PROMISED_NS - 60)
WEST = Share("west", {"tea": 1, "milk": 1})
BASKET = order("1", ("tea", 3), ("milk", 1))


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def engine(clock: StoppedClock) -> Engine:
    """With one order, of which the east shop sends two teas and the west shop a tea and a milk."""
    engine = a_street(clock)
    split(engine, BASKET, EAST, WEST, merge_group=3)
    return engine


def states(status: OrderStatus) -> list[OrderState]:
    """Of the order, and of its shipments."""
    return [status.state, *(one.state for one in status.shipments)]


def is_right(engine: Engine) -> bool:
    return audit(engine._orders).problem is None


# -- WHAT IT IS TOLD -----------------------------------------------------------------------------


def test_a_split_order_is_told_who_sends_what_and_when_it_is_there(engine: Engine) -> None:
    told = engine.decision("1")
    assert (told.status, told.store_id, told.reason) == (Status.ASSIGNED, "east", Reason.NONE)
    assert (told.policy_version, told.step, told.merge_group) == (VERSION, StepName.WIDER, 3)
    assert told.promised_ns == PROMISED_NS
    east, west = told.shipments
    assert (east.number, east.store_id, east.lines) == (1, "east", (("tea", 2),))
    assert (west.number, west.store_id, west.lines) == (2, "west", (("tea", 1), ("milk", 1)))
    assert (east.promised_ns, west.promised_ns) == (PROMISED_NS - 60, PROMISED_NS)
    assert east.distance_m == told.distance_m < west.distance_m
    assert pickle.loads(pickle.dumps(told)) == told


def test_its_shipments_hold_its_stock_and_it_counts_as_one_order(engine: Engine) -> None:
    assert (level(engine, "east"), level(engine, "west")) == ((5, 2), (5, 1))
    assert level(engine, "west", "milk") == (4, 1)
    assert engine.is_held("1")
    assert engine.order_count == 1
    assert is_right(engine)


def test_sent_again_it_gets_its_first_decision_whatever_became_of_its_shipments(
    engine: Engine,
) -> None:
    first = engine.decision("1")
    engine.reject_order("1", "east")
    engine.cancel_order("1", shipment=2)
    assert engine.route(BASKET) == first
    assert engine.route_batch([order("2"), BASKET, BASKET])[1:] == [first, first]
    assert engine.decision("1") == first


def test_a_batch_tells_each_row_its_own_shipments_also_the_ones_that_are_repeated(
    clock: StoppedClock,
) -> None:
    engine = a_street(clock)
    other = order("2", ("tea", 2))
    shares = {"1": (EAST, WEST), "2": (Share("middle", {"tea": 1}), Share("east", {"tea": 1}))}
    plain = order("3")
    shares["3"] = (Share("middle", {}),)
    dry = settle(engine, shares, [BASKET, plain, other, BASKET], dry_run=True)
    assert engine.order_count == 0
    assert all(one.reserved == 0 for one in levels(engine))
    told = settle(engine, shares, [BASKET, plain, other])
    first, second, third, again = decisions(["1", "3", "2", "1"], dry)
    assert [first, second, third] == decisions(["1", "3", "2"], told)
    assert again == first == engine.decision("1")
    assert [one.store_id for one in third.shipments] == ["middle", "east"]
    assert second.shipments == ()
    assert second.policy_version == VERSION


def test_other_content_is_refused_and_the_error_says_what_differs(engine: Engine) -> None:
    with pytest.raises(OrderConflictError, match="lines was"):
        engine.route(order("1", ("tea", 3), ("milk", 2)))


def test_nobody_reaches_a_shipment_by_a_name_of_the_engines_own(engine: Engine) -> None:
    for call in (engine.order, engine.decision, engine.cancel_order):
        with pytest.raises(UnknownOrderError):
            call("1\x1f1")
    with pytest.raises(FendanError) as caught:
        engine.route(order("1\x1f3"))
    assert (caught.value.code, caught.value.field) == ("BAD_ID", "order.id")


def test_an_id_must_leave_room_for_the_numbers_of_shipments(clock: StoppedClock) -> None:
    engine = a_street(clock)
    longest, too_long = "x" * 252, "y" * 253
    shares = (Share("east", {"tea": 1}),) * 15 + (Share("west", {"milk": 1}),)
    engine.set_stock([("east", "tea", 99)])
    split(engine, order(longest, ("tea", 15), ("milk", 1)), *shares)
    assert len(engine.order(longest).shipments) == 16
    with pytest.raises(FendanError) as caught:
        split(engine, order(too_long, ("tea", 15), ("milk", 1)), *shares)
    assert (caught.value.code, caught.value.field) == ("BAD_ID", "orders[0].id")


def test_what_a_line_costs_is_shared_by_pieces_and_the_first_shipment_has_the_rest(
    clock: StoppedClock, tmp_path: Path
) -> None:
    with Engine.open(tmp_path, clock=clock) as engine:
        a_shop_or_three(engine)
        bought = Order(id="1", lat=31.23, lng=121.49, lines=[("tea", 3, 1000), ("milk", 1, 7)])
        split(engine, bought, EAST, WEST)
        assigned = engine.events(kinds=[EventKind.ASSIGNED]).events
        amounts = [[(m.sku, m.amount) for m in one.movements] for one in assigned]
        assert amounts == [[("tea", 667)], [("tea", 333), ("milk", 7)]]


# -- WHERE IT IS ---------------------------------------------------------------------------------


def test_each_shipment_goes_its_own_way_and_the_order_is_where_the_last_of_them_is(
    engine: Engine,
) -> None:
    assert states(engine.order("1")) == [S.ASSIGNED] * 3
    assert states(engine.accept_order("1", shipment=1)) == [S.ASSIGNED, S.ACCEPTED, S.ASSIGNED]
    assert states(engine.accept_order("1", store_id="west")) == [S.ACCEPTED] * 3
    assert states(engine.pick_order("1")) == [S.PICKED] * 3
    assert states(engine.ship_order("1", shipment=2)) == [S.PICKED, S.PICKED, S.SHIPPED]
    assert states(engine.deliver_order("1")) == [S.PICKED, S.PICKED, S.DELIVERED]
    assert states(engine.ship_order("1")) == [S.SHIPPED, S.SHIPPED, S.DELIVERED]
    assert states(engine.deliver_order("1")) == [S.DELIVERED] * 3
    assert states(engine.return_order("1", to_stock=True, shipment=1)) == [
        S.DELIVERED, S.RETURNED, S.DELIVERED
    ]  # fmt: skip
    assert (level(engine, "east"), level(engine, "west")) == ((5, 0), (4, 0))
    assert is_right(engine)


def test_a_status_adds_up_what_its_shipments_are(engine: Engine) -> None:
    engine.accept_order("1", shipment=1)
    status = engine.order("1")
    assert (status.state, status.store_id, status.attempts) == (S.ASSIGNED, "west", 2)
    assert status.distance_m == status.shipments[1].distance_m
    engine.reject_order("1", "west")
    status = engine.order("1")
    assert (status.store_id, status.attempts) == ("east", 3)
    assert status.reserved_until_ns == status.shipments[1].reserved_until_ns is not None
    assert status.shipments[0].reserved_until_ns is None
    assert [one.lines for one in status.shipments] == [
        (("tea", 2),), (("tea", 1), ("milk", 1))
    ]  # fmt: skip


def test_a_step_that_makes_sense_for_no_shipment_is_refused_and_one_taken_before_is_not(
    engine: Engine,
) -> None:
    with pytest.raises(WrongStateError):
        engine.pick_order("1")
    with pytest.raises(WrongStateError):
        engine.ship_order("1", shipment=2)
    engine.accept_order("1", shipment=1)
    engine.cancel_order("1", shipment=2)
    before = engine.order("1")
    assert states(before) == [S.ACCEPTED, S.ACCEPTED, S.CANCELLED]
    assert engine.accept_order("1") == engine.accept_order("1", shipment=1) == before
    with pytest.raises(WrongStateError):
        engine.accept_order("1", shipment=2)


@pytest.mark.parametrize("number", [0, 3, -1, "1", 1.5])
def test_a_shipment_that_it_does_not_have_takes_no_step(engine: Engine, number: int) -> None:
    for call in (engine.accept_order, engine.cancel_order):
        with pytest.raises(FendanError) as caught:
            call("1", shipment=number)
        assert (caught.value.code, caught.value.field) == ("OUT_OF_RANGE", "shipment")


def test_a_store_takes_steps_with_what_it_has_and_no_other(engine: Engine) -> None:
    with pytest.raises(WrongStoreError):
        engine.accept_order("1", store_id="middle")
    with pytest.raises(WrongStoreError):
        engine.accept_order("1", store_id="west", shipment=1)
    assert states(engine.accept_order("1", store_id="east")) == [S.ASSIGNED, S.ACCEPTED, S.ASSIGNED]


def test_cancelled_it_gives_back_what_has_not_left_a_store(engine: Engine) -> None:
    for step in (engine.accept_order, engine.pick_order, engine.ship_order):
        step("1", shipment=1)
    assert states(engine.cancel_order("1")) == [S.SHIPPED, S.SHIPPED, S.CANCELLED]
    assert (level(engine, "east"), level(engine, "west")) == ((3, 0), (5, 0))
    with pytest.raises(WrongStateError):
        engine.cancel_order("1", shipment=1)


def test_released_it_gives_back_all_and_only_once(engine: Engine) -> None:
    assert engine.release("1")
    assert not engine.release("1")
    assert states(engine.order("1")) == [S.CANCELLED] * 3
    assert all(one.reserved == 0 for one in levels(engine))
    assert not engine.is_held("1")


def test_a_rejected_shipment_goes_to_another_store_alone(engine: Engine) -> None:
    status = engine.reject_order("1", "east", reason=RejectReason.NOT_ON_SHELF)
    assert [one.store_id for one in status.shipments] == ["middle", "west"]
    assert (level(engine, "east"), level(engine, "middle")) == ((0, 0), (5, 2))
    assert engine.reject_order("1", "east") == status  # a late retry
    status = engine.reject_order("1", "middle", shipment=1)
    assert status.shipments[0].store_id == "west"
    status = engine.reject_order("1", "west")
    assert states(status) == [S.ASSIGNED, S.REJECTED, S.ASSIGNED]
    assert status.shipments[0].reason is Reason.TOO_MANY_ATTEMPTS
    assert status.shipments[1].store_id in ("middle", "east")
    assert is_right(engine)


@pytest.mark.parametrize(
    ("flags", "reason"), [(1, Reason.PICKUP_STORE), (2, Reason.GROUP_NOT_WHOLE)]
)
def test_what_is_fetched_at_a_store_or_goes_with_its_group_has_no_other_store(
    clock: StoppedClock, flags: int, reason: Reason
) -> None:
    engine = a_street(clock)
    split(engine, order("1"), Share("east", {}), flags=flags)
    status = engine.reject_order("1", "east")
    assert (status.state, status.reason, status.store_id) == (S.REJECTED, reason, None)


def test_what_nobody_accepts_in_time_expires_shipment_by_shipment(
    clock: StoppedClock, engine: Engine
) -> None:
    now_ns = clock.now_ns()
    split(engine, order("2", ("tea", 2)), Share("east", {"tea": 1}), Share("west", {"tea": 1}),
          due_ns=now_ns + 10**9)  # fmt: skip
    engine.accept_order("2", shipment=2)
    clock.pass_s(1)
    assert engine.expire_orders() == ["2"]
    assert states(engine.order("2")) == [S.ACCEPTED, S.EXPIRED, S.ACCEPTED]
    split(engine, order("3", ("tea", 2)), Share("east", {"tea": 1}), Share("west", {"tea": 1}),
          due_ns=now_ns + 10**9)  # fmt: skip
    assert engine.expire_orders() == ["3"]
    assert states(engine.order("3")) == [S.EXPIRED] * 3
    assert engine.order("1").state is S.ASSIGNED


def test_a_shortfall_names_orders_and_not_shipments(engine: Engine) -> None:
    engine.route(order("2"))
    shortfalls = engine.set_stock([("east", "tea", 1)]).shortfalls
    assert [(one.store_id, one.order_ids) for one in shortfalls] == [("east", ("1", "2"))]


# -- ON DISK -------------------------------------------------------------------------------------


def a_shop_or_three(engine: Engine) -> None:
    for one in a_street(StoppedClock()).stores():
        engine.add_stores([one.store])
        engine.set_stock([(one.store.id, "tea", 5), (one.store.id, "milk", 4)])


def orders_come(engine: Engine, clock: StoppedClock) -> None:
    split(engine, BASKET, EAST, WEST, asked_hash=2**63, keep_day=20_000)
    split(engine, order("2"), Share("middle", {}), due_ns=clock.now_ns() + 1, channel=4, region=0)
    split(engine, order("none", ("tea", 9)))


def one_is_rejected(engine: Engine, clock: StoppedClock) -> None:
    engine.accept_order("1", shipment=1)
    engine.reject_order("1", "west", reason=RejectReason.DAMAGED, missing_skus=["milk"])


def one_is_shipped(engine: Engine, clock: StoppedClock) -> None:
    engine.pick_order("1")
    engine.ship_order("1", shipment=1)
    engine.route(order("3"))


def one_comes_back_and_another_is_late(engine: Engine, clock: StoppedClock) -> None:
    engine.return_order("1", to_stock=True)
    engine.cancel_order("1", shipment=2)
    shares = Share("east", {"milk": 1}), Share("middle", {"milk": 1})
    split(engine, order("4", ("milk", 2)), *shares, due_ns=clock.now_ns() + 5)
    clock.pass_s(60)
    assert engine.expire_orders() == ["2", "4"]


A_DAY = (orders_come, one_is_rejected, one_is_shipped, one_comes_back_and_another_is_late)


def test_an_engine_that_is_opened_again_is_the_same_after_every_step(
    clock: StoppedClock, tmp_path: Path
) -> None:
    with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
        a_shop_or_three(engine)
    for happens in A_DAY:
        with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
            happens(engine, clock)
            before, told = state_hash(engine), engine.decision("1")
        assert check(tmp_path).is_good
        with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
            engine.check()
            assert (state_hash(engine), engine.decision("1")) == (before, told)


def test_a_snapshot_brings_the_shipments_along(clock: StoppedClock, tmp_path: Path) -> None:
    with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
        a_shop_or_three(engine)
        for happens in A_DAY:
            happens(engine, clock)
            engine.snapshot()
        before = state_hash(engine)
        told, status = engine.decision("1"), engine.order("1")
    assert check(tmp_path).is_good
    with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
        assert (engine.decision("1"), engine.order("1")) == (told, status)
        assert state_hash(engine) == before


def test_the_ledger_tells_of_the_order_and_then_of_each_shipment(
    clock: StoppedClock, tmp_path: Path
) -> None:
    with Engine.open(tmp_path, clock=clock, policy=PATIENCE) as engine:
        a_shop_or_three(engine)
        split(engine, BASKET, EAST, WEST, merge_group=3)
        engine.reject_order("1", "east")
        split(engine, order("10"), Share("middle", {}))
        events = engine.events(order_ids=["1"]).events
    told = [(one.kind, one.order_id, one.shipment, one.store_id) for one in events]
    assert told == [
        (EventKind.SPLIT, "1", 0, "east"),
        (EventKind.ASSIGNED, "1", 1, "east"),
        (EventKind.ASSIGNED, "1", 2, "west"),
        (EventKind.REJECTED, "1", 1, "east"),
        (EventKind.ASSIGNED, "1", 1, "middle"),
    ]
    assert [len(one.movements) for one in events] == [0, 1, 2, 1, 1]
    for one in events[:3]:
        assert (one.policy_version, one.step) == (VERSION, StepName.WIDER)
        assert one.order_type is OrderType.SAME_DAY
    assert [one.merge_group for one in events[:3]] == [3, 0, 0]  # it is the order's
    promised = [one.promised_ns for one in events[:3]]
    assert promised == [PROMISED_NS, PROMISED_NS - 60, PROMISED_NS]


def test_an_event_of_a_kind_that_is_not_known_is_corruption() -> None:
    for kind in (0, 12, 15):
        body = bytes([kind, 0, 1, 0, 0, 0])
        with pytest.raises(CorruptJournalError):
            read(body, 1, 0, 1)
        with pytest.raises(CorruptJournalError):
            Replay(Engine()._orders, None).apply(body, 1, 0, 1)
        with pytest.raises(CorruptJournalError):
            Tally().add(body, 1, 1)


def test_what_is_promised_takes_few_bytes_in_the_journal(engine: Engine) -> None:
    events = engine._orders.events = Events()
    engine.route(order("20261122-000001"))
    plain = events.size
    events.clear()
    promise = {"asked_hash": 2**63, "channel": 3, "due_ns": 2**60}
    split(engine, order("20261122-000002"), Share("middle", {}), **promise)
    assert (plain, events.size) == (62, 89)


# -- WHAT IS REMEMBERED --------------------------------------------------------------------------


def test_an_order_and_its_shipments_are_remembered_together(clock: StoppedClock) -> None:
    page = 16_384
    engine = Engine(clock=clock, remembered_orders=0)
    a_shop_or_three(engine)
    crowd = [order(f"early {n}", ("tea", 9)) for n in range(page - 1)]
    engine.route_batch(crowd)
    first = split(engine, BASKET, EAST, WEST)  # the last of its page: its shipments are on the next
    engine.route_batch([order(f"other {n}", ("tea", 9)) for n in range(2 * page)])
    assert engine.decision("1") == first
    engine.cancel_order("1", shipment=1)
    engine.route_batch([order(f"third {n}", ("tea", 9)) for n in range(page)])
    assert engine.decision("1") == first
    assert is_right(engine)
    engine.cancel_order("1")
    engine.route_batch([order(f"fourth {n}", ("tea", 9)) for n in range(2 * page)])
    with pytest.raises(UnknownOrderError):
        engine.order("1")
    assert engine.order_count <= 2 * page
    assert is_right(engine)
