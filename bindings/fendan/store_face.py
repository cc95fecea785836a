"""The engine's face for those who open, move and close stores."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan import columns
from fendan.core import Core
from fendan.engine.events import EventKind
from fendan.engine.geo import Datum
from fendan.engine.network import ID_HINT, is_usable_id, points_of
from fendan.engine.place import place_of
from fendan.errors import Fault, refuse
from fendan.loaders import read_stores
from fendan.model import Shortfall, Store, StoreStatus

__all__ = ["StoreFace"]


class StoreFace(Core):
    """Stores in, stores out."""

    def add_stores(self, stores: Iterable[Store]) -> None:
        """Add stores. They take the next codes, in the order given.

        Raises DuplicateStoreError for an id that is known or stands twice, InvalidInputError for
        an unusable id or a place that is not on earth.
        """
        stores = columns.rows("stores", stores)
        with self._command():
            ids, lat, lng, regions = self._read_stores(stores, known=False)
            layout = self._network.layout.grown(*points_of(lat, lng), ids)
            self._write_stores(EventKind.STORE_ADDED, ids, lat, lng, regions)
            self._stock.adopt(layout, ids, regions)

    def load_stores(
        self, source: Any, *, encoding: str = "utf-8", datum: Datum | None = None
    ) -> None:
        """Add the stores of a CSV or Parquet file, a pandas or a pyarrow table: see `read_stores`.

        Errors name the line, or the row of the table; for a store that the engine already has,
        its place among the stores of the source, from 0.
        """
        self.add_stores(read_stores(source, encoding=encoding, datum=datum))

    def update_stores(self, stores: Iterable[Store]) -> None:
        """Give known stores another place or region; their stock and orders stay.

        Raises UnknownStoreError, DuplicateStoreError for an id that stands twice, InvalidInputError
        for a place that is not on earth.
        """
        stores = columns.rows("stores", stores)
        with self._command():
            ids, lat, lng, regions = self._read_stores(stores, known=True)
            codes = np.array([self._network.code_of[name] for name in ids], dtype=np.int32)
            layout = self._network.layout.moved(codes, *points_of(lat, lng))
            self._write_stores(EventKind.STORE_UPDATED, ids, lat, lng, regions)
            self._stock.adopt(layout, [], [])
            self._network.set_regions(codes.tolist(), regions)

    def pause_stores(self, store_ids: Iterable[str]) -> None:
        """Give stores no more orders; what they hold, they keep. Raises UnknownStoreError."""
        self._close(store_ids, True)

    def resume_stores(self, store_ids: Iterable[str]) -> None:
        """Give stores orders again. Raises UnknownStoreError."""
        self._close(store_ids, False)

    def remove_stores(self, store_ids: Iterable[str]) -> list[Shortfall]:
        """Close stores for good: no more orders, nothing on hand; their ids may be used again.

        What they still hold for orders is returned: those orders need another store. Raises
        UnknownStoreError, and DuplicateStoreError for an id that stands twice.
        """
        with self._command():
            codes = self._stores_named(store_ids)
            if len(set(codes.tolist())) < len(codes):
                names = [self._network.store_ids[code] for code in codes]
                row = next(row for row, name in enumerate(names) if name in names[:row])
                refuse(Fault.DUPLICATE_STORE, "store_ids", names[row], row=row)
            layout = self._network.layout.with_closed(codes, True)
            skus = [self._stock.listed_by(code) for code in codes]
            stores = np.repeat(codes, [len(listed) for listed in skus])
            shortfalls = self._set_on_hand(
                stores, np.concatenate([*skus, np.empty(0, np.int32)]), np.zeros_like(stores), []
            )
            self._write_codes(EventKind.STORE_REMOVED, codes.tolist())
            self._stock.adopt(layout, [], [])
            self._network.forget(codes.tolist())
            return shortfalls

    def stores(self) -> list[StoreStatus]:
        """All stores, in the order in which they were added, without those that were removed."""
        with self._lock:
            layout, regions = self._network.layout, self._network.regions
            codes = self._network.code_of.items()
            return [
                StoreStatus(
                    store=Store(
                        id=name,
                        lat=layout.place(code)[0],
                        lng=layout.place(code)[1],
                        region=regions[code],
                    ),
                    paused=bool(layout.closed[code]),
                )
                for name, code in codes
            ]

    def region_of(self, store_id: str) -> str:
        """The region of a store, "" where it has none. Raises UnknownStoreError."""
        with self._lock:
            return self._network.regions[self._store_code(store_id)]

    def place_of(self, store_id: str) -> tuple[float, float]:
        """Where a store is: latitude and longitude, in the engine's datum.

        Raises UnknownStoreError.
        """
        with self._lock:
            return self._network.layout.place(self._store_code(store_id))

    def _read_stores(
        self, stores: list[Store], *, known: bool
    ) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], list[str]]:
        """Stores as columns; all of them known, or none."""
        lat, lng = np.empty(len(stores)), np.empty(len(stores))
        ids: dict[str, str] = {}
        for row, store in enumerate(stores):
            name: Any = getattr(store, "id", None)
            region: Any = getattr(store, "region", "")
            if not is_usable_id(name):
                refuse(Fault.BAD_ID, f"stores[{row}].id", name, row=row, hint=ID_HINT)
            if known and name not in self._network.code_of:
                refuse(Fault.UNKNOWN_STORE, f"stores[{row}].id", name, row=row)
            if name in ids or (not known and name in self._network.code_of):
                refuse(Fault.DUPLICATE_STORE, f"stores[{row}].id", name, row=row)
            if region != "" and not is_usable_id(region):
                refuse(Fault.BAD_ID, f"stores[{row}].region", region, row=row, hint=ID_HINT)
            lat[row], lng[row] = place_of(store, self._datum, "stores", row)
            ids[str(name)] = str(region)
        return list(ids), lat, lng, list(ids.values())

    def _close(self, store_ids: Iterable[str], closed: bool) -> None:
        with self._command():
            codes = self._stores_named(store_ids)
            layout = self._network.layout.with_closed(codes, closed)
            kind = EventKind.STORE_PAUSED if closed else EventKind.STORE_RESUMED
            self._write_codes(kind, codes.tolist())
            self._stock.adopt(layout, [], [])
            for code in codes.tolist():
                self._stock.note_store(code)

    def _write_stores(
        self,
        kind: EventKind,
        ids: list[str],
        lat: NDArray[np.float64],
        lng: NDArray[np.float64],
        regions: list[str],
    ) -> None:
        if self._journal is None:
            return
        text_bytes = sum(len(text.encode()) for text in (*ids, *regions))
        events = self._journal.begin(0, text_bytes, len(ids))
        rows = zip(ids, regions, lat.tolist(), lng.tolist(), strict=True)
        for name, region, store_lat, store_lng in rows:
            events.store(kind, name, region, store_lat, store_lng)

    def _write_codes(self, kind: EventKind, stores: list[int]) -> None:
        if self._journal is not None:
            events = self._journal.begin(0, 0, len(stores))
            for store in stores:
                events.code(kind, store)
