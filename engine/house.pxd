"""What all connections of a door share."""
from fendan.engine.exchange cimport House

cdef int house_begin(House* house, methods, tokens, limits, endings) except -1
cdef void house_end(House* house) noexcept nogil
cdef object stats_of(House* house)
