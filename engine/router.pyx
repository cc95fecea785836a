"""The search: for an order, the nearest allowed store that has every line; under terms, the best.

Stores are asked 64 at a time: a leaf's candidates are the AND of its `allowed` word and of the
available words of the order's lines. Leaves are visited nearest first, by the lower bound of the
distance to their box, until no box can hold anything nearer than the best store found, or, under
terms, anything near enough to be better (`terms.reach_m`).

Two things keep this exact. The bitmaps are optimistic (a bit says "at least one"): a store wins
only after `shelves.covers`, or `terms.offers_all`, has seen its counts. And sketches only sort: two
stores closer to a tie than `chord_margin` are compared by `distance_between_m`, under terms any two
are, and an exact tie goes to the smaller id.

In a batch, four orders are in work at a time, so that memory is fetched before it is needed:

    order i + 3 * AHEAD   plan      where it is, its nearest leaf; prefetch that leaf's words
    order i + 2 * AHEAD   guess     search by bitmaps alone; prefetch the winner's place and ranks
    order i + AHEAD       locate    find the winner's counts by rank; prefetch them
    order i               settle    see the counts, reserve; if they do not suffice, search exactly

Orders settle strictly in order. A guess made earlier is still right at settling if the store still
covers the order: within a batch stock only shrinks, so nothing nearer can have appeared.
"""
from libc.math cimport INFINITY, NAN, sqrtf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.areas cimport AreaIndex, prefetch_areas
from fendan.engine.batch cimport Batch, Columns
from fendan.engine.geo cimport (
    EARTH_RADIUS_M, Place, Sketch, chord_margin, chord_squared_of, distance_between_m,
)
from fendan.engine.network cimport (
    LEAF_FLOATS, LEAVES_PER_BRANCH, NO_STORE, STORES_PER_LEAF, Leaves, id_is_smaller,
)
from fendan.engine.plan cimport (
    AHEAD, NOT_FOUND, NUMBER, RING, Plan, branch_keys_of, groups_of, leaf_keys_of, least_waiting,
    make_plan, prefetch_quantities, prefetch_ranks, prefetch_shelves, prefetch_words,
    real_boxes,
)
from fendan.engine.room cimport prefetch
from fendan.engine.shelves cimport (
    Basket, Quantity, Shelves, available, base, covers, listed, lowest_bit,
    quantity, summary, take,
)
from fendan.engine.stock cimport Stock
from fendan.engine.terms cimport (
    Bid, Standing, Terms, compare, counts_suffice, fit_words, may_have, offers_all, rank, reach_m,
)

from enum import IntEnum

import numpy as np

cdef extern from "near.h" nogil:
    void store_keys "fendan_store_keys"(const float* sketches, float x, float y, float z,
                                        int32_t* keys) noexcept
    uint64_t keys_within "fendan_keys_within"(const int32_t* keys, int32_t limit) noexcept
    int32_t key_of "fendan_key_of"(float squared) noexcept
    float squared_in "fendan_squared_in"(int32_t key) noexcept


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


# -- SEARCH ------------------------------------------------------------------------------------

cdef int32_t find(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                  const Basket* basket, const uint64_t* allowed, double radius_m,
                  bint verify) noexcept nogil:
    """The ordinal of the nearest allowed store that has every line, or NOT_FOUND.

    `allowed` NULL means every store that takes orders. Without `verify` only the bitmaps are asked:
    the store found is at least as near as the right one, and is the right one if it covers the
    basket.
    """
    cdef Search search
    search.leaves = leaves
    search.shelves = shelves
    search.plan = plan
    search.basket = basket
    search.allowed = leaves.open
    if allowed != NULL:
        search.allowed = allowed
    search.verify = verify
    search.terms = NULL
    search.radius_m = radius_m
    search_all(&search)
    return search.best


cdef int32_t find_under(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, Terms* terms, const uint64_t* allowed, bint verify,
                        Bid* best) noexcept nogil:
    cdef Search search
    search.leaves = leaves
    search.shelves = shelves
    search.plan = plan
    search.basket = basket
    search.allowed = allowed
    search.verify = verify
    search.terms = terms
    search.radius_m = terms.step.radius_m
    search_all(&search)
    best[0] = search.bid
    return search.best


cdef void search_all(Search* search) noexcept nogil:
    """Every branch, the plan's own first, as far as the radius and what is found allow."""
    search.sure = INFINITY
    search.limit = INFINITY
    search.best = NOT_FOUND
    search.best_squared = INFINITY
    if search.radius_m < INFINITY:
        search.limit = chord_squared_of(search.radius_m)
        search.sure = search.limit - chord_margin(search.limit)
        search.limit += chord_margin(search.limit)
    if search.leaves.branch_count:
        search_branch(search, search.plan.branch, search.plan.leaf_keys, search.plan.least)
    if search.leaves.branch_count > 1:
        search_other_branches(search)


cdef void search_other_branches(Search* search) noexcept nogil:
    """All branches but the plan's own, nearest first, as far as the limit."""
    cdef const Leaves* leaves = search.leaves
    cdef const Plan* plan = search.plan
    cdef const int32_t* branch_keys = &plan.branch_keys[0]
    cdef int32_t keys[64]
    cdef int32_t leaf_keys[64]
    cdef uint64_t waiting
    cdef int32_t group, branch, least
    for group in range(groups_of(leaves.branch_count)):
        if group:
            branch_keys_of(leaves, group, plan, keys)
            branch_keys = keys
        waiting = real_boxes(leaves.branch_count, group)
        if plan.branch // 64 == group:
            waiting &= ~((<uint64_t>1) << (plan.branch & NUMBER))
        while waiting:
            least = least_waiting(branch_keys, waiting)
            if least > key_of(search.limit):
                break
            waiting &= ~((<uint64_t>1) << (least & NUMBER))
            branch = group * 64 + (least & NUMBER)
            least = leaf_keys_of(leaves, branch, plan, leaf_keys)
            search_branch(search, branch, leaf_keys, least)


cdef void search_branch(Search* search, int32_t branch, const int32_t* keys,
                        int32_t least) noexcept nogil:
    """Visit the branch's leaves that have each line somewhere, nearest first.

    `keys` are the leaves' and `least` the least of them, whether or not it has the lines.
    """
    cdef int32_t first = branch * LEAVES_PER_BRANCH
    cdef uint64_t waiting = real_boxes(search.leaves.leaf_count, branch)
    cdef int64_t line
    for line in range(search.basket.line_count):
        waiting &= summary(search.shelves, search.basket.skus[line])[branch]
    if not waiting:
        return
    # The nearest leaf first: it nearly always sets a limit that leaves only a few others.
    if (waiting >> (least & NUMBER)) & 1 and least <= key_of(search.limit):
        waiting &= ~((<uint64_t>1) << (least & NUMBER))
        visit(search, first + (least & NUMBER))
    waiting &= keys_within(keys, key_of(search.limit))
    while waiting:
        least = least_waiting(keys, waiting)
        if least > key_of(search.limit):
            return
        waiting &= ~((<uint64_t>1) << (least & NUMBER))
        visit(search, first + (least & NUMBER))


cdef void visit(Search* search, int32_t leaf) noexcept nogil:
    """Consider the leaf's candidates, nearest first, as far as the limit."""
    cdef const Sketch* at = &search.plan.sketch
    cdef uint64_t candidates = search.allowed[leaf]
    cdef int32_t keys[STORES_PER_LEAF]
    cdef int32_t least
    cdef int64_t line
    for line in range(search.basket.line_count):
        candidates &= available(search.shelves, search.basket.skus[line])[leaf]
    if search.terms != NULL:
        candidates &= fit_words(search.terms, search.leaves, leaf)
        if search.best == NOT_FOUND:  # or else few of them are near enough
            prefetch_stores(search, leaf, candidates)
    if not candidates:
        return
    store_keys(search.leaves.sketches + leaf * LEAF_FLOATS, at.x, at.y, at.z, keys)
    if search.verify:
        prefetch_counts(search, leaf, candidates & keys_within(keys, key_of(search.limit)))
    while candidates:
        least = least_waiting(keys, candidates)
        if least > key_of(search.limit):
            return
        candidates &= ~((<uint64_t>1) << (least & NUMBER))
        if search.terms != NULL:
            consider_under(search, leaf * STORES_PER_LEAF + (least & NUMBER), squared_in(least))
        else:
            consider(search, leaf * STORES_PER_LEAF + (least & NUMBER), squared_in(least))


cdef inline void prefetch_stores(const Search* search, int32_t leaf,
                                 uint64_t candidates) noexcept nogil:
    """What is asked of every candidate, while the leaf's sketches are looked at."""
    cdef const Leaves* leaves = search.leaves
    cdef const AreaIndex* areas = search.terms.standing.areas
    cdef int32_t ordinal
    cdef int64_t line
    if candidates and search.verify:
        for line in range(search.basket.line_count):
            prefetch(listed(search.shelves, search.basket.skus[line]) + leaf)
            prefetch(base(search.shelves, search.basket.skus[line]) + leaf)
    while candidates:
        ordinal = leaf * STORES_PER_LEAF + lowest_bit(candidates)
        candidates &= candidates - 1
        prefetch(leaves.places + ordinal)
        if areas != NULL:
            prefetch(areas.reaches + leaves.store_at[ordinal])


cdef void prefetch_counts(const Search* search, int32_t leaf, uint64_t candidates) noexcept nogil:
    """All that may be asked, at once: one after another they would be waited for in turn."""
    cdef const Shelves* shelves = search.shelves
    cdef int32_t ordinal
    cdef int64_t line
    while candidates:
        ordinal = leaf * STORES_PER_LEAF + lowest_bit(candidates)
        candidates &= candidates - 1
        for line in range(search.basket.line_count):
            prefetch(quantity(shelves, search.basket.skus[line], ordinal))


cdef inline void prefetch_values(const Terms* terms, int32_t store, float squared) noexcept nogil:
    """What a candidate is asked for, while its distance is computed."""
    cdef const Standing* standing = terms.standing
    prefetch(standing.most_open + store)
    prefetch(standing.open_orders + store)
    prefetch(standing.priority + store)
    if standing.areas != NULL:
        prefetch_areas(standing.areas, store, EARTH_RADIUS_M * sqrtf(squared))


cdef void consider_under(Search* search, int32_t ordinal, float squared) noexcept nogil:
    """As `consider` under terms: counts that were fetched for the whole leaf are asked first, since
    they rule out the most; what expires, which needs the distance, last.
    """
    cdef const Leaves* leaves = search.leaves
    cdef Terms* terms = search.terms
    cdef Bid bid
    cdef int order
    cdef double reach
    bid.ordinal = ordinal
    bid.store = leaves.store_at[ordinal]
    if search.verify and not counts_suffice(terms, search.shelves, &bid, search.basket):
        return
    prefetch_values(terms, bid.store, squared)
    bid.distance_m = distance_between_m(&search.plan.place, leaves.places + ordinal)
    if bid.distance_m > search.radius_m:
        return
    if search.best != NOT_FOUND:
        rank(terms, search.shelves, search.basket, &bid)
        order = compare(terms, &bid, &search.bid)
        if order > 0 or (order == 0 and id_is_smaller(leaves, search.bid.store, bid.store)):
            return
    if not may_have(terms, &search.plan.place, bid.store, bid.distance_m):
        return
    if search.best == NOT_FOUND:  # worth knowing only now
        rank(terms, search.shelves, search.basket, &bid)
    if search.verify and not offers_all(terms, search.shelves, &bid, search.basket):
        return
    search.best = ordinal
    search.bid = bid
    reach = reach_m(terms, &bid)
    if reach < search.radius_m:
        squared = chord_squared_of(reach)
        search.limit = min(search.limit, squared + chord_margin(squared))


cdef void consider(Search* search, int32_t ordinal, float squared) noexcept nogil:
    """Make the store the best so far, if it has the stock and wins the comparison."""
    cdef const Leaves* leaves = search.leaves
    cdef const Place* place = &search.plan.place
    cdef double distance_m, best_m
    if search.verify and not covers(search.shelves, ordinal, search.basket):
        return
    if squared > search.sure:
        if distance_between_m(place, leaves.places + ordinal) > search.radius_m:
            return
    if search.best != NOT_FOUND and squared >= search.best_squared - chord_margin(squared):
        distance_m = distance_between_m(place, leaves.places + ordinal)
        best_m = distance_between_m(place, leaves.places + search.best)
        if distance_m > best_m or (
            distance_m == best_m
            and id_is_smaller(leaves, leaves.store_at[search.best], leaves.store_at[ordinal])
        ):
            return
    search.best = ordinal
    search.best_squared = squared
    search.limit = squared + chord_margin(squared)


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
    cdef int32_t guesses[RING]
    cdef int64_t step, order
    cdef int place
    for step in range(orders.count + 3 * AHEAD):
        # Settling comes first: it frees the place in the ring that the new plan takes.
        order = step - 3 * AHEAD
        if order >= 0:
            place = order & (RING - 1)
            verdicts[order] = settle(
                leaves, shelves, &plans[place], &baskets[place], radius_m, NULL, guesses[place],
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
            guesses[place] = find(
                leaves, shelves, &plans[place], &baskets[place], NULL, radius_m, False
            )
            prefetch_ranks(leaves, shelves, guesses[place], &baskets[place])
        order = step - 2 * AHEAD
        if 0 <= order < orders.count:
            place = order & (RING - 1)
            prefetch_quantities(shelves, guesses[place], &baskets[place])


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
