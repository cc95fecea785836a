"""Decisions of the past are explained by what was so then, whatever has happened since."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Decision,
    Engine,
    InvalidInputError,
    Order,
    Reason,
    Store,
    UnknownOrderError,
    explain_face,
)
from fendan.exclusions import Exclusion
from fendan.explanation import Explanation
from fendan.filelog import FileLog
from fendan.profiles import StoreProfile
from fendan.rules import OrderType, StepName

NOON_NS = 1_767_240_000 * 10**9  # 2026-01-01T04:00:00Z, noon in Shanghai
POLICY = '[types.INSTANT]\nsteps = [{name = "STORE", radius_m = 3000}]\n'
STORES = {"S-near": 31.205, "S-next": 31.21, "S-far": 31.22}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Three shops, the nearest of which is closed in the afternoon, and one is out of tea."""
    log = FileLog(tmp_path, first_segment_bytes=1 << 20, segment_bytes=1 << 20)
    clock = StoppedClock(NOON_NS)
    with Engine.open(tmp_path, clock=clock, log=log, snapshot_bytes=0) as opened:
        opened.add_stores(Store(id=name, lat=lat, lng=121.4) for name, lat in STORES.items())
        opened.set_stock((name, sku, 6) for name in STORES for sku in ("tea", "milk"))
        opened.set_stock([("S-next", "tea", 1)])
        yield opened


def an_order(name: str, **said: Any) -> Order:
    said = {"order_type": OrderType.INSTANT, "lines": [("tea", 2)], **said}
    return Order(id=name, lat=31.2, lng=121.4, **said)


def pass_s(engine: Engine, seconds: float) -> None:
    assert isinstance(engine._clock, StoppedClock)
    engine._clock.pass_s(seconds)


def everything_changes(engine: Engine) -> None:
    """Stock, hours, stores and the policy are not what they were."""
    pass_s(engine, 7200.0)
    engine.set_stock((name, "tea", 100) for name in STORES)
    engine.set_store_profiles({"S-far": StoreProfile(hours={"daily": "closed"})})
    engine.set_shares("meituan", {"S-far": 0.0})
    engine.add_stores([Store(id="S-new", lat=31.2, lng=121.4)])
    engine.set_stock([("S-new", "tea", 100)])
    engine.pause_stores(["S-near"])
    engine.activate_policy(engine.draft_policy(POLICY.replace("3000", "10")))


def in_the_words_of(before: Explanation, order_id: str, engine: Engine) -> Explanation:
    """The explanation that was given before the decision, as of the order that was decided."""
    return replace(before, order_id=order_id, decision=engine.decision(order_id))


@pytest.mark.parametrize("policy", ["", POLICY])
def test_the_past_is_told_in_the_words_of_then(engine: Engine, policy: str) -> None:
    if policy:
        engine.activate_policy(engine.draft_policy(policy))
        engine.set_store_profiles({"S-near": StoreProfile(hours={"daily": "13:00-22:00"})})
    order = an_order("A", channel="meituan")
    before = engine.explain(order)
    decided = engine.route(order)
    everything_changes(engine)
    told = engine.explain("A")
    assert told == in_the_words_of(before, "A", engine)
    assert (told.decision, told.complete) == (decided, True)
    assert told.winner is not None
    if policy:
        assert told.winner.store_id == "S-far"
        assert [one.code for one in told.excluded] == [Exclusion.CLOSED, Exclusion.STOCK]
        assert told.policy_version == 1
    else:
        assert told.winner.store_id == "S-near"


def test_an_order_in_the_middle_of_a_batch_saw_what_those_before_it_took(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(POLICY))
    engine.route_batch(an_order(f"order {number}") for number in range(8))
    everything_changes(engine)
    won = [engine.explain(f"order {number}").winner for number in range(8)]
    assert [one and one.store_id for one in won] == ["S-near"] * 3 + ["S-far"] * 3 + [None] * 2
    (first, *_) = engine.explain("order 7").excluded
    assert (first.store_id, first.text) == (
        "S-near",
        "sellable 0 < 2 of tea: on hand 6, reserved 6",
    )


def test_a_snapshot_before_the_order_and_one_after_it_make_no_difference(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(POLICY))
    engine.snapshot()
    engine.set_stock([("S-near", "tea", 0)])
    before = engine.explain(an_order("A"))
    engine.route(an_order("A"))
    assert engine.explain("A") == in_the_words_of(before, "A", engine)
    everything_changes(engine)
    engine.snapshot()
    engine.route(an_order("B"))
    assert engine.explain("A") == in_the_words_of(before, "A", engine)


def test_orders_go_on_being_routed_and_nothing_is_changed_by_asking(engine: Engine) -> None:
    engine.route(an_order("A"))
    before = engine.durable_mark()
    assert engine.explain("A").complete
    assert engine.durable_mark() == before
    assert engine.route(an_order("B")).store_id == "S-near"


@pytest.mark.parametrize("work", ["brought_back", "explained"])
def test_while_somebody_is_told_why_orders_are_routed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    """The long parts of it, the replay and the telling, do not hold what routing needs."""
    engine.route(an_order("A"))
    routed: list[Decision] = []

    def meanwhile(*asked: Any) -> Any:
        other = threading.Thread(target=lambda: routed.append(engine.route(an_order("B"))))
        other.start()
        other.join(60.0)
        assert routed, "it waits for the explanation"
        return done(*asked)

    done = getattr(explain_face, work)
    monkeypatch.setattr(explain_face, work, meanwhile)
    assert engine.explain("A").complete
    assert [one.store_id for one in routed] == ["S-near"]


def test_a_customer_s_own_store_is_remembered(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(""))
    order = an_order("A", order_type=OrderType.PICKUP, pickup_store_id="S-far")
    before = engine.explain(order)
    engine.route(order)
    everything_changes(engine)
    told = engine.explain("A")
    assert told == in_the_words_of(before, "A", engine)
    assert [one.store_id for one in (told.winner, *told.runners_up) if one] == ["S-far"]


def test_which_store_was_wanted_is_not_known_where_none_was_found(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(""))
    order = an_order("A", order_type=OrderType.PICKUP, pickup_store_id="S-next")
    assert engine.route(order).reason is Reason.PICKUP_STORE
    told = engine.explain("A")
    assert (told.complete, told.winner) == (False, None)
    assert "not recorded" in told.note


def test_a_merged_order_is_explained_by_the_one_before_it(engine: Engine) -> None:
    policy = POLICY + 'merge_window = "1h"\n'
    engine.activate_policy(engine.draft_policy(policy))
    buyer = {"buyer_id": "buyer-1", "address_id": "home-1"}
    engine.set_stock([("S-near", "tea", 0)])
    engine.route(an_order("A", **buyer))
    engine.set_stock([("S-near", "tea", 6)])
    before = engine.explain(an_order("B", **buyer))
    assert engine.route(an_order("B", **buyer)).store_id == "S-far"
    everything_changes(engine)
    told = engine.explain("B")
    assert told == in_the_words_of(before, "B", engine)
    assert told.note == "S-far has the buyer's earlier order"


def test_a_split_order_is_explained_by_its_steps(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(""))
    engine.set_stock([("S-near", "milk", 0), ("S-far", "tea", 0)])
    lines = [("tea", 4), ("milk", 4)]
    before = engine.explain(an_order("A", order_type=OrderType.NEXT_DAY, lines=lines))
    told = engine.route(an_order("A", order_type=OrderType.NEXT_DAY, lines=lines))
    assert len(told.shipments) == 2
    everything_changes(engine)
    assert engine.explain("A") == in_the_words_of(before, "A", engine)
    assert engine.explain("A").step is StepName.STORE


# -- AFTER A REJECTION -------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["", POLICY])
def test_the_next_store_is_explained_by_who_had_rejected_the_order(
    engine: Engine, policy: str
) -> None:
    if policy:
        engine.activate_policy(engine.draft_policy(policy))
    first = engine.route(an_order("A"))
    pass_s(engine, 60.0)
    engine.reject_order("A", "S-near")
    everything_changes(engine)
    assert engine.explain("A").decision == first
    told = engine.explain("A", attempt=2)
    assert told.complete, told
    assert told.winner is not None
    assert told.winner.store_id == told.decision.store_id == "S-far"
    assert [(one.store_id, one.code) for one in told.excluded] == [
        ("S-near", Exclusion.REJECTED_BEFORE),
        ("S-next", Exclusion.STOCK),
    ]
    assert str(told.change) == "S-near would have it with no rejection by S-near"


def test_who_rejected_it_long_ago_may_have_it_again(engine: Engine) -> None:
    engine.set_stock([("S-next", "tea", 6)])
    engine.route(an_order("A"))
    engine.reject_order("A", "S-near")
    pass_s(engine, 3600.0)
    assert engine.reject_order("A", "S-next").store_id == "S-near"
    told = engine.explain("A", attempt=3)
    assert told.winner is not None
    assert (told.winner.store_id, told.complete, told.change) == ("S-near", True, None)


def test_an_order_that_has_had_its_attempts_asked_nobody(engine: Engine) -> None:
    engine.activate_policy(engine.draft_policy(""))
    order = an_order("A", order_type=OrderType.PICKUP, pickup_store_id="S-near")
    engine.route(order)
    engine.reject_order("A", "S-near")
    told = engine.explain("A", attempt=2)
    assert (told.decision.reason, told.complete, told.steps) == (Reason.PICKUP_STORE, True, ())
    assert "no other store was asked" in told.note


@pytest.mark.parametrize("attempt", [0, 2, -1])
def test_an_attempt_that_never_was_is_refused(engine: Engine, attempt: int) -> None:
    engine.route(an_order("A"))
    with pytest.raises(InvalidInputError) as refused:
        engine.explain("A", attempt=attempt)
    assert refused.value.field == "attempt"


# -- WHERE NOT ALL IS KNOWN --------------------------------------------------------------------


def test_without_a_journal_the_record_is_all_there_is() -> None:
    engine = Engine(clock=StoppedClock(NOON_NS))
    engine.add_stores([Store(id="S-near", lat=31.205, lng=121.4)])
    engine.set_stock([("S-near", "tea", 6)])
    decided = engine.route(an_order("A"))
    told = engine.explain("A")
    assert (told.complete, told.decision, told.steps) == (False, decided, ())
    assert told.winner is not None
    assert told.winner.store_id == "S-near"
    assert "no journal" in told.note


def test_a_journal_that_was_trimmed_says_so(engine: Engine, tmp_path: Path) -> None:
    engine.route(an_order("A"))
    assert engine._journal is not None
    for number in range(4):  # some segments, and two snapshots after the order
        engine.set_stock(
            (f"S-{where}", f"sku {number} {row}", 1)
            for where in ("near", "far")
            for row in range(20_000)
        )
        engine.snapshot()
    engine._journal.log.trim(engine._journal.durable_sequence)
    told = engine.explain("A")
    if not told.complete:
        assert "does not reach back so far" in told.note
    assert told.decision.store_id == "S-near"


def test_an_order_that_nobody_knows_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownOrderError):
        engine.explain("nobody's")
