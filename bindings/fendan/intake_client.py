"""What clients have for orders as platforms send them: IntakeService, for threads and asyncio."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TypeVar

from fendan.channel import Call, Exchange
from fendan.intake.payload import RawPayload, checked_payloads
from fendan.intake.result import IntakeResult
from fendan.intake_messages import payload_message, result_of
from fendan.v1 import intake_service_pb2 as messages

__all__ = ["AioIntakeClient", "IntakeClient"]

T = TypeVar("T")

SUBMIT = "/fendan.v1.IntakeService/Submit"


def _submit(payloads: Iterable[RawPayload]) -> Exchange[list[IntakeResult]]:
    """May be sent again: orders are known by their ids, and what is broken by its bytes."""
    rows = checked_payloads(payloads)
    request = messages.SubmitRequest(payloads=map(payload_message, rows))
    answer: messages.SubmitResponse = yield Call.of(SUBMIT, request, messages.SubmitResponse)
    return list(map(result_of, answer.results))


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
