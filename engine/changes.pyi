from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class Changes:
    def __len__(self) -> int: ...
    def since(self, first: int, most: int) -> NDArray[np.int64] | None: ...
