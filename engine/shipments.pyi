from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, final

import numpy as np

GRANT_DTYPE: np.dtype[Any]

class GrantFlag(IntFlag):
    PICKUP_NAMED = ...
    IN_GROUP = ...
    OF_BUNDLES = ...

@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    number: int
    store_id: str
    distance_m: float
    lines: tuple[tuple[str, int], ...]
    promised_ns: int | None = None
    supply_date: str = ""

def supply_of(sku: str) -> tuple[str, str]: ...

@final
class Shipments:
    @staticmethod
    def of(
        parts: Iterable[tuple[int, int, float, int, Sequence[tuple[int, int, int]]]],
    ) -> Shipments: ...
    def __len__(self) -> int: ...
