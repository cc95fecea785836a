"""What a platform sent, as it came: kept for whoever has to look at it, masked for the log."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from fendan import columns
from fendan.engine.network import is_usable_id
from fendan.errors import Fault, refuse
from fendan.exception_entry import MOST_RAW_BYTES, cut
from fendan.times import NEVER_NS

__all__ = [
    "MOST_PAYLOAD_BYTES",
    "Breakage",
    "Broken",
    "RawPayload",
    "UnreadableError",
    "checked_payloads",
    "masked",
]

# The largest basket in the real order lines has 1,110 of them, some 300 kB as platforms write them.
MOST_PAYLOAD_BYTES = 1024 * 1024

# Enough to tell payloads apart.
DIGEST_CHARACTERS = 12

# What a log line shows of it.
MOST_SHOWN = 400


class Breakage(Enum):
    """Why nothing, or not this order, could be read from a payload."""

    UNKNOWN_PLATFORM = "no mapping has this name"
    TOO_LARGE = "more bytes, orders or lines than any payload has"
    BAD_ENCODING = "bytes that are no text in the mapping's encoding"
    BAD_SYNTAX = "no JSON, form or CSV"
    TOO_DEEP = "nested too deeply"
    DUPLICATE_KEY = "one key twice in one object, and which is meant nobody knows"
    NO_ORDER = "readable, but there is no order where the mapping looks for it"
    FIELD_MISSING = "a field that no order can do without"
    FIELD_TYPE = "a field that is not of the kind it must be, such as half a piece"
    FIELD_RANGE = "a number or time beyond what can be counted"
    FIELD_TEXT = "a text that no id can be: too long, or with characters that none has"


class UnreadableError(Exception):
    """Raised while a payload is read, and always caught by whoever adapts it."""

    def __init__(self, code: Breakage, field: str = "", hint: str = "") -> None:
        super().__init__(code.name, field, hint)
        self.code = code
        self.field = field
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPayload:
    """The bytes that a platform sent: one order, or several.

    `platform`: the name of a mapping, such as MEITUAN. `received_ns`: when they came, nanoseconds
    since 1970, UTC; None: just now.
    """

    platform: str
    data: bytes
    received_ns: int | None = None

    def kept(self) -> str:
        """The text to be kept of it, at most 16 KiB, whatever its bytes are; see `cut`."""
        text = self.data[: MOST_RAW_BYTES + 1].decode("utf-8", "backslashreplace")
        text = text.replace("\0", "\\x00").replace("\x1f", "\\x1f")
        return cut(text, len(self.data))

    def name(self, order_id: str = "") -> str:
        """What an exception is called that has no id of its own: of the same bytes, the same.

        A broken copy of an order must not take the place of the order itself.
        """
        data = self.platform.encode(errors="replace") + b"\0" + self.data
        digest = hashlib.sha256(data).hexdigest()[:DIGEST_CHARACTERS]
        name = f"{order_id or 'payload'}~{digest}"
        return name if is_usable_id(name) else f"payload~{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A payload, or one order of it, that could not be read.

    `payload`: its number. `order_id`: "" where not even that could be read. `field`: the path of
    what was wrong, as the platform calls it, or "". `hint` holds nothing of the payload itself.
    """

    payload: int
    code: Breakage
    order_id: str = ""
    field: str = ""
    hint: str = ""


def checked_payloads(payloads: Iterable[RawPayload]) -> list[RawPayload]:
    """Payloads that may hold anything, but are payloads. Raises InvalidInputError."""
    rows = columns.rows("payloads", payloads)
    for row, payload in enumerate(rows):
        if not isinstance(payload, RawPayload):
            hint = "must be fendan.RawPayload values"
            refuse(Fault.WRONG_TYPE, "payloads", payload, row=row, hint=hint)
        for name, kind in (("platform", str), ("data", bytes)):
            value = getattr(payload, name)
            if not isinstance(value, kind):
                hint = f"must be {kind.__name__}, as it came"
                refuse(Fault.WRONG_TYPE, f"payloads[{row}].{name}", value, row=row, hint=hint)
        time_ns = payload.received_ns
        if time_ns is not None and not (isinstance(time_ns, int) and 0 <= time_ns <= NEVER_NS):
            hint = "must be nanoseconds since 1970"
            refuse(Fault.OUT_OF_RANGE, f"payloads[{row}].received_ns", time_ns, row=row, hint=hint)
    return rows


# -- LOGS ----------------------------------------------------------------------------------------

# A string that may be cut off, or a number.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|-?\d[\d.eE+-]*')

# Between tokens, all but the words and signs of JSON.
NO_JSON = re.compile(r"(?!\b(?:true|false|null)\b)[^\s{}\[\],:]+")

# What may be seen in a log: goods, counts, money and times. All that is not named here is masked,
# so that a field nobody thought of is not shown either.
SHOWN_KEY = re.compile(
    r"(order_?id|tid|sku\w*|sku_?code|upc|barcode|quantity|qty|num|count|\w*(price|fee|amount|money)"
    r"|total|\w*time|status|\w*type)",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The beginning of a payload for a log: no names, telephone numbers, places or remarks."""
    if not text.lstrip().startswith(("{", "[")):
        return f"({len(text):,} characters that are no JSON)"
    text = text[: 8 * MOST_SHOWN]
    key = ""
    parts, end = [], 0
    for token in TOKEN.finditer(text):
        parts.append(NO_JSON.sub("…", text[end : token.start()]))
        end = token.end()
        is_key = token[0].startswith('"') and text[end : end + 20].lstrip().startswith(":")
        if is_key:
            key = token[0].strip('"')
        parts.append(token[0] if is_key or SHOWN_KEY.fullmatch(key) else '"***"')
    parts.append(NO_JSON.sub("…", text[end:]))
    shown = " ".join("".join(parts).split())
    return shown[:MOST_SHOWN] + "…" if len(shown) > MOST_SHOWN else shown
