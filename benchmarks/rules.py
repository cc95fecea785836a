"""The cost of policies: `python benchmarks/rules.py [--smoke] [--json FILE]`.

The same orders over the same chain, once to the nearest store in stock and once with every rule
on: opening hours, service areas, order types, abilities, capacity, channel shares, a ranking chain.
Then each rule alone, and orders of five lines, split over as few stores as can be. Contestants take
turns (contest.py).
`--smoke` runs all of it in tiny sizes, where the targets mean nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from rich.console import Console

import command
import fendan
from contest import EngineArrays, take_turns
from fendan.profiles import SkuProfile, StoreProfile
from fendan.rules import OrderType
from fendan.workloads.workload import KM_PER_DEGREE, Workload, metro, sku_names, store_ids
from machine import machine
from rows import MILLISECONDS, Row, as_table
from workload import Noon, engine_for

SEED = 1
PLAIN, RULES = "nearest in stock", "every rule on"
ONE_LINES, SPLIT_LINES = "5 lines, one store", "5 lines, split"
CHANNELS = ("meituan", "eleme", "jd")

EVERY_RULE = """
default_type = "SAME_DAY"

[types.SAME_DAY]
steps = [{ name = "STORE", radius_m = 20000 }, { name = "NATIONWIDE" }]
hours = "OPEN_NOW"
cut_off = "10min"
ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "LOAD", "PRIORITY", "DISTANCE"]

[[override]]
channel = ["meituan"]
order_type = ["SAME_DAY"]
cut_off = "20min"
"""
# Nearest in stock, said by a policy file.
NO_RULE = """
default_type = "SAME_DAY"

[types.SAME_DAY]
steps = [{ name = "STORE", radius_m = 20000 }, { name = "NATIONWIDE" }]
"""
CHAIN = 'ranking = [{ by = "DISTANCE_BAND", width_m = 500 }, "LOAD", "PRIORITY", "DISTANCE"]\n'
SHARES = "channel shares"
# One rule each: its policy, and what stores say for it.
ALONE: dict[str, tuple[str, tuple[str, ...]]] = {
    "a policy without rules": (NO_RULE, ()),
    "opening hours": (NO_RULE + 'hours = "OPEN_NOW"\ncut_off = "10min"\n', ("hours",)),
    "order types, abilities": (NO_RULE, ("order_types", "abilities")),
    "capacity": (NO_RULE, ("most_open_orders", "most_orders_in_window")),
    "service areas": (NO_RULE, ("areas",)),
    SHARES: (NO_RULE, ()),
    "a ranking chain": (NO_RULE + CHAIN, ("most_open_orders", "priority")),
}
ONE_STORE = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
steps = [{ name = "STORE", radius_m = 20000, split = { mode = "NEVER" } }]
"""
FEWEST = ONE_STORE.replace('mode = "NEVER"', 'mode = "FEWEST", most_shipments = 5')


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000
    batches: int = 5
    turns: int = 5


FULL = Sizes()
SMOKE = Sizes(stores=300, skus=500, skus_per_store=125, orders=300, batches=2, turns=1)


@dataclass
class Report:
    """All that a run found. `decisions`: a hash of what each contestant decided."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    decisions: dict[str, str]
    assigned: dict[str, float]
    rows: list[Row]


class UnderRules(EngineArrays):
    """As EngineArrays, of orders that say their type and channel."""

    def prepare(self) -> list[dict[str, Any]]:
        """Channels by turns."""
        prepared = []
        for orders in self.batches:
            count = len(orders.lat)
            types = np.full(count, OrderType.SAME_DAY, dtype=np.int32)
            numbers = pa.array(np.arange(count) % len(CHANNELS), type=pa.int32())
            channels = pa.DictionaryArray.from_arrays(numbers, list(CHANNELS))
            prepared.append({**vars(orders), "order_types": types, "channels": channels})
        return prepared


class Splitting(EngineArrays):
    """As EngineArrays, of orders that may go to several stores: a dry run puts all back."""

    def prepare(self) -> list[dict[str, Any]]:
        """Nothing is kept."""
        return [{**vars(orders), "dry_run": True} for orders in self.batches]

    def undo(self, results: Sequence[fendan.Routed]) -> None:
        """Nothing was reserved."""
        self.decided.same_again(
            np.concatenate([routed.store_codes for routed in results]),
            np.concatenate([routed.distances_m for routed in results]),
        )


# -- THE CHAIN ---------------------------------------------------------------------------------


def ruled_engine(workload: Workload, policy: str, rule: str | None = None) -> fendan.Engine:
    """The chain of the workload, with a profile, an area and shares for every store.

    With a `rule` of ALONE only with what that one asks for.
    """
    engine = engine_for(workload, clock=Noon())
    names = store_ids(workload)
    random = np.random.default_rng([workload.seed, 9])
    profiles = {name: _profile(random, name) for name in names}
    fields = profiles[names[0]].keys() if rule is None else ALONE[rule][1]
    if "areas" in fields:
        engine.set_areas(dict(zip(names, _areas(workload), strict=True)))
    engine.set_store_profiles(
        {
            name: StoreProfile(**{field: profile[field] for field in fields})
            for name, profile in profiles.items()
        }
    )
    if "abilities" in fields:
        needs = SkuProfile(needs=frozenset({"cold_chain"}))
        engine.set_sku_profiles(dict.fromkeys(sku_names(workload)[::20], needs))
    for channel in CHANNELS if rule in (None, SHARES) else ():
        engine.set_shares(
            channel, dict(zip(names, random.uniform(0.5, 1.0, len(names)), strict=True))
        )
    engine.activate_policy(engine.draft_policy(policy))
    return engine


def _profile(random: np.random.Generator, name: str) -> dict[str, Any]:
    """What a store says of itself for all rules: so `random` goes on alike for each of them."""
    return {
        "hours": {"daily": f"{random.integers(6, 10):02d}:00-{random.integers(20, 24)}:00"},
        "order_types": frozenset({OrderType.SAME_DAY, OrderType.INSTANT}),
        "abilities": frozenset({"cold_chain"}) if random.random() < 0.9 else frozenset(),
        "most_open_orders": int(random.integers(50, 200)),
        "most_orders_in_window": 500,
        "priority": int(random.integers(0, 3)),
        "areas": (name,),
    }


def _areas(workload: Workload) -> Iterator[Any]:
    """A rough circle of about 13 km around every store."""
    random = np.random.default_rng([workload.seed, 8])
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    for lat, lng in zip(workload.store_lat, workload.store_lng, strict=True):
        reach = random.uniform(10, 16, len(angles)) / KM_PER_DEGREE
        wide = reach * np.cos(angles) / math.cos(math.radians(lat))
        yield shapely.Polygon(np.column_stack([lng + wide, lat + reach * np.sin(angles)]))


# -- THE ROWS ----------------------------------------------------------------------------------


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    say("stores, stock, orders and rules")
    workload = metro(sizes.stores, sizes.skus, sizes.skus_per_store, sizes.orders, SEED)
    batches = [workload.more_orders(sizes.orders, batch=batch) for batch in range(sizes.batches)]
    plain = EngineArrays(PLAIN, engine_for(workload), workload, batches)
    ruled = UnderRules(RULES, ruled_engine(workload, EVERY_RULE), workload, batches)
    say("two lines an order, in turns")
    rows = list(_compared(plain, ruled, sizes, at_most=2))
    for rule, (policy, _) in ALONE.items():
        say(f"{rule}, alone, in turns")
        alone = UnderRules(rule, ruled_engine(workload, policy, rule), workload, batches)
        rows.append(list(_compared(plain, alone, sizes))[-1])
    say("five lines an order, in turns")
    long = [workload.more_orders(sizes.orders, batch=b, lines=5) for b in range(sizes.batches)]
    whole = Splitting(ONE_LINES, _under(workload, ONE_STORE), workload, long)
    split = Splitting(SPLIT_LINES, _under(workload, FEWEST), workload, long)
    rows += _compared(whole, split, sizes, at_most=5)
    contestants = (plain, ruled, whole, split)
    return Report(
        sizes=sizes,
        machine=machine(),
        seed=SEED,
        decisions={one.name: one.decided.hash for one in contestants},
        assigned={one.name: float((one.decided.store_codes >= 0).mean()) for one in contestants},
        rows=rows,
    )


def _under(workload: Workload, policy: str) -> fendan.Engine:
    engine = engine_for(workload, clock=Noon())
    engine.activate_policy(engine.draft_policy(policy))
    return engine


def _compared(
    less: EngineArrays, more: EngineArrays, sizes: Sizes, at_most: float | None = None
) -> Iterator[Row]:
    """What both take for 10,000 orders, and how many times more the second."""
    seconds = take_turns((less, more), sizes.turns)
    for name, values in seconds.items():
        yield Row.routing(name, values, sizes.orders)
    ratio = median(seconds[more.name]) / median(seconds[less.name])
    yield Row(f"{more.name} / {less.name}", ratio, "times", at_most=at_most)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes and the table."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; one "
        f"thread; {sizes.turns} turns of {sizes.batches} batches of {sizes.orders:,} orders; "
        f"{MILLISECONDS} are for 10,000 orders; seed {report.seed}"
    )
    console.print(as_table(report.rows, judged=sizes == FULL))
    for name, share in report.assigned.items():
        console.print(f"{name}: {share:.1%} assigned, decisions {report.decisions[name]}")


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
