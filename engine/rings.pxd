"""Whether a place lies in a polygon, answered as GEOS and so shapely answer it, to the last bit."""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from fendan.engine.room cimport prefetch

cdef enum:
    CACHE_LINE_BYTES = 64
    GRID = 32                   # rows, and columns, that a polygon's box is cut into
    UNSURE = -1                 # the edges must tell

# One polygon, or several; owned by a Rings, drawn in rings.pyx.
cdef struct Outline:
    double low_lat
    double high_lat
    double low_lng
    double high_lng
    double rows_per_degree
    double columns_per_degree
    uint64_t grid[GRID]         # by row, drawn in rings.pyx
    double bands_per_degree
    int64_t first_band          # in `bands`
    int32_t band_count
    int32_t edges_a_band        # on average


cdef struct Outlines:
    const Outline* outlines     # [count]
    const int64_t* bands        # [all bands + 1], where in `edges` each band begins
    const int32_t* edges        # the vertex that an edge begins at, band by band
    const double* vertices      # lng and lat, ring by ring
    int32_t count


cdef inline bint is_in_box(const Outline* outline, double lat, double lng) noexcept nogil:
    return (outline.low_lat <= lat <= outline.high_lat
            and outline.low_lng <= lng <= outline.high_lng)

cdef inline int row_of(const Outline* outline, double lat) noexcept nogil:
    """In which row of the grid a latitude of the box is; never falls as the latitude rises."""
    cdef int row = <int>((lat - outline.low_lat) * outline.rows_per_degree)
    return row if row < GRID else GRID - 1

cdef inline int column_of(const Outline* outline, double lng) noexcept nogil:
    """As `row_of`, of a longitude."""
    cdef int column = <int>((lng - outline.low_lng) * outline.columns_per_degree)
    return column if column < GRID else GRID - 1

cdef inline int32_t band_of(const Outline* outline, double lat) noexcept nogil:
    """In which band a latitude of the polygon is."""
    cdef int32_t band = <int32_t>((lat - outline.low_lat) * outline.bands_per_degree)
    return band if band < outline.band_count else outline.band_count - 1

cdef inline void prefetch_outline(const Outline* outline) noexcept nogil:
    """All of it, since what tells which row is asked for stands in it too."""
    cdef size_t piece
    for piece in range((sizeof(Outline) + CACHE_LINE_BYTES - 1) // CACHE_LINE_BYTES):
        prefetch(<const char*>outline + piece * CACHE_LINE_BYTES)

cdef inline int glance(const Outline* outline, double lat, double lng) noexcept nogil:
    """Whether the polygon covers a place, as far as the grid knows; or UNSURE."""
    cdef uint64_t cell
    if not is_in_box(outline, lat, lng):
        return False
    cell = outline.grid[row_of(outline, lat)] >> column_of(outline, lng)
    if cell & 1:
        return UNSURE
    return (cell >> GRID) & 1


cdef bint covers(const Outlines* all_outlines, int32_t number, double lat, double lng) noexcept nogil


@cython.final
cdef class Rings:
    cdef Outlines outlines
    cdef dict _arrays           # the numpy arrays that own what `outlines` points at
