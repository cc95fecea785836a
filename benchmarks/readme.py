"""Write the numbers of the READMEs: `python benchmarks/readme.py`, after a new metro.json.

The tables between the markers are made from benchmarks/metro.json and from nothing else; a test
makes them again and compares, so that nobody can edit a number.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- numbers: benchmarks/readme.py -->", "<!-- end of numbers -->"


class Language(NamedTuple):
    """One README and its words."""

    readme: str
    heading: str
    names: dict[str, str]  # a row of metro.py -> what the README calls it
    machine: str


ENGLISH = Language(
    "README.md",
    "| | measured | target |",
    {
        "route_arrays": "`route_arrays`, 10,000 two-line orders, one thread",
        "route_batch": "`route_batch`, the same as Python `Order` objects",
        "scipy + numpy": "scipy `cKDTree` (64 nearest) + numpy stock filter",
        "scipy + numpy / route_arrays": "scipy + numpy / `route_arrays`",
        "60,000 / 6,000 stores, as dense": "60,000 stores / 6,000 stores, as dense",
        "a pair, 10,000 SKUs": "memory for a (store, SKU) pair",
        "a pair, 100,000 SKUs": "… spread over 100,000 SKUs",
        "load 15,000,000 rows, int codes": "loading 15,000,000 stock rows",
    },
    "{processor}, {cores} cores, {vectors}, {system}, Python {python}; seed {seed}, decisions "
    "`{decisions}`; medians.",
)
CHINESE = Language(
    "README.zh-CN.md",
    "| | 实测 | 目标 |",
    {
        "route_arrays": "`route_arrays`：10,000 个两行订单，单线程",
        "route_batch": "`route_batch`：同样的订单，Python `Order` 对象",
        "scipy + numpy": "scipy `cKDTree`（最近 64 家）+ numpy 库存过滤",
        "scipy + numpy / route_arrays": "scipy + numpy / `route_arrays`",
        "60,000 / 6,000 stores, as dense": "60,000 家门店 / 6,000 家门店，密度相同",
        "a pair, 10,000 SKUs": "每个（门店，商品）对占用内存",
        "a pair, 100,000 SKUs": "……分布在 100,000 个商品上",
        "load 15,000,000 rows, int codes": "载入 15,000,000 行库存",
    },
    "{processor}，{cores} 核，{vectors}，{system}，Python {python}；种子 {seed}，决策散列 "
    "`{decisions}`；均为中位数。",
)
DIGITS = {"ms": 1, "times": 1, "bytes": 1, "s": 1}
UNITS = {"times": "×"}


def table(report: dict[str, Any], language: Language) -> str:
    """The numbers as a Markdown table, with the machine below."""
    rows = {row["name"]: row for row in report["rows"]}
    lines = [language.heading, "|---|---:|---:|"]
    for name, words in language.names.items():
        lines.append(f"| {words} | {_amount(rows[name])} | {_target(rows[name])} |")
    words = {"seed": report["seed"], "decisions": report["decisions"], **report["machine"]}
    return "\n".join([*lines, "", language.machine.format(**words)])


def _amount(row: dict[str, Any]) -> str:
    unit = UNITS.get(row["unit"], " " + row["unit"])
    return f"{row['value']:.{DIGITS[row['unit']]}f}{unit}"


def _target(row: dict[str, Any]) -> str:
    if row["at_least"] is not None:
        return f"≥ {row['at_least']:g}"
    return "" if row["at_most"] is None else f"≤ {row['at_most']:g}"


def with_numbers(text: str, numbers: str) -> str:
    """A README with the part between its markers replaced."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{numbers}\n{END}{after}"


def main() -> None:
    """Renew the tables of both READMEs."""
    report = json.loads((HERE / "metro.json").read_text(encoding="utf-8"))
    for language in (ENGLISH, CHINESE):
        readme = HERE.parent / language.readme
        text = with_numbers(readme.read_text(encoding="utf-8"), table(report, language))
        readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
