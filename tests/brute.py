"""The twin for big chains: every store asked at once with numpy, the close ones again exactly.

numpy's sines may round otherwise than the engine's. So numpy only finds the stores within a metre
of the nearest, and the twin's own formula chooses among them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin import EARTH_RADIUS_M, Place, haversine_m


class Brute:
    """A chain with dense stock: `net[sku, store]` is how many can still be sold."""

    def __init__(
        self,
        ids: Sequence[str],
        lat: NDArray[np.float64],
        lng: NDArray[np.float64],
        net: NDArray[np.int32],
    ) -> None:
        self.ids = ids
        self.places: list[Place] = list(zip(lat.tolist(), lng.tolist(), strict=True))
        self.lat, self.lng = np.radians(lat), np.radians(lng)
        self.cos_lat = np.cos(self.lat)
        self.net = net

    def rough_m(self, place: Place) -> NDArray[np.float64]:
        """The distance to every store, to about a millimetre."""
        lat, lng = np.radians(place)
        h = (
            np.sin((self.lat - lat) / 2) ** 2
            + np.cos(lat) * self.cos_lat * np.sin((self.lng - lng) / 2) ** 2
        )
        distances: NDArray[np.float64] = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(h, 1)))
        return distances

    def route(self, place: Place, lines: Sequence[tuple[int, int]]) -> tuple[int, float] | None:
        """The store code and metres of the nearest with all lines, now reserved; None if none."""
        wanted: dict[int, int] = {}
        for sku, quantity in lines:
            wanted[sku] = wanted.get(sku, 0) + quantity
        has_all = np.ones(len(self.ids), dtype=bool)
        for sku, quantity in wanted.items():
            has_all &= self.net[sku] >= quantity
        candidates = np.flatnonzero(has_all)
        if not len(candidates):
            return None
        rough = self.rough_m(place)[candidates]
        close = candidates[rough <= rough.min() + 1.0]
        exact = [(haversine_m(place, self.places[code]), self.ids[code], code) for code in close]
        metres, _, winner = min(exact)
        for sku, quantity in wanted.items():
            self.net[sku, winner] -= quantity
        return int(winner), metres
