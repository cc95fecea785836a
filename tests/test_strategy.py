"""What of the stock is sold, and to whom: held back, off the shelf, shared, by unit or bundle."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fendan import (
    Engine,
    EventKind,
    Held,
    InvalidInputError,
    Order,
    QuantityOverflowError,
    Reason,
    SkuProfile,
    Store,
    StoreProfile,
    Supply,
    UnknownSkuError,
    UnknownStoreError,
)
from fendan.errors import FendanError
from fendan.rules import StoreKind
from fendan.state import state_hash
from keeping import kept
from life_rules import outcome
from twin import Twin

HERE = {"lat": 31.2, "lng": 121.5}


def order(number: int, *lines: Any) -> Order:
    return Order(id=f"order {number}", lines=list(lines), **HERE)


def chain(engine: Engine | None = None) -> Engine:
    """A store here and one 11 km off, with ten teas and ten cups each."""
    engine = engine or Engine()
    engine.add_stores([Store(id="near", **HERE), Store(id="far", lat=31.3, lng=121.5)])
    engine.set_stock([(name, sku, 10) for name in ("near", "far") for sku in ("tea", "cup")])
    return engine


def refused(error: type[FendanError], call: Any) -> tuple[str, Any]:
    """The code and the field with which a call is refused."""
    with pytest.raises(error) as caught:
        call()
    return caught.value.code, caught.value.field


# -- HELD BACK -----------------------------------------------------------------------------------


def test_what_is_held_back_is_not_sold() -> None:
    engine = chain()
    engine.set_held(["near"], ["tea"], safety=[5], locked=[2], display=[1])
    assert engine.held("near", "tea") == Held(safety=5, locked=2, display=1)
    assert engine.available("near", "tea") == 2
    level = engine.stock("near", ["tea"])[0]
    assert (level.on_hand, level.reserved, level.sellable) == (10, 0, 2)
    assert engine.route(order(1, ("tea", 3))).store_id == "far"
    assert engine.route(order(2, ("tea", 2))).store_id == "near"
    assert engine.route(order(3, ("tea", 1))).store_id == "far"


def test_a_part_that_is_not_given_stays_as_it_was() -> None:
    engine = chain()
    engine.set_held(["near"], ["tea"], safety=[5])
    engine.set_held(["near"], ["tea"], display=[2])
    engine.set_held(["near"], ["tea"], safety=[1])
    assert engine.held("near", "tea") == Held(safety=1, locked=0, display=2)


def test_orders_keep_what_they_hold_when_more_is_held_back() -> None:
    engine = chain()
    engine.route(order(1, ("tea", 8)))
    engine.set_held(["near"], ["tea"], safety=[2**31 - 1], locked=[2**31 - 1])
    assert engine.is_held("order 1")
    assert engine.available("near", "tea") == 0
    engine.set_held(["near"], ["tea"], safety=[0], locked=[0])
    assert engine.available("near", "tea") == 2


def test_a_watcher_sees_what_is_held_back() -> None:
    engine = chain()
    cursor = engine.cursor()
    engine.set_held(["near"], ["tea"], safety=[4])
    changes = engine.changes(cursor).changes
    assert [(one.store_id, one.sku, one.sellable) for one in changes] == [("near", "tea", 6)]


def test_what_was_never_there_can_be_held_back() -> None:
    engine = chain()
    engine.set_held(["far"], ["milk"], safety=[3])
    engine.set_stock([("far", "milk", 4)])
    assert engine.available("far", "milk") == 1


@pytest.mark.parametrize(
    ("stores", "skus", "parts", "code", "field"),
    [
        (["near"], ["tea"], {}, "MISSING", "safety, locked, display"),
        (["near"], ["tea"], {"locked": [-1]}, "OUT_OF_RANGE", "locked"),
        (["near"], ["tea"], {"display": [1, 2]}, "RAGGED", "stores, skus, display"),
        (["near"], ["tea"], {"safety": [1.5]}, "WRONG_TYPE", "safety"),
        (["gone"], ["tea"], {"safety": [1]}, "UNKNOWN_STORE", "stores"),
        (["near"], [""], {"safety": [1]}, "BAD_ID", "skus"),
    ],
)
def test_what_cannot_be_held_back_is_refused_by_its_field(
    stores: list[str], skus: list[str], parts: Any, code: str, field: str
) -> None:
    engine = chain()
    assert refused(FendanError, lambda: engine.set_held(stores, skus, **parts)) == (code, field)
    assert engine.held("near", "tea") == Held(0, 0, 0)


# -- THRESHOLDS ----------------------------------------------------------------------------------


def test_a_store_with_too_few_is_off_the_shelf_until_it_has_enough() -> None:
    engine = chain()
    engine.set_sku_profiles({"tea": SkuProfile(off_below=3, on_from=6)})
    engine.route(order(1, ("tea", 7)))
    assert engine.available("near", "tea") == 3
    engine.route(order(2, ("tea", 1)))
    assert engine.available("near", "tea") == 0
    engine.release("order 2")
    assert engine.available("near", "tea") == 0, "three left: not below, but not enough again"
    engine.adjust_stock([("near", "tea", 3)])
    assert engine.available("near", "tea") == 6


def test_a_batch_does_not_sell_what_went_off_the_shelf_within_it() -> None:
    engine = chain()
    engine.set_sku_profiles({"tea": SkuProfile(off_below=9, on_from=9)})
    decisions = engine.route_batch([order(n, ("tea", 1)) for n in range(4)])
    assert [one.store_id for one in decisions] == ["near", "near", "far", "far"]
    assert engine.route(order(9, ("tea", 1))).reason is Reason.NO_STOCK


def test_a_dry_run_leaves_the_shelf_as_it_was() -> None:
    engine = chain()
    engine.set_sku_profiles({"tea": SkuProfile(off_below=9, on_from=10)})
    before = state_hash(engine)
    engine.route_batch([order(n, ("tea", 2)) for n in range(3)], dry_run=True)
    assert state_hash(engine) == before
    assert engine.available("near", "tea") == 10


def test_without_thresholds_everything_is_on_the_shelf_again() -> None:
    engine = chain()
    engine.set_sku_profiles({"tea": SkuProfile(off_below=11, on_from=20)})
    assert engine.available("near", "tea") == 0
    engine.set_sku_profiles({"tea": SkuProfile()})
    assert engine.available("near", "tea") == 10


STEPS = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 1), st.integers(0, 8)),
    st.tuples(st.just("hold"), st.integers(0, 1), st.integers(0, 4)),
    st.tuples(st.just("order"), st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.just("try"), st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.just("release"), st.integers(0, 25), st.just(0)),
    st.tuples(st.just("thresholds"), st.integers(0, 4), st.integers(0, 4)),
)


def stepped(face: Any, step: tuple[str, int, int], number: int) -> object:
    what, one, two = step
    store = ("near", "far")[one % 2]
    if what == "set":
        return face.set_stock([(store, "tea", two)])
    if what == "hold":
        return face.set_held([store], ["tea"], safety=[two])
    if what == "thresholds":
        return face.set_sku_profiles({"tea": SkuProfile(off_below=one, on_from=one + two)})
    if what == "release":
        return outcome(lambda: face.release(f"order {one}-0"))
    orders = [
        Order(id=f"order {number}-{n}", lines=[("tea", two)], lat=31.2, lng=121.5)
        for n in range(one)
    ]
    return face.route_batch(orders, dry_run=what == "try")


@settings(max_examples=3 * settings().max_examples)
@given(
    off_below=st.integers(1, 3),
    more=st.integers(1, 3),
    steps=st.lists(STEPS, min_size=4, max_size=25),
)
def test_the_twin_agrees_on_every_shelf_after_every_step(
    off_below: int, more: int, steps: list[tuple[str, int, int]]
) -> None:
    twin = Twin()
    twin.add_stores([Store(id="near", **HERE), Store(id="far", lat=31.3, lng=121.5)])
    twin.set_stock([(name, sku, 10) for name in ("near", "far") for sku in ("tea", "cup")])
    engine = chain()
    for number, step in enumerate([("thresholds", off_below, more), *steps]):
        assert stepped(engine, step, number) == stepped(twin, step, number), step
        for store in ("near", "far"):
            assert engine.stock(store) == twin.stock(store), step
        engine.check()


# -- SHARES --------------------------------------------------------------------------------------


def test_a_channel_has_all_of_the_stock_until_a_share_is_set() -> None:
    engine = chain()
    engine.set_shares("meituan", {"near": 0.3, "far": 0})
    engine.set_shares("meituan", {"near": 1 / 3})
    assert engine.share("near", "meituan") == 0.333333
    assert engine.share("far", "meituan") == 0.0
    assert engine.share("near", "jd") == 1.0
    engine.set_shares("meituan", {"near": 1, "far": 1})
    assert engine._shares.channels == []


def test_the_core_gets_shares_in_whole_millionths_by_code() -> None:
    engine = chain()
    engine.set_shares("meituan", {"far": 0.25})
    engine.set_hidden_skus("jd", ["cup"])
    arrays = engine._shares.arrays(
        ["jd", "meituan"], engine._network.code_of, 2, engine._stock.sku_code_of
    )
    assert arrays.millionths is not None and arrays.hidden is not None
    assert arrays.millionths.tolist() == [[1_000_000, 1_000_000], [1_000_000, 250_000]]
    assert arrays.hidden.tolist() == [[0, 1], [0, 0]]
    assert engine._shares.channels == ["jd", "meituan"]


def test_what_a_channel_does_not_sell_is_said_anew_each_time() -> None:
    engine = chain()
    engine.set_hidden_skus("jd", ["tea", "cup", "tea"])
    assert engine.hidden_skus("jd") == ["cup", "tea"]
    engine.set_hidden_skus("jd", ["tea"])
    assert engine.hidden_skus("jd") == ["tea"]
    engine.set_hidden_skus("jd", [])
    assert engine.hidden_skus("jd") == [] and engine._shares.channels == []


@pytest.mark.parametrize("share", [1.000001, -0.1, float("nan"), "half", True, None])
def test_a_share_that_cannot_be_is_refused_by_its_path(share: Any) -> None:
    engine = chain()
    call = lambda: engine.set_shares("jd", {"far": 0.5, "near": share})  # noqa: E731
    assert refused(InvalidInputError, call)[1] == "shares['near']"
    assert engine.share("far", "jd") == 1.0


def test_shares_are_of_stores_there_are_and_channels_with_names() -> None:
    engine = chain()
    call = lambda: engine.set_shares("jd", {"gone": 0.5})  # noqa: E731
    assert refused(UnknownStoreError, call) == ("UNKNOWN_STORE", "shares['gone']")
    assert refused(InvalidInputError, lambda: engine.set_shares("", {}))[1] == "channel"
    assert refused(UnknownSkuError, lambda: engine.set_hidden_skus("jd", ["?"]))[1] == "skus"


# -- UNITS ---------------------------------------------------------------------------------------


def test_a_case_of_24_is_sold_as_pieces() -> None:
    engine = chain()
    engine.set_sku_profiles({"cola": SkuProfile(pieces_per_unit=24)})
    engine.set_stock([("near", "cola", 2), ("near", "tea", 2)])
    assert [level.on_hand for level in engine.stock("near", ["cola", "tea"])] == [48, 2]
    engine.adjust_stock([("near", "cola", -1)])
    assert engine.available("near", "cola") == 24
    assert engine.route(order(1, ("cola", 20))).store_id == "near"


def test_units_that_overflow_are_refused_by_their_row() -> None:
    engine = chain()
    engine.set_sku_profiles({"cola": SkuProfile(pieces_per_unit=24)})
    with pytest.raises(QuantityOverflowError) as caught:
        engine.set_stock([("near", "tea", 1), ("near", "cola", 100_000_000)])
    assert (caught.value.field, caught.value.row) == ("quantities", 1)
    assert engine.available("near", "tea") == 10


def test_units_cannot_change_while_there_is_stock() -> None:
    engine = chain()
    call = lambda: engine.set_sku_profiles({"tea": SkuProfile(pieces_per_unit=6)})  # noqa: E731
    assert refused(InvalidInputError, call)[1] == "profiles.tea.pieces_per_unit"
    engine.set_stock([("near", "tea", 0), ("far", "tea", 0)])
    engine.set_sku_profiles({"tea": SkuProfile(pieces_per_unit=6)})
    engine.set_stock([("near", "tea", 1)])
    assert engine.available("near", "tea") == 6


# -- PROFILES ------------------------------------------------------------------------------------


def test_profiles_are_kept_until_others_are_set() -> None:
    engine = chain()
    frozen = SkuProfile(product_class="frozen", needs=frozenset({"frozen"}))
    depot = StoreProfile(kind=StoreKind.RDC, abilities=frozenset({"frozen"}))
    engine.set_sku_profiles({"ice": frozen})
    engine.set_store_profiles({"far": depot})
    assert engine.sku_profile("ice") == frozen
    assert engine.sku_profile("tea") == SkuProfile()
    assert engine.store_profile("far") == depot
    assert engine.store_profile("near") == StoreProfile()
    engine.set_sku_profiles({"ice": SkuProfile()})
    engine.set_store_profiles({"far": StoreProfile()})
    assert engine._documents == {}


def test_the_core_gets_profiles_by_code() -> None:
    engine = chain()
    engine.set_sku_profiles(
        {
            "ice": SkuProfile(needs=frozenset({"frozen", "cold"}), product_class="cold"),
            "cup": SkuProfile(needs=frozenset({"frozen"}), presale=True, least_life_days=3),
        }
    )
    catalogue = engine._catalogue
    arrays = catalogue.arrays(engine._stock.sku_code_of)
    assert list(engine.skus) == ["tea", "cup", "ice"]
    assert catalogue.abilities == ("cold", "frozen") and catalogue.classes == ("", "cold")
    assert arrays.needs.tolist() == [0, 2, 3]
    assert arrays.classes.tolist() == [0, 0, 1]
    assert arrays.presale.tolist() == [0, 1, 0]
    assert arrays.least_life_days.tolist() == [0, 3, 0]
    assert arrays.pieces_per_unit.tolist() == [1, 1, 1]


def test_profiles_that_cannot_be_are_refused_whole() -> None:
    engine = chain()
    good = SkuProfile(presale=True)
    bad = SkuProfile(off_below=3, on_from=2)
    call = lambda: engine.set_sku_profiles({"cup": good, "tea": bad})  # noqa: E731
    assert refused(InvalidInputError, call) == ("OUT_OF_RANGE", "profiles.tea.on_from")
    assert engine.sku_profile("cup") == SkuProfile()
    call = lambda: engine.set_store_profiles({"gone": StoreProfile()})  # noqa: E731
    assert refused(UnknownStoreError, call) == ("UNKNOWN_STORE", "profiles.gone")
    many = {f"sku {n}": SkuProfile(needs=frozenset({f"ability {n}"})) for n in range(33)}
    assert refused(InvalidInputError, lambda: engine.set_sku_profiles(many))[0] == "TOO_MANY"


# -- BUNDLES -------------------------------------------------------------------------------------


def with_kit() -> Engine:
    """A kit of two teas and one cup, and a box of three kits and one milk."""
    engine = chain()
    engine.set_sku_profiles({"kit": SkuProfile(parts={"tea": 2, "cup": 1})})
    engine.set_sku_profiles({"box": SkuProfile(parts={"kit": 3, "milk": 1})})
    return engine


def test_a_bundle_is_sold_if_its_parts_are() -> None:
    engine = with_kit()
    assert engine.available("near", "kit") == 5
    assert engine.route(order(1, ("kit", 4))).store_id == "near"
    assert [engine.available("near", sku) for sku in ("tea", "cup", "kit")] == [2, 6, 1]
    assert engine.route(order(2, ("kit", 1), ("tea", 1))).store_id == "far"
    assert engine.route(order(2, ("kit", 1), ("tea", 1))).store_id == "far", "as the first time"


def test_a_bundle_of_bundles_is_opened_to_the_last_piece() -> None:
    engine = with_kit()
    engine.set_stock([("near", "milk", 1)])
    assert engine.available("near", "box") == 1
    assert engine.route(order(1, ("box", 1))).store_id == "near"
    assert [engine.available("near", sku) for sku in ("tea", "cup", "milk")] == [4, 7, 0]


def test_what_a_bundle_cost_is_shared_over_its_pieces(tmp_path: Path) -> None:
    engine = chain(kept(tmp_path / "log"))
    engine.set_sku_profiles({"kit": SkuProfile(parts={"tea": 2, "cup": 1})})
    engine.route(order(1, ("kit", 1, 1000), ("tea", 1, 50)))
    events = engine.events(kinds=[EventKind.ASSIGNED]).events
    amounts = {move.sku: (move.quantity, move.amount) for move in events[0].movements}
    assert amounts == {"cup": (1, 334), "tea": (3, 666 + 50)}
    engine.close()


def test_nearest_and_arrays_know_bundles() -> None:
    engine = with_kit()
    engine.set_stock([("near", "tea", 1)])
    assert [one.store_id for one in engine.nearest(**HERE, lines=[("kit", 1)])] == ["far"]
    routed = engine.route_arrays(
        lat=[31.2],
        lng=[121.5],
        offsets=[0, 1],
        skus=engine.sku_codes(["kit"]),
        quantities=[1],
    )
    assert routed.store_codes.tolist() == [1]


def test_a_bundle_must_not_contain_itself() -> None:
    engine = with_kit()
    loop = {"tea": SkuProfile(parts={"box": 1})}
    code, field = refused(InvalidInputError, lambda: engine.set_sku_profiles(loop))
    assert code == "OUT_OF_RANGE" and ".parts." in field
    assert engine.available("near", "tea") == 10


def test_the_parts_of_a_bundle_stay_what_they_are() -> None:
    engine = with_kit()
    other = {"kit": SkuProfile(parts={"tea": 1})}
    call = lambda: engine.set_sku_profiles(other)  # noqa: E731
    assert refused(InvalidInputError, call) == ("OUT_OF_RANGE", "profiles.kit.parts")
    engine.set_sku_profiles({"kit": SkuProfile(parts={"tea": 2, "cup": 1}, product_class="gift")})
    engine.route(order(1, ("cup", 1)))
    late = {"cup": SkuProfile(parts={"saucer": 1})}
    call = lambda: engine.set_sku_profiles(late)  # noqa: E731
    assert refused(InvalidInputError, call) == ("OUT_OF_RANGE", "profiles.cup.parts")


def test_a_bundle_of_more_pieces_than_can_be_counted_is_refused() -> None:
    engine = with_kit()
    call = lambda: engine.route(order(1, ("kit", 2**30)))  # noqa: E731
    assert refused(QuantityOverflowError, call) == ("OVERFLOW", "order.lines")
    huge = {"huge": SkuProfile(parts={"kit": 2**30})}
    call = lambda: engine.set_sku_profiles(huge)  # noqa: E731
    assert refused(QuantityOverflowError, call)[0] == "OVERFLOW"
    assert "huge" not in engine.skus


# -- SUPPLY --------------------------------------------------------------------------------------


def test_supply_that_has_arrived_is_stock() -> None:
    engine = chain()
    assert engine.set_supply("near", "tea", "2026-12-01", 30) == []
    engine.set_supply("far", "tea", "2026-11-30", 5)
    assert engine.available("near", "tea") == 10
    assert engine.supply("tea", "near") == [
        Supply(store_id="near", sku="tea", date="2026-12-01", quantity=30, reserved=0)
    ]
    assert [one.store_id for one in engine.supply()] == ["far", "near"]
    assert engine.receive_supply("near", "tea", "2026-12-01") == 30
    assert engine.available("near", "tea") == 40
    assert engine.receive_supply("near", "tea", "2026-12-01") == 0
    assert engine.receive_supply("near", "tea", "2027-01-01") == 0
    assert engine.supply("tea", "near") == []


def test_nobody_sees_supply_among_stock() -> None:
    engine = chain()
    cursor = engine.cursor()
    engine.set_supply("near", "tea", "2026-12-01", 30)
    assert engine.changes(cursor).changes == []
    assert [level.sku for level in engine.stock("near")] == ["tea", "cup"]
    assert len(engine.listed_skus("near")) == 2
    seen = {one.sku for piece in engine.availability() for one in piece.changes}
    assert seen == {"tea", "cup"}


def test_supply_has_calls_of_its_own_and_no_other() -> None:
    engine = chain()
    engine.set_supply("near", "tea", "2026-12-01", 30)
    inside = "tea\x1f2026-12-01"
    codes = [list(engine.skus).index(inside)]
    calls = [
        lambda: engine.set_stock([("near", inside, 1)]),
        lambda: engine.set_stock(stores=["near"], skus=codes, quantities=[1]),
        lambda: engine.adjust_stock([("near", inside, 1)]),
        lambda: engine.set_held(["near"], [inside], safety=[1]),
        lambda: engine.stock("near", [inside]),
        lambda: engine.available("near", inside),
        lambda: engine.route(order(1, (inside, 1))),
        lambda: engine.sku_codes([inside]),
        lambda: engine.set_supply("near", inside, "2026-12-01", 1),
        lambda: engine.nearest(**HERE, lines=[(inside, 1)]),
    ]
    for call in calls:
        with pytest.raises(UnknownSkuError):
            call()
    with pytest.raises(InvalidInputError):
        engine.set_stock([("near", "tea\x1f2027-01-01", 1)])


@pytest.mark.parametrize("date", ["2026-13-01", "2026-12-1", "20261201", "", 20261201, None])
def test_a_date_that_is_none_is_refused(date: Any) -> None:
    engine = chain()
    call = lambda: engine.set_supply("near", "tea", date, 1)  # noqa: E731
    assert refused(InvalidInputError, call)[1] == "date"


# -- ALL OF IT, KEPT -----------------------------------------------------------------------------


def test_an_engine_comes_back_with_all_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    engine = chain(kept(folder))
    engine.set_held(["near", "far"], ["tea", "milk"], safety=[5, 1], display=[1, 1])
    engine.set_sku_profiles(
        {
            "tea": SkuProfile(off_below=3, on_from=6, product_class="drinks"),
            "cola": SkuProfile(pieces_per_unit=24),
            "kit": SkuProfile(parts={"tea": 1, "cup": 2}),
        }
    )
    engine.set_store_profiles({"far": StoreProfile(priority=1)})
    engine.set_shares("jd", {"near": 0.5})
    engine.set_hidden_skus("jd", ["cup"])
    engine.set_supply("near", "tea", "2026-12-01", 3)
    engine.route(order(1, ("kit", 2)))
    engine.release("order 1")
    engine.set_stock([("near", "cola", 1)])
    for way in ("log", "snapshot"):
        before, levels = state_hash(engine), engine.stock("near") + engine.stock("far")
        if way == "snapshot":
            engine.snapshot()
        engine.close()
        engine = kept(folder)
        assert state_hash(engine) == before, way
        assert engine.stock("near") + engine.stock("far") == levels, way
        assert engine.held("near", "tea") == Held(5, 0, 1)
        assert engine.available("near", "kit") == min(engine.available("near", "tea"), 5)
        assert engine.share("near", "jd") == 0.5 and engine.hidden_skus("jd") == ["cup"]
        assert engine.store_profile("far").priority == 1
        assert [one.quantity for one in engine.supply("tea")] == [3]
        engine.adjust_stock([("near", "cola", 1)])
        assert engine.available("near", "cola") % 24 == 0
        engine.check()
    engine.close()


def test_parts_that_are_set_together_are_one_change_to_the_shelf_before_and_after_a_replay(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "log"
    engine = chain(kept(folder))
    engine.set_sku_profiles({"tea": SkuProfile(off_below=3, on_from=9)})
    engine.set_held(["near"], ["tea"], locked=[7])
    engine.set_held(["near"], ["tea"], safety=[7], locked=[0])  # in between 14 would be held back
    assert engine.available("near", "tea") == 3
    engine.set_held(["far"], ["tea"], safety=[8])
    assert engine.available("far", "tea") == 0
    engine.set_held(["far"], ["tea"], safety=[0], locked=[4])  # in between none would be
    assert engine.available("far", "tea") == 0
    before = state_hash(engine)
    engine.close()
    engine = kept(folder)
    assert state_hash(engine) == before
    assert [engine.available(name, "tea") for name in ("near", "far")] == [3, 0]
    engine.close()


def test_what_is_held_back_is_inside_the_journal_and_not_in_the_ledger(tmp_path: Path) -> None:
    engine = chain(kept(tmp_path / "log"))
    engine.set_held(["near"], ["tea"], safety=[5])
    kinds = {event.kind for event in engine.events().events}
    assert EventKind.HELD_SET.is_internal and EventKind.THRESHOLDS.is_internal
    assert EventKind.HELD_SET not in kinds
    engine.close()
