"""The state just before an order was decided, brought back from the journal.

The engine goes on meanwhile: what is read is the log, and what is built is a state of its own.

    events of a command    A  B  g1  C  g2  A/1  A/2        A was split, g1 and g2 are of one group
    their turns            0  1  2   3  2   0    0          so C saw all others but itself

Events stand in the order in which they are written. Shipments were decided with their order, and a
group with its first order: that is their *turn*, and what an order saw is what had its turn before.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.engine.history import Event, Reading, Wanted
from fendan.errors import InvalidInputError
from fendan.log import Frame, Log
from fendan.recovery import recover, recover_part
from fendan.supplies import JOINT
from fendan.times import NS_PER_S

__all__ = ["Turn", "brought_back", "deciding", "events_of", "rejected_by", "turn_of"]

MOST = 2**63 - 1
DECIDING = frozenset({EventKind.ASSIGNED, EventKind.UNASSIGNED})


class Turn(NamedTuple):
    """When an order was decided. `frame`: what its command wrote; `picked`: of those events, the
    ones that had their turn before. `members`: the events of all orders that were decided together
    with it, in their order. `is_certain`: False where who was decided together is not recorded.
    """

    frame: Frame
    picked: NDArray[np.bool_]
    members: Sequence[Event]
    is_certain: bool


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


def turn_of(log: Log, event: Event) -> Turn | None:
    """When an event was decided; None where the log begins later."""
    frame = next(_frames(log, event.sequence, event.sequence), None)
    if frame is None:
        return None
    reading = Reading(frame.body, frame.sequence, frame.time_ns, frame.count)
    events = reading.take(frame.count, MOST, MOST)
    turns = _turns(events)
    own = turns[event.sequence - frame.sequence]
    picked = np.array(turns) < own
    members = [one for one, turn in zip(events, turns, strict=True) if turn == own]
    nameless = [at for at, one in enumerate(events) if _is_in_group(one) and not _group_of(one)]
    return Turn(
        frame,
        picked[: np.flatnonzero(picked).max(initial=-1) + 1],
        [one for one in members if JOINT not in one.order_id],
        len(nameless) < 2 or own < nameless[0],
    )


def _turns(events: Sequence[Event]) -> list[int]:
    """When each event was decided: in the place of its order, or of the first of its group."""
    place_of: dict[str | int, int] = {}
    turns = []
    for place, event in enumerate(events):
        order_id, shipment, _ = event.order_id.partition(JOINT)
        if shipment:
            turn = place_of.get(order_id, place)
        else:
            turn = place_of.setdefault(_group_of(event), place) if _group_of(event) else place
        if event.order_id and not shipment:
            place_of[order_id] = turn
        turns.append(turn)
    return turns


def _is_in_group(event: Event) -> bool:
    """Whether it is the first decision on an order of a group."""
    return event.grant is not None and event.grant.in_group and not math.isnan(event.lat)


def _group_of(event: Event) -> int:
    """The number of its group; 0: none, or orders of a group have no number under its rule."""
    if not _is_in_group(event) or event.grant is None:
        return 0
    return event.grant.merge_group


def brought_back(core: Core, log: Log, turn: Turn) -> bool:
    """Bring an empty core to the state that an order saw; False where the log begins later."""
    try:
        recover(core, log, to_sequence=turn.frame.sequence - 1)
    except InvalidInputError:
        return False
    recover_part(core, turn.frame, turn.picked)
    return True
