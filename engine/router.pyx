"""Choosing a store and reserving there, for one order or for a batch; see `search`.

In a batch, four orders are in work at a time, so that memory is fetched before it is needed:

    order i + 3 * AHEAD   plan      where it is, its nearest leaf; prefetch that leaf's words
    order i + 2 * AHEAD   nearest   search that leaf by bitmaps alone; prefetch the words of the
                                    others that may hold something nearer
    order i + AHEAD       rest      search those; prefetch the winner's place and counts
    order i               settle    see the counts, reserve; if they do not suffice, search exactly

Orders settle strictly in order. A guess made earlier is still right at settling if the store still
covers the order: within a batch stock only shrinks, so nothing nearer can have appeared.
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.geo cimport distance_between_m
from fendan.engine.network cimport NO_STORE, Leaves
from fendan.engine.plan cimport (
    AHEAD, NOT_FOUND, RING, Plan, make_plan, prefetch_found, prefetch_shelves, prefetch_words,
)
from fendan.engine.search cimport (
    Search, find, prefetch_rest, search_nearest, search_rest, set_search,
)
from fendan.engine.shelves cimport Basket, Quantity, Shelves, take
from fendan.engine.stock cimport Stock

from enum import IntEnum

import numpy as np

# router.Verdict as numpy sees it.
VERDICT_DTYPE = np.dtype(
    [
        ("distance_m", np.float64), ("store", np.int32), ("status", np.uint8), ("reason", np.uint8),
        ("step", np.uint8), ("shipments", np.uint8),
    ],
    align=True,
)


class _Named(IntEnum):
    """An int in arrays and comparisons, a name in print."""

    def __str__(self):
        return self.name

    def __format__(self, spec):
        return format(self.name, spec)


class Status(_Named):
    """Whether an order has a store."""

    ASSIGNED = STATUS_ASSIGNED
    UNASSIGNED = STATUS_UNASSIGNED


class Reason(_Named):
    """Why an order has no store."""

    NONE = REASON_NONE
    NO_STORES = REASON_NO_STORES
    NO_STORE_IN_RADIUS = REASON_NO_STORE_IN_RADIUS
    NO_STOCK_IN_RADIUS = REASON_NO_STOCK_IN_RADIUS
    NO_STOCK = REASON_NO_STOCK
    TOO_MANY_ATTEMPTS = REASON_TOO_MANY_ATTEMPTS
    NO_STORE_ELIGIBLE = REASON_NO_STORE_ELIGIBLE
    CANNOT_BE_PROMISED = REASON_CANNOT_BE_PROMISED
    PICKUP_STORE = REASON_PICKUP_STORE
    NO_SUPPLY = REASON_NO_SUPPLY
    GROUP_NOT_WHOLE = REASON_GROUP_NOT_WHOLE


# -- ROUTING -----------------------------------------------------------------------------------

cdef Verdict route_one(const Leaves* leaves, Shelves* shelves, double lat, double lng,
                       const Basket* basket, double radius_m,
                       const uint64_t* allowed, Quantity* before) noexcept nogil:
    """Choose and reserve for one order. Degrees in range, the basket valid."""
    cdef Plan plan
    make_plan(&plan, leaves, lat, lng)
    return settle(
        leaves, shelves, &plan, basket, radius_m, allowed,
        find(leaves, shelves, &plan, basket, allowed, radius_m, False), before,
    )


cdef void route_many(const Leaves* leaves, Shelves* shelves, const Columns* orders,
                     double radius_m, Verdict* verdicts, Quantity* before) noexcept nogil:
    """As `route_one` for each order in turn."""
    cdef const int64_t* offsets = orders.offsets
    cdef Plan plans[RING]
    cdef Basket baskets[RING]
    cdef Search searches[RING]
    cdef int64_t step, order
    cdef int place
    for step in range(orders.count + 3 * AHEAD):
        # Settling comes first: it frees the place in the ring that the new plan takes.
        order = step - 3 * AHEAD
        if order >= 0:
            place = order & (RING - 1)
            verdicts[order] = settle(
                leaves, shelves, &plans[place], &baskets[place], radius_m, NULL,
                searches[place].best,
                NULL if before == NULL else before + offsets[order],
            )
        if step + AHEAD < orders.count:
            prefetch_shelves(shelves, orders, step + AHEAD)
        if step < orders.count:
            place = step & (RING - 1)
            baskets[place].skus = orders.skus + offsets[step]
            baskets[place].quantities = orders.quantities + offsets[step]
            baskets[place].amounts = NULL  # the search needs none
            baskets[place].line_count = offsets[step + 1] - offsets[step]
            make_plan(&plans[place], leaves, orders.lat[step], orders.lng[step])
            prefetch_words(leaves, shelves, &plans[place], &baskets[place])
        order = step - AHEAD
        if 0 <= order < orders.count:
            place = order & (RING - 1)
            set_search(&searches[place], leaves, shelves, &plans[place], &baskets[place], NULL,
                       radius_m, False)
            search_nearest(&searches[place])
            prefetch_rest(&searches[place])
        order = step - 2 * AHEAD
        if 0 <= order < orders.count:
            place = order & (RING - 1)
            search_rest(&searches[place])
            prefetch_found(leaves, shelves, searches[place].best, &baskets[place])


cdef Verdict settle(const Leaves* leaves, Shelves* shelves, const Plan* plan,
                    const Basket* basket, double radius_m, const uint64_t* allowed,
                    int32_t guess, Quantity* before) noexcept nogil:
    """Reserve at the guessed store; if it cannot fill the order, search exactly first."""
    cdef Verdict verdict
    verdict.step = verdict.shipments = 0
    if guess != NOT_FOUND and not take(shelves, guess, basket, before, NULL):
        guess = find(leaves, shelves, plan, basket, allowed, radius_m, True)
        if guess != NOT_FOUND:
            take(shelves, guess, basket, before, NULL)
    if guess == NOT_FOUND:
        verdict.store = NO_STORE
        verdict.distance_m = NAN
        verdict.status = STATUS_UNASSIGNED
        verdict.reason = reason_for(leaves, shelves, plan, basket, radius_m, allowed)
        return verdict
    verdict.store = leaves.store_at[guess]
    verdict.distance_m = distance_between_m(&plan.place, leaves.places + guess)
    verdict.status = STATUS_ASSIGNED
    verdict.reason = REASON_NONE
    return verdict


cdef uint8_t reason_for(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, double radius_m,
                        const uint64_t* allowed) noexcept nogil:
    """Why nothing was found: asked only then, so it may take its time."""
    cdef Basket nothing
    nothing.line_count = 0
    if find(leaves, shelves, plan, &nothing, allowed, INFINITY, False) == NOT_FOUND:
        return REASON_NO_STORES
    if radius_m < INFINITY:
        if find(leaves, shelves, plan, &nothing, allowed, radius_m, False) == NOT_FOUND:
            return REASON_NO_STORE_IN_RADIUS
        if find(leaves, shelves, plan, basket, allowed, INFINITY, True) != NOT_FOUND:
            return REASON_NO_STOCK_IN_RADIUS
    return REASON_NO_STOCK


# -- FROM PYTHON -------------------------------------------------------------------------------

def route(Stock stock, Batch batch, double radius_m):
    """Choose and reserve for every order of the batch, as if one after another.

    Returns one row of VERDICT_DTYPE an order.
    """
    verdicts = np.empty(max(1, len(batch)), dtype=VERDICT_DTYPE)
    cdef Verdict[::1] out = verdicts
    with nogil:
        route_many(&stock.network.layout.leaves, &stock.shelves, &batch.columns, radius_m, &out[0],
                   NULL)
    return verdicts[:len(batch)]


def nearest(Stock stock, double lat, double lng, const int32_t[::1] skus,
            const int32_t[::1] quantities, double radius_m, Py_ssize_t limit):
    """The nearest stores that have every line, as a list of (store code, metres), nearest first.

    Takes valid degrees and a valid basket as codes; reserves nothing.
    """
    cdef const Leaves* leaves = &stock.network.layout.leaves
    cdef uint64_t[::1] allowed = np.empty(max(1, leaves.leaf_count), dtype=np.uint64)
    cdef int32_t leaf, ordinal
    cdef Plan plan
    cdef Basket basket
    basket.line_count = skus.shape[0]
    if basket.line_count:
        basket.skus, basket.quantities = &skus[0], &quantities[0]
    for leaf in range(leaves.leaf_count):
        allowed[leaf] = leaves.open[leaf]
    make_plan(&plan, leaves, lat, lng)
    found = []
    while len(found) < limit:
        with nogil:
            ordinal = find(leaves, &stock.shelves, &plan, &basket, &allowed[0], radius_m, True)
        if ordinal == NOT_FOUND:
            break
        allowed[ordinal >> 6] &= ~((<uint64_t>1) << (ordinal & 63))
        found.append((
            leaves.store_at[ordinal], distance_between_m(&plan.place, leaves.places + ordinal)
        ))
    return found
