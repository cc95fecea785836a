"""The exception queue is kept as orders are: over a recovery, a snapshot and a kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from clock import StoppedClock
from fendan import (
    Engine,
    ExceptionEntry,
    ExceptionKind,
    Order,
    OrderState,
    OrderType,
    RetryPolicy,
    Store,
)
from fendan.checking import check
from fendan.errors import WrongStateError, WrongStoreError
from fendan.state import state_hash

SPLITS = """
default_type = "NEXT_DAY"

[types.NEXT_DAY]
hours = "ANY"
merge_window = "1h"
split = { mode = "FEWEST", most_shipments = 3 }

[types.PICKUP]
hours = "ANY"

[types.GROUP]
hours = "ANY"
merge_window = "1h"
"""


def opened(folder: Path, clock: StoppedClock) -> Engine:
    return Engine.open(folder, clock=clock, snapshot_bytes=0)


def furnished(folder: Path, clock: StoppedClock) -> Engine:
    """Two stores that have nothing, under a policy that splits orders of the next day."""
    engine = opened(folder, clock)
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4), Store(id="S2", lat=31.2, lng=121.41)])
    engine.set_stock([(store, sku, 0) for store in ("S1", "S2") for sku in ("tea", "milk")])
    engine.activate_policy(engine.draft_policy(SPLITS))
    engine.keep_exceptions(RetryPolicy(first_wait_s=0.0))
    return engine


def order(name: str, *lines: tuple[str, int], **said: object) -> Order:
    wanted = list(lines) or [("tea", 1), ("milk", 1)]
    return Order(id=name, lat=31.2, lng=121.4, lines=wanted, **said)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def again(engine: Engine, folder: Path, clock: StoppedClock) -> Engine:
    """The engine as its folder tells of it, which is as it was."""

    def told() -> tuple[object, ...]:
        return state_hash(engine), list(engine.export_exceptions()), engine.exception_stats()

    engine._before_close()  # what is counted is written down at the latest then
    before = told()
    engine.close()
    assert check(folder).is_good
    engine = opened(folder, clock)
    assert (
        state_hash(engine),
        list(engine.export_exceptions()),
        engine.exception_stats(),
    ) == before
    return engine


def test_whoever_waits_or_is_held_does_so_after_a_recovery(
    folder: Path, clock: StoppedClock
) -> None:
    engine = furnished(folder, clock)
    engine.route(order("A", channel="meituan", priority=7, buyer_id="b", address_id="a"))
    broken = ExceptionEntry(id="p", kind=ExceptionKind.BROKEN, reason="NOT_JSON", raw="{壶")
    engine.add_exceptions([broken])
    engine = again(engine, folder, clock)
    assert [entry.id for entry in engine.exceptions().entries] == ["A", "p"]
    engine.set_stock([("S1", sku, 1) for sku in ("tea", "milk")])
    assert engine.retry_due().assigned == ("A",)
    engine.close()


def test_an_order_that_only_several_stores_can_fill_is_split_when_it_is_tried_again(
    folder: Path, clock: StoppedClock
) -> None:
    engine = furnished(folder, clock)
    first = engine.route(order("A"))
    engine.set_stock([("S1", "tea", 1), ("S2", "milk", 1)])
    assert engine.retry_due().assigned == ("A",)
    status = engine.order("A")
    assert [one.store_id for one in status.shipments] == ["S1", "S2"]
    assert engine.route(order("A")) == first
    engine = again(engine, folder, clock)
    engine.accept_order("A")
    engine.reject_order("A", "S2", shipment=2)
    entry = engine.exception("A")
    assert (entry.kind, entry.store_id) == (ExceptionKind.WAITING, "S2")
    engine = again(engine, folder, clock)
    engine.set_stock([("S1", "milk", 1)])
    assert engine.retry_due().assigned == ("A",)
    assert [one.store_id for one in engine.order("A").shipments] == ["S1", "S1"]
    assert engine.stock("S1", ["milk"])[0].reserved == 1
    engine = again(engine, folder, clock)
    engine.check()
    engine.close()


def test_an_order_to_be_fetched_waits_for_its_own_store(folder: Path, clock: StoppedClock) -> None:
    engine = furnished(folder, clock)
    pickup = order("A", ("tea", 1), order_type=OrderType.PICKUP, pickup_store_id="S2")
    engine.route(pickup)
    engine.set_stock([("S1", "tea", 5)])
    assert engine.retry_due().assigned == ()
    engine.set_stock([("S2", "tea", 5)])
    assert engine.retry_due().assigned == ("A",)
    assert engine.order("A").store_id == "S2"
    again(engine, folder, clock).close()


def test_a_group_is_filled_whole_by_one_store_or_goes_on_waiting(
    folder: Path, clock: StoppedClock
) -> None:
    engine = furnished(folder, clock)
    group = [
        order(name, ("tea", 2), order_type=OrderType.GROUP, group_id="g") for name in ("A", "B")
    ]
    engine.route_batch(group)
    engine.set_stock([("S1", "tea", 3), ("S2", "tea", 2)])
    assert engine.retry_due().assigned == ()
    engine.set_stock([("S2", "tea", 4)])
    told = engine.retry_exceptions(["B", "A"])
    assert [status.state for status in told] == [OrderState.ASSIGNED] * 2
    assert {engine.order(name).store_id for name in ("A", "B")} == {"S2"}
    engine.set_stock([("S1", "tea", 9), ("S2", "tea", 9)])
    late = engine.route(order("C", ("tea", 1), order_type=OrderType.GROUP, group_id="g"))
    assert late.store_id == "S2"  # where its group is
    again(engine, folder, clock).close()


def test_what_was_held_cancelled_and_counted_stays_so(folder: Path, clock: StoppedClock) -> None:
    engine = furnished(folder, clock)
    for name in ("A", "B", "C"):
        engine.route(order(name))
    engine.cancel_exception("A")
    engine.set_stock([("S1", sku, 1) for sku in ("tea", "milk")])
    engine.assign_exception("B", "S1")
    figures = engine.exception_figures("2025-06-15")
    assert (figures.taken, figures.by_hand, figures.cancelled) == (3, 1, 1)
    engine = again(engine, folder, clock)
    assert engine.exception_figures("2025-06-15") == figures
    assert engine.order("A").state is OrderState.CANCELLED
    assert [entry.id for entry in engine.exceptions().entries] == ["C"]
    engine.close()


def test_whoever_was_assigned_at_once_is_counted_when_the_engine_is_closed(
    folder: Path, clock: StoppedClock
) -> None:
    engine = furnished(folder, clock)
    engine.set_stock([("S1", "tea", 9)])
    engine.route(order("A", ("tea", 1)))
    engine.route(order("B", ("tea", 1)))
    engine.close()
    engine = opened(folder, clock)
    figures = engine.exception_figures("2025-06-15")
    assert (figures.taken, figures.at_once, figures.automatic_rate) == (2, 2, 1.0)
    engine.close()


def test_a_kill_takes_nobody_out_of_the_queue(folder: Path, clock: StoppedClock) -> None:
    furnished(folder, clock).close()
    script = """
import sys
from fendan import Engine, Order
engine = Engine.open(sys.argv[1])
for number in range(10_000):
    lines = [("tea", 1), ("milk", 1)]
    engine.route(Order(id=f"K{number}", lat=31.2, lng=121.4, lines=lines))
    print(number, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()  # SIGKILL, amid the next
        told += map(int, process.stdout.read().split())
    engine = opened(folder, clock)
    waiting = {entry.id for entry in engine.export_exceptions()}
    assert waiting >= {f"K{number}" for number in told}
    assert all(engine.order(name).state is OrderState.UNASSIGNED for name in waiting)
    engine.set_stock([("S1", sku, 5) for sku in ("tea", "milk")])
    assert len(engine.retry_due().assigned) == 5
    engine.close()


def test_a_snapshot_keeps_the_queue(folder: Path, clock: StoppedClock) -> None:
    engine = furnished(folder, clock)
    engine.route(order("A"))
    engine.set_stock([("S1", "tea", 1), ("S2", "milk", 1)])
    engine.retry_due()
    engine.route(order("B"))
    engine.snapshot()
    engine.route(order("C"))
    engine = again(engine, folder, clock)
    assert engine.recovery is not None
    assert engine.recovery.snapshot_sequence > 0
    assert [entry.id for entry in engine.exceptions().entries] == ["B", "C"]
    engine.close()


def test_an_order_that_was_forgotten_is_routed_anew(clock: StoppedClock) -> None:
    engine = Engine(clock=clock, remembered_orders=0)
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "tea", 0), ("S1", "milk", 0)])
    engine.keep_exceptions()
    engine.route(order("A"))
    filler = [order(f"F{number}", ("milk", 1)) for number in range(33_000)]
    engine.set_stock([("S1", "tea", 1), ("S1", "milk", 40_000)])
    engine.route_batch(filler)
    engine.release_batch([one.id for one in filler])
    assert engine.order_count < 33_000  # forgotten are the oldest, A among them
    assert engine.retry_due().assigned == ("A",)
    assert engine.order("A").store_id == "S1"


def test_shipments_go_to_one_store_by_hand_together_or_not_at_all(
    folder: Path, clock: StoppedClock
) -> None:
    engine = furnished(folder, clock)
    engine.set_stock([("S1", "tea", 1), ("S2", "milk", 1)])
    engine.route(order("A"))
    for number, store_id in ((1, "S1"), (2, "S2")):
        engine.reject_order("A", store_id, shipment=number)
    engine.set_stock([("S1", "tea", 1), ("S1", "milk", 0)])
    with pytest.raises(WrongStoreError, match="does not have all"):
        engine.assign_exception("A", "S1")
    engine = again(engine, folder, clock)
    assert [one.store_id for one in engine.order("A").shipments] == [None, None]
    engine.set_stock([("S1", "milk", 1)])
    assert engine.assign_exception("A", "S1").state is OrderState.ASSIGNED
    engine = again(engine, folder, clock)
    assert [one.store_id for one in engine.order("A").shipments] == ["S1", "S1"]
    engine.check()
    engine.close()


def test_what_a_store_rejected_and_the_engine_has_forgotten_is_held_for_review(
    folder: Path, clock: StoppedClock
) -> None:
    engine = Engine.open(folder, clock=clock, remembered_orders=0)
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "tea", 1), ("S1", "milk", 40_000)])
    engine.keep_exceptions(RetryPolicy(first_wait_s=0.0))
    engine.route(order("A", ("tea", 1)))
    engine.reject_order("A", "S1")
    filler = [order(f"F{number}", ("milk", 1)) for number in range(33_000)]
    engine.route_batch(filler)
    engine.release_batch([one.id for one in filler])
    with pytest.raises(WrongStateError, match="could not be read"):
        engine.retry_exceptions(["A"])
    engine.close()
    engine = Engine.open(folder, clock=clock, remembered_orders=0)
    assert engine.knows(["A"]) == [False]
    assert engine.retry_due().assigned == ()
    assert engine.exception("A").kind is ExceptionKind.HELD
    engine.cancel_exception("A")
    engine.close()


def test_what_is_held_for_review_says_how_often_it_was_tried(clock: StoppedClock) -> None:
    engine = Engine(clock=clock, remembered_orders=0)
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "tea", 1), ("S1", "milk", 40_000)])
    engine.keep_exceptions(RetryPolicy(first_wait_s=0.0, most_attempts=2))
    engine.route(order("A", ("tea", 1)))
    engine.reject_order("A", "S1")
    engine.retry_due()
    assert engine.exception("A").attempts == 1
    filler = [order(f"F{number}", ("milk", 1)) for number in range(33_000)]
    engine.route_batch(filler)
    engine.release_batch([one.id for one in filler])
    engine.set_stock([("S1", "tea", 2)])
    engine.retry_due()
    assert engine.knows(["A"]) == [False]
    entry = engine.exception("A")
    assert (entry.kind, entry.attempts) == (ExceptionKind.HELD, 1)
