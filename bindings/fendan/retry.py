"""How often, and how long, an order that waits is tried again."""

import json
from dataclasses import asdict, dataclass

from fendan.errors import Fault, refuse
from fendan.times import NS_PER_S

__all__ = ["RetryPolicy", "checked_retry", "retry_of", "retry_text"]

A_YEAR_S = 366 * 86_400
MOST_ATTEMPTS = 10_000
MOST_PER_TURN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a waiting order is tried again, and when it is left to a person.

    An order is tried when something changed that could fill it, the first time at once; after an
    attempt that failed not before `first_wait_s`, and each time twice as long, up to
    `longest_wait_s` (seconds, 0 to a year). Without any change it is tried every `longest_wait_s`.
    After `most_attempts` (1 to 10,000), or `most_age_s` after it came (seconds, to a year), it is
    held for review. One turn tries at most `most_per_turn` orders (1 to 10,000), and of one buyer
    one before the other buyers had theirs.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 600.0
    most_attempts: int = 200
    most_age_s: float = 2 * 86_400.0
    most_per_turn: int = 256

    def wait_ns(self, attempts: int) -> int:
        """How long to wait after so many attempts, 1 or more."""
        waits_s = min(self.first_wait_s * 2.0 ** min(attempts - 1, 60), self.longest_wait_s)
        return round(waits_s * NS_PER_S)

    def is_spent(self, attempts: int, age_ns: int) -> bool:
        """Whether an order has been tried often enough, or has waited long enough."""
        return attempts >= self.most_attempts or age_ns >= self.most_age_s * NS_PER_S


def checked_retry(policy: RetryPolicy) -> RetryPolicy:
    """A policy that can be. Raises InvalidInputError naming the field."""
    if not isinstance(policy, RetryPolicy):
        refuse(Fault.WRONG_TYPE, "retry", policy, hint="must be a fendan.RetryPolicy")
    for name in ("first_wait_s", "longest_wait_s", "most_age_s"):
        value = getattr(policy, name)
        if not isinstance(value, int | float):
            refuse(Fault.WRONG_TYPE, f"retry.{name}", value, hint="must be seconds")
        if not 0 <= value <= A_YEAR_S:
            refuse(Fault.OUT_OF_RANGE, f"retry.{name}", value, hint="must be 0 to a year")
    for name, most in (("most_attempts", MOST_ATTEMPTS), ("most_per_turn", MOST_PER_TURN)):
        value = getattr(policy, name)
        if not isinstance(value, int) or not 1 <= value <= most:
            hint = f"must be a whole number from 1 to {most:,}"
            refuse(Fault.OUT_OF_RANGE, f"retry.{name}", value, hint=hint)
    return policy


def retry_text(policy: RetryPolicy) -> str:
    """A policy as JSON."""
    return json.dumps(asdict(policy))


def retry_of(text: str) -> RetryPolicy:
    """The policy that a text tells of."""
    return RetryPolicy(**json.loads(text))
