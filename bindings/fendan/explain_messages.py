"""Explanations as protobuf messages, and back."""

from typing import cast

from fendan.exclusions import Exclusion
from fendan.explanation import Candidate, Change, Excluded, Explanation, Part, TriedStep
from fendan.messages import datum_of, decision_message, decision_of, lines_of
from fendan.model import Order
from fendan.rules import OrderType, StepName
from fendan.v1 import explanation_pb2 as explanations
from fendan.v1 import order_pb2 as orders

__all__ = ["explanation_message", "explanation_of", "order_of"]


def order_of(message: orders.Order, field: str) -> Order:
    """The order of a message; its texts and numbers are for the engine to check."""
    return Order(
        id=message.id,
        lat=message.lat,
        lng=message.lng,
        lines=lines_of(message.lines),
        datum=datum_of(message.datum, f"{field}.datum"),
        order_type=cast(OrderType, message.order_type),
        channel=message.channel,
        region=message.region,
        pickup_store_id=message.pickup_store_id,
        group_id=message.group_id,
        buyer_id=message.buyer_id,
        address_id=message.address_id,
        priority=message.priority,
    )


def explanation_message(told: Explanation) -> explanations.Explanation:
    """An explanation for Explain."""
    return explanations.Explanation(
        order_id=told.order_id,
        decision=decision_message(told.decision),
        policy_version=told.policy_version,
        order_type=cast(orders.OrderType, told.order_type),
        step=cast(orders.DecisionStep, told.step),
        steps=map(_step_message, told.steps),
        winner=None if told.winner is None else _candidate_message(told.winner),
        runners_up=map(_candidate_message, told.runners_up),
        excluded=map(_excluded_message, told.excluded),
        change=None if told.change is None else _change_message(told.change),
        parts=map(_part_message, told.parts),
        recorded=told.recorded,
        complete=told.complete,
        partial=told.partial,
        note=told.note,
    )


def explanation_of(message: explanations.Explanation) -> Explanation:
    """The explanation of a message."""
    return Explanation(
        order_id=message.order_id,
        decision=decision_of(message.decision),
        policy_version=message.policy_version,
        order_type=OrderType(message.order_type),
        step=StepName(message.step),
        steps=tuple(map(_step_of, message.steps)),
        winner=_candidate_of(message.winner) if message.HasField("winner") else None,
        runners_up=tuple(map(_candidate_of, message.runners_up)),
        excluded=tuple(map(_excluded_of, message.excluded)),
        change=_change_of(message.change) if message.HasField("change") else None,
        parts=tuple(map(_part_of, message.parts)),
        recorded=tuple(message.recorded),
        complete=message.complete,
        partial=message.partial,
        note=message.note,
    )


def _step_message(step: TriedStep) -> explanations.TriedStep:
    return explanations.TriedStep(
        name=cast(orders.DecisionStep, step.name),
        radius_m=step.radius_m,
        eligible=step.eligible,
        in_radius=step.in_radius,
        able=step.able,
    )


def _step_of(message: explanations.TriedStep) -> TriedStep:
    return TriedStep(
        name=StepName(message.name),
        radius_m=message.radius_m,
        eligible=message.eligible,
        in_radius=message.in_radius,
        able=message.able,
    )


def _candidate_message(one: Candidate) -> explanations.Candidate:
    values = [
        explanations.CriterionValue(name=name, value=value) for name, value in one.values.items()
    ]
    return explanations.Candidate(store_id=one.store_id, distance_m=one.distance_m, values=values)


def _candidate_of(message: explanations.Candidate) -> Candidate:
    values = {one.name: one.value for one in message.values}
    return Candidate(store_id=message.store_id, distance_m=message.distance_m, values=values)


def _excluded_message(one: Excluded) -> explanations.Excluded:
    return explanations.Excluded(
        store_id=one.store_id,
        distance_m=one.distance_m,
        step=cast(orders.DecisionStep, one.step),
        code=one.code.name,
        text=one.text,
    )


def _excluded_of(message: explanations.Excluded) -> Excluded:
    return Excluded(
        store_id=message.store_id,
        distance_m=message.distance_m,
        step=StepName(message.step),
        code=Exclusion[message.code],
        text=message.text,
    )


def _change_message(one: Change) -> explanations.Change:
    return explanations.Change(
        store_id=one.store_id,
        distance_m=one.distance_m,
        step=cast(orders.DecisionStep, one.step),
        needed=one.needed,
        loses_to=one.loses_to,
        loses_by=one.loses_by,
    )


def _change_of(message: explanations.Change) -> Change:
    return Change(
        store_id=message.store_id,
        distance_m=message.distance_m,
        step=StepName(message.step),
        needed=tuple(message.needed),
        loses_to=message.loses_to,
        loses_by=message.loses_by,
    )


def _part_message(one: Part) -> explanations.Part:
    code = "" if one.code is None else one.code.name
    return explanations.Part(number=one.number, store_id=one.store_id, code=code, text=one.text)


def _part_of(message: explanations.Part) -> Part:
    return Part(
        number=message.number,
        store_id=message.store_id,
        code=Exclusion[message.code] if message.code else None,
        text=message.text,
    )
