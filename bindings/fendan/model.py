"""What goes in: stores, orders, and the policy they are routed under."""

from collections.abc import Sequence
from dataclasses import dataclass

from fendan.engine.geo import Datum

__all__ = ["Order", "Policy", "Store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Any place that fulfils orders: a shop, a regional or a central warehouse.

    `lat` and `lng` are degrees, -90 to 90 and -180 to 180, in the engine's datum unless `datum`
    names another, which is then converted.
    """

    id: str
    lat: float
    lng: float
    datum: Datum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A basket and where it goes.

    `lines` are pairs of SKU and quantity (1 or more); a SKU that stands in several lines is wanted
    that many times. `lat`, `lng` and `datum` are as in `Store`. The `id` is the idempotency key:
    the same id with the same place and basket returns the first decision.
    """

    id: str
    lat: float
    lng: float
    lines: Sequence[tuple[str, int]]
    datum: Datum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How orders are routed.

    `radius_m`: a store farther than this from the order (great circle, metres) is not considered;
    exactly at the radius it is. None means no limit.
    """

    radius_m: float | None = None
