"""How many orders went through untouched, by the day they came: counted by hours, kept as texts.

An hour's text is JSON: {"taken": 900, "at_once": 850, "by_retry": 30, "by_hand": 9, "cancelled":
2, "exceptions": [["NO_STOCK", "store", "channel", 50], …]}. The hour is the one in which the order
came, UTC, so that any zone of whole hours can have its day.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from fendan.errors import Fault, refuse
from fendan.times import NS_PER_HOUR, NS_PER_S, S_PER_HOUR

__all__ = ["DayFigures", "ExceptionCount", "Figures", "check_utc_offset", "hour_of"]

COUNTS = ("taken", "at_once", "by_retry", "by_hand", "cancelled")
HOURS_PER_DAY = 24
HOURS_KEPT = HOURS_PER_DAY * 92  # a quarter


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionCount:
    """How many orders of a day became exceptions for a reason, at a store and from a channel.

    `store_id`: the store that would not have the order; "" where none was asked.
    """

    reason: str
    store_id: str
    channel: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """What became of the orders of one day, "2026-12-01".

    `taken`: all that came. `at_once`: assigned when they came; `by_retry`: later, by themselves;
    `by_hand`: by a person, or after one approved or mended them. `cancelled`: while they were
    exceptions. The rest still waits. `exceptions`: those not assigned at once, most first.
    """

    day: str
    taken: int
    at_once: int
    by_retry: int
    by_hand: int
    cancelled: int
    exceptions: tuple[ExceptionCount, ...]

    @property
    def automatic_rate(self) -> float:
        """Which part of them was handled without a person, 0 to 1; 1 where none came."""
        return (self.at_once + self.by_retry) / self.taken if self.taken else 1.0


@dataclass(slots=True)
class _Hour:
    counts: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def text(self) -> str:
        rows = [[*key, count] for key, count in sorted(self.exceptions.items())]
        said = {name: self.counts[name] for name in COUNTS if self.counts[name]}
        return json.dumps({**said, "exceptions": rows}, ensure_ascii=False)


def hour_of(time_ns: int) -> str:
    """The hour of a time as its texts are named: ``2026-12-01T07``, UTC."""
    return _hour_named(time_ns // NS_PER_HOUR)


@lru_cache(maxsize=64)
def _hour_named(number: int) -> str:
    return datetime.fromtimestamp(number * S_PER_HOUR, UTC).strftime("%Y-%m-%dT%H")


def check_utc_offset(hours: int) -> None:
    """Refuse what no zone's clocks are ahead of UTC. Raises InvalidInputError."""
    if not isinstance(hours, int) or not -12 <= hours <= 14:
        refuse(Fault.OUT_OF_RANGE, "utc_offset_h", hours, hint="must be whole hours, -12 to 14")


class Figures:
    """The counts of the last hours; `changed` has the texts that are to be kept."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._hours = {name: _read(text) for name, text in texts.items()}
        self._changed: set[str] = set()
        self._kept_ns = 0

    @property
    def has_changed(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self._changed)

    def is_due(self, now_ns: int) -> bool:
        """Whether counts are to be kept that no entry came with: at most once a second."""
        return bool(self._changed) and now_ns - self._kept_ns >= NS_PER_S

    def count(self, what: str, since_ns: int, orders: int = 1) -> None:
        """So many orders that came then were `taken`, assigned `at_once`, and so on."""
        if orders:
            self._hour(since_ns).counts[what] += orders

    def count_exception(self, reason: str, store_id: str, channel: str, since_ns: int) -> None:
        """An order that came then is an exception."""
        self._hour(since_ns).exceptions[reason, store_id, channel] += 1

    def changed(self, now_ns: int) -> dict[str, str]:
        """The texts by hour that are to be kept now; "" for hours that are too long ago."""
        texts = {name: self._hours[name].text() for name in sorted(self._changed)}
        for name in sorted(self._hours)[:-HOURS_KEPT]:
            del self._hours[name]
            texts[name] = ""
        self._changed.clear()
        self._kept_ns = now_ns
        return texts

    def of_day(self, day: str | date, utc_offset_h: int) -> DayFigures:
        """What became of the orders of a day. Raises InvalidInputError."""
        check_utc_offset(utc_offset_h)
        try:
            first = datetime.fromisoformat(str(day))
            first = first.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
            begin = first - timedelta(hours=utc_offset_h)
            hours = [begin + timedelta(hours=number) for number in range(HOURS_PER_DAY)]
        except (ValueError, OverflowError):  # the latter of the first and the last day of all
            refuse(Fault.OUT_OF_RANGE, "day", day, hint="must be a day such as 2026-12-01")
        whole = _Hour()
        for hour in hours:
            name = hour.strftime("%Y-%m-%dT%H")
            if name in self._hours:
                whole.counts.update(self._hours[name].counts)  # some of which may be below zero
                whole.exceptions.update(self._hours[name].exceptions)
        rows = sorted(whole.exceptions.items(), key=lambda row: (-row[1], row[0]))
        return DayFigures(
            day=first.date().isoformat(),
            exceptions=tuple(
                ExceptionCount(reason=reason, store_id=store_id, channel=channel, count=count)
                for (reason, store_id, channel), count in rows
            ),
            **{name: whole.counts[name] for name in COUNTS},
        )

    def _hour(self, time_ns: int) -> _Hour:
        name = hour_of(time_ns)
        self._changed.add(name)
        return self._hours.setdefault(name, _Hour())


def _read(text: str) -> _Hour:
    said = json.loads(text)
    rows = said.pop("exceptions")
    return _Hour(Counter(said), Counter({tuple(key): count for *key, count in rows}))
