"""What the engine's face stands on: the core's parts, one lock, and the way from ids to codes."""

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Protocol

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
from fendan.model import Shortfall
from fendan.updates import Updates

__all__ = ["Clock", "Core", "SystemClock"]


class Clock(Protocol):
    """What time it is: an input like any other, so that a test can decide it."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()


class Core:
    """The parts of one engine. Whoever touches them holds the lock.

    Whatever changes them is a command: `with self._command() as command`.
    """

    def __init__(self, datum: Datum, remembered_orders: int, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last_ns = 0
        self._datum = datum
        self._network = Network()
        self._stock = Stock(self._network)
        self._orders = Orders(self._stock, remembered_orders)
        self._updates = Updates()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._run = secrets.token_hex(4)  # cursors of another run mean nothing here

    # -- COMMANDS ------------------------------------------------------------------------------

    def _command(self) -> "_Command":
        """Takes the lock and tells the time, which never goes back."""
        return _Command(self)

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


class _Command:
    """One command: the lock, and its time."""

    __slots__ = ("_core", "now_ns")

    def __init__(self, core: Core) -> None:
        self._core = core
        self.now_ns = 0

    def __enter__(self) -> "_Command":
        self._core._lock.acquire()
        self.now_ns = max(self._core._last_ns, self._core._clock.now_ns())
        self._core._last_ns = self.now_ns
        return self

    def __exit__(self, *error: object) -> None:
        self._core._changed.notify_all()
        self._core._lock.release()
