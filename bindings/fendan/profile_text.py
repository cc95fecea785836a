"""Profiles as JSON text: what the journal keeps of them, and files and calls bring.

Equal profiles have equal texts, whatever order things were said in: the text of a profile says all
of its fields, so that other defaults in a later version do not change what was meant.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, NoReturn

from fendan.errors import Fault, FendanError, refuse
from fendan.hours import path
from fendan.profile_checks import check_sku_profile, check_store_profile
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType, StoreKind

__all__ = [
    "profile_text",
    "sku_profile_from",
    "sku_profile_of",
    "store_profile_from",
    "store_profile_of",
]

# The longest text: room for a thousand holidays and as many names.
MOST_TEXT = 1_000_000


def profile_text(profile: StoreProfile | SkuProfile) -> str:
    """The one text of a profile that has been checked."""
    said = {field.name: _plain(getattr(profile, field.name)) for field in fields(profile)}
    if isinstance(profile, StoreProfile):
        said["window_s"] = float(profile.window_s)
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def store_profile_of(text: str, field: str = "") -> StoreProfile:
    """The profile that a JSON text says, checked; what it does not say is as in StoreProfile.

    Raises a FendanError that names what is wrong by its path below `field`.
    """
    return store_profile_from(_table(text, field), field)


def sku_profile_of(text: str, field: str = "") -> SkuProfile:
    """As `store_profile_of`, of a SKU."""
    return sku_profile_from(_table(text, field), field)


def store_profile_from(said: Mapping[str, Any], field: str = "") -> StoreProfile:
    """The profile that the table of a JSON or TOML file says, checked.

    Kinds and order types are their names, in capitals or not; sets are lists. Raises a FendanError
    that names what is wrong by its path below `field`.
    """
    _check_keys(said, StoreProfile, field)
    values = dict(said)
    _turn(values, "kind", field, lambda name, here: _member(StoreKind, name, here))
    if values.get("order_types") is not None:
        _turn(values, "order_types", field, _order_types)
    _turn(values, "abilities", field, _names)
    _turn(values, "areas", field, lambda names, here: tuple(_list(names, here)))
    profile = StoreProfile(**values)
    check_store_profile(profile, field)
    return profile


def sku_profile_from(said: Mapping[str, Any], field: str = "") -> SkuProfile:
    """As `store_profile_from`, of a SKU."""
    _check_keys(said, SkuProfile, field)
    values = dict(said)
    _turn(values, "needs", field, _names)
    profile = SkuProfile(**values)
    check_sku_profile(profile, field)
    return profile


# -- WRITING -----------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """A value of a profile as JSON has it."""
    if isinstance(value, (OrderType, StoreKind)):
        return value.name
    if isinstance(value, (frozenset, set)):
        return sorted(_plain(one) for one in value)
    if isinstance(value, Mapping):
        return dict(value)
    return value


# -- READING -----------------------------------------------------------------------------------


def _table(text: str, field: str) -> dict[str, Any]:
    def no(hint: str) -> NoReturn:
        refuse(Fault.BAD_FILE, field or "profile", text, hint=hint)

    def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in pairs:
            if key in table:
                no(f"{key!r} stands twice")
            table[key] = value
        return table

    if not isinstance(text, str):
        refuse(Fault.WRONG_TYPE, field or "profile", text, hint="must be a JSON text")
    if len(text) > MOST_TEXT:
        no(f"it has more than {MOST_TEXT:,} characters")
    try:
        table = json.loads(text, object_pairs_hook=once)
    except FendanError:
        raise
    except (json.JSONDecodeError, RecursionError) as error:
        no(f"it is not JSON: {error}")
    except ValueError:  # Python reads no number of so many digits
        no("a number has too many digits")
    if not isinstance(table, dict):
        no("it must be a table")
    return table


def _check_keys(said: Mapping[str, Any], kind: type[StoreProfile | SkuProfile], field: str) -> None:
    if not isinstance(said, Mapping):
        refuse(Fault.WRONG_TYPE, field or "profile", said, hint="must be a table")
    known = [one.name for one in fields(kind)]
    for key in said:
        if key not in known:
            hint = f"there is no such key; there are {', '.join(known)}"
            refuse(Fault.BAD_FILE, path(field, key), said[key], hint=hint)


def _turn(values: dict[str, Any], key: str, field: str, turned: Callable[[Any, str], Any]) -> None:
    """Replace the value of a key, if it is said."""
    if key in values:
        values[key] = turned(values[key], path(field, key))


def _member(kind: type[StoreKind] | type[OrderType], name: Any, field: str) -> Any:
    if not isinstance(name, str):
        refuse(Fault.WRONG_TYPE, field, name, hint="must be a name")
    if name.upper() not in kind.__members__:
        hint = f"must be one of {', '.join(kind.__members__)}"
        refuse(Fault.OUT_OF_RANGE, field, name, hint=hint)
    return kind[name.upper()]


def _order_types(names: Any, field: str) -> frozenset[OrderType]:
    return frozenset(
        _member(OrderType, name, f"{field}[{place}]")
        for place, name in enumerate(_list(names, field))
    )


def _names(names: Any, field: str) -> frozenset[Any]:
    found = _list(names, field)
    for place, name in enumerate(found):
        if not isinstance(name, str):  # and so, maybe, not to be put into a set
            refuse(Fault.WRONG_TYPE, f"{field}[{place}]", name, hint="must be a name")
    return frozenset(found)


def _list(names: Any, field: str) -> list[Any]:
    if not isinstance(names, (list, tuple)):
        refuse(Fault.WRONG_TYPE, field, names, hint="must be a list of names")
    return list(names)
