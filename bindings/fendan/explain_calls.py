"""What a client says to the service to be told why: as `fendan.calls`."""

from fendan.calls import ROUTING, as_single, check_known
from fendan.channel import Call, Exchange
from fendan.engine import wire
from fendan.errors import Fault, FendanError
from fendan.explain import checked_attempt, checked_limit
from fendan.explain_messages import explanation_of
from fendan.explanation import Explanation
from fendan.model import Order
from fendan.v1 import routing_service_pb2 as routing

__all__ = ["explain"]


def explain(order_or_id: Order | str, limit: int, attempt: int) -> Exchange[Explanation]:
    """Of an order as it would be routed now, or of one that was."""
    if isinstance(order_or_id, str):
        check_known(Fault.UNKNOWN_ORDER, "order_id", order_or_id)
        request = routing.ExplainRequest(order_id=order_or_id)
    else:  # its field has the number that it has in a RouteRequest
        data = wire.write_request([order_or_id], policy=None, dry_run=False, style="order")
        request = routing.ExplainRequest.FromString(data)
    request.limit, request.attempt = checked_limit(limit), checked_attempt(attempt)
    try:
        answer: routing.ExplainResponse = yield Call.of(
            f"{ROUTING}/Explain", request, routing.ExplainResponse
        )
    except FendanError as error:
        if isinstance(order_or_id, str):
            raise
        raise as_single(error, order_or_id) from None
    return explanation_of(answer.explanation)
