"""Whether a place lies in a polygon, answered as GEOS and so shapely answer it, to the last bit."""
cimport cython
from libc.stdint cimport int32_t, int64_t

# One polygon, or several; owned by a Rings, drawn in rings.pyx.
cdef struct Outline:
    double low_lat
    double high_lat
    double low_lng
    double high_lng
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


cdef bint covers(const Outlines* all_outlines, int32_t number, double lat, double lng) noexcept nogil


@cython.final
cdef class Rings:
    cdef Outlines outlines
    cdef dict _arrays           # the numpy arrays that own what `outlines` points at
