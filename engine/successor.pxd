"""Another store for an order that its first one would not have."""
from libc.stdint cimport int64_t, uint64_t

from fendan.engine.book cimport RuleBook
from fendan.engine.network cimport Leaves
from fendan.engine.router cimport Verdict
from fendan.engine.shelves cimport Basket, Quantity, Shelves
from fendan.engine.shipments cimport Grant


# Another store for an order, or for one of its shipments, whole, under the rule that its grant
# names; `allowed` has the stores that may be asked at all. `whole`: the lines of all the order.
# `waits`: it is sold against supply, which the codes in its basket stand for. Reserves, and renews
# the promise.
cdef Verdict dispatch_again(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                            double lat, double lng, const Basket* basket, const Basket* whole,
                            bint waits, const uint64_t* allowed, int64_t now_ns, Grant* grant,
                            Quantity* before) noexcept nogil
