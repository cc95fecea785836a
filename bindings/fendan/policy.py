"""A policy: for each kind of order the rule that it is routed under, as one dense table.

Of the world's channels, regions and product classes only those matter that some condition names;
all others are alike. So every order falls into one of few places, and a rule is found without
looking at conditions:

    numbers   int32[types, channels + 1, regions + 1, 2 ** classes]
              0 of types: orders without one, which are of the default type
              0 of channels and regions: all that nobody names; i + 1: the i-th that is named
              bit i of the last: whether a line of the order is of the i-th class
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.errors import Fault
from fendan.policy_change import Change, changed
from fendan.policy_defaults import Draft
from fendan.rules import OrderType, Rule

__all__ = ["MOST_CLASSES", "MOST_PLACES", "MOST_RULES", "Override", "PolicyBook", "booked"]

# A quarter of a megabyte, which stays in a core's cache.
MOST_PLACES = 65_536
MOST_CLASSES = 8

# Each step of each has bitmaps of all stores, made anew when a store opens.
MOST_RULES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What is otherwise for some orders: those that fit all conditions given, each in one item."""

    change: Change
    order_types: tuple[OrderType, ...] = ()
    channels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    product_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyBook:
    """The rules of one policy. It never changes.

    `channels`, `regions`, `product_classes`: those that conditions name, in the order of the file.
    `rules`: those that an order can come under, each once.
    """

    default_type: OrderType
    channels: tuple[str, ...]
    regions: tuple[str, ...]
    product_classes: tuple[str, ...]
    rules: tuple[Rule, ...]
    _numbers: NDArray[np.int32] = field(repr=False)

    def table(self) -> NDArray[np.int32]:
        """The number of the rule in `rules` for each place, as drawn above; read only."""
        return self._numbers

    def rule_number(
        self,
        order_type: OrderType = OrderType.UNSPECIFIED,
        channel: str = "",
        region: str = "",
        product_classes: Collection[str] = (),
    ) -> int:
        """Which of `rules` an order comes under. Names that no condition has are fine."""
        named = enumerate(self.product_classes)
        classes = sum(1 << bit for bit, name in named if name in product_classes)
        place = (order_type, _place(self.channels, channel), _place(self.regions, region), classes)
        return int(self._numbers[place])

    def rule_for(
        self,
        order_type: OrderType = OrderType.UNSPECIFIED,
        channel: str = "",
        region: str = "",
        product_classes: Collection[str] = (),
    ) -> Rule:
        """What an order is routed under, by its type, channel, region and its lines' classes."""
        return self.rules[self.rule_number(order_type, channel, region, product_classes)]


def booked(
    default_type: OrderType, drafts: Mapping[OrderType, Draft], overrides: Sequence[Override]
) -> PolicyBook:
    """The book of these types and overrides, later ones over earlier ones.

    Raises InvalidInputError where one override contradicts another, or they name too much.
    """
    axes = _axes_of(overrides)
    numbers, made = np.zeros(axes.shape, dtype=np.int32), _Made()
    for order_type, draft in drafts.items():
        numbers[order_type] = made.number(draft)
    for override in overrides:
        fits = _fits(override, axes)
        here = numbers[fits]
        after = np.arange(len(made.drafts), dtype=np.int32)
        for number in np.unique(here).tolist():
            after[number] = made.number(changed(made.drafts[number], override.change))
        numbers[fits] = after[here]
        if len(made.drafts) > MOST_RULES and len(np.unique(numbers[1:])) > MOST_RULES:
            hint = f"with it, orders come under more than {MOST_RULES:,} rules"
            override.change.given.refuse(Fault.TOO_MANY, hint)
    numbers[OrderType.UNSPECIFIED] = numbers[default_type]
    # Those that are left, numbered in the order of the table.
    rules: dict[Rule, int] = {}
    used, first = np.unique(numbers, return_index=True)
    after = np.zeros(len(made.drafts), dtype=np.int32)
    for at in np.argsort(first).tolist():
        rule = made.drafts[used[at]].rule
        after[used[at]] = rules.setdefault(rule, len(rules))
    numbers = after[numbers]
    numbers.flags.writeable = False
    return PolicyBook(
        default_type=default_type,
        channels=axes.channels,
        regions=axes.regions,
        product_classes=axes.classes,
        rules=tuple(rules),
        _numbers=numbers,
    )


class _Made:
    """Drafts by number, each once."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self._numbers: dict[Draft, int] = {}

    def number(self, draft: Draft) -> int:
        number = self._numbers.setdefault(draft, len(self.drafts))
        if number == len(self.drafts):
            self.drafts.append(draft)
        return number


def _place(names: tuple[str, ...], name: str) -> int:
    return names.index(name) + 1 if name in names else 0


class _Axes(NamedTuple):
    """What stands for the places of a table, beside 0: each name once, as it was named first."""

    channels: tuple[str, ...]
    regions: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        channels, regions, classes = map(len, self)
        return len(OrderType), channels + 1, regions + 1, 2**classes


def _axes_of(overrides: Iterable[Override]) -> _Axes:
    """Refuses the override with which there are too many names."""
    axes = _Axes((), (), ())
    for one in overrides:
        named = zip(axes, (one.channels, one.regions, one.product_classes), strict=True)
        axes = _Axes(*(tuple(dict.fromkeys(before + more)) for before, more in named))
        given = one.change.given
        if len(axes.classes) > MOST_CLASSES:
            hint = f"with it, conditions name more than {MOST_CLASSES} product classes"
            given.at("product_class").refuse(Fault.TOO_MANY, hint)
        if math.prod(axes.shape) > MOST_PLACES:
            hint = (
                f"with it, there are {math.prod(axes.shape):,} kinds of order (types x channels "
                f"x regions x sets of classes), and {MOST_PLACES:,} are the most"
            )
            given.refuse(Fault.TOO_MANY, hint)
    return axes


def _fits(override: Override, axes: _Axes) -> tuple[NDArray[np.intp], ...]:
    """Where in the table all conditions hold, as an index."""
    sets = np.arange(2 ** len(axes.classes))
    bits = sum(1 << axes.classes.index(name) for name in override.product_classes)
    return np.ix_(
        np.isin(np.arange(len(OrderType)), override.order_types or tuple(OrderType)[1:]),
        _any_of(override.channels, axes.channels),
        _any_of(override.regions, axes.regions),
        sets & bits != 0 if bits else np.ones_like(sets, dtype=np.bool_),
    )


def _any_of(names: tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which places of an axis have one of these names; all, where none are given."""
    return np.array([not names, *(name in names for name in known)]) | (not names)
