"""From no store to three hundred thousand, from one line to a thousand: the answers stay exact."""

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from brute import Brute
from fendan import Engine, Order, Policy, Reason, Status, Store, UnknownSkuError
from twin import Twin

Arrays = dict[str, Any]


def one_line_orders(rng: np.random.Generator, count: int, skus: int) -> Arrays:
    """Orders anywhere on earth."""
    return {
        "lat": rng.uniform(-90, 90, count),
        "lng": rng.uniform(-180, 180, count),
        "offsets": np.arange(count + 1),
        "skus": rng.integers(0, skus, count),
        "quantities": rng.integers(1, 3, count),
    }


def two_line_orders(rng: np.random.Generator, count: int, skus: int) -> Arrays:
    one = one_line_orders(rng, 2 * count, skus)
    return one | {
        "lat": one["lat"][:count],
        "lng": one["lng"][:count],
        "offsets": np.arange(0, 2 * count + 1, 2),
    }


def big_chain(
    store_count: int, sku_count: int, seed: int
) -> tuple[Engine, Brute, np.random.Generator]:
    """Half the stores in a hundred cities, a tenth of the assortment in each; from the seed."""
    rng = np.random.default_rng(seed)
    cities = rng.integers(0, 100, store_count // 2)
    lat, lng = rng.uniform(-89, 89, store_count), rng.uniform(-179, 179, store_count)
    # Cities are a grid of blocks a hundred metres wide: many stores share a corner.
    lat[: len(cities)] = lat[cities] + rng.integers(0, 200, len(cities)) / 1000
    lng[: len(cities)] = lng[cities] + rng.integers(0, 200, len(cities)) / 1000
    ids = [f"store {number}" for number in rng.permutation(store_count)]
    engine = Engine()
    engine.add_stores(
        Store(id=name, lat=a, lng=b)
        for name, a, b in zip(ids, lat.tolist(), lng.tolist(), strict=True)
    )
    net = np.where(rng.random((sku_count, store_count)) < 0.1, 2, 0).astype(np.int32)
    skus, stores = np.nonzero(net)
    engine.set_stock(
        stores=stores, skus=np.array([f"sku {n}" for n in skus]), quantities=net[skus, stores]
    )
    # Codes are given as SKUs first come, and those come in order.
    assert list(engine.skus) == [f"sku {n}" for n in range(sku_count)]
    return engine, Brute(ids, lat, lng, net), rng


def routed_as_by_brute_force(engine: Engine, brute: Brute, arrays: Arrays) -> int:
    """Compare every order; how many were assigned."""
    routed = engine.route_arrays(**arrays)
    offsets = arrays["offsets"]
    for row in range(len(routed)):
        lines = [
            (int(arrays["skus"][line]), int(arrays["quantities"][line]))
            for line in range(offsets[row], offsets[row + 1])
        ]
        place = float(arrays["lat"][row]), float(arrays["lng"][row])
        told = brute.route(place, lines)
        if told is None:
            assert routed.store_codes[row] == -1
        else:
            assert (routed.store_codes[row], routed.distances_m[row]) == told
    return int((routed.statuses == Status.ASSIGNED).sum())


# -- HOW MANY STORES -----------------------------------------------------------------------------


def test_a_chain_without_stores_has_nobody_to_offer() -> None:
    engine = Engine()
    assert engine.nearest(31, 121) == []
    assert engine.route_batch([]) == []
    with pytest.raises(UnknownSkuError):
        engine.route(Order(id="1", lat=31, lng=121, lines=[("tea", 1)]))
    engine.add_stores([])
    assert repr(engine) == "Engine(0 stores, 0 SKUs, 0 known orders)"


def test_a_chain_of_one_store_sends_everything_there() -> None:
    engine = Engine()
    engine.add_stores([Store(id="only", lat=-33, lng=151)])
    engine.set_stock([("only", "tea", 2)])
    told = [
        engine.route(Order(id=f"{lat}", lat=lat, lng=-29, lines=[("tea", 1)])) for lat in (33, 0, 1)
    ]
    assert [decision.store_id for decision in told] == ["only", "only", None]
    assert told[2].reason is Reason.NO_STOCK


def test_a_hundred_thousand_stores_are_searched_exactly() -> None:
    engine, brute, rng = big_chain(100_000, sku_count=20, seed=1)
    assert routed_as_by_brute_force(engine, brute, one_line_orders(rng, 100, 20)) == 100
    # Nobody has three of anything: a SKU that stands twice may be too much.
    assert 80 < routed_as_by_brute_force(engine, brute, two_line_orders(rng, 100, 20)) < 100
    # At the corners of the cities, where stores tie.
    corners = rng.integers(0, 50_000, 100)
    at_stores = one_line_orders(rng, 100, 20)
    at_stores["lat"] = np.array([brute.places[corner][0] for corner in corners])
    at_stores["lng"] = np.array([brute.places[corner][1] for corner in corners])
    assert routed_as_by_brute_force(engine, brute, at_stores) == 100


def test_three_hundred_thousand_stores_need_a_second_group_of_branches() -> None:
    """64 stores to a leaf, 64 leaves to a branch, 64 branches to a group: here are more."""
    engine, brute, rng = big_chain(300_000, sku_count=3, seed=2)
    assert routed_as_by_brute_force(engine, brute, one_line_orders(rng, 60, 3)) == 60
    # Only the very last store sells coffee, wherever the order comes from.
    engine.set_stock([(brute.ids[-1], "coffee", 60)])
    coffee = one_line_orders(rng, 60, 1) | {"skus": engine.sku_codes(["coffee"] * 60)}
    coffee["quantities"] = np.ones(60, dtype=np.int32)
    assert set(engine.route_arrays(**coffee).store_codes) == {299_999}


# -- STORES THAT COME LATER ----------------------------------------------------------------------


def test_five_hundred_stores_open_in_one_street_while_it_sells() -> None:
    """Leaves overflow and the chain is sorted anew, again and again, with stock in place."""
    rng = random.Random(3)
    engine, twin = Engine(), Twin()
    for face in (engine, twin):
        face.add_stores(Store(id=f"old {n}", lat=n % 20, lng=n // 20) for n in range(200))
        face.set_stock((f"old {n}", "tea", 1) for n in range(200))
    for number in range(500):
        opened = [Store(id=f"new {number}", lat=5.5, lng=5.5 + number * 1e-6)]
        for face in (engine, twin):
            face.add_stores(opened)
            if number % 3 == 0:
                face.set_stock([(f"new {number}", "tea", 1)])
        if number % 2 == 0:
            order = Order(id=f"{number}", lat=5.5, lng=rng.uniform(5, 6), lines=[("tea", 1)])
            assert engine.route(order) == twin.route(order)
        if number % 10 == 0:
            assert engine.release(f"{number}") == twin.release(f"{number}")
    for store in twin.places:
        assert engine.available(store, "tea") == twin.available(store, "tea")


def test_it_does_not_matter_in_which_order_stores_were_added() -> None:
    rng = np.random.default_rng(4)
    stores = [
        Store(id=f"{n}", lat=rng.integers(0, 40) / 2, lng=rng.integers(0, 40) / 2)
        for n in rng.permutation(800)
    ]
    orders = [
        Order(id=f"{n}", lat=rng.integers(0, 80) / 4, lng=rng.integers(0, 80) / 4, lines=[("t", 1)])
        for n in range(600)
    ]

    def decided(arrivals: list[list[Store]]) -> list[object]:
        engine = Engine()
        for arrival in arrivals:
            engine.add_stores(arrival)
        engine.set_stock((store.id, "t", 1) for store in stores)
        return list(engine.route_batch(orders))

    at_once = decided([stores])
    assert decided([stores[::-1]]) == at_once
    assert decided([[store] for store in stores[:300]] + [stores[300:]]) == at_once
    assert decided([sorted(stores, key=lambda store: store.id)]) == at_once


# -- STOCK AND BASKETS ---------------------------------------------------------------------------


def test_a_chain_that_is_emptied_and_refilled_sells_as_on_the_first_day() -> None:
    engine = Engine()
    names = [f"{n}" for n in range(1000)]
    engine.add_stores(Store(id=name, lat=int(name) / 20, lng=3.0) for name in names)
    answers: list[NDArray[np.int32]] = []
    rng = np.random.default_rng(5)
    places: Arrays = {"lat": rng.uniform(0, 50, 1100), "lng": rng.uniform(0, 6, 1100)}
    for _ in range(3):
        # A snapshot counts what stands on the shelf, with what is reserved for earlier orders.
        reserved = len(answers)
        engine.set_stock(stores=names, skus=["tea"] * 1000, quantities=[reserved + 1] * 1000)
        routed = engine.route_arrays(
            **places, offsets=np.arange(1101), skus=[0] * 1100, quantities=[1] * 1100
        )
        assert (routed.statuses == Status.ASSIGNED).sum() == 1000
        assert not any(engine.available(name, "tea") for name in names)
        answers.append(routed.store_codes)
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


def test_an_order_of_1110_lines_goes_where_all_of_them_are() -> None:
    """As long as the longest real one."""
    skus = [f"sku {n}" for n in range(1110)]
    engine = Engine()
    engine.add_stores(Store(id=f"{n}", lat=n / 10, lng=0) for n in range(100))
    engine.set_stock((f"{n}", sku, 2) for n in range(100) for sku in skus)
    engine.set_stock((f"{n}", skus[n * 11], 1) for n in range(40))
    lines = [(sku, 1) for sku in skus] + [(sku, 1) for sku in skus[::-1]]
    told = engine.route(Order(id="long", lat=0, lng=0, lines=lines))
    assert told.store_id == "40"
    assert not any(engine.available("40", sku) for sku in skus)
    assert engine.route(Order(id="long", lat=0, lng=0, lines=lines[::-1])) == told
    assert engine.release("long") is True
    assert all(engine.available("40", sku) == 2 for sku in skus)


def test_an_order_of_ten_thousand_lines_is_still_taken() -> None:
    engine = Engine()
    engine.add_stores([Store(id="s", lat=0, lng=0)])
    engine.set_stock([("s", "tea", 10_000)])
    order = Order(id="longest", lat=0, lng=0, lines=[("tea", 1)] * 10_000)
    assert engine.route(order).store_id == "s"
    assert engine.available("s", "tea") == 0


def test_counts_reach_to_the_last_int32() -> None:
    most = 2**31 - 1
    engine = Engine()
    engine.add_stores([Store(id="s", lat=0, lng=0)])
    engine.set_stock([("s", "tea", most)])
    assert engine.route(Order(id="all", lat=0, lng=0, lines=[("tea", most)])).store_id == "s"
    (short,) = engine.set_stock([("s", "tea", 0)]).shortfalls
    assert (short.on_hand, short.reserved) == (0, most)
    assert engine.set_stock([("s", "tea", most)]).shortfalls == ()
    assert engine.release("all") is True
    assert engine.available("s", "tea") == most


# -- SAME IN, SAME OUT ---------------------------------------------------------------------------


def shop_and_orders() -> tuple[Engine, list[Order], Arrays]:
    engine = Engine(policy=Policy(radius_m=300_000))
    rng = np.random.default_rng(6)
    engine.add_stores(
        Store(id=f"{n}", lat=lat, lng=lng)
        for n, (lat, lng) in enumerate(rng.integers(0, 100, (700, 2)) / 10)
    )
    skus = [f"sku {n}" for n in range(10)]
    engine.set_stock((f"{n}", sku, int(rng.integers(0, 4))) for n in range(700) for sku in skus)
    arrays = two_line_orders(rng, 4000, 10)
    arrays["lat"], arrays["lng"] = rng.uniform(-1, 11, 4000), rng.uniform(-1, 11, 4000)
    orders = [
        Order(
            id=f"{n}",
            lat=arrays["lat"][n],
            lng=arrays["lng"][n],
            lines=[
                (skus[arrays["skus"][k]], int(arrays["quantities"][k])) for k in (2 * n, 2 * n + 1)
            ],
        )
        for n in range(4000)
    ]
    return engine, orders, arrays


def test_one_batch_many_batches_single_orders_and_arrays_get_the_same_decisions() -> None:
    engine, orders, _ = shop_and_orders()
    at_once = engine.route_batch(orders)
    assert {decision.reason for decision in at_once} >= {Reason.NONE, Reason.NO_STOCK}

    again, _, _ = shop_and_orders()
    assert again.route_batch(orders) == at_once

    singly, _, _ = shop_and_orders()
    assert [singly.route(order) for order in orders] == at_once

    for size in (7, 16, 17, 1000):
        pieces, _, _ = shop_and_orders()
        told = [
            decision
            for first in range(0, len(orders), size)
            for decision in pieces.route_batch(orders[first : first + size])
        ]
        assert told == at_once

    by_arrays, _, arrays = shop_and_orders()
    by_arrays.route_arrays(**arrays, ids=[order.id for order in orders])
    assert [by_arrays.decision(order.id) for order in orders] == at_once


def test_stock_loaded_in_bulk_survives_single_changes_more_bulk_and_new_stores() -> None:
    """Many shelves made at once stand in one slab; each may leave it alone, or all together."""
    random = np.random.default_rng(3)
    stores, skus = 300, 5_000
    engine = Engine()
    engine.add_stores(
        Store(id=f"S{number}", lat=31.0 + number / 1_000, lng=121.0) for number in range(stores)
    )
    on_hand = np.zeros((stores, skus), dtype=np.int32)
    names = [f"K{number}" for number in range(skus)]
    engine.set_stock(stores=["S0"] * skus, skus=names, quantities=[0] * skus)

    def load_some(count: int) -> None:
        pairs = random.choice(stores * skus, count, replace=False).astype(np.int32)
        quantities = random.integers(1, 9, count, dtype=np.int32)
        engine.set_stock(stores=pairs // skus, skus=pairs % skus, quantities=quantities)
        on_hand[pairs // skus, pairs % skus] = quantities

    def check() -> None:
        for store, sku in random.integers(0, (stores, skus), (2_000, 2)):
            assert engine.available(f"S{store}", f"K{sku}") == on_hand[store, sku]

    for count in (1_200_000, 1, 7, 1_300_000, 1):
        load_some(count)
        check()
    engine.add_stores(
        Store(id=f"N{number}", lat=32.0 + number / 1_000, lng=121.0) for number in range(200)
    )
    check()
    engine.set_stock([("N7", "K7", 3)])
    assert engine.available("N7", "K7") == 3
    check()
