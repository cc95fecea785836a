"""A report as one HTML page: nothing beside it is needed, and nothing is fetched."""

from collections.abc import Sequence
from html import escape

from fendan.load.chart import COLORS, Axis, Series, bars, lines
from fendan.load.latencies import PERCENTILES
from fendan.load.report import HEADINGS, Report, cells
from fendan.load.step import Step

__all__ = ["page"]

STYLE = """
:root { --paper: #fcfbf8; --ink: #22242a; --quiet: #6d7078; --faint: #e4e1d9; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --paper: #17181c; --ink: #e8e6e1; --quiet: #9b9ca3; --faint: #33353c; --bad: #ff8a80 } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 800px; margin: 2.5rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2.4rem }
p.verdict { font-size: 1.15rem } p.bad, li.bad { color: var(--bad) }
table { border-collapse: collapse; font-size: .86rem; width: 100%;
  font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid var(--faint) }
th { color: var(--quiet); font-weight: 500; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem }
dt { color: var(--quiet) } dd { margin: 0 }
.wide, figure { overflow-x: auto } figure { margin: .8rem 0 }
svg { display: block; width: 100%; min-width: 620px; height: auto;
  font: 12px system-ui, sans-serif }
svg text { fill: var(--quiet) } svg .title { fill: var(--ink); font-size: 15px }
svg .grid { stroke: var(--faint) } svg .line { fill: none; stroke-width: 2 }
svg .bound { stroke: var(--bad); stroke-dasharray: 2 4 }
details summary { cursor: pointer; color: var(--quiet) }
.note { color: var(--quiet); font-size: .9rem }
"""
NOTE = (
    "Latency counts from the moment an order was due, not from when it could be sent: a stall of "
    "the server delays all that was due meanwhile, and all of that is in these numbers. Messages "
    "that were refused or never answered are counted as errors and are in no latency."
)
OF_STAGES = (
    "Means, as the server's metrics have them: of a message, or of a turn of the native door, "
    "which is all that waited for the engine at a time. Sync is waiting for the disk."
)
# Nines of the slowest, as far as so many messages can tell.
SLOWEST = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999)
NAMED = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
STAGES = ("queue", "decode", "search", "reply", "sync")
# Of more steps than this, pictures show the first, the last and some between.
MOST_LINES = len(COLORS)


def page(report: Report) -> str:
    """The page, from its first byte to the last."""
    steps = sorted(report.run.steps, key=lambda step: step.offered_per_s)
    good = "" if report.is_good else " bad"
    body = [
        "<h1>Load on a Fendan server</h1>",
        f'<p class="note">{escape(report.began)}</p>',
        f'<p class="verdict{good}">{escape(report.verdict())}</p>',
        _warnings(report.warnings()),
        _table(steps),
        *_pictures(_last_of_each_rate(steps), report.p99_ms),
        _timelines(steps, report.run.knee_per_s),
        "<h2>How it was measured</h2>",
        f'<p class="note">{NOTE}</p>',
        _list({**report.asked, **{f"load's {key}": text for key, text in report.loader.items()}}),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Load on a Fendan server</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


# -- WORDS ---------------------------------------------------------------------------------------


def _warnings(words: Sequence[str]) -> str:
    rows = "".join(f'<li class="bad">{escape(line)}</li>' for line in words)
    return f"<ul>{rows}</ul>" if rows else ""


def _list(pairs: dict[str, str]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items()
    )
    return f"<dl>{rows}</dl>"


def _table(steps: Sequence[Step]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    written = ["".join(f"<td>{escape(cell)}</td>" for cell in cells(step)) for step in steps]
    rows = "".join(f"<tr>{line}</tr>" for line in written)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="wide">{table}</div>'


# -- PICTURES ------------------------------------------------------------------------------------


def _last_of_each_rate(steps: Sequence[Step]) -> list[Step]:
    """A search for the knee tries a rate that seems too much again, and believes the second."""
    return list({step.offered_per_s: step for step in steps}.values())


def _pictures(steps: Sequence[Step], p99_ms: float | None) -> list[str]:
    """Over all steps; of a single one there is no curve to draw."""
    answered = [step for step in steps if len(step.latencies)]
    parts = ["<h2>Latency</h2>"] if answered else []
    if len(answered) > 1:
        parts += [_against_load(answered, p99_ms), _kept_up(answered)]
    if answered:
        parts.append(_slowest(_some(answered)))
    if any(step.stages for step in steps):
        parts += [
            "<h2>Where the server spent it</h2>",
            _stages([step for step in steps if step.stages]),
            f'<p class="note">{OF_STAGES}</p>',
        ]
    return parts


def _against_load(steps: Sequence[Step], p99_ms: float | None) -> str:
    rates = [step.offered_per_s for step in steps]
    series = [
        Series(
            f"p{at:g}",
            color,
            [(step.offered_per_s, step.latencies.percentile_ms(at)) for step in steps],
        )
        for at, color in zip(PERCENTILES, COLORS, strict=False)
    ]
    waits = [wait for one in series for _, wait in one.points]
    x = Axis.around("offered, orders/s", rates, log=max(rates) > 8 * min(rates))
    y = Axis.around("ms", [*waits, *([] if p99_ms is None else [p99_ms])], log=True)
    return lines("Latency against offered load", x, y, series, bound=p99_ms)


def _kept_up(steps: Sequence[Step]) -> str:
    rates = [step.offered_per_s for step in steps]
    answered = [(step.offered_per_s, step.answered_per_s) for step in steps]
    series = [
        Series("offered", COLORS[4], [(rate, rate) for rate in rates], dashed=True),
        Series("answered", COLORS[0], answered),
    ]
    log = max(rates) > 8 * min(rates)
    x, y = (Axis.around(name, rates, log=log) for name in ("offered, orders/s", "orders/s"))
    return lines("What was answered of what was offered", x, y, series)


def _slowest(steps: Sequence[Step]) -> str:
    """The whole distribution, with as much room for the last hundredth as for the first nine."""
    most = max(len(step.latencies) for step in steps)
    marks = [at for at in SLOWEST if at == 0.0 or 100.0 / (100.0 - at) <= most]
    series = [
        Series(
            f"{step.offered_per_s:,.0f}/s",
            color,
            [(100.0 / (100.0 - at), step.latencies.percentile_ms(at)) for at in marks],
        )
        for step, color in zip(steps, COLORS, strict=False)
    ]
    ticks = tuple((100.0 / (100.0 - at), f"{at:g} %") for at in marks if at in NAMED)
    high = max(2.0, 100.0 / (100.0 - marks[-1]))
    x = Axis("so many waited no longer", 1.0, high, log=True, ticks=ticks)
    y = Axis.around("ms", [wait for one in series for _, wait in one.points], log=True)
    return lines("How long the slowest waited, by orders/s offered", x, y, series)


def _stages(steps: Sequence[Step]) -> str:
    """The mean of each stage, one on another; of a message, or of what the door took as one."""
    found = [name for name in STAGES if any(name in step.stages for step in steps)]
    parts = [
        (name, color, [step.stages[name].mean_ms if name in step.stages else 0.0 for step in steps])
        for name, color in zip(found, COLORS, strict=False)
    ]
    sums = [sum(values[at] for _, _, values in parts) for at in range(len(steps))]
    names = [f"{step.offered_per_s:,.0f}" for step in steps]
    y = Axis.around("ms, mean", sums)
    return bars("Mean time by stage", "offered, orders/s", y, names, parts)


def _timelines(steps: Sequence[Step], knee_per_s: float | None) -> str:
    """Second by second; open is that of the knee, or else of the last rate."""
    if not steps:
        return ""
    last = _last_of_each_rate(steps)
    shown = next((step for step in last if step.offered_per_s == knee_per_s), last[-1])
    parts = ["<h2>Second by second</h2>"]
    for step in steps:
        opened = " open" if step is shown else ""
        parts.append(
            f"<details{opened}><summary>{step.offered_per_s:,.0f} orders/s offered</summary>"
            f"{_timeline(step)}</details>"
        )
    return "\n".join(parts)


def _timeline(step: Step) -> str:
    seconds = list(enumerate(step.timeline))
    answered = [(at, second) for at, second in seconds if second.errors < second.due]
    last = max(1, len(seconds) - 1)
    whole = tuple((float(at), f"{at:,}") for at in range(0, last + 1, 1 + last // 12))
    x = Axis("second in which it was due", 0.0, float(last), ticks=whole)
    series = [
        Series("p50", COLORS[0], [(at, second.p50_ms) for at, second in answered]),
        Series("p99", COLORS[2], [(at, second.p99_ms) for at, second in answered]),
        Series("most", COLORS[3], [(at, second.most_ms) for at, second in answered]),
    ]
    waits = [wait for one in series for _, wait in one.points]
    picture = lines("Latency", x, Axis.around("ms", waits, log=True), series)
    counts = [
        Series("due", COLORS[4], [(at, second.due) for at, second in seconds]),
        Series("errors", COLORS[5], [(at, second.errors) for at, second in seconds]),
    ]
    y = Axis.around("messages", [count for one in counts for _, count in one.points])
    return picture + lines("Messages due, and errors among them", x, y, counts)


def _some(steps: Sequence[Step]) -> list[Step]:
    """As many as there are colours."""
    if len(steps) <= MOST_LINES:
        return list(steps)
    places = {round(at * (len(steps) - 1) / (MOST_LINES - 1)) for at in range(MOST_LINES)}
    return [steps[place] for place in sorted(places)]
