"""Events applied once more, to the state before them."""
cimport cython
from libc.stdint cimport int64_t, uint8_t

from fendan.engine.events cimport Lines, OrderEvent
from fendan.engine.fields cimport Reader
from fendan.engine.orders cimport Orders


@cython.final
cdef class Replay:
    cdef Orders _orders
    cdef object _effects
    cdef Lines _lines
    cdef object _rows               # of stock events not yet applied, int32[n, COLUMNS]
    cdef int64_t _row_count
    cdef list _names                # of SKUs named with them
    cdef dict _stores               # what happened to stores together: kind -> rows
    cdef const uint8_t[::1] _picked # of events, by their place in the frame; None: all

    cdef bint _apply_one(self, Reader* reader, int64_t time_ns, int64_t place) except -1
    cdef int64_t _number(self, const OrderEvent* event) except -1
    cdef int _find_again(self, const OrderEvent* event) except -1
    cdef bint _read_rows(self, Reader* reader) except -1
    cdef int _apply_rows(self) except -1
    cdef bint _apply_other(self, Reader* reader) except -1
