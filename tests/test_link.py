"""A channel of bytes keeps its word with strangers: Python's own TLS sits at the other end."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fendan.engine.link import Channel, Tls
from fendan.engine.ports import accept_at, connect_to, listen_at
from fendan.errors import FileFormatError, InvalidInputError, UnavailableError
from papers import Papers

ROOM = 65_536
MANY = 8 * 1024 * 1024  # more than any socket holds


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


class Peer:
    """One end of a pair of sockets in Python's TLS, or none; it never waits."""

    def __init__(
        self, wire: socket.socket, context: ssl.SSLContext | None, is_server: bool
    ) -> None:
        self.wire = wire
        self.wire.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.error: ssl.SSLError | None = None
        self.received = b""
        self.is_open = False
        name = None if is_server else "localhost"
        self.tls = context and context.wrap_bio(self.incoming, self.outgoing, is_server, name)

    def step(self, piece: int = ROOM) -> None:
        """Take at most a piece from the wire, go on as far as that lets it, and answer with one."""
        try:
            data = self.wire.recv(piece)
            self.incoming.write(data)
        except BlockingIOError:
            data = b""
        if self.tls is None:
            self.received += data
            return
        try:
            if not self.is_open:
                self.tls.do_handshake()
                self.is_open = True
            while got := self.tls.read(ROOM):
                self.received += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = error
        if self.outgoing.pending:
            self.wire.send(self.outgoing.read(piece))

    def say(self, data: bytes) -> None:
        if self.tls is None:
            self.wire.sendall(data)
        else:
            self.tls.write(data)
            self.step()


def python_side(papers: Papers, *, is_server: bool, name: str | None = None) -> ssl.SSLContext:
    kind = ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT
    context = ssl.SSLContext(kind)
    context.load_verify_locations(papers.folder / "ca.pem")
    context.set_alpn_protocols(["h2"])
    if name is not None:
        context.load_cert_chain(papers.folder / f"{name}.pem", papers.folder / f"{name}.key")
    return context


def our_server(papers: Papers, client_ca: str | None = None) -> Tls:
    folder = papers.folder
    ca = None if client_ca is None else folder / client_ca
    return Tls.server(folder / "server.pem", folder / "server.key", ca)


def met(
    ours: Tls | None, theirs: ssl.SSLContext | None, *, we_serve: bool = True
) -> tuple[Channel, Peer]:
    """Our channel and their peer, not yet introduced."""
    here, there = socket.socketpair()
    here.setblocking(False)
    return Channel(here.detach(), ours, is_server=we_serve), Peer(there, theirs, not we_serve)


def shake_hands(channel: Channel, peer: Peer, piece: int = ROOM) -> bytes:
    """Until both are open; what the channel read meanwhile. Raises what the channel raises."""
    read = b""
    while not (channel.is_open and peer.is_open):
        assert peer.error is None
        peer.step(piece)
        read += channel.read(ROOM) or b""
    return read


def hear(channel: Channel, size: int, go_on: Callable[[], None] = lambda: None) -> bytes:
    heard = b""
    while len(heard) < size:
        heard += channel.read(ROOM) or b""
        go_on()
    return heard


@pytest.fixture(params=["plain", "TLS 1.2", "TLS 1.3", "TLS that we call"])
def pair(request: pytest.FixtureRequest, papers: Papers) -> Iterator[tuple[Channel, Peer]]:
    """Our end and theirs, open."""
    we_serve = request.param != "TLS that we call"
    if request.param == "plain":
        channel, peer = met(None, None)
    elif we_serve:
        theirs = python_side(papers, is_server=False)
        if request.param == "TLS 1.2":
            theirs.maximum_version = ssl.TLSVersion.TLSv1_2
        channel, peer = met(our_server(papers), theirs)
    else:
        ours = Tls.client("localhost", ca=papers.folder / "ca.pem")
        theirs = python_side(papers, is_server=True, name="server")
        channel, peer = met(ours, theirs, we_serve=False)
    with closing(channel), closing(peer.wire):
        if peer.tls is not None:
            assert shake_hands(channel, peer) == b""
        yield channel, peer


# -- BYTES --------------------------------------------------------------------------------------


def test_what_one_says_the_other_hears(pair: tuple[Channel, Peer]) -> None:
    channel, peer = pair
    assert channel.is_open and channel.speaks_h2
    assert channel.write(b"good morning") == len(b"good morning")
    assert not channel.wants_write
    peer.step()
    peer.say(b"good evening")
    assert peer.received == b"good morning"
    assert hear(channel, 12) == b"good evening"


def test_a_silent_peer_is_waited_for(pair: tuple[Channel, Peer]) -> None:
    channel, _ = pair
    assert channel.read(ROOM) is None
    assert not channel.wants_write


def test_a_small_room_takes_what_fits_and_keeps_the_rest(pair: tuple[Channel, Peer]) -> None:
    channel, peer = pair
    peer.say(b"abcdef")
    pieces = [channel.read(4), channel.read(4), channel.read(4)]
    assert pieces == [b"abcd", b"ef", None]


def test_a_slow_reader_gets_every_byte_in_order(pair: tuple[Channel, Peer]) -> None:
    channel, peer = pair
    data = os.urandom(MANY)
    sent = waits = 0
    while sent < MANY:
        taken = channel.write(memoryview(data)[sent:])
        if taken is None:
            waits += 1
            assert channel.wants_write
            for _ in range(32):
                peer.step()
        sent += taken or 0
    while len(peer.received) < MANY:
        peer.step()
    assert waits
    assert peer.received == data


def test_a_peer_that_says_farewell_ends_the_link(pair: tuple[Channel, Peer]) -> None:
    channel, peer = pair
    if peer.tls is not None:
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.unwrap()
        peer.step()
    peer.wire.close()
    assert channel.read(ROOM) == b""


def test_a_peer_that_vanishes_breaks_the_link_and_nothing_else(
    pair: tuple[Channel, Peer],
) -> None:
    channel, peer = pair
    peer.wire.close()
    with pytest.raises(ConnectionResetError):
        for _ in range(2):  # the first may still find room
            channel.write(b"is anybody there?")
    if peer.tls is not None:
        with pytest.raises(ConnectionResetError):
            channel.read(ROOM)


def test_our_farewell_is_heard(papers: Papers) -> None:
    channel, peer = met(our_server(papers), python_side(papers, is_server=False))
    shake_hands(channel, peer)
    channel.close()
    channel.close()
    peer.step()
    assert isinstance(peer.error, ssl.SSLZeroReturnError) or peer.error is None
    with pytest.raises(ConnectionResetError):
        channel.read(ROOM)
    peer.wire.close()


# -- HANDSHAKES ---------------------------------------------------------------------------------


def test_a_handshake_may_come_byte_by_byte(papers: Papers) -> None:
    channel, peer = met(our_server(papers), python_side(papers, is_server=False))
    with closing(channel), closing(peer.wire):
        shake_hands(channel, peer, piece=1)
        peer.say(b"at last")
        assert hear(channel, 7, peer.step) == b"at last"


def test_bytes_that_are_no_handshake_break_the_link(papers: Papers) -> None:
    channel, peer = met(our_server(papers), None)
    with closing(channel), closing(peer.wire):
        peer.wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                channel.read(ROOM)
        with pytest.raises(ConnectionResetError):
            channel.write(b"hello?")
        assert not channel.is_open


def refused(channel: Channel, peer: Peer) -> None:
    with closing(channel), closing(peer.wire):
        with pytest.raises(ConnectionResetError):
            shake_hands(channel, peer)
        peer.step()


def test_a_client_of_another_protocol_is_refused(papers: Papers) -> None:
    theirs = python_side(papers, is_server=False)
    theirs.set_alpn_protocols(["http/1.1", "h2c"])
    channel, peer = met(our_server(papers), theirs)
    refused(channel, peer)
    assert peer.error is not None
    assert "alert no application protocol" in str(peer.error)


def test_of_several_protocols_ours_is_chosen(papers: Papers) -> None:
    theirs = python_side(papers, is_server=False)
    theirs.set_alpn_protocols(["http/1.1", "h2"])
    channel, peer = met(our_server(papers), theirs)
    with closing(channel), closing(peer.wire):
        shake_hands(channel, peer)
        assert isinstance(peer.tls, ssl.SSLObject)
        assert peer.tls.selected_alpn_protocol() == "h2"


def test_a_client_that_names_no_protocol_does_not_speak_ours(papers: Papers) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_verify_locations(papers.folder / "ca.pem")
    channel, peer = met(our_server(papers), theirs)
    with closing(channel), closing(peer.wire):
        shake_hands(channel, peer)
        assert not channel.speaks_h2


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_of_yesterday_is_refused(papers: Papers) -> None:
    theirs = python_side(papers, is_server=False)
    theirs.set_ciphers("DEFAULT:@SECLEVEL=0")
    theirs.minimum_version = theirs.maximum_version = ssl.TLSVersion.TLSv1_1
    channel, peer = met(our_server(papers), theirs)
    refused(channel, peer)
    assert peer.error is not None
    assert peer.error.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_outlives_its_link(papers: Papers, version: ssl.TLSVersion) -> None:
    theirs = python_side(papers, is_server=False)
    theirs.minimum_version = theirs.maximum_version = version
    channel, peer = met(our_server(papers), theirs)
    with closing(channel), closing(peer.wire):
        shake_hands(channel, peer)
        peer.say(b"anything else?")
        assert isinstance(peer.tls, ssl.SSLObject)
        assert peer.tls.session is None or not peer.tls.session.has_ticket


def test_a_client_with_a_certificate_of_the_authority_is_let_in(papers: Papers) -> None:
    theirs = python_side(papers, is_server=False, name="client")
    channel, peer = met(our_server(papers, "ca.pem"), theirs)
    with closing(channel), closing(peer.wire):
        shake_hands(channel, peer)
        peer.say(b"me")
        assert hear(channel, 2) == b"me"


@pytest.mark.parametrize("name", [None, "expired", "early", "strange"])
def test_a_client_without_a_good_certificate_is_refused(papers: Papers, name: str | None) -> None:
    theirs = python_side(papers, is_server=False, name=name)
    channel, peer = met(our_server(papers, "ca.pem"), theirs)
    refused(channel, peer)
    assert peer.error is not None


@pytest.mark.parametrize(
    ("server", "name", "ca"),
    [
        ("server", "elsewhere", "ca.pem"),
        ("server", "127.0.0.1", "ca.pem"),  # its certificate speaks of a name only
        ("server", "localhost", "stranger_ca.pem"),
        ("server", "localhost", None),  # no authority of this machine
        ("expired", "localhost", "ca.pem"),
    ],
)
def test_we_call_only_whom_we_meant(papers: Papers, server: str, name: str, ca: str | None) -> None:
    ours = Tls.client(name, ca=None if ca is None else papers.folder / ca)
    theirs = python_side(papers, is_server=True, name=server)
    channel, peer = met(ours, theirs, we_serve=False)
    with closing(channel), closing(peer.wire), pytest.raises(ConnectionResetError):
        assert channel.write(b"x") is None
        shake_hands(channel, peer)


def test_we_show_our_certificate_where_it_is_asked_for(papers: Papers) -> None:
    folder = papers.folder
    ours = Tls.client(
        "localhost",
        ca=folder / "ca.pem",
        certificate=folder / "client.pem",
        key=folder / "client.key",
    )
    theirs = python_side(papers, is_server=True, name="server")
    theirs.verify_mode = ssl.CERT_REQUIRED
    channel, peer = met(ours, theirs, we_serve=False)
    with closing(channel), closing(peer.wire):
        assert channel.write(b"x") is None
        shake_hands(channel, peer)
        assert isinstance(peer.tls, ssl.SSLObject)
        shown = peer.tls.getpeercert()
        assert shown is not None
        assert shown["subject"] == ((("commonName", "client"),),)


# -- FILES --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "field", "said"),
    [
        ("gone.pem", "server.key", None, "tls.certificate", "No such file or directory"),
        ("server.pem", "gone.key", None, "tls.key", "No such file or directory"),
        ("server.pem", "server.key", "gone.pem", "tls.client_ca", "No such file or directory"),
        ("text.pem", "server.key", None, "tls.certificate", "no certificate in PEM: no start line"),
        ("empty.pem", "server.key", None, "tls.certificate", "no certificate in PEM"),
        ("server.pem", "text.pem", None, "tls.key", "no key in PEM, not encrypted, of "),
        ("ca.pem", "locked.key", None, "tls.key", "no key in PEM, not encrypted, of "),
        ("server.pem", "client.key", None, "tls.key", "key values mismatch"),
        ("server.pem", "server.key", "text.pem", "tls.client_ca", "no certificates in PEM"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_named(
    papers: Papers, certificate: str, key: str, client_ca: str | None, field: str, said: str
) -> None:
    folder = papers.folder
    ca = None if client_ca is None else folder / client_ca
    with pytest.raises(FileFormatError) as caught:
        Tls.server(folder / certificate, folder / key, ca)
    named = {"tls.certificate": certificate, "tls.key": key, "tls.client_ca": client_ca}[field]
    assert caught.value.field == field
    assert str(caught.value.value) == str(folder / str(named))
    assert said in caught.value.hint


# -- WHERE LINKS COME FROM ----------------------------------------------------------------------


def address_of(listener: int) -> str:
    with closing(socket.socket(fileno=os.dup(listener))) as bound:
        host, port, *_ = bound.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def accepted(listener: int) -> int:
    """The next client, waited for."""
    os.set_blocking(listener, True)
    client = accept_at(listener)
    os.set_blocking(listener, False)
    return client


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.mark.parametrize("where", ["127.0.0.1:0", "localhost:0", "[::1]:0", "[::]:0", "unix:"])
def test_who_calls_where_we_listen_is_heard(where: str, folder: Path) -> None:
    address = f"unix:{folder}/door" if where == "unix:" else where
    listener = listen_at(address, reuse=False)
    try:
        assert accept_at(listener) == -1
        called = address if where == "unix:" else address_of(listener)
        called = called.replace("[::]", "127.0.0.1")  # it hears the old Internet as well
        with (
            closing(Channel(connect_to(called), is_server=False)) as caller,
            closing(Channel(accepted(listener), is_server=True)) as answerer,
        ):
            assert answerer.read(ROOM) is None
            assert caller.write(b"me") == 2
            assert hear(answerer, 2) == b"me"
    finally:
        os.close(listener)


def test_connections_do_not_wait_to_fill_packets() -> None:
    listener = listen_at("127.0.0.1:0", reuse=False)
    caller = socket.socket(fileno=connect_to(address_of(listener)))
    answerer = socket.socket(fileno=accepted(listener))
    with caller, answerer:
        for end in (caller, answerer):
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert not os.get_blocking(end.fileno())
    os.close(listener)


@pytest.mark.parametrize("where", ["127.0.0.1:0", "unix:"])
def test_where_a_living_server_listens_no_other_does(where: str, folder: Path) -> None:
    address = f"unix:{folder}/door" if where == "unix:" else where
    listener = listen_at(address, reuse=False)
    address = address if where == "unix:" else address_of(listener)
    with pytest.raises(UnavailableError, match="in use") as caught:
        listen_at(address, reuse=False)
    assert (caught.value.field, caught.value.value) == ("listen", address)
    os.close(connect_to(address))  # it is still there
    os.close(listener)


def test_the_socket_of_a_dead_server_is_replaced(folder: Path) -> None:
    address = f"unix:{folder}/door"
    os.close(listen_at(address, reuse=False))
    with pytest.raises(UnavailableError, match="refused"):
        connect_to(address)
    os.close(listen_at(address, reuse=False))


def test_a_file_that_is_no_socket_is_left_alone(folder: Path) -> None:
    file = folder / "orders.csv"
    file.write_text("A,1\n", encoding="utf-8")
    with pytest.raises(UnavailableError, match="in use"):
        listen_at(f"unix:{file}", reuse=False)
    assert file.read_text(encoding="utf-8") == "A,1\n"


@pytest.mark.parametrize("address", ["localhost", "localhost:port", "localhost:65536", "", ":"])
def test_what_is_no_address_is_refused(address: str) -> None:
    for use in (lambda: listen_at(address, reuse=False), lambda: connect_to(address)):
        with pytest.raises(InvalidInputError, match="HOST:PORT or unix:PATH"):
            use()


def test_a_place_that_does_not_exist_is_not_available(folder: Path) -> None:
    listener = listen_at("127.0.0.1:0", reuse=False)
    gone = address_of(listener)
    os.close(listener)
    for address in (gone, f"unix:{folder}/nobody"):
        with pytest.raises(UnavailableError) as caught:
            connect_to(address)
        assert caught.value.value == address


def test_servers_may_agree_to_share_a_port() -> None:
    first = listen_at("127.0.0.1:0", reuse=True)
    second = listen_at(address_of(first), reuse=True)
    assert address_of(first) == address_of(second)
    os.close(first)
    os.close(second)
