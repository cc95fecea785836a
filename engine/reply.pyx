"""The answer of the routing service, written from verdicts with no Python object an order.

Written in two passes without the GIL: one measures, so that the bytes are made in their size at
once; the other fills them. As the protobuf runtimes write it, byte for byte: fields in the order
of their numbers, zeros left out.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, strlen

from fendan.engine.fields cimport (
    is_zero, put_double, put_number, put_text, varint_size,
)
from fendan.engine.names cimport NO_NAME, Names, Span, name_in
from fendan.engine.network cimport NO_STORE, Layout
from fendan.engine.request cimport Request, text_of
from fendan.engine.router cimport Verdict
from fendan.engine.shipments cimport Grant, Part, PartList, Shipments, first_part
from fendan.engine.terms cimport NS_PER_S

import numpy as np

from fendan.engine.outcome import Decision
from fendan.engine.router import Reason, Status
from fendan.engine.shipments import Shipment
from fendan.rules import StepName

_OUTCOMES = (max(Status) + 1, max(Reason) + 1)

cdef enum:
    SUPPLY_MARK = 0x1f          # between a SKU and the date of its supply


@cython.final
cdef class Reply:
    """The decisions on a request.

    `verdicts`: one row of VERDICT_DTYPE an order. `layout`: where the stores' ids are; ids are
    only ever added, so any layout will do that is as new as the verdicts. Under a policy also
    `grants`, one row of GRANT_DTYPE an order, the `shipments` of those that were split, by row,
    and the `skus` whose codes stand there.
    """

    def __init__(self, Request request not None, verdicts, Layout layout not None, grants=None,
                 Shipments shipments=None, Names skus=None):
        assert len(verdicts) == len(request), "one verdict an order"
        assert grants is None or len(grants) == len(request), "one grant an order"
        assert shipments is None or skus is not None, "shipments are of SKUs"
        self.request = request
        self.verdicts = verdicts
        self.layout = layout
        self.grants, self.shipments, self.skus = grants, shipments, skus

    def __len__(self):
        return len(self.request)

    @property
    def statuses(self):
        """uint8[n], values of Status."""
        return np.ascontiguousarray(self.verdicts["status"])

    @property
    def outcomes(self):
        """int64[statuses, reasons]: how many orders were told what."""
        cdef const Verdict[::1] verdicts = self.verdicts
        cdef int64_t[:, ::1] counts
        cdef Py_ssize_t row
        array = np.zeros(_OUTCOMES, np.int64)
        counts = array
        for row in range(verdicts.shape[0]):
            counts[verdicts[row].status, verdicts[row].reason] += 1
        return array

    def decision(self, Py_ssize_t row):
        """What one order was told; slow, for logs."""
        cdef const Verdict[::1] verdicts = self.verdicts
        cdef const Grant[::1] grants = self.grants
        cdef const Verdict* verdict = &verdicts[row]
        has_store = verdict.store != NO_STORE
        more = {}
        if grants is not None:
            more = {
                "policy_version": grants[row].policy_version,
                "step": StepName(grants[row].step),
                "promised_ns": grants[row].promised_ns or None,
                "merge_group": grants[row].merge_group,
                "shipments": self._shipments_of(row),
            }
        return Decision(
            order_id=self.request.order_id(row),
            status=Status(verdict.status),
            store_id=self._store_id(verdict.store) if has_store else None,
            distance_m=verdict.distance_m if has_store else None,
            reason=Reason(verdict.reason),
            **more,
        )

    def _shipments_of(self, Py_ssize_t row):
        cdef Told told
        cdef Told* all = &told
        cdef const Part* part
        cdef int64_t at, line, first
        cdef Span date
        found = []
        if self.shipments is None:
            return ()
        told.parts, told.skus = &self.shipments.list, &self.skus.table
        at = first = first_part(told.parts, row)
        while at < told.parts.count and told.parts.parts[at].row == row:
            part = told.parts.parts + at
            date = date_of(all, part)
            found.append(Shipment(
                number=at - first + 1, store_id=self._store_id(part.store),
                distance_m=part.distance_m, promised_ns=part.promised_ns or None,
                supply_date=text_of(date),
                lines=tuple([
                    (text_of(sku_of(all, line)), told.parts.quantities[line])
                    for line in range(part.first_line, part.first_line + part.line_count)
                ]),
            ))
            at += 1
        return tuple(found)

    def _store_id(self, int32_t store):
        return self.layout.leaves.id_text[store].decode()

    def encode(self):
        """The RouteResponse, BatchRouteResponse or StreamRouteResponse, as the request asks."""
        cdef const Verdict[::1] verdicts = self.verdicts
        cdef const Grant[::1] grants = self.grants
        cdef uint64_t correlation_id = self.request.message.correlation_id
        cdef int64_t size, count = verdicts.shape[0]
        cdef Told told
        cdef bytes data
        cdef uint8_t* at
        told.ids = self.request.message.ids
        told.verdicts = &verdicts[0] if count else NULL
        told.grants = &grants[0] if grants is not None and count else NULL
        told.parts = NULL if self.shipments is None else &self.shipments.list
        told.skus = NULL if self.skus is None else &self.skus.table
        told.store_ids = self.layout.leaves.id_text
        # The names of SKUs move when there are more of them, for which another thread needs the GIL.
        if told.parts != NULL:
            size = all_size(&told, count, correlation_id)
        else:
            with nogil:
                size = all_size(&told, count, correlation_id)
        data = PyBytes_FromStringAndSize(NULL, size)
        at = <uint8_t*><char*>data
        if told.parts != NULL:
            at = put_all(at, &told, count, correlation_id)
        else:
            with nogil:
                at = put_all(at, &told, count, correlation_id)
        assert at - <uint8_t*><char*>data == size
        return data


cdef int64_t all_size(const Told* told, int64_t count, uint64_t correlation_id) noexcept nogil:
    cdef int64_t row, size = 0
    for row in range(count):
        size += message_size(answer_size(told, row))
    return size + number_size(correlation_id)  # which messages of streams alone have


cdef uint8_t* put_all(uint8_t* at, const Told* told, int64_t count,
                      uint64_t correlation_id) noexcept nogil:
    cdef int64_t row
    for row in range(count):
        at = put_answer(at, told, row)
    return put_some(at, TAG_ANSWERED_ID, correlation_id)


# -- DECISIONS ---------------------------------------------------------------------------------

cdef Answer no_answer() noexcept nogil:
    cdef Answer answer
    answer.order_id.text = answer.store_id.text = b""
    answer.order_id.size = answer.store_id.size = 0
    answer.distance_m = 0.0
    answer.status = answer.reason = answer.policy_version = answer.step = 0
    answer.promised = moment_of(0)
    answer.merge_group = 0
    return answer


cdef inline Answer answer_of(const Told* told, int64_t row) noexcept nogil:
    cdef const Verdict* verdict = told.verdicts + row
    cdef Answer answer = no_answer()
    answer.order_id = told.ids[row]
    answer.status = verdict.status
    answer.reason = verdict.reason
    if verdict.store != NO_STORE:
        answer.store_id = id_of(told, verdict.store)
        answer.distance_m = verdict.distance_m
    if told.grants != NULL:
        answer.policy_version = told.grants[row].policy_version
        answer.step = told.grants[row].step
        answer.promised = moment_of(told.grants[row].promised_ns)
        answer.merge_group = told.grants[row].merge_group
    return answer


cdef inline int64_t message_size(int64_t size) noexcept nogil:
    """How many bytes a message or a text of this size takes, with its tag and its length."""
    return 1 + varint_size(size) + size


cdef inline int64_t number_size(uint64_t value) noexcept nogil:
    """How many bytes a number takes, with its tag; none where it is 0."""
    return 1 + varint_size(value) if value else 0


cdef inline uint8_t* put_some(uint8_t* at, uint8_t tag, uint64_t value) noexcept nogil:
    return put_number(at, tag, value) if value else at


cdef inline int64_t answer_size(const Told* told, int64_t row) noexcept nogil:
    """The bytes that `put_answer` writes after the length."""
    cdef Answer answer = answer_of(told, row)
    cdef int64_t size = number_size(answer.status) + number_size(answer.reason)
    if answer.order_id.size:
        size += message_size(answer.order_id.size)
    if answer.store_id.size:
        size += message_size(answer.store_id.size)
    if not is_zero(answer.distance_m):
        size += 1 + sizeof(double)
    if told.grants != NULL:
        size += number_size(answer.policy_version) + number_size(answer.step)
        size += number_size(answer.merge_group)
        if answer.promised.is_said:
            size += message_size(moment_size(&answer.promised))
        if told.verdicts[row].shipments:
            size += shipments_size(told, row)
    return size


cdef inline uint8_t* put_answer(uint8_t* at, const Told* told, int64_t row) noexcept nogil:
    cdef Answer answer = answer_of(told, row)
    at = put_number(at, TAG_DECISIONS, answer_size(told, row))
    if answer.order_id.size:
        at = put_text(at, TAG_DECIDED_ID, answer.order_id)
    at = put_some(at, TAG_STATUS, answer.status)
    if answer.store_id.size:
        at = put_text(at, TAG_STORE_ID, answer.store_id)
    if not is_zero(answer.distance_m):
        at = put_double(at, TAG_DISTANCE_M, answer.distance_m)
    at = put_some(at, TAG_REASON, answer.reason)
    if told.grants != NULL:
        at = put_some(at, TAG_POLICY_VERSION, answer.policy_version)
        at = put_some(at, TAG_STEP, answer.step)
        at = put_moment(at, TAG_PROMISED_AT, &answer.promised)
        at = put_some(at, TAG_MERGE_GROUP, answer.merge_group)
        if told.verdicts[row].shipments:
            at = put_shipments(at, told, row)
    return at


cdef inline Span id_of(const Told* told, int32_t store) noexcept nogil:
    cdef Span id
    id.text = told.store_ids[store]
    id.size = strlen(id.text)
    return id


# -- TIMES -------------------------------------------------------------------------------------

cdef inline Moment moment_of(int64_t ns) noexcept nogil:
    """A time after 1970 in nanoseconds; 0: none is said."""
    cdef Moment moment
    moment.is_said = ns != 0
    moment.seconds = ns // NS_PER_S
    moment.nanos = <int32_t>(ns % NS_PER_S)
    return moment


cdef inline int64_t moment_size(const Moment* moment) noexcept nogil:
    return number_size(moment.seconds) + number_size(moment.nanos)


cdef inline uint8_t* put_moment(uint8_t* at, uint8_t tag, const Moment* moment) noexcept nogil:
    if moment.is_said:
        at = put_number(at, tag, moment_size(moment))
        at = put_some(at, TAG_SECONDS, moment.seconds)
        at = put_some(at, TAG_NANOS, moment.nanos)
    return at


# -- SHIPMENTS ---------------------------------------------------------------------------------

cdef Span sku_of(const Told* told, int64_t line) noexcept nogil:
    """The SKU of a line, without the date of its supply."""
    cdef Span sku = name_in(told.skus, told.parts.skus[line])
    cdef const char* mark = <const char*>memchr(sku.text, SUPPLY_MARK, sku.size)
    if mark != NULL:
        sku.size = mark - sku.text
    return sku


cdef Span date_of(const Told* told, const Part* part) noexcept nogil:
    """The date of the last supply that a shipment waits for; or nothing."""
    cdef Span last, date
    cdef const char* mark
    cdef int64_t line
    last.text, last.size = b"", 0
    for line in range(part.first_line, part.first_line + part.line_count):
        date = name_in(told.skus, told.parts.skus[line])
        mark = <const char*>memchr(date.text, SUPPLY_MARK, date.size)
        if mark == NULL:
            continue
        date.size -= mark + 1 - date.text
        date.text = mark + 1
        if last.size == 0 or memcmp(date.text, last.text, min(date.size, last.size)) > 0:
            last = date
    return last


cdef int64_t shipment_size(const Told* told, const Part* part, int64_t number) noexcept nogil:
    cdef Moment promised = moment_of(part.promised_ns)
    cdef Span date = date_of(told, part)
    cdef int64_t line, size = number_size(number) + message_size(id_of(told, part.store).size)
    if not is_zero(part.distance_m):
        size += 1 + sizeof(double)
    for line in range(part.first_line, part.first_line + part.line_count):
        size += message_size(line_size(told, line))
    if promised.is_said:
        size += message_size(moment_size(&promised))
    if date.size:
        size += message_size(date.size)
    return size


cdef inline int64_t line_size(const Told* told, int64_t line) noexcept nogil:
    return (message_size(sku_of(told, line).size)
            + number_size(<uint64_t>told.parts.quantities[line]))


cdef int64_t shipments_size(const Told* told, int64_t row) noexcept nogil:
    cdef int64_t first = first_part(told.parts, row)
    cdef int64_t at = first, size = 0
    while at < told.parts.count and told.parts.parts[at].row == row:
        size += message_size(shipment_size(told, told.parts.parts + at, at - first + 1))
        at += 1
    return size


cdef uint8_t* put_shipments(uint8_t* at, const Told* told, int64_t row) noexcept nogil:
    cdef int64_t first = first_part(told.parts, row)
    cdef int64_t place = first
    while place < told.parts.count and told.parts.parts[place].row == row:
        at = put_shipment(at, told, told.parts.parts + place, place - first + 1)
        place += 1
    return at


cdef uint8_t* put_shipment(uint8_t* at, const Told* told, const Part* part,
                           int64_t number) noexcept nogil:
    cdef Moment promised = moment_of(part.promised_ns)
    cdef Span date = date_of(told, part)
    cdef int64_t line
    at = put_number(at, TAG_SHIPMENTS, shipment_size(told, part, number))
    at = put_some(at, TAG_SHIPMENT_NUMBER, number)
    at = put_text(at, TAG_SHIPMENT_STORE_ID, id_of(told, part.store))
    if not is_zero(part.distance_m):
        at = put_double(at, TAG_SHIPMENT_DISTANCE_M, part.distance_m)
    for line in range(part.first_line, part.first_line + part.line_count):
        at = put_number(at, TAG_SHIPMENT_LINES, line_size(told, line))
        at = put_text(at, TAG_SHIPPED_SKU, sku_of(told, line))
        at = put_some(at, TAG_SHIPPED_QUANTITY, <uint64_t>told.parts.quantities[line])
    at = put_moment(at, TAG_SHIPMENT_PROMISED_AT, &promised)
    if date.size:
        at = put_text(at, TAG_SUPPLY_DATE, date)
    return at
