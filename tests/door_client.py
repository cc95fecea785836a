"""A gRPC client by hand, on HTTP/2 by h2, that talks to a rehearsed door and sees every frame."""

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from fendan.engine.door import DoorLimits, Ending
from fendan.engine.rehearsal import Rehearsal

__all__ = ["METHODS", "Answer", "Client", "echo", "framed", "order"]

SERVICE = "/fendan.v1.RoutingService"
METHODS = ((f"{SERVICE}/Route", 0), (f"{SERVICE}/BatchRoute", 1), (f"{SERVICE}/StreamRoute", 2))

FRAME_BYTES = 9  # before its payload
GOAWAY = 7
STEP_S = 0.25

Headers = Sequence[tuple[str, str]]


def framed(*messages: bytes, flag: int = 0) -> bytes:
    """Messages as gRPC puts them into DATA."""
    return b"".join(struct.pack(">BI", flag, len(message)) + message for message in messages)


def order(content: bytes) -> bytes:
    """What looks like a RouteRequest of one order and nothing else."""
    assert len(content) < 128
    return b"\x0a" + bytes([len(content)]) + content


@dataclass
class Answer:
    """What has come on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    has_ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int | None:
        """The gRPC status, wherever it came."""
        told = {**self.headers, **self.trailers}.get("grpc-status")
        return None if told is None else int(told)

    @property
    def messages(self) -> list[bytes]:
        """The whole messages."""
        data, found = self.data, []
        while data:
            flag, size = struct.unpack(">BI", data[:5])
            assert flag == 0
            found.append(data[5 : 5 + size])
            data = data[5 + size :]
        return found


class Goodbye(NamedTuple):
    """A GOAWAY."""

    last_stream: int
    error_code: int
    why: bytes


class Client:
    """One connection. What it is sent is in `answers`, by stream, in `goodbyes` and in `events`."""

    def __init__(
        self,
        limits: DoorLimits | None = None,
        *,
        tokens: Sequence[tuple[bytes, int]] | None = None,
        endings: Mapping[str, Ending] | None = None,
        is_in_a_hurry: bool = False,
    ) -> None:
        self.door = Rehearsal(
            methods=METHODS, limits=limits or DoorLimits(), tokens=tokens, endings=endings
        )
        config = H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.http = H2Connection(config)
        self.answers: defaultdict[int, Answer] = defaultdict(Answer)
        self.events: list[Event] = []
        self.goodbyes: list[Goodbye] = []
        self.http.initiate_connection()
        # Whoever is in a hurry sends, and listens only when it must catch up.
        self._unheard: list[bytes] | None = [] if is_in_a_hurry else None
        self.send()

    # -- TALKING -------------------------------------------------------------------------------

    def send(self, data: bytes = b"") -> None:
        """Send what h2 has to send, and then these bytes; hear what comes back."""
        said = self.door.receive(self.http.data_to_send() + data)
        if self._unheard is None:
            self.hear(said)
        else:
            self._unheard.append(said)

    def catch_up(self) -> None:
        """Hear all that was not heard yet."""
        unheard, self._unheard = self._unheard, None
        self.hear(b"".join(unheard or ()))

    def hear(self, data: bytes) -> None:
        """Take in what the door sends, and acknowledge it as HTTP/2 wants it."""
        if not data:
            return
        for event in self.http.receive_data(self.without_goodbyes(data)):
            self.events.append(event)
            self._take_in(event)
        self.send()

    def without_goodbyes(self, data: bytes) -> bytes:
        """Keep those in `goodbyes`: after the first, h2 would hear of nothing any more."""
        rest = b""
        while data:
            size = FRAME_BYTES + int.from_bytes(data[:3], "big")
            frame, data = data[:size], data[size:]
            if frame[3] == GOAWAY:
                last, code = struct.unpack(">II", frame[FRAME_BYTES : FRAME_BYTES + 8])
                self.goodbyes.append(Goodbye(last, code, frame[FRAME_BYTES + 8 :]))
            else:
                rest += frame
        return rest

    def call(
        self, *messages: bytes, method: str = "Route", end: bool = True, **headers: str
    ) -> int:
        """Begin a call, with these messages already; its stream. `grpc_timeout` is grpc-timeout."""
        more = [(name.replace("_", "-"), value) for name, value in headers.items()]
        stream = self.begin(method, more=more, end=end and not messages)
        if messages:
            self.say(stream, framed(*messages), end=end)
        return stream

    def begin(
        self,
        method: str = "Route",
        replaced: Mapping[str, str] | None = None,
        *,
        more: Headers = (),
        end: bool = False,
    ) -> int:
        """Begin a call with its headers alone, of which some may be `replaced`, or left out (""),
        and `more` be there.
        """
        usual = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"{SERVICE}/{method}",
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        usual |= replaced or {}
        stream = self.http.get_next_available_stream_id()
        headers = [(name, text) for name, text in usual.items() if text]
        self.http.send_headers(stream, [*headers, *more], end_stream=end)
        self.send()
        return stream

    def say(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send DATA, in as many frames as it takes and the windows let through."""
        while data and self.answers[stream].reset is None:
            size = min(
                len(data),
                self.http.local_flow_control_window(stream),
                self.http.max_outbound_frame_size,
            )
            assert size > 0, "the door gives no new window"
            part, data = data[:size], data[size:]
            self.http.send_data(stream, part, end_stream=end and not data)
            self.send()

    def end(self, stream: int) -> None:
        """The client has said all."""
        self.http.end_stream(stream)
        self.send()

    def cancel(self, stream: int) -> None:
        """The client does not wait for the answer any more."""
        self.http.reset_stream(stream, 8)
        self.send()

    # -- THE ENGINE'S PART ---------------------------------------------------------------------

    def work(self, by: Callable[[bytes], bytes | Ending] | None = None) -> list[bytes]:
        """Take one turn and answer its pieces, with an echo unless told otherwise; what they were.

        No pieces where nothing waits.
        """
        turn = self.door.take()
        if turn is None:
            self.hear(self.door.settled())
            return []
        seen = []
        for piece in turn:
            seen.append(piece.data)
            said = (by or echo)(piece.data)
            if isinstance(said, bytes):
                piece.answer(said)
            else:
                piece.end(said)
        self.hear(self.door.hand_back(turn))
        return seen

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and answer meanwhile as HTTP/2 wants it."""
        while seconds > 0:
            self.hear(self.door.pass_time(min(STEP_S, seconds)))
            seconds -= STEP_S

    def _take_in(self, event: Event) -> None:
        match event:
            case ResponseReceived():
                self.answers[event.stream_id].headers = _texts(event.headers)
            case TrailersReceived():
                self.answers[event.stream_id].trailers = _texts(event.headers)
            case DataReceived():
                self.answers[event.stream_id].data += event.data
                if event.flow_controlled_length:
                    self.http.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case StreamEnded():
                self.answers[event.stream_id].has_ended = True
            case StreamReset():
                self.answers[event.stream_id].reset = int(event.error_code)


def _texts(headers: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    return {str(name): str(text) for name, text in headers}


def echo(data: bytes) -> bytes:
    """Such requests look like their answers."""
    return data
