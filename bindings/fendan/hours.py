"""When a store is open, as its chain writes it down: by weekday and by date, in its own time zone.

    hours = { daily = "09:00-22:00", fri = "18:00-02:00", "2026-10-01" = "closed" }

A day's openings are those that begin on it: of a night that goes on past midnight, the rest belongs
to the day before, whatever the next day says. What these wall times mean on the days when clocks
change is said in `wall_clock`; `opening` asks a whole chain whether it is open.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from fendan.errors import Fault, in_words, refuse
from fendan.profiles import StoreProfile
from fendan.times import day_of

__all__ = ["Interval", "OpeningHours", "always_open", "parse_hours", "path"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
DEFAULT_ZONE = StoreProfile().time_zone

# Each opening of a day is a column of the table of the whole chain (see `opening`).
MOST_INTERVALS = 4
MOST_DATES = 1000

# Minutes from the midnight with which the day begins: 0 <= start < 1440, start < end; an end beyond
# 1440 is in the next day, and none is a whole day after its start but that of "24h".
Interval = tuple[int, int]
ALL_DAY: tuple[Interval, ...] = ((0, DAY_MINUTES),)

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
INTERVAL = re.compile(r"\s*(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)\s*", re.ASCII)
KEY_HINT = "must be mon to sun, daily, or a date such as 2026-10-01"
DAY_HINT = "must be like 09:00-22:00, 22:00-02:00, 09:00-12:00,13:00-18:00, closed or 24h"


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """The openings of each day, ascending; stores with equal hours share one schedule.

    `week`: of Monday to Sunday. `dates`: of the days that differ, in days since 1970, ascending.
    """

    time_zone: str
    week: tuple[tuple[Interval, ...], ...]
    dates: tuple[tuple[int, tuple[Interval, ...]], ...] = ()


def always_open(time_zone: str = DEFAULT_ZONE) -> OpeningHours:
    """The hours of a store that never closes."""
    return OpeningHours(time_zone, (ALL_DAY,) * len(WEEKDAYS))


def parse_hours(hours: Mapping[str, str] | None, time_zone: str, field: str = "") -> OpeningHours:
    """The `hours` and `time_zone` of a StoreProfile; None is always open.

    Every day must be said, by its own key or by "daily". Raises a FendanError that names what is
    wrong by its path below `field`, such as ``stores.S1.hours.mon``.
    """
    _check_zone(time_zone, path(field, "time_zone"))
    if hours is None:
        return always_open(time_zone)
    place = path(field, "hours")
    if not isinstance(hours, Mapping):
        refuse(Fault.WRONG_TYPE, place, hours, hint="must be a table of days and their hours")
    days: dict[str, tuple[Interval, ...]] = {}
    dates: dict[int, tuple[Interval, ...]] = {}
    for key, text in hours.items():
        here = path(place, key)
        if key in WEEKDAYS or key == "daily":
            days[key] = _openings(text, here)
        else:
            dates[_day_of(key, here)] = _openings(text, here)
    if len(dates) > MOST_DATES:
        refuse(Fault.TOO_MANY, place, len(dates), hint=f"at most {MOST_DATES:,} dates")
    unsaid = [name for name in WEEKDAYS if name not in days and "daily" not in days]
    if unsaid:
        hint = "say every weekday, if only closed, or daily for those without hours of their own"
        refuse(Fault.MISSING, path(place, unsaid[0]), hint=hint)
    week = tuple(days[name] if name in days else days["daily"] for name in WEEKDAYS)
    return OpeningHours(time_zone, week, tuple(sorted(dates.items())))


def path(field: str, *keys: object) -> str:
    """The path of a key below a field, which may be empty."""
    names = [one if isinstance(one, str) else in_words(one) for one in keys]
    return ".".join([field, *names] if field else names)


# -- KEYS --------------------------------------------------------------------------------------


def _day_of(key: Any, field: str) -> int:
    """A date as days since 1970."""
    if not isinstance(key, str) or not DATE.fullmatch(key):
        near = difflib.get_close_matches(str(key).lower()[:3], WEEKDAYS, n=1)
        hint = KEY_HINT + (f"; did you mean {near[0]}?" if near else "")
        refuse(Fault.OUT_OF_RANGE, field, key, hint=hint)
    try:
        return day_of(key)
    except ValueError:
        refuse(Fault.OUT_OF_RANGE, field, key, hint="there is no such day")


def _check_zone(name: Any, field: str) -> None:
    if not isinstance(name, str):
        refuse(Fault.WRONG_TYPE, field, name, hint="must be a name such as Asia/Shanghai")
    if not _is_zone(name):
        near = difflib.get_close_matches(name, sorted(available_timezones()), n=1)
        hint = "there is no such time zone" + (f"; did you mean {near[0]}?" if near else "")
        refuse(Fault.OUT_OF_RANGE, field, name, hint=hint)


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no path of a file; the path of a folder
        return False
    return bool(name)


# -- OPENINGS OF A DAY -------------------------------------------------------------------------


def _openings(text: Any, field: str) -> tuple[Interval, ...]:
    if not isinstance(text, str):
        refuse(Fault.WRONG_TYPE, field, text, hint=DAY_HINT)
    if text.strip() in ("closed", "24h"):
        return () if text.strip() == "closed" else ALL_DAY
    parts = text.split(",")
    if len(parts) > MOST_INTERVALS:
        hint = f"at most {MOST_INTERVALS} openings a day"
        refuse(Fault.TOO_MANY, field, text, hint=hint)
    intervals = sorted(_interval(part, text, field) for part in parts)
    for (start, end), (next_start, next_end) in pairwise(intervals):
        if next_start < end:
            hint = f"{_text(start, end)} and {_text(next_start, next_end)} overlap"
            refuse(Fault.OUT_OF_RANGE, field, text, hint=hint)
    return tuple(intervals)


def _interval(part: str, text: str, field: str) -> Interval:
    def no(hint: str) -> NoReturn:
        refuse(Fault.OUT_OF_RANGE, field, text, hint=hint)

    match = INTERVAL.fullmatch(part)
    if match is None:
        refuse(Fault.WRONG_TYPE, field, text, hint=DAY_HINT)
    hours_minutes = [int(digits) for digits in match.groups()]
    times = []
    for hour, minute in (hours_minutes[:2], hours_minutes[2:]):
        times.append(hour * 60 + minute)
        if minute >= 60 or times[-1] > DAY_MINUTES:
            no(f"{hour:02}:{minute:02} is no time of day: they go from 00:00 to 24:00")
    start, end = times
    if start == end:
        no(f"{part.strip()} ends when it begins: use 24h or closed")
    if start == DAY_MINUTES:
        no("24:00 is the end of a day: what begins then is 00:00 of the next")
    return start, end if end > start else end + DAY_MINUTES


def _text(start: int, end: int) -> str:
    end -= DAY_MINUTES if end > DAY_MINUTES else 0
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
