"""The engine's face for what stores keep of their stock instead of selling it to online orders."""

import numpy as np
from numpy.typing import NDArray

from fendan import columns
from fendan.columns import Column
from fendan.core import Core
from fendan.engine import limits
from fendan.engine.events import EventKind
from fendan.engine.limits import HeldPart
from fendan.errors import Fault, refuse
from fendan.model import Held

__all__ = ["HeldFace"]


class HeldFace(Core):
    """Safety stock, locked stock, and what is to stay on display."""

    def set_held(
        self,
        stores: Column,
        skus: Column,
        *,
        safety: Column = None,
        locked: Column = None,
        display: Column = None,
    ) -> None:
        """Set how many pieces of store and SKU pairs are held back, each from 0 to 2,147,483,647.

        Columns of equal length, as in `set_stock`; a part that is not given stays as it was. What
        may be sold is what is on hand, less what is reserved, less all that is held back. Orders
        that hold stock already keep it. Pairs that the store did not list yet are listed with
        nothing on hand, and unknown SKUs taken into the catalogue. Rows are applied in order.
        Raises UnknownStoreError, InvalidInputError.
        """
        said = {HeldPart.SAFETY: safety, HeldPart.LOCKED: locked, HeldPart.DISPLAY: display}
        parts = {
            part: columns.int32s(part.name.lower(), column)
            for part, column in said.items()
            if column is not None
        }
        if not parts:
            refuse(Fault.MISSING, "safety, locked, display", hint="give one of them at least")
        with self._command():
            store_codes = self._store_codes_of(stores, "stores")
            sku_codes, new_skus = columns.new_codes("skus", skus, self._stock.sku_code_of)
            self._refuse_supply("skus", sku_codes)
            for part, values in parts.items():
                lengths = (len(store_codes), len(sku_codes), len(values))
                if len(set(lengths)) > 1:
                    field = f"stores, skus, {part.name.lower()}"
                    refuse(Fault.RAGGED, field, lengths, hint="must be equally long")
                limits.check(self._stock, part, store_codes, sku_codes, values, new_skus)
            self._set_held(store_codes, sku_codes, parts, new_skus)

    def held(self, store_id: str, sku: str) -> Held:
        """What a store holds back of a SKU. Raises UnknownStoreError, UnknownSkuError."""
        with self._lock:
            store = self._store_code(store_id)
            code = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            return Held(*self._stock.held(store, code))

    def _set_held(
        self,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        parts: dict[HeldPart, NDArray[np.int32]],
        new_skus: list[str],
    ) -> None:
        """Set values that were checked, and write down what they were."""
        if self._journal is not None:
            names = [name.encode() for name in new_skus]
            size = sum(map(len, names)) + 10 * len(names)
            events = self._journal.begin(len(parts) * len(stores), size, 1 + len(parts))
            if names:
                events.texts(EventKind.SKUS_NAMED, names, counted=True)
        before = np.empty(len(stores), dtype=np.int32)
        for place, (part, values) in enumerate(parts.items()):
            flags = limits.FOLLOWING if place else 0
            flags |= limits.FOLLOWED if place + 1 < len(parts) else 0
            limits.set_held(self._stock, part | flags, stores, skus, values, new_skus, before)
            new_skus = []
            if self._journal is not None:
                events.held(part | flags, stores, skus, before, values)
