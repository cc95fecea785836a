"""Where a chain's stores serve and where none does: shares of regions, of people, and a raster.

A store serves a place within a radius of it, in its service area, or both where both are given.
Shares of a region are counted on a lattice of places, SAMPLES of them in a compact region, each
standing for as many square kilometres: a share is right to about one part in the square root of
those. People are counted where they are said to live, to the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fendan.areas import Area, shapely_module, square_km
from fendan.engine.areas import Areas
from fendan.loaders import PeopleColumns
from fendan.model import Store

__all__ = ["Coverage", "Raster", "Reach", "RegionCoverage", "everywhere", "measure", "rasterize"]

Floats = NDArray[np.float64]

EARTH_RADIUS_M = 6371008.8
KM_PER_DEGREE = 111.195
SAMPLES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionCoverage:
    """What of a region is served. `people` and `people_served` are 0 where nobody was counted."""

    name: str
    square_km: float
    stores: int
    share: float
    people: int
    people_served: int

    @property
    def square_km_left(self) -> float:
        """Where no store serves."""
        return self.square_km * (1.0 - self.share)

    @property
    def people_left(self) -> int:
        """Whom no store serves."""
        return self.people - self.people_served


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """Regions in the order given, and of the people each: lat, lng, how many, whether served.

    People outside of all regions are left out.
    """

    regions: list[RegionCoverage]
    people: PeopleColumns
    people_served: NDArray[np.bool_]

    def worst_first(self) -> list[int]:
        """Numbers of the regions, those first where most square kilometres are left out."""
        return sorted(
            range(len(self.regions)), key=lambda number: -self.regions[number].square_km_left
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Raster:
    """Pixels from the south-west: the region's number or -1, and whether a store serves there.

    `box`: least lng and lat, greatest lng and lat.
    """

    box: tuple[float, float, float, float]
    regions: NDArray[np.int32]
    served: NDArray[np.bool_]


class Reach:
    """How far the stores of a chain serve. `service`: areas by store id, of some of the stores."""

    def __init__(
        self, stores: Sequence[Store], radius_m: float | None, service: Sequence[Area] = ()
    ) -> None:
        number_of = {area.name: number for number, area in enumerate(service)}
        self.radius_m = radius_m
        self.lat = np.array([store.lat for store in stores], dtype=np.float64)
        self.lng = np.array([store.lng for store in stores], dtype=np.float64)
        own = [(number_of[store.id],) if store.id in number_of else () for store in stores]
        geometries = [area.geometry for area in service]
        self._areas = Areas(list(number_of), geometries, own, self.lat, self.lng)
        self.has_areas = bool(service)
        self._has_area = np.array([bool(numbers) for numbers in own], dtype=np.bool_)

    def serves(self, lat: Floats, lng: Floats) -> NDArray[np.bool_]:
        """Whether any store serves each place.

        Without a radius, a store without a service area serves nowhere: everywhere would tell
        nothing.
        """
        order = np.argsort(lat, kind="stable")
        lat, lng = lat[order], lng[order]
        served = np.zeros(len(lat), dtype=np.bool_)
        for store in range(len(self.lat)):
            self._serve(store, lat, lng, served)
        result = np.empty_like(served)
        result[order] = served
        return result

    def _serve(self, store: int, lat: Floats, lng: Floats, served: NDArray[np.bool_]) -> None:
        """Mark what one store serves of places sorted by latitude."""
        reach_m = np.inf if self.radius_m is None else self.radius_m
        if self._has_area[store]:
            reach_m = min(reach_m, self._areas.reach_m(store)[1])
        elif self.radius_m is None:
            return
        high = reach_m / 1000.0 / KM_PER_DEGREE * 1.001
        first, last = np.searchsorted(lat, (self.lat[store] - high, self.lat[store] + high))
        near = np.flatnonzero(~served[first:last]) + first
        flat = np.cos(np.radians(min(89.0, abs(self.lat[store]) + high)))
        east = np.abs(lng[near] - self.lng[store])
        near = near[np.minimum(east, 360.0 - east) <= high / flat]
        near = near[self._distances_m(store, lat[near], lng[near]) <= reach_m]
        if self._has_area[store]:
            inside = self._areas.serving(store, lat[near], lng[near])
            near = near[inside]
        served[near] = True

    def _distances_m(self, store: int, lat: Floats, lng: Floats) -> Floats:
        there, here = np.radians(lat), np.radians(self.lat[store])
        rise, run = there - here, np.radians(lng - self.lng[store])
        flat = np.cos(there) * np.cos(here)
        haversine = np.sin(rise / 2) ** 2 + flat * np.sin(run / 2) ** 2
        metres: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
        return metres


def everywhere(stores: Sequence[Store], margin_m: float) -> Area:
    """One region: a box around all stores."""
    lat, lng = [store.lat for store in stores], [store.lng for store in stores]
    high = margin_m / 1000.0 / KM_PER_DEGREE
    wide = high / np.cos(np.radians(min(89.0, max(map(abs, lat)))))
    low_lng, low_lat = max(-180.0, min(lng) - wide), max(-90.0, min(lat) - high)
    high_lng, high_lat = min(180.0, max(lng) + wide), min(90.0, max(lat) + high)
    box = shapely_module().box(low_lng, low_lat, high_lng, high_lat)
    return Area(name="around the stores", geometry=box, path="")


def measure(regions: Sequence[Area], reach: Reach, people: PeopleColumns) -> Coverage:
    """What of each region is served, by area and by people."""
    index = Areas([region.name for region in regions], [region.geometry for region in regions])
    samples = [_samples(region) for region in regions]
    ends = np.cumsum([len(lat) for lat, _ in samples])
    lat = np.concatenate([lat for lat, _ in samples])
    served = np.split(reach.serves(lat, np.concatenate([lng for _, lng in samples])), ends[:-1])
    stores = index.covering(reach.lat, reach.lng)
    living = index.covering(people.lat, people.lng)
    inside = living >= 0
    people = PeopleColumns(people.lat[inside], people.lng[inside], people.counts[inside])
    people_served = reach.serves(people.lat, people.lng)
    living = living[inside]

    def counted(which: NDArray[np.int32], counts: NDArray[np.int64]) -> NDArray[np.int64]:
        totals = np.zeros(len(regions), dtype=np.int64)
        np.add.at(totals, which, counts)
        return totals

    all_stores = counted(stores[stores >= 0], np.ones(np.count_nonzero(stores >= 0), np.int64))
    all_people = counted(living, people.counts)
    all_served = counted(living[people_served], people.counts[people_served])
    found = [
        RegionCoverage(
            name=region.name,
            square_km=square_km(region.geometry),
            stores=int(all_stores[number]),
            share=float(served[number].mean()),
            people=int(all_people[number]),
            people_served=int(all_served[number]),
        )
        for number, region in enumerate(regions)
    ]
    return Coverage(regions=found, people=people, people_served=people_served)


def _samples(region: Area) -> tuple[Floats, Floats]:
    """lat and lng of places of a region, each standing for the same number of square km."""
    shapely = shapely_module()
    low_lng, low_lat, high_lng, high_lat = region.geometry.bounds
    step_km = np.sqrt(square_km(region.geometry) / SAMPLES)
    rows = max(1, int(np.ceil((high_lat - low_lat) * KM_PER_DEGREE / step_km)))
    all_lat, all_lng = [], []
    for row in range(rows):
        lat = low_lat + (row + 0.5) * (high_lat - low_lat) / rows
        width_km = (high_lng - low_lng) * KM_PER_DEGREE * np.cos(np.radians(lat))
        columns = max(1, int(np.ceil(width_km / step_km)))
        all_lng.append(low_lng + (np.arange(columns) + 0.5) * (high_lng - low_lng) / columns)
        all_lat.append(np.full(columns, lat))
    lat, lng = np.concatenate(all_lat), np.concatenate(all_lng)
    shapely.prepare(region.geometry)
    inside = shapely.contains_xy(region.geometry, lng, lat)
    if not inside.any():  # a sliver between the places
        point = region.geometry.representative_point()
        return np.array([point.y]), np.array([point.x])
    return lat[inside], lng[inside]


def rasterize(regions: Sequence[Area], reach: Reach, *, across: int) -> Raster:
    """The regions and what is served of them, `across` pixels along the longer side."""
    bounds = np.array([region.geometry.bounds for region in regions])
    box = (*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist())
    middle = np.radians((box[1] + box[3]) / 2)
    wide, high = (box[2] - box[0]) * np.cos(middle), box[3] - box[1]
    columns, rows = (max(1, round(across * side / max(wide, high))) for side in (wide, high))
    lng = box[0] + (np.arange(columns) + 0.5) * (box[2] - box[0]) / columns
    lat = box[1] + (np.arange(rows) + 0.5) * (box[3] - box[1]) / rows
    all_lat, all_lng = np.repeat(lat, columns), np.tile(lng, rows)
    index = Areas([region.name for region in regions], [region.geometry for region in regions])
    numbers = index.covering(all_lat, all_lng)
    served = np.zeros(len(numbers), dtype=np.bool_)
    inside = np.flatnonzero(numbers >= 0)
    served[inside] = reach.serves(all_lat[inside], all_lng[inside])
    return Raster(
        box=box, regions=numbers.reshape(rows, columns), served=served.reshape(rows, columns)
    )
