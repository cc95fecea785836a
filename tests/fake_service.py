"""A service made by hand, for tests of the clients: it records what it is sent, and misbehaves.

    with FakeService() as service:
        service.answers["Route"] = [abort(StatusCode.UNAVAILABLE), engine_answer]
        client = fendan.Client(service.address)

Routing is done by a real engine; every other method answers as `answers` says.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
from google.protobuf.message import Message

from fendan import Engine, FendanError
from fendan.details import DETAILS_KEY, status_of
from fendan.engine import wire
from fendan.server.status import refusal_of
from fendan.v1.routing_service_pb2 import StreamRouteResponse

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


def aborting(code: grpc.StatusCode, error: FendanError | None = None) -> Answer:
    """An answer that is none: a bare status, or an error with its details."""

    def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
        if error is not None:
            details = status_of(error).SerializeToString()
            context.set_trailing_metadata(((DETAILS_KEY, details),))
        context.abort(code, "as the test wants it")

    return answer


def saying(message: Message) -> Answer:
    """Always the same answer."""
    return lambda data, context: message.SerializeToString()


class FakeService(grpc.GenericRpcHandler):
    """Listens on loopback, at a free port or the one given."""

    def __init__(self, engine: Engine | None = None, port: int = 0) -> None:
        self.engine = Engine() if engine is None else engine
        self.requests: list[tuple[str, bytes]] = []
        # What a method does the first time, the second time, ...; the last stands for all later.
        self.answers: dict[str, list[Any]] = {}
        # What becomes of each message of a StreamRoute; None: the engine routes it.
        self.on_message: Callable[[bytes], bytes | None] = lambda data: None
        # How a StreamRoute ends before it begins; None: it does not.
        self.on_stream: Answer | None = None
        # Streams answer only while this is set.
        self.open = threading.Event()
        self.open.set()
        self.metadata: list[dict[str, Any]] = []
        self._server = grpc.server(
            ThreadPoolExecutor(16), handlers=[self], options=[("grpc.so_reuseport", 0)]
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Break every connection."""
        stopped = self._server.stop(None)
        self.open.set()  # too late for an answer
        stopped.wait()

    @property
    def messages(self) -> list[wire.Request]:
        """What came on streams."""
        return [
            wire.Request.read(data, wire.STREAM)
            for method, data in self.requests
            if method == "StreamRoute"
        ]

    def requests_to(self, method: str) -> list[bytes]:
        """What came to one method."""
        return [data for name, data in self.requests if name == method]

    # -- ANSWERS -------------------------------------------------------------------------------

    def route(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """As the engine says."""
        try:
            return self.engine.route_request(wire.Request.read(data, wire.ROUTE)).encode()
        except FendanError as error:
            return aborting(grpc.StatusCode[error.grpc_status], error)(data, context)

    def never(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Not while the caller waits."""
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait()
        return b""

    def telling(self, *messages: Message, then: Answer | None = None) -> Any:
        """A stream of messages, and its end; without one it stays open until the caller leaves."""

        def answer(data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            for message in messages:
                yield message.SerializeToString()
            (then or self.never)(data, context)

        return answer

    # -- INSIDE --------------------------------------------------------------------------------

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.rpartition("/")[2]
        self.metadata.append(dict(handler_call_details.invocation_metadata))
        if method == "StreamRoute":
            return grpc.stream_stream_rpc_method_handler(self._stream)
        if method == "WatchAvailability":
            return grpc.unary_stream_rpc_method_handler(self._watch)
        return grpc.unary_unary_rpc_method_handler(
            lambda data, context: self._answer(method, data, context)
        )

    def _answer(self, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append((method, data))
        if method in self.answers:
            answers = self.answers[method]
            done = len(self.requests_to(method)) - 1
            return answers[min(done, len(answers) - 1)](data, context)
        return self.route(data, context)

    def _stream(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        if self.on_stream is not None:
            self.on_stream(b"", context)
        for data in messages:
            self.requests.append(("StreamRoute", data))
            self.open.wait()
            answer = self.on_message(data)
            yield self._routed(data) if answer is None else answer

    def _routed(self, data: bytes) -> bytes:
        request = wire.Request.read(data, wire.STREAM)
        try:
            return self.engine.route_request(request).encode()
        except FendanError as error:
            return StreamRouteResponse(
                correlation_id=request.correlation_id, refusal=refusal_of(error)
            ).SerializeToString()

    def _watch(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.requests.append(("WatchAvailability", data))
        turn = len(self.requests_to("WatchAvailability")) - 1
        yield from self.answers["WatchAvailability"][turn](data, context)
