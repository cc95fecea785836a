"""OrderService: where orders are, and the steps of their life.

All of it is hot: `answers` names the functions that both doors have.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeAlias, TypeVar

from fendan.api import Engine
from fendan.errors import FendanError, UnknownOrderError
from fendan.messages import decision_message, order_status_message, reject_reason_of
from fendan.model import OrderStatus, ShipmentStatus
from fendan.server.callers import Caller
from fendan.server.methods import Answer, answer_of, as_sent, at_most, rename
from fendan.server.own import check_order, decision_for, is_own, refuse_unless
from fendan.v1 import order_service_pb2 as messages

__all__ = ["Orders"]

SERVICE = "/fendan.v1.OrderService"

# As the proto says.
MOST_RELEASED = 100_000
MOST_MISSING = 10_000  # no order has more lines

Place = TypeVar("Place", OrderStatus, ShipmentStatus)

# A step that a store takes, or whoever knows which one has the order.
_AtStore: TypeAlias = (
    messages.AcceptOrderRequest
    | messages.PickOrderRequest
    | messages.ShipOrderRequest
    | messages.DeliverOrderRequest
    | messages.ReturnOrderRequest
)
# Whatever leads one order on.
_Request: TypeAlias = _AtStore | messages.CancelOrderRequest


class Orders:
    """Answers for orders known by id; tokens of a store or region reach those at its stores."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answers(self) -> dict[str, Answer]:
        """What each method of the service answers, by its full name."""
        return {
            f"{SERVICE}/AcceptOrder": answer_of(messages.AcceptOrderRequest, self._accept),
            f"{SERVICE}/PickOrder": answer_of(messages.PickOrderRequest, self._pick),
            f"{SERVICE}/ShipOrder": answer_of(messages.ShipOrderRequest, self._ship),
            f"{SERVICE}/DeliverOrder": answer_of(messages.DeliverOrderRequest, self._deliver),
            f"{SERVICE}/ReturnOrder": answer_of(messages.ReturnOrderRequest, self._return),
            f"{SERVICE}/CancelOrder": answer_of(messages.CancelOrderRequest, self._cancel),
            f"{SERVICE}/RejectOrder": answer_of(messages.RejectOrderRequest, self._reject),
            f"{SERVICE}/ReleaseOrders": answer_of(messages.ReleaseOrdersRequest, self._release),
            f"{SERVICE}/GetOrder": answer_of(messages.GetOrderRequest, self._get),
            f"{SERVICE}/GetDecision": answer_of(messages.GetDecisionRequest, self._get_decision),
        }

    # -- THE STEPS OF ITS LIFE -----------------------------------------------------------------

    def _accept(
        self, who: Caller, request: messages.AcceptOrderRequest
    ) -> messages.AcceptOrderResponse:
        """The store takes it on."""
        step = _step(self._engine.accept_order, request)
        return messages.AcceptOrderResponse(order=self._moved(who, request, step))

    def _pick(self, who: Caller, request: messages.PickOrderRequest) -> messages.PickOrderResponse:
        """It lies ready."""
        step = _step(self._engine.pick_order, request)
        return messages.PickOrderResponse(order=self._moved(who, request, step))

    def _ship(self, who: Caller, request: messages.ShipOrderRequest) -> messages.ShipOrderResponse:
        """It has left the store."""
        step = _step(self._engine.ship_order, request)
        return messages.ShipOrderResponse(order=self._moved(who, request, step))

    def _deliver(
        self, who: Caller, request: messages.DeliverOrderRequest
    ) -> messages.DeliverOrderResponse:
        """The customer has it."""
        step = _step(self._engine.deliver_order, request)
        return messages.DeliverOrderResponse(order=self._moved(who, request, step))

    def _return(
        self, who: Caller, request: messages.ReturnOrderRequest
    ) -> messages.ReturnOrderResponse:
        """It came back."""
        step = _step(partial(self._engine.return_order, to_stock=request.to_stock), request)
        return messages.ReturnOrderResponse(order=self._moved(who, request, step))

    def _cancel(
        self, who: Caller, request: messages.CancelOrderRequest
    ) -> messages.CancelOrderResponse:
        """Nobody wants it any more."""
        step = partial(self._engine.cancel_order, shipment=_shipment(request))
        return messages.CancelOrderResponse(order=self._moved(who, request, step))

    def _reject(
        self, who: Caller, request: messages.RejectOrderRequest
    ) -> messages.RejectOrderResponse:
        """The store cannot fill it: it goes on to another, which is none of the first's business.

        Once it has gone on, the store that rejected it does not reach it any more; but its late
        retry is answered like the first try.
        """
        at_most(MOST_MISSING, "missing_skus", len(request.missing_skus))
        who.check_store(request.store_id, self._engine.region_of)
        reason = reject_reason_of(request.reason)
        skus = request.missing_skus or None
        try:
            status = self._engine.reject_order(
                request.order_id,
                request.store_id,
                reason=reason,
                missing_skus=skus,
                shipment=_shipment(request),
            )
        except FendanError as error:
            check_order(self._engine, who, "order_id", request.order_id)  # all that strangers hear
            as_sent(error)
        seen = order_status_message(self._seen_by(who, status))
        return messages.RejectOrderResponse(order=seen)

    def _release(
        self, who: Caller, request: messages.ReleaseOrdersRequest
    ) -> messages.ReleaseOrdersResponse:
        """Give back the stock held for orders; where one is not the caller's, for none of them."""
        order_ids = request.order_ids
        at_most(MOST_RELEASED, "order_ids", len(order_ids))
        for row, order_id in enumerate(order_ids):
            self._check_all(who, f"order_ids[{row}]", order_id)
        try:
            released = self._engine.release_batch(order_ids)
        except FendanError as error:
            as_sent(error)
        return messages.ReleaseOrdersResponse(released=released)

    # -- QUESTIONS -----------------------------------------------------------------------------

    def _get(self, who: Caller, request: messages.GetOrderRequest) -> messages.GetOrderResponse:
        """Where a known order is now."""
        check_order(self._engine, who, "order_id", request.order_id)
        status = self._seen_by(who, self._engine.order(request.order_id))
        return messages.GetOrderResponse(order=order_status_message(status))

    def _get_decision(
        self, who: Caller, request: messages.GetDecisionRequest
    ) -> messages.GetDecisionResponse:
        """What a known order was told first, and whether its stock is still held."""
        check_order(self._engine, who, "order_id", request.order_id)
        decision = decision_for(self._engine, who, self._engine.decision(request.order_id))
        return messages.GetDecisionResponse(
            decision=decision_message(decision),
            held=self._engine.is_held(request.order_id),
        )

    # -- INSIDE --------------------------------------------------------------------------------

    def _moved(
        self, who: Caller, request: _Request, step: Callable[[str], OrderStatus]
    ) -> messages.OrderStatus:
        """Have an order that the caller reaches take a step; where it is then."""
        at = "" if isinstance(request, messages.CancelOrderRequest) else request.store_id
        self._check_step(who, request.order_id, _shipment(request), at)
        return order_status_message(self._seen_by(who, step(request.order_id)))

    def _check_all(self, who: Caller, field: str, order_id: str) -> None:
        """Raise NotAllowedError where some part of the order is at no store of the caller's."""
        if who.scope.is_bound:
            places = self._places(field, order_id)
            refuse_unless(all(map(partial(self._has, who), places)), who, field, order_id)

    def _check_step(self, who: Caller, order_id: str, shipment: int | None, store_id: str) -> None:
        """Raise NotAllowedError where not all that would take the step is the caller's.

        What nobody has, such as a shipment 9 of two, the engine refuses.
        """
        if not who.scope.is_bound:
            return
        places = self._places("order_id", order_id)
        taking = [
            place
            for number, place in enumerate(places, 1)
            if shipment in (None, number) and store_id in ("", place.store_id)
        ]
        reached = [self._has(who, place) for place in taking or places]
        refuse_unless(all(reached) if taking else any(reached), who, "order_id", order_id)

    def _places(self, field: str, order_id: str) -> tuple[OrderStatus | ShipmentStatus, ...]:
        """Where the order is: its shipments, or all of it."""
        try:
            status = self._engine.order(order_id)
        except UnknownOrderError as error:
            rename(error, field)
        return status.shipments or (status,)

    def _seen_by(self, who: Caller, status: OrderStatus) -> OrderStatus:
        """A status without its stores, as far as they are none of the caller's business."""
        if not who.scope.is_bound:
            return status
        shipments = tuple(self._shown_to(who, one) for one in status.shipments)
        return replace(self._shown_to(who, status), shipments=shipments)

    def _shown_to(self, who: Caller, place: Place) -> Place:
        return place if self._has(who, place) else replace(place, store_id=None, distance_m=None)

    def _has(self, who: Caller, place: OrderStatus | ShipmentStatus) -> bool:
        return is_own(self._engine, who, place.store_id)


def _shipment(request: _Request | messages.RejectOrderRequest) -> int | None:
    return request.shipment if request.HasField("shipment") else None


def _step(step: Callable[..., OrderStatus], request: _AtStore) -> Callable[[str], OrderStatus]:
    """A step of the engine, at the store and on the shipment that the request names."""
    return partial(step, store_id=request.store_id or None, shipment=_shipment(request))
