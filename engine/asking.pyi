from collections.abc import Mapping
from typing import Any, final

import numpy as np

from fendan.engine.names import Names

ASKED_DTYPE: np.dtype[Any]

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
