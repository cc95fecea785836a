from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def fewest(
    distances_m: Sequence[float],
    sellable: Sequence[Sequence[int]],
    asked: Sequence[int],
    most_shipments: int,
    *,
    amounts: Sequence[int] | None = None,
    least_amount: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None: ...
def nearest(
    distances_m: Sequence[float],
    sellable: Sequence[Sequence[int]],
    asked: Sequence[int],
    most_shipments: int,
    *,
    amounts: Sequence[int] | None = None,
    least_amount: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None: ...
