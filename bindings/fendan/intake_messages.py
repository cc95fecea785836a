"""Payloads and what became of them as protobuf messages, and back."""

from typing import cast

from fendan.intake.payload import RawPayload
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.messages import ns_of, time_message
from fendan.v1 import intake_service_pb2 as messages

__all__ = ["payload_message", "payload_of", "result_message", "result_of"]


def payload_message(payload: RawPayload) -> messages.RawPayload:
    """A payload for Submit."""
    message = messages.RawPayload(platform=payload.platform, data=payload.data)
    if payload.received_ns is not None:
        message.receive_time.CopyFrom(time_message(payload.received_ns))
    return message


def payload_of(message: messages.RawPayload) -> RawPayload:
    """The payload of a message."""
    is_known = message.HasField("receive_time")
    return RawPayload(
        platform=message.platform,
        data=message.data,
        received_ns=ns_of(message.receive_time) if is_known else None,
    )


def result_message(result: IntakeResult) -> messages.IntakeResult:
    """What became of an order, for Submit."""
    return messages.IntakeResult(
        payload=result.payload,
        order_id=result.order_id,
        outcome=cast(messages.IntakeOutcome, result.outcome),
        codes=result.codes,
        warnings=result.warnings,
        store_id=result.store_id or "",
        distance_m=result.distance_m,
        exception_id=result.exception_id,
        hint=result.hint,
    )


def result_of(message: messages.IntakeResult) -> IntakeResult:
    """What a message says became of an order."""
    return IntakeResult(
        payload=message.payload,
        order_id=message.order_id,
        outcome=IntakeOutcome(message.outcome),
        codes=tuple(message.codes),
        warnings=tuple(message.warnings),
        store_id=message.store_id or None,
        distance_m=message.distance_m if message.HasField("distance_m") else None,
        exception_id=message.exception_id,
        hint=message.hint,
    )
