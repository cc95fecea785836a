"""Perishables: what expires first is sold first, and what arrives is good for long enough."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    FendanError,
    InvalidInputError,
    Lot,
    Order,
    OrderState,
    QuantityOverflowError,
    RejectReason,
    SkuProfile,
    Store,
    StoreProfile,
    UnknownSkuError,
    UnknownStoreError,
    WrongTypeError,
)
from fendan.checking import check
from fendan.filelog import FileLog
from fendan.rules import OrderType
from fendan.state import state_hash

NOON_NS = 1_767_240_000 * 10**9  # noon of the first of January 2026 in Shanghai
TODAY = date(2026, 1, 1)
DOOR = 31.2, 121.4
DAY_S = 86_400.0

# A promise of an hour for INSTANT orders, of a day for NEXT_DAY ones.
QUICK_AND_SLOW = """
[types.INSTANT]
steps = [{ name = "STORE", radius_m = 50000 }]
promise = { pick = "30min", pick_per_open_order = 0, speed_kmh = 60, most = "24h" }
[types.NEXT_DAY]
steps = [{ name = "STORE", radius_m = 50000 }]
promise = { pick = "24h", pick_per_open_order = 0, speed_kmh = 60 }
"""


def on(days: int) -> str:
    """A date, so many days from today."""
    return (TODAY + timedelta(days)).isoformat()


def a_dairy(clock: StoppedClock | None = None, policy: str = "", **settings: Any) -> Engine:
    """Three shops, S1 the nearest to the door, without stock."""
    engine = Engine(clock=clock or StoppedClock(NOON_NS), **settings)
    with_shops(engine, policy)
    return engine


def with_shops(engine: Engine, policy: str = "") -> None:
    engine.add_stores(
        Store(id=f"S{number}", lat=31.2, lng=121.4 + number / 100) for number in (1, 2, 3)
    )
    if policy:
        engine.activate_policy(engine.draft_policy(policy))


def kept(folder: Path, clock: StoppedClock) -> Engine:
    log = FileLog(folder, first_segment_bytes=1 << 20, segment_bytes=1 << 20)
    return Engine.open(folder, clock=clock, log=log, snapshot_bytes=0)


def milk(name: str, quantity: int = 1, kind: OrderType = OrderType.INSTANT) -> Order:
    lat, lng = DOOR
    return Order(id=name, lat=lat, lng=lng, lines=[("milk", quantity)], order_type=kind)


def lots(engine: Engine, store: str = "S1", sku: str = "milk") -> list[tuple[int, int, int]]:
    """Days from today, on hand, reserved."""
    return [
        ((date.fromisoformat(lot.date) - TODAY).days, lot.on_hand, lot.reserved)
        for lot in engine.lots(store, sku)
    ]


def store_of(engine: Engine, order: Order, **settings: Any) -> str | None:
    store: str | None = engine.route(order, **settings).store_id
    return store


# -- SETTING -----------------------------------------------------------------------------------


def test_on_hand_is_the_sum_of_the_lots() -> None:
    engine = a_dairy()
    assert engine.set_lots("S1", "milk", {on(3): 4, on(1): 2}) == []
    assert engine.lots("S1", "milk") == [
        Lot(date=on(1), on_hand=2, reserved=0),
        Lot(date=on(3), on_hand=4, reserved=0),
    ]
    assert [level.on_hand for level in engine.stock("S1")] == [6]


def test_rows_of_many_lots_are_as_lots_pair_by_pair_before_and_after_a_replay(
    tmp_path: Path,
) -> None:
    rows = [
        ("S2", "milk", on(2), 3),
        ("S1", "curd", on(1), 2),
        ("S2", "milk", on(1), 4),
        ("S1", "milk", on(5), 0),
    ]
    one, many = a_dairy(), Engine.open(tmp_path / "log", clock=StoppedClock(NOON_NS))
    with_shops(many)
    for engine in (one, many):
        engine.set_sku_profiles({"milk": SkuProfile(pieces_per_unit=6), "curd": SkuProfile()})
        engine.set_lots("S1", "curd", {on(3): 9})
        engine.set_lots("S3", "curd", {on(3): 9})
    assert many.set_lot_rows(*(list(column) for column in zip(*rows, strict=True))) == []
    one.set_lots("S2", "milk", {on(2): 3, on(1): 4})
    one.set_lots("S1", "curd", {on(1): 2})
    one.set_lots("S1", "milk", {on(5): 0})
    for name in ("S1", "S2", "S3"):
        for sku in ("milk", "curd"):
            assert many.lots(name, sku) == one.lots(name, sku), (name, sku)
        assert many.stock(name) == one.stock(name)
    before = state_hash(many)
    many.close()
    many = Engine.open(tmp_path / "log", clock=StoppedClock(NOON_NS))
    assert state_hash(many) == before
    assert many.set_lot_rows([], [], [], []) == []
    many.close()


BAD_ROWS: list[tuple[str, tuple[list[Any], ...], str, int | None]] = [
    ("UNKNOWN_STORE", (["S1", "S9"], ["milk"] * 2, [on(1)] * 2, [1, 1]), "stores", 1),
    ("OUT_OF_RANGE", (["S1"] * 2, ["milk"] * 2, [on(1), "2026-02-30"], [1, 1]), "dates", 1),
    ("OUT_OF_RANGE", (["S1"], ["milk"], ["1969-12-31"], [1]), "dates", 0),
    ("OUT_OF_RANGE", (["S1"] * 3, ["milk"] * 3, [on(1), on(2), on(1)], [1, 1, 1]), "dates", 2),
    ("OUT_OF_RANGE", (["S1"] * 2, ["milk"] * 2, [on(1), on(2)], [1, -1]), "quantities", 1),
    ("OVERFLOW", (["S1"] * 2, ["milk"] * 2, [on(1), on(2)], [2**31 - 1, 1]), "quantities", 0),
    ("TOO_MANY", (["S1"] * 65, ["milk"] * 65, [on(n) for n in range(65)], [1] * 65), "dates", 64),
    ("RAGGED", (["S1"], ["milk"], [on(1)], [1, 1]), "stores, skus, dates, quantities", None),
]


@pytest.mark.parametrize(("code", "rows", "field", "row"), BAD_ROWS)
def test_rows_that_cannot_be_are_refused_by_their_number_and_change_nothing(
    code: str, rows: tuple[list[Any], ...], field: str, row: int | None
) -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 5})
    before = state_hash(engine)
    with pytest.raises(FendanError) as caught:
        engine.set_lot_rows(*rows)
    assert (caught.value.code, caught.value.field, caught.value.row) == (code, field, row)
    assert state_hash(engine) == before


def test_lots_are_counted_in_units_and_told_in_pieces() -> None:
    engine = a_dairy()
    engine.set_sku_profiles({"milk": SkuProfile(pieces_per_unit=6)})
    engine.set_lots("S1", "milk", {on(1): 2})
    assert lots(engine) == [(1, 12, 0)]


def test_without_lots_nothing_is_on_hand_and_nothing_expires() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(-1): 5})
    assert engine.available("S1", "milk") == 0
    engine.set_lots("S1", "milk", {})
    assert (lots(engine), engine.available("S1", "milk")) == ([], 0)
    engine.set_stock([("S1", "milk", 3)])
    assert (lots(engine), engine.available("S1", "milk")) == ([], 3)


def test_a_store_without_lots_sells_beside_one_that_has_some() -> None:
    engine = a_dairy()
    engine.set_stock([("S2", "milk", 2)])
    engine.set_lots("S1", "milk", {on(1): 1})
    stores = [store_of(engine, milk(f"{number}")) for number in range(4)]
    assert stores == ["S1", "S2", "S2", None]


def test_lots_below_what_is_reserved_are_a_shortfall() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 5})
    engine.route(milk("A", 4))
    (short,) = engine.set_lots("S1", "milk", {on(2): 3})
    assert (short.store_id, short.sku, short.on_hand, short.reserved) == ("S1", "milk", 3, 4)
    assert short.order_ids == ("A",)
    assert lots(engine) == [(2, 3, 4)]


def test_pieces_that_were_held_before_there_were_lots_are_held_in_lots() -> None:
    engine = a_dairy()
    engine.set_stock([("S1", "milk", 5)])
    engine.route(milk("A", 3))
    engine.set_lots("S1", "milk", {on(1): 2, on(2): 3})
    assert lots(engine) == [(1, 2, 2), (2, 3, 1)]


def test_a_count_of_the_whole_shelf_changes_its_lots() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 5, on(2): 5})
    engine.set_stock([("S1", "milk", 7)])
    assert lots(engine) == [(1, 2, 0), (2, 5, 0)]
    engine.adjust_stock([("S1", "milk", 4)])
    assert lots(engine) == [(1, 2, 0), (2, 9, 0)]
    engine.check()


BAD: dict[str, tuple[type[Exception], str, Callable[[Engine], object]]] = {
    "a date that is none": (
        InvalidInputError,
        "lots.2026-02-30",
        lambda e: e.set_lots("S1", "milk", {"2026-02-30": 1}),
    ),
    "a date that is no text": (
        WrongTypeError,
        "lots.20260101",
        lambda e: e.set_lots("S1", "milk", {20260101: 1}),
    ),
    "fewer than none": (
        InvalidInputError,
        f"lots.{on(1)}",
        lambda e: e.set_lots("S1", "milk", {on(0): 1, on(1): -1}),
    ),
    "half a piece": (
        WrongTypeError,
        f"lots.{on(1)}",
        lambda e: e.set_lots("S1", "milk", {on(1): 0.5}),
    ),
    "more than can be counted": (
        QuantityOverflowError,
        "lots",
        lambda e: e.set_lots("S1", "milk", {on(1): 2**31 - 1, on(2): 1}),
    ),
    "too many lots": (
        InvalidInputError,
        "lots",
        lambda e: e.set_lots("S1", "milk", {on(day): 1 for day in range(65)}),
    ),
    "before 1970": (
        InvalidInputError,
        "lots.1969-12-31",
        lambda e: e.set_lots("S1", "milk", {"1969-12-31": 1}),
    ),
    "what is no mapping": (
        WrongTypeError,
        "lots",
        lambda e: e.set_lots("S1", "milk", [(on(1), 1)]),
    ),
    "an unknown store": (
        UnknownStoreError,
        "store_id",
        lambda e: e.set_lots("S9", "milk", {on(1): 1}),
    ),
    "a name that is none": (InvalidInputError, "sku", lambda e: e.set_lots("S1", "", {on(1): 1})),
    "the lots of an unknown SKU": (UnknownSkuError, "sku", lambda e: e.lots("S1", "cream")),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_by_its_path_and_changes_nothing(case: str) -> None:
    kind, field, call = BAD[case]
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 5})
    before = state_hash(engine)
    with pytest.raises(kind) as caught:
        call(engine)
    assert getattr(caught.value, "field", None) == field
    assert state_hash(engine) == before


# -- SELLING -----------------------------------------------------------------------------------


def test_what_expires_first_is_sold_first() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(5): 4, on(1): 2})
    engine.route(milk("A", 3))
    assert lots(engine) == [(1, 2, 2), (5, 4, 1)]


@pytest.mark.parametrize("policy", ["", QUICK_AND_SLOW], ids=["plain", "policy"])
def test_what_has_expired_is_never_sold(policy: str) -> None:
    engine = a_dairy(policy=policy)
    engine.set_lots("S1", "milk", {on(-1): 9, on(0): 1})
    engine.set_lots("S2", "milk", {on(0): 2})
    stores = [store_of(engine, milk(f"{number}")) for number in range(4)]
    assert stores == ["S1", "S2", "S2", None]
    assert lots(engine) == [(-1, 9, 0), (0, 1, 1)]


def test_a_day_later_what_was_good_is_no_more() -> None:
    clock = StoppedClock(NOON_NS)
    engine = a_dairy(clock)
    engine.set_lots("S1", "milk", {on(0): 5})
    assert engine.available("S1", "milk") == 5
    clock.pass_s(DAY_S)
    assert store_of(engine, milk("A")) is None
    assert engine.available("S1", "milk") == 0
    assert engine.nearest(*DOOR, lines=[("milk", 1)]) == []


def test_what_expired_over_night_is_seen_by_all_who_look_though_nothing_has_happened() -> None:
    clock = StoppedClock(NOON_NS)
    engine = a_dairy(clock)
    engine.set_lots("S1", "milk", {on(0): 5})
    cursor = engine.cursor()
    clock.pass_s(DAY_S)
    assert [level.sellable for level in engine.stock("S1")] == [0]
    assert engine.available("S1", "milk") == 0
    assert [(one.store_id, one.sellable) for one in engine.changes(cursor).changes] == [("S1", 0)]
    assert not any(piece.changes for piece in engine.availability())


def test_an_engine_that_was_just_opened_knows_what_day_it_is(tmp_path: Path) -> None:
    clock = StoppedClock(NOON_NS)
    with kept(tmp_path, clock) as engine:
        with_shops(engine, "")
        engine.set_lots("S1", "milk", {on(0): 5, on(1): 2})
    clock.pass_s(DAY_S)
    with kept(tmp_path, clock) as again:
        assert again.available("S1", "milk") == 2


def test_the_day_ends_at_midnight_in_the_store() -> None:
    clock = StoppedClock(NOON_NS)
    engine = a_dairy(clock)
    engine.set_lots("S1", "milk", {on(0): 5})
    clock.pass_s(DAY_S / 2 - 1)
    assert store_of(engine, milk("A")) == "S1"
    clock.pass_s(1)
    assert store_of(engine, milk("B")) is None


def test_an_order_for_tomorrow_does_not_get_what_expires_today() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW)
    engine.set_lots("S1", "milk", {on(0): 5})
    engine.set_lots("S2", "milk", {on(1): 5})
    assert store_of(engine, milk("later", kind=OrderType.NEXT_DAY)) == "S2"
    assert store_of(engine, milk("now")) == "S1"


def test_a_store_with_too_little_that_lasts_is_passed_over() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW)
    engine.set_lots("S1", "milk", {on(0): 5, on(1): 2})
    engine.set_lots("S2", "milk", {on(1): 3})
    assert store_of(engine, milk("A", 3, OrderType.NEXT_DAY)) == "S2"
    assert store_of(engine, milk("B", 2, OrderType.NEXT_DAY)) == "S1"


def test_a_perishable_sku_with_a_least_life_of_3_days_goes_only_from_lots_as_late() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW)
    engine.set_sku_profiles({"milk": SkuProfile(least_life_days=3)})
    engine.set_lots("S1", "milk", {on(2): 5, on(3): 1})
    engine.set_lots("S2", "milk", {on(3): 5})
    assert [store_of(engine, milk(name)) for name in "AB"] == ["S1", "S2"]
    assert lots(engine) == [(2, 5, 0), (3, 1, 1)]


def test_a_rule_may_ask_for_a_longer_life_than_the_sku() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW.replace("[types.NEXT_DAY]", LONG + "[types.NEXT_DAY]"))
    engine.set_sku_profiles({"milk": SkuProfile(least_life_days=1)})
    engine.set_lots("S1", "milk", {on(3): 5})
    engine.set_lots("S2", "milk", {on(4): 5})
    assert store_of(engine, milk("A")) == "S2"
    assert store_of(engine, milk("B", kind=OrderType.NEXT_DAY)) == "S1"


LONG = "least_life_days = 4\n"


def test_a_store_in_another_time_zone_has_days_of_its_own() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW)
    engine.set_store_profiles({"S1": StoreProfile(time_zone="Pacific/Auckland")})
    engine.set_lots("S1", "milk", {on(0): 5})
    assert store_of(engine, milk("A")) == "S1"
    clock: Any = engine._clock
    clock.pass_s(8 * 3600)  # eight in the evening in Shanghai is one at night there
    assert store_of(engine, milk("B")) is None


def test_the_freshest_store_wins_where_freshness_is_ranked() -> None:
    policy = QUICK_AND_SLOW.replace("[types.INSTANT]", '[types.INSTANT]\nranking = ["FRESHNESS"]')
    engine = a_dairy(policy=policy)
    engine.set_lots("S1", "milk", {on(1): 5})
    engine.set_lots("S2", "milk", {on(9): 5})
    engine.set_lots("S3", "milk", {on(9): 1})
    assert [store_of(engine, milk(name)) for name in "ABC"] == ["S2", "S2", "S2"]
    engine.set_lots("S2", "milk", {on(8): 5, on(20): 5})
    assert store_of(engine, milk("D")) == "S3"
    assert store_of(engine, milk("E")) == "S2"


def test_an_order_is_split_by_what_each_store_has_that_lasts() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW + "split = { mode = 'FEWEST', most_shipments = 2 }\n")
    engine.set_stock([("S1", "bread", 1), ("S2", "bread", 1)])
    engine.set_lots("S1", "milk", {on(0): 5})
    engine.set_lots("S3", "milk", {on(1): 5})
    lat, lng = DOOR
    both = Order(id="A", lat=lat, lng=lng, lines=[("milk", 1), ("bread", 1)])
    decision = engine.route(both)
    assert [(one.store_id, one.lines) for one in decision.shipments] == [
        ("S1", (("bread", 1),)),
        ("S3", (("milk", 1),)),
    ]
    assert lots(engine, "S3") == [(1, 5, 1)]
    engine.cancel_order("A")
    assert lots(engine, "S3") == [(1, 5, 0)]


# -- THE LIFE OF AN ORDER ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["", QUICK_AND_SLOW], ids=["plain", "policy"])
def test_a_cancelled_order_gives_its_lots_back(policy: str) -> None:
    engine = a_dairy(policy=policy)
    engine.set_lots("S1", "milk", {on(1): 2, on(5): 4})
    engine.route(milk("A", 3))
    engine.cancel_order("A")
    assert lots(engine) == [(1, 2, 0), (5, 4, 0)]


def test_what_is_shipped_leaves_its_lots_and_what_returns_is_there_again() -> None:
    engine = a_dairy(policy=QUICK_AND_SLOW)
    engine.set_lots("S1", "milk", {on(0): 2, on(1): 2, on(5): 4})
    engine.route(milk("A", 3, OrderType.NEXT_DAY))
    for step in (engine.accept_order, engine.pick_order, engine.ship_order):
        step("A")
    assert lots(engine) == [(0, 2, 0), (1, 0, 0), (5, 3, 0)]
    engine.return_order("A", to_stock=True)
    assert lots(engine) == [(0, 2, 0), (1, 3, 0), (5, 3, 0)]
    assert engine.order("A").state is OrderState.RETURNED


def test_a_store_that_does_not_find_the_milk_has_none_and_the_next_one_holds_it() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 2, on(5): 4})
    engine.set_lots("S2", "milk", {on(-1): 9, on(2): 5})
    engine.route(milk("A", 3))
    status = engine.reject_order("A", "S1", reason=RejectReason.NOT_ON_SHELF)
    assert status.store_id == "S2"
    assert lots(engine) == [(1, 0, 0), (5, 0, 0)]
    assert lots(engine, "S2") == [(-1, 9, 0), (2, 5, 3)]
    engine.check()


# -- NO TRACE ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["", QUICK_AND_SLOW], ids=["plain", "policy"])
def test_a_dry_run_leaves_every_lot_as_it_was(policy: str) -> None:
    engine = a_dairy(policy=policy)
    for store in ("S1", "S2", "S3"):
        engine.set_lots(store, "milk", {on(0): 1, on(1): 2, on(2): 3, on(5): 4})
    engine.route_batch([milk("A"), milk("B", 2, OrderType.NEXT_DAY)])
    before = state_hash(engine)
    dry = engine.route_batch(
        [milk(f"dry {n}", 1 + n % 3, OrderType(1 + 2 * (n % 2))) for n in range(20)], dry_run=True
    )
    assert sum(decision.store_id is not None for decision in dry) > 10
    assert state_hash(engine) == before


# -- RECOVERY ----------------------------------------------------------------------------------


def a_week(engine: Engine, clock: StoppedClock, policy: str) -> None:
    """Deliveries, orders, a profile that changes, counts and rejections."""
    with_shops(engine, policy)
    for day in range(6):
        for store in ("S1", "S2", "S3"):
            fresh: Mapping[str, int] = {on(day + life): 2 + life for life in range(4)}
            engine.set_lots(store, "milk", fresh)
        engine.set_sku_profiles({"milk": SkuProfile(least_life_days=day % 3)})
        for number in range(8):
            kind = OrderType.INSTANT if number % 2 else OrderType.NEXT_DAY
            engine.route(milk(f"{day}-{number}", 1 + number % 3, kind))
        engine.adjust_stock([("S1", "milk", 3), ("S2", "milk", 1)])
        held = [f"{day}-{n}" for n in range(8) if engine.is_held(f"{day}-{n}")]
        engine.cancel_order(held[0])
        store = engine.decision(held[1]).store_id
        engine.reject_order(held[1], store, reason=RejectReason.DAMAGED)
        for step in (engine.accept_order, engine.pick_order, engine.ship_order):
            step(held[2])
        engine.return_order(held[2], to_stock=day % 2 == 0)
        clock.pass_s(DAY_S)


@pytest.mark.parametrize("policy", ["", QUICK_AND_SLOW], ids=["plain", "policy"])
def test_lots_survive_a_restart(tmp_path: Path, policy: str) -> None:
    clock = StoppedClock(NOON_NS)
    with kept(tmp_path, clock) as engine:
        a_week(engine, clock, policy)
        assert any(reserved for *_, reserved in lots(engine, "S2"))
        before, there = state_hash(engine), [lots(engine, store) for store in ("S1", "S2", "S3")]
    with kept(tmp_path, clock) as again:
        assert state_hash(again) == before
        assert [lots(again, store) for store in ("S1", "S2", "S3")] == there
        again.check()
        again.snapshot()
        again.set_lots("S1", "cream", {on(30): 1})
        last = state_hash(again)
    with kept(tmp_path, clock) as once_more:
        assert state_hash(once_more) == last
        assert lots(once_more, sku="cream") == [(30, 1, 0)]
    check(tmp_path)


def test_lots_that_do_not_add_up_are_found() -> None:
    engine = a_dairy()
    engine.set_lots("S1", "milk", {on(1): 5})
    engine._stock.lots.set_lots(0, 0, [20_000], [4])
    with pytest.raises(Exception, match="its lots do not add up to its counts"):
        engine.check()
