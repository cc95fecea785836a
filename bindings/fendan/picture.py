"""One picture of a routed demo: the country, one city from near, and how far the orders travel.

Drawn through matplotlib's objects, never pyplot, and in its default style whatever the user's own
is: importing changes nothing elsewhere, and the same demo makes the same picture.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from matplotlib.patheffects import withStroke

from fendan.chain import Chain, Towns
from fendan.engine.router import Reason, Status
from fendan.model import Routed

__all__ = ["PIXELS", "draw"]

PIXELS = (1600, 1000)
DOTS_PER_INCH = 100

PAPER = "#fcfbf8"
INK = "#22303c"
QUIET = "#69747d"
FAINT = "#c9c8c2"
STORE = "#7d8790"

KM_PER_DEGREE = 111.195
COUNTRY_LAT, COUNTRY_LNG = (17.0, 54.0), (73.0, 136.0)
COUNTRY_TRUE_LAT = 35.0  # where a kilometre is as long to the east as to the north
# The city's map reaches so far from its middle, or less where more orders would crowd it.
ZOOM_KM = 15
ZOOM_ORDERS = 700
NAMES = 18
NAMES_APART_KM = 400.0
BINS = 40
# Orders are drawn in as many turns, each with all kinds, so that no kind hides the others.
TURNS = 10


class Kind(NamedTuple):
    """A group of orders that looks alike; told from the others by shape as well as by colour."""

    label: str
    color: str
    marker: str
    size: float


# The colours of Okabe and Ito, which colour-blind readers can tell apart.
ASSIGNED = Kind("assigned to a store", "#0072b2", "o", 1.0)
UNASSIGNED = {
    Reason.NO_STOCK_IN_RADIUS: Kind("no stock within {radius}", "#e69f00", "^", 2.2),
    Reason.NO_STORE_IN_RADIUS: Kind("no store within {radius}", INK, "x", 2.0),
    Reason.NO_STOCK: Kind("no stock anywhere", "#d55e00", "s", 1.5),
}


def draw(path: Path, chain: "Chain", routed: Routed, *, radius_m: float) -> None:
    """Write a PNG of PIXELS. Raises OSError where `path` cannot be written."""
    with matplotlib.style.context("default"):
        inches = (PIXELS[0] / DOTS_PER_INCH, PIXELS[1] / DOTS_PER_INCH)
        figure = Figure(figsize=inches, dpi=DOTS_PER_INCH, facecolor=PAPER)
        FigureCanvasAgg(figure)
        radius = f"{radius_m / 1000:g} km"
        country = figure.add_axes((0.025, 0.075, 0.615, 0.765))
        city = figure.add_axes((0.655, 0.315, 0.32, 0.512))
        _write_words(figure, chain, routed, radius)
        _draw_country(country, chain, routed)
        _draw_city(city, chain, routed)
        _join(figure, country, city, chain.towns)
        _draw_legend(country, routed, radius)
        _draw_distances(figure.add_axes((0.655, 0.115, 0.32, 0.125)), routed, radius_m)
        figure.savefig(path, format="png", metadata={"Software": None})


# -- WORDS -------------------------------------------------------------------------------------


def _write_words(figure: Figure, chain: "Chain", routed: Routed, radius: str) -> None:
    orders = len(routed)
    assigned = int(np.count_nonzero(routed.statuses == Status.ASSIGNED))
    title = f"{assigned:,} of {orders:,} orders ({assigned / orders:.1%}) go to a store"
    subtitle = (
        f"Each to the nearest of {len(chain.store_ids):,} stores within {radius} that has every "
        f"line in stock  ·  {len(chain.skus):,} SKUs, {len(chain.line_skus):,} order lines"
    )
    source = (
        f"Real: coordinates and populations of {len(chain.towns):,} towns (GeoNames, CC BY 4.0).  "
        f"Generated from seed {chain.seed}: stores, stock and orders."
    )
    figure.text(0.025, 0.945, title, fontsize=25, color=INK, va="center")
    figure.text(0.025, 0.897, subtitle, fontsize=13.5, color=QUIET, va="center")
    figure.text(0.025, 0.03, source, fontsize=11, color=QUIET, va="center")


def _draw_legend(axes: Axes, routed: Routed, radius: str) -> None:
    """What the shapes mean, and how many there are, in the empty south-west of the map."""
    counts = [(ASSIGNED, np.count_nonzero(routed.statuses == Status.ASSIGNED))]
    counts += [(kind, np.count_nonzero(routed.reasons == why)) for why, kind in UNASSIGNED.items()]
    handles = [_shape(STORE, "o", "store")]
    for kind, count in counts:
        if count:
            label = kind.label.format(radius=radius)
            handles.append(_shape(kind.color, kind.marker, f"{label}: {count:,}"))
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.015, 0.0),
        frameon=False,
        fontsize=12.5,
        labelcolor=INK,
        handletextpad=0.2,
        labelspacing=0.6,
    )


def _shape(color: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=color, markersize=6.5, label=label)


# -- MAPS --------------------------------------------------------------------------------------


def _draw_country(axes: Axes, chain: "Chain", routed: Routed) -> None:
    """Every store and every order, and the names of large towns."""
    axes.set_axis_off()
    axes.set_xlim(COUNTRY_LNG)
    axes.set_ylim(COUNTRY_LAT)
    axes.set_aspect(_stretch(COUNTRY_TRUE_LAT), anchor="SW")
    axes.scatter(chain.store_lng, chain.store_lat, s=9.0, color=STORE, alpha=0.4, linewidths=0)
    _draw_orders(axes, chain, routed, size=3.4, alpha=0.65)
    halo = [withStroke(linewidth=3, foreground=PAPER, alpha=0.75)]
    for town in _towns_apart(chain.towns):
        axes.annotate(
            chain.towns.names[town],
            (chain.towns.lng[town], chain.towns.lat[town]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=10.5,
            color=INK,
            path_effects=halo,
            zorder=6,
        )
    _draw_scale(axes, COUNTRY_TRUE_LAT, 500)


def _draw_city(axes: Axes, chain: "Chain", routed: Routed) -> None:
    """The largest town from near, and a line from each order to its store."""
    lat, lng = float(chain.towns.lat[0]), float(chain.towns.lng[0])
    zoom_km = _zoom_km(chain)
    half_lat = zoom_km / KM_PER_DEGREE
    half_lng = half_lat * _stretch(lat)
    axes.set_xlim(lng - half_lng, lng + half_lng)
    axes.set_ylim(lat - half_lat, lat + half_lat)
    axes.set_aspect(_stretch(lat))
    axes.set(xticks=[], yticks=[], facecolor="white")
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    found = np.flatnonzero(routed.store_codes >= 0)
    store = routed.store_codes[found]
    orders = np.column_stack([chain.order_lng[found], chain.order_lat[found]])
    stores = np.column_stack([chain.store_lng[store], chain.store_lat[store]])
    ways = list(np.stack([orders, stores], axis=1))
    axes.add_collection(LineCollection(ways, colors=ASSIGNED.color, linewidths=0.8, alpha=0.55))
    axes.scatter(chain.store_lng, chain.store_lat, s=34, color=STORE, edgecolors="white", zorder=3)
    _draw_orders(axes, chain, routed, size=14.0, alpha=0.9)
    name = f"{chain.towns.names[0]}, {2 * zoom_km} km across: orders and the stores they go to"
    axes.set_title(name, loc="left", fontsize=12.5, color=INK, pad=8)


def _zoom_km(chain: "Chain") -> int:
    """How far the city's map reaches from its middle, in whole km."""
    north = np.abs(chain.order_lat - chain.towns.lat[0]) * KM_PER_DEGREE
    squeeze = KM_PER_DEGREE / _stretch(float(chain.towns.lat[0]))
    east = np.abs(chain.order_lng - chain.towns.lng[0]) * squeeze
    orders = np.bincount(np.maximum(north, east).astype(np.int64), minlength=ZOOM_KM)
    return max(1, int(np.count_nonzero(np.cumsum(orders[:ZOOM_KM]) <= ZOOM_ORDERS)))


def _draw_orders(axes: Axes, chain: "Chain", routed: Routed, *, size: float, alpha: float) -> None:
    groups = [(ASSIGNED, np.flatnonzero(routed.statuses == Status.ASSIGNED))]
    groups += [(kind, np.flatnonzero(routed.reasons == why)) for why, kind in UNASSIGNED.items()]
    for turn in range(TURNS):
        for kind, orders in groups:
            chosen = orders[turn::TURNS]
            axes.scatter(
                chain.order_lng[chosen],
                chain.order_lat[chosen],
                s=size * kind.size,
                marker=kind.marker,
                color=kind.color,
                alpha=alpha,
                linewidths=0.3 * np.sqrt(size) if kind.marker == "x" else 0.0,
                zorder=4,
            )


def _join(figure: Figure, country: Axes, city: Axes, towns: "Towns") -> None:
    """A fine line from the city's place on the country's map to its own map."""
    line = ConnectionPatch(
        (float(towns.lng[0]), float(towns.lat[0])),
        (0.0, 0.25),
        coordsA=country.transData,
        coordsB=city.transAxes,
        color=FAINT,
        zorder=0,
    )
    figure.add_artist(line)


def _draw_scale(axes: Axes, lat: float, km: int) -> None:
    """A bar of so many kilometres in the lower right corner."""
    length = km / KM_PER_DEGREE * _stretch(lat)
    right, level = axes.get_xlim()[1], axes.get_ylim()[0]
    axes.plot([right - length, right], [level, level], color=INK, linewidth=3, zorder=6)
    axes.annotate(
        f"{km} km",
        (right - length / 2, level),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=10.5,
        color=INK,
    )


def _stretch(lat: float) -> float:
    """How many degrees of longitude are as long as one of latitude."""
    return float(1.0 / np.cos(np.radians(lat)))


def _towns_apart(towns: "Towns") -> list[int]:
    """The largest towns, of which no two are so close that their names would overlap."""
    chosen: list[int] = []
    for town in range(len(towns)):
        north_km = (towns.lat[chosen] - towns.lat[town]) * KM_PER_DEGREE
        squeeze = KM_PER_DEGREE / _stretch(float(towns.lat[town]))
        east_km = (towns.lng[chosen] - towns.lng[town]) * squeeze
        if not np.any(np.hypot(north_km, east_km) < NAMES_APART_KM):
            chosen.append(town)
        if len(chosen) == NAMES:
            break
    return chosen


# -- DISTANCES ---------------------------------------------------------------------------------


def _draw_distances(axes: Axes, routed: Routed, radius_m: float) -> None:
    """How far it is from the orders to their stores."""
    km = routed.distances_m[routed.statuses == Status.ASSIGNED] / 1000
    axes.hist(km, bins=BINS, range=(0, radius_m / 1000), color=ASSIGNED.color, rwidth=0.86)
    axes.set_title("From order to store", loc="left", fontsize=12.5, color=INK, pad=8)
    if len(km):
        median, most = np.percentile(km, [50, 95])
        words = f"half within {median:.1f} km, 95% within {most:.1f} km"
        axes.set_title(words, loc="right", fontsize=11, color=QUIET, pad=8)
    axes.set_xlim(0, radius_m / 1000)
    axes.set_xlabel("km (great circle)", fontsize=10.5, color=QUIET)
    axes.set_ylabel("orders", fontsize=10.5, color=QUIET)
    axes.set_facecolor("none")
    axes.locator_params(axis="y", nbins=3, integer=True)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.tick_params(labelsize=10.5, labelcolor=QUIET, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
