"""The steps of a rule told again: which stores could have the order at each, the best one first.

What is sold from stock goes through the steps until one fills it. A presale order has lines beside
that are sold against supply; they come last, and without them there is nothing.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from fendan.delivery import supply_day
from fendan.engine.outcome import Decision
from fendan.explanation import TriedStep
from fendan.merit import merit_of
from fendan.obstacles import eligible_count, obstacles
from fendan.rules import SplitMode, Step, StepName
from fendan.scene import NOBODY, Scene

__all__ = ["Distances", "Telling", "last_day", "told"]

Distances = dict[int, float]


class Telling(NamedTuple):
    """What the steps came to. Stores are codes, the best ones first.

    `able`: who could have what is sold from stock, or what the last step sells against supply. ():
    nobody alone. `shared`: at which step the stores that were told can have it together. `later`:
    who could have the lines that a presale order sells against supply, once the stores `given` have
    the rest of it.
    """

    tried: list[TriedStep]
    steps: list[Step]
    able: list[int]
    shared: Step | None = None
    later: tuple[int, ...] = ()
    given: tuple[int, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether it is all sold against supply."""
        return bool(self.able) and self.steps[-1].name is StepName.BACKORDER


def told(scene: Scene, decision: Decision, distances_m: Distances) -> Telling:
    """Step after step, until the order is filled, or was by several stores together."""
    telling = Telling([], [], [])
    if scene.lines:
        from_stock = [step for step in scene.rule.steps if _sells(scene, step)]
        telling = _tried(scene, decision, from_stock, distances_m)
    if not scene.later or (scene.lines and not telling.able and not telling.shared):
        return telling
    waiting = [step for step in scene.rule.steps if step.name is StepName.BACKORDER]
    given = _given(scene, decision, telling)
    rest = _tried(replace(scene, given=given), decision, waiting, distances_m)
    return telling._replace(
        tried=telling.tried + rest.tried,
        steps=telling.steps + rest.steps,
        later=tuple(rest.able),
        given=given,
    )


def _sells(scene: Scene, step: Step) -> bool:
    """Whether a step is asked for what is sold from stock, or instead of it."""
    return step.name is not StepName.BACKORDER or (scene.wish.waits and not scene.later)


def _given(scene: Scene, decision: Decision, telling: Telling) -> tuple[int, ...]:
    """Who sends what is in stock: the best one, or those that were told."""
    if telling.able or not scene.lines:
        return tuple(telling.able[:1])
    names = {one.store_id for one in decision.shipments if not one.supply_date}
    return tuple(sorted(scene.stores.codes[name] for name in names))


def _tried(
    scene: Scene, decision: Decision, rule_steps: Iterable[Step], distances_m: Distances
) -> Telling:
    tried: list[TriedStep] = []
    steps: list[Step] = []
    for step in rule_steps:
        near = {store for store in distances_m if _is_near(scene, step, distances_m[store])}
        eligible, asked = eligible_count(scene, step, near)
        able = [one for one in asked if not _is_kept(scene, step, one, distances_m)]
        steps.append(step)
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
            return Telling(tried, steps, _ranked(scene, step, able, distances_m))
        if _is_shared(scene, step, decision, distances_m):
            return Telling(tried, steps, [], step)
    return Telling(tried, steps, [])


def _is_shared(scene: Scene, step: Step, decision: Decision, distances_m: Distances) -> bool:
    """Whether the stores that were told could all send what they were to, at this step."""
    shipments = [one for one in decision.shipments if not one.supply_date]
    if step.split.mode is SplitMode.NEVER or len(shipments) < 2:
        return False
    for shipment in shipments:
        store, pieces = scene.stores.codes[shipment.store_id], dict(shipment.lines)
        lines = tuple(
            replace(one, quantity=pieces[one.sku]) for one in scene.lines if one.sku in pieces
        )
        part = replace(scene, lines=lines)
        if store not in distances_m or _is_kept(part, step, store, distances_m):
            return False
    return True


def _is_near(scene: Scene, step: Step, distance_m: float) -> bool:
    return scene.wish.only != NOBODY or distance_m <= step.radius_m


def _is_kept(scene: Scene, step: Step, store: int, distances_m: Distances) -> bool:
    """Whether anything keeps a store from the order."""
    return next(obstacles(scene, step, store, distances_m[store]), None) is not None


def _ranked(scene: Scene, step: Step, able: Iterable[int], distances_m: Distances) -> list[int]:
    """The best first; before all others that which has the buyer's earlier order.

    Of those that wait for supply the first to have it, then the nearest.
    """

    def place(store: int) -> tuple[object, ...]:
        if step.name is StepName.BACKORDER:
            return last_day(scene, store), distances_m[store], scene.stores.ids[store]
        return store != scene.wish.preferred, merit_of(scene, store, distances_m[store]).key

    return sorted(able, key=place)


def last_day(scene: Scene, store: int) -> int:
    """The day, since 1970, on which all that is sold against supply will have come to a store."""
    days = [supply_day(scene, line, store) for line in scene.later or scene.lines]
    return max(day for day in days if day is not None)
