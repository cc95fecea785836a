"""HTTP/2 by hand, for clients without manners."""

import struct

from hpack import Encoder

__all__ = [
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "HELLO",
    "PING",
    "PREFACE",
    "PRIORITY",
    "PUSH",
    "RESET",
    "SETTINGS",
    "WINDOW",
    "call",
    "frame",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame, whatever is in it."""
    size = struct.pack(">I", len(payload))[1:]
    return size + struct.pack(">BBI", kind, flags, stream) + payload


def call(stream: int, method: str = "/fendan.v1.RoutingService/Route") -> bytes:
    """A call begins."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    # Nothing that a table would remember: each call stands for itself.
    block = Encoder().encode([(name, text, True) for name, text in headers.items()])
    return frame(HEADERS, END_HEADERS, stream, block)


HELLO = PREFACE + frame(SETTINGS)
