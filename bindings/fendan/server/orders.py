"""OrderService: what orders were told, and the way back."""

from collections.abc import Iterable

from fendan.api import Engine
from fendan.errors import (
    Fault,
    FendanError,
    NotAllowedError,
    UnknownOrderError,
    UnknownStoreError,
    refuse,
)
from fendan.messages import decision_message
from fendan.server.access import Caller, caller
from fendan.server.lane import Lane
from fendan.server.methods import Context, at_most, deadline_of, indexed, rename
from fendan.v1 import order_service_pb2 as messages
from fendan.v1 import order_service_pb2_grpc

__all__ = ["OrderService"]

MOST_RELEASED = 100_000  # as the proto says


class OrderService(order_service_pb2_grpc.OrderServiceServicer):
    """Answers for orders known by id; tokens of a store or region reach those at its stores."""

    def __init__(self, engine: Engine, lane: Lane) -> None:
        self._engine = engine
        self._lane = lane

    async def GetDecision(  # noqa: N802
        self, request: messages.GetDecisionRequest, context: Context
    ) -> messages.GetDecisionResponse:
        """What a known order was told, and whether its stock is still held."""
        who, order_id = caller(), request.order_id

        def work() -> messages.GetDecisionResponse:
            decision = self._engine.decision(order_id)
            self._check(who, "order_id", order_id)
            return messages.GetDecisionResponse(
                decision=decision_message(decision), held=self._engine.is_held(order_id)
            )

        return await self._lane.run(
            work, size_bytes=request.ByteSize(), deadline=deadline_of(context)
        )

    async def ReleaseOrders(  # noqa: N802
        self, request: messages.ReleaseOrdersRequest, context: Context
    ) -> messages.ReleaseOrdersResponse:
        """Give back the stock held for orders; where one is not the caller's, for none of them."""
        who, order_ids = caller(), request.order_ids
        at_most(MOST_RELEASED, "order_ids", len(order_ids))

        def work() -> messages.ReleaseOrdersResponse:
            if who.scope.is_bound:
                for row, order_id in enumerate(order_ids):
                    self._check(who, f"order_ids[{row}]", order_id)
            return messages.ReleaseOrdersResponse(released=self._release(order_ids))

        return await self._lane.run(
            work, size_bytes=request.ByteSize(), deadline=deadline_of(context)
        )

    def _release(self, order_ids: Iterable[str]) -> list[bool]:
        try:
            return self._engine.release_batch(order_ids)
        except FendanError as error:
            rename(error, indexed(error.field, error.row), error.row)

    def _check(self, who: Caller, field: str, order_id: str) -> None:
        """Raise NotAllowedError where the order is at no store of the caller's.

        The error names the order and not its store, which is none of the caller's business.
        """
        try:
            store_id = self._engine.decision(order_id).store_id or ""
            who.check_store(store_id, self._engine.region_of, field)
        except (NotAllowedError, UnknownStoreError):
            hint = f"it is at no store of the {who.scope.value} {who.of!r}"
            refuse(Fault.NOT_ALLOWED, field, order_id, hint=hint)
        except UnknownOrderError as error:
            rename(error, field)
