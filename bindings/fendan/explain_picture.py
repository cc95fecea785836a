"""A map of one decision: the order, who has it, who would have been next, and who could not.

In the style of `picture`. Stores have numbers, which the list beside the map explains; those that
could not have the order are coloured and shaped by the rule that kept them from it.
"""

import math
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from fendan.areas import area_of, shapely_module
from fendan.coverage_picture import draw_scale
from fendan.exclusions import Exclusion
from fendan.explain_look import headline, under
from fendan.explanation import Candidate, Excluded, Explanation
from fendan.picture import DOTS_PER_INCH, FAINT, INK, KM_PER_DEGREE, PAPER, PIXELS, QUIET, STORE
from fendan.report import length
from fendan.scene import Scene

__all__ = ["draw_explanation"]

WINNER = "#0072b2"
NEXT = "#56b4e9"
AREA = "#b5a888"
M_PER_DEGREE = KM_PER_DEGREE * 1000
MARGIN = 1.18
# A circle that would make everything else a dot is left to the words.
WIDEST_CIRCLE = 1.8
LEAST_HALF_M = 600.0
TEXT_WIDTH = 62
LINE, GAP = 0.0235, 0.0125  # of the list, as parts of the picture's height
LOWEST = 0.185


class Look(NamedTuple):
    """How the stores look that one kind of rule has excluded; colours of Okabe and Ito."""

    label: str
    color: str
    marker: str
    codes: tuple[Exclusion, ...]


LOOKS = (
    Look(
        "not now, or not such orders",
        INK,
        "X",
        (
            Exclusion.PAUSED,
            Exclusion.KIND,
            Exclusion.ORDER_TYPE,
            Exclusion.REGION,
            Exclusion.CLOSED,
            Exclusion.CUT_OFF,
        ),
    ),
    Look(
        "not able, or too busy",
        "#cc79a7",
        "D",
        (Exclusion.ABILITY, Exclusion.OPEN_ORDERS, Exclusion.WINDOW, Exclusion.REJECTED_BEFORE),
    ),
    Look("too far, or outside its area", "#009e73", "s", (Exclusion.RADIUS, Exclusion.AREA)),
    Look(
        "not in stock",
        "#e69f00",
        "^",
        (
            Exclusion.NOT_LISTED,
            Exclusion.CHANNEL,
            Exclusion.OFF_SHELF,
            Exclusion.STOCK,
            Exclusion.LOTS,
        ),
    ),
    Look("too late", "#d55e00", "v", (Exclusion.PROMISE,)),
)
LOOK_OF = {code: look for look in LOOKS for code in look.codes}


class Spot(NamedTuple):
    """A store on the map and in the list."""

    number: int
    store_id: str
    distance_m: float
    text: str
    color: str
    marker: str
    size: float


def draw_explanation(path: Path, told: Explanation, scene: Scene) -> None:
    """Write a PNG of PIXELS. Raises OSError where `path` cannot be written."""
    with matplotlib.style.context("default"):
        inches = (PIXELS[0] / DOTS_PER_INCH, PIXELS[1] / DOTS_PER_INCH)
        figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        _write_words(figure, told, scene)
        spots = _write_list(figure, _spots(told))
        axes = figure.add_axes((0.025, 0.105, 0.535, 0.735))
        _draw_map(axes, told, scene, spots)
        _draw_legend(axes, told)
        figure.savefig(path, format="png", metadata={"Software": None})


def _spots(told: Explanation) -> list[Spot]:
    """The winner, those after it, and those before it, numbered in this order."""
    spots: list[Spot] = []
    able: Iterable[Candidate] = () if told.winner is None else (told.winner, *told.runners_up)
    for place, one in enumerate(able):
        text = "has the order" if place == 0 else "could have it"
        values = [
            f"{name} {value:,.6g}" for name, value in one.values.items() if name != "DISTANCE"
        ]
        text = ", ".join([text, *values])
        color, size = (WINNER, 190.0) if place == 0 else (NEXT, 130.0)
        spots.append(Spot(place + 1, one.store_id, one.distance_m, text, color, "o", size))
    for number, excluded in enumerate(told.excluded, len(spots) + 1):
        spots.append(_excluded_spot(number, excluded))
    return spots


def _excluded_spot(number: int, one: Excluded) -> Spot:
    look = LOOK_OF[one.code]
    text = f"{one.code}: {one.text}"
    return Spot(number, one.store_id, one.distance_m, text, look.color, look.marker, 120.0)


# -- WORDS -------------------------------------------------------------------------------------


def _write_words(figure: Figure, told: Explanation, scene: Scene) -> None:
    lines = ", ".join(f"{line.quantity:,} of {line.sku}" for line in scene.lines[:4])
    more = f" and {len(scene.lines) - 4} more" if len(scene.lines) > 4 else ""
    words = f"{lines}{more}  ·  {under(told)}"
    figure.text(0.025, 0.945, _short(headline(told), 92), fontsize=25, color=INK, va="center")
    figure.text(0.025, 0.897, _short(words, 150), fontsize=13.5, color=QUIET, va="center")
    last = str(told.change) if told.change is not None else told.note
    wrapped = textwrap.wrap(last, 170)[:2]
    for row, line in enumerate(wrapped):
        figure.text(0.025, 0.052 - row * 0.026, line, fontsize=12.5, color=INK, va="center")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _write_list(figure: Figure, spots: list[Spot]) -> list[Spot]:
    """What the numbers on the map stand for; returns those for which there is room."""
    level = 0.828
    for place, spot in enumerate(spots):
        wrapped = textwrap.wrap(spot.text, TEXT_WIDTH)
        if level - LINE * (1 + len(wrapped)) < LOWEST:
            return spots[:place]
        marker = Line2D(
            [0.592],
            [level + 0.001],
            marker=spot.marker,
            color=spot.color,
            markersize=8.5,
            linestyle="",
        )
        figure.add_artist(marker)
        bold: dict[str, Any] = {"fontsize": 12.5, "color": INK, "fontweight": "bold"}
        figure.text(0.619, level, str(spot.number), ha="right", va="center", **bold)
        figure.text(0.628, level, _short(spot.store_id, 32), va="center", **bold)
        far = length(spot.distance_m)
        figure.text(0.975, level, far, fontsize=12.5, color=QUIET, va="center", ha="right")
        for line in wrapped:
            level -= LINE
            figure.text(0.628, level, line, fontsize=11.5, color=QUIET, va="center")
        level -= LINE + GAP
    return spots


def _draw_legend(axes: Axes, told: Explanation) -> None:
    codes = {one.code for one in told.excluded}
    shapes = [("the order", INK, "*")]
    if told.winner is not None:
        shapes.append(("has it", WINNER, "o"))
    if told.runners_up:
        shapes.append(("could have it", NEXT, "o"))
    shapes += [(look.label, look.color, look.marker) for look in LOOKS if codes & set(look.codes)]
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, markersize=8, label=label)
        for label, color, marker in shapes
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.585, 0.085),
        bbox_transform=axes.figure.transFigure,
        ncols=2,
        frameon=False,
        fontsize=11.5,
        labelcolor=INK,
        handletextpad=0.3,
        columnspacing=1.2,
        borderaxespad=0.0,
    )


# -- MAP ---------------------------------------------------------------------------------------


def _draw_map(axes: Axes, told: Explanation, scene: Scene, spots: list[Spot]) -> None:
    stores, (lat, lng) = scene.stores, scene.wish.place
    code_of = {name: code for code, name in enumerate(stores.ids) if code not in stores.gone}
    shown = [spot for spot in spots if spot.store_id in code_of]
    places = {spot.number: stores.layout.place(code_of[spot.store_id]) for spot in shown}
    radius_m = _radius_m(told, [spot.distance_m for spot in spots])
    farthest_m = max([LEAST_HALF_M, radius_m, *(spot.distance_m for spot in spots)])
    _frame(axes, lat, lng, farthest_m * MARGIN)
    _draw_areas(axes, scene, {code_of[spot.store_id] for spot in shown})
    if radius_m:
        circle = _circle(lat, lng, radius_m)
        axes.plot(*circle, color=QUIET, linewidth=1.2, linestyle=(0, (5, 4)), zorder=2)
        halo = [withStroke(linewidth=3, foreground="white")]
        axes.annotate(
            length(radius_m),
            (lng, lat + radius_m / M_PER_DEGREE),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=10.5,
            color=QUIET,
            path_effects=halo,
        )
    others = np.array(
        [stores.layout.place(code) for code in code_of.values()], dtype=np.float64
    ).reshape(-1, 2)
    axes.scatter(others[:, 1], others[:, 0], s=16, color=STORE, alpha=0.55, linewidths=0, zorder=3)
    for spot in reversed(shown):
        _draw_spot(axes, spot, *places[spot.number], (lat, lng))
    axes.scatter([lng], [lat], s=330, marker="*", color=INK, edgecolors="white", zorder=7)
    draw_scale(axes, _stretch(lat), inset=0.03)


def _draw_spot(axes: Axes, spot: Spot, lat: float, lng: float, order: tuple[float, float]) -> None:
    if spot.color == WINNER:
        axes.plot([order[1], lng], [order[0], lat], color=WINNER, linewidth=2.0, zorder=4)
    axes.scatter(
        [lng],
        [lat],
        s=spot.size,
        marker=spot.marker,
        color=spot.color,
        edgecolors="white",
        zorder=5,
    )
    axes.annotate(
        str(spot.number),
        (lng, lat),
        xytext=(9, 6) if spot.marker == "o" else (-9, 6),
        textcoords="offset points",
        ha="left" if spot.marker == "o" else "right",
        fontsize=12,
        fontweight="bold",
        color=INK,
        path_effects=[withStroke(linewidth=3, foreground="white", alpha=0.9)],
        zorder=8,
        annotation_clip=True,
    )


def _frame(axes: Axes, lat: float, lng: float, half_m: float) -> None:
    """A map around the order that reaches so far north and south, and farther east and west."""
    half_lat = half_m / M_PER_DEGREE
    wide = 0.535 * PIXELS[0] / (0.735 * PIXELS[1])
    half_lng = half_lat * _stretch(lat) * wide
    axes.set_xlim(lng - half_lng, lng + half_lng)
    axes.set_ylim(lat - half_lat, lat + half_lat)
    axes.set_aspect(_stretch(lat), adjustable="box")
    axes.set(xticks=[], yticks=[], facecolor="white")
    for spine in axes.spines.values():
        spine.set_color(FAINT)


def _radius_m(told: Explanation, distances_m: list[float]) -> float:
    """The radius of the last step that was tried; 0: none, or too wide to be drawn."""
    radii = [step.radius_m for step in told.steps if math.isfinite(step.radius_m)]
    widest_m = WIDEST_CIRCLE * max([LEAST_HALF_M, *distances_m])
    return radii[-1] if radii and radii[-1] <= widest_m else 0.0


def _circle(lat: float, lng: float, radius_m: float) -> tuple[NDArray[np.float64], ...]:
    """Longitudes and latitudes at this distance from a place, by great circle."""
    far, north = math.radians(radius_m / M_PER_DEGREE), math.radians(lat)
    bearing = np.linspace(0.0, 2.0 * np.pi, 361)
    sine = np.sin(north) * np.cos(far) + np.cos(north) * np.sin(far) * np.cos(bearing)
    east = np.arctan2(
        np.sin(bearing) * np.sin(far) * np.cos(north), np.cos(far) - np.sin(north) * sine
    )
    return lng + np.degrees(east), np.degrees(np.arcsin(sine))


def _draw_areas(axes: Axes, scene: Scene, stores: set[int]) -> None:
    """The outlines of the areas of these stores."""
    names = {name for store in stores for name in scene.stores.profiles[store].areas}
    shapes = [area_of(scene.stores.outlines[name]) for name in sorted(names)]
    if not shapes:
        return
    rings = shapely_module().get_rings(shapely_module().get_parts(shapes))
    outlines = [np.column_stack(ring.coords.xy) for ring in rings]
    axes.add_collection(
        LineCollection(outlines, colors=AREA, linewidths=1.2, zorder=1), autolim=False
    )


def _stretch(lat: float) -> float:
    """How many degrees of longitude are as long as one of latitude."""
    return float(1.0 / np.cos(np.radians(min(abs(lat), 85.0))))
