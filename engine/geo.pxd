"""Points on the sphere: the one distance everybody compares, and the sketches that sort by it."""
from libc.math cimport asin, cos, sin, sqrt, sqrtf

cdef extern from *:
    """
    /* Mean radius of the earth, IUGG R1. */
    #define FENDAN_EARTH_RADIUS_M 6371008.8
    #define FENDAN_RADIANS_PER_DEGREE 0.017453292519943295
    """
    const double EARTH_RADIUS_M "FENDAN_EARTH_RADIUS_M"
    const double RADIANS_PER_DEGREE "FENDAN_RADIANS_PER_DEGREE"

# A place in degrees, for the exact distance.
cdef struct Place:
    double lat
    double lng
    double cos_lat


# The same place as a unit vector, rounded, for sorting places by distance.
cdef struct Sketch:
    float x
    float y
    float z


cdef inline double sine_of(double angle) noexcept nogil:
    """From -pi / 2 to pi / 2, to 1e-11: its Taylor series up to the 15th power."""
    cdef double square = angle * angle
    return angle * (1.0 + square * (-1 / 6.0 + square * (1 / 120.0 + square * (
        -1 / 5040.0 + square * (1 / 362880.0 + square * (-1 / 39916800.0 + square * (
            1 / 6227020800.0 + square * (-1 / 1307674368000.0))))))))


cdef inline double cosine_of(double angle) noexcept nogil:
    """From -pi / 2 to pi / 2, to 1e-12: its Taylor series up to the 16th power."""
    cdef double square = angle * angle
    return 1.0 + square * (-1 / 2.0 + square * (1 / 24.0 + square * (
        -1 / 720.0 + square * (1 / 40320.0 + square * (-1 / 3628800.0 + square * (
            1 / 479001600.0 + square * (-1 / 87178291200.0 + square * (
                1 / 20922789888000.0))))))))


cdef inline void set_place(Place* place, Sketch* sketch, double lat, double lng) noexcept nogil:
    """A sketch is rounded to float32 anyway, so its sines need no more than series without a branch."""
    cdef double half_sine = sine_of(lng * (0.5 * RADIANS_PER_DEGREE))
    cdef double half_cosine = cosine_of(lng * (0.5 * RADIANS_PER_DEGREE))
    place.lat = lat
    place.lng = lng
    place.cos_lat = cos(lat * RADIANS_PER_DEGREE)
    sketch.x = <float>(place.cos_lat * (1.0 - 2.0 * half_sine * half_sine))
    sketch.y = <float>(place.cos_lat * (2.0 * half_sine * half_cosine))
    sketch.z = <float>sine_of(lat * RADIANS_PER_DEGREE)


cdef inline double distance_between_m(const Place* a, const Place* b) noexcept nogil:
    """The distance that decides: haversine in float64, symmetric in its arguments.

    Every comparison that could be close is settled by this function and no other, so that an
    exact tie is one in every part of the engine.
    """
    cdef double half_lat = sin((b.lat - a.lat) * RADIANS_PER_DEGREE * 0.5)
    cdef double half_lng = sin((b.lng - a.lng) * RADIANS_PER_DEGREE * 0.5)
    cdef double haversine = half_lat * half_lat + a.cos_lat * b.cos_lat * half_lng * half_lng
    # Rounding can lift an antipode just above one, where asin has no answer.
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(haversine if haversine < 1.0 else 1.0))


cdef inline float chord_margin(float squared) noexcept nogil:
    """By how much two squared chords of sketches must differ to say which place is nearer.

    A squared chord c * c of unit vectors grows with the great-circle distance. A sketch's
    coordinates are off by 3e-8, a difference of two by 6e-8, so a chord by 1.1e-7; four roundings
    of the sum add 2.4e-7 * c * c, and a key (near.h) takes off at most 8e-6 * c * c. With c at most
    2 that is below 1e-6 * c + 8e-6 * c * c + 1e-13, and two such errors may add up. In metres:
    places whose distances differ by more than some 7 m, and 0.0008 % of the distance, need no
    second look; others are compared by `distance_between_m`.
    """
    return 2e-6 * sqrtf(squared) + 1.6e-5 * squared + 2e-13


cdef float chord_squared_of(double distance_m) noexcept nogil

cdef inline float chord_squared_above(double distance_m) noexcept nogil:
    """No less than `chord_squared_of`, by 1 / 12 of the squared angle more: 2e-7 of it at 10 km.

    The arc is longer than its chord, and is told without a sine.
    """
    cdef double angle = distance_m / EARTH_RADIUS_M
    return <float>(angle * angle if angle < 2.0 else 4.0)
