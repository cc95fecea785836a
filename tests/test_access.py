"""A call reaches its handler only with a known token of a scope that the method's row names."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from fendan.details import error_of
from fendan.errors import (
    Fault,
    FendanError,
    NotAllowedError,
    UnauthenticatedError,
    UnimplementedError,
    UnknownStoreError,
    refuse,
)
from fendan.server import access
from fendan.server.access import METHODS, AccessInterceptor, Caller, Scope, caller
from fendan.server.callers import LOCAL
from fendan.server.tokens import Token, Tokens
from fendan.v1 import (
    exception_service_pb2,
    intake_service_pb2,
    inventory_service_pb2,
    ledger_service_pb2,
    network_service_pb2,
    order_service_pb2,
    policy_service_pb2,
    routing_service_pb2,
    setup_service_pb2,
)

FILES: list[FileDescriptor] = [
    module.DESCRIPTOR
    for module in (
        exception_service_pb2,
        intake_service_pb2,
        inventory_service_pb2,
        ledger_service_pb2,
        network_service_pb2,
        order_service_pb2,
        policy_service_pb2,
        routing_service_pb2,
        setup_service_pb2,
    )
]

BOUND_TO = {Scope.STORE: "S1", Scope.REGION: "east"}

# One method of each kind of call; gRPC does not mind which of its kinds a handler has.
ONE_ONE = "/fendan.v1.RoutingService/Route"
ONE_MANY = "/fendan.v1.InventoryService/WatchAvailability"
MANY_ONE = "/fendan.v1.RoutingService/BatchRoute"
MANY_MANY = "/fendan.v1.RoutingService/StreamRoute"
NOT_IN_TABLE = "/fendan.v1.RoutingService/Guess"
HEADQUARTERS_ONLY = "/fendan.v1.NetworkService/RemoveStores"

ACCEPTED = (("accepted", "yes"),)

# More than one window of flow control: the server has not read it when it says no.
LARGE_REQUEST = b"x" * 3_000_000


def name_of(scope: Scope) -> str:
    return f"the {scope.value} token"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TOKENS = Tokens(
    [
        Token(
            name=scope.value,
            scope=scope,
            of=BOUND_TO.get(scope, ""),
            sha256=sha256(f"token-of-{scope.value}"),
        )
        for scope in Scope
    ]
)


def bearer(scope: Scope) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-of-{scope.value}"),)


# -- THE TABLE ---------------------------------------------------------------------------------


def methods_of_the_contract() -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_the_table_has_every_method_of_the_contract_and_no_other() -> None:
    assert set(METHODS) == methods_of_the_contract()


def test_headquarters_may_call_everything() -> None:
    assert all(Scope.HEADQUARTERS in scopes for scopes in METHODS.values())


def test_a_region_may_do_all_that_its_stores_may() -> None:
    assert all(Scope.REGION in scopes for scopes in METHODS.values() if Scope.STORE in scopes)


def test_settlement_only_reads_orders_decisions_and_the_ledger() -> None:
    reads = {method for method, scopes in METHODS.items() if Scope.SETTLEMENT in scopes}
    orders, ledger = "/fendan.v1.OrderService", "/fendan.v1.LedgerService"
    assert reads == {
        f"{orders}/GetOrder",
        f"{orders}/GetDecision",
        "/fendan.v1.RoutingService/Explain",
        f"{ledger}/ReadEvents",
        f"{ledger}/Tail",
    }


def test_ingest_asks_after_orders_cancels_and_returns_them_and_takes_no_step_for_a_store() -> None:
    service = "/fendan.v1.OrderService/"
    calls = {method for method, scopes in METHODS.items() if Scope.INGEST in scopes}
    assert {method.removeprefix(service) for method in calls if method.startswith(service)} == {
        "GetOrder",
        "GetDecision",
        "ReturnOrder",
        "CancelOrder",
        "ReleaseOrders",
    }


def test_ingest_brings_orders_in_and_leaves_the_network_and_its_stock_alone() -> None:
    calls = {method for method, scopes in METHODS.items() if Scope.INGEST in scopes}
    assert not any("NetworkService" in method for method in calls)
    assert not any(method.endswith(("SetStock", "AdjustStock")) for method in calls)
    assert {ONE_ONE, MANY_MANY} <= calls


def test_stores_and_regions_route_no_orders() -> None:
    for method in (ONE_ONE, MANY_ONE, MANY_MANY):
        assert not METHODS[method] & {Scope.STORE, Scope.REGION}


# -- STORES AND REGIONS ------------------------------------------------------------------------


def region_of(store_id: str) -> str:
    regions = {"S1": "east", "S2": "east", "S3": "west", "S4": ""}
    if store_id not in regions:
        refuse(Fault.UNKNOWN_STORE, "store_id", store_id)
    return regions[store_id]


def who(scope: Scope) -> Caller:
    return Caller(name=name_of(scope), scope=scope, of=BOUND_TO.get(scope, ""))


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        (Scope.STORE, {"S1"}),
        (Scope.REGION, {"S1", "S2"}),
        (Scope.HEADQUARTERS, {"S1", "S2", "S3", "S4"}),
        (Scope.INGEST, {"S1", "S2", "S3", "S4"}),
        (Scope.SETTLEMENT, {"S1", "S2", "S3", "S4"}),
    ],
)
def test_a_caller_reaches_the_stores_of_its_scope(scope: Scope, allowed: set[str]) -> None:
    for store_id in ("S1", "S2", "S3", "S4"):
        if store_id in allowed:
            who(scope).check_store(store_id, region_of)
        else:
            with pytest.raises(NotAllowedError):
                who(scope).check_store(store_id, region_of)


def test_a_store_outside_the_scope_is_named_with_its_field_and_the_token() -> None:
    with pytest.raises(NotAllowedError) as caught:
        who(Scope.STORE).check_store("S2", region_of, field="snapshots[4].store_id")
    assert (caught.value.field, caught.value.value) == ("snapshots[4].store_id", "S2")
    assert "the store token" in str(caught.value)


@pytest.mark.parametrize("scope", BOUND_TO)
def test_an_order_without_a_store_is_for_headquarters(scope: Scope) -> None:
    with pytest.raises(NotAllowedError):
        who(scope).check_store("", region_of)
    who(Scope.HEADQUARTERS).check_store("", region_of)


def test_a_store_token_is_told_nothing_about_which_other_stores_there_are() -> None:
    for store_id in ("S2", "no such store"):
        with pytest.raises(NotAllowedError):
            who(Scope.STORE).check_store(store_id, region_of)
    with pytest.raises(UnknownStoreError):
        who(Scope.REGION).check_store("no such store", region_of)


def test_a_region_token_acts_for_its_own_region_only() -> None:
    who(Scope.REGION).check_region("east")
    for region in ("west", ""):
        with pytest.raises(NotAllowedError):
            who(Scope.REGION).check_region(region)
    with pytest.raises(NotAllowedError):
        who(Scope.STORE).check_region("S1")
    who(Scope.HEADQUARTERS).check_region("")


# -- A REAL SERVER -----------------------------------------------------------------------------


class Desk:
    """Handlers of raw bytes that answer with the name of their caller, and count the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def name(self) -> bytes:
        self.calls += 1
        return caller().name.encode()

    async def one_one(self, request: bytes, _context: object) -> bytes:
        await asyncio.sleep(0)  # others get their turn
        return self.name() + b" " + request[:10]

    async def one_many(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield self.name() + b" " + request[:10]

    async def many_one(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        await context.send_initial_metadata(ACCEPTED)
        heard = [request async for request in requests]
        return self.name() + b" " + b"".join(heard)[:10]

    async def many_many(self, requests: AsyncIterator[bytes], context: Any) -> None:
        await context.send_initial_metadata(ACCEPTED)
        async for request in requests:
            await context.write(self.name() + b" " + request[:10])

    def add_to(self, server: grpc.aio.Server) -> None:
        handlers = {
            ONE_ONE: grpc.unary_unary_rpc_method_handler(self.one_one),
            ONE_MANY: grpc.unary_stream_rpc_method_handler(self.one_many),
            MANY_ONE: grpc.stream_unary_rpc_method_handler(self.many_one),
            MANY_MANY: grpc.stream_stream_rpc_method_handler(self.many_many),
            NOT_IN_TABLE: grpc.unary_unary_rpc_method_handler(self.one_one),
            HEADQUARTERS_ONLY: grpc.unary_unary_rpc_method_handler(self.one_one),
        }
        for path, handler in handlers.items():
            service, _, method = path.strip("/").partition("/")
            generic = grpc.method_handlers_generic_handler(service, {method: handler})
            server.add_generic_rpc_handlers((generic,))


@asynccontextmanager
async def serving(tokens: Tokens | None, desk: Desk) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=[AccessInterceptor(tokens)])
    desk.add_to(server)
    servicer = health.aio.HealthServicer()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(["fendan.v1.RoutingService"], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


Metadata = tuple[tuple[str, str | bytes], ...]
Call = Callable[[grpc.aio.Channel, Metadata], Awaitable[list[bytes]]]


async def call_one_one(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
    return [await channel.unary_unary(ONE_ONE)(b"hello", metadata=metadata)]


async def call_one_many(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
    return [part async for part in channel.unary_stream(ONE_MANY)(b"hello", metadata=metadata)]


async def call_many_one(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
    call = channel.stream_unary(MANY_ONE)(metadata=metadata)
    if await was_accepted(call):
        await call.write(b"hel")
        await call.write(b"lo")
        await call.done_writing()
    return [await call]


async def call_many_many(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
    call = channel.stream_stream(MANY_MANY)(metadata=metadata)
    if await was_accepted(call):
        await call.write(b"hello")
        await call.write(b"hello")
        await call.done_writing()
    return [part async for part in call]


async def was_accepted(call: Any) -> bool:
    """Wait for the first word: grpc.aio loses the status of a call that ends during a write."""
    if await call.initial_metadata():
        return True
    await call.code()
    return False


CALLS: list[Call] = [call_one_one, call_one_many, call_many_one, call_many_many]


def answers(call: Call, metadata: Metadata, tokens: Tokens | None = TOKENS) -> list[bytes]:
    async def run() -> list[bytes]:
        async with serving(tokens, Desk()) as channel:
            return await call(channel, metadata)

    return asyncio.run(run())


def refused(call: Call, metadata: Metadata, tokens: Tokens | None = TOKENS) -> FendanError:
    """The error of a call that must not reach its handler."""

    async def run() -> FendanError:
        desk = Desk()
        async with serving(tokens, desk) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                await call(channel, metadata)
        assert desk.calls == 0
        return error_of(caught.value)

    return asyncio.run(run())


@pytest.mark.parametrize("call", CALLS)
def test_the_handler_of_every_kind_of_call_knows_who_calls(call: Call) -> None:
    assert set(answers(call, bearer(Scope.HEADQUARTERS))) == {b"headquarters hello"}


@pytest.mark.parametrize("call", CALLS)
def test_no_kind_of_call_goes_through_without_a_token(call: Call) -> None:
    error = refused(call, ())
    assert type(error) is UnauthenticatedError
    assert (error.field, error.value) == ("authorization", "(none)")


@pytest.mark.parametrize("call", CALLS)
def test_no_kind_of_call_goes_through_with_a_scope_that_does_not_reach(call: Call) -> None:
    error = refused(call, bearer(Scope.SETTLEMENT))
    assert type(error) is NotAllowedError
    assert error.field == "method"
    assert error.value in METHODS
    assert "settlement" in str(error)


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer not-a-token"),),
        (("authorization", "Bearer " + "x" * 4_000),),
        (("authorization", "Bearer token-of-headquarter"),),
        (("authorization", "Bearer Token-of-headquarters"),),
        (("authorization", "Bearer " + sha256("token-of-headquarters")),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer  token-of-headquarters"),),
        (("authorization", "token-of-headquarters"),),
        (("authorization", "Basic token-of-headquarters"),),
        (("authorization", "Bearer token-of-headquarters, Bearer token-of-store"),),
        (("authorization", ""),),
        (("authorization-bin", b"Bearer token-of-headquarters"),),
        (("x-authorization", "Bearer token-of-headquarters"),),
        (*bearer(Scope.HEADQUARTERS), *bearer(Scope.STORE)),
        (*bearer(Scope.HEADQUARTERS), *bearer(Scope.HEADQUARTERS)),
    ],
)
def test_anything_but_one_known_token_is_refused_and_not_repeated(metadata: Metadata) -> None:
    error = refused(call_one_one, metadata)
    assert type(error) is UnauthenticatedError
    assert error.field == "authorization"
    for hidden in ("token-of", "not-a-token", "xxx", sha256("token-of-headquarters")):
        assert hidden not in str(error)
        assert hidden not in str(error.value)


def test_the_word_bearer_may_be_written_in_any_case() -> None:
    metadata = (("authorization", "bearer token-of-ingest"),)
    assert answers(call_one_one, metadata) == [b"ingest hello"]


def test_callers_at_the_same_time_are_not_taken_for_each_other() -> None:
    async def run() -> None:
        scopes = [Scope.HEADQUARTERS, Scope.INGEST] * 25
        async with serving(TOKENS, Desk()) as channel:
            calls = [call(channel, bearer(scope)) for scope in scopes for call in CALLS]
            names = [set(answer) for answer in await asyncio.gather(*calls)]
        expected = [{f"{scope.value} hello".encode()} for scope in scopes for _ in CALLS]
        assert names == expected

    asyncio.run(run())


def test_a_method_that_is_missing_from_the_table_is_refused_to_everyone() -> None:
    async def explain(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        return [await channel.unary_unary(NOT_IN_TABLE)(b"hello", metadata=metadata)]

    for scope in Scope:
        error = refused(explain, bearer(scope))
        assert type(error) is NotAllowedError
        assert error.value == NOT_IN_TABLE
    assert type(refused(explain, (), tokens=None)) is NotAllowedError


def test_a_method_that_was_taken_off_the_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {method: scopes for method, scopes in METHODS.items() if method != ONE_ONE}
    monkeypatch.setattr(access, "METHODS", rest)
    assert type(refused(call_one_one, bearer(Scope.HEADQUARTERS))) is NotAllowedError


def test_a_method_that_nobody_serves_is_unimplemented_but_only_for_those_with_a_token() -> None:
    async def unserved(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        return [await channel.unary_unary("/fendan.v1.Other/Do")(b"", metadata=metadata)]

    assert type(refused(unserved, bearer(Scope.STORE))) is UnimplementedError
    assert type(refused(unserved, ())) is UnauthenticatedError


def test_a_large_request_is_refused_before_it_is_read() -> None:
    async def large(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        return [await channel.unary_unary(ONE_ONE)(LARGE_REQUEST, metadata=metadata)]

    assert type(refused(large, ())) is UnauthenticatedError


def test_a_stream_without_a_token_ends_though_its_client_sends_nothing() -> None:
    async def silent(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        call = channel.stream_stream(MANY_MANY)(metadata=metadata, timeout=20)
        return [await call.read()]

    assert type(refused(silent, ())) is UnauthenticatedError


def test_without_tokens_every_caller_is_headquarters_on_this_machine() -> None:
    for call in CALLS:
        assert set(answers(call, (), tokens=None)) == {b"local hello"}
    assert LOCAL.scope is Scope.HEADQUARTERS


def test_every_scope_goes_where_the_table_says_and_nowhere_else() -> None:
    async def remove(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        return [await channel.unary_unary(HEADQUARTERS_ONLY)(b"hello", metadata=metadata)]

    for scope in Scope:
        if scope is Scope.HEADQUARTERS:
            assert answers(remove, bearer(scope)) == [b"headquarters hello"]
        else:
            assert type(refused(remove, bearer(scope))) is NotAllowedError


def test_health_is_told_to_those_without_a_token() -> None:
    async def check(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        checked = await stub.Check(request, metadata=metadata)
        async for seen in stub.Watch(request, metadata=metadata):
            return [bytes([checked.status]), bytes([seen.status])]
        return []

    serving_status = bytes([health_pb2.HealthCheckResponse.SERVING])
    assert answers(check, ()) == [serving_status, serving_status]


async def services(channel: grpc.aio.Channel, metadata: Metadata) -> list[bytes]:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    call = stub.ServerReflectionInfo(iter([request]), metadata=metadata)
    return [
        service.name.encode()
        async for response in call
        for service in response.list_services_response.service
    ]


def test_reflection_is_for_those_with_any_token() -> None:
    assert type(refused(services, ())) is UnauthenticatedError
    for scope in Scope:
        assert b"fendan.v1.RoutingService" in answers(services, bearer(scope))


def test_code_that_nobody_called_has_no_caller() -> None:
    with pytest.raises(UnauthenticatedError):
        caller()
