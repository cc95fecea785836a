"""The last million changes of what stores can sell.

Only *which* pairs changed is kept, not to what: a watcher asks the shelves, and so gets the latest
count however far it lags, while memory stays what it is. A watcher is a number, the next change it
has not seen; one that lags more than CHANGES_KEPT behind must begin anew.

    pairs[n % CHANGES_KEPT]   store's code (32 bits) | SKU's code (32 bits)
"""
cimport cython
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

import numpy as np


@cython.final
cdef class Changes:
    """A ring of pairs; len() is how many were ever noted, and the number of the next."""

    def __cinit__(self):
        self.ring.pairs = <int64_t*>calloc(CHANGES_KEPT, sizeof(int64_t))
        if self.ring.pairs == NULL:
            raise MemoryError("no room for changes of stock")

    def __dealloc__(self):
        free(self.ring.pairs)

    def __len__(self):
        return self.ring.count

    def since(self, int64_t first, int64_t most):
        """The pairs of up to `most` changes from number `first` on, each once, as int64[n].

        None where those changes are no longer kept.
        """
        cdef int64_t last = min(first + most, self.ring.count)
        cdef int64_t number
        cdef int64_t[::1] pairs
        if not self.ring.count - CHANGES_KEPT <= first <= self.ring.count:
            return None
        array = np.empty(last - first, dtype=np.int64)
        pairs = array
        for number in range(first, last):
            pairs[number - first] = self.ring.pairs[number & (CHANGES_KEPT - 1)]
        return np.unique(array)
