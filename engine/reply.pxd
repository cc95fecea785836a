"""The answer of the routing service, as bytes."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.names cimport NameTable, Names, Span
from fendan.engine.network cimport Layout
from fendan.engine.request cimport Request
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, PartList, Shipments

# RouteResponse, BatchRouteResponse and StreamRouteResponse: number << 3 | wire type.
cdef enum:
    TAG_DECISIONS = 1 << 3 | 2
    TAG_ANSWERED_ID = 2 << 3 | 0
    TAG_REFUSAL = 3 << 3 | 2

# Decision
cdef enum:
    TAG_DECIDED_ID = 1 << 3 | 2
    TAG_STATUS = 2 << 3 | 0
    TAG_STORE_ID = 3 << 3 | 2
    TAG_DISTANCE_M = 4 << 3 | 1
    TAG_REASON = 5 << 3 | 0
    TAG_POLICY_VERSION = 6 << 3 | 0
    TAG_STEP = 7 << 3 | 0
    TAG_PROMISED_AT = 8 << 3 | 2
    TAG_MERGE_GROUP = 9 << 3 | 0
    TAG_SHIPMENTS = 10 << 3 | 2

# Shipment
cdef enum:
    TAG_SHIPMENT_NUMBER = 1 << 3 | 0
    TAG_SHIPMENT_STORE_ID = 2 << 3 | 2
    TAG_SHIPMENT_DISTANCE_M = 3 << 3 | 1
    TAG_SHIPMENT_LINES = 4 << 3 | 2
    TAG_SHIPMENT_PROMISED_AT = 5 << 3 | 2
    TAG_SUPPLY_DATE = 6 << 3 | 2

# ShipmentLine
cdef enum:
    TAG_SHIPPED_SKU = 1 << 3 | 2
    TAG_SHIPPED_QUANTITY = 2 << 3 | 0

# google.protobuf.Timestamp
cdef enum:
    TAG_SECONDS = 1 << 3 | 0
    TAG_NANOS = 2 << 3 | 0


# A Timestamp, as it stands on the wire.
cdef struct Moment:
    bint is_said
    int64_t seconds             # since 1970
    int32_t nanos


# What a Decision says, but for its shipments, as it stands on the wire.
cdef struct Answer:
    Span order_id
    Span store_id               # of size 0: none
    double distance_m           # 0 where there is no store
    int32_t status              # StatusCode
    int32_t reason              # ReasonCode
    int32_t policy_version
    int32_t step                # rules.StepName
    Moment promised
    int64_t merge_group


# All that an answer is written from.
cdef struct Told:
    const Span* ids             # [orders]
    const Verdict* verdicts
    const Grant* grants         # or NULL: no policy was asked
    const PartList* parts       # by row; or NULL: no order was split
    const char** store_ids      # by code
    const NameTable* skus


cdef Answer no_answer() noexcept nogil

# The bytes of all answers of a message, and to write them.
cdef int64_t all_size(const Told* told, int64_t count, uint64_t correlation_id) noexcept nogil
cdef uint8_t* put_all(uint8_t* at, const Told* told, int64_t count,
                      uint64_t correlation_id) noexcept nogil


@cython.final
cdef class Reply:
    cdef readonly Request request
    cdef readonly object verdicts
    cdef readonly Layout layout
    cdef readonly object grants
    cdef readonly Shipments shipments
    cdef readonly Names skus
