"""Orders that were routed can be asked about, and given back: by those whose orders they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fendan import Engine, Order
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import order_pb2, order_service_pb2_grpc
from fendan.v1.order_service_pb2 import (
    GetDecisionRequest,
    GetDecisionResponse,
    ReleaseOrdersRequest,
)
from serving import a_chain, serving

AT_STORES = ("at S1", "at S2", "at S3")


def routed() -> Engine:
    """A chain with an order at each of its three stores, and one that no store could fill."""
    engine = a_chain()
    for order_id, lng in zip(AT_STORES, (121.40, 121.41, 121.42), strict=True):
        engine.route(Order(id=order_id, lat=31.2, lng=lng, lines=[("tea", 4)]))
    engine.route(Order(id="nowhere", lat=31.2, lng=121.4, lines=[("tea", 99)]))
    return engine


class Desk:
    """Someone who asks, with the token they hold."""

    def __init__(self, channel: grpc.Channel, token: str = "") -> None:
        self._stub = order_service_pb2_grpc.OrderServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def decision(self, order_id: str) -> GetDecisionResponse:
        request = GetDecisionRequest(order_id=order_id)
        answer: GetDecisionResponse = self._stub.GetDecision(request, metadata=self._metadata)
        return answer

    def release(self, *order_ids: str) -> list[bool]:
        request = ReleaseOrdersRequest(order_ids=order_ids)
        return list(self._stub.ReleaseOrders(request, metadata=self._metadata).released)


@contextmanager
def desk(engine: Engine) -> Iterator[Desk]:
    """At a server without tokens."""
    with serving(engine) as served, grpc.insecure_channel(served.address) as channel:
        yield Desk(channel)


@contextmanager
def desk_of(engine: Engine, folder: Path, scope: Scope, of: str = "") -> Iterator[Desk]:
    """With a token of the scope."""
    tokens = folder / "tokens.toml"
    token = new_token(tokens, name="someone", scope=scope, of=of)
    with (
        serving(engine, tokens=tokens) as served,
        grpc.insecure_channel(served.address) as channel,
    ):
        yield Desk(channel, token)


def assert_refused(error: grpc.RpcError, status: str, code: str, field: str) -> None:
    answer = rpc_status.from_call(error)
    assert answer is not None
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in answer.details:
        detail.Unpack(info)
        detail.Unpack(request)
    assert error.code().name == status  # type: ignore[attr-defined]
    assert info.reason == code
    assert [violation.field for violation in request.field_violations] == [field]


# -- EVERYONE ----------------------------------------------------------------------------------


def test_a_known_order_is_told_again_and_whether_it_is_held() -> None:
    with desk(routed()) as asking:
        answer = asking.decision("at S2")
        assert answer.held
        assert answer.decision.order_id == "at S2"
        assert answer.decision.store_id == "S2"
        nowhere = asking.decision("nowhere")
        assert not nowhere.held
        assert nowhere.decision.status == order_pb2.DECISION_STATUS_UNASSIGNED
        assert nowhere.decision.reason == order_pb2.DECISION_REASON_NO_STOCK


def test_released_orders_give_their_stock_back_once() -> None:
    engine = routed()
    with desk(engine) as asking:
        assert asking.release("at S1", "nowhere", "at S3") == [True, False, True]
        assert asking.release("at S1", "at S2") == [False, True]
        assert not asking.decision("at S1").held
        assert asking.release() == []
    assert [engine.available(store, "tea") for store in ("S1", "S2", "S3")] == [10, 10, 10]


def test_an_order_that_nobody_routed_is_not_found() -> None:
    with desk(routed()) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.decision("no such order")
    assert_refused(refused.value, "NOT_FOUND", "UNKNOWN_ORDER", "order_id")


def test_one_unknown_order_refuses_the_whole_release() -> None:
    engine = routed()
    with desk(engine) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.release("at S1", "no such order", "at S2")
    assert_refused(refused.value, "NOT_FOUND", "UNKNOWN_ORDER", "order_ids[1]")
    assert engine.available("S1", "tea") == 6


def test_too_many_orders_at_once_are_refused() -> None:
    with desk(routed()) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.release(*["at S1"] * 100_001)
    assert_refused(refused.value, "INVALID_ARGUMENT", "TOO_MANY", "order_ids")


# -- SCOPES ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [Scope.HEADQUARTERS, Scope.INGEST])
def test_headquarters_and_ingest_reach_every_order(tmp_path: Path, scope: Scope) -> None:
    with desk_of(routed(), tmp_path, scope) as asking:
        assert [asking.decision(order_id).held for order_id in AT_STORES] == [True] * 3
        assert asking.release(*AT_STORES, "nowhere") == [True, True, True, False]


def test_settlement_reads_every_order_and_releases_none(tmp_path: Path) -> None:
    with desk_of(routed(), tmp_path, Scope.SETTLEMENT) as asking:
        assert [asking.decision(order_id).held for order_id in AT_STORES] == [True] * 3
        with pytest.raises(grpc.RpcError) as refused:
            asking.release("at S1")
        assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "method")


@pytest.mark.parametrize(
    ("scope", "of", "own", "others"),
    [
        (Scope.STORE, "S2", ["at S2"], ["at S1", "at S3", "nowhere"]),
        (Scope.REGION, "puxi", ["at S1", "at S2"], ["at S3", "nowhere"]),
    ],
)
def test_a_store_or_region_reaches_the_orders_at_its_own_stores(
    tmp_path: Path, scope: Scope, of: str, own: list[str], others: list[str]
) -> None:
    with desk_of(routed(), tmp_path, scope, of) as asking:
        for other in others:
            with pytest.raises(grpc.RpcError) as refused:
                asking.decision(other)
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "order_id")
            with pytest.raises(grpc.RpcError) as refused:
                asking.release(*own, other)
            field = f"order_ids[{len(own)}]"
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", field)
        assert [asking.decision(order_id).held for order_id in own] == [True] * len(own)
        assert asking.release(*own) == [True] * len(own)


def test_a_refusal_does_not_tell_a_stranger_where_the_order_is(tmp_path: Path) -> None:
    with (
        desk_of(routed(), tmp_path, Scope.STORE, "S1") as asking,
        pytest.raises(grpc.RpcError) as refused,
    ):
        asking.decision("at S3")
    told = f"{refused.value}".replace("at S3", "")
    assert "S3" not in told


def test_an_order_at_a_closed_store_is_headquarters_business(tmp_path: Path) -> None:
    engine = routed()
    engine.remove_stores(["S2"])
    with desk_of(engine, tmp_path, Scope.REGION, "puxi") as asking:
        assert asking.decision("at S1").decision.store_id == "S1"
        with pytest.raises(grpc.RpcError) as refused:
            asking.decision("at S2")
        assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "order_id")
