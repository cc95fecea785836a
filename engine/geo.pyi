from collections.abc import Sequence
from enum import Enum
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

class Datum(Enum):
    WGS84 = "WGS84"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"

DATUMS: Final[tuple[Datum | None, ...]]

def distance_m(lat_a: float, lng_a: float, lat_b: float, lng_b: float) -> float: ...
@overload
def convert(lat: float, lng: float, source: Datum, target: Datum) -> tuple[float, float]: ...
@overload
def convert(
    lat: Sequence[float] | NDArray[np.float64],
    lng: Sequence[float] | NDArray[np.float64],
    source: Datum,
    target: Datum,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
