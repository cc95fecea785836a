"""The engine's face for those who ask why."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fendan.engine.batch import Batch
from fendan.engine.events import EventKind
from fendan.engine.history import Event
from fendan.engine.outcome import Decision, decisions
from fendan.engine.router import Reason, Status
from fendan.engine.shipments import GrantFlag
from fendan.errors import Fault, refuse
from fendan.explain import USUAL_EXCLUDED, checked_attempt, checked_limit, explained
from fendan.explanation import Candidate, Explanation
from fendan.log import Log
from fendan.model import Order, Policy
from fendan.past import Turn, brought_back, deciding, events_of, rejected_by, turn_of
from fendan.rules import OrderType, StepName
from fendan.scene import NOBODY, Scene
from fendan.scene_face import Asker, SceneFace

__all__ = ["Decided", "ExplainFace", "Told"]

# Why a rejected order goes to no other store, whoever has what it asks for.
UNASKED = frozenset({Reason.TOO_MANY_ATTEMPTS, Reason.PICKUP_STORE, Reason.GROUP_NOT_WHOLE})

MOST_NAMED = 5  # orders of a group

NO_JOURNAL = "this engine keeps no journal: stock, hours and policy are not what they were then"
TRIMMED = "the journal does not reach back so far any more"
NOBODY_ASKED = "after it was rejected, no other store was asked"
GROUPLESS = "which orders of its command went together as a group is not recorded"
NAMELESS = "at which store the customer wanted to fetch it is not recorded"


class ExplainFace(SceneFace):
    """Why an order has its store, or would have one; looks only, and changes nothing."""

    _policy: Policy

    def explain(
        self, order_or_id: Order | str, *, limit: int = USUAL_EXCLUDED, attempt: int = 1
    ) -> Explanation:
        """Why an order would go where it would go now; or, of a known id, why it went where it did.

        A known order is explained by what was so when it was first decided, brought back from the
        journal: that takes as long as `open` does, and the engine goes on meanwhile. Where that is
        not to be had, the Explanation is not `complete`, and says why. An Order is explained as a
        new one, whatever its id. `limit`: of how many excluded stores it tells at most, 0 to 1,000.
        `attempt`: of a known order, which decision; 2 and more: after so many stores but one have
        rejected it.

        Raises UnknownOrderError, UnknownSkuError, InvalidInputError.
        """
        checked_limit(limit)
        checked_attempt(attempt)
        if isinstance(order_or_id, str):
            return self._explain_past(order_or_id, limit, attempt)
        return self._explain_now(order_or_id, limit).explanation

    # -- NOW -----------------------------------------------------------------------------------

    def _explain_now(self, order: Order, limit: int) -> "Told":
        with self._command() as command:
            rules = self._rules_at(command.now_ns)
            asking = None if rules is None else rules.asking
            named = Batch.of_orders([order], self._stock.sku_code_of, self._datum, "order", asking)
            batch = self._as_parts(named, rules)
            outcome = self._orders.route(
                batch.without_ids(),
                self._most_m(),
                dry_run=True,
                rules=rules,
                now_ns=command.now_ns,
            )
            decision = decisions([order.id], outcome)[0]
            skus = [self._stock.skus[sku] for sku, _ in named.lines(0)]
            asker = _asker_of(batch, decision)._replace(bundles=skus)
            scene = self._scene(asker, self._most_m(), command.now_ns)
        return Told(explained(scene, order.id, decision, limit), scene)

    def _most_m(self) -> float:
        """How far a store may be without a policy file."""
        return math.inf if self._policy.radius_m is None else float(self._policy.radius_m)

    # -- THEN ----------------------------------------------------------------------------------

    def _explain_past(self, order_id: str, limit: int, attempt: int) -> Explanation:
        with self._command():
            decided, journal = self._decided_of(order_id), self._journal
        if journal is None:
            return _recorded(decided, NO_JOURNAL)
        journal.wait(journal.sequence)  # what was decided just now is there, too
        last_sequence = journal.durable_sequence
        return self._explain_by(journal.log, last_sequence, decided, limit, attempt).explanation

    def _decided_of(self, order_id: str) -> "Decided":
        """What is remembered of an order; under the lock."""
        decision, grant = self._orders.decision(order_id), self._orders.grant(order_id)
        store = NOBODY
        if decision.store_id is not None:
            store = self._network.store_ids.index(decision.store_id)
        return Decided(decision, grant, store)

    def _explain_by(
        self, log: Log, last_sequence: int, decided: "Decided", limit: int, attempt: int
    ) -> "Told":
        """By what a log tells of the time before; needs no lock."""
        if decided.is_named and decided.store == NOBODY:
            return Told(_recorded(decided, NAMELESS))
        order_id = decided.decision.order_id
        events = events_of(log, order_id, last_sequence)
        if not events:
            return Told(_recorded(decided, TRIMMED))
        tries, asker = deciding(events), _asker_then(events[0], decided)
        if attempt > len(tries):
            hint = f"it was given to a store, or to none, {len(tries):,} times"
            refuse(Fault.OUT_OF_RANGE, "attempt", attempt, hint=hint)
        event = tries[attempt - 1]
        if attempt > 1:
            decided = decided._replace(decision=_decision_of(event, self._network.store_ids))
            if decided.decision.reason in UNASKED:
                return Told(_recorded(decided, NOBODY_ASKED, complete=True))
            rejected = rejected_by(events, event, self._policy.cool_down_s)
            asker = asker._replace(merge_group=0, rejected=rejected)
        shadow, turn = SceneFace(self._datum, self._orders.remembered), turn_of(log, event)
        if turn is None or not brought_back(shadow, log, turn):
            return Told(_recorded(decided, TRIMMED))
        if not turn.is_certain:
            return Told(_recorded(decided, GROUPLESS))
        if len(turn.members) > 1:
            asker = _asker_together(turn.members, asker)
        scene = shadow._scene(asker, self._most_m(), event.time_ns)
        told = explained(scene, order_id, decided.decision, limit)
        return Told(_with_note(told, turn), scene)


class Decided(NamedTuple):
    """What is remembered of an order. `grant`: a row of GRANT_DTYPE, None where no policy was."""

    decision: Decision
    grant: Any
    store: int

    @property
    def is_named(self) -> bool:
        """Whether the customer named the store."""
        return self.grant is not None and bool(int(self.grant["flags"]) & GrantFlag.PICKUP_NAMED)


class Told(NamedTuple):
    """An explanation, and the scene that it tells of; None where it is not known any more."""

    explanation: Explanation
    scene: Scene | None = None


def _decision_of(event: Event, store_ids: Sequence[str]) -> Decision:
    """What was decided when an order was given to another store."""
    is_assigned = event.kind is EventKind.ASSIGNED
    grant = event.grant
    return Decision(
        order_id=event.order_id,
        status=Status.ASSIGNED if is_assigned else Status.UNASSIGNED,
        store_id=store_ids[event.store] if is_assigned else None,
        distance_m=event.distance_m if is_assigned else None,
        reason=Reason(event.reason),
        policy_version=0 if grant is None else grant.policy_version,
        step=StepName(0 if grant is None else grant.step),
        promised_ns=None if grant is None else grant.promised_ns or None,
    )


def _asker_of(batch: Batch, decision: Decision) -> Asker:
    """What the one order of a batch says."""
    place, lines = batch.place(0), batch.lines(0)
    if batch.asked is None:
        return Asker(place, lines)
    asked = batch.asked[0]
    return Asker(
        place,
        lines,
        order_type=OrderType(asked["order_type"]),
        channel=int(asked["channel"]),
        region=int(asked["region"]),
        named_store=int(asked["pickup_store"]),
        merge_group=decision.merge_group,
        members=int(asked["group"] != 0),
    )


def _asker_then(event: Event, decided: Decided) -> Asker:
    """What an order said, from the event of its decision and what it was granted."""
    place, grant = (event.lat, event.lng), decided.grant
    lines = [(move.sku, move.quantity) for move in event.moves]
    if grant is None:
        return Asker(place, lines)
    return Asker(
        place,
        lines,
        order_type=OrderType(grant["order_type"]),
        channel=int(grant["channel"]),
        region=int(grant["region"]),
        named_store=decided.store if decided.is_named else NOBODY,
        merge_group=int(grant["merge_group"]),
        members=int(bool(int(grant["flags"]) & GrantFlag.IN_GROUP)),
        bundles=None if int(grant["flags"]) & GrantFlag.OF_BUNDLES else (),
    )


def _asker_together(members: Sequence[Event], asker: Asker) -> Asker:
    """What orders of a group say together: they go where the first of them can have all of it."""
    first, lines = members[0], Counter[int]()
    for event in members:
        for move in event.moves:
            lines[move.sku] += move.quantity
    assert first.grant is not None
    return asker._replace(
        place=(first.lat, first.lng),
        lines=sorted(lines.items()),
        channel=first.grant.channel,
        region=first.grant.region,
        members=len(members),
    )


def _with_note(told: Explanation, turn: Turn) -> Explanation:
    """Say with whom an order went, if with anybody."""
    others = [one.order_id for one in turn.members if one.order_id != told.order_id]
    if not others:
        return told
    more = f" and {len(others) - MOST_NAMED:,} more" if len(others) > MOST_NAMED else ""
    note = (
        f"decided together with {', '.join(others[:MOST_NAMED])}{more}; "
        f"distances are from {turn.members[0].order_id}, the first of the group"
    )
    return replace(told, note="; ".join(filter(None, (note, told.note))))


def _recorded(decided: Decided, why: str, *, complete: bool = False) -> Explanation:
    """What the record alone tells."""
    decision, grant = decided.decision, decided.grant
    winner = None
    if decision.store_id is not None and decision.distance_m is not None:
        winner = Candidate(store_id=decision.store_id, distance_m=decision.distance_m)
    return Explanation(
        order_id=decision.order_id,
        decision=decision,
        policy_version=decision.policy_version,
        order_type=OrderType(0 if grant is None else grant["order_type"]),
        step=decision.step,
        winner=winner,
        complete=complete,
        note=why,
    )
