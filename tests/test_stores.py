"""Stores move, pause, resume and go; what they hold for orders is never lost on the way."""

import math
import random
from collections.abc import Callable

import pytest

from fendan import (
    Datum,
    DuplicateStoreError,
    Engine,
    FendanError,
    InvalidInputError,
    Order,
    Policy,
    Reason,
    Shortfall,
    Store,
    UnknownStoreError,
    convert,
)
from twin import Twin


@pytest.fixture
def engine() -> Engine:
    """Two shops in one street, with three teas and two milks each."""
    engine = Engine()
    engine.add_stores(
        [
            Store(id="east", lat=31.23, lng=121.48, region="Pudong"),
            Store(id="west", lat=31.23, lng=121.46),
        ]
    )
    engine.set_stock((s, sku, n) for s in ("east", "west") for sku, n in (("tea", 3), ("milk", 2)))
    return engine


def order(name: str, *lines: tuple[str, int]) -> Order:
    return Order(id=name, lat=31.23, lng=121.49, lines=list(lines) or [("tea", 1)])


def ids_of(engine: Engine) -> list[str]:
    return [status.store.id for status in engine.stores()]


# -- MOVING --------------------------------------------------------------------------------------


def test_a_store_that_moved_takes_the_orders_of_its_new_place(engine: Engine) -> None:
    engine.update_stores([Store(id="west", lat=31.23, lng=121.49)])
    told = engine.route(order("1"))
    assert (told.store_id, told.distance_m) == ("west", 0.0)


def test_a_store_that_moved_keeps_its_stock_and_what_it_holds(engine: Engine) -> None:
    engine.route(order("1", ("tea", 2)))
    engine.update_stores([Store(id="east", lat=-31.0, lng=-60.0)])
    (milk, tea) = sorted(engine.stock("east"), key=lambda level: level.sku)
    assert (tea.on_hand, tea.reserved, milk.on_hand, milk.reserved) == (3, 2, 2, 0)
    assert engine.release("1") is True
    assert engine.available("east", "tea") == 3


def test_a_paused_store_that_moves_stays_paused(engine: Engine) -> None:
    engine.pause_stores(["west"])
    engine.update_stores([Store(id="west", lat=31.23, lng=121.49)])
    engine.update_stores([Store(id="west", lat=0.0, lng=0.0)])
    assert [status.paused for status in engine.stores()] == [False, True]
    assert engine.route(order("1")).store_id == "east"


def test_an_update_says_all_there_is_to_say_of_a_store(engine: Engine) -> None:
    engine.update_stores(
        [Store(id="west", lat=1, lng=2, region="sea"), Store(id="east", lat=3, lng=4)]
    )
    assert [status.store for status in engine.stores()] == [
        Store(id="east", lat=3.0, lng=4.0),
        Store(id="west", lat=1.0, lng=2.0, region="sea"),
    ]
    assert (engine.region_of("west"), engine.region_of("east")) == ("sea", "")


def test_a_store_may_move_by_another_datum(engine: Engine) -> None:
    engine.update_stores([Store(id="west", lat=31.2, lng=121.5, datum=Datum.GCJ02)])
    moved = engine.stores()[1].store
    assert (moved.lat, moved.lng) == convert(31.2, 121.5, Datum.GCJ02, Datum.WGS84)
    assert moved.datum is None


@pytest.mark.parametrize("step_m", [0.001, 0.5, 3.0, 200.0, 100_000.0])
def test_wherever_stores_move_the_nearest_is_still_the_nearest(step_m: float) -> None:
    """Steps within a leaf, to its very edge, and across the country; the slow twin is asked."""
    rng = random.Random(step_m)
    stores = [
        Store(id=f"{n}", lat=31 + rng.random() / 50, lng=121 + rng.random() / 50)
        for n in range(400)
    ]
    engine, twin = Engine(), Twin()
    for face in (engine, twin):
        face.add_stores(stores)
    for _ in range(12):
        moved = [step(rng, one.store, step_m) for one in rng.sample(engine.stores(), 5)]
        for face in (engine, twin):
            face.update_stores(moved)
        for near in moved:
            at = step(rng, near, step_m)
            assert engine.nearest(at.lat, at.lng) == twin.nearest(at.lat, at.lng)
    assert engine.stores() == twin.stores()


def step(rng: random.Random, store: Store, metres: float) -> Store:
    """The store a step away, in one of four directions."""
    degrees = metres / 111_195
    lat, lng = rng.choice([(degrees, 0.0), (-degrees, 0.0), (0.0, degrees), (0.0, -degrees)])
    lng /= math.cos(math.radians(store.lat))
    return Store(id=store.id, lat=store.lat + lat, lng=store.lng + lng)


# -- PAUSING -------------------------------------------------------------------------------------


def test_a_paused_store_gets_no_orders_until_it_resumes(engine: Engine) -> None:
    engine.pause_stores(["east"])
    assert engine.route(order("1")).store_id == "west"
    engine.resume_stores(["east"])
    assert engine.route(order("2")).store_id == "east"


def test_a_paused_store_keeps_what_it_holds_and_can_give_it_back(engine: Engine) -> None:
    first = engine.route(order("1"))
    engine.pause_stores(["east"])
    assert engine.route(order("1")) == first
    assert engine.is_held("1")
    assert engine.release("1") is True
    assert engine.stock("east", ["tea"])[0].reserved == 0


def test_a_paused_store_is_nobodys_nearest(engine: Engine) -> None:
    engine.pause_stores(["east"])
    assert [near.store_id for near in engine.nearest(31.23, 121.49)] == ["west"]
    engine.pause_stores(["west"])
    assert engine.nearest(31.23, 121.49) == []


def test_a_chain_in_which_all_stores_are_paused_has_no_stores(engine: Engine) -> None:
    engine.pause_stores(["east", "west"])
    assert engine.route(order("1")).reason is Reason.NO_STORES
    engine.resume_stores(["west"])
    near = Policy(radius_m=1.0)
    assert engine.route(order("2"), policy=near).reason is Reason.NO_STORE_IN_RADIUS
    assert engine.route(order("3", ("tea", 9))).reason is Reason.NO_STOCK


def test_stock_in_a_paused_store_is_nobodys_reason(engine: Engine) -> None:
    engine.set_stock([("west", "coffee", 5)])
    engine.pause_stores(["west"])
    near = Policy(radius_m=1_000.0)
    assert engine.route(order("1", ("coffee", 1)), policy=near).reason is Reason.NO_STOCK
    engine.resume_stores(["west"])
    assert engine.route(order("2", ("coffee", 1)), policy=near).reason is Reason.NO_STOCK_IN_RADIUS


def test_stores_may_be_paused_and_resumed_twice(engine: Engine) -> None:
    for _ in range(2):
        engine.pause_stores(["east", "east"])
        assert [status.paused for status in engine.stores()] == [True, False]
    for _ in range(2):
        engine.resume_stores(["east", "west"])
        assert [status.paused for status in engine.stores()] == [False, False]


# -- REMOVING ------------------------------------------------------------------------------------


def test_a_removed_store_names_the_orders_that_need_another(engine: Engine) -> None:
    engine.route_batch([order("z"), order("a", ("milk", 2), ("tea", 1))])
    assert engine.remove_stores(["east"]) == [
        Shortfall(store_id="east", sku="tea", on_hand=0, reserved=2, order_ids=("z", "a")),
        Shortfall(store_id="east", sku="milk", on_hand=0, reserved=2, order_ids=("a",)),
    ]
    assert engine.route(order("2")).store_id == "west"


def test_a_removed_store_is_unknown_to_everybody(engine: Engine) -> None:
    assert engine.remove_stores(["east"]) == []
    assert ids_of(engine) == ["west"]
    calls: list[Callable[[], object]] = [
        lambda: engine.stock("east"),
        lambda: engine.available("east", "tea"),
        lambda: engine.region_of("east"),
        lambda: engine.stock_version("east"),
        lambda: engine.set_stock([("east", "tea", 1)]),
        lambda: engine.adjust_stock([("east", "tea", 1)]),
        lambda: engine.pause_stores(["east"]),
        lambda: engine.resume_stores(["east"]),
        lambda: engine.remove_stores(["east"]),
        lambda: engine.update_stores([Store(id="east", lat=0, lng=0)]),
        lambda: engine.store_codes(["east"]),
    ]
    for call in calls:
        with pytest.raises(UnknownStoreError):
            call()


def test_orders_of_a_removed_store_are_told_what_they_were_told(engine: Engine) -> None:
    first = engine.route(order("1"))
    engine.remove_stores(["east"])
    assert engine.route(order("1")) == engine.decision("1") == first
    assert engine.is_held("1")
    assert [engine.release("1"), engine.release("1")] == [True, False]
    assert engine.route(order("2")).store_id == "west"


def test_an_id_that_is_used_again_is_another_store(engine: Engine) -> None:
    engine.route(order("1", ("tea", 2)))
    engine.set_stock([("east", "milk", 2)], versions={"east": 7})
    engine.remove_stores(["east"])
    engine.add_stores([Store(id="east", lat=31.23, lng=121.49)])
    assert (engine.stock("east"), engine.stock_version("east")) == ([], 0)
    assert (engine.region_of("east"), ids_of(engine)) == ("", ["west", "east"])
    assert engine.set_stock([("east", "tea", 1)], versions={"east": 1}).stale == ()
    assert engine.release("1") is True
    assert engine.available("east", "tea") == 1
    assert engine.route(order("2")).store_id == "east"


def test_all_stores_may_go_and_others_may_come(engine: Engine) -> None:
    engine.remove_stores(["west", "east"])
    assert engine.stores() == []
    assert engine.nearest(0, 0) == []
    assert engine.route(order("1")).reason is Reason.NO_STORES
    engine.add_stores(Store(id=f"{n}", lat=n / 10, lng=0) for n in range(200))
    engine.set_stock([("3", "tea", 1)])
    assert engine.route(order("2")).store_id == "3"


def test_nothing_at_all_is_done_to_no_stores(engine: Engine) -> None:
    before, cursor = engine.stores(), engine.cursor()
    engine.update_stores([])
    engine.pause_stores([])
    engine.resume_stores([])
    assert engine.remove_stores([]) == []
    assert (engine.stores(), engine.cursor()) == (before, cursor)


# -- MISTAKES ------------------------------------------------------------------------------------


def test_a_bad_update_moves_no_store(engine: Engine) -> None:
    before = engine.stores()
    good = Store(id="west", lat=0, lng=0, region="sea")
    for bad, field in (
        (Store(id="nobody's", lat=0, lng=0), "stores[1].id"),
        (good, "stores[1].id"),
        (Store(id="", lat=0, lng=0), "stores[1].id"),
        (Store(id="east", lat=91, lng=0), "stores[1].lat"),
        (Store(id="east", lat=0, lng=float("nan")), "stores[1].lng"),
        (Store(id="east", lat=0, lng=0, region="a\0b"), "stores[1].region"),
        (Store(id="east", lat=0, lng=0, region="x" * 256), "stores[1].region"),
        ("east", "stores[1].id"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            engine.update_stores([good, bad])  # type: ignore[list-item]
        assert (refused.value.field, refused.value.row) == (field, 1)
        assert engine.stores() == before


Command = Callable[[Engine, list[object]], object]
COMMANDS: list[Command] = [
    lambda engine, names: engine.pause_stores(names),  # type: ignore[arg-type]
    lambda engine, names: engine.resume_stores(names),  # type: ignore[arg-type]
    lambda engine, names: engine.remove_stores(names),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("command", COMMANDS, ids=["pause", "resume", "remove"])
@pytest.mark.parametrize(
    "names",
    [["east", "nobody's"], ["east", ""], ["east", 1], ["east", None], [0], [-1], [99], [True]],
    ids=str,
)
def test_stores_are_named_by_their_ids_or_nothing_is_done(
    engine: Engine, command: Command, names: list[object]
) -> None:
    """Codes are for arrays of stock: here a number is nobody's id."""
    engine.pause_stores(["west"])
    before, cursor = engine.stores(), engine.cursor()
    with pytest.raises(FendanError) as refused:
        command(engine, names)
    assert (refused.value.field, refused.value.row) == ("store_ids", len(names) - 1)
    assert (engine.stores(), engine.cursor()) == (before, cursor)


def test_a_store_cannot_be_removed_twice_in_one_call(engine: Engine) -> None:
    with pytest.raises(DuplicateStoreError) as refused:
        engine.remove_stores(["east", "west", "east"])
    assert (refused.value.field, refused.value.row) == ("store_ids", 2)
    assert ids_of(engine) == ["east", "west"]


def test_the_ids_may_come_from_anything_that_can_be_iterated(engine: Engine) -> None:
    engine.pause_stores(name for name in ["east", "west"])
    assert all(status.paused for status in engine.stores())
    engine.resume_stores({"east": 1, "west": 2})
    engine.remove_stores(iter(["east"]))
    assert ids_of(engine) == ["west"]


def test_a_str_is_not_taken_for_a_list_of_ids(engine: Engine) -> None:
    engine.add_stores([Store(id="e", lat=0, lng=0)])
    for call in (engine.pause_stores, engine.resume_stores, engine.remove_stores):
        with pytest.raises(InvalidInputError):
            call("e")
    assert ids_of(engine) == ["east", "west", "e"]
