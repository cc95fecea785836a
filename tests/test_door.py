"""The native door in its threads: sockets of any kind, real clients, an engine, and the end."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from door_client import METHODS, echo, order
from fendan.engine.door import ENDINGS, Door, DoorLimits, Ending
from fendan.engine.link import Tls
from fendan.errors import UnavailableError
from http2_frames import GOAWAY, HELLO, PING, PREFACE, call, frame
from papers import Papers
from siege import PATIENCE_S, until

ROUTE, BATCH_ROUTE, STREAM_ROUTE = (name for name, _ in METHODS)


@contextmanager
def opened(
    listen: str = "127.0.0.1:0",
    *,
    limits: DoorLimits | None = None,
    tls: Tls | None = None,
    by: Callable[[bytes], bytes | Ending] = echo,
) -> Iterator[Door]:
    """A door that is served until the end, by two threads of its own."""
    door = Door(
        listen=listen,
        methods=METHODS,
        tokens=None,
        limits=limits or DoorLimits(),
        endings={},
        tls=tls,
    )

    def work() -> None:
        while (turn := door.take()) is not None:
            for piece in turn:
                said = by(piece.data)
                if isinstance(said, bytes):
                    piece.answer(said)
                else:
                    piece.end(said)
            door.hand_back(turn)

    threads = [threading.Thread(target=door.run), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    try:
        yield door
    finally:
        door.close()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads)


@contextmanager
def channel_to(address: str, tls: grpc.ChannelCredentials | None = None) -> Iterator[grpc.Channel]:
    own = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    if tls is None:
        channel = grpc.insecure_channel(address, own)
    else:
        channel = grpc.secure_channel(address, tls, own)
    with channel:
        yield channel


def unary(channel: grpc.Channel, method: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """The method, of messages as they are."""
    return channel.unary_unary(method)


def asked(channel: grpc.Channel, method: str, data: bytes) -> bytes:
    return unary(channel, method)(data, timeout=PATIENCE_S)


@contextmanager
def by_hand(door: Door) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", door.port), timeout=PATIENCE_S) as connection:
        yield connection


# -- CLIENTS -----------------------------------------------------------------------------------


def test_thousands_of_calls_at_once_get_each_its_own_answer() -> None:
    with opened() as door, channel_to(f"127.0.0.1:{door.port}") as channel:
        route = unary(channel, ROUTE)
        requests = [order(b"%d" % number) for number in range(3_000)]
        calls = [route.future(request, timeout=PATIENCE_S) for request in requests]
        assert [call.result() for call in calls] == requests
        until(lambda: door.is_empty)
        assert door.stats().ended[0, 0] == len(requests)


def test_a_client_of_asyncio_streams_through_the_door() -> None:
    async def stream(port: int) -> list[bytes]:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
            method = channel.stream_stream(STREAM_ROUTE)
            call = method((b"%d" % number for number in range(1_000)), timeout=PATIENCE_S)
            return [answer async for answer in call]

    with opened() as door:
        answers = asyncio.run(stream(door.port))
    assert answers == [b"%d" % number for number in range(1_000)]


def test_large_messages_pass_both_ways() -> None:
    data = bytes(range(256)) * 40_000
    with opened() as door, channel_to(f"127.0.0.1:{door.port}") as channel:
        assert asked(channel, BATCH_ROUTE, data) == data


def test_errors_reach_a_client_with_their_words() -> None:
    ending = Ending(5, "no such order: 订单 50 %", b"")
    with (
        opened(by=lambda _: ending) as door,
        channel_to(f"127.0.0.1:{door.port}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        asked(channel, ROUTE, order(b"x"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == ending.message


def test_a_compressed_call_is_refused() -> None:
    with (
        opened() as door,
        channel_to(f"127.0.0.1:{door.port}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        unary(channel, ROUTE)(
            order(b"x" * 100), timeout=PATIENCE_S, compression=grpc.Compression.Gzip
        )
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_door_may_be_a_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/door"
    with opened(address) as door, channel_to(address) as channel:
        assert door.port == 0
        assert asked(channel, ROUTE, order(b"x")) == order(b"x")


def test_a_door_may_be_locked_by_tls(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    tls = Tls.server(tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "ca.pem")
    good = grpc.ssl_channel_credentials(
        papers.data("ca.pem"), papers.data("client.key"), papers.data("client.pem")
    )
    stranger = grpc.ssl_channel_credentials(
        papers.data("ca.pem"), papers.data("strange.key"), papers.data("strange.pem")
    )
    data = bytes(3_000_000)
    with opened(tls=tls) as door:
        with channel_to(f"localhost:{door.port}", good) as channel:
            assert asked(channel, BATCH_ROUTE, data) == data
            route = unary(channel, ROUTE)
            calls = [route.future(order(b"%d" % number)) for number in range(500)]
            assert [call.result() for call in calls] == [order(b"%d" % n) for n in range(500)]
        with (
            channel_to(f"localhost:{door.port}", stranger) as channel,
            pytest.raises(grpc.RpcError),
        ):
            asked(channel, ROUTE, order(b"x"))


def test_whoever_never_shakes_hands_is_hung_up_on(tmp_path: Path) -> None:
    Papers(tmp_path)
    tls = Tls.server(tmp_path / "server.pem", tmp_path / "server.key")
    limits = DoorLimits(header_timeout_s=0.5)
    with opened(tls=tls, limits=limits) as door:
        for sent in (b"", b"\x16\x03\x01", PREFACE):
            with socket.create_connection(("127.0.0.1", door.port), PATIENCE_S) as connection:
                connection.sendall(sent)
                while connection.recv(1_000):  # an alert, perhaps
                    pass
        until(lambda: door.stats().connections == 0)


# -- THE END -----------------------------------------------------------------------------------


def test_a_drained_door_answers_what_it_has_and_lets_nobody_in() -> None:
    working, may_answer = threading.Event(), threading.Event()

    def slow(data: bytes) -> bytes:
        working.set()
        assert may_answer.wait(PATIENCE_S)
        return data

    with opened(by=slow) as door, channel_to(f"127.0.0.1:{door.port}") as channel:
        call = unary(channel, ROUTE).future(order(b"x"), timeout=PATIENCE_S)
        assert working.wait(PATIENCE_S)
        door.drain()
        address = ("127.0.0.1", door.port)

        def is_shut() -> bool:
            try:
                socket.create_connection(address, PATIENCE_S).close()
            except ConnectionRefusedError:
                return True
            return False

        until(is_shut)
        assert not door.is_empty
        may_answer.set()
        assert call.result() == order(b"x")
        until(lambda: door.is_empty and door.stats().connections == 0)


def test_a_closed_door_ends_those_that_wait_and_takes_back_what_is_in_work() -> None:
    door = Door(listen="127.0.0.1:0", methods=METHODS, tokens=None, limits=DoorLimits(), endings={})
    loop = threading.Thread(target=door.run)
    loop.start()
    with channel_to(f"127.0.0.1:{door.port}") as channel:
        calls = [unary(channel, ROUTE).future(order(b"x")) for _ in range(3)]
        turn = door.take()
        assert turn is not None
        door.close()
        loop.join(PATIENCE_S)
        for call in calls:
            assert isinstance(call.exception(), grpc.RpcError)
    for piece in turn:
        piece.answer(piece.data)
    door.hand_back(turn)
    while door.take() is not None:
        pass


def test_a_door_that_was_never_run_can_be_closed_and_forgotten() -> None:
    for _ in range(100):
        door = Door(
            listen="127.0.0.1:0", methods=METHODS, tokens=None, limits=DoorLimits(), endings={}
        )
        door.close()
        del door


def test_an_address_that_cannot_be_had_is_refused() -> None:
    with opened() as door, pytest.raises(UnavailableError):
        Door(
            listen=f"127.0.0.1:{door.port}",
            methods=METHODS,
            tokens=None,
            limits=DoorLimits(),
            endings={},
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"methods": []},
        {"methods": [("/x/y", 0)] * 65},
        {"tokens": [(b"short", 1)]},
        {"endings": {"busy": Ending(17, "", b"")}},
        {"endings": {"no_such_ending": ENDINGS["busy"]}},
    ],
    ids=["no methods", "many methods", "no digest", "no status", "no ending"],
)
def test_a_door_that_makes_no_sense_is_not_opened(wrong: dict[str, object]) -> None:
    usual: dict[str, object] = {
        "listen": "127.0.0.1:0",
        "methods": METHODS,
        "tokens": None,
        "limits": DoorLimits(),
        "endings": {},
    }
    with pytest.raises(ValueError):
        Door(**{**usual, **wrong})  # type: ignore[arg-type]


# -- RUDE ENDS ---------------------------------------------------------------------------------


def test_clients_that_leave_in_the_midst_of_streams_leave_nothing_behind() -> None:
    """Whoever is idle for shorter than it may be silent has its timer set as its last call ends."""
    limits = DoorLimits(idle_s=1.0, keepalive_time_s=3_600.0)
    with opened(limits=limits) as door:
        for _ in range(50):
            with by_hand(door) as client:
                client.sendall(HELLO + call(1, STREAM_ROUTE))
                until(lambda: door.stats().streams == 1)
            until(lambda: door.stats().connections == 0)
        with by_hand(door) as patient:  # is sent away after the time of those is up
            patient.sendall(HELLO)
            until(lambda: door.stats().connections == 1)
            until(lambda: door.stats().connections == 0)
        with channel_to(f"127.0.0.1:{door.port}") as channel:
            assert asked(channel, ROUTE, order(b"x")) == order(b"x")


def test_a_client_that_breaks_two_rules_at_once_while_the_door_drains_is_gone_for_good() -> None:
    pings = frame(PING, payload=bytes(8)) * 4
    cut = frame(PING, payload=bytes(7))
    with opened() as door, by_hand(door) as client:
        client.sendall(HELLO + call(1, STREAM_ROUTE))
        until(lambda: door.stats().streams == 1)
        client.settimeout(PATIENCE_S)
        said = client.recv(65_536)
        door.drain()
        while len(said) < 9 or frame(GOAWAY)[3:4] not in said:
            said += client.recv(65_536)
        client.sendall(pings + cut)
        until(lambda: door.stats().connections == 0)
        assert door.is_empty


def test_as_many_streams_as_can_be_counted_may_be_open() -> None:
    limits = DoorLimits(concurrent_streams=2**31 - 1)
    with opened(limits=limits) as door, channel_to(f"127.0.0.1:{door.port}") as channel:
        assert asked(channel, ROUTE, order(b"x")) == order(b"x")
