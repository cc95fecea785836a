"""Engine and slow twin side by side, under policies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from clock import StoppedClock
from fendan import Decision, Engine
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
        if isinstance(theirs, Decision):
            ours = self._plain(ours, theirs)
        elif isinstance(theirs, list):
            ours = [
                self._plain(one, their) if isinstance(their, Decision) else one
                for one, their in zip(ours, theirs, strict=True)
            ]
        assert ours == theirs
        return theirs

    def _plain(self, ours: Decision, theirs: Decision) -> Decision:
        """The engine's decision with the twin's number of its merge group, and lines by SKU."""
        number = self._numbers.setdefault(ours.merge_group, theirs.merge_group)
        if number == theirs.merge_group:
            assert list(self._numbers.values()).count(number) == 1, "two groups have become one"
        shipments = tuple(replace(one, lines=tuple(sorted(one.lines))) for one in ours.shipments)
        named = ("order_id", "status", "store_id", "distance_m", "reason", "policy_version", "step")
        same = {name: getattr(ours, name) for name in (*named, "promised_ns")}
        return Decision(**same, merge_group=number, shipments=shipments)
