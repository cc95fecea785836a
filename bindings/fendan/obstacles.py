"""What keeps a store from an order at a step of its rule: every reason, the first one first.

It is the second telling of the rules, slow and in words: `engine/terms` and `eligible` have the
first. The order is that of `exclusions`. Beside each reason stands the least change without it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from fendan.delivery import good, good_day, needed_s, supplied_s, supply_day
from fendan.eligible import eligible, exclusion
from fendan.exclusions import Exclusion
from fendan.rules import Hours, Rule, Step, StepName, StoreKind
from fendan.scene import Line, Lot, Pair, Scene
from fendan.shares import WHOLE
from fendan.times import EPOCH, NS_PER_MINUTE, NS_PER_S, date_of

__all__ = ["Obstacle", "eligible_count", "obstacles"]

MOST_LOTS_TOLD = 3


class Obstacle(NamedTuple):
    """Why a store may not have an order, with the numbers, and the least change without it."""

    code: Exclusion
    text: str
    change: str


def obstacles(scene: Scene, step: Step, store: int, distance_m: float) -> Iterator[Obstacle]:
    """All that keeps a store from the order at a step, in the order of the codes; perhaps none."""
    if scene.wish.only == store:  # the customer comes to it, wherever it is
        step = replace(step, radius_m=math.inf, areas=False)
    yield from _not_eligible(scene, step, store)
    yield from _not_able(scene, store, scene.needs_at(step))
    yield from _too_far(scene, step, store, distance_m)
    if store in scene.wish.rejected:
        yield Obstacle(
            Exclusion.REJECTED_BEFORE,
            "it has rejected this order before",
            f"no rejection by {scene.stores.ids[store]}",
        )
    if step.name is StepName.BACKORDER:
        yield from _not_supplied(scene, step, store, distance_m)
        return
    yield from sorted(_short(scene, store, distance_m), key=lambda found: found.code)
    yield from _too_late(scene, needed_s(scene, store, distance_m))


def eligible_count(scene: Scene, step: Step, near: set[int]) -> tuple[int, list[int]]:
    """How many stores a step may ask now, and which of those are `near`."""
    stores = scene.stores
    may = eligible(scene.rule, step, stores.facts, stores.moment, stores.closed)
    for store in stores.gone:
        may[store] = False
    asked, needs = np.flatnonzero(may).tolist(), scene.needs_at(step)
    found = [store for store in asked if next(_not_able(scene, store, needs), None) is None]
    return len(found), [store for store in found if store in near]


# -- WHO MAY BE ASKED AT ALL -------------------------------------------------------------------


def _not_eligible(scene: Scene, step: Step, store: int) -> Iterator[Obstacle]:
    """What `eligible` has against it; each reason is removed to see the next."""
    stores, rule, profile = scene.stores, scene.rule, scene.stores.profiles[store]
    name, closed = stores.ids[store], stores.closed
    while found := exclusion(
        rule, step, store, profile, stores.regions[store], stores.opening, stores.moment, closed
    ):
        code, text = found
        if code is Exclusion.PAUSED:
            change, closed = f"{name} resumed", np.zeros_like(closed)
        elif code is Exclusion.KIND:
            change = f"{profile.kind} among the kinds of step {step.name}"
            step = replace(step, kinds=frozenset(StoreKind))
        elif code is Exclusion.ORDER_TYPE:
            change = f"{name} taking {rule.order_type}"
            profile = replace(profile, order_types=None)
        elif code is Exclusion.REGION:
            region = stores.regions[store]
            change = f"region {region} in the rule" if region else f"a region for {name}"
            rule = replace(rule, regions=None)
        else:
            change = _longer_hours(scene, rule, store)
            rule = replace(rule, hours=Hours.ANY)
        yield Obstacle(code, text, change)


def _longer_hours(scene: Scene, rule: Rule, store: int) -> str:
    """``S-12 open until 22:10``: the least that would do, to the minute."""
    stores, moment, name = scene.stores, scene.stores.moment, scene.stores.ids[store]
    zone = ZoneInfo(stores.opening.time_zone(store))

    def local(minutes: int) -> datetime:
        return (EPOCH + timedelta(minutes=minutes)).astimezone(zone)

    now = moment.now_ns // NS_PER_MINUTE
    opens = local(int(moment.opens_ns[store]) // NS_PER_MINUTE) if _opens(scene, store) else None
    if rule.hours is Hours.OPEN_NOW and opens and opens.date() == local(now).date():
        return f"{name} open from {local(now):%H:%M}"
    until = (moment.now_ns + round(rule.cut_off_s * NS_PER_S)) // NS_PER_MINUTE + 1
    return f"{name} open until {local(until):%H:%M}"


def _opens(scene: Scene, store: int) -> bool:
    """Whether it is closed now, and opens again before long."""
    moment = scene.stores.moment
    a_day_ns = 24 * 60 * NS_PER_MINUTE
    return moment.now_ns < int(moment.opens_ns[store]) <= moment.now_ns + a_day_ns


def _not_able(scene: Scene, store: int, needs: frozenset[str]) -> Iterator[Obstacle]:
    """Abilities and room."""
    profile, name, orders = scene.stores.profiles[store], scene.stores.ids[store], scene.wish.orders
    lacking = sorted(needs - profile.abilities)
    if lacking:
        words = ", ".join(lacking)
        yield Obstacle(Exclusion.ABILITY, f"it has no {words}", f"{words} at {name}")
    most, count = profile.most_open_orders, scene.open_orders(store)
    if most is not None and count + orders > most:
        yield Obstacle(
            Exclusion.OPEN_ORDERS,
            f"{_orders(count, 'open order')}, and {most:,} are the most it may hold",
            f"{_orders(count + orders - most, 'open order')} fewer at {name}",
        )
    most, count = profile.most_orders_in_window, scene.lately(store)
    if most is not None and count + orders > most:
        within = f"within {profile.window_s:g} s"
        yield Obstacle(
            Exclusion.WINDOW,
            f"it was given {_orders(count, 'order')} {within}, and {most:,} are the most it takes",
            f"{_orders(count + orders - most, 'order')} fewer {within} at {name}",
        )


def _orders(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


# -- WHERE IT IS -------------------------------------------------------------------------------


def _too_far(scene: Scene, step: Step, store: int, distance_m: float) -> Iterator[Obstacle]:
    stores = scene.stores
    if distance_m > step.radius_m:
        far, radius = f"{math.ceil(distance_m):,}", f"{step.radius_m:,.0f}"
        where = "the radius" if step.name is StepName.NONE else f"the radius of step {step.name}"
        yield Obstacle(
            Exclusion.RADIUS,
            f"{distance_m:,.0f} m away, and {where} is {radius} m",
            f"radius_m {far} instead of {radius}",
        )
    if step.areas and stores.areas and not stores.areas.serves(store, *scene.wish.place):
        areas = ", ".join(stores.profiles[store].areas)
        yield Obstacle(
            Exclusion.AREA,
            f"the order is in none of its areas ({areas})",
            f"the order's place in an area of {stores.ids[store]}",
        )


# -- WHAT IT HAS -------------------------------------------------------------------------------


def _short(scene: Scene, store: int, distance_m: float) -> Iterator[Obstacle]:
    for bundle in scene.hidden_bundles:
        yield _not_sold(scene.wish.channel, bundle)
    for line in scene.lines:
        yield from _short_of(scene, store, distance_m, line)


def _short_of(scene: Scene, store: int, distance_m: float, line: Line) -> Iterator[Obstacle]:
    """What it lacks for one line."""
    channel, name, sku = scene.wish.channel, scene.stores.ids[store], line.sku
    share, pair = scene.stores.share(store), line.pairs.get(store)
    if line.code in scene.hidden:
        yield _not_sold(channel, sku)
    if share == 0:
        text = f"its stock is not counted for channel {channel}"
        yield Obstacle(Exclusion.CHANNEL, text, f"a share for {channel} at {name}")
        share = WHOLE
    late_enough, missing, until = good(scene, line, store, distance_m), 0, ""
    if late_enough is not None:
        until = f" good until {date_of(good_day(scene, line, store, distance_m))}"
        missing = line.quantity - late_enough
    more = f"{max(_missing(line, pair, share), missing):,} more of {sku}{until} at {name}"
    if pair is None:
        yield Obstacle(Exclusion.NOT_LISTED, f"it does not list {sku}", more)
        return
    if pair.on_sale * share // WHOLE < line.quantity:
        yield _too_few(scene, line, pair, share, more)
    if missing > 0:
        lots = _lots(line.lots[store])
        text = f"sellable {late_enough:,} < {line.quantity:,} of {sku}{until}: {lots}"
        yield Obstacle(Exclusion.LOTS, text, more)


def _too_few(scene: Scene, line: Line, pair: Pair, share: int, more: str) -> Obstacle:
    """Its count does not suffice, whatever it is good for."""
    sku, channel = line.sku, scene.wish.channel
    lack = f"sellable {pair.on_sale * share // WHOLE:,} < {line.quantity:,} of {sku}"
    part = f"share {share / WHOLE:g} of {pair.on_sale:,}"
    if not pair.is_on and pair.free > 0:
        text = (
            f"{sku} is off the shelf: {pair.free:,} free, and it is on again from {line.on_from:,}"
        )
        return Obstacle(Exclusion.OFF_SHELF, text, more)
    if pair.on_sale >= line.quantity:
        return Obstacle(Exclusion.CHANNEL, f"{lack} for channel {channel}: {part}", more)
    counts = f"on hand {pair.on_hand:,}, reserved {pair.reserved:,}{_held(pair)}"
    if share != WHOLE:
        lack, counts = f"{lack} for channel {channel}", f"{counts}, {part}"
    return Obstacle(Exclusion.STOCK, f"{lack}: {counts}", more)


def _lots(lots: Sequence[Lot]) -> str:
    """``free 4 until 2026-01-01, 2 until 2026-01-04``: the last of them, which are the freshest."""
    free = [lot for lot in lots if lot.free]
    told = [f"{lot.free:,} until {date_of(lot.day)}" for lot in free[-MOST_LOTS_TOLD:]]
    if len(free) > MOST_LOTS_TOLD:
        told.insert(0, f"{sum(lot.free for lot in free[:-MOST_LOTS_TOLD]):,} before")
    return "free " + (", ".join(told) or "none")


def _not_sold(channel: str, sku: str) -> Obstacle:
    change = f"{sku} sold through {channel}"
    return Obstacle(Exclusion.CHANNEL, f"{channel} does not sell {sku}", change)


def _held(pair: Pair) -> str:
    """What is held back, by its names; "" where nothing is."""
    held = {"safety": pair.safety, "locked": pair.locked, "display": pair.display}
    return "".join(f", {name} {count:,}" for name, count in held.items() if count)


def _missing(line: Line, pair: Pair | None, share: int) -> int:
    """How many pieces more would do, so that the channel's part of all is enough."""
    enough = -(-line.quantity * WHOLE // share)
    if pair is None or not pair.is_on:
        enough = max(enough, line.on_from, line.off_below)
    return enough - (pair.free if pair else 0)


def _not_supplied(scene: Scene, step: Step, store: int, distance_m: float) -> Iterator[Obstacle]:
    """What of it is not to arrive at the store on any one day, or too late."""
    channel, name = scene.wish.channel, scene.stores.ids[store]
    yield from (_not_sold(channel, bundle) for bundle in scene.hidden_bundles)
    days = []
    for line in scene.lines_at(step):
        if line.code in scene.hidden:
            yield _not_sold(channel, line.sku)
        elif (day := supply_day(scene, line, store)) is not None:
            days.append(day)
        else:
            wanted = f"{line.quantity:,} of {line.sku}"
            change = f"supply of {wanted} at {name}"
            yield Obstacle(Exclusion.STOCK, f"no supply of {wanted} is to arrive", change)
    if days and len(days) == len(scene.lines_at(step)):
        yield from _too_late(scene, supplied_s(scene, store, distance_m, max(days)))


# -- WHEN IT WOULD BE THERE --------------------------------------------------------------------


def _too_late(scene: Scene, needed: float) -> Iterator[Obstacle]:
    """What is wrong with bringing it within so many seconds."""
    most_s = scene.rule.promise.most_s
    if most_s < math.inf and needed > most_s:
        seconds = f"{math.ceil(needed):,}"
        yield Obstacle(
            Exclusion.PROMISE,
            f"it would take {seconds} s, and {most_s:,.0f} s are promised at most",
            f"promise.most_s {seconds} instead of {most_s:,.0f}",
        )
