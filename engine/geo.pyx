"""Great-circle distance and the three datums of Chinese maps.

GCJ-02 is WGS84 shifted by 300 to 600 m inside China; BD-09 is GCJ-02 shifted once more. Neither
has an official description: the formulas are the ones published by the `eviltransform` and
`coordtransform` projects, on the Krasovsky 1940 ellipsoid, which agree with the maps to about a
metre. The way back is found by iteration, so that a round trip returns the same point.
"""
from libc.math cimport M_PI, atan2, cos, fabs, sin, sqrt

from enum import Enum

import numpy as np

class Datum(Enum):
    """Which grid a latitude and longitude are read on."""

    WGS84 = "WGS84"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"


cdef float chord_squared_of(double distance_m) noexcept nogil:
    """Squared chord of a great-circle distance; 4, the whole diameter, from half-way round on."""
    cdef double half_angle = distance_m / (2.0 * EARTH_RADIUS_M)
    cdef double half_chord
    if half_angle >= M_PI / 2:
        return 4.0
    half_chord = sin(half_angle)
    return <float>(4.0 * half_chord * half_chord)


def distance_m(double lat_a, double lng_a, double lat_b, double lng_b) -> float:
    """Great-circle distance in metres between two points in degrees (haversine, float64)."""
    cdef Place a, b
    cdef Sketch unused
    set_place(&a, &unused, lat_a, lng_a)
    set_place(&b, &unused, lat_b, lng_b)
    return distance_between_m(&a, &b)


# -- DATUMS ------------------------------------------------------------------------------------

# By their numbers in messages; None is the network's own.
DATUMS = (None, Datum.WGS84, Datum.GCJ02, Datum.BD09)

cdef double KRASOVSKY_RADIUS_M = 6378245.0
cdef double KRASOVSKY_ECCENTRICITY_SQUARED = 0.00669342162296594323
cdef double BD09_TURN = M_PI * 3000.0 / 180.0
cdef double BD09_LNG_SHIFT = 0.0065
cdef double BD09_LAT_SHIFT = 0.006
# A hundredth of a millimetre; the iteration gains about three digits a step.
cdef double INVERSE_TOLERANCE_DEGREES = 1e-10
cdef int INVERSE_MOST_STEPS = 30


cdef (double, double) _converted(str source, str target, double lat, double lng) except *:
    """At most two steps, through GCJ-02."""
    if source == target:
        return lat, lng
    if source == "WGS84":
        lat, lng = gcj02_of_wgs84(lat, lng)
    elif source == "BD-09":
        lat, lng = gcj02_of_bd09(lat, lng)
    if target == "WGS84":
        return wgs84_of_gcj02(lat, lng)
    if target == "BD-09":
        return bd09_of_gcj02(lat, lng)
    return lat, lng


def convert(lat, lng, source, target):
    """The same place in another datum.

    `lat` and `lng` are degrees: two numbers, or two sequences of equal length, which come back
    as two float64 arrays. Places outside China's bounding box are returned unchanged between
    WGS84 and GCJ-02, as the maps do. Raises ValueError for a datum it does not know.
    """
    cdef str source_name = Datum(source).value
    cdef str target_name = Datum(target).value
    cdef double[::1] lats, lngs
    cdef Py_ssize_t i
    if np.ndim(lat) == 0:
        return _converted(source_name, target_name, lat, lng)
    lat = np.array(lat, dtype=np.float64)
    lng = np.array(lng, dtype=np.float64)
    if lat.ndim != 1 or lat.shape != lng.shape:
        raise ValueError(f"lat and lng differ in shape: {lat.shape} and {lng.shape}")
    lats, lngs = lat, lng
    for i in range(lats.shape[0]):
        lats[i], lngs[i] = _converted(source_name, target_name, lats[i], lngs[i])
    return lat, lng


cdef bint _in_china(double lat, double lng) noexcept nogil:
    return 72.004 <= lng <= 137.8347 and 0.8293 <= lat <= 55.8271


cdef (double, double) gcj02_shift(double lat, double lng) noexcept nogil:
    cdef double x = lng - 105.0
    cdef double y = lat - 35.0
    cdef double waves = (20.0 * sin(6.0 * x * M_PI) + 20.0 * sin(2.0 * x * M_PI)) * 2.0 / 3.0
    cdef double north = (
        -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(fabs(x)) + waves
        + (20.0 * sin(y * M_PI) + 40.0 * sin(y / 3.0 * M_PI)) * 2.0 / 3.0
        + (160.0 * sin(y / 12.0 * M_PI) + 320.0 * sin(y / 30.0 * M_PI)) * 2.0 / 3.0
    )
    cdef double east = (
        300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(fabs(x)) + waves
        + (20.0 * sin(x * M_PI) + 40.0 * sin(x / 3.0 * M_PI)) * 2.0 / 3.0
        + (150.0 * sin(x / 12.0 * M_PI) + 300.0 * sin(x / 30.0 * M_PI)) * 2.0 / 3.0
    )
    cdef double radians = lat * RADIANS_PER_DEGREE
    cdef double magic = 1.0 - KRASOVSKY_ECCENTRICITY_SQUARED * sin(radians) * sin(radians)
    cdef double root = sqrt(magic)
    cdef double meridian = (
        KRASOVSKY_RADIUS_M * (1.0 - KRASOVSKY_ECCENTRICITY_SQUARED) / (magic * root)
    )
    return (
        north / (meridian * RADIANS_PER_DEGREE),
        east / (KRASOVSKY_RADIUS_M / root * cos(radians) * RADIANS_PER_DEGREE),
    )


cdef (double, double) gcj02_of_wgs84(double lat, double lng) noexcept nogil:
    cdef double shift_lat, shift_lng
    if not _in_china(lat, lng):
        return lat, lng
    shift_lat, shift_lng = gcj02_shift(lat, lng)
    return lat + shift_lat, lng + shift_lng


cdef (double, double) wgs84_of_gcj02(double lat, double lng) noexcept nogil:
    cdef double guess_lat = lat, guess_lng = lng, there_lat, there_lng
    cdef int step
    if not _in_china(lat, lng):
        return lat, lng
    for step in range(INVERSE_MOST_STEPS):
        there_lat, there_lng = gcj02_shift(guess_lat, guess_lng)
        there_lat += guess_lat - lat
        there_lng += guess_lng - lng
        guess_lat -= there_lat
        guess_lng -= there_lng
        if fabs(there_lat) + fabs(there_lng) < INVERSE_TOLERANCE_DEGREES:
            break
    return guess_lat, guess_lng


cdef (double, double) bd09_of_gcj02(double lat, double lng) noexcept nogil:
    cdef double radius = sqrt(lng * lng + lat * lat) + 0.00002 * sin(lat * BD09_TURN)
    cdef double angle = atan2(lat, lng) + 0.000003 * cos(lng * BD09_TURN)
    return radius * sin(angle) + BD09_LAT_SHIFT, radius * cos(angle) + BD09_LNG_SHIFT


cdef (double, double) gcj02_of_bd09(double lat, double lng) noexcept nogil:
    cdef double guess_lat = lat - BD09_LAT_SHIFT, guess_lng = lng - BD09_LNG_SHIFT
    cdef double there_lat, there_lng
    cdef int step
    for step in range(INVERSE_MOST_STEPS):
        there_lat, there_lng = bd09_of_gcj02(guess_lat, guess_lng)
        there_lat -= lat
        there_lng -= lng
        guess_lat -= there_lat
        guess_lng -= there_lng
        if fabs(there_lat) + fabs(there_lng) < INVERSE_TOLERANCE_DEGREES:
            break
    return guess_lat, guess_lng
