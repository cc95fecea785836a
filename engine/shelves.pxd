"""A SKU's shelf through all stores: who has it, how many, and what may be sold of them."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fendan.engine.larder cimport Keep, Larder
from fendan.engine.network cimport Leaves

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long word) noexcept nogil
    int lowest_bit "__builtin_ctzll"(unsigned long long word) noexcept nogil

cdef enum:
    MAX_QUANTITY = 2147483647   # counts are int32
    NO_SLAB = 0                 # slabs are numbered from 1; a zeroed Shelf stands in none
    LEAVES_PER_LINE = 3         # as many as a cache line holds the words of
    LINE_BYTES = 64
    WORDS_PER_LINE = 8
    FEW_LINES = 8               # longer orders are rare; they look for themselves, and twice


# One (store, SKU) pair. on_hand is net + reserved; net is negative only in a shortfall.
cdef struct Quantity:
    int32_t net
    int32_t reserved


# What a store keeps of a SKU, each 0 or more: against miscounts, for others, to be seen.
cdef struct Held:
    int32_t safety
    int32_t locked
    int32_t display


# What keeps a SKU from being sold, where anything does. Behind it in memory, by rank: the sum of
# what each pair holds back, int32[listed_count]; then its parts, Held[listed_count].
cdef struct Limits:
    int32_t off_below           # a pair with fewer free is off the shelf; 0: never
    int32_t on_from             # and on it again with so many
    bint has_lots               # of some pairs at least; see larder


# Who has a SKU in three neighbouring leaves: what a search and a look-up read of them, at once.
cdef struct LeafLine:
    uint64_t available[LEAVES_PER_LINE]     # bit = 1: that store can sell at least one
    uint64_t listed[LEAVES_PER_LINE]        # bit = 1: it has a count for the SKU, perhaps zero
    uint32_t base[LEAVES_PER_LINE]          # how many stores before the leaf list the SKU
    uint32_t unused                         # 0


# One SKU over the whole network; see shelves.pyx for the drawing.
cdef struct Shelf:
    LeafLine* lines
    Quantity* quantities
    Limits* limits              # or NULL: nothing is held back, no thresholds, no lots
    int32_t listed_count
    int32_t slab                # which slab of the Stock all of it stands in, or NO_SLAB


# The lines of one order, each SKU at most once, every quantity 1 or more.
cdef struct Basket:
    const int32_t* skus
    const int32_t* quantities
    const int64_t* amounts      # what the customer pays for each line, or NULL
    int64_t line_count


# All SKUs, as the search sees them; owned by a Stock.
cdef struct Shelves:
    Shelf* shelf                # [sku_count]
    int32_t sku_count
    int32_t leaf_count
    int32_t branch_count
    int32_t line_count          # of each shelf
    const int32_t* store_at     # [ordinal], as in Leaves
    Larder larder


# -- WORDS AND COUNTS --------------------------------------------------------------------------

cdef inline int32_t lines_of(int32_t leaf_count) noexcept nogil:
    return (leaf_count + LEAVES_PER_LINE - 1) // LEAVES_PER_LINE

cdef inline size_t words_of(int32_t leaf_count, int32_t branch_count) noexcept nogil:
    """The size of a shelf's lines and summary, in words."""
    return WORDS_PER_LINE * <size_t>lines_of(leaf_count) + branch_count

cdef inline size_t block_words(int32_t leaf_count, int32_t branch_count,
                               int32_t listed_count) noexcept nogil:
    """The size of a whole shelf in a slab, in words, as many as fill its last cache line."""
    cdef size_t words = words_of(leaf_count, branch_count) + listed_count  # a Quantity is a word
    return (words + WORDS_PER_LINE - 1) & ~<size_t>(WORDS_PER_LINE - 1)

cdef inline uint64_t* summary(const Shelves* shelves, int32_t sku) noexcept nogil:
    return <uint64_t*>(shelves.shelf[sku].lines + shelves.line_count)

cdef inline LeafLine* line_at(const Shelves* shelves, int32_t sku, int32_t leaf) noexcept nogil:
    return shelves.shelf[sku].lines + <uint32_t>leaf // LEAVES_PER_LINE

cdef inline uint64_t* available(const Shelves* shelves, int32_t sku, int32_t leaf) noexcept nogil:
    return &line_at(shelves, sku, leaf).available[<uint32_t>leaf % LEAVES_PER_LINE]

cdef inline uint64_t* listed(const Shelves* shelves, int32_t sku, int32_t leaf) noexcept nogil:
    return &line_at(shelves, sku, leaf).listed[<uint32_t>leaf % LEAVES_PER_LINE]

cdef inline uint32_t* base(const Shelves* shelves, int32_t sku, int32_t leaf) noexcept nogil:
    return &line_at(shelves, sku, leaf).base[<uint32_t>leaf % LEAVES_PER_LINE]

cdef inline Quantity* quantity(const Shelves* shelves, int32_t sku, int32_t ordinal) noexcept nogil:
    """The pair's counts, or NULL where the store does not list the SKU."""
    cdef int32_t leaf = ordinal >> 6
    cdef uint64_t bit = (<uint64_t>1) << (ordinal & 63)
    cdef uint64_t word = listed(shelves, sku, leaf)[0]
    if not word & bit:
        return NULL
    return (shelves.shelf[sku].quantities + base(shelves, sku, leaf)[0]
            + popcount(word & (bit - 1)))


# -- WHAT MAY BE SOLD --------------------------------------------------------------------------

cdef inline int32_t* held_sums(const Shelf* shelf) noexcept nogil:
    """By rank; the shelf has limits."""
    return <int32_t*>(shelf.limits + 1)

cdef inline Held* held_parts(const Shelf* shelf) noexcept nogil:
    """By rank; the shelf has limits."""
    return <Held*>(held_sums(shelf) + shelf.listed_count)

cdef inline int32_t sum_of(Held parts) noexcept nogil:
    """What is held back altogether; MAX_QUANTITY where it is more."""
    cdef int64_t total = <int64_t>parts.safety + parts.locked + parts.display
    return <int32_t>min(total, <int64_t>MAX_QUANTITY)

cdef inline int32_t held_of(const Shelves* shelves, int32_t sku,
                            const Quantity* pair) noexcept nogil:
    """How many of a listed pair its store keeps."""
    cdef const Shelf* shelf = shelves.shelf + sku
    if shelf.limits == NULL:
        return 0
    return held_sums(shelf)[pair - shelf.quantities]

cdef inline int64_t free_of(const Shelves* shelves, int32_t sku,
                            const Quantity* pair) noexcept nogil:
    """What is left of a listed pair for new orders, thresholds aside; perhaps below zero."""
    return <int64_t>pair.net - held_of(shelves, sku, pair)

cdef inline bint is_on(const Shelves* shelves, int32_t sku, int32_t ordinal) noexcept nogil:
    """Whether the store can sell any: the pair's bit."""
    return (available(shelves, sku, ordinal >> 6)[0] >> (ordinal & 63)) & 1

cdef inline int64_t on_sale(const Shelves* shelves, int32_t sku, int32_t ordinal,
                            const Quantity* pair) noexcept nogil:
    """How many of a listed pair can be sold, 0 or more."""
    if shelves.shelf[sku].limits == NULL:
        return max(pair.net, 0)
    return free_of(shelves, sku, pair) if is_on(shelves, sku, ordinal) else 0

cdef inline int64_t offered(int64_t free, int32_t millionths) noexcept nogil:
    """A channel's part, in whole pieces, of what can be sold; `free` is 0 or more."""
    return free * millionths // 1000000

cdef inline bint sells(const Shelves* shelves, int32_t sku, int32_t ordinal, const Quantity* pair,
                       int32_t wanted) noexcept nogil:
    """Whether so many of a listed pair, 1 or more, can be sold: the exact answer behind its bit."""
    if shelves.shelf[sku].limits == NULL:
        return pair.net >= wanted
    return is_on(shelves, sku, ordinal) and free_of(shelves, sku, pair) >= wanted

cdef inline bint has_lots(const Shelves* shelves, int32_t sku) noexcept nogil:
    """Whether the SKU has lots at some stores."""
    return shelves.shelf[sku].limits != NULL and shelves.shelf[sku].limits.has_lots

cdef inline bint sells_today(const Shelves* shelves, int32_t sku, int32_t ordinal,
                             const Quantity* pair, int32_t wanted) noexcept nogil:
    """Whether so many can be sold to who takes them along: what has expired cannot."""
    if shelves.shelf[sku].limits == NULL:
        return pair.net >= wanted
    if shelves.shelf[sku].limits.has_lots and good_today(shelves, sku, ordinal) < wanted:
        return False
    return sells(shelves, sku, ordinal, pair, wanted)

cdef inline bint covers(const Shelves* shelves, int32_t ordinal, const Basket* basket) noexcept nogil:
    """Whether the store can sell every line in full, today."""
    cdef int64_t line
    cdef Quantity* pair
    for line in range(basket.line_count):
        pair = quantity(shelves, basket.skus[line], ordinal)
        if pair == NULL or not sells_today(
            shelves, basket.skus[line], ordinal, pair, basket.quantities[line]
        ):
            return False
    return True

cdef inline bint stays_on(const Shelves* shelves, int32_t sku, const Quantity* pair,
                          bint was_on) noexcept nogil:
    """What a pair's bit must be; only between the thresholds it depends on what it was."""
    cdef const Limits* limits = shelves.shelf[sku].limits
    cdef int64_t free
    if limits == NULL:
        return pair.net > 0
    free = free_of(shelves, sku, pair)
    if free < 1 or free < limits.off_below:
        return False
    return was_on or free >= limits.on_from

cdef inline void set_bit(Shelves* shelves, int32_t sku, int32_t ordinal,
                         bint can_sell) noexcept nogil:
    """Set or clear the pair's bit, and with it the leaf's bit in the summary."""
    cdef int32_t leaf = ordinal >> 6
    cdef uint64_t bit = (<uint64_t>1) << (ordinal & 63)
    cdef uint64_t leaf_bit = (<uint64_t>1) << (leaf & 63)
    cdef uint64_t* word = available(shelves, sku, leaf)
    if can_sell:
        word[0] |= bit
        summary(shelves, sku)[leaf >> 6] |= leaf_bit
    else:
        word[0] &= ~bit
        if word[0] == 0:
            summary(shelves, sku)[leaf >> 6] &= ~leaf_bit

cdef inline void show(Shelves* shelves, int32_t sku, int32_t ordinal,
                      const Quantity* pair) noexcept nogil:
    """Keep a listed pair's bit true to what it has become."""
    set_bit(shelves, sku, ordinal,
            stays_on(shelves, sku, pair, is_on(shelves, sku, ordinal)))


# -- IN SHELVES.PYX ----------------------------------------------------------------------------

# How many pieces of a SKU are in lots that can be sold today; WITHOUT_LOTS where there are none.
cdef int64_t good_today(const Shelves* shelves, int32_t sku, int32_t ordinal) noexcept nogil

# Reserve every line at a store, or nothing where one cannot be sold; whether it was done. `keep`: what
# lots must be good for, which the caller has seen; NULL: for today, which is seen here.
cdef bint take(Shelves* shelves, int32_t ordinal, const Basket* basket, Quantity* before,
               const Keep* keep) noexcept nogil

# The same, where each line's pair is known; of an order with more than FEW_LINES, NULL.
cdef bint take_found(Shelves* shelves, int32_t ordinal, const Basket* basket, Quantity** pairs,
                     Quantity* before, const Keep* keep) noexcept nogil

# Undo `take`, to the bit: what was taken last is given back first.
cdef void give_back(Shelves* shelves, int32_t ordinal, const Basket* basket) noexcept nogil

cdef bint all_listed(const Shelves* shelves, const Leaves* leaves, const int32_t[::1] stores,
                     const int32_t[::1] skus) noexcept nogil

cdef inline int64_t limits_bytes(int32_t listed_count) noexcept nogil:
    return sizeof(Limits) + listed_count * <int64_t>(sizeof(int32_t) + sizeof(Held))

# Room for the limits of so many pairs, nothing held back and no thresholds; or NULL.
cdef Limits* fresh_limits(int32_t listed_count) noexcept nogil
cdef void free_shelves(Shelf* shelf, int32_t count) noexcept nogil
# Empty lines and summaries for so many leaves and branches, to be freed; or NULL.
cdef LeafLine* fresh_lines(int32_t leaf_count, int32_t branch_count) noexcept nogil

# A shelf's lines and summary as snapshots have them: summary[branch_count], available[leaf_count],
# listed[leaf_count], base[leaf_count], the last two to a word.
cdef inline size_t written_words(int32_t leaf_count, int32_t branch_count) noexcept nogil:
    return branch_count + 2 * <size_t>leaf_count + (leaf_count + 1) // 2
cdef void write_words(const Shelves* shelves, int32_t sku, uint64_t* words) noexcept nogil
cdef void read_words(const Shelves* shelves, int32_t sku, const uint64_t* words) noexcept nogil

cdef void arrange(Shelf* fresh, const uint64_t* wanted, const Shelf* old, const Leaves* before,
                  const Leaves* after) noexcept nogil
