"""Which orders are remembered: those that hold stock, and the newest others; no more than that.

Orders are kept in pages of 16,384, and a page is forgotten as a whole.
"""

import random

import numpy as np
import pytest

from fendan import (
    Decision,
    Engine,
    InvalidInputError,
    OrderConflictError,
    Routed,
    Status,
    Store,
    UnknownOrderError,
)

PAGE = 16_384
MANY = 3 * PAGE + 848  # three pages and a little
HELD, REFUSED = 1, 2**31 - 1  # quantities: of these there are enough, of those never


def a_warehouse(remembered_orders: int = 0) -> Engine:
    """One place with so much tea that every order for one is held."""
    engine = Engine(remembered_orders=remembered_orders)
    engine.add_stores([Store(id="warehouse", lat=31.0, lng=121.0)])
    engine.set_stock([("warehouse", "tea", 2_000_000_000)])
    return engine


def route(
    engine: Engine, ids: list[str], quantities: list[int], *, dry_run: bool = False
) -> Routed:
    """Orders of one line each, all from one door."""
    count = len(ids)
    return engine.route_arrays(
        lat=np.full(count, 31.0),
        lng=np.full(count, 121.0),
        offsets=np.arange(count + 1),
        skus=np.zeros(count, dtype=np.int32),
        quantities=quantities,
        ids=ids,
        dry_run=dry_run,
    )


def numbered(first: int, count: int) -> list[str]:
    return [f"order {number}" for number in range(first, first + count)]


def knows(engine: Engine, name: str) -> bool:
    try:
        engine.decision(name)
    except UnknownOrderError:
        return False
    return True


def known_among(engine: Engine, ids: list[str]) -> list[str]:
    return [name for name in ids if knows(engine, name)]


def sold(engine: Engine) -> int:
    (level,) = engine.stock("warehouse")
    return level.reserved


# -- WHAT IS FORGOTTEN ---------------------------------------------------------------------------


def test_orders_that_hold_nothing_are_forgotten_when_enough_newer_ones_have_come() -> None:
    engine, ids = a_warehouse(), numbered(0, MANY)
    route(engine, ids, [REFUSED] * MANY)
    assert known_among(engine, ids) == ids[3 * PAGE :]
    assert len(engine._orders) == MANY - 3 * PAGE


def test_the_newest_orders_are_remembered_however_they_come() -> None:
    remembered = 20_000
    engine, ids = a_warehouse(remembered), numbered(0, MANY)
    first = 0
    for size in (1, 9_999, 3, PAGE, 2 * PAGE, MANY):
        route(engine, ids[first : first + size], [REFUSED] * len(ids[first : first + size]))
        first = min(MANY, first + size)
        newest = ids[max(0, first - remembered) : first]
        assert known_among(engine, newest) == newest
        assert len(engine._orders) <= remembered + 2 * PAGE
    assert known_among(engine, ids[:PAGE]) == []


def test_an_order_that_is_held_is_never_forgotten() -> None:
    engine, ids = a_warehouse(), numbered(0, MANY)
    quantities = [REFUSED] * MANY
    quantities[5] = quantities[2 * PAGE] = HELD
    route(engine, ids, quantities)
    first = engine.decision(ids[5])
    for round_ in range(4):
        route(engine, numbered(MANY * (round_ + 1), MANY), [REFUSED] * MANY)
    assert [engine.is_held(ids[5]), engine.is_held(ids[2 * PAGE])] == [True, True]
    assert known_among(engine, ids) == ids[:PAGE] + ids[2 * PAGE : 3 * PAGE]
    route(engine, [ids[5]], [HELD])  # a late retry
    assert (engine.decision(ids[5]), sold(engine)) == (first, 2)
    with pytest.raises(OrderConflictError):
        route(engine, [ids[5]], [HELD + 1])


def test_released_orders_are_forgotten_once_no_other_of_their_page_is_held() -> None:
    engine, ids = a_warehouse(), numbered(0, MANY)
    route(engine, ids, [HELD] * MANY)
    assert engine.release_batch(ids[1:PAGE]) == [True] * (PAGE - 1)
    assert known_among(engine, ids) == ids
    assert engine.release(ids[0]) is True
    assert known_among(engine, ids) == ids[PAGE:]
    assert sold(engine) == MANY - PAGE


def test_a_forgotten_id_is_a_new_order_and_may_ask_for_something_else() -> None:
    engine, ids = a_warehouse(), numbered(0, MANY)
    route(engine, ids, [REFUSED] * MANY)
    assert not knows(engine, ids[0])
    told = route(engine, ids[:2], [HELD, HELD])
    assert told.statuses.tolist() == [Status.ASSIGNED] * 2
    assert engine.release(ids[0]) is True
    assert engine.release(ids[0]) is False


def test_a_million_orders_are_remembered_unless_told_otherwise() -> None:
    engine = Engine()
    engine.add_stores([Store(id="warehouse", lat=31.0, lng=121.0)])
    engine.set_stock([("warehouse", "tea", 1)])
    ids = numbered(0, MANY)
    route(engine, ids, [REFUSED] * MANY)
    assert known_among(engine, ids) == ids


@pytest.mark.parametrize("bad", [-1, 1.5, "many", None, 2**64])
def test_how_many_are_remembered_must_be_a_number_of_orders(bad: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        Engine(remembered_orders=bad)  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.value) == ("remembered_orders", bad)


# -- MEMORY --------------------------------------------------------------------------------------


def test_memory_stays_what_it_is_while_orders_come_and_go() -> None:
    engine, sizes = a_warehouse(), []
    for round_ in range(12):
        ids = numbered(round_ * 20_000, 20_000)
        route(engine, ids, [HELD] * len(ids))
        sizes.append(engine._orders.records.byte_count)
        assert all(engine.release_batch(ids))
    assert max(sizes) < 2 * sizes[0]
    assert sold(engine) == 0


def test_dry_runs_leave_no_order_behind_and_no_growing_memory() -> None:
    engine, ids, sizes = a_warehouse(), numbered(0, MANY), []
    route(engine, ids[:100], [HELD] * 100)
    before = engine.cursor()
    for _ in range(4):
        told = route(engine, ids, [HELD] * MANY, dry_run=True)
        assert (told.statuses == Status.ASSIGNED).all()
        sizes.append(engine._orders.records.byte_count)
    assert max(sizes) == sizes[0]
    assert (len(engine._orders), sold(engine), engine.cursor()) == (100, 100, before)
    assert known_among(engine, ids) == ids[:100]


# -- BATCHES -------------------------------------------------------------------------------------


def test_an_id_that_comes_three_times_in_a_batch_of_many_pages_is_one_order() -> None:
    engine, ids = a_warehouse(), numbered(0, MANY) * 3
    random.Random(1).shuffle(ids)
    told = route(engine, ids, [HELD] * len(ids))
    assert (told.statuses == Status.ASSIGNED).all()
    assert len(engine._orders) == sold(engine) == MANY


def test_a_conflict_in_the_middle_of_many_pages_leaves_nothing_entered() -> None:
    engine, old = a_warehouse(), numbered(0, 100)
    route(engine, old, [HELD] * 100)
    ids, quantities = numbered(50, MANY), [HELD] * MANY
    before = engine.cursor()
    for row, other in (
        (20, ids[20]),
        (2 * PAGE, ids[7]),
        (2 * PAGE, ids[PAGE]),
        (MANY - 1, ids[60]),
    ):
        spoiled, asked = list(ids), list(quantities)
        spoiled[row], asked[row] = other, HELD + 1
        with pytest.raises(OrderConflictError) as refused:
            route(engine, spoiled, asked)
        assert (refused.value.row, refused.value.value) == (row, other)
        assert (len(engine._orders), sold(engine), engine.cursor()) == (100, 100, before)
        assert known_among(engine, ids) == old[50:]
    route(engine, ids, quantities)
    assert len(engine._orders) == sold(engine) == MANY + 50


@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_is_what_a_list_of_pages_would_remember(seed: int) -> None:
    """Ids that come, come again, are released, conflict and are forgotten, in any order."""
    rng = random.Random(seed)
    remembered = rng.choice([0, 1_000, 30_000])
    engine, pages = a_warehouse(remembered), Pages(remembered)
    for _ in range(25):
        count = rng.randrange(1, 9_000)
        ids = [f"{rng.randrange(60_000)}" for _ in range(count)]
        quantities = [HELD if int(name) % 5 == seed else REFUSED for name in ids]
        if rng.random() < 0.2:
            route(engine, ids, quantities, dry_run=True)
        elif rng.random() < 0.2:
            with pytest.raises(OrderConflictError):
                route(engine, [*ids, ids[0]], [*quantities, 7])
        else:
            route(engine, ids, quantities)
            pages.route(ids, quantities)
        held = sorted(pages.held)
        given_back = rng.sample(held, min(len(held), rng.choice([0, 10, len(held)])))
        assert engine.release_batch(given_back) == [True] * len(given_back)
        pages.release(given_back)
        assert len(engine._orders) == sum(len(page) for page in pages.pages)
        assert sold(engine) == len(pages.held)
    everything = {f"{number}" for number in range(60_000)}
    assert set(known_among(engine, sorted(everything))) == set().union(*pages.pages)
    assert all(engine.is_held(name) for name in pages.held)


class Pages:
    """Lists of ids, in order of arrival."""

    def __init__(self, remembered: int) -> None:
        self.remembered = remembered
        self.pages: list[list[str]] = [[]]
        self.held: set[str] = set()

    def route(self, ids: list[str], quantities: list[int]) -> None:
        known = set().union(*self.pages)
        for name, quantity in zip(ids, quantities, strict=True):
            if name in known:
                continue
            if len(self.pages[-1]) == PAGE:
                self.pages.append([])
            self.pages[-1].append(name)
            known.add(name)
            if quantity == HELD:
                self.held.add(name)
        self.forget()

    def release(self, ids: list[str]) -> None:
        self.held -= set(ids)
        self.forget()

    def forget(self) -> None:
        for page in self.pages[:-1]:
            newer = sum(len(later) for later in self.pages[self.pages.index(page) + 1 :])
            if newer >= self.remembered and not self.held.intersection(page):
                self.pages.remove(page)


def test_a_decision_is_remembered_whole() -> None:
    """Whatever the sizes of the blocks that stand beside it in its page."""
    engine = a_warehouse()
    engine.set_stock([("warehouse", f"sku {n}", 2_000_000_000) for n in range(40)])
    rng = random.Random(3)
    told: dict[str, Decision] = {}
    baskets: dict[str, list[int]] = {}
    for number in range(3_000):
        name = f"{number}" + "店" * rng.randrange(80)
        baskets[name] = rng.sample(range(40), rng.randrange(1, 40))
        answer = engine.route_arrays(
            lat=[31.0 + number / 10_000],
            lng=[121.0],
            offsets=[0, len(baskets[name])],
            skus=baskets[name],
            quantities=[number + 1] * len(baskets[name]),
            ids=[name],
        )
        told[name] = engine.decision(name)
        assert told[name].distance_m == answer.distances_m[0]
    assert {name: engine.decision(name) for name in told} == told
    assert all(engine.release_batch(told))
    assert all(level.reserved == 0 for level in engine.stock("warehouse"))
