"""How long callers wait, against how many call at once: `python benchmarks/door_picture.py`.

Drawn from benchmarks/door.json and from nothing else, as benchmarks/door.png. Between the lines of
a door lie the waits of half of its callers and of all but one in a hundred.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from fendan.picture import DOTS_PER_INCH, FAINT, INK, PAPER, QUIET

HERE = Path(__file__).resolve().parent
REPORT = HERE / "door.json"
COLORS = {"native door": "#0072b2", "grpcio": "#d55e00"}  # of Okabe and Ito
TARGET_MS = 50.0
SIZE_INCHES = (11.0, 4.6)


def draw(report: dict[str, Any], path: Path) -> None:
    """A panel for each way to serve, a band for each door."""
    ways = list(dict.fromkeys(point["how"] for point in report["points"]))
    with matplotlib.style.context(["default"]):
        figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, len(ways), sharey=True, squeeze=False)[0]
        for panel, way in zip(panels, ways, strict=True):
            _panel(panel, way, [point for point in report["points"] if point["how"] == way])
        panels[0].set_ylabel("milliseconds until the answer", color=QUIET)
        figure.suptitle(
            "Unary Route calls at once: p50 (thin) to p99 (bold)",
            x=0.012, y=0.975, ha="left", color=INK, fontsize=13, fontweight="bold",
        )  # fmt: skip
        where = report["machine"]
        figure.text(
            0.012,
            0.018,
            f"{where['processor']}, {where['cores']} cores for server and load; "
            f"{report['sizes']['stores']:,} stores × {report['sizes']['skus']:,} SKUs, "
            f"every request another order of two lines; grpcio {where['grpcio']}",
            color=QUIET,
            fontsize=8,
        )
        figure.subplots_adjust(left=0.07, right=0.985, top=0.83, bottom=0.19, wspace=0.06)
        figure.savefig(path)


def _panel(axes: Axes, way: str, points: Sequence[dict[str, Any]]) -> None:
    axes.set_facecolor(PAPER)
    axes.set_title(way, loc="left", color=INK, fontsize=11)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhline(TARGET_MS, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.text(1, TARGET_MS * 1.12, f"{TARGET_MS:g} ms", color=INK, fontsize=8, va="bottom")
    for door, color in COLORS.items():
        of = [point for point in points if point["door"] == door]
        callers = [point["callers"] for point in of]
        p50, p99 = ([point["waits"][name] for point in of] for name in ("p50_ms", "p99_ms"))
        axes.fill_between(callers, p50, p99, color=color, alpha=0.14, linewidth=0)
        axes.plot(callers, p50, color=color, linewidth=1)
        axes.plot(callers, p99, color=color, linewidth=2.2, marker="o", markersize=3.5)
        native = door == "native door"
        axes.text(
            0.97 if native else 0.03,
            0.05 if native else 0.95,
            f"{door}\n{of[-1]['waits']['per_s']:,.0f} orders/s at {callers[-1]:,}",
            transform=axes.transAxes,
            ha="right" if native else "left",
            va="bottom" if native else "top",
            color=color,
            fontsize=9,
            fontweight="bold",
        )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("calls at once", color=QUIET)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.tick_params(which="both", colors=QUIET, labelsize=8.5, length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def main() -> None:
    """Draw it again."""
    draw(json.loads(REPORT.read_text(encoding="utf-8")), HERE / "door.png")


if __name__ == "__main__":
    main()
