"""What an order says beside its place and its lines: its type, channel, region, pickup store, group,
buyer and address.
"""
cimport cython

from fendan.engine.names cimport Names

import numpy as np

# asking.Asked as numpy sees it.
ASKED_DTYPE = np.dtype(
    [
        ("group", np.uint64), ("buyer", np.uint64), ("hash", np.uint64), ("order_type", np.int32),
        ("channel", np.int32), ("region", np.int32), ("pickup_store", np.int32),
    ],
    align=True,
)


@cython.final
cdef class Asking:
    """The names that what orders say is looked up in.

    `channels`, `regions`: those that some rule or share knows; all others are the same to it.
    `store_code_of`: id -> store code, for pickup stores.
    """

    def __init__(self, Names channels not None, Names regions not None, store_code_of):
        self.channels = channels
        self.regions = regions
        self.store_code_of = store_code_of
