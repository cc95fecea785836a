"""The ledger's events as protobuf messages, and back: see messages."""

from collections.abc import Iterable
from typing import cast

from fendan.engine.events import EventKind
from fendan.ledger import Filter
from fendan.messages import ns_of, time_message
from fendan.model import EventPage, LedgerEvent, Movement
from fendan.rules import OrderType, StepName
from fendan.v1 import ledger_service_pb2 as ledger

__all__ = ["event_filter_message", "event_page_of", "ledger_event_message", "ledger_event_of"]


def event_filter_message(filter: Filter) -> ledger.EventFilter:
    """A filter; absent lists are empty ones."""
    return ledger.EventFilter(
        store_ids=filter.store_ids,
        regions=filter.regions,
        order_ids=filter.order_ids,
        kinds=cast(Iterable[ledger.EventKind], filter.kinds),
    )


def ledger_event_message(event: LedgerEvent) -> ledger.LedgerEvent:
    """One event of the ledger."""
    return ledger.LedgerEvent(
        sequence=event.sequence,
        time=time_message(event.time_ns),
        kind=cast(ledger.EventKind, event.kind),
        order_id=event.order_id or "",
        store_id=event.store_id or "",
        region=event.region,
        reason=event.reason,
        attempts=event.attempts,
        distance_m=event.distance_m,
        movements=[
            ledger.Movement(
                sku=movement.sku,
                quantity=movement.quantity,
                on_hand_before=movement.on_hand_before,
                on_hand_after=movement.on_hand_after,
                reserved_before=movement.reserved_before,
                reserved_after=movement.reserved_after,
                amount=movement.amount,
            )
            for movement in event.movements
        ],
        shipment=event.shipment,
        policy_version=event.policy_version,
        step=event.step.name if event.step else "",
        promised=None if event.promised_ns is None else time_message(event.promised_ns),
        merge_group=event.merge_group,
        order_type=event.order_type.name if event.order_type else "",
        channel=event.channel,
    )


def ledger_event_of(message: ledger.LedgerEvent) -> LedgerEvent:
    """The event of a message."""
    return LedgerEvent(
        sequence=message.sequence,
        time_ns=ns_of(message.time),
        kind=EventKind(message.kind),
        order_id=message.order_id or None,
        store_id=message.store_id or None,
        region=message.region,
        reason=message.reason,
        attempts=message.attempts,
        distance_m=message.distance_m if message.HasField("distance_m") else None,
        movements=tuple(
            Movement(
                sku=movement.sku,
                quantity=movement.quantity,
                on_hand_before=movement.on_hand_before,
                on_hand_after=movement.on_hand_after,
                reserved_before=movement.reserved_before,
                reserved_after=movement.reserved_after,
                amount=movement.amount,
            )
            for movement in message.movements
        ),
        shipment=message.shipment,
        policy_version=message.policy_version,
        step=StepName[message.step or "NONE"],
        promised_ns=message.promised.ToNanoseconds() if message.HasField("promised") else None,
        merge_group=message.merge_group,
        order_type=OrderType[message.order_type or "UNSPECIFIED"],
        channel=message.channel,
    )


def event_page_of(message: ledger.ReadEventsResponse | ledger.TailResponse) -> EventPage:
    """Some events, and where to go on."""
    return EventPage(
        events=tuple(map(ledger_event_of, message.events)),
        next_sequence=message.next_sequence,
        last_sequence=message.last_sequence,
    )
