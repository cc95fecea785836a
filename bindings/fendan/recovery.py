"""From a log back to the state: the latest good snapshot, and every event after it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan import busy, state, updates
from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.engine.network import points_of
from fendan.engine.replay import Replay
from fendan.errors import Fault, refuse
from fendan.log import Frame, Log

__all__ = ["Recovery", "recover", "recover_part", "settings_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What an engine came back with.

    `last_sequence`: of the last event. `snapshot_sequence`: the event that the snapshot it began
    with stood after, 0 without one. `events`: how many were replayed, of so many `bytes`. `orders`:
    how many are known now.
    """

    last_sequence: int
    snapshot_sequence: int
    events: int
    bytes: int
    orders: int
    seconds: float


def recover(
    core: Core,
    log: Log,
    *,
    to_sequence: int | None = None,
    snapshot_up_to: int | None = None,
) -> Recovery:
    """Bring a core that is empty to the state after the last event, or after `to_sequence`.

    It begins with the newest snapshot, or the newest up to event `snapshot_up_to`; 0: with none.
    Where `to_sequence` is in the middle of a frame, it goes to its end.

    Raises CorruptJournalError, or BreachError where events contradict what came before them.
    """
    began_s = time.perf_counter()
    snapshot = log.latest_snapshot(to_sequence if snapshot_up_to is None else snapshot_up_to)
    first = last = size = 0
    if snapshot is not None:
        core._last_ns = state.restore(core, snapshot.data).time_ns
        first = last = snapshot.sequence
    replay = Replay(core._orders, _Effects(core))
    for frame in log.read(first + 1, to_sequence):
        replay.apply(frame.body, frame.sequence, frame.time_ns, frame.count)
        core._follow(frame.time_ns)
        last = frame.sequence + frame.count - 1
        size += len(frame.body)
        core._last_ns = frame.time_ns
    core._documents_changed({kind for kind, _ in core._documents})
    return Recovery(
        last_sequence=last,
        snapshot_sequence=first,
        events=last - first,
        bytes=size,
        orders=len(core._orders),
        seconds=time.perf_counter() - began_s,
    )


def recover_part(core: Core, frame: Frame, picked: NDArray[np.bool_]) -> None:
    """Bring a core on to a state that nobody has seen from outside, within the frame that follows.

    Of its events only the first `len(picked)` happen, and of orders' only those that are picked.
    """
    replay = Replay(core._orders, _Effects(core))
    replay.apply(frame.body, frame.sequence, frame.time_ns, frame.count, picked)
    core._last_ns = frame.time_ns


def settings_text(core: Core) -> str:
    """What of the settings shapes the state, and so belongs into the journal."""
    return json.dumps({"datum": core._datum.value, "remembered_orders": core._orders.remembered})


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Refuse an event whose text is whole, and yet not what its kind says."""
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        refuse(Fault.CORRUPT, "journal", what, hint=f"no such event: {error}")


class _Effects:
    """What a replay does to stores, versions, keys, settings and documents."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def stores(self, kind: EventKind, rows: list[Any]) -> None:
        """Stores as one command added, updated, paused, resumed or removed them."""
        network, stock = self._core._network, self._core._stock
        if kind in (EventKind.STORE_ADDED, EventKind.STORE_UPDATED):
            ids, regions = [row[0] for row in rows], [row[1] for row in rows]
            lat, lng = (np.array([row[column] for row in rows]) for column in (2, 3))
            points = points_of(lat, lng)
            if kind is EventKind.STORE_ADDED:
                stock.adopt(network.layout.grown(*points, ids), ids, regions)
            else:
                codes = np.array([network.code_of[name] for name in ids], dtype=np.int32)
                stock.adopt(network.layout.moved(codes, *points), [], [])
                network.set_regions(codes.tolist(), regions)
            return
        codes = np.array(rows, dtype=np.int32)
        stock.adopt(network.layout.with_closed(codes, kind is not EventKind.STORE_RESUMED), [], [])
        if kind is EventKind.STORE_REMOVED:
            network.forget(rows)

    def version(self, store: int, version: int) -> None:
        """A store's last version."""
        self._core._updates.applied({store: version})

    def answer(self, key: str, digest: bytes, text: bytes) -> None:
        """What an idempotency key got."""
        with _readable("answer"):
            self._core._updates.remember(key, digest, updates.from_json(json.loads(text)))

    def settings(self, text: str) -> None:
        """The settings from here on."""
        with _readable("settings"):
            values = json.loads(text)
            self._core._datum = Datum(values["datum"])
            self._core._orders.remembered = values["remembered_orders"]

    def document(self, kind: str, name: str, text: str) -> None:
        """A document as it is from here on."""
        self._core._keep_document(kind, name, text)
        self._core._limits_changed |= busy.concerns({kind})
