"""Engine and twin live through the same shifts in a few shops, where little is in stock."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from fendan import Order, Policy, Store
from life_rules import LifeRules
from strategies import SKUS

baskets = st.dictionaries(st.sampled_from(SKUS[:2]), st.integers(1, 2), min_size=1).map(
    lambda basket: list(basket.items())
)
shops = st.integers(0, 3)


class Shifts(LifeRules):
    """So few orders and shops that most steps concern somebody."""

    def __init__(self) -> None:
        super().__init__(Policy(reservation_timeout_s=60.0, most_attempts=3, cool_down_s=30.0))

    @initialize(count=st.integers(1, 6))
    def the_shops_open(self, count: int) -> None:
        stores = [Store(id=f"{n}", lat=31.0, lng=121.0 + n / 100) for n in range(4)]
        self.both(lambda face: face.add_stores(stores))
        self.both(
            lambda face: face.set_stock([(s, sku, count) for s in self.names for sku in SKUS])
        )

    @precondition(lambda self: len(self.orders) < 8)
    @rule(basket=baskets, radius_m=st.sampled_from([None, 2_500.0]))
    def an_order_comes(self, basket: list[tuple[str, int]], radius_m: float | None) -> None:
        order = Order(id=f"order {len(self.orders)}", lat=31.0, lng=120.99, lines=basket)
        self.orders.append(order)
        self.both(lambda face: face.route(order, policy=Policy(radius_m=radius_m)))

    @rule(shop=shops, sku=st.sampled_from(SKUS[:2]), count=st.sampled_from([0, 1, 3, 2**31 - 2]))
    def a_shop_is_counted(self, shop: int, sku: str, count: int) -> None:
        row = (self.pick(shop, self.names), sku, count)
        self.both(lambda face: face.set_stock([row]))

    @rule(shop=shops, pause=st.booleans())
    def a_shop_pauses_or_goes_on(self, shop: int, pause: bool) -> None:
        names = [self.pick(shop, self.names)]
        self.both(lambda face: (face.pause_stores if pause else face.resume_stores)(names))

    @rule(shop=shops, again=st.booleans())
    def a_shop_is_removed(self, shop: int, again: bool) -> None:
        """And perhaps another opens under its id, next door to the orders."""
        name = self.pick(shop, self.names)
        self.both(lambda face: face.remove_stores([name]))
        if again:
            self.both(lambda face: face.add_stores([Store(id=name, lat=31.0, lng=120.995)]))
            self.both(lambda face: face.set_stock([(name, sku, 2) for sku in SKUS]))

    def teardown(self) -> None:
        """Whatever happened: the counts are the same in the end, at every shop that is there."""
        for name in self.twin.shops:
            assert self.engine.stock(name) == self.twin.stock(name)


Shifts.TestCase.settings = settings(max_examples=3 * settings().max_examples)
TestShifts = Shifts.TestCase
