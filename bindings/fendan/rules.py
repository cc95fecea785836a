"""What a chain asks of routing, as plain immutable values: a rule for each kind of order.

A policy file (see `policy`) says it in the chain's words, with overrides; what an order is routed
under is one Rule, with nothing left open. A Rule is a chain of Steps, tried one after another.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "Criterion",
    "Hours",
    "OrderType",
    "Promise",
    "RankBy",
    "Ranking",
    "Rule",
    "Split",
    "SplitMode",
    "Step",
    "StepName",
    "StoreKind",
]


class _Named(IntEnum):
    """An int in arrays and comparisons, a name in print."""

    def __str__(self) -> str:
        return self.name

    def __format__(self, spec: str) -> str:
        return format(self.name, spec)


class OrderType(_Named):
    """What was promised to the customer; UNSPECIFIED is the policy's default type."""

    UNSPECIFIED = 0
    INSTANT = 1
    SAME_DAY = 2
    NEXT_DAY = 3
    PICKUP = 4
    PRESALE = 5
    GROUP = 6


class StoreKind(_Named):
    """A shop, a regional distribution centre, a central one."""

    SHOP = 1
    RDC = 2
    CDC = 3


class StepName(_Named):
    """The steps of a fallback chain. NONE: an order that no policy was asked for."""

    NONE = 0
    STORE = 1
    WIDER = 2
    RDC = 3
    CDC = 4
    NATIONWIDE = 5
    BACKORDER = 6


class Hours(_Named):
    """Which stores' opening hours will do: open now; open now or later today; any."""

    OPEN_NOW = 1
    OPEN_TODAY = 2
    ANY = 3


class SplitMode(_Named):
    """Whether several stores may fill an order together."""

    NEVER = 0
    FEWEST = 1
    NEAREST = 2


class RankBy(_Named):
    """What stores are compared by. The value of a store, where less is better:

    DISTANCE metres; DISTANCE_BAND floor(metres / width); LOAD open orders / maximum of open orders,
    0 where it has no maximum; STOCK minus what is sellable beyond the order, of the line where that
    is least, capped at 1,000; PRIORITY and COST as in the profile; FRESHNESS minus the days until
    the first of what would be taken must be sold, of the line where that is least, capped at 365,
    which is also that of lines without lots.
    """

    DISTANCE = 1
    DISTANCE_BAND = 2
    LOAD = 3
    STOCK = 4
    PRIORITY = 5
    COST = 6
    FRESHNESS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing to compare stores by. `width_m`: of a distance band. `weight`: in a score."""

    by: RankBy
    width_m: float = math.nan
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Which of two stores is better: the first criterion that tells them apart; or, where `scored`,
    the smaller sum of weight * value, added up in the order of the criteria. What is still equal
    goes to the nearer store, then to the smaller id.
    """

    criteria: tuple[Criterion, ...] = (Criterion(by=RankBy.DISTANCE),)
    scored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How an order may be split, where no store has all of it.

    FEWEST: as few shipments as can be, of those the least sum of distances; exact up to 16 lines.
    NEAREST: the nearest store that has any line sends all it has, then the next for the rest.
    `most_shipments`: 1 to 16. `least_amount`: what each shipment must be worth, in minor units.
    `split_lines`: whether the pieces of one line may come from several stores. `together`: product
    classes whose lines must come from one store.
    """

    mode: SplitMode = SplitMode.NEVER
    most_shipments: int = 1
    least_amount: int = 0
    split_lines: bool = False
    together: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a fallback chain: which stores are asked, how far, and whether together.

    `areas`: whether stores with service areas serve only orders inside one of them.
    """

    name: StepName
    radius_m: float = math.inf
    kinds: frozenset[StoreKind] = frozenset({StoreKind.SHOP})
    areas: bool = True
    split: Split = Split()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """When the customer has it: now + `pick_s` + `pick_s_per_open_order` * open orders of the store
    + metres * `detour` / the speed of the store's local hour; from its opening where it is closed.

    `speeds_mps`: 24 of them, metres per second. `most_s`: a store that would need longer may not
    have the order; infinity: any.
    """

    pick_s: float = 600.0
    pick_s_per_open_order: float = 0.0
    detour: float = 1.3
    speeds_mps: tuple[float, ...] = (5.0,) * 24
    most_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All that one order is routed under.

    `cut_off_s`: a store must go on being open for so long (at the day's last opening, for
    OPEN_TODAY). `regions`: only stores of these; None: all. `reservation_timeout_s`: None: never.
    `merge_window_s`: orders of one buyer to one address within it form a merge group; 0: none.
    `least_life_days`: what remains of a lot's life on the promised day at least.
    """

    order_type: OrderType
    steps: tuple[Step, ...]
    ranking: Ranking = Ranking()
    hours: Hours = Hours.ANY
    cut_off_s: float = 0.0
    regions: frozenset[str] | None = None
    promise: Promise = Promise()
    reservation_timeout_s: float | None = None
    merge_window_s: float = 0.0
    least_life_days: int = 0
