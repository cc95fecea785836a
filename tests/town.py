"""A town to tell short stories in: a street of three shops, or all Starbucks stores of Shanghai."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd  # type: ignore[import-untyped]
import shapely  # type: ignore[import-untyped]

from clock import StoppedClock
from fendan import Decision, Engine, Order, SkuProfile, Store, StoreProfile
from fendan.areas import read_areas
from fendan.rules import OrderType
from twin import Place

ZONE = ZoneInfo("Asia/Shanghai")
PLAIN = 'default_type = "NEXT_DAY"\n'


@dataclass
class Town:
    """A chain, and the door of a customer. `near`, `next`, `far`: its three nearest stores.

    `hours`: of `near`, "09:00-22:00". `around`, `elsewhere`: areas with the door in them, and not.
    """

    engine: Engine
    clock: StoppedClock
    door: Place
    hours: str
    around: Any
    elsewhere: Any
    count: int = 0

    def __post_init__(self) -> None:
        found = self.engine.nearest(*self.door, limit=3)
        self.near, self.next, self.far = (one.store_id for one in found)
        self.metres = {one.store_id: one.distance_m for one in found}
        self.engine.set_sku_profiles({sku: SkuProfile() for sku in ("tea", "milk", "ice")})
        self.policy(PLAIN)

    # -- THE CHAIN -----------------------------------------------------------------------------

    def policy(self, text: str) -> int:
        """Put the text of a policy file into force."""
        version = self.engine.draft_policy(text)
        self.engine.activate_policy(version)
        return version

    def stock(self, store: str, **pieces: int) -> None:
        self.engine.set_stock((store, sku, count) for sku, count in pieces.items())

    def store(self, name: str, **profile: Any) -> None:
        """Say of a store what is not as it was."""
        self.engine.set_store_profiles({name: replace(self.engine.store_profile(name), **profile)})

    def sku(self, name: str, **profile: Any) -> None:
        self.engine.set_sku_profiles({name: SkuProfile(**profile)})

    def at(self, clock: str, day: int = 16) -> int:
        """Let it be so late, in Shanghai, on a day of June 2025; the 16th is a Monday."""
        hour, minute = map(int, clock.split(":"))
        at = datetime(2025, 6, day, hour, minute, tzinfo=ZONE)
        self.clock.ns = int(at.timestamp()) * 10**9
        return self.clock.ns

    # -- ORDERS --------------------------------------------------------------------------------

    def an_order(self, *lines: Any, kind: OrderType = OrderType.UNSPECIFIED, **said: str) -> Order:
        """From the door; one tea, if nothing else is said."""
        self.count += 1
        lat, lng = self.door
        said = {"id": str(self.count), **said}
        return Order(lat=lat, lng=lng, lines=lines or [("tea", 1)], order_type=kind, **said)

    def routed(self, *lines: Any, **said: Any) -> Decision:
        return self.engine.route(self.an_order(*lines, **said))

    def where(self, *lines: Any, **said: Any) -> str | None:
        """Which store gets such an order, None: none does."""
        return self.routed(*lines, **said).store_id


def a_street_town() -> Town:
    """Shops 950 m apart, open from 9 to 22 or 23, and a door 950 m east of them."""
    clock = StoppedClock()
    engine = Engine(clock=clock)
    shops = (("east", 121.48), ("middle", 121.47), ("west", 121.46))
    engine.add_stores(Store(id=name, lat=31.23, lng=lng) for name, lng in shops)
    closes = {"east": "22:00", "middle": "23:00", "west": "23:00"}
    engine.set_store_profiles(
        {name: StoreProfile(hours={"daily": f"09:00-{end}"}) for name, end in closes.items()}
    )
    around, elsewhere = shapely.box(121.47, 31.2, 121.5, 31.3), shapely.box(121.4, 31.2, 121.47, 31.3)
    town = Town(engine, clock, (31.23, 121.49), "09:00-22:00", around, elsewhere)
    town.at("12:00")
    return town


def shanghai(data: Path) -> Town:
    """All stores there with their real hours, and the real districts; the door is a made-up one."""
    rows = pd.read_csv(data / "starbucks_cn_stores_20250523.csv.gz", dtype={"store_id": str})
    rows = rows[(rows["city"] == "上海市") & rows["open_time_20240603"].notna()]
    clock = StoppedClock()
    engine = Engine(clock=clock)
    engine.add_stores(
        Store(id=row.store_id, lat=row.lat_wgs84, lng=row.lng_wgs84) for row in rows.itertuples()
    )
    hours = {
        row.store_id: _hours_text(row.open_time_20240603, row.close_time_20240603)
        for row in rows.itertuples()
    }
    engine.set_store_profiles(
        {name: StoreProfile(hours={"daily": text}) for name, text in hours.items()}
    )
    districts = {
        area.name: area.geometry
        for area in read_areas(
            data / "china_district_boundaries.geojson.gz", name="adcode", repair=True
        )
        if area.name.startswith("3101")
    }
    door = _quiet_door(engine, hours)
    point = shapely.Point(door[1], door[0])
    around = next(area for area in districts.values() if shapely.covers(area, point))
    elsewhere = next(area for area in districts.values() if not shapely.covers(area, point))
    town = Town(engine, clock, door, hours[engine.nearest(*door)[0].store_id], around, elsewhere)
    town.at("12:00")
    return town


def _quiet_door(engine: Engine, hours: Mapping[str, str]) -> Place:
    """A corner whose nearest store closes before the next two, in the evening."""
    for step in range(1_600):
        door = (31.18 + step // 40 * 0.002, 121.42 + step % 40 * 0.002)
        near, *others = (hours[one.store_id][6:] for one in engine.nearest(*door, limit=3))
        if "19:00" <= near and all(later(near, 60) <= one for one in others):
            return door
    raise AssertionError("there is no such corner")


def _hours_text(opens: str, closes: str) -> str:
    return "24h" if opens == closes else f"{opens[:5]}-{closes[:5]}"


def later(clock: str, minutes: int) -> str:
    """A time of day so many minutes later, or earlier; "21:30"."""
    hour, minute = map(int, clock.split(":"))
    total = hour * 60 + minute + minutes
    return f"{total // 60:02d}:{total % 60:02d}"
