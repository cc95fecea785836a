"""Room for arrays that grow, without the GIL and without an exception: the caller undoes and tells."""
from libc.stdint cimport int64_t
from libc.stdlib cimport realloc


cdef bint grow(void** array, int64_t size) noexcept nogil:
    cdef void* larger = realloc(array[0], size)
    if larger == NULL:
        return False
    array[0] = larger
    return True
