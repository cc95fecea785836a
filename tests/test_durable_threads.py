"""Many threads on one durable engine: nobody waits forever, and what anyone was told stays told."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from fendan import Decision, Engine, FendanError, JournalError, OrderState, Status, StockLevel
from fendan.checking import check
from fendan.disk import Disk
from fendan.filelog import FileLog
from keeping import all_events
from test_threads import PATIENCE_S, PIECES, STORES, THREADS, a_chain, some_orders, together

ROUTERS = 4
ROUNDS = 5  # of stock that comes in: a piece of rice to each store


class SlowDisk(Disk):
    """Every sync takes its time, as on a disk that turns."""

    def sync(self, handle: int) -> None:
        time.sleep(0.01)
        super().sync(handle)


class GatedDisk(Disk):
    """No sync ends while the gate is closed."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def sync(self, handle: int) -> None:
        assert self.gate.wait(PATIENCE_S)
        super().sync(handle)


class PausingLog(FileLog):
    """Between letting go of the folder and saying so, others get a turn."""

    def close(self) -> None:
        super().close()
        time.sleep(0.05)


def a_slow_chain(folder: Path) -> Engine:
    log = PausingLog(folder, SlowDisk(), segment_bytes=1 << 16, first_segment_bytes=1 << 16)
    return a_chain(Engine.open(folder, log=log))


def syncs_of(engine: Engine) -> int:
    stats = engine.journal_stats()
    assert stats is not None
    assert stats.failure == ""
    return stats.syncs


class Rush:
    """Everything at once, and what everybody was told."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.orders = [some_orders(thread, 120) for thread in range(ROUTERS)]
        self.told: dict[str, Decision] = {}
        self.last: dict[str, OrderState] = {}
        self.done: list[int] = []
        self.jobs = [
            *[self.route_and_go_on] * ROUTERS,
            self.bring_stock,
            self.read_decisions,
            self.read_events,
            self.take_snapshots,
        ]

    def work(self, thread: int) -> None:
        """What this one of the threads does."""
        self.jobs[thread](thread)
        self.done.append(thread)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody changes anything any more."""
        return set(range(ROUTERS + 1)) <= set(self.done)

    def route_and_go_on(self, thread: int) -> None:
        """Singly and in batches; every other order is shipped, some of the rest cancelled."""
        for first in range(0, 120, 10):
            some = self.orders[thread][first : first + 10]
            told = self.engine.route_batch(some[:6])
            told += [self.engine.route(order) for order in some[6:]]
            for number, decision in enumerate(told):
                self.told[decision.order_id] = decision
                if decision.status is Status.ASSIGNED:
                    self.go_on(decision.order_id, number)

    def go_on(self, name: str, number: int) -> None:
        self.last[name] = OrderState.ASSIGNED
        if number % 2 == 0:
            for step in ("accept_order", "pick_order", "ship_order"):
                self.last[name] = getattr(self.engine, step)(name).state
        elif number % 3 == 0:
            self.last[name] = self.engine.cancel_order(name).state

    def bring_stock(self, _: int) -> None:
        """Each round in one command: nobody sees half of it, and nobody sells what is not there."""
        for version in range(1, ROUNDS + 1):
            rows = [(f"{n}", "rice", 1) for n in range(STORES)]
            versions = {f"{n}": version for n in range(STORES)}
            self.engine.adjust_stock(rows, versions=versions, key=f"round {version}")
            for level in chain(*(self.engine.stock(f"{n}") for n in range(STORES))):
                assert 0 <= level.reserved <= level.on_hand

    def read_decisions(self, _: int) -> None:
        """What was told is told again; and an order is where it last was, or beyond."""
        while not self.is_quiet:
            for name, decision in list(self.told.items())[-20:]:
                before = self.last.get(name, OrderState.ASSIGNED)
                assert self.engine.decision(name) == decision
                now = self.engine.order(name)
                assert now.store_id == decision.store_id
                assert now.state >= before

    def read_events(self, _: int) -> None:
        """Every event once and in order, and each movement from where the last one ended."""
        counts: dict[tuple[str | None, str], tuple[int, int]] = {}
        first, is_last = 1, False
        while not is_last:
            is_last = self.is_quiet
            page = self.engine.events(first, limit=500)
            for event in page.events:
                assert event.sequence >= first
                first = event.sequence + 1
                for move in event.movements:
                    at = counts.get((event.store_id, move.sku), (0, 0))
                    assert at == (move.on_hand_before, move.reserved_before)
                    counts[event.store_id, move.sku] = move.on_hand_after, move.reserved_after
            first = page.next_sequence

    def take_snapshots(self, _: int) -> None:
        for _ in range(2):
            assert 0 < self.engine.snapshot() <= self.engine.durable_mark()

    def check_counts(self, stock: list[StockLevel]) -> None:
        """Of each SKU in each store: what came is there, or was shipped."""
        in_state: Counter[tuple[OrderState | None, str | None, str]] = Counter()
        for order in chain(*self.orders):
            for sku, quantity, *_ in order.lines:
                at = self.last.get(order.id), self.told[order.id].store_id, sku
                in_state[at] += quantity
        for level in stock:
            came = PIECES + ROUNDS * (level.sku == "rice")
            gone = in_state[OrderState.SHIPPED, level.store_id, level.sku]
            assert level.on_hand + gone == came
            assert level.reserved == in_state[OrderState.ASSIGNED, level.store_id, level.sku]


def all_stock(engine: Engine) -> list[StockLevel]:
    return list(chain(*(engine.stock(f"{n}") for n in range(STORES))))


def test_everything_at_once_on_one_journal_and_all_that_was_told_is_there_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    with a_chain(Engine.open(folder)) as engine:
        rush = Rush(engine)
        together(rush.work)
        stock = all_stock(engine)
    states = {OrderState.ASSIGNED, OrderState.SHIPPED, OrderState.CANCELLED}
    assert set(rush.last.values()) == states
    rush.check_counts(stock)
    with Engine.open(folder) as engine:
        assert all_stock(engine) == stock
        assert {engine.stock_version(f"{n}") for n in range(STORES)} == {ROUNDS}
        assert {name: engine.decision(name) for name in rush.told} == rush.told
        assert {name: engine.order(name).state for name in rush.last} == rush.last
    report = check(folder)
    assert report.is_good, report


@pytest.mark.parametrize("size", [1, 5])
def test_those_who_come_while_a_sync_lasts_share_the_next_one(tmp_path: Path, size: int) -> None:
    """Eight threads, each waiting for its own command: about eight commands to a sync."""
    with a_slow_chain(tmp_path) as engine:
        before = syncs_of(engine)

        def work(thread: int) -> None:
            orders = some_orders(thread, 25 * size)
            for first in range(0, len(orders), size):
                engine.route_batch(orders[first : first + size])

        together(work)
        syncs = syncs_of(engine) - before
        commands = THREADS * 25
        assert 25 <= syncs <= commands // 2


def test_whoever_is_answered_while_the_engine_closes_is_answered_for_good(tmp_path: Path) -> None:
    told: list[list[Decision]] = [[] for _ in range(THREADS)]
    failures: list[str] = []
    engine = a_slow_chain(tmp_path)

    def work(thread: int) -> None:
        if thread == 0:
            while not all(told[1:]):
                time.sleep(0.001)
            engine.close()
            return
        try:
            for order in some_orders(thread, 5_000):
                told[thread].append(engine.route(order))
        except JournalError as error:
            failures.append(str(error))

    together(work)
    assert len(failures) == THREADS - 1
    assert all("the engine is closed" in failure for failure in failures), failures
    with Engine.open(tmp_path) as again:
        for decision in chain(*told):
            assert again.decision(decision.order_id) == decision
    assert check(tmp_path).is_good


def test_nobody_is_told_of_what_is_not_on_disk_not_even_by_a_refusal(tmp_path: Path) -> None:
    """An order is shipped, and the disk takes its time: until then nobody hears of it."""
    disk = GatedDisk()
    heard: list[object] = []

    def hear(ask: Callable[[], object]) -> None:
        try:
            heard.append(ask())
        except FendanError as error:
            heard.append(error.code)

    with a_chain(Engine.open(tmp_path, log=FileLog(tmp_path, disk))) as engine:
        (order,) = some_orders(0, 1)
        told = engine.route(order)
        engine.accept_order(order.id)
        engine.pick_order(order.id)
        other = replace(order, lat=0.0)
        mark = engine.durable_mark()
        disk.gate.clear()
        asks: list[Callable[[], object]] = [
            lambda: engine.ship_order(order.id).state,
            lambda: engine.order(order.id).state,
            lambda: engine.route(order),
            lambda: engine.cancel_order(order.id),
            lambda: engine.route(other),
        ]
        threads = [threading.Thread(target=hear, args=(ask,), daemon=True) for ask in asks]
        for thread in threads:
            thread.start()
            while engine.durable_mark() == mark:  # it is shipped before anyone asks
                time.sleep(0.001)
        time.sleep(0.05)
        too_early = list(heard)
        disk.gate.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert too_early == []
    shipped = OrderState.SHIPPED
    assert Counter(heard) == Counter([shipped, shipped, told, "WRONG_STATE", "ORDER_CONFLICT"])


def test_events_are_shown_when_they_are_on_disk_to_all_who_wait(tmp_path: Path) -> None:
    """Half of the threads write; the others wait for the next event, and read all there are."""
    seen: list[list[str]] = [[] for _ in range(THREADS)]
    writers = THREADS // 2
    wanted = {order.id for thread in range(writers) for order in some_orders(thread, 20)}
    with a_slow_chain(tmp_path) as engine:

        def work(thread: int) -> None:
            if thread < writers:
                for order in some_orders(thread, 20):
                    engine.route(order)
                return
            first = 1
            while len(seen[thread]) < len(wanted):
                assert engine.wait_for_event(first - 1, PATIENCE_S)
                page = engine.events(first)
                seen[thread] += [event.order_id for event in page.events if event.order_id]
                first = page.next_sequence

        together(work)
        told = [event.order_id for event in all_events(engine) if event.order_id]
    assert set(told) == wanted
    assert all(names == told for names in seen[writers:])
