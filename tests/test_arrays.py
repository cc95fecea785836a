"""Orders and stock as arrays and columns: the same answers, from whatever a caller has at hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pytest

from fendan import (
    Engine,
    FendanError,
    InvalidInputError,
    Order,
    OrderConflictError,
    Policy,
    Reason,
    Status,
    Store,
    UnknownOrderError,
)

STORES = [f"store {n}" for n in range(50)]
SKUS = [f"sku {n}" for n in range(8)]


def an_engine() -> Engine:
    """Fifty stores in a row, each with every other SKU."""
    engine = Engine()
    engine.add_stores(
        Store(id=name, lat=30 + n / 50, lng=121 + (n * 7 % 50) / 50)
        for n, name in enumerate(STORES)
    )
    engine.set_stock(
        (store, sku, 2)
        for s, store in enumerate(STORES)
        for k, sku in enumerate(SKUS)
        if (s + k) % 2
    )
    return engine


def availability(engine: Engine) -> list[int]:
    return [engine.available(store, sku) for store in engine.store_ids for sku in engine.skus]


@pytest.fixture
def engine() -> Engine:
    return an_engine()


def some_arrays(engine: Engine, count: int = 200) -> dict[str, Any]:
    """Orders of one to three lines, from a fixed seed; some SKUs stand twice in one order."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 4, count)
    names = np.array(SKUS)[rng.integers(0, len(SKUS), sizes.sum())]
    return {
        "lat": rng.uniform(30, 31, count),
        "lng": rng.uniform(121, 122, count),
        "offsets": np.concatenate([[0], np.cumsum(sizes)]),
        "skus": engine.sku_codes(names),
        "quantities": rng.integers(1, 3, sizes.sum(), dtype=np.int32),
    }


def as_orders(engine: Engine, arrays: dict[str, Any]) -> list[Order]:
    """The same as objects, called "0", "1" and so on."""
    offsets = arrays["offsets"]
    return [
        Order(
            id=f"{row}",
            lat=arrays["lat"][row],
            lng=arrays["lng"][row],
            lines=[
                (engine.skus[arrays["skus"][line]], arrays["quantities"][line])
                for line in range(offsets[row], offsets[row + 1])
            ],
        )
        for row in range(len(offsets) - 1)
    ]


IDS = [f"{n}" for n in range(200)]


# -- ORDERS AS ARRAYS ----------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [None, IDS])
@pytest.mark.parametrize("policy", [None, Policy(radius_m=20_000)])
def test_arrays_get_the_decisions_that_objects_get(
    ids: list[str] | None, policy: Policy | None
) -> None:
    by_arrays, by_objects = an_engine(), an_engine()
    arrays = some_arrays(by_arrays)
    routed = by_arrays.route_arrays(**arrays, ids=ids, policy=policy)
    decisions = by_objects.route_batch(as_orders(by_objects, arrays), policy=policy)
    assert {decision.status for decision in decisions} == set(Status)
    for row, decision in enumerate(decisions):
        code = routed.store_codes[row]
        assert (by_arrays.store_ids[code] if code >= 0 else None) == decision.store_id
        assert routed.statuses[row] == decision.status
        assert routed.reasons[row] == decision.reason
        if decision.distance_m is None:
            assert np.isnan(routed.distances_m[row])
        else:
            assert routed.distances_m[row] == decision.distance_m
    assert availability(by_arrays) == availability(by_objects)


def test_the_answer_is_four_arrays(engine: Engine) -> None:
    routed = engine.route_arrays(**some_arrays(engine))
    assert len(routed) == 200
    for array, dtype in (
        (routed.store_codes, np.int32),
        (routed.distances_m, np.float64),
        (routed.statuses, np.uint8),
        (routed.reasons, np.uint8),
    ):
        assert array.dtype == dtype
        assert array.shape == (200,)
        assert array.flags.c_contiguous
    assigned = int((routed.statuses == Status.ASSIGNED).sum())
    assert repr(routed) == f"Routed(200 orders, {assigned} assigned)"


def test_an_order_without_a_store_has_code_minus_one_and_no_distance(engine: Engine) -> None:
    routed = engine.route_arrays(
        lat=[30.0], lng=[121.0], offsets=[0, 1], skus=[0], quantities=[1000]
    )
    assert routed.store_codes.tolist() == [-1]
    assert np.isnan(routed.distances_m).tolist() == [True]
    assert routed.statuses.tolist() == [Status.UNASSIGNED]
    assert routed.reasons.tolist() == [Reason.NO_STOCK]


def test_no_orders_are_routed_to_nowhere(engine: Engine) -> None:
    nobody: list[str] = []
    for ids in (None, nobody):
        routed = engine.route_arrays(lat=[], lng=[], offsets=[0], skus=[], quantities=[], ids=ids)
        assert len(routed) == len(routed.store_codes) == 0
    assert engine.route_batch([]) == []


def test_orders_routed_with_ids_are_known_afterwards(engine: Engine) -> None:
    arrays = some_arrays(engine)
    before = availability(engine)
    engine.route_arrays(**arrays, ids=IDS)
    told = [engine.decision(name) for name in IDS]
    assert engine.route_batch(as_orders(engine, arrays)) == told
    with pytest.raises(OrderConflictError):
        engine.route(Order(id="0", lat=0, lng=0, lines=[(SKUS[0], 1)]))
    released = [engine.release(name) for name in IDS]
    assert released == [decision.status is Status.ASSIGNED for decision in told]
    assert availability(engine) == before


def test_amounts_in_arrays_are_those_of_the_same_orders_as_objects(engine: Engine) -> None:
    arrays = some_arrays(engine)
    amounts = np.arange(len(arrays["skus"])) * 5 % 7
    engine.route_arrays(**arrays, amounts=amounts, ids=IDS)
    told = [engine.decision(name) for name in IDS]
    ends = arrays["offsets"]
    orders = [
        replace(
            order,
            lines=[(*line[:2], paid) for line, paid in zip(order.lines, paid_for, strict=True)],
        )
        for order, paid_for in zip(
            as_orders(engine, arrays), np.split(amounts, ends[1:-1]), strict=True
        )
    ]
    assert engine.route_batch(orders) == told
    with pytest.raises(OrderConflictError, match="amounts was"):
        engine.route_arrays(**arrays, ids=IDS)


def test_amounts_that_say_nothing_are_as_none(engine: Engine) -> None:
    arrays = some_arrays(engine)
    engine.route_arrays(**arrays, ids=IDS)
    told = [engine.decision(name) for name in IDS]
    engine.route_arrays(**arrays, amounts=np.zeros(len(arrays["skus"]), dtype=np.int64), ids=IDS)
    assert [engine.decision(name) for name in IDS] == told


def test_arrays_that_are_sent_again_move_no_stock_again(engine: Engine) -> None:
    arrays = some_arrays(engine)
    first = engine.route_arrays(**arrays, ids=IDS)
    after = availability(engine)
    again = engine.route_arrays(**arrays, ids=IDS)
    for name in ("store_codes", "distances_m", "statuses", "reasons"):
        assert np.array_equal(getattr(first, name), getattr(again, name), equal_nan=True)
    assert availability(engine) == after


def test_orders_routed_without_ids_are_nobodys(engine: Engine) -> None:
    engine.route_arrays(**some_arrays(engine))
    with pytest.raises(UnknownOrderError):
        engine.decision("0")
    assert repr(engine) == "Engine(50 stores, 8 SKUs, 0 known orders)"


def strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros(2 * len(array), dtype=array.dtype)
    wide[::2] = array
    return wide[::2]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "form",
    [
        np.ndarray.tolist,
        strided,
        read_only,
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(np.int64) if a.dtype.kind == "i" else a.astype(np.float64),
        lambda a: a.astype(np.dtype(a.dtype).newbyteorder(">")),
        lambda a: a.astype(object),
        pd.Series,
        pa.array,
        lambda a: pa.chunked_array([a[:1], a[1:]]),
    ],
    ids=[
        "list",
        "strided",
        "read-only",
        "reversed",
        "int64",
        "big-endian",
        "object",
        "pandas",
        "pyarrow",
        "chunked",
    ],
)
def test_arrays_come_in_any_form(form: Any) -> None:
    plain, formed = an_engine(), an_engine()
    arrays = some_arrays(plain)
    one = plain.route_arrays(**arrays)
    other = formed.route_arrays(**{name: form(array) for name, array in arrays.items()})
    assert np.array_equal(one.store_codes, other.store_codes)
    assert np.array_equal(one.distances_m, other.distances_m, equal_nan=True)


@pytest.mark.parametrize("form", [tuple, np.array, pd.Series, pa.array])
def test_ids_come_in_any_form(engine: Engine, form: Any) -> None:
    engine.route_arrays(**some_arrays(engine), ids=form(IDS))
    assert type(engine.decision("7").order_id) is str
    assert engine.route(as_orders(engine, some_arrays(engine))[7]) == engine.decision("7")


def test_what_is_given_is_never_changed(engine: Engine) -> None:
    arrays = some_arrays(engine)
    before = {name: array.copy() for name, array in arrays.items()}
    engine.route_arrays(**arrays)
    columns = {"stores": np.arange(50), "skus": np.zeros(50, int), "quantities": np.arange(50)}
    copies = {name: array.copy() for name, array in columns.items()}
    engine.set_stock(**columns)
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)
    assert all(np.array_equal(columns[name], copies[name]) for name in columns)


# -- STOCK AS COLUMNS ----------------------------------------------------------------------------


def dictionary(names: list[str]) -> pa.DictionaryArray:
    """With the entries in another order, one of them twice, and one that no row uses."""
    entries = [*sorted(set(names), reverse=True), names[0], "nobody"]
    return pa.DictionaryArray.from_arrays([entries.index(name) for name in names], entries)


NAME_FORMS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "numpy str": np.array,
    "numpy object": lambda names: np.array(names, dtype=object),
    "pandas": pd.Series,
    "pandas with another index": lambda names: pd.Series(names, index=range(len(names), 0, -1)),
    "pandas category": lambda names: pd.Series(names, dtype="category"),
    "pandas Categorical": pd.Categorical,
    "pandas index": pd.Index,
    "pyarrow": pa.array,
    "pyarrow large": lambda names: pa.array(names, pa.large_string()),
    "pyarrow dictionary": dictionary,
    "pyarrow sliced": lambda names: pa.array(["nobody", *names, "nobody"])[1:-1],
    "pyarrow dictionary sliced": lambda names: dictionary([*names, *names])[len(names) :],
    "pyarrow chunked": lambda names: pa.chunked_array([names[:3], names[3:], []], pa.string()),
    "pyarrow chunked dictionary": lambda names: pa.chunked_array(
        [dictionary(names[:3]), dictionary(names[3:])]
    ),
}
COUNT_FORMS: dict[str, Any] = {
    "list": list,
    "int64": np.array,
    "int32": lambda counts: np.array(counts, dtype=np.int32),
    "uint8": lambda counts: np.array(counts, dtype=np.uint8),
    "uint64": lambda counts: np.array(counts, dtype=np.uint64),
    "object": lambda counts: np.array(counts, dtype=object),
    "list of numpy": lambda counts: list(np.array(counts)),
    "strided": lambda counts: strided(np.array(counts)),
    "read-only": lambda counts: read_only(np.array(counts)),
    "pandas": pd.Series,
    "pandas with another index": lambda counts: pd.Series(counts, index=range(len(counts), 0, -1)),
    "pandas Int64": lambda counts: pd.Series(counts, dtype="Int64"),
    "pyarrow": pa.array,
    "pyarrow int16": lambda counts: pa.array(counts, pa.int16()),
    "pyarrow chunked": lambda counts: pa.chunked_array([counts[:1], counts[1:]]),
}
ROWS = [
    (STORES[(n * 3) % 50], f"{'new ' if n % 5 == 0 else ''}sku {n % 8}", n % 100)
    for n in range(120)
]


def columns_of_rows() -> tuple[list[str], list[str], list[int]]:
    stores, skus, counts = zip(*ROWS, strict=True)
    return list(stores), list(skus), list(counts)


@pytest.fixture(scope="module")
def stocked_by_rows() -> Engine:
    engine = an_engine()
    assert engine.set_stock(ROWS).shortfalls == ()
    return engine


def same_stock(one: Engine, other: Engine) -> bool:
    return set(one.skus) == set(other.skus) and all(
        one.available(store, sku) == other.available(store, sku)
        for store in STORES
        for sku in one.skus
    )


@pytest.mark.parametrize("form", NAME_FORMS.values(), ids=NAME_FORMS)
def test_ids_of_any_column_are_the_same_ids(
    engine: Engine, stocked_by_rows: Engine, form: Any
) -> None:
    stores, skus, counts = columns_of_rows()
    assert (
        engine.set_stock(stores=form(stores), skus=form(skus), quantities=counts).shortfalls == ()
    )
    assert same_stock(engine, stocked_by_rows)
    assert all(type(sku) is str for sku in engine.skus)


@pytest.mark.parametrize("form", COUNT_FORMS.values(), ids=COUNT_FORMS)
def test_counts_of_any_column_are_the_same_counts(
    engine: Engine, stocked_by_rows: Engine, form: Any
) -> None:
    stores, skus, counts = columns_of_rows()
    assert engine.set_stock(stores=stores, skus=skus, quantities=form(counts)).shortfalls == ()
    assert same_stock(engine, stocked_by_rows)


@pytest.mark.parametrize("form", [list, np.array, pd.Series, pa.array])
def test_codes_stand_for_ids(engine: Engine, stocked_by_rows: Engine, form: Any) -> None:
    stores, skus, counts = columns_of_rows()
    engine.set_stock(stores=stores[:1] * len(skus), skus=skus, quantities=[0] * len(skus))
    other = an_engine()
    other.set_stock(stores=stores[:1] * len(skus), skus=skus, quantities=[0] * len(skus))
    codes = engine.store_codes(stores), engine.sku_codes(skus)
    engine.set_stock(stores=form(codes[0]), skus=form(codes[1]), quantities=counts)
    other.set_stock(stores=stores, skus=skus, quantities=counts)
    assert same_stock(engine, other)


def test_codes_are_the_places_of_ids(engine: Engine) -> None:
    for codes, names in (
        (engine.store_codes(STORES[::-1]), engine.store_ids),
        (engine.sku_codes(pa.array(SKUS[::-1])), engine.skus),
    ):
        assert codes.dtype == np.int32
        assert [names[code] for code in codes] == (STORES if names[0] in STORES else SKUS)[::-1]


def test_skus_take_codes_in_the_order_in_which_they_first_come() -> None:
    engine = Engine()
    engine.add_stores([Store(id="s", lat=0, lng=0)])
    for skus in (["b", "a", "b"], np.array(["c", "a"]), pa.array(["e", "d", "e"])):
        engine.set_stock(stores=["s"] * len(skus), skus=skus, quantities=[1] * len(skus))
    assert list(engine.skus) == ["b", "a", "c", "e", "d"]


def test_a_snapshot_of_no_rows_changes_nothing(engine: Engine) -> None:
    before = availability(engine)
    assert engine.set_stock([]).shortfalls == ()
    assert engine.set_stock(stores=[], skus=[], quantities=[]).shortfalls == ()
    assert (
        engine.set_stock(stores=pa.array([], pa.string()), skus=[], quantities=[]).shortfalls == ()
    )
    assert availability(engine) == before


NULLS: dict[str, Any] = {
    "list": list,
    "numpy object": lambda values: np.array(values, dtype=object),
    "pandas": lambda values: pd.Series(values, dtype=object),
    "pyarrow": pa.array,
    "pyarrow chunked": lambda values: pa.chunked_array([values[:1], values[1:]]),
}


@pytest.mark.parametrize("form", NULLS.values(), ids=NULLS)
@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("stores", [STORES[0], STORES[1], None]),
        ("skus", [SKUS[0], SKUS[1], None]),
        ("quantities", [1, 2, None]),
    ],
)
def test_a_null_is_refused_with_its_row(
    engine: Engine, field: str, column: list[Any], form: Any
) -> None:
    before = availability(engine)
    good: dict[str, Any] = {"stores": STORES[:3], "skus": SKUS[:3], "quantities": [1, 1, 1]}
    with pytest.raises(InvalidInputError) as refused:
        engine.set_stock(**good | {field: form(column)})
    assert (refused.value.field, refused.value.row) == (field, 2)
    assert refused.value.code in ("MISSING", "BAD_ID")
    assert availability(engine) == before


@pytest.mark.parametrize(
    "column",
    [pd.array([1, 2, None], dtype="Int64"), pd.Categorical([SKUS[0], SKUS[1], None])],
    ids=["Int64", "category"],
)
def test_a_null_of_pandas_own_is_refused_with_its_row(engine: Engine, column: Any) -> None:
    field = "skus" if isinstance(column, pd.Categorical) else "quantities"
    good: dict[str, Any] = {"stores": STORES[:3], "skus": SKUS[:3], "quantities": [1, 1, 1]}
    with pytest.raises(FendanError) as refused:
        engine.set_stock(**good | {field: column})
    assert (refused.value.field, refused.value.row) == (field, 2)


def test_the_first_unknown_id_of_a_dictionary_column_is_named(engine: Engine) -> None:
    """By its row, wherever it stands in the dictionary."""
    stores = pa.DictionaryArray.from_arrays([2, 1, 0], ["second", "first", STORES[0]])
    with pytest.raises(FendanError) as refused:
        engine.set_stock(stores=stores, skus=SKUS[:3], quantities=[1, 1, 1])
    assert (refused.value.row, refused.value.value) == (1, "first")
