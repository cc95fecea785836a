from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fendan.engine.stock import Stock

class HeldPart(IntEnum):
    SAFETY = 0
    LOCKED = 1
    DISPLAY = 2

FOLLOWED: int
FOLLOWING: int

def set_held(
    stock: Stock,
    part: int,
    stores: NDArray[np.int32],
    skus: NDArray[np.int32],
    values: NDArray[np.int32],
    new_skus: list[str],
    before: NDArray[np.int32] | None = None,
) -> None: ...
def check(
    stock: Stock,
    part: int,
    stores: NDArray[np.int32],
    skus: NDArray[np.int32],
    values: NDArray[np.int32],
    new_skus: list[str],
) -> None: ...
def set_thresholds(stock: Stock, sku: int, off_below: int, on_from: int) -> None: ...
def limit(stock: Stock, skus: NDArray[np.int32]) -> None: ...
def held_rows(stock: Stock) -> NDArray[np.int32]: ...
def threshold_rows(stock: Stock) -> NDArray[np.int32]: ...
def restore(stock: Stock, held: NDArray[np.int32], thresholds: NDArray[np.int32]) -> int | None: ...
