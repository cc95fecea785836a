from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fendan.engine.orders import Orders

LAYOUT: tuple[str, ...]
PAGED: tuple[str, ...]
PER_PAGE: tuple[str, ...]
MERGE_DTYPE: np.dtype[Any]
KINDS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]

class Section(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Iterable[memoryview]

def whole(name: str, array: NDArray[Any]) -> Section: ...
def sections(orders: Orders) -> list[Section]: ...
def corrupt(name: str, value: object = None, *, hint: str = "") -> NoReturn: ...
