"""A store would not have an order: give back, correct its counts, and look for the next."""
from libc.stdint cimport int64_t, uint8_t, uint64_t

from fendan.engine.book cimport Rules
from fendan.engine.events cimport Lines
from fendan.engine.orders cimport Orders
from fendan.engine.shelves cimport Basket
from fendan.engine.terms cimport NEVER_NS

# Why a store would not have an order: the `reason` of an EVENT_REJECTED.
cdef enum RejectCode:
    REJECT_OTHER = 1
    REJECT_NOT_ON_SHELF = 2
    REJECT_DAMAGED = 3
    REJECT_TOO_BUSY = 4
    REJECT_CLOSED = 5


# Where a rejected order may go next, and for how long it is held there.
cdef struct Patience:
    double radius_m
    int64_t timeout_ns          # of a reservation, or NEVER_NS
    int64_t cool_down_ns
    int64_t most_attempts


cdef inline int64_t due_after(const Patience* patience, int64_t now_ns) noexcept nogil:
    """When a reservation that is made now times out."""
    if patience.timeout_ns == NEVER_NS:
        return patience.timeout_ns
    return now_ns + patience.timeout_ns


# Let the stores of these records reject them, each with its set of SKU codes that are missing.
# `rules`: what is in force, or None.
cdef int reject_all(Orders orders, Lines lines, const Patience* patience, Rules rules,
                    list numbers, list missing, uint8_t reason, int64_t now_ns) except -1

# Assign a record that was rejected to the next store; `allowed` is room for a word a leaf. A retry
# that finds none leaves no trace.
cdef int route_again(Orders orders, Lines lines, const Patience* patience, Rules rules,
                     int64_t number, uint64_t* allowed, int64_t now_ns, bint is_retry) except -1

# Whether a record is sold against supply: then all its lines are.
cdef bint waits_for_supply(Orders orders, const Basket* basket) except -1

# Of what an order asked for, the SKUs that its store has found out it does not have; and the codes
# that these have in a record, which may be sold against supply of them.
cdef set missing_of(Orders orders, int64_t number, reason, missing_skus)
cdef set lacked_by(Orders orders, int64_t number, set missing)
