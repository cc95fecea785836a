"""Of which type an order is, by rules over what its platform says of it: the first that holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.rules import OrderType
from fendan.times import NS_PER_DAY, NS_PER_S

__all__ = ["INSTANT_WITHIN_S", "RULES", "Facts", "TypeRule", "order_types"]

# A promise within so long is an instant one: platforms promise 30 to 60 minutes, JD up to 120.
INSTANT_WITHIN_S = 2 * 3_600

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What decides about the types of n orders, as columns.

    `presale`, `group`, `pickup`: flags, where a group's id raises `group`, too. `by_code`: int8[n]
    of OrderType, what the platform's type code says, UNSPECIFIED where it says nothing.
    `within_ns`: from placing to the end of the promised window, and `days`: whether that ends on
    the day of placing (0) or so many days later, on the platform's clocks; both -1 where nothing
    was promised.
    `default`: int8[n], what the mapping says of all that is left.
    """

    presale: Mask
    group: Mask
    pickup: Mask
    by_code: NDArray[np.int8]
    within_ns: NDArray[np.int64]
    days: NDArray[np.int64]
    default: NDArray[np.int8]


class TypeRule(NamedTuple):
    """Orders of which `holds` says so are of the type; a type of None is the one found there."""

    name: str
    order_type: OrderType | None
    holds: Callable[[Facts], Mask]


# A presale may be fetched and belong to a group, and is a presale all the same: the date decides.
# The platform's own word for the type comes before what we make of its promise.
RULES = (
    TypeRule("presale flag", OrderType.PRESALE, lambda facts: facts.presale),
    TypeRule("group flag or id", OrderType.GROUP, lambda facts: facts.group),
    TypeRule("pickup flag", OrderType.PICKUP, lambda facts: facts.pickup),
    TypeRule("platform's code", None, lambda facts: facts.by_code != OrderType.UNSPECIFIED),
    TypeRule(
        "promised soon",
        OrderType.INSTANT,
        lambda facts: (facts.within_ns >= 0) & (facts.within_ns <= INSTANT_WITHIN_S * NS_PER_S),
    ),
    TypeRule("promised today", OrderType.SAME_DAY, lambda facts: facts.days == 0),
    TypeRule("promised later", OrderType.NEXT_DAY, lambda facts: facts.days > 0),
)


def order_types(facts: Facts) -> NDArray[np.int8]:
    """The type of each order: of the first rule that holds, else the mapping's default."""
    rules = [rule.holds(facts) for rule in RULES]
    types = [
        facts.by_code if rule.order_type is None else np.int8(rule.order_type) for rule in RULES
    ]
    return np.select(rules, types, facts.default).astype(np.int8)


def day_of(time_ns: int, offset_ns: int) -> int:
    """The day of a time on clocks that are so far ahead of UTC, since 1970."""
    return (time_ns + offset_ns) // NS_PER_DAY
