"""What the server itself counts, read from its Prometheus endpoint: time by stage."""

import re
import urllib.request
from http.client import HTTPException
from typing import NamedTuple

from fendan.errors import Fault, refuse

__all__ = ["Stage", "Stages"]

TIMEOUT_S = 5.0
SAMPLE = re.compile(
    r'^fendan_(?:stage_seconds_(?P<what>sum|count)\{stage="(?P<stage>\w+)"\}'
    r"|sync_seconds_(?P<sync>sum|count)) (?P<value>\S+)$",
    re.MULTILINE,
)
SYNC = "sync"


class Stage(NamedTuple):
    """How often, and how long on the average, in milliseconds."""

    times: int
    mean_ms: float


class Stages:
    """The sums at one moment; `since` an earlier one."""

    def __init__(self, sums: dict[tuple[str, str], float]) -> None:
        self._sums = sums

    @classmethod
    def of(cls, text: str) -> "Stages":
        """From what Prometheus is told."""
        return cls(
            {
                (found["stage"] or SYNC, found["what"] or found["sync"]): float(found["value"])
                for found in SAMPLE.finditer(text)
            }
        )

    @classmethod
    def read(cls, address: str) -> "Stages":
        """From ``host:port``, past any proxy. Raises UnavailableError."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:
                return cls.of(answer.read().decode())
        except (OSError, ValueError, HTTPException):
            hint = "no metrics there; the server's setting is metrics.listen"
            refuse(Fault.UNAVAILABLE, "--metrics", address, hint=hint)

    def since(self, before: "Stages") -> dict[str, Stage]:
        """What happened in between, by stage; `sync` is waiting for the disk."""
        found = {}
        for stage, what in self._sums:
            times = round(self._grown(before, stage, "count"))
            if what == "count" and times:
                found[stage] = Stage(times, 1e3 * self._grown(before, stage, "sum") / times)
        return found

    def _grown(self, before: "Stages", stage: str, what: str) -> float:
        return self._sums.get((stage, what), 0.0) - before._sums.get((stage, what), 0.0)
