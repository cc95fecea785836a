"""The stores, stock and orders that are measured: *metro*, a chain with the density of a big city.

Everything follows from the seed. Stores and orders lie uniformly in a square around Shanghai that
grows with the number of stores, so that 60,000 stores stand as close together as 6,000 do. Every
store carries a random part of the catalogue; every order wants random SKUs. Uniform is the hard
case: no popular shelf stays in the cache, and no corner of the map is answered early.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fendan.model import Order

__all__ = [
    "KM_PER_DEGREE",
    "Orders",
    "Workload",
    "joined",
    "metro",
    "order_objects",
    "sku_names",
    "store_ids",
]

CENTRE_LAT, CENTRE_LNG = 31.2, 121.5
SIDE_KM_OF_6000_STORES = 200.0
KM_PER_DEGREE = 111.195
MOST_ON_HAND = 20
MOST_WANTED = 2
# Stores that share one shuffle of the catalogue; also what bounds the memory for temporaries.
STORES_PER_SHUFFLE = 256


@dataclass(frozen=True)
class Orders:
    """Orders as the arrays of `Engine.route_arrays`; every order has as many lines."""

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    offsets: NDArray[np.int64]
    skus: NDArray[np.int32]
    quantities: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lat)

    @property
    def lines(self) -> int:
        """How many lines each order has."""
        return len(self.skus) // max(1, len(self))

    def head(self, count: int) -> "Orders":
        """The first orders. Their decisions do not depend on those that follow."""
        line = count * self.lines
        return Orders(
            self.lat[:count],
            self.lng[:count],
            self.offsets[: count + 1],
            self.skus[:line],
            self.quantities[:line],
        )


def joined(batches: Sequence[Orders]) -> Orders:
    """Batches as one, for a peer that takes them so; all of as many lines an order."""
    count, lines = sum(len(batch) for batch in batches), batches[0].lines
    return Orders(
        lat=np.concatenate([batch.lat for batch in batches]),
        lng=np.concatenate([batch.lng for batch in batches]),
        offsets=np.arange(count + 1, dtype=np.int64) * lines,
        skus=np.concatenate([batch.skus for batch in batches]),
        quantities=np.concatenate([batch.quantities for batch in batches]),
    )


@dataclass(frozen=True)
class Workload:
    """Stores, stock and orders. `carried[store]` are its SKUs in ascending order."""

    seed: int
    sku_count: int
    store_lat: NDArray[np.float64]
    store_lng: NDArray[np.float64]
    carried: NDArray[np.int32]  # [store, place on its list]
    on_hand: NDArray[np.int32]  # the same shape
    orders: Orders

    @property
    def store_count(self) -> int:
        """How many stores there are."""
        return len(self.store_lat)

    @property
    def stock_rows(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Store codes, SKU codes and on-hand counts as three columns."""
        stores = np.repeat(np.arange(self.store_count, dtype=np.int32), self.carried.shape[1])
        return stores, self.carried.ravel(), self.on_hand.ravel()

    def more_orders(self, orders: int, *, lines: int = 2, batch: int = 0) -> Orders:
        """Other orders at these stores; batch 0 of two lines is what `metro` makes itself."""
        return _orders(self.seed, self.store_count, self.sku_count, orders, lines, batch)

    def row_of(self, stores: NDArray[np.int32], skus: NDArray[np.int32]) -> NDArray[np.int64]:
        """Where pairs that are carried stand in `stock_rows`: all searched at once by halving."""
        width = self.carried.shape[1]
        flat = self.carried.ravel()
        low: NDArray[np.int64] = stores.astype(np.int64) * width
        high = low + width - 1
        while np.any(low < high):
            middle = (low + high) // 2
            before = flat[middle] < skus
            low, high = np.where(before, middle + 1, low), np.where(before, high, middle)
        return low


def metro(
    stores: int = 6000,
    skus: int = 10_000,
    skus_per_store: int = 2500,
    orders: int = 10_000,
    seed: int = 1,
    *,
    sold_out: float = 0.0,
) -> Workload:
    """Make the workload. `sold_out` is the share of a store's SKUs of which it has none left."""
    place, assortment, counts = (np.random.default_rng([seed, stream]) for stream in range(3))
    lat, lng = _places(place, stores, stores)
    shape = (stores, skus_per_store)
    on_hand = counts.integers(1, MOST_ON_HAND + 1, shape, dtype=np.int32)
    if sold_out:
        on_hand[counts.random(shape, dtype=np.float32) < sold_out] = 0
    return Workload(
        seed=seed,
        sku_count=skus,
        store_lat=lat,
        store_lng=lng,
        carried=_carried(assortment, stores, skus, skus_per_store),
        on_hand=on_hand,
        orders=_orders(seed, stores, skus, orders, lines=2, batch=0),
    )


def store_ids(workload: Workload) -> list[str]:
    """The ids of the stores, by code."""
    return [f"S{code:06d}" for code in range(workload.store_count)]


def sku_names(workload: Workload) -> list[str]:
    """The names of the SKUs, by code."""
    return [f"SKU-{code:06d}" for code in range(workload.sku_count)]


def order_objects(orders: Orders, skus: Sequence[str], prefix: str) -> list[Order]:
    """Orders as Python objects, with ids that begin with `prefix`; `skus` are names by code."""
    lines = list(zip([skus[sku] for sku in orders.skus], orders.quantities.tolist(), strict=True))
    ends = pairwise(orders.offsets.tolist())
    places = zip(orders.lat.tolist(), orders.lng.tolist(), ends, strict=True)
    return [
        Order(id=f"{prefix}{row}", lat=lat, lng=lng, lines=lines[start:end])
        for row, (lat, lng, (start, end)) in enumerate(places)
    ]


# -- MAKING ------------------------------------------------------------------------------------


def _places(
    random: np.random.Generator, count: int, stores: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in a square that is as large as so many stores need."""
    side = SIDE_KM_OF_6000_STORES / KM_PER_DEGREE * np.sqrt(stores / 6000)
    lat = CENTRE_LAT + side * (random.random(count) - 0.5)
    lng = CENTRE_LNG + side * (random.random(count) - 0.5) / np.cos(np.radians(CENTRE_LAT))
    return lat, lng


def _carried(
    random: np.random.Generator, stores: int, skus: int, per_store: int
) -> NDArray[np.int32]:
    """For each store `per_store` distinct SKUs.

    The shuffled catalogue is cut into `per_store` pieces, and a store takes one SKU of each piece:
    one random number a pair, where shuffling for each store would take one a SKU.
    """
    edges = np.arange(per_store + 1, dtype=np.int64) * skus // per_store
    first, width = edges[:-1].astype(np.uint32), np.diff(edges).astype(np.uint32)
    carried = np.empty((stores, per_store), dtype=np.int32)
    for start in range(0, stores, STORES_PER_SHUFFLE):
        some = carried[start : start + STORES_PER_SHUFFLE]
        catalogue = random.permutation(skus).astype(np.int32)
        share = random.integers(0, 1 << 16, some.shape, dtype=np.uint16)
        some[:] = catalogue[first + (share * width >> 16)]
    carried.sort(axis=1)
    return carried


def _orders(seed: int, stores: int, skus: int, count: int, lines: int, batch: int) -> Orders:
    random = np.random.default_rng([seed, 3, lines, batch])
    lat, lng = _places(random, count, stores)
    wanted = random.integers(0, skus, (count, lines), dtype=np.int32)
    while True:
        twice = (np.diff(np.sort(wanted, axis=1), axis=1) == 0).any(axis=1)
        if not twice.any():
            break
        wanted[twice] = random.integers(0, skus, (int(twice.sum()), lines), dtype=np.int32)
    return Orders(
        lat=lat,
        lng=lng,
        offsets=np.arange(count + 1, dtype=np.int64) * lines,
        skus=wanted.ravel(),
        quantities=random.integers(1, MOST_WANTED + 1, count * lines, dtype=np.int32),
    )
