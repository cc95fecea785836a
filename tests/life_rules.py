"""What can happen to orders once they are routed, for machines that compare engine and twin."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clock import StoppedClock
from fendan import Engine, FendanError, Order, Policy, RejectReason
from strategies import SKUS
from twin import Twin


def outcome(call: Callable[[], Any]) -> object:
    """What a call returned; or what it raised, as far as that is promised to be stable."""
    try:
        return call()
    except FendanError as error:
        return type(error), error.code, error.field, error.row, repr(error.value)


class LifeRules(RuleBasedStateMachine):
    """An engine, its twin, one clock for both, and the orders that were ever sent."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        self.clock = StoppedClock()
        self.twin = Twin(policy=policy, clock=self.clock)
        self.orders: list[Order] = []
        self.begin(self.an_engine())

    def an_engine(self) -> Engine:
        """What is held against the twin."""
        return Engine(policy=self.policy, clock=self.clock)

    def begin(self, engine: Engine) -> None:
        """Go on with this engine."""
        self.engine = engine

    def both(self, call: Callable[[Any], object]) -> object:
        """Let engine and twin do the same; they must agree."""
        ours, theirs = outcome(lambda: call(self.engine)), outcome(lambda: call(self.twin))
        assert ours == theirs
        return ours

    def pick(self, number: int, among: list[Any]) -> Any:
        return among[number % len(among)]

    @property
    def names(self) -> list[str]:
        """Stores that are there, nearly always."""
        return list(self.twin.shops) or ["nobody's"]

    def named_order(self, number: int) -> str:
        """One that was sent, and perhaps refused then."""
        return self.pick(number, self.orders).id if self.orders else "nobody's"

    def store_of(self, order_id: str, number: int) -> str | None:
        """Who says to have the order: who does, who did before, another, nobody's, or no store."""
        known = self.twin.known.get(order_id)
        named = [known.shop] if known and known.shop else []
        named += [shop for shop, _ in known.rejections] if known else []
        ids = [shop.id for shop in named] * 3
        return self.pick(number, [*ids, None, *self.names[:2], "nobody's"])

    @rule(number=st.integers(0), store=st.integers(0), steps=st.integers(1, 4))
    def an_order_goes_on(self, number: int, store: int, steps: int) -> None:
        """Perhaps all the way at once, perhaps from where it cannot, perhaps where it is not."""
        name = self.named_order(number)
        at = self.store_of(name, store)
        self.both(lambda face: face.accept_order(name, store_id=at))
        if steps > 1:
            self.both(lambda face: face.pick_order(name, store_id=at))
        if steps > 2:
            self.both(lambda face: face.ship_order(name))
        if steps > 3:
            self.both(lambda face: face.deliver_order(name, store_id=at))

    @rule(number=st.integers(0), step=st.sampled_from(["pick", "ship", "deliver"]))
    def a_step_comes_late_or_too_early(self, number: int, step: str) -> None:
        name = self.named_order(number)
        self.both(lambda face: getattr(face, f"{step}_order")(name))

    @rule(number=st.integers(0), store=st.integers(0), to_stock=st.sampled_from([True, False, 1]))
    def an_order_comes_back(self, number: int, store: int, to_stock: Any) -> None:
        name = self.named_order(number)
        at = self.store_of(name, store)
        self.both(lambda face: face.return_order(name, to_stock=to_stock, store_id=at))

    @rule(
        number=st.integers(0),
        store=st.integers(0),
        reason=st.sampled_from([*RejectReason, RejectReason.NOT_ON_SHELF, 2]),
        missing=st.lists(st.sampled_from((*SKUS, "?", "")), max_size=2),
        times=st.integers(1, 3),
        pause_s=st.sampled_from([0, 29, 30]),
    )
    def a_store_rejects_an_order(
        self,
        number: int,
        store: int,
        reason: Any,
        missing: list[str],
        times: int,
        pause_s: int,
    ) -> None:
        """And perhaps the next one does so, too, after a while; or the same says it again."""
        name = self.named_order(number)
        for _ in range(times):
            self.clock.pass_s(pause_s)
            at = self.store_of(name, store) or "?"
            self.both(
                lambda face, at=at: face.reject_order(name, at, reason=reason, missing_skus=missing)
            )

    @rule(number=st.integers(0), store=st.integers(0), sku=st.sampled_from(SKUS))
    def a_store_does_not_find_what_an_order_has(self, number: int, store: int, sku: str) -> None:
        name = self.named_order(number)
        at = self.store_of(name, store) or "?"
        known = self.twin.known.get(name)
        missing = [sku] if known and sku in known.basket else None
        reason = RejectReason.NOT_ON_SHELF
        self.both(lambda face: face.reject_order(name, at, reason=reason, missing_skus=missing))

    @rule(number=st.integers(0), count=st.sampled_from([0, 1, 2**31 - 2]))
    def a_store_that_has_an_order_is_counted(self, number: int, count: int) -> None:
        """Perhaps what it holds for the order is not there, or was taken off already."""
        known = self.twin.known.get(self.named_order(number))
        if known and known.shop and known.shop.id in self.twin.shops:
            rows = [(known.shop.id, sku, count) for sku in known.basket]
            self.both(lambda face: face.set_stock(rows))

    @rule(number=st.integers(0), shipment=st.sampled_from([None, 1, 0, 2]))
    def an_order_is_cancelled(self, number: int, shipment: int | None) -> None:
        name = self.named_order(number)
        self.both(lambda face: face.cancel_order(name, shipment=shipment))

    @rule(seconds=st.sampled_from([1, 29, 30, 31, 60, 3600]), expire=st.booleans())
    def time_passes(self, seconds: int, expire: bool) -> None:
        self.clock.pass_s(seconds)
        if expire:
            self.both(lambda face: face.expire_orders())

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def the_clock_is_set_back(self, seconds: int) -> None:
        self.both(lambda face: face.expire_orders())
        self.clock.pass_s(-seconds)
        self.both(lambda face: face.expire_orders())

    @invariant()
    def both_know_where_every_order_is(self) -> None:
        for name in self.twin.known:
            assert self.engine.order(name) == self.twin.order(name)
            assert self.engine.decision(name) == self.twin.decision(name)
