"""An error crosses the wire and is the same error on the other side."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from fendan.details import DETAILS_KEY, error_of, error_of_refusal, retry_after_ms_of
from fendan.errors import (
    TABLE,
    BusyError,
    Fault,
    FendanError,
    InternalError,
    InvalidInputError,
    MalformedMessageError,
    NotAllowedError,
    ServiceError,
    TimedOutError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownSkuError,
    refuse,
)
from fendan.server.status import RETRY_AFTER_MS, abort, refusal_of, status_of

Metadata = Sequence[tuple[str, str | bytes]]

METHOD = "/fendan.v1.RoutingService/Route"

# Every gRPC implementation lets this much trailing metadata through.
MOST_TRAILING_BYTES = 8 * 1024


class Answer(grpc.RpcError):
    """A failed call, as both kinds of clients raise it."""

    def __init__(
        self, code: grpc.StatusCode, details: str | None = "", metadata: Metadata | None = ()
    ) -> None:
        self._code, self._details, self._metadata = code, details, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> Metadata | None:
        return self._metadata


def error(fault: Fault, field: str = "field", value: object = None, **how: Any) -> FendanError:
    with pytest.raises(FendanError) as caught:
        refuse(fault, field, value, **how)
    return caught.value


def answer(status: status_pb2.Status) -> Answer:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return Answer(code, status.message, ((DETAILS_KEY, status.SerializeToString()),))


def crossed(sent: FendanError) -> FendanError:
    return error_of(answer(status_of(sent)))


def detail(status: status_pb2.Status, kind: Any) -> Any:
    found = kind()
    assert any(packed.Unpack(found) for packed in status.details)
    return found


# -- OUT AND BACK ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_every_fault_comes_back_as_the_exception_it_was(fault: Fault) -> None:
    sent = error(fault, "orders[3].lat", 91.0, row=3, hint="must be -90 to 90")
    received = crossed(sent)
    assert type(received) is type(sent) is TABLE[fault].exception
    assert received.fault is fault
    assert received.grpc_status == sent.grpc_status
    assert (received.field, received.row, received.value) == ("orders[3].lat", 3, 91.0)
    assert (str(received), received.hint) == (str(sent), sent.hint)


@pytest.mark.parametrize(
    "value", ["S9", "", "南京西路店", 7, -1, 0.5, True, 2**70, None, "a\x00b\n"]
)
def test_a_value_comes_back_as_what_it_was(value: object) -> None:
    received = crossed(error(Fault.OUT_OF_RANGE, value=value))
    assert received.value == value
    assert type(received.value) is type(value)


def test_a_value_that_json_cannot_say_comes_back_as_text() -> None:
    assert crossed(error(Fault.WRONG_TYPE, value=b"S9")).value == "b'S9'"


def test_a_value_that_nobody_can_show_comes_back_as_its_type() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert crossed(error(Fault.WRONG_TYPE, value=deep)).value == "<list, which cannot be shown>"


def test_an_error_without_a_row_or_a_hint_comes_back_without_one() -> None:
    received = crossed(error(Fault.UNKNOWN_ORDER, "order_id", "O1"))
    assert (received.row, received.hint) == (None, "")


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_every_fault_comes_back_from_a_message_of_a_stream(fault: Fault) -> None:
    sent = error(fault, "orders[3].lat", 91.0, row=3)
    refusal = refusal_of(sent)
    assert refusal.status == grpc.StatusCode[sent.grpc_status].value[0]
    parts = (refusal.status, refusal.message, refusal.code, refusal.field, refusal.retry_after_ms)
    received = error_of_refusal(parts)
    assert type(received) is type(sent)
    assert (received.fault, received.field, str(received)) == (fault, "orders[3].lat", str(sent))


# -- WHAT OTHER LANGUAGES READ -----------------------------------------------------------------


def test_details_name_the_code_the_field_the_row_and_the_value() -> None:
    status = status_of(error(Fault.UNKNOWN_SKU, "orders[3].lines[0].sku", "B7", row=3, hint="sic"))
    assert status.code == grpc.StatusCode.NOT_FOUND.value[0]
    info = detail(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("UNKNOWN_SKU", "fendan")
    assert dict(info.metadata) == {"row": "3", "value": '"B7"'}
    (violation,) = detail(status, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("orders[3].lines[0].sku", "sic")


@pytest.mark.parametrize("fault", TABLE, ids=lambda fault: fault.name)
def test_only_what_may_be_retried_says_when(fault: Fault) -> None:
    sent = error(fault)
    expected = RETRY_AFTER_MS if fault in (Fault.BUSY, Fault.UNAVAILABLE) else 0
    assert retry_after_ms_of(answer(status_of(sent))) == expected
    assert refusal_of(sent).retry_after_ms == expected


@pytest.mark.parametrize("letter", ["x", "店", "😀", "\x00", "\\", "\ud800"])
def test_an_endless_error_still_fits_into_the_trailing_metadata(letter: str) -> None:
    endless = letter * 100_000
    sent = TABLE[Fault.BUSY].exception(
        endless, fault=Fault.BUSY, field=endless, row=2**40, value=endless, hint=endless
    )
    status = status_of(sent)
    percent_encoded = 3 * len(status.message.encode())
    base64 = len(status.SerializeToString()) * 4 / 3
    assert percent_encoded + base64 < MOST_TRAILING_BYTES - 512  # the names, and other entries
    received = error_of(answer(status))
    assert type(received) is BusyError
    assert letter == "\ud800" or received.message.startswith(letter)
    assert len(refusal_of(sent).SerializeToString()) < MOST_TRAILING_BYTES
    value = detail(status, error_details_pb2.ErrorInfo).metadata["value"]
    assert value.isascii()
    assert json.loads(value)


def test_an_endless_error_crosses_a_real_connection() -> None:
    endless = "😀" * 100_000
    sent = TABLE[Fault.BUSY].exception(endless, fault=Fault.BUSY, field=endless, value=endless)
    received = asyncio.run(call_that_ends_with(sent))
    assert type(received) is BusyError
    assert received.field.startswith("😀")


def test_a_real_call_ends_with_the_error_it_was_aborted_with() -> None:
    sent = error(Fault.UNKNOWN_SKU, "orders[3].lines[0].sku", "可乐", row=3)
    received = asyncio.run(call_that_ends_with(sent))
    assert type(received) is UnknownSkuError
    assert (received.field, received.row, received.value) == (sent.field, 3, "可乐")
    assert str(received) == str(sent)


def test_a_message_that_is_too_large_is_no_reason_to_try_again() -> None:
    received = asyncio.run(call_that_ends_with(error(Fault.BUSY), request=b"x" * 5_000_000))
    assert type(received) is InvalidInputError
    assert received.fault is Fault.TOO_MANY
    assert "4194304" in str(received)


async def call_that_ends_with(sent: FendanError, request: bytes = b"") -> FendanError:
    """What a client makes of a call to a server that answers with `sent`."""

    async def refuse_call(_request: bytes, context: Any) -> None:
        await abort(context, sent)

    handler = grpc.unary_unary_rpc_method_handler(refuse_call)
    service, _, method = METHOD.strip("/").partition("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                await channel.unary_unary(METHOD)(request)
    finally:
        await server.stop(None)
    return error_of(caught.value)


# -- ANSWERS THAT ARE NOT OURS -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, UnavailableError),
        (grpc.StatusCode.CANCELLED, UnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, TimedOutError),
        (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError),
        (grpc.StatusCode.PERMISSION_DENIED, NotAllowedError),
        (grpc.StatusCode.UNIMPLEMENTED, UnimplementedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, BusyError),
        (grpc.StatusCode.INVALID_ARGUMENT, MalformedMessageError),
        (grpc.StatusCode.INTERNAL, InternalError),
        (grpc.StatusCode.UNKNOWN, InternalError),
        (grpc.StatusCode.NOT_FOUND, InternalError),
    ],
)
def test_a_plain_status_is_read_by_its_code(code: grpc.StatusCode, kind: type[FendanError]) -> None:
    for metadata in ((), None, (("other", "x"),)):
        received = error_of(Answer(code, "somebody said so", metadata))
        assert type(received) is kind
        assert "somebody said so" in str(received)
        assert retry_after_ms_of(Answer(code, "somebody said so", metadata)) == 0


def test_every_status_of_grpc_becomes_some_error() -> None:
    for code in grpc.StatusCode:
        assert isinstance(error_of(Answer(code, None)), FendanError)
        assert code.name in str(error_of(Answer(code, None)))


def test_an_error_that_is_no_answer_is_an_internal_one() -> None:
    assert type(error_of(grpc.RpcError("the channel is closed"))) is InternalError
    assert retry_after_ms_of(grpc.RpcError("the channel is closed")) == 0


def packed(reason: str, domain: str, **metadata: str) -> Answer:
    info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="no")
    status.details.add().Pack(info)
    return answer(status)


@pytest.mark.parametrize(
    "received", [packed("BUSY", "a.proxy"), packed("OF_A_LATER_VERSION", "fendan")]
)
def test_details_that_say_nothing_to_us_leave_the_plain_status(received: Answer) -> None:
    assert type(error_of(received)) is UnavailableError


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"", b"\x1a\x02\x08\x01"])
def test_details_that_are_no_details_leave_the_plain_status(data: bytes) -> None:
    received = Answer(grpc.StatusCode.UNAVAILABLE, "no", ((DETAILS_KEY, data),))
    assert type(error_of(received)) is UnavailableError
    assert retry_after_ms_of(received) == 0


def test_a_detail_with_broken_content_leaves_the_plain_status() -> None:
    status = status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="no")
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    assert type(error_of(answer(status))) is UnavailableError


@pytest.mark.parametrize("row", ["", "x", "-1", "1.5", "³", "9" * 5_000])
def test_a_row_that_is_no_number_is_no_row(row: str) -> None:
    received = error_of(packed("BUSY", "fendan", row=row))
    assert type(received) is BusyError
    assert received.row is None


@pytest.mark.parametrize("value", ["", "{", "[" * 100_000, "S9"])
def test_a_value_that_is_not_json_is_kept_as_text(value: str) -> None:
    assert error_of(packed("BUSY", "fendan", value=value)).value == value


def test_a_refusal_of_a_later_version_is_read_by_its_status() -> None:
    busy = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert type(error_of_refusal((busy, "no", "OF_A_LATER_VERSION", "", 0))) is BusyError
    assert isinstance(error_of_refusal((99, "no", "", "", 0)), ServiceError)
