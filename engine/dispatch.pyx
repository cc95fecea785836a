"""Routing under a policy: the steps of a rule one after another, and what is promised.

    order ── its rule ── step 1 ── one store has all of it? ── else several together? ── step 2 ...
                                        │                           │
                                        reserve, promise            reserve each shipment, promise

An order waits for nothing that another could take meanwhile: it is decided in its turn, as if alone.
Only a *group* is decided together, in the turn of its first order: one store fills all or none.
"""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from fendan.engine.asking cimport Asked
from fendan.engine.batch cimport Columns, asked_at
from fendan.engine.book cimport RuleBook, set_terms
from fendan.engine.desk cimport (
    STEP_BACKORDER, Desk, Job, add_shipment, assign, assign_parts, begin, begin_guess, end_guess,
    fills, finds, guess_again, has_later_lines, is_still_best, narrow_guess, note_guess,
    prefetch_guess, prefetch_rules, set_bid, split_at_step, supply_at_step, take_back,
)
from fendan.engine.groups cimport (
    Member, MemberList, add_up, gather, line_number, members_from,
)
from fendan.engine.loads cimport begin_batch, end_batch, has_room_for, refresh
from fendan.engine.merges cimport Merge, begin_merges, merge_of, note_merge
from fendan.engine.names cimport NO_NAME
from fendan.engine.network cimport NO_STORE, STORES_PER_LEAF, Leaves
from fendan.engine.offers cimport Sharing, reserve_sharing
from fendan.engine.plan cimport (
    NOT_FOUND, end_of, find_branch, find_leaf, prefetch_shelves, prefetch_words,
)
from fendan.engine.reasons cimport reason_for
from fendan.engine.router cimport (
    REASON_GROUP_NOT_WHOLE, REASON_NO_SUPPLY, REASON_PICKUP_STORE, STATUS_UNASSIGNED,
    Verdict,
)
from fendan.engine.shipments cimport IN_GROUP, OF_BUNDLES, PICKUP_NAMED, Grant, PartList
from fendan.engine.shelves cimport Basket, Quantity, Shelves, lowest_bit
from fendan.engine.terms cimport NEVER_NS, Bid, RuleTerms, Terms, promised_ns

cdef enum:
    TYPE_GROUP = 6              # rules.OrderType
    TOGETHER = 4                # orders that go through a stage side by side
    RING = 8 * TOGETHER         # more than are under way, a power of two

# Keys of groups are no keys of buyers.
cdef uint64_t GROUP_KEYS = 0x9e3779b97f4a7c15


# -- SETTLING ----------------------------------------------------------------------------------

cdef void settle(Desk* desk, Job* job) noexcept nogil:
    """Decide one order, unless its group was decided before."""
    cdef const Asked* asked = asked_at(desk.orders, job.row)
    if desk.verdicts[job.row].status:
        return
    begin_grant(desk, job, asked)
    if asked != NULL and asked.group and job.terms.rule.order_type == TYPE_GROUP:
        settle_group(desk, job, asked)
    elif asked != NULL and asked.pickup_store != NO_STORE:
        settle_named(desk, job, asked.pickup_store)
    else:
        settle_alone(desk, job, asked)


cdef void begin_grant(Desk* desk, Job* job, const Asked* asked) noexcept nogil:
    cdef Grant* grant = desk.grants + job.row
    memset(grant, 0, sizeof(Grant))
    grant.policy_version = desk.book.version
    grant.order_type = job.terms.rule.order_type
    grant.due_ns = NEVER_NS
    grant.channel = grant.region = NO_NAME
    if asked != NULL:
        grant.asked_hash = asked.hash
        grant.channel, grant.region = asked.channel, asked.region
        if (asked.bundle_needs or asked.bundle_classes or asked.bundle_hidden
                or asked.bundle_life_days):
            grant.flags = OF_BUNDLES


cdef void settle_alone(Desk* desk, Job* job, const Asked* asked) noexcept nogil:
    """Step after step, until one fills the order."""
    cdef const RuleTerms* rule = job.terms.rule
    cdef const Merge* merge = NULL
    cdef Bid best
    cdef int32_t place, preferred = NO_STORE
    cdef int64_t group = 0, first = desk.parts.count
    cdef bint merges = asked != NULL and asked.buyer and rule.merge_window_ns > 0
    if merges:
        merge = merge_of(desk.book.merges, asked.buyer, desk.now_ns, rule.merge_window_ns)
        if merge != NULL:
            group, preferred = merge.group, merge.store
    if has_later_lines(desk, job):
        settle_later(desk, job, preferred)
    else:
        for place in range(rule.step_count):
            job.terms.step = rule.steps + place
            if job.terms.step.name == STEP_BACKORDER:
                if supply_at_step(desk, job, &job.basket):
                    assign_parts(desk, job, first)
            elif (place == 0 and preferred == NO_STORE and job.guess.ordinal != NOT_FOUND
                    and is_still_best(desk, job)):
                assign(desk, job, &job.guess)
            elif finds(desk, job, &job.basket, job.terms.step.allowed, preferred, &best):
                assign(desk, job, &best)
            elif split_at_step(desk, job, &job.basket):
                assign_parts(desk, job, first)
            if desk.verdicts[job.row].status or desk.no_memory:
                break
    if desk.verdicts[job.row].status == 0:
        refuse_order(desk, job, reason_for(desk, job, &job.basket, NULL))
    if merges:
        if desk.verdicts[job.row].store != NO_STORE:
            preferred = desk.verdicts[job.row].store
        desk.grants[job.row].merge_key = asked.buyer
        desk.grants[job.row].merge_group = note_merge(
            desk.book.merges, asked.buyer, desk.now_ns, group, preferred
        )


cdef void settle_named(Desk* desk, Job* job, int32_t store) noexcept nogil:
    """The store where the customer will fetch it, or none."""
    cdef const RuleTerms* rule = job.terms.rule
    cdef Bid bid
    cdef int32_t place
    desk.grants[job.row].flags |= PICKUP_NAMED
    for place in range(rule.step_count):
        job.terms.step = rule.steps + place
        if job.terms.step.name != STEP_BACKORDER and fills(
            desk, job, &job.basket, job.terms.step.allowed, store, True, &bid
        ):
            assign(desk, job, &bid)
            return
    refuse_order(desk, job, REASON_PICKUP_STORE)


cdef void refuse_order(Desk* desk, Job* job, uint8_t reason) noexcept nogil:
    cdef Verdict* verdict = desk.verdicts + job.row
    verdict.store, verdict.distance_m = NO_STORE, NAN
    verdict.status, verdict.reason = STATUS_UNASSIGNED, reason
    verdict.step = verdict.shipments = 0


cdef void settle_later(Desk* desk, Job* job, int32_t preferred) noexcept nogil:
    """What is in stock now, and what will come later: both, or nothing."""
    cdef const RuleTerms* rule = job.terms.rule
    cdef Sharing* sharing = desk.book.sharing
    cdef Basket now, later
    cdef Bid best
    cdef int64_t first = desk.parts.count
    cdef int32_t place
    cdef bint filled
    if not reserve_sharing(sharing, desk.leaves.store_count, job.basket.line_count):
        desk.no_memory = True
        return
    part_lines(desk, job, &now, &later)
    job.terms.needs = needs_of_lines(&job.terms, &now)
    filled = now.line_count == 0
    for place in range(rule.step_count):
        job.terms.step = rule.steps + place
        if filled or job.terms.step.name == STEP_BACKORDER:
            continue
        if finds(desk, job, &now, job.terms.step.allowed, preferred, &best):
            filled = add_shipment(desk, job, &now, &best,
                                  promised_ns(&job.terms, best.store, best.distance_m))
        else:
            filled = split_at_step(desk, job, &now)
    if not filled:
        refuse_order(desk, job, reason_for(desk, job, &now, NULL))
        return
    job.terms.needs = needs_of_lines(&job.terms, &later)
    for place in range(rule.step_count):
        job.terms.step = rule.steps + place
        if job.terms.step.name == STEP_BACKORDER and supply_at_step(desk, job, &later):
            assign_parts(desk, job, first)
            return
    take_back(desk, first)
    refuse_order(desk, job, REASON_NO_SUPPLY)


cdef uint32_t needs_of_lines(const Terms* terms, const Basket* lines) noexcept nogil:
    """The abilities that who sends these lines must have."""
    cdef uint32_t needs = terms.bundle_needs
    cdef int64_t line
    for line in range(lines.line_count if terms.needs_of != NULL else 0):
        needs |= terms.needs_of[lines.skus[line]]
    return needs


cdef void part_lines(Desk* desk, const Job* job, Basket* now, Basket* later) noexcept nogil:
    """The order's lines in two: what is sold from stock, and what against supply."""
    cdef Sharing* sharing = desk.book.sharing
    cdef int64_t line, to, front = 0, back = job.basket.line_count
    for line in range(job.basket.line_count):
        if desk.book.presale[job.basket.skus[line]]:
            back -= 1
            to = back
        else:
            to = front
            front += 1
        sharing.rest_skus[to] = job.basket.skus[line]
        sharing.rest_quantities[to] = job.basket.quantities[line]
        if job.basket.amounts != NULL:
            sharing.rest_amounts[to] = job.basket.amounts[line]
    now.skus, now.quantities, now.amounts = sharing.rest_skus, sharing.rest_quantities, NULL
    if job.basket.amounts != NULL:
        now.amounts = sharing.rest_amounts
    later[0] = now[0]
    now.line_count = front
    later.skus += front
    later.quantities += front
    if later.amounts != NULL:
        later.amounts += front
    later.line_count = job.basket.line_count - front


# -- GROUPS ------------------------------------------------------------------------------------

cdef void settle_group(Desk* desk, Job* job, const Asked* asked) noexcept nogil:
    """All orders of a group that stand in this batch: one store has all of them, or none.

    The first of them speaks for all: its rule says how the store is found, for its place and channel.
    """
    cdef const Columns* orders = desk.orders
    cdef const RuleTerms* rule = job.terms.rule
    cdef const Merge* merge = NULL
    cdef const Member* others
    cdef Basket whole
    cdef Asked all_asked = asked[0]
    cdef Job member
    cdef Bid bid
    cdef int64_t row, at, rows, group = 0, members = 0
    cdef int32_t store = NO_STORE
    cdef MemberList* groups = &desk.book.sharing.groups
    cdef bint filled
    cdef uint64_t key = asked.group ^ GROUP_KEYS
    if groups.count < 0 and not gather(groups, orders):
        desk.no_memory = True
        return
    rows = members_from(groups, asked.group, job.row, &others)
    if rule.merge_window_ns > 0:
        merge = merge_of(desk.book.merges, key, desk.now_ns, rule.merge_window_ns)
    if merge != NULL:
        group, store = merge.group, merge.store
    filled = (group_basket(desk, others, rows, &whole, &all_asked, &members)
              and finds_for_group(desk, job, &whole, &all_asked, members, store, &bid))
    if filled:
        store = bid.store
    for at in range(rows):
        row = others[at].row
        if not is_member(desk, row, &member):
            continue
        member.terms.step = job.terms.step
        begin_grant(desk, &member, asked_at(orders, row))
        desk.grants[row].flags |= IN_GROUP
        if filled:
            set_bid(&bid, desk, &member, bid.ordinal)
            assign(desk, &member, &bid)
        else:
            refuse_order(desk, &member, REASON_GROUP_NOT_WHOLE)
        if rule.merge_window_ns > 0:
            group = note_merge(desk.book.merges, key, desk.now_ns, group, store)
            desk.grants[row].merge_key, desk.grants[row].merge_group = key, group


cdef bint finds_for_group(Desk* desk, Job* job, const Basket* whole, const Asked* asked,
                          int64_t members, int32_t store, Bid* bid) noexcept nogil:
    """Who has all of it: the store that the group has already, or else the best one."""
    cdef const RuleTerms* rule = job.terms.rule
    cdef uint64_t* words = desk.book.sharing.words
    cdef int32_t place
    set_terms(desk.book, &job.terms, asked, whole, desk.orders.lat[job.row],
              desk.orders.lng[job.row], desk.now_ns)
    job.terms.rule = rule  # whatever classes the others add
    job.terms.least_life_days = max(rule.least_life_days, asked.bundle_life_days)
    for place in range(rule.step_count):
        job.terms.step = rule.steps + place
        if job.terms.step.name == STEP_BACKORDER:
            continue
        leave_room_for(desk, job.terms.step.allowed, members, words)
        if store == NO_STORE:
            if finds(desk, job, whole, words, NO_STORE, bid):
                return True
        elif fills(desk, job, whole, words, store, True, bid):
            return True
    return False


cdef void leave_room_for(const Desk* desk, const uint64_t* allowed, int64_t members,
                         uint64_t* words) noexcept nogil:
    """Of the stores that are allowed, those with room for so many orders at once."""
    cdef uint64_t candidates
    cdef int32_t leaf, ordinal
    for leaf in range(desk.leaves.leaf_count):
        words[leaf] = allowed[leaf]
        candidates = allowed[leaf] if members > 1 else 0  # for one there is a bit of its own
        while candidates:
            ordinal = leaf * STORES_PER_LEAF + lowest_bit(candidates)
            if not has_room_for(desk.book.loads, desk.leaves.store_at[ordinal], members,
                                desk.now_ns):
                words[leaf] ^= candidates & -candidates
            candidates &= candidates - 1


cdef bint group_basket(Desk* desk, const Member* others, int64_t rows, Basket* whole,
                       Asked* asked, int64_t* members) noexcept nogil:
    """The lines of all orders of a group added up, in the room for sharing; whether they can be."""
    cdef const Columns* orders = desk.orders
    cdef Sharing* sharing = desk.book.sharing
    cdef Job member
    cdef int64_t at, row, line, count = 0
    cdef int64_t* lines
    for at in range(rows):
        count += orders.offsets[others[at].row + 1] - orders.offsets[others[at].row]
    if not reserve_sharing(sharing, desk.leaves.leaf_count * STORES_PER_LEAF, count):
        desk.no_memory = True
        return False
    lines, count = sharing.line_amounts, 0
    for at in range(rows):
        row = others[at].row
        if is_member(desk, row, &member):
            members[0] += 1
            add_bundles(asked, asked_at(orders, row))
            for line in range(orders.offsets[row], orders.offsets[row + 1]):
                lines[count] = line_number(orders.skus[line], orders.quantities[line])
                count += 1
    whole.skus, whole.quantities, whole.amounts = sharing.rest_skus, sharing.rest_quantities, NULL
    whole.line_count = add_up(lines, count, sharing.rest_skus, sharing.rest_quantities)
    return whole.line_count >= 0


cdef inline void add_bundles(Asked* asked, const Asked* other) noexcept nogil:
    """What the bundles of another order ask for, too."""
    asked.bundle_needs |= other.bundle_needs
    asked.bundle_life_days = max(asked.bundle_life_days, other.bundle_life_days)
    asked.bundle_hidden |= other.bundle_hidden


cdef bint is_member(Desk* desk, int64_t row, Job* member) noexcept nogil:
    """Whether a row is still to be decided with its group; as what it is routed, if so."""
    if desk.verdicts[row].status:
        return False
    begin(desk, member, row)
    return member.terms.rule.order_type == TYPE_GROUP


# -- BATCHES -----------------------------------------------------------------------------------

# As in router, orders go through each stage some at a time.

cdef void begin_some(Desk* desk, Job* jobs, int64_t first) noexcept nogil:
    cdef Job* job
    cdef int64_t row, end = end_of(first, TOGETHER, desk.orders.count)
    for row in range(end, end_of(first + TOGETHER, TOGETHER, desk.orders.count)):
        prefetch_shelves(desk.shelves, desk.orders, row)
        prefetch_rules(desk.book, desk.orders, row)
    for row in range(first, end):
        begin(desk, &jobs[row % RING], row)
    for row in range(first, end):
        find_branch(&jobs[row % RING].plan, &jobs[row % RING].keys, desk.leaves)
    for row in range(first, end):
        find_leaf(&jobs[row % RING].plan, desk.leaves)
    for row in range(first, end):
        job = &jobs[row % RING]
        prefetch_words(desk.leaves, desk.shelves, &job.plan, &job.basket)


cdef void begin_guesses(Desk* desk, Job* jobs, int64_t first) noexcept nogil:
    cdef int64_t row, end = end_of(first, TOGETHER, desk.orders.count)
    for row in range(first, end):
        begin_guess(desk, &jobs[row % RING])
    for row in range(first, end):
        narrow_guess(&jobs[row % RING])
    for row in range(first, end):
        prefetch_guess(&jobs[row % RING])


cdef void end_guesses(Desk* desk, Job* jobs, int64_t first) noexcept nogil:
    cdef int64_t row, end = end_of(first, TOGETHER, desk.orders.count)
    for row in range(first, end):
        end_guess(&jobs[row % RING])
    for row in range(first, end):
        note_guess(desk, &jobs[row % RING])


cdef bint dispatch_many(const RuleBook* book, const Leaves* leaves, Shelves* shelves,
                        const Columns* orders, int64_t now_ns, Verdict* verdicts, Grant* grants,
                        PartList* parts, Quantity* before) noexcept nogil:
    cdef Job jobs[RING]
    cdef Desk desk
    cdef int64_t row, stage, first = 0
    desk.book, desk.leaves, desk.shelves, desk.orders = book, leaves, shelves, orders
    desk.now_ns, desk.verdicts, desk.grants = now_ns, verdicts, grants
    desk.parts, desk.before = parts, before
    book.sharing.groups.count = -1
    desk.no_memory = not (
        begin_merges(book.merges, orders.count)
        and begin_batch(book.loads, orders.count * (book.most_shipments + 1))
    )
    refresh(book.loads, now_ns)
    memset(verdicts, 0, orders.count * sizeof(Verdict))
    while first < orders.count + 4 * TOGETHER and not desk.no_memory:
        stage = first - 4 * TOGETHER
        for row in range(stage, end_of(stage, TOGETHER, orders.count)):
            settle(&desk, &jobs[row % RING])
        begin_some(&desk, jobs, first)
        begin_guesses(&desk, jobs, first - TOGETHER)
        end_guesses(&desk, jobs, first - 2 * TOGETHER)
        stage = first - 3 * TOGETHER
        for row in range(stage, end_of(stage, TOGETHER, orders.count)):
            guess_again(&desk, &jobs[row % RING])
        first += TOGETHER
    desk.no_memory = desk.no_memory or shelves.larder.no_memory
    end_batch(book.loads, now_ns)  # what stays is counted where it is kept
    return not desk.no_memory
