from typing import Any, NamedTuple, final

from fendan.engine.events import EventKind
from fendan.engine.stock import Stock

class Change(NamedTuple):
    events: int
    on_hand: int
    reserved: int

@final
class Tally:
    def __init__(self) -> None: ...
    def add(self, body: Any, sequence: int, count: int) -> None: ...
    def changes(self) -> dict[EventKind, Change]: ...

def totals(stock: Stock) -> tuple[int, int]: ...
