"""The slow twin of what becomes of orders under policies: each shipment goes its own way.

An order that was not split is one shipment of all its lines. What a shipment holds, it holds from a
shop's shelf, where there is one, from a day on: that of its promise, and what its SKU asks beyond.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from fendan import Decision, Order, OrderState, OrderStatus, Policy, Reason, RejectReason
from fendan.model import ShipmentStatus
from fendan.rules import StepName
from ledger import Basket, Shop
from rule_chain import SUPPLY, Chain
from rule_terms import Part, Terms
from twin import haversine_m

__all__ = ["Kept", "RuleLives", "Sent", "lines_of"]

ASSIGNED, ACCEPTED, PICKED = OrderState.ASSIGNED, OrderState.ACCEPTED, OrderState.PICKED
SHIPPED, RETURNED, REJECTED = OrderState.SHIPPED, OrderState.RETURNED, OrderState.REJECTED
# An order that was split is where the first of these is that any of its shipments is at.
BY_PROGRESS = (
    *(ASSIGNED, ACCEPTED, PICKED, SHIPPED, OrderState.DELIVERED, RETURNED, REJECTED),
    *(OrderState.EXPIRED, OrderState.CANCELLED, OrderState.UNASSIGNED),
)
WAITS = Policy()  # what an engine that is told nothing does
COOL_DOWN_NS = round(WAITS.cool_down_s * 1e9)


@dataclass
class Sent:
    """What one shop is to send: an order, or a shipment of it. `days`: from which each SKU's lots
    are held; `keep_day`: what of that the order itself asked for, 0 where no policy was asked.
    """

    lines: Basket
    shop: Shop | None = None
    metres: float | None = None
    state: OrderState = OrderState.UNASSIGNED
    reason: Reason = Reason.NONE
    attempts: int = 0
    due_ns: int | None = None
    keep_day: int = 0
    days: dict[str, int] = field(default_factory=dict)
    rejections: list[tuple[Shop, int]] = field(default_factory=list)

    @property
    def is_held(self) -> bool:
        return self.state in (ASSIGNED, ACCEPTED, PICKED)

    @property
    def waits(self) -> bool:
        """Whether it is sold against supply."""
        return any(SUPPLY in sku for sku in self.lines)


@dataclass
class Kept:
    """What is remembered of an order. `order`: as its rule saw it; `is_fixed`: why it may go to no
    other store, if it may not. `asks_more`: whether bundles in it asked for more than their parts.
    """

    decision: Decision
    order: Order
    sent: list[Sent]
    is_fixed: Reason = Reason.NONE
    is_granted: bool = False
    asks_more: bool = False

    @property
    def held(self) -> list[Sent]:
        return [one for one in self.sent if one.is_held]


class RuleLives(Chain):
    """The methods of `fendan.Engine` that move orders on, all of an order's shipments at once."""

    told: dict[str, Kept]
    came: list[tuple[int, Shop]]
    arrived: dict[str, None]
    active: int

    def terms_again(self, kept: Kept, lines: Basket) -> Terms:
        """Some of an order's lines, and the rule that they come under now."""
        raise NotImplementedError

    # -- STEPS ---------------------------------------------------------------------------------

    def ship_order(self, order_id: str) -> OrderStatus:
        """What is held is accepted, picked, and leaves its shops."""
        for sent in self.told[order_id].held:
            assert sent.shop is not None
            for sku, pieces in sent.lines.items():
                held = (sent.days[sku], pieces)
                self._let_go(sent.shop, sku, held, sent.keep_day, sent=True)
            sent.state, sent.due_ns = SHIPPED, None
        return self.order(order_id)

    def accept_order(self, order_id: str) -> OrderStatus:
        for sent in self.told[order_id].sent:
            if sent.state is ASSIGNED:
                sent.state, sent.due_ns = ACCEPTED, None
        return self.order(order_id)

    def return_order(self, order_id: str, *, to_stock: bool) -> OrderStatus:
        for sent in self.told[order_id].sent:
            if sent.state is SHIPPED:
                assert sent.shop is not None
                for sku, pieces in sent.lines.items() if to_stock else ():
                    self._put_back(sent.shop, sku, pieces, sent.keep_day)
                sent.state = RETURNED
        return self.order(order_id)

    def release(self, order_id: str) -> bool:
        held = self.told[order_id].held
        for sent in held:
            self._give_back(sent)
            sent.state, sent.due_ns = OrderState.CANCELLED, None
        return bool(held)

    def expire_orders(self) -> list[str]:
        expired = []
        for order_id in self.arrived:
            for sent in self.told[order_id].sent:
                if sent.state is ASSIGNED and sent.due_ns and sent.due_ns <= self.now_ns():
                    self._give_back(sent)
                    sent.state, sent.due_ns = OrderState.EXPIRED, None
                    expired.append(order_id)
        return list(dict.fromkeys(expired))

    def reject_order(
        self, order_id: str, store_id: str, *, reason: RejectReason = RejectReason.OTHER
    ) -> OrderStatus:
        """All that a shop holds of an order: it may find out that it has none of it."""
        kept = self.told[order_id]
        there = [one for one in kept.held if one.shop and one.shop.id == store_id]
        for sent in there:
            shop = sent.shop
            assert shop is not None
            self._give_back(sent)
            sent.rejections.append((shop, self.now_ns()))
            for sku in sent.lines if reason.corrects_stock else ():
                if self._net(shop, sku) > 0:
                    self._set(shop, sku, self.reserved[shop, sku])
            sent.state, sent.shop, sent.metres, sent.due_ns = REJECTED, None, None, None
            self._route_again(kept, sent)
        return self.order(order_id)

    def _route_again(self, kept: Kept, sent: Sent) -> None:
        if sent.attempts >= WAITS.most_attempts:
            sent.reason = Reason.TOO_MANY_ATTEMPTS
            return
        if kept.is_fixed:
            sent.reason = kept.is_fixed
            return
        part: Part | None
        since_ns = self.now_ns() - COOL_DOWN_NS
        late = {shop for shop, when_ns in sent.rejections if when_ns > since_ns}
        without = frozenset({*late, sent.rejections[-1][0]})
        if sent.waits:
            part = self._next_supplied(kept, sent.lines, without) if self.active else None
            sent.reason = Reason.NONE if part else Reason.NO_SUPPLY
        elif not self.active or not kept.is_granted:
            part, sent.reason = self._nearest(kept.order, sent.lines, without)
        else:
            part, sent.reason = self._next(kept, sent.lines, without)
        if part is not None:
            self._hold(sent, part, is_granted=kept.is_granted)

    def _next(
        self, kept: Kept, lines: Basket, without: frozenset[Shop]
    ) -> tuple[Part | None, Reason]:
        """Step after step of the policy in force, from one store."""
        terms = replace(self.terms_again(kept, lines), without=without)
        for step in terms.rule.steps:
            shop = None if step.name is StepName.BACKORDER else terms.best(step, lines)
            if shop:
                return terms.part(shop, lines), Reason.NONE
        return None, terms.reason(lines)

    def _next_supplied(self, kept: Kept, lines: Basket, without: frozenset[Shop]) -> Part | None:
        """What waits for supply, from another store that gets the same on the same days."""
        days = dict(sku.split(SUPPLY) for sku in lines)
        own = {sku.partition(SUPPLY)[0]: pieces for sku, pieces in lines.items()}
        terms = replace(self.terms_again(kept, own), without=without)
        waiting = [step for step in terms.rule.steps if step.name is StepName.BACKORDER]
        parts = [terms.supplied(step, own, days) for step in waiting]
        return next((part for part in parts if part), None)

    def _nearest(
        self, order: Order, lines: Basket, without: frozenset[Shop] = frozenset()
    ) -> tuple[Part | None, Reason]:
        """Without a policy: from the nearest that has it all."""
        place = self._place(order, "", None)
        there = [one for one in self.shops.values() if not one.paused and one not in without]
        having = [s for s in there if all(self._sellable(s, sku) >= n for sku, n in lines.items())]
        shop = min(having, key=lambda s: (haversine_m(place, s.place), s.id), default=None)
        if shop is None:
            return None, Reason.NO_STOCK if there else Reason.NO_STORES
        metres = haversine_m(place, shop.place)
        return Part(shop, metres, lines, None, timeout_s=WAITS.reservation_timeout_s), Reason.NONE

    # -- WHAT IS HELD --------------------------------------------------------------------------

    def _hold(self, sent: Sent, part: Part, *, is_granted: bool) -> None:
        """The shop has it from now on; what no policy says must be good for today, at least."""
        sent.shop, sent.metres, sent.state = part.shop, part.metres, ASSIGNED
        sent.attempts += 1
        sent.keep_day = self.today() if is_granted else 0
        if part.keep:
            sent.keep_day = sum(part.keep)
        if part.timeout_s is not None:
            sent.due_ns = (part.comes_ns or self.now_ns()) + round(part.timeout_s * 1e9)
        for sku, pieces in sent.lines.items():
            sent.days[sku] = self.good_day(sku, part.keep)
            self._take(part.shop, sku, pieces, sent.days[sku])
        self.came.append((self.now_ns(), part.shop))

    def _give_back(self, sent: Sent) -> None:
        assert sent.shop is not None
        for sku, pieces in sent.lines.items():
            self._let_go(sent.shop, sku, (sent.days[sku], pieces), sent.keep_day)

    # -- QUERIES -------------------------------------------------------------------------------

    def order(self, order_id: str) -> OrderStatus:
        kept = self.told[order_id]
        state = next(one for one in BY_PROGRESS if one in {sent.state for sent in kept.sent})
        first = next(sent for sent in kept.sent if sent.state is state)
        dues = [sent.due_ns for sent in kept.sent if sent.due_ns]
        return OrderStatus(
            order_id=order_id,
            state=state,
            store_id=first.shop.id if first.shop else None,
            distance_m=first.metres,
            reason=first.reason,
            attempts=sum(sent.attempts for sent in kept.sent),
            reserved_until_ns=min(dues, default=None),
            shipments=tuple(_shipments(kept.sent)) if kept.decision.shipments else (),
        )


def _shipments(all_sent: Iterable[Sent]) -> Iterator[ShipmentStatus]:
    for number, sent in enumerate(all_sent, 1):
        yield ShipmentStatus(
            number=number,
            state=sent.state,
            store_id=sent.shop.id if sent.shop else None,
            distance_m=sent.metres,
            reason=sent.reason,
            attempts=sent.attempts,
            reserved_until_ns=sent.due_ns,
            lines=lines_of(sent.lines),
        )


def lines_of(basket: Basket) -> tuple[tuple[str, int], ...]:
    """What is told of a shipment's lines: supply as what it is of."""
    return tuple(sorted((sku.partition(SUPPLY)[0], pieces) for sku, pieces in basket.items()))
