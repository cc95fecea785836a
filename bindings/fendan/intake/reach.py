"""Which places a chain reaches at all: near enough to any store.

The engine itself says how far the nearest store is: one in which each store has one SKU without
end. A grid over the stores answers for most places without asking:

    . . ? ? .        #  from anywhere in this cell a store is in reach
    . ? # # ?        .  from nowhere
    ? # # # ?        ?  ask, as for all that lies beside the grid

Invariant: what the grid answers, the engine would answer. A cell's answer rests on the distance
from its middle, and on no place in it being farther from there than half the cell's diagonal.
"""

import numpy as np
from numpy.typing import NDArray

from fendan.api import Engine
from fendan.model import Policy, Store

__all__ = ["Reach"]

ENDLESS = 2**31 - 1
# The grid is as fine as the reach asks for, and not finer than what is asked in 0.1 s.
CELLS_PER_REACH = 16
MOST_CELLS = 200_000
KM_PER_DEGREE = 111.2  # rounded up: more than any degree has on the sphere
NOWHERE, SOMEWHERE, EVERYWHERE = 0, 1, 2


class Reach:
    """Stores at places in degrees, and how far their reach is; both for good."""

    def __init__(self, lat: NDArray[np.float64], lng: NDArray[np.float64], reach_km: float) -> None:
        self._policy = Policy(radius_m=1e3 * reach_km)
        self._engine = Engine()
        count = len(lat)
        places = zip(lat.tolist(), lng.tolist(), strict=True)
        self._engine.add_stores(
            Store(id=f"{number}", lat=north, lng=east)
            for number, (north, east) in enumerate(places)
        )
        self._engine.set_stock(
            stores=np.arange(count, dtype=np.int32),
            skus=["anything"] * count,
            quantities=np.full(count, ENDLESS, dtype=np.int32),
        )
        self._count = count
        if count:
            self._draw(lat, lng, reach_km)

    def covers(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether a store is in reach of each place on earth; the reach itself is within."""
        if not self._count:
            return np.zeros(len(lat), dtype=np.bool_)
        row = np.floor((lat - self._south) / self._step).astype(np.int64)
        column = np.floor((lng - self._west) / self._step).astype(np.int64)
        rows, width = self._grid.shape
        beside = (row < 0) | (row >= rows) | (column < 0) | (column >= width)
        answer = self._grid[np.clip(row, 0, rows - 1), np.clip(column, 0, width - 1)]
        covered: NDArray[np.bool_] = ~beside & (answer == EVERYWHERE)
        ask = np.flatnonzero(beside | (answer == SOMEWHERE))
        if len(ask):
            covered[ask] = ~np.isnan(self._distances_m(lat[ask], lng[ask], self._policy))
        return covered

    def _draw(self, lat: NDArray[np.float64], lng: NDArray[np.float64], reach_km: float) -> None:
        """The grid, by the distances from the middles of its cells."""
        self._south, self._west = float(lat.min()), float(lng.min())
        high, wide = float(lat.max()) - self._south, float(lng.max()) - self._west
        step = max(reach_km / KM_PER_DEGREE / CELLS_PER_REACH, np.sqrt(high * wide / MOST_CELLS))
        step = max(step, max(high, wide) / MOST_CELLS)
        self._step = step
        rows, columns = int(high / step) + 1, int(wide / step) + 1
        middle_lat = np.repeat(self._south + step * (np.arange(rows) + 0.5), columns)
        middle_lng = np.tile(self._west + step * (np.arange(columns) + 0.5), rows)
        # A middle beyond a pole or the date line is beside the earth, and its cell is asked about.
        on_earth = (middle_lat + step <= 90.0) & (middle_lng + step <= 180.0)
        half_m = 1e3 * KM_PER_DEGREE * step * np.sqrt(0.5)
        reach_m = 1e3 * reach_km
        grid = np.full(rows * columns, SOMEWHERE, dtype=np.uint8)
        asked = np.flatnonzero(on_earth)
        far = Policy(radius_m=reach_m + half_m)
        distance_m = self._distances_m(middle_lat[asked], middle_lng[asked], far)
        grid[asked[np.isnan(distance_m)]] = NOWHERE
        grid[asked[distance_m < reach_m - half_m]] = EVERYWHERE
        self._grid = grid.reshape(rows, columns)

    def _distances_m(
        self, lat: NDArray[np.float64], lng: NDArray[np.float64], policy: Policy
    ) -> NDArray[np.float64]:
        """How far the nearest store is, in metres; NaN where none is within the policy's radius."""
        count = len(lat)
        routed = self._engine.route_arrays(
            lat=lat,
            lng=lng,
            offsets=np.arange(count + 1, dtype=np.int64),
            skus=np.zeros(count, dtype=np.int32),
            quantities=np.ones(count, dtype=np.int32),
            policy=policy,
            dry_run=True,
        )
        return routed.distances_m
