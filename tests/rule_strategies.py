"""Small chains, the policies they write, and orders to them, so that much is equal or just not."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import shapely
from hypothesis import strategies as st

from fendan import InvalidInputError, Order, SkuProfile, Store, StoreProfile
from fendan.model import Line
from fendan.policy_file import policy_of
from fendan.rules import OrderType, StepName, StoreKind
from twin import Place

# -- THE TOWN ----------------------------------------------------------------------------------

# Streets some 500 m apart: houses at the same distance from each other again and again.
LAT, LNG, STEP = 31.23, 121.47, 0.005
STORES = ("a", "b", "c", "d", "e")
SKUS = ("tea", "milk", "ice")
BUNDLES = {"kit": {"tea": 2, "milk": 1}, "hamper": {"kit": 1, "ice": 1}, "pair": {"tea": 2}}
CHANNELS = ("app", "web")
REGIONS = ("north", "south")
DAYS = ("2025-06-14", "2025-06-17", "2025-06-20")
SELL_BY = ("2025-06-14", "2025-06-15", "2025-06-16", "2025-06-17", "2025-06-18", "2025-06-30")

TYPES = tuple(kind for kind in OrderType if kind)
CLASSES = ("frozen", "dry")

houses: st.SearchStrategy[Place] = st.builds(
    lambda row, column: (LAT + row * STEP, LNG + column * STEP),
    st.integers(0, 2),
    st.integers(0, 4),
)

AREAS = {
    "north": shapely.box(LNG - 0.01, LAT + 0.0025, LNG + 0.03, LAT + 0.02),
    "west": shapely.box(LNG - 0.01, LAT - 0.01, LNG + STEP, LAT + 0.02),  # a street on its edge
    "ring": shapely.box(LNG - 0.01, LAT - 0.01, LNG + 0.03, LAT + 0.02).difference(
        shapely.box(LNG + 0.004, LAT + 0.004, LNG + 0.016, LAT + 0.006)
    ),
}

stores = st.builds(
    lambda name, at, region: Store(id=name, lat=at[0], lng=at[1], region=region),
    st.sampled_from(STORES),
    houses,
    st.sampled_from(("", *REGIONS)),
)
store_lists = st.lists(stores, min_size=2, max_size=5, unique_by=lambda store: store.id)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual thing three times of four."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


def some(*values: Any) -> st.SearchStrategy[frozenset[Any]]:
    return st.frozensets(st.sampled_from(values))


# It begins at 16:00 on Sunday, 2025-06-15, in Shanghai.
hours = mostly(
    None,
    {"daily": "09:00-22:00"},
    {"daily": "22:00-02:00"},
    {"daily": "09:00-12:00,18:00-23:00"},
    {"daily": "08:00-17:00", "sun": "closed"},
    {"daily": "24h", "2025-06-16": "closed"},
    {"daily": "closed"},
)
store_profiles = st.builds(
    StoreProfile,
    kind=mostly(StoreKind.SHOP, StoreKind.RDC, StoreKind.CDC),
    time_zone=mostly("Asia/Shanghai", "America/New_York"),
    hours=hours,
    order_types=mostly(None, frozenset(), frozenset(TYPES[:3]), frozenset(TYPES[3:])),
    abilities=mostly(frozenset({"cold"}), frozenset(), frozenset({"cold", "large"})),
    most_open_orders=mostly(None, 1, 2, 3),
    priority=st.sampled_from([0, 1, 100]),
    cost=st.sampled_from([0, 5, 1000]),
    areas=mostly((), ("north",), ("west",), ("ring",), ("north", "west")),
)
# What a store counts in a window it counts from then on: so these have theirs from the beginning.
WINDOWS = {"e": (2, 600.0), "d": (1, 3600.0)}


def windowed(name: str, profile: StoreProfile | None = None) -> dict[str, StoreProfile]:
    """The profile of a store, with its own window."""
    most, window_s = WINDOWS.get(name, (None, 3600.0))
    usual = profile or StoreProfile()
    return {name: replace(usual, most_orders_in_window=most, window_s=window_s)}


sku_profiles = st.builds(
    lambda below, beyond, **rest: SkuProfile(off_below=below, on_from=below + beyond, **rest),
    mostly(0, 2),
    st.sampled_from([0, 2]),
    product_class=st.sampled_from(("", *CLASSES)),
    needs=mostly(frozenset(), frozenset({"cold"})),
    presale=st.booleans(),
    least_life_days=mostly(0, 1, 2),
)
lots = st.dictionaries(st.sampled_from(SELL_BY), st.sampled_from([0, 1, 2, 3, 5]), max_size=4)

bundle_profiles = st.fixed_dictionaries(
    {
        name: st.builds(
            SkuProfile,
            parts=st.just(parts),
            product_class=mostly("", *CLASSES),
            needs=mostly(frozenset(), frozenset({"cold"}), frozenset({"large"})),
            least_life_days=mostly(0, 1, 2),
        )
        for name, parts in BUNDLES.items()
    }
)

# -- POLICIES ----------------------------------------------------------------------------------


def toml(value: Any) -> str:
    """A value as one line of TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def names(*values: Any) -> st.SearchStrategy[list[str]]:
    texts = [getattr(value, "name", value) for value in values]
    return st.lists(st.sampled_from(texts), min_size=1, max_size=2, unique=True)


radii = mostly(50000, 0, 600, 1000, 1500.5)
split_tables = st.fixed_dictionaries(
    {"mode": st.sampled_from(["FEWEST", "NEAREST"])},
    optional={
        "most_shipments": st.integers(2, 4),
        "least_amount": st.sampled_from([0, 1, 50, 100]),
        "split_lines": st.booleans(),
        "together": names(*CLASSES),
    },
)
step_tables = st.fixed_dictionaries(
    {"name": st.sampled_from([name.name for name in StepName if name])},
    optional={"radius_m": radii, "kinds": names(*StoreKind), "areas": st.booleans()},
)
step_lists = st.lists(step_tables, min_size=1, max_size=4, unique_by=lambda step: step["name"])
usual_steps = ["STORE", "NATIONWIDE", "BACKORDER"]
rank_names = st.sampled_from(["DISTANCE", "LOAD", "STOCK", "PRIORITY", "COST", "FRESHNESS"])
bands = st.fixed_dictionaries(
    {"by": st.just("DISTANCE_BAND"), "width_m": st.sampled_from([0.5, 500, 600, 1e7])}
)


def is_once(*tables: Any) -> bool:
    by = [one if isinstance(one, str) else one["by"] for one in tables]
    return len(set(by)) == len(by)


rankings = st.lists(st.one_of(rank_names, bands), min_size=1, max_size=4).filter(
    lambda found: is_once(*found)
)
weights = st.sampled_from([0, 1e-3, 0.5, 1, 3, 1e9])
scores = st.lists(
    st.one_of(
        st.fixed_dictionaries({"by": rank_names, "weight": weights}),
        st.builds(lambda band, weight: {**band, "weight": weight}, bands, weights),
    ),
    min_size=1,
    max_size=4,
).filter(lambda found: is_once(*found) and any(one["weight"] for one in found))
promises = st.fixed_dictionaries(
    {},
    optional={
        "pick": st.sampled_from([0, 600, "1h"]),
        "pick_per_open_order": st.sampled_from([0, 60]),
        "detour": st.sampled_from([0, 1, 1.3]),
        "speed_kmh": st.sampled_from([18, {"07-17": 10, "17-24": 3.3, "rest": 40}]),
        "most": mostly("any", "11min", "30min", "12h"),
    },
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "steps": st.one_of(st.just(usual_steps), step_lists),
    "hours": mostly("ANY", "OPEN_NOW", "OPEN_TODAY"),
    "cut_off": st.sampled_from([0, "15min", "1h"]),
    "store_regions": mostly("any", ["north"], ["south", "west"]),
    "split": split_tables,
    "promise": promises,
    "merge_window": st.sampled_from([0, "10min", "1h"]),
    "least_life_days": mostly(0, 1, 2),
    "reservation_timeout": st.sampled_from([600, "2h", "never"]),
}
tables = st.one_of(
    st.fixed_dictionaries({}, optional={**fields, "ranking": rankings}),
    st.fixed_dictionaries({}, optional={**fields, "score": scores}),
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "order_type": names(*TYPES),
        "channel": names(*CHANNELS),
        "region": names(*REGIONS),
        "product_class": names(*CLASSES),
    },
).filter(bool)


def is_policy(text: str) -> bool:
    try:
        policy_of(text)
    except InvalidInputError:
        return False
    return True


def text_of(default: str, types: dict[str, Any], overrides: list[tuple[Any, Any]]) -> str:
    """The text of a policy file; what of it cannot be is left out."""
    pieces = [f"default_type = {toml(default)}\n"]
    for name, table in types.items():
        pieces.append(f"[types.{name}]\n" + _lines(pieces, f"[types.{name}]\n", table))
    for condition, table in overrides:
        head = "[[override]]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in condition.items())
        lines = _lines(pieces, head, table)
        if lines:
            pieces.append(head + lines)
    return "".join(pieces)


def _lines(before: list[str], head: str, table: dict[str, Any]) -> str:
    lines = ""
    for key, value in table.items():
        line = f"{key} = {toml(value)}\n"
        if is_policy("".join(before) + head + lines + line):
            lines += line
    return lines


# A policy in which every region has its say.
NAMING = f'default_type = "NEXT_DAY"\n[[override]]\nregion = {json.dumps(REGIONS)}\ncut_off = 0\n'

policies = st.builds(
    text_of,
    mostly("NEXT_DAY", *[kind.name for kind in TYPES]),
    st.dictionaries(st.sampled_from([kind.name for kind in TYPES]), tables, min_size=2, max_size=4),
    st.lists(st.tuples(conditions, tables), max_size=2),
)

# -- ORDERS ------------------------------------------------------------------------------------

lines: st.SearchStrategy[list[Line]] = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([*SKUS, *BUNDLES]), st.sampled_from([1, 1, 2, 3])),
        st.tuples(
            st.sampled_from(SKUS), st.sampled_from([1, 1, 2, 3]), st.sampled_from([0, 49, 101])
        ),
    ),
    min_size=2,
    max_size=4,
)


@st.composite
def orders(draw: st.DrawFn, store_ids: tuple[str, ...] = STORES, number: int = 0) -> Order:
    """What its type lets it say."""
    kind = draw(mostly(OrderType.UNSPECIFIED, *TYPES))
    lat, lng = draw(houses)
    may_fetch = kind in (OrderType.PICKUP, OrderType.UNSPECIFIED) and store_ids
    group = draw(mostly("", "g", "h"))
    return Order(
        id=f"{number}",
        lat=lat,
        lng=lng,
        lines=draw(lines),
        order_type=kind,
        channel=draw(st.sampled_from(("", *CHANNELS, "phone"))),
        region=draw(mostly("", *REGIONS, "east")),
        pickup_store_id=draw(mostly("", *store_ids)) if may_fetch else "",
        group_id=(group or "g") if kind is OrderType.GROUP else group,
        buyer_id=draw(st.sampled_from(["", "b1", "b2"])),
        address_id=draw(st.sampled_from(["", "home"])),
    )


def numbered(order: Order, number: int, pickup_store_id: str = "") -> Order:
    """An order under another id, and to be fetched at another store, if at any."""
    kind = order.order_type
    store = pickup_store_id if kind in (OrderType.PICKUP, OrderType.UNSPECIFIED) else ""
    return replace(order, id=f"{number}", pickup_store_id=store)
