"""What one order is routed under: which stores may have it, and which of two is better.

Three sieves, from coarse to exact. The bitmaps of a step (who is open, of the right kind and region,
takes such orders) and of room and abilities drop 64 stores at a time; `may_have` asks one store
whether it serves the place and keeps the promise; `offers_all` looks at its counts. A store wins that
passes all three and ranks first.

Values are compared as float64, computed in the order in which they are written here and nowhere
else, so that two stores tie here exactly when they tie in a slow and obvious retelling.
"""
from libc.math cimport INFINITY, fabs, floor
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t

from fendan.engine.areas cimport serves
from fendan.engine.geo cimport Place
from fendan.engine.larder cimport Keep, first_good, good_from
from fendan.engine.loads cimport Load
from fendan.engine.lots cimport NO_DAY, first_day
from fendan.engine.shelves cimport (
    Basket, Quantity, Shelves, has_lots, offered, on_sale, quantity,
)

cdef enum:
    S_PER_DAY = 86400


cdef int64_t offered_to(const Terms* terms, const Shelves* shelves, int32_t sku,
                        const Bid* bid) noexcept nogil:
    cdef int64_t free = counted_for(terms, shelves, sku, bid)
    if free and has_lots(shelves, sku):
        free = min(free, good_from(&shelves.larder, bid.store, sku,
                                   good_day(terms, shelves, sku, bid)))
    return free


cdef inline int64_t counted_for(const Terms* terms, const Shelves* shelves, int32_t sku,
                                const Bid* bid) noexcept nogil:
    """As `offered_to`, if nothing expired."""
    cdef const Quantity* pair
    cdef int64_t free
    if terms.hidden != NULL and terms.hidden[sku]:
        return 0
    pair = quantity(shelves, sku, bid.ordinal)
    if pair == NULL:
        return 0
    free = on_sale(shelves, sku, bid.ordinal, pair)
    if terms.millionths != NULL:
        free = offered(free, terms.millionths[bid.store])
    return free


cdef bint counts_suffice(const Terms* terms, const Shelves* shelves, const Bid* bid,
                         const Basket* basket) noexcept nogil:
    cdef int64_t line
    for line in range(basket.line_count):
        if counted_for(terms, shelves, basket.skus[line], bid) < basket.quantities[line]:
            return False
    return True


cdef inline int32_t good_day(const Terms* terms, const Shelves* shelves, int32_t sku,
                             const Bid* bid) noexcept nogil:
    """The first sell-by day that is late enough, if the store has the order."""
    return first_good(&shelves.larder, sku, keep_at(
        terms, bid.store, promised_ns(terms, bid.store, bid.distance_m)
    ))


cdef bint offers_all(const Terms* terms, const Shelves* shelves, const Bid* bid,
                     const Basket* basket) noexcept nogil:
    cdef int64_t line
    for line in range(basket.line_count):
        if offered_to(terms, shelves, basket.skus[line], bid) < basket.quantities[line]:
            return False
    return True


cdef bint may_have(Terms* terms, const Place* place, int32_t store, double distance_m) noexcept nogil:
    if terms.rule.most_s < INFINITY and needed_s(terms, store, distance_m) > terms.rule.most_s:
        return False
    return serves_place(terms, place, store, distance_m)


cdef bint serves_place(Terms* terms, const Place* place, int32_t store,
                       double distance_m) noexcept nogil:
    if not terms.step.areas or terms.standing.areas == NULL:
        return True
    return serves(terms.standing.areas, store, place.lat, place.lng, distance_m, &terms.cell)


cdef double needed_s(const Terms* terms, int32_t store, double distance_m) noexcept nogil:
    """See rules.Promise."""
    cdef int64_t opens_ns = terms.standing.stores[store].opens_ns
    cdef double wait_s = 0.0
    if opens_ns > terms.now_ns:
        wait_s = <double>(opens_ns - terms.now_ns) / NS_PER_S
    return wait_s + handling_s(terms, store, distance_m)


cdef double handling_s(const Terms* terms, int32_t store, double distance_m) noexcept nogil:
    cdef const RuleTerms* rule = terms.rule
    return (
        rule.pick_s
        + rule.pick_s_per_open_order * terms.standing.loads[store].open_orders
        + distance_m * rule.detour / rule.speeds_mps[terms.standing.stores[store].local_hour]
    )


cdef int64_t promised_ns(const Terms* terms, int32_t store, double distance_m) noexcept nogil:
    if terms.standing.stores[store].opens_ns == NEVER_NS:
        return 0
    return terms.now_ns + <int64_t>(needed_s(terms, store, distance_m) * NS_PER_S)


cdef Keep keep_at(const Terms* terms, int32_t store, int64_t when_ns) noexcept nogil:
    cdef Keep keep
    keep.day = local_day(terms, store, max(when_ns, terms.now_ns))
    keep.least_life_days = terms.least_life_days
    return keep


cdef inline int32_t local_day(const Terms* terms, int32_t store, int64_t when_ns) noexcept nogil:
    return <int32_t>((when_ns // NS_PER_S + terms.standing.stores[store].utc_offset_s) // S_PER_DAY)


# -- RANKING -----------------------------------------------------------------------------------

cdef void rank(const Terms* terms, const Shelves* shelves, const Basket* basket,
               Bid* bid) noexcept nogil:
    cdef const RuleTerms* rule = terms.rule
    cdef double score = 0.0
    cdef int32_t place
    bid.open_orders = terms.standing.loads[bid.store].open_orders
    for place in range(rule.criterion_count):
        bid.values[place] = value_of(terms, shelves, basket, bid, &rule.criteria[place])
    if not rule.scored:
        return
    for place in range(rule.criterion_count):
        score += rule.criteria[place].weight * bid.values[place]
    bid.values[0] = score


cdef double value_of(const Terms* terms, const Shelves* shelves, const Basket* basket,
                     const Bid* bid, const Criterion* criterion) noexcept nogil:
    """See rules.RankBy: less is better."""
    if criterion.by == BY_DISTANCE:
        return bid.distance_m
    if criterion.by == BY_DISTANCE_BAND:
        return floor(bid.distance_m / criterion.width_m)
    if criterion.by == BY_STOCK:
        return -depth(terms, shelves, basket, bid)
    if criterion.by == BY_FRESHNESS:
        return -life_days(terms, shelves, basket, bid)
    return standing_value(terms.standing, bid.store, criterion.by)


cdef inline double standing_value(const Standing* standing, int32_t store,
                                  uint8_t by) noexcept nogil:
    """What any order sees in the store."""
    if by == BY_LOAD:
        return load_of(standing.loads + store)
    if by == BY_PRIORITY:
        return standing.stores[store].priority
    return standing.stores[store].cost


cdef inline double load_of(const Load* load) noexcept nogil:
    """Of what it can take at once, how much the store has; nothing of what has no end."""
    if load.most_open == INT64_MAX:
        return 0.0
    return <double>load.open_orders / <double>load.most_open


cdef double depth(const Terms* terms, const Shelves* shelves, const Basket* basket,
                  const Bid* bid) noexcept nogil:
    """What the store offers beyond the order, of the line where that is least."""
    cdef int64_t least = MOST_DEPTH, line, more
    for line in range(basket.line_count):
        more = offered_to(terms, shelves, basket.skus[line], bid)
        more -= basket.quantities[line]
        if more < least:
            least = more
    return <double>least


cdef double life_days(const Terms* terms, const Shelves* shelves, const Basket* basket,
                      const Bid* bid) noexcept nogil:
    """How many days what the store would send may still be sold, of the line where that is least."""
    cdef int64_t least = MOST_LIFE_DAYS, line
    cdef int32_t sku, day
    for line in range(basket.line_count):
        sku = basket.skus[line]
        if not has_lots(shelves, sku):
            continue
        day = first_day(shelves.larder.lots, bid.store, sku, good_day(terms, shelves, sku, bid),
                        basket.quantities[line])
        if day != NO_DAY:
            least = min(least, <int64_t>day - local_day(terms, bid.store, terms.now_ns))
    return <double>least


cdef int compare(const Terms* terms, const Bid* one, const Bid* other) noexcept nogil:
    cdef int32_t place, count = 1 if terms.rule.scored else terms.rule.criterion_count
    for place in range(count):
        if one.values[place] != other.values[place]:
            return -1 if one.values[place] < other.values[place] else 1
    if one.distance_m != other.distance_m:
        return -1 if one.distance_m < other.distance_m else 1
    return 0


cdef double reach_m(const Terms* terms, const Bid* best) noexcept nogil:
    """Only the first criterion can bound the distance; a score, as far as distance is part of it."""
    cdef const RuleTerms* rule = terms.rule
    cdef double lost
    if rule.scored:
        if rule.distance_weight <= 0.0:
            return INFINITY
        # Sums are rounded: what is lost beside large values can be many metres.
        lost = (fabs(best.values[0]) + fabs(rule.rest)) * 1e-14
        return (best.values[0] - rule.rest + lost) / rule.distance_weight * (1.0 + 1e-9) + 1e-3
    if rule.criterion_count == 0 or rule.criteria[0].by == BY_DISTANCE:
        return best.distance_m
    if rule.criteria[0].by == BY_DISTANCE_BAND:
        return (best.values[0] + 1.0) * rule.criteria[0].width_m * (1.0 + 1e-9)
    return INFINITY
