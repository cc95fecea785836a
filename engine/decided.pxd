"""What was decided on the new orders of a batch: kept, written down, or taken back."""
from libc.stdint cimport int64_t

from fendan.engine.batch cimport Columns
from fendan.engine.changes cimport Ring
from fendan.engine.events cimport EventBuffer
from fendan.engine.loads cimport Loads
from fendan.engine.names cimport NameTable
from fendan.engine.network cimport Leaves
from fendan.engine.records cimport Table
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.shelves cimport Basket, Quantity, Shelves


# The decisions on the new orders of a batch, in turn. Order `row` has the record
# numbers[rows[row]]; where they have no ids, there are neither numbers nor rows nor records.
cdef struct Decided:
    const Columns* orders
    Verdict* verdicts           # [orders.count]
    Grant* grants               # [orders.count]; or NULL: no policy was asked
    PartList* parts             # of those that were split, by row; or NULL
    const Quantity* before      # [lines]: the counts found at its store; NULL: not asked for
    const int64_t* numbers
    const int64_t* rows
    int64_t due_ns              # of the reservations, where no policy was asked


# One order's lines. It has amounts if one of them has, whatever others of the batch have.
cdef Basket basket_in(const Columns* orders, int64_t row) noexcept nogil

# How many bytes the events of all take at most.
cdef int64_t most_bytes(const Decided* decided) noexcept nogil

# Note in the records what was decided, so that repeats can be told; nothing is held yet.
cdef void note_decided(Table* table, Decided* decided, const NameTable* skus) noexcept nogil

# Add the records of all shipments; how many were added, and in `all` whether there was room.
cdef int64_t add_all_shipments(Table* table, const Decided* decided, bint* all) noexcept nogil

# From now on the orders are what was decided; the records of shipments are there.
cdef void keep_decided(Table* table, const Decided* decided) noexcept nogil

# Once all of it is reserved: have `before` be what each event finds when those written before it are
# applied again.
cdef void find_in_turn(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil

# Write down what each order was told first. Returns the last row whose counts cannot be, or -1.
cdef int64_t put_decisions(EventBuffer* buffer, const Table* table,
                           const Decided* decided) noexcept nogil

# Reserve what was decided elsewhere, and find the counts; whether all of it was there.
cdef bint reserve(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil

# Count the orders at the stores that they were given to.
cdef void note_loads(Loads* loads, const Decided* decided, int64_t now_ns) noexcept nogil

# Tell watchers which pairs changed; or give back what was reserved.
cdef void note_reserved(Ring* ring, const Decided* decided) noexcept nogil
cdef void undo(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil
