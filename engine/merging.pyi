from typing import Any

from numpy.typing import NDArray

def merged(arrays: dict[str, NDArray[Any]], style: str) -> dict[str, NDArray[Any]]: ...
