"""`fendan serve` as a process: it starts or says why not, and stops in good order."""

import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from built import HAS_DOOR, NO_DOOR
from fendan import Engine, OrderState, Policy, Store
from fendan.server.app import SERVICES
from fendan.v1 import (
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    network_service_pb2,
    network_service_pb2_grpc,
    order_pb2,
    routing_service_pb2,
    routing_service_pb2_grpc,
)
from serving import serving

PATIENCE_S = 60.0
READY = re.compile(r"fendan serves ([\d,]+) stores on (.+)\n")

STORES = "store_id,lat,lng\nS1,31.20,121.40\nS2,31.30,121.50\n"
STOCK = "store_id,sku,quantity\nS1,A,5\nS2,A,1\nS2,B,3\n"

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Process:
    """A server in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", stores: int, address: str) -> None:
        self._process = process
        self.stores = stores
        self.address = address

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ends_with(self) -> int:
        return self._process.wait(PATIENCE_S)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fendan.cli", "serve", *map(str, arguments)]


@contextmanager
def process(*arguments: object, listen: str = "127.0.0.1:0") -> Iterator[Process]:
    """A server that is ready; whatever becomes of it, it is gone at the end.

    Its journal, too, unless the arguments name a folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = command("--data", folder, "--listen", listen, *arguments)
        started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        with ended(started):
            assert started.stdout is not None
            ready = READY.fullmatch(started.stdout.readline())
            assert ready is not None
            yield Process(started, int(ready[1].replace(",", "")), ready[2])


@contextmanager
def ended(started: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        started.kill()
        started.communicate(timeout=PATIENCE_S)


@pytest.fixture
def files(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "stores.csv").write_text(STORES)
    (tmp_path / "stock.csv").write_text(STOCK)
    return ("--stores", tmp_path / "stores.csv", "--stock", tmp_path / "stock.csv")


def an_order(name: str, sku: str = "A") -> order_pb2.Order:
    lines = [order_pb2.OrderLine(sku=sku, quantity=1)]
    return order_pb2.Order(id=name, lat=31.2, lng=121.4, lines=lines)


def route(address: str, order: order_pb2.Order) -> order_pb2.Decision:
    with grpc.insecure_channel(address) as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        request = routing_service_pb2.RouteRequest(order=order)
        decision: order_pb2.Decision = stub.Route(request, timeout=PATIENCE_S).decision
        return decision


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- STARTING ----------------------------------------------------------------------------------


def test_a_server_routes_over_the_stores_and_stock_of_files(files: tuple[object, ...]) -> None:
    with process(*files) as server:
        assert server.stores == 2
        assert route(server.address, an_order("one")).store_id == "S1"
        assert route(server.address, an_order("two", "B")).store_id == "S2"
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0


def test_a_server_can_start_empty_and_is_told_its_stores() -> None:
    with process() as server:
        assert server.stores == 0
        with grpc.insecure_channel(server.address) as channel:
            stub = network_service_pb2_grpc.NetworkServiceStub(channel)
            store = network_service_pb2.Store(id="S1", lat=31.2, lng=121.4)
            stub.AddStores(network_service_pb2.AddStoresRequest(stores=[store]))
            listed = stub.ListStores(network_service_pb2.ListStoresRequest()).stores
        assert [known.store.id for known in listed] == ["S1"]
        server.signal(signal.SIGINT)
        assert server.ends_with() == 0


def test_the_demo_serves_a_generated_chain() -> None:
    with process("--demo", "--demo-stores", 50, "--demo-skus", 40) as server:
        assert server.stores == 50
        order = an_order("first", "SKU00000")
        assert route(server.address, order).status == order_pb2.DECISION_STATUS_UNASSIGNED
        far = order_pb2.RoutePolicy(radius_m=2e7)
        with grpc.insecure_channel(server.address) as channel:
            stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
            request = routing_service_pb2.RouteRequest(
                order=an_order("second", "SKU00000"), policy=far
            )
            assert stub.Route(request).decision.store_id.startswith("S0")


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "stores.csv").write_text(STORES)
    (tmp_path / "stock.csv").write_text(STOCK)
    config = tmp_path / "fendan.toml"
    config.write_text(
        'listen = "127.0.0.1:1"\n[data]\nstores = "stores.csv"\nstock = "stock.csv"\nradius_m = 1\n'
    )
    with process("--config", config, "--radius-m", 100_000) as server:
        assert route(server.address, an_order("one", "B")).store_id == "S2"


def test_a_server_listens_to_a_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'socket'}"
    with process(listen=address) as server:
        assert server.address == address
        with pytest.raises(grpc.RpcError) as refused:
            route(address, an_order("one"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


@pytest.mark.skipif(not HAS_DOOR, reason=NO_DOOR)
def test_a_server_with_a_native_door_says_where_it_is(files: tuple[object, ...]) -> None:
    with process(*files, "--door", 0) as server:
        address, door = server.address.split(", hot methods on ")
        door = door.removesuffix(", too")
        assert address != door
        for number, way in enumerate((address, door)):
            assert route(way, an_order(f"by {number}")).store_id == "S1"
        with grpc.insecure_channel(door) as channel:
            stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
            request = routing_service_pb2.RouteRequest(order=an_order("with an open connection"))
            stub.Route(request, timeout=PATIENCE_S)
            server.signal(signal.SIGTERM)
            assert server.ends_with() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stores", "nowhere.csv"], "data.stores"),
        (["--stores", "bad.csv"], "bad.csv, line 2: lat"),
        (["--stores", "stores.csv", "--stock", "strange.csv"], "strange.csv, line 2"),
        (["--config", "unknown.toml"], "unknown.toml"),
        (["--listen", "nonsense"], "listen"),
        (["--listen", "0.0.0.0:0"], "insecure_bind"),
        (["--tls-certificate", "bad.csv", "--tls-key", "bad.csv"], "bad.csv"),
        (["--tokens", "bad.csv"], "bad.csv"),
        (["--demo", "--stores", "stores.csv"], "--demo"),
        (["--demo", "--demo-stores", "0"], "stores"),
        (["--metrics-listen", "127.0.0.1:{port}"], "metrics.listen"),
        (["--listen", "127.0.0.1:{port}"], "in use"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "stores.csv").write_text(STORES)
    (tmp_path / "bad.csv").write_text("store_id,lat,lng\nS1,91,121\n")
    (tmp_path / "strange.csv").write_text("store_id,sku,quantity\nS9,A,5\n")
    (tmp_path / "unknown.toml").write_text("lisen = 'x'\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = [argument.format(port=port) for argument in arguments]
        if "--listen" not in given:
            given += ["--listen", "127.0.0.1:0"]
        ended = subprocess.run(
            command(*given),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=PATIENCE_S,
            check=False,
        )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


# -- ASKING ABOUT IT ---------------------------------------------------------------------------


def test_health_tells_of_every_service_without_a_token() -> None:
    with process() as server, grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", *SERVICES):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def test_whoever_watches_health_is_told_of_the_end_before_it_comes() -> None:
    with process() as server, grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watching).status == SERVING
        server.signal(signal.SIGTERM)
        assert next(watching).status == NOT_SERVING
        with pytest.raises(grpc.RpcError) as ended:
            next(watching)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert server.ends_with() == 0


def test_whoever_watches_availability_is_sent_elsewhere_at_the_end() -> None:
    with process() as server, grpc.insecure_channel(server.address) as channel:
        stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)
        watching = stub.WatchAvailability(
            inventory_service_pb2.WatchAvailabilityRequest(changes_only=True)
        )
        assert next(watching).cursor
        server.signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as ended:
            next(watching)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert server.ends_with() == 0


def test_reflection_lists_the_services() -> None:
    with process() as server, grpc.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]))
        listed = {service.name for service in answer.list_services_response.service}
    assert set(SERVICES) < listed
    assert {
        "fendan.v1.RoutingService",
        "fendan.v1.InventoryService",
        "fendan.v1.NetworkService",
        "fendan.v1.OrderService",
        "grpc.health.v1.Health",
    } <= listed


def test_a_method_that_there_is_not_is_unimplemented() -> None:
    with process() as server, grpc.insecure_channel(server.address) as channel:
        for method in ("/fendan.v1.RoutingService/Guess", "/no.such.Service/Method"):
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(method)(b"")
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


# -- GOING ON ----------------------------------------------------------------------------------


def test_a_server_goes_on_from_its_folder_and_reads_no_file_again(
    files: tuple[object, ...], tmp_path: Path
) -> None:
    arguments = (*files, "--data", tmp_path / "journal")
    with process(*arguments) as server:
        first = route(server.address, an_order("one"))
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0
    with process(*arguments) as server:
        assert server.stores == 2
        assert route(server.address, an_order("one")) == first


def test_two_servers_cannot_share_a_folder(tmp_path: Path) -> None:
    with process("--data", tmp_path) as server:
        second = subprocess.run(
            command("--listen", "127.0.0.1:0", "--data", tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert second.returncode == 2
        assert str(tmp_path) in second.stderr
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0


def test_an_order_that_no_store_accepts_in_time_gives_its_stock_back() -> None:
    engine = Engine(policy=Policy(reservation_timeout_s=0.1))
    engine.add_stores([Store(id="S1", lat=31.2, lng=121.4)])
    engine.set_stock([("S1", "A", 1)])
    with serving(engine) as served:
        assert route(served.address, an_order("one")).store_id == "S1"
        until(lambda: engine.available("S1", "A") == 1)
    assert engine.order("one").state is OrderState.EXPIRED


# -- STOPPING ----------------------------------------------------------------------------------


def test_a_signal_amid_a_load_leaves_no_order_that_was_read_unanswered(
    files: tuple[object, ...],
) -> None:
    """Each client hears of a first part of what it sent, in order, and then that it is over."""
    heard: list[list[int]] = [[] for _ in range(4)]
    ends: list[grpc.StatusCode] = []

    def messages() -> Iterator[routing_service_pb2.StreamRouteRequest]:
        for number in range(1_000_000):
            yield routing_service_pb2.StreamRouteRequest(
                orders=[an_order("again and again")], correlation_id=number
            )

    def talk(client: int) -> None:
        with grpc.insecure_channel(server.address) as channel:
            stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
            try:
                for answer in stub.StreamRoute(messages()):
                    heard[client].append(answer.correlation_id)
            except grpc.RpcError as error:
                ends.append(error.code())  # type: ignore[attr-defined]

    with process(*files) as server:
        clients = [threading.Thread(target=talk, args=(client,)) for client in range(len(heard))]
        for client in clients:
            client.start()
        until(lambda: all(len(numbers) > 50 for numbers in heard))
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0
        for client in clients:
            client.join(PATIENCE_S)
    assert ends == [grpc.StatusCode.UNAVAILABLE] * len(heard)
    for numbers in heard:
        assert numbers == list(range(len(numbers)))


@contextmanager
def stalled(address: str) -> Iterator[None]:
    """While a client sends and sends, reads none of the answers, and so gets no further."""
    orders = [an_order(f"{number}") for number in range(1_000)]
    message = routing_service_pb2.StreamRouteRequest(orders=orders, dry_run=True)
    sent = [0]
    leaving = threading.Event()

    def messages() -> Iterator[routing_service_pb2.StreamRouteRequest]:
        while not leaving.is_set():
            sent[0] += 1
            yield message

    with grpc.insecure_channel(address) as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        answers = stub.StreamRoute(messages())
        next(answers)
        until(lambda: stands_still(sent))
        try:
            yield
        finally:
            leaving.set()
            answers.cancel()


def stands_still(count: list[int]) -> bool:
    before = count[0]
    time.sleep(0.3)
    return count[0] == before


def test_a_client_that_stalls_holds_the_end_up_only_so_long(files: tuple[object, ...]) -> None:
    with process(*files, "--drain-s", 0.5) as server, stalled(server.address):
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0


def test_a_second_signal_ends_the_server_at_once(files: tuple[object, ...]) -> None:
    with process(*files, "--drain-s", 3_000) as server, stalled(server.address):
        server.signal(signal.SIGTERM)
        until(lambda: is_draining(server.address))
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 128 + signal.SIGTERM


def is_draining(address: str) -> bool:
    """Whether the server takes no more connections."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return False
    except OSError:
        return True


def test_a_server_that_has_ended_leaves_its_port_free(files: tuple[object, ...]) -> None:
    with process(*files) as server:
        address = server.address
        server.signal(signal.SIGTERM)
        assert server.ends_with() == 0
    with process(*files, listen=address) as server:
        assert server.address == address
        assert route(address, an_order("one")).store_id == "S1"
