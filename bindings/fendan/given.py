"""Values as a file gave them, each with its path: ``types.INSTANT.steps[0].radius_m``.

Whoever reads a file says what each value must be; what is not so is refused by its path. A table is
read in the order of the file, so that the first mistake in it is the one that is named.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NoReturn, TypeVar

from fendan.engine.network import is_usable_id
from fendan.errors import Fault, refuse
from fendan.toml_file import did_you_mean

__all__ = ["Given", "duration_text"]

Name = TypeVar("Name", bound=IntEnum)

UNITS_S = {"d": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:d|h|min|s) ?)+", re.ASCII)
PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|min|s)", re.ASCII)
DURATION_HINT = "must be seconds, or a text like 90s, 30min, 2h or 1h30min"


@dataclass(frozen=True, slots=True)
class Given:
    """A value, its path, and the file (`where`), which errors name."""

    value: Any
    path: str = ""
    where: str = ""

    def refuse(self, fault: Fault, hint: str) -> NoReturn:
        """Raise the error of `fault` for this value; where something is missing, there is none."""
        value = None if fault is Fault.MISSING else self.value
        refuse(fault, self.path, value, where=self.where, hint=hint)

    def lacks(self, key: str, hint: str) -> NoReturn:
        """Raise that a key is missing here."""
        refuse(Fault.MISSING, self._path_of(key), where=self.where, hint=hint)

    # -- TABLES AND ARRAYS ---------------------------------------------------------------------

    def at(self, key: str) -> "Given":
        """What a key of this table has."""
        return Given(self.value[key], self._path_of(key), self.where)

    def fields(self, readers: Mapping[str, Callable[["Given"], Any]]) -> dict[str, Any]:
        """A table, each of its keys read by its own reader; others are refused."""
        if not isinstance(self.value, dict):
            self.refuse(Fault.WRONG_TYPE, "must be a table")
        found = {}
        for key in self.value:
            if key not in readers:
                hint = f"there is no such key{did_you_mean(key, readers)}"
                self.at(key).refuse(Fault.BAD_FILE, hint)
            found[key] = readers[key](self.at(key))
        return found

    def items(self, example: str) -> list["Given"]:
        """The items of an array, of which there must be one."""
        if not isinstance(self.value, list):
            self.refuse(Fault.WRONG_TYPE, f"must be an array, such as {example}")
        if not self.value:
            self.refuse(Fault.MISSING, f"must have one item or more, such as {example}")
        path = self.path
        return [Given(item, f"{path}[{at}]", self.where) for at, item in enumerate(self.value)]

    def _path_of(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    # -- VALUES --------------------------------------------------------------------------------

    def number(self, least: float, most: float = math.inf, *, above: bool = False) -> float:
        """A number from `least`, or `above` it, to `most`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            self.refuse(Fault.WRONG_TYPE, "must be a number")
        is_enough = self.value > least if above else self.value >= least
        if not (is_enough and self.value <= most):  # NaN is neither
            floor = f"above {least:g}" if above else f"{least:g} or more"
            ceiling = "" if most == math.inf else f", {most:,.0f} at most"
            self.refuse(Fault.OUT_OF_RANGE, f"must be {floor}{ceiling}")
        return float(self.value)

    def whole(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            self.refuse(Fault.WRONG_TYPE, "must be a whole number")
        if not least <= self.value <= most:
            self.refuse(Fault.OUT_OF_RANGE, f"must be from {least:,} to {most:,}")
        return self.value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.refuse(Fault.WRONG_TYPE, "must be true or false")
        return self.value

    def text(self) -> str:
        """What something is called: a text that an id could be."""
        if not isinstance(self.value, str):
            self.refuse(Fault.WRONG_TYPE, "must be a text")
        if not is_usable_id(self.value):
            self.refuse(Fault.BAD_ID, "must have 1 to 255 bytes of UTF-8 and no NUL")
        return self.value

    def texts(self, example: str) -> tuple[str, ...]:
        """An array of names, none of them twice."""
        return tuple(item.value for item in self._distinct(example, Given.text))

    def name_of(self, names: Iterable[Name]) -> Name:
        """One of these names, as it is spelt."""
        by_name = {name.name: name for name in names}
        if not isinstance(self.value, str):
            self.refuse(Fault.WRONG_TYPE, f"must be one of {', '.join(by_name)}")
        if self.value not in by_name:
            near = did_you_mean(self.value, by_name)
            self.refuse(Fault.OUT_OF_RANGE, f"must be one of {', '.join(by_name)}{near}")
        return by_name[self.value]

    def names_of(self, names: Iterable[Name], example: str) -> tuple[Name, ...]:
        """An array of these names, none of them twice."""
        some = tuple(names)

        def name(item: "Given") -> Name:
            return item.name_of(some)

        return tuple(name(item) for item in self._distinct(example, name))

    def _distinct(self, example: str, read: Callable[["Given"], Any]) -> list["Given"]:
        items = self.items(example)
        seen = set()
        for item in items:
            name = read(item)
            if name in seen:
                item.refuse(Fault.OUT_OF_RANGE, "stands there twice")
            seen.add(name)
        return items

    def seconds(self, most: float, *, above: bool = False) -> float:
        """A duration from 0, or `above` it, to `most` seconds: a number of them, or a text."""
        value = self.value
        if isinstance(value, str):
            if not DURATION.fullmatch(value):
                self.refuse(Fault.OUT_OF_RANGE, DURATION_HINT)
            value = math.fsum(float(part) * UNITS_S[unit] for part, unit in PART.findall(value))
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(Fault.WRONG_TYPE, DURATION_HINT)
        is_enough = value > 0 if above else value >= 0
        if not (is_enough and value <= most):
            floor = "more than nothing" if above else "nothing or more"
            self.refuse(Fault.OUT_OF_RANGE, f"must be {floor}, {duration_text(most)} at most")
        return float(value)


def duration_text(seconds: float) -> str:
    """Seconds as a file has them: ``1h30min``."""
    if not math.isfinite(seconds):
        return "any"
    rest, text = seconds, ""
    for unit, size in UNITS_S.items():
        count = rest // size if unit != "s" else rest
        if count:
            text += f"{count:g}{unit}"
            rest -= count * size
    return text or "0s"
