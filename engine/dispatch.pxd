"""Routing under a policy: steps, splits, promises."""
cimport cython
from libc.stdint cimport int32_t, int64_t

from fendan.engine.asking cimport Asking
from fendan.engine.batch cimport Columns
from fendan.engine.network cimport Leaves
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.stock cimport Quantity, Shelves


# A policy as the core reads it; owned by a Rules.
cdef struct RuleBook:
    int32_t version


# As `router.route_many`, under a policy: choose, reserve, and say what was promised. `grants`:
# [count]; `parts` gets the shipments of orders that were split (theirs stand there, and not in
# `before`). False where there is no memory for all of it: nothing is reserved then.
cdef bint dispatch_many(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                        const Columns* orders, int64_t now_ns, Verdict* verdicts, Grant* grants,
                        PartList* parts, Quantity* before) noexcept nogil


@cython.final
cdef class Rules:
    cdef RuleBook book
    cdef readonly Asking asking
