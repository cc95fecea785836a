"""The engine at the other end of a wire, for asyncio: `fendan.aio.Client`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from fendan import calls, explain_calls, stock_calls
from fendan.carrier import Carrier
from fendan.channel import (
    TIMEOUT_S,
    Address,
    Call,
    Exchange,
    Failure,
    Following,
    Retries,
    RpcError,
    Tls,
    checked_s,
    service_error,
)
from fendan.columns import Column
from fendan.engine.geo import Datum
from fendan.engine.outcome import Decision
from fendan.errors import Fault, FendanError
from fendan.exception_client import AioExceptionClient
from fendan.explain import USUAL_EXCLUDED
from fendan.explanation import Explanation
from fendan.intake_client import AioIntakeClient
from fendan.ledger_client import AioLedgerClient
from fendan.model import (
    AvailabilityChanges,
    Line,
    Nearby,
    Order,
    Policy,
    Shortfall,
    StockLevel,
    StockUpdate,
    Store,
    StoreStatus,
)
from fendan.order_client import AioOrderClient
from fendan.policy_client import AioPolicyClient
from fendan.priority import IN_ORDER
from fendan.setup_client import AioSetupClient

__all__ = ["Client", "Retries", "Tls"]

T = TypeVar("T")


class Client(
    AioOrderClient,
    AioLedgerClient,
    AioPolicyClient,
    AioSetupClient,
    AioExceptionClient,
    AioIntakeClient,
):
    """A Fendan service, used as if it were a `fendan.Engine` in this process.

    Methods, results and errors are the engine's; on top come the ServiceErrors, such as BusyError,
    UnavailableError and TimedOutError. Calls that failed in a way that may pass are made again, as
    `retries` says, where that is safe: orders are known by their ids, stock updates by a key. A
    client belongs to the event loop in which it is first used.

    `target`: where the service is, such as "127.0.0.1:50051". `token`: the bearer token, if the
    service asks for one; without TLS it is sent to this machine only, unless
    `token_over_plaintext`. `tls`: see `Tls`; None means plaintext. `timeout_s`: how many seconds a
    call may take, retries included, unless it brings its own.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        tls: Tls | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries | None = None,
        token_over_plaintext: bool = False,
    ) -> None:
        self._address = Address.of(
            target, token=token, tls=tls, token_over_plaintext=token_over_plaintext
        )
        self._timeout_s = checked_s(timeout_s)
        self._retries = Retries() if retries is None else retries
        self._channel: Any = None
        self._carrier: Carrier | None = None
        self._methods: dict[str, Callable[..., Any]] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return f"Client({self._address.target!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls under way fail with UnavailableError."""
        self._is_closed = True
        if self._carrier is not None:
            await self._carrier.close()
            self._carrier = None
        if self._channel is not None:
            await self._channel.close()

    # -- COMMANDS ------------------------------------------------------------------------------

    async def route(
        self,
        order: Order,
        *,
        policy: Policy | None = None,
        dry_run: bool = False,
        timeout_s: float | None = None,
    ) -> Decision:
        """Assign one order to the nearest store that has every line, and reserve it there.

        Calls that are under way at the same time share messages: an order waits for others for at
        most 2 ms, and not at all while nothing is under way. An error of one order is its caller's
        alone.
        """
        seconds = self._timeout_s if timeout_s is None else checked_s(timeout_s)
        carrier = self._carrier or self._new_carrier()
        return await carrier.ask(order, policy, dry_run, seconds)

    async def route_batch(
        self,
        orders: Iterable[Order],
        *,
        policy: Policy | None = None,
        dry_run: bool = False,
        allocate: str = IN_ORDER,
        timeout_s: float | None = None,
    ) -> list[Decision]:
        """Route up to 100,000 orders as if one after another; a bad order refuses all of them.

        With `allocate` "priority" those of higher priority first.
        """
        return await self._do(calls.route_batch(orders, policy, dry_run, allocate), timeout_s)

    @overload
    async def set_stock(
        self,
        rows: Iterable[tuple[str, str, int]],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate: ...
    @overload
    async def set_stock(
        self,
        *,
        stores: Column,
        skus: Column,
        quantities: Column,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate: ...
    async def set_stock(
        self,
        rows: Iterable[tuple[str, str, int]] | None = None,
        *,
        stores: Column = None,
        skus: Column = None,
        quantities: Column = None,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate:
        """Set absolute counts, as `Engine.set_stock` does; by ids, not by codes.

        At most 100,000 rows. Without a `key` the call gets one of its own for its retries.
        """
        exchange = stock_calls.set_stock(rows, stores, skus, quantities, versions, key)
        return await self._do(exchange, timeout_s)

    @overload
    async def adjust_stock(
        self,
        rows: Iterable[tuple[str, str, int]],
        *,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate: ...
    @overload
    async def adjust_stock(
        self,
        *,
        stores: Column,
        skus: Column,
        deltas: Column,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate: ...
    async def adjust_stock(
        self,
        rows: Iterable[tuple[str, str, int]] | None = None,
        *,
        stores: Column = None,
        skus: Column = None,
        deltas: Column = None,
        versions: Mapping[str, int] | None = None,
        key: str | None = None,
        timeout_s: float | None = None,
    ) -> StockUpdate:
        """Add to counts, or take away, as `Engine.adjust_stock` does; by ids, not by codes.

        At most 100,000 rows. Without a `key` the call gets one of its own for its retries.
        """
        exchange = stock_calls.adjust_stock(rows, stores, skus, deltas, versions, key)
        return await self._do(exchange, timeout_s)

    async def add_stores(self, stores: Iterable[Store], *, timeout_s: float | None = None) -> None:
        """Add stores. Made again only where the service says that it has done nothing."""
        await self._do(calls.add_stores(stores), timeout_s)

    async def update_stores(
        self, stores: Iterable[Store], *, timeout_s: float | None = None
    ) -> None:
        """Change the place or region of known stores."""
        await self._do(calls.update_stores(stores), timeout_s)

    async def pause_stores(
        self, store_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> None:
        """Give stores no more orders."""
        await self._do(calls.pause_stores(store_ids), timeout_s)

    async def resume_stores(
        self, store_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> None:
        """Give stores orders again."""
        await self._do(calls.resume_stores(store_ids), timeout_s)

    async def remove_stores(
        self, store_ids: Iterable[str], *, timeout_s: float | None = None
    ) -> list[Shortfall]:
        """Close stores for good. Made again only where the service says it has done nothing."""
        return await self._do(calls.remove_stores(store_ids), timeout_s)

    # -- QUERIES -------------------------------------------------------------------------------

    async def nearest(
        self,
        lat: float,
        lng: float,
        *,
        lines: Sequence[Line] = (),
        limit: int = 5,
        policy: Policy | None = None,
        datum: Datum | None = None,
        timeout_s: float | None = None,
    ) -> list[Nearby]:
        """The nearest stores that have every line, nearest first, 1,000 at most."""
        exchange = calls.nearest(lat, lng, lines, limit, policy, datum)
        return await self._do(exchange, timeout_s)

    async def explain(
        self,
        order_or_id: Order | str,
        *,
        limit: int = USUAL_EXCLUDED,
        attempt: int = 1,
        timeout_s: float | None = None,
    ) -> Explanation:
        """Why an order would go where it would go now; or, of a known id, why it went where it did.

        Of a known order it may take as long as a recovery of the service: give it the time.
        """
        return await self._do(explain_calls.explain(order_or_id, limit, attempt), timeout_s)

    async def stores(self, *, timeout_s: float | None = None) -> list[StoreStatus]:
        """All stores, in the order in which they were added."""
        return await self._do(calls.stores(), timeout_s)

    async def stock(
        self,
        store_id: str,
        skus: Iterable[str] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> list[StockLevel]:
        """What a store has of these SKUs, or of all that it lists.

        More than 10,000 come in pages, between which counts may change.
        """
        return await self._do(stock_calls.stock(store_id, skus), timeout_s)

    async def stock_version(self, store_id: str, *, timeout_s: float | None = None) -> int:
        """The last version of stock that was applied to a store; 0 where none was."""
        return await self._do(stock_calls.stock_version(store_id), timeout_s)

    async def available(self, store_id: str, sku: str, *, timeout_s: float | None = None) -> int:
        """How many of a SKU a store can still sell."""
        return await self._do(stock_calls.available(store_id, sku), timeout_s)

    def watch(
        self,
        *,
        channel: str = "",
        store_ids: Iterable[str] | None = None,
        skus: Iterable[str] | None = None,
        cursor: str = "",
        changes_only: bool = False,
    ) -> AsyncIterator[AvailabilityChanges]:
        """What a channel can sell, and then each change of it, without end.

        First comes the full state, unless there is a `cursor` to go on from, or `changes_only`.
        After a broken connection it goes on from the last cursor by itself; where changes have
        `reset`, forget what you know, 0 for every pair: the full state begins anew.
        """
        return self._follow(calls.Watch(channel, store_ids, skus, cursor, changes_only))

    # -- INSIDE --------------------------------------------------------------------------------

    async def _do(self, exchange: Exchange[T], timeout_s: float | None) -> T:
        """Carry out one method: make the calls it yields, all within one deadline."""
        seconds = self._timeout_s if timeout_s is None else checked_s(timeout_s)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            call = next(exchange)
            while True:
                try:
                    answer = await self._answer(call, deadline)
                except FendanError as error:
                    call = exchange.throw(error)
                else:
                    call = exchange.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _answer(self, call: Call, deadline: float) -> Any:
        """Make one call, again and again while that may help."""
        clock = asyncio.get_running_loop().time
        tries = 0
        while True:
            try:
                data = await self._method(call.method)(
                    call.request, timeout=deadline - clock(), metadata=self._address.metadata
                )
                return call.read(data)
            except RpcError as problem:
                failure = Failure.of(problem)
            except asyncio.CancelledError:
                self._check_open()  # by whoever closes the client, not by the caller
                raise
            wait_s = self._retries.wait_s(failure, tries)
            is_last = tries >= self._retries.most or wait_s >= deadline - clock()
            if is_last or not failure.may_pass(call.repeatable):
                raise failure.error
            await asyncio.sleep(wait_s)
            tries += 1

    def _method(self, name: str) -> Callable[..., Any]:
        """What sends the bytes of a request and returns those of the answer."""
        channel = self._opened()
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = channel.unary_unary(name)
        return method

    def _check_open(self) -> None:
        if self._is_closed:
            raise service_error(Fault.UNAVAILABLE, "the client is closed")

    def _opened(self) -> Any:
        """The channel, which belongs to the loop that runs when it is made."""
        self._check_open()
        if self._channel is None:
            self._channel = self._address.aio_channel()
        return self._channel

    def _new_carrier(self) -> Carrier:
        channel = self._opened()
        stream = channel.stream_stream(f"{calls.ROUTING}/StreamRoute")
        self._carrier = Carrier(
            open_stream=lambda: stream(metadata=self._address.metadata),
            route_alone=self._route_alone,
            retries=self._retries,
        )
        return self._carrier

    async def _route_alone(
        self, order: Order, policy: Policy | None, dry_run: bool, timeout_s: float
    ) -> Decision:
        return await self._do(calls.route(order, policy, dry_run), timeout_s)

    async def _follow(self, stream: Following[T]) -> AsyncIterator[T]:
        tries = 0
        while True:
            call = self._opened().unary_stream(stream.method)(
                stream.request(), metadata=self._address.metadata
            )
            try:
                async for data in call:
                    yield stream.heard(data)
                    tries = 0
                failure = Failure(service_error(Fault.UNAVAILABLE, "the service ended the stream"))
            except RpcError as problem:
                failure = Failure.of(problem)
            finally:
                call.cancel()
            if tries >= self._retries.most or not failure.may_pass(repeatable=True):
                raise failure.error
            stream.broke()
            await asyncio.sleep(self._retries.wait_s(failure, tries))
            tries += 1
