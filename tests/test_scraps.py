"""Memory for libnghttp2: whoever gets a piece has it alone, and what is given back serves again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

scraps = pytest.importorskip("fendan.engine.scraps", reason="there is no native door")

MOST_KEPT_BYTES = 16 * 1024 * 1024

Steps = list[tuple[Any, ...]]


@st.composite
def lives(draw: st.DrawFn) -> tuple[Steps, list[bytes]]:
    """Steps, and what pieces hold by the memory of a dictionary."""
    pieces: dict[int, bytes] = {}
    steps: Steps = []
    held: list[bytes] = []
    for number in draw(st.lists(st.integers(0, 7), max_size=60)):
        size = draw(st.sampled_from((0, 1, 63, 64, 65, 300, 512, 513, 5_000)))
        if number not in pieces:
            what = draw(st.sampled_from(("give", "zeros")))
            pieces[number] = bytes([number if what == "give" else 0]) * size
            steps.append((what, number, size))
        elif draw(st.booleans()):
            pieces[number] = pieces[number][:size].ljust(size, bytes([number]))
            steps.append(("resize", number, size))
        else:
            held.append(pieces.pop(number))
            steps.append(("back", number))
    return steps, held


@given(lives())
def test_a_piece_holds_what_was_written_to_it_until_it_is_given_back(
    life: tuple[Steps, list[bytes]],
) -> None:
    steps, held = life
    assert scraps.run(steps)[0] == held


def test_a_piece_that_is_used_again_is_all_zeros_where_zeros_are_asked() -> None:
    steps: Steps = [("give", 7, 100), ("back", 7), ("zeros", 1, 100), ("back", 1)]
    assert scraps.run(steps)[0] == [b"\7" * 100, bytes(100)]


def test_no_more_is_kept_than_some_thousands_of_calls_take() -> None:
    pieces = range(40_000)
    steps: Steps = [("zeros", piece, 500) for piece in pieces]
    steps += [("back", piece) for piece in pieces]
    assert scraps.run(steps)[1] <= MOST_KEPT_BYTES + 512


def test_large_pieces_are_not_kept() -> None:
    assert scraps.run([("give", 0, 513), ("back", 0)])[1] == 0
