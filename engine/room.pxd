"""Room for arrays that grow, and memory that is fetched before it is asked for."""
from libc.stdint cimport int64_t

cdef extern from *:
    """
    /* GCC drops calls to a function that does nothing but prefetch; the empty asm keeps them. */
    static inline void fendan_prefetch(const void *address) {
        __builtin_prefetch(address);
        __asm__ volatile("");
    }
    """
    void prefetch "fendan_prefetch"(const void* address) noexcept nogil

# Give an array so many bytes; where there are none it stays as it is, and the answer is False.
cdef bint grow(void** array, int64_t size) noexcept nogil
