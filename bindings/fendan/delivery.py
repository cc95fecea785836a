"""When a store would have an order at its customer's, and what of its stock is good until then.

As the rest of the second telling, slow and with names: `engine/terms` and `engine/larder` have the
first. Days are counted since 1970, in the store's own time.
"""

from fendan.scene import Line, Scene
from fendan.shares import WHOLE
from fendan.supplies import begins_ns
from fendan.times import NEVER_NS, NS_PER_S, S_PER_DAY

__all__ = [
    "first_lot",
    "good",
    "good_day",
    "local_day",
    "needed_s",
    "offered",
    "supplied_s",
    "supply_day",
]


def needed_s(scene: Scene, store: int, distance_m: float) -> float:
    """How long the store needs until the customer has it, in seconds: see `rules.Promise`."""
    stores = scene.stores
    opens_ns, now_ns = int(stores.moment.opens_ns[store]), stores.moment.now_ns
    wait_s = (opens_ns - now_ns) / NS_PER_S if opens_ns > now_ns else 0.0
    return wait_s + _handling_s(scene, store, distance_m)


def supplied_s(scene: Scene, store: int, distance_m: float, day: int) -> float:
    """As `needed_s`, of what is to arrive at the store on a day."""
    zone, now_ns = scene.stores.profiles[store].time_zone, scene.stores.moment.now_ns
    comes_ns = max(int(begins_ns([day], [zone])[0, 0]), now_ns)
    return (comes_ns - now_ns) / NS_PER_S + _handling_s(scene, store, distance_m)


def _handling_s(scene: Scene, store: int, distance_m: float) -> float:
    """To pick it, and the way."""
    promise, hour = scene.rule.promise, int(scene.stores.moment.local_hour[store])
    return (
        promise.pick_s
        + promise.pick_s_per_open_order * scene.open_orders(store)
        + distance_m * promise.detour / promise.speeds_mps[hour]
    )


def local_day(scene: Scene, store: int, time_ns: int) -> int:
    """The store's own date at an instant."""
    return (time_ns // NS_PER_S + int(scene.stores.moment.utc_offset_s[store])) // S_PER_DAY


def good_day(scene: Scene, line: Line, store: int, distance_m: float) -> int:
    """The first sell-by day that is late enough for a line."""
    moment = scene.stores.moment
    arrives_ns = moment.now_ns
    if int(moment.opens_ns[store]) != NEVER_NS:  # who never opens promises nothing
        arrives_ns += int(needed_s(scene, store, distance_m) * NS_PER_S)
    least = max(scene.least_life_days, line.least_life_days)
    return local_day(scene, store, arrives_ns) + least


def good(scene: Scene, line: Line, store: int, distance_m: float) -> int | None:
    """How many free pieces of a line are good for long enough; None where it has no lots of it."""
    if store not in line.lots:
        return None
    first = good_day(scene, line, store, distance_m)
    return sum(lot.free for lot in line.lots[store] if lot.day >= first)


def first_lot(scene: Scene, line: Line, store: int, distance_m: float) -> int | None:
    """The day of the first lot that would be taken from; None where none of them has any free."""
    first = good_day(scene, line, store, distance_m)
    found = (lot.day for lot in line.lots.get(store, ()) if lot.day >= first and lot.free)
    return next(found, None)


def offered(scene: Scene, line: Line, store: int, distance_m: float) -> int:
    """How many pieces of a line the store can send: the channel's share, good for long enough."""
    pair = line.pairs.get(store)
    count = pair.on_sale * scene.stores.share(store) // WHOLE if pair else 0
    late_enough = good(scene, line, store, distance_m)
    return count if late_enough is None else min(count, late_enough)


def supply_day(scene: Scene, line: Line, store: int) -> int | None:
    """The first day on which enough of a line is to arrive at a store; None: on none."""
    if line.code in scene.hidden:
        return None
    share = scene.stores.share(store)
    for day, supply in line.supplies:
        pair = supply.get(store)
        if pair and pair.on_sale * share // WHOLE >= line.quantity:
            return day
    return None
