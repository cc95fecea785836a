"""What became of orders, and how long the stages of requests took: read off the meter on demand."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fendan.engine.meter import STAGES, Meter
from fendan.engine.router import Reason, Status
from fendan.server.call_counts import buckets_of

__all__ = ["Tallies"]

# The reasons for which more stock would have helped.
STOCK_OUTS = (Reason.NO_STOCK, Reason.NO_STOCK_IN_RADIUS)

# All stand at 0 from the start.
OUTCOMES = (
    (Status.ASSIGNED, Reason.NONE),
    *((Status.UNASSIGNED, reason) for reason in Reason if reason is not Reason.NONE),
)


class Tallies(Collector):
    """Tells Prometheus what `meter` has counted."""

    def __init__(self) -> None:
        self.meter = Meter()

    def collect(self) -> Iterator[Metric]:
        """What there was so far."""
        outcomes, within, seconds = self.meter.read()
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
        for stage, counts, total_s in zip(STAGES, within, seconds.tolist(), strict=True):
            stages.add_metric((stage,), buckets_of(counts), total_s)
        yield stages
