"""Nothing is ever lost, and a retry finds what a scan of all who wait would: whatever happens."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from clock import StoppedClock
from fendan import (
    Engine,
    ExceptionEntry,
    ExceptionKind,
    FendanError,
    Order,
    OrderState,
    Policy,
    RejectReason,
    RetryPolicy,
    Store,
)

STORES = ("S1", "S2", "S3")
SKUS = ("tea", "milk", "rice")
PATIENCE = Policy(reservation_timeout_s=50.0, cool_down_s=20.0, most_attempts=3)
EAGER = RetryPolicy(first_wait_s=0.0, most_attempts=10_000, most_age_s=366 * 86_400.0)
HOMELESS = {OrderState.UNASSIGNED, OrderState.REJECTED, OrderState.EXPIRED}
SPLITS = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
hours = "ANY"
split = { mode = "FEWEST", most_shipments = 3 }
"""

counts = st.integers(0, 6)
baskets = st.dictionaries(st.sampled_from(SKUS), st.integers(1, 3), min_size=1, max_size=2)
stores = st.sampled_from(STORES)


def scan(engine: Engine) -> None:
    """Try all who wait, one after another: slow, obvious, and the judge."""

    def turn(entry: ExceptionEntry) -> tuple[int, int, int, str]:
        had_a_store = entry.order is None
        return -entry.priority, -1 if had_a_store else 0, entry.since_ns, entry.id

    for entry in sorted(engine.export_exceptions(), key=turn):
        if entry.kind is ExceptionKind.WAITING:
            engine.retry_exceptions([entry.id])


class Desk(RuleBasedStateMachine):
    """Two engines live through the same: one follows what changes, the other scans."""

    @initialize(splits=st.booleans())
    def begin(self, splits: bool) -> None:
        self.clock = StoppedClock()
        self.engines = [Engine(clock=self.clock, policy=PATIENCE) for _ in range(2)]
        self.ids: list[str] = []
        self.closed: set[str] = set()
        for engine in self.engines:
            engine.add_stores(
                Store(id=name, lat=31.2, lng=121.4 + east / 100) for east, name in enumerate(STORES)
            )
            engine.set_stock([(store, sku, 0) for store in STORES for sku in SKUS])
            engine.keep_exceptions(EAGER)
            if splits:
                engine.activate_policy(engine.draft_policy(SPLITS))

    def both(self, command: Any) -> None:
        """The same to both, with the same answer; then all who wait are tried."""
        told = []
        for engine in self.engines:
            try:
                told.append(command(engine))
            except FendanError as error:
                told.append(str(error))
        assert told[0] == told[1]
        fast, slow = self.engines
        while fast.retry_due().has_more:
            pass
        scan(slow)

    def an_order(self, basket: dict[str, int], priority: int) -> Order:
        self.ids.append(f"O{len(self.ids):03}")
        return Order(
            id=self.ids[-1],
            lat=31.2,
            lng=121.4,
            lines=tuple(basket.items()),
            priority=priority,
        )

    # -- WHAT HAPPENS --------------------------------------------------------------------------

    @rule(basket=baskets, priority=st.integers(0, 2))
    def order(self, basket: dict[str, int], priority: int) -> None:
        order = self.an_order(basket, priority)
        self.both(lambda engine: engine.route(order))

    @rule(found=st.lists(st.tuples(baskets, st.integers(0, 2)), max_size=4), ranked=st.booleans())
    def batch(self, found: list[tuple[dict[str, int], int]], ranked: bool) -> None:
        orders = [self.an_order(*one) for one in found]
        allocate = "priority" if ranked else "order"
        self.both(lambda engine: engine.route_batch(orders, allocate=allocate))

    @rule(basket=baskets)
    def hold(self, basket: dict[str, int]) -> None:
        order = self.an_order(basket, 1)
        held = ExceptionEntry(id=order.id, kind=ExceptionKind.HELD, reason="RULE", order=order)
        self.both(lambda engine: engine.add_exceptions([held]))

    @rule(rows=st.dictionaries(st.tuples(stores, st.sampled_from(SKUS)), counts, min_size=1))
    def stock(self, rows: dict[tuple[str, str], int]) -> None:
        delivery = [(store, sku, count) for (store, sku), count in rows.items()]
        self.both(lambda engine: engine.set_stock(delivery))

    @rule(store=stores, sku=st.sampled_from(SKUS), count=counts)
    def some_more(self, store: str, sku: str, count: int) -> None:
        self.both(lambda engine: engine.adjust_stock([(store, sku, count)]))

    @rule(store=stores, pauses=st.booleans())
    def pause(self, store: str, pauses: bool) -> None:
        self.both(lambda engine: (engine.pause_stores if pauses else engine.resume_stores)([store]))

    @rule(seconds=st.sampled_from([1, 15, 60]))
    def wait(self, seconds: int) -> None:
        self.clock.pass_s(seconds)
        self.both(lambda engine: engine.expire_orders())

    @rule(data=st.data(), reason=st.sampled_from(list(RejectReason)))
    def reject(self, data: st.DataObject, reason: RejectReason) -> None:
        name = self.some(data)
        store = self.store_of(name) or "S1"
        self.both(lambda engine: engine.reject_order(name, store, reason=reason))

    @rule(data=st.data(), step=st.sampled_from(["cancel", "accept", "pick", "ship"]))
    def step(self, data: st.DataObject, step: str) -> None:
        name = self.some(data)
        self.both(lambda engine: getattr(engine, f"{step}_order")(name))

    @rule(data=st.data(), step=st.sampled_from(["cancel", "approve"]))
    def by_hand(self, data: st.DataObject, step: str) -> None:
        name = self.some(data)
        if step == "cancel" and name in {one.id for one in self.engines[0].export_exceptions()}:
            self.closed.add(name)
        self.both(lambda engine: getattr(engine, f"{step}_exception")(name))

    @rule(data=st.data(), store=stores)
    def assign(self, data: st.DataObject, store: str) -> None:
        name = self.some(data)
        self.both(lambda engine: engine.assign_exception(name, store))

    def store_of(self, name: str) -> str | None:
        try:
            status = self.engines[0].order(name)
        except FendanError:
            return None
        return status.store_id

    def some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.ids)) if self.ids else "nobody's"

    # -- WHAT ALWAYS HOLDS ---------------------------------------------------------------------

    @invariant()
    def both_have_done_the_same(self) -> None:
        fast, slow = (self.told(engine) for engine in self.engines)
        assert fast == slow

    @invariant()
    def nothing_is_lost(self) -> None:
        engine = self.engines[0]
        queue = {entry.id for entry in engine.export_exceptions()}
        assert queue == {name for name in self.ids if self.is_homeless(name)} - self.closed
        engine.check()

    def is_homeless(self, name: str) -> bool:
        """Whether an order, or a part of it, is at no store, and nobody has given it up."""
        try:
            status = self.engines[0].order(name)
        except FendanError:
            return True  # it was never routed
        return any(one.state in HOMELESS for one in status.shipments or (status,))

    def told(self, engine: Engine) -> dict[str, OrderState | None]:
        found: dict[str, OrderState | None] = {}
        for name in self.ids:
            try:
                found[name] = engine.order(name).state
            except FendanError:
                found[name] = None
        return found


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
