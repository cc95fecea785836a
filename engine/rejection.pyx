"""A store would not have an order: give back, correct its counts, and look for the next.

The next is the nearest within reach that has every line, or, of an order that was decided under a
policy, whom the policy in force chooses, never in more shipments; without the last store that
rejected the order and any other that did within the cool-down. What is to be fetched at a named
store, or goes with its group, has no next one. A shipment of a split order goes its own way; one that
waits for supply, to a store that gets the same on the same days, which only a policy can tell.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.book cimport Rules
from fendan.engine.changes cimport note
from fendan.engine.events cimport (
    EVENT_ASSIGNED, EVENT_REJECTED, EVENT_UNASSIGNED, HAS_DISTANCE, HAS_DUE, HAS_GRANT, HAS_MOVED,
    Lines, OrderEvent,
)
from fendan.engine.larder cimport begin_holds
from fendan.engine.lots cimport correct as correct_lots
from fendan.engine.network cimport Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    NO_REJECTION, Record, Rejection, Table, basket_at, grant_at, order_of, record_at, rejection_of,
)
from fendan.engine.router cimport (
    REASON_GROUP_NOT_WHOLE, REASON_NO_SUPPLY, REASON_NONE, REASON_PICKUP_STORE,
    REASON_TOO_MANY_ATTEMPTS, STATUS_ASSIGNED, Verdict, route_one,
)
from fendan.engine.shelves cimport Basket, Quantity, Shelves, give_back, quantity, show
from fendan.engine.shipments cimport IN_GROUP, PICKUP_NAMED, Grant
from fendan.engine.steps cimport add_lines, begin_event, happen, make_room, take_step
from fendan.engine.stock cimport Stock
from fendan.engine.successor cimport dispatch_again
from fendan.engine.terms cimport NEVER_NS

import numpy as np

from fendan.engine.events import EventKind
from fendan.engine.fault import Fault
from fendan.engine.router import _Named
from fendan.errors import refuse

_SUPPLY = "\x1f"  # between a SKU and the day of its supply, see fendan.supplies


class RejectReason(_Named):
    """Why a store would not have an order."""

    OTHER = REJECT_OTHER
    NOT_ON_SHELF = REJECT_NOT_ON_SHELF
    DAMAGED = REJECT_DAMAGED
    TOO_BUSY = REJECT_TOO_BUSY
    CLOSED = REJECT_CLOSED

    @property
    def corrects_stock(self):
        """Whether the store has found out that it has less than its counts say."""
        return self in (RejectReason.NOT_ON_SHELF, RejectReason.DAMAGED)


cdef int reject_all(Orders orders, Lines lines, const Patience* patience, Rules rules,
                    list numbers, list missing, uint8_t reason, int64_t now_ns) except -1:
    """All of them: whatever can fail for want of memory comes before the first change."""
    cdef const Table* table = &orders.records.table
    cdef uint64_t[::1] allowed = np.empty(
        max(1, orders.stock.network.layout.leaves.leaf_count), dtype=np.uint64
    )
    cdef int64_t number, rows
    cdef int32_t store
    cdef set gone
    most = max(map(len, missing), default=0)
    stores, skus, after = np.empty((3, most), dtype=np.int32)
    before = np.empty((most, 2), dtype=np.int32)
    make_room(orders, numbers, 2, sum(map(len, missing)))
    for number, gone in zip(numbers, missing):
        store = record_at(table, number).current.store
        take_step(orders, lines, number, EVENT_REJECTED, now_ns, False, reason)
        rows = correct(orders.stock, store, gone, stores, skus, before, after)
        if rows and orders.events is not None:
            orders.events.stock(
                EventKind.STOCK_CORRECTED, stores[:rows], skus[:rows], before[:rows], after[:rows]
            )
        route_again(orders, lines, patience, rules, number, &allowed[0], now_ns, False)
    return 0


cdef int64_t correct(Stock stock, int32_t store, set missing, int32_t[::1] stores,
                     int32_t[::1] skus, int32_t[:, ::1] before, int32_t[::1] after) except -1:
    """Leave a store only what it still holds for other orders; returns how many rows changed.

    Where it has less than that already, nothing can be sold, and nothing changes.
    """
    cdef Shelves* shelves = &stock.shelves
    cdef int32_t ordinal = stock.network.layout.leaves.ordinal_of[store]
    cdef Quantity* pair
    cdef int32_t sku
    cdef int64_t row = 0
    for sku in sorted(missing):
        pair = quantity(shelves, sku, ordinal)
        if pair.net <= 0:
            continue
        stores[row], skus[row], after[row] = store, sku, pair.reserved
        before[row, 0], before[row, 1] = pair.net, pair.reserved
        pair.net = 0
        correct_lots(&stock.lots.table, store, sku, pair.reserved)
        show(shelves, sku, ordinal, pair)
        note(&stock.changes.ring, store, sku)
        row += 1
    return row


cdef uint8_t why_nowhere(const Grant* grant, bint waits, bint has_rules) noexcept nogil:
    """Why an order may go to no other store; REASON_NONE where it may."""
    if grant != NULL and grant.flags & PICKUP_NAMED:
        return REASON_PICKUP_STORE
    if grant != NULL and grant.flags & IN_GROUP:
        return REASON_GROUP_NOT_WHOLE
    return REASON_NO_SUPPLY if waits and (grant == NULL or not has_rules) else REASON_NONE


cdef int route_again(Orders orders, Lines lines, const Patience* patience, Rules rules,
                     int64_t number, uint64_t* allowed, int64_t now_ns, bint is_retry) except -1:
    """Assign a rejected order to the next store, or say why there is none, which a retry does not."""
    cdef Table* table = &orders.records.table
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef Basket basket = basket_at(table, number)
    cdef bint waits = waits_for_supply(orders, &basket)
    cdef OrderEvent event
    cdef Verdict verdict
    begin_event(&event, table, number, EVENT_UNASSIGNED)
    event.reason = REASON_TOO_MANY_ATTEMPTS
    if record_at(table, number).attempts < patience.most_attempts:
        event.reason = why_nowhere(grant_at(table, number), waits, rules is not None)
    if event.reason == REASON_NONE:
        allow(allowed, leaves, table, number, now_ns - patience.cool_down_ns)
        # Holds of batches long gone stand for good: what is given back below must not find them.
        begin_holds(&orders.stock.shelves.larder)
        verdict = search_again(
            orders, lines, patience, rules, number, waits, allowed, now_ns, &event
        )
        event.reason = verdict.reason
        if verdict.status == STATUS_ASSIGNED:
            # The event is to reserve, here as when it is read again.
            give_back(&orders.stock.shelves, leaves.ordinal_of[verdict.store], &basket)
            event.kind = EVENT_ASSIGNED
            event.store, event.distance_m = verdict.store, verdict.distance_m
            event.before = lines.before
            event.attempts += 1
            event.flags |= HAS_DISTANCE | HAS_MOVED
            if event.due_ns != NEVER_NS:
                event.flags |= HAS_DUE
            add_lines(&event, table, number)
        else:
            event.flags = 0
    if is_retry and event.kind == EVENT_UNASSIGNED:
        return 0
    return happen(orders, number, &event, now_ns)


cdef Verdict search_again(Orders orders, Lines lines, const Patience* patience, Rules rules,
                          int64_t number, bint waits, const uint64_t* allowed, int64_t now_ns,
                          OrderEvent* event) noexcept:
    """Choose and reserve, under the policy if the order was decided under one; when it is due."""
    cdef Table* table = &orders.records.table
    cdef const Record* record = record_at(table, number)
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef Basket basket = basket_at(table, number)
    cdef Basket whole = basket_at(table, order_of(table, number))
    cdef Verdict verdict
    if rules is None or grant_at(table, number) == NULL:
        event.due_ns = due_after(patience, now_ns)
        return route_one(leaves, &orders.stock.shelves, record.lat, record.lng, &basket,
                         patience.radius_m, allowed, lines.before)
    event.grant = grant_at(table, number)[0]
    event.flags |= HAS_GRANT
    verdict = dispatch_again(
        &rules.book, leaves, &orders.stock.shelves, record.lat, record.lng, &basket, &whole, waits,
        allowed, now_ns, &event.grant, lines.before,
    )
    event.due_ns = event.grant.due_ns or NEVER_NS
    return verdict


cdef bint waits_for_supply(Orders orders, const Basket* basket) except -1:
    return _SUPPLY in <str>orders.stock.skus[basket.skus[0]]


cdef void allow(uint64_t* allowed, const Leaves* leaves, const Table* table, int64_t number,
                int64_t since_ns) noexcept nogil:
    """The open stores, without the last that rejected the order and any that did after a time."""
    cdef int32_t newest = record_at(table, number).rejection
    cdef int32_t next_one = newest, leaf, ordinal
    cdef const Rejection* rejection
    for leaf in range(leaves.leaf_count):
        allowed[leaf] = leaves.open[leaf]
    while next_one != NO_REJECTION:
        rejection = rejection_of(table, number, next_one)
        if next_one == newest or rejection.time_ns > since_ns:
            ordinal = leaves.ordinal_of[rejection.store]
            allowed[ordinal >> 6] &= ~((<uint64_t>1) << (ordinal & 63))
        next_one = rejection.before


# -- WHAT IS MISSING ---------------------------------------------------------------------------

cdef object sku_of(Orders orders, int32_t code):
    """The code of a SKU, or of that which a code of supply stands for."""
    cdef str name = orders.stock.skus[code]
    return orders.stock.sku_code_of.get(name.partition(_SUPPLY)[0]) if _SUPPLY in name else code


cdef set lacked_by(Orders orders, int64_t number, set missing):
    cdef Basket basket = basket_at(&orders.records.table, number)
    return {
        basket.skus[line] for line in range(basket.line_count)
        if sku_of(orders, basket.skus[line]) in missing
    }


cdef set missing_of(Orders orders, int64_t number, reason, missing_skus):
    cdef Basket basket = basket_at(&orders.records.table, number)
    cdef set asked = {sku_of(orders, basket.skus[line]) for line in range(basket.line_count)}
    cdef set missing = set()
    if not missing_skus:
        return asked if reason.corrects_stock else missing
    if not reason.corrects_stock:
        refuse(Fault.OUT_OF_RANGE, "missing_skus", missing_skus,
               hint=f"nothing is missing where the reason is {reason}")
    for row, sku in enumerate(missing_skus):
        code = orders.stock.sku_code_of.get(sku)
        if code not in asked:
            refuse(Fault.UNKNOWN_SKU, "missing_skus", sku, row=row,
                   hint="the order has no line of it")
        missing.add(code)
    return missing
