from collections.abc import Iterable
from typing import final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import Batch
from fendan.engine.book import Rules
from fendan.engine.events import Events
from fendan.engine.loads import LoadTable
from fendan.engine.merges import Merges
from fendan.engine.outcome import Decision, Outcome
from fendan.engine.records import Records
from fendan.engine.shipments import Shipments
from fendan.engine.stock import Stock

REMEMBERED: int

@final
class Orders:
    def __init__(self, stock: Stock, remembered: int = 1_000_000) -> None: ...
    def __len__(self) -> int: ...
    def __contains__(self, order_id: object, /) -> bool: ...
    @property
    def stock(self) -> Stock: ...
    @property
    def records(self) -> Records: ...
    merges: Merges
    remembered: int
    @property
    def taken(self) -> int: ...
    events: Events | None
    loads: LoadTable | None
    def route(
        self,
        batch: Batch,
        radius_m: float,
        *,
        dry_run: bool = False,
        due_ns: int = ...,
        rules: Rules | None = None,
        now_ns: int = 0,
    ) -> Outcome: ...
    def settle(
        self,
        batch: Batch,
        verdicts: NDArray[np.void],
        grants: NDArray[np.void],
        shipments: Shipments,
        *,
        dry_run: bool = False,
        now_ns: int = 0,
    ) -> Outcome: ...
    def ask_for(self, wanted: NDArray[np.uint8]) -> bool: ...
    def count_open(self) -> NDArray[np.int32]: ...
    def decision(self, order_id: str) -> Decision: ...
    def grant(self, order_id: str) -> np.void | None: ...
    def is_held(self, order_id: str) -> bool: ...
    def holding(self, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[str]]: ...
