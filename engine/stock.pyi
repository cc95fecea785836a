from typing import final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.network import Network

@final
class Stock:
    def __init__(self, network: Network) -> None: ...
    @property
    def network(self) -> Network: ...
    @property
    def skus(self) -> list[str]: ...
    @property
    def sku_code_of(self) -> dict[str, int]: ...
    @property
    def pair_count(self) -> int: ...
    @property
    def byte_count(self) -> int: ...
    def add_stores(
        self, ids: list[str], lat: NDArray[np.float64], lng: NDArray[np.float64]
    ) -> None: ...
    def set_on_hand(
        self,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        quantities: NDArray[np.int32],
        new_skus: list[str],
    ) -> list[int]: ...
    def counts(self, store: int, sku: int) -> tuple[int, int]: ...
