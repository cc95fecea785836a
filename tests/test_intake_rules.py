"""What each intake rule finds, on both sides of its threshold; and all of them against a twin."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import StoppedClock
from fendan import Engine, OrderType, Store
from fendan.engine.recent import Recent
from fendan.intake.config import Config, config_of
from fendan.intake.items import Item
from fendan.intake.judge import Judged, judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.received import NOT_SAID
from fendan.intake.rule import Severity
from fendan.intake.rules import RULES
from intake_orders import NO_PLACE, Sent, SentLine, received_of
from intake_twin import World, judged

MINUTE_NS = 60 * 10**9
NOW_NS = StoppedClock().now_ns()
STORES = {"bund": (31.24, 121.49), "pudong": (31.22, 121.54), "wangfujing": (39.91, 116.41)}
ITEMS = (
    Item(sku="tea", list_price=1000, barcodes=("690", "691"), unit="盒", most_per_order=5),
    Item(sku="cup", list_price=500, barcodes=("700",), off_shelf=frozenset({"jd"})),
    Item(sku="wine", restricted=True, unit="瓶"),
    Item(sku="mask", protected_pieces=10),
    Item(sku="nowhere", list_price=1, barcodes=("999",)),
)
ON_HAND = {"tea": 1000, "cup": 1000, "wine": 1000, "mask": 30, "milk": 1000}


class Shop:
    """A chain of three stores, and what its rules find."""

    def __init__(self, config: Config | None = None) -> None:
        self.clock = StoppedClock()
        self.engine = Engine(clock=self.clock)
        self.engine.add_stores(
            Store(id=name, lat=lat, lng=lng) for name, (lat, lng) in STORES.items()
        )
        self.engine.set_stock([("bund", sku, count) for sku, count in ON_HAND.items()])
        self.config = config or Config()
        self.knowledge = Knowledge(self.engine, self.config, ITEMS, recent_orders=1024)

    def judge(self, *orders: Sent) -> Judged:
        return judge(received_of(orders), self.knowledge.now(), self.config)

    def finds(self, **fields: Any) -> set[str]:
        """The codes of what is found in one order."""
        return {code for code, _, _ in self.judge(Sent(**fields)).of_order(0)}

    def finds_in_line(self, **fields: Any) -> set[str]:
        return self.finds(lines=[SentLine(**fields)])


@pytest.fixture
def shop() -> Shop:
    return Shop()


def configured(text: str) -> Shop:
    return Shop(config_of(text))


# -- WHO, AND WHERE FROM -------------------------------------------------------------------------


def test_an_order_as_it_should_be_has_nothing_found_in_it(shop: Shop) -> None:
    line = SentLine(barcode="691", unit="盒", quantity=2, unit_price=1000, line_total=2000)
    assert not shop.finds(
        placed_ns=NOW_NS - MINUTE_NS,
        promised_from_ns=NOW_NS + 20 * MINUTE_NS,
        promised_until_ns=NOW_NS + 50 * MINUTE_NS,
        pickup_store_id="bund",
        buyer_id="b-1",
        address_id="a-1",
        item_total=2000,
        order_total=2300,
        other_charges=500,
        discount=200,
        lines=[line],
    )


def test_an_order_has_an_id(shop: Shop) -> None:
    assert shop.finds(id="") == {"ID_MISSING"}


def test_where_the_file_lists_channels_others_are_unknown(shop: Shop) -> None:
    assert not shop.finds(channel="fleamarket")
    listing = configured('[intake]\nchannels = ["meituan"]')
    assert listing.finds(channel="fleamarket") == {"UNKNOWN_CHANNEL"}
    assert listing.finds(channel="") == {"UNKNOWN_CHANNEL"}
    assert not listing.finds(channel="meituan")


def test_a_paused_channel_waits_and_is_known() -> None:
    shop = configured('[intake]\nchannels = ["meituan"]\npaused_channels = ["jd"]')
    assert shop.finds(channel="jd") == {"CHANNEL_PAUSED"}


def test_an_order_is_fetched_at_a_store_that_there_is_and_that_is_open(shop: Shop) -> None:
    shop.engine.pause_stores(["pudong"])
    assert shop.finds(pickup_store_id="moon") == {"PICKUP_STORE_UNKNOWN"}
    assert shop.finds(pickup_store_id="pudong") == {"PICKUP_STORE_CLOSED"}
    assert not shop.finds(pickup_store_id="bund")
    shop.engine.resume_stores(["pudong"])
    shop.engine.remove_stores(["bund"])
    assert not shop.finds(pickup_store_id="pudong")
    assert shop.finds(pickup_store_id="bund") == {"PICKUP_STORE_UNKNOWN"}


def test_a_group_says_where_it_fetches_its_orders(shop: Shop) -> None:
    assert shop.finds(order_type=OrderType.GROUP) == {"GROUP_WITHOUT_PICKUP"}
    assert not shop.finds(order_type=OrderType.GROUP, pickup_store_id="bund")


def test_orders_of_a_held_buyer_wait() -> None:
    shop = configured('[intake]\nheld_buyers = ["b-1"]')
    assert shop.finds(buyer_id="b-1") == {"BUYER_HELD"}
    assert not shop.finds(buyer_id="b-2")


def test_the_same_basket_for_the_same_address_within_minutes_is_suspect(shop: Shop) -> None:
    order = Sent(buyer_id="b-1", address_id="a-1", placed_ns=NOW_NS, lines=[SentLine(quantity=2)])
    halves = [SentLine(), SentLine()]
    again = [
        order,
        replace(order, id="o-2", placed_ns=NOW_NS + 5 * MINUTE_NS, lines=halves),
        replace(order, id="o-3", address_id="a-2"),
        replace(order, id="o-4", lines=[SentLine()]),
        replace(order, id="o-5", buyer_id="b-2"),
        replace(order, id="o-6", placed_ns=NOW_NS - 10 * MINUTE_NS),
        replace(order, id="o-7", placed_ns=NOW_NS - 20 * MINUTE_NS - 1),
    ]
    found = shop.judge(*again)
    assert [found.reason(row) for row in range(7)] == [
        "", "DUPLICATE", "", "", "", "DUPLICATE", ""
    ]  # fmt: skip


def test_absurd_quantities_are_not_taken_for_none(shop: Shop) -> None:
    absurd = [SentLine(quantity=-(2**63))] * 2  # in 64 bits they come to 0
    orders = [Sent(buyer_id="b", lines=[]), Sent(id="o-2", buyer_id="b", lines=absurd)]
    assert {code for code, _, _ in shop.judge(*orders).of_order(1)} == {"QUANTITY_NOT_POSITIVE"}


def test_an_order_that_comes_again_is_not_its_own_duplicate(shop: Shop) -> None:
    order = Sent(buyer_id="b-1", address_id="a-1")
    twin = replace(order, id="o-2")
    assert not len(shop.judge(order))
    assert shop.judge(twin).reason(0) == "DUPLICATE"
    assert not len(shop.judge(order)), "the first came before its twin, and still does"
    assert shop.judge(twin).reason(0) == "DUPLICATE"


def test_one_buyer_places_twenty_orders_an_hour_and_no_more(shop: Shop) -> None:
    orders = [
        Sent(id=f"o-{number}", buyer_id="b-1", lines=[SentLine(sku="milk", quantity=1 + number)])
        for number in range(21)
    ]
    found = shop.judge(*orders)
    assert [found.reason(row) for row in range(21)] == [""] * 20 + ["BUYER_LIMIT"]
    later = Sent(id="later", buyer_id="b-1", placed_ns=NOW_NS + 60 * MINUTE_NS)
    assert "BUYER_LIMIT" not in {code for code, _, _ in shop.judge(later).of_order(0)}


def test_nobody_in_particular_orders_as_often_as_he_likes(shop: Shop) -> None:
    assert not len(shop.judge(*(Sent(id=f"o-{number}") for number in range(100))))


# -- WHAT ----------------------------------------------------------------------------------------


def test_an_order_has_lines_and_not_too_many(shop: Shop) -> None:
    assert shop.finds(lines=[]) == {"EMPTY_ORDER"}
    assert not shop.finds(lines=[SentLine(sku="milk")] * 100)
    assert shop.finds(lines=[SentLine(sku="milk")] * 101) == {"TOO_MANY_LINES"}


def test_a_sku_has_had_stock_and_is_no_supply(shop: Shop) -> None:
    assert shop.finds_in_line(sku="unicorn") == {"UNKNOWN_SKU"}
    assert shop.finds_in_line(sku="") == {"UNKNOWN_SKU"}
    shop.engine.set_stock([("bund", "unicorn", 0)])
    assert not shop.finds_in_line(sku="unicorn")
    shop.engine.set_supply("bund", "milk", "2030-01-01", 5)
    assert shop.finds_in_line(sku="milk\x1f2030-01-01") == {"UNKNOWN_SKU"}


@pytest.mark.parametrize("quantity", [0, -1, NOT_SAID])
def test_a_quantity_is_one_or_more(shop: Shop, quantity: int) -> None:
    assert shop.finds_in_line(sku="milk", quantity=quantity) == {"QUANTITY_NOT_POSITIVE"}


def test_a_line_has_five_hundred_pieces_at_most(shop: Shop) -> None:
    assert not shop.finds_in_line(sku="milk", quantity=500)
    assert shop.finds_in_line(sku="milk", quantity=501) == {"QUANTITY_LARGE"}


def test_an_item_may_limit_the_pieces_of_an_order(shop: Shop) -> None:
    three, two = SentLine(quantity=3), SentLine(quantity=2)
    assert not shop.finds(lines=[three, SentLine(sku="cup", quantity=9), two])
    found = shop.judge(Sent(lines=[three, two, SentLine()]), Sent(id="o-2", lines=[three]))
    assert list(found.of_order(0)) == [("ITEM_LIMIT", 2, Severity.HOLD)]
    assert not list(found.of_order(1))


def test_unit_and_barcode_are_those_of_the_sku(shop: Shop) -> None:
    assert shop.finds_in_line(unit="瓶") == {"UNIT_MISMATCH"}
    assert shop.finds_in_line(unit="??") == {"UNIT_MISMATCH"}
    assert not shop.finds_in_line(sku="cup", unit="瓶"), "its item says no unit"
    assert shop.finds_in_line(barcode="700") == {"BARCODE_MISMATCH"}
    assert shop.finds_in_line(barcode="123") == {"BARCODE_MISMATCH"}
    assert not shop.finds_in_line(sku="milk", barcode="123"), "nothing is said of its barcodes"
    assert shop.finds_in_line(sku="milk", barcode="700") == {"BARCODE_MISMATCH"}
    assert not shop.finds_in_line(barcode="690")


def test_what_a_channel_does_not_sell_is_off_its_shelf(shop: Shop) -> None:
    cup, tea = [SentLine(sku="cup")], [SentLine(sku="tea")]
    assert shop.finds(channel="jd", lines=cup) == {"OFF_SHELF"}
    assert not shop.finds(channel="meituan", lines=cup)
    shop.engine.set_hidden_skus("eleme", ["tea"])
    assert shop.finds(channel="eleme", lines=tea) == {"OFF_SHELF"}
    assert shop.finds(channel="jd", lines=cup) == {"OFF_SHELF"}
    shop.engine.set_hidden_skus("eleme", [])
    assert not shop.finds(channel="eleme", lines=tea)


def test_restricted_goods_are_looked_at(shop: Shop) -> None:
    assert shop.finds_in_line(sku="wine") == {"RESTRICTED"}


def test_the_last_units_of_protected_goods_are_not_for_everybody(shop: Shop) -> None:
    masks = [
        Sent(id=f"o-{number}", lines=[SentLine(sku="mask", quantity=10)]) for number in range(3)
    ]
    found = shop.judge(*masks)
    assert [found.reason(row) for row in range(3)] == ["", "", "LAST_UNITS"]
    assert not shop.finds_in_line(sku="mask", quantity=20), "what was judged was not sold"
    shop.engine.adjust_stock([("bund", "mask", -1)])
    assert shop.finds_in_line(sku="mask", quantity=20) == {"LAST_UNITS"}


# -- MONEY ---------------------------------------------------------------------------------------


def test_amounts_are_such_as_there_are(shop: Shop) -> None:
    assert shop.finds_in_line(sku="milk", unit_price=-1) == {"AMOUNT_IMPOSSIBLE"}
    assert shop.finds_in_line(sku="milk", line_total=-1) == {"AMOUNT_IMPOSSIBLE"}
    assert not shop.finds_in_line(sku="milk", line_total=10**12)
    assert shop.finds_in_line(sku="milk", line_total=10**12 + 1) == {"AMOUNT_IMPOSSIBLE"}


def test_a_price_of_nothing_is_looked_at(shop: Shop) -> None:
    assert shop.finds_in_line(sku="milk", unit_price=0) == {"PRICE_ZERO"}
    assert not shop.finds_in_line(sku="milk", unit_price=1)


def test_a_price_is_near_the_list_price(shop: Shop) -> None:
    assert not shop.finds_in_line(unit_price=500)
    assert shop.finds_in_line(unit_price=499) == {"PRICE_OFF_LIST"}
    assert not shop.finds_in_line(unit_price=1500)
    assert shop.finds_in_line(unit_price=1501) == {"PRICE_OFF_LIST"}


def test_a_line_adds_up(shop: Shop) -> None:
    line = {"sku": "milk", "quantity": 3, "unit_price": 333}
    assert not shop.finds_in_line(**line, line_total=1000)
    assert shop.finds_in_line(**line, line_total=1001) == {"LINE_TOTAL_OFF"}


def test_an_order_adds_up(shop: Shop) -> None:
    lines = [SentLine(sku="milk", line_total=300), SentLine(sku="cup", line_total=700)]
    assert not shop.finds(lines=lines, item_total=1010, order_total=1010)
    assert shop.finds(lines=lines, item_total=1011) == {"ITEM_TOTAL_OFF"}
    paid = {"item_total": 1000, "other_charges": 500, "discount": 200}
    assert not shop.finds(lines=lines, **paid, order_total=1310)
    assert shop.finds(lines=lines, **paid, order_total=1311) == {"ORDER_TOTAL_OFF"}
    assert not shop.finds(lines=[SentLine()], item_total=999), "the line says no total"


def test_a_large_amount_is_looked_at(shop: Shop) -> None:
    assert not shop.finds(order_total=500_000)
    assert shop.finds(order_total=500_001) == {"AMOUNT_LARGE"}


# -- WHERE TO ------------------------------------------------------------------------------------


def test_an_order_says_where_it_goes_unless_it_is_fetched(shop: Shop) -> None:
    assert shop.finds(**NO_PLACE) == {"PLACE_MISSING"}
    assert shop.finds(lat=math.nan) == {"PLACE_MISSING"}
    assert not shop.finds(**NO_PLACE, pickup_store_id="bund")


def test_nobody_lives_at_the_end_of_all_coordinates(shop: Shop) -> None:
    assert shop.finds(lat=0.0, lng=0.0) == {"PLACE_ZERO", "PLACE_ABROAD"}
    assert "PLACE_ZERO" not in shop.finds(lat=0.001, lng=0.0)


@pytest.mark.parametrize("place", [(90.1, 0.0), (0.0, -180.1), (math.inf, 0.0)])
def test_a_place_is_on_earth(shop: Shop, place: tuple[float, float]) -> None:
    assert shop.finds(lat=place[0], lng=place[1]) == {"PLACE_OUT_OF_RANGE"}


def test_a_place_is_in_the_country(shop: Shop) -> None:
    assert shop.finds(lat=48.86, lng=2.35) == {"PLACE_ABROAD"}
    france = configured("[intake]\ncountry = [41, 52, -5, 10]")
    assert "PLACE_ABROAD" not in france.finds(lat=48.86, lng=2.35)
    assert "PLACE_ABROAD" in france.finds(lat=52.01, lng=2.35)


def test_latitude_and_longitude_may_be_swapped(shop: Shop) -> None:
    assert shop.finds(lat=121.47, lng=31.23) == {"PLACE_OUT_OF_RANGE", "PLACE_SWAPPED"}
    assert shop.finds(lat=87.6, lng=43.8) == {"PLACE_ABROAD", "PLACE_SWAPPED"}, "Urumqi"


def test_somebody_reaches_the_place(shop: Shop) -> None:
    nanjing = {"lat": 32.06, "lng": 118.8}
    assert shop.finds(**nanjing) == {"PLACE_UNSERVED"}
    assert not shop.finds(**nanjing, pickup_store_id="bund")
    assert not configured("[intake]\nreach_km = 300").finds(**nanjing)
    shop.engine.add_stores([Store(id="nanjing", **nanjing)])
    assert not shop.finds(**nanjing)


def test_an_area_serves_whoever_is_in_it(shop: Shop) -> None:
    pytest.importorskip("shapely")
    nanjing = {"lat": 32.06, "lng": 118.8}
    ring = [[118.7, 32.0], [118.9, 32.0], [118.9, 32.1], [118.7, 32.1], [118.7, 32.0]]
    polygon = f'{{"type": "Polygon", "coordinates": [{ring}]}}'
    shop.engine.set_areas({"nanjing": polygon})
    assert not shop.finds(**nanjing)
    assert shop.finds(lat=32.2, lng=118.8) == {"PLACE_UNSERVED"}


def test_a_place_out_of_reach_may_have_been_measured_on_another_grid() -> None:
    shop = configured("[intake]\nreach_km = 1")
    told = {"lat": 31.24, "lng": 121.5045}  # 1.4 km east of the store, and half of that in GCJ-02
    assert shop.finds(**told) == {"PLACE_UNSERVED", "PLACE_DATUM"}
    assert shop.finds(lat=31.3, lng=121.5) == {"PLACE_UNSERVED"}


# -- WHEN ----------------------------------------------------------------------------------------


def test_orders_are_of_today(shop: Shop) -> None:
    assert not shop.finds(placed_ns=NOW_NS + 5 * MINUTE_NS)
    assert shop.finds(placed_ns=NOW_NS + 5 * MINUTE_NS + 1) == {"PLACED_IN_FUTURE"}
    assert not shop.finds(placed_ns=NOW_NS - 24 * 60 * MINUTE_NS)
    assert shop.finds(placed_ns=NOW_NS - 24 * 60 * MINUTE_NS - 1) == {"STALE"}


def test_a_promise_can_still_be_kept(shop: Shop) -> None:
    assert shop.finds(promised_until_ns=NOW_NS - 1) == {"PROMISE_PAST"}
    assert shop.finds(promised_until_ns=NOW_NS) == {"PROMISE_UNREACHABLE"}
    soon_ns = NOW_NS + 10 * MINUTE_NS
    assert shop.finds(promised_until_ns=soon_ns - 1) == {"PROMISE_UNREACHABLE"}
    assert not shop.finds(promised_until_ns=soon_ns, promised_from_ns=soon_ns)
    assert shop.finds(promised_until_ns=soon_ns, promised_from_ns=soon_ns + 1) == {
        "PROMISE_UNREACHABLE"
    }


def test_a_presale_says_when_it_is_sent(shop: Shop) -> None:
    assert shop.finds(order_type=OrderType.PRESALE) == {"PRESALE_WITHOUT_DATE"}
    assert not shop.finds(order_type=OrderType.PRESALE, presale_ship_ns=NOW_NS)


# -- ALL TOGETHER --------------------------------------------------------------------------------


def test_the_worst_finding_decides_and_the_first_of_them_is_the_reason(shop: Shop) -> None:
    lines = [SentLine(sku="milk", quantity=3, unit_price=333, line_total=1), SentLine(sku="wine")]
    found = shop.judge(Sent(lines=lines), Sent(id="o-2", lines=[*lines, SentLine(sku="?")]))
    assert found.worst.tolist() == [Severity.HOLD, Severity.REJECT]
    assert [found.reason(row) for row in range(2)] == ["RESTRICTED", "UNKNOWN_SKU"]
    assert list(found.of_order(1)) == [
        ("UNKNOWN_SKU", 4, Severity.REJECT),
        ("RESTRICTED", 3, Severity.HOLD),
        ("LINE_TOTAL_OFF", 2, Severity.WARN),
    ]
    assert found.counts() == {
        ("UNKNOWN_SKU", Severity.REJECT): 1,
        ("RESTRICTED", Severity.HOLD): 2,
        ("LINE_TOTAL_OFF", Severity.WARN): 2,
    }


def test_a_rule_counts_orders_and_not_lines(shop: Shop) -> None:
    found = shop.judge(Sent(lines=[SentLine(sku="wine")] * 3))
    assert found.counts() == {("RESTRICTED", Severity.HOLD): 1}


def test_no_orders_and_no_stores_are_judged_as_well(shop: Shop) -> None:
    assert len(shop.judge()) == 0
    empty = Knowledge(Engine(clock=StoppedClock()), recent_orders=1).now()
    found = judge(received_of([Sent(pickup_store_id="bund", buyer_id="b")]), empty, Config())
    assert [code for code, _, _ in found.of_order(0)] == ["PICKUP_STORE_UNKNOWN", "UNKNOWN_SKU"]


def test_a_rule_that_is_off_finds_nothing() -> None:
    shop = configured("[intake.rules.RESTRICTED]\nenabled = false")
    assert not shop.finds_in_line(sku="wine")


def test_every_rule_has_a_code_of_its_own_and_speaks_two_languages() -> None:
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes)) >= 24
    for rule in RULES:
        assert rule.severity is not Severity.NONE
        assert rule.english.isascii()
        assert not rule.chinese.isascii()
        limits = rule.threshold
        assert limits is None or limits.least <= limits.value <= limits.most


# -- THE TWIN ------------------------------------------------------------------------------------

FAR = [(48.86, 2.35), (32.06, 118.8), (31.24, 121.5045), (121.47, 31.23), (0.0, 0.0), (91.0, 0.0)]
PLACES = [(31.23, 121.47), *FAR, (math.nan, 121.0), (31.2, math.inf), (31.15, 121.9)]
HOUR_NS = 60 * MINUTE_NS
INSTANTS = [NOT_SAID, -(2**63) + 1, 0, 2**62, 2**63 - 1] + [
    NOW_NS + minutes * MINUTE_NS + odd
    for minutes in (-24 * 60, -60, -10, 0, 5, 10, 60)
    for odd in (-1, 0, 1)
]
AMOUNTS = [NOT_SAID, -(2**63) + 1, -1, 0, 1, 333, 499, 500, 1000, 1500, 10**6, 10**12, 2**63 - 1]
QUANTITIES = [NOT_SAID, -5, 0, 1, 2, 3, 6, 10, 25, 500, 501, 2**40, 2**63 - 1]

sent_lines = st.builds(
    SentLine,
    sku=st.sampled_from(["tea", "cup", "wine", "mask", "milk", "unicorn", "nowhere", ""]),
    barcode=st.sampled_from(["", "", "690", "691", "700", "999", "1"]),
    unit=st.sampled_from(["", "", "盒", "瓶", "?"]),
    quantity=st.sampled_from(QUANTITIES),
    unit_price=st.sampled_from(AMOUNTS),
    line_total=st.sampled_from([*AMOUNTS, 666, 999, 1002]),
)


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    lat, lng = draw(st.sampled_from(PLACES))
    return Sent(
        id=draw(st.sampled_from(["", *(f"o-{number}" for number in range(12))])),
        channel=draw(st.sampled_from(["meituan", "jd", "eleme", "pos", "?", ""])),
        order_type=draw(st.sampled_from(list(OrderType))),
        lat=lat,
        lng=lng,
        placed_ns=draw(st.sampled_from([ns for ns in INSTANTS if ns == NOT_SAID or ns >= 0])),
        promised_from_ns=draw(st.sampled_from(INSTANTS)),
        promised_until_ns=draw(st.sampled_from(INSTANTS)),
        presale_ship_ns=draw(st.sampled_from([NOT_SAID, NOW_NS])),
        pickup_store_id=draw(st.sampled_from(["", "", "bund", "pudong", "moon"])),
        buyer_id=draw(st.sampled_from(["", "b-1", "b-2"])),
        address_id=draw(st.sampled_from(["", "a-1"])),
        item_total=draw(st.sampled_from(AMOUNTS)),
        order_total=draw(st.sampled_from(AMOUNTS)),
        other_charges=draw(st.sampled_from(AMOUNTS)),
        discount=draw(st.sampled_from(AMOUNTS)),
        lines=draw(st.lists(sent_lines, max_size=4)),
    )


FILES = (
    "",
    """
    [intake]
    channels = ["meituan", "jd", "eleme"]
    paused_channels = ["pos"]
    held_buyers = ["b-2"]
    reach_km = 1
    [intake.rules]
    BUYER_LIMIT.threshold = 2
    TOO_MANY_LINES.threshold = 2
    DUPLICATE.threshold = 0
    PRICE_OFF_LIST.threshold = 0
    AMOUNT_LARGE.threshold = 1000
    STALE.enabled = false
    """,
)


@cache
def ready(text: str) -> tuple[Shop, World]:
    """A shop under a file, and what a slow judge knows of it."""
    shop = configured(text)
    shop.engine.pause_stores(["pudong"])
    shop.engine.set_hidden_skus("eleme", ["tea"])
    world = World(
        now_ns=NOW_NS,
        config=shop.config,
        places=STORES,
        paused=frozenset({"pudong"}),
        items={item.sku: item for item in ITEMS},
        free=ON_HAND,
        hidden=frozenset({("eleme", "tea")}),
    )
    return shop, world


@given(batches=st.lists(st.lists(sent(), max_size=8), max_size=3), text=st.sampled_from(FILES))
def test_all_rules_find_what_a_slow_judge_finds(batches: list[list[Sent]], text: str) -> None:
    shop, world = ready(text)
    known, world = replace(shop.knowledge.now(), recent=Recent(1024)), replace(world, judged=[])
    for batch in batches:
        found = judge(received_of(batch), known, shop.config)
        assert set(_findings(found)) == judged(batch, world)
        assert len(found) == len(set(_findings(found)))
        worst = np.zeros(len(batch), dtype=np.uint8)
        for row, _, code in _findings(found):
            worst[row] = max(worst[row], shop.config.setting(code).severity)
        assert found.worst.tolist() == worst.tolist()


def _findings(found: Judged) -> Iterator[tuple[int, int, str]]:
    for row in range(len(found.worst)):
        for code, line, _ in found.of_order(row):
            yield row, line, code
