"""What a client says to the service about orders by id: as `fendan.calls`, for OrderService.

Every call may be made again: a step that was done before is answered with where the order is now.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from fendan.calls import INT32_MAX, as_column, as_only, check_known
from fendan.channel import Call, Exchange
from fendan.columns import rows
from fendan.engine.life import RejectReason
from fendan.engine.outcome import Decision
from fendan.errors import Fault, FendanError, refuse
from fendan.messages import decision_of, order_status_of, reject_reason_message
from fendan.model import OrderStatus
from fendan.v1 import order_service_pb2 as messages

ORDERS = "/fendan.v1.OrderService"

# -- THE STEPS OF ITS LIFE ---------------------------------------------------------------------


def accept_order(
    order_id: str, store_id: str | None, shipment: int | None
) -> Exchange[OrderStatus]:
    """The store takes it on."""
    named = _named(order_id, store_id)
    request = messages.AcceptOrderRequest(shipment=_checked(shipment), **named)
    return (yield from _moved("AcceptOrder", request, messages.AcceptOrderResponse))


def pick_order(order_id: str, store_id: str | None, shipment: int | None) -> Exchange[OrderStatus]:
    """It lies ready."""
    named = _named(order_id, store_id)
    request = messages.PickOrderRequest(shipment=_checked(shipment), **named)
    return (yield from _moved("PickOrder", request, messages.PickOrderResponse))


def ship_order(order_id: str, store_id: str | None, shipment: int | None) -> Exchange[OrderStatus]:
    """It has left the store."""
    named = _named(order_id, store_id)
    request = messages.ShipOrderRequest(shipment=_checked(shipment), **named)
    return (yield from _moved("ShipOrder", request, messages.ShipOrderResponse))


def deliver_order(
    order_id: str, store_id: str | None, shipment: int | None
) -> Exchange[OrderStatus]:
    """The customer has it."""
    named = _named(order_id, store_id)
    request = messages.DeliverOrderRequest(shipment=_checked(shipment), **named)
    return (yield from _moved("DeliverOrder", request, messages.DeliverOrderResponse))


def return_order(
    order_id: str, to_stock: bool, store_id: str | None, shipment: int | None
) -> Exchange[OrderStatus]:
    """It came back."""
    if not isinstance(to_stock, bool):
        refuse(Fault.WRONG_TYPE, "to_stock", to_stock, hint="must be True or False")
    number = _checked(shipment)
    request = messages.ReturnOrderRequest(
        to_stock=to_stock, shipment=number, **_named(order_id, store_id)
    )
    return (yield from _moved("ReturnOrder", request, messages.ReturnOrderResponse))


def reject_order(
    order_id: str,
    store_id: str,
    reason: RejectReason,
    missing_skus: Iterable[str] | None,
    shipment: int | None,
) -> Exchange[OrderStatus]:
    """The store cannot fill it."""
    if not isinstance(reason, RejectReason):
        refuse(Fault.WRONG_TYPE, "reason", reason, hint="must be a fendan.RejectReason")
    skus = [] if missing_skus is None else rows("missing_skus", missing_skus)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    for row, sku in enumerate(skus):
        check_known(Fault.UNKNOWN_SKU, "missing_skus", sku, row)
    request = messages.RejectOrderRequest(
        reason=reject_reason_message(reason),
        missing_skus=skus,
        shipment=_checked(shipment),
        **_named(order_id, store_id),
    )
    try:
        return (yield from _moved("RejectOrder", request, messages.RejectOrderResponse))
    except FendanError as error:
        raise as_column(error) from None


def cancel_order(order_id: str, shipment: int | None) -> Exchange[OrderStatus]:
    """Nobody wants it any more."""
    request = messages.CancelOrderRequest(shipment=_checked(shipment), **_named(order_id, None))
    return (yield from _moved("CancelOrder", request, messages.CancelOrderResponse))


def order(order_id: str) -> Exchange[OrderStatus]:
    """Where a known order is now."""
    request = messages.GetOrderRequest(**_named(order_id, None))
    return (yield from _moved("GetOrder", request, messages.GetOrderResponse))


def _named(order_id: str, store_id: str | None) -> dict[str, str]:
    """Which order, and at which store; whether there are any such, the service knows."""
    check_known(Fault.UNKNOWN_ORDER, "order_id", order_id)
    if store_id is None:
        return {"order_id": order_id}
    if store_id == "":  # which would go out as None
        refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
    check_known(Fault.UNKNOWN_STORE, "store_id", store_id)
    return {"order_id": order_id, "store_id": store_id}


def _checked(shipment: int | None) -> int | None:
    """A number that a message can carry; whether there is such a shipment, the service knows."""
    if shipment is not None and (not isinstance(shipment, int) or abs(shipment) > INT32_MAX):
        refuse(Fault.OUT_OF_RANGE, "shipment", shipment, hint="must be the number of one, from 1")
    return shipment


def _moved(method: str, request: Message, answers: type[Message]) -> Exchange[OrderStatus]:
    """Every answer says where the order is."""
    answer: Any = yield Call.of(f"{ORDERS}/{method}", request, answers)
    return order_status_of(answer.order)


# -- WHAT IT WAS TOLD, AND THE WAY BACK --------------------------------------------------------


def decision(order_id: str) -> Exchange[Decision]:
    """What a known order was told."""
    answer = yield from _decided(order_id)
    return decision_of(answer.decision)


def is_held(order_id: str) -> Exchange[bool]:
    """Whether stock is held for a known order."""
    answer = yield from _decided(order_id)
    return answer.held


def _decided(order_id: str) -> Exchange[messages.GetDecisionResponse]:
    check_known(Fault.UNKNOWN_ORDER, "order_id", order_id)
    request = messages.GetDecisionRequest(order_id=order_id)
    answer: messages.GetDecisionResponse = yield Call.of(
        f"{ORDERS}/GetDecision", request, messages.GetDecisionResponse
    )
    return answer


def release(order_id: str) -> Exchange[bool]:
    """Cancel one order."""
    check_known(Fault.UNKNOWN_ORDER, "order_id", order_id)
    try:
        released = yield from release_batch([order_id])
    except FendanError as error:
        raise as_only(error, "order_ids", "order_id") from None
    return released[0]


def release_batch(order_ids: Iterable[str]) -> Exchange[list[bool]]:
    """Cancel many orders, all or none."""
    names = rows("order_ids", order_ids)
    for row, name in enumerate(names):
        check_known(Fault.UNKNOWN_ORDER, "order_ids", name, row)
    request = messages.ReleaseOrdersRequest(order_ids=names)
    try:
        answer: messages.ReleaseOrdersResponse = yield Call.of(
            f"{ORDERS}/ReleaseOrders", request, messages.ReleaseOrdersResponse
        )
    except FendanError as error:
        raise as_column(error) from None
    return list(answer.released)
