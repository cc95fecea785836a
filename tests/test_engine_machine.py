"""Engine and twin live through the same days: whatever is asked of them, in whatever order.

Every result and every exception is compared; after each step so is what every store can sell, and
what a watcher thinks it can.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
)

from fendan import Engine, Order, Policy, SkuProfile, Store
from fendan.model import Line
from larder import date_of
from life_rules import LifeRules, outcome
from strategies import SKUS, lines, places, store_ids
from twin import Place
from watcher import Watcher

LATER_SKUS = ("coffee", "noodles")
later_baskets = st.sampled_from(LATER_SKUS).map(lambda sku: [(sku, 1)])
policies = st.sampled_from([None, Policy(), Policy(radius_m=0.0), Policy(radius_m=500_000.0)])
regions = st.sampled_from(["", "north", "south"])
# A number stands for any store, known or gone.
numbers = st.integers(0, 200)
some_numbers = st.lists(numbers, min_size=1, max_size=4)
stock_rows = st.lists(
    st.tuples(numbers, st.sampled_from(SKUS + LATER_SKUS), st.integers(0, 6)), max_size=12
)
movement_rows = st.lists(
    st.tuples(numbers, st.sampled_from(SKUS), st.integers(-3, 4)), min_size=1, max_size=5
)
some_versions = st.dictionaries(numbers, st.integers(1, 4), max_size=3)
keys = st.sampled_from([None, None, None, "key 1", "key 2"])


held_rows = st.lists(
    st.tuples(numbers, st.sampled_from(SKUS + LATER_SKUS), st.integers(-1, 3)), max_size=6
)
held_parts = st.lists(
    st.sampled_from(["safety", "locked", "display"]), min_size=1, max_size=3, unique=True
)


def held_back(store: str, sku: str, face: Any) -> object:
    return face.held(store, sku)


def routed(orders: list[Order], face: Any) -> object:
    return face.route_batch(orders)


def asked_for_stock(store: str, skus: list[str], face: Any) -> object:
    return face.stock(store, skus)


def asked_of_a_store(store: str, face: Any) -> object:
    return face.stock(store), face.stock_version(store), face.region_of(store)


def moved(stores: list[Store], face: Any) -> object:
    return face.update_stores(stores)


def opened(stores: list[Store], face: Any) -> object:
    return face.add_stores(stores)


class Days(LifeRules):
    def __init__(self) -> None:
        super().__init__(Policy(reservation_timeout_s=60.0, most_attempts=3, cool_down_s=30.0))
        self.updates: list[Callable[[Any], object]] = []

    def begin(self, engine: Engine) -> None:
        super().begin(engine)
        self.watcher = Watcher(engine)
        self.lazy_watcher = Watcher(engine)
        self.tea_watcher: Watcher | None = None

    def named(self, some: list[int]) -> list[str]:
        return [self.pick(number, self.names) for number in some]

    @initialize(spots=st.lists(places, min_size=1, max_size=3), count=st.integers(1, 15))
    def the_chain_starts(self, spots: list[Place], count: int) -> None:
        stores = [Store(id=f"first {n}", lat=lat, lng=lng) for n, (lat, lng) in enumerate(spots)]
        self.both(lambda face: face.add_stores(stores))
        self.both(
            lambda face: face.set_stock([(s, sku, count) for s in self.names for sku in SKUS])
        )

    # -- STORES ----------------------------------------------------------------------------------

    @rule(name=store_ids, place=places, region=regions)
    def a_store_opens(self, name: str, place: Place, region: str) -> None:
        """Or fails to: the id may be taken."""
        stores = [Store(id=name, lat=place[0], lng=place[1], region=region)]
        self.both(lambda face: face.add_stores(stores))

    @rule(place=places, count=st.integers(2, 70), step=st.sampled_from([0.0, 1e-6, 0.001]))
    def a_street_of_stores_opens(self, place: Place, count: int, step: float) -> None:
        """Enough to fill leaves and have the chain sorted anew."""
        first = len(self.twin.store_ids)
        stores = [
            Store(id=f"street {first + n}", lat=place[0], lng=max(-180.0, place[1] - n * step))
            for n in range(count)
        ]
        self.both(lambda face: face.add_stores(stores))

    @rule(some=some_numbers, north=st.sampled_from([0.0, 1e-7, 1e-5, -1e-5]), region=regions)
    def stores_move_next_door(self, some: list[int], north: float, region: str) -> None:
        """So near that they may stay in their leaf; perhaps one of them twice, or nobody's."""
        stores = []
        for name in self.named(some):
            lat, lng = self.twin.places.get(name, (0.0, 0.0))
            stores.append(
                Store(id=name, lat=max(-90, min(90, lat + north)), lng=lng, region=region)
            )
        self.both(lambda face: face.update_stores(stores))

    @rule(some=some_numbers, place=places)
    def stores_move_far(self, some: list[int], place: Place) -> None:
        """All to one place: the chain is sorted anew."""
        stores = [
            Store(id=name, lat=place[0], lng=place[1]) for name in dict.fromkeys(self.named(some))
        ]
        self.both(lambda face: face.update_stores(stores))

    @rule(some=some_numbers, other=st.sampled_from([[], ["nobody's"], [""]]))
    def stores_pause(self, some: list[int], other: list[str]) -> None:
        self.both(lambda face: face.pause_stores(self.named(some) + other))

    @rule(some=some_numbers)
    def stores_resume(self, some: list[int]) -> None:
        self.both(lambda face: face.resume_stores(self.named(some)))

    @rule(pause=st.booleans())
    def all_stores_pause_or_resume(self, pause: bool) -> None:
        names = list(self.twin.shops)
        self.both(lambda face: (face.pause_stores if pause else face.resume_stores)(names))

    @rule(some=some_numbers, again=st.booleans(), place=places)
    def stores_are_removed(self, some: list[int], again: bool, place: Place) -> None:
        """With orders in them, perhaps; and another may open under the id of one at once."""
        names = self.named(some)
        self.both(lambda face: face.remove_stores(names))
        if again:
            stores = [Store(id=names[0], lat=place[0], lng=place[1])]
            self.both(lambda face: face.add_stores(stores))
            self.both(lambda face: face.set_stock([(names[0], "tea", 2)]))

    # -- STOCK -----------------------------------------------------------------------------------

    def update(self, call: Callable[[Any], object]) -> None:
        self.updates.append(call)
        self.both(call)

    @rule(rows=stock_rows, versions=some_versions, key=keys)
    def a_snapshot_arrives(
        self, rows: list[tuple[int, str, int]], versions: dict[int, int], key: str | None
    ) -> None:
        """Perhaps below what is reserved: then there are shortfalls, in the same order."""
        named = [(self.pick(store, self.names), sku, count) for store, sku, count in rows]
        of = {self.pick(store, self.names): version for store, version in versions.items()}
        self.update(lambda face: face.set_stock(named, versions=of, key=key))

    @rule(rows=movement_rows, versions=some_versions, key=keys)
    def stock_moves(
        self, rows: list[tuple[int, str, int]], versions: dict[int, int], key: str | None
    ) -> None:
        """Perhaps below zero, which is refused; perhaps some of the stores are stale."""
        named = [(self.pick(store, self.names), sku, delta) for store, sku, delta in rows]
        of = {self.pick(store, self.names): version for store, version in versions.items()}
        self.update(lambda face: face.adjust_stock(named, versions=of, key=key))

    @precondition(lambda self: self.updates)
    @rule(number=st.integers(0))
    def an_update_is_sent_again(self, number: int) -> None:
        """With its key, or without one: then it is applied again."""
        self.both(self.pick(number, self.updates))

    @rule(number=numbers, sku=st.sampled_from(SKUS), delta=st.sampled_from([2**31 - 1, -(2**31)]))
    def stock_cannot_move_as_far(self, number: int, sku: str, delta: int) -> None:
        rows = [(self.pick(number, self.names), sku, change) for change in (1, delta)]
        self.both(lambda face: face.adjust_stock(rows))

    @rule(sku=st.sampled_from(SKUS), count=st.integers(0, 3))
    def every_store_gets_as_many(self, sku: str, count: int) -> None:
        self.both(lambda face: face.set_stock([(s, sku, count) for s in self.names]))

    # -- WHAT KEEPS STOCK FROM BEING SOLD --------------------------------------------------------

    @rule(rows=held_rows, parts=held_parts)
    def stores_hold_back(self, rows: list[tuple[int, str, int]], parts: list[str]) -> None:
        """Perhaps more than there is, perhaps of what they never had; -1 is refused."""
        stores = [self.pick(store, self.names) for store, _, _ in rows]
        skus = [sku for _, sku, _ in rows]
        values = {part: [value + n for _, _, value in rows] for n, part in enumerate(parts)}
        self.both(lambda face: face.set_held(stores, skus, **values))
        for store, sku in zip(stores, skus, strict=True):
            self.both(partial(held_back, store, sku))

    @rule(
        sku=st.sampled_from(SKUS + LATER_SKUS),
        off_below=st.integers(0, 3),
        more=st.integers(0, 3),
        pieces_per_unit=st.integers(1, 3),
        least_life_days=st.sampled_from([0, 0, 1, 3]),
    )
    def a_sku_gets_a_profile(
        self, sku: str, off_below: int, more: int, pieces_per_unit: int, least_life_days: int
    ) -> None:
        """With thresholds, perhaps; units can only change while nothing is there."""
        profile = SkuProfile(
            off_below=off_below,
            on_from=off_below + more,
            pieces_per_unit=pieces_per_unit,
            least_life_days=least_life_days,
        )
        thresholds_alone = SkuProfile(
            off_below=off_below,
            on_from=off_below + more,
            pieces_per_unit=self.twin._profile(sku).pieces_per_unit,
            least_life_days=least_life_days,
        )
        self.both(lambda face: face.set_sku_profiles({sku: profile}))
        self.both(lambda face: face.set_sku_profiles({sku: thresholds_alone}))
        self.both(lambda face: face.sku_profile(sku))

    @rule(
        number=numbers,
        sku=st.sampled_from(SKUS + LATER_SKUS),
        date=st.sampled_from(["2026-12-01", "2026-12-24"]),
        quantity=st.sampled_from([0, 1, 3, 2**31 - 1]),
        arrives=st.booleans(),
    )
    def supply_is_on_its_way(
        self, number: int, sku: str, date: str, quantity: int, arrives: bool
    ) -> None:
        store = self.pick(number, self.names)
        self.both(lambda face: face.set_supply(store, sku, date, quantity))
        self.both(lambda face: face.supply())
        if arrives:
            self.both(lambda face: face.receive_supply(store, sku, date))
            self.both(lambda face: face.supply(sku, store))

    @rule(
        number=numbers,
        sku=st.sampled_from(SKUS + LATER_SKUS),
        lots=st.dictionaries(st.integers(-2, 4), st.integers(0, 5), max_size=4),
    )
    def lots_are_counted(self, number: int, sku: str, lots: dict[int, int]) -> None:
        """Perhaps fewer than are reserved, perhaps none, perhaps all of them too old."""
        store = self.pick(number, self.names)
        today = self.twin.today()
        of = {date_of(today + days): count for days, count in lots.items()}
        self.both(lambda face: face.set_lots(store, sku, of))

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.clock.pass_s(days * 86_400)

    # -- ORDERS ----------------------------------------------------------------------------------

    def order(self, place: Place, basket: list[Line]) -> Order:
        order = Order(id=f"order {len(self.orders)}", lat=place[0], lng=place[1], lines=basket)
        self.orders.append(order)
        return order

    @rule(place=places, basket=st.one_of(lines(), later_baskets), policy=policies)
    def an_order_comes(self, place: Place, basket: list[Line], policy: Policy | None) -> None:
        """Perhaps for a SKU nobody has ever had."""
        order = self.order(place, basket)
        self.both(lambda face: face.route(order, policy=policy))

    @rule(asked=st.lists(st.tuples(places, lines()), max_size=12), policy=policies)
    def a_batch_comes(
        self,
        asked: list[tuple[Place, list[Line]]],
        policy: Policy | None,
    ) -> None:
        orders = [self.order(place, basket) for place, basket in asked]
        self.both(lambda face: face.route_batch(orders, policy=policy))

    @rule(store=st.integers(0), number=st.integers(1, 40), sku=st.sampled_from(SKUS))
    def a_rush_on_one_store(self, store: int, number: int, sku: str) -> None:
        """More orders than are in work at a time, all from the same door."""
        door = self.twin.places.get(self.pick(store, self.names), (0.0, 0.0))
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
        self, number: int, place: Place, basket: list[Line]
    ) -> None:
        known = self.pick(number, self.orders)
        fresh = self.order(place, basket)
        other = Order(id=known.id, lat=place[0], lng=place[1], lines=basket)
        self.both(lambda face: face.route(other))
        self.both(lambda face: face.route_batch([fresh, other]))

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0), amount=st.sampled_from([0, 1, 10**12]))
    def an_order_comes_again_at_another_price(self, number: int, amount: int) -> None:
        """Perhaps at the same one: nothing, or 0, was said the first time."""
        known = self.pick(number, self.orders)
        (sku, quantity, *_), *others = known.lines
        lines = [(sku, quantity, amount), *others]
        other = Order(id=known.id, lat=known.lat, lng=known.lng, lines=lines)
        self.both(lambda face: face.route(other))

    @rule(number=st.integers(0))
    def an_order_is_released(self, number: int) -> None:
        """Perhaps for the second time, perhaps one that was refused, perhaps nobody's."""
        name = self.pick(number, self.orders).id if self.orders else "nobody's"
        self.both(lambda face: face.release(name))
        self.both(lambda face: face.decision(name))

    @precondition(lambda self: self.orders)
    @rule(some=st.lists(st.integers(0), max_size=6), other=st.sampled_from([[], ["nobody's"]]))
    def orders_are_released_together(self, some: list[int], other: list[str]) -> None:
        """Some twice, some of stores that are gone, perhaps all of them for nothing."""
        names = [self.pick(number, self.orders).id for number in some] + other
        self.both(lambda face: face.release_batch(names))

    @rule(
        asked=st.lists(st.tuples(places, lines()), min_size=1, max_size=8),
        again=st.lists(st.integers(0), max_size=4),
        policy=policies,
    )
    def a_dry_run_changes_nothing(
        self,
        asked: list[tuple[Place, list[Line]]],
        again: list[int],
        policy: Policy | None,
    ) -> None:
        """With new orders, some known ones, one that comes twice, and perhaps a conflict."""
        before = self.all_there_is()
        fresh = [
            Order(id=f"dry {number}", lat=place[0], lng=place[1], lines=basket)
            for number, (place, basket) in enumerate(asked)
        ]
        known = [self.pick(number, self.orders) for number in again if self.orders]
        orders = [*fresh, *known, fresh[0]]
        self.both(lambda face: face.route_batch(orders, policy=policy, dry_run=True))
        self.both(lambda face: face.route(orders[-2], policy=policy, dry_run=True))
        self.both(lambda face: face.decision(fresh[0].id))
        assert self.all_there_is() == before

    def all_there_is(self) -> object:
        """Whatever an engine can be asked for."""
        stock = [self.engine.stock(name) for name in self.twin.shops]
        told = [outcome(partial(self.engine.decision, order.id)) for order in self.orders]
        held = [outcome(partial(self.engine.order, order.id)) for order in self.orders]
        return stock, told, held, self.engine.cursor(), len(self.engine._orders)

    # -- MISTAKES --------------------------------------------------------------------------------

    @rule(
        lat=st.sampled_from([0.0, 90.5, float("nan"), float("inf"), "31", None]),
        lng=st.sampled_from([0.0, -180.5, float("nan")]),
        line=st.sampled_from([("tea", 0), ("tea", 1.5), ("tea", 2**31), ("?", 1), ("tea", 1, -1)]),
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
        here = self.names[0]
        bad = (here if row[0] == "*" else row[0], *row[1:])
        self.both(lambda face: face.set_stock([(here, "milk", 99), bad]))
        self.both(lambda face: face.adjust_stock([(here, "milk", 99), bad]))

    @rule(
        versions=st.sampled_from([{"nobody's": 1}, {"*": 0}, {"*": 2**63}, {"*": 1.5}]),
        key=st.sampled_from(["", "a\0b", None]),
    )
    def a_bad_version_or_key_spoils_its_update(self, versions: dict[str, Any], key: str) -> None:
        here = self.names[0]
        bad = {here if name == "*" else name: version for name, version in versions.items()}
        rows = [(here, "milk", 1)]
        self.both(lambda face: face.set_stock(rows, versions=bad, key=key))
        self.both(lambda face: face.adjust_stock(rows, versions={here: 1}, key=key))

    @rule(place=places)
    def a_bad_store_spoils_its_opening(self, place: Place) -> None:
        good = Store(id="never opened", lat=place[0], lng=place[1])
        for bad in (
            good,
            Store(id="", lat=0, lng=0),
            Store(id="bad", lat=91, lng=0),
            Store(id="bad", lat=0, lng=0, region="x" * 256),
        ):
            self.both(partial(opened, [good, bad]))
        here = Store(id=self.names[0], lat=place[0], lng=place[1])
        for bad in (here, good, Store(id=self.names[-1], lat=91, lng=0)):
            self.both(partial(moved, [here, bad]))

    # -- QUESTIONS -------------------------------------------------------------------------------

    @rule(place=places, basket=st.one_of(st.just([]), lines()), policy=policies)
    def somebody_asks_for_the_nearest(
        self, place: Place, basket: list[Line], policy: Policy | None
    ) -> None:
        self.both(lambda face: face.nearest(*place, lines=basket, limit=7, policy=policy))

    @rule(
        number=numbers,
        skus=st.lists(st.sampled_from((*SKUS, *LATER_SKUS, "?", "")), max_size=4),
        order=st.integers(0),
    )
    def somebody_asks_how_things_stand(self, number: int, skus: list[str], order: int) -> None:
        for name in (self.pick(number, self.names), "nobody's"):
            self.both(partial(asked_for_stock, name, skus))
            self.both(partial(asked_of_a_store, name))
        name = self.pick(order, self.orders).id if self.orders else "nobody's"
        self.both(lambda face: face.is_held(name))
        self.both(lambda face: face.order(name))

    @rule()
    def a_watcher_looks_up_after_a_while(self) -> None:
        assert self.lazy_watcher.catch_up() == self.twin.picture()

    @rule()
    def a_watcher_of_tea_begins_or_looks_up(self) -> None:
        """What it sees of tea is all there is, also where other changes hide none of it."""
        if self.tea_watcher is None:
            self.tea_watcher = Watcher(self.engine, skus=["tea"])
        teas = {pair: count for pair, count in self.twin.picture().items() if pair[1] == "tea"}
        assert self.tea_watcher.catch_up() == teas

    @invariant()
    def both_can_sell_the_same_and_never_less_than_nothing(self) -> None:
        assert list(self.engine.store_ids) == self.twin.store_ids
        assert list(self.engine.skus) == list(self.twin.skus)
        assert self.engine.stores() == self.twin.stores()
        for name in self.twin.shops:
            levels = self.engine.stock(name)
            assert levels == self.twin.stock(name)
            for level in levels:
                assert self.engine.lots(name, level.sku) == self.twin.lots(name, level.sku)
            assert all(0 <= level.sellable <= level.on_hand for level in levels)

    @invariant()
    def every_order_finds_pieces_that_are_good_for_long_enough(self) -> None:
        for shelf in self.twin.shelves.values():
            assert not shelf.promised or shelf.can_serve_all()

    @invariant()
    def a_watcher_sees_what_can_be_sold(self) -> None:
        assert self.watcher.catch_up() == self.twin.picture()


Days.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)
TestDays = Days.TestCase
