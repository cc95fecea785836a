"""Which stores a step of a rule may ask now, before anyone looks at places and stock.

    not paused, of a kind the step asks, taking such orders, in a region of the rule, and open

`eligible` says it of all stores at once, `exclusion` says of one store why not, with the numbers.
An opening is not used from its cut-off on: at `closes - cut_off_s` the store is out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fendan.exclusions import Exclusion
from fendan.opening import HORIZON_DAYS, Moment, Opening
from fendan.profiles import StoreProfile
from fendan.rules import Hours, Rule, Step
from fendan.times import EPOCH, NEVER_NS, NS_PER_S

__all__ = ["Facts", "abilities", "eligible", "eligible_by_step", "exclusion", "next_edge_ns"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What eligibility asks of the profiles, as columns by store code.

    `kind_bits`, `order_type_bits`: bit k is set for the kind, and for each order type taken, of
    value k. `region_codes`: places in `region_names`.
    """

    kind_bits: NDArray[np.uint16]
    order_type_bits: NDArray[np.uint16]
    region_codes: NDArray[np.int32]
    region_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kind_bits)

    @staticmethod
    def of(profiles: Sequence[StoreProfile], regions: Sequence[str]) -> "Facts":
        """The columns of all stores, by store code; `regions` are those of the stores."""
        number_of: dict[str, int] = {}
        codes = [number_of.setdefault(name, len(number_of)) for name in regions]
        every_type = 0xFFFF
        types = [
            every_type if one.order_types is None else _bits(one.order_types) for one in profiles
        ]
        return Facts(
            kind_bits=np.array([_bits([one.kind]) for one in profiles], dtype=np.uint16),
            order_type_bits=np.array(types, dtype=np.uint16),
            region_codes=np.array(codes, dtype=np.int32),
            region_names=tuple(number_of),
        )


def abilities(profiles: Sequence[StoreProfile]) -> dict[str, Bools]:
    """For each ability that any store has, by name, which stores have it, by store code."""
    columns: dict[str, Bools] = {}
    for store, profile in enumerate(profiles):
        for name in profile.abilities:
            if name not in columns:
                columns[name] = np.zeros(len(profiles), dtype=np.bool_)
            columns[name][store] = True
    return dict(sorted(columns.items()))


def eligible(rule: Rule, step: Step, facts: Facts, moment: Moment, paused: Bools) -> Bools:
    """Whether each store, by store code, may be asked; `paused`: those that take no orders."""
    return _of_kinds(step, facts) & _under(rule, facts, moment, paused)


def eligible_by_step(rule: Rule, facts: Facts, moment: Moment, paused: Bools) -> list[Bools]:
    """As `eligible`, for each step of the rule."""
    under_rule = _under(rule, facts, moment, paused)
    return [_of_kinds(step, facts) & under_rule for step in rule.steps]


def _of_kinds(step: Step, facts: Facts) -> Bools:
    answer: Bools = (facts.kind_bits & _bits(step.kinds)) != 0
    return answer


def _under(rule: Rule, facts: Facts, moment: Moment, paused: Bools) -> Bools:
    """What is the same for all steps of a rule."""
    answer: Bools = (facts.order_type_bits & _bits([rule.order_type])) != 0
    answer &= ~paused
    if rule.regions is not None:
        in_scope = np.array([name in rule.regions for name in facts.region_names], dtype=np.bool_)
        answer &= in_scope[facts.region_codes]
    if rule.hours is not Hours.ANY:
        answer &= _last_close_ns(rule.hours, moment) - _ns(rule.cut_off_s) > moment.now_ns
    return answer


def next_edge_ns(rules: Iterable[Rule], moment: Moment) -> int:
    """Until when (ns since 1970, UTC) the clock leaves all that `eligible` says as it is."""
    edge_ns = moment.next_edge_ns
    for hours, cut_off_s in {(rule.hours, rule.cut_off_s) for rule in rules}:
        if hours is not Hours.ANY and cut_off_s:
            until_ns = _last_close_ns(hours, moment) - _ns(cut_off_s)
            ahead = until_ns[until_ns > moment.now_ns]
            edge_ns = min(edge_ns, int(ahead.min(initial=NEVER_NS)))
    return edge_ns


def _last_close_ns(hours: Hours, moment: Moment) -> NDArray[np.int64]:
    """When the opening that counts ends, by store; 0 where there is none."""
    if hours is Hours.OPEN_TODAY:
        return moment.today_last_close_ns
    return moment.closes_ns * moment.is_open


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


# -- EXPLANATIONS ------------------------------------------------------------------------------


def exclusion(
    rule: Rule,
    step: Step,
    store: int,
    profile: StoreProfile,
    region: str,
    opening: Opening,
    moment: Moment,
    paused: Bools,
) -> tuple[Exclusion, str] | None:
    """The first reason why the store of this code is not eligible, with its numbers; or None."""
    if paused[store]:
        return Exclusion.PAUSED, "paused: it takes no orders"
    if profile.kind not in step.kinds:
        return Exclusion.KIND, f"it is of kind {profile.kind}, and asked are {_names(step.kinds)}"
    if profile.order_types is not None and rule.order_type not in profile.order_types:
        taken = _names(profile.order_types) or "no orders"
        return Exclusion.ORDER_TYPE, f"it takes {taken}, and not {rule.order_type}"
    if rule.regions is not None and region not in rule.regions:
        where = f"in region {region}" if region else "in no region"
        return Exclusion.REGION, f"it is {where}, and asked are {_names(rule.regions) or 'none'}"
    return _out_of_hours(rule, store, opening, moment)


def _out_of_hours(
    rule: Rule, store: int, opening: Opening, moment: Moment
) -> tuple[Exclusion, str] | None:
    if rule.hours is Hours.ANY:
        return None
    zone, today = opening.time_zone(store), int(moment.local_day[store])
    closes_ns = int(_last_close_ns(rule.hours, moment)[store])
    if not closes_ns:
        until = " for today" if rule.hours is Hours.OPEN_TODAY else ""
        opens = _local_time(int(moment.opens_ns[store]), zone, today)
        return Exclusion.CLOSED, f"closed{until}: opens {opens} ({zone})"
    if closes_ns - _ns(rule.cut_off_s) <= moment.now_ns:
        closes, before = _local_time(closes_ns, zone, today), _duration(rule.cut_off_s)
        return Exclusion.CUT_OFF, f"closes {closes}, and the cut-off is {before} before"
    return None


def _names(named: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, named)))


def _local_time(time_ns: int, zone: str, today: int) -> str:
    """What the store's clock shows then: ``09:00``, with the date where that is not today's."""
    if time_ns == NEVER_NS:
        return f"not within {HORIZON_DAYS} days"
    local = (EPOCH + timedelta(seconds=time_ns // NS_PER_S)).astimezone(ZoneInfo(zone))
    is_today = local.date() == (EPOCH + timedelta(days=today)).date()
    return format(local, "%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"
