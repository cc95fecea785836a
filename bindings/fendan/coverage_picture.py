"""A map of where a chain serves and where it does not, in the style of `picture`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from fendan.areas import Area, shapely_module
from fendan.coverage import Coverage, Raster, Reach
from fendan.lettering import font_families, shown
from fendan.picture import DOTS_PER_INCH, FAINT, INK, KM_PER_DEGREE, PAPER, PIXELS, QUIET

__all__ = ["draw_coverage", "draw_scale"]

SERVED = "#56a0d3"
LEFT = "#f4e3c3"
LEFT_BAR = "#e3c48f"
NOT_SERVED = "#d55e00"
BORDER = "#b5a888"
BARS = 22
LONGEST_NAME = 22


def draw_coverage(
    path: Path,
    regions: Sequence[Area],
    coverage: Coverage,
    reach: Reach,
    raster: Raster,
) -> None:
    """Write a PNG of PIXELS. Raises OSError where `path` cannot be written."""
    with matplotlib.style.context("default"):
        inches = (PIXELS[0] / DOTS_PER_INCH, PIXELS[1] / DOTS_PER_INCH)
        figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        _write_words(figure, coverage, reach)
        chosen = _chosen(coverage)
        country = figure.add_axes((0.025, 0.07, 0.62, 0.75))
        _draw_map(country, regions, coverage, reach, raster)
        _number(country, regions, chosen)
        _draw_legend(country, coverage)
        _draw_bars(figure.add_axes((0.76, 0.09, 0.15, 0.69)), coverage, chosen)
        figure.savefig(path, format="png", metadata={"Software": None})


def _chosen(coverage: Coverage) -> list[int]:
    """The regions to be numbered: those where most is left out."""
    return coverage.worst_first()[:BARS]


# -- WORDS -------------------------------------------------------------------------------------


def _write_words(figure: Figure, coverage: Coverage, reach: Reach) -> None:
    whole = sum(region.square_km for region in coverage.regions)
    left = sum(region.square_km_left for region in coverage.regions)
    people = sum(region.people for region in coverage.regions)
    by_area = f"{left / whole:.1%} of {whole:,.0f} km²"
    if people:
        people_left = sum(region.people_left for region in coverage.regions)
        title = f"No store serves {people_left / people:.1%} of {_short(people)} people"
        subtitle = f"and {by_area}"
    else:
        title = f"No store serves {by_area}"
        subtitle = f"{len(coverage.regions):,} regions"
    far = "in its service area"
    if reach.radius_m is not None:
        far = f"within {reach.radius_m / 1000:g} km"
        far += ", in its service area where it has one" if reach.has_areas else ""
    subtitle += f"  ·  {len(reach.lat):,} stores, each serving {far}"
    figure.text(0.025, 0.945, title, fontsize=25, color=INK, va="center")
    figure.text(0.025, 0.897, subtitle, fontsize=13.5, color=QUIET, va="center")
    method = "Shares of area are counted on a lattice of places in each region"
    method += "; people where they are said to live." if people else "."
    figure.text(0.025, 0.03, method, fontsize=11, color=QUIET, va="center")


def _short(count: int) -> str:
    for size, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if count >= size:
            return f"{count / size:,.1f} {name}"
    return f"{count:,}"


def _draw_legend(axes: Axes, coverage: Coverage) -> None:
    store = Line2D([], [], linestyle="", marker="o", color=INK, markersize=4.5, label="store")
    handles: list[Patch | Line2D] = [
        Patch(facecolor=SERVED, label="served"),
        Patch(facecolor=LEFT, edgecolor=BORDER, linewidth=0.6, label="not served"),
        store,
    ]
    if len(coverage.people.counts):
        handles.append(
            Line2D(
                [],
                [],
                linestyle="",
                marker="o",
                color=NOT_SERVED,
                alpha=0.7,
                markersize=9,
                label="people not served",
            )
        )
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.018, 0.85),
        bbox_transform=axes.figure.transFigure,
        ncols=len(handles),
        frameon=False,
        fontsize=12.5,
        labelcolor=INK,
        handletextpad=0.5,
        columnspacing=1.8,
    )


# -- MAP ---------------------------------------------------------------------------------------


def _draw_map(
    axes: Axes, regions: Sequence[Area], coverage: Coverage, reach: Reach, raster: Raster
) -> None:
    axes.set_axis_off()
    low_lng, low_lat, high_lng, high_lat = raster.box
    stretch = 1.0 / np.cos(np.radians((low_lat + high_lat) / 2))
    pixels = np.zeros((*raster.regions.shape, 4))
    pixels[raster.regions >= 0] = to_rgba(LEFT)
    pixels[raster.served] = to_rgba(SERVED)
    extent = (low_lng, high_lng, low_lat, high_lat)
    axes.imshow(pixels, extent=extent, origin="lower", interpolation="antialiased", zorder=1)
    rings = shapely_module().get_rings(
        shapely_module().get_parts([region.geometry for region in regions])
    )
    outlines = [np.column_stack(ring.coords.xy) for ring in rings]
    axes.add_collection(LineCollection(outlines, colors=BORDER, linewidths=0.6, zorder=2))
    axes.scatter(reach.lng, reach.lat, s=3.0, color=INK, linewidths=0, alpha=0.75, zorder=3)
    left = ~coverage.people_served
    axes.scatter(
        coverage.people.lng[left],
        coverage.people.lat[left],
        s=np.maximum(1.0, coverage.people.counts[left] / 2_500.0),
        color=NOT_SERVED,
        alpha=0.55,
        linewidths=0,
        zorder=4,
    )
    axes.set_xlim(low_lng, high_lng)
    axes.set_ylim(low_lat, high_lat)
    axes.set_aspect(stretch, anchor="C")
    draw_scale(axes, stretch)


def draw_scale(axes: Axes, stretch: float, *, inset: float = 0.0) -> None:
    """A bar of a round number of km in the lower right corner; `inset`: a part of the map."""
    (left, right), (level, top) = axes.get_xlim(), axes.get_ylim()
    wide_km = (right - left) * KM_PER_DEGREE / stretch
    right, level = right - inset * (right - left), level + inset * (top - level)
    km = max(
        one for one in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if one <= max(1, wide_km / 4)
    )
    length = km / KM_PER_DEGREE * stretch
    axes.plot([right - length, right], [level, level], color=INK, linewidth=3, clip_on=False)
    axes.annotate(
        f"{km} km",
        (right - length / 2, level),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=10.5,
        color=INK,
    )


def _number(axes: Axes, regions: Sequence[Area], chosen: list[int]) -> None:
    """The bars' numbers on the map."""
    halo = [withStroke(linewidth=3, foreground=PAPER, alpha=0.85)]
    for rank, number in enumerate(chosen, 1):
        point = regions[number].geometry.representative_point()
        axes.annotate(
            str(rank),
            (point.x, point.y),
            ha="center",
            va="center",
            fontsize=11,
            fontweight="bold",
            color=INK,
            path_effects=halo,
            zorder=6,
            annotation_clip=True,
        )


# -- BARS --------------------------------------------------------------------------------------


def _draw_bars(axes: Axes, coverage: Coverage, chosen: list[int]) -> None:
    """How much of the regions with most left out is served."""
    regions = [coverage.regions[number] for number in chosen]
    places = np.arange(len(regions))
    axes.barh(places, 1.0, color=LEFT_BAR, height=0.68)
    axes.barh(places, [region.share for region in regions], color=SERVED, height=0.68)
    fonts = font_families()
    for place, region in enumerate(regions):
        label = f"{place + 1}  {shown(region.name, LONGEST_NAME)}".rstrip()
        style: dict[str, Any] = {"va": "center", "fontsize": 11, "fontfamily": fonts}
        axes.text(-0.04, place, label, ha="right", color=INK, **style)
        left = f"{region.square_km_left:,.0f} km²"
        axes.text(1.04, place, left, ha="left", color=QUIET, **style)
    axes.set_title("Served share of the area", loc="left", fontsize=12.5, color=INK, pad=26)
    axes.text(0, -1.05, "where most is left out, and how much", fontsize=10.5, color=QUIET)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(regions) - 0.5, -0.7)
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    axes.tick_params(labelsize=10.5, labelcolor=QUIET, color=FAINT)
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
