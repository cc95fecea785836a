"""One rate for some seconds: how long messages waited, and, apart from that, what went wrong.

due   │ warm-up │ second 0 │ second 1 │ …        latencies: of answers due after the warm-up
      0       warm_s                     end     errors: all there were, in the warm-up, too
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from fendan.engine import wire
from fendan.engine.router import Status
from fendan.load.latencies import PERCENTILES, Latencies
from fendan.load.messages import field_ends
from fendan.load.sending import NAMES, Came
from fendan.load.stages import Stage
from fendan.times import NS_PER_S

__all__ = ["Second", "Step", "status_name"]

STATUS_NAMES = {code.value[0]: code.name for code in grpc.StatusCode} | NAMES
# Decisions that are objects while they are counted.
AT_A_TIME_BYTES = 4 << 20


def status_name(status: int) -> str:
    """Of a gRPC status, or of what takes its place."""
    return STATUS_NAMES.get(status, "UNKNOWN")


@dataclass(frozen=True)
class Second:
    """The messages that were due in one second; latencies are those of their answers."""

    due: int
    errors: int
    p50_ms: float
    p99_ms: float
    most_ms: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """What was found at one rate; rates are in orders a second.

    `offered_per_s` were due, `answered_per_s` came back decided, counted until the last answer.
    `messages` were due after the warm-up; `decided` and `assigned` are orders of all.
    `load_cores`: how many cores the load itself used; near 1.0 it was the limit, not the server.
    """

    offered_per_s: float
    answered_per_s: float
    seconds: float
    messages: int
    decided: int
    assigned: int
    errors: dict[str, int]
    said: dict[str, str]
    lost: int
    load_cores: float
    latencies: Latencies
    timeline: list[Second]
    stages: Mapping[str, Stage] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        came: Came,
        due_ns: NDArray[np.int64],
        *,
        offered_per_s: float,
        warm_s: float,
        seconds: float,
        per_message: int,
        load_cores: float = 0.0,
        stages: Mapping[str, Stage] | None = None,
    ) -> "Step":
        """Judge a sending of `warm_s` and then `seconds`."""
        counted = due_ns >= warm_s * NS_PER_S
        good = counted & (came.statuses == 0)
        answered_ns = (due_ns + came.latencies_ns)[good]
        took_s = max(seconds, answered_ns.max(initial=0) / NS_PER_S - warm_s)
        statuses, times = np.unique(came.statuses[came.statuses != 0], return_counts=True)
        return cls(
            offered_per_s=offered_per_s,
            answered_per_s=np.count_nonzero(good) * per_message / took_s,
            seconds=seconds,
            messages=int(np.count_nonzero(counted)),
            decided=int(np.count_nonzero(came.statuses == 0)) * per_message,
            assigned=sum(_assigned(part) for part in _parts(came.answers)),
            errors={
                status_name(status): count
                for status, count in zip(statuses.tolist(), times.tolist(), strict=True)
            },
            said={status_name(status): words for status, words in came.said.items()},
            lost=came.lost,
            load_cores=load_cores,
            latencies=Latencies.of(came.latencies_ns[good]),
            timeline=list(_timeline(came, due_ns, counted, warm_s, seconds)),
            stages=stages or {},
        )

    @property
    def unassigned(self) -> int:
        """Orders that were decided, and given no store."""
        return self.decided - self.assigned

    @property
    def error_count(self) -> int:
        """Messages without a decision, whatever the reason."""
        return sum(self.errors.values())

    def as_json(self) -> dict[str, Any]:
        """All of it, for `json.dumps`; the histogram in its encoded form."""
        named = {f"p{percentile:g}_ms": percentile for percentile in PERCENTILES}
        waits = {name: self.latencies.percentile_ms(at) for name, at in named.items()}
        waits["most_ms"] = self.latencies.most_ms
        return {
            **{name: value for name, value in vars(self).items() if name != "latencies"},
            "latencies": waits | {"count": len(self.latencies)},
            "timeline": [vars(second) for second in self.timeline],
            "stages": {name: stage._asdict() for name, stage in self.stages.items()},
            "histogram_us": self.latencies.encoded(),
        }


def _timeline(
    came: Came,
    due_ns: NDArray[np.int64],
    counted: NDArray[np.bool_],
    warm_s: float,
    seconds: float,
) -> Iterator[Second]:
    """By the second in which messages were due; the very end belongs to the last one."""
    second = ((due_ns - int(warm_s * NS_PER_S)) // NS_PER_S)[counted]
    second = np.minimum(second, math.ceil(seconds) - 1)
    statuses, waits_ms = came.statuses[counted], came.latencies_ns[counted] / 1e6
    edges = np.searchsorted(second, np.arange(int(second[-1]) + 2 if len(second) else 1))
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        good = statuses[begin:end] == 0
        waits = waits_ms[begin:end][good]
        # Always a wait that somebody had, and the longer one of two.
        marks = np.percentile(waits, (50, 99, 100), method="higher") if len(waits) else np.zeros(3)
        yield Second(end - begin, int(np.count_nonzero(~good)), *marks.tolist())


def _assigned(answers: bytes) -> int:
    """How many orders were given a store."""
    decisions = wire.read_response(answers).decisions
    return sum(decision.status is Status.ASSIGNED for decision in decisions)


def _parts(answers: bytes) -> Iterator[bytes]:
    """Answers cut between decisions, each of which is a field."""
    begin = 0
    for end in field_ends(answers):
        if end - begin >= AT_A_TIME_BYTES:
            yield answers[begin:end]
            begin = end
    yield answers[begin:]
