"""What every store has of one SKU, in one piece: for whoever explains, and looks at it later."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.lots cimport LotPair, pair_of
from fendan.engine.network cimport STORES_PER_LEAF, Leaves
from fendan.engine.shelves cimport (
    Held, Quantity, Shelf, Shelves, has_lots, held_parts, is_on, listed, lowest_bit, quantity,
)
from fendan.engine.stock cimport Stock

import numpy as np

# Store, on hand, reserved, safety, locked, display, on the shelf.
cdef enum:
    COLUMNS = 7
    LOT_COLUMNS = 3


def sheet(Stock stock not None, int32_t sku):
    """The rows of the stores that list the SKU, int32[n, 7], and its thresholds.

    A row is (store code, on hand, reserved, safety, locked, display, whether it is on the shelf).
    The thresholds are as in `SkuProfile`: off below, on from; both 0 where there are none.
    """
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef const Shelves* shelves = &stock.shelves
    cdef const Shelf* shelf = shelves.shelf + sku
    cdef int32_t[:, ::1] rows
    cdef int32_t row = 0, leaf, ordinal
    cdef uint64_t bits
    cdef const Quantity* pair
    cdef Held held
    held.safety = held.locked = held.display = 0
    found = np.empty((shelf.listed_count, COLUMNS), dtype=np.int32)
    rows = found
    for leaf in range(leaves.leaf_count):
        bits = listed(shelves, sku, leaf)[0]
        while bits:
            ordinal = leaf * STORES_PER_LEAF + lowest_bit(bits)
            bits &= bits - 1
            pair = quantity(shelves, sku, ordinal)
            if shelf.limits != NULL:
                held = held_parts(shelf)[pair - shelf.quantities]
            rows[row, 0] = leaves.store_at[ordinal]
            rows[row, 1] = pair.net + pair.reserved
            rows[row, 2] = pair.reserved
            rows[row, 3], rows[row, 4], rows[row, 5] = held.safety, held.locked, held.display
            rows[row, 6] = is_on(shelves, sku, ordinal)
            row += 1
    if shelf.limits == NULL:
        return found, 0, 0
    return found, shelf.limits.off_below, shelf.limits.on_from


def lots_sheet(Stock stock not None, int32_t sku):
    """What is free in the lots of the SKU, int32[n, 3], by store code and day.

    A row is (store code, sell-by day since 1970, free pieces, 0 or more). A store that has lots, and
    nothing free in any, has rows all the same; one that has no lots of the SKU has none.
    """
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef const LotPair* pair
    cdef int32_t[:, ::1] rows
    cdef int32_t store
    cdef int64_t count = 0, place
    found = np.empty((0, LOT_COLUMNS), dtype=np.int32)
    if not has_lots(&stock.shelves, sku):
        return found
    for store in range(leaves.store_count):
        pair = pair_of(&stock.lots.table, store, sku)
        count += pair.lot_count if pair != NULL else 0
    rows = found = np.empty((count, LOT_COLUMNS), dtype=np.int32)
    count = 0
    for store in range(leaves.store_count):
        pair = pair_of(&stock.lots.table, store, sku)
        for place in range(pair.lot_count if pair != NULL else 0):
            rows[count, 0], rows[count, 1] = store, pair.lots[place].day
            rows[count, 2] = max(0, pair.lots[place].on_hand - pair.lots[place].reserved)
            count += 1
    return found
