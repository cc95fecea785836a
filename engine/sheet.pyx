"""What every store has of one SKU, in one piece: for whoever explains, and looks at it later."""
from libc.stdint cimport int32_t, uint64_t

from fendan.engine.network cimport STORES_PER_LEAF, Leaves
from fendan.engine.shelves cimport (
    Held, Quantity, Shelf, Shelves, held_parts, is_on, listed, lowest_bit, quantity,
)
from fendan.engine.stock cimport Stock

import numpy as np

# Store, on hand, reserved, safety, locked, display, on the shelf.
cdef enum:
    COLUMNS = 7


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
        bits = listed(shelves, sku)[leaf]
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
