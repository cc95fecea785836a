"""Sessions: one connection's HTTP/2, in which frames come to mean calls."""
from libc.stdint cimport uint8_t

from fendan.engine.exchange cimport Connection, House

cdef int session_callbacks(House* house) except -1
# -1: no memory.
cdef int session_begin(Connection* connection) noexcept nogil
# False: the connection is to end, and there is nothing to be said.
cdef bint session_read(Connection* connection, const uint8_t* data, size_t size) noexcept nogil
cdef void session_end(Connection* connection) noexcept nogil
