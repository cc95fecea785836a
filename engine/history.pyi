from collections.abc import Iterable
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.events import EventKind

class Move(NamedTuple):
    sku: int
    quantity: int
    on_hand_before: int
    on_hand_after: int
    reserved_before: int
    reserved_after: int
    amount: int

class Event(NamedTuple):
    sequence: int
    time_ns: int
    kind: EventKind
    order_id: str
    store: int
    reason: int
    attempts: int
    distance_m: float
    due_ns: int
    lat: float
    lng: float
    moves: tuple[Move, ...]
    texts: tuple[Any, ...]
    grant: Promise | None = None

class Promise(NamedTuple):
    policy_version: int
    order_type: int
    channel: int
    region: int
    step: int
    promised_ns: int
    merge_group: int
    shipments: int
    in_group: bool = False

def read(body: Any, sequence: int, time_ns: int, count: int) -> list[Event]: ...

@final
class Wanted:
    def __init__(
        self,
        kinds: Iterable[EventKind] | None = None,
        *,
        order_ids: Iterable[str] | None = None,
        stores: NDArray[np.bool_] | None = None,
        store_ids: Iterable[str] | None = None,
        regions: Iterable[str] | None = None,
    ) -> None: ...

EVERYTHING: Wanted
NOTHING: Wanted

@final
class Reading:
    sequence: int
    end: int
    def __init__(self, body: Any, sequence: int, time_ns: int, count: int) -> None: ...
    def skip_to(self, sequence: int) -> None: ...
    def take(
        self, most_looked_at: int, most: int, most_moves: int, wanted: Wanted | None = None
    ) -> list[Event]: ...
    def count(self, kinds: NDArray[np.int64]) -> int: ...
