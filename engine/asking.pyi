from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.names import Names

ASKED_DTYPE: np.dtype[Any]
TEXTS: tuple[str, ...]

@final
class Asking:
    def __init__(
        self, channels: Names, regions: Names, store_code_of: Mapping[str, int]
    ) -> None: ...
    @property
    def channels(self) -> Names: ...
    @property
    def regions(self) -> Names: ...
    @property
    def store_code_of(self) -> Mapping[str, int]: ...
    def of_columns(
        self, count: int, columns: dict[str, Any]
    ) -> tuple[NDArray[Any], NDArray[np.int32]]: ...

HIGHEST_PRIORITY: int

def check_priority(priority: Any, style: str, row: int | None) -> None: ...
def explain_said(order: Any, style: str, row: int | None) -> None: ...
def explain_asked(order: Any, asking: Asking, style: str, row: int | None) -> None: ...
