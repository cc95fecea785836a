"""An order has one answer for ever, gives its stock back once, and is named when that is short."""

import pickle
from dataclasses import replace
from typing import Any

import pytest

from fendan import (
    Decision,
    Engine,
    Order,
    OrderConflictError,
    Policy,
    Reason,
    Shortfall,
    Status,
    Store,
    UnknownOrderError,
)
from fendan.engine.events import Events
from fendan.engine.history import read
from fendan.model import Line


@pytest.fixture
def engine() -> Engine:
    """Two shops in one street, with three teas and two milks each."""
    engine = Engine()
    engine.add_stores(
        [Store(id="east", lat=31.23, lng=121.48), Store(id="west", lat=31.23, lng=121.46)]
    )
    engine.set_stock((s, sku, n) for s in ("east", "west") for sku, n in (("tea", 3), ("milk", 2)))
    return engine


def order(name: str, *lines: Line, lat: float = 31.23, lng: float = 121.49) -> Order:
    return Order(id=name, lat=lat, lng=lng, lines=list(lines) or [("tea", 1)])


# -- IDEMPOTENCY ---------------------------------------------------------------------------------


def test_a_retried_order_gets_its_first_answer_again_and_reserves_nothing(engine: Engine) -> None:
    first = engine.route(order("1"))
    assert first.store_id == "east"
    assert [engine.route(order("1")) for _ in range(5)] == [first] * 5
    assert engine.available("east", "tea") == 2


def test_a_retry_is_told_the_first_store_even_when_that_has_sold_out(engine: Engine) -> None:
    first = engine.route(order("1"))
    engine.set_stock([("east", "tea", 0)])
    assert engine.route(order("1")) == first
    assert engine.route(order("2")).store_id == "west"


def test_an_order_nobody_could_fill_is_told_so_again_though_stock_has_come(engine: Engine) -> None:
    first = engine.route(order("1", ("tea", 9)))
    assert first.reason is Reason.NO_STOCK
    engine.set_stock([("east", "tea", 9)])
    assert engine.route(order("1", ("tea", 9))) == first
    assert engine.available("east", "tea") == 9


def test_a_retry_may_order_and_split_its_lines_otherwise(engine: Engine) -> None:
    first = engine.route(order("1", ("tea", 2), ("milk", 1)))
    assert engine.route(order("1", ("milk", 1), ("tea", 2))) == first
    assert engine.route(order("1", ("tea", 1), ("milk", 1), ("tea", 1))) == first
    assert engine.available("east", "tea") == 1


def test_a_retry_under_another_policy_gets_its_first_answer(engine: Engine) -> None:
    first = engine.route(order("1"))
    assert engine.route(order("1"), policy=Policy(radius_m=0)) == first


def test_the_same_order_twice_in_one_batch_is_one_order(engine: Engine) -> None:
    decisions = engine.route_batch([order("1"), order("2"), order("1"), order("2"), order("1")])
    assert decisions[0] == decisions[2] == decisions[4]
    assert decisions[1] == decisions[3]
    assert engine.available("east", "tea") == 1


def test_an_id_with_other_content_is_refused_and_says_what_differs(engine: Engine) -> None:
    first = engine.route(order("1"))
    for changed, what in (
        (order("1", lat=31.24), "lat was 31.23 and is now 31.24"),
        (order("1", lng=121.5), "lng was 121.49 and is now 121.5"),
        (order("1", ("tea", 2)), r"lines was [('tea', 1)] and is now [('tea', 2)]"),
        (order("1", ("milk", 1)), r"lines was [('tea', 1)] and is now [('milk', 1)]"),
        (order("1", ("tea", 1), ("milk", 1)), "and is now [('tea', 1), ('milk', 1)]"),
    ):
        with pytest.raises(OrderConflictError) as refused:
            engine.route(changed)
        assert refused.value.value == "1"
        assert what in str(refused.value)
    assert engine.decision("1") == first


# -- MONEY ---------------------------------------------------------------------------------------

PRICED = ("tea", 2, 1998), ("milk", 1)


def test_what_an_order_costs_makes_no_difference_to_where_it_goes(engine: Engine) -> None:
    priced = engine.route(order("1", *PRICED), dry_run=True)
    assert priced == engine.route(order("1", ("tea", 2), ("milk", 1)), dry_run=True)


@pytest.mark.parametrize(
    "lines",
    [
        (("milk", 1), ("tea", 2, 1998)),
        (("tea", 1, 999), ("milk", 1, 0), ("tea", 1, 999)),
        (("tea", 1, 1998), ("tea", 1), ("milk", 1)),
    ],
)
def test_a_retry_that_adds_up_to_the_same_amounts_is_the_same_order(
    engine: Engine, lines: tuple[Line, ...]
) -> None:
    first = engine.route(order("1", *PRICED))
    assert engine.route(order("1", *lines)) == first


def test_a_retry_at_another_price_is_refused_and_says_what_differs(engine: Engine) -> None:
    engine.route_batch([order("1", *PRICED), order("2")])
    for changed, what in (
        (order("1", ("tea", 2), ("milk", 1)), "amounts was {'tea': 1998} and is now {}"),
        (order("1", ("tea", 2, 1997), ("milk", 1)), "and is now {'tea': 1997}"),
        (order("1", ("milk", 1, 5), ("tea", 2, 1998)), "and is now {'milk': 5, 'tea': 1998}"),
        (order("1", ("tea", 1, 1998), ("milk", 1)), "lines was [('tea', 2), ('milk', 1)] and"),
        (order("2", ("tea", 1, 1)), "amounts was {} and is now {'tea': 1}"),
    ):
        with pytest.raises(OrderConflictError) as refused:
            engine.route(changed)
        assert what in str(refused.value)


def test_an_amount_of_nothing_is_no_amount(engine: Engine) -> None:
    first = engine.route(order("1", ("tea", 1), ("milk", 1, 0)))
    assert engine.route(order("1", ("tea", 1, 0), ("milk", 1))) == first


def test_the_largest_amounts_of_the_longest_order_add_up(engine: Engine) -> None:
    engine.set_stock([("east", "tea", 10_000)])
    first = engine.route(order("1", *[("tea", 1, 10**12)] * 10_000))
    assert first.store_id == "east"
    with pytest.raises(OrderConflictError, match="'tea': 10000000000000000}"):
        engine.route(order("1", ("tea", 10_000, 10**12)))


def test_amounts_stand_in_the_events_of_the_orders_that_have_some(engine: Engine) -> None:
    engine._orders.events = events = Events()
    engine.route_batch([order("plain"), order("priced", ("tea", 1, 5), ("milk", 1), ("tea", 1, 7))])
    plain, priced = read(bytes(events.padded()[: events.size]), 1, 0, 2)
    assert [move.amount for move in plain.moves] == [0]
    assert {move.sku: move.amount for move in priced.moves} == {0: 12, 1: 0}


def test_an_order_without_amounts_takes_no_more_memory_in_a_batch_with_them() -> None:
    def growth(priced: bool) -> int:
        """Bytes of 16,000 orders, of which at most one has an amount."""
        engine = Engine()
        engine.add_stores([Store(id="east", lat=31, lng=121)])
        engine.set_stock([("east", f"{sku}", 1) for sku in range(20)])
        lines: list[Line] = [(f"{sku}", 1) for sku in range(20)]
        orders = [Order(id=f"{row:05}", lat=31, lng=121, lines=lines) for row in range(16_000)]
        if priced:
            orders[7] = replace(orders[7], lines=[*lines[:-1], ("19", 1, 5)])
        engine.route_batch(orders)
        return engine._orders.records.byte_count

    assert growth(priced=True) == growth(priced=False)


# -- RELEASE -------------------------------------------------------------------------------------


def test_a_released_order_gives_its_stock_back_once(engine: Engine) -> None:
    engine.route(order("1", ("tea", 2), ("milk", 2)))
    assert engine.release("1") is True
    assert engine.release("1") is False
    assert (engine.available("east", "tea"), engine.available("east", "milk")) == (3, 2)


def test_released_stock_can_be_sold_again(engine: Engine) -> None:
    engine.route(order("1", ("tea", 3)))
    assert engine.route(order("2", ("tea", 3))).store_id == "west"
    engine.release("1")
    assert engine.route(order("3", ("tea", 3))).store_id == "east"


def test_a_released_id_stays_spent(engine: Engine) -> None:
    first = engine.route(order("1"))
    engine.release("1")
    assert engine.route(order("1")) == first
    assert engine.decision("1") == first
    assert engine.available("east", "tea") == 3
    assert engine.release("1") is False


def test_an_order_without_a_store_has_nothing_to_release(engine: Engine) -> None:
    engine.route(order("1", ("tea", 9)))
    assert engine.release("1") is False


def test_an_order_that_was_never_routed_is_unknown(engine: Engine) -> None:
    with pytest.raises(UnknownOrderError):
        engine.release("1")
    with pytest.raises(UnknownOrderError):
        engine.decision("1")


def test_a_release_after_new_stores_had_the_chain_sorted_anew_finds_its_store(
    engine: Engine,
) -> None:
    engine.route(order("1", ("tea", 2)))
    engine.add_stores(Store(id=f"new {n}", lat=n / 10, lng=n / 10) for n in range(500))
    assert engine.available("east", "tea") == 1
    assert engine.release("1") is True
    assert engine.available("east", "tea") == 3


# -- SHORTFALLS ----------------------------------------------------------------------------------


def test_a_snapshot_below_what_is_reserved_names_the_orders_oldest_first(engine: Engine) -> None:
    engine.route_batch([order("z", ("tea", 1)), order("a", ("tea", 2), ("milk", 1))])
    engine.route(order("elsewhere", ("tea", 1)))
    short = engine.set_stock(
        [("east", "tea", 2), ("east", "milk", 1), ("west", "tea", 3)]
    ).shortfalls
    assert short == (
        Shortfall(store_id="east", sku="tea", on_hand=2, reserved=3, order_ids=("z", "a")),
    )
    assert engine.available("east", "tea") == 0


def test_a_short_store_sells_nothing_until_it_has_more_than_it_owes(engine: Engine) -> None:
    engine.route(order("1", ("tea", 3)))
    assert len(engine.set_stock([("east", "tea", 1)]).shortfalls) == 1
    assert engine.route(order("2")).store_id == "west"
    assert engine.set_stock([("east", "tea", 4)]).shortfalls == ()
    assert engine.available("east", "tea") == 1
    assert engine.route(order("3")).store_id == "east"


def test_releasing_the_orders_of_a_shortfall_makes_it_good(engine: Engine) -> None:
    engine.route_batch([order("1", ("tea", 1)), order("2", ("tea", 2))])
    (short,) = engine.set_stock([("east", "tea", 1)]).shortfalls
    assert [engine.release(name) for name in short.order_ids] == [True, True]
    assert engine.available("east", "tea") == 1
    assert engine.set_stock([("east", "tea", 1)]).shortfalls == ()


def test_of_a_pair_that_stands_twice_in_a_snapshot_the_last_counts(engine: Engine) -> None:
    engine.route(order("1", ("tea", 3)))
    assert engine.set_stock([("east", "tea", 0), ("east", "tea", 5)]).shortfalls == ()
    assert engine.available("east", "tea") == 2
    (short,) = engine.set_stock([("east", "tea", 5), ("east", "tea", 0)]).shortfalls
    assert (short.on_hand, short.reserved) == (0, 3)


def test_orders_routed_without_ids_are_reserved_but_nobody_to_name(engine: Engine) -> None:
    engine.route_arrays(lat=[31.23], lng=[121.49], offsets=[0, 1], skus=[0], quantities=[3])
    (short,) = engine.set_stock([("east", "tea", 0)]).shortfalls
    assert (short.reserved, short.order_ids) == (3, ())


# -- THE DECISION --------------------------------------------------------------------------------


def test_a_known_order_can_be_asked_for_its_decision(engine: Engine) -> None:
    told = engine.route_batch([order("1"), order("2", ("tea", 9))])
    assert [engine.decision("1"), engine.decision("2")] == told


def test_a_decision_is_a_value(engine: Engine) -> None:
    told = engine.route(order("1"))
    fields: dict[str, Any] = {
        "order_id": "1",
        "status": Status.ASSIGNED,
        "store_id": "east",
        "distance_m": told.distance_m,
        "reason": Reason.NONE,
    }
    same = Decision(**fields)
    assert told == same
    assert hash(told) == hash(same)
    assert len({told, same}) == 1
    for field, other in (
        ("order_id", "2"),
        ("status", Status.UNASSIGNED),
        ("store_id", "west"),
        ("distance_m", 0.0),
        ("reason", Reason.NO_STOCK),
    ):
        assert told != Decision(**fields | {field: other})
    assert told != "1"


def test_a_decision_shows_all_it_says(engine: Engine) -> None:
    assert repr(engine.route(order("1", ("tea", 9)))) == (
        "Decision(order_id='1', status=<Status.UNASSIGNED: 2>, store_id=None, distance_m=None, "
        "reason=<Reason.NO_STOCK: 4>)"
    )


def test_a_decision_survives_pickling(engine: Engine) -> None:
    for told in engine.route_batch([order("1"), order("2", ("tea", 9))]):
        assert pickle.loads(pickle.dumps(told)) == told


@pytest.mark.parametrize("field", ["order_id", "status", "store_id", "distance_m", "reason"])
def test_a_decision_cannot_be_changed(engine: Engine, field: str) -> None:
    told = engine.route(order("1"))
    with pytest.raises(AttributeError):
        setattr(told, field, None)


def test_an_id_that_is_a_kind_of_str_names_the_same_order(engine: Engine) -> None:
    class OrderNumber(str):
        pass

    told = engine.route(order(OrderNumber("1")))
    assert told == engine.route(order("1"))
    assert type(told.order_id) is str


def test_a_status_and_a_reason_print_as_their_names_and_compare_as_ints() -> None:
    assert f"{Status.UNASSIGNED}: {Reason.NO_STOCK}" == "UNASSIGNED: NO_STOCK"
    assert str(Reason.NO_STORES) == "NO_STORES"
    assert (int(Status.ASSIGNED), bool(Reason.NONE), bool(Reason.NO_STOCK)) == (1, False, True)
