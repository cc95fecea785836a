"""What each store could send of an order, where no store has all of it."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.groups cimport MemberList
from fendan.engine.network cimport Leaves
from fendan.engine.plan cimport Plan
from fendan.engine.split cimport MOST_ITEMS, MOST_SHIPMENTS, Offer, Splitter, Workspace
from fendan.engine.shelves cimport Basket, Shelves
from fendan.engine.terms cimport Bid, Terms


# A store and what it could send.
cdef struct Sender:
    Offer offer
    int32_t ordinal
    int32_t store
    const char* id


# One order on its way to several stores, and room to find them; owned by a Scratch.
cdef struct Sharing:
    # What stores could send, best first.
    Sender* senders             # [sender_capacity]
    Offer* offers               # [sender_capacity], the same
    double* distances_m         # [sender_capacity], the same
    int64_t sender_capacity
    int32_t sender_count
    # What must be sent whole: a line, or the lines of a group that stays together.
    int32_t item_count
    int32_t* item_of            # [line_capacity]
    int64_t amounts[MOST_ITEMS]
    int32_t assignment[MOST_ITEMS]
    # What was found: shipment after shipment, pieces of each line.
    int32_t shipment_count
    int32_t positions[MOST_SHIPMENTS]
    int32_t* taken              # [MOST_SHIPMENTS][line_count]
    int32_t* missing            # [line_capacity]
    int32_t* sellable           # [sellable_capacity]
    int64_t sellable_capacity
    # The lines of one shipment.
    int32_t* skus               # [line_capacity]
    int32_t* quantities
    int64_t* line_amounts
    int64_t line_capacity
    # Other lines: a part of the order's, or those of a group together.
    int32_t* rest_skus          # [line_capacity]
    int32_t* rest_quantities
    int64_t* rest_amounts
    uint64_t* words             # [sender_capacity / 64], a bitmap of stores
    MemberList groups
    Workspace* work


# The sender as the order sees it, without its values.
cdef inline void bid_of(Bid* bid, const Sender* sender) noexcept nogil:
    bid.ordinal, bid.store = sender.ordinal, sender.store
    bid.distance_m = sender.offer.distance_m

# Room for so many stores and lines; whether there is any.
cdef bint reserve_sharing(Sharing* sharing, int64_t stores, int64_t lines) noexcept nogil
# Find the stores that fill the basket together at the terms' step; how many, 0: none do.
cdef int32_t share_out(Sharing* sharing, const Leaves* leaves, const Shelves* shelves,
                       const Plan* plan, const Basket* basket, Terms* terms,
                       const int32_t* classes_of) noexcept nogil
# What one shipment of those takes, good until the next call.
cdef Basket lines_taken(Sharing* sharing, const Basket* basket, int32_t shipment) noexcept nogil


@cython.final
cdef class Scratch:
    cdef Sharing sharing
    cdef Splitter splitter
