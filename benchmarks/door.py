"""Both doors, besieged: `python benchmarks/door.py [--smoke] [--json FILE]`.

Unary Route, an order a call, by ever more callers at once: through the native door and through
grpcio's port of the same server, in turns, whose medians are told; with everything in memory, with
the journal synced before each answer, and over TLS. Server and load are two processes on the same
cores, connected by loopback; nothing is pinned. How the load works is in crowd.py. `--smoke` runs
all of it in tiny sizes, where the targets mean nothing.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

import command
import door_memory
from certificate import certificate
from crowd import MOST_CONNECTIONS, ROUTE, Crowd, Requests, Waits
from fendan.engine.link import Tls
from fendan.v1.routing_service_pb2 import RouteRequest
from fendan.workloads.workload import metro
from journal import Disk
from machine import machine
from rows import Row, as_table
from served import ANY_PORT, Chain, Served

SEED = 1
MEMORY, JOURNAL, TLS = "in memory", "journal synced", "over TLS"
NATIVE, GRPCIO = "native door", "grpcio"
P99_MS, FEW_P50_MS, FEW = 50, 0.3, 100
LEAST_PER_S = {MEMORY: 150_000, JOURNAL: 100_000}
LEAST_RATIO = 40
DISK_SYNCS = 100


@dataclass(frozen=True)
class Sizes:
    """How large everything is, and how often it is done. The target sizes are the defaults."""

    stores: int = 6000
    skus: int = 10_000
    skus_per_store: int = 2500
    callers: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    orders: tuple[int, ...] = (3_000, 20_000, 60_000, 150_000, 300_000)
    orders_of_grpcio: tuple[int, ...] = (500, 1_500, 3_000, 6_000, 20_000)
    warm: int = 300  # orders before those that count; and as many as there are callers
    turns: int = 5  # of all of these, first at one door and then at the other
    idle_connections: int = 1_000
    open_streams: int = 8_000
    frames: int = 100_000  # requests of h2load

    @property
    def all_orders(self) -> int:
        """What one server is sent."""
        warm = sum(self.warm + callers for callers in self.callers)
        return self.turns * (sum(self.orders) + sum(self.orders_of_grpcio) + 2 * warm)


FULL = Sizes()
SMOKE = Sizes(
    stores=60,
    skus=50,
    skus_per_store=50,
    callers=(1, 20),
    orders=(40, 200),
    orders_of_grpcio=(20, 60),
    warm=10,
    turns=2,
    idle_connections=10,
    open_streams=20,
    frames=100,
)


@dataclass(frozen=True)
class Point:
    """How long callers waited at one door of one server, when so many called at once.

    Each number of `waits` is the median of its turns, of `least` and `most` the least and the most.
    """

    how: str
    door: str
    callers: int
    waits: Waits
    least: Waits
    most: Waits


@dataclass
class Report:
    """All that a run found."""

    sizes: Sizes
    machine: dict[str, str]
    seed: int
    rows: list[Row] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


def measure(sizes: Sizes, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run everything; `say` hears what is under way."""
    where = {**machine(), "grpcio": version("grpcio")}
    report = Report(sizes, where, SEED)
    say("orders")
    requests = Requests.of(
        metro(sizes.stores, sizes.skus, 1, orders=1, seed=SEED), sizes.all_orders
    )
    with tempfile.TemporaryDirectory(prefix="fendan-door-") as name:
        folder = Path(name)
        say("memory of connections and streams")
        with _served(SMOKE) as server:  # what it has in stock is of no account here
            report.rows += door_memory.rows(server, sizes.idle_connections, sizes.open_streams)
        with _served(sizes) as server:
            _besiege(report, server, requests, MEMORY, say)
            report.rows += _frames(server, sizes, folder, say)
        data = folder / "data"
        with _served(sizes, folder=data) as server:
            before = server.read().journal  # the stock stands in it, too
            _besiege(report, server, requests, JOURNAL, say)
            report.rows += _disk(server, folder, before)
        shutil.rmtree(data)
        files = certificate(folder)
        settings = {"tls.certificate": str(files.certificate), "tls.key": str(files.key)}
        with _served(sizes, settings) as server:
            trusting = Tls.client("localhost", ca=files.certificate)
            _besiege(report, server, requests, TLS, say, trusting)
    report.rows = [*_rows(report.points), *report.rows]
    return report


@contextmanager
def _served(
    sizes: Sizes, settings: Mapping[str, object] | None = None, folder: Path | None = None
) -> Iterator[Served]:
    """A server with both doors, which lets one connection have as many streams as are measured."""
    chain = Chain(sizes.stores, sizes.skus, sizes.skus_per_store, SEED, 1_000_000)
    wanted = {"door.listen": ANY_PORT, "limits.concurrent_streams": 2_000, **(settings or {})}
    with Served(chain, wanted, folder) as server:
        yield server


def _besiege(
    report: Report,
    server: Served,
    requests: Requests,
    how: str,
    say: Callable[[str], None],
    tls: Tls | None = None,
) -> None:
    """Ever more callers, at one door and then at the other, in turns."""
    sizes, crowd = report.sizes, Crowd(requests)
    for place, callers in enumerate(sizes.callers):
        turns: dict[str, list[Waits]] = {NATIVE: [], GRPCIO: []}
        for turn in range(sizes.turns):
            for door, address, orders in (
                (NATIVE, server.door, sizes.orders[place]),
                (GRPCIO, server.address, sizes.orders_of_grpcio[place]),
            ):
                say(f"{how}, {door}, {callers:,} in flight, turn {turn + 1} of {sizes.turns}")
                turns[door].append(crowd.call(address, callers, sizes.warm + callers, orders, tls))
        for door, waits in turns.items():
            over = (Waits.over(waits, choose) for choose in (median, min, max))
            report.points.append(Point(how, door, callers, *over))


# -- ROWS --------------------------------------------------------------------------------------


def _rows(points: Sequence[Point]) -> Iterator[Row]:
    for point in points:
        native = point.door == NATIVE
        name = f"{point.how}, {point.door}, {point.callers:,} in flight"
        most = native and point.callers == max(FULL.callers) and point.how in LEAST_PER_S
        few = native and point.callers <= FEW and point.how == MEMORY
        least = LEAST_PER_S[point.how] if most else None
        for number, says, unit, at_least, at_most in (
            ("per_s", "", "orders/s", least, None),
            ("p50_ms", ", p50", "ms", None, FEW_P50_MS if few else None),
            ("p90_ms", ", p90", "ms", None, None),
            ("p99_ms", ", p99", "ms", None, P99_MS if most else None),
            ("p999_ms", ", p99.9", "ms", None, None),
        ):
            value, low, high = (
                getattr(waits, number) for waits in (point.waits, point.least, point.most)
            )
            yield Row(f"{name}{says}", value, unit, low, high, at_least, at_most)
    by_name = {(point.how, point.door, point.callers): point.waits for point in points}
    for (how, door, callers), waits in by_name.items():
        if door == NATIVE:
            ratio = waits.per_s / by_name[how, GRPCIO, callers].per_s
            most = how == MEMORY and callers == max(FULL.callers)
            name = f"{how}, {NATIVE} / {GRPCIO}, {callers:,} in flight"
            yield Row(name, ratio, "times", at_least=LEAST_RATIO if most else None)


def _disk(server: Served, folder: Path, before: tuple[int, int]) -> Iterator[Row]:
    """What the disk alone takes to sync as many bytes as the journal did at a time since then."""
    written, syncs = (now - then for now, then in zip(server.read().journal, before, strict=True))
    disk = Disk(folder / "zeros")
    size = written // syncs
    took_ms = [1e3 * disk.sync_s(size) for _ in range(DISK_SYNCS)]
    yield Row(f"{JOURNAL}, bytes a sync", size, "bytes")
    name = f"{JOURNAL}, the disk's own sync of as many"
    yield Row.of(name, took_ms, "ms")


def _frames(
    server: Served, sizes: Sizes, folder: Path, say: Callable[[str], None]
) -> Iterator[Row]:
    """What h2load says, where it is installed: one order again and again, all but one retries.

    A dry run would not do: the door gathers plain orders only, and answers others one by one.
    """
    h2load = shutil.which("h2load")
    if h2load is None:
        return
    say("h2load")
    callers = max(sizes.callers)
    request = RouteRequest()
    request.order.id, request.order.lat, request.order.lng = "again", 31.2, 121.5
    request.order.lines.add(sku="SKU-000001", quantity=1)
    message = request.SerializeToString()
    body = folder / "body"
    body.write_bytes(b"\0" + len(message).to_bytes(4) + message)
    options = ["-n", sizes.frames, "-c", MOST_CONNECTIONS, "-m", callers // MOST_CONNECTIONS or 1]
    headers = ["-H", "te: trailers", "-H", "content-type: application/grpc", "-d", body]
    told = subprocess.run(
        [h2load, *map(str, [*options, *headers]), f"http://{server.door}{ROUTE}"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    found = re.search(r"finished in [^,]+, ([\d.]+) req/s", told)
    done = re.search(rf"{sizes.frames} succeeded", told)
    if found is None or done is None:
        raise RuntimeError(told)
    yield Row("h2load, one order again and again", float(found[1]), "calls/s")


# -- THE PRINT ---------------------------------------------------------------------------------


def show(report: Report, console: Console) -> None:
    """Print the sizes, a line for each number of callers, and the rest."""
    sizes = report.sizes
    console.print(
        f"{sizes.stores:,} stores, {sizes.skus:,} SKUs, {sizes.skus_per_store:,} in a store; every "
        f"request another order of two lines; load and server on the same cores; seed {report.seed}"
    )
    table = Table("", "", "callers", "orders/s", "p50 ms", "p90", "p99", "p99.9")
    for column in table.columns[2:]:
        column.justify = "right"
    for point in report.points:
        waits = point.waits
        times = (waits.p50_ms, waits.p90_ms, waits.p99_ms, waits.p999_ms)
        counts = (f"{point.callers:,}", f"{waits.per_s:,.0f}")
        table.add_row(point.how, point.door, *counts, *(f"{ms:,.2f}" for ms in times))
    console.print(table)
    named = re.compile(r"in flight(, p\d.*)?$")
    rest = [row for row in report.rows if row.met is not None or not named.search(row.name)]
    console.print(as_table(rest, judged=sizes == FULL))


def main(arguments: Sequence[str] | None = None) -> Report:
    """What the command line asks for; `arguments` as on it."""
    return command.run(arguments, __doc__, measure, show, full=FULL, smoke=SMOKE)


if __name__ == "__main__":
    main()
