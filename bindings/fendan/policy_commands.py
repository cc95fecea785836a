"""`fendan policy`: a policy file checked and shown, and the versions that a folder keeps.

`check`, `show` and `list` work beside a server; who drafts and activates has the folder alone. To a
server that runs, PolicyService says the same.
"""

from pathlib import Path
from typing import Annotated

import typer

from fendan.api import Engine
from fendan.core import Core
from fendan.engine.geo import Datum
from fendan.engine.orders import REMEMBERED
from fendan.errors import Fault, refuse
from fendan.filelog import FileLog
from fendan.journal_look import segments_of
from fendan.policy import PolicyBook
from fendan.policy_file import MOST_BYTES, policy_of
from fendan.policy_look import rule_table, type_table, version_table
from fendan.policy_versions import Versions
from fendan.recovery import recover
from fendan.report import show as print_table
from fendan.rules import OrderType
from fendan.terminal import plain_errors, progress_bars, step
from fendan.toml_file import did_you_mean, read_text

__all__ = ["policy_app"]

policy_app = typer.Typer(no_args_is_help=True, help="What orders are routed under.")

TYPES = {kind.name: kind for kind in tuple(OrderType)[1:]}

File = Annotated[Path, typer.Argument(help="A policy file, such as policy.toml.")]
Data = Annotated[Path, typer.Option("--data", help="Where an engine keeps its journal.")]
Type = Annotated[str | None, typer.Option("--type", help="INSTANT and so on; else the default.")]
Classes = Annotated[
    list[str] | None, typer.Option("--product-class", help="Of a line; may be said again.")
]


# -- FILES -------------------------------------------------------------------------------------


@policy_app.command()
def check(file: File) -> None:
    """Say what each order type does; exit status 2, and the field, where something is wrong."""
    with plain_errors():
        book = _book(file)
        print_table(type_table(book, f"{file.name}, without overrides"))
        typer.echo(_summary(book))


@policy_app.command()
def show(
    file: File,
    *,
    order_type: Type = None,
    channel: Annotated[str, typer.Option(help="Where the order came from.")] = "",
    region: Annotated[str, typer.Option(help="Where it goes to.")] = "",
    product_class: Classes = None,
) -> None:
    """Show all that one kind of order is routed under, overrides included."""
    with plain_errors():
        book = _book(file)
        kind = OrderType.UNSPECIFIED if order_type is None else _type(order_type)
        classes = frozenset(product_class or ())
        for option, name, known in (
            ("--channel", channel, book.channels),
            ("--region", region, book.regions),
            *(("--product-class", name, book.product_classes) for name in sorted(classes)),
        ):
            if name and name not in known and did_you_mean(name, known):
                hint = f"no override names it{did_you_mean(name, known)}"
                refuse(Fault.OUT_OF_RANGE, option, name, hint=hint)
        print_table(rule_table(book.rule_for(kind, channel, region, classes), file.name))


def _book(file: Path) -> PolicyBook:
    return policy_of(read_text(file, MOST_BYTES), where=file.name)


def _type(name: str) -> OrderType:
    if name not in TYPES:
        hint = f"must be one of {', '.join(TYPES)}{did_you_mean(name, TYPES)}"
        refuse(Fault.OUT_OF_RANGE, "--type", name, hint=hint)
    return TYPES[name]


def _summary(book: PolicyBook) -> str:
    named = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("channels", book.channels),
            ("regions", book.regions),
            ("product classes", book.product_classes),
        )
        if names
    ]
    overrides = "; ".join(named) or "no channel, region or product class"
    return f"{len(book.rules):,} rules. Overrides name {overrides}."


# -- VERSIONS ----------------------------------------------------------------------------------


@policy_app.command()
def draft(file: File, *, data: Data) -> None:
    """Check a policy file, and keep it as a version that is not in force."""
    with plain_errors():
        text = read_text(file, MOST_BYTES)
        policy_of(text, where=file.name)
        with _engine(data) as engine:
            version = engine.draft_policy(text)
        typer.echo(f"{file.name} is version {version}")


@policy_app.command()
def activate(
    version: Annotated[int, typer.Argument(help="As `draft` said; 0: no policy any more.")],
    *,
    data: Data,
) -> None:
    """Route orders under a version from now on."""
    with plain_errors():
        with _engine(data) as engine:
            engine.activate_policy(version)
        typer.echo(f"version {version} is in force" if version else "no policy is in force")


@policy_app.command("list")
def list_versions(*, data: Data) -> None:
    """List the versions, the oldest first."""
    with plain_errors():
        segments_of(data)
        core = Core(Datum.WGS84, REMEMBERED)
        with progress_bars() as progress, step(progress, f"Reading {data}"):
            recover(core, FileLog(data))
        print_table(version_table(Versions.of(core._documents).listed(), str(data)))


def _engine(data: Path) -> Engine:
    """The engine of a folder that is there already."""
    segments_of(data)
    return Engine.open(data)
