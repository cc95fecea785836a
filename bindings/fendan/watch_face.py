"""The engine's face for those who must know what can still be sold, as it changes."""

import threading
from collections.abc import Iterable, Iterator
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from fendan.core import Core
from fendan.errors import Fault, refuse
from fendan.model import Availability, AvailabilityChanges

__all__ = ["WatchFace"]

# How much one call looks at with the lock held: about a millisecond.
CHANGES_PER_CALL = 10_000
SKUS_PER_PIECE = 16

LOWER_BITS = 0xFFFFFFFF  # the SKU's code in a pair; the store's stands above

Codes = NDArray[np.int32]


class WatchFace(Core):
    """First the full state, piece by piece; then what changed since, again and again."""

    def cursor(self) -> str:
        """Now: `changes` from here on are those still to come."""
        with self._looking():
            return self._cursor(len(self._stock.changes))

    def availability(
        self, *, store_ids: Iterable[str] | None = None, skus: Iterable[str] | None = None
    ) -> Iterator[AvailabilityChanges]:
        """All that can be sold now, of these stores and SKUs or of all, in pieces.

        Pairs that are not named can sell nothing. The last piece has the cursor from which
        `changes` goes on; nothing is missed in between. Raises UnknownStoreError, UnknownSkuError.
        """
        with self._looking():
            stores, wanted = self._watched(store_ids, skus)
            cursor = self._cursor(len(self._stock.changes))
            supplies = self._known_supplies().of
            codes = range(len(self._stock.skus)) if wanted is None else wanted.tolist()
            codes = [code for code in codes if code not in supplies]
        return self._pieces(stores, codes, cursor)

    def changes(
        self,
        cursor: str,
        *,
        store_ids: Iterable[str] | None = None,
        skus: Iterable[str] | None = None,
    ) -> AvailabilityChanges:
        """What changed since the cursor, each pair once with what it can sell now.

        Looks at the next 10,000 changes; call again until the cursor stays where it is.
        Raises UnknownStoreError, UnknownSkuError.
        """
        with self._looking():
            stores, wanted = self._watched(store_ids, skus)
            first = self._number(cursor)
            pairs = None if first is None else self._stock.changes.since(first, CHANGES_PER_CALL)
            if first is None or pairs is None:
                return AvailabilityChanges(changes=[], cursor="", reset=True)
            cursor = self._cursor(min(first + CHANGES_PER_CALL, len(self._stock.changes)))
            pairs = self._renamed(pairs)
            kept = np.ones(len(pairs), dtype=bool)
            if stores is not None:
                kept &= np.isin(pairs >> 32, stores)
            if wanted is not None:
                kept &= np.isin(pairs & LOWER_BITS, wanted)
            if supplies := self._known_supplies().of:
                kept &= ~np.isin(pairs & LOWER_BITS, list(supplies))
            pairs = pairs[kept]
            counts = self._stock.sellable(pairs)
            ids, names = self._network.store_ids, self._stock.skus
        store_of, sku_of = (pairs >> 32).tolist(), (pairs & LOWER_BITS).tolist()
        found = [
            Availability(store_id=ids[store], sku=names[sku], sellable=count)
            for store, sku, count in zip(store_of, sku_of, counts.tolist(), strict=True)
        ]
        return AvailabilityChanges(changes=found, cursor=cursor)

    def wait_for_change(self, cursor: str, timeout_s: float) -> bool:
        """Wait until something changed after the cursor; whether it did, within the timeout.

        Raises InvalidInputError for a timeout that is no number of seconds from 0.
        """
        if not isinstance(timeout_s, Real):
            refuse(Fault.WRONG_TYPE, "timeout_s", timeout_s, hint="must be a number of seconds")
        if not 0 <= timeout_s < threading.TIMEOUT_MAX:
            refuse(Fault.OUT_OF_RANGE, "timeout_s", timeout_s, hint="must be seconds, from 0")
        with self._changed:
            first = self._number(cursor)
            if first is None:
                return True  # `changes` has something to say: begin anew
            return self._changed.wait_for(lambda: len(self._stock.changes) > first, timeout_s)

    # -- INSIDE --------------------------------------------------------------------------------

    def _watched(
        self, store_ids: Iterable[str] | None, skus: Iterable[str] | None
    ) -> tuple[Codes | None, Codes | None]:
        stores = wanted = None
        if store_ids is not None:
            stores = self._stores_named(store_ids)
        if skus is not None:
            wanted = self._skus_named(skus)
        return stores, wanted

    def _pieces(
        self, stores: Codes | None, skus: Iterable[int], cursor: str
    ) -> Iterator[AvailabilityChanges]:
        codes = list(skus)
        wanted = None if stores is None else set(stores.tolist())
        for start in range(0, len(codes), SKUS_PER_PIECE):
            piece = codes[start : start + SKUS_PER_PIECE]
            with self._looking():
                offers = [self._stock.offers_of(sku) for sku in piece]
                ids, names = self._network.store_ids, self._stock.skus
            found = [
                Availability(store_id=ids[store], sku=names[sku], sellable=count)
                for sku, (where, counts) in zip(piece, offers, strict=True)
                for store, count in zip(where.tolist(), counts.tolist(), strict=True)
                if wanted is None or store in wanted
            ]
            if found:
                yield AvailabilityChanges(changes=found, cursor="")
        yield AvailabilityChanges(changes=[], cursor=cursor)

    def _renamed(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pairs of removed stores as those of the new stores that have their ids, if any."""
        ids, code_of = self._network.store_ids, self._network.code_of
        gone = np.flatnonzero(np.isin(pairs >> 32, self._network.removed))
        for row in gone.tolist():
            store, sku = int(pairs[row]) >> 32, int(pairs[row]) & LOWER_BITS
            pairs[row] = code_of.get(ids[store], store) << 32 | sku
        return np.unique(pairs) if len(gone) else pairs

    def _cursor(self, number: int) -> str:
        return f"{self._run}-{number}"

    def _number(self, cursor: str) -> int | None:
        """The change that the cursor stands before; None for a cursor of another run."""
        run, _, number = cursor.partition("-") if isinstance(cursor, str) else ("", "", "")
        if run != self._run or not (number.isascii() and number.isdigit() and len(number) < 19):
            return None
        return int(number) if int(number) <= len(self._stock.changes) else None
