"""The answer of the routing service, written from verdicts with no Python object an order.

Written in two passes without the GIL: one measures, so that the bytes are made in their size at
once; the other fills them. As the protobuf runtimes write it, byte for byte: fields in the order
of their numbers, zeros left out.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport strlen

from fendan.engine.fields cimport (
    is_zero, put_double, put_number, put_text, varint_size,
)
from fendan.engine.names cimport Span
from fendan.engine.network cimport NO_STORE, Layout
from fendan.engine.request cimport Request
from fendan.engine.router cimport Verdict

import numpy as np

from fendan.engine.outcome import Decision
from fendan.engine.router import Reason, Status


@cython.final
cdef class Reply:
    """The decisions on a request.

    `verdicts`: one row of VERDICT_DTYPE an order. `layout`: where the stores' ids are; ids are
    only ever added, so any layout will do that is as new as the verdicts.
    """

    def __init__(self, Request request not None, verdicts, Layout layout not None):
        assert len(verdicts) == len(request), "one verdict an order"
        self.request = request
        self.verdicts = verdicts
        self.layout = layout

    def __len__(self):
        return len(self.request)

    @property
    def statuses(self):
        """uint8[n], values of Status."""
        return np.ascontiguousarray(self.verdicts["status"])

    @property
    def reasons(self):
        """uint8[n], values of Reason."""
        return np.ascontiguousarray(self.verdicts["reason"])

    def decision(self, Py_ssize_t row):
        """What one order was told; slow, for logs."""
        cdef const Verdict[::1] verdicts = self.verdicts
        cdef const Verdict* verdict = &verdicts[row]
        has_store = verdict.store != NO_STORE
        return Decision(
            order_id=self.request.order_id(row),
            status=Status(verdict.status),
            store_id=self.layout.leaves.id_text[verdict.store].decode() if has_store else None,
            distance_m=verdict.distance_m if has_store else None,
            reason=Reason(verdict.reason),
        )

    def encode(self):
        """The RouteResponse, BatchRouteResponse or StreamRouteResponse, as the request asks."""
        cdef const Verdict[::1] verdicts = self.verdicts
        cdef const Span* ids = self.request.message.ids
        cdef const char** store_ids = self.layout.leaves.id_text
        cdef uint64_t correlation_id = self.request.message.correlation_id
        cdef int64_t row, size = 0
        cdef Answer answer
        cdef bytes data
        cdef uint8_t* at
        with nogil:
            for row in range(verdicts.shape[0]):
                answer = answer_of(ids[row], &verdicts[row], store_ids)
                size += message_size(answer_size(&answer))
            if correlation_id:  # which no other message has
                size += 1 + varint_size(correlation_id)
        data = PyBytes_FromStringAndSize(NULL, size)
        at = <uint8_t*><char*>data
        with nogil:
            for row in range(verdicts.shape[0]):
                answer = answer_of(ids[row], &verdicts[row], store_ids)
                at = put_answer(at, &answer)
            if correlation_id:
                at = put_number(at, TAG_ANSWERED_ID, correlation_id)
        assert at - <uint8_t*><char*>data == size
        return data


cdef inline Answer answer_of(Span order_id, const Verdict* verdict,
                             const char** store_ids) noexcept nogil:
    cdef Answer answer
    answer.order_id = order_id
    answer.store_id.text = b""
    answer.store_id.size = 0
    answer.distance_m = 0.0
    answer.status = verdict.status
    answer.reason = verdict.reason
    if verdict.store != NO_STORE:
        answer.store_id.text = store_ids[verdict.store]
        answer.store_id.size = strlen(answer.store_id.text)
        answer.distance_m = verdict.distance_m
    return answer


cdef inline int64_t message_size(int64_t size) noexcept nogil:
    """How many bytes a message or a text of this size takes, with its tag and its length."""
    return 1 + varint_size(size) + size


cdef inline int64_t answer_size(const Answer* answer) noexcept nogil:
    """The bytes that `put_answer` writes after the length."""
    cdef int64_t size = 0
    if answer.order_id.size:
        size += message_size(answer.order_id.size)
    if answer.status:
        size += 1 + varint_size(answer.status)
    if answer.store_id.size:
        size += message_size(answer.store_id.size)
    if not is_zero(answer.distance_m):
        size += 1 + sizeof(double)
    if answer.reason:
        size += 1 + varint_size(answer.reason)
    return size


cdef inline uint8_t* put_answer(uint8_t* at, const Answer* answer) noexcept nogil:
    at = put_number(at, TAG_DECISIONS, answer_size(answer))
    if answer.order_id.size:
        at = put_text(at, TAG_DECIDED_ID, answer.order_id)
    if answer.status:
        at = put_number(at, TAG_STATUS, answer.status)
    if answer.store_id.size:
        at = put_text(at, TAG_STORE_ID, answer.store_id)
    if not is_zero(answer.distance_m):
        at = put_double(at, TAG_DISTANCE_M, answer.distance_m)
    if answer.reason:
        at = put_number(at, TAG_REASON, answer.reason)
    return at
