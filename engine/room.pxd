"""Room for arrays that grow."""
from libc.stdint cimport int64_t

# Give an array so many bytes; where there are none it stays as it is, and the answer is False.
cdef bint grow(void** array, int64_t size) noexcept nogil
