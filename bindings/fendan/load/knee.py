"""The knee: the highest rate at which a server still answers all, and 99 of 100 soon enough.

    rate    start ─► x2 ─► x2 ─► x2 (too much)
                           └── halves between the last good and the first bad ──► within 5 %

One step is one sample, and every machine has its hiccups: a rate is too much when it was so twice.
Longer steps make better samples.
"""

from collections.abc import Callable

from fendan.load.step import Step

__all__ = ["find_knee", "keeps_up"]

PRECISION = 1.05
TRIES = 2
MOST_PER_S = 4_000_000.0
LEAST_PER_S = 1.0


def keeps_up(step: Step, p99_ms: float) -> bool:
    """Whether all was answered with decisions, 99 of 100 within the bound."""
    answered = len(step.latencies) == step.messages > 0
    return answered and not step.errors and step.latencies.percentile_ms(99.0) <= p99_ms


def find_knee(
    at: Callable[[float], Step | None], start_per_s: float, p99_ms: float
) -> float | None:
    """The knee in orders a second; `at` runs a step and returns None to end the search.

    None where no rate was good, or the search was ended before the first bad one.
    """
    good, bad = 0.0, 0.0
    rate = start_per_s
    while not bad or good * PRECISION < bad:
        for _ in range(TRIES):
            step = at(rate)
            if step is None:
                return None
            if keeps_up(step, p99_ms):
                good = rate
                break
        else:
            bad = rate
        if good >= MOST_PER_S or (bad and bad <= LEAST_PER_S):
            break
        if not bad:
            rate = good * 2.0
        elif not good:
            rate = bad / 2.0
        else:
            rate = (good * bad) ** 0.5
    return good or None
