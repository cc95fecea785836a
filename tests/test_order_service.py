"""Orders are led through their life, asked about and given back: by those whose orders they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from clock import StoppedClock
from fendan import Engine, Order, Policy, Store
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc
from fendan.v1.order_service_pb2 import (
    GetDecisionRequest,
    GetDecisionResponse,
    OrderState,
    OrderStatus,
    RejectReason,
    ReleaseOrdersRequest,
)
from serving import a_chain, connected, serving

pytestmark = pytest.mark.usefixtures("each_door")

AT_STORES = ("at S1", "at S2", "at S3")

# From the store's shelf to the customer, and back to it.
STEPS = ("AcceptOrder", "PickOrder", "ShipOrder", "DeliverOrder", "ReturnOrder")

# Every method that names one order, and what it needs beside the order's id.
ON_ONE_ORDER: dict[str, dict[str, str]] = {
    "GetOrder": {},
    **{step: {} for step in STEPS},
    "RejectOrder": {"store_id": "S2"},
    "CancelOrder": {},
}


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

    def ask(self, method: str, order_id: str, **fields: Any) -> OrderStatus:
        """Where an order is, after a step or without one."""
        request = getattr(order_service_pb2, f"{method}Request")(order_id=order_id, **fields)
        answer = getattr(self._stub, method)(request, metadata=self._metadata)
        where: OrderStatus = answer.order
        return where

    def state(self, method: str, order_id: str, **fields: Any) -> str:
        """Its name."""
        state = OrderState.Name(self.ask(method, order_id, **fields).state)
        return state.removeprefix("ORDER_STATE_")

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
    with serving(engine) as served, connected(served) as channel:
        yield Desk(channel)


@contextmanager
def desk_of(engine: Engine, folder: Path, scope: Scope, of: str = "") -> Iterator[Desk]:
    """With a token of the scope."""
    folder.mkdir(exist_ok=True)
    tokens = folder / "tokens.toml"
    token = new_token(tokens, name="someone", scope=scope, of=of)
    with (
        serving(engine, tokens=tokens) as served,
        connected(served) as channel,
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


# -- THE LIFE OF AN ORDER ----------------------------------------------------------------------


def test_an_order_goes_from_the_shelf_to_the_customer_and_back() -> None:
    engine = routed()
    with desk(engine) as asking:
        assert asking.state("GetOrder", "at S1") == "ASSIGNED"
        assert asking.state("AcceptOrder", "at S1") == "ACCEPTED"
        assert asking.state("PickOrder", "at S1", store_id="S1") == "PICKED"
        assert engine.stock("S1", ["tea"])[0].reserved == 4
        assert asking.state("ShipOrder", "at S1") == "SHIPPED"
        assert engine.stock("S1", ["tea"])[0].on_hand == 6
        assert asking.state("DeliverOrder", "at S1", store_id="S1") == "DELIVERED"
        assert asking.state("ReturnOrder", "at S1", to_stock=True) == "RETURNED"
        assert asking.state("GetOrder", "at S1") == "RETURNED"
    assert engine.stock("S1", ["tea"])[0].on_hand == 10


def test_what_comes_back_broken_is_not_sold_again() -> None:
    engine = routed()
    with desk(engine) as asking:
        for step in STEPS:  # of a return that does not say so
            asking.ask(step, "at S1")
    assert engine.available("S1", "tea") == 6


def test_a_step_that_is_sent_again_is_answered_with_where_the_order_is() -> None:
    engine = routed()
    with desk(engine) as asking:
        once = [asking.ask(step, "at S1") for step in STEPS[:3]]
        again = [asking.ask(step, "at S1") for step in STEPS[:3]]
        assert again == [once[-1]] * 3
        assert asking.state("CancelOrder", "at S2") == "CANCELLED"
        assert asking.state("CancelOrder", "at S2") == "CANCELLED"
    assert [engine.available(store_id, "tea") for store_id in ("S1", "S2")] == [6, 10]


def test_where_an_order_is_has_a_store_a_distance_and_a_reason() -> None:
    engine = routed()
    with desk(engine) as asking:
        there = asking.ask("GetOrder", "at S2")
        assert (there.order_id, there.store_id, there.attempts) == ("at S2", "S2", 1)
        assert there.distance_m == engine.decision("at S2").distance_m
        assert not there.HasField("reserved_until")
        nowhere = asking.ask("GetOrder", "nowhere")
        assert (nowhere.store_id, nowhere.distance_m, nowhere.attempts) == ("", 0, 0)
        assert nowhere.state == OrderState.ORDER_STATE_UNASSIGNED
        assert nowhere.reason == order_pb2.DECISION_REASON_NO_STOCK


def test_a_reservation_runs_until_the_store_accepts() -> None:
    clock = StoppedClock(1_750_000_000_000_000_001)
    engine = Engine(policy=Policy(reservation_timeout_s=90.0), clock=clock)
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "tea", 10)])
    for order_id in ("taken", "left"):
        engine.route(Order(id=order_id, lat=31.2, lng=121.4, lines=[("tea", 4)]))
    with desk(engine) as asking:
        until = asking.ask("GetOrder", "taken").reserved_until
        assert until.ToNanoseconds() == 1_750_000_090_000_000_001
        assert not asking.ask("AcceptOrder", "taken").HasField("reserved_until")
        clock.pass_s(90.0)
        engine.expire_orders()
        assert asking.state("GetOrder", "taken") == "ACCEPTED"
        assert asking.state("GetOrder", "left") == "EXPIRED"


def test_a_step_out_of_turn_is_refused_with_the_state_it_met() -> None:
    with desk(routed()) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.ask("ShipOrder", "at S1")
    assert_refused(refused.value, "FAILED_PRECONDITION", "WRONG_STATE", "order_id")
    assert "ASSIGNED" in str(refused.value)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_for_a_store_that_does_not_have_the_order_is_refused(step: str) -> None:
    engine = routed()
    with desk(engine) as asking, pytest.raises(grpc.RpcError) as refused:
        for earlier in STEPS[: STEPS.index(step)]:
            asking.ask(earlier, "at S1")
        asking.ask(step, "at S1", store_id="S2")
    assert_refused(refused.value, "FAILED_PRECONDITION", "WRONG_STORE", "store_id")


def test_a_rejected_order_goes_to_another_store_at_once() -> None:
    engine = routed()
    with desk(engine) as asking:
        moved = asking.ask("RejectOrder", "at S1", store_id="S1")
        assert moved.state == OrderState.ORDER_STATE_ASSIGNED
        assert (moved.store_id, moved.attempts) == ("S2", 2)
        assert asking.decision("at S1").decision.store_id == "S1"
    assert [engine.available(store_id, "tea") for store_id in ("S1", "S2")] == [10, 2]


def test_an_order_that_every_store_rejects_says_why_there_is_none_left() -> None:
    engine = routed()
    with desk(engine) as asking:
        for store_id in ("S1", "S2"):
            asking.ask("RejectOrder", "at S1", store_id=store_id)
        rejected = asking.ask("RejectOrder", "at S1", store_id="S3")
    assert rejected.state == OrderState.ORDER_STATE_REJECTED
    assert rejected.reason != order_pb2.DECISION_REASON_UNSPECIFIED
    assert rejected.store_id == ""


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        (RejectReason.REJECT_REASON_UNSPECIFIED, [10, 10]),
        (RejectReason.REJECT_REASON_TOO_BUSY, [10, 10]),
        (RejectReason.REJECT_REASON_NOT_ON_SHELF, [0, 0]),
        (RejectReason.REJECT_REASON_DAMAGED, [0, 0]),
    ],
)
def test_what_a_store_does_not_find_it_does_not_sell(reason: RejectReason, left: list[int]) -> None:
    engine = a_chain()
    engine.route(Order(id="basket", lat=31.2, lng=121.4, lines=[("tea", 1), ("milk", 1)]))
    with desk(engine) as asking:
        asking.ask("RejectOrder", "basket", store_id="S1", reason=reason)
    assert [engine.available("S1", sku) for sku in ("tea", "milk")] == left


def test_only_what_is_missing_is_not_sold() -> None:
    engine = a_chain()
    engine.route(Order(id="basket", lat=31.2, lng=121.4, lines=[("tea", 1), ("milk", 1)]))
    with desk(engine) as asking:
        reason = RejectReason.REJECT_REASON_NOT_ON_SHELF
        asking.ask("RejectOrder", "basket", store_id="S1", reason=reason, missing_skus=["milk"])
    assert [engine.available("S1", sku) for sku in ("tea", "milk")] == [10, 0]


def test_a_reason_of_a_later_version_is_refused_not_guessed() -> None:
    engine = routed()
    with desk(engine) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.ask("RejectOrder", "at S1", store_id="S1", reason=99)
    assert_refused(refused.value, "INVALID_ARGUMENT", "OUT_OF_RANGE", "reason")
    assert engine.is_held("at S1")


def test_what_is_not_in_the_order_cannot_be_missing_from_it() -> None:
    reason = RejectReason.REJECT_REASON_DAMAGED
    engine = routed()
    with desk(engine) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.ask(
            "RejectOrder", "at S1", store_id="S1", reason=reason, missing_skus=["tea", "milk"]
        )
    assert_refused(refused.value, "NOT_FOUND", "UNKNOWN_SKU", "missing_skus[1]")
    assert engine.is_held("at S1")


def test_more_skus_than_an_order_can_have_are_not_missing() -> None:
    with desk(routed()) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.ask("RejectOrder", "at S1", store_id="S1", missing_skus=["tea"] * 10_001)
    assert_refused(refused.value, "INVALID_ARGUMENT", "TOO_MANY", "missing_skus")


def test_an_order_is_cancelled_whole_or_by_its_only_shipment() -> None:
    with desk(routed()) as asking:
        assert asking.state("CancelOrder", "at S1") == "CANCELLED"
        for shipment in (0, 2):
            with pytest.raises(grpc.RpcError) as refused:
                asking.ask("CancelOrder", "at S2", shipment=shipment)
            assert_refused(refused.value, "INVALID_ARGUMENT", "OUT_OF_RANGE", "shipment")
        assert asking.state("CancelOrder", "at S2", shipment=1) == "CANCELLED"


@pytest.mark.parametrize("method", ON_ONE_ORDER)
def test_no_step_is_taken_by_an_order_that_nobody_routed(method: str) -> None:
    with desk(routed()) as asking, pytest.raises(grpc.RpcError) as refused:
        asking.ask(method, "no such order", **ON_ONE_ORDER[method])
    assert_refused(refused.value, "NOT_FOUND", "UNKNOWN_ORDER", "order_id")


# -- DECISIONS, AND THE WAY BACK ---------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("scope", "of", "others"),
    [(Scope.STORE, "S2", ["at S1", "at S3"]), (Scope.REGION, "puxi", ["at S3", "nowhere"])],
)
def test_a_store_or_region_leads_its_own_orders_and_no_others(
    tmp_path: Path, scope: Scope, of: str, others: list[str]
) -> None:
    with desk_of(routed(), tmp_path, scope, of) as asking:
        for method, fields in ON_ONE_ORDER.items():
            for other in others:
                with pytest.raises(grpc.RpcError) as refused:
                    asking.ask(method, other, **fields)
                assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "order_id")
        states = [asking.state(step, "at S2") for step in STEPS]
    assert states == ["ACCEPTED", "PICKED", "SHIPPED", "DELIVERED", "RETURNED"]


def test_a_store_hears_that_its_order_was_cancelled(tmp_path: Path) -> None:
    engine = routed()
    with desk_of(engine, tmp_path, Scope.STORE, "S2") as asking:
        asking.ask("AcceptOrder", "at S2")
        engine.cancel_order("at S2")
        assert asking.state("GetOrder", "at S2") == "CANCELLED"


def test_ingest_asks_cancels_and_returns_and_takes_no_step_for_a_store(tmp_path: Path) -> None:
    engine = routed()
    for step in (engine.accept_order, engine.pick_order, engine.ship_order):
        step("at S3")
    with desk_of(engine, tmp_path, Scope.INGEST) as asking:
        for method in ("AcceptOrder", "PickOrder", "ShipOrder", "DeliverOrder", "RejectOrder"):
            with pytest.raises(grpc.RpcError) as refused:
                asking.ask(method, "at S2")
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "method")
        assert asking.state("GetOrder", "at S1") == "ASSIGNED"
        assert asking.state("CancelOrder", "at S1") == "CANCELLED"
        assert asking.state("ReturnOrder", "at S3", to_stock=True) == "RETURNED"


def test_settlement_sees_where_every_order_is_and_moves_none(tmp_path: Path) -> None:
    with desk_of(routed(), tmp_path, Scope.SETTLEMENT) as asking:
        assert [asking.ask("GetOrder", order_id).store_id for order_id in AT_STORES] == [
            "S1",
            "S2",
            "S3",
        ]
        for method in ON_ONE_ORDER.keys() - {"GetOrder"}:
            with pytest.raises(grpc.RpcError) as refused:
                asking.ask(method, "at S1")
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "method")


# -- AN ORDER THAT GOES ON TO ANOTHER STORE ----------------------------------------------------


def test_a_store_that_rejected_an_order_does_not_reach_it_and_the_next_one_does(
    tmp_path: Path,
) -> None:
    engine = routed()
    engine.reject_order("at S1", "S1")
    with desk_of(engine, tmp_path / "first", Scope.STORE, "S1") as first:
        for method in ("GetOrder", "AcceptOrder", "CancelOrder"):
            with pytest.raises(grpc.RpcError) as refused:
                first.ask(method, "at S1")
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "order_id")
    with desk_of(engine, tmp_path / "second", Scope.STORE, "S2") as second:
        assert second.ask("AcceptOrder", "at S1", store_id="S2").store_id == "S2"
        assert second.decision("at S1").held


def test_a_late_retry_of_a_rejection_is_answered_like_the_first_try(tmp_path: Path) -> None:
    engine = routed()
    with desk_of(engine, tmp_path, Scope.STORE, "S1") as asking:
        first = asking.ask("RejectOrder", "at S1", store_id="S1")
        assert asking.ask("RejectOrder", "at S1", store_id="S1") == first
        assert engine.order("at S1").attempts == 2
        engine.accept_order("at S1")
        assert asking.state("RejectOrder", "at S1", store_id="S1") == "ACCEPTED"
    assert engine.order("at S1").store_id == "S2"


def test_who_rejects_an_order_is_told_of_the_next_store_only_where_it_is_its_own(
    tmp_path: Path,
) -> None:
    told = {}
    for scope, of in ((Scope.STORE, "S1"), (Scope.REGION, "puxi"), (Scope.HEADQUARTERS, "")):
        with desk_of(routed(), tmp_path / scope.value, scope, of) as asking:
            moved = asking.ask("RejectOrder", "at S1", store_id="S1")
            assert moved.state == OrderState.ORDER_STATE_ASSIGNED
            told[scope] = (moved.store_id, moved.distance_m > 0)
    assert told == {
        Scope.STORE: ("", False),
        Scope.REGION: ("S2", True),
        Scope.HEADQUARTERS: ("S2", True),
    }


def test_nobody_rejects_an_order_for_another_store(tmp_path: Path) -> None:
    engine = routed()
    with desk_of(engine, tmp_path, Scope.STORE, "S1") as asking:
        for order_id in ("at S1", "at S2", "no such order"):
            with pytest.raises(grpc.RpcError) as refused:
                asking.ask("RejectOrder", order_id, store_id="S2")
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "store_id")
    assert [engine.order(order_id).attempts for order_id in AT_STORES] == [1, 1, 1]


def test_a_rejection_by_a_stranger_does_not_tell_where_the_order_is_or_what_is_in_it(
    tmp_path: Path,
) -> None:
    with desk_of(routed(), tmp_path, Scope.STORE, "S1") as asking:
        for skus in ([], ["tea"], ["milk"], ["sand"]):
            with pytest.raises(grpc.RpcError) as refused:
                asking.ask("RejectOrder", "at S3", store_id="S1", missing_skus=skus)
            assert_refused(refused.value, "PERMISSION_DENIED", "NOT_ALLOWED", "order_id")
            assert "S3" not in str(refused.value).replace("at S3", "")
