"""The slow twin of opening hours: one store at a time, with datetime, walking minute by minute.

It knows nothing of tables and patterns. A wall time that comes twice is its first as an opening
and its second as a closing; one that is left out is the minute of the jump.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NEVER_NS = 0x7FFFFFFFFFFFFFFF
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LOOKED_AHEAD = timedelta(days=400)


def ns(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


def second_of(now_ns: int) -> datetime:
    """The instant, without what is less than a second."""
    return EPOCH + timedelta(seconds=now_ns // 10**9)


def instant_of(wall: datetime, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """When the clock shows this, for an opening or for a closing."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        # Coming back to just this time, the clock does not show an earlier one again.
        goes_on = (second - MINUTE).astimezone(zone).replace(tzinfo=None) < wall
        return second if is_end and goes_on else first
    before, jump = second, second  # the time is left out: walk to the jump
    offset = before.astimezone(zone).utcoffset()
    while jump.astimezone(zone).utcoffset() == offset:
        jump += MINUTE
    return jump


def wall_times(text: str, day: date) -> list[tuple[datetime, datetime]]:
    """The openings that begin on a day, as its clock shows them."""
    midnight = datetime.combine(day, time())
    if text == "24h":
        return [(midnight, midnight + DAY)]
    found = []
    for part in text.split(",") if text != "closed" else []:
        start, end = (
            midnight + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))
            for clock in part.strip().split("-")
        )
        found.append((start, end if end > start else end + DAY))
    return found


def said_of(hours: Mapping[str, str] | None, day: date) -> str:
    if hours is None:
        return "24h"
    weekday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day.weekday()]
    return next(hours[key] for key in (day.isoformat(), weekday, "daily") if key in hours)


def openings(
    hours: Mapping[str, str] | None, zone: ZoneInfo, first: date, days: int
) -> list[tuple[datetime, datetime]]:
    """All openings of some days, those that meet or overlap as one."""
    found = sorted(
        (start, end)
        for number in range(days)
        for wall in wall_times(said_of(hours, first + number * DAY), first + number * DAY)
        for start, end in [
            (instant_of(wall[0], zone, is_end=False), instant_of(wall[1], zone, is_end=True))
        ]
        if start < end
    )
    merged: list[tuple[datetime, datetime]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


@dataclass(frozen=True)
class Told:
    """What `Moment` says of one store."""

    is_open: bool
    opens_ns: int
    closes_ns: int
    today_last_close_ns: int
    local_hour: int
    local_day: int
    utc_offset_s: int


def told(hours: Mapping[str, str] | None, time_zone: str, now_ns: int) -> Told:
    zone = ZoneInfo(time_zone)
    local = second_of(now_ns).astimezone(zone)
    today = local.date()
    all_of_them = openings(hours, zone, today - 4 * DAY, 410)
    ahead = [(ns(start), ns(end)) for start, end in all_of_them if ns(end) > now_ns]
    day_ends_ns = ns(instant_of(datetime.combine(today + DAY, time()), zone, is_end=True))
    last_ns = now_ns + ns(EPOCH + LOOKED_AHEAD)

    def within(time_ns: int) -> int:
        return time_ns if time_ns <= last_ns else NEVER_NS

    opens_ns, closes_ns = ahead[0] if ahead else (NEVER_NS, NEVER_NS)
    today_ns = [within(end) for start, end in ahead if start < day_ends_ns]
    return Told(
        is_open=opens_ns <= now_ns,
        opens_ns=within(max(opens_ns, now_ns)),
        closes_ns=within(closes_ns),
        today_last_close_ns=today_ns[-1] if today_ns else 0,
        local_hour=local.hour,
        local_day=(today - date(1970, 1, 1)).days,
        utc_offset_s=round((local.replace(tzinfo=UTC) - second_of(now_ns)).total_seconds()),
    )
