from typing import Any, final

import numpy as np

GRANT_DTYPE: np.dtype[Any]

@final
class Shipments:
    def __len__(self) -> int: ...
