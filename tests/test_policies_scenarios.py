"""What a chain may count on, rule by rule, in plain sentences.

Each is told twice: in a street of three shops, and among the stores of Shanghai with their real
places, opening hours and districts, where the data is there.
"""

from pathlib import Path
from typing import Any

import pytest

from fendan import Exclusion, OrderState, Reason, RejectReason, Status, UnknownStoreError, area_face
from fendan.engine.areas import Areas
from fendan.rules import OrderType, StepName, StoreKind
from town import PLAIN, Town, a_street_town, later, shanghai

INSTANT, SAME_DAY, NEXT_DAY = OrderType.INSTANT, OrderType.SAME_DAY, OrderType.NEXT_DAY
PICKUP, PRESALE, GROUP = OrderType.PICKUP, OrderType.PRESALE, OrderType.GROUP


@pytest.fixture(params=["street", pytest.param("shanghai", marks=pytest.mark.real_data)])
def town(request: pytest.FixtureRequest) -> Town:
    if request.param == "street":
        return a_street_town()
    data: Path = request.getfixturevalue("shared_data")
    return shanghai(data)


# -- STEPS -------------------------------------------------------------------------------------


def test_the_nearest_store_that_has_it_all_gets_the_order(town: Town) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, tea=9, milk=1)
    assert town.where(("tea", 1), ("milk", 1)) == town.next
    assert town.where() == town.near


def test_each_decision_says_under_which_version_and_at_which_step_it_was_made(town: Town) -> None:
    town.stock(town.near, tea=9)
    first = town.routed()
    assert (first.policy_version, first.step) == (1, StepName.STORE)
    town.policy('default_type = "SAME_DAY"')
    assert town.routed().policy_version == 2
    town.engine.activate_policy(0)
    assert town.routed().policy_version == 0


def test_an_instant_order_goes_no_farther_than_its_radius(town: Town) -> None:
    town.stock(town.next, tea=9)
    metres = town.metres[town.next]
    reach = "[types.INSTANT]\nsteps = [{{ name = 'STORE', radius_m = {} }}]"
    town.policy(reach.format(metres - 1))
    assert town.routed(kind=INSTANT).reason is Reason.NO_STOCK_IN_RADIUS
    town.policy(reach.format(metres))
    assert town.where(kind=INSTANT) == town.next


def test_no_store_within_the_radius_is_a_reason_of_its_own(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.policy("[types.INSTANT]\nsteps = [{ name = 'STORE', radius_m = 0 }]")
    assert town.routed(kind=INSTANT).reason is Reason.NO_STORE_IN_RADIUS


def test_what_no_shop_has_comes_from_the_regional_warehouse_then_the_central_one(
    town: Town,
) -> None:
    town.store(town.next, kind=StoreKind.CDC)
    town.store(town.far, kind=StoreKind.RDC)
    town.stock(town.next, tea=1, milk=1)
    town.stock(town.far, tea=1)
    tea, milk, gone = town.routed(), town.routed(("milk", 1)), town.routed(("ice", 1))
    assert (tea.store_id, tea.step) == (town.far, StepName.RDC)
    assert (milk.store_id, milk.step) == (town.next, StepName.CDC)
    assert (gone.store_id, gone.step, gone.reason) == (None, StepName.NONE, Reason.NO_STOCK)


def test_nationwide_transfer_asks_any_store_wherever_it_may_deliver(town: Town) -> None:
    town.engine.set_areas({"elsewhere": town.elsewhere})
    town.store(town.near, areas=("elsewhere",))
    town.stock(town.near, tea=1)
    told = town.routed(kind=NEXT_DAY)
    assert (told.store_id, told.step) == (town.near, StepName.NATIONWIDE)


# -- WHO MAY -----------------------------------------------------------------------------------


def test_a_paused_store_gets_nothing(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.engine.pause_stores([town.near])
    assert town.where() == town.next
    town.engine.resume_stores([town.near])
    assert town.where() == town.near


def test_a_shop_gets_no_same_day_order_after_its_cut_off(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    cut_off = later(town.hours[6:], -60)
    town.at(later(cut_off, -1))
    assert town.where(kind=SAME_DAY) == town.near
    town.at(cut_off)
    assert town.where(kind=SAME_DAY) == town.next


def test_a_shop_that_is_still_closed_may_have_a_same_day_order_but_no_instant_one(
    town: Town,
) -> None:
    town.at(later(town.hours[:5], -1))
    town.engine.pause_stores(set(town.engine.store_ids) - {town.near})
    town.stock(town.near, tea=9)
    assert town.routed(kind=INSTANT).reason is Reason.NO_STORE_ELIGIBLE
    assert town.where(kind=SAME_DAY) == town.near
    town.at(town.hours[:5])
    assert town.where(kind=INSTANT) == town.near


def test_a_holiday_comes_before_the_weekday(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, hours={"daily": town.hours, "2025-06-17": "closed"})
    assert town.where(kind=SAME_DAY) == town.near
    town.at("12:00", day=17)
    assert town.where(kind=SAME_DAY) == town.next
    town.at("12:00", day=18)
    assert town.where(kind=SAME_DAY) == town.near


def test_a_night_shop_is_open_past_midnight(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.store(town.near, hours={"daily": "22:00-02:00"})
    town.engine.pause_stores(set(town.engine.store_ids) - {town.near})
    assert town.where(kind=INSTANT) is None
    town.at("23:30")
    assert town.where(kind=INSTANT) == town.near
    town.at("01:30", day=17)
    assert town.where(kind=INSTANT) == town.near
    town.at("02:00", day=17)
    assert town.where(kind=INSTANT) is None


def test_a_next_day_order_can_be_placed_at_night_and_is_promised_from_the_opening(
    town: Town,
) -> None:
    town.stock(town.near, tea=9)
    town.policy("[types.NEXT_DAY]\npromise = { pick = '1h', detour = 0 }")
    town.at("03:00", day=17)
    promised_ns = town.routed(kind=NEXT_DAY).promised_ns
    assert promised_ns == town.at(later(town.hours[:5], 60), day=17)


def test_a_store_takes_only_the_types_of_order_that_it_says(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, order_types=frozenset({PICKUP}))
    assert town.where(kind=SAME_DAY) == town.next
    assert town.where(kind=PICKUP) == town.near


def test_frozen_goods_go_only_to_stores_with_a_freezer(town: Town) -> None:
    town.sku("ice", needs=frozenset({"frozen"}))
    town.store(town.next, abilities=frozenset({"frozen"}))
    town.stock(town.near, tea=9, ice=9)
    town.stock(town.next, tea=9, ice=9)
    assert town.where(("ice", 1), ("tea", 1)) == town.next
    assert town.where(("tea", 1)) == town.near


def test_a_rule_may_ask_only_stores_of_some_regions(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    store = next(s.store for s in town.engine.stores() if s.store.id == town.next)
    town.engine.update_stores([type(store)(id=store.id, lat=store.lat, lng=store.lng, region="R")])
    town.policy("[types.NEXT_DAY]\nstore_regions = ['R']")
    assert town.where() == town.next
    town.policy("[types.NEXT_DAY]\nstore_regions = ['elsewhere']")
    assert town.routed().reason is Reason.NO_STORE_ELIGIBLE


def test_a_store_delivers_only_inside_its_areas(town: Town) -> None:
    town.engine.set_areas({"around": town.around, "elsewhere": town.elsewhere})
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, areas=("elsewhere",))
    assert town.where(kind=SAME_DAY) == town.next
    town.store(town.near, areas=("elsewhere", "around"))
    assert town.where(kind=SAME_DAY) == town.near


def test_who_comes_to_fetch_an_order_may_live_outside_all_areas(town: Town) -> None:
    town.engine.set_areas({"elsewhere": town.elsewhere})
    town.store(town.near, areas=("elsewhere",))
    town.stock(town.near, tea=9)
    assert town.where(kind=PICKUP) == town.near


def test_a_store_that_has_all_the_orders_it_may_hold_gets_no_more_until_one_leaves(
    town: Town,
) -> None:
    town.store(town.near, most_open_orders=1)
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    first = town.routed()
    assert (first.store_id, town.where()) == (town.near, town.next)
    for step in (town.engine.accept_order, town.engine.pick_order, town.engine.ship_order):
        assert town.where() == town.next
        step(first.order_id)
    assert town.where() == town.near


def test_a_store_is_given_so_many_orders_an_hour_and_no_more(town: Town) -> None:
    town.store(town.near, most_orders_in_window=2, window_s=3600.0)
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    assert [town.where() for _ in range(3)] == [town.near, town.near, town.next]
    town.clock.pass_s(3599)
    assert town.where() == town.next
    town.clock.pass_s(1)
    assert town.where() == town.near


def test_orders_go_on_while_areas_are_covered_with_cells(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.stock(town.near, tea=9)
    covered: list[list[str]] = []

    def areas(names: list[str], geometries: list[Any]) -> Areas:
        assert town.where() == town.near  # which would wait for ever
        covered.append(names)
        return Areas(names, geometries)

    monkeypatch.setattr(area_face, "Areas", areas)
    town.engine.set_areas({"elsewhere": town.elsewhere})
    town.store(town.near, areas=("elsewhere",))
    assert town.where(kind=INSTANT) is None
    assert covered == [["elsewhere"]]


def test_areas_that_were_drawn_before_others_were_set_stand_beside_them(town: Town) -> None:
    town.stock(town.near, tea=9)
    drawing = town.engine.draw_areas({"around": town.around})
    town.engine.set_areas({"elsewhere": town.elsewhere})
    assert list(town.engine.areas()) == ["elsewhere"]
    town.engine.set_areas(drawing)
    for name, store in (("around", town.near), ("elsewhere", None)):
        town.store(town.near, areas=(name,))
        assert town.where(kind=INSTANT) == store


# -- WHAT MAY BE SOLD --------------------------------------------------------------------------


def test_a_channel_with_half_a_share_is_offered_one_of_three(town: Town) -> None:
    town.stock(town.near, tea=3)
    town.engine.set_shares("app", {town.near: 0.5})
    assert town.where(("tea", 2), channel="app") is None
    assert town.where(("tea", 1), channel="app") == town.near
    assert town.where(("tea", 2), channel="shop") == town.near


def test_what_is_hidden_from_a_channel_is_not_sold_to_it(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.engine.set_hidden_skus("app", ["tea"])
    assert town.routed(channel="app").reason is Reason.NO_STOCK
    assert town.where(channel="shop") == town.near


@pytest.mark.parametrize("part", ["safety", "locked", "display"])
def test_what_is_held_back_is_not_sold_online(town: Town, part: str) -> None:
    town.stock(town.near, tea=6)
    town.engine.set_held([town.near], ["tea"], **{part: [5]})
    assert town.where(("tea", 2)) is None
    assert town.where(("tea", 1)) == town.near


def test_below_its_threshold_a_sku_is_off_the_shelf_until_there_is_plenty_again(
    town: Town,
) -> None:
    town.sku("tea", off_below=3, on_from=6)
    town.stock(town.near, tea=6)
    assert town.where(("tea", 4)) == town.near
    assert town.where(("tea", 1)) is None
    town.stock(town.near, tea=9)  # four of which are reserved
    assert town.where(("tea", 1)) is None
    town.stock(town.near, tea=10)
    assert town.where(("tea", 1)) == town.near


def test_a_bundle_is_sold_where_its_parts_are(town: Town) -> None:
    town.sku("breakfast", parts={"tea": 2, "milk": 1})
    town.stock(town.near, tea=3, milk=9)
    town.stock(town.next, tea=2, milk=1)
    assert town.where(("breakfast", 2)) is None
    assert town.where(("breakfast", 1)) == town.near
    assert town.where(("breakfast", 1)) == town.next


def test_a_bundle_that_is_hidden_from_a_channel_is_not_sold_to_it_though_its_parts_are(
    town: Town,
) -> None:
    town.sku("breakfast", parts={"tea": 2, "milk": 1})
    town.sku("picnic", parts={"breakfast": 1, "ice": 1})
    town.stock(town.near, tea=9, milk=9, ice=9)
    town.engine.set_hidden_skus("app", ["breakfast"])
    order = town.an_order(("picnic", 1), channel="app", id="P")
    assert town.engine.route(order).reason is Reason.NO_STOCK
    assert town.where(("picnic", 1), channel="shop") == town.near
    assert town.where(("tea", 2), ("milk", 1), ("ice", 1), channel="app") == town.near
    (why, *_) = town.engine.explain(order).excluded
    assert (why.store_id, why.code) == (town.near, Exclusion.CHANNEL)
    assert why.text == "app does not sell breakfast"


def test_what_a_bundle_needs_its_store_must_have_after_a_rejection_too(town: Town) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1}, needs=frozenset({"wrapping"}))
    for store in (town.near, town.next, town.far):
        town.stock(store, tea=9, milk=9)
    town.store(town.next, abilities=frozenset({"wrapping"}))
    order = town.an_order(("hamper", 1), id="H")
    assert town.where(("tea", 1), ("milk", 1)) == town.near
    assert town.engine.route(order).store_id == town.next
    (why, *_) = town.engine.explain(order).excluded
    assert (why.store_id, why.code) == (town.near, Exclusion.ABILITY)
    status = town.engine.reject_order("H", town.next)
    assert status.store_id is None


def test_a_rejected_bundle_does_not_need_what_another_with_a_part_of_it_needs(town: Town) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1}, needs=frozenset({"wrapping"}))
    town.sku("iced tea", parts={"tea": 1, "ice": 1}, needs=frozenset({"cold"}))
    for store in (town.near, town.next):
        town.stock(store, tea=9, milk=9)
        town.store(store, abilities=frozenset({"wrapping"}))
    order = town.an_order(("hamper", 1), id="H")
    assert town.engine.route(order).store_id == town.near
    assert town.engine.reject_order("H", town.near).store_id == town.next


def test_a_rejected_bundle_finds_another_store_though_its_channel_sells_it_no_more(
    town: Town,
) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1}, needs=frozenset({"wrapping"}))
    for store in (town.near, town.next):
        town.stock(store, tea=9, milk=9)
        town.store(store, abilities=frozenset({"wrapping"}))
    order = town.an_order(("hamper", 1), id="H", channel="app")
    assert town.engine.route(order).store_id == town.near
    town.engine.set_hidden_skus("app", ["hamper"])
    assert town.engine.reject_order("H", town.near).store_id == town.next


def test_a_bundle_that_the_channel_of_one_of_a_group_does_not_sell_is_sold_to_none(
    town: Town,
) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1})
    town.stock(town.near, tea=9, milk=9)
    town.engine.set_hidden_skus("app", ["hamper"])
    for channels, reason in (("web", Reason.NONE), ("web app", Reason.GROUP_NOT_WHOLE)):
        orders = [
            town.an_order(("hamper", 1), kind=OrderType.GROUP, group_id=channels, channel=channel)
            for channel in channels.split()
        ]
        assert {one.reason for one in town.engine.route_batch(orders)} == {reason}


def test_a_bundle_comes_under_the_rules_of_its_own_class(town: Town) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1}, product_class="gift")
    for store in (town.near, town.next):
        town.stock(store, tea=9, milk=9)
    town.store(town.next, cost=0)
    town.store(town.near, cost=1)
    town.policy(PLAIN + "[[override]]\nproduct_class = ['gift']\nranking = ['COST']")
    assert town.where(("tea", 1), ("milk", 1)) == town.near
    assert town.where(("hamper", 1)) == town.next


def test_the_parts_of_a_bundle_last_as_long_as_the_bundle_has_to(town: Town) -> None:
    town.sku("hamper", parts={"tea": 1, "milk": 1}, least_life_days=5)
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9, milk=9)
    town.engine.set_lots(town.near, "milk", {"2025-06-20": 9})  # four days from now
    assert town.where(("tea", 1), ("milk", 1)) == town.near
    assert town.where(("hamper", 1)) == town.next


# -- WHICH IS BETTER ---------------------------------------------------------------------------


def test_within_a_band_of_distance_the_store_of_higher_priority_wins(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.next, priority=1)
    by = "[types.NEXT_DAY]\nranking = [{{ by = 'DISTANCE_BAND', width_m = {} }}, 'PRIORITY']"
    town.policy(by.format(town.metres[town.next] + 1))
    assert town.where() == town.next
    town.policy(by.format(town.metres[town.next] - 0.5))
    assert town.where() == town.near


def test_the_cheaper_store_wins_where_cost_comes_first(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, cost=501)
    town.store(town.next, cost=500)
    town.policy("[types.NEXT_DAY]\nranking = ['COST']")
    assert town.where() == town.next


def test_the_store_with_less_to_do_wins_where_load_comes_first(town: Town) -> None:
    for store, most in ((town.near, 2), (town.next, 4)):
        town.store(store, most_open_orders=most)
        town.stock(store, tea=9)
    town.policy("[types.NEXT_DAY]\nranking = ['LOAD']")
    assert [town.where() for _ in range(4)] == [town.near, town.next, town.next, town.near]


def test_the_store_with_the_deepest_stock_wins_where_that_comes_first(town: Town) -> None:
    town.stock(town.near, tea=3, milk=9)
    town.stock(town.next, tea=4, milk=4)
    town.policy("[types.NEXT_DAY]\nranking = ['STOCK']")
    assert town.where(("tea", 1), ("milk", 1)) == town.next


def test_a_score_weighs_metres_against_money(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, cost=100)
    more_m = town.metres[town.next] - town.metres[town.near]
    by = "[types.NEXT_DAY]\nscore = [{{ by = 'DISTANCE', weight = {} }}, 'COST']"
    town.policy(by.format(99 / more_m))
    assert town.where() == town.next
    town.policy(by.format(101 / more_m))
    assert town.where() == town.near


# -- SPLITS ------------------------------------------------------------------------------------


def who_sends(
    town: Town, *lines: tuple[str, int] | tuple[str, int, int]
) -> dict[str, dict[str, int]]:
    sent = town.routed(*lines, kind=NEXT_DAY).shipments
    return {one.store_id: dict(one.lines) for one in sent}


TRIO = (("tea", 1), ("milk", 1), ("ice", 1))


def splits(rest: str) -> str:
    return f"[types.NEXT_DAY]\nsplit = {{ {rest} }}"


def test_an_order_is_split_into_as_few_shipments_as_can_be(town: Town) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1, tea=1)
    town.stock(town.far, tea=1, ice=1)
    town.policy(splits("mode = 'FEWEST'"))
    assert who_sends(town, *TRIO) == {town.next: {"tea": 1, "milk": 1}, town.far: {"ice": 1}}


def test_or_the_nearest_store_sends_all_it_has_and_then_the_next(town: Town) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1, tea=1)
    town.stock(town.far, tea=1, ice=1)
    town.policy(splits("mode = 'NEAREST'"))
    assert list(who_sends(town, *TRIO)) == [town.near, town.next, town.far]


def test_never_in_more_shipments_than_the_cap(town: Town) -> None:
    for store, sku in ((town.near, "tea"), (town.next, "milk"), (town.far, "ice")):
        town.stock(store, **{sku: 1})
    town.policy(splits("mode = 'FEWEST', most_shipments = 2"))
    assert town.routed(*TRIO).reason is Reason.NO_STOCK
    town.policy(splits("mode = 'FEWEST', most_shipments = 3"))
    assert len(town.routed(*TRIO).shipments) == 3


def test_a_split_order_reserves_at_each_of_its_stores_and_is_given_up_as_a_whole(
    town: Town,
) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1)
    told = town.routed(("tea", 1), ("milk", 1))
    assert town.where(("tea", 1)) is None and town.where(("milk", 1)) is None
    town.engine.cancel_order(told.order_id)
    assert town.engine.order(told.order_id).state is OrderState.CANCELLED
    assert (town.where(("tea", 1)), town.where(("milk", 1))) == (town.near, town.next)


def test_an_instant_order_is_never_split(town: Town) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1)
    assert town.routed(("tea", 1), ("milk", 1), kind=INSTANT).status is Status.UNASSIGNED


def test_a_shipment_must_be_worth_its_way(town: Town) -> None:
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1)
    basket = (("tea", 1, 5000), ("milk", 1, 900))
    town.policy(splits("mode = 'FEWEST', least_amount = 901"))
    assert who_sends(town, *basket) == {}
    town.policy(splits("mode = 'FEWEST', least_amount = 900"))
    assert len(who_sends(town, *basket)) == 2


@pytest.mark.parametrize("pieces", ["false", "true"])
def test_frozen_goods_that_stay_together_come_from_one_store(town: Town, pieces: str) -> None:
    town.sku("ice", product_class="frozen")
    town.sku("milk", product_class="frozen")
    town.stock(town.near, ice=1, tea=1)
    town.stock(town.next, milk=1)
    town.policy(splits(f"mode = 'FEWEST', split_lines = {pieces}"))
    assert town.routed(*TRIO, kind=NEXT_DAY, id="apart").status is Status.ASSIGNED
    town.engine.release("apart")
    town.policy(splits(f"mode = 'FEWEST', split_lines = {pieces}, together = ['frozen']"))
    assert town.routed(*TRIO).reason is Reason.NO_STOCK
    town.stock(town.next, milk=1, ice=1)
    assert who_sends(town, *TRIO) == {town.near: {"tea": 1}, town.next: {"ice": 1, "milk": 1}}


def test_the_pieces_of_a_line_come_from_several_stores_only_if_the_policy_lets_them(
    town: Town,
) -> None:
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=2)
    town.policy(splits("mode = 'FEWEST'"))
    assert who_sends(town, ("tea", 3)) == {}
    town.policy(splits("mode = 'FEWEST', split_lines = true"))
    assert who_sends(town, ("tea", 3)) == {town.near: {"tea": 2}, town.next: {"tea": 1}}


def test_a_shipment_without_a_price_is_worth_nothing_whoever_else_orders(town: Town) -> None:
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=2)
    town.policy(splits("mode = 'FEWEST', split_lines = true, least_amount = 1"))
    with_price = town.an_order(("ice", 1, 100))
    assert town.engine.route_batch([town.an_order(("tea", 3)), with_price])[0].store_id is None
    assert town.where(("tea", 3)) is None


def test_of_several_stores_each_needs_only_the_abilities_for_what_it_sends(town: Town) -> None:
    town.sku("ice", needs=frozenset({"cold_chain"}))
    town.stock(town.near, tea=9, ice=9)
    town.stock(town.next, ice=9)
    town.store(town.next, abilities=frozenset({"cold_chain"}))
    town.policy("[types.NEXT_DAY]\nsplit = { mode = 'NEVER' }")
    assert town.where(("tea", 1), ("ice", 1)) is None
    split = "[types.NEXT_DAY]\nsplit = {{ mode = 'FEWEST', most_shipments = 2, split_lines = {} }}"
    for in_pieces in ("false", "true"):
        town.policy(split.format(in_pieces))
        dry, iced = town.routed(("tea", 1), ("ice", 1)).shipments
        assert (dry.store_id, dry.lines) == (town.near, (("tea", 1),))
        assert (iced.store_id, iced.lines) == (town.next, (("ice", 1),))
    assert town.engine.explain(town.an_order(("tea", 1), ("ice", 1))).complete


# -- WHAT WILL COME ----------------------------------------------------------------------------


def test_a_presale_order_reserves_what_will_come_first(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-20", 5)
    town.engine.set_supply(town.far, "ice", "2025-06-18", 1)
    first, second = (town.routed(("ice", 1), kind=PRESALE) for _ in range(2))
    assert (first.store_id, first.shipments[0].supply_date) == (town.far, "2025-06-18")
    assert (second.store_id, second.shipments[0].supply_date) == (town.near, "2025-06-20")
    assert first.step is StepName.BACKORDER


def test_what_is_there_goes_now_and_the_rest_later(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.far, "ice", "2025-06-18", 1)
    town.stock(town.near, tea=1)
    now, then = town.routed(("ice", 1), ("tea", 1), kind=PRESALE).shipments
    assert (now.store_id, now.lines, now.supply_date) == (town.near, (("tea", 1),), "")
    assert (then.store_id, then.lines) == (town.far, (("ice", 1),))
    assert then.supply_date == "2025-06-18"


def test_without_supply_nothing_of_a_presale_order_goes(town: Town) -> None:
    town.sku("ice", presale=True)
    town.stock(town.near, tea=1)
    told = town.routed(("ice", 1), ("tea", 1), kind=PRESALE)
    assert (told.reason, told.shipments) == (Reason.NO_SUPPLY, ())
    assert town.where() == town.near  # the tea is still there


def test_a_shipment_waits_for_the_last_of_its_supplies(town: Town) -> None:
    for sku, day in (("ice", "2025-06-20"), ("milk", "2025-06-18")):
        town.sku(sku, presale=True)
        town.engine.set_supply(town.near, sku, day, 1)
    (told,) = town.routed(("ice", 1), ("milk", 1), kind=PRESALE).shipments
    assert told.supply_date == "2025-06-20"
    assert told.promised_ns is not None and told.promised_ns > town.at("00:00", day=20)


def test_supply_that_is_late_is_promised_from_now_on(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-10", 1)
    promised_ns = town.routed(("ice", 1), kind=PRESALE).promised_ns
    assert promised_ns is not None and promised_ns > town.clock.ns


def test_what_is_sold_out_can_be_ordered_back_with_a_date(town: Town) -> None:
    town.engine.set_supply(town.near, "tea", "2025-06-18", 1)
    town.stock(town.near, tea=0)
    town.policy("[types.NEXT_DAY]\nsteps = ['STORE', 'BACKORDER']")
    told = town.routed(kind=NEXT_DAY)
    assert (told.store_id, told.step) == (town.near, StepName.BACKORDER)
    assert told.shipments[0].supply_date == "2025-06-18"


def test_supply_that_comes_later_than_may_be_promised_is_not_sold(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-18", 1)
    promise = "[types.PRESALE.promise]\npick = 0\ndetour = 0\nmost = '{}h'"
    town.policy(promise.format(35))  # to 23:00 of the day before
    order = town.an_order(("ice", 1), kind=PRESALE)
    assert town.engine.route(order).reason is Reason.NO_SUPPLY
    (why, *_) = town.engine.explain(order).excluded
    assert (why.store_id, why.step, why.code) == (
        town.near,
        StepName.BACKORDER,
        Exclusion.PROMISE,
    )
    town.policy(promise.format(36))
    told = town.routed(("ice", 1), kind=PRESALE)
    assert told.promised_ns == town.at("00:00", day=18)


def test_what_waits_for_supply_is_held_until_it_comes_and_as_long_as_usual_from_then_on(
    town: Town,
) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-18", 1)
    town.stock(town.near, tea=1)
    town.policy("[types.PRESALE]\nreservation_timeout = '2h'")
    order = town.an_order(("ice", 1), ("tea", 1), kind=PRESALE, id="P")
    town.engine.route(order)
    due_ns = [one.reserved_until_ns for one in town.engine.order("P").shipments]
    assert due_ns == [town.at("14:00"), town.at("02:00", day=18)]
    town.at("01:59", day=18)
    expired = town.engine.expire_orders()
    now, then = town.engine.order("P").shipments
    assert expired and (now.state, then.state) == (OrderState.EXPIRED, OrderState.ASSIGNED)


def test_what_waits_for_supply_and_is_rejected_waits_for_the_same_day_elsewhere(town: Town) -> None:
    town.sku("ice", presale=True, needs=frozenset({"cold_chain"}))
    for store in (town.near, town.next, town.far):
        town.engine.set_supply(store, "ice", "2025-06-18", 1)
    town.store(town.near, abilities=frozenset({"cold_chain"}))
    town.store(town.far, abilities=frozenset({"cold_chain"}))
    town.policy("[types.PRESALE]\nreservation_timeout = '2h'")
    town.engine.route(town.an_order(("ice", 1), kind=PRESALE, id="P"))
    (sent,) = town.engine.reject_order("P", town.near).shipments
    assert (sent.state, sent.store_id) == (OrderState.ASSIGNED, town.far)
    assert sent.reserved_until_ns == town.at("02:00", day=18)


def test_what_waits_for_supply_and_is_rejected_is_never_sold_from_stock(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-18", 1)
    town.engine.route(town.an_order(("ice", 1), kind=PRESALE, id="P"))
    town.engine.set_supply(town.next, "ice", "2025-06-17", 9)  # that is another day
    town.stock(town.next, ice=9)
    (sent,) = town.engine.reject_order("P", town.near).shipments
    assert (sent.state, sent.reason) == (OrderState.REJECTED, Reason.NO_SUPPLY)


def test_without_a_policy_nobody_is_promised_supply(town: Town) -> None:
    town.sku("ice", presale=True)
    for store in (town.near, town.next):
        town.engine.set_supply(store, "ice", "2025-06-18", 1)
    town.engine.route(town.an_order(("ice", 1), kind=PRESALE, id="P"))
    town.engine.activate_policy(0)
    (sent,) = town.engine.reject_order("P", town.near).shipments
    assert (sent.state, sent.reason) == (OrderState.REJECTED, Reason.NO_SUPPLY)


def test_supply_that_a_store_says_will_not_come_is_sold_to_nobody_else(town: Town) -> None:
    town.sku("ice", presale=True)
    town.engine.set_supply(town.near, "ice", "2025-06-18", 5)
    town.stock(town.near, tea=1)
    town.engine.route(town.an_order(("tea", 1), ("ice", 1), kind=PRESALE, id="P"))
    town.engine.reject_order("P", town.near, reason=RejectReason.NOT_ON_SHELF, missing_skus=["ice"])
    assert town.engine.supply("ice") == []
    assert town.engine.available(town.near, "tea") == 1


def test_a_day_of_supply_begins_when_it_does_there_whatever_the_clocks_do_until_then(
    town: Town,
) -> None:
    """On the second of November 2025 New York goes back from summer time, at two at night."""
    town.sku("ice", presale=True)
    town.store(town.near, time_zone="America/New_York")
    town.policy("[types.PRESALE.promise]\npick = 0\npick_per_open_order = 0\ndetour = 0")
    promised = {}
    for day in ("2025-11-02", "2025-11-03", "0001-01-01", "9999-12-31"):
        town.engine.set_supply(town.near, "ice", day, 1)
        told = town.routed(("ice", 1), kind=PRESALE, id=day)
        promised[told.shipments[0].supply_date] = told.promised_ns or 0
    hours = (promised["2025-11-03"] - promised["2025-11-02"]) / 3.6e12
    assert hours == 25
    assert promised["0001-01-01"] < promised["2025-11-02"]
    assert promised["9999-12-31"] > promised["2025-11-03"]


def test_what_is_there_now_needs_no_ability_for_what_comes_later(town: Town) -> None:
    town.sku("ice", presale=True, needs=frozenset({"cold_chain"}))
    town.store(town.far, abilities=frozenset({"cold_chain"}))
    town.engine.set_supply(town.near, "ice", "2025-06-18", 1)
    town.engine.set_supply(town.far, "ice", "2025-06-19", 1)
    town.stock(town.near, tea=1)
    now, then = town.routed(("ice", 1), ("tea", 1), kind=PRESALE).shipments
    assert (now.store_id, then.store_id) == (town.near, town.far)


# -- PICKUP ------------------------------------------------------------------------------------


def test_an_order_is_fetched_at_the_store_that_it_names_however_far_that_is(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.far, tea=1)
    town.policy("[types.PICKUP]\nsteps = [{ name = 'STORE', radius_m = 1 }]")
    assert town.where(kind=PICKUP, pickup_store_id=town.far) == town.far
    assert town.routed(kind=PICKUP, pickup_store_id=town.far).reason is Reason.PICKUP_STORE


def test_without_a_name_it_is_fetched_at_the_nearest(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.far, tea=9)
    assert town.where(kind=PICKUP) == town.near


def test_an_order_to_a_store_that_was_removed_is_told_the_same_again(town: Town) -> None:
    town.stock(town.near, tea=9)
    order = town.an_order(kind=PICKUP, pickup_store_id=town.near)
    first = town.engine.route(order)
    town.engine.release(order.id)
    town.engine.remove_stores([town.near])
    assert first.store_id == town.near
    assert town.engine.route(order) == first
    new = town.routed(kind=PICKUP, pickup_store_id=town.near)
    assert (new.store_id, new.reason) == (None, Reason.PICKUP_STORE)
    with pytest.raises(UnknownStoreError):
        town.routed(kind=PICKUP, pickup_store_id="nobody's")


# -- GROUPS ------------------------------------------------------------------------------------


def test_a_group_is_filled_whole_by_one_store(town: Town) -> None:
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=3)
    orders = [town.an_order(kind=GROUP, group_id="g") for _ in range(3)]
    told = town.engine.route_batch(orders)
    assert {one.store_id for one in told} == {town.next}


def test_a_group_holds_all_of_its_goods_though_the_first_takes_the_rest_off_the_shelf(
    town: Town,
) -> None:
    town.sku("tea", off_below=2, on_from=2)
    town.stock(town.near, tea=2)
    orders = [town.an_order(kind=GROUP, group_id="g") for _ in range(2)]
    assert {one.store_id for one in town.engine.route_batch(orders)} == {town.near}
    stock, stores = town.engine._stock, town.engine.store_ids
    assert stock.counts(stores.index(town.near), stock.skus.index("tea")) == (2, 2)


def test_or_by_none(town: Town) -> None:
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=2)
    orders = [town.an_order(kind=GROUP, group_id="g") for _ in range(3)]
    told = town.engine.route_batch(orders)
    assert {one.reason for one in told} == {Reason.GROUP_NOT_WHOLE}


def test_or_by_none_that_has_room_for_all(town: Town) -> None:
    town.store(town.near, most_open_orders=2)
    town.store(town.next, most_orders_in_window=2)
    for store in (town.near, town.next, town.far):
        town.stock(store, tea=9)
    orders = [town.an_order(kind=GROUP, group_id="g") for _ in range(3)]
    told = town.engine.route_batch(orders)
    assert {one.store_id for one in told} == {town.far}


def test_many_groups_in_one_call_stand_in_any_order_and_are_each_filled_whole(town: Town) -> None:
    town.stock(town.near, tea=100)
    town.stock(town.next, tea=300)
    names = [f"g{(row * 7) % 60}" for row in range(240)]  # four orders of each, far apart
    orders = [town.an_order(kind=GROUP, group_id=name) for name in names]
    found: dict[str, list[str | None]] = {}
    for name, told in zip(names, town.engine.route_batch(orders), strict=True):
        found.setdefault(name, []).append(told.store_id)
    stores = [stores[0] for stores in found.values() if len(set(stores)) == 1]
    assert (stores.count(town.near), stores.count(town.next)) == (25, 35)


def test_the_first_order_of_a_group_speaks_for_all(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.engine.set_shares("app", {town.near: 0.0})
    said = [{"channel": channel, "group_id": "g"} for channel in ("shop", "app")]
    orders = [town.an_order(kind=GROUP, **one) for one in (*said, *said[::-1])]
    first = town.engine.route_batch(orders[:2])
    assert [one.store_id for one in first] == [town.near, town.near]
    second = town.engine.route_batch(orders[2:])
    assert [one.store_id for one in second] == [town.next, town.next]


def test_orders_of_the_default_type_are_part_of_their_group(town: Town) -> None:
    town.policy('default_type = "GROUP"')
    town.stock(town.near, tea=1)
    town.stock(town.next, tea=2)
    said, unsaid = (town.an_order(kind=kind, group_id="g") for kind in (GROUP, OrderType(0)))
    assert [one.store_id for one in town.engine.route_batch([said, unsaid])] == [town.next] * 2


def test_who_joins_a_group_later_goes_where_it_is_or_nowhere(town: Town) -> None:
    town.policy("[types.GROUP]\nmerge_window = '1h'")
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=9)
    first = town.routed(kind=GROUP, group_id="g")
    town.clock.pass_s(3600)
    second, third = (town.routed(kind=GROUP, group_id="g") for _ in range(2))
    assert (first.store_id, second.store_id, third.store_id) == (town.near, town.near, None)
    assert first.merge_group == second.merge_group == third.merge_group
    town.clock.pass_s(3601)
    assert town.where(kind=GROUP, group_id="g") == town.next


# -- MERGING -----------------------------------------------------------------------------------

HOME = {"buyer_id": "li", "address_id": "home"}


def test_orders_of_one_buyer_to_one_address_go_together_within_the_window(town: Town) -> None:
    town.policy("[types.NEXT_DAY]\nmerge_window = '10min'")
    town.stock(town.near, tea=2)
    town.stock(town.next, tea=9, milk=9)
    first = town.routed(("milk", 1), **HOME)
    town.clock.pass_s(600)
    second = town.routed(("tea", 1), **HOME)
    assert (first.store_id, second.store_id) == (town.next, town.next)
    assert first.merge_group == second.merge_group != 0
    town.clock.pass_s(601)
    third = town.routed(("tea", 1), **HOME)
    assert (third.store_id, third.merge_group == first.merge_group) == (town.near, False)


def test_to_another_address_they_do_not(town: Town) -> None:
    town.policy("[types.NEXT_DAY]\nmerge_window = '10min'")
    town.stock(town.near, tea=9)
    one, other = town.routed(**HOME), town.routed(buyer_id="li", address_id="work")
    assert one.merge_group != other.merge_group
    assert town.routed(buyer_id="li").merge_group == 0


def test_where_the_merged_store_has_it_not_another_does(town: Town) -> None:
    town.policy("[types.NEXT_DAY]\nmerge_window = '10min'")
    town.stock(town.near, tea=1)
    town.stock(town.next, milk=1)
    assert town.where(("milk", 1), **HOME) == town.next
    assert town.where(("tea", 1), **HOME) == town.near


def test_a_dry_run_founds_no_group_and_reserves_nothing(town: Town) -> None:
    town.policy("[types.NEXT_DAY]\nmerge_window = '10min'")
    town.stock(town.near, tea=1)
    town.stock(town.next, tea=1, milk=1)
    tried = town.engine.route(town.an_order(("milk", 1), kind=NEXT_DAY, **HOME), dry_run=True)
    assert tried.store_id == town.next
    assert town.where(("tea", 1), **HOME) == town.near


# -- PROMISES ----------------------------------------------------------------------------------


def test_an_instant_order_is_refused_where_its_promise_cannot_be_kept(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    way_s = town.metres[town.near] * 1.0 / 5.0
    rule = "[types.INSTANT]\npromise = {{ pick = 60, detour = 1, speed_kmh = 18, most = {} }}"
    town.policy(rule.format(60 + way_s + 0.5))
    assert town.where(kind=INSTANT) == town.near
    town.policy(rule.format(60 + way_s - 0.5))
    assert town.routed(kind=INSTANT).reason is Reason.CANNOT_BE_PROMISED


def test_every_order_that_a_store_has_makes_the_next_wait_longer(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.policy("[types.NEXT_DAY]\npromise = { pick = 0, pick_per_open_order = 60, detour = 0 }")
    promised_ns = [town.routed().promised_ns for _ in range(3)]
    assert promised_ns == [town.clock.ns + minutes * 60 * 10**9 for minutes in range(3)]


def test_in_the_rush_hour_the_way_takes_longer(town: Town) -> None:
    town.stock(town.near, tea=9)
    speeds = "{ '17-19' = 9, rest = 18 }"
    rest = f"pick = 0, pick_per_open_order = 0, detour = 1, speed_kmh = {speeds}"
    town.policy(f"[types.NEXT_DAY]\npromise = {{ {rest} }}")
    way_ns = int(town.metres[town.near] / 5 * 1e9)
    start_ns = town.at("16:59")
    assert town.routed().promised_ns == pytest.approx(start_ns + way_ns, abs=1e3)
    start_ns = town.at("17:00")
    assert town.routed().promised_ns == pytest.approx(start_ns + 2 * way_ns, abs=1e3)


def test_a_store_that_never_opens_again_promises_nothing(town: Town) -> None:
    town.store(town.near, hours={"daily": "closed"})
    town.stock(town.near, tea=9)
    told = town.routed()
    assert (told.store_id, told.promised_ns) == (town.near, None)


# -- OVERRIDES ---------------------------------------------------------------------------------


def test_a_channel_has_rules_of_its_own(town: Town) -> None:
    town.stock(town.near, tea=9)
    town.stock(town.next, tea=9)
    town.store(town.near, kind=StoreKind.RDC)
    steps = "steps = [{ name = 'RDC', areas = false }]"
    town.policy(f"{PLAIN}[[override]]\nchannel = ['app']\n{steps}")
    assert town.where(channel="app") == town.near
    assert town.where(channel="web") == town.next


def test_a_class_of_products_has_rules_of_its_own(town: Town) -> None:
    town.sku("ice", product_class="frozen")
    town.stock(town.near, tea=9, ice=9)
    town.policy(f"{PLAIN}[[override]]\nproduct_class = ['frozen']\nstore_regions = ['cold']")
    assert town.where(("tea", 1)) == town.near
    assert town.where(("tea", 1), ("ice", 1)) is None


def test_the_areas_say_in_which_region_an_order_is_unless_it_says_so_itself(town: Town) -> None:
    town.engine.set_areas({"around": town.around})
    town.stock(town.near, tea=9)
    town.policy(f"{PLAIN}[[override]]\nregion = ['around']\nstore_regions = ['nobody']")
    assert town.where() is None
    assert town.where(region="elsewhere") == town.near
