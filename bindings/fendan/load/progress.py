"""How a step goes, while it goes: a bar on standard error, and nothing where nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fendan.load.sending import Watch

__all__ = ["Watched", "watched"]

# Of the newest answers, that the bar may say how it is now.
NEWEST = 10_000

Watched = Callable[[float, int], AbstractContextManager[Watch | None]]


@contextmanager
def watched() -> Iterator[Watched]:
    """Bars for steps, one below the other."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:>9} orders/s"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        @contextmanager
        def step(rate_per_s: float, messages: int) -> Iterator[Watch]:
            task = progress.add_task(f"{rate_per_s:,.0f}", total=messages, words="")

            def watch(latencies_ns: NDArray[np.int64], statuses: NDArray[np.int8]) -> None:
                if not progress.disable:
                    words = _words(latencies_ns, statuses)
                    progress.update(task, completed=len(statuses), words=words)

            yield watch
            progress.stop_task(task)

        yield step


def _words(latencies_ns: NDArray[np.int64], statuses: NDArray[np.int8]) -> str:
    """How many are under way, how many failed, how long the newest answers took."""
    answered = statuses == 0
    errors = int(np.count_nonzero(~answered & (latencies_ns >= 0)))
    waiting = int(np.count_nonzero(latencies_ns < 0))
    newest = latencies_ns[-NEWEST:][answered[-NEWEST:]]
    p99 = f"p99 {np.percentile(newest, 99) / 1e6:,.1f} ms" if len(newest) else "no answer yet"
    return f"{waiting:,} waiting, {errors:,} errors, {p99}"
