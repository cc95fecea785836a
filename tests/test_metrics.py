"""What Prometheus is told: counted by outcome, measured by stage, and the engine read on demand."""

import json
import socket
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from fendan import Client, Engine, InvalidInputError, Order, RawPayload, Reason, Status, Store
from fendan.intake.rule import Severity
from fendan.server.call_counts import BUCKETS_S, CallCounts
from fendan.server.metrics import STAGES, Endpoint, Metrics
from serving import a_chain, serving


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def orders(metrics: Metrics, status: str, reason: str) -> float | None:
    return value(metrics, "fendan_orders_total", status=status, reason=reason)


def routed(metrics: Metrics, *reasons: Reason) -> None:
    outcomes = np.zeros((max(Status) + 1, max(Reason) + 1), np.int64)
    for reason in reasons:
        outcomes[Status.ASSIGNED if reason is Reason.NONE else Status.UNASSIGNED, reason] += 1
    metrics.routed(outcomes)


def test_orders_are_counted_by_outcome_and_reason() -> None:
    metrics = Metrics()
    routed(metrics, Reason.NONE, Reason.NO_STOCK, Reason.NONE, Reason.NO_STORE_IN_RADIUS)
    routed(metrics, Reason.NO_STOCK)
    assert orders(metrics, "assigned", "none") == 2
    assert orders(metrics, "unassigned", "no_stock") == 2
    assert orders(metrics, "unassigned", "no_store_in_radius") == 1


def test_every_outcome_stands_at_zero_before_the_first_order() -> None:
    metrics = Metrics()
    assert orders(metrics, "assigned", "none") == 0
    for reason in Reason:
        if reason is not Reason.NONE:
            assert orders(metrics, "unassigned", reason.name.lower()) == 0


def test_an_empty_batch_counts_nothing() -> None:
    metrics = Metrics()
    routed(metrics)
    assert orders(metrics, "assigned", "none") == 0


def test_orders_with_findings_are_counted_by_rule_and_severity() -> None:
    metrics = Metrics()
    metrics.judged({("STALE", Severity.HOLD): 2, ("PRICE_ZERO", Severity.WARN): 1})
    metrics.judged({("STALE", Severity.HOLD): 3})
    name = "fendan_intake_findings_total"
    assert value(metrics, name, rule="STALE", severity="hold") == 5
    assert value(metrics, name, rule="PRICE_ZERO", severity="warn") == 1


def test_a_server_counts_what_rules_find_in_orders_that_come_in() -> None:
    order = {"order_id": "O-1", "lat": 31.2, "lng": 121.4, "lines": [{"sku": "?", "quantity": 1}]}
    payload = RawPayload(platform="OWN_SHOP", data=json.dumps(order).encode())
    with serving() as served, Client(served.address) as client:
        client.submit([payload])
        labels = {"rule": "UNKNOWN_SKU", "severity": "reject"}
        assert value(served.server.metrics, "fendan_intake_findings_total", **labels) == 1


def test_stock_outs_are_the_orders_that_more_stock_would_have_helped() -> None:
    metrics = Metrics()
    routed(metrics, *Reason)
    assert value(metrics, "fendan_stock_outs_total") == 2


def test_each_stage_has_its_own_histogram_from_10_us_to_1_s() -> None:
    metrics = Metrics()
    for stage in STAGES:
        metrics.stage(stage, 30e-6)
    for stage in STAGES:
        bucket = "fendan_stage_seconds_bucket"
        assert value(metrics, bucket, stage=stage, le="2e-05") == 0
        assert value(metrics, bucket, stage=stage, le="5e-05") == 1
    assert (BUCKETS_S[0], BUCKETS_S[-1]) == (1e-5, 1.0)
    assert list(BUCKETS_S) == sorted(BUCKETS_S)


def test_calls_are_counted_by_method_and_code() -> None:
    metrics = Metrics()
    metrics.request("/fendan.v1.RoutingService/Route", "OK", 0.001)
    metrics.request("/fendan.v1.RoutingService/Route", "NOT_FOUND", 0.001)
    counted = {"method": "/fendan.v1.RoutingService/Route", "code": "NOT_FOUND"}
    assert value(metrics, "fendan_requests_total", **counted) == 1
    method = {"method": "/fendan.v1.RoutingService/Route"}
    assert value(metrics, "fendan_request_seconds_count", **method) == 2


def test_calls_that_came_by_another_door_are_counted_under_the_same_names() -> None:
    metrics, door = Metrics(), CallCounts(("/fendan.v1.RoutingService/Route",))
    metrics.of_calls(lambda: door.calls)
    metrics.request("/fendan.v1.RoutingService/Route", "OK", 30e-6)
    metrics.request("/fendan.v1.OrderService/GetOrder", "OK", 2.0)
    for seconds in (20e-6, 20.1e-6, 0.25):
        door.count("/fendan.v1.RoutingService/Route", "OK", seconds)
    door.count("/made.up/Method", "UNIMPLEMENTED", 0.0)
    route = {"method": "/fendan.v1.RoutingService/Route"}
    assert value(metrics, "fendan_requests_total", **route, code="OK") == 4
    assert value(metrics, "fendan_requests_total", method="other", code="UNIMPLEMENTED") == 1
    assert value(metrics, "fendan_request_seconds_count", **route) == 4
    assert value(metrics, "fendan_request_seconds_sum", **route) == pytest.approx(0.2500701)
    within = {"2e-05": 1, "5e-05": 3, "0.2": 3, "0.5": 4, "+Inf": 4}
    for edge, calls in within.items():
        assert value(metrics, "fendan_request_seconds_bucket", **route, le=edge) == calls
    order = {"method": "/fendan.v1.OrderService/GetOrder"}
    assert value(metrics, "fendan_request_seconds_bucket", **order, le="1.0") == 0
    assert value(metrics, "fendan_request_seconds_bucket", **order, le="+Inf") == 1


def test_gauges_say_what_is_now() -> None:
    metrics = Metrics()
    metrics.queue(3, 1_000)
    metrics.queue(2, 500)
    metrics.watchers(+1)
    metrics.watchers(+1)
    metrics.watchers(-1)
    metrics.shortfalls(4)
    assert value(metrics, "fendan_queue_requests") == 2
    assert value(metrics, "fendan_queue_bytes") == 500
    assert value(metrics, "fendan_watchers") == 1
    assert value(metrics, "fendan_shortfalls_total") == 4


def test_the_engine_is_read_when_prometheus_asks() -> None:
    engine = a_chain()
    metrics = Metrics()
    metrics.of_engine(engine)
    assert value(metrics, "fendan_stores") == 3
    assert value(metrics, "fendan_skus") == 2
    assert value(metrics, "fendan_stock_pairs") == 6
    assert value(metrics, "fendan_known_orders") == 0
    engine.add_stores([Store(id="S4", lat=31.2, lng=121.5)])
    engine.remove_stores(["S1"])
    engine.remove_stores(["S2"])
    engine.route(Order(id="O1", lat=31.2, lng=121.4, lines=[("tea", 1)]))
    assert value(metrics, "fendan_stores") == 2
    assert value(metrics, "fendan_known_orders") == 1
    memory_bytes = value(metrics, "fendan_engine_bytes")
    assert memory_bytes is not None
    assert memory_bytes > 0


def test_the_journal_is_read_when_prometheus_asks(tmp_path: Path) -> None:
    with Engine.open(tmp_path / "journal") as engine:
        metrics = Metrics()
        metrics.of_engine(engine)
        before = value(metrics, "fendan_durable_sequence")
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.5)])
        after = value(metrics, "fendan_durable_sequence")
        assert before is not None
        assert after is not None
        assert after > before
        assert value(metrics, "fendan_events_since_snapshot") == after
        assert value(metrics, "fendan_snapshot_failed") == 0
        for name in ("journal_bytes", "journal_syncs", "last_sync_seconds"):
            read = value(metrics, f"fendan_{name}")
            assert read is not None
            assert read > 0


def test_an_engine_in_memory_tells_nothing_of_a_journal() -> None:
    metrics = Metrics()
    metrics.of_engine(a_chain())
    assert value(metrics, "fendan_durable_sequence") is None


def test_how_long_answers_waited_for_the_disk_is_measured() -> None:
    metrics = Metrics()
    metrics.synced(0.003)
    assert value(metrics, "fendan_sync_seconds_bucket", le="0.002") == 0
    assert value(metrics, "fendan_sync_seconds_bucket", le="0.005") == 1


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    routed(one, Reason.NONE)
    assert orders(other, "assigned", "none") == 0


def scraped(endpoint: Endpoint) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics", timeout=10) as answer:
        return bytes(answer.read()).decode()


def test_prometheus_scrapes_the_endpoint_and_it_closes() -> None:
    metrics = Metrics()
    routed(metrics, Reason.NO_STOCK)
    with metrics.serve("127.0.0.1:0") as endpoint:
        text = scraped(endpoint)
    assert 'fendan_orders_total{reason="no_stock",status="unassigned"} 1.0' in text
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)
    endpoint.close()  # a second time changes nothing


@pytest.mark.parametrize("listen", ["", "9090", ":9090", "127.0.0.1:", "127.0.0.1:x", "a:65536"])
def test_an_address_that_is_none_is_refused_by_name(listen: str) -> None:
    with pytest.raises(InvalidInputError, match=r"metrics\.listen") as refused:
        Metrics().serve(listen)
    assert refused.value.value == listen
