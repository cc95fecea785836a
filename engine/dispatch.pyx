"""Routing under a policy: steps, splits, promises."""
cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from fendan.engine.asking cimport Asking
from fendan.engine.batch cimport Columns
from fendan.engine.network cimport Leaves
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict, route_many
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.stock cimport Quantity, Shelves

cdef enum:
    STEP_STORE = 1


cdef bint dispatch_many(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                        const Columns* orders, int64_t now_ns, Verdict* verdicts, Grant* grants,
                        PartList* parts, Quantity* before) noexcept nogil:
    cdef int64_t row
    route_many(leaves, shelves, orders, INFINITY, verdicts, before)
    memset(grants, 0, orders.count * sizeof(Grant))
    for row in range(orders.count):
        grants[row].policy_version = book.version
        if verdicts[row].status == STATUS_ASSIGNED:
            verdicts[row].step = grants[row].step = STEP_STORE
            grants[row].shipment_count = 1
            grants[row].promised_ns = now_ns
    return True


@cython.final
cdef class Rules:
    """One version of a chain's policy, ready for the core."""

    def __init__(self, int32_t version, Asking asking not None):
        self.book.version = version
        self.asking = asking
