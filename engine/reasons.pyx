"""Why no store has an order that a policy leaves without one."""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t, uint64_t

from fendan.engine.desk cimport STEP_BACKORDER, Desk, Job
from fendan.engine.plan cimport NOT_FOUND
from fendan.engine.router cimport (
    REASON_CANNOT_BE_PROMISED, REASON_NO_STOCK, REASON_NO_STOCK_IN_RADIUS, REASON_NO_STORE_ELIGIBLE,
    REASON_NO_STORE_IN_RADIUS, REASON_NO_STORES,
)
from fendan.engine.search cimport find, find_under
from fendan.engine.shelves cimport Basket
from fendan.engine.terms cimport Bid, RuleTerms, StepTerms


cdef uint8_t reason_for(Desk* desk, Job* job, const Basket* basket,
                        const uint64_t* open_ones) noexcept nogil:
    """Why no step filled the basket: asked only then, so it may take its time.

    `open_ones`: the stores that may have it at all; NULL: all that are open.

    The first of these that is so, over all steps: no store takes orders at all; none is within the
    radius; the policy lets none have such an order; one would have it all, but not in time; one
    would, but too far away; none has it.
    """
    cdef const RuleTerms* rule = job.terms.rule
    cdef RuleTerms untimed = rule[0]
    cdef StepTerms step
    cdef Basket nothing
    cdef Bid bid
    cdef double widest_m = 0.0
    cdef int32_t place
    cdef bint eligible = False, in_time = False, somewhere = False
    nothing.line_count = 0
    untimed.most_s, untimed.sees_counts = INFINITY, False
    untimed.criterion_count, untimed.scored = 0, False
    for place in range(rule.step_count):
        widest_m = max(widest_m, rule.steps[place].radius_m)
    if find(desk.leaves, desk.shelves, &job.plan, &nothing, open_ones, INFINITY,
            False) == NOT_FOUND:
        return REASON_NO_STORES
    if find(desk.leaves, desk.shelves, &job.plan, &nothing, open_ones, widest_m,
            False) == NOT_FOUND:
        return REASON_NO_STORE_IN_RADIUS
    job.terms.rule = &untimed
    for place in range(rule.step_count):
        step = rule.steps[place]
        step.allowed = of_these(desk, step.allowed, open_ones)
        job.terms.step = &step
        eligible |= find_under(desk.leaves, desk.shelves, &job.plan, &nothing, &job.terms,
                               step.allowed, &bid) != NOT_FOUND
        if step.name != STEP_BACKORDER:
            in_time |= find_under(desk.leaves, desk.shelves, &job.plan, basket, &job.terms,
                                  step.allowed, &bid) != NOT_FOUND
            step.radius_m = INFINITY
            somewhere |= find_under(desk.leaves, desk.shelves, &job.plan, basket, &job.terms,
                                    step.allowed, &bid) != NOT_FOUND
    job.terms.rule, job.terms.step = rule, rule.steps
    if not eligible:
        return REASON_NO_STORE_ELIGIBLE
    if in_time:
        return REASON_CANNOT_BE_PROMISED
    return REASON_NO_STOCK_IN_RADIUS if somewhere else REASON_NO_STOCK


cdef const uint64_t* of_these(const Desk* desk, const uint64_t* allowed,
                              const uint64_t* open_ones) noexcept nogil:
    """Those of the stores that a step may ask that may have the order at all."""
    cdef uint64_t* words = desk.book.sharing.words
    cdef int32_t leaf
    if open_ones == NULL:
        return allowed
    for leaf in range(desk.leaves.leaf_count):
        words[leaf] = allowed[leaf] & open_ones[leaf]
    return words
