"""The search: for an order, the nearest allowed store that has every line; under terms, the best.

Stores are asked 64 at a time: a leaf's candidates are the AND of its `allowed` word and of the
available words of the order's lines. The leaf that is nearest to the order is visited first, and
nearly always sets a limit that leaves only a few others: they are noted, and visited nearest first, by
the lower bound of the distance to their box. Where they are not few, summaries say which of them have
the lines at all. It ends when no box can hold anything nearer than the best store found, or, under
terms, anything near enough to be better (`terms.reach_m`).

Two things keep this exact. The bitmaps are optimistic (a bit says "at least one"): a store wins
only after `shelves.covers`, or `terms.offers_all`, has seen its counts. And sketches only sort: two
stores closer to a tie than `chord_margin` are compared by `distance_between_m`, under terms any two
are, and an exact tie goes to the smaller id.
"""
from libc.math cimport INFINITY, sqrtf
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.areas cimport AreaIndex, prefetch_areas
from fendan.engine.geo cimport (
    EARTH_RADIUS_M, Place, Sketch, chord_margin, chord_squared_above, chord_squared_of,
    distance_between_m,
)
from fendan.engine.network cimport (
    LEAF_FLOATS, LEAVES_PER_BRANCH, STORES_PER_LEAF, Leaves, id_is_smaller,
)
from fendan.engine.plan cimport (
    NOT_FOUND, NUMBER, Plan, boxes_in_use, branch_keys_of, groups_of, leaf_keys_of, least_waiting,
    real_boxes,
)
from fendan.engine.room cimport prefetch
from fendan.engine.shelves cimport (
    Basket, Shelves, available, covers, line_at, lowest_bit, popcount, quantity, summary,
)
from fendan.engine.terms cimport (
    Bid, Standing, Terms, compare, counts_suffice, fit_words, may_have, offers_all, rank, reach_m,
)

cdef enum:
    TOGETHER = 3                # leaves whose words are waited for at once

cdef extern from "near.h" nogil:
    void store_keys "fendan_store_keys"(const float* sketches, float x, float y, float z,
                                        int32_t* keys) noexcept
    uint64_t keys_within "fendan_keys_within"(const int32_t* keys, size_t count,
                                              int32_t limit) noexcept
    int32_t key_of "fendan_key_of"(float squared) noexcept
    float squared_in "fendan_squared_in"(int32_t key) noexcept


cdef int32_t find(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                  const Basket* basket, const uint64_t* allowed, double radius_m,
                  bint verify) noexcept nogil:
    """The ordinal of the nearest allowed store that has every line, or NOT_FOUND.

    `allowed` NULL means every store that takes orders. Without `verify` only the bitmaps are asked:
    the store found is at least as near as the right one, and is the right one if it covers the
    basket.
    """
    cdef Search search
    set_search(&search, leaves, shelves, plan, basket, allowed, radius_m, verify)
    search_all(&search)
    return search.best


cdef void set_search(Search* search, const Leaves* leaves, const Shelves* shelves,
                            const Plan* plan, const Basket* basket, const uint64_t* allowed,
                            double radius_m, bint verify) noexcept nogil:
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
    search.without = NOT_FOUND


cdef int32_t find_under(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                        const Basket* basket, Terms* terms, const uint64_t* allowed,
                        Bid* best) noexcept nogil:
    cdef Search search
    set_search(&search, leaves, shelves, plan, basket, allowed, terms.step.radius_m, True)
    search.terms = terms
    search_all(&search)
    best[0] = search.bid
    return search.best


cdef void search_all(Search* search) noexcept nogil:
    """Every branch, the plan's own first, as far as the radius and what is found allow."""
    search_nearest(search)
    note_rest(search)
    search_rest(search)


cdef void search_nearest(Search* search) noexcept nogil:
    """The nearest leaf only: it nearly always sets a limit that leaves only a few others."""
    search.sure = INFINITY
    search.limit = INFINITY
    search.best = search.second.ordinal = NOT_FOUND
    search.best_squared = INFINITY
    search.rest_count = 0
    if search.radius_m < INFINITY and search.terms != NULL:
        search.limit = chord_squared_above(search.radius_m)  # the distance itself is asked, too
        search.limit += chord_margin(search.limit)
    elif search.radius_m < INFINITY:
        search.limit = chord_squared_of(search.radius_m)
        search.sure = search.limit - chord_margin(search.limit)
        search.limit += chord_margin(search.limit)
    if search.leaves.branch_count == 0:
        return
    if search.plan.least <= key_of(search.limit):
        visit(search, search.plan.leaf)


cdef void note_rest(Search* search) noexcept nogil:
    """The leaves that may still hold something better, if they are few."""
    cdef const Plan* plan = search.plan
    cdef int32_t leaf_keys[64]
    cdef uint64_t branches
    cdef int32_t branch
    if search.leaves.branch_count == 0:
        return
    note_leaves(search, plan.branch, plan.keys.leaves, others_of(plan.least))
    if search.leaves.branch_count == 1 or search.rest_count == MANY:
        return
    if groups_of(search.leaves.branch_count) > 1:
        search.rest_count = MANY
        return
    branches = (keys_within(plan.keys.branches, boxes_in_use(search.leaves.branch_count, 0),
                            key_of(search.limit))
                & others_of(plan.branch) & real_boxes(search.leaves.branch_count, 0))
    while branches and search.rest_count < MANY:
        branch = lowest_bit(branches)
        branches &= branches - 1
        leaf_keys_of(search.leaves, branch, plan, leaf_keys)
        note_leaves(search, branch, leaf_keys, ~(<uint64_t>0))


cdef inline uint64_t others_of(int32_t number) noexcept nogil:
    """All bits but one; above six of them, `number` is a key."""
    return ~((<uint64_t>1) << (number & NUMBER))


cdef inline void note_leaves(Search* search, int32_t branch, const int32_t* keys,
                             uint64_t leaves) noexcept nogil:
    cdef int32_t leaf
    leaves &= real_boxes(search.leaves.leaf_count, branch) & keys_within(
        keys, boxes_in_use(search.leaves.leaf_count, branch), key_of(search.limit))
    if search.rest_count + popcount(leaves) > FEW_LEAVES:
        search.rest_count = MANY
        return
    while leaves:
        leaf = lowest_bit(leaves)
        leaves &= leaves - 1
        search.rest[search.rest_count].key = keys[leaf]
        search.rest[search.rest_count].leaf = branch * LEAVES_PER_BRANCH + leaf
        search.rest_count += 1


cdef void prefetch_rest(const Search* search) noexcept nogil:
    """What the rest of a search reads first."""
    cdef int64_t line
    cdef int32_t place
    for line in range(search.basket.line_count):
        if search.rest_count == MANY:
            prefetch(summary(search.shelves, search.basket.skus[line]) + search.plan.branch)
            continue
        for place in range(search.rest_count):
            prefetch(line_at(search.shelves, search.basket.skus[line], search.rest[place].leaf))


cdef void search_rest(Search* search) noexcept nogil:
    """What `search_nearest` has left, nearest first."""
    cdef int32_t place, least
    if search.rest_count < MANY:
        while search.rest_count:
            least = 0
            for place in range(1, search.rest_count):
                if search.rest[place].key < search.rest[least].key:
                    least = place
            if search.rest[least].key > key_of(search.limit):
                return
            visit(search, search.rest[least].leaf)
            search.rest_count -= 1
            search.rest[least] = search.rest[search.rest_count]
        return
    visit_branch(search, search.plan.branch, search.plan.keys.leaves, others_of(search.plan.least))
    if search.leaves.branch_count > 1:
        search_other_branches(search)


cdef void search_other_branches(Search* search) noexcept nogil:
    """All branches but the plan's own, nearest first, as far as the limit."""
    cdef const Leaves* leaves = search.leaves
    cdef const Plan* plan = search.plan
    cdef const int32_t* branch_keys = &plan.keys.branches[0]
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
            waiting &= others_of(plan.branch)
        while waiting:
            least = least_waiting(branch_keys, waiting)
            if least > key_of(search.limit):
                break
            waiting &= others_of(least)
            branch = group * 64 + (least & NUMBER)
            leaf_keys_of(leaves, branch, plan, leaf_keys)
            visit_branch(search, branch, leaf_keys, ~(<uint64_t>0))


cdef inline uint64_t with_lines(const Search* search, int32_t branch) noexcept nogil:
    """The branch's leaves in which each line can be had somewhere."""
    cdef uint64_t leaves = real_boxes(search.leaves.leaf_count, branch)
    cdef int64_t line
    for line in range(search.basket.line_count):
        leaves &= summary(search.shelves, search.basket.skus[line])[branch]
    return leaves


cdef void visit_branch(Search* search, int32_t branch, const int32_t* keys,
                       uint64_t leaves) noexcept nogil:
    """Visit those of these leaves that have the lines, nearest first, as far as the limit.

    Some are fetched at once.
    """
    cdef uint64_t waiting = (leaves & with_lines(search, branch)
                             & keys_within(keys, boxes_in_use(search.leaves.leaf_count, branch),
                                           key_of(search.limit)))
    cdef int32_t first = branch * LEAVES_PER_BRANCH
    cdef int32_t ahead[TOGETHER]
    cdef int32_t place, count
    cdef int64_t line
    while waiting:
        count = 0
        while waiting and count < TOGETHER:
            ahead[count] = least_waiting(keys, waiting)
            waiting &= others_of(ahead[count])
            for line in range(search.basket.line_count):
                prefetch(line_at(search.shelves, search.basket.skus[line],
                                 first + (ahead[count] & NUMBER)))
            count += 1
        for place in range(count):
            if ahead[place] > key_of(search.limit):
                return
            visit(search, first + (ahead[place] & NUMBER))


cdef void visit(Search* search, int32_t leaf) noexcept nogil:
    """Consider the leaf's candidates, nearest first, as far as the limit."""
    cdef const Sketch* at = &search.plan.sketch
    cdef uint64_t candidates = search.allowed[leaf]
    cdef int32_t keys[STORES_PER_LEAF]
    cdef int32_t least
    cdef int64_t line
    for line in range(search.basket.line_count):
        candidates &= available(search.shelves, search.basket.skus[line], leaf)[0]
    if search.without >> 6 == leaf:
        candidates &= others_of(search.without)
    if search.terms != NULL:
        candidates &= fit_words(search.terms, search.leaves, leaf)
        if search.best == NOT_FOUND:  # or else few of them are near enough
            prefetch_stores(search, leaf, candidates)
    if not candidates:
        return
    store_keys(search.leaves.sketches + leaf * LEAF_FLOATS, at.x, at.y, at.z, keys)
    if search.verify:
        prefetch_counts(search, leaf, candidates & keys_within(
            keys, STORES_PER_LEAF, key_of(search.limit)))
    while candidates:
        least = least_waiting(keys, candidates)
        if least > key_of(search.limit):
            return
        candidates &= others_of(least)
        if search.terms != NULL:
            consider_under(search, leaf * STORES_PER_LEAF + (least & NUMBER), squared_in(least))
        else:
            consider(search, leaf * STORES_PER_LEAF + (least & NUMBER), squared_in(least))


cdef inline void prefetch_stores(const Search* search, int32_t leaf,
                                 uint64_t candidates) noexcept nogil:
    """What is asked of every candidate, while the leaf's sketches are looked at."""
    cdef const Leaves* leaves = search.leaves
    cdef const Standing* standing = search.terms.standing
    cdef const AreaIndex* areas = standing.areas
    cdef int32_t ordinal, store
    while candidates:
        ordinal = leaf * STORES_PER_LEAF + lowest_bit(candidates)
        candidates &= candidates - 1
        store = leaves.store_at[ordinal]
        prefetch(leaves.places + ordinal)
        prefetch(standing.loads + store)
        prefetch(standing.stores + store)
        if areas != NULL and search.verify:
            prefetch(areas.reaches + store)


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


cdef inline void prefetch_areas_of(const Search* search, int32_t store,
                                   float squared) noexcept nogil:
    """What a candidate is asked for, while its distance is computed; a guess only if it stands."""
    cdef const AreaIndex* areas = search.terms.standing.areas
    if areas == NULL:
        return
    if search.verify:
        prefetch_areas(areas, store, EARTH_RADIUS_M * sqrtf(squared))
    else:
        prefetch(areas.reaches + store)


cdef void consider_under(Search* search, int32_t ordinal, float squared) noexcept nogil:
    """As `consider` under terms: counts that were fetched for the whole leaf are asked first, since
    they rule out the most; what expires, which needs the distance, last.
    """
    cdef const Leaves* leaves = search.leaves
    cdef Terms* terms = search.terms
    cdef Bid bid
    cdef double reach
    bid.ordinal = ordinal
    bid.store = leaves.store_at[ordinal]
    if search.verify and not counts_suffice(terms, search.shelves, &bid, search.basket):
        return
    prefetch_areas_of(search, bid.store, squared)
    bid.distance_m = distance_between_m(&search.plan.place, leaves.places + ordinal)
    if bid.distance_m > search.radius_m:
        return
    if search.best != NOT_FOUND:
        rank(terms, search.shelves, search.basket, &bid)
        if not is_before(search, &bid, &search.bid):
            note_second(search, &bid)
            return
    if search.verify and not may_have(terms, &search.plan.place, bid.store, bid.distance_m):
        return
    if search.best == NOT_FOUND:  # worth knowing only now
        rank(terms, search.shelves, search.basket, &bid)
    if search.verify and not offers_all(terms, search.shelves, &bid, search.basket):
        return
    if search.best != NOT_FOUND:
        note_second(search, &search.bid)
    search.best = ordinal
    search.bid = bid
    reach = reach_m(terms, &bid)
    if reach < search.radius_m:
        squared = chord_squared_above(reach)
        search.limit = min(search.limit, squared + chord_margin(squared))


cdef inline bint is_before(const Search* search, const Bid* one, const Bid* other) noexcept nogil:
    cdef int order = compare(search.terms, one, other)
    return order < 0 or (order == 0 and id_is_smaller(search.leaves, one.store, other.store))


cdef inline void note_second(Search* search, const Bid* bid) noexcept nogil:
    """Keep the best of those that lost to the best."""
    if search.second.ordinal == NOT_FOUND or is_before(search, bid, &search.second):
        search.second = bid[0]


cdef void search_second(Search* search) noexcept nogil:
    """The one that lost to the best alone is next, if nothing better than it was left out."""
    cdef double reach = reach_m(search.terms, &search.second)
    search.without = search.best
    if search.second.ordinal != NOT_FOUND and reach <= reach_m(search.terms, &search.bid):
        search.best, search.bid = search.second.ordinal, search.second
    else:
        search_all(search)


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
