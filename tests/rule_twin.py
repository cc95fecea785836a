"""The slow twin of routing under a policy file: every store is asked for every order.

Written from what rules, profiles and the guide say, not from the engine. Which rule an order comes
under it asks `fendan.policy`, which has tests of its own; hours, areas, distances and splits come
from the slow twins of those.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from clock import StoppedClock
from fendan import Decision, Order, Reason, Status
from fendan.model import Shipment
from fendan.policy import PolicyBook
from fendan.policy_file import policy_of
from fendan.rules import OrderType, Step, StepName
from ledger import Basket, Place, Shop
from rule_lives import Kept, RuleLives, Sent, lines_of
from rule_terms import Part, Terms
from twin import amounts_of

__all__ = ["RuleTwin"]

MergeKey = tuple[str, ...]


@dataclass(frozen=True)
class Merge:
    """The last order of a buyer at an address, or of a group."""

    time_ns: int
    number: int
    shop: Shop | None


class RuleTwin(RuleLives):
    """The same methods as `fendan.Engine`; merge groups have numbers of its own."""

    def __init__(self, clock: StoppedClock | None = None) -> None:
        super().__init__(clock)
        self.texts: list[str] = []
        self.books: list[PolicyBook] = []
        self.active = 0
        self.told: dict[str, Kept] = {}
        self.came: list[tuple[int, Shop]] = []
        self.arrived: dict[str, None] = {}
        self.merges: dict[MergeKey, Merge] = {}
        self.numbers: dict[tuple[MergeKey, int], int] = {}

    # -- POLICIES ------------------------------------------------------------------------------

    def draft_policy(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
            self.books.append(policy_of(text))
        return self.texts.index(text) + 1

    def activate_policy(self, version: int) -> None:
        self.active = version

    # -- ORDERS --------------------------------------------------------------------------------

    def route(self, order: Order, *, dry_run: bool = False) -> Decision:
        return self.route_batch([order], dry_run=dry_run)[0]

    def route_batch(self, orders: Iterable[Order], *, dry_run: bool = False) -> list[Decision]:
        before = (
            Counter(self.reserved),
            dict(self.told),
            dict(self.merges),
            set(self.off_shelf),
            list(self.came),
            dict(self.arrived),
            {pair: deepcopy(shelf) for pair, shelf in self.shelves.items()},
        )
        orders = list(orders)
        self.arrived.update(dict.fromkeys(order.id for order in orders))
        for at, order in enumerate(orders):
            if order.id not in self.told:
                self._decide(order, orders[at:])
        decisions = [self.told[order.id].decision for order in orders]
        if dry_run:
            self.reserved, self.told, self.merges, self.off_shelf, *rest = before
            self.came, self.arrived, self.shelves = rest
        return decisions

    # -- HOW BUSY STORES ARE -------------------------------------------------------------------

    def open_orders(self, shop: Shop) -> int:
        """How many orders, or shipments, it holds stock for."""
        return sum(sent.shop is shop for kept in self.told.values() for sent in kept.held)

    def has_room(self, shop: Shop, more: int) -> bool:
        """Whether it may have so many more: of orders at once, and of those in its window."""
        profile, now_ns = self.profile(shop), self.now_ns()
        since_ns = now_ns - round(profile.window_s * 1e9)
        lately = sum(1 for time_ns, to in self.came if to is shop and time_ns > since_ns)
        most, most_lately = profile.most_open_orders, profile.most_orders_in_window
        return (most is None or self.open_orders(shop) + more <= most) and (
            most_lately is None or lately + more <= most_lately
        )

    # -- ONE ORDER -----------------------------------------------------------------------------

    def _decide(self, order: Order, rest: list[Order]) -> None:
        if not self.active:
            self._decide_plainly(order)
            return
        terms = self.terms(order)
        if terms.rule.order_type is OrderType.GROUP and order.group_id:
            self._decide_group(terms, rest)
        elif order.pickup_store_id:
            self._decide_named(terms)
        else:
            self._decide_alone(terms)

    def _decide_plainly(self, order: Order) -> None:
        """Without a policy: to the nearest that has it all."""
        basket, _ = self.in_parts(_basket(order), {})
        part, reason = self._nearest(order, basket)
        self._tell(order, basket, (part,) if part else (), reason=reason)

    def terms(self, order: Order) -> Terms:
        """An order that comes, and the rule that it comes under."""
        basket, amounts = self.in_parts(_basket(order), amounts_of(order))
        terms = self._terms(order, basket, amounts, self.bundles_of(_basket(order)))
        hidden = self.hidden.get(order.channel, frozenset())
        return replace(terms, not_sold=bool(terms.bundles & hidden))

    def terms_again(self, kept: Kept, lines: Basket) -> Terms:
        basket, amounts = self.in_parts(_basket(kept.order), amounts_of(kept.order))
        bundles = self.bundles_among(basket) if kept.asks_more else frozenset()
        return self._terms(kept.order, lines, amounts, bundles)

    def _terms(
        self, order: Order, basket: Basket, amounts: Mapping[str, int], bundles: frozenset[str]
    ) -> Terms:
        place = self._place(order, "", None)
        book = self.books[self.active - 1]
        region = order.region or self._region_at(book, place)
        classes = {self._profile(sku).product_class for sku in (*basket, *bundles)}
        return Terms(
            chain=self,
            order=order,
            rule=book.rule_for(order.order_type, order.channel, region, classes),
            place=place,
            basket=basket,
            amounts=amounts,
            loads=self,
            bundles=bundles,
        )

    def _region_at(self, book: PolicyBook, place: Place) -> str:
        """The first region of the policy that has an area of its name around the place."""
        drawn = (name for name in book.regions if name in self.areas and self.covers(name, place))
        return next(drawn, "")

    def _decide_alone(self, terms: Terms) -> None:
        """Step after step; the store that the merge group has already comes first at each."""
        order, rule = terms.order, terms.rule
        key: MergeKey = ()
        if order.buyer_id and order.address_id and rule.merge_window_s:
            key = ("buyer", order.buyer_id, order.address_id)
        merge = self._merge(key, terms)
        step, parts, reason = self._found(terms, merge.shop if merge else None)
        shop = parts[0].shop if parts else (merge.shop if merge else None)
        number = self._note(key, merge, shop) if key else 0
        self._tell_under(terms, parts, step=step, reason=reason, number=number)

    def _found(
        self, terms: Terms, preferred: Shop | None
    ) -> tuple[Step | None, tuple[Part, ...], Reason]:
        later = {}
        if terms.rule.order_type is OrderType.PRESALE:
            later = {sku: n for sku, n in terms.basket.items() if self._profile(sku).presale}
        now = {sku: n for sku, n in terms.basket.items() if sku not in later}
        if later:
            return self._found_later(terms, now, later, preferred)
        for step in terms.rule.steps:
            if step.name is StepName.BACKORDER:
                part = terms.supplied(step, now)
                parts = [part] if part else []
            else:
                parts = self._at_step(terms, step, now, preferred)
            if parts:
                return step, tuple(parts), Reason.NONE
        return None, (), terms.reason(now)

    def _found_later(
        self, terms: Terms, now: Basket, later: Basket, preferred: Shop | None
    ) -> tuple[Step | None, tuple[Part, ...], Reason]:
        """What is in stock now, and what will come: both or nothing."""
        parts: list[Part] = []
        at_once = replace(terms, basket=now)
        for step in terms.rule.steps:
            if now and not parts and step.name is not StepName.BACKORDER:
                parts = self._at_step(at_once, step, now, preferred)
        if now and not parts:
            return None, (), at_once.reason(now)
        for step in terms.rule.steps:
            if step.name is StepName.BACKORDER:
                given = tuple(part.shop for part in parts)
                part = replace(terms, basket=later, given=given).supplied(step, later)
                if part:
                    return step, (*parts, part), Reason.NONE
        return None, (), Reason.NO_SUPPLY

    def _at_step(
        self, terms: Terms, step: Step, lines: Basket, preferred: Shop | None
    ) -> list[Part]:
        """One store that has all of it, or else several."""
        if preferred in terms.candidates(step) and preferred and terms.has(preferred, lines):
            return [terms.part(preferred, lines)]
        shop = terms.best(step, lines)
        return [terms.part(shop, lines)] if shop else terms.split(step, lines)

    def _decide_named(self, terms: Terms) -> None:
        """The store where the customer will fetch it, wherever it is, or none."""
        shop = self.shops[terms.order.pickup_store_id]
        for step in terms.rule.steps:
            if (
                step.name is not StepName.BACKORDER
                and terms.asked(step, shop)
                and terms.is_in_time(shop)
                and terms.has(shop, terms.basket)
            ):
                part = terms.part(shop, terms.basket)
                self._tell_under(terms, (part,), step=step, is_fixed=Reason.PICKUP_STORE)
                return
        self._tell_under(terms, (), reason=Reason.PICKUP_STORE)

    # -- GROUPS --------------------------------------------------------------------------------

    def _decide_group(self, first: Terms, rest: list[Order]) -> None:
        """All orders of the group from here on, under the rule of the first: all or none."""
        members = []
        for order in {order.id: order for order in rest}.values():
            if order.group_id == first.order.group_id and order.id not in self.told:
                terms = self.terms(order)
                if terms.rule.order_type is OrderType.GROUP:
                    members.append(terms)
        whole: Counter[str] = Counter()
        for terms in members:
            whole.update(terms.basket)
        key: MergeKey = ("group", first.order.group_id) if first.rule.merge_window_s else ()
        merge = self._merge(key, first)
        kept = merge.shop if merge else None
        whole_or_none = Reason.GROUP_NOT_WHOLE
        together = replace(
            first,
            basket=dict(whole),
            bundles=frozenset().union(*(terms.bundles for terms in members)),
            not_sold=any(terms.not_sold for terms in members),
            orders=len(members),
        )
        step, shop = self._store_of_group(together, kept)
        for terms in members:
            number = self._note(key, merge, shop or kept) if key else 0
            merge = self.merges.get(key)
            if shop is None:
                self._tell_under(terms, (), reason=whole_or_none, number=number)
            else:
                part = terms.part(shop, terms.basket)
                self._tell_under(terms, (part,), step=step, number=number, is_fixed=whole_or_none)

    def _store_of_group(
        self, together: Terms, kept: Shop | None
    ) -> tuple[Step | None, Shop | None]:
        for step in together.rule.steps:
            if step.name is StepName.BACKORDER:
                continue
            if kept is None:
                shop = together.best(step, together.basket)
                if shop:
                    return step, shop
            elif (
                together.asked(step, kept)
                and together.is_in_time(kept)
                and together.has(kept, together.basket)
                and kept in self.shops.values()
            ):
                return step, kept
        return None, None

    # -- MERGE GROUPS --------------------------------------------------------------------------

    def _merge(self, key: MergeKey, terms: Terms) -> Merge | None:
        """What the orders before have come to, where the last is not too long ago."""
        merge = self.merges.get(key)
        window_ns = round(terms.rule.merge_window_s * 1e9)
        if merge is None or self.now_ns() - merge.time_ns > window_ns:
            return None
        return merge

    def _note(self, key: MergeKey, merge: Merge | None, shop: Shop | None) -> int:
        now_ns = self.now_ns()
        if merge is None:
            number = self.numbers.setdefault((key, now_ns), len(self.numbers) + 1)
        else:
            number = merge.number
        self.merges[key] = Merge(now_ns, number, shop)
        return number

    # -- TELLING -------------------------------------------------------------------------------

    def _tell_under(self, terms: Terms, parts: tuple[Part, ...], **said: Any) -> None:
        """Under a policy: what is remembered of the order is its type, not what it left unsaid."""
        order = replace(terms.order, order_type=terms.rule.order_type)
        self._tell(order, terms.basket, parts, **said)
        self.told[order.id].asks_more = any(map(self._asks_more, terms.bundles))

    def _asks_more(self, bundle: str) -> bool:
        """Whether a bundle's own profile makes a difference under the policy in force."""
        profile, book = self._profile(bundle), self.books[self.active - 1]
        is_named = profile.product_class in book.product_classes
        return is_named or bool(profile.needs or profile.least_life_days)

    def _tell(
        self,
        order: Order,
        basket: Basket,
        parts: tuple[Part, ...],
        *,
        step: Step | None = None,
        reason: Reason = Reason.NONE,
        number: int = 0,
        is_fixed: Reason = Reason.NONE,
    ) -> None:
        """Reserve what is sent, and remember the decision."""
        is_split = len(parts) > 1 or any(part.day for part in parts)
        promises = [part.promised_ns for part in parts if part.promised_ns]
        decision = Decision(
            order_id=order.id,
            status=Status.ASSIGNED if parts else Status.UNASSIGNED,
            store_id=parts[0].shop.id if parts else None,
            distance_m=parts[0].metres if parts else None,
            reason=reason,
            policy_version=self.active,
            step=step.name if step else StepName.NONE,
            promised_ns=max(promises) if parts and len(promises) == len(parts) else None,
            merge_group=number,
            shipments=tuple(_shipments(parts)) if is_split else (),
        )
        sent = [Sent(part.lines) for part in parts] or [Sent(basket, reason=reason)]
        for one, part in zip(sent, parts, strict=False):
            self._hold(one, part, is_granted=self.active > 0)
        self.told[order.id] = Kept(decision, order, sent, is_fixed, self.active > 0)


def _shipments(parts: Iterable[Part]) -> Iterable[Shipment]:
    for number, part in enumerate(parts, 1):
        yield Shipment(
            number=number,
            store_id=part.shop.id,
            distance_m=part.metres,
            lines=lines_of(part.lines),
            promised_ns=part.promised_ns,
            supply_date=part.day,
        )


def _basket(order: Order) -> Basket:
    """The lines with those of one SKU added up."""
    basket: Counter[str] = Counter()
    for sku, quantity, *_ in order.lines:
        basket[sku] += quantity
    return dict(basket)
