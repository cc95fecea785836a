"""What an intake rule is: a code, what it does to an order, its threshold, and how it judges.

A rule judges all orders at once: from a `View` to a mask, with an entry an order or a line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from fendan.intake.view import View

__all__ = ["Judge", "Rule", "Severity", "Subject", "Threshold"]


class Severity(IntEnum):
    """What becomes of an order that a rule finds something in; the worst of its findings counts."""

    NONE = 0
    WARN = 1
    """It goes on, and the finding with it."""
    HOLD = 2
    """It waits for somebody to look at it."""
    REJECT = 3
    """It is not routed; it has to come again, mended."""


class Subject(IntEnum):
    """What a rule looks at one by one."""

    ORDER = 0
    LINE = 1


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a rule begins to find something: its usual value, unit and range."""

    value: float
    unit: str
    least: float
    most: float


# bool[n] of the orders or bool[m] of the lines, as numpy compares, which it says no type of; None:
# there is nothing to compare with.
Found: TypeAlias = Any
Judge = Callable[[View, float], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Its `code` never changes, and what it is about stands in two languages.

    `severity`: unless a file says another. `must_stop`: an engine refuses such an order, so the
    rule can neither be off nor merely warn. `judge` is given the threshold in its unit, or 0.
    """

    code: str
    subject: Subject
    severity: Severity
    judge: Judge
    english: str
    chinese: str
    threshold: Threshold | None = None
    must_stop: bool = False
