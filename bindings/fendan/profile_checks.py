"""Profiles are checked once, at the door: what is wrong is named by its path."""

from collections.abc import Iterable, Mapping
from typing import Any

from fendan.engine.batch import MOST_AMOUNT
from fendan.engine.network import ID_HINT, is_usable_id
from fendan.errors import Fault, refuse
from fendan.hours import OpeningHours, parse_hours, path
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StoreKind

__all__ = ["check_bundles", "check_sku_profile", "check_store_profile"]

MOST_COUNT = 2**31 - 1  # what the engine can count
MOST_PRIORITY = 1000
# The time of each is remembered: 800 kB a store.
MOST_IN_WINDOW = 100_000

MOST_WINDOW_S = 7 * 86_400.0
MOST_LIFE_DAYS = 36_500
# A gift box of boxes has three; each SKU in a chain of thousands would be looked up for each other.
MOST_DEPTH = 16


def check_store_profile(profile: StoreProfile, field: str = "") -> OpeningHours:
    """Check all of a profile, and return its hours, as they had to be read for that.

    Raises a FendanError that names the first thing wrong by its path below `field`.
    """
    if not isinstance(profile, StoreProfile):
        refuse(Fault.WRONG_TYPE, field or "profile", profile, hint="must be a StoreProfile")
    if not isinstance(profile.kind, StoreKind):
        names = ", ".join(StoreKind.__members__)
        refuse(Fault.WRONG_TYPE, path(field, "kind"), profile.kind, hint=f"must be one of {names}")
    _check_order_types(profile.order_types, path(field, "order_types"))
    _check_ids(profile.abilities, (frozenset, set), path(field, "abilities"))
    _check_ids(profile.areas, (tuple, list), path(field, "areas"))
    limits = (("most_open_orders", MOST_COUNT), ("most_orders_in_window", MOST_IN_WINDOW))
    for name, most in limits:
        value = getattr(profile, name)
        if value is not None:
            _check_count(value, 1, most, path(field, name))
    window_s, hint = profile.window_s, f"must be seconds, more than 0 and at most {MOST_WINDOW_S:g}"
    if isinstance(window_s, bool) or not isinstance(window_s, (int, float)):
        refuse(Fault.WRONG_TYPE, path(field, "window_s"), window_s, hint=hint)
    if not 0 < window_s <= MOST_WINDOW_S:
        refuse(Fault.OUT_OF_RANGE, path(field, "window_s"), window_s, hint=hint)
    _check_count(profile.priority, 0, MOST_PRIORITY, path(field, "priority"))
    _check_count(profile.cost, 0, MOST_AMOUNT, path(field, "cost"))
    return parse_hours(profile.hours, profile.time_zone, field)


def check_sku_profile(profile: SkuProfile, field: str = "") -> None:
    """Check all of a profile, but for what its parts are made of: see `check_bundles`.

    Raises a FendanError that names the first thing wrong by its path below `field`.
    """
    if not isinstance(profile, SkuProfile):
        refuse(Fault.WRONG_TYPE, field or "profile", profile, hint="must be a SkuProfile")
    if not isinstance(profile.product_class, str) or profile.product_class:
        _check_id(profile.product_class, path(field, "product_class"))
    _check_ids(profile.needs, (frozenset, set), path(field, "needs"))
    _check_count(profile.pieces_per_unit, 1, MOST_COUNT, path(field, "pieces_per_unit"))
    _check_count(profile.off_below, 0, MOST_COUNT, path(field, "off_below"))
    _check_count(profile.on_from, 0, MOST_COUNT, path(field, "on_from"))
    if profile.on_from < profile.off_below:
        hint = f"must be at least off_below, which is {profile.off_below}"
        refuse(Fault.OUT_OF_RANGE, path(field, "on_from"), profile.on_from, hint=hint)
    if not isinstance(profile.parts, Mapping):
        hint = "must be a table of SKUs and how many pieces of each"
        refuse(Fault.WRONG_TYPE, path(field, "parts"), profile.parts, hint=hint)
    for sku, pieces in profile.parts.items():
        here = path(field, "parts", sku)
        _check_id(sku, here)
        _check_count(pieces, 1, MOST_COUNT, here)
    if not isinstance(profile.presale, bool):
        refuse(Fault.WRONG_TYPE, path(field, "presale"), profile.presale, hint="must be a bool")
    _check_count(profile.least_life_days, 0, MOST_LIFE_DAYS, path(field, "least_life_days"))


def check_bundles(profiles: Mapping[str, SkuProfile], field: str = "skus") -> None:
    """Check that no bundle contains itself, be it through others; `profiles` by SKU.

    Raises an InvalidInputError that names the bundles of the first circle in a row, or one that has
    bundles in bundles more than 16 deep.
    """
    depths: dict[str, int] = {}  # of those that nothing in them leads back to; of no bundle, 0
    for name in profiles:
        trail: dict[str, list[str]] = {}  # from the outer bundle inwards: the parts yet to look at
        if name not in depths:
            trail[name] = list(profiles[name].parts)
        while trail:
            outer = next(reversed(trail))
            if not trail[outer]:
                inner = (depths.get(part, 0) for part in profiles[outer].parts)
                depths[outer] = 1 + max(inner, default=-1)
                _check_depth(depths[outer], path(field, outer, "parts"))
                del trail[outer]
                continue
            part = trail[outer].pop()
            if part in trail:
                names = list(trail)
                circle = [*names[names.index(part) :], part]
                hint = f"a bundle must not contain itself: {' > '.join(circle)}"
                here = path(field, outer, "parts", part)
                refuse(Fault.OUT_OF_RANGE, here, part, hint=hint)
            if part in profiles and part not in depths:
                trail[part] = list(profiles[part].parts)


def _check_depth(depth: int, field: str) -> None:
    if depth > MOST_DEPTH:
        hint = f"bundles in bundles go {MOST_DEPTH} deep at most"
        refuse(Fault.TOO_MANY, field, depth, hint=hint)


# -- VALUES ------------------------------------------------------------------------------------


def _check_order_types(types: Any, field: str) -> None:
    if types is None:
        return
    known = [one.name for one in OrderType if one is not OrderType.UNSPECIFIED]
    hint = f"must be some of {', '.join(known)}"
    if not isinstance(types, (frozenset, set)):
        refuse(Fault.WRONG_TYPE, field, types, hint=hint)
    for one in types:
        if not isinstance(one, OrderType):
            refuse(Fault.WRONG_TYPE, field, one, hint=hint)
        if one is OrderType.UNSPECIFIED:
            refuse(Fault.OUT_OF_RANGE, field, one.name, hint=hint)


def _check_count(value: Any, least: int, most: int, field: str) -> None:
    hint = f"must be a whole number from {least} to {most:,}"
    if isinstance(value, bool) or not isinstance(value, int):
        refuse(Fault.WRONG_TYPE, field, value, hint=hint)
    if not least <= value <= most:
        refuse(Fault.OUT_OF_RANGE, field, value, hint=hint)


def _check_id(name: Any, field: str) -> None:
    if not is_usable_id(name):
        refuse(Fault.BAD_ID, field, name, hint=ID_HINT)


def _check_ids(names: Iterable[Any], kinds: tuple[type, ...], field: str) -> None:
    if not isinstance(names, kinds):
        hint = f"must be a {kinds[0].__name__} of names"
        refuse(Fault.WRONG_TYPE, field, names, hint=hint)
    seen = set()
    for place, name in enumerate(names):
        _check_id(name, f"{field}[{place}]" if isinstance(names, (tuple, list)) else field)
        if name in seen:
            refuse(Fault.OUT_OF_RANGE, f"{field}[{place}]", name, hint="the name stands twice")
        seen.add(name)
