"""What an engine, an item master and a file come to, kept in step with the engine.

    engine ── places, pauses, SKUs, hidden SKUs ──┐
    items  ── prices, units, barcodes … ──────────┼──► Known, for one call of `judge`
    config ── channels, buyers, country, reach ───┘

Tables are made anew when what they rest on is another: a layout of the network is never changed
but replaced, and so are shares and areas; the catalogue only grows.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fendan.api import Engine
from fendan.engine.areas import Areas
from fendan.engine.names import Names
from fendan.engine.network import Layout
from fendan.engine.recent import Recent
from fendan.errors import Fault, refuse
from fendan.intake.config import MOST_CHANNELS, Config
from fendan.intake.goods import Goods
from fendan.intake.items import Item, checked_items
from fendan.intake.known import Known
from fendan.intake.reach import Reach
from fendan.shares import Shares

__all__ = ["Knowledge"]

REMEMBERED_ORDERS = 1 << 18  # an hour of 70 orders a second, in 12 MB


class Knowledge:
    """All that rules know of one engine's chain. For one thread at a time, as `judge` is.

    `recent_orders`: how many orders later ones are compared with, a power of two. They are not in
    the engine's journal, and forgotten when the process ends. Raises InvalidInputError for an item
    that cannot be, and where items and `config` name more than 64 channels.
    """

    def __init__(
        self,
        engine: Engine,
        config: Config | None = None,
        items: Iterable[Item] = (),
        *,
        recent_orders: int = REMEMBERED_ORDERS,
    ) -> None:
        self._engine = engine
        self._config = config = Config() if config is None else config
        self._recent = Recent(recent_orders)
        by_sku = checked_items(items)
        self._channel_of = _channels_of(config, by_sku)
        self._held_buyers = Names()
        self._held_buyers.extend(sorted(config.held_buyers))
        self._goods = Goods(by_sku, self._channel_of)
        self._stores = _Stores(config.reach_km)
        self._shares: Shares | None = None
        self._off_shelf = np.zeros(2, dtype=np.uint64)
        self._areas: Areas | None = None

    def now(self) -> Known:
        """As it stands."""
        engine, config, goods = self._engine, self._config, self._goods
        with engine._lock:
            now_ns = max(engine._last_ns, engine._clock.now_ns())
            new_skus = engine._stock.skus[goods.count :]
            shares, layout = engine._shares, engine._network.layout
            is_moved = layout is not self._stores.layout
            code_of = dict(engine._network.code_of) if is_moved else {}
            self._areas = engine._drawn_areas()
        if is_moved:
            self._stores.follow(layout, code_of)
        goods.follow(new_skus)
        if new_skus or shares is not self._shares:
            self._shares = shares
            self._off_shelf = self._with_hidden(shares)
        return Known(
            now_ns=now_ns,
            datum=engine.datum,
            channel_of=self._channel_of,
            all_channels=bool(config.channels),
            paused_channels=frozenset(self._channel_of[name] for name in config.paused_channels),
            store_of=self._stores.number_of,
            closed=self._stores.closed,
            country=config.country,
            serves=self._serves,
            held_buyers=self._held_buyers,
            recent=self._recent,
            sku_of=engine._stock.sku_code_of,
            is_supply=goods.is_supply,
            unit_of=goods.unit_of,
            barcode_of=goods.barcode_of,
            barcode_sku=goods.barcode_sku,
            list_price=goods.list_price,
            unit=goods.unit,
            has_barcode=goods.has_barcode,
            off_shelf=self._off_shelf,
            restricted=goods.restricted,
            protected=goods.protected,
            most_per_order=goods.most_per_order,
            free=self._free,
        )

    # -- INSIDE --------------------------------------------------------------------------------

    def _with_hidden(self, shares: Shares) -> NDArray[np.uint64]:
        """What items say to be off the shelf, and what the engine hides from channels."""
        off_shelf = self._goods.off_shelf.copy()
        for channel, skus in shares.hidden.items():
            if channel not in self._channel_of:
                if self._config.channels:
                    continue  # no order of it passes
                _name_channel(self._channel_of, channel)
            codes = self._engine._stock.sku_code_of.codes(skus, -1, -1)
            codes = codes[(codes >= 0) & (codes < len(off_shelf) - 2)]
            off_shelf[codes] |= np.uint64(1 << self._channel_of[channel])
        return off_shelf

    def _serves(self, lat: NDArray[np.float64], lng: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places are in reach of a store, or in an area."""
        served = self._stores.reach_now().covers(lat, lng)
        left = np.flatnonzero(~served)
        if self._areas is not None and len(left):
            served[left] = self._areas.covering(lat[left], lng[left]) >= 0
        return served

    def _free(self, skus: NDArray[np.int64]) -> NDArray[np.int64]:
        """What all stores together have of SKUs and have not reserved."""
        distinct, which = np.unique(skus, return_inverse=True)
        with self._engine._lock:
            counts = [self._engine._stock.totals_of(sku) for sku in distinct.tolist()]
        free = np.array([on_hand - reserved for on_hand, reserved in counts], dtype=np.int64)
        return free[which]


class _Stores:
    """The stores, as far as rules look at them. Numbers are places in the order of `number_of`."""

    def __init__(self, reach_km: float) -> None:
        self.layout: Layout | None = None
        self.number_of = Names()
        self.closed = np.zeros(2, dtype=np.bool_)
        self._places = np.zeros((0, 2))
        self._reach: Reach | None = None
        self._reach_km = reach_km

    def follow(self, layout: Layout, code_of: Mapping[str, int]) -> None:
        """Take in another layout, and the stores that there are."""
        codes = list(code_of.values())
        self.layout, self.number_of = layout, Names()
        self.number_of.extend(list(code_of))
        self.closed = np.append(layout.closed[codes], [False, False])
        places = np.array([layout.place(code) for code in codes]).reshape(-1, 2)
        if not np.array_equal(places, self._places):  # a pause moves nobody
            self._places, self._reach = places, None

    def reach_now(self) -> Reach:
        """What the stores reach, found out when it is asked for first."""
        if self._reach is None:
            self._reach = Reach(self._places[:, 0], self._places[:, 1], self._reach_km)
        return self._reach


def _channels_of(config: Config, items: Mapping[str, Item]) -> Names:
    """The channels that the file names; where it does not list all, also those of the items."""
    channel_of = Names()
    for name in (*config.channels, *config.paused_channels):
        _name_channel(channel_of, name)
    if not config.channels:
        for name in sorted({name for item in items.values() for name in item.off_shelf}):
            _name_channel(channel_of, name)
    return channel_of


def _name_channel(channel_of: Names, name: str) -> None:
    if name in channel_of:
        return
    if len(channel_of) == MOST_CHANNELS:
        hint = f"{MOST_CHANNELS} channels are the most that rules can tell apart"
        refuse(Fault.TOO_MANY, "channels", name, hint=hint)
    channel_of.extend([name])
