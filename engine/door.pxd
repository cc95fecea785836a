"""The native door: a gRPC server in one thread without the GIL."""
from libc.stdint cimport int64_t

from fendan.engine.connection cimport Buffers
from fendan.engine.exchange cimport House

cdef class Door:
    cdef House house
    cdef Buffers* buffers
    cdef object tls             # owns the context
    cdef void* context          # SSL_CTX*, or NULL: plain
    cdef int poll               # epoll
    cdef int listener
    cdef bint is_listening      # whether epoll looks at the listener
    cdef int64_t paused_ns      # since when it does not
    cdef bint is_drained, is_closed
    cdef readonly int port
    cdef int ring(self) except -1
    cdef void serve(self) noexcept nogil
    cdef void welcome(self) noexcept nogil
    cdef void look(self, int64_t wait_ns) noexcept nogil
