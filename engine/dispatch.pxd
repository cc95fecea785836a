"""Routing under a policy: steps, splits, promises."""
from libc.stdint cimport int64_t, uint64_t

from fendan.engine.batch cimport Columns
from fendan.engine.book cimport RuleBook
from fendan.engine.network cimport Leaves
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.shelves cimport Basket, Quantity, Shelves


# As `router.route_many`, under a policy: choose, reserve, and say what was promised. `grants`:
# [count]; `parts` gets the shipments of orders that were split (theirs stand there, and not in
# `before`, which may be NULL). False where there is no memory for all: what was decided until then
# is the caller's to undo (see decided), and the orders without a status were not.
cdef bint dispatch_many(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                        const Columns* orders, int64_t now_ns, Verdict* verdicts, Grant* grants,
                        PartList* parts, Quantity* before) noexcept nogil

# Another store for an order, or for one of its shipments, whole, under the rule that its grant
# names; `allowed` has the stores that may be asked at all. Reserves, and renews the promise.
cdef Verdict dispatch_again(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                            double lat, double lng, const Basket* basket, const uint64_t* allowed,
                            int64_t now_ns, Grant* grant, Quantity* before) noexcept nogil
