"""The engine's face for perishables: stock of which each piece has a last day to be sold."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan import columns
from fendan.columns import Column
from fendan.core import Core
from fendan.engine import perishables
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, FendanError, refuse
from fendan.hours import path
from fendan.model import Lot, Shortfall
from fendan.supplies import JOINT, MOST, check_quantity, checked_date
from fendan.times import date_of, day_of

__all__ = ["LotFace", "check_lots", "check_sku"]

NONE = np.empty(0, dtype=np.int32)
MOST_LOTS = 64  # of one pair: two months of a daily delivery
TOTAL_HINT = f"at most {MOST:,} in all"


class Days(NamedTuple):
    """Lots as the core takes them: days since 1970, ascending, and the units of each."""

    days: NDArray[np.int32]
    units: NDArray[np.int32]


class LotFace(Core):
    """Sell-by lots: what expires first is sold first, and what has expired is not sold."""

    def set_lots(self, store_id: str, sku: str, lots: Mapping[str, int]) -> list[Shortfall]:
        """Set how much of a SKU a store has of each sell-by date, "2026-12-01": all of its lots.

        In units, as stock is counted, from 0; on hand becomes their sum. At most 64 dates; with
        none the pair has no lots any more, and nothing on hand. A piece is sold up to the end of
        its date, in the store's own time; where no policy file is in force, in Asia/Shanghai.
        `set_stock`, `adjust_stock` and whoever finds less on the shelf change lots as well: what is
        missing was of the earliest, and what is more is of the last.

        Unknown SKUs are taken into the catalogue. What is reserved stays reserved, in lots as late
        as it was where there are such; where on-hand is now below it, the pair is returned as a
        Shortfall. Raises UnknownStoreError, or what names the field by its path, such as
        ``lots.2026-12-01``.
        """
        wanted = check_lots(lots)
        with self._command():
            store = self._store_code(store_id)
            sku_code, new_skus = self._sku_named(check_sku(sku))
            each = np.full(len(wanted.units), sku_code, dtype=np.int32)
            pieces = self._in_pieces(each, wanted.units, "lots")
            total = int(pieces.sum(dtype=np.int64))
            if total > MOST:
                refuse(Fault.OVERFLOW, "lots", total, hint=TOTAL_HINT)
            stores, skus, counts = (
                np.array([value], dtype=np.int32) for value in (store, sku_code, total)
            )
            self._stock.check(stores, skus, counts, len(self._stock.skus) + len(new_skus))
            if new_skus:
                self._set_on_hand(NONE, NONE, NONE, new_skus)
            if self._journal is not None:
                events = self._journal.begin(len(pieces) + 1, 0, 2)
                events.lots(store, sku_code, wanted.days, pieces)
            perishables.set_lots(self._stock, store, sku_code, wanted.days, pieces)
            return self._set_on_hand(stores, skus, counts, [])

    def set_lot_rows(
        self, stores: Column, skus: Column, dates: Column, quantities: Column
    ) -> list[Shortfall]:
        """As `set_lots`, for many pairs at once: a row for each of their lots.

        Columns of equal length: `stores` and `skus` as in `set_stock`, `dates` of texts, in any
        order. A pair that has a row has the lots of its rows from now on, and no others; pairs that
        have none keep theirs. All or none. Raises UnknownStoreError, InvalidInputError.
        """
        days = _days("dates", dates)
        units = columns.int32s("quantities", quantities)
        with self._command():
            store_codes = self._store_codes_of(stores, "stores")
            sku_codes, new_skus = columns.new_codes("skus", skus, self._stock.sku_code_of)
            self._refuse_supply("skus", sku_codes)
            lengths = (len(store_codes), len(sku_codes), len(days), len(units))
            if len(set(lengths)) > 1:
                hint = "must be equally long"
                refuse(Fault.RAGGED, "stores, skus, dates, quantities", lengths, hint=hint)
            count = len(self._stock.skus) + len(new_skus)
            self._stock.check(store_codes, sku_codes, units, count)
            pieces = self._in_pieces(sku_codes, units, "quantities")
            order = np.lexsort((days, sku_codes, store_codes))
            first = _first_rows(store_codes[order], sku_codes[order], days[order], order)
            totals = np.add.reduceat(pieces[order], first, dtype=np.int64) if len(first) else NONE
            if len(totals) and totals.max() > MOST:
                row = int(order[first[totals.argmax()]])
                refuse(Fault.OVERFLOW, "quantities", int(totals.max()), row=row, hint=TOTAL_HINT)
            if new_skus:
                self._set_on_hand(NONE, NONE, NONE, new_skus)
            pairs = store_codes[order][first], sku_codes[order][first]
            if self._journal is not None:
                events = self._journal.begin(len(order) + len(first), 0, 1 + len(first))
            self._stock.enlist(*pairs, [])  # at once, for each alone takes as long
            ends = np.append(first, len(order))[1:].tolist()
            for store, sku, start, end in zip(*pairs, first.tolist(), ends, strict=True):
                rows = order[start:end]
                if self._journal is not None:
                    events.lots(store, sku, days[rows], pieces[rows])
                perishables.set_lots(self._stock, store, sku, days[rows], pieces[rows])
            return self._set_on_hand(*pairs, totals.astype(np.int32), [])

    def lots(self, store_id: str, sku: str) -> list[Lot]:
        """The lots of a SKU in a store, by date, in pieces; none where it has none.

        Raises UnknownStoreError, UnknownSkuError.
        """
        with self._command():
            store = self._store_code(store_id)
            code = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            return [
                Lot(date=date_of(day), on_hand=on_hand, reserved=reserved)
                for day, on_hand, reserved in self._stock.lots.lots_of(store, code)
            ]

    def _sku_named(self, sku: str) -> tuple[int, list[str]]:
        """The code of a SKU, and the SKU where it is new: it will have the next code."""
        code = self._stock.sku_code_of.get(sku)
        return (len(self._stock.skus), [sku]) if code is None else (code, [])


def check_sku(sku: str) -> str:
    """Refuse what cannot be the name of a SKU."""
    if not is_usable_id(sku) or JOINT in sku:
        refuse(Fault.BAD_ID, "sku", sku, hint=ID_HINT)
    return sku


def check_lots(lots: Mapping[str, int]) -> Days:
    """Lots by date as columns by day; refuses the first that cannot be."""
    if not isinstance(lots, Mapping):
        refuse(Fault.WRONG_TYPE, "lots", lots, hint="must map dates to quantities")
    if len(lots) > MOST_LOTS:
        refuse(Fault.TOO_MANY, "lots", len(lots), hint=f"at most {MOST_LOTS} dates a pair")
    units_of = {}
    for date, units in lots.items():
        field = path("lots", date)
        day = day_of(checked_date(date, field))
        check_quantity(units, field)
        units_of[day] = units
    if units_of and min(units_of) < 0:
        refuse(Fault.OUT_OF_RANGE, path("lots", date_of(min(units_of))), hint="from 1970 on")
    days = np.array(sorted(units_of), dtype=np.int32)
    return Days(days, np.array([units_of[day] for day in days.tolist()], dtype=np.int32))


def _days(field: str, dates: Column) -> NDArray[np.int32]:
    """A column of dates as days since 1970."""
    numbers, texts = columns.texts(field, dates)
    days = np.empty(len(texts), dtype=np.int32)
    for number, text in enumerate(texts):
        rows = np.flatnonzero(numbers == number)
        if not len(rows):
            continue
        try:
            days[number] = day_of(checked_date(text))
        except FendanError as error:
            refuse(error.fault, field, text, row=int(rows[0]), hint=error.hint)
        if days[number] < 0:
            refuse(Fault.OUT_OF_RANGE, field, text, row=int(rows[0]), hint="from 1970 on")
    return days[numbers]


def _first_rows(
    stores: NDArray[np.int32],
    skus: NDArray[np.int32],
    days: NDArray[np.int32],
    rows: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Where each pair begins in columns that are sorted; refuses a lot that stands twice.

    `rows`: where they stood.
    """
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    is_same = (np.diff(stores) == 0) & (np.diff(skus) == 0)
    twice = np.flatnonzero(is_same & (np.diff(days) == 0))
    if len(twice):
        row = int(rows[twice + 1].min())
        date = date_of(int(days[np.flatnonzero(rows == row)[0]]))
        refuse(Fault.OUT_OF_RANGE, "dates", date, row=row, hint="the pair has two lots of that day")
    first = np.concatenate([[0], np.flatnonzero(~is_same) + 1])
    counts = np.diff(np.append(first, len(rows)))
    if counts.max() > MOST_LOTS:
        row = int(rows[first[counts.argmax()] + MOST_LOTS])
        hint = f"at most {MOST_LOTS} dates a pair"
        refuse(Fault.TOO_MANY, "dates", int(counts.max()), row=row, hint=hint)
    return first
