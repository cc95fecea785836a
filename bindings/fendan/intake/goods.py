"""The item master beside the catalogue: a table a property, by the codes of SKUs.

    list_price   500  NOT_SAID  1290  …  NOT_SAID      an entry for each SKU of the engine's,
    unit           0        -1     1  …        -1      and two more, of no SKU

Invariant: tables are two longer than the catalogue was when it was last followed; their last
entries are what they have of a SKU of which nothing is said.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fendan.engine.names import Names
from fendan.intake.items import Item
from fendan.intake.received import NOT_SAID
from fendan.supplies import JOINT

__all__ = ["Goods"]

Number = TypeVar("Number", bound=np.generic)


class Goods:
    """Items by SKU code, and what a barcode or a unit is of. `channel_of`: bits of `off_shelf`."""

    def __init__(self, items: Mapping[str, Item], channel_of: Names) -> None:
        self._items = items
        self._channel_of = channel_of
        self.count = 0
        self.barcode_of = Names()
        self.barcode_sku = np.full(2, -1, dtype=np.int64)
        self.is_supply = np.zeros(2, dtype=np.bool_)
        self.unit_of = Names()
        self.list_price = np.full(2, NOT_SAID, dtype=np.int64)
        self.unit = np.full(2, -1, dtype=np.int64)
        self.has_barcode = np.zeros(2, dtype=np.bool_)
        self.off_shelf = np.zeros(2, dtype=np.uint64)
        self.restricted = np.zeros(2, dtype=np.bool_)
        self.protected = np.zeros(2, dtype=np.int64)
        self.most_per_order = np.zeros(2, dtype=np.int64)

    def follow(self, new_skus: Sequence[str]) -> None:
        """Take in the SKUs that the catalogue has beyond `count`."""
        if not new_skus:
            return
        first, count = self.count, self.count + len(new_skus)
        barcodes: list[str] = []
        skus_of_barcodes: list[int] = []
        self.is_supply = _longer(self.is_supply, count)
        self.list_price = _longer(self.list_price, count)
        self.unit = _longer(self.unit, count)
        self.has_barcode = _longer(self.has_barcode, count)
        self.off_shelf = _longer(self.off_shelf, count)
        self.restricted = _longer(self.restricted, count)
        self.protected = _longer(self.protected, count)
        self.most_per_order = _longer(self.most_per_order, count)
        for code, name in enumerate(new_skus, first):
            if JOINT in name:  # supply of a SKU, which nobody orders by that name
                self.is_supply[code] = True
            elif name in self._items:
                self._enter(code, self._items[name])
                barcodes += self._items[name].barcodes
                skus_of_barcodes += [code] * len(self._items[name].barcodes)
        self.barcode_of.extend(barcodes)
        self.barcode_sku = np.concatenate([self.barcode_sku[:-2], [*skus_of_barcodes, -1, -1]])
        self.count = count

    def _enter(self, code: int, item: Item) -> None:
        """One item, of a SKU that is new."""
        self.list_price[code] = item.list_price or NOT_SAID
        if item.unit:
            if item.unit not in self.unit_of:
                self.unit_of.extend([item.unit])
            self.unit[code] = self.unit_of[item.unit]
        self.has_barcode[code] = bool(item.barcodes)
        self.restricted[code] = item.restricted
        self.protected[code] = item.protected_pieces
        self.most_per_order[code] = item.most_per_order
        for name in item.off_shelf:
            if name in self._channel_of:
                self.off_shelf[code] |= np.uint64(1 << self._channel_of[name])


def _longer(table: NDArray[Number], count: int) -> NDArray[Number]:
    """A table with `count` entries and the two; what is new says what the last one says."""
    longer = np.full(count + 2, table[-1], dtype=table.dtype)
    longer[: len(table) - 2] = table[:-2]
    return longer
