"""How it grows: `python benchmarks/curves.py [--smoke] [--json FILE] [NAME ...]`.

Time for an order and bytes for a (store, SKU) pair, while one thing grows and all else stays.
Beside what is measured stands what should be: a part that stays, and a part that grows as the
search and the layout say it must (ARCHITECTURE.md). The two parts are fitted; the shape is not.
`off` is how far the worst point is from it. `--smoke` runs all of it in tiny sizes.
"""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import nnls

import command
import fendan
from contest import EngineArrays, take_turns
from fendan.engine.network import FILL
from fendan.workloads.workload import Workload, metro, store_ids
from machine import machine
from rows import Row
from workload import engine_for

SEED = 1
ORDERS_A_POINT = 50_000  # at most, in batches
MOST_CALLS, FEWEST_CALLS = 200, 3
TURNS = 3
ANYWHERE = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
steps = ["NATIONWIDE"]
split = { mode = "NEVER" }
"""
COUNT_BYTES, LEAF_BYTES = 8.0, 20.0  # of a pair; of a leaf for each SKU: two words and a base


@dataclass(frozen=True)
class Point:
    """Everything that can grow. `density`: the share of the SKUs that a store lists."""

    stores: int = 6000
    skus: int = 2000
    density: float = 0.25
    lines: int = 2
    batch: int = 10_000
    regions: int = 0  # 0: no policy

    @property
    def looks(self) -> float:
        """How many leaves are looked at until one holds a store with every line.

        A store has all lines with the chance density^lines. A leaf without any store for one of the
        lines is skipped by its summary bit; and there are no more leaves than there are.
        """
        has_all = 1 - (1 - self.density**self.lines) ** FILL
        is_seen = (1 - (1 - self.density) ** FILL) ** self.lines
        return is_seen * min(self.stores / FILL, 1 / has_all)

    @property
    def bytes_a_pair(self) -> float:
        """What the layout says: a count, and its share of the SKU's bitmaps."""
        return COUNT_BYTES + LEAF_BYTES / (FILL * self.density)


@dataclass(frozen=True)
class Curve:
    """What grows, through which values, and what the time should grow with."""

    what: str
    values: tuple[float, ...]
    tiny: tuple[float, ...]
    growth: Callable[[Point], float] | None  # None: not at all
    says: str
    others: Mapping[str, Any] = field(default_factory=dict)

    def points(self, *, smoke: bool) -> list[Point]:
        """All else as it is, or small."""
        rest = replace(Point(), stores=300, skus=200, batch=100) if smoke else Point()
        rest = replace(rest, **self.others)
        values = self.tiny if smoke else self.values
        return [Point(**{**asdict(rest), self.what: value}) for value in values]


EVER_MORE = (1000, 3000, 10_000, 30_000, 100_000)
CURVES = {
    curve.what: curve
    for curve in (
        Curve(
            what="stores",
            values=EVER_MORE,
            tiny=(100, 200, 400),
            growth=lambda point: math.log2(point.stores),
            says="a step of the search a doubling",
        ),
        Curve(
            what="skus",
            values=EVER_MORE,
            tiny=(100, 200, 400),
            growth=None,
            says="not at all",
            others={"stores": 2000},
        ),
        Curve(
            what="lines",
            values=(1, 2, 3, 5, 8, 12, 20),
            tiny=(1, 2, 5),
            growth=lambda point: point.lines * point.looks,
            says="lines × leaves looked at",
            others={"density": 0.8},
        ),
        Curve(
            what="density",
            values=(0.01, 0.03, 0.1, 0.25, 0.5, 1.0),
            tiny=(0.05, 0.2, 1.0),
            growth=lambda point: point.looks,
            says="leaves looked at",
        ),
        Curve(
            what="batch",
            values=(1, 10, 100, 1000, 10_000, 100_000),
            tiny=(1, 10, 100),
            growth=lambda point: 1 / point.batch,
            says="a call's own time, shared by its orders",
        ),
        Curve(
            what="regions",
            values=(1, 4, 16, 64, 256),
            tiny=(1, 4),
            growth=None,
            says="not at all",
            # Else a region of so few stores would have nobody for many orders, which costs more.
            others={"density": 0.8},
        ),
    )
}


@dataclass(frozen=True)
class Measured:
    """A point of a curve, and what it should be; microseconds for an order.

    Half of the batches took from `low_us` to `high_us`.
    """

    at: Point
    us: float
    low_us: float
    high_us: float
    expected_us: float
    bytes_a_pair: float
    expected_bytes: float


@dataclass(frozen=True)
class Grown:
    """A curve that was measured; `off`: how many times the worst point is from its shape."""

    what: str
    says: str
    points: list[Measured]
    off: float


@dataclass
class Report:
    """All that a run found."""

    machine: dict[str, str]
    seed: int
    smoke: bool
    curves: list[Grown]
    rows: list[Row]


# -- MEASURING ---------------------------------------------------------------------------------


class Regional(EngineArrays):
    """As EngineArrays, of orders that say their region."""

    regions = 0

    def prepare(self) -> list[dict[str, Any]]:
        """Each order is of the region in whose strip it lies."""
        prepared = super().prepare()
        if self.regions:
            edges = _edges(self._restock.workload, self.regions)
            for given, orders in zip(prepared, self.batches, strict=True):
                strips = np.clip(np.searchsorted(edges, orders.lng) - 1, 0, self.regions - 1)
                names = [f"R{strip}" for strip in strips.tolist()]
                given.update(regions=names)
        return [dict(given) for given in prepared]


def _edges(workload: Workload, regions: int) -> Any:
    """The country in strips of as many stores each, from west to east."""
    return np.quantile(workload.store_lng, np.linspace(0, 1, regions + 1))


def _govern(engine: fendan.Engine, workload: Workload, regions: int) -> None:
    """Orders of a region go to its own stores."""
    edges = _edges(workload, regions)
    strips = np.clip(np.searchsorted(edges, workload.store_lng) - 1, 0, regions - 1)
    names = store_ids(workload)
    places = zip(names, workload.store_lat, workload.store_lng, strips.tolist(), strict=True)
    engine.update_stores(
        [fendan.Store(id=name, lat=y, lng=x, region=f"R{s}") for name, y, x, s in places]
    )
    overrides = [
        f'[[override]]\nregion = ["R{strip}"]\nstore_regions = ["R{strip}"]\n'
        for strip in range(regions)
    ]
    engine.activate_policy(engine.draft_policy("\n".join([ANYWHERE, *overrides])))


def _timed(point: Point) -> tuple[list[float], float]:
    """Microseconds for an order, of each batch; and bytes for a pair."""
    listed = max(1, int(point.skus * point.density))
    workload = metro(point.stores, point.skus, listed, orders=1, seed=SEED)
    calls = min(MOST_CALLS, max(FEWEST_CALLS, ORDERS_A_POINT // point.batch))
    batches = [
        workload.more_orders(point.batch, lines=point.lines, batch=call) for call in range(calls)
    ]
    engine = engine_for(workload)
    if point.regions:
        _govern(engine, workload, point.regions)
    contestant = Regional("", engine, workload, batches)
    contestant.regions = point.regions
    (seconds,) = take_turns([contestant], TURNS).values()
    return [1e6 * value / point.batch for value in seconds], engine.memory_bytes / engine.pair_count


def _expected(curve: Curve, points: Sequence[Point], us: Sequence[float]) -> list[float]:
    """The shape, fitted: least squares of what is relatively off, no part below nothing."""
    columns = [np.ones(len(points))]
    if curve.growth is not None:
        columns.append(np.array([curve.growth(point) for point in points], dtype=float))
    shape = np.stack(columns, axis=1)
    parts, _ = nnls(shape / np.asarray(us)[:, None], np.ones(len(points)))
    return [float(value) for value in shape @ parts]


def grow(curve: Curve, *, smoke: bool, say: Callable[[str], object]) -> Grown:
    """Measure one curve."""
    points, times, memory = curve.points(smoke=smoke), [], []
    for point in points:
        say(f"{curve.what}: {getattr(point, curve.what):,}")
        us, bytes_a_pair = _timed(point)
        times.append(us)
        memory.append(bytes_a_pair)
        gc.collect()
    middle = [median(us) for us in times]
    expected = _expected(curve, points, middle)
    return Grown(
        what=curve.what,
        says=curve.says,
        points=[
            Measured(
                *(point, mid, *np.percentile(us, (25, 75)).tolist()),
                *(due, found, point.bytes_a_pair),
            )
            for point, mid, us, due, found in zip(
                points, middle, times, expected, memory, strict=True
            )
        ],
        off=max(max(a / b, b / a) for a, b in zip(middle, expected, strict=True)),
    )


def measure(names: Sequence[str], *, smoke: bool, say: Callable[[str], object]) -> Report:
    """Run these curves; `say` hears what is under way."""
    curves = [grow(CURVES[name], smoke=smoke, say=say) for name in names]
    rows = [Row(f"{one.what}, off the shape", one.off, "times") for one in curves]
    return Report(machine(), SEED, smoke, curves, rows)


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print a table a curve."""
    for curve in report.curves:
        title = f"{curve.what}; should grow: {curve.says}; off by at most {curve.off:.2f}×"
        table = Table("", "µs an order", "expected", "bytes a pair", "expected", title=title)
        for point in curve.points:
            table.add_row(
                f"{asdict(point.at)[curve.what]:,}",
                *(f"{point.us:,.3f}", f"{point.expected_us:,.3f}"),
                *(f"{point.bytes_a_pair:,.1f}", f"{point.expected_bytes:,.1f}"),
            )
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run_some(
        arguments,
        __doc__,
        list(CURVES),
        lambda names, smoke, say: measure(names, smoke=smoke, say=say),
        show,
    )


if __name__ == "__main__":
    main()
