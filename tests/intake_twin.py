"""The slow judge of intake rules: order by order, with Python's numbers, from what a chain says.

It knows nothing of codes, columns and hashes. What it shares with the fast one is only the table
of rules, for their settings, and the distance between two places.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fendan import Datum, convert, distance_m
from fendan.intake.config import Config
from fendan.intake.items import Item
from fendan.intake.received import NOT_SAID
from fendan.intake.rules import RULES
from fendan.rules import OrderType
from intake_orders import Sent, SentLine

Finding = tuple[int, int, str]  # order, line of all or -1, code
MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS
TEN_BILLION_YUAN = 10**12


@dataclass(kw_only=True)
class World:
    """What is known, in a chain's own words. `hidden`: (channel, SKU); `free`: pieces in all."""

    now_ns: int
    config: Config
    places: Mapping[str, tuple[float, float]]
    paused: frozenset[str] = frozenset()
    items: Mapping[str, Item]
    free: Mapping[str, int]
    hidden: frozenset[tuple[str, str]] = frozenset()
    judged: list[Sent] = field(default_factory=list)

    def serves(self, lat: float, lng: float) -> bool:
        reach_m = 1e3 * self.config.reach_km
        return any(distance_m(lat, lng, *place) <= reach_m for place in self.places.values())


def judged(orders: Sequence[Sent], world: World) -> set[Finding]:
    """All findings; the orders are remembered for later ones."""
    found: set[Finding] = set()
    enabled = {
        rule.code
        for rule, setting in zip(RULES, world.config.settings, strict=True)
        if setting.enabled
    }
    taken: dict[str, int] = defaultdict(int)
    first_line = 0
    for number, order in enumerate(orders):
        for code in codes_of_order(order, world):
            found.add((number, -1, code))
        in_order: dict[str, int] = defaultdict(int)
        for place, line in enumerate(order.lines):
            in_order[line.sku] += max(0, clipped(line.quantity))
            taken[line.sku] += max(0, clipped(line.quantity))
            for code in codes_of_line(line, order, world, in_order, taken):
                found.add((number, first_line + place, code))
        first_line += len(order.lines)
        remember(order, world)
    return {finding for finding in found if finding[2] in enabled}


def clipped(value: int, most: int = TEN_BILLION_YUAN) -> int:
    return max(-most, min(most, value))


# -- ORDERS ------------------------------------------------------------------------------------


def codes_of_order(order: Sent, world: World) -> Iterator[str]:
    yield from who_and_where_from(order, world)
    yield from where_to(order, world)
    yield from when(order, world)
    yield from how_much(order, world)
    yield from like_others(order, world)


def who_and_where_from(order: Sent, world: World) -> Iterator[str]:
    config = world.config
    if not order.id:
        yield "ID_MISSING"
    if config.channels and order.channel not in (*config.channels, *config.paused_channels):
        yield "UNKNOWN_CHANNEL"
    if order.channel in config.paused_channels:
        yield "CHANNEL_PAUSED"
    if order.pickup_store_id and order.pickup_store_id not in world.places:
        yield "PICKUP_STORE_UNKNOWN"
    if order.pickup_store_id in world.paused:
        yield "PICKUP_STORE_CLOSED"
    if order.order_type is OrderType.GROUP and not order.pickup_store_id:
        yield "GROUP_WITHOUT_PICKUP"
    if order.buyer_id in config.held_buyers:
        yield "BUYER_HELD"
    if not order.lines:
        yield "EMPTY_ORDER"
    if len(order.lines) > config.setting("TOO_MANY_LINES").threshold:
        yield "TOO_MANY_LINES"


def in_country(lat: float, lng: float, world: World) -> bool:
    box = world.config.country
    return box.south <= lat <= box.north and box.west <= lng <= box.east


def where_to(order: Sent, world: World) -> Iterator[str]:
    lat, lng, is_fetched = order.lat, order.lng, bool(order.pickup_store_id)
    if (math.isnan(lat) or math.isnan(lng)) and not is_fetched:
        yield "PLACE_MISSING"
    if abs(lat) < 1e-3 and abs(lng) < 1e-3:
        yield "PLACE_ZERO"
    if abs(lat) > 90 or abs(lng) > 180:
        yield "PLACE_OUT_OF_RANGE"
    is_inside = in_country(lat, lng, world)
    if not is_inside and in_country(lng, lat, world):
        yield "PLACE_SWAPPED"
    if abs(lat) <= 90 and abs(lng) <= 180 and not is_inside:
        yield "PLACE_ABROAD"
    if is_inside and not is_fetched and not world.serves(lat, lng):
        yield "PLACE_UNSERVED"
        others = (Datum.GCJ02, Datum.BD09)
        if any(world.serves(*convert(lat, lng, datum, Datum.WGS84)) for datum in others):
            yield "PLACE_DATUM"


def when(order: Sent, world: World) -> Iterator[str]:
    def threshold(code: str) -> float:
        return world.config.setting(code).threshold

    if order.placed_ns != NOT_SAID:
        if order.placed_ns - world.now_ns > threshold("PLACED_IN_FUTURE") * MINUTE_NS:
            yield "PLACED_IN_FUTURE"
        if world.now_ns - order.placed_ns > threshold("STALE") * HOUR_NS:
            yield "STALE"
    if order.promised_until_ns != NOT_SAID:
        left_ns = order.promised_until_ns - world.now_ns
        if left_ns < 0:
            yield "PROMISE_PAST"
        is_soon = 0 <= left_ns < threshold("PROMISE_UNREACHABLE") * MINUTE_NS
        said = order.promised_from_ns != NOT_SAID
        if is_soon or (said and order.promised_from_ns > order.promised_until_ns):
            yield "PROMISE_UNREACHABLE"
    if order.order_type is OrderType.PRESALE and order.presale_ship_ns == NOT_SAID:
        yield "PRESALE_WITHOUT_DATE"


def how_much(order: Sent, world: World) -> Iterator[str]:
    def off(code: str, told: int, counted: int) -> bool:
        return abs(clipped(told) - counted) > world.config.setting(code).threshold

    totals = [line.line_total for line in order.lines]
    is_judged = totals and NOT_SAID not in (order.item_total, *totals)
    if is_judged and off("ITEM_TOTAL_OFF", order.item_total, sum(map(clipped, totals))):
        yield "ITEM_TOTAL_OFF"
    if NOT_SAID not in (order.order_total, order.item_total):
        other, discount = (
            0 if amount == NOT_SAID else clipped(amount)
            for amount in (order.other_charges, order.discount)
        )
        if off("ORDER_TOTAL_OFF", order.order_total, clipped(order.item_total) + other - discount):
            yield "ORDER_TOTAL_OFF"
    if order.order_total > world.config.setting("AMOUNT_LARGE").threshold:
        yield "AMOUNT_LARGE"


def basket(order: Sent) -> dict[str, int]:
    pieces: dict[str, int] = defaultdict(int)
    for line in order.lines:
        pieces[line.sku] += clipped(line.quantity, 10**9)
    return {sku: count for sku, count in pieces.items() if count}


def before(order: Sent, world: World) -> list[Sent]:
    """The buyer's orders before this one; if it has come before, those before it came first."""
    if not order.buyer_id:
        return []
    others = [other for other in world.judged if other.buyer_id == order.buyer_id]
    ids = [other.id for other in others]
    return others[: ids.index(order.id)] if order.id in ids else others


def like_others(order: Sent, world: World) -> Iterator[str]:
    def apart_ns(other: Sent) -> int:
        return abs(placed_ns(order, world) - placed_ns(other, world))

    others = before(order, world)
    if (
        sum(apart_ns(other) < HOUR_NS for other in others)
        >= world.config.setting("BUYER_LIMIT").threshold
    ):
        yield "BUYER_LIMIT"
    is_known = bool(order.lines) and all(line.sku in world.free for line in order.lines)
    within_ns = world.config.setting("DUPLICATE").threshold * MINUTE_NS
    if is_known and any(
        other.address_id == order.address_id
        and basket(other) == basket(order)
        and apart_ns(other) <= within_ns
        for other in others
    ):
        yield "DUPLICATE"


def placed_ns(order: Sent, world: World) -> int:
    """As far as it can be: beyond the year 2116 all times are one."""
    at_ns = world.now_ns if order.placed_ns == NOT_SAID else order.placed_ns
    return min(max(0, at_ns), 2**62)


def remember(order: Sent, world: World) -> None:
    """An order counts once, however often it comes."""
    if (order.buyer_id, order.id) not in {(one.buyer_id, one.id) for one in world.judged}:
        world.judged.append(order)


# -- LINES -------------------------------------------------------------------------------------


def codes_of_line(
    line: SentLine,
    order: Sent,
    world: World,
    in_order: Mapping[str, int],
    taken: Mapping[str, int],
) -> Iterator[str]:
    if line.sku not in world.free:
        yield "UNKNOWN_SKU"
    if line.quantity <= 0:
        yield "QUANTITY_NOT_POSITIVE"
    if line.quantity > world.config.setting("QUANTITY_LARGE").threshold:
        yield "QUANTITY_LARGE"
    yield from of_prices(line, world.config)
    if line.sku in world.free:
        yield from of_channel_and_codes(line, order, world)
        yield from of_item(line, world, in_order, taken)


def of_prices(line: SentLine, config: Config) -> Iterator[str]:
    said = [amount for amount in (line.unit_price, line.line_total) if amount != NOT_SAID]
    if any(not 0 <= amount <= TEN_BILLION_YUAN for amount in said):
        yield "AMOUNT_IMPOSSIBLE"
    if line.unit_price == 0:
        yield "PRICE_ZERO"
    if len(said) == 2 and line.quantity != NOT_SAID:
        product = clipped(clipped(line.unit_price, 10**9) * clipped(line.quantity, 10**9))
        if abs(clipped(line.line_total) - product) > config.setting("LINE_TOTAL_OFF").threshold:
            yield "LINE_TOTAL_OFF"


def of_channel_and_codes(line: SentLine, order: Sent, world: World) -> Iterator[str]:
    owner = {
        barcode: item.sku
        for item in world.items.values()
        for barcode in item.barcodes
        if item.sku in world.free
    }
    item = world.items.get(line.sku, Item(sku=line.sku))
    if (order.channel, line.sku) in world.hidden or order.channel in item.off_shelf:
        yield "OFF_SHELF"
    is_judged = line.barcode and (item.barcodes or line.barcode in owner)
    if is_judged and owner.get(line.barcode) != line.sku:
        yield "BARCODE_MISMATCH"
    if line.unit and item.unit and line.unit != item.unit:
        yield "UNIT_MISMATCH"


def of_item(
    line: SentLine, world: World, in_order: Mapping[str, int], taken: Mapping[str, int]
) -> Iterator[str]:
    item = world.items.get(line.sku, Item(sku=line.sku))
    if item.restricted:
        yield "RESTRICTED"
    if item.most_per_order and in_order[line.sku] > item.most_per_order:
        yield "ITEM_LIMIT"
    if item.protected_pieces and world.free[line.sku] - taken[line.sku] < item.protected_pieces:
        yield "LAST_UNITS"
    if item.list_price and line.unit_price != NOT_SAID:
        percent = world.config.setting("PRICE_OFF_LIST").threshold
        if abs(clipped(line.unit_price) - item.list_price) * 100 > percent * item.list_price:
            yield "PRICE_OFF_LIST"
