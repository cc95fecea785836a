"""What is hot: the methods that both doors serve, and the one function that answers each.

 grpcio port ─► event loop ─► lane ───────────┐
                                              ├─► Answer: (caller, bytes) -> bytes ─► engine
 native door ─► its loop ───► engine thread ──┘

So answers cannot differ. What is not in this table, the native door does not serve.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import grpc

from fendan.api import Engine
from fendan.server.access import caller
from fendan.server.config import Config
from fendan.server.decisions import STREAM_ROUTE, Decisions
from fendan.server.lane import Lane
from fendan.server.methods import Answer, Context, deadline_of
from fendan.server.metrics import Metrics
from fendan.server.orders import Orders
from fendan.server.stock_updates import StockUpdates

__all__ = ["Answers"]


class Answers:
    """The hot methods of one engine, `by_method`: by full name."""

    def __init__(self, engine: Engine, metrics: Metrics, config: Config) -> None:
        self.decisions = Decisions(engine, metrics, config)
        self.by_method: dict[str, Answer] = {
            **self.decisions.answers(),
            **Orders(engine).answers(),
            **StockUpdates(engine, metrics).answers(),
        }
        self._metrics = metrics

    def begin(
        self, lane: Lane, method: str, data: bytes, deadline: float | None
    ) -> asyncio.Future[bytes]:
        """Have the lane answer a message of the call that is being answered, in its turn.

        Raises what `Lane.submit` raises.
        """
        answer, who, since_s = self.by_method[method], caller(), time.perf_counter()

        def work() -> bytes:
            self._metrics.stage("queue", time.perf_counter() - since_s)
            return answer(who, data)

        return lane.submit(work, size_bytes=len(data), deadline=deadline)

    def handlers(self, lane: Lane) -> grpc.GenericRpcHandler:
        """What to register with a gRPC server; of StreamRoute, the stream is `RoutingService`'s."""
        return _Handlers(self, lane)


class _Handlers(grpc.GenericRpcHandler):
    """Answers unary calls by way of the lane."""

    def __init__(self, answers: Answers, lane: Lane) -> None:
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            method: grpc.unary_unary_rpc_method_handler(_through(lane, answers, method))
            for method in answers.by_method
            if method != STREAM_ROUTE
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """The handler of a method, if it is one of these."""
        return self._handlers.get(handler_call_details.method)


def _through(
    lane: Lane, answers: Answers, method: str
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def call(data: bytes, context: Context) -> bytes:
        return await answers.begin(lane, method, data, deadline_of(context))

    return call
