"""What waiting orders cost: `python benchmarks/waiting.py [--smoke] [--json FILE]`.

Over the chain *metro* 100,000 orders wait, ten for each of 10,000 SKUs that no store has. Then one
of these SKUs arrives at a store, ten pieces of it: how long until its ten orders are found and
assigned, by one `retry_due`, whoever else waits. Beside it, what a turn takes when nothing has
changed or only what nobody waits for, and how much more an order takes that comes to wait.
`--smoke` runs all of it in tiny sizes, where the target means nothing.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

import command
from fendan import Engine, Order, RetryPolicy
from fendan.workloads.workload import Workload, metro
from machine import machine
from rows import Row, as_table
from workload import engine_for

SEED = 1
ORDERS_PER_SKU = 10
BATCH_ORDERS = 1_000
TARGET_MS = 1.0


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    waiting: int = 100_000
    arrivals: int = 300


FULL = Sizes()
SMOKE = Sizes(stores=60, skus=100, skus_per_store=20, waiting=500, arrivals=5)


@dataclass(frozen=True)
class Report:
    """What was found out; `decisions` hashes which orders got which store."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    decisions: str
    assigned: int
    rows: list[Row]


# -- WHO WAITS ---------------------------------------------------------------------------------


def waiting_orders(workload: Workload, sizes: Sizes) -> list[Order]:
    """Ten for each SKU of a kind that no store has, one SKU after another."""
    places = len(workload.orders.lat)
    return [
        Order(
            id=f"W{number:06}",
            lat=float(workload.orders.lat[number % places]),
            lng=float(workload.orders.lng[number % places]),
            lines=[(f"awaited {number % (sizes.waiting // ORDERS_PER_SKU)}", 1)],
            priority=number % 3,
            buyer_id=f"buyer {number % 50_000}",
        )
        for number in range(sizes.waiting)
    ]


def let_wait(engine: Engine, orders: Sequence[Order], sizes: Sizes) -> list[float]:
    """Route them all, in vain; what each batch took an order, in us."""
    store = engine.store_ids[0]
    awaited = range(sizes.waiting // ORDERS_PER_SKU)
    engine.set_stock([(store, f"awaited {number}", 0) for number in awaited])
    took = []
    for first in range(0, len(orders), BATCH_ORDERS):
        batch = orders[first : first + BATCH_ORDERS]
        start = time.perf_counter()
        engine.route_batch(batch)
        took.append(1e6 * (time.perf_counter() - start) / len(batch))
    return took


# -- MEASURING ---------------------------------------------------------------------------------


def measure(sizes: Sizes, say: Callable[[str], object] = lambda _: None) -> Report:
    """Let them wait, and let stock arrive."""
    say("loading")
    workload = metro(sizes.stores, sizes.skus, sizes.skus_per_store, BATCH_ORDERS, seed=SEED)
    engine = engine_for(workload)
    orders = waiting_orders(workload, sizes)
    say("orders that nobody keeps")
    plain = engine_for(workload)
    forgotten = let_wait(plain, orders[: 10 * BATCH_ORDERS], sizes)
    del plain
    say("orders that wait")
    engine.keep_exceptions(RetryPolicy(first_wait_s=0.0, most_per_turn=10_000))
    kept = let_wait(engine, orders, sizes)
    while engine.retry_due().has_more:
        pass
    say("arrivals")
    turns, digest, assigned = [], hashlib.sha256(), 0
    for number in range(sizes.arrivals):
        store = engine.store_ids[number * 17 % sizes.stores]
        engine.set_stock([(store, f"awaited {number}", ORDERS_PER_SKU)])
        start = time.perf_counter()
        turn = engine.retry_due()
        turns.append(1e3 * (time.perf_counter() - start))
        assigned += len(turn.assigned)
        digest.update(f"{store}: {turn.assigned}".encode())
    say("other turns")
    others = [_other_turn(engine, sizes, number) for number in range(sizes.arrivals)]
    idle = [_timed_ms(engine) for _ in range(sizes.arrivals)]
    rows = [
        Row.of("ten orders found and assigned", turns, "ms", at_most=TARGET_MS),
        Row.of("a turn after stock that nobody waits for", others, "ms"),
        Row.of("a turn after nothing", idle, "ms"),
        Row.of("route_batch, an order that comes to wait", kept, "us an order"),
        Row.of("… where no queue is kept", forgotten, "us an order"),
    ]
    return Report(sizes, machine(), SEED, digest.hexdigest()[:16], assigned, rows)


def _other_turn(engine: Engine, sizes: Sizes, number: int) -> float:
    engine.set_stock([(engine.store_ids[number % sizes.stores], "nobody's", number)])
    return _timed_ms(engine)


def _timed_ms(engine: Engine) -> float:
    start = time.perf_counter()
    engine.retry_due()
    return 1e3 * (time.perf_counter() - start)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes and the table."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs; {sizes.waiting:,} orders wait; "
        f"{sizes.arrivals} arrivals; seed {report.seed}; decisions {report.decisions}; "
        f"{report.assigned:,} assigned"
    )
    console.print(as_table(report.rows, judged=sizes == FULL))


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
