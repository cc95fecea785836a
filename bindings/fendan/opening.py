"""Which stores of a chain are open now, until when, and when the answer will be another.

Many stores share few patterns (a time zone and its hours), so each pattern is asked once. Its
openings of the next months stand in one row of a table, in nanoseconds since 1970, UTC:

    opens_ns     | o0 | o1 | o2 | .. | NEVER |      one row per pattern, at least one NEVER
    closes_ns    | c0 | c1 | c2 | .. | NEVER |

Invariant: o0 < c0 < o1 < c1 < ..: openings that meet or overlap are one. What the clock says is a
place in each row. The table is made anew when the clock leaves the days that it is good for; the
answers depend on the hours and the clock alone, never on when the table was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fendan.hours import DAY_MINUTES, Interval, OpeningHours, always_open
from fendan.times import NEVER_NS, NS_PER_S, S_PER_DAY
from fendan.wall_clock import WallClock

__all__ = ["HORIZON_DAYS", "Moment", "Opening"]

NEVER_S = NEVER_NS // NS_PER_S
# How far ahead openings and closings are looked for.
HORIZON_DAYS = 400
HORIZON_NS = HORIZON_DAYS * S_PER_DAY * NS_PER_S
# For how many days a table is good, from the day it is made.
TABLE_DAYS = 32
# An opening may have begun two days ago, and local days are up to two away from those of UTC.
MARGIN_DAYS = 4
THURSDAY = 3  # 1970-01-01, with Monday as 0

Row = tuple[NDArray[np.int64], NDArray[np.int64]]  # openings and closings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """What the clock says to each store; arrays by store code, times in ns since 1970, UTC.

    `opens_ns`: now where it is open, else the start of its next opening. `closes_ns`: the end of
    that opening. Both are NEVER_NS where it is more than 400 days ahead. `today_last_close_ns`: the
    end of the last opening that is not over and begins before the local day does; 0: none.
    `local_day`: of the local date, since 1970. `utc_offset_s`: what the local clock is ahead of
    UTC. `next_edge_ns`: until then all of this stays as it is, but that what is open opens now, and
    that what has been more than 400 days ahead need not be any more.
    """

    now_ns: int
    is_open: NDArray[np.bool_]
    opens_ns: NDArray[np.int64]
    closes_ns: NDArray[np.int64]
    today_last_close_ns: NDArray[np.int64]
    local_hour: NDArray[np.int8]
    local_day: NDArray[np.int32]
    utc_offset_s: NDArray[np.int32]
    next_edge_ns: int


class Opening:
    """The opening hours of all stores, by store code. None: a store that is always open.

    `before`: those of the chain until now. What is known of hours that they have too is kept, so
    that a change of one store's hours costs little.
    """

    def __init__(
        self, hours: Sequence[OpeningHours | None], before: "Opening | None" = None
    ) -> None:
        always = always_open()
        number_of: dict[OpeningHours, int] = {}
        patterns = [number_of.setdefault(one or always, len(number_of)) for one in hours]
        self._pattern_of = np.array(patterns, dtype=np.intp)
        self._patterns = list(number_of)
        zones = sorted({one.time_zone for one in self._patterns})
        self._zones = zones
        self._zone_of = np.array([zones.index(one.time_zone) for one in number_of], dtype=np.intp)
        self._table: _Table | None = None
        if before is not None and before._table is not None:
            self._table = self._table_of(before._table.days, before._table)

    def __len__(self) -> int:
        return len(self._pattern_of)

    def time_zone(self, store: int) -> str:
        """The name of a store's time zone."""
        return self._patterns[int(self._pattern_of[store])].time_zone

    def at(self, now_ns: int) -> Moment:
        """What the clock says to each store at an instant."""
        table, today = self._table, now_ns // NS_PER_S // S_PER_DAY
        if table is None or today not in table.days:
            self._table = table = self._table_of(range(today, today + TABLE_DAYS))
        shown = [table.clocks[zone].shown(now_ns // NS_PER_S) for zone in self._zones]
        day_ends_ns = np.array([_ns(one.day_ends_s) for one in shown], dtype=np.int64)
        # The first opening that is not over, and the last that begins before the day is.
        first = np.count_nonzero(table.closes_ns <= now_ns, axis=1)
        last = np.count_nonzero(table.opens_ns < day_ends_ns[self._zone_of, None], axis=1) - 1
        row = np.arange(len(self._patterns))
        opens_ns, closes_ns = table.opens_ns[row, first], table.closes_ns[row, first]
        is_open = opens_ns <= now_ns
        edges = np.where(is_open, closes_ns, opens_ns).tolist()
        edges += [_ns(one.hour_changes_s) for one in shown]
        today_last_close_ns = np.where(last < first, 0, _within(now_ns, table.closes_ns[row, last]))
        of, zone_of = self._pattern_of, self._zone_of[self._pattern_of]
        return Moment(
            now_ns=now_ns,
            is_open=is_open[of],
            opens_ns=_within(now_ns, np.maximum(opens_ns, now_ns))[of],
            closes_ns=_within(now_ns, closes_ns)[of],
            today_last_close_ns=today_last_close_ns[of],
            local_hour=np.array([one.hour for one in shown], dtype=np.int8)[zone_of],
            local_day=np.array([one.day for one in shown], dtype=np.int32)[zone_of],
            utc_offset_s=np.array([one.offset_s for one in shown], dtype=np.int32)[zone_of],
            next_edge_ns=min(edges, default=NEVER_NS),
        )

    def _table_of(self, days: range, known: "_Table | None" = None) -> "_Table":
        return _Table.of(self._patterns, self._zones, days, known)


def _within(now_ns: int, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is too far ahead is never: the table may end there."""
    return np.where(times_ns > now_ns + HORIZON_NS, NEVER_NS, times_ns)


def _ns(seconds: int) -> int:
    return min(seconds, NEVER_S) * NS_PER_S


# -- TABLE -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """The openings of every pattern, and the clock of every zone, good for the `days` of UTC.

    `rows`: the same openings by their hours, in seconds, for the next table of these days.
    """

    days: range
    opens_ns: NDArray[np.int64]
    closes_ns: NDArray[np.int64]
    clocks: dict[str, WallClock]
    rows: dict[OpeningHours, Row]

    @staticmethod
    def of(
        patterns: Sequence[OpeningHours],
        zones: Sequence[str],
        days: range,
        known: "_Table | None" = None,
    ) -> "_Table":
        """The table of some days. `known`: another one of the same days."""
        clocks, rows = ({}, {}) if known is None else (known.clocks, known.rows)
        looked_at = np.arange(days.start - MARGIN_DAYS, days.stop + HORIZON_DAYS + MARGIN_DAYS)
        span_s = int(looked_at[0] - 1) * S_PER_DAY, int(looked_at[-1] + 3) * S_PER_DAY
        clocks = {zone: clocks.get(zone) or WallClock.of(zone, *span_s) for zone in zones}
        rows = {
            one: rows.get(one) or _openings(one, clocks[one.time_zone], looked_at)
            for one in patterns
        }
        width = 1 + max((len(opens_s) for opens_s, _ in rows.values()), default=0)
        table = np.full((2, len(rows), width), NEVER_NS, dtype=np.int64)
        for number, row in enumerate(rows.values()):
            for side, times_s in enumerate(row):
                table[side, number, : len(times_s)] = np.minimum(times_s, NEVER_S) * NS_PER_S
        return _Table(days, table[0], table[1], clocks, rows)


def _openings(hours: OpeningHours, clock: WallClock, days: NDArray[np.int64]) -> Row:
    """When the store opens and closes, in seconds, by what each of the days says."""
    dates = dict(hours.dates)
    usual = days[~np.isin(days, list(dates))] if dates else days
    weekdays = (usual + THURSDAY) % 7
    walls = [
        _walls(usual[np.isin(weekdays, [at for at in range(7) if hours.week[at] == one])], one)
        for one in set(hours.week)
    ]
    walls += [
        _walls(np.array([day], dtype=np.int64), one)
        for day, one in dates.items()
        if days[0] <= day <= days[-1]
    ]
    starts, ends = np.concatenate(walls).T
    return _merged(clock.first_at(starts), clock.last_before(ends))


def _walls(days: NDArray[np.int64], intervals: tuple[Interval, ...]) -> NDArray[np.int64]:
    """The wall times, in seconds, at which the openings of these days begin and end: pairs."""
    minutes = np.array(intervals, dtype=np.int64).reshape(1, -1, 2)
    return ((days[:, None, None] * DAY_MINUTES + minutes) * 60).reshape(-1, 2)


def _merged(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Row:
    """Openings in order, those that meet or overlap as one, those without any length left out."""
    happens = starts < ends
    starts, ends = starts[happens], ends[happens]
    order = np.argsort(starts, kind="stable")
    starts, reached = starts[order], np.maximum.accumulate(ends[order])
    is_first = np.ones(len(starts), dtype=np.bool_)
    is_first[1:] = starts[1:] > reached[:-1]
    is_last = np.roll(is_first, -1)
    return starts[is_first], reached[is_last]
