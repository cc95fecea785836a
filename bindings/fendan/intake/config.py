"""What a chain says of its intake: the table [intake] of a TOML file.

    [intake]
    items = "items.csv"                         the item master; from the folder of this file
    channels = ["meituan", "eleme", "pos"]      all there are; without it, every channel is known
    paused_channels = ["douyin"]
    held_buyers = ["b-417"]
    country = [3.4, 53.6, 73.4, 135.1]          degrees: south, north, west, east
    reach_km = 50                               from the nearest store

    [intake.rules.PRICE_OFF_LIST]
    severity = "REJECT"                         REJECT, HOLD or WARN
    threshold = 20                              in the rule's unit
    [intake.rules.RESTRICTED]
    enabled = false

What is left out is as in `RULES`. What is wrong is refused by its path, the first in the file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fendan.errors import Fault
from fendan.given import Given
from fendan.intake.known import CHINA, Box
from fendan.intake.rule import Rule, Severity
from fendan.intake.rules import NUMBER_OF, RULES
from fendan.toml_file import parsed

__all__ = ["MOST_CHANNELS", "Config", "Setting", "config_from", "config_of"]

# One bit a channel, by SKU.
MOST_CHANNELS = 64
MOST_KM = 20_000.0
SEVERITIES = (Severity.REJECT, Severity.HOLD, Severity.WARN)


@dataclass(frozen=True, slots=True)
class Setting:
    """How one rule is set; `threshold` in its unit, 0 where it has none."""

    severity: Severity
    threshold: float
    enabled: bool = True


DEFAULTS = tuple(
    Setting(rule.severity, 0.0 if rule.threshold is None else rule.threshold.value)
    for rule in RULES
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that can be said, as above. `settings`: by the numbers of RULES."""

    settings: tuple[Setting, ...] = DEFAULTS
    items: Path | None = None
    channels: tuple[str, ...] = ()
    paused_channels: tuple[str, ...] = ()
    held_buyers: frozenset[str] = frozenset()
    country: Box = CHINA
    reach_km: float = 50.0

    def setting(self, code: str) -> Setting:
        """How the rule of a code is set."""
        return self.settings[NUMBER_OF[code]]

    def with_rule(self, code: str, **changes: Any) -> "Config":
        """The same with one rule set otherwise; nothing is checked."""
        settings = list(self.settings)
        settings[NUMBER_OF[code]] = replace(self.setting(code), **changes)
        return replace(self, settings=tuple(settings))


def config_of(text: str, *, where: str = "", folder: Path | None = None) -> Config:
    """What a text of TOML says; other tables than [intake] are somebody else's.

    `where`: the name of its file, and `folder` where that lies. Raises FileFormatError,
    InvalidInputError naming the file and the field.
    """
    file = Given(parsed(text, "intake", where=where), where=where)
    return config_from(file.at("intake"), folder) if "intake" in file.value else Config()


def config_from(given: Given, folder: Path | None = None) -> Config:
    """What a table [intake] says. Raises InvalidInputError naming the path and why."""

    def path(given: Given) -> Path:
        return (folder or Path()) / given.text()

    readers: dict[str, Callable[[Given], Any]] = {
        "items": path,
        "channels": partial(Given.texts, example='["meituan"]'),
        "paused_channels": _names,
        "held_buyers": lambda given: frozenset(_names(given)),
        "country": _country,
        "reach_km": lambda given: given.number(0, MOST_KM, above=True),
        "rules": _rules,
    }
    fields = given.fields(readers)
    settings = fields.pop("rules", DEFAULTS)
    named = {*fields.get("channels", ()), *fields.get("paused_channels", ())}
    if len(named) > MOST_CHANNELS:
        given.refuse(Fault.TOO_MANY, f"{len(named)} channels, and {MOST_CHANNELS} are the most")
    return Config(settings=settings, **fields)


def _names(given: Given) -> tuple[str, ...]:
    """Names, of which there may be none."""
    return () if given.value == [] else given.texts('["one"]')


def _country(given: Given) -> Box:
    items = given.items(str([CHINA.south, CHINA.north, CHINA.west, CHINA.east]))
    if len(items) != 4:
        given.refuse(Fault.RAGGED, "must have four numbers: south, north, west, east")
    south, north = (item.number(-90, 90) for item in items[:2])
    west, east = (item.number(-180, 180) for item in items[2:])
    if south > north or west > east:
        given.refuse(Fault.OUT_OF_RANGE, "south comes before north, and west before east")
    return Box(south, north, west, east)


# -- RULES -------------------------------------------------------------------------------------


def _rules(given: Given) -> tuple[Setting, ...]:
    """The tables [intake.rules.…] over the defaults."""
    settings = list(DEFAULTS)
    readers = {rule.code: partial(_setting, rule=rule) for rule in RULES}
    for code, setting in given.fields(readers).items():
        settings[NUMBER_OF[code]] = setting
    return tuple(settings)


def _setting(given: Given, *, rule: Rule) -> Setting:
    """One of these tables."""
    readers: dict[str, Callable[[Given], Any]] = {
        "severity": partial(_severity, rule=rule),
        "enabled": partial(_enabled, rule=rule),
        "threshold": partial(_threshold, rule=rule),
    }
    return replace(DEFAULTS[NUMBER_OF[rule.code]], **given.fields(readers))


STOPS = "an engine cannot take such an order"


def _severity(given: Given, *, rule: Rule) -> Severity:
    severity = given.name_of(SEVERITIES)
    if rule.must_stop and severity is Severity.WARN:
        given.refuse(Fault.OUT_OF_RANGE, f"must be REJECT or HOLD: {STOPS}")
    return severity


def _enabled(given: Given, *, rule: Rule) -> bool:
    enabled = given.flag()
    if rule.must_stop and not enabled:
        given.refuse(Fault.OUT_OF_RANGE, f"must be true: {STOPS}")
    return enabled


def _threshold(given: Given, *, rule: Rule) -> float:
    if rule.threshold is None:
        given.refuse(Fault.BAD_FILE, "the rule has none")
    return given.number(rule.threshold.least, rule.threshold.most)
