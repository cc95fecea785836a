"""A policy as people read it: a table of what each order type does, and all of one rule."""

import math
from collections.abc import Iterable

from rich.table import Table

from fendan.given import duration_text
from fendan.ledger_files import iso_time
from fendan.model import PolicyVersion
from fendan.policy import PolicyBook
from fendan.policy_defaults import KMH_MPS, STEPS
from fendan.report import length
from fendan.rules import (
    Hours,
    OrderType,
    Promise,
    RankBy,
    Ranking,
    Rule,
    Split,
    SplitMode,
    Step,
)

__all__ = ["rule_table", "type_table", "version_table"]

HOURS = {
    Hours.OPEN_NOW: "open now",
    Hours.OPEN_TODAY: "open today",
    Hours.ANY: "any",
}


def type_table(book: PolicyBook, title: str) -> Table:
    """What each order type does where no override holds."""
    table = Table(title=title, title_justify="left", show_lines=True)
    for column in ("type", "asks, in turn", "split", "compares", "hours", "promise", "time-out"):
        table.add_column(column, no_wrap=column in ("type", "asks, in turn"))
    for order_type in tuple(OrderType)[1:]:
        rule = book.rule_for(order_type)
        is_default = order_type is book.default_type
        table.add_row(
            f"{order_type.name}\n(default)" if is_default else order_type.name,
            "\n".join(map(_step, rule.steps)),
            "\n".join(dict.fromkeys(_split(step.split) for step in rule.steps)),
            _ranking(rule.ranking),
            _hours(rule),
            _within(rule.promise),
            _timeout(rule),
        )
    return table


def rule_table(rule: Rule, title: str) -> Table:
    """All of one rule, a row for each field."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column()
    table.add_row("order type", rule.order_type.name)
    for number, step in enumerate(rule.steps, 1):
        areas = "" if step.areas else ", whatever their service areas"
        table.add_row(f"step {number}", f"{_step(step)}{areas}; split: {_split(step.split)}")
    table.add_row("compares", _ranking(rule.ranking))
    table.add_row("hours", _hours(rule))
    table.add_row("store regions", "any" if rule.regions is None else _words(sorted(rule.regions)))
    table.add_row("promise", _within(rule.promise))
    table.add_row("  to pick", _pick(rule.promise))
    table.add_row("  on the way", _way(rule.promise))
    table.add_row("reservation time-out", _timeout(rule))
    table.add_row("merge window", duration_text(rule.merge_window_s))
    table.add_row("least life left", f"{rule.least_life_days:,} days")
    return table


def version_table(versions: Iterable[PolicyVersion], title: str) -> Table:
    """A row for each version."""
    table = Table(title=title, title_justify="left")
    for column in ("version", "state", "drafted", "activated"):
        table.add_column(column, justify="right" if column == "version" else "left")
    for one in versions:
        activated = "" if one.activated_ns is None else iso_time(one.activated_ns)
        table.add_row(str(one.version), one.state.name, iso_time(one.drafted_ns), activated)
    return table


# -- IN WORDS ----------------------------------------------------------------------------------


def _step(step: Step) -> str:
    """Its name and reach, and which stores it asks where they are not the usual ones."""
    reach = f" to {length(step.radius_m)}" if math.isfinite(step.radius_m) else ""
    kinds = "/".join(kind.name for kind in sorted(step.kinds))
    is_usual = step.kinds == STEPS[step.name].kinds
    return f"{step.name}{reach}" if is_usual else f"{step.name} ({kinds}){reach}"


def _split(split: Split) -> str:
    if split.mode is SplitMode.NEVER:
        return "never"
    words = [f"{split.mode.name.lower()}, up to {split.most_shipments}"]
    if split.split_lines:
        words.append("lines too")
    if split.least_amount:
        words.append(f"each worth {split.least_amount:,}")
    if split.together:
        words.append(f"together: {_words(split.together)}")
    return "; ".join(words)


def _ranking(ranking: Ranking) -> str:
    words = []
    for criterion in ranking.criteria:
        name = criterion.by.name.lower().replace("_", " ")
        if criterion.by is RankBy.DISTANCE_BAND:
            name += f" of {length(criterion.width_m)}"
        words.append(f"{criterion.weight:g} x {name}" if ranking.scored else name)
    return (" + " if ranking.scored else ", then ").join(words)


def _hours(rule: Rule) -> str:
    cut_off = f", for {duration_text(rule.cut_off_s)}" if rule.cut_off_s else ""
    return HOURS[rule.hours] + cut_off


def _within(promise: Promise) -> str:
    return "any" if promise.most_s == math.inf else f"within {duration_text(promise.most_s)}"


def _pick(promise: Promise) -> str:
    each = duration_text(promise.pick_s_per_open_order)
    return f"{duration_text(promise.pick_s)}, and {each} for each open order of the store"


def _way(promise: Promise) -> str:
    if not promise.detour:
        return "nobody goes"
    kmh = [f"{speed / KMH_MPS:.3g}" for speed in promise.speeds_mps]
    ends = [*(hour for hour in range(1, 24) if kmh[hour] != kmh[hour - 1]), 24]
    starts = [0, *ends[:-1]]
    hours = zip(starts, ends, strict=True)
    speeds = ", ".join(f"{kmh[start]} ({start:02}-{end:02})" for start, end in hours)
    return f"{promise.detour:g} x the distance, km/h: {speeds if len(ends) > 1 else kmh[0]}"


def _timeout(rule: Rule) -> str:
    timeout_s = rule.reservation_timeout_s
    return "never" if timeout_s is None else duration_text(timeout_s)


def _words(words: Iterable[str]) -> str:
    return ", ".join(words)
