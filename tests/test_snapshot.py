"""An engine put away as bytes and taken out again is the same engine, to the byte, and stays so."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fendan import Datum, Engine, FendanError, Order, Policy, RejectReason, Store
from fendan.state import FORMAT, HEADER, KINDS, MAGIC, Moment, dump, restore, state_hash

Command = Callable[[Engine], object]

SKUS = ("milk", "tea", "rice", "茶")
CORNERS = ((31.2, 121.4), (30.6, 104.0), (39.9, 116.4), (-33.9, 151.2))
MOMENT = Moment(42, 1_700_000_000_000_000_000)

# -- BYTES -------------------------------------------------------------------------------------


def bytes_of(engine: Engine, moment: Moment = MOMENT) -> bytes:
    return b"".join(bytes(part) for part in dump(engine, moment))


class Clock:
    """One for an engine and for the one taken out, so that both live at the same time."""

    def __init__(self) -> None:
        self.time_ns = 0

    def now_ns(self) -> int:
        return self.time_ns


POLICY = Policy(reservation_timeout_s=100.0, cool_down_s=100.0)


def taken_out(data: bytes, clock: Clock | None = None) -> Engine:
    engine = Engine(policy=POLICY, clock=clock or Clock())
    restore(engine, memoryview(data))
    return engine


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The table of a state, and copies of its arrays by name."""
    size = HEADER.unpack_from(data)[2]
    table = json.loads(data[HEADER.size : HEADER.size + size])
    body = data[HEADER.size + size :]
    arrays = {
        name: np.ndarray(shape, KINDS[name][0], bytearray(body[offset : offset + length]))
        for name, _, shape, offset, length in table["sections"]
    }
    return table, arrays


def sealed(table: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> bytes:
    """A state of these arrays, with a table that is true to them."""
    body = b""
    for row in table["sections"]:
        raw = arrays[row[0]].tobytes()
        row[2:] = [list(arrays[row[0]].shape), len(body), len(raw)]
        body += raw.ljust(-(-len(raw) // 64) * 64, b"\0")
    return with_table(json.dumps(table, separators=(",", ":")).encode(), body)


def with_table(text: bytes, body: bytes) -> bytes:
    text = text.ljust(-(-len(text) // 64) * 64)
    return HEADER.pack(MAGIC, FORMAT, len(text), *MOMENT) + text + body


# -- HISTORIES ---------------------------------------------------------------------------------


def outcome(call: Callable[[], object]) -> object:
    """What a call returned, or raised."""
    try:
        return call()
    except FendanError as error:
        return type(error), str(error)


def near(corner: int, step: int) -> tuple[float, float]:
    """A spot on a spiral around a corner, so that no two steps are at one place."""
    lat, lng = CORNERS[corner % len(CORNERS)]
    return lat + 0.003 * step * np.cos(step), lng + 0.003 * step * np.sin(step)


def a_chain(clock: Clock | None = None) -> Engine:
    """A hundred and fifty stores: three leaves, with a few spare slots each."""
    engine = Engine(remembered_orders=0, policy=POLICY, clock=clock or Clock())
    stores = [(f"store {n}", *near(n, n)) for n in range(150)]
    engine.add_stores([Store(id=name, lat=lat, lng=lng) for name, lat, lng in stores])
    chance = random.Random(5)
    for sku in SKUS[:3]:
        some = chance.sample(stores, 60)
        engine.set_stock([(name, sku, chance.randrange(20)) for name, _, _ in some])
    return engine


numbers = st.integers(0, 149)
some_ids = st.lists(numbers.map("store {}".format), min_size=1, max_size=3, unique=True)
orders = st.builds(
    lambda number, corner, step, sku, quantity: Order(
        id=f"order {number}",
        lat=near(corner, step)[0],
        lng=near(corner, step)[1],
        lines=[(SKUS[sku], quantity), (SKUS[(sku + 1) % 3], 1)],
    ),
    st.integers(0, 9),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(1, 9),
)


def opening(first: int, count: int, corner: int, engine: Engine) -> object:
    spots = [near(corner, 200 + first + n) for n in range(count)]
    return engine.add_stores(
        Store(id=f"store {first + n}", lat=lat, lng=lng, region="new")
        for n, (lat, lng) in enumerate(spots)
    )


def moving(ids: list[str], corner: int, engine: Engine) -> object:
    lat, lng = near(corner, 7)
    return engine.update_stores([Store(id=name, lat=lat, lng=lng, region="moved") for name in ids])


def counting(
    ids: list[str], sku: str, count: int, version: int, key: str | None, engine: Engine
) -> object:
    rows = [(name, sku, count) for name in ids]
    return engine.set_stock(rows, versions={ids[0]: version} if version else None, key=key)


def adjusting(ids: list[str], delta: int, key: str | None, engine: Engine) -> object:
    return engine.adjust_stock([(name, "tea", delta) for name in ids], key=key)


def routing(batch: list[Order], dry_run: bool, engine: Engine) -> object:
    return engine.route_batch(batch, dry_run=dry_run)


def flooding(first: int, quantity: int, engine: Engine) -> object:
    """Seven thousand orders: some of these fill a page of the table, and with it others go."""
    count = 7000
    routed = engine.route_arrays(
        ids=[f"flood {first + n}" for n in range(count)],
        lat=np.full(count, 31.2),
        lng=np.full(count, 121.4),
        offsets=np.arange(count + 1),
        skus=np.zeros(count, dtype=np.int32),
        quantities=np.full(count, quantity, dtype=np.int32),
    )
    return routed.store_codes.tobytes(), routed.reasons.tobytes()


def stepping(number: int, step: str, engine: Engine) -> object:
    return getattr(engine, step)(f"order {number}")


def rejecting(number: int, reason: RejectReason, engine: Engine) -> object:
    store = engine.order(f"order {number}").store_id or "store 0"
    return engine.reject_order(f"order {number}", store, reason=reason)


def returning(number: int, to_stock: bool, engine: Engine) -> object:
    return engine.return_order(f"order {number}", to_stock=to_stock)


steps = ("accept_order", "pick_order", "ship_order", "deliver_order", "cancel_order", "release")
some_orders = st.integers(0, 5)
keys = st.sampled_from([None, None, "key 1", "key 2"])
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(partial, st.just(opening), st.integers(140, 190), st.integers(1, 20), numbers),
    st.builds(partial, st.just(moving), some_ids, numbers),
    some_ids.map(lambda ids: lambda engine: engine.pause_stores(ids)),
    some_ids.map(lambda ids: lambda engine: engine.resume_stores(ids)),
    some_ids.map(lambda ids: lambda engine: engine.remove_stores(ids)),
    st.builds(
        partial,
        st.just(counting),
        some_ids,
        st.sampled_from([*SKUS, "coffee"]),
        st.integers(0, 9),
        st.integers(0, 3),
        keys,
    ),
    st.builds(partial, st.just(adjusting), some_ids, st.integers(-5, 9), keys),
    st.builds(partial, st.just(routing), st.lists(orders, max_size=6), st.booleans()),
    st.builds(partial, st.just(routing), st.lists(orders, max_size=6), st.just(False)),
    st.builds(partial, st.just(stepping), some_orders, st.sampled_from(steps)),
    st.builds(partial, st.just(stepping), some_orders, st.sampled_from(steps)),
    st.builds(partial, st.just(rejecting), some_orders, st.sampled_from(RejectReason)),
    st.builds(partial, st.just(rejecting), some_orders, st.sampled_from(RejectReason)),
    st.builds(partial, st.just(returning), some_orders, st.booleans()),
    st.just(lambda engine: engine.expire_orders()),
    st.builds(partial, st.just(flooding), st.integers(0, 50_000), st.sampled_from([1, 2**31 - 1])),
)


def everything_asked(engine: Engine) -> list[object]:
    """What an engine answers to all that can be asked of it."""
    known = [f"order {number}" for number in range(10)]
    return [
        engine.stores(),
        list(engine.skus),
        list(engine.store_ids),
        engine.store_count,
        engine.order_count,
        engine.pair_count,
        engine.datum,
        repr(engine),
        [engine.stock(status.store.id) for status in engine.stores()],
        [engine.stock_version(status.store.id) for status in engine.stores()],
        [engine.region_of(status.store.id) for status in engine.stores()],
        [outcome(partial(engine.decision, name)) for name in known],
        [outcome(partial(engine.is_held, name)) for name in known],
        [outcome(partial(engine.order, name)) for name in known],
        [outcome(partial(engine.nearest, *spot, lines=[("tea", 1)])) for spot in CORNERS],
        [piece.changes for piece in engine.availability()],
    ]


# -- THE SAME ENGINE ---------------------------------------------------------------------------


@settings(max_examples=60)
@given(before=st.lists(commands, max_size=20), after=st.lists(commands, max_size=20))
def test_an_engine_taken_out_is_the_one_put_away_and_lives_on_like_it(
    before: list[Command], after: list[Command]
) -> None:
    clock = Clock()
    engine = a_chain(clock)
    for command in before:
        clock.time_ns += 10**10
        outcome(partial(command, engine))
    data = bytes_of(engine)
    other = taken_out(data, clock)
    assert everything_asked(other) == everything_asked(engine)
    assert bytes_of(other) == data
    for command in after:
        clock.time_ns += 10**10
        assert outcome(partial(command, other)) == outcome(partial(command, engine))
    assert everything_asked(other) == everything_asked(engine)
    assert bytes_of(other) == bytes_of(engine)
    assert state_hash(other) == state_hash(engine)


def test_settings_and_moment_come_along() -> None:
    engine = Engine(datum=Datum.GCJ02, remembered_orders=12)
    other = Engine()
    assert restore(other, memoryview(bytes_of(engine))) == MOMENT
    assert other.datum is Datum.GCJ02
    assert bytes_of(other) == bytes_of(engine)


def test_the_hash_tells_states_apart_and_not_moments() -> None:
    engine = a_chain()
    before = state_hash(engine)
    assert state_hash(a_chain()) == before
    assert bytes_of(engine, Moment(1, 1)) != bytes_of(engine, Moment(2, 2))
    engine.set_stock([("store 0", "milk", 21)])
    assert state_hash(engine) != before


def test_another_process_with_other_hashes_comes_to_the_same_bytes() -> None:
    code = """
        import test_snapshot as t
        engine = t.a_chain()
        t.routing([t.Order(id=f"o {n}", lat=31, lng=121, lines=[("tea", 1)]) for n in range(50)],
                  False, engine)
        print(t.state_hash(engine))
    """
    said = {
        subprocess.run(
            [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_what_was_refused_or_only_tried_leaves_no_trace() -> None:
    engine = a_chain()
    engine.route(Order(id="known", lat=31, lng=121, lines=[("tea", 1)]))
    before = bytes_of(engine)
    many = [
        Order(id=f"new {n}", lat=31, lng=121, lines=[("tea", 1), ("milk", 2)])
        for n in range(20_000)  # more than a page
    ]
    engine.route_batch(many, dry_run=True)
    assert bytes_of(engine) == before
    with pytest.raises(FendanError):
        engine.route_batch([*many, Order(id="known", lat=0, lng=0, lines=[("tea", 1)])])
    assert bytes_of(engine) == before
    with pytest.raises(FendanError):
        engine.set_stock([("store 0", "new SKU", 1), ("store 1", "new SKU", -1)])
    with pytest.raises(FendanError):
        engine.adjust_stock([("store 0", "milk", 1), ("store 0", "milk", -1_000)])
    with pytest.raises(FendanError):
        engine.add_stores([Store(id="new", lat=1, lng=1), Store(id="new", lat=2, lng=2)])
    assert bytes_of(engine) == before


def test_pages_keep_their_age_whatever_their_numbers() -> None:
    engine = a_chain()
    engine.set_stock([("store 0", "milk", 2_000_000)])
    for first in range(0, 84_000, 7000):  # the first page goes, and its number is used again
        flooding(first, 2**31 - 1 if first < 21_000 else 1, engine)
    engine.release_batch([f"flood {number}" for number in range(30_000, 52_000)])
    flooding(90_000, 1, engine)
    other = taken_out(bytes_of(engine))
    for face in (engine, other):
        face.release_batch([f"flood {number}" for number in range(60_000, 84_000)])
        for first in range(100_000, 140_000, 7000):
            flooding(first, 1, face)
    assert engine.order_count == other.order_count == 133_000 - 3 * 16_384
    assert bytes_of(other) == bytes_of(engine)
    assert other.is_held("flood 139999")


def test_stock_of_many_parts_comes_back_whole() -> None:
    """More than one part of the dump, and shelves that leave the slab they were restored in."""
    engine = Engine()
    engine.add_stores([Store(id=f"s {n}", lat=n % 50, lng=n % 79) for n in range(1500)])
    pairs = np.arange(1500 * 600)
    chosen = pairs[pairs * 2654435761 % 4294967296 % 10 < 7]
    engine.set_stock(
        stores=(chosen % 1500).astype(np.int32),
        skus=[f"sku {n}" for n in (chosen // 1500).tolist()],
        quantities=(chosen % 7).astype(np.int32),
    )
    data = bytes_of(engine)
    assert sum(len(part) > 1 << 22 for part in dump(engine, MOMENT)) == 1
    other = taken_out(data)
    assert bytes_of(other) == data
    for face in (engine, other):
        face.set_stock([("s 0", f"sku {n}", 5) for n in range(600)])  # some did not list it
        face.add_stores([Store(id=f"more {n}", lat=n % 50, lng=n % 79) for n in range(300)])
    assert bytes_of(other) == bytes_of(engine)


def test_rejections_come_along() -> None:
    table, arrays = opened(bytes_of(busy()))
    arrays["rejections"] = np.zeros(2, dtype=KINDS["rejections"][0])
    arrays["rejections"]["store"] = [3, 4]
    arrays["rejections"]["before"] = [0, 1]
    arrays["rejection_counts"][0] = 2
    arrays["records"]["rejection"][5] = 2
    data = sealed(table, arrays)
    assert bytes_of(taken_out(data)) == data


# -- DAMAGE ------------------------------------------------------------------------------------


def busy() -> Engine:
    """A chain with orders held, refused and released, versions and keys."""
    engine = a_chain()
    engine.route_batch(
        Order(id=f"order {n}", lat=31, lng=121, lines=[("tea", 1 + n % 3), ("milk", 1)])
        for n in range(200)
    )
    engine.release("order 0")
    engine.set_stock([("store 1", "tea", 0)], versions={"store 1": 7}, key="key 1")
    engine.pause_stores(["store 2"])
    engine.remove_stores(["store 3"])
    return engine


def refused(data: bytes, code: str, section: str) -> None:
    """These bytes are refused for this section, and the core stays as it was."""
    engine = Engine(datum=Datum.BD09)
    before = bytes_of(engine)
    with pytest.raises(FendanError) as caught:
        restore(engine, memoryview(data))
    assert (caught.value.code, caught.value.field) == (code, f"snapshot.{section}")
    assert bytes_of(engine) == before


def test_the_state_of_a_newer_release_is_refused_as_such() -> None:
    data = bytearray(bytes_of(busy()))
    data[8:12] = (FORMAT + 1).to_bytes(4, "little")
    refused(bytes(data), "NEWER_FORMAT", "header")


@pytest.mark.parametrize("data", [b"", b"fendan", bytes(64), b"x" * 1000])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    refused(data, "CORRUPT", "header")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"settings": {}}', b'{"sections": [3], "settings": {}}', b"\xff"],
)
def test_a_table_that_is_none_is_refused(text: bytes) -> None:
    refused(with_table(text, b""), "CORRUPT", "table")


def test_a_table_longer_than_the_data_is_refused() -> None:
    refused(bytes_of(busy())[:200], "CORRUPT", "table")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datum", "Mars"),
        ("datum", None),
        ("datum", []),
        ("remembered_orders", -1),
        ("remembered_orders", 2**63),
        ("remembered_orders", "many"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, value: object) -> None:
    table, arrays = opened(bytes_of(busy()))
    table["settings"][name] = value
    refused(sealed(table, arrays), "CORRUPT", f"settings.{name}")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        ["<i2", [0], 0, 0],
        [None, [1, 1, 1, 1], 0, 0],
        [None, [-1], 0, 0],
        [None, "text", 0, 0],
        [None, [0], -64, 0],
        [None, [0], 1, 0],
        [None, [0], 2**70, 0],
        [None, [10**18], 0, 8 * 10**18],
        [None, [4], 0, 5],
    ],
)
def test_a_section_that_is_not_what_it_must_be_is_refused(name: str, row: list[Any]) -> None:
    data = bytes_of(busy())
    size = HEADER.unpack_from(data)[2]
    table = json.loads(data[HEADER.size : HEADER.size + size])
    place = next(at for at, known in enumerate(table["sections"]) if known[0] == name)
    if row and row[0] is None:
        row = [table["sections"][place][1], *row[1:]]
        if isinstance(row[1], list) and KINDS[name][1] and len(row[1]) == 1:
            row[1] = [*row[1], *KINDS[name][1]]
    table["sections"][place] = [name, *row] if row is not None else ["other"]
    refused(with_table(json.dumps(table).encode(), data[HEADER.size + size :]), "CORRUPT", name)


def put(place: Any, value: Any, field: str | None = None) -> Callable[[NDArray[Any]], Any]:
    """An edit: another value somewhere in an array."""

    def edit(array: NDArray[Any]) -> NDArray[Any]:
        (array if field is None else array[field])[place] = value
        return array

    return edit


def shorter(array: NDArray[Any]) -> NDArray[Any]:
    return array[:-1]


@pytest.mark.parametrize(
    ("name", "edit", "blamed"),
    [
        ("places", put((0, 0), np.nan), ""),
        ("places", shorter, ""),
        ("sketches", shorter, "places"),
        ("sketches", put((0, 0, 0), np.inf), ""),
        ("leaf_boxes", put((0, 0, 0), np.nan), ""),
        ("leaf_boxes", put((0, 0, 63), 0.0), ""),
        ("branch_boxes", put((0, 1, 0), -2.0), ""),
        ("store_at", put(0, 150), ""),
        ("store_at", put(0, -1), ""),
        ("store_at", put(63, 0), ""),
        ("ordinal_of", put(0, -1), ""),
        ("ordinal_of", put(0, 3 * 64), ""),
        ("ordinal_of", put(0, 63), "store_at"),
        ("closed", lambda array: (array.view(np.uint8) | 2).view(np.bool_), ""),
        ("closed", put(3, False), "removed"),
        ("removed", put(0, 150), ""),
        ("removed", put(0, -1), ""),
        ("removed", lambda array: np.append(array, array), ""),
        ("store_id_sizes", put(0, 8), "store_id_text"),
        ("store_id_sizes", shorter, "store_id_text"),
        ("store_id_sizes", put(slice(0, 2), [0, 14]), ""),
        ("store_id_text", put(0, 0), ""),
        ("store_id_text", put(0, 255), ""),
        ("store_id_text", put(slice(7, 14), list(b"store 0")), ""),
        ("region_sizes", shorter, ""),
        ("sku_sizes", put(0, 255), "sku_text"),
        ("sku_text", put(0, 200), ""),
        ("listed_counts", put(0, -1), ""),
        ("listed_counts", shorter, ""),
        ("listed_counts", put(0, 2**31 - 1), "shelves"),
        ("listed_counts", put(slice(0, 2), [59, 61]), "shelves"),
        ("shelves", shorter, ""),
        ("shelves", put(0, 2**63), ""),  # summary
        ("shelves", put(1, 2**64 - 1), ""),  # available
        ("shelves", put(4, 2**64 - 1), ""),  # listed
        ("shelves", put(7, 2**40), ""),  # base
        ("shelves", put(9, 2**63), ""),  # the first count: less than nothing reserved
        ("page_counts", put(0, 0), ""),
        ("page_counts", put(0, -5), ""),
        ("page_counts", put(0, 16_385), ""),
        ("page_counts", put(0, 199), "records"),
        ("page_counts", lambda array: np.array([100, 100], dtype=np.int32), "block_sizes"),
        ("block_sizes", put(0, 2**62), "blocks"),
        ("block_sizes", put(0, -1), ""),
        ("rejection_counts", put(0, 1), "rejections"),
        ("blocks", shorter, ""),
        ("blocks", put(slice(0, 4), 255), "records"),  # a SKU below zero
        ("blocks", put(3, 1), "records"),
        ("blocks", put(slice(8, 12), 0), "records"),  # none wanted
        ("records", put(0, -91.0, "lat"), ""),
        ("records", put(0, np.nan, "lng"), ""),
        ("records", put(1, 150, "verdict"), ""),
        ("records", put(7, 2**40, "block"), ""),
        ("records", put(7, -8, "block"), ""),
        ("records", put(7, 4, "block"), ""),
        ("records", put(199, 2**31 - 1, "line_count"), ""),
        ("records", put(199, -1, "line_count"), ""),
        ("records", put(199, 255, "id_size"), ""),
        ("records", put(199, 0, "id_size"), ""),
        ("records", put(199, 1, "rejection"), ""),
        ("records", put(199, -1, "rejection"), ""),
        ("records", put(199, 0, "state"), ""),
        ("records", put(199, 11, "state"), ""),
        ("versioned_stores", put(0, 150), ""),
        ("versioned_stores", shorter, ""),
        ("versions", put(0, 0), ""),
        ("answers", put(0, 0), ""),
        ("answers", lambda array: np.frombuffer(b"[[1]]", np.uint8), ""),
        ("answers", lambda array: np.frombuffer(b'[["k", "zz", {}]]', np.uint8), ""),
        ("documents", put(0, 0), ""),
        ("documents", lambda array: np.frombuffer(b'[["k", "n"]]', np.uint8), ""),
        ("documents", lambda array: np.frombuffer(b'[["k", "n", ""]]', np.uint8), ""),
        ("documents", lambda array: np.frombuffer(b'[["k", "", "t"]]', np.uint8), ""),
        ("documents", lambda array: np.tile(np.frombuffer(b"[" * 99, np.uint8), 999), ""),
    ],
)
def test_values_that_cannot_be_are_refused(
    name: str, edit: Callable[[NDArray[Any]], Any], blamed: str
) -> None:
    table, arrays = opened(bytes_of(busy()))
    arrays[name] = edit(arrays[name])
    refused(sealed(table, arrays), "CORRUPT", blamed or name)


@pytest.mark.parametrize("verdict", ["verdict", "current"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("store", 150), ("store", -2), ("status", 0), ("status", 3), ("reason", 99)],
)
def test_decisions_that_cannot_be_are_refused(verdict: str, field: str, value: int) -> None:
    table, arrays = opened(bytes_of(busy()))
    arrays["records"][verdict][field][10] = value
    refused(sealed(table, arrays), "CORRUPT", "records")


def test_an_order_held_where_it_cannot_be_is_refused() -> None:
    table, arrays = opened(bytes_of(busy()))
    held = int(np.flatnonzero(arrays["records"]["state"] == 1)[0])
    for store in (-1, 149):  # none; one that does not list both
        arrays["records"]["current"]["store"][held] = store
        refused(sealed(table, arrays), "CORRUPT", "records")


@pytest.mark.parametrize(("store", "before"), [(150, 0), (-1, 0), (0, -1), (0, 1), (0, 2)])
def test_rejections_that_cannot_be_are_refused(store: int, before: int) -> None:
    table, arrays = opened(bytes_of(busy()))
    arrays["rejections"] = np.zeros(1, dtype=KINDS["rejections"][0])
    arrays["rejections"]["store"], arrays["rejections"]["before"] = store, before
    arrays["rejection_counts"][0] = 1
    refused(sealed(table, arrays), "CORRUPT", "records")


BUSY = bytes_of(busy())


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(BUSY) - 1), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_whatever_the_bytes_say_nothing_is_read_out_of_bounds(
    flips: list[tuple[int, int]],
) -> None:
    data = bytearray(BUSY)
    for place, value in flips:
        data[place] = value
    engine = Engine()
    before = bytes_of(engine)
    try:
        restore(engine, memoryview(data))
    except FendanError as error:
        assert error.code in ("CORRUPT", "NEWER_FORMAT")
        assert bytes_of(engine) == before
        return
    bytes_of(engine)
    engine.stores()
    for n in range(31):
        outcome(partial(engine.release, f"order {n}"))
    routing([Order(id="new", lat=31, lng=121, lines=[("tea", 1)])], False, engine)
    opening(1000, 70, 0, engine)
