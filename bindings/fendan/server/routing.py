"""RoutingService: orders in, decisions out.

The hot methods see bytes only. One piece of work in the lane reads the message, routes its orders
and writes the answer, all in the core: nothing per order in Python, and nothing on the event loop.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc

from fendan.api import Engine
from fendan.engine import wire
from fendan.errors import Fault, refuse
from fendan.messages import datum_of, lines_of, nearby_message, policy_of
from fendan.server import logs
from fendan.server.access import caller
from fendan.server.config import Config
from fendan.server.explaining import Explaining
from fendan.server.lane import Lane
from fendan.server.methods import Context, at_most, deadline_of
from fendan.server.metrics import Metrics
from fendan.server.streams import Stream
from fendan.v1 import routing_service_pb2 as messages

__all__ = ["STREAM_ROUTE", "RoutingService"]

SERVICE = "fendan.v1.RoutingService"
STREAM_ROUTE = f"/{SERVICE}/StreamRoute"

DEFAULT_NEAREST = 5
MOST_NEAREST = 1_000
MOST_LINES = 10_000  # as many as an order may have


class RoutingService:
    """Routes orders with one engine, through one lane."""

    def __init__(self, engine: Engine, lane: Lane, metrics: Metrics, config: Config) -> None:
        self.engine = engine
        self.lane = lane
        self.metrics = metrics
        self.most_orders = config.limits.orders_per_request
        self.logged_orders = config.log.orders
        self._streams: set[Stream] = set()
        self._explaining = Explaining(engine)

    def handlers(self) -> grpc.GenericRpcHandler:
        """What to register with a gRPC server."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Route": grpc.unary_unary_rpc_method_handler(self.route),
            "BatchRoute": grpc.unary_unary_rpc_method_handler(self.batch_route),
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

    async def route(self, data: bytes, context: Context) -> bytes:
        """RouteRequest to RouteResponse."""
        return await self._begin(data, wire.ROUTE, deadline_of(context))

    async def batch_route(self, data: bytes, context: Context) -> bytes:
        """BatchRouteRequest to BatchRouteResponse."""
        return await self._begin(data, wire.BATCH, deadline_of(context))

    async def stream_route(
        self, _requests: object, context: Context
    ) -> AsyncGenerator[bytes, None]:
        """StreamRouteRequests to StreamRouteResponses, in their order."""
        deadline = deadline_of(context)
        stream = Stream(context, lambda data: self._begin(data, wire.STREAM, deadline))
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
        found = await self.lane.run(
            lambda: self.engine.nearest(
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

    def _begin(self, data: bytes, kind: wire.Kind, deadline: float | None) -> asyncio.Future[bytes]:
        work = Routing(self, data, kind)
        return self.lane.submit(work, size_bytes=len(data), deadline=deadline)


class Routing:
    """The work that one message asks for, from bytes to bytes; to be called once, in the lane."""

    __slots__ = ("_accepted_s", "_caller", "_data", "_kind", "_service")

    def __init__(self, service: RoutingService, data: bytes, kind: wire.Kind) -> None:
        self._service = service
        self._data = data
        self._kind = kind
        self._caller = caller().name
        self._accepted_s = time.perf_counter()

    def __call__(self) -> bytes:
        """Read, route, write. Raises FendanError before anything has changed."""
        began_s = time.perf_counter()
        request = wire.Request.read(self._data, self._kind, self._service.most_orders)
        read_s = time.perf_counter()
        reply = self._service.engine.route_request(request)
        routed_s = time.perf_counter()
        answer = reply.encode()
        metrics = self._service.metrics
        metrics.stage("queue", began_s - self._accepted_s)
        metrics.stage("decode", read_s - began_s)
        metrics.stage("search", routed_s - read_s)
        metrics.stage("reply", time.perf_counter() - routed_s)
        if not request.dry_run:
            metrics.routed(reply.statuses, reply.reasons)
        logs.routed(self._service.logged_orders, reply, self._caller)
        return answer
