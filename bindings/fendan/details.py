"""Errors on their way through gRPC: from a FendanError to google.rpc details, and back.

Writer and reader stand side by side because they must agree. A server answers with BadRequest (the
field), ErrorInfo (the stable code, the row, the value as JSON) and RetryInfo (when to try again); a
client makes the same exception of them. An answer without details, from gRPC itself or a proxy, is
read by its plain status.
"""

import json
from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from fendan.errors import TABLE, Fault, FendanError, in_words

__all__ = [
    "DETAILS_KEY",
    "RETRY_AFTER_MS",
    "error_of",
    "error_of_refusal",
    "field_of",
    "retry_after_ms",
    "retry_after_ms_of",
    "status_of",
]

# Where gRPC libraries of every language look for a google.rpc.Status.
DETAILS_KEY = "grpc-status-details-bin"

# Stands beside every code, so that a code of ours is not taken for one of a proxy.
DOMAIN = "fendan"

# A full queue is worked off in a few times this; asking sooner would only add to the crowd.
RETRY_AFTER_MS = 100
RETRYABLE = frozenset({Fault.BUSY, Fault.UNAVAILABLE})

# Everything of an error together stays below the 8 KiB of trailing metadata that every gRPC
# implementation lets through. The message is the most of it: gRPC sends it twice, once with up to
# three bytes for each byte.
MOST_MESSAGE_BYTES = 1_024
MOST_FIELD_BYTES = 512
MOST_HINT_BYTES = 512
MOST_VALUE_CHARACTERS = 80

PLAIN: dict[grpc.StatusCode, Fault] = {
    grpc.StatusCode.INVALID_ARGUMENT: Fault.BAD_MESSAGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Fault.BUSY,
    grpc.StatusCode.UNAVAILABLE: Fault.UNAVAILABLE,
    # What a server that stops does to the calls that it still has.
    grpc.StatusCode.CANCELLED: Fault.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Fault.TIMED_OUT,
    grpc.StatusCode.UNAUTHENTICATED: Fault.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Fault.NOT_ALLOWED,
    grpc.StatusCode.UNIMPLEMENTED: Fault.UNIMPLEMENTED,
}

# gRPC itself says RESOURCE_EXHAUSTED also of a message that will be too large every time.
TOO_LARGE = "message larger than max"


# -- WRITING -----------------------------------------------------------------------------------


def status_of(error: FendanError) -> status_pb2.Status:
    """What a call that failed with `error` is answered with, details and all."""
    status = status_pb2.Status(
        code=_number(grpc.StatusCode[error.grpc_status]),
        message=_cut(error.message, MOST_MESSAGE_BYTES),
    )
    if error.field:
        described = _cut(error.hint or TABLE[error.fault].meaning, MOST_HINT_BYTES)
        bad_request = error_details_pb2.BadRequest()
        bad_request.field_violations.add(field=field_of(error), description=described)
        status.details.add().Pack(bad_request)
    info = error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN)
    if error.row is not None:
        info.metadata["row"] = str(error.row)
    if error.value is not None:
        info.metadata["value"] = _value_text(error.value)
    status.details.add().Pack(info)
    if wait_ms := retry_after_ms(error):
        retry_info = error_details_pb2.RetryInfo()
        retry_info.retry_delay.FromMilliseconds(wait_ms)
        status.details.add().Pack(retry_info)
    return status


def retry_after_ms(error: FendanError) -> int:
    """When to try again, in milliseconds; 0 where the same request would fail again."""
    return RETRY_AFTER_MS if error.fault in RETRYABLE else 0


def field_of(error: FendanError) -> str:
    """The field that goes over the wire."""
    return _cut(error.field, MOST_FIELD_BYTES)


def _value_text(value: object) -> str:
    """A value as ASCII JSON: numbers stay numbers; what JSON cannot say becomes its repr."""
    if not isinstance(value, str | int | float | bool):
        value = in_words(value)
    if isinstance(value, str) and len(value) > MOST_VALUE_CHARACTERS:
        value = value[:MOST_VALUE_CHARACTERS] + "…"
    text = json.dumps(value)
    return text if len(text) <= MOST_FIELD_BYTES * 2 else json.dumps("…")


def _cut(text: str, most_bytes: int) -> str:
    """At most so many bytes of UTF-8, whatever the text holds."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


# -- READING -----------------------------------------------------------------------------------


def error_of(rpc_error: grpc.RpcError) -> FendanError:
    """The exception that an engine in the same process would have raised, or a ServiceError."""
    code, details = _code_and_text(rpc_error)
    status = _status_in(rpc_error)
    if status is not None:
        found = _error_in(status)
        if found is not None:
            return found
    return _plain_error(code, details)


def retry_after_ms_of(rpc_error: grpc.RpcError) -> int:
    """When the server said to try again, in milliseconds; 0 where it did not."""
    status = _status_in(rpc_error)
    retry_info = error_details_pb2.RetryInfo()
    if status is None or not _unpack(status, retry_info):
        return 0
    return max(0, int(retry_info.retry_delay.ToMilliseconds()))


def error_of_refusal(refusal: tuple[int, str, str, str, int]) -> FendanError:
    """The exception of a refused stream message.

    `refusal` is (status, message, code, field, retry_after_ms), as in the protobuf message Refusal.
    """
    number, message, code, field, _retry_after_ms = refusal
    if code in Fault.__members__:
        fault = Fault[code]
        return TABLE[fault].exception(message, fault=fault, field=field)
    codes = {_number(known): known for known in grpc.StatusCode}
    return _plain_error(codes.get(number, grpc.StatusCode.UNKNOWN), message)


def _error_in(status: status_pb2.Status) -> FendanError | None:
    """The error that our own details tell; None where they are not ours, or of a later version."""
    info = error_details_pb2.ErrorInfo()
    if not _unpack(status, info) or info.domain != DOMAIN or info.reason not in Fault.__members__:
        return None
    fault = Fault[info.reason]
    entry = TABLE[fault]
    bad_request = error_details_pb2.BadRequest()
    _unpack(status, bad_request)
    violations = [(found.field, found.description) for found in bad_request.field_violations]
    field, described = violations[0] if violations else ("", "")
    return entry.exception(
        status.message,
        fault=fault,
        field=field,
        row=_row_in(info.metadata.get("row", "")),
        value=_value_in(info.metadata.get("value", "null")),
        hint="" if described == entry.meaning else described,
    )


def _row_in(text: str) -> int | None:
    # Longer than any row, and Python reads no number of thousands of digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _value_in(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _status_in(rpc_error: grpc.RpcError) -> status_pb2.Status | None:
    """The details of a failed call; None where there are none, or none that can be read."""
    ask = getattr(rpc_error, "trailing_metadata", None)
    metadata: Iterable[tuple[str, Any]] = (ask() if ask is not None else None) or ()
    for key, value in metadata:
        if key == DETAILS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _unpack(status: status_pb2.Status, wanted: Any) -> bool:
    """Fill `wanted` from the detail of its type; False where there is none that can be read."""
    try:
        return any(detail.Unpack(wanted) for detail in status.details)
    except DecodeError:
        return False


def _code_and_text(rpc_error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    # Both Clients raise an RpcError that is also a Call; a bare one says only what it is.
    code = getattr(rpc_error, "code", None)
    details = getattr(rpc_error, "details", None)
    if code is None or details is None:
        return grpc.StatusCode.UNKNOWN, str(rpc_error)
    return code(), details() or ""


def _plain_error(code: grpc.StatusCode, details: str) -> FendanError:
    fault = PLAIN.get(code, Fault.INTERNAL)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE in details:
        fault = Fault.TOO_MANY
    entry = TABLE[fault]
    message = f"{entry.meaning}: {details or code.name}"
    return entry.exception(message, fault=fault, field="")


def _number(code: grpc.StatusCode) -> int:
    """The number of a code on the wire."""
    number: int = code.value[0]
    return number
