"""Each operation on its own: `pytest benchmarks`. What is asserted is the result, never seconds.

FENDAN_BENCH_SMOKE=1 makes everything tiny, to see that it runs.
"""

import os
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import fendan
from fendan.workloads.workload import Workload, metro, order_objects
from peers import AllStores, dense_stock
from workload import Restock, decision_hash, engine_for

SMOKE = os.environ.get("FENDAN_BENCH_SMOKE", "") not in ("", "0")
FEW, MANY = (60, 600) if SMOKE else (600, 6000)
SKUS, SKUS_PER_STORE, ORDERS = (400, 100, 200) if SMOKE else (10_000, 2500, 10_000)
ROUNDS = 3 if SMOKE else 15
SCANNED_ORDERS = 50
CLOSE_M = 3000.0
SOLD_OUT = 0.9


class Stocked(NamedTuple):
    """A workload, its engine, the one that keeps the engine's stock fresh, and the slow scan."""

    workload: Workload
    engine: fendan.Engine
    restock: Restock
    scan: AllStores


@cache
def stocked(stores: int, sold_out: float = 0.0) -> Stocked:
    workload = metro(stores, SKUS, SKUS_PER_STORE, ORDERS, sold_out=sold_out)
    engine = engine_for(workload)
    scan = AllStores(workload, dense_stock(workload))
    return Stocked(workload, engine, Restock(engine, workload), scan)


def route_again_and_again(
    benchmark: BenchmarkFixture, stores: int, lines: int, policy: fendan.Policy, sold_out: float = 0
) -> None:
    """Time route_arrays with fresh stock each round; the scan judges the first orders."""
    workload, engine, restock, scan = stocked(stores, sold_out)
    orders = workload.more_orders(ORDERS, lines=lines)
    routed: list[fendan.Routed] = []
    hashes: set[str] = set()

    def route() -> None:
        routed.append(engine.route_arrays(**vars(orders), policy=policy))

    def fresh_stock() -> None:
        if routed:
            hashes.add(decision_hash(routed[-1].store_codes, routed[-1].distances_m))
            restock.put_back(routed[-1].store_codes, orders)

    benchmark.pedantic(route, setup=fresh_stock, rounds=ROUNDS, warmup_rounds=1)
    fresh_stock()
    assert len(hashes) == 1
    scanned = scan.route(orders.head(SCANNED_ORDERS), policy.radius_m)
    np.testing.assert_array_equal(routed[-1].store_codes[:SCANNED_ORDERS], scanned)


@pytest.mark.parametrize("radius_m", [None, CLOSE_M], ids=["anywhere", "close"])
@pytest.mark.parametrize("lines", [1, 2, 5])
@pytest.mark.parametrize("stores", [FEW, MANY])
def test_route_arrays(
    benchmark: BenchmarkFixture, stores: int, lines: int, radius_m: float | None
) -> None:
    route_again_and_again(benchmark, stores, lines, fendan.Policy(radius_m=radius_m))


@pytest.mark.parametrize("stores", [FEW, MANY])
def test_route_arrays_when_nearly_all_is_sold_out(benchmark: BenchmarkFixture, stores: int) -> None:
    route_again_and_again(benchmark, stores, 2, fendan.Policy(), sold_out=SOLD_OUT)


@pytest.mark.parametrize("stores", [FEW, MANY])
def test_route_one_order(benchmark: BenchmarkFixture, stores: int) -> None:
    workload, engine, _, scan = stocked(stores)
    (example,) = order_objects(workload.orders.head(1), engine.skus, prefix="")
    fresh_id = count()
    routed: list[fendan.Decision] = []

    def new_order() -> tuple[tuple[fendan.Order], dict[str, Any]]:
        release()
        name = f"one-{next(fresh_id)}"
        order = fendan.Order(id=name, lat=example.lat, lng=example.lng, lines=example.lines)
        return (order,), {}

    def release() -> None:
        while routed:
            engine.release(routed.pop().order_id)

    def route(order: fendan.Order) -> fendan.Decision:
        routed.append(engine.route(order))
        return routed[-1]

    decision = benchmark.pedantic(route, setup=new_order, rounds=50 * ROUNDS)
    release()
    (nearest,) = scan.route(workload.orders.head(1))
    assert decision.store_id == engine.store_ids[nearest]


@pytest.mark.parametrize("stores", [FEW, MANY])
def test_nearest_stores_with_a_basket(benchmark: BenchmarkFixture, stores: int) -> None:
    workload, engine, _, scan = stocked(stores)
    (order,) = order_objects(workload.orders.head(1), engine.skus, prefix="")
    found = benchmark(engine.nearest, order.lat, order.lng, lines=order.lines, limit=5)
    (nearest,) = scan.route(workload.orders.head(1))
    assert found[0].store_id == engine.store_ids[nearest]
    assert [there.distance_m for there in found] == sorted(there.distance_m for there in found)


@pytest.mark.parametrize("rows", [1, 100_000])
@pytest.mark.parametrize("stores", [FEW, MANY])
def test_set_stock(benchmark: BenchmarkFixture, stores: int, rows: int) -> None:
    workload, engine, *_ = stocked(stores)
    columns = workload.stock_rows
    some = np.random.default_rng(workload.seed).permutation(len(columns[0]))[:rows]
    store_codes, skus, quantities = (column[some] for column in columns)
    pairs = engine.pair_count
    update = benchmark(engine.set_stock, stores=store_codes, skus=skus, quantities=quantities)
    assert update == fendan.StockUpdate()
    assert engine.pair_count == pairs
    store, sku = engine.store_ids[store_codes[-1]], engine.skus[skus[-1]]
    assert engine.available(store, sku) == quantities[-1]


@pytest.mark.parametrize("stores", [FEW, MANY])
def test_available(benchmark: BenchmarkFixture, stores: int) -> None:
    workload, engine, *_ = stocked(stores)
    store, sku = engine.store_ids[-1], engine.skus[workload.carried[-1, 0]]
    assert benchmark(engine.available, store, sku) == workload.on_hand[-1, 0]
