"""Files of areas: what is good is read, and what is not is named by its path with the reason."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
import shapely
from typer.testing import CliRunner

from fendan import Datum, FendanError, convert
from fendan.areas import area_of, area_text, converted, read_areas, square_km
from fendan.cli import app

SQUARE = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]
HOLED = [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], [[3, 3], [3, 6], [6, 6], [6, 3], [3, 3]]]


def feature(coordinates: Any, name: Any = "A", kind: str = "Polygon") -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "properties": {"name": name, "adcode": 7}, "geometry": geometry}


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "areas.geojson"


def refusal(path: Path, document: Any, **options: Any) -> FendanError:
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FendanError) as caught:
        read_areas(path, **options)
    assert str(caught.value).startswith("areas.geojson: ")
    return caught.value


# -- READ --------------------------------------------------------------------------------------


def test_polygons_and_multipolygons_with_holes_are_read(path: Path) -> None:
    both = [SQUARE, [[[x + 20, y, 5.0] for x, y in ring] for ring in HOLED]]
    document = collection(feature(HOLED, "holed"), feature(both, "two", "MultiPolygon"))
    path.write_text(json.dumps(document))
    holed, two = read_areas(path)
    assert (holed.name, holed.path) == ("holed", "features[0]")
    assert not shapely.covers(holed.geometry, shapely.Point(4, 4))
    assert shapely.covers(holed.geometry, shapely.Point(3, 4))
    assert (two.name, two.path) == ("two", "features[1]")
    assert shapely.covers(two.geometry, shapely.Point([0.5, 0.5]))
    assert shapely.covers(two.geometry, shapely.Point([28.0, 8.0]))


def test_one_feature_alone_and_compressed_is_read_and_named_by_any_property(tmp_path: Path) -> None:
    path = tmp_path / "one.geojson.gz"
    path.write_bytes(gzip.compress(json.dumps(feature(SQUARE)).encode()))
    assert [area.name for area in read_areas(path, name="adcode")] == ["7"]


def test_what_crosses_itself_can_be_mended(path: Path) -> None:
    bow = [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]
    path.write_text(json.dumps(feature(bow)))
    (area,) = read_areas(path, repair=True)
    assert area.geometry.is_valid
    assert area.geometry.area == 2.0


# -- REFUSED -----------------------------------------------------------------------------------

GEOMETRY = "features[1].geometry"


@pytest.mark.parametrize(
    ("coordinates", "field", "says"),
    [
        ([[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]], "", "Self-intersection[1 1]"),
        ([*HOLED, [[4, 4], [4, 5], [5, 5], [5, 4], [4, 4]]], "", "overlaps"),
        ([[[31, 121], [32, 121], [32, 122], [31, 121]]], ".coordinates[0][0]", "swapped"),
        ([[[181, 0], [1, 0], [1, 1], [181, 0]]], ".coordinates[0][0]", "from -180 to 180"),
        ([[[0, 0], [math.nan, 0], [1, 1], [0, 0]]], ".coordinates[0][1]", "from -180 to 180"),
        ([[[0, 0], [10**400, 0], [1, 1], [0, 0]]], ".coordinates[0]", "too large"),
        ([[[0, 0], [1, 0], [0, 0]]], ".coordinates[0]", "at least 4 positions"),
        ([[[0, 0], [1, 0], [1, 1], [0, 1]]], ".coordinates[0][3]", "not closed"),
        ([SQUARE[0], [[0, 0], [1, "x"], [1, 1], [0, 0]]], ".coordinates[1][1]", "[longitude"),
        ([[[0, 0], [1], [1, 1], [0, 0]]], ".coordinates[0][1]", "[longitude, latitude]"),
        ([[[0, 0], [True, 1], [1, 1], [0, 0]]], ".coordinates[0][1]", "[longitude, latitude]"),
        ([[[0, 0], [0, 0], [0, 0], [0, 0]]], "", "crosses itself"),
        ([], ".coordinates", "list of rings"),
        (None, ".coordinates", "list of rings"),
        ([[]], ".coordinates[0]", "list of positions"),
        ([[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]], "", "antimeridian"),
    ],
)
def test_a_polygon_that_cannot_be_is_refused_with_its_path_and_why(
    path: Path, coordinates: Any, field: str, says: str
) -> None:
    error = refusal(path, collection(feature(SQUARE, "good"), feature(coordinates, "bad")))
    assert error.code == "BAD_AREA"
    assert error.field == GEOMETRY + field
    assert says in error.hint


def test_a_part_of_a_multipolygon_is_named_too(path: Path) -> None:
    broken = [SQUARE, [[[5, 5], [6, 5], [6, 6], [5, 6]]]]
    error = refusal(path, collection(feature(broken, kind="MultiPolygon")))
    assert error.field == "features[0].geometry.coordinates[1][0][3]"


def test_an_area_beside_the_chain_that_would_lie_in_it_if_swapped_is_refused(path: Path) -> None:
    swapped = [[[y, x] for x, y in ring] for ring in [[[81, 43], [82, 43], [82, 44], [81, 43]]]]
    around = (80.0, 42.0, 85.0, 45.0)
    error = refusal(path, feature(swapped), within=around)
    assert "swapped" in error.hint
    assert error.field == "feature.geometry"
    path.write_text(json.dumps(feature([[[y, x] for x, y in ring] for ring in swapped])))
    assert len(read_areas(path, within=around)) == 1


@pytest.mark.parametrize(
    ("document", "code", "field", "says"),
    [
        ("{", "BAD_FILE", "file", "must be GeoJSON"),
        ("[" * 100_000, "BAD_FILE", "file", "must be GeoJSON"),
        ("[1]", "BAD_FILE", "type", "FeatureCollection"),
        ({"type": "Polygon", "coordinates": SQUARE}, "BAD_FILE", "type", "or a Feature"),
        (collection(), "BAD_FILE", "features", "none"),
        (collection({"type": "Polygon"}), "BAD_FILE", "features[0].type", "no Feature"),
        (collection(None), "BAD_FILE", "features[0].type", "no Feature"),
        (collection(feature(SQUARE, None)), "MISSING", "features[0].properties.name", "name"),
        (collection(feature(SQUARE, "")), "BAD_ID", "features[0].properties.name", "bytes"),
        (collection(feature(SQUARE, 1.5)), "BAD_ID", "features[0].properties.name", "bytes"),
        (
            collection(feature(SQUARE), feature(SQUARE, "B"), feature(SQUARE)),
            "BAD_ID",
            "features[2].properties.name",
            "features[0] has the same",
        ),
        (
            collection(feature([0, 0], kind="Point")),
            "BAD_AREA",
            "features[0].geometry",
            "Polygon or a MultiPolygon",
        ),
        (
            {"type": "Feature", "properties": {"name": "A"}, "geometry": None},
            "BAD_AREA",
            "feature.geometry",
            "Polygon or a MultiPolygon",
        ),
    ],
)
def test_a_file_that_is_no_list_of_areas_is_refused(
    path: Path, document: Any, code: str, field: str, says: str
) -> None:
    error = refusal(path, document)
    assert (error.code, error.field) == (code, field)
    assert says in error.hint


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"{}" * 1000)[:-9])
    for path in (tmp_path, tmp_path / "none.geojson", broken):
        with pytest.raises(FendanError) as caught:
            read_areas(path)
        assert caught.value.code == "BAD_FILE"


def test_areas_beyond_the_limits_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fendan.areas.MOST_AREA_VERTICES", 9)
    error = refusal(path, collection(feature(HOLED)))
    assert (error.code, error.field) == ("TOO_MANY", "features[0].geometry")
    monkeypatch.setattr("fendan.areas.MOST_FILE_VERTICES", 9)
    error = refusal(path, collection(feature(SQUARE), feature(SQUARE, "B")))
    assert (error.code, error.field) == ("TOO_MANY", "features[1].geometry")
    monkeypatch.setattr("fendan.areas.MOST_AREAS", 1)
    error = refusal(path, collection(feature(SQUARE), feature(SQUARE, "B")))
    assert (error.code, error.field) == ("TOO_MANY", "features")
    monkeypatch.setattr("fendan.areas.MOST_FILE_BYTES", 100)
    error = refusal(path, collection(feature(SQUARE)))
    assert (error.code, error.field) == ("TOO_MANY", "file")


@pytest.mark.parametrize("text", ["", "{}", "null", '{"type":"Polygon"}', '{"type":[]}'])
def test_text_that_is_no_area_is_refused(text: str) -> None:
    with pytest.raises(FendanError) as caught:
        area_of(text, "areas.north")
    assert caught.value.code == "BAD_AREA"
    assert caught.value.field.startswith("areas.north")


# -- FIGURES -----------------------------------------------------------------------------------


def test_every_vertex_is_converted_to_another_datum() -> None:
    geometry = shapely.box(121.4, 31.1, 121.5, 31.2).difference(
        shapely.box(121.44, 31.14, 121.46, 31.16)
    )
    moved = converted(geometry, Datum.WGS84, Datum.GCJ02)
    pairs = zip(
        shapely.get_coordinates(geometry).tolist(),
        shapely.get_coordinates(moved).tolist(),
        strict=True,
    )
    for (lng, lat), (to_lng, to_lat) in pairs:
        assert convert(lat, lng, Datum.WGS84, Datum.GCJ02) == (to_lat, to_lng)
    assert converted(geometry, Datum.GCJ02, Datum.GCJ02) is geometry
    assert area_text(moved) != area_text(geometry)


def test_a_conversion_off_the_map_is_refused() -> None:
    edge = shapely.box(179.0, 89.0, 180.0, 90.0)
    with pytest.raises(FendanError) as caught:
        converted(edge, Datum.GCJ02, Datum.BD09, "areas.edge")
    assert caught.value.field == "areas.edge"


def test_square_kilometres_are_those_of_the_sphere() -> None:
    octant = shapely.box(0.0, 0.0, 90.0, 90.0)
    sphere = 4 * math.pi * 6371.0088**2
    assert square_km(octant) == pytest.approx(sphere / 8)
    slanted = shapely.Polygon([(0, 0), (90, 0), (0, 90)])
    assert square_km(slanted) == pytest.approx(sphere / (4 * math.pi))
    holed = shapely.Polygon(HOLED[0], [HOLED[1]])
    boxes = [shapely.box(0, 0, 9, 9), shapely.box(3, 3, 6, 6)]
    assert square_km(holed) == pytest.approx(square_km(boxes[0]) - square_km(boxes[1]))


# -- COMMANDS ----------------------------------------------------------------------------------


def said(*words: object, status: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A store in the middle of the western square, none in the eastern."""
    path = tmp_path / "stores.csv"
    path.write_text("store_id,lat,lng\nS1,30.05,120.05\n")
    return path


@pytest.fixture
def squares(path: Path) -> Path:
    def square(lng: float) -> Any:
        return shapely.geometry.mapping(shapely.box(lng, 30.0, lng + 0.1, 30.1))["coordinates"]

    document = collection(feature(square(120.0), "west"), feature(square(120.1), "east"))
    path.write_text(json.dumps(document))
    return path


def rows(output: str) -> dict[str, list[str]]:
    """The cells of each row of a table, by the first that is a name."""
    found = {}
    for line in output.splitlines():
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        if len(cells) > 4:
            name = next(number for number, cell in enumerate(cells) if cell and not cell.isdigit())
            found[cells[name]] = cells[name + 1 :]
    return found


def test_a_good_file_is_shown_area_by_area(squares: Path) -> None:
    table = rows(said("areas", "check", squares))
    vertices, km2, resolution, inside, border = table["west"]
    assert (vertices, km2) == ("5", "107.0")
    assert int(resolution) == 8
    assert int(inside) > int(border)
    assert table["all"][0] == "10"


def test_a_bad_file_is_refused_in_one_line(path: Path) -> None:
    path.write_text(json.dumps(collection(feature([[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]))))
    line = said("areas", "check", path, status=2)
    assert line.startswith("areas.geojson: features[0].geometry: no usable area")
    assert len(line.splitlines()) == 1


def test_coverage_is_told_region_by_region(chain: Path, squares: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("lat,lng,population\n30.05,120.06,700\n30.05,120.15,300\n0,0,99\n")
    words = ("--areas", squares, "--radius-m", 3000, "--people", people)
    table = rows(said("areas", "coverage", chain, *words))
    stores, _, share, counted, people_share = table["west"]
    # A disc of 3 km in a square of 107 square km.
    assert float(share.rstrip("%")) == pytest.approx(100 * math.pi * 9 / 107.0, abs=0.3)
    assert (stores, counted, people_share) == ("1", "700", "100.0%")
    assert table["east"][0] == "0"
    assert table["east"][2:] == ["0.0%", "300", "0.0%"]
    assert table["all"][3:] == ["1,000", "70.0%"]


def test_coverage_by_service_areas(chain: Path, squares: Path, tmp_path: Path) -> None:
    service = tmp_path / "service.geojson"
    half = shapely.geometry.mapping(shapely.box(120.0, 30.0, 120.05, 30.1))["coordinates"]
    only = feature(half)
    only["properties"]["store_id"] = "S1"
    service.write_text(json.dumps(collection(only)))
    words = ("--areas", squares, "--service", service)
    west = rows(said("areas", "coverage", chain, *words))["west"]
    assert float(west[2].rstrip("%")) == pytest.approx(50, abs=2)
    west = rows(said("areas", "coverage", chain, *words, "--radius-m", 3000))["west"]
    assert float(west[2].rstrip("%")) == pytest.approx(50 * math.pi * 9 / 107.0, abs=2)
    only["properties"]["store_id"] = "S2"
    service.write_text(json.dumps(collection(only)))
    line = said("areas", "coverage", chain, *words, status=2)
    assert "service.geojson: features[0].properties.store_id: unknown store: 'S2'" in line


def test_coverage_without_regions_is_of_a_box_around_the_stores(chain: Path) -> None:
    share = rows(said("areas", "coverage", chain))["around the stores"][2]
    assert float(share.rstrip("%")) == pytest.approx(100 * math.pi / 4, abs=1)


def test_coverage_is_drawn(chain: Path, squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    said("areas", "coverage", chain, "--areas", squares, "--map", out)
    first = out.read_bytes()
    assert first.startswith(b"\x89PNG")
    said("areas", "coverage", chain, "--areas", squares, "--map", out)
    assert out.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--radius-m", "0"), "--radius-m: out of range"),
        (("--radius-m", "nan"), "--radius-m: out of range"),
        (("--map", "map.jpg"), "must end in .png"),
        (("--areas", "nowhere.geojson"), "there is no such file"),
    ],
)
def test_coverage_refuses_what_it_cannot_do(chain: Path, words: tuple[str, str], says: str) -> None:
    assert says in said("areas", "coverage", chain, *words, status=2)


def test_coverage_refuses_a_chain_without_stores(tmp_path: Path) -> None:
    empty = tmp_path / "stores.csv"
    empty.write_text("store_id,lat,lng\n")
    assert "there are none" in said("areas", "coverage", empty, status=2)
