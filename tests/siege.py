"""A server in a process of its own that is attacked, and what proves it unharmed.

    with besieged(folder) as server, unharmed(server):
        ...  # the attack

While `unharmed` lasts, a customer of good will asks for the nearest store again and again, and must
be told the right one each time. At the end the server must live, have reserved nothing, have closed
what the attack opened, have given its queue back, and have kept within its memory.
"""

import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fendan.details import error_of
from fendan.errors import BusyError, Fault
from fendan.v1 import (
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    order_pb2,
    order_service_pb2,
    order_service_pb2_grpc,
    routing_service_pb2,
    routing_service_pb2_grpc,
)
from serving import PATIENCE_S, TwoDoors, is_by_native_door, until

__all__ = [
    "PATIENCE_S",
    "Besieged",
    "an_order",
    "assert_refused",
    "besieged",
    "in_papers",
    "is_closed",
    "many_descriptors",
    "told",
    "unharmed",
    "until",
]

MIB = 1024 * 1024

# What an attack may cost in memory that is not given back: buffers of the largest messages, which
# allocators keep, and the threads of a crowd. None of it may grow with the attack.
MOST_GROWTH_BYTES = 200 * MIB

STORES = (
    "store_id,lat,lng,region\nS1,31.20,121.40,puxi\nS2,31.20,121.41,puxi\nS3,31.20,121.42,pudong\n"
)
STOCK = "store_id,sku,quantity\n" + "".join(
    f"S{store},{sku},1000000\n" for store in (1, 2, 3) for sku in ("tea", "milk")
)

Metadata = tuple[tuple[str, str], ...]


def an_order(name: str, quantity: int = 1, sku: str = "tea") -> order_pb2.Order:
    """An order that S1 fills, being the nearest."""
    lines = [order_pb2.OrderLine(sku=sku, quantity=quantity)]
    return order_pb2.Order(id=name, lat=31.2, lng=121.4, lines=lines)


def in_papers(address: str) -> str:
    """The address as certificates have it."""
    return address.replace("127.0.0.1", "localhost")


def _endpoint(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


class Besieged:
    """A server process, seen from its clients and from the outside."""

    def __init__(
        self,
        process: "subprocess.Popen[str]",
        addresses: tuple[str, str],
        log: Path,
        credentials: grpc.ChannelCredentials | None,
        metadata: Metadata,
    ) -> None:
        self.process = process
        self.address, self.hot_address = addresses
        self.log = log
        self._credentials = credentials
        self._metadata = metadata
        self._proc = Path("/proc") / str(process.pid)
        self._metrics_port = next(
            line["port"] for line in self.log_lines() if line["event"] == "metrics"
        )

    @property
    def endpoint(self) -> tuple[str, int]:
        """Host and port, for plain sockets."""
        return _endpoint(self.address)

    @property
    def hot_endpoint(self) -> tuple[str, int]:
        """Those for the hot methods."""
        return _endpoint(self.hot_address)

    def channel(self) -> grpc.Channel:
        """A connection of its own, as a client of good will makes it."""
        everything = self._channel(self.address)
        if self.hot_address == self.address:
            return everything
        return TwoDoors(everything, self._channel(self.hot_address))

    def _channel(self, address: str) -> grpc.Channel:
        own = [("grpc.use_local_subchannel_pool", 1)]
        if self._credentials is None:
            return grpc.insecure_channel(address, own)
        return grpc.secure_channel(in_papers(address), self._credentials, own)

    # -- AS ITS CLIENTS SEE IT -----------------------------------------------------------------

    def nearest(self, channel: grpc.Channel) -> str:
        """Which store would get an order of tea; reserves nothing."""
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        request = routing_service_pb2.RouteRequest(order=an_order("customer"), dry_run=True)
        answer = stub.Route(request, timeout=PATIENCE_S, metadata=self._metadata)
        return str(answer.decision.store_id)

    def assert_serves(self) -> None:
        """A client that comes now is told the right store."""
        with self.channel() as channel:
            assert self.nearest(channel) == "S1"

    def stock(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Pieces on hand and reserved, by store and SKU."""
        with self.channel() as channel:
            stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)
            ask = inventory_service_pb2.GetStockRequest
            return {
                (store, level.sku): (level.on_hand, level.reserved)
                for store in ("S1", "S2", "S3")
                for level in stub.GetStock(ask(store_id=store), metadata=self._metadata).levels
            }

    def reserved(self) -> int:
        """Pieces reserved in all."""
        return sum(reserved for _on_hand, reserved in self.stock().values())

    def knows(self, order_ids: list[str]) -> list[bool]:
        """Whether each order was routed; all of those hold their stock."""
        with self.channel() as channel:
            stub = order_service_pb2_grpc.OrderServiceStub(channel)
            ask = order_service_pb2.GetDecisionRequest

            def known(order_id: str) -> bool:
                try:
                    held = stub.GetDecision(ask(order_id=order_id), metadata=self._metadata).held
                    return bool(held)
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
                    return False

            return [known(order_id) for order_id in order_ids]

    # -- AS THE MACHINE SEES IT ----------------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(self._proc / "fd"))  # noqa: PTH208 - names are enough

    def resident_bytes(self) -> int:
        """How much memory it uses."""
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the process has gone")

    def queue(self) -> float:
        """How many requests wait for the engine, as Prometheus is told."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
        queues = ("fendan_queue_requests ", "fendan_door_queue_requests ")
        lines = [line for line in text.splitlines() if line.startswith(queues)]
        return sum(float(line.split()[1]) for line in lines)

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has said; every line of it must be one of the log, and no traceback of others."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


# -- STARTING ----------------------------------------------------------------------------------


@contextmanager
def besieged(
    folder: Path,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    metadata: Metadata = (),
    **settings: object,
) -> Iterator[Besieged]:
    """A server of three stores with plenty of tea and milk; two underscores stand for a dot.

    `credentials` and `metadata` are those of its clients of good will.
    """
    (folder / "stores.csv").write_text(STORES)
    (folder / "stock.csv").write_text(STOCK)
    values: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "data.folder": "journal",
        "data.stores": "stores.csv",
        "data.stock": "stock.csv",
        "metrics.listen": "127.0.0.1:0",
        "log.format": "json",
    }
    if is_by_native_door():
        values["door.listen"] = "0"
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    config = folder / "server.toml"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    log = folder / "log"
    command = [sys.executable, "-m", "fendan.cli", "serve", "--config", str(config)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("fendan serves 3 stores on "), log.read_text()
        found = re.findall(r"127\.0\.0\.1:\d+", ready)
        yield Besieged(process, (found[0], found[-1]), log, credentials, metadata)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has hung up; does not wait."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def many_descriptors() -> Iterator[int]:
    """Let this process, and those that it starts, open as many files as they may; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# -- JUDGING -----------------------------------------------------------------------------------


class Customer:
    """Asks again and again, on one connection; keeps what was wrong for whoever started it."""

    def __init__(self, server: Besieged) -> None:
        self._server = server
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="customer")
        self.answers = 0
        self.wrong: object = None

    def _ask(self) -> None:
        try:
            with self._server.channel() as channel:
                while not self._leaving.wait(0.01):
                    self._ask_once(channel)
        except Exception as wrong:
            self.wrong = wrong

    def _ask_once(self, channel: grpc.Channel) -> None:
        try:
            told = self._server.nearest(channel)
        except grpc.RpcError as error:
            if isinstance(error_of(error), BusyError):
                return  # as told to, asks again
            raise
        assert told == "S1"
        self.answers += 1

    def has_more_answers(self) -> Callable[[], bool]:
        """Whether it was answered since, or never will be."""
        before = self.answers
        return lambda: self.answers > before or self.wrong is not None

    def __enter__(self) -> "Customer":
        self._thread.start()
        until(self.has_more_answers())
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(PATIENCE_S)


@contextmanager
def unharmed(
    server: Besieged, *, growth_bytes: int = MOST_GROWTH_BYTES, reserves: bool = False
) -> Iterator[None]:
    """While and after what is done within, the server serves others, and is as it was before.

    `reserves`: stock may be reserved; the test itself says of which orders.
    """
    with Customer(server) as customer:
        stock = server.stock()
        descriptors, resident = server.descriptors(), server.resident_bytes()
        lines = len(server.log_lines())
        yield
        until(customer.has_more_answers())
        assert customer.wrong is None
        assert server.is_alive()
        server.assert_serves()
        assert reserves or server.stock() == stock
        until(lambda: server.descriptors() <= descriptors)
        until(lambda: server.queue() == 0)
        # gRPC goes on freeing what a connection held after its descriptor is closed.
        until(lambda: server.resident_bytes() - resident <= growth_bytes)
    bad = [line for line in server.log_lines()[lines:] if line["level"] in ("error", "critical")]
    assert bad == []


# -- REFUSALS ----------------------------------------------------------------------------------


def assert_refused(
    error: grpc.RpcError, status: str, fault: Fault | None = None, field: str | None = None
) -> None:
    """The call ended with this status, and details of ours that name this code and field."""
    assert error.code().name == status, error  # type: ignore[attr-defined]
    found = rpc_status.from_call(error)
    assert found is not None
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert any(detail.Unpack(info) for detail in found.details)
    assert info.domain == "fendan"
    assert fault is None or info.reason == fault.name
    if field is not None:
        assert any(detail.Unpack(bad_request) for detail in found.details)
        assert [violation.field for violation in bad_request.field_violations] == [field]


def told(
    channel: grpc.Channel, method: str, *messages: bytes, metadata: Metadata = ()
) -> bytes | grpc.RpcError:
    """The first answer to these messages, whatever kind of method it is, or the error instead."""
    call = channel.stream_stream(method)(iter(messages), timeout=PATIENCE_S, metadata=metadata)
    try:
        answer: bytes = next(call, b"")
    except grpc.RpcError as error:
        return error
    call.cancel()  # those who watch would be told for ever
    return answer
