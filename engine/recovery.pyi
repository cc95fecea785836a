from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fendan.engine.orders import Orders

def restored(arrays: Mapping[str, NDArray[Any]], remembered: int) -> Orders: ...
