"""What is in force now: from a policy, profiles, areas and the clock to the core's Rules.

    policy book ─┐
    profiles   ──┼── once, until one of them or the network changes ── Rules, its arrays
    areas      ──┤
    shares     ──┘
    the clock  ────── at every edge ── allowed, opening hours of stores, in place

An *edge* is an instant at which a store opens or closes, a cut-off passes or an hour strikes.
Between two edges nothing here runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fendan.bundles import Bundles
from fendan.catalogue import SkuArrays
from fendan.eligible import Facts, abilities, eligible_by_step, next_edge_ns
from fendan.engine.areas import Areas
from fendan.engine.asking import Asking
from fendan.engine.book import CHARACTER_DTYPE, Rules
from fendan.engine.loads import LoadTable
from fendan.engine.merges import Merges
from fendan.engine.names import Names
from fendan.engine.network import Layout
from fendan.engine.room import in_cache_lines
from fendan.hours import OpeningHours
from fendan.opening import Opening
from fendan.policy import PolicyBook
from fendan.profiles import StoreProfile
from fendan.rules import Step
from fendan.supplies import SupplyArrays, begins_ns

__all__ = ["Chain", "Ruling"]


class Chain(NamedTuple):
    """What rules look at of a chain, by store and SKU code.

    `shares`: millionths by channel code and store. `hidden`: by channel code and SKU. None where
    there is nothing. `store_code_of`: removed stores, too. `abilities`, `classes`: what the bits
    and codes of `skus` mean. `channels`, `regions`: all that have a code. `loads`: how busy stores
    are.
    """

    layout: Layout
    store_code_of: Mapping[str, int]
    regions_of_stores: Sequence[str]
    store_profiles: Sequence[StoreProfile]
    hours: Sequence[OpeningHours | None]
    skus: SkuArrays
    abilities: Sequence[str]
    classes: Sequence[str]
    channels: Names
    regions: Names
    shares: NDArray[np.int32] | None
    hidden: NDArray[np.uint8] | None
    bundles: Bundles | None
    areas: Areas | None
    supplies: SupplyArrays
    loads: LoadTable


class Ruling:
    """The Rules of one policy over one chain, kept true to the clock."""

    def __init__(
        self,
        version: int,
        book: PolicyBook,
        chain: Chain,
        merges: Merges,
        now_ns: int,
        before: "Ruling | None" = None,
    ) -> None:
        self.book = book
        self.chain = chain
        self.facts = Facts.of(chain.store_profiles, chain.regions_of_stores)
        self.opening: Opening = Opening(chain.hours, None if before is None else before.opening)
        self.moment = self.opening.at(now_ns)
        self.next_edge_ns = 0
        asking = Asking(chain.channels, chain.regions, chain.store_code_of)
        self.rules = Rules(
            version, asking, book.rules, self._arrays(), chain.areas, merges, chain.loads
        )
        self._refresh()

    def at(self, now_ns: int) -> Rules:
        """The Rules as they are at a time, which never goes back."""
        if now_ns >= self.next_edge_ns:
            self.moment = self.opening.at(now_ns)
            self._refresh()
        return self.rules

    # -- INSIDE --------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Make what depends on the clock true to the moment."""
        arrays, moment = self.rules.arrays, self.moment
        for name in ("opens_ns", "local_hour", "utc_offset_s"):
            arrays["stores"][name] = getattr(moment, name)
        row, closed = 0, self.chain.layout.closed
        for rule in self.book.rules:
            for stores in eligible_by_step(rule, self.facts, moment, closed):
                arrays["allowed"][row] = self.chain.layout.words(stores)
                row += 1
        self.next_edge_ns = next_edge_ns(self.book.rules, moment)

    def _arrays(self) -> dict[str, Any]:
        """By the names of the fields of RuleBook and Standing."""
        chain, book = self.chain, self.book
        profiles, stores = chain.store_profiles, len(chain.store_profiles)
        steps = [step for rule in book.rules for step in rule.steps]
        leaves = len(chain.layout.arrays["sketches"])
        able = abilities(profiles)
        nobody = np.zeros(stores, dtype=np.bool_)
        has = [chain.layout.words(able.get(name, nobody)) for name in chain.abilities]
        return {
            "numbers": np.ascontiguousarray(book.table()),
            "channel_rows": _rows(chain.channels, book.channels),
            "region_rows": _rows(chain.regions, book.regions),
            "region_areas": self._region_areas(),
            "store_count": stores,
            "sku_count": len(chain.skus.needs),
            "stores": _characters(profiles),
            "allowed": np.zeros((len(steps), leaves), dtype=np.uint64),
            "abilities": np.array(has, dtype=np.uint64) if has else None,
            "millionths": chain.shares,
            **self._sku_arrays(steps),
            **self._asks(),
            **self._supply_arrays(),
        }

    def _region_areas(self) -> NDArray[np.int32] | None:
        """For each region of the policy the area of its name, which says what lies in it."""
        if self.chain.areas is None:
            return None
        number_of = {name: number for number, name in enumerate(self.chain.areas.names)}
        areas = np.array([-1] + [number_of.get(name, -1) for name in self.book.regions], np.int32)
        return areas if (areas >= 0).any() else None

    def _supply_arrays(self) -> dict[str, Any]:
        first, days, skus = self.chain.supplies
        if not len(skus):
            return {}
        zones = {one.time_zone: None for one in self.chain.store_profiles}
        number_of = {name: number for number, name in enumerate(zones)}
        zone_of = [number_of[one.time_zone] for one in self.chain.store_profiles]
        return {
            "supply_first": first,
            "supply_days": days,
            "supply_skus": skus,
            "supply_begins_ns": begins_ns(days.tolist(), zones),
            "zone_of": np.array(zone_of, dtype=np.int32),
            "zones": len(zones),
        }

    def _sku_arrays(self, steps: Sequence[Step]) -> dict[str, NDArray[Any]]:
        """What rules look at of SKUs; nothing where no SKU has it."""
        skus, classes = self.chain.skus, self.chain.classes
        arrays: dict[str, NDArray[Any]] = {"together": np.zeros((len(steps), 0), dtype=np.uint8)}
        if skus.presale.any():
            arrays["presale"] = skus.presale
        kept = np.array([[name in step.split.together for name in classes] for step in steps])
        if kept.any():
            arrays["classes_of"], arrays["together"] = skus.classes, kept.astype(np.uint8)
        return arrays

    def _asks(self) -> dict[str, Any]:
        """What SKUs ask for; bundles with all that is asked for by bundles in them."""
        skus, hidden, bundles = self.chain.skus, self.chain.hidden, self.chain.bundles
        named = self.book.product_classes
        bits = [1 << named.index(name) if name in named else 0 for name in self.chain.classes]
        needs, classes = skus.needs, np.array(bits, dtype=np.uint8)[skus.classes]
        life_days, arrays = skus.least_life_days, dict[str, Any]()
        if bundles is not None:
            needs = _joined(needs, needs, bundles.to_outer)
            classes = _joined(classes, classes, bundles.to_outer)
            life_days = _joined(life_days, life_days, bundles.to_outer, np.maximum)
            if hidden is not None:
                hidden = np.array([_joined(row, row, bundles.to_outer) for row in hidden])
            arrays |= bundles.arrays
        if needs.any():
            arrays["needs_of"] = needs
        if classes.any():
            arrays["class_sets_of"] = classes
        if hidden is not None:
            arrays["all_hidden"] = np.ones(hidden.shape[1], dtype=np.uint8)
        return {**arrays, "least_life_days": life_days, "hidden": hidden}


def _joined(
    to: NDArray[Any], of: NDArray[Any], pairs: NDArray[np.int32], join: np.ufunc = np.bitwise_or
) -> NDArray[Any]:
    """The values `to`, each joined with those `of` the others that pairs lead from."""
    joined = to.copy()
    join.at(joined, pairs[:, 1], of[pairs[:, 0]])
    return joined


def _characters(profiles: Sequence[StoreProfile]) -> NDArray[Any]:
    """What rules look at of each store, but for what its clock shows."""
    stores = in_cache_lines(len(profiles), CHARACTER_DTYPE)
    stores["priority"] = [one.priority for one in profiles]
    stores["cost"] = [one.cost for one in profiles]
    return stores


def _rows(codes: Names, named: Sequence[str]) -> NDArray[np.int32]:
    """The number in a policy's table for each code; 0 where the policy does not name it."""
    rows = np.zeros(len(codes), dtype=np.int32)
    for number, name in enumerate(named):
        rows[codes[name]] = number + 1
    return rows
