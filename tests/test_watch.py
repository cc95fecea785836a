"""Channels are told what they can sell, as it changes: all of it, once, and after a break too."""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from fendan import Engine, Order, Store
from fendan.details import error_of
from fendan.errors import Fault
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import inventory_service_pb2 as messages
from fendan.v1.inventory_service_pb2_grpc import InventoryServiceStub
from serving import Served, a_chain, serving

# Far beyond what anything here takes: a test that hangs is to fail, not to wait.
PATIENCE_S = 20.0

Known = dict[tuple[str, str], int]

WHOLE_CHAIN = {(store, sku): 10 for store in ("S1", "S2", "S3") for sku in ("tea", "milk")}


class Watcher:
    """One call of WatchAvailability, and what its caller knows by now."""

    def __init__(
        self, served: Served, known: Known | None = None, token: str = "", **request: Any
    ) -> None:
        self.known: Known = {} if known is None else dict(known)
        self.cursor = str(request.get("cursor", ""))
        self.engine = served.engine
        self.resets = 0
        self.messages: list[messages.WatchAvailabilityResponse] = []
        self._channel = grpc.insecure_channel(served.address)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        self._call = InventoryServiceStub(self._channel).WatchAvailability(
            messages.WatchAvailabilityRequest(**request), metadata=metadata, timeout=PATIENCE_S
        )

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        self._call.cancel()
        self._channel.close()

    def read(self) -> None:
        """Take the next message."""
        message = next(self._call)
        self.messages.append(message)
        if message.reset:
            self.resets += 1
            self.known.clear()
        self.known |= {(pair.store_id, pair.sku): pair.sellable for pair in message.changes}
        self.cursor = message.cursor or self.cursor

    def until(self, condition: Callable[[], bool]) -> None:
        """Take messages until the condition holds; the call's deadline is the end of patience."""
        while not condition():
            self.read()

    def until_knows(self, known: Known) -> None:
        self.until(lambda: self.known == known)

    def begun(self) -> "Watcher":
        """After the full state, or the first cursor."""
        self.until(lambda: self.cursor != "")
        return self

    def refused(self) -> tuple[Fault, str]:
        with pytest.raises(grpc.RpcError) as raised:
            self.read()
        error = error_of(raised.value)
        return error.fault, error.field


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


def order(id: str, sku: str = "tea", quantity: int = 1) -> Order:
    return Order(id=id, lat=31.2, lng=121.4, lines=[(sku, quantity)])


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- WHAT IS TOLD ------------------------------------------------------------------------------


def test_a_watch_begins_with_all_that_can_be_sold(served: Served) -> None:
    with Watcher(served).begun() as watcher:
        assert watcher.known == WHOLE_CHAIN
        assert not watcher.resets


def test_only_the_last_message_of_the_full_state_has_a_cursor() -> None:
    engine = a_chain()
    engine.set_stock(("S1", f"sku-{number}", 1) for number in range(12_000))
    with serving(engine) as served, Watcher(served).begun() as watcher:
        assert len(watcher.known) == 12_006
        assert [bool(message.cursor) for message in watcher.messages[:-1]] == [False] * (
            len(watcher.messages) - 1
        )


def test_of_an_empty_chain_only_the_cursor_is_told() -> None:
    with serving(Engine()) as served, Watcher(served).begun() as watcher:
        assert [list(message.changes) for message in watcher.messages] == [[]]
        served.engine.add_stores([Store(id="S9", lat=31.2, lng=121.4)])
        served.engine.set_stock([("S9", "tea", 3)])
        watcher.until_knows({("S9", "tea"): 3})


def test_orders_and_stock_are_told_as_they_come(served: Served) -> None:
    with Watcher(served).begun() as watcher:
        served.engine.route(order("O1", quantity=4))
        watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 6})
        served.engine.set_stock([("S2", "coffee", 2)])
        watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 6, ("S2", "coffee"): 2})
        served.engine.release("O1")
        watcher.until_knows(WHOLE_CHAIN | {("S2", "coffee"): 2})


def test_of_a_paused_store_nothing_can_be_sold_until_it_is_resumed(served: Served) -> None:
    without = WHOLE_CHAIN | {("S1", "tea"): 0, ("S1", "milk"): 0}
    with Watcher(served).begun() as watcher:
        served.engine.pause_stores(["S1"])
        watcher.until_knows(without)
        served.engine.resume_stores(["S1"])
        watcher.until_knows(WHOLE_CHAIN)


def test_of_a_closed_store_nothing_can_be_sold(served: Served) -> None:
    with Watcher(served, store_ids=["S1"]).begun() as watcher:
        served.engine.remove_stores(["S1"])
        watcher.until_knows({("S1", "tea"): 0, ("S1", "milk"): 0})


def test_a_new_store_with_the_id_of_a_closed_one_is_not_mistaken_for_it(served: Served) -> None:
    engine = served.engine
    with Watcher(served, store_ids=["S1"]).begun() as watcher:
        engine.route(order("O1"))
        engine.remove_stores(["S1"])
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
        engine.set_stock([("S1", "tea", 7), ("S1", "milk", 7)])
        watcher.until_knows({("S1", "tea"): 7, ("S1", "milk"): 7})
        engine.release("O1")  # of what the closed store held
        engine.set_stock([("S1", "coffee", 1)])
        watcher.until(lambda: ("S1", "coffee") in watcher.known)
        assert watcher.known[("S1", "tea")] == engine.available("S1", "tea") == 7


def test_stores_and_skus_narrow_what_is_told(served: Served) -> None:
    with Watcher(served, store_ids=["S1", "S3"], skus=["tea"]).begun() as watcher:
        assert watcher.known == {("S1", "tea"): 10, ("S3", "tea"): 10}
        served.engine.set_stock([("S1", "milk", 1), ("S2", "tea", 1), ("S3", "tea", 1)])
        watcher.until_knows({("S1", "tea"): 10, ("S3", "tea"): 1})
        told = {(pair.store_id, pair.sku) for m in watcher.messages[1:] for pair in m.changes}
        assert told == {("S3", "tea")}


def test_changes_only_leaves_out_the_full_state_but_not_the_cursor(served: Served) -> None:
    served.engine.set_stock([("S2", "tea", 9)])
    with Watcher(served, changes_only=True).begun() as watcher:
        assert watcher.known == {}
        served.engine.set_stock([("S1", "tea", 3)])
        watcher.until(lambda: bool(watcher.known))
        assert watcher.known == {("S1", "tea"): 3}


def test_a_pair_that_changes_many_times_is_told_of_few(served: Served) -> None:
    with Watcher(served).begun() as watcher:
        for count in range(1_000):
            served.engine.set_stock([("S1", "tea", 5_000 - count)])
        watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 4_001})
        told = sum(len(message.changes) for message in watcher.messages[1:])
        assert told < 500
        for message in watcher.messages:
            pairs = [(pair.store_id, pair.sku) for pair in message.changes]
            assert len(pairs) == len(set(pairs))


# -- AFTER A BREAK -----------------------------------------------------------------------------


def test_after_a_break_nothing_is_missed(served: Served) -> None:
    with Watcher(served).begun() as before:
        served.engine.route(order("O1"))
        before.until_knows(WHOLE_CHAIN | {("S1", "tea"): 9})
    served.engine.route(order("O2", sku="milk", quantity=3))
    served.engine.set_stock([("S3", "coffee", 1)])
    with Watcher(served, known=before.known, cursor=before.cursor) as after:
        after.until_knows(WHOLE_CHAIN | {("S1", "tea"): 9, ("S1", "milk"): 7, ("S3", "coffee"): 1})
        assert not after.resets


def test_every_cursor_along_the_way_is_a_place_to_go_on_from(served: Served) -> None:
    with Watcher(served).begun() as watcher:
        seen = [(dict(watcher.known), watcher.cursor)]
        for number in range(5):
            served.engine.route(order(f"O{number}"))
            watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 9 - number})
            seen.append((dict(watcher.known), watcher.cursor))
    for known, cursor in seen[:-1]:
        with Watcher(served, known=known, cursor=cursor) as resumed:
            resumed.until_knows(WHOLE_CHAIN | {("S1", "tea"): 5})


def test_more_changes_than_one_reading_takes_all_arrive(served: Served) -> None:
    with Watcher(served, changes_only=True).begun() as watcher:
        served.engine.set_stock(("S1", f"sku-{number}", number + 1) for number in range(25_000))
        watcher.until(lambda: len(watcher.known) == 25_000)
        assert all(len(message.changes) <= 5_000 for message in watcher.messages)
    # Where the connection breaks between two messages of one reading, none of it is lost either.
    with Watcher(served, known=watcher.known, cursor=watcher.messages[1].cursor) as resumed:
        resumed.until(lambda: len(resumed.known) == 25_000)


@pytest.mark.parametrize("cursor", ["0123abcd-5", "made up", "-1", "分单", "x" * 100_000])
def test_a_cursor_of_another_run_begins_anew(served: Served, cursor: str) -> None:
    stale = {("S7", "gone"): 4}
    with Watcher(served, known=stale, cursor=cursor) as watcher:
        watcher.until_knows(WHOLE_CHAIN)
        assert watcher.resets == 1
        assert watcher.messages[0].reset
        served.engine.set_stock([("S1", "tea", 3)])
        watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 3})
        assert watcher.resets == 1


def test_a_cursor_that_nobody_gave_out_begins_anew(served: Served) -> None:
    run = served.engine.cursor().partition("-")[0]
    for number in ("7", "77", "9223372036854775807", "9999999999999999999"):
        with Watcher(served, cursor=f"{run}-{number}") as watcher:
            watcher.until_knows(WHOLE_CHAIN)
            assert watcher.resets == 1


def test_a_cursor_that_is_too_old_begins_anew(served: Served) -> None:
    old = served.engine.cursor()
    first, count = len(served.engine.skus), 60_000
    served.engine.set_stock(("S1", f"sku-{number}", 1) for number in range(count))
    stores, skus = np.zeros(count, np.int32), np.arange(first, first + count, dtype=np.int32)
    for on_hand in range(2, 20):  # more than a million changes
        served.engine.set_stock(stores=stores, skus=skus, quantities=stores + on_hand)
    assert served.engine.changes(old).reset
    with Watcher(served, skus=["tea"], cursor=old) as watcher:
        watcher.until_knows({(store, "tea"): 10 for store in ("S1", "S2", "S3")})
        assert watcher.resets == 1


# -- MANY, AND SLOW ----------------------------------------------------------------------------


def test_many_watchers_all_learn_the_same(served: Served) -> None:
    watchers = [Watcher(served).begun() for _ in range(50)]
    for number in range(5):
        served.engine.route(order(f"O{number}"))
    for watcher in watchers:
        with watcher:
            watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 5})


def test_a_watcher_that_never_reads_harms_nobody(served: Served) -> None:
    with Watcher(served) as silent, Watcher(served).begun() as watcher:
        for count in range(20):
            rows = ((f"S{1 + number % 3}", f"sku-{number}", count) for number in range(3_000))
            served.engine.set_stock(rows)
        served.engine.set_stock([("S1", "tea", 3)])
        watcher.until(lambda: watcher.known[("S1", "tea")] == 3)
        assert not silent.messages
        silent.until(lambda: silent.known.get(("S1", "tea")) == 3)  # when it reads, it catches up


def test_nothing_is_lost_while_orders_keep_coming(served: Served) -> None:
    served.engine.set_stock([("S1", "tea", 100_000)])

    def sell(name: str) -> None:
        for number in range(300):
            served.engine.route(order(f"{name}-{number}"))

    watchers = [Watcher(served) for _ in range(4)]
    sellers = [threading.Thread(target=sell, args=(name,)) for name in "AB"]
    for seller in sellers:
        seller.start()
    for watcher in watchers:
        with watcher:
            watcher.until_knows(WHOLE_CHAIN | {("S1", "tea"): 100_000 - 600})
    for seller in sellers:
        seller.join()


def test_watchers_are_counted_while_they_watch(served: Served) -> None:
    def watching() -> float | None:
        return served.server.metrics.registry.get_sample_value("fendan_watchers")

    with Watcher(served).begun(), Watcher(served).begun():
        assert watching() == 2
    eventually(lambda: watching() == 0)


def test_a_server_that_drains_tells_its_watchers_to_try_elsewhere(served: Served) -> None:
    with Watcher(served).begun() as watcher:
        served.do(served.server.drain)
        assert watcher.refused()[0] is Fault.UNAVAILABLE


# -- WHO MAY WATCH WHAT ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "fault", "field"),
    [
        ({"store_ids": ["S1", "nowhere"]}, Fault.UNKNOWN_STORE, "store_ids[1]"),
        ({"skus": ["tea", "cola"]}, Fault.UNKNOWN_SKU, "skus[1]"),
        ({"channel": "c" * 256}, Fault.OUT_OF_RANGE, "channel"),
        ({"skus": ["tea"] * 100_001}, Fault.TOO_MANY, "skus"),
    ],
)
def test_what_cannot_be_watched_is_refused_by_name(
    served: Served, request_: dict[str, Any], fault: Fault, field: str
) -> None:
    with Watcher(served, **request_) as watcher:
        assert watcher.refused() == (fault, field)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    """Watches as the holder of a token for the store S1, the region puxi or an empty region."""
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    bound = {"S1": Scope.STORE, "puxi": Scope.REGION, "nobody's": Scope.REGION}
    tokens = {
        name: new_token(path, name=name, scope=scope, of=name) for name, scope in bound.items()
    }
    with serving(tokens=path) as served:

        def watch(who: str, **request: Any) -> Watcher:
            return Watcher(served, token=tokens[who], **request)

        yield watch


def of_stores(store_ids: Collection[str]) -> Known:
    return {pair: count for pair, count in WHOLE_CHAIN.items() if pair[0] in store_ids}


def test_a_store_watches_itself(guarded: Callable[..., Watcher]) -> None:
    with guarded("S1").begun() as watcher:
        assert watcher.known == of_stores(["S1"])
        watcher.engine.set_stock([("S2", "tea", 1), ("S1", "tea", 2)])
        watcher.until_knows(of_stores(["S1"]) | {("S1", "tea"): 2})


def test_a_region_watches_its_stores_later_ones_included(guarded: Callable[..., Watcher]) -> None:
    with guarded("puxi").begun() as watcher:
        assert watcher.known == of_stores(["S1", "S2"])
        watcher.engine.add_stores([Store(id="S4", lat=31.2, lng=121.4, region="puxi")])
        watcher.engine.set_stock([("S3", "tea", 1), ("S4", "tea", 2)])
        watcher.until_knows(of_stores(["S1", "S2"]) | {("S4", "tea"): 2})


def test_a_region_learns_that_its_store_has_closed(guarded: Callable[..., Watcher]) -> None:
    with guarded("puxi").begun() as watcher:
        watcher.engine.remove_stores(["S3", "S2"])
        closed = {("S2", "tea"): 0, ("S2", "milk"): 0}
        watcher.until_knows(of_stores(["S1"]) | closed)


@pytest.mark.parametrize(("closed", "begins_anew"), [("S2", True), (None, False)])
def test_a_region_learns_after_a_break_that_its_store_has_closed(
    guarded: Callable[..., Watcher], closed: str | None, begins_anew: bool
) -> None:
    with guarded("puxi").begun() as before:
        pass
    before.engine.set_stock([("S1", "tea", 4), ("S3", "tea", 1)])
    if closed:
        before.engine.remove_stores([closed])
    with guarded("puxi", known=before.known, cursor=before.cursor) as after:
        open_stores = {"S1", "S2"} - {closed}
        after.until_knows(of_stores(open_stores) | {("S1", "tea"): 4})
        assert bool(after.resets) is begins_anew


def test_a_region_without_stores_sees_none(guarded: Callable[..., Watcher]) -> None:
    with guarded("nobody's").begun() as watcher:
        assert watcher.known == {}


def test_a_token_watches_no_other_store(guarded: Callable[..., Watcher]) -> None:
    with guarded("S1", store_ids=["S1", "S2"]) as watcher:
        assert watcher.refused() == (Fault.NOT_ALLOWED, "store_ids[1]")
    with guarded("puxi", store_ids=["S3"]) as watcher:
        assert watcher.refused() == (Fault.NOT_ALLOWED, "store_ids[0]")
