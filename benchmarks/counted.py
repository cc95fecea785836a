"""Fixed small work whose instructions are counted: one function a way through the engine.

Each makes what it needs, does the work once so that nothing is done for the first time, and
returns the same work on other orders. `instructions.py` runs this file under callgrind; by itself
it counts nothing and prints nothing.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from ctypes import CDLL
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fendan
from fendan.engine import wire
from fendan.workloads.workload import (
    KM_PER_DEGREE,
    Workload,
    metro,
    order_objects,
    sku_names,
    store_ids,
)
from workload import Noon, engine_for

SEED = 1
ORDERS = 200  # a unit of work; also rows of stock, or steps in the life of orders
STORES, SKUS, SKUS_PER_STORE = 640, 400, 100
FAR_KM = 2000.0

RULES = """
default_type = "SAME_DAY"

[types.SAME_DAY]
steps = [{ name = "STORE", radius_m = 20000 }, { name = "NATIONWIDE" }]
hours = "OPEN_NOW"
cut_off = "10min"
ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "LOAD", "PRIORITY", "DISTANCE"]
"""
SPLITS = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
steps = [{ name = "STORE", radius_m = 20000, split = { mode = "FEWEST", most_shipments = 5 } }]
"""

Work = Callable[[], object]


@cache
def _workload(skus_per_store: int = SKUS_PER_STORE) -> Workload:
    return metro(STORES, SKUS, skus_per_store, orders=1, seed=SEED)


def _engine(workload: Workload, policy: str | None = None) -> fendan.Engine:
    engine = engine_for(workload, clock=Noon())
    if policy is not None:
        engine.activate_policy(engine.draft_policy(policy))
    return engine


def _arrays(workload: Workload, engine: fendan.Engine, lines: int, **options: Any) -> Work:
    """Batches of arrays, the first of which is not counted."""
    first, second = (workload.more_orders(ORDERS, lines=lines, batch=b) for b in (1, 2))
    engine.route_arrays(**vars(first), **options)
    return lambda: engine.route_arrays(**vars(second), **options)


def _objects(workload: Workload, engine: fendan.Engine, batch: int) -> list[fendan.Order]:
    return order_objects(workload.more_orders(ORDERS, batch=batch), engine.skus, f"O{batch}-")


def two_lines() -> Work:
    """`route_arrays`, two lines an order: the search and the reservation, and nothing else."""
    workload = _workload()
    return _arrays(workload, _engine(workload), lines=2)


def five_lines() -> Work:
    """`route_arrays`, five lines an order: few stores have them all, the search goes far."""
    workload = _workload()
    return _arrays(workload, _engine(workload), lines=5)


def sold_out() -> Work:
    """`route_arrays` where a store lists 1 % of the goods: most orders find none."""
    workload = _workload(skus_per_store=SKUS // 100)
    return _arrays(workload, _engine(workload), lines=2)


def out_of_range() -> Work:
    """`route_arrays` of orders 2,000 km from every store that may serve them."""
    workload = _workload()
    engine = _engine(workload)
    orders = dict(vars(workload.more_orders(ORDERS, batch=1)))
    orders["lat"] = orders["lat"] - FAR_KM / KM_PER_DEGREE
    policy = fendan.Policy(radius_m=3000)
    engine.route_arrays(**orders, policy=policy)
    return lambda: engine.route_arrays(**orders, policy=policy)


def under_rules() -> Work:
    """`route_arrays` under a policy: hours, a ranking chain, two steps."""
    workload = _workload()
    engine = _engine(workload)
    random = np.random.default_rng([SEED, 9])
    profiles = {
        name: fendan.StoreProfile(
            hours={"daily": f"{random.integers(6, 10):02d}:00-22:00"},
            most_open_orders=int(random.integers(50, 200)),
            priority=int(random.integers(0, 3)),
        )
        for name in store_ids(workload)
    }
    engine.set_store_profiles(profiles)
    engine.activate_policy(engine.draft_policy(RULES))
    return _arrays(workload, engine, lines=2)


def split() -> Work:
    """`route_arrays` of five lines that several stores may share."""
    workload = _workload()
    return _arrays(workload, _engine(workload, SPLITS), lines=5, dry_run=True)


def objects() -> Work:
    """`route_batch`: Order objects in, Decision objects out."""
    workload = _workload()
    engine = _engine(workload)
    first, second = (_objects(workload, engine, batch) for batch in (1, 2))
    engine.route_batch(first)
    return lambda: engine.route_batch(second)


def messages() -> Work:
    """A BatchRoute message from bytes to bytes, as both doors answer it."""
    workload = _workload()
    engine = _engine(workload)
    first, second = (wire.write_request(_objects(workload, engine, batch)) for batch in (1, 2))

    def answer(data: bytes) -> bytes:
        return engine.route_request(wire.Request.read(data, wire.BATCH, ORDERS)).encode()

    answer(first)
    return lambda: answer(second)


def one_by_one() -> Work:
    """`route`, an order a call."""
    workload = _workload()
    engine = _engine(workload)
    first, second = (_objects(workload, engine, batch) for batch in (1, 2))
    for order in first:
        engine.route(order)
    return lambda: [engine.route(order) for order in second]


def released() -> Work:
    """`release_batch`: orders that give their stock back."""
    workload = _workload()
    engine = _engine(workload)
    first, second = (_objects(workload, engine, batch) for batch in (1, 2))
    engine.route_batch([*first, *second])
    engine.release_batch([order.id for order in first])
    names = [order.id for order in second]
    return lambda: engine.release_batch(names)


def stock_set() -> Work:
    """`set_stock` of rows by code."""
    workload = _workload()
    engine = _engine(workload)
    rows = np.random.default_rng(SEED).permutation(workload.on_hand.size)
    stores, skus, quantities = workload.stock_rows

    def set_some(some: NDArray[np.int64]) -> object:
        return engine.set_stock(stores=stores[some], skus=skus[some], quantities=quantities[some])

    set_some(rows[:ORDERS])
    return lambda: set_some(rows[ORDERS : 2 * ORDERS])


def nearest() -> Work:
    """`nearest`, five stores that have the goods."""
    workload = _workload()
    engine = _engine(workload)
    first, second = (_objects(workload, engine, batch) for batch in (1, 2))

    def ask(orders: Sequence[fendan.Order]) -> object:
        return [engine.nearest(one.lat, one.lng, lines=one.lines, limit=5) for one in orders]

    ask(first)
    return lambda: ask(second)


def available() -> Work:
    """`available`, a pair a call."""
    workload = _workload()
    engine = _engine(workload)
    stores, skus = store_ids(workload), sku_names(workload)
    pairs = [(stores[row % STORES], skus[7 * row % SKUS]) for row in range(2 * ORDERS)]

    def ask(some: Sequence[tuple[str, str]]) -> object:
        return [engine.available(store, sku) for store, sku in some]

    ask(pairs[:ORDERS])
    return lambda: ask(pairs[ORDERS:])


COUNTED = (
    *(two_lines, five_lines, sold_out, out_of_range, under_rules, split),
    *(messages, objects, one_by_one, released, stock_set, nearest, available),
)


def main(library: str) -> None:
    """Do all of it, and tell callgrind where each begins and ends."""
    callgrind = CDLL(library)
    for prepare in COUNTED:
        work = prepare()
        gc.collect()  # what was made before is not looked through in the midst of the work
        gc.disable()
        callgrind.begin_counting()
        work()
        callgrind.end_counting(prepare.__name__.encode())


if __name__ == "__main__":
    main(sys.argv[1])
