"""Steps one after another, until all is done or the server is gone."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fendan.client import Client
from fendan.errors import Fault, FendanError, ServiceError, refuse
from fendan.load.arrivals import Arrivals
from fendan.load.knee import find_knee
from fendan.load.messages import Messages, Pool, Reserved
from fendan.load.release import release
from fendan.load.sending import UNANSWERED, UNSENT, Came, Target, Watch, send
from fendan.load.stages import Stages
from fendan.load.step import Step, status_name

__all__ = ["Load", "Run"]

# Between two looks whether a server that refused the very first message still does.
PAUSE_S = 0.2
# What may pass: the server is busy, or not up yet.
PASSING = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
# It does not know what the orders want.
UNKNOWN = "NOT_FOUND"


@dataclass
class Run:
    """What was done. `failure` says why it ended early; "" where it did not."""

    steps: list[Step] = field(default_factory=list)
    knee_per_s: float | None = None
    failure: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Load:
    """How each step is done.

    `watched` brackets a step, and brings who is told how it goes. `how_to_serve` is said where the
    server does not know what the orders want; "" where nobody could tell.
    """

    target: Target
    pool: Pool
    arrivals: Arrivals
    seconds: float
    warm_s: float
    patience_s: float
    reserved: Reserved = Reserved.RELEASE
    metrics: str | None = None
    how_to_serve: str = ""
    watched: Callable[[float, int], AbstractContextManager[Watch | None]] = (
        lambda _rate, _messages: nullcontext()
    )

    # -- RUNS ----------------------------------------------------------------------------------

    def at_rates(self, rates_per_s: Sequence[float]) -> Run:
        """A step for each rate, in orders a second."""
        run = Run()
        for rate in rates_per_s:
            if self._step(run, rate) is None:
                break
        return run

    def to_the_knee(self, start_per_s: float, p99_ms: float) -> Run:
        """Steps until the knee is found."""
        run = Run()
        run.knee_per_s = find_knee(lambda rate: self._step(run, rate), start_per_s, p99_ms)
        return run

    def _step(self, run: Run, rate_per_s: float) -> Step | None:
        """One more step; None where the run must end, as `run.failure` says."""
        try:
            if run.steps:
                self._ask_one()
            messages, came, step = self._sent(rate_per_s, len(run.steps))
        except FendanError as error:  # or there are too many orders for one step
            run.failure = error.message
            return None
        run.steps.append(step)
        try:
            self._give_back(messages, came)
        except ServiceError as error:
            run.failure = f"what was reserved was not all released: {error.message}"
            return None
        return step

    def check(self) -> None:
        """Whether the server answers an order at all, and its metrics are there; to begin with.

        Raises UnavailableError with its words.
        """
        if self.metrics is not None:
            Stages.read(self.metrics)
        until_s = time.monotonic() + self.patience_s
        while True:
            came = self._ask_one()
            status = int(came.statuses[0])
            if status == 0:
                return
            name = status_name(status)
            if name not in PASSING or time.monotonic() > until_s:
                words = f"{name}: {came.said.get(status, 'no answer')}"
                if name == UNKNOWN and self.how_to_serve:
                    words += f"; {self.how_to_serve}"
                refuse(Fault.UNAVAILABLE, "--target", self.target.address, hint=words)
            time.sleep(PAUSE_S)

    def _ask_one(self) -> Came:
        """One message, when there is nothing else: what was left of the step before is done then.

        Raises UnavailableError where there is no answer.
        """
        messages = self.pool.take(1)
        now = np.zeros(1, dtype=np.int64)
        came = send(self.target, messages, now, patience_s=self.patience_s)
        if came.statuses[0] < 0:
            hint = f"no answer to a single message within {self.patience_s:g} s"
            refuse(Fault.UNAVAILABLE, "--target", self.target.address, hint=hint)
        self._give_back(messages, came)
        return came

    # -- A STEP --------------------------------------------------------------------------------

    def _sent(self, rate_per_s: float, turn: int) -> tuple[Messages, Came, Step]:
        """Send at a rate of orders a second. Raises UnavailableError where nobody answers."""
        whole_s = self.warm_s + self.seconds
        count = max(1, round(rate_per_s * whole_s / self.pool.per_message))
        messages = self.pool.take(count)
        due_ns = self.arrivals.due_ns(count, whole_s, turn)
        before = self._stages()
        wall_s, cpu_s = time.monotonic(), time.process_time()
        with self.watched(rate_per_s, count) as watch:
            came = self._send(messages, due_ns, watch)
        wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
        after = self._stages()
        step = Step.of(
            came,
            due_ns,
            offered_per_s=rate_per_s,
            warm_s=self.warm_s,
            seconds=self.seconds,
            per_message=self.pool.per_message,
            load_cores=cpu_s / wall_s,
            stages=None if before is None or after is None else after.since(before),
        )
        return messages, came, step

    def _send(self, messages: Messages, due_ns: NDArray[np.int64], watch: Watch | None) -> Came:
        """Send; after Ctrl-C, what had begun is given back all the same."""
        begun: list[tuple[NDArray[np.int64], NDArray[np.int8]]] = []

        def noted(latencies_ns: NDArray[np.int64], statuses: NDArray[np.int8]) -> None:
            begun[:] = [(latencies_ns, statuses)]
            if watch is not None:
                watch(latencies_ns, statuses)

        patience_s = self.patience_s
        try:
            return send(self.target, messages, due_ns, patience_s=patience_s, watch=noted)
        except KeyboardInterrupt:
            for latencies_ns, statuses in begun:
                # What has begun and has no status yet is under way.
                known = np.where(statuses == UNSENT, UNANSWERED, statuses)
                self._give_back(messages, Came(latencies_ns=latencies_ns, statuses=known))
            raise

    def _stages(self) -> Stages | None:
        """What the server has counted; None where it does not say, or no longer."""
        try:
            return None if self.metrics is None else Stages.read(self.metrics)
        except FendanError:
            return None

    def _give_back(self, messages: Messages, came: Came) -> None:
        """Release what was reserved. Raises ServiceErrors."""
        if self.reserved is not Reserved.RELEASE:
            return
        target = self.target
        with Client(
            target.address,
            token=target.token,
            tls=target.tls,
            timeout_s=self.patience_s,
            token_over_plaintext=target.token_over_plaintext,
        ) as client:
            release(client, messages, came)
