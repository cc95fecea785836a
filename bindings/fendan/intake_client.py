"""What clients have for orders as platforms send them: IntakeService, for threads and asyncio."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from fendan import columns
from fendan.channel import Call, Exchange
from fendan.errors import Fault, refuse
from fendan.intake.payload import RawPayload
from fendan.intake.result import IntakeResult
from fendan.intake_messages import payload_message, result_of
from fendan.v1 import intake_service_pb2 as messages

__all__ = ["AioIntakeClient", "IntakeClient"]

T = TypeVar("T")

SUBMIT = "/fendan.v1.IntakeService/Submit"
MOST_TIME_NS = 2**63 - 1


def _submit(payloads: Iterable[RawPayload]) -> Exchange[list[IntakeResult]]:
    """May be sent again: orders are known by their ids, and what is broken by its bytes."""
    rows = columns.rows("payloads", payloads)
    for row, payload in enumerate(rows):
        _check(payload, row)
    request = messages.SubmitRequest(payloads=map(payload_message, rows))
    answer: messages.SubmitResponse = yield Call.of(SUBMIT, request, messages.SubmitResponse)
    return list(map(result_of, answer.results))


def _check(payload: RawPayload, row: int) -> None:
    if not isinstance(payload, RawPayload):
        hint = "must be fendan.RawPayload values"
        refuse(Fault.WRONG_TYPE, "payloads", payload, row=row, hint=hint)
    if not isinstance(payload.platform, str):
        refuse(Fault.WRONG_TYPE, f"payloads[{row}].platform", payload.platform, row=row)
    if not isinstance(payload.data, bytes):
        hint = "must be bytes, as they came"
        refuse(Fault.WRONG_TYPE, f"payloads[{row}].data", payload.data, row=row, hint=hint)
    time_ns = payload.received_ns
    if time_ns is not None and not (isinstance(time_ns, int) and 0 <= time_ns <= MOST_TIME_NS):
        hint = "must be nanoseconds since 1970"
        refuse(Fault.OUT_OF_RANGE, f"payloads[{row}].received_ns", time_ns, row=row, hint=hint)


class IntakeClient(ABC):
    """Orders as platforms send them, for threads."""

    @abstractmethod
    def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    def submit(
        self, payloads: Iterable[RawPayload], *, timeout_s: float | None = None
    ) -> list[IntakeResult]:
        """Have payloads read, judged and routed: at most 10,000, of 1 MiB at most each.

        What cannot be read or routed is no error: its result says why, and where it waits.
        """
        return self._do(_submit(payloads), timeout_s)


class AioIntakeClient(ABC):
    """Orders as platforms send them, for asyncio."""

    @abstractmethod
    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method."""

    async def submit(
        self, payloads: Iterable[RawPayload], *, timeout_s: float | None = None
    ) -> list[IntakeResult]:
        """Have payloads read, judged and routed: at most 10,000, of 1 MiB at most each.

        What cannot be read or routed is no error: its result says why, and where it waits.
        """
        return await self._do(_submit(payloads), timeout_s)
