"""Small pictures as SVG: lines over two axes, and bars in parts. Text in, text out.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; ink and lines are CSS
variables, so that a page can be light or dark.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

__all__ = ["COLORS", "Axis", "Series", "bars", "lines"]

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
WIDTH, HEIGHT = 760, 330
LEFT, RIGHT, TOP, BOTTOM = 74, 18, 48, 46
# Where labels of ticks would run into each other.
LEAST_GAP = 42
CHARACTER = 7.4  # wide, of a label, on the average


class Series(NamedTuple):
    """Points that belong together, and how they are drawn."""

    label: str
    color: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """What a picture is measured by: from `low` to `high`, as powers where `log`.

    `ticks`: places and labels of its own, in place of round numbers.
    """

    label: str
    low: float
    high: float
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()

    @classmethod
    def around(cls, label: str, values: Sequence[float], *, log: bool = False) -> "Axis":
        """An axis with room for these values; a logarithmic one shows those above 0."""
        shown = [value for value in values if value > 0] or [1.0]
        if not log:
            return cls(label, 0.0, max(shown) * 1.05)
        low, high = min(shown), max(shown)
        return cls(label, low / 1.25, max(high * 1.25, low * 4), log=True)

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one; what lies outside is put at the end."""
        if self.log:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / ((self.high - self.low) or 1.0)
        return min(max(part, 0.0), 1.0)

    def marks(self) -> list[tuple[float, str]]:
        """Round values and how they are written."""
        if self.ticks:
            return list(self.ticks)
        if not self.log:
            step = _round_step((self.high - self.low) / 6)
            count = math.floor(self.high / step)
            return [(at * step, _number(at * step)) for at in range(count + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1, 2, 5) if len(powers) <= 4 else (1,)
        values = [factor * 10.0**power for power in powers for factor in factors]
        return [(value, _number(value)) for value in values if self.low <= value <= self.high]


def lines(
    title: str, x: Axis, y: Axis, series: Sequence[Series], *, bound: float | None = None
) -> str:
    """A picture of lines; `bound` is a level that must not be passed."""
    parts = _frame(title, x, y)
    if bound is not None and y.low < bound < y.high:
        level = _down(y, bound)
        parts.append(
            f'<line class="bound" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" '
            f'y2="{level:.1f}"><title>{_number(bound)}</title></line>'
        )
    for one in series:
        places = [(_across(x, at), _down(y, value)) for at, value in one.points]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        dash = ' stroke-dasharray="5 4"' if one.dashed else ""
        parts.append(f'<polyline class="line" stroke="{one.color}"{dash} points="{path}"/>')
        for (across, down), (at, value) in zip(places, one.points, strict=True):
            words = escape(f"{one.label}: {_number(value)} at {_number(at)}")
            parts.append(
                f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{_radius(len(places))}" '
                f'fill="{one.color}"><title>{words}</title></circle>'
            )
    parts += _legend([(one.label, one.color) for one in series])
    return _svg(title, parts)


def bars(
    title: str,
    below: str,
    y: Axis,
    names: Sequence[str],
    parts: Sequence[tuple[str, str, Sequence[float]]],
) -> str:
    """A bar for each name, of the parts (label, colour, a value for each name) one on another."""
    width = (WIDTH - LEFT - RIGHT) / max(1, len(names))
    spare = Axis(below, 0.0, 1.0, ticks=((-1.0, ""),))
    drawn = _frame(title, spare, y)
    for number, name in enumerate(names):
        across, level = LEFT + width * (number + 0.2), 0.0
        for label, color, values in parts:
            top, base = _down(y, level + values[number]), _down(y, level)
            words = escape(f"{name}: {label} {_number(values[number])}")
            drawn.append(
                f'<rect x="{across:.1f}" y="{top:.1f}" width="{width * 0.6:.1f}" '
                f'height="{max(0.0, base - top):.1f}" fill="{color}"><title>{words}</title></rect>'
            )
            level += values[number]
        drawn.append(
            f'<text x="{across + width * 0.3:.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
    return _svg(title, [*drawn, *_legend([(label, color) for label, color, _ in parts])])


# -- PARTS OF A PICTURE --------------------------------------------------------------------------


def _svg(title: str, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">\n{inside}\n</svg></figure>'
    )


def _frame(title: str, x: Axis, y: Axis) -> list[str]:
    """Title, axes, grid and labels."""
    parts = [f'<text class="title" x="0" y="16">{escape(title)}</text>']
    for value, label in y.marks():
        level = _down(y, value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{level:.1f}" '
            f'y2="{level:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )
    last = -LEAST_GAP * 2.0
    for value, label in x.marks():
        across = _across(x, value)
        if across - last < LEAST_GAP or value < x.low:
            continue
        last = across
        # A label at the end of the axis is wider than the margin.
        across = min(across, WIDTH - len(label) * CHARACTER / 2)
        parts.append(
            f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{escape(label)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x.label)}</text>"
    )
    up = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="axis" transform="translate(13 {up}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    return parts


def _legend(entries: Sequence[tuple[str, str]]) -> list[str]:
    """In one row above the picture, at the right."""
    if len(entries) < 2:
        return []
    widths = [len(label) * CHARACTER + 26 for label, _ in entries]
    starts = [WIDTH - RIGHT - sum(widths[at:]) for at in range(len(widths))]
    return [
        f'<rect x="{start:.1f}" y="31" width="12" height="4" fill="{color}"/>'
        f'<text x="{start + 16:.1f}" y="37">{escape(label)}</text>'
        for start, (label, color) in zip(starts, entries, strict=True)
    ]


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _down(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def _radius(points: int) -> float:
    return 3.0 if points <= 40 else 1.5


def _round_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not less."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _number(value: float) -> str:
    if value >= 10_000 and value % 1_000 < 1e-6:
        return f"{value / 1_000:,.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
