"""NetworkService: the stores of the chain."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

from fendan.api import Engine
from fendan.messages import shortfall_message, store_of, store_status_message
from fendan.model import Store, StoreStatus
from fendan.server.access import Caller, Scope, caller
from fendan.server.lane import Lane
from fendan.server.methods import Commanding, Context, apart, at_most, deadline_of
from fendan.server.metrics import Metrics
from fendan.server.pages import page_size_of, position_of, token_of
from fendan.v1 import network_service_pb2 as messages
from fendan.v1 import network_service_pb2_grpc

__all__ = ["NetworkService"]

# As the proto says: three times as many as the largest chain has.
MOST_STORES = 100_000
# To close a store, all that it holds for orders is told.
MOST_REMOVED = 1_000

Naming = messages.PauseStoresRequest | messages.ResumeStoresRequest | messages.RemoveStoresRequest
Result = TypeVar("Result")


class NetworkService(Commanding, network_service_pb2_grpc.NetworkServiceServicer):
    """Opens, moves, pauses, closes and lists the stores of one engine."""

    def __init__(self, engine: Engine, lane: Lane, metrics: Metrics) -> None:
        super().__init__(lane)
        self._engine = engine
        self._metrics = metrics

    # -- COMMANDS ------------------------------------------------------------------------------

    async def AddStores(  # noqa: N802
        self, request: messages.AddStoresRequest, context: Context
    ) -> messages.AddStoresResponse:
        """Add new stores."""
        stores = await self._stores(request.stores)
        await self._do(request, context, lambda: self._engine.add_stores(stores))
        return messages.AddStoresResponse()

    async def UpdateStores(  # noqa: N802
        self, request: messages.UpdateStoresRequest, context: Context
    ) -> messages.UpdateStoresResponse:
        """Change the place or region of stores."""
        stores = await self._stores(request.stores)
        who = caller()

        def work() -> None:
            self._check(who, [store.id for store in stores], "stores[{}].id")
            self._engine.update_stores(stores)

        await self._do(request, context, work)
        return messages.UpdateStoresResponse()

    async def PauseStores(  # noqa: N802
        self, request: messages.PauseStoresRequest, context: Context
    ) -> messages.PauseStoresResponse:
        """Give stores no more orders."""
        await self._do_with_named(request, context, MOST_STORES, self._engine.pause_stores)
        return messages.PauseStoresResponse()

    async def ResumeStores(  # noqa: N802
        self, request: messages.ResumeStoresRequest, context: Context
    ) -> messages.ResumeStoresResponse:
        """Give stores orders again."""
        await self._do_with_named(request, context, MOST_STORES, self._engine.resume_stores)
        return messages.ResumeStoresResponse()

    async def RemoveStores(  # noqa: N802
        self, request: messages.RemoveStoresRequest, context: Context
    ) -> messages.RemoveStoresResponse:
        """Close stores for good."""
        shortfalls = await self._do_with_named(
            request, context, MOST_REMOVED, self._engine.remove_stores
        )
        self._metrics.shortfalls(len(shortfalls))
        orders = sum(len(shortfall.order_ids) for shortfall in shortfalls)
        told = await apart(orders, lambda: [shortfall_message(short) for short in shortfalls])
        return messages.RemoveStoresResponse(shortfalls=told)

    # -- QUERIES -------------------------------------------------------------------------------

    async def ListStores(  # noqa: N802
        self, request: messages.ListStoresRequest, context: Context
    ) -> messages.ListStoresResponse:
        """The stores that the caller may see, a page at a time."""
        size = page_size_of(request.page_size)
        region = self._region_to_list(request.region)
        after = position_of(request.page_token, region)

        def work() -> tuple[list[StoreStatus], list[int]]:
            listed = [
                status
                for status in self._engine.stores()
                if not region or status.store.region == region
            ]
            codes = self._engine.store_codes([status.store.id for status in listed]).tolist()
            begin = bisect_right(codes, after)
            return listed[begin : begin + size], codes[begin:]

        page, codes = await self._lane.run(work, deadline=deadline_of(context))
        return messages.ListStoresResponse(
            stores=map(store_status_message, page),
            next_page_token=token_of(codes[size - 1], region) if len(codes) > size else "",
        )

    # -- INSIDE --------------------------------------------------------------------------------

    async def _stores(self, stores: Sequence[messages.Store]) -> list[Store]:
        """The stores of a request; those of a region's staff must be in that region."""
        at_most(MOST_STORES, "stores", len(stores))
        who = caller()

        def work() -> list[Store]:
            found = [store_of(store, f"stores[{row}]") for row, store in enumerate(stores)]
            for row, store in enumerate(found):
                if who.scope.is_bound:
                    who.check_region(store.region, f"stores[{row}].region")
            return found

        return await apart(len(stores), work)

    def _check(self, who: Caller, store_ids: Sequence[str], path: str) -> None:
        """Refuse stores that are not the caller's."""
        if who.scope.is_bound:
            for row, store_id in enumerate(store_ids):
                who.check_store(store_id, self._engine.region_of, path.format(row))

    def _region_to_list(self, asked: str) -> str:
        """Which region to list, empty for all. A region's staff see theirs, asked or not."""
        who = caller()
        if who.scope is Scope.REGION and not asked:
            return who.of
        who.check_region(asked)
        return asked

    async def _do_with_named(
        self,
        request: Naming,
        context: Context,
        most: int,
        command: Callable[[Sequence[str]], Result],
    ) -> Result:
        """Have the engine carry out a command on the stores that a request names."""
        at_most(most, "store_ids", len(request.store_ids))
        store_ids = list(request.store_ids)
        who = caller()

        def work() -> Result:
            self._check(who, store_ids, "store_ids[{}]")
            return command(store_ids)

        return await self._do(request, context, work)
