"""IntakeService: orders as platforms send them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fendan.errors import FendanError
from fendan.intake.intake import Intake
from fendan.intake.payload import RawPayload, masked
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.intake_messages import payload_of, result_message
from fendan.server import logs
from fendan.server.lane import Lane
from fendan.server.methods import Context, as_sent, at_most, at_most_bytes, deadline_of
from fendan.server.metrics import Metrics
from fendan.v1 import intake_service_pb2 as messages
from fendan.v1 import intake_service_pb2_grpc

__all__ = ["IntakeService"]

MOST_PAYLOADS = 10_000

# Some ten milliseconds of the engine, if each is an order; other calls come between.
PAYLOADS_PER_TURN = 256

# Of one call: whoever sends rubbish must not fill the log with it.
MOST_LOGGED = 3


class IntakeService(intake_service_pb2_grpc.IntakeServiceServicer):
    """Takes orders in for one engine. Payloads are read beside the lane, where orders go on."""

    def __init__(self, intake: Intake, lane: Lane, metrics: Metrics) -> None:
        self._intake = intake
        self._lane = lane
        self._metrics = metrics

    async def Submit(  # noqa: N802
        self, request: messages.SubmitRequest, context: Context
    ) -> messages.SubmitResponse:
        """Read, judge and route."""
        at_most(MOST_PAYLOADS, "payloads", len(request.payloads))
        for row, payload in enumerate(request.payloads):
            at_most_bytes(f"payloads[{row}].platform", payload.platform)
        payloads = list(map(payload_of, request.payloads))
        results: list[IntakeResult] = []
        for first in range(0, len(payloads), PAYLOADS_PER_TURN):
            told = await self._take(payloads[first : first + PAYLOADS_PER_TURN], context)
            results += [replace(one, payload=one.payload + first) for one in told]
        self._metrics.taken_in(Counter(result.outcome for result in results))
        _log_broken(results, payloads)
        return messages.SubmitResponse(results=map(result_message, results))

    async def _take(self, payloads: list[RawPayload], context: Context) -> list[IntakeResult]:
        """As many as the engine is not held up by for long."""
        adapted = await asyncio.to_thread(self._intake.read, payloads)
        try:
            return await self._lane.run(
                lambda: self._intake.settle(payloads, adapted),
                size_bytes=sum(len(payload.data) for payload in payloads),
                deadline=deadline_of(context),
            )
        except FendanError as error:
            as_sent(error)


def _log_broken(results: Sequence[IntakeResult], payloads: Sequence[RawPayload]) -> None:
    """The first of what nobody could read; all of it, with its text, is in the queue."""
    broken = [result for result in results if result.outcome is IntakeOutcome.BROKEN]
    for result in broken[:MOST_LOGGED]:
        payload = payloads[result.payload]
        logs.log.warning(
            "a payload is broken",
            platform=payload.platform,
            code=result.codes[0],
            exception=result.exception_id,
            payload=masked(payload.kept()),
            others=len(broken) - 1,
        )
