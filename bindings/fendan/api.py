"""The Python face: one Engine, thin over the compiled core."""

from collections.abc import Iterable, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fendan import columns
from fendan.columns import Column
from fendan.core import Clock
from fendan.durable import DurableFace
from fendan.engine.batch import Batch
from fendan.engine.book import Rules
from fendan.engine.call import check_policy
from fendan.engine.geo import Datum
from fendan.engine.orders import REMEMBERED
from fendan.engine.outcome import Decision, decisions
from fendan.engine.place import place_of
from fendan.engine.router import nearest
from fendan.engine.wire import Kind, Reply, Request, columns_of
from fendan.errors import Fault, refuse
from fendan.explain_face import ExplainFace
from fendan.filelog import FileLog
from fendan.held_face import HeldFace
from fendan.journal import Durability
from fendan.ledger_face import LedgerFace
from fendan.life_face import LifeFace
from fendan.log import Log
from fendan.lot_face import LotFace
from fendan.model import Line, Nearby, Order, Policy, Routed
from fendan.plain_face import PlainFace
from fendan.priority import (
    IN_ORDER,
    check_priorities,
    checked_allocation,
    priorities_of,
    said_by,
    said_in_columns,
)
from fendan.ruling_face import RulingFace
from fendan.snapshotting import EVERY_BYTES, Snapshots
from fendan.stock_face import StockFace
from fendan.store_face import StoreFace
from fendan.supply_face import SupplyFace
from fendan.watch_face import WatchFace

__all__ = ["Engine"]


class Engine(
    PlainFace,
    StoreFace,
    StockFace,
    HeldFace,
    LotFace,
    SupplyFace,
    WatchFace,
    LifeFace,
    ExplainFace,
    RulingFace,
    DurableFace,
    LedgerFace,
):
    """Stores, their stock, and the routing of orders over them, in memory.

    Every method either does all it was asked or raises a `fendan.FendanError` before anything has
    changed. An engine may be used from several threads; calls take turns.

    `policy`: what orders are routed under unless a call brings its own.
    `datum`: the one datum of the network; places given in another are converted on the way in.
    `remembered_orders`: how many orders are remembered at least, beside those that hold stock.
    `clock`: what time it is; the machine's, unless told otherwise.

    `Engine()` keeps everything in memory; `Engine.open` also in a journal on disk, so that nothing
    is lost.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        datum: Datum = Datum.WGS84,
        remembered_orders: int = REMEMBERED,
        clock: Clock | None = None,
    ) -> None:
        self._policy = Policy() if policy is None else policy
        _radius_m(self._policy)
        if not isinstance(datum, Datum):
            refuse(Fault.WRONG_TYPE, "datum", datum, hint="must be a fendan.Datum")
        if not isinstance(remembered_orders, int) or not 0 <= remembered_orders < 2**63:
            hint = "must be a whole number from 0"
            refuse(Fault.OUT_OF_RANGE, "remembered_orders", remembered_orders, hint=hint)
        super().__init__(datum, remembered_orders, self._policy, clock)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        durability: str | Durability = Durability.SYNC,
        policy: Policy | None = None,
        datum: Datum | None = None,
        remembered_orders: int | None = None,
        snapshot_bytes: int = EVERY_BYTES,
        clock: Clock | None = None,
        log: Log | None = None,
    ) -> Self:
        """An engine with its journal in the folder `path`: as it was, or new where there is none.

        `durability`: "sync" (what was answered survives a power cut), "async" (a killed process;
        a power cut may take the last 20 ms), or "none" (a killed process). `datum` and
        `remembered_orders` are the folder's unless given; a datum other than the folder's is
        refused. After every `snapshot_bytes` of journal a snapshot is taken, by a process of its
        own; 0: never. `log`: where else than in a folder the journal is.

        Raises FolderInUseError, CorruptJournalError (saying where), NewerFormatError, DiskError.
        """
        folder = _folder_of(path) if log is None else None
        mode = _durability(durability)
        if not isinstance(snapshot_bytes, int) or snapshot_bytes < 0:
            hint = "must be a whole number from 0"
            refuse(Fault.OUT_OF_RANGE, "snapshot_bytes", snapshot_bytes, hint=hint)
        remembered = REMEMBERED if remembered_orders is None else remembered_orders
        engine = cls(
            policy=policy, datum=datum or Datum.WGS84, remembered_orders=remembered, clock=clock
        )
        if log is None:
            assert folder is not None
            log = FileLog(folder)
        claim = log.claim("fendan.Engine")
        try:
            journal, recovery = engine._begin(log, claim, mode, datum, remembered_orders)
        except BaseException:
            log.close()
            raise
        engine._snapshots = Snapshots(engine, journal, folder, snapshot_bytes, recovery)
        if folder is not None:
            journal.on_breach = partial(engine._dump, folder)
        return engine

    def __repr__(self) -> str:
        return (
            f"Engine({len(self._network.code_of)} stores, {len(self.skus)} SKUs, "
            f"{len(self._orders)} known orders)"
        )

    # -- ORDERS --------------------------------------------------------------------------------

    def route(
        self, order: Order, *, policy: Policy | None = None, dry_run: bool = False
    ) -> Decision:
        """Assign one order to the nearest store within the policy that has every line; reserve.

        Where a policy file is in force, and no `policy` is given, its rule for the order decides.
        An order that no store can fill is a Decision with a reason, not an error. A known id with
        the same content gets its first decision again; with other content it raises
        OrderConflictError. Raises UnknownSkuError for a SKU that no stock was ever set for, and
        InvalidInputError for an order that cannot be. A dry run decides the same, but reserves
        and remembers nothing.
        """
        return self._route([order], policy, dry_run, "order")[0]

    def route_batch(
        self,
        orders: Iterable[Order],
        *,
        policy: Policy | None = None,
        dry_run: bool = False,
        allocate: str = IN_ORDER,
    ) -> list[Decision]:
        """Route orders as if one after another, in order; a bad order refuses the whole batch.

        With `allocate` "priority" those of higher priority first, and in order among equals; the
        decisions stand in the order of `orders` either way. In a dry run too, later orders see what
        earlier ones would have reserved.
        """
        by_priority = checked_allocation(allocate)
        return self._route(columns.rows("orders", orders), policy, dry_run, "orders", by_priority)

    def route_arrays(
        self,
        *,
        lat: ArrayLike,
        lng: ArrayLike,
        offsets: ArrayLike,
        skus: ArrayLike,
        quantities: ArrayLike,
        amounts: ArrayLike | None = None,
        order_types: ArrayLike | None = None,
        channels: Column | None = None,
        regions: Column | None = None,
        pickup_store_ids: Column | None = None,
        group_ids: Column | None = None,
        buyer_ids: Column | None = None,
        address_ids: Column | None = None,
        ids: Sequence[str] | None = None,
        policy: Policy | None = None,
        dry_run: bool = False,
    ) -> Routed:
        """Route orders given as arrays, as if one after another; nothing per order in Python.

        `lat`, `lng`: float64[n], degrees in the engine's datum. `offsets`: int64[n + 1], the lines
        of order i are offsets[i]:offsets[i + 1]. `skus`: int32[m], codes as from `sku_codes`.
        `quantities`: int32[m], 1 or more. `amounts`: int64[m], as in `Order`. With `ids` (n of
        them) the orders are known by id, as in `route`; without, only stock moves. A bad value
        refuses the whole batch.

        The others are read under a policy file only: `order_types` int[n], the rest n texts each,
        "" where an order does not say it, best dictionary-encoded.
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
        money = None if amounts is None else columns.int64s("amounts", amounts)
        if names is None and self._journal is not None and not dry_run:
            hint = "what a journal keeps can be given back only by id"
            refuse(Fault.MISSING, "ids", hint=hint)
        said = {
            "order_types": order_types,
            "channels": channels,
            "regions": regions,
            "pickup_store_ids": pickup_store_ids,
            "group_ids": group_ids,
            "buyer_ids": buyer_ids,
            "address_ids": address_ids,
        }
        with self._command() as command:
            rules = self._rules_of(policy, command.now_ns)
            asked = None if rules is None else _asked(rules, len(arrays[0]), said)
            batch = Batch.of_arrays(*arrays, names, len(self._stock.skus), money, asked)
            said_at = said_in_columns(said, len(batch))
            outcome = self._decided(batch, radius_m, dry_run, rules, command.now_ns, said_at)
        verdicts = outcome.verdicts
        return Routed(
            store_codes=np.ascontiguousarray(verdicts["store"]),
            distances_m=np.ascontiguousarray(verdicts["distance_m"]),
            statuses=np.ascontiguousarray(verdicts["status"]),
            reasons=np.ascontiguousarray(verdicts["reason"]),
        )

    def route_request(self, request: Request, *, policy: Policy | None = None) -> Reply:
        """Route the orders of a message as `route_batch` would; nothing per order in Python.

        `policy` stands in for the engine's own; the request's, where it has one, comes first.
        Errors name fields by their path in the message, such as ``orders[3].lines[0].sku``.
        """
        if request.has_policy:
            policy = Policy(radius_m=request.radius_m)
        radius_m = self._radius_m(policy)
        is_one = request.kind is Kind.ROUTE
        if is_one and not len(request):
            refuse(Fault.MISSING, "order", hint="the message has none")
        style = "order" if is_one else "orders"
        check_priorities(request.priorities, style)
        with self._command() as command:
            skus = self._stock.sku_code_of
            rules = self._rules_of(policy, command.now_ns)
            batch = Batch.of_message(
                request,
                columns_of(request, skus),
                skus,
                self._datum,
                style,
                None if rules is None else rules.asking,
            )
            outcome = self._decided(
                batch,
                radius_m,
                request.dry_run,
                rules,
                command.now_ns,
                said_at=lambda row: vars(request.said(row)),
                priorities=request.priorities,
                by_priority=request.allocation == 1,
            )
            return Reply(
                request,
                outcome.verdicts,
                self._network.layout,
                outcome.grants,
                outcome.shipments,
                skus,
            )

    def decision(self, order_id: str) -> Decision:
        """What a known order was told first; see `order` for now. Raises UnknownOrderError."""
        with self._command():
            return self._orders.decision(order_id)

    def knows(self, order_ids: Iterable[str]) -> list[bool]:
        """Whether each order is remembered: sent again, it would get its first answer."""
        with self._command():
            return [order_id in self._orders for order_id in order_ids]

    def is_held(self, order_id: str) -> bool:
        """Whether stock is held for a known order. Raises UnknownOrderError."""
        with self._command():
            return self._orders.is_held(order_id)

    # -- QUERIES -------------------------------------------------------------------------------

    def nearest(
        self,
        lat: float,
        lng: float,
        *,
        lines: Sequence[Line] = (),
        limit: int = 5,
        policy: Policy | None = None,
        datum: Datum | None = None,
    ) -> list[Nearby]:
        """The nearest stores that have every line, nearest first; reserves nothing.

        Without lines, the nearest stores. At most `limit`, within the policy's radius; stores at
        the same distance stand in the order of their ids. What lines cost makes no difference.
        """
        radius_m = self._radius_m(policy)
        if not isinstance(limit, int) or limit < 0:
            refuse(Fault.OUT_OF_RANGE, "limit", limit, hint="must be a whole number from 0")
        wanted = Order(id="-", lat=lat, lng=lng, lines=columns.rows("lines", lines), datum=datum)
        with self._lock:
            if wanted.lines:
                batch = Batch.of_orders([wanted], self._stock.sku_code_of, self._datum, "")
                batch = self._as_parts(batch)
                at, basket = batch.place(0), batch.lines(0)
            else:
                at, basket = place_of(wanted, self._datum, "", None), []
            skus = np.array([sku for sku, _ in basket], dtype=np.int32)
            quantities = np.array([quantity for _, quantity in basket], dtype=np.int32)
            ids = self._network.store_ids
            most = min(limit, len(ids))
            found = nearest(self._stock, *at, skus, quantities, radius_m, most)
        return [Nearby(store_id=ids[store], distance_m=metres) for store, metres in found]

    def sku_codes(self, skus: Column) -> NDArray[np.int32]:
        """The int32 codes of SKUs, for `route_arrays`. Raises UnknownSkuError."""
        with self._lock:
            codes = columns.known_codes("skus", skus, self._stock.sku_code_of, Fault.UNKNOWN_SKU)
            self._refuse_supply("skus", codes)
            return codes

    def store_codes(self, store_ids: Column) -> NDArray[np.int32]:
        """The int32 codes of stores, for `set_stock`. Raises UnknownStoreError."""
        with self._lock:
            return self._store_codes_of(store_ids, "stores")

    @property
    def store_ids(self) -> Sequence[str]:
        """Store code -> id, also of stores that were removed. Not to be changed."""
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
    def store_count(self) -> int:
        """How many stores there are, without those that were removed."""
        return len(self._network.code_of)

    @property
    def order_count(self) -> int:
        """How many orders are remembered."""
        return len(self._orders)

    @property
    def pair_count(self) -> int:
        """How many (store, SKU) pairs have a count, zero included."""
        return self._stock.pair_count

    @property
    def memory_bytes(self) -> int:
        """What stores and stock occupy in the core, without ids and known orders."""
        return self._network.layout.byte_count + self._stock.byte_count

    # -- INSIDE --------------------------------------------------------------------------------

    def _route(
        self,
        orders: list[Order],
        policy: Policy | None,
        dry_run: bool,
        style: str,
        by_priority: bool = False,
    ) -> list[Decision]:
        radius_m = self._radius_m(policy)
        with self._command() as command:
            rules = self._rules_of(policy, command.now_ns)
            asking = None if rules is None else rules.asking
            batch = Batch.of_orders(orders, self._stock.sku_code_of, self._datum, style, asking)
            priorities = None
            if by_priority or self.keeps_exceptions:
                priorities = priorities_of(orders, style)
            outcome = self._decided(
                batch,
                radius_m,
                dry_run,
                rules,
                command.now_ns,
                said_at=lambda row: said_by(orders[row]),
                priorities=priorities,
                by_priority=by_priority,
            )
            return decisions(batch.ids or [], outcome)

    def _rules_of(self, policy: Policy | None, now_ns: int) -> Rules | None:
        """The policy file in force; a call's own policy stands in its place."""
        return self._rules_at(now_ns) if policy is None else None

    def _radius_m(self, policy: Policy | None) -> float:
        """How far a store may be under this call's policy, or else the engine's."""
        return _radius_m(self._policy if policy is None else policy)


def _asked(
    rules: Rules, count: int, said: dict[str, Column | None]
) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """What the orders of columns say beside place and lines, for the core."""
    given: dict[str, Any] = {
        name: columns.int64s(name, column) if name == "order_types" else columns.texts(name, column)
        for name, column in said.items()
        if column is not None
    }
    return rules.asking.of_columns(count, given)


def _folder_of(path: str | PathLike[str]) -> Path:
    """Where the folder is, whichever folder the process goes to later."""
    try:
        name: str | bytes = fspath(path)
    except TypeError:
        name = b""
    if not isinstance(name, str):
        refuse(Fault.WRONG_TYPE, "path", path, hint="must be a str or a pathlib.Path")
    if not name or "\0" in name:
        refuse(Fault.OUT_OF_RANGE, "path", path, hint="must name a folder")
    return Path(name).absolute()


def _durability(value: str | Durability) -> Durability:
    try:
        return Durability(value)
    except ValueError:
        refuse(Fault.OUT_OF_RANGE, "durability", value, hint="must be sync, async or none")


def _radius_m(policy: Policy) -> float:
    """The policy's radius for the core, where infinity means no limit."""
    if not isinstance(policy, Policy):
        refuse(Fault.WRONG_TYPE, "policy", policy, hint="must be a fendan.Policy")
    check_policy(policy)
    try:
        return float("inf") if policy.radius_m is None else float(policy.radius_m)
    except OverflowError:
        refuse(Fault.OUT_OF_RANGE, "policy.radius_m", policy.radius_m, hint="must be metres")
