"""The express: messages of plain orders, from bytes to bytes, in memory that is kept.

    bytes ─► read ─► sound ─► enter ─► route ─► keep ─► bytes       the same functions as ever
               │       │        │        │
               └───────┴────────┴────────┴─► None: the long way     nothing has changed

Where few callers wait, what a turn costs beside its orders is most of what they wait for: objects,
arrays and views of them, and all of these are gone from the caches until the next turn. Most turns
need none. An order is plain that is new and good, says no datum and no priority, and names no SKU
twice; a message is, if all its orders are and it asks for nothing else. Whatever is not goes the
long way (`Engine.route_request`), from its beginning: so errors and retries are told there alone.
"""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from fendan.engine.arrival cimport enter_all
from fendan.engine.asking cimport Said
from fendan.engine.batch cimport first_unsound
from fendan.engine.decided cimport most_bytes, note_decided, undo
from fendan.engine.fields cimport Reader, reader_of
from fendan.engine.larder cimport begin_holds
from fendan.engine.merges cimport forget_past
from fendan.engine.meter cimport DECODE, REPLY, SEARCH, Meter
from fendan.engine.names cimport Span, find_names
from fendan.engine.records cimport Table, drop_newest
from fendan.engine.reply cimport all_size, put_all
from fendan.engine.request cimport count_orders, read_message
from fendan.engine.room cimport grow
from fendan.engine.router cimport Verdict, route_many
from fendan.engine.shelves cimport Quantity, Shelves
from fendan.engine.timers cimport clock_ns


@cython.final
cdef class Express:
    """Routes plain messages over `orders`; a thread at a time may call."""

    def __init__(self, Orders orders not None):
        self.orders = orders

    def __dealloc__(self):
        free(self.message.lat)
        free(self.message.lng)
        free(self.message.offsets)
        free(self.message.datums)
        free(self.message.ids)
        free(self.message.skus)
        free(self.message.quantities)
        free(self.message.amounts)
        free(self.room.said)
        free(self.room.codes)
        free(self.room.before)
        free(self.room.hashes)
        free(self.room.numbers)
        free(self.room.rows)
        free(self.room.verdicts)

    def route(self, bytes data not None, kind, int64_t most_orders, double radius_m,
              int64_t due_ns, int64_t now_ns, Meter meter not None):
        """The answer to a message, to the nearest stores within the radius; reserved until `due_ns`.

        None where it is not plain, or has more than `most_orders`; then nothing has changed.
        """
        cdef Orders orders = self.orders
        cdef bint is_plain, is_written = orders.events is not None
        cdef int64_t size, began_ns = clock_ns(), read_ns, routed_ns
        cdef Span whole
        cdef Reader reader
        cdef bytes answer
        cdef uint8_t* into
        whole.text, whole.size = data, len(data)
        if whole.size > MOST_BYTES:
            return None
        reader = reader_of(whole)
        self.message.kind = kind
        with nogil:
            is_plain = self.read(&reader, most_orders)
        if not is_plain:
            return None
        read_ns = clock_ns()
        self.decided.due_ns = due_ns
        self.decided.before = self.room.before if is_written else NULL
        if is_written:
            orders.events.reserve(most_bytes(&self.decided))
        with nogil:
            is_plain = self.decide(radius_m)
        if not is_plain:
            return None
        try:
            size = all_size(&self.told, self.columns.count, 0)
            answer = PyBytes_FromStringAndSize(NULL, size)
        except BaseException:
            self.give_back()
            raise
        orders.keep(&self.decided, is_written, now_ns)
        routed_ns = clock_ns()
        into = <uint8_t*><char*>answer
        with nogil:
            put_all(into, &self.told, self.columns.count, 0)
        meter.took(DECODE, read_ns - began_ns)
        meter.took(SEARCH, routed_ns - read_ns)
        meter.took(REPLY, clock_ns() - routed_ns)
        for row in range(self.columns.count):
            meter.outcomes[self.room.verdicts[row].status][self.room.verdicts[row].reason] += 1
        return answer

    cdef bint read(self, Reader* reader, int64_t most_orders) noexcept nogil:
        """Read a message that is plain by itself, whatever is known of its orders."""
        cdef Message* message = &self.message
        cdef Reader again = reader[0]
        cdef bint repeats = False
        message.count = message.line_count = 0
        message.has_said = message.has_datums = message.has_amounts = message.has_policy = False
        message.dry_run = message.has_priorities = False
        message.allocation = 0
        message.correlation_id = 0
        count_orders(reader, message)
        if reader.wrong != NULL or message.has_priorities:
            return False
        if not 0 < message.count <= min(most_orders, <int64_t>MOST_ORDERS):
            return False
        if not 0 < message.line_count <= MOST_LINES or not self.make_room():
            return False
        message.offsets[0] = 0
        memset(message.amounts, 0, message.line_count * sizeof(int64_t))
        read_message(&again, message)
        if again.wrong != NULL or message.has_datums or message.has_policy or message.dry_run:
            return False
        if message.allocation or message.correlation_id:
            return False
        self.columns.count = message.count
        self.columns.amounts = message.amounts if message.has_amounts else NULL
        find_names(&self.orders.stock.sku_code_of.table, message.skus, message.line_count,
                   self.room.codes)
        return first_unsound(
            &self.columns, self.orders.stock.sku_code_of.table.count, &repeats,
        ) < 0 and not repeats

    cdef bint make_room(self) noexcept nogil:
        """Room for what was counted; whether there is."""
        cdef Message* message = &self.message
        cdef Room* room = &self.room
        cdef int64_t orders = message.count, lines = message.line_count
        if orders > room.orders:
            orders = max(orders, 2 * room.orders)
            room.orders = 0
            if not (grow(<void**>&message.lat, orders * sizeof(double))
                    and grow(<void**>&message.lng, orders * sizeof(double))
                    and grow(<void**>&message.offsets, (orders + 1) * sizeof(int64_t))
                    and grow(<void**>&message.datums, orders * sizeof(int32_t))
                    and grow(<void**>&room.said, orders * sizeof(Said))
                    and grow(<void**>&message.ids, orders * sizeof(Span))
                    and grow(<void**>&room.hashes, orders * sizeof(uint32_t))
                    and grow(<void**>&room.numbers, orders * sizeof(int64_t))
                    and grow(<void**>&room.rows, orders * sizeof(int64_t))
                    and grow(<void**>&room.verdicts, orders * sizeof(Verdict))):
                return False
            room.orders = orders
        if lines > room.lines:
            lines = max(lines, 2 * room.lines)
            room.lines = 0
            if not (grow(<void**>&message.skus, lines * sizeof(Span))
                    and grow(<void**>&message.quantities, lines * sizeof(int32_t))
                    and grow(<void**>&message.amounts, lines * sizeof(int64_t))
                    and grow(<void**>&room.codes, lines * sizeof(int32_t))
                    and grow(<void**>&room.before, lines * sizeof(Quantity))):
                return False
            room.lines = lines
        message.said = room.said if message.has_said else NULL
        self.point()
        return True

    cdef void point(self) noexcept nogil:
        """Have columns, decisions and answer be those in the room that there is now."""
        self.columns.lat, self.columns.lng = self.message.lat, self.message.lng
        self.columns.offsets, self.columns.ids = self.message.offsets, self.message.ids
        self.columns.skus, self.columns.quantities = self.room.codes, self.message.quantities
        self.decided.orders, self.decided.verdicts = &self.columns, self.room.verdicts
        self.decided.numbers, self.decided.rows = self.room.numbers, self.room.rows
        self.told.ids, self.told.verdicts = self.message.ids, self.room.verdicts
        self.told.store_ids = self.orders.stock.network.layout.leaves.id_text

    cdef bint decide(self, double radius_m) noexcept nogil:
        """Enter the orders, choose and reserve; False: none is entered, and nothing is held."""
        cdef Shelves* shelves = &self.orders.stock.shelves
        cdef Table* table = &self.orders.records.table
        cdef int64_t row = 0, entered = 0
        cdef bint promised = False
        begin_holds(&shelves.larder)
        forget_past(&self.orders.merges.table)
        if enter_all(table, &self.columns, self.room.hashes, self.room.numbers, self.room.rows,
                     &row, &entered, 0, &promised) < self.columns.count:
            drop_newest(table, entered)
            return False
        route_many(&self.orders.stock.network.layout.leaves, shelves, &self.columns, radius_m,
                   self.room.verdicts, <Quantity*>self.decided.before)
        note_decided(table, &self.decided, &self.orders.stock.sku_code_of.table)
        if shelves.larder.no_memory:
            self.give_back()
            return False
        return True

    cdef void give_back(self) noexcept nogil:
        """What was decided is undone, and forgotten."""
        undo(&self.orders.stock.network.layout.leaves, &self.orders.stock.shelves, &self.decided)
        drop_newest(&self.orders.records.table, self.columns.count)
