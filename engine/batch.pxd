"""Orders as columns: what the search reads, checked once at the door."""
cimport cython
from libc.stdint cimport int32_t, int64_t

from fendan.engine.asking cimport Asked
from fendan.engine.names cimport Span

cdef enum:
    MAX_LINES_PER_ORDER = 10000     # the longest real basket we know has 1,110

cdef extern from *:
    """
    #define FENDAN_MAX_AMOUNT 1000000000000LL
    """
    const int64_t MAX_AMOUNT "FENDAN_MAX_AMOUNT"    # those of an order add up in 64 bits

# The columns of many orders; owned by a Batch. Lines of order i are offsets[i]:offsets[i + 1].
cdef struct Columns:
    int64_t count
    const double* lat               # [count], degrees in range
    const double* lng
    const int64_t* offsets          # [count + 1], from 0, strictly increasing
    const int32_t* skus             # [offsets[count]], known codes, each once in an order
    const int32_t* quantities       # 1 or more
    const int64_t* amounts          # [offsets[count]], 0 to MAX_AMOUNT; or NULL: no line has one
    const Span* ids                 # [count], usable; or NULL: the orders have none
    const Asked* asked              # NULL: no policy is there to ask
    const int32_t* asked_rows       # [count], which of them is the order's; or NULL: its own row


# What an order says beside its place and lines, or NULL.
cdef inline const Asked* asked_at(const Columns* orders, int64_t row) noexcept nogil:
    if orders.asked == NULL:
        return NULL
    return orders.asked + (row if orders.asked_rows == NULL else orders.asked_rows[row])


@cython.final
cdef class Batch:
    cdef Columns columns
    cdef readonly list ids          # as str, where they came so
    cdef str _style                 # how errors name a value
    cdef dict _arrays               # the numpy arrays that own what `columns` points at
    cdef object _owner              # of the text that `columns.ids` points at


# The SKU of a line, and its numbers.
cdef object read_line(object line, int32_t* quantity, int64_t* amount)
# Of orders with ids, whose offsets are right, the first that can be refused, or -1; and whether a
# SKU may stand twice in an order.
cdef int64_t first_unsound(const Columns* orders, int32_t sku_count, bint* repeats) noexcept nogil
