"""What a table of a policy file changes of a rule, and what it may not.

Each field that is given replaces the one before; of `split` and `promise` each field by itself. The
steps are replaced as a whole: a step that was there before keeps what is not said of it anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fendan.errors import Fault
from fendan.given import Given, duration_text
from fendan.policy_defaults import NEVER_SPLIT, STEPS, Draft
from fendan.rules import Hours, OrderType, Rule, Split, SplitMode, Step, StepName

__all__ = ["USUAL_SHIPMENTS", "Change", "StepChange", "changed"]

# Into how many shipments an order may be split where only the mode is given.
USUAL_SHIPMENTS = 3


class StepChange(NamedTuple):
    """A step of a list: its name, and which of its fields are given, its split apart."""

    given: Given
    name: StepName
    fields: Mapping[str, Any]
    split: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a table gives. `fields` are those of a Rule; None: not given."""

    given: Given
    fields: Mapping[str, Any]
    split: Mapping[str, Any]
    promise: Mapping[str, Any]
    steps: tuple[StepChange, ...] | None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed at all."""
        return not (self.fields or self.split or self.promise or self.steps)


def changed(draft: Draft, change: Change) -> Draft:
    """The draft with the change made. Raises InvalidInputError where the two contradict."""
    rule, split = draft
    steps = rule.steps
    if change.split:
        split = _split(change.given, rule.order_type, split, change.split)
        steps = tuple(replace(step, split=split) for step in steps)
    if change.steps is not None:
        before = {step.name: step for step in steps}
        steps = tuple(
            _step(one, rule.order_type, before.get(one.name, replace(STEPS[one.name], split=split)))
            for one in change.steps
        )
        _check_wider(change.steps, steps)
    promise = replace(rule.promise, **change.promise)
    if promise.most_s < promise.pick_s:
        key = "most" if "most_s" in change.promise else "pick"
        pick = duration_text(promise.pick_s)
        most = duration_text(promise.most_s)
        hint = f"{rule.order_type}: a promise of {most} leaves no time to pick for {pick}"
        change.given.at("promise").at(key).refuse(Fault.OUT_OF_RANGE, hint)
    fields = _with_cut_off(change, rule)
    return Draft(replace(rule, steps=steps, promise=promise, **fields), split)


def _split(given: Given, order_type: OrderType, split: Split, fields: Mapping[str, Any]) -> Split:
    """The split with these fields of the table `given` changed."""
    mode = fields.get("mode", split.mode)
    where = given.at("split")
    if mode is SplitMode.NEVER:
        for key, plain in (("most_shipments", 1), ("split_lines", False), ("least_amount", 0)):
            if fields.get(key, plain) != plain:
                hint = f"split.mode of {order_type} is NEVER: one shipment, and none of this"
                where.at(key).refuse(Fault.OUT_OF_RANGE, hint)
        return Split(together=fields.get("together", split.together))
    if order_type in NEVER_SPLIT:
        key = "mode" if "mode" in fields else next(iter(fields))
        hint = f"{order_type} orders are never split; an override says order_type for the others"
        where.at(key).refuse(Fault.OUT_OF_RANGE, hint)
    most = fields.get("most_shipments", split.most_shipments)
    if most == 1 and "most_shipments" in fields:
        hint = f"split.mode is {mode}, which takes 2 shipments or more; NEVER is for one"
        where.at("most_shipments").refuse(Fault.OUT_OF_RANGE, hint)
    usual = {"most_shipments": USUAL_SHIPMENTS} if most == 1 else {}
    return replace(split, **usual | dict(fields))


def _step(one: StepChange, order_type: OrderType, before: Step) -> Step:
    split = _split(one.given, order_type, before.split, one.split) if one.split else before.split
    return replace(before, split=split, **one.fields)


def _check_wider(changes: tuple[StepChange, ...], steps: tuple[Step, ...]) -> None:
    """Refuse a wider step that is not."""
    radius_m = {step.name: step.radius_m for step in steps}
    names = [step.name for step in steps]
    store_m, wider_m = radius_m.get(StepName.STORE), radius_m.get(StepName.WIDER)
    if store_m is None or wider_m is None or wider_m >= store_m:
        return
    hint = f"the step WIDER asks up to {wider_m:,g} m, less than STORE with {store_m:,g} m"
    at = max(names.index(StepName.STORE), names.index(StepName.WIDER))
    later = changes[at]
    if "radius_m" in later.fields:
        later.given.at("radius_m").refuse(Fault.OUT_OF_RANGE, hint)
    later.given.refuse(Fault.OUT_OF_RANGE, hint)


def _with_cut_off(change: Change, rule: Rule) -> Mapping[str, Any]:
    """The fields given; a cut-off goes with the hours that it is the end of."""
    fields = change.fields
    if fields.get("hours", rule.hours) is not Hours.ANY:
        return fields
    if fields.get("cut_off_s", 0.0) > 0.0:
        hint = f"hours of {rule.order_type} are ANY, and have no end to cut off"
        change.given.at("cut_off").refuse(Fault.OUT_OF_RANGE, hint)
    return {**fields, "cut_off_s": 0.0}
