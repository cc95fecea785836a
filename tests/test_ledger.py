"""Settlement reads every decision and every movement: once, in order, and nothing that may go."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fendan import Engine, EventKind, FendanError, LedgerEvent, Store
from fendan.engine.events import Events
from fendan.engine.history import Reading, Wanted, read
from fendan.engine.life import RejectReason
from fendan.errors import Fault
from fendan.filelog import FileLog
from keeping import NOON_NS, SECOND_NS, a_kept_chain, all_events, an_order, kept

Pair = tuple[str, str]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with a_kept_chain(tmp_path / "journal") as engine:
        yield engine


def refused(call: Any) -> tuple[Fault, str, int | None]:
    with pytest.raises(FendanError) as caught:
        call()
    return caught.value.fault, caught.value.field, caught.value.row


def of_orders(events: list[LedgerEvent]) -> list[LedgerEvent]:
    return [event for event in events if event.order_id]


# -- WHAT IS TOLD ------------------------------------------------------------------------------


def test_the_ledger_tells_what_happened_to_whom_and_when(engine: Engine) -> None:
    engine.route(an_order("O1", quantity=4))
    event = all_events(engine)[-1]
    assert (event.kind, event.order_id, event.store_id) == (EventKind.ASSIGNED, "O1", "S1")
    assert (event.region, event.reason, event.attempts, event.distance_m) == ("puxi", "", 1, 0.0)
    assert event.time_ns > NOON_NS
    (movement,) = event.movements
    assert (movement.sku, movement.quantity, movement.amount) == ("tea", 4, 0)
    assert (movement.on_hand_before, movement.on_hand_after) == (10, 10)
    assert (movement.reserved_before, movement.reserved_after) == (0, 4)


def test_an_order_without_a_store_has_a_reason_and_moves_nothing(engine: Engine) -> None:
    engine.route(an_order("O1", quantity=11))
    event = all_events(engine)[-1]
    assert (event.kind, event.order_id, event.store_id) == (EventKind.UNASSIGNED, "O1", None)
    assert (event.reason, event.distance_m, event.movements) == ("NO_STOCK", None, ())


def test_the_life_of_an_order_is_told_step_by_step(engine: Engine) -> None:
    engine.route(an_order("O1", quantity=4))
    engine.reject_order("O1", "S1", reason=RejectReason.TOO_BUSY)
    for step in (engine.accept_order, engine.pick_order, engine.ship_order, engine.deliver_order):
        step("O1")
    engine.return_order("O1", to_stock=True)
    told = [
        (event.kind.name, event.store_id, event.reason, event.attempts)
        for event in engine.events(order_ids=["O1"]).events
    ]
    assert told == [
        ("ASSIGNED", "S1", "", 1),
        ("REJECTED", "S1", "TOO_BUSY", 1),
        ("ASSIGNED", "S2", "", 2),
        ("ACCEPTED", "S2", "", 2),
        ("PICKED", "S2", "", 2),
        ("SHIPPED", "S2", "", 2),
        ("DELIVERED", "S2", "", 2),
        ("RETURNED", "S2", "", 2),
    ]
    moved = {
        (event.kind.name, event.store_id): (
            (move.on_hand_before, move.on_hand_after),
            (move.reserved_before, move.reserved_after),
        )
        for event in engine.events(order_ids=["O1"]).events
        for move in event.movements
    }
    assert moved == {
        ("ASSIGNED", "S1"): ((10, 10), (0, 4)),
        ("REJECTED", "S1"): ((10, 10), (4, 0)),
        ("ASSIGNED", "S2"): ((10, 10), (0, 4)),
        ("SHIPPED", "S2"): ((10, 6), (4, 0)),
        ("RETURNED", "S2"): ((6, 10), (0, 0)),
    }


def test_an_order_that_went_to_too_many_stores_says_so(engine: Engine) -> None:
    engine.route(an_order("O1"))
    for store in ("S1", "S2", "S3"):
        engine.reject_order("O1", store, reason=RejectReason.NOT_ON_SHELF)
    events = engine.events().events
    last = [event for event in events if event.order_id == "O1"][-1]
    assert (last.kind, last.store_id) == (EventKind.UNASSIGNED, None)
    assert last.reason == "TOO_MANY_ATTEMPTS"
    corrected = [event for event in events if event.kind is EventKind.STOCK_CORRECTED]
    assert [event.store_id for event in corrected] == ["S1", "S2", "S3"]
    assert all(move.on_hand_after == 0 for event in corrected for move in event.movements)


def test_goods_that_come_back_broken_move_nothing(engine: Engine) -> None:
    engine.route(an_order("O1"))
    for step in (engine.accept_order, engine.pick_order, engine.ship_order):
        step("O1")
    engine.return_order("O1", to_stock=False)
    event = all_events(engine)[-1]
    assert (event.kind, event.movements) == (EventKind.RETURNED, ())


def test_counted_stock_is_a_movement_from_what_there_was_to_what_there_is(engine: Engine) -> None:
    engine.route(an_order("O1", quantity=3))
    engine.set_stock([("S1", "tea", 8), ("S1", "milk", 10)])
    event = all_events(engine)[-1]
    assert (event.kind, event.store_id) == (EventKind.STOCK_SET, "S1")
    told = [
        (move.sku, move.quantity, move.on_hand_before, move.on_hand_after, move.reserved_after)
        for move in event.movements
    ]
    assert told == [("tea", -2, 10, 8, 3), ("milk", 0, 10, 10, 0)]


def test_stores_that_open_move_pause_and_close_are_told_of(engine: Engine) -> None:
    first = all_events(engine)[-1].sequence
    engine.add_stores([Store(id="S4", lat=31.2, lng=121.5, region="puxi")])
    engine.update_stores([Store(id="S4", lat=31.3, lng=121.5, region="pudong")])
    engine.pause_stores(["S4"])
    engine.resume_stores(["S4"])
    engine.remove_stores(["S4"])
    told = [(e.kind.name, e.store_id, e.region) for e in all_events(engine) if e.sequence > first]
    assert told == [
        ("STORE_ADDED", "S4", "puxi"),
        ("STORE_UPDATED", "S4", "pudong"),
        ("STORE_PAUSED", "S4", "pudong"),
        ("STORE_RESUMED", "S4", "pudong"),
        ("STORE_REMOVED", "S4", "pudong"),
    ]


def test_the_region_is_that_of_the_store_now(engine: Engine) -> None:
    engine.route(an_order("O1"))
    engine.update_stores([Store(id="S1", lat=31.2, lng=121.4, region="jing'an")])
    (event,) = engine.events(order_ids=["O1"]).events
    assert event.region == "jing'an"


@pytest.mark.parametrize("size", [1, 127, 128, 255])
def test_orders_are_told_of_by_ids_of_every_length(tmp_path: Path, size: int) -> None:
    order_id = "分" * (size // 3) + "x" * (size % 3)
    with a_kept_chain(tmp_path) as engine:
        engine.route(an_order(order_id))
        assert all_events(engine)[-1].order_id == order_id
    with Engine.open(tmp_path) as engine:
        assert engine.decision(order_id).store_id == "S1"


def test_time_is_the_commands_and_never_goes_back(engine: Engine) -> None:
    engine.route_batch(an_order(f"O{number}") for number in range(5))
    times = [event.time_ns for event in all_events(engine)]
    assert times == sorted(times)
    assert len({event.time_ns for event in of_orders(all_events(engine))}) == 1
    assert all(time % SECOND_NS == 0 for time in times)


def test_what_serves_recovery_alone_is_never_shown_and_leaves_gaps(engine: Engine) -> None:
    engine.set_stock([("S1", "tea", 7)], versions={"S1": 3}, key="K1")
    events, page = all_events(engine), engine.events(limit=1)
    assert not any(event.kind.is_internal for event in events)
    assert len(events) < page.last_sequence
    numbers = [event.sequence for event in events]
    assert numbers == sorted(set(numbers))


# -- ONCE AND IN ORDER -------------------------------------------------------------------------


def counts_told(events: list[LedgerEvent]) -> dict[Pair, tuple[int, int]]:
    """On hand and reserved of each pair, by the ledger alone; every movement must fit the last."""
    counts: dict[Pair, tuple[int, int]] = {}
    for event in events:
        for move in event.movements:
            assert event.store_id is not None
            pair = event.store_id, move.sku
            assert counts.get(pair, (0, 0)) == (move.on_hand_before, move.reserved_before)
            counts[pair] = move.on_hand_after, move.reserved_after
    return counts


def counts_of(engine: Engine) -> dict[Pair, tuple[int, int]]:
    return {
        (level.store_id, level.sku): (level.on_hand, level.reserved)
        for store in engine.stores()
        for level in engine.stock(store.store.id)
    }


@pytest.mark.parametrize("limit", [1, 2, 7, 10_000])
def test_every_movement_comes_once_and_in_order_however_the_pages_fall(
    engine: Engine, limit: int
) -> None:
    engine.route_batch(an_order(f"O{number}", lng=121.4 + number / 1000) for number in range(20))
    engine.adjust_stock([("S1", "tea", 5), ("S2", "milk", -1)])
    for number in range(20):
        engine.route(an_order(f"P{number}", sku="milk"))
    engine.release("O3")
    events = all_events(engine, limit)
    assert events == all_events(engine)
    assert counts_told(events) == counts_of(engine)
    assigned = Counter(event.order_id for event in events if event.kind is EventKind.ASSIGNED)
    assert set(assigned.values()) == {1}


def test_settlement_resumes_after_a_break_and_misses_nothing(tmp_path: Path) -> None:
    with a_kept_chain(tmp_path) as engine:
        engine.route_batch(an_order(f"O{number}") for number in range(7))
        before = engine.events(limit=5)
    with Engine.open(tmp_path) as engine:
        engine.route(an_order("O9", sku="milk"))
        page = before
        events = list(before.events)
        while page.next_sequence <= page.last_sequence or page is before:
            page = engine.events(page.next_sequence, limit=5)
            events += page.events
        assert events == all_events(engine)
        assert counts_told(events) == counts_of(engine)


def test_a_reader_beside_many_writers_sees_every_order_once(engine: Engine) -> None:
    engine.set_stock([("S1", "tea", 10_000)])
    begun = threading.Barrier(3)

    def sell(name: str) -> None:
        begun.wait()
        for number in range(100):
            engine.route(an_order(f"{name}-{number}"))

    sellers = [threading.Thread(target=sell, args=(name,)) for name in "AB"]
    for seller in sellers:
        seller.start()
    begun.wait()
    seen: list[str | None] = []
    at = 1
    while len(seen) < 200:
        page = engine.events(at, limit=13, kinds=[EventKind.ASSIGNED])
        seen += [event.order_id for event in page.events]
        if page.next_sequence > page.last_sequence and len(seen) < 200:
            assert engine.wait_for_event(page.last_sequence, 20.0)
        at = page.next_sequence
    for seller in sellers:
        seller.join()
    assert Counter(seen) == {f"{name}-{number}": 1 for name in "AB" for number in range(100)}


def test_what_is_not_on_disk_is_not_shown(engine: Engine) -> None:
    last = engine.events().last_sequence
    with engine.deferred():
        engine.route(an_order("O1"))
        assert engine.events().last_sequence == last
        assert engine.events(last + 1).events == ()
        assert not engine.wait_for_event(last, 0)
    engine.wait_durable(engine.durable_mark())
    assert [event.order_id for event in engine.events(last + 1).events] == ["O1"]


# -- ONLY WHAT IS WANTED -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"store_ids": ["S2"]}, lambda e: e.store_id == "S2"),
        ({"store_ids": ["S2", "S3"]}, lambda e: e.store_id in ("S2", "S3")),
        ({"regions": ["puxi"]}, lambda e: e.region == "puxi"),
        ({"regions": [""]}, lambda e: e.store_id == "S5"),
        ({"regions": ["nowhere"]}, lambda e: False),
        ({"order_ids": ["O1", "O7", "never"]}, lambda e: e.order_id in ("O1", "O7")),
        ({"kinds": [EventKind.STOCK_SET]}, lambda e: e.kind is EventKind.STOCK_SET),
        ({"kinds": [1, 32]}, lambda e: e.kind in (1, 32)),
        (
            {"store_ids": ["S1"], "regions": ["pudong"]},
            lambda e: False,
        ),
        (
            {"regions": ["puxi"], "kinds": [EventKind.ASSIGNED], "order_ids": ["O1", "O8"]},
            lambda e: e.region == "puxi" and e.kind == 1 and e.order_id in ("O1", "O8"),
        ),
    ],
)
def test_a_filter_shows_what_fits_and_nothing_else(
    engine: Engine, wanted: dict[str, Any], fits: Any
) -> None:
    engine.add_stores([Store(id="S5", lat=31.2, lng=121.6)])
    engine.route_batch(an_order(f"O{n}", lng=121.4 + n / 200) for n in range(9))
    engine.pause_stores(["S2", "S5"])
    expected = [event for event in all_events(engine) if fits(event)]
    assert list(engine.events(**wanted).events) == expected
    assert engine.events(**wanted).next_sequence == engine.events().last_sequence + 1


def test_events_of_a_closed_store_can_still_be_asked_for(engine: Engine) -> None:
    engine.remove_stores(["S3"])
    kinds = [event.kind.name for event in engine.events(store_ids=["S3"]).events]
    assert kinds == ["STORE_ADDED", "STOCK_SET", "STOCK_SET", "STORE_REMOVED"]


def test_a_filter_that_fits_little_gives_word_before_it_has_seen_all(tmp_path: Path) -> None:
    with kept(tmp_path) as engine:
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
        engine.set_stock([("S1", "tea", 1)])
        for batch in range(11):
            engine.route_batch(an_order(f"O{batch}-{n}", quantity=2) for n in range(10_000))
        engine.route(an_order("the last"))
        page = engine.events(order_ids=["the last"])
        assert page.events == ()
        assert page.next_sequence == 100_001
        page = engine.events(page.next_sequence, order_ids=["the last"])
        assert [event.order_id for event in page.events] == ["the last"]


def test_a_page_ends_after_much_stock_was_moved_and_the_next_goes_on(engine: Engine) -> None:
    first = engine.events().last_sequence + 1
    for store in ("S1", "S2", "S3"):
        engine.set_stock((store, f"sku-{number}", 1) for number in range(15_000))
    sizes = []
    page = engine.events(first)
    while page.events:
        sizes.append([len(event.movements) for event in page.events])
        page = engine.events(page.next_sequence)
    assert sizes == [[15_000, 15_000], [15_000]]


# -- WHAT CANNOT BE ----------------------------------------------------------------------------


def test_beyond_the_end_there_is_nothing_yet(engine: Engine) -> None:
    last = engine.events().last_sequence
    for beyond in (last + 1, last + 1_000, 2**63 - 1):
        page = engine.events(beyond)
        assert (page.events, page.next_sequence, page.last_sequence) == ((), beyond, last)


@pytest.mark.parametrize(
    ("arguments", "fault", "field", "row"),
    [
        ({"from_sequence": 0}, Fault.OUT_OF_RANGE, "from_sequence", None),
        ({"from_sequence": 2**63}, Fault.OUT_OF_RANGE, "from_sequence", None),
        ({"from_sequence": 1.5}, Fault.WRONG_TYPE, "from_sequence", None),
        ({"from_sequence": True}, Fault.WRONG_TYPE, "from_sequence", None),
        ({"limit": 0}, Fault.OUT_OF_RANGE, "limit", None),
        ({"limit": 10_001}, Fault.OUT_OF_RANGE, "limit", None),
        ({"limit": "10"}, Fault.WRONG_TYPE, "limit", None),
        ({"kinds": [EventKind.ASSIGNED, 12]}, Fault.OUT_OF_RANGE, "kinds", 1),
        ({"kinds": [EventKind.KEY]}, Fault.OUT_OF_RANGE, "kinds", 0),
        ({"kinds": ["ASSIGNED"]}, Fault.WRONG_TYPE, "kinds", 0),
        ({"kinds": []}, Fault.MISSING, "kinds", None),
        ({"store_ids": ["S1", "S9"]}, Fault.UNKNOWN_STORE, "store_ids", 1),
        ({"store_ids": "S1"}, Fault.WRONG_TYPE, "store_ids", None),
        ({"store_ids": [""]}, Fault.BAD_ID, "store_ids", 0),
        ({"regions": []}, Fault.MISSING, "regions", None),
        ({"order_ids": ["O1", None]}, Fault.BAD_ID, "order_ids", 1),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    engine: Engine, arguments: dict[str, Any], fault: Fault, field: str, row: int | None
) -> None:
    assert refused(lambda: engine.events(**arguments)) == (fault, field, row)


@pytest.mark.parametrize(
    ("arguments", "fault", "field"),
    [
        ((-1, 1.0), Fault.OUT_OF_RANGE, "after_sequence"),
        ((0, -1.0), Fault.OUT_OF_RANGE, "timeout_s"),
        ((0, "1"), Fault.WRONG_TYPE, "timeout_s"),
    ],
)
def test_nobody_waits_for_what_cannot_be(
    engine: Engine, arguments: Any, fault: Fault, field: str
) -> None:
    assert refused(lambda: engine.wait_for_event(*arguments)) == (fault, field, None)


def test_an_engine_in_memory_has_no_ledger() -> None:
    engine = Engine()
    assert refused(engine.events)[0] is Fault.NO_JOURNAL
    assert refused(lambda: engine.wait_for_event(0, 0))[0] is Fault.NO_JOURNAL


def test_whoever_waits_is_woken_by_the_next_event(engine: Engine) -> None:
    last = engine.events().last_sequence
    assert engine.wait_for_event(last - 1, 0)
    assert not engine.wait_for_event(last, 0)
    seller = threading.Thread(target=engine.route, args=(an_order("O1"),))
    seller.start()
    assert engine.wait_for_event(last, 20.0)
    seller.join()


# -- THE BYTES ---------------------------------------------------------------------------------


def some_bytes() -> tuple[bytes, int]:
    """Events of stores, names and stock, as a frame has them."""
    events = Events()
    events.store(EventKind.STORE_ADDED, "S1", "浦西", 31.2, 121.4)
    events.texts(EventKind.SKUS_NAMED, [b"tea", b"milk"], counted=True)
    codes = np.array([0, 0, 1], dtype=np.int32)
    skus = np.array([0, 1, 0], dtype=np.int32)
    before = np.array([[0, 0], [3, 2], [0, 0]], dtype=np.int32)
    events.stock(EventKind.STOCK_SET, codes, skus, before, np.array([5, 6, 7], dtype=np.int32))
    events.code(EventKind.STORE_PAUSED, 0)
    events.code(EventKind.VERSION, 1, 77)
    events.texts(EventKind.KEY, [b"K", b"digest", b"\xff"])
    events.texts(EventKind.DOCUMENT, [b"policy", b"1", b"text"])
    return bytes(events.padded()[: events.size]), len(events)


@given(st.lists(st.integers(0, 4), max_size=10), st.integers(0, 8))
def test_reading_in_parts_is_reading_at_once(parts: list[int], skipped: int) -> None:
    body, count = some_bytes()
    assert count == 8
    whole = read(body, 100, 5, count)
    reading = Reading(body, 100, 5, count)
    reading.skip_to(100 + skipped)
    found = [event for part in parts for event in reading.take(part, count, 2**62)]
    found += reading.take(count, count, 2**62)
    assert [event.sequence for event in found] == list(range(100 + skipped, 108))
    assert repr(found) == repr(whole[skipped:])
    assert reading.sequence == reading.end == 108


def test_reading_stops_at_what_was_wanted() -> None:
    body, count = some_bytes()
    reading = Reading(body, 1, 5, count)
    wanted = Wanted([EventKind.STOCK_SET, EventKind.STORE_PAUSED])
    assert [event.sequence for event in reading.take(count, 1, 9, wanted)] == [3]
    assert reading.sequence == 4
    assert [event.store for event in reading.take(count, 9, 1, wanted)] == [1]
    assert [event.kind for event in reading.take(1, 9, 9, wanted)] == [EventKind.STORE_PAUSED]
    assert reading.take(9, 9, 9, wanted) == []


@given(st.data())
def test_damaged_events_are_refused_and_never_made_up(data: st.DataObject) -> None:
    body, count = some_bytes()
    place = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:place] + bytes([data.draw(st.integers(0, 255))]) + body[place + 1 :]
    for some in (damaged, body[:place], damaged[place:]):
        try:
            assert len(read(some, 1, 5, count)) == count
        except FendanError as error:
            assert error.fault is Fault.CORRUPT


def test_a_log_that_begins_later_is_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    with a_kept_chain(tmp_path) as engine:
        for batch in range(40):
            engine.set_stock(("S1", f"sku-{batch}-{n}", 1) for n in range(2_000))
        engine.snapshot()
        engine.snapshot()
        journal = engine._journal
        assert journal is not None
        assert isinstance(journal.log, FileLog)
        journal.log.trim(journal.sequence)
        assert refused(engine.events)[:2] == (Fault.OUT_OF_RANGE, "from_sequence")
