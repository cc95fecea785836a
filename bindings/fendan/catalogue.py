"""What an engine knows of its SKUs beside counts: their profiles, and what follows from them."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fendan.bundles import Bundles, flat_parts
from fendan.documents import Documents, texts_of
from fendan.engine.names import Names
from fendan.errors import Fault, refuse
from fendan.hours import path
from fendan.profile_text import sku_profile_of
from fendan.profiles import SkuProfile

__all__ = ["SKU", "Catalogue", "SkuArrays", "least_life_days_in"]

SKU = "sku"
MOST_ABILITIES = 32  # the bits of a mask
PLAIN = SkuProfile()


class SkuArrays(NamedTuple):
    """What the core reads of SKUs, by code.

    `needs`: bit i stands for `Catalogue.abilities[i]`. `classes`: in `Catalogue.classes`.
    """

    pieces_per_unit: NDArray[np.int32]
    needs: NDArray[np.uint32]
    classes: NDArray[np.int32]
    presale: NDArray[np.uint8]
    least_life_days: NDArray[np.int32]


class Catalogue:
    """The profiles that were set, by SKU; not to be changed, but made anew."""

    def __init__(self, texts: Mapping[str, str], profiles: Mapping[str, SkuProfile]) -> None:
        self.texts = texts
        self.profiles = profiles

    @classmethod
    def of(cls, documents: Documents, before: Self) -> Self:
        """What documents say; what was known `before` is not read again."""
        texts = texts_of(documents, SKU)
        profiles = {
            name: before.profiles[name] if before.texts.get(name) == text else sku_profile_of(text)
            for name, text in texts.items()
        }
        return cls(texts, profiles)

    def profile(self, sku: str) -> SkuProfile:
        """The profile of a SKU; one that says nothing where none was set."""
        return self.profiles.get(sku, PLAIN)

    @cached_property
    def abilities(self) -> tuple[str, ...]:
        """All that any SKU needs, by name; at most 32."""
        return tuple(sorted({name for profile in self.profiles.values() for name in profile.needs}))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All product classes, "" first."""
        found = {profile.product_class for profile in self.profiles.values()}
        return ("", *sorted(found - {""}))

    def check_abilities(self, field: str) -> None:
        """Refuse more abilities than the core can tell apart."""
        if len(self.abilities) > MOST_ABILITIES:
            hint = f"all SKUs together may need at most {MOST_ABILITIES} abilities"
            name = next(name for name, profile in self.profiles.items() if profile.needs)
            refuse(Fault.TOO_MANY, path(field, name, "needs"), len(self.abilities), hint=hint)

    @cached_property
    def has_units(self) -> bool:
        """Whether any SKU is counted in units of several pieces."""
        return any(profile.pieces_per_unit > 1 for profile in self.profiles.values())

    @cached_property
    def parts(self) -> dict[str, dict[str, int]]:
        """The parts of each bundle, bundles in it opened, too; by name."""
        return flat_parts(self.profiles, "profiles")

    def with_inner(self, bundles: Iterable[str]) -> set[str]:
        """These bundles, and all that are in them at any depth."""
        found: set[str] = set()
        waiting = [name for name in bundles if name in self.parts]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [part for part in self.profiles[name].parts if part in self.parts]
        return found

    def bundles_in(self, pieces: Mapping[str, int]) -> set[str]:
        """All bundles whose parts are among so many pieces of each SKU."""
        return {
            name
            for name, parts in self.parts.items()
            if all(pieces.get(part, 0) >= count for part, count in parts.items())
        }

    def bundles(self, code_of: Names) -> Bundles | None:
        """The same by code, or None where no SKU is a bundle."""
        if not self.parts:
            return None
        codes = {name: code_of.get(name) for name in _all_names(self.parts)}
        return Bundles(
            {
                _known(codes[name]): {_known(codes[part]): each for part, each in parts.items()}
                for name, parts in self.parts.items()
            },
            [
                (_known(codes[inner]), _known(codes[name]))
                for name in self.parts
                for inner in self.with_inner([name]) - {name}
            ],
        )

    def arrays(self, code_of: Names) -> SkuArrays:
        """All of it by code, of all SKUs there are."""
        count = len(code_of)
        arrays = SkuArrays(
            pieces_per_unit=np.ones(count, dtype=np.int32),
            needs=np.zeros(count, dtype=np.uint32),
            classes=np.zeros(count, dtype=np.int32),
            presale=np.zeros(count, dtype=np.uint8),
            least_life_days=np.zeros(count, dtype=np.int32),
        )
        bits = {name: 1 << bit for bit, name in enumerate(self.abilities)}
        classes = {name: code for code, name in enumerate(self.classes)}
        for name, profile in self.profiles.items():
            code = code_of.get(name)
            if code is None:
                continue
            arrays.pieces_per_unit[code] = profile.pieces_per_unit
            arrays.needs[code] = sum(bits[need] for need in profile.needs)
            arrays.classes[code] = classes[profile.product_class]
            arrays.presale[code] = profile.presale
            arrays.least_life_days[code] = profile.least_life_days
        return arrays


def least_life_days_in(text: str) -> int:
    """What a profile's text says of that; most say nothing."""
    return sku_profile_of(text).least_life_days if "least_life_days" in text else 0


def _all_names(parts: Mapping[str, Mapping[str, int]]) -> set[str]:
    return {*parts, *(part for inner in parts.values() for part in inner)}


def _known(code: int | None) -> int:
    assert code is not None, "a profile's SKUs are named when it is set"
    return code
