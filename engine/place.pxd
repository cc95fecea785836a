"""Places in degrees, as they come in."""

cdef inline bint is_place(double lat, double lng) noexcept nogil:
    """False for NaN as well."""
    return -90.0 <= lat <= 90.0 and -180.0 <= lng <= 180.0
