"""Received orders beside what is known, as numbers: each text is looked up once, for all rules.

 Received  skus  "tea" "cup" "???"         View  sku   12   7  -1     codes by which Known has
           units "盒"  ""    ""                  unit   3  -1  -1     a value for each SKU

Invariant: a code is -1 where nothing is said or known, so it may be used as an index only where
that has been ruled out, or where what is found there is not looked at.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from fendan.intake.known import Known
from fendan.intake.received import NOT_SAID, Received

__all__ = ["MOST_MONEY", "View", "fitting"]

UNKNOWN = -1
# What a text is called that is there and means nothing to us.
STRANGE = -2

# Sums and products of amounts up to here fit into 64 bits, and no order comes to ten billion yuan.
MOST_MONEY = 10**12
MOST_FACTOR = 10**9

# Odd, and with its bits well mixed: the golden ratio, as in splitmix64.
MIX = np.uint64(0x9E3779B97F4A7C15)
BUYERS_WINDOW_NS = 3600 * 10**9


def fitting(values: NDArray[np.int64], most: int = MOST_MONEY) -> NDArray[np.int64]:
    """Numbers that can be added up: what is beyond `most`, either way, as `most`."""
    return np.clip(values, -most, most)


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
        """The number of each order's channel among `known.channels`."""
        return _numbers(self.known.channel_of.get, self.received.channels, UNKNOWN)

    @cached_property
    def pickup_store(self) -> NDArray[np.int64]:
        """The code of each order's pickup store; UNKNOWN: none is named, STRANGE: none of ours."""
        return _numbers(self.known.store_of.get, self.received.pickup_store_ids, STRANGE)

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
        buyers = _hashes(orders.buyer_ids)
        placed_ns = np.where(orders.placed_ns == NOT_SAID, self.known.now_ns, orders.placed_ns)
        content = (self.basket ^ (_hashes(orders.address_ids).view(np.uint64) * MIX)).view(np.int64)
        return self.known.recent.take(
            _hashes(orders.order_ids),
            buyers,
            content,
            np.clip(placed_ns, 0, 2**62),
            BUYERS_WINDOW_NS,
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
        return np.diff(self.received.line_start)

    @cached_property
    def order_of_line(self) -> NDArray[np.int64]:
        """Which order each line is of."""
        return self.received.order_of_line

    @cached_property
    def sku(self) -> NDArray[np.int64]:
        """The engine's code of each line's SKU."""
        return _numbers(self.known.sku_of.get, self.received.skus, UNKNOWN)

    @cached_property
    def unit(self) -> NDArray[np.int64]:
        """The number of each line's unit; STRANGE: no SKU has it."""
        return _numbers(self.known.unit_of.get, self.received.units, STRANGE)

    @cached_property
    def barcode_sku(self) -> NDArray[np.int64]:
        """The code of the SKU that each line's barcode is on; STRANGE: it is on none."""
        return _numbers(self.known.barcode_of.get, self.received.barcodes, STRANGE)

    @cached_property
    def basket(self) -> NDArray[np.uint64]:
        """A hash of what each order asks for, however its lines are put."""
        sku = self.sku.view(np.uint64) + np.uint64(1)
        sku = (sku ^ (sku >> np.uint64(30))) * MIX
        sku = (sku ^ (sku >> np.uint64(27))) * MIX
        pieces: NDArray[np.uint64] = sku * self.received.quantity.view(np.uint64)
        return self.per_order(pieces.view(np.int64)).view(np.uint64)

    def per_order(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Values of lines, added up by order; what is beyond 64 bits is lost."""
        sums = np.zeros(self.line_count + 1, dtype=np.int64)
        np.cumsum(values, out=sums[1:])
        return np.diff(sums[self.received.line_start])


def _numbers(
    number_of: Callable[[str, int], int], texts: list[str], otherwise: int
) -> NDArray[np.int64]:
    """A number for each text, without a step of Python for any."""
    return np.fromiter(map(number_of, texts, repeat(otherwise)), np.int64, len(texts))


def _hashes(texts: Iterable[str]) -> NDArray[np.int64]:
    """CPython's keyed hashes, which nobody outside can aim at; that of "" is 0."""
    return np.fromiter(map(hash, texts), np.int64)
