"""Words for time: instants are nanoseconds since 1970, UTC, and days are counted since then."""

from datetime import UTC, date, datetime

__all__ = [
    "EPOCH",
    "NEVER_NS",
    "NS_PER_DAY",
    "NS_PER_HOUR",
    "NS_PER_MINUTE",
    "NS_PER_S",
    "S_PER_DAY",
    "S_PER_HOUR",
    "date_of",
    "day_of",
]

NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
S_PER_HOUR = 3_600
NS_PER_HOUR = S_PER_HOUR * NS_PER_S
S_PER_DAY = 86_400
NS_PER_DAY = S_PER_DAY * NS_PER_S
NEVER_NS = 2**63 - 1  # not before the end of time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()


def day_of(text: str) -> int:
    """The day of a date such as "2026-12-01". Raises ValueError where there is no such date."""
    return date.fromisoformat(text).toordinal() - EPOCH_DAY


def date_of(day: int) -> str:
    """A day as it is written."""
    return date.fromordinal(EPOCH_DAY + day).isoformat()
