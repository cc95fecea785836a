"""What an explanation says, as plain immutable values: why a store has an order, and others do not.

Explanation -- steps        which steps were tried, and how far stores came at each
            -- winner       who has it, and by which values
            -- runners_up   who would have been next
            -- excluded     who was nearer, and the first rule that kept each from it
            -- change       what would have made the nearest store win
            -- parts        of shipments: what kept each of their stores from sending all of it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fendan.engine.outcome import Decision
from fendan.exclusions import Exclusion
from fendan.rules import OrderType, StepName

__all__ = ["Candidate", "Change", "Excluded", "Explanation", "Part", "TriedStep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedStep:
    """How many stores came how far at one step; infinity: no radius.

    `eligible`: takes such orders now, wherever it is. `in_radius`: of those, near enough. `able`:
    of those, has every line and may have the order.
    """

    name: StepName
    radius_m: float
    eligible: int
    in_radius: int
    able: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A store that could have the order, and its value by each criterion; less is better.

    `values`: by the names of `RankBy`, in the order of the ranking; "SCORE" last, where the ranking
    is by the sum of them, weighted. Of an order that waits for supply "SUPPLY_DAYS" alone: how many
    days, from today in UTC, until all of it is to have arrived there.
    """

    store_id: str
    distance_m: float
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A store that could not have it: the first rule that kept it from that, with the numbers.

    `step`: the one at which it came farthest.
    """

    store_id: str
    distance_m: float
    step: StepName
    code: Exclusion
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The least that would have to be otherwise for the nearest store to win at a step.

    `needed`: all of it together; () where nothing kept the store but its rank. `loses_to`: the
    store that would have the order all the same, and by what; "": none.
    """

    store_id: str
    distance_m: float
    step: StepName
    needed: tuple[str, ...]
    loses_to: str = ""
    loses_by: str = ""

    def __str__(self) -> str:
        """One sentence."""
        if not self.loses_to:
            return f"{self.store_id} would have it with " + ", and ".join(self.needed)
        rest = f"{self.loses_to} comes before it by {self.loses_by}"
        if not self.needed:
            return f"{self.store_id} could have it, but {rest}"
        return f"{self.store_id} could have it with {', and '.join(self.needed)}; still {rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Shipment `number`, and the first rule that kept its store from sending all from its stock.

    `code`: None where no rule did: the rest of the order is sold against supply, or all of it.
    """

    number: int
    store_id: str
    code: Exclusion | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an order was decided as it was; what it was told is `decision`.

    `order_type`: under which rule; `step`: at which step it was decided, NONE where no policy was
    asked for or no step filled it. `winner` is None where no single store has it: the decision says
    why, or which shipments there are, and `parts` why none of their stores sends all of it.
    `runners_up`: the next three by the ranking. `excluded`: the nearest that could not have it;
    those nearer than the winner, where there is one. `change`: None where the nearest store has it,
    and of an order that is sold partly from stock and partly against supply.

    `recorded`: which of this was taken from the decision, and not worked out a second time:
    ("parts",) where several stores were chosen together. That each of them can send its part is
    looked at; that no others would have been a better choice is not.

    `complete` is False where not everything is known any more, and `note` says why; then what was
    recorded stands here, and nothing else. A `note` may also say what is worth knowing beside.
    `partial`: it was told to a store or a region, and only what concerns their own: neither the
    steps, nor other stores and their shipments, even where they won.
    """

    order_id: str
    decision: Decision
    policy_version: int = 0
    order_type: OrderType = OrderType.UNSPECIFIED
    step: StepName = StepName.NONE
    steps: tuple[TriedStep, ...] = ()
    winner: Candidate | None = None
    runners_up: tuple[Candidate, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    change: Change | None = None
    parts: tuple[Part, ...] = ()
    recorded: tuple[str, ...] = ()
    complete: bool = True
    partial: bool = False
    note: str = ""
