"""Which stores a step may ask now, and the first reason why another may not."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan.eligible import (
    Facts,
    abilities,
    eligible,
    eligible_by_step,
    exclusion,
    next_edge_ns,
)
from fendan.exclusions import Exclusion
from fendan.hours import parse_hours
from fendan.opening import Moment, Opening
from fendan.profiles import StoreProfile
from fendan.rules import Hours, OrderType, Rule, Step, StepName, StoreKind
from fendan.times import NEVER_NS
from hours_twin import ns, told

MINUTE_NS = 60 * 10**9
SHOPS = Step(name=StepName.STORE)
WAREHOUSES = Step(name=StepName.RDC, kinds=frozenset({StoreKind.RDC, StoreKind.CDC}))


class Chain:
    """Stores with profiles, asked at a time of Shanghai's clocks, or at a nanosecond."""

    def __init__(self, *profiles: StoreProfile, regions: list[str] | None = None) -> None:
        self.profiles = list(profiles)
        self.regions = regions or [""] * len(profiles)
        self.facts = Facts.of(self.profiles, self.regions)
        self.opening = Opening([parse_hours(one.hours, one.time_zone) for one in profiles])
        self.paused = np.zeros(len(profiles), dtype=np.bool_)

    def at(self, when: str | int) -> Moment:
        if isinstance(when, str):
            wall = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Asia/Shanghai"))
            when = ns(wall.astimezone(UTC))
        return self.opening.at(when)

    def eligible(self, rule: Rule, when: str | int, step: Step = SHOPS) -> list[bool]:
        return eligible(rule, step, self.facts, self.at(when), self.paused).tolist()  # type: ignore[no-any-return]

    def why(
        self, rule: Rule, when: str | int, step: Step = SHOPS, store: int = 0
    ) -> tuple[Exclusion, str] | None:
        profile, region = self.profiles[store], self.regions[store]
        moment = self.at(when)
        return exclusion(rule, step, store, profile, region, self.opening, moment, self.paused)


def rule(**what: Any) -> Rule:
    return Rule(order_type=what.pop("order_type", OrderType.INSTANT), steps=(SHOPS,), **what)


def day(hours: str, **what: Any) -> StoreProfile:
    return StoreProfile(hours={"daily": hours, "2026-10-01": "closed"}, **what)


NOON = "2026-07-01 12:00"

# -- ONE RULE AT A TIME ------------------------------------------------------------------------


def test_a_store_that_limits_nothing_may_have_any_order() -> None:
    chain = Chain(StoreProfile())
    for mode in Hours:
        assert chain.eligible(rule(hours=mode, cut_off_s=3600.0), NOON) == [True]
        assert chain.why(rule(hours=mode, cut_off_s=3600.0), NOON) is None


def test_a_paused_store_may_have_none() -> None:
    chain = Chain(StoreProfile(), StoreProfile())
    chain.paused[0] = True
    assert chain.eligible(rule(), NOON) == [False, True]
    assert chain.why(rule(), NOON) == (Exclusion.PAUSED, "paused: it takes no orders")


def test_a_step_asks_stores_of_its_kinds() -> None:
    chain = Chain(*[StoreProfile(kind=kind) for kind in StoreKind])
    assert chain.eligible(rule(), NOON, SHOPS) == [True, False, False]
    assert chain.eligible(rule(), NOON, WAREHOUSES) == [False, True, True]
    why = "it is of kind SHOP, and asked are CDC, RDC"
    assert chain.why(rule(), NOON, WAREHOUSES) == (Exclusion.KIND, why)


def test_a_store_is_given_orders_of_the_types_it_takes() -> None:
    taken = frozenset({OrderType.PICKUP, OrderType.GROUP})
    chain = Chain(
        StoreProfile(order_types=taken), StoreProfile(), StoreProfile(order_types=frozenset())
    )
    assert chain.eligible(rule(order_type=OrderType.GROUP), NOON) == [True, True, False]
    assert chain.eligible(rule(order_type=OrderType.INSTANT), NOON) == [False, True, False]
    why = "it takes GROUP, PICKUP, and not INSTANT"
    assert chain.why(rule(), NOON) == (Exclusion.ORDER_TYPE, why)
    assert chain.why(rule(), NOON, store=2) == (
        Exclusion.ORDER_TYPE,
        "it takes no orders, and not INSTANT",
    )


def test_a_rule_for_some_regions_asks_only_stores_there() -> None:
    chain = Chain(*[StoreProfile()] * 4, regions=["华东", "华北", "", "华东"])
    east = rule(regions=frozenset({"华东", "华南"}))
    assert chain.eligible(east, NOON) == [True, False, False, True]
    why = "it is in region 华北, and asked are 华东, 华南"
    assert chain.why(east, NOON, store=1) == (Exclusion.REGION, why)
    why = "it is in no region, and asked are 华东, 华南"
    assert chain.why(east, NOON, store=2) == (Exclusion.REGION, why)
    assert chain.eligible(rule(regions=frozenset()), NOON) == [False] * 4


def test_open_now_asks_stores_that_are_open() -> None:
    chain = Chain(day("09:00-22:00"), day("13:00-22:00"), day("06:00-11:00"), day("closed"))
    now = rule(hours=Hours.OPEN_NOW)
    assert chain.eligible(now, NOON) == [True, False, False, False]
    told = [chain.why(now, NOON, store=store) for store in range(4)]
    assert told == [
        None,
        (Exclusion.CLOSED, "closed: opens 13:00 (Asia/Shanghai)"),
        (Exclusion.CLOSED, "closed: opens 2026-07-02 06:00 (Asia/Shanghai)"),
        (Exclusion.CLOSED, "closed: opens not within 400 days (Asia/Shanghai)"),
    ]


def test_open_today_asks_stores_that_have_yet_to_close_today() -> None:
    chain = Chain(day("09:00-22:00"), day("13:00-22:00"), day("06:00-11:00"), day("22:00-02:00"))
    today = rule(hours=Hours.OPEN_TODAY)
    assert chain.eligible(today, NOON) == [True, True, False, True]
    why = "closed for today: opens 2026-07-02 06:00 (Asia/Shanghai)"
    assert chain.why(today, NOON, store=2) == (Exclusion.CLOSED, why)


def test_today_is_that_of_the_store() -> None:
    """At noon in Shanghai it is five in the morning in London."""
    chain = Chain(day("06:00-11:00", time_zone="Europe/London"))
    assert chain.eligible(rule(hours=Hours.OPEN_TODAY), NOON) == [True]
    why = "closed: opens 06:00 (Europe/London)"
    assert chain.why(rule(hours=Hours.OPEN_NOW), NOON) == (Exclusion.CLOSED, why)


def test_hours_that_do_not_matter_do_not_matter_nor_does_their_cut_off() -> None:
    chain = Chain(day("closed"))
    assert chain.eligible(rule(hours=Hours.ANY, cut_off_s=1800.0), NOON) == [True]
    assert next_edge_ns([rule(cut_off_s=1800.0)], chain.at(NOON)) == chain.at(NOON).next_edge_ns


def test_from_its_cut_off_on_a_store_is_out() -> None:
    chain = Chain(day("09:00-21:30"))
    late = rule(hours=Hours.OPEN_NOW, cut_off_s=1800.0)
    cut_off_ns = chain.at("2026-07-01 21:00").now_ns
    assert chain.eligible(late, cut_off_ns - 1) == [True]
    assert chain.eligible(late, cut_off_ns) == [False]
    why = "closes 21:30, and the cut-off is 30 min before"
    assert chain.why(late, cut_off_ns) == (Exclusion.CUT_OFF, why)
    assert chain.why(rule(hours=Hours.OPEN_NOW, cut_off_s=1800.5), cut_off_ns) == (
        Exclusion.CUT_OFF,
        "closes 21:30, and the cut-off is 1800.5 s before",
    )


def test_for_open_today_the_cut_off_is_that_of_the_days_last_opening() -> None:
    chain = Chain(day("09:00-12:00,13:00-01:00"))
    late = rule(hours=Hours.OPEN_TODAY, cut_off_s=5400.0)
    assert chain.eligible(late, "2026-07-01 11:59") == [True]
    assert chain.eligible(late, "2026-07-01 23:29") == [True]
    assert chain.eligible(late, "2026-07-01 23:30") == [False]
    why = "closes 2026-07-02 01:00, and the cut-off is 90 min before"
    assert chain.why(late, "2026-07-01 23:30") == (Exclusion.CUT_OFF, why)


def test_a_cut_off_is_an_edge_of_its_own() -> None:
    chain = Chain(day("09:00-21:30"), day("09:00-21:45"))
    late = rule(hours=Hours.OPEN_NOW, cut_off_s=1800.0)
    moment = chain.at("2026-07-01 20:59")
    assert next_edge_ns([late], moment) == chain.at("2026-07-01 21:00").now_ns
    moment = chain.at("2026-07-01 21:00")
    assert next_edge_ns([rule(), late], moment) == chain.at("2026-07-01 21:15").now_ns
    assert next_edge_ns([rule()], moment) == chain.at("2026-07-01 21:30").now_ns
    assert next_edge_ns([], Chain().at(NOON)) == NEVER_NS
    assert next_edge_ns([late], Chain().at(NOON)) == NEVER_NS


def test_a_chain_without_stores_has_none_that_are_eligible() -> None:
    chain = Chain()
    assert chain.eligible(rule(hours=Hours.OPEN_NOW, regions=frozenset({"east"})), NOON) == []
    assert abilities([]) == {}


def test_abilities_say_which_stores_have_them() -> None:
    profiles = [
        StoreProfile(abilities=frozenset({"frozen", "cold_chain"})),
        StoreProfile(),
        StoreProfile(abilities=frozenset({"cold_chain"})),
    ]
    found = {name: column.tolist() for name, column in abilities(profiles).items()}
    assert found == {"cold_chain": [True, False, True], "frozen": [True, False, False]}
    assert list(found) == ["cold_chain", "frozen"]


# -- ALL RULES AT ONCE -------------------------------------------------------------------------

BLOCKS: dict[Exclusion, tuple[dict[str, Any], dict[str, Any]]] = {
    Exclusion.KIND: ({"kind": StoreKind.CDC}, {}),
    Exclusion.ORDER_TYPE: ({"order_types": frozenset({OrderType.PICKUP})}, {}),
    Exclusion.REGION: ({}, {"regions": frozenset({"north"})}),
    Exclusion.CLOSED: ({"hours": {"daily": "13:00-14:00"}}, {}),
    Exclusion.CUT_OFF: ({"hours": {"daily": "09:00-12:01"}}, {"cut_off_s": 60.0}),
}


@pytest.mark.parametrize("first", [Exclusion.PAUSED, *BLOCKS])
def test_of_several_reasons_the_first_is_told(first: Exclusion) -> None:
    """Every reason is told where all those after it hold too, and none before."""
    of_store: dict[str, Any] = {}
    of_rule: dict[str, Any] = {"hours": Hours.OPEN_NOW}
    for reason, (store, asked) in reversed(BLOCKS.items()):
        if reason >= first:
            of_store |= store
            of_rule |= asked
    chain = Chain(StoreProfile(**of_store), regions=["south"])
    chain.paused[0] = first is Exclusion.PAUSED
    told = chain.why(rule(**of_rule), NOON)
    assert told is not None
    assert told[0] is first
    assert chain.eligible(rule(**of_rule), NOON) == [False]


TEXTS = ["closed", "24h", "09:00-12:00", "10:00-13:00,15:00-20:00", "20:00-03:00"]
REGIONS = ["", "east", "west"]

profiles = st.builds(
    StoreProfile,
    kind=st.sampled_from(StoreKind),
    time_zone=st.sampled_from(["Asia/Shanghai", "Europe/London"]),
    hours=st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {"daily": st.sampled_from(TEXTS)}, optional={"2026-03-29": st.sampled_from(TEXTS)}
        ),
    ),
    order_types=st.one_of(
        st.none(), st.frozensets(st.sampled_from([OrderType.INSTANT, OrderType.PICKUP]))
    ),
)
rules = st.builds(
    Rule,
    order_type=st.sampled_from([OrderType.INSTANT, OrderType.PICKUP, OrderType.GROUP]),
    steps=st.just((SHOPS, WAREHOUSES)),
    hours=st.sampled_from(Hours),
    cut_off_s=st.sampled_from([0.0, 0.5, 1800.0, 7200.0]),
    regions=st.one_of(st.none(), st.frozensets(st.sampled_from(REGIONS))),
)
scenes = st.tuples(
    st.lists(st.tuples(profiles, st.sampled_from(REGIONS), st.booleans()), max_size=6),
    rules,
    st.integers(-48 * 60, 48 * 60),
    st.sampled_from([-1, 0, 1, 123_456_789]),
)
Scene = tuple[list[tuple[StoreProfile, str, bool]], Rule, int, int]


def played(scene: Scene) -> tuple[Chain, Rule, int]:
    stores, rule, minute, late_ns = scene
    chain = Chain(*[one for one, _, _ in stores], regions=[region for _, region, _ in stores])
    chain.paused[:] = [paused for _, _, paused in stores]
    around = datetime(2026, 3, 29, 1, tzinfo=UTC)
    return chain, rule, ns(around) + minute * MINUTE_NS + late_ns


def twin_says(profile: StoreProfile, region: str, rule: Rule, step: Step, now_ns: int) -> bool:
    if profile.kind not in step.kinds or (rule.regions is not None and region not in rule.regions):
        return False
    if profile.order_types is not None and rule.order_type not in profile.order_types:
        return False
    clock = told(profile.hours, profile.time_zone, now_ns)
    left_ns = int(rule.cut_off_s * 10**9)
    if rule.hours is Hours.OPEN_NOW:
        return clock.is_open and clock.closes_ns - left_ns > now_ns
    if rule.hours is Hours.OPEN_TODAY:
        return clock.today_last_close_ns - left_ns > now_ns
    return True


@given(scenes)
def test_a_store_is_eligible_exactly_where_no_reason_excludes_it(scene: Scene) -> None:
    chain, rule, now_ns = played(scene)
    for step in rule.steps:
        told = chain.eligible(rule, now_ns, step)
        for store, (profile, region, paused) in enumerate(scene[0]):
            expected = not paused and twin_says(profile, region, rule, step, now_ns)
            assert told[store] == expected
            assert (chain.why(rule, now_ns, step, store) is None) == expected
    by_step = eligible_by_step(rule, chain.facts, chain.at(now_ns), chain.paused)
    expected_by_step = [chain.eligible(rule, now_ns, step) for step in rule.steps]
    assert [one.tolist() for one in by_step] == expected_by_step


@given(scenes, st.lists(st.floats(0, 1), max_size=5))
def test_until_the_next_edge_the_same_stores_are_eligible(scene: Scene, parts: list[float]) -> None:
    chain, rule, now_ns = played(scene)
    edge_ns = min(next_edge_ns([rule], chain.at(now_ns)), now_ns + 60 * MINUTE_NS)
    assert edge_ns > now_ns
    before = [chain.eligible(rule, now_ns, step) for step in rule.steps]
    for later_ns in [edge_ns - 1, *(now_ns + int(part * (edge_ns - 1 - now_ns)) for part in parts)]:
        assert [chain.eligible(rule, later_ns, step) for step in rule.steps] == before


def test_codes_are_looked_at_in_the_order_of_their_numbers() -> None:
    assert [one.value for one in Exclusion] == list(range(1, len(Exclusion) + 1))
    assert f"{Exclusion.CUT_OFF}" == "CUT_OFF"
