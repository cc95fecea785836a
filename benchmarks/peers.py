"""What the engine is measured against, on the same stock and with the same reservations in order.

`NearestThenStock` is how one would do it with scipy, or with scikit-learn: ask a tree for the 64
nearest stores of all orders at once, keep those that have the goods, take the first. `AllStores`
looks at every store for every order, in float64: slow, and right. Others have modules of their own:
`plain` (C), `redis_peer`, `postgis_peer`; rivals.py lets them all take turns.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import fendan
from fendan.workloads.workload import Orders, Workload

MOST_CANDIDATES = 64
NO_STORE = -1
HALF_EARTH_M = fendan.distance_m(0.0, 0.0, 0.0, 180.0)


def dense_stock(workload: Workload) -> NDArray[np.int32]:
    """What is left, as [SKU, store]: the counts that one order looks at stand in a few rows.

    240 MB for 6,000 stores and 10,000 SKUs; it grows with stores times catalogue.
    """
    left = np.zeros((workload.sku_count, workload.store_count), dtype=np.int32)
    stores, skus, quantities = workload.stock_rows
    left[skus, stores] = quantities
    return left


def unit_vectors(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees as points on the unit sphere, where a nearer chord is a nearer great circle."""
    lat, lng = np.radians(lat), np.radians(lng)
    around = np.cos(lat)
    return np.stack([around * np.cos(lng), around * np.sin(lng), np.sin(lat)], axis=1)


def chord_of(distance_m: float | None) -> float:
    """The chord of a great-circle distance on the unit sphere; None is no limit."""
    return np.inf if distance_m is None else 2.0 * np.sin(distance_m / HALF_EARTH_M * np.pi / 2.0)


class Tree(Protocol):
    """What finds the stores near an order."""

    def nearest(self, orders: Orders, count: int) -> NDArray[np.int64]:
        """So many stores for each order, the nearest first."""


class ChordTree:
    """scipy's cKDTree, over points on the unit sphere."""

    def __init__(self, places: NDArray[np.float64]) -> None:
        self._tree = cKDTree(places)

    def nearest(self, orders: Orders, count: int) -> NDArray[np.int64]:
        """As `Tree` says."""
        _, near = self._tree.query(unit_vectors(orders.lat, orders.lng), k=count)
        return np.asarray(near).reshape(len(orders), count)


class AngleTree:
    """scikit-learn's BallTree, over latitudes and longitudes, by haversine."""

    def __init__(self, workload: Workload) -> None:
        from sklearn.neighbors import BallTree

        self._tree = BallTree(_radians(workload.store_lat, workload.store_lng), metric="haversine")

    def nearest(self, orders: Orders, count: int) -> NDArray[np.int64]:
        """As `Tree` says."""
        near = self._tree.query(_radians(orders.lat, orders.lng), count, return_distance=False)
        return np.asarray(near)


def _radians(lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.radians(np.column_stack([lat, lng]))


class OnDenseStock:
    """A peer that reads and writes the counts of `dense_stock` in place."""

    def __init__(self, workload: Workload, left: NDArray[np.int32]) -> None:
        self.store_count = workload.store_count
        self.left = left.ravel()

    def prepared(self, orders: Orders) -> Orders:
        """It takes the arrays as they are."""
        return orders

    def put_back(self, store_codes: NDArray[np.int32], orders: Orders) -> None:
        """Undo a batch that was routed to these stores."""
        stores = np.repeat(store_codes, orders.lines)
        cells = orders.skus.astype(np.int64) * self.store_count + stores
        assigned = stores != NO_STORE
        np.add.at(self.left, cells[assigned], orders.quantities[assigned])


class NearestThenStock(OnDenseStock):
    """The 64 nearest stores of a tree, then a numpy filter; the tree is scipy's unless given.

    All orders are answered in bulk from the stock before the batch. Then they settle one after
    another: stock only shrinks meanwhile, so an answer stands unless its goods are gone, and only
    such an order is filtered again. A third faster than one filter an order, with the same answers.
    It checks no input, knows no order ids, and breaks ties as it pleases. Where none of the 64 has
    the goods it either gives up, or (`to_the_end`) looks at all the others, too.
    """

    def __init__(
        self,
        workload: Workload,
        left: NDArray[np.int32],
        tree: Tree | None = None,
        *,
        to_the_end: bool = False,
    ) -> None:
        super().__init__(workload, left)
        self.places = unit_vectors(workload.store_lat, workload.store_lng)
        self.tree = tree or ChordTree(self.places)
        self.candidates = min(MOST_CANDIDATES, workload.store_count)
        self.to_the_end = to_the_end

    def route(self, orders: Orders) -> NDArray[np.int32]:
        """The store of each order, or -1; reserves."""
        near = self.tree.nearest(orders, self.candidates)
        shelf = orders.skus.reshape(-1, orders.lines).astype(np.int64) * self.store_count
        wanted = orders.quantities.reshape(-1, orders.lines)
        covers = self.left.take(shelf[:, :1] + near) >= wanted[:, :1]
        for line in range(1, orders.lines):
            covers &= self.left.take(shelf[:, line, None] + near) >= wanted[:, line, None]
        first = covers.argmax(axis=1)
        rows = np.arange(len(orders))
        chosen = np.where(covers[rows, first], near[rows, first], NO_STORE)
        self._settle(chosen, near, shelf, wanted, orders)
        return chosen.astype(np.int32)

    def _settle(
        self,
        chosen: NDArray[np.int64],
        near: NDArray[np.int64],
        shelf: NDArray[np.int64],
        wanted: NDArray[np.int32],
        orders: Orders,
    ) -> None:
        """Reserve in order; an order whose goods are gone chooses again."""
        left = self.left.data  # reads and writes one count faster than the array
        cells_of, wanted_of = (shelf + chosen[:, None]).tolist(), wanted.tolist()
        for row in range(len(chosen)) if self.to_the_end else np.flatnonzero(chosen >= 0).tolist():
            if chosen[row] != NO_STORE:
                for cell, quantity in zip(cells_of[row], wanted_of[row], strict=True):
                    if left[cell] < quantity:
                        chosen[row] = self._first_of(near[row], shelf[row], wanted[row])
                        break
                else:
                    for cell, quantity in zip(cells_of[row], wanted_of[row], strict=True):
                        left[cell] -= quantity
            if chosen[row] == NO_STORE and self.to_the_end:
                place = unit_vectors(orders.lat[row : row + 1], orders.lng[row : row + 1])
                others = np.argsort(((self.places - place) ** 2).sum(axis=1), kind="stable")
                chosen[row] = self._first_of(others, shelf[row], wanted[row])

    def _first_of(
        self, stores: NDArray[np.int64], shelf: NDArray[np.int64], wanted: NDArray[np.int32]
    ) -> int:
        """The first of these that has the goods now, or -1; reserves."""
        cells = shelf[:, None] + stores
        covers = (self.left[cells] >= wanted[:, None]).all(axis=0)
        first = int(covers.argmax())
        if not covers[first]:
            return NO_STORE
        self.left[cells[:, first]] -= wanted
        return int(stores[first])


class AllStores:
    """Every store for every order. Keeps its own copy of the counts that it touches."""

    def __init__(self, workload: Workload, left: NDArray[np.int32]) -> None:
        self.places = unit_vectors(workload.store_lat, workload.store_lng)
        self.left = left

    def route(self, orders: Orders, radius_m: float | None = None) -> NDArray[np.int32]:
        """The store of each order, or -1. Each call begins with the stock as it was given."""
        taken: dict[int, NDArray[np.int32]] = {}
        chosen = np.full(len(orders), NO_STORE, dtype=np.int32)
        for row, place in enumerate(unit_vectors(orders.lat, orders.lng)):
            lines = slice(*orders.offsets[row : row + 2])
            skus, wanted = orders.skus[lines].tolist(), orders.quantities[lines].tolist()
            chords = np.sqrt(((self.places - place) ** 2).sum(axis=1))
            chords[chords > chord_of(radius_m)] = np.inf
            for sku, quantity in zip(skus, wanted, strict=True):
                chords[taken.get(sku, self.left[sku]) < quantity] = np.inf
            store = int(chords.argmin())
            if np.isinf(chords[store]):
                continue
            chosen[row] = store
            for sku, quantity in zip(skus, wanted, strict=True):
                taken.setdefault(sku, self.left[sku].copy())[store] -= quantity
        return chosen
