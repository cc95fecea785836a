"""Incoming supply: what is to arrive at a store on a day, and can be sold before it does.

In the core it is stock of a SKU of its own, named after the SKU and the day with U+001F in between,
which no caller may write. So it is reserved, journaled and audited as all stock is.
"""

import datetime
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fendan.engine.names import Names
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse
from fendan.times import NS_PER_S, date_of, day_of

__all__ = [
    "JOINT",
    "MOST",
    "Supplies",
    "SupplyArrays",
    "begins_ns",
    "check_quantity",
    "checked_date",
    "supply_name",
]

JOINT = "\x1f"
MOST = 2**31 - 1  # what the engine can count
MOST_NS = 2**62  # later than anything is promised, and still a time


class SupplyArrays(NamedTuple):
    """For the core: supplies of SKU code s are `first[s]:first[s + 1]` of the other two.

    `days`: since 1970, ascending for each SKU. `skus`: the codes under which the core keeps them.
    """

    first: NDArray[np.int32]
    days: NDArray[np.int32]
    skus: NDArray[np.int32]

    def of(self, sku: int) -> list[tuple[int, int]]:
        """On which days some of a SKU is to arrive, and as which code, ascending."""
        rows = slice(self.first[sku], self.first[sku + 1])
        return list(zip(self.days[rows].tolist(), self.skus[rows].tolist(), strict=True))


class Supplies:
    """Which SKU codes stand for supply; grows with the catalogue."""

    def __init__(self) -> None:
        self.of: dict[int, tuple[int, str]] = {}
        """Code -> the SKU's own code, and the day."""
        self._looked_at = 0

    def catch_up(self, skus: list[str], code_of: Names) -> None:
        """Take in the SKUs that were named since."""
        for code in range(self._looked_at, len(skus)):
            sku, joint, day = skus[code].partition(JOINT)
            if joint:
                own = code_of.get(sku)
                assert own is not None, "a SKU is named before its supply"
                self.of[code] = own, day
        self._looked_at = len(skus)

    def comes_ns(self, code: int, zone: str) -> int:
        """When the day of a supply begins at a store in a time zone."""
        _, day = self.of[code]
        return int(begins_ns([day_of(day)], [zone])[0, 0])

    def mask(self, sku_count: int) -> NDArray[np.bool_]:
        """Which of so many codes stand for supply."""
        mask = np.zeros(sku_count, dtype=np.bool_)
        mask[list(self.of)] = True
        return mask

    def arrays(self, sku_count: int) -> SupplyArrays:
        """All supplies there ever were, by SKU and day."""
        rows = sorted((own, day_of(day), code) for code, (own, day) in self.of.items())
        table = np.array(rows, dtype=np.int32).reshape(-1, 3)
        counts = np.bincount(table[:, 0], minlength=sku_count)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        days, codes = (np.ascontiguousarray(table[:, column]) for column in (1, 2))
        return SupplyArrays(first, days, codes)


def begins_ns(days: Sequence[int], zones: Collection[str]) -> NDArray[np.int64]:
    """When each of these days since 1970 begins in each of the time zones, by the clocks there."""
    begins = {
        (day, zone): datetime.datetime.fromisoformat(date_of(day))
        .replace(tzinfo=ZoneInfo(zone))
        .timestamp()
        for zone in zones
        for day in set(days)
    }
    seconds = [[begins[day, zone] for zone in zones] for day in days]
    latest_s = float(MOST_NS // NS_PER_S)
    begins_s: NDArray[np.int64] = np.clip(seconds, -latest_s, latest_s).astype(np.int64)
    return begins_s * NS_PER_S


def supply_name(sku: str, day: str) -> str:
    """What the core calls the supply of a SKU that comes on a day."""
    name = sku + JOINT + day
    if not is_usable_id(name.replace(JOINT, "-")):
        refuse(Fault.BAD_ID, "sku", sku, hint=f"with the date, {ID_HINT}")
    return name


def check_quantity(quantity: Any, field: str = "quantity") -> None:
    """Refuse how much there is, or is to arrive, where it cannot be counted."""
    hint = f"must be a whole number from 0 to {MOST}"
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        refuse(Fault.WRONG_TYPE, field, quantity, hint=hint)
    if not 0 <= quantity <= MOST:
        refuse(Fault.OUT_OF_RANGE, field, quantity, hint=hint)


def checked_date(day: Any, field: str = "date") -> str:
    """A date as it is written: "2026-12-01". Raises InvalidInputError for what is none."""
    hint = 'must be a date, such as "2026-12-01"'
    if not isinstance(day, str):
        refuse(Fault.WRONG_TYPE, field, day, hint=hint)
    try:
        if datetime.date.fromisoformat(day).isoformat() == day:
            return str(day)
    except ValueError:
        pass
    refuse(Fault.OUT_OF_RANGE, field, day, hint=hint)
