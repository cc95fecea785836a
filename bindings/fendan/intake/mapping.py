"""Mappings: where in a platform's payload each of our fields stands, and what it is counted in.

A mapping is a value; `adapter` reads payloads by it. Built-in ones are in `platforms`; a chain
changes them, or writes its own, in the tables ``[mapping.NAME]`` of a TOML file.
"""

import codecs
from collections.abc import Mapping as Tables
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fendan.engine.geo import Datum
from fendan.errors import Fault, refuse
from fendan.intake.values import MONEY_UNITS, TIME_UNITS
from fendan.rules import OrderType
from fendan.toml_file import did_you_mean

__all__ = ["FLAGS", "LINE_FIELDS", "MONEY", "ORDER_FIELDS", "TIMES", "Field", "Mapping", "mappings"]

FORMATS = ("json", "form", "csv")

MONEY = frozenset(
    {"item_total", "order_total", "other_charges", "discount", "unit_price", "line_total"}
)
TIMES = frozenset({"placed", "promised_from", "promised_until", "presale_ship"})
FLAGS = frozenset({"pickup", "presale", "group"})
ORDER_FIELDS = (
    *("order_id", "channel", "lat", "lng", "datum", "placed", "promised_from", "promised_until"),
    *("presale_ship", "pickup_store_id", "group_id", "region", "buyer_id", "address_id"),
    *("member_tier", "item_total", "order_total", "other_charges", "discount"),
    *("type_code", "pickup", "presale", "group"),
)
LINE_FIELDS = ("sku", "barcode", "unit", "quantity", "unit_price", "line_total")


@dataclass(frozen=True, slots=True)
class Field:
    """Where one of our fields stands: at the first of `paths` that says anything.

    `unit`: of money "fen" or "yuan", of times "s", "ms" or "text"; "": the mapping's. `adds`: money
    that is the sum of all that stand at its paths. `among`: of a flag, the values that raise it;
    and one of several values is enough.
    """

    paths: tuple[str, ...]
    unit: str = ""
    adds: bool = False
    among: tuple[str, ...] = ("1", "true", "True")

    @classmethod
    def at(cls, *paths: str, unit: str = "", among: tuple[str, ...] = ()) -> "Field":
        """At the first of these; of a flag, raised by the values `among`."""
        return cls(paths, unit, among=among) if among else cls(paths, unit)

    @classmethod
    def sum(cls, *paths: str, unit: str = "") -> "Field":
        """The sum of all that stand there."""
        return cls(paths, unit, adds=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How one platform's payloads are read.

    `format`: "json", "form" (fields, some of them JSON) or "csv" (a header, then a row a line; the
    rows of an order_id are one order, whose own fields its first row says). `orders`: the path of
    the orders in a payload; "": it is one itself, or a list of them. `lines`: in an order. `datum`:
    of places, unless `datums` has one for what stands at the order's field `datum`. `zone`: whose
    clocks times without an offset are read on, and whose days are meant by "same day". `types`: the
    order type by the platform's code; `default_type` where no rule of `classify` finds another.
    """

    name: str
    channel: str
    format: str = "json"
    encoding: str = "utf-8"
    orders: str = ""
    lines: str = "lines[*]"
    money: str = "fen"
    times: str = "s"
    zone: str = "Asia/Shanghai"
    datum: Datum = Datum.GCJ02
    datums: Tables[str, Datum] = field(default_factory=dict)
    default_type: OrderType = OrderType.UNSPECIFIED
    types: Tables[str, OrderType] = field(default_factory=dict)
    order: Tables[str, Field] = field(default_factory=dict)
    line: Tables[str, Field] = field(default_factory=dict)


# -- TOML ----------------------------------------------------------------------------------------

KEYS = tuple(one.name for one in fields(Mapping) if one.name != "name")
FIELD_KEYS = ("path", "unit", "add", "among")


def mappings(
    tables: Tables[str, Any], known: Tables[str, Mapping], where: str = ""
) -> dict[str, Mapping]:
    """The `known` mappings with those of a file's ``[mapping.NAME]`` tables over them.

    A table with the name of a known one changes what it says; `like` begins from another. Raises
    InvalidInputError naming file (`where`) and key.
    """
    found = dict(known)
    _check_table(tables, "mapping", where)
    for name, table in tables.items():
        found[name] = _Reader(f"mapping.{name}", where).mapping(name, table, found)
    return found


def _check_table(value: Any, key: str, where: str) -> None:
    if not isinstance(value, dict):
        refuse(Fault.WRONG_TYPE, key, value, where=where, hint="must be a table")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one table; `prefix` is its key."""

    prefix: str
    where: str

    def mapping(self, name: str, table: Any, known: Tables[str, Mapping]) -> Mapping:
        _check_table(table, self.prefix, self.where)
        like = self.choice("like", table.get("like", name), {**known, name: None})
        base = known.get(like) or Mapping(name=name, channel=name.lower())
        given: dict[str, Any] = {"name": name}
        for key, value in table.items():
            if key != "like":
                self.known(key, KEYS)
                given[key] = self.value(key, value, base)
        mapping = replace(base, **given)
        for part, required in (("order", "order_id"), ("line", "quantity")):
            if required not in getattr(mapping, part):
                self.refuse(Fault.MISSING, f"{part}.{required}", None, "no order is without it")
        return mapping

    def value(self, key: str, value: Any, base: Mapping) -> Any:
        match key:
            case "order" | "line":
                _check_table(value, f"{self.prefix}.{key}", self.where)
                names = ORDER_FIELDS if key == "order" else LINE_FIELDS
                return {**getattr(base, key), **self.fields(key, value, names)}
            case "types" | "datums":
                _check_table(value, f"{self.prefix}.{key}", self.where)
                read = self.order_type if key == "types" else self.datum
                return {code: read(f"{key}.{code}", one) for code, one in value.items()}
            case "datum":
                return self.datum(key, value)
            case "default_type":
                return self.order_type(key, value)
        if not isinstance(value, str):
            self.refuse(Fault.WRONG_TYPE, key, value, "must be a string")
        allowed = {"format": FORMATS, "money": tuple(MONEY_UNITS), "times": TIME_UNITS}.get(key)
        if allowed is not None:
            self.choice(key, value, allowed)
        self.check_name(key, value)
        return value

    def check_name(self, key: str, value: str) -> None:
        try:
            if key == "zone":
                ZoneInfo(value)
            elif key == "encoding":
                "".encode(codecs.lookup(value).name)
        except (LookupError, ZoneInfoNotFoundError, ValueError, OSError):
            kind = "a time zone" if key == "zone" else "an encoding of texts"
            self.refuse(Fault.OUT_OF_RANGE, key, value, f"must be {kind}")

    def fields(self, key: str, table: Any, names: tuple[str, ...]) -> dict[str, Field]:
        found = {}
        for name, value in table.items():
            self.known(f"{key}.{name}", tuple(f"{key}.{one}" for one in names))
            found[name] = self.field(f"{key}.{name}", name, value)
        return found

    def field(self, key: str, name: str, value: Any) -> Field:
        if not isinstance(value, dict):
            return Field(self.texts(key, value))
        for one in value:
            self.known(f"{key}.{one}", tuple(f"{key}.{each}" for each in FIELD_KEYS))
        if ("path" in value) == ("add" in value):
            self.refuse(Fault.MISSING, f"{key}.path", None, "give either path or add")
        adds = "add" in value
        if adds and name not in MONEY:
            self.refuse(Fault.OUT_OF_RANGE, f"{key}.add", value["add"], "only money is added up")
        paths = self.texts(f"{key}.{'add' if adds else 'path'}", value["add" if adds else "path"])
        unit = value.get("unit", "")
        if "unit" in value:
            units = tuple(MONEY_UNITS) if name in MONEY else TIME_UNITS if name in TIMES else ()
            self.choice(f"{key}.unit", unit, units)
        if "among" not in value:
            return Field(paths, unit, adds)
        return Field(paths, unit, adds, self.texts(f"{key}.among", value["among"]))

    # -- VALUES ----------------------------------------------------------------------------------

    def texts(self, key: str, value: Any) -> tuple[str, ...]:
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in found):
            self.refuse(Fault.WRONG_TYPE, key, value, "must be a string, or some")
        return tuple(found)

    def order_type(self, key: str, value: Any) -> OrderType:
        return OrderType[self.choice(key, value, OrderType.__members__)]

    def datum(self, key: str, value: Any) -> Datum:
        return Datum(self.choice(key, value, tuple(datum.value for datum in Datum)))

    def choice(self, key: str, value: Any, allowed: Any) -> str:
        if not isinstance(value, str):
            self.refuse(Fault.WRONG_TYPE, key, value, "must be a string")
        if value not in allowed:
            hint = f"must be one of {', '.join(allowed)}" if allowed else "it has no unit"
            self.refuse(Fault.OUT_OF_RANGE, key, value, hint + did_you_mean(value, allowed))
        return value

    def known(self, key: str, names: tuple[str, ...]) -> None:
        if key not in names:
            hint = "there is no such key" + did_you_mean(key, names)
            self.refuse(Fault.BAD_FILE, key, None, hint)

    def refuse(self, fault: Fault, key: str, value: Any, hint: str) -> NoReturn:
        refuse(fault, f"{self.prefix}.{key}", value, where=self.where, hint=hint)
