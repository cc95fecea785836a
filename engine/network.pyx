"""The stores of a chain, in an order that puts neighbours side by side.

Stores are points on the unit sphere, sorted by recursive median splits into leaves:

    ordinal   0 ........ 63 | 64 ...... 127 | 128 ..... 191 | ...
    leaf            0       |       1       |       2       |        one uint64 word covers a leaf
    branch    0 (leaves 0 .. 63)                            | 1      one uint64 word covers a branch

A store's *ordinal* is its place in that order, a store's *code* the order in which it was added.
Leaves are filled to FILL of their 64 slots, so that a new store usually finds a spare slot in the
nearest leaf; when there is none, all stores are sorted anew.

What the search reads first is small and rounded to float32: a leaf's stores as sketches of their
unit vectors, and a bounding box for each leaf and each branch. The coordinates of 64 neighbours
stand together, so that the distance to all 64 is one vectorised loop:

    sketches[leaf]   x[64] y[64] z[64]
    boxes[group]     low_x[64] high_x[64] low_y[64] high_y[64] low_z[64] high_z[64]

Invariant: every store lies in the box of its leaf, every leaf's box in the box of its branch, also
after rounding (boxes are BOX_MARGIN wider than the stores); where there is no leaf, low is +inf and
high is -inf, and the distance to it is +inf.

Only stores whose bit in `open` is set are searched. A removed store keeps its code and its slot,
closed for good; its id may be given to a new store.

A Layout never changes once it is made: a change makes a new one beside it, and `adopt` swaps.
"""
cimport cython
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, uint64_t, uintptr_t
from libc.string cimport memchr, strlen

from fendan.engine.geo cimport Place, Sketch, set_place

import numpy as np

# Eight spare slots: room for growth, and 12 % more bitmap words.
FILL = 56

# More than the rounding of a store's and an order's coordinates to float32, 3e-8 each.
BOX_MARGIN = 2.4e-7


ID_HINT = f"must be a str of 1 to {MAX_ID_BYTES} bytes of UTF-8 without NUL or U+001F"


cpdef bint is_usable_id(object name) except -1:
    """Whether a store, SKU or order can be called so: it must survive C strings and files."""
    cdef Py_ssize_t size
    cdef const char* text
    if not isinstance(name, str):
        return False
    try:
        text = PyUnicode_AsUTF8AndSize(name, &size)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    # U+001F stands where the engine makes names of its own, such as those of shipments.
    return (0 < size <= MAX_ID_BYTES and <Py_ssize_t>strlen(text) == size
            and memchr(text, 0x1f, size) == NULL)


def _boxes(count):
    """Empty boxes for `count` leaves or branches, in groups of 64."""
    boxes = np.empty((max(1, -(-count // 64)), 6, 64), dtype=np.float32)
    boxes[:, 0::2] = np.inf
    boxes[:, 1::2] = -np.inf
    return boxes


def _kd_leaves(sketches, leaf_count):
    """Split rows of `sketches` into `leaf_count` lists of neighbours, in KD order.

    Cuts the longest side each time. Above 64 leaves the cut falls on a multiple of 64 leaves, so
    that a branch is a subtree and its box stays small. The sort is stable: same in, same out.
    """
    leaves = []
    waiting = [(np.arange(len(sketches)), leaf_count)]
    while waiting:
        members, share = waiting.pop()
        if share == 1:
            leaves.append(members)
            continue
        left_share = share // 2
        if share > LEAVES_PER_BRANCH:
            left_share = LEAVES_PER_BRANCH * (-(-share // LEAVES_PER_BRANCH) // 2)
        here = sketches[members]
        axis = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
        members = members[np.argsort(here[:, axis], kind="stable")]
        cut = len(members) * left_share // share
        waiting.append((members[cut:], share - left_share))
        waiting.append((members[:cut], left_share))
    return leaves


@cython.final
cdef class Layout:
    """Where each store stands in KD order, and which take orders. Never changed once it is made."""

    def __cinit__(self):
        self._arrays = {}

    def _hold(self, arrays, list id_bytes):
        """Take ownership of the arrays and ids, and point into them."""
        cdef Leaves* leaves = &self.leaves
        cdef double[:, ::1] places = arrays["places"]
        cdef float[:, :, ::1] sketches = arrays["sketches"]
        cdef float[:, :, ::1] leaf_boxes = arrays["leaf_boxes"]
        cdef float[:, :, ::1] branch_boxes = arrays["branch_boxes"]
        cdef int32_t[::1] store_at = arrays["store_at"]
        cdef int32_t[::1] ordinal_of = arrays["ordinal_of"]
        arrays["open"] = _words(arrays, ~arrays["closed"])
        cdef uint64_t[::1] is_open = arrays["open"]
        cdef uintptr_t[::1] id_text
        cdef Py_ssize_t i
        arrays["id_text"] = np.zeros(max(1, len(id_bytes)), dtype=np.uintp)
        id_text = arrays["id_text"]
        for i in range(len(id_bytes)):
            id_text[i] = <uintptr_t><const char*>id_bytes[i]
        self._arrays = arrays
        self._id_bytes = id_bytes
        leaves.store_count = <int32_t>ordinal_of.shape[0]
        leaves.leaf_count = <int32_t>is_open.shape[0]
        leaves.branch_count = (leaves.leaf_count + LEAVES_PER_BRANCH - 1) // LEAVES_PER_BRANCH
        leaves.leaf_boxes = &leaf_boxes[0, 0, 0]
        leaves.branch_boxes = &branch_boxes[0, 0, 0]
        leaves.id_text = <const char**>&id_text[0]
        if leaves.leaf_count:
            leaves.sketches = &sketches[0, 0, 0]
            leaves.places = <Place*>&places[0, 0]
            leaves.store_at = &store_at[0]
            leaves.ordinal_of = &ordinal_of[0]
            leaves.open = &is_open[0]
        return self

    @staticmethod
    def restored(arrays, list id_bytes):
        """A layout from what `arrays` of another gave, which becomes its own. Checks nothing."""
        return Layout()._hold(arrays, id_bytes)

    @staticmethod
    def build(places, sketches, closed, list id_bytes):
        """Sort all stores anew: rows as in `points_of`, and whether they are closed, by code."""
        count = len(places)
        leaf_count = -(-count // FILL)
        slots = leaf_count * STORES_PER_LEAF
        arrays = {
            "places": np.zeros((slots, 3)),
            "sketches": np.zeros((leaf_count, 3, STORES_PER_LEAF), dtype=np.float32),
            "store_at": np.full(slots, NO_STORE, dtype=np.int32),
            "ordinal_of": np.empty(count, dtype=np.int32),
            "closed": closed,
            "leaf_boxes": _boxes(leaf_count),
            "branch_boxes": _boxes(-(-leaf_count // LEAVES_PER_BRANCH)),
        }
        if count:
            for number, members in enumerate(_kd_leaves(sketches, leaf_count)):
                first = number * STORES_PER_LEAF
                arrays["ordinal_of"][members] = np.arange(first, first + len(members))
            _enter(arrays, places, sketches, np.arange(count))
        return Layout()._hold(arrays, id_bytes)

    def grown(self, places, sketches, ids):
        """This layout with more stores, as a new layout: in spare slots, or else sorted anew."""
        cdef int32_t store_count = self.leaves.store_count
        id_bytes = self._id_bytes + [name.encode() for name in ids]
        closed = np.append(self._arrays["closed"], np.zeros(len(ids), dtype=bool))
        # More newcomers than a tenth of the chain would bloat the boxes: better sort anew.
        fits = len(places) <= max(1, store_count // 10)
        taken = self._arrays["store_at"].reshape(-1, STORES_PER_LEAF) != NO_STORE
        ordinals = []
        for sketch in sketches if fits and store_count else ():
            leaf = self._nearest_leaf(sketch)
            slot = int(np.argmin(taken[leaf]))
            if taken[leaf, slot]:
                break
            taken[leaf, slot] = True
            ordinals.append(leaf * STORES_PER_LEAF + slot)
        if len(ordinals) < len(places):
            old_places, old_sketches = self._points()
            return Layout.build(
                np.concatenate([old_places, places]),
                np.concatenate([old_sketches, sketches]),
                closed, id_bytes,
            )
        arrays = {name: array.copy() for name, array in self._arrays.items()}
        arrays["closed"] = closed
        arrays["ordinal_of"] = np.append(arrays["ordinal_of"], np.array(ordinals, dtype=np.int32))
        _enter(arrays, places, sketches, np.arange(store_count, store_count + len(places)))
        return Layout()._hold(arrays, id_bytes)

    def moved(self, codes, places, sketches):
        """This layout with stores at other places: in their slots, or else sorted anew.

        A store may move to the very edge of its box: as sketches it is still in it.
        """
        ordinals = self._arrays["ordinal_of"][codes]
        leaf, slot = ordinals // STORES_PER_LEAF, ordinals % STORES_PER_LEAF
        boxes = self._arrays["leaf_boxes"][leaf // 64, :, leaf % 64]
        if ((boxes[:, 0::2] <= sketches) & (sketches <= boxes[:, 1::2])).all():
            # Still in the boxes of their leaves: nothing else has to know.
            arrays = dict(self._arrays)
            arrays["places"], arrays["sketches"] = arrays["places"].copy(), arrays["sketches"].copy()
            arrays["places"][ordinals] = places
            arrays["sketches"][leaf, :, slot] = sketches
            return Layout()._hold(arrays, self._id_bytes)
        all_places, all_sketches = self._points()
        all_places[codes], all_sketches[codes] = places, sketches
        return Layout.build(all_places, all_sketches, self._arrays["closed"], self._id_bytes)

    def with_closed(self, codes, bint closed):
        """This layout with stores that take orders no more, or again."""
        arrays = dict(self._arrays)
        arrays["closed"] = arrays["closed"].copy()
        arrays["closed"][codes] = closed
        return Layout()._hold(arrays, self._id_bytes)

    def keeps_order_of(self, Layout other):
        """Whether every store of `other` has the same ordinal here."""
        count = other.leaves.store_count
        return self.leaves.leaf_count == other.leaves.leaf_count and np.array_equal(
            self._arrays["ordinal_of"][:count], other._arrays["ordinal_of"]
        )

    def _points(self):
        """Rows as in `points_of`, by store code."""
        by_code = self._arrays["ordinal_of"]
        leaf, slot = by_code // STORES_PER_LEAF, by_code % STORES_PER_LEAF
        return self._arrays["places"][by_code], self._arrays["sketches"][leaf, :, slot]

    def place(self, int32_t store):
        """Latitude and longitude of a store."""
        cdef const Place* place = self.leaves.places + self.leaves.ordinal_of[store]
        return place.lat, place.lng

    @property
    def arrays(self):
        """What the layout is made of, by name, without what follows from it. For reading only."""
        derived = ("open", "id_text")
        return {name: array for name, array in self._arrays.items() if name not in derived}

    def words(self, stores):
        """bool[store_count] by code as bits, uint64[leaf_count]."""
        return _words(self._arrays, stores)

    @property
    def closed(self):
        """bool[store_count]: which stores take no orders. For reading only."""
        return self._arrays["closed"]

    def _nearest_leaf(self, sketch):
        """Which leaf's box is nearest."""
        low = self._arrays["leaf_boxes"][:, 0::2]
        high = self._arrays["leaf_boxes"][:, 1::2]
        at = sketch.reshape(3, 1)
        outside = np.maximum(0.0, np.maximum(low - at, at - high))
        return int(np.argmin((outside * outside).sum(axis=1)))

    @property
    def byte_count(self):
        """Memory held, in bytes."""
        return sum(array.nbytes for array in self._arrays.values())


def _words(arrays, stores):
    """One word a leaf: the stores of which `stores`, by code, says so."""
    slots = np.zeros(len(arrays["store_at"]), dtype=np.uint8)
    slots[arrays["ordinal_of"]] = stores
    return np.packbits(slots, bitorder="little").view(np.uint64)


def _enter(arrays, places, sketches, codes):
    """Put the stores `codes` at the ordinals they were given, and widen the boxes around them."""
    ordinals = arrays["ordinal_of"][codes]
    leaves = ordinals // STORES_PER_LEAF
    arrays["places"][ordinals] = places
    arrays["sketches"][leaves, :, ordinals % STORES_PER_LEAF] = sketches
    arrays["store_at"][ordinals] = codes
    for name, boxes_of in (("leaf_boxes", leaves), ("branch_boxes", leaves // LEAVES_PER_BRANCH)):
        for axis in range(3):
            low = (boxes_of // 64, 2 * axis, boxes_of % 64)
            high = (boxes_of // 64, 2 * axis + 1, boxes_of % 64)
            np.minimum.at(arrays[name], low, sketches[:, axis] - np.float32(BOX_MARGIN))
            np.maximum.at(arrays[name], high, sketches[:, axis] + np.float32(BOX_MARGIN))


def points_of(const double[::1] lat, const double[::1] lng):
    """Degrees as rows of geo.Place, float64[n, 3], and rows of geo.Sketch, float32[n, 3]."""
    cdef Py_ssize_t i
    places = np.empty((lat.shape[0], 3))
    sketches = np.empty((lat.shape[0], 3), dtype=np.float32)
    cdef double[:, ::1] place_rows = places
    cdef float[:, ::1] sketch_rows = sketches
    for i in range(lat.shape[0]):
        set_place(<Place*>&place_rows[i, 0], <Sketch*>&sketch_rows[i, 0], lat[i], lng[i])
    return places, sketches


@cython.final
cdef class Network:
    """The stores by id and code, and their layout."""

    def __init__(self):
        self.store_ids = []
        self.regions = []
        self.removed = np.empty(0, dtype=np.int32)
        self._code_of = {}
        self.layout = Layout.build(
            np.empty((0, 3)), np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=bool), []
        )

    cdef int adopt(self, Layout layout, list ids, list regions) except -1:
        """Swap in a layout that has one more store for each of `ids`."""
        first = len(self.store_ids)
        codes = {name: first + i for i, name in enumerate(ids)}
        store_ids, all_regions = self.store_ids + ids, self.regions + regions
        self._code_of.update(codes)
        self.store_ids, self.regions = store_ids, all_regions
        self.layout = layout
        return 0

    def set_regions(self, codes, regions):
        """Stores are in other regions."""
        all_regions = list(self.regions)
        for code, region in zip(codes, regions):
            all_regions[code] = region
        self.regions = all_regions

    def forget(self, codes):
        """The ids of removed stores may be given to others."""
        for code in codes:
            del self._code_of[self.store_ids[code]]
        self.removed = np.append(self.removed, np.array(codes, dtype=np.int32))

    @property
    def code_of(self):
        """Store id -> code, without stores that were removed. For reading only."""
        return self._code_of
