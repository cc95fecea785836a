"""Whatever is wrong is refused whole, by a stable code, with the field, the row and the value."""

import math
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from fendan import (
    Datum,
    DuplicateStoreError,
    Engine,
    FendanError,
    InvalidInputError,
    Order,
    OrderConflictError,
    Policy,
    QuantityOverflowError,
    SkuProfile,
    Store,
    StoreProfile,
    UnknownOrderError,
    UnknownSkuError,
    UnknownStoreError,
    WrongTypeError,
)

MOST = 2**31 - 1
PLACE: dict[str, Any] = {"lat": 31.23, "lng": 121.47}
NAN = math.nan


@pytest.fixture
def engine() -> Iterator[Engine]:
    """One that has sold something; whatever a test tries, it must be as before."""
    engine = Engine()
    engine.add_stores([Store(id="east", lat=31.23, lng=121.48), Store(id="west", lat=31, lng=121)])
    engine.set_stock([("east", "tea", 5), ("east", "milk", 5), ("west", "tea", 5)])
    engine.route(Order(id="known", **PLACE, lines=[("tea", 1)]))
    before = state(engine)
    yield engine
    assert state(engine) == before


def state(engine: Engine) -> object:
    """Everything that can be seen of an engine."""
    return (
        repr(engine),
        list(engine.store_ids),
        list(engine.skus),
        engine.pair_count,
        [engine.available(store, sku) for store in engine.store_ids for sku in engine.skus],
        engine.nearest(31, 121, limit=99),
        engine.decision("known"),
    )


def refused(
    call: Callable[[], object],
    error: type[FendanError],
    code: str,
    field: str,
    row: int | None,
    value: object,
) -> FendanError:
    """The call raises exactly this."""
    with pytest.raises(FendanError) as caught:
        call()
    found = caught.value
    assert type(found) is error
    assert (found.code, found.field, found.row) == (code, field, row)
    assert repr(found.value) == repr(value)  # so that NaN is NaN, and 1 is not True
    assert field in str(found)
    return found


# -- STORES --------------------------------------------------------------------------------------

BAD_IDS = {
    "empty": "",
    "none": None,
    "number": 7,
    "bytes": b"east",
    "nul inside": "a\0b",
    "256 bytes": "x" * 256,
    "256 bytes in 86 characters": "店" * 85 + "é",
    "half a surrogate pair": "\ud800",
}
BAD_PLACES = {
    "nan": (NAN, InvalidInputError, "OUT_OF_RANGE"),
    "infinite": (math.inf, InvalidInputError, "OUT_OF_RANGE"),
    "minus infinite": (-math.inf, InvalidInputError, "OUT_OF_RANGE"),
    "text": ("31.2", WrongTypeError, "WRONG_TYPE"),
    "none": (None, WrongTypeError, "WRONG_TYPE"),
    "complex": (1j, WrongTypeError, "WRONG_TYPE"),
}


@pytest.mark.parametrize("name", BAD_IDS.values(), ids=BAD_IDS)
def test_a_store_must_have_a_usable_id(engine: Engine, name: Any) -> None:
    stores = [Store(id="new", **PLACE), Store(id=name, **PLACE)]
    refused(lambda: engine.add_stores(stores), InvalidInputError, "BAD_ID", "stores[1].id", 1, name)


def test_an_id_of_255_bytes_is_usable() -> None:
    engine = Engine()
    engine.add_stores([Store(id="店" * 85, **PLACE)])
    engine.set_stock([("店" * 85, "x" * 255, 1)])
    order = Order(id="é" * 127 + "!", **PLACE, lines=[("x" * 255, 1)])
    assert engine.route(order).store_id == "店" * 85


@pytest.mark.parametrize("field", ["lat", "lng"])
@pytest.mark.parametrize("bad", BAD_PLACES.values(), ids=BAD_PLACES)
def test_a_place_must_be_on_earth(
    engine: Engine, field: str, bad: tuple[Any, type[FendanError], str]
) -> None:
    value, error, code = bad
    place: Any = PLACE | {field: value}
    stores = [Store(id="new", **PLACE), Store(id="nowhere", **place)]
    refused(lambda: engine.add_stores(stores), error, code, f"stores[1].{field}", 1, value)
    good = Order(id="new", **PLACE, lines=[("tea", 1)])
    lost = Order(id="lost", **place, lines=[("tea", 1)])
    refused(lambda: engine.route(lost), error, code, f"order.{field}", None, value)
    refused(lambda: engine.route_batch([good, lost]), error, code, f"orders[1].{field}", 1, value)
    refused(lambda: engine.nearest(**place), error, code, field, None, value)
    refused(lambda: engine.nearest(**place, lines=[("tea", 1)]), error, code, field, None, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("lat", 90.0000001), ("lat", -90.0000001), ("lng", 180.0000001), ("lng", -180.0000001)],
)
def test_degrees_past_the_edge_are_refused(engine: Engine, field: str, value: float) -> None:
    place = PLACE | {field: value}
    refused(
        lambda: engine.add_stores([Store(id="new", **place)]),
        InvalidInputError, "OUT_OF_RANGE", f"stores[0].{field}", 0, value,
    )  # fmt: skip
    refused(
        lambda: engine.route(Order(id="new", **place, lines=[("tea", 1)])),
        InvalidInputError, "OUT_OF_RANGE", f"order.{field}", None, value,
    )  # fmt: skip


def test_a_store_id_is_given_once(engine: Engine) -> None:
    new, known = Store(id="new", **PLACE), Store(id="east", **PLACE)
    for stores, name in (([new, known], "east"), ([new, new], "new")):
        add = partial(engine.add_stores, stores)
        refused(
            add, DuplicateStoreError, "DUPLICATE_STORE", "stores[1].id", 1, name,
        )  # fmt: skip


# -- STOCK ---------------------------------------------------------------------------------------

GOOD_ROW = ("east", "milk", 99)


def as_columns(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    stores, skus, quantities = (list(column) for column in zip(*rows, strict=True))
    return {"stores": stores, "skus": skus, "quantities": quantities}


@pytest.mark.parametrize(
    ("bad_row", "error", "code", "field", "value"),
    [
        (("north", "tea", 1), UnknownStoreError, "UNKNOWN_STORE", "stores", "north"),
        (("", "tea", 1), InvalidInputError, "BAD_ID", "stores", ""),
        ((None, "tea", 1), InvalidInputError, "BAD_ID", "stores", None),
        ((["east"], "tea", 1), InvalidInputError, "BAD_ID", "stores", ["east"]),
        (("east", "", 1), InvalidInputError, "BAD_ID", "skus", ""),
        (("east", None, 1), InvalidInputError, "BAD_ID", "skus", None),
        (("east", "a\0b", 1), InvalidInputError, "BAD_ID", "skus", "a\0b"),
        (("east", "tea", -1), InvalidInputError, "OUT_OF_RANGE", "quantities", -1),
        (("east", "tea", 1.0), WrongTypeError, "WRONG_TYPE", "quantities", 1.0),
        (("east", "tea", "1"), WrongTypeError, "WRONG_TYPE", "quantities", "1"),
        (("east", "tea", None), InvalidInputError, "MISSING", "quantities", None),
        (("east", "tea", MOST + 1), QuantityOverflowError, "OVERFLOW", "quantities", MOST + 1),
        (("east", "tea", 2**64), QuantityOverflowError, "OVERFLOW", "quantities", 2**64),
        (("east", "tea", -(2**64)), QuantityOverflowError, "OVERFLOW", "quantities", -(2**64)),
    ],
)
def test_a_bad_row_refuses_the_whole_snapshot(
    engine: Engine,
    bad_row: tuple[Any, ...],
    error: type[FendanError],
    code: str,
    field: str,
    value: object,
) -> None:
    rows = [GOOD_ROW, ("west", "never seen", 1), bad_row, GOOD_ROW]
    refused(lambda: engine.set_stock(rows), error, code, field, 2, value)
    refused(lambda: engine.set_stock(**as_columns(rows)), error, code, field, 2, value)


@pytest.mark.parametrize("row", [("east", "tea"), ("east", "tea", 1, 1), "abc", 7, None])
def test_a_row_is_a_store_a_sku_and_a_quantity(engine: Engine, row: Any) -> None:
    refused(lambda: engine.set_stock([GOOD_ROW, row]), WrongTypeError, "WRONG_TYPE", "rows", 1, row)


def test_columns_must_be_equally_long(engine: Engine) -> None:
    refused(
        lambda: engine.set_stock(stores=["east", "west"], skus=["tea"], quantities=[1, 2]),
        InvalidInputError, "RAGGED", "stores, skus, quantities", None, (2, 1, 2),
    )  # fmt: skip


def test_rows_and_columns_are_not_given_together(engine: Engine) -> None:
    refused(
        lambda: engine.set_stock([GOOD_ROW], stores=["east"]),  # type: ignore[call-overload]
        InvalidInputError, "RAGGED", "rows", None, "and columns",
    )  # fmt: skip


@pytest.mark.parametrize("field", ["stores", "skus", "quantities"])
@pytest.mark.parametrize("column", [None, "east", 7, iter(["east"])])
def test_a_column_is_a_sequence(engine: Engine, field: str, column: Any) -> None:
    columns = as_columns([GOOD_ROW]) | {field: column}
    refused(lambda: engine.set_stock(**columns), WrongTypeError, "WRONG_TYPE", field, None, column)


def test_a_column_has_one_dimension(engine: Engine) -> None:
    columns: dict[str, Any] = as_columns([GOOD_ROW]) | {"quantities": np.ones((1, 1), np.int32)}
    refused(
        lambda: engine.set_stock(**columns), InvalidInputError, "RAGGED", "quantities", None, (1, 1)
    )


@pytest.mark.parametrize("code", [-1, 2])
def test_a_store_code_must_be_one(engine: Engine, code: int) -> None:
    refused(
        lambda: engine.set_stock(stores=[0, code], skus=["tea", "tea"], quantities=[1, 1]),
        UnknownStoreError, "UNKNOWN_STORE", "stores", 1, code,
    )  # fmt: skip


@pytest.mark.parametrize("code", [-1, 2])
def test_a_sku_code_must_be_one(engine: Engine, code: int) -> None:
    refused(
        lambda: engine.set_stock(stores=[0, 0], skus=[0, code], quantities=[1, 1]),
        UnknownSkuError, "UNKNOWN_SKU", "skus", 1, code,
    )  # fmt: skip


# -- ORDERS --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BAD_IDS.values(), ids=BAD_IDS)
def test_an_order_must_have_a_usable_id(engine: Engine, name: Any) -> None:
    good, bad = (Order(id=n, **PLACE, lines=[("tea", 1)]) for n in ("new", name))
    refused(lambda: engine.route(bad), InvalidInputError, "BAD_ID", "order.id", None, name)
    refused(
        lambda: engine.route_batch([good, bad]),
        InvalidInputError, "BAD_ID", "orders[1].id", 1, name,
    )  # fmt: skip


BAD_LINES: dict[str, tuple[Any, type[FendanError], str, str, object]] = {
    "no lines": ([], InvalidInputError, "MISSING", "lines", ...),
    "10,001 lines": ([("tea", 1)] * 10_001, InvalidInputError, "OUT_OF_RANGE", "lines", 10_001),
    "none": (None, WrongTypeError, "WRONG_TYPE", "lines", None),
    "a word": ("tea", WrongTypeError, "WRONG_TYPE", "lines", "tea"),
    "a number": (7, WrongTypeError, "WRONG_TYPE", "lines", 7),
    "one line bare": (("tea", 1), WrongTypeError, "WRONG_TYPE", "lines[0]", "tea"),
    "a line of a word": (["t1"], WrongTypeError, "WRONG_TYPE", "lines[0]", "t1"),
    "a line of one": ([("tea",)], WrongTypeError, "WRONG_TYPE", "lines[0]", ("tea",)),
    "a line of four": (
        [("tea", 1), ("tea", 1, 1, 1)], WrongTypeError, "WRONG_TYPE", "lines[1]", ("tea", 1, 1, 1),
    ),
    "a negative amount": (
        [("tea", 1), ("milk", 1, -1)], InvalidInputError, "OUT_OF_RANGE", "lines[1].amount", -1,
    ),
    "an amount too much": (
        [("tea", 1, 10**12 + 1)], InvalidInputError, "OUT_OF_RANGE", "lines[0].amount", 10**12 + 1,
    ),
    "an amount beyond int64": (
        [("tea", 1, 2**70)], InvalidInputError, "OUT_OF_RANGE", "lines[0].amount", 2**70,
    ),
    "an amount as float": ([("tea", 1, 5.0)], WrongTypeError, "WRONG_TYPE", "lines[0].amount", 5.0),
    "an amount of none": (
        [("tea", 1, None)], WrongTypeError, "WRONG_TYPE", "lines[0].amount", None,
    ),
    "an amount of text": ([("tea", 1, "5")], WrongTypeError, "WRONG_TYPE", "lines[0].amount", "5"),
    "a line of none": ([("tea", 1), None], WrongTypeError, "WRONG_TYPE", "lines[1]", None),
    "unknown SKU": ([("cola", 1)], UnknownSkuError, "UNKNOWN_SKU", "lines[0].sku", "cola"),
    "a SKU of other case": ([("Tea", 1)], UnknownSkuError, "UNKNOWN_SKU", "lines[0].sku", "Tea"),
    "a SKU code": ([(0, 1)], WrongTypeError, "WRONG_TYPE", "lines[0].sku", 0),
    "a SKU of none": ([(None, 1)], WrongTypeError, "WRONG_TYPE", "lines[0].sku", None),
    "a SKU list": ([(["tea"], 1)], WrongTypeError, "WRONG_TYPE", "lines[0].sku", ["tea"]),
    "zero": ([("tea", 0)], InvalidInputError, "OUT_OF_RANGE", "lines[0].quantity", 0),
    "negative": (
        [("tea", 1), ("milk", -3)], InvalidInputError, "OUT_OF_RANGE", "lines[1].quantity", -3,
    ),
    "a half": ([("tea", 0.5)], WrongTypeError, "WRONG_TYPE", "lines[0].quantity", 0.5),
    "one and a half": ([("tea", 1.5)], WrongTypeError, "WRONG_TYPE", "lines[0].quantity", 1.5),
    "two as float": ([("tea", 2.0)], WrongTypeError, "WRONG_TYPE", "lines[0].quantity", 2.0),
    "text": ([("tea", "1")], WrongTypeError, "WRONG_TYPE", "lines[0].quantity", "1"),
    "missing": ([("tea", None)], WrongTypeError, "WRONG_TYPE", "lines[0].quantity", None),
    "huge": (
        [("tea", MOST + 1)], QuantityOverflowError, "OVERFLOW", "lines[0].quantity", MOST + 1,
    ),
    "beyond int64": (
        [("tea", 2**70)], QuantityOverflowError, "OVERFLOW", "lines[0].quantity", 2**70,
    ),
    "a huge sum": (
        [("tea", MOST), ("milk", 1), ("tea", 1)],
        QuantityOverflowError, "OVERFLOW", "lines", MOST + 1,
    ),
    "a huge sum of many lines": (
        [("tea", MOST // 20)] * 40, QuantityOverflowError, "OVERFLOW", "lines", ...,
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
def test_a_basket_that_cannot_be_refuses_the_whole_batch(
    engine: Engine, bad: tuple[Any, type[FendanError], str, str, object]
) -> None:
    lines, error, code, field, value = bad
    order = Order(id="bad", **PLACE, lines=lines)
    good = Order(id="new", **PLACE, lines=[("tea", 1)])
    calls: list[tuple[str, int | None, Callable[[], object]]] = [
        ("order.", None, lambda: engine.route(order)),
        ("orders[0].", 0, lambda: engine.route_batch([order])),
        ("orders[1].", 1, lambda: engine.route_batch([good, order, good])),
    ]
    for prefix, row, call in calls:
        with pytest.raises(FendanError) as caught:
            call()
        found = caught.value
        assert (type(found), found.code, found.field, found.row) == (
            error, code, prefix + field, row,
        )  # fmt: skip
        assert value is ... or found.value == value


@pytest.mark.parametrize(
    "lines", [[("cola", 1)], [("tea", 0)], [("tea", 1.5)], 7, [("tea",)], [("tea", 1, -5)]]
)
def test_whoever_asks_for_the_nearest_with_a_bad_basket_is_told_so(
    engine: Engine, lines: Any
) -> None:
    with pytest.raises(FendanError) as caught:
        engine.nearest(31, 121, lines=lines)
    assert caught.value.field.startswith("lines")


@pytest.mark.parametrize("thing", [None, 7, "order", ("known", 31, 121, [("tea", 1)])])
def test_what_is_no_order_is_refused(engine: Engine, thing: Any) -> None:
    refused(lambda: engine.route(thing), WrongTypeError, "WRONG_TYPE", "order.id", None, thing)
    refused(
        lambda: engine.route_batch([thing]), WrongTypeError, "WRONG_TYPE", "orders[0].id", 0, thing
    )


@pytest.mark.parametrize("thing", [None, 7, "store"])
def test_what_is_no_store_is_refused(engine: Engine, thing: Any) -> None:
    with pytest.raises(FendanError) as caught:
        engine.add_stores([thing])
    assert (caught.value.field, caught.value.row) == ("stores[0].id", 0)


def test_a_datum_must_be_one(engine: Engine) -> None:
    bad: Any = "GCJ-02"
    order = Order(id="new", **PLACE, lines=[("tea", 1)], datum=bad)
    refused(lambda: engine.route(order), WrongTypeError, "WRONG_TYPE", "order.datum", None, bad)
    refused(
        lambda: engine.nearest(31, 121, datum=bad),
        WrongTypeError, "WRONG_TYPE", "datum", None, bad,
    )  # fmt: skip


def test_a_place_that_another_datum_moves_off_the_map_is_refused(engine: Engine) -> None:
    order = Order(id="new", lat=90, lng=180, lines=[("tea", 1)], datum=Datum.BD09)
    engine_of_bd09 = Engine(datum=Datum.BD09)
    with pytest.raises(InvalidInputError) as caught:
        engine_of_bd09.nearest(90, 180, datum=Datum.WGS84)
    assert caught.value.code == "OUT_OF_RANGE"
    assert engine.nearest(order.lat, order.lng, datum=order.datum)


# -- ORDERS SEEN BEFORE --------------------------------------------------------------------------

OTHER_CONTENT = {
    "lat": ({"lat": 31.24}, "lat was 31.23 and is now 31.24"),
    "lng": ({"lng": 121.5}, "lng was 121.47 and is now 121.5"),
    "lines": ({"lines": [("tea", 2)]}, "lines was [('tea', 1)] and is now [('tea', 2)]"),
    "amounts": ({"lines": [("tea", 1, 9)]}, "amounts was {} and is now {'tea': 9}"),
}


@pytest.mark.parametrize("change", OTHER_CONTENT.values(), ids=OTHER_CONTENT)
def test_an_id_seen_before_with_other_content_says_what_differs(
    engine: Engine, change: tuple[dict[str, Any], str]
) -> None:
    fields, says = change
    content: dict[str, Any] = {**PLACE, "lines": [("tea", 1)]}
    changed = Order(id="known", **content | fields)
    error = refused(
        lambda: engine.route(changed),
        OrderConflictError,
        "ORDER_CONFLICT",
        "order.id",
        None,
        "known",
    )
    assert says in str(error)
    new, newly_changed = (Order(id="new", **content), Order(id="new", **content | fields))
    error = refused(
        lambda: engine.route_batch([new, newly_changed]),
        OrderConflictError, "ORDER_CONFLICT", "orders[1].id", 1, "new",
    )  # fmt: skip
    assert says in str(error)


@pytest.mark.parametrize("name", ["unknown", "", None, 7, ["known"]])
def test_an_order_nobody_routed_is_unknown(engine: Engine, name: Any) -> None:
    for call in (engine.release, engine.decision):
        refused(partial(call, name), UnknownOrderError, "UNKNOWN_ORDER", "order_id", None, name)


# -- ARRAYS --------------------------------------------------------------------------------------


def arrays(**other: Any) -> dict[str, Any]:
    """Two orders of three lines, with one array put differently."""
    good = {
        "lat": np.array([31.0, 31.2]),
        "lng": np.array([121.0, 121.4]),
        "offsets": np.array([0, 2, 3]),
        "skus": np.array([0, 1, 0], dtype=np.int32),
        "quantities": np.array([1, 2, 1], dtype=np.int32),
    }
    return good | other


BAD_ARRAYS: dict[str, tuple[dict[str, Any], type[FendanError], str, str, int | None, object]] = {
    "lat too long": ({"lat": [1, 2, 3]}, InvalidInputError, "RAGGED", "lng", None, 2),
    "lng too short": ({"lng": [1]}, InvalidInputError, "RAGGED", "lng", None, 1),
    "offsets too short": ({"offsets": [0, 3]}, InvalidInputError, "RAGGED", "offsets", None, 2),
    "offsets too long": (
        {"offsets": [0, 1, 2, 3]}, InvalidInputError, "RAGGED", "offsets", None, 4,
    ),
    "no offsets": ({"offsets": []}, InvalidInputError, "RAGGED", "offsets", None, 0),
    "offsets not from 0": (
        {"offsets": [1, 2, 3]}, InvalidInputError, "RAGGED", "offsets", None, (1, 3),
    ),
    "lines left over": (
        {"offsets": [0, 1, 2]}, InvalidInputError, "RAGGED", "offsets", None, (0, 2),
    ),
    "offsets decrease": (
        {"offsets": [0, 3, 2]}, InvalidInputError, "OUT_OF_RANGE", "offsets", 2, 2,
    ),
    "offsets beyond the lines": (
        {"offsets": [0, 2, 4]}, InvalidInputError, "OUT_OF_RANGE", "offsets", 2, 4,
    ),
    "negative offsets": (
        {"offsets": [-1, 2, 3]}, InvalidInputError, "OUT_OF_RANGE", "offsets", 1, 2,
    ),
    "huge offsets": (
        {"offsets": [0, 2**63 - 1, 3]}, InvalidInputError, "OUT_OF_RANGE", "offsets", 0, 2**63 - 1,
    ),
    "an empty order": ({"offsets": [0, 0, 3]}, InvalidInputError, "MISSING", "offsets", 0, 0),
    "quantities too short": (
        {"quantities": [1, 2]}, InvalidInputError, "RAGGED", "quantities", None, 2,
    ),
    "skus too short": ({"skus": [0, 1]}, InvalidInputError, "RAGGED", "quantities", None, 3),
    "an unknown code": ({"skus": [0, 2, 0]}, UnknownSkuError, "UNKNOWN_SKU", "skus", 1, 2),
    "a negative code": ({"skus": [0, 1, -1]}, UnknownSkuError, "UNKNOWN_SKU", "skus", 2, -1),
    "SKUs by name": (
        {"skus": ["tea", "milk", "tea"]}, WrongTypeError, "WRONG_TYPE", "skus", 0, "tea",
    ),
    "a code beyond int32": (
        {"skus": [0, 2**40, 0]}, QuantityOverflowError, "OVERFLOW", "skus", 1, 2**40,
    ),
    "quantity zero": (
        {"quantities": [1, 0, 1]}, InvalidInputError, "OUT_OF_RANGE", "quantities", 1, 0,
    ),
    "quantity negative": (
        {"quantities": [1, 1, -9]}, InvalidInputError, "OUT_OF_RANGE", "quantities", 2, -9,
    ),
    "quantities of floats": (
        {"quantities": np.array([1.0, 1.0, 1.0])},
        WrongTypeError, "WRONG_TYPE", "quantities", 0, 1.0,
    ),
    "quantity beyond int32": (
        {"quantities": [1, 1, 2**31]}, QuantityOverflowError, "OVERFLOW", "quantities", 2, 2**31,
    ),
    "amounts too short": (
        {"amounts": [1, 2]}, InvalidInputError, "RAGGED", "amounts", None, 2,
    ),
    "amount negative": (
        {"amounts": [0, -1, 0]}, InvalidInputError, "OUT_OF_RANGE", "amounts", 1, -1,
    ),
    "amount too much": (
        {"amounts": [0, 0, 10**12 + 1]},
        InvalidInputError, "OUT_OF_RANGE", "amounts", 2, 10**12 + 1,
    ),
    "amounts of floats": (
        {"amounts": np.array([5.0, 0.0, 0.0])}, WrongTypeError, "WRONG_TYPE", "amounts", 0, 5.0,
    ),
    "a sum beyond int32": (
        {"offsets": [0, 1, 3], "skus": [0, 1, 1], "quantities": [1, MOST, MOST]},
        QuantityOverflowError, "OVERFLOW", "quantities", 1, 2 * MOST,
    ),
    "lat nan": ({"lat": [1.0, NAN]}, InvalidInputError, "OUT_OF_RANGE", "lat", 1, ...),
    "lat out of range": ({"lat": [91, 1]}, InvalidInputError, "OUT_OF_RANGE", "lat", 0, 91.0),
    "lng infinite": (
        {"lng": [1.0, math.inf]}, InvalidInputError, "OUT_OF_RANGE", "lng", 1, math.inf,
    ),
    "lat of text": ({"lat": ["a", "b"]}, WrongTypeError, "WRONG_TYPE", "lat", 0, "a"),
    "lat missing": ({"lat": [1.0, None]}, InvalidInputError, "MISSING", "lat", 1, None),
    "lat none": ({"lat": None}, WrongTypeError, "WRONG_TYPE", "lat", None, None),
    "two dimensions": (
        {"lat": np.zeros((2, 1))}, InvalidInputError, "RAGGED", "lat", None, (2, 1),
    ),
    "offsets of floats": (
        {"offsets": np.array([0.0, 2.0, 3.0])}, WrongTypeError, "WRONG_TYPE", "offsets", 0, 0.0,
    ),
    "ids too short": ({"ids": ["a"]}, InvalidInputError, "RAGGED", "ids", None, 1),
    "an empty id": ({"ids": ["a", ""]}, InvalidInputError, "BAD_ID", "ids", 1, ""),
    "an id of none": ({"ids": ["a", None]}, InvalidInputError, "BAD_ID", "ids", 1, None),
    "an id of other content": (
        {"ids": ["new", "known"]}, OrderConflictError, "ORDER_CONFLICT", "ids", 1, "known",
    ),
    "an id of two contents": (
        {"ids": ["new", "new"]}, OrderConflictError, "ORDER_CONFLICT", "ids", 1, "new",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused_whole(
    engine: Engine,
    bad: tuple[dict[str, Any], type[FendanError], str, str, int | None, object],
) -> None:
    other, error, code, field, row, value = bad
    with pytest.raises(FendanError) as caught:
        engine.route_arrays(**arrays(**other))
    found = caught.value
    assert (type(found), found.code, found.field, found.row) == (error, code, field, row)
    assert value is ... or found.value == value or found.value is value


def test_the_arrays_they_were_made_from_are_good() -> None:
    engine = Engine()
    engine.add_stores([Store(id="east", **PLACE)])
    engine.set_stock([("east", "tea", 5), ("east", "milk", 5)])
    assert engine.route_arrays(**arrays()).store_codes.tolist() == [0, 0]


# -- QUESTIONS -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("radius_m", "error", "code"),
    [
        (-1, InvalidInputError, "OUT_OF_RANGE"),
        (NAN, InvalidInputError, "OUT_OF_RANGE"),
        ("3 km", WrongTypeError, "WRONG_TYPE"),
    ],
)
def test_a_radius_is_metres_from_zero(
    engine: Engine, radius_m: Any, error: type[FendanError], code: str
) -> None:
    policy = Policy(radius_m=radius_m)
    order = Order(id="new", **PLACE, lines=[("tea", 1)])
    for call in (
        lambda: Engine(policy=policy),
        lambda: engine.route(order, policy=policy),
        lambda: engine.route_batch([order], policy=policy),
        lambda: engine.route_arrays(**arrays(), policy=policy),
        lambda: engine.nearest(31, 121, policy=policy),
    ):
        refused(call, error, code, "policy.radius_m", None, radius_m)


@pytest.mark.parametrize("policy", [3000, "near", {}])
def test_a_policy_must_be_one(engine: Engine, policy: Any) -> None:
    order = Order(id="new", **PLACE, lines=[("tea", 1)])
    refused(
        lambda: engine.route(order, policy=policy),
        WrongTypeError, "WRONG_TYPE", "policy", None, policy,
    )  # fmt: skip


@pytest.mark.parametrize("limit", [-1, 1.5, "5", None])
def test_a_limit_is_a_whole_number_from_zero(engine: Engine, limit: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        engine.nearest(31, 121, limit=limit)
    assert (caught.value.code, caught.value.field) == ("OUT_OF_RANGE", "limit")


@pytest.mark.parametrize("name", ["north", "", None, 0, ["east"]])
def test_availability_is_asked_by_known_ids(engine: Engine, name: Any) -> None:
    refused(
        lambda: engine.available(name, "tea"),
        UnknownStoreError, "UNKNOWN_STORE", "store_id", None, name,
    )  # fmt: skip
    refused(
        lambda: engine.available("east", name), UnknownSkuError, "UNKNOWN_SKU", "sku", None, name
    )


def test_codes_of_unknown_ids_are_refused_with_their_row(engine: Engine) -> None:
    refused(
        lambda: engine.store_codes(["east", "north"]),
        UnknownStoreError, "UNKNOWN_STORE", "stores", 1, "north",
    )  # fmt: skip
    refused(
        lambda: engine.sku_codes(np.array(["tea", "cola"])),
        UnknownSkuError, "UNKNOWN_SKU", "skus", 1, "cola",
    )  # fmt: skip


# -- THE ERRORS THEMSELVES -----------------------------------------------------------------------


def test_an_error_is_also_what_python_calls_such_an_error(engine: Engine) -> None:
    with pytest.raises(KeyError):
        engine.available("north", "tea")
    with pytest.raises(OverflowError):
        engine.set_stock([("east", "tea", 2**31)])
    with pytest.raises(TypeError):
        engine.set_stock([("east", "tea", "1")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="out of range"):
        engine.nearest(91, 0)


def test_an_error_survives_the_way_to_another_process(engine: Engine) -> None:
    with pytest.raises(UnknownStoreError) as caught:
        engine.set_stock([GOOD_ROW, ("north", "tea", 1)])
    error, copy = caught.value, pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is UnknownStoreError
    assert str(copy) == str(error)
    for name in ("code", "field", "row", "value", "hint", "grpc_status"):
        assert getattr(copy, name) == getattr(error, name)


def test_a_huge_value_does_not_fill_the_log(engine: Engine) -> None:
    with pytest.raises(InvalidInputError) as caught:
        engine.add_stores([Store(id="x" * 100_000, **PLACE)])
    assert len(str(caught.value)) < 300


class Unspeakable:
    """What somebody hands over by mistake, and cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("not for you")


# Python writes no number of more than 4,300 digits, and makes no float of one of 310.
@pytest.mark.parametrize(
    "value", [10**400, 10**5000, NAN, Unspeakable()], ids=["huge", "endless", "nan", "unspeakable"]
)
@pytest.mark.parametrize(
    "attempt",
    [
        lambda engine, value: engine.set_stock([("east", "tea", value)]),
        lambda engine, value: engine.set_shares("app", {"east": value}),
        lambda engine, value: engine.set_shares("app", {value: 0.5}),
        lambda engine, value: engine.set_lots("east", "tea", {value: 1}),
        lambda engine, value: engine.set_areas(value),
        lambda engine, value: engine.draft_policy(value),
        lambda engine, value: engine.set_store_profiles({"east": StoreProfile(window_s=value)}),
        lambda engine, value: engine.set_sku_profiles({"kit": SkuProfile(parts={value: 1})}),
        lambda engine, value: engine.nearest(**PLACE, policy=Policy(radius_m=value)),
        lambda engine, value: engine.route_batch(
            [Order(id="new", **PLACE, lines=[("tea", 1)], priority=value)], allocate="priority"
        ),
    ],
    ids=[
        *("stock", "share", "share of", "lot", "areas", "policy", "window", "part", "radius"),
        "priority",
    ],
)
def test_what_cannot_be_shown_is_refused_all_the_same(
    engine: Engine, attempt: Callable[[Engine, Any], object], value: Any
) -> None:
    with pytest.raises(FendanError):
        attempt(engine, value)
