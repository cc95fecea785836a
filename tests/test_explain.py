"""Why an order goes where it goes: who won, who was nearer and could not, and what it lacked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock import StoppedClock
from fendan import Engine, InvalidInputError, Order, Policy, Reason, Status, Store, WrongTypeError
from fendan.exclusions import Exclusion
from fendan.explanation import Explanation
from fendan.filelog import FileLog
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StepName, StoreKind
from fendan.state import state_hash
from simulated_disk import SimulatedDisk
from strategies import SKUS, Scene, scenes

NOON_NS = 1_767_240_000 * 10**9  # 2026-01-01T04:00:00Z, noon in Shanghai
HOME = (31.2, 121.4)
DEGREE_M = 111_195.08

LATELY = 3  # orders that the nearest store was given

NEAR, NEXT, FAR = "S-near", "S-next", "S-far"
PLACES = {NEAR: 31.205, NEXT: 31.21, FAR: 31.22}  # some 556, 1,112 and 2,224 m north
GOODS = ("tea", "milk", "rice", "fish")

INSTANT = "[types.INSTANT]\n"
A_RADIUS = INSTANT + 'steps = [{name = "STORE", radius_m = 3000}]\n'


def a_chain(policy: str = "", stock: int = 6) -> Engine:
    """Three shops on one street, with so much of everything."""
    engine = Engine(clock=StoppedClock(NOON_NS))
    engine.add_stores(Store(id=name, lat=lat, lng=HOME[1]) for name, lat in PLACES.items())
    engine.set_stock((name, sku, stock) for name in PLACES for sku in GOODS)
    if policy:
        engine.activate_policy(engine.draft_policy(policy))
    return engine


def an_order(*lines: tuple[str, int], **said: Any) -> Order:
    said = {"order_type": OrderType.INSTANT, **said}
    return Order(id="A", lat=HOME[0], lng=HOME[1], lines=lines or [("tea", 2)], **said)


def why_not(told: Explanation, store_id: str = NEAR) -> tuple[Exclusion, str]:
    (found,) = [one for one in told.excluded if one.store_id == store_id]
    return found.code, found.text


# -- WHO WON -----------------------------------------------------------------------------------


def test_the_nearest_store_wins_and_the_others_would_have_been_next() -> None:
    told = a_chain(A_RADIUS).explain(an_order())
    assert told.winner is not None
    assert told.winner.store_id == told.decision.store_id == NEAR
    assert told.winner.values == {"DISTANCE": told.winner.distance_m}
    assert [one.store_id for one in told.runners_up] == [NEXT, FAR]
    assert (told.excluded, told.change, told.complete, told.note) == ((), None, True, "")
    (step,) = told.steps
    assert (step.name, step.eligible, step.in_radius, step.able) == (StepName.STORE, 3, 3, 3)


def test_it_works_without_a_policy_too() -> None:
    engine = a_chain()
    engine.set_stock([(NEAR, "tea", 1)])
    told = engine.explain(an_order())
    assert told.decision.store_id == NEXT
    assert why_not(told) == (Exclusion.STOCK, "sellable 1 < 2 of tea: on hand 1, reserved 0")
    assert str(told.change) == f"{NEAR} would have it with 1 more of tea at {NEAR}"
    assert (told.policy_version, told.step) == (0, StepName.NONE)


def test_a_store_beyond_the_engine_s_own_radius_is_excluded_by_it() -> None:
    engine = Engine(policy=Policy(radius_m=500.0), clock=StoppedClock(NOON_NS))
    engine.add_stores([Store(id=NEAR, lat=PLACES[NEAR], lng=HOME[1])])
    engine.set_stock([(NEAR, "tea", 5)])
    told = engine.explain(an_order())
    assert told.winner is None
    assert why_not(told) == (Exclusion.RADIUS, "556 m away, and the radius is 500 m")
    assert str(told.change) == f"{NEAR} would have it with radius_m 556 instead of 500"


def test_a_ranking_shows_its_values_and_who_lost_by_which() -> None:
    engine = a_chain(A_RADIUS + 'ranking = [{by = "DISTANCE_BAND", width_m = 2000}, "COST"]\n')
    engine.set_store_profiles({NEAR: StoreProfile(cost=700), FAR: StoreProfile(cost=100)})
    told = engine.explain(an_order())
    assert told.winner is not None
    assert (told.winner.store_id, dict(told.winner.values)) == (
        NEXT,
        {"DISTANCE_BAND": 0.0, "COST": 0.0},
    )
    assert [one.store_id for one in told.runners_up] == [NEAR, FAR]
    assert told.excluded == ()
    assert str(told.change) == (
        f"{NEAR} could have it, but {NEXT} comes before it by COST: 0 against 700"
    )


def test_a_score_is_told_with_its_parts() -> None:
    policy = A_RADIUS + 'score = [{by = "DISTANCE", weight = 1.0}, {by = "COST", weight = 2.0}]\n'
    engine = a_chain(policy)
    engine.set_store_profiles({NEAR: StoreProfile(cost=700)})
    told = engine.explain(an_order())
    assert told.winner is not None
    assert told.winner.store_id == NEXT
    assert list(told.winner.values) == ["DISTANCE", "COST", "SCORE"]
    assert told.change is not None
    assert told.change.loses_by == "SCORE: 1,111.95 against 1,955.98"


def test_a_named_store_is_the_only_one_that_is_asked() -> None:
    engine = a_chain()
    engine.activate_policy(engine.draft_policy(""))
    engine.set_stock([(FAR, "tea", 1)])
    order = an_order(order_type=OrderType.PICKUP, pickup_store_id=FAR)
    told = engine.explain(order)
    assert told.decision.reason is Reason.PICKUP_STORE
    assert [one.store_id for one in told.excluded] == [FAR]
    assert str(told.change) == f"{FAR} would have it with 1 more of tea at {FAR}"
    assert engine.explain(replace(order, pickup_store_id=NEXT)).winner == (
        engine.explain(replace(order, pickup_store_id=NEXT)).winner
    )


def test_the_store_that_has_the_buyer_s_earlier_order_wins_and_the_note_says_so() -> None:
    engine = a_chain(A_RADIUS + 'merge_window = "1h"\n')
    buyer = {"buyer_id": "buyer-1", "address_id": "home-1"}
    engine.set_stock([(NEAR, "tea", 0)])
    assert engine.route(an_order(**buyer)).store_id == NEXT
    engine.set_stock([(NEAR, "tea", 9)])
    told = engine.explain(an_order(**buyer))
    assert told.winner is not None
    assert told.winner.store_id == told.decision.store_id == NEXT
    assert told.note == f"{NEXT} has the buyer's earlier order"
    assert told.change is not None
    assert told.change.loses_to == NEXT


def test_a_split_order_has_no_winner_but_its_shipments() -> None:
    engine = a_chain()
    engine.activate_policy(engine.draft_policy(""))
    engine.set_stock([(NEAR, "milk", 0), (NEXT, "tea", 0), (FAR, "tea", 0)])
    told = engine.explain(an_order(("tea", 2), ("milk", 2), order_type=OrderType.NEXT_DAY))
    assert (told.winner, len(told.decision.shipments), told.complete) == (None, 2, True)
    assert told.steps[-1].name is told.step is StepName.STORE
    assert {one.code for one in told.excluded} == {Exclusion.STOCK}


def test_of_an_order_that_goes_farther_the_near_ones_say_where_they_failed() -> None:
    engine = a_chain()
    engine.activate_policy(engine.draft_policy(""))
    engine.add_stores([Store(id="RDC", lat=32.0, lng=121.4)])
    engine.set_store_profiles({"RDC": StoreProfile(kind=StoreKind.RDC)})
    engine.set_stock([("RDC", "tea", 100)])
    told = engine.explain(an_order(("tea", 50), order_type=OrderType.SAME_DAY))
    assert told.decision.store_id == "RDC"
    assert [step.name for step in told.steps] == [StepName.STORE, StepName.WIDER, StepName.RDC]
    assert {(one.code, one.step) for one in told.excluded} == {(Exclusion.STOCK, StepName.STORE)}


# -- EVERY RULE CAN BE THE FIRST REASON --------------------------------------------------------


def profiled(engine: Engine, **what: Any) -> None:
    """One thing more about the nearest store."""
    engine.set_store_profiles({NEAR: replace(engine.store_profile(NEAR), **what)})


def no_area(engine: Engine) -> None:
    pytest.importorskip("shapely")
    square = [[10, 10], [11, 10], [11, 11], [10, 11], [10, 10]]
    engine.set_areas({"abroad": json.dumps({"type": "Polygon", "coordinates": [square]})})
    profiled(engine, areas=("abroad",))


def off_the_shelf(engine: Engine) -> None:
    engine.set_sku_profiles({"rice": SkuProfile(off_below=4, on_from=6)})
    engine.set_stock([(NEAR, "rice", 3)])


def many_orders_lately(engine: Engine) -> None:
    """The nearest store was given as many orders as it may be before long, some long shipped."""
    profiled(engine, most_orders_in_window=LATELY)


# The policy is written before anything else, and says all of it.
SPOILERS: dict[Exclusion, Callable[[Engine], object]] = {
    Exclusion.PAUSED: lambda engine: engine.pause_stores([NEAR]),
    Exclusion.KIND: lambda engine: profiled(engine, kind=StoreKind.RDC),
    Exclusion.ORDER_TYPE: lambda engine: profiled(
        engine, order_types=frozenset({OrderType.PICKUP})
    ),
    Exclusion.REGION: lambda engine: engine.update_stores(
        [Store(id=NEAR, lat=PLACES[NEAR], lng=HOME[1], region="south")]
    ),
    Exclusion.CLOSED: lambda engine: profiled(engine, hours={"daily": "13:00-22:00"}),
    Exclusion.CUT_OFF: lambda engine: profiled(engine, hours={"daily": "09:00-12:10"}),
    Exclusion.ABILITY: lambda engine: profiled(engine, abilities=frozenset()),
    Exclusion.OPEN_ORDERS: lambda engine: profiled(engine, most_open_orders=1),
    Exclusion.WINDOW: many_orders_lately,
    Exclusion.AREA: no_area,
    Exclusion.NOT_LISTED: lambda engine: engine.set_sku_profiles({"new": SkuProfile()}),
    Exclusion.CHANNEL: lambda engine: engine.set_shares("meituan", {NEAR: 0.5}),
    Exclusion.OFF_SHELF: off_the_shelf,
    Exclusion.STOCK: lambda engine: engine.set_held([NEAR], ["fish"], safety=[5]),
    Exclusion.LOTS: lambda engine: engine.set_lots(NEAR, "milk", {"2025-12-31": 6}),
}

WORDS = {
    Exclusion.PAUSED: "paused: it takes no orders",
    Exclusion.KIND: "it is of kind RDC, and asked are SHOP",
    Exclusion.ORDER_TYPE: "it takes PICKUP, and not INSTANT",
    Exclusion.REGION: "it is in region south, and asked are north",
    Exclusion.CLOSED: "closed: opens 13:00 (Asia/Shanghai)",
    Exclusion.CUT_OFF: "closes 12:10, and the cut-off is 15 min before",
    Exclusion.ABILITY: "it has no cold_chain",
    Exclusion.OPEN_ORDERS: "1 open order, and 1 are the most it may hold",
    Exclusion.WINDOW: "it was given 3 orders within 900 s, and 3 are the most it takes",
    Exclusion.RADIUS: "556 m away, and the radius of step STORE is 500 m",
    Exclusion.AREA: "the order is in none of its areas (abroad)",
    Exclusion.REJECTED_BEFORE: "it has rejected this order before",
    Exclusion.NOT_LISTED: "it does not list new",
    Exclusion.CHANNEL: "sellable 3 < 4 of tea for channel meituan: share 0.5 of 6",
    Exclusion.OFF_SHELF: "rice is off the shelf: 3 free, and it is on again from 6",
    Exclusion.STOCK: "sellable 1 < 2 of fish: on hand 6, reserved 0, safety 5",
    Exclusion.LOTS: "sellable 0 < 1 of milk good until 2026-01-01: free 6 until 2025-12-31",
    Exclusion.PROMISE: "it would take 745 s, and 720 s are promised at most",
}
CHANGES = {
    Exclusion.PAUSED: "S-near resumed",
    Exclusion.KIND: "RDC among the kinds of step STORE",
    Exclusion.ORDER_TYPE: "S-near taking INSTANT",
    Exclusion.REGION: "region south in the rule",
    Exclusion.CLOSED: "S-near open from 12:00",
    Exclusion.CUT_OFF: "S-near open until 12:16",
    Exclusion.ABILITY: "cold_chain at S-near",
    Exclusion.OPEN_ORDERS: "1 open order fewer at S-near",
    Exclusion.WINDOW: "1 order fewer within 900 s at S-near",
    Exclusion.RADIUS: "radius_m 556 instead of 500",
    Exclusion.AREA: "the order's place in an area of S-near",
    Exclusion.REJECTED_BEFORE: "no rejection by S-near",
    Exclusion.NOT_LISTED: "1 more of new at S-near",
    Exclusion.CHANNEL: "2 more of tea at S-near",
    Exclusion.OFF_SHELF: "3 more of rice at S-near",
    Exclusion.STOCK: "1 more of fish at S-near",
    Exclusion.LOTS: "1 more of milk good until 2026-01-01 at S-near",
    Exclusion.PROMISE: "promise.most_s 745 instead of 720",
}


RULES = """
[types.INSTANT]
steps = [{{ name = "STORE", radius_m = {radius_m} }}]
promise = {{ most = "{most}", pick_per_open_order = 0 }}
store_regions = ["north"]
"""


def kept() -> Engine:
    """An engine with a journal."""
    log = FileLog(Path("/kept"), SimulatedDisk(), first_segment_bytes=1 << 20)
    return Engine.open(Path("/kept"), clock=StoppedClock(NOON_NS), log=log)


def a_kept_chain() -> Engine:
    """The same three shops, which keep a journal, and are able to do everything that is asked.

    The nearest one was given three orders lately, and has one of them still.
    """
    engine = kept()
    engine.add_stores(
        Store(id=name, lat=lat, lng=HOME[1], region="north") for name, lat in PLACES.items()
    )
    engine.set_stock((name, sku, 6) for name in PLACES for sku in (*GOODS, "salt"))
    cold = StoreProfile(
        abilities=frozenset({"cold_chain"}), most_orders_in_window=LATELY + 2, window_s=900.0
    )
    engine.set_store_profiles({name: replace(cold) for name in PLACES})
    engine.set_sku_profiles({"milk": SkuProfile(needs=frozenset({"cold_chain"}))})
    engine.set_shares("meituan", {NEAR: 1.0})
    engine.activate_policy(engine.draft_policy(RULES.format(radius_m=3000, most="2h")))
    for number in range(LATELY):
        name = f"before {number}"
        assert engine.route(replace(an_order(("salt", 1)), id=name)).store_id == NEAR
        if number:
            engine.cancel_order(name)
    return engine


def spoiled(codes: list[Exclusion]) -> Explanation:
    """A chain whose nearest store fails all of these rules, and no other."""
    engine = a_kept_chain()
    lines = [("milk", 1), ("rice", 1), ("fish", 2), ("tea", 4)]
    if Exclusion.NOT_LISTED in codes:
        lines.append(("new", 1))
        engine.set_stock([(NEXT, "new", 5), (FAR, "new", 5)])
    order = an_order(*lines, channel="meituan")
    is_back = Exclusion.REJECTED_BEFORE in codes
    if is_back:
        assert engine.route(order).store_id == NEAR
    radius_m = 500 if Exclusion.RADIUS in codes else 3000
    most = "12min" if Exclusion.PROMISE in codes else "2h"
    engine.activate_policy(engine.draft_policy(RULES.format(radius_m=radius_m, most=most)))
    for code in codes:
        if code in SPOILERS:
            SPOILERS[code](engine)
    if not is_back:
        return engine.explain(order)
    engine.reject_order(order.id, NEAR)
    return engine.explain(order.id, attempt=2)


@pytest.mark.parametrize("code", Exclusion, ids=str)
def test_every_rule_can_be_the_first_reason(code: Exclusion) -> None:
    later = [one for one in Exclusion if one > code]
    if code is Exclusion.CLOSED:
        later.remove(Exclusion.CUT_OFF)  # who is closed has no cut-off
    if code <= Exclusion.REJECTED_BEFORE:
        later.remove(Exclusion.NOT_LISTED)  # who had the order once lists all of it
    assert why_not(spoiled([code, *later])) == (code, WORDS[code])


@pytest.mark.parametrize("code", Exclusion, ids=str)
def test_every_rule_can_be_the_only_reason_and_says_what_would_do(code: Exclusion) -> None:
    told = spoiled([code])
    assert why_not(told) == (code, WORDS[code])
    assert told.complete
    assert told.change is not None
    assert (told.change.store_id, told.change.needed) == (NEAR, (CHANGES[code],))
    assert not told.change.loses_to


def test_if_it_takes_several_changes_all_of_them_are_told() -> None:
    told = spoiled([Exclusion.PAUSED, Exclusion.ABILITY, Exclusion.STOCK])
    assert told.change is not None
    assert told.change.needed == (
        "S-near resumed",
        "cold_chain at S-near",
        CHANGES[Exclusion.STOCK],
    )


def test_a_window_that_has_slid_on_keeps_nobody_from_orders() -> None:
    engine = a_kept_chain()
    many_orders_lately(engine)
    assert why_not(engine.explain(an_order()))[0] is Exclusion.WINDOW
    assert isinstance(engine._clock, StoppedClock)
    engine._clock.pass_s(900.0)
    assert engine.explain(an_order()).change is None


def test_who_has_too_many_orders_at_once_and_lately_needs_both_to_be_fewer() -> None:
    told = spoiled([Exclusion.OPEN_ORDERS, Exclusion.WINDOW])
    assert told.change is not None
    assert told.change.needed == (CHANGES[Exclusion.OPEN_ORDERS], CHANGES[Exclusion.WINDOW])


# -- WHAT IS GOOD FOR LONG ENOUGH --------------------------------------------------------------


def a_dairy(ranking: str = "") -> Engine:
    """Milk that must be good for two days more; the nearest shop's is not, but for one bottle."""
    engine = a_chain(A_RADIUS + "least_life_days = 1\n" + ranking)
    engine.set_sku_profiles({"milk": SkuProfile(least_life_days=2)})
    engine.set_lots(NEAR, "milk", {"2025-12-31": 2, "2026-01-02": 5, "2026-01-03": 1})
    engine.set_lots(NEXT, "milk", {"2026-01-04": 1, "2026-01-09": 8})
    return engine


def test_enough_milk_that_is_not_good_for_long_enough_is_not_enough() -> None:
    told = a_dairy().explain(an_order(("milk", 3)))
    assert told.decision.store_id == NEXT
    assert why_not(told) == (
        Exclusion.LOTS,
        "sellable 1 < 3 of milk good until 2026-01-03: "
        "free 2 until 2025-12-31, 5 until 2026-01-02, 1 until 2026-01-03",
    )
    assert told.change is not None
    assert told.change.needed == ("2 more of milk good until 2026-01-03 at S-near",)
    assert not told.change.loses_to


def test_of_many_lots_the_freshest_are_told() -> None:
    engine = a_dairy()
    engine.set_lots(NEAR, "milk", {f"2025-12-{day}": day for day in range(10, 20)})
    assert why_not(engine.explain(an_order(("milk", 3))))[1].endswith(
        "free 91 before, 17 until 2025-12-17, 18 until 2025-12-18, 19 until 2025-12-19"
    )


def test_too_little_milk_of_any_age_must_come_fresh() -> None:
    """What the count lacks and what the lots lack is one and the same delivery."""
    told = a_dairy().explain(an_order(("milk", 9)))
    assert why_not(told)[0] is Exclusion.STOCK
    assert told.change is not None
    assert told.change.needed == ("8 more of milk good until 2026-01-03 at S-near",)


def test_freshness_is_how_long_what_would_be_sent_is_good() -> None:
    engine = a_dairy('ranking = ["FRESHNESS"]\n')
    told = engine.explain(an_order(("milk", 1)))
    assert told.winner is not None
    ranked = (told.winner, *told.runners_up)
    assert [(one.store_id, one.values["FRESHNESS"]) for one in ranked] == [
        (FAR, -365.0),  # it has no lots
        (NEXT, -3.0),
        (NEAR, -2.0),
    ]
    assert told.change is not None
    assert told.change.loses_by == "FRESHNESS: -365 against -2"


def test_deep_stock_is_what_is_good_for_long_enough() -> None:
    engine = a_dairy('ranking = ["STOCK"]\n')
    told = engine.explain(an_order(("milk", 1)))
    assert told.winner is not None
    ranked = (told.winner, *told.runners_up)
    assert [(one.store_id, one.values["STOCK"]) for one in ranked] == [
        (NEXT, -8.0),
        (FAR, -5.0),
        (NEAR, 0.0),
    ]


def test_without_a_policy_milk_must_be_good_today() -> None:
    engine = a_chain()
    engine.set_lots(NEAR, "milk", {"2025-12-31": 9, "2026-01-01": 1})
    assert engine.explain(an_order(("milk", 1))).decision.store_id == NEAR
    assert why_not(engine.explain(an_order(("milk", 2)))) == (
        Exclusion.LOTS,
        "sellable 1 < 2 of milk good until 2026-01-01: free 9 until 2025-12-31, 1 until 2026-01-01",
    )


# -- WHAT CHANNELS ARE OFFERED -----------------------------------------------------------------


def test_what_a_channel_does_not_sell_no_store_may_send() -> None:
    engine = a_chain(A_RADIUS)
    engine.set_hidden_skus("meituan", ["tea"])
    told = engine.explain(an_order(channel="meituan"))
    assert told.decision.status is Status.UNASSIGNED
    assert why_not(told) == (Exclusion.CHANNEL, "meituan does not sell tea")
    assert told.change is not None
    assert told.change.needed == ("tea sold through meituan",)


def test_a_share_of_nothing_and_the_least_that_a_share_needs() -> None:
    engine = a_chain(A_RADIUS)
    engine.set_shares("meituan", {NEAR: 0.0})
    told = engine.explain(an_order(channel="meituan"))
    assert why_not(told) == (Exclusion.CHANNEL, "its stock is not counted for channel meituan")
    engine.set_shares("meituan", {NEAR: 0.3})
    told = engine.explain(an_order(channel="meituan"))
    assert told.change is not None
    assert told.change.needed == ("1 more of tea at S-near",)
    engine.set_stock([(NEAR, "tea", 7)])
    assert engine.explain(an_order(channel="meituan")).decision.store_id == NEAR


# -- BOTH TELLINGS -----------------------------------------------------------------------------


def told_as_decided(engine: Engine, order: Order) -> Explanation:
    """The explanation of an order, which changes nothing and comes to the store of the decision."""
    with engine._command():
        before = state_hash(engine)
    told = engine.explain(order, limit=1_000)
    dry = engine.route(order, dry_run=True)
    with engine._command():
        assert state_hash(engine) == before
    assert told.complete, told
    assert told.decision == dry
    excluded = {one.store_id: one for one in told.excluded}
    if told.winner is not None and not dry.shipments:
        assert told.winner.store_id == dry.store_id
    able = {one.store_id for one in (told.winner, *told.runners_up) if one is not None}
    assert able.isdisjoint(excluded)
    return told


@settings(max_examples=100)
@given(scenes(), st.booleans())
def test_both_tellings_come_to_the_same_store(scene: Scene, with_policy: bool) -> None:
    engine = Engine(policy=scene.policy, clock=StoppedClock(NOON_NS))
    engine.add_stores(scene.stores)
    engine.set_stock(scene.rows)
    if with_policy:
        engine.activate_policy(engine.draft_policy(""))
    for order in scene.orders:
        told = told_as_decided(engine, order)
        if told.winner is not None:  # all that are nearer could not have it, whatever the radius
            nearer = told.winner.distance_m
            lines = [line[:2] for line in order.lines]
            assert len([one for one in told.excluded if one.distance_m < nearer]) == len(
                [
                    one
                    for one in engine.nearest(order.lat, order.lng, limit=100, policy=Policy())
                    if one.distance_m < nearer
                ]
            ), lines
        engine.route(order)


POLICIES = [
    "",
    'default_type = "INSTANT"\n'
    + A_RADIUS
    + 'ranking = [{by = "DISTANCE_BAND", width_m = 700}, "LOAD", "STOCK", "PRIORITY"]\n',
    """
    default_type = "SAME_DAY"
    [types.SAME_DAY]
    steps = [{name = "STORE", radius_m = 1500}, {name = "WIDER", radius_m = 4000}, "RDC", "CDC"]
    score = ["DISTANCE", {by = "LOAD", weight = 900}, {by = "STOCK", weight = 50}, "COST"]
    merge_window = "1h"
    cut_off = "30min"
    [[override]]
    channel = ["meituan"]
    store_regions = ["north"]
    hours = "OPEN_NOW"
    [[override]]
    product_class = ["cold"]
    order_type = ["SAME_DAY"]
    promise.most = "40min"
    """,
    """
    default_type = "NEXT_DAY"
    [types.NEXT_DAY]
    steps = ["STORE", "BACKORDER"]
    ranking = ["FRESHNESS", "STOCK"]
    split = { mode = "NEAREST", split_lines = true }
    least_life_days = 1
    merge_window = "1h"
    [types.GROUP]
    merge_window = "1h"
    [types.PRESALE]
    split = { mode = "FEWEST", most_shipments = 3 }
    """,
]
DAYS = ("2025-12-31", "2026-01-01", "2026-01-02", "2026-01-08")
profiles = st.builds(
    StoreProfile,
    kind=st.sampled_from([StoreKind.SHOP, StoreKind.SHOP, StoreKind.SHOP, StoreKind.RDC]),
    hours=st.sampled_from([None, None, {"daily": "13:00-22:00"}, {"daily": "09:00-12:20"}]),
    order_types=st.sampled_from([None, None, None, frozenset({OrderType.INSTANT})]),
    abilities=st.sampled_from([frozenset({"cold_chain"}), frozenset()]),
    most_open_orders=st.sampled_from([None, 1, 2, 5]),
    most_orders_in_window=st.sampled_from([None, None, 2]),
    priority=st.sampled_from([100, 100, 50]),
    cost=st.sampled_from([0, 300, 700]),
)


def in_memory() -> Engine:
    return Engine(clock=StoppedClock(NOON_NS))


@st.composite
def busy_streets(draw: st.DrawFn, begun: Callable[[], Engine] = in_memory) -> Engine:
    """A street whose stores all have their own ways, under one of the policies."""
    engine = begun()
    spots = draw(st.lists(st.integers(0, 40), min_size=2, max_size=9))
    ids = [f"S{number}" for number in range(len(spots))]
    engine.add_stores(
        Store(id=name, lat=HOME[0] + spot / 1000, lng=HOME[1], region=region)
        for name, spot in zip(ids, spots, strict=True)
        for region in [draw(st.sampled_from(["north", "south"]))]
    )
    counts = st.sampled_from([0, 1, 2, 4, 9])
    engine.set_stock((name, sku, draw(counts)) for name in ids for sku in GOODS)
    engine.set_sku_profiles(
        {
            "fish": SkuProfile(needs=frozenset({"cold_chain"}), product_class="cold"),
            "rice": SkuProfile(off_below=2, on_from=4),
            "milk": SkuProfile(presale=draw(st.booleans())),
        }
    )
    for name in ids:
        if draw(st.booleans()):
            days = draw(st.dictionaries(st.sampled_from(DAYS), counts, min_size=1, max_size=3))
            engine.set_lots(name, "fish", days)
        if draw(st.booleans()):
            engine.set_supply(name, draw(st.sampled_from(GOODS)), draw(st.sampled_from(DAYS)), 4)
    engine.set_store_profiles({name: draw(profiles) for name in ids})
    engine.set_held(ids, ["tea"] * len(ids), safety=[draw(st.integers(0, 2)) for _ in ids])
    engine.set_shares("meituan", {name: draw(st.sampled_from([0.0, 0.5, 1.0])) for name in ids})
    engine.pause_stores([name for name in ids if draw(st.integers(0, 9)) == 0])
    engine.activate_policy(engine.draft_policy(draw(st.sampled_from(POLICIES))))
    return engine


@st.composite
def wishes(draw: st.DrawFn) -> Order:
    """What anybody may want on that street."""
    order_type = draw(st.sampled_from([OrderType.UNSPECIFIED] * 4 + list(OrderType)[1:]))
    own = {
        OrderType.PICKUP: {"pickup_store_id": draw(st.sampled_from(["", "S1"]))},
        OrderType.GROUP: {"group_id": "group"},
    }
    line = st.tuples(st.sampled_from(GOODS), st.integers(1, 3))
    return Order(
        id="",
        lat=draw(st.floats(HOME[0] - 0.01, HOME[0] + 0.05)),
        lng=HOME[1],
        lines=draw(st.lists(line, min_size=1, max_size=3)),
        order_type=order_type,
        channel=draw(st.sampled_from(["", "meituan", "nobody's"])),
        buyer_id=draw(st.sampled_from(["", "buyer"])),
        address_id="home",
        **own.get(order_type, {}),
    )


@settings(max_examples=100)
@given(busy_streets(), st.lists(wishes(), min_size=1, max_size=6))
def test_both_tellings_agree_under_every_rule(engine: Engine, orders: list[Order]) -> None:
    for number, wish in enumerate(orders):
        order = replace(wish, id=f"order {number}")
        told = told_as_decided(engine, order)
        decided = engine.route(order)
        assert (decided.store_id, decided.step) == (told.decision.store_id, told.step)
        if told.change is not None and not told.change.needed:
            assert told.change.loses_to
        assert isinstance(engine._clock, StoppedClock)
        engine._clock.pass_s(600.0)


@settings(max_examples=60)
@given(busy_streets(kept), st.lists(wishes(), min_size=2, max_size=6))
def test_all_orders_of_a_command_are_explained_as_they_were_decided(
    engine: Engine, orders: list[Order]
) -> None:
    """Whatever was written before or behind them."""
    batch = [replace(wish, id=f"order {number}") for number, wish in enumerate(orders)]
    for decided in engine.route_batch(batch):
        told = engine.explain(decided.order_id)
        assert told.complete or "not recorded" in told.note, told
        if told.complete and not decided.shipments:
            assert (told.winner and told.winner.store_id) == decided.store_id


# -- BAD INPUT ---------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [-1, 1_001])
def test_a_limit_that_cannot_be_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInputError) as refused:
        a_chain().explain(an_order(), limit=limit)
    assert refused.value.field == "limit"


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(WrongTypeError):
        a_chain().explain(an_order(), limit="3")  # type: ignore[arg-type]


def test_a_limit_of_none_tells_of_no_excluded_store() -> None:
    engine = a_chain(A_RADIUS)
    engine.set_stock((name, sku, 0) for name in PLACES for sku in SKUS)
    assert engine.explain(an_order(), limit=0).excluded == ()
    assert len(engine.explain(an_order(), limit=2).excluded) == 2
