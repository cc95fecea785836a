"""`fendan intake`: files of orders as platforms send them, read, judged and routed."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from fendan.api import Engine
from fendan.errors import Fault, refuse
from fendan.intake.files import for_file, payloads_in
from fendan.intake.intake import Intake
from fendan.intake.payload import RawPayload
from fendan.intake.plan import IntakePlan, read_intake_plan
from fendan.intake.result import IntakeOutcome, IntakeResult
from fendan.loading import engine_of_files
from fendan.report import show
from fendan.terminal import new_file, plain_errors, progress_bars, step
from fendan.toml_file import did_you_mean

__all__ = ["intake"]

# Large enough that the engine is never held up, small enough that the progress bar moves.
PAYLOADS_PER_CHUNK = 2_000

COLUMNS = ("order_id", "outcome", "store_id", "codes", "warnings", "exception_id", "hint")


def intake(
    file: Annotated[
        Path, typer.Argument(help="Orders: .json, .jsonl, .csv, or .form with a line for each.")
    ],
    *,
    platform: Annotated[
        str, typer.Option(help="Whose they are: MEITUAN, OWN_SHOP, POS, or one of the config.")
    ],
    config: Annotated[
        Path | None, typer.Option(help="Rules, goods and mappings: a .toml file.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The folder of an engine, which is to take them.")
    ] = None,
    stores: Annotated[Path | None, typer.Option(help="Else, to try it: a file of stores")] = None,
    stock: Annotated[Path | None, typer.Option(help="and one of their stock.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where a row for each order goes: a .csv file.")
    ] = None,
) -> None:
    """Take orders in as a platform sends them, and say what became of them.

    Nothing is lost: what cannot be read, or must be looked at, stands in the exception queue of the
    folder, with its text.
    """
    with plain_errors(), ExitStack() as stack:
        plan = IntakePlan() if config is None else read_intake_plan(config)
        if platform not in plan.mappings:
            hint = (
                f"must be one of {', '.join(plan.mappings)}{did_you_mean(platform, plan.mappings)}"
            )
            refuse(Fault.OUT_OF_RANGE, "--platform", platform, hint=hint)
        mapping = for_file(plan.mappings[platform], file)
        plan = replace(plan, mappings={**plan.mappings, platform: mapping})
        table = None if out is None else stack.enter_context(new_file(out, (".csv",), (file,)))
        engine = _engine(data, stores, stock, stack)
        counts = _Counts()
        with progress_bars() as progress:
            with step(progress, f"Reading {file.name}"):
                payloads = list(payloads_in(file, mapping))
            task = progress.add_task(f"Taking {len(payloads):,} payloads in", total=len(payloads))
            results = []
            taking = Intake(engine, plan)
            for chunk in _chunks(payloads):
                told = taking.take(chunk)
                counts.count(told)
                if table is not None:
                    results += told
                progress.advance(task, len(chunk))
        if table is not None:
            _write(results, table)
    show(counts.table(file.name))


def _chunks(payloads: list[RawPayload]) -> Iterator[list[RawPayload]]:
    left = iter(payloads)
    while chunk := list(islice(left, PAYLOADS_PER_CHUNK)):
        yield chunk


def _engine(data: Path | None, stores: Path | None, stock: Path | None, stack: ExitStack) -> Engine:
    """The engine of a folder, or one of files that is gone in the end."""
    if data is not None and stores is None and stock is None:
        engine = Engine.open(data)
        stack.callback(engine.close)
        return engine
    if data is not None or stores is None or stock is None:
        refuse(Fault.MISSING, "--data", hint="give either --data, or --stores and --stock")
    return engine_of_files(stores, stock)


def _write(results: list[IntakeResult], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for result in results:
            said: Mapping[str, object] = {
                "outcome": result.outcome.name,
                "codes": "|".join(result.codes),
                "warnings": "|".join(result.warnings),
            }
            row = [said.get(name, getattr(result, name)) for name in COLUMNS]
            writer.writerow(["" if value is None else value for value in row])


class _Counts:
    """How many orders went which way, and why."""

    def __init__(self) -> None:
        self._outcomes: Counter[IntakeOutcome] = Counter()
        self._reasons: Counter[tuple[IntakeOutcome, str]] = Counter()
        self._warnings: Counter[str] = Counter()

    def count(self, results: list[IntakeResult]) -> None:
        """Add these."""
        for result in results:
            self._outcomes[result.outcome] += 1
            self._reasons.update((result.outcome, code) for code in result.codes)
            self._warnings.update(result.warnings)

    def table(self, name: str) -> Table:
        """All of it; an order with several codes stands at each of them."""
        total = self._outcomes.total()
        title = escape(f"{name}: {total:,} orders")
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        table.add_column(justify="right")
        for outcome in IntakeOutcome:
            count = self._outcomes[outcome]
            share = f"{count / total:.1%}" if total else ""
            table.add_row(outcome.name.lower(), f"{count:,}", share, style="bold")
            for (of, code), times in self._reasons.most_common():
                if of is outcome:
                    table.add_row(f"  {code}", f"{times:,}", "")
        for code, times in self._warnings.most_common():
            table.add_row(f"warned: {code}", f"{times:,}", "")
        return table
