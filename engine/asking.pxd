"""What an order says beside its place and its lines."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.names cimport NameTable, Names, Span

# rules.OrderType
cdef enum TypeCode:
    TYPE_UNSPECIFIED = 0
    TYPE_INSTANT = 1
    TYPE_SAME_DAY = 2
    TYPE_NEXT_DAY = 3
    TYPE_PICKUP = 4
    TYPE_PRESALE = 5
    TYPE_GROUP = 6


cdef enum:
    TEXT_COUNT = 6              # in a Said, before all else

# As one order said it; a text of size 0 is not said. Nothing in it is checked.
cdef struct Said:
    Span channel
    Span region
    Span pickup_store
    Span group
    Span buyer
    Span address
    int64_t order_type
    int64_t priority


# What one order says beside its place and its lines; all of it as numbers.
cdef struct Asked:
    uint64_t group              # hash of the group's id, 0: none
    uint64_t buyer              # hash of the buyer and the address, 0: not said
    uint64_t hash               # of everything here as it was said: the same again, or other content
    int32_t order_type          # rules.OrderType
    int32_t channel             # code in Asking.channels, or NO_NAME: not said, or in no rule
    int32_t region              # code in Asking.regions, or NO_NAME
    int32_t pickup_store        # code, or NO_STORE: not said
    # What the bundles that it names ask for beside their parts; all 0: nothing.
    uint32_t bundle_needs       # abilities
    int32_t bundle_life_days    # what remains of a lot's life at least
    uint8_t bundle_classes      # as in RuleBook.class_sets_of
    uint8_t bundle_hidden       # whether its channel does not sell one of them


cdef Said nothing_said() noexcept nogil


@cython.final
cdef class Asking:
    cdef readonly Names channels
    cdef readonly Names regions
    cdef readonly object store_code_of

    # -- QUERIES: False and -1: all is well so far; `explain_asked` says what is not
    cdef bint read_order(self, object order, Asked* asked) except -1
    cdef int64_t read_said(self, const Said* said, int64_t count, Asked* asked) except -2
