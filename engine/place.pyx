"""Places in degrees, of stores and orders, as they come in; and how errors name a value.

Whoever takes an order or a store names what it refuses by the path its caller knows.
"""
from numbers import Real

from fendan.engine.fault import Fault
from fendan.engine.geo import Datum, convert
from fendan.errors import refuse

# The styles in which errors name a value: "arrays" by its column, "orders" as "orders[3].…",
# "order" as "order.…", and "" by its own name.
ARRAYS = "arrays"


def field_of(column, attribute, style, row):
    """How an error names a value: by its array, or by its path from what the caller gave."""
    if style == ARRAYS:
        return column
    if style == "":
        return attribute
    return f"order.{attribute}" if style == "order" else f"{style}[{row}].{attribute}"


def row_of(style, row):
    """Which row an error names: none where the caller gave one thing alone."""
    return None if style in ("", "order") else row


def check_place(lat, lng, style, row):
    """Refuse degrees out of range, NaN and infinity among them."""
    for name, value, limit in (("lat", lat, 90), ("lng", lng, 180)):
        if not -limit <= value <= limit:
            refuse(Fault.OUT_OF_RANGE, field_of(name, name, style, row), value,
                   row=row_of(style, row), hint=f"must be degrees from -{limit} to {limit}")


def place_of(thing, datum, style, row):
    """Latitude and longitude of a store or an order, in `datum`; refuses what is no place."""
    for name in ("lat", "lng", "datum"):
        value = getattr(thing, name, None)
        if name == "datum" and (value is None or isinstance(value, Datum)):
            continue
        if name == "datum" or not isinstance(value, Real):
            refuse(Fault.WRONG_TYPE, field_of(name, name, style, row), value,
                   row=row_of(style, row),
                   hint=f"must be a {'fendan.Datum' if name == 'datum' else 'number of degrees'}")
    check_place(thing.lat, thing.lng, style, row)
    if thing.datum is None or thing.datum is datum:
        return float(thing.lat), float(thing.lng)
    lat, lng = convert(thing.lat, thing.lng, thing.datum, datum)
    check_place(lat, lng, style, row)  # a shift may lead past the edge of the map
    return lat, lng
