"""Whatever bytes a client sends, the door neither crashes nor leaves anything behind."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from door_client import METHODS
from door_fuzz import LIMITS, PREFACE, Player
from fendan.engine.rehearsal import Rehearsal


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_a_client_without_manners_leaves_nothing_behind(seed: int) -> None:
    Player(random.Random(seed)).play()


def test_the_client_without_manners_gets_as_far_as_others_do() -> None:
    """Or else its play would test little."""
    statuses: set[int] = set()
    for seed in range(200):
        player = Player(random.Random(seed))
        player.play()
        statuses.update(player.door.stats().ended.sum(axis=0).nonzero()[0].tolist())
    assert statuses >= {0, 1, 8, 12, 13, 14}


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_any_bytes_at_all_leave_nothing_behind(parts: list[bytes], greets: bool) -> None:
    door = Rehearsal(methods=METHODS, limits=LIMITS)
    for part in [PREFACE, *parts] if greets else parts:
        door.receive(part)
    while (turn := door.take()) is not None:
        door.hand_back(turn)
    door.leave()
    stats = door.stats()
    assert (stats.streams, stats.queue_requests, stats.held_bytes) == (0, 0, 0)
