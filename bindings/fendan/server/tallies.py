"""What became of orders, and how long the stages of requests took: plain numbers, read on demand.

Both doors count here a message, or what one of them does as one, from threads of their own. A
counter of Prometheus' client takes some microseconds each, and there are a dozen a message: where
few callers wait for each other, that is much of what they wait for.

 outcomes  int64[statuses, reasons]   orders, as `Reply.outcomes` has those of one message
 within    int[stages][buckets + 1]   requests, by how long they took; the last: longer than all
 seconds   float[stages]              how long they took together
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fendan.engine.router import Reason, Status
from fendan.server.call_counts import BUCKETS_S, buckets_of

__all__ = ["STAGES", "Tallies"]

# Where the time of a hot request goes, in this order; after the queue, that of a routing one.
STAGES = ("queue", "decode", "search", "reply")

# The reasons for which more stock would have helped.
STOCK_OUTS = (Reason.NO_STOCK, Reason.NO_STOCK_IN_RADIUS)

# All stand at 0 from the start.
OUTCOMES = (
    (Status.ASSIGNED, Reason.NONE),
    *((Status.UNASSIGNED, reason) for reason in Reason if reason is not Reason.NONE),
)


class Tallies(Collector):
    """Counts, from any thread, and tells Prometheus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outcomes = np.zeros((max(Status) + 1, max(Reason) + 1), np.int64)
        self._within = {stage: [0] * (len(BUCKETS_S) + 1) for stage in STAGES}
        self._seconds = dict.fromkeys(STAGES, 0.0)

    def stage(self, name: str, seconds: float) -> None:
        """How long a request spent in one of STAGES."""
        place = bisect_left(BUCKETS_S, seconds)
        with self._lock:
            self._within[name][place] += 1
            self._seconds[name] += seconds

    def routed(self, outcomes: NDArray[np.int64]) -> None:
        """Count decisions: int64[statuses, reasons]."""
        with self._lock:
            self._outcomes += outcomes

    def collect(self) -> Iterator[Metric]:
        """What there was so far."""
        with self._lock:
            outcomes = self._outcomes.copy()
            within = {stage: list(counts) for stage, counts in self._within.items()}
            seconds = dict(self._seconds)
        orders = CounterMetricFamily(
            "fendan_orders", "Orders by outcome.", labels=("status", "reason")
        )
        for status, reason in OUTCOMES:
            labels = (status.name.lower(), reason.name.lower())
            orders.add_metric(labels, float(outcomes[status, reason]))
        yield orders
        yield CounterMetricFamily(
            "fendan_stock_outs",
            "Orders unassigned for want of stock.",
            value=float(outcomes[:, STOCK_OUTS].sum()),
        )
        stages = HistogramMetricFamily(
            "fendan_stage_seconds", "Time of hot requests by stage.", labels=("stage",)
        )
        for stage in STAGES:
            stages.add_metric((stage,), buckets_of(within[stage]), seconds[stage])
        yield stages
