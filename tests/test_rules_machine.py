"""Days of a chain under changing policies: engine and slow twin agree on every order.

Beside the engine that is judged, whose power goes now and then, a second one does the same
commands in memory: both must be in the same state, to the byte, whenever that is asked.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import cycle, product
from operator import methodcaller
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import rule_strategies as rs
from fendan import Engine, Order, OrderState, RejectReason, SkuProfile, Store, StoreProfile
from fendan.filelog import FileLog
from fendan.rules import OrderType
from fendan.state import state_hash
from rule_judge import Judge
from rule_lives import Sent
from simulated_disk import SimulatedDisk

FOLDER = Path("/simulated")
USUAL = 'default_type = "NEXT_DAY"\n'


def change(**drawn: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule after which an order comes."""
    decorator: Callable[[Callable[..., None]], Callable[..., None]]
    decorator = rule(then=rs.orders(()), **drawn)
    return decorator


def named(channel: str, store_id: str, face: Any) -> object:
    """A channel of which nobody ever said anything would not be remembered with its orders."""
    face.set_shares(channel, {store_id: 0.5})
    return face.set_shares(channel, {store_id: 1})


def rejected(name: str, store_id: str, reason: RejectReason, face: Any) -> object:
    return face.reject_order(name, store_id, reason=reason)


class Chain(RuleBasedStateMachine):
    """One engine on a disk, one in memory, and the twin."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk()
        self.judge = Judge()
        self.other = self.judge.engine
        self.judge.engine = self.an_engine()
        self.versions = 0
        self.orders: list[Order] = []

    def an_engine(self) -> Engine:
        log = FileLog(FOLDER, self.disk, segment_bytes=8192, first_segment_bytes=2048)
        return Engine.open(FOLDER, clock=self.judge.clock, log=log)

    def all(self, call: Callable[[Any], Any]) -> None:
        """Let all of them do the same."""
        self.judge.both(call)
        call(self.other)

    def quietly(self, call: Callable[[Any], Any]) -> None:
        """As `all`, where the twin does not know of shortfalls."""
        for face in (self.judge.twin, self.judge.engine, self.other):
            call(face)

    # -- THE CHAIN -----------------------------------------------------------------------------

    @initialize(
        stores=rs.store_lists,
        counts=st.lists(st.sampled_from([0, 1, 3, 9]), min_size=15, max_size=15),
        bundles=rs.bundle_profiles,
        policy=st.one_of(st.just(USUAL), rs.policies),
    )
    def it_begins(
        self,
        stores: list[Store],
        counts: list[int],
        bundles: dict[str, SkuProfile],
        policy: str,
    ) -> None:
        self.all(lambda face: face.add_stores(stores))
        for store in stores:
            self.all(methodcaller("set_store_profiles", rs.windowed(store.id)))
        self.all(lambda face: face.set_areas(rs.AREAS))
        self.all(lambda face: face.set_sku_profiles(bundles))
        for channel in rs.CHANNELS:
            self.all(partial(named, channel, stores[0].id))
        self.a_policy_is_written(rs.NAMING, True)
        pairs = product((store.id for store in stores), rs.SKUS)
        rows = [(*pair, count) for pair, count in zip(pairs, counts, strict=False)]
        self.quietly(lambda face: face.set_stock(rows))
        self.a_policy_is_written(policy, True)

    @property
    def names(self) -> list[str]:
        return list(self.judge.twin.shops)

    def named(self, number: int) -> str:
        return self.names[number % len(self.names)]

    @change(number=st.integers(0, 4), profile=rs.store_profiles)
    def a_store_works_otherwise(self, number: int, profile: StoreProfile, then: Order) -> None:
        profiles = rs.windowed(self.named(number), profile)
        self.all(lambda face: face.set_store_profiles(profiles))
        self.an_order_comes(then)

    @change(sku=st.sampled_from(rs.SKUS), profile=rs.sku_profiles)
    def a_sku_is_sold_otherwise(self, sku: str, profile: SkuProfile, then: Order) -> None:
        self.all(lambda face: face.set_sku_profiles({sku: profile}))
        self.an_order_comes(then)

    @change(store=rs.stores)
    def a_store_opens_or_moves(self, store: Store, then: Order) -> None:
        if store.id in self.names:
            self.all(lambda face: face.update_stores([store]))
        else:
            self.all(lambda face: face.add_stores([store]))
            self.all(lambda face: face.set_store_profiles(rs.windowed(store.id)))
        self.an_order_comes(then)

    @change(number=st.integers(0, 4), resume=st.booleans())
    def a_store_pauses_or_goes_on(self, number: int, resume: bool, then: Order) -> None:
        name = self.named(number)
        if resume:
            self.all(lambda face: face.resume_stores([name]))
        else:
            self.all(lambda face: face.pause_stores([name]))
        self.an_order_comes(then)

    @change(number=st.integers(0, 4), again=st.booleans())
    def a_store_is_removed(self, number: int, again: bool, then: Order) -> None:
        """Another may open in its place at once, under the same id."""
        if len(self.names) > 1:
            name = self.named(number)
            place = self.judge.twin.shops[name].place
            self.quietly(lambda face: face.remove_stores([name]))
            if again:
                store = Store(id=name, lat=place[0], lng=place[1])
                self.all(lambda face: face.add_stores([store]))
        self.an_order_comes(then)

    @change(
        seconds=st.sampled_from([1, 300, 600, 900, 3600, 4 * 3600, 9 * 3600, 24 * 3600, 50 * 3600])
    )
    def time_passes(self, seconds: int, then: Order) -> None:
        self.judge.clock.pass_s(seconds)
        self.an_order_comes(then)

    # -- ITS STOCK -----------------------------------------------------------------------------

    @change(
        number=st.integers(0, 4), sku=st.sampled_from(rs.SKUS), count=st.sampled_from([0, 1, 3, 9])
    )
    def stock_is_counted(self, number: int, sku: str, count: int, then: Order) -> None:
        rows = [(self.named(number), sku, count)]
        self.quietly(lambda face: face.set_stock(rows))
        self.an_order_comes(then)

    @change(number=st.integers(0, 4), sku=st.sampled_from(rs.SKUS), lots=rs.lots)
    def lots_are_counted(self, number: int, sku: str, lots: dict[str, int], then: Order) -> None:
        name = self.named(number)
        self.quietly(lambda face: face.set_lots(name, sku, lots))
        self.an_order_comes(then)

    @change(
        number=st.integers(0, 4),
        sku=st.sampled_from(rs.SKUS),
        part=st.sampled_from(["safety", "locked", "display"]),
        count=st.integers(0, 3),
    )
    def stock_is_held_back(self, number: int, sku: str, part: str, count: int, then: Order) -> None:
        name = self.named(number)
        self.all(lambda face: face.set_held([name], [sku], **{part: [count]}))
        self.an_order_comes(then)

    @change(
        number=st.integers(0, 4),
        channel=st.sampled_from(rs.CHANNELS),
        share=st.sampled_from([0, 0.3, 0.5, 1]),
    )
    def a_channel_gets_a_share(self, number: int, channel: str, share: float, then: Order) -> None:
        name = self.named(number)
        self.all(lambda face: face.set_shares(channel, {name: share}))
        self.an_order_comes(then)

    @change(channel=st.sampled_from(rs.CHANNELS), skus=rs.some(*rs.SKUS, *rs.BUNDLES))
    def a_channel_sells_some_no_more(self, channel: str, skus: frozenset[str], then: Order) -> None:
        self.all(lambda face: face.set_hidden_skus(channel, sorted(skus)))
        self.an_order_comes(then)

    @change(
        number=st.integers(0, 4),
        sku=st.sampled_from(rs.SKUS),
        day=st.sampled_from(rs.DAYS),
        count=st.integers(0, 6),
        comes=st.booleans(),
    )
    def supply_is_announced_or_comes(
        self, number: int, sku: str, day: str, count: int, comes: bool, then: Order
    ) -> None:
        name = self.named(number)
        if comes:
            self.all(lambda face: face.receive_supply(name, sku, day))
        else:
            self.quietly(lambda face: face.set_supply(name, sku, day, count))
        self.an_order_comes(then)

    # -- POLICIES ------------------------------------------------------------------------------

    @rule(text=rs.policies, active=st.booleans())
    def a_policy_is_written(self, text: str, active: bool) -> None:
        self.all(lambda face: face.draft_policy(text))
        self.versions = len(self.judge.twin.texts)
        if active:
            self.all(methodcaller("activate_policy", self.versions))

    @change(number=st.integers(0, 5))
    def another_policy_is_in_force(self, number: int, then: Order) -> None:
        version = number % (self.versions + 1)
        self.all(lambda face: face.activate_policy(version))
        self.an_order_comes(then)

    # -- ORDERS --------------------------------------------------------------------------------

    @rule(drawn=rs.orders(()))
    def an_order_comes(self, drawn: Order) -> None:
        self.orders_come([drawn], False)

    @rule(drawn=st.lists(rs.orders(()), min_size=2, max_size=6), dry_run=st.booleans())
    def orders_come(self, drawn: list[Order], dry_run: bool) -> None:
        first = len(self.orders)
        orders = [rs.numbered(order, first + at) for at, order in enumerate(drawn)]
        if not dry_run:
            self.orders += orders
        self.all(lambda face: face.route_batch(orders, dry_run=dry_run))

    @rule(number=st.integers(0, 4), drawn=rs.orders(rs.STORES))
    def somebody_will_fetch_it(self, number: int, drawn: Order) -> None:
        order = rs.numbered(drawn, len(self.orders), self.named(number))
        self.orders.append(order)
        self.all(lambda face: face.route(order))

    @rule(number=st.integers(0))
    def an_order_is_sent_again(self, number: int) -> None:
        if self.orders:
            order = self.orders[number % len(self.orders)]
            if order.pickup_store_id in ("", *self.names):  # a store that is gone is nobody's
                self.all(lambda face: face.route(order))

    @rule(number=st.integers(0))
    def an_order_is_given_up(self, number: int) -> None:
        if self.orders:
            name = self.orders[number % len(self.orders)].id
            self.all(lambda face: face.release(name))

    # -- WHAT BECOMES OF THEM ------------------------------------------------------------------

    def where(self, held: Callable[[Sent], bool]) -> list[tuple[str, Sent]]:
        """What is sent of orders, with their ids, as far as it is so."""
        kept = self.judge.twin.told.items()
        return [(name, one) for name, told in kept for one in told.sent if held(one)]

    @rule(number=st.integers(0))
    def an_order_leaves_its_stores(self, number: int) -> None:
        if held := self.where(lambda sent: sent.is_held):
            name, _ = held[number % len(held)]
            self.judge.twin.ship_order(name)
            for engine in (self.judge.engine, self.other):
                for step in (engine.accept_order, engine.pick_order, engine.ship_order):
                    step(name)
            self.judge.both(lambda face: face.order(name))

    @rule(number=st.integers(0))
    def an_order_is_accepted(self, number: int) -> None:
        if held := self.where(lambda sent: sent.state is OrderState.ASSIGNED):
            name, _ = held[number % len(held)]
            self.all(lambda face: face.accept_order(name))

    @rule(number=st.integers(0), to_stock=st.booleans())
    def an_order_comes_back(self, number: int, to_stock: bool) -> None:
        shops = self.judge.twin.shops.values()
        gone = {id(sent.shop) for _, sent in self.where(lambda sent: sent.shop not in shops)}
        if sent := self.where(
            lambda one: one.state is OrderState.SHIPPED and id(one.shop) not in gone
        ):
            name, _ = sent[number % len(sent)]
            if not any(id(one.shop) in gone for one in self.judge.twin.told[name].sent):
                self.all(lambda face: face.return_order(name, to_stock=to_stock))

    @change(
        number=st.integers(0),
        reason=st.sampled_from([RejectReason.OTHER, RejectReason.NOT_ON_SHELF]),
        times=st.integers(1, 3),
    )
    def stores_reject_an_order(
        self, number: int, reason: RejectReason, times: int, then: Order
    ) -> None:
        """The next one as well, perhaps; of what is still to come, too."""
        held = self.where(lambda sent: sent.is_held)
        name = held[number % len(held)][0] if held else ""
        for _ in range(times):
            sent = self.judge.twin.told[name].held if name else []
            if not sent:
                break
            assert sent[0].shop is not None
            store = sent[0].shop.id
            self.all(partial(rejected, name, store, reason))
        self.an_order_comes(then)

    @rule(
        drawn=rs.orders(()),
        day=st.sampled_from(rs.DAYS),
        counts=st.lists(st.sampled_from([1, 3, 9]), min_size=5, max_size=5),
        reason=st.sampled_from([RejectReason.OTHER, RejectReason.NOT_ON_SHELF]),
    )
    def what_waits_for_supply_is_rejected(
        self, drawn: Order, day: str, counts: list[int], reason: RejectReason
    ) -> None:
        """By one store after another, of those that get some of it."""
        lines = [line for line in drawn.lines if line[0] in rs.SKUS] or [("tea", 1)]
        order = rs.numbered(replace(drawn, lines=lines), len(self.orders))
        order = replace(order, order_type=OrderType.PRESALE)
        skus = sorted({sku for sku, *_ in lines})
        for sku in skus:
            self.all(lambda face, sku=sku: face.set_sku_profiles({sku: SkuProfile(presale=True)}))
        for (sku, name), count in zip(product(skus, self.names), cycle(counts), strict=False):
            self.quietly(
                lambda face, sku=sku, name=name, n=count: face.set_supply(name, sku, day, n)
            )
        self.orders.append(order)
        self.all(lambda face: face.route(order))
        for _ in counts:
            if held := self.judge.twin.told[order.id].held:
                assert held[-1].shop is not None
                self.all(partial(rejected, order.id, held[-1].shop.id, reason))

    @change(seconds=st.sampled_from([0, 600, 7200]))
    def what_was_not_accepted_in_time_is_given_back(self, seconds: int, then: Order) -> None:
        self.judge.clock.pass_s(seconds)
        self.all(lambda face: face.expire_orders())
        self.an_order_comes(then)

    # -- THE ENGINE ----------------------------------------------------------------------------

    def open_again(self) -> None:
        before = state_hash(self.judge.engine)
        self.judge.engine = self.an_engine()
        assert state_hash(self.judge.engine) == before

    @rule(seed=st.integers(0, 2**32))
    def the_power_goes(self, seed: int) -> None:
        self.disk.chance = random.Random(seed)
        self.disk.crash()
        self.open_again()

    @rule(drawn=st.lists(rs.orders(()), min_size=3, max_size=6), seed=st.integers(0, 2**32))
    def the_power_goes_when_many_have_come_at_once(self, drawn: list[Order], seed: int) -> None:
        self.orders_come(drawn, False)
        self.the_power_goes(seed)

    @rule(snapshot=st.booleans())
    def the_engine_is_closed_and_opened(self, snapshot: bool) -> None:
        if snapshot:
            self.judge.engine.snapshot()
        self.judge.engine.close()
        self.open_again()

    @invariant()
    def both_count_the_same_stock(self) -> None:
        for name in self.names:
            self.judge.both(methodcaller("stock", name, rs.SKUS))
            for sku in rs.SKUS:
                self.judge.both(methodcaller("lots", name, sku))

    @invariant()
    def both_know_where_every_order_is(self) -> None:
        for name in self.judge.twin.told:
            self.judge.both(methodcaller("order", name))

    @invariant()
    def every_order_finds_pieces_that_are_good_for_long_enough(self) -> None:
        for shelf in self.judge.twin.shelves.values():
            assert not shelf.promised or shelf.can_serve_all()

    @invariant()
    def the_same_commands_lead_to_the_same_state(self) -> None:
        assert state_hash(self.judge.engine) == state_hash(self.other)

    def teardown(self) -> None:
        self.judge.engine.close()


Chain.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestChain = Chain.TestCase
