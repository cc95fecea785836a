"""Whatever a chain writes into its policy, the engine decides as the slow twin does."""

from dataclasses import replace
from operator import methodcaller
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rule_strategies as rs
from fendan import Order, SkuProfile, Store, StoreProfile
from rule_judge import Judge

Rows = list[tuple[str, str, int]]


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """A chain with all that can be said of it, a policy, and orders that come at once."""
    stores = draw(rs.store_lists)
    ids = [store.id for store in stores]
    store_id = st.sampled_from(ids)
    pairs = st.tuples(store_id, st.sampled_from(rs.SKUS), st.integers(0, 6))
    rows = [
        (name, sku, draw(st.sampled_from([0, 0, 1, 2, 3, 6]))) for name in ids for sku in rs.SKUS
    ]
    supplies = st.tuples(
        store_id, st.sampled_from(rs.SKUS), st.sampled_from(rs.DAYS), st.integers(0, 6)
    )
    shares = st.tuples(st.sampled_from(rs.CHANNELS), store_id, st.sampled_from([0, 0.3, 0.5, 1]))
    count = draw(st.integers(2, 8))
    return {
        "stores": stores,
        "profiles": draw(st.dictionaries(store_id, rs.store_profiles, max_size=3)),
        "skus": draw(st.dictionaries(st.sampled_from(rs.SKUS), rs.sku_profiles))
        | draw(rs.bundle_profiles),
        "stock": rows + draw(st.lists(pairs, max_size=8, unique_by=lambda row: row[:2])),
        "lots": draw(st.lists(st.tuples(store_id, st.sampled_from(rs.SKUS), rs.lots), max_size=3)),
        "held": draw(st.lists(pairs, max_size=2)),
        "shares": draw(st.lists(shares, max_size=2)),
        "hidden": draw(
            st.dictionaries(
                st.sampled_from(rs.CHANNELS), rs.some(*rs.SKUS, *rs.BUNDLES), max_size=1
            )
        ),
        "supplies": draw(st.lists(supplies, min_size=1, max_size=5)),
        "paused": draw(rs.mostly(frozenset(), frozenset(ids[:1]))),
        "policy": draw(rs.policies),
        "later_s": draw(st.sampled_from([0, 3600, 5 * 3600, 21_600 - 900, 21_600, 17 * 3600])),
        "orders": [draw(rs.orders(tuple(ids), number)) for number in range(count)],
    }


def played(
    *,
    stores: list[Store],
    profiles: dict[str, StoreProfile],
    skus: dict[str, SkuProfile],
    stock: Rows,
    lots: list[tuple[str, str, dict[str, int]]],
    held: Rows,
    shares: list[tuple[str, str, float]],
    hidden: dict[str, frozenset[str]],
    supplies: list[tuple[str, str, str, int]],
    paused: frozenset[str],
    policy: str,
    later_s: int,
    orders: list[Order],
) -> Judge:
    """Engine and twin before the first order."""
    judge = Judge()
    judge.both(methodcaller("add_stores", stores))
    judge.both(methodcaller("set_areas", rs.AREAS))
    judge.both(methodcaller("set_sku_profiles", skus))
    for name, profile in profiles.items():
        judge.both(methodcaller("set_store_profiles", rs.windowed(name, profile)))
    for row in stock:
        judge.both(methodcaller("set_stock", [row]))
    for delivery in lots:
        judge.both(methodcaller("set_lots", *delivery))
    for store, sku, count in held:
        judge.both(methodcaller("set_held", [store], [sku], safety=[count]))
    for channel, store, share in shares:
        judge.both(methodcaller("set_shares", channel, {store: share}))
    for channel, names in hidden.items():
        judge.both(methodcaller("set_hidden_skus", channel, names))
    for supply in supplies:
        judge.both(methodcaller("set_supply", *supply))
    judge.both(methodcaller("pause_stores", paused))
    judge.both(lambda face: face.activate_policy(face.draft_policy(policy)))
    judge.clock.pass_s(later_s)
    return judge


SETTINGS = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(scenes())
@SETTINGS
def test_a_batch_under_any_policy_is_decided_as_the_slow_twin_decides_it(
    scene: dict[str, Any],
) -> None:
    judge = played(**scene)
    orders = scene["orders"]
    judge.both(lambda face: face.route_batch(orders, dry_run=True))
    judge.both(lambda face: face.route_batch(orders))
    judge.both(lambda face: face.route_batch(orders[::-1]))


@given(scenes())
@SETTINGS
def test_orders_one_by_one_are_decided_as_the_slow_twin_decides_them(scene: dict[str, Any]) -> None:
    judge = played(**scene)
    for order in scene["orders"]:
        judge.both(methodcaller("route", order))
        judge.clock.pass_s(300)


needs = st.sampled_from([frozenset[str](), {"cold"}, {"large"}, {"cold", "large"}]).map(frozenset)
bundles = st.fixed_dictionaries(
    {
        name: st.builds(
            SkuProfile,
            parts=st.just(parts),
            needs=needs,
            product_class=st.sampled_from(("", *rs.CLASSES)),
            least_life_days=rs.mostly(0, 1, 2),
        )
        for name, parts in rs.BUNDLES.items()
    }
)
bundle_lines = st.lists(
    st.tuples(st.sampled_from([*rs.BUNDLES, *rs.BUNDLES, *rs.SKUS]), st.sampled_from([1, 1, 2])),
    min_size=1,
    max_size=3,
)


@given(
    scenes(),
    bundles,
    bundles,
    st.lists(needs, min_size=5, max_size=5),
    st.lists(bundle_lines, min_size=8, max_size=8),
    st.booleans(),
)
@SETTINGS
def test_bundles_that_stores_reject_go_where_the_slow_twin_sends_them(
    scene: dict[str, Any],
    skus: dict[str, SkuProfile],
    later: dict[str, SkuProfile],
    abilities: list[frozenset[str]],
    lines: list[list[tuple[str, int]]],
    splits: bool,
) -> None:
    """Stores that differ in what they can do have all that is asked for, or a good part of it."""
    names = [store.id for store in scene["stores"]]
    able = {name: StoreProfile(abilities=one) for name, one in zip(names, abilities, strict=False)}
    judge = played(**scene | {"skus": scene["skus"] | skus, "profiles": able, "later_s": 0})
    if not splits:
        judge.both(methodcaller("set_stock", [(a, sku, 9) for a in names for sku in rs.SKUS]))
    judge.both(
        methodcaller(
            "route_batch",
            [replace(one, lines=said) for one, said in zip(scene["orders"], lines, strict=False)],
        )
    )
    judge.both(methodcaller("set_sku_profiles", later))
    for name, kept in judge.twin.told.items():
        for _ in range(3):
            for sent in kept.held[:1]:
                assert sent.shop is not None
                judge.both(methodcaller("reject_order", name, sent.shop.id))
