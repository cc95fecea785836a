"""Room for arrays that grow, without the GIL and without an exception: the caller undoes and tells."""
from libc.stdint cimport int64_t
from libc.stdlib cimport realloc

import numpy as np

cdef enum:
    CACHE_LINE = 64


cdef bint grow(void** array, int64_t size) noexcept nogil:
    cdef void* larger = realloc(array[0], size)
    if larger == NULL:
        return False
    array[0] = larger
    return True


def in_cache_lines(Py_ssize_t count, dtype):
    """So many rows of zeros, the first where a cache line begins: a row whose size divides that of a
    line is fetched at once.
    """
    memory = np.zeros(count * dtype.itemsize + CACHE_LINE, dtype=np.uint8)
    cdef Py_ssize_t skipped = -memory.ctypes.data % CACHE_LINE
    return memory[skipped:skipped + count * dtype.itemsize].view(dtype)
