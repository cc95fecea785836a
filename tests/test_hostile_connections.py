"""Connections that stall, flood, break off or speak no gRPC, while the others are served."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from fendan.v1.routing_service_pb2 import RouteRequest
from http2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    HELLO,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW,
    call,
    frame,
)
from siege import (
    MOST_GROWTH_BYTES,
    Besieged,
    an_order,
    besieged,
    is_closed,
    many_descriptors,
    unharmed,
    until,
)


def header(name: str, value: str) -> bytes:
    """A literal that no table remembers."""
    texts = (text.encode() for text in (name, value))
    return b"\x00" + b"".join(bytes([len(text)]) + text for text in texts)


def order(name: str) -> bytes:
    """A Route request as gRPC frames it."""
    data = RouteRequest(order=an_order(name)).SerializeToString()
    return b"\0" + struct.pack(">I", len(data)) + data


def connect(server: Besieged, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(server.endpoint, timeout=30.0)
    connection.sendall(sent)
    return connection


def send_as_far_as_it_goes(connection: socket.socket, data: bytes) -> None:
    """The server may well hang up meanwhile."""
    with suppress(OSError):
        connection.sendall(data)


def break_off(connection: socket.socket) -> None:
    """Leave without a goodbye: TCP resets the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with many_descriptors(), besieged(tmp_path_factory.mktemp("server")) as server:
        yield server


# -- NO gRPC -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        bytes(10_000),
        b"\xff" * 10_000,
        PREFACE[:-1] + b"!",
        HELLO + b"\xff" * 9,
        HELLO + frame(HEADERS, END_HEADERS, 1, b"\xff" * 100),
        HELLO + frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
        HELLO + frame(WINDOW, 0, 0, bytes(4)),
    ],
    ids=[
        *("HTTP/1.1", "TLS", "SSH", "zeros", "ones", "wrong preface", "wrong frame"),
        *("wrong headers", "wrong window", "no window"),
    ],
)
def test_whoever_speaks_no_grpc_is_hung_up_on(server: Besieged, sent: bytes) -> None:
    with unharmed(server), ExitStack() as stack:
        connections = [stack.enter_context(closing(connect(server))) for _ in range(20)]
        for connection in connections:
            send_as_far_as_it_goes(connection, sent)
        until(lambda: all(map(is_closed, connections)))


@pytest.mark.parametrize(
    "flood",
    [
        lambda n: call(2 * n + 1) + frame(RESET, 0, 2 * n + 1, bytes([0, 0, 0, 8])),
        lambda n: frame(CONTINUATION if n else HEADERS, 0, 1, header("x", "y" * 100)),
        lambda _: frame(PING, 0, 0, bytes(8)),
        lambda _: frame(SETTINGS),
        lambda _: frame(DATA, 0, 1),
        lambda _: frame(WINDOW, 0, 0, bytes([0, 0, 0, 1])),
        lambda n: call(2 * n + 1),
        lambda n: call(2 * n + 1) + frame(DATA, END_STREAM, 2 * n + 1, b"\xff" * 20),
    ],
    ids=["resets", "headers", "pings", "settings", "no data", "windows", "calls", "no messages"],
)
def test_a_flood_of_frames_drowns_nobody(server: Besieged, flood: object) -> None:
    assert callable(flood)
    data = HELLO + b"".join(flood(number) for number in range(20_000))
    with unharmed(server), ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(closing(connect(server)))
            send_as_far_as_it_goes(connection, data)
            server.assert_serves()


# -- SLOWNESS ----------------------------------------------------------------------------------


def trickle(connections: list[socket.socket], data: bytes) -> Iterator[None]:
    """A byte to each at every step."""
    for byte in data:
        for connection in connections:
            send_as_far_as_it_goes(connection, bytes([byte]))
        yield


def test_whoever_connects_and_says_nothing_or_too_little_is_hung_up_on(server: Besieged) -> None:
    """The server waits ten seconds for a greeting."""
    with unharmed(server), ExitStack() as stack:
        silent = [stack.enter_context(closing(connect(server))) for _ in range(200)]
        slow = [stack.enter_context(closing(connect(server))) for _ in range(200)]
        steps = trickle(slow, PREFACE)

        def all_closed() -> bool:
            next(steps)
            time.sleep(1.0)  # slow is what they are
            return all(map(is_closed, silent)) and all(map(is_closed, slow))

        until(all_closed)


def test_whoever_greets_and_then_dawdles_costs_only_the_connection(tmp_path: Path) -> None:
    """Within a call the server cannot tell a slow client from a lost one; it asks for a sign."""
    with (
        besieged(tmp_path, keepalive__time_s=1.0, keepalive__timeout_s=1.0) as server,
        unharmed(server),
        ExitStack() as stack,
    ):
        begun = HELLO + call(1)
        amid_headers = [connect(server, HELLO + call(1)[:-20]) for _ in range(100)]
        amid_a_message = [connect(server, begun + order("slow")[:-5]) for _ in range(100)]
        for connection in (*amid_headers, *amid_a_message):
            stack.enter_context(closing(connection))
        until(lambda: all(map(is_closed, (*amid_headers, *amid_a_message))))


# -- BREAKING OFF ------------------------------------------------------------------------------


def test_whoever_breaks_off_amid_a_message_has_ordered_nothing(server: Besieged) -> None:
    names = [f"half {number}" for number in range(50)]
    with unharmed(server):
        for name in names:
            message = order(name)
            whole = frame(DATA, END_STREAM, 1, message)
            for sent in (frame(DATA, 0, 1, message[:-3]), whole[:12], whole[:-1]):
                break_off(connect(server, HELLO + call(1) + sent))
        assert not any(server.knows(names))


def test_what_was_ordered_before_breaking_off_can_be_looked_up(server: Besieged) -> None:
    """Some of these orders were read in time and some not; each holds its stock, or is unknown."""
    names = [f"whole {number}" for number in range(200)]
    before = server.reserved()
    with unharmed(server, reserves=True):
        for name in names:
            break_off(connect(server, HELLO + call(1) + frame(DATA, END_STREAM, 1, order(name))))
        until(lambda: server.queue() == 0)
    assert server.reserved() - before == sum(server.knows(names))


# -- CROWDS ------------------------------------------------------------------------------------

CROWD = 10_000

# What one of them may cost, with a call begun, in memory that is kept for others.
MOST_CONNECTION_BYTES = 48 * 1024

# What is open beside the crowd: files, threads' pipes, the clients of good will.
SPARE_DESCRIPTORS = 500


@contextmanager
def crowd(server: Besieged, size: int, sent: bytes) -> Iterator[list[socket.socket]]:
    connections: list[socket.socket] = []
    try:
        for _ in range(size):
            connections.append(connect(server, sent))
        yield connections
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize(
    "sent", [b"", HELLO, HELLO + call(1)], ids=["silent", "greeting", "calling"]
)
def test_ten_thousand_connections_keep_nobody_out(server: Besieged, sent: bytes) -> None:
    with many_descriptors() as most:
        if most < CROWD + SPARE_DESCRIPTORS:
            pytest.skip(f"a process may have only {most:,} files open here (ulimit -n)")
        # What a first crowd takes, allocators may keep for the next; that one adds little to it.
        for growth_bytes in (CROWD * MOST_CONNECTION_BYTES, MOST_GROWTH_BYTES):
            with unharmed(server, growth_bytes=growth_bytes), crowd(server, CROWD, sent):
                until(lambda: server.descriptors() > CROWD)
                for _ in range(5):
                    server.assert_serves()


def test_two_thousand_who_come_and_go_leave_nothing_behind(server: Besieged) -> None:
    with unharmed(server):
        for number in range(2_000):
            connection = connect(server, HELLO if number % 2 else b"")
            (break_off if number % 3 else socket.socket.close)(connection)


def test_a_server_out_of_descriptors_keeps_its_clients_and_recovers(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    with besieged(tmp_path) as server, unharmed(server):
        most = server.descriptors() + 20
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, most))
        with crowd(server, 100, HELLO), server.channel() as channel:
            until(lambda: server.descriptors() == most)
            # `unharmed` sees to it that those who were there before are served.
            time.sleep(0.2)
        del channel
        server.assert_serves()
