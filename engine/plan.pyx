"""Where an order is, which leaves are near it, and what to fetch before it is searched for.

A plan is all that a search can know before it looks at stock. So it is made some orders ahead, and
the words that the search will begin with are fetched meanwhile; see router.
"""
from libc.stdint cimport int32_t, int64_t

from fendan.engine.batch cimport Columns
from fendan.engine.geo cimport set_place
from fendan.engine.network cimport BOXES_FLOATS, LEAVES_PER_BRANCH, Leaves
from fendan.engine.room cimport prefetch
from fendan.engine.shelves cimport FEW_LINES, Basket, Quantity, Shelves, line_at, quantity

cdef extern from "near.h" nogil:
    int32_t box_keys "fendan_box_keys"(const float* boxes, size_t count, float x, float y, float z,
                                       int32_t* keys) noexcept

cdef void make_plan(Plan* plan, Keys* keys, const Leaves* leaves, double lat,
                    double lng) noexcept nogil:
    """Where the order is, and which leaf is nearest to it."""
    set_place(&plan.place, &plan.sketch, lat, lng)
    make_keys(plan, keys, leaves)


cdef void make_keys(Plan* plan, Keys* keys, const Leaves* leaves) noexcept nogil:
    find_branch(plan, keys, leaves)
    find_leaf(plan, leaves)


cdef void find_branch(Plan* plan, Keys* keys, const Leaves* leaves) noexcept nogil:
    cdef int32_t others[64]
    cdef int32_t least, key, group
    plan.keys = keys
    plan.branch = 0
    if leaves.branch_count < 2:
        return
    least = branch_keys_of(leaves, 0, plan, keys.branches)
    plan.branch = least & NUMBER
    for group in range(1, groups_of(leaves.branch_count)):
        key = branch_keys_of(leaves, group, plan, others)
        if (key | NUMBER) < least:
            least = key
            plan.branch = group * 64 + (key & NUMBER)


cdef void find_leaf(Plan* plan, const Leaves* leaves) noexcept nogil:
    plan.leaf = 0
    if leaves.branch_count:
        plan.least = leaf_keys_of(leaves, plan.branch, plan, plan.keys.leaves)
        plan.leaf = plan.branch * LEAVES_PER_BRANCH + (plan.least & NUMBER)


cdef int32_t branch_keys_of(const Leaves* leaves, int32_t group, const Plan* plan,
                                   int32_t* keys) noexcept nogil:
    """Fill in the keys of 64 branches, as far as they are in use, and return the least."""
    return box_keys(leaves.branch_boxes + group * BOXES_FLOATS,
                    boxes_in_use(leaves.branch_count, group),
                    plan.sketch.x, plan.sketch.y, plan.sketch.z, keys)


cdef int32_t leaf_keys_of(const Leaves* leaves, int32_t branch, const Plan* plan,
                                 int32_t* keys) noexcept nogil:
    """Fill in the keys of a branch's leaves, as far as they are in use, and return the least."""
    return box_keys(leaves.leaf_boxes + branch * BOXES_FLOATS,
                    boxes_in_use(leaves.leaf_count, branch),
                    plan.sketch.x, plan.sketch.y, plan.sketch.z, keys)


# -- AHEAD ---------------------------------------------------------------------------------------

cdef void prefetch_shelves(const Shelves* shelves, const Columns* orders,
                           int64_t order) noexcept nogil:
    cdef int64_t line
    cdef int64_t first = orders.offsets[order]
    for line in range(first, min(orders.offsets[order + 1], first + FEW_LINES)):
        prefetch(shelves.shelf + orders.skus[line])


cdef void prefetch_words(const Leaves* leaves, const Shelves* shelves, const Plan* plan,
                         const Basket* basket) noexcept nogil:
    """Sketches are not among them: those of a chain stay in the cache of the second level."""
    cdef int64_t line
    for line in range(min(basket.line_count, FEW_LINES)):
        prefetch(line_at(shelves, basket.skus[line], plan.leaf))


cdef void prefetch_found(const Leaves* leaves, const Shelves* shelves, int32_t ordinal,
                         const Basket* basket, Quantity** pairs) noexcept nogil:
    cdef int64_t line
    if ordinal == NOT_FOUND:
        return
    prefetch(leaves.places + ordinal)
    for line in range(min(basket.line_count, FEW_LINES)):
        pairs[line] = quantity(shelves, basket.skus[line], ordinal)
        prefetch(pairs[line])
