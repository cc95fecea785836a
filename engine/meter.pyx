"""The meter: how long the stages of requests took, and what orders were told, as plain numbers.

    outcomes  int64[statuses, reasons]      orders, as `Reply.outcomes` has those of one message
    within    int64[stages, buckets + 1]    requests, by how long they took; the last: longer than all
    seconds   float64[stages]               how long they took together

Both doors count here, a message or what one of them does as one; a counter of Prometheus' client
takes some microseconds, and there are a dozen a message. Invariant: each row of `within` adds up to
how often its stage was told of.
"""
cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memset

from fendan.engine.timers cimport NANOSECONDS

from typing import NamedTuple

import numpy as np

# Where the time of a hot request goes, in this order; after the queue, that of a routing one.
STAGES = ("queue", "decode", "search", "reply")

# Upper ends: from 10 us, where one order is routed, to 1 s, where a client has long given up.
cdef int64_t EDGES_NS[BUCKETS]
EDGES_NS[:] = [
    10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000, 20_000_000, 50_000_000, 100_000_000, 200_000_000, 500_000_000, 1_000_000_000,
]
EDGES_S = tuple([edge / <double>NANOSECONDS for edge in EDGES_NS])


class Readings(NamedTuple):
    """What there was so far; see the module."""

    outcomes: np.ndarray
    within: np.ndarray
    seconds: np.ndarray


cdef int bucket_of(int64_t ns) noexcept nogil:
    cdef int bucket = 0
    while bucket < BUCKETS and ns > EDGES_NS[bucket]:
        bucket += 1
    return bucket


@cython.final
cdef class Meter:
    """Counts from any thread."""

    def __cinit__(self):
        memset(self.within, 0, sizeof(self.within))
        memset(self.seconds, 0, sizeof(self.seconds))
        memset(self.outcomes, 0, sizeof(self.outcomes))

    cdef int took(self, Stage stage, int64_t ns) except -1:
        self.within[<int>stage][bucket_of(ns)] += 1
        self.seconds[<int>stage] += ns / <double>NANOSECONDS
        return 0

    def stage(self, str name not None, double seconds):
        """How long a request spent in one of STAGES. Raises ValueError for what is none."""
        self.took(STAGES.index(name), <int64_t>(seconds * NANOSECONDS))

    def routed(self, const int64_t[:, ::1] outcomes not None):
        """Count decisions: int64[statuses, reasons]."""
        cdef int status, reason
        assert outcomes.shape[0] == STATUS_COUNT and outcomes.shape[1] == REASON_COUNT
        for status in range(STATUS_COUNT):
            for reason in range(REASON_COUNT):
                self.outcomes[status][reason] += outcomes[status, reason]

    def read(self):
        """What there was so far, as copies."""
        return Readings(
            np.array(<int64_t[:STATUS_COUNT, :REASON_COUNT]>&self.outcomes[0][0]),
            np.array(<int64_t[:STAGE_COUNT, :BUCKETS + 1]>&self.within[0][0]),
            np.array(<double[:STAGE_COUNT]>&self.seconds[0]),
        )
