"""What the model says survives the way through protobuf, in both directions."""

from typing import Any

import pytest

from fendan import (
    Datum,
    Decision,
    InvalidInputError,
    Nearby,
    OrderState,
    OrderStatus,
    Policy,
    Reason,
    RejectReason,
    Shortfall,
    Status,
    Store,
)
from fendan import messages as m
from fendan.model import (
    Availability,
    AvailabilityChanges,
    Line,
    StaleStock,
    StockLevel,
    StockUpdate,
    StoreStatus,
)
from fendan.v1 import inventory_service_pb2 as inventory
from fendan.v1 import network_service_pb2 as network
from fendan.v1 import order_service_pb2 as orders

STORE = Store(id="S1", lat=31.2, lng=121.4, region="puxi", datum=Datum.GCJ02)
SHORTFALL = Shortfall(store_id="S1", sku="tea", on_hand=1, reserved=3, order_ids=("O1", "O2"))
LEVEL = StockLevel(store_id="S1", sku="tea", on_hand=5, reserved=2, sellable=3)


@pytest.mark.parametrize("datum", [None, *Datum])
def test_every_datum_survives(datum: Datum | None) -> None:
    assert m.datum_of(m.datum_message(datum)) is datum


def test_a_datum_of_a_later_version_is_refused_not_guessed() -> None:
    with pytest.raises(InvalidInputError) as refused:
        m.store_of(network.Store(id="S1", datum=9), "stores[2]")
    assert (refused.value.field, refused.value.value) == ("stores[2].datum", 9)


def test_stores_survive() -> None:
    assert m.store_of(m.store_message(STORE)) == STORE
    for paused in (True, False):
        status = StoreStatus(store=STORE, paused=paused)
        assert m.store_status_of(m.store_status_message(status)) == status


def test_stock_survives() -> None:
    assert m.shortfall_of(m.shortfall_message(SHORTFALL)) == SHORTFALL
    assert m.stock_level_of(m.stock_level_message(LEVEL), "S1") == LEVEL


def test_what_became_of_an_update_is_read_with_the_versions_that_were_sent() -> None:
    parts = [inventory.StockSnapshot(store_id=id, version=4) for id in ("S1", "S2")]
    response = inventory.SetStockResponse(
        outcomes=[
            m.stock_outcome_message("S1", 4, stale=False),
            m.stock_outcome_message("S2", 9, stale=True),
        ],
        shortfalls=[m.shortfall_message(SHORTFALL)],
    )
    stale = StaleStock(store_id="S2", version=4, last_version=9)
    expected = StockUpdate(shortfalls=(SHORTFALL,), stale=(stale,))
    assert m.stock_update_of(parts, response) == expected


def test_availability_survives() -> None:
    pair = Availability(store_id="S1", sku="tea", sellable=3)
    message = inventory.WatchAvailabilityResponse(
        changes=[m.availability_message(pair)], cursor="c", reset=True
    )
    changes = AvailabilityChanges(changes=[pair], cursor="c", reset=True)
    assert m.availability_changes_of(message) == changes


@pytest.mark.parametrize("radius_m", [None, 0.0, 3_000.0])
def test_a_policy_survives_no_limit_and_no_metre_apart(radius_m: float | None) -> None:
    policy = Policy(radius_m=radius_m)
    assert m.policy_of(m.policy_message(policy)) == policy


def test_lines_and_nearby_stores_survive() -> None:
    lines: list[Line] = [("tea", 1, 0), ("milk", 2, 10**12), ("tea", 3, 5)]
    assert m.lines_of(m.line_messages(lines)) == lines
    assert m.lines_of(m.line_messages([("tea", 1)])) == [("tea", 1, 0)]
    nearby = Nearby(store_id="S1", distance_m=12.5)
    assert m.nearby_of(m.nearby_message(nearby)) == nearby


def test_decisions_survive_also_the_one_at_no_distance() -> None:
    for distance_m in (0.0, 12.5):
        assigned = Decision(
            order_id="O1",
            status=Status.ASSIGNED,
            store_id="S1",
            distance_m=distance_m,
            reason=Reason.NONE,
        )
        assert m.decision_of(m.decision_message(assigned)) == assigned
    for reason in Reason:
        if reason is not Reason.NONE:
            unassigned = Decision(
                order_id="O1",
                status=Status.UNASSIGNED,
                store_id=None,
                distance_m=None,
                reason=reason,
            )
            assert m.decision_of(m.decision_message(unassigned)) == unassigned


@pytest.mark.parametrize("reserved_until_ns", [None, 0, 1, 1_800_000_000_123_456_789])
def test_where_an_order_is_survives_to_the_nanosecond(reserved_until_ns: int | None) -> None:
    status = OrderStatus(
        order_id="O1",
        state=OrderState.ASSIGNED,
        store_id="S1",
        distance_m=0.0,
        reason=Reason.NONE,
        attempts=2,
        reserved_until_ns=reserved_until_ns,
    )
    assert m.order_status_of(m.order_status_message(status)) == status


def test_every_state_and_every_reason_for_no_store_survives() -> None:
    for state in OrderState:
        for reason in Reason:
            status = OrderStatus(
                order_id="O1",
                state=state,
                store_id=None,
                distance_m=None,
                reason=reason,
                attempts=0,
                reserved_until_ns=None,
            )
            assert m.order_status_of(m.order_status_message(status)) == status


def test_every_reason_to_reject_survives_and_none_is_other() -> None:
    for reason in RejectReason:
        assert m.reject_reason_of(m.reject_reason_message(reason)) is reason
    assert m.reject_reason_of(orders.REJECT_REASON_UNSPECIFIED) is RejectReason.OTHER


@pytest.mark.parametrize(
    ("named", "enum"),
    [(OrderState, orders.OrderState), (RejectReason, orders.RejectReason)],
    ids=["OrderState", "RejectReason"],
)
def test_the_engine_and_the_contract_give_each_name_the_same_number(named: Any, enum: Any) -> None:
    prefix = {OrderState: "ORDER_STATE_", RejectReason: "REJECT_REASON_"}[named]
    here = {f"{prefix}{member.name}": member.value for member in named}
    assert here | {f"{prefix}UNSPECIFIED": 0} == dict(enum.items())
