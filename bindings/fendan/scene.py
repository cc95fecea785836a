"""All that the routing of one order looked at, as it was at one moment, for whoever explains it.

A scene is taken in the engine's turn, and is copies: it stays as it was while the engine goes on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.eligible import Facts
from fendan.engine.areas import Areas
from fendan.engine.geo import distance_m
from fendan.engine.network import Layout
from fendan.engine.sheet import lots_sheet, sheet
from fendan.engine.stock import Stock
from fendan.opening import Moment, Opening
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, Promise, Rule, Step, StepName, StoreKind
from fendan.shares import WHOLE

__all__ = ["NOBODY", "Line", "Lot", "Pair", "Scene", "Stores", "Wish", "lines_of", "plain_rule"]

NOBODY = -1
"""As a store's code: none."""


class Pair(NamedTuple):
    """What a store has of a SKU, in pieces; `is_on`: whether it is on the shelf at all."""

    on_hand: int
    reserved: int
    safety: int
    locked: int
    display: int
    is_on: bool

    @property
    def free(self) -> int:
        """What is left for new orders, thresholds aside; perhaps below zero."""
        return self.on_hand - self.reserved - (self.safety + self.locked + self.display)

    @property
    def on_sale(self) -> int:
        """How many can be sold, 0 or more."""
        return max(self.free, 0) if self.is_on else 0


class Lot(NamedTuple):
    """How many pieces with one sell-by day, since 1970, are free."""

    day: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One line of the order, and what stores have of it, by store code.

    A store with fewer than `off_below` free has the SKU off the shelf until it has `on_from`.
    `lots`: by day, of stores that have lots of it. `supplies`: what is to arrive on which days,
    since 1970, ascending. `needs`: abilities of who sends it.
    """

    code: int
    sku: str
    quantity: int
    pairs: Mapping[int, Pair]
    off_below: int
    on_from: int
    least_life_days: int = 0
    needs: frozenset[str] = frozenset()
    lots: Mapping[int, Sequence[Lot]]
    supplies: Sequence[tuple[int, Mapping[int, Pair]]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for beside a basket. `place`: degrees, in the engine's datum.

    `only`: the one store that may have the order, wherever it is. `preferred`: that which gets it
    if it can, for it has the buyer's earlier orders. Codes of stores, or NOBODY. `rejected`: those
    that have rejected the order before. `waits`: whether it may be sold against incoming supply.
    `orders`: how many go together to one store.
    """

    place: tuple[float, float]
    channel: str = ""
    only: int = NOBODY
    preferred: int = NOBODY
    rejected: frozenset[int] = frozenset()
    waits: bool = True
    orders: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Stores:
    """The stores of the chain by their codes, as they are at the scene's time.

    `millionths`: shares of the order's channel; None: all whole. `gone`: those that were removed.
    `lately`: how many orders each was given in its window. `outlines`: of the areas, as GeoJSON by
    their names.
    """

    ids: Sequence[str]
    layout: Layout
    regions: Sequence[str]
    profiles: Sequence[StoreProfile]
    facts: Facts
    opening: Opening
    moment: Moment
    closed: NDArray[np.bool_]
    gone: frozenset[int]
    areas: Areas | None
    millionths: NDArray[np.int32] | None
    open_orders: NDArray[np.int32]
    lately: NDArray[np.int32]
    outlines: Mapping[str, str]

    @cached_property
    def codes(self) -> dict[str, int]:
        """By id, of all stores."""
        return {name: code for code, name in enumerate(self.ids)}

    def share(self, store: int) -> int:
        """What part of its stock the order's channel is offered, in millionths."""
        return WHOLE if self.millionths is None else int(self.millionths[store])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """One order before its stores. `hidden`: SKU codes that its channel does not sell, and
    `hidden_bundles` those it names. `bundle_needs`: what its bundles need of whoever sends any of
    it. `least_life_days`: of its rule or a bundle. `later`: lines sold against incoming
    supply. `given`: the stores that send the rest of it then.
    """

    policy_version: int
    rule: Rule
    wish: Wish
    lines: tuple[Line, ...]
    later: tuple[Line, ...] = ()
    bundle_needs: frozenset[str] = frozenset()
    least_life_days: int = 0
    hidden: frozenset[int]
    hidden_bundles: tuple[str, ...] = ()
    stores: Stores
    given: tuple[int, ...] = ()

    def lines_at(self, step: Step) -> tuple[Line, ...]:
        """What a step is to fill."""
        return self.later if step.name is StepName.BACKORDER and self.later else self.lines

    def needs_at(self, step: Step) -> frozenset[str]:
        """The abilities that who fills it at a step must have."""
        return self.bundle_needs.union(*(line.needs for line in self.lines_at(step)))

    def open_orders(self, store: int) -> int:
        """How many orders a store has, with what it was given of this one."""
        return int(self.stores.open_orders[store]) + self.given.count(store)

    def lately(self, store: int) -> int:
        """How many orders a store was given in its window, with what it was given of this one."""
        return int(self.stores.lately[store]) + self.given.count(store)

    def distances_m(self) -> dict[int, float]:
        """How far each store is from the order, by code, the nearest first."""
        stores, (lat, lng) = self.stores, self.wish.place
        found = [
            (distance_m(lat, lng, *stores.layout.place(code)), name, code)
            for code, name in enumerate(stores.ids)
            if code not in stores.gone and self.wish.only in (NOBODY, code)
        ]
        return {code: metres for metres, _, code in sorted(found)}


def lines_of(
    stock: Stock,
    basket: Sequence[tuple[int, int]],
    profiles: Sequence[SkuProfile],
    supplies: Mapping[int, Sequence[tuple[int, int]]],
) -> tuple[Line, ...]:
    """The lines of a basket, (SKU code, pieces), and what all stores have of them.

    `supplies`: of some codes, on which days some is to arrive, and as which code.
    """
    lines = []
    for (code, quantity), profile in zip(basket, profiles, strict=True):
        rows, off_below, on_from = sheet(stock, code)
        lines.append(
            Line(
                code=code,
                sku=stock.skus[code],
                quantity=quantity,
                pairs=_Pairs(rows),
                off_below=off_below,
                on_from=on_from,
                least_life_days=profile.least_life_days,
                needs=profile.needs,
                lots=_lots(lots_sheet(stock, code)),
                supplies=[(day, _Pairs(sheet(stock, at)[0])) for day, at in supplies.get(code, ())],
            )
        )
    return tuple(lines)


def _lots(rows: NDArray[np.int32]) -> dict[int, list[Lot]]:
    """The rows of a sheet of lots by their store."""
    lots: dict[int, list[Lot]] = {}
    for store, day, free in rows.tolist():
        lots.setdefault(store, []).append(Lot(day, free))
    return lots


class _Pairs(Mapping[int, Pair]):
    """The rows of a sheet by their store."""

    def __init__(self, rows: NDArray[np.int32]) -> None:
        self._rows = rows
        self._row_of = {store: row for row, store in enumerate(rows[:, 0].tolist())}

    def __getitem__(self, store: int) -> Pair:
        row = self._rows[self._row_of[store]].tolist()
        _, on_hand, reserved, safety, locked, display, is_on = row
        return Pair(on_hand, reserved, safety, locked, display, bool(is_on))

    def __iter__(self) -> Iterator[int]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)


def plain_rule(radius_m: float) -> Rule:
    """What an engine without a policy file does: the nearest store within a radius, today."""
    step = Step(name=StepName.NONE, radius_m=radius_m, kinds=frozenset(StoreKind), areas=False)
    at_once = Promise(pick_s=0.0, detour=0.0, most_s=math.inf)
    return Rule(order_type=OrderType.UNSPECIFIED, steps=(step,), promise=at_once)
