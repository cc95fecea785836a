"""Profiles from CSV, Parquet, pyarrow and pandas: one row per store, or one per SKU.

    store_id                     and, each of them if there is one, in any order:
    kind                         SHOP, RDC or CDC
    time_zone, open, close       such as Asia/Shanghai, 09:00, 21:30: the hours of every day, where
                                 a close before the open is on the next day; or 24h or closed in
                                 open, and nothing in close
    order_types, abilities, areas                              names, separated by |
    most_open_orders, most_orders_in_window, priority, cost    whole numbers
    window_s                                                   seconds

    sku                          and, each of them if there is one, in any order:
    product_class                a name
    needs                        names, separated by |
    parts                        of a bundle, how many pieces of each SKU: tea:2|cup:1
    pieces_per_unit, off_below, on_from, least_life_days       whole numbers
    presale                      true or false

An empty cell says nothing: what it limits is not limited. Files, tables, capitals and errors are as
in `loaders`. Hours that differ by weekday, and holidays, are for the text of a profile.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError, refuse
from fendan.loaders import matched_columns
from fendan.profile_text import sku_profile_from, store_profile_from
from fendan.profiles import SkuProfile, StoreProfile
from fendan.sources import Source, open_source

__all__ = ["read_sku_profiles", "read_store_profiles"]

STORE_COLUMNS = {
    "store_id": ("store_id", "store", "id"),
    "kind": ("kind",),
    "time_zone": ("time_zone", "timezone"),
    "open": ("open", "open_time"),
    "close": ("close", "close_time"),
    "order_types": ("order_types",),
    "abilities": ("abilities",),
    "areas": ("areas",),
    "most_open_orders": ("most_open_orders",),
    "most_orders_in_window": ("most_orders_in_window",),
    "window_s": ("window_s",),
    "priority": ("priority",),
    "cost": ("cost",),
}
SKU_COLUMNS = {
    "sku": ("sku", "sku_id"),
    "product_class": ("product_class", "class"),
    "needs": ("needs",),
    "parts": ("parts",),
    "pieces_per_unit": ("pieces_per_unit",),
    "off_below": ("off_below",),
    "on_from": ("on_from",),
    "least_life_days": ("least_life_days",),
    "presale": ("presale",),
}
Profile = TypeVar("Profile", StoreProfile, SkuProfile)

WHOLE_NUMBER = re.compile(r"[+-]?\d{1,99}", re.ASCII)
WHOLE_MINUTE = re.compile(r"(\d\d?:\d\d):00", re.ASCII)


def read_store_profiles(source: Any, *, encoding: str = "utf-8") -> dict[str, StoreProfile]:
    """The profiles of a source by store id, in its order, all of them checked.

    Raises a FendanError that names the first thing wrong: the line or row, the field, and why.
    """
    return _read(source, encoding, STORE_COLUMNS, Fault.DUPLICATE_STORE, store_profile_from)


def read_sku_profiles(source: Any, *, encoding: str = "utf-8") -> dict[str, SkuProfile]:
    """As `read_store_profiles`, by SKU; what bundles are made of is checked when they are set."""
    return _read(source, encoding, SKU_COLUMNS, Fault.BAD_ID, sku_profile_from)


def _read(
    source: Any,
    encoding: str,
    aliases: Mapping[str, Sequence[str]],
    twice: Fault,
    profile_from: Callable[[dict[str, Any]], Profile],
) -> dict[str, Profile]:
    """The profiles by what stands in the first of the columns; `twice`: the fault of doing so."""
    origin, names, columns = open_source(source, encoding)
    key = next(iter(aliases))
    ours = matched_columns(origin, names, aliases, [key])
    cells = {name: column.to_pylist() for name, column in zip(ours, columns, strict=True)}
    ids = cells.pop(key)
    profiles: dict[str, Profile] = {}
    first_row: dict[str, int] = {}
    known: dict[str, Profile] = {}  # of rows that say the same
    for row, one in enumerate(ids):
        name = _id(one, origin, key, row)
        if first_row.setdefault(name, row) != row:
            hint = f"it stands twice; the first is {origin.where(first_row[name])}"
            origin.refuse(twice, key, name, row=row, hint=hint)
        said = {name: column[row] for name, column in cells.items()}
        same = repr(said)
        try:
            if same not in known:
                known[same] = profile_from(_table(said))
        except FendanError as error:
            origin.refuse(error.fault, error.field, error.value, row=row, hint=error.hint)
        profiles[name] = known[same]
    return profiles


def _id(value: Any, origin: Source, key: str, row: int) -> str:
    """Ids may be whole numbers in a table, and are read as their digits."""
    if value is None or value == "":
        origin.refuse(Fault.MISSING, key, None, row=row)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not is_usable_id(value):
        origin.refuse(Fault.BAD_ID, key, value, row=row, hint=ID_HINT)
    return str(value)


def _table(cells: dict[str, Any]) -> dict[str, Any]:
    """What the cells of a row say, as the table of a JSON file has it."""
    said = {name: _stripped(value) for name, value in cells.items()}
    opens, closes = said.pop("open", None), said.pop("close", None)
    table = {
        name: READ[name](value) if isinstance(value, str) and name in READ else _whole(value)
        for name, value in said.items()
        if value is not None
    }
    if opens is not None or closes is not None:
        times = [_minute(time) for time in (opens, closes) if time is not None]
        table["hours"] = {"daily": "-".join(times)}
    return table


def _stripped(value: Any) -> Any:
    return (value.strip() or None) if isinstance(value, str) else value


def _whole(value: Any) -> Any:
    """A column of pandas that has gaps has floats for its whole numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _minute(time: Any) -> str:
    """A time as hours say it; some write seconds, or are times and not texts."""
    return WHOLE_MINUTE.sub(r"\1", str(time))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split("|")]


def _parts(text: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for part in _names(text):
        name, colon, pieces = (one.strip() for one in part.rpartition(":"))
        if not colon or name in parts:
            hint = "must be like tea:2|cup:1, each SKU once"
            refuse(Fault.WRONG_TYPE, "parts", text, hint=hint)
        parts[name] = _number(pieces)
    return parts


def _flag(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)


def _number(text: str) -> Any:
    """The number, or the text as it is, which the check refuses."""
    return int(text) if WHOLE_NUMBER.fullmatch(text) else text


def _seconds(text: str) -> Any:
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("order_types", "abilities", "areas", "needs"), _names),
    **dict.fromkeys(("most_open_orders", "most_orders_in_window", "priority", "cost"), _number),
    **dict.fromkeys(("pieces_per_unit", "off_below", "on_from", "least_life_days"), _number),
    "parts": _parts,
    "presale": _flag,
    "window_s": _seconds,
}
