"""Who has an order next, when a store would not: one store, under the rule that it came under.

    sold from stock        step after step, as `dispatch` does, but never in more shipments
    sold against supply    the steps BACKORDER alone: the nearest store that gets it on the same days

A shipment that waits for supply is known by what comes when: its record has the SKUs of supply, which
no step but BACKORDER knows how to promise. The rule looks at the SKUs that they are supply of.
"""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from fendan.engine.asking cimport Asked
from fendan.engine.batch cimport Columns
from fendan.engine.book cimport RuleBook
from fendan.engine.desk cimport (
    STEP_BACKORDER, Desk, Job, assign, begin_alone, comes_before, comes_in_time, comes_ns, finds,
    set_bid,
)
from fendan.engine.dispatch cimport refuse_order
from fendan.engine.larder cimport keep_day
from fendan.engine.loads cimport begin_batch, end_batch, refresh
from fendan.engine.names cimport NO_NAME
from fendan.engine.network cimport NO_STORE, STORES_PER_LEAF, Leaves
from fendan.engine.offers cimport reserve_sharing
from fendan.engine.reasons cimport of_these, reason_for
from fendan.engine.router cimport REASON_NO_SUPPLY, Verdict
from fendan.engine.shelves cimport Basket, Quantity, Shelves, available, lowest_bit
from fendan.engine.shipments cimport OF_BUNDLES, Grant
from fendan.engine.terms cimport (
    NEVER_NS, NS_PER_S, Bid, fit_words, handling_s, keep_at, offers_all, serves_place,
)


cdef Verdict dispatch_again(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                            double lat, double lng, const Basket* basket, const Basket* whole,
                            bint waits, const uint64_t* allowed, int64_t now_ns, Grant* grant,
                            Quantity* before) noexcept nogil:
    cdef Columns orders
    cdef Asked asked
    cdef Desk desk
    cdef Job job
    cdef Verdict verdict
    cdef Basket named = basket[0]
    cdef int64_t offsets[2]
    memset(&verdict, 0, sizeof(Verdict))
    memset(&asked, 0, sizeof(Asked))
    memset(&orders, 0, sizeof(Columns))
    asked.order_type, asked.channel = grant.order_type, grant.channel
    asked.region, asked.pickup_store = grant.region, NO_STORE
    desk.no_memory = not (
        reserve_sharing(book.sharing, leaves.leaf_count * STORES_PER_LEAF, basket.line_count)
        and begin_batch(book.loads, 1)
    )
    if waits and not desk.no_memory:
        name_supplied(book, basket, book.sharing.rest_skus)
        named.skus = book.sharing.rest_skus
    if grant.flags & OF_BUNDLES:
        ask_for_bundles(book, whole, &asked)
    offsets[0], offsets[1] = 0, basket.line_count
    orders.count, orders.lat, orders.lng, orders.offsets = 1, &lat, &lng, offsets
    orders.skus, orders.quantities, orders.amounts = named.skus, basket.quantities, basket.amounts
    orders.asked = &asked
    desk.book, desk.leaves, desk.shelves, desk.orders = book, leaves, shelves, &orders
    desk.now_ns, desk.verdicts, desk.grants = now_ns, &verdict, grant
    desk.parts, desk.before = NULL, before
    refresh(book.loads, now_ns)
    begin_alone(&desk, &job, 0)
    if desk.no_memory:
        refuse_order(&desk, &job, reason_for(&desk, &job, &job.basket, NULL))
    elif waits:
        assign_supply(&desk, &job, basket, allowed)
    else:
        assign_stock(&desk, &job, allowed)
    end_batch(book.loads, now_ns)
    return verdict


cdef void ask_for_bundles(const RuleBook* book, const Basket* whole, Asked* asked) noexcept nogil:
    """What bundles ask for whose parts are all in the order: it is not remembered which it named.

    That its channel has ceased to sell one of them since is no reason to let the buyer down.
    """
    cdef int32_t at, bundle
    for at in range(book.bundle_count):
        bundle = book.bundles[at]
        if not contains(book, bundle, whole):
            continue
        if book.needs_of != NULL:
            asked.bundle_needs |= book.needs_of[bundle]
        if book.class_sets_of != NULL:
            asked.bundle_classes |= book.class_sets_of[bundle]
        asked.bundle_life_days = max(asked.bundle_life_days, book.least_life_days_of[bundle])


cdef bint contains(const RuleBook* book, int32_t bundle, const Basket* whole) noexcept nogil:
    """Whether an order has all parts of a bundle. Lines of one SKU are one line in it."""
    cdef int64_t part, line
    for part in range(book.bundle_first[bundle], book.bundle_first[bundle + 1]):
        for line in range(whole.line_count):
            if (whole.skus[line] == book.bundle_parts[part]
                    and whole.quantities[line] >= book.bundle_pieces[part]):
                break
        else:
            return False
    return True


cdef void assign_stock(Desk* desk, Job* job, const uint64_t* allowed) noexcept nogil:
    """Step after step, the best store that has all of it."""
    cdef Bid best
    cdef int32_t place
    for place in range(job.terms.rule.step_count):
        job.terms.step = job.terms.rule.steps + place
        if job.terms.step.name != STEP_BACKORDER and finds(
            desk, job, &job.basket, of_these(desk, job.terms.step.allowed, allowed), NO_STORE, &best
        ):
            assign(desk, job, &best)
            return
    refuse_order(desk, job, reason_for(desk, job, &job.basket, allowed))


# -- SUPPLY ------------------------------------------------------------------------------------

cdef int32_t place_of(const RuleBook* book, int32_t code) noexcept nogil:
    """Where a supply stands in the book, or NO_NAME. All are looked at: few ever wait again."""
    cdef int32_t place
    for place in range(book.supply_first[book.sku_count] if book.supply_first != NULL else 0):
        if book.supply_skus[place] == code:
            return place
    return NO_NAME


cdef void name_supplied(const RuleBook* book, const Basket* basket, int32_t* skus) noexcept nogil:
    """The SKUs that each line is supply of; what the book does not know, as it is."""
    cdef int64_t line
    cdef int32_t place, low, high, middle
    for line in range(basket.line_count):
        skus[line] = basket.skus[line]
        place = place_of(book, skus[line])
        if place == NO_NAME:
            continue
        low, high = 0, book.sku_count
        while high - low > 1:
            middle = low + (high - low) // 2
            if book.supply_first[middle] <= place:
                low = middle
            else:
                high = middle
        skus[line] = low


cdef int32_t last_to_come(const Desk* desk, const Job* job, const Basket* basket) noexcept nogil:
    """The last of the supplies that a shipment waits for; NO_NAME where one is not sold here."""
    cdef const RuleBook* book = desk.book
    cdef int32_t last = NO_NAME, place
    cdef int64_t line
    for line in range(basket.line_count):
        place = place_of(book, basket.skus[line])
        if place == NO_NAME or (
                job.terms.hidden != NULL and job.terms.hidden[job.basket.skus[line]]):
            return NO_NAME
        if last == NO_NAME or book.supply_days[place] > book.supply_days[last]:
            last = place
    return last


cdef bint finds_supply(Desk* desk, Job* job, const Basket* basket, int32_t last,
                       const uint64_t* allowed, Bid* best) noexcept nogil:
    """The nearest store that gets all of it on those days, and can send it in time."""
    cdef uint64_t candidates
    cdef int32_t leaf
    cdef bint found = False
    cdef Bid bid
    for leaf in range(desk.leaves.leaf_count):
        candidates = available(desk.shelves, basket.skus[0], leaf)[0]
        if candidates:
            candidates &= (allowed[leaf] & job.terms.step.allowed[leaf]
                           & fit_words(&job.terms, desk.leaves, leaf))
        while candidates:
            set_bid(&bid, desk, job, leaf * STORES_PER_LEAF + lowest_bit(candidates))
            candidates &= candidates - 1
            if (bid.distance_m <= job.terms.step.radius_m
                    and serves_place(&job.terms, &job.plan.place, bid.store, bid.distance_m)
                    and offers_all(&job.terms, desk.shelves, &bid, basket)
                    and comes_in_time(desk, job, last, &bid)
                    and (not found or comes_before(desk.leaves, 0, &bid, 0, best))):
                best[0], found = bid, True
    return found


cdef void assign_supply(Desk* desk, Job* job, const Basket* basket,
                        const uint64_t* allowed) noexcept nogil:
    """Reserve the same supplies elsewhere, and promise what waits for them."""
    cdef Grant* grant = desk.grants + job.row
    cdef int32_t place, last = last_to_come(desk, job, basket)
    cdef int64_t comes, when_ns
    cdef Bid best
    for place in range(job.terms.rule.step_count if last != NO_NAME else 0):
        job.terms.step = job.terms.rule.steps + place
        if job.terms.step.name == STEP_BACKORDER and finds_supply(
                desk, job, basket, last, allowed, &best):
            comes = comes_ns(desk, last, best.store)
            when_ns = comes + <int64_t>(
                NS_PER_S * handling_s(&job.terms, best.store, best.distance_m)
            )
            job.basket.skus = basket.skus
            assign(desk, job, &best)
            grant.promised_ns = when_ns
            grant.keep_day = keep_day(keep_at(&job.terms, best.store, when_ns))
            grant.due_ns = NEVER_NS
            # It is held until it has come, and from then on as long as any other.
            if job.terms.rule.timeout_ns < <int64_t>NEVER_NS - comes:
                grant.due_ns = comes + job.terms.rule.timeout_ns
            return
    refuse_order(desk, job, REASON_NO_SUPPLY)
