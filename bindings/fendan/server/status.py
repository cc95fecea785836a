"""How the server says no: as the end of a call, or as one message of a stream."""

from typing import Any, NoReturn

import grpc

from fendan.details import DETAILS_KEY, RETRY_AFTER_MS, field_of, retry_after_ms, status_of
from fendan.errors import FendanError
from fendan.v1 import routing_service_pb2

__all__ = ["RETRY_AFTER_MS", "abort", "refusal_of", "status_of"]


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: FendanError) -> NoReturn:
    """End the call with `error`, its details in the trailing metadata."""
    status = status_of(error)
    trailing = ((DETAILS_KEY, status.SerializeToString()),)
    await context.abort(grpc.StatusCode[error.grpc_status], status.message, trailing)


def refusal_of(error: FendanError) -> routing_service_pb2.Refusal:
    """What one message of a stream is answered with; the stream goes on."""
    status = status_of(error)
    return routing_service_pb2.Refusal(
        status=status.code,
        message=status.message,
        code=error.code,
        field=field_of(error),
        retry_after_ms=retry_after_ms(error),
    )
