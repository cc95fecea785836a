"""Many callers of unary Route at once: what they send, and how long they wait.

The load is compiled (`fendan.engine.traffic`): a closed loop over so many streams, spread evenly
over at most eight connections. Every request is another order, made before any clock runs, and
every answer is read afterwards: none may be lost, and none be anything but a decision.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.engine import wire
from fendan.engine.link import Tls
from fendan.engine.traffic import Outcome, Traffic
from fendan.load.messages import field_ends
from fendan.workloads.workload import Workload
from load import Orders

ROUTE = "/fendan.v1.RoutingService/Route"
MOST_CONNECTIONS = 8
DEADLINE_S = 60.0
AT_A_TIME = 20_000  # orders that are objects while they are written
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True)
class Requests:
    """RouteRequests of one order each: request i is ``data[offsets[i]:offsets[i + 1]]``."""

    data: bytes
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, workload: Workload, count: int) -> "Requests":
        """So many orders of two lines.

        A BatchRouteRequest is the RouteRequests of its orders, one after another: so many are
        written at once, and each is found in it again.
        """
        orders, parts, offsets, end = Orders(workload), [], [0], 0
        for first in range(0, count, AT_A_TIME):
            data = wire.write_request(orders.objects(min(AT_A_TIME, count - first)))
            parts.append(data)
            offsets += [end + place for place in field_ends(data)]
            end += len(data)
        return cls(b"".join(parts), np.array(offsets, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Crowd:
    """Callers of one server, who never send an order twice."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._next = 0

    def call(
        self, address: str, callers: int, warm: int, orders: int, tls: Tls | None = None
    ) -> "Waits":
        """So many orders by so many callers, after some that do not count."""
        connections = math.gcd(callers, MOST_CONNECTIONS)
        with Traffic(
            address, connections=connections, streams=callers // connections, tls=tls
        ) as traffic:
            self._send(traffic, warm)
            return Waits.of(self._send(traffic, orders))

    def _send(self, traffic: Traffic, count: int) -> Outcome:
        first, self._next = self._next, self._next + count
        if self._next > len(self._requests):
            raise ValueError(f"there are only {len(self._requests):,} orders")
        offsets = self._requests.offsets[first : self._next + 1]
        return traffic.send(
            ROUTE, self._requests.data, offsets, deadline_s=DEADLINE_S, keep_answers=True
        )


@dataclass(frozen=True)
class Waits:
    """What became of the orders, how many were answered a second, and how long each waited."""

    orders: int
    answered: int
    assigned: int
    per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    most_ms: float

    @classmethod
    def over(cls, turns: Sequence["Waits"], choose: Callable[[list[Any]], Any]) -> "Waits":
        """What `choose` (median, min, max) takes of each number of several turns."""
        rows = [astuple(turn) for turn in turns]
        orders, answered, assigned, *rest = (
            choose(list(values)) for values in zip(*rows, strict=True)
        )
        return cls(int(orders), int(answered), int(assigned), *rest)

    @classmethod
    def of(cls, outcome: Outcome) -> "Waits":
        """Read the answers. Raises RuntimeError where one is missing, or no decision."""
        orders = len(outcome.statuses)
        decisions = wire.read_response(outcome.answers).decisions
        if np.any(outcome.statuses) or len(decisions) != orders:
            statuses = dict(zip(*np.unique(outcome.statuses, return_counts=True), strict=True))
            raise RuntimeError(f"of {orders:,} orders, by status: {statuses}; {outcome.said}")
        # Always a wait that somebody had, and the longer one of two.
        waits = np.percentile(outcome.latencies_ns, PERCENTILES, method="higher") / 1e6
        return cls(
            orders,
            len(decisions),
            sum(decision.store_id is not None for decision in decisions),
            orders / outcome.seconds,
            *waits.tolist(),
        )
