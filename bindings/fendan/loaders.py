"""Stores, stock and orders from CSV, Parquet, pyarrow and pandas.

    stores   store_id | store | id      lat | latitude      lng | lon | longitude
             and, where there is one, region | area, whose cells may be empty
    stock    store_id | store | id      sku | sku_id        quantity | qty | on_hand
    orders   order_id | order | id      lat, lng, sku, quantity as above; one row per order line
             and, where there are such, amount, what the customer pays for the line in minor units
             such as fen; order_type (a name of `OrderType`, or its number), channel, region,
             pickup_store_id, group_id, buyer_id and address_id; cells of these may be empty
    people   lat, lng as above            people | population

Those columns and no others, in any order; capitals and spaces around the names do not matter. A
source is the path of a .csv, .csv.gz or .parquet file, a pyarrow Table or a pandas DataFrame. All
of it is checked before anything is returned, and an error names the column, the value and the
place: in CSV the line (the header is line 1; line breaks inside quotes are not counted), elsewhere
the row (from 0). Ids may be whole numbers in a table, and are read as their digits.

Every column is read dictionary-encoded and each distinct value converted and checked once: 15
million rows of stock have few distinct stores, SKUs and quantities.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine.asking import TEXTS
from fendan.engine.batch import AMOUNT_HINT, MOST_AMOUNT
from fendan.engine.geo import Datum
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError
from fendan.model import Line, Order, Store
from fendan.rules import OrderType
from fendan.sources import Source, open_source

__all__ = [
    "OrderColumns",
    "PeopleColumns",
    "StockColumns",
    "matched_columns",
    "naming_places",
    "read_order_columns",
    "read_orders",
    "read_people",
    "read_stock",
    "read_stores",
]

ALIASES = {
    "store_id": ("store_id", "store", "id"),
    "order_id": ("order_id", "order", "id"),
    "sku": ("sku", "sku_id"),
    "quantity": ("quantity", "qty", "on_hand"),
    "lat": ("lat", "latitude"),
    "lng": ("lng", "lon", "longitude"),
    "region": ("region", "area"),
    "amount": ("amount",),
    "order_type": ("order_type", "type"),
    "channel": ("channel",),
    "pickup_store_id": ("pickup_store_id",),
    "group_id": ("group_id",),
    "buyer_id": ("buyer_id",),
    "address_id": ("address_id",),
    "people": ("people", "population"),
}
# What an order may say beside its place and its lines.
SAID = ("order_type", *TEXTS)
MOST = 2**31 - 1  # what the engine can count
WHOLE_NUMBER = re.compile(r"[+-]?\d{1,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StockColumns:
    """Stock ready for `Engine.set_stock`: columns of equal length, and where they came from.

    `stores` and `skus` are dictionary-encoded pyarrow Arrays of ids, `quantities` is on-hand.
    """

    stores: Any
    skus: Any
    quantities: NDArray[np.int32]
    source: Source

    def __len__(self) -> int:
        return len(self.quantities)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderColumns:
    """Orders ready for `Engine.route_arrays`, but for the codes of their SKUs.

    The lines of order i are offsets[i]:offsets[i + 1]; `skus` is a dictionary-encoded pyarrow
    Array, and `rows` says which row of the source each line came from. `amounts` is None where the
    source has none. `said` has what else orders say, of the columns that the source has: by the
    field of `Order`, a value an order.
    """

    ids: list[str]
    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    offsets: NDArray[np.int64]
    skus: Any
    quantities: NDArray[np.int32]
    amounts: NDArray[np.int64] | None
    said: Mapping[str, list[Any]]
    rows: NDArray[np.int64]
    source: Source

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class PeopleColumns:
    """How many people live at each place, in degrees."""

    lat: NDArray[np.float64]
    lng: NDArray[np.float64]
    counts: NDArray[np.int64]

    @staticmethod
    def none() -> "PeopleColumns":
        """Nobody was counted."""
        return PeopleColumns(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))


# -- READING -----------------------------------------------------------------------------------


def read_stores(source: Any, *, encoding: str = "utf-8", datum: Datum | None = None) -> list[Store]:
    """The stores of a source, in its order; `datum` says which grid their places are on.

    Raises a FendanError that names the first thing wrong.
    """
    sheet = _Sheet.of(source, encoding, ("store_id", "lat", "lng"), optional=("region",))
    ids, lat, lng = sheet.ids("store_id"), sheet.degrees("lat", 90), sheet.degrees("lng", 180)
    first_row: dict[str, int] = {}
    for row, name in enumerate(ids.each()):
        if first_row.setdefault(name, row) != row:
            hint = f"the first is {sheet.source.where(first_row[name])}"
            sheet.source.refuse(Fault.DUPLICATE_STORE, "store_id", name, row=row, hint=hint)
    rows = zip(ids.each(), lat.each(), lng.each(), sheet.regions(), strict=True)
    return [
        Store(id=name, lat=lat_degrees, lng=lng_degrees, region=region, datum=datum)
        for name, lat_degrees, lng_degrees, region in rows
    ]


def read_stock(source: Any, *, encoding: str = "utf-8") -> StockColumns:
    """The on-hand of a source, 0 to 2,147,483,647 each, as columns for `Engine.set_stock`.

    Of a store and SKU that stand twice, the engine takes the last row. Raises a FendanError that
    names the first thing wrong; a store unknown to the engine is seen only there.
    """
    sheet = _Sheet.of(source, encoding, ("store_id", "sku", "quantity"))
    return StockColumns(
        stores=sheet.ids("store_id").as_dictionary(),
        skus=sheet.ids("sku").as_dictionary(),
        quantities=sheet.quantities(least=0).as_array(np.int32),
        source=sheet.source,
    )


def read_orders(source: Any, *, encoding: str = "utf-8", datum: Datum | None = None) -> list[Order]:
    """The orders of a source, by first appearance; rows with the same order id are its lines.

    The rows of one order need not be adjacent, but must agree on all but their line. The place is
    on the grid of `datum`. Raises a FendanError that names the first thing wrong.
    """
    orders = read_order_columns(source, encoding=encoding)
    columns = [orders.skus.to_pylist(), orders.quantities.tolist()]
    columns += [] if orders.amounts is None else [orders.amounts.tolist()]
    lines: list[Line] = list(zip(*columns, strict=True))
    ends = orders.offsets.tolist()
    fields = {"id": orders.ids, "lat": orders.lat.tolist(), "lng": orders.lng.tolist()}
    fields |= orders.said
    return [
        Order(
            **dict(zip(fields, values, strict=True)),
            lines=lines[ends[at] : ends[at + 1]],
            datum=datum,
        )
        for at, values in enumerate(zip(*fields.values(), strict=True))
    ]


def read_order_columns(source: Any, *, encoding: str = "utf-8") -> OrderColumns:
    """As `read_orders`, but as arrays, with nothing per order in Python but the ids."""
    wanted = ("order_id", "lat", "lng", "sku", "quantity")
    sheet = _Sheet.of(source, encoding, wanted, optional=("amount", *SAID))
    lat = sheet.degrees("lat", 90).as_array(np.float64)
    lng = sheet.degrees("lng", 180).as_array(np.float64)
    skus, quantities, amounts = sheet.ids("sku"), sheet.quantities(least=1), sheet.amounts()
    orders, ids = sheet.ids("order_id").by_first_appearance()
    rows = np.argsort(orders, kind="stable")
    ends = np.cumsum(np.bincount(orders, minlength=len(ids)), dtype=np.int64)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    first_rows = rows[offsets[:-1]]
    _check_same(sheet.source, "lat", lat, orders, first_rows, lat.item)
    _check_same(sheet.source, "lng", lng, orders, first_rows, lng.item)
    said = {}
    for field in SAID:
        if field in sheet.columns:
            numbers, values = sheet.said(field).by_first_appearance()
            names = [values[number] for number in numbers]
            _check_same(sheet.source, field, numbers, orders, first_rows, names.__getitem__)
            said[field] = [names[row] for row in first_rows]
    return OrderColumns(
        ids=ids,
        lat=lat[first_rows],
        lng=lng[first_rows],
        offsets=offsets,
        skus=skus.as_dictionary().take(rows),
        quantities=quantities.as_array(np.int32)[rows],
        amounts=None if amounts is None else amounts.as_array(np.int64)[rows],
        said=said,
        rows=rows,
        source=sheet.source,
    )


def _check_same(
    source: Source,
    field: str,
    column: NDArray[Any],
    orders: NDArray[np.int64],
    first_rows: NDArray[np.int64],
    cell: Callable[[int], Any],
) -> None:
    """Refuse rows of one order that differ in this column; `cell`: what stands in a row of it."""
    differs = column != column[first_rows][orders]
    if differs.any():
        row = int(np.argmax(differs))
        first = int(first_rows[orders[row]])
        hint = f"{source.where(first)} of the same order says {cell(first)}"
        source.refuse(Fault.ORDER_CONFLICT, field, cell(row), row=row, hint=hint)


def read_people(source: Any, *, encoding: str = "utf-8") -> PeopleColumns:
    """Where how many people live. Raises a FendanError that names the first thing wrong."""
    sheet = _Sheet.of(source, encoding, ("lat", "lng", "people"))
    return PeopleColumns(
        lat=sheet.degrees("lat", 90).as_array(np.float64),
        lng=sheet.degrees("lng", 180).as_array(np.float64),
        counts=sheet.quantities(least=0, name="people").as_array(np.int64),
    )


@contextmanager
def naming_places(
    source: Source,
    fields: Mapping[str, str],
    *,
    rows: NDArray[np.int64] | None = None,
    hint: str = "",
) -> Iterator[None]:
    """Turn the engine's errors about columns that were loaded into errors about their source.

    `fields`: the engine's name of a column -> the source's. `rows`: the engine's row -> the
    source's, where they differ. `hint`: what to say where the engine gives no hint.
    """
    try:
        yield
    except FendanError as error:
        if error.row is None or error.field not in fields:
            raise
        row = error.row if rows is None else int(rows[error.row])
        field = fields[error.field]
        source.refuse(error.fault, field, error.value, row=row, hint=error.hint or hint)


# -- VALUES ------------------------------------------------------------------------------------


class _UnfitError(Exception):
    """A value that a column cannot take."""

    def __init__(self, fault: Fault, hint: str) -> None:
        super().__init__(hint)
        self.fault = fault
        self.hint = hint


def _id_of(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _UnfitError(Fault.WRONG_TYPE, "ids must be text or whole numbers")
    if not is_usable_id(value):
        raise _UnfitError(Fault.BAD_ID, ID_HINT)
    return value


def _degrees_of(value: Any, limit: int) -> float:
    hint = f"must be degrees from -{limit} to {limit}"
    try:
        # Python reads 3_1 as 31; people who type that meant something else.
        if isinstance(value, (bool, bytes)) or "_" in str(value):
            raise ValueError
        degrees = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _UnfitError(Fault.WRONG_TYPE, hint) from None
    if not -limit <= degrees <= limit:  # NaN too
        raise _UnfitError(Fault.OUT_OF_RANGE, hint)
    return degrees


def _quantity_of(value: Any, least: int) -> int:
    hint = f"must be a whole number from {least} to {MOST}"
    quantity = _whole_number_of(value, hint)
    if not least <= quantity <= MOST:
        raise _UnfitError(Fault.OVERFLOW if quantity > MOST else Fault.OUT_OF_RANGE, hint)
    return quantity


def _amount_of(value: Any) -> int:
    amount = _whole_number_of(value, AMOUNT_HINT)
    if not 0 <= amount <= MOST_AMOUNT:
        raise _UnfitError(Fault.OUT_OF_RANGE, AMOUNT_HINT)
    return amount


def _order_type_of(value: Any) -> OrderType:
    if isinstance(value, str) and value.strip().upper() in OrderType.__members__:
        return OrderType[value.strip().upper()]
    hint = f"must be one of {', '.join(OrderType.__members__)}, or its number"
    number = _whole_number_of(value, hint)
    if number not in range(len(OrderType)):
        raise _UnfitError(Fault.OUT_OF_RANGE, hint)
    return OrderType(number)


def _whole_number_of(value: Any, hint: str) -> int:
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value.strip()):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _UnfitError(Fault.WRONG_TYPE, hint)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """Row i is values[indices[i]]; a value that no row uses is None."""

    indices: NDArray[np.int32]
    values: list[Any]

    def each(self) -> Iterator[Any]:
        return (self.values[index] for index in self.indices)

    def as_array(self, dtype: type[Any]) -> NDArray[Any]:
        table = np.array([0 if value is None else value for value in self.values], dtype=dtype)
        return table[self.indices]

    def as_dictionary(self) -> Any:
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(self.indices, pa.array(self.values, pa.string()))

    def by_first_appearance(self) -> tuple[NDArray[np.int64], list[Any]]:
        """Numbers in place of values, counted up as they appear, and the value of each number."""
        used, first_rows = np.unique(self.indices, return_index=True)
        numbers: dict[Any, int] = {}
        number_at = np.zeros(len(self.values), dtype=np.int64)
        for index in used[np.argsort(first_rows)]:
            number_at[index] = numbers.setdefault(self.values[index], len(numbers))
        return number_at[self.indices], list(numbers)


# -- SHEETS ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """The columns of a source, by the names we use: pyarrow ChunkedArrays, not yet checked."""

    source: Source
    columns: Mapping[str, Any]

    @staticmethod
    def of(
        source: Any, encoding: str, wanted: Sequence[str], optional: Sequence[str] = ()
    ) -> "_Sheet":
        origin, names, columns = open_source(source, encoding)
        known = {name: ALIASES[name] for name in (*wanted, *optional)}
        ours = matched_columns(origin, names, known, wanted)
        return _Sheet(origin, dict(zip(ours, columns, strict=True)))

    def ids(self, name: str) -> _Column:
        return self._read(name, _id_of)

    def degrees(self, name: str, limit: int) -> _Column:
        return self._read(name, lambda value: _degrees_of(value, limit))

    def regions(self) -> Iterable[str]:
        """The column that need not be there, and may have empty cells."""
        import pyarrow as pa

        if "region" not in self.columns:
            return repeat("", len(self.columns["store_id"]))
        empty = pa.scalar("", pa.string())
        cells = self.columns["region"].cast(pa.string()).fill_null(empty).to_pylist()
        for row, cell in enumerate(cells):
            if cell and not is_usable_id(cell):
                self.source.refuse(Fault.BAD_ID, "region", cell, row=row, hint=ID_HINT)
        return (cell.strip() for cell in cells)

    def quantities(self, *, least: int, name: str = "quantity") -> _Column:
        return self._read(name, lambda value: _quantity_of(value, least))

    def amounts(self) -> _Column | None:
        """The column that need not be there; an empty cell is 0, which says nothing."""
        return self._read("amount", _amount_of, empty=0) if "amount" in self.columns else None

    def said(self, name: str) -> _Column:
        """A column of what orders say beside place and lines; an empty cell says nothing."""
        if name == "order_type":
            return self._read(name, _order_type_of, empty=OrderType.UNSPECIFIED)
        return self._read(name, _id_of, empty="")

    def _read(
        self, name: str, value_of: Callable[[Any], Any], *, empty: int | str | None = None
    ) -> _Column:
        """A column, checked. `empty`: the value of an empty cell; None: there must be none."""
        import pyarrow as pa

        column = self.columns[name]
        if column.null_count and empty is None:
            row = int(np.argmax(column.is_null().to_numpy()))
            self.source.refuse(Fault.MISSING, name, None, row=row)
        try:
            is_dictionary = pa.types.is_dictionary(column.type)
            if column.null_count:  # null becomes a value, and then dictionaries cannot be unified
                plain = column.cast(column.type.value_type) if is_dictionary else column
                array = plain.combine_chunks().dictionary_encode("encode")
            else:
                encoded = column if is_dictionary else column.dictionary_encode()
                array = encoded.unify_dictionaries().combine_chunks()
        except pa.ArrowNotImplementedError:  # lists, structs
            self.source.refuse(Fault.WRONG_TYPE, name, str(column.type))
        indices = array.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        raw = array.dictionary.to_pylist()
        values: list[Any] = [None] * len(raw)
        for index in np.flatnonzero(np.bincount(indices, minlength=len(raw))):
            value = raw[index]
            try:
                if value is not None and not (isinstance(value, str) and not value.strip()):
                    values[index] = value_of(value)
                elif empty is None:
                    raise _UnfitError(Fault.MISSING, "the cell is empty")
                else:
                    values[index] = empty
            except _UnfitError as unfit:
                row = int(np.argmax(indices == index))
                self.source.refuse(unfit.fault, name, value, row=row, hint=unfit.hint)
        return _Column(indices, values)


def matched_columns(
    source: Source,
    names: Sequence[str],
    aliases: Mapping[str, Sequence[str]],
    wanted: Sequence[str],
) -> list[str]:
    """Our name for each column; refuses what is missing, unknown, or there twice."""
    ours = {alias: name for name, others in aliases.items() for alias in others}
    found = [ours.get(name.strip().lower(), "") for name in names]
    problems = {
        "missing": [name for name in wanted if name not in found],
        "twice": [name for name in aliases if found.count(name) > 1],
        "unknown": [repr(name) for name, our in zip(names, found, strict=True) if not our],
    }
    hint = "; ".join(f"{what}: {', '.join(which)}" for what, which in problems.items() if which)
    if hint:
        source.refuse(Fault.BAD_COLUMNS, "columns", list(names), hint=hint)
    return found
