"""Areas of a chain, found by the H3 cell of a place and, on their borders, by their edges.

An area is covered by cells of one resolution, finer for smaller areas (cells.pyx). The cells of all
areas stand in one hash table with open addressing:

    slots      | cell, first, count | free | cell, first, count | ...
                         |
    members    ... | 3 in  7 border  12 in | ...        the areas of that cell, in their order

A place is asked for at the finest resolution in use; its cells at coarser ones follow by bit
operations. A cell inside an area answers at once; on a border the polygon is asked itself
(rings.pyx), so every answer is what `shapely.covers` answers for the polygon. Where one area is
asked for, its own coarse grid answers mostly; and where its bands are short, as they are but for the
most ragged, the polygon is asked next: that takes less time than any cell.

Invariant: an area that covers a place is a member of the place's cell at the area's resolution.

A store's areas are asked for only if the distance does not settle it:

                 boundary
    store  *------|-~~~-|-------->      distance_m
                inner  outer

Nearer than inner_m every place is covered by one of the store's areas, farther than outer_m none
is. Both are bounds on the safe side: the boundary is sampled by posts no more than a known distance
apart, so no point of it is nearer than the nearest post less half of that.

An Areas never changes once it is made; where only stores change, `with_stores` shares the rest.
"""
cimport cython
from libc.math cimport asin, cos, sin, sqrt
from libc.stdint cimport int8_t, int32_t, int64_t, uint32_t, uint64_t

from fendan.engine.cells cimport NO_CELL, cell_at, parent_of
from fendan.engine.geo cimport (
    EARTH_RADIUS_M,
    RADIANS_PER_DEGREE,
    Place,
    Sketch,
    distance_between_m,
    set_place,
)
from fendan.engine.rings cimport UNSURE, Outline, Rings, band_of, covers, glance, is_in_box
from fendan.engine.room cimport prefetch

import numpy as np

from fendan.engine.cells import cover, get_ready, resolution_for
from fendan.engine.fault import Fault
from fendan.errors import refuse

EXTRA_HINT = "service areas need it: pip install 'fendan[areas]'"
# What an index may hold, which bounds its memory: 16 bytes a vertex, up to 40 a cell.
MOST_VERTICES = 20_000_000
MOST_CELLS = 20_000_000

# Of an area's greatest extent, how far apart the posts on its boundary may be at most.
cdef double POSTS_ALONG = 64.0
# More than all roundings of a distance: near the antipode they come to some centimetres.
cdef double MARGIN_M = 1.0

cdef enum:
    # To look at so few edges takes less time than to find a cell and look it up: 0.05 us, 0.4 us.
    FEW_EDGES = 32

cdef object SLOT = np.dtype([("cell", "u8"), ("first", "i4"), ("count", "i4")])
cdef object REACH = np.dtype([("inner_m", "f8"), ("outer_m", "f8"), ("first", "i4"), ("count", "i4")])


# -- QUESTIONS ---------------------------------------------------------------------------------

cdef inline uint64_t slot_of(const AreaIndex* index, uint64_t cell) noexcept nogil:
    """Where a cell's slot is, if there is one, or else the free slot that ends the search."""
    cdef uint64_t at = (cell * <uint64_t>0x9E3779B97F4A7C15 >> 32) & index.mask
    while index.slots[at].cell != cell and index.slots[at].cell != NO_CELL:
        at = (at + 1) & index.mask
    return at


cdef bint serves(
    const AreaIndex* index, int32_t store, double lat, double lng, double distance_m, uint64_t* cell
) noexcept nogil:
    cdef const Reach* reach = index.reaches + store
    cdef int32_t at
    if reach.count == 0 or distance_m < reach.inner_m:
        return True
    if distance_m > reach.outer_m:
        return False
    for at in range(reach.first, reach.first + reach.count):
        if covers_place(index, index.store_areas[at], lat, lng, cell):
            return True
    return False


cdef bint covers_place(
    const AreaIndex* index, int32_t area, double lat, double lng, uint64_t* cell
) noexcept nogil:
    cdef const Slot* slot
    cdef const uint32_t* members
    cdef int32_t low, high, middle
    cdef const Outline* outline = index.outlines.outlines + area
    cdef int seen
    if not is_in_box(outline, lat, lng):
        return False
    prefetch(index.outlines.bands + outline.first_band + band_of(outline, lat))
    seen = glance(outline, lat, lng)
    if seen != UNSURE:
        return seen
    if outline.edges_a_band <= FEW_EDGES:
        return covers(&index.outlines, area, lat, lng)
    if cell[0] == NO_CELL:
        cell[0] = cell_at(lat, lng, index.used[0])
        if cell[0] == NO_CELL:
            return covers(&index.outlines, area, lat, lng)
    slot = index.slots + slot_of(index, parent_of(cell[0], index.resolutions[area]))
    members = index.members + slot.first
    low, high = 0, slot.count
    while low < high:
        middle = (low + high) // 2
        if <int32_t>(members[middle] >> 1) < area:
            low = middle + 1
        else:
            high = middle
    if low == slot.count or <int32_t>(members[low] >> 1) != area:
        return False
    return not (members[low] & 1) or covers(&index.outlines, area, lat, lng)


cdef int32_t first_covering(
    const AreaIndex* index, double lat, double lng, uint64_t* cell
) noexcept nogil:
    cdef const Slot* slot
    cdef int32_t at, area, best = index.area_count
    cdef uint32_t member
    cdef int level
    if cell[0] == NO_CELL and index.used_count:
        cell[0] = cell_at(lat, lng, index.used[0])
        if cell[0] == NO_CELL:
            for area in range(index.area_count):
                if covers(&index.outlines, area, lat, lng):
                    return area
            return -1
    for level in range(index.used_count):
        slot = index.slots + slot_of(index, parent_of(cell[0], index.used[level]))
        for at in range(slot.first, slot.first + slot.count):
            member = index.members[at]
            area = <int32_t>(member >> 1)
            if area >= best:
                break
            if not (member & 1) or covers(&index.outlines, area, lat, lng):
                best = area
                break
    return best if best < index.area_count else -1


# -- BUILDING ----------------------------------------------------------------------------------

@cython.final
cdef class Areas:
    """Areas by number, in the order given, and the areas of each store."""

    def __init__(self, names, geometries, store_areas=(), store_lat=(), store_lng=()):
        """`geometries`: a valid shapely Polygon or MultiPolygon for each name, in degrees.

        `store_areas`: numbers of areas, by store code. Raises InvalidInputError for what has no
        place on the map, and FendanError (MISSING) without the packages shapely and h3.
        """
        try:
            import shapely

            get_ready()
        except ModuleNotFoundError as error:
            refuse(Fault.MISSING, "package", error.name, hint=EXTRA_HINT)
        if len(names) != len(geometries):
            refuse(Fault.RAGGED, "geometries", len(geometries), hint=f"{len(names)} names")
        self.names = tuple(names)
        self._rings = _rings_of(shapely, geometries)
        self._cells = _cells_of(shapely, geometries)
        self._hold_cells()
        self._stores = _reaches(self, store_areas, store_lat, store_lng)
        self._hold_stores()

    def with_stores(self, store_areas, store_lat, store_lng):
        """The same areas for other stores."""
        cdef Areas other = Areas.__new__(Areas)
        other.names, other._rings, other._cells = self.names, self._rings, self._cells
        other._hold_cells()
        other._stores = _reaches(other, store_areas, store_lat, store_lng)
        other._hold_stores()
        return other

    cdef int _hold_cells(self) except -1:
        """Point into the arrays."""
        cdef Slot[::1] slots = self._cells["slots"]
        cdef uint32_t[::1] members = self._cells["members"]
        cdef int8_t[::1] resolutions = self._cells["resolutions"]
        cdef AreaIndex* index = &self.index
        index.outlines = self._rings.outlines
        index.area_count = len(self.names)
        index.slots, index.mask = &slots[0], slots.shape[0] - 1
        index.members, index.resolutions = &members[0], &resolutions[0]
        for level, resolution in enumerate(self._cells["used"].tolist()):
            index.used[level] = resolution
        index.used_count = len(self._cells["used"])
        return 0

    cdef int _hold_stores(self) except -1:
        """Point into the arrays."""
        cdef Reach[::1] reaches = self._stores["reaches"]
        cdef int32_t[::1] store_areas = self._stores["store_areas"]
        self.index.reaches, self.index.store_areas = &reaches[0], &store_areas[0]
        self.index.store_count = len(self._stores["lat"])
        return 0

    def covering(self, lat, lng):
        """The number of the first area that covers each place, or -1; int32[n]."""
        cdef const double[::1] lats = np.ascontiguousarray(lat, dtype=np.float64)
        cdef const double[::1] lngs = np.ascontiguousarray(lng, dtype=np.float64)
        cdef int32_t[::1] found
        cdef uint64_t cell
        cdef Py_ssize_t i
        if lats.shape[0] != lngs.shape[0]:
            refuse(Fault.RAGGED, "lng", lngs.shape[0], hint=f"there are {lats.shape[0]} of lat")
        result = np.empty(lats.shape[0], dtype=np.int32)
        found = result
        with nogil:
            for i in range(lats.shape[0]):
                cell = NO_CELL
                found[i] = first_covering(&self.index, lats[i], lngs[i], &cell)
        return result

    def covers(self, int32_t area, double lat, double lng):
        """Whether an area covers a place."""
        cdef uint64_t cell = NO_CELL
        assert 0 <= area < self.index.area_count
        return covers_place(&self.index, area, lat, lng, &cell)

    def serves(self, int32_t store, double lat, double lng):
        """Whether any area of a store covers a place; always, if it has none."""
        cdef uint64_t cell = NO_CELL
        cdef Place here, there
        cdef Sketch unused
        assert 0 <= store < self.index.store_count
        set_place(&here, &unused, self._stores["lat"][store], self._stores["lng"][store])
        set_place(&there, &unused, lat, lng)
        return serves(&self.index, store, lat, lng, distance_between_m(&here, &there), &cell)

    def serving(self, int32_t store, lat, lng):
        """As `serves`, of many places: bool[n]."""
        places = zip(np.asarray(lat).tolist(), np.asarray(lng).tolist())
        return np.array([self.serves(store, *place) for place in places], dtype=bool)

    def reach_m(self, int32_t store):
        """Nearer than the first every place is served, farther than the second none is."""
        assert 0 <= store < self.index.store_count
        cdef const Reach* reach = self.index.reaches + store
        return (reach.inner_m, reach.outer_m) if reach.count else (np.inf, np.inf)

    def cells(self, int32_t area):
        """The resolution of an area's cells, how many are inside it, and on its border."""
        assert 0 <= area < self.index.area_count
        inside, border = self._cells["counts"][area].tolist()
        return self.index.resolutions[area], inside, border

    @property
    def byte_count(self):
        """Memory held, in bytes."""
        arrays = [*self._cells.values(), *self._stores.values()]
        return self._rings.byte_count + sum(array.nbytes for array in arrays)


def _rings_of(shapely, geometries):
    """All polygons' rings; refuses what is no polygon on the map."""
    geometries = np.array(list(geometries), dtype=object)
    kinds = shapely.get_type_id(geometries)
    polygonal = np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    polygonal &= ~shapely.is_empty(geometries)
    for number in np.flatnonzero(~polygonal)[:1].tolist():
        refuse(Fault.WRONG_TYPE, f"geometries[{number}]", geometries[number],
               hint="must be a shapely Polygon or MultiPolygon that is not empty")
    parts, area_of_part = shapely.get_parts(geometries, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    vertices, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    if len(vertices) > MOST_VERTICES:
        refuse(Fault.TOO_MANY, "geometries", len(vertices), hint=f"{MOST_VERTICES:,} vertices")
    area_of_ring = area_of_part[part_of_ring]
    off_map = ~(np.abs(vertices) <= (180.0, 90.0)).all(axis=1)
    for vertex in np.flatnonzero(off_map)[:1].tolist():
        number = int(area_of_ring[ring_of_vertex[vertex]])
        refuse(Fault.OUT_OF_RANGE, f"geometries[{number}]", tuple(vertices[vertex].tolist()),
               hint="must be degrees: lng from -180 to 180, lat from -90 to 90")
    ring_ends = np.cumsum(np.bincount(ring_of_vertex, minlength=len(rings)))
    first_rings = np.cumsum(np.bincount(area_of_ring, minlength=len(geometries)))
    return Rings(vertices, ring_ends, np.append(0, first_rings).astype(np.int64))


def _cells_of(shapely, geometries):
    """The cells of all polygons, as arrays."""
    all_cells, all_members, total = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)], 0
    resolutions = np.zeros(max(1, len(geometries)), dtype=np.int8)
    counts = np.zeros((len(geometries), 2), dtype=np.int32)
    for number, geometry in enumerate(geometries):
        boxes = shapely.bounds(shapely.get_parts(geometry))
        resolutions[number] = resolution_for(boxes)
        covered, is_border = cover(geometry, resolutions[number])
        total += len(covered)
        if total > MOST_CELLS:
            refuse(Fault.TOO_MANY, f"geometries[{number}]", total, hint=f"{MOST_CELLS:,} cells")
        all_cells.append(covered)
        all_members.append((np.uint32(2 * number) + is_border).astype(np.uint32))
        counts[number] = np.count_nonzero(~is_border), np.count_nonzero(is_border)
    numbers, members = np.concatenate(all_cells), np.concatenate(all_members)
    order = np.lexsort((members, numbers))
    used = np.unique(resolutions[:len(geometries)])[::-1]
    return {
        "slots": _slots(*np.unique(numbers[order], return_index=True, return_counts=True)),
        "members": np.append(members[order], np.uint32(0)),
        "resolutions": resolutions,
        "used": used,
        "counts": counts,
    }


def _slots(const uint64_t[::1] found, first, count):
    """The hash table, at most two thirds full."""
    slots = np.zeros(1 << int(1.5 * found.shape[0]).bit_length(), dtype=SLOT)
    cdef const int64_t[::1] firsts = first, counts = count
    cdef Slot[::1] table = slots
    cdef AreaIndex index
    cdef uint64_t at
    cdef Py_ssize_t i
    index.slots, index.mask = &table[0], slots.shape[0] - 1
    for i in range(found.shape[0]):
        at = slot_of(&index, found[i])
        table[at].cell = found[i]
        table[at].first, table[at].count = <int32_t>firsts[i], <int32_t>counts[i]
    return slots


# -- REACHES -----------------------------------------------------------------------------------

def _reaches(Areas areas, store_areas, store_lat, store_lng):
    """The stores' areas and how far they reach, as arrays."""
    lat = np.array(store_lat, dtype=np.float64)
    lng = np.array(store_lng, dtype=np.float64)
    if not len(store_areas) == len(lat) == len(lng):
        refuse(Fault.RAGGED, "store_areas", len(store_areas), hint=f"{len(lat)} and {len(lng)}")
    reaches = np.zeros(max(1, len(lat)), dtype=REACH)
    rows, posts, listed = [], {}, []
    for store, (at_lat, at_lng) in enumerate(zip(lat.tolist(), lng.tolist())):
        numbers = store_areas[store]
        bounds = [(0.0, 0.0)]
        for number in numbers:
            if not 0 <= number < areas.index.area_count:
                refuse(Fault.OUT_OF_RANGE, f"store_areas[{store}]", number)
            if number not in posts:
                posts[number] = _posts(areas._rings.edges_of(number))
            bounds.append(_bounds_m(areas, number, *posts[number], at_lat, at_lng))
        inner_m, outer_m = map(max, zip(*bounds))
        rows.append((inner_m, outer_m, len(listed), len(numbers)))
        listed.extend(numbers)
    reaches[:len(rows)] = rows
    return {
        "reaches": reaches,
        "store_areas": np.array([*listed, 0], dtype=np.int32),
        "lat": lat,
        "lng": lng,
    }


def _bounds_m(Areas areas, int32_t number, posts, double slack_m, double lat, double lng):
    """Nearer to a store than the first, an area covers every place; farther than the second none.

    The farthest place of an area is on its boundary, unless the store's antipode is within.
    """
    nearest_m, farthest_m = _distances_m(posts, lat, lng)
    inner_m = max(0.0, nearest_m - slack_m - MARGIN_M) if areas.covers(number, lat, lng) else 0.0
    has_antipode = areas.covers(number, -lat, lng - (180.0 if lng > 0.0 else -180.0))
    return inner_m, np.inf if has_antipode else farthest_m + slack_m + MARGIN_M


def _posts(edges):
    """Points of a boundary as unit vectors, and a distance within which each of its points has one.

    `edges`: float64[n, 4], lng and lat of their ends. A straight line in the plane of longitude and
    latitude is no longer on the sphere than if it were as far from the poles as its farthest point.
    """
    lng, lat = edges[:, 0::2], edges[:, 1::2]
    run, rise = lng[:, 1] - lng[:, 0], lat[:, 1] - lat[:, 0]
    least = np.abs(lat).min(axis=1) * (lat[:, 0] * lat[:, 1] > 0.0)
    length = np.hypot(run * np.cos(np.radians(least)), rise)
    extent = max(np.ptp(lat), np.ptp(lng))
    # No more than five posts an edge on average, however often the boundary goes to and fro.
    apart = max(extent / POSTS_ALONG, length.sum() / (4 * len(edges) + 4 * POSTS_ALONG), 1e-9)
    pieces = np.ceil(length / apart).astype(np.int64) + 1
    edge = np.repeat(np.arange(len(edges)), pieces)
    share = (np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / pieces[edge]
    posts_lng = np.radians(lng[edge, 0] + share * run[edge])
    posts_lat = np.radians(lat[edge, 0] + share * rise[edge])
    flat = np.cos(posts_lat)
    vectors = [flat * np.cos(posts_lng), flat * np.sin(posts_lng), np.sin(posts_lat)]
    return np.column_stack(vectors), float(np.radians(apart) / 2 * EARTH_RADIUS_M)


def _distances_m(const double[:, ::1] posts, double lat, double lng):
    """How far it is to the nearest post, and to the farthest."""
    cdef double x, y, z, chord_squared, least = 4.0, most = 0.0
    cdef Py_ssize_t i
    x = cos(lat * RADIANS_PER_DEGREE) * cos(lng * RADIANS_PER_DEGREE)
    y = cos(lat * RADIANS_PER_DEGREE) * sin(lng * RADIANS_PER_DEGREE)
    z = sin(lat * RADIANS_PER_DEGREE)
    for i in range(posts.shape[0]):
        chord_squared = (posts[i, 0] - x) ** 2 + (posts[i, 1] - y) ** 2 + (posts[i, 2] - z) ** 2
        least, most = min(least, chord_squared), max(most, chord_squared)
    return (
        2.0 * EARTH_RADIUS_M * asin(min(1.0, sqrt(least) / 2.0)),
        2.0 * EARTH_RADIUS_M * asin(min(1.0, sqrt(most) / 2.0)),
    )
