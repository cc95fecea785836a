"""Timers by the ten thousand, nearly all of which are unset before their time.

    due >> TICK_BITS  --modulo SLOTS-->  slots[..] <-> timer <-> timer     a ring, in no order

The wheel turns one slot a tick. A slot holds timers of every round; those of a later one stay.
Invariant: a timer that is set is in the ring of its slot, or in that of those that are due.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc


cdef inline void append(Timer* head, Timer* timer) noexcept nogil:
    timer.next, timer.previous = head, head.previous
    head.previous.next = timer
    head.previous = timer


cdef void wheel_begin(Wheel* wheel, int64_t now_ns) noexcept nogil:
    cdef int slot
    for slot in range(SLOTS):
        wheel.slots[slot].next = wheel.slots[slot].previous = &wheel.slots[slot]
    for slot in range(BUSY_WORDS):
        wheel.busy[slot] = 0
    wheel.due.next = wheel.due.previous = &wheel.due
    wheel.tick = now_ns >> TICK_BITS


cdef void timer_set(Wheel* wheel, Timer* timer, int64_t due_ns) noexcept nogil:
    """Set it, or set it anew."""
    cdef int64_t tick = max(due_ns >> TICK_BITS, wheel.tick + 1)
    cdef int slot = tick & (SLOTS - 1)
    timer_unset(timer)
    timer.due_ns = due_ns
    append(&wheel.slots[slot], timer)
    wheel.busy[slot >> 6] |= <uint64_t>1 << (slot & 63)


cdef void timer_unset(Timer* timer) noexcept nogil:
    if timer.next == NULL:
        return
    timer.next.previous, timer.previous.next = timer.previous, timer.next
    timer.next = timer.previous = NULL


cdef void collect(Wheel* wheel, int slot, int64_t now_ns) noexcept nogil:
    """Move what is due from a slot to those that are."""
    cdef Timer* head = &wheel.slots[slot]
    cdef Timer* timer = head.next
    cdef Timer* next
    while timer != head:
        next = timer.next
        # Within its tick it is due, so that nothing is looked at twice.
        if timer.due_ns >> TICK_BITS <= now_ns >> TICK_BITS:
            timer_unset(timer)
            append(&wheel.due, timer)
        timer = next
    if head.next == head:
        wheel.busy[slot >> 6] &= ~(<uint64_t>1 << (slot & 63))


cdef Timer* timer_due(Wheel* wheel, int64_t now_ns) noexcept nogil:
    cdef int64_t now = (now_ns >> TICK_BITS) - 1  # of the tick that has not ended, nothing is due
    cdef int64_t tick
    cdef Timer* timer
    if now > wheel.tick:
        # After a long sleep one round sees them all.
        for tick in range(max(wheel.tick + 1, now - SLOTS + 1), now + 1):
            if wheel.busy[(tick & (SLOTS - 1)) >> 6] >> (tick & 63) & 1:
                collect(wheel, tick & (SLOTS - 1), now << TICK_BITS)
        wheel.tick = now
    timer = wheel.due.next
    if timer == &wheel.due:
        return NULL
    timer_unset(timer)
    return timer


cdef int64_t quiet_ns(const Wheel* wheel, int64_t now_ns) noexcept nogil:
    cdef int64_t tick = wheel.tick + 1
    cdef int place
    cdef uint64_t word
    for place in range(BUSY_WORDS + 1):
        word = wheel.busy[(tick & (SLOTS - 1)) >> 6] >> (tick & 63)
        if word:
            while not word & 1:
                word >>= 1
                tick += 1
            break
        tick = (tick | 63) + 1
    return max(<int64_t>0, ((tick + 1) << TICK_BITS) - now_ns)


# -- FOR THE TESTS -----------------------------------------------------------------------------

def run(list steps not None):
    """Timers, numbered from 0, in the order in which they went off.

    `steps` are tuples of a time in ns, which never falls, and what is done then: ("set", timer,
    due ns), ("unset", timer) or ("look",), after which what was due is in a list of its own.
    """
    cdef int most = 1 + max([step[2] for step in steps if len(step) > 2], default=0)
    cdef Wheel* wheel = <Wheel*>malloc(sizeof(Wheel))
    cdef Timer* timers = <Timer*>malloc(most * sizeof(Timer))
    cdef Timer* timer
    cdef int place
    looks = []
    if wheel == NULL or timers == NULL:
        free(wheel)
        free(timers)
        raise MemoryError
    for place in range(most):
        timers[place].next = timers[place].previous = NULL
        timers[place].owner = &timers[place]
    wheel_begin(wheel, 0)
    try:
        for now_ns, what, *rest in steps:
            if what == "set":
                timer_set(wheel, &timers[<int>rest[0]], rest[1])
            elif what == "unset":
                timer_unset(&timers[<int>rest[0]])
            else:
                due = []
                while (timer := timer_due(wheel, now_ns)) != NULL:
                    due.append(<int>(<Timer*>timer.owner - timers))
                looks.append(due)
    finally:
        free(wheel)
        free(timers)
    return looks
