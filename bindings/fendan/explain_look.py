"""An explanation as people read it."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fendan.explanation import Candidate, Explanation
from fendan.report import length
from fendan.rules import StepName

__all__ = ["headline", "show_explanation", "under"]


def headline(told: Explanation) -> str:
    """What became of the order, in one sentence."""
    decision = told.decision
    if decision.shipments:
        stores = ", ".join(one.store_id for one in decision.shipments)
        return f"Order {told.order_id} is split over {stores}"
    if decision.store_id is None or decision.distance_m is None:
        return f"Order {told.order_id} has no store: {_words(decision.reason.name)}"
    return f"Order {told.order_id} goes to {decision.store_id}, {length(decision.distance_m)} away"


def under(told: Explanation) -> str:
    """Under which rule it was decided."""
    if not told.policy_version:
        return "the nearest store that has every line, without a policy"
    at = "" if told.step is StepName.NONE else f", at step {told.step}"
    return f"{told.order_type} under policy {told.policy_version}{at}"


def show_explanation(told: Explanation, console: Console) -> None:
    """Print it: the sentence, and tables of what there is to tell."""
    console.print(escape(headline(told)), style="bold", soft_wrap=True, highlight=False)
    console.print(escape(under(told)), soft_wrap=True, highlight=False)
    if told.steps:
        console.print(_steps(told))
    if told.winner is not None:
        console.print(_candidates(told, told.winner))
    if told.parts:
        console.print(_parts(told))
    if told.excluded:
        console.print(_excluded(told))
    for line in (str(told.change) if told.change is not None else "", told.note):
        if line:
            console.print(escape(line), soft_wrap=True, highlight=False)


def _steps(told: Explanation) -> Table:
    table = Table(title="Steps that were tried", title_justify="left")
    table.add_column("step")
    for column in ("radius", "may be asked", "in radius", "have it all"):
        table.add_column(column, justify="right")
    for step in told.steps:
        name = "nearest" if step.name is StepName.NONE else step.name.name
        radius = "any" if step.radius_m == float("inf") else length(step.radius_m)
        counts = (f"{count:,}" for count in (step.eligible, step.in_radius, step.able))
        table.add_row(name, radius, *counts)
    return table


def _candidates(told: Explanation, winner: Candidate) -> Table:
    table = Table(title="The best of those that have it all", title_justify="left")
    table.add_column("")
    table.add_column("store")
    table.add_column("distance", justify="right")
    names = [name for name in winner.values if name != "DISTANCE"]
    for name in names:
        table.add_column(_words(name), justify="right")
    for place, one in enumerate((winner, *told.runners_up), 1):
        values = (f"{one.values[name]:,.6g}" for name in names)
        table.add_row(f"{place}.", escape(one.store_id), length(one.distance_m), *values)
    return table


def _parts(told: Explanation) -> Table:
    table = Table(title="Shipments, and why none of them is all of it", title_justify="left")
    for column in ("", "store", "sends", "rule", "why not all"):
        table.add_column(column)
    sent = {one.number: one.lines for one in told.decision.shipments}
    for one in told.parts:
        lines = ", ".join(f"{count:,} of {sku}" for sku, count in sent.get(one.number, ()))
        rule = "" if one.code is None else str(one.code)
        cells = (f"{one.number}.", one.store_id, lines, rule, one.text)
        table.add_row(*map(escape, cells))
    return table


def _excluded(told: Explanation) -> Table:
    nearer = "Nearer, but" if told.winner is not None else "The nearest, but"
    table = Table(title=nearer, title_justify="left")
    table.add_column("store")
    table.add_column("distance", justify="right")
    table.add_column("rule")
    table.add_column("why")
    for one in told.excluded:
        table.add_row(escape(one.store_id), length(one.distance_m), str(one.code), escape(one.text))
    return table


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
