"""Watchers take the full state, follow the changes, and end with the truth, however they lag."""

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest

from fendan import (
    Availability,
    AvailabilityChanges,
    Engine,
    InvalidInputError,
    Order,
    Store,
    UnknownSkuError,
    UnknownStoreError,
)
from watcher import Watcher

SKUS = [f"sku {number}" for number in range(40)]
PATIENCE_S = 60


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


def available(store_id: str, sku: str, sellable: int) -> Availability:
    return Availability(store_id=store_id, sku=sku, sellable=sellable)


def truth(engine: Engine) -> dict[tuple[str, str], int]:
    """What can be sold, by asking every store."""
    return {
        (level.store_id, level.sku): level.sellable
        for status in engine.stores()
        if not status.paused
        for level in engine.stock(status.store.id)
        if level.sellable
    }


# -- CHANGES -------------------------------------------------------------------------------------


def test_a_reservation_and_a_release_are_changes(engine: Engine) -> None:
    start = engine.cursor()
    engine.route(order("1", ("tea", 2), ("milk", 2)))
    news = engine.changes(start)
    assert news.changes == [available("east", "tea", 1), available("east", "milk", 0)]
    engine.release("1")
    later = engine.changes(news.cursor)
    assert later.changes == [available("east", "tea", 3), available("east", "milk", 2)]
    assert engine.changes(later.cursor) == AvailabilityChanges(changes=[], cursor=later.cursor)


def test_a_pair_that_changed_often_is_told_once_with_its_latest_count(engine: Engine) -> None:
    start = engine.cursor()
    for count in (9, 8, 7):
        engine.set_stock([("west", "tea", count)])
    engine.adjust_stock([("west", "tea", -1)])
    assert engine.changes(start).changes == [available("west", "tea", 6)]


def test_what_changed_nothing_is_no_change(engine: Engine) -> None:
    start = engine.cursor()
    engine.set_stock([("west", "tea", 3), ("west", "coffee", 0)])
    engine.route(order("1", ("tea", 9)))
    engine.route_batch([order("2"), order("3")], dry_run=True)
    engine.update_stores([Store(id="west", lat=0, lng=0)])
    assert engine.cursor() == start


def test_a_paused_store_can_sell_nothing_until_it_resumes(engine: Engine) -> None:
    watcher = Watcher(engine)
    engine.pause_stores(["east"])
    assert watcher.catch_up() == {("west", "tea"): 3, ("west", "milk"): 2}
    engine.set_stock([("east", "tea", 9)])
    assert watcher.catch_up() == {("west", "tea"): 3, ("west", "milk"): 2}
    engine.resume_stores(["east"])
    assert watcher.catch_up() == truth(engine)
    assert watcher.picture["east", "tea"] == 9


def test_a_removed_store_can_sell_nothing(engine: Engine) -> None:
    watcher = Watcher(engine)
    engine.remove_stores(["east"])
    assert watcher.catch_up() == {("west", "tea"): 3, ("west", "milk"): 2}


def test_an_order_of_a_removed_store_says_nothing_of_the_one_that_took_its_id(
    engine: Engine,
) -> None:
    engine.route(order("1"))
    engine.remove_stores(["east"])
    engine.add_stores([Store(id="east", lat=31.23, lng=121.48)])
    engine.set_stock([("east", "tea", 7)])
    watcher = Watcher(engine)
    engine.release("1")
    assert watcher.catch_up() == truth(engine)
    assert watcher.picture["east", "tea"] == 7


def test_new_stores_and_new_skus_are_seen(engine: Engine) -> None:
    watcher = Watcher(engine)
    engine.add_stores(Store(id=f"{n}", lat=n / 10, lng=0) for n in range(200))
    engine.set_stock((f"{n}", f"sku {n % 7}", n) for n in range(200))
    assert watcher.catch_up() == truth(engine)
    assert len(watcher.picture) == 199 + 4


# -- WHAT IS WATCHED -----------------------------------------------------------------------------


def test_a_watcher_of_some_stores_and_skus_sees_only_those(engine: Engine) -> None:
    watcher = Watcher(engine, store_ids=["west"], skus=["tea"])
    assert watcher.picture == {("west", "tea"): 3}
    engine.set_stock((s, sku, 5) for s in ("east", "west") for sku in ("tea", "milk"))
    assert watcher.catch_up() == {("west", "tea"): 5}
    assert Watcher(engine, store_ids=[]).picture == {}
    assert Watcher(engine, skus=iter(["milk"])).picture == {
        ("east", "milk"): 5,
        ("west", "milk"): 5,
    }


@pytest.mark.parametrize("wanted", [{}, {"store_ids": ["east", "west"]}, {"skus": ["tea"]}])
def test_a_watcher_is_not_left_with_what_the_predecessor_of_a_store_had(
    engine: Engine, wanted: dict[str, list[str]]
) -> None:
    watcher = Watcher(engine, **wanted)
    engine.remove_stores(["east"])
    engine.add_stores([Store(id="east", lat=0, lng=0)])
    assert watcher.catch_up() == Watcher(engine, **wanted).picture
    assert ("east", "tea") not in watcher.picture


def test_what_nobody_knows_cannot_be_watched(engine: Engine) -> None:
    for wanted, error in (
        ({"store_ids": ["east", "north"]}, UnknownStoreError),
        ({"skus": ["tea", "coffee"]}, UnknownSkuError),
        ({"store_ids": "east"}, InvalidInputError),
        ({"skus": "tea"}, InvalidInputError),
        ({"skus": 7}, InvalidInputError),
    ):
        for call in (engine.availability, lambda **w: engine.changes(engine.cursor(), **w)):
            with pytest.raises(error):
                call(**wanted)


# -- THE FULL STATE ------------------------------------------------------------------------------


def test_the_full_state_comes_in_pieces_and_only_the_last_has_a_cursor() -> None:
    engine = a_chain()
    pieces = list(engine.availability())
    assert len(pieces) > 2
    assert [piece.cursor for piece in pieces[:-1]] == [""] * (len(pieces) - 1)
    assert pieces[-1].cursor == engine.cursor()
    assert not any(piece.reset for piece in pieces)
    named = [(one.store_id, one.sku) for piece in pieces for one in piece.changes]
    assert len(named) == len(set(named)) == len(truth(engine))


def test_what_changes_between_two_pieces_is_not_missed() -> None:
    engine, rng = a_chain(), random.Random(1)
    picture: dict[tuple[str, str], int] = {}
    cursor = ""
    for number, piece in enumerate(engine.availability()):
        picture |= {(one.store_id, one.sku): one.sellable for one in piece.changes}
        cursor = piece.cursor
        engine.set_stock((f"{n}", rng.choice(SKUS), rng.randrange(3)) for n in range(20, 40))
        engine.pause_stores([f"{number}"])
        engine.remove_stores([f"{number + 10}"])
    late = {(one.store_id, one.sku): one.sellable for one in engine.changes(cursor).changes}
    assert {pair: count for pair, count in (picture | late).items() if count} == truth(engine)


# -- CURSORS -------------------------------------------------------------------------------------


def test_more_changes_than_one_call_looks_at_are_all_seen() -> None:
    engine = a_chain(stores=1_000)
    all_of_it, one_sku = Watcher(engine), Watcher(engine, skus=[SKUS[-1]])
    engine.set_stock((f"{n}", sku, 9) for sku in SKUS for n in range(1_000))
    first = engine.changes(all_of_it.cursor)
    assert 0 < len(first.changes) <= 10_000
    assert first.cursor != engine.cursor()
    assert all_of_it.catch_up() == truth(engine)
    assert one_sku.catch_up() == {(f"{n}", SKUS[-1]): 9 for n in range(1_000)}


def test_a_watcher_that_lags_too_far_behind_is_told_to_begin_anew(engine: Engine) -> None:
    watcher, start = Watcher(engine), engine.cursor()
    count = 2**20
    zeros = np.zeros(count, dtype=np.int32)
    engine.set_stock(stores=zeros, skus=zeros, quantities=np.arange(count) % 2 + 4)
    assert not engine.changes(start).reset
    engine.set_stock([("west", "milk", 1)])
    assert engine.changes(start) == AvailabilityChanges(changes=[], cursor="", reset=True)
    assert engine.wait_for_change(start, 0) is True
    assert watcher.catch_up() == truth(engine)
    assert watcher.resets == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda run, number: "",
        lambda run, number: run,
        lambda run, number: f"{run}-",
        lambda run, number: f"{run}-x",
        lambda run, number: f"{run}--1",
        lambda run, number: f"{run}-{number + 1}",
        lambda run, number: f"{run}-{2**63 - 1}",
        lambda run, number: f"{run}-{10**19 - 1}",
        lambda run, number: f"{run}-{10**30}",
        lambda run, number: f"{run}-\u0663",
        lambda run, number: f"0-{number}",
        lambda run, number: 7,
        lambda run, number: None,
    ],
)
def test_a_cursor_that_is_none_of_ours_means_to_begin_anew(engine: Engine, forge) -> None:  # type: ignore[no-untyped-def]
    run, _, number = engine.cursor().partition("-")
    forged = forge(run, int(number))
    assert engine.changes(forged).reset is True
    assert engine.wait_for_change(forged, 0) is True


def test_the_cursor_of_another_engine_means_to_begin_anew(engine: Engine) -> None:
    other = a_chain()
    assert engine.changes(other.cursor()).reset is True


# -- WAITING -------------------------------------------------------------------------------------


def test_one_who_waits_is_woken_by_a_change_and_not_by_less(engine: Engine) -> None:
    start = engine.cursor()
    assert engine.wait_for_change(start, 0.01) is False
    engine.route(order("1"), dry_run=True)
    assert engine.wait_for_change(start, 0) is False
    woken: list[bool] = []
    waiting = threading.Thread(
        target=lambda: woken.append(engine.wait_for_change(start, PATIENCE_S))
    )
    waiting.start()
    engine.adjust_stock([("east", "tea", 1)])
    waiting.join(PATIENCE_S)
    assert woken == [True]
    assert engine.wait_for_change(start, 0) is True


@pytest.mark.parametrize("timeout_s", [float("nan"), "soon", None])
def test_one_cannot_wait_for_no_time_at_all(engine: Engine, timeout_s: object) -> None:
    start = engine.cursor()
    engine.adjust_stock([("east", "tea", 1)])  # so that nobody waits if this is not refused
    with pytest.raises(InvalidInputError):
        engine.wait_for_change(start, timeout_s)  # type: ignore[arg-type]


# -- THREADS -------------------------------------------------------------------------------------


def a_chain(stores: int = 60) -> Engine:
    engine = Engine(remembered_orders=0)
    engine.add_stores(Store(id=f"{n}", lat=31 + n / 100, lng=121.0) for n in range(stores))
    engine.set_stock((f"{n}", sku, 3) for n in range(stores) for sku in SKUS)
    return engine


def route(engine: Engine, seed: int) -> None:
    """Route, dry or not, and release about half of it."""
    rng = random.Random(seed)
    for number in range(60):
        orders = [
            Order(
                id=f"{seed}-{number}-{n}",
                lat=31 + rng.random() / 2,
                lng=121.0,
                lines=[(rng.choice(SKUS), 1), (rng.choice(SKUS), 2)],
            )
            for n in range(10)
        ]
        engine.route_batch(orders, dry_run=rng.random() < 0.2)
        told = engine.route_batch(orders)
        engine.release_batch([one.order_id for one in told if rng.random() < 0.5])


def move_stock(engine: Engine, seed: int) -> None:
    """Snapshots of one store, and each movement twice under one key."""
    rng = random.Random(seed)
    for number in range(80):
        store = f"{rng.randrange(40)}"
        rows = [(store, rng.choice(SKUS), rng.randrange(1, 4)) for _ in range(10)]
        engine.set_stock(rows, versions={store: number + 1})
        first = engine.adjust_stock(rows, key=f"{seed}-{number}")
        assert engine.adjust_stock(rows, key=f"{seed}-{number}") == first


def open_and_close(engine: Engine, seed: int) -> None:
    """Pause, move, resume, remove and open stores; some stay paused."""
    rng = random.Random(seed)
    for number in range(40):
        some = [f"{n}" for n in rng.sample(range(40), 5)]
        engine.pause_stores(some)
        engine.update_stores([Store(id=some[0], lat=31 + rng.random(), lng=121.0)])
        engine.resume_stores(some[:4])
        engine.remove_stores([f"{40 + number % 20}"])
        engine.add_stores([Store(id=f"{40 + number % 20}", lat=31.2, lng=121.0)])
        engine.set_stock([(f"{40 + number % 20}", sku, 2) for sku in SKUS])


class Crew:
    """Threads; what one of them raises is kept."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def start(self, work: Callable[..., None], *what: object) -> None:
        def guarded() -> None:
            try:
                work(*what)
            except BaseException as error:
                self.errors.append(error)

        self.threads.append(threading.Thread(target=guarded, daemon=True))
        self.threads[-1].start()

    def finish(self) -> None:
        for thread in self.threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in self.threads), "a deadlock"
        assert self.errors == []


def test_watchers_end_with_the_truth_whatever_seven_threads_do_meanwhile() -> None:
    engine, done = a_chain(), threading.Event()
    watchers = [Watcher(engine), Watcher(engine), Watcher(engine, skus=SKUS[:3])]

    def watch(watcher: Watcher) -> None:
        while not done.is_set():
            engine.wait_for_change(watcher.cursor, 0.05)
            watcher.catch_up()

    watching, working = Crew(), Crew()
    for watcher in watchers:
        watching.start(watch, watcher)
    for seed, work in enumerate([route] * 4 + [move_stock] * 2 + [open_and_close]):
        working.start(work, engine, seed)
    while_at_work = Watcher(engine)
    working.finish()
    done.set()
    watching.finish()
    final = truth(engine)
    assert any(status.paused for status in engine.stores())
    assert [watcher.catch_up() for watcher in watchers[:2]] == [final, final]
    assert while_at_work.catch_up() == final
    some = {pair: count for pair, count in final.items() if pair[1] in SKUS[:3]}
    assert watchers[2].catch_up() == some
