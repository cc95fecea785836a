"""Events as objects."""
from libc.stdint cimport int64_t

from fendan.engine.fields cimport Reader


# An event of no order and no stock, as an Event; None where the bytes are none, see Reader.wrong.
cdef object read_other(Reader* reader, int64_t sequence, int64_t time_ns)
