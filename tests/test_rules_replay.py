"""Under a policy, too: the same commands lead to the same state, and a replay comes to it again."""

from pathlib import Path

from clock import StoppedClock
from fendan import Decision, Engine, Order, Status, Store
from fendan.rules import OrderType
from fendan.state import state_hash

POLICY = """
default_type = "NEXT_DAY"
[types.NEXT_DAY]
split = { mode = "FEWEST", split_lines = true }
merge_window = "1h"
[types.GROUP]
merge_window = "1h"
"""


def opened(folder: Path) -> Engine:
    return Engine.open(folder, clock=StoppedClock(), snapshot_bytes=0)


def begun(engine: Engine) -> Engine:
    """Three shops with two teas each."""
    shops = ("east", "middle", "west")
    engine.add_stores(
        Store(id=name, lat=31.23, lng=121.48 - at / 100) for at, name in enumerate(shops)
    )
    engine.set_stock((name, "tea", 2) for name in shops)
    engine.activate_policy(engine.draft_policy(POLICY))
    return engine


def order(name: str, teas: int, **said: str) -> Order:
    kind = OrderType.GROUP if "group_id" in said else OrderType.NEXT_DAY
    lines = [("tea", teas)]
    return Order(id=name, lat=31.23, lng=121.49, lines=lines, order_type=kind, **said)  # type: ignore[arg-type]


def a_day(engine: Engine) -> list[Decision]:
    """A split order and one that nobody has, in one batch; a buyer's order; a group's."""
    home = {"buyer_id": "li", "address_id": "home"}
    told = engine.route_batch([order("split", 3, **home), order("none", 99)])
    told.append(engine.route(order("mine", 1, **home)))
    told.append(engine.route(order("ours", 1, group_id="g")))
    return told


def next_day(engine: Engine) -> list[Decision]:
    return [
        engine.route(order("mine too", 1, buyer_id="li", address_id="home")),
        engine.route(order("ours too", 1, group_id="g")),
    ]


def test_the_day_has_all_of_it() -> None:
    split, none, mine, ours = a_day(begun(Engine(clock=StoppedClock())))
    assert [one.store_id for one in split.shipments] == ["east", "middle"]
    assert none.status is Status.UNASSIGNED
    assert mine.merge_group and ours.merge_group


def test_two_engines_come_to_the_same_state() -> None:
    hashes = set()
    for _ in range(5):
        engine = begun(Engine(clock=StoppedClock()))
        a_day(engine)
        hashes.add(state_hash(engine))
    assert len(hashes) == 1


def test_an_engine_opened_again_is_as_it_was_and_decides_as_it_would_have(tmp_path: Path) -> None:
    there = begun(Engine(clock=StoppedClock()))
    with begun(opened(tmp_path)) as engine:
        assert a_day(engine) == a_day(there)
        assert state_hash(engine) == state_hash(there)
    with opened(tmp_path) as engine:
        assert state_hash(engine) == state_hash(there)
        assert a_day(engine) == a_day(there)
        assert next_day(engine) == next_day(there)


def test_also_from_a_snapshot_and_what_came_after_it(tmp_path: Path) -> None:
    there = begun(Engine(clock=StoppedClock()))
    with begun(opened(tmp_path)) as engine:
        engine.snapshot()
        assert a_day(engine) == a_day(there)
        engine.snapshot()
        assert next_day(engine) == next_day(there)
    with opened(tmp_path) as engine:
        assert state_hash(engine) == state_hash(there)


def test_a_dry_run_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    with begun(opened(tmp_path)) as engine:
        before = state_hash(engine)
        buyer = order("mine", 3, buyer_id="li", address_id="home")
        engine.route_batch([buyer, order("ours", 1, group_id="g")], dry_run=True)
        assert state_hash(engine) == before


def test_an_order_is_read_again_that_found_what_a_shipment_decided_before_it_had_left(
    tmp_path: Path,
) -> None:
    """Though the shipment is written behind it."""
    with begun(opened(tmp_path)) as engine:
        engine.set_stock([("middle", "tea", 4)])
        split, whole = engine.route_batch([order("split", 5), order("whole", 1)])
        assert [one.store_id for one in split.shipments] == ["east", "middle"]
        assert whole.store_id == "middle"
        before = state_hash(engine)
    with opened(tmp_path) as engine:
        assert state_hash(engine) == before


def test_an_order_is_read_again_that_stood_in_the_middle_of_a_group(tmp_path: Path) -> None:
    """The group was decided before it, and one of the group's orders is written behind it."""
    with begun(opened(tmp_path)) as engine:
        engine.set_stock([("east", "tea", 9)])
        batch = [order("first", 2, group_id="g"), order("other", 1), order("last", 2, group_id="g")]
        assert {one.store_id for one in engine.route_batch(batch)} == {"east"}
        before = state_hash(engine)
    with opened(tmp_path) as engine:
        assert state_hash(engine) == before
