"""Ranks that come and go stand in their order whenever somebody looks."""

from hypothesis import given
from hypothesis import strategies as st

from fendan.ranks import Ranks

ranks = st.tuples(st.integers(0, 30), st.integers(0, 30))


@given(
    first=st.sets(ranks, max_size=200),
    steps=st.lists(st.tuples(ranks, st.booleans()), max_size=300),
    behind=ranks,
)
def test_ranks_are_a_sorted_set(
    first: set[tuple[int, int]], steps: list[tuple[tuple[int, int], bool]], behind: tuple[int, int]
) -> None:
    ours, judge = Ranks(first), set(first)
    for rank, looks in steps:
        if rank in judge:
            ours.remove(rank)
            judge.remove(rank)
        else:
            ours.add(rank)
            judge.add(rank)
        if looks:
            assert list(ours) == sorted(judge)
        assert len(ours) == len(judge)
    later = sorted(rank for rank in judge if rank > behind)
    assert list(ours.after(behind)) == later
    assert ours.next_after(behind) == (later[0] if later else None)
