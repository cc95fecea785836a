"""What each store can sell: availability bitmaps, and quantities packed by rank."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fendan.engine.changes cimport Changes
from fendan.engine.names cimport Names
from fendan.engine.network cimport Layout, Leaves, Network

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long word) noexcept nogil
    int lowest_bit "__builtin_ctzll"(unsigned long long word) noexcept nogil

cdef enum:
    MAX_QUANTITY = 2147483647   # counts are int32
    MAX_SKUS = 2000000          # some kB each in a large chain: nobody may fill the memory by names
    NO_SLAB = 0                 # slabs are numbered from 1; a zeroed Shelf stands in none


# One (store, SKU) pair. on_hand is net + reserved; net is negative only in a shortfall.
cdef struct Quantity:
    int32_t net
    int32_t reserved


# One SKU over the whole network; see stock.pyx for the drawing.
cdef struct Shelf:
    uint64_t* words
    Quantity* quantities
    int32_t listed_count
    int32_t slab                # which slab of the Stock both stand in, or NO_SLAB: malloc


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


cdef inline size_t words_of(int32_t leaf_count, int32_t branch_count) noexcept nogil:
    """The size of a shelf's words, in words; `base` takes half a word a leaf."""
    return branch_count + 2 * <size_t>leaf_count + (leaf_count + 1) // 2

cdef inline uint64_t* summary(const Shelves* shelves, int32_t sku) noexcept nogil:
    return shelves.shelf[sku].words

cdef inline uint64_t* available(const Shelves* shelves, int32_t sku) noexcept nogil:
    return shelves.shelf[sku].words + shelves.branch_count

cdef inline uint64_t* listed(const Shelves* shelves, int32_t sku) noexcept nogil:
    return shelves.shelf[sku].words + shelves.branch_count + shelves.leaf_count

cdef inline uint32_t* base(const Shelves* shelves, int32_t sku) noexcept nogil:
    return <uint32_t*>(shelves.shelf[sku].words + shelves.branch_count + 2 * shelves.leaf_count)

cdef inline Quantity* quantity(const Shelves* shelves, int32_t sku, int32_t ordinal) noexcept nogil:
    """The pair's counts, or NULL where the store does not list the SKU."""
    cdef int32_t leaf = ordinal >> 6
    cdef uint64_t bit = (<uint64_t>1) << (ordinal & 63)
    cdef uint64_t word = listed(shelves, sku)[leaf]
    if not word & bit:
        return NULL
    return shelves.shelf[sku].quantities + base(shelves, sku)[leaf] + popcount(word & (bit - 1))

cdef inline void show(Shelves* shelves, int32_t sku, int32_t ordinal, bint can_sell) noexcept nogil:
    """Keep the pair's bit, and with it the leaf's bit in the summary, true to its net."""
    cdef int32_t leaf = ordinal >> 6
    cdef uint64_t bit = (<uint64_t>1) << (ordinal & 63)
    cdef uint64_t leaf_bit = (<uint64_t>1) << (leaf & 63)
    cdef uint64_t* word = available(shelves, sku) + leaf
    if can_sell:
        word[0] |= bit
        summary(shelves, sku)[leaf >> 6] |= leaf_bit
    else:
        word[0] &= ~bit
        if word[0] == 0:
            summary(shelves, sku)[leaf >> 6] &= ~leaf_bit

cdef inline int64_t free_of(const Shelves* shelves, int32_t sku,
                           const Quantity* pair) noexcept nogil:
    """What may be sold of a pair, below 0 in a shortfall."""
    return pair.net

cdef inline int64_t offered(int64_t free, int32_t millionths) noexcept nogil:
    """A channel's part, in whole pieces, of what is free; `free` is 0 or more."""
    return free * millionths // 1000000

cdef inline bint covers(const Shelves* shelves, int32_t ordinal, const Basket* basket) noexcept nogil:
    """Whether the store can sell every line in full: the exact answer behind the bitmaps."""
    cdef int64_t line
    cdef Quantity* pair
    for line in range(basket.line_count):
        pair = quantity(shelves, basket.skus[line], ordinal)
        if pair == NULL or pair.net < basket.quantities[line]:
            return False
    return True

cdef bint take(Shelves* shelves, int32_t ordinal, const Basket* basket,
               Quantity* before) noexcept nogil
cdef void give_back(Shelves* shelves, int32_t ordinal, const Basket* basket) noexcept nogil


@cython.final
cdef class Stock:
    cdef readonly Network network
    cdef readonly list skus         # SKU code -> SKU
    cdef readonly Names sku_code_of # SKU -> code
    cdef Shelves shelves
    cdef readonly Changes changes
    cdef int32_t _sku_capacity
    cdef list _slabs                # numpy arrays, or None where no shelf stands in it any more
    cdef list _slab_users           # how many shelves stand in each

    cdef int _reserve(self, int32_t sku_count) except -1
    cdef Shelf* _make_room(self, const uint64_t[:, ::1] wanted, const Leaves* leaves) except NULL
    cdef int _renew(self, renewed, Shelf* fresh, const uint64_t[:, ::1] wanted,
                    const Leaves* before, const Leaves* after) except -1
