from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import Batch
from fendan.engine.stock import Stock

VERDICT_DTYPE: np.dtype[np.void]

class Status(IntEnum):
    ASSIGNED = 1
    UNASSIGNED = 2

class Reason(IntEnum):
    NONE = 0
    NO_STORES = 1
    NO_STORE_IN_RADIUS = 2
    NO_STOCK_IN_RADIUS = 3
    NO_STOCK = 4
    TOO_MANY_ATTEMPTS = 5
    NO_STORE_ELIGIBLE = 6
    CANNOT_BE_PROMISED = 7
    PICKUP_STORE = 8
    NO_SUPPLY = 9
    GROUP_NOT_WHOLE = 10

def route(stock: Stock, batch: Batch, radius_m: float) -> NDArray[Any]: ...
def nearest(
    stock: Stock,
    lat: float,
    lng: float,
    skus: NDArray[np.int32],
    quantities: NDArray[np.int32],
    radius_m: float,
    limit: int,
) -> list[tuple[int, float]]: ...
