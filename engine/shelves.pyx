"""Stock in memory: for each SKU one *shelf* that runs through all stores in KD order.

    lines[leaf_count / 3, up]        a cache line for every three leaves in KD order:
            available[3]             bit = 1: that store can sell at least one
            listed[3]                bit = 1: that store has a count for the SKU, perhaps zero
            base[3]                  uint32: how many stores before this leaf list the SKU
    summary[branch_count]            bit = 1: that leaf's available word is not zero
    quantities[listed_count]         (net, reserved) of the listing stores, in KD order
    limits  off_below, on_from       the thresholds; no limits at all where there is nothing to say
            has_lots                 some of the pairs have sell-by days: see lots and larder
            held[listed_count]       what the listing stores hold back, all parts together
            parts[listed_count]      (safety, locked, display) of it

A store's pair is found by rank: quantities[base[leaf] + popcount(listed[leaf] & (bit - 1))]. Whoever
has seen that a store can sell has its rank in the cache, too; lines begin at multiples of 64 bytes.

What is free of a pair is net - held. A sum beyond what int32 holds stands as the greatest, since
nothing is free either way.

Invariants: available is a subset of listed; a bit in available stands where free >= 1, unless the
SKU has thresholds: then the bit itself is the state, which goes where free < off_below, comes where
free >= on_from, and stays as it is in between; a bit in summary stands exactly where the available
word is not zero; reserved >= 0; on_hand = net + reserved; net < 0 only where a snapshot set on_hand
below what is already reserved. What is held back may exceed what is there: reservations stay. A bit
knows nothing of sell-by days: where a SKU has lots, those are asked behind it.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from fendan.engine.larder cimport (
    WITHOUT_LOTS, Keep, drop_hold, first_good, good_from, hold_for_now,
)
from fendan.engine.network cimport STORES_PER_LEAF, Leaves

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t size)

cdef void free_shelves(Shelf* shelf, int32_t count) noexcept nogil:
    """Free what was allocated one by one; slabs belong to Python."""
    cdef int32_t sku
    for sku in range(count):
        free(shelf[sku].limits)
        if shelf[sku].slab == NO_SLAB:
            free(shelf[sku].lines)
            free(shelf[sku].quantities)


cdef LeafLine* fresh_lines(int32_t leaf_count, int32_t branch_count) noexcept nogil:
    cdef size_t size = block_words(leaf_count, branch_count, 1) * sizeof(uint64_t)  # never nothing
    cdef void* lines = aligned_alloc(LINE_BYTES, size)
    if lines != NULL:
        memset(lines, 0, size)
    return <LeafLine*>lines


cdef void write_words(const Shelves* shelves, int32_t sku, uint64_t* words) noexcept nogil:
    cdef uint64_t* to_available = words + shelves.branch_count
    cdef uint64_t* to_listed = to_available + shelves.leaf_count
    cdef uint32_t* to_base = <uint32_t*>(to_listed + shelves.leaf_count)
    cdef int32_t leaf
    if shelves.leaf_count & 1:
        to_base[shelves.leaf_count] = 0
    memcpy(words, summary(shelves, sku), shelves.branch_count * sizeof(uint64_t))
    for leaf in range(shelves.leaf_count):
        to_available[leaf] = available(shelves, sku, leaf)[0]
        to_listed[leaf] = listed(shelves, sku, leaf)[0]
        to_base[leaf] = base(shelves, sku, leaf)[0]


cdef void read_words(const Shelves* shelves, int32_t sku, const uint64_t* words) noexcept nogil:
    cdef const uint64_t* from_available = words + shelves.branch_count
    cdef const uint64_t* from_listed = from_available + shelves.leaf_count
    cdef const uint32_t* from_base = <const uint32_t*>(from_listed + shelves.leaf_count)
    cdef int32_t leaf
    memcpy(summary(shelves, sku), words, shelves.branch_count * sizeof(uint64_t))
    for leaf in range(shelves.leaf_count):
        available(shelves, sku, leaf)[0] = from_available[leaf]
        listed(shelves, sku, leaf)[0] = from_listed[leaf]
        base(shelves, sku, leaf)[0] = from_base[leaf]


cdef Limits* fresh_limits(int32_t listed_count) noexcept nogil:
    return <Limits*>calloc(1, limits_bytes(listed_count))


cdef int64_t good_today(const Shelves* shelves, int32_t sku, int32_t ordinal) noexcept nogil:
    if not has_lots(shelves, sku):
        return WITHOUT_LOTS
    return good_from(&shelves.larder, shelves.store_at[ordinal], sku,
                     first_good(&shelves.larder, sku, keep_today(shelves)))


cdef inline Keep keep_today(const Shelves* shelves) noexcept nogil:
    cdef Keep keep
    keep.day, keep.least_life_days = shelves.larder.today, 0
    return keep


cdef bint take(Shelves* shelves, int32_t ordinal, const Basket* basket, Quantity* before,
               const Keep* keep) noexcept nogil:
    """`before`: where the counts go that each line found, or NULL."""
    cdef Quantity* pairs[FEW_LINES]
    cdef int64_t line
    if basket.line_count > FEW_LINES:
        return take_found(shelves, ordinal, basket, NULL, before, keep)
    for line in range(basket.line_count):
        pairs[line] = quantity(shelves, basket.skus[line], ordinal)
    return take_found(shelves, ordinal, basket, pairs, before, keep)


cdef bint take_found(Shelves* shelves, int32_t ordinal, const Basket* basket, Quantity** pairs,
                     Quantity* before, const Keep* keep) noexcept nogil:
    cdef Quantity* pair
    cdef int64_t line
    cdef bint is_there
    for line in range(basket.line_count):
        pair = pair_of(shelves, ordinal, basket, pairs, line)
        if pair == NULL:
            return False
        if keep == NULL:
            is_there = sells_today(shelves, basket.skus[line], ordinal, pair,
                                   basket.quantities[line])
        else:  # a group was asked for as a whole: its first order may take the rest off the shelf
            is_there = free_of(shelves, basket.skus[line], pair) >= basket.quantities[line]
        if not is_there:
            return False
    for line in range(basket.line_count):
        pair = pair_of(shelves, ordinal, basket, pairs, line)
        if before != NULL:
            before[line] = pair[0]
        pair.net -= basket.quantities[line]
        pair.reserved += basket.quantities[line]
        if pair.net <= 0 or shelves.shelf[basket.skus[line]].limits != NULL:
            show(shelves, basket.skus[line], ordinal, pair)
            hold_lots(shelves, basket.skus[line], ordinal, basket.quantities[line], keep)
    return True


cdef inline Quantity* pair_of(const Shelves* shelves, int32_t ordinal, const Basket* basket,
                              Quantity** pairs, int64_t line) noexcept nogil:
    return pairs[line] if pairs != NULL else quantity(shelves, basket.skus[line], ordinal)


cdef inline void hold_lots(Shelves* shelves, int32_t sku, int32_t ordinal, int32_t quantity,
                           const Keep* keep) noexcept nogil:
    if has_lots(shelves, sku):
        hold_for_now(
            &shelves.larder, shelves.store_at[ordinal], sku,
            first_good(&shelves.larder, sku, keep_today(shelves) if keep == NULL else keep[0]),
            quantity,
        )


cdef void give_back(Shelves* shelves, int32_t ordinal, const Basket* basket) noexcept nogil:
    """What could be taken was on the shelf, and is so again, unless others left too little."""
    cdef int64_t line
    cdef Quantity* pair
    for line in range(basket.line_count - 1, -1, -1):
        if has_lots(shelves, basket.skus[line]):
            drop_hold(&shelves.larder, shelves.store_at[ordinal], basket.skus[line])
        pair = quantity(shelves, basket.skus[line], ordinal)
        pair.net += basket.quantities[line]
        pair.reserved -= basket.quantities[line]
        set_bit(shelves, basket.skus[line], ordinal,
                stays_on(shelves, basket.skus[line], pair, True))


cdef bint all_listed(const Shelves* shelves, const Leaves* leaves, const int32_t[::1] stores,
                     const int32_t[::1] skus) noexcept nogil:
    """Whether every row's pair has a place already, as in most updates."""
    cdef Py_ssize_t row
    for row in range(stores.shape[0]):
        if quantity(shelves, skus[row], leaves.ordinal_of[stores[row]]) == NULL:
            return False
    return True


cdef void arrange(Shelf* fresh, const uint64_t* wanted, const Shelf* old, const Leaves* before,
                  const Leaves* after) noexcept nogil:
    """Fill the empty `fresh`, whose stores are `wanted` in the layout `after`, from `old`.

    Pairs that `old` does not have start at zero. Where `old` has limits, so has `fresh`.
    """
    cdef uint64_t* summary = <uint64_t*>(fresh.lines + lines_of(after.leaf_count))
    cdef LeafLine* line
    cdef const LeafLine* old_line
    cdef uint64_t bits, bit
    cdef int32_t leaf, slot, ordinal
    cdef uint32_t to, rank = 0
    for leaf in range(after.leaf_count):
        line = fresh.lines + leaf // LEAVES_PER_LINE
        line.listed[leaf % LEAVES_PER_LINE] = wanted[leaf]
        line.base[leaf % LEAVES_PER_LINE] = rank
        rank += popcount(wanted[leaf])
    if old.lines == NULL:
        return
    if old.limits != NULL:
        fresh.limits[0] = old.limits[0]
    rank = 0
    for leaf in range(before.leaf_count):
        old_line = old.lines + leaf // LEAVES_PER_LINE
        bits = old_line.listed[leaf % LEAVES_PER_LINE]
        while bits:
            slot = lowest_bit(bits)
            ordinal = after.ordinal_of[before.store_at[leaf * STORES_PER_LEAF + slot]]
            bits &= bits - 1
            bit = (<uint64_t>1) << (ordinal & 63)
            line = fresh.lines + (ordinal >> 6) // LEAVES_PER_LINE
            to = (line.base[(ordinal >> 6) % LEAVES_PER_LINE]
                  + popcount(wanted[ordinal >> 6] & (bit - 1)))
            fresh.quantities[to] = old.quantities[rank]
            if old.limits != NULL:
                held_sums(fresh)[to] = held_sums(old)[rank]
                held_parts(fresh)[to] = held_parts(old)[rank]
            rank += 1
            if (old_line.available[leaf % LEAVES_PER_LINE] >> slot) & 1:
                line.available[(ordinal >> 6) % LEAVES_PER_LINE] |= bit
                summary[ordinal >> 12] |= (<uint64_t>1) << ((ordinal >> 6) & 63)
