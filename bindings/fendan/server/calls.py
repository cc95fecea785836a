"""What all calls have in common: how they end when something goes wrong, and that they are counted.

Handlers raise; here an error becomes a status with details. No traceback ever leaves the server.
"""

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Protocol, TypeAlias

import grpc

from fendan.errors import FendanError, UnauthenticatedError
from fendan.server import logs, refusals
from fendan.server.access import METHODS, caller
from fendan.server.call_counts import OTHER_METHOD
from fendan.server.methods import Context, message_of
from fendan.server.status import abort

__all__ = ["CallInterceptor", "Counter"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# A client whose deadline passes cancels the call, and mostly before the deadline passes here: it
# travelled, and gRPC rounds it up by as much as a hundredth.
DEADLINE_SLACK = 0.01
DEADLINE_SLACK_S = 0.02


class Counter(Protocol):
    """Who counts calls, such as `fendan.server.metrics.Metrics`."""

    def request(self, method: str, status_name: str, seconds: float) -> None:
        """One call has ended."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handler of every call; when the server drains, it refuses those that come anew.

    It then ends the streams, too, which would never end; but not those of the methods (by full
    name) that `drain_themselves`.
    """

    def __init__(self, counter: Counter, drain_themselves: frozenset[str] = frozenset()) -> None:
        self._counter = counter
        self._drain_themselves = drain_themselves
        self._streams: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._last_s = 0.0

    def drain(self) -> None:
        """Tell all streams, and all calls to come, to try elsewhere."""
        self._draining = True
        for stream in self._streams:
            stream.cancel()

    async def quiet(self, for_s: float, until_s: float) -> None:
        """Wait until no call has come for a while, or until a time of `time.monotonic`.

        Calls that come when gRPC stops are cancelled unread: clients should have heard before.
        """
        while (now := time.monotonic()) < min(self._last_s + for_s, until_s):
            await asyncio.sleep(min(self._last_s + for_s, until_s) - now)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, wrapped."""
        self._last_s = time.monotonic()
        handler = await continuation(handler_call_details)
        # Where there is none, gRPC answers UNIMPLEMENTED.
        return handler and self._wrapped(handler_call_details.method, handler)

    def _wrapped(self, method: str, handler: Handler) -> Handler:
        # grpc.aio would read a unary request before anyone could say what is wrong with it.
        read = None if handler.request_streaming else handler.request_deserializer
        work = _work_of(handler)
        drain_here = handler.response_streaming and method not in self._drain_themselves

        async def call(request: Any, context: Context) -> Any:
            began = time.perf_counter()
            try:
                if self._draining:
                    refusals.draining()
                answer = work(request if read is None else message_of(read, request), context)
                if drain_here:
                    return await self._until_drained(answer, context)
                return await _finished(answer, context)
            except FendanError as error:
                del request  # gRPC keeps what abort raises, and with it this frame
                await abort(context, refusals.without_frames(error))
            except grpc.aio.BaseError:
                raise  # the call has ended already, by us or by the client
            except Exception:
                logs.log.exception("a call failed inside", method=method)
                await abort(context, refusals.error_of(refusals.failed_inside))
            finally:
                seconds = time.perf_counter() - began
                self._count(method, _status_name(context, seconds), seconds)

        return _handler_like(handler, call)

    async def _until_drained(self, answer: Any, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await _finished(answer, context)
        except asyncio.CancelledError:
            if not self._draining:
                raise  # the client's doing, or the deadline's
            refusals.draining()
        finally:
            self._streams.discard(task)

    def _count(self, method: str, status_name: str, seconds: float) -> None:
        known = method if method in METHODS else OTHER_METHOD
        self._counter.request(known, status_name, seconds)
        logs.requested(known, status_name, seconds, _caller_name())


async def _finished(answer: Any, context: Context) -> Any:
    """What the handler returns, or has written."""
    if not inspect.isasyncgen(answer):
        return await answer
    async with aclosing(answer):
        async for message in answer:
            await context.write(message)
    return None


def _status_name(context: Context, seconds: float) -> str:
    """How a call that has lasted so long is about to end, within a handler's `finally`."""
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    if not isinstance(sys.exception(), asyncio.CancelledError):
        return "OK"
    left_s = context.time_remaining()
    late = left_s is not None and left_s <= seconds * DEADLINE_SLACK + DEADLINE_SLACK_S
    return "DEADLINE_EXCEEDED" if late else "CANCELLED"


def _caller_name() -> str:
    try:
        return caller().name
    except UnauthenticatedError:
        return "nobody"


# -- HANDLERS ----------------------------------------------------------------------------------


def _work_of(handler: Handler) -> Callable[[Any, Context], Any]:
    """The one function that a handler has, whichever kind it is of."""
    works: tuple[Callable[[Any, Any], Any] | None, ...] = (
        handler.unary_unary,
        handler.unary_stream,
        handler.stream_unary,
        handler.stream_stream,
    )
    return next(filter(None, works))


def _handler_like(handler: Handler, call: Callable[[Any, Context], Awaitable[Any]]) -> Handler:
    """A handler of the same kind, to which unary requests come as bytes."""
    kinds: dict[tuple[bool, bool], Callable[..., Handler]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = kinds[handler.request_streaming, handler.response_streaming]
    read = handler.request_deserializer if handler.request_streaming else None
    if read is not None:
        read = partial(message_of, read)
    return make(call, read, handler.response_serializer)
