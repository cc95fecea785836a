"""How busy stores are: counted as soon as a policy was ever put into force, and ever after.

The counts themselves are the core's (`engine.loads`). Here they follow what they rest on: the
stores there are, and the limits in their profiles. `follow` runs at the end of every command that
changed one of these, and in a replay at the end of its frame: so both come to the same counts.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.documents import Documents
from fendan.engine.loads import NO_MAXIMUM, LoadTable
from fendan.engine.orders import Orders
from fendan.engine.snapshot import Section, corrupt, whole
from fendan.policy_versions import ACTIVE, ACTIVE_NAME
from fendan.profiles import StoreProfile
from fendan.times import NS_PER_S

__all__ = ["KINDS", "concerns", "follow", "restore", "sections"]

STORE = "store"
"""The kind of documents that profiles of stores are kept as."""

KINDS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "load_time_counts": (np.dtype(np.int32), ()),
    "load_times": (np.dtype(np.int64), ()),
}


_PLAIN = StoreProfile()


def concerns(kinds: set[str]) -> bool:
    """Whether documents of these kinds say anything about it."""
    return not kinds.isdisjoint((ACTIVE, STORE))


def follow(orders: Orders, documents: Documents, now_ns: int) -> None:
    """Count for the stores and the limits that there are now."""
    layout = orders.stock.network.layout
    if orders.loads is None:
        if (ACTIVE, ACTIVE_NAME) not in documents:
            return
        orders.loads = LoadTable(layout)
        orders.loads.recount(orders.count_open(), now_ns)
    orders.loads.set_layout(layout, now_ns)
    texts = [documents.get((STORE, name), "") for name in orders.stock.network.store_ids]
    limits = np.array([_limits(text) for text in texts], dtype=np.int64).reshape(-1, 3)
    orders.loads.set_limits(limits[:, 0], limits[:, 1], limits[:, 2], now_ns)


@lru_cache(maxsize=100_000)
def _limits(text: str) -> tuple[int, int, int]:
    """At once, in a window, and how long that is in ns; of a profile that was checked."""
    said: dict[str, Any] = json.loads(text) if text else {}
    return (
        said.get("most_open_orders") or NO_MAXIMUM,
        said.get("most_orders_in_window") or 0,
        round(said.get("window_s", _PLAIN.window_s) * NS_PER_S),
    )


# -- SNAPSHOTS ---------------------------------------------------------------------------------


def sections(orders: Orders) -> list[Section]:
    """What a snapshot keeps of it."""
    if orders.loads is None:
        return [whole(name, np.zeros(0, dtype)) for name, (dtype, _) in KINDS.items()]
    kept = orders.loads.kept()
    return [whole(name, kept[name]) for name in KINDS]


def restore(
    orders: Orders, documents: Documents, arrays: Mapping[str, NDArray[Any]], now_ns: int
) -> None:
    """Count on from a snapshot. Raises CorruptJournalError for what cannot be."""
    follow(orders, documents, now_ns)
    if orders.loads is not None and not orders.loads.restore(arrays, now_ns):
        corrupt("load_times", len(arrays["load_times"]), hint="not as many as are counted")
