"""Lots as routing asks for them: what is good for long enough, and what is held until further notice.

Giving back what was held does not restore lots: it takes the earliest, whoever held them. That is
right for an order that leaves; a dry run, or a batch that fails, must leave no trace. So while a
batch is under way every hold is noted, and can be dropped:

    holds   lot, 3 | lot, 2 | lot, 5        one line held 3 and 2 pieces of two lots, the next 5
            first           first

Holding only adds to what lots have reserved. So once as many lines are dropped as were held, lots
are what they were, whatever the order in between.
"""
from libc.stdint cimport int32_t, int64_t

from fendan.engine.lots cimport MOST_LOTS, LotPair, pair_of, reserve
from fendan.engine.room cimport grow

cdef enum:
    LEAST_HOLDS = 1024


cdef void hold_for_now(Larder* larder, int32_t store, int32_t sku, int32_t from_day,
                       int32_t quantity) noexcept nogil:
    cdef int32_t before[MOST_LOTS]
    cdef LotPair* pair = pair_of(larder.lots, store, sku)
    cdef int64_t place, first = larder.hold_count
    cdef Hold* hold
    if pair == NULL:
        return
    if not has_room(larder, pair.lot_count):
        larder.no_memory = True
        return
    for place in range(pair.lot_count):
        before[place] = pair.lots[place].reserved
    reserve(pair, from_day, quantity)
    for place in range(pair.lot_count):
        if pair.lots[place].reserved != before[place]:
            hold = larder.holds + larder.hold_count
            hold.lot = pair.lots + place
            hold.pieces = pair.lots[place].reserved - before[place]
            hold.is_first = larder.hold_count == first
            larder.hold_count += 1


cdef void drop_hold(Larder* larder, int32_t store, int32_t sku) noexcept nogil:
    """Undo the last hold; the pair is that of a line that was held."""
    cdef const Hold* hold
    if pair_of(larder.lots, store, sku) == NULL:
        return
    while larder.hold_count:
        larder.hold_count -= 1
        hold = larder.holds + larder.hold_count
        hold.lot.reserved -= hold.pieces
        if hold.is_first:
            return


cdef bint has_room(Larder* larder, int64_t more) noexcept nogil:
    cdef int64_t wanted = larder.hold_count + more
    if wanted <= larder.hold_capacity:
        return True
    wanted = max(2 * wanted, <int64_t>LEAST_HOLDS)
    if not grow(<void**>&larder.holds, wanted * sizeof(Hold)):
        return False
    larder.hold_capacity = wanted
    return True
