"""How busy each store is: orders it has, and how many it was given lately."""
cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t

cdef enum:
    NO_LIMIT = 0x7fffffff       # of orders at once; of those in a window it is 0


# Owned by a LoadTable, drawn in loads.pyx. By store code, but for `room`.
cdef struct Loads:
    int32_t store_count
    int32_t leaf_count
    int32_t* open_orders        # for which the store holds stock
    int32_t* most_open          # or NO_LIMIT
    int32_t* most_in_window     # or 0: any number
    int64_t* window_ns
    int64_t* first_time         # [store_count + 1]: the ring of a store is first:next first
    int32_t* next_time          # where in its ring the next goes, over the oldest
    int64_t* times              # when orders came; INT64_MIN: none yet
    uint64_t* room              # [leaf_count], bit = 1: the store has room for one more order
    const int32_t* ordinal_of
    int64_t earliest_free_ns    # before that no window slides on so far that a store has room again
    int32_t* came_to            # [log_capacity], the stores of what came since `begin_batch`
    int64_t* came_over          # and the times that it came over
    int64_t log_count
    int64_t log_capacity
    bint is_batch


# -- WHAT HAPPENED. Times never go back.
cdef inline bint has_room(const Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """Whether a store may have one more order: of orders at once, and of those in its window."""
    if loads.open_orders[store] >= loads.most_open[store]:
        return False
    return not loads.most_in_window[store] or free_ns(loads, store) <= now_ns


cdef inline int64_t free_ns(const Loads* loads, int32_t store) noexcept nogil:
    """When the oldest of as many as may be in a store's window slides out of it."""
    cdef int64_t oldest = loads.times[loads.first_time[store] + loads.next_time[store]]
    if oldest == INT64_MIN:
        return oldest
    return oldest + loads.window_ns[store]


cdef inline bint has_room_for(const Loads* loads, int32_t store, int64_t orders,
                              int64_t now_ns) noexcept nogil:
    """As `has_room`, for so many more orders at once, 1 or more."""
    cdef int64_t most = loads.most_in_window[store], time
    if loads.open_orders[store] + orders > loads.most_open[store]:
        return False
    if not most or orders > most:
        return not most
    time = loads.times[loads.first_time[store] + (loads.next_time[store] + orders - 1) % most]
    return time == INT64_MIN or time + loads.window_ns[store] <= now_ns


cdef inline void show_room(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """Keep a store's bit true."""
    cdef int32_t ordinal = loads.ordinal_of[store]
    cdef uint64_t bit = <uint64_t>1 << (ordinal & 63)
    if has_room(loads, store, now_ns):
        loads.room[ordinal >> 6] |= bit
        return
    loads.room[ordinal >> 6] &= ~bit
    if loads.most_in_window[store] and free_ns(loads, store) > now_ns:
        loads.earliest_free_ns = min(loads.earliest_free_ns, free_ns(loads, store))


cdef inline void order_came(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """A store was given an order, or one of its shipments."""
    cdef int64_t* time
    loads.open_orders[store] += 1
    if loads.is_batch:
        loads.came_to[loads.log_count] = store
    if loads.most_in_window[store]:
        time = loads.times + loads.first_time[store] + loads.next_time[store]
        if loads.is_batch:
            loads.came_over[loads.log_count] = time[0]
        time[0] = now_ns
        loads.next_time[store] = (loads.next_time[store] + 1) % loads.most_in_window[store]
    loads.log_count += loads.is_batch
    show_room(loads, store, now_ns)


cdef inline void order_left(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """A store no longer holds stock for an order: it was shipped, or is another's, or nobody's."""
    loads.open_orders[store] -= 1
    show_room(loads, store, now_ns)


# -- A BATCH: what comes from `begin_batch` on, at most `most` of it, `end_batch` takes back, so that
# all is as it was. False where there is no memory.
cdef bint begin_batch(Loads* loads, int64_t most) noexcept nogil
cdef void end_batch(Loads* loads, int64_t now_ns) noexcept nogil
# Take back only what came after the first `count` of the batch.
cdef void back_to(Loads* loads, int64_t count, int64_t now_ns) noexcept nogil

# Let windows slide on; nothing happens where none has slid far enough.
cdef void refresh(Loads* loads, int64_t now_ns) noexcept nogil


@cython.final
cdef class LoadTable:
    cdef Loads loads
    cdef dict _arrays           # the numpy arrays that own what `loads` points at

    cdef int _point(self) except -1
