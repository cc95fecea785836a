from collections.abc import Sequence
from enum import IntEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

class EventKind(IntEnum):
    ASSIGNED = 1
    UNASSIGNED = 2
    ACCEPTED = 3
    PICKED = 4
    SHIPPED = 5
    DELIVERED = 6
    REJECTED = 7
    CANCELLED = 8
    EXPIRED = 9
    RETURNED = 10
    SPLIT = 11
    STOCK_SET = 16
    STOCK_ADJUSTED = 17
    STOCK_CORRECTED = 18
    HELD_SET = 19
    LOTS_SET = 20
    STORE_ADDED = 32
    STORE_UPDATED = 33
    STORE_PAUSED = 34
    STORE_RESUMED = 35
    STORE_REMOVED = 36
    SKUS_NAMED = 48
    VERSION = 49
    KEY = 50
    SETTINGS = 51
    DOCUMENT = 52
    THRESHOLDS = 53
    @property
    def is_internal(self) -> bool: ...

@final
class Events:
    def __init__(self, *, spare: int = 0) -> None: ...
    def __len__(self) -> int: ...
    def clear(self) -> None: ...
    @property
    def size(self) -> int: ...
    def padded(self) -> bytearray: ...
    def make_room(self, rows: int, text_bytes: int = 0, events: int = 1) -> None: ...
    def stock(
        self,
        kind: EventKind,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        before: NDArray[np.int32],
        after: NDArray[np.int32],
    ) -> None: ...
    def held(
        self,
        part: int,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        before: NDArray[np.int32],
        after: NDArray[np.int32],
    ) -> None: ...
    def lots(
        self, store: int, sku: int, days: NDArray[np.int32], on_hand: NDArray[np.int32]
    ) -> None: ...
    def thresholds(self, sku: int, off_below: int, on_from: int) -> None: ...
    def store(self, kind: EventKind, name: str, region: str, lat: float, lng: float) -> None: ...
    def code(self, kind: EventKind, store: int, number: int = -1) -> None: ...
    def texts(self, kind: EventKind, texts: Sequence[bytes], counted: bool = False) -> None: ...

@final
class Lines: ...
