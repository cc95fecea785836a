"""What the engine's face stands on: the core's parts, one lock, and the way from ids to codes."""

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fendan import busy, columns, documents
from fendan.bundles import Bundles
from fendan.catalogue import SKU, Catalogue, least_life_days_in
from fendan.columns import Column
from fendan.documents import Documents
from fendan.engine.batch import Batch
from fendan.engine.book import Rules
from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.engine.names import Names
from fendan.engine.network import Network
from fendan.engine.orders import Orders
from fendan.engine.place import field_of, row_of
from fendan.engine.stock import Stock
from fendan.errors import Fault, FendanError, refuse
from fendan.journal import Journal
from fendan.model import Shortfall
from fendan.supplies import JOINT, Supplies
from fendan.updates import Updates

__all__ = ["Clock", "Core", "SystemClock"]

# What a journal writes before a text, at most: its size.
TEXT_HEAD_BYTES = 10


class Clock(Protocol):
    """What time it is: an input like any other, so that a test can decide it."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()


class _Deferred(threading.local):
    """Whether commands of this thread return before their events are on disk."""

    is_on = False


class Core:
    """The parts of one engine. Whoever touches them holds the lock.

    Whatever changes them, or tells of orders, is a command: `with self._command() as command`. With
    a journal, a command that returns has told nobody anything that a power cut could take back.
    """

    def __init__(self, datum: Datum, remembered_orders: int, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last_ns = 0
        self._journal: Journal | None = None
        self._deferred = _Deferred()
        self._datum = datum
        self._network = Network()
        self._stock = Stock(self._network)
        self._orders = Orders(self._stock, remembered_orders)
        self._updates = Updates()
        self._documents: Documents = {}
        self._limits_changed = False
        self._catalogue = Catalogue({}, {})
        self._bundles: Bundles | None = None
        self._per_unit: NDArray[np.int32] | None = None  # pieces, by SKU code; None: all 1
        self._supplies = Supplies()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._run = secrets.token_hex(4)  # cursors of another run mean nothing here

    # -- COMMANDS ------------------------------------------------------------------------------

    def _command(self) -> "_Command":
        """Takes the lock and tells the time, which never goes back. Check first, then change."""
        return _Command(self)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Takes the lock to look at what can be sold: all is as it was, but lots may expire."""
        with self._changed:
            changes = len(self._stock.changes)
            self._stock.set_time(max(self._last_ns, self._clock.now_ns()))
            if len(self._stock.changes) > changes:
                self._changed.notify_all()
            yield

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let this thread's commands return before what they did is on disk.

        Who defers says `wait_durable` before telling anyone; the next commands need not wait for
        that. Without a journal it changes nothing.
        """
        before, self._deferred.is_on = self._deferred.is_on, True
        try:
            yield
        finally:
            self._deferred.is_on = before

    def durable_mark(self) -> int:
        """What `wait_durable` is to wait for: everything that was done so far."""
        with self._lock:
            return 0 if self._journal is None else self._journal.sequence

    def wait_durable(self, mark: int) -> None:
        """Wait until all up to the mark is on disk. Raises JournalError."""
        if self._journal is not None:
            self._journal.wait(mark)

    def _adopt(self, datum: Datum, orders: Orders, updates: Updates) -> None:
        """Go on with another state, as from a snapshot."""
        self._datum = datum
        self._network, self._stock, self._orders = orders.stock.network, orders.stock, orders
        self._updates = updates

    # -- DOCUMENTS -----------------------------------------------------------------------------

    def _write_documents(self, kind: str, texts: Mapping[str, str]) -> None:
        """Keep these texts under their names, within a command; "" removes one.

        What derives from them follows at once (`_documents_changed`), unless nothing is new. Raises
        InvalidInputError for a name that is none, and a text that is none or beyond 8 MiB.
        """
        if self._put_documents(kind, texts):
            self._limits_changed |= busy.concerns({kind})
            self._documents_changed({kind})

    def _put_documents(self, kind: str, texts: Mapping[str, str]) -> bool:
        """As `_write_documents`, where nothing derives from them; whether anything is new."""
        new = documents.changed(self._documents, kind, texts)
        if not new:
            return False
        if self._journal is not None:
            rows = [[kind.encode(), name.encode(), data] for name, data in new.items()]
            size = sum(len(text) + TEXT_HEAD_BYTES for row in rows for text in row)
            events = self._journal.begin(0, size, len(rows))
            for row in rows:
                events.texts(EventKind.DOCUMENT, row)
        for name in new:
            self._keep_document(kind, name, texts[name])
        return True

    def _keep_document(self, kind: str, name: str, text: str) -> None:
        """A document as it is from here on; and what lots are to be good for, which moves them."""
        if text:
            self._documents[kind, name] = text
        else:
            self._documents.pop((kind, name), None)
        if kind == SKU and name in self._stock.sku_code_of:
            self._stock.set_least_life(self._stock.sku_code_of[name], least_life_days_in(text))

    def _follow(self, now_ns: int) -> None:
        """The end of a command, or of its replay: what is counted of stores follows the stores."""
        orders, layout = self._orders, self._network.layout
        if self._limits_changed or (orders.loads is not None and orders.loads.layout is not layout):
            self._limits_changed = False
            busy.follow(orders, self._documents, now_ns)

    def _before_close(self) -> None:
        """Write down what may wait until then; nothing, where nobody extends it."""

    def _documents_changed(self, kinds: set[str]) -> None:
        """Make anew what derives from documents of these kinds; whoever derives extends it.

        Called under the lock, at the end of `_write_documents` and after recovery, then with all
        kinds there are. It must not fail: what a text says is to be checked before it is written.
        """

    def _rules_at(self, now_ns: int) -> Rules | None:
        """What a policy file says at this time; None where none is in force."""
        return None

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
        codes = columns.known_ids("skus", skus, self._stock.sku_code_of, Fault.UNKNOWN_SKU)
        self._refuse_supply("skus", codes)
        return codes

    def _store_code(self, store_id: str) -> int:
        return self._known(self._network.code_of, Fault.UNKNOWN_STORE, "store_id", store_id)

    @staticmethod
    def _known(code_of: Mapping[str, int] | Names, fault: Fault, field: str, name: str) -> int:
        code = code_of.get(name) if isinstance(name, str) and JOINT not in name else None
        if code is None:
            refuse(fault, field, name)
        return code

    # -- SKUS ----------------------------------------------------------------------------------

    def _known_supplies(self) -> Supplies:
        """Which SKU codes stand for supply, those just named included."""
        self._supplies.catch_up(self._stock.skus, self._stock.sku_code_of)
        return self._supplies

    def _refuse_supply(self, field: str, codes: NDArray[np.int32]) -> None:
        """Refuse the first code that stands for supply: callers have no such SKUs."""
        supplies = self._known_supplies()
        if not supplies.of:
            return
        rows = np.flatnonzero(np.isin(codes, list(supplies.of)))
        if len(rows):
            row = int(rows[0])
            hint = "it is supply of a SKU, which has calls of its own"
            refuse(Fault.UNKNOWN_SKU, field, self._stock.skus[codes[row]], row=row, hint=hint)

    def _in_pieces(
        self, skus: NDArray[np.int32], units: NDArray[np.int32], field: str
    ) -> NDArray[np.int32]:
        """Counts in the SKUs' units as counts of pieces; refuses what cannot be counted so."""
        if self._per_unit is None or not len(units):
            return units
        known = skus < len(self._per_unit)
        each = np.where(known, self._per_unit[np.where(known, skus, 0)], 1)
        pieces = units.astype(np.int64) * each
        limits = np.iinfo(np.int32)
        bad = np.flatnonzero((pieces < limits.min) | (pieces > limits.max))
        if len(bad):
            row = int(bad[0])
            hint = f"units of {each[row]} pieces; at most {limits.max} pieces"
            refuse(Fault.OVERFLOW, field, int(units[row]), row=row, hint=hint)
        return pieces.astype(np.int32)

    def _sellable_of(self, store: int, sku: int) -> int:
        """How many of a SKU a store can sell, of a bundle as its parts; 0 or more."""
        if self._bundles is not None and sku in self._bundles.parts_of:
            parts = self._bundles.parts_of[sku].items()
            return min(self._stock.sellable_of(store, part) // each for part, each in parts)
        return self._stock.sellable_of(store, sku)

    def _as_parts(self, batch: Batch, rules: Rules | None = None) -> Batch:
        """A batch as the core routes it: without supply by name, bundles as their parts."""
        if self._known_supplies().of:
            skus = batch.lines_as_arrays["skus"]
            line = int(np.argmax(np.isin(skus, list(self._supplies.of)))) if len(skus) else 0
            if len(skus) and int(skus[line]) in self._supplies.of:
                row = int(np.searchsorted(batch.lines_as_arrays["offsets"], line, "right")) - 1
                field = field_of("skus", "lines", batch.style, row)
                name = self._stock.skus[skus[line]]
                refuse(Fault.UNKNOWN_SKU, field, name, row=row_of(batch.style, row))
        if self._bundles is None:
            return batch
        return self._bundles.opened(batch, None if rules is None else rules.arrays)

    # -- STOCK AND THOSE IT IS HELD FOR --------------------------------------------------------

    def _set_on_hand(
        self,
        stores: NDArray[np.int32],
        skus: NDArray[np.int32],
        counts: NDArray[np.int32],
        new_skus: list[str],
        kind: EventKind = EventKind.STOCK_SET,
    ) -> list[Shortfall]:
        """Set counts that were checked, and write down what they were."""
        if self._journal is None:
            short = self._stock.set_on_hand(stores, skus, counts, new_skus)
        else:
            names = [name.encode() for name in new_skus]
            before = np.empty((len(stores), 2), dtype=np.int32)
            events = self._journal.begin(len(stores), sum(map(len, names)) + 10 * len(names))
            short = self._stock.set_on_hand(stores, skus, counts, new_skus, before)
            if names:
                events.texts(EventKind.SKUS_NAMED, names, counted=True)
            events.stock(kind, stores, skus, before, counts)
        pairs = {(int(stores[row]), int(skus[row])): None for row in short}
        return self._shortfalls(list(pairs)) if pairs else []

    def _shortfalls(self, pairs: list[tuple[int, int]]) -> list[Shortfall]:
        holders = self._orders.holding(pairs)
        counts = {pair: self._stock.counts(*pair) for pair in pairs}
        return [
            Shortfall(
                store_id=self._network.store_ids[store],
                sku=self._stock.skus[sku].partition(JOINT)[0],  # supply, as what it is of
                on_hand=counts[store, sku][0],
                reserved=counts[store, sku][1],
                order_ids=tuple(holders[store, sku]),
            )
            for store, sku in pairs
        ]


class _Command:
    """One command: the lock, its time, and at the end its frame in the journal."""

    __slots__ = ("_changes", "_core", "now_ns")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._changes = 0
        self.now_ns = 0

    def __enter__(self) -> "_Command":
        core = self._core
        core._lock.acquire()
        try:
            if core._journal is not None:
                core._journal.check()
            self.now_ns = core._last_ns = max(core._last_ns, core._clock.now_ns())
            self._changes = len(core._stock.changes)
            core._stock.set_time(self.now_ns)
        except BaseException:
            core._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        core = self._core
        journal, mark = core._journal, 0
        try:
            core._follow(self.now_ns)
            if len(core._stock.changes) > self._changes:  # those who only ask wake nobody
                core._changed.notify_all()
            if journal is not None:
                mark = journal.end(self.now_ns, error)
        finally:
            core._lock.release()
        # A refusal waits, too: it tells of what was done before it.
        is_answer = error is None or isinstance(error, FendanError)
        if journal is not None and is_answer and not core._deferred.is_on:
            journal.wait(mark)
