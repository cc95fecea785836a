"""Traces by the standard instrumentation: of every kind of call, and of how it failed."""

import builtins
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from fendan import InvalidInputError, Order
from fendan.engine import wire
from fendan.server import app
from fendan.server.tracing import Tracing
from fendan.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from serving import Served, serving

ORDER = Order(id="O1", lat=31.2, lng=121.4, lines=[("tea", 1)])
TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
TRACEPARENT = ("traceparent", f"00-{TRACE_ID:032x}-b7ad6b7169203331-01")


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def served(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(app, "Tracing", lambda _endpoint: Tracing(provider=provider))
    with serving(tracing__enabled=True) as served:
        yield served


@pytest.fixture
def channel(served: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as channel:
        yield channel


def only(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


def test_a_raw_call_is_traced_as_part_of_its_callers_trace(
    channel: grpc.Channel, spans: InMemorySpanExporter
) -> None:
    route = channel.unary_unary("/fendan.v1.RoutingService/Route")
    answer = route(wire.write_request([ORDER]), metadata=[TRACEPARENT])
    assert wire.read_response(answer).decisions[0].store_id == "S1"
    span = only(spans)
    assert span.name == "/fendan.v1.RoutingService/Route"
    assert span.context is not None
    assert span.context.trace_id == TRACE_ID


def test_a_raw_stream_is_one_span(channel: grpc.Channel, spans: InMemorySpanExporter) -> None:
    stream = channel.stream_stream("/fendan.v1.RoutingService/StreamRoute")
    sent = [wire.write_request([ORDER], correlation_id=number) for number in (1, 2)]
    answers = [wire.read_response(answer) for answer in stream(iter(sent))]
    assert [answer.correlation_id for answer in answers] == [1, 2]
    assert only(spans).name == "/fendan.v1.RoutingService/StreamRoute"


def test_a_refused_call_says_so_in_its_span(
    channel: grpc.Channel, spans: InMemorySpanExporter
) -> None:
    stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)
    with pytest.raises(grpc.RpcError) as refused:
        stub.GetStock(inventory_service_pb2.GetStockRequest(store_id="nowhere"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    span = only(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "UNKNOWN_STORE"
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]


def test_a_watch_is_traced_when_its_caller_leaves(
    channel: grpc.Channel, spans: InMemorySpanExporter, served: Served
) -> None:
    stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)
    watch = stub.WatchAvailability(inventory_service_pb2.WatchAvailabilityRequest())
    assert len(next(watch).changes) == 6
    watch.cancel()
    served.do(served.server.drain)
    assert only(spans).name == "/fendan.v1.InventoryService/WatchAvailability"


def test_without_the_packages_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    really_import = builtins.__import__

    def without_opentelemetry(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return really_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_opentelemetry)
    with pytest.raises(InvalidInputError, match=r"pip install 'fendan\[tracing\]'") as refused:
        Tracing("http://127.0.0.1:4317")
    assert refused.value.field == "tracing.enabled"


def test_spans_go_to_the_collector_of_the_configuration() -> None:
    tracing = Tracing("http://127.0.0.1:4317")
    tracing.close()
    assert isinstance(tracing.interceptor, grpc.aio.ServerInterceptor)
