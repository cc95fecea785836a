"""The policy file: what a retail chain writes, TOML, to the rules it means.

    default_type = "SAME_DAY"                   orders that do not say what they are

    [types.INSTANT]                             other than the table in `policy_defaults`
    steps = [{ name = "STORE", radius_m = 5000 }]
    promise.most = "60min"

    [[override]]                                in the order of the file, later ones win
    channel = ["meituan", "eleme"]              all conditions hold, of each any item
    order_type = ["INSTANT"]
    ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "LOAD"]

Durations are seconds or texts ("90s", "30min", "2h", "1h30min"); distances are metres, radius_m and
width_m; money is whole minor units. What is wrong is refused by its path, the first in the file.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from fendan.errors import Fault, refuse
from fendan.given import Given
from fendan.policy import Override, PolicyBook, booked
from fendan.policy_change import Change, StepChange, changed
from fendan.policy_defaults import DEFAULT_TYPE, DEFAULTS, KMH_MPS, Draft
from fendan.rules import (
    Criterion,
    Hours,
    OrderType,
    RankBy,
    Ranking,
    SplitMode,
    StepName,
    StoreKind,
)
from fendan.toml_file import did_you_mean, parsed

__all__ = ["MOST_BYTES", "checked_text", "policy_of"]

# People write some hundred lines; what is much larger is another file, given by mistake.
MOST_BYTES = 1024 * 1024

MOST_OVERRIDES = 256
MOST_SHIPMENTS = 16
MOST_WIDTH_M = 1e7  # a quarter of the way around the earth
MOST_KMH = 1_000.0
MOST_DETOUR = 10.0
MOST_WEIGHT = 1e9
MOST_DAYS = 3_650
MOST_AMOUNT = 2**53  # what JSON keeps whole
DAY_S = 86_400.0
YEAR_S = 366 * DAY_S
HOURS = 24
HOUR_RANGE = re.compile(r"(\d{1,2})-(\d{1,2})", re.ASCII)
REST = "rest"

Readers: TypeAlias = Mapping[str, Callable[[Given], Any]]

TYPES = tuple(kind for kind in OrderType if kind is not OrderType.UNSPECIFIED)
STEP_NAMES = tuple(name for name in StepName if name is not StepName.NONE)


def policy_of(text: str, *, where: str = "") -> PolicyBook:
    """The policy that a text tells of. `where`: the name of its file, for errors.

    Raises FileFormatError for what is not TOML and for unknown keys, InvalidInputError for
    everything else, naming the path of the field and why.
    """
    file = Given(parsed(checked_text(text, where=where), "policy", where=where), where=where)
    known = ("default_type", "types", "override")
    default_type, drafts = DEFAULT_TYPE, dict(DEFAULTS)
    overrides: tuple[Override, ...] = ()
    # An override is held against the types, wherever they stand.
    for key in sorted(file.value, key=lambda key: key == "override"):
        given = file.at(key)
        if key == "default_type":
            default_type = given.name_of(TYPES)
        elif key == "types":
            drafts |= _types(given)
        elif key == "override":
            overrides = _overrides(given, drafts)
        else:
            given.refuse(Fault.BAD_FILE, f"there is no such key{did_you_mean(key, known)}")
    return booked(default_type, drafts, overrides)


def checked_text(text: str, *, where: str = "") -> str:
    """What may be the text of a policy. Raises WrongTypeError, InvalidInputError."""
    if not isinstance(text, str):
        refuse(Fault.WRONG_TYPE, "policy", text, where=where, hint="must be a str of TOML")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:  # half a surrogate pair
        hint = "cannot be written as UTF-8"
        refuse(Fault.OUT_OF_RANGE, "policy", text[error.start], where=where, hint=hint)
    if size > MOST_BYTES:
        hint = f"it has {size:,} bytes, and {MOST_BYTES:,} are the most"
        refuse(Fault.OUT_OF_RANGE, "policy", text, where=where, hint=hint)
    return text


# -- TABLES ------------------------------------------------------------------------------------


def _types(given: Given) -> dict[OrderType, Draft]:
    """What the sections [types.…] make of the defaults."""

    def section(given: Given) -> Draft:
        kind = OrderType[given.path.rpartition(".")[2]]
        return changed(DEFAULTS[kind], _change(given, given.fields(CHANGES)))

    found = given.fields({kind.name: section for kind in TYPES})
    return {OrderType[name]: draft for name, draft in found.items()}


def _overrides(given: Given, drafts: Mapping[OrderType, Draft]) -> tuple[Override, ...]:
    """The tables [[override]], each held against the types that it may be made to."""
    items = given.items("[[override]]")
    if len(items) > MOST_OVERRIDES:
        given.refuse(Fault.TOO_MANY, f"{len(items):,}, and {MOST_OVERRIDES:,} are the most")
    overrides = []
    for item in items:
        override = _override(item)
        for kind in override.order_types or TYPES:
            changed(drafts[kind], override.change)
        overrides.append(override)
    return tuple(overrides)


def _override(given: Given) -> Override:
    found = given.fields({**CONDITIONS, **CHANGES})
    conditions = {CONDITION_FIELDS[key]: found.pop(key) for key in CONDITIONS if key in found}
    if not conditions:
        hint = f"for which orders? {', '.join(CONDITIONS)}; what holds for all is in [types.…]"
        given.refuse(Fault.MISSING, hint)
    if not found:
        given.refuse(Fault.MISSING, "it changes nothing: give the fields that are to be others")
    return Override(change=_change(given, found), **conditions)


def _change(given: Given, found: Mapping[str, Any]) -> Change:
    """What a table says, without its conditions."""
    if "ranking" in found and "score" in found:
        later = [key for key in found if key in ("ranking", "score")][1]
        hint = "ranking and score are two ways to compare stores: give one of them"
        given.at(later).refuse(Fault.OUT_OF_RANGE, hint)
    return Change(
        given=given,
        fields={RULE_FIELDS[key]: value for key, value in found.items() if key in RULE_FIELDS},
        split=found.get("split", {}),
        promise=found.get("promise", {}),
        steps=found.get("steps"),
    )


# -- STEPS -------------------------------------------------------------------------------------


def _steps(given: Given) -> tuple[StepChange, ...]:
    steps: list[StepChange] = []
    for item in given.items('["STORE", "WIDER"]'):
        step = _step(item)
        if step.name in [before.name for before in steps]:
            item.refuse(Fault.OUT_OF_RANGE, f"the step {step.name} stands there twice")
        steps.append(step)
    return tuple(steps)


def _step(given: Given) -> StepChange:
    """A step's name alone, or a table."""
    if isinstance(given.value, str):
        return StepChange(given, given.name_of(STEP_NAMES), {}, {})
    found = given.fields(STEP)
    if "name" not in found:
        given.lacks("name", f"one of {', '.join(name.name for name in STEP_NAMES)}")
    return StepChange(given, found.pop("name"), found, found.pop("split", {}))


STEP: Readers = {
    "name": lambda given: given.name_of(STEP_NAMES),
    "radius_m": lambda given: given.number(0.0),
    "kinds": lambda given: frozenset(given.names_of(StoreKind, '["SHOP"]')),
    "areas": Given.flag,
    "split": lambda given: given.fields(SPLIT),
}

SPLIT: Readers = {
    "mode": lambda given: given.name_of(SplitMode),
    "most_shipments": lambda given: given.whole(1, MOST_SHIPMENTS),
    "least_amount": lambda given: given.whole(0, MOST_AMOUNT),
    "split_lines": Given.flag,
    "together": lambda given: given.texts('["frozen"]'),
}


# -- RANKING -----------------------------------------------------------------------------------


def _ranking(given: Given) -> Ranking:
    return Ranking(criteria=_criteria(given, {"by": CRITERION["by"], "width_m": _width_m}))


def _score(given: Given) -> Ranking:
    criteria = _criteria(given, CRITERION)
    if not any(criterion.weight for criterion in criteria):
        given.refuse(Fault.OUT_OF_RANGE, "one weight must be above 0")
    return Ranking(criteria=criteria, scored=True)


def _criteria(given: Given, readers: Readers) -> tuple[Criterion, ...]:
    criteria: list[Criterion] = []
    for item in given.items('["DISTANCE", "LOAD"]'):
        criterion = _criterion(item, readers)
        if criterion.by in [before.by for before in criteria]:
            item.refuse(Fault.OUT_OF_RANGE, f"{criterion.by} stands there twice")
        criteria.append(criterion)
    return tuple(criteria)


def _criterion(given: Given, readers: Readers) -> Criterion:
    """A criterion's name alone, or a table."""
    is_name = isinstance(given.value, str)
    found = {"by": given.name_of(RankBy)} if is_name else given.fields(readers)
    if "by" not in found:
        given.lacks("by", f"one of {', '.join(by.name for by in RankBy)}")
    is_band = found["by"] is RankBy.DISTANCE_BAND
    if is_band and "width_m" not in found:
        given.lacks("width_m", "how wide the bands are, in metres")
    if not is_band and "width_m" in found:
        hint = "only a DISTANCE_BAND has a width"
        given.at("width_m").refuse(Fault.OUT_OF_RANGE, hint)
    return Criterion(**found)


def _width_m(given: Given) -> float:
    return given.number(0.0, MOST_WIDTH_M, above=True)


CRITERION: Readers = {
    "by": lambda given: given.name_of(RankBy),
    "width_m": _width_m,
    "weight": lambda given: given.number(0.0, MOST_WEIGHT),
}


# -- PROMISE -----------------------------------------------------------------------------------


def _promise(given: Given) -> dict[str, Any]:
    return {PROMISE_FIELDS[key]: value for key, value in given.fields(PROMISE).items()}


def _detour(given: Given) -> float:
    detour = given.number(0.0, MOST_DETOUR)
    if 0.0 < detour < 1.0:
        given.refuse(Fault.OUT_OF_RANGE, "no way is shorter than the straight one; 0: nobody goes")
    return detour


def _speeds(given: Given) -> tuple[float, ...]:
    """Kilometres per hour to metres per second: one for all hours, or by ranges of hours."""
    if not isinstance(given.value, dict):
        return (_kmh(given) * KMH_MPS,) * HOURS
    speeds: dict[int, float] = {}
    rest: float | None = None
    for key in given.value:
        item = given.at(key)
        if key == REST:
            rest = _kmh(item) * KMH_MPS
            continue
        hours = _hours(key, item)
        for hour in hours:
            if hour in speeds:
                item.refuse(Fault.OUT_OF_RANGE, f"the hour from {hour}:00 stands there twice")
            speeds[hour] = _kmh(item) * KMH_MPS
    for hour in range(HOURS):
        if hour not in speeds and rest is None:
            given.lacks(REST, f"no speed is given for the hour from {hour}:00")
    return tuple(speeds.get(hour, rest or 0.0) for hour in range(HOURS))


def _kmh(given: Given) -> float:
    return given.number(0.0, MOST_KMH, above=True)


def _hours(key: str, given: Given) -> list[int]:
    """The hours of a range like 07-10 (7:00 to 10:00), or 22-06 over midnight."""
    match = HOUR_RANGE.fullmatch(key)
    first, end = (int(match[1]), int(match[2])) if match else (0, 0)
    if match is None or first >= HOURS or end > HOURS or first == end:
        hint = f'its name must be hours of the day, such as "07-10" or "22-06", or {REST}'
        given.refuse(Fault.OUT_OF_RANGE, hint)
    return [hour % HOURS for hour in range(first, end if end > first else end + HOURS)]


# -- FIELDS ------------------------------------------------------------------------------------


def _or_word(word: str, meaning: Any, read: Callable[[Given], Any]) -> Callable[[Given], Any]:
    """A reader for a value, or a word that stands for none."""
    return lambda given: meaning if given.value == word else read(given)


PROMISE: Readers = {
    "pick": lambda given: given.seconds(YEAR_S),
    "pick_per_open_order": lambda given: given.seconds(DAY_S),
    "detour": _detour,
    "speed_kmh": _speeds,
    "most": _or_word("any", math.inf, lambda given: given.seconds(YEAR_S, above=True)),
}
PROMISE_FIELDS = {
    "pick": "pick_s",
    "pick_per_open_order": "pick_s_per_open_order",
    "detour": "detour",
    "speed_kmh": "speeds_mps",
    "most": "most_s",
}

CHANGES: Readers = {
    "steps": _steps,
    "ranking": _ranking,
    "score": _score,
    "hours": lambda given: given.name_of(Hours),
    "cut_off": lambda given: given.seconds(DAY_S),
    "store_regions": _or_word("any", None, lambda given: frozenset(given.texts('["north"]'))),
    "split": lambda given: given.fields(SPLIT),
    "promise": _promise,
    "reservation_timeout": _or_word("never", None, lambda given: given.seconds(YEAR_S, above=True)),
    "merge_window": lambda given: given.seconds(DAY_S),
    "least_life_days": lambda given: given.whole(0, MOST_DAYS),
}
RULE_FIELDS = {
    "ranking": "ranking",
    "score": "ranking",
    "hours": "hours",
    "cut_off": "cut_off_s",
    "store_regions": "regions",
    "reservation_timeout": "reservation_timeout_s",
    "merge_window": "merge_window_s",
    "least_life_days": "least_life_days",
}

CONDITIONS: Readers = {
    "order_type": lambda given: given.names_of(TYPES, '["INSTANT"]'),
    "channel": lambda given: given.texts('["meituan"]'),
    "region": lambda given: given.texts('["north"]'),
    "product_class": lambda given: given.texts('["frozen"]'),
}
CONDITION_FIELDS = {
    "order_type": "order_types",
    "channel": "channels",
    "region": "regions",
    "product_class": "product_classes",
}
