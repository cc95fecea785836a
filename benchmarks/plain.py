"""The textbook loop in C (nearest.c) as a peer: nearest store, then its stock, then the next."""

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiled import shared_library
from fendan.workloads.workload import Orders, Workload
from peers import OnDenseStock, unit_vectors

STORES_IN_A_LEAF = 8


class PlainLoop(OnDenseStock):
    """`nearest.c` over the counts that it is given. `looks`: how many stores were asked."""

    def __init__(self, workload: Workload, left: NDArray[np.int32], folder: Path) -> None:
        super().__init__(workload, left)
        self.places = unit_vectors(workload.store_lat, workload.store_lng)
        self.starts, self.stores_by_leaf, self.boxes = _boxes(self.places)
        self.looks = 0
        self._route = shared_library("nearest.c", folder).route
        self._route.restype = ctypes.c_int64

    def route(self, orders: Orders) -> NDArray[np.int32]:
        """The store of each order, or -1; reserves."""
        chosen = np.empty(len(orders), dtype=np.int32)
        places = unit_vectors(orders.lat, orders.lng)
        looks = self._route(
            ctypes.c_int64(len(orders)),
            *map(_at, (places, orders.offsets, orders.skus, orders.quantities)),
            ctypes.c_int64(self.store_count),
            _at(self.places),
            ctypes.c_int64(len(self.starts) - 1),
            *map(_at, (self.boxes, self.starts, self.stores_by_leaf, self.left, chosen)),
        )
        if looks < 0:
            raise MemoryError
        self.looks += looks
        return chosen


def _at(array: NDArray[np.generic]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def _boxes(
    places: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Where each leaf begins, the stores leaf by leaf, and the box of each node, root first.

    Every level halves each part by the widest side of its box.
    """
    parts = [np.arange(len(places), dtype=np.int32)]
    boxes = [_box(places, parts[0])]
    while max(map(len, parts)) > STORES_IN_A_LEAF:
        parts = [half for part in parts for half in _halves(places, part)]
        boxes += [_box(places, part) for part in parts]
    starts = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return starts, np.concatenate(parts), np.array(boxes)


def _halves(places: NDArray[np.float64], part: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    axis = int(np.ptp(places[part], axis=0).argmax())
    middle = len(part) // 2
    by_axis = part[np.argpartition(places[part, axis], middle)]
    return [by_axis[:middle], by_axis[middle:]]


def _box(places: NDArray[np.float64], part: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.concatenate([places[part].min(axis=0), places[part].max(axis=0)])
