"""The express: messages of plain orders, from bytes to bytes, in memory that is kept."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t

from fendan.engine.asking cimport Said
from fendan.engine.batch cimport Columns
from fendan.engine.decided cimport Decided
from fendan.engine.fields cimport Reader
from fendan.engine.orders cimport Orders
from fendan.engine.reply cimport Told
from fendan.engine.request cimport Message
from fendan.engine.router cimport Verdict
from fendan.engine.shelves cimport Quantity

cdef enum:
    # Beyond these a message goes the long way, which costs the less an order the more there are:
    # so what is kept stays below 4 MB.
    MOST_ORDERS = 4_096
    MOST_LINES = 32_768
    MOST_BYTES = 524_288        # so that a large message is not even counted


# What is needed beside the message's own arrays to decide on its orders.
cdef struct Room:
    int64_t orders              # there is room for so many
    int64_t lines
    Said* said                  # [orders], of the message; where any says something
    int32_t* codes              # [lines], of the SKUs
    Quantity* before            # [lines]
    uint32_t* hashes            # [orders], of the ids
    int64_t* numbers            # [orders], the records
    int64_t* rows               # [orders]
    Verdict* verdicts           # [orders]


@cython.final
cdef class Express:
    cdef readonly Orders orders
    cdef Message message
    cdef Room room
    cdef Columns columns
    cdef Decided decided
    cdef Told told

    cdef bint read(self, Reader* reader, int64_t most_orders) noexcept nogil
    cdef bint make_room(self) noexcept nogil
    cdef void point(self) noexcept nogil
    cdef bint decide(self, double radius_m) noexcept nogil
    cdef void give_back(self) noexcept nogil
