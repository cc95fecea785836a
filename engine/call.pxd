"""A call as the client makes it: orders to bytes, bytes to decisions."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

# Refusal: number << 3 | wire type.
cdef enum:
    TAG_REFUSED_STATUS = 1 << 3 | 0
    TAG_REFUSED_MESSAGE = 2 << 3 | 2
    TAG_REFUSED_CODE = 3 << 3 | 2
    TAG_REFUSED_FIELD = 4 << 3 | 2
    TAG_RETRY_AFTER_MS = 5 << 3 | 0


# Bytes that grow while they are written.
@cython.final
cdef class Buffer:
    cdef uint8_t* data
    cdef int64_t size
    cdef int64_t capacity

    cdef uint8_t* room(self, int64_t more) except NULL
    cdef int put_number(self, uint8_t tag, uint64_t value) except -1
    cdef int put_double(self, uint8_t tag, double value) except -1
    cdef int put_text(self, uint8_t tag, object text) except -1
    cdef int64_t begin(self, uint8_t tag) except -1
    cdef int end(self, int64_t start) except -1
