"""Every district of China, every Starbucks of China: what covers what, as shapely says it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
import shapely
from numpy.typing import NDArray

from fendan import Datum, FendanError
from fendan.areas import Area, area_of, area_text, converted, read_areas
from fendan.coverage import Reach, measure
from fendan.engine.areas import Areas
from fendan.loaders import PeopleColumns
from fendan.model import Store

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def districts(shared_data: Path) -> list[Area]:
    path = shared_data / "china_district_boundaries.geojson.gz"
    return read_areas(path, name="adcode", repair=True)


@pytest.fixture(scope="module")
def index(districts: list[Area]) -> Areas:
    return Areas([area.name for area in districts], [area.geometry for area in districts])


@pytest.fixture(scope="module")
def stores(shared_data: Path) -> pd.DataFrame:
    path = shared_data / "starbucks_cn_stores_20250523.csv.gz"
    return pd.read_csv(path, dtype={"store_id": str, "district_adcode": str})


def first_covering(
    districts: list[Area], lat: NDArray[np.float64], lng: NDArray[np.float64]
) -> NDArray[np.int64]:
    """What shapely says, without any grid of ours."""
    tree = shapely.STRtree([area.geometry for area in districts])
    place, district = tree.query(shapely.points(lng, lat), predicate="covered_by")
    first = np.full(len(lat), len(districts))
    np.minimum.at(first, place, district)
    return np.where(first == len(districts), -1, first)


def test_the_one_district_that_crosses_itself_is_named(shared_data: Path) -> None:
    with pytest.raises(FendanError) as caught:
        read_areas(shared_data / "china_district_boundaries.geojson.gz", name="adcode")
    assert caught.value.code == "BAD_AREA"
    assert caught.value.field == "features[398].geometry"
    assert "Self-intersection[86.471528 42.211398]" in caught.value.hint


def test_districts_of_the_same_name_are_named(shared_data: Path) -> None:
    with pytest.raises(FendanError) as caught:
        read_areas(shared_data / "china_district_boundaries.geojson.gz", repair=True)
    assert caught.value.code == "BAD_ID"
    assert caught.value.field.endswith(".properties.name")


def test_every_store_is_in_the_district_that_shapely_finds(
    districts: list[Area], index: Areas, stores: pd.DataFrame
) -> None:
    lat, lng = stores["lat_wgs84"].to_numpy(), stores["lng_wgs84"].to_numpy()
    found = index.covering(lat, lng)
    assert found.tolist() == first_covering(districts, lat, lng).tolist()
    names = np.array([*index.names, ""])[found]  # -1 is the last of them
    assert names.tolist() == stores["district_adcode"].fillna("").tolist()
    assert np.count_nonzero(found == -1) == 20


def test_places_all_over_china_are_in_the_districts_that_shapely_finds(
    districts: list[Area], index: Areas
) -> None:
    random = np.random.default_rng(31)
    lat, lng = random.uniform(18, 54, 100_000), random.uniform(73, 136, 100_000)
    assert index.covering(lat, lng).tolist() == first_covering(districts, lat, lng).tolist()


def test_on_the_boundary_of_every_district_all_neighbours_cover_what_shapely_says(
    districts: list[Area], index: Areas
) -> None:
    random = np.random.default_rng(32)
    for number, area in enumerate(districts):
        corners = shapely.get_coordinates(area.geometry)
        at = random.integers(0, len(corners) - 1, 12)
        along = corners[at] + (corners[at + 1] - corners[at]) * random.random((12, 1))
        places = np.concatenate(
            [corners[at], along, np.nextafter(along, random.choice([-999, 999]))]
        )
        expected = shapely.covers(area.geometry, shapely.points(places)).tolist()
        assert [index.covers(number, lat, lng) for lng, lat in places.tolist()] == expected
    corners = shapely.get_coordinates([area.geometry for area in districts])[::9]
    lat, lng = corners[:, 1], corners[:, 0]
    assert index.covering(lat, lng).tolist() == first_covering(districts, lat, lng).tolist()


def test_stores_that_serve_their_district_serve_it_wherever_they_stand(
    districts: list[Area], index: Areas, stores: pd.DataFrame
) -> None:
    lat, lng = stores["lat_wgs84"].to_numpy(), stores["lng_wgs84"].to_numpy()
    own = index.covering(lat, lng).tolist()
    serving = index.with_stores([(one,) if one >= 0 else () for one in own], lat, lng)
    random = np.random.default_rng(33)
    for store in random.integers(0, len(stores), 600).tolist():
        spread = random.choice([0.01, 0.1, 0.5])
        to = np.array([lng[store], lat[store]]) + random.normal(0, spread, (20, 2))
        expected: Any = np.ones(20, dtype=bool)
        if own[store] >= 0:
            expected = shapely.covers(districts[own[store]].geometry, shapely.points(to))
        assert serving.serving(store, to[:, 1], to[:, 0]).tolist() == expected.tolist()


def test_districts_survive_as_text_and_in_the_datum_of_the_map(districts: list[Area]) -> None:
    for area in districts[::40]:
        again = area_of(area_text(area.geometry))
        assert again.equals_exact(area.geometry, 0.0)
        there = converted(area.geometry, Datum.WGS84, Datum.GCJ02)
        back = converted(there, Datum.GCJ02, Datum.WGS84)
        assert back.equals_exact(area.geometry, 1e-9)


def test_hangzhou_is_served_in_the_middle_and_not_in_the_hills(
    districts: list[Area], stores: pd.DataFrame
) -> None:
    chain = [
        Store(id=row.store_id, lat=row.lat_wgs84, lng=row.lng_wgs84)
        for row in stores[stores["city"] == "杭州市"].itertuples()
    ]
    hangzhou = [area for area in districts if area.name.startswith("3301")]
    found = measure(hangzhou, Reach(chain, 3000.0), PeopleColumns.none())
    shares = {region.name: region.share for region in found.regions}
    assert shares["330105"] > 0.95  # Gongshu, the old town
    assert shares["330127"] < 0.05  # Chun'an, the lake of a thousand islands
    areas_km2 = {region.name: region.square_km for region in found.regions}
    assert areas_km2["330127"] == pytest.approx(4417, rel=0.01)
