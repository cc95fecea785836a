"""One StreamRoute call: messages are read ahead, and answered in the order in which they came."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import grpc

from fendan.engine import wire
from fendan.errors import Fault, FendanError
from fendan.server import refusals
from fendan.server.methods import Context
from fendan.server.status import refusal_of
from fendan.v1.routing_service_pb2 import StreamRouteResponse

__all__ = ["Stream", "refusal_to"]

# How much of one stream is read and not answered at a time; then it is read no further, and HTTP/2
# holds the sender up. Enough to keep the engine busy, little enough for a thousand streams whose
# clients do not read their answers.
MOST_MESSAGES = 64
MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Pending:
    """A message that was read, and the answer it gets, or why the queue did not take it."""

    data: bytes
    answer: asyncio.Future[bytes] | FendanError


class Stream:
    """Reads messages, has them worked on by `begin`, and gives out the answers.

    `begin` takes a message's bytes and returns the future of its answer's; it may raise. A message
    that is refused is answered with its refusal, and the stream goes on; but one that cannot be
    read has no correlation id either, and ends it.
    """

    def __init__(
        self,
        context: Context,
        begin: Callable[[bytes], asyncio.Future[bytes]],
    ) -> None:
        self._context = context
        self._begin = begin
        # In order; None stands for the end.
        self._pending: asyncio.Queue[_Pending | None] = asyncio.Queue()
        self._messages = 0
        self._bytes = 0
        self._answered = asyncio.Event()
        self._closed = False
        self._draining = False
        self._reader: asyncio.Task[None] | None = None

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """The answers, as soon as they are there and those before them have been taken.

        Raises UnavailableError at the end where the stream was drained.
        """
        # A task, for it must outlive us: gRPC does not like a read to be cancelled.
        self._reader = asyncio.create_task(self._read())
        try:
            while (pending := await self._pending.get()) is not None:
                yield await _answer(pending)
                self._count(-1, -len(pending.data))
                self._answered.set()
            if self._draining:
                refusals.draining()
            await self._reader
        finally:
            self._close()

    def drain(self) -> None:
        """Read no further, and end when what was read has its answer."""
        if not self._closed:
            self._draining = self._closed = True
            self._pending.put_nowait(None)

    async def _read(self) -> None:
        """Read what comes, but not more than may wait; the end of it, too, is put in line."""
        try:
            while await self._has_room():
                data = await self._context.read()
                if data is grpc.aio.EOF or self._closed:
                    return
                self._count(1, len(data))
                self._pending.put_nowait(_Pending(data, self._begun(data)))
        except grpc.aio.BaseError:
            pass  # the call has ended
        finally:
            self._pending.put_nowait(None)

    def _begun(self, data: bytes) -> asyncio.Future[bytes] | FendanError:
        try:
            return self._begin(data)
        except FendanError as error:
            return error

    async def _has_room(self) -> bool:
        """Wait until another message may be read; False where none is to be read any more."""
        while not self._closed and (self._messages >= MOST_MESSAGES or self._bytes >= MOST_BYTES):
            self._answered.clear()
            await self._answered.wait()
        return not self._closed

    def _count(self, messages: int, size_bytes: int) -> None:
        self._messages += messages
        self._bytes += size_bytes

    def _close(self) -> None:
        """Nobody waits any more, say because the client left: what has not begun need not."""
        self._closed = True
        self._answered.set()
        while not self._pending.empty():
            pending = self._pending.get_nowait()
            if pending is not None and isinstance(pending.answer, asyncio.Future):
                pending.answer.add_done_callback(_look)
                pending.answer.cancel()


async def _answer(pending: _Pending) -> bytes:
    try:
        if isinstance(pending.answer, FendanError):
            raise pending.answer
        return await pending.answer
    except FendanError as error:
        # Its frames hold the future that holds it, and the message: a circle, which would stay
        # until the garbage collector comes.
        error.__traceback__ = None
        return refusal_to(pending.data, error)


def refusal_to(data: bytes, error: FendanError) -> bytes:
    """What a refused message is answered with. Raises the error where that ends its stream."""
    if error.fault is Fault.BAD_MESSAGE:
        raise error  # whatever the message says of itself cannot be trusted
    number = wire.correlation_id(data)
    refused = StreamRouteResponse(correlation_id=number, refusal=refusal_of(error))
    return refused.SerializeToString()


def _look(answer: asyncio.Future[bytes]) -> None:
    """Asyncio complains of errors that nobody has looked at."""
    if not answer.cancelled():
        answer.exception()
