"""The newest orders by their buyers: who has ordered the same, and how often, a short while ago.

    newest[buyer & mask]  ─►  number of an order          0: none yet
    ring[number & mask]   ─►  order | buyer | content | placed_ns | earlier ─► its number, and so on

Orders are numbered from 1 as they come. A slot's orders hang together from the newest back, and
the ring has as many places as there are slots: an order that is so many numbers old was written
over, and there the way back ends. So nothing is ever cleared up, and memory does not grow.

Ids, buyers and contents are hashes of 64 bits. Whoever hashes with a key that nobody else knows
need not fear that anyone makes two of them meet.
"""
cimport cython
from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport calloc, free

import numpy as np

from fendan.engine.room cimport prefetch

MOST_REMEMBERED = 1 << 24       # 770 MB
MOST_ORDERS = MOST_LOOKED_AT

cdef enum:
    AHEAD = 16                  # so many orders before its turn, a slot is asked for


@cython.final
cdef class Recent:
    """The newest `remembered` orders, a power of two."""

    def __cinit__(self, int64_t remembered):
        if remembered < 1 or remembered > MOST_REMEMBERED or remembered & (remembered - 1):
            raise ValueError(f"a power of two up to {MOST_REMEMBERED:,}, not {remembered:,}")
        self.mask = remembered - 1
        self.ring = <Entry*>calloc(remembered, sizeof(Entry))
        self.newest = <int64_t*>calloc(remembered, sizeof(int64_t))
        if self.ring == NULL or self.newest == NULL:
            raise MemoryError("no room for recent orders")

    def __dealloc__(self):
        free(self.ring)
        free(self.newest)

    def take(
        self,
        const int64_t[::1] orders not None,
        const int64_t[::1] buyers not None,
        const int64_t[::1] contents not None,
        const int64_t[::1] placed_ns not None,
        int64_t window_ns,
    ):
        """What came before each order, which is remembered: (others, same_ns), int64[n] each.

        `others`: how many orders of its buyer were placed less than `window_ns` away from it.
        `same_ns`: how far away the nearest of the same content was; INT64_MAX where there is none.
        Of a buyer the newest MOST_ORDERS count. An order that comes again is told what it was told
        first, and counts once. A buyer of 0 is nobody. Times are from 0 to 2**62.
        """
        cdef int64_t count = orders.shape[0], row, number
        cdef Entry asked
        others = np.zeros(count, dtype=np.int64)
        same_ns = np.full(count, INT64_MAX, dtype=np.int64)
        cdef int64_t[::1] others_out = others, same_out = same_ns
        if not (buyers.shape[0] == contents.shape[0] == placed_ns.shape[0] == count):
            raise ValueError("columns of different lengths")
        for row in range(count):  # with the GIL: callers take turns
            if row + AHEAD < count:
                prefetch(&self.newest[buyers[row + AHEAD] & self.mask])
            if row + AHEAD // 2 < count:
                number = self.newest[buyers[row + AHEAD // 2] & self.mask]
                prefetch(&self.ring[number & self.mask])
            if buyers[row] == 0:
                continue
            asked.order, asked.buyer = orders[row], buyers[row]
            asked.content, asked.placed_ns = contents[row], placed_ns[row]
            if not self._look(&asked, window_ns, &others_out[row], &same_out[row]):
                self._keep(&asked)
        return others, same_ns

    cdef bint _look(self, const Entry* asked, int64_t window_ns,
                    int64_t* others, int64_t* same_ns) noexcept nogil:
        """Go back along the slot; whether the order itself was there."""
        cdef int64_t number = self.newest[asked.buyer & self.mask]
        cdef int64_t oldest = self.count - self.mask, away_ns
        cdef int looked_at = 0
        cdef bint is_known = False
        cdef const Entry* entry
        while number and number >= oldest and looked_at < MOST_LOOKED_AT:
            entry = &self.ring[number & self.mask]
            number = entry.earlier
            if entry.buyer != asked.buyer:
                continue
            looked_at += 1
            if entry.order == asked.order:  # what came after it is none of its business
                is_known = True
                others[0], same_ns[0] = 0, INT64_MAX
                continue
            away_ns = asked.placed_ns - entry.placed_ns
            away_ns = -away_ns if away_ns < 0 else away_ns
            others[0] += away_ns < window_ns
            if entry.content == asked.content and away_ns < same_ns[0]:
                same_ns[0] = away_ns
        return is_known

    cdef void _keep(self, const Entry* asked) noexcept nogil:
        """Number the order, over the oldest."""
        cdef Entry* entry
        self.count += 1
        entry = &self.ring[self.count & self.mask]
        entry[0] = asked[0]
        entry.earlier = self.newest[asked.buyer & self.mask]
        self.newest[asked.buyer & self.mask] = self.count
