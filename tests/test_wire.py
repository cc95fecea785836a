"""The wire means what protobuf says: the same bytes say the same, the same bytes are refused."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fendan import Datum, Engine, FendanError, Order, Policy, Reason, Status, Store
from fendan.engine.asking import Asking
from fendan.engine.batch import Batch
from fendan.engine.names import Names
from fendan.engine.network import Network, points_of
from fendan.engine.outcome import Decision
from fendan.engine.router import VERDICT_DTYPE
from fendan.engine.shipments import GRANT_DTYPE, Shipment, Shipments
from fendan.engine.wire import (
    Kind,
    Reply,
    Request,
    StockKind,
    StockRequest,
    columns_of,
    read_response,
    write_request,
)
from fendan.errors import Fault, MalformedMessageError
from fendan.messages import decision_message, decision_of, line_messages
from fendan.rules import OrderType, StepName
from fendan.v1 import inventory_service_pb2, order_pb2, place_pb2
from fendan.v1 import routing_service_pb2 as pb
from strategies import with_amounts
from wire_judge import REFUSED, REQUESTS, RESPONSES, SAID, agree_on, judged_request

MOST = 2**31 - 1
DATUMS = {
    None: place_pb2.DATUM_UNSPECIFIED,
    Datum.WGS84: place_pb2.DATUM_WGS84,
    Datum.GCJ02: place_pb2.DATUM_GCJ02,
    Datum.BD09: place_pb2.DATUM_BD09,
}
kinds = st.sampled_from(Kind)

# -- BYTES THAT MIGHT BE A MESSAGE ---------------------------------------------------------------

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)

# Number -> wire type and what is inside, as in proto/fendan/v1.
SCHEMA: dict[str, dict[int, tuple[int, str]]] = {
    "request": {1: (LENGTH, "order"), 2: (LENGTH, "policy"), 3: (VARINT, ""), 4: (VARINT, "")},
    "policy": {1: (FIXED64, "")},
    "order": {
        1: (LENGTH, "text"),
        2: (FIXED64, ""),
        3: (FIXED64, ""),
        4: (LENGTH, "line"),
        5: (VARINT, ""),
        6: (VARINT, ""),
        **dict.fromkeys(range(7, 13), (LENGTH, "text")),
    },
    "line": {1: (LENGTH, "text"), 2: (VARINT, ""), 3: (VARINT, "")},
    "update": {1: (LENGTH, "part"), 2: (LENGTH, "text")},
    "part": {1: (LENGTH, "text"), 2: (VARINT, ""), 3: (LENGTH, "line")},
    "response": {1: (LENGTH, "decision"), 2: (VARINT, ""), 3: (LENGTH, "refusal")},
    "decision": {
        1: (LENGTH, "text"),
        2: (VARINT, ""),
        3: (LENGTH, "text"),
        4: (FIXED64, ""),
        5: (VARINT, ""),
        6: (VARINT, ""),
        7: (VARINT, ""),
        8: (LENGTH, "time"),
        9: (VARINT, ""),
        10: (LENGTH, "shipment"),
    },
    "time": {1: (VARINT, ""), 2: (VARINT, "")},
    "shipment": {
        1: (VARINT, ""),
        2: (LENGTH, "text"),
        3: (FIXED64, ""),
        4: (LENGTH, "line"),
        5: (LENGTH, "time"),
        6: (LENGTH, "text"),
    },
    "refusal": {
        1: (VARINT, ""),
        2: (LENGTH, "text"),
        3: (LENGTH, "text"),
        4: (LENGTH, "text"),
        5: (VARINT, ""),
    },
    "unknown": {},
}


def varint(value: int, padding: int = 0) -> bytes:
    """A number in seven bits a byte; `padding` bytes longer than it need be."""
    digits = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    digits += [0] * padding
    return bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def sized(number: int, content: bytes) -> bytes:
    """A field that is a text or a message."""
    return tag(number, LENGTH) + varint(len(content)) + content


paddings = st.sampled_from([0] * 12 + [1, 2, 3, 4, 5, 9])
varints = st.builds(
    varint,
    st.one_of(
        st.integers(0, 300),
        st.sampled_from([MOST, MOST + 1, 2**32 - 1, 2**32, 2**32 + 7, 2**63, 2**64 - 1]),
        st.integers(0, 2**70 - 1),
    ),
    paddings,
)
texts = st.one_of(
    st.text("aé茶😀\0", max_size=12).map(str.encode),
    st.text("SKU-0123456789", max_size=30).map(str.encode),
    # Overlong, a surrogate, beyond the last character, cut off, out of place.
    st.sampled_from([b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe8\x8c", b"\x80"]),
    st.binary(max_size=9),
    st.binary(min_size=1, max_size=3).map(lambda end: b"12345678" + end),
)
odd_numbers = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 15, 16, 2047, 2048, 2**29 - 1, 2**29])


@st.composite
def fields(draw: st.DrawFn, message: str, depth: int) -> bytes:
    """One field, mostly one that the message knows, mostly as it should be."""
    number, wire_type, inside = draw(odd_numbers), draw(st.integers(0, 7)), "unknown"
    known = SCHEMA[message]
    if known and draw(st.integers(0, 5)):
        number = draw(st.sampled_from(sorted(known)))
        wire_type, inside = known[number]
    start = varint(number << 3 | wire_type, draw(paddings))
    if wire_type == VARINT:
        return start + draw(varints)
    if wire_type in (FIXED64, FIXED32):
        size = 8 if wire_type == FIXED64 else 4
        return start + draw(st.binary(min_size=size, max_size=size))
    if wire_type == START_GROUP:
        end = draw(st.sampled_from([tag(number, END_GROUP)] * 9 + [b"", tag(7, END_GROUP)]))
        return start + draw(messages("unknown", depth + 1)) + end
    if wire_type == LENGTH:
        content = draw(texts if inside in ("text", "unknown") else messages(inside, depth + 1))
        size = draw(st.sampled_from([len(content)] * 19 + [len(content) + 1, MOST, 2**63]))
        return start + varint(size, draw(paddings)) + content
    return start


def messages(message: str, depth: int = 0) -> st.SearchStrategy[bytes]:
    """Fields in any order and number."""
    most = 5 if depth < 4 else 0
    return st.lists(st.deferred(lambda: fields(message, depth)), max_size=most).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn, message: str) -> bytes:
    """A message that suffered on the way: bits flipped, bytes lost, bytes added, parts repeated."""
    data = draw(messages(message))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(data))] * 2)))
        harm = draw(st.sampled_from(["cut off", "lose", "repeat", "add", "flip"]))
        if harm == "cut off":
            data = data[:end]
        elif harm == "lose":
            data = data[:start] + data[end:]
        elif harm == "repeat":
            data = data[:end] + data[start:]
        elif harm == "add":
            data = data[:start] + draw(st.binary(min_size=1, max_size=4)) + data[start:]
        elif start < len(data):
            flipped = data[start] ^ 1 << draw(st.integers(0, 7))
            data = data[:start] + bytes([flipped]) + data[start + 1 :]
    return data


# -- READ AS PROTOBUF READS ----------------------------------------------------------------------


@given(messages("request"))
@example(b"")
def test_a_request_in_any_encoding_means_what_protobuf_says_it_means(data: bytes) -> None:
    agree_on(data)


@given(messages("response"))
@example(b"")
def test_a_response_in_any_encoding_means_what_protobuf_says_it_means(data: bytes) -> None:
    agree_on(data)


@given(messages("update"))
@example(b"")
def test_a_stock_update_in_any_encoding_means_what_protobuf_says_it_means(data: bytes) -> None:
    agree_on(data)


@given(st.one_of(damaged("request"), damaged("response"), damaged("update")))
def test_a_damaged_message_is_refused_where_protobuf_refuses_it(data: bytes) -> None:
    agree_on(data)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_where_protobuf_refuses_them(data: bytes) -> None:
    agree_on(data)


@pytest.mark.parametrize("length", [4, 5, 9, 10])
def test_numbers_are_cut_to_their_bits_where_protobuf_cuts_them(length: int) -> None:
    for last in range(256):
        long = b"\x80" * (length - 2) + bytes([last, 0])
        agree_on(tag(3, VARINT) + b"\x83" + long)  # a value
        agree_on(tag(9, LENGTH) + b"\x83" + long + b"abc")  # a length
        agree_on(b"\x98" + long + b"\x01")  # a tag
        agree_on(sized(1, sized(4, tag(2, VARINT) + b"\x83" + long)))  # a quantity


@pytest.mark.parametrize("position", range(12))
def test_text_is_utf8_to_the_letter(position: int) -> None:
    edges = (0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1)
    edges += (0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF)
    # The third and fourth byte have one range, whatever comes before.
    tails = (b"", b"\x80", b"\xbf\x80", b"\x80\xbf", b"\xc0", b"\x80\x7f", b"\x80\x80\x80")
    for first in edges:
        for second in edges:
            for tail in tails:
                text = b"a" * position + bytes([first, second]) + tail
                data = sized(1, sized(1, text))
                try:
                    text.decode()
                except UnicodeDecodeError:
                    with pytest.raises(MalformedMessageError):
                        Request.read(data, Kind.BATCH)
                else:
                    assert Request.read(data, Kind.BATCH).order_id(0) == text.decode()


# -- HOSTILE MESSAGES ----------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 97, 98, 99, 100, 101, 102, 100_000])
def test_groups_may_be_as_deep_as_protobuf_lets_them_and_no_deeper(depth: int) -> None:
    groups = tag(9, START_GROUP) * depth + tag(9, END_GROUP) * depth
    for data in (groups, sized(1, groups), sized(1, sized(4, groups)), groups[: len(groups) // 2]):
        agree_on(data)
    assert (judged_request(groups, Kind.BATCH) == REFUSED) == (depth > 100)


@pytest.mark.parametrize("size", [MOST - 1, MOST, MOST + 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
def test_a_length_beyond_the_message_is_refused(size: int) -> None:
    for path in ([], [1], [1, 4], [1, 1], [2], [9]):
        data = tag(path[-1] if path else 1, LENGTH) + varint(size) + b"abc"
        for number in reversed(path[:-1]):
            data = sized(number, data)
        agree_on(data)
        with pytest.raises(MalformedMessageError):
            Request.read(data, Kind.BATCH)


def test_a_million_empty_orders_are_orders_as_for_protobuf() -> None:
    data = sized(1, b"") * 1_000_000
    assert len(Request.read(data, Kind.BATCH)) == 1_000_000
    assert len(Request.read(data, Kind.ROUTE)) == 1
    assert len(read_response(data).decisions) == 1_000_000


def test_more_orders_than_allowed_are_refused_by_their_number() -> None:
    data = sized(1, b"") * 3
    assert len(Request.read(data, Kind.BATCH, 3)) == 3
    error = refusal(lambda: Request.read(data, Kind.BATCH, 2))
    assert (error.code, error.field, error.value) == ("TOO_MANY", "orders", 3)
    assert len(Request.read(data, Kind.ROUTE, 1)) == 1


def test_every_message_cut_off_anywhere_is_judged_as_by_protobuf() -> None:
    order = Order(id="订单", lat=31.2, lng=121.5, lines=[("tea", 300), ("茶", 1)], datum=Datum.BD09)
    data = write_request([order] * 3, policy=Policy(radius_m=3e3), dry_run=True, correlation_id=9)
    for end in range(len(data)):
        agree_on(data[:end])


@pytest.mark.parametrize(
    ("data", "what", "byte"),
    [
        (sized(9, b"skipped") + b"\x18", "cut off", 10),
        (sized(1, tag(1, LENGTH) + b"\x05tea"), "a length that leads past the end", 4),
        (sized(1, sized(1, b"te\xff")), "text that is not UTF-8", 4),
        (sized(1, tag(6, 7)), "a wire type that does not exist", 3),
        (b"\x00\x00", "field number 0", 1),
        (tag(9, END_GROUP), "the end of a group that never began", 1),
        (tag(9, START_GROUP), "a group without an end", 1),
        (tag(9, START_GROUP) + tag(8, END_GROUP), "the end of another group", 2),
        (b"\x18" + b"\xff" * 12, "a varint that does not end", 1),
        (tag(9, START_GROUP) * 101, "nested too deeply", 101),
    ],
)
def test_what_is_malformed_is_named_with_its_byte(data: bytes, what: str, byte: int) -> None:
    for read in (lambda: Request.read(data, Kind.BATCH), lambda: read_response(data)):
        with pytest.raises(MalformedMessageError) as caught:
            read()
        error = caught.value
        assert (error.code, error.field, error.value) == ("BAD_MESSAGE", "message", what)
        assert error.hint == f"byte {byte}"


def test_only_bytes_are_read() -> None:
    for wrong in ("text", None, bytearray(b"")):
        with pytest.raises(TypeError):
            Request.read(wrong, Kind.BATCH)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            read_response(wrong)  # type: ignore[arg-type]


# -- COLUMNS -------------------------------------------------------------------------------------


def test_a_request_becomes_columns_with_the_codes_of_its_skus() -> None:
    skus = Names()
    skus.extend(["tea", "茶"])
    orders = [
        Order(id="one", lat=1.5, lng=-2.5, lines=[("茶", 3), ("coffee", 1)]),
        Order(id="two", lat=0, lng=0, lines=[("tea", MOST)]),
    ]
    columns = columns_of(Request.read(write_request(orders), Kind.BATCH), skus)
    assert columns["lat"].tolist() == [1.5, 0.0]
    assert columns["lng"].tolist() == [-2.5, 0.0]
    assert columns["offsets"].tolist() == [0, 2, 3]
    assert columns["skus"].tolist() == [1, -1, 0]
    assert columns["quantities"].tolist() == [3, 1, MOST]
    assert columns["ids"].shape == (2, 2)
    assert columns["ids"][:, 1].tolist() == [3, 3]


def test_a_request_without_orders_has_columns_without_rows() -> None:
    for kind in Kind:
        request = Request.read(b"", kind)
        columns = columns_of(request, Names())
        assert len(request) == len(columns["lat"]) == len(columns["skus"]) == 0
        assert columns["offsets"].tolist() == [0]
        assert (request.datums, request.has_policy, request.radius_m) == (None, False, None)


def test_a_request_keeps_the_text_it_points_into() -> None:
    request = Request.read(
        bytes(bytearray(write_request([Order(id="kept", lat=1, lng=1, lines=[("tea", 1)])]))),
        Kind.BATCH,
    )
    gc.collect()
    rubbish = [bytes([row]) * 60 for row in range(100)]  # where the message was, if it was freed
    assert len(set(rubbish)) == 100
    assert request.order_id(0) == "kept"
    assert request.lines(0) == [("tea", 1, 0)]


@pytest.mark.parametrize("amount", [1, MOST + 1, 10**12, 2**63 - 1, -1, -(2**63)])
def test_an_amount_is_read_with_all_its_bits_and_its_sign(amount: int) -> None:
    message = pb.RouteRequest(order=order_pb2.Order(lines=[order_pb2.OrderLine(amount=amount)]))
    assert Request.read(message.SerializeToString(), Kind.ROUTE).lines(0) == [("", 0, amount)]
    agree_on(message.SerializeToString())


def test_the_last_amount_of_a_line_counts_as_the_last_of_any_field_does() -> None:
    for amounts, last in (((5, 7), 7), ((5, 0), 0), ((2**64 - 1, 3), 3)):
        line = b"".join(tag(3, VARINT) + varint(amount) for amount in amounts)
        data = sized(1, sized(4, line))
        assert Request.read(data, Kind.BATCH).lines(0) == [("", 0, last)]
        agree_on(data)


def test_amounts_are_there_only_where_a_line_has_one() -> None:
    plain = Order(id="plain", lat=1, lng=1, lines=[("tea", 1), ("cup", 1, 0)])
    priced = Order(id="priced", lat=1, lng=1, lines=[("tea", 1), ("cup", 1, 10**12)])
    assert "amounts" not in columns_of(Request.read(write_request([plain]), Kind.BATCH), Names())
    mixed = columns_of(Request.read(write_request([plain, priced]), Kind.BATCH), Names())
    assert mixed["amounts"].tolist() == [0, 0, 0, 10**12]


def test_datums_are_there_only_where_an_order_names_one() -> None:
    plain = Order(id="plain", lat=1, lng=1, lines=[("tea", 1)])
    baidu = Order(id="baidu", lat=1, lng=1, lines=[("tea", 1)], datum=Datum.BD09)
    assert Request.read(write_request([plain, plain]), Kind.BATCH).datums is None
    mixed = Request.read(write_request([plain, baidu]), Kind.BATCH).datums
    assert mixed is not None
    assert mixed.tolist() == [0, 3]


def test_a_policy_without_a_radius_is_not_the_same_as_no_policy() -> None:
    for policy, has_policy, radius_m in (
        (None, False, None),
        (Policy(), True, None),
        (Policy(radius_m=0), True, 0.0),
        (Policy(radius_m=3000), True, 3000.0),
    ):
        request = Request.read(write_request([], policy=policy), Kind.BATCH)
        assert (request.has_policy, request.radius_m) == (has_policy, radius_m)


def test_what_else_orders_say_is_kept_only_where_one_says_anything() -> None:
    plain = Order(id="plain", lat=1, lng=1, lines=[("tea", 1)])
    spoken = Order(id="spoken", lat=1, lng=1, lines=[("tea", 1)], channel="meituan")
    for orders in ([plain], [spoken, plain]):
        request = Request.read(write_request(orders), Kind.BATCH)
        assert ("said" in columns_of(request, Names())) == (spoken in orders)
        assert [request.said(row).channel for row in range(len(orders))] == [
            order.channel for order in orders
        ]


# -- WRITTEN AS PROTOBUF WRITES ------------------------------------------------------------------

names = st.text("abé茶😀-0", min_size=1, max_size=40)
orders = st.builds(
    Order,
    id=names,
    lat=st.floats(-90, 90),
    lng=st.floats(-180, 180),
    lines=st.lists(with_amounts(st.tuples(names, st.integers(1, MOST))), min_size=1, max_size=9),
    datum=st.sampled_from(list(DATUMS)),
    order_type=st.sampled_from(OrderType),
    channel=st.just("") | names,
    region=st.just("") | names,
    pickup_store_id=st.just("") | names,
    group_id=st.just("") | names,
    buyer_id=st.just("") | names,
    address_id=st.just("") | names,
)
policies = st.one_of(
    st.none(), st.builds(Policy, radius_m=st.one_of(st.none(), st.floats(0, allow_nan=False)))
)


def as_message(order: Order) -> order_pb2.Order:
    return order_pb2.Order(
        id=order.id,
        lat=order.lat,
        lng=order.lng,
        lines=line_messages(order.lines),
        datum=DATUMS[order.datum],
        **{field: getattr(order, field) for field in SAID},
    )


@given(st.lists(orders, max_size=4), policies, st.booleans(), st.integers(0, 2**64 - 1))
def test_a_request_is_written_as_protobuf_writes_it(
    asked: list[Order], policy: Policy | None, dry_run: bool, correlation_id: int
) -> None:
    message = pb.StreamRouteRequest(
        orders=[as_message(order) for order in asked],
        dry_run=dry_run,
        correlation_id=correlation_id,
    )
    if policy is not None:
        message.policy.SetInParent()
        if policy.radius_m is not None:
            message.policy.radius_m = policy.radius_m
    written = write_request(asked, policy=policy, dry_run=dry_run, correlation_id=correlation_id)
    assert written == message.SerializeToString(deterministic=True)


def test_one_order_is_written_as_the_request_of_one_order() -> None:
    order = Order(id="one", lat=1, lng=2, lines=[("tea", 1)])
    assert write_request([order]) == pb.RouteRequest(order=as_message(order)).SerializeToString()


def test_the_longest_order_is_written_and_read() -> None:
    order = Order(id="x" * 255, lat=1, lng=2, lines=[(f"sku {n}", n + 1, n) for n in range(10_000)])
    data = write_request([order, order])
    assert data == pb.BatchRouteRequest(orders=[as_message(order)] * 2).SerializeToString()
    assert Request.read(data, Kind.BATCH).lines(1) == order.lines


STORES = ("s", "店", "x" * 200)


@st.composite
def verdicts(draw: st.DrawFn, count: int) -> np.ndarray[Any, Any]:
    """Whatever an engine may say to so many orders."""
    rows = np.zeros(count, dtype=VERDICT_DTYPE)
    for row in rows:
        if draw(st.booleans()):
            distance_m = draw(st.one_of(st.just(0.0), st.floats(0, 2.1e7)))
            row["distance_m"], row["store"] = distance_m, draw(st.integers(0, len(STORES) - 1))
            row["status"] = Status.ASSIGNED
        else:
            row["distance_m"], row["store"], row["status"] = np.nan, -1, Status.UNASSIGNED
            row["reason"] = draw(st.sampled_from(list(Reason)[1:]))
    return rows


SKUS = ("tea", "茶", "cup", "tea\x1f2026-12-01", "茶\x1f2026-12-01")
times = st.sampled_from([0, 1, 999_999_999, 1_000_000_000]) | st.integers(0, 2**63 - 1)
Parts = list[tuple[int, int, float, int, list[tuple[int, int, int]]]]


@st.composite
def promises(draw: st.DrawFn, told: np.ndarray[Any, Any]) -> tuple[Any, Parts]:
    """Whatever a policy may promise beside such verdicts: grants, and the parts of splits."""
    grants = np.zeros(len(told), dtype=GRANT_DTYPE)
    parts: Parts = []
    for row, (verdict, grant) in enumerate(zip(told, grants, strict=True)):
        grant["policy_version"] = draw(st.integers(0, 2**31 - 1))
        grant["step"] = draw(st.sampled_from(StepName))
        grant["promised_ns"] = draw(times)
        grant["merge_group"] = draw(st.integers(0, 2**63 - 1))
        count = draw(st.integers(1, 4)) if verdict["store"] >= 0 else 1
        for _ in range(count if count > 1 else 0):
            verdict["shipments"] = count
            skus = draw(st.sampled_from([(0, 1, 2), (2, 0), (3, 4), (4,)]))
            lines = [(sku, draw(st.integers(1, MOST)), 0) for sku in skus]
            store = draw(st.integers(0, len(STORES) - 1))
            metres = draw(st.just(0.0) | st.floats(0, 2.1e7))
            parts.append((row, store, metres, draw(times), lines))
    return grants, parts


def shipments_of(row: int, parts: Parts) -> tuple[Shipment, ...]:
    mine = [part for part in parts if part[0] == row]
    return tuple(
        Shipment(
            number=number,
            store_id=STORES[store],
            distance_m=metres,
            lines=tuple((SKUS[sku].partition("\x1f")[0], pieces) for sku, pieces, _ in lines),
            promised_ns=promised_ns or None,
            supply_date=SKUS[lines[0][0]].partition("\x1f")[2],
        )
        for number, (_, store, metres, promised_ns, lines) in enumerate(mine, 1)
    )


def as_decision(order_id: str, row: int, verdict: Any, grant: Any, parts: Parts) -> Decision:
    assigned = verdict["store"] >= 0
    return Decision(
        order_id=order_id,
        status=Status(verdict["status"]),
        store_id=STORES[verdict["store"]] if assigned else None,
        distance_m=float(verdict["distance_m"]) if assigned else None,
        reason=Reason(verdict["reason"]),
        policy_version=int(grant["policy_version"]),
        step=StepName(grant["step"]),
        promised_ns=int(grant["promised_ns"]) or None,
        merge_group=int(grant["merge_group"]),
        shipments=shipments_of(row, parts),
    )


def layout_of(store_ids: tuple[str, ...]) -> Any:
    places = np.linspace(0, 1, len(store_ids))
    return Network().layout.grown(*points_of(places, places), list(store_ids))


@given(st.data(), kinds, st.sampled_from([0, 1, 127, 128, 2**64 - 1]))
def test_a_reply_is_written_as_protobuf_writes_it_and_read_again(
    data: st.DataObject, kind: Kind, correlation_id: int
) -> None:
    least, most = (1, 1) if kind is Kind.ROUTE else (0, 5)
    asked = data.draw(st.lists(orders, min_size=least, max_size=most))
    told = data.draw(verdicts(len(asked)))
    nothing: tuple[Any, Parts] = np.zeros(len(asked), dtype=GRANT_DTYPE), []
    has_policy = data.draw(st.booleans())
    grants, parts = data.draw(promises(told)) if has_policy else nothing
    correlated = {"correlation_id": correlation_id} if kind is Kind.STREAM else {}
    sku_names = Names()
    sku_names.extend(list(SKUS))
    request = Request.read(write_request(asked, correlation_id=correlation_id), kind)
    promised = (grants, Shipments.of(parts) if parts else None, sku_names) if has_policy else ()
    reply = Reply(request, told, layout_of(STORES), *promised)
    decisions = [
        as_decision(order.id, row, told[row], grants[row], parts) for row, order in enumerate(asked)
    ]
    messages = [decision_message(decision) for decision in decisions]
    message = (
        pb.RouteResponse(decision=messages[0])
        if kind is Kind.ROUTE
        else RESPONSES[kind](decisions=messages, **correlated)
    )
    assert reply.encode() == message.SerializeToString()
    assert len(reply) == len(asked)
    assert reply.statuses.tolist() == told["status"].tolist()
    outcomes = np.zeros_like(reply.outcomes)
    np.add.at(outcomes, (told["status"], told["reason"]), 1)
    assert reply.outcomes.tolist() == outcomes.tolist()
    assert read_response(reply.encode(), kind).decisions == decisions
    assert [reply.decision(row) for row in range(len(reply))] == decisions
    assert [decision_of(message) for message in messages] == decisions


# -- WHAT THE CLIENT REFUSES AND ACCEPTS ---------------------------------------------------------

GOOD: dict[str, Any] = {"id": "o", "lat": 31.0, "lng": 121.0, "lines": [("tea", 1)]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": 7},
        {"id": "nul\0"},
        {"id": "\ud800"},
        {"id": "x" * 256},
        {"lat": 90.5},
        {"lat": float("nan")},
        {"lat": "31"},
        {"lat": None},
        {"lng": -181},
        {"lng": "east"},
        {"lines": []},
        {"lines": None},
        {"lines": "tea"},
        {"lines": [("tea", 1)] * 10_001},
        {"lines": [("tea", 1), "ab"]},
        {"lines": [("tea",)]},
        {"lines": [("tea", 1, 2, 3)]},
        {"lines": [("tea", 1, -1)]},
        {"lines": [("tea", 1, 10**12 + 1)]},
        {"lines": [("tea", 1, 2**70)]},
        {"lines": [("tea", 1, 2.5)]},
        {"lines": [("tea", 1, "2")]},
        {"lines": [("tea", 1, None)]},
        {"lines": [("tea", 1, np.True_)]},
        {"lines": [("tea", 1, 5), ("tea", 0, -1)]},
        {"lines": [(b"tea", 1)]},
        {"lines": [("", 1)]},
        {"lines": [("\ud800", 1)]},
        {"lines": [("tea", 0)]},
        {"lines": [("tea", -1)]},
        {"lines": [("tea", 2**31)]},
        {"lines": [("tea", 2**70)]},
        {"lines": [("tea", 1.5)]},
        {"lines": [("tea", "1")]},
        {"datum": "BD-09"},
        {"datum": "BD-09", "lat": 91},
        {"datum": Datum.BD09, "lat": 91},
        {"order_type": 7},
        {"order_type": -1},
        {"order_type": 2**70},
        {"order_type": "PICKUP"},
        {"order_type": None},
        {"channel": 5},
        {"channel": "x" * 256},
        {"region": "nul\0"},
        {"pickup_store_id": None},
        {"group_id": "\ud800"},
        {"buyer_id": b"b"},
        {"address_id": "址" * 86},
        {"address_id": 1, "buyer_id": 2},
    ],
    ids=lambda wrong: repr(wrong)[:40],
)
@pytest.mark.parametrize("row", [0, 1])
def test_the_client_refuses_what_the_engine_refuses_in_the_same_words(
    wrong: dict[str, Any], row: int
) -> None:
    engine = Engine()
    engine.add_stores([Store(id="s", lat=31, lng=121)])
    engine.set_stock([("s", "tea", 5)])
    asked = [Order(**{**GOOD, "id": "first"}), Order(**{**GOOD, "id": "second"})]
    asked[row] = Order(**{**GOOD, **wrong})
    here = refusal(lambda: write_request(asked))
    there = refusal(lambda: route_under_rules(engine, asked))
    assert type(here) is type(there)
    assert (here.code, here.field, here.row, here.hint) == (
        there.code,
        there.field,
        there.row,
        there.hint,
    )
    single = refusal(lambda: write_request([asked[row]], style="order"))
    assert (single.field, single.row) == (here.field.replace(f"orders[{row}]", "order"), None)


def route_under_rules(engine: Engine, asked: list[Order]) -> object:
    """What an engine with a policy reads of orders."""
    asking = Asking(Names(), Names(), {})
    skus = engine._stock.sku_code_of
    return Batch.of_orders(asked, skus, engine.datum, asking=asking)


def refusal(call: Callable[[], object]) -> FendanError:
    with pytest.raises(FendanError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ("near", Fault.WRONG_TYPE),
        (Policy(radius_m=-1), Fault.OUT_OF_RANGE),
        (Policy(radius_m=float("nan")), Fault.OUT_OF_RANGE),
        (Policy(radius_m="3 km"), Fault.WRONG_TYPE),  # type: ignore[arg-type]
    ],
)
def test_a_policy_that_cannot_be_is_refused_before_it_is_sent(policy: Any, fault: Fault) -> None:
    error = refusal(lambda: write_request([Order(**GOOD)], policy=policy))
    assert error.fault is fault
    assert error.field.startswith("policy")


def test_what_has_an_orders_attributes_is_as_good_as_an_order() -> None:
    class Basket:
        id, lat, lng, datum = "o", np.float32(31), 121, None
        lines = (["tea", np.int64(1)],)

    assert write_request([Basket()]) == write_request([Order(**GOOD)])


def test_statuses_and_reasons_of_a_later_version_stay_numbers() -> None:
    later = order_pb2.Decision(order_id="o", status=77, reason=-1, step=9)  # type: ignore[arg-type]
    for kind, response in (
        (Kind.ROUTE, pb.RouteResponse(decision=later)),
        (Kind.BATCH, pb.BatchRouteResponse(decisions=[later])),
    ):
        (decision,) = read_response(response.SerializeToString(), kind).decisions
        assert (decision.status, decision.reason, decision.step) == (77, -1, 9)


def test_a_promise_in_parts_is_put_together_as_protobuf_puts_it_together() -> None:
    parts = [
        tag(1, VARINT) + varint(7),
        tag(2, VARINT) + varint(5),
        tag(1, VARINT) + varint(8),
        b"",
    ]
    decision = b"".join(sized(8, part) for part in parts)
    shipment = sized(10, b"".join(sized(5, part) for part in parts[:2]) + tag(1, VARINT) + b"\x01")
    data = sized(1, decision + shipment) + sized(1, shipment)
    agree_on(data)
    (told,) = read_response(data, Kind.ROUTE).decisions
    assert told.promised_ns == 8_000_000_005
    assert [shipment.promised_ns for shipment in told.shipments] == [7_000_000_005] * 2


def test_a_streams_message_is_answered_or_refused() -> None:
    refused = pb.Refusal(status=8, message="busy", code="BUSY", field="orders", retry_after_ms=50)
    message = pb.StreamRouteResponse(correlation_id=7, refusal=refused)
    response = read_response(message.SerializeToString())
    assert response.decisions == []
    assert response.correlation_id == 7
    assert response.refusal == (8, "busy", "BUSY", "orders", 50)
    assert response.refusal.retry_after_ms == 50
    assert read_response(b"").refusal is None


def test_a_request_says_what_it_is() -> None:
    data = write_request([], dry_run=True, correlation_id=2**64 - 1)
    for kind in Kind:
        request = Request.read(data, kind)
        assert request.kind is kind
        assert request.dry_run
        assert request.correlation_id == (2**64 - 1 if kind is Kind.STREAM else 0)
        assert REQUESTS[kind].FromString(data).dry_run


# -- STOCK UPDATES -------------------------------------------------------------------------------


def an_update(*parts: tuple[str, int, list[tuple[str, int]]], key: str = "") -> StockRequest:
    message = inventory_service_pb2.SetStockRequest(
        snapshots=[
            inventory_service_pb2.StockSnapshot(
                store_id=store_id,
                version=version,
                counts=[
                    inventory_service_pb2.StockCount(sku=sku, on_hand=count) for sku, count in rows
                ],
            )
            for store_id, version, rows in parts
        ],
        idempotency_key=key,
    )
    return StockRequest.read(message.SerializeToString(), StockKind.SET)


def test_a_stock_update_becomes_columns_and_its_new_skus_take_the_next_codes() -> None:
    names = Names()
    names.extend(["tea", "milk"])
    rows = [("milk", 1), ("cup", 2), ("tea", 3), ("jar", 4), ("cup", 5)]
    update = an_update(("east", 7, rows), ("none", 0, []), ("west", 0, [("jar", 6)]), key="k")
    codes, fresh = update.sku_codes(names)
    assert codes.tolist() == [1, 2, 0, 3, 2, 3]
    assert fresh == ["cup", "jar"]
    assert len(names) == 2  # the caller adds them, when all else is good
    assert (update.store_ids, update.versions.tolist()) == (["east", "none", "west"], [7, 0, 0])
    assert (update.row_counts.tolist(), update.key) == ([5, 0, 1], "k")
    assert update.path(5, "on_hand") == ("snapshots[2].counts[0].on_hand", 2)
    assert update.path(4, "sku") == ("snapshots[0].counts[4].sku", 0)


def test_more_rows_or_parts_than_allowed_are_refused_by_their_number() -> None:
    for content, count in ((b"\x0a\x00" * 4, 4), (b"\x0a\x08" + b"\x1a\x00" * 4, 4)):
        assert StockRequest.read(content, StockKind.ADJUST, count) is not None
        error = refusal(lambda content=content: StockRequest.read(content, StockKind.ADJUST, 3))
        assert (error.fault, error.field, error.value) == (Fault.TOO_MANY, "adjustments", 4)


def test_an_engine_applies_a_message_as_it_applies_rows() -> None:
    faces = (Engine(), Engine())
    for engine in faces:
        engine.add_stores([Store(id="east", lat=31, lng=121), Store(id="west", lat=31, lng=122)])
    rows = [("tea", 5), ("cup", 2), ("tea", 6)]
    update = faces[0].apply_request(an_update(("east", 3, rows), ("west", 1, rows), key="k"))
    both = [(store, *row) for store in ("east", "west") for row in rows]
    assert update == faces[1].set_stock(both, versions={"east": 3, "west": 1}, key="k")
    for store in ("east", "west"):
        assert faces[0].stock(store) == faces[1].stock(store)
        assert faces[0].stock_version(store) == faces[1].stock_version(store)
    assert faces[0].apply_request(an_update(("east", 2, [("tea", 0)]))).stale[0].last_version == 3
    assert faces[0].available("east", "tea") == 6
