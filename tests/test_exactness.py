"""The engine answers what the slow twin answers: the same store, metre, reason and remaining stock.

Distances are compared exactly, to the last bit.
"""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fendan.engine.router
from fendan import Decision, Engine, Nearby, Order, Policy, Reason, Status, Store, distance_m
from strategies import Scene, antipode, places, scenes
from twin import Place, Twin, haversine_m


def remaining(face: Engine | Twin, scene: Scene) -> dict[tuple[str, str], int]:
    skus = {sku for _, sku, _ in scene.rows}
    return {
        (store.id, sku): face.available(store.id, sku) for store in scene.stores for sku in skus
    }


def test_what_is_judged_here_is_the_compiled_engine() -> None:
    assert fendan.engine.router.__file__.endswith((".so", ".pyd"))


@given(places, places)
def test_the_twin_measures_to_the_last_bit_as_the_engine_does(a: Place, b: Place) -> None:
    assert haversine_m(a, b) == distance_m(*a, *b)
    assert haversine_m(a, antipode(a)) == distance_m(*a, *antipode(a))


@given(scenes())
@settings(max_examples=settings().max_examples * 2)
def test_every_order_of_a_batch_gets_the_twins_decision(scene: Scene) -> None:
    engine, twin = scene.played()
    assert engine.route_batch(scene.orders) == twin.route_batch(scene.orders)
    assert remaining(engine, scene) == remaining(twin, scene)


@given(scenes())
def test_orders_that_come_one_by_one_get_the_twins_decisions(scene: Scene) -> None:
    engine, twin = scene.played()
    for order in scene.orders:
        assert engine.route(order) == twin.route(order)
    assert remaining(engine, scene) == remaining(twin, scene)


@given(scenes(most_orders=4), st.integers(0, 15))
def test_the_nearest_stores_are_the_twins(scene: Scene, limit: int) -> None:
    engine, twin = scene.played()
    for order in scene.orders:
        at = order.lat, order.lng
        assert engine.nearest(*at, limit=limit) == twin.nearest(*at, limit=limit)
        with_basket = engine.nearest(*at, lines=order.lines, limit=limit)
        assert with_basket == twin.nearest(*at, lines=order.lines, limit=limit)


@given(scenes(most_orders=4))
def test_an_order_goes_to_the_first_of_the_nearest_stores_that_have_it(scene: Scene) -> None:
    engine, _ = scene.played()
    for order in scene.orders:
        nearest = engine.nearest(order.lat, order.lng, lines=order.lines, limit=1)
        decision = engine.route(order)
        assert nearest == told_as_nearby(decision)


def told_as_nearby(decision: Decision) -> list[Nearby]:
    if decision.status is Status.UNASSIGNED:
        return []
    assert decision.store_id is not None
    assert decision.distance_m is not None
    return [Nearby(store_id=decision.store_id, distance_m=decision.distance_m)]


# -- CHAINS OF MANY LEAVES -----------------------------------------------------------------------


def a_city(rng: random.Random, size: int) -> list[Place]:
    """Street corners: a few metres to a few kilometres apart, many of them taken twice."""
    lat, lng = rng.uniform(-60, 60), rng.uniform(-180, 179)
    step = rng.choice([1e-5, 1e-4, 1e-2])
    return [
        (lat + step * rng.randrange(size // 10), lng + step * rng.randrange(size // 10))
        for _ in range(size)
    ]


def the_whole_earth(rng: random.Random, size: int) -> list[Place]:
    return [
        (math.degrees(math.asin(rng.uniform(-1, 1))), rng.uniform(-180, 180)) for _ in range(size)
    ]


def a_grid_of_half_degrees(rng: random.Random, size: int) -> list[Place]:
    return [(rng.randrange(-20, 21) / 2, rng.randrange(-20, 21) / 2) for _ in range(size)]


def both_sides_of_the_date_line(rng: random.Random, size: int) -> list[Place]:
    return [
        (rng.randrange(-30, 30) / 100, rng.choice([-1, 1]) * (180 - rng.randrange(30) / 100))
        for _ in range(size)
    ]


def around_a_pole(rng: random.Random, size: int) -> list[Place]:
    return [(90 - rng.randrange(20) / 100, rng.randrange(-36, 37) * 5.0) for _ in range(size)]


@pytest.mark.parametrize(
    ("spread", "size"),
    [
        (a_city, 600),
        (the_whole_earth, 600),
        (a_grid_of_half_degrees, 600),
        (both_sides_of_the_date_line, 600),
        (around_a_pole, 600),
        (a_city, 5_000),  # two branches, whose leaves reach into one another
        (the_whole_earth, 5_000),
    ],
)
@pytest.mark.parametrize("radius_m", [None, 2_000.0, 60_000.0])
def test_a_chain_of_many_leaves_is_routed_as_the_twin_routes_it(
    spread: Callable[[random.Random, int], list[Place]], size: int, radius_m: float | None
) -> None:
    rng = random.Random(f"{radius_m}")
    skus = [f"sku {number}" for number in range(12)]
    spots = spread(rng, size)
    names = rng.sample(range(10_000), len(spots))  # so that ids do not follow the order of adding
    stores = [
        Store(id=f"store {name}", lat=lat, lng=lng)
        for name, (lat, lng) in zip(names, spots, strict=True)
    ]
    carried = [(s.id, sku, rng.randrange(4)) for s in stores for sku in skus if rng.random() < 0.3]
    rows = carried + [(stores[0].id, sku, 0) for sku in skus]
    orders = [
        Order(
            id=f"order {number}",
            lat=lat,
            lng=lng,
            lines=[
                (sku, rng.choice([1, 1, 1, 2]))
                for sku in rng.choices(skus, k=rng.choice([1, 2, 3]))
            ],
        )
        for number, (lat, lng) in enumerate(rng.choices(spots + spread(rng, 100), k=120))
    ]
    scene = Scene(stores, rows, Policy(radius_m=radius_m), orders)
    engine, twin = scene.played()
    decisions = engine.route_batch(orders)
    assert decisions == twin.route_batch(orders)
    assert remaining(engine, scene) == remaining(twin, scene)
    assert any(decision.status is Status.ASSIGNED for decision in decisions)


# -- RULES, ONE BY ONE ---------------------------------------------------------------------------


def engine_with(*stores: tuple[str, float, float], radius_m: float | None = None) -> Engine:
    engine = Engine(policy=Policy(radius_m=radius_m))
    engine.add_stores(Store(id=name, lat=lat, lng=lng) for name, lat, lng in stores)
    return engine


def an_order(lat: float, lng: float, *lines: tuple[str, int]) -> Order:
    return Order(id="order", lat=lat, lng=lng, lines=list(lines) or [("tea", 1)])


def test_at_the_same_distance_the_smaller_id_wins() -> None:
    engine = engine_with(("B", 0, 1), ("a", 0, -1), ("A", 1, 0), ("é", -1, 0))
    engine.set_stock((name, "tea", 1) for name in ("B", "a", "A", "é"))
    winners = [
        engine.route(Order(id=str(turn), lat=0, lng=0, lines=[("tea", 1)])).store_id
        for turn in range(5)
    ]
    assert winners == ["A", "B", "a", "é", None]


def test_a_store_exactly_at_the_radius_is_inside_and_a_hair_beyond_is_not() -> None:
    exactly_m = distance_m(31.2, 121.4, 31.25, 121.5)
    for radius_m, reason in (
        (exactly_m, Reason.NONE),
        (math.nextafter(exactly_m, 0), Reason.NO_STORE_IN_RADIUS),
    ):
        engine = engine_with(("s", 31.25, 121.5), radius_m=radius_m)
        engine.set_stock([("s", "tea", 1)])
        assert engine.route(an_order(31.2, 121.4)).reason is reason


def test_a_radius_of_zero_still_reaches_the_store_at_the_door() -> None:
    engine = engine_with(("s", 31.25, 121.5), radius_m=0)
    engine.set_stock([("s", "tea", 1)])
    assert engine.route(an_order(31.25, 121.5)).store_id == "s"


def test_one_store_must_have_every_line() -> None:
    engine = engine_with(("near", 0, 0), ("far", 0, 1))
    engine.set_stock([("near", "tea", 9), ("far", "tea", 1), ("far", "milk", 1)])
    assert engine.route(an_order(0, 0, ("tea", 1), ("milk", 1))).store_id == "far"


def test_lines_of_one_sku_are_wanted_together() -> None:
    engine = engine_with(("near", 0, 0), ("far", 0, 1))
    engine.set_stock([("near", "tea", 3), ("far", "tea", 4)])
    assert engine.route(an_order(0, 0, ("tea", 2), ("tea", 2))).store_id == "far"
    assert engine.available("far", "tea") == 0


def test_a_later_order_of_the_batch_sees_what_an_earlier_one_took() -> None:
    engine = engine_with(("near", 0, 0), ("far", 0, 1))
    engine.set_stock([("near", "tea", 1), ("far", "tea", 1)])
    orders = [Order(id=str(n), lat=0, lng=0, lines=[("tea", 1)]) for n in range(3)]
    assert [d.store_id for d in engine.route_batch(orders)] == ["near", "far", None]


def test_an_order_without_a_store_says_why() -> None:
    def reason(order: Order, radius_m: float | None) -> Reason:
        engine = engine_with(("near", 0, 0.01), ("far", 0, 1), radius_m=radius_m)
        engine.set_stock([("near", "milk", 1), ("far", "tea", 1)])
        return engine.route(order).reason

    two_milk = an_order(0, 0, ("milk", 2))
    assert reason(two_milk, None) is Reason.NO_STOCK
    assert reason(two_milk, 5_000) is Reason.NO_STOCK
    assert reason(two_milk, 500) is Reason.NO_STORE_IN_RADIUS
    assert reason(an_order(0, 0), 5_000) is Reason.NO_STOCK_IN_RADIUS
    assert reason(an_order(0, 0), 500) is Reason.NO_STORE_IN_RADIUS
