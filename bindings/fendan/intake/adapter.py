"""Payloads to columns: every order that can be read, and for all others why not."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fendan.engine.geo import Datum, convert
from fendan.intake import values
from fendan.intake.classify import Facts, day_of, order_types
from fendan.intake.mapping import FLAGS, MONEY, TIMES, Field
from fendan.intake.mapping import Mapping as FieldMapping
from fendan.intake.payload import (
    MOST_PAYLOAD_BYTES,
    Breakage,
    Broken,
    RawPayload,
    UnreadableError,
)
from fendan.intake.received import NOT_SAID, Received
from fendan.intake.tree import EACH, Path, form_tree, json_tree, opened, rows_of, text_of
from fendan.rules import OrderType
from fendan.times import NS_PER_HOUR, NS_PER_S, S_PER_HOUR
from fendan.wall_clock import offset_s_of

__all__ = ["Adapted", "Adapter"]

# A page of orders as platforms answer with has at most 100.
MOST_ORDERS = 1_000

# The largest real basket has 1,110 lines.
MOST_LINES = 10_000

Getter = Callable[[Any], Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """What some payloads came to: the orders that could be read, and what could not."""

    received: Received
    broken: list[Broken]


class Adapter:
    """Reads payloads by the mappings of their platforms.

    `mappings`: by the name that payloads have as their platform. `datum`: of the engine; places are
    converted to it.
    """

    def __init__(self, mappings: Mapping[str, FieldMapping], datum: Datum) -> None:
        self._sources = {name: _Source(mapping) for name, mapping in mappings.items()}
        self._datum = datum

    def adapt(self, payloads: Sequence[RawPayload]) -> Adapted:
        """All of them; never raises for what a payload holds. Numbers count from the first."""
        rows: list[Row] = []
        broken: list[Broken] = []
        for number, payload in enumerate(payloads):
            try:
                self._read(number, payload, rows, broken)
            except UnreadableError as error:
                broken.append(_broken(number, error))
        return Adapted(_received(rows, self._datum), broken)

    def _read(
        self, number: int, payload: RawPayload, rows: list[Row], broken: list[Broken]
    ) -> None:
        source = self._sources.get(payload.platform)
        if source is None:
            raise UnreadableError(Breakage.UNKNOWN_PLATFORM)
        for order, lines in source.orders_in(payload.data):
            order_id = ""
            try:
                order_id = source.order_id(order)
                row = source.row(order, lines)
            except UnreadableError as error:
                broken.append(_broken(number, error, order_id))
            else:
                row |= {"order_id": order_id, "payload": number, "platform": payload.platform}
                rows.append(row)


def _broken(number: int, error: UnreadableError, order_id: str = "") -> Broken:
    return Broken(
        payload=number, code=error.code, order_id=order_id, field=error.field, hint=error.hint
    )


# -- ONE PLATFORM --------------------------------------------------------------------------------


class _Source:
    """A mapping made ready to read by."""

    def __init__(self, mapping: FieldMapping) -> None:
        self.mapping = mapping
        self._zone = ZoneInfo(mapping.zone)
        self._orders = Path.of(mapping.orders)
        lines = mapping.lines if EACH in mapping.lines else mapping.lines + EACH
        self._list, self._each = Path.of(lines).split()
        self._order = self._getters(mapping.order)
        self._id = {"order_id": self._order.pop("order_id")}
        self._line = self._getters(mapping.line)

    def orders_in(self, data: bytes) -> Iterator[tuple[Any, list[Any] | None]]:
        """The orders of a payload, and the lines of each where these are no part of it."""
        if len(data) > MOST_PAYLOAD_BYTES:
            hint = f"{len(data):,} bytes, and {MOST_PAYLOAD_BYTES:,} are the most"
            raise UnreadableError(Breakage.TOO_LARGE, hint=hint)
        text = text_of(data, self.mapping.encoding)
        if self.mapping.format == "csv":
            by_id: dict[str, list[Any]] = defaultdict(list)
            for row in rows_of(text):
                by_id[self._id_of(row)].append(row)
            found: list[Any] = [(rows[0], rows) for rows in by_id.values()]
        else:
            is_form = self.mapping.format == "form" and not text.lstrip().startswith(("{", "["))
            tree = form_tree(text) if is_form else json_tree(text)
            at = list(self._orders.all(tree)) or [tree]
            found = [
                (opened(one), None)
                for part in map(opened, at)
                for one in (part if isinstance(part, list) else [part])
            ]
        if len(found) > MOST_ORDERS:
            hint = f"{len(found):,} orders, and {MOST_ORDERS:,} are the most"
            raise UnreadableError(Breakage.TOO_LARGE, hint=hint)
        if not found:
            raise UnreadableError(Breakage.NO_ORDER, self.mapping.orders)
        yield from found

    def order_id(self, order: Any) -> str:
        """The id of an order, without which it is none."""
        if not isinstance(order, dict):
            raise UnreadableError(Breakage.NO_ORDER, self.mapping.orders)
        found = self._id_of(order)
        if not found:
            field = self.mapping.order["order_id"].paths[0]
            raise UnreadableError(Breakage.FIELD_MISSING, field)
        return found

    def _id_of(self, order: Any) -> str:
        return str(self._values(self._id, self.mapping.order, order)["order_id"])

    def row(self, order: Any, lines: list[Any] | None) -> Row:
        """All that an order says beside its id, in our words and units."""
        row = self._values(self._order, self.mapping.order, order)
        row["channel"] = row.get("channel") or self.mapping.channel
        row["datum"] = self.mapping.datums.get(row.get("datum", ""), self.mapping.datum)
        row["order_type"] = self._type_of(row)
        row["lines"] = [self._line_of(line) for line in self._lines(order, lines)]
        return row

    def _lines(self, order: Any, lines: list[Any] | None) -> list[Any]:
        if lines is None:
            field = self.mapping.lines
            found = opened(self._list.first(order))
            if found is None:
                raise UnreadableError(Breakage.FIELD_MISSING, field)
            if not isinstance(found, (list, dict)):
                raise UnreadableError(Breakage.FIELD_TYPE, field, "must be a list")
            lines = list(map(opened, self._each.all(found)))
            if not all(isinstance(line, dict) for line in lines):
                raise UnreadableError(Breakage.FIELD_TYPE, field, "must be a list of objects")
        if len(lines) > MOST_LINES:
            hint = f"{len(lines):,} lines, and {MOST_LINES:,} are the most"
            raise UnreadableError(Breakage.TOO_LARGE, hint=hint)
        return lines

    def _line_of(self, line: Any) -> Row:
        row = self._values(self._line, self.mapping.line, line)
        if row["quantity"] == NOT_SAID:
            field = self.mapping.line["quantity"].paths[0]
            raise UnreadableError(Breakage.FIELD_MISSING, field)
        return row

    def _type_of(self, row: Row) -> Row:
        """What `classify` wants to know of it."""
        placed, until = row.get("placed", NOT_SAID), row.get("promised_until", NOT_SAID)
        is_promised = NOT_SAID not in (placed, until) and until >= placed
        offset_ns = _offset_ns(self._zone, placed // NS_PER_HOUR) if is_promised else 0
        days = day_of(until, offset_ns) - day_of(placed, offset_ns)
        return {
            "presale": row.get("presale", False),
            "group": row.get("group", False) or bool(row.get("group_id")),
            "pickup": row.get("pickup", False),
            "by_code": self.mapping.types.get(row.get("type_code", ""), OrderType.UNSPECIFIED),
            "within_ns": until - placed if is_promised else -1,
            "days": days if is_promised else -1,
            "default": self.mapping.default_type,
        }

    # -- FIELDS ----------------------------------------------------------------------------------

    def _values(self, getters: Mapping[str, Getter], table: Mapping[str, Field], tree: Any) -> Row:
        """All that a table of fields finds in a tree; what is wrong is named."""
        row: Row = {}
        name = ""
        try:
            for name, get in getters.items():
                row[name] = get(tree)
        except UnreadableError as error:
            field = error.field or table[name].paths[0]
            raise UnreadableError(error.code, field, error.hint) from None
        return row

    def _getters(self, table: Mapping[str, Field]) -> dict[str, Getter]:
        return {name: self._getter(name, field) for name, field in table.items()}

    def _getter(self, name: str, field: Field) -> Getter:
        is_flat = self.mapping.format == "csv"
        paths = [Path.of(path, is_flat=is_flat) for path in field.paths]
        if name in FLAGS:
            among = frozenset(field.among)
            return lambda tree: any(
                _plain(value) in among for path in paths for value in path.all(tree)
            )
        read = self._reading(name, field)
        if field.adds:
            return lambda tree: _sum(read(value) for path in paths for value in path.all(tree))

        def first(tree: Any) -> Any:
            for path in paths:
                value = path.first(tree)
                if value is not None:
                    return read(value)
            return read(None)

        return first

    def _reading(self, name: str, field: Field) -> Getter:
        if name in MONEY:
            return values.money_in(field.unit or self.mapping.money)
        if name in TIMES:
            return values.time_in(field.unit or self.mapping.times, self._zone)
        by_name: dict[str, Getter] = {
            "lat": values.degrees,
            "lng": values.degrees,
            "quantity": values.pieces,
            "member_tier": values.tier,
        }
        return by_name.get(name, values.text)


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _sum(amounts: Iterator[int]) -> int:
    said = [amount for amount in amounts if amount != NOT_SAID]
    return sum(said) if said else NOT_SAID


@lru_cache(maxsize=4096)
def _offset_ns(zone: ZoneInfo, hour: int) -> int:
    """How far the zone's clocks are ahead of UTC in an hour since 1970."""
    return offset_s_of(zone, hour * S_PER_HOUR) * NS_PER_S


# -- COLUMNS -------------------------------------------------------------------------------------


def _received(rows: list[Row], datum: Datum) -> Received:
    """The rows of all platforms as columns."""
    types = _types(rows)
    for row, order_type in zip(rows, types.tolist(), strict=True):
        # A store that a delivered order was shown at does not bind it, and only presales wait.
        if order_type not in (OrderType.PICKUP, OrderType.GROUP):
            row["pickup_store_id"] = ""
        if order_type != OrderType.PRESALE:
            row["presale_ship"] = NOT_SAID
    lines = [line for row in rows for line in row["lines"]]
    lat, lng = _places(rows, datum)
    sizes = np.array([len(row["lines"]) for row in rows], dtype=np.int64)

    def texts(name: str, of: list[Row]) -> list[str]:
        return [row.get(name, "") for row in of]

    def numbers(name: str, of: list[Row]) -> NDArray[np.int64]:
        return np.array([row.get(name, NOT_SAID) for row in of], dtype=np.int64)

    return Received(
        order_ids=texts("order_id", rows),
        platforms=texts("platform", rows),
        channels=texts("channel", rows),
        order_type=types,
        lat=lat,
        lng=lng,
        placed_ns=numbers("placed", rows),
        promised_from_ns=numbers("promised_from", rows),
        promised_until_ns=numbers("promised_until", rows),
        presale_ship_ns=numbers("presale_ship", rows),
        pickup_store_ids=texts("pickup_store_id", rows),
        group_ids=texts("group_id", rows),
        regions=texts("region", rows),
        buyer_ids=texts("buyer_id", rows),
        address_ids=texts("address_id", rows),
        member_tier=np.array([row.get("member_tier", 0) for row in rows], dtype=np.int8),
        item_total=numbers("item_total", rows),
        order_total=numbers("order_total", rows),
        other_charges=numbers("other_charges", rows),
        discount=numbers("discount", rows),
        payload=numbers("payload", rows),
        line_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        skus=texts("sku", lines),
        barcodes=texts("barcode", lines),
        units=texts("unit", lines),
        quantity=numbers("quantity", lines),
        unit_price=numbers("unit_price", lines),
        line_total=numbers("line_total", lines),
    )


def _types(rows: list[Row]) -> NDArray[np.int8]:
    kinds = {"by_code": np.int8, "default": np.int8, "within_ns": np.int64, "days": np.int64}
    return order_types(
        Facts(
            **{
                field.name: np.array(
                    [row["order_type"][field.name] for row in rows],
                    dtype=kinds.get(field.name, np.bool_),
                )
                for field in fields(Facts)
            }
        )
    )


def _places(rows: list[Row], datum: Datum) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where orders go, in the engine's datum; what is nowhere on earth stays as it is."""
    nan = float("nan")
    lat = np.array([row.get("lat", nan) for row in rows], dtype=np.float64)
    lng = np.array([row.get("lng", nan) for row in rows], dtype=np.float64)
    by_datum: dict[Datum, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_datum[row["datum"]].append(number)
    for source, numbers in by_datum.items():
        if source is not datum:
            at = np.array(numbers)
            lat[at], lng[at] = convert(lat[at], lng[at], source, datum)
    return lat, lng
