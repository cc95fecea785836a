"""The server: one engine, its services, one or two doors, and an orderly end."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from fendan.api import Engine
from fendan.errors import Fault, FendanError, refuse
from fendan.intake.intake import Intake
from fendan.intake.plan import read_intake_plan
from fendan.server import logs, tls
from fendan.server.access import AccessInterceptor
from fendan.server.answers import Answers
from fendan.server.calls import CallInterceptor
from fendan.server.config import Config
from fendan.server.decisions import STREAM_ROUTE
from fendan.server.exceptions import ExceptionService
from fendan.server.intake import IntakeService
from fendan.server.inventory import InventoryService
from fendan.server.lane import Lane
from fendan.server.ledger import LedgerService
from fendan.server.metrics import Metrics
from fendan.server.network import NetworkService
from fendan.server.policies import PolicyService
from fendan.server.routing import RoutingService
from fendan.server.setups import SetupService
from fendan.server.tokens import Tokens
from fendan.server.tracing import Tracing
from fendan.v1 import (
    exception_service_pb2,
    exception_service_pb2_grpc,
    intake_service_pb2,
    intake_service_pb2_grpc,
    inventory_service_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    network_service_pb2,
    network_service_pb2_grpc,
    order_service_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
    routing_service_pb2,
    setup_service_pb2,
    setup_service_pb2_grpc,
)

if TYPE_CHECKING:
    from fendan.server.door import NativeDoor

__all__ = ["SERVICES", "Server"]

SERVICES: tuple[str, ...] = tuple(
    service.full_name
    for module in (
        routing_service_pb2,
        inventory_service_pb2,
        network_service_pb2,
        order_service_pb2,
        ledger_service_pb2,
        policy_service_pb2,
        setup_service_pb2,
        intake_service_pb2,
        exception_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)

# Whoever connects and then does not even say hello is not waited for.
HANDSHAKE_TIMEOUT_MS = 10_000

# How many calls may wait for our event loop. Beyond it gRPC ends calls as CANCELLED, without a word
# of when to come again. Our own queue has that word, so it is to be full first.
MOST_PENDING_CALLS = 100_000

# Between the word to whoever watches our health and the first refusal, and between the last refusal
# and the end: more than a message takes that is on its way.
NOTICE_S = 0.1

# How often it is looked for orders that no store has accepted in time.
LOOK_EVERY_S = 1.0

# How often it is looked for waiting orders that a change concerns, which takes some microseconds
# where there are none.
RETRY_EVERY_S = 0.05


class Server:
    """A server that runs: made by `start`, ended by `drain` or `stop`, on one event loop.

    `port` is the one that it listens at, also where the configuration left it open; 0 for a Unix
    socket. `door` is the native one, if there is one. `crash` is why the server ended, if it did so
    by itself. As an asynchronous context manager it drains at the end.
    """

    def __init__(self, config: Config, engine: Engine) -> None:
        self.config = config
        self.engine = engine
        self.metrics = Metrics()
        self.port = 0
        self.door: NativeDoor | None = None
        self.crash: Exception | None = None
        self._health = health.aio.HealthServicer()
        limits = config.limits
        self._journaled = None if engine.journal_stats() is None else engine
        self._lane = Lane(
            limits.queue_requests,
            limits.queue_bytes,
            self.metrics,
            self._end_by_itself,
            self._journaled,
        )
        self._ending: asyncio.Task[None] | None = None
        self._answers = Answers(engine, self.metrics, config)
        self._routing = RoutingService(engine, self._lane, self._answers)
        self._inventory = InventoryService(engine, self._lane, self.metrics)
        self._ledger = LedgerService(engine)
        self._calls = CallInterceptor(self.metrics, drain_themselves=frozenset({STREAM_ROUTE}))
        self._at_the_end = AsyncExitStack()
        self._at_the_end.push_async_callback(self._lane.close)
        self._at_the_end.callback(self._inventory.close)
        self._at_the_end.callback(self._routing.close)
        self._at_the_end.callback(self._ledger.close)

    @classmethod
    async def start(cls, config: Config, engine: Engine) -> Self:
        """Serve `engine` until told to stop; what `config.data` names is not opened here.

        Raises UnavailableError where the address cannot be had, FileFormatError for certificates,
        keys and tokens that cannot be used; then nothing is left behind.
        """
        server = cls(config, engine)
        try:
            await server._open()
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def address(self) -> str:
        """Where clients find it, with the port that it got."""
        return _with_port(self.config.listen, self.port)

    @property
    def door_address(self) -> str | None:
        """Where clients find the native door; None where there is none."""
        address = self.config.door_address
        if address is None or self.door is None:
            return None
        return _with_port(address, self.door.port)

    async def wait(self) -> None:
        """Return when the server has ended, whoever ended it."""
        await self._grpc.wait_for_termination()

    async def drain(self) -> None:
        """Accept no more work, answer what was accepted, and end: within `config.drain_s`.

        Calls that last longer are then cancelled. Load balancers are told first; streams end with
        UNAVAILABLE, after the answers to all that was read of them.
        """
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(NOTICE_S)
        end_s = time.monotonic() + self.config.drain_s
        self._calls.drain()
        self._routing.drain()
        if self.door is not None:
            self.door.drain()
            await self.door.quiet(end_s)
        await self._calls.quiet(NOTICE_S, end_s)
        await self._grpc.stop(max(0.0, end_s - time.monotonic()))
        await self.stop()

    async def stop(self) -> None:
        """End at once: calls are cancelled. Stopping twice is stopping once."""
        await self._at_the_end.aclose()

    def _end_by_itself(self, crash: Exception) -> None:
        """Without its engine a server is of no use: say so in health, and let `wait` return."""

        async def end() -> None:
            await self._health.enter_graceful_shutdown()
            if self.door is not None:
                self.door.drain()
            await asyncio.sleep(NOTICE_S)
            await self._grpc.stop(NOTICE_S)

        if self.crash is not None:
            return
        self.crash = crash
        self._ending = asyncio.create_task(end())
        logs.log.error("nothing is accepted any more; the server ends", error=str(crash))

    async def _look_after(self) -> None:
        """Again and again: give back what is held for orders that no store has accepted.

        A failure of the journal that no caller has met yet comes out here, too.
        """
        told = ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(FendanError):  # busy now, or at the end
                if expired := await self._lane.run(self.engine.expire_orders):
                    logs.log.info("expired", orders=len(expired))
            stats = self.engine.journal_stats()
            if stats is not None and stats.snapshot_failure != told:
                told = stats.snapshot_failure
                logs.log.warning("snapshot", failure=told or None)

    async def _retry(self) -> None:
        """Again and again: try the waiting orders that something concerns that changed."""
        while True:
            await asyncio.sleep(RETRY_EVERY_S)
            has_more = self.engine.keeps_exceptions
            while has_more:
                has_more = False
                with suppress(FendanError):  # busy now, or at the end
                    turn = await self._lane.run(self.engine.retry_due)
                    has_more = turn.has_more
                    if turn.assigned:
                        logs.log.info("retried", tried=turn.tried, assigned=len(turn.assigned))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drain()

    # -- THE PARTS -----------------------------------------------------------------------------

    async def _open(self) -> None:
        config = self.config
        tokens = None if config.tokens is None else Tokens.load(config.tokens)
        credentials = tls.server_credentials(config.tls)
        interceptors: list[grpc.aio.ServerInterceptor] = [
            self._calls,
            AccessInterceptor(tokens),
        ]
        if config.tracing.enabled:
            tracing = Tracing(config.tracing.endpoint)
            self._at_the_end.callback(tracing.close)
            interceptors.append(tracing.interceptor)
        self._grpc = grpc.aio.server(interceptors=interceptors, options=_options(config))
        self._at_the_end.push_async_callback(self._grpc.stop, None)
        await self._add_services()
        self.port = _listen(self._grpc, config.listen, credentials)
        self._open_door(tokens)
        self._listen_for_prometheus()
        await self._grpc.start()
        for looking in (self._look_after(), self._retry()):
            self._at_the_end.callback(asyncio.create_task(looking).cancel)

    def _open_door(self, tokens: Tokens | None) -> None:
        """Open the native door, which is not in every build, if one is wanted."""
        if self.config.door.listen is None:
            return
        self.config.check_build()
        from fendan.server.door import NativeDoor

        self.door = NativeDoor.open(
            self.config,
            tokens,
            self.address,
            self._answers,
            self.metrics,
            self._end_by_itself,
            self._journaled,
        )
        self._at_the_end.push_async_callback(self.door.close)

    async def _add_services(self) -> None:
        engine, lane = self.engine, self._lane
        network = NetworkService(engine, lane, self.metrics)
        file = self.config.intake.file
        plan = None if file is None else await asyncio.to_thread(read_intake_plan, file)
        metrics = self.metrics
        intake = Intake(
            engine,
            plan,
            retry=self.config.exceptions.retry,
            on_judged=lambda judged: metrics.judged(judged.counts()),
        )
        register: list[tuple[Callable[[Any, grpc.aio.Server], None], Any]] = [
            (network_service_pb2_grpc.add_NetworkServiceServicer_to_server, network),
            (ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server, self._ledger),
            (policy_service_pb2_grpc.add_PolicyServiceServicer_to_server, PolicyService(engine)),
            (setup_service_pb2_grpc.add_SetupServiceServicer_to_server, SetupService(engine, lane)),
            (
                intake_service_pb2_grpc.add_IntakeServiceServicer_to_server,
                IntakeService(intake, lane, metrics),
            ),
            (
                exception_service_pb2_grpc.add_ExceptionServiceServicer_to_server,
                ExceptionService(engine, lane),
            ),
            (health_pb2_grpc.add_HealthServicer_to_server, self._health),
        ]
        for add, service in register:
            add(service, self._grpc)
        hot = self._answers.handlers(lane)
        handlers = (hot, self._routing.handlers(), self._inventory.handlers())
        self._grpc.add_generic_rpc_handlers(handlers)
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._grpc)

    def _listen_for_prometheus(self) -> None:
        listen = self.config.metrics.listen
        if listen is None:
            return
        self.metrics.of_engine(self.engine)
        try:
            endpoint = self.metrics.serve(listen)
        except OSError as error:
            refuse(Fault.UNAVAILABLE, "metrics.listen", listen, hint=error.strerror or str(error))
        self._at_the_end.callback(endpoint.close)
        logs.log.info("metrics", port=endpoint.port)


def _with_port(address: str, port: int) -> str:
    host, _, _ = address.rpartition(":")
    return f"{host}:{port}" if port else address


def _listen(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> int:
    """Open the port, and say which it is."""
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        hint = "the address is in use by another process, or not one of this machine"
        refuse(Fault.UNAVAILABLE, "listen", address, hint=hint)
    return 0 if address.startswith("unix:") else port


def _options(config: Config) -> list[tuple[str, Any]]:
    """What gRPC itself is to see to."""
    limits, keepalive = config.limits, config.keepalive
    return [
        ("grpc.max_receive_message_length", limits.message_bytes),
        # What was accepted is answered, however long its ids; clients have limits of their own.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", limits.concurrent_streams),
        # A client may begin a call when one has ended; gRPC would count that one until it has
        # cleaned up after it, and refuse clients that keep to the limit.
        ("grpc.http.overload_protection", 0),
        ("grpc.server.max_pending_requests", MOST_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MOST_PENDING_CALLS),
        # Two servers on one port would share its connections; better that the second says so.
        ("grpc.so_reuseport", 0),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
        ("grpc.keepalive_time_ms", _milliseconds(keepalive.time_s)),
        ("grpc.keepalive_timeout_ms", _milliseconds(keepalive.timeout_s)),
        # Without it gRPC waits a minute for the answer to its pings, whatever the line above says.
        ("grpc.http2.ping_timeout_ms", _milliseconds(keepalive.timeout_s)),
        ("grpc.keepalive_permit_without_calls", 1),
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            _milliseconds(keepalive.least_client_interval_s),
        ),
        ("grpc.max_connection_idle_ms", _milliseconds(keepalive.idle_s)),
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
