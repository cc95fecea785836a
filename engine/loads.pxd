"""How busy each store is: orders it has, and how many it was given lately."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

cdef enum:
    NO_WINDOW = 0x7fffffff      # more than any window has room for


# How busy one store is: half a cache line, all that an order asks of it.
cdef struct Load:
    int64_t most_open           # INT64_MAX: no limit
    int32_t open_orders         # for which the store holds stock
    int32_t came                # in the batch under way, and not in the ring
    int32_t spare               # its window has room for so many more at least, or NO_WINDOW
    int32_t most_in_window      # or 0: any number
    int32_t next_time           # where in its ring the next goes, over the oldest
    int32_t ordinal


# Owned by a LoadTable, drawn in loads.pyx.
cdef struct Loads:
    int32_t store_count
    int32_t leaf_count
    Load* stores                # [store_count]
    int64_t* window_ns          # [store_count]
    int64_t* first_time         # [store_count + 1]: the ring of a store is first:next first
    int64_t* times              # when orders came; INT64_MIN: none yet
    uint64_t* room              # [leaf_count], bit = 1: the store has room for one more order
    int64_t earliest_free_ns    # before that no window slides on so far that a store has room again
    int32_t* came_to            # [log_capacity], the stores of what came since `begin_batch`
    int64_t log_count
    int64_t log_capacity
    bint is_batch


# -- WHAT HAPPENED. Times never go back.
cdef inline bint has_room_for(const Loads* loads, int32_t store, int64_t orders,
                              int64_t now_ns) noexcept nogil:
    """Whether a store may have so many more: of orders at once, and of those in its window."""
    cdef const Load* load = loads.stores + store
    if load.open_orders + orders > load.most_open:
        return False
    return orders <= load.spare or orders <= spare_at(loads, store, now_ns)


cdef inline void show_room(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """Keep a store's bit true."""
    cdef Load* load = loads.stores + store
    cdef uint64_t bit = <uint64_t>1 << (load.ordinal & 63)
    if load.spare == 0:
        look_again(loads, store, now_ns)
    if load.spare and load.open_orders < load.most_open:
        loads.room[load.ordinal >> 6] |= bit
    else:
        loads.room[load.ordinal >> 6] &= ~bit


cdef inline void order_came(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """A store was given an order, or one of its shipments."""
    cdef Load* load = loads.stores + store
    load.open_orders += 1
    if loads.is_batch:
        load.came += 1
        loads.came_to[loads.log_count] = store
        loads.log_count += 1
    elif load.most_in_window:
        loads.times[loads.first_time[store] + load.next_time] = now_ns
        load.next_time = (load.next_time + 1) % load.most_in_window
    load.spare -= 0 < load.spare < NO_WINDOW
    show_room(loads, store, now_ns)


cdef inline void order_left(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """A store no longer holds stock for an order: it was shipped, or is another's, or nobody's."""
    loads.stores[store].open_orders -= 1
    show_room(loads, store, now_ns)


# How many more a store's window has room for, NO_WINDOW: it has none.
cdef int32_t spare_at(const Loads* loads, int32_t store, int64_t now_ns) noexcept nogil
# The same, kept; and where it is none, when there will be.
cdef void look_again(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil


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
