"""Single values of payloads as ours: texts, fen, nanoseconds, pieces, degrees, flags.

Each function takes what a tree holds (str, int, Decimal, bool, None, dict, list) and raises
UnreadableError without a field, which who calls knows. None and "" are what was not sent.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import partial
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from fendan.engine.batch import MOST_AMOUNT
from fendan.engine.network import is_usable_id
from fendan.intake.payload import Breakage, UnreadableError
from fendan.intake.received import NOT_SAID
from fendan.times import EPOCH, NS_PER_S

__all__ = ["MONEY_UNITS", "TIME_UNITS", "degrees", "money_in", "pieces", "text", "tier", "time_in"]

# The core counts pieces in 32 bits.
MOST_PIECES = 2**31 - 1

# Nanoseconds in 64 bits last until 2262; orders are placed and promised well before.
END_S = 9_000_000_000

MOST_TIER = 9

MOST_NUMBER_CHARACTERS = 40
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
CENT = Decimal(1)

# Beyond it arithmetic itself would fail, or take for ever.
MOST_EXPONENT = 30


def _wrong_type(hint: str) -> NoReturn:
    raise UnreadableError(Breakage.FIELD_TYPE, hint=hint)


def _out_of_range(hint: str) -> NoReturn:
    raise UnreadableError(Breakage.FIELD_RANGE, hint=hint)


def text(value: Any) -> str:
    """An id, a code or a name, without spaces around it; "" where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        _wrong_type("must be a text or a number")
    found = str(value).strip()
    if found and not is_usable_id(found):
        hint = "must be at most 255 bytes of UTF-8 without NUL or U+001F"
        raise UnreadableError(Breakage.FIELD_TEXT, hint=hint)
    return found


def _number(value: Any) -> Decimal | int | None:
    if isinstance(value, str):
        value = value.strip()
        if not value:
            return None
        if len(value) > MOST_NUMBER_CHARACTERS or not NUMBER.fullmatch(value):
            _wrong_type("must be a number")
        value = Decimal(value)
    if (
        isinstance(value, Decimal)
        and value
        and not -MOST_EXPONENT < value.adjusted() < MOST_EXPONENT
    ):
        _out_of_range("must be a number that anything can be counted by")
    if value is None or (isinstance(value, (int, Decimal)) and not isinstance(value, bool)):
        return value
    _wrong_type("must be a number")


def _whole(number: Decimal | int, most: int, hint: str) -> int:
    """A number without a fraction, from -most to most."""
    if not -most <= number <= most:
        _out_of_range(f"must be from -{most:,} to {most:,}")
    if isinstance(number, Decimal) and number != number.to_integral_value():
        _wrong_type(hint)
    return int(number)


# -- MONEY AND PIECES ----------------------------------------------------------------------------


def _fen(value: Any) -> int:
    number = _number(value)
    return NOT_SAID if number is None else _whole(number, MOST_AMOUNT, "fen have no fractions")


def _yuan(value: Any) -> int:
    """In fen; goods by weight cost fractions of a fen, which are rounded, half away from zero."""
    number = _number(value)
    if number is None:
        return NOT_SAID
    if not -MOST_AMOUNT <= number * 100 <= MOST_AMOUNT:
        _out_of_range(f"must be from -{MOST_AMOUNT // 100:,} to {MOST_AMOUNT // 100:,} yuan")
    return int((Decimal(number) * 100).quantize(CENT, rounding=ROUND_HALF_UP))


MONEY_UNITS: dict[str, Callable[[Any], int]] = {"fen": _fen, "yuan": _yuan}


def money_in(unit: str) -> Callable[[Any], int]:
    """How money in this unit becomes fen; NOT_SAID where there is none."""
    return MONEY_UNITS[unit]


def pieces(value: Any) -> int:
    """A number of pieces; NOT_SAID where there is none. Below zero, too: rules judge that."""
    number = _number(value)
    return NOT_SAID if number is None else _whole(number, MOST_PIECES, "pieces are not divided")


def tier(value: Any) -> int:
    """A member tier, 0 to 9; what is higher is 9."""
    number = _number(value)
    return 0 if number is None else max(0, min(MOST_TIER, _whole(number, 2**31, "no fractions")))


def degrees(value: Any) -> float:
    """A latitude or longitude; NaN for what is no number, which rules then hold."""
    try:
        number = _number(value)
        return float("nan") if number is None else float(number)
    except (UnreadableError, OverflowError, InvalidOperation):
        return float("nan")


# -- TIMES ---------------------------------------------------------------------------------------


def _since_1970(ns_per_unit: int, value: Any) -> int:
    """Seconds or milliseconds since 1970; 0 says, on all platforms, that there is no time."""
    number = _number(value)
    if not number:
        return NOT_SAID
    if not 0 <= number * ns_per_unit <= END_S * NS_PER_S:
        _out_of_range("must be a time from 1970 to 2255")
    return int(number * ns_per_unit)


def _written(zone: ZoneInfo, value: Any) -> int:
    """``2026-11-22 14:05:00`` or ISO 8601; on the zone's clocks unless it names an offset."""
    if value is None or value == "":
        return NOT_SAID
    if not isinstance(value, str) or len(value) > MOST_NUMBER_CHARACTERS:
        _wrong_type("must be a time such as 2026-11-22 14:05:00")
    try:
        moment = datetime.fromisoformat(value.strip().replace("/", "-"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        since = moment.astimezone(UTC) - EPOCH
    except (ValueError, OverflowError):
        _wrong_type("must be a time such as 2026-11-22 14:05:00")
    if not timedelta() <= since <= timedelta(seconds=END_S):
        _out_of_range("must be a time from 1970 to 2255")
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1_000


TIME_UNITS = ("s", "ms", "text")


def time_in(unit: str, zone: ZoneInfo) -> Callable[[Any], int]:
    """How times in this unit become nanoseconds since 1970, UTC; NOT_SAID where there is none."""
    if unit == "text":
        return partial(_written, zone)
    return partial(_since_1970, NS_PER_S if unit == "s" else NS_PER_S // 1_000)
