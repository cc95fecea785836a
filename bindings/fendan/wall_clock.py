"""What the clocks of a time zone show, and when they show it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fendan.times import S_PER_DAY

__all__ = ["Shown", "WallClock", "offset_s_of"]

Seconds = NDArray[np.int64]

HOUR_S = 3_600
# No zone has ever changed its offset and changed it back within so short a time.
PROBE_S = 6 * HOUR_S
END_OF_TIME_S = 2**60


class Shown(NamedTuple):
    """What a clock shows at an instant, and the instants (seconds since 1970, UTC) after it.

    `day`: of the local date, since 1970. `offset_s`: what is shown is ahead of UTC.
    `hour_changes_s`: when another hour may be shown. `day_ends_s`: the last instant before which
    `day` is shown.
    """

    day: int
    hour: int
    offset_s: int
    hour_changes_s: int
    day_ends_s: int


@dataclass(frozen=True, slots=True, eq=False)
class WallClock:
    """A zone's offsets from UTC over a span of time: offsets_s[i] from starts_s[i] to ends_s[i].

        UTC     ...............|...................|...............
        offset   offsets_s[0]      offsets_s[1]       offsets_s[2]

    Invariant: starts_s ascends, ends_s[i] == starts_s[i + 1], and the first start and the last end
    are as good as infinite.

    A *wall time* is what the clock shows, in seconds since it would have shown 1970. Where clocks
    are put back a wall time comes twice, and where they are put forward it does not come at all.
    So we ask for the first instant at which the clock shows a time or a later one: an opening in
    the hour that comes twice is its first, and in the hour that is left out it is the jump itself.
    And for the last instant before which it shows an earlier one: a closing within the hour that
    comes twice is its second. A store is open a little too long then, rather than closed to orders
    that its sign on the door would let in; what lies wholly in the hour left out does not happen.
    """

    starts_s: Seconds
    ends_s: Seconds
    offsets_s: Seconds

    @staticmethod
    def of(time_zone: str, from_s: int, to_s: int) -> "WallClock":
        """The clock of a zone, right for the instants from `from_s` to `to_s`."""
        zone = ZoneInfo(time_zone)
        starts, offsets = [-END_OF_TIME_S], [offset_s_of(zone, from_s)]
        for probe_s in range(from_s, to_s + PROBE_S, PROBE_S):
            offset_s = offset_s_of(zone, probe_s)
            if offset_s != offsets[-1]:
                starts.append(_change_s(zone, probe_s - PROBE_S, probe_s))
                offsets.append(offset_s)
        bounds = np.array([*starts, END_OF_TIME_S], dtype=np.int64)
        return WallClock(bounds[:-1], bounds[1:], np.array(offsets, dtype=np.int64))

    def first_at(self, wall_s: Seconds) -> Seconds:
        """The first instant at which the clock shows each wall time, or a later one."""
        latest_shown = np.maximum.accumulate(self.ends_s + self.offsets_s)
        at = np.searchsorted(latest_shown, wall_s, side="right")
        instants_s: Seconds = np.maximum(self.starts_s[at], wall_s - self.offsets_s[at])
        return instants_s

    def last_before(self, wall_s: Seconds) -> Seconds:
        """The last instant before which the clock shows something earlier than each wall time."""
        earliest_shown = np.minimum.accumulate((self.starts_s + self.offsets_s)[::-1])[::-1]
        at = np.searchsorted(earliest_shown, wall_s, side="left") - 1
        instants_s: Seconds = np.minimum(self.ends_s[at], wall_s - self.offsets_s[at])
        return instants_s

    def shown(self, now_s: int) -> Shown:
        """What the clock shows at an instant."""
        at = int(np.searchsorted(self.starts_s, now_s, side="right")) - 1
        offset_s = int(self.offsets_s[at])
        day, second = divmod(now_s + offset_s, S_PER_DAY)
        hour_changes_s = min(now_s + HOUR_S - second % HOUR_S, int(self.ends_s[at]))
        day_ends = self.last_before(np.array([(day + 1) * S_PER_DAY], dtype=np.int64))
        return Shown(day, second // HOUR_S, offset_s, hour_changes_s, int(day_ends[0]))


def offset_s_of(zone: ZoneInfo, instant_s: int) -> int:
    """How far a zone's clocks are ahead of UTC at an instant, in seconds."""
    offset = datetime.fromtimestamp(instant_s, zone).utcoffset()
    assert offset is not None
    return offset.days * S_PER_DAY + offset.seconds


def _change_s(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """The first second of the offset that holds at `after_s`, and not yet at `before_s`."""
    offset_s = offset_s_of(zone, after_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if offset_s_of(zone, middle_s) == offset_s:
            after_s = middle_s
        else:
            before_s = middle_s
    return after_s
