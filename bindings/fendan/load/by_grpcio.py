"""The client on grpcio's event loop: for streams of orders, and where the other was not built.

It is slower than the server: some 2,000 calls a second. A report says when the load was the limit.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from fendan.channel import WRITE_FAILED
from fendan.engine import wire
from fendan.errors import Fault, refuse
from fendan.load.messages import Call, Messages
from fendan.load.sending import UNANSWERED, UNSENT, Came, Target, Watch
from fendan.times import NS_PER_S

__all__ = ["send"]

WATCH_S = 0.1
# Else channels to one address share one connection.
OWN = ("grpc.use_local_subchannel_pool", 1)


def send(
    target: Target,
    messages: Messages,
    due_ns: NDArray[np.int64],
    patience_s: float,
    watch: Watch | None,
) -> Came:
    """As `sending.send`."""
    return asyncio.run(_Sending(target, messages, due_ns).go(patience_s, watch))


class _Sending:
    """One sending: its arrays, which the tasks write."""

    def __init__(self, target: Target, messages: Messages, due_ns: NDArray[np.int64]) -> None:
        self._target = target
        self._data, self._offsets = memoryview(messages.data), messages.offsets.tolist()
        self._due_ns = due_ns.tolist()
        self._latencies_ns = np.full(len(messages), -1, dtype=np.int64)
        self._statuses = np.full(len(messages), UNSENT, dtype=np.int8)
        self._begun = 0
        self._said: dict[int, str] = {}
        self._answers: list[bytes] = []
        self._start_ns = 0
        self._lost = 0

    async def go(self, patience_s: float, watch: Watch | None) -> Came:
        """Open, send, wait, close."""
        address = self._target.checked()
        alone = replace(address, options=(*address.options, OWN))
        channels = [alone.aio_channel() for _ in range(self._target.connections)]
        try:
            await self._connect(channels, patience_s)
            self._start_ns = time.monotonic_ns()
            send = self._stream if self._target.call is Call.STREAM else self._calls
            last_s = self._due_ns[-1] / NS_PER_S if self._due_ns else 0.0
            watching = asyncio.create_task(self._watch(watch))
            with suppress(TimeoutError):
                async with asyncio.timeout(last_s + patience_s):
                    await send(channels, address.metadata)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
        return Came(
            latencies_ns=self._latencies_ns,
            statuses=self._statuses,
            said=self._said,
            lost=self._lost,
            answers=b"".join(self._answers),
        )

    async def _connect(self, channels: Iterable[grpc.aio.Channel], patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.gather(*(channel.channel_ready() for channel in channels))
        except TimeoutError:
            hint = "no gRPC server answers there"
            refuse(Fault.UNAVAILABLE, "address", self._target.address, hint=hint)

    async def _watch(self, watch: Watch | None) -> None:
        while watch is not None:
            await asyncio.sleep(WATCH_S)
            watch(self._latencies_ns[: self._begun], self._statuses[: self._begun])

    # -- CALLS ---------------------------------------------------------------------------------

    async def _calls(self, channels: list[grpc.aio.Channel], metadata: Any) -> None:
        """A call for each message; as many at a time as there are streams."""
        calls: list[Any] = [channel.unary_unary(self._target.call.method) for channel in channels]
        free = asyncio.Semaphore(len(calls) * self._target.streams)
        async with asyncio.TaskGroup() as group:
            for number in range(len(self._due_ns)):
                await self._until(number)
                await free.acquire()
                one = self._call(calls[number % len(calls)], number, metadata)
                group.create_task(one).add_done_callback(lambda _: free.release())

    async def _call(self, call: Any, number: int, metadata: Any) -> None:
        self._statuses[number] = UNANSWERED
        try:
            data = await call(self._message(number), metadata=metadata)
        except grpc.RpcError as error:
            self._ended(number, error)
        else:
            self._answered(number, data)

    # -- STREAMS OF ORDERS -----------------------------------------------------------------------

    async def _stream(self, channels: list[grpc.aio.Channel], metadata: Any) -> None:
        """Messages in turn over all streams; each answers in the order in which it was sent to."""
        count = len(channels) * self._target.streams
        method = self._target.call.method
        calls: list[Any] = [
            channels[number % len(channels)].stream_stream(method)(metadata=metadata)
            for number in range(count)
        ]
        async with asyncio.TaskGroup() as group:
            for first, call in enumerate(calls):
                numbers = range(first, len(self._due_ns), count)
                group.create_task(self._write(call, numbers))
                group.create_task(self._read(call, numbers))

    async def _write(self, call: Any, numbers: range) -> None:
        with suppress(grpc.RpcError, asyncio.InvalidStateError):  # the reader is told why
            for number in numbers:
                await self._until(number)
                self._statuses[number] = UNANSWERED
                await call.write(self._message(number))
            await call.done_writing()

    async def _read(self, call: Any, numbers: range) -> None:
        try:
            for number in numbers:
                data = await call.read()
                if data is grpc.aio.EOF:
                    self._lost += 1
                    return
                refusal = wire.read_response(data).refusal
                if refusal is None:
                    self._answered(number, data)
                else:
                    self._failed(number, refusal.status, refusal.message)
        except grpc.RpcError as error:
            self._lost += 1
            self._ended(number, error)

    # -- A MESSAGE -------------------------------------------------------------------------------

    async def _until(self, number: int) -> None:
        wait_ns = self._start_ns + self._due_ns[number] - time.monotonic_ns()
        await asyncio.sleep(max(0, wait_ns) / NS_PER_S)
        self._begun = max(self._begun, number + 1)

    def _message(self, number: int) -> bytes:
        return bytes(self._data[self._offsets[number] : self._offsets[number + 1]])

    def _answered(self, number: int, data: bytes) -> None:
        self._settle(number, 0)
        self._answers.append(data)

    def _ended(self, number: int, error: Any) -> None:
        words = error.details() or ""
        code = grpc.StatusCode.UNAVAILABLE if WRITE_FAILED in words else error.code()
        self._failed(number, code.value[0], words)

    def _failed(self, number: int, status: int, words: str) -> None:
        self._settle(number, status)
        self._said.setdefault(status, words)

    def _settle(self, number: int, status: int) -> None:
        self._statuses[number] = status
        due_ns = self._start_ns + self._due_ns[number]
        self._latencies_ns[number] = time.monotonic_ns() - due_ns
