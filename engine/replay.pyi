from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.events import EventKind
from fendan.engine.orders import Orders

class _Effects(Protocol):
    def stores(self, kind: EventKind, rows: list[Any]) -> None: ...
    def version(self, store: int, version: int) -> None: ...
    def answer(self, key: str, digest: bytes, text: bytes) -> None: ...
    def settings(self, text: str) -> None: ...
    def document(self, kind: str, name: str, text: str) -> None: ...

@final
class Replay:
    def __init__(self, orders: Orders, effects: _Effects) -> None: ...
    def apply(
        self,
        body: Any,
        sequence: int,
        time_ns: int,
        count: int,
        picked: NDArray[np.bool_] | None = None,
    ) -> None: ...

class ContradictionError(Exception): ...
