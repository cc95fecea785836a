"""Stock with sell-by days: for some (store, SKU) pairs, which *lots* their pieces belong to.

    slots[hash & mask]   key | lots | lot_count         open addressing, at most half full
                                │
                                └─► day | on_hand | reserved     one after the other, by day
                                    day | on_hand | reserved

Codes of stores and SKUs never change, so nothing here moves when the stores' order does. For a pair
with lots, the sums of on_hand and of reserved are what `stock` has; whoever moves stock there tells
it here, with `from_day`, the first sell-by day that is late enough for the order. When its pieces
are released or shipped that may be an earlier day, but not a later one.

Invariants: days strictly increase; 0 <= reserved <= on_hand in every lot. Only in a shortfall, when
more is held than there is in all, the last lot has more reserved than on hand, and then no lot has
anything free.

Why one count of reserved pieces a lot is enough, though nobody knows which order holds which lot:
the promise to an order is not a certain lot, but that pieces late enough are there when it is
picked. For each day d, let held(d) be what the orders hold that need d or later, and reserved(d)
what is reserved in lots from d on. The days that suit an order that needs more suit one that needs
less, so the orders can be served, each late enough, exactly if held(d) <= reserved(d) for every d.
(The most demanding take first, each from any lot that suits: whichever they take, there is as much
left for the others.) And every step keeps that true. Let an order need f, and q pieces move:

    hold       from lots from f on: held(d) grows by q for d <= f only, and reserved(d) as well
    release,   from lots from f on, the earliest first. For d <= f both sums lose q. For d > f
    ship       held(d) is what it was. Either lots before d had enough, and reserved(d) is what it
               was too; or they are empty now, and reserved(d) = reserved(f) >= held(f) >= held(d).
             With e < f instead of f, both lose q for d <= e, and held(d) alone may for d <= f
    put_back   moves on_hand only, as does a count that leaves all that is reserved
    set_lots   what was reserved moves to lots as late, as long as there are such

So the promise holds until something is held that was not free, or until there is less than is held:
a count that finds too little, or lots that end earlier. Of those `set_lots` says how many pieces.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

import numpy as np

from fendan.engine.fault import Fault
from fendan.errors import refuse

cdef enum:
    LEAST_SLOTS = 64            # a power of two
    MAX_PIECES = 2147483647     # of a pair in all: counts are int32
    MAX_DAY = 2932896           # 9999-12-31


# -- PAIRS -------------------------------------------------------------------------------------

cdef inline uint64_t key_of(int32_t store, int32_t sku) noexcept nogil:
    return (<uint64_t>store << 32 | <uint64_t>sku) + 1


cdef inline LotPair* slot_of(LotPair* slots, uint64_t mask, uint64_t key) noexcept nogil:
    """Where a key stands, or the empty slot where it would."""
    cdef uint64_t place = (key * <uint64_t>0x9E3779B97F4A7C15 >> 32) & mask
    while slots[place].key and slots[place].key != key:
        place = (place + 1) & mask
    return slots + place


cdef LotPair* pair_of(const LotTable* table, int32_t store, int32_t sku) noexcept nogil:
    """The pair's lots, or NULL where it has none."""
    cdef LotPair* pair
    if table.slots == NULL:
        return NULL
    pair = slot_of(table.slots, table.mask, key_of(store, sku))
    return pair if pair.lot_count else NULL


# -- QUERIES -----------------------------------------------------------------------------------

cdef bint has_lots(const LotTable* table, int32_t store, int32_t sku) noexcept nogil:
    return pair_of(table, store, sku) != NULL


cdef int64_t total(const LotTable* table, int32_t store, int32_t sku) noexcept nogil:
    """What is on hand in all lots; 0 for a pair that has none."""
    cdef const LotPair* pair = pair_of(table, store, sku)
    cdef int64_t on_hand = 0
    cdef int64_t place
    if pair != NULL:
        for place in range(pair.lot_count):
            on_hand += pair.lots[place].on_hand
    return on_hand


cdef int64_t free_from(const LotTable* table, int32_t store, int32_t sku,
                       int32_t from_day) noexcept nogil:
    """What is free in lots that may be sold on `from_day` still; 0 for a pair that has none."""
    cdef const LotPair* pair = pair_of(table, store, sku)
    cdef int64_t pieces = 0
    cdef int64_t place
    if pair != NULL:
        for place in range(pair.lot_count):
            if pair.lots[place].day >= from_day:
                pieces += free_in(&pair.lots[place])
    return pieces


cdef int32_t first_day(const LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                       int32_t quantity) noexcept nogil:
    """The day of the first lot that `hold` would take from; NO_DAY where so many are not free."""
    cdef const LotPair* pair
    cdef int64_t place
    if quantity > 0 and free_from(table, store, sku, from_day) >= quantity:
        pair = pair_of(table, store, sku)
        for place in range(pair.lot_count):
            if pair.lots[place].day >= from_day and free_in(&pair.lots[place]):
                return pair.lots[place].day
    return NO_DAY


cdef inline int32_t free_in(const Lot* lot) noexcept nogil:
    return max(0, lot.on_hand - lot.reserved)


# -- COMMANDS ----------------------------------------------------------------------------------
# None does anything for a pair without lots. Quantities are 0 or more.

cdef void hold(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
               int32_t quantity) noexcept nogil:
    """Reserve in lots from `from_day` on, the earliest first.

    It never fails: what is not free there is taken from the lots before, the latest first, and what
    is not free at all is added to the last. The caller has looked at `free_from`.
    """
    cdef LotPair* pair = pair_of(table, store, sku)
    if pair != NULL:
        reserve(pair, from_day, quantity)


cdef void release(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                  int32_t quantity) noexcept nogil:
    """Give back what was held: from lots from `from_day` on, the earliest first; then others."""
    cdef LotPair* pair = pair_of(table, store, sku)
    if pair != NULL:
        unreserve(pair, from_day, quantity, False)
        settle(pair)


cdef void ship(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
               int32_t quantity) noexcept nogil:
    """What was held leaves the store, from the lots that `release` would give it back to.

    In a shortfall the books may have fewer pieces than were sent: what is on hand stays at 0 then.
    """
    cdef LotPair* pair = pair_of(table, store, sku)
    if pair != NULL:
        remove(pair, unreserve(pair, from_day, quantity, True))
        settle(pair)


cdef void put_back(LotTable* table, int32_t store, int32_t sku, int32_t from_day,
                   int32_t quantity) noexcept nogil:
    """Pieces come back to the first lot from `from_day` on, or else to the last."""
    cdef LotPair* pair = pair_of(table, store, sku)
    cdef int64_t place
    if pair == NULL:
        return
    place = 0
    while place < pair.lot_count - 1 and pair.lots[place].day < from_day:
        place += 1
    pair.lots[place].on_hand += quantity
    settle(pair)


cdef void correct(LotTable* table, int32_t store, int32_t sku, int32_t on_hand) noexcept nogil:
    """A count has found so many in all: fewer are missing in the earliest lots, free ones first;
    more are in the last."""
    cdef LotPair* pair = pair_of(table, store, sku)
    cdef int64_t more
    if pair == NULL:
        return
    more = on_hand - total(table, store, sku)
    if more > 0:
        pair.lots[pair.lot_count - 1].on_hand += <int32_t>more
    else:
        remove(pair, -more)
    settle(pair)


# -- LOTS OF ONE PAIR --------------------------------------------------------------------------

cdef int64_t reserve(LotPair* pair, int32_t from_day, int64_t quantity) noexcept nogil:
    """`hold`; returns how many of them are in no lot from `from_day` on, or not there at all."""
    cdef int64_t place, first = 0
    while first < pair.lot_count and pair.lots[first].day < from_day:
        first += 1
    for place in range(first, pair.lot_count):
        quantity -= reserve_in(&pair.lots[place], quantity)
    cdef int64_t displaced = quantity
    for place in range(first - 1, -1, -1):
        quantity -= reserve_in(&pair.lots[place], quantity)
    pair.lots[pair.lot_count - 1].reserved += <int32_t>quantity
    return displaced


cdef inline int64_t reserve_in(Lot* lot, int64_t most) noexcept nogil:
    cdef int64_t pieces = min(most, free_in(lot))
    lot.reserved += <int32_t>pieces
    return pieces


cdef int64_t unreserve(LotPair* pair, int32_t from_day, int64_t quantity, bint sent) noexcept nogil:
    """Undo `reserve`; where the pieces are sent, they are no longer on hand either.

    Returns how many of those were not on hand in the lots that they were reserved in.
    """
    cdef int64_t place, first = 0, absent = 0, pieces, there
    cdef Lot* lot
    while first < pair.lot_count and pair.lots[first].day < from_day:
        first += 1
    for place in range(pair.lot_count):
        # From `first` on upwards, then from below it downwards.
        lot = &pair.lots[first + place if first + place < pair.lot_count
                         else pair.lot_count - 1 - place]
        pieces = min(quantity, <int64_t>lot.reserved)
        lot.reserved -= <int32_t>pieces
        quantity -= pieces
        if sent:
            there = min(pieces, <int64_t>lot.on_hand)
            lot.on_hand -= <int32_t>there
            absent += pieces - there
    return absent


cdef void remove(LotPair* pair, int64_t quantity) noexcept nogil:
    """Pieces are gone: free ones of the earliest lots first, then any, the earliest first."""
    cdef int64_t place, pieces
    for place in range(pair.lot_count):
        pieces = min(quantity, <int64_t>free_in(&pair.lots[place]))
        pair.lots[place].on_hand -= <int32_t>pieces
        quantity -= pieces
    for place in range(pair.lot_count):
        pieces = min(quantity, <int64_t>pair.lots[place].on_hand)
        pair.lots[place].on_hand -= <int32_t>pieces
        quantity -= pieces


cdef void settle(LotPair* pair) noexcept nogil:
    """Where a lot has more reserved than on hand, reserve that anew, as late as it was."""
    cdef int64_t place
    cdef int32_t excess
    for place in range(pair.lot_count - 1, -1, -1):
        excess = pair.lots[place].reserved - pair.lots[place].on_hand
        if excess > 0:
            pair.lots[place].reserved -= excess
            reserve(pair, pair.lots[place].day, excess)


# -- ALL LOTS ----------------------------------------------------------------------------------

@cython.final
cdef class Lots:
    """The lots of every pair that has any."""

    def __dealloc__(self):
        cdef uint64_t place
        if self.table.slots != NULL:
            for place in range(self.table.mask + 1):
                free(self.table.slots[place].lots)
        free(self.table.slots)

    # -- COMMANDS ------------------------------------------------------------------------------

    def set_lots(self, int32_t store, int32_t sku, days, on_hand, int64_t reserved=0):
        """Set what a pair has of each day: two arrays int32[n], `days` strictly increasing.

        With no days at all the pair has no lots any more. `reserved`: what is held of the pair,
        where it had no lots before; else that is known. What was reserved moves to lots as late,
        the latest first; what cannot, to the latest before them. Returns how many pieces that were,
        with those for which there is nothing left. Refuses what cannot be, before any change.
        """
        self.check(days, on_hand)
        return self._replace(store, sku, np.array(days, dtype=np.int32),
                             np.array(on_hand, dtype=np.int32), reserved)

    @staticmethod
    def check(days, on_hand):
        """Refuse what cannot be the lots of a pair."""
        cdef const int64_t[::1] day_of = np.array(days, dtype=np.int64)
        cdef const int64_t[::1] count_of = np.array(on_hand, dtype=np.int64)
        cdef int64_t pieces = 0
        cdef Py_ssize_t row
        if day_of.shape[0] != count_of.shape[0]:
            refuse(Fault.RAGGED, "on_hand", len(on_hand), hint=f"there are {len(days)} days")
        if day_of.shape[0] > MOST_LOTS:
            refuse(Fault.TOO_MANY, "days", len(days), hint=f"at most {MOST_LOTS} lots a pair")
        for row in range(day_of.shape[0]):
            if not 0 <= day_of[row] <= MAX_DAY:
                refuse(Fault.OUT_OF_RANGE, "days", day_of[row], row=row,
                       hint=f"must be days since 1970-01-01, 0 to {MAX_DAY}")
            if row and day_of[row] <= day_of[row - 1]:
                refuse(Fault.OUT_OF_RANGE, "days", day_of[row], row=row,
                       hint=f"must come after the lot before, {day_of[row - 1]}")
            if not 0 <= count_of[row] <= MAX_PIECES:
                refuse(Fault.OUT_OF_RANGE, "on_hand", count_of[row], row=row,
                       hint=f"must be 0 to {MAX_PIECES}")
            pieces += count_of[row]
            if pieces > MAX_PIECES:
                refuse(Fault.OVERFLOW, "on_hand", pieces, row=row,
                       hint=f"a pair has at most {MAX_PIECES} in all")

    def _replace(self, int32_t store, int32_t sku, const int32_t[::1] days,
                 const int32_t[::1] on_hand, int64_t reserved):
        cdef LotPair* pair = self._slot(store, sku)
        cdef LotPair old = pair[0]
        cdef Lot* fresh = <Lot*>malloc(max(1, days.shape[0]) * sizeof(Lot))
        cdef int64_t place, displaced = 0
        if fresh == NULL:
            raise MemoryError("no room for more lots")
        for place in range(days.shape[0]):
            fresh[place].day, fresh[place].on_hand = days[place], on_hand[place]
            fresh[place].reserved = 0
        pair.key, pair.lots, pair.lot_count = key_of(store, sku), fresh, days.shape[0]
        self.table.used += old.key == 0
        self.table.lot_count += pair.lot_count - old.lot_count
        if pair.lot_count:
            for place in range(old.lot_count - 1, -1, -1):
                displaced += reserve(pair, old.lots[place].day, old.lots[place].reserved)
            if not old.lot_count:
                displaced += reserve(pair, NO_DAY, reserved)
        free(old.lots)
        return displaced

    cdef LotPair* _slot(self, int32_t store, int32_t sku) except NULL:
        """The slot of a pair, which may be empty, in a table with room for it."""
        cdef uint64_t slot_count = 2 * (self.table.mask + 1) if self.table.slots else LEAST_SLOTS
        cdef uint64_t place
        cdef LotPair* slots
        if self.table.slots == NULL or 2 * (self.table.used + 1) > <int64_t>(self.table.mask + 1):
            slots = <LotPair*>calloc(slot_count, sizeof(LotPair))
            if slots == NULL:
                raise MemoryError("no room for more lots")
            if self.table.slots != NULL:
                for place in range(self.table.mask + 1):
                    if self.table.slots[place].key:
                        slot_of(slots, slot_count - 1, self.table.slots[place].key)[0] = (
                            self.table.slots[place]
                        )
            free(self.table.slots)
            self.table.slots, self.table.mask = slots, slot_count - 1
        return slot_of(self.table.slots, self.table.mask, key_of(store, sku))

    def hold(self, int32_t store, int32_t sku, int32_t from_day, int32_t quantity):
        """Reserve in lots from `from_day` on; see `free_from` first."""
        hold(&self.table, store, sku, from_day, quantity)

    def release(self, int32_t store, int32_t sku, int32_t from_day, int32_t quantity):
        """Give back what was held, with the same `from_day`."""
        release(&self.table, store, sku, from_day, quantity)

    def ship(self, int32_t store, int32_t sku, int32_t from_day, int32_t quantity):
        """What was held, with the same `from_day`, leaves the store."""
        ship(&self.table, store, sku, from_day, quantity)

    def put_back(self, int32_t store, int32_t sku, int32_t from_day, int32_t quantity):
        """Pieces come back to the first lot from `from_day` on, or else to the last."""
        put_back(&self.table, store, sku, from_day, quantity)

    def correct(self, int32_t store, int32_t sku, int32_t on_hand):
        """A count has found so many in all lots together, 0 or more."""
        correct(&self.table, store, sku, on_hand)

    # -- QUERIES -------------------------------------------------------------------------------

    def has_lots(self, int32_t store, int32_t sku):
        """Whether the pair has lots at all."""
        return has_lots(&self.table, store, sku)

    def total(self, int32_t store, int32_t sku):
        """What is on hand in all lots."""
        return total(&self.table, store, sku)

    def free_from(self, int32_t store, int32_t sku, int32_t from_day):
        """What is free in lots that may be sold on `from_day` still."""
        return free_from(&self.table, store, sku, from_day)

    def first_day(self, int32_t store, int32_t sku, int32_t from_day, int32_t quantity):
        """The day of the first lot that `hold` would take from; None where so many are not free."""
        cdef int32_t day = first_day(&self.table, store, sku, from_day, quantity)
        return None if day == NO_DAY else day

    def lots_of(self, int32_t store, int32_t sku):
        """(day, on hand, reserved) of each lot, by day."""
        cdef LotPair* pair = pair_of(&self.table, store, sku)
        if pair == NULL:
            return []
        return [
            (pair.lots[place].day, pair.lots[place].on_hand, pair.lots[place].reserved)
            for place in range(pair.lot_count)
        ]

    @property
    def byte_count(self):
        """Memory held, in bytes."""
        cdef int64_t slot_count = self.table.mask + 1 if self.table.slots != NULL else 0
        return slot_count * <int64_t>sizeof(LotPair) + self.table.lot_count * <int64_t>sizeof(Lot)

    # -- SNAPSHOTS -----------------------------------------------------------------------------

    def arrays(self):
        """All lots by store, SKU and day, as int32 arrays by the names of COLUMNS."""
        cdef int32_t[:, ::1] columns = np.empty((5, self.table.lot_count), dtype=np.int32)
        cdef int64_t row = 0, place
        cdef uint64_t slot
        cdef const LotPair* pair
        for slot in range(self.table.mask + 1 if self.table.slots != NULL else 0):
            pair = &self.table.slots[slot]
            for place in range(pair.lot_count):
                columns[0, row] = <int32_t>((pair.key - 1) >> 32)
                columns[1, row] = <int32_t>(pair.key - 1)
                columns[2, row] = pair.lots[place].day
                columns[3, row] = pair.lots[place].on_hand
                columns[4, row] = pair.lots[place].reserved
                row += 1
        array = np.asarray(columns)
        order = np.lexsort(array[2::-1])
        return {name: array[number, order] for number, name in enumerate(COLUMNS)}


COLUMNS = ("lot_stores", "lot_skus", "lot_days", "lot_on_hand", "lot_reserved")


def restored(arrays):
    """Lots as `arrays` tells of them, in the order of `Lots.arrays`. Refuses what cannot be.

    Whether there are such stores and SKUs, and as many pieces in stock, is for others to know.
    """
    cdef const int32_t[:, ::1] columns = np.array([arrays[name] for name in COLUMNS], np.int32)
    cdef Py_ssize_t row_count = columns.shape[1]
    cdef Py_ssize_t row, first = 0, end = 0
    cdef Lots lots = Lots()
    cdef LotPair* pair
    while first < row_count:
        while end < row_count and is_same_pair(columns, first, end):
            end += 1
        if (columns[0, first] < 0 or columns[1, first] < 0 or end - first > MOST_LOTS
                or (first and not comes_before(columns, first - 1, first))):
            refuse(Fault.CORRUPT, "snapshot.lots", first, hint="not pairs in order")
        lots._replace(columns[0, first], columns[1, first], columns[2, first:end],
                      columns[3, first:end], 0)
        pair = pair_of(&lots.table, columns[0, first], columns[1, first])
        for row in range(first, end):
            pair.lots[row - first].reserved = columns[4, row]
        if not is_sound(pair):
            refuse(Fault.CORRUPT, "snapshot.lots", first, hint="not what lots can be")
        first = end
    return lots


cdef inline bint is_same_pair(const int32_t[:, ::1] columns, Py_ssize_t row,
                              Py_ssize_t other) noexcept nogil:
    return columns[0, row] == columns[0, other] and columns[1, row] == columns[1, other]


cdef inline bint comes_before(const int32_t[:, ::1] columns, Py_ssize_t row,
                              Py_ssize_t other) noexcept nogil:
    if columns[0, row] != columns[0, other]:
        return columns[0, row] < columns[0, other]
    return columns[1, row] < columns[1, other]


cdef bint is_sound(const LotPair* pair) noexcept nogil:
    """Whether a pair's lots keep the invariants that the module states."""
    cdef int64_t place, last = pair.lot_count - 1, on_hand = 0, reserved = 0
    cdef bint short = pair.lots[last].reserved > pair.lots[last].on_hand
    cdef const Lot* lot
    for place in range(pair.lot_count):
        lot = &pair.lots[place]
        on_hand += lot.on_hand
        reserved += lot.reserved
        if not 0 <= lot.day <= MAX_DAY or (place and lot.day <= pair.lots[place - 1].day):
            return False
        if lot.on_hand < 0 or lot.reserved < 0:
            return False
        if place < last and (lot.reserved > lot.on_hand or (short and free_in(lot))):
            return False
    return on_hand <= MAX_PIECES and reserved <= MAX_PIECES
