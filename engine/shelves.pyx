"""Stock in memory: for each SKU one *shelf* that runs through all stores in KD order.

    words   summary[branch_count]    bit = 1: that leaf's available word is not zero
            available[leaf_count]    bit = 1: that store can sell at least one
            listed[leaf_count]       bit = 1: that store has a count for the SKU, perhaps zero
            base[leaf_count]         uint32: how many stores before this leaf list the SKU
    quantities[listed_count]         (net, reserved) of the listing stores, in KD order
    limits  off_below, on_from       the thresholds; no limits at all where there is nothing to say
            has_lots                 some of the pairs have sell-by days: see lots and larder
            held[listed_count]       what the listing stores hold back, all parts together
            parts[listed_count]      (safety, locked, display) of it

A store's pair is found by rank: quantities[base[leaf] + popcount(listed[leaf] & (bit - 1))].

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
from libc.string cimport memcpy

from fendan.engine.larder cimport (
    WITHOUT_LOTS, Keep, drop_hold, first_good, good_from, hold_for_now,
)
from fendan.engine.network cimport STORES_PER_LEAF, Leaves

cdef enum:
    FEW_LINES = 16              # longer baskets are rare, and look their counts up twice


cdef void free_shelves(Shelf* shelf, int32_t count) noexcept nogil:
    """Free what was allocated one by one; slabs belong to Python."""
    cdef int32_t sku
    for sku in range(count):
        free(shelf[sku].limits)
        if shelf[sku].slab == NO_SLAB:
            free(shelf[sku].words)
            free(shelf[sku].quantities)


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
    cdef Quantity* pair
    cdef int64_t line
    cdef bint is_there
    for line in range(basket.line_count):
        pair = quantity(shelves, basket.skus[line], ordinal)
        if pair == NULL:
            return False
        if keep == NULL:
            is_there = sells_today(shelves, basket.skus[line], ordinal, pair,
                                   basket.quantities[line])
        else:
            is_there = sells(shelves, basket.skus[line], ordinal, pair, basket.quantities[line])
        if not is_there:
            return False
        if line < FEW_LINES:
            pairs[line] = pair
    for line in range(basket.line_count):
        if line < FEW_LINES:
            pair = pairs[line]
        else:
            pair = quantity(shelves, basket.skus[line], ordinal)
        if before != NULL:
            before[line] = pair[0]
        pair.net -= basket.quantities[line]
        pair.reserved += basket.quantities[line]
        if pair.net <= 0 or shelves.shelf[basket.skus[line]].limits != NULL:
            show(shelves, basket.skus[line], ordinal, pair)
            hold_lots(shelves, basket.skus[line], ordinal, basket.quantities[line], keep)
    return True


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
    cdef uint64_t* summary = fresh.words
    cdef uint64_t* available = summary + after.branch_count
    cdef uint64_t* listed = available + after.leaf_count
    cdef uint32_t* base = <uint32_t*>(listed + after.leaf_count)
    cdef const uint64_t* old_listed = NULL
    cdef const uint64_t* old_available = NULL
    cdef uint64_t bits, bit
    cdef int32_t leaf, slot, ordinal
    cdef uint32_t to, rank = 0
    for leaf in range(after.leaf_count):
        base[leaf] = rank
        rank += popcount(wanted[leaf])
    rank = 0
    if old.words != NULL:
        old_available = old.words + before.branch_count
        old_listed = old_available + before.leaf_count
        if old.limits != NULL:
            fresh.limits[0] = old.limits[0]
        for leaf in range(before.leaf_count):
            bits = old_listed[leaf]
            while bits:
                slot = lowest_bit(bits)
                ordinal = after.ordinal_of[before.store_at[leaf * STORES_PER_LEAF + slot]]
                bits &= bits - 1
                bit = (<uint64_t>1) << (ordinal & 63)
                to = base[ordinal >> 6] + popcount(wanted[ordinal >> 6] & (bit - 1))
                fresh.quantities[to] = old.quantities[rank]
                if old.limits != NULL:
                    held_sums(fresh)[to] = held_sums(old)[rank]
                    held_parts(fresh)[to] = held_parts(old)[rank]
                rank += 1
                if (old_available[leaf] >> slot) & 1:
                    available[ordinal >> 6] |= bit
                    summary[ordinal >> 12] |= (<uint64_t>1) << ((ordinal >> 6) & 63)
    memcpy(listed, wanted, after.leaf_count * sizeof(uint64_t))
