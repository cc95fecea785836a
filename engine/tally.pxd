"""What came and what left, added up from events alone."""
cimport cython
from libc.stdint cimport int64_t

from fendan.engine.events cimport Lines


@cython.final
cdef class Tally:
    cdef int64_t on_hand[256]       # by kind: how much it changed what is on hand, in all
    cdef int64_t reserved[256]
    cdef int64_t events[256]
    cdef Lines _lines
