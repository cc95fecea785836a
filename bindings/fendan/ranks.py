"""Ranks in their order, for many to come and go while few look.

```
 ranks   (0, 1, a)  (0, 3, c)  (2, 1, d)     sorted; `gone` says which of them are no more
 fresh   (1, 1, e)                           came since, and are sorted in when somebody looks
```

Invariant: no rank stands in both lists, and each that is gone stands in one of them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

__all__ = ["Ranks"]

Rank: TypeAlias = tuple[Any, ...]

# Whoever looks passes over what is gone; more of it than one in so many is cleared away.
ONE_IN = 8
FEW = 64


class Ranks:
    """Tuples that can be compared, each at most once."""

    def __init__(self, ranks: Iterable[Rank] = ()) -> None:
        self._ranks = sorted(ranks)
        self._fresh: list[Rank] = []
        self._gone: set[Rank] = set()

    def __len__(self) -> int:
        return len(self._ranks) + len(self._fresh) - len(self._gone)

    def __iter__(self) -> Iterator[Rank]:
        return self.after(None)

    def add(self, rank: Rank) -> None:
        """It is not there yet."""
        if rank in self._gone:
            self._gone.discard(rank)
        else:
            self._fresh.append(rank)

    def remove(self, rank: Rank) -> None:
        """It is there."""
        self._gone.add(rank)

    def after(self, rank: Rank | None) -> Iterator[Rank]:
        """Those behind a rank, which need not be there, while none comes or goes; None: all."""
        self._settle()
        first = 0 if rank is None else bisect_right(self._ranks, rank)
        ranks, gone = self._ranks, self._gone
        return (ranks[at] for at in range(first, len(ranks)) if ranks[at] not in gone)

    def next_after(self, rank: Rank) -> Rank | None:
        """The first behind a rank, if any."""
        return next(self.after(rank), None)

    def _settle(self) -> None:
        if self._fresh:
            self._ranks += self._fresh
            self._ranks.sort()  # long runs in order already, which takes little
            self._fresh.clear()
        if len(self._gone) > max(FEW, len(self._ranks) // ONE_IN):
            self._ranks = [rank for rank in self._ranks if rank not in self._gone]
            self._gone.clear()
