"""Service areas: every answer is shapely's, wherever the place and whatever the polygon."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fendan import FendanError, distance_m
from fendan.areas import area_of, area_text
from fendan.engine import cells
from fendan.engine.areas import Areas
from fendan.engine.cells import box_of, cell_of
from fendan.engine.rings import Rings

# -- MADE-UP POLYGONS --------------------------------------------------------------------------

# Middles in a town, at a pentagon of H3, where faces of its icosahedron meet, at the edges of the
# map; sizes of a street, a town, a province and a continent.
middles = st.one_of(
    st.sampled_from(
        [(121.47, 31.23), (-58.3, 64.7), (10.5, 64.7), (0.0, 0.0), (179.7, -17.0), (17.0, 89.2)]
    ),
    st.tuples(st.floats(-179, 179), st.floats(-89, 89)),
)
sizes = st.sampled_from([0.004, 0.05, 0.8, 12.0])
# On a grid, so that edges lie on edges and places on the lines of edges; and off it.
shares = st.one_of(st.integers(-4, 4).map(lambda part: part / 4), st.floats(-1, 1))


def on_map(lng: float, lat: float) -> tuple[float, float]:
    return min(180.0, max(-180.0, lng)), min(90.0, max(-90.0, lat))


@st.composite
def polygons(draw: st.DrawFn) -> Any:
    """Triangles and boxes joined, and others cut out of them: holes, islands, islands in holes."""
    (lng, lat), size = draw(middles), draw(sizes)

    def piece(share: float) -> Any:
        corners = draw(st.lists(st.tuples(shares, shares), min_size=3, max_size=5))
        return shapely.MultiPoint(
            [on_map(lng + x * size * share, lat + y * size * share) for x, y in corners]
        ).convex_hull

    land = shapely.union_all([piece(1.0) for _ in range(draw(st.integers(1, 3)))])
    water = shapely.union_all([piece(0.6) for _ in range(draw(st.integers(0, 2)))])
    islands = shapely.union_all([piece(0.3) for _ in range(draw(st.integers(0, 1)))])
    parts = shapely.get_parts(land.difference(water).union(islands))
    whole = shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
    assume(whole.is_valid and not whole.is_empty)
    return draw(st.sampled_from([whole, whole.geoms[0]]))


def places_about(geometry: Any, seed: int) -> NDArray[np.float64]:
    """lng and lat on vertices, on edges, beside them by one last digit, and anywhere around."""
    random = np.random.default_rng(seed)
    corners = shapely.get_coordinates(geometry)
    ends = (
        corners[random.integers(0, len(corners) - 1, 40)],
        corners[random.integers(0, len(corners) - 1, 40)],
    )
    starts = random.integers(0, len(corners) - 1, 60)
    share = random.random((60, 1))
    along = corners[starts] + (corners[starts + 1] - corners[starts]) * share
    low, high = np.array(geometry.bounds[:2]), np.array(geometry.bounds[2:])
    around = low + (high - low) * random.uniform(-0.1, 1.1, (80, 2))
    level = np.column_stack([ends[0][:, 0], ends[1][:, 1]])  # in line with corners
    all_of_them = np.concatenate(
        [
            corners[:60],
            along,
            np.nextafter(along, np.inf),
            np.nextafter(along, -np.inf),
            (corners[:-1] + corners[1:])[:60] / 2,
            around,
            level,
        ]
    )
    return np.clip(all_of_them, (-180.0, -90.0), (180.0, 90.0))


def answers(areas: Areas, number: int, places: NDArray[np.float64]) -> list[bool]:
    return [areas.covers(number, lat, lng) for lng, lat in places.tolist()]


def expected(geometry: Any, places: NDArray[np.float64]) -> list[bool]:
    covered: list[bool] = shapely.covers(geometry, shapely.points(places)).tolist()
    return covered


# -- COVERING ----------------------------------------------------------------------------------


@given(polygons(), st.integers(0, 2**32))
def test_an_area_covers_what_shapely_says_it_covers(geometry: Any, seed: int) -> None:
    places = places_about(geometry, seed)
    areas = Areas(["A"], [geometry])
    assert answers(areas, 0, places) == expected(geometry, places)
    found = areas.covering(places[:, 1], places[:, 0])
    assert (found == 0).tolist() == expected(geometry, places)


@given(st.lists(polygons(), min_size=1, max_size=4), st.integers(0, 2**32))
def test_the_first_area_in_order_is_the_one_found(geometries: list[Any], seed: int) -> None:
    places = np.concatenate([places_about(geometry, seed) for geometry in geometries])
    areas = Areas([str(number) for number in range(len(geometries))], geometries)
    covered = np.array([expected(geometry, places) for geometry in geometries])
    first = np.where(covered.any(axis=0), covered.argmax(axis=0), -1)
    assert areas.covering(places[:, 1], places[:, 0]).tolist() == first.tolist()


tiny = st.sampled_from([0.0, 1.0, -1.0, 0.1, 1 / 3, 1e-300, -1e-300, 5e-324, 2.0**-60, 1e-17])


@given(st.lists(st.tuples(tiny, tiny), min_size=3, max_size=5), st.integers(0, 2**32))
def test_edges_are_judged_as_geos_judges_them_down_to_the_smallest_numbers(
    corners: list[tuple[float, float]], seed: int
) -> None:
    geometry = shapely.Polygon(corners)
    assume(geometry.is_valid)
    places = np.concatenate([places_about(geometry, seed), np.array(corners) / 3])
    vertices = shapely.get_coordinates(geometry)
    rings = Rings(vertices, np.array([len(vertices)]), np.array([0, 1]))
    assert [rings.covers(0, lat, lng) for lng, lat in places.tolist()] == expected(geometry, places)


def test_a_rim_of_ten_thousand_teeth_is_judged_as_shapely_judges_it() -> None:
    angle = np.linspace(0.0, 2 * np.pi, 20_000, endpoint=False)
    radius = np.where(np.arange(20_000) % 2, 0.1, 1.0)
    rim = np.column_stack([120 + radius * np.cos(angle), 30 + radius * np.sin(angle)])
    comb = [(118.0 + x / 1000, 28.9 if x % 2 else 31.0) for x in range(900)]
    shapes = [shapely.Polygon(rim), shapely.Polygon([*comb, (119.0, 28.5), (118.0, 28.5)])]
    areas = Areas(["rim", "comb"], shapes)
    for number, shape in enumerate(shapes):
        places = places_about(shape, number)
        assert answers(areas, number, places) == expected(shape, places)
    assert areas.byte_count < 2_000_000  # long edges do not stand in every band


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.integers(0, 9),
    st.integers(0, 9),
)
@example(64.7, 10.536, 9, 0)
def test_a_cell_s_box_holds_every_place_of_the_cell(
    lat: float, lng: float, finest: int, resolution: int
) -> None:
    cells.get_ready()
    resolution = min(resolution, finest)
    (low_lng, low_lat, high_lng, high_lat), is_odd = box_of(cell_of(lat, lng, finest, resolution))
    if not is_odd:
        assert low_lat < lat < high_lat
        assert low_lng < lng < high_lng


def test_boxes_hold_their_cells_all_over_the_globe_and_at_pentagons() -> None:
    cells.get_ready()
    random = np.random.default_rng(3)
    lat = np.degrees(np.arcsin(random.uniform(-1, 1, 3000)))
    lng = random.uniform(-180, 180, 3000)
    pentagons = [(64.7, 10.536), (58.157, -143.478), (39.1, 122.3), (23.717, -67.132)]
    beside = [
        (at_lat + random.normal(0, size), at_lng + random.normal(0, size))
        for at_lat, at_lng in pentagons
        for size in (4.0, 0.5, 0.05, 0.005)
        for _ in range(100)
    ]
    for at_lat, at_lng in [*zip(lat.tolist(), lng.tolist(), strict=True), *beside]:
        for resolution in range(10):
            box, is_odd = box_of(cell_of(at_lat, at_lng, 9, resolution))
            if not is_odd:
                # With a tenth of a tenth to spare.
                middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                assert abs(at_lng - middle[0]) < 0.98 * (box[2] - box[0]) / 2
                assert abs(at_lat - middle[1]) < 0.98 * (box[3] - box[1]) / 2


def test_cells_inside_decide_for_most_places_of_a_round_area() -> None:
    areas = Areas(["disc"], [shapely.Point(121.47, 31.23).buffer(0.1)])
    resolution, inside, border = areas.cells(0)
    assert resolution == 7
    assert inside > border / 3
    assert areas.covers(0, 31.23, 121.47)


# -- STORES ------------------------------------------------------------------------------------


@given(st.lists(polygons(), min_size=1, max_size=3), st.data())
def test_a_store_serves_what_any_of_its_areas_covers(geometries: list[Any], data: Any) -> None:
    spots = np.concatenate([places_about(geometry, 1) for geometry in geometries]).tolist()
    numbers = st.lists(st.integers(0, len(geometries) - 1), max_size=3, unique=True)
    stores = data.draw(st.lists(st.tuples(st.sampled_from(spots), numbers), min_size=1, max_size=3))
    lat, lng = [at[1] for at, _ in stores], [at[0] for at, _ in stores]
    names = [str(number) for number in range(len(geometries))]
    areas = Areas(names, geometries, [tuple(own) for _, own in stores], lat, lng)
    places = [*spots, [-180.0, 0.0], [180.0, 0.0], [0.0, 90.0], [-lng[0], -lat[0]]]
    points = shapely.points(places)
    for store, (at, own) in enumerate(stores):
        inner_m, outer_m = areas.reach_m(store)
        covered = np.zeros(len(places), dtype=bool)
        for number in own:
            covered |= shapely.covers(geometries[number], points)
        for (to_lng, to_lat), is_covered in zip(places, covered.tolist(), strict=True):
            is_served = is_covered or not own
            assert areas.serves(store, to_lat, to_lng) == is_served
            far_m = distance_m(at[1], at[0], to_lat, to_lng)
            assert is_served or far_m >= inner_m
            assert not own or not is_served or far_m <= outer_m


def test_the_reach_of_a_round_area_is_nearly_its_radius() -> None:
    disc = shapely.Point(0.0, 0.0).buffer(0.03, quad_segs=32)
    radius_m = distance_m(0.0, 0.0, 0.0, 0.03)
    inner_m, outer_m = Areas(["disc"], [disc], [(0,)], [0.0], [0.0]).reach_m(0)
    assert 0.95 * radius_m < inner_m < radius_m < outer_m < 1.05 * radius_m


def test_a_store_outside_its_areas_has_no_inner_reach() -> None:
    disc = shapely.Point(0.0, 0.0).buffer(0.03)
    assert Areas(["disc"], [disc], [(0,)], [0.0], [0.05]).reach_m(0)[0] == 0.0


def test_an_area_that_holds_the_store_s_antipode_reaches_everywhere() -> None:
    around = shapely.box(100.0, -40.0, 140.0, -20.0)
    areas = Areas(["around"], [around], [(0,)], [31.0], [-59.0])
    assert areas.reach_m(0) == (0.0, math.inf)
    assert areas.serves(0, -31.0, 121.0)


def test_a_store_without_areas_serves_everywhere() -> None:
    areas = Areas([], [], [(), ()], [31.2, 31.3], [121.4, 121.5])
    assert areas.serves(1, -80.0, 10.0)
    assert areas.covering([31.2], [121.4]).tolist() == [-1]


def test_many_stores_share_what_is_kept_of_their_areas() -> None:
    squares = [
        shapely.box(100 + x, 20 + y, 100.5 + x, 20.5 + y) for x in range(20) for y in range(20)
    ]
    names = [str(number) for number in range(400)]
    random = np.random.default_rng(7)
    lat, lng = random.uniform(19, 41, 500), random.uniform(99, 121, 500)
    first = Areas(names, squares)
    areas = first.with_stores([(n % 400, (n * 7) % 400) for n in range(500)], lat, lng)
    assert areas.names == tuple(names)
    for store in range(500):
        for number in (store % 400, (store * 7) % 400):
            middle = squares[number].centroid
            assert areas.serves(store, middle.y, middle.x)
        assert not areas.serves(store, 19.0, 99.0)
    assert first.with_stores([()], [0.0], [0.0]).serves(0, 19.0, 99.0)


# -- REFUSED -----------------------------------------------------------------------------------

SQUARE = shapely.box(0, 0, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((["A"], []), "geometries"),
        ((["A"], [shapely.Point(0, 0)]), "geometries[0]"),
        ((["A", "B"], [SQUARE, shapely.Polygon()]), "geometries[1]"),
        ((["A"], [shapely.box(0, 0, 1, 91)]), "geometries[0]"),
        ((["A"], [SQUARE], [(1,)], [0.0], [0.0]), "store_areas[0]"),
        ((["A"], [SQUARE], [(-1,)], [0.0], [0.0]), "store_areas[0]"),
        ((["A"], [SQUARE], [(0,)], [], []), "store_areas"),
    ],
)
def test_what_cannot_be_an_index_is_refused(arguments: Any, field: str) -> None:
    with pytest.raises(FendanError) as caught:
        Areas(*arguments)
    assert caught.value.field == field


def test_columns_of_places_that_differ_in_length_are_refused() -> None:
    with pytest.raises(FendanError) as caught:
        Areas(["A"], [SQUARE]).covering([1.0, 2.0], [1.0])
    assert caught.value.field == "lng"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("package", ["shapely", "h3"])
def test_without_the_packages_the_error_says_what_to_install(package: str) -> None:
    said = run(f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Absent())
import fendan, fendan.areas
from fendan.engine.areas import Areas
try:
    Areas([], [])
except fendan.FendanError as error:
    print(error.code, error.value, error.hint)
""")
    assert said.startswith(f"MISSING {package}")
    assert "fendan[areas]" in said


def test_where_h3_hides_its_c_function_it_is_asked_through_python() -> None:
    code = """
import ctypes, sys, h3._cy.latlng, shapely
if sys.argv[-1] == "hidden":
    def refuse(path): raise OSError
    ctypes.CDLL = refuse
from fendan.engine.areas import Areas
disc = shapely.Point(121.47, 31.23).buffer(0.05)
areas = Areas(["A"], [disc])
lat = [31.18 + n / 3000 for n in range(300)]
found = areas.covering(lat, [121.45] * 300).tolist()
print(areas.cells(0), found)
"""
    plain = run(code)
    hidden = run(code.replace("sys.argv[-1]", "'hidden'"))
    assert hidden == plain


# -- TEXT --------------------------------------------------------------------------------------


@given(polygons())
def test_an_area_s_text_reads_back_as_the_same_floats(geometry: Any) -> None:
    text = area_text(geometry)
    again = area_of(text)
    assert again.geom_type == geometry.geom_type
    assert shapely.get_coordinates(again).tobytes() == shapely.get_coordinates(geometry).tobytes()
    assert area_text(again) == text
