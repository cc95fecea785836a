"""The life of an order: what it may do next, and what that does to stock.

    ASSIGNED --> ACCEPTED --> PICKED --> SHIPPED --> DELIVERED
        |            |           |           +----------+--> RETURNED, to stock or not
        +------------+-----------+--> its store rejects it: ASSIGNED to another, or REJECTED
        +------------+-----------+--> CANCELLED, as from UNASSIGNED and REJECTED
        +--> EXPIRED, once its reservation is due

A step that has happened before changes nothing, so that it can safely be sent again; any other that
does not start where the order is, is refused. Nothing here searches but a rejection, which looks
for the next store at once.

A step is checked; room is made for what it will write; then it happens as one event or several.
What an event does is told by `effect` alone: here it is only decided.
"""
cimport cython
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memset

from fendan.engine.changes cimport note
from fendan.engine.effect cimport apply_order_event
from fendan.engine.events cimport (
    EVENT_ASSIGNED, EVENT_CANCELLED, EVENT_EXPIRED, EVENT_REJECTED, EVENT_RETURNED, EVENT_SHIPPED,
    EVENT_UNASSIGNED, HAS_AMOUNTS, HAS_DISTANCE, HAS_DUE, HAS_MOVED, Lines, OrderEvent,
    most_order_bytes, put_order_event,
)
from fendan.engine.lots cimport correct
from fendan.engine.names cimport Span
from fendan.engine.network cimport NO_STORE, Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    NEVER_NS, NO_REJECTION, PAGE_ORDERS, RETURNED_TO_STOCK, Page, Record, Rejection, Table,
    basket_at, holds, id_at, record_at, rejection_of, retire,
)
from fendan.engine.router cimport (
    REASON_TOO_MANY_ATTEMPTS, STATUS_ASSIGNED, Verdict, route_one,
)
from fendan.engine.shelves cimport (
    MAX_QUANTITY, Basket, Quantity, Shelves, give_back, quantity, show,
)

import numpy as np

from fendan.engine.events import EventKind
from fendan.engine.fault import Fault
from fendan.engine.records import OrderState
from fendan.engine.router import Reason, _Named
from fendan.errors import refuse


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


_WAY = (
    OrderState.ASSIGNED, OrderState.ACCEPTED, OrderState.PICKED, OrderState.SHIPPED,
    OrderState.DELIVERED,
)
_STATES = (None, *OrderState)   # by their numbers, which is faster than to ask the enum
_REASONS = tuple(Reason)
_HOLDING = tuple(state for state in OrderState if state.holds_stock)
# Where each step starts.
_STARTS = {
    OrderState.ACCEPTED: (OrderState.ASSIGNED,),
    OrderState.PICKED: (OrderState.ACCEPTED,),
    OrderState.SHIPPED: (OrderState.PICKED,),
    OrderState.DELIVERED: (OrderState.SHIPPED,),
    OrderState.RETURNED: (OrderState.SHIPPED, OrderState.DELIVERED),
    OrderState.REJECTED: _HOLDING,
    OrderState.CANCELLED: (*_HOLDING, OrderState.UNASSIGNED, OrderState.REJECTED),
}


# -- EVENTS ------------------------------------------------------------------------------------

cdef void begin_event(OrderEvent* event, const Table* table, int64_t number,
                      uint8_t kind) noexcept nogil:
    """An event of an order where it is now, that moves nothing yet."""
    cdef const Record* record = record_at(table, number)
    memset(event, 0, sizeof(OrderEvent))
    event.id = id_at(table, number)
    event.lat = event.lng = event.distance_m = NAN
    event.kind = kind
    event.store = record.current.store
    event.attempts = record.attempts


cdef void add_lines(OrderEvent* event, const Table* table, int64_t number) noexcept nogil:
    event.basket = basket_at(table, number)
    if event.basket.amounts != NULL:
        event.flags |= HAS_AMOUNTS


cdef void add_counts(OrderEvent* event, const Shelves* shelves, int32_t ordinal,
                     Quantity* before) noexcept nogil:
    """The counts of the lines as they are now; `before` has room for them."""
    cdef int64_t line
    for line in range(event.basket.line_count):
        before[line] = quantity(shelves, event.basket.skus[line], ordinal)[0]
    event.before = before
    event.flags |= HAS_MOVED


@cython.final
cdef class Life:
    """The steps of orders, each of which returns where the order is after it.

    That is a tuple of OrderState, store id or None, metres or None, Reason, how many stores it was
    assigned to, and when the reservation times out or None.

    `radius_m`, `most_attempts` and `cool_down_ns` limit where a rejected order goes next;
    `timeout_ns` says how long a store may wait before it accepts, None: for ever.
    """

    def __init__(self, Orders orders, double radius_m, timeout_ns, int64_t most_attempts,
                 int64_t cool_down_ns):
        self.orders = orders
        self.radius_m = radius_m
        self.timeout_ns = NEVER_NS
        if timeout_ns is not None:
            self.timeout_ns = timeout_ns
        self.most_attempts = most_attempts
        self.cool_down_ns = cool_down_ns
        self._lines = Lines()

    def due_ns(self, int64_t now_ns):
        """When a reservation that is made now times out."""
        return self._due_ns(now_ns)

    cdef int64_t _due_ns(self, int64_t now_ns) noexcept nogil:
        return self.timeout_ns if self.timeout_ns == NEVER_NS else now_ns + self.timeout_ns

    # -- STEPS ---------------------------------------------------------------------------------

    def advance(self, order_id, state, store_id, int64_t now_ns):
        """The next step on the way from ACCEPTED to DELIVERED, at its store if one is named."""
        cdef int64_t number = self.orders._number(order_id, "order_id")
        cdef const Record* record = record_at(&self.orders.records.table, number)
        self._check_store(record, store_id)
        if self._leads_to(record, order_id, state):
            self._make_room([number])
            self._step(number, state, now_ns)
        return self._done(number)

    def give_back(self, order_id, bint to_stock, store_id, int64_t now_ns):
        """What was shipped comes back; to stock, it can be sold again."""
        cdef int64_t number = self.orders._number(order_id, "order_id")
        cdef const Record* record = record_at(&self.orders.records.table, number)
        self._check_store(record, store_id)
        if self._leads_to(record, order_id, OrderState.RETURNED):
            if to_stock:
                self._check_return(number)
            self._make_room([number])
            self._step(number, EVENT_RETURNED, now_ns, to_stock)
        elif to_stock != ((record.flags & RETURNED_TO_STOCK) != 0):
            refuse(Fault.WRONG_STATE, "to_stock", to_stock,
                   hint=f"it is RETURNED, {'not ' if to_stock else ''}to stock")
        return self._done(number)

    def reject(self, order_id, store_id, reason, missing_skus, int64_t now_ns):
        """Its store would not have it: look for another at once."""
        cdef int64_t number = self.orders._number(order_id, "order_id")
        cdef const Record* record = record_at(&self.orders.records.table, number)
        cdef set missing = self._missing(number, reason, missing_skus)
        if not self._was_rejected_by(number, store_id):
            self._check_store(record, store_id)
            self._leads_to(record, order_id, OrderState.REJECTED)
            self._reject(number, reason, missing, now_ns)
        return self._done(number)

    def cancel(self, order_id, int64_t now_ns):
        """Nobody wants it any more."""
        cdef int64_t number = self.orders._number(order_id, "order_id")
        cdef const Record* record = record_at(&self.orders.records.table, number)
        if self._leads_to(record, order_id, OrderState.CANCELLED):
            self._make_room([number])
            self._step(number, EVENT_CANCELLED, now_ns)
        return self._done(number)

    def release(self, order_id, int64_t now_ns):
        """Cancel an order that holds stock; whether it did."""
        return self._release_all([self.orders._number(order_id, "order_id")], now_ns)[0]

    def release_many(self, list order_ids, int64_t now_ns):
        """As `release` for each id in turn; an unknown one refuses all. Returns a list of bool."""
        cdef list numbers = []
        for row, name in enumerate(order_ids):
            numbers.append(self.orders._number(name, "order_ids", row))
        return self._release_all(numbers, now_ns)

    def expire(self, int64_t now_ns):
        """Give back what was reserved for orders that nobody accepted in time; their ids."""
        cdef Table* table = &self.orders.records.table
        cdef list numbers = self._overdue(now_ns)
        cdef list ids = []
        cdef int64_t number
        cdef Span id
        for number in numbers:
            id = id_at(table, number)
            ids.append(id.text[:id.size].decode())
        self._make_room(numbers)
        for number in numbers:
            self._step(number, EVENT_EXPIRED, now_ns)
        set_page_dues(table, now_ns)
        retire(table, self.orders.remembered)
        return ids

    # -- QUERIES -------------------------------------------------------------------------------

    def status(self, order_id):
        """Where an order is now."""
        return self._standing(self.orders._number(order_id, "order_id"))

    cdef tuple _standing(self, int64_t number):
        cdef const Record* record = record_at(&self.orders.records.table, number)
        cdef bint placed = record.current.store != NO_STORE
        return (
            _STATES[record.state],
            self.orders.stock.network.store_ids[record.current.store] if placed else None,
            record.current.distance_m if placed else None,
            _REASONS[record.current.reason],
            record.attempts,
            None if record.due_ns == NEVER_NS else record.due_ns,
        )

    # -- INSIDE A STEP -------------------------------------------------------------------------

    cdef int _make_room(self, list numbers, int64_t events=1, int64_t rows=0) except -1:
        """Make room for as many events of each order, and for rows of stock events beside."""
        cdef const Table* table = &self.orders.records.table
        cdef int64_t number, size = 0
        if self.orders.events is None:
            return 0
        for number in numbers:
            size += events * most_order_bytes(
                id_at(table, number).size, record_at(table, number).line_count
            )
        self.orders.events.make_room(rows, size, rows)
        return 0

    cdef int _happen(self, int64_t number, const OrderEvent* event, int64_t now_ns) except -1:
        """Apply an event and write it down. Room was made."""
        apply_order_event(self.orders, number, event, now_ns)
        if self.orders.events is not None:
            if not put_order_event(&self.orders.events.buffer, event):
                refuse(Fault.BREACH, "order_id", event.id.text[:event.id.size].decode(),
                       hint="its store cannot have had such counts")
        return 0

    cdef int _step(self, int64_t number, uint8_t kind, int64_t now_ns, bint to_stock=False,
                   uint8_t reason=0) except -1:
        """The event that leads an order on, where it is now, with all that it moves there."""
        cdef const Table* table = &self.orders.records.table
        cdef const Record* record = record_at(table, number)
        cdef bint ends_hold = holds(record) and kind >= EVENT_SHIPPED
        cdef OrderEvent event
        begin_event(&event, table, number, kind)
        event.reason = reason
        if ends_hold or kind == EVENT_RETURNED:
            add_lines(&event, table, number)
        if ends_hold or to_stock:
            add_counts(&event, &self.orders.stock.shelves,
                       self.orders.stock.network.layout.leaves.ordinal_of[record.current.store],
                       self._lines.before)
        return self._happen(number, &event, now_ns)

    cdef tuple _done(self, int64_t number):
        """The end of a step: where the order is. Its page may be forgotten then."""
        cdef tuple standing = self._standing(number)
        retire(&self.orders.records.table, self.orders.remembered)
        return standing

    cdef list _release_all(self, list numbers, int64_t now_ns):
        cdef list released = []
        cdef int64_t number
        cdef bint held
        self._make_room(numbers)
        for number in numbers:
            held = holds(record_at(&self.orders.records.table, number))
            if held:
                self._step(number, EVENT_CANCELLED, now_ns)
            released.append(held)
        retire(&self.orders.records.table, self.orders.remembered)
        return released

    cdef list _overdue(self, int64_t now_ns):
        """The numbers of the orders that were to be accepted by now, in order of age."""
        cdef const Table* table = &self.orders.records.table
        cdef const Page* page
        cdef list numbers = []
        cdef int32_t age, row
        for age in range(table.aged_count):
            page = table.pages + table.by_age[age]
            if page.due_ns > now_ns:
                continue
            for row in range(page.count):
                if page.records[row].due_ns <= now_ns:
                    numbers.append(<int64_t>table.by_age[age] * PAGE_ORDERS + row)
        return numbers

    # -- REJECTION -----------------------------------------------------------------------------

    cdef int _reject(self, int64_t number, uint8_t reason, set missing, int64_t now_ns) except -1:
        """Give back, correct the store's counts of what is missing, and look for the next store."""
        cdef const Leaves* leaves = &self.orders.stock.network.layout.leaves
        cdef int32_t store = record_at(&self.orders.records.table, number).current.store
        # Whatever can fail for want of memory comes before the first change.
        cdef uint64_t[::1] allowed = np.empty(max(1, leaves.leaf_count), dtype=np.uint64)
        stores, skus, after = np.empty((3, len(missing)), dtype=np.int32)
        before = np.empty((len(missing), 2), dtype=np.int32)
        self._make_room([number], 2, len(missing))
        self._step(number, EVENT_REJECTED, now_ns, False, reason)
        rows = self._correct(store, missing, stores, skus, before, after)
        if rows and self.orders.events is not None:
            self.orders.events.stock(
                EventKind.STOCK_CORRECTED, stores[:rows], skus[:rows], before[:rows], after[:rows]
            )
        return self._route_again(number, &allowed[0], now_ns)

    cdef int64_t _correct(self, int32_t store, set missing, int32_t[::1] stores, int32_t[::1] skus,
                          int32_t[:, ::1] before, int32_t[::1] after) except -1:
        """Leave a store only what it still holds for other orders; returns how many rows changed.

        Where it has less than that already, nothing can be sold, and nothing changes.
        """
        cdef Shelves* shelves = &self.orders.stock.shelves
        cdef int32_t ordinal = self.orders.stock.network.layout.leaves.ordinal_of[store]
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
            correct(&self.orders.stock.lots.table, store, sku, pair.reserved)
            show(shelves, sku, ordinal, pair)
            note(&self.orders.stock.changes.ring, store, sku)
            row += 1
        return row

    cdef int _route_again(self, int64_t number, uint64_t* allowed, int64_t now_ns) except -1:
        """Assign a rejected order to the next store, or say why there is none."""
        cdef Table* table = &self.orders.records.table
        cdef const Record* record = record_at(table, number)
        cdef const Leaves* leaves = &self.orders.stock.network.layout.leaves
        cdef Shelves* shelves = &self.orders.stock.shelves
        cdef Basket basket = basket_at(table, number)
        cdef OrderEvent event
        cdef Verdict verdict
        begin_event(&event, table, number, EVENT_UNASSIGNED)
        event.reason = REASON_TOO_MANY_ATTEMPTS
        if record.attempts < self.most_attempts:
            allow(allowed, leaves, table, number, now_ns - self.cool_down_ns)
            verdict = route_one(leaves, shelves, record.lat, record.lng, &basket, self.radius_m,
                                allowed, self._lines.before)
            event.reason = verdict.reason
            if verdict.status == STATUS_ASSIGNED:
                # The event is to reserve, here as when it is read again.
                give_back(shelves, leaves.ordinal_of[verdict.store], &basket)
                event.kind = EVENT_ASSIGNED
                event.store, event.distance_m = verdict.store, verdict.distance_m
                event.before = self._lines.before
                event.attempts += 1
                event.due_ns = self._due_ns(now_ns)
                event.flags = HAS_DISTANCE | HAS_MOVED
                if event.due_ns != NEVER_NS:
                    event.flags |= HAS_DUE
                add_lines(&event, table, number)
        return self._happen(number, &event, now_ns)

    # -- CHECKS --------------------------------------------------------------------------------

    cdef int _check_store(self, const Record* record, store_id) except -1:
        """Refuse a store that does not have the order; ids of removed stores may stand for others.

        An order that is at no store is refused, or not, for its state.
        """
        cdef int32_t store = record.current.store
        if store_id is None or self._is_named(store, store_id):
            return 0
        if not isinstance(store_id, str) or store_id not in self.orders.stock.network.code_of:
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        if store != NO_STORE:
            refuse(Fault.WRONG_STORE, "store_id", store_id,
                   hint="the order is, or was last, at another")
        return 0

    cdef bint _is_named(self, int32_t store, store_id) except -1:
        return store != NO_STORE and self.orders.stock.network.store_ids[store] == store_id

    cdef bint _leads_to(self, const Record* record, order_id, state) except -1:
        """Whether a step to this state can be taken; False where it has been, else it is refused."""
        now = _STATES[record.state]
        if now in _STARTS[state]:
            return True
        if now is state and state is not OrderState.REJECTED:
            return False
        if state in _WAY and now in _WAY and _WAY.index(now) > _WAY.index(state):
            return False
        starts = " or ".join(start.name for start in _STARTS[state])
        refuse(Fault.WRONG_STATE, "order_id", order_id,
               hint=f"it is {now}; only from {starts} can it become {state}")

    cdef bint _was_rejected_by(self, int64_t number, store_id) except -1:
        """Whether a store that does not have the order now has rejected it before."""
        cdef const Table* table = &self.orders.records.table
        cdef const Record* record = record_at(table, number)
        cdef const Rejection* rejection
        cdef int32_t next_one = record.rejection
        if self._is_named(record.current.store, store_id):
            return False
        while next_one != NO_REJECTION:
            rejection = rejection_of(table, number, next_one)
            if self._is_named(rejection.store, store_id):
                return True
            next_one = rejection.before
        return False

    cdef int _check_return(self, int64_t number) except -1:
        """Refuse to put an order's lines where there is no store, or more than can be counted."""
        cdef const Table* table = &self.orders.records.table
        cdef int32_t store = record_at(table, number).current.store
        cdef int32_t ordinal = self.orders.stock.network.layout.leaves.ordinal_of[store]
        cdef Basket basket = basket_at(table, number)
        cdef const Quantity* pair
        cdef int64_t line, on_hand
        name = self.orders.stock.network.store_ids[store]
        if store in self.orders.stock.network.removed:
            refuse(Fault.WRONG_STORE, "to_stock", name,
                   hint="it was removed; return the order, but not to stock, and adjust the "
                        "stock of the store that has it")
        for line in range(basket.line_count):
            pair = quantity(&self.orders.stock.shelves, basket.skus[line], ordinal)
            on_hand = <int64_t>pair.net + pair.reserved + basket.quantities[line]
            if on_hand > MAX_QUANTITY:
                refuse(Fault.OVERFLOW, "to_stock", on_hand,
                       hint=f"so many of {self.orders.stock.skus[basket.skus[line]]!r} would be at "
                            f"{name!r}, where at most {MAX_QUANTITY} can be")
        return 0

    cdef set _missing(self, int64_t number, reason, missing_skus):
        """The codes of the order's SKUs that the store does not have, as it has found out."""
        cdef Basket basket = basket_at(&self.orders.records.table, number)
        cdef set asked = {basket.skus[line] for line in range(basket.line_count)}
        cdef set missing = set()
        if not missing_skus:
            return asked if reason.corrects_stock else missing
        if not reason.corrects_stock:
            refuse(Fault.OUT_OF_RANGE, "missing_skus", missing_skus,
                   hint=f"nothing is missing where the reason is {reason}")
        for row, sku in enumerate(missing_skus):
            code = self.orders.stock.sku_code_of.get(sku)
            if code not in asked:
                refuse(Fault.UNKNOWN_SKU, "missing_skus", sku, row=row,
                       hint="the order has no line of it")
            missing.add(code)
        return missing


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


cdef void set_page_dues(Table* table, int64_t now_ns) noexcept nogil:
    """Make the bounds of the pages that were looked through as high as they may be."""
    cdef Page* page
    cdef int32_t age, row
    for age in range(table.aged_count):
        page = table.pages + table.by_age[age]
        if page.due_ns > now_ns:
            continue
        page.due_ns = NEVER_NS
        for row in range(page.count):
            page.due_ns = min(page.due_ns, page.records[row].due_ns)
