"""Lines of one SKU in one order, added up: past here no SKU stands twice in one."""
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint64_t
from libc.stdlib cimport qsort

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.place import field_of, row_of
from fendan.errors import refuse


cdef int compare_keys(const void* one, const void* other) noexcept nogil:
    cdef uint64_t a = (<const uint64_t*>one)[0]
    cdef uint64_t b = (<const uint64_t*>other)[0]
    return (a > b) - (a < b)


def merged(arrays, style):
    """The columns with the lines of one SKU in one order added up, by SKU code."""
    cdef const int64_t[::1] offsets = arrays["offsets"]
    cdef const int32_t[::1] skus = arrays["skus"], quantities = arrays["quantities"]
    cdef const int64_t[::1] amounts = arrays.get("amounts")
    summed = {
        **arrays,
        "offsets": np.zeros(len(offsets), dtype=np.int64),
        "skus": np.empty(len(skus), dtype=np.int32),
        "quantities": np.empty(len(skus), dtype=np.int32),
    }
    if amounts is not None:
        summed["amounts"] = np.zeros(len(skus), dtype=np.int64)
    cdef int64_t[::1] to_offsets = summed["offsets"], to_amounts = summed.get("amounts")
    cdef int32_t[::1] to_skus = summed["skus"], to_quantities = summed["quantities"]
    # A line as one sortable number: the SKU above, which of the order's lines it is below.
    cdef uint64_t[::1] keys = np.empty(len(skus), dtype=np.uint64)
    cdef int64_t row, key, line, wide, to = 0
    for row in range(offsets.shape[0] - 1):
        for line in range(offsets[row], offsets[row + 1]):
            keys[line] = <uint64_t>skus[line] << 32 | <uint64_t>(line - offsets[row])
        line = offsets[row]
        qsort(&keys[line], offsets[row + 1] - line, sizeof(uint64_t), compare_keys)
        for key in range(offsets[row], offsets[row + 1]):
            line = offsets[row] + <int32_t>keys[key]
            if to > to_offsets[row] and to_skus[to - 1] == skus[line]:
                wide = <int64_t>to_quantities[to - 1] + quantities[line]
                if wide > INT32_MAX:
                    refuse(Fault.OVERFLOW, field_of("quantities", "lines", style, row), wide,
                           row=row_of(style, row),
                           hint=f"lines of one SKU may add up to at most {INT32_MAX}")
                to_quantities[to - 1] = <int32_t>wide
            else:
                to_skus[to], to_quantities[to] = skus[line], quantities[line]
                to += 1
            if amounts is not None:
                to_amounts[to - 1] += amounts[line]
        to_offsets[row + 1] = to
    return {**summed, "skus": summed["skus"][:to], "quantities": summed["quantities"][:to]}
