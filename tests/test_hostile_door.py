"""Clients that flood, stall or vanish at the native door, while the others are served."""

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from door_client import METHODS, framed, order
from door_echo import LIMITS, MIB
from http2_frames import (
    CONTINUATION,
    DATA,
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
from siege import PATIENCE_S, is_closed, many_descriptors, until

# What an attack may cost: what is held for calls, and the buffers of the loop and of allocators.
MOST_GROWTH_BYTES = LIMITS.queue_bytes * 2 + 32 * MIB

ROUTE, BATCH_ROUTE, STREAM_ROUTE = (name for name, _ in METHODS)


# -- HTTP/2 BY HAND ----------------------------------------------------------------------------


def data(stream: int, content: bytes) -> bytes:
    parts = [content[at : at + 16_384] for at in range(0, len(content), 16_384)]
    return b"".join(frame(DATA, 0, stream, part) for part in parts)


# All that the client gives the server room for.
WIDE = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
WIDE += frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535))


class Server:
    """A door in another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stats(self) -> tuple[int, ...]:
        """Connections, streams, requests that wait, bytes held."""
        assert self.process.stdin is not None
        self.process.stdin.write("stats\n")
        self.process.stdin.flush()
        return tuple(map(int, self._line().split()))

    def resident_bytes(self) -> int:
        """How much memory it uses."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        send_as_far_as_it_goes(connection, sent)
        return connection


def send_as_far_as_it_goes(connection: socket.socket, sent: bytes, wait_s: float = 5.0) -> None:
    """The server may well hang up meanwhile, or not read on."""
    connection.settimeout(wait_s)
    with suppress(OSError):
        connection.sendall(sent)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with many_descriptors():
        command = [sys.executable, str(Path(__file__).with_name("door_echo.py"))]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    try:
        yield Server(process)
    finally:
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """While and after what is done within, others are served, and nothing stays behind."""
    leaving = threading.Event()
    wrong: list[BaseException] = []
    answers = 0

    def ask() -> None:
        nonlocal answers
        try:
            while not leaving.wait(0.005):
                said = order(b"%d" % answers)
                try:
                    assert route(said, timeout=PATIENCE_S) == said
                    answers += 1
                except grpc.RpcError as error:  # told to come again, it does
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
        except BaseException as error:
            wrong.append(error)

    def more_answers() -> Callable[[], bool]:
        before = answers
        return lambda: answers > before or bool(wrong)

    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", own) as channel:
        route: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ROUTE)
        customer = threading.Thread(target=ask)
        customer.start()
        try:
            until(more_answers())
            resident = server.resident_bytes()
            yield
            assert server.resident_bytes() - resident < MOST_GROWTH_BYTES
            until(more_answers())
            until(lambda: server.stats()[0] == 1 and server.stats()[3] == 0)
        finally:
            leaving.set()
            customer.join(PATIENCE_S)
    assert not wrong
    assert server.process.poll() is None


# -- FLOODS ------------------------------------------------------------------------------------

FLOODS: dict[str, Callable[[int], bytes]] = {
    "resets": lambda n: call(2 * n + 1) + frame(RESET, 0, 2 * n + 1, bytes([0, 0, 0, 8])),
    "pings": lambda _: frame(PING, 0, 0, bytes(8)),
    "settings": lambda _: frame(SETTINGS),
    "headers": lambda n: frame(CONTINUATION if n else HEADERS, 0, 1, b"\0\1x\1y"),
    "no data": lambda n: frame(DATA, 0, 1) if n else call(1),
    "calls": lambda n: call(2 * n + 1),
    "unknown methods": lambda n: call(2 * n + 1, "/none"),
    "unknown frames": lambda _: frame(200, 0, 0, bytes(20)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_frames_drowns_nobody(server: Server, kind: str) -> None:
    sent = HELLO + b"".join(FLOODS[kind](number) for number in range(20_000))
    with unharmed(server), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(closing(server.connect(sent)))


def test_one_large_header_named_again_and_again_costs_no_memory(server: Server) -> None:
    large = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4_000
    with unharmed(server), ExitStack() as stack:
        for _ in range(20):
            bomb = HELLO + frame(HEADERS, 0, 1, large + b"\xbe" * 10_000)
            bomb += frame(CONTINUATION, 0, 1, b"\xbe" * 16_000) * 5
            stack.enter_context(closing(server.connect(bomb)))


# -- SLOWNESS ----------------------------------------------------------------------------------


def test_messages_that_never_end_are_held_only_up_to_the_limit(server: Server) -> None:
    """Each client sends most of a few large messages."""
    part = b"\0" + struct.pack(">I", LIMITS.message_bytes) + bytes(LIMITS.message_bytes // 2)
    begun = HELLO + b"".join(
        call(stream, BATCH_ROUTE) + data(stream, part) for stream in range(1, 9, 2)
    )
    with unharmed(server), ExitStack() as stack:
        for _ in range(20):  # 160 MiB in all
            stack.enter_context(closing(server.connect(begun)))
            assert server.stats()[3] <= LIMITS.queue_bytes + 8 * MIB


def test_answers_that_nobody_reads_are_held_only_up_to_the_limit(server: Server) -> None:
    """Each client asks for large answers, has given the server room for them, and reads none."""
    message = framed(bytes(LIMITS.message_bytes // 2))
    with unharmed(server), ExitStack() as stack:
        for _ in range(20):
            asked = PREFACE + WIDE
            for stream in range(1, 9, 2):
                asked += call(stream, BATCH_ROUTE) + data(stream, message)
                asked += frame(DATA, END_STREAM, stream)
            stack.enter_context(closing(server.connect(asked)))
            assert server.stats()[3] <= LIMITS.queue_bytes + 8 * MIB


def test_a_stream_whose_answers_nobody_reads_is_read_no_further(server: Server) -> None:
    message = framed(bytes(100_000)) * 400
    with unharmed(server), ExitStack() as stack:
        for _ in range(10):
            asked = PREFACE + WIDE + call(1, STREAM_ROUTE) + data(1, message)
            stack.enter_context(closing(server.connect(asked)))
        assert server.stats()[3] <= LIMITS.queue_bytes + 8 * MIB


@pytest.mark.parametrize(
    "sent",
    [b"", PREFACE[:10], PREFACE, HELLO + call(1)[:-5], HELLO + call(1), HELLO + b"\0\0"],
    ids=["silent", "half a preface", "no settings", "half a call", "no message", "half a frame"],
)
def test_whoever_stalls_is_hung_up_on(server: Server, sent: bytes) -> None:
    """None of these answers when it is asked for a sign of life."""
    with unharmed(server), ExitStack() as stack:
        stalled = [stack.enter_context(closing(server.connect(sent))) for _ in range(300)]
        until(lambda: all(map(is_closed, stalled)))


def test_whoever_vanishes_without_a_word_leaves_nothing(server: Server) -> None:
    linger = struct.pack("ii", 1, 0)  # TCP resets the connection
    with unharmed(server):
        for number in range(500):
            connection = server.connect(HELLO + call(1) + data(1, framed(order(b"x"))))
            if number % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()


# -- CROWDS ------------------------------------------------------------------------------------


def test_beyond_so_many_connections_newcomers_are_turned_away(server: Server) -> None:
    with many_descriptors() as most:
        if most < LIMITS.connections + 500:
            pytest.skip(f"a process may have only {most:,} files open here (ulimit -n)")
        with unharmed(server), ExitStack() as stack:
            crowd = [
                stack.enter_context(closing(server.connect(HELLO)))
                for _ in range(LIMITS.connections + 100)
            ]
            until(lambda: sum(map(is_closed, crowd)) >= 100)
            assert server.stats()[0] <= LIMITS.connections


def test_a_door_out_of_descriptors_keeps_its_clients_and_recovers(server: Server) -> None:
    resource = pytest.importorskip("resource")
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with unharmed(server):
        most = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 10
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
        try:
            with ExitStack() as stack:
                for _ in range(50):
                    stack.enter_context(closing(server.connect(HELLO)))
                until(lambda: server.stats()[0] >= 8)
                assert route_once(server) is None  # a newcomer waits, and is not turned away
            until(lambda: route_once(server) == order(b"newcomer"))
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def route_once(server: Server) -> bytes | None:
    """What a client that comes now is told within a moment."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", own) as channel:
        route: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ROUTE)
        try:
            return route(order(b"newcomer"), timeout=1.0)
        except grpc.RpcError:
            return None
