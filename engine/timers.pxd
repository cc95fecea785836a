"""Timers by the ten thousand: set, unset and found due in constant time."""
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef enum:
    NANOSECONDS = 1_000_000_000 # in a second
    TICK_BITS = 20              # a tick is about a millisecond: what a deadline may be late by
    SLOTS = 1024                # about a second a round
    BUSY_WORDS = SLOTS >> 6


# A member of what it is for: `owner`.
cdef struct Timer:
    Timer* next                 # NULL: not set
    Timer* previous
    int64_t due_ns
    void* owner
    int kind                    # what the owner is, if there are several kinds


cdef struct Wheel:
    Timer slots[SLOTS]          # each the head of a ring of timers
    uint64_t busy[BUSY_WORDS]   # a bit a slot: maybe there are timers
    Timer due                   # the head of those whose time has come
    int64_t tick                # the last that was looked at


cdef void wheel_begin(Wheel* wheel, int64_t now_ns) noexcept nogil
cdef void timer_set(Wheel* wheel, Timer* timer, int64_t due_ns) noexcept nogil
cdef void timer_unset(Timer* timer) noexcept nogil
# The next timer whose time has come, no longer set; NULL: none.
cdef Timer* timer_due(Wheel* wheel, int64_t now_ns) noexcept nogil
# How long nothing is due for, at most about a second.
cdef int64_t quiet_ns(const Wheel* wheel, int64_t now_ns) noexcept nogil


cdef inline int64_t clock_ns() noexcept nogil:
    """What time it is, for whoever waits: it never goes back, and tells no date."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * <int64_t>NANOSECONDS + now.tv_nsec
