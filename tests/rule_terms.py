"""The slow twin of one order under one rule: which stores may have it, and which is better."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import splits
from fendan import Order, Reason
from fendan.rules import Criterion, Hours, RankBy, Rule, SplitMode, Step, StepName
from hours_twin import NEVER_NS, ns
from larder import Keep, day_in
from ledger import Basket, Place, Shop
from rule_chain import SUPPLY, Chain
from twin import haversine_m

MOST_DEPTH = 1_000
MOST_LIFE_DAYS = 365


class Loads(Protocol):
    """How busy stores are."""

    def open_orders(self, shop: Shop) -> int: ...

    def has_room(self, shop: Shop, more: int) -> bool: ...


@dataclass(frozen=True)
class Part:
    """What one store sends, and when the customer has it: None, where nobody can tell.

    `keep`: what lots must be good for; None where no policy says so. `timeout_s`: how long the
    store may wait before it accepts, from when supply that it waits for comes (`comes_ns`).
    """

    shop: Shop
    metres: float
    lines: Basket
    promised_ns: int | None
    day: str = ""
    keep: Keep | None = None
    timeout_s: float | None = None
    comes_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class Terms:
    """An order, as its parts, and the rule that it comes under.

    `bundles`: those it names, and those in them; `not_sold`: whether its channel does not sell one.
    `orders`: how many go together; `given`: who was given some of it already; `without`: who may
    not have it again.
    """

    chain: Chain
    order: Order
    rule: Rule
    place: Place
    basket: Basket
    amounts: Mapping[str, int]
    loads: "Loads"
    bundles: frozenset[str] = frozenset()
    not_sold: bool = False
    orders: int = 1
    given: tuple[Shop, ...] = ()
    without: frozenset[Shop] = frozenset()

    def metres(self, shop: Shop) -> float:
        return haversine_m(self.place, shop.place)

    # -- WHO MAY HAVE IT -----------------------------------------------------------------------

    def needs(self, lines: Iterable[str]) -> set[str]:
        """What who sends these lines must be able to do."""
        return {need for sku in (*lines, *self.bundles) for need in self.chain._profile(sku).needs}

    def asked(self, step: Step, shop: Shop, lines: Iterable[str] | None = None) -> bool:
        """Whether the step asks the store for these lines, or all of it, at all, wherever it is."""
        profile, rule = self.chain.profile(shop), self.rule
        needed = self.needs(self.basket if lines is None else lines)
        return (
            not shop.paused
            and shop not in self.without
            and profile.kind in step.kinds
            and (profile.order_types is None or rule.order_type in profile.order_types)
            and (rule.regions is None or shop.region in rule.regions)
            and self._is_open(shop)
            and needed <= profile.abilities
            and self.loads.has_room(shop, self.orders + self.given.count(shop))
        )

    def open_orders(self, shop: Shop) -> int:
        """How many it has, with those that this order has given it already."""
        return self.loads.open_orders(shop) + self.given.count(shop)

    def _is_open(self, shop: Shop) -> bool:
        told, cut_off_ns = self.chain.clock_of(shop), round(self.rule.cut_off_s * 1e9)
        if self.rule.hours is Hours.ANY:
            return True
        if self.rule.hours is Hours.OPEN_NOW:
            return told.is_open and told.closes_ns - cut_off_ns > self.chain.now_ns()
        return told.today_last_close_ns - cut_off_ns > self.chain.now_ns()

    def serves(self, step: Step, shop: Shop) -> bool:
        """Whether the order is in an area of the store, where that matters."""
        areas = self.chain.profile(shop).areas
        return not step.areas or not areas or any(self.chain.covers(a, self.place) for a in areas)

    def candidates(self, step: Step, lines: Iterable[str] | None = None) -> list[Shop]:
        """All that the step may ask and that can keep the promise, nearest first, then by id."""
        found = [
            shop
            for shop in self.chain.shops.values()
            if self.asked(step, shop, lines) and self.is_near(step, shop) and self.is_in_time(shop)
        ]
        return sorted(found, key=lambda shop: (self.metres(shop), shop.id))

    def is_near(self, step: Step, shop: Shop) -> bool:
        return self.metres(shop) <= step.radius_m and self.serves(step, shop)

    def is_in_time(self, shop: Shop) -> bool:
        return self.needed_s(shop) <= self.rule.promise.most_s

    def has(self, shop: Shop, lines: Basket) -> bool:
        return all(self.offered(shop, sku) >= pieces for sku, pieces in lines.items())

    def sends(self, shop: Shop, lines: Basket) -> bool:
        """Whether it has them and is able to, of what is sent apart from the rest."""
        return self.needs(lines) <= self.chain.profile(shop).abilities and self.has(shop, lines)

    def offered(self, shop: Shop, sku: str) -> int:
        if self.not_sold:
            return 0
        return self.chain.offered(shop, sku, self.order.channel, self.keep(shop))

    def keep(self, shop: Shop) -> Keep:
        """What lots must be good for, if the store has the order."""
        return self._keep_at(shop, self.promised_ns(shop) or self.chain.now_ns())

    def _keep_at(self, shop: Shop, when_ns: int) -> Keep:
        zone = self.chain.profile(shop).time_zone
        days = [self.chain._profile(bundle).least_life_days for bundle in self.bundles]
        return day_in(zone, when_ns), max(self.rule.least_life_days, *days, 0)

    # -- PROMISE -------------------------------------------------------------------------------

    def handling_s(self, shop: Shop) -> float:
        promise, hour = self.rule.promise, self.chain.clock_of(shop).local_hour
        return (
            promise.pick_s
            + promise.pick_s_per_open_order * self.open_orders(shop)
            + self.metres(shop) * promise.detour / promise.speeds_mps[hour]
        )

    def needed_s(self, shop: Shop) -> float:
        opens_ns, now_ns = self.chain.clock_of(shop).opens_ns, self.chain.now_ns()
        wait_s = (opens_ns - now_ns) / 1e9 if opens_ns > now_ns else 0.0
        return wait_s + self.handling_s(shop)

    def promised_ns(self, shop: Shop) -> int | None:
        """When the customer has it; a store that never opens can promise nothing."""
        if self.chain.clock_of(shop).opens_ns == NEVER_NS:
            return None
        return self.chain.now_ns() + int(self.needed_s(shop) * 1e9)

    # -- RANKING -------------------------------------------------------------------------------

    def best(self, step: Step, lines: Basket) -> Shop | None:
        """The store that has all of it and ranks first."""
        having = [shop for shop in self.candidates(step) if self.has(shop, lines)]
        return min(having, key=lambda shop: self._rank(shop, lines), default=None)

    def _rank(self, shop: Shop, lines: Basket) -> tuple[float | str, ...]:
        ranking, score = self.rule.ranking, 0.0
        values = [self._value(one, shop, lines) for one in ranking.criteria]
        for criterion, value in zip(ranking.criteria, values, strict=True):
            score += criterion.weight * value
        return (*([score] if ranking.scored else values), self.metres(shop), shop.id)

    def _value(self, criterion: Criterion, shop: Shop, lines: Basket) -> float:  # noqa: PLR0911
        profile = self.chain.profile(shop)
        match criterion.by:
            case RankBy.DISTANCE:
                return self.metres(shop)
            case RankBy.DISTANCE_BAND:
                return math.floor(self.metres(shop) / criterion.width_m)
            case RankBy.LOAD:
                most = profile.most_open_orders
                return self.open_orders(shop) / most if most else 0.0
            case RankBy.STOCK:
                beyond = [self.offered(shop, sku) - n for sku, n in lines.items()]
                return -min(MOST_DEPTH, *beyond)
            case RankBy.PRIORITY:
                return profile.priority
            case RankBy.COST:
                return profile.cost
            case RankBy.FRESHNESS:
                return -min([MOST_LIFE_DAYS, *self._lives(shop, lines)])

    def _lives(self, shop: Shop, lines: Basket) -> Iterable[int]:
        """Of each line with lots, how many days the first of what would be sent may be sold."""
        today = day_in(self.chain.profile(shop).time_zone, self.chain.now_ns())
        for sku in lines:
            if shelf := self.chain.shelves.get((shop, sku)):
                first = self.chain.good_day(sku, self.keep(shop))
                yield min(b.day for b in shelf.batches if b.free and b.day >= first) - today

    # -- SEVERAL STORES ------------------------------------------------------------------------

    def part(self, shop: Shop, lines: Basket) -> Part:
        return Part(
            shop,
            self.metres(shop),
            lines,
            self.promised_ns(shop),
            keep=self.keep(shop),
            timeout_s=self.rule.reservation_timeout_s,
        )

    def split(self, step: Step, lines: Basket) -> list[Part]:
        """Who sends what, if the step lets several stores do so and they can."""
        shops = self.candidates(step, ())
        if step.split.mode is SplitMode.NEVER or step.split.most_shipments < 2:
            return []
        if step.split.split_lines:
            return self._in_pieces(step, lines, shops)
        items = self._items(step, lines)
        offers = [
            splits.Offer(
                self.metres(shop),
                frozenset(n for n, item in enumerate(items) if self.sends(shop, item)),
            )
            for shop in shops
        ]
        wish = splits.Wish(
            len(items),
            step.split.most_shipments,
            tuple(self._worth(item) for item in items),
            step.split.least_amount,
        )
        way = splits.fewest if step.split.mode is SplitMode.FEWEST else splits.nearest
        senders = way(offers, wish) or []
        return [
            self.part(
                shops[at], _joined(i for i, by in zip(items, senders, strict=True) if by == at)
            )
            for at in sorted(set(senders))
        ]

    def _in_pieces(self, step: Step, lines: Basket, shops: list[Shop]) -> list[Part]:
        """As above where the pieces of a line may come from several stores, but for items that
        stay together: they count as one piece.
        """
        items, together = self._items(step, lines), step.split.together
        whole = [self._class(next(iter(item))) in together for item in items]
        asked = [1 if w else sum(i.values()) for i, w in zip(items, whole, strict=True)]
        sellable = [
            [
                int(self.sends(shop, item)) if is_whole else self._sent(shop, next(iter(item)))
                for item, is_whole in zip(items, whole, strict=True)
            ]
            for shop in shops
        ]
        basket = splits.Basket(
            tuple(asked),
            step.split.most_shipments,
            tuple(self._worth(item) for item in items),
            step.split.least_amount,
        )
        if step.split.mode is SplitMode.FEWEST:
            metres = [self.metres(shop) for shop in shops]
            pieces = splits.fewest_pieces(metres, sellable, basket)
        else:
            pieces = splits.nearest_pieces(sellable, basket)
        return [
            self.part(
                shops[at],
                _joined(
                    item if is_whole else dict.fromkeys(item, n)
                    for item, is_whole, n in zip(items, whole, taken, strict=True)
                    if n
                ),
            )
            for at, taken in pieces or []
        ]

    def _sent(self, shop: Shop, sku: str) -> int:
        """How many pieces of one SKU it can send, apart from the rest."""
        is_able = self.needs([sku]) <= self.chain.profile(shop).abilities
        return self.offered(shop, sku) if is_able else 0

    def _items(self, step: Step, lines: Basket) -> list[Basket]:
        """The lines, those of one class that stays together as one."""
        items: dict[object, Basket] = {}
        for sku, pieces in lines.items():
            kind = self._class(sku)
            key = ("class", kind) if kind in step.split.together else ("sku", sku)
            items.setdefault(key, {})[sku] = pieces
        return list(items.values())

    def _class(self, sku: str) -> str:
        return self.chain._profile(sku).product_class

    def _worth(self, item: Basket) -> int:
        return sum(self.amounts.get(sku, 0) for sku in item)

    # -- WHAT WILL COME ------------------------------------------------------------------------

    def supplied(
        self, step: Step, lines: Basket, only: Mapping[str, str] | None = None
    ) -> Part | None:
        """From the store where all of it will have come first, of those the nearest. `only`: the
        day on which each SKU must come.
        """
        ways = []
        for shop in self.chain.shops.values():
            if not (self.asked(step, shop) and self.is_near(step, shop)):
                continue
            days = [self._day(shop, sku, n, only and only[sku]) for sku, n in lines.items()]
            if all(days) and self._comes_in_time(shop, max(days)):
                ways.append((max(days), self.metres(shop), shop.id, shop, days))
        if not ways:
            return None
        day, metres, _, shop, days = min(ways)
        when_ns = self._comes_ns(shop, day) + int(self.handling_s(shop) * 1e9)
        named = {sku + SUPPLY + d: n for (sku, n), d in zip(lines.items(), days, strict=True)}
        keep, timeout_s = self._keep_at(shop, when_ns), self.rule.reservation_timeout_s
        return Part(shop, metres, named, when_ns, day, keep, timeout_s, self._comes_ns(shop, day))

    def _comes_ns(self, shop: Shop, day: str) -> int:
        zone = ZoneInfo(self.chain.profile(shop).time_zone)
        begins_ns = ns(datetime.combine(date.fromisoformat(day), datetime.min.time(), zone))
        return max(begins_ns, self.chain.now_ns())

    def _comes_in_time(self, shop: Shop, day: str) -> bool:
        wait_s = (self._comes_ns(shop, day) - self.chain.now_ns()) / 1e9
        return wait_s + self.handling_s(shop) <= self.rule.promise.most_s

    def _day(self, shop: Shop, sku: str, pieces: int, only: str | None) -> str:
        """The first day on which enough of one SKU is to arrive, or ""."""
        enough = (
            day
            for day in self.chain.days_of(sku)
            if only in (None, day) and self.offered(shop, sku + SUPPLY + day) >= pieces
        )
        return next(enough, "")

    # -- REASONS -------------------------------------------------------------------------------

    def reason(self, lines: Basket) -> Reason:
        """Why nobody has it, where no step has found anybody."""
        steps = self.rule.steps
        there = [
            shop
            for shop in self.chain.shops.values()
            if not shop.paused and shop not in self.without
        ]
        if not there:
            return Reason.NO_STORES
        if not any(self.metres(shop) <= step.radius_m for shop in there for step in steps):
            return Reason.NO_STORE_IN_RADIUS
        asked = [(step, shop) for step in steps for shop in there if self.asked(step, shop)]
        if not any(self.is_near(step, shop) for step, shop in asked):
            return Reason.NO_STORE_ELIGIBLE
        having = [
            (step, shop)
            for step, shop in asked
            if step.name is not StepName.BACKORDER and self.has(shop, lines)
        ]
        if any(self.is_near(step, shop) for step, shop in having):
            return Reason.CANNOT_BE_PROMISED
        if any(self.serves(step, shop) for step, shop in having):
            return Reason.NO_STOCK_IN_RADIUS
        return Reason.NO_STOCK


def _joined(items: Iterable[Basket]) -> Basket:
    return {sku: pieces for item in items for sku, pieces in item.items()}
