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
