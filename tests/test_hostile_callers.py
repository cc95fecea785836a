"""Those who may not: strangers, wrong papers, and a store that asks for another."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from fendan.errors import Fault
from fendan.server.access import METHODS, Scope
from fendan.server.tokens import new_token
from fendan.v1.exception_service_pb2 import (
    ApproveExceptionRequest,
    AssignExceptionRequest,
    CancelExceptionRequest,
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
from fendan.v1.ledger_service_pb2 import EventFilter, ReadEventsRequest, TailRequest
from fendan.v1.network_service_pb2 import (
    AddStoresRequest,
    ListStoresRequest,
    ListStoresResponse,
    PauseStoresRequest,
    RemoveStoresRequest,
    ResumeStoresRequest,
    Store,
    StoreState,
    UpdateStoresRequest,
)
from fendan.v1.order_pb2 import Order, OrderLine
from fendan.v1.order_service_pb2 import (
    AcceptOrderRequest,
    CancelOrderRequest,
    DeliverOrderRequest,
    GetDecisionRequest,
    GetOrderRequest,
    PickOrderRequest,
    RejectOrderRequest,
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
)
from fendan.v1.setup_service_pb2 import (
    GetHeldRequest,
    GetShareRequest,
    GetStoreProfileRequest,
    ListAreasRequest,
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
from papers import Papers
from serving import is_by_native_door
from siege import (
    Besieged,
    Metadata,
    an_order,
    assert_refused,
    besieged,
    in_papers,
    told,
    unharmed,
)

ROUTING = "/fendan.v1.RoutingService"
INVENTORY = "/fendan.v1.InventoryService"
NETWORK = "/fendan.v1.NetworkService"
ORDERS = "/fendan.v1.OrderService"
LEDGER = "/fendan.v1.LedgerService"
POLICIES = "/fendan.v1.PolicyService"
SETUP = "/fendan.v1.SetupService"
INTAKE = "/fendan.v1.IntakeService"
EXCEPTIONS = "/fendan.v1.ExceptionService"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def credentials(papers: Papers, name: str | None = None) -> grpc.ChannelCredentials:
    if name is None:
        return grpc.ssl_channel_credentials(papers.data("ca.pem"))
    key, certificate = papers.data(f"{name}.key"), papers.data(f"{name}.pem")
    return grpc.ssl_channel_credentials(papers.data("ca.pem"), key, certificate)


class House:
    """A server with TLS and tokens, as a chain runs it, and what its callers know."""

    def __init__(self, server: Besieged, headquarters: Metadata, store: Metadata) -> None:
        self.server = server
        self.headquarters = headquarters
        self.store = store


@pytest.fixture(scope="module")
def house(
    each_door: None, papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    tokens = folder / "tokens.toml"
    headquarters = bearer(new_token(tokens, name="head", scope=Scope.HEADQUARTERS))
    store = bearer(new_token(tokens, name="till", scope=Scope.STORE, of="S1"))
    with besieged(
        folder,
        credentials=credentials(papers),
        metadata=headquarters,
        tokens="tokens.toml",
        tls__certificate=str(papers.folder / "server.pem"),
        tls__key=str(papers.folder / "server.key"),
    ) as server:
        yield House(server, headquarters, store)


# -- STRANGERS ---------------------------------------------------------------------------------

STRANGERS: dict[str, Metadata] = {
    "no token": (),
    "wrong token": bearer("fendan_" + "x" * 43),
    "no scheme": (("authorization", "fendan_token"),),
    "another scheme": (("authorization", "Basic YTpi"),),
    "empty": (("authorization", ""),),
    "long": bearer("x" * 6_000),
}


@pytest.mark.parametrize("metadata", STRANGERS.values(), ids=STRANGERS.keys())
def test_strangers_are_told_nothing_by_any_method(house: House, metadata: Metadata) -> None:
    with unharmed(house.server), house.server.channel() as channel:
        for method in (*METHODS, REFLECTION):
            for data in (b"", b"\xff", bytes(1_000_000)):
                answer = told(channel, method, data, metadata=metadata)
                assert isinstance(answer, grpc.RpcError)
                assert_refused(answer, "UNAUTHENTICATED", Fault.UNAUTHENTICATED, "authorization")


def test_two_tokens_are_none(house: House) -> None:
    with unharmed(house.server), house.server.channel() as channel:
        for method in METHODS:
            answer = told(channel, method, b"", metadata=house.headquarters + house.store)
            assert isinstance(answer, grpc.RpcError)
            assert_refused(answer, "UNAUTHENTICATED", Fault.UNAUTHENTICATED, "authorization")


@pytest.mark.parametrize("size", [30_000, 100_000])
@pytest.mark.parametrize("header", ["authorization", "x-anything"])
def test_an_enormous_header_is_refused_before_anyone_reads_it(
    house: House, header: str, size: int
) -> None:
    metadata = (*house.headquarters, (header, "x" * size))
    codes = {"RESOURCE_EXHAUSTED"}
    if is_by_native_door() and size > 64 * 1024:
        codes = {"UNAVAILABLE"}  # libnghttp2 reads no such header, and closes the connection
    with unharmed(house.server), house.server.channel() as channel:
        for method in (f"{ROUTING}/Route", f"{ROUTING}/StreamRoute"):
            answer = told(channel, method, b"", metadata=metadata)
            assert isinstance(answer, grpc.RpcError)
            assert answer.code().name in codes  # type: ignore[attr-defined]


# -- A STORE AND ITS NEIGHBOUR -----------------------------------------------------------------

SNAPSHOT = StockSnapshot(store_id="S1", counts=[StockCount(sku="tea", on_hand=1)])
OTHER_SNAPSHOT = StockSnapshot(store_id="S2", counts=[StockCount(sku="tea", on_hand=1)])
CHANGE = StockAdjustment(store_id="S1", changes=[StockChange(sku="tea", delta=1)])
OTHER_CHANGE = StockAdjustment(store_id="S2", changes=[StockChange(sku="tea", delta=1)])
STORE = Store(id="S2", lat=31.2, lng=121.4)

# What is no store's own, and that every store may know.
NOBODYS = {f"{SETUP}/GetSkuProfile", f"{SETUP}/ListHiddenSkus"}

# What S1 asks for, and the field it is refused for: each names its own store or order first.
NOT_ITS_OWN: list[tuple[str, Message, str]] = [
    (f"{EXCEPTIONS}/ListExceptions", ListExceptionsRequest(), "method"),
    (f"{EXCEPTIONS}/ExportExceptions", ExportExceptionsRequest(), "method"),
    (f"{EXCEPTIONS}/GetException", GetExceptionRequest(order_id="at S1"), "method"),
    (f"{EXCEPTIONS}/RetryExceptions", RetryExceptionsRequest(order_ids=["at S1"]), "method"),
    (
        f"{EXCEPTIONS}/AssignException",
        AssignExceptionRequest(order_id="at S1", store_id="S1"),
        "method",
    ),
    (f"{EXCEPTIONS}/ApproveException", ApproveExceptionRequest(order_id="at S1"), "method"),
    (f"{EXCEPTIONS}/CancelException", CancelExceptionRequest(order_id="at S1"), "method"),
    (f"{EXCEPTIONS}/GetExceptionStats", GetExceptionStatsRequest(), "method"),
    (f"{EXCEPTIONS}/GetExceptionFigures", GetExceptionFiguresRequest(), "method"),
    (f"{INTAKE}/Submit", SubmitRequest(payloads=[RawPayload(platform="POS")]), "method"),
    (f"{ROUTING}/Route", RouteRequest(order=an_order("mine")), "method"),
    (f"{ROUTING}/BatchRoute", BatchRouteRequest(orders=[an_order("mine")]), "method"),
    (f"{ROUTING}/StreamRoute", StreamRouteRequest(orders=[an_order("mine")]), "method"),
    (f"{ROUTING}/Nearest", NearestRequest(lat=31.2, lng=121.4), "method"),
    (f"{ROUTING}/Explain", ExplainRequest(order=an_order("mine")), "order"),
    (f"{ROUTING}/Explain", ExplainRequest(order_id="at S2"), "order_id"),
    (
        f"{INVENTORY}/SetStock",
        SetStockRequest(snapshots=[SNAPSHOT, OTHER_SNAPSHOT]),
        "snapshots[1].store_id",
    ),
    (
        f"{INVENTORY}/AdjustStock",
        AdjustStockRequest(adjustments=[CHANGE, OTHER_CHANGE]),
        "adjustments[1].store_id",
    ),
    (f"{INVENTORY}/GetStock", GetStockRequest(store_id="S2"), "store_id"),
    (f"{INVENTORY}/GetStock", GetStockRequest(store_id="s1"), "store_id"),
    (
        f"{INVENTORY}/WatchAvailability",
        WatchAvailabilityRequest(store_ids=["S1", "S2"]),
        "store_ids[1]",
    ),
    (f"{NETWORK}/AddStores", AddStoresRequest(stores=[Store(id="S9")]), "method"),
    (f"{NETWORK}/UpdateStores", UpdateStoresRequest(stores=[STORE]), "method"),
    (f"{NETWORK}/PauseStores", PauseStoresRequest(store_ids=["S1", "S2"]), "store_ids[1]"),
    (f"{NETWORK}/ResumeStores", ResumeStoresRequest(store_ids=["S1", "S3"]), "store_ids[1]"),
    (f"{NETWORK}/RemoveStores", RemoveStoresRequest(store_ids=["S1"]), "method"),
    (f"{NETWORK}/ListStores", ListStoresRequest(region="puxi"), "method"),
    (f"{ORDERS}/GetOrder", GetOrderRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/GetDecision", GetDecisionRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/AcceptOrder", AcceptOrderRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/AcceptOrder", AcceptOrderRequest(order_id="at S2", store_id="S1"), "order_id"),
    (f"{ORDERS}/PickOrder", PickOrderRequest(order_id="at S2", store_id="S2"), "order_id"),
    (f"{ORDERS}/ShipOrder", ShipOrderRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/DeliverOrder", DeliverOrderRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/ReturnOrder", ReturnOrderRequest(order_id="at S2", to_stock=True), "order_id"),
    (f"{ORDERS}/RejectOrder", RejectOrderRequest(order_id="at S1", store_id="S2"), "store_id"),
    (f"{ORDERS}/RejectOrder", RejectOrderRequest(order_id="at S2", store_id="S1"), "order_id"),
    (f"{ORDERS}/CancelOrder", CancelOrderRequest(order_id="at S2"), "order_id"),
    (f"{ORDERS}/ReleaseOrders", ReleaseOrdersRequest(order_ids=["at S1", "at S2"]), "order_ids[1]"),
    (
        f"{LEDGER}/ReadEvents",
        ReadEventsRequest(from_sequence=1, filter=EventFilter(store_ids=["S1", "S2"])),
        "filter.store_ids[1]",
    ),
    (
        f"{LEDGER}/ReadEvents",
        ReadEventsRequest(from_sequence=1, filter=EventFilter(regions=["puxi"])),
        "filter.regions[0]",
    ),
    (
        f"{LEDGER}/Tail",
        TailRequest(from_sequence=1, filter=EventFilter(store_ids=["S2"])),
        "filter.store_ids[0]",
    ),
    (f"{POLICIES}/CheckPolicy", CheckPolicyRequest(text="default_type = 'GROUP'"), "method"),
    (f"{POLICIES}/DraftPolicy", DraftPolicyRequest(text="default_type = 'GROUP'"), "method"),
    (f"{POLICIES}/ActivatePolicy", ActivatePolicyRequest(version=1), "method"),
    (f"{POLICIES}/GetPolicy", GetPolicyRequest(version=1), "method"),
    (f"{POLICIES}/ListPolicies", ListPoliciesRequest(), "method"),
    (f"{SETUP}/SetStoreProfiles", SetStoreProfilesRequest(profiles={"S1": "{}"}), "method"),
    (f"{SETUP}/GetStoreProfile", GetStoreProfileRequest(store_id="S2"), "store_id"),
    (f"{SETUP}/SetSkuProfiles", SetSkuProfilesRequest(profiles={"tea": "{}"}), "method"),
    (f"{SETUP}/SetAreas", SetAreasRequest(), "method"),
    (f"{SETUP}/ListAreas", ListAreasRequest(), "method"),
    (f"{SETUP}/SetShares", SetSharesRequest(channel="jd", shares={"S1": 1.0}), "method"),
    (f"{SETUP}/GetShare", GetShareRequest(store_id="S2", channel="jd"), "store_id"),
    (f"{SETUP}/SetHiddenSkus", SetHiddenSkusRequest(channel="jd", skus=["tea"]), "method"),
    (
        f"{SETUP}/SetHeld",
        SetHeldRequest(stores=["S1", "S2"], skus=["tea", "tea"], safety=[1, 1]),
        "stores[1]",
    ),
    (f"{SETUP}/GetHeld", GetHeldRequest(store_id="S2", sku="tea"), "store_id"),
    (
        f"{SETUP}/SetSupply",
        SetSupplyRequest(store_id="S2", sku="tea", date="2030-12-01", quantity=1),
        "store_id",
    ),
    (
        f"{SETUP}/SetLots",
        SetLotsRequest(store_id="S2", sku="tea", lots={"2030-12-01": 1}),
        "store_id",
    ),
    (f"{SETUP}/ListLots", ListLotsRequest(store_id="S2", sku="tea"), "store_id"),
    (
        f"{SETUP}/ReceiveSupply",
        ReceiveSupplyRequest(store_id="S2", sku="tea", date="2030-12-01"),
        "store_id",
    ),
    (f"{SETUP}/ListSupply", ListSupplyRequest(), "store_id"),
    (f"{SETUP}/ListSupply", ListSupplyRequest(store_id="S2"), "store_id"),
]


def test_a_store_is_refused_what_is_its_neighbours_by_every_method(house: House) -> None:
    assert {method for method, _, _ in NOT_ITS_OWN} | NOBODYS == METHODS.keys()
    server = house.server
    orders = [
        Order(id=f"at S{number}", lat=31.2, lng=lng, lines=[OrderLine(sku="milk", quantity=1)])
        for number, lng in ((1, 121.40), (2, 121.41))
    ]
    with server.channel() as channel:
        placed = BatchRouteRequest(orders=orders).SerializeToString()
        answer = told(channel, f"{ROUTING}/BatchRoute", placed, metadata=house.headquarters)
        assert isinstance(answer, bytes)
    with unharmed(server), server.channel() as channel:
        for method, request, field in NOT_ITS_OWN:
            answer = told(channel, method, request.SerializeToString(), metadata=house.store)
            assert isinstance(answer, grpc.RpcError), method
            assert_refused(answer, "PERMISSION_DENIED", Fault.NOT_ALLOWED, field)
        assert server.knows(["at S1", "at S2"]) == [True, True]
        listing = told(channel, f"{NETWORK}/ListStores", b"", metadata=house.headquarters)
        assert isinstance(listing, bytes)
        states = {one.store.id: one.state for one in ListStoresResponse.FromString(listing).stores}
        assert states == dict.fromkeys(["S1", "S2", "S3"], StoreState.STORE_STATE_OPEN)


# -- PAPERS ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mutual(
    each_door: None, papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Besieged]:
    """A server that asks its clients for certificates."""
    with besieged(
        tmp_path_factory.mktemp("mutual"),
        credentials=credentials(papers, "client"),
        tls__certificate=str(papers.folder / "server.pem"),
        tls__key=str(papers.folder / "server.key"),
        tls__client_ca=str(papers.folder / "ca.pem"),
    ) as server:
        yield server


def is_sent_away(address: str, presented: grpc.ChannelCredentials | None) -> bool:
    """Whether a client of its own connection is not let in."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    made = (
        grpc.insecure_channel(address, own)
        if presented is None
        else grpc.secure_channel(address, presented, own)
    )
    with made as channel:
        answer = told(channel, "/grpc.health.v1.Health/Check", b"")
    return isinstance(answer, grpc.RpcError) and answer.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["expired", "early", "strange", None])
def test_many_with_bad_papers_leave_nothing_behind(
    mutual: Besieged, papers: Papers, name: str | None
) -> None:
    address = in_papers(mutual.hot_address)
    presented = credentials(papers, name)
    with unharmed(mutual), ThreadPoolExecutor(8) as crowd:
        assert all(crowd.map(lambda _: is_sent_away(address, presented), range(24)))


def test_many_without_tls_leave_nothing_behind_where_there_is_tls(mutual: Besieged) -> None:
    with unharmed(mutual), ThreadPoolExecutor(8) as crowd:
        assert all(crowd.map(lambda _: is_sent_away(mutual.hot_address, None), range(24)))


def test_many_with_tls_leave_nothing_behind_where_there_is_none(
    papers: Papers, tmp_path: Path
) -> None:
    with besieged(tmp_path) as server, unharmed(server), ThreadPoolExecutor(8) as crowd:
        address = in_papers(server.hot_address)
        presented = credentials(papers)
        assert all(crowd.map(lambda _: is_sent_away(address, presented), range(24)))


def test_a_tls_greeting_that_is_cut_off_or_wrong_leaves_nothing_behind(mutual: Besieged) -> None:
    greeting = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    with unharmed(mutual):
        for sent in (
            greeting,
            greeting + bytes(600),
            b"\x15\x03\x03\x00\x02\x02\x00",
            bytes(5_000),
        ):
            for _ in range(10):
                with socket.create_connection(mutual.hot_endpoint) as connection:
                    connection.sendall(sent)
