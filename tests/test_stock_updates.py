"""Stock is set, moved, versioned and retried; an update that is refused has changed nothing."""

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fendan import (
    Engine,
    FendanError,
    InvalidInputError,
    KeyConflictError,
    Order,
    Shortfall,
    StaleStock,
    StockLevel,
    StockUpdate,
    Store,
    UnknownSkuError,
    UnknownStoreError,
)

MOST = 2**31 - 1


@pytest.fixture
def engine() -> Engine:
    """Two shops in one street, with three teas and two milks each."""
    engine = Engine()
    engine.add_stores(
        [Store(id="east", lat=31.23, lng=121.48), Store(id="west", lat=31.23, lng=121.46)]
    )
    engine.set_stock((s, sku, n) for s in ("east", "west") for sku, n in (("tea", 3), ("milk", 2)))
    return engine


def order(name: str, *lines: tuple[str, int]) -> Order:
    return Order(id=name, lat=31.23, lng=121.49, lines=list(lines) or [("tea", 1)])


def teas(engine: Engine) -> tuple[int, int]:
    return engine.available("east", "tea"), engine.available("west", "tea")


# -- MOVING STOCK --------------------------------------------------------------------------------


def test_a_movement_adds_to_what_is_on_hand_and_takes_away(engine: Engine) -> None:
    assert engine.adjust_stock([("east", "tea", 4), ("west", "tea", -3)]) == StockUpdate()
    assert teas(engine) == (7, 0)


def test_movements_of_one_pair_add_up_in_their_order(engine: Engine) -> None:
    engine.adjust_stock([("east", "tea", -3), ("east", "tea", 5), ("east", "tea", -1)])
    assert teas(engine) == (4, 3)


def test_a_movement_may_list_a_sku_that_the_store_never_had(engine: Engine) -> None:
    engine.set_stock([("west", "coffee", 1)])
    engine.adjust_stock([("east", "coffee", 2)])
    assert engine.available("east", "coffee") == 2


def test_what_is_sold_from_under_an_order_is_a_shortfall(engine: Engine) -> None:
    engine.route(order("1", ("tea", 2)))
    assert engine.adjust_stock([("east", "tea", -2)]).shortfalls == (
        Shortfall(store_id="east", sku="tea", on_hand=1, reserved=2, order_ids=("1",)),
    )
    assert engine.adjust_stock([("east", "tea", 1)]) == StockUpdate()


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        ([("west", "tea", 1), ("east", "tea", -4)], 1),
        ([("east", "tea", 5), ("east", "tea", -8), ("east", "tea", -1)], 2),
        ([("east", "tea", MOST - 3), ("east", "tea", 1)], 1),
        ([("east", "tea", MOST)], 0),
        ([("east", "tea", -MOST - 1)], 0),
    ],
)
def test_a_movement_below_zero_or_beyond_counting_refuses_all_of_them(
    engine: Engine, rows: list[tuple[str, str, int]], row: int
) -> None:
    cursor = engine.cursor()
    with pytest.raises(InvalidInputError) as refused:
        engine.adjust_stock(rows, versions={"east": 3}, key="k")
    assert (refused.value.code, refused.value.field) == ("OUT_OF_RANGE", "deltas")
    assert (refused.value.row, refused.value.value) == (row, rows[row][2])
    assert (teas(engine), engine.cursor(), engine.stock_version("east")) == ((3, 3), cursor, 0)
    engine.adjust_stock([("east", "tea", 1)], key="k")  # the key was not spent


def test_a_movement_of_an_unknown_sku_or_store_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownSkuError) as sku:
        engine.adjust_stock([("east", "tea", 1), ("east", "coffee", 1)])
    assert (sku.value.field, sku.value.row) == ("skus", 1)
    with pytest.raises(UnknownStoreError) as store:
        engine.adjust_stock([("east", "tea", 1), ("north", "tea", 1)])
    assert (store.value.field, store.value.row) == ("stores", 1)
    assert teas(engine) == (3, 3)


@pytest.mark.parametrize("deltas", [[1], [], [1, 2, 3]])
def test_columns_of_different_lengths_are_refused(engine: Engine, deltas: list[int]) -> None:
    stores, skus = ["east", "west"], ["tea", "tea"]
    with pytest.raises(InvalidInputError) as adjusted:
        engine.adjust_stock(stores=stores, skus=skus, deltas=deltas)
    with pytest.raises(InvalidInputError) as was_set:
        engine.set_stock(stores=stores, skus=skus, quantities=deltas)
    assert (adjusted.value.code, was_set.value.code) == ("RAGGED", "RAGGED")
    assert teas(engine) == (3, 3)


def test_columns_of_codes_and_of_ids_mean_the_same(engine: Engine) -> None:
    engine.adjust_stock(stores=["east", "west"], skus=["tea", "tea"], deltas=[1, 2])
    codes: dict[str, Any] = {
        "stores": engine.store_codes(["east", "west"]),
        "skus": engine.sku_codes(["tea", "tea"]),
    }
    engine.adjust_stock(**codes, deltas=[1, 2])
    assert teas(engine) == (5, 7)


# -- VERSIONS ------------------------------------------------------------------------------------


def test_an_update_older_than_the_last_is_left_out_and_said_to_be_stale(engine: Engine) -> None:
    engine.set_stock([("east", "tea", 9)], versions={"east": 5})
    late = [("east", "tea", 1), ("west", "tea", 8)]
    update = engine.set_stock(late, versions={"east": 4, "west": 4})
    assert update.stale == (StaleStock(store_id="east", version=4, last_version=5),)
    assert teas(engine) == (9, 8)
    assert (engine.stock_version("east"), engine.stock_version("west")) == (5, 4)


def test_an_update_of_the_same_version_is_applied_again(engine: Engine) -> None:
    for count in (9, 8):
        update = engine.set_stock([("east", "tea", count)], versions={"east": 5})
        assert update == StockUpdate()
        assert teas(engine) == (count, 3)


def test_a_stale_movement_is_left_out_even_if_it_would_lead_below_zero(engine: Engine) -> None:
    engine.set_stock([("east", "tea", 1)], versions={"east": 5})
    update = engine.adjust_stock(
        [("east", "tea", -3), ("west", "tea", -3)], versions={"east": 4, "west": 1}
    )
    assert [stale.store_id for stale in update.stale] == ["east"]
    assert teas(engine) == (1, 0)


def test_a_version_counts_for_its_store_even_without_a_row(engine: Engine) -> None:
    engine.set_stock([], versions={"east": 5})
    assert engine.stock_version("east") == 5
    assert len(engine.set_stock([], versions={"east": 2**63 - 1}).stale) == 0
    assert len(engine.set_stock([], versions={"east": 1}).stale) == 1


def test_an_update_without_a_version_is_always_applied_and_leaves_the_last(engine: Engine) -> None:
    engine.set_stock([("east", "tea", 1)], versions={"east": 5})
    assert engine.set_stock([("east", "tea", 7)], versions={"west": 1}) == StockUpdate()
    assert (teas(engine), engine.stock_version("east")) == ((7, 3), 5)


def test_new_skus_of_a_stale_store_are_known_and_sell_nothing(engine: Engine) -> None:
    engine.set_stock([], versions={"east": 5})
    engine.set_stock([("east", "coffee", 4)], versions={"east": 1})
    assert engine.available("east", "coffee") == 0
    assert [level.sku for level in engine.stock("east")] == ["tea", "milk"]


@pytest.mark.parametrize(
    ("versions", "code", "field"),
    [
        ({"east": 1, "north": 1}, "UNKNOWN_STORE", "versions"),
        ({"east": 0}, "OUT_OF_RANGE", "versions['east']"),
        ({"east": -1}, "OUT_OF_RANGE", "versions['east']"),
        ({"east": 2**63}, "OUT_OF_RANGE", "versions['east']"),
        ({"east": 1.0}, "WRONG_TYPE", "versions['east']"),
        ({"east": "1"}, "WRONG_TYPE", "versions['east']"),
        ({"east": None}, "WRONG_TYPE", "versions['east']"),
        ([("east", 1)], "WRONG_TYPE", "versions"),
        (7, "WRONG_TYPE", "versions"),
    ],
)
def test_a_bad_version_refuses_the_update(
    engine: Engine, versions: Any, code: str, field: str
) -> None:
    for call in (engine.set_stock, engine.adjust_stock):
        with pytest.raises(FendanError) as refused:
            call([("east", "tea", 2)], versions=versions, key="k")
        assert (refused.value.code, refused.value.field) == (code, field)
    assert (teas(engine), engine.stock_version("east")) == ((3, 3), 0)


# -- KEYS ----------------------------------------------------------------------------------------


def test_a_retried_movement_is_applied_once_and_gets_its_first_answer(engine: Engine) -> None:
    engine.route(order("1", ("tea", 3)))
    movement = [("east", "tea", -1)]
    first = engine.adjust_stock(movement, key="k")
    assert len(first.shortfalls) == 1
    engine.release("1")
    cursor = engine.cursor()
    assert engine.adjust_stock(movement, key="k") == first
    assert (teas(engine), engine.cursor()) == ((2, 3), cursor)


def test_a_retried_snapshot_undoes_nothing_that_came_after(engine: Engine) -> None:
    snapshot = [("east", "coffee", 5)]  # a SKU that was new the first time
    first = engine.set_stock(snapshot, versions={"east": 3}, key="k")
    engine.set_stock([("east", "coffee", 2)], versions={"east": 4})
    assert engine.set_stock(snapshot, versions={"east": 3}, key="k") == first == StockUpdate()
    assert engine.available("east", "coffee") == 2


def test_rows_and_columns_of_the_same_content_are_the_same_update(engine: Engine) -> None:
    first = engine.adjust_stock([("east", "tea", 1)], key="k")
    again = engine.adjust_stock(stores=["east"], skus=["tea"], deltas=[1], versions={}, key="k")
    assert again is first or again == first
    assert teas(engine) == (4, 3)


def test_a_key_with_other_content_is_refused(engine: Engine) -> None:
    rows = [("east", "tea", 1), ("west", "milk", 2)]
    engine.set_stock(rows, versions={"east": 1}, key="k")
    for call, other, versions in (
        (engine.adjust_stock, rows, {"east": 1}),
        (engine.set_stock, rows[::-1], {"east": 1}),
        (engine.set_stock, rows[:1], {"east": 1}),
        (engine.set_stock, [("east", "tea", 2), rows[1]], {"east": 1}),
        (engine.set_stock, [("west", "tea", 1), rows[1]], {"east": 1}),
        (engine.set_stock, [("east", "milk", 1), rows[1]], {"east": 1}),
        (engine.set_stock, rows, {"east": 2}),
        (engine.set_stock, rows, {"west": 1}),
        (engine.set_stock, rows, {"east": 1, "west": 1}),
        (engine.set_stock, rows, None),
    ):
        with pytest.raises(KeyConflictError) as refused:
            call(other, versions=versions, key="k")
        assert (refused.value.field, refused.value.value) == ("key", "k")
    assert teas(engine) == (1, 3)
    assert (engine.stock_version("east"), engine.stock_version("west")) == (1, 0)


@pytest.mark.parametrize("key", ["", "a\0b", "x" * 256, "\ud800", 7, b"k"])
def test_a_key_must_be_a_usable_id(engine: Engine, key: Any) -> None:
    for call in (engine.set_stock, engine.adjust_stock):
        with pytest.raises(InvalidInputError) as refused:
            call([("east", "tea", 2)], key=key)
        assert (refused.value.code, refused.value.field) == ("BAD_ID", "key")
    assert teas(engine) == (3, 3)


# -- WHAT THERE IS -------------------------------------------------------------------------------


def test_a_store_is_asked_for_all_it_lists_or_for_some(engine: Engine) -> None:
    engine.set_stock([("west", "coffee", 1), ("east", "milk", 0)])
    engine.route(order("1", ("tea", 2)))
    tea = StockLevel(store_id="east", sku="tea", on_hand=3, reserved=2, sellable=1)
    milk = StockLevel(store_id="east", sku="milk", on_hand=0, reserved=0, sellable=0)
    coffee = StockLevel(store_id="east", sku="coffee", on_hand=0, reserved=0, sellable=0)
    assert engine.stock("east") == [tea, milk]
    assert engine.stock("east", ["coffee", "tea", "tea"]) == [coffee, tea, tea]
    assert engine.stock("east", []) == []
    engine.set_stock([("east", "tea", 1)])
    assert engine.stock("east", iter(["tea"])) == [
        StockLevel(store_id="east", sku="tea", on_hand=1, reserved=2, sellable=0)
    ]


def test_an_unknown_sku_or_store_has_no_stock(engine: Engine) -> None:
    with pytest.raises(UnknownSkuError) as sku:
        engine.stock("east", ["tea", "coffee"])
    assert (sku.value.field, sku.value.row) == ("skus", 1)
    with pytest.raises(UnknownStoreError):
        engine.stock("north")
    for bad in ("tea", 7):
        with pytest.raises(InvalidInputError):
            engine.stock("east", bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        "engine.stock('east', [99])",
        "engine.stock('east', [-1])",
        "list(engine.availability(skus=[99]))",
        "list(engine.availability(skus=[-1]))",
        "engine.changes(engine.cursor(), skus=[99])",
        "engine.changes(engine.cursor(), store_ids=[-1])",
    ],
)
def test_a_number_is_no_sku_to_ask_for_and_no_reason_to_crash(call: str) -> None:
    """In a process of its own, as it may not live through it."""
    script = f"""
from fendan import Engine, InvalidInputError, Store
engine = Engine()
engine.add_stores([Store(id="east", lat=0, lng=0)])
engine.set_stock([("east", "tea", 1)])
try:
    print({call})
except InvalidInputError as error:
    print(error.code)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, "BAD_ID")


def test_a_catalogue_does_not_grow_beyond_bearing(engine: Engine) -> None:
    too_many = pa.array(np.arange(2_000_001)).cast(pa.string())
    columns = {"stores": np.zeros(2_000_001, np.int32), "quantities": np.ones(2_000_001, np.int32)}
    before = list(engine.skus)
    with pytest.raises(InvalidInputError) as caught:
        engine.set_stock(skus=too_many, **columns)
    assert (caught.value.code, caught.value.field) == ("TOO_MANY", "skus")
    assert list(engine.skus) == before
    assert engine.set_stock([(engine.store_ids[0], "one more", 1)]) == StockUpdate()
