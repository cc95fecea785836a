"""Workloads with a name and a seed, so that a number can say what it was measured on.

A name stands for one chain, its stock and its orders, made from the seed alone; the README of the
benchmarks tells what each is there for. The engine must tell the same decisions every time: their
hash is in benchmarks/workloads.json, and anybody can make it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fendan.chain import places_around, read_towns
from fendan.errors import Fault, refuse
from fendan.toml_file import did_you_mean
from fendan.workloads.workload import KM_PER_DEGREE, Orders, Workload, joined, metro

__all__ = ["NAMED", "SEED", "Named", "Places", "by_name", "made", "without_stock"]

SEED = 1
FAR_KM = 60.0  # what "out of range" is out by: more than any step of a policy but the nationwide
PLACE_DIGITS = 7  # a centimetre: sines differ in their last bit from machine to machine
HOT_SHARE = 0.01  # of the SKUs, in *peak*
HOT_DEMAND = 0.9  # of the lines
HOT_ON_HAND = 2  # at most, in a store


class Places(StrEnum):
    """Where stores and orders are."""

    SQUARE = "uniform in a square, 0.15 stores a km²"
    TOWNS = "around real towns, as their inhabitants"
    FAR = "orders beside the square"


@dataclass(frozen=True)
class Named:
    """What a workload is made of, and in one line what it stands for."""

    stands_for: str
    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    lines: int = 2
    orders: int = 10_000  # in a batch
    batches: int = 5
    places: Places = Places.SQUARE
    hot: bool = False
    radius_m: float | None = None

    def smaller(self, by: int) -> "Named":
        """The same in small: so many times fewer stores, SKUs and orders."""
        return replace(
            self,
            stores=self.stores // by,
            skus=max(100, self.skus // by),
            skus_per_store=max(100, self.skus // by) * self.skus_per_store // self.skus,
            orders=self.orders // by,
        )

    @property
    def pairs(self) -> int:
        """How many (store, SKU) pairs there are."""
        return self.stores * self.skus_per_store


CONVENIENCE = Named(
    "small shops that all carry nearly the same: almost any nearest store has the basket",
    skus=3000,
    skus_per_store=2400,
)
NAMED: Mapping[str, Named] = MappingProxyType(
    {
        "metro": Named("a chain in one large city, each store with a quarter of the catalogue"),
        "nation": Named(
            "a chain in every town of a country: stores crowd where people do",
            stores=30_000,
            skus=30_000,
            places=Places.TOWNS,
        ),
        "giant": Named(
            "a marketplace of chains: a long catalogue, of which each store lists 2 %",
            stores=100_000,
            skus=100_000,
            skus_per_store=2000,
            places=Places.TOWNS,
        ),
        "convenience": CONVENIENCE,
        "peak": Named(
            "a sales peak: nine lines of ten want 1 % of the goods, until they are sold out",
            batches=12,
            hot=True,
        ),
        **{
            f"basket-{lines}": replace(
                CONVENIENCE, stands_for=f"{lines} lines an order, in *convenience*", lines=lines
            )
            for lines in (1, 2, 5, 20)
        },
        "sparse": Named(
            "long-tail goods: a store carries 1 %, so who has both lines is far away, or nobody",
            skus_per_store=100,
        ),
        "out-of-range": Named(
            "orders nobody may serve: 60 km from every store, with a radius of 10 km",
            places=Places.FAR,
            radius_m=10_000,
        ),
    }
)


def by_name(name: str) -> Named:
    """The workload of this name. Raises InvalidInputError naming a near one."""
    if name not in NAMED:
        hint = f"must be one of {', '.join(NAMED)}{did_you_mean(name, NAMED)}"
        refuse(Fault.OUT_OF_RANGE, "workload", name, hint=hint)
    return NAMED[name]


def made(named: Named, seed: int = SEED) -> tuple[Workload, list[Orders]]:
    """The chain with its stock, and the batches of orders that come one after another."""
    workload = metro(named.stores, named.skus, named.skus_per_store, orders=1, seed=seed)
    if named.places is Places.TOWNS:
        lat, lng = _in_towns(named.stores, [seed, 10])
        workload = replace(workload, store_lat=lat, store_lng=lng)
    if named.hot:
        hot = workload.carried < _hot_skus(named.skus)
        on_hand = np.where(hot, (workload.on_hand - 1) % HOT_ON_HAND + 1, workload.on_hand)
        workload = replace(workload, on_hand=on_hand)
    return workload, [_batch(workload, named, batch) for batch in range(named.batches)]


def without_stock(named: Named, orders: int, seed: int = SEED) -> tuple[Workload, Orders]:
    """The first orders alone, and of the stock nearly nothing: they do not depend on it."""
    bare = replace(named, skus_per_store=1, batches=-(-orders // named.orders))
    workload, batches = made(bare, seed)
    return workload, joined(batches).head(orders)


def _batch(workload: Workload, named: Named, batch: int) -> Orders:
    orders = workload.more_orders(named.orders, lines=named.lines, batch=batch)
    if named.places is Places.TOWNS:
        lat, lng = _in_towns(named.orders, [workload.seed, 11, batch])
        return replace(orders, lat=lat, lng=lng)
    if named.places is Places.FAR:
        # All of them beyond the northern edge, as far from each other as they were.
        away = np.ptp(workload.store_lat) + 2 * FAR_KM / KM_PER_DEGREE
        return replace(orders, lat=orders.lat + away)
    return _wanting_what_is_hot(orders, workload, batch) if named.hot else orders


_towns = cache(read_towns)


def _in_towns(count: int, seed: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places around towns, more where more people live."""
    towns, random = _towns(), np.random.default_rng(seed)
    town = random.choice(len(towns), count, p=towns.population / towns.population.sum())
    lat, lng = places_around(towns, town, random)
    return np.round(lat, PLACE_DIGITS), np.round(lng, PLACE_DIGITS)


def _hot_skus(skus: int) -> int:
    """The first SKUs are the hot ones; which they are makes no difference."""
    return max(2, int(skus * HOT_SHARE))


def _wanting_what_is_hot(orders: Orders, workload: Workload, batch: int) -> Orders:
    """The same orders, but most lines want one of the hot SKUs; of an order, different ones."""
    random = np.random.default_rng([workload.seed, 12, batch])
    hot = _hot_skus(workload.sku_count)
    skus = orders.skus.reshape(len(orders), orders.lines).copy()
    first = random.integers(0, hot, len(orders))
    for line in range(orders.lines):
        wants = random.random(len(orders)) < HOT_DEMAND
        skus[wants, line] = (first[wants] + line) % hot
    twice = (np.diff(np.sort(skus, axis=1), axis=1) == 0).any(axis=1)
    skus[twice] = orders.skus.reshape(skus.shape)[twice]
    return replace(orders, skus=skus.ravel())
