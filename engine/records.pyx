"""The order table, in pages that go when nobody needs them.

    by_age   page 2, page 0, page 3                  oldest first; a page's number is used again
    page     records[PAGE_ORDERS], blocks            filled in order of arrival
    slots    hash (32 bits) | number + 1 (32 bits)   0: empty; open addressing, at most half full

A record's *number* is its page's number times PAGE_ORDERS and its place there. Its id and lines
stand as one block in its page, so that a page is three allocations however many orders
it has, and forgetting 16,384 orders is freeing three blocks.

`retire` forgets the oldest pages: those with more than so many newer orders behind them, and with
no order in them for which stock is held. So memory follows the orders that are open, and the
newest others; an id is remembered at least as long as its order holds stock.

A page also keeps who would not have its orders, as chains in one array: rejections[n - 1] is number
n, a record has the number of its newest, and that the number of the one before.

An order that was split has a record without stock, and one more for each of its shipments, whose id
is the order's, U+001F and a number from 1. Those are added after it, with the rest of its batch
between. So that neither is forgotten without the other, a page is kept by: an order for which stock
is held, or one of whose shipments is; and a shipment whose order stands on another page, which is
then an older one (the shipment is *pinned*, until that page goes).

Invariants: every record has one slot; a page's held_count is how many records keep it; only the
youngest page has room for more; no reservation of a page is due before the page's due_ns.
"""
cimport cython
from libc.stdint cimport INT32_MAX, UINT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from fendan.engine.names cimport Span, enter, hash_of, larger_slots
from fendan.engine.network cimport MAX_ID_BYTES
from fendan.engine.room cimport prefetch
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict
from fendan.engine.shelves cimport Basket
from fendan.engine.shipments cimport Grant
from fendan.engine.terms cimport NEVER_NS

from fendan.engine.router import _Named

cdef enum:
    LEAST_SLOTS = 1024          # powers of two
    FEW_SLOTS = 1 << 17
    MOST_AMPLE_SLOTS = 1 << 24  # 128 MB of address space, used as it fills
    LEAST_BLOCK_BYTES = 1 << 16
    LEAST_REJECTIONS = 16


class OrderState(_Named):
    """Where an order is in its life."""

    ASSIGNED = STATE_ASSIGNED
    UNASSIGNED = STATE_UNASSIGNED
    ACCEPTED = STATE_ACCEPTED
    PICKED = STATE_PICKED
    SHIPPED = STATE_SHIPPED
    DELIVERED = STATE_DELIVERED
    REJECTED = STATE_REJECTED
    CANCELLED = STATE_CANCELLED
    EXPIRED = STATE_EXPIRED
    RETURNED = STATE_RETURNED

    @property
    def holds_stock(self):
        """Whether stock is reserved for an order that is there."""
        return self in (OrderState.ASSIGNED, OrderState.ACCEPTED, OrderState.PICKED)


# -- FINDING -----------------------------------------------------------------------------------

cdef int64_t find_record(const Table* table, Span id, uint32_t hash) noexcept nogil:
    """The number of the record with this id, or NO_RECORD."""
    cdef uint64_t slot, place = hash & table.mask
    cdef int64_t number
    cdef Span known
    if table.slots == NULL:
        return NO_RECORD
    while True:
        slot = table.slots[place]
        if slot == 0:
            return NO_RECORD
        if slot >> 32 == hash:
            number = <int64_t>(slot & UINT32_MAX) - 1
            known = id_at(table, number)
            if known.size == id.size and memcmp(known.text, id.text, id.size) == 0:
                return number
        place = (place + 1) & table.mask


cdef void prefetch_slot(const Table* table, uint32_t hash) noexcept nogil:
    if table.slots != NULL:
        prefetch(table.slots + (hash & table.mask))


cdef void leave(Table* table, uint32_t hash, int64_t number) noexcept nogil:
    """Empty a record's slot, and close the gap: no search may end too early."""
    cdef uint64_t mask = table.mask
    cdef uint64_t hole = hash & mask, next_place
    cdef uint64_t home
    while table.slots[hole] != (<uint64_t>hash << 32 | <uint64_t>(number + 1)):
        hole = (hole + 1) & mask
    next_place = (hole + 1) & mask
    while table.slots[next_place]:
        home = (table.slots[next_place] >> 32) & mask
        if ((next_place - home) & mask) >= ((next_place - hole) & mask):
            table.slots[hole] = table.slots[next_place]
            hole = next_place
        next_place = (next_place + 1) & mask
    table.slots[hole] = 0


# -- ADDING ------------------------------------------------------------------------------------

cdef int64_t add_record(Table* table, Span id, uint32_t hash, double lat, double lng,
                        const Basket* basket, uint8_t flags) noexcept nogil:
    """The number of a new record that holds nothing yet, or NO_ROOM. The id must not be known.

    `flags`: FLAG_GRANTED, if it is to have a grant, which is all zero for now; FLAG_SHIPMENT.
    """
    flags |= FLAG_PRICED if basket.amounts != NULL else 0
    cdef int64_t lines_size = line_bytes(flags) * basket.line_count
    cdef int64_t grant_size = sizeof(Grant) if flags & FLAG_GRANTED else 0
    cdef int64_t size = lines_size + grant_size + id.size
    cdef int64_t padded = (size + 7) & ~<int64_t>7
    cdef int32_t number = page_with_room(table, padded)
    cdef Page* page
    cdef Record* record
    cdef char* block
    if number == NO_PAGE or not has_slots(table, 1):
        return NO_ROOM
    page = table.pages + number
    record = page.records + page.count
    block = page.blocks + page.used
    memset(record, 0, sizeof(Record))
    memcpy(block, basket.skus, 4 * basket.line_count)
    memcpy(block + 4 * basket.line_count, basket.quantities, 4 * basket.line_count)
    if flags & FLAG_PRICED:
        memcpy(block + 8 * basket.line_count, basket.amounts, 8 * basket.line_count)
    memset(block + lines_size, 0, grant_size)
    memcpy(block + lines_size + grant_size, id.text, id.size)
    memset(block + size, 0, padded - size)  # states are compared byte by byte
    record.lat, record.lng = lat, lng
    record.hash = hash
    record.line_count = <int32_t>basket.line_count
    record.block = page.used
    record.id_size = <uint8_t>id.size
    record.flags = flags
    record.due_ns = NEVER_NS
    enter(table.slots, table.mask,
          <uint64_t>hash << 32 | <uint64_t>(<int64_t>number * PAGE_ORDERS + page.count + 1))
    page.used += padded
    page.count += 1
    table.count += 1
    table.shipment_count += flags & FLAG_SHIPMENT != 0
    return <int64_t>number * PAGE_ORDERS + page.count - 1


cdef int32_t page_with_room(Table* table, int64_t size) noexcept nogil:
    """The number of a page that has room for one more block, or NO_PAGE."""
    cdef int32_t number = NO_PAGE
    cdef Page* page
    cdef int64_t capacity
    cdef char* blocks
    if table.aged_count:
        number = table.by_age[table.aged_count - 1]
    if number == NO_PAGE or table.pages[number].count == PAGE_ORDERS:
        number = fresh_page(table)
        if number == NO_PAGE:
            return NO_PAGE
    page = table.pages + number
    if page.used + size > page.capacity:
        capacity = max(page.used + size, 2 * page.capacity)
        blocks = <char*>realloc(page.blocks, max(capacity, LEAST_BLOCK_BYTES))
        if blocks == NULL:
            return NO_PAGE
        page.blocks = blocks
        page.capacity = max(capacity, LEAST_BLOCK_BYTES)
    return number


cdef int32_t fresh_page(Table* table) noexcept nogil:
    """The number of a new and empty page, the youngest; or NO_PAGE."""
    cdef int32_t number = 0
    cdef Page* pages
    cdef int32_t* by_age
    while number < table.page_count and table.pages[number].records != NULL:
        number += 1
    if <int64_t>(number + 1) * PAGE_ORDERS >= UINT32_MAX:  # a slot has no more bits
        return NO_PAGE
    if number == table.page_count:
        pages = <Page*>realloc(table.pages, (number + 1) * sizeof(Page))
        if pages == NULL:
            return NO_PAGE
        table.pages = pages
        by_age = <int32_t*>realloc(table.by_age, (number + 1) * sizeof(int32_t))
        if by_age == NULL:
            return NO_PAGE
        table.by_age = by_age
        memset(pages + number, 0, sizeof(Page))
        table.page_count += 1
    table.pages[number].records = <Record*>malloc(PAGE_ORDERS * sizeof(Record))
    if table.pages[number].records == NULL:
        return NO_PAGE
    table.pages[number].due_ns = NEVER_NS
    table.by_age[table.aged_count] = number
    table.aged_count += 1
    return number


cdef bint has_slots(Table* table, int64_t more) noexcept nogil:
    """Whether there are slots for so many more records; makes more of them where needed.

    Moving all slots of a large table holds up a batch by 10 ms and more. So a table that is no
    longer small gets room for all it is to remember while there is still little to move.
    """
    cdef uint64_t slot_count = LEAST_SLOTS
    cdef uint64_t needed = 2 * (table.count + more)
    cdef uint64_t* slots
    if table.slots != NULL:
        slot_count = table.mask + 1
        if needed <= slot_count:
            return True
    while slot_count < needed:
        slot_count *= 2
    if slot_count > FEW_SLOTS:
        slot_count = max(slot_count, table.ample)
    slots = larger_slots(table.slots, table.mask, slot_count)
    if slots == NULL:
        return False
    free(table.slots)
    table.slots = slots
    table.mask = slot_count - 1
    return True


# -- CHANGING ----------------------------------------------------------------------------------

cdef void set_verdict(Table* table, int64_t number, const Verdict* verdict,
                      int64_t due_ns) noexcept nogil:
    """What the order was told; from now on it holds stock, if it has a store."""
    cdef Record* record = record_at(table, number)
    record.verdict = record.current = verdict[0]
    record.attempts = verdict.status == STATUS_ASSIGNED
    set_due(table, number, due_ns if verdict.status == STATUS_ASSIGNED else NEVER_NS)
    set_state(table, number, verdict.status)


cdef void set_state(Table* table, int64_t number, uint8_t state) noexcept nogil:
    """Where the order is in its life, and with that whether its page may be forgotten."""
    cdef Record* record = record_at(table, number)
    page_of(table, number).held_count -= is_open(record)
    record.state = state
    page_of(table, number).held_count += is_open(record)


cdef void set_due(Table* table, int64_t number, int64_t due_ns) noexcept nogil:
    """When the order's reservation times out, or NEVER_NS."""
    cdef Page* page = page_of(table, number)
    record_at(table, number).due_ns = due_ns
    page.due_ns = min(page.due_ns, due_ns)


cdef bint reserve_rejection(Table* table, int64_t number) noexcept nogil:
    """Make room for one more rejection of the order; whether there is any."""
    cdef Page* page = page_of(table, number)
    cdef int32_t capacity = max(2 * page.rejection_capacity, LEAST_REJECTIONS)
    cdef Rejection* larger
    if page.rejection_count < page.rejection_capacity:
        return True
    larger = <Rejection*>realloc(page.rejections, capacity * sizeof(Rejection))
    if larger == NULL:
        return False
    page.rejections, page.rejection_capacity = larger, capacity
    return True


cdef void add_rejection(Table* table, int64_t number, int32_t store,
                        int64_t time_ns) noexcept nogil:
    """Note that a store would not have the order. Room was made."""
    cdef Page* page = page_of(table, number)
    cdef Record* record = record_at(table, number)
    cdef Rejection* rejection = page.rejections + page.rejection_count
    rejection.time_ns, rejection.store, rejection.before = time_ns, store, record.rejection
    page.rejection_count += 1
    record.rejection = page.rejection_count


# -- FORGETTING --------------------------------------------------------------------------------

cdef void drop_newest(Table* table, int64_t count) noexcept nogil:
    """Forget the records added last, which hold nothing, as if they had never been added."""
    cdef Page* page
    cdef Record* record
    cdef int32_t number
    while count:
        number = table.by_age[table.aged_count - 1]
        page = table.pages + number
        if page.count == 0:
            drop_page(table, table.aged_count - 1)
            continue
        page.count -= 1
        record = page.records + page.count
        leave(table, record.hash, <int64_t>number * PAGE_ORDERS + page.count)
        page.used = record.block
        table.count -= 1
        table.shipment_count -= record.flags & FLAG_SHIPMENT != 0
        count -= 1
    if table.aged_count and table.pages[table.by_age[table.aged_count - 1]].count == 0:
        drop_page(table, table.aged_count - 1)


cdef void retire(Table* table, int64_t remembered) noexcept nogil:
    """Forget the oldest pages beyond the newest `remembered` orders, where nothing is held."""
    cdef int64_t newer = table.count
    cdef int32_t age = 0
    cdef Page* page
    while age < table.aged_count - 1:
        page = table.pages + table.by_age[age]
        newer -= page.count
        if newer < remembered:
            return
        if page.held_count:
            age += 1
        else:
            drop_page(table, age)


cdef void drop_page(Table* table, int32_t age) noexcept nogil:
    cdef int32_t number = table.by_age[age]
    cdef Page* page = table.pages + number
    cdef int32_t row
    for row in range(page.count):
        if page.records[row].flags & FLAG_SPLIT:
            unpin_shipments(table, <int64_t>number * PAGE_ORDERS + row)
    for row in range(page.count):
        leave(table, page.records[row].hash, <int64_t>number * PAGE_ORDERS + row)
        table.shipment_count -= page.records[row].flags & FLAG_SHIPMENT != 0
    table.count -= page.count
    free(page.records)
    free(page.blocks)
    free(page.rejections)
    memset(page, 0, sizeof(Page))
    table.aged_count -= 1
    memmove(table.by_age + age, table.by_age + age + 1,
            (table.aged_count - age) * sizeof(int32_t))


# -- SHIPMENTS ---------------------------------------------------------------------------------

# The state of an order that was split is that of its shipment that stands first here: the least
# advanced of those that go on, and only where none does, what became of them.
cdef uint8_t[9] _BY_PROGRESS = [
    STATE_ASSIGNED, STATE_ACCEPTED, STATE_PICKED, STATE_SHIPPED, STATE_DELIVERED,
    STATE_RETURNED, STATE_REJECTED, STATE_EXPIRED, STATE_CANCELLED,
]


cdef Span shipment_id(Span order_id, int32_t number, char* room) noexcept nogil:
    """The id of an order's shipment, written to `room` for MAX_ID_BYTES + SUFFIX_BYTES."""
    cdef Span id
    memcpy(room, order_id.text, order_id.size)
    id.text, id.size = room, order_id.size
    room[id.size] = SEPARATOR
    id.size += 1
    if number >= 10:
        room[id.size] = <char>(48 + number // 10)
        id.size += 1
    room[id.size] = <char>(48 + number % 10)
    id.size += 1
    return id


cdef Span order_id_in(Span id) noexcept nogil:
    """The order's part of an id, which may be all of it."""
    cdef Span order_id = id
    cdef int64_t at
    for at in range(max(0, id.size - SUFFIX_BYTES), id.size):
        if id.text[at] == SEPARATOR:
            order_id.size = at
            break
    return order_id


cdef int32_t number_in(Span id) noexcept nogil:
    """The number of a shipment, by its id; 0 for one of a whole order."""
    cdef int32_t number = 0
    cdef int64_t at
    cdef int64_t size = order_id_in(id).size
    for at in range(size + 1, id.size):
        number = 10 * number + id.text[at] - 48
    return number


cdef int64_t find_order(const Table* table, Span id) noexcept nogil:
    """The record of the split order whose shipment would have this id, or NO_RECORD."""
    cdef Span order_id = order_id_in(id)
    cdef int64_t order = NO_RECORD
    if order_id.size < id.size:
        order = find_record(table, order_id, hash_of(order_id))
    if order != NO_RECORD and not record_at(table, order).flags & FLAG_SPLIT:
        return NO_RECORD
    return order


cdef int64_t order_of(const Table* table, int64_t number) noexcept nogil:
    """The record of a shipment's order; of an order, its own."""
    if not record_at(table, number).flags & FLAG_SHIPMENT:
        return number
    return find_order(table, id_at(table, number))


cdef int64_t find_shipment(const Table* table, int64_t order, int32_t number) noexcept nogil:
    """The record of a split order's shipment, from 1; NO_RECORD where there is none (yet)."""
    cdef char[MAX_ID_BYTES + SUFFIX_BYTES] room
    cdef Span id = shipment_id(id_at(table, order), number, room)
    return find_record(table, id, hash_of(id))


cdef uint8_t state_of_shipments(const Table* table, int64_t order) noexcept nogil:
    """Where a split order is, by where its shipments are; see _BY_PROGRESS."""
    cdef int32_t number, place
    cdef int32_t first = 9
    cdef int64_t shipment
    for number in range(1, record_at(table, order).current.shipments + 1):
        shipment = find_shipment(table, order, number)
        if shipment == NO_RECORD:
            continue
        for place in range(first):
            if _BY_PROGRESS[place] == record_at(table, shipment).state:
                first = place
                break
    return _BY_PROGRESS[first] if first < 9 else <uint8_t>STATE_ASSIGNED


cdef void tell_shipment(Table* table, int64_t number) noexcept nogil:
    """Let the order of a shipment follow it to where it is now."""
    cdef int64_t order = order_of(table, number)
    if order != NO_RECORD:
        set_state(table, order, state_of_shipments(table, order))


cdef void pin(Table* table, int64_t number, int64_t order) noexcept nogil:
    """Keep a new shipment for as long as its order is remembered."""
    if page_of(table, number) != page_of(table, order):
        page_of(table, number).held_count += 1


cdef void unpin_shipments(Table* table, int64_t order) noexcept nogil:
    """Its order is being forgotten."""
    cdef int32_t number
    cdef int64_t shipment
    for number in range(1, record_at(table, order).current.shipments + 1):
        shipment = find_shipment(table, order, number)
        if shipment != NO_RECORD and page_of(table, shipment) != page_of(table, order):
            page_of(table, shipment).held_count -= 1


@cython.final
cdef class Records:
    """Owns a Table, for about so many `remembered` orders."""

    def __init__(self, int64_t remembered):
        self.table.ample = LEAST_SLOTS
        while (self.table.ample < MOST_AMPLE_SLOTS
               and <int64_t>self.table.ample // 2 < remembered + 2 * PAGE_ORDERS):
            self.table.ample *= 2

    def __dealloc__(self):
        cdef int32_t number
        for number in range(self.table.page_count):
            free(self.table.pages[number].records)
            free(self.table.pages[number].blocks)
            free(self.table.pages[number].rejections)
        free(self.table.pages)
        free(self.table.by_age)
        free(self.table.slots)

    def __len__(self):
        """How many orders are known, however many shipments they have."""
        return self.table.count - self.table.shipment_count

    @property
    def byte_count(self):
        """Memory held, in bytes."""
        cdef int64_t total = (self.table.mask + 1) * sizeof(uint64_t) if self.table.slots else 0
        cdef int32_t number
        for number in range(self.table.page_count):
            if self.table.pages[number].records != NULL:
                total += PAGE_ORDERS * sizeof(Record) + self.table.pages[number].capacity
                total += self.table.pages[number].rejection_capacity * sizeof(Rejection)
        return total
