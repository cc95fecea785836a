"""How busy stores are: counted as orders come and go, forgotten as windows slide on."""

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clock import StoppedClock
from fendan import Engine, Store
from fendan.engine.loads import NEVER_NS, NO_MAXIMUM, LoadTable
from splitting import Share, split
from street import PATIENCE, a_street, order

STORES = 5


def a_chain(stores: int = STORES) -> Engine:
    engine = Engine()
    engine.add_stores([Store(id=f"{n}", lat=31.0, lng=121.0 + n / 100) for n in range(stores)])
    return engine


@dataclass
class Shop:
    """The slow twin of one store: every time that it was ever given an order."""

    most_open: int = NO_MAXIMUM
    most_in_window: int = 0
    window_ns: int = 0
    open_orders: int = 0
    came_ns: list[int] = field(default_factory=list)
    remembered: int = 0

    def has_room(self, now_ns: int) -> bool:
        """Of what it had to remember, it counts what came in (now - window, now]."""
        lately = [when_ns for when_ns in self.known() if when_ns > now_ns - self.window_ns]
        return self.open_orders < self.most_open and (
            not self.most_in_window or len(lately) < self.most_in_window
        )

    def known(self) -> list[int]:
        return self.came_ns[len(self.came_ns) - min(self.remembered, len(self.came_ns)) :]

    def came(self, now_ns: int) -> None:
        self.open_orders += 1
        if self.most_in_window:
            self.came_ns = [*self.known(), now_ns][-self.most_in_window :]
            self.remembered = len(self.came_ns)

    def limit(self, most_open: int, most_in_window: int, window_ns: int) -> None:
        self.came_ns = self.known()[-most_in_window:] if most_in_window else []
        self.remembered = len(self.came_ns)
        self.most_open, self.most_in_window = most_open, most_in_window
        self.window_ns = window_ns


class LoadMachine(RuleBasedStateMachine):
    """A table and its slow twin through the same days."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = a_chain()
        self.table = LoadTable(self.engine._network.layout)
        self.shops = [Shop() for _ in range(STORES)]
        self.now_ns = 100

    limits = st.tuples(
        st.sampled_from([1, 2, 3, NO_MAXIMUM]), st.integers(0, 4), st.sampled_from([1, 5, 30])
    )

    @initialize(rows=st.lists(limits, min_size=STORES, max_size=STORES))
    def stores_have_limits(self, rows: list[tuple[int, int, int]]) -> None:
        self.set_limits(rows)

    @rule(row=limits, number=st.integers(0))
    def a_store_gets_other_limits(self, row: tuple[int, int, int], number: int) -> None:
        rows = [(one.most_open, one.most_in_window, one.window_ns) for one in self.shops]
        rows[number % len(rows)] = row
        self.set_limits(rows)

    def set_limits(self, rows: list[tuple[int, int, int]]) -> None:
        rows += [(NO_MAXIMUM, 0, 0)] * (len(self.shops) - len(rows))
        for shop, row in zip(self.shops, rows, strict=True):
            shop.limit(*row)
        self.table.set_limits(*np.array(rows).T, self.now_ns)

    @rule(number=st.integers(0), passed=st.sampled_from([0, 1, 4, 5, 29]))
    def an_order_comes(self, number: int, passed: int) -> None:
        self.now_ns += passed
        self.table.came(number % len(self.shops), self.now_ns)
        self.shops[number % len(self.shops)].came(self.now_ns)

    @rule(number=st.integers(0))
    def an_order_leaves(self, number: int) -> None:
        shop = self.shops[number % len(self.shops)]
        if shop.open_orders:
            shop.open_orders -= 1
            self.table.left(number % len(self.shops), self.now_ns)

    @rule(numbers=st.lists(st.integers(0, STORES - 1), max_size=8))
    def a_batch_is_taken_back(self, numbers: list[int]) -> None:
        before = {name: array.tolist() for name, array in self.table.kept().items()}
        shops = deepcopy(self.shops)
        self.table.begin_batch(len(numbers))
        for number in numbers:
            self.table.came(number, self.now_ns)
            shops[number].came(self.now_ns)
            expected = [shop.has_room(self.now_ns) for shop in shops]
            assert [self.table.has_room(s, self.now_ns) for s in range(len(shops))] == expected
            assert self.room() == expected
        self.table.end_batch(self.now_ns)
        assert {name: array.tolist() for name, array in self.table.kept().items()} == before

    @rule(passed=st.sampled_from([1, 4, 5, 30]))
    def time_passes(self, passed: int) -> None:
        self.now_ns += passed

    @rule()
    def a_store_opens(self) -> None:
        self.engine.add_stores([Store(id=f"{len(self.shops)}", lat=30.0, lng=121.0)])
        self.shops.append(Shop())
        self.table.set_layout(self.engine._network.layout, self.now_ns)

    @rule()
    def it_is_put_away_and_taken_out(self) -> None:
        other = LoadTable(self.engine._network.layout)
        rows = [(one.most_open, one.most_in_window, one.window_ns) for one in self.shops]
        other.set_limits(*np.array(rows).T, self.now_ns)
        other.recount([one.open_orders for one in self.shops], self.now_ns)
        assert other.restore(self.table.kept(), self.now_ns)
        self.table = other

    def room(self) -> list[bool]:
        """The bits, by store code."""
        return [
            bool(int(self.table.room[ordinal >> 6]) >> (ordinal & 63) & 1)
            for ordinal in self.engine._network.layout.arrays["ordinal_of"].tolist()
        ]

    @invariant()
    def both_know_which_stores_have_room(self) -> None:
        self.table.refresh(self.now_ns)
        assert self.table.earliest_free_ns > self.now_ns
        expected = [shop.has_room(self.now_ns) for shop in self.shops]
        stores = range(len(self.shops))
        assert [self.table.has_room(store, self.now_ns) for store in stores] == expected
        assert self.room() == expected
        assert self.table.open_orders.tolist() == [shop.open_orders for shop in self.shops]


LoadMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLoads = LoadMachine.TestCase


# -- IN WORDS ------------------------------------------------------------------------------------


def test_a_window_is_open_at_its_old_end_and_closed_at_its_new_one() -> None:
    table = LoadTable(a_chain(1)._network.layout)
    table.set_limits([NO_MAXIMUM], [1], [10], 0)
    table.came(0, 100)
    assert not table.has_room(0, 100)
    assert not table.has_room(0, 109)
    assert table.has_room(0, 110)
    assert table.earliest_free_ns == 110
    table.refresh(109)
    assert table.room[0] == 0
    table.refresh(110)
    assert (table.room[0], table.earliest_free_ns) == (1, NEVER_NS)


@pytest.mark.parametrize(
    "wrong", [{"load_times": np.zeros(3, np.int64)}, {"load_time_counts": np.ones(9, np.int32)}]
)
def test_what_cannot_be_times_of_stores_is_not_taken_back(
    wrong: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]],
) -> None:
    table = LoadTable(a_chain()._network.layout)
    assert not table.restore(table.kept() | wrong, 0)


def test_stores_are_as_busy_as_the_orders_that_they_hold() -> None:
    clock = StoppedClock()
    engine = a_street(clock, PATIENCE)
    orders = engine._orders
    orders.loads = LoadTable(engine._network.layout)

    def open_orders() -> dict[str, int]:
        assert orders.loads is not None
        counts = orders.loads.open_orders.tolist()
        assert counts == orders.count_open().tolist()
        return dict(zip(engine.store_ids, counts, strict=True))

    engine.route_batch([order("1"), order("2", ("tea", 99))])
    split(engine, order("3", ("tea", 2)), Share("east", {"tea": 1}), Share("west", {"tea": 1}))
    assert open_orders() == {"east": 2, "middle": 0, "west": 1}
    engine.route(order("4"), dry_run=True)
    engine.reject_order("3", "east")
    assert open_orders() == {"east": 1, "middle": 1, "west": 1}
    engine.accept_order("3")
    engine.pick_order("3", shipment=2)
    engine.ship_order("3", shipment=2)
    engine.cancel_order("1")
    assert open_orders() == {"east": 0, "middle": 1, "west": 0}
    clock.pass_s(3600)
    engine.route(order("5"))
    clock.pass_s(3600)
    engine.expire_orders()
    assert open_orders() == {"east": 0, "middle": 1, "west": 0}
