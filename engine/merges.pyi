from typing import Any, final

import numpy as np
from numpy.typing import NDArray

MERGE_DTYPE: np.dtype[Any]

@final
class Merges:
    def __len__(self) -> int: ...
    def store_of(self, group: int) -> int: ...
    def rows(self) -> NDArray[Any]: ...
    @staticmethod
    def restored(rows: NDArray[Any]) -> Merges: ...
