"""Orders as columns. Nothing past this module sees a bad order, or a SKU twice in one.

Both ways in, Python objects and arrays, are refused whole: the first bad value is named, and
nothing has changed. The loops below only copy; where something does not fit, the row is read a
second time, slowly, to say what.
"""
cimport cython
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT32_MAX, int32_t, int64_t
from libc.string cimport memchr

from fendan.engine.asking cimport Asked, Asking, Said
from fendan.engine.names cimport NO_NAME, Names, Span, find_name, span_of
from fendan.engine.network cimport MAX_ID_BYTES, is_usable_id
from fendan.engine.place cimport is_place

from collections.abc import Sequence
from numbers import Integral
from types import SimpleNamespace

import numpy as np

from fendan.engine.asking import ASKED_DTYPE as _ASKED_DTYPE, explain_asked
from fendan.engine.fault import Fault
from fendan.engine.geo import DATUMS as _DATUMS, convert
from fendan.engine.merging import merged
from fendan.engine.network import ID_HINT as _ID_HINT
from fendan.engine.place import ARRAYS as _ARRAYS, check_place, field_of, place_of, row_of
from fendan.errors import refuse

QUANTITY_HINT = f"must be a whole number from 1 to {INT32_MAX}"
MOST_AMOUNT = MAX_AMOUNT
AMOUNT_HINT = f"must be a whole number from 0 to {MOST_AMOUNT:,}"

cdef enum:
    # Up to here comparing every pair of lines is quicker than sorting them.
    FEW_LINES = 16


@cython.final
cdef class Batch:
    """Valid orders in columns; made by `of_orders` and `of_arrays`."""

    def __len__(self):
        return self.columns.count

    @staticmethod
    def of_orders(orders, Names sku_code_of, datum, str style="orders", Asking asking=None):
        """From objects with the attributes of `fendan.Order`, places converted to `datum`.

        What they say beside place and lines is read where there is an `asking`.

        Errors name fields as ``orders[3].lines[0].sku``; in the style "order", as ``order.…``.
        """
        cdef Py_ssize_t count = len(orders), row = 0, line = 0
        cdef int32_t quantity
        cdef int64_t amount
        arrays = {
            "lat": np.empty(count),
            "lng": np.empty(count),
            "offsets": np.zeros(count + 1, dtype=np.int64),
        }
        cdef double[::1] lat = arrays["lat"], lng = arrays["lng"]
        cdef int64_t[::1] offsets = arrays["offsets"]
        cdef int32_t[::1] skus, quantities
        cdef int64_t[::1] amounts = None
        cdef Asked[::1] asked = None
        cdef list ids = []
        cdef Span name
        if asking is not None:
            asked = arrays["asked"] = np.empty(count, dtype=_ASKED_DTYPE)
        try:
            for row in range(count):
                line += len(orders[row].lines)
            arrays["skus"] = np.empty(line, dtype=np.int32)
            arrays["quantities"] = np.empty(line, dtype=np.int32)
            skus, quantities = arrays["skus"], arrays["quantities"]
            line = 0
            for row in range(count):
                order = orders[row]
                if not is_usable_id(order.id):
                    raise ValueError
                ids.append(str(order.id))
                if order.datum is None:
                    lat[row], lng[row] = order.lat, order.lng
                else:
                    lat[row], lng[row] = place_of(order, datum, style, row)
                for item in order.lines:
                    sku = read_line(item, &quantity, &amount)
                    if line >= skus.shape[0]:
                        raise ValueError
                    span_of(sku, &name)  # which points into it
                    skus[line] = find_name(&sku_code_of.table, name)
                    if skus[line] == NO_NAME:
                        raise ValueError
                    quantities[line] = quantity
                    if amount and amounts is None:
                        amounts = arrays["amounts"] = np.zeros(skus.shape[0], dtype=np.int64)
                    if amount:
                        amounts[line] = amount
                    line += 1
                offsets[row + 1] = line
                if asked is not None and asking.read_order(order, &asked[row]):
                    raise ValueError
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
            explain(orders[row], sku_code_of, style, row)
            if asking is not None:
                explain_asked(orders[row], asking, style, row)
            raise
        return Batch()._hold(arrays, ids, len(sku_code_of), style)

    @staticmethod
    def of_arrays(lat, lng, offsets, skus, quantities, list ids, int32_t sku_count, amounts=None,
                  asked=None):
        """From contiguous arrays: float64[n] twice, int64[n + 1], int32[m] twice, int64[m].

        `asked`: as from `Asking.of_columns`, ASKED_DTYPE[any] and which of them each order says.
        """
        count, lines = len(lat), len(skus)
        if len(lng) != count:
            refuse(Fault.RAGGED, "lng", len(lng), hint=f"as long as lat, which has {count}")
        if len(offsets) != count + 1:
            refuse(Fault.RAGGED, "offsets", len(offsets), hint=f"one more than lat's {count}")
        if len(quantities) != lines:
            refuse(Fault.RAGGED, "quantities", len(quantities), hint=f"as long as skus' {lines}")
        if amounts is not None and len(amounts) != lines:
            refuse(Fault.RAGGED, "amounts", len(amounts), hint=f"as long as skus' {lines}")
        if ids is not None and len(ids) != count:
            refuse(Fault.RAGGED, "ids", len(ids), hint=f"as long as lat, which has {count}")
        for row, name in enumerate(ids or ()):
            if not is_usable_id(name):
                refuse(Fault.BAD_ID, "ids", name, row=row, hint=_ID_HINT)
        arrays = dict(lat=lat, lng=lng, offsets=offsets, skus=skus, quantities=quantities)
        if amounts is not None and amounts.any():
            arrays["amounts"] = amounts
        if asked is not None:
            arrays["asked"], arrays["asked_rows"] = asked
        return Batch()._hold(arrays, ids, sku_count, _ARRAYS)

    @staticmethod
    def of_message(message, dict arrays, Names sku_code_of, datum, str style="orders",
                   Asking asking=None):
        """From a `request.Request` and its `columns_of`, places converted to `datum`.

        Errors are those of `of_orders`; the first bad order is the one that is named.
        """
        cdef Batch batch = Batch()
        cdef int64_t bad, bad_said = -1
        cdef bint repeats = False
        batch._style, batch._owner = style, message
        if asking is not None:
            bad_said = _read_asked(asking, arrays)
        batch._point(arrays)
        with nogil:
            bad = first_unsound(&batch.columns, sku_code_of.table.count, &repeats)
        if message.datums is not None:
            strangers = np.flatnonzero((message.datums < 0) | (message.datums >= len(_DATUMS)))
            if len(strangers) and not 0 <= bad < strangers[0]:
                bad = strangers[0]
            if bad < 0:
                batch._point(_converted(arrays, message.datums, datum))
                bad = first_unsound(&batch.columns, sku_code_of.table.count, &repeats)
        if bad >= 0 and not 0 <= bad_said < bad:
            _refuse_order(message, bad, sku_code_of, datum, style)
        if bad_said >= 0:
            explain_asked(message.said(bad_said), asking, style, bad_said)
        if repeats:
            batch._point(merged(batch._arrays, style))
        return batch

    def subset(self, rows):
        """The orders at these rows, in this order, as a batch of their own."""
        offsets = self._arrays["offsets"]
        counts = offsets[rows + 1] - offsets[rows]
        ends = np.cumsum(counts, dtype=np.int64)
        lines = np.repeat(offsets[rows] - ends + counts, counts) + np.arange(counts.sum())
        arrays = {
            "lat": self._arrays["lat"][rows],
            "lng": self._arrays["lng"][rows],
            "offsets": np.append(np.zeros(1, dtype=np.int64), ends),
            "skus": self._arrays["skus"][lines],
            "quantities": self._arrays["quantities"][lines],
        }
        cdef Batch batch = Batch()
        if self.columns.amounts != NULL:
            arrays["amounts"] = self._arrays["amounts"][lines]
        if self.columns.ids != NULL:
            arrays["ids"] = self._arrays["ids"][rows]
        if self.columns.asked != NULL:
            arrays["asked"] = self.asked[rows]
        batch._style, batch._owner = self._style, self
        batch._point(arrays)
        return batch

    @property
    def asked(self):
        """ASKED_DTYPE[n], what the orders say beside place and lines; None: nobody asked."""
        rows = self._arrays.get("asked_rows", slice(len(self)))
        return self._arrays["asked"][rows] if "asked" in self._arrays else None

    def with_lines(self, lines):
        """The same orders with other lines, in the columns of `lines`, each SKU once in an order."""
        cdef Batch batch = Batch()
        batch._style, batch._owner, batch.ids = self._style, self, self.ids
        batch._point({**self._arrays, **lines})
        return batch

    def without_ids(self):
        """The same orders, known to nobody."""
        cdef Batch batch = Batch()
        batch._style, batch._owner, batch.ids = self._style, self, None
        batch._point({name: array for name, array in self._arrays.items() if name != "ids"})
        return batch

    @property
    def style(self):
        """How errors name a value: see `place.field_of`."""
        return self._style

    @property
    def lines_as_arrays(self):
        """The columns of the lines: offsets, SKUs, quantities and, where there are any, amounts."""
        names = ("offsets", "skus", "quantities", "amounts")
        return {name: self._arrays[name] for name in names if name in self._arrays}

    def name_of(self, row):
        """How errors name the id of an order: its field and its row."""
        return field_of("ids", "id", self._style, row), row_of(self._style, row)

    def id_of(self, Py_ssize_t row):
        """The id of one order."""
        cdef const Span* id = self.columns.ids + row
        return id.text[:id.size].decode()

    def place(self, Py_ssize_t row):
        """Latitude and longitude of one order."""
        return self.columns.lat[row], self.columns.lng[row]

    def lines(self, Py_ssize_t row):
        """The lines of one order as pairs of SKU code and quantity."""
        cdef Columns* columns = &self.columns
        return [
            (columns.skus[line], columns.quantities[line])
            for line in range(columns.offsets[row], columns.offsets[row + 1])
        ]

    def _hold(self, arrays, ids, int32_t sku_count, style):
        """Check the columns, merge lines of one SKU, and point into what results."""
        cdef int64_t line_count = len(arrays["skus"])
        cdef bint is_sound, repeats = False
        self._style = style
        if ids is not None:
            self.ids = ids
            arrays["ids"] = _spans_of(ids)
        self._point(arrays)
        with nogil:
            is_sound = sound(&self.columns, line_count, sku_count, &repeats)
        if not is_sound:
            _refuse_columns(arrays, sku_count, style)
        if repeats:
            self._point(merged(arrays, style))
        return self

    def _point(self, arrays):
        cdef const double[::1] lat = arrays["lat"], lng = arrays["lng"]
        cdef const int64_t[::1] offsets = arrays["offsets"]
        cdef const int32_t[::1] skus = arrays["skus"], quantities = arrays["quantities"]
        cdef const int64_t[::1] amounts
        cdef const int64_t[:, ::1] ids
        cdef const Asked[::1] asked
        cdef const int32_t[::1] asked_rows
        self._arrays = arrays
        self.columns.count = lat.shape[0]
        self.columns.offsets = &offsets[0]
        if lat.shape[0]:
            self.columns.lat, self.columns.lng = &lat[0], &lng[0]
        if skus.shape[0]:
            self.columns.skus, self.columns.quantities = &skus[0], &quantities[0]
        if "amounts" in arrays:
            amounts = arrays["amounts"]
            self.columns.amounts = &amounts[0]
        if "ids" in arrays:
            ids = arrays["ids"]
            self.columns.ids = <const Span*>&ids[0, 0]
        if "asked" in arrays and self.columns.count:
            asked, asked_rows = arrays["asked"], arrays.get("asked_rows")
            self.columns.asked = &asked[0]
            if asked_rows is not None:
                self.columns.asked_rows = &asked_rows[0]


cdef object read_line(object line, int32_t* quantity, int64_t* amount):
    """Read a pair or a triple; for anything else it raises what `explain` then explains."""
    cdef long long wide = 0
    if len(line) == 2:
        sku, pieces = line
    else:
        sku, pieces, money = line
        wide = PyNumber_Index(money)
    if not 0 <= wide <= MAX_AMOUNT:
        raise ValueError
    amount[0] = wide
    wide = PyNumber_Index(pieces)  # a float is not rounded but refused
    if not 1 <= wide <= INT32_MAX:
        raise ValueError
    quantity[0] = <int32_t>wide
    return sku


def _spans_of(list ids):
    """Rows of names.Span, int64[n, 2], that point into the str of the list."""
    spans = np.empty((max(1, len(ids)), 2), dtype=np.int64)
    cdef int64_t[:, ::1] rows = spans
    cdef Py_ssize_t row
    for row in range(len(ids)):
        span_of(ids[row], <Span*>&rows[row, 0])
    return spans


def _read_asked(Asking asking, dict arrays):
    """Put what the orders of a message ask for beside its columns; the first bad row, or -1."""
    cdef int64_t count = len(arrays["lat"])
    cdef const int64_t[:, ::1] texts = arrays.get("said")
    cdef const Said* said = NULL
    arrays["asked"] = np.empty(max(1, count), dtype=_ASKED_DTYPE)
    cdef Asked[::1] asked = arrays["asked"]
    if texts is not None:
        said = <const Said*>&texts[0, 0]
    return asking.read_said(said, count, &asked[0])


# -- CHECKS ------------------------------------------------------------------------------------

cdef bint sound(const Columns* orders, int64_t line_count, int32_t sku_count,
                bint* repeats) noexcept nogil:
    """Whether nothing in the columns can be refused; and whether a SKU may stand twice in an order.

    The one pass that every batch pays for; what is wrong, `_refuse_columns` finds out.
    """
    cdef const int64_t* offsets = orders.offsets
    cdef const int32_t* skus = orders.skus
    cdef int64_t row, line, other, lines
    if offsets[0] != 0 or offsets[orders.count] != line_count:
        return False
    for row in range(orders.count):
        lines = offsets[row + 1] - offsets[row]
        if not 1 <= lines <= MAX_LINES_PER_ORDER or offsets[row + 1] > line_count:
            return False
        if not is_place(orders.lat[row], orders.lng[row]):
            return False
        for line in range(offsets[row], offsets[row + 1]):
            if not 0 <= skus[line] < sku_count or orders.quantities[line] < 1:
                return False
        if lines > FEW_LINES:  # not searched but merged at once
            repeats[0] = True
            continue
        for line in range(offsets[row] + 1, offsets[row + 1]):
            for other in range(offsets[row], line):
                repeats[0] = repeats[0] or skus[line] == skus[other]
    for line in range(line_count if orders.amounts != NULL else 0):
        if not 0 <= orders.amounts[line] <= MAX_AMOUNT:
            return False
    return True


cdef int64_t first_unsound(const Columns* orders, int32_t sku_count, bint* repeats) noexcept nogil:
    """As `sound`, for orders with ids whose offsets are right: the first that is not, or -1."""
    cdef Columns one = orders[0]
    cdef int64_t offsets[2]
    cdef int64_t row
    offsets[0] = 0
    one.count = 1
    one.offsets = offsets
    for row in range(orders.count):
        if not 0 < orders.ids[row].size <= MAX_ID_BYTES:
            return row
        if memchr(orders.ids[row].text, 0, orders.ids[row].size) != NULL:
            return row
        if memchr(orders.ids[row].text, 0x1f, orders.ids[row].size) != NULL:
            return row
        one.lat, one.lng = orders.lat + row, orders.lng + row
        one.skus = orders.skus + orders.offsets[row]
        one.quantities = orders.quantities + orders.offsets[row]
        if orders.amounts != NULL:
            one.amounts = orders.amounts + orders.offsets[row]
        offsets[1] = orders.offsets[row + 1] - orders.offsets[row]
        if not sound(&one, offsets[1], sku_count, repeats):
            return row
    return -1


def _converted(arrays, datums, datum):
    """The columns with every place in `datum`."""
    converted = {**arrays, "lat": arrays["lat"].copy(), "lng": arrays["lng"].copy()}
    for number, source in enumerate(_DATUMS):
        rows = np.flatnonzero(datums == number)
        if source is not None and source is not datum and len(rows):
            places = convert(arrays["lat"][rows], arrays["lng"][rows], source, datum)
            converted["lat"][rows], converted["lng"][rows] = places
    return converted


def _refuse_order(message, row, sku_code_of, datum, style):
    """Read one order of a message again, slowly, and refuse it by its first bad value."""
    lat, lng, number = message.place(row)
    if not 0 <= number < len(_DATUMS):
        refuse(Fault.OUT_OF_RANGE, field_of("", "datum", style, row), number,
               row=row_of(style, row),
               hint=f"must be a number of the enum Datum, 0 to {len(_DATUMS) - 1}")
    order = SimpleNamespace(
        id=message.order_id(row), lat=lat, lng=lng, datum=_DATUMS[number], lines=message.lines(row)
    )
    explain(order, sku_code_of, style, row)
    place_of(order, datum, style, row)
    _check_offsets(np.array([0, len(order.lines)]), len(order.lines), style, row)
    raise AssertionError("an order is not sound, and nothing is wrong with it")


def _refuse_columns(arrays, int32_t sku_count, style):
    """Name the first thing that is not sound."""
    _check_offsets(arrays["offsets"], len(arrays["skus"]), style)
    for row, (lat, lng) in enumerate(zip(arrays["lat"].tolist(), arrays["lng"].tolist())):
        check_place(lat, lng, style, row)
    _check_lines(arrays["skus"], arrays["quantities"], arrays.get("amounts"), sku_count)
    raise AssertionError("a batch is not sound, and nothing is wrong with it")


def _check_offsets(const int64_t[::1] offsets, int64_t line_count, style, int64_t first=0):
    """Refuse an order with no lines, or too many, or lines that are not there.

    `first`: the number of the first order, for errors.
    """
    cdef int64_t row, lines
    cdef int64_t count = offsets.shape[0] - 1
    for row in range(count):
        lines = offsets[row + 1] - offsets[row]
        if lines == 0:
            refuse(Fault.MISSING, field_of("offsets", "lines", style, first + row), lines,
                   row=row_of(style, first + row), hint="the order is empty; it must have a line")
        if lines > MAX_LINES_PER_ORDER:
            refuse(Fault.OUT_OF_RANGE, field_of("offsets", "lines", style, first + row), lines,
                   row=row_of(style, first + row),
                   hint=f"at most {MAX_LINES_PER_ORDER} lines an order")
        if lines < 0 or offsets[row] < 0 or offsets[row + 1] > line_count:
            refuse(Fault.OUT_OF_RANGE, "offsets", offsets[row + 1], row=row + 1,
                   hint=f"must increase from 0 to the number of lines, {line_count}")
    if offsets[0] != 0 or offsets[count] != line_count:
        refuse(Fault.RAGGED, "offsets", (offsets[0], offsets[count]),
               hint=f"must run from 0 to the number of lines, {line_count}")


def _check_lines(const int32_t[::1] skus, const int32_t[::1] quantities,
                 const int64_t[::1] amounts, int32_t sku_count):
    """Refuse codes, quantities and amounts that cannot be."""
    cdef int64_t line
    for line in range(skus.shape[0]):
        if not 0 <= skus[line] < sku_count:
            refuse(Fault.UNKNOWN_SKU, "skus", skus[line], row=line,
                   hint=f"there are {sku_count} SKU codes, from 0")
        if quantities[line] < 1:
            refuse(Fault.OUT_OF_RANGE, "quantities", quantities[line], row=line,
                   hint=QUANTITY_HINT)
        if amounts is not None and not 0 <= amounts[line] <= MAX_AMOUNT:
            refuse(Fault.OUT_OF_RANGE, "amounts", amounts[line], row=line, hint=AMOUNT_HINT)


def explain(order, sku_code_of, style, row):
    """Read one order again, slowly, and refuse it by its first bad value."""
    def no(fault, attribute, value, hint):
        refuse(fault, field_of("", attribute, style, row), value, row=row_of(style, row), hint=hint)

    for name in ("id", "lat", "lng", "lines", "datum"):
        if not hasattr(order, name):
            no(Fault.WRONG_TYPE, name, order, "must be a fendan.Order, or like one")
    if not is_usable_id(order.id):
        no(Fault.BAD_ID, "id", order.id, _ID_HINT)
    place_of(order, order.datum, style, row)
    if not isinstance(order.lines, Sequence) or isinstance(order.lines, str):
        no(Fault.WRONG_TYPE, "lines", order.lines, "must be a list of (SKU, quantity) pairs")
    for place, line in enumerate(order.lines):
        if isinstance(line, str) or not isinstance(line, Sequence) or len(line) not in (2, 3):
            no(Fault.WRONG_TYPE, f"lines[{place}]", line,
               "must be (SKU, quantity) or (SKU, quantity, amount)")
        sku, quantity = line[:2]
        amount = line[2] if len(line) == 3 else 0
        if not isinstance(sku, str):
            no(Fault.WRONG_TYPE, f"lines[{place}].sku", sku, "must be a str")
        if sku not in sku_code_of:
            no(Fault.UNKNOWN_SKU, f"lines[{place}].sku", sku, "no stock was ever set for it")
        if not isinstance(quantity, Integral):
            no(Fault.WRONG_TYPE, f"lines[{place}].quantity", quantity, QUANTITY_HINT)
        if quantity < 1:
            no(Fault.OUT_OF_RANGE, f"lines[{place}].quantity", quantity, QUANTITY_HINT)
        if quantity > INT32_MAX:
            no(Fault.OVERFLOW, f"lines[{place}].quantity", quantity, QUANTITY_HINT)
        if not isinstance(amount, Integral):
            no(Fault.WRONG_TYPE, f"lines[{place}].amount", amount, AMOUNT_HINT)
        if not 0 <= amount <= MAX_AMOUNT:
            no(Fault.OUT_OF_RANGE, f"lines[{place}].amount", amount, AMOUNT_HINT)
