"""What the orders of a batch were told."""
cimport cython

from fendan.engine.shipments cimport Shipments
from fendan.engine.stock cimport Stock


@cython.final
cdef class Outcome:
    cdef readonly object verdicts       # rows of router.VERDICT_DTYPE
    cdef readonly object grants         # rows of shipments.GRANT_DTYPE, or None: all are zero
    cdef readonly Shipments shipments   # of the orders that were split, by row; or None
    cdef readonly Stock stock           # whose codes these are


@cython.final
cdef class Decision:
    cdef readonly str order_id
    cdef readonly object status
    cdef readonly object store_id
    cdef readonly object distance_m
    cdef readonly object reason
    cdef readonly int policy_version
    cdef readonly object step
    cdef readonly object promised_ns
    cdef readonly object merge_group
    cdef readonly tuple shipments


cdef object make_outcome(verdicts, grants, Shipments shipments, Stock stock)
