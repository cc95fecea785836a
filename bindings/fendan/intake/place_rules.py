"""Rules about where an order goes. Who fetches it at a store that is named needs no place."""

import numpy as np

from fendan.engine.geo import Datum, convert
from fendan.intake.rule import Found, Rule, Severity, Subject
from fendan.intake.view import UNSAID, View

__all__ = ["PLACE_RULES"]

# At (0, 0) lie phones that do not know where they are, and nobody who could order.
NOWHERE_DEGREES = 1e-3


def place_missing(view: View, _: float) -> Found:
    """A coordinate is not there, and there is no pickup store that would say it."""
    orders = view.received
    return (np.isnan(orders.lat) | np.isnan(orders.lng)) & (view.pickup_store == UNSAID)


def place_zero(view: View, _: float) -> Found:
    """The place is (0, 0), give or take a hundred metres."""
    orders = view.received
    return (np.abs(orders.lat) < NOWHERE_DEGREES) & (np.abs(orders.lng) < NOWHERE_DEGREES)


def place_out_of_range(view: View, _: float) -> Found:
    """Beyond a pole or the date line; also where a pickup store makes the place unimportant."""
    orders = view.received
    return (np.abs(orders.lat) > 90.0) | (np.abs(orders.lng) > 180.0)


def place_swapped(view: View, _: float) -> Found:
    """Outside the country as it is given, inside with latitude and longitude exchanged."""
    orders = view.received
    return ~view.in_country & view.known.country.contains(orders.lng, orders.lat)


def place_abroad(view: View, _: float) -> Found:
    """On earth, and outside the country's box."""
    return view.has_place & ~view.in_country


def place_unserved(view: View, _: float) -> Found:
    """In the country, beyond the reach of all stores, in none of the service areas."""
    return view.far & (view.pickup_store == UNSAID)


def place_datum(view: View, _: float) -> Found:
    """Unserved as it is given, but not if it was measured on another grid than it says."""
    found = np.zeros(view.order_count, dtype=np.bool_)
    rows = np.flatnonzero(view.far & (view.pickup_store == UNSAID))
    if not len(rows):
        return found
    lat, lng = view.received.lat[rows], view.received.lng[rows]
    for datum in Datum:
        if datum is not view.known.datum:
            found[rows] |= view.known.serves(*convert(lat, lng, datum, view.known.datum))
    return found


PLACE_RULES = (
    Rule(
        code="PLACE_MISSING",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=place_missing,
        english="a coordinate is missing or no number, and no pickup store is named",
        chinese="缺少坐标或坐标不是数字，且未指定自提门店",
        must_stop=True,
    ),
    Rule(
        code="PLACE_ZERO",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=place_zero,
        english="the place is (0, 0)",
        chinese="坐标为 (0, 0)",
    ),
    Rule(
        code="PLACE_OUT_OF_RANGE",
        subject=Subject.ORDER,
        severity=Severity.REJECT,
        judge=place_out_of_range,
        english="latitude beyond 90 degrees, or longitude beyond 180",
        chinese="纬度超出 ±90° 或经度超出 ±180°",
        must_stop=True,
    ),
    Rule(
        code="PLACE_SWAPPED",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=place_swapped,
        english="outside the country, but inside with latitude and longitude exchanged",
        chinese="坐标在境外，经纬度互换后在境内，疑似写反",
    ),
    Rule(
        code="PLACE_ABROAD",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=place_abroad,
        english="outside the country (`country`)",
        chinese="坐标在国境之外（`country`）",
    ),
    Rule(
        code="PLACE_UNSERVED",
        subject=Subject.ORDER,
        severity=Severity.HOLD,
        judge=place_unserved,
        english="farther than `reach_km` from every store, and in no service area",
        chinese="与所有门店的距离均超过 `reach_km`，且不在任何服务范围内",
    ),
    Rule(
        code="PLACE_DATUM",
        subject=Subject.ORDER,
        severity=Severity.WARN,
        judge=place_datum,
        english="unserved, but not if the place was measured on another datum",
        chinese="不在服务范围内，换一种坐标系（GCJ-02、BD-09、WGS84）则在，疑似坐标系错误",
    ),
)
