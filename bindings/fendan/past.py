"""The state just before an order was decided, brought back from the journal.

The engine goes on meanwhile: what is read is the log, and what is built is a state of its own.
"""

import math
from collections.abc import Iterator

from fendan.core import Core
from fendan.engine.history import Event, Reading, Wanted
from fendan.errors import InvalidInputError
from fendan.log import Frame, Log
from fendan.recovery import recover

__all__ = ["brought_back", "decision_event"]

MOST = 2**63 - 1


def decision_event(log: Log, order_id: str, last_sequence: int) -> Event | None:
    """The event with which an order was first decided; None where the log does not reach so far.

    Orders that are asked about are mostly young, so what came after the latest snapshot is read
    first.
    """
    snapshot = log.latest_snapshot()
    first = 1 if snapshot is None else snapshot.sequence + 1
    wanted = Wanted(order_ids=[order_id])
    for start, stop in ((first, last_sequence), (1, first - 1)):
        for frame in _frames(log, start, stop):
            reading = Reading(frame.body, frame.sequence, frame.time_ns, frame.count)
            for event in reading.take(frame.count, MOST, MOST, wanted):
                if not math.isnan(event.lat):  # only the first says where
                    return event
    return None


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
