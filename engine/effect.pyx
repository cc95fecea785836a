"""What an event of an order does to the state: the counts it moves, and the order's record.

It is the same whether the event happens now (see life) or is read from a journal. So it needs
nothing but the event and the state, and searches nothing.
"""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.changes cimport note
from fendan.engine.events cimport (
    EVENT_ASSIGNED, EVENT_REJECTED, EVENT_RETURNED, EVENT_SHIPPED, EVENT_SPLIT, EVENT_UNASSIGNED,
    HAS_DUE, HAS_GRANT, HAS_MOVED, HAS_PLACE, OrderEvent, moved,
)
from fendan.engine.larder cimport Keep, Larder, day_of, first_good, keep_day
from fendan.engine.loads cimport Loads, order_came, order_left
from fendan.engine.lots cimport hold, put_back, release, ship
from fendan.engine.merges cimport Merge, MergeTable, begin_merges, merge_of, note_merge
from fendan.engine.network cimport NO_STORE, Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    FLAG_GRANTED, FLAG_SHIPMENT, FLAG_SPLIT, RETURNED_TO_STOCK, STATE_ASSIGNED, STATE_REJECTED,
    STATE_UNASSIGNED, Record, Table, add_rejection, grant_at, holds, order_of, pin, record_at,
    reserve_rejection, set_due, set_state, tell_shipment,
)
from fendan.engine.router cimport REASON_NONE, STATUS_ASSIGNED, STATUS_UNASSIGNED, Verdict
from fendan.engine.shelves cimport Quantity, Shelves, has_lots, quantity, show
from fendan.engine.shipments cimport keep_of
from fendan.engine.terms cimport NEVER_NS

from fendan.engine.fault import Fault
from fendan.errors import refuse


cdef int apply_order_event(Orders orders, int64_t number, const OrderEvent* event,
                           int64_t time_ns) except -1:
    cdef Table* table = &orders.records.table
    cdef Record* record = record_at(table, number)
    cdef Keep keep = keep_by(event, time_ns)
    cdef bint moves = event.flags & HAS_MOVED
    cdef int32_t was_at = record.current.store if holds(record) else NO_STORE
    if moves and not is_as_found(orders, event):
        refuse(Fault.BREACH, "order_id", event.id.text[:event.id.size].decode(),
               hint=f"its store {event.store} does not have the counts that the event found")
    if event.kind == EVENT_REJECTED and not reserve_rejection(table, number):
        raise MemoryError("no room for more rejections")
    if moves:
        move(orders, event, keep, from_day_of(table, number))
    if event.kind == EVENT_REJECTED:
        add_rejection(table, number, event.store, time_ns)
    if event.kind == EVENT_RETURNED and moves:
        record.flags |= RETURNED_TO_STOCK
    if (event.kind <= EVENT_UNASSIGNED or event.kind == EVENT_REJECTED
            or event.kind == EVENT_SPLIT):
        place(&record.current, event)
    if event.flags & HAS_PLACE:
        decide(table, number, event)
    elif event.kind == EVENT_SPLIT:
        record.flags |= FLAG_SPLIT
        record.current.shipments = event.grant.shipment_count
    elif event.kind == EVENT_ASSIGNED and record.flags & FLAG_GRANTED:
        grant_at(table, number).keep_day = keep_day(keep)
    if (event.flags & HAS_PLACE or record.state == STATE_UNASSIGNED) and event.grant.merge_key:
        join(&orders.merges.table, event, time_ns)
    record.attempts = event.attempts
    set_due(table, number, event.due_ns if event.flags & HAS_DUE else NEVER_NS)
    set_state(table, number, state_after(event))
    if record.flags & FLAG_SHIPMENT:
        tell_shipment(table, number)
    if orders.loads is not None:
        count(&orders.loads.loads, was_at, record, time_ns)
    return 0


cdef void count(Loads* loads, int32_t was_at, const Record* record, int64_t time_ns) noexcept:
    """Keep the open orders of the stores: one left, or came."""
    cdef int32_t is_at = record.current.store if holds(record) else NO_STORE
    if was_at == is_at:
        return
    if was_at != NO_STORE:
        order_left(loads, was_at, time_ns)
    if is_at != NO_STORE:
        order_came(loads, is_at, time_ns)


cdef void decide(Table* table, int64_t number, const OrderEvent* event) noexcept nogil:
    """Keep a first decision: what a retry is told."""
    cdef Record* record = record_at(table, number)
    record.verdict = record.current
    if event.kind == EVENT_SPLIT:
        record.flags |= FLAG_SPLIT
        record.verdict.shipments = record.current.shipments = event.grant.shipment_count
    if record.flags & FLAG_GRANTED:
        grant_at(table, number)[0] = event.grant
    if record.flags & FLAG_SHIPMENT:
        pin(table, number, order_of(table, number))


cdef int join(MergeTable* merges, const OrderEvent* event, int64_t time_ns) except -1:
    """Note the order's merge group, whose store stays what it was where this order found none."""
    cdef const Merge* merge
    cdef int32_t store = event.store
    if not begin_merges(merges, 1):
        raise MemoryError("no room for more merge groups")
    if store == NO_STORE:
        merge = merge_of(merges, event.grant.merge_key, time_ns, NEVER_NS)
        if merge != NULL and merge.group == event.grant.merge_group:
            store = merge.store
    note_merge(merges, event.grant.merge_key, time_ns, event.grant.merge_group, store)
    return 0


cdef inline uint8_t state_after(const OrderEvent* event) noexcept nogil:
    """An order that was rejected, and that nobody else can fill, stays rejected."""
    if event.kind == EVENT_UNASSIGNED and not event.flags & HAS_PLACE:
        return STATE_REJECTED
    return STATE_ASSIGNED if event.kind == EVENT_SPLIT else event.kind


cdef void place(Verdict* current, const OrderEvent* event) noexcept nogil:
    """Where the order is from now on: at a store, or at none and why."""
    cdef bint assigned = event.kind == EVENT_ASSIGNED or event.kind == EVENT_SPLIT
    current.step = event.grant.step if event.flags & HAS_GRANT else 0
    current.shipments = 0
    current.store = event.store if assigned else NO_STORE
    current.distance_m = event.distance_m if assigned else NAN
    current.status = STATUS_ASSIGNED if assigned else STATUS_UNASSIGNED
    current.reason = event.reason if event.kind == EVENT_UNASSIGNED else REASON_NONE


cdef bint is_as_found(Orders orders, const OrderEvent* event) noexcept:
    """Whether the pairs that the event moves have the counts that it found."""
    cdef const Shelves* shelves = &orders.stock.shelves
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef const Quantity* pair
    cdef int64_t line
    if not 0 <= event.store < leaves.store_count:
        return False
    for line in range(event.basket.line_count):
        if not 0 <= event.basket.skus[line] < shelves.sku_count:
            return False
        pair = quantity(shelves, event.basket.skus[line], leaves.ordinal_of[event.store])
        if (pair == NULL or pair.net != event.before[line].net
                or pair.reserved != event.before[line].reserved):
            return False
    return True


cdef inline Keep keep_by(const OrderEvent* event, int64_t time_ns) noexcept nogil:
    """What lots are to be good for: the promise, or else for today."""
    cdef Keep keep
    if event.flags & HAS_GRANT:
        return keep_of(&event.grant, event.grant.keep_day)
    keep.day, keep.least_life_days = day_of(time_ns), 0
    return keep


cdef inline int32_t from_day_of(const Table* table, int64_t number) noexcept nogil:
    """What the order holds is in lots from that day on, or was moved by others from there."""
    if record_at(table, number).flags & FLAG_GRANTED:
        return grant_at(table, number).keep_day
    return 0


cdef void move(Orders orders, const OrderEvent* event, Keep keep, int32_t from_day) noexcept:
    """Move the counts of the event's lines and their lots, and tell those who watch."""
    cdef Shelves* shelves = &orders.stock.shelves
    cdef int32_t ordinal = orders.stock.network.layout.leaves.ordinal_of[event.store]
    cdef Quantity* pair
    cdef Quantity after
    cdef int64_t line
    for line in range(event.basket.line_count):
        pair = quantity(shelves, event.basket.skus[line], ordinal)
        after = moved(event.kind, event.before[line], event.basket.quantities[line])
        if after.net != pair.net:
            note(&orders.stock.changes.ring, event.store, event.basket.skus[line])
        pair[0] = after
        show(shelves, event.basket.skus[line], ordinal, pair)
        if has_lots(shelves, event.basket.skus[line]):
            move_lots(&shelves.larder, event, event.basket.skus[line],
                      event.basket.quantities[line], keep, from_day)


cdef void move_lots(Larder* larder, const OrderEvent* event, int32_t sku, int32_t quantity,
                    Keep keep, int32_t from_day) noexcept nogil:
    """`from_day` is no later than the day that a line was held from, which is all that lots ask."""
    if event.kind == EVENT_ASSIGNED:
        hold(larder.lots, event.store, sku, first_good(larder, sku, keep), quantity)
    elif event.kind == EVENT_SHIPPED:
        ship(larder.lots, event.store, sku, from_day, quantity)
    elif event.kind == EVENT_RETURNED:
        put_back(larder.lots, event.store, sku, from_day, quantity)
    else:
        release(larder.lots, event.store, sku, from_day, quantity)
