"""H3 cells: which cell a place is in, and which cells a polygon reaches into."""
from libc.stdint cimport uint64_t

cdef enum:
    NO_CELL = 0
    FINEST_RESOLUTION = 9       # 0.1 square km
    RESOLUTION_SHIFT = 52       # where in a cell its resolution stands, in 4 bits
    LAST_DIGIT = 15             # the finest digit that a cell has room for, of 3 bits each


cdef inline uint64_t parent_of(uint64_t cell, int resolution) noexcept nogil:
    """The cell's ancestor at a resolution no finer than its own; digits not in use are all 7."""
    cdef uint64_t unused = (<uint64_t>1 << (3 * (LAST_DIGIT - resolution))) - 1
    cdef uint64_t others = cell & ~(<uint64_t>15 << RESOLUTION_SHIFT)
    return others | (<uint64_t>resolution << RESOLUTION_SHIFT) | unused


cdef uint64_t cell_at(double lat, double lng, int resolution) noexcept nogil
