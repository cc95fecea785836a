"""An engine that catches itself breaking a promise stops, and says what it knows."""

import json
from pathlib import Path

import numpy as np
import pytest

from fendan import BreachError, Engine, Order, Store
from fendan.checking import check
from fendan.engine.batch import Batch

PLACE = {"lat": 31.0, "lng": 121.0}


def tampered(folder: Path) -> Engine:
    """An engine that has reserved three pieces for nobody, and written nothing of it."""
    engine = Engine.open(folder)
    engine.add_stores([Store(id="A", **PLACE)])
    engine.set_stock([("A", "tea", 9)])
    engine.route(Order(id="O1", **PLACE, lines=[("tea", 2)]))
    engine.check()
    nobodys = Batch.of_arrays(
        np.array([31.0]),
        np.array([121.0]),
        np.array([0, 1]),
        np.zeros(1, dtype=np.int32),
        np.full(1, 3, dtype=np.int32),
        None,
        1,
    )
    orders = engine._orders
    events, orders.events = orders.events, None
    orders.route(nobodys, float("inf"))
    orders.events = events
    return engine


def test_a_check_finds_what_nobody_holds_and_the_engine_stops_with_a_dump(tmp_path: Path) -> None:
    with tampered(tmp_path) as engine:
        with pytest.raises(BreachError, match="'A', SKU 'tea': reserved is not what its orders"):
            engine.check()
        for command in (
            lambda: engine.route(Order(id="O2", **PLACE, lines=[("tea", 1)])),
            lambda: engine.cancel_order("O1"),
            lambda: engine.decision("O1"),
            lambda: engine.set_stock([("A", "tea", 9)]),
        ):
            with pytest.raises(BreachError, match="reserved is not what its orders"):
                command()
        (dump,) = tmp_path.glob("breach-*.json")
        known = json.loads(dump.read_text())
        assert "reserved is not what its orders hold" in known["audit"]["problem"]
        assert known["orders"] == 1
    # What was written is right: only the memory was wrong.
    assert check(tmp_path).is_good
    with Engine.open(tmp_path) as engine:
        engine.check()
        assert engine.available("A", "tea") == 7


def test_what_contradicts_the_events_before_it_is_refused_on_recovery(tmp_path: Path) -> None:
    with tampered(tmp_path) as engine:
        engine.route(Order(id="O2", **PLACE, lines=[("tea", 1)]))
    with pytest.raises(BreachError, match="counts"):
        Engine.open(tmp_path)
    broken = [line for line in check(tmp_path).lines if line.problem is not None]
    assert [line.name for line in broken] == [
        "events follow from one another, each order is there once"
    ]


def test_an_engine_in_memory_can_be_checked_too() -> None:
    engine = Engine()
    engine.add_stores([Store(id="A", **PLACE)])
    engine.set_stock([("A", "tea", 9)])
    engine.route(Order(id="O1", **PLACE, lines=[("tea", 2)]))
    engine.check()
