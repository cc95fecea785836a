"""Orders that nobody fills: where they wait, how they are tried again, and what a person may do."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    ExceptionEntry,
    ExceptionFilter,
    ExceptionKind,
    Order,
    OrderState,
    Policy,
    RejectReason,
    RetryPolicy,
    SkuProfile,
    Store,
    StoreProfile,
    exception_face,
)
from fendan.errors import (
    InvalidInputError,
    UnknownOrderError,
    WrongStateError,
    WrongStoreError,
)

AT_ONCE = RetryPolicy(first_wait_s=0.0)
S = 1_000_000_000


class Setting:
    """Two stores, 1 km apart; both sell tea and milk, and have none."""

    def __init__(self, retry: RetryPolicy = AT_ONCE, **keywords: object) -> None:
        self.clock = StoppedClock()
        self.engine = Engine(clock=self.clock, **keywords)  # type: ignore[arg-type]
        furnish(self.engine)
        self.engine.keep_exceptions(retry)


def furnish(engine: Engine) -> None:
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4), Store(id="S2", lat=31.2, lng=121.41)])
    engine.set_stock([(store, sku, 0) for store in ("S1", "S2") for sku in ("tea", "milk")])


def order(name: str, sku: str = "tea", quantity: int = 1, **said: object) -> Order:
    return Order(id=name, lat=31.2, lng=121.4, lines=[(sku, quantity)], **said)  # type: ignore[arg-type]


@pytest.fixture
def at() -> Iterator[Setting]:
    yield Setting()


def ids(engine: Engine, wanted: ExceptionFilter | None = None) -> list[str]:
    return [entry.id for entry in engine.exceptions(wanted).entries]


# -- WAITING -----------------------------------------------------------------------------------


def test_an_order_that_no_store_can_fill_waits_with_its_reason(at: Setting) -> None:
    at.engine.route(order("A", channel="meituan", priority=3))
    (entry,) = at.engine.exceptions().entries
    assert (entry.id, entry.kind, entry.reason) == ("A", ExceptionKind.WAITING, "NO_STOCK")
    assert (entry.channel, entry.priority, entry.since_ns) == ("meituan", 3, at.clock.now_ns())


def test_without_a_queue_nothing_is_kept() -> None:
    engine = Engine()
    furnish(engine)
    engine.route(order("A"))
    with pytest.raises(WrongStateError, match="keep_exceptions"):
        engine.exceptions()


def test_stock_that_comes_fills_who_waits_for_it_and_for_nobody_else(at: Setting) -> None:
    at.engine.route_batch([order("A"), order("B", "milk")])
    at.engine.retry_due()
    at.engine.set_stock([("S2", "milk", 5)])
    turn = at.engine.retry_due()
    assert (turn.tried, turn.assigned) == (1, ("B",))
    assert at.engine.order("B").store_id == "S2"
    assert ids(at.engine) == ["A"]


def test_an_order_that_waited_is_told_its_first_decision_again(at: Setting) -> None:
    first = at.engine.route(order("A"))
    at.engine.set_stock([("S1", "tea", 5)])
    at.engine.retry_due()
    assert at.engine.route(order("A")) == first == at.engine.decision("A")
    assert at.engine.order("A").state is OrderState.ASSIGNED
    assert ids(at.engine) == []


def test_the_highest_priority_comes_first_and_then_the_oldest(at: Setting) -> None:
    for name, priority in (("old", 0), ("young", 0), ("gold", 5)):
        at.engine.route(order(name, priority=priority))
        at.clock.ns += S
    assert ids(at.engine) == ["gold", "old", "young"]
    at.engine.set_stock([("S1", "tea", 2)])
    assert at.engine.retry_due().assigned == ("gold", "old")
    assert ids(at.engine) == ["young"]


def test_one_buyers_crowd_does_not_come_before_others(at: Setting) -> None:
    for name, buyer in (("A1", "a"), ("A2", "a"), ("A3", "a"), ("B1", "b")):
        at.engine.route(order(name, buyer_id=buyer))
        at.clock.ns += S
    at.engine.set_stock([("S1", "tea", 2)])
    assert at.engine.retry_due().assigned == ("A1", "B1")


def test_what_a_cancelled_order_gives_back_goes_to_who_waits(at: Setting) -> None:
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.route_batch([order("A"), order("B")])
    at.engine.cancel_order("A")
    assert at.engine.retry_due().assigned == ("B",)


def test_a_store_that_resumes_fills_who_waits(at: Setting) -> None:
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.pause_stores(["S1"])
    at.engine.route(order("A"))
    assert at.engine.retry_due().assigned == ()
    at.engine.resume_stores(["S1"])
    assert at.engine.retry_due().assigned == ("A",)


def test_a_turn_tries_no_more_than_it_may_and_the_next_goes_on() -> None:
    at = Setting(RetryPolicy(first_wait_s=60.0, most_per_turn=2))
    at.engine.route_batch([order(str(number), quantity=9) for number in range(5)])
    at.engine.set_stock([("S1", "tea", 5)])  # some, but not enough for any
    turns = [at.engine.retry_due() for _ in range(4)]
    assert [turn.tried for turn in turns] == [2, 2, 1, 0]


def test_where_nobody_sells_a_sku_its_crowd_is_not_tried(at: Setting) -> None:
    at.engine.route_batch([order(str(number)) for number in range(50)])
    at.engine.retry_due()
    at.engine.set_stock([("S1", "tea", 3)])
    turn = at.engine.retry_due()
    assert (turn.tried, len(turn.assigned)) == (4, 3)


def test_what_others_buy_concerns_nobody_who_waits(at: Setting) -> None:
    at.engine.set_stock([("S1", "tea", 2)])
    at.engine.route(order("A", quantity=3))
    at.engine.retry_due()
    assert at.engine.route(order("B")).store_id == "S1"
    assert at.engine.retry_due().tried == 0
    at.engine.adjust_stock([("S1", "tea", 2)])
    assert at.engine.retry_due().assigned == ("A",)


def test_an_attempt_that_failed_is_not_repeated_before_its_time() -> None:
    at = Setting(RetryPolicy(first_wait_s=10.0))
    at.engine.route(order("A", quantity=3))
    at.engine.set_stock([("S1", "tea", 1)])
    assert at.engine.retry_due().tried == 1
    at.engine.set_stock([("S1", "tea", 3)])
    assert at.engine.retry_due().tried == 0
    at.clock.ns += 10 * S
    assert at.engine.retry_due().assigned == ("A",)


def test_an_order_that_was_tried_often_enough_is_held_for_review() -> None:
    at = Setting(RetryPolicy(first_wait_s=0.0, most_attempts=2))
    at.engine.route(order("A", quantity=3))
    for count in (1, 2):
        at.engine.set_stock([("S1", "tea", count)])
        at.engine.retry_due()
    entry = at.engine.exception("A")
    assert (entry.kind, entry.attempts) == (ExceptionKind.HELD, 2)
    at.engine.set_stock([("S1", "tea", 3)])
    assert at.engine.retry_due().tried == 0
    assert at.engine.approve_exception("A").state is OrderState.ASSIGNED


def test_without_any_change_an_order_is_tried_by_the_clock() -> None:
    at = Setting(RetryPolicy(longest_wait_s=60.0, most_age_s=3600.0))
    at.engine.route(order("A"))
    at.engine.retry_due()
    at.clock.ns += 61 * S
    assert at.engine.retry_due().tried == 1
    at.clock.ns += 3600 * S
    at.engine.retry_due()
    assert at.engine.exception("A").kind is ExceptionKind.HELD


# -- REJECTED BY A STORE -----------------------------------------------------------------------


def test_a_rejected_order_that_no_other_store_has_waits_at_the_front(at: Setting) -> None:
    at.engine.route(order("waits"))
    at.clock.ns += S
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.retry_exceptions(["waits"])
    at.engine.route(order("later"))
    at.engine.reject_order("waits", "S1", reason=RejectReason.NOT_ON_SHELF)
    entry = at.engine.exception("waits")
    assert (entry.reason, entry.store_id) == ("NO_STOCK", "S1")
    at.engine.set_stock([("S1", "tea", 1), ("S2", "tea", 1)])
    assert at.engine.retry_due().assigned == ("waits", "later")
    assert at.engine.order("waits").store_id == "S2"  # S1 has rejected it
    assert at.engine.order("later").store_id == "S1"


def test_an_order_that_was_at_too_many_stores_is_held_for_review() -> None:
    at = Setting(policy=Policy(most_attempts=1))
    at.engine.set_stock([("S1", "tea", 1), ("S2", "tea", 1)])
    at.engine.route(order("A"))
    at.engine.reject_order("A", "S1")
    entry = at.engine.exception("A")
    assert (entry.kind, entry.reason) == (ExceptionKind.HELD, "TOO_MANY_ATTEMPTS")


def test_an_order_that_no_store_accepted_in_time_is_held_for_review() -> None:
    at = Setting(policy=Policy(reservation_timeout_s=60.0))
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.route(order("A"))
    at.clock.ns += 61 * S
    at.engine.expire_orders()
    entry = at.engine.exception("A")
    assert (entry.kind, entry.reason) == (ExceptionKind.HELD, "EXPIRED")
    assert at.engine.approve_exception("A").state is OrderState.ASSIGNED


def test_what_no_policy_looks_at_may_be_anything_and_is_not_kept(at: Setting) -> None:
    at.engine.route(order("A", order_type=["tomorrow"], channel=7))
    at.engine.route_arrays(
        lat=[31.2, 31.2],
        lng=[121.4, 121.4],
        offsets=[0, 1, 2],
        skus=[0, 0],
        quantities=[1, 1],
        ids=["B", "C"],
        channels=["jd"],  # one for two orders
        buyer_ids=["b", "c"],
    )
    entries = at.engine.exceptions().entries
    assert [(one.id, one.channel) for one in entries] == [("A", ""), ("B", ""), ("C", "")]
    assert [one.order.buyer_id for one in entries if one.order] == ["", "b", "c"]


# -- BY HAND -----------------------------------------------------------------------------------


def held(name: str, **said: object) -> ExceptionEntry:
    entry = ExceptionEntry(
        id=name, kind=ExceptionKind.HELD, reason="PRICE_OFF_LIST", order=order(name)
    )
    return entry if not said else ExceptionEntry(**{**_fields(entry), **said})  # type: ignore[arg-type]


def _fields(entry: ExceptionEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in ExceptionEntry.__slots__}


def test_an_order_that_intake_holds_is_routed_when_it_is_approved(at: Setting) -> None:
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.add_exceptions([held("A"), held("B")])
    assert at.engine.retry_due().tried == 0
    assert at.engine.approve_exception("A").store_id == "S1"
    assert at.engine.approve_exception("B").state is OrderState.UNASSIGNED
    assert at.engine.exception("B").kind is ExceptionKind.WAITING


def test_an_order_is_given_to_a_store_by_hand_if_it_has_all_of_it(at: Setting) -> None:
    at.engine.route(order("A"))
    at.engine.add_exceptions([held("B")])
    at.engine.set_stock([("S2", "tea", 2)])
    for name in ("A", "B"):
        with pytest.raises(WrongStoreError, match="does not have all"):
            at.engine.assign_exception(name, "S1")
        assert at.engine.assign_exception(name, "S2").store_id == "S2"
    assert ids(at.engine) == []
    at.engine.check()


def test_an_order_is_given_to_no_store_that_is_paused(at: Setting) -> None:
    at.engine.route(order("A"))
    at.engine.set_stock([("S2", "tea", 2)])
    at.engine.pause_stores(["S2"])
    with pytest.raises(WrongStoreError, match="paused"):
        at.engine.assign_exception("A", "S2")


def test_what_waits_for_supply_and_is_given_to_a_store_by_hand_is_due_after_its_day() -> None:
    at = Setting(policy=Policy(reservation_timeout_s=1800))
    at.engine.activate_policy(at.engine.draft_policy('default_type = "PRESALE"\n'))
    at.engine.set_sku_profiles({"tea": SkuProfile(presale=True)})
    at.engine.set_store_profiles({"S2": StoreProfile(time_zone="Europe/Paris")})
    at.engine.set_supply("S1", "tea", "2025-06-20", 1)
    assert at.engine.route(order("A")).shipments[0].supply_date == "2025-06-20"
    assert at.engine.reject_order("A", "S1").state is OrderState.REJECTED
    at.engine.set_supply("S2", "tea", "2025-06-20", 1)
    status = at.engine.assign_exception("A", "S2")
    begins = datetime(2025, 6, 20, tzinfo=ZoneInfo("Europe/Paris"))
    assert status.store_id == "S2"
    assert status.reserved_until_ns == (begins.timestamp() + 1800) * S
    at.clock.pass_s(3600)
    assert at.engine.expire_orders() == []
    at.engine.check()


def test_an_order_is_given_by_hand_only_to_a_store_that_has_its_bundles_together(
    at: Setting,
) -> None:
    both = {name: SkuProfile(parts={"tea": 1, "milk": 1}) for name in ("supper", "breakfast")}
    at.engine.set_sku_profiles(both)
    lines = [("supper", 1), ("breakfast", 1)]
    asked = Order(id="A", lat=31.2, lng=121.4, lines=lines)
    at.engine.add_exceptions([held("A", order=asked)])
    at.engine.set_stock([("S1", "tea", 1), ("S1", "milk", 1)])
    with pytest.raises(WrongStoreError, match="does not have all"):
        at.engine.assign_exception("A", "S1")
    assert at.engine.knows(["A"]) == [False]
    at.engine.set_stock([("S1", "tea", 2), ("S1", "milk", 2)])
    assert at.engine.assign_exception("A", "S1").store_id == "S1"


def test_a_cancelled_exception_is_gone_and_its_id_is_spent(at: Setting) -> None:
    at.engine.route(order("A"))
    at.engine.add_exceptions([held("B")])
    for name in ("A", "B"):
        at.engine.cancel_exception(name)
        with pytest.raises(UnknownOrderError):
            at.engine.exception(name)
    assert at.engine.order("A").state is OrderState.CANCELLED
    at.engine.set_stock([("S2", "tea", 2)])
    assert at.engine.retry_due().assigned == ()


def test_an_order_that_is_cancelled_leaves_the_queue(at: Setting) -> None:
    at.engine.route(order("A"))
    at.engine.cancel_order("A")
    assert ids(at.engine) == []


def test_what_waits_cannot_be_approved_and_what_is_held_not_retried(at: Setting) -> None:
    at.engine.route(order("A"))
    at.engine.add_exceptions([held("B")])
    with pytest.raises(WrongStateError, match="waits already"):
        at.engine.approve_exception("A")
    with pytest.raises(WrongStateError, match="approve it"):
        at.engine.retry_exceptions(["B"])


def test_what_could_not_be_read_keeps_its_raw_text_up_to_a_limit(at: Setting) -> None:
    broken = ExceptionEntry(
        id="p-1", kind=ExceptionKind.BROKEN, reason="NOT_JSON", raw="壶" * 10_000 + "\ud800"
    )
    at.engine.add_exceptions([broken])
    entry = at.engine.exception("p-1")
    assert entry.raw.startswith("壶" * 5_000)
    assert entry.raw.endswith("… (cut off: 30,001 bytes came)")
    with pytest.raises(WrongStateError, match="could not be read"):
        at.engine.approve_exception("p-1")
    at.engine.cancel_exception("p-1")
    assert ids(at.engine) == []


def test_an_entry_that_cannot_be_is_refused_by_its_row(at: Setting) -> None:
    for bad, field in (
        (held("A", kind=ExceptionKind.WAITING), "entries.kind"),
        (held("A", priority=10), "entries.priority"),
        (held("A", id="B"), "entries.id"),
        (held("A", reason=""), "entries.reason"),
        (held("A", channel=["jd"]), "entries.channel"),
        (held("A", store_id="\ud800"), "entries.store_id"),
        (held("A", raw=b"{}"), "entries.raw"),
        (held("A", codes=5), "entries.codes"),
        (held("A", since_ns=10**30), "entries.since_ns"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            at.engine.add_exceptions([held("C"), bad])
        assert (caught.value.field, caught.value.row) == (field, 1)
    assert ids(at.engine) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"lat": Decimal(31)},
        {"lines": [("tea", {1})]},
        {"lines": None},
        {"buyer_id": "\ud800"},
        {"datum": "WGS84"},
        {"order_type": 99},
    ],
)
def test_an_order_that_cannot_be_written_down_is_refused_before_anything_is_queued(
    at: Setting, broken: dict[str, Any]
) -> None:
    entry = held("B", order=replace(order("B"), **broken))
    with pytest.raises(InvalidInputError) as caught:
        at.engine.add_exceptions([held("A"), entry])
    assert (caught.value.field, caught.value.row) == ("entries.order", 1)
    assert ids(at.engine) == []
    assert at.engine.exception_stats().total == 0


def test_an_order_that_expired_stays_in_the_queue_though_it_was_assigned_once() -> None:
    at = Setting(policy=Policy(reservation_timeout_s=60.0))
    at.engine.set_stock([("S1", "tea", 1)])
    at.engine.route(order("A"))
    at.clock.ns += 61 * S
    at.engine.expire_orders()
    assert at.engine.route(order("A")).store_id == "S1"
    assert ids(at.engine) == ["A"]


@pytest.mark.parametrize("others", [0, 3], ids=["alone", "among others"])
def test_an_order_that_was_held_back_and_comes_all_the_same_is_one_order_of_the_day_it_came_first(
    at: Setting, others: int
) -> None:
    at.engine.add_exceptions([held("A"), *(held(f"B{number}") for number in range(others))])
    at.engine.set_stock([("S1", "tea", 9)])
    at.clock.pass_s(24 * 3600)
    assert at.engine.route(order("A")).store_id == "S1"
    assert "A" not in ids(at.engine)
    before, after = (at.engine.exception_figures(f"2025-06-{day}") for day in (15, 16))
    assert (before.taken, before.by_hand, before.at_once) == (1 + others, 1, 0)
    assert (after.taken, after.by_hand, after.at_once) == (0, 0, 0)


def test_no_more_is_put_into_the_queue_than_it_can_bear(
    at: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exception_face, "MOST_ENTRIES", 2)
    at.engine.add_exceptions([held("A")])
    with pytest.raises(InvalidInputError, match="2 are the most"):
        at.engine.add_exceptions([held("B"), held("C")])
    at.engine.route_batch([order(name) for name in ("D", "E", "F")])
    assert ids(at.engine) == ["A", "D", "E", "F"]  # what was routed must not be lost


# -- LOOKING -----------------------------------------------------------------------------------


def test_the_queue_is_filtered_and_read_page_by_page(at: Setting) -> None:
    for number in range(10):
        at.engine.route(order(f"W{number}", channel="jd" if number % 2 else "eleme"))
        at.clock.ns += S
    at.engine.add_exceptions([held(f"H{number}") for number in range(3)])
    waiting = ExceptionFilter(kinds=(ExceptionKind.WAITING,), channels=("jd",))
    assert ids(at.engine, waiting) == ["W1", "W3", "W5", "W7", "W9"]
    page = at.engine.exceptions(waiting, limit=2)
    rest = at.engine.exceptions(waiting, limit=3, after=page.after)
    assert [one.id for one in (*page.entries, *rest.entries)] == ids(at.engine, waiting)
    assert rest.after == ""
    assert [one.id for one in at.engine.export_exceptions()] == ids(at.engine)
    with pytest.raises(InvalidInputError, match="after"):
        at.engine.exceptions(after="nowhere")
    with pytest.raises(InvalidInputError, match="after"):
        at.engine.exceptions(after=f"0:{'5' * 5_000}:W1")  # more digits than Python reads


def test_the_stats_tell_kinds_reasons_and_ages(at: Setting) -> None:
    at.engine.route(order("A"))
    at.clock.ns += 30 * S
    at.engine.add_exceptions([held("B"), held("C")])
    stats = at.engine.exception_stats()
    assert (stats.total, stats.by_reason) == (3, {"NO_STOCK": 1, "PRICE_OFF_LIST": 2})
    assert stats.by_kind == {ExceptionKind.WAITING: 1, ExceptionKind.HELD: 2}
    assert stats.oldest_s == {ExceptionKind.WAITING: 30.0, ExceptionKind.HELD: 0.0}


def test_the_figures_of_a_day_say_what_went_through_untouched(at: Setting) -> None:
    at.clock.ns = 1_764_612_000 * S  # 2025-12-01 18:00 UTC, which is the second in China
    at.engine.set_stock([("S1", "tea", 1), ("S2", "milk", 1)])
    at.engine.route_batch([order("at once"), order("milk", "milk")])
    at.engine.route_batch([order("retried", channel="jd"), order("waits"), order("for the hand")])
    at.engine.add_exceptions([held("cancelled"), held("approved")])
    at.engine.set_stock([("S2", "tea", 1)])
    at.engine.retry_exceptions(["retried"])
    at.engine.set_stock([("S2", "tea", 2)])
    at.engine.assign_exception("for the hand", "S2")
    at.engine.set_stock([("S2", "tea", 3)])
    at.engine.approve_exception("approved")
    at.engine.cancel_exception("cancelled")
    figures = at.engine.exception_figures("2025-12-02")
    assert (figures.taken, figures.at_once, figures.by_retry) == (7, 2, 1)
    assert (figures.by_hand, figures.cancelled) == (2, 1)
    assert figures.automatic_rate == 3 / 7
    assert [(one.reason, one.channel, one.count) for one in figures.exceptions] == [
        ("NO_STOCK", "", 2),
        ("PRICE_OFF_LIST", "", 2),
        ("NO_STOCK", "jd", 1),
    ]
    assert at.engine.exception_figures("2025-12-01").taken == 0
    assert at.engine.exception_figures("2025-12-01", utc_offset_h=0).taken == 7
