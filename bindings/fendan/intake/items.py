"""The item master: what a chain says of its goods, beside their stock; values, files and tables.

    sku                          and, each of them if there is one, in any order:
    list_price                   minor units, such as fen
    barcodes, off_shelf          names, separated by |
    unit                         what a piece is called: 瓶, 500g
    restricted                   true or false
    protected_pieces, most_per_order                           whole numbers

An empty cell says nothing. Files, tables, capitals and errors are as in `loaders`.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

from fendan import columns
from fendan.engine.batch import MOST_AMOUNT
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse
from fendan.loaders import matched_columns
from fendan.sources import Source, open_source

__all__ = ["Item", "checked_items", "read_items"]

MOST_PIECES = 2**31 - 1
COLUMNS = {
    "sku": ("sku", "sku_id"),
    "list_price": ("list_price", "price"),
    "barcodes": ("barcodes", "barcode", "upc", "ean"),
    "unit": ("unit",),
    "restricted": ("restricted",),
    "protected_pieces": ("protected_pieces",),
    "off_shelf": ("off_shelf",),
    "most_per_order": ("most_per_order",),
}
WHOLE_NUMBER = re.compile(r"[+-]?\d{1,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What intake rules compare a line with. What is not said is not judged.

    `list_price`: of a piece, in minor units such as fen, 0 (not said) to 1,000,000,000,000.
    `barcodes`: any of which is right. `unit`: what a piece is called (规格). `restricted`:
    somebody has to look at each order. `protected_pieces`: of all stores together, so many are not
    for everybody (库存预警). `off_shelf`: channels that do not sell it. `most_per_order`: pieces;
    0: any number.
    """

    sku: str
    list_price: int = 0
    barcodes: tuple[str, ...] = ()
    unit: str = ""
    restricted: bool = False
    protected_pieces: int = 0
    off_shelf: frozenset[str] = frozenset()
    most_per_order: int = 0


# -- CHECKS ------------------------------------------------------------------------------------


def checked_items(items: Iterable[Item]) -> dict[str, Item]:
    """Items by SKU. Raises InvalidInputError naming the row, the field and the value.

    No SKU stands there twice, and no barcode on two SKUs.
    """

    def no(fault: Fault, field: str, value: object, row: int, hint: str) -> None:
        refuse(fault, f"items[{row}].{field}", value, row=row, hint=hint)

    return _by_sku(map(_an_item, count(), columns.rows("items", items)), no)


Refuse = Callable[[Fault, str, object, int, str], object]


def _an_item(row: int, item: Any) -> Item:
    if not isinstance(item, Item):
        refuse(Fault.WRONG_TYPE, "items", item, row=row, hint="must be fendan.Item values")
    return item


def _by_sku(items: Iterable[Item], no: Refuse) -> dict[str, Item]:
    """The items, each checked before the next is read; `no` says which row is wrong, and how."""
    found: dict[str, Item] = {}
    sku_of: dict[str, str] = {}
    for row, item in enumerate(items):
        _check(item, row, no)
        for barcode in item.barcodes:
            if barcode in sku_of:
                hint = f"it is on {sku_of[barcode]} already"
                no(Fault.OUT_OF_RANGE, "barcodes", barcode, row, hint)
            sku_of[barcode] = item.sku
        if item.sku in found:
            no(Fault.BAD_ID, "sku", item.sku, row, "it stands twice")
        found[item.sku] = item
    return found


def _check(item: Item, row: int, no: Refuse) -> None:
    """Refuse the first field that is wrong."""
    if not is_usable_id(item.sku):
        no(Fault.BAD_ID, "sku", item.sku, row, ID_HINT)
    for field, most in (
        ("list_price", MOST_AMOUNT),
        ("protected_pieces", MOST_PIECES),
        ("most_per_order", MOST_PIECES),
    ):
        value = getattr(item, field)
        hint = f"must be a whole number from 0 to {most:,}"
        if not isinstance(value, int) or isinstance(value, bool):
            no(Fault.WRONG_TYPE, field, value, row, hint)
        if not 0 <= value <= most:
            no(Fault.OUT_OF_RANGE, field, value, row, hint)
    if not isinstance(item.restricted, bool):
        no(Fault.WRONG_TYPE, "restricted", item.restricted, row, "must be true or false")
    if item.unit != "" and not is_usable_id(item.unit):
        no(Fault.BAD_ID, "unit", item.unit, row, ID_HINT)
    for field, names in (("barcodes", item.barcodes), ("off_shelf", item.off_shelf)):
        if isinstance(names, str) or not isinstance(names, Collection):
            no(Fault.WRONG_TYPE, field, names, row, "must be names, not one text")
        for name in names:
            if not is_usable_id(name):
                no(Fault.BAD_ID, field, name, row, ID_HINT)


# -- FILES -------------------------------------------------------------------------------------


def read_items(source: Any, *, encoding: str = "utf-8") -> list[Item]:
    """The items of a .csv, .csv.gz or .parquet file, a pandas or a pyarrow table, all checked.

    Raises a FendanError that names the first thing wrong: the line or row, the field, and why.
    """
    origin, names, cells = open_source(source, encoding)
    ours = matched_columns(origin, names, COLUMNS, ["sku"])
    table = {name: column.to_pylist() for name, column in zip(ours, cells, strict=True)}

    def no(fault: Fault, field: str, value: object, row: int, hint: str) -> None:
        origin.refuse(fault, field, value, row=row, hint=hint)

    rows = enumerate(zip(*table.values(), strict=True))
    items = (_item(dict(zip(table, values, strict=True)), origin, row) for row, values in rows)
    return list(_by_sku(items, no).values())


def _item(cells: dict[str, Any], origin: Source, row: int) -> Item:
    """What a row says, each cell in the type that it should have, or as it is."""
    said = {
        name: value.strip() if isinstance(value, str) else value for name, value in cells.items()
    }
    said = {name: value for name, value in said.items() if value not in (None, "")}
    if "sku" not in said:
        origin.refuse(Fault.MISSING, "sku", None, row=row)
    return Item(**{name: READ[name](value) for name, value in said.items()})


def _name(value: Any) -> Any:
    """Ids may be whole numbers in a table, and are read as their digits."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _names(value: Any) -> Any:
    text = _name(_whole(value))
    return tuple(name.strip() for name in text.split("|")) if isinstance(text, str) else text


def _set_of_names(value: Any) -> Any:
    names = _names(value)
    return frozenset(names) if isinstance(names, tuple) else names


def _number(value: Any) -> Any:
    """The number, or the value as it is, which the check refuses."""
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return _whole(value)


def _whole(value: Any) -> Any:
    """Gaps make pandas write whole numbers as floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flag(value: Any) -> Any:
    return (
        {"true": True, "false": False}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


READ: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("sku", "unit"), _name),
    **dict.fromkeys(("list_price", "protected_pieces", "most_per_order"), _number),
    "barcodes": _names,
    "off_shelf": _set_of_names,
    "restricted": _flag,
}
