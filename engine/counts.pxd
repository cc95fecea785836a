"""Stock updates of the inventory service, as columns."""
cimport cython
from libc.stdint cimport int32_t, int64_t

from fendan.engine.names cimport Span

# SetStockRequest and AdjustStockRequest: number << 3 | wire type.
cdef enum:
    TAG_PARTS = 1 << 3 | 2
    TAG_KEY = 2 << 3 | 2

# StockSnapshot and StockAdjustment
cdef enum:
    TAG_STORE_ID = 1 << 3 | 2
    TAG_VERSION = 2 << 3 | 0
    TAG_ROWS = 3 << 3 | 2

# StockCount and StockChange
cdef enum:
    TAG_ROW_SKU = 1 << 3 | 2
    TAG_VALUE = 2 << 3 | 0


# What the message says; nothing in it is checked but that it is such a message. Owned by a
# StockRequest. Rows of part i are starts[i]:starts[i + 1].
cdef struct Update:
    int64_t part_count          # snapshots or adjustments, each of one store
    int64_t row_count
    Span* stores                # [part_count], UTF-8
    int64_t* versions           # [part_count]
    int64_t* starts             # [part_count + 1], from 0
    Span* skus                  # [row_count], UTF-8
    int32_t* values             # [row_count], on_hand or delta
    Span key


@cython.final
cdef class StockRequest:
    cdef Update update
    cdef readonly object kind
    cdef bytes _data            # what the spans point into
    cdef dict _arrays           # the numpy arrays that own what `update` points at

    cdef int _make_room(self) except -1
