from typing import Any

import numpy as np
from numpy.typing import NDArray

def in_cache_lines(count: int, dtype: np.dtype[Any]) -> NDArray[Any]: ...
