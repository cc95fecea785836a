"""Split orders: what each shipment is worth, and its record."""
from libc.stdint cimport int64_t

from fendan.engine.batch cimport Columns
from fendan.engine.names cimport NameTable
from fendan.engine.records cimport Table
from fendan.engine.shipments cimport PartList


# Share out what the lines of an order cost among the `count` parts from `first` on.
cdef void share_amounts(PartList* list, int64_t first, int64_t count, const Columns* orders,
                        const NameTable* skus) noexcept nogil

# Add a record for each of those parts, the shipments of the order at `order`, that holds nothing
# yet; returns how many were added, which is fewer than `count` where there is no room.
cdef int64_t add_shipments(Table* table, int64_t order, const PartList* list, int64_t first,
                           int64_t count) noexcept nogil

# Add a known order's first shipments to `told`, as those of `row`; False where there is no room.
cdef bint tell_again(const Table* table, int64_t order, int64_t row, PartList* told) noexcept nogil

# Add to `told` the `count` parts from `first` on, as those of `row`; False where there is no room.
cdef bint tell_parts(const PartList* list, int64_t first, int64_t count, int64_t row,
                     PartList* told) noexcept nogil
