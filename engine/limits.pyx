"""What keeps stock from being sold: what stores hold back of it, and thresholds.

It stands on the shelves (see there), so that the search sees it beside the counts. Nothing here
moves counts: on hand and reserved stay what they are, and what is reserved stays reserved.
"""
from libc.stdint cimport int32_t, uint64_t

from fendan.engine.changes cimport note
from fendan.engine.network cimport STORES_PER_LEAF, Leaves
from fendan.engine.shelves cimport (
    Held, Limits, Quantity, Shelf, Shelves, fresh_limits, held_parts, held_sums, is_on, listed,
    lowest_bit, quantity, show, sum_of,
)
from fendan.engine.stock cimport Stock

from enum import IntEnum

import numpy as np

from fendan.engine.fault import Fault
from fendan.errors import refuse

cdef enum:
    PARTS = 3
    _FOLLOWED = 4
    _FOLLOWING = 8


class HeldPart(IntEnum):
    """Why a store holds stock back; the field of the same name in `Held`."""

    SAFETY = 0
    LOCKED = 1
    DISPLAY = 2


# Beside a part that is set together with others of the same rows: thresholds are looked at once, at
# the last of them, for in between there may be more held back, or less, than ever was to be.
FOLLOWED, FOLLOWING = _FOLLOWED, _FOLLOWING


# -- COMMANDS ----------------------------------------------------------------------------------

def set_held(Stock stock not None, int part, const int32_t[::1] stores, const int32_t[::1] skus,
             const int32_t[::1] values, list new_skus, int32_t[::1] before=None):
    """Set one part of what (store, SKU) pairs hold back, row by row, in order.

    `part`: with FOLLOWED, FOLLOWING or both where it is one of several. Pairs that are not listed
    yet are listed with nothing on hand; SKUs named in `new_skus` take the next codes. Nothing changes unless every row is good. `before`: int32[n], gets each row's value
    as it was.
    """
    cdef const int32_t* ordinal_of = stock.network.layout.leaves.ordinal_of
    cdef Shelves* shelves = &stock.shelves
    cdef const Shelf* shelf
    cdef Quantity* pair
    cdef int32_t* value
    cdef Py_ssize_t row, rank
    cdef bint followed = part & _FOLLOWED != 0, following = part & _FOLLOWING != 0
    part &= ~(_FOLLOWED | _FOLLOWING)
    check(stock, part, stores, skus, values, new_skus)
    stock.enlist(stores, skus, new_skus)
    limit(stock, skus)
    with nogil:
        for row in range(stores.shape[0]):
            shelf = shelves.shelf + skus[row]
            pair = quantity(shelves, skus[row], ordinal_of[stores[row]])
            rank = pair - shelf.quantities
            value = <int32_t*>(held_parts(shelf) + rank) + part
            if before is not None:
                before[row] = value[0]
            if value[0] != values[row] or (following and not followed):
                value[0] = values[row]
                held_sums(shelf)[rank] = sum_of(held_parts(shelf)[rank])
                if followed:
                    continue
                show(shelves, skus[row], ordinal_of[stores[row]], pair)
                note(&stock.changes.ring, stores[row], skus[row])


def set_thresholds(Stock stock not None, int32_t sku, int32_t off_below, int32_t on_from):
    """From which count of free pieces a SKU is on the shelf of a store, and below which off it.

    `off_below` 0: never off. Pairs that are between the two stay as they are.
    """
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef Shelf* shelf = stock.shelves.shelf + sku
    cdef uint64_t bits
    cdef int32_t leaf, ordinal
    cdef bint was_on
    if off_below < 1:
        off_below = on_from = 0
    if shelf.limits == NULL:
        if off_below == 0:
            return
        limit(stock, np.array([sku], dtype=np.int32))
    shelf.limits.off_below, shelf.limits.on_from = off_below, on_from
    for leaf in range(leaves.leaf_count):
        bits = listed(&stock.shelves, sku, leaf)[0]
        while bits:
            ordinal = leaf * STORES_PER_LEAF + lowest_bit(bits)
            bits &= bits - 1
            was_on = is_on(&stock.shelves, sku, ordinal)
            show(&stock.shelves, sku, ordinal, quantity(&stock.shelves, sku, ordinal))
            if is_on(&stock.shelves, sku, ordinal) != was_on:
                note(&stock.changes.ring, leaves.store_at[ordinal], sku)


def limit(Stock stock not None, const int32_t[::1] skus):
    """Give the SKUs' shelves room for limits, where they have none."""
    cdef Shelf* shelf
    cdef Py_ssize_t row
    for row in range(skus.shape[0]):
        shelf = stock.shelves.shelf + skus[row]
        if shelf.limits == NULL:
            shelf.limits = fresh_limits(shelf.listed_count)
            if shelf.limits == NULL:
                raise MemoryError("no room for what is held back")


def check(Stock stock not None, int part, const int32_t[::1] stores, const int32_t[::1] skus,
          const int32_t[::1] values, list new_skus):
    """Refuse the first row of `set_held` with a code or a value that cannot be."""
    cdef Py_ssize_t row
    if not 0 <= part < PARTS:
        raise ValueError(f"no part {part} of what is held back")
    stock.check(stores, skus, np.zeros(len(values), dtype=np.int32),
                stock.shelves.sku_count + <int32_t>len(new_skus))
    for row in range(values.shape[0]):
        if values[row] < 0:
            refuse(Fault.OUT_OF_RANGE, HeldPart(part).name.lower(), values[row], row=row,
                   hint="must be 0 or more")


# -- SNAPSHOTS ---------------------------------------------------------------------------------

def held_rows(Stock stock not None):
    """What is held back, int32[n, 5]: SKU, store, safety, locked, display; by SKU and rank."""
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef const Held* parts
    cdef uint64_t bits
    cdef int32_t sku, leaf, store
    cdef list rows = []
    for sku in range(stock.shelves.sku_count):
        if stock.shelves.shelf[sku].limits == NULL:
            continue
        parts = held_parts(stock.shelves.shelf + sku)
        for leaf in range(leaves.leaf_count):
            bits = listed(&stock.shelves, sku, leaf)[0]
            while bits:
                store = leaves.store_at[leaf * STORES_PER_LEAF + lowest_bit(bits)]
                bits &= bits - 1
                if parts.safety or parts.locked or parts.display:
                    rows.append((sku, store, parts.safety, parts.locked, parts.display))
                parts += 1
    return np.array(rows, dtype=np.int32).reshape(-1, 2 + PARTS)


def threshold_rows(Stock stock not None):
    """The thresholds, int32[n, 3]: SKU, off below, on from; by SKU."""
    cdef const Limits* limits
    cdef int32_t sku
    cdef list rows = []
    for sku in range(stock.shelves.sku_count):
        limits = stock.shelves.shelf[sku].limits
        if limits != NULL and limits.off_below:
            rows.append((sku, limits.off_below, limits.on_from))
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def restore(Stock stock not None, const int32_t[:, ::1] held, const int32_t[:, ::1] thresholds):
    """Put back what `held_rows` and `threshold_rows` told of, on shelves that stand already.

    The bits on the shelves are left as they are, and need not be right yet, nor the ranks. Returns
    the first row of `held`, or of `thresholds` counted from -1 down, that cannot be; else None.
    """
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef const int32_t* row
    cdef const Quantity* pair
    cdef const Shelf* shelf
    cdef Held* parts
    cdef Py_ssize_t at, rank
    for at in range(held.shape[0]):
        row = &held[at, 0]
        if not (0 <= row[0] < stock.shelves.sku_count and 0 <= row[1] < leaves.store_count):
            return at
        shelf = stock.shelves.shelf + row[0]
        pair = quantity(&stock.shelves, row[0], leaves.ordinal_of[row[1]])
        if pair == NULL or row[2] < 0 or row[3] < 0 or row[4] < 0:
            return at
        rank = pair - shelf.quantities
        if not 0 <= rank < shelf.listed_count:
            return at
        limit(stock, held[at, :1])
        parts = held_parts(shelf) + rank
        parts.safety, parts.locked, parts.display = row[2], row[3], row[4]
        held_sums(shelf)[rank] = sum_of(parts[0])
    for at in range(thresholds.shape[0]):
        row = &thresholds[at, 0]
        if not (0 <= row[0] < stock.shelves.sku_count and 1 <= row[1] <= row[2]):
            return -1 - at
        limit(stock, thresholds[at, :1])
        stock.shelves.shelf[row[0]].limits.off_below = row[1]
        stock.shelves.shelf[row[0]].limits.on_from = row[2]
    return None
