"""What a (store, SKU) pair costs: the engine's own count beside the growth of the process.

A process of its own, so that what others freed before cannot hide what the engine takes.
Prints one line of JSON; `measured_apart` runs it and reads the line.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from fendan.workloads.workload import metro
from workload import bare_engine, dictionary_columns


class Footprint(NamedTuple):
    """Bytes a pair: `counted` by the engine, `resident` in the process (None if it is unknown)."""

    pairs: int
    counted: float
    resident: float | None


def resident_bytes() -> int | None:
    """What the process occupies now; None where the system does not say (not Linux)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) * 1024


def give_back_free_memory() -> None:
    """Ask the allocator to return what is free, where it is glibc."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def measure(stores: int, skus: int, skus_per_store: int) -> Footprint:
    """Bytes a pair: as the engine counts, and by how much the process grew while it loaded.

    The growth also holds the SKUs' names and whatever the allocator keeps around small blocks.
    """
    workload = metro(stores=stores, skus=skus, skus_per_store=skus_per_store, orders=1)
    columns = dictionary_columns(workload)
    engine = bare_engine(workload)
    give_back_free_memory()
    before = resident_bytes()
    engine.set_stock(**columns)
    give_back_free_memory()
    after = resident_bytes()
    growth = None if before is None or after is None else after - before
    pairs = engine.pair_count
    return Footprint(pairs, engine.memory_bytes / pairs, growth and growth / pairs)


def measured_apart(stores: int, skus: int, skus_per_store: int) -> Footprint:
    """`measure` in a fresh process."""
    sizes = [str(size) for size in (stores, skus, skus_per_store)]
    command = [sys.executable, str(Path(__file__).resolve()), *sizes]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Footprint(**json.loads(answer))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for size in ("stores", "skus", "skus_per_store"):
        parser.add_argument(size, type=int)
    print(json.dumps(measure(**vars(parser.parse_args()))._asdict()))
