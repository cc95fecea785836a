"""`fendan rules`: intake rules as a file sets them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from fendan.intake.config import Config
from fendan.intake.plan import IntakePlan, read_intake_plan
from fendan.intake.rules import RULES
from fendan.report import show
from fendan.terminal import plain_errors

__all__ = ["rules_app"]

rules_app = typer.Typer(no_args_is_help=True, help="What orders are judged by as they come in.")


@rules_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A file of intake, such as intake.toml.")],
    *,
    chinese: Annotated[bool, typer.Option("--chinese", help="用中文说明。")] = False,
) -> None:
    """Show every rule as it is set; exit status 2, and the field, where something is wrong."""
    with plain_errors():
        plan = read_intake_plan(file)
        show(rule_table(plan.config, file.name, chinese=chinese))
        typer.echo(_summary(plan))


def rule_table(config: Config, title: str, *, chinese: bool = False) -> Table:
    """The rules, what each does, and from where on."""
    table = Table("rule", "severity", "threshold", "finds", title=title, title_justify="left")
    for rule, setting in zip(RULES, config.settings, strict=True):
        unit = "" if rule.threshold is None else f"{setting.threshold:,g} {rule.threshold.unit}"
        finds = rule.chinese if chinese else rule.english
        severity = setting.severity.name if setting.enabled else "off"
        table.add_row(rule.code, severity, unit, Text(finds))
    return table


def _summary(plan: IntakePlan) -> str:
    enabled = sum(setting.enabled for setting in plan.config.settings)
    channels = plan.config.channels
    told = f"{len(channels)} channels" if channels else "any channel"
    return (
        f"{enabled} of {len(RULES)} rules are on; {told}; {len(plan.items):,} items; "
        f"mappings: {', '.join(plan.mappings)}."
    )
