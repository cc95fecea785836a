"""The life of an order, step by step."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.events cimport Lines, OrderEvent
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport Record

# Why a store would not have an order: the `reason` of an EVENT_REJECTED.
cdef enum RejectCode:
    REJECT_OTHER = 1
    REJECT_NOT_ON_SHELF = 2
    REJECT_DAMAGED = 3
    REJECT_TOO_BUSY = 4
    REJECT_CLOSED = 5


@cython.final
cdef class Life:
    cdef readonly Orders orders
    cdef readonly double radius_m
    cdef readonly int64_t timeout_ns    # of a reservation, or NEVER_NS
    cdef readonly int64_t cool_down_ns
    cdef readonly int64_t most_attempts
    cdef Lines _lines                   # of the event under way

    # -- STEPS
    cdef int64_t _due_ns(self, int64_t now_ns) noexcept nogil
    cdef int _make_room(self, list numbers, int64_t events=*, int64_t rows=*) except -1
    cdef int _happen(self, int64_t number, const OrderEvent* event, int64_t now_ns) except -1
    cdef int _step(self, int64_t number, uint8_t kind, int64_t now_ns, bint to_stock=*,
                   uint8_t reason=*) except -1
    cdef tuple _done(self, int64_t number)
    cdef list _release_all(self, list numbers, int64_t now_ns)
    cdef list _overdue(self, int64_t now_ns)
    cdef int _reject(self, int64_t number, uint8_t reason, set missing, int64_t now_ns) except -1
    cdef int64_t _correct(self, int32_t store, set missing, int32_t[::1] stores, int32_t[::1] skus,
                          int32_t[:, ::1] before, int32_t[::1] after) except -1
    cdef int _route_again(self, int64_t number, uint64_t* allowed, int64_t now_ns) except -1

    # -- QUERIES
    cdef tuple _standing(self, int64_t number)

    # -- CHECKS
    cdef int _check_store(self, const Record* record, store_id) except -1
    cdef bint _is_named(self, int32_t store, store_id) except -1
    cdef bint _leads_to(self, const Record* record, order_id, state) except -1
    cdef bint _was_rejected_by(self, int64_t number, store_id) except -1
    cdef int _check_return(self, int64_t number) except -1
    cdef set _missing(self, int64_t number, reason, missing_skus)
