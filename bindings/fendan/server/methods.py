"""What the methods of the smaller services do around their work."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import Message

from fendan.errors import Fault, FendanError, refuse
from fendan.server.lane import Lane

__all__ = ["Commanding", "Context", "apart", "at_most", "deadline_of", "indexed", "rename"]

# Converting so many rows takes about a millisecond, for which other calls can wait.
FEW_ROWS = 1_000

Context = grpc.aio.ServicerContext[Any, Any]
Result = TypeVar("Result")


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


def rename(error: FendanError, field: str, row: int | None = None) -> NoReturn:
    """Raise an error of the engine again, with the path of the field that the caller sent."""
    try:
        refuse(error.fault, field, error.value, row=row, hint=error.hint)
    except FendanError as renamed:
        raise renamed from error


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
            rename(error, indexed(error.field, error.row), error.row)
