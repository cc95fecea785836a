from typing import final

import numpy as np
from numpy.typing import NDArray

ID_HINT: str
FILL: int
BOX_MARGIN: float

def is_usable_id(name: object) -> bool: ...
def points_of(
    lat: NDArray[np.float64], lng: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]: ...

@final
class Layout:
    @property
    def reordered(self) -> bool: ...
    @property
    def byte_count(self) -> int: ...
    @staticmethod
    def build(
        places: NDArray[np.float64], sketches: NDArray[np.float32], id_bytes: list[bytes]
    ) -> Layout: ...
    def grown(
        self, places: NDArray[np.float64], sketches: NDArray[np.float32], ids: list[str]
    ) -> Layout: ...

@final
class Network:
    def __init__(self) -> None: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def store_ids(self) -> list[str]: ...
    @property
    def code_of(self) -> dict[str, int]: ...
    def grown(
        self, lat: NDArray[np.float64], lng: NDArray[np.float64], ids: list[str]
    ) -> Layout: ...
