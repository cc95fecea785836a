"""Traces of calls, by OpenTelemetry's own instrumentation of gRPC. Off unless configured.

A call that brings a trace in its metadata goes on in it. Our handlers raise errors where others
abort their calls, so what the instrumentation sees of an error is told to the span here.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from fendan.errors import Fault, FendanError, refuse

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing"]

MISSING_HINT = "install what it needs: pip install 'fendan[tracing]'"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class Tracing:
    """What traces the calls of one server, and sends the spans; to be closed.

    `endpoint`: the OTLP collector over gRPC, such as ``http://127.0.0.1:4317``; None leaves it to
    OpenTelemetry's environment variables. `provider`: in place of one made for the endpoint.
    `interceptor` must be the server's last: what wraps handlers of its own around those it wraps
    must find them asynchronous generators where they are streams.

    Raises InvalidInputError where the packages are not installed.
    """

    def __init__(
        self, endpoint: str | None = None, provider: "TracerProvider | None" = None
    ) -> None:
        try:
            self._provider = _sending_to(endpoint) if provider is None else provider
            self.interceptor: grpc.aio.ServerInterceptor = _Interceptor(self._provider)
        except ImportError as missing:
            refuse(Fault.MISSING, "tracing.enabled", missing.name, hint=MISSING_HINT)

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._provider.shutdown()


def _sending_to(endpoint: str | None) -> "TracerProvider":
    """A provider that sends spans in batches, from a thread of its own."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "fendan"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider


class _Interceptor(grpc.aio.ServerInterceptor):
    """The standard instrumentation, around handlers that tell their span how they failed."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters

        # Load balancers ask for health every second; nobody wants to see that.
        wanted = filters.negate(filters.health_check())
        make: Any = aio_server_interceptor  # it has no types
        self._standard = make(tracer_provider=provider, filter_=wanted)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """The method's handler, traced."""

        async def telling(
            details: grpc.HandlerCallDetails,
        ) -> "Handler | None":
            handler = await continuation(details)
            return handler and _telling(handler)

        return await self._standard.intercept_service(telling, handler_call_details)


def _telling(handler: Handler) -> Handler:
    """The same handler, of the same kind, within `_errors_told`."""
    read, written = (
        "stream" if streaming else "unary"
        for streaming in (handler.request_streaming, handler.response_streaming)
    )
    work = getattr(handler, f"{read}_{written}")

    async def answer(request: Any, context: Any) -> Any:
        with _errors_told():
            return await work(request, context)

    async def stream(request: Any, context: Any) -> Any:
        with _errors_told():
            async with aclosing(work(request, context)) as messages:
                async for message in messages:
                    yield message

    make = getattr(grpc, f"{read}_{written}_rpc_method_handler")
    wrapped: Handler = make(
        stream if handler.response_streaming else answer,
        handler.request_deserializer,
        handler.response_serializer,
    )
    return wrapped


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell the current span of an error with which the call is about to end."""
    from opentelemetry import trace

    try:
        yield
    except FendanError as error:
        span = trace.get_current_span()
        code = grpc.StatusCode[error.grpc_status].value[0]
        span.set_attribute("rpc.grpc.status_code", code)
        span.set_status(trace.StatusCode.ERROR, error.code)
        raise
