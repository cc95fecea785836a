"""Which stores together fill an order, where the pieces of one line may come from several.

The shipments take one after another: each as much as its store has of what is still missing, so
that the shipment before never takes less than it could. What a shipment is worth is the sum over
lines of floor(amount * pieces / asked); it must reach the least amount, if there is one. Both
functions return the number of shipments; 0, and no promise about the allocation, where it cannot be
done. Lines that must stay together are one line of which 1 is asked, and 1 or 0 sellable.

`fewest_pieces` lets the offers take in their order, and gives the fewest shipments; of those the
least sum of distances, each rounded to whole micrometres (half to even); of those the smallest list
of positions. It tries lists of one offer, of two, up to EXACT_SHIPMENTS, with two short cuts:

    tops[n][line]   what the n best-stocked stores have of it together: a list that cannot be
                    completed with as much is given up
    kept            the offers to try. Where n offers before it, none of them farther, have as much
                    as an offer of each line that anyone could ask it for, a list of n offers is no
                    worse with one of those in its place

Beyond its limits (see pieces.pxd) it takes the best that it has found; else, or with more
shipments, it is greedy: the store that has most of the missing pieces, of equals the nearest, of
those the first; then the next. `nearest_pieces` goes through the offers in order. Both pass over an
offer whose part would be worth too little. Five lines among 500 offers take some 0.1 ms; at the
limits, with 16 lines, it is some 10 ms.
"""
from libc.math cimport llrint
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memset

import numpy as np

cdef int64_t NONE = (<int64_t>1) << 62

# The lists of one length, while they are tried.
cdef struct Search:
    const Demand* demand
    Allocation* to
    int32_t shipments
    int32_t looks
    int32_t kept_count
    int32_t kept[MOST_KEPT]
    int64_t tops[EXACT_SHIPMENTS + 1][EXACT_LINES]
    int64_t best_um
    int32_t best[EXACT_SHIPMENTS]


cdef inline const int32_t* stock_of(const Demand* demand, int32_t position) noexcept nogil:
    return demand.sellable + <int64_t>position * demand.line_count


cdef inline int64_t distance_um(const Demand* demand, int32_t position) noexcept nogil:
    return <int64_t>llrint(demand.distances_m[position] * 1e6)


# -- ONE SHIPMENT ------------------------------------------------------------------------------

cdef bint take(const Demand* demand, Allocation* to, int32_t shipment,
               int32_t position) noexcept nogil:
    """Let an offer send all it has of what is missing; nothing, where that is worth too little."""
    cdef const int32_t* sellable = stock_of(demand, position)
    cdef int32_t* taken = to.taken + <int64_t>shipment * demand.line_count
    cdef int64_t pieces = 0, worth = 0
    cdef int32_t line
    for line in range(demand.line_count):
        taken[line] = min(sellable[line], to.missing[line])
        pieces += taken[line]
        if demand.amounts != NULL:
            worth += share_of(demand.amounts[line], taken[line], demand.asked[line])
    if pieces == 0 or (demand.amounts != NULL and worth < demand.least_amount):
        return False
    to.positions[shipment] = position
    for line in range(demand.line_count):
        to.missing[line] -= taken[line]
    return True


cdef inline int64_t share_of(int64_t amount, int32_t pieces, int32_t asked) noexcept nogil:
    """floor(amount * pieces / asked), which the product itself might be too large for."""
    return amount // asked * pieces + amount % asked * pieces // asked


cdef void put_back(const Demand* demand, Allocation* to, int32_t shipment) noexcept nogil:
    """Undo `take`."""
    cdef const int32_t* taken = to.taken + <int64_t>shipment * demand.line_count
    cdef int32_t line
    for line in range(demand.line_count):
        to.missing[line] += taken[line]


cdef bint is_complete(const Demand* demand, const Allocation* to) noexcept nogil:
    cdef int32_t line
    for line in range(demand.line_count):
        if to.missing[line]:
            return False
    return True


cdef inline void begin(const Demand* demand, Allocation* to) noexcept nogil:
    memcpy(to.missing, demand.asked, demand.line_count * sizeof(int32_t))


# -- THE FEWEST --------------------------------------------------------------------------------

cdef int32_t fewest_pieces(const Demand* demand, Allocation* to) noexcept nogil:
    """The fewest of up to `most_shipments`; see the module for what is best among equals."""
    cdef Search search
    cdef int32_t number
    if demand.line_count > EXACT_LINES:
        return most_at_once(demand, to)
    begin(demand, to)
    search.demand, search.to, search.looks, search.best_um = demand, to, 0, NONE
    find_tops(&search)
    for search.shipments in range(1, min(demand.most_shipments, EXACT_SHIPMENTS) + 1):
        if not keep(&search):
            break
        look(&search, 0, 0, 0)
        if search.best_um < NONE:
            for number in range(search.shipments):
                take(demand, to, number, search.best[number])
            return search.shipments
        if search.looks > MOST_LOOKS:
            break
    else:
        if demand.most_shipments <= EXACT_SHIPMENTS:
            return 0
    return most_at_once(demand, to)


cdef void find_tops(Search* search) noexcept nogil:
    """Fill `tops`: the most that so many offers can have of each line."""
    cdef const int32_t* sellable
    cdef int64_t stock
    cdef int32_t position, line, rank
    memset(search.tops, 0, sizeof(search.tops))
    for position in range(search.demand.offer_count):
        sellable = stock_of(search.demand, position)
        for line in range(search.demand.line_count):
            stock = sellable[line]
            for rank in range(1, EXACT_SHIPMENTS + 1):
                if stock > search.tops[rank][line]:
                    stock, search.tops[rank][line] = search.tops[rank][line], stock
    for rank in range(1, EXACT_SHIPMENTS + 1):
        for line in range(search.demand.line_count):
            search.tops[rank][line] += search.tops[rank - 1][line]


cdef bint keep(Search* search) noexcept nogil:
    """Fill `kept` for lists of the length at hand; False beyond the limits."""
    cdef const Demand* demand = search.demand
    cdef int32_t position, better, number
    search.kept_count = 0
    for position in range(demand.offer_count):
        better = 0
        if demand.amounts == NULL or demand.least_amount <= 0:   # else parts must not change
            for number in range(search.kept_count):
                better += can_replace(demand, search.kept[number], position)
                if better == search.shipments:
                    break
            search.looks += search.kept_count
        if better == search.shipments:
            continue
        if search.kept_count == MOST_KEPT or search.looks > MOST_LOOKS:
            return False
        search.kept[search.kept_count] = position
        search.kept_count += 1
    return True


cdef inline bint can_replace(const Demand* demand, int32_t before, int32_t position) noexcept nogil:
    """Whether an offer before another has as much, as far as anyone could ask, and no farther."""
    cdef const int32_t* more = stock_of(demand, before)
    cdef const int32_t* less = stock_of(demand, position)
    cdef int32_t line
    for line in range(demand.line_count):
        if more[line] < min(less[line], demand.asked[line]):
            return False
    return distance_um(demand, before) <= distance_um(demand, position)


cdef void look(Search* search, int32_t number, int32_t first, int64_t sum_um) noexcept nogil:
    """Try every list that goes on with a kept offer from `first` on."""
    cdef int32_t left = search.shipments - number - 1
    cdef int32_t place, position
    cdef int64_t sum_with
    for place in range(first, search.kept_count - left):
        search.looks += 1
        if search.looks > MOST_LOOKS:
            return
        position = search.kept[place]
        sum_with = sum_um + distance_um(search.demand, position)
        if sum_with >= search.best_um or not can_complete(search, position, left):
            continue
        if not take(search.demand, search.to, number, position):
            continue
        if left:
            look(search, number + 1, place + 1, sum_with)
        else:
            search.best_um = sum_with
            memcpy(search.best, search.to.positions, search.shipments * sizeof(int32_t))
        put_back(search.demand, search.to, number)


cdef inline bint can_complete(const Search* search, int32_t position, int32_t left) noexcept nogil:
    """Whether an offer and so many others, at best, have all that is missing."""
    cdef const int32_t* sellable = stock_of(search.demand, position)
    cdef int32_t line
    for line in range(search.demand.line_count):
        if sellable[line] + search.tops[left][line] < search.to.missing[line]:
            return False
    return True


# -- ONE AFTER ANOTHER -------------------------------------------------------------------------

cdef int32_t most_at_once(const Demand* demand, Allocation* to) noexcept nogil:
    """The offer with most of the missing pieces, then again."""
    cdef int32_t shipment, position, best
    cdef int64_t pieces, most
    begin(demand, to)
    for shipment in range(demand.most_shipments):
        best, most = -1, 0
        for position in range(demand.offer_count):
            pieces = pieces_of(demand, to, position)
            if is_among(to.positions, shipment, position) or pieces < most or pieces == 0 or (
                    pieces == most
                    and demand.distances_m[position] >= demand.distances_m[best]):
                continue
            if take(demand, to, shipment, position):
                put_back(demand, to, shipment)
                best, most = position, pieces
        if best < 0:
            return 0
        take(demand, to, shipment, best)
        if is_complete(demand, to):
            return shipment + 1
    return 0


cdef int64_t pieces_of(const Demand* demand, const Allocation* to, int32_t position) noexcept nogil:
    """How many of the missing pieces an offer has."""
    cdef const int32_t* sellable = stock_of(demand, position)
    cdef int64_t pieces = 0
    cdef int32_t line
    for line in range(demand.line_count):
        pieces += min(sellable[line], to.missing[line])
    return pieces


cdef inline bint is_among(const int32_t* positions, int32_t count, int32_t position) noexcept nogil:
    cdef int32_t number
    for number in range(count):
        if positions[number] == position:
            return True
    return False


cdef int32_t nearest_pieces(const Demand* demand, Allocation* to) noexcept nogil:
    """Each offer in order sends all it has of what is missing, up to `most_shipments` of them."""
    cdef int32_t position, shipments = 0
    begin(demand, to)
    for position in range(demand.offer_count):
        if not take(demand, to, shipments, position):
            continue
        shipments += 1
        if is_complete(demand, to):
            return shipments
        if shipments == demand.most_shipments:
            return 0
    return 0


# -- IN PYTHON ---------------------------------------------------------------------------------

def fewest(distances_m, sellable, asked, int32_t most_shipments, *, amounts=None,
           int64_t least_amount=0):
    """As few shipments as can be: positions int32[n] and pieces int32[n, line], or None.

    `distances_m`: float64[offer]. `sellable`: int32[offer, line]. `asked`: int32[line], 1 or more.
    `amounts`: int64[line], what each line is worth, or None.
    """
    return _split(distances_m, sellable, asked, most_shipments, amounts, least_amount, True)


def nearest(distances_m, sellable, asked, int32_t most_shipments, *, amounts=None,
            int64_t least_amount=0):
    """One offer after another, from and to the same as `fewest`."""
    return _split(distances_m, sellable, asked, most_shipments, amounts, least_amount, False)


def _split(distances_m, sellable, asked, int32_t most_shipments, amounts, int64_t least_amount,
           bint as_few_as_can_be):
    # One of each more, so that there is a first.
    cdef const double[::1] distances = np.array([*distances_m, 0.0], dtype=np.float64)
    cdef const int32_t[::1] wanted = np.array(asked, dtype=np.int32)
    cdef const int32_t[:, ::1] stock = np.array([*sellable, asked], dtype=np.int32)
    cdef const int64_t[::1] worths = np.array([0] if amounts is None else amounts, np.int64)
    if not (stock.shape[0] == distances.shape[0] and wanted.shape[0] and most_shipments > 0
            and (amounts is None or len(amounts) == len(asked)) and min(asked) > 0):
        raise ValueError(f"{asked} of {len(sellable)} offers in {most_shipments} shipments")
    cdef int32_t[::1] positions = np.zeros(most_shipments, dtype=np.int32)
    cdef int32_t[:, ::1] taken = np.zeros((most_shipments, wanted.shape[0]), dtype=np.int32)
    cdef int32_t[::1] missing = np.zeros(wanted.shape[0], dtype=np.int32)
    cdef Demand demand
    cdef Allocation to
    cdef int32_t shipments
    demand.line_count = <int32_t>wanted.shape[0]
    demand.offer_count = <int32_t>distances.shape[0] - 1
    demand.most_shipments, demand.least_amount = most_shipments, least_amount
    demand.asked, demand.distances_m, demand.sellable = &wanted[0], &distances[0], &stock[0, 0]
    demand.amounts = &worths[0] if amounts is not None else NULL
    to.positions, to.taken, to.missing = &positions[0], &taken[0, 0], &missing[0]
    with nogil:
        if as_few_as_can_be:
            shipments = fewest_pieces(&demand, &to)
        else:
            shipments = nearest_pieces(&demand, &to)
    if shipments == 0:
        return None
    return np.asarray(positions)[:shipments], np.asarray(taken)[:shipments]
