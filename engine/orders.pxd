"""The orders that are known by id, and what each was told."""
cimport cython
from libc.stdint cimport int32_t, int64_t

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.router cimport Verdict
from fendan.engine.stock cimport Basket, Stock


# What an id stands for: a place and a basket.
cdef struct Asked:
    double lat
    double lng
    Basket basket


# What was asked, what was answered, and whether the stock is still held.
cdef struct Record:
    double lat
    double lng
    int64_t first_line          # in Orders._skus and Orders._quantities
    int32_t line_count
    bint held
    Verdict verdict


@cython.final
cdef class Orders:
    cdef readonly Stock stock
    cdef dict _index_of         # order id -> record, in the records' order
    cdef Record* _records
    cdef int32_t* _skus
    cdef int32_t* _quantities
    cdef int64_t _count, _capacity
    cdef int64_t _line_count, _line_capacity

    # -- COMMANDS
    cdef int _reserve(self, int64_t orders, int64_t lines) except -1
    cdef void _record(self, const Columns* orders, const Verdict* verdicts) noexcept nogil

    # -- QUERIES
    cdef list _identify(self, Batch batch, int64_t[::1] indexes, dict newcomers)
    cdef int _check_same(self, Batch batch, row, Asked first, Asked now) except -1
    cdef list _lines(self, const Basket* basket)
    cdef Asked _asked(self, int64_t index) noexcept nogil


@cython.final
cdef class Decision:
    cdef readonly str order_id
    cdef readonly object status
    cdef readonly object store_id
    cdef readonly object distance_m
    cdef readonly object reason
