"""One order of a batch under a policy: who may fill it, and what it is given.

A *job* is an order with its plan and its terms; the *desk* is what all orders of the batch share.
Nothing here decides in which order steps are tried (see dispatch): these are the single moves, each
of which reserves what it says, or nothing.

A guess made some orders ahead (see router) is right at settling if the store's values are what they
were: within a batch stock only shrinks and stores only get busier, so no other can have become
better. A store that was given no order meanwhile has its values and its counts, keeps its promise
and serves the place as it did. Where counts are compared, nothing is guessed.
"""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from fendan.engine.areas cimport prefetch_areas
from fendan.engine.asking cimport Asked
from fendan.engine.batch cimport Columns, asked_at
from fendan.engine.book cimport RuleBook, set_terms
from fendan.engine.geo cimport distance_between_m, set_place
from fendan.engine.larder cimport Keep, keep_day
from fendan.engine.loads cimport back_to, order_came
from fendan.engine.names cimport NO_NAME
from fendan.engine.network cimport NO_STORE, STORES_PER_LEAF, Leaves, id_is_smaller
from fendan.engine.offers cimport Sharing, bid_of, lines_taken, reserve_sharing, share_out
from fendan.engine.plan cimport NOT_FOUND, make_keys, prefetch_found
from fendan.engine.room cimport prefetch
from fendan.engine.router cimport REASON_NONE, STATUS_ASSIGNED, Verdict
from fendan.engine.search cimport (
    find_under, note_rest, prefetch_rest, search_nearest, search_rest, search_second, set_search,
)
from fendan.engine.shipments cimport Grant, Part, add_part, lines_of, reserve_part
from fendan.engine.shelves cimport (
    FEW_LINES, Basket, Quantity, available, give_back, lowest_bit, take, take_found,
)
from fendan.engine.terms cimport (
    NEVER_NS, NS_PER_S, SPLIT_NEVER, Bid, StepTerms, Terms, fit_words, handling_s,
    keep_at, may_have, offered_to, offers_all, promised_ns, rank, serves_place,
)

cdef enum:
    TYPE_PRESALE = 5            # rules.OrderType
    COLUMNS_AHEAD = 16          # orders: some cache lines of each column


# -- BEGINNING ---------------------------------------------------------------------------------

cdef void begin(Desk* desk, Job* job, int64_t row) noexcept nogil:
    """Which rule the order comes under, and where it is."""
    cdef const Columns* orders = desk.orders
    cdef const Asked* asked = asked_at(orders, row)
    job.row = row
    job.basket.skus = orders.skus + orders.offsets[row]
    job.basket.quantities = orders.quantities + orders.offsets[row]
    job.basket.amounts = NULL
    if orders.amounts != NULL:
        job.basket.amounts = orders.amounts + orders.offsets[row]
    job.basket.line_count = orders.offsets[row + 1] - orders.offsets[row]
    set_terms(desk.book, &job.terms, asked, &job.basket, orders.lat[row], orders.lng[row],
              desk.now_ns)
    set_place(&job.plan.place, &job.plan.sketch, orders.lat[row], orders.lng[row])
    job.guess.ordinal = NOT_FOUND


cdef void begin_alone(Desk* desk, Job* job, int64_t row) noexcept nogil:
    begin(desk, job, row)
    make_keys(&job.plan, &job.keys, desk.leaves)


cdef void begin_guess(Desk* desk, Job* job) noexcept nogil:
    """Search by the bitmaps alone, where that can be right."""
    job.guesses = not (job.terms.rule.sees_counts or job.terms.step.name == STEP_BACKORDER)
    if not job.guesses:
        return
    set_search(&job.search, desk.leaves, desk.shelves, &job.plan, &job.basket,
               job.terms.step.allowed, job.terms.step.radius_m, False)
    job.search.terms = &job.terms
    search_nearest(&job.search)


cdef void narrow_guess(Job* job) noexcept nogil:
    if job.guesses:
        note_rest(&job.search)


cdef void prefetch_guess(const Job* job) noexcept nogil:
    if job.guesses:
        prefetch_rest(&job.search)


cdef void end_guess(Job* job) noexcept nogil:
    if job.guesses:
        search_rest(&job.search)


cdef void note_guess(Desk* desk, Job* job) noexcept nogil:
    """What was found, and fetch what will be asked of it."""
    if not job.guesses:
        return
    if job.search.best == NOT_FOUND:
        job.guess.ordinal = NOT_FOUND
    else:
        job.guess = job.search.bid
    job.passes = False
    prefetch_found(desk.leaves, desk.shelves, job.guess.ordinal, &job.basket, job.pairs)
    prefetch_store(desk, job)


cdef void guess_again(Desk* desk, Job* job) noexcept nogil:
    """Where what was fetched meanwhile rules the guess out, guess who is next."""
    if job.guess.ordinal == NOT_FOUND:
        return
    job.passes = passes(desk, job)
    if not job.passes:
        search_second(&job.search)
        note_guess(desk, job)


cdef bint passes(Desk* desk, Job* job) noexcept nogil:
    """Whether the guessed store may have the order, and offers all of it."""
    return (may_have(&job.terms, &job.plan.place, job.guess.store, job.guess.distance_m)
            and offers_all(&job.terms, desk.shelves, &job.guess, &job.basket))


cdef bint is_still_best(Desk* desk, Job* job) noexcept nogil:
    """Whether the guessed store is what it was, and has all of the order."""
    if not may_ask(desk, &job.terms, job.terms.step.allowed, job.guess.ordinal):
        return False
    if desk.book.loads.stores[job.guess.store].open_orders == job.guess.open_orders:
        return job.passes or passes(desk, job)  # what no order came to has what it had
    return is_as_good(desk, job) and passes(desk, job)


cdef bint is_as_good(Desk* desk, Job* job) noexcept nogil:
    """Whether the guessed store, busier by now, is worth what it was."""
    cdef Bid now = job.guess
    cdef int32_t place
    rank(&job.terms, desk.shelves, &job.basket, &now)
    for place in range(job.terms.rule.criterion_count):
        if now.values[place] != job.guess.values[place]:
            return False
    return True


cdef void prefetch_rules(const RuleBook* book, const Columns* orders, int64_t row) noexcept nogil:
    cdef int64_t line
    # More columns are read side by side than processors see coming.
    prefetch(orders.lat + row + COLUMNS_AHEAD)
    prefetch(orders.lng + row + COLUMNS_AHEAD)
    if orders.asked != NULL and orders.asked_rows == NULL:
        prefetch(orders.asked + row + COLUMNS_AHEAD)
    for line in range(orders.offsets[row], orders.offsets[row + 1]):
        if book.class_sets_of != NULL:
            prefetch(book.class_sets_of + orders.skus[line])
        if book.needs_of != NULL:
            prefetch(book.needs_of + orders.skus[line])


cdef void prefetch_store(const Desk* desk, const Job* job) noexcept nogil:
    cdef int32_t store = job.guess.store
    prefetch(desk.verdicts + job.row)
    prefetch(desk.grants + job.row)
    prefetch(<const char*>(desk.grants + job.row + 1) - 1)
    if job.guess.ordinal == NOT_FOUND:
        return
    if job.terms.standing.areas != NULL:
        prefetch_areas(job.terms.standing.areas, store, job.guess.distance_m)
    prefetch(job.terms.standing.loads + store)
    prefetch(job.terms.standing.stores + store)
    if job.terms.millionths != NULL:
        prefetch(job.terms.millionths + store)


cdef inline bint may_ask(const Desk* desk, const Terms* terms, const uint64_t* allowed,
                         int32_t ordinal) noexcept nogil:
    """What the bitmaps say of one store."""
    cdef int32_t leaf = ordinal >> 6
    return ((allowed[leaf] & fit_words(terms, desk.leaves, leaf)) >> (ordinal & 63)) & 1


# -- ONE STORE ---------------------------------------------------------------------------------

cdef bint finds(Desk* desk, Job* job, const Basket* basket, const uint64_t* allowed,
                int32_t preferred, Bid* best) noexcept nogil:
    """Whether a store fills the basket at the job's step; which one: the preferred one if it can."""
    if preferred != NO_STORE and fills(desk, job, basket, allowed, preferred, False, best):
        return True
    return find_under(desk.leaves, desk.shelves, &job.plan, basket, &job.terms, allowed,
                      best) != NOT_FOUND


cdef bint fills(Desk* desk, Job* job, const Basket* basket, const uint64_t* allowed,
                int32_t store, bint named, Bid* bid) noexcept nogil:
    """Whether one store may have the basket at the job's step; a store that is `named` by the
    order may be anywhere.
    """
    cdef StepTerms anywhere = job.terms.step[0]
    cdef const StepTerms* step = job.terms.step
    cdef bint does
    set_bid(bid, desk, job, desk.leaves.ordinal_of[store])
    if not may_ask(desk, &job.terms, allowed, bid.ordinal):
        return False
    if named:
        anywhere.radius_m, anywhere.areas = INFINITY, False
        job.terms.step = &anywhere
    does = (bid.distance_m <= job.terms.step.radius_m
            and may_have(&job.terms, &job.plan.place, bid.store, bid.distance_m)
            and offers_all(&job.terms, desk.shelves, bid, basket))
    job.terms.step = step
    return does


cdef void set_bid(Bid* bid, const Desk* desk, const Job* job, int32_t ordinal) noexcept nogil:
    """A store as the order sees it, without its values."""
    bid.ordinal, bid.store = ordinal, desk.leaves.store_at[ordinal]
    bid.distance_m = distance_between_m(&job.plan.place, desk.leaves.places + ordinal)


cdef void assign(Desk* desk, Job* job, const Bid* bid) noexcept nogil:
    """The whole order to one store."""
    cdef Quantity* before = NULL
    cdef Verdict* verdict = desk.verdicts + job.row
    cdef int64_t when_ns
    cdef Keep keep
    if desk.before != NULL:
        before = desk.before + desk.orders.offsets[job.row]
    when_ns = promised_ns(&job.terms, bid.store, bid.distance_m)
    keep = keep_at(&job.terms, bid.store, when_ns)
    if bid == &job.guess and job.basket.line_count <= FEW_LINES:
        take_found(desk.shelves, bid.ordinal, &job.basket, job.pairs, before, &keep)
    else:
        take(desk.shelves, bid.ordinal, &job.basket, before, &keep)
    verdict.store, verdict.distance_m = bid.store, bid.distance_m
    verdict.status, verdict.reason = STATUS_ASSIGNED, REASON_NONE
    verdict.step, verdict.shipments = job.terms.step.name, 0
    promise(desk, job, verdict, 1, when_ns, keep)
    order_came(desk.book.loads, verdict.store, desk.now_ns)


cdef void promise(Desk* desk, Job* job, const Verdict* verdict, int32_t shipments, int64_t when_ns,
                  Keep keep) noexcept nogil:
    """What an assigned order is granted."""
    cdef Grant* grant = desk.grants + job.row
    grant.step, grant.shipment_count = verdict.step, <uint8_t>shipments
    grant.promised_ns = when_ns
    grant.least_life_days = keep.least_life_days
    grant.keep_day = keep_day(keep)
    if job.terms.rule.timeout_ns < <int64_t>NEVER_NS - desk.now_ns:
        grant.due_ns = desk.now_ns + job.terms.rule.timeout_ns


# -- SEVERAL STORES ----------------------------------------------------------------------------

cdef bint add_shipment(Desk* desk, Job* job, const Basket* lines, const Bid* bid,
                       int64_t when_ns) noexcept nogil:
    """Reserve the lines of one shipment; False where there is no memory."""
    cdef Keep keep = keep_at(&job.terms, bid.store, when_ns)
    cdef Part* part
    if not reserve_part(desk.parts, lines.line_count):
        desk.no_memory = True
        return False
    part = add_part(desk.parts, job.row, lines, NULL)
    take(desk.shelves, bid.ordinal, lines, desk.parts.before + part.first_line, &keep)
    part.store, part.distance_m = bid.store, bid.distance_m
    part.promised_ns, part.keep_day = when_ns, keep_day(keep)
    order_came(desk.book.loads, part.store, desk.now_ns)
    return True


cdef void take_back(Desk* desk, int64_t first) noexcept nogil:
    """Undo the shipments from this one on."""
    cdef Basket lines
    cdef const Part* part
    back_to(desk.book.loads, desk.book.loads.log_count - (desk.parts.count - first), desk.now_ns)
    while desk.parts.count > first:
        desk.parts.count -= 1
        part = desk.parts.parts + desk.parts.count
        lines = lines_of(desk.parts, part)
        give_back(desk.shelves, desk.leaves.ordinal_of[part.store], &lines)
        desk.parts.line_count = part.first_line


cdef bint split_at_step(Desk* desk, Job* job, const Basket* basket) noexcept nogil:
    """Fill the basket from several stores at the job's step, if its rule lets it."""
    cdef int32_t count, shipment
    cdef int64_t when_ns, first = desk.parts.count
    cdef Basket lines
    cdef Bid bid
    if job.terms.step.split == SPLIT_NEVER or job.terms.step.most_shipments < 2:
        return False
    if not reserve_sharing(desk.book.sharing, desk.leaves.store_count, basket.line_count):
        desk.no_memory = True
        return False
    count = share_out(desk.book.sharing, desk.leaves, desk.shelves, &job.plan, basket, &job.terms,
                      desk.book.classes_of)
    for shipment in range(count):
        lines = lines_taken(desk.book.sharing, basket, shipment)
        bid_of(&bid, desk.book.sharing.senders + desk.book.sharing.positions[shipment])
        when_ns = promised_ns(&job.terms, bid.store, bid.distance_m)
        if not add_shipment(desk, job, &lines, &bid, when_ns):
            take_back(desk, first)
            return False
    return count > 0


cdef void assign_parts(Desk* desk, Job* job, int64_t first) noexcept nogil:
    """The order to the stores of its shipments, which stand from `first` on in the parts."""
    cdef Verdict* verdict = desk.verdicts + job.row
    cdef int64_t part, when_ns = 0
    cdef bint can_tell = True
    verdict.store = desk.parts.parts[first].store
    verdict.distance_m = desk.parts.parts[first].distance_m
    verdict.status, verdict.reason = STATUS_ASSIGNED, REASON_NONE
    verdict.step, verdict.shipments = job.terms.step.name, <uint8_t>(desk.parts.count - first)
    for part in range(first, desk.parts.count):
        when_ns = max(when_ns, desk.parts.parts[part].promised_ns)
        can_tell &= desk.parts.parts[part].promised_ns != 0
    when_ns = when_ns if can_tell else 0
    promise(desk, job, verdict, verdict.shipments, when_ns,
            keep_at(&job.terms, verdict.store, when_ns))


# -- SUPPLY ------------------------------------------------------------------------------------

cdef bint has_later_lines(const Desk* desk, const Job* job) noexcept nogil:
    """Whether a presale order has lines that are sold against incoming supply."""
    cdef int64_t line
    if desk.book.presale == NULL or job.terms.rule.order_type != TYPE_PRESALE:
        return False
    for line in range(job.basket.line_count):
        if desk.book.presale[job.basket.skus[line]]:
            return True
    return False


cdef int32_t supply_of(const Desk* desk, const Job* job, int32_t sku, int32_t quantity,
                       const Bid* bid) noexcept nogil:
    """The place in the book of the earliest supply at a store that is enough, or NO_NAME."""
    cdef const RuleBook* book = desk.book
    cdef int32_t place
    if job.terms.hidden != NULL and job.terms.hidden[sku]:
        return NO_NAME
    for place in range(book.supply_first[sku], book.supply_first[sku + 1]):
        if offered_to(&job.terms, desk.shelves, book.supply_skus[place], bid) >= quantity:
            return place
    return NO_NAME


cdef int32_t last_supply(const Desk* desk, const Job* job, const Basket* basket,
                         const Bid* bid) noexcept nogil:
    """The supply with which a store will have all of the basket, or NO_NAME."""
    cdef const RuleBook* book = desk.book
    cdef int32_t last = NO_NAME, place
    cdef int64_t line
    for line in range(basket.line_count):
        place = supply_of(desk, job, basket.skus[line], basket.quantities[line], bid)
        if place == NO_NAME:
            return NO_NAME
        if last == NO_NAME or book.supply_days[place] > book.supply_days[last]:
            last = place
    return last


cdef int64_t comes_ns(const Desk* desk, int32_t supply, int32_t store) noexcept nogil:
    """When its day begins at the store; what should have come before may come at any time."""
    cdef const RuleBook* book = desk.book
    cdef int64_t place = <int64_t>supply * book.zones + book.zone_of[store]
    return max(book.supply_begins_ns[place], desk.now_ns)


cdef bint comes_in_time(const Desk* desk, const Job* job, int32_t supply,
                        const Bid* bid) noexcept nogil:
    """Whether the customer has it no later than the rule may promise."""
    cdef double wait_s = <double>(comes_ns(desk, supply, bid.store) - desk.now_ns) / NS_PER_S
    return (job.terms.rule.most_s == INFINITY
            or wait_s + handling_s(&job.terms, bid.store, bid.distance_m) <= job.terms.rule.most_s)


cdef bint supply_at_step(Desk* desk, Job* job, const Basket* basket) noexcept nogil:
    """Reserve the basket where it will come first, of equals at the nearest store; one shipment."""
    cdef const RuleBook* book = desk.book
    cdef int32_t sku = basket.skus[0], place, leaf, supply, soonest = NO_NAME
    cdef uint64_t candidates
    cdef Bid bid, best
    if book.supply_first == NULL:
        return False
    for place in range(book.supply_first[sku], book.supply_first[sku + 1]):
        for leaf in range(desk.leaves.leaf_count):
            candidates = available(desk.shelves, book.supply_skus[place], leaf)[0]
            if candidates:
                candidates &= job.terms.step.allowed[leaf] & fit_words(&job.terms, desk.leaves, leaf)
            while candidates:
                set_bid(&bid, desk, job, leaf * STORES_PER_LEAF + lowest_bit(candidates))
                candidates &= candidates - 1
                if bid.distance_m > job.terms.step.radius_m or not serves_place(
                    &job.terms, &job.plan.place, bid.store, bid.distance_m
                ):
                    continue
                supply = last_supply(desk, job, basket, &bid)
                if supply == NO_NAME or not comes_in_time(desk, job, supply, &bid):
                    continue
                if soonest == NO_NAME or comes_before(
                    desk.leaves, book.supply_days[supply], &bid, book.supply_days[soonest], &best
                ):
                    best, soonest = bid, supply
    return soonest != NO_NAME and add_later(desk, job, basket, &best, soonest)


cdef bint comes_before(const Leaves* leaves, int32_t day, const Bid* bid, int32_t best_day,
                       const Bid* best) noexcept nogil:
    if day != best_day:
        return day < best_day
    if bid.distance_m != best.distance_m:
        return bid.distance_m < best.distance_m
    return id_is_smaller(leaves, bid.store, best.store)


cdef bint add_later(Desk* desk, Job* job, const Basket* basket, const Bid* bid,
                    int32_t supply) noexcept nogil:
    """One shipment that leaves when the last of its supplies has come."""
    cdef Sharing* sharing = desk.book.sharing
    cdef Basket lines = basket[0]
    cdef int32_t place
    cdef int64_t line, when_ns = comes_ns(desk, supply, bid.store)
    if not reserve_sharing(sharing, 0, basket.line_count):
        desk.no_memory = True
        return False
    for line in range(basket.line_count):
        place = supply_of(desk, job, basket.skus[line], basket.quantities[line], bid)
        sharing.skus[line] = desk.book.supply_skus[place]
    lines.skus = sharing.skus
    if not add_shipment(desk, job, &lines, bid, when_ns + <int64_t>(
        NS_PER_S * handling_s(&job.terms, bid.store, bid.distance_m)
    )):
        return False
    # It is held until it has come, and from then on as long as any other.
    if job.terms.rule.timeout_ns < <int64_t>NEVER_NS - when_ns:
        desk.parts.parts[desk.parts.count - 1].due_ns = when_ns + job.terms.rule.timeout_ns
    return True
