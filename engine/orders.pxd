"""Orders in, decisions out: each id once, each decision remembered."""
cimport cython
from libc.stdint cimport int64_t

from fendan.engine.arrival cimport Arrival
from fendan.engine.decided cimport Decided
from fendan.engine.events cimport Events
from fendan.engine.loads cimport LoadTable
from fendan.engine.merges cimport Merges
from fendan.engine.records cimport Records
from fendan.engine.stock cimport Stock


@cython.final
cdef class Orders:
    cdef readonly Stock stock
    cdef readonly Records records
    cdef public Merges merges
    cdef public int64_t remembered
    cdef readonly int64_t taken     # orders with ids that were routed since this was made
    cdef public Events events       # where what happens is written, or None
    cdef public LoadTable loads     # where open orders are counted, or None

    # -- COMMANDS
    cdef bint _is_written(self, bint dry_run) except -1
    cdef object _settle(self, Arrival arrival, bint dry_run, int64_t now_ns)
    cdef int keep(self, const Decided* decided, bint is_written, int64_t now_ns) except -1
    cdef int _take_back(self, Arrival arrival) except -1
    cdef int _undo(self, const Decided* decided) except -1

    # -- QUERIES
    cdef int64_t _find(self, order_id) except -2
    cdef int64_t _number(self, order_id, field, row=*) except -1
    cdef tuple named_at(self, int64_t number)
