"""The command line that the benchmarks share: `[--smoke] [--json FILE]`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

# Wide enough for every table where the output is a file.
PRINTED_WIDTH = 108


class Report(Protocol):
    """What a benchmark found out."""

    def as_json(self) -> str:
        """All of it."""


Found = TypeVar("Found", bound=Report)


def run(
    arguments: Sequence[str] | None,
    description: str | None,
    measure: Callable[[bool, Callable[[str], object]], Found],
    show: Callable[[Found, Console], None],
) -> Found:
    """Parse, measure, print; `arguments` as on the command line.

    `measure` is told whether only to smoke, and whom to tell what it is about to do.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, in seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here")
    chosen = parser.parse_args(arguments)
    errors = Console(stderr=True)
    with errors.status("") as status:
        report = measure(chosen.smoke, status.update)
    console = Console()
    show(report, console if console.is_terminal else Console(width=PRINTED_WIDTH))
    if chosen.json:
        chosen.json.write_text(report.as_json() + "\n", encoding="utf-8")
    return report
