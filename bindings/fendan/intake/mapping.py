"""Mappings: where in a platform's payload each of our fields stands, and what it is counted in.

A mapping is a value; `adapter` reads payloads by it. Built-in ones are in `platforms`; a chain
changes them, or writes its own, in a file (see `mapping_file`).
"""

from collections.abc import Mapping as Tables
from dataclasses import dataclass, field

from fendan.engine.geo import Datum
from fendan.rules import OrderType

__all__ = [
    "FLAGS",
    "FORMATS",
    "LINE_FIELDS",
    "MONEY",
    "ORDER_FIELDS",
    "TIMES",
    "Field",
    "Mapping",
]

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
