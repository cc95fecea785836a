"""Weeks of a dairy: deliveries, orders for now and for tomorrow, counts, rejections and restarts.

The twin knows only the books: one shelf of batches a shop, piece by piece (`batches`), and of each
order from which day on it was promised its milk. So which shop an order goes to, what each lot then
has, and that every order can be served late enough, follow from a few lines here.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from batches import Batch, Shelf
from clock import StoppedClock
from fendan import Engine, Order, RejectReason, SkuProfile, Store
from fendan.filelog import FileLog
from fendan.rules import OrderType
from fendan.state import state_hash
from simulated_disk import SimulatedDisk

NOON_NS = 1_767_240_000 * 10**9  # in Shanghai
HOUR_NS = 3_600 * 10**9
SHOPS = ("near", "farther", "far")
EPOCH = date(1970, 1, 1)
# Now or tomorrow; the way takes minutes, and it is never near midnight when it begins.
POLICY = """
[types.INSTANT]
steps = [{ name = "STORE", radius_m = 50000 }]
promise = { pick = "1h", pick_per_open_order = 0, speed_kmh = 60, most = "24h" }
[types.NEXT_DAY]
steps = [{ name = "STORE", radius_m = 50000 }]
promise = { pick = "25h", pick_per_open_order = 0, speed_kmh = 60 }
least_life_days = 1
"""
WAITS_NS = {OrderType.INSTANT: HOUR_NS, OrderType.NEXT_DAY: 25 * HOUR_NS}
RULE_LIVES = {OrderType.INSTANT: 0, OrderType.NEXT_DAY: 1}

some_shops = st.sampled_from(SHOPS)
kinds = st.sampled_from([OrderType.INSTANT, OrderType.NEXT_DAY])
asked = st.tuples(st.integers(1, 4), kinds)
deliveries = st.dictionaries(st.integers(-1, 5), st.integers(0, 6), min_size=1, max_size=4)


@dataclass
class Held:
    """What an order holds: so many pieces of a shop's shelf, good from a day on.

    `keep_day`: what of that the order itself asked for, without what its SKU did; 0 for an order
    without a promise.
    """

    shop: str
    day: int
    keep_day: int
    count: int
    state: str = "ASSIGNED"


class Weeks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.disk, self.clock = SimulatedDisk(), StoppedClock(NOON_NS)
        self.shelves = {shop: Shelf([Batch(self.today, 3)]) for shop in SHOPS}
        self.orders: dict[str, Held] = {}
        self.least_life_days = 0
        self.is_ruled = False
        self.sent = 0
        self.engine = self.an_engine()
        self.engine.add_stores(
            Store(id=shop, lat=31.2, lng=121.4 + far / 100) for far, shop in enumerate(SHOPS)
        )
        assert self.engine.draft_policy(POLICY) == 1
        for shop in SHOPS:
            self.engine.set_lots(shop, "milk", {self.date_of(self.today): 3})

    def an_engine(self) -> Engine:
        folder = Path("/simulated")
        log = FileLog(folder, self.disk, segment_bytes=8192, first_segment_bytes=2048)
        return Engine.open(folder, clock=self.clock, log=log)

    @property
    def today(self) -> int:
        return (self.clock.ns + 8 * HOUR_NS) // (24 * HOUR_NS)

    def date_of(self, day: int) -> str:
        return (EPOCH + timedelta(day)).isoformat()

    def an_order(self, count: int, kind: OrderType) -> Order:
        self.sent += 1
        return Order(
            id=str(self.sent), lat=31.2, lng=121.4, lines=[("milk", count)], order_type=kind
        )

    def keep_of(self, kind: OrderType) -> tuple[int, int]:
        """The day on which milk arrives that is ordered now, and how long it must be good then."""
        if not self.is_ruled:
            return self.today, 0
        arrives = (self.clock.ns + WAITS_NS[kind] + 8 * HOUR_NS) // (24 * HOUR_NS)
        return arrives, RULE_LIVES[kind]

    def holds(self, name: str, shop: str, count: int, keep: tuple[int, int]) -> None:
        """The books of an order that a shop has from now on."""
        day = keep[0] + max(keep[1], self.least_life_days)
        self.shelves[shop].hold(day, count)
        keep_day = sum(keep) if self.is_ruled else 0
        self.orders[name] = Held(shop, day, keep_day, count)

    def ends(self, name: str, *, sent: bool = False) -> Held:
        held = self.orders[name]
        self.shelves[held.shop].release((held.day, held.count), sent=sent, from_day=held.keep_day)
        return held

    def some(self, number: int, *states: str) -> str | None:
        names = [name for name, held in self.orders.items() if held.state in states]
        return names[number % len(names)] if names else None

    # -- SHOPS ---------------------------------------------------------------------------------

    @rule(shop=some_shops, delivery=deliveries)
    def a_shop_says_which_lots_it_has(self, shop: str, delivery: dict[int, int]) -> None:
        counts = {self.today + day: count for day, count in sorted(delivery.items())}
        short = self.engine.set_lots(
            shop, "milk", {self.date_of(day): count for day, count in counts.items()}
        )
        shelf = self.shelves[shop]
        shelf.replace([Batch(day, count) for day, count in counts.items()])
        assert bool(short) == (shelf.reserved > shelf.total)

    @rule(shop=some_shops, count=st.integers(0, 12))
    def a_shop_is_counted(self, shop: str, count: int) -> None:
        self.engine.set_stock([(shop, "milk", count)])
        self.shelves[shop].correct(count)

    # -- RULES ---------------------------------------------------------------------------------

    @rule(days=st.integers(0, 2))
    def milk_must_be_good_for_longer_or_need_not(self, days: int) -> None:
        self.engine.set_sku_profiles({"milk": SkuProfile(least_life_days=days)})
        self.least_life_days = days

    @rule(is_ruled=st.booleans())
    def a_policy_comes_into_force_or_goes(self, is_ruled: bool) -> None:
        self.engine.activate_policy(1 if is_ruled else 0)
        self.is_ruled = is_ruled

    @rule(quarters=st.integers(1, 6))
    def time_passes(self, quarters: int) -> None:
        self.clock.pass_s(quarters * 6 * 3_600)

    # -- ORDERS --------------------------------------------------------------------------------

    @rule(some=st.lists(asked, min_size=1, max_size=6))
    def orders_come(self, some: list[tuple[int, OrderType]]) -> None:
        """Each to the nearest shop whose milk will be good for long enough."""
        orders = [self.an_order(count, kind) for count, kind in some]
        decisions = self.engine.route_batch(orders)
        for (count, kind), decision in zip(some, decisions, strict=True):
            keep = self.keep_of(kind)
            day = keep[0] + max(keep[1], self.least_life_days)
            able = [shop for shop in SHOPS if self.shelves[shop].free_from(day) >= count]
            assert decision.store_id == (able[0] if able else None)
            if able:
                self.holds(decision.order_id, able[0], count, keep)

    @rule(some=st.lists(asked, min_size=1, max_size=6))
    def a_dry_run_leaves_no_trace(self, some: list[tuple[int, OrderType]]) -> None:
        self.engine.adjust_stock([])  # at this time, as the dry run
        before = state_hash(self.engine)
        self.engine.route_batch([self.an_order(*one) for one in some], dry_run=True)
        assert state_hash(self.engine) == before

    @rule(number=st.integers(0))
    def an_order_is_cancelled(self, number: int) -> None:
        name = self.some(number, "ASSIGNED")
        if name is not None:
            self.engine.cancel_order(name)
            self.ends(name).state = "CANCELLED"

    @rule(number=st.integers(0))
    def an_order_is_shipped(self, number: int) -> None:
        name = self.some(number, "ASSIGNED")
        if name is not None:
            for step in (self.engine.accept_order, self.engine.pick_order, self.engine.ship_order):
                step(name)
            self.ends(name, sent=True).state = "SHIPPED"

    @rule(number=st.integers(0))
    def an_order_comes_back_to_the_shelf(self, number: int) -> None:
        name = self.some(number, "SHIPPED")
        if name is not None:
            self.engine.return_order(name, to_stock=True)
            held = self.orders[name]
            self.shelves[held.shop].put_back(held.keep_day, held.count)
            held.state = "RETURNED"

    @precondition(lambda self: not self.is_ruled)
    @rule(number=st.integers(0), reason=st.sampled_from([*RejectReason]))
    def a_shop_rejects_an_order(self, number: int, reason: RejectReason) -> None:
        """Perhaps because it has no milk at all; another gets the order, if one has some."""
        name = self.some(number, "ASSIGNED")
        if name is None or self.orders[name].keep_day:
            return
        status = self.engine.reject_order(name, self.orders[name].shop, reason=reason)
        held = self.ends(name)
        held.state = "REJECTED"
        shelf = self.shelves[held.shop]
        if reason.corrects_stock and shelf.total > shelf.reserved:
            shelf.correct(shelf.reserved)
        if status.store_id is not None:
            assert status.store_id != held.shop
            self.holds(name, status.store_id, held.count, (self.today, 0))

    # -- RESTARTS ------------------------------------------------------------------------------

    @rule(snapshot=st.booleans())
    def the_engine_is_opened_again(self, snapshot: bool) -> None:
        if snapshot:
            self.engine.snapshot()
        before = state_hash(self.engine)
        self.disk.restart()
        self.engine = self.an_engine()
        assert state_hash(self.engine) == before

    @invariant()
    def the_books_agree(self) -> None:
        for shop, shelf in self.shelves.items():
            rows = [
                ((date.fromisoformat(lot.date) - EPOCH).days, lot.on_hand, lot.reserved)
                for lot in self.engine.lots(shop, "milk")
            ]
            assert rows == shelf.rows
        self.engine.check()

    @invariant()
    def every_order_finds_milk_that_is_good_for_long_enough(self) -> None:
        for shelf in self.shelves.values():
            assert not shelf.promised or shelf.can_serve_all()


Weeks.TestCase.settings = settings(stateful_step_count=40)
TestWeeks = Weeks.TestCase
