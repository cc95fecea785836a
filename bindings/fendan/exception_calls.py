"""What a client says to the service about the exception queue: as `fendan.calls`.

Commands are sent once: done a second time, most are refused, since the order has left the queue.
"""

from collections.abc import Iterable

from fendan.calls import as_column
from fendan.channel import Call, Exchange
from fendan.columns import rows
from fendan.errors import Fault, FendanError, refuse
from fendan.exception_entry import ExceptionEntry
from fendan.exception_figures import DayFigures, check_utc_offset
from fendan.exception_messages import entry_of_message, figures_of, filter_message, stats_of
from fendan.exception_queue import ExceptionFilter, ExceptionPage, ExceptionStats, check_limit
from fendan.messages import order_status_of
from fendan.model import OrderStatus
from fendan.v1 import exception_service_pb2 as messages

EXCEPTIONS = "/fendan.v1.ExceptionService"


def exceptions(wanted: ExceptionFilter | None, limit: int, after: str) -> Exchange[ExceptionPage]:
    """A page."""
    check_limit(limit)
    request = messages.ListExceptionsRequest(
        filter=filter_message(wanted or ExceptionFilter()), page_size=limit, page_token=after
    )
    answer: messages.ListExceptionsResponse = yield Call.of(
        f"{EXCEPTIONS}/ListExceptions", request, messages.ListExceptionsResponse
    )
    return ExceptionPage(
        entries=tuple(map(entry_of_message, answer.entries)), after=answer.next_page_token
    )


def exception(order_id: str) -> Exchange[ExceptionEntry]:
    """One entry."""
    answer: messages.GetExceptionResponse = yield Call.of(
        f"{EXCEPTIONS}/GetException",
        messages.GetExceptionRequest(order_id=_named("order_id", order_id)),
        messages.GetExceptionResponse,
    )
    return entry_of_message(answer.entry)


def retry_exceptions(order_ids: Iterable[str]) -> Exchange[list[OrderStatus]]:
    """Try them now."""
    wanted = rows("order_ids", order_ids)
    request = messages.RetryExceptionsRequest(
        order_ids=[_named("order_ids", name, row) for row, name in enumerate(wanted)]
    )
    try:
        answer: messages.RetryExceptionsResponse = yield Call.of(
            f"{EXCEPTIONS}/RetryExceptions", request, messages.RetryExceptionsResponse, False
        )
    except FendanError as error:
        raise as_column(error) from None
    return list(map(order_status_of, answer.orders))


def assign_exception(order_id: str, store_id: str) -> Exchange[OrderStatus]:
    """Give it to a store."""
    if not isinstance(store_id, str):
        refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
    request = messages.AssignExceptionRequest(
        order_id=_named("order_id", order_id), store_id=store_id
    )
    answer: messages.AssignExceptionResponse = yield Call.of(
        f"{EXCEPTIONS}/AssignException", request, messages.AssignExceptionResponse, False
    )
    return order_status_of(answer.order)


def approve_exception(order_id: str) -> Exchange[OrderStatus]:
    """Route it after all."""
    request = messages.ApproveExceptionRequest(order_id=_named("order_id", order_id))
    answer: messages.ApproveExceptionResponse = yield Call.of(
        f"{EXCEPTIONS}/ApproveException", request, messages.ApproveExceptionResponse, False
    )
    return order_status_of(answer.order)


def cancel_exception(order_id: str) -> Exchange[None]:
    """Give it up."""
    request = messages.CancelExceptionRequest(order_id=_named("order_id", order_id))
    yield Call.of(f"{EXCEPTIONS}/CancelException", request, messages.CancelExceptionResponse, False)


def exception_stats() -> Exchange[ExceptionStats]:
    """How it stands."""
    answer: messages.GetExceptionStatsResponse = yield Call.of(
        f"{EXCEPTIONS}/GetExceptionStats",
        messages.GetExceptionStatsRequest(),
        messages.GetExceptionStatsResponse,
    )
    return stats_of(answer)


def exception_figures(day: str, utc_offset_h: int) -> Exchange[DayFigures]:
    """A day's figures."""
    check_utc_offset(utc_offset_h)
    answer: messages.GetExceptionFiguresResponse = yield Call.of(
        f"{EXCEPTIONS}/GetExceptionFigures",
        messages.GetExceptionFiguresRequest(day=str(day), utc_offset_h=utc_offset_h),
        messages.GetExceptionFiguresResponse,
    )
    return figures_of(answer)


def _named(field: str, name: str, row: int | None = None) -> str:
    """An id that a message can hold; whether there is such an order, the service knows."""
    try:
        name.encode()
    except (AttributeError, UnicodeEncodeError):
        refuse(Fault.UNKNOWN_ORDER, field, name, row=row, hint="it is not in the exception queue")
    return name
