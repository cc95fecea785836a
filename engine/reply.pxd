"""The answer of the routing service, as bytes."""
cimport cython
from libc.stdint cimport int32_t

from fendan.engine.names cimport Span
from fendan.engine.network cimport Layout
from fendan.engine.request cimport Request

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


# What a Decision says, as it stands on the wire.
cdef struct Answer:
    Span order_id
    Span store_id               # of size 0: none
    double distance_m           # 0 where there is no store
    int32_t status              # StatusCode
    int32_t reason              # ReasonCode


@cython.final
cdef class Reply:
    cdef readonly Request request
    cdef readonly object verdicts
    cdef readonly Layout layout
