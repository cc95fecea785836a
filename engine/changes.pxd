"""Which pairs of store and SKU changed, for those who watch."""
cimport cython
from libc.stdint cimport int32_t, int64_t

cdef enum:
    CHANGES_KEPT = 1 << 20      # a power of two; 8 MB, a minute at 10,000 two-line orders a second


# Change number n stands at pairs[n % CHANGES_KEPT]; see changes.pyx.
cdef struct Ring:
    int64_t* pairs
    int64_t count               # ever noted


cdef inline void note(Ring* ring, int32_t store, int32_t sku) noexcept nogil:
    ring.pairs[ring.count & (CHANGES_KEPT - 1)] = <int64_t>store << 32 | sku
    ring.count += 1


@cython.final
cdef class Changes:
    cdef Ring ring
