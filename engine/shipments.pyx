"""What an order is promised beside its store, and how it was split.

An order that one store fills has a verdict and a grant. Of a split order the verdict names the
store of its first shipment, and the shipments stand here, side by side:

    parts     row 3: lines 0..2 | row 3: lines 2..3 | row 7: lines 3..5 | ...
    lines     skus, quantities, amounts, before: arrays of the same length

The parts of one order follow each other, and their lines are the order's lines: each SKU at most
once a part, the quantities of all parts adding up to those of the order.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc

from fendan.engine.stock cimport Quantity

import numpy as np

cdef enum:
    LEAST_PARTS = 64


# shipments.Grant as numpy sees it.
GRANT_DTYPE = np.dtype(
    [
        ("promised_ns", np.int64), ("merge_group", np.int64), ("asked_hash", np.uint64),
        ("policy_version", np.int32), ("channel", np.int32), ("region", np.int32),
        ("keep_day", np.int32),        ("order_type", np.uint8), ("step", np.uint8), ("shipment_count", np.uint8),
        ("flags", np.uint8), ("least_life_days", np.int32),
    ],
    align=True,
)


cdef bint reserve_part(PartList* list, int64_t line_count) noexcept nogil:
    cdef int64_t capacity = max(2 * list.capacity, LEAST_PARTS)
    cdef int64_t wanted = list.line_count + line_count
    cdef void* larger
    if list.count == list.capacity:
        larger = realloc(list.parts, capacity * sizeof(Part))
        if larger == NULL:
            return False
        list.parts, list.capacity = <Part*>larger, capacity
    if wanted <= list.line_capacity:
        return True
    wanted = max(wanted, 2 * list.line_capacity)
    larger = realloc(list.skus, wanted * sizeof(int32_t))
    if larger == NULL:
        return False
    list.skus = <int32_t*>larger
    larger = realloc(list.quantities, wanted * sizeof(int32_t))
    if larger == NULL:
        return False
    list.quantities = <int32_t*>larger
    larger = realloc(list.amounts, wanted * sizeof(int64_t))
    if larger == NULL:
        return False
    list.amounts = <int64_t*>larger
    larger = realloc(list.before, wanted * sizeof(Quantity))
    if larger == NULL:
        return False
    list.before, list.line_capacity = <Quantity*>larger, wanted
    return True


@cython.final
cdef class Shipments:
    """Owns a PartList."""

    def __dealloc__(self):
        free(self.list.parts)
        free(self.list.skus)
        free(self.list.quantities)
        free(self.list.amounts)
        free(self.list.before)

    def __len__(self):
        return self.list.count
