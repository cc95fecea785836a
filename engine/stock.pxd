"""What each store can sell: the shelves of all SKUs over one network."""
cimport cython
from libc.stdint cimport int32_t, uint64_t

from fendan.engine.changes cimport Changes
from fendan.engine.lots cimport Lots
from fendan.engine.names cimport Names
from fendan.engine.network cimport Layout, Leaves, Network
# Baskets and counts are found here, too, by those who embed the engine.
from fendan.engine.shelves cimport Basket, Quantity, Shelf, Shelves

cdef enum:
    MAX_SKUS = 2000000          # some kB each in a large chain: nobody may fill the memory by names


@cython.final
cdef class Stock:
    cdef readonly Network network
    cdef readonly list skus         # SKU code -> SKU
    cdef readonly Names sku_code_of # SKU -> code
    cdef Shelves shelves
    cdef readonly Changes changes
    cdef readonly Lots lots
    cdef object _least_lives        # the array that the larder points at
    cdef int32_t _sku_capacity
    cdef list _slabs                # numpy arrays, or None where no shelf stands in it any more
    cdef list _slab_users           # how many shelves stand in each

    cdef int own(self, Lots lots) except -1
    cdef int _reserve(self, int32_t sku_count) except -1
    cdef Shelf* _make_room(self, renewed, const uint64_t[:, ::1] wanted,
                           const Leaves* leaves) except NULL
    cdef int stand_in_slab(self, Shelf* shelf, Py_ssize_t count, int32_t leaf_count,
                           int32_t branch_count, size_t total) except -1
    cdef int _renew(self, renewed, Shelf* fresh, const uint64_t[:, ::1] wanted,
                    const Leaves* before, const Leaves* after) except -1
