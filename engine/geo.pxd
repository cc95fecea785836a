"""Points on the sphere: the one distance everybody compares, and the vectors that find it fast."""
from libc.math cimport asin, cos, sin, sqrt

cdef extern from *:
    """
    /* Mean radius of the earth, IUGG R1. */
    #define FENDAN_EARTH_RADIUS_M 6371008.8
    #define FENDAN_RADIANS_PER_DEGREE 0.017453292519943295
    """
    const double EARTH_RADIUS_M "FENDAN_EARTH_RADIUS_M"
    const double RADIANS_PER_DEGREE "FENDAN_RADIANS_PER_DEGREE"

# A point as degrees, for the exact distance, and as a unit vector, for the search.
cdef struct Point:
    double lat
    double lng
    double cos_lat
    double x
    double y
    double z


cdef inline void set_point(Point* point, double lat, double lng) noexcept nogil:
    cdef double cos_lat = cos(lat * RADIANS_PER_DEGREE)
    point.lat = lat
    point.lng = lng
    point.cos_lat = cos_lat
    point.x = cos_lat * cos(lng * RADIANS_PER_DEGREE)
    point.y = cos_lat * sin(lng * RADIANS_PER_DEGREE)
    point.z = sin(lat * RADIANS_PER_DEGREE)


cdef inline double distance_between_m(const Point* a, const Point* b) noexcept nogil:
    """The distance that decides: haversine in float64, symmetric in its arguments.

    Every comparison that could be close is settled by this function and no other, so that an
    exact tie is one in every part of the engine.
    """
    cdef double half_lat = sin((b.lat - a.lat) * RADIANS_PER_DEGREE * 0.5)
    cdef double half_lng = sin((b.lng - a.lng) * RADIANS_PER_DEGREE * 0.5)
    cdef double haversine = half_lat * half_lat + a.cos_lat * b.cos_lat * half_lng * half_lng
    # Rounding can lift an antipode just above one, where asin has no answer.
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(haversine if haversine < 1.0 else 1.0))


cdef inline double chord_squared(const Point* a, const Point* b) noexcept nogil:
    """Squared straight-line distance of the unit vectors; grows with the great-circle distance."""
    cdef double dx = a.x - b.x
    cdef double dy = a.y - b.y
    cdef double dz = a.z - b.z
    return dx * dx + dy * dy + dz * dz


cdef inline double chord_margin(double squared) noexcept nogil:
    """How far a squared chord may lie from the one that `distance_between_m` implies.

    The coordinates of a unit vector carry errors of about 2e-16, a chord c thus about 5e-16, and
    c*c about 1e-15 * c; haversine's own rounding is smaller. Ten times that is a safe margin, and
    still only some 60 nanometres: two stores closer to a tie than this are compared exactly.
    """
    return 1e-14 * sqrt(squared) + 1e-28


cdef double chord_squared_of(double distance_m) noexcept nogil
