"""Profiles of many stores from CSV, Parquet, pyarrow and pandas: one row per store.

    store_id                     and, each of them if there is one, in any order:
    kind                         SHOP, RDC or CDC
    time_zone, open, close       such as Asia/Shanghai, 09:00, 21:30: the hours of every day, where
                                 a close before the open is on the next day; or 24h or closed in
                                 open, and nothing in close
    order_types, abilities, areas                              names, separated by |
    most_open_orders, most_orders_in_window, priority, cost    whole numbers
    window_s                                                   seconds

An empty cell says nothing: what it limits is not limited. Files, tables, capitals and errors are as
in `loaders`. Hours that differ by weekday, and holidays, are for the text of a profile.
"""

import re
from collections.abc import Callable
from typing import Any

from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError
from fendan.loaders import matched_columns
from fendan.profile_text import store_profile_from
from fendan.profiles import StoreProfile
from fendan.sources import Source, open_source

__all__ = ["read_store_profiles"]

ALIASES = {
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
WHOLE_NUMBER = re.compile(r"[+-]?\d{1,99}", re.ASCII)
WHOLE_MINUTE = re.compile(r"(\d\d?:\d\d):00", re.ASCII)


def read_store_profiles(source: Any, *, encoding: str = "utf-8") -> dict[str, StoreProfile]:
    """The profiles of a source by store id, in its order, all of them checked.

    Raises a FendanError that names the first thing wrong: the line or row, the field, and why.
    """
    origin, names, columns = open_source(source, encoding)
    ours = matched_columns(origin, names, ALIASES, ["store_id"])
    cells = {name: column.to_pylist() for name, column in zip(ours, columns, strict=True)}
    stores = cells.pop("store_id")
    profiles: dict[str, StoreProfile] = {}
    first_row: dict[str, int] = {}
    known: dict[tuple[Any, ...], StoreProfile] = {}  # of rows that say the same
    for row, store in enumerate(stores):
        name = _store_id(store, origin, row)
        if first_row.setdefault(name, row) != row:
            hint = f"the first is {origin.where(first_row[name])}"
            origin.refuse(Fault.DUPLICATE_STORE, "store_id", name, row=row, hint=hint)
        said = tuple(column[row] for column in cells.values())
        try:
            if said not in known:
                known[said] = store_profile_from(_table(dict(zip(cells, said, strict=True))))
        except FendanError as error:
            origin.refuse(error.fault, error.field, error.value, row=row, hint=error.hint)
        profiles[name] = known[said]
    return profiles


def _store_id(value: Any, origin: Source, row: int) -> str:
    """Ids may be whole numbers in a table, and are read as their digits."""
    if value is None or value == "":
        origin.refuse(Fault.MISSING, "store_id", None, row=row)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not is_usable_id(value):
        origin.refuse(Fault.BAD_ID, "store_id", value, row=row, hint=ID_HINT)
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


def _number(text: str) -> Any:
    """The number, or the text as it is, which the check refuses."""
    return int(text) if WHOLE_NUMBER.fullmatch(text) else text


def _seconds(text: str) -> Any:
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("order_types", "abilities", "areas"), _names),
    **dict.fromkeys(("most_open_orders", "most_orders_in_window", "priority", "cost"), _number),
    "window_s": _seconds,
}
