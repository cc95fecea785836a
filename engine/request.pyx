"""A request of the routing service, read from bytes into columns with no Python object an order.

Read in two passes, both without the GIL: one counts orders and lines, so that the arrays are made
in their size at once; the other fills them. Ids and SKUs are not copied: spans point at them.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.asking cimport Said, nothing_said
from fendan.engine.fields cimport (
    MAX_MESSAGE_BYTES, Field, Reader, as_double, check, check_text, next_field, passed, reader_of,
    within,
)
from fendan.engine.names cimport Names, Span, find_names

from enum import IntEnum
from types import SimpleNamespace

import numpy as np

from fendan.engine.fault import Fault
from fendan.errors import refuse


class Kind(IntEnum):
    """Which message of the three that number their fields alike."""

    ROUTE = KIND_ROUTE
    BATCH = KIND_BATCH
    STREAM = KIND_STREAM


@cython.final
cdef class Request:
    """A RouteRequest, BatchRouteRequest or StreamRouteRequest; made by `read`."""

    def __len__(self):
        return self.message.count

    @staticmethod
    def read(bytes data not None, kind, int64_t most_orders=MAX_MESSAGE_BYTES):
        """Read a message; raises MalformedMessageError, which names the byte.

        A RouteRequest without its order has length 0. More than `most_orders` are refused before
        there is room made for them: of orders that say nothing, a few bytes can hold many.
        """
        cdef Request request = Request()
        cdef Span whole
        cdef Reader reader
        if len(data) > MAX_MESSAGE_BYTES:
            refuse(Fault.BAD_MESSAGE, "message", len(data), hint=f"at most {MAX_MESSAGE_BYTES}")
        whole.text = data
        whole.size = len(data)
        request._data = data
        request.message.kind = kind
        reader = reader_of(whole)
        with nogil:
            count_orders(&reader, &request.message)
        check(&reader, <const uint8_t*>whole.text)
        if request.message.count > most_orders:
            refuse(Fault.TOO_MANY, "orders", request.message.count,
                   hint=f"at most {most_orders:,} in one message; send several")
        request._make_room()
        reader = reader_of(whole)
        with nogil:
            read_message(&reader, &request.message)
        check(&reader, <const uint8_t*>whole.text)
        return request

    cdef int _make_room(self) except -1:
        """Arrays in the size of what was counted."""
        cdef Message* message = &self.message
        cdef double[::1] lat, lng
        cdef int64_t[::1] offsets, amounts
        cdef int32_t[::1] datums, quantities
        cdef int64_t[:, ::1] ids, skus, said
        count, line_count = message.count, message.line_count
        self._arrays = {
            "lat": np.empty(count),
            "lng": np.empty(count),
            "offsets": np.zeros(count + 1, dtype=np.int64),
            "datums": np.empty(count, dtype=np.int32),
            "ids": np.empty((max(1, count), 2), dtype=np.int64),
            "skus": np.empty((line_count, 2), dtype=np.int64),
            "quantities": np.empty(line_count, dtype=np.int32),
            "amounts": np.zeros(line_count, dtype=np.int64),
        }
        offsets = self._arrays["offsets"]
        message.offsets = &offsets[0]
        if count:
            lat, lng = self._arrays["lat"], self._arrays["lng"]
            datums, ids = self._arrays["datums"], self._arrays["ids"]
            message.lat, message.lng, message.datums = &lat[0], &lng[0], &datums[0]
            message.ids = <Span*>&ids[0, 0]
        if message.has_said:
            said = self._arrays["said"] = np.empty((count, sizeof(Said) // 8), dtype=np.int64)
            message.said = <Said*>&said[0, 0]
        if line_count:
            skus, quantities = self._arrays["skus"], self._arrays["quantities"]
            amounts = self._arrays["amounts"]
            message.skus, message.quantities = <Span*>&skus[0, 0], &quantities[0]
            message.amounts = &amounts[0]
        return 0

    # -- QUERIES -------------------------------------------------------------------------------

    @property
    def kind(self):
        """Which message it is."""
        return Kind(self.message.kind)

    @property
    def dry_run(self):
        """Whether to decide only, and reserve nothing."""
        return self.message.dry_run

    @property
    def correlation_id(self):
        """What the answer carries as well; 0 but in a StreamRouteRequest."""
        return self.message.correlation_id

    @property
    def has_policy(self):
        """Whether `radius_m` stands in place of the server's own policy."""
        return self.message.has_policy

    @property
    def radius_m(self):
        """The radius of the request's policy in metres, or None where it sets no limit."""
        return self.message.radius_m if self.message.has_radius else None

    @property
    def datums(self):
        """int32[n] of the enum `fendan.v1.Datum`; None where every order leaves it open."""
        return self._arrays["datums"] if self.message.has_datums else None

    def order_id(self, Py_ssize_t row):
        """The id of one order."""
        return text_of(self.message.ids[row])

    def lines(self, Py_ssize_t row):
        """The lines of one order as (SKU, quantity, amount); slow, for errors and tests."""
        cdef Message* message = &self.message
        return [
            (text_of(message.skus[line]), message.quantities[line], message.amounts[line])
            for line in range(message.offsets[row], message.offsets[row + 1])
        ]

    def said(self, Py_ssize_t row):
        """What one order says beside place and lines, named as in `fendan.Order`; slow."""
        cdef Said said = nothing_said() if self.message.said == NULL else self.message.said[row]
        return SimpleNamespace(
            order_type=said.order_type, channel=text_of(said.channel),
            region=text_of(said.region), pickup_store_id=text_of(said.pickup_store),
            group_id=text_of(said.group), buyer_id=text_of(said.buyer),
            address_id=text_of(said.address), priority=said.priority,
        )

    @property
    def allocation(self):
        """The number of the enum Allocation; 0 but in a BatchRouteRequest."""
        return self.message.allocation

    @property
    def priorities(self):
        """int32[n], of any size; None where no order says one."""
        cdef Py_ssize_t row
        cdef int32_t[::1] out
        if not self.message.has_priorities:
            return None
        found = np.empty(self.message.count, dtype=np.int32)
        out = found
        for row in range(self.message.count):
            out[row] = <int32_t>self.message.said[row].priority
        return found

    def place(self, Py_ssize_t row):
        """Latitude, longitude and number of the datum of one order."""
        return self.message.lat[row], self.message.lng[row], self.message.datums[row]


def correlation_id(bytes data not None):
    """That of a StreamRouteRequest, whose orders are passed over; 0 where it has none.

    Raises MalformedMessageError where the message's own fields cannot be told apart.
    """
    cdef Span whole
    cdef Reader reader
    cdef Field field
    cdef uint64_t number = 0
    whole.text, whole.size = data, len(data)
    reader = reader_of(whole)
    with nogil:
        while next_field(&reader, &field):
            if field.tag == TAG_CORRELATION_ID:
                number = field.bits
    check(&reader, <const uint8_t*>whole.text)
    return number


def columns_of(Request request, Names skus):
    """The arrays of `Batch.of_arrays`, and "ids": int64[n, 2], a `Span` an order; "said": a `Said`
    an order, where one says anything.

    A SKU that has no code gets NO_NAME, which is no code of any SKU.
    """
    cdef Message* message = &request.message
    cdef int32_t[::1] codes
    columns = dict(request._arrays)
    del columns["datums"]
    if not message.has_amounts:
        del columns["amounts"]
    columns["skus"] = np.empty(message.line_count, dtype=np.int32)
    codes = columns["skus"]
    if message.line_count:
        with nogil:
            find_names(&skus.table, message.skus, message.line_count, &codes[0])
    return columns


cdef str text_of(Span span):
    return span.text[:span.size].decode()


# -- READING -----------------------------------------------------------------------------------

cdef void count_orders(Reader* reader, Message* message) noexcept nogil:
    """Count what `read_message` will find; it walks the same way."""
    cdef Field field, part
    cdef Reader order
    while next_field(reader, &field):
        if field.tag != TAG_ORDERS:
            continue
        if message.kind != KIND_ROUTE or message.count == 0:
            message.count += 1
        order = within(reader, &field)
        while next_field(&order, &part):
            message.line_count += part.tag == TAG_LINES
            message.has_said = message.has_said or part.tag >= TAG_ORDER_TYPE
            message.has_priorities = message.has_priorities or part.tag == TAG_PRIORITY
        if not passed(reader, &order):
            return


cdef void read_message(Reader* reader, Message* message) noexcept nogil:
    cdef Field field
    cdef Reader inner
    cdef int64_t row = -1, line = 0
    while next_field(reader, &field):
        if field.tag == TAG_ORDERS:
            # A field that is not repeated may still come in parts, which are merged.
            if message.kind != KIND_ROUTE or row < 0:
                row += 1
                clear_order(message, row)
            inner = within(reader, &field)
            line = read_order(&inner, message, row, line)
            message.offsets[row + 1] = line
        elif field.tag == TAG_POLICY:
            message.has_policy = True
            inner = within(reader, &field)
            read_policy(&inner, message)
        else:
            if field.tag == TAG_DRY_RUN:
                message.dry_run = field.bits != 0
            elif field.tag == TAG_ALLOCATION and message.kind == KIND_BATCH:
                message.allocation = <int32_t>field.bits
            elif field.tag == TAG_CORRELATION_ID and message.kind == KIND_STREAM:
                message.correlation_id = field.bits
            continue
        if not passed(reader, &inner):
            return


cdef void read_policy(Reader* reader, Message* message) noexcept nogil:
    cdef Field field
    while next_field(reader, &field):
        if field.tag == TAG_RADIUS_M:
            message.has_radius = True
            message.radius_m = as_double(field.bits)


cdef void clear_order(Message* message, int64_t row) noexcept nogil:
    message.lat[row] = message.lng[row] = 0.0
    message.datums[row] = 0
    message.ids[row].text = b""
    message.ids[row].size = 0
    if message.said != NULL:
        message.said[row] = nothing_said()


cdef int64_t read_order(Reader* reader, Message* message, int64_t row,
                        int64_t line) noexcept nogil:
    """Read one order, its lines from `line` on; returns where the next order's begin."""
    cdef Field field
    cdef Reader inner
    while next_field(reader, &field):
        if field.tag == TAG_LINES:
            inner = within(reader, &field)
            read_line(&inner, message, line)
            line += 1
            if not passed(reader, &inner):
                break
        elif field.tag == TAG_ORDER_ID:
            if not check_text(reader, field.span):
                break
            message.ids[row] = field.span
        elif field.tag == TAG_LAT:
            message.lat[row] = as_double(field.bits)
        elif field.tag == TAG_LNG:
            message.lng[row] = as_double(field.bits)
        elif field.tag == TAG_DATUM:
            message.datums[row] = <int32_t>field.bits
            message.has_datums = message.has_datums or message.datums[row] != 0
        elif field.tag >= TAG_ORDER_TYPE and not read_said(reader, &message.said[row], &field):
            break
    return line


cdef bint read_said(Reader* reader, Said* said, const Field* field) noexcept nogil:
    """Read a field of an order that is neither its id nor its place nor a line; whether it is good.

    Fields of other numbers are passed over.
    """
    cdef Span* text
    if field.tag == TAG_ORDER_TYPE:
        said.order_type = <int32_t>field.bits
        return True
    if field.tag == TAG_PRIORITY:
        said.priority = <int32_t>field.bits
        return True
    if field.tag == TAG_CHANNEL:
        text = &said.channel
    elif field.tag == TAG_REGION:
        text = &said.region
    elif field.tag == TAG_PICKUP_STORE_ID:
        text = &said.pickup_store
    elif field.tag == TAG_GROUP_ID:
        text = &said.group
    elif field.tag == TAG_BUYER_ID:
        text = &said.buyer
    elif field.tag == TAG_ADDRESS_ID:
        text = &said.address
    else:
        return True
    text[0] = field.span
    return check_text(reader, field.span)


cdef void read_line(Reader* reader, Message* message, int64_t line) noexcept nogil:
    """Read one line. Where there is no amount the zeros stay untouched: they need no memory."""
    cdef Field field
    cdef int64_t amount = 0
    message.skus[line].text = b""
    message.skus[line].size = 0
    message.quantities[line] = 0
    while next_field(reader, &field):
        if field.tag == TAG_SKU:
            if not check_text(reader, field.span):
                return
            message.skus[line] = field.span
        elif field.tag == TAG_QUANTITY:
            message.quantities[line] = <int32_t>field.bits
        elif field.tag == TAG_AMOUNT:
            amount = <int64_t>field.bits
    if amount:
        message.amounts[line] = amount
        message.has_amounts = True
