"""A call as the client makes it: `fendan.Order` objects to bytes, bytes to decisions.

What is written is what the protobuf runtimes would write, byte for byte. What is read is accepted
where they accept it.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from fendan.engine.asking cimport TYPE_GROUP, TYPE_UNSPECIFIED
from fendan.engine.batch cimport MAX_LINES_PER_ORDER, read_line
from fendan.engine.fields cimport (
    LONG_BYTES, MAX_MESSAGE_BYTES, Field, Reader, as_double, check, check_text, is_zero,
    next_field, passed, put_double, put_number, put_text, put_varint, reader_of, varint_size,
    within,
)
from fendan.engine.names cimport Span, span_of
from fendan.engine.network cimport is_usable_id
from fendan.engine.outcome cimport Decision
from fendan.engine.reply cimport (
    TAG_ANSWERED_ID, TAG_DECIDED_ID, TAG_DECISIONS, TAG_DISTANCE_M, TAG_MERGE_GROUP, TAG_NANOS,
    TAG_POLICY_VERSION, TAG_PROMISED_AT, TAG_REASON, TAG_REFUSAL, TAG_SECONDS, TAG_SHIPMENTS,
    TAG_SHIPMENT_DISTANCE_M, TAG_SHIPMENT_LINES, TAG_SHIPMENT_NUMBER, TAG_SHIPMENT_PROMISED_AT,
    TAG_SHIPMENT_STORE_ID, TAG_SHIPPED_QUANTITY, TAG_SHIPPED_SKU, TAG_STATUS, TAG_STEP,
    TAG_STORE_ID, TAG_SUPPLY_DATE, Answer, Moment, no_answer,
)
from fendan.engine.request cimport (
    KIND_ROUTE, KIND_STREAM, TAG_ADDRESS_ID, TAG_ALLOCATION, TAG_AMOUNT, TAG_BUYER_ID,
    TAG_CHANNEL, TAG_CORRELATION_ID, TAG_DATUM, TAG_DRY_RUN, TAG_GROUP_ID, TAG_LAT, TAG_LINES,
    TAG_LNG, TAG_ORDER_ID, TAG_ORDER_TYPE, TAG_ORDERS, TAG_PICKUP_STORE_ID, TAG_POLICY,
    TAG_PRIORITY, TAG_QUANTITY, TAG_RADIUS_M, TAG_REGION, TAG_SKU, KindCode, text_of,
)

from numbers import Real
from typing import NamedTuple

from fendan.engine.asking import explain_said
from fendan.engine.batch import explain
from fendan.engine.fault import Fault
from fendan.engine.geo import DATUMS as _DATUMS
from fendan.engine.place import field_of, row_of
from fendan.engine.request import Kind
from fendan.engine.router import Reason, Status
from fendan.engine.shipments import Shipment
from fendan.errors import refuse
from fendan.rules import StepName

cdef enum:
    LEAST_BYTES = 256
    HIGHEST_PRIORITY = 9        # asking.HIGHEST_PRIORITY
    ALLOCATION_PRIORITY = 1     # of the enum Allocation


class Refusal(NamedTuple):
    """Why nothing of a stream's message was done; as the message of that name says."""

    status: int
    message: str
    code: str
    field: str
    retry_after_ms: int


class Response(NamedTuple):
    """What a service answered. Either `decisions`, one an order in their order, or `refusal`."""

    decisions: list
    correlation_id: int
    refusal: Refusal | None


# -- WRITING -----------------------------------------------------------------------------------

@cython.final
cdef class Buffer:
    def __dealloc__(self):
        free(self.data)

    cdef uint8_t* room(self, int64_t more) except NULL:
        """Where the next bytes go; there is room for so many."""
        cdef int64_t capacity
        cdef void* moved
        if self.size + more > self.capacity:
            capacity = max(LEAST_BYTES, self.size + more, 2 * self.capacity)
            moved = realloc(self.data, capacity)
            if moved == NULL:
                raise MemoryError("no room for more orders")
            self.data, self.capacity = <uint8_t*>moved, capacity
        return self.data + self.size

    cdef int put_number(self, uint8_t tag, uint64_t value) except -1:
        cdef uint8_t* at = self.room(1 + LONG_BYTES)
        self.size = put_number(at, tag, value) - self.data
        return 0

    cdef int put_double(self, uint8_t tag, double value) except -1:
        cdef uint8_t* at = self.room(1 + sizeof(double))
        self.size = put_double(at, tag, value) - self.data
        return 0

    cdef int put_text(self, uint8_t tag, object text) except -1:
        cdef Span span
        span_of(text, &span)
        self.size = put_text(self.room(1 + LONG_BYTES + span.size), tag, span) - self.data
        return 0

    cdef int64_t begin(self, uint8_t tag) except -1:
        """Begin a message; returns what `end` wants to know. Most lengths fit into one byte."""
        self.room(2)[0] = tag
        self.size += 2
        return self.size

    cdef int end(self, int64_t start) except -1:
        """Write the length before the message, which makes way where one byte is not enough."""
        cdef int64_t size = self.size - start
        cdef int64_t more = varint_size(size) - 1
        if more:
            self.room(more)
            memmove(self.data + start + more, self.data + start, size)
            self.size += more
        put_varint(self.data + start - 1, size)
        return 0


def write_request(orders, *, policy=None, bint dry_run=False, uint64_t correlation_id=0,
                  bint by_priority=False, str style="orders"):
    """The BatchRouteRequest or StreamRouteRequest of a list of `fendan.Order`.

    Of one order it is a RouteRequest as well; errors then name it by the style "order". Raises what
    an engine would raise that has every SKU, but for what only adding up lines can tell.
    """
    cdef Buffer buffer = Buffer()
    cdef Py_ssize_t row = 0
    cdef int64_t start
    try:
        for row in range(len(orders)):
            write_order(buffer, orders[row])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        _refuse_order(orders[row], style, row)
        raise
    if policy is not None:
        start = buffer.begin(TAG_POLICY)
        check_policy(policy)
        if policy.radius_m is not None:
            buffer.put_double(TAG_RADIUS_M, policy.radius_m)
        buffer.end(start)
    if dry_run:
        buffer.put_number(TAG_DRY_RUN, True)
    if correlation_id:
        buffer.put_number(TAG_CORRELATION_ID, correlation_id)
    if by_priority:
        buffer.put_number(TAG_ALLOCATION, ALLOCATION_PRIORITY)
    return PyBytes_FromStringAndSize(<char*>buffer.data, buffer.size)


cdef int write_order(Buffer buffer, order) except -1:
    """Write one order; anything but a valid one raises something that `_refuse_order` explains."""
    cdef double lat = order.lat, lng = order.lng
    cdef int64_t start = buffer.begin(TAG_ORDERS), line_start
    cdef int32_t quantity
    cdef int64_t amount
    name, lines, datum = order.id, order.lines, order.datum
    if not is_usable_id(name) or not -90.0 <= lat <= 90.0 or not -180.0 <= lng <= 180.0:
        raise ValueError
    if not 1 <= <Py_ssize_t>len(lines) <= MAX_LINES_PER_ORDER:
        raise ValueError
    buffer.put_text(TAG_ORDER_ID, name)
    if not is_zero(lat):
        buffer.put_double(TAG_LAT, lat)
    if not is_zero(lng):
        buffer.put_double(TAG_LNG, lng)
    for line in lines:
        sku = read_line(line, &quantity, &amount)
        if not is_usable_id(sku):
            raise ValueError
        line_start = buffer.begin(TAG_LINES)
        buffer.put_text(TAG_SKU, sku)
        buffer.put_number(TAG_QUANTITY, quantity)
        if amount:
            buffer.put_number(TAG_AMOUNT, amount)
        buffer.end(line_start)
    if datum is not None:
        buffer.put_number(TAG_DATUM, _DATUMS.index(datum))
    write_said(buffer, order)
    return buffer.end(start)


cdef int write_said(Buffer buffer, order) except -1:
    """Write what an order says beside place and lines."""
    cdef long long order_type = PyNumber_Index(getattr(order, "order_type", TYPE_UNSPECIFIED))
    cdef long long priority = PyNumber_Index(getattr(order, "priority", 0))
    if not 0 <= order_type <= <long long>TYPE_GROUP:
        raise ValueError
    if order_type:
        buffer.put_number(TAG_ORDER_TYPE, order_type)
    write_text(buffer, TAG_CHANNEL, getattr(order, "channel", ""))
    write_text(buffer, TAG_REGION, getattr(order, "region", ""))
    write_text(buffer, TAG_PICKUP_STORE_ID, getattr(order, "pickup_store_id", ""))
    write_text(buffer, TAG_GROUP_ID, getattr(order, "group_id", ""))
    write_text(buffer, TAG_BUYER_ID, getattr(order, "buyer_id", ""))
    write_text(buffer, TAG_ADDRESS_ID, getattr(order, "address_id", ""))
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise ValueError
    if priority:
        buffer.put_number(TAG_PRIORITY, priority)
    return 0


cdef inline int write_text(Buffer buffer, uint8_t tag, text) except -1:
    """Write a text that may be empty."""
    if isinstance(text, str) and not text:
        return 0
    if not is_usable_id(text):
        raise ValueError
    return buffer.put_text(tag, text)


class _AnySku:
    """Stands for the codes of SKUs where only the service knows them."""

    def __contains__(self, sku):
        return is_usable_id(sku)


def _refuse_order(order, style, row):
    """Name what no engine could accept of an order."""
    explain(order, _AnySku(), style, row)
    field, count = field_of("lines", "lines", style, row), len(order.lines)
    if count == 0:
        refuse(Fault.MISSING, field, count, row=row_of(style, row),
               hint="the order is empty; it must have a line")
    if count > MAX_LINES_PER_ORDER:
        refuse(Fault.OUT_OF_RANGE, field, count, row=row_of(style, row),
               hint=f"at most {MAX_LINES_PER_ORDER} lines an order")
    explain_said(order, style, row)


def check_policy(policy):
    """Refuse what is no policy, or one whose radius cannot be."""
    if not hasattr(policy, "radius_m"):
        refuse(Fault.WRONG_TYPE, "policy", policy, hint="must be a fendan.Policy")
    if policy.radius_m is None:
        return
    if not isinstance(policy.radius_m, Real):
        refuse(Fault.WRONG_TYPE, "policy.radius_m", policy.radius_m, hint="must be metres or None")
    if not policy.radius_m >= 0.0:
        refuse(Fault.OUT_OF_RANGE, "policy.radius_m", policy.radius_m, hint="must be 0 or more")


# -- READING -----------------------------------------------------------------------------------

def read_response(bytes data not None, kind=Kind.STREAM):
    """Read a RouteResponse, BatchRouteResponse or StreamRouteResponse.

    Raises MalformedMessageError. A status or a reason that this version does not know stays a
    number.
    """
    cdef KindCode kind_code = kind
    cdef Span whole
    cdef Reader reader, inner
    cdef Field field
    cdef Answer answer
    cdef list decisions = [], shipments = [], refusal = [0, "", "", "", 0]
    cdef bint is_refused = False
    cdef uint64_t correlation_id = 0
    if len(data) > MAX_MESSAGE_BYTES:
        refuse(Fault.BAD_MESSAGE, "message", len(data), hint=f"at most {MAX_MESSAGE_BYTES}")
    whole.text, whole.size = data, len(data)
    reader = reader_of(whole)
    answer = no_answer()
    while next_field(&reader, &field):
        if field.tag == TAG_DECISIONS:
            if kind_code == KIND_ROUTE:  # a field that is not repeated may still come in parts
                decisions.clear()
            else:
                answer = no_answer()
                shipments = []
            inner = within(&reader, &field)
            read_answer(&inner, &answer, shipments)
            if not passed(&reader, &inner):
                break
            decisions.append(decision_of(&answer, shipments))
        elif kind_code != KIND_STREAM:
            continue
        elif field.tag == TAG_ANSWERED_ID:
            correlation_id = field.bits
        elif field.tag == TAG_REFUSAL:
            is_refused = True
            inner = within(&reader, &field)
            read_refusal(&inner, refusal)
            if not passed(&reader, &inner):
                break
    check(&reader, <const uint8_t*>whole.text)
    return Response(decisions, correlation_id, Refusal(*refusal) if is_refused else None)


cdef int read_answer(Reader* reader, Answer* answer, list shipments) except -1:
    """Read one decision, and its shipments behind those that are in the list."""
    cdef Field field
    cdef Reader inner
    while next_field(reader, &field):
        if field.tag == TAG_DECIDED_ID:
            if not check_text(reader, field.span):
                break
            answer.order_id = field.span
        elif field.tag == TAG_STORE_ID:
            if not check_text(reader, field.span):
                break
            answer.store_id = field.span
        elif field.tag == TAG_DISTANCE_M:
            answer.distance_m = as_double(field.bits)
        elif field.tag == TAG_STATUS:
            answer.status = <int32_t>field.bits
        elif field.tag == TAG_REASON:
            answer.reason = <int32_t>field.bits
        elif field.tag == TAG_POLICY_VERSION:
            answer.policy_version = <int32_t>field.bits
        elif field.tag == TAG_STEP:
            answer.step = <int32_t>field.bits
        elif field.tag == TAG_MERGE_GROUP:
            answer.merge_group = <int64_t>field.bits
        elif field.tag == TAG_PROMISED_AT:
            inner = within(reader, &field)
            read_moment(&inner, &answer.promised)
            if not passed(reader, &inner):
                break
        elif field.tag == TAG_SHIPMENTS:
            inner = within(reader, &field)
            shipment = read_shipment(&inner)
            if not passed(reader, &inner):
                break
            shipments.append(shipment)
    return 0


cdef void read_moment(Reader* reader, Moment* moment) noexcept nogil:
    """Read a Timestamp, which may come in parts."""
    cdef Field field
    moment.is_said = True
    while next_field(reader, &field):
        if field.tag == TAG_SECONDS:
            moment.seconds = <int64_t>field.bits
        elif field.tag == TAG_NANOS:
            moment.nanos = <int32_t>field.bits


cdef object ns_of(const Moment* moment):
    """Nanoseconds since 1970, or None; a time that no int64 has is one, too."""
    return <object>moment.seconds * _NS_PER_S + moment.nanos if moment.is_said else None


cdef object read_shipment(Reader* reader):
    """Read a shipment; whatever it returns where something is wrong is not looked at."""
    cdef Field field
    cdef Reader inner
    cdef Answer answer = no_answer()
    cdef int32_t number = 0
    cdef Span supply_date = answer.order_id
    cdef list lines = []
    while next_field(reader, &field):
        if field.tag == TAG_SHIPMENT_NUMBER:
            number = <int32_t>field.bits
        elif field.tag == TAG_SHIPMENT_DISTANCE_M:
            answer.distance_m = as_double(field.bits)
        elif field.tag == TAG_SHIPMENT_STORE_ID or field.tag == TAG_SUPPLY_DATE:
            if not check_text(reader, field.span):
                return None
            if field.tag == TAG_SUPPLY_DATE:
                supply_date = field.span
            else:
                answer.store_id = field.span
        elif field.tag == TAG_SHIPMENT_LINES or field.tag == TAG_SHIPMENT_PROMISED_AT:
            inner = within(reader, &field)
            if field.tag == TAG_SHIPMENT_LINES:
                lines.append(read_shipped(&inner))
            else:
                read_moment(&inner, &answer.promised)
            if not passed(reader, &inner):
                return None
    if reader.wrong != NULL:
        return None
    return Shipment(
        number=number, store_id=text_of(answer.store_id), distance_m=answer.distance_m,
        lines=tuple(lines), promised_ns=ns_of(&answer.promised), supply_date=text_of(supply_date),
    )


cdef object read_shipped(Reader* reader):
    """Read a line of a shipment: (SKU, pieces)."""
    cdef Field field
    cdef object sku = ""
    cdef int32_t quantity = 0
    while next_field(reader, &field):
        if field.tag == TAG_SHIPPED_SKU:
            if not check_text(reader, field.span):
                return None
            sku = text_of(field.span)
        elif field.tag == TAG_SHIPPED_QUANTITY:
            quantity = <int32_t>field.bits
    return sku, quantity


_NS_PER_S = 1_000_000_000

cdef tuple STATUSES = (0, *Status)
cdef tuple REASONS = tuple(Reason)
cdef tuple STEPS = tuple(StepName)


cdef object named(tuple names, int32_t number):
    return names[number] if 0 <= number < <Py_ssize_t>len(names) else number


cdef Decision decision_of(const Answer* answer, list shipments):
    cdef Decision decision = Decision.__new__(Decision)
    decision.order_id = text_of(answer.order_id)
    decision.status = named(STATUSES, answer.status)
    decision.reason = named(REASONS, answer.reason)
    if answer.store_id.size:
        decision.store_id = text_of(answer.store_id)
        decision.distance_m = answer.distance_m
    decision.policy_version = answer.policy_version
    decision.step = named(STEPS, answer.step)
    decision.promised_ns = ns_of(&answer.promised)
    decision.merge_group = answer.merge_group
    decision.shipments = tuple(shipments)
    return decision


cdef int read_refusal(Reader* reader, list refusal) except -1:
    """Read into a list of what `Refusal` has, in its order."""
    cdef Field field
    while next_field(reader, &field):
        if field.tag == TAG_REFUSED_STATUS or field.tag == TAG_RETRY_AFTER_MS:
            refusal[(field.tag >> 3) - 1] = <int32_t>field.bits
        elif (field.tag == TAG_REFUSED_MESSAGE or field.tag == TAG_REFUSED_CODE
              or field.tag == TAG_REFUSED_FIELD):
            if not check_text(reader, field.span):
                return 0
            refusal[(field.tag >> 3) - 1] = text_of(field.span)
    return 0
