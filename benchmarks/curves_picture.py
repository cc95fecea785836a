"""The curves as a picture: `python benchmarks/curves_picture.py`.

Drawn from benchmarks/curves.json and from nothing else, as benchmarks/curves.png. Dots are what was
measured, the bars hold half of the batches; the line is what it should be.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fendan.picture import DOTS_PER_INCH, FAINT, INK, PAPER, QUIET

HERE = Path(__file__).resolve().parent
REPORT = HERE / "curves.json"
MEASURED, EXPECTED = "#0072b2", "#d55e00"  # of Okabe and Ito
SIZE_INCHES = (11.0, 9.6)
COLUMNS = 3
TITLES = {
    "stores": "stores",
    "skus": "SKUs",
    "lines": "lines an order",
    "density": "share of SKUs in a store",
    "batch": "orders in a batch",
    "regions": "regions",
}
# Where bytes are worth a panel: of the others the layout is the same.
BYTES = ("stores", "skus", "density")
# Axes that begin at nothing would hide a flat curve in noise; so they span at least so much.
LEAST_SPAN = 4.0


def draw(report: dict[str, Any], path: Path) -> None:
    """A panel for each curve's time, and below for bytes."""
    curves = {curve["what"]: curve for curve in report["curves"]}
    panels = [(curve, "us", "µs an order") for curve in curves.values()]
    panels += [(curves[what], "bytes", "bytes a pair") for what in BYTES if what in curves]
    rows = -(-len(panels) // COLUMNS)
    with matplotlib.style.context(["default"]):
        figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for one, (curve, unit, label) in zip(axes, panels, strict=False):
            _panel(one, curve, unit, label)
        for empty in axes[len(panels) :]:
            empty.set_visible(False)
        figure.suptitle(
            "How it grows: measured (dots) and expected (line)",
            x=0.012, y=0.982, ha="left", color=INK, fontsize=13, fontweight="bold",
        )  # fmt: skip
        where = report["machine"]
        figure.text(
            0.012,
            0.010,
            f"{where['processor']}, one thread; else 6,000 stores, 2,000 SKUs, a quarter of them "
            "in a store, 10,000 orders of two lines a batch. Bars: half of the batches",
            color=QUIET,
            fontsize=8,
        )
        figure.subplots_adjust(
            left=0.06, right=0.985, top=0.91, bottom=0.075, wspace=0.2, hspace=0.42
        )
        figure.savefig(path)


def _panel(axes: Axes, curve: dict[str, Any], unit: str, label: str) -> None:
    points = curve["points"]
    at = [point["at"][curve["what"]] for point in points]
    if unit == "us":
        measured, expected = ([point[key] for point in points] for key in ("us", "expected_us"))
        low = [point["us"] - point["low_us"] for point in points]
        high = [point["high_us"] - point["us"] for point in points]
        axes.errorbar(at, measured, yerr=[low, high], fmt="none", ecolor=FAINT, elinewidth=3)
        says = f"expected: {curve['says']}"
    else:
        measured = [point["bytes_a_pair"] for point in points]
        expected = [point["expected_bytes"] for point in points]
        says = "expected: a count, and a share of the bitmaps"
    axes.set_facecolor(PAPER)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(at, expected, color=EXPECTED, linewidth=1.6)
    axes.plot(at, measured, color=MEASURED, linewidth=0, marker="o", markersize=5)
    axes.set_ylim(*_limits([*measured, *expected]))
    axes.set_title(
        f"{label}, by {TITLES[curve['what']]}", loc="left", color=INK, fontsize=10, pad=16
    )
    axes.text(0, 1.03, says, transform=axes.transAxes, color=EXPECTED, fontsize=8, va="bottom")
    _quiet(axes, at)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    spare = max(1.3, (LEAST_SPAN * low / high) ** 0.5)
    return low / spare, high * spare


def _quiet(axes: Axes, at: Sequence[float]) -> None:
    number: Callable[[float, int], str] = lambda value, _: f"{value:,g}"  # noqa: E731
    axes.set_xticks(at)
    axes.xaxis.set_major_formatter(FuncFormatter(number))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(number))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color=FAINT, linewidth=0.5)
    axes.tick_params(which="both", colors=QUIET, labelsize=8, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def main() -> None:
    """Draw it again."""
    draw(json.loads(REPORT.read_text(encoding="utf-8")), HERE / "curves.png")


if __name__ == "__main__":
    main()
