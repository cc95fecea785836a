"""Every promise about counts, held against every count: what `check` asks of an engine.

    of each pair     on hand and reserved are not negative; its bit is set exactly if it can be sold,
                     and what is held back is the sum of its parts; its lots add up to its counts
    of each leaf     its bit in the summary is set exactly if one of its pairs can be sold
    of all orders    what is reserved of a pair is what the orders there hold of it, together
    of the table     each id is found, and found to be the order that it is the id of
    of a split       its shipments are all there, have all its pieces, and its state is theirs
"""
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.names cimport Span
from fendan.engine.network cimport STORES_PER_LEAF, Leaves
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    FLAG_SHIPMENT, FLAG_SPLIT, NO_RECORD, PAGE_ORDERS, Record, Table, basket_at, find_record,
    find_shipment, holds, id_at, order_of, record_at, state_of_shipments,
)
from fendan.engine.shelves cimport (
    Basket, Held, Quantity, Shelf, Shelves, available, base, held_parts, held_sums, listed, lowest_bit,
    popcount, quantity, stays_on, sum_of, summary,
)

from typing import NamedTuple

import numpy as np

from fendan.engine.perishables import first_unlike as _first_unlike


class Audit(NamedTuple):
    """How much was looked at, and what is wrong, if anything."""

    pairs: int
    orders: int
    problem: object


def audit(Orders orders not None, bint all_named=True):
    """Look at every pair and every order known.

    `all_named`: every reservation is an order's that is known by id, as in an engine with a
    journal; without, some may be nobody's.
    """
    cdef Shelves* shelves = &orders.stock.shelves
    cdef Table* table = &orders.records.table
    cdef int64_t pair_count = orders.stock.pair_count
    # held[first[sku] + rank]: how much of a pair the orders hold that are known.
    first = np.zeros(shelves.sku_count + 1, dtype=np.int64)
    cdef int64_t[::1] firsts = first
    cdef int64_t[::1] held = np.zeros(max(1, pair_count), dtype=np.int64)
    cdef int64_t order_count = 0, number = 0
    cdef int32_t sku, store = 0, age, row
    cdef Span id
    for sku in range(shelves.sku_count):
        firsts[sku + 1] = firsts[sku] + shelves.shelf[sku].listed_count
    for age in range(table.aged_count):
        for row in range(table.pages[table.by_age[age]].count):
            number = <int64_t>table.by_age[age] * PAGE_ORDERS + row
            if not add_held(orders, number, &firsts[0], &held[0]):
                id = id_at(table, number)
                problem = f"order {id.text[:id.size].decode()!r} is not where its id leads, or " \
                          "holds what its store does not list"
                return Audit(pair_count, order_count, problem)
            if not is_whole(table, number):
                id = id_at(table, number)
                problem = f"order {id.text[:id.size].decode()!r} and its shipments do not agree"
                return Audit(pair_count, order_count, problem)
            order_count += not record_at(table, number).flags & FLAG_SHIPMENT
    for sku in range(shelves.sku_count):
        wrong = wrong_in(shelves, &orders.stock.network.layout.leaves, sku,
                         &held[firsts[sku]] if firsts[sku] < pair_count else &held[0],
                         all_named, &store)
        if wrong != NULL:
            names = orders.stock.network.store_ids
            problem = f"store {names[store]!r}, SKU {orders.stock.skus[sku]!r}: {wrong.decode()}"
            return Audit(pair_count, order_count, problem)
    unlike = _first_unlike(orders.stock)
    if unlike is not None:
        problem = f"store {orders.stock.network.store_ids[unlike[0]]!r}, " \
                  f"SKU {orders.stock.skus[unlike[1]]!r}: its lots do not add up to its counts"
        return Audit(pair_count, order_count, problem)
    return Audit(pair_count, order_count, None)


cdef bint add_held(Orders orders, int64_t number, const int64_t* firsts, int64_t* held) noexcept:
    """Count what one order holds; False where it cannot be found, or cannot hold it."""
    cdef const Shelves* shelves = &orders.stock.shelves
    cdef const Table* table = &orders.records.table
    cdef const Record* record = record_at(table, number)
    cdef const int32_t* ordinal_of = orders.stock.network.layout.leaves.ordinal_of
    cdef const Quantity* pair
    cdef Basket basket
    cdef int64_t line
    if find_record(table, id_at(table, number), record.hash) != number:
        return False
    if not holds(record):
        return True
    basket = basket_at(table, number)
    for line in range(basket.line_count):
        pair = quantity(shelves, basket.skus[line], ordinal_of[record.current.store])
        if pair == NULL:
            return False
        held[firsts[basket.skus[line]] + (pair - shelves.shelf[basket.skus[line]].quantities)] += (
            basket.quantities[line]
        )
    return True


cdef bint is_whole(const Table* table, int64_t number) noexcept nogil:
    """Whether a shipment has its order, and a split order all its pieces in its shipments."""
    cdef const Record* record = record_at(table, number)
    cdef int64_t shipment, pieces
    cdef int32_t which
    if record.flags & FLAG_SHIPMENT:
        return order_of(table, number) != NO_RECORD
    if not record.flags & FLAG_SPLIT:
        return True
    pieces = pieces_of(table, number)
    for which in range(1, record.current.shipments + 1):
        shipment = find_shipment(table, number, which)
        if shipment == NO_RECORD:
            return False
        pieces -= pieces_of(table, shipment)
    return pieces == 0 and record.state == state_of_shipments(table, number)


cdef int64_t pieces_of(const Table* table, int64_t number) noexcept nogil:
    cdef Basket basket = basket_at(table, number)
    cdef int64_t line, pieces = 0
    for line in range(basket.line_count):
        pieces += basket.quantities[line]
    return pieces


cdef const char* wrong_in(const Shelves* shelves, const Leaves* leaves, int32_t sku,
                          const int64_t* held, bint all_named, int32_t* store) noexcept nogil:
    """What is wrong with a SKU's shelf, and at which store; NULL where nothing is."""
    cdef const Quantity* pair = shelves.shelf[sku].quantities
    cdef uint64_t bits, sold
    cdef int32_t leaf, slot
    cdef int64_t rank = 0
    cdef bint was_on
    for leaf in range(leaves.leaf_count):
        bits, sold = listed(shelves, sku, leaf)[0], 0
        store[0] = leaves.store_at[leaf * STORES_PER_LEAF]
        if base(shelves, sku, leaf)[0] != rank:
            return b"its leaf does not begin where it should"
        while bits:
            slot = lowest_bit(bits)
            bits &= bits - 1
            store[0] = leaves.store_at[leaf * STORES_PER_LEAF + slot]
            if pair.reserved < 0 or <int64_t>pair.net + pair.reserved < 0:
                return b"a count below zero"
            if not is_sum_of_parts(shelves.shelf + sku, rank):
                return b"what it holds back is not the sum of its parts"
            if held[rank] > pair.reserved or (all_named and held[rank] != pair.reserved):
                return b"reserved is not what its orders hold"
            was_on = (available(shelves, sku, leaf)[0] >> slot) & 1
            sold |= <uint64_t>stays_on(shelves, sku, pair, was_on) << slot
            pair += 1
            rank += 1
        if available(shelves, sku, leaf)[0] != sold:
            return b"what it can sell is not what its counts say"
        if (summary(shelves, sku)[leaf >> 6] >> (leaf & 63)) & 1 != (sold != 0):
            return b"its leaf's summary is wrong"
    if rank != shelves.shelf[sku].listed_count:
        return b"more or fewer counts than stores that list it"
    return NULL


cdef bint is_sum_of_parts(const Shelf* shelf, int64_t rank) noexcept nogil:
    cdef Held parts
    if shelf.limits == NULL:
        return True
    parts = held_parts(shelf)[rank]
    return (parts.safety >= 0 and parts.locked >= 0 and parts.display >= 0
            and held_sums(shelf)[rank] == sum_of(parts))
