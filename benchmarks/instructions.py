"""Instructions of fixed small work, and a guard over them: `python benchmarks/instructions.py`.

Seconds depend on the machine and on who else uses it; how many instructions the same work takes
does not, to a few in a million. callgrind counts them for every way through the engine that
counted.py knows, and instructions.json has what they were. Whoever makes one grow by more than 5 %
says so by `--record` in the same commit; a test fails otherwise.

The processor is valgrind's, which knows AVX2 and no AVX-512, so what is counted is the AVX2 version
of the vectorised loops. What waits for memory does not show here: for that, see metro.py.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import callgrind
import counted
from callgrind import CannotCountError
from compiled import HERE
from fendan.engine import router
from machine import machine

RECORD = HERE / "instructions.json"
MOST_GROWTH = 0.05


@dataclass(frozen=True)
class Counts:
    """What was counted, by the name of the work, and what the numbers depend on."""

    depends_on: dict[str, str]
    orders: int
    instructions: dict[str, int]

    @classmethod
    def recorded(cls) -> "Counts":
        """Those of instructions.json."""
        return cls(**json.loads(RECORD.read_text(encoding="utf-8")))


def surroundings() -> dict[str, str]:
    """What the numbers depend on besides the source. Raises CannotCountError without a tool.

    Patches of the compiler and of Python, and other valgrinds, change less than is looked for.
    """
    callgrind.check_tools()
    here = machine()
    assert router.__file__ is not None
    binary = Path(router.__file__).read_bytes()
    built_by = re.search(rb"(GCC): \([^)]*\) (\d+)|(clang) version (\d+)", binary)
    return {
        "built by": b" ".join(filter(None, built_by.groups())).decode() if built_by else "unknown",
        "vectors": "avx2" if "avx2" in here["vectors"] else "none",
        "system": here["system"],
        "python": ".".join(here["python"].split(".")[:2]),
    }


def count() -> Counts:
    """Do the work under callgrind. Raises CannotCountError where that is not possible."""
    depends_on = surroundings()
    found = callgrind.events_of(counted.__file__)
    instructions = {name: events[callgrind.INSTRUCTIONS] for name, events in found.items()}
    return Counts(depends_on, counted.ORDERS, dict(sorted(instructions.items())))


def comparable(recorded: Counts, here: dict[str, str]) -> None:
    """Raises CannotCountError where the numbers must differ, whatever the source says."""
    for what, value in recorded.depends_on.items():
        if here[what] != value:
            raise CannotCountError(f"{what}: recorded with {value}, here is {here[what]}")


def grown(recorded: Counts, now: Counts) -> dict[str, str]:
    """What fails, and why: work that takes over 5 % more, or of which there is no record."""
    failing = {}
    for name, instructions in now.instructions.items():
        before = recorded.instructions.get(name)
        if before is None:
            failing[name] = "is not recorded"
        elif instructions > before * (1 + MOST_GROWTH):
            failing[name] = f"takes {instructions / before - 1:+.1%} instructions"
    for name in recorded.instructions.keys() - now.instructions.keys():
        failing[name] = "is recorded, and counted no more"
    return failing


def _table(recorded: Counts | None, now: Counts) -> Table:
    """Each kind of work, for one order."""
    table = Table("", "instructions an order", "recorded", "change")
    for name, instructions in now.instructions.items():
        before = recorded.instructions.get(name) if recorded else None
        table.add_row(
            name.replace("_", " "),
            f"{instructions / now.orders:,.0f}",
            "" if before is None else f"{before / now.orders:,.0f}",
            "" if before is None else f"{instructions / before - 1:+.2%}",
        )
    return table


def _as_json(counts: Counts) -> str:
    fields: dict[str, Any] = asdict(counts)
    return json.dumps(fields, indent=2) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and compare or record; the exit status is 1 where something grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    chosen = parser.parse_args(arguments)
    console = Console()
    recorded = Counts.recorded() if RECORD.exists() else None
    try:
        if recorded and not chosen.record:
            comparable(recorded, surroundings())
        now = count()
    except CannotCountError as error:
        console.print(f"not counted: {error}")
        return 0
    console.print(_table(recorded, now))
    if chosen.record:
        RECORD.write_text(_as_json(now), encoding="utf-8")
        return 0
    failing = {} if recorded is None else grown(recorded, now)
    for name, why in failing.items():
        console.print(f"{name} {why}; if that is worth it: --record, in the same commit")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
