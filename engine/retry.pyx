"""Orders that nobody fills are tried again: as if they came now, but under the id they have.

    UNASSIGNED             nothing was ever reserved: decided as a first time, in several shipments too
    REJECTED, EXPIRED      whole and without the stores that would not have it, as `rejection` does

An attempt that finds nothing leaves no trace. One that does is an ASSIGNED, or a SPLIT with its
shipments, of an order that is known; what the order was told first stays what a repeat is told.

What is decided is given back at once, and happens then as events do, here as when they are read.
"""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.math cimport INFINITY

from fendan.engine.arrival cimport Arrival, arrival_of
from fendan.engine.batch cimport Batch
from fendan.engine.book cimport Rules
from fendan.engine.decided cimport Decided, note_decided
from fendan.engine.dispatch cimport dispatch_many
from fendan.engine.events cimport (
    EVENT_ASSIGNED, EVENT_SPLIT, HAS_AMOUNTS, HAS_DISTANCE, HAS_DUE, HAS_GRANT, HAS_PLACE,
    Lines, OrderEvent, most_order_bytes,
)
from fendan.engine.larder cimport begin_holds
from fendan.engine.life cimport Life
from fendan.engine.merges cimport begin_merges, forget_past
from fendan.engine.network cimport Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    FLAG_GRANTED, STATE_EXPIRED, STATE_REJECTED, STATE_UNASSIGNED, SUFFIX_BYTES, Table,
    basket_at, find_shipment, has_slots, id_at, record_at, retire,
)
from fendan.engine.rejection cimport due_after, route_again, waits_for_supply
from fendan.engine.router cimport STATUS_ASSIGNED, Verdict, route_many, route_one
from fendan.engine.shelves cimport Basket, Quantity, give_back
from fendan.engine.shipments cimport Part, lines_of
from fendan.engine.splits cimport add_shipments
from fendan.engine.steps cimport add_counts, add_lines, begin_event, happen, make_room
from fendan.engine.terms cimport NEVER_NS

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.records import OrderState
from fendan.errors import refuse

_STATES = (None, *OrderState)


# -- NEVER ASSIGNED ----------------------------------------------------------------------------

def retry(Life life not None, Batch batch not None, Rules rules, int64_t now_ns):
    """Route orders that are UNASSIGNED again, one after another; for each whether it is assigned.

    `batch`: as they were routed first. With `rules` as they say now, where the orders were decided
    under a policy; the others go to the nearest store within the engine's radius. Raises
    UnknownOrderError, and WrongStateError for an order that is not UNASSIGNED.
    """
    cdef Orders orders = life.orders
    cdef Table* table = &orders.records.table
    cdef list numbers = [
        orders._number(batch.id_of(row), "order_id") for row in range(len(batch))
    ]
    cdef int64_t number, row, first = 0
    cdef bint granted = rules is not None
    cdef Arrival arrival
    for number in numbers:
        if record_at(table, number).state != STATE_UNASSIGNED:
            refuse(Fault.WRONG_STATE, "order_id", id_of(table, number),
                   hint=f"it is {_STATES[record_at(table, number).state]}")
        granted = granted and record_at(table, number).flags & FLAG_GRANTED
    arrival = decided_again(life, batch, rules if granted else None, now_ns)
    _make_room(orders, numbers, &arrival.decided)
    cdef list assigned = []
    for row, number in enumerate(numbers):
        assigned.append(arrival.decided.verdicts[row].status == STATUS_ASSIGNED)
        if arrival.decided.verdicts[row].shipments:
            first = _split(life, number, &arrival.decided, row, first, now_ns)
        elif assigned[row]:
            _assign(life, number, &arrival.decided, row, now_ns)
    retire(table, orders.remembered)
    return assigned


cdef Arrival decided_again(Life life, Batch batch, Rules rules, int64_t now_ns):
    """What is decided on these orders; all is as it was."""
    cdef Orders orders = life.orders
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef Arrival arrival = arrival_of(orders.stock, &orders.records.table, batch.without_ids())
    cdef Decided* decided = &arrival.decided
    cdef bint has_room = True
    begin_holds(&orders.stock.shelves.larder)
    forget_past(&orders.merges.table)
    arrival.make_room(rules is not None, True, due_after(&life._patience, now_ns))
    with nogil:
        if rules is None:
            route_many(leaves, &orders.stock.shelves, decided.orders, life._patience.radius_m,
                       decided.verdicts, <Quantity*>decided.before)
            has_room = not orders.stock.shelves.larder.no_memory
        else:
            has_room = dispatch_many(
                &rules.book, leaves, &orders.stock.shelves, decided.orders, now_ns,
                decided.verdicts, decided.grants, decided.parts, <Quantity*>decided.before,
            )
    if has_room:
        note_decided(&orders.records.table, decided, &orders.stock.sku_code_of.table)
    orders._undo(decided)
    if not has_room:
        raise MemoryError("no room for more decisions")
    return arrival


cdef int _make_room(Orders orders, list numbers, const Decided* decided) except -1:
    """Whatever can fail comes before the first change."""
    cdef const Table* table = &orders.records.table
    cdef int64_t at, size = 0, count = decided.parts.count if decided.parts != NULL else 0
    cdef const Part* part
    make_room(orders, numbers, 1, 0)
    if not begin_merges(&orders.merges.table, len(numbers)) or not has_slots(
            &orders.records.table, count):
        raise MemoryError("no room for more shipments")
    for at in range(count):
        part = decided.parts.parts + at
        size += most_order_bytes(
            id_at(table, numbers[part.row]).size + SUFFIX_BYTES, part.line_count
        )
    for number in numbers:
        size += most_order_bytes(id_at(table, number).size, record_at(table, number).line_count)
    if orders.events is not None:
        orders.events.reserve(size)
    return 0


cdef void _promise(OrderEvent* event, const Decided* decided, int64_t row) noexcept:
    """The distance, the grant, and when the reservation times out."""
    event.flags |= HAS_DISTANCE
    event.due_ns = decided.due_ns
    if decided.grants != NULL:
        event.flags |= HAS_GRANT
        event.grant = decided.grants[row]
        event.due_ns = event.grant.due_ns or NEVER_NS
        event.grant.due_ns = 0  # which the record has
    if event.due_ns != NEVER_NS:
        event.flags |= HAS_DUE


cdef int _assign(Life life, int64_t number, const Decided* decided, int64_t row,
                 int64_t now_ns) except -1:
    cdef Orders orders = life.orders
    cdef const Table* table = &orders.records.table
    cdef const Verdict* verdict = decided.verdicts + row
    cdef OrderEvent event
    begin_event(&event, table, number, EVENT_ASSIGNED)
    event.store, event.distance_m = verdict.store, verdict.distance_m
    event.attempts += 1
    _promise(&event, decided, row)
    add_lines(&event, table, number)
    add_counts(&event, &orders.stock.shelves,
               orders.stock.network.layout.leaves.ordinal_of[event.store], life._lines.before)
    return happen(orders, number, &event, now_ns)


cdef int64_t _split(Life life, int64_t order, const Decided* decided, int64_t row, int64_t first,
                    int64_t now_ns) except -1:
    """An order that several stores fill, and its shipments; returns the first part of the next."""
    cdef Orders orders = life.orders
    cdef Table* table = &orders.records.table
    cdef const Verdict* verdict = decided.verdicts + row
    cdef OrderEvent event
    cdef const Part* part
    cdef int64_t at, shipment
    begin_event(&event, table, order, EVENT_SPLIT)
    event.store, event.distance_m = verdict.store, verdict.distance_m
    _promise(&event, decided, row)
    event.flags &= ~HAS_DUE
    happen(orders, order, &event, now_ns)
    if add_shipments(table, order, decided.parts, first, verdict.shipments) < verdict.shipments:
        raise MemoryError("no room for more shipments")
    for at in range(verdict.shipments):
        part = decided.parts.parts + first + at
        shipment = find_shipment(table, order, <int32_t>at + 1)
        begin_event(&event, table, shipment, EVENT_ASSIGNED)
        event.lat, event.lng = record_at(table, shipment).lat, record_at(table, shipment).lng
        event.store, event.distance_m = part.store, part.distance_m
        event.attempts = 1
        _promise(&event, decided, row)
        event.flags |= HAS_PLACE
        event.grant.shipment_count = 1
        event.grant.merge_group = event.grant.merge_key = 0  # which the order has
        event.grant.promised_ns, event.grant.keep_day = part.promised_ns, part.keep_day
        if part.due_ns:
            event.due_ns = part.due_ns
        event.flags &= ~HAS_DUE
        if event.due_ns != NEVER_NS:
            event.flags |= HAS_DUE
        add_lines(&event, table, shipment)
        add_counts(&event, &orders.stock.shelves,
                   orders.stock.network.layout.leaves.ordinal_of[part.store], life._lines.before)
        happen(orders, shipment, &event, now_ns)
    return first + verdict.shipments


# -- ASSIGNED BEFORE ---------------------------------------------------------------------------

def retry_rejected(Life life not None, order_id, Rules rules, int64_t now_ns):
    """Look once more for a store for what was REJECTED or has EXPIRED; whether any was found.

    Of a split order, for each shipment that was.
    """
    cdef Orders orders = life.orders
    cdef const Table* table = &orders.records.table
    cdef list homeless = _homeless(life, orders._number(order_id, "order_id"))
    cdef uint64_t[::1] allowed = _no_leaves(orders)
    cdef int64_t number
    cdef bint found = False
    make_room(orders, homeless, 1, 0)
    for number in homeless:
        if record_at(table, number).state == STATE_UNASSIGNED:
            continue
        route_again(orders, life._lines, &life._patience, rules, number, &allowed[0], now_ns, True)
        found = found or record_at(table, number).current.status == STATUS_ASSIGNED
    return found


def assign_to(Life life not None, order_id, int32_t store, comes_ns, int64_t now_ns):
    """Give an order that is at no store, or those of its shipments, to this one; whether it can.

    The store must be open, and have all of it: whatever else rules would say. Else nothing changes.
    `comes_ns`: called with the SKU code of a supply, when that comes to the store.
    """
    cdef Orders orders = life.orders
    cdef const Table* table = &orders.records.table
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef int64_t order = orders._number(order_id, "order_id"), number
    cdef list homeless = _homeless(life, order)
    cdef int32_t ordinal = leaves.ordinal_of[store]
    cdef double[::1] distances_m
    cdef int64_t place
    cdef list from_ns
    cdef OrderEvent event
    if not homeless:
        refuse(Fault.WRONG_STATE, "order_id", order_id,
               hint=f"it is {_STATES[record_at(table, order).state]}")
    distances_m = np.empty(len(homeless))
    from_ns = [max(now_ns, _comes_ns(orders, number, comes_ns)) for number in homeless]
    make_room(orders, homeless, 1, 0)
    if not _has_all(orders, homeless, ordinal, distances_m):
        return False
    for place, number in enumerate(homeless):
        begin_event(&event, table, number, EVENT_ASSIGNED)
        event.store, event.distance_m = store, distances_m[place]
        event.attempts += 1
        event.flags |= HAS_DISTANCE
        event.due_ns = due_after(&life._patience, from_ns[place])
        if event.due_ns != NEVER_NS:
            event.flags |= HAS_DUE
        add_lines(&event, table, number)
        add_counts(&event, &orders.stock.shelves, ordinal, life._lines.before)
        happen(orders, number, &event, now_ns)
    return True


cdef int64_t _comes_ns(Orders orders, int64_t number, comes_ns) except? -1:
    """When all that a record waits for has come; 0 where it is sold from stock."""
    cdef Basket basket = basket_at(&orders.records.table, number)
    if not waits_for_supply(orders, &basket):
        return 0
    return max([comes_ns(basket.skus[line]) for line in range(basket.line_count)])


cdef bint _has_all(Orders orders, list numbers, int32_t ordinal, double[::1] distances_m) except -1:
    """Whether a store is open and has all of these together, and how far each is; nothing changes."""
    cdef const Table* table = &orders.records.table
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef uint64_t[::1] allowed = _no_leaves(orders)
    cdef int64_t number, taken = 0
    cdef Basket basket
    cdef Verdict verdict
    allowed[ordinal >> 6] = leaves.open[ordinal >> 6] & ((<uint64_t>1) << (ordinal & 63))
    begin_holds(&orders.stock.shelves.larder)
    for number in numbers:
        basket = basket_at(table, number)
        verdict = route_one(leaves, &orders.stock.shelves, record_at(table, number).lat,
                            record_at(table, number).lng, &basket, INFINITY, &allowed[0], NULL)
        if verdict.status != STATUS_ASSIGNED:
            break
        distances_m[taken] = verdict.distance_m
        taken += 1
    for number in reversed(numbers[:taken]):
        basket = basket_at(table, number)
        give_back(&orders.stock.shelves, ordinal, &basket)
    if orders.stock.shelves.larder.no_memory:
        raise MemoryError("no room for more decisions")
    return taken == len(numbers)


cdef list _homeless(Life life, int64_t order):
    """The record of an order that is at no store; of a split one, of those of its shipments."""
    cdef const Table* table = &life.orders.records.table
    cdef int64_t number
    return [
        number for number in life._named(order, None)
        if record_at(table, number).state in (STATE_UNASSIGNED, STATE_REJECTED, STATE_EXPIRED)
    ]


cdef uint64_t[::1] _no_leaves(Orders orders):
    return np.zeros(max(1, orders.stock.network.layout.leaves.leaf_count), dtype=np.uint64)


# -- WHAT IS REMEMBERED ------------------------------------------------------------------------

def asked_for(Orders orders not None, order_id):
    """Latitude, longitude, and the lines of a known order as (SKU code, pieces, amount)."""
    cdef const Table* table = &orders.records.table
    cdef int64_t number = orders._number(order_id, "order_id"), line
    cdef Basket basket = basket_at(table, number)
    return record_at(table, number).lat, record_at(table, number).lng, [
        (basket.skus[line], basket.quantities[line],
         0 if basket.amounts == NULL else basket.amounts[line])
        for line in range(basket.line_count)
    ]


cdef str id_of(const Table* table, int64_t number):
    return id_at(table, number).text[:id_at(table, number).size].decode()
