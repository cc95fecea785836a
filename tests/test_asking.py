"""What orders say beside place and lines reaches the core alike through every door."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import Datum, FendanError, Order
from fendan.engine.asking import ASKED_DTYPE, TEXTS, Asking
from fendan.engine.batch import Batch
from fendan.engine.names import Names
from fendan.engine.wire import Kind, Request, columns_of, write_request
from fendan.errors import Fault
from fendan.rules import OrderType
from fendan.v1 import order_pb2
from fendan.v1 import routing_service_pb2 as pb
from test_wire import as_message

CHANNELS = ["meituan", "饿了么"]
REGIONS = ["east", "west"]
STORES = {"pudong": 0, "静安": 1}
NOTHING = (0, -1, -1, -1, 0, 0, 0)


def names_of(names: list[str]) -> Names:
    known = Names()
    known.extend(names)
    return known


ASKING = Asking(names_of(CHANNELS), names_of(REGIONS), STORES)
SKUS = names_of(["tea", "cup"])


def an_order(**said: Any) -> Order:
    return Order(id="o", lat=31.2, lng=121.5, lines=[("tea", 1)], **said)


def of_objects(orders: list[Any], asking: Asking | None = ASKING) -> Batch:
    return Batch.of_orders(orders, SKUS, Datum.WGS84, asking=asking)


def of_bytes(orders: list[Order], asking: Asking | None = ASKING) -> Batch:
    return of_request(write_request(orders), asking)


def of_message(orders: Iterable[order_pb2.Order]) -> Batch:
    return of_request(pb.BatchRouteRequest(orders=orders).SerializeToString(), ASKING)


def of_request(data: bytes, asking: Asking | None) -> Batch:
    request = Request.read(data, Kind.BATCH)
    columns = columns_of(request, SKUS)
    return Batch.of_message(request, columns, SKUS, Datum.WGS84, asking=asking)


def asked(batch: Batch) -> list[tuple[int, ...]]:
    """Type, channel, region, pickup store, group, buyer and hash of each order."""
    rows = batch.asked
    assert rows is not None
    assert rows.dtype == ASKED_DTYPE
    fields = ("order_type", "channel", "region", "pickup_store", "group", "buyer", "hash")
    return list(zip(*[rows[field].tolist() for field in fields], strict=True))


def refusal(work: Callable[[], object]) -> FendanError:
    with pytest.raises(FendanError) as caught:
        work()
    return caught.value


# -- WHAT IS READ ----------------------------------------------------------------------------------


def test_an_order_that_says_nothing_more_asks_for_nothing() -> None:
    for batch in (of_objects([an_order()]), of_bytes([an_order()])):
        assert asked(batch) == [NOTHING]


def test_names_that_no_rule_knows_are_the_same_to_all_rules_and_yet_other_content() -> None:
    known, unknown, other = asked(
        of_objects([an_order(channel=name) for name in ("饿了么", "jd", "douyin")])
    )
    assert (known[1], unknown[1], other[1]) == (1, -1, -1)
    assert len({known[6], unknown[6], other[6], 0}) == 4


def test_everything_that_is_said_is_looked_up() -> None:
    order = an_order(
        order_type=OrderType.PICKUP, channel="meituan", region="west", pickup_store_id="静安"
    )
    assert asked(of_objects([order]))[0][:6] == (OrderType.PICKUP, 0, 1, 1, 0, 0)


def test_a_buyer_counts_only_with_an_address() -> None:
    whole, no_address, no_buyer, nobody = asked(
        of_objects(
            [
                an_order(buyer_id="wang", address_id="home"),
                an_order(buyer_id="wang"),
                an_order(address_id="home"),
                an_order(),
            ]
        )
    )
    assert whole[5] != 0
    assert (no_address[5], no_buyer[5], nobody[5]) == (0, 0, 0)
    assert len({whole[6], no_address[6], no_buyer[6], nobody[6]}) == 4  # but what was said differs


def test_groups_and_buyers_are_told_apart_wherever_their_ids_are_cut() -> None:
    pairs = [("ab", "c"), ("a", "bc"), ("abc", "abc"), ("c", "ab")]
    orders = [an_order(buyer_id=buyer, address_id=address) for buyer, address in pairs]
    orders += [an_order(group_id=name) for name in ("a", "b", "a" * 8, "a" * 16, "a" * 255)]
    rows = asked(of_objects(orders))
    assert len({row[5] for row in rows[:4]}) == 4
    assert len({row[4] for row in rows[4:]}) == 5
    assert len({row[6] for row in rows}) == 9


letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f")


def mixed(hash: int, *words: int) -> int:
    for word in words:
        hash = ((hash ^ word) + 0x9E3779B97F4A7C15) % 2**64
        hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        hash = (hash ^ hash >> 27) * 0x94D049BB133111EB % 2**64
        hash ^= hash >> 31
    return hash


def with_text(hash: int, text: str) -> int:
    data = text.encode()
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]
    return mixed(hash, len(data), *words)


@given(*[st.text(letters, max_size=60)] * 4)
def test_the_hashes_are_the_same_in_every_run_for_they_are_kept(
    channel: str, region: str, group_id: str, address: str
) -> None:
    order = an_order(
        order_type=OrderType.GROUP,
        channel=channel,
        region=region,
        group_id="团" + group_id,
        buyer_id="b",
        address_id="a" + address,
    )
    ((*_, group, buyer, whole),) = asked(of_objects([order]))
    assert group == with_text(0, order.group_id)
    assert buyer == with_text(with_text(0, order.buyer_id), order.address_id)
    hash = with_text(with_text(mixed(0, OrderType.GROUP), order.channel), order.region)
    assert whole == mixed(with_text(hash, ""), group, buyer)


@pytest.mark.parametrize(
    "attribute",
    ["order_type", "channel", "region", "pickup_store_id", "group_id", "buyer_id", "address_id"],
)
def test_each_thing_said_is_content_of_its_own(attribute: str) -> None:
    values = (OrderType.INSTANT, OrderType.SAME_DAY)
    texts = ("pudong", "静安")
    orders = [
        an_order(**{attribute: value}) for value in (values if "type" in attribute else texts)
    ]
    hashes = [row[6] for row in asked(of_objects([an_order(), *orders]))]
    assert len(set(hashes)) == 3
    assert hashes[0] == 0


texts = st.sampled_from(["", "meituan", "饿了么", "east", "x", "y" * 255])
said = st.fixed_dictionaries(
    {
        "order_type": st.sampled_from([kind for kind in OrderType if kind is not OrderType.GROUP]),
        "channel": texts,
        "region": texts,
        "group_id": texts,
        "buyer_id": texts,
        "address_id": texts,
    }
) | st.fixed_dictionaries(
    {"order_type": st.just(OrderType.PICKUP), "pickup_store_id": st.sampled_from(["", *STORES])}
)


@given(st.lists(said, max_size=5))
def test_bytes_and_objects_ask_for_the_same(wanted: list[dict[str, Any]]) -> None:
    orders = [an_order(**fields) for fields in wanted]
    assert asked(of_bytes(orders)) == asked(of_objects(orders))


def test_some_of_a_batch_keep_what_they_asked_for() -> None:
    batch = of_objects([an_order(channel=name) for name in ("meituan", "饿了么", "")])
    some = batch.subset(np.array([1, 0]))
    assert asked(some) == [asked(batch)[1], asked(batch)[0]]


def test_without_rules_nothing_is_asked_and_nothing_is_read() -> None:
    bad = an_order(order_type=77, channel=5)
    assert of_objects([bad], asking=None).asked is None
    assert of_bytes([an_order(channel="meituan")], asking=None).asked is None


def test_what_has_the_older_attributes_of_an_order_says_nothing_more() -> None:
    class Basket:
        id, lat, lng, datum = "o", 31.0, 121.0, None
        lines = (("tea", 1),)

    assert asked(of_objects([Basket()])) == [NOTHING]


# -- ARRAYS ----------------------------------------------------------------------------------------


def of_arrays(count: int, **columns: Any) -> Batch:
    rows = ASKING.of_columns(count, columns)
    place, lines = np.full(count, 31.0), np.zeros(count, dtype=np.int32)
    offsets = np.arange(count + 1)
    return Batch.of_arrays(place, place, offsets, lines, lines + 1, None, 2, asked=rows)


def dictionary(names: list[str]) -> tuple[Any, list[str]]:
    """The distinct names, and which of them each row has."""
    distinct = sorted(set(names))
    return np.array([distinct.index(name) for name in names], dtype=np.int32), distinct


@given(st.lists(said, max_size=5))
def test_arrays_ask_for_what_objects_ask_for(wanted: list[dict[str, Any]]) -> None:
    columns: dict[str, Any] = {
        f"{name}s": dictionary([fields.get(name, "") for fields in wanted]) for name in TEXTS
    }
    types = [fields["order_type"] for fields in wanted]
    batch = of_arrays(len(wanted), order_types=np.array(types, dtype=np.int64), **columns)
    assert asked(batch) == asked(of_objects([an_order(**fields) for fields in wanted]))


def test_columns_that_are_not_there_say_nothing() -> None:
    assert asked(of_arrays(1)) == [NOTHING]
    assert asked(of_arrays(0)) == []
    some = asked(of_arrays(2, channels=dictionary(["", "meituan"])))
    assert some == asked(of_objects([an_order(), an_order(channel="meituan")]))


@pytest.mark.parametrize(
    ("columns", "fault", "field", "row"),
    [
        ({"order_types": [0, 7]}, Fault.OUT_OF_RANGE, "order_types", 1),
        ({"order_types": [0, -1]}, Fault.OUT_OF_RANGE, "order_types", 1),
        ({"order_types": [0, 6]}, Fault.MISSING, "group_ids", 1),
        ({"order_types": [0, 6], "group_ids": ["", ""]}, Fault.MISSING, "group_ids", 1),
        ({"order_types": [0]}, Fault.RAGGED, "order_types", None),
        ({"channels": ["a", "b", "c"]}, Fault.RAGGED, "channels", None),
        ({"channels": ["x" * 256, "b"]}, Fault.BAD_ID, "channels", 0),
        ({"pickup_store_ids": ["pudong", "x"]}, Fault.UNKNOWN_STORE, "pickup_store_ids", 1),
        (
            {"pickup_store_ids": ["", "pudong"], "order_types": [4, 1]},
            Fault.OUT_OF_RANGE,
            "order_types",
            1,
        ),
    ],
)
def test_columns_that_cannot_be_are_refused_by_their_row(
    columns: dict[str, Any], fault: Fault, field: str, row: int | None
) -> None:
    arrays = {
        name: np.array(column) if name == "order_types" else dictionary(column)
        for name, column in columns.items()
    }
    error = refusal(lambda: of_arrays(2, **arrays))
    assert (error.fault, error.field, error.row) == (fault, field, row)


# -- WHAT IS REFUSED -------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], Fault, str]] = [
    ({"order_type": 7}, Fault.OUT_OF_RANGE, "order_type"),
    ({"order_type": -1}, Fault.OUT_OF_RANGE, "order_type"),
    ({"order_type": 2**70}, Fault.OUT_OF_RANGE, "order_type"),
    ({"order_type": "PICKUP"}, Fault.WRONG_TYPE, "order_type"),
    ({"order_type": 1.5}, Fault.WRONG_TYPE, "order_type"),
    ({"channel": "x" * 256}, Fault.BAD_ID, "channel"),
    ({"channel": "茶" * 86}, Fault.BAD_ID, "channel"),
    ({"region": "a\0b"}, Fault.BAD_ID, "region"),
    ({"region": None}, Fault.WRONG_TYPE, "region"),
    ({"buyer_id": "\ud800"}, Fault.BAD_ID, "buyer_id"),
    ({"address_id": b"home"}, Fault.WRONG_TYPE, "address_id"),
    ({"pickup_store_id": "nowhere"}, Fault.UNKNOWN_STORE, "pickup_store_id"),
    (
        {"pickup_store_id": "pudong", "order_type": OrderType.INSTANT},
        Fault.OUT_OF_RANGE,
        "order_type",
    ),
    ({"order_type": OrderType.GROUP}, Fault.MISSING, "group_id"),
]


@pytest.mark.parametrize(("bad", "fault", "field"), BAD)
def test_what_cannot_be_said_is_refused_by_its_path(
    bad: dict[str, Any], fault: Fault, field: str
) -> None:
    orders = [an_order(), an_order(channel="meituan"), an_order(**bad), an_order(order_type=9)]
    error = refusal(lambda: of_objects(orders))
    assert (error.fault, error.field, error.row) == (fault, f"orders[2].{field}", 2)
    assert error.value == bad.get(field, "")


@pytest.mark.parametrize(
    ("bad", "fault", "field"),
    [
        ({"order_type": 7}, Fault.OUT_OF_RANGE, "order_type"),
        ({"order_type": -1}, Fault.OUT_OF_RANGE, "order_type"),
        *[case for case in BAD if case[1] in (Fault.UNKNOWN_STORE, Fault.MISSING)],
        ({"channel": "x" * 256}, Fault.BAD_ID, "channel"),
        ({"region": "a\0b"}, Fault.BAD_ID, "region"),
    ],
)
def test_a_message_that_cannot_be_is_refused_alike(
    bad: dict[str, Any], fault: Fault, field: str
) -> None:
    messages = [as_message(an_order()) for _ in range(4)]
    for name, value in bad.items():
        setattr(messages[2], name, value)
    messages[3].order_type = order_pb2.ORDER_TYPE_GROUP
    error = refusal(lambda: of_message(messages))
    assert (error.fault, error.field, error.row) == (fault, f"orders[2].{field}", 2)


def test_of_two_bad_orders_the_first_is_named_whatever_is_wrong_with_it() -> None:
    bad_place = Order(id="o", lat=91, lng=0, lines=[("tea", 1)])
    bad_type = an_order(order_type=OrderType.GROUP)
    for orders, field in (
        ([an_order(), bad_place, bad_type], "orders[1].lat"),
        ([an_order(), bad_type, bad_place], "orders[1].group_id"),
    ):
        assert refusal(lambda orders=orders: of_message(map(as_message, orders))).field == field
