"""The nearest store by the bitmaps alone, for orders that come by the thousand.

    begin     the nearest leaf: its nearest candidate
    narrow    the limit that this sets: which other leaves may hold a nearer one
    further   those leaves, each one's nearest candidate
    end       a clear winner? that store; else `search.find`

What `search.find` decides store by store, this computes for whole leaves without asking anything:
a processor cannot foresee which of a few candidates is nearest, nor which leaf holds it, and every
time it is wrong costs as much as a leaf does. So every leaf that may hold something nearer is looked
at, in any order, and only what is rare is a branch: many leaves, a near tie, a store so far off that
only its distance says whether it is within the radius. Those are searched for.

Invariant: in `nearest` stands the least key of all leaves looked at, in `second` the least of those
that were not it; what is as near as `nearest` but for rounding is in `second`, or in its own leaf.
"""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fendan.engine.geo cimport Sketch, chord_margin, chord_squared_of
from fendan.engine.network cimport LEAF_FLOATS, LEAVES_PER_BRANCH, STORES_PER_LEAF, Leaves
from fendan.engine.plan cimport (
    NOT_FOUND, NUMBER, Keys, Plan, boxes_in_use, groups_of, leaf_keys_of, least_waiting, make_keys,
    real_boxes,
)
from fendan.engine.room cimport prefetch
from fendan.engine.search cimport FEW_LEAVES, find
from fendan.engine.shelves cimport (
    Basket, Shelves, available, line_at, lowest_bit, popcount, summary,
)

cdef enum:
    FETCHED = 3                 # leaves beside the nearest one; rarely more are looked at
    PATIENCE = 8                # times

cdef extern from "near.h" nogil:
    int32_t least_key "fendan_least_key"(const float* sketches, float x, float y, float z,
                                         uint64_t candidates) noexcept
    uint64_t keys_within "fendan_keys_within"(const int32_t* keys, size_t count,
                                              int32_t limit) noexcept
    int32_t key_of "fendan_key_of"(float squared) noexcept
    float squared_in "fendan_squared_in"(int32_t key) noexcept


cdef void set_reach(Reach* reach, double radius_m) noexcept nogil:
    cdef float squared = INFINITY
    reach.radius_m = radius_m
    reach.sure = INFINITY
    reach.patience = PATIENCE
    if radius_m < INFINITY:
        squared = chord_squared_of(radius_m)
        reach.sure = squared - chord_margin(squared)
        squared += chord_margin(squared)
    reach.limit_key = key_of(squared)


cdef void begin_guess(Guess* guess, const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                      const Basket* basket, int32_t without) noexcept nogil:
    guess.without = without
    guess.nearest = guess.second = nobody()
    if leaves.branch_count:
        look_in(guess, leaves, shelves, plan, basket, plan.leaf)


cdef void narrow_guess(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, Reach* reach) noexcept nogil:
    cdef uint64_t others
    cdef int32_t limit
    guess.near = 0
    guess.far_count = 0
    guess.is_wide = False
    if leaves.branch_count == 0:
        return
    others = real_boxes(leaves.leaf_count, plan.branch) & ~bit(plan.least)
    if key_in(guess.nearest) == key_of(INFINITY) and others and reach.patience:
        # Rare, and the next one will have it; where goods are sparse it has not, and others wait.
        limit = least_waiting(plan.keys.leaves, others)
        others &= ~bit(limit)
        look_in(guess, leaves, shelves, plan, basket, leaf_at(plan, limit))
        if key_in(guess.nearest) == key_of(INFINITY):
            reach.patience -= 1
        elif reach.patience < PATIENCE:
            reach.patience += 1
    limit = min(limit_of(guess.nearest), reach.limit_key)
    guess.near = others & keys_within(
        plan.keys.leaves, boxes_in_use(leaves.leaf_count, plan.branch), limit)
    if leaves.branch_count > 1:
        note_far(guess, leaves, plan, limit)
    if popcount(guess.near) + guess.far_count > FEW_LEAVES:
        guess.is_wide = True


cdef void prefetch_rest(const Guess* guess, const Shelves* shelves, const Plan* plan,
                        const Basket* basket) noexcept nogil:
    cdef uint64_t near = guess.near
    cdef int at
    cdef int64_t line
    # The first few, and without asking how many there are: where there is none, what is there.
    for at in range(FETCHED):
        prefetch_leaf(shelves, basket, leaf_at(plan, lowest_bit(
            near | (<uint64_t>(near == 0) << (plan.least & NUMBER)))))
        near &= near - 1
    for at in range(guess.far_count):
        prefetch_leaf(shelves, basket, guess.far[at])
    if guess.is_wide:
        for line in range(basket.line_count):
            prefetch(summary(shelves, basket.skus[line]) + plan.branch)


cdef void look_further(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket) noexcept nogil:
    cdef uint64_t near = guess.near
    cdef int at
    if guess.is_wide:
        return
    while near:
        look_in(guess, leaves, shelves, plan, basket, leaf_at(plan, lowest_bit(near)))
        near &= near - 1
    for at in range(guess.far_count):
        look_in(guess, leaves, shelves, plan, basket, guess.far[at])


cdef int32_t end_guess(const Guess* guess, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, const Reach* reach) noexcept nogil:
    cdef int64_t next
    cdef int32_t key = key_in(guess.nearest)
    if guess.is_wide:
        return search_for(guess, leaves, shelves, plan, basket, reach)
    if key > reach.limit_key or key == key_of(INFINITY):
        return NOT_FOUND
    next = min(guess.second, next_in_leaf(guess, leaves, shelves, plan, basket))
    if key_in(next) <= limit_of(guess.nearest) or squared_in(key) > reach.sure:
        return search_for(guess, leaves, shelves, plan, basket, reach)
    return leaf_in(guess.nearest) * STORES_PER_LEAF + (key & NUMBER)


cdef int32_t guess_again(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                         const Plan* plan, const Basket* basket, Reach* reach,
                         int32_t without) noexcept nogil:
    begin_guess(guess, leaves, shelves, plan, basket, without)
    narrow_guess(guess, leaves, shelves, plan, basket, reach)
    look_further(guess, leaves, shelves, plan, basket)
    return end_guess(guess, leaves, shelves, plan, basket, reach)


cdef int32_t search_for(const Guess* guess, const Leaves* leaves, const Shelves* shelves,
                        const Plan* plan, const Basket* basket,
                        const Reach* reach) noexcept nogil:
    """By then the plan's keys may be another's, and are made again."""
    cdef Plan whole = plan[0]
    cdef Keys keys
    make_keys(&whole, &keys, leaves)
    return find(leaves, shelves, &whole, basket, NULL, reach.radius_m, guess.without != NOT_FOUND)


# -- LEAVES ------------------------------------------------------------------------------------

cdef inline int64_t nobody() noexcept nogil:
    return <int64_t>key_of(INFINITY) << 32


cdef inline int32_t key_in(int64_t found) noexcept nogil:
    return <int32_t>(found >> 32)


cdef inline int32_t leaf_in(int64_t found) noexcept nogil:
    return <int32_t><uint32_t>found


cdef inline int32_t limit_of(int64_t found) noexcept nogil:
    """Beyond this key nothing is as near, whatever its distance says exactly."""
    cdef float squared = squared_in(key_in(found))
    return key_of(squared + chord_margin(squared))


cdef inline uint64_t bit(int32_t number) noexcept nogil:
    """Of a slot or a leaf; above six of them, `number` is a key or an ordinal."""
    return (<uint64_t>1) << (number & NUMBER)


cdef inline int32_t leaf_at(const Plan* plan, int32_t number) noexcept nogil:
    return plan.branch * LEAVES_PER_BRANCH + (number & NUMBER)


cdef inline uint64_t candidates_in(const Guess* guess, const Leaves* leaves, const Shelves* shelves,
                                   const Basket* basket, int32_t leaf) noexcept nogil:
    """The leaf's stores that take orders and can sell one of each line."""
    cdef uint64_t candidates = leaves.open[leaf]
    cdef int64_t line
    for line in range(basket.line_count):
        candidates &= available(shelves, basket.skus[line], leaf)[0]
    if guess.without >> 6 == leaf:
        candidates &= ~bit(guess.without)
    return candidates


cdef inline int64_t nearest_of(const Leaves* leaves, const Plan* plan, int32_t leaf,
                               uint64_t candidates) noexcept nogil:
    """The nearest of a leaf's candidates; none is as far away as nobody."""
    cdef const Sketch* at = &plan.sketch
    cdef int32_t key = least_key(leaves.sketches + leaf * LEAF_FLOATS, at.x, at.y, at.z, candidates)
    return (<int64_t>min(key, key_of(INFINITY)) << 32) | leaf


cdef inline void look_in(Guess* guess, const Leaves* leaves, const Shelves* shelves,
                         const Plan* plan, const Basket* basket, int32_t leaf) noexcept nogil:
    """One more leaf."""
    cdef int64_t found = nearest_of(
        leaves, plan, leaf, candidates_in(guess, leaves, shelves, basket, leaf))
    guess.second = min(guess.second, max(guess.nearest, found))
    guess.nearest = min(guess.nearest, found)


cdef inline int64_t next_in_leaf(const Guess* guess, const Leaves* leaves, const Shelves* shelves,
                                 const Plan* plan, const Basket* basket) noexcept nogil:
    """The nearest but one of the leaf that has the nearest."""
    cdef int32_t leaf = leaf_in(guess.nearest)
    return nearest_of(leaves, plan, leaf, candidates_in(guess, leaves, shelves, basket, leaf)
                      & ~bit(key_in(guess.nearest)))


cdef void note_far(Guess* guess, const Leaves* leaves, const Plan* plan,
                   int32_t limit) noexcept nogil:
    """The leaves of other branches that reach within the limit."""
    cdef int32_t leaf_keys[64]
    cdef uint64_t branches, waiting
    cdef int32_t branch
    if groups_of(leaves.branch_count) > 1:
        guess.is_wide = True
        return
    branches = real_boxes(leaves.branch_count, 0) & ~bit(plan.branch) & keys_within(
        plan.keys.branches, boxes_in_use(leaves.branch_count, 0), limit)
    while branches:
        branch = lowest_bit(branches)
        branches &= branches - 1
        leaf_keys_of(leaves, branch, plan, leaf_keys)
        waiting = real_boxes(leaves.leaf_count, branch) & keys_within(
            leaf_keys, boxes_in_use(leaves.leaf_count, branch), limit)
        if guess.far_count + popcount(waiting) > FEW_LEAVES:
            guess.is_wide = True
            return
        while waiting:
            guess.far[guess.far_count] = branch * LEAVES_PER_BRANCH + lowest_bit(waiting)
            waiting &= waiting - 1
            guess.far_count += 1


cdef inline void prefetch_leaf(const Shelves* shelves, const Basket* basket,
                               int32_t leaf) noexcept nogil:
    cdef int64_t line
    for line in range(basket.line_count):
        prefetch(line_at(shelves, basket.skus[line], leaf))
