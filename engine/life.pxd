"""The life of an order, step by step."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.events cimport Lines
from fendan.engine.orders cimport Orders
from fendan.engine.rejection cimport Patience


@cython.final
cdef class Life:
    cdef readonly Orders orders
    cdef Patience _patience
    cdef Lines _lines                   # of the event under way

    # -- STEPS
    cdef int _step_all(self, list numbers, uint8_t kind, int64_t now_ns) except -1
    cdef tuple _done(self, int64_t order)
    cdef list _release_all(self, list orders, int64_t now_ns)
    cdef list _overdue(self, int64_t now_ns)

    # -- QUERIES
    cdef tuple _standing(self, int64_t order)
    cdef tuple _place(self, int64_t number)
    cdef tuple _lines_at(self, int64_t number)

    # -- WHO TAKES A STEP
    cdef list _named(self, int64_t order, shipment)
    cdef list _taking(self, int64_t order, order_id, state, store_id, shipment)
    cdef object _state_of(self, int64_t number)

    # -- CHECKS
    cdef int _check_store(self, int64_t number, store_id) except -1
    cdef bint _is_called(self, int32_t store, store_id) except -1
    cdef bint _is_at(self, int64_t number, store_id) except -1
    cdef bint _was_taken(self, int64_t number, state) except -1
    cdef bint _leads_to(self, int64_t number, order_id, state) except -1
    cdef bint _was_rejected_by(self, int64_t number, store_id) except -1
    cdef int _check_returned(self, list named, bint to_stock) except -1
    cdef int _check_return(self, int64_t number) except -1
