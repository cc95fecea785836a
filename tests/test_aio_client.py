"""`fendan.aio.Client`: orders of concurrent calls share messages, and nobody notices."""

import asyncio
import weakref
from collections.abc import Coroutine
from functools import partial
from typing import Any

import grpc
import pytest

from fake_service import FakeService, aborting
from fendan import Decision, Engine, FendanError, Order, Policy, Store, carrier
from fendan.aio import Client
from fendan.carrier import ORDERS_AT_ONCE
from fendan.channel import Failure, Retries
from fendan.errors import (
    BusyError,
    OrderConflictError,
    TimedOutError,
    UnauthenticatedError,
    UnavailableError,
    UnknownSkuError,
)
from fendan.v1.inventory_service_pb2 import Availability, WatchAvailabilityResponse
from fendan.v1.routing_service_pb2 import Refusal, StreamRouteRequest, StreamRouteResponse
from serving import serving

AT_ONCE = Retries(first_wait_s=0.0, jitter=lambda: 0.0)

# Far beyond what anything here takes: what hangs is to fail, not to wait.
PATIENCE_S = 30.0


def plenty() -> Engine:
    """So much of everything that it does not matter in which order the orders come."""
    engine = Engine()
    engine.add_stores(Store(id=f"S{n}", lat=31.2, lng=121.4 + n / 100) for n in range(20))
    engine.set_stock((f"S{n}", sku, 1_000_000) for n in range(20) for sku in ("tea", "milk"))
    return engine


def tea(name: str, quantity: int = 1, place: int = 0, sku: str = "tea") -> Order:
    return Order(id=name, lat=31.2, lng=121.4 + place / 1_000, lines=[(sku, quantity)])


def played(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene, which must not hang."""
    asyncio.run(asyncio.wait_for(scene, PATIENCE_S))


class Thing:
    """As good as an order, and it can be seen whether anyone still holds it."""

    lat, lng, lines, datum = 31.2, 121.4, (("tea", 1),), None

    def __init__(self, number: int) -> None:
        self.id = f"O{number}"


async def until(condition: Any) -> None:
    """Wait for something that another thread does."""
    while not condition():
        await asyncio.sleep(0.001)


async def outcomes(*calls: Any) -> list[Any]:
    """What each call returned, or the code and field of its error."""
    given = await asyncio.gather(*calls, return_exceptions=True)
    return [
        (outcome.code, outcome.field) if isinstance(outcome, FendanError) else outcome
        for outcome in given
    ]


# -- SHARING -----------------------------------------------------------------------------------


def test_concurrent_calls_are_answered_as_the_engine_would_and_share_messages() -> None:
    orders = [tea(f"O{n}", n % 3 + 1, n % 200) for n in range(2_000)]

    async def scene() -> None:
        with FakeService(plenty()) as service:
            async with Client(service.address) as client:
                decisions = await asyncio.gather(*map(client.route, orders))
            sizes = [len(message) for message in service.messages]
        assert decisions == plenty().route_batch(orders)
        assert sum(sizes) == len(orders)
        assert sizes == [ORDERS_AT_ONCE] * 3 + [len(orders) - 3 * ORDERS_AT_ONCE]

    played(scene())


def test_the_real_service_answers_as_the_engine_would() -> None:
    orders = [tea(f"O{n}", n % 3 + 1, n % 200) for n in range(2_000)]

    async def scene() -> None:
        with serving(plenty()) as served:
            async with Client(served.address) as client:
                assert await asyncio.gather(*map(client.route, orders)) == plenty().route_batch(
                    orders
                )

    played(scene())


def test_a_lone_call_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier, "COALESCE_WINDOW_S", 1e6)

    async def scene() -> None:
        with FakeService(plenty()) as service:
            async with Client(service.address) as client:
                for name in ("O1", "O2", "O3"):
                    await client.route(tea(name))
                assert [len(message) for message in service.messages] == [1, 1, 1]

    played(scene())


def test_while_a_message_is_under_way_orders_wait_for_others_until_there_are_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrier, "COALESCE_WINDOW_S", 1e6)

    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.open.clear()
            async with Client(service.address) as client:
                first = asyncio.ensure_future(client.route(tea("first")))
                await until(lambda: service.messages)
                some = [asyncio.ensure_future(client.route(tea(f"A{n}"))) for n in range(5)]
                await asyncio.sleep(0.01)
                assert len(service.messages) == 1
                many = [
                    asyncio.ensure_future(client.route(tea(f"B{n}"))) for n in range(ORDERS_AT_ONCE)
                ]
                service.open.set()
                await asyncio.gather(first, *some, *many)
                assert [len(message) for message in service.messages] == [1, ORDERS_AT_ONCE, 5]

    played(scene())


def test_orders_of_different_policies_do_not_share_a_message() -> None:
    near, far = Policy(radius_m=100.0), Policy(radius_m=1e6)

    async def scene() -> None:
        with FakeService(plenty()) as service:
            async with Client(service.address) as client:
                await asyncio.gather(
                    *(client.route(tea(f"N{n}"), policy=near) for n in range(3)),
                    *(client.route(tea(f"F{n}"), policy=far) for n in range(4)),
                    *(client.route(tea(f"O{n}")) for n in range(5)),
                )
            sent = {len(message): message.radius_m for message in service.messages}
            assert sent == {3: 100.0, 4: 1e6, 5: None}

    played(scene())


def test_dry_runs_of_strangers_do_not_see_each_other() -> None:
    async def scene() -> None:
        engine = Engine()
        engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
        engine.set_stock([("S1", "tea", 1)])
        with FakeService(engine) as service:
            async with Client(service.address) as client:
                decisions = await asyncio.gather(
                    *(client.route(tea(f"O{n}"), dry_run=True) for n in range(3))
                )
        assert [decision.store_id for decision in decisions] == ["S1"] * 3
        assert engine.available("S1", "tea") == 1

    played(scene())


# -- ONE BAD ORDER -----------------------------------------------------------------------------


def test_a_bad_order_among_good_ones_is_its_callers_alone() -> None:
    async def scene() -> None:
        with serving(plenty()) as served:
            async with Client(served.address) as client:
                await client.route(tea("known"))
                given = await outcomes(
                    client.route(tea("O1")),
                    client.route(tea("O2", sku="sand")),
                    client.route(tea("O3")),
                    client.route(tea("known", 2)),
                    client.route(tea("O4", 0)),
                    client.route("O5"),  # type: ignore[arg-type]
                    client.route(tea("O6"), policy=Policy(radius_m=-1.0)),
                    client.route(tea("O7"), policy="near"),  # type: ignore[arg-type]
                    client.route(tea("O9"), policy=Policy(radius_m=[])),  # type: ignore[arg-type]
                    client.route(tea("O8")),
                )
                with pytest.raises(UnknownSkuError) as caught:
                    await client.route(tea("O2", sku="sand"))
            assert (caught.value.row, caught.value.value) == (None, "sand")
            assert "order.lines[0].sku" in str(caught.value)
            assert [given[n].store_id for n in (0, 2, 9)] == ["S0"] * 3
            assert [given[n] for n in (1, 3, 4, 5, 6, 7, 8)] == [
                ("UNKNOWN_SKU", "order.lines[0].sku"),
                ("ORDER_CONFLICT", "order.id"),
                ("OUT_OF_RANGE", "order.lines[0].quantity"),
                ("WRONG_TYPE", "order.id"),
                ("OUT_OF_RANGE", "policy.radius_m"),
                ("WRONG_TYPE", "policy"),
                ("WRONG_TYPE", "policy.radius_m"),
            ]

    played(scene())


def test_every_bad_order_of_many_is_found() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            async with Client(service.address) as client:
                given = await outcomes(
                    *(
                        client.route(tea(f"O{n}", sku="milk" if n % 3 else "sand"))
                        for n in range(99)
                    )
                )
            is_good = [isinstance(outcome, Decision) for outcome in given]
            assert is_good == [n % 3 != 0 for n in range(99)]
            assert service.engine.available("S0", "milk") == 1_000_000 - 66

    played(scene())


def test_an_order_of_the_same_id_and_other_content_at_the_same_time_is_refused() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            async with Client(service.address) as client:
                first, second, other = await asyncio.gather(
                    client.route(tea("O1")),
                    client.route(tea("O1")),
                    client.route(tea("O1", 2)),
                    return_exceptions=True,
                )
        assert first == second
        assert isinstance(other, OrderConflictError)

    played(scene())


def test_an_order_too_large_to_share_goes_by_itself() -> None:
    skus = [f"{n}{'x' * 200}" for n in range(9_000)]
    engine = plenty()
    engine.set_stock(("S3", sku, 1) for sku in skus)
    large = Order(id="large", lat=31.2, lng=121.4, lines=[(sku, 1) for sku in skus])

    async def scene() -> None:
        with FakeService(engine) as service:
            async with Client(service.address) as client:
                small, alone = await asyncio.gather(client.route(tea("O1")), client.route(large))
            assert (small.store_id, alone.store_id) == ("S0", "S3")
            assert [method for method, _ in service.requests].count("Route") == 1

    played(scene())


# -- TROUBLE -----------------------------------------------------------------------------------


def test_a_service_that_dies_and_comes_back_answers_what_it_was_asked_before() -> None:
    orders = [tea(f"O{n}", place=n) for n in range(100)]

    async def scene() -> None:
        engine = plenty()
        with FakeService(engine) as first:
            async with Client(first.address) as client:
                await client.route(tea("before"))
                first.open.clear()
                calls = [asyncio.ensure_future(client.route(order)) for order in orders]
                await until(lambda: len(first.messages) > 1)
                await asyncio.to_thread(first.stop)
                with FakeService(engine, port=first.port) as second:
                    decisions = await asyncio.gather(*calls)
                    assert len(second.messages) >= 1
        assert decisions == plenty().route_batch(orders)

    played(scene())


def test_a_service_that_dies_again_and_again_loses_no_order_and_reserves_none_twice() -> None:
    orders = [tea(f"O{n}", place=n % 200) for n in range(6_000)]

    async def scene() -> None:
        engine = plenty()
        service = FakeService(engine)
        async with Client(service.address, retries=Retries(most=1_000)) as client:
            with service:
                calls = asyncio.gather(*map(client.route, orders))
                await until(lambda: len(service.messages) > 1)
            for _ in range(3):
                with FakeService(engine, port=service.port) as again:
                    await until(lambda again=again: calls.done() or len(again.messages) > 1)
            with FakeService(engine, port=service.port):
                assert await calls == plenty().route_batch(orders)
        left = sum(engine.available(f"S{n}", "tea") for n in range(20))
        assert left == 20 * 1_000_000 - len(orders)

    played(scene())


def test_a_connection_that_breaks_in_the_middle_of_a_write_is_unavailable() -> None:
    nothing = grpc.aio.Metadata()
    problem = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, nothing, nothing, "Internal error from Core"
    )
    assert Failure.of(problem).error.code == "UNAVAILABLE"


def test_where_nobody_comes_back_every_caller_is_told() -> None:
    async def scene() -> None:
        retries = Retries(most=2, first_wait_s=0.0)
        async with Client("127.0.0.1:1", retries=retries) as client:
            given = await asyncio.gather(
                *(client.route(tea(f"O{n}")) for n in range(3)), return_exceptions=True
            )
            assert [type(error) for error in given] == [UnavailableError] * 3
            assert len({id(error) for error in given}) == 3

    played(scene())


def test_a_stream_that_is_refused_is_not_tried_again() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.on_stream = aborting(grpc.StatusCode.UNAUTHENTICATED)
            async with Client(service.address, retries=AT_ONCE) as client:
                with pytest.raises(UnauthenticatedError):
                    await client.route(tea("O1"))
                assert len(service.metadata) == 1
                service.on_stream = None
                assert (await client.route(tea("O1"))).store_id == "S0"

    played(scene())


def busy(data: bytes) -> bytes:
    """A message refused because there is too much to do."""
    correlation_id = StreamRouteRequest.FromString(data).correlation_id
    refusal = Refusal(status=8, message="busy", code="BUSY", retry_after_ms=1)
    return StreamRouteResponse(correlation_id=correlation_id, refusal=refusal).SerializeToString()


def test_a_message_that_comes_at_a_bad_time_is_sent_again() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.on_message = lambda data: busy(data) if len(service.messages) < 3 else None
            async with Client(service.address, retries=AT_ONCE) as client:
                assert (await client.route(tea("O1"))).store_id == "S0"
                assert len(service.messages) == 3

    played(scene())


def test_a_message_that_always_comes_at_a_bad_time_is_given_up() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.on_message = busy
            retries = Retries(most=2, first_wait_s=0.0)
            async with Client(service.address, retries=retries) as client:
                with pytest.raises(BusyError):
                    await client.route(tea("O1"))
                assert len(service.messages) == 3

    played(scene())


@pytest.mark.parametrize(
    "answer",
    [b"\xff", b"", StreamRouteResponse(correlation_id=77).SerializeToString()],
    ids=["no message", "to nothing", "to another"],
)
def test_an_answer_that_makes_no_sense_is_an_error_of_the_callers(answer: bytes) -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.on_message = lambda data: answer
            async with Client(service.address) as client:
                with pytest.raises(FendanError) as caught:
                    await client.route(tea("O1"))
                assert caught.value.code in ("INTERNAL", "BAD_MESSAGE")
                service.on_message = lambda data: None
                assert (await client.route(tea("O1"))).store_id == "S0"

    played(scene())


# -- CALLERS WHO LEAVE -------------------------------------------------------------------------


def test_each_caller_waits_as_long_as_it_wants_to() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.open.clear()
            async with Client(service.address) as client:
                patient = asyncio.ensure_future(client.route(tea("O1")))
                with pytest.raises(TimedOutError):
                    await client.route(tea("O2"), timeout_s=0.05)
                assert not patient.done()
                service.open.set()
                assert (await patient).store_id == "S0"

    played(scene())


def test_where_nobody_is_there_callers_wait_no_longer_than_they_want_to() -> None:
    async def scene() -> None:
        async with Client("127.0.0.1:1", retries=Retries(most=1_000_000)) as client:
            with pytest.raises(TimedOutError):
                await client.route(tea("O1"), timeout_s=0.05)

    played(scene())


def test_orders_that_a_stuck_service_does_not_take_are_forgotten_with_their_callers() -> None:
    async def scene() -> None:
        async with Client("127.0.0.1:1", retries=Retries(most=1_000_000)) as client:
            kept = weakref.WeakSet[Thing]()
            for _ in range(3):
                orders = [Thing(n) for n in range(10)]
                kept.update(orders)
                calls = [client.route(order, timeout_s=0.02) for order in orders]  # type: ignore[arg-type]
                given = await asyncio.gather(*calls, return_exceptions=True)
                assert [type(error) for error in given] == [TimedOutError] * 10
            del orders, calls, given
            await until(lambda: not kept)

    played(scene())


def test_the_order_of_a_caller_who_left_is_not_sent() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.open.clear()
            async with Client(service.address) as client:
                first = asyncio.ensure_future(client.route(tea("O1")))
                await until(lambda: service.messages)
                left, stayed = (asyncio.ensure_future(client.route(tea(n))) for n in ("O2", "O3"))
                await asyncio.sleep(0)
                left.cancel()
                service.open.set()
                await asyncio.gather(first, stayed)
                assert left.cancelled()
            with pytest.raises(FendanError):
                service.engine.decision("O2")

    played(scene())


def test_closing_the_client_tells_whoever_waits() -> None:
    async def scene() -> None:
        with FakeService(plenty()) as service:
            service.open.clear()
            service.answers["GetDecision"] = [service.never]
            client = Client(service.address)
            waiting = [
                asyncio.ensure_future(client.route(tea("O1"))),
                asyncio.ensure_future(client.decision("O1")),
            ]
            await until(lambda: len(service.requests) == 2)
            await client.close()
            given = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(error) for error in given] == [UnavailableError] * 2
            for call in (client.route(tea("O2")), client.decision("O1")):
                with pytest.raises(UnavailableError, match="closed"):
                    await call
            await client.close()

    played(scene())


def test_a_caller_who_is_cancelled_is_cancelled() -> None:
    async def scene() -> None:
        with FakeService() as service:
            service.answers["GetDecision"] = [service.never]
            async with Client(service.address) as client:
                call = asyncio.ensure_future(client.decision("O1"))
                await until(lambda: service.requests)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

    played(scene())


# -- WATCHING ----------------------------------------------------------------------------------


def test_a_broken_watch_goes_on_from_its_last_cursor() -> None:
    def told(sellable: int, cursor: str) -> WatchAvailabilityResponse:
        changes = [Availability(store_id="S1", sku="tea", sellable=sellable)]
        return WatchAvailabilityResponse(changes=changes, cursor=cursor)

    async def scene() -> None:
        with FakeService() as service:
            broken = partial(service.telling, then=aborting(grpc.StatusCode.UNAVAILABLE))
            service.answers["WatchAvailability"] = [
                broken(told(5, "")),
                broken(told(5, ""), told(4, "c1")),
                service.telling(told(3, "c2")),
            ]
            seen: list[tuple[int, str, bool]] = []
            async with Client(service.address, retries=AT_ONCE) as client:
                async for message in client.watch():
                    [pair] = message.changes
                    seen.append((pair.sellable, message.cursor, message.reset))
                    if message.cursor == "c2":
                        break
        assert seen == [(5, "", False), (5, "", True), (4, "c1", False), (3, "c2", False)]

    played(scene())
