"""Engine and twin live through the same days: whatever is asked of them, in whatever order.

Every result and every exception is compared; after each step so is what every store can sell.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fendan import Engine, FendanError, Order, Policy, Store
from strategies import SKUS, lines, places, store_ids
from twin import Twin

LATER_SKUS = ("coffee", "noodles")
later_baskets = st.sampled_from(LATER_SKUS).map(lambda sku: [(sku, 1)])
policies = st.sampled_from([None, Policy(), Policy(radius_m=0.0), Policy(radius_m=500_000.0)])


def outcome(call: Callable[[], Any]) -> object:
    """What a call returned; or what it raised, as far as that is promised to be stable."""
    try:
        return call()
    except FendanError as error:
        return type(error), error.code, error.field, error.row


def routed(orders: list[Order], face: Any) -> object:
    return face.route_batch(orders)


def opened(stores: list[Store], face: Any) -> object:
    return face.add_stores(stores)


class Days(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.twin = Twin()
        self.store_ids: list[str] = []
        self.orders: list[Order] = []

    def both(self, call: Callable[[Any], object]) -> object:
        """Let engine and twin do the same; they must agree."""
        ours, theirs = outcome(lambda: call(self.engine)), outcome(lambda: call(self.twin))
        assert ours == theirs
        return ours

    def pick(self, number: int, among: list[Any]) -> Any:
        return among[number % len(among)]

    @initialize(spots=st.lists(places, min_size=1, max_size=3), count=st.integers(1, 15))
    def the_chain_starts(self, spots: list[tuple[float, float]], count: int) -> None:
        stores = [Store(id=f"first {n}", lat=lat, lng=lng) for n, (lat, lng) in enumerate(spots)]
        self.both(lambda face: face.add_stores(stores))
        self.store_ids += [store.id for store in stores]
        self.both(
            lambda face: face.set_stock([(s, sku, count) for s in self.store_ids for sku in SKUS])
        )

    # -- STORES ----------------------------------------------------------------------------------

    @rule(name=store_ids, place=places)
    def a_store_opens(self, name: str, place: tuple[float, float]) -> None:
        """Or fails to: the id may be taken."""
        stores = [Store(id=name, lat=place[0], lng=place[1])]
        if self.both(lambda face: face.add_stores(stores)) is None:
            self.store_ids.append(name)

    @rule(place=places, count=st.integers(2, 70), step=st.sampled_from([0.0, 1e-6, 0.001]))
    def a_street_of_stores_opens(self, place: tuple[float, float], count: int, step: float) -> None:
        """Enough to fill leaves and have the chain sorted anew."""
        first = len(self.store_ids)
        stores = [
            Store(id=f"street {first + n}", lat=place[0], lng=max(-180.0, place[1] - n * step))
            for n in range(count)
        ]
        self.both(lambda face: face.add_stores(stores))
        self.store_ids += [store.id for store in stores]

    # -- STOCK -----------------------------------------------------------------------------------

    @rule(
        rows=st.lists(
            st.tuples(st.integers(0), st.sampled_from(SKUS + LATER_SKUS), st.integers(0, 6)),
            max_size=12,
        )
    )
    def a_snapshot_arrives(self, rows: list[tuple[int, str, int]]) -> None:
        """Perhaps below what is reserved: then there are shortfalls, in the same order."""
        named = [(self.pick(store, self.store_ids), sku, count) for store, sku, count in rows]
        self.both(lambda face: face.set_stock(named))

    @rule(sku=st.sampled_from(SKUS), count=st.integers(0, 3))
    def every_store_gets_as_many(self, sku: str, count: int) -> None:
        self.both(lambda face: face.set_stock([(s, sku, count) for s in self.store_ids]))

    # -- ORDERS ----------------------------------------------------------------------------------

    def order(self, place: tuple[float, float], basket: list[tuple[str, int]]) -> Order:
        order = Order(id=f"order {len(self.orders)}", lat=place[0], lng=place[1], lines=basket)
        self.orders.append(order)
        return order

    @rule(place=places, basket=st.one_of(lines(), later_baskets), policy=policies)
    def an_order_comes(
        self, place: tuple[float, float], basket: list[tuple[str, int]], policy: Policy | None
    ) -> None:
        """Perhaps for a SKU nobody has ever had."""
        order = self.order(place, basket)
        self.both(lambda face: face.route(order, policy=policy))

    @rule(asked=st.lists(st.tuples(places, lines()), max_size=12), policy=policies)
    def a_batch_comes(
        self,
        asked: list[tuple[tuple[float, float], list[tuple[str, int]]]],
        policy: Policy | None,
    ) -> None:
        orders = [self.order(place, basket) for place, basket in asked]
        self.both(lambda face: face.route_batch(orders, policy=policy))

    @rule(store=st.integers(0), number=st.integers(1, 40), sku=st.sampled_from(SKUS))
    def a_rush_on_one_store(self, store: int, number: int, sku: str) -> None:
        """More orders than are in work at a time, all from the same door."""
        door = self.twin.places[self.pick(store, self.store_ids)]
        orders = [self.order(door, [(sku, 1)]) for _ in range(number)]
        self.both(lambda face: face.route_batch(orders))

    @precondition(lambda self: self.orders)
    @rule(numbers=st.lists(st.integers(0), min_size=1, max_size=6), reverse=st.booleans())
    def orders_are_sent_again(self, numbers: list[int], reverse: bool) -> None:
        """Some of them twice in one batch, some never routed before because of an error."""
        step = -1 if reverse else 1
        again = [
            Order(id=o.id, lat=o.lat, lng=o.lng, lines=o.lines[::step])
            for o in (self.pick(number, self.orders) for number in numbers)
        ]
        self.both(lambda face: face.route_batch(again))

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0), place=places, basket=lines())
    def an_id_comes_again_with_other_content(
        self, number: int, place: tuple[float, float], basket: list[tuple[str, int]]
    ) -> None:
        known = self.pick(number, self.orders)
        fresh = self.order(place, basket)
        other = Order(id=known.id, lat=place[0], lng=place[1], lines=basket)
        self.both(lambda face: face.route(other))
        self.both(lambda face: face.route_batch([fresh, other]))

    @rule(number=st.integers(0))
    def an_order_is_released(self, number: int) -> None:
        """Perhaps for the second time, perhaps one that was refused, perhaps nobody's."""
        name = self.pick(number, self.orders).id if self.orders else "nobody's"
        self.both(lambda face: face.release(name))
        self.both(lambda face: face.decision(name))

    # -- MISTAKES --------------------------------------------------------------------------------

    @rule(
        lat=st.sampled_from([0.0, 90.5, float("nan"), float("inf"), "31", None]),
        lng=st.sampled_from([0.0, -180.5, float("nan")]),
        line=st.sampled_from([("tea", 0), ("tea", 1.5), ("tea", 2**31), ("?", 1)]),
    )
    def a_bad_order_spoils_its_batch(self, lat: Any, lng: Any, line: Any) -> None:
        good = self.order((0.0, 0.0), [("milk", 1)])
        bad_place = Order(id="bad", lat=lat, lng=lng, lines=[("milk", 1)])
        bad_line = Order(id="bad", lat=0.0, lng=0.0, lines=[("milk", 1), line])
        empty = Order(id="bad", lat=0.0, lng=0.0, lines=[])
        nameless = Order(id="", lat=0.0, lng=0.0, lines=[("milk", 1)])
        for bad in (bad_place, bad_line, empty, nameless):
            if bad is not bad_place or not (lat == 0.0 and lng == 0.0):
                self.both(partial(routed, [good, bad]))

    @rule(row=st.sampled_from([("?", "tea", 1), ("", "tea", 1), ("*", "", 1), ("*", "tea", -1)]))
    def a_bad_row_spoils_its_snapshot(self, row: tuple[str, str, int]) -> None:
        here = self.store_ids[0]
        bad = (here if row[0] == "*" else row[0], *row[1:])
        self.both(lambda face: face.set_stock([(here, "milk", 99), bad]))

    @rule(place=places)
    def a_bad_store_spoils_its_opening(self, place: tuple[float, float]) -> None:
        good = Store(id="never opened", lat=place[0], lng=place[1])
        for bad in (good, Store(id="", lat=0, lng=0), Store(id="bad", lat=91, lng=0)):
            self.both(partial(opened, [good, bad]))

    # -- QUESTIONS -------------------------------------------------------------------------------

    @rule(place=places, basket=st.one_of(st.just([]), lines()), policy=policies)
    def somebody_asks_for_the_nearest(
        self, place: tuple[float, float], basket: list[tuple[str, int]], policy: Policy | None
    ) -> None:
        self.both(lambda face: face.nearest(*place, lines=basket, limit=7, policy=policy))

    @invariant()
    def both_can_sell_the_same_and_never_less_than_nothing(self) -> None:
        assert list(self.engine.store_ids) == list(self.twin.places)
        assert list(self.engine.skus) == list(self.twin.skus)
        for pair, on_hand in self.twin.on_hand.items():
            available = self.engine.available(*pair)
            assert available == self.twin.available(*pair)
            assert 0 <= available <= on_hand


Days.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)
TestDays = Days.TestCase
