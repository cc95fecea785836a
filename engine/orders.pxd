"""Orders in, decisions out: each id once, each decision remembered."""
cimport cython
from libc.stdint cimport int64_t

from fendan.engine.batch cimport Batch
from fendan.engine.events cimport Events
from fendan.engine.records cimport Records
from fendan.engine.shelves cimport Basket
from fendan.engine.stock cimport Stock


@cython.final
cdef class Orders:
    cdef readonly Stock stock
    cdef readonly Records records
    cdef public int64_t remembered
    cdef public Events events       # where what happens is written, or None

    # -- COMMANDS
    cdef int64_t _enter(self, Batch batch, int64_t[::1] numbers, int64_t[::1] rows) except -1

    # -- QUERIES
    cdef int64_t _number(self, order_id, field, row=*) except -1
    cdef list _lines(self, const Basket* basket)
    cdef dict _amounts(self, const Basket* basket)


@cython.final
cdef class Decision:
    cdef readonly str order_id
    cdef readonly object status
    cdef readonly object store_id
    cdef readonly object distance_m
    cdef readonly object reason
