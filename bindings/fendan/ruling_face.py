"""The engine's own part of routing under a policy: which Rules are in force at a command's time."""

import json
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from fendan.area_face import AreaFace
from fendan.engine.areas import Areas
from fendan.engine.book import Rules
from fendan.engine.names import Names
from fendan.hours import OpeningHours, parse_hours
from fendan.policy_face import PolicyFace
from fendan.profile_face import ProfileFace
from fendan.profiles import StoreProfile
from fendan.ruling import Chain, Ruling
from fendan.share_face import ShareFace
from fendan.shares import HIDDEN, SHARE

__all__ = ["RulingFace"]

NAMES = "names"
"""The kind of the documents that say which channels and regions have a code, in their order."""

OF_NO_RULE = frozenset({"retry"})
"""Kinds of documents that no rule rests on."""

_PLAIN = StoreProfile()


class RulingFace(PolicyFace, AreaFace, ProfileFace, ShareFace):
    """Keeps the Rules, and makes them anew where what they rest on has changed."""

    _ruling: Ruling | None = None
    _past: Ruling | None = None
    """The last there was: much of it is the same again."""

    def _rules_at(self, now_ns: int) -> Rules | None:
        """The rules to route under at this time, None where no policy is in force."""
        if self._book is None:
            return None
        ruling = self._ruling
        if (
            ruling is None
            or ruling.chain.layout is not self._network.layout
            or len(ruling.chain.skus.needs) != len(self._stock.skus)
        ):
            ruling = self._ruling = Ruling(
                self._versions.active,
                self._book,
                self._chain(),
                self._orders.merges,
                now_ns,
                self._past,
            )
            self._past = ruling
        return ruling.at(now_ns)

    # -- INSIDE --------------------------------------------------------------------------------

    def _policy_changed(self) -> None:
        super()._policy_changed()
        if self._book is not None:
            self._give_codes("channels", self._book.channels)
            # "": any that no rule knows, where an order says one.
            self._give_codes("regions", ["", *self._book.regions])
        self._ruling = None

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        if kinds <= OF_NO_RULE:
            return
        if not kinds.isdisjoint((SHARE, HIDDEN)):
            self._give_codes("channels", self._shares.channels)
        self._ruling = None

    def _give_codes(self, what: str, names: Iterable[str]) -> None:
        """Channels and regions keep their codes for ever: orders are remembered with them."""
        known = self._named(what)
        fresh = [name for name in dict.fromkeys(names) if name not in known]
        if fresh:
            self._write_documents(NAMES, {what: json.dumps(known + fresh, ensure_ascii=False)})

    def _named(self, what: str) -> list[str]:
        """The channels, or the regions, by their codes."""
        names: list[str] = json.loads(self._documents.get((NAMES, what), "[]"))
        return names

    def _chain(self) -> Chain:
        """All that rules look at, as it is now."""
        network = self._network
        assert self._orders.loads is not None, "a policy is in force"
        profiles = [self._store_profiles.get(name, _PLAIN) for name in network.store_ids]
        code_of = self._stock.sku_code_of
        channels = self._named("channels")
        shares = self._shares.arrays(channels, network.code_of, len(profiles), code_of)
        return Chain(
            layout=network.layout,
            store_code_of={**self._codes_removed(), **network.code_of},
            regions_of_stores=network.regions,
            store_profiles=profiles,
            hours=[_hours_of(one) for one in profiles],
            skus=self._catalogue.arrays(code_of),
            abilities=self._catalogue.abilities,
            classes=self._catalogue.classes,
            channels=_codes(channels),
            regions=_codes(self._named("regions")),
            shares=shares.millionths,
            hidden=shares.hidden,
            bundles=self._bundles,
            areas=self._areas_of_stores(profiles),
            supplies=self._known_supplies().arrays(len(self._stock.skus)),
            loads=self._orders.loads,
        )

    def _codes_removed(self) -> dict[str, int]:
        """Removed stores by id, so that an order to one is told again what it was told before."""
        ids = self._network.store_ids
        return {ids[code]: code for code in self._network.removed.tolist()}

    def _areas_of_stores(self, profiles: list[StoreProfile]) -> Areas | None:
        drawn = self._drawn_areas()
        if drawn is None:
            return None
        number_of = {name: number for number, name in enumerate(drawn.names)}
        stores = [tuple(number_of[name] for name in one.areas) for one in profiles]
        places = np.array([self._network.layout.place(code) for code in range(len(profiles))])
        lat, lng = places.reshape(-1, 2).T.copy()
        return drawn.with_stores(stores, lat, lng)

    def _profiles_of_stores(self) -> list[StoreProfile]:
        return list(self._store_profiles.values())


def _hours_of(profile: StoreProfile) -> OpeningHours:
    days = None if profile.hours is None else tuple(profile.hours.items())
    return _parsed(days, profile.time_zone)


@lru_cache(maxsize=100_000)
def _parsed(days: tuple[tuple[str, str], ...] | None, time_zone: str) -> OpeningHours:
    """Most stores of a chain keep the same hours."""
    return parse_hours(None if days is None else dict(days), time_zone)


def _codes(names: list[str]) -> Names:
    codes = Names()
    codes.extend(names)
    return codes
