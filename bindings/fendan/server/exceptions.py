"""ExceptionService: the orders that nobody fills yet."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from fendan.api import Engine
from fendan.exception_messages import (
    entry_message,
    figures_message,
    filter_of,
    stats_message,
)
from fendan.messages import order_status_message
from fendan.server.lane import Lane
from fendan.server.methods import Commanding, Context, at_most
from fendan.server.pages import page_size_of
from fendan.v1 import exception_service_pb2 as messages
from fendan.v1 import exception_service_pb2_grpc

__all__ = ["ExceptionService"]

# As the proto says.
MOST_RETRIED = 10_000

# One message of an export: so many raw texts of full length fit gRPC's usual 4 MiB.
ENTRIES_PER_MESSAGE = 200


class ExceptionService(exception_service_pb2_grpc.ExceptionServiceServicer, Commanding):
    """Looks after one engine's queue. Commands go through the lane, readers beside it."""

    def __init__(self, engine: Engine, lane: Lane) -> None:
        super().__init__(lane)
        self._engine = engine

    # -- READING -------------------------------------------------------------------------------

    async def ListExceptions(  # noqa: N802
        self, request: messages.ListExceptionsRequest, context: Context
    ) -> messages.ListExceptionsResponse:
        """A page of the queue."""
        page = await asyncio.to_thread(
            self._engine.exceptions,
            filter_of(request.filter),
            limit=page_size_of(request.page_size),
            after=request.page_token,
        )
        return messages.ListExceptionsResponse(
            entries=map(entry_message, page.entries), next_page_token=page.after
        )

    async def ExportExceptions(  # noqa: N802
        self, request: messages.ExportExceptionsRequest, context: Context
    ) -> AsyncIterator[messages.ExportExceptionsResponse]:
        """All of the queue that is meant."""
        wanted, after, is_last = filter_of(request.filter), "", False
        while not is_last:
            page = await asyncio.to_thread(
                self._engine.exceptions, wanted, limit=ENTRIES_PER_MESSAGE, after=after
            )
            yield messages.ExportExceptionsResponse(entries=map(entry_message, page.entries))
            after, is_last = page.after, not page.after

    async def GetException(  # noqa: N802
        self, request: messages.GetExceptionRequest, context: Context
    ) -> messages.GetExceptionResponse:
        """One entry."""
        entry = await asyncio.to_thread(self._engine.exception, request.order_id)
        return messages.GetExceptionResponse(entry=entry_message(entry))

    async def GetExceptionStats(  # noqa: N802
        self, request: messages.GetExceptionStatsRequest, context: Context
    ) -> messages.GetExceptionStatsResponse:
        """How it stands."""
        return stats_message(await asyncio.to_thread(self._engine.exception_stats))

    async def GetExceptionFigures(  # noqa: N802
        self, request: messages.GetExceptionFiguresRequest, context: Context
    ) -> messages.GetExceptionFiguresResponse:
        """A day's figures."""
        figures_of = self._engine.exception_figures
        if request.HasField("utc_offset_h"):
            figures_of = partial(figures_of, utc_offset_h=request.utc_offset_h)
        return figures_message(await asyncio.to_thread(figures_of, request.day))

    # -- COMMANDS ------------------------------------------------------------------------------

    async def RetryExceptions(  # noqa: N802
        self, request: messages.RetryExceptionsRequest, context: Context
    ) -> messages.RetryExceptionsResponse:
        """Try orders now."""
        at_most(MOST_RETRIED, "order_ids", len(request.order_ids))
        command = partial(self._engine.retry_exceptions, list(request.order_ids))
        orders = await self._do(request, context, command)
        return messages.RetryExceptionsResponse(orders=map(order_status_message, orders))

    async def AssignException(  # noqa: N802
        self, request: messages.AssignExceptionRequest, context: Context
    ) -> messages.AssignExceptionResponse:
        """Give an order to a store."""
        command = partial(self._engine.assign_exception, request.order_id, request.store_id)
        order = await self._do(request, context, command)
        return messages.AssignExceptionResponse(order=order_status_message(order))

    async def ApproveException(  # noqa: N802
        self, request: messages.ApproveExceptionRequest, context: Context
    ) -> messages.ApproveExceptionResponse:
        """Route an order after all."""
        command = partial(self._engine.approve_exception, request.order_id)
        order = await self._do(request, context, command)
        return messages.ApproveExceptionResponse(order=order_status_message(order))

    async def CancelException(  # noqa: N802
        self, request: messages.CancelExceptionRequest, context: Context
    ) -> messages.CancelExceptionResponse:
        """Give up an order."""
        await self._do(request, context, partial(self._engine.cancel_exception, request.order_id))
        return messages.CancelExceptionResponse()
