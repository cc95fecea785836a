"""Contestants that take turns at the same orders, each turn with fresh stock.

A turn is several batches in a row, of new orders each, as a service meets them: neither does a
batch find its goods in the cache because it was routed a moment ago, nor do the others, or the
bookkeeping here, run in between. Taking turns (A A A, B B B, A A A, …) lets a busy moment of the
machine hurt everyone. Only `run` is timed, batch by batch.
"""

import time
from collections.abc import Sequence
from itertools import chain, count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import fendan
from fendan.workloads.workload import Orders, Workload, order_objects
from workload import Restock, decision_hash


class Contestant(Protocol):
    """Something that routes batches of orders."""

    name: str

    def prepare(self) -> Sequence[Any]:
        """What `run` needs, for each batch of a turn; not timed."""

    def run(self, given: Any) -> Any:
        """Route one batch, with reservation; timed."""

    def undo(self, results: Sequence[Any]) -> None:
        """Check what a turn decided and put the stock back; not timed."""


class Decided:
    """The decisions of a contestant in a turn, which every other turn must make again."""

    def __init__(self) -> None:
        self.store_codes: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.hash = ""

    def same_again(self, store_codes: NDArray[np.int32], distances_m: NDArray[np.float64]) -> None:
        """Remember the first decisions; refuse others."""
        now = decision_hash(store_codes, distances_m)
        if self.hash not in ("", now):
            raise RuntimeError(f"decisions {now} differ from {self.hash} of the first turn")
        self.store_codes, self.hash = store_codes, now


class EngineArrays:
    """`Engine.route_arrays`: no Python object an order, no ids."""

    def __init__(
        self, name: str, engine: fendan.Engine, workload: Workload, batches: Sequence[Orders]
    ) -> None:
        self.name = name
        self.engine, self.batches = engine, batches
        self.decided = Decided()
        self._restock = Restock(engine, workload)

    def prepare(self) -> list[dict[str, Any]]:
        """The arrays are made already."""
        return [vars(orders) for orders in self.batches]

    def run(self, given: dict[str, Any]) -> fendan.Routed:
        """One call."""
        return self.engine.route_arrays(**given)

    def undo(self, results: Sequence[fendan.Routed]) -> None:
        """Without ids there is no release: set the counts."""
        self.decided.same_again(
            np.concatenate([routed.store_codes for routed in results]),
            np.concatenate([routed.distances_m for routed in results]),
        )
        for routed, orders in zip(results, self.batches, strict=True):
            self._restock.put_back(routed.store_codes, orders)


class EngineObjects:
    """`Engine.route_batch`: Order objects in, Decision objects out, every order known by its id."""

    def __init__(self, name: str, engine: fendan.Engine, batches: Sequence[Orders]) -> None:
        self.name = name
        self.engine, self.batches = engine, batches
        self.decided = Decided()
        self._code_of: dict[str | None, int] = {
            store: code for code, store in enumerate(engine.store_ids)
        }
        self._fresh = count()

    def prepare(self) -> list[list[fendan.Order]]:
        """Objects with ids that were never routed."""
        return [
            order_objects(orders, self.engine.skus, prefix=f"{next(self._fresh)}-")
            for orders in self.batches
        ]

    def run(self, given: list[fendan.Order]) -> list[fendan.Decision]:
        """One call."""
        return self.engine.route_batch(given)

    def undo(self, results: Sequence[list[fendan.Decision]]) -> None:
        """Release every order."""
        decisions = list(chain.from_iterable(results))
        codes = [self._code_of.get(decision.store_id, -1) for decision in decisions]
        metres = [decision.distance_m for decision in decisions]
        self.decided.same_again(np.array(codes, dtype=np.int32), np.array(metres, dtype=float))
        for decision in decisions:
            self.engine.release(decision.order_id)


class Routes(Protocol):
    """A peer: the same job, done some other way."""

    def prepared(self, orders: Orders) -> Any:
        """A batch as it likes to have it."""

    def route(self, given: Any) -> NDArray[np.int32]:
        """The store of each order of a prepared batch, or -1; reserves."""

    def put_back(self, store_codes: NDArray[np.int32], orders: Orders) -> None:
        """Undo a batch that was routed to these stores."""


class Peer:
    """A peer as a contestant."""

    def __init__(self, name: str, peer: Routes, batches: Sequence[Orders]) -> None:
        self.name = name
        self.peer, self.batches = peer, batches
        self.decided = Decided()

    def prepare(self) -> list[Any]:
        """As the peer likes it."""
        return [self.peer.prepared(orders) for orders in self.batches]

    def run(self, given: Any) -> NDArray[np.int32]:
        """One call."""
        return self.peer.route(given)

    def undo(self, results: Sequence[NDArray[np.int32]]) -> None:
        """It tells no distances, so its hash is of the stores alone."""
        codes = np.concatenate(results)
        self.decided.same_again(codes, np.full(len(codes), np.nan))
        for chosen, orders in zip(results, self.batches, strict=True):
            self.peer.put_back(chosen, orders)


def take_turns(contestants: Sequence[Contestant], turns: int) -> dict[str, list[float]]:
    """Seconds of each batch by contestant, after one turn each that does not count."""
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for turn in range(1 + turns):
        for contestant in contestants:
            results = []
            for given in contestant.prepare():
                start = time.perf_counter()
                results.append(contestant.run(given))
                if turn:
                    seconds[contestant.name].append(time.perf_counter() - start)
            contestant.undo(results)
    return seconds
