"""The meter: how long the stages of requests took, and what orders were told."""
cimport cython
from libc.stdint cimport int64_t

cdef enum Stage:
    QUEUE = 0
    DECODE = 1
    SEARCH = 2
    REPLY = 3
    STAGE_COUNT = 4

cdef enum:
    BUCKETS = 16                # of a histogram of times; beyond them is one more
    STATUS_COUNT = 3            # router.StatusCode, from 0
    REASON_COUNT = 11           # router.ReasonCode

# The bucket of a time, from 0 to BUCKETS.
cdef int bucket_of(int64_t ns) noexcept nogil


# All of it is written and read under the GIL.
@cython.final
cdef class Meter:
    cdef int64_t within[STAGE_COUNT][BUCKETS + 1]
    cdef double seconds[STAGE_COUNT]
    cdef int64_t outcomes[STATUS_COUNT][REASON_COUNT]

    cdef int took(self, Stage stage, int64_t ns) except -1
