"""Many calls at once to a gRPC server, and how long each was waited for."""
from libc.stdint cimport int64_t

from fendan.engine.roads cimport Run
from fendan.engine.link cimport Tls


cdef class Traffic:
    cdef Run run
    cdef bytes keep_alive   # what the headers point into
    cdef list fields
    cdef str address
    cdef object lock
    # While calls are sent: who is told how it goes, or None; and what they are told.
    cdef object watch, latencies_array, statuses_array
    cdef int open_road(self, Tls tls) except -1
    cdef int work(self, int64_t deadline_ns) except -1
    cdef object sent(self, str path, bytes requests, const int64_t[::1] offsets,
                     const int64_t[::1] due_ns, double deadline_s, bint keep_answers)
    cdef int point_headers(self, str path) except -1
    cdef void forget(self) noexcept nogil


cdef int go_on(Run* run, int64_t until_ns) noexcept nogil
