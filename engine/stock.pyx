"""What each store can sell: the shelves of all SKUs over one network; see `shelves`.

A pair costs 8 bytes, a SKU 21 bytes and a bit for each leaf: memory follows the assortment, not
stores times catalogue. Where a SKU has limits or lots, each of its pairs costs 16 bytes more. Shelves that
are made many at a time stand side by side in a *slab*, one large array that numpy asks the system
to back with huge pages: an order reads a few words in each of several shelves, and with small pages
finding the page costs as much as reading the word.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from fendan.engine.changes cimport Changes, note
from fendan.engine.larder cimport day_of
from fendan.engine.lots cimport Lots, LotTable, correct, pair_of
from fendan.engine.names cimport Names
from fendan.engine.network cimport STORES_PER_LEAF, Layout, Leaves, Network
from fendan.engine.shelves cimport (
    MAX_QUANTITY, NO_SLAB, WORDS_PER_LINE, Held, LeafLine, Quantity, Shelf, Shelves, all_listed,
    arrange, available, block_words, free_of, free_shelves, fresh_limits, fresh_lines, good_today,
    has_lots, held_parts, is_on, limits_bytes, lines_of, listed, lowest_bit, on_sale, popcount,
    quantity, show, words_of,
)

import numpy as np

from fendan.engine.fault import Fault
from fendan.errors import refuse

cdef enum:
    NO_PLACE = -1
    SLAB_WORDS = 1 << 20        # 8 MB; below that one block a shelf is no worse


cdef int no_room() except -1 with gil:
    raise MemoryError("no room for more stock")


@cython.final
cdef class Stock:
    """Counts by store and SKU over one network."""

    def __init__(self, Network network):
        self.network = network
        self.skus = []
        self.sku_code_of = Names()
        self.changes = Changes()
        self._slabs = [None]  # and none is number 0, NO_SLAB
        self._slab_users = [0]
        self.shelves.leaf_count = network.layout.leaves.leaf_count
        self.shelves.branch_count = network.layout.leaves.branch_count
        self.shelves.line_count = lines_of(self.shelves.leaf_count)
        self.shelves.store_at = network.layout.leaves.store_at
        self._least_lives = np.zeros(0, dtype=np.int32)
        self.own(Lots())

    def __dealloc__(self):
        free_shelves(self.shelves.shelf, self.shelves.sku_count)
        free(self.shelves.shelf)
        free(self.shelves.larder.holds)

    cdef int own(self, Lots lots) except -1:
        self.lots = lots
        self.shelves.larder.lots = &lots.table
        return 0

    # -- COMMANDS ------------------------------------------------------------------------------

    def adopt(self, Layout after, list ids, list regions):
        """Swap in a layout of the network, which may have new stores at the end. All or nothing.

        Where the KD order changes, the shelves move along: the new ones are made beside the live
        ones. The ids of the new stores must be new and distinct: the caller has checked.
        """
        cdef Layout before = self.network.layout
        cdef Shelf* fresh = NULL
        cdef uint64_t[:, ::1] wanted
        if self.shelves.sku_count and not after.keeps_order_of(before):
            wanted = self._moved(before, after)
            fresh = self._make_room(range(self.shelves.sku_count), wanted, &after.leaves)
        self.network.adopt(after, ids, regions)
        self.shelves.leaf_count = after.leaves.leaf_count
        self.shelves.line_count = lines_of(self.shelves.leaf_count)
        self.shelves.branch_count = after.leaves.branch_count
        self.shelves.store_at = after.leaves.store_at
        if fresh != NULL:
            self._renew(range(self.shelves.sku_count), fresh, wanted, &before.leaves, &after.leaves)

    def set_on_hand(self, const int32_t[::1] stores, const int32_t[::1] skus,
                    const int32_t[::1] quantities, list new_skus, int32_t[:, ::1] before=None):
        """Set the absolute on-hand of (store, SKU) pairs given as codes, row by row, in order.

        SKUs named in `new_skus` take the next codes. Nothing changes unless every row is good.
        `before`: int32[n, 2], gets each row's net and reserved as they were. Returns the rows
        after which more is reserved than there is, as a list of row numbers. Lots follow the counts.
        """
        cdef int32_t sku_count = self.shelves.sku_count + <int32_t>len(new_skus)
        cdef const int32_t* ordinal_of = self.network.layout.leaves.ordinal_of
        cdef Shelves* shelves = &self.shelves
        cdef Quantity* pair
        cdef Py_ssize_t row
        cdef bint short = False
        self.check(stores, skus, quantities, sku_count)
        self.enlist(stores, skus, new_skus)
        with nogil:
            for row in range(stores.shape[0]):
                pair = quantity(shelves, skus[row], ordinal_of[stores[row]])
                if before is not None:
                    before[row, 0], before[row, 1] = pair.net, pair.reserved
                if pair.net != quantities[row] - pair.reserved:
                    note(&self.changes.ring, stores[row], skus[row])
                pair.net = quantities[row] - pair.reserved
                if has_lots(shelves, skus[row]):
                    correct(&self.lots.table, stores[row], skus[row], quantities[row])
                short = short or pair.net < 0
                show(shelves, skus[row], ordinal_of[stores[row]], pair)
        if not short:
            return []
        return [
            row for row in range(stores.shape[0])
            if quantity(shelves, skus[row], ordinal_of[stores[row]]).net < 0
        ]

    def enlist(self, const int32_t[::1] stores, const int32_t[::1] skus, list new_skus):
        """Give every row's pair a place; those that had none start at zero. All or nothing.

        SKUs named in `new_skus` take the next codes. The codes must be good: the caller has checked.
        """
        cdef int32_t sku_count = self.shelves.sku_count + <int32_t>len(new_skus)
        self._reserve(sku_count)
        self._list(stores, skus, sku_count)
        if new_skus:
            self.sku_code_of.extend(new_skus)
            self.skus = self.skus + new_skus
            self.shelves.sku_count = sku_count

    def adjusted(self, const int32_t[::1] stores, const int32_t[::1] skus,
                 const int32_t[::1] deltas):
        """The on-hand of each row's pair once the rows up to it are added, int32[n].

        For `set_on_hand`; changes nothing. Refuses the first row that leads below zero or beyond
        what can be counted.
        """
        cdef dict on_hand_of = {}
        cdef int32_t[::1] on_hand = np.empty(len(deltas), dtype=np.int32)
        cdef int64_t wide
        cdef Py_ssize_t row
        self.check_codes(stores, skus, deltas, self.shelves.sku_count)
        for row in range(stores.shape[0]):
            pair = (stores[row], skus[row])
            wide = on_hand_of.get(pair, -1)
            if wide < 0:
                wide = self.counts(stores[row], skus[row])[0]
            if not 0 <= wide + deltas[row] <= MAX_QUANTITY:
                refuse(
                    Fault.OUT_OF_RANGE, "deltas", deltas[row], row=row,
                    hint=f"there are {wide}, and must be 0 to {MAX_QUANTITY} then",
                )
            on_hand_of[pair] = on_hand[row] = <int32_t>(wide + deltas[row])
        return np.asarray(on_hand)

    def set_time(self, int64_t now_ns):
        """From now on lots that were to be sold before the day of `now_ns` are not sold."""
        cdef const LotTable* table = &self.lots.table
        cdef int32_t today = day_of(now_ns)
        cdef uint64_t place, key
        if today == self.shelves.larder.today:
            return
        self.shelves.larder.today = today
        for place in range(table.mask + 1 if table.used else 0):
            if table.slots[place].lot_count:
                key = table.slots[place].key - 1
                note(&self.changes.ring, <int32_t>(key >> 32), <int32_t>key)

    def set_least_life(self, int32_t sku, int32_t days):
        """How many days a SKU must be good for when the customer has it, at least."""
        cdef int32_t[::1] lives = self._least_lives
        cdef int32_t store
        if sku >= lives.shape[0] and days:
            grown = np.zeros(max(sku + 1, self._sku_capacity), dtype=np.int32)
            grown[:lives.shape[0]] = lives
            self._least_lives = lives = grown
            self.shelves.larder.least_lives = &lives[0]
            self.shelves.larder.life_count = <int32_t>lives.shape[0]
        if sku < lives.shape[0] and lives[sku] != days:
            lives[sku] = days
            if sku >= self.shelves.sku_count or not has_lots(&self.shelves, sku):
                return
            for store in range(self.network.layout.leaves.store_count):
                if pair_of(&self.lots.table, store, sku) != NULL:
                    note(&self.changes.ring, store, sku)

    def note_store(self, int32_t store):
        """What a store offers has changed as a whole."""
        cdef int32_t ordinal = self.network.layout.leaves.ordinal_of[store]
        cdef int32_t sku
        for sku in range(self.shelves.sku_count):
            if quantity(&self.shelves, sku, ordinal) != NULL:
                note(&self.changes.ring, store, sku)

    cdef int _reserve(self, int32_t sku_count) except -1:
        """Make room for as many SKUs; shelves not yet made are empty and cost nothing."""
        cdef int32_t capacity = self._sku_capacity
        cdef Shelf* larger
        if sku_count <= capacity:
            return 0
        capacity = max(sku_count, capacity + capacity // 4)
        larger = <Shelf*>realloc(self.shelves.shelf, capacity * sizeof(Shelf))
        if larger == NULL:
            no_room()
        memset(larger + self._sku_capacity, 0, (capacity - self._sku_capacity) * sizeof(Shelf))
        self.shelves.shelf = larger
        self._sku_capacity = capacity
        return 0

    # -- QUERIES -------------------------------------------------------------------------------

    def counts(self, int32_t store, int32_t sku):
        """(on hand, reserved) of one pair; (0, 0) where the store does not list the SKU."""
        cdef Quantity* pair = quantity(
            &self.shelves, sku, self.network.layout.leaves.ordinal_of[store]
        )
        if pair == NULL:
            return 0, 0
        return <int64_t>pair.net + pair.reserved, pair.reserved

    def totals_of(self, int32_t sku):
        """(on hand, reserved) of a SKU in all stores together."""
        cdef const Shelf* shelf = self.shelves.shelf + sku
        cdef int64_t on_hand = 0, reserved = 0
        cdef int32_t rank
        for rank in range(shelf.listed_count):
            on_hand += <int64_t>shelf.quantities[rank].net + shelf.quantities[rank].reserved
            reserved += shelf.quantities[rank].reserved
        return on_hand, reserved

    def held(self, int32_t store, int32_t sku):
        """(safety, locked, display) of one pair: what the store holds back, part by part."""
        cdef const Shelf* shelf = self.shelves.shelf + sku
        cdef Quantity* pair = quantity(
            &self.shelves, sku, self.network.layout.leaves.ordinal_of[store]
        )
        cdef Held parts
        if pair == NULL or shelf.limits == NULL:
            return 0, 0, 0
        parts = held_parts(shelf)[pair - shelf.quantities]
        return parts.safety, parts.locked, parts.display

    def sellable_of(self, int32_t store, int32_t sku):
        """How many of one pair can be sold, whether the store takes orders or not; 0 or more."""
        cdef int32_t ordinal = self.network.layout.leaves.ordinal_of[store]
        cdef Quantity* pair = quantity(&self.shelves, sku, ordinal)
        if pair == NULL:
            return 0
        return min(on_sale(&self.shelves, sku, ordinal, pair), good_today(&self.shelves, sku, ordinal))

    def sellable(self, const int64_t[::1] pairs):
        """What can be sold now of each pair of `Changes.since`, int32[n]; 0 at a closed store."""
        cdef const Leaves* leaves = &self.network.layout.leaves
        cdef int32_t[::1] counts = np.zeros(len(pairs), dtype=np.int32)
        cdef Quantity* pair
        cdef int32_t ordinal, sku
        cdef Py_ssize_t row
        for row in range(pairs.shape[0]):
            ordinal = leaves.ordinal_of[pairs[row] >> 32]
            sku = <int32_t>pairs[row]
            if (leaves.open[ordinal >> 6] >> (ordinal & 63)) & 1 and (
                is_on(&self.shelves, sku, ordinal)
            ):
                pair = quantity(&self.shelves, sku, ordinal)
                counts[row] = <int32_t>min(free_of(&self.shelves, sku, pair),
                                           good_today(&self.shelves, sku, ordinal))
        return np.asarray(counts)

    def listed_by(self, int32_t store):
        """The codes of the SKUs that a store has a count for, int32[n]."""
        cdef int32_t ordinal = self.network.layout.leaves.ordinal_of[store]
        cdef int32_t sku
        return np.array(
            [
                sku for sku in range(self.shelves.sku_count)
                if quantity(&self.shelves, sku, ordinal) != NULL
            ],
            dtype=np.int32,
        )

    def offers_of(self, int32_t sku):
        """The stores that can sell a SKU and take orders, and how many: two arrays int32[n]."""
        cdef const Leaves* leaves = &self.network.layout.leaves
        cdef list stores = [], counts = []
        cdef const Quantity* pair
        cdef uint64_t bits
        cdef int32_t leaf, ordinal
        for leaf in range(leaves.leaf_count):
            bits = available(&self.shelves, sku, leaf)[0] & leaves.open[leaf]
            while bits:
                ordinal = leaf * STORES_PER_LEAF + lowest_bit(bits)
                bits &= bits - 1
                pair = quantity(&self.shelves, sku, ordinal)
                count = min(free_of(&self.shelves, sku, pair),
                            good_today(&self.shelves, sku, ordinal))
                if count:
                    stores.append(leaves.store_at[ordinal])
                    counts.append(count)
        return np.array(stores, dtype=np.int32), np.array(counts, dtype=np.int32)

    @property
    def pair_count(self):
        """How many (store, SKU) pairs have a count."""
        cdef int64_t total = 0
        cdef int32_t sku
        for sku in range(self.shelves.sku_count):
            total += self.shelves.shelf[sku].listed_count
        return total

    @property
    def byte_count(self):
        """Memory held by the core for stock, in bytes, without the SKUs' names."""
        cdef int64_t blocks = 0, limits = 0
        cdef int32_t sku
        for sku in range(self.shelves.sku_count):
            blocks += block_words(self.shelves.leaf_count, self.shelves.branch_count,
                                  self.shelves.shelf[sku].listed_count)
            if self.shelves.shelf[sku].limits != NULL:
                limits += limits_bytes(self.shelves.shelf[sku].listed_count)
        return limits + (
            self._sku_capacity * <int64_t>sizeof(Shelf) + blocks * <int64_t>sizeof(uint64_t)
        )

    # -- SHELVES -------------------------------------------------------------------------------

    def _list(self, const int32_t[::1] stores, const int32_t[::1] skus, int32_t sku_count):
        """Give every pair of the rows, and every new SKU, a place on the shelves.

        Pairs that had none start at zero. All room is made before the first shelf changes.
        """
        cdef const Leaves* leaves = &self.network.layout.leaves
        cdef Shelves* shelves = &self.shelves
        if sku_count == shelves.sku_count and all_listed(shelves, leaves, stores, skus):
            return
        cdef int32_t[::1] place_of = np.full(sku_count, NO_PLACE, dtype=np.int32)
        cdef list renewed = self._renewed(stores, skus, place_of)
        cdef uint64_t[:, ::1] wanted = np.zeros(
            (len(renewed), max(1, leaves.leaf_count)), dtype=np.uint64
        )
        cdef int32_t place, sku, leaf, ordinal
        cdef Py_ssize_t row
        for place, sku in enumerate(renewed):
            if sku < shelves.sku_count:
                for leaf in range(leaves.leaf_count):
                    wanted[place, leaf] = listed(shelves, sku, leaf)[0]
        for row in range(stores.shape[0]):
            if place_of[skus[row]] != NO_PLACE:
                ordinal = leaves.ordinal_of[stores[row]]
                wanted[place_of[skus[row]], ordinal >> 6] |= (<uint64_t>1) << (ordinal & 63)
        self._renew(renewed, self._make_room(renewed, wanted, leaves), wanted, leaves, leaves)

    def _renewed(self, const int32_t[::1] stores, const int32_t[::1] skus, int32_t[::1] place_of):
        """The SKUs that are new, or that a row lists at one more store; numbered in `place_of`."""
        cdef const int32_t* ordinal_of = self.network.layout.leaves.ordinal_of
        cdef int32_t sku
        cdef Py_ssize_t row
        cdef list renewed = list(range(self.shelves.sku_count, place_of.shape[0]))
        for place, sku in enumerate(renewed):
            place_of[sku] = place
        for row in range(stores.shape[0]):
            sku = skus[row]
            if place_of[sku] == NO_PLACE and (
                quantity(&self.shelves, sku, ordinal_of[stores[row]]) == NULL
            ):
                place_of[sku] = <int32_t>len(renewed)
                renewed.append(sku)
        return renewed

    def _moved(self, Layout before, Layout after):
        """The listed bitmaps of all shelves, uint64[sku, leaf], as they are in the layout `after`."""
        cdef uint64_t[:, ::1] wanted = np.zeros(
            (self.shelves.sku_count, after.leaves.leaf_count), dtype=np.uint64
        )
        cdef uint64_t bits
        cdef int32_t sku, leaf, store, ordinal
        with nogil:
            for sku in range(self.shelves.sku_count):
                for leaf in range(before.leaves.leaf_count):
                    bits = listed(&self.shelves, sku, leaf)[0]
                    while bits:
                        store = before.leaves.store_at[leaf * STORES_PER_LEAF + lowest_bit(bits)]
                        ordinal = after.leaves.ordinal_of[store]
                        bits &= bits - 1
                        wanted[sku, ordinal >> 6] |= (<uint64_t>1) << (ordinal & 63)
        return np.asarray(wanted)

    cdef Shelf* _make_room(self, renewed, const uint64_t[:, ::1] wanted,
                           const Leaves* leaves) except NULL:
        """Empty shelves for the SKUs `renewed`, each for the stores in its bitmap of `wanted`.

        All of them, or MemoryError.
        """
        cdef int32_t count = <int32_t>wanted.shape[0]
        cdef size_t total = 0
        cdef int32_t place, sku, leaf
        cdef Shelf* fresh = <Shelf*>calloc(count or 1, sizeof(Shelf))
        if fresh == NULL:
            no_room()
        for place in range(count):
            for leaf in range(leaves.leaf_count):
                fresh[place].listed_count += popcount(wanted[place, leaf])
            total += block_words(leaves.leaf_count, leaves.branch_count, fresh[place].listed_count)
        try:
            for place, sku in enumerate(renewed):
                if self.shelves.shelf[sku].limits != NULL:
                    fresh[place].limits = fresh_limits(fresh[place].listed_count)
                    if fresh[place].limits == NULL:
                        no_room()
            if total >= SLAB_WORDS:
                self.stand_in_slab(fresh, count, leaves.leaf_count, leaves.branch_count, total)
                return fresh
            for place in range(count):
                fresh[place].lines = fresh_lines(leaves.leaf_count, leaves.branch_count)
                fresh[place].quantities = <Quantity*>calloc(
                    fresh[place].listed_count or 1, sizeof(Quantity)
                )
                if fresh[place].lines == NULL or fresh[place].quantities == NULL:
                    no_room()
        except MemoryError:
            free_shelves(fresh, count)
            free(fresh)
            raise
        return fresh

    cdef int stand_in_slab(self, Shelf* shelf, Py_ssize_t count, int32_t leaf_count,
                           int32_t branch_count, size_t total) except -1:
        """Let shelves stand side by side; `total`: the sum of their `block_words`."""
        array = np.empty(total + WORDS_PER_LINE - 1, dtype=np.uint64)
        array.fill(0)
        cdef uint64_t[::1] words = array
        cdef uint64_t* block = &words[0]
        cdef Py_ssize_t place
        block += -(<size_t>block // sizeof(uint64_t)) % WORDS_PER_LINE
        for place in range(count):
            shelf[place].slab = <int32_t>len(self._slabs)
            shelf[place].lines = <LeafLine*>block
            shelf[place].quantities = <Quantity*>(block + words_of(leaf_count, branch_count))
            block += block_words(leaf_count, branch_count, shelf[place].listed_count)
        self._slabs.append(array)
        self._slab_users.append(count)
        return 0

    cdef int _renew(self, renewed, Shelf* fresh, const uint64_t[:, ::1] wanted,
                    const Leaves* before, const Leaves* after) except -1:
        """Put `fresh` in the places of the SKUs `renewed`, with their counts; nothing can fail."""
        cdef Shelf* old
        cdef int32_t place, sku
        for place, sku in enumerate(renewed):
            old = self.shelves.shelf + sku
            arrange(fresh + place, &wanted[place, 0], old, before, after)
            free_shelves(old, 1)
            if old.slab != NO_SLAB:
                self._slab_users[old.slab] -= 1
                if self._slab_users[old.slab] == 0:
                    self._slabs[old.slab] = None
            old[0] = fresh[place]
        free(fresh)
        return 0

    # -- CHECKS --------------------------------------------------------------------------------

    def check(self, const int32_t[::1] stores, const int32_t[::1] skus,
              const int32_t[::1] quantities, int32_t sku_count):
        """Refuse the first row with a code or a count that cannot be."""
        cdef Py_ssize_t row
        self.check_codes(stores, skus, quantities, sku_count)
        if sku_count > MAX_SKUS:
            refuse(Fault.TOO_MANY, "skus", sku_count,
                   hint=f"a catalogue has at most {MAX_SKUS:,} SKUs, and these would be new")
        for row in range(stores.shape[0]):
            if quantities[row] < 0:
                refuse(
                    Fault.OUT_OF_RANGE, "quantities", quantities[row], row=row,
                    hint=f"must be 0 to {MAX_QUANTITY}",
                )

    def check_codes(self, const int32_t[::1] stores, const int32_t[::1] skus,
                     const int32_t[::1] quantities, int32_t sku_count):
        """Refuse columns of different lengths, and the first row with a code that cannot be."""
        cdef Py_ssize_t row
        cdef int32_t store_count = self.network.layout.leaves.store_count
        lengths = (stores.shape[0], skus.shape[0], quantities.shape[0])
        if not lengths[0] == lengths[1] == lengths[2]:
            refuse(
                Fault.RAGGED, "stores, skus, quantities", lengths,
                hint="the three must be equally long",
            )
        for row in range(stores.shape[0]):
            if not 0 <= stores[row] < store_count:
                refuse(Fault.UNKNOWN_STORE, "stores", stores[row], row=row)
            if not 0 <= skus[row] < sku_count:
                refuse(Fault.UNKNOWN_SKU, "skus", skus[row], row=row)
