"""The policy file says what each kind of order is routed under, and is refused by the field."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import FileFormatError, InvalidInputError
from fendan.given import Given, duration_text
from fendan.policy import MOST_PLACES, MOST_RULES, PolicyBook
from fendan.policy_defaults import DEFAULTS
from fendan.policy_file import policy_of
from fendan.rules import (
    Criterion,
    Hours,
    OrderType,
    RankBy,
    Ranking,
    Rule,
    Split,
    SplitMode,
    StepName,
    StoreKind,
)

TYPES = tuple(OrderType)[1:]
MIN_S, HOUR_S = 60.0, 3_600.0


def instant(lines: str) -> Rule:
    """What INSTANT orders come under where its section has these lines."""
    return policy_of(f"[types.INSTANT]\n{lines}").rule_for(OrderType.INSTANT)


def next_day(lines: str) -> Rule:
    return policy_of(f"[types.NEXT_DAY]\n{lines}").rule_for(OrderType.NEXT_DAY)


# -- DEFAULTS ----------------------------------------------------------------------------------


def test_an_empty_file_is_the_table_of_defaults() -> None:
    book = policy_of("")
    assert [book.rule_for(kind) for kind in TYPES] == [DEFAULTS[kind].rule for kind in TYPES]
    assert len(book.rules) == len(TYPES)
    assert book.channels == book.regions == book.product_classes == ()
    assert book.table().shape == (7, 1, 1, 1)


def test_instant_orders_go_three_kilometres_to_one_open_store_within_the_hour() -> None:
    rule = policy_of("").rule_for(OrderType.INSTANT)
    (step,) = rule.steps
    assert (step.name, step.radius_m, step.split) == (StepName.STORE, 3_000.0, Split())
    assert rule.hours is Hours.OPEN_NOW
    assert 30 * MIN_S <= rule.promise.most_s <= 60 * MIN_S


def test_a_same_day_order_looks_wider_and_then_at_the_regional_warehouse() -> None:
    rule = policy_of("").rule_for(OrderType.SAME_DAY)
    assert [(step.name, step.radius_m) for step in rule.steps] == [
        (StepName.STORE, 20_000.0),
        (StepName.WIDER, 50_000.0),
        (StepName.RDC, math.inf),
    ]
    assert (rule.hours, rule.cut_off_s) == (Hours.OPEN_TODAY, HOUR_S)


def test_a_next_day_order_may_come_from_anywhere_in_three_shipments() -> None:
    rule = policy_of("").rule_for(OrderType.NEXT_DAY)
    names = [StepName.STORE, StepName.RDC, StepName.CDC, StepName.NATIONWIDE]
    assert [step.name for step in rule.steps] == names
    assert {(step.split.mode, step.split.most_shipments) for step in rule.steps} == {
        (SplitMode.FEWEST, 3)
    }
    assert rule.steps[-1].kinds == frozenset(StoreKind)
    assert rule.hours is Hours.ANY


def test_what_is_fetched_has_no_way_and_a_group_is_never_split() -> None:
    book = policy_of("")
    assert book.rule_for(OrderType.PICKUP).promise.detour == 0.0
    assert not book.rule_for(OrderType.PICKUP).steps[0].areas
    group = book.rule_for(OrderType.GROUP)
    assert {step.split.mode for step in group.steps} == {SplitMode.NEVER}
    assert book.rule_for(OrderType.PRESALE).steps[-1].name is StepName.BACKORDER


def test_orders_without_a_type_are_of_the_default_type() -> None:
    assert policy_of("").rule_for().order_type is OrderType.NEXT_DAY
    book = policy_of('default_type = "INSTANT"\n[[override]]\nchannel = ["m"]\nhours = "ANY"')
    assert book.rule_for() == book.rule_for(OrderType.INSTANT)
    assert book.rule_for(channel="m").hours is Hours.ANY


def test_the_guide_shows_a_file_that_can_be_used() -> None:
    guide = Path(__file__).resolve().parents[1] / "GUIDE.md"
    (text,) = re.findall(r"```toml\n(default_type.*?)```", guide.read_text("utf-8"), re.DOTALL)
    book = policy_of(text)
    rule = book.rule_for(OrderType.INSTANT, "eleme", "", {"fresh"})
    assert (rule.steps[0].radius_m, rule.least_life_days) == (5_000.0, 2)
    assert rule.ranking.criteria[0].width_m == 500.0
    assert [step.split.most_shipments for step in book.rule_for(OrderType.NEXT_DAY).steps] == [
        *(4, 1, 4)
    ]


# -- FIELDS ------------------------------------------------------------------------------------


def test_a_step_keeps_what_the_section_does_not_say_of_it() -> None:
    rule = next_day('steps = ["STORE", { name = "CDC", radius_m = 800_000 }, "WIDER"]')
    store, cdc, wider = rule.steps
    assert store == DEFAULTS[OrderType.NEXT_DAY].rule.steps[0]
    assert (cdc.radius_m, cdc.kinds) == (800_000.0, frozenset({StoreKind.CDC}))
    assert (wider.radius_m, wider.split.most_shipments) == (50_000.0, 3)


def test_a_split_holds_for_all_steps_that_have_none_of_their_own() -> None:
    rule = next_day("""
        steps = ["STORE", { name = "RDC", split.mode = "NEVER" }]
        split = { most_shipments = 5, least_amount = 2000, split_lines = true, together = ["ice"] }
    """)
    five = Split(
        mode=SplitMode.FEWEST,
        most_shipments=5,
        least_amount=2_000,
        split_lines=True,
        together=("ice",),
    )
    assert [step.split for step in rule.steps] == [five, Split(together=("ice",))]


def test_an_order_type_that_may_be_split_is_split_in_three_where_only_the_mode_is_given() -> None:
    book = policy_of('[types.SAME_DAY]\nsplit.mode = "NEAREST"')
    splits = {step.split for step in book.rule_for(OrderType.SAME_DAY).steps}
    assert splits == {Split(mode=SplitMode.NEAREST, most_shipments=3)}


def test_never_takes_back_all_that_goes_with_splitting() -> None:
    assert {step.split for step in next_day('split.mode = "NEVER"').steps} == {Split()}


@pytest.mark.parametrize(
    ("lines", "ranking"),
    [
        ('ranking = ["LOAD"]', Ranking(criteria=(Criterion(by=RankBy.LOAD),))),
        (
            'ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "STOCK"]',
            Ranking(
                criteria=(
                    Criterion(by=RankBy.DISTANCE_BAND, width_m=500.0),
                    Criterion(by=RankBy.STOCK),
                )
            ),
        ),
        (
            'score = ["DISTANCE", { by = "COST", weight = 2.5 }]',
            Ranking(
                criteria=(Criterion(by=RankBy.DISTANCE), Criterion(by=RankBy.COST, weight=2.5)),
                scored=True,
            ),
        ),
    ],
)
def test_stores_are_compared_by_a_chain_or_by_a_score(lines: str, ranking: Ranking) -> None:
    assert instant(lines).ranking == ranking


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ('hours = "OPEN_TODAY"', "hours", Hours.OPEN_TODAY),
        ("cut_off = 90", "cut_off_s", 90.0),
        ('cut_off = "1h30min"', "cut_off_s", 5_400.0),
        ('hours = "ANY"', "cut_off_s", 0.0),
        ('store_regions = ["north", "华东"]', "regions", frozenset({"north", "华东"})),
        ('store_regions = "any"', "regions", None),
        ('reservation_timeout = "2h"', "reservation_timeout_s", 7_200.0),
        ('reservation_timeout = "never"', "reservation_timeout_s", None),
        ('merge_window = "5min"', "merge_window_s", 300.0),
        ("least_life_days = 3", "least_life_days", 3),
    ],
)
def test_each_field_of_a_section_is_one_of_the_rule(lines: str, field: str, value: object) -> None:
    assert getattr(instant(lines), field) == value


def test_a_promise_has_its_own_fields_and_keeps_the_others() -> None:
    before = DEFAULTS[OrderType.INSTANT].rule.promise
    promise = instant("""
        [types.INSTANT.promise]
        pick = "5min"
        pick_per_open_order = 30
        speed_kmh = { "07-10" = 9, "22-6" = 36, rest = 18 }
        most = "any"
    """).promise
    speeds = [10.0] * 6 + [5.0] + [2.5] * 3 + [5.0] * 12 + [10.0] * 2
    assert promise.speeds_mps == pytest.approx(speeds)
    assert promise == replace(
        before,
        pick_s=300.0,
        pick_s_per_open_order=30.0,
        speeds_mps=promise.speeds_mps,
        most_s=math.inf,
    )


@given(st.integers(0, 400 * 86_400))
def test_a_duration_reads_as_it_is_shown(seconds: int) -> None:
    assert Given(duration_text(seconds)).seconds(math.inf) == seconds


# -- OVERRIDES ---------------------------------------------------------------------------------


def test_an_override_holds_where_all_its_conditions_do_and_later_ones_win() -> None:
    book = policy_of("""
        [[override]]
        channel = ["meituan", "eleme"]
        order_type = ["INSTANT"]
        least_life_days = 1
        hours = "OPEN_TODAY"

        [[override]]
        region = ["north"]
        least_life_days = 2

        [[override]]
        product_class = ["frozen", "fresh"]
        channel = ["eleme"]
        least_life_days = 3
    """)

    def found(*order: Any) -> tuple[int, Hours]:
        rule = book.rule_for(OrderType.INSTANT, *order)
        return rule.least_life_days, rule.hours

    assert found("", "", frozenset()) == (0, Hours.OPEN_NOW)
    assert found("meituan", "south", {"frozen"}) == (1, Hours.OPEN_TODAY)
    assert found("meituan", "north", {"frozen"}) == (2, Hours.OPEN_TODAY)
    assert found("eleme", "north", {"dry", "fresh"}) == (3, Hours.OPEN_TODAY)
    assert found("jd", "north", {"frozen"}) == (2, Hours.OPEN_NOW)
    assert book.rule_for(OrderType.GROUP, "meituan").least_life_days == 0
    assert book.channels == ("meituan", "eleme")
    assert book.regions == ("north",)
    assert book.product_classes == ("frozen", "fresh")


def test_the_table_says_the_same_as_asking_for_one_order() -> None:
    book = policy_of("""
        [[override]]
        channel = ["a", "b"]
        region = ["n"]
        hours = "ANY"
        [[override]]
        product_class = ["x", "y", "z"]
        merge_window = 60
    """)
    table = book.table()
    assert table.shape == (7, 3, 2, 8)
    assert not table.flags.writeable
    for place, number in enumerate(table.flat):
        kind, channel, region, classes = (int(one) for one in _place(place, table.shape))
        names = {name for bit, name in enumerate(book.product_classes) if classes >> bit & 1}
        order = (OrderType(kind), ["?", "a", "b"][channel], ["?", "n"][region], names)
        assert book.rule_number(*order) == number
    assert set(table.flat) == set(range(len(book.rules)))
    assert len(set(book.rules)) == len(book.rules)


def _place(number: int, shape: tuple[int, ...]) -> list[int]:
    place: list[int] = []
    for size in reversed(shape):
        number, here = divmod(number, size)
        place.insert(0, here)
    return place


CHANNELS, REGIONS, CLASSES = ("m", "e", "j"), ("n", "s"), ("ice", "dry")
CHANGES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Any], Any]]] = {
    "least_life_days": (st.integers(0, 2), lambda rule, n: replace(rule, least_life_days=n)),
    "hours": (
        st.sampled_from(["OPEN_TODAY", "OPEN_NOW"]),
        lambda rule, name: replace(rule, hours=Hours[name]),
    ),
    "merge_window": (st.integers(0, 2), lambda rule, n: replace(rule, merge_window_s=float(n))),
    "steps": (
        st.sampled_from([["RDC"], ["CDC", "RDC"]]),
        lambda rule, names: replace(rule, steps=tuple(map(StepName.__getitem__, names))),
    ),
}


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Conditions and changes, some of each."""
    names = {
        "order_type": [kind.name for kind in TYPES],
        "channel": CHANNELS,
        "region": REGIONS,
        "product_class": CLASSES,
    }
    keys = draw(st.lists(st.sampled_from(sorted(names)), min_size=1, unique=True))
    fields = draw(st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, unique=True))

    def some_of(key: str) -> list[str]:
        return draw(st.lists(st.sampled_from(names[key]), min_size=1, unique=True))

    return {
        "if": {key: some_of(key) for key in keys},
        "then": {field: draw(CHANGES[field][0]) for field in fields},
    }


@given(
    st.lists(overrides(), max_size=5),
    st.lists(
        st.tuples(
            st.sampled_from(TYPES),
            st.sampled_from([*CHANNELS, ""]),
            st.sampled_from([*REGIONS, "w"]),
            st.frozensets(st.sampled_from([*CLASSES, "other"])),
        ),
        min_size=1,
        max_size=9,
    ),
)
def test_the_book_agrees_with_going_through_the_overrides_one_by_one(
    written: list[dict[str, dict[str, Any]]],
    orders: list[tuple[OrderType, str, str, frozenset[str]]],
) -> None:
    text = "".join(
        f"[[override]]\n{key} = {value!r}\n" if first else f"{key} = {value!r}\n"
        for one in written
        for first, (key, value) in zip(
            [True] + [False] * 99, (one["if"] | one["then"]).items(), strict=False
        )
    )
    book = policy_of(text)
    for kind, channel, region, classes in orders:
        expected: Any = DEFAULTS[kind].rule
        for one in written:
            conditions = one["if"]
            if (
                kind.name in conditions.get("order_type", [kind.name])
                and channel in conditions.get("channel", [channel])
                and region in conditions.get("region", [region])
                and ("product_class" not in conditions or classes & {*conditions["product_class"]})
            ):
                for field, value in one["then"].items():
                    expected = CHANGES[field][1](expected, value)
        found = book.rule_for(kind, channel, region, classes)
        steps = [step if isinstance(step, StepName) else step.name for step in expected.steps]
        assert steps == [step.name for step in found.steps]
        assert replace(found, steps=()) == replace(expected, steps=(), cut_off_s=found.cut_off_s)


# -- REFUSED -----------------------------------------------------------------------------------


REFUSED = [
    # unknown keys
    ("defalt_type = 'INSTANT'", "defalt_type", "did you mean default_type?"),
    ("[types.INSTNT]\nhours = 'ANY'", "types.INSTNT", "did you mean INSTANT?"),
    ("[types.UNSPECIFIED]\n", "types.UNSPECIFIED", "no such key"),
    ("[types.INSTANT]\nhour = 'ANY'", "types.INSTANT.hour", "did you mean hours?"),
    ("[types.INSTANT]\nregions = ['n']", "types.INSTANT.regions", "did you mean store_regions?"),
    ("[types.INSTANT]\nchannel = ['n']", "types.INSTANT.channel", "no such key"),
    (
        "[types.INSTANT]\nsteps = [{ name = 'STORE', radius = 3 }]",
        "types.INSTANT.steps[0].radius",
        "did you mean radius_m?",
    ),
    ("[types.NEXT_DAY.split]\nmost = 2", "types.NEXT_DAY.split.most", "no such key"),
    ("[types.NEXT_DAY.promise]\nspeed = 2", "types.NEXT_DAY.promise.speed", "speed_kmh?"),
    ("[[override]]\nchanel = ['m']\nhours = 'ANY'", "override[0].chanel", "mean channel?"),
    (
        "[types.GROUP]\nranking = [{ by = 'LOAD', weight = 2 }]",
        "types.GROUP.ranking[0].weight",
        "no such key",
    ),
    # wrong types
    ("types = 3", "types", "must be a table"),
    ("override = 3", "override", "must be an array"),
    ("override = [3]", "override[0]", "must be a table"),
    ("default_type = 3", "default_type", "must be one of INSTANT"),
    ("[types.INSTANT]\nsteps = 'STORE'", "types.INSTANT.steps", "must be an array"),
    ("[types.INSTANT]\nsteps = [3]", "types.INSTANT.steps[0]", "must be a table"),
    ("[types.INSTANT]\ncut_off = true", "types.INSTANT.cut_off", "must be seconds, or a text"),
    ("[types.INSTANT]\nleast_life_days = 1.5", "types.INSTANT.least_life_days", "whole number"),
    ("[types.INSTANT]\nstore_regions = 'n'", "types.INSTANT.store_regions", "must be an array"),
    ("[types.INSTANT]\nstore_regions = [3]", "types.INSTANT.store_regions[0]", "must be a text"),
    (
        "[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = '3km' }]",
        "types.INSTANT.steps[0].radius_m",
        "must be a number",
    ),
    (
        "[types.INSTANT]\nsteps = [{ name = 'STORE', areas = 1 }]",
        "types.INSTANT.steps[0].areas",
        "must be true or false",
    ),
    # out of range
    ("default_type = 'instant'", "default_type", "did you mean INSTANT?"),
    ("[types.INSTANT]\nhours = 'open'", "types.INSTANT.hours", "must be one of OPEN_NOW"),
    (
        "[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = -1 }]",
        "types.INSTANT.steps[0].radius_m",
        "must be 0 or more",
    ),
    (
        "[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = nan }]",
        "types.INSTANT.steps[0].radius_m",
        "must be 0 or more",
    ),
    ("[types.INSTANT]\nsteps = []", "types.INSTANT.steps", "must have one item or more"),
    ("[types.INSTANT]\nsteps = ['STOR']", "types.INSTANT.steps[0]", "did you mean STORE?"),
    ("[types.INSTANT]\nsteps = ['NONE']", "types.INSTANT.steps[0]", "must be one of STORE"),
    ("[types.INSTANT]\nsteps = ['STORE', 'STORE']", "types.INSTANT.steps[1]", "there twice"),
    ("[types.INSTANT]\nsteps = [{ radius_m = 3 }]", "types.INSTANT.steps[0].name", "one of STORE"),
    (
        "[types.INSTANT]\nsteps = [{ name = 'RDC', kinds = [] }]",
        "types.INSTANT.steps[0].kinds",
        "must have one item or more",
    ),
    ("[types.NEXT_DAY]\nsplit.most_shipments = 0", "types.NEXT_DAY.split.most_shipments", "1 to"),
    ("[types.NEXT_DAY]\nsplit.most_shipments = 17", "types.NEXT_DAY.split.most_shipments", "to 16"),
    ("[types.NEXT_DAY]\nsplit.least_amount = -1", "types.NEXT_DAY.split.least_amount", "from 0"),
    (
        "[types.NEXT_DAY]\nsplit.together = ['a', 'a']",
        "types.NEXT_DAY.split.together[1]",
        "there twice",
    ),
    ("[types.INSTANT]\nranking = []", "types.INSTANT.ranking", "must have one item or more"),
    ("[types.INSTANT]\nranking = ['NEAR']", "types.INSTANT.ranking[0]", "must be one of DISTANCE"),
    ("[types.INSTANT]\nranking = ['LOAD', 'LOAD']", "types.INSTANT.ranking[1]", "there twice"),
    ("[types.INSTANT]\nranking = [{ width_m = 3 }]", "types.INSTANT.ranking[0].by", "one of DIST"),
    (
        "[types.INSTANT]\nranking = ['DISTANCE_BAND']",
        "types.INSTANT.ranking[0].width_m",
        "how wide the bands are",
    ),
    (
        "[types.INSTANT]\nranking = [{ by = 'DISTANCE_BAND', width_m = 0 }]",
        "types.INSTANT.ranking[0].width_m",
        "must be above 0",
    ),
    (
        "[types.INSTANT]\nranking = [{ by = 'LOAD', width_m = 5 }]",
        "types.INSTANT.ranking[0].width_m",
        "only a DISTANCE_BAND has a width",
    ),
    (
        "[types.INSTANT]\nscore = [{ by = 'LOAD', weight = -1 }]",
        "types.INSTANT.score[0].weight",
        "must be 0 or more",
    ),
    (
        "[types.INSTANT]\nscore = [{ by = 'LOAD', weight = 0 }]",
        "types.INSTANT.score",
        "one weight must be above 0",
    ),
    ("[types.INSTANT]\ncut_off = '5 minutes'", "types.INSTANT.cut_off", "a text like 90s"),
    ("[types.INSTANT]\ncut_off = '25h'", "types.INSTANT.cut_off", "1d at most"),
    ("[types.INSTANT]\nmerge_window = -1", "types.INSTANT.merge_window", "nothing or more"),
    ("[types.INSTANT]\nmerge_window = '2d'", "types.INSTANT.merge_window", "1d at most"),
    (
        "[types.INSTANT]\nreservation_timeout = 0",
        "types.INSTANT.reservation_timeout",
        "more than nothing",
    ),
    ("[types.INSTANT]\nleast_life_days = -1", "types.INSTANT.least_life_days", "from 0"),
    ("[types.INSTANT]\nstore_regions = []", "types.INSTANT.store_regions", "one item or more"),
    ("[types.INSTANT]\nstore_regions = ['']", "types.INSTANT.store_regions[0]", "1 to 255 bytes"),
    ("[types.INSTANT]\npromise.speed_kmh = 0", "types.INSTANT.promise.speed_kmh", "above 0"),
    (
        "[types.INSTANT]\npromise.speed_kmh = { '7' = 3 }",
        "types.INSTANT.promise.speed_kmh.7",
        "hours of the day",
    ),
    (
        "[types.INSTANT]\npromise.speed_kmh = { '07-25' = 3 }",
        "types.INSTANT.promise.speed_kmh.07-25",
        "hours of the day",
    ),
    (
        "[types.INSTANT]\npromise.speed_kmh = { '07-10' = 3, '09-12' = 4 }",
        "types.INSTANT.promise.speed_kmh.09-12",
        "the hour from 9:00 stands there twice",
    ),
    (
        "[types.INSTANT]\npromise.speed_kmh = { '0-24' = -3 }",
        "types.INSTANT.promise.speed_kmh.0-24",
        "above 0",
    ),
    (
        "[types.INSTANT]\npromise.speed_kmh = { '01-24' = 3 }",
        "types.INSTANT.promise.speed_kmh.rest",
        "no speed is given for the hour from 0:00",
    ),
    ("[types.INSTANT]\npromise.detour = 0.5", "types.INSTANT.promise.detour", "no way is shorter"),
    ("[types.INSTANT]\npromise.detour = 11", "types.INSTANT.promise.detour", "10 at most"),
    ("[types.INSTANT]\npromise.most = 0", "types.INSTANT.promise.most", "more than nothing"),
    # contradictions
    (
        "[types.NEXT_DAY]\nsplit = { mode = 'NEVER', most_shipments = 2 }",
        "types.NEXT_DAY.split.most_shipments",
        "split.mode of ",
    ),
    (
        "[types.SAME_DAY]\nsplit.most_shipments = 2",
        "types.SAME_DAY.split.most_shipments",
        "split.mode of ",
    ),
    (
        "[types.SAME_DAY]\nsplit.split_lines = true",
        "types.SAME_DAY.split.split_lines",
        "split.mode of ",
    ),
    (
        "[types.NEXT_DAY]\nsplit.most_shipments = 1",
        "types.NEXT_DAY.split.most_shipments",
        "takes 2 shipments or more",
    ),
    ("[types.INSTANT]\nsplit.mode = 'FEWEST'", "types.INSTANT.split.mode", "are never split"),
    ("[types.PICKUP]\nsplit.mode = 'NEAREST'", "types.PICKUP.split.mode", "are never split"),
    (
        "[types.GROUP]\nsteps = [{ name = 'STORE', split.mode = 'FEWEST' }]",
        "types.GROUP.steps[0].split.mode",
        "are never split",
    ),
    (
        "[[override]]\nchannel = ['m']\nsplit.mode = 'FEWEST'",
        "override[0].split.mode",
        "an override says order_type",
    ),
    (
        "[types.SAME_DAY]\nsteps = ['STORE', { name = 'WIDER', radius_m = 9000 }]",
        "types.SAME_DAY.steps[1].radius_m",
        "less than STORE with 20,000 m",
    ),
    (
        "[[override]]\nregion = ['n']\norder_type = ['SAME_DAY']\n"
        "steps = [{ name = 'STORE', radius_m = 60000 }, 'WIDER']",
        "override[0].steps[1]",
        "less than STORE with 60,000 m",
    ),
    (
        "[types.INSTANT]\nranking = ['LOAD']\nscore = ['COST']",
        "types.INSTANT.score",
        "give one of them",
    ),
    (
        "[types.INSTANT]\nhours = 'ANY'\ncut_off = 60",
        "types.INSTANT.cut_off",
        "hours of INSTANT are ANY",
    ),
    (
        "[types.INSTANT]\npromise.pick = '1h'",
        "types.INSTANT.promise.pick",
        "leaves no time to pick",
    ),
    ("[types.INSTANT]\npromise.most = 9", "types.INSTANT.promise.most", "leaves no time to pick"),
    ("[[override]]\nhours = 'ANY'", "override[0]", "for which orders?"),
    ("[[override]]\nchannel = ['m']", "override[0]", "changes nothing"),
    ("[[override]]\nchannel = []\nhours = 'ANY'", "override[0].channel", "one item or more"),
    ("[[override]]\norder_type = ['X']\nhours = 'ANY'", "override[0].order_type[0]", "one of INST"),
]


@pytest.mark.parametrize(("text", "field", "said"), REFUSED, ids=lambda text: text[:40])
def test_what_cannot_be_is_refused_by_its_path_and_why(text: str, field: str, said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        policy_of(text, where="policy.toml")
    error = caught.value
    assert (error.field, said in error.hint) == (field, True), error
    assert error.message.startswith(f"policy.toml: {field}: ")


def test_the_first_mistake_in_the_file_is_the_one_that_is_named() -> None:
    sections = [text for text, _, _ in REFUSED if text.startswith("[types.INSTANT]")]
    bad = "\n[[override]]\nchannel = 3\nhours = 4\n[[override]]\nnobody = 5"
    for text in sections:
        with pytest.raises(InvalidInputError) as caught:
            policy_of(text + bad)
        assert caught.value.field is not None
        assert caught.value.field.startswith("types.INSTANT")
    with pytest.raises(InvalidInputError) as caught:
        policy_of("default_type = 'GROUP'\n" + bad)
    assert caught.value.field == "override[0].channel"


def test_overrides_that_contradict_each_other_are_refused_at_the_later_one() -> None:
    text = """
        [[override]]
        channel = ["m"]
        promise.most = "20min"
        order_type = ["INSTANT"]
        [[override]]
        region = ["n"]
        promise.pick = "25min"
    """
    with pytest.raises(InvalidInputError, match="a promise of 20min") as caught:
        policy_of(text)
    assert caught.value.field == "override[1].promise.pick"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\n[types.INSTANT\nb = 2", "[types.INSTANT", "line 2, column 15"),
        ("hours = OPEN", "hours = OPEN", "line 1, column 9"),
        ("a = 'x", "a = 'x", "not TOML"),
        ("a = 1\na = 2", "a = 2", "Cannot overwrite a value"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text: str, line: str, said: str) -> None:
    with pytest.raises(FileFormatError, match=said) as caught:
        policy_of(text)
    assert (caught.value.field, caught.value.value) == ("policy", line)


@pytest.mark.parametrize("text", [None, b"", 3, "#" * (2**20 + 1), "a = " + "[" * 9_999])
def test_what_is_no_text_of_a_policy_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        policy_of(text)
    assert caught.value.field == "policy"


# -- LIMITS ------------------------------------------------------------------------------------


def override(**conditions: object) -> str:
    fields = "".join(f"{key} = {value!r}\n" for key, value in conditions.items())
    return f"[[override]]\n{fields}"


def refusal(text: str) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        policy_of(text)
    assert caught.value.code == "TOO_MANY"
    return caught.value


def test_more_than_eight_product_classes_are_refused_where_the_ninth_is_named() -> None:
    classes = [override(product_class=[f"c{n}"], least_life_days=n) for n in range(9)]
    assert policy_of("".join(classes[:8])).table().shape == (7, 1, 1, 256)
    error = refusal("".join(classes))
    assert error.field == "override[8].product_class"
    assert "8 product classes" in error.hint


def test_more_kinds_of_order_than_the_table_holds_are_refused() -> None:
    names = [f"n{n}" for n in range(100)]
    fine = override(channel=names[:90], merge_window=1) + override(region=names, merge_window=2)
    assert policy_of(fine).table().size == 7 * 91 * 101 <= MOST_PLACES
    error = refusal(fine + override(channel=[*names, "more"], merge_window=3))
    assert error.field == "override[2]"
    assert "65,536" in error.hint


def test_more_rules_than_there_is_room_for_are_refused() -> None:
    each = "".join(
        override(region=[f"r{n}"], least_life_days=n)
        + override(channel=[f"c{n}"], merge_window=n + 1)
        for n in range(27)
    )
    error = refusal(each)
    assert f"{MOST_RULES:,} rules" in error.hint


def test_more_overrides_than_anyone_writes_are_refused() -> None:
    error = refusal(override(channel=["m"], merge_window=1) * 257)
    assert error.field == "override"


def test_a_book_cannot_be_changed() -> None:
    book: PolicyBook = policy_of("")
    with pytest.raises(AttributeError):
        book.rules = ()  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        book.table()[0] = 1
