"""Messages that no client of good will sends: each gets a clear status and harms nobody."""

import math
import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from fendan.errors import Fault
from fendan.server.access import METHODS
from fendan.v1.exception_service_pb2 import (
    ApproveExceptionRequest,
    AssignExceptionRequest,
    CancelExceptionRequest,
    ExceptionFilter,
    ExportExceptionsRequest,
    GetExceptionFiguresRequest,
    GetExceptionRequest,
    GetExceptionStatsRequest,
    ListExceptionsRequest,
    RetryExceptionsRequest,
)
from fendan.v1.intake_service_pb2 import RawPayload, SubmitRequest
from fendan.v1.inventory_service_pb2 import (
    AdjustStockRequest,
    GetStockRequest,
    SetStockRequest,
    StockAdjustment,
    StockChange,
    StockCount,
    StockSnapshot,
    WatchAvailabilityRequest,
)
from fendan.v1.ledger_service_pb2 import EventFilter, EventKind, ReadEventsRequest, TailRequest
from fendan.v1.network_service_pb2 import (
    AddStoresRequest,
    ListStoresRequest,
    PauseStoresRequest,
    RemoveStoresRequest,
    ResumeStoresRequest,
    Store,
    UpdateStoresRequest,
)
from fendan.v1.order_pb2 import Order, OrderLine, RoutePolicy
from fendan.v1.order_service_pb2 import (
    AcceptOrderRequest,
    CancelOrderRequest,
    DeliverOrderRequest,
    GetDecisionRequest,
    GetOrderRequest,
    PickOrderRequest,
    RejectOrderRequest,
    RejectReason,
    ReleaseOrdersRequest,
    ReturnOrderRequest,
    ShipOrderRequest,
)
from fendan.v1.policy_service_pb2 import (
    ActivatePolicyRequest,
    CheckPolicyRequest,
    DraftPolicyRequest,
    GetPolicyRequest,
    ListPoliciesRequest,
)
from fendan.v1.routing_service_pb2 import (
    BatchRouteRequest,
    ExplainRequest,
    NearestRequest,
    RouteRequest,
    StreamRouteRequest,
    StreamRouteResponse,
)
from fendan.v1.setup_service_pb2 import (
    GetHeldRequest,
    GetShareRequest,
    GetSkuProfileRequest,
    GetStoreProfileRequest,
    ListAreasRequest,
    ListHiddenSkusRequest,
    ListLotsRequest,
    ListSupplyRequest,
    ReceiveSupplyRequest,
    SetAreasRequest,
    SetHeldRequest,
    SetHiddenSkusRequest,
    SetLotsRequest,
    SetSharesRequest,
    SetSkuProfilesRequest,
    SetStoreProfilesRequest,
    SetSupplyRequest,
)
from serving import is_by_native_door
from siege import MIB, Besieged, an_order, assert_refused, besieged, told, unharmed

ROUTE = "/fendan.v1.RoutingService/Route"
BATCH = "/fendan.v1.RoutingService/BatchRoute"
STREAM = "/fendan.v1.RoutingService/StreamRoute"

EXCEPTION_STATS = "/fendan.v1.ExceptionService/GetExceptionStats"
LIST_POLICIES = "/fendan.v1.PolicyService/ListPolicies"
LIST_AREAS = "/fendan.v1.SetupService/ListAreas"

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

STORE = Store(id="nowhere", lat=31.2, lng=121.4, region="puxi")
LINES = [OrderLine(sku="tea", quantity=1)]

FILTER = EventFilter(
    store_ids=["S1"],
    regions=["puxi"],
    order_ids=["nobody's"],
    kinds=[EventKind.EVENT_KIND_ASSIGNED],
)

# One request of every method, with all its fields, that changes nothing.
REQUESTS: dict[str, Message] = {
    ROUTE: RouteRequest(order=an_order("order"), policy=RoutePolicy(radius_m=1e7), dry_run=True),
    BATCH: BatchRouteRequest(
        orders=[an_order("first"), an_order("other")],
        policy=RoutePolicy(radius_m=1e7),
        dry_run=True,
    ),
    STREAM: StreamRouteRequest(
        orders=[an_order("first"), an_order("other")],
        policy=RoutePolicy(radius_m=1e7),
        dry_run=True,
        correlation_id=2**64 - 1,
    ),
    "/fendan.v1.RoutingService/Nearest": NearestRequest(
        lat=31.2, lng=121.4, lines=LINES, limit=2, policy=RoutePolicy(radius_m=1e7)
    ),
    "/fendan.v1.RoutingService/Explain": ExplainRequest(order=an_order("mine"), limit=3),
    "/fendan.v1.InventoryService/SetStock": SetStockRequest(
        snapshots=[
            StockSnapshot(store_id="nowhere", version=1, counts=[StockCount(sku="tea", on_hand=1)])
        ],
        idempotency_key="key",
    ),
    "/fendan.v1.InventoryService/AdjustStock": AdjustStockRequest(
        adjustments=[
            StockAdjustment(
                store_id="nowhere", version=1, changes=[StockChange(sku="tea", delta=1)]
            )
        ],
        idempotency_key="key",
    ),
    "/fendan.v1.InventoryService/GetStock": GetStockRequest(
        store_id="S1", skus=["tea"], page_size=1, page_token=""
    ),
    "/fendan.v1.InventoryService/WatchAvailability": WatchAvailabilityRequest(
        channel="shop", store_ids=["S1"], skus=["tea"]
    ),
    "/fendan.v1.NetworkService/AddStores": AddStoresRequest(
        stores=[Store(id="S1", lat=31.2, lng=121.4)]
    ),
    "/fendan.v1.NetworkService/UpdateStores": UpdateStoresRequest(stores=[STORE]),
    "/fendan.v1.NetworkService/PauseStores": PauseStoresRequest(store_ids=["nowhere"]),
    "/fendan.v1.NetworkService/ResumeStores": ResumeStoresRequest(store_ids=["nowhere"]),
    "/fendan.v1.NetworkService/RemoveStores": RemoveStoresRequest(store_ids=["nowhere"]),
    "/fendan.v1.NetworkService/ListStores": ListStoresRequest(region="puxi", page_size=1),
    "/fendan.v1.OrderService/GetOrder": GetOrderRequest(order_id="nobody's"),
    "/fendan.v1.OrderService/GetDecision": GetDecisionRequest(order_id="nobody's"),
    "/fendan.v1.OrderService/AcceptOrder": AcceptOrderRequest(order_id="nobody's", store_id="S1"),
    "/fendan.v1.OrderService/PickOrder": PickOrderRequest(order_id="nobody's", store_id="S1"),
    "/fendan.v1.OrderService/ShipOrder": ShipOrderRequest(order_id="nobody's", store_id="S1"),
    "/fendan.v1.OrderService/DeliverOrder": DeliverOrderRequest(order_id="nobody's", store_id="S1"),
    "/fendan.v1.OrderService/ReturnOrder": ReturnOrderRequest(
        order_id="nobody's", store_id="S1", to_stock=True
    ),
    "/fendan.v1.OrderService/RejectOrder": RejectOrderRequest(
        order_id="nobody's",
        store_id="S1",
        reason=RejectReason.REJECT_REASON_DAMAGED,
        missing_skus=["tea"],
    ),
    "/fendan.v1.OrderService/CancelOrder": CancelOrderRequest(order_id="nobody's", shipment=1),
    "/fendan.v1.OrderService/ReleaseOrders": ReleaseOrdersRequest(order_ids=["nobody's"]),
    "/fendan.v1.LedgerService/ReadEvents": ReadEventsRequest(
        from_sequence=1, filter=FILTER, limit=1
    ),
    # There are such events: it need not wait for one.
    "/fendan.v1.LedgerService/Tail": TailRequest(
        from_sequence=1, filter=EventFilter(kinds=[EventKind.EVENT_KIND_STORE_ADDED])
    ),
    "/fendan.v1.ExceptionService/ListExceptions": ListExceptionsRequest(
        filter=ExceptionFilter(reasons=["NO_STOCK"], channels=["eleme"]), page_size=1
    ),
    "/fendan.v1.ExceptionService/ExportExceptions": ExportExceptionsRequest(
        filter=ExceptionFilter(reasons=["NO_STOCK"])
    ),
    "/fendan.v1.ExceptionService/GetException": GetExceptionRequest(order_id="nobody's"),
    "/fendan.v1.ExceptionService/RetryExceptions": RetryExceptionsRequest(order_ids=["nobody's"]),
    "/fendan.v1.ExceptionService/AssignException": AssignExceptionRequest(
        order_id="nobody's", store_id="S1"
    ),
    "/fendan.v1.ExceptionService/ApproveException": ApproveExceptionRequest(order_id="nobody's"),
    "/fendan.v1.ExceptionService/CancelException": CancelExceptionRequest(order_id="nobody's"),
    EXCEPTION_STATS: GetExceptionStatsRequest(),
    "/fendan.v1.ExceptionService/GetExceptionFigures": GetExceptionFiguresRequest(
        day="2026-12-01", utc_offset_h=8
    ),
    "/fendan.v1.IntakeService/Submit": SubmitRequest(
        payloads=[
            RawPayload(platform="OWN_SHOP", data=b"{", receive_time=Timestamp(seconds=7, nanos=7))
        ]
    ),
    "/fendan.v1.PolicyService/CheckPolicy": CheckPolicyRequest(text="default_type = 'GROUP'"),
    "/fendan.v1.PolicyService/DraftPolicy": DraftPolicyRequest(text="default_type = 'NONE'"),
    "/fendan.v1.PolicyService/ActivatePolicy": ActivatePolicyRequest(version=1_000),
    "/fendan.v1.PolicyService/GetPolicy": GetPolicyRequest(version=1_000),
    LIST_POLICIES: ListPoliciesRequest(),
    "/fendan.v1.SetupService/SetStoreProfiles": SetStoreProfilesRequest(profiles={"nowhere": "{}"}),
    "/fendan.v1.SetupService/GetStoreProfile": GetStoreProfileRequest(store_id="S1"),
    "/fendan.v1.SetupService/SetSkuProfiles": SetSkuProfilesRequest(profiles={"tea": "[]"}),
    "/fendan.v1.SetupService/GetSkuProfile": GetSkuProfileRequest(sku="tea"),
    "/fendan.v1.SetupService/SetAreas": SetAreasRequest(areas={"area": "{}"}),
    LIST_AREAS: ListAreasRequest(),
    "/fendan.v1.SetupService/SetShares": SetSharesRequest(channel="jd", shares={"nowhere": 0.5}),
    "/fendan.v1.SetupService/GetShare": GetShareRequest(store_id="S1", channel="jd"),
    "/fendan.v1.SetupService/SetHiddenSkus": SetHiddenSkusRequest(channel="jd", skus=["sand"]),
    "/fendan.v1.SetupService/ListHiddenSkus": ListHiddenSkusRequest(channel="jd"),
    "/fendan.v1.SetupService/SetHeld": SetHeldRequest(
        stores=["nowhere"], skus=["tea"], safety=[1], locked=[1], display=[1]
    ),
    "/fendan.v1.SetupService/GetHeld": GetHeldRequest(store_id="S1", sku="tea"),
    "/fendan.v1.SetupService/SetLots": SetLotsRequest(
        store_id="nowhere", sku="tea", lots={"2030-12-01": 1}
    ),
    "/fendan.v1.SetupService/ListLots": ListLotsRequest(store_id="S1", sku="tea"),
    "/fendan.v1.SetupService/SetSupply": SetSupplyRequest(
        store_id="nowhere", sku="tea", date="2030-12-01", quantity=1
    ),
    "/fendan.v1.SetupService/ReceiveSupply": ReceiveSupplyRequest(
        store_id="nowhere", sku="tea", date="2030-12-01"
    ),
    "/fendan.v1.SetupService/ListSupply": ListSupplyRequest(sku="tea", store_id="S1"),
}

# Those of other people's services, which we serve too.
OTHERS: dict[str, Message] = {
    HEALTH: health_pb2.HealthCheckRequest(service="fendan.v1.OrderService"),
    REFLECTION: reflection_pb2.ServerReflectionRequest(host="h", list_services="*"),
}

# Where there is nothing to tell, and zeros are left out.
EMPTY_ANSWERS = {
    "/fendan.v1.ExceptionService/ListExceptions",
    "/fendan.v1.ExceptionService/ExportExceptions",
    EXCEPTION_STATS,
    LIST_POLICIES,
    LIST_AREAS,
    "/fendan.v1.SetupService/ListHiddenSkus",
    "/fendan.v1.SetupService/GetHeld",
    "/fendan.v1.SetupService/ListLots",
    "/fendan.v1.SetupService/ListSupply",
}

EVERY_METHOD = sorted([*REQUESTS, *OTHERS])


@pytest.fixture(scope="module")
def server(each_door: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with besieged(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def channel(server: Besieged) -> Iterator[grpc.Channel]:
    """What the attacker connects with, to a server that must not be harmed by it."""
    with unharmed(server), server.channel() as channel:
        yield channel


def assert_malformed(answer: bytes | grpc.RpcError) -> None:
    assert isinstance(answer, grpc.RpcError)
    assert_refused(answer, "INVALID_ARGUMENT", Fault.BAD_MESSAGE)


def refusal_in(answer: bytes | grpc.RpcError) -> tuple[str, str, str]:
    """Status, code and field, be it the end of a call or one message of a stream."""
    if isinstance(answer, bytes):
        refusal = StreamRouteResponse.FromString(answer).refusal
        (status,) = [code.name for code in grpc.StatusCode if code.value[0] == refusal.status]
        return status, refusal.code, refusal.field
    status = answer.code().name  # type: ignore[attr-defined]
    found = rpc_status.from_call(answer)
    assert found is not None
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert any(detail.Unpack(info) for detail in found.details)
    any(detail.Unpack(bad_request) for detail in found.details)
    fields = [violation.field for violation in bad_request.field_violations]
    return status, info.reason, fields[0] if fields else ""


def test_every_method_has_a_request_here() -> None:
    assert REQUESTS.keys() == METHODS.keys()


# -- BYTES -------------------------------------------------------------------------------------


# This server keeps everything in memory: it has no ledger.
HARMLESS = ("INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION")


def can_be_read(request: Message, data: bytes) -> bool:
    try:
        type(request).FromString(data)
    except DecodeError:
        return False
    return True


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_a_message_that_was_cut_off_anywhere_is_refused(method: str, channel: grpc.Channel) -> None:
    """Cut between two fields it is another message, which may be good; that, too, is only read."""
    request = (REQUESTS | OTHERS)[method]
    # What makes it harmless comes first, so that it is not what is cut off.
    dry_run = b"\x18\x01" if method in (ROUTE, BATCH, STREAM) else b""
    data = dry_run + request.SerializeToString()
    assert len(data) > 2 or method in (
        LIST_POLICIES,
        LIST_AREAS,
        EXCEPTION_STATS,
    )  # which say nothing
    for size in range(len(dry_run), len(data)):
        answer = told(channel, method, data[:size])
        if not can_be_read(request, data[:size]):
            assert_malformed(answer)
        elif isinstance(answer, grpc.RpcError):
            assert answer.code().name in HARMLESS  # type: ignore[attr-defined]


def test_random_bytes_are_refused_and_nothing_fails_inside(channel: grpc.Channel) -> None:
    for method, request in (REQUESTS | OTHERS).items():
        dice = random.Random(method)
        for _ in range(40):
            data = dice.randbytes(dice.randrange(2, 200))
            answer = told(channel, method, data)
            if not can_be_read(request, data):
                assert_malformed(answer)


@pytest.mark.parametrize("depth", [101, 10_000])
def test_what_is_nested_too_deeply_is_refused(depth: int, channel: grpc.Channel) -> None:
    begin, end = b"\xfb\x01", b"\xfc\x01"  # a group of field 31, which nobody knows
    for method in EVERY_METHOD:
        assert_malformed(told(channel, method, begin * depth + end * depth))
        assert_malformed(told(channel, method, begin * depth))


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_fields_that_nobody_knows_are_left_unread(method: str, channel: grpc.Channel) -> None:
    unknown = b"".join(
        (
            b"\xf8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a number
            b"\xf9\x01" + bytes(8),
            b"\xfa\x01\x03\xff\xfe\xfd",  # bytes that are no text
            b"\xfb\x01\xf8\x01\x07\xfc\x01",  # a group
            b"\xfd\x01" + bytes(4),
        )
    )
    data = (REQUESTS | OTHERS)[method].SerializeToString()
    known = told(channel, method, data)
    answer = told(channel, method, unknown + data + unknown)
    if isinstance(known, grpc.RpcError):
        assert isinstance(answer, grpc.RpcError)
        assert refusal_in(answer) == refusal_in(known)
    elif method.endswith("WatchAvailability"):
        assert isinstance(answer, bytes)  # its cursor tells the time
    elif method == REFLECTION:
        assert isinstance(answer, bytes)  # it repeats the request
    else:
        assert answer == known
        assert known != b"" or method in EMPTY_ANSWERS


# -- SIZE --------------------------------------------------------------------------------------


# How long a message may be is a door's rule, and no method's: all that may be hot, and one of each
# other service.
HOT = ("/fendan.v1.RoutingService/", "/fendan.v1.InventoryService/")
OF_EVERY_SERVICE = {name.rpartition("/")[0]: name for name in EVERY_METHOD}.values()
LIMITED = sorted({*OF_EVERY_SERVICE, *(name for name in EVERY_METHOD if name.startswith(HOT))})


def test_a_message_beyond_the_limit_is_refused_and_the_connection_lives_on(
    server: Besieged, channel: grpc.Channel
) -> None:
    for method in LIMITED:
        answer = told(channel, method, bytes(16 * MIB + 1))
        assert isinstance(answer, grpc.RpcError), method
        assert answer.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert "larger than max" in answer.details()  # type: ignore[attr-defined]
        assert server.nearest(channel) == "S1"


def test_a_message_that_is_small_only_while_compressed_is_refused(server: Besieged) -> None:
    """200 MiB of nothing, in 200 KiB."""
    with unharmed(server), server.channel() as channel:
        call = channel.unary_unary(BATCH)
        with pytest.raises(grpc.RpcError) as refused:
            call(bytes(200 * MIB), compression=grpc.Compression.Gzip)
        # The native door reads nothing that is compressed.
        code = "UNIMPLEMENTED" if is_by_native_door() else "RESOURCE_EXHAUSTED"
        assert refused.value.code().name == code  # type: ignore[attr-defined]


# One of what each method takes many of, as short as can be.
NOTHING = dict.fromkeys(REQUESTS, b"\x0a\x00") | {
    "/fendan.v1.RoutingService/Nearest": b"\x22\x00",
    "/fendan.v1.InventoryService/GetStock": b"\x12\x00",
    "/fendan.v1.InventoryService/WatchAvailability": b"\x12\x00",
    "/fendan.v1.OrderService/RejectOrder": b"\x22\x00",
    "/fendan.v1.LedgerService/ReadEvents": b"\x12\x02\x0a\x00",
    "/fendan.v1.LedgerService/Tail": b"\x12\x02\x0a\x00",
    "/fendan.v1.SetupService/SetHiddenSkus": b"\x12\x00",
}
TAKE_ONE = (
    ROUTE,
    "/fendan.v1.RoutingService/Explain",
    "/fendan.v1.NetworkService/ListStores",
    "/fendan.v1.OrderService/GetOrder",
    "/fendan.v1.OrderService/GetDecision",
    "/fendan.v1.OrderService/AcceptOrder",
    "/fendan.v1.OrderService/PickOrder",
    "/fendan.v1.OrderService/ShipOrder",
    "/fendan.v1.OrderService/DeliverOrder",
    "/fendan.v1.OrderService/ReturnOrder",
    "/fendan.v1.OrderService/CancelOrder",
    "/fendan.v1.ExceptionService/ListExceptions",
    "/fendan.v1.ExceptionService/ExportExceptions",
    "/fendan.v1.ExceptionService/GetException",
    "/fendan.v1.ExceptionService/AssignException",
    "/fendan.v1.ExceptionService/ApproveException",
    "/fendan.v1.ExceptionService/CancelException",
    EXCEPTION_STATS,
    "/fendan.v1.ExceptionService/GetExceptionFigures",
    "/fendan.v1.PolicyService/CheckPolicy",
    "/fendan.v1.PolicyService/DraftPolicy",
    "/fendan.v1.PolicyService/ActivatePolicy",
    "/fendan.v1.PolicyService/GetPolicy",
    LIST_POLICIES,
    # Entries of a map without a key are one entry.
    "/fendan.v1.SetupService/SetStoreProfiles",
    "/fendan.v1.SetupService/SetSkuProfiles",
    "/fendan.v1.SetupService/SetAreas",
    "/fendan.v1.SetupService/SetShares",
    "/fendan.v1.SetupService/GetStoreProfile",
    "/fendan.v1.SetupService/GetSkuProfile",
    LIST_AREAS,
    "/fendan.v1.SetupService/GetShare",
    "/fendan.v1.SetupService/ListHiddenSkus",
    "/fendan.v1.SetupService/GetHeld",
    "/fendan.v1.SetupService/SetLots",
    "/fendan.v1.SetupService/ListLots",
    "/fendan.v1.SetupService/SetSupply",
    "/fendan.v1.SetupService/ReceiveSupply",
    "/fendan.v1.SetupService/ListSupply",
)
MILLION = 1_000_000


@pytest.mark.parametrize("method", [method for method in NOTHING if method not in TAKE_ONE])
def test_two_million_of_nothing_are_too_many_and_again_and_again_costs_no_memory(
    method: str, server: Besieged
) -> None:
    """Each such message is large once it is read: one must be gone when the next is read."""
    with unharmed(server), server.channel() as channel:
        for _ in range(4):
            status, code, _field = refusal_in(told(channel, method, NOTHING[method] * 2 * MILLION))
            assert (status, code) == ("INVALID_ARGUMENT", "TOO_MANY")


def test_a_million_of_lines_in_one_order_are_too_many(server: Besieged) -> None:
    order = b"\x22\x00\x22\x00" * (MILLION // 2)
    size = len(order)
    data = b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + order
    with unharmed(server), server.channel() as channel:
        for _ in range(6):
            answer = told(channel, ROUTE, data)
            assert isinstance(answer, grpc.RpcError)
            assert_refused(answer, "INVALID_ARGUMENT")


# -- NUMBERS -----------------------------------------------------------------------------------

NO_NUMBERS = [math.nan, math.inf, -math.inf]
NO_PLACES = [*NO_NUMBERS, 180.1, -180.1, 1e308]
NO_QUANTITIES = [0, -1, -(2**31)]
NO_AMOUNTS = [-1, 10**12 + 1, 2**63 - 1, -(2**63)]
NO_DATUMS = [4, -1, 2**31 - 1]


def orders_with(field: str, order: Order) -> Iterator[tuple[str, Message, str]]:
    yield ROUTE, RouteRequest(order=order), f"order.{field}"
    yield BATCH, BatchRouteRequest(orders=[an_order("fine"), order]), f"orders[1].{field}"
    yield STREAM, StreamRouteRequest(orders=[an_order("fine"), order]), f"orders[1].{field}"


def changed(message: Any, **fields: Any) -> Any:
    """A copy with other values."""
    copy = type(message)()
    copy.CopyFrom(message)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy


def bad_numbers() -> Iterator[tuple[str, Message, str]]:
    """A method, a request with one number that cannot be, and its field."""
    order = an_order("order")
    nearest = NearestRequest(lat=31.2, lng=121.4)
    store = Store(id="new", lat=31.2, lng=121.4)
    service = "/fendan.v1.RoutingService/Nearest"
    places = [(name, value) for name in ("lat", "lng") for value in NO_PLACES]
    for name, value in [*places, *[("datum", value) for value in NO_DATUMS]]:
        yield from orders_with(name, changed(order, **{name: value}))
        yield service, changed(nearest, **{name: value}), name
        stores = [changed(store, **{name: value})]
        yield (
            "/fendan.v1.NetworkService/AddStores",
            AddStoresRequest(stores=stores),
            f"stores[0].{name}",
        )
        stores[0].id = "S1"
        request = UpdateStoresRequest(stores=stores)
        yield "/fendan.v1.NetworkService/UpdateStores", request, f"stores[0].{name}"
    for quantity in NO_QUANTITIES:
        lines = [OrderLine(sku="tea", quantity=1), OrderLine(sku="milk", quantity=quantity)]
        bad = Order(id="order", lat=31.2, lng=121.4, lines=lines)
        yield from orders_with("lines[1].quantity", bad)
        yield service, NearestRequest(lat=31, lng=121, lines=lines), "lines[1].quantity"
    for amount in NO_AMOUNTS:
        lines = [OrderLine(sku="tea", quantity=1), OrderLine(sku="milk", quantity=1, amount=amount)]
        bad = Order(id="order", lat=31.2, lng=121.4, lines=lines)
        yield from orders_with("lines[1].amount", bad)
        yield service, NearestRequest(lat=31, lng=121, lines=lines), "lines[1].amount"
    for radius_m in (math.nan, -math.inf, -1.0):  # no radius and an endless one are the same
        policy = RoutePolicy(radius_m=radius_m)
        yield ROUTE, RouteRequest(order=order, policy=policy), "policy.radius_m"
        yield BATCH, BatchRouteRequest(orders=[order], policy=policy), "policy.radius_m"
        yield STREAM, StreamRouteRequest(orders=[order], policy=policy), "policy.radius_m"
        yield service, NearestRequest(lat=31, lng=121, policy=policy), "policy.radius_m"
    for reason in (-1, 6, 2**31 - 1):
        reject = RejectOrderRequest(order_id="nobody's", store_id="S1")
        yield "/fendan.v1.OrderService/RejectOrder", changed(reject, reason=reason), "reason"
    for limit in (-1, 1_001, 2**31 - 1, -(2**31)):
        yield service, NearestRequest(lat=31, lng=121, limit=limit), "limit"
        explain = ExplainRequest(order=order, limit=limit)
        yield "/fendan.v1.RoutingService/Explain", explain, "limit"
    for size in (-1, 10_001, 2**31 - 1, -(2**31)):
        get = GetStockRequest(store_id="S1", page_size=size)
        yield "/fendan.v1.InventoryService/GetStock", get, "page_size"
        yield "/fendan.v1.NetworkService/ListStores", ListStoresRequest(page_size=size), "page_size"
    yield from bad_counts()


def bad_counts() -> Iterator[tuple[str, Message, str]]:
    """The same for stock."""
    for on_hand, version, name in (
        (-1, 1, "counts[0].on_hand"),
        (-(2**31), 1, "counts[0].on_hand"),
        (1, -1, "version"),
        (1, -(2**63), "version"),
    ):
        counts = [StockCount(sku="tea", on_hand=on_hand)]
        snapshot = StockSnapshot(store_id="S1", version=version, counts=counts)
        request = SetStockRequest(snapshots=[snapshot])
        yield "/fendan.v1.InventoryService/SetStock", request, f"snapshots[0].{name}"
    for delta, version, name in (
        (2**31 - 1, 0, "changes[0].delta"),
        (-(2**31), 0, "changes[0].delta"),
        (-1_000_001, 0, "changes[0].delta"),
        (1, -1, "version"),
    ):
        changes = [StockChange(sku="tea", delta=delta)]
        adjustment = StockAdjustment(store_id="S1", version=version, changes=changes)
        adjust = AdjustStockRequest(adjustments=[adjustment])
        yield "/fendan.v1.InventoryService/AdjustStock", adjust, f"adjustments[0].{name}"


def test_numbers_that_cannot_be_are_refused_with_their_field(channel: grpc.Channel) -> None:
    cases = list(bad_numbers())
    assert len(cases) > 120
    for method, request, field in cases:
        answer = told(channel, method, request.SerializeToString())
        status, code, named = refusal_in(answer)
        assert (status, named) == ("INVALID_ARGUMENT", field), (method, request, code)


# -- NAMES -------------------------------------------------------------------------------------

MARK = "QQQQ"
NO_NAMES = ["", "a\0b", "\0", "x" * 256, "店" * 86]
NO_TEXTS = [
    b"\xff\xfe\xfd\xfc",
    b"\xed\xa0\x80a",
    b"\xc0\x80\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"abc\xe5",
]


def named(name: str) -> Iterator[tuple[str, Message]]:
    """A request of every method that takes names, with this one wherever one can stand."""
    lines = [OrderLine(sku=name, quantity=1)]
    for order in (an_order(name), Order(id="order", lat=31.2, lng=121.4, lines=lines)):
        yield ROUTE, RouteRequest(order=order)
        yield BATCH, BatchRouteRequest(orders=[an_order("fine"), order])
        yield STREAM, StreamRouteRequest(orders=[an_order("fine"), order])
    yield "/fendan.v1.RoutingService/Nearest", NearestRequest(lat=31, lng=121, lines=lines)
    for store_id, sku in ((name, "tea"), ("S1", name)):
        counts = [StockCount(sku="milk", on_hand=5), StockCount(sku=sku, on_hand=5)]
        snapshot = StockSnapshot(store_id=store_id, counts=counts)
        yield "/fendan.v1.InventoryService/SetStock", SetStockRequest(snapshots=[snapshot])
        changes = [StockChange(sku="milk", delta=5), StockChange(sku=sku, delta=5)]
        adjustment = StockAdjustment(store_id=store_id, changes=changes)
        yield (
            "/fendan.v1.InventoryService/AdjustStock",
            AdjustStockRequest(adjustments=[adjustment]),
        )
        get = GetStockRequest(store_id=store_id, skus=["tea", sku])
        yield "/fendan.v1.InventoryService/GetStock", get
        watch = WatchAvailabilityRequest(store_ids=["S1", store_id], skus=["tea", sku])
        yield "/fendan.v1.InventoryService/WatchAvailability", watch
    stores = [Store(id="new", lat=31, lng=121), Store(id=name, lat=31, lng=121)]
    yield "/fendan.v1.NetworkService/AddStores", AddStoresRequest(stores=stores)
    stores[0].id = "S1"
    yield "/fendan.v1.NetworkService/UpdateStores", UpdateStoresRequest(stores=stores)
    ids = ["S1", name]
    yield "/fendan.v1.NetworkService/PauseStores", PauseStoresRequest(store_ids=ids)
    yield "/fendan.v1.NetworkService/ResumeStores", ResumeStoresRequest(store_ids=ids)
    yield "/fendan.v1.NetworkService/RemoveStores", RemoveStoresRequest(store_ids=ids)
    yield "/fendan.v1.OrderService/GetOrder", GetOrderRequest(order_id=name)
    yield "/fendan.v1.OrderService/GetDecision", GetDecisionRequest(order_id=name)
    yield "/fendan.v1.OrderService/AcceptOrder", AcceptOrderRequest(order_id=name, store_id=name)
    yield "/fendan.v1.OrderService/PickOrder", PickOrderRequest(order_id=name, store_id=name)
    yield "/fendan.v1.OrderService/ShipOrder", ShipOrderRequest(order_id=name, store_id=name)
    yield "/fendan.v1.OrderService/DeliverOrder", DeliverOrderRequest(order_id=name, store_id=name)
    yield "/fendan.v1.OrderService/ReturnOrder", ReturnOrderRequest(order_id=name, store_id=name)
    reject = RejectOrderRequest(order_id=name, store_id=name, missing_skus=[name])
    yield "/fendan.v1.OrderService/RejectOrder", reject
    yield "/fendan.v1.OrderService/CancelOrder", CancelOrderRequest(order_id=name)
    yield "/fendan.v1.OrderService/ReleaseOrders", ReleaseOrdersRequest(order_ids=[name])


@pytest.mark.parametrize("name", NO_NAMES, ids=["empty", "NUL within", "NUL", "long", "wide"])
def test_names_that_cannot_be_are_refused(name: str, channel: grpc.Channel) -> None:
    """Where a name is looked up it is one that nobody knows; nowhere is it taken."""
    for method, request in named(name):
        status, code, field = refusal_in(told(channel, method, request.SerializeToString()))
        assert (status, code) in (
            ("INVALID_ARGUMENT", "BAD_ID"),
            ("NOT_FOUND", "UNKNOWN_STORE"),
            ("NOT_FOUND", "UNKNOWN_SKU"),
            ("NOT_FOUND", "UNKNOWN_ORDER"),
        ), (method, request)
        assert field, (method, request)


@pytest.mark.parametrize("text", NO_TEXTS, ids=bytes.hex)
def test_names_that_are_no_text_are_refused(text: bytes, channel: grpc.Channel) -> None:
    for method, request in named(MARK):
        assert_malformed(told(channel, method, request.SerializeToString().replace(b"QQQQ", text)))
