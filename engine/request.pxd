"""A request of the routing service, as columns."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.asking cimport Said
from fendan.engine.fields cimport Reader
from fendan.engine.names cimport Span

cdef enum KindCode:
    KIND_ROUTE = 0
    KIND_BATCH = 1
    KIND_STREAM = 2

# RouteRequest, BatchRouteRequest and StreamRouteRequest: number << 3 | wire type.
cdef enum:
    TAG_ORDERS = 1 << 3 | 2
    TAG_POLICY = 2 << 3 | 2
    TAG_DRY_RUN = 3 << 3 | 0
    TAG_CORRELATION_ID = 4 << 3 | 0
    TAG_ALLOCATION = 5 << 3 | 0

# RoutePolicy
cdef enum:
    TAG_RADIUS_M = 1 << 3 | 1

# Order
cdef enum:
    TAG_ORDER_ID = 1 << 3 | 2
    TAG_LAT = 2 << 3 | 1
    TAG_LNG = 3 << 3 | 1
    TAG_LINES = 4 << 3 | 2
    TAG_DATUM = 5 << 3 | 0
    TAG_ORDER_TYPE = 6 << 3 | 0
    TAG_CHANNEL = 7 << 3 | 2
    TAG_REGION = 8 << 3 | 2
    TAG_PICKUP_STORE_ID = 9 << 3 | 2
    TAG_GROUP_ID = 10 << 3 | 2
    TAG_BUYER_ID = 11 << 3 | 2
    TAG_ADDRESS_ID = 12 << 3 | 2
    TAG_PRIORITY = 13 << 3 | 0

# OrderLine
cdef enum:
    TAG_SKU = 1 << 3 | 2
    TAG_QUANTITY = 2 << 3 | 0
    TAG_AMOUNT = 3 << 3 | 0


# What the message says; nothing in it is checked but that it is such a message. Owned by a
# Request. Lines of order i are offsets[i]:offsets[i + 1].
cdef struct Message:
    KindCode kind
    int64_t count               # of orders
    int64_t line_count
    double* lat                 # [count]
    double* lng
    int64_t* offsets            # [count + 1], from 0; an order may have no lines
    int32_t* datums             # [count], of the enum Datum, or any other number
    Said* said                  # [count], UTF-8; or NULL: no order says any of it
    Span* ids                   # [count], UTF-8
    Span* skus                  # [line_count], UTF-8
    int32_t* quantities         # [line_count]
    int64_t* amounts            # [line_count], of any sign
    bint has_said
    bint has_datums             # False: all are 0
    bint has_amounts            # False: all are 0
    bint has_policy
    bint has_radius
    double radius_m
    bint dry_run
    int32_t allocation          # of the enum Allocation, or any other number
    bint has_priorities         # False: all are 0
    uint64_t correlation_id


@cython.final
cdef class Request:
    cdef Message message
    cdef bytes _data                # what the spans point into
    cdef dict _arrays               # the numpy arrays that own what `message` points at

    cdef int _make_room(self) except -1


# What a message says: first how much there is, then all of it, into arrays of that size.
cdef void count_orders(Reader* reader, Message* message) noexcept nogil
cdef void read_message(Reader* reader, Message* message) noexcept nogil
cdef str text_of(Span span)
