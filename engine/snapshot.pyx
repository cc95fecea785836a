"""All that the core knows, as arrays: what a snapshot is made of.

    stores   the layout's arrays; ids and regions by code; which codes were removed
    stock    SKUs by code; for each, how many stores list it; all shelves, one after the other; what
             stores hold back, and thresholds (see limits; bits between them are on the shelves); lots
    orders   by age of their pages: how many, then all records, blocks and rejections

Same in, same out: two engines that lived through the same commands give the same bytes. So what
differs from run to run is left out (hashes, the numbers of pages, how much room there is), and so
is what follows from the rest (slots, which stores are open, how many orders of a page hold stock).

Each shelf's words are followed by its quantities, see `shelves.write_words`; `recovery` is the way back.
"""
from libc.math cimport NAN
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from fendan.engine.network cimport Network
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport Page, Record, Rejection, Table
from fendan.engine.router cimport Verdict
from fendan.engine.shelves cimport Quantity, Shelf, Shelves, write_words, written_words
from fendan.engine.stock cimport Stock

from typing import Any, Iterable, NamedTuple

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.merges import MERGE_DTYPE
from fendan.engine.limits import held_rows, threshold_rows
from fendan.engine.lots import COLUMNS as _LOT_COLUMNS
from fendan.errors import refuse

cdef enum:
    CHUNK_WORDS = 1 << 19       # 4 MB: few calls, and little memory beside the engine's own

cdef Record[1] _record
cdef Rejection[1] _rejection

# What is stored under each name: the type, and the shape but for its length.
KINDS = {
    "places": (np.dtype(np.float64), (3,)),
    "sketches": (np.dtype(np.float32), (3, 64)),
    "leaf_boxes": (np.dtype(np.float32), (6, 64)),
    "branch_boxes": (np.dtype(np.float32), (6, 64)),
    "store_at": (np.dtype(np.int32), ()),
    "ordinal_of": (np.dtype(np.int32), ()),
    "closed": (np.dtype(np.bool_), ()),
    "removed": (np.dtype(np.int32), ()),
    "store_id_sizes": (np.dtype(np.uint8), ()),
    "store_id_text": (np.dtype(np.uint8), ()),
    "region_sizes": (np.dtype(np.uint8), ()),
    "region_text": (np.dtype(np.uint8), ()),
    "sku_sizes": (np.dtype(np.uint8), ()),
    "sku_text": (np.dtype(np.uint8), ()),
    "listed_counts": (np.dtype(np.int32), ()),
    "shelves": (np.dtype(np.uint64), ()),
    "held": (np.dtype(np.int32), (5,)),
    "thresholds": (np.dtype(np.int32), (3,)),
    **{name: (np.dtype(np.int32), ()) for name in _LOT_COLUMNS},
    "page_counts": (np.dtype(np.int32), ()),
    "block_sizes": (np.dtype(np.int64), ()),
    "rejection_counts": (np.dtype(np.int32), ()),
    "records": (np.asarray(<Record[:1]>_record).dtype, ()),
    "blocks": (np.dtype(np.uint8), ()),
    "rejections": (np.asarray(<Rejection[:1]>_rejection).dtype, ()),
    "merges": (MERGE_DTYPE, ()),
}

LAYOUT = (
    "places", "sketches", "leaf_boxes", "branch_boxes", "store_at", "ordinal_of", "closed"
)
PAGED = ("records", "blocks", "rejections")     # all pages', one after the other
PER_PAGE = ("page_counts", "block_sizes", "rejection_counts")   # and how many of each a page has


class Section(NamedTuple):
    """One array of a snapshot, in parts that are made as they are asked for."""

    name: str
    dtype: Any
    shape: tuple
    parts: Iterable


def whole(name, array):
    """An array as a section of one part."""
    array = np.ascontiguousarray(array)
    return Section(name, array.dtype, array.shape, (_bytes_of(array),))


def _bytes_of(array):
    return memoryview(array.reshape(-1).view(np.uint8))


def corrupt(name, value=None, *, hint=""):
    """Refuse a snapshot for what stands in one of its sections: CorruptJournalError."""
    refuse(Fault.CORRUPT, f"snapshot.{name}", value, hint=hint)



def sections(Orders orders):
    """The core's state, one array after the other; the engine must not change meanwhile."""
    cdef Stock stock = orders.stock
    cdef Network network = stock.network
    arrays = network.layout.arrays
    return [
        *(whole(name, arrays[name]) for name in LAYOUT),
        whole("removed", network.removed),
        *_texts("store_id", network.store_ids),
        *_texts("region", network.regions),
        *_texts("sku", stock.skus),
        *_stock_sections(stock),
        *_order_sections(orders),
        whole("merges", orders.merges.rows()),
    ]


def _texts(name, texts):
    """Two sections: how many bytes each text has, and all of them joined."""
    sizes = np.fromiter((len(text.encode()) for text in texts), dtype=np.uint8, count=len(texts))
    joined = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    return whole(f"{name}_sizes", sizes), whole(f"{name}_text", joined)


cdef list _stock_sections(Stock stock):
    cdef int32_t[::1] counts = np.empty(stock.shelves.sku_count, dtype=np.int32)
    cdef int64_t total = 0
    cdef int32_t sku
    for sku in range(stock.shelves.sku_count):
        counts[sku] = stock.shelves.shelf[sku].listed_count
        total += shelf_words(&stock.shelves, sku)
    return [
        whole("listed_counts", np.asarray(counts)),
        Section("shelves", KINDS["shelves"][0], (total,), _shelves(stock)),
        whole("held", held_rows(stock)),
        whole("thresholds", threshold_rows(stock)),
        *(whole(name, array) for name, array in stock.lots.arrays().items()),
    ]


cdef inline int64_t shelf_words(const Shelves* shelves, int32_t sku) noexcept nogil:
    """The size of a shelf with its quantities as they are written, in words."""
    return (written_words(shelves.leaf_count, shelves.branch_count)
            + shelves.shelf[sku].listed_count)


def _shelves(Stock stock):
    """All shelves in order, some at a time."""
    cdef int32_t first, sku = 0
    cdef int64_t size
    while sku < stock.shelves.sku_count:
        first, size = sku, 0
        while sku < stock.shelves.sku_count and size < CHUNK_WORDS:
            size += shelf_words(&stock.shelves, sku)
            sku += 1
        part = np.empty(size, dtype=np.uint64)
        _copy_shelves(&stock.shelves, first, sku, part)
        yield _bytes_of(part)


cdef int _copy_shelves(const Shelves* shelves, int32_t sku, int32_t end, uint64_t[::1] part) except -1:
    cdef int64_t at = 0
    cdef const Shelf* shelf
    with nogil:
        while sku < end:
            shelf = shelves.shelf + sku
            write_words(shelves, sku, &part[at])
            at += written_words(shelves.leaf_count, shelves.branch_count)
            memcpy(&part[at], shelf.quantities, shelf.listed_count * sizeof(Quantity))
            at += shelf.listed_count
            sku += 1
    return 0


cdef list _order_sections(Orders orders):
    cdef const Table* table = &orders.records.table
    cdef list pages = [
        table.by_age[age] for age in range(table.aged_count)
        if table.pages[table.by_age[age]].count
    ]
    cdef const Page* page
    cdef int64_t[:, ::1] rows = np.empty((3, len(pages)), dtype=np.int64)
    cdef Py_ssize_t row
    for row in range(len(pages)):
        page = table.pages + <int32_t>pages[row]
        rows[0, row], rows[1, row], rows[2, row] = page.count, page.used, page.rejection_count
    counts, sizes, rejections = np.asarray(rows)
    return [
        whole("page_counts", counts.astype(np.int32)),
        whole("block_sizes", sizes),
        whole("rejection_counts", rejections.astype(np.int32)),
        *(
            Section(name, KINDS[name][0], (int(lengths.sum()),), _of_pages(orders, pages, name))
            for name, lengths in zip(PAGED, (counts, sizes, rejections))
        ),
    ]


def _of_pages(Orders orders, list pages, str name):
    """One part a page."""
    for number in pages:
        yield _of_page(orders, number, name)


cdef object _of_page(Orders orders, int32_t number, str name):
    """A page's records, blocks or rejections, as bytes."""
    cdef const Page* page = orders.records.table.pages + number
    cdef const char* source = <const char*>page.records
    cdef int64_t size = page.count * <int64_t>sizeof(Record)
    if name == "blocks":
        source, size = page.blocks, page.used
    elif name == "rejections":
        source, size = <const char*>page.rejections, page.rejection_count * sizeof(Rejection)
    part = np.empty(size, dtype=np.uint8)
    cdef uint8_t[::1] target = part
    if size:
        memcpy(&target[0], source, size)
        if name == "records":
            tidy(<Record*>&target[0], page.count)
    return _bytes_of(part)


cdef void tidy(Record* records, int64_t count) noexcept nogil:
    """Leave out what differs from run to run."""
    cdef int64_t row
    for row in range(count):
        records[row].hash = 0
        tidy_verdict(&records[row].verdict)
        tidy_verdict(&records[row].current)


cdef void tidy_verdict(Verdict* verdict) noexcept nogil:
    """The same with nothing between its fields, and the one NaN that there is."""
    cdef Verdict bare
    memset(&bare, 0, sizeof(Verdict))
    bare.distance_m = verdict.distance_m if verdict.distance_m == verdict.distance_m else NAN
    bare.store, bare.status, bare.reason = verdict.store, verdict.status, verdict.reason
    bare.step, bare.shipments = verdict.step, verdict.shipments
    memcpy(verdict, &bare, sizeof(Verdict))
