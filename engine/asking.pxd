"""What an order says beside its place and its lines."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.names cimport Names


# What one order says beside its place and its lines; all of it as numbers.
cdef struct Asked:
    uint64_t group              # hash of the group's id, 0: none
    uint64_t buyer              # hash of the buyer and the address, 0: not said
    uint64_t hash               # of everything here as it was said: the same again, or other content
    int32_t order_type          # rules.OrderType
    int32_t channel             # code in Asking.channels, or NO_NAME: not said, or in no rule
    int32_t region              # code in Asking.regions, or NO_NAME
    int32_t pickup_store        # code, or NO_STORE: not said


@cython.final
cdef class Asking:
    cdef readonly Names channels
    cdef readonly Names regions
    cdef readonly object store_code_of
