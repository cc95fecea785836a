"""One batch of a named workload, counted by whoever runs this: callgrind or perf, for misses.py.

    python benchmarks/one_batch.py NAME SMALLER callgrind|perf WHERE

A batch of other orders comes before, so that caches and guesses are those of an engine at work.
By itself it counts nothing; it prints the hash of what it decided.
"""

import gc
import sys
from ctypes import CDLL
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

import fendan
from fendan.workloads.named import NAMED, made
from workload import decision_hash, engine_for

CALLGRIND, PERF = "callgrind", "perf"
CONTROL, ACKNOWLEDGED = "control", "acknowledged"  # the pipes of `perf stat --control`


class Counter(Protocol):
    """What counts. It is made before the batch that comes before."""

    def begin(self) -> None:
        """From here on."""

    def end(self) -> None:
        """Until here."""


class Callgrind:
    """callgrind, by way of the library of counting.c. Its caches fill from the beginning."""

    def __init__(self, library: str) -> None:
        self._library = CDLL(library)
        self._library.begin_counting()

    def begin(self) -> None:
        """Forget what was counted."""
        self._library.begin_counting()

    def end(self) -> None:
        """Write it down."""
        self._library.end_counting(b"batch")


class Perf:
    """`perf stat`, by way of two pipes in a folder."""

    def __init__(self, folder: str) -> None:
        self._control = (Path(folder) / CONTROL).open("wb", buffering=0)
        self._acknowledged = (Path(folder) / ACKNOWLEDGED).open("rb")

    def begin(self) -> None:
        """Ask for it, and wait until it is so."""
        self._say(b"enable\n")

    def end(self) -> None:
        """Ask for it, and wait until it is so."""
        self._say(b"disable\n")

    def _say(self, word: bytes) -> None:
        self._control.write(word)
        self._acknowledged.readline()


def main(name: str, smaller: str, how: str, where: str) -> None:
    """Make and load the workload, and route two batches, the second of which counts."""
    size = NAMED[name].smaller(int(smaller))
    workload, batches = made(replace(size, batches=2))
    engine = engine_for(workload)
    policy = fendan.Policy(radius_m=size.radius_m)
    before, counted = (vars(orders) for orders in batches)
    gc.collect()
    gc.disable()
    counter: Counter = Callgrind(where) if how == CALLGRIND else Perf(where)
    first = engine.route_arrays(**before, policy=policy)
    counter.begin()
    second = engine.route_arrays(**counted, policy=policy)
    counter.end()
    stores = np.concatenate([first.store_codes, second.store_codes])
    metres = np.concatenate([first.distances_m, second.distances_m])
    print(decision_hash(stores, metres))


if __name__ == "__main__":
    main(*sys.argv[1:])
