"""When messages are due: evenly, as a Poisson process, or as a file's instants were.

All fill the same time with the same number of messages; only how they crowd differs. Of a file only
the shape counts: its whole span, a day or a year, is compressed into the time there is.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fendan.errors import Fault, refuse
from fendan.sources import Source, open_source
from fendan.times import NS_PER_S

__all__ = ["Arrivals", "Pattern", "read_instants"]


class Pattern(StrEnum):
    """How messages arrive."""

    EVEN = "even"
    POISSON = "poisson"
    REPLAY = "replay"


@dataclass(frozen=True, eq=False)
class Arrivals:
    """A pattern; `instants`, ascending and in any unit, are those that are replayed."""

    pattern: Pattern = Pattern.POISSON
    seed: int = 1
    instants: NDArray[np.float64] | None = None

    def due_ns(self, count: int, seconds: float, turn: int = 0) -> NDArray[np.int64]:
        """So many instants, ascending, within so many seconds; each turn has other random ones.

        Of a Poisson process whose number of arrivals is known, the instants are independent and
        uniform. A replay of more messages than the file has instants puts some between them, one of
        fewer leaves some out, evenly.
        """
        if self.pattern is Pattern.POISSON:
            parts = np.sort(np.random.default_rng([self.seed, turn]).random(count))
        elif self.pattern is Pattern.REPLAY and self.instants is not None:
            places = np.linspace(0.0, len(self.instants) - 1, count)
            found = np.interp(places, np.arange(len(self.instants)), self.instants)
            parts = (found - self.instants[0]) / (self.instants[-1] - self.instants[0])
        else:
            parts = np.arange(count) / max(1, count)
        return np.rint(parts * (seconds * NS_PER_S)).astype(np.int64)


def read_instants(path: Path, column: str | None = None) -> NDArray[np.float64]:
    """The instants in a column of a .csv, .csv.gz or .parquet file, ascending.

    They are numbers of any unit, or ISO 8601. `column` may be left out where there is only one.
    Raises FileFormatError, or InvalidInputError naming the line.
    """
    opened = open_source(path, "utf-8")
    name = column if column is not None or len(opened.names) != 1 else opened.names[0]
    if name not in opened.names:
        hint = f"name one of its columns: {', '.join(opened.names)}"
        opened.source.refuse(Fault.BAD_COLUMNS, "--replay-column", name, hint=hint)
    instants = np.sort(_numbers(opened.source, name, opened.columns[opened.names.index(name)]))
    if len(instants) < 2 or not instants[0] < instants[-1]:
        refuse(Fault.OUT_OF_RANGE, name, len(instants), hint="it needs two different instants")
    return instants


def _numbers(source: Source, name: str, column: Any) -> NDArray[np.float64]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = column.to_pylist()
    known = {value: _instant(value) for value in set(values)}
    bad = [row for row, value in enumerate(values) if known[value] is None]
    if bad:
        hint = "must be a number, or an instant such as 2026-11-11T00:00:03+08:00"
        source.refuse(Fault.OUT_OF_RANGE, name, values[bad[0]], row=bad[0], hint=hint)
    return np.array([known[value] for value in values], dtype=np.float64)


def _instant(value: object) -> float | None:
    """A number, or the seconds since 1970 of an instant; None where it is neither."""
    try:
        number = float(str(value))
    except ValueError:
        try:
            number = datetime.fromisoformat(str(value).strip()).timestamp()
        except ValueError:
            return None
    return number if np.isfinite(number) else None
