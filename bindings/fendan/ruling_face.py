"""The engine's own part of routing under a policy: which Rules are in force at a command's time."""

import json
from collections.abc import Iterable

import numpy as np

from fendan.area_face import AreaFace
from fendan.engine.areas import Areas
from fendan.engine.book import Rules
from fendan.engine.merges import Merges
from fendan.engine.names import Names
from fendan.hours import parse_hours
from fendan.policy_face import PolicyFace
from fendan.profiles import SkuProfile, StoreProfile
from fendan.ruling import Chain, Ruling, words_of

__all__ = ["RulingFace"]

NAMES = "names"
"""The kind of the documents that say which channels and regions have a code, in their order."""

_PLAIN = StoreProfile()


class RulingFace(PolicyFace, AreaFace):
    """Keeps the Rules, and makes them anew where what they rest on has changed."""

    _ruling: Ruling | None = None
    _store_profiles: dict[str, StoreProfile] = {}
    _sku_profiles: dict[str, SkuProfile] = {}

    def _rules(self, now_ns: int) -> Rules | None:
        """The rules to route under at this time, None where no policy is in force."""
        if self._book is None:
            return None
        ruling = self._ruling
        if (
            ruling is None
            or ruling.chain.layout is not self._network.layout
            or ruling.chain.sku_count != len(self._stock.skus)
        ):
            ruling = Ruling(self._versions.active, self._book, self._chain(), self._merges, now_ns)
            self._ruling = ruling
        return ruling.at(now_ns)

    # -- INSIDE --------------------------------------------------------------------------------

    def _policy_changed(self) -> None:
        super()._policy_changed()
        if self._book is not None:
            self._give_codes("channels", self._book.channels)
            self._give_codes("regions", self._book.regions)
        self._ruling = None

    def _documents_changed(self, kinds: set[str]) -> None:
        super()._documents_changed(kinds)
        self._ruling = None

    def _give_codes(self, what: str, names: Iterable[str]) -> None:
        """Channels and regions keep their codes for ever: orders are remembered with them."""
        known = json.loads(self._documents.get((NAMES, what), "[]"))
        fresh = [name for name in dict.fromkeys(names) if name not in known]
        if fresh:
            self._write_documents(NAMES, {what: json.dumps(known + fresh, ensure_ascii=False)})

    def _codes(self, what: str) -> Names:
        codes = Names()
        codes.extend(json.loads(self._documents.get((NAMES, what), "[]")))
        return codes

    def _chain(self) -> Chain:
        """All that rules look at, as it is now."""
        network, layout = self._network, self._network.layout
        profiles = [self._store_profiles.get(name, _PLAIN) for name in network.store_ids]
        code_of = self._stock.sku_code_of
        skus = {code_of[name]: one for name, one in self._sku_profiles.items() if name in code_of}
        channels = self._codes("channels")
        return Chain(
            layout=layout,
            store_code_of=network.code_of,
            regions_of_stores=network.regions,
            store_profiles=profiles,
            hours=[parse_hours(one.hours, one.time_zone) for one in profiles],
            sku_profiles=skus,
            sku_count=len(self._stock.skus),
            channels=channels,
            regions=self._codes("regions"),
            shares=None,
            hidden=None,
            areas=self._areas_of_stores(profiles),
            supplies=None,
            open_orders=np.zeros(len(profiles), dtype=np.int32),
            room=words_of(np.ones(len(profiles), dtype=np.bool_), layout),
        )

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
