"""Why no store has an order that a policy leaves without one."""
from libc.stdint cimport uint8_t, uint64_t

from fendan.engine.desk cimport Desk, Job
from fendan.engine.shelves cimport Basket


# The reason. `open_ones`: the stores that may have it at all; NULL: all that are open.
cdef uint8_t reason_for(Desk* desk, Job* job, const Basket* basket,
                        const uint64_t* open_ones) noexcept nogil

# Those of the stores that a step may ask that may have the order at all: `allowed` itself, or words
# of the book's room for sharing.
cdef const uint64_t* of_these(const Desk* desk, const uint64_t* allowed,
                              const uint64_t* open_ones) noexcept nogil
