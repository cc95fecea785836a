"""One order of a batch under a policy: who may fill it, and what it is given."""
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.batch cimport Columns
from fendan.engine.book cimport RuleBook
from fendan.engine.network cimport Leaves
from fendan.engine.plan cimport Keys, Plan
from fendan.engine.router cimport Verdict
from fendan.engine.search cimport Search
from fendan.engine.shipments cimport Grant, PartList
from fendan.engine.shelves cimport FEW_LINES, Basket, Quantity, Shelves
from fendan.engine.terms cimport Bid, Terms

cdef enum:
    STEP_BACKORDER = 6          # rules.StepName


# A batch under way.
cdef struct Desk:
    const RuleBook* book
    const Leaves* leaves
    Shelves* shelves
    const Columns* orders
    int64_t now_ns
    Verdict* verdicts
    Grant* grants
    PartList* parts
    Quantity* before            # or NULL
    bint no_memory


# One order under way.
cdef struct Job:
    Plan plan
    Keys keys                   # of the plan
    Basket basket
    Terms terms
    Search search               # for the guess
    bint guesses                # whether there is one to be made
    Bid guess                   # of the first step; ordinal NOT_FOUND: there is none
    Quantity* pairs[FEW_LINES]  # of the guess: see plan.prefetch_found
    bint passes                 # the guess may have the order, and offers all of it
    int64_t row


# -- BEGINNING
# Which rule an order comes under, and where it is; its plan's branch and leaf are still to be found.
cdef void begin(Desk* desk, Job* job, int64_t row) noexcept nogil
# The whole plan, for who has one order.
cdef void begin_alone(Desk* desk, Job* job, int64_t row) noexcept nogil
# One after another, each for some orders before the next: see guess.pxd.
cdef void begin_guess(Desk* desk, Job* job) noexcept nogil
cdef void narrow_guess(Job* job) noexcept nogil
cdef void prefetch_guess(const Job* job) noexcept nogil
cdef void end_guess(Job* job) noexcept nogil
cdef void note_guess(Desk* desk, Job* job) noexcept nogil
cdef void guess_again(Desk* desk, Job* job) noexcept nogil
cdef bint is_still_best(Desk* desk, Job* job) noexcept nogil
# Fetch what `begin` will ask of the order's SKUs.
cdef void prefetch_rules(const RuleBook* book, const Columns* orders, int64_t row) noexcept nogil
# Fetch what settling will ask of the guessed store.
cdef void prefetch_store(const Desk* desk, const Job* job) noexcept nogil

# -- ONE STORE
cdef void set_bid(Bid* bid, const Desk* desk, const Job* job, int32_t ordinal) noexcept nogil
cdef bint finds(Desk* desk, Job* job, const Basket* basket, const uint64_t* allowed,
                int32_t preferred, Bid* best) noexcept nogil
cdef bint fills(Desk* desk, Job* job, const Basket* basket, const uint64_t* allowed,
                int32_t store, bint named, Bid* bid) noexcept nogil
cdef void assign(Desk* desk, Job* job, const Bid* bid) noexcept nogil

# -- SEVERAL STORES
cdef bint add_shipment(Desk* desk, Job* job, const Basket* lines, const Bid* bid,
                       int64_t when_ns) noexcept nogil
cdef void take_back(Desk* desk, int64_t first) noexcept nogil
cdef bint split_at_step(Desk* desk, Job* job, const Basket* basket) noexcept nogil
cdef void assign_parts(Desk* desk, Job* job, int64_t first) noexcept nogil

# -- SUPPLY
cdef bint has_later_lines(const Desk* desk, const Job* job) noexcept nogil
cdef bint supply_at_step(Desk* desk, Job* job, const Basket* basket) noexcept nogil
cdef int64_t comes_ns(const Desk* desk, int32_t supply, int32_t store) noexcept nogil
cdef bint comes_in_time(const Desk* desk, const Job* job, int32_t supply,
                        const Bid* bid) noexcept nogil
cdef bint comes_before(const Leaves* leaves, int32_t day, const Bid* bid, int32_t best_day,
                       const Bid* best) noexcept nogil
