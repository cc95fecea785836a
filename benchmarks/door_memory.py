"""What a server holds for a connection on which nothing comes, and for a call that has begun.

Frames are written by hand, and a ping says when the server has read all before it. The server is
new, so that nothing freed before hides what is taken now.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

from crowd import ROUTE
from rows import Row
from served import PATIENCE_S, Served

KIB = 1024
IDLE_BYTES, STREAM_BYTES = 32 * KIB, 4 * KIB

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, PING = 1, 4, 6
END_HEADERS, ACK = 4, 1
STREAMS_EACH = 1_000  # of a connection


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _field(name: bytes, value: bytes) -> bytes:
    """A header as HPACK has it when nothing is compressed; both are shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


CALL = b"".join(
    _field(name, value)
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", ROUTE.encode()),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
)


def rows(server: Served, connections: int, streams: int) -> Iterator[Row]:
    """Bytes of resident memory each; none where the system does not say."""
    with ExitStack() as held:
        _held(server.door, 1, 1, held)  # what the first of all takes is not what each takes
        before = server.read().resident_bytes
        _held(server.door, connections, 0, held)
        idle = server.read().resident_bytes
        each = min(streams, STREAMS_EACH)
        _held(server.door, streams // each, each, held)
        open_calls = server.read().resident_bytes
    if before is None or idle is None or open_calls is None:
        return
    a_connection = (idle - before) / connections
    a_call = (open_calls - idle) / streams
    yield Row("native door, an idle connection", a_connection, "bytes", at_most=IDLE_BYTES)
    yield Row(
        "native door, a call whose order is not there yet", a_call, "bytes", at_most=STREAM_BYTES
    )


def _held(address: str, connections: int, streams: int, held: ExitStack) -> None:
    """Open connections, with so many calls each, and wait until the server knows of all."""
    host, _, port = address.rpartition(":")
    ours = [
        held.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
        for _ in range(connections)
    ]
    calls = b"".join(frame(HEADERS, END_HEADERS, 1 + 2 * call, CALL) for call in range(streams))
    for connection in ours:
        hello = PREFACE + frame(SETTINGS, 0, 0) + calls + frame(PING, 0, 0, b"all read")
        connection.sendall(hello)
    answer = frame(PING, ACK, 0, b"all read")
    for connection in ours:
        heard = b""
        while answer not in heard:
            more = connection.recv(4096)
            if not more:
                raise RuntimeError("the server closed a connection that was to be held")
            heard += more
