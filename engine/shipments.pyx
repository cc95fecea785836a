"""What an order is promised beside its store, and how it was split.

An order that one store fills has a verdict and a grant. Of a split order the verdict names the
store of its first shipment, and the shipments stand here, side by side:

    parts     row 3: lines 0..2 | row 3: lines 2..3 | row 7: lines 3..5 | ...
    lines     skus, quantities, amounts, before: arrays of the same length

The parts of one order follow each other, and their lines are the order's lines: each SKU at most
once a part, the quantities of all parts adding up to those of the order.
"""
cimport cython
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from fendan.engine.room cimport grow
from fendan.engine.shelves cimport Basket, Quantity

from dataclasses import dataclass
from enum import IntFlag

import numpy as np

cdef enum:
    LEAST_PARTS = 64


GrantFlag = IntFlag("GrantFlag", {
    "PICKUP_NAMED": PICKUP_NAMED, "IN_GROUP": IN_GROUP, "OF_BUNDLES": OF_BUNDLES,
})
"""The bits of `flags` in a grant."""

# shipments.Grant as numpy sees it.
GRANT_DTYPE = np.dtype(
    [
        ("promised_ns", np.int64), ("merge_group", np.int64), ("merge_key", np.uint64), ("asked_hash", np.uint64),
        ("due_ns", np.int64), ("policy_version", np.int32), ("channel", np.int32),
        ("region", np.int32), ("keep_day", np.int32), ("order_type", np.uint8),
        ("step", np.uint8), ("shipment_count", np.uint8), ("flags", np.uint8),
        ("least_life_days", np.int32),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What one store sends of a split order; `number` counts them from 1.

    `lines` are (SKU, pieces). `promised_ns` is as in `Decision`. `supply_date`: an ISO date where
    it waits for incoming supply, "" where it is in stock.
    """

    number: int
    store_id: str
    distance_m: float
    lines: tuple
    promised_ns: object = None
    supply_date: str = ""


def supply_of(str sku):
    """A SKU without the date of its supply, and that date or ""."""
    name, _, date = sku.partition("\x1f")
    return name, date


cdef bint reserve_part(PartList* list, int64_t line_count) noexcept nogil:
    cdef int64_t capacity = max(2 * list.capacity, LEAST_PARTS)
    cdef int64_t wanted = list.line_count + line_count
    if list.count == list.capacity:
        if not grow(<void**>&list.parts, capacity * sizeof(Part)):
            return False
        list.capacity = capacity
    if wanted > list.line_capacity:
        wanted = max(wanted, 2 * list.line_capacity)
        if not (grow(<void**>&list.skus, wanted * sizeof(int32_t))
                and grow(<void**>&list.quantities, wanted * sizeof(int32_t))
                and grow(<void**>&list.amounts, wanted * sizeof(int64_t))
                and grow(<void**>&list.before, wanted * sizeof(Quantity))):
            return False
        list.line_capacity = wanted
    return True


cdef Part* add_part(PartList* list, int64_t row, const Basket* lines,
                    const Quantity* before) noexcept nogil:
    cdef Part* part
    cdef int64_t end = list.line_count
    cdef int64_t count = lines.line_count
    if not reserve_part(list, count):
        return NULL
    part = list.parts + list.count
    memset(part, 0, sizeof(Part))
    part.row, part.first_line, part.line_count = row, end, <int32_t>count
    part.distance_m = NAN
    memcpy(list.skus + end, lines.skus, count * sizeof(int32_t))
    memcpy(list.quantities + end, lines.quantities, count * sizeof(int32_t))
    memset(list.amounts + end, 0, count * sizeof(int64_t))
    memset(list.before + end, 0, count * sizeof(Quantity))
    if lines.amounts != NULL:
        memcpy(list.amounts + end, lines.amounts, count * sizeof(int64_t))
    if before != NULL:
        memcpy(list.before + end, before, count * sizeof(Quantity))
    list.count += 1
    list.line_count += count
    return part


cdef int64_t first_part(const PartList* list, int64_t row) noexcept nogil:
    cdef int64_t low = 0, high = list.count, middle
    while low < high:
        middle = (low + high) // 2
        if list.parts[middle].row < row:
            low = middle + 1
        else:
            high = middle
    return low


@cython.final
cdef class Shipments:
    """Owns a PartList."""

    @staticmethod
    def of(parts):
        """From tuples (row, store code, metres, promised_ns, lines), lines (SKU code, pieces, amount).

        As they would come from `dispatch`: by row.
        """
        cdef Shipments shipments = Shipments()
        cdef Basket basket
        cdef int32_t[::1] skus, quantities
        cdef int64_t[::1] amounts
        cdef Part* part
        for row, store, distance_m, promised_ns, lines in parts:
            skus, quantities = (
                np.array([line[column] for line in lines], dtype=np.int32) for column in (0, 1)
            )
            amounts = np.array([line[2] for line in lines], dtype=np.int64)
            basket.skus, basket.quantities, basket.amounts = &skus[0], &quantities[0], &amounts[0]
            basket.line_count = len(lines)
            part = add_part(&shipments.list, row, &basket, NULL)
            if part == NULL:
                raise MemoryError("no room for more shipments")
            part.store, part.distance_m, part.promised_ns = store, distance_m, promised_ns
        return shipments

    def __dealloc__(self):
        free(self.list.parts)
        free(self.list.skus)
        free(self.list.quantities)
        free(self.list.amounts)
        free(self.list.before)

    def __len__(self):
        return self.list.count
