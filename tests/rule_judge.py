"""Engine and slow twin side by side, under policies."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from clock import StoppedClock
from fendan import Decision, Engine, OrderStatus
from rule_twin import RuleTwin

# On Sunday, 2025-06-15, in Shanghai: so that what lasts whole minutes ends when shops close.
FOUR_O_CLOCK_NS = 1_749_974_400 * 10**9


class Judge:
    """Lets both do the same; they must agree on all they tell."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.clock = StoppedClock(FOUR_O_CLOCK_NS)
        self.engine = engine or Engine(clock=self.clock)
        self.twin = RuleTwin(self.clock)
        self._numbers: dict[int, int] = {0: 0}

    def both(self, call: Callable[[Any], Any]) -> Any:
        """The answer, which both gave; of merge groups, the twin's numbers."""
        theirs = call(self.twin)
        ours = call(self.engine)
        if isinstance(theirs, list) and isinstance(ours, list):
            ours = [self._plain(one, their) for one, their in zip(ours, theirs, strict=True)]
        else:
            ours = self._plain(ours, theirs)
        assert ours == theirs
        return theirs

    def _plain(self, ours: Any, theirs: Any) -> Any:
        """What the engine told, with lines by SKU, and its merge groups by the twin's numbers."""
        if isinstance(theirs, Decision):
            return self._decision(ours, theirs)
        if isinstance(theirs, OrderStatus):
            return replace(ours, shipments=_sorted(ours.shipments))
        return ours

    def _decision(self, ours: Decision, theirs: Decision) -> Decision:
        number = self._numbers.setdefault(ours.merge_group, theirs.merge_group)
        if number == theirs.merge_group:
            assert list(self._numbers.values()).count(number) == 1, "two groups have become one"
        named = ("order_id", "status", "store_id", "distance_m", "reason", "policy_version", "step")
        same = {name: getattr(ours, name) for name in (*named, "promised_ns")}
        return Decision(**same, merge_group=number, shipments=_sorted(ours.shipments))


def _sorted(shipments: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(replace(one, lines=tuple(sorted(one.lines))) for one in shipments)
