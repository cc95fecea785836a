"""The state just before an order was decided, brought back from the journal.

The engine goes on meanwhile: what is read is the log, and what is built is a state of its own.
"""

import math
from collections.abc import Iterator

from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.engine.history import Event, Reading, Wanted
from fendan.errors import InvalidInputError
from fendan.log import Frame, Log
from fendan.recovery import recover

__all__ = ["brought_back", "deciding", "events_of", "rejected_by"]

MOST = 2**63 - 1
NS_PER_S = 10**9
DECIDING = frozenset({EventKind.ASSIGNED, EventKind.UNASSIGNED})


def events_of(log: Log, order_id: str, last_sequence: int) -> list[Event]:
    """What happened to an order, from its first decision on; [] where the log begins after that.

    Orders that are asked about are mostly young, so what came after the latest snapshot is read
    first.
    """
    snapshot = log.latest_snapshot()
    oldest = log.first_sequence()
    first = oldest if snapshot is None else snapshot.sequence + 1
    found: list[Event] = []
    for start, stop in ((first, last_sequence), (oldest, first - 1)):
        found = [*_events(log, order_id, start, stop), *found]
        if found and not math.isnan(found[0].lat):  # only the first decision says where
            return found
    return []


def _events(log: Log, order_id: str, start: int, stop: int) -> Iterator[Event]:
    """The events of an order among some; those of its shipments are their own."""
    wanted = Wanted(order_ids=[order_id])
    for frame in _frames(log, start, stop):
        reading = Reading(frame.body, frame.sequence, frame.time_ns, frame.count)
        for event in reading.take(frame.count, MOST, MOST, wanted):
            if event.order_id == order_id:
                yield event


def deciding(events: list[Event]) -> list[Event]:
    """Those with which the order was given to a store, or to none."""
    return [events[0], *(event for event in events[1:] if event.kind in DECIDING)]


def rejected_by(events: list[Event], event: Event, cool_down_s: float) -> frozenset[int]:
    """The stores that could not have the order at an event because they had rejected it."""
    before = [
        one for one in events if one.sequence < event.sequence and one.kind is EventKind.REJECTED
    ]
    since_ns = event.time_ns - round(cool_down_s * NS_PER_S)
    return frozenset(one.store for one in before if one is before[-1] or one.time_ns > since_ns)


def _frames(log: Log, start: int, stop: int) -> Iterator[Frame]:
    """The frames from one event to another; none where the log begins after the first."""
    if start > stop:
        return
    try:
        yield from log.read(start, stop)
    except InvalidInputError:
        return


def brought_back(core: Core, log: Log, event: Event) -> bool:
    """Bring an empty core to the state just before an event; False where the log begins later."""
    try:
        recover(core, log, to_sequence=event.sequence - 1, whole_frames=False)
    except InvalidInputError:
        return False
    return True
