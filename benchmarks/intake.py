"""What judging orders costs: `python benchmarks/intake.py [--smoke] [--json FILE]`.

Orders as platforms send them, made ours, over the chain *metro*: every rule is on and has what it
compares with, such as list prices, barcodes, units, hidden SKUs, held buyers and the orders before.
Most orders are as they should be, and of a few each rule has something to find. The texts of each
batch are new objects, as parsers make them, whose hashes nobody has worked out yet. Then each rule
alone, which pays for all that it alone looks up.
`--smoke` runs all of it in tiny sizes, where the targets mean nothing.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

import command
from fendan.intake.config import Config
from fendan.intake.items import Item
from fendan.intake.judge import Judged, judge
from fendan.intake.knowledge import Knowledge
from fendan.intake.received import Received
from fendan.intake.rules import RULES
from fendan.rules import OrderType
from fendan.workloads.workload import Workload, metro, sku_names
from machine import machine
from rows import Row, as_table
from workload import NOON_NS, Noon, engine_for

SEED = 1
CHANNELS = ("meituan", "eleme", "jd", "douyin", "taobao", "wechat", "shop", "pos")
UNITS = ("瓶", "盒", "袋", "500g")
MINUTE_NS = 60 * 10**9
ODD = 100  # one order in so many has something that is not as it should be
TARGET_US = 1.0


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    orders: int = 10_000
    buyers: int = 1_000_000
    batches: int = 15


FULL = Sizes()
SMOKE = Sizes(stores=300, skus=500, skus_per_store=125, orders=1000, buyers=10_000, batches=3)


@dataclass
class Report:
    """All that a run found. `findings`: a hash of what the rules found."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    findings: str
    orders_found: dict[str, int]
    rows: list[Row]


# -- THE ORDERS --------------------------------------------------------------------------------


def knowledge_of(workload: Workload, sizes: Sizes) -> Knowledge:
    """An engine with the chain of the workload, and an item for each SKU."""
    engine = engine_for(workload, clock=Noon())
    for number, channel in enumerate(CHANNELS):
        engine.set_hidden_skus(channel, sku_names(workload)[number :: 10 * ODD])
    items = [
        Item(
            sku=name,
            list_price=price_of(code),
            barcodes=(f"69{code:011d}",),
            unit=UNITS[code % len(UNITS)],
            restricted=code % (20 * ODD) == 7,
            protected_pieces=20 if code % ODD == 9 else 0,
            most_per_order=1 if code % ODD == 11 else 0,
        )
        for code, name in enumerate(sku_names(workload))
    ]
    held = frozenset(f"buyer-{number:09d}" for number in range(0, sizes.buyers, 10 * ODD))
    config = Config(channels=CHANNELS, paused_channels=(), held_buyers=held, reach_km=20.0)
    return Knowledge(engine, config, items)


def price_of(code: int) -> int:
    """Of a SKU, in fen."""
    return 100 + code % 5000


def received(workload: Workload, sizes: Sizes, batch: int) -> Received:
    """One batch; each call makes its texts anew."""
    orders = workload.more_orders(sizes.orders, batch=batch)
    random = np.random.default_rng([SEED, 17, batch])
    count, lines = len(orders), len(orders.skus)
    odd = random.random(count) < 1 / ODD
    skus = np.where(random.random(lines) < 1 / (20 * ODD), sizes.skus + 1, orders.skus)
    price = 100 + skus % 5000 + np.where(random.random(lines) < 1 / ODD, 9999, 0)
    quantity = orders.quantities.astype(np.int64)
    line_total = price * quantity
    item_total = np.add.reduceat(line_total, orders.offsets[:-1])
    placed_ns = NOON_NS - random.integers(0, 30 * MINUTE_NS, count)
    buyers = random.integers(0, sizes.buyers, count)
    nothing = np.full(count, np.iinfo(np.int64).min)
    return Received(
        order_ids=[f"{batch}-{number:07d}" for number in range(count)],
        platforms=[CHANNELS[number % len(CHANNELS)] for number in range(count)],
        channels=_texts(CHANNELS[number] for number in random.integers(0, len(CHANNELS), count)),
        order_type=np.full(count, OrderType.INSTANT, dtype=np.int8),
        lat=np.where(odd, orders.lng, orders.lat),
        lng=np.where(odd, orders.lat, orders.lng),
        placed_ns=placed_ns,
        promised_from_ns=nothing,
        promised_until_ns=placed_ns + 60 * MINUTE_NS,
        presale_ship_ns=nothing,
        pickup_store_ids=[""] * count,
        group_ids=[""] * count,
        regions=[""] * count,
        buyer_ids=[f"buyer-{number:09d}" for number in buyers],
        address_ids=[f"address-{number:09d}" for number in buyers],
        member_tier=np.zeros(count, dtype=np.int8),
        item_total=item_total,
        order_total=item_total + 500,
        other_charges=np.full(count, 500, dtype=np.int64),
        discount=np.zeros(count, dtype=np.int64),
        payload=np.arange(count, dtype=np.int64),
        line_start=np.asarray(orders.offsets, dtype=np.int64),
        skus=[f"SKU-{code:06d}" for code in skus],
        barcodes=[f"69{code:011d}" for code in skus],
        units=_texts(UNITS[code % len(UNITS)] for code in skus),
        quantity=quantity,
        unit_price=price.astype(np.int64),
        line_total=line_total,
    )


def _texts(texts: Iterable[str]) -> list[str]:
    """Each as an object of its own."""
    return [text.encode().decode() for text in texts]


# -- THE ROWS ----------------------------------------------------------------------------------


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    say("stores, stock and items")
    workload = metro(sizes.stores, sizes.skus, sizes.skus_per_store, sizes.orders, SEED)
    knowledge = knowledge_of(workload, sizes)
    known = knowledge.now()
    config = Config()
    judge(received(workload, sizes, 0), known, config)  # what is drawn once
    say("all rules")
    seconds, busy, found = [], [], []
    for batch in range(1, 1 + sizes.batches):
        orders = received(workload, sizes, batch)
        start, start_busy = time.perf_counter(), time.thread_time()
        found.append(judge(orders, knowledge.now(), config))
        seconds.append(time.perf_counter() - start)
        busy.append(time.thread_time() - start_busy)
    rows = [_row("all rules", seconds, sizes, TARGET_US), _row("… on the processor", busy, sizes)]
    off = Config()
    for rule in RULES:
        off = off.with_rule(rule.code, enabled=False)
    for rule in RULES:
        say(f"{rule.code}, alone")
        alone, seconds = off.with_rule(rule.code, enabled=True), []
        for _ in range(3):
            orders = received(workload, sizes, 0)
            start = time.perf_counter()
            judge(orders, known, alone)
            seconds.append(time.perf_counter() - start)
        rows.append(_row(f"{rule.code}, alone", seconds, sizes))
    counts: dict[str, int] = {}
    for judged in found:
        for (code, _), orders_found in judged.counts().items():
            counts[code] = counts.get(code, 0) + orders_found
    return Report(sizes, machine(), SEED, _hash(found), counts, rows)


def _row(name: str, seconds: Sequence[float], sizes: Sizes, at_most: float | None = None) -> Row:
    us = [1e6 * value / sizes.orders for value in seconds]
    return Row.of(name, us, "us an order", at_most=at_most)


def _hash(found: Sequence[Judged]) -> str:
    digest = hashlib.sha256()
    for judged in found:
        for column in (judged.order, judged.line, judged.rule, judged.severity):
            digest.update(column.tobytes())
    return digest.hexdigest()[:16]


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes and the table."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {len(RULES)} rules; one thread; "
        f"{sizes.batches} batches of {sizes.orders:,} orders of two lines; seed {report.seed}"
    )
    console.print(as_table(report.rows, judged=sizes == FULL))
    told = ", ".join(f"{code} {count:,}" for code, count in report.orders_found.items())
    console.print(f"found {report.findings}: {told}")


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
