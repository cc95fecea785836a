"""Plays a client without manners, and an engine, to a rehearsed door; from one source of chance.

    python tests/door_fuzz.py SECONDS [SEED]

Whatever is sent, nothing may be left behind when the connection is gone: no stream, no message in
the queue, no byte held; and each call that began has been counted once.
"""

import random
import struct
import sys
import time

from hpack import Encoder

from door_client import METHODS
from fendan.engine.door import ENDINGS, DoorLimits
from fendan.engine.rehearsal import Rehearsal
from http2_frames import CONTINUATION, DATA, HEADERS, PREFACE, SETTINGS, frame

LIMITS = DoorLimits(
    message_bytes=50_000,
    concurrent_streams=20,
    queue_requests=30,
    queue_bytes=200_000,
    header_bytes=2_000,
    header_timeout_s=1.0,
    idle_s=5.0,
    keepalive_time_s=3.0,
    keepalive_timeout_s=1.0,
    least_client_interval_s=0.5,
    turn_orders=8,
    turn_bytes=100_000,
)
PATHS = [name for name, _ in METHODS] * 5 + [
    "/",
    "*",
    "/fendan.v1.RoutingService/Nearest",
    "x" * 300,
]
OTHERS = [
    ("content-type", "application/json"),
    ("grpc-timeout", "100m"),
    ("grpc-timeout", "9H"),
    ("grpc-timeout", "x"),
    ("grpc-encoding", "gzip"),
    ("authorization", "Bearer x"),
    ("x-large", "y" * 1_000),
    ("content-length", "5"),
    (":status", "200"),
    ("te", "trailers"),
]
# Sizes of messages, and of frames.
SIZES = (0, 1, 5, 60, 127, 1_000, 16_379, 16_384, 40_000, 50_001)


class Player:
    """One connection's life; `chance` decides all."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.encoder = Encoder()
        self.next_stream = 1
        self.door = Rehearsal(
            methods=METHODS,
            limits=LIMITS,
            tokens=[(bytes(32), 1)] if chance.random() < 0.05 else None,
        )
        self.turns: list[object] = []

    def play(self) -> None:
        """Live, leave, and be forgotten."""
        chance = self.chance
        greeting = PREFACE + frame(SETTINGS, 0, 0, b"")
        self.send(greeting if chance.random() < 0.95 else self.spoilt(greeting))
        steps = chance.randrange(60)
        while steps and self.door.is_open:
            steps -= 1
            chance.choice((self.talk, self.talk, self.talk, self.work, self.wait))()
        while (turn := self.door.take()) is not None and chance.random() < 0.7:
            self.door.hand_back(turn)
        self.door.leave()
        del turn
        self.turns.clear()
        while self.door.take() is not None:
            pass  # given up unanswered
        self.door.settled()
        stats = self.door.stats()
        held = (stats.streams, stats.queue_requests, stats.queue_bytes, stats.held_bytes)
        assert held == (0, 0, 0, 0)
        assert stats.ended.sum() == stats.seconds.sum()

    # -- WHAT HAPPENS --------------------------------------------------------------------------

    def talk(self) -> None:
        """Send some frames, maybe spoilt, maybe in small parts."""
        chance = self.chance
        sent = b"".join(self.something() for _ in range(chance.randrange(1, 6)))
        if chance.random() < 0.02:
            sent = self.spoilt(sent)
        if chance.random() < 0.2:
            size = chance.randrange(1, 50)
            parts = [sent[at : at + size] for at in range(0, min(len(sent), 5_000), size)]
        else:
            parts = [sent]
        for part in parts:
            self.send(part)

    def work(self) -> None:
        """The engine takes a turn, and answers some of it, maybe later."""
        chance = self.chance
        if self.turns and chance.random() < 0.5:
            self.door.hand_back(self.turns.pop(0))  # type: ignore[arg-type]
            return
        turn = self.door.take()
        if turn is None:
            self.door.settled()
            return
        for piece in turn:
            data = piece.data
            assert len(piece.callers()) == piece.count
            if piece.count > 1 and chance.random() < 0.3:
                for half in piece.halves():
                    half.answer(half.data)
            elif piece.count > 1 or chance.random() < 0.7:
                piece.answer(data)
            elif chance.random() < 0.9:
                piece.end(ENDINGS[chance.choice(list(ENDINGS))])
        if chance.random() < 0.5:
            self.turns.append(turn)
        else:
            self.door.hand_back(turn)

    def wait(self) -> None:
        """Time passes; or the door is drained."""
        if self.chance.random() < 0.05:
            self.door.drain()
        self.door.pass_time(self.chance.choice((0.01, 0.02, 0.2, 1.0)))

    def send(self, data: bytes) -> None:
        """What comes back is not read."""
        self.door.receive(data)

    # -- FRAMES --------------------------------------------------------------------------------

    def stream(self) -> int:
        """One that was begun, nearly always: for any other the connection ends."""
        if self.next_stream == 1 or self.chance.random() < 0.005:
            return self.chance.choice((0, 2, self.next_stream + 2, 2**31 - 1))
        return self.chance.randrange(1, self.next_stream, 2)

    def something(self) -> bytes:  # noqa: PLR0911 - a kind a line
        """A frame or a few, of any kind."""
        chance = self.chance
        weights = (300, 400, 20, 60, 30, 1, 40, 1, 80, 1, 20)
        kind = HEADERS if self.next_stream == 1 else chance.choices(range(11), weights)[0]
        match kind:
            case 0:
                return self.data(self.stream(), chance.randrange(2))
            case 1:
                return self.call()
            case 2:
                return frame(kind, 0, self.stream(), bytes(5))
            case 3:
                return frame(kind, 0, self.stream(), chance.randbytes(4))
            case 4:
                name = chance.choice((1, 3, 4, 4, 6, 99))
                value = chance.choice((0, 1, 100, 65_535, 1_000_000))
                return frame(kind, 0, 0, struct.pack(">HI", name, value))
            case 6:
                return frame(kind, chance.randrange(2), 0, bytes(8))
            case 8:
                stream = chance.choice((0, self.stream()))
                return frame(kind, 0, stream, struct.pack(">I", chance.choice((1, 70_000))))
            case 10:
                return frame(99, chance.randrange(256), self.stream(), bytes(20))
            case _:
                return frame(kind, chance.randrange(256), self.stream(), chance.randbytes(20))

    def call(self) -> bytes:
        """A call begins, and maybe all of it comes at once."""
        chance = self.chance
        headers = [
            (":method", "POST" if chance.random() < 0.97 else "GET"),
            (":scheme", "http"),
            (":authority", "x"),
            (":path", chance.choice(PATHS)),
            ("content-type", "application/grpc"),
        ]
        while chance.random() < 0.3:
            headers.append(chance.choice(OTHERS))
        if chance.random() < 0.03:
            chance.shuffle(headers)
        stream = self.next_stream
        self.next_stream += 2
        block = self.encoder.encode(headers, huffman=chance.random() < 0.5)
        ends = chance.random() < 0.05
        if chance.random() < 0.1:
            middle = len(block) // 2
            begun = frame(HEADERS, ends, stream, block[:middle])
            begun += frame(CONTINUATION, 4, stream, block[middle:])
        else:
            begun = frame(HEADERS, 4 | ends, stream, block)
        return begun if chance.random() < 0.2 else begun + self.data(stream, chance.random() < 0.9)

    def data(self, stream: int, ends: bool | int) -> bytes:
        """Messages, mostly whole, in frames cut anywhere."""
        chance = self.chance
        messages = b""
        for _ in range(chance.choice((1, 1, 1, 1, 0, 2, 5))):
            content = bytes(chance.choice(SIZES))
            if len(content) < 128 and chance.random() < 0.7:
                content = b"\x0a" + bytes([len(content)]) + content
            flag = 0 if chance.random() < 0.97 else chance.randrange(256)
            messages += struct.pack(">BI", flag, len(content)) + content
        if chance.random() < 0.05:
            messages = messages[: chance.randrange(len(messages) + 1)]
        size = chance.choice((16_384, 16_384, 16_384, 100, 7))
        parts = [messages[at : at + size] for at in range(0, min(len(messages), 200 * size), size)]
        frames = [frame(DATA, 0, stream, part) for part in parts[:-1]]
        return b"".join(frames) + frame(DATA, int(ends), stream, parts[-1] if parts else b"")

    def spoilt(self, data: bytes) -> bytes:
        """With some bytes changed, lost or told again."""
        chance, spoilt = self.chance, bytearray(data)
        for _ in range(chance.randrange(1, 5)):
            if not spoilt:
                break
            at = chance.randrange(len(spoilt))
            match chance.randrange(3):
                case 0:
                    spoilt[at] = chance.randrange(256)
                case 1:
                    del spoilt[at : at + chance.randrange(20)]
                case 2:
                    spoilt[at:at] = spoilt[at : at + chance.randrange(20)]
        return bytes(spoilt)


def main() -> None:
    """Play for so many seconds; a failure names its seed."""
    end_s = time.monotonic() + float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    while time.monotonic() < end_s:
        try:
            Player(random.Random(seed)).play()
        except BaseException:
            print(f"seed {seed}", file=sys.stderr)
            raise
        seed += 1
    print(f"{seed} connections")


if __name__ == "__main__":
    main()
