"""How calls ended and how long they took: tables of numbers, which both doors fill.

The native door counts for itself, off Python; what each has counted is added up when Prometheus
asks. A table has a row a method, and one more for the names of methods that there are not.

 ended    int64[methods + 1, codes]      calls, by gRPC's number of their status
 within   int64[methods + 1, buckets+1]  calls, by how long they took; the last: longer than all
 seconds  float64[methods + 1]           how long they took together
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import grpc
import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fendan.engine.meter import EDGES_S

__all__ = ["BUCKETS_S", "OTHER_METHOD", "CallCollector", "CallCounts", "Calls", "buckets_of"]

BUCKETS_S = EDGES_S

# Whoever sends made-up names of methods must not make up metrics.
OTHER_METHOD = "other"

CODES: dict[str, int] = {code.name: code.value[0] for code in grpc.StatusCode}


class Calls(NamedTuple):
    """The tables. `methods`: the full names of their rows, but for the last."""

    methods: Sequence[str]
    ended: NDArray[np.int64]
    within: NDArray[np.int64]
    seconds: NDArray[np.float64]


class CallCounts:
    """Counts one call after the other; not from several threads."""

    def __init__(self, methods: Sequence[str]) -> None:
        rows = len(methods) + 1
        self.calls = Calls(
            methods=methods,
            ended=np.zeros((rows, len(CODES)), np.int64),
            within=np.zeros((rows, len(BUCKETS_S) + 1), np.int64),
            seconds=np.zeros(rows, np.float64),
        )
        self._row_of = {method: row for row, method in enumerate(methods)}

    def count(self, method: str, status_name: str, seconds: float) -> None:
        """One call has ended."""
        calls = self.calls
        row = self._row_of.get(method, len(calls.methods))
        calls.ended[row, CODES[status_name]] += 1
        calls.within[row, bisect_left(BUCKETS_S, seconds)] += 1
        calls.seconds[row] += seconds


def buckets_of(within: ArrayLike) -> list[tuple[str, float]]:
    """Counts by bucket as Prometheus has them: those up to each edge."""
    edges = (*map(str, BUCKETS_S), "+Inf")
    return list(zip(edges, np.cumsum(within).astype(float).tolist(), strict=True))


class CallCollector(Collector):
    """Tells Prometheus of all calls that any of `sources` has counted, by names they share."""

    def __init__(self) -> None:
        self.sources: list[Callable[[], Calls]] = []

    def collect(self) -> Iterator[Metric]:
        """Both metrics, of what there was so far."""
        requests = CounterMetricFamily(
            "fendan_requests", "Calls by method and code.", labels=("method", "code")
        )
        seconds = HistogramMetricFamily(
            "fendan_request_seconds", "Time of whole calls.", labels=("method",)
        )
        for method, calls in sorted(self._by_method().items()):
            for code, number in CODES.items():
                if calls.ended[number]:
                    requests.add_metric((method, code), float(calls.ended[number]))
            if calls.within.any():
                seconds.add_metric((method,), buckets_of(calls.within), float(calls.seconds))
        yield requests
        yield seconds

    def _by_method(self) -> dict[str, "_Row"]:
        found: dict[str, _Row] = {}
        for calls in (source() for source in self.sources):
            for row, method in enumerate((*calls.methods, OTHER_METHOD)):
                one = _Row(calls.ended[row], calls.within[row], calls.seconds[row])
                found[method] = one if method not in found else found[method].plus(one)
        return found


class _Row(NamedTuple):
    """What the tables have of one method."""

    ended: NDArray[np.int64]
    within: NDArray[np.int64]
    seconds: np.float64

    def plus(self, other: "_Row") -> "_Row":
        return _Row(
            self.ended + other.ended, self.within + other.within, self.seconds + other.seconds
        )
