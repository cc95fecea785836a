"""One picture of what went through untouched, and what stopped the rest; in `picture`'s style."""

from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fendan.exception_report import REST, TARGET_RATE, Counts, ExceptionReport, first_of
from fendan.lettering import font_families, shown
from fendan.picture import DOTS_PER_INCH, FAINT, INK, PAPER, PIXELS, QUIET

__all__ = ["draw_exceptions"]

AUTOMATIC, BY_HAND, OPEN = "#0072b2", "#e69f00", "#d55e00"
BARS = 12
LONGEST_NAME = 24


def draw_exceptions(path: Path, report: ExceptionReport) -> None:
    """Write a PNG of PIXELS. Raises OSError where `path` cannot be written."""
    with matplotlib.style.context("default"):
        inches = (PIXELS[0] / DOTS_PER_INCH, PIXELS[1] / DOTS_PER_INCH)
        figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        _write_words(figure, report)
        _draw_days(figure.add_axes((0.06, 0.56, 0.915, 0.26)), report)
        groups = {"Why": report.by_reason, "Where": report.by_store, "From": report.by_channel}
        for number, (title, counts) in enumerate(groups.items()):
            axes = figure.add_axes((0.145 + 0.32 * number, 0.06, 0.19, 0.37))
            _draw_bars(axes, title, first_of(counts, BARS), report.stuck)
        figure.savefig(path, format="png", metadata={"Software": None})


def _write_words(figure: Figure, report: ExceptionReport) -> None:
    whole = report.whole
    title = f"{whole.automatic_rate:.1%} of {whole.taken:,} orders needed nobody"
    subtitle = (
        f"{whole.day}  ·  {whole.at_once:,} assigned at once, {whole.by_retry:,} by retry, "
        f"{whole.by_hand:,} by hand, {whole.cancelled:,} cancelled"
    )
    figure.text(0.025, 0.945, title, fontsize=25, color=INK, va="center")
    figure.text(0.025, 0.897, subtitle, fontsize=13.5, color=QUIET, va="center")


def _draw_days(axes: Axes, report: ExceptionReport) -> None:
    """What became of each day's orders, as shares, with what chains expect as a line."""
    names = [day.day[5:] for day in report.days]
    below = [0.0] * len(names)
    kinds = {
        "at once or by retry": (AUTOMATIC, [day.at_once + day.by_retry for day in report.days]),
        "by hand": (BY_HAND, [day.by_hand for day in report.days]),
    }
    left = [day.taken for day in report.days]
    for label, (color, counts) in kinds.items():
        shares = _shares(counts, report)
        axes.bar(names, shares, bottom=below, color=color, width=0.7, label=label)
        below = [low + share for low, share in zip(below, shares, strict=True)]
        left = [rest - count for rest, count in zip(left, counts, strict=True)]
    shares = _shares(left, report)
    axes.bar(names, shares, bottom=below, color=OPEN, width=0.7, label="open or cancelled")
    axes.axhline(TARGET_RATE, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_title(
        f"By day; the line is at {TARGET_RATE:.0%}", loc="left", fontsize=12.5, color=INK, pad=8
    )
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=3,
        frameon=False,
        fontsize=11,
        labelcolor=INK,
    )
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.6, max(len(names), 7) - 0.4)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    _quiet(axes)


def _shares(counts: list[int], report: ExceptionReport) -> list[float]:
    days = zip(counts, report.days, strict=True)
    return [count / day.taken if day.taken else 0.0 for count, day in days]


def _draw_bars(axes: Axes, title: str, counts: Counts, stuck: int) -> None:
    names = [shown(name, LONGEST_NAME) for name, _ in counts]
    places = range(len(names))
    colors = [FAINT if name == REST else AUTOMATIC for name in names]
    axes.barh(places, [count for _, count in counts], color=colors, height=0.72)
    axes.set_yticks(places, names, fontfamily=font_families())
    axes.set_ylim(BARS - 0.4, -0.6)
    axes.set_xlim(0, 1.8 * max((count for _, count in counts), default=1))  # and room for words
    axes.set_title(title, loc="left", fontsize=12.5, color=INK, pad=8)
    for place, (_, count) in zip(places, counts, strict=True):
        axes.annotate(
            f"{count:,} ({count / stuck:.0%})",
            (count, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            color=QUIET,
        )
    _quiet(axes)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _quiet(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.tick_params(labelsize=10.5, labelcolor=INK, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
