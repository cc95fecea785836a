"""A door's session without a socket, a thread or a clock."""
from fendan.engine.exchange cimport Connection, House

cdef class Rehearsal:
    cdef House house
    cdef Connection connection
    cdef bint has_begun
    cdef readonly bint is_open
    cdef object fetch(self)
