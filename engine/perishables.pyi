from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.stock import Stock

def set_lots(
    stock: Stock,
    store: int,
    sku: int,
    days: NDArray[np.int32],
    on_hand: NDArray[np.int32],
) -> int: ...
def restore(stock: Stock, arrays: Mapping[str, NDArray[Any]]) -> int | None: ...
def first_unlike(stock: Stock) -> tuple[int, int] | None: ...
