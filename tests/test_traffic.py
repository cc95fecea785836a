"""The load asks every question once, counts what it hears, and never waits for the dead.

Both doors of the service are asked.
"""

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import accumulate
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fendan import Engine, Order
from fendan.engine import wire
from fendan.engine.link import Tls
from fendan.engine.traffic import UNANSWERED, UNSENT, Outcome, Traffic
from fendan.errors import InvalidInputError, UnavailableError, UnknownOrderError
from fendan.server.callers import Scope
from fendan.server.tokens import new_token
from papers import Papers
from serving import serving

ROUTE = "/fendan.v1.RoutingService/Route"
BATCH_ROUTE = "/fendan.v1.RoutingService/BatchRoute"
OK, INVALID_ARGUMENT, UNIMPLEMENTED, UNAUTHENTICATED = 0, 3, 12, 16
PATIENCE_S = 30.0

pytestmark = pytest.mark.usefixtures("each_door")


def orders(count: int, prefix: str = "A", sku: str = "tea") -> list[Order]:
    return [
        Order(id=f"{prefix}{number}", lat=31.2, lng=121.4, lines=[(sku, 1)])
        for number in range(count)
    ]


def packed(messages: Sequence[bytes]) -> tuple[bytes, NDArray[np.int64]]:
    """Requests as they are sent: one after another, and where each begins."""
    return b"".join(messages), np.array([0, *accumulate(map(len, messages))], dtype=np.int64)


def one_each(asked: Sequence[Order]) -> tuple[bytes, NDArray[np.int64]]:
    return packed([wire.write_request([order]) for order in asked])


def counts(outcome: Outcome) -> dict[int, int]:
    values, numbers = np.unique(outcome.statuses, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


# -- ANSWERS ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("connections", "streams"), [(1, 1), (1, 50), (3, 7)])
def test_every_order_is_answered_once(connections: int, streams: int) -> None:
    asked = orders(200)
    with (
        serving() as served,
        Traffic(served.address, connections=connections, streams=streams) as traffic,
    ):
        outcome = traffic.send(ROUTE, *one_each(asked), keep_answers=True)
    decided = [decision.order_id for decision in wire.read_response(outcome.answers).decisions]
    assert sorted(decided) == sorted(order.id for order in asked)
    assert counts(outcome) == {OK: 200}
    assert outcome.latencies_ns.min() > 0
    assert outcome.latencies_ns.max() <= outcome.seconds * 1e9
    assert (outcome.lost, outcome.said) == (0, {})
    assert outcome.bytes_sent > len(one_each(asked)[0])
    assert outcome.bytes_received > len(outcome.answers)


def test_decisions_reserve_exactly_what_they_say() -> None:
    with serving() as served, Traffic(served.address, streams=20) as traffic:
        outcome = traffic.send(ROUTE, *one_each(orders(100)), keep_answers=True)
        left = [served.engine.available(store, "tea") for store in ("S1", "S2", "S3")]
    decisions = wire.read_response(outcome.answers).decisions
    assert [decision.store_id for decision in decisions].count("S1") == 10
    assert sum(decision.store_id is not None for decision in decisions) == 30
    assert left == [0, 0, 0]


def test_connections_serve_one_sending_after_another() -> None:
    with serving() as served, Traffic(served.address, connections=2, streams=3) as traffic:
        first = traffic.send(ROUTE, *one_each(orders(20)))
        nothing = traffic.send(ROUTE, b"", np.zeros(1, dtype=np.int64))
        second = traffic.send(ROUTE, *one_each(orders(10, "B")), keep_answers=True)
    assert counts(first) == {OK: 20}
    assert first.answers == b""
    assert counts(nothing) == {}
    assert len(wire.read_response(second.answers).decisions) == 10


def test_who_watches_is_told_what_has_become_of_all_that_has_begun() -> None:
    seen: list[tuple[int, int]] = []

    def watch(latencies_ns: NDArray[np.int64], statuses: NDArray[np.int8]) -> None:
        settled = statuses != UNSENT
        assert np.array_equal(settled, latencies_ns >= 0)
        seen.append((len(statuses), int(np.count_nonzero(settled))))

    with serving() as served, Traffic(served.address, connections=1, streams=5) as traffic:
        outcome = traffic.send(ROUTE, *one_each(orders(50)), watch=watch)
        traffic.send(ROUTE, *one_each(orders(5, "B")))
    assert counts(outcome) == {OK: 50}
    assert seen == sorted(seen)
    assert seen[-1] == (50, 50)


def test_what_a_watcher_raises_ends_the_sending() -> None:
    def enough(_latencies_ns: object, statuses: NDArray[np.int8]) -> None:
        if statuses[0] == OK:
            raise EnoughError

    due_ns = np.array([0, 3_600 * 10**9], dtype=np.int64)
    with serving() as served, Traffic(served.address, connections=1) as traffic:
        with pytest.raises(EnoughError):
            traffic.send(ROUTE, *one_each(orders(2)), due_ns=due_ns, watch=enough)
        assert counts(traffic.send(ROUTE, *one_each(orders(1, "B")))) == {OK: 1}


def test_messages_larger_than_a_frame_arrive_whole() -> None:
    message = wire.write_request(orders(3000))
    assert len(message) > 3 * 16_384
    with serving() as served, Traffic(served.address, connections=1, streams=2) as traffic:
        outcome = traffic.send(BATCH_ROUTE, *packed([message, message]), keep_answers=True)
    assert counts(outcome) == {OK: 2}
    assert len(wire.read_response(outcome.answers).decisions) == 6000


def test_errors_are_counted_by_status_with_the_words_of_the_first() -> None:
    bad = Order(id="B", lat=31.2, lng=121.4, lines=[("milk", 1)])
    good, worse = wire.write_request([bad]), b"\x0a\x01x"
    with serving() as served, Traffic(served.address, connections=1) as traffic:
        outcome = traffic.send(ROUTE, *packed([good, worse, worse]), keep_answers=True)
        nowhere = traffic.send("/fendan.v1.RoutingService/Rout", *packed([good]))
    assert outcome.statuses.tolist() == [OK, INVALID_ARGUMENT, INVALID_ARGUMENT]
    assert outcome.latencies_ns.min() > 0
    assert list(outcome.said) == [INVALID_ARGUMENT]
    assert "not such a message" in outcome.said[INVALID_ARGUMENT]
    assert len(wire.read_response(outcome.answers).decisions) == 1
    assert counts(nowhere) == {UNIMPLEMENTED: 1}


# -- THE OPEN LOOP ------------------------------------------------------------------------------


def test_latency_counts_from_when_a_request_was_due_not_from_when_a_stream_was_free() -> None:
    all_at_once = np.zeros(50, dtype=np.int64)
    with serving() as served, Traffic(served.address, connections=1) as traffic:
        outcome = traffic.send(ROUTE, *one_each(orders(50)), due_ns=all_at_once)
    assert counts(outcome) == {OK: 50}
    assert np.all(np.diff(outcome.latencies_ns) > 0)  # each waited for all those before it


def test_nothing_is_sent_before_it_is_due() -> None:
    due_ns = np.array([0, 0, 30, 60, 60], dtype=np.int64) * 1_000_000
    with serving() as served, Traffic(served.address, connections=3, streams=2) as traffic:
        outcome = traffic.send(ROUTE, *one_each(orders(5)), due_ns=due_ns)
    assert counts(outcome) == {OK: 5}
    assert outcome.seconds * 1e9 > due_ns[-1]


def test_a_server_that_drains_is_left_with_the_rest_unsent() -> None:
    due_ns = np.array([0, 3_600 * 10**9], dtype=np.int64)
    with serving() as served, Traffic(served.address, connections=1) as traffic:

        def drain_after_the_first() -> None:
            while not knows(served.engine, "A0"):
                pass
            served.do(served.server.drain)

        draining = threading.Thread(target=drain_after_the_first)
        draining.start()
        outcome = traffic.send(ROUTE, *one_each(orders(2)), due_ns=due_ns, deadline_s=PATIENCE_S)
        draining.join()
    assert outcome.statuses.tolist() == [OK, UNSENT]
    assert outcome.lost == 1


def knows(engine: Engine, order_id: str) -> bool:
    try:
        engine.order(order_id)
    except UnknownOrderError:
        return False
    return True


# -- SERVERS THAT FAIL --------------------------------------------------------------------------

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
GREETING_BYTES = 120  # or fewer: what a client says before it asks for something


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server of our own making, a thread a connection; `serve` ends when its socket does."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    clients: list[socket.socket] = []

    def one(client: socket.socket) -> None:
        with client:
            serve(client)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            clients.append(client)
            threads.append(threading.Thread(target=one, args=[client]))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for thread in threads:
            thread.join()


def silent(client: socket.socket) -> None:
    """Greets, listens to everything, and says nothing more."""
    client.sendall(SETTINGS)
    while client.recv(65_536):
        pass


def greet_and_hear_a_request(client: socket.socket) -> None:
    client.sendall(SETTINGS)
    heard = 0
    while heard <= GREETING_BYTES:
        heard += len(client.recv(65_536))


def test_a_server_that_never_answers_is_given_up_at_the_deadline() -> None:
    with listening(silent) as address, Traffic(address, connections=2, streams=5) as traffic:
        outcome = traffic.send(ROUTE, *one_each(orders(20)), deadline_s=0.1)
        after = traffic.send(ROUTE, *one_each(orders(3)))
    assert counts(outcome) == {UNANSWERED: 10, UNSENT: 10}
    assert set(outcome.latencies_ns.tolist()) == {-1}
    assert outcome.lost == 2
    assert counts(after) == {UNSENT: 3}


def test_a_server_that_dies_midway_is_reported_apart_from_the_latencies() -> None:
    with serving() as served:
        host, port = served.address.rsplit(":", 1)

        def cut_after_some_answers(client: socket.socket) -> None:
            with socket.create_connection((host, int(port))) as real:
                up = threading.Thread(target=carry, args=[client, real, None])
                up.start()
                carry(real, client, 3_000)
                client.shutdown(socket.SHUT_RDWR)
                real.shutdown(socket.SHUT_RDWR)
                up.join()

        with (
            listening(cut_after_some_answers) as address,
            Traffic(address, connections=2, streams=10) as traffic,
        ):
            outcome = traffic.send(ROUTE, *one_each(orders(1000)))
    found = counts(outcome)
    assert outcome.lost == 2
    assert found.keys() == {OK, UNANSWERED, UNSENT}
    assert sum(found.values()) == 1000
    assert 0 < found[UNANSWERED] <= 20
    answered = outcome.statuses == OK
    assert outcome.latencies_ns[answered].min() > 0
    assert set(outcome.latencies_ns[~answered].tolist()) == {-1}


def carry(source: socket.socket, to: socket.socket, most: int | None) -> None:
    """Hand on bytes until the source ends, or so many have passed."""
    passed = 0
    try:
        while most is None or passed < most:
            data = source.recv(512)
            if not data:
                break
            to.sendall(data)
            passed += len(data)
    except OSError:
        pass


def http1(client: socket.socket) -> None:
    client.recv(65_536)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def mute(client: socket.socket) -> None:
    while client.recv(65_536):
        pass


@pytest.mark.parametrize("serve", [http1, mute, socket.socket.close])
def test_where_no_grpc_server_answers_nothing_begins(
    serve: Callable[[socket.socket], None],
) -> None:
    with listening(serve) as address, pytest.raises(UnavailableError, match="no gRPC server"):
        Traffic(address, open_s=0.2)


def test_where_nobody_listens_nothing_begins() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UnavailableError, match="refused"):
        Traffic(f"127.0.0.1:{port}")


class EnoughError(Exception):
    """What the user's Ctrl-C raises in these tests."""


def test_ctrl_c_is_heard_while_nobody_answers() -> None:
    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise EnoughError

    main = threading.main_thread().ident
    assert main is not None

    def interrupts(client: socket.socket) -> None:
        greet_and_hear_a_request(client)
        signal.pthread_kill(main, signal.SIGUSR1)
        silent(client)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with listening(interrupts) as address, Traffic(address, connections=1) as traffic:
            with pytest.raises(EnoughError):
                traffic.send(ROUTE, *one_each(orders(1)))
            assert counts(traffic.send(ROUTE, *one_each(orders(1)))) == {UNSENT: 1}
    finally:
        signal.signal(signal.SIGUSR1, before)


# -- OVER WHAT AND AS WHOM ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


def test_over_tls_with_a_certificate_of_our_own(papers: Papers) -> None:
    folder = papers.folder
    ours = Tls.client(
        "localhost",
        ca=folder / "ca.pem",
        certificate=folder / "client.pem",
        key=folder / "client.key",
    )
    settings: dict[str, Any] = {
        "tls__certificate": folder / "server.pem",
        "tls__key": folder / "server.key",
        "tls__client_ca": folder / "ca.pem",
    }
    with serving(**settings) as served:
        with Traffic(served.address, connections=2, streams=20, tls=ours) as traffic:
            outcome = traffic.send(ROUTE, *one_each(orders(100)), keep_answers=True)
        stranger = Tls.client("localhost", ca=folder / "stranger_ca.pem")
        for wrong in (stranger, None):
            with pytest.raises(UnavailableError, match="no gRPC server answers there"):
                Traffic(served.address, tls=wrong, open_s=5.0)
    assert counts(outcome) == {OK: 100}
    assert len(wire.read_response(outcome.answers).decisions) == 100


def test_with_a_token_and_without(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.touch(mode=0o600)
    token = new_token(file, name="us", scope=Scope.INGEST, of="")
    with serving(tokens=file) as served:
        with Traffic(served.address, token=token) as traffic:
            known = traffic.send(ROUTE, *one_each(orders(10)))
        with Traffic(served.address) as traffic:
            unknown = traffic.send(ROUTE, *one_each(orders(10)))
    assert counts(known) == {OK: 10}
    assert counts(unknown) == {UNAUTHENTICATED: 10}
    assert "not a known token" in unknown.said[UNAUTHENTICATED]


def test_over_unix_sockets(tmp_path: Path) -> None:
    addresses = [f"unix:{tmp_path}/{name}.sock" for name in ("all", "door")]
    with serving(listen=addresses[0], door__listen=addresses[1]):
        for prefix, address in zip("AB", addresses, strict=True):
            with Traffic(address, streams=5) as traffic:
                assert counts(traffic.send(ROUTE, *one_each(orders(50, prefix)))) == {OK: 50}


def test_of_a_closed_one_nothing_is_sent() -> None:
    with serving() as served:
        traffic = Traffic(served.address)
        traffic.close()
        traffic.close()
        assert counts(traffic.send(ROUTE, *one_each(orders(2)))) == {UNSENT: 2}


# -- WHAT IT REFUSES ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"), [("connections", 0), ("connections", 20_001), ("streams", 0)]
)
def test_numbers_that_cannot_be_are_refused(field: str, value: int) -> None:
    sizes: dict[str, Any] = {field: value}
    with pytest.raises(InvalidInputError, match=field):
        Traffic("127.0.0.1:1", **sizes)


@pytest.mark.parametrize(
    ("offsets", "due", "field"),
    [
        ([], None, "offsets"),
        ([-1, 3], None, "offsets"),
        ([0, 4], None, "offsets"),
        ([0, 2, 1, 3], None, "offsets"),
        ([0, 3], [0, 0], "due_ns"),
        ([0, 1, 3], [1, 0], "due_ns"),
        ([0, 3], [-1], "due_ns"),
    ],
)
def test_requests_that_do_not_fit_are_refused_before_any_is_sent(
    offsets: list[int], due: list[int] | None, field: str
) -> None:
    due_ns = None if due is None else np.array(due, dtype=np.int64)
    with listening(silent) as address, Traffic(address, connections=1) as traffic:
        with pytest.raises(InvalidInputError) as caught:
            traffic.send(ROUTE, b"abc", np.array(offsets, dtype=np.int64), due_ns=due_ns)
        assert caught.value.field == field


def test_two_threads_do_not_send_at_once() -> None:
    heard, enough = threading.Event(), threading.Event()

    def hears(client: socket.socket) -> None:
        greet_and_hear_a_request(client)
        heard.set()
        enough.wait()

    with listening(hears) as address, Traffic(address, connections=1) as traffic:
        sending = threading.Thread(target=traffic.send, args=[ROUTE, *one_each(orders(1))])
        sending.start()
        heard.wait()
        with pytest.raises(RuntimeError, match="another thread"):
            traffic.send(ROUTE, *one_each(orders(1)))
        enough.set()
        sending.join()
