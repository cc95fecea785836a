"""`fendan rules`: intake rules as a file sets them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from fendan.intake.config import Config, read_config
from fendan.intake.items import read_items
from fendan.intake.rules import RULES
from fendan.report import show
from fendan.terminal import plain_errors

__all__ = ["rules_app"]

rules_app = typer.Typer(no_args_is_help=True, help="What orders are judged by as they come in.")


@rules_app.command()
def check(
    file: Annotated[
        Path, typer.Argument(help="A file with a table [intake], such as intake.toml.")
    ],
    *,
    chinese: Annotated[bool, typer.Option("--chinese", help="用中文说明。")] = False,
) -> None:
    """Show every rule as it is set; exit status 2, and the field, where something is wrong."""
    with plain_errors():
        config = read_config(file)
        items = [] if config.items is None else read_items(config.items)
        show(rule_table(config, file.name, chinese=chinese))
        typer.echo(_summary(config, len(items)))


def rule_table(config: Config, title: str, *, chinese: bool = False) -> Table:
    """The rules, what each does, and from where on."""
    table = Table("rule", "severity", "threshold", "finds", title=title, title_justify="left")
    for rule, setting in zip(RULES, config.settings, strict=True):
        unit = "" if rule.threshold is None else f"{setting.threshold:,g} {rule.threshold.unit}"
        finds = rule.chinese if chinese else rule.english
        severity = setting.severity.name if setting.enabled else "off"
        table.add_row(rule.code, severity, unit, Text(finds))
    return table


def _summary(config: Config, items: int) -> str:
    enabled = sum(setting.enabled for setting in config.settings)
    channels = f"{len(config.channels)} channels" if config.channels else "any channel"
    return f"{enabled} of {len(RULES)} rules are on; {channels}; {items:,} items."
