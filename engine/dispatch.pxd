"""Routing under a policy: steps, splits, promises."""
from libc.stdint cimport int64_t, uint8_t

from fendan.engine.batch cimport Columns
from fendan.engine.book cimport RuleBook
from fendan.engine.desk cimport Desk, Job
from fendan.engine.network cimport Leaves
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.shelves cimport Quantity, Shelves


# As `router.route_many`, under a policy: choose, reserve, and say what was promised. `grants`:
# [count]; `parts` gets the shipments of orders that were split (theirs stand there, and not in
# `before`, which may be NULL). False where there is no memory for all: what was decided until then
# is the caller's to undo (see decided), and the orders without a status were not.
cdef bint dispatch_many(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                        const Columns* orders, int64_t now_ns, Verdict* verdicts, Grant* grants,
                        PartList* parts, Quantity* before) noexcept nogil

# That nobody has an order, and why.
cdef void refuse_order(Desk* desk, Job* job, uint8_t reason) noexcept nogil
