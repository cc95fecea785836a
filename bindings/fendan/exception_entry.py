"""What stands in the exception queue: an order that nobody fills yet, and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

from fendan.engine.asking import HIGHEST_PRIORITY
from fendan.engine.geo import Datum
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.engine.router import Reason
from fendan.errors import Fault, refuse
from fendan.model import Order
from fendan.rules import OrderType
from fendan.times import NEVER_NS

__all__ = [
    "APPROVED",
    "EXPIRED",
    "HIGHEST_PRIORITY",
    "MOST_RAW_BYTES",
    "ExceptionEntry",
    "ExceptionKind",
    "checked",
    "cut",
    "entry_of",
    "text_of",
]

# An order of a hundred lines as a platform sends it has some 20 kB: enough to see what is wrong.
MOST_RAW_BYTES = 16 * 1024

EXPIRED = "EXPIRED"
"""The reason of what no store accepted in time."""

APPROVED = "APPROVED"
"""Among the codes of what a person had routed after all."""


class ExceptionKind(IntEnum):
    """What an order in the queue waits for."""

    WAITING = 1
    """For stock, a store or room: it is tried again by itself."""
    HELD = 2
    """For a person to look at it."""
    REJECTED = 3
    """For nothing: a rule would not have it, and a person has yet to close it."""
    BROKEN = 4
    """For nothing: what came could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionEntry:
    """One order of the queue. Times are nanoseconds since 1970, UTC.

    `id`: the order's; of what could not be read, one that whoever took it in has made. `reason`:
    the name of a `Reason`, or a rule's code; `codes`: whatever else was found. `since_ns`: when it
    came, which is its age. `order`: as it is to be routed; None where it could not be read, or
    where the engine remembers what it asked for. `store_id`: the last store that would not have it,
    or "". `priority`: 0 to 9, the highest first. `attempts`: how often it was tried again since the
    engine was opened; `next_try_ns`: not before then, None: whenever something changes that could
    fill it. `raw`: what came, at most 16 KiB, and where it was cut off, that.
    """

    id: str
    kind: ExceptionKind
    reason: str
    since_ns: int = 0
    order: Order | None = None
    channel: str = ""
    store_id: str = ""
    priority: int = 0
    attempts: int = 0
    next_try_ns: int | None = None
    codes: tuple[str, ...] = ()
    raw: str = ""

    @property
    def was_held_back(self) -> bool:
        """Whether whoever took the order in put it here, and the engine has not been asked yet."""
        return self.reason not in (*Reason.__members__, EXPIRED) and APPROVED not in self.codes


# -- CHECKS ------------------------------------------------------------------------------------


def checked(entry: ExceptionEntry, row: int | None = None) -> ExceptionEntry:
    """An entry that somebody else has made, if it can be one. Raises InvalidInputError."""
    if not isinstance(entry, ExceptionEntry):
        refuse(Fault.WRONG_TYPE, "entries", entry, row=row, hint="must be a fendan.ExceptionEntry")
    if not is_usable_id(entry.id):
        refuse(Fault.BAD_ID, "entries.id", entry.id, row=row, hint=ID_HINT)
    if entry.kind not in tuple(ExceptionKind)[1:]:
        hint = "must be HELD, REJECTED or BROKEN; an order that was routed waits by itself"
        refuse(Fault.OUT_OF_RANGE, "entries.kind", entry.kind, row=row, hint=hint)
    if not is_usable_id(entry.reason):
        refuse(Fault.BAD_ID, "entries.reason", entry.reason, row=row, hint=ID_HINT)
    if not isinstance(entry.priority, int) or not 0 <= entry.priority <= HIGHEST_PRIORITY:
        hint = f"must be a whole number from 0 to {HIGHEST_PRIORITY}"
        refuse(Fault.OUT_OF_RANGE, "entries.priority", entry.priority, row=row, hint=hint)
    for name in ("channel", "store_id"):
        if not _is_text(getattr(entry, name)):
            value = getattr(entry, name)
            refuse(Fault.WRONG_TYPE, f"entries.{name}", value, row=row, hint="must be text")
    if not isinstance(entry.raw, str):  # of which is kept what can be
        refuse(Fault.WRONG_TYPE, "entries.raw", entry.raw, row=row, hint="must be text")
    if entry.order is not None:
        _check_order(entry.id, entry.order, row)
    if not isinstance(entry.codes, tuple) or not all(map(_is_text, entry.codes)):
        refuse(Fault.WRONG_TYPE, "entries.codes", entry.codes, row=row, hint="must be texts")
    if not isinstance(entry.since_ns, int) or not 0 <= entry.since_ns < NEVER_NS:
        hint = "must be nanoseconds since 1970, or 0"
        refuse(Fault.OUT_OF_RANGE, "entries.since_ns", entry.since_ns, row=row, hint=hint)
    return entry


def _check_order(name: str, order: Order, row: int | None) -> None:
    """Refuse what cannot be written down, and read again; whether it can be routed is seen then."""
    if not isinstance(order, Order):
        refuse(Fault.WRONG_TYPE, "entries.order", order, row=row, hint="must be a fendan.Order")
    if order.id != name:
        hint = f"the order's is {order.id!r}"
        refuse(Fault.OUT_OF_RANGE, "entries.id", name, row=row, hint=hint)
    try:
        text = _ENCODER.encode(_order_said(order))
        text.encode()
        _order_of(name, json.loads(text))
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        hint = f"it cannot be written as JSON: {error}"
        refuse(Fault.WRONG_TYPE, "entries.order", order, row=row, hint=hint)


def _is_text(value: object) -> bool:
    """Whether it can be written as UTF-8."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def cut(raw: str, came_bytes: int = 0) -> str:
    """As much of a text as is kept, and can be written as UTF-8; what was cut off says so.

    `came_bytes`: how many came, where the text is not what came.
    """
    data = raw[: MOST_RAW_BYTES + 1].encode(errors="replace")
    if len(data) <= MOST_RAW_BYTES:
        return data.decode()
    came_bytes = came_bytes or len(raw.encode(errors="replace"))
    mark = f"… (cut off: {came_bytes:,} bytes came)"
    return data[: MOST_RAW_BYTES - len(mark.encode())].decode(errors="ignore") + mark


# -- AS TEXT -----------------------------------------------------------------------------------

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_FIELDS = {field.name: field.default for field in fields(ExceptionEntry)}
_ORDER_FIELDS = {field.name: field.default for field in fields(Order)}


def text_of(entry: ExceptionEntry) -> str:
    """An entry as JSON: what differs from the defaults, without the id, which is its name."""
    said = {
        name: getattr(entry, name)
        for name, default in _FIELDS.items()
        if name not in ("id", "order") and getattr(entry, name) != default
    }
    if entry.order is not None:
        said["order"] = _order_said(entry.order)
    return _ENCODER.encode(said)


def entry_of(name: str, text: str) -> ExceptionEntry:
    """The entry that a text tells of."""
    said: dict[str, Any] = json.loads(text)
    said["kind"] = ExceptionKind(said["kind"])
    said["codes"] = tuple(said.get("codes", ()))
    if "order" in said:
        said["order"] = _order_of(name, said["order"])
    return ExceptionEntry(id=name, **said)


def _order_said(order: Order) -> dict[str, Any]:
    said = {
        name: getattr(order, name)
        for name, default in _ORDER_FIELDS.items()
        if name not in ("id", "lines") and getattr(order, name) != default
    }
    if order.datum is not None:
        said["datum"] = order.datum.value
    return {**said, "lines": [list(line) for line in order.lines]}


def _order_of(name: str, said: Mapping[str, Any]) -> Order:
    return Order(
        **{
            **said,
            "id": name,
            "lines": tuple(tuple(line) for line in said["lines"]),
            "datum": None if said.get("datum") is None else Datum(said["datum"]),
            "order_type": OrderType(said.get("order_type", OrderType.UNSPECIFIED)),
        }
    )
