"""The orders that wait, by what they wait for: who is concerned by a change, without a scan.

```
 tea    (-5, 0, 09:01, A)  (0, 0, 09:00, C)      ranks in their order: priority, turn, age
 milk   (-5, 0, 09:01, A)  (0, 1, 09:02, D)
        cursor: all before it were tried since milk last changed
```

A change of a SKU's stock puts the SKU's cursor before the first of its orders. The next order to be
tried is the least rank behind any cursor; so whoever would scan all orders in the order of ranks
tries those that can be filled in the same order. A SKU that no store sells any more is done with,
however many wait for it: no crowd is in anybody's way.

The *turn* is how many orders of the same buyer waited already when this one came, so that one
buyer's crowd does not come before the first order of another.

Invariant: a rank stands in the list of every SKU of its order, and in that of all, all sorted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from fendan.ranks import Ranks
from fendan.retry import RetryPolicy
from fendan.times import NEVER_NS, NS_PER_S

__all__ = ["Rank", "Waiter", "Waiting"]

Rank = tuple[int, int, int, str]
"""(-priority, turn, since_ns, id): the least is tried first."""

ALL = -1  # what concerns every order, as a SKU that all have
BEFORE_ALL: Rank = (-(2**31), 0, 0, "")


@dataclass(slots=True, eq=False)
class Waiter:
    """One order that waits. `wakes_ns`: when it is tried whatever happens until then."""

    rank: Rank
    skus: tuple[int, ...]
    attempts: int = 0
    next_try_ns: int = 0
    wakes_ns: int = NEVER_NS

    @property
    def id(self) -> str:
        """The order's."""
        return self.rank[3]


class Waiting:
    """Who waits, and who is to be tried next; the caller holds the lock."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self._waiters: dict[str, Waiter] = {}
        self._ranks: dict[int, Ranks] = {ALL: Ranks()}  # by SKU code, and of all
        self._cursors: dict[int, Rank] = {}  # of those that changed
        self._timers: list[tuple[int, str]] = []  # a heap; a waiter's own is the one it names
        self._awake: list[Rank] = []  # a heap of those whose time has come

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, name: object) -> bool:
        return name in self._waiters

    def get(self, name: str) -> Waiter | None:
        """The order of this id, if it waits."""
        return self._waiters.get(name)

    # -- COMING AND GOING ----------------------------------------------------------------------

    def add(self, rank: Rank, skus: Iterable[int], now_ns: int) -> None:
        """An order waits from now on for these SKUs, by their codes."""
        self.remove(rank[3])
        waiter = Waiter(rank, tuple(skus))
        self._waiters[waiter.id] = waiter
        for sku in (ALL, *waiter.skus):
            self._ranks.setdefault(sku, Ranks()).add(rank)
        self._wake_at(waiter, now_ns + round(self.policy.longest_wait_s * NS_PER_S))

    def remove(self, name: str) -> None:
        """An order waits no longer, if it did."""
        waiter = self._waiters.pop(name, None)
        if waiter is None:
            return
        for sku in (ALL, *waiter.skus):
            ranks = self._ranks[sku]
            ranks.remove(waiter.rank)
            if not len(ranks) and sku != ALL:
                del self._ranks[sku]
                self._cursors.pop(sku, None)

    # -- WHAT CONCERNS THEM --------------------------------------------------------------------

    def sku_changed(self, sku: int) -> None:
        """There may be more of a SKU, by its code."""
        if sku in self._ranks:
            self._cursors[sku] = BEFORE_ALL

    def all_changed(self) -> None:
        """Anything may be filled now."""
        self._cursors[ALL] = BEFORE_ALL

    def exhausted(self, sku: int) -> None:
        """Nobody sells a SKU any more: none of those that wait for it can be filled."""
        self._cursors.pop(sku, None)

    # -- TRYING --------------------------------------------------------------------------------

    def candidates(self, now_ns: int) -> Iterator[Waiter]:
        """Those who are to be tried now, one after another; each is to be `failed` or removed."""
        self._wake(now_ns)
        heads = [(self._awake[0], ALL - 1)] if self._awake else []
        heads += [(rank, sku) for sku in list(self._cursors) for rank in self._after(sku)]
        heapify(heads)
        last: Rank | None = None
        while heads:
            rank, sku = heappop(heads)
            if sku < ALL:
                heappop(self._awake)
            elif sku in self._cursors:
                self._cursors[sku] = rank
            else:
                continue
            waiter = self._waiters.get(rank[3])
            if waiter is not None and waiter.rank == rank != last:
                last = rank
                if waiter.next_try_ns <= now_ns or sku < ALL:
                    yield waiter
                elif waiter.next_try_ns < waiter.wakes_ns:
                    self._wake_at(waiter, waiter.next_try_ns)
            if sku >= ALL:
                heads_next = [(after, sku) for after in self._after(sku)]
            else:
                heads_next = [(self._awake[0], sku)] if self._awake else []
            for head in heads_next:
                heappush(heads, head)

    def failed(self, waiter: Waiter, now_ns: int) -> bool:
        """It still cannot be filled; False where it has been tried often and long enough."""
        waiter.attempts += 1
        waiter.next_try_ns = now_ns + self.policy.wait_ns(waiter.attempts)
        self._wake_at(waiter, now_ns + round(self.policy.longest_wait_s * NS_PER_S))
        return not self.policy.is_spent(waiter.attempts, now_ns - waiter.rank[2])

    # -- INSIDE --------------------------------------------------------------------------------

    def _after(self, sku: int) -> Iterator[Rank]:
        """The rank behind a SKU's cursor, if any; without one the SKU is done with."""
        cursor = self._cursors.get(sku)
        if cursor is None:
            return
        ranks = self._ranks.get(sku)
        found = None if ranks is None else ranks.next_after(cursor)
        if found is not None:
            yield found
        else:
            del self._cursors[sku]

    def _wake_at(self, waiter: Waiter, time_ns: int) -> None:
        waiter.wakes_ns = time_ns
        heappush(self._timers, (time_ns, waiter.id))

    def _wake(self, now_ns: int) -> None:
        """Those whose time has come stand ready, in the order of their ranks."""
        while self._timers and self._timers[0][0] <= now_ns:
            time_ns, name = heappop(self._timers)
            waiter = self._waiters.get(name)
            if waiter is not None and waiter.wakes_ns == time_ns:
                waiter.wakes_ns = NEVER_NS
                heappush(self._awake, waiter.rank)
