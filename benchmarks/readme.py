"""Write the numbers of the READMEs: `python benchmarks/readme.py`, after a new report.

The tables between the markers are made from the reports in benchmarks/ and from nothing else; a
test makes them again and compares, so that nobody can edit a number. Where there is no report there
is no table. The pictures of door.json and curves.json are drawn, too; other tables of the
benchmarks' own page are made in page.py.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent


class Source(NamedTuple):
    """A report, and the markers around its table."""

    report: str
    begin: str
    end: str


ENGINE = Source("metro.json", "<!-- numbers: benchmarks/readme.py -->", "<!-- end of numbers -->")
SERVICE = Source(
    "service.json",
    "<!-- service numbers: benchmarks/readme.py -->",
    "<!-- end of service numbers -->",
)
JOURNAL = Source(
    "journal.json",
    "<!-- journal numbers: benchmarks/readme.py -->",
    "<!-- end of journal numbers -->",
)
DOOR = Source(
    "door.json", "<!-- door numbers: benchmarks/readme.py -->", "<!-- end of door numbers -->"
)


class Words(NamedTuple):
    """A table in one language."""

    source: Source
    heading: str
    # What the README calls a row of the report, or several that go together.
    names: dict[str, tuple[str, ...]]
    below: str = ""
    # More rows, each with the report that it comes from: there as soon as that report is.
    more: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({})


class Language(NamedTuple):
    """One README and its tables."""

    readme: str
    tables: tuple[Words, ...]


RIVALS = (
    "rivals.json",
    (
        "nearest, then check, in C / fendan",
        "scipy cKDTree + numpy / fendan",
        "Redis, GEOSEARCH + Lua / fendan",
        "PostGIS, KNN + join + update / fendan",
    ),
)
RULES = ("rules.json", ("every rule on / nearest in stock", "5 lines, split / 5 lines, one store"))
INTAKE = ("intake.json", ("all rules",))
WAITING = ("waiting.json", ("ten orders found and assigned",))
PAIR = ("a pair, 10,000 SKUs", "a pair, 100,000 SKUs")
BATCH = ("BatchRoute, p50", "BatchRoute, p99")
OFFERED = ("StreamRoute, offered",)
BURSTS = ("StreamRoute, all at once, p50", "StreamRoute, all at once, p99")
EVENLY = ("StreamRoute, evenly, p50", "StreamRoute, evenly, p99")
CALLS = ("Route, 1 in flight", "Route, 64 in flight", "Route, 1,000 in flight")
AIO = ("aio.Client, 10,000 calls at once, p50", "aio.Client, 10,000 calls at once, p99")
STOCK = ("SetStock, p50", "SetStock, p99")
MEANWHILE = ("Route while stock comes in, p50", "Route while stock comes in, p99")
GROWTH = ("memory, growth an order",)
CROWD = (
    "door.json",
    (
        "in memory, native door, 10,000 in flight",
        "journal synced, native door, 10,000 in flight",
    ),
)
CROWD_P99 = ("door.json", tuple(f"{name}, p99" for name in CROWD[1]))
MANY_MORE = (
    "route_arrays, 10,000 orders, the journal's own",
    "route_arrays, 10,000 orders, the disk's sync",
)
ONE_MORE = ("route, one order, the journal's own", "route, one order, the disk's sync")
ORDER_BYTES = ("journal, bytes an order",)
SNAPSHOT = ("snapshot of 15,007,500 pairs, from the one before",)
DURING = ("… route_arrays of 1,000 orders meanwhile, p99",)
RECOVERY = (
    "recovery of 1,000,000 orders from snapshot and tail",
    "recovery of 1,000,000 orders from the log alone",
)

ENGLISH = Language(
    "README.md",
    (
        Words(
            ENGINE,
            "| | measured | target |",
            {
                "`route_arrays`, 10,000 two-line orders, one thread": ("route_arrays",),
                "`route_batch`, the same as Python `Order` objects": ("route_batch",),
                "60,000 stores / 6,000 stores, as dense": ("60,000 / 6,000 stores, as dense",),
                "memory for a (store, SKU) pair, of 10,000 / 100,000 SKUs": PAIR,
                "loading 15,000,000 stock rows": ("load 15,000,000 rows, int codes",),
            },
            "{processor}, {cores} cores, {vectors}, {system}, Python {python}; seed {seed}, "
            "decisions `{decisions}`; medians.",
            {
                "every rule of a policy on / five lines split, instead of not, take": RULES,
                "the same job in C, store after store / scipy / Redis / PostGIS takes": RIVALS,
                "every intake rule on a two-line order": INTAKE,
                "of 100,000 waiting orders, ten found and tried as stock comes": WAITING,
            },
        ),
        Words(
            SERVICE,
            "| over gRPC (grpcio {grpcio}), client on the same {cores} cores "
            "| p50 / p99 | target |",
            {
                "`BatchRoute`, 10,000 two-line orders": BATCH,
                "`StreamRoute`, 10,000 orders in flight over 8 streams": BURSTS,
                "… offered in bursts of 10,000, open loop": OFFERED,
                "… offered evenly at that rate": EVENLY,
                "`fendan.aio.Client`, 10,000 concurrent `route()`": AIO,
                "unary `Route`, 1 / 64 / 1,000 in flight": CALLS,
                "`SetStock`, 100,000 rows": STOCK,
                "… `Route`, one after another, meanwhile": MEANWHILE,
                "the server's growth an order, over the second million": GROWTH,
            },
            more={
                "native door: 10,000 unary `Route` at once, in memory / synced": CROWD,
                "… until each has its answer, p99": CROWD_P99,
            },
        ),
        Words(
            JOURNAL,
            "| with a journal, synced ({processor}) | measured | target |",
            {
                "10,000 orders take longer by: the journal / the disk's own sync": MANY_MORE,
                "one order takes longer by: the same": ONE_MORE,
                "journal for an order": ORDER_BYTES,
                "snapshot of 15,000,000 (store, SKU) pairs": SNAPSHOT,
                "… `route_arrays`, 1,000 orders, meanwhile: p99": DURING,
                "recovery of 1,000,000 orders: snapshot and tail / log alone": RECOVERY,
            },
        ),
    ),
)
CHINESE = Language(
    "README.zh-CN.md",
    (
        Words(
            ENGINE,
            "| | 实测 | 目标 |",
            {
                "`route_arrays`：10,000 个两行订单，单线程": ("route_arrays",),
                "`route_batch`：同样的订单，Python `Order` 对象": ("route_batch",),
                "60,000 家门店 / 6,000 家门店，密度相同": ("60,000 / 6,000 stores, as dense",),
                "每个（门店，商品）对占用内存，共 10,000 / 100,000 个商品": PAIR,
                "载入 15,000,000 行库存": ("load 15,000,000 rows, int codes",),
            },
            "{processor}，{cores} 核，{vectors}，{system}，Python {python}；种子 {seed}，决策散列 "
            "`{decisions}`；均为中位数。",
            {
                "策略的全部规则生效 / 五行订单拆单，与不用时相比": RULES,
                "同样的工作：C 逐店查找 / scipy / Redis / PostGIS 所用时间": RIVALS,
                "两行订单通过全部接单规则": INTAKE,
                "100,000 个等待订单中，到货后找出并重试十个": WAITING,
            },
        ),
        Words(
            SERVICE,
            "| 经 gRPC（grpcio {grpcio}），客户端共用 {cores} 核 | p50 / p99 | 目标 |",
            {
                "`BatchRoute`：10,000 个两行订单": BATCH,
                "`StreamRoute`：8 条流上同时 10,000 个订单": BURSTS,
                "……每次 10,000 个同时到达，开环": OFFERED,
                "……同样速率，均匀到达": EVENLY,
                "`fendan.aio.Client`：10,000 个并发 `route()`": AIO,
                "单次 `Route`：并发 1 / 64 / 1,000": CALLS,
                "`SetStock`：100,000 行": STOCK,
                "……其间逐个 `Route`": MEANWHILE,
                "服务器内存增长：第二个一百万订单，平均每个": GROWTH,
            },
            more={
                "原生端口：同时 10,000 个单次 `Route`，内存 / 落盘": CROWD,
                "……直到各有答复，p99": CROWD_P99,
            },
        ),
        Words(
            JOURNAL,
            "| 写日志并落盘（{processor}） | 实测 | 目标 |",
            {
                "10,000 个订单多用的时间：日志本身 / 磁盘同步": MANY_MORE,
                "一个订单多用的时间：日志本身 / 磁盘同步": ONE_MORE,
                "每个订单的日志": ORDER_BYTES,
                "15,000,000 个（门店，商品）对的快照": SNAPSHOT,
                "……其间 `route_arrays` 1,000 个订单：p99": DURING,
                "恢复 1,000,000 个订单：快照加其后日志 / 仅凭日志": RECOVERY,
            },
        ),
    ),
)


def _at_once(how: str, door: str, what: str = "") -> tuple[str, ...]:
    """Rows of the door's report, by how many call at once."""
    return tuple(f"{how}, {door}, {callers} in flight{what}" for callers in ("1", "100", "10,000"))


PAGE = Language(
    "benchmarks/README.md",
    (
        Words(
            DOOR,
            "| unary `Route`, 1 / 100 / 10,000 at once | measured | target |",
            {
                "native door, in memory": _at_once("in memory", "native door"),
                "in memory: p50": _at_once("in memory", "native door", ", p50"),
                "in memory: p99": _at_once("in memory", "native door", ", p99"),
                "native door, the journal synced": _at_once("journal synced", "native door"),
                "journal synced: p50": _at_once("journal synced", "native door", ", p50"),
                "journal synced: p99": _at_once("journal synced", "native door", ", p99"),
                "… the disk's own sync of as many bytes as the journal's": (
                    "journal synced, the disk's own sync of as many",
                ),
                "native door, over TLS": _at_once("over TLS", "native door"),
                "over TLS: p99": _at_once("over TLS", "native door", ", p99"),
                "grpcio's port of the same server, in memory": _at_once("in memory", "grpcio"),
                "grpcio's, in memory: p99": _at_once("in memory", "grpcio", ", p99"),
                "the native door / grpcio, in memory": _at_once(
                    "in memory", "native door / grpcio"
                ),
                "memory: an idle connection / a call without its order yet": (
                    "native door, an idle connection",
                    "native door, a call whose order is not there yet",
                ),
            },
            "{processor}, {cores} cores, {system}, Python {python}, grpcio {grpcio}; seed {seed}.",
        ),
    ),
)
DIGITS = {"ms": 1, "times": 1, "bytes": 1, "s": 1, "orders/s": 0, "calls/s": 0, "us an order": 2}
UNITS = {"times": "×"}


def table(report: dict[str, Any], words: Words) -> str:
    """The numbers as a Markdown table, with what is to be said of them below."""
    facts = {**report, **report["machine"]}
    lines = [words.heading.format(**facts), "|---|---:|---:|"]
    lines += [_line(label, report, names) for label, names in words.names.items()]
    for label, (other, names) in words.more.items():
        if (HERE / other).exists():
            lines.append(_line(label, _read(other), names))
    below = ["", words.below.format(**facts)] if words.below else []
    return "\n".join([*lines, *below])


def _line(label: str, report: dict[str, Any], names: tuple[str, ...]) -> str:
    by_name = {row["name"]: row for row in report["rows"]}
    rows = [by_name[name] for name in names]
    return f"| {label} | {_amount(rows)} | {_target(rows)} |"


def _read(name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((HERE / name).read_text(encoding="utf-8"))
    return report


def _amount(rows: list[dict[str, Any]]) -> str:
    unit = rows[0]["unit"]
    digits = DIGITS[unit]
    if unit == "ms" and all(row["value"] < 1 for row in rows):
        digits += 1
    values = [f"{row['value']:,.{digits}f}" for row in rows]
    return " / ".join(values) + UNITS.get(unit, " " + unit)


def _target(rows: list[dict[str, Any]]) -> str:
    bounds = [_bound(row) for row in rows]
    return " / ".join(bound or "–" for bound in bounds) if any(bounds) else ""


def _bound(row: dict[str, Any]) -> str:
    if row["at_least"] is not None:
        return f"≥ {row['at_least']:g}"
    return "" if row["at_most"] is None else f"≤ {row['at_most']:g}"


def with_numbers(text: str, words: Words) -> str:
    """A README with the part between the markers of one table replaced, from its report."""
    source, made = words.source, ""
    if (HERE / source.report).exists():
        made = table(_read(source.report), words) + "\n"
    before, rest = text.split(source.begin)
    _, after = rest.split(source.end)
    return f"{before}{source.begin}\n{made}{source.end}{after}"


def main() -> None:
    """Renew the tables of the READMEs and of the benchmarks' own page, and the picture."""
    for language in (ENGLISH, CHINESE, PAGE):
        readme = HERE.parent / language.readme
        text = readme.read_text(encoding="utf-8")
        for words in language.tables:
            text = with_numbers(text, words)
        readme.write_text(text, encoding="utf-8")
    import curves_picture
    import door_picture
    import page

    page.main()
    for picture in (door_picture, curves_picture):
        if picture.REPORT.exists():
            picture.main()


if __name__ == "__main__":
    main()
