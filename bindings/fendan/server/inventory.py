"""InventoryService: what stores have and can sell; stock comes in by `stock_updates`."""

from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from fendan.api import Engine
from fendan.errors import FendanError
from fendan.messages import stock_level_message
from fendan.model import StockLevel
from fendan.server.access import Caller, Scope, caller
from fendan.server.lane import Lane
from fendan.server.logs import log
from fendan.server.methods import (
    Context,
    at_most,
    at_most_bytes,
    deadline_of,
    indexed,
    rename,
)
from fendan.server.metrics import Metrics
from fendan.server.pages import page_size_of, position_of, token_of
from fendan.server.watch import View, Watch
from fendan.v1 import inventory_service_pb2 as messages

__all__ = ["InventoryService"]

# As the proto says.
MOST_SKUS_ASKED = 10_000
MOST_WATCHED = 100_000

SERVICE = "fendan.v1.InventoryService"


class InventoryService:
    """Answers for the stock of one engine."""

    def __init__(self, engine: Engine, lane: Lane, metrics: Metrics) -> None:
        self._engine = engine
        self._lane = lane
        self._metrics = metrics
        self._watch = Watch(engine)

    def close(self) -> None:
        """End the threads that read for those who watch; by then nobody does."""
        self._watch.close()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to register with a gRPC server; see `StockUpdates` for the other methods."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetStock": grpc.unary_unary_rpc_method_handler(
                self.get_stock,
                messages.GetStockRequest.FromString,
                messages.GetStockResponse.SerializeToString,
            ),
            "WatchAvailability": grpc.unary_stream_rpc_method_handler(
                self.watch_availability,
                messages.WatchAvailabilityRequest.FromString,
                messages.WatchAvailabilityResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    # -- QUERIES -------------------------------------------------------------------------------

    async def get_stock(
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
            codes = self._engine.listed_skus(store_id)
            codes = codes[bisect_right(codes, after) :]
            names = [self._engine.skus[code] for code in codes[:size]]
            return self._engine.stock(store_id, names), codes.tolist(), version

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

    async def watch_availability(
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
        at_most_bytes("channel", request.channel)
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
