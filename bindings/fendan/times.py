"""Words for time: instants are nanoseconds since 1970, UTC, and days are counted since then."""

from datetime import UTC, datetime

__all__ = ["EPOCH", "EPOCH_DAY", "NEVER_NS", "NS_PER_DAY", "NS_PER_S", "S_PER_DAY"]

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400
NS_PER_DAY = S_PER_DAY * NS_PER_S
NEVER_NS = 2**63 - 1  # not before the end of time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
