"""The command line that the benchmarks share: `[--smoke] [--json FILE]`, and names of parts."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console

from rows import Row, as_json

# Wide enough for every table where the output is a file.
PRINTED_WIDTH = 108


class Report(Protocol):
    """What a benchmark found out, a dataclass; it may say more than this."""

    @property
    def machine(self) -> Mapping[str, str]:
        """Where it was found."""

    @property
    def rows(self) -> Sequence[Row]:
        """The numbers."""


Found = TypeVar("Found", bound=Report)
Sizes = TypeVar("Sizes")
Say = Callable[[str], object]


def run(
    arguments: Sequence[str] | None,
    description: str | None,
    measure: Callable[[Sizes, Say], Found],
    show: Callable[[Found, Console], None],
    *,
    full: Sizes,
    smoke: Sizes,
) -> Found:
    """Parse, measure, print; `arguments` as on the command line.

    `measure` is told in which sizes, and whom to tell what it is about to do; `show` prints what
    comes below the machine.
    """
    chosen = _parser(description).parse_args(arguments)
    sizes = smoke if chosen.smoke else full
    return _report(chosen, lambda say: measure(sizes, say), show)


def run_some(
    arguments: Sequence[str] | None,
    description: str | None,
    names: Sequence[str],
    measure: Callable[[Sequence[str], bool, Say], Found],
    show: Callable[[Found, Console], None],
) -> Found:
    """As `run`, of the parts that are named on the command line; without a name, of all."""
    parser = _parser(description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in names:
            parser.error(f"there is no {name}; there are {', '.join(names)}")
    return _report(chosen, lambda say: measure(chosen.names or names, chosen.smoke, say), show)


def show_not_run(reasons: Mapping[str, str], console: Console) -> None:
    """Print the parts that were left out, by name, and why."""
    for name, why in reasons.items():
        console.print(f"{name}: not run, {why}")


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, in seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the report here")
    return parser


def _report(
    chosen: argparse.Namespace,
    measure: Callable[[Say], Found],
    show: Callable[[Found, Console], None],
) -> Found:
    errors = Console(stderr=True)
    with errors.status("") as status:
        report = measure(status.update)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PRINTED_WIDTH)
    console.print(", ".join(f"{label} {value}" for label, value in report.machine.items()))
    show(report, console)
    if chosen.json:
        chosen.json.write_text(as_json(report) + "\n", encoding="utf-8")
    return report
