"""Many threads on one engine: calls take turns, nothing is sold twice, and the counts add up."""

import random
import threading
import time
from collections.abc import Callable
from itertools import chain

from fendan import Decision, Engine, Order, Status, Store

THREADS = 8
PATIENCE_S = 120.0
SKUS = ("tea", "milk", "rice")
STORES = 20
PIECES = 40  # of each SKU in each store


def together(work: Callable[[int], None]) -> None:
    """Run `work(0)` to `work(7)` at the same time; what one of them raises, raises here."""
    start = threading.Barrier(THREADS)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=run, args=(number,), daemon=True) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + PATIENCE_S
    while any(thread.is_alive() for thread in threads) and not errors:
        assert time.monotonic() < deadline_s, "they wait for each other"
        time.sleep(0.001)
    if errors:
        raise errors[0]


def a_chain(engine: Engine | None = None) -> Engine:
    engine = engine or Engine()
    engine.add_stores(Store(id=f"{n}", lat=31 + n / 100, lng=121.0) for n in range(STORES))
    engine.set_stock((f"{n}", sku, PIECES) for n in range(STORES) for sku in SKUS)
    return engine


def some_orders(thread: int, count: int) -> list[Order]:
    rng = random.Random(thread)
    return [
        Order(
            id=f"{thread}-{number}",
            lat=31 + rng.random() / 5,
            lng=121.0,
            lines=[(rng.choice(SKUS), rng.randint(1, 3)), (rng.choice(SKUS), 1)],
        )
        for number in range(count)
    ]


def taken(orders: list[Order], decisions: list[Decision], store: str, sku: str) -> int:
    return sum(
        quantity
        for order, decision in zip(orders, decisions, strict=True)
        if decision.store_id == store
        for name, quantity in order.lines
        if name == sku
    )


def test_eight_threads_that_want_everything_get_exactly_what_there_is() -> None:
    engine = a_chain()
    orders = [some_orders(thread, 300) for thread in range(THREADS)]
    decisions: list[list[Decision]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        for first in range(0, 300, 30):
            some = orders[thread][first : first + 30]
            decisions[thread] += engine.route_batch(some[:20])
            decisions[thread] += [engine.route(order) for order in some[20:]]

    together(work)
    all_orders, all_decisions = list(chain(*orders)), list(chain(*decisions))
    assert any(decision.status is Status.UNASSIGNED for decision in all_decisions)
    for number in range(STORES):
        for sku in SKUS:
            sold = taken(all_orders, all_decisions, f"{number}", sku)
            assert sold + engine.available(f"{number}", sku) == PIECES


def test_threads_that_send_the_same_orders_get_the_same_answers() -> None:
    engine = a_chain()
    orders = some_orders(0, 400)
    decisions: list[list[Decision]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        mine = random.Random(thread).sample(orders, len(orders))
        told = dict(zip((o.id for o in mine), engine.route_batch(mine), strict=True))
        decisions[thread] = [told[order.id] for order in orders]

    together(work)
    assert all(told == decisions[0] for told in decisions)
    for number in range(STORES):
        for sku in SKUS:
            sold = taken(orders, decisions[0], f"{number}", sku)
            assert sold + engine.available(f"{number}", sku) == PIECES


def test_stock_is_whole_again_when_everybody_has_routed_and_released() -> None:
    """While other threads open stores and bring the snapshot of before once more."""
    engine = a_chain()

    def route_and_release(thread: int) -> None:
        for order in some_orders(thread, 150):
            if engine.route(order).status is Status.ASSIGNED:
                assert engine.release(order.id) is True
                assert engine.release(order.id) is False

    def open_stores(thread: int) -> None:
        for number in range(60):
            engine.add_stores([Store(id=f"new {thread}-{number}", lat=31.0, lng=121 + number)])

    def bring_snapshots(thread: int) -> None:
        for _ in range(60):
            assert engine.set_stock((f"{n}", "tea", PIECES) for n in range(STORES)).shortfalls == ()
            assert 0 <= engine.available("3", "tea") <= PIECES
            assert len(engine.nearest(31.05, 121.0, limit=3)) == 3

    jobs = [route_and_release] * 5 + [open_stores] * 2 + [bring_snapshots]
    together(lambda thread: jobs[thread](thread))
    assert len(engine.store_ids) == len(set(engine.store_ids)) == STORES + 120
    for number in range(STORES):
        assert [engine.available(f"{number}", sku) for sku in SKUS] == [PIECES] * len(SKUS)


def test_two_threads_that_release_the_same_order_give_its_stock_back_once() -> None:
    engine = a_chain()
    orders = some_orders(0, 200)
    told = engine.route_batch(orders)
    given_back: list[list[bool]] = [[] for _ in range(THREADS)]

    def work(thread: int) -> None:
        given_back[thread] = [engine.release(order.id) for order in orders]

    together(work)
    for number, decision in enumerate(told):
        times = sum(released[number] for released in given_back)
        assert times == (decision.status is Status.ASSIGNED)
    assert all(
        engine.available(f"{number}", sku) == PIECES for number in range(STORES) for sku in SKUS
    )
