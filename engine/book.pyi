from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.areas import Areas
from fendan.engine.asking import Asking
from fendan.engine.loads import LoadTable
from fendan.engine.merges import Merges

CHARACTER_DTYPE: np.dtype[Any]

@final
class Rules:
    def __init__(
        self,
        version: int,
        asking: Asking,
        rules: Sequence[Any],
        arrays: dict[str, Any],
        areas: Areas | None,
        merges: Merges,
        loads: LoadTable,
    ) -> None: ...
    @property
    def version(self) -> int: ...
    @property
    def arrays(self) -> dict[str, NDArray[Any]]: ...
    @property
    def asking(self) -> Asking: ...
    @property
    def areas(self) -> Areas | None: ...
    @property
    def merges(self) -> Merges: ...
    @property
    def loads(self) -> LoadTable: ...
