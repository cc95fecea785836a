"""Where the stores are: KD order, 64 stores to a leaf, 64 leaves to a branch."""
cimport cython
from libc.stdint cimport int32_t, uint64_t

from libc.string cimport strcmp

from fendan.engine.geo cimport Place

cdef enum:
    STORES_PER_LEAF = 64        # one bit of a uint64 each
    LEAVES_PER_BRANCH = 64      # one bit of a uint64 each
    LEAF_FLOATS = 3 * 64        # a leaf's sketches
    BOXES_FLOATS = 6 * 64       # 64 boxes; see network.pyx
    NO_STORE = -1
    MAX_ID_BYTES = 255


# The stores as the search sees them; owned by a Layout, drawn in network.pyx.
cdef struct Leaves:
    int32_t store_count
    int32_t leaf_count
    int32_t branch_count
    Place* places               # [leaf_count * 64], by ordinal
    int32_t* store_at           # [leaf_count * 64], ordinal -> store code or NO_STORE
    int32_t* ordinal_of         # [store_count], store code -> ordinal
    uint64_t* open              # [leaf_count], bit = 1: a store stands there and takes orders
    float* sketches             # [leaf_count][3][64]
    float* leaf_boxes           # [branch_count][6][64]
    float* branch_boxes         # [(branch_count + 63) / 64][6][64]
    const char** id_text        # [store_count], store code -> id in UTF-8


cdef inline bint id_is_smaller(const Leaves* leaves, int32_t store, int32_t other) noexcept nogil:
    """Ties go to the smaller id. UTF-8 bytes compare as Python compares the strings."""
    return strcmp(leaves.id_text[store], leaves.id_text[other]) < 0


@cython.final
cdef class Layout:
    cdef Leaves leaves
    cdef dict _arrays           # the numpy arrays that own what `leaves` points at
    cdef list _id_bytes         # and the ids' text


@cython.final
cdef class Network:
    cdef readonly Layout layout
    cdef readonly list store_ids    # store code -> id, also of stores that were removed
    cdef readonly list regions      # store code -> region
    cdef readonly object removed    # int32[n], the codes of stores that were removed
    cdef dict _code_of              # id -> store code, without those that were removed

    cdef int adopt(self, Layout layout, list ids, list regions) except -1


cpdef bint is_usable_id(object name) except -1
