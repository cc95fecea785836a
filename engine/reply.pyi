from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.names import Names
from fendan.engine.network import Layout
from fendan.engine.outcome import Decision
from fendan.engine.request import Request
from fendan.engine.shipments import Shipments

@final
class Reply:
    def __init__(
        self,
        request: Request,
        verdicts: NDArray[Any],
        layout: Layout,
        grants: NDArray[Any] | None = None,
        shipments: Shipments | None = None,
        skus: Names | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def request(self) -> Request: ...
    @property
    def verdicts(self) -> NDArray[Any]: ...
    @property
    def layout(self) -> Layout: ...
    @property
    def grants(self) -> NDArray[Any] | None: ...
    @property
    def shipments(self) -> Shipments | None: ...
    @property
    def skus(self) -> Names | None: ...
    @property
    def statuses(self) -> NDArray[np.uint8]: ...
    @property
    def outcomes(self) -> NDArray[np.int64]: ...
    def decision(self, row: int) -> Decision: ...
    def encode(self) -> bytes: ...
