"""Cells of the H3 grid that stand in for a polygon.

A cell is taken for the set of all places whose ancestor it is: h3 finds the cell of a place at the
finest resolution, and coarser ones follow from its digits. That set is not the hexagon that h3
draws: its edges are great circles, not straight lines of longitude and latitude, and children
stick out of their parents, with all their descendants in the shape of a snowflake. So whether a
cell is inside a polygon is decided for a box around the cell's centre that holds all of it for
certain:

    +-----------------+
    |      _____      |     HULL average edges from the centre to every side. The farthest place
    |    /       \    |     that belongs to a cell is 1.12 of them away, at any resolution and
    |   <    +    >   |     anywhere on the globe; test_areas.py looks for farther ones.
    |    \ _____ /    |
    |                 |
    +-----------------+

Invariant: every place of the polygon is in a cell of its cover, and every place of a cell that is
not on the border is in the polygon, not on its edge. So the cells are a matter of speed alone.

h3 is asked through the C function in its wheel, where that is found and gives what h3's own Python
gives (0.3 us, without the GIL), and through Python elsewhere.
"""
from libc.math cimport cos, fabs, fmax, fmin
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fendan.engine.geo cimport EARTH_RADIUS_M, RADIANS_PER_DEGREE

import ctypes

import numpy as np

# In average edges of the resolution. The least distance from the centre of a cell to its edge is
# 0.6; a lattice as dense as this has a place no farther than 0.53 from anywhere.
cdef double HULL = 1.2
cdef double LATTICE = 0.75
# About so many cells for a polygon: more decide more places at once, fewer take less memory.
cdef double CELLS_WANTED = 300.0

# By resolution, once h3 is loaded.
cdef object EDGE_DEGREES = None
cdef object CELL_KM2 = None

# A place as the h3 library takes it: in radians.
cdef struct Radians:
    double lat
    double lng

ctypedef uint32_t (*Locate)(const Radians* place, int resolution, uint64_t* cell) noexcept nogil
ctypedef uint32_t (*Centre)(uint64_t cell, Radians* place) noexcept nogil

# h3's own functions, or NULL: ask it through Python.
cdef Locate locate = NULL
cdef Centre centre = NULL
cdef bint is_ready = False


# -- PLACE TO CELL -----------------------------------------------------------------------------

cdef uint64_t cell_at(double lat, double lng, int resolution) noexcept nogil:
    """The cell of a place, or NO_CELL where h3 knows none."""
    cdef Radians place
    cdef uint64_t cell = NO_CELL
    if locate is NULL:
        return _asked(lat, lng, resolution)
    place.lat, place.lng = lat * RADIANS_PER_DEGREE, lng * RADIANS_PER_DEGREE
    return cell if locate(&place, resolution, &cell) == 0 else <uint64_t>NO_CELL


cdef uint64_t _asked(double lat, double lng, int resolution) noexcept with gil:
    from h3.api import basic_int

    try:
        return basic_int.latlng_to_cell(lat, lng, resolution)
    except Exception:
        return NO_CELL


def get_ready():
    """Load h3, once. Raises ModuleNotFoundError where there is none."""
    global locate, centre, is_ready, EDGE_DEGREES, CELL_KM2
    cdef Locate borrowed_locate
    cdef Centre borrowed_centre
    if is_ready:
        return
    from h3.api import basic_int

    resolutions = range(FINEST_RESOLUTION + 1)
    edges_km = [basic_int.average_hexagon_edge_length(one, "km") for one in resolutions]
    EDGE_DEGREES = np.degrees(np.array(edges_km) * 1000.0 / EARTH_RADIUS_M)
    CELL_KM2 = np.array([basic_int.average_hexagon_area(one, "km^2") for one in resolutions])
    try:
        from h3._cy import latlng

        library = ctypes.CDLL(latlng.__file__)
        borrowed_locate = <Locate><size_t>_address(library.latLngToCell)
        borrowed_centre = <Centre><size_t>_address(library.cellToLatLng)
    except (ImportError, OSError, AttributeError):
        borrowed_locate = NULL
    if borrowed_locate is not NULL and _are_known(borrowed_locate, borrowed_centre, basic_int):
        locate, centre = borrowed_locate, borrowed_centre
    is_ready = True


def _address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


cdef bint _are_known(Locate one_locate, Centre one_centre, object basic_int) except -1:
    """Whether functions of h3's names answer as h3 does."""
    cdef Radians place
    cdef uint64_t cell
    for lat, lng in ((31.2304, 121.4737), (-33.9, 151.2), (0.1, -0.1), (64.1, -21.9)):
        for resolution in range(FINEST_RESOLUTION + 1):
            place.lat, place.lng = lat * RADIANS_PER_DEGREE, lng * RADIANS_PER_DEGREE
            cell = NO_CELL
            if one_locate(&place, resolution, &cell) != 0 or one_centre(cell, &place) != 0:
                return False
            if cell != basic_int.latlng_to_cell(lat, lng, resolution):
                return False
            degrees = place.lat / RADIANS_PER_DEGREE, place.lng / RADIANS_PER_DEGREE
            if np.abs(np.subtract(degrees, basic_int.cell_to_latlng(cell))).max() > 1e-9:
                return False
    return True


# -- POLYGON TO CELLS --------------------------------------------------------------------------

def resolution_for(boxes):
    """The resolution at which a polygon has about CELLS_WANTED cells.

    `boxes`: float64[n, 4] of its parts: least lng and lat, greatest lng and lat.
    """
    width = boxes[:, 2] - boxes[:, 0]
    height = boxes[:, 3] - boxes[:, 1]
    width = width * np.cos(np.radians(np.clip(np.abs(boxes[:, 1::2]).min(axis=1), 0, 90)))
    km_per_degree = EARTH_RADIUS_M / 1000.0 * RADIANS_PER_DEGREE
    for resolution in range(FINEST_RESOLUTION, 0, -1):
        around = 2 * HULL * EDGE_DEGREES[resolution]
        km2 = ((width + around) * (height + around)).sum() * km_per_degree ** 2
        if km2 / CELL_KM2[resolution] <= CELLS_WANTED:
            return resolution
    return 0


def cover(geometry, int resolution):
    """The cells that a shapely polygon reaches into, sorted, and which are on its border."""
    import shapely

    bounds = shapely.bounds(shapely.get_parts(geometry))
    cells = np.unique(np.concatenate([_near(box, resolution) for box in bounds.tolist()]))
    boxes, is_odd = _boxes(cells)
    shapely.prepare(geometry)
    drawn = shapely.box(*boxes.T)
    touched = is_odd | shapely.intersects(geometry, drawn)
    inside = ~is_odd & shapely.contains_properly(geometry, drawn)
    return cells[touched], ~inside[touched]


def _near(box, int resolution):
    """The cells of a lattice of places, so dense that it misses no cell that touches a box."""
    cdef double edge = EDGE_DEGREES[resolution]
    cdef double step = LATTICE * edge, margin = 2.0 * HULL * edge
    cdef double low_lng, low_lat, high_lng, high_lat, squeeze, wider, lat, row_step, column_step
    cdef int64_t row, column, row_count, column_count, most, count = 0
    cdef uint64_t[::1] found
    cdef uint64_t last, cell
    low_lng, low_lat, high_lng, high_lat = box
    low_lat, high_lat = fmax(-90.0, low_lat - margin), fmin(90.0, high_lat + margin)
    # How much longer a degree of latitude is than one of longitude, where that is most.
    squeeze = cos(fmax(fabs(low_lat), fabs(high_lat)) * RADIANS_PER_DEGREE)
    wider = fmin(180.0, margin / fmax(squeeze, 1e-9))
    low_lng, high_lng = low_lng - wider, high_lng + wider
    row_count = <int64_t>((high_lat - low_lat) / step) + 2
    row_step = (high_lat - low_lat) / (row_count - 1)
    most = <int64_t>((high_lng - low_lng) / step) + 2
    cells = np.empty(row_count * most, dtype=np.uint64)
    found = cells
    with nogil:
        for row in range(row_count):
            lat = low_lat + row * row_step
            squeeze = fmin(1.0, cos((fabs(lat) - row_step) * RADIANS_PER_DEGREE) + 1e-9)
            column_count = <int64_t>((high_lng - low_lng) * squeeze / step) + 2
            column_step = (high_lng - low_lng) / (column_count - 1)
            last = NO_CELL
            for column in range(column_count):
                cell = cell_at(lat, low_lng + column * column_step, resolution)
                if cell != last:
                    found[count] = last = cell
                    count += 1
    cells = np.unique(cells[:count])
    return cells[cells != NO_CELL]


def _boxes(cells):
    """A box that holds all of each cell, as in `resolution_for`, and which cells have none for want
    of a plane there: the box would reach across the antimeridian, or hold a pole.
    """
    lat, lng = np.degrees(_centres(cells)).T
    resolutions = (cells >> np.uint64(RESOLUTION_SHIFT)).astype(np.int64) & 15
    high = HULL * EDGE_DEGREES[resolutions]
    with np.errstate(divide="ignore"):
        sine = np.sin(np.radians(high)) / np.cos(np.radians(lat))
    wide = np.degrees(np.arcsin(np.minimum(sine, 1.0)))
    is_odd = (np.abs(lat) + high >= 90.0) | (np.abs(lng) + wide >= 180.0)
    return np.column_stack([lng - wide, lat - high, lng + wide, lat + high]), is_odd


def _centres(const uint64_t[::1] cells):
    """float64[n, 2]: lat and lng in radians."""
    from h3.api import basic_int

    cdef double[:, ::1] places
    cdef Py_ssize_t i
    result = np.zeros((cells.shape[0], 2))
    places = result
    for i in range(cells.shape[0]):
        if centre is NULL or centre(cells[i], <Radians*>&places[i, 0]) != 0:
            result[i] = np.radians(basic_int.cell_to_latlng(cells[i]))
    return result


def box_of(cell):
    """The box that holds all of a cell, and whether it has none, as in `_boxes`."""
    boxes, is_odd = _boxes(np.array([cell], dtype=np.uint64))
    return tuple(boxes[0].tolist()), bool(is_odd[0])


def cell_of(double lat, double lng, int resolution, int parent):
    """The cell of a place at a resolution, and of that the ancestor at another."""
    cell = cell_at(lat, lng, resolution)
    return parent_of(cell, parent) if cell != NO_CELL else NO_CELL
