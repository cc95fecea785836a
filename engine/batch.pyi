from collections.abc import Container, Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fendan.engine.asking import Asking
from fendan.engine.geo import Datum
from fendan.engine.names import Names

QUANTITY_HINT: str
MOST_AMOUNT: int
AMOUNT_HINT: str

def explain(order: Any, sku_code_of: Container[str], style: str, row: int | None) -> None: ...

@final
class Batch:
    @property
    def ids(self) -> list[str] | None: ...
    @property
    def asked(self) -> NDArray[Any] | None: ...
    def __len__(self) -> int: ...
    @staticmethod
    def of_orders(
        orders: Sequence[Any],
        sku_code_of: Names,
        datum: Datum,
        style: str = "orders",
        asking: Asking | None = None,
    ) -> Batch: ...
    @staticmethod
    def of_arrays(
        lat: NDArray[np.float64],
        lng: NDArray[np.float64],
        offsets: NDArray[np.int64],
        skus: NDArray[np.int32],
        quantities: NDArray[np.int32],
        ids: list[str] | None,
        sku_count: int,
        amounts: NDArray[np.int64] | None = None,
        asked: tuple[NDArray[Any], NDArray[np.int32]] | None = None,
    ) -> Batch: ...
    @staticmethod
    def of_message(
        message: Any,
        arrays: dict[str, NDArray[Any]],
        sku_code_of: Names,
        datum: Datum,
        style: str = "orders",
        asking: Asking | None = None,
    ) -> Batch: ...
    def without_ids(self) -> Batch: ...
    def subset(self, rows: NDArray[np.int64]) -> Batch: ...
    def with_lines(self, lines: Mapping[str, NDArray[Any]]) -> Batch: ...
    @property
    def style(self) -> str: ...
    @property
    def lines_as_arrays(self) -> dict[str, NDArray[Any]]: ...
    def name_of(self, row: int) -> tuple[str, int | None]: ...
    def place(self, row: int) -> tuple[float, float]: ...
    def id_of(self, row: int) -> str: ...
    def lines(self, row: int) -> list[tuple[int, int]]: ...
