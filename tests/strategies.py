"""Where the stores and orders of a made-up chain may be, and what they may hold."""

from dataclasses import dataclass

from hypothesis import strategies as st

from fendan import Engine, Order, Policy, Store, distance_m
from fendan.model import Line
from twin import Place, Twin

SKUS = ("milk", "tea", "rice", "茶")

# -- PLACES ------------------------------------------------------------------------------------

# A few houses of one street, a metre apart: closer than float32 can tell.
streets = st.builds(
    lambda corner, east: (corner[0], corner[1] + east * 1e-5),
    st.sampled_from([(31.2304, 121.4737), (-33.9, 151.2), (0.0, 179.99994)]),
    st.integers(0, 6),
)
# Points of a grid lie at exactly the same distance from each other again and again.
degree_grid = st.tuples(st.integers(-2, 2).map(float), st.integers(-2, 2).map(float))
half_degree_grid = st.tuples(
    st.integers(-180, 180).map(lambda half: half / 2), st.integers(-360, 360).map(lambda h: h / 2)
)
poles = st.tuples(
    st.sampled_from([90.0, -90.0, 89.9999, -89.9999]), st.sampled_from([0.0, 90.0, -180.0, 17.25])
)
date_line = st.tuples(
    st.sampled_from([0.0, -17.5, 0.25]), st.sampled_from([180.0, -180.0, 179.9999, -179.9999])
)
anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
places: st.SearchStrategy[Place] = st.one_of(
    streets, degree_grid, half_degree_grid, poles, date_line, anywhere
)


def antipode(place: Place) -> Place:
    lat, lng = place
    return -lat, lng - 180.0 if lng > 0 else lng + 180.0


# -- THE CHAIN ---------------------------------------------------------------------------------

# Ids whose order by bytes is easily got wrong: prefixes of one another, digits, beyond ASCII.
store_ids = st.text("01aBé店😀", min_size=1, max_size=3)


@st.composite
def store_lists(draw: st.DrawFn, most: int = 12) -> list[Store]:
    """Stores that crowd on fewer places than there are stores."""
    spots = draw(st.lists(places, min_size=1, max_size=8))
    ids = draw(st.lists(store_ids, max_size=most, unique=True))
    return [
        Store(id=name, lat=lat, lng=lng)
        for name in ids
        for lat, lng in [draw(st.sampled_from(spots))]
    ]


def with_amounts(pairs: st.SearchStrategy[tuple[str, int]]) -> st.SearchStrategy[Line]:
    """Lines of which some say what they cost, some that nothing is said, and some nothing."""
    amounts = st.sampled_from([0, 1, 2, 10**12])
    return st.one_of(pairs, st.builds(lambda pair, amount: (*pair, amount), pairs, amounts))


def lines(most: int = 4) -> st.SearchStrategy[list[Line]]:
    """Baskets; the same SKU may stand in several lines."""
    line = st.tuples(st.sampled_from(SKUS), st.integers(1, 3))
    return st.lists(with_amounts(line), min_size=1, max_size=most)


@dataclass(frozen=True)
class Scene:
    """A chain with stock, a policy, and orders that come in."""

    stores: list[Store]
    rows: list[tuple[str, str, int]]
    policy: Policy
    orders: list[Order]

    def played(self) -> tuple[Engine, Twin]:
        """Engine and twin with the stores and stock in place, before the first order."""
        engine, twin = Engine(policy=self.policy), Twin(policy=self.policy)
        for face in (engine, twin):
            face.add_stores(self.stores)
            assert face.set_stock(self.rows).shortfalls == ()
        return engine, twin


@st.composite
def scenes(draw: st.DrawFn, most_orders: int = 12) -> Scene:
    """Chains where ties, exact radii and sold-out stores are the rule."""
    stores = draw(store_lists())
    rows: list[tuple[str, str, int]] = []
    if stores:
        pair = st.tuples(
            st.sampled_from([store.id for store in stores]),
            st.sampled_from(SKUS),
            st.integers(0, 5),
        )
        everywhere = draw(st.integers(0, 3))  # pieces of everything, so that neighbours compete
        rows = [(store.id, sku, everywhere) for store in stores for sku in SKUS if everywhere]
        rows += draw(st.lists(pair, max_size=30))
    carried = {sku for _, sku, _ in rows}
    near_stores = [(store.lat, store.lng) for store in stores]
    spots = places
    if near_stores:
        at_a_store = st.sampled_from(near_stores)
        spots = st.one_of(at_a_store, places, at_a_store.map(antipode))
    orders = []
    for number in range(draw(st.integers(1, most_orders)) if carried else 0):
        lat, lng = draw(spots)
        basket = draw(
            st.lists(
                with_amounts(st.tuples(st.sampled_from(sorted(carried)), st.integers(1, 3))),
                min_size=1,
                max_size=4,
            )
        )
        orders.append(Order(id=f"order {number}", lat=lat, lng=lng, lines=basket))
    return Scene(stores, rows, draw(policies(stores, orders)), orders)


def policies(stores: list[Store], orders: list[Order]) -> st.SearchStrategy[Policy]:
    """No radius, any radius, and radii at which a store stands exactly."""
    radii = st.one_of(st.none(), st.floats(0, 2.1e7), st.sampled_from([0.0, 1.0, 3000.0]))
    if stores and orders:
        exact = st.builds(
            lambda store, order: distance_m(order.lat, order.lng, store.lat, store.lng),
            st.sampled_from(stores),
            st.sampled_from(orders),
        )
        radii = st.one_of(radii, exact)
    return radii.map(lambda radius_m: Policy(radius_m=radius_m))
