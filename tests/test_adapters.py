"""Whatever a platform sends is an order of ours, or an exception that says why not."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fendan import Datum, InvalidInputError, OrderType, convert
from fendan.exception_entry import MOST_RAW_BYTES, cut
from fendan.given import Given
from fendan.intake.adapter import Adapted, Adapter
from fendan.intake.mapping_file import mappings_from
from fendan.intake.payload import MOST_PAYLOAD_BYTES, Breakage, RawPayload, masked
from fendan.intake.platforms import PLATFORMS
from fendan.intake.received import NOT_SAID

PAYLOADS = Path(__file__).parent / "payloads"
FILES = {
    "MEITUAN": "meituan.form",
    "ELEME": "eleme.json",
    "JD_DAOJIA": "jd_daojia.json",
    "DOUYIN": "douyin.json",
    "TAOBAO": "taobao.json",
    "WECHAT": "wechat.json",
    "OWN_SHOP": "own_shop.json",
    "POS": "pos_gbk.json",
}
NOON_NS = 1_795_320_000 * 10**9  # 2026-11-22 12:00 in Shanghai
MINUTE_NS = 60 * 10**9


def sample(platform: str) -> bytes:
    return (PAYLOADS / FILES[platform]).read_bytes()


def adapted(platform: str, *payloads: bytes, config: dict[str, Any] | None = None) -> Adapted:
    known = mappings_from(Given(config or {}, "mapping"), PLATFORMS)
    raw = [RawPayload(platform=platform, data=data) for data in payloads]
    return Adapter(known, Datum.WGS84).adapt(raw)


def as_json(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode()


def order(**changes: Any) -> dict[str, Any]:
    """An order of the own shop; a change to ... leaves the field out."""
    made = {"order_id": "O", "lat": 31.2, "lng": 121.4, "lines": [{"sku": "tea", "quantity": 1}]}
    made |= changes
    return {name: value for name, value in made.items() if value is not ...}


def shop(*orders: Any) -> Adapted:
    return adapted("OWN_SHOP", *map(as_json, orders))


def only(result: Adapted) -> tuple[Breakage, str]:
    """The one reason why the one payload is no order."""
    (broken,) = result.broken
    assert len(result.received) == 0
    return broken.code, broken.field


# -- PLATFORMS -----------------------------------------------------------------------------------


def lines_of(result: Adapted, number: int = 0) -> list[tuple[str, int, int]]:
    of = result.received
    lines = slice(int(of.line_start[number]), int(of.line_start[number + 1]))
    return list(
        zip(
            of.skus[lines],
            of.quantity[lines].tolist(),
            of.unit_price[lines].tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("platform", "order_id", "order_type", "channel", "paid"),
    [
        ("MEITUAN", "270611020001", OrderType.INSTANT, "meituan", 4150),
        ("ELEME", "4000000000000000158", OrderType.INSTANT, "eleme", 3100),
        ("JD_DAOJIA", "2631000100003", OrderType.SAME_DAY, "jd", 4300),
        ("TAOBAO", "4000600000000000006", OrderType.NEXT_DAY, "taobao", 4080),
        ("WECHAT", "3700000000000000007", OrderType.PICKUP, "wechat", 1650),
        ("OWN_SHOP", "OWN-8", OrderType.GROUP, "own", 2850),
        ("POS", "P-20261122-009", OrderType.PICKUP, "pos", 2850),
    ],
)
def test_each_platforms_order_is_read_in_fen_and_nanoseconds(
    platform: str, order_id: str, order_type: OrderType, channel: str, paid: int
) -> None:
    result = adapted(platform, sample(platform))
    received = result.received
    assert result.broken == []
    assert received.order_ids == [order_id]
    assert received.order_type.tolist() == [order_type]
    assert received.channels == [channel]
    assert received.order_total.tolist() == [paid]
    assert received.placed_ns.tolist() == [NOON_NS]
    assert ("tea", 2 if platform in ("MEITUAN", "JD_DAOJIA", "TAOBAO") else 1, 1550) in lines_of(
        result
    )


@pytest.mark.parametrize("platform", FILES)
def test_what_the_customer_pays_is_goods_and_charges_less_the_discount(platform: str) -> None:
    received = adapted(platform, sample(platform)).received
    for number in range(len(received)):
        goods = sum(
            quantity * price
            for _, quantity, price in lines_of(adapted(platform, sample(platform)), number)
        )
        if received.item_total[number] != NOT_SAID:
            assert received.item_total[number] == goods
        charges, discount = int(received.other_charges[number]), int(received.discount[number])
        others = max(charges, 0) - max(discount, 0)  # NOT_SAID is far below
        assert received.order_total[number] == goods + others


def test_douyin_sends_an_instant_order_and_a_presale_in_one_page() -> None:
    received = adapted("DOUYIN", sample("DOUYIN")).received
    assert received.order_type.tolist() == [OrderType.INSTANT, OrderType.PRESALE]
    assert received.promised_until_ns.tolist() == [NOON_NS + 45 * MINUTE_NS, NOT_SAID]
    # When an order is to be sent matters of a presale only.
    assert received.presale_ship_ns.tolist() == [NOT_SAID, NOON_NS + 15 * 24 * 60 * MINUTE_NS]
    assert received.payload.tolist() == [0, 0]


def test_places_of_amap_baidu_and_gps_come_in_the_engines_datum() -> None:
    jd = json.loads(sample("JD_DAOJIA"))
    place = (31.2010, 121.4480)
    for code, datum in (("1", Datum.WGS84), ("3", Datum.BD09), ("5", Datum.GCJ02)):
        jd["result"]["resultList"][0]["buyerCoordType"] = code
        received = adapted("JD_DAOJIA", as_json(jd)).received
        expected = convert(*place, datum, Datum.WGS84)
        assert (received.lat[0], received.lng[0]) == pytest.approx(expected, abs=1e-12)


def test_a_store_binds_only_orders_that_are_fetched_there() -> None:
    shown, fetched = order(pickup_store_id="S1"), order(pickup_store_id="S1", pickup=True)
    assert shop(shown, fetched).received.pickup_store_ids == ["", "S1"]


# -- TYPES ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, OrderType.UNSPECIFIED),
        ({"promised_until": "2026-11-22 14:00:00"}, OrderType.INSTANT),
        ({"promised_until": "2026-11-22 14:00:01"}, OrderType.SAME_DAY),
        ({"promised_until": "2026-11-22 23:59:59"}, OrderType.SAME_DAY),
        ({"promised_until": "2026-11-23 00:00:00"}, OrderType.NEXT_DAY),
        ({"promised_until": "2026-11-22 11:00:00"}, OrderType.UNSPECIFIED),
        ({"promised_until": "2026-11-23 10:00:00", "order_type": "INSTANT"}, OrderType.INSTANT),
        ({"order_type": "INSTANT", "pickup": True}, OrderType.PICKUP),
        ({"pickup": 1, "group_id": "G"}, OrderType.GROUP),
        ({"group_id": "G", "presale": "true"}, OrderType.PRESALE),
        ({"pickup": 0, "presale": "no", "order_type": "?"}, OrderType.UNSPECIFIED),
    ],
)
def test_the_first_rule_that_holds_says_of_which_type_an_order_is(
    said: dict[str, Any], expected: OrderType
) -> None:
    received = shop(order(placed_at="2026-11-22 12:00:00", **said)).received
    assert received.order_type.tolist() == [expected]


# -- VALUES --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(3, 3), ("3", 3), ("3.0", 3), (3.0, 3), (-2, -2), (0, 0), (" 7 ", 7), ("1e2", 100)],
)
def test_pieces_are_whole_however_they_are_written(quantity: Any, expected: int) -> None:
    received = shop(order(lines=[{"sku": "tea", "quantity": quantity}])).received
    assert received.quantity.tolist() == [expected]


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (1.5, Breakage.FIELD_TYPE),
        ("two", Breakage.FIELD_TYPE),
        (True, Breakage.FIELD_TYPE),
        ([1], Breakage.FIELD_TYPE),
        ("1_000", Breakage.FIELD_TYPE),
        ("٣", Breakage.FIELD_TYPE),
        (float("nan"), Breakage.FIELD_TYPE),
        (float("inf"), Breakage.FIELD_TYPE),
        (2**31, Breakage.FIELD_RANGE),
        (10**30, Breakage.FIELD_RANGE),
        ("a number of 5,000 digits", Breakage.FIELD_TYPE),
        ("1e999", Breakage.FIELD_RANGE),
        (None, Breakage.FIELD_MISSING),
        ("", Breakage.FIELD_MISSING),
    ],
)
def test_what_cannot_be_counted_is_no_quantity(quantity: Any, code: Breakage) -> None:
    digits = "1" + "0" * 5000 if "5,000" in str(quantity) else json.dumps(quantity)
    text = json.dumps(order(lines=[{"sku": "tea", "quantity": "HERE"}])).replace('"HERE"', digits)
    assert only(adapted("OWN_SHOP", text.encode())) == (code, "quantity")


@pytest.mark.parametrize(
    ("price", "fen"),
    [("15.5", 1550), (0.1, 10), (19.99, 1999), ("0.005", 1), ("-0.005", -1), (3, 300), ("", None)],
)
def test_yuan_become_fen_exactly(price: Any, fen: int | None) -> None:
    till = {"bill_no": "P", "items": [{"item_code": "tea", "qty": 1, "price": price}]}
    received = adapted("POS", as_json(till)).received
    assert received.unit_price.tolist() == [NOT_SAID if fen is None else fen]


def test_money_beyond_counting_and_fractions_of_fen_are_refused() -> None:
    for price, code in ((10**12 + 1, Breakage.FIELD_RANGE), (1.5, Breakage.FIELD_TYPE)):
        line = {"sku": "tea", "quantity": 1, "unit_price": price}
        assert only(shop(order(lines=[line]))) == (code, "unit_price")


@pytest.mark.parametrize(
    ("placed", "expected"),
    [
        ("2026-11-22 12:00:00", NOON_NS),
        ("2026/11/22 12:00:00", NOON_NS),
        ("2026-11-22T04:00:00Z", NOON_NS),
        ("2026-11-22T13:00:00.5+09:00", NOON_NS + 5 * 10**8),
        ("", NOT_SAID),
        (None, NOT_SAID),
    ],
)
def test_a_time_without_an_offset_is_that_of_the_platforms_clocks(
    placed: Any, expected: int
) -> None:
    assert shop(order(placed_at=placed)).received.placed_ns.tolist() == [expected]


@pytest.mark.parametrize(
    ("placed", "code"),
    [
        ("yesterday", Breakage.FIELD_TYPE),
        (1_795_320_000, Breakage.FIELD_TYPE),
        ("1969-12-31", Breakage.FIELD_RANGE),
        ("9999-12-31T23:59:59", Breakage.FIELD_RANGE),
        ("0001-01-01 00:00:00", Breakage.FIELD_TYPE),
    ],
)
def test_a_time_that_is_none_breaks_the_order(placed: Any, code: Breakage) -> None:
    assert only(shop(order(placed_at=placed))) == (code, "placed_at")


@pytest.mark.parametrize("lat", [None, "", "north", [31], float("nan"), "1e400", True, ...])
def test_a_place_that_is_no_number_is_left_to_the_rules(lat: Any) -> None:
    received = shop(order(lat=lat)).received
    assert np.isnan(received.lat).tolist() == [True]
    assert received.lng.tolist() == [121.4]


@pytest.mark.parametrize("order_id", ["", None, ..., " "])
def test_without_an_id_it_is_no_order(order_id: Any) -> None:
    assert only(shop(order(order_id=order_id))) == (Breakage.FIELD_MISSING, "order_id")


@pytest.mark.parametrize("buyer_id", ["x" * 256, "a\0b", "a\x1fb", "\ud800"])
def test_a_text_that_no_id_can_be_breaks_the_order(buyer_id: str) -> None:
    text = json.dumps(order(buyer_id=buyer_id)).encode()
    assert only(adapted("OWN_SHOP", text)) == (Breakage.FIELD_TEXT, "buyer_id")


def test_an_order_without_lines_is_one_and_one_without_a_list_of_them_is_not() -> None:
    assert shop(order(lines=[])).received.line_start.tolist() == [0, 0]
    assert only(shop(order(lines=...))) == (Breakage.FIELD_MISSING, "lines[*]")
    assert only(shop(order(lines=7))) == (Breakage.FIELD_TYPE, "lines[*]")
    assert only(shop(order(lines=["tea"]))) == (Breakage.FIELD_TYPE, "lines[*]")


# -- PAYLOADS ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Breakage.BAD_SYNTAX),
        (b"{", Breakage.BAD_SYNTAX),
        (b'{"order_id": "O",}', Breakage.BAD_SYNTAX),
        (b"\xff\xff", Breakage.BAD_ENCODING),
        (b"[" * 100_000, Breakage.TOO_DEEP),
        (b'{"a":' * 50_000, Breakage.TOO_DEEP),
        (b'{"order_id": "O", "order_id": "P"}', Breakage.DUPLICATE_KEY),
        (b" " * (MOST_PAYLOAD_BYTES + 1), Breakage.TOO_LARGE),
        (b"[" + b"{}," * 1000 + b"{}]", Breakage.TOO_LARGE),
        (b"7", Breakage.NO_ORDER),
        (b"[]", Breakage.NO_ORDER),
        (b"[[]]", Breakage.NO_ORDER),
        (b'"order"', Breakage.NO_ORDER),
    ],
    ids=lambda value: value.name if isinstance(value, Breakage) else "",
)
def test_what_is_no_payload_says_why(data: bytes, code: Breakage) -> None:
    assert only(adapted("OWN_SHOP", data))[0] is code


def test_a_platform_that_nobody_has_mapped_is_named_so() -> None:
    assert only(adapted("PIGEONS", b"{}"))[0] is Breakage.UNKNOWN_PLATFORM


def test_one_bad_order_of_a_page_leaves_the_others_be() -> None:
    result = shop([order(order_id="A"), order(order_id="B", lines=3), order(order_id="C")])
    assert result.received.order_ids == ["A", "C"]
    assert [(one.order_id, one.payload) for one in result.broken] == [("B", 0)]
    result = shop([order(order_id="A"), None, [], "order", order(order_id="C")])
    assert result.received.order_ids == ["A", "C"]
    assert [one.code for one in result.broken] == [Breakage.NO_ORDER] * 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_a_till_may_write_any_encoding_that_chinese_is_written_in(encoding: str) -> None:
    till = {"bill_no": "单-1", "items": [{"item_code": "红茶", "qty": 1}]}
    received = adapted("POS", json.dumps(till, ensure_ascii=False).encode(encoding)).received
    assert (received.order_ids, received.skus) == (["单-1"], ["红茶"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


def accounted(result: Adapted, payloads: Sequence[bytes]) -> set[int]:
    return {*result.received.payload.tolist(), *(one.payload for one in result.broken)}


@given(st.sampled_from(sorted(FILES)), st.binary(max_size=200))
@example("MEITUAN", b"detail=%5B%7B%22quantity%22%3A1e999999999999%7D%5D&order_id=1")
@example("MEITUAN", b"order_id=%ff&order_id=2")
@example("OWN_SHOP", b'{"order_id":"O","lines":[{"quantity":1e-999999999}],"lat":1e999999999}')
def test_bytes_of_any_kind_are_never_lost_and_never_a_crash(platform: str, data: bytes) -> None:
    assert accounted(adapted(platform, data), [data]) == {0}


@given(st.sampled_from(sorted(FILES)), JSON)
def test_neither_is_any_json(platform: str, tree: Any) -> None:
    data = json.dumps(tree).encode()
    assert accounted(adapted(platform, data), [data]) == {0}


def places_in(tree: Any) -> list[tuple[Any, Any]]:
    """Every container of a tree, with every key of it."""
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    found = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], (dict, list)):
            found += places_in(tree[key])
    return found


@given(
    st.sampled_from([platform for platform in sorted(FILES) if platform != "MEITUAN"]),
    st.data(),
    JSON | st.sampled_from(["", "1e9999", "9" * 60, "\ud800", -1, 0, 2**70, "{", "[[[["]),
)
def test_nor_an_order_with_anything_at_all_in_one_of_its_fields(
    platform: str, data: st.DataObject, value: Any
) -> None:
    encoding = "gbk" if platform == "POS" else "utf-8"
    tree = copy.deepcopy(json.loads(sample(platform).decode(encoding)))
    container, key = data.draw(st.sampled_from(places_in(tree)))
    container[key] = value
    raw = json.dumps(tree).encode()
    result = adapted(platform, raw)
    assert accounted(result, [raw]) == {0}
    assert result.received.line_start[-1] == result.received.line_count


# -- LOGS ----------------------------------------------------------------------------------------

PEOPLE = ("王", "李", "赵", "孙", "周", "吴", "13800000", "人民大道", "南京西路", "31.2", "mt-u-1")


@pytest.mark.parametrize("platform", FILES)
def test_no_name_number_or_address_of_a_customer_reaches_a_log(platform: str) -> None:
    text = RawPayload(platform=platform, data=sample(platform)).kept()
    shown = masked(text)
    assert [person for person in PEOPLE if person in shown] == []


@given(st.text("ab王é😀\\\"'", min_size=3, max_size=9), st.integers(0, 500))
def test_nor_does_a_half_of_it(secret: str, length: int) -> None:
    secret = f"秘{secret}密"
    text = json.dumps({"order_id": "O-1", "receiver": {"name": secret}, "list": [secret]})
    for form in (text, json.dumps({"name": secret}, ensure_ascii=False), f"[{secret}, {secret!r}]"):
        shown = masked(form[:length])
        assert [letter for letter in "秘密王é😀" if letter in shown] == []


def test_what_helps_to_find_an_order_is_shown() -> None:
    shown = masked(json.dumps({"order_id": "O-1", "sku": "tea", "total_fee": 15, "name": "秘密"}))
    assert shown == '{"order_id": "O-1", "sku": "tea", "total_fee": 15, "name": "***"}'


def test_of_a_huge_payload_the_beginning_is_kept() -> None:
    kept = RawPayload(platform="POS", data=b"\xffx\0" + b"y" * 100_000).kept()
    assert kept.startswith("\\xffx\\x00yy")
    assert kept.endswith("… (cut off: 100,003 bytes came)")
    assert len(kept.encode()) == MOST_RAW_BYTES
    assert cut(kept) == kept, "and so it stays in the exception queue"


@pytest.mark.parametrize("data", [b"\xff" * MOST_RAW_BYTES, "壶".encode() * MOST_RAW_BYTES])
def test_what_is_cut_off_is_said_in_any_writing(data: bytes) -> None:
    kept = cut(RawPayload(platform="POS", data=data).kept())
    assert kept.endswith(f"(cut off: {len(data):,} bytes came)")
    assert len(kept.encode()) <= MOST_RAW_BYTES
    whole = data[: MOST_RAW_BYTES // 4]
    assert "cut off" not in RawPayload(platform="POS", data=whole).kept()


# -- CONFIG --------------------------------------------------------------------------------------

PARTNER: dict[str, Any] = {
    "orders": "data.list[*]",
    "lines": "goods",
    "money": "yuan",
    "times": "ms",
    "datum": "BD-09",
    "default_type": "SAME_DAY",
    "types": {"7": "PICKUP"},
    "order": {
        "order_id": ["no", "id"],
        "lat": "y",
        "lng": "x",
        "placed": {"path": "t", "unit": "s"},
        "type_code": "kind",
        "other_charges": {"add": ["post", "box"]},
        "presale": {"path": "flag", "among": ["Y"]},
    },
    "line": {"sku": "code", "quantity": "n", "unit_price": {"path": "p", "unit": "fen"}},
}


def test_a_chain_maps_a_partner_of_its_own() -> None:
    data = {
        "data": {
            "list": [
                {
                    **{"id": 5, "y": 31.2, "x": 121.4, "t": 1_795_320_000, "kind": 7},
                    **{"post": "3.5", "box": 1, "goods": [{"code": "tea", "n": 2, "p": 1550}]},
                },
                {"no": "N", "flag": "Y", "goods": {"code": "milk", "n": 1}},
            ]
        }
    }
    result = adapted("PARTNER", as_json(data), config={"PARTNER": PARTNER})
    received = result.received
    assert result.broken == []
    assert received.order_ids == ["5", "N"]
    assert received.channels == ["partner", "partner"]
    assert received.order_type.tolist() == [OrderType.PICKUP, OrderType.PRESALE]
    assert received.placed_ns.tolist() == [NOON_NS, NOT_SAID]
    assert received.other_charges.tolist() == [450, NOT_SAID]
    assert lines_of(result) == [("tea", 2, 1550)]
    expected = convert(31.2, 121.4, Datum.BD09, Datum.WGS84)
    assert (received.lat[0], received.lng[0]) == pytest.approx(expected, abs=1e-12)


CSV = {
    "format": "csv",
    "encoding": "gbk",
    "times": "text",
    "order": {"order_id": "单号", "lat": "lat", "lng": "lng", "placed": "a.time"},
    "line": {"sku": "货号", "quantity": "数量"},
}


def test_rows_of_one_id_are_one_order_wherever_they_stand() -> None:
    text = (
        "单号,lat,lng,a.time,货号,数量\r\n"
        'A,31.2,121.4,2026-11-22 12:00:00,tea,2\r\nB,31.3,121.5,,"milk, cold",1\r\nA,,,,milk,-3\r\n'
    )
    result = adapted("TABLE", text.encode("gbk"), config={"TABLE": CSV})
    assert result.received.order_ids == ["A", "B"]
    assert result.received.skus == ["tea", "milk", "milk, cold"]
    assert result.received.quantity.tolist() == [2, -3, 1]
    assert result.received.placed_ns.tolist() == [NOON_NS, NOT_SAID]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Breakage.NO_ORDER),
        ("单号,数量\n", Breakage.NO_ORDER),
        ("单号,单号\nA,B\n", Breakage.DUPLICATE_KEY),
        ("单号,数量\nA,1,2\n", Breakage.BAD_SYNTAX),
        ('单号,数量\nA,"1\n', Breakage.BAD_SYNTAX),
        ("数量\n1\n", Breakage.FIELD_MISSING),
    ],
)
def test_a_table_that_is_none_says_why(text: str, code: Breakage) -> None:
    assert only(adapted("TABLE", text.encode(), config={"TABLE": CSV}))[0] is code


def test_of_a_table_whose_ids_cannot_be_the_column_is_named() -> None:
    text = f"单号,数量\n{'A' * 300},1\n"
    broken = only(adapted("TABLE", text.encode(), config={"TABLE": CSV}))
    assert broken == (Breakage.FIELD_TEXT, "单号")


def test_a_file_changes_one_line_of_a_platforms_mapping() -> None:
    config = {"OWN_SHOP": {"channel": "app", "line": {"sku": "code"}}}
    data = as_json(order(lines=[{"code": "tea", "quantity": 2}]))
    received = adapted("OWN_SHOP", data, config=config).received
    assert (received.channels, received.skus) == (["app"], ["tea"])
    like = {"SHOP_2": {"like": "OWN_SHOP", "channel": "second"}}
    received = adapted("SHOP_2", as_json(order()), config=like).received
    assert (received.channels, received.platforms) == (["second"], ["SHOP_2"])


def test_the_name_of_a_mapping_may_have_dots() -> None:
    like = {"shop.example.com": {"like": "OWN_SHOP"}}
    received = adapted("shop.example.com", as_json(order()), config=like).received
    assert received.platforms == ["shop.example.com"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"moneys": "fen"}, "mapping.PARTNER.moneys"),
        ({"money": "dollar"}, "mapping.PARTNER.money"),
        ({"times": 3}, "mapping.PARTNER.times"),
        ({"zone": "Asia/Xian"}, "mapping.PARTNER.zone"),
        ({"zone": "../etc/passwd"}, "mapping.PARTNER.zone"),
        ({"encoding": "klingon"}, "mapping.PARTNER.encoding"),
        ({"encoding": "base64"}, "mapping.PARTNER.encoding"),
        ({"encoding": "undefined"}, "mapping.PARTNER.encoding"),
        ({"datum": "WGS-84"}, "mapping.PARTNER.datum"),
        ({"like": "MEITAUN"}, "mapping.PARTNER.like"),
        ({"types": {"7": "LATER"}}, "mapping.PARTNER.types.7"),
        ({"order": {"id": "no"}}, "mapping.PARTNER.order.id"),
        ({"order": {"lat": "y"}}, "mapping.PARTNER.order.order_id"),
        ({"order": {"order_id": 3}}, "mapping.PARTNER.order.order_id"),
        ({"order": {"placed": {"path": "t", "unit": "fen"}}}, "mapping.PARTNER.order.placed.unit"),
        ({"order": {"placed": {"add": ["t"]}}}, "mapping.PARTNER.order.placed.add"),
        ({"order": {"placed": {"unit": "s"}}}, "mapping.PARTNER.order.placed.path"),
        ({"line": []}, "mapping.PARTNER.line"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_by_the_name_of_its_key(
    change: dict[str, Any], field: str
) -> None:
    table = PARTNER | change
    with pytest.raises(InvalidInputError) as refused:
        mappings_from(Given({"PARTNER": table}, "mapping", "intake.toml"), PLATFORMS)
    assert refused.value.field == field
    assert str(refused.value).startswith("intake.toml: ")
