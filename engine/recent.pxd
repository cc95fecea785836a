"""The newest orders by their buyers: who has ordered the same, and how often, a short while ago."""
from libc.stdint cimport int64_t

cdef enum:
    MOST_LOOKED_AT = 64         # of a buyer's orders: one that orders all day costs no more


# One order, 40 bytes. `earlier`: the number of the one before it in the same slot, or 0.
cdef struct Entry:
    int64_t order
    int64_t buyer
    int64_t content
    int64_t placed_ns
    int64_t earlier


cdef class Recent:
    cdef Entry* ring
    cdef int64_t* newest
    cdef int64_t mask
    cdef readonly int64_t count

    cdef bint _look(self, const Entry* asked, int64_t window_ns,
                    int64_t* others, int64_t* same_ns) noexcept nogil
    cdef void _keep(self, const Entry* asked) noexcept nogil
