"""`fendan explain`: why an order has its store, from the folder of an engine or from files."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fendan import loaders
from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.explain import USUAL_EXCLUDED, checked_attempt, checked_limit
from fendan.explain_face import Told
from fendan.explain_look import show_explanation
from fendan.filelog import FileLog
from fendan.loading import engine_of_files
from fendan.model import Order, Policy
from fendan.policy_file import MOST_BYTES
from fendan.recovery import recover
from fendan.terminal import new_file, plain_errors
from fendan.toml_file import read_text

__all__ = ["explain"]


def explain(
    order_id: Annotated[str, typer.Argument(help="The id of the order.")],
    *,
    data: Annotated[
        Path | None, typer.Option(help="The folder of an engine that routed it.")
    ] = None,
    stores: Annotated[Path | None, typer.Option(help="Else, a file of stores,")] = None,
    stock: Annotated[Path | None, typer.Option(help="one of their stock,")] = None,
    orders: Annotated[Path | None, typer.Option(help="and one of orders, this among them.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="With files: a policy file to route under.")
    ] = None,
    radius_m: Annotated[
        float | None, typer.Option(help="Without a policy: how far a store may be, in metres.")
    ] = None,
    limit: Annotated[
        int, typer.Option(help="Of how many excluded stores to tell at most.")
    ] = USUAL_EXCLUDED,
    attempt: Annotated[
        int, typer.Option(help="Which decision; 2: after its first store rejected it.")
    ] = 1,
    map: Annotated[Path | None, typer.Option("--map", help="Draw it, too: a .png file.")] = None,
) -> None:
    """Why an order has its store: who was nearer and could not have it, and what was missing.

    Of a folder, the order was routed some time ago, and is explained by what was so then. Of files,
    it is explained as the first one to be routed.
    """
    with plain_errors():
        checked_limit(limit)
        checked_attempt(attempt)
        if data is not None and stores is None and stock is None and orders is None:
            told = _told_by_folder(data, order_id, radius_m, limit, attempt)
        elif data is None and stores is not None and stock is not None and orders is not None:
            engine = engine_of_files(stores, stock, Policy(radius_m=radius_m))
            if policy is not None:
                engine.activate_policy(engine.draft_policy(read_text(policy, MOST_BYTES)))
            told = engine._explain_now(_order_of_file(orders, order_id), limit)
        else:
            hint = "give either --data, or --stores, --stock and --orders"
            refuse(Fault.MISSING, "--data", hint=hint)
        show_explanation(told.explanation, Console())
        if map is not None:
            _draw(told, map)


def _told_by_folder(
    folder: Path, order_id: str, radius_m: float | None, limit: int, attempt: int
) -> Told:
    """Reads only, so that a server may write the folder meanwhile."""
    log = FileLog(folder)
    engine = Engine(policy=Policy(radius_m=radius_m))
    recovery = recover(engine, log)
    with engine._command():
        decided = engine._decided_of(order_id)
    return engine._explain_by(log, recovery.last_sequence, decided, limit, attempt)


def _order_of_file(orders: Path, order_id: str) -> Order:
    for order in loaders.read_orders(orders):
        if order.id == order_id:
            return order
    refuse(Fault.UNKNOWN_ORDER, "order_id", order_id, hint=f"it is not in {orders.name}")


def _draw(told: Told, path: Path) -> None:
    if told.scene is None:
        refuse(Fault.MISSING, "--map", hint=f"there is nothing to draw: {told.explanation.note}")
    try:
        from fendan.explain_picture import draw_explanation
    except ImportError:
        refuse(Fault.MISSING, "--map", hint="install fendan[demo] to draw")
    with new_file(path, (".png",)) as file:
        draw_explanation(file, told.explanation, told.scene)
