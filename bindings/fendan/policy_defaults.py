"""What an order is routed under where a policy file says nothing else: a row for each order type.

| type     | asks, one step after another               | hours      | split      | time-out |
|----------|--------------------------------------------|------------|------------|----------|
| INSTANT  | shops to 3 km                              | open now   | never      | 10 min   |
| SAME_DAY | shops to 20 km, to 50 km, RDC              | open today | never      | 2 h      |
| NEXT_DAY | shops to 50 km, RDC, CDC, nationwide       | any        | up to 3    | 12 h     |
| PICKUP   | shops to 20 km, or the one that was named  | open today | never      | 2 h      |
| PRESALE  | shops to 50 km, RDC, CDC, incoming supply  | any        | never      | none     |
| GROUP    | shops to 20 km, RDC, CDC, each for all     | any        | never      | 24 h     |

An INSTANT order is refused where its promise would be later than 45 minutes. What is on sale before
it is there goes with the BACKORDER step, apart from what is in stock.
"""

import math
from dataclasses import replace
from typing import NamedTuple

from fendan.rules import (
    Hours,
    OrderType,
    Promise,
    Rule,
    Split,
    SplitMode,
    Step,
    StepName,
    StoreKind,
)

__all__ = ["DEFAULTS", "DEFAULT_TYPE", "NEVER_SPLIT", "STEPS", "Draft"]


class Draft(NamedTuple):
    """A rule in the making; `split` is what its steps have unless they say otherwise."""

    rule: Rule
    split: Split


MIN_S, HOUR_S = 60.0, 3_600.0
KM_M = 1_000.0
KMH_MPS = 1 / 3.6

# It promises nothing and finds stock wherever there is any.
DEFAULT_TYPE = OrderType.NEXT_DAY

# Minutes leave no time for a second shipment; who comes to fetch, comes to one place; and a group's
# pickup point gets one delivery.
NEVER_SPLIT = frozenset({OrderType.INSTANT, OrderType.PICKUP, OrderType.GROUP})

ANY_KIND = frozenset(StoreKind)

# Steps as they are where neither the type's row nor the file says otherwise.
STEPS = {
    StepName.STORE: Step(name=StepName.STORE, radius_m=10 * KM_M),
    StepName.WIDER: Step(name=StepName.WIDER, radius_m=50 * KM_M),
    StepName.RDC: Step(name=StepName.RDC, kinds=frozenset({StoreKind.RDC})),
    StepName.CDC: Step(name=StepName.CDC, kinds=frozenset({StoreKind.CDC})),
    StepName.NATIONWIDE: Step(name=StepName.NATIONWIDE, kinds=ANY_KIND, areas=False),
    StepName.BACKORDER: Step(name=StepName.BACKORDER, kinds=ANY_KIND, areas=False),
}
RDC, CDC, NATIONWIDE, BACKORDER = (
    STEPS[name] for name in (StepName.RDC, StepName.CDC, StepName.NATIONWIDE, StepName.BACKORDER)
)


def _shops(radius_m: float, name: StepName = StepName.STORE, *, areas: bool = True) -> Step:
    return Step(name=name, radius_m=radius_m, areas=areas)


def _going(pick_s: float, kmh: float, most_s: float = math.inf) -> Promise:
    """So long to pick, a minute more for each order that waits, and then the way."""
    speeds_mps = (kmh * KMH_MPS,) * 24
    return Promise(pick_s=pick_s, pick_s_per_open_order=MIN_S, speeds_mps=speeds_mps, most_s=most_s)


RULES = [
    Rule(
        order_type=OrderType.INSTANT,
        steps=(_shops(3 * KM_M),),
        hours=Hours.OPEN_NOW,
        cut_off_s=15 * MIN_S,
        promise=_going(pick_s=10 * MIN_S, kmh=18, most_s=45 * MIN_S),
        reservation_timeout_s=10 * MIN_S,
    ),
    Rule(
        order_type=OrderType.SAME_DAY,
        steps=(_shops(20 * KM_M), _shops(50 * KM_M, StepName.WIDER), RDC),
        hours=Hours.OPEN_TODAY,
        cut_off_s=1 * HOUR_S,
        promise=_going(pick_s=30 * MIN_S, kmh=25),
        reservation_timeout_s=2 * HOUR_S,
    ),
    Rule(
        order_type=OrderType.NEXT_DAY,
        steps=(_shops(50 * KM_M), RDC, CDC, NATIONWIDE),
        promise=_going(pick_s=4 * HOUR_S, kmh=40),
        reservation_timeout_s=12 * HOUR_S,
    ),
    Rule(
        order_type=OrderType.PICKUP,
        steps=(_shops(20 * KM_M, areas=False),),  # areas are where a store delivers to
        hours=Hours.OPEN_TODAY,
        cut_off_s=30 * MIN_S,
        promise=Promise(pick_s=30 * MIN_S, pick_s_per_open_order=MIN_S, detour=0.0),
        reservation_timeout_s=2 * HOUR_S,
    ),
    Rule(
        order_type=OrderType.PRESALE,
        steps=(_shops(50 * KM_M), RDC, CDC, BACKORDER),
        promise=_going(pick_s=4 * HOUR_S, kmh=40),
    ),
    Rule(
        order_type=OrderType.GROUP,
        steps=(_shops(20 * KM_M), RDC, CDC),
        promise=_going(pick_s=2 * HOUR_S, kmh=25),
        reservation_timeout_s=24 * HOUR_S,
    ),
]

SPLITS = {OrderType.NEXT_DAY: Split(mode=SplitMode.FEWEST, most_shipments=3)}


def _drafts() -> dict[OrderType, Draft]:
    """The table by order type, each step with the split of its type."""
    drafts = {}
    for rule in RULES:
        split = SPLITS.get(rule.order_type, Split())
        steps = tuple(replace(step, split=split) for step in rule.steps)
        drafts[rule.order_type] = Draft(replace(rule, steps=steps), split)
    return drafts


DEFAULTS = _drafts()
