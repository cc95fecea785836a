"""Plain orders take a short way through the engine, and nobody can tell by what they are told."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import StoppedClock
from fendan import Datum, Engine, FendanError, Order, OrderType, Policy, SkuProfile, Store
from fendan.engine.express import Express
from fendan.engine.meter import EDGES_S, STAGES, Meter
from fendan.engine.wire import Kind, Request, write_request
from fendan.state import state_hash
from strategies import Scene, scenes

MOST = 1_000
LINES = [("milk", 1)]


def near(name: str, **said: object) -> Order:
    return replace(Order(id=name, lat=31.0, lng=121.0, lines=LINES), **said)  # type: ignore[arg-type]


def chain(stock: int = 1_000) -> Engine:
    engine = Engine()
    engine.add_stores([Store(id="S1", lat=31.0, lng=121.0), Store(id="S2", lat=31.1, lng=121.0)])
    engine.set_stock([("S1", "milk", stock), ("S2", "milk", stock), ("S2", "tea", stock)])
    return engine


def shortly(engine: Engine, data: bytes, kind: Kind = Kind.BATCH) -> bytes | None:
    return engine.route_plain(data, kind, MOST, Meter())


def at_length(engine: Engine, data: bytes, kind: Kind = Kind.BATCH) -> bytes | FendanError:
    """What is answered the usual way, or what it is refused with."""
    try:
        return engine.route_request(Request.read(data, kind, MOST)).encode()
    except FendanError as error:
        return error


def both_ways(engine: Engine, data: bytes, kind: Kind) -> bytes | FendanError:
    """As the server does: the short way if there is one, and else the other."""
    before = state_hash(engine)
    answer = shortly(engine, data, kind)
    if answer is not None:
        return answer
    assert state_hash(engine) == before
    return at_length(engine, data, kind)


# -- AS IF BY THE LONG WAY ---------------------------------------------------------------------


@st.composite
def messages(draw: st.DrawFn, scene: Scene) -> list[tuple[bytes, Kind]]:
    """The orders of a scene in messages of several; some come twice, and some are not plain."""
    orders = list(scene.orders)
    if orders:
        orders += draw(st.lists(st.sampled_from(orders), max_size=3))
    said = st.sampled_from(
        [{}, {}, {}, {"channel": "app"}, {"priority": 3}, {"datum": Datum.GCJ02}, {"id": "again"}]
    )
    orders = [replace(order, **draw(said)) for order in orders]  # type: ignore[arg-type]
    cuts = sorted(draw(st.sets(st.integers(0, len(orders)), max_size=4)) | {0, len(orders)})
    found = []
    for first, past in pairwise(cuts):
        data = write_request(orders[first:past], dry_run=draw(st.integers(0, 4)) == 0)
        damaged = draw(st.integers(0, 9)) == 0
        kind = Kind.ROUTE if past == first + 1 else Kind.BATCH
        found.append((data[:-1] if damaged else data, kind))
    return found


@given(data=st.data())
def test_answers_and_what_is_left_are_those_of_the_long_way(data: st.DataObject) -> None:
    scene = data.draw(scenes())
    (one, _), (other, _) = scene.played(), scene.played()
    for message, kind in data.draw(messages(scene)):
        told, expected = both_ways(one, message, kind), at_length(other, message, kind)
        if isinstance(told, FendanError):
            assert isinstance(expected, FendanError)
            assert (told.code, told.message) == (expected.code, expected.message)
        else:
            assert told == expected
        assert state_hash(one) == state_hash(other)


def test_what_a_journal_kept_of_it_is_found_again(tmp_path: Path) -> None:
    folders = [tmp_path / "short", tmp_path / "long"]
    found = []
    for folder, way in zip(folders, (shortly, at_length), strict=True):
        with Engine.open(folder, clock=StoppedClock()) as engine:
            engine.add_stores([Store(id="S1", lat=31.0, lng=121.0)])
            engine.set_stock([("S1", "milk", 3)])
            for first in range(3):
                names = [f"{first}-{row}" for row in range(2)]
                assert isinstance(way(engine, write_request([near(name) for name in names])), bytes)
            events = engine.events().events
        with Engine.open(folder, clock=StoppedClock()) as engine:
            found.append((events, engine.decision("1-0"), engine.decision("2-1"), len(events)))
    assert found[0] == found[1]


def test_watchers_are_told_of_what_it_reserved() -> None:
    engine = chain()
    cursor = engine.cursor()
    assert shortly(engine, write_request([near("a"), near("b")])) is not None
    (change,) = engine.changes(cursor).changes
    assert (change.store_id, change.sku, change.sellable) == ("S1", "milk", 998)


# -- WHAT IS PLAIN -----------------------------------------------------------------------------


def test_new_and_simple_orders_take_it() -> None:
    for orders in ([near("a")], [near(f"b{row}", channel="app") for row in range(MOST)]):
        assert shortly(chain(), write_request(orders)) is not None


NOT_PLAIN: dict[str, bytes] = {
    "no bytes": b"",
    "no message": b"\x0a\x05no",
    "nothing in it": write_request([], dry_run=True),
    "a dry run": write_request([near("a")], dry_run=True),
    "a policy": write_request([near("a")], policy=Policy(radius_m=1.0)),
    "by priority": write_request([near("a")], by_priority=True),
    "a number to answer to": write_request([near("a")], correlation_id=7),
    "a priority": write_request([near("a", priority=1)]),
    "a datum": write_request([near("a", datum=Datum.BD09)]),
    "a SKU twice": write_request([near("a", lines=[("milk", 1), ("milk", 2)])]),
    "a SKU that nobody knows": write_request([near("a", lines=[("gold", 1)])]),
    "too many orders": write_request([near(f"{row}") for row in range(MOST + 1)]),
    "too many bytes": write_request(
        [
            near(f"{row}", channel="c" * 250, region="r" * 250, buyer_id="b" * 250)
            for row in range(900)
        ]
    ),
    "an order twice": write_request([near("a"), near("a")]),
    "an order that is known": write_request([near("known")]),
    "an order that was another": write_request([near("known", lat=31.5)]),
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_is_not_plain_is_left_alone(what: str) -> None:
    engine = chain()
    engine.route(near("known"))
    before = state_hash(engine)
    kind = Kind.STREAM if "number" in what else Kind.BATCH
    assert shortly(engine, NOT_PLAIN[what], kind) is None
    assert state_hash(engine) == before
    assert len(engine._orders) == 1


POLICY = """
default_type = "INSTANT"

[types.INSTANT]
hours = "ANY"
steps = [{ name = "STORE", radius_m = 500 }]
"""
MORE: dict[str, Callable[[Engine], object]] = {
    "exceptions": Engine.keep_exceptions,
    "bundles": lambda engine: engine.set_sku_profiles({"box": SkuProfile(parts={"milk": 2})}),
    "a policy": lambda engine: engine.activate_policy(engine.draft_policy(POLICY)),
    "supply": lambda engine: engine.set_supply("S1", "milk", "2031-01-01", 5),
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
def test_who_needs_to_know_more_of_orders_has_them_go_the_long_way(
    more: Callable[[Engine], object],
) -> None:
    engine = chain()
    more(engine)
    assert shortly(engine, write_request([near("a")])) is None


def test_another_thread_may_not_be_in_the_midst_of_a_command() -> None:
    """One express for one engine: its memory is kept, so the engine's lock is around it."""
    engine = chain()
    answers: Iterator[bytes | None] = (
        shortly(engine, write_request([near(f"{turn}")])) for turn in range(3)
    )
    assert len({id(engine._express) for answer in answers if answer}) == 1
    assert isinstance(engine._express, Express)


# -- WHAT IS COUNTED ---------------------------------------------------------------------------


def test_a_message_counts_once_in_each_stage_and_orders_by_what_they_were_told() -> None:
    engine, meter = chain(stock=1), Meter()
    data = write_request([near(f"{row}", order_type=OrderType.INSTANT) for row in range(3)])
    assert engine.route_plain(data, Kind.BATCH, MOST, meter) is not None
    outcomes, within, seconds = meter.read()
    assert outcomes.sum() == 3
    assert outcomes[1, 0] == 2
    assert within.sum(axis=1).tolist() == [0, 1, 1, 1]
    assert (seconds[1:] > 0).all()


def test_the_meter_counts_what_took_as_long_as_an_edge_below_it() -> None:
    meter = Meter()
    for edge in EDGES_S:
        meter.stage("queue", edge)
    meter.stage("queue", 1.001 * EDGES_S[-1])
    _, within, seconds = meter.read()
    assert within[STAGES.index("queue")].tolist() == [1] * (len(EDGES_S) + 1)
    assert seconds[0] == pytest.approx(sum(EDGES_S) + 1.001 * EDGES_S[-1])
    with pytest.raises(ValueError, match="tuple"):
        meter.stage("lunch", 1.0)


def test_what_several_messages_were_told_adds_up() -> None:
    meter = Meter()
    told = np.arange(33).reshape(3, 11)
    meter.routed(told)
    meter.routed(told)
    assert (meter.read().outcomes == 2 * told).all()
