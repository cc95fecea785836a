"""What was decided on the new orders of a batch: kept, written down, or taken back.

    row 0    ASSIGNED                    one record, one event
    row 1    ASSIGNED    parts 0..2      one record without stock, SPLIT; and one for each part,
    row 2    UNASSIGNED                  ASSIGNED

Nothing here fails but making room; so that comes first.

What is written down is applied again in the order in which it stands: orders by row, shipments behind
them. That is not always the order in which it was decided: a shipment is decided in its order's turn, and
a group in the turn of its first order. So `find_in_turn` has each event find what the ones written
before it leave.
"""
from libc.stdint cimport int32_t, int64_t

from fendan.engine.batch cimport Columns
from fendan.engine.changes cimport Ring, note
from fendan.engine.events cimport (
    EVENT_ASSIGNED, EVENT_SPLIT, HAS_AMOUNTS, HAS_DISTANCE, HAS_DUE, HAS_GRANT, HAS_MOVED,
    HAS_PLACE, EventBuffer, OrderEvent, most_order_bytes, put_order_event,
)
from fendan.engine.larder cimport Keep
from fendan.engine.loads cimport Loads, order_came
from fendan.engine.names cimport NameTable
from fendan.engine.network cimport Leaves
from fendan.engine.records cimport (
    FLAG_SPLIT, SUFFIX_BYTES, Record, Table, find_shipment, grant_at, id_at, pin, record_at,
    set_state, set_verdict, state_of_shipments,
)
from fendan.engine.router cimport STATUS_ASSIGNED, STATUS_UNASSIGNED, Verdict
from fendan.engine.shipments cimport IN_GROUP, Grant, Part, PartList, keep_of, lines_of
from fendan.engine.splits cimport add_shipments, share_amounts
from fendan.engine.shelves cimport Basket, Quantity, Shelves, give_back, quantity, take
from fendan.engine.terms cimport NEVER_NS


cdef Basket basket_in(const Columns* orders, int64_t row) noexcept nogil:
    cdef Basket basket
    cdef int64_t line
    basket.skus = orders.skus + orders.offsets[row]
    basket.quantities = orders.quantities + orders.offsets[row]
    basket.amounts = NULL
    basket.line_count = orders.offsets[row + 1] - orders.offsets[row]
    for line in range(orders.offsets[row], orders.offsets[row + 1] if orders.amounts else 0):
        if orders.amounts[line]:
            basket.amounts = orders.amounts + orders.offsets[row]
            break
    return basket


cdef inline int64_t part_count(const Decided* decided, int64_t row, int64_t first) noexcept nogil:
    """How many parts a row has, where `first` is the first part that is not of a row before."""
    cdef int64_t end = first
    if decided.parts == NULL:
        return 0
    while end < decided.parts.count and decided.parts.parts[end].row == row:
        end += 1
    return end - first


cdef inline int64_t due_of(const Decided* decided, int64_t row) noexcept nogil:
    if decided.grants == NULL:
        return decided.due_ns
    return decided.grants[row].due_ns or NEVER_NS


# -- ROOM --------------------------------------------------------------------------------------

cdef int64_t most_bytes(const Decided* decided) noexcept nogil:
    cdef const Columns* orders = decided.orders
    cdef const Part* part
    cdef int64_t row, at, total = most_order_bytes(0, 0) * orders.count
    for row in range(orders.count if orders.ids != NULL else 0):
        total += orders.ids[row].size
    total += most_order_bytes(0, orders.offsets[orders.count])
    for at in range(decided.parts.count if decided.parts != NULL else 0):
        part = decided.parts.parts + at
        total += most_order_bytes(orders.ids[part.row].size + SUFFIX_BYTES, part.line_count)
    return total


cdef void note_decided(Table* table, Decided* decided, const NameTable* skus) noexcept nogil:
    """A new record's due_ns is its row until it is told: so repeats in the batch find its parts."""
    cdef int64_t row, count, first = 0
    cdef Verdict* verdict
    if decided.numbers == NULL and not any_is_split(decided):
        return  # nobody will ask for them again, and whoever decided them said all
    for row in range(decided.orders.count):
        verdict = decided.verdicts + row
        if decided.grants != NULL:
            count = part_count(decided, row, first)
            if count:
                share_amounts(decided.parts, first, count, decided.orders, skus)
            first += count
            verdict.step, verdict.shipments = decided.grants[row].step, <unsigned char>count
            decided.grants[row].shipment_count = <unsigned char>(
                count or verdict.status == STATUS_ASSIGNED
            )
            if decided.orders.asked != NULL:
                decided.grants[row].asked_hash = decided.orders.asked[row].hash
        if decided.numbers != NULL:
            note_one(table, decided.numbers[decided.rows[row]], decided, row)


cdef inline void note_one(Table* table, int64_t number, const Decided* decided,
                          int64_t row) noexcept nogil:
    record_at(table, number).verdict = decided.verdicts[row]
    if decided.grants != NULL:
        record_at(table, number).due_ns = row
        grant_at(table, number)[0] = decided.grants[row]
        grant_at(table, number).due_ns = 0  # which the record has


cdef int64_t add_all_shipments(Table* table, const Decided* decided, bint* all) noexcept nogil:
    cdef const PartList* parts = decided.parts
    cdef int64_t first = 0, count, added, total = 0, number
    all[0] = True
    while first < parts.count:
        number = decided.numbers[decided.rows[parts.parts[first].row]]
        count = record_at(table, number).verdict.shipments
        added = add_shipments(table, number, parts, first, count)
        total += added
        if added < count:
            all[0] = False
            break
        first += count
    return total


# -- KEEPING -----------------------------------------------------------------------------------

cdef void keep_decided(Table* table, const Decided* decided) noexcept nogil:
    cdef int64_t row, count, number, first = 0
    for row in range(decided.orders.count):
        number = decided.numbers[decided.rows[row]]
        count = part_count(decided, row, first)
        if count:
            keep_split(table, number, decided, row, first)
        else:
            set_verdict(table, number, decided.verdicts + row, due_of(decided, row))
        first += count


cdef void keep_split(Table* table, int64_t order, const Decided* decided, int64_t row,
                     int64_t first) noexcept nogil:
    """An order that several stores fill: its shipments hold its stock."""
    cdef Record* record = record_at(table, order)
    cdef Verdict verdict = decided.verdicts[row]
    cdef const Part* part
    cdef int64_t shipment
    cdef int number
    record.verdict = record.current = verdict
    record.flags |= FLAG_SPLIT
    record.due_ns = NEVER_NS
    for number in range(1, decided.verdicts[row].shipments + 1):
        part = decided.parts.parts + first + number - 1
        shipment = find_shipment(table, order, number)
        verdict.store, verdict.distance_m, verdict.shipments = part.store, part.distance_m, 0
        set_verdict(table, shipment, &verdict, part.due_ns or due_of(decided, row))
        pin(table, shipment, order)
    set_state(table, order, state_of_shipments(table, order))


# -- WRITING DOWN ------------------------------------------------------------------------------

cdef int64_t put_decisions(EventBuffer* buffer, const Table* table,
                           const Decided* decided) noexcept nogil:
    """Ids are read from their records, which stand side by side, and not from where the caller has
    them, which may be anywhere. The shipments come behind all orders, as their records do.
    """
    cdef OrderEvent event
    cdef int64_t row, count, first = 0, broken = -1
    for row in range(decided.orders.count):
        begin_decision(&event, decided, row)
        count = part_count(decided, row, first)
        if count:
            event.kind = EVENT_SPLIT
            event.flags |= HAS_DISTANCE
        if not put_decision(buffer, table, decided.numbers[decided.rows[row]], &event):
            broken = row
        first += count
    first = 0
    for row in range(decided.orders.count if any_is_split(decided) else 0):
        count = part_count(decided, row, first)
        if count and not put_shipments(buffer, table, decided, row, first, count):
            broken = row
        first += count
    return broken


cdef inline bint any_is_split(const Decided* decided) noexcept nogil:
    """Whether any order was split."""
    return decided.parts != NULL and decided.parts.count > 0


cdef void find_in_turn(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil:
    """From the counts as all of it left them back to what each event finds, and forth again."""
    cdef int64_t row, at
    cdef Quantity* before = <Quantity*>decided.before
    if not is_out_of_turn(decided):
        return
    for at in range(decided.parts.count - 1, -1, -1):
        move_part(leaves, shelves, decided.parts, at, decided.parts.before)
    for row in range(decided.orders.count - 1, -1, -1):
        move_row(leaves, shelves, decided, row, before)
    for row in range(decided.orders.count):
        move_row(leaves, shelves, decided, row, NULL)
    for at in range(decided.parts.count):
        move_part(leaves, shelves, decided.parts, at, NULL)


cdef bint is_out_of_turn(const Decided* decided) noexcept nogil:
    """Whether anything was decided in the turn of another row."""
    cdef int64_t row
    if any_is_split(decided):
        return True
    for row in range(decided.orders.count if decided.grants != NULL else 0):
        if decided.grants[row].flags & IN_GROUP:
            return True
    return False


cdef inline void move_row(const Leaves* leaves, Shelves* shelves, const Decided* decided,
                          int64_t row, Quantity* before) noexcept nogil:
    cdef Basket basket = basket_in(decided.orders, row)
    cdef const Verdict* verdict = decided.verdicts + row
    if verdict.status == STATUS_ASSIGNED and not verdict.shipments:
        move(shelves, leaves.ordinal_of[verdict.store], &basket,
             NULL if before == NULL else before + decided.orders.offsets[row])


cdef inline void move_part(const Leaves* leaves, Shelves* shelves, const PartList* parts, int64_t at,
                           Quantity* before) noexcept nogil:
    cdef const Part* part = parts.parts + at
    cdef Basket lines = lines_of(parts, part)
    move(shelves, leaves.ordinal_of[part.store], &lines,
         NULL if before == NULL else before + part.first_line)


cdef inline void move(Shelves* shelves, int32_t ordinal, const Basket* basket,
                      Quantity* before) noexcept nogil:
    """Counts alone: back to what was found, which goes to `before`; or forth where that is NULL."""
    cdef int64_t line
    cdef int32_t pieces
    cdef Quantity* pair
    for line in range(basket.line_count):
        pair = quantity(shelves, basket.skus[line], ordinal)
        pieces = basket.quantities[line] if before == NULL else -basket.quantities[line]
        pair.net -= pieces
        pair.reserved += pieces
        if before != NULL:
            before[line] = pair[0]


cdef inline void begin_decision(OrderEvent* event, const Decided* decided,
                                int64_t row) noexcept nogil:
    cdef const Verdict* verdict = decided.verdicts + row
    event.lat, event.lng = decided.orders.lat[row], decided.orders.lng[row]
    event.store, event.distance_m = verdict.store, verdict.distance_m
    event.kind, event.reason = verdict.status, verdict.reason
    event.due_ns = due_of(decided, row)
    event.flags = HAS_PLACE
    if decided.grants != NULL:
        event.flags |= HAS_GRANT
        event.grant = decided.grants[row]
    event.basket = basket_in(decided.orders, row)
    event.before = decided.before + decided.orders.offsets[row]


cdef inline bint put_decision(EventBuffer* buffer, const Table* table, int64_t number,
                              OrderEvent* event) noexcept nogil:
    event.id = id_at(table, number)
    event.attempts = event.kind == EVENT_ASSIGNED
    if event.basket.amounts != NULL:
        event.flags |= HAS_AMOUNTS
    if event.attempts:
        event.flags |= HAS_DISTANCE | HAS_MOVED
        if event.due_ns != NEVER_NS:
            event.flags |= HAS_DUE
    return put_order_event(buffer, event)


cdef bint put_shipments(EventBuffer* buffer, const Table* table, const Decided* decided,
                        int64_t row, int64_t first, int64_t count) noexcept nogil:
    """The shipments of one order, whose own event moves nothing."""
    cdef int64_t order = decided.numbers[decided.rows[row]], at
    cdef OrderEvent event
    cdef const Part* part
    cdef bint good = True
    begin_decision(&event, decided, row)
    event.kind = EVENT_ASSIGNED
    event.grant.shipment_count = 1
    event.grant.merge_group = event.grant.merge_key = 0  # which the order has
    for at in range(first, first + count):
        part = decided.parts.parts + at
        event.flags = HAS_PLACE | HAS_GRANT
        event.store, event.distance_m = part.store, part.distance_m
        event.due_ns = part.due_ns or due_of(decided, row)
        event.grant.promised_ns, event.grant.keep_day = part.promised_ns, part.keep_day
        event.basket = lines_of(decided.parts, part)
        event.before = decided.parts.before + part.first_line
        if not put_decision(buffer, table, find_shipment(table, order, <int>(at - first + 1)),
                            &event):
            good = False
    return good


# -- STOCK -------------------------------------------------------------------------------------

cdef void note_reserved(Ring* ring, const Decided* decided) noexcept nogil:
    cdef const Columns* orders = decided.orders
    cdef const Part* part
    cdef int64_t row, line, at
    for row in range(orders.count):
        if decided.verdicts[row].status == STATUS_ASSIGNED and not decided.verdicts[row].shipments:
            for line in range(orders.offsets[row], orders.offsets[row + 1]):
                note(ring, decided.verdicts[row].store, orders.skus[line])
    for at in range(decided.parts.count if decided.parts != NULL else 0):
        part = decided.parts.parts + at
        for line in range(part.first_line, part.first_line + part.line_count):
            note(ring, part.store, decided.parts.skus[line])


cdef void undo(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil:
    """What was taken last goes back first."""
    cdef Basket basket
    cdef const Part* part
    cdef int64_t row, at = decided.parts.count - 1 if decided.parts != NULL else -1
    for row in range(decided.orders.count - 1, -1, -1):
        while at >= 0 and decided.parts.parts[at].row == row:
            part = decided.parts.parts + at
            basket = lines_of(decided.parts, part)
            give_back(shelves, leaves.ordinal_of[part.store], &basket)
            at -= 1
        if decided.verdicts[row].status == STATUS_ASSIGNED and not decided.verdicts[row].shipments:
            basket = basket_in(decided.orders, row)
            give_back(shelves, leaves.ordinal_of[decided.verdicts[row].store], &basket)


cdef void note_loads(Loads* loads, const Decided* decided, int64_t now_ns) noexcept nogil:
    cdef int64_t row, at = 0
    for row in range(decided.orders.count):
        if decided.verdicts[row].status == STATUS_ASSIGNED and not decided.verdicts[row].shipments:
            order_came(loads, decided.verdicts[row].store, now_ns)
        while decided.parts != NULL and at < decided.parts.count and (
                decided.parts.parts[at].row == row):
            order_came(loads, decided.parts.parts[at].store, now_ns)
            at += 1


cdef bint reserve(const Leaves* leaves, Shelves* shelves, const Decided* decided) noexcept nogil:
    """All of it or nothing."""
    cdef Decided done = decided[0]
    cdef Columns orders = decided.orders[0]
    cdef PartList parts = decided.parts[0]
    cdef bint is_there = True
    done.orders, done.parts = &orders, &parts
    orders.count = parts.count = 0
    while is_there and orders.count < decided.orders.count:
        is_there = reserve_row(leaves, shelves, decided, orders.count, &parts.count)
        orders.count += is_there
    if not is_there:
        orders.count += 1  # of which the parts before the one that failed were reserved
        decided.verdicts[orders.count - 1].status = STATUS_UNASSIGNED
        undo(leaves, shelves, &done)
    return is_there


cdef bint reserve_row(const Leaves* leaves, Shelves* shelves, const Decided* decided, int64_t row,
                      int64_t* at) noexcept nogil:
    """One order; `at` is its first part, and then the first that was not reserved."""
    cdef int64_t end = at[0] + part_count(decided, row, at[0])
    cdef Verdict* verdict = decided.verdicts + row
    cdef Quantity* before = <Quantity*>decided.before + decided.orders.offsets[row]
    cdef const Grant* grant = decided.grants + row
    cdef Keep keep = keep_of(grant, grant.keep_day)
    cdef Basket basket
    cdef const Part* part
    verdict.shipments = <unsigned char>(end - at[0])
    if not verdict.shipments and verdict.status == STATUS_ASSIGNED:
        basket = basket_in(decided.orders, row)
        return take(shelves, leaves.ordinal_of[verdict.store], &basket, before, &keep)
    while at[0] < end:
        part = decided.parts.parts + at[0]
        basket = lines_of(decided.parts, part)
        keep = keep_of(grant, part.keep_day)
        if not take(shelves, leaves.ordinal_of[part.store], &basket,
                    decided.parts.before + part.first_line, &keep):
            return False
        at[0] += 1
    return True
