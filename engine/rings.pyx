"""Polygons with holes, in the plane of longitude and latitude, and whether they cover a place.

All rings of a polygon, or of several, lie one after another; each ends with the vertex it began
with. An edge is known by the vertex it begins at. The height of the polygon is cut into bands of
equal height, and a band lists the edges that pass through it, so that a question looks at a few
edges and not at all:

    vertices   lng lat  lng lat  lng lat ...            ring by ring, of all polygons
    outlines   box, first_band, band_count ...          a polygon each
    bands      0       3              7   ...           where in `edges` each band begins
    edges      5 6 81  5 4 81 82 83   ...               band by band

Invariant: an edge stands in every band that holds a latitude of it. The band of a latitude is the
same arithmetic everywhere and never falls as the latitude rises, so rounding cannot break that.

Most places are not even near an edge. So the polygon's box is a grid as well, which stands in the
outline itself and answers without a look at anything else. A row is a word: bit c says that an edge
may pass through column c, bit 32 + c that none does and all of the cell is covered, as its middle is.

    . . # # # .     #  border: the bands tell
    . # # o o #     o  inside
    # # o o # #     .  outside

A place is covered if it lies on an edge, or if a ray from it to the east crosses the edges an odd
number of times: the rule of GEOS (RayCrossingCounter), which is right for a valid polygon whatever
its holes. On which side of an edge a place lies is decided as GEOS decides it, by the error bound
of Ozaki et al. (2016) and, where that does not settle it, in double-double arithmetic (Dekker,
Knuth) with the roundings in the same order: where even those are not exact, we are wrong alike.
"""
cimport cython
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

cdef enum:
    MOST_BANDS = 4096
    EDGES_PER_BAND = 4          # as many bands as let a band have so many edges, at first
    MOST_LISTINGS = 4           # of an edge, on average; long edges make the bands fewer

# (3 + sqrt(6)) / 2 ** 54 and a little, the bound of the orientation's relative error.
cdef double ORIENTATION_ERROR = 3.3306690621773724e-16
# 2 ** 27 + 1 cuts a double into two halves whose products are exact.
cdef double SPLITTER = 134217729.0

# Boxes less high or wide than this, about 10 m, have no grid: all of it is border.
cdef double LEAST_BOX_DEGREES = 1e-4
# Of a cell, how far beyond it an edge still counts as in it: more than all roundings of such a box.
cdef double SLACK = 1e-3

cdef object OUTLINE = np.dtype([
    ("low_lat", "f8"), ("high_lat", "f8"), ("low_lng", "f8"), ("high_lng", "f8"),
    ("rows_per_degree", "f8"), ("columns_per_degree", "f8"),
    ("grid", "u8", (GRID,)),
    ("bands_per_degree", "f8"), ("first_band", "i8"), ("band_count", "i4"), ("edges_a_band", "i4"),
], align=True)


# -- ON WHICH SIDE -----------------------------------------------------------------------------

# A number as the sum of two, the second less than half a last digit of the first.
cdef struct Double2:
    double high
    double low


cdef inline Double2 sum_of(double a, double b) noexcept nogil:
    """a + b, exactly."""
    cdef Double2 total
    cdef double of_b
    total.high = a + b
    of_b = total.high - a
    total.low = (b - of_b) + (a - (total.high - of_b))
    return total


cdef inline Double2 product(Double2 a, Double2 b) noexcept nogil:
    """a * b, but for the product of the low parts."""
    cdef Double2 result
    cdef double scaled, a_head, a_tail, b_head, b_tail, main, rest
    scaled = SPLITTER * a.high
    a_head = scaled - (scaled - a.high)
    a_tail = a.high - a_head
    scaled = SPLITTER * b.high
    b_head = scaled - (scaled - b.high)
    b_tail = b.high - b_head
    main = a.high * b.high
    rest = (((a_head * b_head - main) + a_head * b_tail) + a_tail * b_head) + a_tail * b_tail
    rest = rest + (a.high * b.low + a.low * b.high)
    result.high = main + rest
    result.low = rest + (main - result.high)
    return result


cdef inline int sign_of_difference(Double2 a, Double2 b) noexcept nogil:
    """-1, 0 or 1, as a - b is."""
    cdef Double2 highs = sum_of(a.high, -b.high)
    cdef Double2 lows = sum_of(a.low, -b.low)
    cdef double carried = highs.low + lows.high
    cdef double head = highs.high + carried
    cdef double tail = lows.low + (carried + (highs.high - head))
    cdef double high = head + tail
    cdef double low = tail + (head - high)
    if high != 0.0:
        return 1 if high > 0.0 else -1
    return (low > 0.0) - (low < 0.0)


cdef int side(
    const double* start, const double* end, double lng, double lat
) noexcept nogil:
    """1 if the place lies left of the edge, -1 if right, 0 if on its line."""
    cdef double left = (start[0] - lng) * (end[1] - lat)
    cdef double right = (start[1] - lat) * (end[0] - lng)
    cdef double determinant = left - right
    if fabs(determinant) >= fabs(left + right) * ORIENTATION_ERROR:
        return (determinant > 0.0) - (determinant < 0.0)
    return sign_of_difference(
        product(sum_of(end[0], -start[0]), sum_of(lat, -end[1])),
        product(sum_of(end[1], -start[1]), sum_of(lng, -end[0])),
    )


# -- COVERED -----------------------------------------------------------------------------------

cdef bint covers(
    const Outlines* all_outlines, int32_t number, double lat, double lng
) noexcept nogil:
    """Whether a polygon covers a place: inside, on an edge, or on a vertex. False for NaN."""
    cdef int seen = glance(all_outlines.outlines + number, lat, lng)
    if seen != UNSURE:
        return seen
    return covers_by_edges(all_outlines, number, lat, lng)


cdef bint covers_by_edges(
    const Outlines* all_outlines, int32_t number, double lat, double lng
) noexcept nogil:
    """As `covers`, of a place in the polygon's box."""
    cdef const Outline* outline = all_outlines.outlines + number
    cdef const double* start
    cdef const double* end
    cdef int64_t band, at
    cdef int direction
    cdef bint is_odd = False
    band = outline.first_band + band_of(outline, lat)
    for at in range(all_outlines.bands[band], all_outlines.bands[band + 1]):
        start = all_outlines.vertices + 2 * <int64_t>all_outlines.edges[at]
        end = start + 2
        if start[0] < lng and end[0] < lng:
            continue
        if lng == end[0] and lat == end[1]:
            return True
        if start[1] == lat and end[1] == lat:
            if start[0] <= lng <= end[0] or end[0] <= lng <= start[0]:
                return True
        elif (start[1] > lat) != (end[1] > lat):
            direction = side(start, end, lng, lat)
            if direction == 0:
                return True
            is_odd ^= (direction > 0) == (end[1] > start[1])
    return is_odd


# -- BUILDING ----------------------------------------------------------------------------------

@cython.final
cdef class Rings:
    """Polygons by number. Never changed once it is made."""

    def __init__(self, vertices, ring_ends, first_rings):
        """`vertices`: float64[n, 2], lng and lat, finite; each ring closed, none empty.

        Ring r ends before vertex ring_ends[r]; polygon p has the rings from first_rings[p] to
        before first_rings[p + 1].
        """
        starts = np.ones(len(vertices), dtype=bool)
        starts[ring_ends - 1] = False
        first_vertices = np.append(0, ring_ends)[first_rings]
        self._arrays = {
            "outlines": np.zeros(len(first_rings) - 1, dtype=OUTLINE),
            "vertices": np.ascontiguousarray(vertices, dtype=np.float64),
            "first_vertices": first_vertices,
            "starts": starts,
        }
        self._measure(first_vertices)
        self._list(first_vertices, starts)
        self._draw_grids(first_vertices, starts)

    def _measure(self, first_vertices):
        """Boxes, and as many bands as serve."""
        outlines, vertices = self._arrays["outlines"], self._arrays["vertices"]
        for name, column, extreme in (
            ("low_lng", 0, np.minimum), ("low_lat", 1, np.minimum),
            ("high_lng", 0, np.maximum), ("high_lat", 1, np.maximum),
        ):
            if len(outlines):
                outlines[name] = extreme.reduceat(vertices[:, column], first_vertices[:len(first_vertices) - 1])

    def _list(self, const int64_t[::1] first_vertices, starts):
        """List the edges by bands."""
        cdef Outlines* mine = &self.outlines
        cdef Outline[::1] outlines = self._arrays["outlines"]
        cdef const double[:, ::1] vertices = self._arrays["vertices"]
        cdef const unsigned char[::1] is_start = starts.view(np.uint8)
        cdef int64_t[::1] bands
        cdef int32_t[::1] edges
        cdef int64_t number, vertex, band_total = 0, listing_total = 0
        for number in range(outlines.shape[0]):
            outlines[number].first_band = band_total
            listing_total += _cut(
                &outlines[number], vertices, is_start,
                first_vertices[number], first_vertices[number + 1],
            )
            band_total += outlines[number].band_count
        self._arrays["bands"] = np.zeros(band_total + 2, dtype=np.int64)
        self._arrays["edges"] = np.empty(max(1, listing_total), dtype=np.int32)
        bands, edges = self._arrays["bands"], self._arrays["edges"]
        for number in range(outlines.shape[0]):
            for vertex in range(first_vertices[number], first_vertices[number + 1]):
                if is_start[vertex]:
                    _count(&outlines[number], &vertices[vertex, 0], &bands[2])
        np.cumsum(self._arrays["bands"], out=self._arrays["bands"])
        # Each band's end serves as where its next edge goes, until it is where the next begins.
        for number in range(outlines.shape[0]):
            for vertex in range(first_vertices[number], first_vertices[number + 1]):
                if is_start[vertex]:
                    _enter(
                        &outlines[number], &vertices[vertex, 0], <int32_t>vertex,
                        &bands[1], &edges[0],
                    )
        mine.count = <int32_t>outlines.shape[0]
        mine.bands, mine.edges = &bands[0], &edges[0]
        if mine.count:
            mine.outlines, mine.vertices = &outlines[0], &vertices[0, 0]

    def _draw_grids(self, const int64_t[::1] first_vertices, starts):
        """Which cells of each polygon's box are border, and which are inside."""
        cdef Outline[::1] outlines = self._arrays["outlines"]
        cdef const double[:, ::1] vertices = self._arrays["vertices"]
        cdef const unsigned char[::1] is_start = starts.view(np.uint8)
        cdef uint64_t grid[GRID]
        cdef int64_t vertex
        cdef int32_t number
        with nogil:
            for number in range(self.outlines.count):
                if not _cut_grid(&outlines[number]):
                    continue
                memset(grid, 0, sizeof(grid))
                for vertex in range(first_vertices[number], first_vertices[number + 1]):
                    if is_start[vertex]:
                        _draw(&outlines[number], &vertices[vertex, 0], grid)
                _fill(&self.outlines, &outlines[number], number, grid)

    def covers(self, int32_t number, double lat, double lng):
        """Whether polygon `number` covers a place."""
        assert 0 <= number < self.outlines.count
        return covers(&self.outlines, number, lat, lng)

    def edges_of(self, int32_t number):
        """float64[n, 4]: lng and lat of where each edge of a polygon begins and ends."""
        first_vertices = self._arrays["first_vertices"]
        ours = slice(first_vertices[number], first_vertices[number + 1])
        vertices = self._arrays["vertices"][ours]
        starts = np.flatnonzero(self._arrays["starts"][ours])
        return np.column_stack([vertices[starts], vertices[starts + 1]])

    @property
    def byte_count(self):
        """Memory held, in bytes."""
        return sum(array.nbytes for array in self._arrays.values())


cdef inline void passed(
    const Outline* outline, const double* start, int32_t* first, int32_t* last
) noexcept nogil:
    """The bands that the edge from a vertex to the next passes through, from first to last."""
    first[0] = band_of(outline, start[1] if start[1] < start[3] else start[3])
    last[0] = band_of(outline, start[3] if start[1] < start[3] else start[1])


cdef int64_t _cut(
    Outline* outline,
    const double[:, ::1] vertices,
    const unsigned char[::1] is_start,
    int64_t from_vertex,
    int64_t to_vertex,
) noexcept nogil:
    """Choose the number of bands; how many listings of edges they take."""
    cdef double height = outline.high_lat - outline.low_lat
    cdef int64_t vertex, listings, edge_count = to_vertex - from_vertex
    cdef int32_t first, last
    outline.band_count = <int32_t>min(MOST_BANDS, max(1, edge_count // EDGES_PER_BAND))
    while True:
        outline.bands_per_degree = outline.band_count / height if height > 1e-9 else 0.0
        listings = 0
        for vertex in range(from_vertex, to_vertex):
            if is_start[vertex]:
                passed(outline, &vertices[vertex, 0], &first, &last)
                listings += last - first + 1
        if outline.band_count == 1 or listings <= MOST_LISTINGS * edge_count:
            outline.edges_a_band = <int32_t>(listings // outline.band_count)
            return listings
        outline.band_count //= 2


cdef void _count(const Outline* outline, const double* start, int64_t* counts) noexcept nogil:
    cdef int32_t band, first, last
    passed(outline, start, &first, &last)
    for band in range(first, last + 1):
        counts[outline.first_band + band] += 1


cdef void _enter(
    const Outline* outline, const double* start, int32_t vertex, int64_t* ends, int32_t* edges
) noexcept nogil:
    cdef int32_t band, first, last
    passed(outline, start, &first, &last)
    for band in range(first, last + 1):
        edges[ends[outline.first_band + band]] = vertex
        ends[outline.first_band + band] += 1


# -- GRIDS -------------------------------------------------------------------------------------

cdef bint _cut_grid(Outline* outline) noexcept nogil:
    """Cut the box, all of it border at first; whether it is large enough to have a grid."""
    cdef double height = outline.high_lat - outline.low_lat
    cdef double width = outline.high_lng - outline.low_lng
    memset(outline.grid, 0xff, sizeof(outline.grid))
    if not (height > LEAST_BOX_DEGREES and width > LEAST_BOX_DEGREES):
        return False
    outline.rows_per_degree, outline.columns_per_degree = GRID / height, GRID / width
    return True


cdef void _draw(const Outline* outline, const double* start, uint64_t* grid) noexcept nogil:
    """Mark the cells that the edge from a vertex to the next may pass through."""
    cdef double rise = start[3] - start[1]
    cdef double low, high, from_lng, to_lng
    cdef int row, column
    for row in range(row_of(outline, min(start[1], start[3])),
                     row_of(outline, max(start[1], start[3])) + 1):
        from_lng, to_lng = start[0], start[2]
        if rise != 0.0:
            low = outline.low_lat + (row - SLACK) / outline.rows_per_degree
            high = outline.low_lat + (row + 1 + SLACK) / outline.rows_per_degree
            from_lng = _lng_at(start, (low - start[1]) / rise)
            to_lng = _lng_at(start, (high - start[1]) / rise)
        low, high = min(from_lng, to_lng), max(from_lng, to_lng)
        for column in range(column_of(outline, low - SLACK / outline.columns_per_degree),
                            column_of(outline, high + SLACK / outline.columns_per_degree) + 1):
            grid[row] |= <uint64_t>1 << column


cdef inline double _lng_at(const double* start, double share) noexcept nogil:
    """How far east the edge is after a share of it; at its ends beyond them."""
    if share <= 0.0:
        return start[0]
    if share >= 1.0:
        return start[2]
    return start[0] + (start[2] - start[0]) * share


cdef void _fill(const Outlines* all_outlines, Outline* outline, int32_t number,
                uint64_t* grid) noexcept nogil:
    """Ask for the middles of the cells that no edge passes through."""
    cdef int row, column
    for row in range(GRID):
        for column in range(GRID):
            if not (grid[row] >> column) & 1 and covers_by_edges(
                all_outlines, number,
                outline.low_lat + (row + 0.5) / outline.rows_per_degree,
                outline.low_lng + (column + 0.5) / outline.columns_per_degree,
            ):
                grid[row] |= <uint64_t>1 << (GRID + column)
    memcpy(outline.grid, grid, sizeof(outline.grid))
