"""Mappings from a TOML file: a platform's own, changed, or a partner's that we do not know.

[mapping.PARTNER]
like = "OWN_SHOP"                    begin from this one; a known name begins from itself
format = "json"                      json, form or csv
encoding = "gb18030"                 where it is not UTF-8
orders = "data.list[*]"              where the orders are in a payload
lines = "goods[*]"                   and the lines in an order
money = "yuan"                       fen or yuan
times = "ms"                         s, ms or text
zone = "Asia/Shanghai"               of texts, and of days
datum = "BD-09"                      WGS84, GCJ-02 or BD-09
types = { "7" = "PICKUP" }           by the code at order.type_code

[mapping.PARTNER.order]
order_id = "id"
lat = ["address.lat", "lat"]         the first that says anything
placed = { path = "created", unit = "s" }
other_charges = { add = ["post", "box"] }
presale = { path = "flag", among = ["Y"] }
[mapping.PARTNER.line]
sku = "code"
quantity = "n"
"""

import codecs
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fendan.engine.geo import Datum
from fendan.errors import Fault
from fendan.given import Given
from fendan.intake.mapping import FORMATS, LINE_FIELDS, MONEY, ORDER_FIELDS, TIMES, Field
from fendan.intake.mapping import Mapping as FieldMapping
from fendan.intake.values import MONEY_UNITS, TIME_UNITS
from fendan.rules import OrderType
from fendan.toml_file import did_you_mean

__all__ = ["mappings_from"]

DATUMS = {datum.value: datum for datum in Datum}
REQUIRED = {"order": "order_id", "line": "quantity"}


def mappings_from(given: Given, known: Mapping[str, FieldMapping]) -> dict[str, FieldMapping]:
    """The `known` mappings with those of the table [mapping] over them.

    Raises InvalidInputError naming the file and the key.
    """
    found = dict(known)

    def read(name: str, table: Given) -> None:
        found[name] = _mapping(name, found, table)

    names = given.value if isinstance(given.value, dict) else ()
    given.fields({name: partial(read, name) for name in names})
    return found


def _mapping(name: str, known: Mapping[str, FieldMapping], given: Given) -> FieldMapping:
    base = known.get(name, FieldMapping(name=name, channel=name.lower()))
    if isinstance(given.value, dict) and "like" in given.value:
        base = known[_one_of(known, given.at("like"))]
    readers: dict[str, Callable[[Given], Any]] = {
        **dict.fromkeys(("channel", "orders", "lines"), _path),
        "like": _path,
        "format": partial(_one_of, FORMATS),
        "encoding": _encoding,
        "money": partial(_one_of, MONEY_UNITS),
        "times": partial(_one_of, TIME_UNITS),
        "zone": _zone,
        "datum": _datum,
        "datums": partial(_by_code, _datum),
        "default_type": _type,
        "types": partial(_by_code, _type),
        "order": partial(_fields, ORDER_FIELDS, base.order),
        "line": partial(_fields, LINE_FIELDS, base.line),
    }
    said = given.fields(readers)
    said.pop("like", None)
    mapping = replace(base, name=name, **said)
    for part, field in REQUIRED.items():
        if field not in getattr(mapping, part):
            given.lacks(f"{part}.{field}", "no order is without it")
    return mapping


# -- VALUES --------------------------------------------------------------------------------------


def _path(given: Given) -> str:
    """A text, which may be empty."""
    return "" if given.value == "" else given.text()


def _paths(given: Given) -> tuple[str, ...]:
    """One path, or several."""
    if isinstance(given.value, list):
        return given.texts('["first", "second"]')
    return (given.text(),)


def _one_of(allowed: Iterable[str], given: Given) -> str:
    names = list(allowed)
    text = given.text()
    if text not in names:
        hint = f"must be one of {', '.join(names)}{did_you_mean(text, names)}"
        given.refuse(Fault.OUT_OF_RANGE, hint)
    return text


def _datum(given: Given) -> Datum:
    return DATUMS[_one_of(DATUMS, given)]


def _type(given: Given) -> OrderType:
    return given.name_of(OrderType)


def _by_code(read: Callable[[Given], Any], given: Given) -> dict[str, Any]:
    codes = given.value if isinstance(given.value, dict) else {}
    return given.fields(dict.fromkeys(codes, read))


def _zone(given: Given) -> str:
    try:
        return ZoneInfo(given.text()).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        given.refuse(Fault.OUT_OF_RANGE, "must be a time zone, such as Asia/Shanghai")


def _encoding(given: Given) -> str:
    try:
        "".encode(codecs.lookup(given.text()).name)
    except (LookupError, UnicodeError):  # the latter of "undefined"
        given.refuse(Fault.OUT_OF_RANGE, "must be an encoding of texts, such as gb18030")
    return given.text()


# -- FIELDS --------------------------------------------------------------------------------------


def _fields(names: Iterable[str], base: Mapping[str, Field], given: Given) -> dict[str, Field]:
    """The fields that a table names over those there were."""
    return {**base, **given.fields({name: partial(_field, name) for name in names})}


def _field(name: str, given: Given) -> Field:
    if not isinstance(given.value, dict):
        return Field(_paths(given))
    units = MONEY_UNITS if name in MONEY else TIME_UNITS if name in TIMES else ()
    readers: dict[str, Callable[[Given], Any]] = {
        "path": _paths,
        "unit": partial(_one_of, units),
        "among": _paths,
    }
    if name in MONEY:
        readers["add"] = _paths
    said = given.fields(readers)
    adds = "add" in said
    if adds == ("path" in said):
        given.lacks("path", "give one of path and add")
    return Field(said.pop("add" if adds else "path"), adds=adds, **said)
