"""Perishables: what goes off first is sold first, and every order gets what is fresh enough."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batches import Batch, Shelf
from fendan.engine.lots import COLUMNS, Lots, restored
from fendan.errors import CorruptJournalError, Fault, FendanError

STORE, SKU = 7, 3
MAY_1, MAY_2, MAY_5, MAY_9 = 20_574, 20_575, 20_578, 20_582


def milk(*lots: tuple[int, int]) -> Lots:
    """Milk of several days at the store."""
    shelf = Lots()
    shelf.set_lots(STORE, SKU, [day for day, _ in lots], [count for _, count in lots])
    return shelf


def reserved_of(lots: Lots) -> list[int]:
    return [reserved for _, _, reserved in lots.lots_of(STORE, SKU)]


def on_hand_of(lots: Lots) -> list[int]:
    return [on_hand for _, on_hand, _ in lots.lots_of(STORE, SKU)]


# -- HELD AND SHIPPED --------------------------------------------------------------------------


def test_what_goes_off_first_is_sold_first() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 4), (MAY_9, 4))
    lots.hold(STORE, SKU, MAY_1, 3)
    assert reserved_of(lots) == [2, 1, 0]


def test_who_wants_it_fresh_gets_none_that_goes_off_before() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 4), (MAY_9, 4))
    assert lots.free_from(STORE, SKU, MAY_2) == 8
    assert lots.first_day(STORE, SKU, MAY_2, 8) == MAY_5
    assert lots.first_day(STORE, SKU, MAY_2, 9) is None
    lots.hold(STORE, SKU, MAY_2, 5)
    assert reserved_of(lots) == [0, 4, 1]
    assert lots.first_day(STORE, SKU, MAY_2, 1) == MAY_9


def test_a_cancelled_order_leaves_the_fresh_ones_to_those_who_need_them() -> None:
    lots = milk((MAY_1, 2), (MAY_9, 2))
    lots.hold(STORE, SKU, MAY_1, 1)
    lots.hold(STORE, SKU, MAY_5, 2)
    lots.hold(STORE, SKU, MAY_1, 1)
    lots.release(STORE, SKU, MAY_1, 1)
    assert reserved_of(lots) == [1, 2]


def test_shipped_pieces_are_gone_from_where_they_were_held() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 2), (MAY_9, 2))
    lots.hold(STORE, SKU, MAY_5, 3)
    lots.ship(STORE, SKU, MAY_5, 3)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 2, 0), (MAY_5, 0, 0), (MAY_9, 1, 0)]
    assert lots.total(STORE, SKU) == 3


def test_what_comes_back_goes_to_the_first_lot_that_could_have_sent_it() -> None:
    lots = milk((MAY_1, 0), (MAY_5, 0))
    lots.put_back(STORE, SKU, MAY_2, 1)
    lots.put_back(STORE, SKU, MAY_9, 1)
    lots.put_back(STORE, SKU, MAY_1, 1)
    assert on_hand_of(lots) == [1, 2]


# -- COUNTED -----------------------------------------------------------------------------------


def test_a_count_finds_free_pieces_missing_before_held_ones_and_early_before_late() -> None:
    lots = milk((MAY_1, 3), (MAY_5, 3))
    lots.hold(STORE, SKU, MAY_1, 2)
    lots.correct(STORE, SKU, 4)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 2, 2), (MAY_5, 2, 0)]
    lots.correct(STORE, SKU, 9)
    assert on_hand_of(lots) == [2, 7]


def test_where_less_is_there_than_is_held_the_last_lot_owes_the_rest() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 2))
    lots.hold(STORE, SKU, MAY_1, 4)
    lots.correct(STORE, SKU, 1)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 0, 0), (MAY_5, 1, 4)]
    assert lots.free_from(STORE, SKU, MAY_1) == 0
    lots.put_back(STORE, SKU, MAY_1, 1)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 1, 1), (MAY_5, 1, 3)]
    lots.ship(STORE, SKU, MAY_1, 4)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 0, 0), (MAY_5, 0, 0)]


def test_new_lots_take_over_what_was_held_as_late_as_it_was() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 2))
    lots.hold(STORE, SKU, MAY_1, 2)
    lots.hold(STORE, SKU, MAY_5, 2)
    assert lots.set_lots(STORE, SKU, [MAY_2, MAY_5, MAY_9], [5, 1, 5]) == 0
    assert reserved_of(lots) == [2, 1, 1]


def test_held_pieces_with_no_lot_as_late_any_more_are_told() -> None:
    lots = milk((MAY_1, 2), (MAY_5, 2))
    lots.hold(STORE, SKU, MAY_5, 2)
    assert lots.set_lots(STORE, SKU, [MAY_1, MAY_2], [5, 1]) == 2
    assert reserved_of(lots) == [1, 1]
    assert lots.set_lots(STORE, SKU, [MAY_9], [1]) == 1
    assert lots.lots_of(STORE, SKU) == [(MAY_9, 1, 2)]


def test_lots_of_what_orders_hold_already_begin_with_that_held() -> None:
    lots = Lots()
    assert lots.set_lots(STORE, SKU, [MAY_1, MAY_5], [2, 2], reserved=3) == 0
    assert reserved_of(lots) == [2, 1]
    assert lots.set_lots(STORE, SKU, [], []) == 0
    assert not lots.has_lots(STORE, SKU)
    assert lots.set_lots(STORE, SKU, [MAY_1], [2], reserved=3) == 1
    assert reserved_of(lots) == [3]


def test_what_has_no_lots_is_left_alone() -> None:
    lots = milk((MAY_1, 2))
    for other in ((STORE, SKU + 1), (STORE + 1, SKU), (SKU, STORE)):
        for command in (lots.hold, lots.release, lots.ship, lots.put_back):
            command(*other, MAY_1, 1)
        lots.correct(*other, 5)
        assert not lots.has_lots(*other)
        assert lots.total(*other) == lots.free_from(*other, MAY_1) == 0
        assert lots.first_day(*other, MAY_1, 1) is None
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 2, 0)]
    assert Lots().lots_of(STORE, SKU) == []


# -- BAD INPUT ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "on_hand", "fault", "path", "row"),
    [
        ([MAY_1, MAY_1], [1, 1], Fault.OUT_OF_RANGE, "days", 1),
        ([MAY_5, MAY_1], [1, 1], Fault.OUT_OF_RANGE, "days", 1),
        ([-1], [1], Fault.OUT_OF_RANGE, "days", 0),
        ([2**40], [1], Fault.OUT_OF_RANGE, "days", 0),
        ([MAY_1, MAY_2], [1, -1], Fault.OUT_OF_RANGE, "on_hand", 1),
        ([MAY_1, MAY_2], [1, 2**31], Fault.OUT_OF_RANGE, "on_hand", 1),
        ([MAY_1, MAY_2], [1, 2**31 - 1], Fault.OVERFLOW, "on_hand", 1),
        ([MAY_1], [1, 2], Fault.RAGGED, "on_hand", None),
        (list(range(65)), [1] * 65, Fault.TOO_MANY, "days", None),
    ],
)
def test_what_cannot_be_lots_is_refused_and_changes_nothing(
    days: list[int], on_hand: list[int], fault: Fault, path: str, row: int | None
) -> None:
    lots = milk((MAY_1, 2))
    with pytest.raises(FendanError) as error:
        lots.set_lots(STORE, SKU, days, on_hand)
    assert (error.value.fault, error.value.field, error.value.row) == (fault, path, row)
    assert lots.lots_of(STORE, SKU) == [(MAY_1, 2, 0)]


# -- MANY PAIRS, AND SNAPSHOTS -----------------------------------------------------------------


def many() -> Lots:
    lots = Lots()
    for number in range(5_000):
        store, sku = number * 7 % 100, number * 11 % 997
        days = [MAY_1 + n for n in range(1 + number % 4)]
        lots.set_lots(store, sku, days, [number] * len(days))
        lots.hold(store, sku, MAY_2, number % 9)
    return lots


def test_thousands_of_pairs_are_told_apart() -> None:
    lots = many()
    wanted = {}
    for number in range(5_000):
        wanted[number * 7 % 100, number * 11 % 997] = number * (1 + number % 4)
    assert len(wanted) > 2_000
    assert {pair: lots.total(*pair) for pair in wanted} == wanted
    assert lots.byte_count >= 24 * len(wanted)


def test_restored_lots_are_the_same_whatever_order_they_came_in() -> None:
    arrays = many().arrays()
    rows = np.stack([arrays[name] for name in COLUMNS[:3]], axis=1).tolist()
    assert rows == sorted(rows)
    again = restored(arrays).arrays()
    assert all(np.array_equal(again[name], arrays[name]) for name in COLUMNS)
    assert restored(Lots().arrays()).byte_count == 0


@pytest.mark.parametrize(
    ("rows"),
    [
        [(1, 1, MAY_1, 2, 3), (1, 1, MAY_2, 2, 0)],  # more reserved than there is, and some free
        [(1, 1, MAY_1, 2, 0), (1, 1, MAY_2, 2, 3)],
        [(1, 1, MAY_2, 2, 0), (1, 1, MAY_1, 2, 0)],
        [(1, 1, MAY_1, 2, -1)],
        [(1, 1, MAY_1, -2, 0)],
        [(1, 1, -1, 2, 0)],
        [(1, -1, MAY_1, 2, 0)],
        [(1, 2, MAY_1, 2, 0), (1, 1, MAY_1, 2, 0)],
        [(1, 1, MAY_1, 2, 0), (1, 2, MAY_1, 2, 0), (1, 1, MAY_2, 2, 0)],
        [(1, 1, MAY_1, 2**31 - 1, 0), (1, 1, MAY_2, 1, 0)],
        [(1, 1, day, 1, 0) for day in range(65)],
    ],
)
def test_a_snapshot_with_lots_that_cannot_be_is_refused(rows: list[tuple[int, ...]]) -> None:
    columns = np.array(rows, dtype=np.int32).T
    with pytest.raises(CorruptJournalError, match=r"snapshot\.lots"):
        restored(dict(zip(COLUMNS, columns, strict=True)))


# -- THE PROMISE -------------------------------------------------------------------------------

days = st.integers(1, 6)
counts = st.integers(0, 4)
deliveries = st.dictionaries(days, counts, min_size=1, max_size=4)


class Dairy(RuleBasedStateMachine):
    """One shelf lives through orders, deliveries and counts, beside the twin of it."""

    @initialize(delivery=deliveries)
    def the_first_delivery(self, delivery: dict[int, int]) -> None:
        self.lots, self.shelf = Lots(), Shelf([])
        self.shelf.batches = [Batch(*lot) for lot in sorted(delivery.items())]
        self.lots.set_lots(
            STORE, SKU, sorted(delivery), [delivery[day] for day in sorted(delivery)]
        )

    @rule(day=days, count=counts, greedy=st.sampled_from([False, False, False, True]))
    def an_order_comes(self, day: int, count: int, greedy: bool) -> None:
        """Nearly always only for what is free."""
        if not greedy:
            count = min(count, self.shelf.free_from(day))
        free = self.shelf.free_from(day)
        first = [b.day for b in self.shelf.batches if b.day >= day and b.free]
        assert self.lots.free_from(STORE, SKU, day) == free
        assert self.lots.first_day(STORE, SKU, day, count) == (
            first[0] if 0 < count <= free else None
        )
        self.lots.hold(STORE, SKU, day, count)
        self.shelf.hold(day, count)

    @precondition(lambda self: self.shelf.held)
    @rule(data=st.data(), sent=st.booleans())
    def an_order_is_shipped_or_cancelled(self, data: st.DataObject, sent: bool) -> None:
        order = data.draw(st.sampled_from(self.shelf.held))
        (self.lots.ship if sent else self.lots.release)(STORE, SKU, *order)
        self.shelf.release(order, sent=sent)

    @rule(day=days, count=counts)
    def a_parcel_comes_back(self, day: int, count: int) -> None:
        self.lots.put_back(STORE, SKU, day, count)
        self.shelf.put_back(day, count)

    @rule(count=st.integers(0, 12), generous=st.booleans())
    def the_shelf_is_counted(self, count: int, generous: bool) -> None:
        """And mostly at least what is held is found."""
        count += self.shelf.reserved if generous else 0
        self.lots.correct(STORE, SKU, count)
        self.shelf.correct(count)

    @rule(delivery=deliveries, again=st.booleans())
    def the_lots_are_looked_at(self, delivery: dict[int, int], again: bool) -> None:
        """A list of them comes, which may say what is known, and more."""
        if again:
            for batch in self.shelf.batches:
                delivery[batch.day] = delivery.get(batch.day, 0) + batch.on_hand
        told = sorted(delivery.items())
        displaced = self.shelf.replace([Batch(*lot) for lot in told])
        columns = [day for day, _ in told], [count for _, count in told]
        assert self.lots.set_lots(STORE, SKU, *columns) == displaced

    @invariant()
    def the_counts_are_those_of_the_twin(self) -> None:
        if not hasattr(self, "shelf"):
            return
        assert self.lots.lots_of(STORE, SKU) == self.shelf.rows
        assert self.lots.total(STORE, SKU) == self.shelf.total
        assert self.shelf.reserved == sum(count for _, count in self.shelf.held)
        again = restored(self.lots.arrays())
        assert again.lots_of(STORE, SKU) == self.shelf.rows

    @invariant()
    def every_order_can_have_what_it_holds(self) -> None:
        if not hasattr(self, "shelf"):
            return
        if not self.shelf.held:
            self.shelf.promised = True
        if self.shelf.promised:
            assert self.shelf.can_serve_all()
            assert all(reserved <= on_hand for _, on_hand, reserved in self.shelf.rows)


TestDairy = Dairy.TestCase
