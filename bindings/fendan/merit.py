"""Which of two stores is better, told slowly: the values of `engine/terms`, with their names."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from fendan.delivery import first_lot, good, good_day, local_day, offered
from fendan.rules import Criterion, RankBy
from fendan.scene import Scene

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
        return -float(_depth(scene, store, distance_m, changed))
    if by is RankBy.FRESHNESS:
        return -float(_life_days(scene, store, distance_m))
    most = profile.most_open_orders
    return {
        RankBy.DISTANCE: distance_m,
        RankBy.LOAD: 0.0 if most is None else scene.open_orders(store) / most,
        RankBy.PRIORITY: float(profile.priority),
        RankBy.COST: float(profile.cost),
    }[by]


def _depth(scene: Scene, store: int, distance_m: float, changed: bool) -> int:
    """What the store offers beyond the order, of the line where that is least."""
    least = MOST_DEPTH
    for line in scene.lines:
        more = offered(scene, line, store, distance_m) - line.quantity
        least = min(least, max(more, 0) if changed else more)
    return least


def _life_days(scene: Scene, store: int, distance_m: float) -> int:
    """How many days what it would send may still be sold, of the line where that is least.

    What a store is short of would have to be good for just long enough: see `merit_of`.
    """
    least, today = MOST_LIFE_DAYS, local_day(scene, store, scene.stores.moment.now_ns)
    for line in scene.lines:
        pieces = good(scene, line, store, distance_m)
        if pieces is not None:
            day = first_lot(scene, line, store, distance_m)
            if day is None or pieces < line.quantity:
                day = good_day(scene, line, store, distance_m)
            least = min(least, day - today)
    return least
