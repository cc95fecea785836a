"""How busy each store is: orders it has, and how many it was given lately.

    stores        how many orders hold stock at the store, against the most there may be at once
    times         of each store a ring of when its newest orders came, as many as may come in its
                  window: it has room where the oldest of them is out of (now - window, now]
    room          a bit for each store, by ordinal: what a search reads

    ring     | 8:59  9:30  9:31 | 8:10  8:15 |      now 9:40, a window of an hour: the two oldest
                                  next_time         are out, so `spare` is at most 2

Rings take many pages of memory, so they are rarely looked at: `spare` says how many may come before
one must be. Time only adds to it. What comes in a batch is counted beside the ring.

Bits are true as of the last time something came, left, or was refreshed. A window that only slides
on is seen by `refresh`, which costs nothing before `earliest_free_ns`.

Orders in a window count however they came: also again, after another store rejected them.
"""
cimport cython
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint64_t
from libc.stdlib cimport free

from fendan.engine.network cimport Layout
from fendan.engine.room cimport grow

import numpy as np

from fendan.engine.room import in_cache_lines

NO_MAXIMUM = INT64_MAX
NEVER_NS = INT64_MAX

# What is kept of it in a snapshot: how many times each store has, and all of them, oldest first.
KINDS = {
    "load_time_counts": (np.dtype(np.int32), ()),
    "load_times": (np.dtype(np.int64), ()),
}


# How a Load stands in an array.
LOAD_DTYPE = np.dtype(
    [("most_open", np.int64)] + [(name, np.int32) for name in (
        "open_orders", "came", "spare", "most_in_window", "next_time", "ordinal",
    )]
)


cdef int32_t spare_at(const Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    """The times from `next_time` on are the oldest first; what came in a batch took the place of
    as many.
    """
    cdef const Load* load = loads.stores + store
    cdef int32_t low = min(load.came, load.most_in_window), high = load.most_in_window, middle
    cdef int64_t time
    if load.most_in_window == 0:
        return NO_WINDOW
    while low < high:
        middle = (low + high) // 2
        time = time_at(loads, store, middle)
        if time == INT64_MIN or time + loads.window_ns[store] <= now_ns:
            low = middle + 1
        else:
            high = middle
    return max(0, low - load.came)


cdef inline int64_t time_at(const Loads* loads, int32_t store, int32_t place) noexcept nogil:
    """Of the times in a store's ring this one, from the oldest on."""
    cdef const Load* load = loads.stores + store
    return loads.times[loads.first_time[store] + (load.next_time + place) % load.most_in_window]


cdef void look_again(Loads* loads, int32_t store, int64_t now_ns) noexcept nogil:
    cdef Load* load = loads.stores + store
    cdef int64_t oldest = now_ns
    load.spare = spare_at(loads, store, now_ns)
    if load.spare == 0:
        if load.came < load.most_in_window:
            oldest = time_at(loads, store, load.came)
        loads.earliest_free_ns = min(loads.earliest_free_ns, oldest + loads.window_ns[store])


cdef bint begin_batch(Loads* loads, int64_t most) noexcept nogil:
    if most > loads.log_capacity:
        if not grow(<void**>&loads.came_to, most * sizeof(int32_t)):
            return False
        loads.log_capacity = most
    loads.log_count, loads.is_batch = 0, True
    return True


cdef void back_to(Loads* loads, int64_t count, int64_t now_ns) noexcept nogil:
    """Of what a window has to spare no more is known than before: that may be less than it has."""
    cdef bint many = loads.log_count - count > loads.store_count
    cdef int32_t store
    while loads.log_count > count:
        loads.log_count -= 1
        store = loads.came_to[loads.log_count]
        loads.stores[store].open_orders -= 1
        loads.stores[store].came -= 1
        if not many:
            show_room(loads, store, now_ns)
    if many:
        show_all(loads, now_ns)


cdef void end_batch(Loads* loads, int64_t now_ns) noexcept nogil:
    back_to(loads, 0, now_ns)
    loads.is_batch = False


cdef void refresh(Loads* loads, int64_t now_ns) noexcept nogil:
    if now_ns >= loads.earliest_free_ns:
        show_all(loads, now_ns)


cdef void show_all(Loads* loads, int64_t now_ns) noexcept nogil:
    cdef int32_t store, leaf
    loads.earliest_free_ns = INT64_MAX
    for leaf in range(loads.leaf_count):
        loads.room[leaf] = 0
    for store in range(loads.store_count):
        show_room(loads, store, now_ns)


@cython.final
cdef class LoadTable:
    """Owns a Loads, with no limits at first. Stores are codes, times nanoseconds since 1970."""

    def __init__(self, Layout layout not None):
        self._arrays = {
            "stores": np.zeros(0, LOAD_DTYPE), "window_ns": np.zeros(0, np.int64),
            "first_time": np.zeros(1, np.int64), "times": np.zeros(1, np.int64),
        }
        self.loads.earliest_free_ns = INT64_MAX
        self.set_layout(layout, 0)

    def __dealloc__(self):
        free(self.loads.came_to)

    # -- COMMANDS ------------------------------------------------------------------------------

    def set_layout(self, Layout layout not None, int64_t now_ns):
        """The stores are these from now on: those known keep their codes, others are idle."""
        arrays = self._arrays
        count, known = layout.leaves.store_count, arrays["stores"]
        arrays["layout"] = layout
        arrays["room"] = np.zeros(max(1, layout.leaves.leaf_count), np.uint64)
        arrays["stores"] = in_cache_lines(count, LOAD_DTYPE)
        arrays["stores"][:len(known)] = known
        arrays["stores"]["most_open"][len(known):] = INT64_MAX
        arrays["stores"]["ordinal"] = layout.arrays["ordinal_of"]
        more = np.ones(count - len(known), np.int64)
        arrays["window_ns"] = np.append(arrays["window_ns"], 0 * more)
        arrays["first_time"] = np.append(
            arrays["first_time"], more * arrays["first_time"][len(known)]
        )
        self.loads.store_count, self.loads.leaf_count = count, layout.leaves.leaf_count
        self._point()
        show_all(&self.loads, now_ns)

    def set_limits(self, most_open, most_in_window, window_ns, int64_t now_ns):
        """Of each store, by code: at once (NO_MAXIMUM: any), and in a window (0: any) of so long.

        As many of the newest times as a store had stay; of more than it had to remember until now
        it knows nothing.
        """
        kept = self._newest()
        self._arrays["stores"]["most_open"] = most_open
        self._arrays["stores"]["most_in_window"] = most_in_window
        self._arrays["window_ns"] = np.array(window_ns, dtype=np.int64)
        self._keep(kept, now_ns)

    def recount(self, open_orders, int64_t now_ns):
        """So many orders each store has, by code."""
        self._arrays["stores"]["open_orders"] = open_orders
        show_all(&self.loads, now_ns)

    def came(self, int32_t store, int64_t now_ns):
        """A store was given an order."""
        order_came(&self.loads, store, now_ns)

    def left(self, int32_t store, int64_t now_ns):
        """A store has one order less."""
        order_left(&self.loads, store, now_ns)

    def refresh(self, int64_t now_ns):
        """Let windows slide on."""
        refresh(&self.loads, now_ns)

    def begin_batch(self, int64_t most):
        """What comes from now on, at most so much, is taken back by `end_batch`."""
        if not begin_batch(&self.loads, most):
            raise MemoryError("no room for more orders of stores")

    def end_batch(self, int64_t now_ns):
        """All is as it was when the batch began."""
        end_batch(&self.loads, now_ns)

    # -- QUERIES -------------------------------------------------------------------------------

    def has_room(self, int32_t store, int64_t now_ns):
        """Whether a store may have one more order."""
        return bool(has_room_for(&self.loads, store, 1, now_ns))

    @property
    def open_orders(self):
        """int32[n] by store code; not to be changed, and another array for another layout."""
        return self._arrays["stores"]["open_orders"]

    @property
    def layout(self):
        """The stores that are counted."""
        return self._arrays["layout"]

    @property
    def room(self):
        """uint64[leaf_count], a bit for each store; as `open_orders`."""
        return self._arrays["room"]

    def lately(self, int64_t now_ns):
        """How many orders each store was given in its window, int32[n] by code; 0 without one."""
        cdef int32_t[::1] counts = np.zeros(max(1, self.loads.store_count), np.int32)
        cdef int32_t store
        cdef int64_t place
        for store in range(self.loads.store_count):
            for place in range(self.loads.first_time[store], self.loads.first_time[store + 1]):
                counts[store] += self.loads.times[place] + self.loads.window_ns[store] > now_ns
        return np.asarray(counts)[:self.loads.store_count]

    @property
    def earliest_free_ns(self):
        """Before that `refresh` has nothing to do; NEVER_NS where no window is full."""
        return self.loads.earliest_free_ns

    # -- IN A SNAPSHOT -------------------------------------------------------------------------

    def kept(self):
        """What is no consequence of the orders: an array for each of KINDS."""
        newest = self._newest()
        return {
            "load_time_counts": np.array([len(times) for times in newest], dtype=np.int32),
            "load_times": np.concatenate([np.zeros(0, np.int64), *newest]),
        }

    def restore(self, arrays, int64_t now_ns):
        """Take back what was `kept`; limits were set before. False where it cannot be that."""
        counts, times = arrays["load_time_counts"], arrays["load_times"]
        if len(counts) > self.loads.store_count or (counts < 0).any() or (
                len(times) != counts.sum(dtype=np.int64)):
            return False
        newest = np.split(times, np.cumsum(counts))[:len(counts)]
        self._keep([*newest, *[times[:0]] * (self.loads.store_count - len(counts))], now_ns)
        return True

    # -- INSIDE --------------------------------------------------------------------------------

    def _newest(self):
        """Of each store the times that it remembers, oldest first."""
        rings = np.split(self._arrays["times"], self._arrays["first_time"][1:])
        next_time = self._arrays["stores"]["next_time"]
        found = []
        for store in range(self.loads.store_count):
            ring = rings[store]
            ring = np.roll(ring, -next_time[store])
            found.append(ring[ring != INT64_MIN])
        return found

    def _keep(self, newest, int64_t now_ns):
        """Rings for the limits there are, with as many of these times as they have room for."""
        stores = self._arrays["stores"]
        counts = stores["most_in_window"]
        first = self._arrays["first_time"] = np.append(0, np.cumsum(counts, dtype=np.int64))
        times = self._arrays["times"] = np.full(max(1, first[len(counts)]), INT64_MIN, dtype=np.int64)
        stores["next_time"] = stores["spare"] = 0
        for store, known in enumerate(newest):
            kept = known[max(0, len(known) - counts[store]):] if counts[store] else known[:0]
            times[first[store + 1] - len(kept):first[store + 1]] = kept
        self._point()
        show_all(&self.loads, now_ns)

    cdef int _point(self) except -1:
        arrays = self._arrays
        cdef Layout layout = arrays["layout"]
        if not layout.leaves.store_count:
            return 0
        cdef Load[::1] stores = arrays["stores"]
        cdef int64_t[::1] window = arrays["window_ns"], first = arrays["first_time"]
        cdef int64_t[::1] times = arrays["times"]
        cdef uint64_t[::1] room = arrays["room"]
        self.loads.stores = &stores[0]
        self.loads.window_ns, self.loads.first_time = &window[0], &first[0]
        self.loads.times, self.loads.room = &times[0], &room[0]
        return 0
