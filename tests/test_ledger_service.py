"""Settlement modules, warehouses and exporters read the ledger over the wire, each its own part."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from fendan import Client, Engine, EventKind, EventPage, FendanError, LedgerEvent, Store, aio
from fendan.channel import Retries
from fendan.details import error_of
from fendan.errors import Fault
from fendan.ledger_messages import ledger_event_message, ledger_event_of
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from fendan.v1 import ledger_service_pb2 as messages
from fendan.v1.ledger_service_pb2_grpc import LedgerServiceStub
from keeping import a_kept_chain, all_events, an_order
from serving import Served, a_chain, serving

# Far beyond what anything here takes: a test that hangs is to fail, not to wait.
PATIENCE_S = 20.0

NO_RETRIES = Retries(most=0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with a_kept_chain(tmp_path / "journal") as engine:
        yield engine


@pytest.fixture
def served(engine: Engine) -> Iterator[Served]:
    with serving(engine) as served:
        yield served


def taken(pages: Iterator[EventPage], count: int) -> list[LedgerEvent]:
    """The next so many events of a tail."""
    return list(itertools.islice((event for page in pages for event in page.events), count))


def refused(call: Callable[[], Any]) -> tuple[Fault, str, int | None]:
    with pytest.raises(FendanError) as caught:
        call()
    return caught.value.fault, caught.value.field, caught.value.row


def call(served: Served, method: str, request: Any) -> Any:
    """The answer, or the first message of it."""
    with grpc.insecure_channel(served.address) as channel:
        answer = getattr(LedgerServiceStub(channel), method)(request, timeout=PATIENCE_S)
        return next(answer) if method == "Tail" else answer


# -- PAGES -------------------------------------------------------------------------------------


def test_the_ledger_over_the_wire_is_the_ledger(served: Served) -> None:
    served.engine.route_batch(an_order(f"O{n}", quantity=3, lng=121.4 + n / 200) for n in range(9))
    with Client(served.address) as client:
        page = client.events(1)
        assert page == served.engine.events(1)
        assert len(page.events) > 9
        for limit in (1, 3):
            assert client.events(4, limit=limit) == served.engine.events(4, limit=limit)
        wanted: dict[str, Any] = {"regions": ["puxi"], "kinds": [EventKind.ASSIGNED]}
        assert client.events(1, **wanted) == served.engine.events(1, **wanted)
        assert client.events(page.next_sequence).events == ()


def test_the_asynchronous_client_reads_the_same(served: Served) -> None:
    async def read() -> tuple[EventPage, list[EventPage]]:
        async with aio.Client(served.address) as client:
            tail = [page async for page in _first(client.tail(2, store_ids=["S2"]))]
            return await client.events(2, limit=3), tail

    page, tail = asyncio.run(read())
    assert page == served.engine.events(2, limit=3)
    assert tail[0].events == served.engine.events(2, store_ids=["S2"]).events


async def _first(pages: Any) -> Any:
    async for page in pages:
        yield page
        return


def test_every_field_arrives(served: Served) -> None:
    events = all_events(served.engine)
    assert events
    for event in events:
        assert ledger_event_of(ledger_event_message(event)) == event


def test_the_kinds_have_the_same_names_and_numbers_everywhere() -> None:
    shown = {kind.name: kind.value for kind in EventKind if not kind.is_internal}
    sent = {name.removeprefix("EVENT_KIND_"): number for name, number in messages.EventKind.items()}
    assert sent == shown | {"UNSPECIFIED": 0}


def test_without_a_limit_a_page_has_a_thousand_events(served: Served) -> None:
    served.engine.route_batch(an_order(f"O{n}", quantity=11) for n in range(1_100))
    page = call(served, "ReadEvents", messages.ReadEventsRequest(from_sequence=1))
    assert len(page.events) == 1_000
    rest = messages.ReadEventsRequest(from_sequence=page.next_sequence, limit=10_000)
    assert page.next_sequence + len(call(served, "ReadEvents", rest).events) == (
        page.last_sequence + 1
    )


# -- WHAT CANNOT BE ----------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], Fault, str]] = [
    ({"from_sequence": 0}, Fault.OUT_OF_RANGE, "from_sequence"),
    ({"from_sequence": -5}, Fault.OUT_OF_RANGE, "from_sequence"),
    (
        {"from_sequence": 1, "filter": {"store_ids": ["S1", "S9"]}},
        Fault.UNKNOWN_STORE,
        "filter.store_ids[1]",
    ),
    ({"from_sequence": 1, "filter": {"kinds": [1, 12]}}, Fault.OUT_OF_RANGE, "filter.kinds[1]"),
    ({"from_sequence": 1, "filter": {"kinds": [0]}}, Fault.OUT_OF_RANGE, "filter.kinds[0]"),
    ({"from_sequence": 1, "filter": {"kinds": [50]}}, Fault.OUT_OF_RANGE, "filter.kinds[0]"),
    ({"from_sequence": 1, "filter": {"order_ids": [""]}}, Fault.BAD_ID, "filter.order_ids[0]"),
    (
        {"from_sequence": 1, "filter": {"order_ids": ["O1"] * 10_001}},
        Fault.TOO_MANY,
        "filter.order_ids",
    ),
    ({"from_sequence": 1, "filter": {"kinds": [1] * 101}}, Fault.TOO_MANY, "filter.kinds"),
]


@pytest.mark.parametrize(("request_", "fault", "field"), BAD)
def test_what_cannot_be_asked_is_refused_by_its_path(
    served: Served, request_: dict[str, Any], fault: Fault, field: str
) -> None:
    for method, kind in (
        ("ReadEvents", messages.ReadEventsRequest),
        ("Tail", messages.TailRequest),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            call(served, method, kind(**request_))
        error = error_of(caught.value)
        assert (error.fault, error.field) == (fault, field)


@pytest.mark.parametrize("limit", [-1, 10_001])
def test_a_page_has_a_size_that_can_be(served: Served, limit: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(served, "ReadEvents", messages.ReadEventsRequest(from_sequence=1, limit=limit))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    [
        {"from_sequence": 0},
        {"limit": 0},
        {"limit": 10_001},
        {"store_ids": []},
        {"store_ids": ["S1", "S9"]},
        {"kinds": [EventKind.KEY]},
        {"order_ids": ["O1", None]},
        {"regions": "puxi"},
    ],
)
def test_a_client_refuses_what_the_engine_refuses(
    served: Served, arguments: dict[str, Any]
) -> None:
    with Client(served.address) as client:
        there = refused(lambda: client.events(**arguments))
    assert there == refused(lambda: served.engine.events(**arguments))


def test_a_service_in_memory_has_no_ledger() -> None:
    with serving(a_chain()) as served, Client(served.address) as client:
        assert refused(client.events)[0] is Fault.NO_JOURNAL
        assert refused(lambda: next(client.tail()))[0] is Fault.NO_JOURNAL


# -- AS IT GOES ON -----------------------------------------------------------------------------


def test_a_tail_tells_what_was_and_then_what_comes(served: Served) -> None:
    before = all_events(served.engine)
    with Client(served.address) as client, closing(client.tail()) as tail:
        assert taken(tail, len(before)) == before
        for number in range(5):
            served.engine.route(an_order(f"O{number}"))
            (event,) = taken(tail, 1)
            assert event.order_id == f"O{number}"


def test_a_tail_taken_up_again_goes_on_where_it_was(served: Served) -> None:
    served.engine.route_batch(an_order(f"O{number}") for number in range(10))
    expected = all_events(served.engine)
    seen: list[LedgerEvent] = []
    at = 1
    with Client(served.address) as client:
        while len(seen) < len(expected):
            with closing(client.tail(at, kinds=None)) as tail:
                page = next(tail)
            seen += page.events
            at = page.next_sequence
    assert seen == expected


def test_settlement_misses_nothing_when_the_service_restarts(
    engine: Engine, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path / 'fendan.sock'}"
    with Client(address, timeout_s=PATIENCE_S) as client, closing(client.tail()) as tail:
        seen: list[LedgerEvent] = []
        for run in range(3):
            with serving(engine, listen=address):
                engine.route_batch(an_order(f"O{run}-{number}") for number in range(3))
                seen += taken(tail, len(all_events(engine)) - len(seen))
            engine.route(an_order(f"O{run} meanwhile"))
        with serving(engine, listen=address):
            seen += taken(tail, 1)
    assert seen == all_events(engine)


def test_a_tail_sees_only_what_it_asked_for(served: Served) -> None:
    with Client(served.address) as client:
        last = served.engine.events().last_sequence
        with closing(client.tail(last + 1, store_ids=["S3"])) as tail:
            served.engine.route(an_order("O1"))
            served.engine.route(an_order("O2", lng=121.42))
            (event,) = taken(tail, 1)
            assert (event.order_id, event.store_id) == ("O2", "S3")


def test_whoever_follows_what_never_happens_still_learns_how_far_they_are(
    served: Served,
) -> None:
    for batch in range(11):
        served.engine.route_batch(an_order(f"O{batch}-{n}", quantity=11) for n in range(10_000))
    with Client(served.address) as client, closing(client.tail(order_ids=["never"])) as tail:
        page = next(tail)
        assert (page.events, page.next_sequence) == ((), 100_001)


def test_a_reader_who_does_not_read_is_not_sent_everything(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, long = 50_000, "x" * 200
    served.engine.route_batch(an_order(f"{long}{n}", quantity=11) for n in range(count))
    tailed: list[int] = []
    events = served.engine.events

    def noting(first: int, **wanted: Any) -> EventPage:
        if "limit" not in wanted:  # as tails ask
            tailed.append(first)
        return events(first, **wanted)

    monkeypatch.setattr(served.engine, "events", noting)
    with (
        Client(served.address) as client,
        Client(served.address) as other,
        closing(client.tail()) as tail,
    ):
        seen = list(next(tail).events)
        page = other.events(limit=500)
        while page.next_sequence <= page.last_sequence:  # one reads all, the other looks away
            page = other.events(page.next_sequence, limit=500)
        assert len(tailed) < 40
        seen += taken(tail, len(all_events(served.engine)) - len(seen))
        assert [event.sequence for event in seen] == [
            event.sequence for event in all_events(served.engine)
        ]
    assert len(tailed) > 50


def test_a_server_that_drains_tells_its_tails_to_go_elsewhere(served: Served) -> None:
    with Client(served.address, retries=NO_RETRIES) as client, closing(client.tail()) as tail:
        next(tail)
        served.do(served.server.drain)
        assert refused(lambda: list(tail))[0] is Fault.UNAVAILABLE


# -- WHO MAY READ WHAT -------------------------------------------------------------------------


@pytest.fixture
def guarded(engine: Engine, tmp_path: Path) -> Iterator[Callable[[str], Client]]:
    """Clients with a token each: of the store S1, of the region puxi, and of every other scope."""
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    of = {Scope.STORE: "S1", Scope.REGION: "puxi"}
    tokens = {
        scope.value: new_token(path, name=scope.value, scope=scope, of=of.get(scope, ""))
        for scope in Scope
    }
    engine.route_batch(an_order(f"O{n}", quantity=4, lng=121.4 + n / 200) for n in range(9))
    engine.pause_stores(["S3"])
    with serving(engine, tokens=path) as served:
        clients: list[Client] = []

        def holding(scope: str) -> Client:
            clients.append(Client(served.address, token=tokens[scope]))
            return clients[-1]

        yield holding
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("scope", "sees"),
    [
        ("headquarters", lambda event: True),
        ("settlement", lambda event: True),
        ("store", lambda event: event.store_id == "S1"),
        ("region", lambda event: event.region == "puxi"),
    ],
)
def test_everyone_sees_their_part_and_nothing_else(
    engine: Engine,
    guarded: Callable[[str], Client],
    scope: str,
    sees: Callable[[LedgerEvent], bool],
) -> None:
    client, everything = guarded(scope), all_events(engine)
    expected = [event for event in everything if sees(event)]
    assert expected
    assert list(client.events().events) == expected
    with closing(client.tail()) as tail:
        assert taken(tail, len(expected)) == expected
    assigned = client.events(kinds=[EventKind.ASSIGNED]).events
    assert list(assigned) == [e for e in expected if e.kind is EventKind.ASSIGNED]


def test_those_who_bring_orders_in_read_no_ledger(guarded: Callable[[str], Client]) -> None:
    client = guarded("ingest")
    assert refused(client.events)[0] is Fault.NOT_ALLOWED
    assert refused(lambda: next(client.tail()))[0] is Fault.NOT_ALLOWED


@pytest.mark.parametrize(
    ("scope", "arguments", "field"),
    [
        ("store", {"store_ids": ["S1", "S2"]}, "store_ids"),
        ("store", {"regions": ["puxi"]}, "regions"),
        ("region", {"store_ids": ["S1", "S3"]}, "store_ids"),
        ("region", {"regions": ["puxi", "pudong"]}, "regions"),
        ("region", {"regions": [""]}, "regions"),
    ],
)
def test_nobody_asks_for_anothers_part_by_name(
    guarded: Callable[[str], Client], scope: str, arguments: dict[str, Any], field: str
) -> None:
    client = guarded(scope)
    fault, named, row = refused(lambda: client.events(**arguments))
    assert (fault, named) == (Fault.NOT_ALLOWED, field)
    assert arguments[field][row] not in ("S1",)


def test_one_may_name_ones_own(engine: Engine, guarded: Callable[[str], Client]) -> None:
    of_s1 = list(engine.events(store_ids=["S1"]).events)
    assert list(guarded("store").events(store_ids=["S1"]).events) == of_s1
    region = guarded("region")
    assert list(region.events(store_ids=["S1"]).events) == of_s1
    assert region.events(regions=["puxi"]) == engine.events(regions=["puxi"])


def test_another_stores_order_is_not_there_for_a_store(
    engine: Engine, guarded: Callable[[str], Client]
) -> None:
    elsewhere = [e.order_id for e in all_events(engine) if e.order_id and e.store_id != "S1"]
    assert guarded("store").events(order_ids=elsewhere).events == ()


def test_a_region_reads_of_its_closed_store_too(
    engine: Engine, guarded: Callable[[str], Client]
) -> None:
    engine.remove_stores(["S2", "S3"])
    region = guarded("region")
    kinds = [event.kind for event in region.events(store_ids=["S2"]).events]
    assert EventKind.STORE_REMOVED in kinds
    assert region.events(store_ids=["S3"]).events == ()


def test_a_store_that_opens_in_a_region_joins_its_tail(
    engine: Engine, guarded: Callable[[str], Client]
) -> None:
    last = engine.events().last_sequence
    with closing(guarded("region").tail(last + 1)) as tail:
        engine.add_stores([Store(id="S7", lat=31.2, lng=121.5, region="pudong")])
        engine.add_stores([Store(id="S8", lat=31.2, lng=121.5, region="puxi")])
        engine.set_stock([("S7", "tea", 1), ("S8", "tea", 1)])
        told = [(event.kind, event.store_id) for event in taken(tail, 2)]
    assert told == [(EventKind.STORE_ADDED, "S8"), (EventKind.STOCK_SET, "S8")]
