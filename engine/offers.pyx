"""What each store could send of an order, where no store has all of it.

The same sieves as for a single store (see terms), but a store passes that has any line: of the words
of the lines the OR is taken, not the AND, and it needs the abilities of what it sends alone. What it
could send is an *offer*; which offers fill the order together is for `split` and `pieces` to say,
which know neither stores nor stock.

Most stores are never asked for their counts. Branches and leaves come nearest first; once a store
is found that could send certain items, a store farther away that could, by the bitmaps, send no
others is in no best answer:

    nearest_m[set of items]   the nearest offer so far that has all of them, +inf: none yet
"""
cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport free, qsort
from libc.string cimport memset, strcmp

from fendan.engine.geo cimport chord_margin, chord_squared_of, distance_between_m
from fendan.engine.network cimport LEAVES_PER_BRANCH, STORES_PER_LEAF, Leaves
from fendan.engine.pieces cimport Allocation, Demand, fewest_pieces, nearest_pieces
from fendan.engine.plan cimport (
    NUMBER, Plan, boxes_in_use, leaf_keys_of, least_waiting, real_boxes,
)
from fendan.engine.split cimport MOST_ITEMS, MOST_SHIPMENTS, Splitter, fewest, nearest
from fendan.engine.room cimport grow
from fendan.engine.shelves cimport Basket, Shelves, available, lowest_bit
from fendan.engine.terms cimport (
    SPLIT_FEWEST, Bid, StepTerms, Terms, able, may_have, offered_to,
)

cdef extern from "near.h" nogil:
    uint64_t keys_within "fendan_keys_within"(const int32_t* keys, size_t count,
                                              int32_t limit) noexcept
    int32_t key_of "fendan_key_of"(float squared) noexcept

cdef enum:
    FEW_ITEMS = 8               # up to so many there is a table of all sets
    FEW_SETS = 256              # of them


# -- ROOM --------------------------------------------------------------------------------------

cdef bint reserve_sharing(Sharing* sharing, int64_t stores, int64_t lines) noexcept nogil:
    if stores > sharing.sender_capacity:
        if not (grow(<void**>&sharing.senders, stores * sizeof(Sender))
                and grow(<void**>&sharing.offers, stores * sizeof(Offer))
                and grow(<void**>&sharing.distances_m, stores * sizeof(double))
                and grow(<void**>&sharing.words, (stores + 63) // 64 * sizeof(uint64_t))):
            return False
        sharing.sender_capacity = stores
    if lines > sharing.line_capacity:
        if not (grow(<void**>&sharing.item_of, lines * sizeof(int32_t))
                and grow(<void**>&sharing.taken, MOST_SHIPMENTS * lines * sizeof(int32_t))
                and grow(<void**>&sharing.missing, lines * sizeof(int32_t))
                and grow(<void**>&sharing.skus, lines * sizeof(int32_t))
                and grow(<void**>&sharing.quantities, lines * sizeof(int32_t))
                and grow(<void**>&sharing.rest_skus, lines * sizeof(int32_t))
                and grow(<void**>&sharing.rest_quantities, lines * sizeof(int32_t))
                and grow(<void**>&sharing.rest_amounts, lines * sizeof(int64_t))
                and grow(<void**>&sharing.line_amounts, lines * sizeof(int64_t))):
            return False
        sharing.line_capacity = lines
    return True


# -- ITEMS -------------------------------------------------------------------------------------

cdef bint make_items(Sharing* sharing, const Basket* basket, const StepTerms* step,
                     const int32_t* classes_of) noexcept nogil:
    """Number the items of the basket; whether there are few enough."""
    cdef int64_t line, other
    cdef int32_t item
    sharing.item_count = 0
    for line in range(basket.line_count):
        item = sharing.item_count
        if stays_together(step, classes_of, basket.skus[line]):
            for other in range(line):
                if (stays_together(step, classes_of, basket.skus[other])
                        and classes_of[basket.skus[other]] == classes_of[basket.skus[line]]):
                    item = sharing.item_of[other]
                    break
        if item == MOST_ITEMS:
            return False
        if item == sharing.item_count:
            sharing.amounts[item] = 0
            sharing.item_count += 1
        sharing.item_of[line] = item
        if basket.amounts != NULL:
            sharing.amounts[item] += basket.amounts[line]
    return True


cdef inline bint stays_together(const StepTerms* step, const int32_t* classes_of,
                                int32_t sku) noexcept nogil:
    return (step.together != NULL and classes_of != NULL and classes_of[sku] >= 0
            and step.together[classes_of[sku]])


# -- SENDERS -----------------------------------------------------------------------------------

cdef void find_senders(Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, Terms* terms) noexcept nogil:
    """Every store that any best answer could need, best first."""
    cdef double nearest_m[FEW_SETS]
    cdef int32_t keys[64]
    cdef int32_t branch, least, place
    cdef float limit = INFINITY
    cdef uint64_t waiting
    sharing.sender_count = 0
    for place in range(FEW_SETS):
        nearest_m[place] = INFINITY
    if terms.step.radius_m < INFINITY:
        limit = chord_squared_of(terms.step.radius_m)
        limit += chord_margin(limit)
    for place in range(leaves.branch_count):
        # The order's own branch first: it fills the table.
        branch = plan.branch if place == 0 else (place - 1 if place <= plan.branch else place)
        leaf_keys_of(leaves, branch, plan, keys)
        waiting = real_boxes(leaves.leaf_count, branch) & keys_within(
            keys, boxes_in_use(leaves.leaf_count, branch), key_of(limit))
        while waiting:
            least = least_waiting(keys, waiting)
            waiting &= ~((<uint64_t>1) << (least & NUMBER))
            ask_leaf(sharing, leaves, shelves, plan, basket, terms,
                     branch * LEAVES_PER_BRANCH + (least & NUMBER), nearest_m)
    qsort(sharing.senders, sharing.sender_count, sizeof(Sender), compare_senders)
    for place in range(sharing.sender_count):
        sharing.offers[place] = sharing.senders[place].offer
        sharing.distances_m[place] = sharing.senders[place].offer.distance_m


cdef int compare_senders(const void* one, const void* other) noexcept nogil:
    cdef const Sender* a = <const Sender*>one
    cdef const Sender* b = <const Sender*>other
    if a.offer.distance_m != b.offer.distance_m:
        return -1 if a.offer.distance_m < b.offer.distance_m else 1
    return strcmp(a.id, b.id)


cdef void ask_leaf(Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                   const Plan* plan, const Basket* basket, Terms* terms, int32_t leaf,
                   double* nearest_m) noexcept nogil:
    """Add the stores of a leaf that may send something."""
    cdef uint64_t candidates = 0, bit
    cdef int64_t line
    cdef Sender sender
    # Where shipments must be worth something, or lines may be split, more may be better than enough.
    cdef bint drops = (sharing.item_count <= FEW_ITEMS and not terms.step.split_lines
                       and terms.step.least_amount <= 0)
    for line in range(basket.line_count):
        candidates |= senders_of(terms, leaves, shelves, basket.skus[line], leaf)
    candidates &= terms.step.allowed[leaf]
    candidates = able(terms, leaves, leaf, terms.bundle_needs, candidates & terms.standing.room[leaf])
    while candidates:
        bit = candidates & -candidates
        sender.ordinal = leaf * STORES_PER_LEAF + lowest_bit(candidates)
        candidates ^= bit
        sender.offer.distance_m = distance_between_m(&plan.place, leaves.places + sender.ordinal)
        if sender.offer.distance_m > terms.step.radius_m:
            continue
        if drops and nearest_m[
            seeming_items(sharing, leaves, shelves, basket, terms, leaf, bit)
        ] < sender.offer.distance_m:
            continue
        sender.store = leaves.store_at[sender.ordinal]
        sender.id = leaves.id_text[sender.store]
        if not may_have(terms, &plan.place, sender.store, sender.offer.distance_m):
            continue
        sender.offer.items = items_offered(sharing, leaves, shelves, basket, terms, &sender)
        if sender.offer.items == 0 and not terms.step.split_lines:
            continue
        sharing.senders[sharing.sender_count] = sender
        sharing.sender_count += 1
        if drops:
            note_offer(nearest_m, <int32_t>sender.offer.items, sender.offer.distance_m)


cdef inline uint64_t senders_of(const Terms* terms, const Leaves* leaves, const Shelves* shelves,
                                int32_t sku, int32_t leaf) noexcept nogil:
    """The stores of a leaf that may send some of a SKU: of abilities they need no more than it does."""
    cdef uint64_t word = available(shelves, sku, leaf)[0]
    return able(terms, leaves, leaf, terms.needs_of[sku], word) if terms.needs else word


cdef inline int64_t sent_by(const Terms* terms, const Leaves* leaves, const Shelves* shelves,
                            int32_t sku, const Bid* bid) noexcept nogil:
    """How many pieces of a SKU a store can send."""
    cdef uint64_t bit = (<uint64_t>1) << (bid.ordinal & 63)
    if not senders_of(terms, leaves, shelves, sku, bid.ordinal >> 6) & bit:
        return 0
    return offered_to(terms, shelves, sku, bid)


cdef inline int32_t seeming_items(const Sharing* sharing, const Leaves* leaves,
                                  const Shelves* shelves, const Basket* basket, const Terms* terms,
                                  int32_t leaf, uint64_t bit) noexcept nogil:
    """The items that the store could send as far as the bitmaps know, of FEW_ITEMS."""
    cdef int32_t items = (1 << sharing.item_count) - 1
    cdef int64_t line
    for line in range(basket.line_count):
        if not senders_of(terms, leaves, shelves, basket.skus[line], leaf) & bit:
            items &= ~(1 << sharing.item_of[line])
    return items


cdef uint64_t items_offered(const Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                            const Basket* basket, const Terms* terms,
                            const Sender* sender) noexcept nogil:
    """The items that the store can send in full."""
    cdef Bid bid
    cdef uint64_t short = 0
    cdef int64_t line
    bid_of(&bid, sender)
    for line in range(basket.line_count):
        if sent_by(terms, leaves, shelves, basket.skus[line], &bid) < basket.quantities[line]:
            short |= (<uint64_t>1) << sharing.item_of[line]
    return ~short & (~<uint64_t>0 >> (64 - sharing.item_count))


cdef void note_offer(double* nearest_m, int32_t items, double distance_m) noexcept nogil:
    """Remember the offer for all that it has, and any part of that."""
    cdef int32_t part = items
    while True:
        if distance_m < nearest_m[part]:
            nearest_m[part] = distance_m
        if part == 0:
            return
        part = (part - 1) & items


# -- SHARING OUT -------------------------------------------------------------------------------

cdef int32_t share_out(Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, Terms* terms,
                       const int32_t* classes_of) noexcept nogil:
    cdef const StepTerms* step = terms.step
    cdef int32_t most = min(step.most_shipments, <int32_t>MOST_SHIPMENTS)
    sharing.shipment_count = 0
    if not make_items(sharing, basket, step, classes_of):
        return 0
    find_senders(sharing, leaves, shelves, plan, basket, terms)
    if step.split_lines:
        return share_pieces(sharing, leaves, shelves, basket, terms, most, classes_of)
    if step.split == SPLIT_FEWEST:
        most = fewest(sharing.offers, sharing.sender_count, sharing.item_count, sharing.amounts,
                      step.least_amount, most, sharing.assignment, sharing.work)
    else:
        most = nearest(sharing.offers, sharing.sender_count, sharing.item_count, sharing.amounts,
                       step.least_amount, most, sharing.assignment)
    if most:
        take_items(sharing, basket)
    return sharing.shipment_count


cdef void take_items(Sharing* sharing, const Basket* basket) noexcept nogil:
    """From items and their senders to shipments and their lines, the nearest sender first."""
    cdef int32_t sender = -1, next_one, item, shipment
    cdef int64_t line
    while True:
        next_one = INT32_MAX
        for item in range(sharing.item_count):
            if sender < sharing.assignment[item] < next_one:
                next_one = sharing.assignment[item]
        if next_one == INT32_MAX:
            return
        sender, shipment = next_one, sharing.shipment_count
        sharing.positions[shipment] = sender
        sharing.shipment_count += 1
        for line in range(basket.line_count):
            sharing.taken[shipment * basket.line_count + line] = (
                basket.quantities[line]
                if sharing.assignment[sharing.item_of[line]] == sender else 0
            )


cdef int32_t share_pieces(Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                          const Basket* basket, const Terms* terms, int32_t most_shipments,
                          const int32_t* classes_of) noexcept nogil:
    """As above where the pieces of a line may come from several stores."""
    cdef Demand demand
    cdef Allocation to
    cdef int64_t wanted = sharing.sender_count * basket.line_count
    cdef int64_t line
    cdef int32_t place
    cdef const Sender* sender
    if sharing.sender_count == 0 or (basket.amounts == NULL and terms.step.least_amount > 0):
        return 0
    if wanted > sharing.sellable_capacity:
        if not grow(<void**>&sharing.sellable, wanted * sizeof(int32_t)):
            return 0
        sharing.sellable_capacity = wanted
    for place in range(sharing.sender_count):
        sender = sharing.senders + place
        for line in range(basket.line_count):
            sharing.sellable[place * basket.line_count + line] = <int32_t>pieces_offered(
                sharing, leaves, shelves, basket, terms, sender, line, classes_of
            )
    demand.line_count, demand.offer_count = <int32_t>basket.line_count, sharing.sender_count
    demand.most_shipments, demand.least_amount = most_shipments, terms.step.least_amount
    demand.asked, demand.amounts = basket.quantities, basket.amounts
    demand.distances_m, demand.sellable = sharing.distances_m, sharing.sellable
    to.positions, to.taken, to.missing = sharing.positions, sharing.taken, sharing.missing
    if terms.step.split == SPLIT_FEWEST:
        sharing.shipment_count = fewest_pieces(&demand, &to)
    else:
        sharing.shipment_count = nearest_pieces(&demand, &to)
    return sharing.shipment_count


cdef int64_t pieces_offered(const Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                            const Basket* basket, const Terms* terms, const Sender* sender,
                            int64_t line, const int32_t* classes_of) noexcept nogil:
    """What the sender has of a line; of lines that stay together, nothing unless it has them all."""
    cdef Bid bid
    if (stays_together(terms.step, classes_of, basket.skus[line])
            and not (sender.offer.items >> sharing.item_of[line]) & 1):
        return 0
    bid_of(&bid, sender)
    return sent_by(terms, leaves, shelves, basket.skus[line], &bid)


cdef Basket lines_taken(Sharing* sharing, const Basket* basket, int32_t shipment) noexcept nogil:
    """The line's money goes along with its pieces; what does not divide, with the first."""
    cdef Basket lines
    cdef const int32_t* taken = sharing.taken + shipment * basket.line_count
    cdef int64_t line, count = 0
    for line in range(basket.line_count):
        if taken[line] == 0:
            continue
        sharing.skus[count], sharing.quantities[count] = basket.skus[line], taken[line]
        sharing.line_amounts[count] = amount_taken(sharing, basket, shipment, line)
        count += 1
    lines.skus, lines.quantities = sharing.skus, sharing.quantities
    lines.amounts = NULL
    if basket.amounts != NULL:
        lines.amounts = sharing.line_amounts
    lines.line_count = count
    return lines


cdef int64_t amount_taken(const Sharing* sharing, const Basket* basket, int32_t shipment,
                          int64_t line) noexcept nogil:
    cdef int64_t before = 0, pieces = basket.quantities[line], amount
    cdef int32_t earlier, taken = sharing.taken[shipment * basket.line_count + line]
    if basket.amounts == NULL:
        return 0
    amount = basket.amounts[line]
    for earlier in range(shipment):
        before += sharing.taken[earlier * basket.line_count + line]
    # Rounded up from the front: the parts add up to the whole.
    return part_of(amount, before + taken, pieces) - part_of(amount, before, pieces)


cdef inline int64_t part_of(int64_t amount, int64_t some, int64_t pieces) noexcept nogil:
    """amount * some / pieces, rounded up, without the product, which may be too large."""
    cdef int64_t whole = amount // pieces, rest = amount % pieces
    # rest < pieces < 2**31 and some <= pieces: this product fits.
    return whole * some + (rest * some + pieces - 1) // pieces


@cython.final
cdef class Scratch:
    """Owns a Sharing."""

    def __init__(self):
        self.splitter = Splitter()
        self.sharing.work = &self.splitter.work

    def __dealloc__(self):
        free(self.sharing.senders)
        free(self.sharing.offers)
        free(self.sharing.distances_m)
        free(self.sharing.item_of)
        free(self.sharing.taken)
        free(self.sharing.missing)
        free(self.sharing.sellable)
        free(self.sharing.skus)
        free(self.sharing.quantities)
        free(self.sharing.line_amounts)
        free(self.sharing.rest_skus)
        free(self.sharing.rest_quantities)
        free(self.sharing.rest_amounts)
        free(self.sharing.words)
        free(self.sharing.groups.members)
