"""Received orders beside what is known, as numbers: each text is looked up once, for all rules.

 Received  skus  "tea" "cup" "???"         View  sku   12   7  -2     codes by which Known has
           units "盒"  ""    ""                  unit   3  -1  -1     a value for each SKU

Invariant: codes are from 0, UNSAID (-1) or STRANGE (-2). Tables by code have two entries more at
their end, which say nothing: any code may be used as an index.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fendan.engine.batch import MOST_AMOUNT
from fendan.engine.names import hashes
from fendan.intake.known import Known
from fendan.intake.received import NOT_SAID, Received
from fendan.times import NS_PER_HOUR

__all__ = ["MOST_FACTOR", "STRANGE", "UNSAID", "View", "fitting"]

UNSAID = -1
STRANGE = -2  # a text that is there and means nothing to us

# Products of two numbers up to here fit into 64 bits, as sums of amounts that the engine takes do.
MOST_FACTOR = 10**9

# Odd, and with its bits well mixed: the golden ratio, as in splitmix64.
MIX = np.uint64(0x9E3779B97F4A7C15)


def fitting(values: NDArray[np.int64], most: int = MOST_AMOUNT) -> NDArray[np.int64]:
    """Numbers that can be added up: what is beyond `most`, either way, as `most`."""
    return np.minimum(np.maximum(values, -most), most)  # for few of them, faster than np.clip


class View:
    """What rules look at, made when the first of them asks."""

    def __init__(self, received: Received, known: Known) -> None:
        self.received = received
        self.known = known
        self.order_count = len(received)
        self.line_count = received.line_count

    # -- ORDERS --------------------------------------------------------------------------------

    @cached_property
    def channel(self) -> NDArray[np.int64]:
        """The number of each order's channel among `known.channel_of`."""
        return self.known.channel_of.codes(self.received.channels, STRANGE, UNSAID)

    @cached_property
    def pickup_store(self) -> NDArray[np.int64]:
        """The number of each order's pickup store."""
        return self.known.store_of.codes(self.received.pickup_store_ids, STRANGE, UNSAID)

    @cached_property
    def order_hash(self) -> NDArray[np.int64]:
        """A hash of each order's id: 0 where there is none."""
        return hashes(self.received.order_ids)

    @cached_property
    def has_place(self) -> NDArray[np.bool_]:
        """Whether the coordinates are somewhere on earth."""
        lat, lng = self.received.lat, self.received.lng
        return (np.abs(lat) <= 90.0) & (np.abs(lng) <= 180.0)

    @cached_property
    def in_country(self) -> NDArray[np.bool_]:
        """Whether the coordinates are in the country's box."""
        return self.known.country.contains(self.received.lat, self.received.lng)

    @cached_property
    def far(self) -> NDArray[np.bool_]:
        """Whether an order in the country is beyond the reach of every store and area."""
        asked = np.flatnonzero(self.in_country & self.has_place)
        far = np.zeros(self.order_count, dtype=np.bool_)
        far[asked] = ~self.known.serves(self.received.lat[asked], self.received.lng[asked])
        return far

    @cached_property
    def recent(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The buyer's other orders of the hour, and how far off the same one is: `Recent.take`."""
        orders = self.received
        buyers = hashes(orders.buyer_ids)
        placed_ns = np.where(orders.placed_ns == NOT_SAID, self.known.now_ns, orders.placed_ns)
        content = (self.basket ^ (hashes(orders.address_ids).view(np.uint64) * MIX)).view(np.int64)
        return self.known.recent.take(
            self.order_hash,
            buyers,
            content,
            np.clip(placed_ns, 0, 2**62),
            NS_PER_HOUR,
        )

    @cached_property
    def comparable(self) -> NDArray[np.bool_]:
        """Orders that have lines, and of them every SKU is known."""
        strangers = self.per_order((self.sku < 0).astype(np.int64))
        found: NDArray[np.bool_] = (strangers == 0) & (self.lines > 0)
        return found

    # -- LINES ---------------------------------------------------------------------------------

    @cached_property
    def lines(self) -> NDArray[np.int64]:
        """How many lines each order has."""
        start = self.received.line_start
        return start[1:] - start[:-1]

    @cached_property
    def order_of_line(self) -> NDArray[np.int64]:
        """Which order each line is of."""
        return self.received.order_of_line

    @cached_property
    def sku(self) -> NDArray[np.int64]:
        """The engine's code of each line's SKU, or STRANGE."""
        codes = self.known.sku_of.codes(self.received.skus, STRANGE, STRANGE)
        codes[codes >= len(self.known.is_supply) - 2] = STRANGE  # it came a moment ago
        codes[self.known.is_supply[codes]] = STRANGE
        return codes

    @cached_property
    def unit(self) -> NDArray[np.int64]:
        """The number of each line's unit; STRANGE: no SKU has it."""
        return self.known.unit_of.codes(self.received.units, STRANGE, UNSAID)

    @cached_property
    def barcode(self) -> NDArray[np.int64]:
        """The number of each line's barcode; STRANGE: no SKU has it."""
        return self.known.barcode_of.codes(self.received.barcodes, STRANGE, UNSAID)

    @cached_property
    def basket(self) -> NDArray[np.uint64]:
        """A hash of what each order asks for, however its lines are put."""
        sku = self.sku.view(np.uint64) + np.uint64(1)  # 0 stays 0, however it is mixed
        sku = (sku ^ (sku >> np.uint64(30))) * MIX
        sku = (sku ^ (sku >> np.uint64(27))) * MIX | np.uint64(1)  # only 0 times odd is 0
        quantity = fitting(self.received.quantity, MOST_FACTOR)  # whose sums do not come round to 0
        pieces: NDArray[np.uint64] = sku * quantity.view(np.uint64)
        return self.per_order(pieces.view(np.int64)).view(np.uint64)

    def per_order(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Values of lines, added up by order; what is beyond 64 bits is lost."""
        sums = np.zeros(self.line_count + 1, dtype=np.int64)
        np.cumsum(values, out=sums[1:])
        start = self.received.line_start
        return sums[start[1:]] - sums[start[:-1]]
