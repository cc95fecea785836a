"""Who comes first in a batch that is allocated by priority."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import StoppedClock
from fendan import Engine, InvalidInputError, Order, OrderType, Store
from fendan.engine.wire import Kind, Request, write_request
from fendan.priority import priority_of
from fendan.v1.routing_service_pb2 import BatchRouteResponse

SPLITS = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
hours = "ANY"
split = { mode = "FEWEST", most_shipments = 3 }
"""
NO_POLICY = ""


def chain(policy: str = NO_POLICY) -> Engine:
    engine = Engine(clock=StoppedClock())
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4), Store(id="S2", lat=31.2, lng=121.41)])
    engine.set_stock([("S1", "tea", 4), ("S2", "tea", 3), ("S1", "milk", 0), ("S2", "milk", 5)])
    if policy:
        engine.activate_policy(engine.draft_policy(policy))
    return engine


baskets = st.dictionaries(st.sampled_from(["tea", "milk"]), st.integers(1, 4), min_size=1)


@st.composite
def batches(draw: st.DrawFn) -> list[Order]:
    found = draw(st.lists(st.tuples(baskets, st.integers(0, 9)), max_size=8))
    return [
        Order(id=f"O{row}", lat=31.2, lng=121.4, lines=list(basket.items()), priority=priority)
        for row, (basket, priority) in enumerate(found)
    ]


@given(orders=batches(), policy=st.sampled_from([NO_POLICY, SPLITS]), dry_run=st.booleans())
def test_a_batch_by_priority_is_routed_as_if_it_came_in_that_order(
    orders: list[Order], policy: str, dry_run: bool
) -> None:
    ranked = sorted(orders, key=lambda order: -order.priority)
    expected = {one.order_id: one for one in chain(policy).route_batch(ranked, dry_run=dry_run)}
    told = chain(policy).route_batch(orders, allocate="priority", dry_run=dry_run)
    assert told == [expected[order.id] for order in orders]
    # The same as a message, whose answer the core writes.
    data = write_request(orders, by_priority=True, dry_run=dry_run)
    reply = chain(policy).route_request(Request.read(data, Kind.BATCH))
    answered = BatchRouteResponse.FromString(reply.encode()).decisions
    assert [(one.order_id, one.store_id, len(one.shipments)) for one in answered] == [
        (one.order_id, one.store_id or "", len(one.shipments)) for one in told
    ]


def test_the_order_of_higher_priority_gets_the_last_piece() -> None:
    orders = [
        Order(id=name, lat=31.2, lng=121.4, lines=[("tea", 4)], priority=priority)
        for name, priority in (("plain", 0), ("gold", 7))
    ]
    plain, gold = chain().route_batch(orders, allocate="priority")
    assert (plain.store_id, gold.store_id) == (None, "S1")


def test_what_is_no_priority_is_refused_by_its_order() -> None:
    for priority in (-1, 10, "high"):
        orders = [
            Order(id="A", lat=31.2, lng=121.4, lines=[("tea", 1)]),
            Order(id="B", lat=31.2, lng=121.4, lines=[("tea", 1)], priority=priority),  # type: ignore[arg-type]
        ]
        with pytest.raises(InvalidInputError) as caught:
            chain().route_batch(orders, allocate="priority")
        assert (caught.value.field, caught.value.row) == ("orders[1].priority", 1)


def test_an_unknown_way_to_allocate_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="allocate"):
        chain().route_batch([], allocate="luck")


def test_a_members_tier_and_what_was_promised_make_a_priority() -> None:
    assert priority_of(3, OrderType.NEXT_DAY) < priority_of(3, OrderType.SAME_DAY)
    assert priority_of(3, OrderType.SAME_DAY) < priority_of(3, OrderType.INSTANT)
    assert priority_of(9, OrderType.INSTANT) == 9
