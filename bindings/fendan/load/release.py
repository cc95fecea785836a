"""What a load has reserved is given back, so that a server can be loaded for hours."""

from collections.abc import Sequence

import numpy as np

from fendan.client import Client
from fendan.errors import UnknownOrderError
from fendan.load.messages import Messages
from fendan.load.sending import UNANSWERED, Came

__all__ = ["release"]

ORDERS_AT_A_TIME = 10_000


def release(client: Client, messages: Messages, came: Came) -> int:
    """Release every order that was decided, or may have been; how many held stock.

    Raises ServiceErrors.
    """
    answered = np.flatnonzero(came.statuses == 0).tolist()
    doubtful = np.flatnonzero(came.statuses == UNANSWERED).tolist()
    held = sum(_released(client, ids) for ids in _groups(messages, answered))
    # Of these the server may know nothing.
    return held + sum(_released_if_known(client, ids) for ids in _groups(messages, doubtful))


def _groups(messages: Messages, numbers: Sequence[int]) -> list[list[str]]:
    ids = [name for number in numbers for name in messages.ids(number)]
    return [ids[at : at + ORDERS_AT_A_TIME] for at in range(0, len(ids), ORDERS_AT_A_TIME)]


def _released(client: Client, ids: Sequence[str]) -> int:
    return sum(client.release_batch(ids))


def _released_if_known(client: Client, ids: Sequence[str]) -> int:
    """All or none are released where one is unknown: so halves are tried, and their halves."""
    try:
        return _released(client, ids)
    except UnknownOrderError:
        if len(ids) == 1:
            return 0
        middle = len(ids) // 2
        halves = (ids[:middle], ids[middle:])
        return sum(_released_if_known(client, half) for half in halves)
