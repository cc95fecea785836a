"""Areas on the map: districts, delivery areas; from GeoJSON, checked, and as text in the journal.

An area is a name and a polygon, or several, with holes: shapely's Polygon or MultiPolygon in
degrees, x the longitude and y the latitude, edges straight in that plane. What it covers is what
`shapely.covers` says: places on the boundary belong to it.

    FeatureCollection  >  features[3]  >  geometry      Polygon or MultiPolygon
                                       >  properties    name, or another such as adcode

shapely and h3 come with `pip install 'fendan[areas]'`, and are imported only when they are needed.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fendan.engine.areas import EXTRA_HINT
from fendan.engine.geo import Datum, convert
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError, refuse

__all__ = [
    "Area",
    "Box",
    "Geometry",
    "area_of",
    "area_text",
    "converted",
    "read_areas",
    "square_km",
]

Geometry: TypeAlias = Any  # of shapely, which has no types: a Polygon or a MultiPolygon
Box: TypeAlias = tuple[float, float, float, float]  # least lng and lat, greatest lng and lat

# What one area, and one file, may hold. Of real districts the largest has 2,060 vertices, and all
# 2,891 of China 425,160.
MOST_AREA_VERTICES = 1_000_000
MOST_FILE_VERTICES = 10_000_000
MOST_FILE_BYTES = 1_000_000_000
MOST_AREAS = 100_000

EARTH_RADIUS_KM = 6371.0088
KINDS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Area:
    """A checked area of a file. `path`: where it stands there, such as ``features[3]``."""

    name: str
    geometry: Geometry
    path: str


def shapely_module() -> ModuleType:
    """The package shapely. Raises InvalidInputError (MISSING) where it is not installed."""
    try:
        import shapely
    except ModuleNotFoundError:
        refuse(Fault.MISSING, "package", "shapely", hint=EXTRA_HINT)
    module: ModuleType = shapely
    return module


# -- FILES -------------------------------------------------------------------------------------


def read_areas(
    path: str | Path, *, name: str = "name", within: Box | None = None, repair: bool = False
) -> list[Area]:
    """The areas of a GeoJSON file (.gz too): a FeatureCollection, or one Feature.

    `name`: the property that names an area; names must differ. `within`: a box in which the chain
    lies, to recognise swapped coordinates. `repair`: mend what crosses itself instead of refusing
    it. Raises a FendanError that names the file, the path in it and what is wrong there.
    """
    path = Path(path)
    document = _json_of(path)
    try:
        return _areas_of(document, name, within, repair)
    except FendanError as error:
        refuse(error.fault, error.field, error.value, hint=error.hint, where=path.name)


def _json_of(path: Path) -> Any:
    if not path.is_file():
        hint = "it is a folder" if path.is_dir() else "there is no such file"
        refuse(Fault.BAD_FILE, "path", str(path), hint=hint)
    try:
        is_gzip = path.suffix.lower() == ".gz"
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
        if len(data) > MOST_FILE_BYTES:
            hint = f"a file of areas has at most {MOST_FILE_BYTES:,} bytes"
            refuse(Fault.TOO_MANY, "file", len(data), where=path.name, hint=hint)
        return json.loads(data.decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, FendanError):
            raise
        hint = f"must be GeoJSON in UTF-8; {error}"
        refuse(Fault.BAD_FILE, "file", path.name, where=path.name, hint=hint)


def _features_of(document: Any) -> Iterator[tuple[str, Any]]:
    """The path of each feature, and the feature."""
    kind = _member(document, "type")
    if kind == "Feature":
        yield "feature", document
        return
    features = _member(document, "features")
    if kind != "FeatureCollection" or not isinstance(features, list):
        hint = "must be a FeatureCollection with features, or a Feature"
        refuse(Fault.BAD_FILE, "type", kind, hint=hint)
    if not features:
        refuse(Fault.BAD_FILE, "features", features, hint="there are none")
    if len(features) > MOST_AREAS:
        refuse(Fault.TOO_MANY, "features", len(features), hint=f"at most {MOST_AREAS:,}")
    for number, feature in enumerate(features):
        yield f"features[{number}]", feature


def _areas_of(document: Any, name: str, within: Box | None, repair: bool) -> list[Area]:
    areas: list[Area] = []
    paths: dict[str, str] = {}
    vertices = 0
    for path, feature in _features_of(document):
        if _member(feature, "type") != "Feature":
            refuse(Fault.BAD_FILE, f"{path}.type", _member(feature, "type"), hint="no Feature")
        called = _name_of(feature, name, path)
        if called in paths:
            hint = f"{paths[called]} has the same; another property may serve to tell them apart"
            refuse(Fault.BAD_ID, f"{path}.properties.{name}", called, hint=hint)
        paths[called] = path
        geometry = geometry_of(
            _member(feature, "geometry"), f"{path}.geometry", within=within, repair=repair
        )
        vertices += shapely_module().get_num_coordinates(geometry)
        if vertices > MOST_FILE_VERTICES:
            hint = f"a file has at most {MOST_FILE_VERTICES:,} vertices"
            refuse(Fault.TOO_MANY, f"{path}.geometry", vertices, hint=hint)
        areas.append(Area(name=called, geometry=geometry, path=path))
    return areas


def _name_of(feature: Any, name: str, path: str) -> str:
    value = _member(_member(feature, "properties"), name)
    if value is None:
        refuse(Fault.MISSING, f"{path}.properties.{name}", hint="it would name the area")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not is_usable_id(value) or not value.strip():
        refuse(Fault.BAD_ID, f"{path}.properties.{name}", value, hint=ID_HINT)
    return str(value)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


# -- TEXT --------------------------------------------------------------------------------------


def area_text(geometry: Geometry) -> str:
    """A checked area as GeoJSON in which every float reads back as the same float."""
    shapely = shapely_module()
    document = shapely.geometry.mapping(shapely.force_2d(geometry))
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def area_of(text: str, field: str = "geometry") -> Geometry:
    """What `area_text` wrote, or anyone's GeoJSON geometry, checked. Errors name `field`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(Fault.BAD_AREA, field, text, hint=f"must be a GeoJSON geometry; {error}")
    return geometry_of(document, field)


def geometry_of(
    document: Any, field: str, *, within: Box | None = None, repair: bool = False
) -> Geometry:
    """The polygon of a GeoJSON geometry, checked; see `read_areas`."""
    kind, coordinates = _member(document, "type"), _member(document, "coordinates")
    if kind not in KINDS:
        refuse(Fault.BAD_AREA, field, kind, hint="must be a Polygon or a MultiPolygon")
    shapely = shapely_module()
    at = f"{field}.coordinates"
    if kind == "Polygon":
        geometry = _polygon_of(shapely, coordinates, at)
    else:
        listed = _listed(coordinates, at, "polygons")
        parts = [_polygon_of(shapely, one, f"{at}[{i}]") for i, one in enumerate(listed)]
        geometry = shapely.MultiPolygon(parts)
    return _checked(geometry, field, within, repair)


def _polygon_of(shapely: ModuleType, rings: Any, field: str) -> Geometry:
    found = [
        _ring_of(ring, f"{field}[{number}]")
        for number, ring in enumerate(_listed(rings, field, "rings"))
    ]
    return shapely.Polygon(found[0], found[1:])


def _ring_of(ring: Any, field: str) -> NDArray[np.float64]:
    """The positions of a ring, without altitudes."""
    positions = _listed(ring, field, "positions")
    least = 4  # a triangle, and its first corner once more
    if len(positions) < least:
        hint = f"a ring has at least {least} positions, the last the same as the first"
        refuse(Fault.BAD_AREA, field, positions, hint=hint)
    for number, position in enumerate(positions):
        is_pair = isinstance(position, list) and len(position) in (2, 3)
        if not is_pair or not all(type(part) in (int, float) for part in position[:2]):
            hint = "a position is [longitude, latitude]"
            refuse(Fault.BAD_AREA, f"{field}[{number}]", position, hint=hint)
    try:
        places = np.array([position[:2] for position in positions], dtype=np.float64)
    except OverflowError:
        refuse(Fault.BAD_AREA, field, positions, hint="a number is too large")
    fits = (np.abs(places) <= (180.0, 90.0)).all(axis=1)
    if not fits.all():
        number = int(np.argmin(fits))
        _refuse_position(f"{field}[{number}]", places[number].tolist())
    if not np.array_equal(places[0], places[-1]):
        hint = f"the ring is not closed: it begins with {positions[0]}"
        refuse(Fault.BAD_AREA, f"{field}[{len(positions) - 1}]", positions[-1], hint=hint)
    return places


def _refuse_position(field: str, position: list[float]) -> NoReturn:
    lng, lat = position
    hint = "must be longitude from -180 to 180, latitude from -90 to 90"
    if abs(lng) <= 90.0 < abs(lat) <= 180.0:
        hint = f"latitude {lat} is beyond 90; in GeoJSON the longitude comes first: swapped?"
    refuse(Fault.BAD_AREA, field, position, hint=hint)


def _listed(value: Any, field: str, what: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        refuse(Fault.BAD_AREA, field, value, hint=f"must be a list of {what} that is not empty")
    return value


# -- CHECKS ------------------------------------------------------------------------------------


def _checked(geometry: Geometry, field: str, within: Box | None, repair: bool) -> Geometry:
    """The geometry, if it is one that the engine can take."""
    shapely = shapely_module()
    vertices = shapely.get_num_coordinates(geometry)
    if vertices > MOST_AREA_VERTICES:
        hint = f"an area has at most {MOST_AREA_VERTICES:,} vertices"
        refuse(Fault.TOO_MANY, field, vertices, hint=hint)
    longest = max(np.abs(np.diff(ring.coords.xy[0])).max() for ring in _rings(geometry))
    if longest > 180.0:
        hint = "an edge spans more than 180 degrees: split the area at the antimeridian"
        refuse(Fault.BAD_AREA, field, float(longest), hint=hint)
    if within is not None and _lies_swapped(geometry.bounds, within):
        hint = f"it lies nowhere near the stores, {within}, but would with lng and lat swapped"
        refuse(Fault.BAD_AREA, field, geometry.bounds, hint=hint)
    if not geometry.is_valid:
        if not repair:
            hint = f"it crosses itself or overlaps: {shapely.is_valid_reason(geometry)}"
            refuse(Fault.BAD_AREA, field, geometry.geom_type, hint=hint)
        geometry = _mended(shapely, geometry)
    if geometry.is_empty or not geometry.area > 0.0:
        refuse(Fault.BAD_AREA, field, geometry.geom_type, hint="it is empty")
    return geometry


def _rings(geometry: Geometry) -> Sequence[Any]:
    shapely = shapely_module()
    rings: Sequence[Any] = shapely.get_rings(shapely.get_parts(geometry))
    return rings


def _lies_swapped(bounds: Box, within: Box) -> bool:
    swapped = (bounds[1], bounds[0], bounds[3], bounds[2])
    return not _meet(bounds, within) and _meet(swapped, within)


def _meet(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _mended(shapely: ModuleType, geometry: Geometry) -> Geometry:
    """The polygons among what remains when every crossing is made a corner."""
    parts = shapely.get_parts(shapely.make_valid(geometry))
    polygons = [part for part in parts if part.geom_type in KINDS]
    return shapely.union_all(polygons)


# -- FIGURES -----------------------------------------------------------------------------------


def converted(
    geometry: Geometry, source: Datum, target: Datum, field: str = "geometry"
) -> Geometry:
    """The area with each vertex in another datum; raises InvalidInputError where that tears it."""
    if source is target:
        return geometry

    def shifted(places: NDArray[np.float64]) -> NDArray[np.float64]:
        lat, lng = convert(places[:, 1], places[:, 0], source, target)
        return np.column_stack([lng, lat])

    moved = shapely_module().transform(geometry, shifted)
    for ring in _rings(moved):
        places = np.column_stack(ring.coords.xy)
        fits = (np.abs(places) <= (180.0, 90.0)).all(axis=1)
        if not fits.all():
            _refuse_position(field, places[int(np.argmin(fits))].tolist())
    return _checked(moved, field, None, False)


def square_km(geometry: Geometry) -> float:
    """The area on the sphere, edges being straight in the plane of longitude and latitude."""
    total = 0.0
    for part in shapely_module().get_parts(geometry):
        shell, *holes = (_ring_km2(ring) for ring in _rings(part))
        total += shell - sum(holes)
    return total


def _ring_km2(ring: Any) -> float:
    """What lies between an edge and the equator is its run times its mean sine of latitude."""
    lng, lat = (np.radians(np.asarray(part)) for part in ring.coords.xy)
    rise = np.diff(lat)
    mean_sine = np.sin(lat[:-1] + rise / 2.0) * np.sinc(rise / 2.0 / np.pi)
    return float(abs((np.diff(lng) * mean_sine).sum()) * EARTH_RADIUS_KM**2)
