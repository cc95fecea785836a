"""Named areas, such as a district or where a shop delivers to, and which of them cover a place."""
cimport cython
from libc.stdint cimport int8_t, int32_t, uint32_t, uint64_t

from fendan.engine.rings cimport Outlines, Rings, prefetch_outline

# An H3 cell and the areas that reach into it; `cell` is 0 in a free slot.
cdef struct Slot:
    uint64_t cell
    int32_t first               # in `members`
    int32_t count


# How far a store's areas reach from it; see areas.pyx.
cdef struct Reach:
    double inner_m              # nearer than this, every place is covered
    double outer_m              # farther than this, none is
    int32_t first               # in `store_areas`
    int32_t count               # 0: the store serves everywhere


# All areas of a chain; owned by an Areas, drawn in areas.pyx.
cdef struct AreaIndex:
    Outlines outlines
    const Slot* slots           # [mask + 1]
    uint64_t mask
    const uint32_t* members     # area * 2, and 1 more where the cell is on the border
    const int8_t* resolutions   # [area_count], of the cells of each area
    int8_t used[16]             # [used_count], all resolutions that there are, finest first
    int32_t used_count
    int32_t area_count
    int32_t store_count
    const Reach* reaches        # [store_count]
    const int32_t* store_areas


# Whether any of a store's areas covers a place; a store without areas serves everywhere.
# `distance_m`: from the store, great circle. `cell`: remembers the place's H3 cell; 0 at first.
cdef bint serves(
    const AreaIndex* index, int32_t store, double lat, double lng, double distance_m, uint64_t* cell
) noexcept nogil
cdef bint covers_place(
    const AreaIndex* index, int32_t area, double lat, double lng, uint64_t* cell
) noexcept nogil
# The first area that covers a place, or -1.
cdef int32_t first_covering(
    const AreaIndex* index, double lat, double lng, uint64_t* cell
) noexcept nogil


# Fetch the first area of a store, where it will be asked for; most have no more.
cdef inline void prefetch_areas(const AreaIndex* index, int32_t store,
                                double about_m) noexcept nogil:
    cdef const Reach* reach = index.reaches + store
    if reach.count and reach.inner_m <= about_m <= reach.outer_m:
        prefetch_outline(index.outlines.outlines + index.store_areas[reach.first])


@cython.final
cdef class Areas:
    cdef AreaIndex index
    cdef readonly tuple names
    cdef Rings _rings
    cdef dict _cells            # the numpy arrays that own the cells' part of `index`
    cdef dict _stores           # and the stores' part

    cdef int _hold_cells(self) except -1
    cdef int _hold_stores(self) except -1
