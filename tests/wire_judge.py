"""The protobuf runtime as the judge of the wire: what it reads of any bytes, and what we read."""

import struct
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError

from fendan.engine.wire import Kind, Request, StockKind, StockRequest, read_response
from fendan.errors import MalformedMessageError
from fendan.v1 import inventory_service_pb2 as inventory
from fendan.v1 import routing_service_pb2 as pb

REQUESTS: dict[Kind, Any] = {
    Kind.ROUTE: pb.RouteRequest,
    Kind.BATCH: pb.BatchRouteRequest,
    Kind.STREAM: pb.StreamRouteRequest,
}
RESPONSES: dict[Kind, Any] = {
    Kind.ROUTE: pb.RouteResponse,
    Kind.BATCH: pb.BatchRouteResponse,
    Kind.STREAM: pb.StreamRouteResponse,
}
UPDATES: dict[StockKind, Any] = {
    StockKind.SET: inventory.SetStockRequest,
    StockKind.ADJUST: inventory.AdjustStockRequest,
}
REFUSED = "refused"
SAID = (
    "order_type",
    "channel",
    "region",
    "pickup_store_id",
    "group_id",
    "buyer_id",
    "address_id",
    "priority",
)


def bits(value: float) -> bytes:
    """A float as its bits, so that NaN equals itself and -0.0 is not 0.0."""
    return struct.pack("<d", value)


# -- REQUESTS ------------------------------------------------------------------------------------


def judged_request(data: bytes, kind: Kind) -> object:
    """What the protobuf runtime reads of a request."""
    try:
        message = REQUESTS[kind].FromString(data)
    except DecodeError:
        return REFUSED
    if kind is Kind.ROUTE:
        orders = [message.order] if message.HasField("order") else []
    else:
        orders = message.orders
    policy = message.policy
    return (
        [
            (
                order.id,
                bits(order.lat),
                bits(order.lng),
                order.datum,
                {field: getattr(order, field) for field in SAID},
                [(line.sku, line.quantity, line.amount) for line in order.lines],
            )
            for order in orders
        ],
        message.HasField("policy"),
        bits(policy.radius_m) if policy.HasField("radius_m") else None,
        message.dry_run,
        message.correlation_id if kind is Kind.STREAM else 0,
    )


def our_request(data: bytes, kind: Kind) -> object:
    """What we read of a request."""
    try:
        request = Request.read(data, kind)
    except MalformedMessageError:
        return REFUSED
    orders = []
    for row in range(len(request)):
        lat, lng, datum = request.place(row)
        assert request.datums is None or request.datums[row] == datum
        order_id, lines, said = request.order_id(row), request.lines(row), vars(request.said(row))
        orders.append((order_id, bits(lat), bits(lng), datum, said, lines))
    return (
        orders,
        request.has_policy,
        None if request.radius_m is None else bits(request.radius_m),
        request.dry_run,
        request.correlation_id,
    )


# -- RESPONSES -----------------------------------------------------------------------------------


def judged_response(data: bytes, kind: Kind) -> object:
    """What the protobuf runtime reads of a response."""
    try:
        message = RESPONSES[kind].FromString(data)
    except DecodeError:
        return REFUSED
    if kind is Kind.ROUTE:
        decisions = [message.decision] if message.HasField("decision") else []
    else:
        decisions = message.decisions
    refusal = None
    if kind is Kind.STREAM and message.HasField("refusal"):
        said = message.refusal
        refusal = (said.status, said.message, said.code, said.field, said.retry_after_ms)
    return (
        [
            (
                decision.order_id,
                decision.status,
                decision.store_id or None,
                bits(decision.distance_m) if decision.store_id else None,
                decision.reason,
                decision.policy_version,
                decision.step,
                judged_ns(decision),
                decision.merge_group,
                [
                    (
                        shipment.number,
                        shipment.store_id,
                        bits(shipment.distance_m),
                        tuple((line.sku, line.quantity) for line in shipment.lines),
                        judged_ns(shipment),
                        shipment.supply_date,
                    )
                    for shipment in decision.shipments
                ],
            )
            for decision in decisions
        ],
        message.correlation_id if kind is Kind.STREAM else 0,
        refusal,
    )


def judged_ns(message: Any) -> int | None:
    """The `promised_at` of a message in nanoseconds since 1970."""
    if not message.HasField("promised_at"):
        return None
    return message.promised_at.seconds * 1_000_000_000 + message.promised_at.nanos


def our_response(data: bytes, kind: Kind) -> object:
    """What we read of a response."""
    try:
        response = read_response(data, kind)
    except MalformedMessageError:
        return REFUSED
    return (
        [
            (
                decision.order_id,
                int(decision.status),
                decision.store_id,
                None if decision.distance_m is None else bits(decision.distance_m),
                int(decision.reason),
                decision.policy_version,
                int(decision.step),
                decision.promised_ns,
                decision.merge_group,
                [
                    (
                        shipment.number,
                        shipment.store_id,
                        bits(shipment.distance_m),
                        shipment.lines,
                        shipment.promised_ns,
                        shipment.supply_date,
                    )
                    for shipment in decision.shipments
                ],
            )
            for decision in response.decisions
        ],
        response.correlation_id,
        response.refusal,
    )


# -- STOCK UPDATES -------------------------------------------------------------------------------


def judged_update(data: bytes, kind: StockKind) -> object:
    """What the protobuf runtime reads of a stock update."""
    try:
        message = UPDATES[kind].FromString(data)
    except DecodeError:
        return REFUSED
    return (
        [
            (
                part.store_id,
                part.version,
                [(row.sku, getattr(row, kind.number)) for row in getattr(part, kind.rows)],
            )
            for part in getattr(message, kind.parts)
        ],
        message.idempotency_key,
    )


def our_update(data: bytes, kind: StockKind) -> object:
    """What we read of a stock update."""
    try:
        update = StockRequest.read(data, kind)
    except MalformedMessageError:
        return REFUSED
    rows = iter([(update.sku(row), int(update.values[row])) for row in range(len(update))])
    parts = zip(update.store_ids, update.versions.tolist(), update.row_counts.tolist(), strict=True)
    return (
        [(store_id, version, list(islice(rows, count))) for store_id, version, count in parts],
        update.key,
    )


def agree_on(data: bytes) -> None:
    """Raise AssertionError where we and the protobuf runtime differ on these bytes."""
    for update in StockKind:
        assert our_update(data, update) == judged_update(data, update), (update, data)
    for kind in Kind:
        assert our_request(data, kind) == judged_request(data, kind), (kind, data)
        assert our_response(data, kind) == judged_response(data, kind), (kind, data)
