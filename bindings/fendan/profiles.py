"""What a chain knows of its stores and its SKUs beside places and counts, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fendan.rules import OrderType, StoreKind

__all__ = ["SkuProfile", "StoreProfile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProfile:
    """How a store works. What is not said limits nothing.

    `hours`: by weekday "mon" to "sun", by "daily", or by date "2026-10-01" (a holiday), a text like
    "09:00-22:00", "22:00-02:00" (into the next day), "09:00-12:00,13:00-18:00", "closed" or "24h";
    the date comes before the weekday, the weekday before "daily". None: always open. `order_types`:
    None: all. `most_open_orders`: how many orders it may hold at once (ASSIGNED to PICKED), 1 or
    more. `most_orders_in_window`: how many it is given in any `window_s` seconds. `priority`: 0 to
    1,000, less is better. `cost`: of an order, in minor units. `areas`: names of service areas, any
    of which will do; none: no limit.
    """

    kind: StoreKind = StoreKind.SHOP
    time_zone: str = "Asia/Shanghai"
    hours: Mapping[str, str] | None = None
    order_types: frozenset[OrderType] | None = None
    abilities: frozenset[str] = frozenset()
    most_open_orders: int | None = None
    most_orders_in_window: int | None = None
    window_s: float = 3600.0
    priority: int = 100
    cost: int = 0
    areas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkuProfile:
    """How a SKU is sold. What is not said limits nothing.

    `product_class`: what rules and never-split groups call it. `needs`: abilities that a store must
    have ("cold_chain"). `pieces_per_unit`: stock is counted in units of so many pieces, orders in
    pieces. `off_below`, `on_from`: a store with less than `off_below` free pieces sells none until
    it has `on_from` again; 0: never off. `parts`: of a bundle, how many pieces of each SKU; it is
    sold as its parts. `presale`: sold against incoming supply. `least_life_days`: what remains of
    a lot's life on the promised day at least.
    """

    product_class: str = ""
    needs: frozenset[str] = frozenset()
    pieces_per_unit: int = 1
    off_below: int = 0
    on_from: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    presale: bool = False
    least_life_days: int = 0
