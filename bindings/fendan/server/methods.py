"""What methods do around their work."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from fendan.errors import Fault, FendanError, refuse
from fendan.server.callers import Caller
from fendan.server.lane import Lane

__all__ = [
    "Answer",
    "Commanding",
    "Context",
    "answer_of",
    "apart",
    "as_sent",
    "at_most",
    "at_most_bytes",
    "deadline_of",
    "indexed",
    "message_of",
    "rename",
]

# As long as any id.
MOST_NAME_BYTES = 255

# Converting so many rows takes about a millisecond, for which other calls can wait.
FEW_ROWS = 1_000

Context = grpc.aio.ServicerContext[Any, Any]
Result = TypeVar("Result")
Request = TypeVar("Request", bound=Message)

# All that a hot method does with one message of a caller, on the engine's thread: read it, see what
# the caller may, do it, write the answer. Raises FendanError.
Answer: TypeAlias = Callable[[Caller, bytes], bytes]


def answer_of(kind: type[Request], work: Callable[[Caller, Request], Message]) -> Answer:
    """The answer of a method whose messages the protobuf runtime reads and writes."""

    def answer(who: Caller, data: bytes) -> bytes:
        return work(who, message_of(kind.FromString, data)).SerializeToString()

    return answer


def message_of(read: Callable[[bytes], Result], data: bytes) -> Result:
    """The message that the bytes are. Raises MalformedMessageError."""
    try:
        return read(data)
    except Exception as error:
        refuse(Fault.BAD_MESSAGE, "request", hint=f"of {len(data):,} bytes: {error}")


async def apart(rows: int, work: Callable[[], Result]) -> Result:
    """Do work on so many rows: at once where they are few, else in a thread, off the event loop."""
    return work() if rows <= FEW_ROWS else await asyncio.to_thread(work)


def deadline_of(context: Context) -> float | None:
    """Until when the caller waits, by `time.monotonic`; None: for as long as it takes."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


def at_most(most: int, field: str, count: int) -> None:
    """Refuse more than `most` of what `field` repeats."""
    if count > most:
        refuse(Fault.TOO_MANY, field, count, hint=f"must be at most {most:,} in one request")


def at_most_bytes(field: str, name: str) -> None:
    """Refuse names that are longer than any id."""
    if len(name.encode()) > MOST_NAME_BYTES:
        refuse(Fault.OUT_OF_RANGE, field, name, hint=f"must be at most {MOST_NAME_BYTES} bytes")


def rename(error: FendanError, field: str, row: int | None = None) -> NoReturn:
    """Raise an error of the engine again, with the path of the field that the caller sent."""
    try:
        refuse(error.fault, field, error.value, row=row, hint=error.hint)
    except FendanError as renamed:
        raise renamed from error


def as_sent(error: FendanError) -> NoReturn:
    """Raise an error of the engine again, with the path of the field as requests have it."""
    rename(error, indexed(error.field, error.row), error.row)


def indexed(field: str, row: int | None) -> str:
    """The path of one of a repeated field: ``store_ids[3]``."""
    return field if row is None or re.search(r"\[\d+\]", field) else f"{field}[{row}]"


class Commanding:
    """What services share whose methods are commands of one engine, each done by the lane."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def _do(
        self, request: Message, context: Context, command: Callable[[], Result]
    ) -> Result:
        """Have the engine carry out a command; its errors name fields as the request does."""
        try:
            return await self._lane.run(
                command, size_bytes=request.ByteSize(), deadline=deadline_of(context)
            )
        except FendanError as error:
            as_sent(error)
