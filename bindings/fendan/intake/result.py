"""What became of each order that a platform sent."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["IntakeOutcome", "IntakeResult"]


class IntakeOutcome(IntEnum):
    """Where an order is after intake. All but the first are in the exception queue."""

    ASSIGNED = 1
    """A store has it."""
    WAITING = 2
    """No store could fill it; it is tried again by itself."""
    HELD = 3
    """A rule found something that somebody has to look at."""
    REJECTED = 4
    """A rule, or the engine, would not have it; it has to come again, mended."""
    BROKEN = 5
    """It could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeResult:
    """One order of a payload, or a payload in which none could be read.

    `payload`: its number in the call, from 0. `order_id`: "" where not even that could be read.
    `codes`: why it is where it is: of rules, the worst first; a `Reason`; an error of the engine's;
    a `Breakage`. Empty where it was assigned. `warnings`: codes of rules that let it pass.
    `store_id` and `distance_m` (great circle, metres): of the store that has it, or of the first
    of those that share it. `exception_id`: what the exception queue calls it, "" where it is not
    there. `hint`: what was wrong, in words that may change.
    """

    payload: int
    order_id: str
    outcome: IntakeOutcome
    codes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    store_id: str | None = None
    distance_m: float | None = None
    exception_id: str = ""
    hint: str = ""
