"""The ledger: every decision and movement in order, with names for codes, as far as it is wanted.

It is read from the log, not from the engine: whoever reads holds nobody up.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fendan import columns
from fendan.engine.events import EventKind
from fendan.engine.history import Event, Move, Promise, Reading, Wanted
from fendan.engine.life import RejectReason
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.engine.router import Reason
from fendan.errors import Fault, refuse
from fendan.log import Frame, Log
from fendan.model import EventPage, LedgerEvent, Movement
from fendan.rules import OrderType, StepName

__all__ = [
    "LAST_SEQUENCE",
    "MOST_EVENTS",
    "SHOWN",
    "USUAL_EVENTS",
    "Filter",
    "Names",
    "checked_limit",
    "checked_sequence",
    "event_of",
    "read_page",
    "readings",
]

USUAL_EVENTS = 1_000
MOST_EVENTS = 10_000

# How much one page looks at, however little of it is wanted: some tens of milliseconds.
SCANNED_PER_PAGE = 100_000

# A page ends after so many, for an event of stock may have a hundred thousand.
MOVEMENTS_PER_PAGE = 20_000

# Between two such pieces other threads have their turn.
EVENTS_PER_PIECE = 4_096

LAST_SEQUENCE = 2**63 - 1

# Events that name their store by its id.
NAMING = frozenset({EventKind.STORE_ADDED, EventKind.STORE_UPDATED})

# What an event says that was not decided under a policy.
NO_PROMISE = Promise(0, 0, -1, -1, 0, 0, 0, 0)

SHOWN = frozenset(kind for kind in EventKind if not kind.is_internal)


class Names(NamedTuple):
    """What codes stand for. `regions` are those of the stores now, by their codes."""

    store_ids: list[str]
    regions: list[str]
    skus: list[str]
    channels: Sequence[str] = ()


# -- WHAT IS WANTED ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are wanted: those that fit each of the four. None fits all."""

    store_ids: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    order_ids: tuple[str, ...] | None = None
    kinds: tuple[EventKind, ...] | None = None

    @classmethod
    def of(
        cls,
        store_ids: Iterable[str] | None,
        regions: Iterable[str] | None,
        order_ids: Iterable[str] | None,
        kinds: Iterable[EventKind] | None,
    ) -> "Filter":
        """Check what a reader gave. Raises InvalidInputError, also for an empty list."""
        return cls(
            store_ids=_texts("store_ids", store_ids),
            regions=_texts("regions", regions),
            order_ids=_texts("order_ids", order_ids),
            kinds=_kinds(kinds),
        )

    def wanted(self, names: Names) -> Wanted:
        """The same, by codes. Raises UnknownStoreError for a store that never was there."""
        store_ids, regions = _set(self.store_ids), _set(self.regions)
        if self.store_ids is not None:
            known = frozenset(names.store_ids)  # removed ones, too
            for row, store_id in enumerate(self.store_ids):
                if store_id not in known:
                    refuse(Fault.UNKNOWN_STORE, "store_ids", store_id, row=row)
        stores = None
        if store_ids is not None or regions is not None:
            stores = np.array(
                [
                    (store_ids is None or store_id in store_ids)
                    and (regions is None or region in regions)
                    for store_id, region in zip(names.store_ids, names.regions, strict=False)
                ],
                dtype=np.bool_,
            )
        return Wanted(
            SHOWN if self.kinds is None else self.kinds,
            order_ids=self.order_ids,
            stores=stores,
            store_ids=store_ids,
            regions=regions,
        )


def _texts(field: str, texts: Iterable[str] | None) -> tuple[str, ...] | None:
    if texts is None:
        return None
    listed = _some(field, texts)
    for row, text in enumerate(listed):
        # Stores may have no region, and that is one to ask for.
        if not is_usable_id(text) and not (field == "regions" and text == ""):
            refuse(Fault.BAD_ID, field, text, row=row, hint=ID_HINT)
    return tuple(listed)


def _kinds(kinds: Iterable[EventKind] | None) -> tuple[EventKind, ...] | None:
    if kinds is None:
        return None
    listed = _some("kinds", kinds)
    for row, kind in enumerate(listed):
        if isinstance(kind, bool) or not isinstance(kind, int):
            refuse(Fault.WRONG_TYPE, "kinds", kind, row=row, hint="must be an EventKind")
        if kind not in SHOWN:
            hint = "must be an EventKind that is not internal"
            refuse(Fault.OUT_OF_RANGE, "kinds", int(kind), row=row, hint=hint)
    return tuple(map(EventKind, listed))


def _some(field: str, given: Iterable[Any]) -> list[Any]:
    """What was given, as a list; whoever names nothing has made a mistake."""
    listed = columns.rows(field, given)
    if not listed:
        refuse(Fault.MISSING, field, hint="name at least one, or give None for all")
    return listed


def _set(texts: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if texts is None else frozenset(texts)


def checked_sequence(sequence: int, field: str, least: int = 1) -> int:
    """The number of an event, or a WrongTypeError or InvalidInputError."""
    return _checked(sequence, field, least, LAST_SEQUENCE)


def checked_limit(limit: int) -> int:
    """How many events are wanted at most, or a WrongTypeError or InvalidInputError."""
    return _checked(limit, "limit", 1, MOST_EVENTS)


def _checked(number: int, field: str, least: int, most: int) -> int:
    hint = f"must be a whole number from {least:,} to {most:,}"
    if isinstance(number, bool) or not isinstance(number, int):
        refuse(Fault.WRONG_TYPE, field, number, hint=hint)
    if not least <= number <= most:
        refuse(Fault.OUT_OF_RANGE, field, number, hint=hint)
    return number


# -- READING -----------------------------------------------------------------------------------


def readings(
    frames: Iterable[Frame], from_sequence: int, field: str = "from_sequence"
) -> Iterator[tuple[Frame, Reading]]:
    """Each frame with its events, from `from_sequence` on.

    Raises InvalidInputError where the log begins after that.
    """
    at = from_sequence
    for frame in frames:
        if frame.sequence > at:
            hint = f"older events are not kept; the oldest is {frame.sequence}"
            refuse(Fault.OUT_OF_RANGE, field, at, hint=hint)
        reading = Reading(frame.body, frame.sequence, frame.time_ns, frame.count)
        reading.skip_to(at)
        at = reading.end
        yield frame, reading


def read_page(
    log: Log,
    names: Names,
    filter: Filter,
    from_sequence: int,
    last_sequence: int,
    limit: int,
) -> EventPage:
    """The first events from `from_sequence` to `last_sequence` that fit, `limit` at most."""
    at = from_sequence
    wanted = filter.wanted(names)
    found: list[Event] = []
    room = MOVEMENTS_PER_PAGE
    scan_end = min(last_sequence + 1, from_sequence + SCANNED_PER_PAGE)
    frames = log.read(at, last_sequence) if at < scan_end else ()
    for _, reading in readings(frames, at):
        while reading.sequence < min(reading.end, scan_end) and len(found) < limit and room > 0:
            look_at = min(EVENTS_PER_PIECE, scan_end - reading.sequence)
            piece = reading.take(look_at, limit - len(found), room, wanted)
            room -= sum(len(event.moves) for event in piece)
            found += piece
        at = reading.sequence
        if at < reading.end:
            break
    events = tuple(event_of(event, names) for event in found)
    return EventPage(events=events, next_sequence=at, last_sequence=last_sequence)


# -- NAMES FOR CODES ---------------------------------------------------------------------------


def event_of(event: Event, names: Names) -> LedgerEvent:
    """An event as the ledger shows it."""
    store_id, region = _store_of(event, names)
    order_id, _, shipment = event.order_id.partition("\x1f")
    told = event.grant or NO_PROMISE
    return LedgerEvent(
        sequence=event.sequence,
        time_ns=event.time_ns,
        kind=event.kind,
        order_id=order_id or None,
        store_id=store_id,
        region=region,
        reason=reason_of(event.kind, event.reason),
        attempts=event.attempts,
        distance_m=None if math.isnan(event.distance_m) else event.distance_m,
        movements=tuple(
            Movement(
                sku=names.skus[move.sku],
                quantity=move.quantity,
                on_hand_before=move.on_hand_before,
                on_hand_after=move.on_hand_after,
                reserved_before=move.reserved_before,
                reserved_after=move.reserved_after,
                amount=move.amount,
            )
            for move in event.moves
            if _is_shown(move, event)
        ),
        shipment=int(shipment or 0),
        policy_version=told.policy_version,
        step=StepName(told.step),
        promised_ns=told.promised_ns or None,
        merge_group=told.merge_group,
        order_type=OrderType(told.order_type),
        channel=names.channels[told.channel] if 0 <= told.channel < len(names.channels) else "",
    )


def _is_shown(move: Move, event: Event) -> bool:
    """Whether it did anything: an order without a store has lines, and moves nothing.

    That a count is what it was before is worth knowing where somebody counted.
    """
    return not event.order_id or (
        move.on_hand_before != move.on_hand_after or move.reserved_before != move.reserved_after
    )


def _store_of(event: Event, names: Names) -> tuple[str | None, str]:
    """The event's store and its region."""
    if event.kind in NAMING:
        store_id, region = event.texts
        return store_id.decode(), region.decode()
    if event.store < 0:
        return None, ""
    return names.store_ids[event.store], names.regions[event.store]


def reason_of(kind: EventKind, number: int) -> str:
    """The name of a reason; "" for none."""
    if not number:
        return ""
    return (RejectReason if kind is EventKind.REJECTED else Reason)(number).name
