"""The engine's face for those who ask why."""

import math
from typing import Any

import numpy as np

from fendan.engine.batch import Batch
from fendan.engine.geo import Datum
from fendan.engine.history import Event
from fendan.engine.outcome import Decision, decisions
from fendan.errors import Fault, refuse
from fendan.explain import MOST_EXCLUDED, USUAL_EXCLUDED, explained
from fendan.explanation import Candidate, Explanation
from fendan.model import Order, Policy
from fendan.past import brought_back, decision_event
from fendan.rules import OrderType
from fendan.scene_face import Asker, SceneFace

__all__ = ["ExplainFace"]

PICKUP_NAMED = 1  # of Grant.flags

NO_JOURNAL = "this engine keeps no journal: stock, hours and policy are not what they were then"
TRIMMED = "the journal does not reach back so far any more"
NAMELESS = "at which store the customer wanted to fetch it is not recorded"


class ExplainFace(SceneFace):
    """Why an order has its store, or would have one; looks only, and changes nothing."""

    _policy: Policy

    def explain(self, order_or_id: Order | str, *, limit: int = USUAL_EXCLUDED) -> Explanation:
        """Why an order would go where it would go now; or, of a known id, why it went where it did.

        A known order is explained by what was so when it was first decided, brought back from the
        journal: that takes as long as `open` does, and the engine goes on meanwhile. Where that is
        not to be had, the Explanation is not `complete`, and says why. An Order is explained as a
        new one, whatever its id. `limit`: of how many excluded stores it tells at most, 0 to 1,000.

        Raises UnknownOrderError, UnknownSkuError, InvalidInputError.
        """
        hint = f"must be a whole number from 0 to {MOST_EXCLUDED:,}"
        if isinstance(limit, bool) or not isinstance(limit, int):
            refuse(Fault.WRONG_TYPE, "limit", limit, hint=hint)
        if not 0 <= limit <= MOST_EXCLUDED:
            refuse(Fault.OUT_OF_RANGE, "limit", limit, hint=hint)
        if isinstance(order_or_id, str):
            return self._explain_past(order_or_id, limit)
        return self._explain_now(order_or_id, limit)

    # -- NOW -----------------------------------------------------------------------------------

    def _explain_now(self, order: Order, limit: int) -> Explanation:
        with self._command() as command:
            rules = self._rules_at(command.now_ns)
            asking = None if rules is None else rules.asking
            named = Batch.of_orders(
                [order], self._stock.sku_code_of, self._datum, "order", asking
            )
            batch = self._as_parts(named)
            outcome = self._orders.route(
                _nameless(batch, len(self._stock.skus)),
                self._most_m(),
                dry_run=True,
                rules=rules,
                now_ns=command.now_ns,
            )
            decision = decisions([order.id], outcome)[0]
            asker = _asker_of(batch, decision)
            scene = self._scene(asker, self._most_m(), command.now_ns)
        return explained(scene, order.id, decision, limit)

    def _most_m(self) -> float:
        """How far a store may be without a policy file."""
        return math.inf if self._policy.radius_m is None else float(self._policy.radius_m)

    # -- THEN ----------------------------------------------------------------------------------

    def _explain_past(self, order_id: str, limit: int) -> Explanation:
        with self._command():
            decision, grant = self._orders.decision(order_id), self._orders.grant(order_id)
            store = self._network.store_ids.index(decision.store_id) if decision.store_id else -1
            remembered, journal = self._orders.remembered, self._journal
        if journal is None:
            return _recorded(decision, grant, NO_JOURNAL)
        named = grant is not None and bool(int(grant["flags"]) & PICKUP_NAMED)
        if named and decision.store_id is None:
            return _recorded(decision, grant, NAMELESS)
        journal.wait(journal.sequence)
        event = decision_event(journal.log, order_id, journal.durable_sequence)
        shadow = _Shadow(self._datum, remembered, self._policy)
        if event is None or not brought_back(shadow, journal.log, event):
            return _recorded(decision, grant, TRIMMED)
        asker = _asker_then(event, grant, store if named else -1)
        scene = shadow._scene(asker, self._most_m(), event.time_ns)
        return explained(scene, order_id, decision, limit)


class _Shadow(SceneFace):
    """An engine's state as it once was."""

    def __init__(self, datum: Datum, remembered_orders: int, policy: Policy) -> None:
        super().__init__(datum, remembered_orders)
        self._policy = policy


def _nameless(batch: Batch, sku_count: int) -> Batch:
    """The one order of a batch without its id, which may be known: it is to be decided anew."""
    lines = batch.lines_as_arrays
    lat, lng = batch.place(0)
    return Batch.of_arrays(
        np.array([lat]),
        np.array([lng]),
        lines["offsets"],
        lines["skus"],
        lines["quantities"],
        None,
        sku_count,
        lines.get("amounts"),
        batch.asked,
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
    )


def _asker_then(event: Event, grant: Any, named_store: int) -> Asker:
    """What an order said, from the event of its decision and what it was granted."""
    place = event.lat, event.lng
    lines = [(move.sku, move.quantity) for move in event.moves]
    if grant is None:
        return Asker(place, lines)
    return Asker(
        place,
        lines,
        order_type=OrderType(grant["order_type"]),
        channel=int(grant["channel"]),
        region=int(grant["region"]),
        named_store=named_store,
        merge_group=int(grant["merge_group"]),
    )


def _recorded(decision: Decision, grant: Any, why: str) -> Explanation:
    """What the record alone tells."""
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
        complete=False,
        note=why,
    )
