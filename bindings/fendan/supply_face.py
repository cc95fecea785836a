"""The engine's face for stock that is still on its way, and may be sold before it is there."""

import numpy as np

from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.errors import Fault, refuse
from fendan.model import Shortfall, Supply
from fendan.supplies import MOST, check_quantity, checked_date, supply_name

__all__ = ["SupplyFace"]


class SupplyFace(Core):
    """What arrives where, and when; and that it has arrived."""

    def set_supply(self, store_id: str, sku: str, date: str, quantity: int) -> list[Shortfall]:
        """Set how much of a SKU is to arrive at a store on a day; in units, as stock is counted.

        An absolute number, from 0. Where more of it is sold already, the pair is returned as a
        Shortfall, whose `sku` is the SKU's own. Raises UnknownStoreError, UnknownSkuError,
        InvalidInputError.
        """
        day = checked_date(date)
        check_quantity(quantity)
        with self._command():
            store = self._store_code(store_id)
            own = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            name = supply_name(sku, day)
            code = self._stock.sku_code_of.get(name)
            counts = np.array([quantity], dtype=np.int32)
            counts = self._in_pieces(np.array([own], dtype=np.int32), counts, "quantity")
            new = [] if code is not None else [name]
            codes = np.array([len(self._stock.skus) if code is None else code], dtype=np.int32)
            stores = np.array([store], dtype=np.int32)
            self._stock.check(stores, codes, counts, len(self._stock.skus) + len(new))
            return self._set_on_hand(stores, codes, counts, new)

    def supply(self, sku: str | None = None, store_id: str | None = None) -> list[Supply]:
        """What is to arrive, or has and is still held for orders: by SKU, day and store.

        Of one SKU, or one store, where they are given. In pieces. Raises UnknownStoreError,
        UnknownSkuError.
        """
        with self._command():
            code_of = self._stock.sku_code_of
            own = None if sku is None else self._known(code_of, Fault.UNKNOWN_SKU, "sku", sku)
            store = None if store_id is None else self._store_code(store_id)
            found = []
            stores = sorted((n, c) for n, c in self._network.code_of.items() if store in (None, c))
            for code, (of, day) in self._known_supplies().of.items():
                if own is not None and of != own:
                    continue
                for name, at in stores:
                    on_hand, reserved = self._stock.counts(at, code)
                    if on_hand or reserved:
                        one = Supply(
                            store_id=name,
                            sku=self._stock.skus[of],
                            date=day,
                            quantity=on_hand,
                            reserved=reserved,
                        )
                        found.append((of, day, name, one))
            return [one for _, _, _, one in sorted(found, key=lambda row: row[:3])]

    def receive_supply(self, store_id: str, sku: str, date: str) -> int:
        """The supply of that day has arrived: what of it is not sold is stock from now on.

        What is sold already stays with its orders, until they are shipped. Returns how many pieces
        became stock, 0 where there were none. Raises UnknownStoreError, UnknownSkuError,
        QuantityOverflowError.
        """
        day = checked_date(date)
        with self._command():
            store = self._store_code(store_id)
            code_of = self._stock.sku_code_of
            own = self._known(code_of, Fault.UNKNOWN_SKU, "sku", sku)
            code = code_of.get(supply_name(sku, day))
            if code is None:
                return 0
            coming, reserved = self._stock.counts(store, code)
            there, _ = self._stock.counts(store, own)
            free = max(0, coming - reserved)
            if there + free > MOST:
                refuse(Fault.OVERFLOW, "date", there + free, hint=f"at most {MOST:,} of one SKU")
            if free:
                self._set_on_hand(
                    np.array([store, store], dtype=np.int32),
                    np.array([code, own], dtype=np.int32),
                    np.array([coming - free, there + free], dtype=np.int32),
                    [],
                    EventKind.STOCK_ADJUSTED,
                )
            return free
