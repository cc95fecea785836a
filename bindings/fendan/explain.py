"""Why an order was decided as it was: the rules told a second time, slowly and in words.

The core searches and says who won. Here every store is asked in turn, step by step, what keeps it
from the order; of those that nothing keeps, the best one by the ranking has it. Both tellings must
come to the same store.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fendan.engine.outcome import Decision
from fendan.errors import Fault, refuse
from fendan.explanation import Candidate, Change, Excluded, Explanation, TriedStep
from fendan.merit import Merit, difference, merit_of
from fendan.obstacles import eligible_count, obstacles
from fendan.rules import Step, StepName
from fendan.scene import NOBODY, Scene

__all__ = ["USUAL_EXCLUDED", "checked_attempt", "checked_limit", "explained"]

USUAL_EXCLUDED = 10
MOST_EXCLUDED = 1_000
MOST_ATTEMPTS = 2**31 - 1
RUNNERS_UP = 3

MERGED = "the buyer's earlier order"


def checked_limit(limit: int) -> int:
    """Of how many excluded stores to tell, or a WrongTypeError or InvalidInputError."""
    hint = f"must be a whole number from 0 to {MOST_EXCLUDED:,}"
    if isinstance(limit, bool) or not isinstance(limit, int):
        refuse(Fault.WRONG_TYPE, "limit", limit, hint=hint)
    if not 0 <= limit <= MOST_EXCLUDED:
        refuse(Fault.OUT_OF_RANGE, "limit", limit, hint=hint)
    return limit


def checked_attempt(attempt: int) -> int:
    """Which decision on an order, or a WrongTypeError or InvalidInputError."""
    hint = "must be the number of one, from 1"
    if isinstance(attempt, bool) or not isinstance(attempt, int):
        refuse(Fault.WRONG_TYPE, "attempt", attempt, hint=hint)
    if not 1 <= attempt <= MOST_ATTEMPTS:
        refuse(Fault.OUT_OF_RANGE, "attempt", attempt, hint=hint)
    return attempt


class _Search(NamedTuple):
    """What one telling of the steps came to. `able`: the best one first; () where none was."""

    tried: list[TriedStep]
    steps: list[Step]
    able: list[int]


def explained(
    scene: Scene, order_id: str, decision: Decision, limit: int = USUAL_EXCLUDED
) -> Explanation:
    """Explain a decision that was made on the scene; of excluded stores at most `limit`."""
    distances_m = scene.distances_m()
    search = _search(scene, decision, distances_m)
    told = [_candidate(scene, store, distances_m) for store in search.able[: 1 + RUNNERS_UP]]
    winner = told[0] if told else None
    notes = (
        []
        if winner is None or not _is_merged(scene, search)
        else [f"{winner.store_id} has {MERGED}"]
    )
    agrees = _agrees(winner, decision)
    if not agrees:
        notes.append("what was looked at is not all known any more")
    return Explanation(
        order_id=order_id,
        decision=decision,
        policy_version=scene.policy_version,
        order_type=scene.rule.order_type,
        step=decision.step,
        steps=tuple(search.tried),
        winner=winner,
        runners_up=tuple(told[1:]),
        excluded=tuple(_excluded(scene, search, distances_m, limit)),
        change=_change(scene, search, distances_m),
        complete=agrees,
        note="; ".join(notes),
    )


def _agrees(winner: Candidate | None, decision: Decision) -> bool:
    """Whether both tellings came to the same store; of a split order, to one of its stores."""
    if decision.shipments:
        return winner is None or winner.store_id in {one.store_id for one in decision.shipments}
    return (None if winner is None else winner.store_id) == decision.store_id


# -- STEPS -------------------------------------------------------------------------------------


def _search(scene: Scene, decision: Decision, distances_m: dict[int, float]) -> _Search:
    """Step after step, until one fills the order."""
    tried: list[TriedStep] = []
    steps: list[Step] = []
    for step in scene.rule.steps:
        steps.append(step)
        is_used = step.name is decision.step
        near = {store for store in distances_m if _is_near(scene, step, distances_m[store])}
        eligible, asked = eligible_count(scene, step, near)
        able = []
        if step.name is not StepName.BACKORDER and scene.lines:
            able = [one for one in asked if not _kept(scene, step, one, distances_m)]
        tried.append(
            TriedStep(
                name=step.name,
                radius_m=step.radius_m,
                eligible=eligible,
                in_radius=len(asked),
                able=len(able),
            )
        )
        if able:
            return _Search(tried, steps, _ranked(scene, able, distances_m))
        if is_used and decision.shipments:
            break
    return _Search(tried, steps, [])


def _is_near(scene: Scene, step: Step, distance_m: float) -> bool:
    return scene.wish.only != NOBODY or distance_m <= step.radius_m


def _kept(scene: Scene, step: Step, store: int, distances_m: dict[int, float]) -> bool:
    """Whether anything keeps a store from the order."""
    return next(obstacles(scene, step, store, distances_m[store]), None) is not None


def _ranked(scene: Scene, able: Iterable[int], distances_m: dict[int, float]) -> list[int]:
    """The best first; before all others that which has the buyer's earlier order."""

    def place(store: int) -> tuple[bool, object]:
        return store != scene.wish.preferred, merit_of(scene, store, distances_m[store]).key

    return sorted(able, key=place)


def _is_merged(scene: Scene, search: _Search) -> bool:
    return bool(search.able) and search.able[0] == scene.wish.preferred


def _candidate(scene: Scene, store: int, distances_m: dict[int, float]) -> Candidate:
    merit = merit_of(scene, store, distances_m[store])
    return Candidate(store_id=merit.store_id, distance_m=merit.distance_m, values=merit.values)


# -- THOSE THAT WERE NEARER --------------------------------------------------------------------


def _excluded(
    scene: Scene, search: _Search, distances_m: dict[int, float], limit: int
) -> list[Excluded]:
    """The nearest that could not have it, as far as the winner."""
    found: list[Excluded] = []
    able = set(search.able)
    for store, distance_m in distances_m.items():
        if len(found) >= limit or (search.able and store == search.able[0]):
            break
        if store not in able:
            found.append(_exclusion(scene, search.steps, store, distance_m))
    return found


def _exclusion(scene: Scene, steps: list[Step], store: int, distance_m: float) -> Excluded:
    """What kept it at the step where it came farthest, of equals at the first."""
    first = {}
    for step in steps:
        reason = next(obstacles(scene, step, store, distance_m), None)
        if reason is not None and step.name not in first:
            first[step.name] = reason
    name, reason = max(first.items(), key=lambda item: item[1].code)
    return Excluded(
        store_id=scene.stores.ids[store],
        distance_m=distance_m,
        step=name,
        code=reason.code,
        text=reason.text,
    )


# -- WHAT WOULD HAVE TO BE OTHERWISE -----------------------------------------------------------


def _change(scene: Scene, search: _Search, distances_m: dict[int, float]) -> Change | None:
    """The least with which the nearest store would win: at a step tried, the first of equals."""
    nearest = next(iter(distances_m), None)
    if nearest is None or (search.able and search.able[0] == nearest):
        return None
    changes = []
    for step in search.steps:
        if step.name is StepName.BACKORDER:
            continue
        found = list(obstacles(scene, step, nearest, distances_m[nearest]))
        needed = tuple(dict.fromkeys(one.change for one in found))
        rival = None
        if search.able and step is search.steps[-1]:
            rival = _rival(scene, search.able[0], nearest, distances_m)
        loses_to, loses_by = rival or ("", "")
        changes.append(
            Change(
                store_id=scene.stores.ids[nearest],
                distance_m=distances_m[nearest],
                step=step.name,
                needed=needed,
                loses_to=loses_to,
                loses_by=loses_by,
            )
        )
    return min(changes, key=lambda one: (bool(one.loses_to), len(one.needed)), default=None)


def _rival(
    scene: Scene, winner: int, store: int, distances_m: dict[int, float]
) -> tuple[str, str] | None:
    """Whether the winner would still come before the store, and by what."""
    best = merit_of(scene, winner, distances_m[winner])
    if scene.wish.preferred == winner:
        return best.store_id, MERGED
    other: Merit = merit_of(scene, store, distances_m[store], changed=True)
    if other.key < best.key:
        return None
    return best.store_id, difference(scene, best, other)
