"""Orders that have come to be routed: which are new, and room for what they will be told."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.decided cimport Decided
from fendan.engine.records cimport Table
from fendan.engine.shipments cimport Grant, Shipments
from fendan.engine.shelves cimport Basket
from fendan.engine.stock cimport Stock


@cython.final
cdef class Arrival:
    cdef Batch batch            # as it came
    cdef Batch fresh            # those that are new
    cdef int64_t count
    cdef bint is_named          # they have ids
    cdef bint is_promised       # some are told a grant: under a policy, or first decided under one
    cdef int64_t added          # so many of the newest records are these orders'
    cdef Decided decided        # what is decided on the fresh ones
    cdef Shipments parts
    cdef object _numbers        # int64[n], the records; those of the fresh ones' rows in _rows
    cdef object _rows
    cdef object _verdicts
    cdef object _grants
    cdef object _before
    cdef Stock _stock
    cdef Table* _table

    cdef int enter(self, bint granted) except -1
    cdef int make_room(self, bint granted, bint counted, int64_t due_ns) except -1
    cdef object outcome(self)
    cdef void drop(self) noexcept nogil


    # -- CHECKS
    cdef int _refuse_other(self, int64_t row, int64_t number) except -1
    cdef tuple _other_words(self, int64_t row, const Grant* first)
    cdef list _lines(self, const Basket* basket)
    cdef dict _amounts(self, const Basket* basket)
    cdef object _promised(self)
    cdef object _told(self)


cdef object arrival_of(Stock stock, Table* table, Batch batch)

# Of one order that is known, to be told again.
cdef object known_arrival(Stock stock, Table* table, int64_t number)

# Find or add the record of each order: see Arrival.enter. How many are new, or below 0, `at` a row.
cdef int64_t enter_all(Table* table, const Columns* orders, uint32_t* hashes, int64_t* numbers,
                       int64_t* rows, int64_t* at, int64_t* entered, uint8_t flags,
                       bint* promised) noexcept nogil
