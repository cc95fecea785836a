"""Choosing a store and reserving there, for one order or for a batch; see `search`.

A batch goes through four stages, some orders at a time, so that memory is fetched before it is needed:

    orders 48 .. 63   plan      where they are, their nearest leaves; prefetch those leaves' words
    orders 32 .. 47   begin     search those by bitmaps alone; prefetch the words of the others that
                                may hold something nearer: see `guess`
    orders 16 .. 31   end       search those; prefetch the winners' places and counts
    orders  0 .. 15   settle    see the counts, reserve; if they do not suffice, take the next ones

Orders settle strictly in order. A guess made earlier is still right at settling if the store still
covers the order: within a batch stock only shrinks, so nothing nearer can have appeared.
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.batch cimport Batch, Columns
from fendan.engine.geo cimport distance_between_m, set_place
from fendan.engine.guess cimport (
    Guess, Reach, begin_guess, end_guess, guess_again, look_further, narrow_guess, prefetch_rest,
    set_reach,
)
from fendan.engine.network cimport NO_STORE, Leaves
from fendan.engine.plan cimport (
    NOT_FOUND, Keys, Plan, end_of, find_branch, find_leaf, make_keys, make_plan, prefetch_found,
    prefetch_shelves, prefetch_words,
)
from fendan.engine.search cimport find
from fendan.engine.shelves cimport FEW_LINES, Basket, Quantity, Shelves, take, take_found
from fendan.engine.stock cimport Stock

from enum import IntEnum

import numpy as np

cdef enum:
    TOGETHER = 16               # orders that go through a stage side by side
    RING = 4 * TOGETHER         # as many are under way


# An order between two stages.
cdef struct Order:
    Plan plan
    Basket basket
    Guess guess
    int32_t found               # an ordinal, or NOT_FOUND
    Quantity* pairs[FEW_LINES]  # there, see plan.prefetch_found


# A batch under way.
cdef struct Belt:
    const Leaves* leaves
    Shelves* shelves
    const Columns* orders
    Verdict* verdicts
    Quantity* before            # or NULL
    Reach reach
    Order under_way[RING]       # by row
    Keys keys[2 * TOGETHER]     # by row; asked for in the next stage only


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
    cdef Keys keys
    cdef int32_t found
    make_plan(&plan, &keys, leaves, lat, lng)
    found = find(leaves, shelves, &plan, basket, allowed, radius_m, True)
    if found != NOT_FOUND:
        take(shelves, found, basket, before, NULL)
    return verdict_on(leaves, shelves, &plan, basket, radius_m, allowed, found)


cdef void route_many(const Leaves* leaves, Shelves* shelves, const Columns* orders,
                     double radius_m, Verdict* verdicts, Quantity* before) noexcept nogil:
    """As `route_one` for each order in turn."""
    cdef Belt belt
    cdef int64_t first = 0
    belt.leaves, belt.shelves, belt.orders = leaves, shelves, orders
    belt.verdicts, belt.before = verdicts, before
    set_reach(&belt.reach, radius_m)
    while first < orders.count + 3 * TOGETHER:
        # Settling comes first: it frees the places in the ring that the new plans take.
        settle_some(&belt, first - 3 * TOGETHER)
        plan_some(&belt, first)
        begin_some(&belt, first - TOGETHER)
        end_some(&belt, first - 2 * TOGETHER)
        first += TOGETHER


# Each stage is a few short loops: an order's own steps wait for one another, and while they do, a
# processor goes on with the orders behind it, if no more lies between than it can look ahead.

cdef void plan_some(Belt* belt, int64_t first) noexcept nogil:
    cdef const Columns* orders = belt.orders
    cdef Order* order
    cdef int64_t row, end = end_of(first, TOGETHER, belt.orders.count)
    for row in range(end, end_of(first + TOGETHER, TOGETHER, orders.count)):
        prefetch_shelves(belt.shelves, orders, row)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        order.basket.skus = orders.skus + orders.offsets[row]
        order.basket.quantities = orders.quantities + orders.offsets[row]
        order.basket.amounts = NULL  # the search needs none
        order.basket.line_count = orders.offsets[row + 1] - orders.offsets[row]
        set_place(&order.plan.place, &order.plan.sketch, orders.lat[row], orders.lng[row])
    for row in range(first, end):
        find_branch(&belt.under_way[row % RING].plan, &belt.keys[row % (2 * TOGETHER)], belt.leaves)
    for row in range(first, end):
        find_leaf(&belt.under_way[row % RING].plan, belt.leaves)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        prefetch_words(belt.leaves, belt.shelves, &order.plan, &order.basket)


cdef void begin_some(Belt* belt, int64_t first) noexcept nogil:
    cdef Order* order
    cdef int64_t row, end = end_of(first, TOGETHER, belt.orders.count)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        begin_guess(&order.guess, belt.leaves, belt.shelves, &order.plan, &order.basket, NOT_FOUND)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        narrow_guess(&order.guess, belt.leaves, belt.shelves, &order.plan, &order.basket,
                     &belt.reach)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        prefetch_rest(&order.guess, belt.shelves, &order.plan, &order.basket)


cdef void end_some(Belt* belt, int64_t first) noexcept nogil:
    cdef Order* order
    cdef int64_t row, end = end_of(first, TOGETHER, belt.orders.count)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        look_further(&order.guess, belt.leaves, belt.shelves, &order.plan, &order.basket)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        order.found = end_guess(&order.guess, belt.leaves, belt.shelves, &order.plan,
                                &order.basket, &belt.reach)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        prefetch_found(belt.leaves, belt.shelves, order.found, &order.basket, order.pairs)


cdef void settle_some(Belt* belt, int64_t first) noexcept nogil:
    """Reserve where it was guessed, or where counts do not suffice, elsewhere."""
    cdef Order* order
    cdef Quantity* before = NULL
    cdef Quantity** pairs
    cdef int64_t row, end = end_of(first, TOGETHER, belt.orders.count)
    for row in range(first, end):
        order = &belt.under_way[row % RING]
        pairs = order.pairs if order.basket.line_count <= FEW_LINES else NULL
        if belt.before != NULL:
            before = belt.before + belt.orders.offsets[row]
        if order.found == NOT_FOUND or not take_found(
                belt.shelves, order.found, &order.basket, pairs, before, NULL):
            belt.verdicts[row] = settle_elsewhere(belt, order, before)
        else:
            belt.verdicts[row] = assigned_to(belt.leaves, &order.plan, order.found)


cdef Verdict settle_elsewhere(Belt* belt, Order* order, Quantity* before) noexcept nogil:
    """At the next store by the bitmaps; if it does not suffice either, counts are searched."""
    cdef Keys keys
    make_keys(&order.plan, &keys, belt.leaves)  # the old ones are another's by now
    if order.found != NOT_FOUND:
        order.found = guess_again(&order.guess, belt.leaves, belt.shelves, &order.plan,
                                  &order.basket, &belt.reach, order.found)
    if order.found != NOT_FOUND and not take(
            belt.shelves, order.found, &order.basket, before, NULL):
        order.found = find(belt.leaves, belt.shelves, &order.plan, &order.basket, NULL,
                           belt.reach.radius_m, True)
        if order.found != NOT_FOUND:
            take(belt.shelves, order.found, &order.basket, before, NULL)
    return verdict_on(belt.leaves, belt.shelves, &order.plan, &order.basket, belt.reach.radius_m,
                      NULL, order.found)


cdef Verdict verdict_on(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, double radius_m, const uint64_t* allowed,
                        int32_t found) noexcept nogil:
    """What an order is told whose goods were reserved at `found`, or nowhere."""
    cdef Verdict verdict
    if found != NOT_FOUND:
        return assigned_to(leaves, plan, found)
    verdict.step = verdict.shipments = 0
    verdict.store = NO_STORE
    verdict.distance_m = NAN
    verdict.status = STATUS_UNASSIGNED
    verdict.reason = reason_for(leaves, shelves, plan, basket, radius_m, allowed)
    return verdict


cdef inline Verdict assigned_to(const Leaves* leaves, const Plan* plan, int32_t found) noexcept nogil:
    cdef Verdict verdict
    verdict.step = verdict.shipments = 0
    verdict.store = leaves.store_at[found]
    verdict.distance_m = distance_between_m(&plan.place, leaves.places + found)
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
    cdef Keys keys
    cdef Basket basket
    basket.line_count = skus.shape[0]
    if basket.line_count:
        basket.skus, basket.quantities = &skus[0], &quantities[0]
    for leaf in range(leaves.leaf_count):
        allowed[leaf] = leaves.open[leaf]
    make_plan(&plan, &keys, leaves, lat, lng)
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
