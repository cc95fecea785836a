"""The core as it was, from the arrays of a snapshot; see `snapshot`.

All shelves stand side by side in one slab. Ids are hashed anew, and what follows from the rest is
found again.

First everything is checked that could make the core read out of bounds or contradict itself: codes,
places within arrays, ranks and bits on the shelves. Integrity of the bytes is the log's affair.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy

from fendan.engine.merges cimport Merges
from fendan.engine.names cimport Span, enter, hash_of
from fendan.engine.network cimport NO_STORE, STORES_PER_LEAF, Layout, Leaves, Network
from fendan.engine.orders cimport Orders
from fendan.engine.records cimport (
    ALL_FLAGS, FLAG_GRANTED, FLAG_SHIPMENT, FLAG_SPLIT, NO_PAGE, NO_RECORD, PAGE_ORDERS,
    STATE_ASSIGNED, STATE_RETURNED, Page, Record, Rejection, Table, basket_at, find_shipment,
    fresh_page, has_slots, holds, id_at, is_open, lines_bytes, order_of, page_of, pin, record_at,
    state_of_shipments,
)
from fendan.engine.router cimport STATUS_ASSIGNED, STATUS_UNASSIGNED, Verdict
from fendan.engine.shelves cimport (
    MAX_QUANTITY, Basket, Quantity, Shelves, available, base, block_words, listed, popcount,
    quantity, read_words, stays_on, summary, written_words,
)
from fendan.engine.shipments cimport MAX_SHIPMENTS, Grant
from fendan.engine.stock cimport MAX_SKUS, Stock

import numpy as np

from fendan.engine.limits import restore as _restore_limits
from fendan.engine.perishables import first_unlike as _first_unlike, restore as _restore_lots
from fendan.engine.router import Reason
from fendan.engine.snapshot import (
    LAYOUT as _LAYOUT, PAGED as _PAGED, PER_PAGE as _PER_PAGE, corrupt,
)

cdef enum:
    NONE_BAD = -1

cdef uint8_t _LAST_REASON = max(Reason)


def restored(arrays, int64_t remembered):
    """The orders of a core in the state that `arrays` tell of, over a stock and network of theirs.

    `arrays`: for each of KINDS an array of that kind; they are copied. Refuses what cannot be.
    """
    cdef Stock stock = _stock(_network(arrays), arrays)
    cdef Orders orders = Orders(stock, remembered)
    _enter_orders(orders, arrays)
    orders.merges = _merges(arrays["merges"], len(stock.network.store_ids))
    return orders


def _merges(rows, store_count):
    """The merge groups, by their keys."""
    bad = (rows["key"] == 0) | (rows["group"] <= 0)
    bad |= (rows["store"] < NO_STORE) | (rows["store"] >= store_count)
    bad[1:] |= rows["key"][1:] <= rows["key"][:len(rows) - 1] if len(rows) else False
    if bad.any():
        corrupt("merges", int(np.argmax(bad)), hint="a merge group that cannot be")
    return Merges.restored(rows.copy())


# -- STORES ------------------------------------------------------------------------------------

def _network(arrays):
    cdef Network network = Network()
    ids, regions = _read_texts(arrays, "store_id"), _read_texts(arrays, "region")
    layout_arrays = {name: arrays[name].copy() for name in _LAYOUT}
    _check_layout(layout_arrays, len(ids))
    if len(regions) != len(ids):
        corrupt("region_sizes", len(regions), hint="not one for each store")
    removed = arrays["removed"].copy()
    gone = set(removed.tolist())
    if len(gone) < len(removed) or not gone <= set(range(len(ids))):
        corrupt("removed", hint="no such store, or one twice")
    if not layout_arrays["closed"][removed].all():
        corrupt("removed", hint="a removed store takes orders")
    network._code_of = {name: code for code, name in enumerate(ids) if code not in gone}
    if len(network._code_of) + len(gone) != len(ids):
        corrupt("store_id_text", hint="an id stands twice")
    network.layout = Layout.restored(layout_arrays, [name.encode() for name in ids])
    network.store_ids, network.regions, network.removed = ids, regions, removed
    return network


def _read_texts(arrays, name):
    sizes, text = arrays[f"{name}_sizes"], arrays[f"{name}_text"].tobytes()
    ends = np.cumsum(sizes, dtype=np.int64).tolist()
    if len(text) != int(sizes.sum(dtype=np.int64)) or b"\0" in text:
        corrupt(f"{name}_text", len(text), hint="its size is not that of its texts, or it has NUL")
    if name != "region" and not sizes.all():
        corrupt(f"{name}_sizes", 0, hint="a name is empty")
    try:
        return [text[start:end].decode() for start, end in zip([0, *ends], ends)]
    except UnicodeDecodeError as error:
        corrupt(f"{name}_text", hint=str(error))


def _check_layout(arrays, count):
    """Refuse a layout that is not what `network` draws."""
    leaf_count = len(arrays["sketches"])
    slots, branch_count = leaf_count * STORES_PER_LEAF, -(-leaf_count // 64)
    ordinal_of, store_at = arrays["ordinal_of"], arrays["store_at"]
    for name, length in (
        ("places", slots), ("store_at", slots), ("ordinal_of", count), ("closed", count),
        ("leaf_boxes", max(1, branch_count)), ("branch_boxes", max(1, -(-branch_count // 64))),
    ):
        if len(arrays[name]) != length:
            corrupt(name, len(arrays[name]), hint=f"must have {length} rows")
    if not ((ordinal_of >= 0) & (ordinal_of < slots)).all():
        corrupt("ordinal_of", hint="beyond the leaves")
    if (not np.array_equal(store_at[ordinal_of], np.arange(count))
            or np.count_nonzero(store_at != NO_STORE) != count):
        corrupt("store_at", hint="not the stores that stand there")
    if (arrays["closed"].view(np.uint8) > 1).any():
        corrupt("closed", hint="neither true nor false")
    for name in ("places", "sketches"):
        if not np.isfinite(arrays[name]).all():
            corrupt(name, hint="not on earth")
    for name, used in (("leaf_boxes", leaf_count), ("branch_boxes", branch_count)):
        boxes = arrays[name].transpose(0, 2, 1).reshape(-1, 6)
        low, high = boxes[:, 0::2], boxes[:, 1::2]
        empty = (low == np.inf) & (high == -np.inf)
        if not (np.isfinite(boxes[:used]).all() and (low <= high)[:used].all()
                and empty[used:].all()):
            corrupt(name, hint="a box that holds nothing, or one where there is no leaf")


# -- STOCK -------------------------------------------------------------------------------------

def _stock(Network network, arrays):
    cdef Stock stock = Stock(network)
    cdef Shelves* shelves = &stock.shelves
    cdef int64_t words = written_words(shelves.leaf_count, shelves.branch_count)
    skus = _read_texts(arrays, "sku")
    counts = arrays["listed_counts"].copy()
    if not len(counts) == len(skus) <= MAX_SKUS or (counts < 0).any():
        corrupt("listed_counts", len(counts), hint="not one for each SKU")
    if len(arrays["shelves"]) != int(counts.sum(dtype=np.int64)) + words * len(skus):
        corrupt("shelves", len(arrays["shelves"]), hint="its size is not that of its shelves")
    if not skus:
        if len(arrays["held"]) or len(arrays["thresholds"]) or len(arrays["lot_skus"]):
            corrupt("held", hint="there are no SKUs")
        return stock
    stock.sku_code_of.extend(skus)
    stock._reserve(<int32_t>len(skus))
    _stand(stock, arrays["shelves"].reshape(-1).view(np.uint8), counts)
    bad = _restore_limits(stock, arrays["held"].copy(), arrays["thresholds"].copy())
    if bad is not None:
        corrupt("held" if bad >= 0 else "thresholds", bad if bad >= 0 else -1 - bad,
                hint="a row of what cannot be")
    bad = _restore_lots(stock, arrays)
    if bad is not None:
        corrupt("lot_skus", bad, hint="a row of what cannot be")
    standing = np.bitwise_or.reduce(
        np.where(
            network.layout.arrays["store_at"].reshape(-1, STORES_PER_LEAF) != NO_STORE,
            np.left_shift(np.uint64(1), np.arange(STORES_PER_LEAF, dtype=np.uint64)),
            np.uint64(0),
        ),
        axis=1,
    )
    bad = _first_bad_shelf(stock, standing)
    if bad != NONE_BAD:
        corrupt("shelves", skus[bad], hint="its counts and its bitmaps do not agree")
    bad = _first_unlike(stock)
    if bad is not None:
        corrupt("lot_skus", skus[bad[1]], hint="its lots do not add up to its counts")
    stock.skus = skus
    return stock


def _stand(Stock stock, const uint8_t[::1] written, const int32_t[::1] counts):
    """Let the shelves stand in a slab, one after the other."""
    cdef Shelves* shelves = &stock.shelves
    cdef int64_t words = written_words(shelves.leaf_count, shelves.branch_count)
    cdef uint64_t[::1] aligned = np.empty(max(1, words), dtype=np.uint64)
    cdef const uint8_t* at = &written[0] if written.shape[0] else NULL
    cdef size_t total = 0
    cdef int32_t sku
    for sku in range(counts.shape[0]):
        shelves.shelf[sku].listed_count = counts[sku]
        total += block_words(shelves.leaf_count, shelves.branch_count, counts[sku])
    stock.stand_in_slab(shelves.shelf, counts.shape[0], shelves.leaf_count, shelves.branch_count,
                        total)
    shelves.sku_count = <int32_t>counts.shape[0]
    with nogil:
        for sku in range(shelves.sku_count if at != NULL else 0):
            memcpy(&aligned[0], at, words * sizeof(uint64_t))
            read_words(shelves, sku, &aligned[0])
            at += words * sizeof(uint64_t)
            memcpy(shelves.shelf[sku].quantities, at, counts[sku] * sizeof(Quantity))
            at += counts[sku] * sizeof(Quantity)


def _first_bad_shelf(Stock stock, const uint64_t[::1] standing):
    cdef int32_t sku, bad = NONE_BAD
    cdef const uint64_t* stores = &standing[0] if standing.shape[0] else NULL
    with nogil:
        for sku in range(stock.shelves.sku_count):
            if not is_good_shelf(&stock.shelves, sku, stores):
                bad = sku
                break
    return bad


cdef bint is_good_shelf(const Shelves* shelves, int32_t sku,
                        const uint64_t* standing) noexcept nogil:
    """Whether only stores are listed, and ranks, counts and bits agree; see `stock`."""
    cdef int64_t rank = 0
    cdef uint64_t bits, bit, can_sell, leaves = 0
    cdef bint was_on
    cdef const Quantity* pair
    cdef int32_t leaf
    for leaf in range(shelves.leaf_count):
        bits = listed(shelves, sku, leaf)[0]
        if bits & ~standing[leaf] or base(shelves, sku, leaf)[0] != rank:
            return False
        if rank + popcount(bits) > shelves.shelf[sku].listed_count:
            return False
        can_sell = 0
        while bits:
            bit = bits & (~bits + 1)
            bits ^= bit
            pair = shelves.shelf[sku].quantities + rank
            rank += 1
            if pair.reserved < 0 or not 0 <= <int64_t>pair.net + pair.reserved <= MAX_QUANTITY:
                return False
            was_on = available(shelves, sku, leaf)[0] & bit != 0
            if stays_on(shelves, sku, pair, was_on):
                can_sell |= bit
        if available(shelves, sku, leaf)[0] != can_sell:
            return False
        leaves |= <uint64_t>(can_sell != 0) << (leaf & 63)
        if leaf & 63 == 63 or leaf == shelves.leaf_count - 1:
            if summary(shelves, sku)[leaf >> 6] != leaves:
                return False
            leaves = 0
    return rank == shelves.shelf[sku].listed_count


# -- ORDERS ------------------------------------------------------------------------------------

def _enter_orders(Orders orders, arrays):
    cdef Table* table = &orders.records.table
    cdef const Shelves* shelves = &orders.stock.shelves
    cdef const Leaves* leaves = &orders.stock.network.layout.leaves
    cdef Py_ssize_t row
    cdef int32_t number
    cdef int64_t bad
    cdef int64_t total = len(arrays["records"])
    per_page = [arrays[name].astype(np.int64) for name in _PER_PAGE]
    for name, counts in zip(_PER_PAGE, per_page):
        if len(counts) != len(per_page[0]) or (counts < 0).any():
            corrupt(name, len(counts), hint="not one for each page")
    if (per_page[0] < 1).any() or (per_page[0] > PAGE_ORDERS).any() or (
            per_page[0][:len(per_page[0]) - 1] < PAGE_ORDERS).any():
        corrupt("page_counts", hint="only the youngest page may have room")
    for name, counts in zip(_PAGED, per_page):
        if len(arrays[name]) != sum(counts.tolist()):  # which no int64 can overflow
            corrupt(name, len(arrays[name]), hint="its size is not that of its pages")
    if total and not has_slots(table, total):
        raise MemoryError("no room for more orders")
    starts = [0, 0, 0]
    for row in range(len(per_page[0])):
        ends = [start + int(counts[row]) for start, counts in zip(starts, per_page)]
        records, blocks, rejections = (
            arrays[name][start:end].view(np.uint8)
            for name, start, end in zip(_PAGED, starts, ends)
        )
        number = add_page(table, records, blocks, rejections)
        with nogil:
            bad = enter_page(table, number, shelves, leaves)
        if bad != NONE_BAD:
            corrupt("records", starts[0] + bad, hint="an order that cannot be")
        starts = ends
    if not join_shipments(table):
        corrupt("records", hint="a shipment without its order, or an order without its shipments")


cdef bint join_shipments(Table* table) noexcept nogil:
    """Pin the shipments; whether each has its order, and each order that was split has them all."""
    cdef const Record* record
    cdef int64_t number
    cdef int32_t age, row, shipment
    for age in range(table.aged_count):
        for row in range(table.pages[table.by_age[age]].count):
            number = <int64_t>table.by_age[age] * PAGE_ORDERS + row
            record = record_at(table, number)
            if record.flags & FLAG_SHIPMENT:
                if order_of(table, number) == NO_RECORD:
                    return False
                pin(table, number, order_of(table, number))
            if record.flags & FLAG_SPLIT:
                for shipment in range(1, record.current.shipments + 1):
                    if find_shipment(table, number, shipment) == NO_RECORD:
                        return False
                if state_of_shipments(table, number) != record.state:
                    return False
    return True


cdef int32_t add_page(Table* table, const uint8_t[::1] records, const uint8_t[::1] blocks,
                       const uint8_t[::1] rejections) except -1:
    """The number of a new page with these contents, which are in no slot yet."""
    cdef int32_t number = fresh_page(table)
    cdef Page* page = table.pages + number
    if number == NO_PAGE:
        raise MemoryError("no room for more orders")
    page.blocks = <char*>malloc(blocks.shape[0] or 1)
    page.rejections = <Rejection*>malloc(rejections.shape[0] or 1)
    if page.blocks == NULL or page.rejections == NULL:
        raise MemoryError("no room for more orders")
    memcpy(page.records, &records[0], records.shape[0])
    page.count = <int32_t>(records.shape[0] // sizeof(Record))
    if blocks.shape[0]:
        memcpy(page.blocks, &blocks[0], blocks.shape[0])
    page.used = page.capacity = blocks.shape[0]
    if rejections.shape[0]:
        memcpy(page.rejections, &rejections[0], rejections.shape[0])
    page.rejection_count = <int32_t>(rejections.shape[0] // sizeof(Rejection))
    page.rejection_capacity = page.rejection_count
    return number


cdef int64_t enter_page(Table* table, int32_t number, const Shelves* shelves,
                        const Leaves* leaves) noexcept nogil:
    """Make a page's orders known; the row of the first that cannot be, or NONE_BAD."""
    cdef Page* page = table.pages + number
    cdef Record* record
    cdef int64_t row, first = <int64_t>number * PAGE_ORDERS
    if not are_good_rejections(page, leaves.store_count):
        return 0
    for row in range(page.count):
        if not is_good_record(table, first + row, shelves, leaves):
            return row
        record = page.records + row
        record.hash = hash_of(id_at(table, first + row))
        enter(table.slots, table.mask, <uint64_t>record.hash << 32 | <uint64_t>(first + row + 1))
        page.held_count += is_open(record)
        table.shipment_count += record.flags & FLAG_SHIPMENT != 0
        if holds(record):
            page.due_ns = min(page.due_ns, record.due_ns)
    table.count += page.count
    return NONE_BAD


cdef bint are_good_rejections(const Page* page, int32_t store_count) noexcept nogil:
    cdef int32_t row
    for row in range(page.rejection_count):
        if not 0 <= page.rejections[row].store < store_count:
            return False
        if not 0 <= page.rejections[row].before <= row:  # one that came before
            return False
    return True


cdef bint is_good_record(const Table* table, int64_t number, const Shelves* shelves,
                         const Leaves* leaves) noexcept nogil:
    """Whether all that a record points at is there."""
    cdef const Page* page = page_of(table, number)
    cdef const Record* record = record_at(table, number)
    cdef int64_t end = page.used
    cdef int64_t line
    cdef Basket basket
    cdef Span id
    if record - page.records < page.count - 1:
        end = record[1].block
    if not 0 <= record.block <= end <= page.used or record.block & 7 or record.line_count < 0:
        return False
    if record.flags > ALL_FLAGS or lines_bytes(record) + record.id_size + (
        <int64_t>sizeof(Grant) if record.flags & FLAG_GRANTED else 0
    ) > end - record.block:
        return False
    id = id_at(table, number)
    if id.size == 0 or id.text + id.size > page.blocks + end:
        return False
    if not (is_good_verdict(&record.verdict, leaves) and is_good_verdict(&record.current, leaves)):
        return False
    if not STATE_ASSIGNED <= record.state <= STATE_RETURNED:
        return False
    if holds(record) and record.current.store == NO_STORE:
        return False
    if not 0 <= record.rejection <= page.rejection_count:
        return False
    if not (-90 <= record.lat <= 90 and -180 <= record.lng <= 180):
        return False
    basket = basket_at(table, number)
    for line in range(basket.line_count):
        if not 0 <= basket.skus[line] < shelves.sku_count or basket.quantities[line] < 1:
            return False
        if record.current.store != NO_STORE and not record.flags & FLAG_SPLIT and quantity(
            shelves, basket.skus[line], leaves.ordinal_of[record.current.store]
        ) == NULL:  # once listed, a pair stays listed
            return False
    return True


cdef bint is_good_verdict(const Verdict* verdict, const Leaves* leaves) noexcept nogil:
    if verdict.status != STATUS_ASSIGNED and verdict.status != STATUS_UNASSIGNED:
        return False
    if verdict.store != NO_STORE and not 0 <= verdict.store < leaves.store_count:
        return False
    return verdict.reason <= _LAST_REASON and verdict.shipments <= MAX_SHIPMENTS
