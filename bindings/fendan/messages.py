"""The model as protobuf messages, and back: what server and client both speak.

`x_message` makes the message of a model's x, `x_of` the x of a message. The hot messages, orders
and decisions by the thousand, are not here: `fendan.engine.wire` reads and writes those.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from fendan.engine.geo import Datum
from fendan.engine.life import RejectReason
from fendan.engine.outcome import Decision
from fendan.engine.records import OrderState
from fendan.engine.router import Reason, Status
from fendan.errors import Fault, refuse
from fendan.model import (
    Availability,
    AvailabilityChanges,
    Line,
    Nearby,
    OrderStatus,
    Policy,
    Shipment,
    ShipmentStatus,
    Shortfall,
    StaleStock,
    StockLevel,
    StockUpdate,
    Store,
    StoreStatus,
)
from fendan.rules import StepName
from fendan.times import NS_PER_S
from fendan.v1 import inventory_service_pb2 as inventory
from fendan.v1 import network_service_pb2 as network
from fendan.v1 import order_pb2 as order
from fendan.v1 import order_service_pb2 as life
from fendan.v1 import place_pb2 as place
from fendan.v1 import routing_service_pb2 as routing

__all__ = [
    "availability_changes_of",
    "availability_message",
    "datum_message",
    "datum_of",
    "decision_message",
    "decision_of",
    "line_messages",
    "lines_of",
    "nearby_message",
    "nearby_of",
    "ns_of",
    "order_status_message",
    "order_status_of",
    "policy_message",
    "policy_of",
    "reject_reason_message",
    "reject_reason_of",
    "shipment_message",
    "shipment_of",
    "shortfall_message",
    "shortfall_of",
    "stock_level_message",
    "stock_level_of",
    "stock_outcome_message",
    "stock_update_of",
    "store_message",
    "store_of",
    "store_status_message",
    "store_status_of",
    "time_message",
]

# -- TIMES -------------------------------------------------------------------------------------


def time_message(time_ns: int) -> Timestamp:
    """A time in nanoseconds since 1970, UTC."""
    seconds, nanos = divmod(time_ns, NS_PER_S)
    return Timestamp(seconds=seconds, nanos=nanos)


def ns_of(message: Timestamp) -> int:
    """A time of a message in nanoseconds since 1970, UTC."""
    return message.seconds * NS_PER_S + message.nanos


# -- PLACES ------------------------------------------------------------------------------------

_DATUM_NUMBERS: dict[Datum | None, place.Datum] = {
    None: place.DATUM_UNSPECIFIED,
    Datum.WGS84: place.DATUM_WGS84,
    Datum.GCJ02: place.DATUM_GCJ02,
    Datum.BD09: place.DATUM_BD09,
}
_DATUMS: dict[int, Datum | None] = {number: datum for datum, number in _DATUM_NUMBERS.items()}


def datum_message(datum: Datum | None) -> place.Datum:
    """The enum's number; None, the network's own, is unspecified."""
    return _DATUM_NUMBERS[datum]


def datum_of(number: int, field: str = "datum") -> Datum | None:
    """The datum of an enum's number. `field`: what an error calls it.

    Raises InvalidInputError for a number that this version does not know: a guess would put a
    store or an order hundreds of metres off.
    """
    if number not in _DATUMS:
        refuse(Fault.OUT_OF_RANGE, field, number, hint="must be a fendan.v1.Datum")
    return _DATUMS[number]


# -- STORES ------------------------------------------------------------------------------------


def store_message(store: Store) -> network.Store:
    """A store for AddStores and UpdateStores."""
    return network.Store(
        id=store.id,
        lat=store.lat,
        lng=store.lng,
        datum=datum_message(store.datum),
        region=store.region,
    )


def store_of(message: network.Store, field: str = "store") -> Store:
    """The store of a message. Raises InvalidInputError, naming `field`, for an unknown datum."""
    return Store(
        id=message.id,
        lat=message.lat,
        lng=message.lng,
        datum=datum_of(message.datum, f"{field}.datum"),
        region=message.region,
    )


def store_status_message(status: StoreStatus) -> network.ListedStore:
    """A store as ListStores shows it."""
    state = network.STORE_STATE_PAUSED if status.paused else network.STORE_STATE_OPEN
    return network.ListedStore(store=store_message(status.store), state=state)


def store_status_of(message: network.ListedStore) -> StoreStatus:
    """A listed store."""
    paused = message.state == network.STORE_STATE_PAUSED
    return StoreStatus(store=store_of(message.store), paused=paused)


# -- STOCK -------------------------------------------------------------------------------------


def shortfall_message(shortfall: Shortfall) -> inventory.Shortfall:
    """A shortfall, with the orders that need another store."""
    return inventory.Shortfall(
        store_id=shortfall.store_id,
        sku=shortfall.sku,
        on_hand=shortfall.on_hand,
        reserved=shortfall.reserved,
        order_ids=shortfall.order_ids,
    )


def shortfall_of(message: inventory.Shortfall) -> Shortfall:
    """The shortfall of a message."""
    return Shortfall(
        store_id=message.store_id,
        sku=message.sku,
        on_hand=message.on_hand,
        reserved=message.reserved,
        order_ids=tuple(message.order_ids),
    )


def stock_level_message(level: StockLevel) -> inventory.StockLevel:
    """The counts of one SKU; which store's, the request has said."""
    return inventory.StockLevel(
        sku=level.sku, on_hand=level.on_hand, reserved=level.reserved, sellable=level.sellable
    )


def stock_level_of(message: inventory.StockLevel, store_id: str) -> StockLevel:
    """The counts of one SKU in the store that was asked for."""
    return StockLevel(
        store_id=store_id,
        sku=message.sku,
        on_hand=message.on_hand,
        reserved=message.reserved,
        sellable=message.sellable,
    )


def stock_outcome_message(store_id: str, version: int, stale: bool) -> inventory.StockOutcome:
    """What became of one store's part; `version`: the last that was applied to the store."""
    applied, outdated = inventory.STOCK_OUTCOME_STATUS_APPLIED, inventory.STOCK_OUTCOME_STATUS_STALE
    status = outdated if stale else applied
    return inventory.StockOutcome(store_id=store_id, status=status, version=version)


def stock_update_of(
    parts: Iterable[inventory.StockSnapshot | inventory.StockAdjustment],
    response: inventory.SetStockResponse | inventory.AdjustStockResponse,
) -> StockUpdate:
    """What became of a request's `parts`, whose versions the response does not repeat."""
    stale = [
        StaleStock(store_id=part.store_id, version=part.version, last_version=outcome.version)
        for part, outcome in zip(parts, response.outcomes, strict=True)
        if outcome.status == inventory.STOCK_OUTCOME_STATUS_STALE
    ]
    shortfalls = tuple(shortfall_of(message) for message in response.shortfalls)
    return StockUpdate(shortfalls=shortfalls, stale=tuple(stale))


def availability_message(pair: Availability) -> inventory.Availability:
    """What can be sold of one SKU from one store."""
    return inventory.Availability(store_id=pair.store_id, sku=pair.sku, sellable=pair.sellable)


def availability_changes_of(message: inventory.WatchAvailabilityResponse) -> AvailabilityChanges:
    """One message of WatchAvailability."""
    changes = [
        Availability(store_id=pair.store_id, sku=pair.sku, sellable=pair.sellable)
        for pair in message.changes
    ]
    return AvailabilityChanges(changes=changes, cursor=message.cursor, reset=message.reset)


# -- ROUTING -----------------------------------------------------------------------------------


def policy_message(policy: Policy) -> order.RoutePolicy:
    """A policy in place of the server's own."""
    return order.RoutePolicy(radius_m=policy.radius_m)


def policy_of(message: order.RoutePolicy) -> Policy:
    """The policy of a message that is there; of one that is not, ask HasField first."""
    return Policy(radius_m=message.radius_m if message.HasField("radius_m") else None)


def line_messages(lines: Iterable[Line]) -> list[order.OrderLine]:
    """Lines of an order."""
    return [
        order.OrderLine(sku=line[0], quantity=line[1], amount=line[2] if len(line) == 3 else 0)
        for line in lines
    ]


def lines_of(messages: Sequence[order.OrderLine]) -> list[Line]:
    """Lines as SKU, quantity and amount."""
    return [(line.sku, line.quantity, line.amount) for line in messages]


def nearby_message(nearby: Nearby) -> routing.NearbyStore:
    """A store that Nearest found."""
    return routing.NearbyStore(store_id=nearby.store_id, distance_m=nearby.distance_m)


def nearby_of(message: routing.NearbyStore) -> Nearby:
    """A store that Nearest found."""
    return Nearby(store_id=message.store_id, distance_m=message.distance_m)


def decision_message(decision: Decision) -> order.Decision:
    """What one order was told."""
    promised_ns = decision.promised_ns
    return order.Decision(
        order_id=decision.order_id,
        status=cast(order.DecisionStatus, decision.status),
        store_id=decision.store_id or "",
        distance_m=decision.distance_m or 0.0,
        reason=cast(order.DecisionReason, decision.reason),
        policy_version=decision.policy_version,
        step=cast(order.DecisionStep, decision.step),
        promised_at=None if promised_ns is None else time_message(promised_ns),
        merge_group=decision.merge_group,
        shipments=map(shipment_message, decision.shipments),
    )


def decision_of(message: order.Decision) -> Decision:
    """The decision of a message."""
    status = Status(message.status)
    has_store = status is Status.ASSIGNED and message.store_id != ""  # some are not told which
    return Decision(
        order_id=message.order_id,
        status=status,
        store_id=message.store_id if has_store else None,
        distance_m=message.distance_m if has_store else None,
        reason=Reason(message.reason),
        policy_version=message.policy_version,
        step=StepName(message.step),
        promised_ns=ns_of(message.promised_at) if message.HasField("promised_at") else None,
        merge_group=message.merge_group,
        shipments=tuple(map(shipment_of, message.shipments)),
    )


def shipment_message(shipment: Shipment) -> order.Shipment:
    """What one store sends of a split order."""
    promised_ns = shipment.promised_ns
    return order.Shipment(
        number=shipment.number,
        store_id=shipment.store_id,
        distance_m=shipment.distance_m,
        lines=[order.ShipmentLine(sku=sku, quantity=pieces) for sku, pieces in shipment.lines],
        promised_at=None if promised_ns is None else time_message(promised_ns),
        supply_date=shipment.supply_date,
    )


def shipment_of(message: order.Shipment) -> Shipment:
    """The shipment of a message."""
    return Shipment(
        number=message.number,
        store_id=message.store_id,
        distance_m=message.distance_m,
        lines=tuple((line.sku, line.quantity) for line in message.lines),
        promised_ns=ns_of(message.promised_at) if message.HasField("promised_at") else None,
        supply_date=message.supply_date,
    )


# -- THE LIFE OF AN ORDER ----------------------------------------------------------------------


def order_status_message(status: OrderStatus) -> life.OrderStatus:
    """Where an order is now."""
    message = life.OrderStatus(
        order_id=status.order_id,
        state=cast(life.OrderState, status.state),
        store_id=status.store_id or "",
        distance_m=status.distance_m or 0.0,
        reason=cast(order.DecisionReason, status.reason),
        attempts=status.attempts,
    )
    if status.reserved_until_ns is not None:
        message.reserved_until.FromNanoseconds(status.reserved_until_ns)
    message.shipments.extend(map(_shipment_status_message, status.shipments))
    return message


def _shipment_status_message(status: ShipmentStatus) -> life.ShipmentStatus:
    message = life.ShipmentStatus(
        number=status.number,
        state=cast(life.OrderState, status.state),
        store_id=status.store_id or "",
        distance_m=status.distance_m or 0.0,
        reason=cast(order.DecisionReason, status.reason),
        attempts=status.attempts,
        lines=[order.ShipmentLine(sku=sku, quantity=pieces) for sku, pieces in status.lines],
    )
    if status.reserved_until_ns is not None:
        message.reserved_until.FromNanoseconds(status.reserved_until_ns)
    return message


def order_status_of(message: life.OrderStatus) -> OrderStatus:
    """Where an order is, as a message says."""
    is_reserved = message.HasField("reserved_until")
    return OrderStatus(
        order_id=message.order_id,
        state=OrderState(message.state),
        store_id=message.store_id or None,
        distance_m=message.distance_m if message.store_id else None,
        reason=Reason(message.reason),
        attempts=message.attempts,
        reserved_until_ns=message.reserved_until.ToNanoseconds() if is_reserved else None,
        shipments=tuple(map(_shipment_status_of, message.shipments)),
    )


def _shipment_status_of(message: life.ShipmentStatus) -> ShipmentStatus:
    is_reserved = message.HasField("reserved_until")
    return ShipmentStatus(
        number=message.number,
        state=OrderState(message.state),
        store_id=message.store_id or None,
        distance_m=message.distance_m if message.store_id else None,
        reason=Reason(message.reason),
        attempts=message.attempts,
        reserved_until_ns=message.reserved_until.ToNanoseconds() if is_reserved else None,
        lines=tuple((line.sku, line.quantity) for line in message.lines),
    )


def reject_reason_message(reason: RejectReason) -> life.RejectReason:
    """The enum's number."""
    return cast(life.RejectReason, reason)


def reject_reason_of(number: int, field: str = "reason") -> RejectReason:
    """The reason of an enum's number. `field`: what an error calls it.

    Unspecified is OTHER. Raises InvalidInputError for the number of a later version.
    """
    if number not in life.RejectReason.values():
        refuse(Fault.OUT_OF_RANGE, field, number, hint="must be a fendan.v1.RejectReason")
    return RejectReason(number or RejectReason.OTHER)
