"""What happened, as the journal keeps it: decisions and movements, never inputs.

Replaying events applies what was decided and searches nothing, so neither a new version nor another
machine's rounding can change history. Counts stand as they were *before* each movement, and the kind
says what moved: so a reader needs no state to tell both sides, and a replay can see that it is right.

An order's event, little-endian; numbers are varints unless they say otherwise:

    kind u8 | flags u8 | id text | store + 1 | reason u8 | attempts u8
            | lat, lng f64 | distance f64 | due i64 | grant  each where its flag is set
            | lines | sku, quantity | on hand, reserved | amount       a line; the same

A grant, of what was decided under a policy; promised i64 and hash u64 are 0 bytes where `has` lacks
them, 1 and 2:

    has u8 | version | order type u8 | step u8 | flags u8 | shipments u8 | promised | hash
           | merge group | channel + 1 | region + 1 | day | least life

What comes when, and what the fields are then:

    ASSIGNED, UNASSIGNED   with a place: the first decision; what an order is made of
    SPLIT                  with a place the first decision on an order that several stores fill,
                           without one the end of its waiting after UNASSIGNED; of
                           which `store` is the first; nothing moves. Each shipment follows,
                           ASSIGNED with a place, its id the order's, U+001F and its number
    REJECTED               by that store, which gives back; reason is why (life.RejectReason)
    ASSIGNED               without a place, after REJECTED, EXPIRED or UNASSIGNED: the next store, or
                           the first, counted in attempts
    UNASSIGNED             without a place, after REJECTED: nobody else; reason is why, and the
                           order stays REJECTED
    RETURNED               lines that went back to stock moved, others did not
    ACCEPTED, PICKED, DELIVERED, and CANCELLED where nothing was held: no lines

A stock event:   kind u8 | store | rows | sku, on hand before, after, reserved   a row
A store event:   kind u8 | id text | region text | lat, lng f64     added, updated
                 kind u8 | store                                    paused, resumed, removed
Inside only:     kind u8 | SKUs | text each        kind u8 | store | version
                 kind u8 | key text | digest text | answer text        kind u8 | settings text
                 kind u8 | document's kind text | name text | text, none where it is gone
                 kind u8 | store | part u8 | rows | sku, before, after    a row; what is held back
                 kind u8 | sku | off below | on from
                 kind u8 | store | sku | rows | sell-by day, on hand    a row; its STOCK_SET follows

A text is its size and its bytes. Stores and SKUs are codes: the order in which they were named.
"""
cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.math cimport NAN
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from fendan.engine.batch cimport MAX_LINES_PER_ORDER
from fendan.engine.fields cimport Reader, fail, put_varint, read_varint
from fendan.engine.names cimport Span, span_of
from fendan.engine.shelves cimport Basket, Quantity
from fendan.engine.shipments cimport MAX_SHIPMENTS, Grant

from fendan.engine.router import _Named

cdef enum:
    LEAST_BYTES = 4096
    MOST_SPARE_BYTES = 1 << 22  # what one large command needed is not kept for ever
    ROW_BYTES = 32              # of a stock event, at most, with a head of its own
    EVENT_BYTES = 64            # what comes before rows and texts, at most
    GRANT_PROMISED = 1
    GRANT_ASKED = 2


class EventKind(_Named):
    """What happened. The first ten lead an order to the state of that name."""

    ASSIGNED = EVENT_ASSIGNED
    UNASSIGNED = EVENT_UNASSIGNED
    ACCEPTED = EVENT_ACCEPTED
    PICKED = EVENT_PICKED
    SHIPPED = EVENT_SHIPPED
    DELIVERED = EVENT_DELIVERED
    REJECTED = EVENT_REJECTED
    CANCELLED = EVENT_CANCELLED
    EXPIRED = EVENT_EXPIRED
    RETURNED = EVENT_RETURNED
    SPLIT = EVENT_SPLIT
    STOCK_SET = EVENT_STOCK_SET
    STOCK_ADJUSTED = EVENT_STOCK_ADJUSTED
    STOCK_CORRECTED = EVENT_STOCK_CORRECTED
    HELD_SET = EVENT_HELD_SET
    LOTS_SET = EVENT_LOTS_SET
    STORE_ADDED = EVENT_STORE_ADDED
    STORE_UPDATED = EVENT_STORE_UPDATED
    STORE_PAUSED = EVENT_STORE_PAUSED
    STORE_RESUMED = EVENT_STORE_RESUMED
    STORE_REMOVED = EVENT_STORE_REMOVED
    SKUS_NAMED = EVENT_SKUS_NAMED
    VERSION = EVENT_VERSION
    KEY = EVENT_KEY
    SETTINGS = EVENT_SETTINGS
    DOCUMENT = EVENT_DOCUMENT
    THRESHOLDS = EVENT_THRESHOLDS

    @property
    def is_internal(self):
        """Whether it is no business of the ledger's readers: it only serves recovery."""
        return self >= EVENT_SKUS_NAMED or self in (EVENT_HELD_SET, EVENT_LOTS_SET)


# -- WRITING -----------------------------------------------------------------------------------

cdef inline uint8_t* put_float(uint8_t* at, double value) noexcept nogil:
    memcpy(at, &value, sizeof(value))
    return at + sizeof(value)


cdef inline uint8_t* put_span(uint8_t* at, Span text) noexcept nogil:
    at = put_varint(at, text.size)
    memcpy(at, text.text, text.size)
    return at + text.size


cdef inline uint8_t* put_grant(uint8_t* at, const Grant* grant) noexcept nogil:
    at[0] = (GRANT_PROMISED if grant.promised_ns else 0) | (GRANT_ASKED if grant.asked_hash else 0)
    at = put_varint(at + 1, grant.policy_version)
    at[0], at[1], at[2] = grant.order_type, grant.step, grant.flags
    at[3] = grant.shipment_count
    at += 4
    if grant.promised_ns:
        memcpy(at, &grant.promised_ns, sizeof(int64_t))
        at += sizeof(int64_t)
    if grant.asked_hash:
        memcpy(at, &grant.asked_hash, sizeof(uint64_t))
        at += sizeof(uint64_t)
    at = put_varint(at, grant.merge_group)
    if grant.merge_group:
        memcpy(at, &grant.merge_key, sizeof(uint64_t))
        at += sizeof(uint64_t)
    at = put_varint(put_varint(at, grant.channel + 1), grant.region + 1)
    return put_varint(put_varint(at, grant.keep_day), grant.least_life_days)


cdef bint put_order_event(EventBuffer* buffer, const OrderEvent* event) noexcept nogil:
    cdef uint8_t* at = buffer.data + buffer.size
    cdef bint good = True
    cdef int64_t line
    at[0], at[1] = event.kind, event.flags
    at = put_varint(put_span(at + 2, event.id), <uint64_t>(<int64_t>event.store + 1))
    at[0], at[1] = event.reason, event.attempts
    at += 2
    if event.flags & HAS_PLACE:
        at = put_float(put_float(at, event.lat), event.lng)
    if event.flags & HAS_DISTANCE:
        at = put_float(at, event.distance_m)
    if event.flags & HAS_DUE:
        memcpy(at, &event.due_ns, sizeof(int64_t))
        at += sizeof(int64_t)
    if event.flags & HAS_GRANT:
        at = put_grant(at, &event.grant)
    at = put_varint(at, event.basket.line_count)
    for line in range(event.basket.line_count):
        at = put_varint(at, event.basket.skus[line])
        at = put_varint(at, event.basket.quantities[line])
        if event.flags & HAS_MOVED:
            at = put_varint(at, <int64_t>event.before[line].net + event.before[line].reserved)
            at = put_varint(at, event.before[line].reserved)
            good = good and can_be(event.kind, event.before[line], event.basket.quantities[line])
        if event.flags & HAS_AMOUNTS:
            at = put_varint(at, event.basket.amounts[line])
    buffer.size = at - buffer.data
    buffer.count += 1
    return good


@cython.final
cdef class Events:
    """The events of the command under way, as bytes; `spare` bytes come before them.

    A command makes room before it changes anything, so that writing what it did cannot fail.
    """

    def __init__(self, *, int64_t spare=0):
        self._spare = spare
        self.reserve(LEAST_BYTES)
        memset(self.buffer.data, 0, spare)
        self.clear()

    def __dealloc__(self):
        free(self.buffer.data)

    def __len__(self):
        return self.buffer.count

    def clear(self):
        """Begin the next command."""
        cdef uint8_t* smaller
        if self.buffer.capacity > MOST_SPARE_BYTES:
            smaller = <uint8_t*>realloc(self.buffer.data, MOST_SPARE_BYTES)
            if smaller != NULL:
                self.buffer.data, self.buffer.capacity = smaller, MOST_SPARE_BYTES
        self.buffer.size = self._spare
        self.buffer.count = 0

    @property
    def size(self):
        """The bytes of the events, without what is spare before them."""
        return self.buffer.size - self._spare

    def padded(self):
        """A bytearray of the spare bytes, the events, and zeros up to a multiple of 8."""
        cdef int64_t padded = (self.buffer.size + 7) & ~<int64_t>7
        self.reserve(8)
        memset(self.buffer.data + self.buffer.size, 0, padded - self.buffer.size)
        return PyByteArray_FromStringAndSize(<char*>self.buffer.data, padded)

    cdef int reserve(self, int64_t size) except -1:
        """Make room for so many bytes more."""
        cdef int64_t wanted = self.buffer.size + size
        cdef uint8_t* larger
        if wanted <= self.buffer.capacity:
            return 0
        wanted = max(wanted, 2 * self.buffer.capacity)
        larger = <uint8_t*>realloc(self.buffer.data, wanted)
        if larger == NULL:
            raise MemoryError("no room for more events")
        self.buffer.data, self.buffer.capacity = larger, wanted
        return 0

    def make_room(self, int64_t rows, int64_t text_bytes=0, int64_t events=1):
        """Make room for so many more events, with so many rows and bytes of text together."""
        self.reserve(EVENT_BYTES * events + ROW_BYTES * rows + text_bytes)

    # -- STOCK -------------------------------------------------------------------------------------

    def stock(self, kind, const int32_t[::1] stores, const int32_t[::1] skus,
              const int32_t[:, ::1] before, const int32_t[::1] after):
        """Counts that were set, one event for each run of rows of one store.

        `before`: int32[n, 2], what `Stock.set_on_hand` found: net and reserved. `after`: on hand.
        """
        cdef Py_ssize_t row = 0, first, end
        cdef uint8_t code = kind
        cdef uint8_t* at
        self.make_room(len(skus), 0, 1)
        with nogil:
            while row < stores.shape[0]:
                end = row
                while end < stores.shape[0] and stores[end] == stores[row]:
                    end += 1
                at = self.buffer.data + self.buffer.size
                at[0] = code
                at = put_varint(put_varint(at + 1, stores[row]), end - row)
                for row in range(row, end):
                    at = put_varint(at, skus[row])
                    at = put_varint(at, <int64_t>before[row, 0] + before[row, 1])
                    at = put_varint(at, after[row])
                    at = put_varint(at, before[row, 1])
                self.buffer.size = at - self.buffer.data
                self.buffer.count += 1
                row = end

    def held(self, int part, const int32_t[::1] stores, const int32_t[::1] skus,
             const int32_t[::1] before, const int32_t[::1] after):
        """One part of what is held back, as `limits.set_held` has it; an event for each store's run."""
        cdef Py_ssize_t row = 0, end
        cdef uint8_t* at
        self.make_room(len(skus), 0, 1)
        while row < stores.shape[0]:
            end = row
            while end < stores.shape[0] and stores[end] == stores[row]:
                end += 1
            at = self.buffer.data + self.buffer.size
            at[0] = EVENT_HELD_SET
            at = put_varint(at + 1, stores[row])
            at[0] = part
            at = put_varint(at + 1, end - row)
            for row in range(row, end):
                at = put_varint(put_varint(put_varint(at, skus[row]), before[row]), after[row])
            self._end(at)
            row = end

    def lots(self, int64_t store, int64_t sku, const int32_t[::1] days, const int32_t[::1] on_hand):
        """The lots of a pair, as they are from here on."""
        cdef Py_ssize_t row
        cdef uint8_t* at
        self.make_room(len(days), 0, 1)
        at = self._begin(EVENT_LOTS_SET, 0)
        at = put_varint(put_varint(put_varint(at, store), sku), days.shape[0])
        for row in range(days.shape[0]):
            at = put_varint(put_varint(at, days[row]), on_hand[row])
        self._end(at)

    def thresholds(self, int64_t sku, int64_t off_below, int64_t on_from):
        """A SKU's thresholds as they are from here on."""
        cdef uint8_t* at = self._begin(EVENT_THRESHOLDS, 0)
        self._end(put_varint(put_varint(put_varint(at, sku), off_below), on_from))

    # -- STORES, AND WHAT RECOVERY NEEDS BESIDE ----------------------------------------------------

    def store(self, kind, str name, str region, double lat, double lng):
        """A store that was added or updated."""
        cdef Span id, where
        span_of(name, &id)
        span_of(region, &where)
        cdef uint8_t* at = self._begin(kind, id.size + where.size)
        self._end(put_float(put_float(put_span(put_span(at, id), where), lat), lng))

    def code(self, kind, int64_t store, int64_t number=-1):
        """A store that was paused, resumed or removed; or its version."""
        cdef uint8_t* at = put_varint(self._begin(kind, 0), store)
        self._end(at if number < 0 else put_varint(at, number))

    def texts(self, kind, texts, bint counted=False):
        """Names of new SKUs (`counted`), a key with its answer, settings, a document; as UTF-8."""
        cdef int64_t size = 10 * len(texts)
        cdef uint8_t* at
        cdef bytes text
        cdef Span span
        for text in texts:
            size += len(text)
        at = self._begin(kind, size)
        if counted:
            at = put_varint(at, len(texts))
        for text in texts:
            span.text, span.size = text, len(text)
            at = put_span(at, span)
        self._end(at)

    cdef uint8_t* _begin(self, kind, int64_t text_bytes) except NULL:
        self.make_room(0, text_bytes)
        self.buffer.data[self.buffer.size] = kind
        return self.buffer.data + self.buffer.size + 1

    cdef int _end(self, uint8_t* at) except -1:
        self.buffer.size = at - self.buffer.data
        self.buffer.count += 1
        return 0


# -- READING -----------------------------------------------------------------------------------

cdef bint read_code(Reader* reader, int32_t* value) noexcept nogil:
    """A number from 0 that an int32 holds."""
    cdef uint64_t wide
    if not read_varint(reader, &wide):
        return False
    if wide > INT32_MAX:
        return fail(reader, b"a number of more than 31 bits")
    value[0] = <int32_t>wide
    return True


cdef bint read_fixed(Reader* reader, void* value) noexcept nogil:
    """Eight bytes as they are."""
    if reader.end - reader.at < 8:
        return fail(reader, b"cut off")
    memcpy(value, reader.at, 8)
    reader.at += 8
    return True


cdef bint read_byte(Reader* reader, uint8_t* value) noexcept nogil:
    if reader.at == reader.end:
        return fail(reader, b"cut off")
    value[0] = reader.at[0]
    reader.at += 1
    return True


cdef bint read_text(Reader* reader, Span* text) noexcept nogil:
    cdef uint64_t size
    if not read_varint(reader, &size):
        return False
    if size > <uint64_t>(reader.end - reader.at):
        return fail(reader, b"a text that leads past the end")
    text.text, text.size = <const char*>reader.at, <int64_t>size
    reader.at += size
    return True


cdef bint read_order_event(Reader* reader, OrderEvent* event, int32_t* skus, int32_t* quantities,
                           int64_t* amounts, Quantity* before) noexcept nogil:
    cdef uint64_t wide
    cdef int64_t line
    if not (read_byte(reader, &event.kind) and read_byte(reader, &event.flags)):
        return False
    if not 1 <= event.kind <= LAST_ORDER_EVENT or event.flags > ALL_PARTS:
        return fail(reader, b"no event of an order that is known")
    if event.kind == EVENT_SPLIT and event.flags & (HAS_MOVED | HAS_GRANT) != HAS_GRANT:
        return fail(reader, b"an order that is split, and moves; or is not decided then")
    if not (read_text(reader, &event.id) and read_varint(reader, &wide)):
        return False
    if wide > INT32_MAX:
        return fail(reader, b"a store of more than 31 bits")
    event.store = <int32_t>(<int64_t>wide - 1)
    if not (read_byte(reader, &event.reason) and read_byte(reader, &event.attempts)):
        return False
    event.lat = event.lng = event.distance_m = NAN
    event.due_ns = 0
    if event.flags & HAS_PLACE:
        if not (read_fixed(reader, &event.lat) and read_fixed(reader, &event.lng)):
            return False
    if event.flags & HAS_DISTANCE and not read_fixed(reader, &event.distance_m):
        return False
    if event.flags & HAS_DUE and not read_fixed(reader, &event.due_ns):
        return False
    memset(&event.grant, 0, sizeof(Grant))
    if event.flags & HAS_GRANT and not read_grant(reader, &event.grant):
        return False
    if event.kind == EVENT_SPLIT and not event.grant.shipment_count:
        return fail(reader, b"an order that is split into nothing")
    if not read_varint(reader, &wide):
        return False
    if wide > MAX_LINES_PER_ORDER:
        return fail(reader, b"more lines than an order may have")
    event.basket.skus, event.basket.quantities = skus, quantities
    event.basket.amounts = amounts if event.flags & HAS_AMOUNTS else NULL
    event.basket.line_count = <int64_t>wide
    event.before = before if event.flags & HAS_MOVED else NULL
    for line in range(event.basket.line_count):
        if not read_line(reader, event.flags, skus + line, quantities + line, amounts + line,
                         before + line):
            return False
    return True


cdef bint read_grant(Reader* reader, Grant* grant) noexcept nogil:
    cdef uint64_t group
    cdef uint8_t has
    if not (read_byte(reader, &has) and read_code(reader, &grant.policy_version)
            and read_byte(reader, &grant.order_type) and read_byte(reader, &grant.step)
            and read_byte(reader, &grant.flags) and read_byte(reader, &grant.shipment_count)):
        return False
    if has & GRANT_PROMISED and not read_fixed(reader, &grant.promised_ns):
        return False
    if has & GRANT_ASKED and not read_fixed(reader, &grant.asked_hash):
        return False
    if not read_varint(reader, &group) or (group and not read_fixed(reader, &grant.merge_key)):
        return False
    if not (read_code(reader, &grant.channel)
            and read_code(reader, &grant.region) and read_code(reader, &grant.keep_day)
            and read_code(reader, &grant.least_life_days)):
        return False
    if grant.shipment_count > MAX_SHIPMENTS:
        return fail(reader, b"more shipments than an order may have")
    grant.merge_group = <int64_t>group
    grant.channel -= 1
    grant.region -= 1
    return True


cdef bint read_line(Reader* reader, uint8_t flags, int32_t* sku, int32_t* quantity,
                    int64_t* amount, Quantity* before) noexcept nogil:
    cdef int32_t on_hand
    cdef uint64_t wide
    if not (read_code(reader, sku) and read_code(reader, quantity)):
        return False
    if flags & HAS_MOVED:
        if not (read_code(reader, &on_hand) and read_code(reader, &before.reserved)):
            return False
        before.net = on_hand - before.reserved
    if flags & HAS_AMOUNTS:
        if not read_varint(reader, &wide):
            return False
        amount[0] = <int64_t>wide
    return True


cdef bint read_stock_row(Reader* reader, StockRow* row) noexcept nogil:
    return (read_code(reader, &row.sku) and read_code(reader, &row.before)
            and read_code(reader, &row.after) and read_code(reader, &row.reserved))


cdef class Lines:
    """Room for the lines of one order's event."""

    def __cinit__(self):
        self.skus = <int32_t*>malloc(MAX_LINES_PER_ORDER * sizeof(int32_t))
        self.quantities = <int32_t*>malloc(MAX_LINES_PER_ORDER * sizeof(int32_t))
        self.amounts = <int64_t*>malloc(MAX_LINES_PER_ORDER * sizeof(int64_t))
        self.before = <Quantity*>malloc(MAX_LINES_PER_ORDER * sizeof(Quantity))
        if not (self.skus and self.quantities and self.amounts and self.before):
            raise MemoryError("no room for an order's lines")

    def __dealloc__(self):
        free(self.skus)
        free(self.quantities)
        free(self.amounts)
        free(self.before)
