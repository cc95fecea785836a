"""The engine's way to a scene: what the routing of one order looks at now, taken in its turn."""

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from fendan.area_face import AREA
from fendan.documents import texts_of
from fendan.eligible import Facts
from fendan.opening import Opening
from fendan.profiles import StoreProfile
from fendan.rules import OrderType, Rule, StepName
from fendan.ruling import Chain
from fendan.ruling_face import RulingFace
from fendan.scene import NOBODY, Line, Scene, Stores, Wish, lines_of, plain_rule
from fendan.supplies import SupplyArrays

__all__ = ["Asker", "SceneFace"]

NO_NAME = -1
"""As a code of a channel or region: none that anybody knows."""

_PLAIN = StoreProfile()


class Asker(NamedTuple):
    """What an order says, by codes, and what its decision says of others it goes with.

    `lines`: (SKU code, pieces). `named_store`: where the customer will fetch it, or NOBODY.
    `rejected`: the stores that may not have it again. `members`: how many orders of its group are
    decided together; 0: it is in none. `bundles`: those that it names; None: any of those that its
    lines make, for which is not remembered.
    """

    place: tuple[float, float]
    lines: Sequence[tuple[int, int]]
    order_type: OrderType = OrderType.UNSPECIFIED
    channel: int = NO_NAME
    region: int = NO_NAME
    named_store: int = NOBODY
    merge_group: int = 0
    rejected: frozenset[int] = frozenset()
    members: int = 0
    bundles: Sequence[str] | None = ()


class SceneFace(RulingFace):
    """Takes scenes; to be asked under the lock."""

    def _scene(self, asker: Asker, radius_m: float, now_ns: int) -> Scene:
        """What routing looks at for an order: the policy in force, without one the radius."""
        self._rules_at(now_ns)
        if self._ruling is None or self._book is None:
            return self._plain_scene(asker, radius_m, now_ns)
        chain = self._ruling.chain
        profiles = [self._catalogue.profile(self._stock.skus[sku]) for sku, _ in asker.lines]
        bundles = self._bundles_of(asker)
        of_bundles = [self._catalogue.profile(name) for name in bundles]
        channel = _name(self._named("channels"), asker.channel)
        rule = self._book.rule_for(
            asker.order_type,
            channel,
            self._region_of(asker, chain),
            {one.product_class for one in (*profiles, *of_bundles)},
        )
        wish = self._wish(asker, rule)
        by_supply = wish.waits and rule.order_type is OrderType.PRESALE
        waits = any(step.name is StepName.BACKORDER for step in rule.steps)
        supplies = chain.supplies if waits else None
        return Scene(
            policy_version=self._versions.active,
            rule=rule,
            wish=wish,
            lines=self._lines(
                asker, [not (by_supply and one.presale) for one in profiles], supplies
            ),
            later=self._lines(asker, [by_supply and one.presale for one in profiles], supplies),
            bundle_needs=frozenset(need for one in of_bundles for need in one.needs),
            least_life_days=max(
                rule.least_life_days, *(one.least_life_days for one in of_bundles), 0
            ),
            hidden=_hidden(chain, asker.channel),
            # Whoever a rejected order is given to has it, though its bundles be sold no more.
            hidden_bundles=tuple(
                name
                for name in bundles
                if name in self._shares.hidden.get(channel, ()) and not asker.rejected
            ),
            stores=self._stores_of(chain, asker.channel, now_ns),
        )

    def _plain_scene(self, asker: Asker, radius_m: float, now_ns: int) -> Scene:
        """The nearest store within a radius: nobody has a profile."""
        network, layout = self._network, self._network.layout
        ids = list(network.store_ids)
        profiles, opening = [_PLAIN] * len(ids), Opening([None] * len(ids))
        stores = Stores(
            ids=ids,
            layout=layout,
            regions=[""] * len(ids),
            profiles=profiles,
            facts=Facts.of(profiles, [""] * len(ids)),
            opening=opening,
            moment=opening.at(now_ns),
            closed=layout.closed.copy(),
            gone=frozenset(network.removed.tolist()),
            areas=None,
            millionths=None,
            open_orders=np.zeros(len(ids), dtype=np.int32),
            lately=np.zeros(len(ids), dtype=np.int32),
            outlines={},
        )
        return Scene(
            policy_version=0,
            rule=plain_rule(radius_m),
            wish=Wish(place=asker.place, rejected=asker.rejected),
            lines=self._lines(asker, [True] * len(asker.lines)),
            hidden=frozenset(),
            stores=stores,
        )

    def _lines(
        self, asker: Asker, wanted: Sequence[bool], supplies: SupplyArrays | None = None
    ) -> tuple[Line, ...]:
        """Some lines of an order; with what is to arrive, where supplies are told."""
        lines = list(compress(asker.lines, wanted))
        profiles = [self._catalogue.profile(self._stock.skus[sku]) for sku, _ in lines]
        coming = {} if supplies is None else {code: supplies.of(code) for code, _ in lines}
        return lines_of(self._stock, lines, profiles, coming)

    def _stores_of(self, chain: Chain, channel: int, now_ns: int) -> Stores:
        assert self._ruling is not None
        shares = chain.shares is not None and 0 <= channel < len(chain.shares)
        return Stores(
            ids=list(self._network.store_ids),
            layout=chain.layout,
            regions=list(chain.regions_of_stores),
            profiles=chain.store_profiles,
            facts=self._ruling.facts,
            opening=self._ruling.opening,
            moment=self._ruling.opening.at(now_ns),
            closed=chain.layout.closed.copy(),
            gone=frozenset(self._network.removed.tolist()),
            areas=chain.areas,
            millionths=chain.shares[channel].copy()
            if shares and chain.shares is not None
            else None,
            open_orders=chain.loads.open_orders.copy(),
            lately=chain.loads.lately(now_ns),
            outlines=texts_of(self._documents, AREA),
        )

    def _wish(self, asker: Asker, rule: Rule) -> Wish:
        """Whom else the order has to do with."""
        only = preferred = NOBODY
        in_group = asker.members > 0 and rule.order_type is OrderType.GROUP
        if asker.named_store != NOBODY:
            only = asker.named_store
        elif asker.merge_group and in_group:
            only = self._orders.merges.store_of(asker.merge_group)
        elif asker.merge_group:
            preferred = self._orders.merges.store_of(asker.merge_group)
        return Wish(
            place=asker.place,
            channel=_name(self._named("channels"), asker.channel),
            only=only,
            preferred=preferred,
            rejected=asker.rejected,
            waits=only == NOBODY and not in_group and not asker.rejected,
            orders=asker.members if in_group else 1,
        )

    def _bundles_of(self, asker: Asker) -> list[str]:
        """The bundles of an order, and those in them, by name."""
        named = asker.bundles
        if named is None:
            pieces = {self._stock.skus[sku]: count for sku, count in asker.lines}
            named = tuple(self._catalogue.bundles_in(pieces))
        return sorted(self._catalogue.with_inner(named))

    def _region_of(self, asker: Asker, chain: Chain) -> str:
        """The region that was said; else the first one of the policy whose area has the place."""
        if asker.region != NO_NAME or chain.areas is None or self._book is None:
            return _name(self._named("regions"), asker.region)
        numbers = {name: number for number, name in enumerate(chain.areas.names)}
        for region in self._book.regions:
            if region in numbers and chain.areas.covers(numbers[region], *asker.place):
                return region
        return ""


def _name(names: Sequence[str], code: int) -> str:
    return names[code] if 0 <= code < len(names) else ""


def _hidden(chain: Chain, channel: int) -> frozenset[int]:
    if chain.hidden is None or not 0 <= channel < len(chain.hidden):
        return frozenset()
    return frozenset(np.flatnonzero(chain.hidden[channel]).tolist())
