"""The life of an order: what it may do next, and what that does to stock.

    ASSIGNED --> ACCEPTED --> PICKED --> SHIPPED --> DELIVERED
        |            |           |           +----------+--> RETURNED, to stock or not
        +------------+-----------+--> its store rejects it: ASSIGNED to another, or REJECTED
        +------------+-----------+--> CANCELLED, as from UNASSIGNED and REJECTED
        +--> EXPIRED, once its reservation is due

A step that has happened before changes nothing, so that it can safely be sent again; any other that
does not start where the order is, is refused. Nothing here searches but a rejection, which looks
for the next store at once.

Of an order that was split, each shipment has this life of its own; a step on the order is one on
all of its shipments that it makes sense for, and the order is where the least advanced of those is
that go on (see `records`).

A step is checked; room is made for what it will write; then it happens as one event or several.
What an event does is told by `effect` alone: here it is only decided.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.book cimport Rules
from fendan.engine.events cimport EVENT_CANCELLED, EVENT_EXPIRED, EVENT_RETURNED, Lines
from fendan.engine.network cimport NO_STORE
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    FLAG_SPLIT, NO_REJECTION, PAGE_ORDERS, RETURNED_TO_STOCK, Page, Record, Rejection,
    Table, basket_at, find_shipment, holds, record_at, rejection_of, retire,
)
from fendan.engine.rejection cimport due_after, lacked_by, missing_of, reject_all
from fendan.engine.steps cimport make_room, take_step
from fendan.engine.shelves cimport MAX_QUANTITY, Basket, Quantity, quantity
from fendan.engine.terms cimport NEVER_NS

from fendan.engine.fault import Fault
from fendan.engine.records import OrderState
from fendan.engine.rejection import RejectReason
from fendan.engine.router import Reason
from fendan.engine.shipments import supply_of
from fendan.errors import refuse

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


@cython.final
cdef class Life:
    """The steps of orders, each of which returns where the order is after it.

    That is a tuple of OrderState, store id or None, metres or None, Reason, how many stores it was
    assigned to, when the reservation times out or None, and a tuple of its shipments: of each its
    number, the same six, and its lines as pairs of SKU and pieces.

    `shipment`: which one takes the step, from 1; None: all that it makes sense for, or, where
    `store_id` is named, those there. `radius_m`, `most_attempts` and `cool_down_ns` limit where a
    rejected order goes next; `timeout_ns` says how long a store may wait before it accepts, None:
    for ever.
    """

    def __init__(self, Orders orders, double radius_m, timeout_ns, int64_t most_attempts,
                 int64_t cool_down_ns):
        self.orders = orders
        self._patience.radius_m = radius_m
        self._patience.timeout_ns = NEVER_NS if timeout_ns is None else timeout_ns
        self._patience.most_attempts = most_attempts
        self._patience.cool_down_ns = cool_down_ns
        self._lines = Lines()

    def due_ns(self, int64_t now_ns):
        """When a reservation that is made now times out."""
        return due_after(&self._patience, now_ns)

    # -- STEPS ---------------------------------------------------------------------------------

    def advance(self, order_id, state, store_id, int64_t now_ns, shipment=None):
        """The next step on the way from ACCEPTED to DELIVERED, at its store if one is named."""
        cdef int64_t order = self.orders._number(order_id, "order_id")
        self._step_all(self._taking(order, order_id, state, store_id, shipment), state, now_ns)
        return self._done(order)

    def give_back(self, order_id, bint to_stock, store_id, int64_t now_ns, shipment=None):
        """What was shipped comes back; to stock, it can be sold again."""
        cdef int64_t order = self.orders._number(order_id, "order_id")
        cdef int64_t number
        cdef list taking = self._taking(order, order_id, OrderState.RETURNED, store_id, shipment)
        if not taking:
            self._check_returned(self._named(order, shipment), to_stock)
        for number in taking if to_stock else ():
            self._check_return(number)
        make_room(self.orders, taking, 1, 0)
        for number in taking:
            take_step(self.orders, self._lines, number, EVENT_RETURNED, now_ns, to_stock, 0)
        return self._done(order)

    def reject(self, order_id, store_id, reason, missing_skus, int64_t now_ns, shipment=None,
               Rules rules=None):
        """Its store would not have it: look for another at once, under the `rules` in force."""
        cdef int64_t order = self.orders._number(order_id, "order_id")
        cdef int64_t number
        cdef list named = self._named(order, shipment)
        cdef set missing = missing_of(self.orders, named[0] if len(named) == 1 else order, reason,
                                      missing_skus)
        cdef list there = [number for number in named if self._is_at(number, store_id)]
        if not there:
            for number in named:
                if self._was_rejected_by(number, store_id):
                    return self._done(order)
        taking = self._taking(order, order_id, OrderState.REJECTED, store_id, shipment)
        gone = [lacked_by(self.orders, number, missing) for number in taking]
        reject_all(self.orders, self._lines, &self._patience, rules, taking, gone, reason, now_ns)
        return self._done(order)

    def cancel(self, order_id, int64_t now_ns, shipment=None):
        """Nobody wants it any more."""
        cdef int64_t order = self.orders._number(order_id, "order_id")
        taking = self._taking(order, order_id, OrderState.CANCELLED, None, shipment)
        self._step_all(taking, EVENT_CANCELLED, now_ns)
        return self._done(order)

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
        cdef list numbers = self._overdue(now_ns)
        cdef set named = {self.orders.named_at(number) for number in numbers}
        self._step_all(numbers, EVENT_EXPIRED, now_ns)
        set_page_dues(&self.orders.records.table, now_ns)
        retire(&self.orders.records.table, self.orders.remembered)
        return [name for _, name in sorted(named)]

    # -- QUERIES -------------------------------------------------------------------------------

    def status(self, order_id):
        """Where an order is now."""
        return self._standing(self.orders._number(order_id, "order_id"))

    cdef tuple _standing(self, int64_t order):
        """Of a split order, that of its shipment that it is as far as, and all that they add up to."""
        cdef const Record* record = record_at(&self.orders.records.table, order)
        cdef list shipments
        if not record.flags & FLAG_SPLIT:
            return (*self._place(order), ())
        shipments = [
            (row, *self._place(number), self._lines_at(number))
            for row, number in enumerate(self._named(order, None), 1)
        ]
        state = _STATES[record.state]
        _, _, store_id, distance_m, reason, *_ = next(
            one for one in shipments if one[1] is state
        )
        dues = [one[6] for one in shipments if one[6] is not None]
        return (
            state, store_id, distance_m, reason, sum(one[5] for one in shipments),
            min(dues, default=None), tuple(shipments),
        )

    cdef tuple _place(self, int64_t number):
        """Where one record is."""
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

    cdef tuple _lines_at(self, int64_t number):
        cdef Basket basket = basket_at(&self.orders.records.table, number)
        return tuple([
            (supply_of(self.orders.stock.skus[basket.skus[line]])[0], basket.quantities[line])
            for line in range(basket.line_count)
        ])

    # -- WHO TAKES A STEP ----------------------------------------------------------------------

    cdef list _named(self, int64_t order, shipment):
        """The record of one shipment, or of all; of an order that is one shipment, its own."""
        cdef const Table* table = &self.orders.records.table
        cdef const Record* record = record_at(table, order)
        cdef bint is_split = record.flags & FLAG_SPLIT
        cdef int count = record.current.shipments if is_split else 1
        if shipment is not None and not (isinstance(shipment, int) and 1 <= shipment <= count):
            hint = "the order has one shipment, number 1"
            if count > 1:
                hint = f"the order has {count} shipments, from number 1"
            refuse(Fault.OUT_OF_RANGE, "shipment", shipment, hint=hint)
        if not is_split:
            return [order]
        numbers = range(1, count + 1) if shipment is None else (shipment,)
        return [find_shipment(table, order, number) for number in numbers]

    cdef list _taking(self, int64_t order, order_id, state, store_id, shipment):
        """The records that take a step; none where it has been taken before. Else it is refused."""
        cdef list named = self._named(order, shipment)
        cdef int64_t number
        if len(named) == 1:
            self._check_store(named[0], store_id)
            return named if self._leads_to(named[0], order_id, state) else []
        there = named
        if store_id is not None:
            there = [number for number in named if self._is_at(number, store_id)]
        if not there:
            there = named
            for number in sorted(named, key=self._is_nowhere):
                self._check_store(number, store_id)
        taking = [number for number in there if self._state_of(number) in _STARTS[state]]
        if not taking and not any([self._was_taken(number, state) for number in there]):
            self._leads_to(there[0], order_id, state)
        return taking

    def _is_nowhere(self, int64_t number):
        return record_at(&self.orders.records.table, number).current.store == NO_STORE

    cdef object _state_of(self, int64_t number):
        return _STATES[record_at(&self.orders.records.table, number).state]

    cdef int _step_all(self, list numbers, uint8_t kind, int64_t now_ns) except -1:
        cdef int64_t number
        make_room(self.orders, numbers, 1, 0)
        for number in numbers:
            take_step(self.orders, self._lines, number, kind, now_ns, False, 0)
        return 0

    cdef tuple _done(self, int64_t order):
        """The end of a step: where the order is. Its page may be forgotten then."""
        cdef tuple standing = self._standing(order)
        retire(&self.orders.records.table, self.orders.remembered)
        return standing

    cdef list _release_all(self, list orders, int64_t now_ns):
        cdef const Table* table = &self.orders.records.table
        cdef list shipments = [self._named(order, None) for order in orders]
        cdef list released = []
        cdef int64_t number
        make_room(self.orders, [number for named in shipments for number in named], 1, 0)
        for named in shipments:
            held = [number for number in named if holds(record_at(table, number))]
            for number in held:
                take_step(self.orders, self._lines, number, EVENT_CANCELLED, now_ns, False, 0)
            released.append(len(held) > 0)
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

    # -- CHECKS --------------------------------------------------------------------------------

    cdef int _check_store(self, int64_t number, store_id) except -1:
        """Refuse a store that does not have the order; ids of removed stores may stand for others.

        An order that is at no store is refused, or not, for its state.
        """
        cdef int32_t store = record_at(&self.orders.records.table, number).current.store
        if store_id is None or self._is_called(store, store_id):
            return 0
        if not isinstance(store_id, str) or store_id not in self.orders.stock.network.code_of:
            refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
        if store != NO_STORE:
            refuse(Fault.WRONG_STORE, "store_id", store_id,
                   hint="the order is, or was last, at another")
        return 0

    cdef bint _is_called(self, int32_t store, store_id) except -1:
        return store != NO_STORE and self.orders.stock.network.store_ids[store] == store_id

    cdef bint _is_at(self, int64_t number, store_id) except -1:
        return self._is_called(record_at(&self.orders.records.table, number).current.store, store_id)

    cdef bint _was_taken(self, int64_t number, state) except -1:
        """Whether the step to this state has been taken before."""
        now = self._state_of(number)
        if now is state:
            return state is not OrderState.REJECTED
        return state in _WAY and now in _WAY and _WAY.index(now) > _WAY.index(state)

    cdef bint _leads_to(self, int64_t number, order_id, state) except -1:
        """Whether a step to this state can be taken; False where it has been, else it is refused."""
        now = self._state_of(number)
        if now in _STARTS[state]:
            return True
        if self._was_taken(number, state):
            return False
        starts = " or ".join(start.name for start in _STARTS[state])
        refuse(Fault.WRONG_STATE, "order_id", order_id,
               hint=f"it is {now}; only from {starts} can it become {state}")

    cdef int _check_returned(self, list named, bint to_stock) except -1:
        """Refuse what came back, and is to have come back otherwise."""
        cdef const Record* record
        cdef int64_t number
        for number in named:
            record = record_at(&self.orders.records.table, number)
            if record.state == OrderState.RETURNED and (
                    to_stock != ((record.flags & RETURNED_TO_STOCK) != 0)):
                refuse(Fault.WRONG_STATE, "to_stock", to_stock,
                       hint=f"it is RETURNED, {'not ' if to_stock else ''}to stock")
        return 0

    cdef bint _was_rejected_by(self, int64_t number, store_id) except -1:
        """Whether a store that does not have the order now has rejected it before."""
        cdef const Table* table = &self.orders.records.table
        cdef const Rejection* rejection
        cdef int32_t next_one = record_at(table, number).rejection
        if self._is_at(number, store_id):
            return False
        while next_one != NO_REJECTION:
            rejection = rejection_of(table, number, next_one)
            if self._is_called(rejection.store, store_id):
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
