from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class Splitter:
    def fewest(
        self,
        distances_m: Sequence[float] | NDArray[np.float64],
        items: Sequence[int] | NDArray[np.uint64],
        item_count: int,
        most_shipments: int,
        *,
        amounts: Sequence[int] | NDArray[np.int64] | None = None,
        least_amount: int = 0,
    ) -> NDArray[np.int32] | None: ...
    def nearest(
        self,
        distances_m: Sequence[float] | NDArray[np.float64],
        items: Sequence[int] | NDArray[np.uint64],
        item_count: int,
        most_shipments: int,
        *,
        amounts: Sequence[int] | NDArray[np.int64] | None = None,
        least_amount: int = 0,
    ) -> NDArray[np.int32] | None: ...
