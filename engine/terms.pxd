"""What one order is routed under: which stores may have it, and which of two is better."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from fendan.engine.areas cimport AreaIndex
from fendan.engine.geo cimport Place
from fendan.engine.larder cimport Keep
from fendan.engine.loads cimport Load
from fendan.engine.network cimport Leaves
from fendan.engine.shelves cimport Basket, Shelves

cdef enum:
    MOST_CRITERIA = 7           # each at most once
    MOST_ABILITIES = 32         # the bits of a mask
    HOURS_A_DAY = 24
    MOST_DEPTH = 1000           # deeper stock is no better
    MOST_LIFE_DAYS = 365        # fresher is no better

cdef enum:
    NEVER_NS = 0x7fffffffffffffff   # as a time: not before the end of time

cdef enum:
    NS_PER_S = 1000000000

# rules.RankBy
cdef enum RankCode:
    BY_DISTANCE = 1
    BY_DISTANCE_BAND = 2
    BY_LOAD = 3
    BY_STOCK = 4
    BY_PRIORITY = 5
    BY_COST = 6
    BY_FRESHNESS = 7

# rules.SplitMode
cdef enum SplitCode:
    SPLIT_NEVER = 0
    SPLIT_FEWEST = 1
    SPLIT_NEAREST = 2


# A rules.Criterion.
cdef struct Criterion:
    double width_m
    double weight
    uint8_t by


# A rules.Step; `allowed` is made anew when the clock crosses an edge.
cdef struct StepTerms:
    const uint64_t* allowed     # [leaf_count], bit = 1: the store may be asked now
    const uint8_t* together     # [class_count], whether lines of a class must stay together; or NULL
    double radius_m             # +inf: none
    int64_t least_amount
    int32_t most_shipments
    uint8_t name                # rules.StepName
    uint8_t split               # SplitCode
    bint split_lines
    bint areas


# A rules.Rule.
cdef struct RuleTerms:
    const StepTerms* steps
    int32_t step_count
    Criterion criteria[MOST_CRITERIA]
    int32_t criterion_count
    bint scored
    bint sees_counts            # whether stock or freshness is compared
    double rest                 # a score without its distance is at least so much
    double distance_weight      # of the distance in a score, 0: no part of it
    double pick_s
    double pick_s_per_open_order
    double detour
    double speeds_mps[HOURS_A_DAY]
    double most_s
    int64_t timeout_ns          # of a reservation, or NEVER_NS
    int64_t merge_window_ns
    int32_t least_life_days
    uint8_t order_type


# What rules look at of one store: half a cache line; see loads.Load for what changes by the order.
cdef struct Character:
    double priority
    double cost
    int64_t opens_ns            # now or before: it is open
    int32_t local_hour
    int32_t utc_offset_s


# What rules look at of every store, by code.
cdef struct Standing:
    const Character* stores     # [store_count]
    const Load* loads           # [store_count]
    const uint64_t* room        # [leaf_count], bit = 1: the store can take one more order
    const uint64_t* abilities   # [MOST_ABILITIES][leaf_count], bit = 1: the store has it
    const AreaIndex* areas      # or NULL: no store has any


# What one order is routed under, at one step.
cdef struct Terms:
    const Standing* standing
    const RuleTerms* rule
    const StepTerms* step
    const int32_t* millionths   # [store_count], shares of the order's channel; or NULL: all whole
    const uint8_t* hidden       # [sku_count], what the channel does not sell; or NULL: nothing
    uint32_t needs              # abilities, of all of it together:
    uint32_t bundle_needs       # of its bundles, and so of whoever sends any of it
    const uint32_t* needs_of    # [sku_count], of whoever sends that; or NULL
    int32_t least_life_days     # of the rule or of a bundle, whichever is more
    int64_t now_ns
    uint64_t cell               # of the order's place, 0: not asked yet


# One store as the order sees it; `values` are compared.
cdef struct Bid:
    int32_t ordinal
    int32_t store
    double distance_m
    int32_t open_orders         # of the store, when it was ranked
    double values[MOST_CRITERIA]


# Of the stores of a leaf in a word those that have room and the abilities, beside what
# `step.allowed` says: all that the order needs, or some.
cdef inline uint64_t fit_words(const Terms* terms, const Leaves* leaves, int32_t leaf) noexcept nogil:
    return able(terms, leaves, leaf, terms.needs, terms.standing.room[leaf])

cdef inline uint64_t able(const Terms* terms, const Leaves* leaves, int32_t leaf, uint32_t needs,
                          uint64_t word) noexcept nogil:
    cdef int ability
    while needs:
        ability = __builtin_ctz(needs)
        needs &= needs - 1
        word &= terms.standing.abilities[<int64_t>ability * leaves.leaf_count + leaf]
    return word

cdef extern from *:
    int __builtin_ctz(unsigned int word) noexcept nogil


# How many pieces of a SKU a store offers the order: what is free of the pair, times the share; of
# lots no more than will be good for long enough. Of the bid its values are not looked at, here and
# below.
cdef int64_t offered_to(const Terms* terms, const Shelves* shelves, int32_t sku,
                        const Bid* bid) noexcept nogil
# Whether a store that the bitmaps let through may have the order, apart from its counts.
cdef bint may_have(Terms* terms, const Place* place, int32_t store, double distance_m) noexcept nogil
# Whether it would offer every line if nothing expired: quick to tell, and without its distance.
cdef bint counts_suffice(const Terms* terms, const Shelves* shelves, const Bid* bid,
                         const Basket* basket) noexcept nogil
# Whether it offers every line.
cdef bint offers_all(const Terms* terms, const Shelves* shelves, const Bid* bid,
                     const Basket* basket) noexcept nogil
# Fill in `bid.values` of a bid with its store and its distance.
cdef void rank(const Terms* terms, const Shelves* shelves, const Basket* basket,
               Bid* bid) noexcept nogil
# Below 0 where `one` is better, 0 where only the ids may tell.
cdef int compare(const Terms* terms, const Bid* one, const Bid* other) noexcept nogil
# No store farther than this can be better than `best`.
cdef double reach_m(const Terms* terms, const Bid* best) noexcept nogil
# Whether the store's areas have the place in them, where the step asks for that.
cdef bint serves_place(Terms* terms, const Place* place, int32_t store,
                       double distance_m) noexcept nogil
# How long the store takes to pick and bring it, in seconds; and until then, opening included.
cdef double handling_s(const Terms* terms, int32_t store, double distance_m) noexcept nogil
cdef double needed_s(const Terms* terms, int32_t store, double distance_m) noexcept nogil
# When the customer has it, 0 where nobody can tell, as the store does not open again; and what lots
# must be good for at that time.
cdef int64_t promised_ns(const Terms* terms, int32_t store, double distance_m) noexcept nogil
cdef Keep keep_at(const Terms* terms, int32_t store, int64_t when_ns) noexcept nogil
