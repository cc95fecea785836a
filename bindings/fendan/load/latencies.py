"""How long messages waited, as a high dynamic range histogram: exact to three digits, and small.

Its encoded form is the one that all HdrHistogram libraries read, so that runs can be added up.
"""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fendan.errors import Fault, refuse

__all__ = ["PERCENTILES", "Latencies"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9)

# From a microsecond to an hour.
MOST_US = 3_600_000_000
DIGITS = 3
EXTRA_HINT = "a load needs it: pip install 'fendan[load]'"


class Latencies:
    """A histogram; `percentile_ms` and the like are 0 where nothing was answered."""

    def __init__(self) -> None:
        self._histogram: Any = _library().HdrHistogram(1, MOST_US, DIGITS)

    @classmethod
    def of(cls, latencies_ns: NDArray[np.int64]) -> Self:
        """Of these; what is below a microsecond counts as one, what is above an hour as one."""
        made = cls()
        rounded = np.clip((latencies_ns + 999) // 1_000, 1, MOST_US)
        for value, count in zip(*np.unique(rounded, return_counts=True), strict=True):
            made._histogram.record_value(int(value), int(count))
        return made

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percentile: float) -> float:
        """So many of a hundred waited no longer, in milliseconds."""
        if not len(self):
            return 0.0
        return float(self._histogram.get_value_at_percentile(percentile)) / 1_000

    @property
    def most_ms(self) -> float:
        """The longest wait, in milliseconds."""
        return self.percentile_ms(100.0)

    def encoded(self) -> str:
        """The histogram in HdrHistogram's V2 form, compressed, in base64; of microseconds."""
        return str(self._histogram.encode().decode())

    @classmethod
    def decoded(cls, text: str) -> Self:
        """What `encoded` wrote."""
        made = cls()
        made._histogram.decode_and_add(text.encode())
        return made


def _library() -> Any:
    """The module, imported where it is needed."""
    with warnings.catch_warnings():
        # From Python 3.14 on its structures should say which layout they mean.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from hdrh import histogram
        except ImportError:
            refuse(Fault.MISSING, "package", "hdrhistogram", hint=EXTRA_HINT)
        return histogram
