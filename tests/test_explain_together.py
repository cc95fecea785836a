"""Orders that several stores share, that wait for supply, or that go together: each told rightly.

All of it is asked twice: of an order that would come now, and of the same one after it was decided,
within a batch in which others came before it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clock import StoppedClock
from fendan import Engine, Order, Reason, Store
from fendan.exclusions import Exclusion
from fendan.explanation import Explanation
from fendan.filelog import FileLog
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StepName
from simulated_disk import SimulatedDisk

NOON_NS = 1_767_240_000 * 10**9  # 2026-01-01T04:00:00Z, noon in Shanghai
STORES = {"S-near": 31.205, "S-next": 31.21, "S-far": 31.22}
WINDOW = '[types.GROUP]\nmerge_window = "1h"\n'


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Three shops: the nearest has tea, the next milk, and the farthest nearly all of both."""
    log = FileLog(Path("/kept"), SimulatedDisk(), first_segment_bytes=1 << 20)
    with Engine.open(Path("/kept"), clock=StoppedClock(NOON_NS), log=log) as opened:
        opened.add_stores(Store(id=name, lat=lat, lng=121.4) for name, lat in STORES.items())
        opened.set_stock([("S-near", "tea", 6), ("S-next", "milk", 6), ("S-far", "tea", 6)])
        opened.set_stock([("S-far", "milk", 1)])
        opened.activate_policy(opened.draft_policy(WINDOW))
        yield opened


def an_order(name: str, *lines: tuple[str, int], **said: Any) -> Order:
    kind = said.pop("order_type", OrderType.NEXT_DAY)
    return Order(id=name, lat=31.2, lng=121.4, lines=lines, order_type=kind, **said)


def presale(name: str, *lines: tuple[str, int]) -> Order:
    return an_order(name, *lines, order_type=OrderType.PRESALE)


def of_group(name: str, *lines: tuple[str, int]) -> Order:
    return an_order(name, *lines, order_type=OrderType.GROUP, group_id="g")


def now_and_then(engine: Engine, order: Order) -> Explanation:
    """What is told before an order comes, and again after it was decided and all is different."""
    before = engine.explain(order)
    decided = engine.route(order)
    engine.set_stock((name, sku, 500) for name in STORES for sku in ("tea", "milk"))
    told = engine.explain(order.id)
    assert told == replace(before, decision=decided)
    assert told.complete, told.note
    return told


def parts(told: Explanation) -> list[tuple[int, str, Exclusion | None, str]]:
    return [(one.number, one.store_id, one.code, one.text) for one in told.parts]


def why_not(told: Explanation) -> dict[str, tuple[StepName, Exclusion, str]]:
    return {one.store_id: (one.step, one.code, one.text) for one in told.excluded}


def winners(engine: Engine, names: Iterable[str]) -> list[str | None]:
    """Who has each order, as it is explained; nothing is missing."""
    told = [engine.explain(name) for name in names]
    assert all(one.complete for one in told), told
    return [one.winner.store_id if one.winner else None for one in told]


# -- SHIPMENTS ---------------------------------------------------------------------------------


def test_of_a_split_order_each_shipment_says_why_its_store_does_not_send_all(
    engine: Engine,
) -> None:
    told = now_and_then(engine, an_order("A", ("tea", 4), ("milk", 4)))
    assert (told.winner, told.step) == (None, StepName.STORE)
    assert parts(told) == [
        (1, "S-near", Exclusion.NOT_LISTED, "it does not list milk"),
        (2, "S-next", Exclusion.NOT_LISTED, "it does not list tea"),
    ]
    assert why_not(told)["S-far"] == (
        StepName.STORE,
        Exclusion.STOCK,
        "sellable 1 < 4 of milk: on hand 1, reserved 0",
    )
    assert str(told.change) == "S-near would have it with 4 more of milk at S-near"


def test_what_was_not_searched_again_says_so(engine: Engine) -> None:
    """Who shares an order is as recorded; who has one alone is found again."""
    assert engine.explain(an_order("A", ("tea", 4), ("milk", 4))).recorded == ("parts",)
    assert engine.explain(an_order("A", ("tea", 4))).recorded == ()


def test_a_store_that_cannot_have_sent_its_shipment_makes_the_telling_incomplete(
    engine: Engine,
) -> None:
    """The journal and the engine's memory agree; were it otherwise, it would be said."""
    decided = engine.route(an_order("A", ("tea", 4), ("milk", 4)))
    with engine._command():
        held = engine._decided_of("A")
    wrong = replace(decided.shipments[0], lines=(("tea", 40),))
    decision = type(decided)(
        order_id="A",
        status=decided.status,
        store_id=decided.store_id,
        distance_m=decided.distance_m,
        reason=decided.reason,
        step=decided.step,
        shipments=(wrong, decided.shipments[1]),
    )
    assert engine._journal is not None
    log, last = engine._journal.log, engine._journal.durable_sequence
    told = engine._explain_by(log, last, held._replace(decision=decision), 10, 1).explanation
    assert not told.complete
    assert "not all known" in told.note


def test_an_order_behind_a_split_one_saw_what_the_shipments_had_taken(engine: Engine) -> None:
    engine.route_batch(
        [
            an_order("A", ("tea", 4), ("milk", 4)),
            an_order("B", ("tea", 3)),
            an_order("C", ("tea", 2)),
        ]
    )
    assert winners(engine, "ABC") == [None, "S-far", "S-near"]
    assert why_not(engine.explain("B"))["S-near"][2] == (
        "sellable 2 < 3 of tea: on hand 6, reserved 4"
    )


# -- SUPPLY ------------------------------------------------------------------------------------


def test_an_order_that_waits_for_supply_is_won_by_the_store_that_has_it_first(
    engine: Engine,
) -> None:
    policy = '[types.NEXT_DAY]\nsteps = ["STORE", "BACKORDER"]\n'
    engine.activate_policy(engine.draft_policy(policy))
    engine.set_supply("S-next", "tea", "2026-02-01", 90)
    engine.set_supply("S-far", "tea", "2026-01-10", 90)
    told = now_and_then(engine, an_order("A", ("tea", 30)))
    assert told.winner is not None
    assert (told.winner.store_id, dict(told.winner.values)) == ("S-far", {"SUPPLY_DAYS": 9.0})
    assert [dict(one.values) for one in told.runners_up] == [{"SUPPLY_DAYS": 31.0}]
    assert [(step.name, step.able) for step in told.steps] == [
        (StepName.STORE, 0),
        (StepName.BACKORDER, 2),
    ]
    counts = "sellable 6 < 30 of tea: on hand 6, reserved 0"
    assert parts(told) == [(1, "S-far", Exclusion.STOCK, counts)]
    assert told.recorded == ()
    assert str(told.change) == "S-near would have it with 24 more of tea at S-near"


@pytest.fixture
def presold(engine: Engine) -> Engine:
    """Tea is sold against supply, which the farther shops get."""
    engine.set_sku_profiles({"tea": SkuProfile(presale=True)})
    engine.set_supply("S-next", "tea", "2026-02-01", 9)
    engine.set_supply("S-far", "tea", "2026-01-10", 9)
    return engine


def test_a_presale_order_says_what_leaves_now_and_what_later(presold: Engine) -> None:
    told = now_and_then(presold, presale("A", ("tea", 2), ("milk", 2)))
    assert (told.winner, told.change, told.recorded) == (None, None, ())
    assert parts(told) == [
        (1, "S-next", None, "all that is not sold against supply"),
        (2, "S-far", None, "sold against supply: tea"),
    ]
    assert [(step.name, step.able) for step in told.steps] == [
        (StepName.STORE, 1),
        (StepName.BACKORDER, 2),
    ]
    assert why_not(told)["S-near"] == (
        StepName.BACKORDER,
        Exclusion.STOCK,
        "no supply of 2 of tea is to arrive",
    )


def test_a_presale_order_of_supply_alone_asks_nobody_for_stock(presold: Engine) -> None:
    told = now_and_then(presold, presale("A", ("tea", 2)))
    assert parts(told) == [(1, "S-far", None, "sold against supply: tea")]
    assert [step.name for step in told.steps] == [StepName.BACKORDER]


def test_a_presale_order_without_enough_supply_has_nothing_and_says_so(presold: Engine) -> None:
    told = now_and_then(presold, presale("A", ("tea", 20), ("milk", 2)))
    assert (told.decision.reason, told.winner, told.parts) == (Reason.NO_SUPPLY, None, ())
    assert [(step.name, step.able) for step in told.steps] == [
        (StepName.STORE, 1),
        (StepName.BACKORDER, 0),
    ]
    assert why_not(told)["S-next"][2] == "no supply of 20 of tea is to arrive"


def test_who_sends_the_first_part_has_room_for_one_shipment_less(presold: Engine) -> None:
    presold.set_store_profiles({"S-next": StoreProfile(most_open_orders=1)})
    presold.set_supply("S-far", "tea", "2026-01-10", 0)
    told = now_and_then(presold, presale("A", ("tea", 2), ("milk", 2)))
    assert told.decision.reason is Reason.NO_SUPPLY
    assert why_not(told)["S-next"] == (
        StepName.BACKORDER,
        Exclusion.OPEN_ORDERS,
        "1 open order, and 1 are the most it may hold",
    )


# -- GROUPS ------------------------------------------------------------------------------------


def test_orders_of_a_group_are_explained_together_and_others_as_if_behind_them(
    engine: Engine,
) -> None:
    """The group goes where there is enough for all, and is decided before what stands between."""
    engine.route_batch(
        [
            of_group("g1", ("tea", 2)),
            an_order("B", ("tea", 3)),
            of_group("g2", ("tea", 3)),
            an_order("C", ("tea", 1)),
        ]
    )
    assert winners(engine, ["g1", "B", "g2", "C"]) == ["S-near", "S-far", "S-near", "S-near"]
    assert why_not(engine.explain("B"))["S-near"][2] == (
        "sellable 1 < 3 of tea: on hand 6, reserved 5"
    )
    assert engine.explain("g2").note == (
        "decided together with g1; distances are from g1, the first of the group"
    )


def test_a_group_that_no_store_can_fill_says_what_all_of_it_would_have_taken(
    engine: Engine,
) -> None:
    engine.route_batch([of_group(f"g{number}", ("tea", 3)) for number in range(3)])
    told = engine.explain("g1")
    assert (told.decision.reason, told.complete) == (Reason.GROUP_NOT_WHOLE, True)
    assert why_not(told)["S-near"][2] == "sellable 6 < 9 of tea: on hand 6, reserved 0"
    assert str(told.change) == "S-near would have it with 3 more of tea at S-near"


def test_a_store_needs_room_for_all_orders_of_a_group(engine: Engine) -> None:
    engine.set_store_profiles({"S-near": StoreProfile(most_open_orders=2)})
    engine.route_batch([of_group(f"g{number}", ("tea", 1)) for number in range(3)])
    assert winners(engine, ["g0", "g1", "g2"]) == ["S-far"] * 3
    assert why_not(engine.explain("g2"))["S-near"] == (
        StepName.STORE,
        Exclusion.OPEN_ORDERS,
        "0 open orders, and 2 are the most it may hold",
    )


def test_who_went_together_is_recorded_with_a_merge_window_only_and_else_that_is_said(
    engine: Engine,
) -> None:
    engine.activate_policy(engine.draft_policy(""))
    engine.route_batch([of_group("g1", ("tea", 2)), of_group("g2", ("tea", 1))])
    told = engine.explain("g2")
    assert (told.complete, told.winner and told.winner.store_id) == (False, "S-near")
    assert "not recorded" in told.note
    alone = now_and_then(engine, of_group("g3", ("tea", 1)))
    assert alone.winner is not None
