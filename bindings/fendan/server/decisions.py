"""Route, BatchRoute and the messages of StreamRoute: orders in, decisions out.

From bytes to bytes: the core reads the message, routes its orders and writes the answer, with
nothing per order in Python.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial

from fendan.api import Engine
from fendan.engine import wire
from fendan.server import logs
from fendan.server.callers import Caller
from fendan.server.config import Config
from fendan.server.methods import Answer
from fendan.server.metrics import Metrics

__all__ = ["ROUTE", "STREAM_ROUTE", "Decisions"]

SERVICE = "/fendan.v1.RoutingService"
ROUTE = f"{SERVICE}/Route"
STREAM_ROUTE = f"{SERVICE}/StreamRoute"


class Decisions:
    """Routes what messages ask for, counts it and writes it to the log."""

    def __init__(self, engine: Engine, metrics: Metrics, config: Config) -> None:
        self._engine = engine
        self._metrics = metrics
        self._most_orders = config.limits.orders_per_request
        self._logged_orders = config.log.orders

    def answers(self) -> dict[str, Answer]:
        """What each method answers, by its full name; StreamRoute, to one message of its stream."""
        return {
            ROUTE: partial(self._answer, wire.ROUTE),
            f"{SERVICE}/BatchRoute": partial(self._answer, wire.BATCH),
            STREAM_ROUTE: partial(self._answer, wire.STREAM),
        }

    def together(self, count: int, data: bytes, callers: Callable[[], Sequence[Caller]]) -> bytes:
        """Answer so many Route calls, whose messages stand one after another.

        They are a BatchRouteRequest; where one order of them is refused, all are. `callers` says
        whose they are, one by one.
        """
        return self._routed(wire.BATCH, count, data, lambda: [who.name for who in callers()])

    def _answer(self, kind: wire.Kind, who: Caller, data: bytes) -> bytes:
        return self._routed(kind, self._most_orders, data, lambda: [who.name])

    def _routed(
        self, kind: wire.Kind, most: int, data: bytes, callers: Callable[[], Sequence[str]]
    ) -> bytes:
        """Read, route, write. Raises FendanError before anything has changed."""
        if self._logged_orders == "none":
            plain = self._engine.route_plain(data, kind, most, self._metrics.meter)
            if plain is not None:
                return plain
        began_s = time.perf_counter()
        request = wire.Request.read(data, kind, most)
        read_s = time.perf_counter()
        reply = self._engine.route_request(request)
        routed_s = time.perf_counter()
        answer = reply.encode()
        metrics = self._metrics
        metrics.stage("decode", read_s - began_s)
        metrics.stage("search", routed_s - read_s)
        metrics.stage("reply", time.perf_counter() - routed_s)
        if not request.dry_run:
            metrics.routed(reply.outcomes)
        logs.routed(self._logged_orders, reply, callers)
        return answer
