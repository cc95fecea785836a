"""What the engine's face stands on: the core's parts, one lock, and the way from ids to codes."""

import secrets
import threading
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fendan import columns
from fendan.columns import Column
from fendan.engine.geo import Datum
from fendan.engine.names import Names
from fendan.engine.network import Network
from fendan.engine.orders import Orders
from fendan.engine.stock import Stock
from fendan.errors import Fault, refuse
from fendan.ledger import LedgerJournal
from fendan.model import Shortfall
from fendan.updates import Updates

__all__ = ["Core"]


class Core:
    """The parts of one engine. Whoever touches them holds the lock."""

    def __init__(self, datum: Datum, remembered_orders: int) -> None:
        self._datum = datum
        self._network = Network()
        self._stock = Stock(self._network)
        self._orders = Orders(self._stock, remembered_orders)
        self._updates = Updates()
        self._journal: LedgerJournal | None = None  # everything is in memory
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._run = secrets.token_hex(4)  # cursors of another run mean nothing here

    # -- FROM IDS TO CODES ---------------------------------------------------------------------

    def _store_codes_of(self, stores: Column, field: str) -> NDArray[np.int32]:
        """A column of ids, or of codes, as codes of stores that were not removed."""
        codes = columns.known_codes(field, stores, self._network.code_of, Fault.UNKNOWN_STORE)
        gone = np.flatnonzero(np.isin(codes, self._network.removed))
        if len(gone):
            row = int(gone[0])
            refuse(Fault.UNKNOWN_STORE, field, int(codes[row]), row=row, hint="it was removed")
        return codes

    def _stores_named(self, store_ids: Iterable[str]) -> NDArray[np.int32]:
        return columns.known_ids("store_ids", store_ids, self._network.code_of, Fault.UNKNOWN_STORE)

    def _skus_named(self, skus: Iterable[str]) -> NDArray[np.int32]:
        return columns.known_ids("skus", skus, self._stock.sku_code_of, Fault.UNKNOWN_SKU)

    def _store_code(self, store_id: str) -> int:
        return self._known(self._network.code_of, Fault.UNKNOWN_STORE, "store_id", store_id)

    @staticmethod
    def _known(code_of: Mapping[str, int] | Names, fault: Fault, field: str, name: str) -> int:
        code = code_of.get(name) if isinstance(name, str) else None
        if code is None:
            refuse(fault, field, name)
        return code

    # -- STOCK AND THOSE IT IS HELD FOR --------------------------------------------------------

    def _set_on_hand(
        self,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        counts: NDArray[np.int32],
        new_skus: list[str],
    ) -> list[Shortfall]:
        short = self._stock.set_on_hand(stores, skus, counts, new_skus)
        pairs = {(int(stores[row]), int(skus[row])): None for row in short}
        return self._shortfalls(list(pairs)) if pairs else []

    def _shortfalls(self, pairs: list[tuple[int, int]]) -> list[Shortfall]:
        holders = self._orders.holding(pairs)
        counts = {pair: self._stock.counts(*pair) for pair in pairs}
        return [
            Shortfall(
                store_id=self._network.store_ids[store],
                sku=self._stock.skus[sku],
                on_hand=counts[store, sku][0],
                reserved=counts[store, sku][1],
                order_ids=tuple(holders[store, sku]),
            )
            for store, sku in pairs
        ]
