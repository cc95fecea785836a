"""Why an order was decided as it was: the rules told a second time, slowly and in words.

The core searches and says who won. Here every store is asked in turn, step by step, what keeps it
from the order; of those that nothing keeps, the best one by the ranking has it. Both tellings must
come to the same store.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fendan.engine.outcome import Decision
from fendan.errors import Fault, refuse
from fendan.explanation import Candidate, Change, Excluded, Explanation, Part
from fendan.merit import Merit, difference, merit_of
from fendan.obstacles import Obstacle, obstacles
from fendan.rules import StepName
from fendan.scene import NOBODY, Line, Scene
from fendan.telling import Distances, Telling, last_day, told
from fendan.times import NS_PER_DAY

__all__ = ["MOST_EXCLUDED", "USUAL_EXCLUDED", "checked_attempt", "checked_limit", "explained"]

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


def explained(
    scene: Scene, order_id: str, decision: Decision, limit: int = USUAL_EXCLUDED
) -> Explanation:
    """Explain a decision that was made on the scene; of excluded stores at most `limit`."""
    distances_m = scene.distances_m()
    telling = told(scene, decision, distances_m)
    able = () if scene.later else telling.able[: 1 + RUNNERS_UP]
    candidates = [_candidate(scene, telling, store, distances_m) for store in able]
    winner = candidates[0] if candidates else None
    notes = []
    if telling.able and telling.able[0] == scene.wish.preferred and not telling.waits:
        notes.append(f"{scene.stores.ids[telling.able[0]]} has {MERGED}")
    agrees = _agrees(scene, telling, decision)
    if not agrees:
        notes.append("what was looked at is not all known any more")
    return Explanation(
        order_id=order_id,
        decision=decision,
        policy_version=scene.policy_version,
        order_type=scene.rule.order_type,
        step=decision.step,
        steps=tuple(telling.tried),
        winner=winner,
        runners_up=tuple(candidates[1:]),
        excluded=tuple(_excluded(scene, telling, distances_m, limit)),
        change=None if scene.later else _change(scene, telling, distances_m),
        parts=tuple(_parts(scene, telling, decision, distances_m)),
        recorded=("parts",) if telling.shared else (),
        complete=agrees,
        note="; ".join(notes),
    )


def _agrees(scene: Scene, telling: Telling, decision: Decision) -> bool:
    """Whether both tellings came to the same stores, as far as they were searched for again."""
    found = list(telling.able[:1])
    if scene.later:
        found = [*found, *telling.later[:1]] if telling.later else []
    stores = [one.store_id for one in decision.shipments]
    if telling.shared:
        stores = [one.store_id for one in decision.shipments if one.supply_date]
        found = list(telling.later[:1])
    elif not stores and decision.store_id is not None:
        stores = [decision.store_id]
    return [scene.stores.ids[store] for store in found] == stores


def _candidate(scene: Scene, telling: Telling, store: int, distances_m: Distances) -> Candidate:
    merit = merit_of(scene, store, distances_m[store])
    values = merit.values
    if telling.waits:
        today = scene.stores.moment.now_ns // NS_PER_DAY
        values = {"SUPPLY_DAYS": float(last_day(scene, store) - today)}
    return Candidate(store_id=merit.store_id, distance_m=merit.distance_m, values=values)


# -- SHIPMENTS ---------------------------------------------------------------------------------


def _parts(
    scene: Scene, telling: Telling, decision: Decision, distances_m: Distances
) -> Iterator[Part]:
    """What kept the store of each shipment from sending all of the order from its stock."""
    for one in decision.shipments:
        store, reason = scene.stores.codes[one.store_id], None
        if one.supply_date and scene.later:
            text = f"sold against supply: {_named(scene.later)}"
        elif scene.later and not telling.shared:
            text = "all that is not sold against supply"
        else:
            steps = [step for step in telling.steps if step.name is not StepName.BACKORDER]
            stocked = telling._replace(steps=steps)
            reason = _farthest(scene, stocked, store, distances_m[store])
            text = "" if reason is None else reason[1].text
        code = None if reason is None else reason[1].code
        yield Part(number=one.number, store_id=one.store_id, code=code, text=text)


def _named(lines: Sequence[Line]) -> str:
    return ", ".join(line.sku for line in lines)


# -- THOSE THAT WERE NEARER --------------------------------------------------------------------


def _excluded(scene: Scene, telling: Telling, distances_m: Distances, limit: int) -> list[Excluded]:
    """The nearest that could not have it, as far as the winner."""
    found: list[Excluded] = []
    winner = telling.able[0] if telling.able and not scene.later else NOBODY
    for store, distance_m in distances_m.items():
        if len(found) >= limit or store == winner:
            break
        reason = None
        if scene.later or store not in telling.able:
            reason = _farthest(scene, telling, store, distance_m)
        if reason is not None:
            found.append(
                Excluded(
                    store_id=scene.stores.ids[store],
                    distance_m=distance_m,
                    step=reason[0],
                    code=reason[1].code,
                    text=reason[1].text,
                )
            )
    return found


def _farthest(
    scene: Scene, telling: Telling, store: int, distance_m: float
) -> tuple[StepName, Obstacle] | None:
    """What kept it at the step where it came farthest, of equals at the first; None: nothing."""
    first = {}
    rest = replace(scene, given=telling.given)
    for step in telling.steps:
        asked = rest if step.name is StepName.BACKORDER else scene
        reason = next(obstacles(asked, step, store, distance_m), None)
        if reason is not None and step.name not in first:
            first[step.name] = reason
    return max(first.items(), key=lambda item: item[1].code, default=None)


# -- WHAT WOULD HAVE TO BE OTHERWISE -----------------------------------------------------------


def _change(scene: Scene, telling: Telling, distances_m: Distances) -> Change | None:
    """The least with which the nearest store would win: at a step tried, the first of equals."""
    nearest = next(iter(distances_m), None)
    if nearest is None or (telling.able and telling.able[0] == nearest):
        return None
    changes = []
    for step in telling.steps:
        if step.name is StepName.BACKORDER:
            continue
        found = list(obstacles(scene, step, nearest, distances_m[nearest]))
        needed = tuple(dict.fromkeys(one.change for one in found))
        rival = None
        if telling.able and step is telling.steps[-1]:
            rival = _rival(scene, telling.able[0], nearest, distances_m)
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


def _rival(scene: Scene, winner: int, store: int, distances_m: Distances) -> tuple[str, str] | None:
    """Whether the winner would still come before the store, and by what."""
    best = merit_of(scene, winner, distances_m[winner])
    if scene.wish.preferred == winner:
        return best.store_id, MERGED
    other: Merit = merit_of(scene, store, distances_m[store], changed=True)
    if other.key < best.key:
        return None
    return best.store_id, difference(scene, best, other)
