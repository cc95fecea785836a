"""Orders as platforms sent them, as columns: what adapters write and what intake rules judge.

```
 line_start   0     2        5   …        orders + 1 of them
              │     │        │
 skus         a  b  c  a  d  …            one entry a line, those of an order together
```

Invariant: `line_start[0]` is 0, it never falls, and its last entry is the number of lines. Nothing
is checked here: a quantity below zero, a place that is nowhere and an order without lines are what
the rules are there for.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_SAID", "Received"]

# Of money, times and quantities that the platform did not send.
NOT_SAID = np.iinfo(np.int64).min

_OF_LINES = frozenset({"skus", "barcodes", "units", "quantity", "unit_price", "line_total"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Received:
    """Some orders (n) and their lines (m); texts are "" where the platform sent none.

    Money is in minor units such as fen, times are nanoseconds since 1970, UTC, both int64 with
    NOT_SAID. `lat`, `lng`: degrees in the engine's datum, float64, NaN where not sent or no number.
    `order_type`: int8[n] of `OrderType`. `item_total`: what the platform says the lines come to;
    `order_total`: what the customer pays in all, with `other_charges` (delivery, packing) and
    `discount` (0 or more, taken off). `quantity`: pieces. `unit_price` and `line_total`: of a
    piece, and of the whole line. `member_tier`: int8[n], 0 (none) to 9. `payload`: int64[n], the
    number of the raw payload that the order came in.
    """

    order_ids: list[str]
    platforms: list[str]
    channels: list[str]
    order_type: NDArray[np.int8]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    placed_ns: NDArray[np.int64]
    promised_from_ns: NDArray[np.int64]
    promised_until_ns: NDArray[np.int64]
    presale_ship_ns: NDArray[np.int64]
    pickup_store_ids: list[str]
    group_ids: list[str]
    regions: list[str]
    buyer_ids: list[str]
    address_ids: list[str]
    member_tier: NDArray[np.int8]
    item_total: NDArray[np.int64]
    order_total: NDArray[np.int64]
    other_charges: NDArray[np.int64]
    discount: NDArray[np.int64]
    payload: NDArray[np.int64]
    line_start: NDArray[np.int64]
    skus: list[str]
    barcodes: list[str]
    units: list[str]
    quantity: NDArray[np.int64]
    unit_price: NDArray[np.int64]
    line_total: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order_ids)

    def part(self, rows: NDArray[np.int64]) -> "Received":
        """Some of the orders with their lines; `rows` ascend."""
        is_wanted = np.zeros(len(self), dtype=np.bool_)
        is_wanted[rows] = True
        lines = np.flatnonzero(is_wanted[self.order_of_line])
        sizes = np.diff(self.line_start)[rows]
        taken: dict[str, Any] = {}
        for field in fields(self):
            if field.name == "line_start":
                continue
            column, at = getattr(self, field.name), lines if field.name in _OF_LINES else rows
            taken[field.name] = (
                [column[row] for row in at.tolist()] if isinstance(column, list) else column[at]
            )
        taken["line_start"] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return Received(**taken)

    @property
    def line_count(self) -> int:
        """How many lines all orders have together."""
        return len(self.skus)

    @property
    def order_of_line(self) -> NDArray[np.int64]:
        """int64[m]: which order each line is of."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.line_start))
