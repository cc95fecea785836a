"""Engine and slow twin side by side, under policies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from clock import StoppedClock
from fendan import Decision, Engine, FendanError
from rule_twin import RuleTwin


class Judge:
    """Lets both do the same; they must agree on all they tell."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.clock = StoppedClock()
        self.engine = engine or Engine(clock=self.clock)
        self.twin = RuleTwin(self.clock)
        self._numbers: dict[int, int] = {0: 0}

    def both(self, call: Callable[[Any], Any]) -> Any:
        """The answer, which both gave; of merge groups, the twin's numbers."""
        theirs = call(self.twin)
        ours = call(self.engine)
        if isinstance(theirs, list):
            ours = [self._plain(one, their) for one, their in zip(ours, theirs, strict=True)]
        if isinstance(theirs, Decision):
            ours = self._plain(ours, theirs)
        assert ours == theirs or theirs is None
        return theirs

    def _plain(self, ours: Decision, theirs: Decision) -> Decision:
        """The engine's decision with the twin's number of its merge group, and lines by SKU."""
        number = self._numbers.setdefault(ours.merge_group, theirs.merge_group)
        if number == theirs.merge_group:
            assert list(self._numbers.values()).count(number) == 1, "two groups have become one"
        shipments = tuple(replace(one, lines=tuple(sorted(one.lines))) for one in ours.shipments)
        fields = {**ours._fields(), "merge_group": number, "shipments": shipments}
        return Decision(**fields)


def try_both(judge: Judge, call: Callable[[Any], Any]) -> bool:
    """As `both` where the engine does not refuse it; whether it was done."""
    try:
        call(judge.engine)
    except FendanError:
        return False
    call(judge.twin)
    return True
