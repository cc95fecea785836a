"""What the server counts and measures, for Prometheus.

What is counted a message is in `tallies`, what is counted a call in `call_counts`. Gauges that
describe the engine are read when Prometheus asks, and cost nothing before.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Self
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)

from fendan.api import Engine
from fendan.durable import JournalStats
from fendan.engine.meter import STAGES
from fendan.errors import Fault, refuse
from fendan.intake.result import IntakeOutcome
from fendan.intake.rule import Severity
from fendan.server.access import METHODS
from fendan.server.call_counts import BUCKETS_S, CallCollector, CallCounts, Calls
from fendan.server.exception_metrics import ExceptionCollector
from fendan.server.tallies import Tallies

__all__ = ["STAGES", "Endpoint", "Metrics"]

# Of the native door's numbers, those that say how it stands.
DOOR_READINGS = {
    "connections": "Open connections of the native door.",
    "streams": "Open calls of the native door.",
    "queue_requests": "Messages at the native door that wait for the engine.",
    "held_bytes": "Bytes at the native door that are not read whole or not sent yet.",
    "refused": "Connections that the native door refused, being full.",
    "hung_up": "Connections that the native door closed, since they broke a rule.",
}

LISTEN_HINT = "must be host:port, such as 127.0.0.1:9090"


class Metrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        ProcessCollector(registry=self.registry)  # memory, processor time, open files
        tallies = Tallies()
        self.registry.register(tallies)
        self.meter = tallies.meter
        self.stage, self.routed = self.meter.stage, self.meter.routed
        self._shortfalls = self._counter(
            "shortfalls", "Pairs of store and SKU of which more was reserved than is there."
        )
        self._calls = CallCounts(tuple(METHODS))
        self._collector = CallCollector()
        self._collector.sources.append(lambda: self._calls.calls)
        self.registry.register(self._collector)
        self._findings = self._counter(
            "intake_findings", "Orders in which an intake rule found something.", "rule", "severity"
        )
        self._taken_in = self._counter(
            "intake_orders", "Orders as platforms send them, by what became of them.", "outcome"
        )
        self._queue_requests = self._gauge("queue_requests", "Requests that wait for the engine.")
        self._queue_bytes = self._gauge("queue_bytes", "Bytes of the requests that wait.")
        self._watchers = self._gauge("watchers", "Open calls of WatchAvailability.")
        self._syncs = self._histogram("sync_seconds", "Time that answers waited for the disk.")

    # -- INTAKE --------------------------------------------------------------------------------

    def judged(self, counts: Mapping[tuple[str, Severity], int]) -> None:
        """So many orders had findings, by the rule's code and severity: `Judged.counts`."""
        for (code, severity), orders in counts.items():
            self._findings.labels(code, severity.name.lower()).inc(orders)

    def taken_in(self, counts: Mapping[IntakeOutcome, int]) -> None:
        """So many orders came as platforms send them, by what became of them."""
        for outcome, orders in counts.items():
            self._taken_in.labels(outcome.name.lower()).inc(orders)

    # -- WHAT WAITS ----------------------------------------------------------------------------

    def queue(self, requests: int, bytes: int) -> None:
        """What has been accepted and waits for the engine, now."""
        self._queue_requests.set(requests)
        self._queue_bytes.set(bytes)

    def synced(self, seconds: float) -> None:
        """So long what was done waited for the disk."""
        self._syncs.observe(seconds)

    # -- CALLS ---------------------------------------------------------------------------------

    def request(self, method: str, status_name: str, seconds: float) -> None:
        """One call has ended. `method`: its full name; to be called by one thread only."""
        self._calls.count(method, status_name, seconds)

    def of_calls(self, source: Callable[[], Calls]) -> None:
        """Tell of calls that are counted elsewhere, too; it is asked whenever Prometheus asks."""
        self._collector.sources.append(source)

    def watchers(self, change: int) -> None:
        """So many more watchers, or, below zero, fewer."""
        self._watchers.inc(change)

    def shortfalls(self, pairs: int) -> None:
        """So many pairs have come short."""
        self._shortfalls.inc(pairs)

    # -- SCRAPING ------------------------------------------------------------------------------

    def of_engine(self, engine: Engine) -> None:
        """Tell of an engine, too; it is read whenever Prometheus asks."""
        readings: dict[tuple[str, str], Callable[[], float]] = {
            ("stores", "Stores, paused ones included."): lambda: engine.store_count,
            ("skus", "SKUs in the catalogue."): lambda: len(engine.skus),
            ("stock_pairs", "Pairs of store and SKU with a count."): lambda: engine.pair_count,
            ("known_orders", "Orders known by id."): lambda: engine.order_count,
            ("engine_bytes", "Memory of stores and stock."): lambda: engine.memory_bytes,
        }
        if engine.journal_stats() is not None:
            readings |= _journal_readings(engine)
        for (name, meaning), reading in readings.items():
            self._gauge(name, meaning).set_function(reading)
        self.registry.register(ExceptionCollector(engine))

    def of_door(self, read: Callable[[str], float]) -> None:
        """Tell of a native door, too, whose numbers `read` gives by name."""
        for name, meaning in DOOR_READINGS.items():
            self._gauge(f"door_{name}", meaning).set_function(partial(read, name))

    def serve(self, listen: str) -> "Endpoint":
        """Start the endpoint that Prometheus scrapes, at ``host:port``; to be closed.

        Raises InvalidInputError where `listen` is no such address, and OSError where it cannot be
        had.
        """
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            refuse(Fault.OUT_OF_RANGE, "metrics.listen", listen, hint=LISTEN_HINT)
        return Endpoint(host.strip("[]"), int(port), self.registry)

    # -- INSIDE --------------------------------------------------------------------------------

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, namespace="fendan", registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, namespace="fendan", registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(
            name, meaning, labels, namespace="fendan", buckets=BUCKETS_S, registry=self.registry
        )


def _journal_readings(engine: Engine) -> dict[tuple[str, str], Callable[[], float]]:
    def of(read: Callable[[JournalStats], float]) -> Callable[[], float]:
        def reading() -> float:
            stats = engine.journal_stats()
            return math.nan if stats is None else read(stats)

        return reading

    return {
        ("durable_sequence", "Number of the last event that is on disk."): of(
            lambda stats: stats.durable_sequence
        ),
        ("journal_bytes", "Bytes written to the journal."): of(lambda stats: stats.bytes_written),
        ("journal_syncs", "Syncs of the journal."): of(lambda stats: stats.syncs),
        ("last_sync_seconds", "Time of the last of them."): of(lambda stats: stats.last_sync_s),
        ("events_since_snapshot", "Events that an opening would replay."): of(
            lambda stats: stats.durable_sequence - stats.snapshot_sequence
        ),
        ("snapshot_failed", "1 if the last snapshot that was due could not be taken."): of(
            lambda stats: bool(stats.snapshot_failure)
        ),
    }


class Endpoint:
    """A small HTTP server in threads of its own; `port` is the one it got."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._server: WSGIServer
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        self.port = int(self._server.server_port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and wait until it has stopped. Closing twice is closing once."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
