from typing import final

import numpy as np
from numpy.typing import NDArray

MOST_REMEMBERED: int
MOST_ORDERS: int

@final
class Recent:
    def __init__(self, remembered: int) -> None: ...
    @property
    def count(self) -> int: ...
    def take(
        self,
        orders: NDArray[np.int64],
        buyers: NDArray[np.int64],
        contents: NDArray[np.int64],
        placed_ns: NDArray[np.int64],
        window_ns: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
