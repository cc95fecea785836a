"""Several stores fill an order together: as few as can be, and of those the nearest."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import splits
from fendan.engine.split import Splitter
from splits import Offer, Wish

SPLITTER = Splitter()  # one for all: nothing of an earlier search may shine through


def columns(offers: Sequence[Offer]) -> tuple[list[float], list[int]]:
    return [o.distance_m for o in offers], [sum(1 << i for i in o.items) for o in offers]


def split(offers: Sequence[Offer], wish: Wish, way: str = "fewest") -> list[int] | None:
    distances_m, items = columns(offers)
    answer = getattr(SPLITTER, way)(
        distances_m,
        items,
        wish.item_count,
        wish.most_shipments,
        amounts=wish.amounts,
        least_amount=wish.least_amount,
    )
    return None if answer is None else list(map(int, answer))


def stores(*offers: tuple[float, str]) -> list[Offer]:
    """Stores at so many metres with the items that the letters name, a for 0."""
    return [Offer(metres, frozenset(map("abcdefghijklmnop".index, had))) for metres, had in offers]


# -- THE FEWEST --------------------------------------------------------------------------------


def test_two_shipments_from_afar_are_better_than_three_from_nearby() -> None:
    near = stores((1, "a"), (2, "b"), (3, "c"), (900, "ab"), (950, "bc"))
    assert split(near, Wish(3, 3)) == [3, 3, 2]


def test_of_as_many_shipments_the_nearest_go() -> None:
    assert split(stores((5, "ab"), (6, "ab"), (7, "c"), (8, "bc")), Wish(3, 2)) == [0, 0, 2]


def test_what_two_of_them_have_comes_from_the_one_that_is_preferred() -> None:
    assert split(stores((5, "bc"), (1, "ab")), Wish(3, 2)) == [1, 0, 0]


def test_stores_equally_far_are_taken_in_the_order_of_preference() -> None:
    assert split(stores((5, "ab"), (5, "ab"), (5, "bc"), (5, "c")), Wish(3, 3)) == [0, 0, 2]


def test_a_micrometre_decides_and_less_does_not() -> None:
    assert split(stores((5.000001, "a"), (5.0, "a")), Wish(1, 1)) == [1]
    assert split(stores((5.0000001, "a"), (5.0, "a")), Wish(1, 1)) == [0]


def test_an_order_that_needs_more_shipments_than_allowed_is_not_split() -> None:
    singles = stores((1, "a"), (2, "b"), (3, "c"))
    assert split(singles, Wish(3, 2)) is None
    assert split(singles, Wish(3, 3)) == [0, 1, 2]


def test_what_nobody_has_cannot_be_sent() -> None:
    assert split(stores((1, "a"), (2, "b")), Wish(3, 16)) is None
    assert split([], Wish(1, 16)) is None


def test_an_item_moves_to_the_shipment_that_is_not_worth_enough() -> None:
    offers = stores((1, "abc"), (2, "cd"))
    assert split(offers, Wish(4, 2, (50, 30, 20, 5), 0)) == [0, 0, 0, 1]
    assert split(offers, Wish(4, 2, (50, 30, 20, 5), 25)) == [0, 0, 1, 1]
    assert split(offers, Wish(4, 2, (50, 30, 20, 5), 26)) is None


def test_a_least_amount_may_ask_for_one_more_shipment() -> None:
    offers = stores((1, "abc"), (2, "d"), (3, "ad"), (4, "b"), (5, "c"))
    assert split(offers, Wish(4, 3, (10, 10, 10, 1), 0)) == [0, 0, 0, 1]
    assert split(offers, Wish(4, 3, (10, 10, 10, 1), 10)) == [2, 0, 0, 2]
    del offers[0]
    assert split(offers, Wish(4, 3, (10, 10, 10, 1), 10)) == [1, 2, 3, 1]


@st.composite
def orders(draw: st.DrawFn, most_items: int = 5, most_offers: int = 8) -> tuple[list[Offer], Wish]:
    """Few items, few distances, few amounts, so that much is equal."""
    item_count = draw(st.integers(1, most_items))
    metres = st.one_of(
        st.sampled_from([0.0, 1.0, 1.0000004, 1.0000006, 2.0, 3.0]), st.floats(0, 3e7)
    )
    had = st.frozensets(st.integers(0, item_count - 1))
    offers = draw(st.lists(st.builds(Offer, metres, had), max_size=most_offers))
    amounts = st.tuples(*[st.integers(0, 4)] * item_count)
    return offers, Wish(
        item_count,
        draw(st.sampled_from([1, 2, 3, 4, 16])),
        draw(st.one_of(st.none(), amounts)),
        draw(st.integers(-1, 6)),
    )


@given(orders())
@example((stores((1, "ab"), (0, "c"), (1, "bc"), (0, "a")), Wish(3, 2)))
def test_the_fewest_are_those_of_the_twin(order: tuple[list[Offer], Wish]) -> None:
    assert split(*order) == splits.fewest(*order)


@given(orders(most_items=9, most_offers=6))
def test_and_with_more_items_than_offers(order: tuple[list[Offer], Wish]) -> None:
    assert split(*order) == splits.fewest(*order)


@given(orders(most_items=3), orders())
def test_a_search_leaves_nothing_behind_for_the_next(
    one: tuple[list[Offer], Wish], other: tuple[list[Offer], Wish]
) -> None:
    first = split(*one)
    split(*other)
    assert split(*one) == first


# -- ONE AFTER ANOTHER -------------------------------------------------------------------------


def test_the_first_sends_all_it_has_then_the_next() -> None:
    offers = stores((1, "a"), (2, "ab"), (3, "abc"))
    assert split(offers, Wish(3, 3), "nearest") == [0, 1, 2]
    assert split(offers, Wish(3, 2), "nearest") is None


def test_a_store_whose_part_is_worth_too_little_is_passed_over() -> None:
    offers = stores((1, "a"), (2, "ab"), (3, "c"))
    assert split(offers, Wish(3, 3, (2, 8, 10), 5), "nearest") == [1, 1, 2]
    assert split(offers, Wish(3, 3, (2, 8, 4), 5), "nearest") is None


@given(orders())
def test_one_after_another_is_as_the_twin_does_it(order: tuple[list[Offer], Wish]) -> None:
    assert split(*order, "nearest") == splits.nearest(*order)


# -- LONG ORDERS -------------------------------------------------------------------------------


def many(seed: int, offer_count: int, item_count: int, share: float) -> list[Offer]:
    random = np.random.default_rng(seed)
    had = random.random((offer_count, item_count)) < share
    metres = np.sort(random.uniform(0, 30_000, offer_count))
    return [
        Offer(float(m), frozenset(map(int, np.flatnonzero(row))))
        for m, row in zip(metres, had, strict=True)
    ]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("most_shipments", [2, 3])
def test_sixteen_items_in_few_shipments_are_as_the_twin_finds_them(
    share: float, most_shipments: int
) -> None:
    offers = many(7, 25, 16, share)
    wish = Wish(16, most_shipments)
    assert split(offers, wish) == splits.fewest(offers, wish)


def test_sixteen_stores_with_an_item_each_make_sixteen_shipments() -> None:
    offers = [Offer(float(100 - n), frozenset({n})) for n in range(16)]
    assert split(offers, Wish(16, 16)) == list(range(16))
    assert split(offers, Wish(16, 16, (7,) * 16, 7)) == list(range(16))
    assert split(offers, Wish(16, 15)) is None


def test_stores_all_equally_far_are_told_apart_by_preference() -> None:
    pairs = [frozenset({a, b}) for a in range(16) for b in range(a + 1, 16)]
    offers = [Offer(0.0, pair) for pair in pairs]
    answer = split(offers, Wish(16, 16))
    assert answer is not None
    assert [pairs[position] for position in sorted(set(answer))] == [
        frozenset({n, n + 1}) for n in range(0, 16, 2)
    ]


def test_seventeen_items_go_to_whoever_has_most_of_them_then_again() -> None:
    offers = [
        Offer(9.0, frozenset(range(8))),
        Offer(5.0, frozenset(range(8, 16))),
        Offer(7.0, frozenset(range(6, 14))),
        Offer(1.0, frozenset({14, 15, 16})),
    ]
    assert split(offers, Wish(17, 2)) is None
    assert split(offers, Wish(17, 3)) == [0] * 8 + [1] * 8 + [3]


@given(st.integers(0, 1000), st.sampled_from([17, 33, 63, 64]), st.sampled_from([0, 3]))
def test_a_long_order_is_split_in_a_way_that_can_be(seed: int, item_count: int, least: int) -> None:
    offers = many(seed, 40, item_count, 0.4)
    wish = Wish(item_count, 16, tuple(range(item_count)), least)
    answer = split(offers, wish)
    if answer is None:
        assert splits.nearest(offers, wish) is None or least
        return
    for position in set(answer):
        part = frozenset(i for i in wish.items if answer[i] == position)
        assert part <= offers[position].items
        assert wish.is_worth_it(part)


@pytest.mark.parametrize(("item_count", "most_shipments"), [(0, 1), (65, 1), (1, 0), (1, 17)])
def test_what_cannot_be_is_refused(item_count: int, most_shipments: int) -> None:
    with pytest.raises(ValueError, match=f"{item_count} items, {most_shipments} shipments"):
        SPLITTER.fewest([], [], item_count, most_shipments)
    with pytest.raises(ValueError, match="1 amounts for 2 items"):
        SPLITTER.nearest([], [], 2, 1, amounts=[3])
