from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

STAGES: tuple[str, ...]
EDGES_S: tuple[float, ...]

class Readings(NamedTuple):
    outcomes: NDArray[np.int64]
    within: NDArray[np.int64]
    seconds: NDArray[np.float64]

@final
class Meter:
    def __init__(self) -> None: ...
    def stage(self, name: str, seconds: float) -> None: ...
    def routed(self, outcomes: NDArray[np.int64]) -> None: ...
    def read(self) -> Readings: ...
