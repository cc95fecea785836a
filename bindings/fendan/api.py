"""The Python face: one Engine, thin over the compiled core."""

import threading
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fendan import columns
from fendan.columns import Column
from fendan.engine.batch import Batch, place_of
from fendan.engine.geo import Datum
from fendan.engine.network import ID_HINT, Network, is_usable_id
from fendan.engine.orders import Decision, Orders, decisions
from fendan.engine.router import nearest
from fendan.engine.stock import Stock
from fendan.errors import Fault, refuse
from fendan.loaders import naming_places, read_stock, read_stores
from fendan.model import Nearby, Order, Policy, Routed, Shortfall, Store

__all__ = ["Engine"]


class Engine:
    """Stores, their stock, and the routing of orders over them, in memory.

    Every method either does all it was asked or raises a `fendan.FendanError` before anything has
    changed. An engine may be used from several threads; calls take turns.

    `policy`: what orders are routed under unless a call brings its own.
    `datum`: the one datum of the network; places given in another are converted on the way in.
    """

    def __init__(self, *, policy: Policy | None = None, datum: Datum = Datum.WGS84) -> None:
        self._policy = Policy() if policy is None else policy
        _radius_m(self._policy)
        if not isinstance(datum, Datum):
            refuse(Fault.WRONG_TYPE, "datum", datum, hint="must be a fendan.Datum")
        self._datum = datum
        self._network = Network()
        self._stock = Stock(self._network)
        self._orders = Orders(self._stock)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return (
            f"Engine({len(self.store_ids)} stores, {len(self.skus)} SKUs, "
            f"{len(self._orders)} known orders)"
        )

    # -- COMMANDS ------------------------------------------------------------------------------

    def add_stores(self, stores: Iterable[Store]) -> None:
        """Add stores. They take the next codes, in the order given.

        Raises DuplicateStoreError for an id that is known or stands twice, InvalidInputError for
        an unusable id or a place that is not on earth.
        """
        stores = columns.rows("stores", stores)
        lat, lng = np.empty(len(stores)), np.empty(len(stores))
        ids: list[str] = []
        with self._lock:
            seen: set[str] = set()
            for row, store in enumerate(stores):
                name: Any = getattr(store, "id", None)
                if not is_usable_id(name):
                    refuse(Fault.BAD_ID, f"stores[{row}].id", name, row=row, hint=ID_HINT)
                if name in seen or name in self._network.code_of:
                    refuse(Fault.DUPLICATE_STORE, f"stores[{row}].id", name, row=row)
                seen.add(name)
                ids.append(str(name))
                lat[row], lng[row] = place_of(store, self._datum, "stores", row)
            self._stock.add_stores(ids, lat, lng)

    @overload
    def set_stock(self, rows: Iterable[tuple[str, str, int]]) -> list[Shortfall]: ...
    @overload
    def set_stock(self, *, stores: Column, skus: Column, quantities: Column) -> list[Shortfall]: ...
    def set_stock(
        self,
        rows: Iterable[tuple[str, str, int]] | None = None,
        *,
        stores: Column = None,
        skus: Column = None,
        quantities: Column = None,
    ) -> list[Shortfall]:
        """Set the absolute on-hand of store and SKU pairs, from 0 to 2,147,483,647.

        Takes rows (store id, SKU, quantity), or the same as three columns of equal length: lists,
        numpy arrays, pandas or pyarrow columns. Stores and SKUs may be ids or int codes;
        dictionary-encoded columns are the fastest way to bring ids. Unknown SKUs are taken into the
        catalogue, unknown stores refused. Rows are applied in order: of a pair that stands twice,
        the last counts. What is reserved stays reserved; where on-hand is now below it, nothing can
        be sold, and the pair is returned as a Shortfall.
        """
        if rows is not None:
            if not all(column is None for column in (stores, skus, quantities)):
                refuse(Fault.RAGGED, "rows", "and columns", hint="give rows or columns, not both")
            stores, skus, quantities = columns.rows_as_columns("rows", rows, 3)
        counts = columns.int32s("quantities", quantities)
        with self._lock:
            store_codes = columns.known_codes(
                "stores", stores, self._network.code_of, Fault.UNKNOWN_STORE
            )
            sku_codes, new_skus = columns.new_codes("skus", skus, self._stock.sku_code_of)
            short = self._stock.set_on_hand(store_codes, sku_codes, counts, new_skus)
            if not short:
                return []
            pairs = {(int(store_codes[row]), int(sku_codes[row])): None for row in short}
            return self._shortfalls(list(pairs))

    def load_stores(
        self, source: Any, *, encoding: str = "utf-8", datum: Datum | None = None
    ) -> None:
        """Add the stores of a CSV or Parquet file, a pandas or a pyarrow table: see `read_stores`.

        Errors name the line, or the row of the table; for a store that the engine already has,
        its place among the stores of the source, from 0.
        """
        self.add_stores(read_stores(source, encoding=encoding, datum=datum))

    def load_stock(self, source: Any, *, encoding: str = "utf-8") -> list[Shortfall]:
        """Set the stock of a CSV or Parquet file, a pandas or a pyarrow table: see `read_stock`.

        Otherwise as `set_stock`. Errors name the line, or the row of the table.
        """
        table = read_stock(source, encoding=encoding)
        with naming_places(table.source, {"stores": "store_id", "skus": "sku"}):
            return self.set_stock(stores=table.stores, skus=table.skus, quantities=table.quantities)

    def route(self, order: Order, *, policy: Policy | None = None) -> Decision:
        """Assign one order to the nearest store within the policy that has every line; reserve.

        An order that no store can fill is a Decision with a reason, not an error. A known id with
        the same content gets its first decision again; with other content it raises
        OrderConflictError. Raises UnknownSkuError for a SKU that no stock was ever set for, and
        InvalidInputError for an order that cannot be.
        """
        return self._route([order], policy, "order")[0]

    def route_batch(
        self, orders: Iterable[Order], *, policy: Policy | None = None
    ) -> list[Decision]:
        """Route orders as if one after another, in order; a bad order refuses the whole batch."""
        return self._route(columns.rows("orders", orders), policy, "orders")

    def route_arrays(
        self,
        *,
        lat: ArrayLike,
        lng: ArrayLike,
        offsets: ArrayLike,
        skus: ArrayLike,
        quantities: ArrayLike,
        ids: Sequence[str] | None = None,
        policy: Policy | None = None,
    ) -> Routed:
        """Route orders given as arrays, as if one after another; nothing per order in Python.

        `lat`, `lng`: float64[n], degrees in the engine's datum. `offsets`: int64[n + 1], the lines
        of order i are offsets[i]:offsets[i + 1]. `skus`: int32[m], codes as from `sku_codes`.
        `quantities`: int32[m], 1 or more. With `ids` (n of them) the orders are known by id, as in
        `route`; without, only stock moves. A bad value refuses the whole batch.
        """
        radius_m = self._radius_m(policy)
        arrays = (
            columns.floats("lat", lat),
            columns.floats("lng", lng),
            columns.int64s("offsets", offsets),
            columns.int32s("skus", skus),
            columns.int32s("quantities", quantities),
        )
        names = None if ids is None else columns.strings("ids", ids)
        with self._lock:
            batch = Batch.of_arrays(*arrays, names, len(self._stock.skus))
            verdicts = self._orders.route(batch, radius_m)
        return Routed(
            store_codes=np.ascontiguousarray(verdicts["store"]),
            distances_m=np.ascontiguousarray(verdicts["distance_m"]),
            statuses=np.ascontiguousarray(verdicts["status"]),
            reasons=np.ascontiguousarray(verdicts["reason"]),
        )

    def release(self, order_id: str) -> bool:
        """Give back the stock held for an order; True if there was any, False the second time.

        The id stays spent: the order sent again gets its first decision, and reserves nothing.
        Raises UnknownOrderError for an id that was never routed.
        """
        with self._lock:
            return self._orders.release(order_id)

    # -- QUERIES -------------------------------------------------------------------------------

    def available(self, store_id: str, sku: str) -> int:
        """How many of a SKU a store can still sell: on hand less reserved, never negative."""
        with self._lock:
            store = self._known(self._network.code_of, Fault.UNKNOWN_STORE, "store_id", store_id)
            code = self._known(self._stock.sku_code_of, Fault.UNKNOWN_SKU, "sku", sku)
            on_hand, reserved = self._stock.counts(store, code)
        return max(0, on_hand - reserved)

    def nearest(
        self,
        lat: float,
        lng: float,
        *,
        lines: Sequence[tuple[str, int]] = (),
        limit: int = 5,
        policy: Policy | None = None,
        datum: Datum | None = None,
    ) -> list[Nearby]:
        """The nearest stores that have every line, nearest first; reserves nothing.

        Without lines, the nearest stores. At most `limit`, within the policy's radius; stores at
        the same distance stand in the order of their ids.
        """
        radius_m = self._radius_m(policy)
        if not isinstance(limit, int) or limit < 0:
            refuse(Fault.OUT_OF_RANGE, "limit", limit, hint="must be a whole number from 0")
        wanted = Order(id="-", lat=lat, lng=lng, lines=columns.rows("lines", lines), datum=datum)
        with self._lock:
            if wanted.lines:
                batch = Batch.of_orders([wanted], self._stock.sku_code_of, self._datum, "")
                at, basket = batch.place(0), batch.lines(0)
            else:
                at, basket = place_of(wanted, self._datum, "", None), []
            skus = np.array([sku for sku, _ in basket], dtype=np.int32)
            quantities = np.array([quantity for _, quantity in basket], dtype=np.int32)
            ids = self._network.store_ids
            most = min(limit, len(ids))
            found = nearest(self._stock, *at, skus, quantities, radius_m, most)
        return [Nearby(store_id=ids[store], distance_m=metres) for store, metres in found]

    def decision(self, order_id: str) -> Decision:
        """What a known order was told. Raises UnknownOrderError."""
        with self._lock:
            return self._orders.decision(order_id)

    def sku_codes(self, skus: Column) -> NDArray[np.int32]:
        """The int32 codes of SKUs, for `route_arrays`. Raises UnknownSkuError."""
        with self._lock:
            return columns.known_codes("skus", skus, self._stock.sku_code_of, Fault.UNKNOWN_SKU)

    def store_codes(self, store_ids: Column) -> NDArray[np.int32]:
        """The int32 codes of stores, for `set_stock`. Raises UnknownStoreError."""
        with self._lock:
            return columns.known_codes(
                "stores", store_ids, self._network.code_of, Fault.UNKNOWN_STORE
            )

    @property
    def store_ids(self) -> Sequence[str]:
        """Store code -> id. Not to be changed."""
        return self._network.store_ids

    @property
    def skus(self) -> Sequence[str]:
        """SKU code -> SKU. Not to be changed."""
        return self._stock.skus

    @property
    def policy(self) -> Policy:
        """What orders are routed under unless a call brings its own."""
        return self._policy

    @property
    def datum(self) -> Datum:
        """The datum of the network."""
        return self._datum

    @property
    def pair_count(self) -> int:
        """How many (store, SKU) pairs have a count, zero included."""
        return self._stock.pair_count

    @property
    def memory_bytes(self) -> int:
        """What stores and stock occupy in the core, without ids and known orders."""
        return self._network.layout.byte_count + self._stock.byte_count

    # -- INSIDE --------------------------------------------------------------------------------

    def _route(self, orders: list[Order], policy: Policy | None, style: str) -> list[Decision]:
        radius_m = self._radius_m(policy)
        # Codes are only ever added, so a batch read before the lock is as good within it.
        batch = Batch.of_orders(orders, self._stock.sku_code_of, self._datum, style)
        with self._lock:
            verdicts = self._orders.route(batch, radius_m)
            return decisions(batch, verdicts, self._network.store_ids)

    def _radius_m(self, policy: Policy | None) -> float:
        """How far a store may be under this call's policy, or else the engine's."""
        return _radius_m(self._policy if policy is None else policy)

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

    @staticmethod
    def _known(code_of: dict[str, int], fault: Fault, field: str, name: str) -> int:
        code = code_of.get(name) if isinstance(name, str) else None
        if code is None:
            refuse(fault, field, name)
        return code


def _radius_m(policy: Policy) -> float:
    """The policy's radius for the core, where infinity means no limit."""
    if not isinstance(policy, Policy):
        refuse(Fault.WRONG_TYPE, "policy", policy, hint="must be a fendan.Policy")
    if policy.radius_m is None:
        return float("inf")
    if not isinstance(policy.radius_m, Real):
        refuse(Fault.WRONG_TYPE, "policy.radius_m", policy.radius_m, hint="must be metres or None")
    if not policy.radius_m >= 0.0:
        refuse(Fault.OUT_OF_RANGE, "policy.radius_m", policy.radius_m, hint="must be 0 or more")
    return float(policy.radius_m)
