"""Lots on the shelves: which pairs have them, and their counts beside those of stock.

    of each pair with lots      on_hand  = the sum of its lots'
                                reserved = the sum of its lots'

Lots are set first, then the pair's count: `Stock.set_on_hand` finds them to be what it sets. In
between, and only then, the sums differ.
"""
from libc.stdint cimport int32_t, int64_t

from fendan.engine.changes cimport note
from fendan.engine.shelves cimport Quantity, quantity
from fendan.engine.stock cimport Stock

import numpy as np

from fendan.engine.limits import limit as _limit
from fendan.engine.lots import COLUMNS as _COLUMNS, restored as _restored


def set_lots(Stock stock not None, int32_t store, int32_t sku, const int32_t[::1] days,
             const int32_t[::1] on_hand):
    """Set the lots of a pair; its count is to follow. Codes and lots are good: the caller has checked.

    Returns how many reserved pieces have no lot as late as theirs was.
    """
    one = np.array([sku], dtype=np.int32)
    reserved = stock.counts(store, sku)[1]
    stock.enlist(np.array([store], dtype=np.int32), one, [])
    _limit(stock, one)
    displaced = stock.lots.set_lots(store, sku, days, on_hand, reserved)
    stock.shelves.shelf[sku].limits.has_lots = True
    note(&stock.changes.ring, store, sku)
    return displaced


# -- SNAPSHOTS ---------------------------------------------------------------------------------

def restore(Stock stock not None, arrays):
    """Put back what `Lots.arrays` told of, on shelves that stand already, and may be wrong yet.

    Returns the first row that cannot be, or None. The sums are for `audit` and `first_unlike`.
    """
    cdef const int32_t[:, ::1] columns = np.array(
        [arrays[name] for name in _COLUMNS[:2]], dtype=np.int32
    )
    cdef Py_ssize_t row
    for row in range(columns.shape[1]):
        if not (0 <= columns[0, row] < stock.network.layout.leaves.store_count
                and 0 <= columns[1, row] < stock.shelves.sku_count):
            return row
    stock.own(_restored(arrays))
    skus = np.unique(np.asarray(columns[1]))
    _limit(stock, skus)
    for sku in skus:
        stock.shelves.shelf[<int32_t>sku].limits.has_lots = True
    return None


def first_unlike(Stock stock not None):
    """The first pair, (store, sku), whose lots do not add up to its counts; or None."""
    cdef const Quantity* pair
    cdef int32_t store, sku
    columns = np.array([array for array in stock.lots.arrays().values()], dtype=np.int64)
    if not columns.shape[1]:
        return None
    firsts = np.flatnonzero(np.diff(columns[0] << 32 | columns[1], prepend=-1))
    on_hand, reserved = (np.add.reduceat(column, firsts) for column in columns[3:])
    for row, first in enumerate(firsts):
        store, sku = columns[0, first], columns[1, first]
        pair = quantity(&stock.shelves, sku, stock.network.layout.leaves.ordinal_of[store])
        if pair == NULL or pair.reserved != reserved[row] or (
                <int64_t>pair.net + pair.reserved != on_hand[row]):
            return store, sku
    return None
