"""Orders in, decisions out: each id once, each decision remembered.

An order id is the idempotency key. The same id with the same place and basket gets its first
decision again, whatever has happened to stock since, and after a release too; with other content
it is refused, and the error says what differs. See `records` for how long an id is remembered.

What comes enters the order table (`arrival`), is decided on by `router`, or by `dispatch` where a
policy is in force, and is kept, written down, or taken back (`decided`).
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.arrival cimport Arrival, arrival_of, known_arrival
from fendan.engine.batch cimport Batch
from fendan.engine.decided cimport (
    Decided, add_all_shipments, find_in_turn, keep_decided, most_bytes, note_decided, note_loads,
    note_reserved, put_decisions, reserve, undo,
)
from fendan.engine.book cimport Rules
from fendan.engine.dispatch cimport dispatch_many
from fendan.engine.events cimport Events
from fendan.engine.larder cimport begin_holds
from fendan.engine.merges cimport Merges, forget_past, undo_merges
from fendan.engine.names cimport Span, hash_of, span_of
from fendan.engine.network cimport Leaves
from fendan.engine.outcome cimport Outcome
from fendan.engine.records cimport (
    NO_RECORD, PAGE_ORDERS, Record, Records, Table, basket_at, find_record,
    holds, id_at, is_open, order_of, record_at, retire,
)
from fendan.engine.router cimport route_many
from fendan.engine.shipments cimport Shipments
from fendan.engine.shelves cimport Basket, Quantity
from fendan.engine.stock cimport Stock
from fendan.engine.terms cimport NEVER_NS

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.network import is_usable_id
from fendan.engine.outcome import decisions
from fendan.errors import refuse

# An id is remembered while its order holds stock, and until there are so many newer ones.
REMEMBERED = 1_000_000


@cython.final
cdef class Orders:
    """Routes orders over one stock and remembers those that have ids.

    `remembered`: how many orders are remembered at least, beside those that hold stock.
    """

    def __init__(self, Stock stock, int64_t remembered=REMEMBERED):
        self.stock = stock
        self.records = Records(remembered)
        self.merges = Merges()
        self.remembered = remembered

    def __len__(self):
        return len(self.records)

    def __contains__(self, order_id):
        return self._find(order_id) != NO_RECORD

    # -- COMMANDS ------------------------------------------------------------------------------

    def route(self, Batch batch, double radius_m, *, bint dry_run=False,
              int64_t due_ns=0x7fffffffffffffff, Rules rules=None, int64_t now_ns=0):
        """Route a batch as if one after another; returns an Outcome.

        With `rules` as they say at the time `now_ns`, and otherwise to the nearest store within the
        radius, reserved until `due_ns`. Orders seen before, in this batch too, get their first
        decision. Raises OrderConflictError before anything has changed when one comes with other
        content. A dry run decides the same, and leaves everything as it was.
        """
        cdef Arrival arrival = arrival_of(self.stock, &self.records.table, batch)
        cdef Decided* decided = &arrival.decided
        cdef const Leaves* leaves = &self.stock.network.layout.leaves
        cdef bint has_room = True
        begin_holds(&self.stock.shelves.larder)
        forget_past(&self.merges.table)
        arrival.enter(rules is not None)
        try:
            arrival.make_room(rules is not None, self._is_written(dry_run), due_ns)
            if rules is None:
                with nogil:
                    route_many(leaves, &self.stock.shelves, decided.orders, radius_m,
                               decided.verdicts, <Quantity*>decided.before)
                    has_room = not self.stock.shelves.larder.no_memory
            else:
                with nogil:
                    has_room = dispatch_many(
                        &rules.book, leaves, &self.stock.shelves, decided.orders, now_ns,
                        decided.verdicts, decided.grants, decided.parts, <Quantity*>decided.before,
                    )
            if not has_room:
                self._undo(decided)
                raise MemoryError("no room for more decisions")
        except BaseException:
            arrival.drop()
            raise
        return self._settle(arrival, dry_run, now_ns)

    def settle(self, Batch batch, verdicts, grants, Shipments shipments not None, *,
               bint dry_run=False, int64_t now_ns=0):
        """As `route`, where it was decided elsewhere on those of the orders that are new, in turn.

        They have ids; rows of VERDICT_DTYPE and GRANT_DTYPE. Raises BreachError where a store does
        not have what it is to send.
        """
        cdef Arrival arrival = arrival_of(self.stock, &self.records.table, batch)
        cdef Decided* decided = &arrival.decided
        cdef bint is_there
        begin_holds(&self.stock.shelves.larder)
        forget_past(&self.merges.table)
        arrival.enter(True)
        try:
            arrival.make_room(True, True, NEVER_NS)
            arrival._verdicts[:arrival.added] = verdicts
            arrival._grants[:arrival.added] = grants
            arrival.parts = shipments
            decided.parts = &shipments.list
            is_there = reserve(&self.stock.network.layout.leaves, &self.stock.shelves, decided)
            if not is_there:
                refuse(Fault.BREACH, "shipments", hint="a store does not have what it is to send")
            if self.stock.shelves.larder.no_memory:
                self._undo(decided)
                raise MemoryError("no room for more decisions")
        except BaseException:
            arrival.drop()
            raise
        return self._settle(arrival, dry_run, now_ns)

    cdef bint _is_written(self, bint dry_run) except -1:
        return self.events is not None and not dry_run

    cdef object _settle(self, Arrival arrival, bint dry_run, int64_t now_ns):
        """Keep and write down what was decided and reserved; or, in a dry run, take it back."""
        cdef Decided* decided = &arrival.decided
        cdef Table* table = &self.records.table
        cdef bint has_room = True, is_named = arrival.is_named
        cdef bint is_written = self._is_written(dry_run)
        cdef Outcome outcome
        note_decided(table, decided, &self.stock.sku_code_of.table)
        try:
            if is_written:
                self.events.reserve(most_bytes(decided))
            outcome = arrival.outcome()
            if decided.parts != NULL and is_named and not dry_run:
                arrival.added += add_all_shipments(table, decided, &has_room)
            if not has_room:
                raise MemoryError("no room for more shipments")
        except BaseException:
            self._take_back(arrival)
            raise
        if dry_run:
            self._take_back(arrival)
            return outcome
        self.keep(decided, is_written, now_ns)
        return outcome

    cdef int keep(self, const Decided* decided, bint is_written, int64_t now_ns) except -1:
        """From now on it is as was decided and reserved. Raises BreachError where that cannot be."""
        cdef Table* table = &self.records.table
        cdef bint is_named = decided.numbers != NULL
        cdef int64_t broken = -1
        if self.loads is not None and is_named:  # others leave no trace by which they could end
            note_loads(&self.loads.loads, decided, now_ns)
        with nogil:
            note_reserved(&self.stock.changes.ring, decided)
            if is_named:
                self.taken += decided.orders.count
                keep_decided(table, decided)
                if is_written:
                    find_in_turn(&self.stock.network.layout.leaves, &self.stock.shelves, decided)
                    broken = put_decisions(&self.events.buffer, table, decided)
                retire(table, self.remembered)
        if broken >= 0:
            name = decided.orders.ids[broken]
            refuse(Fault.BREACH, "order_id", name.text[:name.size].decode(),
                   hint="its store cannot have had such counts")
        return 0

    cdef int _take_back(self, Arrival arrival) except -1:
        """Give back what was just reserved; the orders leave the table."""
        self._undo(&arrival.decided)
        arrival.drop()
        return 0

    cdef int _undo(self, const Decided* decided) except -1:
        """Stock and merge groups are what they were before the batch."""
        undo(&self.stock.network.layout.leaves, &self.stock.shelves, decided)
        undo_merges(&self.merges.table)
        return 0

    # -- QUERIES -------------------------------------------------------------------------------

    def ask_for(self, const uint8_t[::1] wanted):
        """Whether any order that is remembered has a line of a SKU that is `wanted`, by code."""
        cdef const Table* table = &self.records.table
        cdef Basket basket
        cdef int64_t line
        cdef int32_t age, row
        for age in range(table.aged_count):
            for row in range(table.pages[table.by_age[age]].count):
                basket = basket_at(table, <int64_t>table.by_age[age] * PAGE_ORDERS + row)
                for line in range(basket.line_count):
                    if basket.skus[line] < wanted.shape[0] and wanted[basket.skus[line]]:
                        return True
        return False

    def count_open(self):
        """How many orders, or shipments, each store holds stock for: int32[n] by code."""
        cdef const Table* table = &self.records.table
        cdef const Record* record
        cdef int32_t age, row
        counts = np.zeros(self.stock.network.layout.leaves.store_count, dtype=np.int32)
        for age in range(table.aged_count):
            for row in range(table.pages[table.by_age[age]].count):
                record = table.pages[table.by_age[age]].records + row
                if holds(record):
                    counts[record.current.store] += 1
        return counts

    def decision(self, order_id):
        """What a known order was told."""
        cdef int64_t number = self._number(order_id, "order_id")
        known = known_arrival(self.stock, &self.records.table, number)
        return decisions([order_id], (<Arrival>known).outcome())[0]

    def grant(self, order_id):
        """What a known order was granted beside its store, a row of GRANT_DTYPE; None: nothing."""
        cdef int64_t number = self._number(order_id, "order_id")
        grants = (<Arrival>known_arrival(self.stock, &self.records.table, number)).outcome().grants
        return None if grants is None else grants[0]

    def is_held(self, order_id):
        """Whether stock is held for a known order, or for one of its shipments."""
        return bool(is_open(record_at(&self.records.table, self._number(order_id, "order_id"))))

    def holding(self, pairs):
        """For each (store, SKU) pair of codes, the ids of the orders it is held for, oldest first.

        One pass over the order table, however many pairs there are.
        """
        cdef const Table* table = &self.records.table
        cdef dict found = {pair: set() for pair in pairs}
        cdef set stores = {store for store, _ in found}
        cdef unsigned char[::1] concerned = np.zeros(
            self.stock.network.layout.leaves.store_count + 1, dtype=np.uint8
        )
        cdef int64_t number, row, line
        cdef int32_t age
        cdef const Record* record
        cdef Basket basket
        for store in stores:
            concerned[<int32_t>store] = 1
        for age in range(table.aged_count):
            for row in range(table.pages[table.by_age[age]].count):
                number = <int64_t>table.by_age[age] * PAGE_ORDERS + row
                record = record_at(table, number)
                if not holds(record) or not concerned[record.current.store]:
                    continue
                basket = basket_at(table, number)
                for line in range(basket.line_count):
                    holders = found.get((record.current.store, basket.skus[line]))
                    if holders is not None:
                        holders.add(self.named_at(number))
        return {pair: [name for _, name in sorted(holders)] for pair, holders in found.items()}

    cdef tuple named_at(self, int64_t number):
        """How old a record's order is, to sort by, and its id, whatever shipment it is."""
        cdef const Table* table = &self.records.table
        cdef int64_t order = order_of(table, number)
        cdef Span id = id_at(table, order)
        cdef int32_t age = 0
        while table.by_age[age] != order // PAGE_ORDERS:
            age += 1
        return (age, order & (PAGE_ORDERS - 1)), id.text[:id.size].decode()

    cdef int64_t _find(self, order_id) except -2:
        """The record of an order, or NO_RECORD."""
        cdef Span id
        if not is_usable_id(order_id):
            return NO_RECORD
        span_of(order_id, &id)
        return find_record(&self.records.table, id, hash_of(id))

    cdef int64_t _number(self, order_id, field, row=None) except -1:
        """The record of a known order."""
        cdef int64_t number = self._find(order_id)
        if number == NO_RECORD:
            refuse(Fault.UNKNOWN_ORDER, field, order_id, row=row, hint="it was never routed by id")
        return number
