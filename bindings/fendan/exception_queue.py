"""The exception queue: every order that nobody fills yet, the most urgent first."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from fendan.errors import Fault, refuse
from fendan.exception_entry import ExceptionEntry, ExceptionKind
from fendan.ranks import Ranks

__all__ = [
    "LARGEST_PAGE",
    "MOST_ENTRIES",
    "ExceptionFilter",
    "ExceptionPage",
    "ExceptionQueue",
    "ExceptionStats",
    "check_limit",
]

# More are held only where something else is wrong; they take some 2 GB. What was routed always has
# room: it must not be lost.
MOST_ENTRIES = 1_000_000
LARGEST_PAGE = 10_000

Place = tuple[int, int, str]

# A place as text; 64 bits have at most 19 digits.
_AFTER = re.compile(r"(-?[0-9]{1,19}):([0-9]{1,19}):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFilter:
    """Which entries are meant: those that fit all that is said.

    `before_ns`: those that came before (nanoseconds since 1970, UTC). Texts are whole values.
    """

    kinds: tuple[ExceptionKind, ...] = ()
    reasons: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    store_ids: tuple[str, ...] = ()
    before_ns: int | None = None

    def fits(self, entry: ExceptionEntry) -> bool:
        """Whether an entry is meant."""
        return (
            (not self.kinds or entry.kind in self.kinds)
            and (not self.reasons or entry.reason in self.reasons)
            and (not self.channels or entry.channel in self.channels)
            and (not self.store_ids or entry.store_id in self.store_ids)
            and (self.before_ns is None or entry.since_ns < self.before_ns)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionPage:
    """Some entries, by priority and then by age. Go on with `after`; "" where there are no more."""

    entries: tuple[ExceptionEntry, ...]
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionStats:
    """How the queue stands. Ages are seconds.

    `by_kind`, `by_reason`: how many there are; `oldest_s`: the age of the oldest by kind.
    """

    total: int
    by_kind: dict[ExceptionKind, int]
    by_reason: dict[str, int]
    oldest_s: dict[ExceptionKind, float]


def check_limit(limit: int) -> None:
    """Refuse what no page can have entries."""
    if not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        refuse(Fault.OUT_OF_RANGE, "limit", limit, hint=f"must be 1 to {LARGEST_PAGE:,}")


def place_of(entry: ExceptionEntry) -> Place:
    """Where an entry stands."""
    return -entry.priority, entry.since_ns, entry.id


def _named_place(after: str) -> Place:
    """The place of a page's last entry, if it can be one."""
    named = _AFTER.fullmatch(after)
    if named is None:
        refuse(Fault.OUT_OF_RANGE, "after", after, hint="must be `after` of the page before")
    priority, since_ns, name = named.groups()
    return int(priority), int(since_ns), name


class ExceptionQueue:
    """The entries by id and in their order; the caller holds the lock."""

    def __init__(self, entries: Iterable[ExceptionEntry] = ()) -> None:
        self._entries = {entry.id: entry for entry in entries}
        self._places = Ranks(map(place_of, self._entries.values()))
        self._reasons = Counter((one.kind, one.reason) for one in self._entries.values())
        self._ages: dict[ExceptionKind, list[tuple[int, str]]] = {
            kind: [] for kind in ExceptionKind
        }
        self.held_back = {one.id for one in self._entries.values() if one.was_held_back}
        """The orders that the engine has not been asked for yet."""
        for entry in self._entries.values():
            self._ages[entry.kind].append((entry.since_ns, entry.id))
        for ages in self._ages.values():
            heapify(ages)  # of those who have left, too, until they are the oldest

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[ExceptionEntry]:
        return iter([self._entries[name] for _, _, name in self._places])

    def get(self, name: str) -> ExceptionEntry | None:
        """The entry of an order, if it has one."""
        return self._entries.get(name)

    def put(self, entry: ExceptionEntry) -> None:
        """Add an entry, or put it in the place of the one with its id."""
        self.pop(entry.id)
        self._entries[entry.id] = entry
        if entry.was_held_back:
            self.held_back.add(entry.id)
        self._reasons[entry.kind, entry.reason] += 1
        self._places.add(place_of(entry))
        heappush(self._ages[entry.kind], (entry.since_ns, entry.id))

    def pop(self, name: str) -> ExceptionEntry | None:
        """Take out the entry of an order, if it has one."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._reasons[entry.kind, entry.reason] -= 1
            self.held_back.discard(name)
            self._places.remove(place_of(entry))
        return entry

    def page(self, wanted: ExceptionFilter, limit: int, after: str) -> ExceptionPage:
        """At most `limit` entries behind the one that `after` names, which may have left.

        Raises InvalidInputError where it can name none.
        """
        first = _named_place(after) if after else None
        found: list[ExceptionEntry] = []
        for _, _, name in self._places.after(first):
            entry = self._entries[name]
            if wanted.fits(entry):
                if len(found) == limit:
                    last = place_of(found[-1])
                    return ExceptionPage(
                        entries=tuple(found), after=f"{last[0]}:{last[1]}:{last[2]}"
                    )
                found.append(entry)
        return ExceptionPage(entries=tuple(found), after="")

    def stats(self, now_ns: int) -> ExceptionStats:
        """How it stands at a time."""
        by_kind: Counter[ExceptionKind] = Counter()
        by_reason: Counter[str] = Counter()
        for (kind, reason), count in self._reasons.items():
            by_kind[kind] += count
            by_reason[reason] += count
        return ExceptionStats(
            total=len(self),
            by_kind={kind: by_kind[kind] for kind in ExceptionKind if by_kind[kind]},
            by_reason={reason: count for reason, count in sorted(by_reason.items()) if count},
            oldest_s={
                kind: (now_ns - since_ns) / 1e9
                for kind in ExceptionKind
                if (since_ns := self._oldest_ns(kind)) is not None
            },
        )

    def _oldest_ns(self, kind: ExceptionKind) -> int | None:
        """When the oldest of a kind came."""
        ages = self._ages[kind]
        while ages:
            since_ns, name = ages[0]
            entry = self._entries.get(name)
            if entry is not None and (entry.kind, entry.since_ns) == (kind, since_ns):
                return since_ns
            heappop(ages)
        return None
