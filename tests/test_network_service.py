"""Stores are opened, moved, paused, closed and listed over gRPC, each by those who may."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from fendan import Datum, Order, Reason, convert
from fendan.details import error_of
from fendan.errors import Fault
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import network_service_pb2 as messages
from fendan.v1 import place_pb2
from fendan.v1.network_service_pb2_grpc import NetworkServiceStub
from serving import Served, a_chain, serving

Call = Callable[..., Any]

NEAR_S1 = {"lat": 31.2, "lng": 121.4}


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


@pytest.fixture
def stub(served: Served) -> Iterator[NetworkServiceStub]:
    with grpc.insecure_channel(served.address) as channel:
        yield NetworkServiceStub(channel)


def store(id: str, lat: float = 31.2, lng: float = 121.5, **fields: Any) -> messages.Store:
    return messages.Store(id=id, lat=lat, lng=lng, **fields)


def ids(response: messages.ListStoresResponse) -> list[str]:
    return [listed.store.id for listed in response.stores]


def refused(call: Call, *request: Any) -> tuple[Fault, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(*request)
    error = error_of(raised.value)
    return error.fault, error.field


def test_a_new_store_is_listed_where_it_is(stub: NetworkServiceStub) -> None:
    stub.AddStores(messages.AddStoresRequest(stores=[store("S4", region="pudong")]))
    listed = stub.ListStores(messages.ListStoresRequest()).stores[-1]
    assert (listed.store.id, listed.store.region) == ("S4", "pudong")
    assert (listed.store.lat, listed.store.lng) == pytest.approx((31.2, 121.5))
    assert listed.state == messages.STORE_STATE_OPEN


def test_a_place_in_another_datum_is_converted(stub: NetworkServiceStub) -> None:
    new = store("S4", datum=place_pb2.DATUM_GCJ02)
    stub.AddStores(messages.AddStoresRequest(stores=[new]))
    listed = stub.ListStores(messages.ListStoresRequest()).stores[-1].store
    expected = convert(31.2, 121.5, Datum.GCJ02, Datum.WGS84)
    assert (listed.lat, listed.lng) == pytest.approx(expected)
    assert listed.datum == place_pb2.DATUM_UNSPECIFIED


def test_a_store_that_moves_keeps_its_stock(stub: NetworkServiceStub, served: Served) -> None:
    moved = store("S3", **NEAR_S1, region="puxi")
    stub.UpdateStores(messages.UpdateStoresRequest(stores=[moved]))
    assert served.engine.region_of("S3") == "puxi"
    assert served.engine.available("S3", "tea") == 10


def test_a_paused_store_gets_no_orders_until_it_is_resumed(
    stub: NetworkServiceStub, served: Served
) -> None:
    order = Order(id="O1", **NEAR_S1, lines=[("tea", 1)])
    for _ in range(2):  # pausing twice is pausing once
        stub.PauseStores(messages.PauseStoresRequest(store_ids=["S1"]))
    listed = stub.ListStores(messages.ListStoresRequest()).stores
    assert listed[0].state == messages.STORE_STATE_PAUSED
    assert served.engine.route(order, dry_run=True).store_id == "S2"
    stub.ResumeStores(messages.ResumeStoresRequest(store_ids=["S1"]))
    assert served.engine.route(order, dry_run=True).store_id == "S1"


def test_a_store_that_closes_tells_what_it_still_held(
    stub: NetworkServiceStub, served: Served
) -> None:
    served.engine.route(Order(id="O1", **NEAR_S1, lines=[("tea", 2)]))
    request = messages.RemoveStoresRequest(store_ids=["S1"])
    (short,) = stub.RemoveStores(request).shortfalls
    assert (short.store_id, short.sku, short.on_hand, short.reserved) == ("S1", "tea", 0, 2)
    assert list(short.order_ids) == ["O1"]
    assert ids(stub.ListStores(messages.ListStoresRequest())) == ["S2", "S3"]


def test_with_all_stores_closed_there_is_none(stub: NetworkServiceStub, served: Served) -> None:
    stub.RemoveStores(messages.RemoveStoresRequest(store_ids=["S1", "S2", "S3"]))
    decision = served.engine.route(Order(id="O1", **NEAR_S1, lines=[("tea", 1)]))
    assert decision.reason is Reason.NO_STORES


def test_stores_are_listed_by_region(stub: NetworkServiceStub) -> None:
    assert ids(stub.ListStores(messages.ListStoresRequest(region="puxi"))) == ["S1", "S2"]
    assert ids(stub.ListStores(messages.ListStoresRequest(region="nowhere"))) == []


def test_pages_go_on_although_a_store_closes_in_between(stub: NetworkServiceStub) -> None:
    first = stub.ListStores(messages.ListStoresRequest(page_size=2))
    assert ids(first) == ["S1", "S2"]
    stub.RemoveStores(messages.RemoveStoresRequest(store_ids=["S2"]))
    token = first.next_page_token
    second = stub.ListStores(messages.ListStoresRequest(page_size=2, page_token=token))
    assert ids(second) == ["S3"]
    assert not second.next_page_token


def test_a_page_token_of_another_region_is_refused(stub: NetworkServiceStub) -> None:
    token = stub.ListStores(messages.ListStoresRequest(page_size=1)).next_page_token
    other = messages.ListStoresRequest(region="puxi", page_size=1, page_token=token)
    assert refused(stub.ListStores, other) == (Fault.OUT_OF_RANGE, "page_token")


@pytest.mark.parametrize(
    ("stores", "fault", "field"),
    [
        ([store("S4"), store("S1")], Fault.DUPLICATE_STORE, "stores[1].id"),
        ([store("S4"), store("S4")], Fault.DUPLICATE_STORE, "stores[1].id"),
        ([store("S4"), store("")], Fault.BAD_ID, "stores[1].id"),
        ([store("S4"), store("S5", lat=91.0)], Fault.OUT_OF_RANGE, "stores[1].lat"),
        ([store("S4", lng=float("nan"))], Fault.OUT_OF_RANGE, "stores[0].lng"),
        ([store("S4", datum=9)], Fault.OUT_OF_RANGE, "stores[0].datum"),
        ([store("S4", region="r" * 256)], Fault.BAD_ID, "stores[0].region"),
        ([store("S4")] * 100_001, Fault.TOO_MANY, "stores"),
    ],
)
def test_a_store_that_cannot_be_is_named_and_none_is_added(
    stub: NetworkServiceStub, served: Served, stores: Any, fault: Fault, field: str
) -> None:
    request = messages.AddStoresRequest(stores=stores)
    assert refused(stub.AddStores, request) == (fault, field)
    assert len(served.engine.stores()) == 3


def test_an_unknown_store_is_named_and_no_other_is_touched(
    stub: NetworkServiceStub, served: Served
) -> None:
    both = ["S1", "nowhere"]
    unknown = (Fault.UNKNOWN_STORE, "store_ids[1]")
    assert refused(stub.PauseStores, messages.PauseStoresRequest(store_ids=both)) == unknown
    assert refused(stub.ResumeStores, messages.ResumeStoresRequest(store_ids=both)) == unknown
    assert refused(stub.RemoveStores, messages.RemoveStoresRequest(store_ids=both)) == unknown
    update = messages.UpdateStoresRequest(stores=[store("S1"), store("nowhere")])
    assert refused(stub.UpdateStores, update) == (Fault.UNKNOWN_STORE, "stores[1].id")
    assert served.engine.stores() == a_chain().stores()


def test_no_more_than_a_thousand_stores_close_at_once(stub: NetworkServiceStub) -> None:
    request = messages.RemoveStoresRequest(store_ids=["S1"] * 1_001)
    assert refused(stub.RemoveStores, request) == (Fault.TOO_MANY, "store_ids")


# -- SCOPES ------------------------------------------------------------------------------------


@pytest.fixture
def puxi(tmp_path: Path) -> Iterator[Call]:
    """Calls a method as the staff of the region puxi: the stores S1 and S2."""
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    token = new_token(path, name="puxi", scope=Scope.REGION, of="puxi")
    with serving(tokens=path) as served, grpc.insecure_channel(served.address) as channel:
        stub = NetworkServiceStub(channel)

        def call(method: str, request: Any) -> Any:
            bearer = ("authorization", f"Bearer {token}")
            return getattr(stub, method)(request, metadata=[bearer], timeout=10)

        yield call


def test_a_region_lists_its_own_stores_asked_or_not(puxi: Call) -> None:
    assert ids(puxi("ListStores", messages.ListStoresRequest())) == ["S1", "S2"]
    assert ids(puxi("ListStores", messages.ListStoresRequest(region="puxi"))) == ["S1", "S2"]
    other = messages.ListStoresRequest(region="pudong")
    assert refused(puxi, "ListStores", other) == (Fault.NOT_ALLOWED, "region")


def test_a_region_pauses_its_own_stores_only(puxi: Call) -> None:
    puxi("PauseStores", messages.PauseStoresRequest(store_ids=["S1", "S2"]))
    other = messages.PauseStoresRequest(store_ids=["S1", "S3"])
    assert refused(puxi, "PauseStores", other) == (Fault.NOT_ALLOWED, "store_ids[1]")


def test_a_region_gives_no_store_away_and_takes_none(puxi: Call) -> None:
    def moving(id: str, region: str) -> tuple[str, messages.UpdateStoresRequest]:
        return "UpdateStores", messages.UpdateStoresRequest(stores=[store(id, region=region)])

    puxi(*moving("S1", "puxi"))
    assert refused(puxi, *moving("S1", "pudong")) == (Fault.NOT_ALLOWED, "stores[0].region")
    assert refused(puxi, *moving("S3", "puxi")) == (Fault.NOT_ALLOWED, "stores[0].id")


def test_a_region_opens_and_closes_no_stores(puxi: Call) -> None:
    add = messages.AddStoresRequest(stores=[store("S4", region="puxi")])
    assert refused(puxi, "AddStores", add) == (Fault.NOT_ALLOWED, "method")
    remove = messages.RemoveStoresRequest(store_ids=["S1"])
    assert refused(puxi, "RemoveStores", remove) == (Fault.NOT_ALLOWED, "method")
