"""Which stores together fill an order, over plain arrays: no stores, no stock, no Python objects.

An *item* is what one store must send whole: a line, or the lines of a group that is never split.
An *offer* is what one store could send, as bits. Both functions fill assignment[item] = position of
the offer that sends it, and return the number of shipments; 0, and no promise about `assignment`,
where it cannot be done. What a shipment sends must be worth `least_amount` at least. Amounts are 0
or more, together below 2**59; with no amounts, nothing is asked.

`fewest`, up to EXACT_ITEMS items, gives

    1. the fewest shipments;
    2. of those the least sum of distances, each rounded to whole micrometres (half to even): sums
       of integers are exact, so that the order of adding does not matter;
    3. of those the smallest list of positions, as lists compare;
    4. for those offers the smallest assignment, as lists compare. Where no least amount forces
       otherwise, that is: each item goes to the first of the offers that has it.

Beyond EXACT_ITEMS it is greedy, and may need more shipments than there must be, or find no way
where there is one: the offer with most of what is missing sends all it has of it, of equals the
nearest, of those the first; then the next. `nearest` goes through the offers in order: each sends
all it has of what is missing. Both pass over an offer whose part would be worth too little.

How the exact search works. A solution is a partition of the items into parts, one a shipment. Every
set of items is a number below 2**16, and tables by set do the rest:

    singles[set]           distance in µm (47 bits) | position (16 bits): the best one offer for it
    sums[shipments][set]   the least sum by which exactly so many shipments send it; filled in as
                           asked for: the first item's part with the best for what remains
    parts[shipments][set]  the first item's part in the way that was chosen; 0: not chosen yet

Invariant: singles[set] <= singles[larger set]; the offers that stand in `singles` for all they have
are the candidates, and no other is in any best solution. A search with one more shipment begins
only where fewer would not do; so whatever it comes upon, no two parts have the same offer (one
shipment could send both), and of two ways to send a set, the smaller list stays the smaller when
the same offer joins both: what is best for a set is part of what is best for the whole.

Five items among 500 offers take some 3 µs, sixteen 1 to 5 ms. The worst that we could think of, up
to 4 shipments: 20 ms, or 60 ms where thousands of stores are all equally far, to the micrometre.
"""
cimport cython
from libc.math cimport llrint
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long word) noexcept nogil
    int lowest_bit "__builtin_ctzll"(unsigned long long word) noexcept nogil

cdef enum:
    POSITION_BITS = 16          # of a number in `singles`
    ITEM_BITS = 4               # of a shipment's number in a packed assignment
    MOST_LEVELS = 17            # of the tables: up to MOST_SHIPMENTS shipments

cdef int64_t UNKNOWN = -1
cdef int64_t NONE = (<int64_t>1) << 62
# Packed assignments of what cannot be, larger than any other.
cdef uint64_t UNSHARED = <uint64_t>-1
cdef uint64_t UNSHARABLE = <uint64_t>-2


# -- THE FEWEST --------------------------------------------------------------------------------

cdef int32_t fewest(const Offer* offers, int32_t offer_count, int32_t item_count,
                    const int64_t* amounts, int64_t least_amount, int32_t most_shipments,
                    int32_t* assignment, Workspace* work) noexcept nogil:
    """The fewest of up to `most_shipments`; see the module for what is best among equals."""
    cdef uint32_t all_items = <uint32_t>all_of(item_count)
    cdef int32_t shipments
    if amounts == NULL or least_amount < 0:
        least_amount = 0
    if item_count > EXACT_ITEMS:
        return most_at_once(offers, offer_count, item_count, amounts, least_amount,
                            most_shipments, assignment)
    if not prepare(work, offers, min(offer_count, MOST_OFFERS), item_count, amounts, least_amount):
        return 0
    for shipments in range(1, min(most_shipments, item_count) + 1):
        if shipments > 1:
            memset(work.sums + ((<int64_t>shipments) << item_count), 0xff,
                   sizeof(int64_t) << item_count)
        if least_sum(work, shipments, all_items) < NONE:
            memset(work.parts, 0, (sizeof(uint16_t) * (shipments + 1)) << item_count)
            assign(work, offers, shipments, all_items, assignment)
            return shipments
    return 0


cdef bint prepare(Workspace* work, const Offer* offers, int32_t offer_count, int32_t item_count,
                  const int64_t* amounts, int64_t least_amount) noexcept nogil:
    """Fill the tables that do not depend on the number of shipments; whether there is hope."""
    cdef uint32_t set_count = (<uint32_t>1) << item_count
    cdef uint32_t items, bit, together = 0
    cdef int64_t* single = work.sums + set_count
    cdef int64_t key
    cdef int32_t position
    work.item_count, work.least_amount = item_count, least_amount
    work.amounts[0] = 0
    if least_amount:
        for items in range(1, set_count):
            work.amounts[items] = (work.amounts[items & (items - 1)]
                                   + amounts[lowest_bit(items)])
    for items in range(set_count):
        work.singles[items] = NONE
    for position in range(offer_count):
        items = <uint32_t>offers[position].items & (set_count - 1)
        if items and is_worth_it(work, items):
            together |= items
            work.singles[items] = min(work.singles[items], key_of(&offers[position], position))
    if together != set_count - 1:
        return False
    bit = 1
    while bit < set_count:      # who can send a set can send any part of it
        for items in range(set_count):
            if not items & bit:
                work.singles[items] = min(work.singles[items], work.singles[items | bit])
        bit *= 2
    work.candidate_count = work.most_items = 0
    for position in range(offer_count):
        items = <uint32_t>offers[position].items & (set_count - 1)
        key = key_of(&offers[position], position)
        if items and work.singles[items] == key:
            work.candidates[work.candidate_count] = <uint16_t>items
            work.candidate_count += 1
            work.most_items = max(work.most_items, popcount(items))
    for items in range(set_count):
        single[items] = work.singles[items]
        if single[items] < NONE:
            single[items] >>= POSITION_BITS
        if not items or not is_worth_it(work, items):
            single[items] = NONE
    return True


cdef inline bint is_worth_it(const Workspace* work, uint32_t items) noexcept nogil:
    return not work.least_amount or work.amounts[items] >= work.least_amount


cdef inline int64_t key_of(const Offer* offer, int32_t position) noexcept nogil:
    """Offers compare by this: the nearer first, of equals the one that is preferred."""
    return <int64_t>llrint(offer.distance_m * 1e6) << POSITION_BITS | position


# The sets that the shipment with the first of some items may send, but never all of them. One way
# is to try every subset; the other, where parts need not be worth anything, every candidate.
cdef struct Parts:
    uint32_t items
    uint32_t others             # all but the first
    uint32_t rest               # the next subset of the others to leave
    const uint16_t* candidate   # the next candidate, or NULL: every subset
    const uint16_t* end


cdef inline Parts parts_of(const Workspace* work, uint32_t items) noexcept nogil:
    cdef Parts parts
    parts.items = items
    parts.others = parts.rest = items & (items - 1)
    parts.candidate = parts.end = NULL
    if not work.least_amount and work.candidate_count < 1 << popcount(parts.others):
        parts.candidate = work.candidates
        parts.end = work.candidates + work.candidate_count
    return parts


cdef inline uint32_t next_part(Parts* parts) noexcept nogil:
    """Another part; 0 where there is none."""
    cdef uint32_t part
    if parts.candidate == NULL:
        if parts.rest == 0:
            return 0
        part = parts.items ^ parts.rest
        parts.rest = (parts.rest - 1) & parts.others
        return part
    while parts.candidate < parts.end:
        part = parts.candidate[0] & parts.items
        parts.candidate += 1
        if part & ~parts.others and part != parts.items:
            return part
    return 0


cdef inline int64_t* sum_at(const Workspace* work, int32_t shipments,
                            uint32_t items) noexcept nogil:
    return work.sums + ((<int64_t>shipments) << work.item_count) + items


cdef int64_t least_sum(const Workspace* work, int32_t shipments, uint32_t items) noexcept nogil:
    """The least sum of distances, in µm, by which exactly so many shipments send `items`."""
    cdef int64_t* known = sum_at(work, shipments, items)
    cdef int64_t best = NONE, first
    cdef uint32_t part
    cdef Parts parts
    if known[0] != UNKNOWN:
        return known[0]
    if shipments <= popcount(items) <= shipments * work.most_items and (
            not work.least_amount or shipments * work.least_amount <= work.amounts[items]):
        parts = parts_of(work, items)
        part = next_part(&parts)
        while part:
            first = sum_at(work, 1, part)[0]
            if first < best:
                best = min(best, first + least_sum(work, shipments - 1, items ^ part))
            part = next_part(&parts)
    known[0] = best
    return best


# -- WHO SENDS WHAT ----------------------------------------------------------------------------

cdef void assign(Workspace* work, const Offer* offers, int32_t shipments, uint32_t items,
                 int32_t* assignment) noexcept nogil:
    """The best assignment for the best offers; that there is one is known."""
    cdef int32_t chosen[MOST_SHIPMENTS]
    cdef int32_t item, number
    cdef Sharing sharing
    settle(work, shipments, items)
    list_offers(work, shipments, items, chosen)
    if not work.least_amount:
        for item in range(work.item_count):
            number = 0
            while not (offers[chosen[number]].items >> item) & 1:
                number += 1
            assignment[item] = chosen[number]
        return
    sharing.shipments, sharing.later[shipments] = shipments, 0
    for number in range(shipments - 1, -1, -1):
        sharing.has[number] = <uint32_t>offers[chosen[number]].items & items
        sharing.later[number] = sharing.later[number + 1]
        if number + 1 < shipments:
            sharing.later[number] |= sharing.has[number + 1]
    memset(work.sums, 0xff, (sizeof(int64_t) * (shipments + 1)) << work.item_count)
    unpack(share(work, &sharing, 0, items), work.item_count, chosen, assignment)


cdef void settle(const Workspace* work, int32_t shipments, uint32_t items) noexcept nogil:
    """Choose among all ways with the least sum the one whose list of positions is smallest."""
    cdef uint16_t* settled = work.parts + ((<int64_t>shipments) << work.item_count) + items
    cdef int64_t least = sum_at(work, shipments, items)[0], first
    cdef int32_t best[MOST_SHIPMENTS]
    cdef int32_t found[MOST_SHIPMENTS]
    cdef int32_t count
    cdef uint32_t part
    cdef Parts parts
    if settled[0]:
        return
    if shipments == 1:
        settled[0] = <uint16_t>items
        return
    parts = parts_of(work, items)
    part = next_part(&parts)
    while part:
        first = sum_at(work, 1, part)[0]
        if first <= least and first + least_sum(work, shipments - 1, items ^ part) == least:
            settle(work, shipments - 1, items ^ part)
            count = list_offers(work, shipments - 1, items ^ part, found)
            insert(found, count, position_of(work, part))
            if not settled[0] or comes_before(found, best, shipments):
                settled[0] = <uint16_t>part
                for count in range(shipments):
                    best[count] = found[count]
        part = next_part(&parts)


cdef inline int32_t position_of(const Workspace* work, uint32_t part) noexcept nogil:
    return <int32_t>(work.singles[part] & (MOST_OFFERS - 1))


cdef int32_t list_offers(const Workspace* work, int32_t shipments, uint32_t items,
                         int32_t* found) noexcept nogil:
    """The positions of the offers that were chosen for `items`, in ascending order; how many."""
    cdef int32_t count = 0
    cdef uint32_t part
    while shipments:
        part = work.parts[((<int64_t>shipments) << work.item_count) + items]
        insert(found, count, position_of(work, part))
        count += 1
        items ^= part
        shipments -= 1
    return count


cdef inline void insert(int32_t* ascending, int32_t count, int32_t number) noexcept nogil:
    while count and ascending[count - 1] > number:
        ascending[count] = ascending[count - 1]
        count -= 1
    ascending[count] = number


cdef inline bint comes_before(const int32_t* one, const int32_t* other,
                              int32_t count) noexcept nogil:
    cdef int32_t place
    for place in range(count):
        if one[place] != other[place]:
            return one[place] < other[place]
    return False


# The chosen offers, in order, among whom items are shared out so that each has enough.
cdef struct Sharing:
    int32_t shipments
    uint32_t has[MOST_SHIPMENTS]
    uint32_t later[MOST_LEVELS]     # what any of those after it has


cdef uint64_t share(const Workspace* work, const Sharing* sharing, int32_t number,
                    uint32_t items) noexcept nogil:
    """The smallest assignment of `items` to the chosen offers from `number` on.

    It is packed, item 0 in the highest bits, so that assignments compare as numbers do. Each of
    those offers gets its least amount; UNSHARABLE where that cannot be. The tables of sums are no
    longer needed, and remember what was found out.
    """
    cdef uint64_t* known = <uint64_t*>sum_at(work, number, items)
    cdef uint64_t best = UNSHARABLE, others
    cdef uint32_t forced, wished, part
    if number == sharing.shipments:
        return UNSHARABLE if items else 0
    if known[0] != UNSHARED:
        return known[0]
    forced = items & ~sharing.later[number]
    if not forced & ~sharing.has[number]:
        wished = part = items & sharing.has[number] & ~forced
        while True:             # every subset of what it could leave to others, and none last
            if work.amounts[forced | part] >= work.least_amount:
                others = share(work, sharing, number + 1, items ^ forced ^ part)
                if others != UNSHARABLE:
                    best = min(best, others + number * spread(forced | part))
            if part == 0:
                break
            part = (part - 1) & wished
    known[0] = best
    return best


cdef inline uint64_t spread(uint32_t items) noexcept nogil:
    """A one in the place of each item of a packed assignment."""
    cdef uint64_t places = 0
    while items:
        places |= (<uint64_t>1) << (ITEM_BITS * (EXACT_ITEMS - 1 - lowest_bit(items)))
        items &= items - 1
    return places


cdef inline void unpack(uint64_t packed, int32_t item_count, const int32_t* chosen,
                        int32_t* assignment) noexcept nogil:
    cdef int32_t item
    for item in range(item_count):
        assignment[item] = chosen[(packed >> (ITEM_BITS * (EXACT_ITEMS - 1 - item))) & 15]


# -- ONE AFTER ANOTHER -------------------------------------------------------------------------

cdef int32_t most_at_once(const Offer* offers, int32_t offer_count, int32_t item_count,
                          const int64_t* amounts, int64_t least_amount, int32_t most_shipments,
                          int32_t* assignment) noexcept nogil:
    """The offer with most of what is missing, then again: for more than EXACT_ITEMS items."""
    cdef uint64_t missing = all_of(item_count)
    cdef uint64_t part
    cdef int32_t shipment, position, best
    for shipment in range(most_shipments):
        best = -1
        for position in range(offer_count):
            part = offers[position].items & missing
            if not part or (least_amount and worth(amounts, part) < least_amount):
                continue
            if best < 0 or is_better(&offers[position], &offers[best], missing):
                best = position
        if best < 0:
            return 0
        send(offers[best].items & missing, best, assignment)
        missing &= ~offers[best].items
        if not missing:
            return shipment + 1
    return 0


cdef inline bint is_better(const Offer* offer, const Offer* other, uint64_t missing) noexcept nogil:
    cdef int32_t more = popcount(offer.items & missing) - popcount(other.items & missing)
    return more > 0 or (more == 0 and offer.distance_m < other.distance_m)


cdef int32_t nearest(const Offer* offers, int32_t offer_count, int32_t item_count,
                     const int64_t* amounts, int64_t least_amount, int32_t most_shipments,
                     int32_t* assignment) noexcept nogil:
    """Each offer in order sends all it has of what is missing, up to `most_shipments` of them."""
    cdef uint64_t missing = all_of(item_count)
    cdef uint64_t part
    cdef int32_t position, shipments = 0
    if amounts == NULL or least_amount < 0:
        least_amount = 0
    for position in range(offer_count):
        part = offers[position].items & missing
        if not part or (least_amount and worth(amounts, part) < least_amount):
            continue
        send(part, position, assignment)
        missing ^= part
        shipments += 1
        if not missing:
            return shipments
        if shipments == most_shipments:
            return 0
    return 0


cdef inline uint64_t all_of(int32_t item_count) noexcept nogil:
    return (<uint64_t>-1) >> (MOST_ITEMS - item_count)


cdef int64_t worth(const int64_t* amounts, uint64_t items) noexcept nogil:
    cdef int64_t amount = 0
    while items:
        amount += amounts[lowest_bit(items)]
        items &= items - 1
    return amount


cdef void send(uint64_t items, int32_t position, int32_t* assignment) noexcept nogil:
    while items:
        assignment[lowest_bit(items)] = position
        items &= items - 1


# -- IN PYTHON ---------------------------------------------------------------------------------

@cython.final
cdef class Splitter:
    """Room to search in, some 12 MB of which a search of few items touches little.

    Its methods are for tests and explanations: `distances_m` float64[n] and `items` uint64[n] are
    the offers, `amounts` int64[item_count] or None; the answer is an assignment, int32[item_count],
    or None where it cannot be done.
    """

    def __cinit__(self):
        self.work.amounts = <int64_t*>malloc(ITEM_SETS * sizeof(int64_t))
        self.work.singles = <int64_t*>malloc(ITEM_SETS * sizeof(int64_t))
        self.work.candidates = <uint16_t*>malloc(ITEM_SETS * sizeof(uint16_t))
        self.work.sums = <int64_t*>malloc(MOST_LEVELS * ITEM_SETS * sizeof(int64_t))
        self.work.parts = <uint16_t*>malloc(MOST_LEVELS * ITEM_SETS * sizeof(uint16_t))
        if (self.work.amounts == NULL or self.work.singles == NULL or self.work.candidates == NULL
                or self.work.sums == NULL or self.work.parts == NULL):
            raise MemoryError("no room to split orders")

    def __dealloc__(self):
        free(self.work.amounts)
        free(self.work.singles)
        free(self.work.candidates)
        free(self.work.sums)
        free(self.work.parts)

    def fewest(self, distances_m, items, int32_t item_count, int32_t most_shipments, *,
               amounts=None, int64_t least_amount=0):
        """As few shipments as can be, at most `most_shipments`."""
        return self._split(distances_m, items, item_count, most_shipments, amounts, least_amount,
                           True)

    def nearest(self, distances_m, items, int32_t item_count, int32_t most_shipments, *,
                amounts=None, int64_t least_amount=0):
        """One offer after another."""
        return self._split(distances_m, items, item_count, most_shipments, amounts, least_amount,
                           False)

    def _split(self, distances_m, items, int32_t item_count, int32_t most_shipments, amounts,
               int64_t least_amount, bint as_few_as_can_be):
        if not (1 <= item_count <= MOST_ITEMS and 1 <= most_shipments <= MOST_SHIPMENTS):
            raise ValueError(f"{item_count} items, {most_shipments} shipments")
        if amounts is not None and len(amounts) != item_count:
            raise ValueError(f"{len(amounts)} amounts for {item_count} items")
        cdef const Offer[::1] offers = _offers(distances_m, items)
        cdef int32_t[::1] assignment = np.full(item_count, -1, dtype=np.int32)
        cdef const int64_t[::1] worths = np.array([0] if amounts is None else amounts, np.int64)
        cdef const int64_t* worth = &worths[0] if amounts is not None else NULL
        cdef int32_t offer_count = <int32_t>offers.shape[0] - 1
        cdef int32_t shipments
        with nogil:
            if as_few_as_can_be:
                shipments = fewest(&offers[0], offer_count, item_count, worth, least_amount,
                                   most_shipments, &assignment[0], &self.work)
            else:
                shipments = nearest(&offers[0], offer_count, item_count, worth, least_amount,
                                    most_shipments, &assignment[0])
        return np.asarray(assignment) if shipments else None


def _offers(distances_m, items):
    """The offers as the core sees them, and one more, so that there is a first."""
    offers = np.zeros(len(distances_m) + 1, dtype=[("distance_m", "f8"), ("items", "u8")])
    offers["distance_m"][:-1] = distances_m
    offers["items"][:-1] = items
    return offers
