"""What Prometheus is told of the exception queue: how many orders stand in it, why and how long."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from fendan.api import Engine
from fendan.exception_entry import ExceptionKind

__all__ = ["ExceptionCollector"]


class ExceptionCollector(Collector):
    """Reads one engine's queue whenever Prometheus asks; where none is kept there is nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """The gauges, as they are now."""
        if not self._engine.keeps_exceptions:
            return
        stats = self._engine.exception_stats()
        kinds = GaugeMetricFamily(
            "fendan_exceptions", "Orders in the exception queue.", labels=["kind"]
        )
        oldest = GaugeMetricFamily(
            "fendan_oldest_exception_seconds", "Age of the oldest of them.", labels=["kind"]
        )
        for kind in ExceptionKind:
            name = [kind.name.lower()]
            kinds.add_metric(name, stats.by_kind.get(kind, 0))
            oldest.add_metric(name, stats.oldest_s.get(kind, 0.0))
        reasons = GaugeMetricFamily(
            "fendan_exceptions_by_reason", "Orders in the queue by reason.", labels=["reason"]
        )
        for reason, count in stats.by_reason.items():
            reasons.add_metric([reason], count)
        yield from (kinds, oldest, reasons)
