"""A request of the inventory service, read from bytes into columns with no Python object a row.

A chain's point-of-sale systems send millions of rows an hour, and orders wait while they are taken
in. Read as in `request`: one pass counts, the other fills.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from fendan.engine.fields cimport (
    MAX_MESSAGE_BYTES, Field, Reader, check, check_text, next_field, passed, reader_of, within,
)
from fendan.engine.names cimport NO_NAME, Names, Span, find_name
from fendan.engine.network cimport is_usable_id
from fendan.engine.request cimport text_of

from enum import Enum

import numpy as np

from fendan.engine.fault import Fault
from fendan.engine.network import ID_HINT as _ID_HINT
from fendan.errors import refuse


class StockKind(Enum):
    """Which message of the two that number their fields alike; how it calls its parts and rows."""

    SET = ("snapshots", "counts", "on_hand")
    ADJUST = ("adjustments", "changes", "delta")

    def __init__(self, parts, rows, number):
        self.parts = parts
        self.rows = rows
        self.number = number


@cython.final
cdef class StockRequest:
    """A SetStockRequest or an AdjustStockRequest; made by `read`."""

    def __len__(self):
        return self.update.row_count

    @staticmethod
    def read(bytes data not None, kind, int64_t most=MAX_MESSAGE_BYTES):
        """Read a message; raises MalformedMessageError, which names the byte.

        More than `most` parts, or rows in all of them, are refused before room is made for them.
        """
        cdef StockRequest request = StockRequest()
        cdef Update* update = &request.update
        cdef Span whole
        cdef Reader reader
        if len(data) > MAX_MESSAGE_BYTES:
            refuse(Fault.BAD_MESSAGE, "message", len(data), hint=f"at most {MAX_MESSAGE_BYTES}")
        whole.text, whole.size = data, len(data)
        request._data = data
        request.kind = kind
        update.key.text, update.key.size = b"", 0
        reader = reader_of(whole)
        with nogil:
            count_rows(&reader, update)
        check(&reader, <const uint8_t*>whole.text)
        for count in (update.part_count, update.row_count):
            if count > most:
                refuse(Fault.TOO_MANY, kind.parts, count,
                       hint=f"at most {most:,} in one request, and as many {kind.rows} in all")
        request._make_room()
        reader = reader_of(whole)
        with nogil:
            read_update(&reader, update)
        check(&reader, <const uint8_t*>whole.text)
        return request

    cdef int _make_room(self) except -1:
        """Arrays in the size of what was counted."""
        cdef Update* update = &self.update
        cdef int64_t[:, ::1] stores, skus
        cdef int64_t[::1] versions, starts
        cdef int32_t[::1] values
        parts, rows = update.part_count, update.row_count
        self._arrays = {
            "stores": np.empty((max(1, parts), 2), dtype=np.int64),
            "versions": np.zeros(max(1, parts), dtype=np.int64),
            "starts": np.zeros(parts + 1, dtype=np.int64),
            "skus": np.empty((max(1, rows), 2), dtype=np.int64),
            "values": np.empty(max(1, rows), dtype=np.int32),
        }
        stores, skus = self._arrays["stores"], self._arrays["skus"]
        versions, starts = self._arrays["versions"], self._arrays["starts"]
        values = self._arrays["values"]
        update.stores, update.skus = <Span*>&stores[0, 0], <Span*>&skus[0, 0]
        update.versions, update.starts, update.values = &versions[0], &starts[0], &values[0]
        return 0

    # -- QUERIES -------------------------------------------------------------------------------

    @property
    def key(self):
        """The idempotency key, "" where there is none."""
        return text_of(self.update.key)

    @property
    def store_ids(self):
        """The store of each part."""
        return [text_of(self.update.stores[part]) for part in range(self.update.part_count)]

    @property
    def versions(self):
        """int64[parts], 0 where there is none."""
        return self._arrays["versions"][:self.update.part_count]

    @property
    def row_counts(self):
        """int64[parts], how many rows each part has."""
        return np.diff(self._arrays["starts"])

    @property
    def values(self):
        """int32[rows], on_hand or delta."""
        return self._arrays["values"][:self.update.row_count]

    def sku(self, Py_ssize_t row):
        """The SKU of one row."""
        return text_of(self.update.skus[row])

    def path(self, Py_ssize_t row, name):
        """A row's field in the message, and the part that it is in: for errors."""
        part = int(np.searchsorted(self._arrays["starts"], row, side="right")) - 1
        place = row - int(self._arrays["starts"][part])
        return f"{self.kind.parts}[{part}].{self.kind.rows}[{place}].{name}", part

    def sku_codes(self, Names skus):
        """The rows' SKUs as codes, int32[rows], and those SKUs that take the next ones.

        Refuses an unusable SKU, and one that is not known where only a snapshot may bring it.
        """
        cdef const Update* update = &self.update
        cdef int32_t[::1] codes
        cdef int64_t row
        cdef dict fresh = {}
        cdef bint may_be_new = self.kind is StockKind.SET
        cdef bint all_known = True
        array = np.empty(max(1, update.row_count), dtype=np.int32)
        codes = array
        with nogil:
            for row in range(update.row_count):
                codes[row] = find_name(&skus.table, update.skus[row])
                all_known = all_known and codes[row] != NO_NAME
        if not all_known:
            for row in range(update.row_count):
                if codes[row] != NO_NAME:
                    continue
                name = text_of(update.skus[row])
                if not may_be_new or not is_usable_id(name):
                    self._refuse_sku(row, name)
                codes[row] = fresh.setdefault(name, len(skus) + len(fresh))
        return array[:update.row_count], list(fresh)

    def _refuse_sku(self, row, name):
        path, part = self.path(row, "sku")
        if not is_usable_id(name):
            refuse(Fault.BAD_ID, path, name, row=part, hint=_ID_HINT)
        refuse(Fault.UNKNOWN_SKU, path, name, row=part)


# -- READING -----------------------------------------------------------------------------------

cdef void count_rows(Reader* reader, Update* update) noexcept nogil:
    """Count what `read_update` will find; it walks the same way."""
    cdef Field field, inner
    cdef Reader part
    while next_field(reader, &field):
        if field.tag != TAG_PARTS:
            continue
        update.part_count += 1
        part = within(reader, &field)
        while next_field(&part, &inner):
            update.row_count += inner.tag == TAG_ROWS
        if not passed(reader, &part):
            return


cdef void read_update(Reader* reader, Update* update) noexcept nogil:
    cdef Field field
    cdef Reader inner
    cdef int64_t part = 0, row = 0
    while next_field(reader, &field):
        if field.tag == TAG_PARTS:
            inner = within(reader, &field)
            row = read_part(&inner, update, part, row)
            part += 1
            update.starts[part] = row
            if not passed(reader, &inner):
                return
        elif field.tag == TAG_KEY:
            if not check_text(reader, field.span):
                return
            update.key = field.span


cdef int64_t read_part(Reader* reader, Update* update, int64_t part, int64_t row) noexcept nogil:
    """Read one store's part, its rows from `row` on; returns where the next part's begin."""
    cdef Field field
    cdef Reader inner
    update.stores[part].text = b""
    update.stores[part].size = 0
    while next_field(reader, &field):
        if field.tag == TAG_ROWS:
            inner = within(reader, &field)
            read_row(&inner, &update.skus[row], &update.values[row])
            row += 1
            if not passed(reader, &inner):
                break
        elif field.tag == TAG_STORE_ID:
            if not check_text(reader, field.span):
                break
            update.stores[part] = field.span
        elif field.tag == TAG_VERSION:
            update.versions[part] = <int64_t>field.bits
    return row


cdef void read_row(Reader* reader, Span* sku, int32_t* value) noexcept nogil:
    cdef Field field
    sku.text = b""
    sku.size = 0
    value[0] = 0
    while next_field(reader, &field):
        if field.tag == TAG_ROW_SKU:
            if not check_text(reader, field.span):
                return
            sku[0] = field.span
        elif field.tag == TAG_VALUE:
            value[0] = <int32_t>field.bits
