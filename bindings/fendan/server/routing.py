"""RoutingService beside its hot unary methods: streams of orders, nearest stores, explanations."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.messages import datum_of, lines_of, nearby_message, policy_of
from fendan.server.answers import Answers
from fendan.server.decisions import STREAM_ROUTE
from fendan.server.explaining import Explaining
from fendan.server.lane import Lane
from fendan.server.methods import Context, at_most, deadline_of
from fendan.server.streams import Stream
from fendan.v1 import routing_service_pb2 as messages

__all__ = ["RoutingService"]

SERVICE = "fendan.v1.RoutingService"

DEFAULT_NEAREST = 5
MOST_NEAREST = 1_000
MOST_LINES = 10_000  # as many as an order may have


class RoutingService:
    """Answers from one engine, through one lane."""

    def __init__(self, engine: Engine, lane: Lane, answers: Answers) -> None:
        self._engine = engine
        self._lane = lane
        self._answers = answers
        self._streams: set[Stream] = set()
        self._explaining = Explaining(engine)

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to register with a gRPC server; see `Answers` for the other methods."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "StreamRoute": grpc.stream_stream_rpc_method_handler(self.stream_route),
            "Nearest": grpc.unary_unary_rpc_method_handler(
                self.nearest,
                messages.NearestRequest.FromString,
                messages.NearestResponse.SerializeToString,
            ),
            "Explain": grpc.unary_unary_rpc_method_handler(
                self._explaining.explain,
                messages.ExplainRequest.FromString,
                messages.ExplainResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def drain(self) -> None:
        """Read no more of any stream; each ends when it has answered what was read.

        For streams that are open: `CallInterceptor` refuses those to come.
        """
        for stream in self._streams:
            stream.drain()

    def close(self) -> None:
        """End the threads; by then nobody calls."""
        self._explaining.close()

    # -- METHODS -------------------------------------------------------------------------------

    async def stream_route(
        self, _requests: object, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """StreamRouteRequests to StreamRouteResponses, in their order."""
        deadline = deadline_of(context)
        begin = partial(self._answers.begin, self._lane, STREAM_ROUTE)
        stream = Stream(context, lambda data: begin(data, deadline))
        self._streams.add(stream)
        try:
            async with aclosing(stream.answers()) as answers:
                async for answer in answers:
                    yield answer
        finally:
            self._streams.discard(stream)

    async def nearest(
        self, request: messages.NearestRequest, context: Context
    ) -> messages.NearestResponse:
        """The stores near a place that have a basket."""
        limit = request.limit or DEFAULT_NEAREST
        if not 1 <= limit <= MOST_NEAREST:
            hint = f"must be from 1 to {MOST_NEAREST:,}, or 0 for {DEFAULT_NEAREST}"
            refuse(Fault.OUT_OF_RANGE, "limit", limit, hint=hint)
        at_most(MOST_LINES, "lines", len(request.lines))
        policy = policy_of(request.policy) if request.HasField("policy") else None
        datum = datum_of(request.datum)
        found = await self._lane.run(
            lambda: self._engine.nearest(
                request.lat,
                request.lng,
                lines=lines_of(request.lines),
                limit=limit,
                policy=policy,
                datum=datum,
            ),
            size_bytes=request.ByteSize(),
            deadline=deadline_of(context),
        )
        return messages.NearestResponse(stores=map(nearby_message, found))
