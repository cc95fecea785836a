"""Where a store has too few of a line, others send the rest of it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import splits
from fendan.engine import pieces
from splits import Basket, Pieces


def split(
    metres: Sequence[float], sellable: Sequence[Sequence[int]], basket: Basket, way: str = "fewest"
) -> Pieces | None:
    answer = getattr(pieces, way)(
        metres,
        sellable,
        basket.asked,
        basket.most_shipments,
        amounts=basket.amounts,
        least_amount=basket.least_amount,
    )
    if answer is None:
        return None
    return [(int(position), list(map(int, row))) for position, row in zip(*answer, strict=True)]


# -- THE FEWEST --------------------------------------------------------------------------------


def test_the_first_of_the_chosen_stores_sends_all_it_has() -> None:
    assert split([1, 2, 3], [[3], [1], [4]], Basket((6,), 3)) == [(0, [3]), (2, [3])]


def test_one_store_that_has_everything_is_enough() -> None:
    assert split([1, 2, 9], [[3, 9], [9, 3], [4, 4]], Basket((4, 4), 2)) == [(2, [4, 4])]


def test_of_as_many_shipments_the_nearest_go() -> None:
    assert split([5, 1, 1], [[2], [2], [2]], Basket((4,), 2)) == [(1, [2]), (2, [2])]


def test_more_than_all_stores_have_cannot_be_sent() -> None:
    assert split([1, 2, 3], [[3], [1], [4]], Basket((9,), 16)) is None
    assert split([1, 2, 3], [[3], [1], [4]], Basket((8,), 2)) is None
    assert split([1, 2, 3], [[3], [1], [4]], Basket((8,), 3)) == [(0, [3]), (1, [1]), (2, [4])]


def test_each_shipment_is_worth_its_share_of_the_line() -> None:
    """Seven pieces for 100: two of them are worth 28.57, counted as 28."""
    assert split([1, 2], [[5], [9]], Basket((7,), 1, (100,), 0)) == [(1, [7])]
    chain = ([1.0, 2.0, 3.0], [[5], [4], [2]])
    assert split(*chain, Basket((7,), 2, (100,), 28)) == [(0, [5]), (1, [2])]
    assert split(*chain, Basket((7,), 2, (100,), 29)) is None


def test_lines_that_stay_together_are_one_line_asked_once() -> None:
    assert split([1, 2], [[0, 5], [1, 1]], Basket((1, 4), 2)) == [(0, [0, 4]), (1, [1, 0])]


def test_the_largest_amounts_and_quantities_are_counted() -> None:
    most, money = 2**31 - 1, 2**53
    basket = Basket((most,), 2, (money,), money // 2)
    assert split([1, 2], [[most - 1], [most]], basket) == [(1, [most])]
    half = Basket((most,), 2, (money,), money // 2 - 2**23)
    assert split([1, 2], [[most // 2 + 1], [most // 2]], half) == [
        (0, [most // 2 + 1]),
        (1, [most // 2]),
    ]


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[float], list[list[int]], Basket]:
    line_count = draw(st.integers(1, 3))
    row = st.lists(st.integers(0, 4), min_size=line_count, max_size=line_count)
    sellable = draw(st.lists(row, max_size=8))
    metres = st.one_of(st.sampled_from([0.0, 1.0, 1.0000004, 2.0]), st.floats(0, 3e7))
    distances = draw(st.lists(metres, min_size=len(sellable), max_size=len(sellable)))
    if draw(st.booleans()):
        distances.sort()
    basket = Basket(
        draw(st.tuples(*[st.integers(1, 9)] * line_count)),
        draw(st.integers(1, 4)),
        draw(st.one_of(st.none(), st.tuples(*[st.integers(0, 9)] * line_count))),
        draw(st.integers(-1, 6)),
    )
    return distances, sellable, basket


@given(orders())
def test_the_fewest_are_those_of_the_twin(
    order: tuple[list[float], list[list[int]], Basket],
) -> None:
    assert split(*order) == splits.fewest_pieces(*order)


# -- ONE AFTER ANOTHER -------------------------------------------------------------------------


def test_the_first_store_sends_all_it_has_then_the_next() -> None:
    assert split([1, 2, 3], [[3], [1], [4]], Basket((6,), 3), "nearest") == [
        (0, [3]),
        (1, [1]),
        (2, [2]),
    ]
    assert split([1, 2, 3], [[3], [1], [4]], Basket((6,), 2), "nearest") is None


@given(orders())
def test_one_after_another_is_as_the_twin_does_it(
    order: tuple[list[float], list[list[int]], Basket],
) -> None:
    assert split(*order, "nearest") == splits.nearest_pieces(order[1], order[2])


# -- LONG ORDERS -------------------------------------------------------------------------------


def is_an_answer(answer: Pieces, sellable: Sequence[Sequence[int]], basket: Basket) -> bool:
    positions = [position for position, _ in answer]
    return len(set(positions)) == len(positions) and splits.taken(sellable, basket, positions) == (
        answer,
        True,
    )


@given(st.integers(0, 1000), st.sampled_from([1, 5, 30]), st.sampled_from([None, 76]))
def test_where_four_shipments_are_too_few_each_store_with_most_of_it_sends(
    seed: int, line_count: int, least_amount: int | None
) -> None:
    random = np.random.default_rng(seed)
    sellable = random.integers(0, 4, (50, line_count)).tolist()
    basket = Basket((13,) * line_count, 16, (1000,) * line_count, least_amount or 0)
    answer = split(sorted(random.uniform(0, 9e3, 50).tolist()), sellable, basket)
    assert answer is not None
    assert len(answer) > 4
    assert is_an_answer(answer, sellable, basket)


@pytest.mark.parametrize(("line_count", "store_count"), [(5, 500), (16, 500), (65, 60), (3, 3000)])
def test_a_search_too_long_to_finish_still_gives_an_answer(
    line_count: int, store_count: int
) -> None:
    """Each store has few of many lines: there are more lists than anyone could try."""
    random = np.random.default_rng(line_count)
    has = random.integers(0, 5, (store_count, line_count))
    sellable = (has * (random.random(has.shape) < 0.5)).tolist()
    basket = Basket((7,) * line_count, 16)
    answer = split(sorted(random.uniform(0, 9e3, store_count).tolist()), sellable, basket)
    assert answer is not None
    assert is_an_answer(answer, sellable, basket)


def test_what_cannot_be_is_refused() -> None:
    for asked, most_shipments, amounts in (((), 1, None), ((0,), 1, None), ((1,), 0, None)):
        with pytest.raises(ValueError, match="of 0 offers"):
            pieces.fewest([], [], asked, most_shipments, amounts=amounts)
    with pytest.raises(ValueError, match="of 1 offers"):
        pieces.nearest([1.0], [[1]], (1,), 1, amounts=(1, 2))
