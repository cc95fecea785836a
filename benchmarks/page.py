"""The tables of benchmarks/README.md that are no rows of a report; written by `readme.py`.

Each stands between two markers and is made from one report, and from nothing else; a test makes
them again and compares. Where there is no report there is no table.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"

Report = dict[str, Any]


def workloads(report: Report) -> str:
    """What each workload stands for, and what came of it."""
    lines = _table(
        "workload | stands for | stores × SKUs, in each | 10,000 orders | filled "
        "| bytes a pair | decisions",
        (
            f"`{one['name']}` | {one['size']['stands_for']} | {_sizes(one['size'])} "
            f"| {one['ms']:,.1f} ms | {one['assigned']:.1%} | {one['bytes_a_pair']:.1f} "
            f"| `{one['decisions']}`"
            for one in report["workloads"]
        ),
    )
    by_name = {one["name"]: one for one in report["workloads"]}
    said = [_machine(report)]
    if "peak" in by_name:
        times = " → ".join(f"{ms:.1f}" for ms in by_name["peak"]["by_batch_ms"])
        said.append(f"*peak*, batch after batch, as goods sell out: {times} ms.")
    return "\n".join([*lines, "", " ".join([*said, *_not_run(report)])])


def _sizes(size: Report) -> str:
    return f"{size['stores']:,} × {size['skus']:,}, {size['skus_per_store']:,}"


def rivals(report: Report) -> str:
    """Who else does the job, in what time, and with which decisions."""
    rows = {row["name"]: row["value"] for row in report["rows"]}
    told = {one["peer"]: one for one in report["agreements"]}
    lines = _table(
        "10,000 orders of *metro*, reserved | time | times Fendan's | decided alike",
        (
            f"{name} | {value:,.1f} ms | {rows.get(f'{name} / fendan', 1.0):,.1f} "
            f"| {_alike(told.get(name))}"
            for name, value in rows.items()
            if " / fendan" not in name
        ),
    )
    sizes = report["sizes"]
    said = (
        f"{_machine(report)} Decisions `{report['decisions']}`; medians of {sizes['turns']} turns."
    )
    return "\n".join([*lines, "", " ".join([said, *_not_run(report)])])


def _alike(agreement: Report | None) -> str:
    return "" if agreement is None else f"{agreement['same']:,} of {agreement['orders']:,}"


def arrivals(report: Report) -> str:
    """How long orders wait that come as they really came."""
    lines = _table(
        "orders/s, the mean / the busiest hundredth | largest turn | p50 | p99 | p99.9 | most",
        (
            f"{one['curve']}: {one['offered_per_s']:,} / {one['busiest_per_s']:,.0f} "
            f"| {one['largest_turn']:,} | {one['p50_ms']:,.2f} | {one['p99_ms']:,.2f} "
            f"| {one['p999_ms']:,.2f} | {one['most_ms']:,.2f} ms"
            for one in report["waits"]
        ),
    )
    return "\n".join([*lines, "", " ".join([_machine(report), *_not_run(report)])])


def curves(report: Report) -> str:
    """What should grow with what, and how far from that it is."""
    lines = _table(
        "what grows | through | time for an order | should grow | off by at most",
        (
            f"{one['what']} | {_at(one, 0)} … {_at(one, -1)} "
            f"| {one['points'][0]['us']:.2f} … {one['points'][-1]['us']:.2f} µs | {one['says']} "
            f"| {one['off']:.2f}×"
            for one in report["curves"]
        ),
    )
    return "\n".join([*lines, "", _machine(report)])


def _at(curve: Report, place: int) -> str:
    return f"{curve['points'][place]['at'][curve['what']]:,g}"


def instructions(report: Report) -> str:
    """What the guard has on record, for one order."""
    lines = _table(
        "work | instructions each",
        (
            f"{name.replace('_', ' ')} | {count / report['orders']:,.0f}"
            for name, count in report["instructions"].items()
        ),
    )
    recorded = ", ".join(f"{what} {value}" for what, value in report["depends_on"].items())
    return "\n".join([*lines, "", f"Recorded with: {recorded}."])


def misses(report: Report) -> str:
    """What an order costs in branches and caches, simulated, and counted where possible."""
    if not report["workloads"]:
        return " ".join(_not_run(report))
    whats = list(report["workloads"][0]["simulated"])
    lines = _table(
        f"for one order | | {' | '.join(whats)}",
        (
            f"`{one['name']}` | {how} | {' | '.join(_count(counts.get(what)) for what in whats)}"
            for one in report["workloads"]
            for how, counts in (("simulated", one["simulated"]), ("counted", one["counted"]))
            if counts
        ),
    )
    first, last = report["caches"]
    said = f"{_machine(report)} Simulated with caches of {first} and {last}."
    return "\n".join([*lines, "", " ".join([said, *_not_run(report)])])


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


class Section(NamedTuple):
    """A table and where it comes from."""

    report: str
    table: Callable[[Report], str]


SECTIONS = {
    "workloads": Section("workloads.json", workloads),
    "rivals": Section("rivals.json", rivals),
    "arrivals": Section("arrivals.json", arrivals),
    "curves": Section("curves.json", curves),
    "instructions": Section("instructions.json", instructions),
    "misses": Section("misses.json", misses),
}


def _table(heading: str, rows: Iterable[str]) -> list[str]:
    columns = heading.count("|") + 1
    return [f"| {heading} |", "|---" * columns + "|", *(f"| {row} |" for row in rows)]


def _machine(report: Report) -> str:
    where = report["machine"]
    return (
        f"{where['processor']}, {where['cores']} cores, {where['vectors']}, {where['system']}, "
        f"Python {where['python']}; seed {report['seed']}."
    )


def _not_run(report: Report) -> list[str]:
    return [f"Not run: *{name}*, {why}." for name, why in report["not_run"].items()]


def with_tables(text: str) -> str:
    """The page with what is between the markers replaced, from the reports."""
    for name, section in SECTIONS.items():
        begin, end = f"<!-- {name}: benchmarks/page.py -->", f"<!-- end of {name} -->"
        made, path = "", HERE / section.report
        if path.exists():
            made = section.table(json.loads(path.read_text(encoding="utf-8"))) + "\n"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{made}{end}{after}"
    return text


def main() -> None:
    """Renew the tables."""
    text = README.read_text(encoding="utf-8")
    README.write_text(with_tables(text), encoding="utf-8")
