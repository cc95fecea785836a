from typing import Any, NamedTuple

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

def read(body: Any, sequence: int, time_ns: int, count: int) -> list[Event]: ...
