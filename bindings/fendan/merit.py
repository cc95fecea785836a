"""Which of two stores is better, told slowly: the values of `engine/terms`, with their names."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from fendan.rules import Criterion, RankBy
from fendan.scene import Scene
from fendan.shares import WHOLE

__all__ = ["DISTANCE", "Merit", "difference", "merit_of"]

MOST_DEPTH = 1_000
MOST_LIFE_DAYS = 365
SCORE, DISTANCE, ID = "SCORE", "DISTANCE", "its id"


class Merit(NamedTuple):
    """How good a store is for the order; of two the smaller is better."""

    compared: tuple[float, ...]
    distance_m: float
    store_id: str
    values: Mapping[str, float]

    @property
    def key(self) -> tuple[tuple[float, ...], float, str]:
        """To sort by."""
        return self.compared, self.distance_m, self.store_id


def merit_of(scene: Scene, store: int, distance_m: float, *, changed: bool = False) -> Merit:
    """The merit of a store. `changed`: as it would be with just enough stock for the order."""
    ranking, values, score = scene.rule.ranking, {}, 0.0
    for criterion in ranking.criteria:
        value = _value(scene, store, distance_m, criterion, changed)
        values[criterion.by.name] = value
        score += criterion.weight * value
    compared = tuple(values.values())
    if ranking.scored:
        compared, values[SCORE] = (score,), score
    return Merit(compared, distance_m, scene.stores.ids[store], values)


def difference(scene: Scene, better: Merit, other: Merit) -> str:
    """By what one store comes before another: ``LOAD: 0.2 against 0.8``."""
    names = [criterion.by.name for criterion in scene.rule.ranking.criteria]
    if scene.rule.ranking.scored:
        names = [SCORE]
    for name, one, two in zip(names, better.compared, other.compared, strict=True):
        if one != two:
            return f"{name}: {one:,.6g} against {two:,.6g}"
    if better.distance_m != other.distance_m:
        return f"{DISTANCE}: {better.distance_m:,.0f} m against {other.distance_m:,.0f} m"
    return ID


def _value(
    scene: Scene, store: int, distance_m: float, criterion: Criterion, changed: bool
) -> float:
    """See `RankBy`: less is better."""
    profile, by = scene.stores.profiles[store], criterion.by
    if by is RankBy.DISTANCE_BAND:
        return float(math.floor(distance_m / criterion.width_m))
    if by is RankBy.STOCK:
        return -float(_depth(scene, store, changed))
    most = profile.most_open_orders
    return {
        RankBy.DISTANCE: distance_m,
        RankBy.LOAD: 0.0 if most is None else int(scene.stores.open_orders[store]) / most,
        RankBy.PRIORITY: float(profile.priority),
        RankBy.COST: float(profile.cost),
        RankBy.FRESHNESS: -float(MOST_LIFE_DAYS),
    }[by]


def _depth(scene: Scene, store: int, changed: bool) -> int:
    """What the store offers beyond the order, of the line where that is least."""
    least, share = MOST_DEPTH, scene.stores.share(store)
    for line in scene.lines:
        pair = line.pairs.get(store)
        offered = pair.on_sale * share // WHOLE if pair else 0
        more = offered - line.quantity
        least = min(least, max(more, 0) if changed else more)
    return least
