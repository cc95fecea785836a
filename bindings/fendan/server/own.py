"""What those who have a store or a region are told of an order: what concerns their own stores.

How many others there are, which ones, and what they have or lack is none of their business.
"""

from collections.abc import Callable
from dataclasses import replace

from fendan.api import Engine
from fendan.engine.outcome import Decision
from fendan.errors import Fault, NotAllowedError, UnknownStoreError, refuse
from fendan.explanation import Change, Explanation
from fendan.server.callers import Caller

__all__ = ["check_order", "decision_for", "explanation_for", "is_own", "refuse_unless"]

ONLY_OWN = "only what concerns your own stores is told"


def is_own(engine: Engine, who: Caller, store_id: str | None) -> bool:
    """Whether a store, if there is one, is one of the caller's."""
    try:
        who.check_store(store_id or "", engine.region_of)
    except (NotAllowedError, UnknownStoreError):
        return False
    return True


def check_order(engine: Engine, who: Caller, field: str, order_id: str) -> None:
    """Raise NotAllowedError where no part of the order is at a store of the caller's.

    Raises UnknownOrderError.
    """
    if not who.scope.is_bound:
        return
    status = engine.order(order_id)
    there = any(is_own(engine, who, one.store_id) for one in status.shipments or (status,))
    refuse_unless(there, who, field, order_id)


def refuse_unless(is_allowed: bool, who: Caller, field: str, order_id: str) -> None:
    """The error names the order and not its store, which is none of the caller's business."""
    if not is_allowed:
        hint = f"it is at no store of the {who.scope.value} {who.of!r}"
        refuse(Fault.NOT_ALLOWED, field, order_id, hint=hint)


def explanation_for(engine: Engine, who: Caller, told: Explanation, limit: int) -> Explanation:
    """An explanation as the caller may read it; of excluded stores at most `limit`."""
    if not who.scope.is_bound:
        return told

    def own(store_id: str | None) -> bool:
        return is_own(engine, who, store_id)

    return replace(
        told,
        decision=decision_for(engine, who, told.decision),
        steps=(),
        winner=told.winner if told.winner and own(told.winner.store_id) else None,
        runners_up=tuple(one for one in told.runners_up if own(one.store_id)),
        excluded=tuple(one for one in told.excluded if own(one.store_id))[:limit],
        change=told.change if told.change and _is_known(told.change, own) else None,
        parts=tuple(one for one in told.parts if own(one.store_id)),
        partial=True,
        note=ONLY_OWN,
    )


def _is_known(change: Change, own: Callable[[str], bool]) -> bool:
    return own(change.store_id) and (not change.loses_to or own(change.loses_to))


def decision_for(engine: Engine, who: Caller, decision: Decision) -> Decision:
    """With the caller's shipments alone, and without a store that is not the caller's."""
    if not who.scope.is_bound:
        return decision
    is_there = is_own(engine, who, decision.store_id)
    return Decision(
        order_id=decision.order_id,
        status=decision.status,
        store_id=decision.store_id if is_there else None,
        distance_m=decision.distance_m if is_there else None,
        reason=decision.reason,
        policy_version=decision.policy_version,
        step=decision.step,
        promised_ns=decision.promised_ns,
        merge_group=decision.merge_group,
        shipments=tuple(one for one in decision.shipments if is_own(engine, who, one.store_id)),
    )
