"""InventoryService: stock in, availability out."""

import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fendan.api import Engine
from fendan.errors import Fault, FendanError, refuse
from fendan.messages import shortfall_message, stock_level_message, stock_outcome_message
from fendan.model import StockLevel, StockUpdate
from fendan.server.access import Caller, Scope, caller
from fendan.server.lane import Lane
from fendan.server.logs import log
from fendan.server.methods import Context, apart, at_most, deadline_of, indexed, rename
from fendan.server.metrics import Metrics
from fendan.server.pages import page_size_of, position_of, token_of
from fendan.server.watch import View, Watch
from fendan.v1 import inventory_service_pb2 as messages
from fendan.v1 import inventory_service_pb2_grpc

__all__ = ["InventoryService"]

# As the proto says. A request of so many rows keeps the engine busy for some tens of milliseconds,
# in which no order is routed.
MOST_ROWS = 100_000
MOST_SKUS_ASKED = 10_000
MOST_WATCHED = 100_000
MOST_NAME_BYTES = 255

Part = messages.StockSnapshot | messages.StockAdjustment


class InventoryService(inventory_service_pb2_grpc.InventoryServiceServicer):
    """Answers for the stock of one engine."""

    def __init__(self, engine: Engine, lane: Lane, metrics: Metrics) -> None:
        self._engine = engine
        self._lane = lane
        self._metrics = metrics
        self._watch = Watch(engine)

    def close(self) -> None:
        """End the threads that read for those who watch; by then nobody does."""
        self._watch.close()

    # -- COMMANDS ------------------------------------------------------------------------------

    async def SetStock(  # noqa: N802
        self, request: messages.SetStockRequest, context: Context
    ) -> messages.SetStockResponse:
        """Set absolute counts."""
        rows = await self._rows(request.snapshots, _SNAPSHOTS)
        update = await self._apply(
            rows,
            lambda key: self._engine.set_stock(
                stores=rows.stores,
                skus=rows.skus,
                quantities=rows.values,
                versions=rows.versions,
                key=key,
            ),
            request,
            context,
        )
        return messages.SetStockResponse(**update)

    async def AdjustStock(  # noqa: N802
        self, request: messages.AdjustStockRequest, context: Context
    ) -> messages.AdjustStockResponse:
        """Add to counts, or take away."""
        rows = await self._rows(request.adjustments, _ADJUSTMENTS)
        update = await self._apply(
            rows,
            lambda key: self._engine.adjust_stock(
                stores=rows.stores,
                skus=rows.skus,
                deltas=rows.values,
                versions=rows.versions,
                key=key,
            ),
            request,
            context,
        )
        return messages.AdjustStockResponse(**update)

    async def _rows(self, parts: Sequence[Part], names: "_Names") -> "_Rows":
        """The parts of a request as columns, checked as far as the engine does not check them."""
        at_most(MOST_ROWS, names.parts, len(parts))
        count = sum(len(getattr(part, names.rows)) for part in parts)
        at_most(MOST_ROWS, names.parts, count)
        return await apart(count + len(parts), lambda: _Rows.of(parts, names))

    async def _apply(
        self,
        rows: "_Rows",
        command: Callable[[str | None], StockUpdate],
        request: messages.SetStockRequest | messages.AdjustStockRequest,
        context: Context,
    ) -> dict[str, Any]:
        """Have the engine carry out a command; what to answer, by field of the response."""
        who = caller()
        key = _key_of(who, request.idempotency_key)

        def work() -> tuple[StockUpdate, list[int]]:
            if who.scope.is_bound:
                rows.check_scope(who, self._engine.region_of)
            for part in rows.empty_parts:  # the engine sees only stores that stand in a row
                self._engine.stock_version(part.store_id)
            update = command(key)
            return update, [self._engine.stock_version(part.store_id) for part in rows.parts]

        try:
            update, versions = await self._lane.run(
                work, size_bytes=request.ByteSize(), deadline=deadline_of(context)
            )
        except FendanError as error:
            if error.fault is Fault.KEY_CONFLICT:
                refuse(error.fault, "idempotency_key", request.idempotency_key, hint=error.hint)
            rows.blame(error)
        self._metrics.shortfalls(len(update.shortfalls))
        size = len(rows.parts) + sum(len(short.order_ids) for short in update.shortfalls)
        return await apart(size, lambda: rows.answer(update, versions))

    # -- QUERIES -------------------------------------------------------------------------------

    async def GetStock(  # noqa: N802
        self, request: messages.GetStockRequest, context: Context
    ) -> messages.GetStockResponse:
        """What a store has, a page at a time."""
        store_id, skus = request.store_id, list(request.skus)
        at_most(MOST_SKUS_ASKED, "skus", len(skus))
        size = page_size_of(request.page_size)
        asked = "\0".join((store_id, *skus))
        after = position_of(request.page_token, asked)
        who = caller()

        def work() -> tuple[list[StockLevel], list[int], int]:
            who.check_store(store_id, self._engine.region_of)
            version = self._engine.stock_version(store_id)
            if skus:
                begin = after + 1
                page = self._engine.stock(store_id, skus[begin : begin + size])
                return page, list(range(begin, len(skus))), version
            levels = self._engine.stock(store_id)
            codes = self._engine.sku_codes([level.sku for level in levels]).tolist()
            begin = bisect_right(codes, after)
            return levels[begin : begin + size], codes[begin:], version

        try:
            levels, positions, version = await self._lane.run(work, deadline=deadline_of(context))
        except FendanError as error:
            row = None if error.row is None else error.row + after + 1  # of all, not of the page
            rename(error, indexed(error.field, row), row)
        more = len(positions) > len(levels)
        return messages.GetStockResponse(
            levels=map(stock_level_message, levels),
            next_page_token=token_of(positions[size - 1], asked) if more else "",
            version=version,
        )

    async def WatchAvailability(  # noqa: N802
        self, request: messages.WatchAvailabilityRequest, context: Context
    ) -> AsyncIterator[messages.WatchAvailabilityResponse]:
        """What a channel can sell, as it changes, until the caller has enough."""
        who = caller()
        view = await self._view(request, who, deadline_of(context))
        log.info("watch", channel=request.channel, caller=who.name)
        told = self._watch.follow(view, cursor=request.cursor, changes_only=request.changes_only)
        self._metrics.watchers(+1)
        try:
            async with aclosing(told):
                async for message in told:
                    yield message
        finally:
            self._metrics.watchers(-1)

    async def _view(
        self, request: messages.WatchAvailabilityRequest, who: Caller, deadline: float | None
    ) -> View:
        """Which pairs a caller asked for, as far as its token reaches."""
        _at_most_bytes("channel", request.channel)
        stores, skus = list(request.store_ids), list(request.skus)
        at_most(MOST_WATCHED, "store_ids", len(stores))
        at_most(MOST_WATCHED, "skus", len(skus))
        if not stores and who.scope is Scope.STORE:
            stores = [who.of]
        region_of = self._engine.region_of

        def check() -> None:
            if who.scope.is_bound:
                for row, store_id in enumerate(stores):
                    who.check_store(store_id, region_of, f"store_ids[{row}]")
            self._engine.store_codes(stores)
            self._engine.sku_codes(skus)

        try:
            await self._lane.run(check, size_bytes=request.ByteSize(), deadline=deadline)
        except FendanError as error:
            field = "store_ids" if error.field == "stores" else error.field
            rename(error, indexed(field, error.row), error.row)
        view = View(stores=set(stores) or None, skus=frozenset(skus) or None)
        if not stores and who.scope is Scope.REGION:
            view.stores = set()
            view.is_mine = lambda store_id: region_of(store_id) == who.of
        return view


# -- ROWS ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Names:
    """What a request calls its parts, their rows and the numbers in them."""

    parts: str
    rows: str
    value: str


_SNAPSHOTS = _Names("snapshots", "counts", "on_hand")
_ADJUSTMENTS = _Names("adjustments", "changes", "delta")


@dataclass(slots=True, kw_only=True)
class _Rows:
    """A request's parts as columns, and the way back from a row to what the caller sent."""

    parts: Sequence[Part]
    names: _Names
    stores: list[str] = field(default_factory=list)
    skus: list[str] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    # The first row of each part.
    starts: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Sequence[Part], names: _Names) -> "_Rows":
        """Lay out the parts. Refuses a store that stands twice, and what is no version."""
        rows = cls(parts=parts, names=names)
        seen: set[str] = set()
        for place, part in enumerate(parts):
            path = f"{names.parts}[{place}]"
            if part.store_id in seen:
                refuse(Fault.DUPLICATE_STORE, f"{path}.store_id", part.store_id, row=place)
            if part.version < 0:
                hint = "must be 1 or more; 0 for none"
                refuse(Fault.OUT_OF_RANGE, f"{path}.version", part.version, row=place, hint=hint)
            seen.add(part.store_id)
            rows._take(part)
        return rows

    def _take(self, part: Part) -> None:
        lines: Sequence[Any] = getattr(part, self.names.rows)
        self.starts.append(len(self.skus))
        self.stores.extend([part.store_id] * len(lines))
        self.skus.extend([line.sku for line in lines])
        if isinstance(part, messages.StockSnapshot):
            self.values.extend([count.on_hand for count in part.counts])
        else:
            self.values.extend([change.delta for change in part.changes])
        if part.version:
            self.versions[part.store_id] = part.version

    @property
    def empty_parts(self) -> list[Part]:
        """The parts without rows."""
        bounds = pairwise([*self.starts, len(self.skus)])
        return [part for part, (start, end) in zip(self.parts, bounds, strict=True) if start == end]

    def check_scope(self, who: Caller, region_of: Callable[[str], str]) -> None:
        """Refuse stores that are not the caller's."""
        for place, part in enumerate(self.parts):
            who.check_store(part.store_id, region_of, f"{self.names.parts}[{place}].store_id")

    def blame(self, error: FendanError) -> None:
        """Raise an error of the engine again, naming what the caller sent."""
        place: int | None = None
        if error.row is not None and error.field in ("stores", "skus", "quantities", "deltas"):
            place = bisect_right(self.starts, error.row) - 1
        elif error.fault is Fault.UNKNOWN_STORE:
            ids = [part.store_id for part in self.parts]
            place = ids.index(str(error.value)) if error.value in ids else None
        if place is None:
            raise error
        path = f"{self.names.parts}[{place}]"
        if error.field in ("skus", "quantities", "deltas") and error.row is not None:
            line = f"{path}.{self.names.rows}[{error.row - self.starts[place]}]"
            name = "sku" if error.field == "skus" else self.names.value
            rename(error, f"{line}.{name}", place)
        rename(error, f"{path}.store_id", place)

    def answer(self, update: StockUpdate, versions: Sequence[int]) -> dict[str, Any]:
        """The fields of the response. `versions`: the last one of each part's store."""
        stale = {part.store_id: part.last_version for part in update.stale}
        return {
            "outcomes": [
                stock_outcome_message(
                    part.store_id,
                    stale.get(part.store_id, part.version or last_version),
                    part.store_id in stale,
                )
                for part, last_version in zip(self.parts, versions, strict=True)
            ],
            "shortfalls": [shortfall_message(shortfall) for shortfall in update.shortfalls],
        }


def _key_of(who: Caller, key: str) -> str | None:
    """The engine's key for a caller's: no two callers share one, however they name theirs."""
    if not key:
        return None
    _at_most_bytes("idempotency_key", key)
    return hashlib.sha256(f"{who.scope.value}\0{who.name}\0{key}".encode()).hexdigest()


def _at_most_bytes(field: str, name: str) -> None:
    if len(name.encode()) > MOST_NAME_BYTES:
        refuse(Fault.OUT_OF_RANGE, field, name, hint=f"must be at most {MOST_NAME_BYTES} bytes")
