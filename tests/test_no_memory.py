"""Where there is no memory to note what lots hold, nothing is lost, and nobody loses anything."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from clock import StoppedClock
from fendan import Engine, Order, RejectReason, Store
from shims import shim_of
from splitting import Share, settle

NOON_NS = 1_767_240_000 * 10**9  # noon of the first of January 2026 in Shanghai
TOMORROW = (date(2026, 1, 1) + timedelta(1)).isoformat()
NOTED = 1024  # how many holds are noted before the notes need more room
NOTE_BYTES = 16

Full = Callable[[], AbstractContextManager[None]]


def a_dairy() -> Engine:
    """Two shops with milk for all, the first the nearest."""
    engine = Engine(clock=StoppedClock(NOON_NS))
    engine.add_stores(
        Store(id=f"S{number}", lat=31.2, lng=121.4 + number / 100) for number in (1, 2)
    )
    for name in ("S1", "S2"):
        engine.set_lots(name, "milk", {TOMORROW: 2 * NOTED})
    return engine


def orders(count: int) -> list[Order]:
    return [Order(id=f"O{n}", lat=31.2, lng=121.4, lines=[("milk", 1)]) for n in range(count)]


def reserved(engine: Engine) -> list[int]:
    """In the lots of both shops."""
    return [engine.lots(store, "milk")[0].reserved for store in ("S1", "S2")]


# -- IN A PROCESS WITHOUT MEMORY ---------------------------------------------------------------


def rejected(full: Full) -> list[int]:
    """An order goes to the next store when the notes are full."""
    engine = a_dairy()
    engine.route_batch(orders(NOTED))
    with full():
        engine.reject_order("O0", "S1", reason=RejectReason.TOO_BUSY)
    return reserved(engine)


def settled(full: Full) -> list[Any]:
    """Orders that were decided elsewhere come when there is no room for notes."""
    engine = a_dairy()
    engine.set_stock([("S1", "bread", 1)])
    engine.route(Order(id="bread", lat=31.2, lng=121.4, lines=[("bread", 1)]))  # needs no notes
    shares = {order.id: (Share("S1", {"milk": 1}), Share("S2", {"milk": 1})) for order in orders(2)}
    told = "nothing was wrong"
    with full():
        try:
            settle(engine, shares, orders(2))
        except MemoryError as error:
            told = str(error)
    return [told, reserved(engine), [engine.available(name, "milk") for name in ("S1", "S2")]]


def main(library: str, scenario: str) -> None:
    shim = ctypes.CDLL(library)
    shim.fail_realloc.argtypes = [ctypes.c_size_t]

    @contextmanager
    def full() -> Iterator[None]:
        shim.fail_realloc(NOTED * NOTE_BYTES)
        try:
            yield
        finally:
            shim.fail_realloc(sys.maxsize)

    print(json.dumps({"rejected": rejected, "settled": settled}[scenario](full)))


# -- THE TESTS ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that leaves no room."""
    return shim_of("failing_realloc.c", tmp_path_factory.mktemp("shim"))


def outcome(shim: Path, scenario: str) -> Any:
    run = subprocess.run(
        [sys.executable, __file__, str(shim), scenario],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def test_an_order_that_goes_to_another_store_takes_nothing_from_those_that_came_before_it(
    shim: Path,
) -> None:
    assert outcome(shim, "rejected") == [NOTED - 1, 1]


def test_shipments_whose_holds_cannot_be_noted_are_not_reserved_at_all(shim: Path) -> None:
    told, lots, available = outcome(shim, "settled")
    assert told == "no room for more decisions"
    assert lots == [0, 0]
    assert available == [2 * NOTED, 2 * NOTED]


if __name__ == "__main__":
    main(*sys.argv[1:])
