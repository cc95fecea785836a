"""What rules compare an order with, as it stands at one moment.

Tables by code have two entries more at the end, which say nothing of anyone: so even the codes of
what is not said and of what nobody knows, -1 and -2, find something.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fendan.engine.geo import Datum
from fendan.engine.names import Names
from fendan.engine.recent import Recent

__all__ = ["CHINA", "Box", "Known"]


@dataclass(frozen=True, slots=True)
class Box:
    """A country, as far as a few numbers tell: degrees, borders included."""

    south: float
    north: float
    west: float
    east: float

    def contains(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each place is in it; what is no number is not."""
        inside = (lat >= self.south) & (lat <= self.north)
        return inside & (lng >= self.west) & (lng <= self.east)


# From the reefs of the south to the Heilongjiang, from the Pamirs to the Ussuri.
CHINA = Box(south=3.4, north=53.6, west=73.4, east=135.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """The chain, its goods and its customers, for one call of `judge`.

    `channel_of`: the number, 0 to 63, of each channel that anything is said of; `paused_channels`
    of those numbers. `all_channels`: these are all there are. `closed`: by the numbers of
    `store_of`, which has no store that was removed. `serves`: whether places, degrees in the
    engine's `datum`, are in reach. `recent`: the orders that were judged before, which `judge`
    adds to. `barcode_sku`: SKU codes, by the numbers of `barcode_of`. By SKU code: `is_supply`
    (nobody orders by that name), `list_price` (minor units, or NOT_SAID), `unit` (of `unit_of`, or
    -1), `has_barcode`, `off_shelf` (a bit a channel), `restricted`, `protected` (pieces in all
    stores together that are not for everybody), `most_per_order` (pieces; 0: any number). `free`:
    from SKU codes to the pieces that all stores together have and have not reserved.
    """

    now_ns: int
    datum: Datum
    channel_of: Names
    all_channels: bool
    paused_channels: frozenset[int]
    store_of: Names
    closed: NDArray[np.bool_]
    country: Box
    serves: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
    held_buyers: Names
    recent: Recent
    sku_of: Names
    is_supply: NDArray[np.bool_]
    unit_of: Names
    barcode_of: Names
    barcode_sku: NDArray[np.int64]
    list_price: NDArray[np.int64]
    unit: NDArray[np.int64]
    has_barcode: NDArray[np.bool_]
    off_shelf: NDArray[np.uint64]
    restricted: NDArray[np.bool_]
    protected: NDArray[np.int64]
    most_per_order: NDArray[np.int64]
    free: Callable[[NDArray[np.int64]], NDArray[np.int64]]
