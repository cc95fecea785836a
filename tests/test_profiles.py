"""Profiles as text and from tables: kept whole, or refused by the path of the field."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from fendan import Engine, FendanError, read_sku_profiles, read_store_profiles
from fendan.hours import parse_hours
from fendan.profile_checks import check_bundles, check_sku_profile, check_store_profile
from fendan.profile_text import profile_text, sku_profile_of, store_profile_of
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StoreKind

MOST = 2**31 - 1
TYPES = [one for one in OrderType if one is not OrderType.UNSPECIFIED]

# -- TEXT --------------------------------------------------------------------------------------

names = st.sampled_from(["cold_chain", "frozen", "大件", 'a "b"'])
counts = st.sampled_from([0, 1, 7, MOST])
store_profiles = st.builds(
    StoreProfile,
    kind=st.sampled_from(StoreKind),
    time_zone=st.sampled_from(["Asia/Shanghai", "UTC"]),
    hours=st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {"daily": st.sampled_from(["24h", "09:00-12:00, 13:00-18:00"])},
            optional={"2026-10-01": st.just("closed"), "fri": st.just("22:00-02:00")},
        ),
    ),
    order_types=st.one_of(st.none(), st.frozensets(st.sampled_from(TYPES))),
    abilities=st.frozensets(names),
    most_open_orders=st.one_of(st.none(), st.just(1), st.just(MOST)),
    most_orders_in_window=st.one_of(st.none(), st.just(20)),
    window_s=st.sampled_from([0.5, 3600.0, 600, 604_800]),
    priority=st.integers(0, 1000),
    cost=st.sampled_from([0, 1, 10**12]),
    areas=st.lists(names, unique=True).map(tuple),
)
sku_profiles = st.builds(
    SkuProfile,
    product_class=st.one_of(st.just(""), names),
    needs=st.frozensets(names),
    pieces_per_unit=st.sampled_from([1, 24, MOST]),
    off_below=st.just(0),
    on_from=counts,
    parts=st.dictionaries(names, st.sampled_from([1, 2, MOST])),
    presale=st.booleans(),
    least_life_days=st.integers(0, 36_500),
)


@given(store_profiles)
def test_a_store_profile_comes_back_from_its_text(profile: StoreProfile) -> None:
    text = profile_text(profile)
    assert store_profile_of(text) == profile
    assert profile_text(store_profile_of(text)) == text
    assert text.encode().decode() == text


@given(sku_profiles)
def test_a_sku_profile_comes_back_from_its_text(profile: SkuProfile) -> None:
    text = profile_text(profile)
    assert sku_profile_of(text) == profile
    assert profile_text(sku_profile_of(text)) == text


def test_a_text_says_every_field_in_one_way() -> None:
    one = StoreProfile(
        hours={"sun": "closed", "daily": "24h"},
        abilities=frozenset({"frozen", "cold"}),
        window_s=60,
    )
    other = StoreProfile(
        window_s=60.0,
        hours={"daily": "24h", "sun": "closed"},
        abilities=frozenset({"cold", "frozen"}),
    )
    assert profile_text(one) == profile_text(other)
    assert profile_text(one) == (
        '{"abilities":["cold","frozen"],"areas":[],"cost":0,'
        '"hours":{"daily":"24h","sun":"closed"},"kind":"SHOP","most_open_orders":null,'
        '"most_orders_in_window":null,"order_types":null,"priority":100,'
        '"time_zone":"Asia/Shanghai","window_s":60.0}'
    )
    assert profile_text(SkuProfile(parts={"茶": 2, "milk": 1})) == (
        '{"least_life_days":0,"needs":[],"off_below":0,"on_from":0,'
        '"parts":{"milk":1,"茶":2},"pieces_per_unit":1,"presale":false,"product_class":""}'
    )


def test_what_a_text_does_not_say_limits_nothing() -> None:
    assert store_profile_of("{}") == StoreProfile()
    assert sku_profile_of("{}") == SkuProfile()
    said = store_profile_of('{"kind": "rdc", "order_types": ["instant", "PICKUP"]}')
    assert said.kind is StoreKind.RDC
    assert said.order_types == frozenset({OrderType.INSTANT, OrderType.PICKUP})


def refusal(call: Any, *arguments: Any) -> FendanError:
    with pytest.raises(FendanError) as caught:
        call(*arguments)
    return caught.value


NOT_SUCH_A_TEXT: list[tuple[Any, str]] = [
    ("", "it is not JSON: "),
    ("{", "it is not JSON: "),
    ("[" * 100_000, "it is not JSON: "),
    ("[]", "it must be a table"),
    ("null", "it must be a table"),
    ('{"cost": 1, "cost": 1}', "'cost' stands twice"),
    ('{"hours": {"mon": "24h", "mon": "24h"}}', "'mon' stands twice"),
    ('{"cost": ' + "9" * 5000 + "}", "a number has too many digits"),
    (" " * 1_000_001, "it has more than 1,000,000 characters"),
]


@pytest.mark.parametrize("read", [store_profile_of, sku_profile_of])
@pytest.mark.parametrize(("text", "why"), NOT_SUCH_A_TEXT)
def test_a_text_that_is_no_profile_is_refused(read: Any, text: str, why: str) -> None:
    error = refusal(read, text, "S1")
    assert (error.code, error.field) == ("BAD_FILE", "S1")
    assert error.hint.startswith(why)


def test_a_text_that_is_no_text_is_refused() -> None:
    assert refusal(store_profile_of, b"{}").code == "WRONG_TYPE"


STORE_TABLES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"colour": 1}, "BAD_FILE", "S1.colour", "there is no such key; there are kind, time_zone,"),
    ({"kind": "shed"}, "OUT_OF_RANGE", "S1.kind", "must be one of SHOP, RDC, CDC"),
    ({"kind": 1}, "WRONG_TYPE", "S1.kind", "must be a name"),
    ({"order_types": "INSTANT"}, "WRONG_TYPE", "S1.order_types", "must be a list of names"),
    ({"order_types": ["PICKUP", "FAST"]}, "OUT_OF_RANGE", "S1.order_types[1]", "must be one of"),
    ({"order_types": ["UNSPECIFIED"]}, "OUT_OF_RANGE", "S1.order_types", "must be some of INSTANT"),
    ({"abilities": "frozen"}, "WRONG_TYPE", "S1.abilities", "must be a list of names"),
    ({"abilities": [["frozen"]]}, "WRONG_TYPE", "S1.abilities[0]", "must be a name"),
    ({"abilities": [""]}, "BAD_ID", "S1.abilities", "must be a str of 1 to"),
    ({"areas": {"a": 1}}, "WRONG_TYPE", "S1.areas", "must be a list of names"),
    ({"areas": ["a", 2]}, "BAD_ID", "S1.areas[1]", "must be a str of 1 to"),
    ({"areas": ["a", "b", "a"]}, "OUT_OF_RANGE", "S1.areas[2]", "the name stands twice"),
    ({"hours": "24h"}, "WRONG_TYPE", "S1.hours", "must be a table of days and their hours"),
    ({"hours": {"daily": "9-5"}}, "WRONG_TYPE", "S1.hours.daily", "must be like 09:00-22:00"),
    ({"time_zone": "Mars"}, "OUT_OF_RANGE", "S1.time_zone", "there is no such time zone"),
    ({"window_s": math.nan}, "OUT_OF_RANGE", "S1.window_s", "must be seconds, more than 0 and"),
    ({"cost": 1.0}, "WRONG_TYPE", "S1.cost", "must be a whole number from 0 to 1,000,000,000,000"),
]


@pytest.mark.parametrize(("said", "code", "field", "why"), STORE_TABLES)
def test_a_store_profile_that_cannot_be_is_refused(
    said: dict[str, Any], code: str, field: str, why: str
) -> None:
    error = refusal(store_profile_of, json.dumps(said), "S1")
    assert (error.code, error.field) == (code, field)
    assert error.hint.startswith(why)


# -- CHECKS ------------------------------------------------------------------------------------

STORE_VALUES: list[tuple[str, Any, str, str]] = [
    ("kind", 1, "WRONG_TYPE", "must be one of SHOP, RDC, CDC"),
    ("kind", "SHOP", "WRONG_TYPE", "must be one of SHOP, RDC, CDC"),
    ("time_zone", None, "WRONG_TYPE", "must be a name such as Asia/Shanghai"),
    ("order_types", [OrderType.INSTANT], "WRONG_TYPE", "must be some of INSTANT, SAME_DAY"),
    ("order_types", frozenset({1}), "WRONG_TYPE", "must be some of INSTANT, SAME_DAY"),
    ("abilities", "frozen", "WRONG_TYPE", "must be a frozenset of names"),
    ("abilities", frozenset({"a" * 300}), "BAD_ID", "must be a str of 1 to"),
    ("areas", "east", "WRONG_TYPE", "must be a tuple of names"),
    ("most_open_orders", 0, "OUT_OF_RANGE", "must be a whole number from 1 to 2,147,483,647"),
    ("most_open_orders", True, "WRONG_TYPE", "must be a whole number from 1 to"),
    ("most_open_orders", MOST + 1, "OUT_OF_RANGE", "must be a whole number from 1 to"),
    ("most_orders_in_window", -1, "OUT_OF_RANGE", "must be a whole number from 1 to"),
    ("most_orders_in_window", 100_001, "OUT_OF_RANGE", "must be a whole number from 1 to 100,000"),
    ("most_orders_in_window", 2.5, "WRONG_TYPE", "must be a whole number from 1 to"),
    ("window_s", 0.0, "OUT_OF_RANGE", "must be seconds, more than 0 and at most 604800"),
    ("window_s", math.inf, "OUT_OF_RANGE", "must be seconds, more than 0 and at most 604800"),
    ("window_s", "60", "WRONG_TYPE", "must be seconds, more than 0 and at most 604800"),
    ("window_s", True, "WRONG_TYPE", "must be seconds, more than 0 and at most 604800"),
    ("priority", -1, "OUT_OF_RANGE", "must be a whole number from 0 to 1,000"),
    ("priority", 1001, "OUT_OF_RANGE", "must be a whole number from 0 to 1,000"),
    ("cost", -1, "OUT_OF_RANGE", "must be a whole number from 0 to 1,000,000,000,000"),
    ("cost", 10**12 + 1, "OUT_OF_RANGE", "must be a whole number from 0 to"),
]


@pytest.mark.parametrize(("name", "value", "code", "why"), STORE_VALUES)
def test_a_field_of_a_store_that_cannot_be_is_refused_by_its_path(
    name: str, value: Any, code: str, why: str
) -> None:
    error = refusal(check_store_profile, replace(StoreProfile(), **{name: value}), "stores.S1")
    assert (error.code, error.field) == (code, f"stores.S1.{name}")
    assert error.hint.startswith(why)


SKU_VALUES: list[tuple[str, Any, str, str]] = [
    ("product_class", "a\0b", "BAD_ID", "must be a str of 1 to"),
    ("product_class", None, "BAD_ID", "must be a str of 1 to"),
    ("needs", ("frozen",), "WRONG_TYPE", "must be a frozenset of names"),
    ("pieces_per_unit", 0, "OUT_OF_RANGE", "must be a whole number from 1 to"),
    ("off_below", -1, "OUT_OF_RANGE", "must be a whole number from 0 to"),
    ("off_below", 3, "OUT_OF_RANGE", "must be at least off_below, which is 3"),
    ("on_from", 1.0, "WRONG_TYPE", "must be a whole number from 0 to"),
    ("parts", [("tea", 1)], "WRONG_TYPE", "must be a table of SKUs and how many pieces of each"),
    ("presale", 1, "WRONG_TYPE", "must be a bool"),
    ("least_life_days", -1, "OUT_OF_RANGE", "must be a whole number from 0 to 36,500"),
]


@pytest.mark.parametrize(("name", "value", "code", "why"), SKU_VALUES)
def test_a_field_of_a_sku_that_cannot_be_is_refused_by_its_path(
    name: str, value: Any, code: str, why: str
) -> None:
    error = refusal(check_sku_profile, replace(SkuProfile(), **{name: value}), "skus.kit")
    at = "on_from" if why.startswith("must be at least") else name
    assert (error.code, error.field) == (code, f"skus.kit.{at}")
    assert error.hint.startswith(why)


@pytest.mark.parametrize(
    ("parts", "code", "field"),
    [
        ({"tea": 0}, "OUT_OF_RANGE", "parts.tea"),
        ({"tea": 1, "milk": "1"}, "WRONG_TYPE", "parts.milk"),
        ({"": 1}, "BAD_ID", "parts."),
    ],
)
def test_a_part_that_cannot_be_is_refused_by_its_path(
    parts: dict[str, Any], code: str, field: str
) -> None:
    error = refusal(check_sku_profile, SkuProfile(parts=parts))
    assert (error.code, error.field) == (code, field)
    assert refusal(sku_profile_of, json.dumps({"parts": parts})).field == field


def test_what_is_no_profile_is_refused() -> None:
    for check in (check_store_profile, check_sku_profile):
        error = refusal(check, {"kind": "SHOP"})
        assert (error.code, error.field) == ("WRONG_TYPE", "profile")


def test_a_check_returns_the_hours_it_has_read() -> None:
    hours = {"daily": "09:00-22:00"}
    assert check_store_profile(StoreProfile(hours=hours)) == parse_hours(hours, "Asia/Shanghai")


# -- BUNDLES -----------------------------------------------------------------------------------


def bundles(**parts: str) -> dict[str, SkuProfile]:
    return {name: SkuProfile(parts=dict.fromkeys(text.split(), 1)) for name, text in parts.items()}


@pytest.mark.parametrize(
    ("profiles", "field", "circle"),
    [
        (bundles(kit="kit"), "skus.kit.parts.kit", "kit > kit"),
        (bundles(a="b", b="c tea", c="tea a"), "skus.c.parts.a", "a > b > c > a"),
        (bundles(x="tea a", a="b", b="a"), "skus.b.parts.a", "a > b > a"),
    ],
)
def test_a_bundle_that_contains_itself_is_refused_with_the_circle_it_makes(
    profiles: dict[str, SkuProfile], field: str, circle: str
) -> None:
    error = refusal(check_bundles, profiles)
    assert (error.code, error.field) == ("OUT_OF_RANGE", field)
    assert error.hint == f"a bundle must not contain itself: {circle}"


def test_bundles_of_bundles_and_shared_parts_are_fine() -> None:
    check_bundles(bundles(a="b c tea", b="d", c="d b", d="tea milk", tea="", sugar=""))
    wide = bundles(**{f"k{depth}": f"k{depth + 1} l{depth + 1}" for depth in range(16)})
    wide |= bundles(**{f"l{depth}": f"k{depth + 1} l{depth + 1}" for depth in range(16)})
    check_bundles(wide)
    Engine().set_sku_profiles(wide)


@pytest.mark.parametrize("inner_first", [False, True])
def test_bundles_in_bundles_go_so_deep_and_no_deeper(inner_first: bool) -> None:
    for depth in (17, 5000):
        deep = bundles(**{f"k{level}": f"k{level + 1}" for level in range(depth)})
        ordered = dict(reversed(deep.items())) if inner_first else deep
        error = refusal(check_bundles, ordered)
        assert (error.code, error.field) == ("TOO_MANY", f"skus.k{depth - 17}.parts")
        circle = refusal(check_bundles, ordered | bundles(**{f"k{depth}": "k0"}))
        assert "must not contain itself" in circle.hint


@given(st.dictionaries(st.sampled_from("abcde"), st.frozensets(st.sampled_from("abcde"))))
def test_a_bundle_contains_itself_where_it_is_among_its_parts_or_theirs(
    parts: dict[str, frozenset[str]],
) -> None:
    profiles = {name: SkuProfile(parts=dict.fromkeys(own, 1)) for name, own in parts.items()}
    within = {name: set(own) for name, own in parts.items()}
    for _ in parts:
        for own in within.values():
            own |= {part for one in tuple(own) for part in within.get(one, ())}
    if any(name in own for name, own in within.items()):
        assert refusal(check_bundles, profiles).code == "OUT_OF_RANGE"
    else:
        check_bundles(profiles)


# -- TABLES ------------------------------------------------------------------------------------

CSV = """\
store_id,kind,time_zone,open,close,order_types,abilities,areas,most_open_orders,\
most_orders_in_window,window_s,priority,cost
S1,SHOP,Asia/Shanghai,09:00,21:30,INSTANT|pickup,frozen | cold,east,30,100,600,1,250
S2,rdc,UTC,20:00:00,02:00:00,,,,,,,,
S3,,,24h,,,,,,,0.5,,
S4,,,closed,,,,,,,,,
5,,,,,,,,,,,,
"""
PROFILES = {
    "S1": StoreProfile(
        hours={"daily": "09:00-21:30"},
        order_types=frozenset({OrderType.INSTANT, OrderType.PICKUP}),
        abilities=frozenset({"cold", "frozen"}),
        areas=("east",),
        most_open_orders=30,
        most_orders_in_window=100,
        window_s=600.0,
        priority=1,
        cost=250,
    ),
    "S2": StoreProfile(kind=StoreKind.RDC, time_zone="UTC", hours={"daily": "20:00-02:00"}),
    "S3": StoreProfile(hours={"daily": "24h"}, window_s=0.5),
    "S4": StoreProfile(hours={"daily": "closed"}),
    "5": StoreProfile(),
}


SKU_CSV = """\
sku,product_class,needs,parts,pieces_per_unit,off_below,on_from,presale,least_life_days
ice,frozen,cold_chain | large,,24,3,9,FALSE,2
gift,,,tea:2 | 12:1 | a:b:3,,,,,
cake,,,,,,,true,
8,,,,,,,,
"""
SKU_PROFILES = {
    "ice": SkuProfile(
        product_class="frozen",
        needs=frozenset({"cold_chain", "large"}),
        pieces_per_unit=24,
        off_below=3,
        on_from=9,
        least_life_days=2,
    ),
    "gift": SkuProfile(parts={"tea": 2, "12": 1, "a:b": 3}),
    "cake": SkuProfile(presale=True),
    "8": SkuProfile(),
}


def as_file(text: str, folder: Path) -> Path:
    path = folder / "stores.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_profiles_come_in_from_a_csv(tmp_path: Path) -> None:
    assert read_store_profiles(as_file(CSV, tmp_path)) == PROFILES


def test_profiles_come_in_from_tables_with_numbers_and_gaps(tmp_path: Path) -> None:
    frame = pd.read_csv(as_file(CSV, tmp_path), dtype={"store_id": str})
    assert frame["cost"].dtype == float  # which has gaps, and so is not of whole numbers
    assert read_store_profiles(frame) == PROFILES
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert read_store_profiles(table) == PROFILES
    path = tmp_path / "stores.parquet"
    parquet.write_table(table, path)
    assert read_store_profiles(path) == PROFILES
    assert read_store_profiles(pd.DataFrame({"ID": [7]})) == {"7": StoreProfile()}


def test_profiles_of_skus_come_in_from_a_csv_and_from_tables(tmp_path: Path) -> None:
    path = as_file(SKU_CSV, tmp_path)
    assert read_sku_profiles(path) == SKU_PROFILES
    frame = pd.read_csv(path, dtype={"sku": str})
    assert frame["off_below"].dtype == float  # which has gaps
    frame["presale"] = [False, None, True, None]  # which are no texts
    assert read_sku_profiles(frame) == SKU_PROFILES


def test_names_may_be_lists_in_a_table() -> None:
    table = pa.table({"id": ["S1", "S2"], "abilities": [["cold", "large"], None]})
    profiles = read_store_profiles(table)
    assert profiles["S1"].abilities == {"cold", "large"}
    assert profiles["S2"] == StoreProfile()


SKU_ROWS: list[tuple[str, str, str, str, str]] = [
    ("parts", "tea", "WRONG_TYPE", "parts", "must be like tea:2|cup:1"),
    ("parts", "tea:1|tea:2", "WRONG_TYPE", "parts", "must be like tea:2|cup:1"),
    ("parts", "tea:0", "OUT_OF_RANGE", "parts.tea", "must be a whole number from 1"),
    ("parts", "tea:two", "WRONG_TYPE", "parts.tea", "must be a whole number from 1"),
    ("parts", ":2", "BAD_ID", "parts.", "must be a str of 1 to"),
    ("presale", "maybe", "WRONG_TYPE", "presale", "must be a bool"),
    ("off_below", "5", "OUT_OF_RANGE", "on_from", "must be at least off_below"),
]


@pytest.mark.parametrize(("column", "cell", "code", "field", "why"), SKU_ROWS)
def test_a_sku_that_cannot_be_is_refused_by_its_line_and_field(
    tmp_path: Path, column: str, cell: str, code: str, field: str, why: str
) -> None:
    error = refusal(read_sku_profiles, as_file(f"sku,{column}\ntea,\nkit,{cell}\n", tmp_path))
    assert (error.code, error.field, error.row) == (code, field, 1)
    assert str(error).startswith(f"stores.csv, line 3: {field}: ")
    assert error.hint.startswith(why)


def test_a_sku_that_stands_twice_is_refused(tmp_path: Path) -> None:
    error = refusal(read_sku_profiles, as_file("sku_id\ntea\ntea\n", tmp_path))
    assert (error.code, error.field, error.value) == ("BAD_ID", "sku", "tea")
    assert error.hint == "it stands twice; the first is stores.csv, line 2"


ROWS: list[tuple[str, str, str, str, str]] = [
    ("kind", "SHED", "OUT_OF_RANGE", "kind", "must be one of SHOP, RDC, CDC"),
    ("time_zone", "Asia", "OUT_OF_RANGE", "time_zone", "there is no such time zone"),
    ("open,close", "25:00,26:00", "OUT_OF_RANGE", "hours.daily", "25:00 is no time of day"),
    ("open,close", "9:00,21:00", "WRONG_TYPE", "hours.daily", "must be like 09:00-22:00"),
    ("open,close", "09:00,", "WRONG_TYPE", "hours.daily", "must be like 09:00-22:00"),
    ("open,close", ",21:00", "WRONG_TYPE", "hours.daily", "must be like 09:00-22:00"),
    ("open,close", "00:00:00,00:00:00", "OUT_OF_RANGE", "hours.daily", "00:00-00:00 ends when"),
    ("open,close", "09:00:30,21:00:00", "WRONG_TYPE", "hours.daily", "must be like 09:00-22:00"),
    ("order_types", "INSTANT|FAST", "OUT_OF_RANGE", "order_types[1]", "must be one of"),
    ("abilities", "a||b", "BAD_ID", "abilities", "must be a str of 1 to"),
    ("areas", "a|b|a", "OUT_OF_RANGE", "areas[2]", "the name stands twice"),
    ("most_open_orders", "0", "OUT_OF_RANGE", "most_open_orders", "must be a whole number"),
    ("most_open_orders", "1_0", "WRONG_TYPE", "most_open_orders", "must be a whole number"),
    ("priority", "high", "WRONG_TYPE", "priority", "must be a whole number from 0 to 1,000"),
    ("cost", "2.5", "WRONG_TYPE", "cost", "must be a whole number from 0 to"),
    ("window_s", "nan", "OUT_OF_RANGE", "window_s", "must be seconds, more than 0"),
    ("window_s", "1_0", "WRONG_TYPE", "window_s", "must be seconds, more than 0"),
]


@pytest.mark.parametrize(("columns", "cells", "code", "field", "why"), ROWS)
def test_a_row_that_cannot_be_is_refused_by_its_line_and_field(
    tmp_path: Path, columns: str, cells: str, code: str, field: str, why: str
) -> None:
    blank = "," * columns.count(",")
    text = f"store_id,{columns}\nS1,{blank}\n\nS2,{cells}\n"
    error = refusal(read_store_profiles, as_file(text, tmp_path))
    assert (error.code, error.field, error.row) == (code, field, 1)
    assert str(error).startswith(f"stores.csv, line 4: {field}: ")
    assert error.hint.startswith(why)


def test_a_store_that_stands_twice_or_has_no_name_is_refused(tmp_path: Path) -> None:
    error = refusal(read_store_profiles, as_file("store_id\nS1\nS2\nS1\n", tmp_path))
    assert (error.code, error.field, error.value) == ("DUPLICATE_STORE", "store_id", "S1")
    assert str(error).endswith("the first is stores.csv, line 2")
    error = refusal(read_store_profiles, as_file("store_id,cost\nS1,1\n,2\n", tmp_path))
    assert (error.code, error.field, error.row) == ("MISSING", "store_id", 1)
    error = refusal(read_store_profiles, pd.DataFrame({"store_id": [1.5]}))
    assert (error.code, error.field, error.row) == ("BAD_ID", "store_id", 0)


def test_columns_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    error = refusal(read_store_profiles, as_file("store,id,colour\nS1,S1,red\n", tmp_path))
    assert (error.code, error.field) == ("BAD_COLUMNS", "columns")
    assert error.hint == "twice: store_id; unknown: 'colour'"
    error = refusal(read_store_profiles, as_file("kind\nSHOP\n", tmp_path))
    assert error.hint == "missing: store_id"


@pytest.mark.real_data
def test_7_101_real_stores_come_in_with_their_hours(shared_data: Path) -> None:
    """Those that open and close at midnight have to say what is meant: all day."""
    stores = pd.read_csv(shared_data / "starbucks_cn_stores_20250523.csv.gz", dtype=str)
    frame = stores[["store_id", "features", "open_time_20240603", "close_time_20240603"]]
    frame = frame.set_axis(["store_id", "abilities", "open", "close"], axis=1)
    error = refusal(read_store_profiles, frame)
    assert (error.field, error.value) == ("hours.daily", "00:00-00:00")
    assert "use 24h or closed" in error.hint
    all_day = frame["open"].notna() & (frame["open"] == frame["close"])
    frame.loc[all_day, ["open", "close"]] = ["24h", None]
    profiles = read_store_profiles(frame)
    assert len(profiles) == 7798
    said = [one.hours["daily"] for one in profiles.values() if one.hours is not None]
    assert len(said) == 7101
    assert said.count("24h") == 65
    assert profiles["1137"].hours == {"daily": "09:00-21:30"}
    assert profiles["1137"].abilities == {"OG", "DL", "MIC", "MOP"}
    for one in profiles.values():
        assert store_profile_of(profile_text(one)) == one
