"""The item master beside the catalogue: a table a property, by the codes of SKUs.

    list_price   500  NOT_SAID  1290  …  NOT_SAID      an entry for each SKU of the engine's,
    unit           0        -1     1  …        -1      and one more, of no SKU

Invariant: tables are one longer than the catalogue was when it was last followed; their last entry
is what they have of a SKU of which nothing is said.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fendan.intake.items import Item
from fendan.intake.received import NOT_SAID
from fendan.supplies import JOINT

__all__ = ["Goods"]

Number = TypeVar("Number", bound=np.generic)


class Goods:
    """Items by SKU code, and what a barcode or a unit is of. `channel_of`: bits of `off_shelf`."""

    def __init__(self, items: Mapping[str, Item], channel_of: Mapping[str, int]) -> None:
        self._items = items
        self._channel_of = channel_of
        self._count = 0
        self.sku_of: dict[str, int] = {}
        self.barcode_of = {"": -1}
        self.unit_of = {"": -1}
        self.list_price = np.full(1, NOT_SAID, dtype=np.int64)
        self.unit = np.full(1, -1, dtype=np.int64)
        self.has_barcode = np.zeros(1, dtype=np.bool_)
        self.off_shelf = np.zeros(1, dtype=np.uint64)
        self.restricted = np.zeros(1, dtype=np.bool_)
        self.protected = np.zeros(1, dtype=np.int64)
        self.most_per_order = np.zeros(1, dtype=np.int64)

    def follow(self, skus: Sequence[str]) -> bool:
        """Take in the SKUs that are new in the catalogue; whether there are any."""
        first, count = self._count, len(skus)
        if count == first:
            return False
        self.list_price = _longer(self.list_price, count)
        self.unit = _longer(self.unit, count)
        self.has_barcode = _longer(self.has_barcode, count)
        self.off_shelf = _longer(self.off_shelf, count)
        self.restricted = _longer(self.restricted, count)
        self.protected = _longer(self.protected, count)
        self.most_per_order = _longer(self.most_per_order, count)
        for code in range(first, count):
            name = skus[code]
            if JOINT in name:  # supply of a SKU, which nobody orders by that name
                continue
            self.sku_of[name] = code
            if name in self._items:
                self._enter(code, self._items[name])
        self._count = count
        return True

    def _enter(self, code: int, item: Item) -> None:
        """One item, of a SKU that is new."""
        self.list_price[code] = item.list_price or NOT_SAID
        if item.unit:
            self.unit[code] = self.unit_of.setdefault(item.unit, len(self.unit_of))
        self.has_barcode[code] = bool(item.barcodes)
        self.barcode_of.update(dict.fromkeys(item.barcodes, code))
        self.restricted[code] = item.restricted
        self.protected[code] = item.protected_pieces
        self.most_per_order[code] = item.most_per_order
        bits = [1 << self._channel_of[name] for name in item.off_shelf if name in self._channel_of]
        self.off_shelf[code] = sum(bits)


def _longer(table: NDArray[Number], count: int) -> NDArray[Number]:
    """A table with `count` entries and the last once more; what is new says what that says."""
    longer = np.full(count + 1, table[-1], dtype=table.dtype)
    longer[: len(table) - 1] = table[:-1]
    return longer
