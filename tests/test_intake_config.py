"""What a chain says of its intake rules and its goods, checked; and what rules look up."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import fendan
from fendan import Engine, FendanError, Item, distance_m, read_items
from fendan.cli import app
from fendan.engine.names import Names, hashes
from fendan.engine.recent import MOST_ORDERS, Recent
from fendan.intake.config import Config, config_of
from fendan.intake.items import checked_items
from fendan.intake.judge import judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.reach import Reach
from fendan.intake.rule import Rule, Severity
from fendan.intake.rules import RULES
from intake_orders import Sent, received_of

FILE = """
[intake]
items = "items.csv"
channels = ["meituan", "pos"]
paused_channels = []
held_buyers = ["b-417"]
country = [41, 52, -5, 10]
reach_km = 12.5

[intake.rules.PRICE_OFF_LIST]
severity = "REJECT"
threshold = 20
[intake.rules.RESTRICTED]
enabled = false

[mapping.HOUSE]
like = "OWN_SHOP"
"""


def refusal(say: Callable[[], object]) -> FendanError:
    with pytest.raises(FendanError) as caught:
        say()
    return caught.value


# -- THE FILE ------------------------------------------------------------------------------------


def test_a_file_says_what_differs_from_the_defaults(tmp_path: Path) -> None:
    config = config_of(FILE, where="intake.toml", folder=tmp_path)
    assert config.items == tmp_path / "items.csv"
    assert (config.channels, config.held_buyers) == (("meituan", "pos"), frozenset({"b-417"}))
    assert (config.country.west, config.reach_km) == (-5, 12.5)
    price = config.setting("PRICE_OFF_LIST")
    assert (price.severity, price.threshold, price.enabled) == (Severity.REJECT, 20, True)
    assert not config.setting("RESTRICTED").enabled
    assert config.setting("STALE") == Config().setting("STALE")
    assert config_of("") == Config()


@pytest.mark.parametrize(
    ("line", "field", "code"),
    [
        ('chanels = ["a"]', "intake.chanels", "BAD_FILE"),
        ('channels = "a"', "intake.channels", "WRONG_TYPE"),
        ('channels = ["a", "a"]', "intake.channels[1]", "OUT_OF_RANGE"),
        ("held_buyers = [1]", "intake.held_buyers[0]", "WRONG_TYPE"),
        ("country = [1, 2, 3]", "intake.country", "RAGGED"),
        ("country = [50, 20, 70, 130]", "intake.country", "OUT_OF_RANGE"),
        ("country = [20, 50, 70, 181]", "intake.country[3]", "OUT_OF_RANGE"),
        ("reach_km = 0", "intake.reach_km", "OUT_OF_RANGE"),
        ("reach_km = nan", "intake.reach_km", "OUT_OF_RANGE"),
        ("rules.STAIL.enabled = false", "intake.rules.STAIL", "BAD_FILE"),
        ("rules.STALE.limit = 3", "intake.rules.STALE.limit", "BAD_FILE"),
        ("rules.STALE.threshold = -1", "intake.rules.STALE.threshold", "OUT_OF_RANGE"),
        ('rules.STALE.threshold = "1h"', "intake.rules.STALE.threshold", "WRONG_TYPE"),
        ("rules.RESTRICTED.threshold = 1", "intake.rules.RESTRICTED.threshold", "BAD_FILE"),
        ('rules.STALE.severity = "NONE"', "intake.rules.STALE.severity", "OUT_OF_RANGE"),
        ('rules.ID_MISSING.severity = "WARN"', "intake.rules.ID_MISSING.severity", "OUT_OF_RANGE"),
        ("rules.ID_MISSING.enabled = false", "intake.rules.ID_MISSING.enabled", "OUT_OF_RANGE"),
        (f"channels = {[str(n) for n in range(65)]}", "intake", "TOO_MANY"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_path(line: str, field: str, code: str) -> None:
    error = refusal(lambda: config_of(f"[intake]\n{line}", where="intake.toml"))
    assert (error.code, error.field) == (code, field)
    assert error.message.startswith("intake.toml: ")


def test_a_word_that_is_nearly_right_is_recognised() -> None:
    error = refusal(lambda: config_of("[intake.rules.PRICE_OF_LIST]\nthreshold = 1"))
    assert "did you mean PRICE_OFF_LIST?" in error.message


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.threshold])
def test_a_threshold_may_be_what_its_range_says_and_nothing_else(rule: Rule) -> None:
    assert rule.threshold is not None
    table = f"[intake.rules.{rule.code}]\nthreshold = "
    for value in (rule.threshold.least, rule.threshold.most):
        assert config_of(f"{table}{value}").setting(rule.code).threshold == value
    for value in (rule.threshold.least - 1, rule.threshold.most + 1):
        error = refusal(lambda beyond=value: config_of(f"{table}{beyond}"))
        assert error.code == "OUT_OF_RANGE"


def test_what_an_engine_cannot_take_is_always_stopped() -> None:
    """Whatever a file says, an engine is not asked to route what it would refuse."""
    stopping = {rule.code for rule in RULES if rule.must_stop}
    assert stopping >= {
        "ID_MISSING",
        "EMPTY_ORDER",
        "UNKNOWN_SKU",
        "QUANTITY_NOT_POSITIVE",
        "PLACE_MISSING",
        "PLACE_OUT_OF_RANGE",
        "AMOUNT_IMPOSSIBLE",
    }
    assert all(rule.severity > Severity.WARN for rule in RULES if rule.must_stop)


def test_the_command_shows_rules_as_a_file_sets_them(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(CSV, encoding="utf-8")
    file = tmp_path / "intake.toml"
    file.write_text(FILE, encoding="utf-8")
    told = CliRunner().invoke(app, ["rules", "check", str(file)])
    assert told.exit_code == 0
    assert "20 % of it" in told.output
    assert (
        f"{len(RULES) - 1} of {len(RULES)} rules are on; 2 channels; 2 items; mappings: "
        in told.output
    )
    assert "未知商品" in CliRunner().invoke(app, ["rules", "check", str(file), "--chinese"]).output
    file.write_text("[intake.rules.STALE]\nthreshold = -1", encoding="utf-8")
    refused = CliRunner().invoke(app, ["rules", "check", str(file)])
    assert refused.exit_code == 2
    assert "intake.rules.STALE.threshold" in refused.stderr


# -- ITEMS ---------------------------------------------------------------------------------------

ITEMS = [
    Item(
        sku="tea",
        list_price=1290,
        barcodes=("690", "691"),
        unit="盒",
        restricted=True,
        protected_pieces=3,
        off_shelf=frozenset({"jd", "pos"}),
        most_per_order=5,
    ),
    Item(sku="cup"),
]
CSV = """SKU,List_price,barcode,unit,restricted,protected_pieces,off_shelf,most_per_order
tea,1290,690|691,盒,true,3,jd|pos,5
cup,,,,,,,
"""


def test_items_come_from_files_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(CSV, encoding="utf-8")
    assert read_items(file) == ITEMS
    table = pd.read_csv(file, dtype={"barcode": str})
    assert read_items(table) == ITEMS
    table.to_parquet(tmp_path / "items.parquet")
    assert read_items(tmp_path / "items.parquet") == ITEMS
    assert read_items(pd.DataFrame({"sku": [7], "barcodes": [690]})) == [
        Item(sku="7", barcodes=("690",))
    ]
    gaps = pd.DataFrame({"sku": ["a", "b"], "barcodes": [690, None], "off_shelf": [None, 7]})
    assert read_items(gaps) == [
        Item(sku="a", barcodes=("690",)),
        Item(sku="b", off_shelf=frozenset({"7"})),
    ]


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        (",1,,,,,,", "sku", "MISSING"),
        ("tea,1,,,,,,", "sku", "BAD_ID"),
        ("mug,1.5,,,,,,", "list_price", "WRONG_TYPE"),
        ("mug,-1,,,,,,", "list_price", "OUT_OF_RANGE"),
        ("mug,1,690,,,,,", "barcodes", "OUT_OF_RANGE"),
        ("mug,1,12||3,,,,,", "barcodes", "BAD_ID"),
        ("mug,1,,,maybe,,,", "restricted", "WRONG_TYPE"),
        ("mug,1,,,,3000000000,,", "protected_pieces", "OUT_OF_RANGE"),
    ],
)
def test_a_file_of_items_is_refused_by_line(
    tmp_path: Path, row: str, field: str, code: str
) -> None:
    file = tmp_path / "items.csv"
    file.write_text(CSV + row + "\n", encoding="utf-8")
    error = refusal(lambda: read_items(file))
    assert (error.code, error.field) == (code, field)
    assert "items.csv, line 4" in error.message


def test_items_of_a_program_are_checked_alike() -> None:
    assert checked_items(ITEMS) == {"tea": ITEMS[0], "cup": ITEMS[1]}
    twice = refusal(lambda: checked_items([Item(sku="tea"), Item(sku="tea")]))
    assert (twice.code, twice.field, twice.row) == ("BAD_ID", "items[1].sku", 1)
    same = [Item(sku="tea", barcodes=("1",)), Item(sku="cup", barcodes=("1",))]
    assert refusal(lambda: checked_items(same)).field == "items[1].barcodes"
    assert refusal(lambda: checked_items([{"sku": "tea"}])).code == "WRONG_TYPE"  # type: ignore[list-item]
    for field in ("barcodes", "off_shelf"):
        for value in ("690", 690, None):
            error = refusal(partial(checked_items, [Item(sku="tea", **{field: value})]))
            assert (error.code, error.field) == ("WRONG_TYPE", f"items[0].{field}")


# -- WHAT IS KNOWN -------------------------------------------------------------------------------


def test_knowledge_keeps_in_step_with_the_engine() -> None:
    engine = Engine()
    engine.add_stores([fendan.Store(id="s", lat=31.2, lng=121.5)])
    knowledge = Knowledge(engine, items=[*ITEMS, Item(sku="late", list_price=7, barcodes=("9",))])
    engine.set_stock([("s", "cup", 1), ("s", "tea", 4)])
    known = knowledge.now()
    tea = known.sku_of["tea"]
    assert known.list_price[tea] == 1290
    assert known.free(np.array([tea, tea])).tolist() == [4, 4]
    assert known.barcode_of.get("9") is None
    engine.set_stock([("s", "late", 1)])
    known = knowledge.now()
    late = known.sku_of["late"]
    assert (known.list_price[late], known.list_price[tea]) == (7, 1290)
    assert known.barcode_sku[known.barcode_of["9"]] == late
    assert known.barcode_sku[known.barcode_of["691"]] == tea


def test_a_sku_that_came_after_the_look_is_not_known_yet() -> None:
    engine = Engine()
    engine.add_stores([fendan.Store(id="s", lat=31.2, lng=121.5)])
    known = Knowledge(engine, recent_orders=1).now()
    engine.set_stock([("s", "tea", 4)])
    (found,) = judge(received_of([Sent(buyer_id="b")]), known, Config()).of_order(0)
    assert found[0] == "UNKNOWN_SKU"


@pytest.mark.parametrize(("stores", "reach_km"), [(1, 5.0), (60, 2.0), (60, 40.0), (60, 2000.0)])
def test_the_reach_is_what_the_nearest_store_says(stores: int, reach_km: float) -> None:
    random = np.random.default_rng(5)
    lat, lng = random.uniform(30.9, 31.5, stores), random.uniform(121.1, 121.9, stores)
    reach = Reach(lat, lng, reach_km)
    at_lat, at_lng = random.uniform(30.5, 31.9, 700), random.uniform(120.7, 122.3, 700)
    at_lat[:stores], at_lng[:stores] = lat, lng
    places, shops = (zip(*both, strict=True) for both in ((at_lat, at_lng), (lat, lng)))
    shops = list(shops)
    near = [min(distance_m(*place, *shop) for shop in shops) <= 1e3 * reach_km for place in places]
    assert reach.covers(at_lat, at_lng).tolist() == near
    assert any(near)


def test_a_chain_without_stores_reaches_nobody() -> None:
    nowhere = np.empty(0)
    assert not Reach(nowhere, nowhere, 5.0).covers(np.array([31.2]), np.array([121.5])).any()


def test_sixty_four_channels_can_be_told_apart_and_no_more() -> None:
    items = [Item(sku=f"{n}", off_shelf=frozenset({f"c-{n}"})) for n in range(65)]
    Knowledge(Engine(), items=items[:64], recent_orders=1)
    assert refusal(lambda: Knowledge(Engine(), items=items, recent_orders=1)).code == "TOO_MANY"


@given(names=st.lists(st.text(max_size=3), unique=True), asked=st.lists(st.text(max_size=3)))
def test_many_names_are_found_as_one_by_one(names: list[str], asked: list[str]) -> None:
    table = Names()
    table.extend([name for name in names if name and name.encode(errors="ignore") == name.encode()])
    codes = table.codes([*asked, *names], -2, -1)
    one_by_one = [table.get(name) if name else -1 for name in [*asked, *names]]
    assert codes.tolist() == [-2 if code is None else code for code in one_by_one]


def test_what_is_no_text_is_no_name() -> None:
    table = Names()
    assert table.codes(["", "\ud800", "tea"], -2, -1).tolist() == [-1, -2, -2]
    with pytest.raises(TypeError):
        table.codes([7], -2, -1)  # type: ignore[list-item]
    table.extend(["tea"])
    assert table.codes(["\ud800", "tea"], -2, -1).tolist() == [-2, 0]
    with pytest.raises(TypeError):
        table.codes([7], -2, -1)  # type: ignore[list-item]
    assert hashes(["", "tea"]).tolist() == [0, hash("tea")]


# -- RECENT ORDERS -------------------------------------------------------------------------------

HOUR_NS = 3600


def taken(recent: Recent, rows: list[tuple[int, int, int, int]]) -> list[tuple[int, int]]:
    columns = [np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)]
    others, same_ns = recent.take(*columns, HOUR_NS)
    return list(zip(others.tolist(), same_ns.tolist(), strict=True))


row = st.tuples(
    st.integers(1, 30), st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 1, 3599, 3600])
)


@given(rows=st.lists(row, min_size=1, max_size=40), split=st.integers(0, 40))
def test_recent_orders_are_those_of_a_plain_list(
    rows: list[tuple[int, int, int, int]], split: int
) -> None:
    remembered = 16
    expected, log = [], list[tuple[int, int, int, int]]()
    for order, buyer, content, placed_ns in rows:
        here = [] if buyer == 0 else [one for one in log[-remembered:] if one[1] == buyer]
        ids = [one[0] for one in here]
        is_new = order not in ids
        here = here if is_new else here[: ids.index(order)]
        apart = [(abs(placed_ns - one[3]), one[2]) for one in here]
        same = [ns for ns, other in apart if other == content]
        expected.append((sum(ns < HOUR_NS for ns, _ in apart), min(same, default=2**63 - 1)))
        if buyer and is_new:
            log.append((order, buyer, content, placed_ns))
    recent = Recent(remembered)
    halves = [half for half in (rows[:split], rows[split:]) if half]
    assert [told for half in halves for told in taken(recent, half)] == expected
    assert recent.count == len(log)


def test_of_a_buyer_who_orders_all_day_the_newest_orders_count() -> None:
    recent = Recent(1024)
    told = taken(recent, [(number, 7, number, 0) for number in range(1, 200)])
    assert [others for others, _ in told] == [min(n, MOST_ORDERS) for n in range(199)]


@pytest.mark.parametrize("remembered", [0, 3, 1 << 25])
def test_how_many_orders_are_remembered_is_a_power_of_two(remembered: int) -> None:
    with pytest.raises(ValueError, match="a power of two"):
        Recent(remembered)
