"""A batch is decided as if its orders came one after another, however busy its stores become.

Orders are guessed at some orders before their turn. What an order sees of a store must be what it
is in its turn: here stores are few, orders many, and each changes what the next one sees.
"""

import numpy as np
import pytest

from fendan import Engine, Order, Store
from fendan.profiles import StoreProfile

STORES, ORDERS = 40, 400
SKUS = [f"sku-{number}" for number in range(12)]
RANKINGS = {
    "the least load": "['LOAD']",
    "the least load within a band": "[{ by = 'DISTANCE_BAND', width_m = 900 }, 'LOAD', 'DISTANCE']",
    "priority, then load": "['PRIORITY', 'LOAD']",
    "load, then cost": "['LOAD', 'COST', 'DISTANCE']",
    "the deepest stock": "['STOCK']",
    "the nearest": "['DISTANCE']",
}


def a_town(ranking: str | None, seed: int) -> tuple[Engine, list[Order]]:
    """A few stores with room for some orders each, and more orders than they have room for."""
    random = np.random.default_rng(seed)
    engine = Engine()
    names = [f"store-{number}" for number in range(STORES)]
    places = zip(names, random.uniform(31.2, 31.25, (STORES, 2)).tolist(), strict=True)
    engine.add_stores([Store(id=name, lat=lat, lng=lng + 90) for name, (lat, lng) in places])
    engine.set_stock(
        (name, sku, int(random.integers(1, 20)))
        for name in names
        for sku in random.choice(SKUS, 8, replace=False).tolist()
    )
    if ranking is not None:
        engine.set_store_profiles({name: a_profile(random) for name in names})
        policy = f'default_type = "NEXT_DAY"\n[types.NEXT_DAY]\nranking = {ranking}'
        engine.activate_policy(engine.draft_policy(policy))
    orders = [
        Order(
            id=f"order-{number}",
            lat=random.uniform(31.2, 31.25),
            lng=random.uniform(121.2, 121.25),
            lines=[(sku, int(random.integers(1, 3))) for sku in random.choice(SKUS, 2, False)],
        )
        for number in range(ORDERS)
    ]
    return engine, orders


def a_profile(random: np.random.Generator) -> StoreProfile:
    return StoreProfile(
        most_open_orders=int(random.integers(4, 15)),
        priority=int(random.integers(0, 3)),
        cost=int(random.integers(0, 3)),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ranking", [*RANKINGS.values(), None], ids=[*RANKINGS, "no policy"])
def test_a_batch_is_told_what_its_orders_would_be_told_one_by_one(
    ranking: str | None, seed: int
) -> None:
    engine, orders = a_town(ranking, seed)
    together = engine.route_batch(orders)
    engine, orders = a_town(ranking, seed)
    one_by_one = [engine.route(order) for order in orders]
    assert [decision.store_id for decision in together] == [
        decision.store_id for decision in one_by_one
    ]
    assert sum(decision.store_id is not None for decision in together) > 100
