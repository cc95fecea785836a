"""The engine's face for stock systems: counts in, counts out."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fendan import columns, updates
from fendan.columns import Column
from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.engine.network import is_usable_id
from fendan.engine.wire import StockKind, StockRequest
from fendan.errors import Fault, FendanError, refuse
from fendan.loaders import naming_places, read_stock
from fendan.model import StockLevel, StockUpdate

__all__ = ["StockFace"]


class StockFace(Core):
    """Absolute counts, movements, and what is there."""

    @overload
    def set_stock(
        self,
        rows: Iterable[tuple[str, str, int]],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate: ...
    @overload
    def set_stock(
        self,
        *,
        stores: Column,
        skus: Column,
        quantities: Column,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate: ...
    def set_stock(
        self,
        rows: Iterable[tuple[str, str, int]] | None = None,
        *,
        stores: Column = None,
        skus: Column = None,
        quantities: Column = None,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate:
        """Set the absolute on-hand of store and SKU pairs, from 0 to 2,147,483,647.

        In units of the SKU (`SkuProfile.pieces_per_unit`); answers are in pieces. Takes rows (store
        id, SKU, quantity), or the same as three columns of equal length: lists,
        numpy arrays, pandas or pyarrow columns. Stores and SKUs may be ids or int codes;
        dictionary-encoded columns are the fastest way to bring ids. Unknown SKUs are taken into the
        catalogue, unknown stores refused. Rows are applied in order: of a pair that stands twice,
        the last counts. What is reserved stays reserved; where on-hand is now below it, nothing can
        be sold, and the pair is returned as a Shortfall. A catalogue has at most 2,000,000 SKUs.

        `versions`: store id -> the sender's counter or clock, 1 or more. A store to which a newer
        version was applied before is left out, and returned as stale. `key`: makes a retry safe;
        the same key with the same content gets the first answer and changes nothing, with other
        content it raises KeyConflictError.
        """
        stores, skus, quantities = columns.three("quantities", rows, stores, skus, quantities)
        counts = columns.int32s("quantities", quantities)
        with self._command():
            store_codes = self._store_codes_of(stores, "stores")
            sku_codes, new_skus = columns.new_codes("skus", skus, self._stock.sku_code_of)
            self._refuse_supply("skus", sku_codes)
            update = (store_codes, sku_codes, counts)
            self._stock.check(*update, len(self._stock.skus) + len(new_skus))
            return self._update("set", update, new_skus, versions, key)

    @overload
    def adjust_stock(
        self,
        rows: Iterable[tuple[str, str, int]],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate: ...
    @overload
    def adjust_stock(
        self,
        *,
        stores: Column,
        skus: Column,
        deltas: Column,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate: ...
    def adjust_stock(
        self,
        rows: Iterable[tuple[str, str, int]] | None = None,
        *,
        stores: Column = None,
        skus: Column = None,
        deltas: Column = None,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
    ) -> StockUpdate:
        """Add to the on-hand of store and SKU pairs, or, below zero, take away.

        As `set_stock`, but the SKUs must be known; a count that would leave 0 to 2,147,483,647
        refuses the whole call. An adjustment older than its store's last version is stale: that
        version has counted it already.
        """
        stores, skus, deltas = columns.three("deltas", rows, stores, skus, deltas)
        changes = columns.int32s("deltas", deltas)
        with self._command():
            store_codes = self._store_codes_of(stores, "stores")
            sku_codes = columns.known_codes(
                "skus", skus, self._stock.sku_code_of, Fault.UNKNOWN_SKU
            )
            self._refuse_supply("skus", sku_codes)
            self._stock.check_codes(store_codes, sku_codes, changes, len(self._stock.skus))
            return self._update("adjust", (store_codes, sku_codes, changes), [], versions, key)

    def apply_request(self, request: StockRequest, *, key: str | None = None) -> StockUpdate:
        """Apply a message as `set_stock` or `adjust_stock` would; nothing per row in Python.

        `key` stands in for the message's own. Errors name fields by their path in the message, such
        as ``snapshots[2].counts[5].sku``; their row is the part's.
        """
        with self._command():
            versions, codes = self._read_parts(request)
            key = key or request.key or None
            skus, new_skus = request.sku_codes(self._stock.sku_code_of)
            update = (np.repeat(codes, request.row_counts), skus, request.values.copy())
            try:
                self._refuse_supply("skus", skus)
                if request.kind is StockKind.SET:
                    self._stock.check(*update, len(self._stock.skus) + len(new_skus))
                    return self._update("set", update, new_skus, versions, key)
                return self._update("adjust", update, [], versions, key)
            except FendanError as error:
                if error.field not in ("quantities", "deltas", "skus") or error.row is None:
                    raise
                name = "sku" if error.field == "skus" else request.kind.number
                path, part = request.path(error.row, name)
                refuse(error.fault, path, error.value, row=part, hint=error.hint)

    def _read_parts(self, request: StockRequest) -> tuple[dict[str, int], NDArray[np.int32]]:
        """The versions by store, and each part's store as its code."""
        parts = request.kind.parts
        codes: dict[str, int] = {}
        versions: dict[str, int] = {}
        for part, (name, version) in enumerate(
            zip(request.store_ids, request.versions.tolist(), strict=True)
        ):
            field = f"{parts}[{part}].store_id"
            if name in codes:
                refuse(Fault.DUPLICATE_STORE, field, name, row=part)
            code = self._network.code_of.get(name)
            if code is None:
                fault = Fault.UNKNOWN_STORE if is_usable_id(name) else Fault.BAD_ID
                refuse(fault, field, name, row=part)
            if version < 0:
                hint = "must be 1 or more; 0 for none"
                refuse(Fault.OUT_OF_RANGE, f"{parts}[{part}].version", version, row=part, hint=hint)
            codes[name] = code
            if version:
                versions[name] = version
        return versions, np.fromiter(codes.values(), dtype=np.int32, count=len(codes))

    def load_stock(self, source: Any, *, encoding: str = "utf-8") -> StockUpdate:
        """Set the stock of a CSV or Parquet file, a pandas or a pyarrow table: see `read_stock`.

        Otherwise as `set_stock`. Errors name the line, or the row of the table.
        """
        table = read_stock(source, encoding=encoding)
        with naming_places(table.source, {"stores": "store_id", "skus": "sku"}):
            return self.set_stock(stores=table.stores, skus=table.skus, quantities=table.quantities)

    def stock(self, store_id: str, skus: Iterable[str] | None = None) -> list[StockLevel]:
        """The counts of these SKUs in a store, or of all that it lists, in catalogue order.

        Raises UnknownStoreError, UnknownSkuError.
        """
        names = None if skus is None else columns.rows("skus", skus)
        with self._looking():
            store = self._store_code(store_id)
            codes = self._listed_by(store) if names is None else self._skus_named(names)
            levels = []
            for sku in codes.tolist():
                on_hand, reserved = self._stock.counts(store, sku)
                levels.append(
                    StockLevel(
                        store_id=store_id,
                        sku=self._stock.skus[sku],
                        on_hand=on_hand,
                        reserved=reserved,
                        sellable=self._sellable_of(store, sku),
                    )
                )
            return levels

    def listed_skus(self, store_id: str) -> NDArray[np.int32]:
        """The codes of the SKUs a store lists, in catalogue order. Raises UnknownStoreError."""
        with self._lock:
            return self._listed_by(self._store_code(store_id))

    def stock_version(self, store_id: str) -> int:
        """The last version applied to a store's stock, or 0. Raises UnknownStoreError."""
        with self._lock:
            return self._updates.version(self._store_code(store_id))

    def available(self, store_id: str, sku: str) -> int:
        """How many of a SKU a store can still sell: see `StockLevel`; of a bundle, as its parts.

        A pause does not change it; `availability`, which is for channels, tells of none then.
        """
        with self._looking():
            store = self._store_code(store_id)
            code = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            return self._sellable_of(store, code)

    def _listed_by(self, store: int) -> NDArray[np.int32]:
        codes = self._stock.listed_by(store)
        supplies = self._known_supplies().of
        return codes[~np.isin(codes, list(supplies))] if supplies else codes

    def _update(
        self,
        method: str,
        update: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
        new_skus: list[str],
        versions: Mapping[str, int] | None,
        key: str | None,
    ) -> StockUpdate:
        """Apply a stock update once, without the stores for which it is stale."""
        stores, skus, units = update
        versioned = self._updates.checked(versions or {}, self._network.code_of)
        kind = EventKind.STOCK_SET if method == "set" else EventKind.STOCK_ADJUSTED

        def apply() -> StockUpdate:
            counts = self._in_pieces(skus, units, "deltas" if method == "adjust" else "quantities")
            stale = self._updates.stale(versioned, self._network.store_ids)
            fresh = ~np.isin(stores, list(stale)) if stale else np.ones(len(stores), dtype=bool)
            on_hand = counts
            if method == "adjust":
                on_hand = self._stock.adjusted(stores, skus, np.where(fresh, counts, np.int32(0)))
            shortfalls = self._set_on_hand(
                stores[fresh], skus[fresh], on_hand[fresh], new_skus, kind
            )
            self._set_versions({s: v for s, v in versioned.items() if s not in stale})
            return StockUpdate(shortfalls=tuple(shortfalls), stale=tuple(stale.values()))

        content = (method, *update, sorted(versioned.items()))
        if key is None:
            return apply()
        digest, answer = self._updates.first(key, content)
        if answer is None:
            answer = apply()
            self._updates.remember(key, digest, answer)
            if self._journal is not None:
                text = json.dumps(updates.as_json(answer), separators=(",", ":"))
                texts = [key.encode(), digest, text.encode()]
                self._journal.events.texts(EventKind.KEY, texts)
        return answer

    def _set_versions(self, versions: Mapping[int, int]) -> None:
        self._updates.applied(versions)
        if self._journal is not None:
            events = self._journal.begin(0, 0, len(versions))
            for store, version in versions.items():
                events.code(EventKind.VERSION, store, version)
